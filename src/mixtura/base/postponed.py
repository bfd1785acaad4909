"""Warnings of alternatives: only those of the chosen one are shown."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def with_warnings(work: Callable[[], Result]) -> tuple[Result, list[warnings.WarningMessage]]:
    """The result of some work, and its warnings, which are not shown yet."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = work()
    return result, heard


def warn_again(heard: Sequence[warnings.WarningMessage], stacklevel: int = 1) -> None:
    """Show postponed warnings."""
    for one in heard:
        warnings.warn(str(one.message), one.category, stacklevel=stacklevel + 1)
