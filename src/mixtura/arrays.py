"""Names for the arrays that travel through the house (all are NumPy arrays; shapes stand in the docstrings)."""

from __future__ import annotations

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
