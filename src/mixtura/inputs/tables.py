"""Tables: which columns can be clustered, and the reasons why others cannot.

A :class:`Table` keeps every column by name, so that a later table can be matched with a model
whatever the order of its columns.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError
from mixtura.base.numbering import row_name

ROWS_OF_TEXT = 50_000
"""Rows that are held as text at a time, in reading and in writing."""

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "?", "."})
"""Cells that stand for a missing value (lower case)."""

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
"""Headers (lower case) under which 0, 1, 2 ... or 1, 2, 3 ... are row numbers."""

LABELS = frozenset({"label", "labels", "class", "cluster", "group", "target"})
"""Headers (lower case) under which repeated whole numbers are labels."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its name, its header as written, and its numbers, or the reason without."""

    name: str
    header: str
    values: Array | None
    problem: str = ""
    cells: tuple[str, ...] = ()
    """As text, for the column of the groups."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, and the name of their source."""

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
            Exactly these, in this order. By default every numeric column that is not constant, not
            equal to an earlier one and not a row number.

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
        chosen, left_out = self._default() if columns is None else self._named(columns)
        self._refuse_missing(chosen)
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
                f"empty cells, first in {row_name(empty[0])}. Drop or fill these rows first."
            )
        return [cell.strip() for cell in cells]

    def without(self, name: str) -> Table:
        """The table without one of its columns."""
        return replace(
            self, columns=tuple(column for column in self.columns if column.name != name)
        )

    def _default(self) -> tuple[dict[str, Array], list[tuple[str, str]]]:
        """The columns to cluster by default, and the reason why each other one is left out."""
        chosen: dict[str, Array] = {}
        left_out: list[tuple[str, str]] = []
        earlier: dict[bytes, str] = {}
        for column in self.columns:
            reason = _reason_to_leave_out(column, earlier)
            if reason or column.values is None:
                left_out.append((column.name, reason))
            else:
                chosen[column.name] = column.values
                earlier[_fingerprint(column.values)] = column.name
        if not chosen:
            reasons = "; ".join(f"{name!r} is {reason}" for name, reason in left_out)
            raise DataError(
                f"{self.source}: expected at least one column of numbers to cluster, but there is "
                f"none: {reasons}. Numbers need a decimal point, cells a comma, semicolon, tab or "
                "| between them."
            )
        return chosen, left_out

    def _named(self, columns: Sequence[str]) -> tuple[dict[str, Array], list[tuple[str, str]]]:
        """The named columns, in the given order."""
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
        """The message about columns that do not exist."""
        have = ", ".join(map(repr, self.names))
        if not unknown:
            return (
                f"{self.source}: expected the name of at least one column, but none came. "
                f"Choose from {have}."
            )
        lower = {name.lower(): name for name in self.names}
        near = {name: difflib.get_close_matches(name.lower(), lower, n=1) for name in unknown}
        listed = [
            f"{name!r}" + (f" (did you mean {lower[near[name][0]]!r}?)" if near[name] else "")
            for name in unknown
        ]
        return (
            f"{self.source}: no column is called {' or '.join(listed)}. The columns are {have}. "
            "Correct the name or rename the column."
        )

    def _refuse_missing(self, chosen: Mapping[str, Array]) -> None:
        """Refuse missing and infinite values in columns that are used."""
        missing = np.zeros(self.n_rows, dtype=bool)
        listed = []
        for name, values in chosen.items():
            finite = np.isfinite(values)
            if not finite.all():
                missing |= ~finite
                kind = "infinite" if np.isinf(values).any() else "empty"
                listed.append(
                    f"{name!r} {np.count_nonzero(~finite)} {kind}, first in "
                    f"{row_name(int(np.argmin(finite)))}"
                )
        if listed:
            raise DataError(
                f"{self.source}: every cell must hold a finite number, but "
                f"{np.count_nonzero(missing)} of {self.n_rows} rows have an empty or infinite "
                f"cell ({'; '.join(listed)}). Drop or fill these rows first, or choose columns "
                "without missing values."
            )


def _reason_to_leave_out(column: Column, earlier: Mapping[bytes, str]) -> str:
    """The reason to leave a column out, or the empty string."""
    values = column.values
    if values is None:
        return column.problem
    known = values[~np.isnan(values)]
    if not known.size:
        return "empty"
    if _are_row_numbers(column.header, values):
        return "a row number"
    if _are_labels(column.header, known):
        return (
            "a label by its name and its whole numbers (to use it all the same, name it among "
            "the columns)"
        )
    if len(values) > 1 and known.size == values.size and known.min() == known.max():
        return f"constant ({known[0]:g} in every row)"
    equal = earlier.get(_fingerprint(values))
    return f"equal to {equal!r} in every row" if equal else ""


def _are_row_numbers(header: str, values: Array) -> bool:
    """Whether a column with an identifier's header holds 0, 1, 2 ... or 1, 2, 3 ..."""
    if header.lower() not in IDENTIFIERS or values[0] not in (0, 1):
        return False
    return bool((values == np.arange(len(values)) + values[0]).all())


def _are_labels(header: str, known: Array) -> bool:
    """Whether a column with a label's header holds repeated whole numbers."""
    return (
        header.strip().lower() in LABELS
        and bool((known == np.round(known)).all())
        and len(np.unique(known)) < len(known)
    )


def _fingerprint(values: Array) -> bytes:
    """A hash that is equal for equal columns."""
    return hashlib.sha256(values.tobytes()).digest()
