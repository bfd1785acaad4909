"""A number too small for a double is nought: what the doors of the library promise, whatever NumPy
was told to raise.

The soft-max of a row that is far from a component has a share of 1e-400, and nought is its right
value. Whoever runs under ``np.errstate(all="raise")`` to find errors of their own is not to be
stopped by that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def underflow_is_nought(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The same function, in which underflow is no error; the state of the caller comes back with
    the answer.
    """

    @wraps(function)
    def calm(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return calm
