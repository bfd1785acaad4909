"""The table that a command reads: which columns are used, and messages with its column names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtura.cli.formatting import counted

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.cli.console import PlainConsole
    from mixtura.inputs.tables import Table

STANDARD_INPUT_NAME = "<standard input>"
"""Stands for "-", which the parser of the command line would read as an option."""

FEW_VALUES, MANY_ROWS = 5, 30
"""A column with so few different values in so many rows is probably a category."""


@dataclass(frozen=True)
class Data:
    """The table and its numeric columns.

    Attributes
    ----------
    table : Table
    X : (n,d)
        The columns that are used.
    names : tuple of str
        Their d names.
    left_out : list of (column, reason)
    truth : list of str, optional
        The known groups.
    """

    table: Table
    X: Array
    names: tuple[str, ...]
    left_out: list[tuple[str, str]]
    truth: list[str] | None = None


def read_data(data: str, columns: str | None, out: PlainConsole, truth: str | None = None) -> Data:
    """Read a table and print which columns are used; ``truth``, the known groups, is not."""
    from mixtura.base.errors import DataError
    from mixtura.inputs.reading import read_table

    table = read_table(data, truth)
    groups = None if truth is None else table.groups(truth)
    table = table if truth is None else table.without(truth)
    chosen = (
        None
        if columns is None
        else [name.strip() for name in next(csv.reader([columns], skipinitialspace=True), [])]
    )
    X, names, left_out = table.numeric(chosen)
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
            f"{table.source}: expected columns with different values, but {constant[0]!r} has the "
            "same value in every row. Leave it out of --columns."
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
            f"check: {', '.join(few)}: {FEW_VALUES} different values or fewer; if this is a "
            "category and not a measurement, leave it out with --columns"
        )
    return Data(table, X, names, left_out, groups)


@contextmanager
def errors_with_column_names(read: Data) -> Iterator[None]:
    """Replace ``column 2`` by the name of the column in errors, and add the file."""
    try:
        yield
    except ValueError as error:
        words = str(error).replace("; selection_ holds them all with their reasons:", ":")
        raise ValueError(f"{read.table.source}: {with_column_names(words, read.names)}") from None


def with_column_names(message: str, names: Sequence[str]) -> str:
    """A message with the name of the column instead of ``column 2``."""
    named = {str(j): f"column {name!r}" for j, name in enumerate(names)}
    return re.sub(r"\bcolumn (\d+)\b", lambda found: named.get(found[1], found[0]), message)
