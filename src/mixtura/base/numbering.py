"""How a reader is told which component, cluster or row is meant.

Components and clusters go by their label, from 0, as ``predict`` gives it; rows from 1, as a reader
of the file counts them below its head. Tables, pictures, pages, files and messages all take their
names from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

FEW = 3
"""So many are named in a sentence; of more it says how many are left."""


def number_of(k: SupportsIndex) -> str:
    """``0`` for the first: what a tick, a legend or the head of a table says."""
    return str(k.__index__())


def component_name(k: SupportsIndex) -> str:
    """``component 0`` for the first."""
    return f"component {number_of(k)}"


def cluster_name(k: SupportsIndex) -> str:
    """``cluster 0`` for the first."""
    return f"cluster {number_of(k)}"


def component_names(ks: Sequence[SupportsIndex]) -> str:
    """``component 2`` or ``component 0, component 2``; of many the first three.

    Examples
    --------
    >>> component_names([0, 2])
    'component 0, component 2'
    """
    more = f" and {len(ks) - FEW} more" if len(ks) > FEW else ""
    return ", ".join(component_name(k) for k in ks[:FEW]) + more


def column_name(what: str, k: SupportsIndex) -> str:
    """``probability_0``: the head of a column that speaks of one component or cluster."""
    return f"{what}_{number_of(k)}"


def row_number(i: SupportsIndex) -> int:
    """1 for the first, which is ``X[0]`` in Python."""
    return i.__index__() + 1


def row_name(i: SupportsIndex) -> str:
    """``row 1`` for the first."""
    return f"row {row_number(i):,}"


def row_numbers(n: int) -> range:
    """The column ``row`` of a file that has a line for each row."""
    return range(row_number(0), row_number(n))


def capitalised(name: str) -> str:
    """``Component 0``: a name at the beginning of a sentence."""
    return name[:1].upper() + name[1:]
