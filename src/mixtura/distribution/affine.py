"""Affine maps of a mixture: the distribution of ``A x + b``.

Components keep their law: Gaussians and t components map to such, with ``A Sigma A'``. Spherical
covariances stay so where ``A A'`` is a multiple of the identity, and diagonal ones where each row
of A scales one column; else they become dense. The box of a noise term stays a box only where each
row of A scales one column.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.given_numbers import numbers_from
from mixtura.distribution.columns import Names, checked_names
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.mixture_density import Kind
from mixtura.distribution.noise import Noise

ROUNDING = 1e-12
"""Off-diagonal entries below this share of the diagonal are rounding of an orthogonal map."""


def affine(mixture: Kind, A: Any, b: Any, columns: Any) -> Kind:
    """The distribution of ``A x + b``; see :meth:`mixtura.distribution.mixture.Mixture.affine`."""
    d = mixture.n_features
    matrix, per_column = _matrix(A, d), np.ndim(A) < 2
    e = len(matrix)
    shift = numbers_from("b", b)
    if shift.shape not in ((), (e,)) or not np.isfinite(shift).all():
        raise ValueError(
            f"b must be a number or {e} finite numbers, one for each new column, but {b!r} came."
        )
    names: Names | None = checked_names(columns, e)
    noise = mixture.noise and _noise(mixture.noise, matrix, shift)
    return replace(
        mixture,
        means=mixture.means @ matrix.T + shift,
        covariance=_covariance(mixture.covariance, matrix),
        noise=noise,
        columns=mixture.columns if names is None and per_column else names,
    )


def _matrix(A: Any, d: int) -> Array:
    """The map (e,d), from a number, one for each column, or a matrix."""
    values = numbers_from("A", A)
    if values.ndim < 2 and values.shape in ((), (d,)):
        values = np.diag(np.broadcast_to(values, d))
    if values.ndim != 2 or values.shape[1] != d or not 1 <= len(values) <= d:
        raise ValueError(
            f"A must be a number, {d} numbers, or a matrix of {d} columns and at most as many "
            f"rows, but has shape {np.shape(A)}."
        )
    if not np.isfinite(values).all():
        raise ValueError("A must be finite, but has NaN or infinity.")
    largest = np.maximum(np.abs(values).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    rank = int(np.linalg.matrix_rank(values / largest))
    if rank < len(values):
        raise ValueError(
            f"A must have full row rank, but {len(values)} row{'s' * (len(values) > 1)} came of "
            f"rank {rank}: A x + b would have no density. Leave out rows that depend on the others."
        )
    return values


def _scaled_columns(matrix: Array) -> Labels | None:
    """The one column that each row scales (e,); None where a row mixes several."""
    filled = matrix != 0
    return filled.argmax(axis=1) if (filled.sum(axis=1) == 1).all() else None


def _covariance(covariance: Covariance, matrix: Array) -> Covariance:
    """``A Sigma A'`` in the strictest stored form that holds it."""
    K, e, columns = covariance.n_components, len(matrix), _scaled_columns(matrix)
    if isinstance(covariance, Spherical):
        gram = matrix @ matrix.T
        scale = float(np.trace(gram)) / e
        if np.abs(gram - scale * np.eye(e)).max() <= ROUNDING * scale:
            return Spherical(covariance.values * scale, K, e)
        if columns is None:
            return Dense(covariance.values[:, None, None] * gram, K)
        return Diagonal(covariance.values[:, None] * np.diag(gram), K)
    if isinstance(covariance, Diagonal) and columns is not None:
        factors = matrix[np.arange(e), columns] ** 2
        return Diagonal(covariance.values[:, columns] * factors, K)
    each = covariance.values
    roots = matrix * np.sqrt(each)[:, None] if isinstance(covariance, Diagonal) else None
    if roots is not None:
        return Dense(roots @ np.swapaxes(roots, 1, 2), K)
    mapped = matrix @ each @ matrix.T
    return Dense(0.5 * (mapped + np.swapaxes(mapped, 1, 2)), K)


def _noise(noise: Noise, matrix: Array, shift: Array) -> Noise:
    """The box of the noise, whose columns are scaled and moved."""
    columns = _scaled_columns(matrix)
    if columns is None:
        raise ValueError(
            "The noise is uniform over a box along the columns, and a map that mixes columns does "
            "not keep it one. Map mixture.without_noise, or scale and shift single columns."
        )
    factors = matrix[np.arange(len(matrix)), columns]
    return Noise(
        noise.weight,
        noise.log_sides[columns] + np.log(np.abs(factors)),
        noise.centre[columns] * factors + shift,
    )
