"""Starts for EM. Each returns moments, because EM begins with an M-step; none looks at the units of
the columns.

Distances are taken in a standardised space (every column in its standard deviations) or a whitened
one (the whole data made round), so that metres against millimetres never decide a start.

Rows are seen block by block, and what a start makes of a block is gone before the next one comes,
so a start needs no memory to speak of however many rows there are. Two draw from all rows at once:
k-means has them in its space in one piece, and a draw of K rows is the beginning of an order of all
of them, one number each.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.linalg import eigh

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.errors import DataError
from mixtura.base.memory import once_for_each
from mixtura.data.dataset import Dataset
from mixtura.initialise.hierarchy import MOST_MICRO_CLUSTERS, Tree, tree_of
from mixtura.model.covariance import Spherical
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments, Scatter
from mixtura.model.protocols import Block

Space: TypeAlias = Literal["standardised", "whitened"]

ROWS_OF_A_BLOCK = 16384
"""Rows whose responsibilities exist at one time."""

FIRST_LOOK, LONGER = 4, 4
"""Rows per component that are looked at first where K different ones are sought, and by how much
each further look is longer.
"""

FLAT = 1e-10
"""Directions with less than this share of a column's variance are left out of a whitened space."""


LEFT_BY_NONE = 0.4
"""Part of its variance that a direction keeps at least, or one that a round overlooks would be
lost: of 0, 0.2, 0.4 and 1 this left the fewest groups undivided on the corners of a cube."""

LLOYD = 30
LLOYD_TO_THE_END = 300
"""Iterations of k-means in a round at most, since the next one begins anew; and of one that is a
start itself.
"""

FEW = 10_000
"""Rows times clusters up to which SciPy's k-means is the faster one."""


class Initialiser(Protocol):
    """A way to start EM; see the classes below."""

    @property
    def name(self) -> str:
        """What ``init_params`` calls it."""
        ...

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of kind DENSE under some first responsibilities."""
        ...


# ---- starts that draw ----------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomResponsibilities:
    """The lesson's start: every row belongs to the components in random parts."""

    name: str = "random"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Uniform random parts, normalised per row."""
        seed = int(rng.integers(2**63))

        def draw() -> Callable[[int], Array]:
            again = np.random.default_rng(seed)
            return lambda m: _normalised(again.random((m, K)))

        return _moments_of_responsibilities(dataset, K, draw)


@dataclass(frozen=True)
class RandomRows:
    """K rows drawn at random; every row goes to the nearest of them."""

    space: Space = "standardised"
    name: str = "random_from_data"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Rows are drawn by weight, no value twice where that is possible."""
        view, n, weights = (
            TransformedRows(dataset, self.space),
            dataset.source.n_rows,
            _weights(dataset),
        )
        chance = None if weights is None else weights / weights.sum()
        order = rng.choice(
            n, size=n if chance is None else int((chance > 0).sum()), replace=False, p=chance
        )
        return moments_of_partition(dataset, K, view.nearest(_first_distinct(view, order, K)))


@dataclass(frozen=True)
class RandomMeans:
    """K rows drawn at random are the means; all components have one covariance, that of the data in
    K parts of their volume.
    """

    name: str = "random means"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Rows are drawn by weight, no value twice where that is possible."""
        view, weights, n = (
            TransformedRows(dataset, "standardised"),
            _weights(dataset),
            dataset.source.n_rows,
        )
        chance = None if weights is None else weights / weights.sum()
        order = rng.choice(
            n, size=n if chance is None else int((chance > 0).sum()), replace=False, p=chance
        )
        means = dataset.mean + _first_distinct(view, order, K) * np.sqrt(dataset.scale)
        counts = np.full(K, dataset.total / K)
        own = dataset.covariance * K ** (-2.0 / dataset.source.n_features)
        return Moments(
            means, counts, np.zeros_like(means), counts[:, None, None] * own, Scatter.DENSE
        )


@dataclass(frozen=True)
class SmallGroup:
    """K - 1 clusters of k-means, and a small group of rows around a drawn one: where a rare cluster
    may be.
    """

    space: Space = "standardised"
    name: str = "small group"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """The group has from twice the rows that a covariance needs to half of what a component has
        on average.
        """
        view, n, d = (
            TransformedRows(dataset, self.space),
            dataset.source.n_rows,
            dataset.source.n_features,
        )
        Z, weights = view.all(), _weights(dataset)
        fewest = min(2 * (d + 1), max(n // K, 1))
        size = round(np.exp(rng.uniform(np.log(fewest), np.log(max(n / (2 * K), fewest)))))
        seed = Z[rng.choice(n, p=None if weights is None else weights / weights.sum())]
        near = np.argpartition(((Z - seed) ** 2).sum(axis=1), min(size, n - 1))[:size]
        return _with_group(dataset, Z, weights, K, near, rng)


@dataclass(frozen=True)
class SharedValues:
    """The rows that share one value of a column exactly, and K - 1 clusters of k-means of the
    others.

    Zeros, detection limits, a column that is constant in one group: k-means, drawn rows and trees
    miss a plane of them.
    """

    name: str = "shared values"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """The largest such group; DataError where there is none."""
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
    """K rows drawn far from each other (Arthur & Vassilvitskii 2007); every row goes to the nearest
    of them.
    """

    space: Space = "standardised"
    name: str = "k-means++"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """scikit-learn's greedy k-means++ on weighted rows; on few, SciPy's."""
        view = TransformedRows(dataset, self.space)
        if (labels := _k_means_of_few(view.all(), _weights(dataset), K, rng, most=1)) is not None:
            return moments_of_labels(dataset, K, labels)
        from sklearn.cluster import (
            kmeans_plusplus,
        )  # takes long to import, and few rows seldom need it

        seeds, _ = kmeans_plusplus(
            view.all(), K, sample_weight=_weights(dataset), random_state=_seed(rng)
        )
        return moments_of_partition(dataset, K, view.nearest(seeds))


@dataclass(frozen=True)
class KMeansStart:
    """The clusters that k-means ends with."""

    space: Space = "standardised"
    name: str = "kmeans"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """K-means, one start, on weighted rows."""
        return moments_of_labels(
            dataset,
            K,
            _k_means(
                TransformedRows(dataset, self.space).all(),
                _weights(dataset),
                K,
                rng,
                LLOYD_TO_THE_END,
            ),
        )


@dataclass(frozen=True)
class DiscriminantKMeans:
    """K-means, and again in the directions in which its clusters lie apart (Ding & Li 2007,
    Proceedings of ICML, 521-528).

    Among many columns of which a few tell the groups apart, k-means cuts groups along the others.
    Its clusters are further apart in those few all the same, so each round finds them more clearly.
    """

    space: Space = "standardised"
    rounds: int = 5
    name: str = "discriminant k-means"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """One k-means start in each round, on weighted rows."""
        Z, weights = TransformedRows(dataset, self.space).all(), _weights(dataset)
        seen, labels = Z, _k_means(Z, weights, K, rng)
        for _ in range(self.rounds):
            seen = discriminated(Z, labels, weights)
            labels = _k_means(seen, weights, K, rng)
        return moments_of_labels(dataset, K, labels)


def discriminated(Z: Rows, labels: Labels, weights: Array | None = None) -> Rows:
    """Rows in which the scatter within clusters is round, each direction shrunk to the part of its
    variance between them.

    With the total covariance T and that within clusters W, ``T v = s W v``: along v the variance is
    s within a unit of scatter, of which s - 1 are between clusters, so rows are multiplied by
    ``sqrt((s - 1) / s)``, or ``sqrt(LEFT_BY_NONE)`` where that is more.
    """
    z = Z.astype(np.float64)
    own = np.ones(len(z)) if weights is None else weights
    sums = np.stack([np.bincount(labels, own * column) for column in z.T], axis=1)
    counts = np.bincount(labels, own)
    centred = z - (sums / np.maximum(counts, np.finfo(np.float64).tiny)[:, None])[labels]
    total = np.cov(z.T, aweights=own, bias=True).reshape(z.shape[1], -1)
    within = (own[:, None] * centred).T @ centred / own.sum() + FLAT * max(
        float(np.trace(total)), 1.0
    ) * np.eye(z.shape[1])
    ratios, directions = eigh(total, within)
    shrunk = directions * np.sqrt(np.maximum((ratios - 1.0) / ratios, LEFT_BY_NONE))
    return np.asarray((z @ shrunk).astype(Z.dtype, copy=False))


def _k_means(
    Z: Rows, weights: Array | None, K: int, rng: np.random.Generator, most: int = LLOYD
) -> Labels:
    """The clusters that k-means ends with from one start, drawn by k-means++."""
    if (labels := _k_means_of_few(Z, weights, K, rng, LLOYD)) is not None:
        return labels
    from sklearn.cluster import KMeans  # takes long to import, and few rows seldom need it

    return np.asarray(
        KMeans(K, n_init=1, max_iter=most, random_state=_seed(rng))
        .fit(Z, sample_weight=weights)
        .labels_
    )


def _k_means_of_few(
    Z: Rows, weights: Array | None, K: int, rng: np.random.Generator, most: int
) -> Labels | None:
    """The nearest centres (n,) after so many iterations of Lloyd's, the first of which has the
    centres of k-means++.

    SciPy's, where scikit-learn's takes four times as long; it knows no weights, and where it leaves
    a cluster empty there is none.
    """
    if weights is not None or len(Z) * K > FEW:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster
        labels = kmeans2(Z, K, iter=most, minit="++", rng=rng)[1]
    return np.asarray(labels, dtype=np.intp) if np.bincount(labels, minlength=K).all() else None


# ---- a start that neither draws nor is given -----------------------------------------------------


@dataclass(frozen=True)
class Hierarchical:
    """The partition that model-based hierarchical clustering ends with at K clusters; no random
    number is read.

    One tree is grown per dataset, criterion and space, and serves every K and every family. See
    :mod:`mixtura.initialise.hierarchy`.
    """

    criterion: str = "VVV"
    space: str = "SVD"
    most_micro_clusters: int = MOST_MICRO_CLUSTERS
    name: str = "hierarchical"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of the tree's partition; DataError when K exceeds the number of distinct rows."""
        return moments_of_labels(dataset, K, self.tree(dataset).labels(K))

    def tree(self, dataset: Dataset) -> Tree:
        """The tree of a dataset, grown at the first call."""
        return _tree(dataset, self.criterion, self.space, self.most_micro_clusters)


@once_for_each
def _tree(dataset: Dataset, criterion: str, space: str, most_micro_clusters: int) -> Tree:
    """See :meth:`Hierarchical.tree`."""
    X, weights = _all_rows(dataset)
    return tree_of(X, weights, criterion, space, most_micro_clusters)


def _all_rows(dataset: Dataset) -> tuple[Rows, Array | None]:
    """The rows of a source and their weights in one piece, without a copy where they are one
    block.
    """
    blocks = list(dataset.source.blocks())
    if len(blocks) == 1:
        return blocks[0].rows, blocks[0].weights
    rows: Any = np.concatenate([block.rows for block in blocks])
    weights = [block.weights for block in blocks if block.weights is not None]
    return rows, np.concatenate(weights) if weights else None


# ---- starts that are given -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FromLabels:
    """Hard labels ``(n,)`` in 0 .. K-1."""

    labels: Labels
    name: str = "labels"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of exactly this partition."""
        return moments_of_labels(dataset, K, self.labels)


@dataclass(frozen=True, eq=False)
class FromResponsibilities:
    """Soft memberships ``(n,K)``, rows summing to one."""

    responsibilities: Array
    name: str = "responsibilities"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """Moments of exactly these responsibilities."""

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

    centres: Array
    name: str = "means"

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Moments:
        """A centre that attracts no row keeps its place and is given the spread of the whole
        data.
        """
        view = TransformedRows(dataset, "standardised")
        moments = moments_of_partition(dataset, K, view.nearest(view.of(self.centres)))
        empty = moments.counts == 0
        return replace(
            moments,
            about=np.where(empty[:, None], self.centres, moments.about),
            counts=np.where(empty, 1.0, moments.counts),
            second=np.where(empty[:, None, None], dataset.covariance, moments.second),
        )


# ---- moments of responsibilities -----------------------------------------------------------------


def moments_of_labels(dataset: Dataset, K: int, labels: Labels) -> Moments:
    """Moments of a partition that is given, one label per row; a label below zero leaves its row
    out.
    """
    return moments_of_partition(
        dataset, K, lambda part: labels[part.offset : part.offset + len(part.rows)]
    )


def moments_of_partition(dataset: Dataset, K: int, labels_of: Callable[[Block], Labels]) -> Moments:
    """Moments of a partition, about the means of its parts (two passes, so an offset of the data
    costs no digits).
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
    """Moments of soft memberships in two passes; ``read()`` gives a reader of the next m rows'
    memberships.
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


# ---- spaces --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TransformedRows:
    """The rows of a dataset in a space without units, in the precision of the data: those of a
    block, some, or all.
    """

    dataset: Dataset
    space: Space

    def of(self, rows: Rows) -> Rows:
        """Rows (m,d), or points in the units of the data, in the space."""
        z: Any = (rows - self.dataset.mean) / np.sqrt(self.dataset.scale)
        if self.space == "whitened":
            z = z @ self._whitening
        return np.asarray(z.astype(self._precision, copy=False))

    def nearest(self, centres: Rows) -> Callable[[Block], Labels]:
        """What says of each row of a block which of some centres (K,d) in the space is the nearest:
        the first of several.
        """
        K, d = centres.shape
        round_ones = Mixture(
            np.full(K, 1.0 / K), centres.astype(np.float64), Spherical(np.ones(1), K, d)
        )

        def labels_of(part: Block) -> Labels:
            seen = Block(self.of(part.rows), None, 0)
            return np.asarray(self.dataset.backend.log_joint(seen, round_ones).argmax(axis=1))

        return labels_of

    def some(self, numbers: Labels) -> Rows:
        """The rows with these numbers (m,), in the space and in this order."""
        found = np.empty((len(numbers), self.dataset.source.n_features), dtype=self._precision)
        for block in self.dataset.source.blocks():
            here = (numbers >= block.offset) & (numbers < block.offset + len(block.rows))
            found[here] = self.of(block.rows[numbers[here] - block.offset])
        return found

    def all(self) -> Rows:
        """All rows (n,d) in one piece, as scikit-learn wants them."""
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
    """From standardised columns to directions of unit variance (d,d); flat directions are left
    out.
    """
    deviations = np.sqrt(dataset.scale)
    values, vectors = np.linalg.eigh(dataset.covariance / np.outer(deviations, deviations))
    return np.asarray(
        vectors * np.where(values > FLAT, 1.0 / np.sqrt(np.maximum(values, FLAT)), 0.0)
    )


# ---- small pieces --------------------------------------------------------------------------------


def _normalised(parts: Array) -> Array:
    """Rows that sum to one."""
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))


def _seed(rng: np.random.Generator) -> int:
    """A seed for scikit-learn."""
    return int(rng.integers(2**31 - 1))


def _first_distinct(view: TransformedRows, order: Labels, K: int) -> Rows:
    """The first K rows in an order, skipping repeats of earlier ones while other rows are left."""
    chosen: dict[bytes, int] = {}
    begin, size = 0, FIRST_LOOK * K
    while (
        begin < len(order) and len(chosen) < K
    ):  # rows that repeat are many or none, so each look is longer than the last
        numbers = order[begin : begin + size]
        for number, row in zip(numbers, view.some(numbers), strict=True):
            chosen.setdefault(row.tobytes(), int(number))
        begin, size = begin + size, min(LONGER * size, ROWS_OF_A_BLOCK)
    first = list(islice(chosen.values(), K))
    taken = set(first)
    others = (int(i) for i in order if int(i) not in taken)
    return view.some(np.array([*first, *islice(others, K - len(first))]))


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
"""scikit-learn's names, and one of our own."""
