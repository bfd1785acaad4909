"""Reads tables from files: CSV with any usual delimiter, and Parquet."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError, MissingExtraError
from mixtura.inputs.tables import MISSING, ROWS_OF_TEXT, Column, Table

DELIMITERS = ",;\t|"

SNIFFED_ROWS = 20
"""Rows by which the delimiter is found."""

STANDARD_INPUT = ("-", "<standard input>")

OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive, perhaps an Excel workbook. Save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook. Save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip. Unpack it first",
}
"""First bytes of files of other formats, and how to convert them."""


def read_table(path: str | os.PathLike[str], groups: str | None = None) -> Table:
    """Read CSV, or Parquet, which is known by its first bytes.

    The path ``"-"`` (or ``"<standard input>"``) reads standard input. The column called ``groups``
    is kept as text, too, for :meth:`Table.groups`.

    Raises
    ------
    DataError
        When the file is no table; the message names the line.
    MissingExtraError
        For Parquet without pyarrow.
    OSError
        When the file cannot be read.
    """
    if str(path) in STANDARD_INPUT:
        return _parse(sys.stdin.buffer.read(), "standard input", groups)
    return _parse(Path(path).read_bytes(), str(path), groups)


def _parse(raw: bytes, source: str, groups: str | None = None) -> Table:
    """A table from the bytes of a file."""
    if raw.startswith(b"PAR1"):
        return _from_parquet(raw, source, groups)
    for magic, advice in OTHER_FORMATS.items():
        if raw.startswith(magic):
            raise DataError(f"{source}: expected CSV text or Parquet, but this file is {advice}.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: expected text in UTF-8, but byte {error.start + 1} is not. Save the file "
            "as 'CSV UTF-8', or convert it with iconv -f latin1 -t utf-8."
        ) from None
    try:
        return _from_csv(
            text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n"), source, groups
        )
    except csv.Error as error:
        raise DataError(
            f"{source}: expected CSV text, but the reader stopped: {error}. Look for an unclosed "
            "quote or binary data."
        ) from None


def _from_parquet(raw: bytes, source: str, groups: str | None = None) -> Table:
    """A table from Parquet: numbers and decimals; nulls become NaN."""
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(
            f"{source}: reading Parquet needs pyarrow, which is not installed. Run: pip install "
            "'mixtura[parquet]'"
        ) from None
    try:
        table = pq.read_table(pa.BufferReader(raw))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{source}: expected a Parquet file, but pyarrow cannot read it: {error}. Copy or "
            "write the file again."
        ) from None
    _expect_rows(table.num_rows, table.column_names, source)
    columns = []
    for name, header, cells in zip(
        _unique_names(table.column_names), table.column_names, table.columns, strict=True
    ):
        kind = cells.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            numbers = pc.fill_null(pc.cast(cells, pa.float64(), safe=False), float("nan"))
            columns.append(Column(name, header, np.asarray(numbers, dtype=np.float64)))
        else:
            text = (
                tuple("" if cell is None else str(cell) for cell in cells.to_pylist())
                if name == groups
                else ()
            )
            columns.append(Column(name, header, None, f"not numeric ({kind})", text))
    return Table(source, tuple(columns), table.num_rows)


def _from_csv(text: str, source: str, groups: str | None = None) -> Table:
    """A table from text without trailing newlines."""
    delimiter = _sniff(text)
    records = _records(text, delimiter)
    header = [cell.strip() for cell in next(records, (0, []))[1]]
    if not header:
        raise DataError(
            f"{source}: expected a line of column names and rows of numbers, but the file is "
            "empty. Check the path."
        )
    if all(_is_number(cell) for cell in header):
        dots = ", ..." if len(header) > 4 else ""
        example = ",".join(f"x{j + 1}" for j in range(min(len(header), 4)))
        raise DataError(
            f"{source}: expected column names in the first line, but it holds only numbers "
            f"({', '.join(header[:4])}{dots}). Put a line of names above it, such as "
            f"{example}{dots}."
        )
    names = _unique_names(header)
    kept = names.index(groups) if groups in names else None
    n_rows, columns = _plain_numbers(text, delimiter, len(header)) or _mixed_cells(
        records, len(header), source, kept
    )
    _expect_rows(n_rows, header, source)
    named = zip(names, header, columns, strict=True)
    return Table(
        source,
        tuple(
            Column(name, head, cells.values, cells.problem, tuple(cells.text))
            for name, head, cells in named
        ),
        n_rows,
    )


@dataclass
class _Cells:
    """The cells of one column while it is read: numbers, or the first cell that is not one."""

    parts: list[Array] = field(default_factory=list)
    problem: str = ""
    is_kept: bool = False
    text: list[str] = field(default_factory=list)

    @property
    def values(self) -> Array | None:
        """All numbers, unless one cell was text."""
        return None if self.problem else np.concatenate(self.parts) if self.parts else np.empty(0)

    def take(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """More cells, with the lines they ended in."""
        if self.is_kept:
            self.text.extend(cells)
        if self.problem:
            return
        try:
            if "_" in "".join(cells):  # NumPy and Python read 1_000 as a number
                raise ValueError
            self.parts.append(np.array(cells, dtype=np.float64))
        except ValueError:
            self._take_one_by_one(cells, lines)

    def _take_one_by_one(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """More cells, some of them missing or text."""
        numbers = np.full(len(cells), np.nan)
        for i, cell in enumerate(cells):
            if _is_number(cell):
                numbers[i] = float(cell)
            elif cell.strip().lower() not in MISSING:
                self.problem = f"not numeric (line {lines[i]} has {_shortened(cell.strip())!r})"
                return
        self.parts.append(numbers)


def _plain_numbers(text: str, delimiter: str, width: int) -> tuple[int, list[_Cells]] | None:
    """A body of nothing but numbers, read fast; None where there is anything else."""
    head, _, body = text.partition("\n")
    if not head.strip() or not body or '"' in body or "\n\n" in body:
        return None
    try:
        numbers = np.loadtxt(io.StringIO(body), delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        return None
    if numbers.shape[1] != width:
        return None
    return len(numbers), [_Cells([numbers[:, j]]) for j in range(width)]


def _mixed_cells(
    records: Iterator[tuple[int, list[str]]], width: int, source: str, kept: int | None = None
) -> tuple[int, list[_Cells]]:
    """A body with missing values or text, read cell by cell."""
    columns = [_Cells(is_kept=j == kept) for j in range(width)]
    n_rows = 0
    while chunk := list(islice(records, ROWS_OF_TEXT)):
        lines = [line for line, _ in chunk]
        for line, cells in chunk:
            if len(cells) != width:
                raise DataError(
                    f"{source}: every line needs as many cells as the header ({width}), but line "
                    f"{line} has {len(cells)}. Look there for a missing or extra separator, or for "
                    "text with a separator that needs quotes."
                )
        for column, column_cells in zip(
            columns, zip(*(cells for _, cells in chunk), strict=True), strict=True
        ):
            column.take(column_cells, lines)
        n_rows += len(chunk)
    return n_rows, columns


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is not blank.

    In a table of one column a blank line is a missing value.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    width = 0
    for cells in reader:
        blank = not cells or (len(cells) == 1 and not cells[0].strip())
        if not blank or width == 1:
            width = width or len(cells)
            yield reader.line_num, cells or [""]


def _sniff(text: str) -> str:
    """The separator by which the first lines have most cells, preferably equally many."""

    def score(delimiter: str) -> tuple[bool, int]:
        widths: list[int] = []
        with suppress(csv.Error):  # the reader raises it again
            widths.extend(
                len(cells) for _, cells in islice(_records(text, delimiter), SNIFFED_ROWS)
            )
        return len(set(widths)) == 1 and widths[0] > 1, max(widths[:1], default=0)

    return max(DELIMITERS, key=score)


def _is_number(cell: str) -> bool:
    """Whether Python reads the cell as a number that other programs would read, too."""
    try:
        return (
            "_" not in cell and cell.strip().lower() not in MISSING and float(cell) == float(cell)
        )
    except ValueError:
        return False


def _shortened(cell: str) -> str:
    """A cell for a message."""
    return cell if len(cell) <= 30 else cell[:29] + "…"


def _unique_names(header: Sequence[str]) -> list[str]:
    """Different names: an empty header becomes ``column_3``, a second ``a`` becomes ``a.2``."""
    names: list[str] = []
    for position, head in enumerate(header, start=1):
        name = wanted = head or f"column_{position}"
        count = 1
        while name in names or (name != head and name in header):
            count += 1
            name = f"{wanted}.{count}"
        names.append(name)
    return names


def _expect_rows(n_rows: int, header: Sequence[str], source: str) -> None:
    """A table needs columns and rows."""
    if not header or not n_rows:
        raise DataError(
            f"{source}: expected rows of numbers under the header, but there are none. Check that "
            "the file is complete."
        )
