"""Checks of given weights, means, precisions and covariances."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.masked import refuse_masked
from mixtura.base.numbering import component_name
from mixtura.model.moments import Scatter
from mixtura.model.protocols import Family


def check_weights(given: Any, K: int) -> Array:
    """Mixing proportions (K,): positive, summing to one."""
    weights = shaped("weights", given, (K,))
    if abs(weights.sum() - 1.0) < 1e-6:
        weights = weights / weights.sum()  # float32 weights sum to one to their own precision
    if (weights < 0).any() or (weights > 1).any():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{weights.min():.5f}, min value {weights.max():.5f}"
        )
    if abs(weights.sum() - 1.0) > 1e-6:
        raise ValueError(
            "The parameter 'weights' should be normalized, but got sum(weights) = "
            f"{weights.sum():.5f}"
        )
    if not (weights > 0).all():
        raise ValueError(
            f"The parameter 'weights' has a zero at {component_name(np.argmin(weights))}: EM can "
            "never bring such a component back. Give it a small positive weight or reduce "
            "n_components."
        )
    return weights


def check_means(means: Any, K: int, d: int) -> Array:
    """Means (K,d)."""
    return shaped("means", means, (K, d))


def check_matrices(name: str, family: Family, given: Any, shape: tuple[int, ...]) -> Array:
    """Precisions or covariances in their public shape: positive (definite) and symmetric."""
    values = shaped(name, given, shape)
    if family.needs in (Scatter.TRACE, Scatter.DIAGONAL):
        if not (values > 0).all():
            raise ValueError(f"'{name}' should be positive")
        return values
    for matrix in values.reshape(-1, *shape[-2:]):
        if not is_positive_definite(matrix):
            raise ValueError(f"'{name}' should be symmetric, positive-definite")
    return values


def is_positive_definite(matrix: Array) -> bool:
    """Whether a matrix is symmetric and positive definite, in the units of its own diagonal."""
    variances = np.diag(matrix)
    if not (variances > 0).all():
        return False
    units = np.sqrt(np.outer(variances, variances))
    return bool(
        np.allclose(matrix / units, matrix.T / units)
        and (np.linalg.eigvalsh(matrix / units) > 0).all()
    )


def shaped(name: str, values: Any, shape: tuple[int, ...]) -> Array:
    """A copy of finite numbers in this shape."""
    refuse_masked(name, values)
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"The parameter '{name}' should be numbers in the shape of {shape}, but {values!r} came"
        ) from None
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"The parameter '{name}' should be finite, but has NaN or infinity")
    return array
