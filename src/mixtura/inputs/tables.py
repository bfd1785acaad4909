"""Tables: which columns can be clustered, and the reasons why others cannot.

A :class:`Table` keeps every column by name, so that a later table can be matched with a model
whatever the order of its columns.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError
from mixtura.base.numbering import row_name
from mixtura.inputs.numbers import MISSING, shortened

ROWS_OF_TEXT = 50_000
"""Rows that are held as text at a time, in reading and in writing."""

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

LABEL = "a label by its name and its whole numbers"
"""The reason of a column that looks numeric, but is left out by its name."""

DROPPED, NOT_ASKED = "dropped as asked", "not asked for"
"""The reasons of columns that the user leaves out."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its name, its header as written, and its numbers, or the reason without.

    Attributes
    ----------
    name, header : str
    values : (n,), optional
        NaN where a value is missing.
    problem : str
        Why there are no numbers.
    how : str
        How unusual numbers were read.
    advice : str
        How to use a column that looks numeric although it has no numbers.
    conflict : str
        A cell that must be corrected before the column can be used.
    is_true_or_false : bool
        The values are 1 and 0, and used only on request.
    cells : (n,) str
        The cells as text, for a column that was kept.
    partial : (n,), optional
        The numbers of a column that has other cells, too; NaN there. Only for a column that was
        kept.
    wrong : dict of int to str
        The rows of those other cells, and their text.
    """

    name: str
    header: str
    values: Array | None
    problem: str = ""
    how: str = ""
    advice: str = ""
    conflict: str = ""
    is_true_or_false: bool = False
    cells: tuple[str, ...] = ()
    partial: Array | None = None
    wrong: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, and the name of their source.

    Attributes
    ----------
    source : str
    columns : tuple of Column
    n_rows : int
    said : tuple of str
        What was skipped in the file, and other remarks about it as a whole.
    na : set of str
        The texts that stand for a missing value, beside the usual ones.
    """

    source: str
    columns: tuple[Column, ...]
    n_rows: int
    said: tuple[str, ...] = ()
    na: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in the order of the file."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of this name; an unknown one is an error with a suggestion."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise DataError(self._unknown([name]))
        return found

    def numeric(
        self,
        columns: Sequence[str] | None = None,
        *,
        drop: Sequence[str] = (),
        booleans: bool = False,
    ) -> tuple[Array, tuple[str, ...], list[tuple[str, str]]]:
        """The numbers to be clustered; a missing value is NaN.

        Parameters
        ----------
        columns : sequence of str, optional
            Exactly these, in this order. By default every numeric column that is not constant, not
            equal to an earlier one and not a row number.
        drop : sequence of str
            Not these.
        booleans : bool
            Columns that are true or false are used as 1 and 0. A column that is named is used in
            any case.

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
            infinite or contradicts its column.
        """
        self._refuse_unknown([*(columns or ()), *drop])
        chosen, left_out = (
            self._default(set(drop), booleans) if columns is None else self._named(columns, drop)
        )
        self._refuse_infinite(chosen)
        X = np.empty((self.n_rows, len(chosen)))
        for j, values in enumerate(chosen.values()):
            X[:, j] = values
        return X, tuple(chosen), left_out

    def answerable(self, columns: Sequence[str]) -> tuple[Array, list[str]]:
        """The numbers of columns that were kept, and for every row the reason not to use it.

        A cell that is no number, or infinite, is NaN here, and its row has a reason; the reason of
        a row that can be used is empty.
        """
        self._refuse_unknown(columns)
        X, reasons = np.empty((self.n_rows, len(columns))), [""] * self.n_rows
        for j, name in enumerate(columns):
            column = self.column(name)
            values = column.values if column.values is not None else column.partial
            if values is None or (column.problem and not column.wrong):
                raise DataError(self._not_numeric(column))
            X[:, j] = values
            wrong = {**column.wrong, **dict.fromkeys(np.flatnonzero(np.isinf(values)).tolist(), "")}
            for i, cell in wrong.items():
                said = f"{name!r} is {shortened(cell)!r}" if cell else f"{name!r} is infinite"
                reasons[i] = f"{reasons[i]}; {said}".removeprefix("; ")
        X[~np.isfinite(X)] = np.nan
        return X, reasons

    def groups(self, name: str) -> list[str]:
        """The known group of every row: a column that was kept, as text.

        Raises
        ------
        DataError
            When there is no such column, or a row has no group.
        """
        column = self.column(name)
        groups = self._classes(column)
        empty = [i for i, group in enumerate(groups) if group is None]
        if empty:
            raise DataError(
                f"{self.source}: every row needs a group, but column {name!r} has {len(empty)} "
                f"empty cells, first in {row_name(empty[0])}. Drop or fill these rows first."
            )
        return [group for group in groups if group is not None]

    def labels(self, name: str) -> list[float | str | None]:
        """The class of every row, from a column that was kept: None where it is unknown.

        In a column of numbers a missing value and -1 are unknown. In a column of text an empty cell
        is, and NA, as R writes it.
        """
        column = self.column(name)
        if column.values is None or column.is_true_or_false:
            classes = self._classes(column)
            return [None if own is None or own.lower() in MISSING else own for own in classes]
        return [
            None if value != value or value == -1 else int(value) if value.is_integer() else value
            for value in column.values.tolist()
        ]

    def _classes(self, column: Column) -> list[str | None]:
        """The cells of a column as text; None where empty, or named as missing."""
        if column.values is not None and not column.cells:
            return [None if value != value else f"{value:.17g}" for value in column.values.tolist()]
        unknown = MISSING if column.values is not None else frozenset({""})
        return [
            None if cell.lower() in unknown or cell in self.na else cell
            for cell in map(str.strip, column.cells)
        ]

    def weights(self, name: str) -> Array:
        """The weight of every row (n,), from a column of numbers.

        Raises
        ------
        DataError
            When the column is not known or not numeric, or a weight is missing, infinite or
            negative.
        """
        values = self._values_of(self.column(name))
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(bad):
            raise DataError(
                f"{self.source}: every row needs a weight of at least 0, but column {name!r} has "
                f"{len(bad)} cells that are missing, infinite or negative, first in "
                f"{row_name(int(bad[0]))}. Correct them; a weight of 0 leaves a row out."
            )
        return values

    def warning(self, name: str, reason: str) -> str:
        """How to include a column that was left out although it looks numeric; else empty."""
        if reason == LABEL:
            return "To include it all the same, name it among the columns (--columns)."
        return "" if reason in (DROPPED, NOT_ASKED) else self.column(name).advice

    def without(self, *names: str) -> Table:
        """The table without some of its columns."""
        return replace(
            self, columns=tuple(column for column in self.columns if column.name not in names)
        )

    def _default(
        self, drop: Collection[str], booleans: bool
    ) -> tuple[dict[str, Array], list[tuple[str, str]]]:
        """The columns to cluster by default, and the reason why each other one is left out."""
        chosen: dict[str, Array] = {}
        left_out: list[tuple[str, str]] = []
        earlier: dict[bytes, str] = {}
        for column in self.columns:
            reason = (
                DROPPED
                if column.name in drop
                else _reason_to_leave_out(column, earlier, booleans=booleans)
            )
            if column.conflict and reason != DROPPED:
                raise DataError(self._conflicting(column))
            if reason or column.values is None:
                left_out.append((column.name, reason))
            else:
                chosen[column.name] = column.values
                earlier[_fingerprint(column.values)] = column.name
        if not chosen and not left_out:
            raise DataError(
                f"{self.source}: expected at least one column of numbers, but no column is left."
            )
        if not chosen:
            reasons = "; ".join(
                f"{name!r} is {reason}. {self.column(name).advice}".rstrip(". ")
                for name, reason in left_out
            )
            raise DataError(
                f"{self.source}: expected at least one column of numbers to cluster, but there is "
                f"none: {reasons}. Cells need a comma, semicolon, tab, | or space between them."
            )
        return chosen, left_out

    def _named(
        self, columns: Sequence[str], drop: Sequence[str]
    ) -> tuple[dict[str, Array], list[tuple[str, str]]]:
        """The named columns, in the given order."""
        wanted = [name for name in columns if name not in drop]
        if not wanted:
            raise DataError(self._unknown([]))
        chosen = {name: self._values_of(self.column(name)) for name in wanted}
        return chosen, [(name, NOT_ASKED) for name in self.names if name not in chosen]

    def _values_of(self, column: Column) -> Array:
        """The numbers of a column that must have some."""
        if column.conflict:
            raise DataError(self._conflicting(column))
        if column.values is None:
            raise DataError(self._not_numeric(column))
        return column.values

    # ---- messages --------------------------------------------------------------------------------

    def _not_numeric(self, column: Column) -> str:
        return (
            f"{self.source}: column {column.name!r} must hold numbers, but it is "
            f"{column.problem}. {column.advice or 'Leave it out or correct it.'}"
        )

    def _conflicting(self, column: Column) -> str:
        return (
            f"{self.source}: the cells of a column must have the same decimal mark, but in "
            f"{column.name!r} {column.conflict}. Correct it, leave the column out "
            f"(--drop {column.name}), or say which mark is the decimal one (--decimal)."
        )

    def _refuse_unknown(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise DataError(self._unknown(unknown))

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

    def _refuse_infinite(self, chosen: Mapping[str, Array]) -> None:
        """Refuse infinite values in columns that are used."""
        infinite = {
            name: np.flatnonzero(np.isinf(values))
            for name, values in chosen.items()
            if np.isinf(values).any()
        }
        if infinite:
            listed = "; ".join(
                f"{name!r} {len(rows)} infinite, first in {row_name(int(rows[0]))}"
                for name, rows in infinite.items()
            )
            n_rows = len(set(np.concatenate(list(infinite.values())).tolist()))
            raise DataError(
                f"{self.source}: every number must be finite, but {n_rows} of {self.n_rows} rows "
                f"have an infinite cell ({listed}). Correct these cells, or read them as missing "
                "values (--na inf)."
            )


def _reason_to_leave_out(column: Column, earlier: Mapping[bytes, str], *, booleans: bool) -> str:
    """The reason to leave a column out, or the empty string."""
    values = column.values
    if values is None:
        return column.problem
    known = values[~np.isnan(values)]
    if not known.size:
        return "empty"
    if column.is_true_or_false and not booleans:
        return "true or false (--booleans uses it as 1 and 0)"
    if _are_row_numbers(column.header, values):
        return "a row number"
    if _are_labels(column.header, known):
        return LABEL
    if len(values) > 1 and known.min() == known.max():
        where = "every row" if known.size == values.size else "every row that has a value"
        return f"constant ({known[0]:g} in {where})"
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
