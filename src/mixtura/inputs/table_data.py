"""The columns and rows of a table that are clustered, and what is to be said about the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.errors import DataError
from mixtura.inputs.row_knowledge import KnownClasses, known_classes
from mixtura.inputs.tables import NOT_ASKED, Table

FEW_VALUES, MANY_ROWS = 5, 30
"""A column with so few different values in so many rows is probably a category."""

EMPTY_ROWS = "a fit does not use them, and their probabilities are the weights of the components"
"""What is said of rows that have no value at all."""


@dataclass(frozen=True, eq=False)
class TableData:
    """A table, and the columns and rows of it that are used.

    Attributes
    ----------
    table : Table
    X : (n,d)
        The columns that are used; NaN is missing.
    names : tuple of str
        Their d names.
    left_out : list of (column, reason)
    rows : (n,)
        The number of each row in the file, from 0.
    truth : list of n str, optional
        The known groups.
    weights : (n,), optional
    labels : list of n, optional
        Known classes, numbers or text; None where unknown.
    said, warned : tuple of str
        What was said about the file, and the warnings.
    """

    table: Table
    X: Array
    names: tuple[str, ...]
    left_out: list[tuple[str, str]]
    rows: Labels
    truth: list[str] | None = None
    weights: Array | None = None
    labels: list[Any] | None = None
    said: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()

    @cached_property
    def fitted(self) -> Flags:
        """The rows (n,) that a fit uses: those with a value and a weight."""
        filled = ~np.isnan(self.X).all(axis=1)
        return np.asarray(filled if self.weights is None else filled & (self.weights > 0))

    @property
    def fitted_weights(self) -> Array | None:
        """The weights of these rows."""
        return None if self.weights is None else self.weights[self.fitted]

    @property
    def fitted_labels(self) -> list[Any] | None:
        """The known classes of these rows."""
        if self.labels is None:
            return None
        return [label for label, own in zip(self.labels, self.fitted, strict=True) if own]

    @cached_property
    def known(self) -> KnownClasses | None:
        """The known classes of the rows that a fit uses; None without labels."""
        return known_classes(self.fitted_labels, int(self.fitted.sum()))

    @property
    def classes(self) -> list[Any]:
        """The names of the known classes: class c is component c."""
        return [] if self.known is None else self.known.names.tolist()

    def document(self) -> dict[str, Any]:
        """The table as plain values."""
        return {
            "source": self.table.source,
            "n_rows": len(self.X),
            "n_incomplete": int(np.isnan(self.X).any(axis=1).sum()),
            "columns": list(self.names),
            "left_out": [{"column": name, "reason": reason} for name, reason in self.left_out],
            "said": list(self.said),
            "warnings": list(self.warned),
            "classes": self.classes,
        }


def table_data(
    table: Table,
    columns: Sequence[str] | None = None,
    *,
    drop: Sequence[str] = (),
    booleans: bool = False,
    truth: str | None = None,
    weights: str | None = None,
    labels: str | None = None,
    complete_for: str = "",
    empty_rows: str = EMPTY_ROWS,
) -> TableData:
    """The data of a table.

    Parameters
    ----------
    table : Table
        Read with the cells of ``truth`` and ``labels`` kept.
    columns, drop, booleans : see :meth:`Table.numeric`
    truth, weights, labels : str, optional
        Columns with the known groups, the weights, and the known classes; they are not clustered.
    complete_for : str
        The reason why only complete rows can be used. By default incomplete rows are kept.
    empty_rows : str
        What is done with rows that have no value at all.

    Raises
    ------
    DataError
        When columns or rows cannot be used, or too few of them remain.
    """
    own = [name for name in (truth, weights, labels) if name is not None]
    for name in own:
        table.column(name)  # refuses an unknown one
    rest = table.without(*own)
    X, names, left_out = rest.numeric(columns, drop=drop, booleans=booleans)
    said, warned = _words(rest, left_out)
    whole = TableData(
        rest,
        X,
        names,
        left_out,
        np.arange(len(X)),
        None if truth is None else table.groups(truth),
        None if weights is None else table.weights(weights),
        None if labels is None else table.labels(labels),
        said,
        warned,
    )
    read = _complete(whole, complete_for) if complete_for else _with_missing(whole, empty_rows)
    _check(read)
    return read


def _words(
    table: Table, left_out: list[tuple[str, str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is said about the file and its columns, and the warnings."""
    said, warned = list(table.said), []
    for name, reason in left_out:
        advice = table.warning(name, reason)
        if advice:
            warned.append(f"left out: {name}, because it is {reason}. {advice}")
        elif reason != NOT_ASKED:
            said.append(f"left out: {name}, because it is {reason}")
    unused = {name for name, _ in left_out}
    said += [
        f"{column.name}: {column.how}"
        for column in table.columns
        if column.how and column.name not in unused
    ]
    return tuple(said), tuple(warned)


def _with_missing(read: TableData, empty_rows: str) -> TableData:
    """The table, with a sentence about missing values, which are kept."""
    missing = np.isnan(read.X)
    if not missing.any():
        return read
    kept = "they are kept, and used with the values they have"
    said = [*read.said, f"{_missing_words(read)}; {kept}"]
    n_empty = int(missing.all(axis=1).sum())
    if n_empty:
        said.append(f"{n_empty} of {len(missing)} rows have no value at all: {empty_rows}")
    return replace(read, said=tuple(said))


def _complete(read: TableData, reason: str) -> TableData:
    """The table with complete rows only, and a warning about the others."""
    complete = np.asarray(~np.isnan(read.X).any(axis=1))
    if complete.all():
        return read
    words = f"left out: {_missing_words(read)}; {reason}"
    return _some_rows(read, complete, (words, *read.warned))


def _missing_words(read: TableData) -> str:
    """How many rows have missing values, and in which columns."""
    missing = np.isnan(read.X)
    rows, n = missing.any(axis=1), len(missing)
    columns = ", ".join(
        f"{name} {count}"
        for name, count in zip(read.names, missing.sum(axis=0).tolist(), strict=True)
        if count
    )
    return f"{int(rows.sum())} of {n} rows have missing values ({columns})"


def _some_rows(read: TableData, kept: Flags, warned: tuple[str, ...]) -> TableData:
    """Some of the rows, with the warnings about the others."""

    def some(values: list[Any] | None) -> list[Any] | None:
        if values is None:
            return None
        return [value for value, own in zip(values, kept, strict=True) if own]

    return replace(
        read,
        X=read.X[kept],
        rows=read.rows[kept],
        truth=some(read.truth),
        weights=None if read.weights is None else read.weights[kept],
        labels=some(read.labels),
        warned=warned,
    )


def _check(read: TableData) -> None:
    """Refuse what cannot be clustered."""
    source, n_rows = read.table.source, int(read.fitted.sum())
    if n_rows < 2:
        came = {0: "none", 1: "one"}[n_rows]
        left = "" if n_rows == read.table.n_rows else " with the values and weights that are needed"
        raise DataError(
            f"{source}: expected at least two rows to cluster{left}, but there is {came}. Give "
            "more rows."
        )
    X = read.X[read.fitted]
    constant = [
        name
        for name, values in zip(read.names, X.T, strict=True)
        if np.fmin.reduce(values) == np.fmax.reduce(values) or np.isnan(values).all()
    ]
    if constant:
        raise DataError(
            f"{source}: expected columns with different values, but {constant[0]!r} has the "
            "same value in every row. Leave it out (--drop)."
        )
    if read.labels is not None and all(label is None for label in read.labels):
        raise DataError(
            f"{source}: expected the classes of some rows in the column of --labels, but all its "
            "cells are empty. Leave --labels out."
        )


def categories(read: TableData) -> list[str]:
    """The columns that are probably categories: they have few different values."""
    few = []
    for name, values in zip(read.names, read.X.T, strict=True):
        known = values[~np.isnan(values)]
        if len(known) >= MANY_ROWS and len(set(known.tolist())) <= FEW_VALUES:
            few.append(name)
    return few
