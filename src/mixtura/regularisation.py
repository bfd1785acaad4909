"""What keeps a covariance away from zero: a floor, a ridge, or shrinkage. An M-step asks here for its estimate.

With ``S = W / n`` the maximum-likelihood estimate from scatter ``W`` and count ``n``, the estimate given out is

    floor      the maximiser over all Sigma with ``Sigma - floor * diag(scale)`` positive semi-definite. The eigenvalues
               of S in units of the data's own standard deviations are lifted to at least ``floor``: exact, so the
               likelihood never falls, and nothing changes while S is above the floor
    ridge      ``S + ridge * identity``, scikit-learn's ``reg_covar``: every row is a small cloud of that variance. It is
               the exact maximiser when a row's density is its average log density over the cloud, that is with each
               component's weight tilted by ``exp(-ridge/2 tr Sigma_k^-1)``; so the objective still never falls. It
               depends on the units by its nature
    shrinkage  ``(W + rows * diag(scale)) / (n + rows)``, the maximiser under the penalty
               ``-rows/2 (log det Sigma + tr(Sigma^-1 diag(scale)))``: as if ``rows`` more rows had been seen that
               spread like the whole data with independent columns
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.arrays import Array, Flags
from mixtura.covariance import Covariance, Dense
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture

SMALLEST_EIGENVALUE = 1e-12
"""The relative floor: variances below 1e-12 of a column's variance (a millionth of its standard deviation) are noise."""

UNRESOLVED = 1e-15
"""Relative to a component's own scale, an eigenvalue below this is rounding, and its sign means nothing."""


@dataclass(frozen=True, eq=False)
class Regularisation:
    """Floor, ridge and shrinkage for one data set.

    Attributes
    ----------
    scale : (d,)
        Variances of the columns of the data: the units of ``floor`` and of the shrinkage target.
    floor : float
        Smallest eigenvalue allowed, in those units; 0 for none.
    ridge : float
        Added to every variance, in squared units of the data; 0 for none.
    pseudo_rows : float
        Strength of the shrinkage in rows; 0 for none.
    """

    scale: Array
    floor: float = SMALLEST_EIGENVALUE
    ridge: float = 0.0
    pseudo_rows: float = 0.0

    # ---- estimates ---------------------------------------------------------------------------------------------

    def spherical(self, scatter: Array, counts: Array) -> Array:
        """Variances (K,) from traces of the scatter (K,) and counts (K,)."""
        d = len(self.scale)
        pooled = scatter + self.pseudo_rows * self.scale.sum()
        return self._above_floor(_ratio(pooled, d * (counts + self.pseudo_rows)), self.floor * self.scale.max())

    def diagonal(self, scatter: Array, counts: Array) -> Array:
        """Variances (K,d) from scatter diagonals (K,d) and counts (K,)."""
        pooled = scatter + self.pseudo_rows * self.scale
        return self._above_floor(_ratio(pooled, (counts + self.pseudo_rows)[:, None]), self.floor * self.scale)

    def dense(self, scatter: Array, counts: Array) -> Array:
        """Covariances (K,d,d) from scatter matrices (K,d,d) and counts (K,)."""
        d = len(self.scale)
        pooled = scatter + self.pseudo_rows * np.diag(self.scale)
        matrices = _ratio(pooled, (counts + self.pseudo_rows)[:, None, None]) + self.ridge * np.eye(d)
        if self.floor > 0:
            return _eigenvalues_above(self.floor, matrices, self.scale)
        for k, matrix in enumerate(matrices):
            own = np.diag(matrix)
            if not (own > 0).all() or not _exceeds(UNRESOLVED * d, matrix, own):
                raise CollapseError(k)
        return matrices

    def _above_floor(self, variances: Array, floor: Array | float) -> Array:
        """Variances with the ridge added and the floor kept; without both, a zero variance is a collapse."""
        variances = np.maximum(variances + self.ridge, floor)
        if not (variances > 0).all():
            raise CollapseError(int(np.argwhere(~(variances > 0))[0, 0]))
        return np.asarray(variances)

    # ---- the objective that an M-step with this regularisation raises -------------------------------------------

    def penalty(self, covariance: Covariance) -> float:
        """What is added to the log-likelihood: 0 without shrinkage."""
        if self.pseudo_rows == 0:
            return 0.0
        forms = covariance.values.shape[0]
        root = np.diag(np.sqrt(self.scale))
        fit = sum(float((covariance.whiten(k, root) ** 2).sum()) for k in range(forms))
        return -0.5 * self.pseudo_rows * (float(covariance.log_det[:forms].sum()) + fit)

    def tilted(self, mixture: Mixture) -> Mixture:
        """The mixture whose E-step belongs to a ridge; the same one without a ridge. Its weights do not sum to one."""
        if self.ridge == 0:
            return mixture
        covariance = mixture.covariance
        forms = covariance.values.shape[0]
        identity = np.eye(mixture.n_features)
        traces = np.array([(covariance.whiten(k, identity) ** 2).sum() for k in range(forms)])
        weights = mixture.weights * np.maximum(np.exp(-0.5 * self.ridge * traces), np.finfo(np.float64).tiny)
        return Mixture(weights, mixture.means, covariance)

    # ---- the smallest directions, in units of the data ----------------------------------------------------------

    def floor_reached(self, covariance: Covariance, margin: float) -> Flags:
        """Per component (K,), whether an eigenvalue lies within ``margin`` times the floor.

        A ridge is no floor but a summand: with one, whether the data's own part is below ``1 / margin`` of it.
        """
        near = _floored(covariance, margin * self.floor, self.scale)
        if self.ridge > 0:
            near = near | _floored(covariance, (1.0 + 1.0 / margin) * self.ridge, np.ones_like(self.scale))
        return near


def _floored(covariance: Covariance, bound: float, scale: Array) -> Flags:
    """Per component (K,), whether an eigenvalue in units of ``scale`` is at most ``bound``."""
    if isinstance(covariance, Dense):
        low = np.array([not _exceeds(bound, matrix, scale) for matrix in covariance.values])
    else:
        variances = covariance.values if covariance.values.ndim == 2 else covariance.values[:, None]
        low = np.asarray((variances <= bound * scale).any(axis=1))
    return np.asarray(np.broadcast_to(low, covariance.n_components))


def scaled_axes(covariance: Covariance, scale: Array) -> tuple[Array, Array]:
    """Eigenvalues (K,d), ascending, and eigenvectors (K,d,d) of the covariances in units of ``scale``."""
    first = covariance.values.shape[0]
    if isinstance(covariance, Dense):
        root = np.sqrt(scale)
        values, vectors = np.linalg.eigh(covariance.values / np.outer(root, root))
    else:
        variances = covariance.values if covariance.values.ndim == 2 else np.repeat(covariance.values[:, None], len(scale), 1)
        order = np.argsort(variances / scale, axis=1)
        values = np.take_along_axis(variances / scale, order, axis=1)
        vectors = np.swapaxes(np.eye(len(scale))[order], 1, 2)
    K, d = covariance.n_components, len(scale)
    if first == K:
        return values, vectors
    return np.broadcast_to(values, (K, d)), np.broadcast_to(vectors, (K, d, d))


def _ratio(sums: Array, counts: Array) -> Array:
    """``sums / counts``, with 0 for an empty component."""
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def _exceeds(floor: float, matrix: Array, scale: Array) -> bool:
    """Whether all eigenvalues of a matrix in units of ``scale`` are above the floor: one Cholesky, no eigenvalues."""
    root = np.sqrt(scale)
    try:
        np.linalg.cholesky(matrix / np.outer(root, root) - floor * np.eye(len(scale)))
    except np.linalg.LinAlgError:
        return False
    return True


def _eigenvalues_above(floor: float, matrices: Array, scale: Array) -> Array:
    """Matrices (K,d,d) with their eigenvalues in units of ``scale`` lifted to the floor; untouched when above it."""
    root = np.sqrt(scale)
    units = np.outer(root, root)
    try:
        np.linalg.cholesky(matrices / units - floor * np.eye(len(scale)))
        return matrices
    except np.linalg.LinAlgError:
        pass
    lifted = matrices.copy()
    for k, matrix in enumerate(matrices):
        if not _exceeds(floor, matrix, scale):
            values, vectors = np.linalg.eigh(matrix / units)
            lifted[k] = (vectors * np.maximum(values, floor)) @ vectors.T * units
    return lifted
