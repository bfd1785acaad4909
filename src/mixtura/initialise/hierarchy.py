"""Model-based hierarchical clustering: rows are merged greedily under a Gaussian criterion.

Banfield & Raftery (1993, Biometrics 49:803-821) cluster by the classification likelihood; Fraley
(1998, SIAM Journal on Scientific Computing 20:270-281) gives the greedy algorithms. For clusters
with counts ``n_k`` and scatters ``W_k`` about their means, ``N = sum n_k``, ``W = sum W_k``, and
``t`` the variance of all rows averaged over the d coordinates, each step is the merge that raises
the criterion least:

=====  ====================================================  ==========================
EII    ``tr W`` (Ward's)                                     round clusters of one size
VII    ``sum n_k log((tr W_k + t) / n_k)``                   round clusters
EEE    ``det(W / N) + tr(W / N)``                            ellipsoids of one shape
VVV    ``sum n_k log(det(W_k / n_k) + (tr W_k + t) / n_k)``  ellipsoids
=====  ====================================================  ==========================

The traces beside the determinants, and ``t``, keep the criteria finite for clusters whose scatter
is singular (decision 0005, also on ties). In one dimension EEE is EII, and VVV is VII.

One tree serves every number of clusters. Equal rows are merged first. Up to ``EXACT_ROWS`` distinct
rows are merged one by one (fewer in many dimensions); more are first gathered in
:mod:`mixtura.data.micro_clusters`. Nothing is random, and the order of the rows does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.errors import DataError
from mixtura.base.masked import refuse_masked
from mixtura.base.underflow import ignore_underflow
from mixtura.data.micro_clusters import micro_clusters
from mixtura.data.transforms import transform_named, transformed
from mixtura.kernels import built, either, native

MERGE_CRITERIA = {"EII": "EII", "VII": "VII", "EEE": "EEE", "VVV": "VVV", "E": "EII", "V": "VII"}
"""Criteria by name; E and V are mclust's names of EII and VII in one dimension."""

EXACT_ROWS = 3000
"""Distinct rows up to which every distinct row is an item."""

MOST_MICRO_CLUSTERS = 2000
"""Micro-clusters that are the items of more rows."""

EXACT_WORK, MICRO_CLUSTER_WORK, FEWEST_ITEMS = 4e10, 4e9, 300
"""Bounds of the multiplications of all pairs, for rows and for micro-clusters as items. Where a
pair costs many (VVV: d^3/3), there are fewer items, but at least 300.
"""

ITEMS_WITHOUT_COMPILER = 500
"""Bound of the items of both kinds where NumPy merges them."""

FLAT_PIVOT = 1.4e-14
"""A pivot below this share of its diagonal is rounding: the determinant is 0."""

TIE, TIE_OF_LOGS = 1e-10, 1e-14
"""Costs that differ by less than this part are equal: of EII and EEE; of VII and VVV, beside the
logarithms that they are differences of.
"""

LARGEST_UNIT = 1e150
"""Bound of ``t^(d-1)``, the unit of the determinant, far from overflow."""


# ---- the tree ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tree:
    """The merges from single items to one cluster.

    Attributes
    ----------
    merges : (m - 1, 2)
        The two clusters merged at each stage, each named by its lowest item; the lower first.
    costs : (m - 1,)
        The rise of the criterion by each merge, in the units of the space (squared for EII).
    items : (n,)
        The item of each row: a distinct row, or a micro-cluster where there are more than
        ``EXACT_ROWS`` of them; -1 for a row of weight 0.
    criterion, space : str
        Full names.
    exact : bool
        Whether every distinct row is an item.
    """

    merges: Labels
    costs: Array
    items: Labels
    criterion: str
    space: str
    exact: bool = True

    @property
    def n_items(self) -> int:
        """m."""
        return len(self.costs) + 1

    def labels(self, K: int) -> Labels:
        """The partition into K clusters (n,), numbered by first appearance; -1 for weight 0."""
        if not 1 <= K <= self.n_items:
            items = "distinct rows" if self.exact else "micro-clusters"
            raise DataError(
                f"the tree has {self.n_items} {items}, but {K} clusters were asked for. Ask for 1 "
                f"to {self.n_items}."
            )
        root = np.arange(self.n_items)
        for a, b in self.merges[: self.n_items - K][::-1]:
            root[b] = root[a]
        clusters, first = np.unique(root), np.full(self.n_items, len(self.items))
        np.minimum.at(first, root, self._first_rows)
        number = np.full(self.n_items + 1, -1)
        number[clusters[np.argsort(first[clusters])]] = np.arange(K)
        return np.append(number[root], -1)[self.items]

    @cached_property
    def _first_rows(self) -> Labels:
        """The first row of each item (m,)."""
        present = np.flatnonzero(self.items >= 0)
        return present[np.unique(self.items[present], return_index=True)[1]]


@ignore_underflow
def hierarchical(
    X: Any, criterion: str = "VVV", space: str = "SVD", sample_weight: Any = None
) -> Tree:
    """Model-based hierarchical clustering: one tree for every number of clusters.

    Parameters
    ----------
    X : array-like (n, d)
        Rows.
    criterion : {"EII", "VII", "EEE", "VVV"}
        The criterion that merges raise least: see :mod:`mixtura.initialise.hierarchy`. ``"E"`` and
        ``"V"`` are EII and VII.
    space : {"VARS", "STD", "SPH", "PCS", "PCR", "SVD"}
        The transform of the rows: see :mod:`mixtura.data.transforms`, also for full names.
    sample_weight : array-like (n,) or None
        Frequencies: a weight of 2 is a repeated row. A common factor of all weights changes
        nothing.

    Returns
    -------
    Tree
        ``tree.labels(K)`` is the partition into K clusters.

    Raises
    ------
    DataError
        When every row has weight 0; by ``labels``, for more clusters than distinct rows.

    Examples
    --------
    >>> import mixtura
    >>> tree = mixtura.hierarchical([[0.0, 0.1], [0.2, 0.0], [5.0, 5.1], [5.2, 5.0], [9.0, 0.0]])
    >>> tree.labels(3).tolist()
    [0, 0, 1, 1, 2]
    """
    refuse_masked("X", X)
    refuse_masked("sample_weight", sample_weight)
    from sklearn.utils import check_array  # takes long to import

    rows: Rows = check_array(X, dtype=[np.float64, np.float32])
    if sample_weight is None:
        return tree_of(rows, None, criterion, space)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (len(rows),):
        raise ValueError(
            f"sample_weight must have one entry for each of the {len(rows)} rows of X, but has "
            f"shape {weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("sample_weight must be finite and at least 0. Use 0 to leave a row out.")
    return tree_of(rows, weights, criterion, space)


def tree_of(
    X: Rows,
    weights: Array | None,
    criterion: str,
    space: str,
    most_micro_clusters: int = MOST_MICRO_CLUSTERS,
) -> Tree:
    """The tree of checked rows (n,d) with weights (n,) or None."""
    if criterion not in MERGE_CRITERIA:
        known = ", ".join(MERGE_CRITERIA)
        raise ValueError(f"criterion={criterion!r} is not known. Use one of {known}.")
    criterion, space = MERGE_CRITERIA[criterion], transform_named(space)
    if weights is not None and not weights.all():
        return _of_positive_weight(X, weights, criterion, space, most_micro_clusters)
    most = min(exact_rows_for(X.shape[1], criterion), 2 * most_micro_clusters)
    first, item_of_row = _distinct(X, most)
    counts = np.bincount(item_of_row, weights, minlength=len(first)).astype(np.float64)
    counts /= np.partition(counts, (len(counts) - 1) // 2)[(len(counts) - 1) // 2]
    Z = transformed(space, X[first], counts)
    if len(first) <= most:
        merges, costs = merged(counts, Z, None, criterion)
        return Tree(merges, costs, item_of_row, criterion, space)
    made = micro_clusters(
        Z, counts, min(most_micro_clusters, micro_clusters_for(Z.shape[1], criterion))
    )
    merges, costs = merged(made.counts, made.means, made.scatters, criterion)
    return Tree(merges, costs, made.labels[item_of_row], criterion, space, exact=False)


def _of_positive_weight(
    X: Rows, weights: Array, criterion: str, space: str, most_micro_clusters: int
) -> Tree:
    """The tree of the rows with positive weight; the others belong to no item."""
    present: Flags = weights > 0
    if not present.any():
        raise DataError("every row has weight 0. Give at least one row a positive sample_weight.")
    tree = tree_of(X[present], weights[present], criterion, space, most_micro_clusters)
    items = np.full(len(X), -1, dtype=np.intp)
    items[present] = tree.items
    return Tree(tree.merges, tree.costs, items, criterion, space, tree.exact)


def exact_rows_for(d: int, criterion: str) -> int:
    """Most distinct rows that are items: for VVV ``EXACT_ROWS`` up to d = 22, then fewer."""
    return _most_items(EXACT_WORK, EXACT_ROWS, d, criterion)


def micro_clusters_for(d: int, criterion: str) -> int:
    """Most micro-clusters: for VVV ``MOST_MICRO_CLUSTERS`` up to d = 13, then fewer."""
    return _most_items(MICRO_CLUSTER_WORK, MOST_MICRO_CLUSTERS, d, criterion)


def _most_items(work: float, most: int, d: int, criterion: str) -> int:
    if not built:
        return ITEMS_WITHOUT_COMPILER
    per_pair = d**3 / 3 + d**2 if criterion == "VVV" else 2 * d**2
    return int(np.clip(np.sqrt(work / per_pair), FEWEST_ITEMS, most))


def _distinct(X: Rows, most: int) -> tuple[Labels, Labels]:
    """The first of each distinct row, in lexicographic order, and the index of each row (n,) there.

    More than ``most`` rows with a column that never repeats a value are left in their order.
    """
    n = len(X)
    if n > most and any((np.diff(np.sort(column)) > 0).all() for column in X.T):
        return np.arange(n), np.arange(n)
    order = np.lexsort(X.T[::-1])
    new = np.zeros(n, dtype=bool)
    new[0] = True
    for column in X.T:
        ordered = column[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    place = np.empty(n, dtype=np.intp)
    place[order] = np.cumsum(new) - 1
    return order[new], place


# ---- merging -------------------------------------------------------------------------------------


def merged(
    counts: Array,
    means: Array,
    scatters: Array | None,
    criterion: str,
    *,
    shrink: float = 1.0,
    agglomerate: Agglomeration | None = None,
) -> tuple[Labels, Array]:
    """Merges (m-1,2) and costs (m-1,) of items: counts (m,), means (m,d), scatters (m,d,d) or None.

    ``shrink`` is Fraley's alpha, the factor of ``t``. Items are scaled so that ``t`` is one;
    ``units = t^(d-1)`` then keeps the weight of the determinant in the criterion.
    """
    m, d = means.shape
    if m == 1 or d == 0:
        return np.array([(0, i) for i in range(1, m)], dtype=np.intp).reshape(-1, 2), np.zeros(
            m - 1
        )
    if d == 1:
        criterion = {"EEE": "EII", "VVV": "VII"}.get(criterion, criterion)
    t = _mean_variance(counts, means, scatters)
    scaled = np.ascontiguousarray((means - counts @ means / counts.sum()) / np.sqrt(t))
    inner = None if scatters is None else np.ascontiguousarray(scatters / t)
    units = float(np.exp(min((d - 1) * np.log(t), np.log(LARGEST_UNIT))))
    merges, costs = (agglomerate or _agglomerate)(counts, scaled, inner, criterion, shrink, units)
    return merges.astype(np.intp, copy=False), costs * t if criterion in ("EII", "EEE") else costs


def _mean_variance(counts: Array, means: Array, scatters: Array | None) -> float:
    """Variance of the whole data, averaged over the coordinates."""
    N, d = counts.sum(), means.shape[1]
    inner = 0.0 if scatters is None else float(np.trace(scatters, axis1=1, axis2=2).sum())
    return (float(counts @ ((means - counts @ means / N) ** 2).sum(axis=1)) + inner) / float(N * d)


Agglomeration: TypeAlias = Callable[
    [Array, Array, Array | None, str, float, float], tuple[NDArray[np.int64], Array]
]
"""Merges and costs from counts, means, scatters, criterion, ``shrink`` and ``units``."""


def in_cpp(
    counts: Array,
    means: Array,
    scatters: Array | None,
    criterion: str,
    shrink: float,
    units: float,
) -> tuple[NDArray[np.int64], Array]:
    """The same merges as :func:`in_numpy`, without a matrix of all costs."""
    m = len(counts)
    merges, costs = np.empty((m - 1, 2), dtype=np.int64), np.empty(m - 1)
    native.agglomerate(
        np.ascontiguousarray(counts),
        means,
        scatters,
        criterion,
        shrink,
        units,
        FLAT_PIVOT,
        TIE,
        TIE_OF_LOGS,
        merges,
        costs,
    )
    return merges, costs


def in_numpy(
    counts: Array,
    means: Array,
    scatters: Array | None,
    criterion: str,
    shrink: float,
    units: float,
) -> tuple[NDArray[np.int64], Array]:
    """See :class:`_Reference`."""
    return _Reference(counts, means, scatters, criterion, shrink, units).run()


_agglomerate = either(in_cpp, in_numpy)


class _Reference:
    """The reference implementation: a matrix of the costs of all pairs."""

    def __init__(
        self,
        counts: Array,
        means: Array,
        scatters: Array | None,
        criterion: str,
        shrink: float,
        units: float,
    ) -> None:
        m, d = means.shape
        self.n, self.means, self.N = counts.copy(), means.copy(), counts.sum()
        self.W = np.zeros((m, d, d)) if scatters is None else scatters.copy()
        self.rank = np.full(m, 0 if scatters is None else d)
        self.criterion, self.shrink, self.units = criterion, shrink, units

    def run(self) -> tuple[NDArray[np.int64], Array]:
        """Merges and costs."""
        m = len(self.n)
        alive = np.ones(m, dtype=bool)
        cost = np.full((m, m), np.inf)
        for i in range(m):
            cost[i, :i] = self.costs(i, np.arange(i))
        merges, costs = np.empty((m - 1, 2), dtype=np.int64), np.empty(m - 1)
        for stage in range(m - 1):
            i, j = self._cheapest(cost)
            merges[stage], costs[stage] = (j, i), cost[i, j]
            self._merge(j, i)
            alive[i] = False
            cost[i, :], cost[:, i] = np.inf, np.inf
            for k in np.flatnonzero(alive).tolist() if self.criterion == "EEE" else [j]:
                others = np.flatnonzero(alive & (np.arange(m) != k))
                cost[np.maximum(k, others), np.minimum(k, others)] = self.costs(k, others)
        return merges, costs

    def costs(self, i: int, others: Labels) -> Array:
        """The rise of the criterion when cluster i is merged with each of the others."""
        n = self.n[i] + self.n[others]
        v = self.means[others] - self.means[i]
        gain = (self.n[i] * self.n[others] / n)[:, None, None] * v[:, :, None] * v[:, None, :]
        if self.criterion == "EII":
            return _trace(gain)
        if self.criterion == "EEE":
            pooled = self.W.sum(axis=0)
            metric = self.units * adjugate(pooled / self.N) + np.eye(len(pooled))
            return np.asarray(np.einsum("kij,ij->k", gain, metric) / self.N)
        rank = self.rank[i] + self.rank[others] + 1
        after = self.part(n, self.W[i] + self.W[others] + gain, rank)
        before = [self.part(self.n[k], self.W[k], self.rank[k]) for k in (others, [i])]
        return np.asarray(after - before[0] - before[1])

    def part(self, n: Array, W: Array, rank: Labels) -> Array:
        """The terms of clusters in VII or VVV (k,); the determinant of a deficient rank is 0."""
        det = (
            np.where(rank < W.shape[1], 0.0, determinant(W / n[:, None, None]))
            if self.criterion == "VVV"
            else 0.0
        )
        return np.asarray(n * np.log(self.units * det + (_trace(W) + self.shrink) / n))

    def _merge(self, a: int, b: int) -> None:
        """Merge cluster b into a."""
        n = self.n[a] + self.n[b]
        v = self.means[b] - self.means[a]
        self.W[a] += self.W[b] + self.n[a] * self.n[b] / n * np.outer(v, v)
        self.W[b] = 0.0
        self.means[a] = (self.n[a] * self.means[a] + self.n[b] * self.means[b]) / n
        self.rank[a] = min(self.rank[a] + self.rank[b] + 1, len(v))
        self.n[a] = n

    def _cheapest(self, cost: Array) -> tuple[int, int]:
        """The pair with the least cost; of ties up to rounding, the one with the highest items."""
        i, j = np.unravel_index(cost.argmin(), cost.shape)
        rows, columns = np.nonzero(
            cost <= cost[i, j] + self._rounding(int(i), int(j), float(cost[i, j]))
        )
        last = np.lexsort((columns, rows))[-1]
        return int(rows[last]), int(columns[last])

    def _rounding(self, i: int, j: int, least: float) -> float:
        if self.criterion in ("EII", "EEE"):
            return TIE * least
        both = [i, j]
        parts = self.part(self.n[both], self.W[both], self.rank[both])
        return float(TIE_OF_LOGS * (abs(least) + 2.0 * np.abs(parts).sum() + self.n[both].sum()))


def _trace(W: Array) -> Array:
    return np.asarray(np.trace(W, axis1=1, axis2=2))


def determinant(S: Array) -> Array:
    """Determinants (k,) of positive semi-definite matrices (k,d,d); 0 where a pivot is rounding."""
    S, det, diagonal = S.copy(), np.ones(len(S)), np.einsum("kii->ki", S).copy()
    for i in range(S.shape[1]):
        pivot = np.where(S[:, i, i] > FLAT_PIVOT * diagonal[:, i], S[:, i, i], 0.0)
        det *= pivot
        factor = S[:, i + 1 :, i] / np.where(pivot > 0, pivot, np.inf)[:, None]
        S[:, i + 1 :, i + 1 :] -= factor[:, :, None] * S[:, None, i, i + 1 :]
    return det


def adjugate(S: Array) -> Array:
    """``det(S) S^-1`` of a positive semi-definite matrix (d,d), also where that is singular."""
    values, vectors = np.linalg.eigh(S)
    values = np.maximum(values, 0.0)
    others = np.array([np.delete(values, i).prod() for i in range(len(values))])
    return np.asarray((vectors * others) @ vectors.T)
