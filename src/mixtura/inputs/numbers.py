"""Numbers as people write them: decimal commas, thousands separators, currencies, missing values.

A column is read as a whole. Its cells are either all read with a decimal point or all with a
decimal comma, and what can be read both ways with different values is not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from mixtura.base.arrays import Array

Mark = Literal[".", ","]
"""A decimal mark."""

OTHER: dict[Mark, Mark] = {".": ",", ",": "."}
"""The mark that separates thousands where the first one is the decimal mark."""

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
    for mark, other in OTHER.items()
}


class Written(NamedTuple):
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
        value = float(cell)
    except ValueError:
        return False
    return "_" not in cell and value == value


def is_missing(cell: str, na: frozenset[str] = frozenset()) -> bool:
    """Whether a cell of a column of numbers is missing; ``na`` are further texts for that."""
    text = cell.strip()
    return text in na or (not text[:1].isdigit() and text.lower() in MISSING)


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
    plain = cell if mark == "." else cell.replace(",", ".") if "." not in cell else ""
    if is_plain(plain):
        return Written(float(plain), "")
    text = cell.strip()
    if text[:1].isalpha():
        return None
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
    if found is None or not (found["grouped"] or found["whole"] or found["part"]):
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


def looks_numeric(are_numbers: Sequence[bool]) -> bool:
    """Whether so many cells of a column are numbers that it is probably one of numbers."""
    n_numbers = sum(are_numbers)
    return n_numbers > 0 and n_numbers >= MOSTLY * len(are_numbers)


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
    missing = {cell for cell in set(cells) if is_missing(cell, na)}
    present = [i for i, cell in enumerate(cells) if cell not in missing]
    texts = list(dict.fromkeys(cells[i] for i in present))
    marks: tuple[Mark, ...] = (".", ",") if asked is None else (asked,)
    whole = {mark: reading for mark in marks if (reading := _reading(texts, mark)) is not None}
    if len(whole) == 2 and any(whole["."][text] != whole[","][text] for text in texts):
        plain: Mark | None = "." if all(is_plain(text) for text in texts) else None
        mark = usual or plain
        if mark is None:
            return _ambiguous(cells, whole["."], whole[","], place, present)
        return replace(_read(cells, whole[mark]), mark=None)
    for mark, reading in whole.items():
        shown = mark if len(whole) == 1 and asked is None else None
        doubtful = _doubtful(texts, shown)
        if shown is not None and doubtful:
            return _in_doubt(cells, reading, present, place, doubtful, shown)
        return replace(_read(cells, reading), mark=shown)
    return _not_whole(cells, marks, present, place)


def _doubtful(texts: Sequence[str], mark: Mark | None) -> set[str]:
    """Cells whose separator of thousands may be a decimal mark against the rule of the column.

    A cell that only a separator explains, such as 1,234.5, shows that the others have it, too.
    """
    if mark is None:
        return set()
    other = OTHER[mark]
    separated = [text for text in texts if other in text]
    doubtful = {text for text in separated if written(text, other) is not None}
    return doubtful if len(doubtful) == len(separated) else set()


def _in_doubt(
    cells: Sequence[str],
    reading: Mapping[str, Written],
    present: Sequence[int],
    place: Callable[[int], str],
    doubtful: Collection[str],
    mark: Mark,
) -> Numbers:
    """A column with cells that may have the other decimal mark."""
    wrong = [i for i in present if cells[i] in doubtful]
    cell = cells[wrong[0]]
    value, slip = reading[cell].value, written(cell, OTHER[mark])
    assert slip is not None
    return _in_conflict(
        _values(cells, {text: own for text, own in reading.items() if text not in doubtful}),
        wrong,
        len(present),
        mark,
        f"{place(wrong[0])} has {shortened(cell.strip())!r}, which is {value:.15g} or "
        f"{slip.value:.15g}",
    )


def _in_conflict(
    values: Array, wrong: Sequence[int], n_present: int, mark: Mark, cell: str
) -> Numbers:
    """A column with cells against its decimal mark."""
    name = {".": "point", ",": "comma"}[mark]
    return Numbers(
        values,
        tuple(wrong),
        problem=f"not numeric with a decimal {name} ({cell})",
        conflict=f"{n_present - len(wrong)} of {n_present} cells are numbers with a decimal "
        f"{name}, but {cell}",
    )


def _reading(texts: Sequence[str], mark: Mark) -> dict[str, Written] | None:
    """Texts as numbers with this decimal mark; None where one of them is none."""
    reading = {}
    for text in texts:
        found = written(text, mark)
        if found is None:
            return None
        reading[text] = found
    return reading


def _values(cells: Sequence[str], reading: Mapping[str, Written | None]) -> Array:
    """The numbers of a column (n,), NaN where a cell is none."""
    numbers = {text: found.value for text, found in reading.items() if found is not None}
    return np.array([numbers.get(cell, np.nan) for cell in cells])


def _read(cells: Sequence[str], reading: Mapping[str, Written]) -> Numbers:
    """A column whose cells are all numbers."""
    values = _values(cells, reading)
    units = {found.unit for found in reading.values()}
    named = sorted(units - {""})
    if len(named) > 1 or units == {"", "%"}:
        said = " and ".join(named) if len(named) > 1 else "% and numbers without it"
        return Numbers(
            values,
            problem=f"in different units ({said})",
            advice="To include it, convert its cells to one unit.",
        )
    return Numbers(values, how=_how(reading))


def _how(reading: Mapping[str, Written]) -> str:
    """How numbers were read, in words; empty where all of them are plain.

    The example is the longest number, which has most of what is unusual.
    """
    first = ""
    for text, found in reading.items():
        if len(text) > len(first) and not _is_usual(text, found):
            first = text
    return first and f"{first.strip()!r} is read as {reading[first].value:.15g}"


def _is_usual(text: str, found: Written) -> bool:
    return "," not in text and is_plain(text) and float(text) == found.value


def _ambiguous(
    cells: Sequence[str],
    points: Mapping[str, Written],
    commas: Mapping[str, Written],
    place: Callable[[int], str],
    present: Sequence[int],
) -> Numbers:
    """A column that can be read with a decimal point or with a decimal comma."""
    i = next(i for i in present if points[cells[i]] != commas[cells[i]])
    point, comma = points[cells[i]].value, commas[cells[i]].value
    return Numbers(
        np.full(len(cells), np.nan),
        problem=f"ambiguous ({place(i)} has {shortened(cells[i].strip())!r}, which is "
        f"{point:.15g} with a decimal point and {comma:.15g} with a decimal comma)",
        advice="To include it, say which one it is: --decimal . or --decimal ,",
    )


def _not_whole(
    cells: Sequence[str],
    marks: Sequence[Mark],
    present: Sequence[int],
    place: Callable[[int], str],
) -> Numbers:
    """A column with cells that are not numbers by the mark of the others."""
    texts = {cells[i] for i in present}
    readings = {mark: {text: written(text, mark) for text in texts} for mark in marks}
    failed = {
        mark: [i for i in present if reading[cells[i]] is None]
        for mark, reading in readings.items()
    }
    mark = min(marks, key=lambda mark: (len(failed[mark]), mark != "."))
    wrong, values = failed[mark], _values(cells, readings[mark])
    first, n_numbers = wrong[0], len(present) - len(wrong)
    if n_numbers and all(written(cells[i], OTHER[mark]) is not None for i in wrong):
        cell = f"{place(first)} has {shortened(cells[first].strip())!r}"
        return _in_conflict(values, wrong, len(present), mark, cell)
    problem = f"not numeric ({place(first)} has {shortened(cells[first].strip())!r}"
    advice = ""
    if looks_numeric([readings[mark][cells[i]] is not None for i in present]):
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
    found: dict[str, float] = {}
    for cell in cells:
        if cell not in found:
            known = TRUTHS.get(cell.strip().lower())
            if known is None and not is_missing(cell, na):
                return None
            found[cell] = np.nan if known is None else known
    if all(value != value for value in found.values()):
        return None
    return np.array([found[cell] for cell in cells])
