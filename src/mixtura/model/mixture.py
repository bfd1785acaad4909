"""The mixture: K weights, means and covariances, with densities, posteriors, samples, marginals.

Every backend must agree with the formulas here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.underflow import ignore_underflow
from mixtura.model.covariance import Covariance

LOG_2PI = float(np.log(2.0 * np.pi))

EQUAL_DECIMALS = 9
"""Mixing proportions that agree to so many decimals count as equal in :meth:`order_by_weight`."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """``p(x) = sum_k weights_k N(x | means_k, covariance_k)``.

    Attributes
    ----------
    weights : (K,)
        Mixing proportions, summing to one.
    means : (K, d)
    covariance : Spherical, Diagonal or Dense
        K covariance matrices in one of the three stored forms.
    """

    weights: Array
    means: Array
    covariance: Covariance

    @property
    def n_components(self) -> int:
        """K."""
        return int(self.means.shape[0])

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.means.shape[1])

    @property
    def log_scale(self) -> Array:
        """``log weights_k - (d log 2 pi + log det Sigma_k) / 2`` (K,): log density at each mean."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        return np.asarray(log_weights - 0.5 * (self.n_features * LOG_2PI + self.covariance.log_det))

    # ---- densities -------------------------------------------------------------------------------

    @ignore_underflow
    def log_joint(self, rows: Rows) -> Array:
        """``log weights_k + log N(x_i | k)`` as (m,K); -inf where a distance overflows.

        Missing entries are NaN: the density is that of the observed columns of a row.
        """
        x = rows.astype(np.float64)
        if np.isnan(x).any():
            return self._log_joint_of_observed(x)
        with np.errstate(over="ignore"):
            columns = [
                scale - 0.5 * (self.covariance.whiten(k, x - self.means[k]) ** 2).sum(axis=1)
                for k, scale in enumerate(self.log_scale)
            ]
        return np.stack(columns, axis=1)

    def _log_joint_of_observed(self, x: Array) -> Array:
        """The same of rows with missing entries, by the marginal mixture of what was observed."""
        patterns, numbers = np.unique(~np.isnan(x), axis=0, return_inverse=True)
        out = np.empty((len(x), self.n_components))
        with np.errstate(divide="ignore"):
            out[:] = np.log(self.weights)
        for pattern, observed in enumerate(patterns):
            rows, columns = np.flatnonzero(numbers.ravel() == pattern), np.flatnonzero(observed)
            if len(columns):
                out[rows] = self.marginal(columns).log_joint(x[np.ix_(rows, columns)])
        return out

    def log_density(self, rows: Rows) -> Array:
        """``log p(x_i)`` as (m,)."""
        return log_density(self.log_joint(rows))

    def posterior(self, rows: Rows) -> Array:
        """``P(component k | x_i)`` as (m,K), rows summing to one; see :func:`posterior`."""
        return posterior(self.log_joint(rows), rows, self)

    # ---- other mixtures from this one ------------------------------------------------------------

    def select(self, components: Labels) -> Mixture:
        """Some components in the order given; fewer than K have renormalised weights."""
        weights = self.weights[components]
        if len(components) < self.n_components:
            weights = weights / weights.sum()
        return Mixture(weights, self.means[components], self.covariance.select(components))

    def order_by_weight(self) -> Labels:
        """The permutation (K,) that sorts components by decreasing weight.

        Equal weights are sorted by their means, first column first.
        """
        columns = [self.means[:, j] for j in reversed(range(self.n_features))]
        return np.lexsort([*columns, -np.round(self.weights, EQUAL_DECIMALS)])

    def marginal(self, columns: Labels) -> Mixture:
        """The mixture of some columns: marginals of Gaussians are Gaussian."""
        return Mixture(self.weights, self.means[:, columns], self.covariance.marginal(columns))

    # ---- sampling --------------------------------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Labels]:
        """n rows (n,d) and the components (n,) they were drawn from, ordered by component."""
        counts = rng.multinomial(n, self.weights / self.weights.sum())
        labels = np.repeat(np.arange(self.n_components), counts)
        factors = np.linalg.cholesky(self.covariance.dense())
        normal = rng.standard_normal((n, self.n_features))
        rows = np.concatenate(
            [
                normal[labels == k] @ factor.T + mean
                for k, (factor, mean) in enumerate(zip(factors, self.means, strict=True))
            ]
        )
        return rows, labels


@ignore_underflow
def log_density(log_joint: Array) -> Array:
    """log-sum-exp over the components: ``log p(x_i)`` from ``(m,K)``."""
    if not log_joint.size:
        return np.zeros(len(log_joint))
    top = log_joint.max(axis=1)
    top[~np.isfinite(top)] = 0.0
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(log_joint - top[:, None]).sum(axis=1)) + top)


@ignore_underflow
def posterior(log_joint: Array, rows: Rows, mixture: Mixture) -> Array:
    """Soft-max over the components, with its limit where every density underflows.

    Where all log densities of a distant row overflow to -inf, the distances grow like ``|t|^2``
    along the ray through the row, and the limit is 1 for the component with the smallest growth.
    The result is never NaN.
    """
    with np.errstate(invalid="ignore"):
        shares = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        r = shares / shares.sum(axis=1, keepdims=True)
    lost = np.flatnonzero(~np.isfinite(log_joint).any(axis=1))
    if len(lost):
        far = np.nan_to_num(rows[lost].astype(np.float64))
        direction = far / np.abs(far).max(axis=1, keepdims=True)
        growth = np.stack(
            [
                (mixture.covariance.whiten(k, direction) ** 2).sum(axis=1)
                for k in range(mixture.n_components)
            ],
            1,
        )
        growth[:, mixture.weights == 0] = np.inf
        nearest = growth <= growth.min(axis=1, keepdims=True) * (1 + 1e-12)
        r[lost] = nearest / nearest.sum(axis=1, keepdims=True)
    return np.asarray(r)
