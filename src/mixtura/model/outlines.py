"""Ellipses in two columns and intervals in one that contain a given share of a component."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, f

from mixtura.base.arrays import Array
from mixtura.distribution.mixture import Mixture

CORNERS = 64
"""Points of an outline, enough for a smooth curve on a screen."""


def outlines(mixture: Mixture, columns: tuple[int, int], level: float) -> Array:
    """For each component the ellipse in two columns that contains ``level`` of it: (K, CORNERS, 2).

    The marginal of a component in two columns is a Gaussian, and its squared Mahalanobis distance
    has the chi-squared distribution with two degrees of freedom; the ellipse is its quantile. That
    of a t component has twice the F distribution with 2 and nu degrees of freedom.

    Examples
    --------
    >>> from mixtura import GaussianMixture
    >>> known = GaussianMixture.from_parameters(
    ...     [1.0], [[0.0, 0.0, 5.0]], [1.0], covariance_type="spherical"
    ... )
    >>> radius = np.linalg.norm(outlines(known.mixture_, (0, 1), 0.5), axis=2)
    >>> bool(np.allclose(radius, np.sqrt(2 * np.log(2))))
    True
    """
    angles = np.linspace(0.0, 2.0 * np.pi, CORNERS)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ellipses = (_radii(mixture, 2, level)[:, None, None] * circle) @ roots(mixture, columns)
    return np.asarray(mixture.means[:, None, list(columns)] + ellipses)


def radius(level: float) -> float:
    """Radius of the circle that contains ``level`` of a standard Gaussian in two columns."""
    return float(np.sqrt(chi2.ppf(level, 2)))


def roots(mixture: Mixture, columns: tuple[int, int]) -> Array:
    """Symmetric square roots (K, 2, 2) of the covariances in two columns.

    They map the unit circle to the one-sigma ellipse of each component.
    """
    return _roots(mixture.marginal(np.array(columns)).covariance.dense())


def intervals(mixture: Mixture, column: int, level: float) -> Array:
    """For each component the central interval in one column with ``level`` of it: (K, 2)."""
    line = mixture.marginal(np.array([column]))
    half = _radii(mixture, 1, level) * np.sqrt(line.covariance.dense()[:, 0, 0])
    return np.asarray(line.means + half[:, None] * np.array([-1.0, 1.0]))


def _radii(mixture: Mixture, d: int, level: float) -> Array:
    """Mahalanobis distances (K,) that ``level`` of each component in d columns does not exceed."""
    if mixture.tails is None:
        return np.full(mixture.n_components, np.sqrt(chi2.ppf(level, d)))
    return np.sqrt(d * f.ppf(level, d, mixture.tails))


def _roots(matrices: Array) -> Array:
    """Symmetric square roots (K,2,2), also of matrices that are singular to rounding."""
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray(
        (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    )
