"""Full covariances of few rows: how far they are shrunk, so that rows that were not seen are still
likely.

A covariance of d columns needs d + 1 rows to be non-singular, and some times as many to be told
from chance. With fewer than ``ENOUGH`` times the rows, full covariances are shrunk to the variances
within groups, with independent columns: as if r more rows of that spread had been seen
(:mod:`mixtura.model.priors`),

    Sigma_k = (W_k + r diag(t)) / (n_k + r)

How many is read from the data before EM: the clusters of k-means in standardised columns are taken
for the components, and r is what makes each row most likely without itself. With
``M = W + r diag(t)``, N rows in its cluster, a row of weight w and ``v = x - m``, and
``A = N / (N - w)``, taking the row out leaves ``x - m = A v`` and the scatter less ``w A v v'``, so
that

    log f_-i(x) = -1/2 (d log 2 pi + log det M + log(1 - w A h) - d log(n - w + r) + (n - w + r) A^2
    h / (1 - w A h)),
                  h = v' M^-1 v

where n counts the rows that share the covariance. t is the variance of a new row about an estimated
mean, with an estimated variance: ``W_jj / n * (m + K) / (m - K - 2)`` for m rows. With more rows
the best r is an ever smaller part of them; from ``ENOUGH`` times the rows on nothing is added, and
estimates are plain maximum likelihood. Nothing depends on the units of the columns, nor on whether
a row is repeated or weighs twice as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.memory import once_for_each
from mixtura.data.dataset import Dataset
from mixtura.model.moments import Scatter
from mixtura.model.priors import Prior, pseudo_rows
from mixtura.model.protocols import Family

ENOUGH = 2.5
"""Distinct rows, in units of those that a family's covariances need to be non-singular, from which
on nothing is shrunk.
"""

STRENGTHS = 2.0 ** np.arange(-6.0, 5.5, 0.5)
"""Pseudo-rows that are tried, in units of the rows of a covariance. With 32 of 33 parts what the
rows say of it hardly counts.
"""


ALONE = 1e-9
"""Less than this part of a group is nothing: a row that leaves no more behind was the whole of
it.
"""


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """How far the full covariances of one family and K are shrunk.

    Attributes
    ----------
    rows : float
        Pseudo-rows per free covariance, in distinct rows.
    unit : float
        What a distinct row weighs on average.
    scale : (d,)
        Variances of the columns that they are shrunk to.
    """

    rows: float
    unit: float
    scale: Array

    @property
    def prior(self) -> Prior:
        """As an argument of the M-step, which counts in weights."""
        return pseudo_rows(self.rows * self.unit, self.scale)


def shrinkage_for(dataset: Dataset, family: Family, K: int) -> Shrinkage | None:
    """What few rows ask for; None where they are enough, or where the family has no full
    covariances.
    """
    free = full_covariances(family, K)
    d = dataset.source.n_features
    if free == 0 or d == 1 or dataset.holds(int(np.ceil(ENOUGH * free * (d + 1)))):
        return None
    shrinkage = _strongest_prediction(dataset, K, free)
    return (
        shrinkage
        if free == K or family.shares_all
        else Shrinkage(shrinkage.rows / K, shrinkage.unit, shrinkage.scale)
    )


def full_covariances(family: Family, K: int) -> int:
    """How many covariances that can turn a family estimates: K, or one where the components share
    their axes; 0 for fixed axes.
    """
    if family.needs not in (Scatter.DENSE, Scatter.TOTAL):
        return 0
    return 1 if family.name.endswith("E") else K


@once_for_each
def _strongest_prediction(dataset: Dataset, K: int, free: int) -> Shrinkage:
    """The strength at which left-out rows are most likely; d + 2 rows of the whole data where none
    can be.
    """
    rows, weights = _distinct_rows(dataset)
    total, unit = float(weights.sum()), float(weights.mean())
    labels = _groups(rows, dataset, weights, K)
    v, counts = _about_their_means(rows, weights, labels, K)
    scale = _within(v, weights, K, dataset)
    z, own = v / np.sqrt(scale), counts[labels]
    parts = [_Part(z[held], weights[held], own[held]) for held in _together(labels, K, free)]
    pseudo = _best(parts, total / free)
    return (
        Shrinkage(rows.shape[1] + 2.0, unit, dataset.scale)
        if pseudo is None
        else Shrinkage(pseudo / unit, unit, scale)
    )


def _together(labels: Labels, K: int, free: int) -> list[Flags]:
    """The rows that share a covariance."""
    return [labels == k for k in range(K)] if free > 1 else [labels >= 0]


def _best(parts: list[_Part], size: float) -> float | None:
    """The pseudo-rows, in multiples of ``size``, under which left-out rows are most likely; None
    where none can be left out.
    """
    values = np.array(
        [sum(part.left_out(size * strength) for part in parts) for strength in STRENGTHS]
    )
    return size * _peak(values) if np.isfinite(values).all() and values.any() else None


def _peak(values: Array) -> float:
    """The strength of the highest value, between its neighbours where it has two."""
    at = int(values.argmax())
    if at in (0, len(values) - 1):
        return float(STRENGTHS[at])
    below, here, above = values[at - 1 : at + 2]
    bend = below - 2.0 * here + above
    shift = 0.5 * (below - above) / bend if bend < 0 else 0.0
    return float(STRENGTHS[at] * 2.0 ** (0.5 * shift))


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows that share a covariance, about the means of their groups and in units of the scale.

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
        """Eigenvalues of the scatter that can be positive (q,), and squares of the rows along their
        axes (m,q).
        """
        own = np.sqrt(self.weights)[:, None] * self.z
        if len(own) < own.shape[1]:
            values, sides = np.linalg.eigh(own @ own.T)
            values = np.maximum(values, 0.0)
            return values, sides**2 * values / self.weights[:, None]
        values, axes = np.linalg.eigh(own.T @ own)
        return np.maximum(values, 0.0), (self.z @ axes) ** 2

    def left_out(self, r: float) -> float:
        """``sum_i w_i log f_-i(x_i)`` with r pseudo-rows, but for a constant."""
        left = self.counts - self.weights
        some = left > ALONE * self.counts
        if not some.any():
            return 0.0
        d, (values, squares) = self.z.shape[1], self._squares
        h = (squares / (values + r)).sum(axis=1)[some]
        log_det = np.log(values + r).sum() + (d - len(values)) * np.log(r)
        w, stretch = self.weights[some], self.counts[some] / left[some]
        kept, rows = np.maximum(1.0 - w * stretch * h, ALONE), self.weights.sum() - w + r
        return float(
            -0.5
            * (w * (log_det + np.log(kept) - d * np.log(rows) + rows * stretch**2 * h / kept)).sum()
        )


# ---- groups --------------------------------------------------------------------------------------


def _distinct_rows(dataset: Dataset) -> tuple[Array, Array]:
    """Each distinct row once (m,d), in sorted order, with what all its copies weigh (m,)."""
    blocks = list(dataset.source.blocks())
    rows = np.concatenate([block.rows for block in blocks]).astype(np.float64)
    weights = np.concatenate(
        [np.ones(len(block.rows)) if block.weights is None else block.weights for block in blocks]
    )
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    return distinct, _sums(which.reshape(-1), weights, len(distinct))


def _groups(rows: Array, dataset: Dataset, weights: Array, K: int) -> Labels:
    """The clusters of k-means in standardised columns; no more than rows."""
    if K == 1:
        return np.zeros(len(rows), dtype=np.intp)
    if len(rows) <= K:
        return np.arange(len(rows))
    Z = (rows - dataset.mean) / np.sqrt(dataset.scale)
    from sklearn.cluster import KMeans  # takes long to import, and is seldom needed

    return np.asarray(KMeans(K, n_init=4, random_state=0).fit(Z, sample_weight=weights).labels_)


def _about_their_means(rows: Array, weights: Array, labels: Labels, K: int) -> tuple[Array, Array]:
    """Rows less the mean of their group (m,d), and the weights of the groups (K,)."""
    counts = _sums(labels, weights, K)
    sums = np.stack([_sums(labels, weights * column, K) for column in rows.T], axis=1)
    return rows - (sums / np.maximum(counts, np.finfo(np.float64).tiny)[:, None])[labels], counts


def _sums(labels: Labels, values: Array, K: int) -> Array:
    """Of the values with each label (K,)."""
    return np.bincount(labels, values, K).astype(np.float64)


def _within(centred: Array, weights: Array, K: int, dataset: Dataset) -> Array:
    """Variances (d,) within groups of a row that was not seen, above the floor: means and variances
    are estimates themselves.
    """
    m = len(centred)
    growth = (m + K) / max(m - K - 2.0, 1.0)
    return np.asarray(np.maximum(weights @ centred**2 / weights.sum() * growth, dataset.floor))
