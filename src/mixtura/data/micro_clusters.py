"""Micro-clusters: all rows in a few thousand groups, so that a tree of any number of rows can grow.

The micro-cluster with the largest scatter is divided at its mean, across its first principal axis,
until there are enough (principal direction divisive partitioning: Boley 1998, Data Mining and
Knowledge Discovery 2:325-344). Distant rows have a large scatter, so a small group far away has
micro-clusters of its own early. The result does not depend on the order of the rows, no row is left
out, and a micro-cluster keeps count, mean and scatter.

Time is O(n d^2 log m) for m micro-clusters. Memory is a copy of the rows, ``8 n (d + 4)`` bytes,
and about as much again during a division.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Labels


@dataclass(frozen=True, eq=False)
class MicroClusters:
    """Counts (m,), means (m,d), scatters (m,d,d) about the means, and labels of the rows (n,)."""

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
    """At most ``most`` micro-clusters of rows (n,d) with positive weights (n,).

    They are in the lexicographic order of their means.
    """
    Z, weights, rows = Z.copy(), weights.copy(), np.arange(len(Z))
    made = [_micro_cluster(Z, weights, 0, len(Z))]
    heap = [(-_total_scatter(made[0]), 0)]
    while heap and len(made) < most:
        _, k = heapq.heappop(heap)
        whole = made[k]
        middle = _divide(whole, Z, weights, rows)
        made[k] = _micro_cluster(Z, weights, whole.begin, middle)
        made.append(_micro_cluster(Z, weights, middle, whole.end))
        for j in (k, len(made) - 1):
            if _total_scatter(made[j]) > 0:
                heapq.heappush(heap, (-_total_scatter(made[j]), j))
    made.sort(key=lambda part: tuple(part.mean))
    labels = np.empty(len(Z), dtype=np.intp)
    for k, part in enumerate(made):
        labels[rows[part.begin : part.end]] = k
    counts, means, scatters = (
        np.array([getattr(part, name) for part in made]) for name in ("count", "mean", "scatter")
    )
    return MicroClusters(counts, means, scatters, labels)


def _micro_cluster(Z: Array, weights: Array, begin: int, end: int) -> _MicroCluster:
    """Count, mean and scatter of consecutive rows."""
    z, w = Z[begin:end], weights[begin:end]
    count = float(w.sum())
    mean = z[0] + w @ (z - z[0]) / count
    centred = z - mean
    if (z == z[0]).all():
        return _MicroCluster(begin, end, count, z[0].copy(), np.zeros((Z.shape[1], Z.shape[1])))
    return _MicroCluster(begin, end, count, mean, (w[:, None] * centred).T @ centred)


def _total_scatter(cluster: _MicroCluster) -> float:
    return float(np.trace(cluster.scatter))


def _divide(cluster: _MicroCluster, Z: Array, weights: Array, rows: Labels) -> int:
    """Move the rows below the mean along the first principal axis to the front.

    Returns where the second part begins.
    """
    part = slice(cluster.begin, cluster.end)
    along = (Z[part] - cluster.mean) @ np.linalg.eigh(cluster.scatter)[1][:, -1]
    below = along < 0
    if not 0 < below.sum() < len(below):  # the rows are equal to rounding
        below = along < along.max()
        if not below.any():
            below = np.arange(len(along)) < len(along) // 2
    order = np.concatenate([np.flatnonzero(below), np.flatnonzero(~below)])
    for array in (Z, weights, rows):
        array[part] = array[part][order]
    return cluster.begin + int(below.sum())
