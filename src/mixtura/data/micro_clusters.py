"""Micro-clusters: all rows in a few thousand cells, without a draw, so that a tree can be grown
over any number of rows.

The cell with the largest scatter is cut in two, at its mean and across the direction it extends in
most, until there are enough cells (principal direction divisive partitioning: Boley 1998, Data
Mining and Knowledge Discovery 2:325-344). What lies far from the rest scatters much, so a small
group far away gets cells of its own early. The cut depends on the rows, not on their order; no row
is left out; a cell keeps count, mean and scatter, so that nothing of its inner spread is lost.

Time is O(n d^2 log cells); memory is one copy of the rows, ``8 n (d + 4)`` bytes, and about as much
again for a moment.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Labels


@dataclass(frozen=True, eq=False)
class MicroClusters:
    """Items for a tree: counts (m,), means (m,d), scatters (m,d,d) about the means, and the cell of
    each row (n,).
    """

    counts: Array
    means: Array
    scatters: Array
    labels: Labels


@dataclass(frozen=True, eq=False)
class _MicroCluster:
    begin: int
    end: int
    count: float
    mean: Array
    scatter: Array


def micro_clusters(Z: Array, weights: Array, most: int) -> MicroClusters:
    """At most ``most`` cells of rows (n,d) with positive weights (n,), in the lexicographic order
    of their means.
    """
    Z, weights, rows = Z.copy(), weights.copy(), np.arange(len(Z))
    made = [_cell(Z, weights, 0, len(Z))]
    heap = [(-_spread(made[0]), 0)]
    while heap and len(made) < most:
        _, k = heapq.heappop(heap)
        cell = made[k]
        middle = _cut(cell, Z, weights, rows)
        made[k] = _cell(Z, weights, cell.begin, middle)
        made.append(_cell(Z, weights, middle, cell.end))
        for j in (k, len(made) - 1):
            if _spread(made[j]) > 0:
                heapq.heappush(heap, (-_spread(made[j]), j))
    made.sort(key=lambda cell: tuple(cell.mean))
    labels = np.empty(len(Z), dtype=np.intp)
    for k, cell in enumerate(made):
        labels[rows[cell.begin : cell.end]] = k
    counts, means, scatters = (
        np.array([getattr(cell, name) for cell in made]) for name in ("count", "mean", "scatter")
    )
    return MicroClusters(counts, means, scatters, labels)


def _cell(Z: Array, weights: Array, begin: int, end: int) -> _MicroCluster:
    """Count, mean and scatter of consecutive rows."""
    z, w = Z[begin:end], weights[begin:end]
    count = float(w.sum())
    mean = z[0] + w @ (z - z[0]) / count
    centred = z - mean
    if (z == z[0]).all():
        return _MicroCluster(begin, end, count, z[0].copy(), np.zeros((Z.shape[1], Z.shape[1])))
    return _MicroCluster(begin, end, count, mean, (w[:, None] * centred).T @ centred)


def _spread(cell: _MicroCluster) -> float:
    return float(np.trace(cell.scatter))


def _cut(cell: _MicroCluster, Z: Array, weights: Array, rows: Labels) -> int:
    """Bring the rows below the mean along the main direction to the front; where the second part
    begins.
    """
    part = slice(cell.begin, cell.end)
    along = (Z[part] - cell.mean) @ np.linalg.eigh(cell.scatter)[1][:, -1]
    below = along < 0
    if not 0 < below.sum() < len(below):  # only rounding: the rows all but coincide
        below = along < along.max()
        if not below.any():
            below = np.arange(len(along)) < len(along) // 2
    order = np.concatenate([np.flatnonzero(below), np.flatnonzero(~below)])
    for array in (Z, weights, rows):
        array[part] = array[part][order]
    return cell.begin + int(below.sum())
