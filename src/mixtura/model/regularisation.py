"""Constraints and penalties: floor, ridge, prior, eigenvalue bound and equal proportions.

An M-step is the maximum-likelihood estimate from :class:`SufficientStatistics`: counts and average
scatter per free covariance. Every constraint is in these statistics before the family sees them, so
a family holds its covariance model and nothing else. With ``S = W / n``

    floor      the maximiser over all Sigma with ``Sigma - diag(floor)`` positive semi-definite.
               The eigenvalues of S in the metric of the floor are raised to at least one. That
               is exact where the estimate is S itself, so the likelihood never falls, and
               nothing changes while S is above the floor. By default the floor is the variance
               of rounding (:mod:`mixtura.data.recorded_step`)
    ridge      ``S + ridge * identity``, scikit-learn's ``reg_covar``: every row stands for a
               small Gaussian of that variance. It is the exact maximiser when a row's density is
               its average log density over that Gaussian, that is with each component's weight
               tilted by ``exp(-ridge/2 tr Sigma_k^-1)``; so the objective still never falls. A
               ridge depends on the units of the data
    prior      ``(W + scatter) / (n + rows)``, and means shrunk to the prior's mean
               (:mod:`mixtura.model.priors`); with a ridge,
               ``(W + n ridge + scatter) / (n + rows)``
    ratio      the largest eigenvalue of all components is at most ``eigenvalue_ratio`` times
               the smallest, in the units of the data
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mixtura.base.arrays import Array, Flags
from mixtura.base.errors import CollapseError
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import MANY_COLUMNS, Covariance, Dense, along_axes
from mixtura.distribution.mixture import Mixture
from mixtura.kernels import either, native
from mixtura.model.eigenvalue_ratio import truncated
from mixtura.model.moments import Moments
from mixtura.model.priors import Prior

RATIO_ROUNDING, FLOOR_ROUNDING = 1e-9, 1e-9
"""Relative rounding of a ratio of eigenvalues, and of an eigenvalue at the floor."""

NEAR_RATIO, AT_THE_FLOOR = 1e-6, 1.0 + 1e-6
"""The bound on the ratio is active where the ratio is short of it by no more than this part; the
floor is active where an eigenvalue is at most this many times the floor.
"""

UNRESOLVED = 1e-15
"""Part of a component's own scale below which an eigenvalue is rounding."""


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """Statistics from which an M-step estimates F free covariances.

    F is K, or 1 where all components share the covariance.

    Attributes
    ----------
    counts : (F,)
        Rows, with the pseudo-rows of a prior.
    average : (F,), (F, d) or (F, d, d)
        Scatter per row: the maximum-likelihood estimates of unconstrained covariances.
    n_components, n_features : int
    lifted : bool
        Whether the floor raised an eigenvalue.
    """

    counts: Array
    average: Array
    n_components: int
    n_features: int
    lifted: bool = False

    def fit(self, covariance: Covariance) -> float:
        """The M-step's objective ``-1/2 sum_k n_k (log det Sigma_k + tr(Sigma_k^-1 S_k))``."""
        if isinstance(covariance, Dense):
            traces = np.einsum(
                "kij,kij->k", covariance.whitener @ self.average, covariance.whitener
            )
        else:
            ratios = self.average / covariance.values
            traces = ratios.sum(axis=1) if ratios.ndim == 2 else self.n_features * ratios
        return float(-0.5 * (self.counts * (covariance.log_det[: len(self.counts)] + traces)).sum())


@dataclass(frozen=True, eq=False)
class Regularisation:
    """The constraints and penalties of an M-step, for one dataset.

    Attributes
    ----------
    floor : (d,)
        Variances of the columns; no covariance is below them in any direction; 0 for none.
    ridge : float
        Added to every variance, in squared units of the data; 0 for none.
    prior : Prior or None
    eigenvalue_ratio : float or None
        Largest over smallest eigenvalue, over all components.
    equal_weights : bool
        Whether all components have the same mixing proportion, ``1 / K`` without noise.
    """

    floor: Array
    ridge: float = 0.0
    prior: Prior | None = None
    eigenvalue_ratio: float | None = None
    equal_weights: bool = False

    averages: ClassVar[bool] = False
    """Whether the objective averages over the parameters, and so has a price of each component."""

    def at_size(self, moments: Moments) -> Moments:
        """The moments of an E-step, of a sample as if it were all rows where the objective
        averages.
        """
        return moments

    def in_use(self, mixture: Mixture) -> Mixture:
        """The components that have rows: all, unless the objective averages."""
        return mixture

    def filled(self, start: Moments | Mixture, K: int) -> Moments | Mixture:
        """A start of K components; where the objective averages, fewer get some without rows."""
        return start

    @property
    def is_tilted(self) -> bool:
        """Whether the weights of the E-step are others than those of the mixture."""
        return self.ridge > 0

    @property
    def has_floor(self) -> bool:
        """Whether every direction has a floor above zero."""
        return bool((self.floor > 0).all())

    # ---- weights and means -----------------------------------------------------------------------

    def weights(self, moments: Moments) -> Array:
        """Mixing proportions (K,); the weight of a noise term is always free."""
        share = moments.in_components / moments.total
        return (
            np.full(moments.n_components, share / moments.n_components)
            if self.equal_weights
            else moments.weights
        )

    def means(self, moments: Moments) -> Array:
        """Means (K,d), shrunk to the prior's mean."""
        if self.prior is None or self.prior.shrinkage == 0:
            return moments.means
        share = self.prior.shrinkage / (moments.pulled + self.prior.shrinkage)
        return np.asarray(moments.means + share[:, None] * (self.prior.mean - moments.means))

    # ---- statistics of the covariances -----------------------------------------------------------

    def statistics(self, moments: Moments, shared: bool) -> SufficientStatistics:
        """Counts and average scatter with ridge and prior, raised to the floor.

        They are pooled where all components share the covariance.
        """
        kind, K, d = moments.kind, moments.n_components, moments.n_features
        scatter, counts = moments.scatter, moments.counts
        if self.prior is not None and self.prior.shrinkage > 0:
            pulled = moments.pulled
            weight = self.prior.shrinkage * pulled / (pulled + self.prior.shrinkage)
            scatter = scatter + kind.of_vectors(weight, moments.means - self.prior.mean)
        if shared:
            scatter = scatter[None] if kind is Scatter.TOTAL else scatter.sum(axis=0, keepdims=True)
            counts = np.array([moments.in_components])
        own = counts
        if self.prior is not None:
            scatter = scatter + kind.of_matrix(self.prior.scatter)
            counts = counts + self.prior.rows
        shape = (-1, *[1] * (scatter.ndim - 1))
        average = _ratio(scatter, counts.reshape(shape) * (d if kind is Scatter.TRACE else 1))
        if self.ridge:  # of the rows, not of a prior's pseudo-rows
            share = np.divide(own, counts, out=np.ones_like(counts), where=counts > 0).reshape(
                shape
            )
            average = average + self.ridge * share * (1.0 if average.ndim < 3 else np.eye(d))
        return self._lifted(SufficientStatistics(counts, average, K, d))

    def _lifted(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """The statistics with no eigenvalue below the floor."""
        if not self.has_floor or self._prior_is_above_the_floor(statistics):
            return statistics
        average = statistics.average
        if average.ndim == 3:
            raised = _eigenvalues_above(average, self.floor)
        else:
            raised = np.maximum(average, self.floor.max() if average.ndim == 1 else self.floor)
        return (
            statistics
            if raised is average or np.array_equal(raised, average)
            else replace(statistics, average=raised, lifted=True)
        )

    def _prior_is_above_the_floor(self, statistics: SufficientStatistics) -> bool:
        """Whether the prior alone raises full scatter above the floor."""
        columns = None if self.prior is None or statistics.average.ndim < 3 else self.prior.columns
        return columns is not None and bool((columns > statistics.counts.max() * self.floor).all())

    def bounded(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """The statistics with their eigenvalues truncated to the ratio.

        The exact optimum where the estimate is the average itself.
        """
        if self.eigenvalue_ratio is None:
            return statistics
        if statistics.average.ndim < 3:
            spreads = truncated(
                statistics.average.reshape(len(statistics.counts), -1),
                statistics.counts,
                self.eigenvalue_ratio,
            )
            return replace(statistics, average=spreads.reshape(statistics.average.shape))
        values, vectors = np.linalg.eigh(statistics.average)
        cut = truncated(np.maximum(values, 0.0), statistics.counts, self.eigenvalue_ratio)
        return replace(statistics, average=along_axes(vectors, cut))

    def allows(self, covariance: Covariance) -> bool:
        """Whether a covariance is within the ratio; a given one may not be."""
        return (
            self.eigenvalue_ratio is None
            or _ratio_of(covariance) <= (1.0 + RATIO_ROUNDING) * self.eigenvalue_ratio
        )

    def at_the_ratio(self, covariance: Covariance) -> bool:
        """Whether the bound on the ratio is active."""
        return (
            self.eigenvalue_ratio is not None
            and _ratio_of(covariance) >= (1.0 - NEAR_RATIO) * self.eigenvalue_ratio
        )

    def check(self, covariance: Covariance) -> Covariance:
        """The covariance itself, if it is regular.

        Raises
        ------
        CollapseError
            Names the first component whose covariance is singular or not finite.
        """
        values = covariance.values
        regular = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if isinstance(covariance, Dense):
            if not self.has_floor or not regular.all():
                regular &= np.array([_resolved(matrix) for matrix in values])
        else:
            regular &= (values > 0).reshape(len(values), -1).all(axis=1)
        if not regular.all():
            raise CollapseError(int(np.argmin(regular)))
        return covariance

    # ---- the objective of an M-step with this regularisation -------------------------------------

    def penalty(self, mixture: Mixture) -> float:
        """The term that is added to the log-likelihood: 0 without a prior."""
        return 0.0 if self.prior is None else self.prior.penalty(mixture.means, mixture.covariance)

    def tilted(self, mixture: Mixture) -> Mixture:
        """The mixture of the E-step under a ridge, with tilted weights that do not sum to one.

        Without a ridge it is the mixture itself.
        """
        if self.ridge == 0:
            return mixture
        covariance = mixture.covariance
        forms = covariance.values.shape[0]
        identity = np.eye(mixture.n_features)
        traces = np.array([(covariance.whiten(k, identity) ** 2).sum() for k in range(forms)])
        weights = mixture.weights * np.maximum(
            np.exp(-0.5 * self.ridge * traces), np.finfo(np.float64).tiny
        )
        return replace(mixture, weights=weights)

    def is_below_floor(self, covariance: Covariance) -> bool:
        """Whether an eigenvalue of a covariance is below the floor by more than rounding."""
        return self.has_floor and bool(
            below(
                covariance, np.full(len(covariance.values), 1.0 - FLOOR_ROUNDING), self.floor
            ).any()
        )

    # ---- the smallest eigenvalues, in units of the floor -----------------------------------------

    def floor_reached(self, covariance: Covariance, margin: float = AT_THE_FLOOR) -> Flags:
        """For each component (K,), whether an eigenvalue is at most ``margin`` times the floor.

        With a ridge, also whether the part of the data in an eigenvalue is below ``1 / margin`` of
        the ridge.
        """
        forms = len(covariance.values)
        near = below(covariance, np.full(forms, margin), self.floor)
        if self.ridge > 0:
            near = near | below(
                covariance,
                np.full(forms, (1.0 + 1.0 / margin) * self.ridge),
                np.ones_like(self.floor),
            )
        return near


def _ratio_of(covariance: Covariance) -> float:
    """The largest eigenvalue of all components over the smallest."""
    values = covariance.values
    spreads = np.linalg.eigvalsh(values) if isinstance(covariance, Dense) else values
    return float(spreads.max() / spreads.min()) if spreads.min() > 0 else float("inf")


def below(covariance: Covariance, bounds: Array, scale: Array) -> Flags:
    """For each component (K,), whether an eigenvalue in units of ``scale`` is at most its bound.

    ``bounds (F,)`` belong to the free covariances.
    """
    if isinstance(covariance, Dense):
        low = np.zeros(len(bounds), dtype=bool)
        at = _first_below(covariance.values, scale, bounds)
        while at >= 0:
            low[at] = True
            rest = _first_below(covariance.values[at + 1 :], scale, bounds[at + 1 :])
            at = at + 1 + rest if rest >= 0 else -1
    else:
        with np.errstate(divide="ignore"):  # a floor of 0 is never reached
            variances = covariance.values.reshape(len(covariance.values), -1) / scale
        low = np.asarray((variances <= bounds[:, None]).any(axis=1))
    return np.asarray(np.broadcast_to(low, covariance.n_components))


def scaled_variances(covariance: Covariance, scale: Array) -> Array:
    """Eigenvalues (K,d), ascending, of the covariances in units of ``scale``."""
    if isinstance(covariance, Dense):
        root = np.sqrt(scale)
        values = np.linalg.eigvalsh(covariance.values / np.outer(root, root))
    else:
        variances = (
            covariance.values
            if covariance.values.ndim == 2
            else np.repeat(covariance.values[:, None], len(scale), 1)
        )
        values = np.sort(variances / scale, axis=1)
    return np.broadcast_to(values, (covariance.n_components, len(scale)))


def _ratio(sums: Array, counts: Array) -> Array:
    """``sums / counts``, with 0 for an empty component."""
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def _resolved(matrix: Array) -> bool:
    """Whether a matrix is positive definite beyond rounding, whatever its units."""
    own = np.diag(matrix)
    return bool(
        np.isfinite(matrix).all()
        and (own > 0).all()
        and _exceeds(UNRESOLVED * len(own), matrix, own)
    )


def _exceeds(floor: float, matrix: Array, scale: Array) -> bool:
    """Whether all eigenvalues of a matrix in units of ``scale`` are above the floor.

    One Cholesky decomposition tells.
    """
    return _first_below(matrix[None], scale, np.array([floor])) < 0


def _first_below_in_numpy(matrices: Array, scale: Array, bounds: Array) -> int:
    """The first matrix (F,d,d) with an eigenvalue, in units of ``scale``, at most its bound (F,);
    -1 where there is none.
    """
    for k, matrix in enumerate(matrices):
        try:
            np.linalg.cholesky(matrix - bounds[k] * np.diag(scale))
        except np.linalg.LinAlgError:
            return k
    return -1


def _first_below_in_cpp(matrices: Array, scale: Array, bounds: Array) -> int:
    """The same, by plain loops where columns are few."""
    if len(scale) >= MANY_COLUMNS:
        return _first_below_in_numpy(matrices, scale, bounds)
    return native.first_below(np.ascontiguousarray(matrices), np.ascontiguousarray(scale), bounds)


_first_below = either(_first_below_in_cpp, _first_below_in_numpy)


def _eigenvalues_above(matrices: Array, floor: Array) -> Array:
    """Matrices (K,d,d) with their eigenvalues in the metric of ``diag(floor)`` raised to one.

    Where all are above one, the same array is returned.
    """
    if _first_below(matrices, floor, np.ones(len(matrices))) < 0:
        return matrices
    root = np.sqrt(floor)
    units = np.outer(root, root)
    lifted = matrices.copy()
    for k, matrix in enumerate(matrices):
        if not _exceeds(1.0, matrix, floor):
            values, vectors = np.linalg.eigh(matrix / units)
            lifted[k] = (vectors * np.maximum(values, 1.0)) @ vectors.T * units
    return lifted
