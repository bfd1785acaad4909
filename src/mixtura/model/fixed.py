"""Parameters that are held at given values during a fit.

Components with a fixed parameter have an identity: component k of the fit is the one with the k-th
fixed values. In the M-step (:mod:`mixtura.data.fixed_step`) the other parameters are those that
maximise the objective under this constraint; for a fixed weight, the free ones share what is left,

    pi_k = (1 - sum of the fixed ones) count_k / (sum of the free counts)

Components may also keep their weights relative to each other: a group whose share alone is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import (
    Covariance,
    Dense,
    Diagonal,
    Spherical,
    triangular_inverse,
)
from mixtura.distribution.mixture import Mixture
from mixtura.model.moments import Moments

FULL_WEIGHT = 1e-9
"""Rounding of a sum of weights that is one."""

LEAST_SPREAD = 1e-6
"""Variance within the components of a start, at least, as a part of that of all rows."""


@dataclass(frozen=True, eq=False)
class Fixed:
    """Fixed parameters of K components; NaN is free.

    Attributes
    ----------
    weights : (K,)
        Mixing proportions.
    means : (K, d)
        Any entries.
    covariances : (K or 1,), (K or 1, d) or (K or 1, d, d)
        In the stored form of the family, one where all components share it; of a component all
        entries or none are fixed.
    group : (K,)
        Components that keep their relative weights, whose own ``weights`` are free.
    within : (K,)
        Weights of these components within the group, which sum to one; one for all others.
    """

    weights: Array
    means: Array
    covariances: Array
    group: Flags
    within: Array

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    # ---- which parameters are free ---------------------------------------------------------------

    @cached_property
    def free_weights(self) -> Flags:
        """Components whose weight is estimated, alone or with its group (K,)."""
        return np.isnan(self.weights)

    @cached_property
    def free_means(self) -> Flags:
        """Entries of the means that are estimated (K,d)."""
        return np.isnan(self.means)

    @cached_property
    def free_covariances(self) -> Flags:
        """Components whose covariance is estimated (K,)."""
        free = np.isnan(self.covariances.reshape(len(self.covariances), -1)).any(axis=1)
        return np.broadcast_to(free, self.n_components)

    @property
    def has_fixed_mean(self) -> Flags:
        """Components with a fixed entry of the mean (K,)."""
        return np.asarray((~self.free_means).any(axis=1))

    @cached_property
    def has_part_of_a_mean(self) -> Flags:
        """Components of whose mean some entries are fixed and others are not (K,)."""
        return self.has_fixed_mean & self.free_means.any(axis=1)

    @cached_property
    def constrained(self) -> Flags:
        """Components with a fixed parameter of their own (K,)."""
        own = ~self.free_weights | self.has_fixed_mean | self.group
        return own if len(self.covariances) == 1 else own | ~self.free_covariances

    def located(self, shares_all: bool) -> Flags:
        """Components of known density, which may be without rows (K,).

        Their mean is fixed, and their covariance, or it is that of all components (``shares_all``).
        """
        return ~self.free_means.any(axis=1) & (shares_all | ~self.free_covariances)

    def free_parameters_of_each(self, own: int) -> Array:
        """Free parameters of each component (K,), of its weight, mean and covariance.

        ``own`` are those of a component without fixed parameters.
        """
        d = self.means.shape[1]
        of_covariance = np.where(self.free_covariances, own - 1 - d, 0)
        return np.asarray(self.free_weights + self.free_means.sum(axis=1) + of_covariance)

    @cached_property
    def parts(self) -> Labels:
        """The free weight that each component takes part in (K,); -1 where its weight is fixed.

        All components of the group take part in the first one.
        """
        alone = self.free_weights & ~self.group
        numbers = np.cumsum(alone) - 1 + int(self.group.any())
        return np.where(alone, numbers, np.where(self.group, 0, -1))

    @property
    def n_parts(self) -> int:
        """Number of free weights, of which the last follows from the others."""
        return int(self.parts.max(initial=-1)) + 1

    @property
    def rest(self) -> float:
        """The weight that the free ones share."""
        return 1.0 - float(self.weights[~self.free_weights].sum())

    def part_sums(self, values: Array) -> Array:
        """Sums of the values of components (K,) over each free weight."""
        inside = self.parts >= 0
        return np.bincount(self.parts[inside], values[inside], self.n_parts).astype(np.float64)

    # ---- of fewer components ---------------------------------------------------------------------

    def fewest(self, noisy: bool) -> int:
        """The least number of components that these parameters allow, beside noise or not."""
        own = int(self.constrained.sum())
        full = noisy or bool((self.constrained & self.free_weights).any())
        full = full or self.rest <= FULL_WEIGHT
        return max(own if full else own + 1, 1)

    def of_size(self, K: int) -> Fixed:
        """The same for K components, at least :meth:`fewest`: the last free ones are left out."""
        if self.n_components == K:
            return self
        free = np.flatnonzero(~self.constrained)
        left_out = free[len(free) - (self.n_components - K) :]
        kept = np.delete(np.arange(self.n_components), left_out)
        return replace(
            self,
            weights=self.weights[kept],
            means=self.means[kept],
            covariances=self.covariances if len(self.covariances) == 1 else self.covariances[kept],
            group=self.group[kept],
            within=self.within[kept],
        )

    # ---- the values in their places --------------------------------------------------------------

    def weights_from(self, counts: Array, noise: float = 0.0) -> Array:
        """Mixing proportions (K,): fixed ones, and the rest in proportion to the counts.

        What these leave is the weight of a noise term, with so many rows.
        """
        weights, sums = self.weights.copy(), self.part_sums(counts)
        if len(sums):
            total = sums.sum() + noise
            shares = sums / total if total > 0 else np.full(len(sums), 1.0 / len(sums))
            free = self.parts >= 0
            weights[free] = self.rest * (shares[self.parts] * self.within)[free]
        return weights

    def means_from(self, centres: Array, covariance: Covariance | None) -> Array:
        """Means (K,d) with the fixed entries, and for the others the best given a covariance.

        ``mu_f = c_f - Sigma_fo Sigma_oo^-1 (c_o - mu_o)`` for the unconstrained best means c (K,d),
        fixed entries o and free entries f; without a covariance c_f itself.
        """
        means = np.where(self.free_means, centres, self.means)
        if not isinstance(covariance, Dense):
            return means
        dense = covariance.dense()
        for k in np.flatnonzero(self.has_part_of_a_mean):
            f, o = np.flatnonzero(self.free_means[k]), np.flatnonzero(~self.free_means[k])
            pulled = np.linalg.solve(dense[k][np.ix_(o, o)], centres[k, o] - means[k, o])
            means[k, f] -= dense[k][np.ix_(f, o)] @ pulled
        return means

    def covariance_from(self, free: Covariance | None) -> Covariance:
        """The covariances of all components; ``free`` are those of the free ones."""
        if free is not None and self.free_covariances.all():
            return free
        values = self.covariances.copy()
        if free is not None:
            values[self.free_covariances] = free.values
        K, d = self.means.shape
        if values.ndim == 1:
            return Spherical(values, K, d)
        return Diagonal(values, K) if values.ndim == 2 else Dense(values, K)

    def holds_in(self, mixture: Mixture) -> bool:
        """Whether a mixture has the fixed values, bit for bit."""
        values = mixture.covariance.values
        if mixture.n_components != self.n_components:
            return False
        covariances = bool(self.free_covariances.all()) or (
            values.shape == self.covariances.shape and _equal(values, self.covariances)
        )
        weights_and_means = _equal(mixture.weights, self.weights) and _equal(
            mixture.means, self.means
        )
        return weights_and_means and covariances

    # ---- which component is which ----------------------------------------------------------------

    def matched(
        self, moments: Moments, row_weight: float, units: Array, in_place: int = 0
    ) -> Labels:
        """For each component (K,) the component of a start that takes its place.

        The sum of the losses of complete-data log-likelihood that the fixed values mean for the
        rows of the start's components is the smallest: the Hungarian method. A covariance is drawn
        to the mean of all by d + 1 rows' worth, so that few rows are not singular; ``units`` are
        variances of the columns (d,). The first ``in_place`` components stay where they are.
        """
        few, scatter = (moments.n_features + 1) * row_weight, _dense(moments)
        pooled = scatter.sum(axis=0) / moments.in_components + LEAST_SPREAD * np.diag(units)
        scatter = scatter + few * pooled
        spreads = scatter / (moments.counts + few)[:, None, None]
        losses = np.zeros((self.n_components, moments.n_components))
        for k in np.flatnonzero(self.constrained).tolist():
            loss = self._loss_at(k)
            losses[k] = [
                loss(float(n), float(share), mean, spread)
                for n, share, mean, spread in zip(
                    moments.counts, moments.weights, moments.means, spreads, strict=True
                )
            ]
        known = np.arange(min(in_place, self.n_components))
        _, others = linear_sum_assignment(losses[len(known) :, len(known) :])
        return np.concatenate([known, len(known) + others]).astype(np.intp)

    def _loss_at(self, k: int) -> Callable[[float, float, Array, Array], float]:
        """The loss of rows with a count, a share, a mean and a covariance at component k."""
        held, d = ~self.free_means[k], self.means.shape[1]
        sigma = None
        if not self.free_covariances[k]:
            sigma = self.covariance_from(None).dense()[k]
            inverse = triangular_inverse(np.linalg.cholesky(sigma))

        def loss(n: float, share: float, mean: Array, spread: Array) -> float:
            total = 0.0
            if not self.free_weights[k]:
                total = float(xlogy(n, share / self.weights[k]))
            apart = (mean - self.means[k])[held]
            if sigma is None:
                return total + 0.5 * n * float(np.log1p(_distance(spread, held, apart)))
            white = inverse @ spread @ inverse.T
            unlike = float(np.trace(white) - d - np.linalg.slogdet(white)[1])
            return total + 0.5 * n * (unlike + _distance(sigma, held, apart))

        return loss


def _distance(matrix: Array, held: Flags, apart: Array) -> float:
    """The squared distance in the held columns, in units of their covariance."""
    if not len(apart):
        return 0.0
    return float(apart @ np.linalg.solve(matrix[np.ix_(held, held)], apart))


def _dense(moments: Moments) -> Array:
    """The scatter of each component (K,d,d), as far as moments tell it."""
    d, scatter = moments.n_features, moments.scatter
    if moments.kind is Scatter.DENSE:
        return scatter
    if moments.kind is Scatter.TOTAL:
        return (moments.counts / moments.in_components)[:, None, None] * scatter
    diagonals = scatter if moments.kind is Scatter.DIAGONAL else scatter[:, None] / d
    return np.asarray(diagonals[:, :, None] * np.eye(d))


def _equal(values: Array, fixed: Array) -> bool:
    """Whether the values are the fixed ones where these are given."""
    return bool(((values == fixed) | np.isnan(fixed)).all())
