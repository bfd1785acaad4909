"""The table that a command reads: first what is left out is printed, then what is used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mixtura.base.numbering import row_name
from mixtura.cli.formatting import counted
from mixtura.cli.reading_options import LabelOptions, ReadingOptions, WeightOptions, refuse_twice

if TYPE_CHECKING:
    from mixtura.cli.console import PlainConsole
    from mixtura.inputs.table_data import TableData


def read_data(
    data: str,
    options: ReadingOptions,
    out: PlainConsole,
    err: PlainConsole,
    *,
    truth: str | None = None,
    complete_for: str = "",
) -> TableData:
    """Read a table and print what is left out and what is used.

    ``truth`` is the column of the known groups. ``complete_for`` is the reason why only complete
    rows can be used.
    """
    from mixtura.inputs.reading import read_table
    from mixtura.inputs.table_data import table_data

    special = options.special | ({"--truth": truth} if truth else {})
    refuse_twice(special, options.chosen)
    table = read_table(data, options.reading, keep=tuple(special.values()))
    read = table_data(
        table,
        options.chosen,
        drop=options.dropped,
        booleans=options.booleans,
        truth=truth,
        weights=options.weights if isinstance(options, WeightOptions) else None,
        labels=options.labels if isinstance(options, LabelOptions) else None,
        complete_for=complete_for,
    )
    say_what_is_used(read, out, err)
    return read


def say_what_is_used(read: TableData, out: PlainConsole, err: PlainConsole) -> None:
    """Print what is left out of a table and what is used."""
    from mixtura.inputs.table_data import FEW_VALUES, categories

    for line in read.warned:
        err.say(f"warning: {line}", style="yellow")
    for line in read.said:
        out.say(line)
    columns = counted(len(read.names), "column")
    out.say(f"{read.table.source}: {len(read.X)} rows; {columns} used: {', '.join(read.names)}")
    few = categories(read)
    if few:
        out.say(
            f"check: {', '.join(few)}: {FEW_VALUES} different values or fewer; if this is a "
            "category and not a measurement, leave it out with --drop"
        )


def say_unanswered(err: PlainConsole, reasons: Sequence[str], more: str = "") -> None:
    """Print how many rows have no answer, the reason of the first, and ``more`` of them.

    The reason of a row that has one is empty.
    """
    without = [i for i, reason in enumerate(reasons) if reason]
    if without:
        err.say(
            f"warning: {len(without)} of {len(reasons)} rows have no answer, first "
            f"{row_name(without[0])}: {reasons[without[0]]}.{more}",
            style="yellow",
        )


IN_THE_NOTES = " The column note has the reason of each."


@contextmanager
def errors_with_column_names(read: TableData) -> Iterator[None]:
    """Replace ``column 2`` by the name of the column in errors, and add the file."""
    try:
        yield
    except ValueError as error:
        words = str(error).replace("; selection_ holds them all with their reasons:", ":")
        raise ValueError(f"{read.table.source}: {with_column_names(words, read.names)}") from None


def with_column_names(message: str, names: tuple[str, ...]) -> str:
    """A message with the name of the column instead of ``column 2``."""
    named = {str(j): f"column {name!r}" for j, name in enumerate(names)}
    return re.sub(r"\bcolumn (\d+)\b", lambda found: named.get(found[1], found[0]), message)
