"""Which entries of labels and classes mean an unknown class."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from mixtura.base.arrays import Flags


def are_unknown(values: Any, mark: Any = None) -> Flags:
    """Whether each of the values (n,) is None, NaN, NaT, NA of pandas or the mark of the user.

    Integers and floats are compared as arrays: a pass over single values takes more than 100 times
    as long.
    """
    kind, plain = values.dtype.kind, mark is None or isinstance(mark, Real | np.bool_)
    if not plain or kind not in "iuf" or values.dtype.itemsize > np.dtype(float).itemsize:
        flags = (_is_unknown(value, mark) for value in values.tolist())
        return np.fromiter(flags, dtype=bool, count=len(values))
    if kind == "f":  # in double precision, in which a mark of 0.1 is not 0.1 of float32
        values = values.astype(np.float64, copy=False)
    unknown: Flags = values != values
    return unknown if mark is None else unknown | (values == mark)


def _is_unknown(value: Any, mark: Any) -> bool:
    """The rule for one value."""
    if value is None:
        return True
    try:
        return bool(value != value) or (mark is not None and bool(value == mark))
    except TypeError:  # NA of pandas, which is neither equal nor unequal to anything
        return True
