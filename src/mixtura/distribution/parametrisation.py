"""Conversion between the three stored forms of covariances and scikit-learn's array shapes.

full, any ellipsoid    (K, d, d)        diag        (K, d)        spherical        (K,)
tied                   (d, d)           tied_diag   (d,)          tied_spherical   ()
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical


def _is_shared(family: str) -> bool:
    """Whether one covariance serves all components: no letter varies."""
    return "V" not in family


def _scatter(family: str) -> Scatter:
    """What the covariances of a family hold: one variance, one of each column, or a matrix."""
    if family.endswith("II"):
        return Scatter.TRACE
    return Scatter.DIAGONAL if family.endswith("I") else Scatter.DENSE


def public_shape(family: str, K: int, d: int) -> tuple[int, ...]:
    """Shape of ``covariances_`` and ``precisions_`` for a family."""
    needs = _scatter(family)
    each = {Scatter.TRACE: (), Scatter.DIAGONAL: (d,)}.get(needs, (d, d))
    return each if _is_shared(family) else (K, *each)


def public_covariances(family: str, covariance: Covariance) -> Array:
    """``covariances_``."""
    return _public(family, covariance.values)


def public_precisions(family: str, covariance: Covariance) -> Array:
    """``precisions_``: inverse covariances."""
    if isinstance(covariance, Dense):
        return _public(family, np.swapaxes(covariance.whitener, 1, 2) @ covariance.whitener)
    return _public(family, 1.0 / covariance.values)


def public_whitener(family: str, covariance: Covariance) -> Array:
    """``precisions_cholesky_``, such that ``precision = P P'``.

    P is upper triangular for ellipsoids, and the reciprocal standard deviations otherwise.
    """
    whitener = covariance.whitener
    return _public(
        family, np.swapaxes(whitener, 1, 2) if isinstance(covariance, Dense) else whitener
    )


def stored_covariances(family: str, values: Array, K: int, d: int) -> Covariance:
    """The stored form of ``covariances_``."""
    values = values[None] if _is_shared(family) else values
    needs = _scatter(family)
    if needs is Scatter.TRACE:
        return Spherical(values, K, d)
    return Diagonal(values, K) if needs is Scatter.DIAGONAL else Dense(values, K)


def stored_precisions(family: str, values: Array, K: int, d: int) -> Covariance:
    """The stored form of ``precisions_``."""
    inverse = (
        1.0 / values
        if len(public_shape(family, K, d)) < 2 or _scatter(family) is Scatter.DIAGONAL
        else np.linalg.inv(values)
    )
    return stored_covariances(family, np.asarray(inverse), K, d)


def stored_whitener(family: str, values: Array, K: int, d: int) -> Covariance:
    """The stored form of ``precisions_cholesky_``, which is kept bit for bit for ellipsoids."""
    if _scatter(family) in (Scatter.TRACE, Scatter.DIAGONAL):
        return stored_covariances(family, 1.0 / values**2, K, d)
    lower = np.ascontiguousarray(np.swapaxes(values, -1, -2))
    return Dense.from_whitener(lower[None] if _is_shared(family) else lower, K)


def _public(family: str, values: Array) -> Array:
    """Without the first axis where all components share one covariance."""
    return np.asarray(values[0] if _is_shared(family) else values)
