"""NumPy's masked arrays as input: a masked entry must not be read as a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def refuse_masked(name: str, values: Any) -> None:
    """Raise ValueError where entries are masked, also in a list of masked arrays.

    The message names the argument and counts the entries. An array without masked entries passes.
    """
    hidden = sum(int(np.count_nonzero(np.ma.getmask(part))) for part in _masked_parts(values))
    if hidden:
        one_array = (
            ""
            if isinstance(values, np.ma.MaskedArray)
            else f"make one array of the list, np.ma.stack({name}), and "
        )
        rows = ".any(axis=1)" if name == "X" else ""
        raise ValueError(
            f"{name} must have a value in every entry, but {hidden} "
            f"entr{'y is' if hidden == 1 else 'ies are'} masked, which means missing. To go on, "
            f"{one_array}leave these rows out, {name}[~np.ma.getmaskarray({name}){rows}], or fill "
            f"the gaps, {name}.filled(...)."
        )


def _masked_parts(values: Any) -> Iterator[np.ma.MaskedArray[Any, Any]]:
    """The masked arrays in a value, also inside nested lists."""
    if isinstance(values, np.ma.MaskedArray):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            if isinstance(value, np.ma.MaskedArray | list | tuple):
                yield from _masked_parts(value)
