"""K-Means, a Gaussian mixture, DBSCAN and HDBSCAN on the same data: assumptions, times, results."""

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
from mixtura.base.certainty import SURE
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
    Outcome,
    dbscan,
    gaussian_mixture,
    hdbscan,
    k_means,
    n_clusters,
    silhouette,
    some_rows,
)
from mixtura.compare.suitability import SuitabilityEvidence, Verdict, judge, measure
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.families import family_named
from mixtura.inputs.parameters import check_count
from mixtura.inputs.rows import rows_of

INDEX_ROWS = 20_000
"""Above this many rows, Calinski-Harabasz and Davies-Bouldin are computed on a random sample."""

INTERRUPTED, NOT_RUN = "interrupted", "not run"
"""Why a method has no values, apart from failures."""

SOFT = {K_MEANS: False, MIXTURE: True, DENSITY: False, HIERARCHY: False}
NEEDS_K = {K_MEANS: True, MIXTURE: True, DENSITY: False, HIERARCHY: False}


@dataclass(frozen=True)
class Method:
    """The assumptions of a method and its results on these data.

    Attributes
    ----------
    name : str
    soft : bool
        Whether a row may belong to several clusters in part.
    shape : str
        The shape of cluster it assumes.
    seconds : float or None
        Measured time of one fit with given settings (including its own restarts). None where it
        failed.
    seconds_to_choose : float or None
        Measured time of choosing the settings: K, eps. None where there was nothing to choose.
    needs_k : bool
        Whether a fit needs the number of clusters.
    k_chosen_by : str
        How the number of clusters, or the setting in its place, was chosen.
    n_clusters : int
        Clusters with at least one row, without noise.
    output : str
        The output for a row.
    interpretation : str
        How to read the output, with the numbers of these data.
    rows_used : int
        Rows that the method was run on.
    unsure_rows : int or None
        Rows whose largest membership is below 0.9; None for a hard method, which cannot say.
    noise_rows : int or None
        Rows in no cluster; None for a method without noise.
    silhouette, calinski_harabasz, davies_bouldin : float or None
        Internal indices of the rows in clusters, without noise: the mean silhouette (on at most
        2000 rows), from -1 to 1; the ratio of between-cluster to within-cluster dispersion; the
        mean worst ratio of widths to distance (on at most 20,000 rows). Higher is better for the
        first two, lower for the third. All favour round clusters. None with fewer than two
        clusters.
    truth_ari, truth_nmi : float or None
        Adjusted Rand index and normalised mutual information with the known groups.
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
        Adjusted Rand index of each pair of names (Hubert & Arabie 1985): 1 for identical clusters,
        about 0 for chance. Noise counts as a separate cluster; rows that one of the two has not
        labelled are left out.
    labels : dict
        The cluster (n,) of every row by each name, from 0; -1 is noise, -2 not labelled. Failed
        methods are missing.
    suits : tuple of str
        The methods that suit these data, best first, by the rule of
        :mod:`mixtura.compare.suitability`.
    sentences : tuple of str
        The reasons, and what was left out.
    evidence : mixtura.compare.suitability.SuitabilityEvidence
        The measurements that the rule uses.
    memberships : (n, K) or None
        Memberships of the mixture.
    mixture : GaussianMixture or None
        The mixture, fitted to the standardised columns.
    interrupted : bool
        Whether Ctrl-C ended the comparison; the methods not done have no values, but the reason.
    """

    methods: tuple[Method, ...]
    agreement: dict[tuple[str, str], float]
    labels: dict[str, Labels] = field(repr=False)
    suits: tuple[str, ...]
    sentences: tuple[str, ...]
    evidence: SuitabilityEvidence = field(repr=False)
    memberships: Array | None = field(repr=False)
    mixture: GaussianMixture | None = field(repr=False)
    interrupted: bool = False

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary for each method: its fields, and its agreement with each other
        method.

        Every row has the same keys in the same order, so that the list is a table. The agreement of
        a method with itself is 1, and with a failed one None.
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
    """Compare K-Means, a Gaussian mixture, DBSCAN and HDBSCAN on the same standardised columns.

    The functions of :mod:`mixtura.compare.contenders` (``k_means``, ``gaussian_mixture``,
    ``dbscan``, ``hdbscan``) say how K, eps and the rows are chosen. A method that fails becomes a
    row with its reason, and the others go on. Ctrl-C ends the comparison and keeps the methods that
    are done.

    Parameters
    ----------
    X : (n, d)
        Array or data frame of numbers.
    n_components : int, optional
        K for K-Means and the mixture; by default each chooses its K.
    mixture_family : str, default="VVV"
        A covariance family, or "all" to choose one by BIC.
    truth : (n,), optional
        Known groups, as numbers or text. The methods are measured against them, but do not use
        them.
    random_state : int or None, default=0
    on_method : callable, optional
        Called with the name of each method before it begins.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        For data or settings that cannot be used, as in :class:`mixtura.GaussianMixture`.
    KeyboardInterrupt
        When Ctrl-C comes before the first method is done.

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
    with stop_on_signal(stopped):  # seconds of work without partial results
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
    """The outcome of each method, or why it has none; after the first one, Ctrl-C ends the
    comparison.
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
) -> tuple[SuitabilityEvidence, Verdict, bool]:
    """The evidence, the methods that suit, and whether this was judged at all: not after Ctrl-C."""
    rows = some_rows(len(Z), DENSITY_ROWS, seed)
    try:
        if stopped:
            raise KeyboardInterrupt
        evidence = measure(Z, done, rows, seed)
        return evidence, judge(evidence), True
    except KeyboardInterrupt:
        said = "Which method suits the data was not judged: the comparison was interrupted before."
        return SuitabilityEvidence(len(rows)), Verdict((), (said,)), False


def _tried(
    name: str, run: Callable[[], Outcome], on_method: Callable[[str], None] | None
) -> Outcome | str:
    """The outcome of a method, or why it failed."""
    if on_method:
        on_method(name)
    try:
        return run()
    except (ValueError, ArithmeticError, RuntimeError) as error:
        return " ".join(str(error).split())
    except MemoryError:
        return "not enough memory"


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
    verdict: Verdict, methods: tuple[Method, ...], evidence: SuitabilityEvidence, n: int
) -> tuple[str, ...]:
    """The verdict, its number of rows, the agreement with the truth, and the failures."""
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
            "Missing because the comparison was interrupted, and not taken into account: "
            f"{', '.join(missing)}."
        )
    return tuple(said)


def _with_the_truth(methods: tuple[Method, ...]) -> list[str]:
    """Which method is nearest to the known groups."""
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
    """The standardised columns as float64 (n,d); a constant column becomes 0."""
    rows = rows_of(GaussianMixture(), X, fitting=True, allow_missing=False).astype(np.float64)
    spread = rows.std(axis=0)
    return np.asarray((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _groups(truth: Any, n: int) -> Labels:
    """The known groups as numbers."""
    refuse_masked("truth", truth)
    values = np.asarray(truth)
    if values.shape != (n,):
        raise ValueError(
            f"`truth` must have one group for each of the {n} rows, but its shape is "
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
