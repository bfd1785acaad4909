"""K-Means, a Gaussian mixture and DBSCAN on the same data, with measured values: what each assumes, costs and says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import combinations
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from sklearn.cluster import DBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.neighbors import NearestNeighbors

from mixtura.arrays import Array, Labels
from mixtura.estimators import GaussianMixture
from mixtura.search import calm
from mixtura.selector import GaussianMixtureSelector
from mixtura.validation import rows_of

SURE = 0.9
"""A row whose largest membership is below this counts as unsure."""

DBSCAN_ROWS = 20_000
"""DBSCAN stores the neighbours of every row; above this many rows it runs on a subsample."""

SILHOUETTE_ROWS = 2_000
"""The silhouette needs all distances between its rows; above this many it is taken on a subsample."""

LARGEST_K = 10
"""K runs from 1 to this where it is not given."""

NOISE = -1

Answer = TypeVar("Answer")


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
    seconds : float
        Measured, for one fit with its settings known (all its own restarts included).
    seconds_to_choose : float or None
        Measured, for finding those settings: K of the mixture, eps of DBSCAN. None where there was nothing to find.
    needs_k : bool
        Whether somebody must say how many clusters there are.
    n_clusters : int
        Clusters that have at least one row; noise is none.
    output : str
        What comes out for a row.
    interpretation : str
        How to read that, with the numbers of these data.
    unsure_rows : int or None
        Rows whose largest membership is below 0.9; None for a hard method, which cannot say.
    noise_rows : int or None
        Rows in no cluster; None for a method that has no noise.
    silhouette : float or None
        Mean silhouette, from -1 to 1, of the rows that are not noise (2000 of them, drawn at random, where there are
        more). It favours round clusters. None with fewer than two clusters.
    """

    name: str
    soft: bool
    shape: str
    seconds: float
    seconds_to_choose: float | None
    needs_k: bool
    n_clusters: int
    output: str
    interpretation: str
    unsure_rows: int | None
    noise_rows: int | None
    silhouette: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Three methods on the same data.

    Attributes
    ----------
    methods : tuple of Method
        K-Means, Gaussian mixture, DBSCAN.
    agreement : dict
        Adjusted Rand index of each pair of names (Hubert & Arabie 1985): 1 for the same clusters, about 0 for chance.
        Noise counts as a cluster of its own.
    labels : dict
        The cluster (n,) of every row by each name, from 0; -1 is noise.
    """

    methods: tuple[Method, ...]
    agreement: dict[tuple[str, str], float]
    labels: dict[str, Labels] = field(repr=False)

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary for each method: its fields, and its agreement with each other method.

        Every row has the same keys in the same order, so that a list of them is a table; a method's agreement with itself is 1.
        """
        return [asdict(method) | self._agreements_of(method.name) for method in self.methods]

    def _agreements_of(self, name: str) -> dict[str, float]:
        both_ways = self.agreement | {(b, a): value for (a, b), value in self.agreement.items()}
        return {f"agreement_with_{other.name}": both_ways.get((name, other.name), 1.0) for other in self.methods}


def compare(X: Any, *, n_components: int | None = None, mixture_family: str = "VVV", random_state: int | None = 0) -> Comparison:
    """K-Means, a Gaussian mixture and DBSCAN on the same standardised columns, with measured values.

    K is chosen for the mixture by BIC among 1 to 10 unless it is given, and K-Means takes the same K.

    DBSCAN counts ``min_samples = 2 d`` rows, itself included, and at least 4 (Sander et al. 1998). Its ``eps`` is the
    knee of the curve of distances to the ``min_samples``-th row, sorted: the point farthest below the chord from its
    first to its last. Above 20,000 rows, DBSCAN runs on 20,000 rows drawn at random, and every other row joins the
    cluster of its nearest core row within ``eps``, or is noise; ``interpretation`` says so.

    Parameters
    ----------
    X : (n, d)
        Array or data frame of numbers.
    n_components : int, optional
        K for K-Means and the mixture.
    mixture_family : str, default="VVV"
        A family of covariances, or "all" to choose one by BIC.
    random_state : int or None, default=0

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        Data or settings that cannot be used, in the words of :class:`mixtura.GaussianMixture`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> far_apart = np.concatenate([rng.normal(0, 1, (50, 2)), rng.normal(9, 1, (50, 2))])
    >>> compare(far_apart, n_components=2).agreement["K-Means", "Gaussian mixture"]
    1.0
    """
    Z = _standardised(X)
    mixture, mixture_labels, K = _gaussian_mixture(Z, n_components, mixture_family, random_state)
    with calm(len(Z)):  # or k-means on few rows would be timed while its threads wait
        k_means, k_means_labels = _k_means(Z, K, random_state)
    dbscan, dbscan_labels = _dbscan(Z, random_state)
    methods = (k_means, mixture, dbscan)
    labels = dict(zip((method.name for method in methods), (k_means_labels, mixture_labels, dbscan_labels), strict=True))
    agreement = {(a, b): float(adjusted_rand_score(labels[a], labels[b])) for a, b in combinations(labels, 2)}
    return Comparison(methods, agreement, labels)


# ---- the three methods -------------------------------------------------------------------------------------------------


def _k_means(Z: Array, K: int, seed: int | None) -> tuple[Method, Labels]:
    """K-Means with ten restarts; never more centres than distinct rows, which it would refuse."""
    centres = min(K, len(np.unique(Z, axis=0)))
    labels, seconds = _timed(lambda: KMeans(centres, n_init=10, random_state=seed).fit(Z).labels_.astype(np.intp))
    method = Method(
        name="K-Means",
        soft=False,
        shape="round clusters of about the same size",
        seconds=seconds,
        seconds_to_choose=None,
        needs_k=True,
        n_clusters=_n_clusters(labels),
        output="one cluster number for each row",
        interpretation=f"Every row has the nearest of {_count(centres, 'centre')}; a row on a border looks as sure as any.",
        unsure_rows=None,
        noise_rows=None,
        silhouette=_silhouette(Z, labels, seed),
    )
    return method, labels


def _gaussian_mixture(Z: Array, n_components: int | None, family: str, seed: int | None) -> tuple[Method, Labels, int]:
    """The mixture, its hard labels, and K."""
    seconds_to_choose = None
    if n_components is None or family == "all":
        ks = range(1, LARGEST_K + 1) if n_components is None else [n_components]
        selector = GaussianMixtureSelector(n_components=ks, families=family if family == "all" else [family], random_state=seed)
        fitted, seconds_to_choose = _timed(lambda: selector.fit(Z))
        best = fitted.selection_.best
        n_components, family = best.n_components, best.family
    K, chosen = n_components, family
    model, seconds = _timed(lambda: GaussianMixture(K, covariance_type=chosen, random_state=seed).fit(Z))
    memberships = model.predict_proba(Z)
    labels = np.asarray(memberships.argmax(axis=1), dtype=np.intp)
    unsure = int((memberships.max(axis=1) < SURE).sum())
    method = Method(
        name="Gaussian mixture",
        soft=True,
        shape=f"{_ellipses(model.result_.family)} ({model.result_.family})",
        seconds=seconds,
        seconds_to_choose=seconds_to_choose,
        needs_k=False,
        n_clusters=_n_clusters(labels),
        output=f"{_count(K, 'membership')} for each row that sum to 1, and a density",
        interpretation=f"{_of_rows(unsure, len(Z))} unsure: no component has 90 % of them. BIC compares values of K.",
        unsure_rows=unsure,
        noise_rows=None,
        silhouette=_silhouette(Z, labels, seed),
    )
    return method, labels, K


def _dbscan(Z: Array, seed: int | None) -> tuple[Method, Labels]:
    """DBSCAN by the rule of :func:`compare`."""
    used = _some_rows(len(Z), DBSCAN_ROWS, seed)
    min_samples = max(4, 2 * Z.shape[1])
    eps, seconds_to_choose = _timed(lambda: knee_distance(Z[used], min_samples))
    labels, seconds = _timed(lambda: _dbscan_labels(Z, used, eps, min_samples))
    noise = int((labels == NOISE).sum())
    subsample = (
        f" It ran on {len(used):,} of {len(Z):,} rows; the others followed their nearest core row." if len(used) < len(Z) else ""
    )
    method = Method(
        name="DBSCAN",
        soft=False,
        shape="any shape of about the same density",
        seconds=seconds,
        seconds_to_choose=seconds_to_choose,
        needs_k=False,
        n_clusters=_n_clusters(labels),
        output="one cluster number for each row, or noise",
        interpretation=f"{_of_rows(noise, len(Z))} noise: fewer than {min_samples} rows lie within eps = {eps:.3g} "
        f"standard deviations, and no dense row is that near.{subsample}",
        unsure_rows=None,
        noise_rows=noise,
        silhouette=_silhouette(Z, labels, seed),
    )
    return method, labels


def _dbscan_labels(Z: Array, used: Labels, eps: float, min_samples: int) -> Labels:
    """Clusters of the used rows, then of all: the cluster of the nearest core row within eps, or noise."""
    model = DBSCAN(eps=eps, min_samples=min_samples).fit(Z[used])
    labels = np.full(len(Z), NOISE, dtype=np.intp)
    labels[used] = model.labels_
    others = np.setdiff1d(np.arange(len(Z)), used)
    if len(others) and len(model.core_sample_indices_):
        distance, nearest = NearestNeighbors(n_neighbors=1).fit(model.components_).kneighbors(Z[others])
        found = model.labels_[model.core_sample_indices_][nearest[:, 0]]
        labels[others] = np.where(distance[:, 0] <= eps, found, NOISE)
    return labels


def knee_distance(Z: Array, min_samples: int) -> float:
    """The knee of the sorted distances of the rows ``Z (n,d)`` to their ``min_samples``-th row, each being its own first.

    The knee is the point farthest below the chord from the first to the last distance. Always positive: where it would
    be 0, it is the smallest positive distance, and 1 where all rows are equal.
    """
    count = min(min_samples, len(Z))
    distances, _ = NearestNeighbors(n_neighbors=count).fit(Z).kneighbors(Z)
    curve = np.sort(distances[:, -1])
    chord = np.linspace(curve[0], curve[-1], len(curve))
    eps = float(curve[np.argmax(chord - curve)])
    return eps if eps > 0 else float(min(curve[curve > 0], default=1.0))


# ---- measuring ---------------------------------------------------------------------------------------------------------


def _timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """An answer, and the seconds it took."""
    start = perf_counter()
    answer = work()
    return answer, perf_counter() - start


def _standardised(X: Any) -> Array:
    """Every column about its mean and in its standard deviations, float64 (n,d); a constant column becomes 0."""
    rows = rows_of(GaussianMixture(), X, fitting=True).astype(np.float64)
    spread = rows.std(axis=0)
    return np.asarray((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _some_rows(n: int, most: int, seed: int | None) -> Labels:
    """All row numbers, or ``most`` of them drawn at random, in order."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _n_clusters(labels: Labels) -> int:
    return len(np.unique(labels[labels != NOISE]))


def _silhouette(Z: Array, labels: Labels, seed: int | None) -> float | None:
    """Mean silhouette of rows in clusters; None where it is not defined."""
    inside = np.flatnonzero(labels != NOISE)
    inside = inside[_some_rows(len(inside), SILHOUETTE_ROWS, seed)]
    if not 2 <= _n_clusters(labels[inside]) < len(inside):
        return None
    return float(silhouette_score(Z[inside], labels[inside]))


# ---- words -------------------------------------------------------------------------------------------------------------


def _ellipses(family: str) -> str:
    """The clusters of a family in words; its letters are volume, shape and orientation."""
    volume, shape, orientation = list(family)
    body = "round clusters" if shape == "I" else "ellipses along the axes" if orientation == "I" else "ellipses in any direction"
    letters = (("size", volume), ("form", shape), ("direction", orientation))
    same = [word for word, letter in letters if letter == "E"]
    return (
        f"{body}, all of the same {' and '.join(same)}" if same else f"{body}, each of its own size" + " and form" * (shape == "V")
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _of_rows(count: int, n: int) -> str:
    """The beginning of a sentence about some of the rows."""
    return f"{count:,} of {n:,} rows {'is' if count == 1 else 'are'}"
