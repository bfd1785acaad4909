"""The names of components, clusters and rows in tables, pictures, pages, files and messages.

Components and clusters are named by their label, from 0, as ``predict`` returns it. Rows are
counted from 1 below the header of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

MOST_NAMED = 3
"""Components that a sentence names; it counts the others."""


def number_of(k: SupportsIndex) -> str:
    """``0`` for the first: the text of a tick, a legend entry or a column header."""
    return str(k.__index__())


def component_name(k: SupportsIndex) -> str:
    """``component 0`` for the first."""
    return f"component {number_of(k)}"


def cluster_name(k: SupportsIndex) -> str:
    """``cluster 0`` for the first."""
    return f"cluster {number_of(k)}"


def component_names(ks: Sequence[SupportsIndex]) -> str:
    """``component 2`` or ``component 0, component 2``; the first three of many.

    Examples
    --------
    >>> component_names([0, 2])
    'component 0, component 2'
    """
    more = f" and {len(ks) - MOST_NAMED} more" if len(ks) > MOST_NAMED else ""
    return ", ".join(component_name(k) for k in ks[:MOST_NAMED]) + more


def column_name(what: str, k: SupportsIndex) -> str:
    """``probability_0``: the header of a column about one component or cluster."""
    return f"{what}_{number_of(k)}"


def row_number(i: SupportsIndex) -> int:
    """1 for the first, which is ``X[0]`` in Python."""
    return i.__index__() + 1


def row_name(i: SupportsIndex) -> str:
    """``row 1`` for the first."""
    return f"row {row_number(i):,}"


def row_numbers(n: int) -> range:
    """The numbers of all rows, as the column ``row`` of a file."""
    return range(row_number(0), row_number(n))


def capitalised(name: str) -> str:
    """``Component 0``: a name with a capital letter, for the beginning of a sentence."""
    return name[:1].upper() + name[1:]
