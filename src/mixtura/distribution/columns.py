"""Columns of a mixture by their numbers or names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.base.random_states import is_bool

Names = tuple[str, ...]

MOST_LISTED = 12
"""Names of columns that a message lists."""


def checked_names(names: Any, d: int) -> Names | None:
    """Names of d columns, all different; None where there are none."""
    if names is None:
        return None
    if isinstance(names, str):
        names = (names,)
    known = tuple(str(name) for name in names)
    if len(known) != d or len(set(known)) != d:
        raise ValueError(
            f"columns must be {d} different names, one for each column, but {list(known)!r} came."
        )
    return known


def column_numbers(asked: Any, names: Names | None, d: int) -> Labels:
    """Numbers (c,) of d columns that were asked for by number or name, in the order asked.

    Raises
    ------
    ValueError
        For a column that does not exist, comes twice, or for none at all.

    Examples
    --------
    >>> column_numbers(["waiting", 0], ("eruptions", "waiting"), 2).tolist()
    [1, 0]
    """
    if isinstance(asked, np.ndarray) and asked.ndim == 1 and asked.dtype.kind == "i":
        numbers: Any = asked
        if len(asked) and not 0 <= asked.min() <= asked.max() < d:
            numbers = [_number(int(one), names, d) for one in asked]
    else:
        several = isinstance(asked, Sequence | np.ndarray) and not isinstance(asked, str)
        each = asked if several or _is_collection(asked) else [asked]
        numbers = [_number(one, names, d) for one in each]
    found = np.asarray(numbers, dtype=np.intp)
    if not len(found):
        raise ValueError(
            f"columns must name at least one column, but none came. {_known(names, d)}"
        )
    if len(np.unique(found)) < len(found):
        twice = next(j for j in found.tolist() if (found == j).sum() > 1)
        raise ValueError(
            f"columns must be different, but {_shown(twice, names)} came more than once."
        )
    return found


def other_columns(numbers: Labels, d: int) -> Labels:
    """The columns that are not among these, in rising order."""
    return np.setdiff1d(np.arange(d), numbers)


def names_of(numbers: Labels, names: Names | None) -> Names | None:
    """The names of some columns."""
    return None if names is None else tuple(names[j] for j in numbers.tolist())


def _is_collection(asked: Any) -> bool:
    """Whether it has columns in it: a set, an index of pandas, the keys of a dictionary."""
    return hasattr(asked, "__iter__") and not isinstance(asked, str | bytes)


def _number(one: Any, names: Names | None, d: int) -> int:
    """The number of one column."""
    if isinstance(one, str):
        if names is not None and one in names:
            return names.index(one)
        near = get_close_matches(one, names or (), n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"There is no column {one!r}.{guess} {_known(names, d)}")
    if isinstance(one, Integral) and not is_bool(one) and 0 <= int(one) < d:
        return int(one)
    raise ValueError(
        f"A column must be a number from 0 to {d - 1} or a name, but {one!r} came. "
        f"{_known(names, d)}"
    )


def _shown(number: int, names: Names | None) -> str:
    return f"column {number}" if names is None else f"column {names[number]!r}"


def _known(names: Names | None, d: int) -> str:
    """A sentence about the columns there are."""
    if names is None:
        return f"The mixture has {d} column{'s' * (d > 1)} without names."
    more = f" and {d - MOST_LISTED} more" if d > MOST_LISTED else ""
    return f"Known columns: {', '.join(names[:MOST_LISTED])}{more}."
