"""Conjugate laws of the precision ``Lambda = Sigma^-1``, by the form of the covariances.

    dense        Wishart with nu degrees of freedom and rate matrix T, ``p(Lambda)``
                 proportional to ``|Lambda|^((nu-d-1)/2) exp(-tr(T Lambda)/2)``
    diagonal     an independent ``Gamma(nu/2, T_j/2)`` for each column
    spherical    one ``Gamma(d nu/2, tr T/2)`` for all columns

The scale ``S = T / nu`` is the inverse of the expected precision. Everything that a lower bound
needs depends on nu and on the log-determinant of S.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import digamma, gammaln

from mixtura.base.arrays import Array
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical

LOG_2, LOG_PI = float(np.log(2.0)), float(np.log(np.pi))


class PrecisionLaw(Protocol):
    """A law of precision matrices in d dimensions; ``degrees`` are nu (F,)."""

    def fewest_degrees(self, d: int) -> float:
        """The degrees of freedom of a proper law are above this number."""
        ...

    def expected_log_det(self, degrees: Array, d: int) -> Array:
        """``E log det(Lambda S)`` (F,), which is 0 for many degrees of freedom."""
        ...

    def log_normaliser(self, degrees: Array, log_det: Array, d: int) -> Array:
        """The logarithm (F,) of the integral of the unnormalised density above.

        ``log_det`` (F,) is that of S.
        """
        ...

    def log_det_of_rate(self, rate: Array, degrees: float) -> float:
        """``log det S`` of a law with the rate matrix T (d,d)."""
        ...

    def draw(self, scale: Covariance, degrees: Array, rng: np.random.Generator) -> Covariance:
        """A draw of the covariances; ``degrees`` (F,) for F free ones."""
        ...


class Wishart:
    """The law of full precision matrices."""

    def fewest_degrees(self, d: int) -> float:
        """``d - 1``."""
        return d - 1.0

    def expected_log_det(self, degrees: Array, d: int) -> Array:
        """``sum_i psi((nu + 1 - i) / 2) - d log(nu / 2)``."""
        halves = 0.5 * (degrees[:, None] - np.arange(d))
        return np.asarray(digamma(halves).sum(axis=1) - d * np.log(0.5 * degrees))

    def log_normaliser(self, degrees: Array, log_det: Array, d: int) -> Array:
        """``nu d/2 log 2 - nu/2 log det T + log Gamma_d(nu/2)``."""
        half = 0.5 * degrees
        return np.asarray(
            half * (d * LOG_2 - log_det - d * np.log(degrees))
            + gammaln(half[:, None] - 0.5 * np.arange(d)).sum(axis=1)
            + 0.25 * d * (d - 1) * LOG_PI
        )

    def log_det_of_rate(self, rate: Array, degrees: float) -> float:
        """``log det(T / nu)``."""
        return float(np.linalg.slogdet(rate / degrees)[1])

    def draw(self, scale: Covariance, degrees: Array, rng: np.random.Generator) -> Covariance:
        """By Bartlett's decomposition ``Lambda = W' A A' W / nu`` with ``S^-1 = W' W``."""
        d = scale.n_features
        factors = []
        for whitener, nu in zip(np.atleast_3d(scale.whitener), degrees, strict=True):
            A = np.tril(rng.standard_normal((d, d)), -1)
            A[np.diag_indices(d)] = np.sqrt(rng.chisquare(nu - np.arange(d)))
            factors.append(np.sqrt(nu) * np.linalg.inv(A.T @ whitener))
        roots = np.stack(factors)
        return Dense(roots @ np.swapaxes(roots, 1, 2), scale.n_components)


class ColumnGammas:
    """The law of diagonal precision matrices: independent columns."""

    def fewest_degrees(self, d: int) -> float:
        """0."""
        return 0.0

    def expected_log_det(self, degrees: Array, d: int) -> Array:
        """``d (psi(nu / 2) - log(nu / 2))``."""
        return np.asarray(d * (digamma(0.5 * degrees) - np.log(0.5 * degrees)))

    def log_normaliser(self, degrees: Array, log_det: Array, d: int) -> Array:
        """``sum_j log Gamma(nu/2) - nu/2 log(T_j/2)``."""
        half = 0.5 * degrees
        return np.asarray(d * (gammaln(half) - half * np.log(half)) - half * log_det)

    def log_det_of_rate(self, rate: Array, degrees: float) -> float:
        """``log det(diag(T) / nu)``."""
        return float(np.log(np.diag(rate) / degrees).sum())

    def draw(self, scale: Covariance, degrees: Array, rng: np.random.Generator) -> Covariance:
        """``S_j nu / chi-squared(nu)``."""
        degrees = degrees[:, None]
        chi = rng.chisquare(np.broadcast_to(degrees, scale.values.shape))
        return Diagonal(scale.values * degrees / chi, scale.n_components)


class OneGamma:
    """The law of precisions that all columns share."""

    def fewest_degrees(self, d: int) -> float:
        """0."""
        return 0.0

    def expected_log_det(self, degrees: Array, d: int) -> Array:
        """``d (psi(d nu / 2) - log(d nu / 2))``."""
        shape = 0.5 * d * degrees
        return np.asarray(d * (digamma(shape) - np.log(shape)))

    def log_normaliser(self, degrees: Array, log_det: Array, d: int) -> Array:
        """``log Gamma(d nu/2) - d nu/2 log(tr T/2)``."""
        shape = 0.5 * d * degrees
        return np.asarray(gammaln(shape) - shape * (np.log(shape) + log_det / d))

    def log_det_of_rate(self, rate: Array, degrees: float) -> float:
        """``d log(tr T / (d nu))``."""
        d = len(rate)
        return float(d * np.log(np.trace(rate) / (d * degrees)))

    def draw(self, scale: Covariance, degrees: Array, rng: np.random.Generator) -> Covariance:
        """``s d nu / chi-squared(d nu)``."""
        d = scale.n_features
        shapes = d * degrees
        return Spherical(scale.values * shapes / rng.chisquare(shapes), scale.n_components, d)


LAWS: dict[Scatter, PrecisionLaw] = {
    Scatter.DENSE: Wishart(),
    Scatter.TOTAL: Wishart(),
    Scatter.DIAGONAL: ColumnGammas(),
    Scatter.TRACE: OneGamma(),
}
"""The law of a family's precisions, by what its M-step needs."""

CONJUGATE_FAMILIES = ("EII", "VII", "EEI", "VVI", "EEE", "VVV")
"""Families whose precisions have a conjugate law.

The others share a part of the covariances, volume, shape or axes, and leave another part free; no
law of the precisions has a posterior of its own kind under such a constraint.
"""
