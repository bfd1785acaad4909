"""Underflow to zero is no error in the public functions, whatever ``np.seterr`` says.

A row far from a component has a responsibility of about 1e-400, and zero is its right value. A
caller who runs under ``np.errstate(all="raise")`` to find errors of their own is not stopped by it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def ignore_underflow(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """A decorator: underflow inside the function is ignored; the caller's setting is kept."""

    @wraps(function)
    def wrapped(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return wrapped
