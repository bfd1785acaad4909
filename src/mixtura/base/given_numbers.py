"""Arrays of numbers from what users pass."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.masked import refuse_masked


def numbers_from(name: str, values: Any) -> Array:
    """The values as an array of numbers of any shape; text and masked entries are refused.

    Raises
    ------
    ValueError
    """
    refuse_masked(name, values)
    try:
        if np.asarray(values).dtype.kind in "US":  # NumPy would read it
            raise TypeError
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, but {reprlib.repr(values)} came.") from None
