"""Tables as text: cells with any usual separator, quotes, comments, units below the header.

The text is read once, in parts, as plain numbers. Columns with any other cell are then read again
as text, so that only these are in memory as text as a whole.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError
from mixtura.inputs.columns import (
    column_of_numbers,
    columns_of_text,
    unique_names,
    without_unnamed,
)
from mixtura.inputs.numbers import (
    Mark,
    is_missing,
    is_plain,
    looks_numeric,
    looks_written,
    shortened,
)
from mixtura.inputs.tables import ROWS_OF_TEXT, Column, Table

DELIMITERS, SPACE = ",;\t|", " "
"""Separators of cells; spaces, any number of them, where no other one gives a table."""

SNIFFED_ROWS = 20
"""Rows by which the delimiter is found."""

COMMENT = re.compile(r"\s*#(?!(?:N/?A|NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!)(?:[,;\t|\n\"]|$))")
"""The begin of a line that is a comment; #N/A and its like are cells of a workbook."""

SEPARATOR = re.compile(r'"?sep=."?\s*$')
"""The first line of some files of Excel, which names the separator that the other lines show."""

GROUPED = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:\.\d{3})+\s*")
"""A cell whose points may separate thousands."""

Record = tuple[int, list[str]]
"""The number of a line, and its cells."""


def table_of_text(
    text: str,
    source: str,
    *,
    na: frozenset[str] = frozenset(),
    decimal: Mark | None = None,
    keep: Collection[str] = (),
) -> Table:
    """A table from text; see :func:`mixtura.inputs.reading.read_table`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    try:
        layout = _layout(text, source)
        n_rows, columns, comments = _plain_body(layout, na, decimal) or _mixed_body(
            layout, na, decimal, frozenset(keep)
        )
    except csv.Error as error:
        raise DataError(
            f"{source}: expected CSV text, but the reader stopped: {error}. Look for an unclosed "
            "quote or binary data."
        ) from None
    expect_rows(n_rows, layout.header, source)
    if layout.names_rows:
        columns = [_as_row_names(columns[0]), *columns[1:]]
    said = layout.said + ((_skipped(comments),) if comments else ())
    return Table(source, without_unnamed(columns), n_rows, said, na)


# ---- lines ---------------------------------------------------------------------------------------


class _Lines:
    """The lines of a text for the CSV reader, without comments; a quoted cell has none.

    Between cells that spaces separate, a space at the end of a line is no separator.
    """

    def __init__(self, text: str, delimiter: str) -> None:
        self.text, self.delimiter, self.number, self.between = text, delimiter, 0, True
        self.comments: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for line in io.StringIO(self.text, newline=""):
            self.number += 1
            if self.number == 1 and SEPARATOR.match(line):
                continue
            if self.between and COMMENT.match(line):
                self.comments.append(self.number)
                continue
            self.between = False
            yield line.rstrip() + "\n" if self.delimiter == SPACE else line


def _records(lines: _Lines) -> Iterator[Record]:
    """Number and cells of every line that is not blank.

    In a table of one column a blank line is a missing value.
    """
    reader = csv.reader(iter(lines), delimiter=lines.delimiter, skipinitialspace=True, strict=True)
    width = 0
    for cells in reader:
        lines.between = True
        blank = not cells or (len(cells) == 1 and not cells[0].strip())
        if not blank or width == 1:
            width = width or len(cells)
            yield lines.number, cells or [""]


def _sniff(text: str) -> str:
    """The separator by which the first lines have most cells, preferably equally many.

    The header may have one cell less than the rows.
    """

    def score(delimiter: str) -> tuple[bool, int, bool]:
        widths: list[int] = []
        with suppress(csv.Error):  # the reader raises it again
            widths.extend(
                len(cells) for _, cells in islice(_records(_Lines(text, delimiter)), SNIFFED_ROWS)
            )
        head, body = max(widths[:1], default=0), set(widths[1:])
        even = body <= {head}
        return (
            (even or (head > 1 and body == {head + 1})) and max(widths, default=0) > 1,
            head,
            even,
        )

    best = max(DELIMITERS, key=score)
    return SPACE if not score(best)[0] and score(SPACE)[0] else best


# ---- header --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """Where the rows of a text are.

    Attributes
    ----------
    text, source, delimiter : str
    header : tuple of str
        The names of the columns as written, stripped.
    above : int
        The number of the last line above the rows.
    names_rows : bool
        Whether the rows have one cell more than the header, their name, as R writes it.
    said : tuple of str
        What was skipped.
    """

    text: str
    source: str
    delimiter: str
    header: tuple[str, ...]
    above: int
    names_rows: bool = False
    said: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Different names of the columns."""
        return unique_names(self.header)

    def rows(self, lines: _Lines) -> Iterator[Record]:
        """The records below the header."""
        return (record for record in _records(lines) if record[0] > self.above)


def _layout(text: str, source: str) -> _Layout:
    """The header of a text, in its first line or in the comment above it, and the units below."""
    delimiter = _sniff(text)
    records = list(islice(_records(_Lines(text, delimiter)), SNIFFED_ROWS))
    if not records:
        only = " of anything but comments (lines that start with #)" if text.strip() else ""
        raise DataError(
            f"{source}: expected a line of column names and rows of numbers, but the file is "
            f"empty{only}. Check the path."
        )
    (above, cells), rows = records[0], records[1:]
    header = [cell.strip() for cell in cells]
    said: list[str] = []
    commented = _header_in_comment(text, above, header, delimiter)
    if commented:
        header, rows, above = commented, records, above - 1
        said.append(f"line {above} starts with #, and has the names of the columns")
    _refuse_numbers(header, source)
    names_rows = False
    if rows and len(rows[0][1]) == len(header) + 1:
        names_rows = bool(rows[0][1][-1].strip())
        header = ["", *header] if names_rows else [*header, ""]
    if _are_units(rows, len(header)):
        above, units = rows[0]
        named = ", ".join(shortened(cell.strip()) for cell in units if cell.strip())
        said.append(f"line {above} ({named}) is skipped: units below the header")
    return _Layout(text, source, delimiter, tuple(header), above, names_rows, tuple(said))


def _header_in_comment(
    text: str, line: int, header: Sequence[str], delimiter: str
) -> list[str] | None:
    """The names in a comment just above a first line that has numbers; None for other files."""
    before = text.split("\n", line - 1)[line - 2] if line > 1 else ""
    if not COMMENT.match(before) or not any(looks_written(cell) for cell in header):
        return None
    text = before.strip()
    for words in (text[1:], text):  # the name of the first column may be #
        cells = next(csv.reader([words], delimiter=delimiter, skipinitialspace=True), [])
        names = [cell.strip() for cell in cells]
        if len(names) == len(header) and not any(is_plain(name) for name in names):
            return names
    return None


def _refuse_numbers(header: Sequence[str], source: str) -> None:
    """Refuse a first line that is a row."""
    if all(is_plain(cell) for cell in header):
        dots = ", ..." if len(header) > 4 else ""
        example = ",".join(f"x{j + 1}" for j in range(min(len(header), 4)))
        raise DataError(
            f"{source}: expected column names in the first line, but it holds only numbers "
            f"({', '.join(header[:4])}{dots}). Put a line of names above it, such as "
            f"{example}{dots}."
        )


def _are_units(rows: Sequence[Record], width: int) -> bool:
    """Whether the first line below the header has words, and only where others have numbers."""
    if len(rows) < 2 or any(len(cells) != width for _, cells in rows):
        return False
    first = rows[0][1]
    if any(looks_written(cell) for cell in first):
        return False
    rest = list(zip(*(cells for _, cells in rows[1:]), strict=True))
    named = [others for cell, others in zip(first, rest, strict=True) if not is_missing(cell)]
    return bool(named) and all(
        looks_numeric([looks_written(other) for other in others if not is_missing(other)])
        for others in named
    )


def _skipped(comments: Sequence[int]) -> str:
    """A sentence about comments."""
    if len(comments) == 1:
        return f"line {comments[0]} starts with # and is skipped as a comment"
    return f"{len(comments)} lines start with # and are skipped as comments, first {comments[0]}"


def _as_row_names(column: Column) -> Column:
    """The column without a name in the header."""
    advice = "" if column.values is None else "To use it, write a name for it into the header."
    return replace(
        column,
        values=None,
        problem="the names of the rows: the header has one cell less than the lines below it",
        advice=advice,
    )


# ---- rows ----------------------------------------------------------------------------------------

Body = tuple[int, list[Column], list[int]]
"""The number of rows, their columns, and the lines that are comments."""


def _plain_body(layout: _Layout, na: frozenset[str], decimal: Mark | None) -> Body | None:
    """A body of nothing but numbers, read fast; None where there is anything else."""
    head, _, body = layout.text.partition("\n")
    first_line = layout.above == 1 and head.strip() and not layout.names_rows
    if not first_line or not body or '"' in body or "#" in layout.text or "\n\n" in body:
        return None
    if decimal == ",":
        return None
    numbers = plain_numbers(body, layout.delimiter)
    if numbers is None or numbers.shape[1] != len(layout.header):
        return None
    named = zip(layout.names, layout.header, numbers.T, strict=True)
    columns = [
        column_of_numbers(name, head, np.ascontiguousarray(values), na)
        for name, head, values in named
    ]
    return len(numbers), columns, []


def plain_numbers(body: str, delimiter: str) -> Array | None:
    """Text of numbers only (n,d); None where a cell is not plain."""
    try:
        return np.loadtxt(
            io.StringIO(body),
            delimiter=None if delimiter == SPACE else delimiter,
            comments=None,
            ndmin=2,
        )
    except ValueError:
        return None


@dataclass
class _Cells:
    """The cells of one column while it is read as plain numbers."""

    parts: list[Array] = field(default_factory=list)
    is_plain: bool = True
    shows_point: bool = False
    may_be_grouped: bool = False

    def take(self, cells: Sequence[str]) -> None:
        """More cells."""
        if not self.is_plain:
            return
        self._look_at_points(cells)
        try:
            if "_" in "".join(cells):  # NumPy and Python read 1_000 as a number
                raise ValueError
            self.parts.append(np.array(cells, dtype=np.float64))
        except ValueError:
            known = np.array([not is_missing(cell) for cell in cells])
            numbers = np.full(len(cells), np.nan)
            if not all(is_plain(cell) for cell in np.array(cells, dtype=object)[known]):
                self.is_plain = False
                self.parts.clear()
                return
            numbers[known] = np.array(cells)[known].astype(np.float64)
            self.parts.append(numbers)

    def _look_at_points(self, cells: Sequence[str]) -> None:
        """Whether a point is a decimal one for certain, up to the first cell that shows it."""
        for cell in () if self.shows_point else cells:
            if "." in cell and is_plain(cell):
                self.may_be_grouped |= GROUPED.fullmatch(cell) is not None
                self.shows_point = GROUPED.fullmatch(cell) is None
                if self.shows_point:
                    break

    @property
    def values(self) -> Array:
        """All numbers."""
        return np.concatenate(self.parts) if self.parts else np.empty(0)


def _mixed_body(
    layout: _Layout, na: frozenset[str], decimal: Mark | None, keep: frozenset[str]
) -> Body:
    """A body with missing values, text, or numbers that are not plain."""
    columns = [_Cells() for _ in layout.header]
    lines, n_rows = _Lines(layout.text, layout.delimiter), 0
    for n, chunk in _chunks(layout, lines):
        n_rows += n
        for own, cells in zip(columns, chunk, strict=True):
            own.take(cells)
    shows_point = any(own.is_plain and own.shows_point for own in columns)
    other = any(not own.is_plain for own in columns)
    again = [
        j
        for j, own in enumerate(columns)
        if not own.is_plain
        or (decimal == "," and (own.shows_point or own.may_be_grouped))
        or (other and own.may_be_grouped and not shows_point)
    ]
    read = _as_text(layout, again, na, decimal, {"."} if shows_point else set(), keep)
    pairs = enumerate(zip(layout.names, layout.header, columns, strict=True))
    made = [
        read[j] if j in read else column_of_numbers(name, head, own.values, na)
        for j, (name, head, own) in pairs
    ]
    above = [line for line in lines.comments if line != layout.above]
    return n_rows, made, above


def _as_text(
    layout: _Layout,
    columns: Sequence[int],
    na: frozenset[str],
    decimal: Mark | None,
    shown: set[Mark],
    keep: frozenset[str],
) -> dict[int, Column]:
    """Some columns, read again as text."""
    if not columns:
        return {}
    texts: list[list[str]] = [[] for _ in columns]
    lines: list[int] = []
    for record in layout.rows(_Lines(layout.text, layout.delimiter)):
        lines.append(record[0])
        for text, j in zip(texts, columns, strict=True):
            text.append(record[1][j])
    made = columns_of_text(
        [layout.names[j] for j in columns],
        [layout.header[j] for j in columns],
        texts,
        lambda i: f"line {lines[i]}",
        na=na,
        asked=decimal,
        shown=shown,
        usual="." if layout.delimiter == "," else None,
        keep=keep,
    )
    return dict(zip(columns, made, strict=True))


def _chunks(layout: _Layout, lines: _Lines) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """The columns of many rows at a time; lines of another width are refused."""
    rows, width = layout.rows(lines), len(layout.header)
    while chunk := list(islice(rows, ROWS_OF_TEXT)):
        for line, cells in chunk:
            if len(cells) != width:
                raise DataError(
                    f"{layout.source}: every line needs as many cells as the header "
                    f"({width - layout.names_rows}), but line {line} has {len(cells)}. Look there "
                    "for a missing or extra separator, or for text or a number with a separator "
                    "that needs quotes."
                )
        yield len(chunk), list(zip(*(cells for _, cells in chunk), strict=True))


def expect_rows(n_rows: int, header: Sequence[str], source: str) -> None:
    """A table needs columns and rows."""
    if not header or not n_rows:
        raise DataError(
            f"{source}: expected rows of numbers under the header, but there are none. Check that "
            "the file is complete."
        )
