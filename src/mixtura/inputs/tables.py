"""Tables from files: which columns can be clustered, which cannot, and why.

CSV needs nothing but the standard library and NumPy; Parquet needs pyarrow. A :class:`Table` keeps
every column by name, so that a later table can be matched with a model whatever the order of its
columns.
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
