"""K-Means, a Gaussian mixture, DBSCAN and HDBSCAN on the same data, with measured values: what each
assumes, costs and says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
)

from mixtura.base.arrays import Array, Labels
from mixtura.base.interrupts import stop_on_signal
from mixtura.base.masked import refuse_masked
from mixtura.base.underflow import ignore_underflow
from mixtura.compare.contenders import (
    DENSITY,
    DENSITY_ROWS,
    HIERARCHY,
    K_MEANS,
    MIXTURE,
    NOISE,
    NOT_LABELLED,
    SURE,
    Outcome,
    dbscan,
    gaussian_mixture,
    hdbscan,
    k_means,
    n_clusters,
    silhouette,
    some_rows,
)
from mixtura.compare.suitability import Evidence, Verdict, judge, measure
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.families import family_named
from mixtura.inputs.validation import check_count, rows_of

INDEX_ROWS = 20_000
"""Above this many rows, Calinski-Harabasz and Davies-Bouldin are taken on a random sample."""

INTERRUPTED, NOT_RUN = "interrupted", "not begun"
"""Why a method has no values, beside failures."""

SOFT = {K_MEANS: False, MIXTURE: True, DENSITY: False, HIERARCHY: False}
NEEDS_K = {K_MEANS: True, MIXTURE: True, DENSITY: False, HIERARCHY: False}


@dataclass(frozen=True)
class Method:
    """What one method assumes, and what it did on these data.

    Attributes
    ----------
    name : str
    soft : bool
        Whether a row may belong to several clusters in part.
    shape : str
        The shape of cluster it assumes.
    seconds : float or None
        Measured, for one fit with its settings known (all its own restarts included). None where it
        failed.
    seconds_to_choose : float or None
        Measured, for finding those settings: K, eps. None where there was nothing to find.
    needs_k : bool
        Whether a fit has to be told how many clusters there are.
    k_chosen_by : str
        How that number, or what stands in its place, was found.
    n_clusters : int
        Clusters that have at least one row; noise is none.
    output : str
        What comes out for a row.
    interpretation : str
        How to read that, with the numbers of these data.
    rows_used : int
        Rows that the method saw.
    unsure_rows : int or None
        Rows whose largest membership is below 0.9; None for a hard method, which cannot say.
    noise_rows : int or None
        Rows in no cluster; None for a method that has no noise.
    silhouette, calinski_harabasz, davies_bouldin : float or None
        Internal indices of the rows in clusters, so noise is not held against a method: the mean
        silhouette (2000 rows at most), from -1 to 1; between-cluster over within-cluster
        dispersion; mean worst ratio of widths to distance (20,000 rows at most). Higher is better
        for the first two, lower for the third. All favour round clusters. None with fewer than two.
    truth_ari, truth_nmi : float or None
        Adjusted Rand index and normalised mutual information with the labels that were given as
        truth.
    reason : str
        Why it failed; empty when it did not.
    """

    name: str
    soft: bool
    shape: str = ""
    seconds: float | None = None
    seconds_to_choose: float | None = None
    needs_k: bool = False
    k_chosen_by: str = ""
    n_clusters: int = 0
    output: str = ""
    interpretation: str = ""
    rows_used: int = 0
    unsure_rows: int | None = None
    noise_rows: int | None = None
    silhouette: float | None = None
    calinski_harabasz: float | None = None
    davies_bouldin: float | None = None
    truth_ari: float | None = None
    truth_nmi: float | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Four methods on the same data.

    Attributes
    ----------
    methods : tuple of Method
        K-Means, Gaussian mixture, DBSCAN, HDBSCAN; one that failed says why.
    agreement : dict
        Adjusted Rand index of each pair of names (Hubert & Arabie 1985): 1 for the same clusters,
        about 0 for chance. Noise counts as a cluster of its own; rows that one of the two has not
        labelled are left out.
    labels : dict
        The cluster (n,) of every row by each name, from 0; -1 is noise, -2 not labelled. Methods
        that failed have none.
    suits : tuple of str
        The methods that suit these data, best first, by the rule of
        :mod:`mixtura.compare.suitability`.
    sentences : tuple of str
        Why, and what was left out.
    evidence : mixtura.compare.suitability.Evidence
        The quantities that were read for it.
    memberships : (n, K) or None
        Of the mixture.
    mixture : GaussianMixture or None
        Fitted on the standardised columns.
    interrupted : bool
        Whether Ctrl-C came: the method it came into and those after it are rows without values,
        with the reason.
    """

    methods: tuple[Method, ...]
    agreement: dict[tuple[str, str], float]
    labels: dict[str, Labels] = field(repr=False)
    suits: tuple[str, ...]
    sentences: tuple[str, ...]
    evidence: Evidence = field(repr=False)
    memberships: Array | None = field(repr=False)
    mixture: GaussianMixture | None = field(repr=False)
    interrupted: bool = False

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary for each method: its fields, and its agreement with each other
        method.

        Every row has the same keys in the same order, so that a list of them is a table; a method's
        agreement with itself is 1, and with one that failed None.
        """
        return [asdict(method) | self._agreements_of(method.name) for method in self.methods]

    def _agreements_of(self, name: str) -> dict[str, float | None]:
        both_ways = self.agreement | {(b, a): value for (a, b), value in self.agreement.items()}
        own = {(name, name): 1.0} if name in self.labels else {}
        return {
            f"agreement_with_{other.name}": (both_ways | own).get((name, other.name))
            for other in self.methods
        }


@ignore_underflow
def compare(
    X: Any,
    *,
    n_components: int | None = None,
    mixture_family: str = "VVV",
    truth: Any = None,
    random_state: int | None = 0,
    on_method: Callable[[str], None] | None = None,
) -> Comparison:
    """K-Means, a Gaussian mixture, DBSCAN and HDBSCAN on the same standardised columns, with
    measured values.

    The functions of :mod:`mixtura.compare.contenders` (``k_means``, ``gaussian_mixture``,
    ``dbscan``, ``hdbscan``) say how K, eps and the rows are chosen. A method that fails becomes a
    row with its reason, and the others go on. Ctrl-C ends the comparison and keeps the methods that
    are done.

    Parameters
    ----------
    X : (n, d)
        Array or data frame of numbers.
    n_components : int, optional
        K for K-Means and the mixture; each chooses its own by default.
    mixture_family : str, default="VVV"
        A family of covariances, or "all" to choose one by BIC.
    truth : (n,), optional
        Known groups, as numbers or text: each method is measured against them, and none of them
        sees them.
    random_state : int or None, default=0
    on_method : callable, optional
        Called with the name of each method before it begins.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        Data or settings that cannot be used, in the words of :class:`mixtura.GaussianMixture`.
    KeyboardInterrupt
        When Ctrl-C came before the first method was done.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> far_apart = np.concatenate([rng.normal(0, 1, (50, 2)), rng.normal(9, 1, (50, 2))])
    >>> found = compare(far_apart)
    >>> found.agreement["K-Means", "Gaussian mixture"], found.suits
    (1.0, ('K-Means', 'Gaussian mixture'))
    """
    check_count("n_components", n_components, 1, optional=True)
    family = mixture_family if mixture_family == "all" else family_named(mixture_family).name
    Z = _standardised(X)
    groups = None if truth is None else _groups(truth, len(Z))
    seed = int(np.random.default_rng().integers(2**31)) if random_state is None else random_state
    work: dict[str, Callable[[], Outcome]] = {
        K_MEANS: lambda: k_means(Z, n_components, seed),
        MIXTURE: lambda: gaussian_mixture(Z, n_components, family, seed),
        DENSITY: lambda: dbscan(Z, seed),
        HIERARCHY: lambda: hdbscan(Z, seed),
    }
    tried = _all_tried(work, on_method)
    done = {name: outcome for name, outcome in tried.items() if isinstance(outcome, Outcome)}
    stopped = threading.Event()
    with stop_on_signal(stopped):  # this takes seconds and has no part that could be shown
        methods = tuple(_method(name, outcome, Z, groups, seed) for name, outcome in tried.items())
        labels = {name: outcome.labels for name, outcome in done.items()}
        agreement = {(a, b): _rand_index(labels[a], labels[b]) for a, b in combinations(labels, 2)}
    evidence, verdict, judged = _judged(Z, done, seed, stopped.is_set())
    mixture = done.get(MIXTURE)
    return Comparison(
        methods,
        agreement,
        labels,
        verdict.suits,
        _sentences(verdict, methods, evidence, len(Z)),
        evidence,
        mixture.memberships if mixture else None,
        mixture.model if mixture else None,
        not judged
        or any(
            outcome in (INTERRUPTED, NOT_RUN)
            for outcome in tried.values()
            if isinstance(outcome, str)
        ),
    )


def _all_tried(
    work: Mapping[str, Callable[[], Outcome]], on_method: Callable[[str], None] | None
) -> dict[str, Outcome | str]:
    """What each method made of the data, or why there is nothing; Ctrl-C ends it once one of them
    is done.
    """
    tried: dict[str, Outcome | str] = {}
    for name, run in work.items():
        try:
            tried[name] = _tried(name, run, on_method)
        except KeyboardInterrupt:
            if not any(isinstance(outcome, Outcome) for outcome in tried.values()):
                raise
            return {other: tried.get(other, NOT_RUN) for other in work} | {name: INTERRUPTED}
    return tried


def _judged(
    Z: Array, done: Mapping[str, Outcome], seed: int, stopped: bool
) -> tuple[Evidence, Verdict, bool]:
    """Which methods suit, what that was read from, and whether it was judged at all: not after a
    Ctrl-C of just now.
    """
    rows = some_rows(len(Z), DENSITY_ROWS, seed)
    try:
        if stopped:
            raise KeyboardInterrupt
        evidence = measure(Z, done, rows, seed)
        return evidence, judge(evidence), True
    except KeyboardInterrupt:
        said = "Which method suits the data was not judged: the comparison was called off before."
        return Evidence(len(rows)), Verdict((), (said,)), False


def _tried(
    name: str, run: Callable[[], Outcome], on_method: Callable[[str], None] | None
) -> Outcome | str:
    """What a method made of the data, or why it could not."""
    if on_method:
        on_method(name)
    try:
        return run()
    except (ValueError, ArithmeticError, RuntimeError) as error:
        return " ".join(str(error).split())
    except MemoryError:
        return "the memory did not suffice"


def _method(
    name: str, outcome: Outcome | str, Z: Array, groups: Labels | None, seed: int
) -> Method:
    """One row of the table."""
    if isinstance(outcome, str):
        return Method(name, SOFT[name], needs_k=NEEDS_K[name], reason=outcome)
    labels = outcome.labels
    unsure = (
        None if outcome.memberships is None else int((outcome.memberships.max(axis=1) < SURE).sum())
    )
    return Method(
        name=name,
        soft=SOFT[name],
        shape=outcome.shape,
        seconds=outcome.seconds,
        seconds_to_choose=outcome.seconds_to_choose,
        needs_k=NEEDS_K[name],
        k_chosen_by=outcome.k_chosen_by,
        n_clusters=n_clusters(labels),
        output=outcome.output,
        interpretation=outcome.interpretation,
        rows_used=len(outcome.used),
        unsure_rows=unsure,
        noise_rows=int((labels == NOISE).sum()) if name in (DENSITY, HIERARCHY) else None,
        silhouette=silhouette(Z, labels, seed),
        calinski_harabasz=_index(calinski_harabasz_score, Z, labels, seed),
        davies_bouldin=_index(davies_bouldin_score, Z, labels, seed),
        truth_ari=None if groups is None else _rand_index(groups, labels),
        truth_nmi=None if groups is None else _mutual_information(groups, labels),
    )


def _sentences(
    verdict: Verdict, methods: tuple[Method, ...], evidence: Evidence, n: int
) -> tuple[str, ...]:
    """The verdict, on how many rows it rests, what the truth says, and what failed."""
    said = [*verdict.sentences, *_with_the_truth(methods)]
    if evidence.n_rows < n:
        said.append(f"This was judged on {evidence.n_rows:,} of {n:,} rows, drawn at random.")
    said.extend(
        f"{method.name} failed: {method.reason}"
        for method in methods
        if method.reason not in ("", INTERRUPTED, NOT_RUN)
    )
    if missing := [method.name for method in methods if method.reason in (INTERRUPTED, NOT_RUN)]:
        said.append(
            "Missing, because the comparison was called off, and not taken into account: "
            f"{', '.join(missing)}."
        )
    return tuple(said)


def _with_the_truth(methods: tuple[Method, ...]) -> list[str]:
    """Which method comes nearest to the groups that are known."""
    known = [(method.truth_ari, method.name) for method in methods if method.truth_ari is not None]
    if not known:
        return []
    most = max(value for value, _ in known)
    nearest = [name for value, name in known if value == most]
    return [
        f"Nearest to the known groups: {' and '.join(nearest)}, with an adjusted Rand index of "
        f"{most:.2f}."
    ]


# ---- measuring -----------------------------------------------------------------------------------


def _standardised(X: Any) -> Array:
    """Every column about its mean and in its standard deviations, float64 (n,d); a constant column
    becomes 0.
    """
    rows = rows_of(GaussianMixture(), X, fitting=True).astype(np.float64)
    spread = rows.std(axis=0)
    return np.asarray((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _groups(truth: Any, n: int) -> Labels:
    """The known groups, numbered."""
    refuse_masked("truth", truth)
    values = np.asarray(truth)
    if values.shape != (n,):
        raise ValueError(
            f"`truth` must hold one group for each of the {n} rows, but its shape is "
            f"{values.shape}. Check its length."
        )
    return np.unique(values, return_inverse=True)[1]


def _rand_index(first: Labels, second: Labels) -> float:
    """The adjusted Rand index over the rows that both have labelled."""
    both = (first != NOT_LABELLED) & (second != NOT_LABELLED)
    return float(adjusted_rand_score(first[both], second[both]))


def _mutual_information(groups: Labels, labels: Labels) -> float:
    """Normalised mutual information over the rows that are labelled."""
    known = labels != NOT_LABELLED
    return float(normalized_mutual_info_score(groups[known], labels[known]))


def _index(
    score: Callable[[Array, Labels], float], Z: Array, labels: Labels, seed: int
) -> float | None:
    """An internal index of rows in clusters; None where it is not defined."""
    inside = np.flatnonzero(labels >= 0)
    inside = inside[some_rows(len(inside), INDEX_ROWS, seed)]
    if not 2 <= n_clusters(labels[inside]) < len(inside):
        return None
    return float(score(Z[inside], labels[inside]))
