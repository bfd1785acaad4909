"""Shrinkage of full covariances where rows are few, chosen by leave-one-out likelihood.

A covariance of d columns needs d + 1 rows to be non-singular, and some times as many to be
estimated well. With fewer than ``ENOUGH_ROWS`` times d + 1 rows, full covariances are shrunk to the
variances within groups, with independent columns: as if r more rows, pseudo-rows, with these
variances had been seen (:mod:`mixtura.model.priors`),

    Sigma_k = (W_k + r diag(t)) / (n_k + r)

r is chosen before EM: the clusters of k-means in standardised columns stand for the components, and
r maximises the leave-one-out log-likelihood of the rows. For a row x of weight w in a cluster with
mean m and weight N, let ``M = W + r diag(t)``, ``v = x - m`` and ``A = N / (N - w)``. Without the
row, its distance from the mean is ``A v`` and the scatter is less by ``w A v v'``, so that

    log f_-i(x) = -1/2 (d log 2 pi + log det M + log(1 - w A h) - d log(n - w + r)
                        + (n - w + r) A^2 h / (1 - w A h)),      h = v' M^-1 v

where n counts the rows that share the covariance. t is the variance of a new row about an estimated
mean, with an estimated variance: ``W_jj / n * (m + K) / (m - K - 2)`` for m rows. With
``ENOUGH_ROWS`` times d + 1 rows or more nothing is added, and estimates are plain maximum
likelihood. The units of the columns change nothing, and a weight of 2 is a repeated row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.memory import once_for_each
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.model.priors import Prior, pseudo_rows
from mixtura.model.protocols import Family

ENOUGH_ROWS = 2.5
"""Distinct rows from which on nothing is shrunk, in multiples of the d + 1 rows that each full
covariance needs to be non-singular (decision 0019).
"""

STRENGTHS_TRIED = 2.0 ** np.arange(-6.0, 5.5, 0.5)
"""Pseudo-rows that are tried, in multiples of the rows of a covariance: 1/64 to 32 of them. With 32
the covariance is the target to 1 part in 33.
"""

WHOLE_GROUP = 1e-9
"""A row is the whole of its group if no more than this part of the weight is left without it."""


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """The shrinkage of the full covariances of one family and K.

    Attributes
    ----------
    rows : float
        Pseudo-rows per free covariance, in distinct rows.
    unit : float
        Mean weight of a distinct row.
    scale : (d,)
        The target: variances of the columns.
    """

    rows: float
    unit: float
    scale: Array

    @property
    def prior(self) -> Prior:
        """The prior of the M-step, whose rows are in weights."""
        return pseudo_rows(self.rows * self.unit, self.scale)


def shrinkage_for(dataset: Dataset, family: Family, K: int) -> Shrinkage | None:
    """The shrinkage; None where rows are enough or the family has no full covariances."""
    dataset, free = dataset.completed, full_covariances(family, K)
    d = dataset.source.n_features
    if free == 0 or d == 1 or dataset.has_distinct(int(np.ceil(ENOUGH_ROWS * free * (d + 1)))):
        return None
    shrinkage = _best_shrinkage(dataset, K, free)
    if free == K or family.shares_all:
        return shrinkage
    return Shrinkage(shrinkage.rows / K, shrinkage.unit, shrinkage.scale)


def full_covariances(family: Family, K: int) -> int:
    """Number of free orientations: K, 1 for shared axes, 0 where axes are the coordinate axes."""
    if family.needs not in (Scatter.DENSE, Scatter.TOTAL):
        return 0
    return 1 if family.name.endswith("E") else K


@once_for_each
def _best_shrinkage(dataset: Dataset, K: int, free: int) -> Shrinkage:
    """The shrinkage with the largest leave-one-out log-likelihood.

    Where no row can be left out, it is d + 2 rows with the variances of the whole data.
    """
    rows, weights = _distinct_rows(dataset)
    total, unit = float(weights.sum()), float(weights.mean())
    labels = _groups(rows, dataset, weights, K)
    v, counts = _centred(rows, weights, labels, K)
    scale = _target(v, weights, K, dataset)
    z, own = v / np.sqrt(scale), counts[labels]
    parts = [_SharedCovariance(z[of], weights[of], own[of]) for of in _sharing(labels, K, free)]
    pseudo = _pseudo_rows(parts, total / free)
    if pseudo is None:
        return Shrinkage(rows.shape[1] + 2.0, unit, dataset.scale)
    return Shrinkage(pseudo / unit, unit, scale)


def _sharing(labels: Labels, K: int, free: int) -> list[Flags]:
    """The rows of each free covariance, as masks (n,)."""
    return [labels == k for k in range(K)] if free > 1 else [labels >= 0]


def _pseudo_rows(parts: list[_SharedCovariance], size: float) -> float | None:
    """The best number of pseudo-rows for covariances of ``size`` rows each.

    None where no row can be left out.
    """
    values = np.array(
        [sum(part.leave_one_out(size * strength) for part in parts) for strength in STRENGTHS_TRIED]
    )
    return size * _maximiser(values) if np.isfinite(values).all() and values.any() else None


def _maximiser(values: Array) -> float:
    """The strength of the largest value, refined by a parabola through its two neighbours."""
    at = int(values.argmax())
    if at in (0, len(values) - 1):
        return float(STRENGTHS_TRIED[at])
    below, here, above = values[at - 1 : at + 2]
    bend = below - 2.0 * here + above
    shift = 0.5 * (below - above) / bend if bend < 0 else 0.0
    return float(STRENGTHS_TRIED[at] * 2.0 ** (0.5 * shift))


@dataclass(frozen=True, eq=False)
class _SharedCovariance:
    """The rows of one free covariance, centred at their groups' means and scaled by the target.

    Attributes
    ----------
    z : (m, d)
    weights : (m,)
    counts : (m,)
        Weight of each row's group.
    """

    z: Array
    weights: Array
    counts: Array

    @cached_property
    def _squares(self) -> tuple[Array, Array]:
        """Eigenvalues of the scatter (q,), q = min(m, d), and squared coordinates (m,q)."""
        own = np.sqrt(self.weights)[:, None] * self.z
        if len(own) < own.shape[1]:
            values, sides = np.linalg.eigh(own @ own.T)
            values = np.maximum(values, 0.0)
            return values, sides**2 * values / self.weights[:, None]
        values, axes = np.linalg.eigh(own.T @ own)
        return np.maximum(values, 0.0), (self.z @ axes) ** 2

    def leave_one_out(self, r: float) -> float:
        """``sum_i w_i log f_-i(x_i)`` with r pseudo-rows, up to a constant."""
        left = self.counts - self.weights
        some = left > WHOLE_GROUP * self.counts
        if not some.any():
            return 0.0
        d, (values, squares) = self.z.shape[1], self._squares
        h = (squares / (values + r)).sum(axis=1)[some]
        log_det = np.log(values + r).sum() + (d - len(values)) * np.log(r)
        w, stretch = self.weights[some], self.counts[some] / left[some]
        kept, rows = np.maximum(1.0 - w * stretch * h, WHOLE_GROUP), self.weights.sum() - w + r
        return float(
            -0.5
            * (w * (log_det + np.log(kept) - d * np.log(rows) + rows * stretch**2 * h / kept)).sum()
        )


# ---- groups --------------------------------------------------------------------------------------


def _distinct_rows(dataset: Dataset) -> tuple[Array, Array]:
    """The distinct rows (m,d) in lexicographic order, and the total weight of each (m,)."""
    blocks = list(dataset.source.blocks())
    rows = np.concatenate([block.rows for block in blocks]).astype(np.float64)
    weights = np.concatenate(
        [np.ones(len(block.rows)) if block.weights is None else block.weights for block in blocks]
    )
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    return distinct, _sums(which.reshape(-1), weights, len(distinct))


def _groups(rows: Array, dataset: Dataset, weights: Array, K: int) -> Labels:
    """The clusters of k-means in standardised columns; each row its own where rows are few."""
    if K == 1:
        return np.zeros(len(rows), dtype=np.intp)
    if len(rows) <= K:
        return np.arange(len(rows))
    Z = (rows - dataset.mean) / np.sqrt(dataset.scale)
    from sklearn.cluster import KMeans  # takes long to import

    return np.asarray(KMeans(K, n_init=4, random_state=0).fit(Z, sample_weight=weights).labels_)


def _centred(rows: Array, weights: Array, labels: Labels, K: int) -> tuple[Array, Array]:
    """Rows less the mean of their group (m,d), and the weights of the groups (K,)."""
    counts = _sums(labels, weights, K)
    sums = np.stack([_sums(labels, weights * column, K) for column in rows.T], axis=1)
    return rows - (sums / np.maximum(counts, np.finfo(np.float64).tiny)[:, None])[labels], counts


def _sums(labels: Labels, values: Array, K: int) -> Array:
    """Sums of the values with each label (K,)."""
    return np.bincount(labels, values, K).astype(np.float64)


def _target(centred: Array, weights: Array, K: int, dataset: Dataset) -> Array:
    """Variances (d,) within groups for a new row: larger than those of the rows, and the floor."""
    m = len(centred)
    growth = (m + K) / max(m - K - 2.0, 1.0)
    return np.asarray(np.maximum(weights @ centred**2 / weights.sum() * growth, dataset.floor))
