"""Numbers as people write them: decimal commas, thousands separators, currencies, missing values.

A column is read as a whole. Its cells are either all read with a decimal point or all with a
decimal comma, and what can be read both ways with different values is not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixtura.base.arrays import Array

Mark = Literal[".", ","]
"""A decimal mark."""

MISSING = frozenset(
    {"", "na", "n/a", "#n/a", "#na", "<na>", "nan", "null", "none", "nil", "\\n", "?", ".", "-"}
    | {"--", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!"}
)
"""Cells that stand for a missing value in a column of numbers (lower case); the last ones are the
errors of a workbook.
"""

TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0}
"""Words (lower case) of a column that is true or false."""

MOSTLY = 0.5
"""A column of text looks numeric where at least this part of its cells are numbers."""

SPACES = " \u00a0\u202f\u2009"
"""Thousands are separated by a space of some kind, by an apostrophe, or by the mark that is not
the decimal one.
"""

_NUMBER = {
    mark: re.compile(
        rf"(?:(?P<grouped>[1-9]\d{{0,2}}(?P<mark>[{re.escape(other)}'’{SPACES}])\d{{3}}"
        rf"(?:(?P=mark)\d{{3}})*)|(?P<whole>\d*))(?:{re.escape(mark)}(?P<part>\d*))?"
        r"(?P<power>[eE][+-]?\d+)?"
    )
    for mark, other in ((".", ","), (",", "."))
}


@dataclass(frozen=True)
class Written:
    """A number as it was written: its value and its unit, a currency or %, or nothing."""

    value: float
    unit: str


@dataclass(frozen=True, eq=False)
class Numbers:
    """The cells of a column as numbers.

    Attributes
    ----------
    values : (n,)
        NaN where a value is missing or the cell is not a number.
    wrong : tuple of int
        The cells that are not numbers.
    how : str
        How unusual numbers were read; empty for plain ones.
    problem : str
        Why the column is not a column of numbers; empty if it is one.
    conflict : str
        A cell against the rule of the column, which must be corrected.
    advice : str
        How to use a column that looks numeric all the same.
    mark : the decimal mark, where the cells show it
    """

    values: Array
    wrong: tuple[int, ...] = ()
    how: str = ""
    problem: str = ""
    conflict: str = ""
    advice: str = ""
    mark: Mark | None = None


def is_plain(cell: str) -> bool:
    """Whether Python reads the cell as a number that other programs would read, too."""
    try:
        return "_" not in cell and float(cell) == float(cell)
    except ValueError:
        return False


def is_missing(cell: str, na: frozenset[str] = frozenset()) -> bool:
    """Whether a cell of a column of numbers is missing; ``na`` are further texts for that."""
    text = cell.strip()
    return text.lower() in MISSING or text in na


def written(cell: str, mark: Mark) -> Written | None:
    """A cell as a number with this decimal mark; None if it is none.

    Examples
    --------
    >>> written("$1,234.50", ".")
    Written(value=1234.5, unit='$')
    >>> written("(1.234,56 €)", ",")
    Written(value=-1234.56, unit='€')
    >>> written("1,23.5", ".") is None
    True
    """
    text = cell.strip()
    sign = 1.0
    if text.startswith("(") and text.endswith(")"):
        text, sign = text[1:-1].strip(), -1.0
    text, unit = _without_unit(text)
    if text[:1] in ("-", "+", "−"):
        if sign < 0:
            return None
        sign, text = -1.0 if text[0] != "+" else 1.0, text[1:].strip()
        if not unit:
            text, unit = _without_unit(text)
    found = _NUMBER[mark].fullmatch(text)
    digits = "" if found is None else (found["grouped"] or found["whole"] or found["part"])
    if found is None or not digits:
        if text.lower() in ("inf", "infinity"):
            return Written(sign * float("inf"), unit)
        return None
    whole = re.sub(r"\D", "", found["grouped"] or found["whole"] or "") or "0"
    return Written(sign * float(f"{whole}.{found['part'] or '0'}{found['power'] or ''}"), unit)


def _without_unit(text: str) -> tuple[str, str]:
    """A text without a currency symbol before or after it, or a % after it."""
    if text.endswith("%"):
        return text[:-1].strip(), "%"
    for place, rest in ((text[:1], text[1:]), (text[-1:], text[:-1])):
        if place and unicodedata.category(place) == "Sc":
            return rest.strip(), place
    return text, ""


def looks_written(cell: str) -> bool:
    """Whether a cell is a number by either decimal mark."""
    return written(cell, ".") is not None or written(cell, ",") is not None


# ---- a whole column ------------------------------------------------------------------------------


def numbers_of(
    cells: Sequence[str],
    place: Callable[[int], str],
    *,
    na: frozenset[str] = frozenset(),
    asked: Mark | None = None,
    usual: Mark | None = None,
) -> Numbers:
    """The numbers of a column of text (n,).

    Parameters
    ----------
    cells : (n,) str
    place : callable
        The name of a cell's place in a message, such as ``line 7``.
    na : set of str
        Further texts for a missing value.
    asked : decimal mark, optional
        The mark that the user named.
    usual : decimal mark, optional
        The mark of the file, for columns that can be read with either.
    """
    present = [i for i, cell in enumerate(cells) if not is_missing(cell, na)]
    texts = {cells[i] for i in present}
    marks: tuple[Mark, ...] = (".", ",") if asked is None else (asked,)
    readings = {mark: {text: written(text, mark) for text in texts} for mark in marks}
    failed = {
        mark: [i for i in present if reading[cells[i]] is None]
        for mark, reading in readings.items()
    }
    whole = [mark for mark in marks if not failed[mark]]
    if len(whole) == 2 and any(readings["."][t] != readings[","][t] for t in texts):
        plain = all(is_plain(text) for text in texts)
        mark = usual or ("." if plain else None)
        if mark is None:
            return _ambiguous(cells, readings, place, present)
        found = _read(cells, readings[mark], present, mark)
        return Numbers(found.values, how=found.how, problem=found.problem, advice=found.advice)
    if whole:
        shown = whole[0] if len(whole) == 1 and asked is None else None
        return _read(cells, readings[whole[0]], present, shown)
    return _not_whole(cells, readings, failed, present, place)


def _values(cells: Sequence[str], reading: dict[str, Written | None], present: list[int]) -> Array:
    values = np.full(len(cells), np.nan)
    for i in present:
        found = reading[cells[i]]
        if found is not None:
            values[i] = found.value
    return values


def _read(
    cells: Sequence[str], reading: dict[str, Written | None], present: list[int], mark: Mark | None
) -> Numbers:
    """A column whose cells are all numbers."""
    values = _values(cells, reading, present)
    units = {found.unit for found in reading.values() if found is not None}
    named = sorted(units - {""})
    if len(named) > 1 or (units == {"", "%"}):
        said = " and ".join(named) if len(named) > 1 else "% and numbers without it"
        return Numbers(
            values,
            problem=f"in different units ({said})",
            advice="Convert its cells to one unit.",
        )
    return Numbers(values, how=_how(reading), mark=mark)


def _how(reading: dict[str, Written | None]) -> str:
    """How numbers were read, in words; empty where all of them are plain."""
    unusual = {
        text: found.value
        for text, found in reading.items()
        if found is not None and not (is_plain(text) and float(text) == found.value)
    }
    if not unusual:
        return ""
    first = max(unusual, key=lambda text: (len(text), text))
    return f"{first.strip()!r} is read as {unusual[first]:.15g}"


def _ambiguous(
    cells: Sequence[str],
    readings: dict[Mark, dict[str, Written | None]],
    place: Callable[[int], str],
    present: list[int],
) -> Numbers:
    """A column that can be read with a decimal point or with a decimal comma."""
    i = next(i for i in present if readings["."][cells[i]] != readings[","][cells[i]])
    point, comma = readings["."][cells[i]], readings[","][cells[i]]
    assert point is not None
    assert comma is not None
    return Numbers(
        np.full(len(cells), np.nan),
        problem=f"ambiguous ({place(i)} has {shortened(cells[i].strip())!r}, which is "
        f"{point.value:.15g} with a decimal point and {comma.value:.15g} with a decimal comma)",
        advice="Say which one with --decimal . or --decimal , (in Python decimal='.' or ',').",
    )


def _not_whole(
    cells: Sequence[str],
    readings: dict[Mark, dict[str, Written | None]],
    failed: dict[Mark, list[int]],
    present: list[int],
    place: Callable[[int], str],
) -> Numbers:
    """A column with cells that are not numbers by the mark of the others."""
    mark: Mark = min(failed, key=lambda mark: (len(failed[mark]), mark != "."))
    reading, wrong = readings[mark], failed[mark]
    first = wrong[0]
    values = _values(cells, reading, present)
    other: Mark = "," if mark == "." else "."
    n_numbers = len(present) - len(wrong)
    against = [i for i in wrong if written(cells[i], other) is not None]
    if against and len(against) == len(wrong) and n_numbers:
        i = against[0]
        name = {".": "point", ",": "comma"}
        return Numbers(
            values,
            tuple(wrong),
            problem=f"not numeric with a decimal {name[mark]} ({place(i)} has "
            f"{shortened(cells[i].strip())!r})",
            conflict=f"{n_numbers} of {len(present)} cells are numbers with a decimal "
            f"{name[mark]}, but {place(i)} has {shortened(cells[i].strip())!r}",
        )
    problem = f"not numeric ({place(first)} has {shortened(cells[first].strip())!r}"
    advice = ""
    if n_numbers and n_numbers >= MOSTLY * len(present):
        problem += f"; {n_numbers} of {len(present)} cells are numbers"
        advice = (
            "To include it, correct its other cells, or name them as missing: "
            f"{' '.join(_na_options(cells[i] for i in wrong))}."
        )
    return Numbers(values, tuple(wrong), problem=f"{problem})", advice=advice)


def _na_options(cells: Iterable[str], most: int = 3) -> list[str]:
    """``--na 'call us'`` for different texts, at most a few."""
    texts = list(dict.fromkeys(cell.strip() for cell in cells))
    return [f"--na {text!r}" for text in texts[:most]] + (["..."] if len(texts) > most else [])


def shortened(cell: str) -> str:
    """A cell for a message."""
    return cell if len(cell) <= 30 else cell[:29] + "…"


def truths_of(cells: Sequence[str], na: frozenset[str] = frozenset()) -> Array | None:
    """True and false as 1 and 0 (n,), NaN where missing; None for a column of anything else."""
    found = {cell: TRUTHS.get(cell.strip().lower()) for cell in set(cells)}
    known = [value for cell, value in found.items() if not is_missing(cell, na)]
    if not known or None in known:
        return None
    return np.array([np.nan if found[cell] is None else found[cell] for cell in cells], dtype=float)
