"""The mixture as EM sees it: K weights, means and covariances, perhaps with a noise term.

It has densities, posteriors, samples and marginals. Every backend must agree with the formulas
here. The public distribution is in :mod:`mixtura.distribution.mixture`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.columns import column_numbers, names_of
from mixtura.distribution.covariance import Covariance
from mixtura.distribution.noise import Noise
from mixtura.distribution.t_density import log_fall, log_peak

LOG_2PI = float(np.log(2.0 * np.pi))

EQUAL_DECIMALS = 9
"""Mixing proportions that agree to so many decimals count as equal in :meth:`order_by_weight`."""

NOISE_LABEL = -1
"""The label of rows that belong to the noise."""


MOST_NAMES = 8
"""Names of columns in a repr."""

Kind = TypeVar("Kind", bound="MixtureDensity")
"""A mixture makes others of its own class."""


@dataclass(frozen=True, eq=False, repr=False)
class MixtureDensity:
    """``p(x) = sum_k weights_k N(x | means_k, covariance_k)``, perhaps with a noise term.

    With noise, log joint densities and posteriors have K + 1 columns, the noise last. The
    attributes are those of :class:`mixtura.distribution.mixture.Mixture`.
    """

    weights: Array
    means: Array
    covariance: Covariance
    noise: Noise | None = None
    tails: Array | None = None
    columns: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._summary})"

    @property
    def _summary(self) -> str:
        """``3 t components and noise, 2 columns: eruptions, waiting``."""
        K, d = self.n_components, self.n_features
        kind = "" if self.tails is None else "t "
        noise = "" if self.noise is None else " and noise"
        names = ""
        if self.columns is not None:
            more = [f"and {d - MOST_NAMES} more"] if d > MOST_NAMES else []
            names = ": " + ", ".join([*self.columns[:MOST_NAMES], *more])
        components = f"{K} {kind}component{'s' * (K > 1)}{noise}"
        return f"{components}, {d} column{'s' * (d > 1)}{names}"

    @property
    def covariances(self) -> Array:
        """Covariance matrices (K,d,d) of the components; scale matrices of t components."""
        return np.array(self.covariance.dense())

    @property
    def is_plain(self) -> bool:
        """Whether it is of Gaussian components alone, without noise."""
        return self.noise is None and self.tails is None

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
        if self.tails is not None:
            peak = log_peak(self.tails, self.n_features)
            return np.asarray(log_weights + peak - 0.5 * self.covariance.log_det)
        return np.asarray(log_weights - 0.5 * (self.n_features * LOG_2PI + self.covariance.log_det))

    # ---- densities -------------------------------------------------------------------------------

    @ignore_underflow
    def log_joint(self, rows: Rows) -> Array:
        """``log weights_k + log p(x_i | k)`` as (m,K); -inf where a distance overflows.

        Missing entries are NaN: the density is that of the observed columns of a row. With noise
        there is one more column, its log joint density.
        """
        if np.isnan(rows).any():
            return self._log_joint_of_observed(rows.astype(np.float64))
        squared = self.squared_distances(rows)
        if self.tails is None:
            own = self.log_scale - 0.5 * squared
        else:
            own = self.log_scale + log_fall(squared, self.tails, self.n_features)
        if self.noise is None:
            return np.asarray(own)
        return np.column_stack([own, np.full(len(own), self.noise.log_joint)])

    @ignore_underflow
    def squared_distances(self, rows: Rows) -> Array:
        """Squared Mahalanobis distances of complete rows from every mean (m,K)."""
        x = rows.astype(np.float64)
        with np.errstate(over="ignore"):
            columns = [
                (self.covariance.whiten(k, x - mean) ** 2).sum(axis=1)
                for k, mean in enumerate(self.means)
            ]
        return np.stack(columns, axis=1)

    def _log_joint_of_observed(self, x: Array) -> Array:
        """The same of rows with missing entries, by the marginal mixture of what was observed."""
        patterns, numbers = np.unique(~np.isnan(x), axis=0, return_inverse=True)
        K, noise = self.n_components, self.noise
        out = np.empty((len(x), K + (noise is not None)))
        with np.errstate(divide="ignore"):
            out[:, :K] = np.log(self.weights)
        if noise is not None:
            out[:, K] = noise.log_weight
        for pattern, observed in enumerate(patterns):
            rows, columns = np.flatnonzero(numbers.ravel() == pattern), np.flatnonzero(observed)
            if len(columns):
                out[rows] = self.marginal(columns).log_joint(x[np.ix_(rows, columns)])
        return out

    def log_density(self, rows: Rows) -> Array:
        """``log p(x_i)`` as (m,)."""
        return log_density(self.log_joint(rows))

    def posterior(self, rows: Rows) -> Array:
        """``P(component k | x_i)`` as (m,K), rows summing to one; see :func:`posterior`.

        With noise there is one more column, its probability.
        """
        return posterior(self.log_joint(rows), rows, self)

    # ---- other mixtures from this one ------------------------------------------------------------

    def select(self: Kind, components: Labels) -> Kind:
        """Some components in the order given; fewer than K have renormalised weights.

        The noise keeps its weight.
        """
        weights = self.weights[components]
        if len(components) < self.n_components:
            weights = weights * (self.weight_of_components / weights.sum())
        return replace(
            self,
            weights=weights,
            means=self.means[components],
            covariance=self.covariance.select(components),
            tails=None if self.tails is None else self.tails[components],
        )

    @property
    def weight_of_components(self) -> float:
        """The sum of the weights of the components: one without noise."""
        return 1.0 if self.noise is None else 1.0 - self.noise.weight

    @property
    def without_noise(self: Kind) -> Kind:
        """The mixture of the components alone; itself where there is no noise.

        Where all weight is that of the noise, they have equal weights.
        """
        if self.noise is None:
            return self
        weights = self.weights if self.weights.any() else np.ones_like(self.weights)
        return replace(self, weights=weights / weights.sum(), noise=None)

    def order_by_weight(self) -> Labels:
        """The permutation (K,) that sorts components by decreasing weight.

        Equal weights are sorted by their means, first column first.
        """
        columns = [self.means[:, j] for j in reversed(range(self.n_features))]
        return np.lexsort([*columns, -np.round(self.weights, EQUAL_DECIMALS)])

    def marginal(self: Kind, columns: Any) -> Kind:
        """The mixture of some columns, by their numbers or names, in the order asked.

        Marginals of Gaussians are Gaussian, those of t components are t with the same degrees of
        freedom, and the noise is uniform in each column.

        Raises
        ------
        ValueError
            For a column that does not exist or comes twice, or for none.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> round_one = Mixture.from_parameters(
        ...     [1.0], [[3.0, 70.0]], [[1.0, 25.0]], covariance_type="diag",
        ...     columns=["eruptions", "waiting"],
        ... )
        >>> round_one.marginal("waiting").std().tolist()
        [5.0]
        """
        numbers = column_numbers(columns, self.columns, self.n_features)
        return replace(
            self,
            means=self.means[:, numbers],
            covariance=self.covariance.marginal(numbers),
            noise=None if self.noise is None else self.noise.marginal(numbers),
            columns=names_of(numbers, self.columns),
        )

    # ---- sampling --------------------------------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Labels]:
        """n rows (n,d) and the components (n,) they were drawn from, ordered by component.

        Rows of the noise come last, with the label -1.
        """
        if self.noise is not None:
            n_noise = int(rng.binomial(n, self.noise.weight))
            rows, labels = self.without_noise.sample(n - n_noise, rng)
            return (
                np.concatenate([rows, self.noise.sample(n_noise, rng)]),
                np.concatenate([labels, np.full(n_noise, NOISE_LABEL)]),
            )
        counts = rng.multinomial(n, self.weights / self.weights.sum())
        labels = np.repeat(np.arange(self.n_components), counts)
        return self.rows_of(labels, rng), labels

    def rows_of(self, labels: Labels, rng: np.random.Generator) -> Array:
        """One random row of each of these components (n,d), which come in rising order."""
        factors = np.linalg.cholesky(self.covariance.dense())
        normal = rng.standard_normal((len(labels), self.n_features))
        if self.tails is not None:  # x = mean + L z / sqrt(U), nu U ~ chi-squared
            own = self.tails[labels]
            normal /= np.sqrt(rng.chisquare(own) / own)[:, None]
        return np.concatenate(
            [
                normal[labels == k] @ factor.T + mean
                for k, (factor, mean) in enumerate(zip(factors, self.means, strict=True))
            ]
        )


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
def posterior(log_joint: Array, rows: Rows, mixture: MixtureDensity) -> Array:
    """Soft-max over the columns, with its limit where every density underflows.

    Where all log densities of a distant row overflow to -inf, the distances grow like ``|t|^2``
    along the ray through the row, and the limit is 1 for the component with the smallest growth.
    The result is never NaN.
    """
    columns = np.ascontiguousarray(log_joint.T)  # sums over its rows are three times as fast
    top = columns.max(axis=0)
    with np.errstate(invalid="ignore"):
        shares = columns - top
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
    r = np.ascontiguousarray(shares.T)
    lost = np.flatnonzero(~np.isfinite(top))
    if len(lost):
        far = np.nan_to_num(rows[lost].astype(np.float64))
        size = np.abs(far).max(axis=1, keepdims=True)
        direction = far / np.where(size > 0, size, 1.0)
        growth = np.stack(
            [
                (mixture.covariance.whiten(k, direction) ** 2).sum(axis=1)
                for k in range(mixture.n_components)
            ],
            1,
        )
        growth[:, mixture.weights == 0] = np.inf
        nearest = growth <= growth.min(axis=1, keepdims=True) * (1 + 1e-12)
        r[lost] = 0.0
        r[lost, : mixture.n_components] = nearest / nearest.sum(axis=1, keepdims=True)
    return np.asarray(r)


def labels_of(shares: Array, mixture: MixtureDensity) -> Labels:
    """The most probable component of each row (m,), -1 for the noise.

    ``shares`` are posteriors or log joint densities of the mixture.
    """
    labels: Labels = shares.argmax(axis=1)
    if mixture.noise is not None:
        labels = np.where(labels == mixture.n_components, NOISE_LABEL, labels)
    return labels
