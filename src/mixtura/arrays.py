"""Names for the arrays that travel through the house (NumPy arrays; shapes stand in the docstrings), and what is done to any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
"""Parameters and sums: always float64."""

Rows: TypeAlias = NDArray[np.float64] | NDArray[np.float32]
"""Data (m,d), in the precision they came in."""

Flags: TypeAlias = NDArray[np.bool_]
"""Yes or no per row or component."""

Labels: TypeAlias = NDArray[np.intp]
"""Component numbers (m,), from 0."""


def symmetric(matrices: Array) -> Array:
    """The symmetric part (..., d, d): rounding may differ above and below the diagonal."""
    return np.asarray(0.5 * (matrices + np.swapaxes(matrices, -1, -2)))


NO_DIRECTION = 1e-12


def orthonormal(spans: Sequence[Array], d: int) -> Array:
    """Vectors (d,) as an orthonormal basis (m, d), by Gram and Schmidt; what adds no direction is left out."""
    basis = np.empty((0, d))
    for v in spans:
        rest = v - basis.T @ (basis @ v)
        length = float(rest @ rest)
        if length > NO_DIRECTION:
            basis = np.vstack([basis, rest / np.sqrt(length)])
    return basis
