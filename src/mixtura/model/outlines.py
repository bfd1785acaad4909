"""Outlines of components in two of the columns: curves that hold a stated share of a component."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from mixtura.base.arrays import Array
from mixtura.model.mixture import Mixture

CORNERS = 64
"""Points of an outline; on a screen no eye sees the corners."""


def outlines(mixture: Mixture, columns: tuple[int, int], level: float) -> Array:
    """For each component the ellipse that holds ``level`` of it in two columns, whatever the others
    are: (K, CORNERS, 2).

    In these columns a component is a Gaussian, too (its marginal), and its squared Mahalanobis
    distance follows the chi-squared distribution with two degrees of freedom: the ellipse is where
    that reaches ``level``.

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
    circle = radius(level) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(mixture.means[:, None, list(columns)] + circle @ roots(mixture, columns))


def radius(level: float) -> float:
    """How far from the centre, in standard deviations of a plane, the circle is that holds
    ``level``.
    """
    return float(np.sqrt(chi2.ppf(level, 2)))


def roots(mixture: Mixture, columns: tuple[int, int]) -> Array:
    """What makes a unit circle the one-sigma ellipse of each component in two columns: symmetric
    (K, 2, 2).
    """
    return _roots(mixture.marginal(np.array(columns)).covariance.dense())


def intervals(mixture: Mixture, column: int, level: float) -> Array:
    """For each component the central interval that holds ``level`` of it in one column: (K, 2)."""
    line = mixture.marginal(np.array([column]))
    half = np.sqrt(chi2.ppf(level, 1) * line.covariance.dense()[:, 0, 0])
    return np.asarray(line.means + half[:, None] * np.array([-1.0, 1.0]))


def _roots(matrices: Array) -> Array:
    """Symmetric square roots (K,2,2), also of matrices that rounding left without a Cholesky
    factor.
    """
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray(
        (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    )
