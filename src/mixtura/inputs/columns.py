"""Columns of a table from the cells of a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from mixtura.base.arrays import Array
from mixtura.inputs.numbers import Mark, Numbers, is_plain, numbers_of, truths_of
from mixtura.inputs.tables import Column


def column_of_numbers(name: str, header: str, values: Array, na: Collection[str] = ()) -> Column:
    """A column of numbers (n,); those that are named as missing become NaN."""
    missing = [float(text) for text in na if is_plain(text)]
    if missing:
        values = np.where(np.isin(values, missing), np.nan, values)
    return Column(name, header, values)


def column_of_truths(name: str, header: str, values: Array, cells: tuple[str, ...] = ()) -> Column:
    """A column of true and false as 1 and 0 (n,)."""
    return Column(name, header, values, is_true_or_false=True, cells=cells)


def columns_of_text(
    names: Sequence[str],
    headers: Sequence[str],
    columns: Sequence[Sequence[str]],
    place: Callable[[int], str],
    *,
    na: frozenset[str] = frozenset(),
    asked: Mark | None = None,
    shown: Collection[Mark] = (),
    usual: Mark | None = None,
    keep: Collection[str] = (),
) -> list[Column]:
    """Columns of text as numbers, as true and false, or with the reason why they are neither.

    Columns that can be read with either decimal mark follow the others of the file, if these agree.

    Parameters
    ----------
    names, headers, columns : of equal length
    place : callable
        The name of a cell's place in a message.
    na, asked : see :func:`mixtura.inputs.numbers.numbers_of`
    shown : decimal marks
        Those that other columns of the file show.
    usual : decimal mark, optional
        That of the file where no column shows one.
    keep : names
        Columns whose text is kept.
    """
    truths = [truths_of(cells, na) for cells in columns]

    def read(cells: Sequence[str], usual: Mark | None = None) -> Numbers:
        return numbers_of(cells, place, na=na, asked=asked, usual=usual)

    found = [
        None if own is not None else read(cells) for cells, own in zip(columns, truths, strict=True)
    ]
    marks = {*shown, *(own.mark for own in found if own is not None and own.mark is not None)}
    common = usual if not marks else next(iter(marks)) if len(marks) == 1 else None
    made = []
    for name, header, cells, own, truth in zip(names, headers, columns, found, truths, strict=True):
        text = tuple(cells) if name in keep else ()
        if own is None:
            assert truth is not None
            made.append(column_of_truths(name, header, truth, text))
            continue
        if own.mark is None and not own.wrong and common is not None:
            own = read(cells, common)
        made.append(_column(name, header, own, text, cells, na))
    return made


def _column(
    name: str,
    header: str,
    found: Numbers,
    text: tuple[str, ...],
    cells: Sequence[str],
    na: frozenset[str],
) -> Column:
    """A column from what was found in its cells."""
    if not found.problem:
        plain = column_of_numbers(name, header, found.values, na)
        return Column(name, header, plain.values, how=found.how, cells=text)
    wrong = {i: cells[i].strip() for i in found.wrong} if text else {}
    some = text and bool(np.isfinite(found.values).any())
    return Column(
        name,
        header,
        None,
        found.problem,
        advice=found.advice,
        conflict=found.conflict,
        cells=text,
        partial=found.values if some else None,
        wrong=wrong if some else {},
    )


def unique_names(header: Sequence[str]) -> list[str]:
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


def without_unnamed(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that have a name or a value: a trailing separator makes one that has neither."""
    return tuple(
        column
        for column in columns
        if column.header or column.values is None or not np.isnan(column.values).all()
    )
