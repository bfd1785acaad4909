"""Tables from files: which columns can be clustered, which cannot, and why.

CSV needs nothing but the standard library and NumPy; Parquet needs pyarrow. A :class:`Table` keeps every column by name,
so that a later table can be matched with a model whatever the order of its columns.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import ArrayLike

from mixtura.arrays import Array
from mixtura.errors import DataError, MissingExtraError

DELIMITERS = ",;\t|"
SNIFFED_ROWS = 20
CHUNK = 50_000
"""Rows that are held as text at a time."""

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "?", "."})
"""What people write into a cell that has no value (lower case)."""

IDENTIFIERS = frozenset({"", "id", "index", "row", "rowid", "row_id", "rowname", "rownames", "row_names", "no", "nr", "unnamed: 0"})
"""Headers (lower case) under which 0, 1, 2 ... or 1, 2, 3 ... counts the rows and measures nothing."""

FOREIGN = {
    b"PK\x03\x04": "a zip archive, perhaps an Excel workbook. Save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook. Save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip. Unpack it first",
}
"""First bytes of files that people take for tables, and what to do about them."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its name, its header as written, and its numbers, or why it has none."""

    name: str
    header: str
    values: Array | None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length and where they came from."""

    source: str
    columns: tuple[Column, ...]
    n_rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in the order of the file."""
        return tuple(column.name for column in self.columns)

    def numeric(self, columns: Sequence[str] | None = None) -> tuple[Array, tuple[str, ...], list[tuple[str, str]]]:
        """The numbers to be clustered.

        Parameters
        ----------
        columns : sequence of str, optional
            Take exactly these, in this order. By default every numeric column is taken that is not constant, not
            equal to an earlier one and not a mere row number.

        Returns
        -------
        X : (n, d)
            C-contiguous float64.
        names : tuple of str
        left_out : list of (name, reason)

        Raises
        ------
        DataError
            When a column is not known or not numeric, when none is left, or when a cell taken is missing or infinite.
        """
        chosen, left_out = self._pick() if columns is None else self._named(columns)
        self._refuse_gaps(chosen)
        X = np.empty((self.n_rows, len(chosen)))
        for j, values in enumerate(chosen.values()):
            X[:, j] = values
        return X, tuple(chosen), left_out

    def _pick(self) -> tuple[dict[str, Array], list[tuple[str, str]]]:
        """Every column that says something new, and the reason why each other one does not."""
        chosen: dict[str, Array] = {}
        left_out: list[tuple[str, str]] = []
        seen: dict[bytes, str] = {}
        for column in self.columns:
            reason = _why_not(column, seen)
            if reason or column.values is None:
                left_out.append((column.name, reason))
            else:
                chosen[column.name] = column.values
                seen[_fingerprint(column.values)] = column.name
        if not chosen:
            reasons = "; ".join(f"{name!r} is {reason}" for name, reason in left_out)
            raise DataError(
                f"{self.source}: expected at least one column of numbers to cluster, but there is none: {reasons}. "
                "Numbers need a decimal point, cells a comma, semicolon, tab or | between them."
            )
        return chosen, left_out

    def _named(self, columns: Sequence[str]) -> tuple[dict[str, Array], list[tuple[str, str]]]:
        """The columns asked for, in the order asked for."""
        known = {column.name: column for column in self.columns}
        unknown = [name for name in columns if name not in known]
        if unknown or not columns:
            raise DataError(self._unknown(unknown))
        chosen: dict[str, Array] = {}
        for name in columns:
            column = known[name]
            if column.values is None:
                raise DataError(f"{self.source}: column {name!r} must hold numbers, but it is {column.problem}. Leave it out or correct it.")
            chosen[name] = column.values
        return chosen, [(name, "not asked for") for name in known if name not in chosen]

    def _unknown(self, unknown: Sequence[str]) -> str:
        """What to say about columns that are not there."""
        have = ", ".join(map(repr, self.names))
        if not unknown:
            return f"{self.source}: expected the name of at least one column, but none came. Choose from {have}."
        lower = {name.lower(): name for name in self.names}
        near = {name: difflib.get_close_matches(name.lower(), lower, n=1) for name in unknown}
        words = [f"{name!r}" + (f" (did you mean {lower[near[name][0]]!r}?)" if near[name] else "") for name in unknown]
        return f"{self.source}: no column is called {' or '.join(words)}. The columns are {have}. Correct the name or rename the column."

    def _refuse_gaps(self, chosen: Mapping[str, Array]) -> None:
        """Every cell that is used must be a finite number."""
        gaps = np.zeros(self.n_rows, dtype=bool)
        words = []
        for name, values in chosen.items():
            finite = np.isfinite(values)
            if not finite.all():
                gaps |= ~finite
                kind = "infinite" if np.isinf(values).any() else "empty"
                words.append(f"{name!r} {np.count_nonzero(~finite)} {kind}, first in row {int(np.argmin(finite)) + 1}")
        if words:
            raise DataError(
                f"{self.source}: every cell must hold a finite number, but {np.count_nonzero(gaps)} of {self.n_rows} rows have an "
                f"empty or infinite cell ({'; '.join(words)}). Drop or fill these rows first, or choose columns without gaps."
            )


def _why_not(column: Column, seen: Mapping[bytes, str]) -> str:
    """Why a column is not worth clustering, or the empty string."""
    values = column.values
    if values is None:
        return column.problem
    known = values[~np.isnan(values)]
    if not known.size:
        return "empty"
    if _counts_rows(column.header, values):
        return "a row number"
    if len(values) > 1 and known.size == values.size and known.min() == known.max():
        return f"constant ({known[0]:g} in every row)"
    twin = seen.get(_fingerprint(values))
    return f"equal to {twin!r} in every row" if twin else ""


def _counts_rows(header: str, values: Array) -> bool:
    """Whether a column with an identifier's header counts 0, 1, 2 ... or 1, 2, 3 ..."""
    if header.lower() not in IDENTIFIERS or values[0] not in (0, 1):
        return False
    return bool((values == np.arange(len(values)) + values[0]).all())


def _fingerprint(values: Array) -> bytes:
    """Equal columns, equal fingerprints."""
    return hashlib.sha256(np.ascontiguousarray(values)).digest()


# ---- reading -------------------------------------------------------------------------------------------------------


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read CSV or Parquet (known by its first bytes); ``"-"`` reads standard input.

    Raises
    ------
    DataError
        When the file is no table; the message names the line.
    MissingExtraError
        For Parquet without pyarrow.
    OSError
        When the file cannot be read.
    """
    if str(path) == "-":
        return _parse(sys.stdin.buffer.read(), "standard input")
    return _parse(Path(path).read_bytes(), str(path))


def _parse(raw: bytes, source: str) -> Table:
    """A table from the bytes of a file."""
    if raw.startswith(b"PAR1"):
        return _from_parquet(raw, source)
    for magic, advice in FOREIGN.items():
        if raw.startswith(magic):
            raise DataError(f"{source}: expected CSV text or Parquet, but this file is {advice}.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: expected text in UTF-8, but byte {error.start + 1} is not. Save the file as 'CSV UTF-8', or convert it "
            "with iconv -f latin1 -t utf-8."
        ) from None
    try:
        return _from_csv(text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n"), source)
    except csv.Error as error:
        raise DataError(f"{source}: expected CSV text, but the reader stopped: {error}. Look for an unclosed quote or binary data.") from None


def _from_parquet(raw: bytes, source: str) -> Table:
    """A table from Parquet: numbers and decimals; nulls become NaN."""
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(f"{source}: reading Parquet needs pyarrow, which is not installed. Run: pip install 'mixtura[parquet]'") from None
    try:
        table = pq.read_table(pa.BufferReader(raw))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source}: expected a Parquet file, but pyarrow cannot read it: {error}. Copy or write the file again.") from None
    _expect_rows(table.num_rows, table.column_names, source)
    columns = []
    for name, header, cells in zip(_unique_names(table.column_names), table.column_names, table.columns, strict=True):
        kind = cells.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            numbers = pc.fill_null(pc.cast(cells, pa.float64(), safe=False), float("nan"))
            columns.append(Column(name, header, np.asarray(numbers, dtype=np.float64)))
        else:
            columns.append(Column(name, header, None, f"not numeric ({kind})"))
    return Table(source, tuple(columns), table.num_rows)


def _from_csv(text: str, source: str) -> Table:
    """A table from text without trailing newlines."""
    delimiter = _sniff(text)
    records = _records(text, delimiter)
    header = [cell.strip() for cell in next(records, (0, []))[1]]
    if not header:
        raise DataError(f"{source}: expected a line of column names and rows of numbers, but the file is empty.")
    if all(_is_number(cell) for cell in header):
        raise DataError(
            f"{source}: expected column names in the first line, but it holds only numbers ({', '.join(header[:4])}"
            f"{', ...' if len(header) > 4 else ''}). Put a line of names above it, such as {','.join(f'x{j + 1}' for j in range(min(len(header), 4)))}."
        )
    columns = _plain_numbers(text, delimiter, len(header)) or _mixed_cells(records, len(header), source)
    _expect_rows(len(columns[0].values) if columns[0].values is not None else columns[0].n_rows, header, source)
    n_rows = columns[0].n_rows
    named = zip(_unique_names(header), header, columns, strict=True)
    return Table(source, tuple(Column(name, head, cells.values, cells.problem) for name, head, cells in named), n_rows)
