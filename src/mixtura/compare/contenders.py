"""K-Means, a Gaussian mixture, DBSCAN and HDBSCAN: each chooses its settings by a fixed rule, then
its fit is timed.

All use the same standardised rows ``Z (n,d)``. The docstring of each function states its rule. The
constants are conventions, explained in docs/comparing.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar, cast

import numpy as np
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from mixtura.base.arrays import Array, Labels
from mixtura.base.certainty import SURE
from mixtura.base.choices import CovarianceType
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.model.fit_result import StopReason
from mixtura.search.threads import limited_threads

K_MEANS, MIXTURE, DENSITY, HIERARCHY = "K-Means", "Gaussian mixture", "DBSCAN", "HDBSCAN"

LARGEST_K = 10
"""Largest K that is tried where K is not given."""

NEIGHBOURS = 10
"""Smallest number of rows, itself included, within eps of a core row of DBSCAN; in more than five
dimensions 2 d (Sander et al. 1998).
"""

SMALLEST_CLUSTER = 0.02
"""The smallest cluster of HDBSCAN as a share of the rows; at least five rows."""

DENSITY_ROWS = 10_000
"""Above this many rows DBSCAN and HDBSCAN run on a random sample, since their memory and time grow
with the number of pairs of rows.
"""

BIC_ROWS = 20_000
"""Above this many rows, K of the mixture is chosen on a random sample; the chosen model is fitted
to all.
"""

SILHOUETTE_ROWS = 2_000
"""Above this many rows the silhouette is computed on a random sample, since it needs all distances.
"""

NOISE, NOT_LABELLED = -1, -2

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a method.

    Attributes
    ----------
    labels : (n,)
        Clusters from 0; -1 noise, -2 not labelled.
    seconds, seconds_to_choose : float
        Time of one fit with given settings, and of choosing the settings; None where there was
        nothing to choose.
    k_chosen_by : str
    shape : str
        The shape of cluster that the method assumes.
    output : str
        The output for a row.
    interpretation : str
        How to read the output, in one sentence with the numbers of these data.
    used : (m,)
        The rows that it was run on.
    model : GaussianMixture, optional
    memberships : (n, K), optional
        Memberships of the mixture.
    """

    labels: Labels
    seconds: float
    seconds_to_choose: float | None
    k_chosen_by: str
    shape: str
    output: str
    interpretation: str
    used: Labels
    model: GaussianMixture | None = None
    memberships: Array | None = None


# ---- the methods ---------------------------------------------------------------------------------


def k_means(Z: Array, K: int | None, seed: int | None) -> Outcome:
    """K-Means with ten restarts; unless it is given, K has the highest mean silhouette of K = 2 to
    10.

    Above 10,000 rows K is chosen on a random sample of 10,000; silhouettes are computed on at most
    2000 rows. K is at most the number of distinct rows.
    """
    with limited_threads(len(Z)):  # more threads only slow k-means down on few rows
        wanted, seconds_to_choose, how = (
            (K, None, "given") if K is not None else _chosen_by_silhouette(Z, seed)
        )
        centres = min(wanted, _n_distinct(Z, wanted))
        labels, seconds = timed(
            lambda: KMeans(centres, n_init=10, random_state=seed).fit(Z).labels_.astype(np.intp)
        )
    return Outcome(
        labels,
        seconds,
        seconds_to_choose,
        how,
        shape="round clusters of about the same size",
        output="one label for each row",
        interpretation=f"Easy to read: {count(centres, 'centre')} of {count(Z.shape[1], 'number')} "
        "each, and every row belongs to the nearest; rows near a border are not marked.",
        used=np.arange(len(Z)),
    )


def gaussian_mixture(Z: Array, K: int | None, family: str, seed: int | None) -> Outcome:
    """A mixture of one covariance family; unless it is given, K has the lowest BIC of K = 1 to 10.

    With ``family="all"`` the family is chosen as well. Above 20,000 rows both are chosen on a
    random sample of 20,000. After Ctrl-C, KeyboardInterrupt is raised: an incomplete search is not
    a measurement.
    """
    seconds_to_choose, how = None, "given"
    if K is None or family == "all":
        used = some_rows(len(Z), BIC_ROWS, seed)
        ks = range(1, LARGEST_K + 1) if K is None else [K]
        selector = GaussianMixtureSelector(
            n_components=ks,
            families="all" if family == "all" else [cast("CovarianceType", family)],
            random_state=seed,
        )
        selection, seconds_to_choose = timed(lambda: selector.fit(Z[used]).selection_)
        if selection.interrupted:
            raise KeyboardInterrupt
        best = selection.best
        how = (
            f"BIC, lowest of K = 1 to {LARGEST_K}" if K is None else "given; BIC chose the family"
        ) + _on(used, Z)
        K, family = best.n_components, best.family
    components, chosen = K, family
    model, seconds = timed(
        lambda: GaussianMixture(
            components,
            covariance_type=cast("CovarianceType", chosen),
            component_order="weight",
            random_state=seed,
        ).fit(Z)
    )
    if model.result_.stop is StopReason.INTERRUPTED:
        raise KeyboardInterrupt
    memberships = np.asarray(model.predict_proba(Z), dtype=np.float64)
    unsure = int((memberships.max(axis=1) < SURE).sum())
    return Outcome(
        labels=np.asarray(memberships.argmax(axis=1), dtype=np.intp),
        seconds=seconds,
        seconds_to_choose=seconds_to_choose,
        k_chosen_by=how,
        shape=f"{_ellipses(model.result_.family)} ({model.result_.family})",
        output=f"{count(K, 'probability', 'probabilities')} for each row (sum 1), and a density",
        interpretation=f"Moderately easy to read: {count(K, 'component')} described by "
        f"{count(model.result_.n_parameters, 'number')}; "
        f"{of_rows(unsure, len(Z))} unsure, with a largest membership below {100 * SURE:g} %.",
        used=np.arange(len(Z)),
        model=model,
        memberships=memberships,
    )


def dbscan(Z: Array, seed: int | None) -> Outcome:
    """DBSCAN with ``min_samples`` = 10, or 2 d where that is more, and eps at the knee of
    :func:`knee_distance`.

    Above 10,000 rows it runs on a random sample of 10,000, and every other row joins the cluster of
    its nearest core row within eps, or is noise. Equal rows are used once, with their number as a
    weight; the result is the same.
    """
    used = some_rows(len(Z), DENSITY_ROWS, seed)
    min_samples = neighbours(Z)
    eps, seconds_to_choose = timed(lambda: knee_distance(Z[used], min_samples))
    labels, seconds = timed(lambda: dbscan_labels(Z, used, eps, min_samples))
    noise = int((labels == NOISE).sum())
    rest = " The other rows joined their nearest core row within eps." if len(used) < len(Z) else ""
    return Outcome(
        labels,
        seconds,
        seconds_to_choose,
        k_chosen_by=f"found; eps = {eps:.3g} standard deviations at the knee of the distances to "
        f"the {min_samples}th row" + _on(used, Z),
        shape="any shape, all of about the same density",
        output="one label for each row, or noise",
        interpretation="Hard to read: a cluster is a list of rows, without a centre or a formula, "
        f"and another eps may split it differently; {of_rows(noise, len(Z))} noise.{rest}",
        used=used,
    )


def hdbscan(Z: Array, seed: int | None) -> Outcome:
    """HDBSCAN with a smallest cluster of 2 % of the rows (at least five), and the core distance to
    the 10th row.

    Above 10,000 rows it runs on a random sample of 10,000, and the other rows are not labelled.
    """
    used = some_rows(len(Z), DENSITY_ROWS, seed)
    smallest = max(5, round(SMALLEST_CLUSTER * len(used)))
    model = HDBSCAN(min_cluster_size=smallest, min_samples=min(neighbours(Z), len(used)), copy=True)
    found, seconds = timed(lambda: model.fit(Z[used]).labels_)
    labels = np.full(len(Z), NOT_LABELLED, dtype=np.intp)
    labels[used] = found
    noise = int((found == NOISE).sum())
    rest = f" The other {len(Z) - len(used):,} rows are not labelled." if len(used) < len(Z) else ""
    return Outcome(
        labels,
        seconds,
        None,
        k_chosen_by=f"found; clusters of at least {smallest:,} rows{_on(used, Z)}",
        shape="any shape, each of its own density",
        output="one label for each row, or noise",
        interpretation="Hard to read: a cluster is a list of rows, without a centre or a formula; "
        f"{of_rows(noise, len(used))} noise.{rest}",
        used=used,
    )


# ---- the choice of settings ----------------------------------------------------------------------


def _chosen_by_silhouette(Z: Array, seed: int | None) -> tuple[int, float | None, str]:
    """K, the seconds of choosing it, and how it was chosen."""
    used = some_rows(len(Z), DENSITY_ROWS, seed)
    K, seconds = timed(lambda: _k_by_silhouette(Z[used], seed))
    return K, seconds, f"silhouette, highest of K = 2 to {LARGEST_K}{_on(used, Z)}"


def _k_by_silhouette(Z: Array, seed: int | None) -> int:
    """The K with the highest mean silhouette, or 1 for fewer than two distinct rows."""
    ks = range(2, min(LARGEST_K, _n_distinct(Z, LARGEST_K), len(Z) - 1) + 1)
    scores = {
        K: silhouette(Z, KMeans(K, n_init=10, random_state=seed).fit(Z).labels_, seed) for K in ks
    }
    best = max((score for score in scores.values() if score is not None), default=None)
    return next((K for K, score in scores.items() if score == best), 1)


def neighbours(Z: Array) -> int:
    """``min_samples`` of DBSCAN for these rows."""
    return max(NEIGHBOURS, 2 * int(Z.shape[1]))


def knee_distance(Z: Array, min_samples: int) -> float:
    """The knee of the sorted distances of the rows ``Z (n,d)`` to their ``min_samples``-th row,
    where each row is its own first.

    The knee is the point farthest below the chord from the first to the last distance. It is always
    positive: instead of 0 it is the smallest positive distance, or 1 where all rows are equal.
    """
    curve = np.sort(core_distances(Z, Z, min_samples))
    chord = np.linspace(curve[0], curve[-1], len(curve))
    eps = float(curve[np.argmax(chord - curve)])
    return eps if eps > 0 else float(min(curve[curve > 0], default=1.0))


def core_distances(points: Array, Z: Array, k: int) -> Array:
    """The distance of each point to the k-th nearest row of ``Z``."""
    distances, _ = NearestNeighbors(n_neighbors=min(k, len(Z))).fit(Z).kneighbors(points)
    return np.asarray(distances[:, -1])


def dbscan_labels(Z: Array, used: Labels, eps: float, min_samples: int) -> Labels:
    """Clusters of the used rows; the others have that of the nearest core row within eps, or are
    noise.
    """
    distinct, place, times = np.unique(Z[used], axis=0, return_inverse=True, return_counts=True)
    model = DBSCAN(eps=eps, min_samples=min_samples).fit(distinct, sample_weight=times)
    labels = np.full(len(Z), NOISE, dtype=np.intp)
    labels[used] = model.labels_[place.ravel()]
    others = np.setdiff1d(np.arange(len(Z)), used)
    if len(others) and len(model.core_sample_indices_):
        distance, nearest = (
            NearestNeighbors(n_neighbors=1).fit(model.components_).kneighbors(Z[others])
        )
        found = model.labels_[model.core_sample_indices_][nearest[:, 0]]
        labels[others] = np.where(distance[:, 0] <= eps, found, NOISE)
    return labels


# ---- measuring -----------------------------------------------------------------------------------


def timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """A result, and the seconds it took."""
    start = perf_counter()
    answer = work()
    return answer, perf_counter() - start


def some_rows(n: int, most: int, seed: int | None) -> Labels:
    """The indices of all rows, or of ``most`` random ones, in order."""
    return (
        np.arange(n)
        if n <= most
        else np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    )


def n_clusters(labels: Labels) -> int:
    """The number of clusters with a row, without noise."""
    return len(np.unique(labels[labels >= 0]))


def silhouette(Z: Array, labels: Labels, seed: int | None) -> float | None:
    """Mean silhouette of rows in clusters; None where it is not defined."""
    inside = np.flatnonzero(labels >= 0)
    inside = inside[some_rows(len(inside), SILHOUETTE_ROWS, seed)]
    if not 2 <= n_clusters(labels[inside]) < len(inside):
        return None
    return float(silhouette_score(Z[inside], labels[inside]))


def _n_distinct(Z: Array, enough: int) -> int:
    """The number of distinct rows; counting ends at about ``enough``."""
    head = len(np.unique(Z[: 100 * enough], axis=0))
    return head if head >= enough else len(np.unique(Z, axis=0))


# ---- texts ---------------------------------------------------------------------------------------


def _on(used: Labels, Z: Array) -> str:
    """The number of rows used, where it is not all."""
    return f", on {len(used):,} of {len(Z):,} rows" if len(used) < len(Z) else ""


def _ellipses(family: str) -> str:
    """A description of a family's clusters from its letters: volume, shape, orientation."""
    volume, shape, orientation = list(family)
    body = (
        "round clusters"
        if shape == "I"
        else "ellipses along the axes"
        if orientation == "I"
        else "ellipses in any direction"
    )
    letters = (("size", volume), ("form", shape), ("direction", orientation))
    same = [word for word, letter in letters if letter == "E"]
    return (
        f"{body}, all of the same {' and '.join(same)}"
        if same
        else f"{body}, each of its own size" + " and form" * (shape == "V")
    )


def count(n: int, noun: str, several: str | None = None) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n:,} {noun if n == 1 else several or noun + 's'}"


def of_rows(some: int, n: int) -> str:
    """The beginning of a clause about some of the rows."""
    return f"{some:,} of {n:,} rows {'is' if some == 1 else 'are'}"
