"""Checks of given weights, means, precisions, covariances and degrees of freedom."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.masked import refuse_masked
from mixtura.base.numbering import component_name


def check_proportions(given: Any, K: int, total: float = 1.0) -> Array:
    """Mixing proportions (K,): not negative, with this sum."""
    weights = shaped("weights", given, (K,))
    if weights.sum() > 0 and abs(weights.sum() - total) < 1e-6:
        weights = weights * (total / weights.sum())  # float32 weights have this sum to 1e-7
    if (weights < 0).any() or (weights > 1).any():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{weights.min():.5f}, min value {weights.max():.5f}"
        )
    if abs(weights.sum() - total) > 1e-6:
        raise ValueError(
            "The parameter 'weights' should be normalized, but got sum(weights) = "
            f"{weights.sum():.5f}" + (f" in place of {total:.5f}" if total != 1.0 else "")
        )
    return weights


def check_weights(given: Any, K: int) -> Array:
    """Mixing proportions (K,) for EM: positive, summing to one."""
    weights = check_proportions(given, K)
    if not (weights > 0).all():
        raise ValueError(
            f"The parameter 'weights' has a zero at {component_name(np.argmin(weights))}: EM can "
            "never bring such a component back. Give it a small positive weight or reduce "
            "n_components."
        )
    return weights


def shape_of_means(means: Any) -> tuple[int, int]:
    """K and d of given means (K,d)."""
    shape = np.shape(means)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            "means must have the shape (n_components, n_features), but has shape "
            f"{shape}. Pass one row per component."
        )
    return shape[0], shape[1]


def check_means(means: Any, K: int, d: int) -> Array:
    """Means (K,d)."""
    return shaped("means", means, (K, d))


def check_matrices(name: str, family: str, given: Any, shape: tuple[int, ...]) -> Array:
    """Precisions or covariances in their public shape: positive (definite) and symmetric."""
    values = shaped(name, given, shape)
    if family.endswith("I"):
        if not (values > 0).all():
            raise ValueError(f"'{name}' should be positive")
        return values
    for k, matrix in enumerate(values.reshape(-1, *shape[-2:])):
        if not is_positive_definite(matrix):
            which = f", but that of {component_name(k)} is not" if len(shape) == 3 else ""
            raise ValueError(f"'{name}' should be symmetric, positive-definite{which}")
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


def given_degrees(asked: Any) -> Array:
    """Degrees of freedom that are not estimated: a number () or an array (K,)."""
    if np.ndim(asked) > 1 or np.asarray(asked).dtype.kind not in "fiu":
        raise ValueError(
            "degrees_of_freedom must be 'free', 'equal', a number above 0 or one for each "
            f"component, but {asked!r} came. 'free' estimates one for each component, 'equal' one "
            "for all of them."
        )
    given = np.asarray(asked, dtype=np.float64)
    if not (np.isfinite(given) & (given > 0)).all():
        raise ValueError(
            f"degrees_of_freedom must be above 0 and finite, but {asked!r} came. A GaussianMixture "
            "has infinitely many."
        )
    return given


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
