"""Tables from files whose cells have types: Parquet, Arrow, workbooks and JSON lines.

pyarrow reads Parquet and Arrow, python-calamine workbooks. A cell that is text is read as a number
as in CSV, a date never.
"""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError, MissingExtraError
from mixtura.inputs.columns import (
    column_of_numbers,
    column_of_truths,
    columns_of_text,
    unique_names,
    without_unnamed,
)
from mixtura.inputs.numbers import Mark, is_missing, looks_numeric, looks_written, shortened
from mixtura.inputs.tables import Column, Table

Cells = Sequence[Any]
"""The cells of a column as Python values; None is missing."""

DATES = (datetime.date, datetime.time, datetime.timedelta)


def table_of_cells(
    source: str,
    header: Sequence[str],
    columns: Sequence[Cells],
    place: Callable[[int], str],
    *,
    na: frozenset[str] = frozenset(),
    decimal: Mark | None = None,
    keep: Collection[str] = (),
    said: Sequence[str] = (),
) -> Table:
    """A table from columns (n,) of Python values."""
    names = unique_names(header)
    n_rows = len(columns[0]) if columns else 0
    if not header or not n_rows:
        raise DataError(
            f"{source}: expected rows of numbers under the header, but there are none. Check that "
            "the file is complete."
        )
    typed = [
        _typed_column(name, head, cells, place, na, name in keep)
        for name, head, cells in zip(names, header, columns, strict=True)
    ]
    text = [j for j, column in enumerate(typed) if column is None]
    read = columns_of_text(
        [names[j] for j in text],
        [header[j] for j in text],
        [[_without_mark(cell) for cell in columns[j]] for j in text],
        place,
        na=na,
        asked=decimal,
        keep=keep,
    )
    found = {
        j: replace(column, cells=tuple(map(_as_text, columns[j])) if column.cells else ())
        for j, column in zip(text, read, strict=True)
    }
    stored = [
        column.name
        for j, column in found.items()
        if column.values is not None
        and not column.is_true_or_false
        and any(isinstance(cell, str) and not is_missing(cell, na) for cell in columns[j])
    ]
    if stored:
        said = [*said, f"numbers that are stored as text are read as numbers: {', '.join(stored)}"]
    made = [found[j] if column is None else column for j, column in enumerate(typed)]
    return Table(source, without_unnamed(made), n_rows, tuple(said), na)


def _typed_column(
    name: str,
    header: str,
    cells: Cells,
    place: Callable[[int], str],
    na: frozenset[str],
    kept: bool,
) -> Column | None:
    """A column of numbers, of true and false, or of what cannot be numbers; None for text."""
    kinds = {_kind(cell) for cell in cells} - {"missing"}
    if kinds <= {"number"}:
        return column_of_numbers(name, header, _floats(cells), na)
    text = tuple(map(_as_text, cells)) if kept else ()
    if kinds == {"true or false"}:
        return column_of_truths(name, header, _floats(cells), text)
    if kinds <= {"number", "text"}:
        return None
    other = sorted(kinds - {"number", "text"})[0]
    first = next(i for i, cell in enumerate(cells) if _kind(cell) == other)
    problem = f"{other} ({place(first)} has {shortened(_as_text(cells[first]))})"
    return Column(name, header, None, problem, cells=text)


def _kind(cell: Any) -> str:
    """What a cell is, in words."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return "missing"
    if isinstance(cell, bool | np.bool_):
        return "true or false"
    if isinstance(cell, int | float | Decimal | np.number):
        return "number"
    if isinstance(cell, str):
        return "text"
    return "dates or times" if isinstance(cell, DATES) else "no single values"


def _floats(cells: Cells) -> Array:
    """Numbers as float64; whole numbers beyond its range are infinite."""
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    except OverflowError:
        return np.array([np.nan if cell is None else float(str(cell)) for cell in cells])


def _as_text(cell: Any) -> str:
    """A cell as text; whole numbers without a decimal point, as people see them."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return str(cell)


def _without_mark(cell: Any) -> str:
    """A cell as text; a number without a decimal mark, ``15e-1`` for 1.5, since it shows none."""
    if not isinstance(cell, float) or not isfinite(cell):
        return _as_text(cell)
    sign, digits, exponent = Decimal(str(cell)).as_tuple()
    return f"{'-' * sign}{''.join(map(str, digits))}e{exponent}"


# ---- workbooks -----------------------------------------------------------------------------------


def table_of_workbook(
    raw: bytes,
    source: str,
    *,
    sheet: str | None = None,
    na: frozenset[str] = frozenset(),
    decimal: Mark | None = None,
    keep: Collection[str] = (),
) -> Table:
    """A table from one sheet of a workbook (.xlsx, .xls, .xlsb, .ods), the first one by default."""
    try:
        import python_calamine as calamine
    except ImportError:
        raise MissingExtraError(
            f"{source}: reading a workbook needs python-calamine, which is not installed. Run: pip "
            "install 'mixtura[excel]'"
        ) from None
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
        names = list(book.sheet_names)
        if sheet is not None and sheet not in names:
            raise DataError(
                f"{source}: no sheet is called {sheet!r}. The sheets are "
                f"{', '.join(map(repr, names))}."
            )
        wanted = sheet if sheet is not None else next(iter(names), "")
        cells = book.get_sheet_by_name(wanted).to_python(skip_empty_area=False) if names else []
    except (calamine.CalamineError, OSError) as error:
        raise DataError(
            f"{source}: expected a workbook without a password, but it cannot be read: {error}. "
            "Save it again, or save the sheet as CSV."
        ) from None
    said = []
    if sheet is None and len(names) > 1:
        others = ", ".join(map(repr, names[1:]))
        said.append(f"sheet {wanted!r} is read; the others are {others} (--sheet chooses one)")
    rows = [(number, row) for number, row in enumerate(cells, start=1) if any(map(_filled, row))]
    if not rows:
        raise DataError(
            f"{source}: expected a row of column names and rows of numbers, but sheet {wanted!r} "
            "is empty. Choose another one with --sheet."
        )
    (top, head), body = rows[0], rows[1:]
    between = sorted({*range(top, rows[-1][0])} - {number for number, _ in rows})
    if between:
        said.append(f"empty rows of the sheet are skipped: {_first_few(between)}")
    header = [_as_text(cell).strip() for cell in head]
    if all(not isinstance(cell, str) for cell in head if _filled(cell)):
        raise DataError(
            f"{source}: expected column names in the first row of sheet {wanted!r}, but it holds "
            f"only numbers ({', '.join(header[:4])}). Put a row of names above it."
        )
    if _are_units([row for _, row in body]):
        number, units = body.pop(0)
        named = ", ".join(shortened(_as_text(cell)) for cell in units if _filled(cell))
        said.append(f"row {number} of the sheet ({named}) is skipped: units below the header")
    columns = [
        [None if not _filled(row[j]) else row[j] for _, row in body] for j in range(len(head))
    ]
    return table_of_cells(
        source,
        header,
        columns,
        lambda i: f"row {body[i][0]} of the sheet",
        na=na,
        decimal=decimal,
        keep=keep,
        said=said,
    )


def _first_few(numbers: Sequence[int], most: int = 5) -> str:
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return ", ".join(map(str, numbers[:most])) + more


def _filled(cell: Any) -> bool:
    """Whether a cell of a sheet has a value."""
    return cell is not None and not (isinstance(cell, str) and not cell.strip())


def _are_units(rows: Sequence[Cells], most: int = 20) -> bool:
    """Whether the first row below the header has words, and only where others have numbers."""
    if len(rows) < 2 or any(_is_number(cell) for cell in rows[0] if _filled(cell)):
        return False
    below = list(zip(*islice(rows, 1, most), strict=True))
    named = [
        others
        for cell, others in zip(rows[0], below, strict=True)
        if _filled(cell) and not is_missing(_as_text(cell))
    ]
    return bool(named) and all(
        looks_numeric([_is_number(other) for other in others if not is_missing(_as_text(other))])
        for others in named
    )


def _is_number(cell: Any) -> bool:
    return _kind(cell) == "number" or (isinstance(cell, str) and looks_written(cell))


# ---- JSON lines ----------------------------------------------------------------------------------


def table_of_json(
    text: str,
    source: str,
    *,
    na: frozenset[str] = frozenset(),
    decimal: Mark | None = None,
    keep: Collection[str] = (),
) -> Table:
    """A table from JSON objects, one on a line, or in one list."""
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    word = "line"
    if text.lstrip().startswith("["):
        records, word = _parsed(text, source, 1), "object"
        lines = list(range(1, len(records) + 1))
    else:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                records.append(_parsed(line, source, number))
                lines.append(number)
    for record, number in zip(records, lines, strict=True):
        if not isinstance(record, dict):
            raise DataError(
                f"{source}: expected one JSON object for each row, but {word} {number} is "
                f'{shortened(json.dumps(record))}. Write rows as {{"x": 1, "y": 2}}.'
            )
    header = list(dict.fromkeys(name for record in records for name in record))
    columns = [[record.get(name) for record in records] for name in header]
    return table_of_cells(
        source,
        header,
        columns,
        lambda i: f"{word} {lines[i]}",
        na=na,
        decimal=decimal,
        keep=keep,
        said=_partly_absent(header, records),
    )


def _parsed(text: str, source: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{source}: expected a JSON object on every line, but line {line} is none: {error}. "
            "Correct it, or write the table as CSV."
        ) from None


def _partly_absent(header: Sequence[str], records: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence about columns that some rows do not have."""
    absent = [
        f"{name} in {count}"
        for name in header
        if (count := sum(name not in record for record in records))
    ]
    return [f"columns that some rows lack have missing values there: {', '.join(absent)}"] * bool(
        absent
    )


# ---- Parquet and Arrow ---------------------------------------------------------------------------


def table_of_arrow(
    raw: bytes,
    source: str,
    *,
    na: frozenset[str] = frozenset(),
    decimal: Mark | None = None,
    keep: Collection[str] = (),
) -> Table:
    """A table from Parquet, or from Arrow (a file, a stream, or Feather)."""
    format_name = "Parquet" if raw.startswith(b"PAR1") else "Arrow"
    try:
        import pyarrow as pa
        import pyarrow.feather as feather
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtraError(
            f"{source}: reading {format_name} needs pyarrow, which is not installed. Run: pip "
            "install 'mixtura[parquet]'"
        ) from None
    buffer = pa.BufferReader(raw)
    try:
        if format_name == "Parquet":
            table = parquet.read_table(buffer)
        elif raw.startswith(ARROW_STREAM):
            table = pa.ipc.open_stream(buffer).read_all()
        else:
            table = feather.read_table(buffer)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{source}: expected a file in the format {format_name}, but pyarrow cannot read it: "
            f"{error}. Copy or write the file again."
        ) from None
    return _of_arrow(table, source, na, decimal, keep)


ARROW_STREAM = b"\xff\xff\xff\xff"
"""The first bytes of a stream of Arrow."""

ARROW_FILES = (b"ARROW1", b"FEA1", ARROW_STREAM)
"""The first bytes of all kinds of Arrow files; the second is the first version of Feather."""


def _of_arrow(
    table: Any, source: str, na: frozenset[str], decimal: Mark | None, keep: Collection[str]
) -> Table:
    """A table from one of pyarrow; numbers are not turned into Python values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    header, names = table.column_names, unique_names(table.column_names)
    numbers: dict[str, Column] = {}
    cells: list[Cells] = []
    for name, head, column in zip(names, header, table.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        kind = column.type
        plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if plain:
            known = pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan"))
            numbers[name] = column_of_numbers(name, head, np.asarray(known, dtype=np.float64), na)
            cells.append([None] * table.num_rows)
        else:
            cells.append(column.to_pylist())
    made = table_of_cells(
        source, header, cells, lambda i: f"row {i + 1}", na=na, decimal=decimal, keep=keep
    )
    columns = tuple(numbers.get(column.name, column) for column in made.columns)
    return Table(source, columns, made.n_rows, made.said, na)
