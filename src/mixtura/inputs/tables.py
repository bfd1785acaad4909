"""Tables from files: which columns can be clustered, which cannot, and why.

CSV needs nothing but the standard library and NumPy; Parquet needs pyarrow. A :class:`Table` keeps
every column by name, so that a later table can be matched with a model whatever the order of its
columns.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError, MissingExtraError
from mixtura.base.numbering import column_name, row_name, row_numbers

DELIMITERS = ",;\t|"
SNIFFED_ROWS = 20
CHUNK = 50_000
"""Rows that are held as text at a time."""

STANDARD_INPUT = ("-", "<standard input>")

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "?", "."})
"""What people write into a cell that has no value (lower case)."""

IDENTIFIERS = frozenset(
    {
        "",
        "id",
        "index",
        "row",
        "rowid",
        "row_id",
        "rowname",
        "rownames",
        "row_names",
        "no",
        "nr",
        "unnamed: 0",
    }
)
"""Headers (lower case) under which 0, 1, 2 ... or 1, 2, 3 ... counts the rows and measures
nothing.
"""

GROUPS = frozenset({"label", "labels", "class", "cluster", "group", "target"})
"""Headers (lower case) under which repeated whole numbers are names of groups."""

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
    cells: tuple[str, ...] = ()
    """As text, where they were asked for."""


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

    def numeric(
        self, columns: Sequence[str] | None = None
    ) -> tuple[Array, tuple[str, ...], list[tuple[str, str]]]:
        """The numbers to be clustered.

        Parameters
        ----------
        columns : sequence of str, optional
            Take exactly these, in this order. By default every numeric column is taken that is not
            constant, not equal to an earlier one and not a mere row number.

        Returns
        -------
        X : (n, d)
            C-contiguous float64.
        names : tuple of str
        left_out : list of (name, reason)

        Raises
        ------
        DataError
            When a column is not known or not numeric, when none is left, or when a cell taken is
            missing or infinite.
        """
        chosen, left_out = self._pick() if columns is None else self._named(columns)
        self._refuse_gaps(chosen)
        X = np.empty((self.n_rows, len(chosen)))
        for j, values in enumerate(chosen.values()):
            X[:, j] = values
        return X, tuple(chosen), left_out

    def groups(self, name: str) -> list[str]:
        """The known group of every row: a column that was read with ``groups=name``, as text.

        Raises
        ------
        DataError
            When there is no such column, or a row has no group.
        """
        column = next((column for column in self.columns if column.name == name), None)
        if column is None:
            raise DataError(self._unknown([name]))
        cells = (
            column.cells
            if column.values is None or column.cells
            else [f"{value:.17g}" for value in column.values]
        )
        empty = [i for i, cell in enumerate(cells) if cell.strip().lower() in MISSING]
        if empty:
            raise DataError(
                f"{self.source}: every row needs a group, but column {name!r} has {len(empty)} "
                "empty cells, first in "
                f"{row_name(empty[0])}. Drop or fill these rows first."
            )
        return [cell.strip() for cell in cells]

    def without(self, name: str) -> Table:
        """The table without one of its columns."""
        return replace(
            self, columns=tuple(column for column in self.columns if column.name != name)
        )

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
                f"{self.source}: expected at least one column of numbers to cluster, but there is "
                f"none: {reasons}. "
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
                raise DataError(
                    f"{self.source}: column {name!r} must hold numbers, but it is "
                    f"{column.problem}. Leave it out or correct it."
                )
            chosen[name] = column.values
        return chosen, [(name, "not asked for") for name in known if name not in chosen]

    def _unknown(self, unknown: Sequence[str]) -> str:
        """What to say about columns that are not there."""
        have = ", ".join(map(repr, self.names))
        if not unknown:
            return (
                f"{self.source}: expected the name of at least one column, but none came. "
                f"Choose from {have}."
            )
        lower = {name.lower(): name for name in self.names}
        near = {name: difflib.get_close_matches(name.lower(), lower, n=1) for name in unknown}
        words = [
            f"{name!r}" + (f" (did you mean {lower[near[name][0]]!r}?)" if near[name] else "")
            for name in unknown
        ]
        return (
            f"{self.source}: no column is called {' or '.join(words)}. The columns are {have}. "
            "Correct the name or rename the column."
        )

    def _refuse_gaps(self, chosen: Mapping[str, Array]) -> None:
        """Every cell that is used must be a finite number."""
        gaps = np.zeros(self.n_rows, dtype=bool)
        words = []
        for name, values in chosen.items():
            finite = np.isfinite(values)
            if not finite.all():
                gaps |= ~finite
                kind = "infinite" if np.isinf(values).any() else "empty"
                words.append(
                    f"{name!r} {np.count_nonzero(~finite)} {kind}, first in "
                    f"{row_name(int(np.argmin(finite)))}"
                )
        if words:
            raise DataError(
                f"{self.source}: every cell must hold a finite number, but "
                f"{np.count_nonzero(gaps)} of {self.n_rows} rows have an "
                f"empty or infinite cell ({'; '.join(words)}). Drop or fill these rows first, or "
                "choose columns without gaps."
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
    if _names_groups(column.header, known):
        return (
            "a label by its name and its whole numbers (to use it all the same, name it among "
            "the columns)"
        )
    if len(values) > 1 and known.size == values.size and known.min() == known.max():
        return f"constant ({known[0]:g} in every row)"
    twin = seen.get(_fingerprint(values))
    return f"equal to {twin!r} in every row" if twin else ""


def _counts_rows(header: str, values: Array) -> bool:
    """Whether a column with an identifier's header counts 0, 1, 2 ... or 1, 2, 3 ..."""
    if header.lower() not in IDENTIFIERS or values[0] not in (0, 1):
        return False
    return bool((values == np.arange(len(values)) + values[0]).all())


def _names_groups(header: str, known: Array) -> bool:
    """Whether a column's header says that its few whole numbers are names of groups, not
    measurements.
    """
    return (
        header.strip().lower() in GROUPS
        and bool((known == np.round(known)).all())
        and len(np.unique(known)) < len(known)
    )


def _fingerprint(values: Array) -> bytes:
    """Equal columns, equal fingerprints."""
    return hashlib.sha256(values.tobytes()).digest()


# ---- reading -------------------------------------------------------------------------------------


def read_table(path: str | os.PathLike[str], groups: str | None = None) -> Table:
    """Read CSV or Parquet (known by its first bytes); ``"-"`` (or ``"<standard input>"``) reads
    standard input.

    The column called ``groups`` is kept as text, too, for :meth:`Table.groups`.

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
    for magic, advice in FOREIGN.items():
        if raw.startswith(magic):
            raise DataError(f"{source}: expected CSV text or Parquet, but this file is {advice}.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: expected text in UTF-8, but byte {error.start + 1} is not. Save the file "
            "as 'CSV UTF-8', or convert it "
            "with iconv -f latin1 -t utf-8."
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
            f"({', '.join(header[:4])}{dots}). "
            f"Put a line of names above it, such as {example}{dots}."
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
    """The cells of one column while it is read: numbers, or the first cell that is none."""

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
        """Cells of which some are missing or text."""
        numbers = np.full(len(cells), np.nan)
        for i, cell in enumerate(cells):
            if _is_number(cell):
                numbers[i] = float(cell)
            elif cell.strip().lower() not in MISSING:
                self.problem = f"not numeric (line {lines[i]} has {_shortened(cell.strip())!r})"
                return
        self.parts.append(numbers)


def _plain_numbers(text: str, delimiter: str, width: int) -> tuple[int, list[_Cells]] | None:
    """The fast way, for a body of nothing but numbers; None sends everything else the careful
    way.
    """
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
    """The careful way: rows cell by cell, a chunk at a time."""
    columns = [_Cells(is_kept=j == kept) for j in range(width)]
    n_rows = 0
    while chunk := list(islice(records, CHUNK)):
        lines = [line for line, _ in chunk]
        for line, cells in chunk:
            if len(cells) != width:
                raise DataError(
                    f"{source}: every line needs as many cells as the header ({width}), but line "
                    f"{line} has {len(cells)}. "
                    "Look there for a missing or extra separator, or for text with a separator "
                    "that needs quotes."
                )
        for column, column_cells in zip(
            columns, zip(*(cells for _, cells in chunk), strict=True), strict=True
        ):
            column.take(column_cells, lines)
        n_rows += len(chunk)
    return n_rows, columns


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank; in a table of one column a blank line
    is a missing cell.
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
    """The separator that cuts the first lines into most cells, and into equally many if one
    does.
    """

    def score(delimiter: str) -> tuple[bool, int]:
        widths: list[int] = []
        with suppress(csv.Error):  # the reader that comes next words it
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
    """Names for all columns: an empty header becomes ``column_3``, a second ``a`` becomes
    ``a.2``.
    """
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


# ---- writing -------------------------------------------------------------------------------------


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to; on success it takes the place of ``path`` in one step, on failure nothing
    has changed.
    """
    target = Path(path)
    if target.exists() and not target.is_file():  # a device or a pipe is written to, never replaced
        yield target
        return
    target = Path(os.path.realpath(target))
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_csv(path: str | os.PathLike[str], columns: Mapping[str, ArrayLike]) -> None:
    """Columns of equal length as CSV, atomically; numbers are written so that they read back bit
    for bit.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        write_rows(stream, columns)


def write_rows(stream: TextIO, columns: Mapping[str, ArrayLike]) -> None:
    """Columns of equal length as CSV into an open stream."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    values = [np.asarray(column) for column in columns.values()]
    numbers = all(column.dtype.kind in "iuf" for column in values)
    for start in range(0, len(values[0]), CHUNK):
        chunk = [column[start : start + CHUNK].tolist() for column in values]
        if numbers:  # nothing to quote, and half the time
            stream.writelines(
                f"{line}\n"
                for line in map(
                    ",".join, zip(*(map(repr, column) for column in chunk), strict=True)
                )
            )
        else:
            writer.writerows(zip(*chunk, strict=True))


def membership_columns(probabilities: Array) -> dict[str, np.ndarray]:
    """The columns of memberships.csv: rows count from 1, labels are those of ``predict``."""
    columns: dict[str, np.ndarray] = {
        "row": np.array(row_numbers(len(probabilities))),
        "label": probabilities.argmax(axis=1),
    }
    columns.update(
        (column_name("probability", k), values) for k, values in enumerate(probabilities.T)
    )
    columns["uncertainty"] = 1.0 - probabilities.max(axis=1)
    return columns


def cluster_columns(
    probabilities: Array, clusters: Sequence[Sequence[int]]
) -> dict[str, np.ndarray]:
    """Further columns where components were merged into clusters: the most probable one, and each
    probability.
    """
    merged = np.stack([probabilities[:, list(cluster)].sum(axis=1) for cluster in clusters], axis=1)
    columns: dict[str, np.ndarray] = {"cluster": merged.argmax(axis=1)}
    columns.update(
        (column_name("cluster_probability", g), values) for g, values in enumerate(merged.T)
    )
    return columns


def refuse_to_overwrite(paths: Sequence[Path], force: bool) -> None:
    """Stop before any work is done if a result would be overwritten."""
    existing = [str(path) for path in paths if path.is_file()]
    if existing and not force:
        raise FileExistsError(
            f"{', '.join(existing)} would be overwritten, so nothing was done. "
            "Add --force to overwrite, or choose another --output."
        )


@contextmanager
def folder_for_results(path: Path) -> Iterator[None]:
    """A folder that can be written to, made before the long work; taken back if nothing came into
    it.
    """
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(path))
        yield
    finally:
        if made and path.is_dir() and not any(path.iterdir()):
            path.rmdir()
