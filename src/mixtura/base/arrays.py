"""Type names for NumPy arrays; their shapes are given in the docstrings that use them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
"""Parameters and sums: always float64."""

Rows: TypeAlias = NDArray[np.float64] | NDArray[np.float32]
"""Data (m,d), in their own precision."""

Flags: TypeAlias = NDArray[np.bool_]
"""A boolean per row or component."""

Labels: TypeAlias = NDArray[np.intp]
"""Component numbers (m,), from 0."""


def symmetric(matrices: Array) -> Array:
    """The symmetric part (..., d, d), since rounding may differ above and below the diagonal."""
    return np.asarray(0.5 * (matrices + np.swapaxes(matrices, -1, -2)))
