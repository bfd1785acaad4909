"""NumPy's masked arrays at the door: what is masked must not be read through the mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def refuse_masked(name: str, values: Any) -> None:
    """A masked entry is a missing one, also in a list of masked arrays; where nothing is masked,
    the array is its data.

    Raises
    ------
    ValueError
        That names the argument, and counts the entries.
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
            f"{name} must hold a value in every entry, but {hidden} masked "
            f"entr{'y' if hidden == 1 else 'ies'} came, and masked is "
            f"missing. To go on, {one_array}leave these rows out, "
            f"{name}[~np.ma.getmaskarray({name}){rows}], or fill the gaps, "
            f"{name}.filled(...)."
        )


def _masked_parts(values: Any) -> Iterator[np.ma.MaskedArray[Any, Any]]:
    """Masked arrays, in lists as deep as a table is."""
    if isinstance(values, np.ma.MaskedArray):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            if isinstance(value, np.ma.MaskedArray | list | tuple):
                yield from _masked_parts(value)
