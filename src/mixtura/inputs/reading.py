"""Reads tables from files: CSV and other text, workbooks, Parquet, Arrow and JSON lines.

The first bytes of a file decide its format, since names are often wrong. Text is read by Python's
csv module: it is part of every installation, and only it keeps the lines that messages name and
the numbers that are written with separators. pyarrow and python-calamine read the other formats;
they are extras.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mixtura.base.errors import DataError
from mixtura.inputs.delimited import table_of_text
from mixtura.inputs.numbers import Mark
from mixtura.inputs.tables import Table
from mixtura.inputs.typed_files import (
    ARROW_FILES,
    table_of_arrow,
    table_of_json,
    table_of_workbook,
)
from mixtura.inputs.unpacking import ZIP, decoded, unpacked

STANDARD_INPUT = ("-", "<standard input>")

OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
"""The first bytes of .xls."""

OTHER_FORMATS = {
    b"SQLite format 3": "a database of SQLite",
    b"\x89HDF": "HDF5",
    b"%PDF": "a PDF document",
    b"\x93NUMPY": "an array of NumPy",
    b"\x80\x04": "a pickle, which is never opened since it may run programs",
    b"\x80\x05": "a pickle, which is never opened since it may run programs",
    b"\x28\xb5\x2f\xfd": "packed with zstandard",
    b"7z\xbc\xaf": "packed with 7-Zip",
    b"Rar!": "packed with RAR",
    b"\x89PNG": "a picture",
    b"RDX": "data of R",
    b"$FL2": "data of SPSS",
}
"""First bytes of files that people give, and what they are."""

OBJECTS = re.compile(r"\s*(?:\[\s*)?\{\s*[\"}]")
"""The begin of JSON lines, or of a list of objects."""


@dataclass(frozen=True)
class Reading:
    """How a file is read where it does not say so itself.

    Attributes
    ----------
    na : tuple of str
        Texts that stand for a missing value, beside the usual ones (an empty cell, NA, n/a, NaN,
        null, -, #N/A). A number stands for every number that is equal to it.
    decimal : "." or ",", optional
        The decimal mark of numbers in text. By default that which the cells of a column show.
    encoding : str, optional
        The encoding of text. By default UTF-8, or UTF-16 where the file is that.
    sheet : str, optional
        The sheet of a workbook; the first one by default.
    """

    na: tuple[str, ...] = ()
    decimal: Mark | None = None
    encoding: str | None = None
    sheet: str | None = None


USUAL = Reading()
"""What every option is by default."""


def reading_code(reading: Reading) -> str:
    """The options as a further argument in code; empty where all are as usual.

    Examples
    --------
    >>> reading_code(Reading(na=("-999",)))
    ", Reading(na=('-999',))"
    """
    options = [
        f"{field.name}={value!r}"
        for field in fields(Reading)
        if (value := getattr(reading, field.name)) != getattr(USUAL, field.name)
    ]
    return f", Reading({', '.join(options)})" if options else ""


def read_table(
    path: str | os.PathLike[str], reading: Reading = USUAL, *, keep: Collection[str] = ()
) -> Table:
    """Read a table, also one that is packed with gzip, bzip2, xz or zip.

    Parameters
    ----------
    path : str or path
        ``"-"`` (or ``"<standard input>"``) reads standard input.
    reading : Reading
    keep : names of columns
        Where their cells are not all numbers, the cells are kept as text for
        :meth:`Table.groups`, :meth:`Table.labels` and :meth:`Table.answerable`.

    Raises
    ------
    DataError
        When the file is no table; the message names the line.
    MissingExtraError
        For a format whose reader is not installed.
    OSError
        When the file cannot be read.
    """
    if str(path) in STANDARD_INPUT:
        return _parse(sys.stdin.buffer.read(), "standard input", reading, keep)
    return _parse(Path(path).read_bytes(), str(path), reading, keep)


def _parse(raw: bytes, source: str, reading: Reading, keep: Collection[str]) -> Table:
    """A table from the bytes of a file."""
    raw = unpacked(raw, source)
    options: dict[str, Any] = {
        "na": frozenset(text.strip() for text in reading.na),
        "decimal": reading.decimal,
        "keep": keep,
    }
    if raw.startswith((b"PAR1", *ARROW_FILES)):
        return table_of_arrow(raw, source, **options)
    if raw.startswith((ZIP, OLD_WORKBOOK)):
        return table_of_workbook(raw, source, sheet=reading.sheet, **options)
    if reading.sheet is not None:
        raise DataError(
            f"{source}: expected a workbook with a sheet {reading.sheet!r}, but the file is none. "
            "Leave the sheet out."
        )
    for magic, what in OTHER_FORMATS.items():
        if raw.startswith(magic):
            raise DataError(
                f"{source}: expected CSV, a workbook, Parquet, Arrow or JSON lines, but this file "
                f"is {what}. Save the table as CSV."
            )
    text = decoded(raw, source, reading.encoding)
    if OBJECTS.match(text):
        return table_of_json(text, source, **options)
    return table_of_text(text, source, **options)
