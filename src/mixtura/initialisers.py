"""Starts for EM. Each returns moments, because EM begins with an M-step; none looks at the units of the columns.

Distances are taken in a standardised space (every column in its standard deviations) or a whitened one (the whole data
made round), so that metres against millimetres never decide a start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin

from mixtura.arrays import Array, Labels, Rows
from mixtura.hierarchy import MOST_CELLS, Tree, tree_of
from mixtura.moments import Moments, Scatter
from mixtura.survey import Survey

Space: TypeAlias = Literal["standardised", "whitened"]

ROWS_AT_ONCE = 16384
"""Rows whose responsibilities exist at one time."""

FLAT = 1e-10
"""Directions with less than this share of a column's variance are left out of a whitened space."""


class Initialiser(Protocol):
    """A way to start EM; see the classes below."""

    @property
    def name(self) -> str:
        """What ``init_params`` calls it."""
        ...

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """Moments of kind DENSE under some first responsibilities."""
        ...


# ---- starts that draw ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomResponsibilities:
    """The lesson's start: every row belongs to the components in random parts."""

    name: str = "random"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """Uniform random parts, normalised per row."""
        seed = int(rng.integers(2**63))

        def draw() -> Callable[[int], Array]:
            again = np.random.default_rng(seed)
            return lambda m: _normalised(again.random((m, K)))

        return _moments_of_responsibilities(survey, K, draw)


@dataclass(frozen=True)
class RandomRows:
    """K rows drawn at random; every row goes to the nearest of them."""

    space: Space = "standardised"
    name: str = "random_from_data"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """Rows are drawn by weight, no value twice where that is possible."""
        Z, weights = _rows_in(survey, self.space)
        chance = None if weights is None else weights / weights.sum()
        order = rng.choice(len(Z), size=len(Z) if chance is None else int((chance > 0).sum()), replace=False, p=chance)
        return moments_of_labels(survey, K, pairwise_distances_argmin(Z, _first_distinct(Z, order, K)))


@dataclass(frozen=True)
class KMeansPlusPlus:
    """K rows drawn far from each other (Arthur & Vassilvitskii 2007); every row goes to the nearest of them."""

    space: Space = "standardised"
    name: str = "k-means++"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """scikit-learn's greedy k-means++ on weighted rows."""
        Z, weights = _rows_in(survey, self.space)
        seeds, _ = kmeans_plusplus(Z, K, sample_weight=weights, random_state=_seed(rng))
        return moments_of_labels(survey, K, pairwise_distances_argmin(Z, seeds))


@dataclass(frozen=True)
class KMeansStart:
    """The clusters that k-means ends with."""

    space: Space = "standardised"
    name: str = "kmeans"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """scikit-learn's k-means, one start, on weighted rows."""
        Z, weights = _rows_in(survey, self.space)
        means = KMeans(K, n_init=1, random_state=_seed(rng), copy_x=False)
        return moments_of_labels(survey, K, means.fit(Z, sample_weight=weights).labels_)


# ---- a start that neither draws nor is given -----------------------------------------------------------------------


@dataclass(frozen=True)
class Hierarchical:
    """The partition that model-based hierarchical clustering ends with at K clusters; no random number is read.

    One tree is grown per survey, criterion and space, and serves every K and every family. See :mod:`mixtura.hierarchy`.
    """

    criterion: str = "VVV"
    space: str = "SVD"
    most_cells: int = MOST_CELLS
    name: str = "hierarchical"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """Moments of the tree's partition; DataError when K exceeds the number of distinct rows."""
        return moments_of_labels(survey, K, self.tree(survey).labels(K))

    def tree(self, survey: Survey) -> Tree:
        """The tree of a survey, grown at the first call."""

        def grow() -> Tree:
            X, weights = _all_rows(survey)
            return tree_of(X, weights, self.criterion, self.space, self.most_cells)

        tree: Tree = survey.once(("hierarchy", self.criterion, self.space, self.most_cells), grow)
        return tree


def _all_rows(survey: Survey) -> tuple[Rows, Array | None]:
    """The rows of a source and their weights in one piece, without a copy where they are one block."""
    blocks = list(survey.source.blocks())
    if len(blocks) == 1:
        return blocks[0].rows, blocks[0].weights
    rows: Any = np.concatenate([block.rows for block in blocks])
    weights = [block.weights for block in blocks if block.weights is not None]
    return rows, np.concatenate(weights) if weights else None


# ---- starts that are given -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FromLabels:
    """Hard labels ``(n,)`` in 0 .. K-1."""

    labels: Labels
    name: str = "labels"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """Moments of exactly this partition."""
        return moments_of_labels(survey, K, self.labels)


@dataclass(frozen=True, eq=False)
class FromResponsibilities:
    """Soft memberships ``(n,K)``, rows summing to one."""

    responsibilities: Array
    name: str = "responsibilities"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """Moments of exactly these responsibilities."""

        def read() -> Callable[[int], Array]:
            offset = 0

            def following(m: int) -> Array:
                nonlocal offset
                offset += m
                return np.asarray(self.responsibilities[offset - m : offset], dtype=np.float64)

            return following

        return _moments_of_responsibilities(survey, K, read)


@dataclass(frozen=True, eq=False)
class FromCentres:
    """Means ``(K,d)`` in the units of the data; every row goes to the nearest of them."""

    centres: Array
    name: str = "means"

    def __call__(self, survey: Survey, K: int, rng: np.random.Generator) -> Moments:
        """A centre that attracts no row keeps its place and is given the spread of the whole data."""
        Z, _ = _rows_in(survey, "standardised")
        centres = (self.centres - survey.mean) / np.sqrt(survey.scale)
        moments = moments_of_labels(survey, K, pairwise_distances_argmin(Z, centres.astype(Z.dtype)))
        empty = moments.counts == 0
        return replace(
            moments,
            about=np.where(empty[:, None], self.centres, moments.about),
            counts=np.where(empty, 1.0, moments.counts),
            second=np.where(empty[:, None, None], survey.covariance, moments.second),
        )


# ---- moments of responsibilities -----------------------------------------------------------------------------------


def moments_of_labels(survey: Survey, K: int, labels: Labels) -> Moments:
    """Moments of a partition, about the means of its parts (two passes, so an offset of the data costs no digits)."""
    about = np.repeat(survey.mean[None], K, axis=0)
    for kind in (Scatter.TRACE, Scatter.DENSE):
        moments = Moments.zeros(about, kind)
        for block in survey.source.blocks():
            for part in block.cut(ROWS_AT_ONCE):
                mine = labels[part.offset : part.offset + len(part.rows)]
                moments = moments + Moments.of_labels(part.rows, mine, part.weights, about, kind)
        about = moments.means
    return moments


def _moments_of_responsibilities(survey: Survey, K: int, read: Callable[[], Callable[[int], Array]]) -> Moments:
    """Moments of soft memberships in two passes; ``read()`` gives a reader of the next m rows' memberships."""
    about = np.repeat(survey.mean[None], K, axis=0)
    for kind in (Scatter.TRACE, Scatter.DENSE):
        following = read()
        moments = Moments.zeros(about, kind)
        for block in survey.source.blocks():
            for part in block.cut(ROWS_AT_ONCE):
                moments = moments + Moments.of(part.rows, part.weighted(following(len(part.rows))), about, kind)
        about = moments.means
    return moments


# ---- spaces --------------------------------------------------------------------------------------------------------


def _rows_in(survey: Survey, space: Space) -> tuple[Rows, Array | None]:
    """All rows in a space without units, in the precision of the data, and their weights."""
    dtype = next(survey.source.blocks()).rows.dtype
    Z: Any = np.empty((survey.source.n_rows, survey.source.n_features), dtype=dtype)
    weights: list[Array] = []
    map_ = _whitening(survey) if space == "whitened" else None
    deviations = np.sqrt(survey.scale)
    for block in survey.source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            z = (part.rows - survey.mean) / deviations
            Z[part.offset : part.offset + len(z)] = z if map_ is None else z @ map_
            if part.weights is not None:
                weights.append(part.weights)
    return Z, np.concatenate(weights) if weights else None


def _whitening(survey: Survey) -> Array:
    """From standardised columns to directions of unit variance (d,d); flat directions are left out."""
    deviations = np.sqrt(survey.scale)
    values, vectors = np.linalg.eigh(survey.covariance / np.outer(deviations, deviations))
    return np.asarray(vectors * np.where(values > FLAT, 1.0 / np.sqrt(np.maximum(values, FLAT)), 0.0))


# ---- small pieces --------------------------------------------------------------------------------------------------


def _normalised(parts: Array) -> Array:
    """Rows that sum to one."""
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))


def _seed(rng: np.random.Generator) -> int:
    """A seed for scikit-learn."""
    return int(rng.integers(2**31 - 1))


def _first_distinct(Z: Rows, order: Labels, K: int) -> Rows:
    """The first K rows in an order, skipping repeats of earlier ones while other rows are left."""
    chosen: dict[bytes, int] = {}
    for i in order:
        chosen.setdefault(Z[i].tobytes(), int(i))
        if len(chosen) == K:
            return Z[list(chosen.values())]
    repeats = [int(i) for i in order if int(i) not in set(chosen.values())]
    return Z[[*chosen.values(), *repeats[: K - len(chosen)]]]


BY_NAME: dict[str, Initialiser] = {
    start.name: start for start in (RandomResponsibilities(), RandomRows(), KMeansPlusPlus(), KMeansStart(), Hierarchical())
}
"""scikit-learn's names, and one of our own."""
