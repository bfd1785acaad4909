"""Starts of EM. Each gives moments, because EM begins with an M-step.

Distances are taken between standardised rows (every column in its standard deviations) or whitened
rows (the covariance of the data is the identity), so the units of the columns change nothing.

Rows are read block by block, so memory does not grow with the number of rows, with two exceptions:
k-means needs all transformed rows in one array, and a draw of K rows permutes all row numbers.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.linalg import eigh

from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.errors import DataError
from mixtura.base.memory import once_for_each
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.distribution.covariance import Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.initialise.hierarchy import MOST_MICRO_CLUSTERS, Tree, tree_of
from mixtura.model.moments import Moments
from mixtura.model.protocols import Block

Space: TypeAlias = Literal["standardised", "whitened"]

ROWS_OF_A_BLOCK = 16384
"""Rows whose responsibilities are in memory at a time."""

ROWS_PER_COMPONENT, GROWTH = 4, 4
"""K different rows are sought among 4 K drawn ones, then among 4 times as many, and so on."""

SMALLEST_EIGENVALUE = 1e-10
"""Eigenvalues of the correlation matrix below this are left out of the whitening; discriminant
k-means adds it to the scatter within clusters, relative to the trace.
"""

LEAST_VARIANCE_KEPT = 0.4
"""Part of its variance that a direction keeps at least in discriminant k-means, or a direction that
one round misses would be lost. Of 0, 0.2, 0.4 and 1 it left the fewest groups undivided on the
corners of a cube (decision 0016).
"""

ROUND_ITERATIONS, START_ITERATIONS = 30, 300
"""Iterations of k-means at most: in a round of discriminant k-means, and for a start itself."""

_FILTERING = threading.Lock()
"""The filters of warnings are of the process: of two threads that change them at once, the second
one would restore those of the first, and hide later warnings.
"""

SCIPY_SIZE = 10_000
"""Rows times clusters up to which SciPy's k-means is faster than scikit-learn's."""


class Initialiser(Protocol):
    """A start of EM; see the classes below."""

    @property
    def name(self) -> str:
        """The name in ``init_params`` and in reports."""
        ...

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of kind DENSE under the first responsibilities."""
        ...


@runtime_checkable
class GivenForRows(Protocol):
    """A start that was given row by row."""

    def take(self, rows: Flags) -> Initialiser:
        """The same for some of the rows (n,)."""
        ...


# ---- random starts -------------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomResponsibilities:
    """Random responsibilities."""

    name: str = "random"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Uniform random numbers, normalised per row."""
        seed = int(rng.integers(2**63))

        def draw() -> Callable[[int], Array]:
            generator = np.random.default_rng(seed)
            return lambda m: _normalised(generator.random((m, K)))

        return _moments_of_responsibilities(dataset, K, draw)


@dataclass(frozen=True)
class RandomRows:
    """K rows drawn at random; every row goes to the nearest of them."""

    space: Space = "standardised"
    name: str = "random_from_data"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Rows are drawn by weight, and with different values as far as possible."""
        rows = TransformedRows(dataset, self.space)
        return moments_of_partition(dataset, K, rows.nearest(_drawn_rows(rows, K, rng)))


@dataclass(frozen=True)
class RandomMeans:
    """K rows drawn at random are the means, with one covariance for all components.

    The covariance is that of the data with a volume K times smaller.
    """

    name: str = "random means"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Rows are drawn by weight, and with different values as far as possible."""
        drawn = _drawn_rows(TransformedRows(dataset, "standardised"), K, rng)
        means = dataset.mean + drawn * np.sqrt(dataset.scale)
        counts = np.full(K, dataset.total / K)
        own = dataset.covariance * K ** (-2.0 / dataset.source.n_features)
        return Moments(
            means, counts, np.zeros_like(means), counts[:, None, None] * own, Scatter.DENSE
        )


def _drawn_rows(rows: TransformedRows, K: int, rng: np.random.Generator) -> Rows:
    """K rows (K,d) drawn by weight, and with different values as far as possible."""
    n, weights = rows.dataset.source.n_rows, _weights(rows.dataset)
    chance = None if weights is None else weights / weights.sum()
    size = n if chance is None else int((chance > 0).sum())
    return _first_distinct(rows, rng.choice(n, size=size, replace=False, p=chance), K)


@dataclass(frozen=True)
class SmallGroup:
    """A small group of rows around a drawn one, and K - 1 clusters of k-means of the others.

    It finds rare clusters.
    """

    space: Space = "standardised"
    name: str = "small group"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """The size is log-uniform between 2 (d + 1) and n / (2 K) rows."""
        n, d = dataset.source.n_rows, dataset.source.n_features
        Z, weights = TransformedRows(dataset, self.space).all(), _weights(dataset)
        fewest = min(2 * (d + 1), max(n // K, 1))
        size = round(np.exp(rng.uniform(np.log(fewest), np.log(max(n / (2 * K), fewest)))))
        seed = Z[rng.choice(n, p=None if weights is None else weights / weights.sum())]
        near = np.argpartition(((Z - seed) ** 2).sum(axis=1), min(size, n - 1))[:size]
        return _with_group(dataset, Z, weights, K, near, rng)


@dataclass(frozen=True)
class SharedValues:
    """The rows that share one value of a column, and K - 1 clusters of k-means of the others.

    Zeros, detection limits, a column that is constant in one group: other starts miss such rows.
    """

    name: str = "shared values"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """The largest such group; DataError if there is none."""
        groups = dataset.shared_values
        if not groups:
            raise DataError("no value is shared by far more rows than any other")
        Z, weights = TransformedRows(dataset, "standardised").all(), _weights(dataset)
        return _with_group(dataset, Z, weights, K, np.flatnonzero(groups[0]), rng)


def _with_group(
    dataset: Dataset,
    Z: Rows,
    weights: Array | None,
    K: int,
    group: Labels,
    rng: np.random.Generator,
) -> Moments:
    """Moments of a group of rows, and of K - 1 clusters of k-means of all others."""
    labels = np.full(len(Z), K - 1, dtype=np.intp)
    others = np.setdiff1d(np.arange(len(Z)), group)
    if len(others) < K - 1:
        raise DataError(f"{len(others)} rows beside a group are too few for {K - 1} components")
    labels[others] = (
        0
        if K == 2
        else _k_means(Z[others], None if weights is None else weights[others], K - 1, rng)
    )
    return moments_of_labels(dataset, K, labels)


@dataclass(frozen=True)
class KMeansPlusPlus:
    """The seeds of k-means++ (Arthur & Vassilvitskii 2007); every row goes to the nearest seed."""

    space: Space = "standardised"
    name: str = "k-means++"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """scikit-learn's greedy k-means++ on weighted rows; SciPy's k-means++ on few rows."""
        rows = TransformedRows(dataset, self.space)
        if (labels := _scipy_k_means(rows.all(), _weights(dataset), K, rng, most=1)) is not None:
            return moments_of_labels(dataset, K, labels)
        from sklearn.cluster import kmeans_plusplus  # takes long to import

        seeds, _ = kmeans_plusplus(
            rows.all(), K, sample_weight=_weights(dataset), random_state=_seed(rng)
        )
        return moments_of_partition(dataset, K, rows.nearest(seeds))


@dataclass(frozen=True)
class KMeansStart:
    """The clusters of k-means."""

    space: Space = "standardised"
    name: str = "kmeans"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """One run of k-means on weighted rows."""
        Z, weights = TransformedRows(dataset, self.space).all(), _weights(dataset)
        return moments_of_labels(dataset, K, _k_means(Z, weights, K, rng, START_ITERATIONS))


@dataclass(frozen=True)
class DiscriminantKMeans:
    """K-means in turns with discriminant analysis (Ding & Li 2007, Proceedings of ICML, 521-528).

    Where only a few of many columns separate the groups, k-means splits groups along the others.
    Its clusters are still further apart in those few, so each round separates them better.
    """

    space: Space = "standardised"
    rounds: int = 5
    name: str = "discriminant k-means"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """One run of k-means in each round, on weighted rows."""
        Z, weights = TransformedRows(dataset, self.space).all(), _weights(dataset)
        labels = _k_means(Z, weights, K, rng)
        for _ in range(self.rounds):
            labels = _k_means(discriminated(Z, labels, weights), weights, K, rng)
        return moments_of_labels(dataset, K, labels)


def discriminated(Z: Rows, labels: Labels, weights: Array | None = None) -> Rows:
    """Discriminant coordinates, each scaled by the part of its variance between clusters.

    With the total covariance T and the covariance W within clusters, ``T v = s W v``: the variance
    along v is s in units of W, and s - 1 of it are between clusters. So rows are multiplied by
    ``sqrt((s - 1) / s)``, or by ``sqrt(LEAST_VARIANCE_KEPT)`` where that is more.
    """
    z = Z.astype(np.float64)
    own = np.ones(len(z)) if weights is None else weights
    sums = np.stack([np.bincount(labels, own * column) for column in z.T], axis=1)
    counts = np.bincount(labels, own)
    centred = z - (sums / np.maximum(counts, np.finfo(np.float64).tiny)[:, None])[labels]
    total = np.cov(z.T, aweights=own, bias=True).reshape(z.shape[1], -1)
    ridge = SMALLEST_EIGENVALUE * max(float(np.trace(total)), 1.0)
    within = (own[:, None] * centred).T @ centred / own.sum() + ridge * np.eye(z.shape[1])
    ratios, directions = eigh(total, within)
    shrunk = directions * np.sqrt(np.maximum((ratios - 1.0) / ratios, LEAST_VARIANCE_KEPT))
    return np.asarray((z @ shrunk).astype(Z.dtype, copy=False))


def _k_means(
    Z: Rows, weights: Array | None, K: int, rng: np.random.Generator, most: int = ROUND_ITERATIONS
) -> Labels:
    """The clusters of one run of k-means, seeded by k-means++."""
    if (labels := _scipy_k_means(Z, weights, K, rng, ROUND_ITERATIONS)) is not None:
        return labels
    from sklearn.cluster import KMeans  # takes long to import

    return np.asarray(
        KMeans(K, n_init=1, max_iter=most, random_state=_seed(rng))
        .fit(Z, sample_weight=weights)
        .labels_
    )


def _scipy_k_means(
    Z: Rows, weights: Array | None, K: int, rng: np.random.Generator, most: int
) -> Labels | None:
    """SciPy's k-means, seeded by k-means++, where it takes a quarter of scikit-learn's time.

    None where rows are many or have weights, and where a cluster is empty.
    """
    if weights is not None or len(Z) * K > SCIPY_SIZE:
        return None
    with _FILTERING, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster
        warnings.simplefilter("ignore", RuntimeWarning)  # fewer distinct rows than seeds
        labels = kmeans2(Z, K, iter=most, minit="++", rng=rng)[1]
    return np.asarray(labels, dtype=np.intp) if np.bincount(labels, minlength=K).all() else None


# ---- hierarchical clustering ---------------------------------------------------------------------


@dataclass(frozen=True)
class Hierarchical:
    """The partition into K clusters by model-based hierarchical clustering; nothing is random.

    One tree per dataset, criterion and space serves every K and every family. See
    :mod:`mixtura.initialise.hierarchy`.
    """

    criterion: str = "VVV"
    space: str = "SVD"
    most_micro_clusters: int = MOST_MICRO_CLUSTERS
    name: str = "hierarchical"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of the tree's partition; DataError if K exceeds the number of distinct rows."""
        return moments_of_labels(dataset, K, self.tree(dataset).labels(K))

    def tree(self, dataset: Dataset) -> Tree:
        """The tree of a dataset, computed at the first call."""
        return _tree(dataset, self.criterion, self.space, self.most_micro_clusters)


@once_for_each
def _tree(dataset: Dataset, criterion: str, space: str, most_micro_clusters: int) -> Tree:
    """See :meth:`Hierarchical.tree`."""
    X, weights = _all_rows(dataset)
    return tree_of(X, weights, criterion, space, most_micro_clusters)


def _all_rows(dataset: Dataset) -> tuple[Rows, Array | None]:
    """All rows and their weights as arrays, not copied if they are one block."""
    blocks = list(dataset.source.blocks())
    if len(blocks) == 1:
        return blocks[0].rows, blocks[0].weights
    rows: Any = np.concatenate([block.rows for block in blocks])
    weights = [block.weights for block in blocks if block.weights is not None]
    return rows, np.concatenate(weights) if weights else None


# ---- given starts --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FromLabels:
    """Hard labels ``(n,)`` in 0 .. K-1."""

    labels: Labels
    name: str = "labels"

    def take(self, rows: Flags) -> FromLabels:
        """The labels of some rows."""
        return replace(self, labels=self.labels[rows])

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of this partition."""
        return moments_of_labels(dataset, K, self.labels)


@dataclass(frozen=True, eq=False)
class FromResponsibilities:
    """Soft memberships ``(n,K)``, rows summing to one."""

    responsibilities: Array
    name: str = "responsibilities"

    def take(self, rows: Flags) -> FromResponsibilities:
        """The memberships of some rows."""
        return replace(self, responsibilities=self.responsibilities[rows])

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of these responsibilities."""

        def read() -> Callable[[int], Array]:
            offset = 0

            def following(m: int) -> Array:
                nonlocal offset
                offset += m
                return np.asarray(self.responsibilities[offset - m : offset], dtype=np.float64)

            return following

        return _moments_of_responsibilities(dataset, K, read)


@dataclass(frozen=True, eq=False)
class FromMeans:
    """Means ``(K,d)`` in the units of the data; every row goes to the nearest of them."""

    means: Array
    name: str = "means"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """A mean to which no row is nearest is kept, with the covariance of the whole data."""
        rows = TransformedRows(dataset, "standardised")
        moments = moments_of_partition(dataset, K, rows.nearest(rows.of(self.means)))
        empty = moments.counts == 0
        return replace(
            moments,
            about=np.where(empty[:, None], self.means, moments.about),
            counts=np.where(empty, 1.0, moments.counts),
            second=np.where(empty[:, None, None], dataset.covariance, moments.second),
        )


# ---- moments of responsibilities -----------------------------------------------------------------


def moments_of_labels(dataset: Dataset, K: int, labels: Labels) -> Moments:
    """Moments of a partition by its labels (n,); rows with a label below zero are left out."""
    return moments_of_partition(
        dataset, K, lambda part: labels[part.offset : part.offset + len(part.rows)]
    )


def moments_of_partition(dataset: Dataset, K: int, labels_of: Callable[[Block], Labels]) -> Moments:
    """Moments of a partition about the means of its clusters.

    There are two passes, so that an offset of the data costs no digits.
    """
    about = np.repeat(dataset.mean[None], K, axis=0)
    for kind in (Scatter.TRACE, Scatter.DENSE):
        moments = Moments.zeros(about, kind)
        for block in dataset.source.blocks():
            for part in block.cut(ROWS_OF_A_BLOCK):
                moments = moments + Moments.of_labels(
                    part.rows, labels_of(part), part.weights, about, kind
                )
        about = moments.means
    return moments


def _moments_of_responsibilities(
    dataset: Dataset, K: int, read: Callable[[], Callable[[int], Array]]
) -> Moments:
    """Moments of responsibilities in two passes.

    ``read()`` gives a function that reads the responsibilities of the next m rows.
    """
    about = np.repeat(dataset.mean[None], K, axis=0)
    for kind in (Scatter.TRACE, Scatter.DENSE):
        following = read()
        moments = Moments.zeros(about, kind)
        for block in dataset.source.blocks():
            for part in block.cut(ROWS_OF_A_BLOCK):
                moments = moments + Moments.of(
                    part.rows, part.weighted(following(len(part.rows))), about, kind
                )
        about = moments.means
    return moments


# ---- transformed rows ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TransformedRows:
    """Standardised or whitened rows of a dataset, in the precision of the data."""

    dataset: Dataset
    space: Space

    def of(self, rows: Rows) -> Rows:
        """The transform of rows (m,d) in the units of the data."""
        z: Any = (rows - self.dataset.mean) / np.sqrt(self.dataset.scale)
        if self.space == "whitened":
            z = z @ self._whitening
        return np.asarray(z.astype(self._precision, copy=False))

    def nearest(self, centres: Rows) -> Callable[[Block], Labels]:
        """A function that gives the nearest of some transformed centres (K,d) for a block."""
        K, d = centres.shape
        spherical = Mixture(
            np.full(K, 1.0 / K), centres.astype(np.float64), Spherical(np.ones(1), K, d)
        )

        def labels_of(part: Block) -> Labels:
            transformed = Block(self.of(part.rows), None, 0)
            return np.asarray(self.dataset.backend.log_joint(transformed, spherical).argmax(axis=1))

        return labels_of

    def some(self, numbers: Labels) -> Rows:
        """The transformed rows with these numbers (m,), in this order."""
        found = np.empty((len(numbers), self.dataset.source.n_features), dtype=self._precision)
        for block in self.dataset.source.blocks():
            here = (numbers >= block.offset) & (numbers < block.offset + len(block.rows))
            found[here] = self.of(block.rows[numbers[here] - block.offset])
        return found

    def all(self) -> Rows:
        """All transformed rows (n,d) as one array, for scikit-learn."""
        Z: Any = np.empty(
            (self.dataset.source.n_rows, self.dataset.source.n_features), dtype=self._precision
        )
        for block in self.dataset.source.blocks():
            for part in block.cut(ROWS_OF_A_BLOCK):
                Z[part.offset : part.offset + len(part.rows)] = self.of(part.rows)
        return np.asarray(Z)

    @cached_property
    def _precision(self) -> np.dtype[Any]:
        return next(self.dataset.source.blocks()).rows.dtype

    @cached_property
    def _whitening(self) -> Array:
        return _whitening(self.dataset)


def _weights(dataset: Dataset) -> Array | None:
    """The weights of all rows (n,), or None for ones."""
    weights = [block.weights for block in dataset.source.blocks() if block.weights is not None]
    return None if not weights else weights[0] if len(weights) == 1 else np.concatenate(weights)


def _whitening(dataset: Dataset) -> Array:
    """The whitening of standardised columns (d,d), without directions of variance near zero."""
    deviations = np.sqrt(dataset.scale)
    values, vectors = np.linalg.eigh(dataset.covariance / np.outer(deviations, deviations))
    positive = 1.0 / np.sqrt(np.maximum(values, SMALLEST_EIGENVALUE))
    return np.asarray(vectors * np.where(values > SMALLEST_EIGENVALUE, positive, 0.0))


# ---- small pieces --------------------------------------------------------------------------------


def _normalised(responsibilities: Array) -> Array:
    """Rows that sum to one."""
    return np.asarray(responsibilities / responsibilities.sum(axis=1, keepdims=True))


def _seed(rng: np.random.Generator) -> int:
    """A seed for scikit-learn."""
    return int(rng.integers(2**31 - 1))


def _first_distinct(rows: TransformedRows, order: Labels, K: int) -> Rows:
    """The first K distinct rows in an order, and repeated ones where there are no more."""
    chosen: dict[bytes, int] = {}
    begin, size = 0, ROWS_PER_COMPONENT * K
    while begin < len(order) and len(chosen) < K:
        numbers = order[begin : begin + size]
        for number, row in zip(numbers, rows.some(numbers), strict=True):
            chosen.setdefault(row.tobytes(), int(number))
        begin, size = begin + size, min(GROWTH * size, ROWS_OF_A_BLOCK)
    first = list(islice(chosen.values(), K))
    taken = set(first)
    others = (int(i) for i in order if int(i) not in taken)
    return rows.some(np.array([*first, *islice(others, K - len(first))]))


BY_NAME: dict[str, Initialiser] = {
    start.name: start
    for start in (
        RandomResponsibilities(),
        RandomRows(),
        KMeansPlusPlus(),
        KMeansStart(),
        Hierarchical(),
    )
}
"""Initialisers by their name in ``init_params``: scikit-learn's, and ``hierarchical``."""
