"""The table that a command reads: which columns are used, and messages in its words."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtura.cli.words import counted

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.cli.console import Plain
    from mixtura.inputs.tables import Table

STANDARD_INPUT = "<standard input>"
"""The table reader takes it for "-", which the parser of the command line takes for an option."""

FEW_VALUES, MANY_ROWS = 5, 30
"""A column with so few values in so many rows is probably a category."""


@dataclass(frozen=True)
class Data:
    """The table, the numbers in it, and where they came from."""

    table: Table
    X: Array
    names: tuple[str, ...]
    left_out: list[tuple[str, str]]
    truth: list[str] | None = None


def read_data(data: str, columns: str | None, out: Plain, truth: str | None = None) -> Data:
    """Read a table and say which columns are used; the column ``truth`` holds known groups and is
    never one of them.
    """
    from mixtura.base.errors import DataError
    from mixtura.inputs.reading import read_table

    table = read_table(data, truth)
    groups = None if truth is None else table.groups(truth)
    table = table if truth is None else table.without(truth)
    wanted = (
        None
        if columns is None
        else [name.strip() for name in next(csv.reader([columns], skipinitialspace=True), [])]
    )
    X, names, left_out = table.numeric(wanted)
    if len(X) < 2:
        raise DataError(
            f"{table.source}: expected at least two rows to cluster, but there is one. Give more "
            "rows."
        )
    constant = [
        name for name, values in zip(names, X.T, strict=True) if values.min() == values.max()
    ]
    if constant:
        raise DataError(
            f"{table.source}: expected columns that tell rows apart, but {constant[0]!r} has the "
            "same value in every row. "
            "Leave it out of --columns."
        )
    out.say(
        f"{table.source}: {len(X)} rows; {counted(len(names), 'column')} used: {', '.join(names)}"
    )
    for name, reason in left_out if columns is None else []:
        out.say(f"left out: {name}, because it is {reason}")
    few = [
        name
        for name, values in zip(names, X.T, strict=True)
        if len(values) >= MANY_ROWS and len(set(values.tolist())) <= FEW_VALUES
    ]
    if few:
        out.say(
            f"mind: {', '.join(few)} with {FEW_VALUES} values or fewer; a category is no "
            "measurement, and --columns leaves it out"
        )
    return Data(table, X, names, left_out, groups)


@contextmanager
def in_the_words_of(read: Data) -> Iterator[None]:
    """Errors about ``column 2`` name the column and the file."""
    try:
        yield
    except ValueError as error:
        words = str(error).replace("; selection_ holds them all with their reasons:", ":")
        raise ValueError(f"{read.table.source}: {with_names(words, read.names)}") from None


def with_names(message: str, names: Sequence[str]) -> str:
    """A message about ``column 2`` in the words of the table."""
    named = {str(j): f"column {name!r}" for j, name in enumerate(names)}
    return re.sub(r"\bcolumn (\d+)\b", lambda found: named.get(found[1], found[0]), message)
