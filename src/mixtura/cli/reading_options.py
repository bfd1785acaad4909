"""The options about a file: how it is read, and what its columns are."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mixtura.cli.exit_codes import UsageError
from mixtura.cli.standard_input import as_typed

if TYPE_CHECKING:
    from mixtura.inputs.reading import Reading


@Parameter(name="*")
@dataclass(frozen=True)
class FormatOptions:
    """How a file is read where it does not say so itself, as typed."""

    na: Annotated[
        tuple[str, ...],
        Parameter(allow_leading_hyphen=True, consume_multiple=False, show_default=False),
    ] = ()
    """A text that stands for a missing value, such as -999; may be given several times. Empty
    cells, NA, n/a, NaN, null, -, ? and #N/A are missing in any case.
    """

    decimal: Literal[".", ","] | None = None
    """The decimal mark of numbers, a point or a comma; by default what the cells of a column show.
    """

    booleans: bool = False
    """Use columns that are true or false as 1 and 0."""

    sheet: str | None = None
    """The sheet of a workbook; the first one by default."""

    encoding: str | None = None
    """The encoding of text, such as latin-1; by default UTF-8 or UTF-16, as the file is."""

    @property
    def reading(self) -> Reading:
        """For :func:`mixtura.inputs.reading.read_table`."""
        from mixtura.inputs.reading import Reading

        return Reading(tuple(map(as_typed, self.na)), self.decimal, self.encoding, self.sheet)

    def arguments(self) -> list[str]:
        """The options that are not at their defaults, as words of a command."""
        given = {"--decimal": self.decimal, "--sheet": self.sheet, "--encoding": self.encoding}
        named = [word for option, value in given.items() if value for word in (option, value)]
        missing = [word for text in self.na for word in ("--na", as_typed(text))]
        return [*missing, *named, *(["--booleans"] if self.booleans else [])]


@Parameter(name="*")
@dataclass(frozen=True)
class ReadingOptions(FormatOptions):
    """How a file is read, and which of its columns are used, as typed."""

    columns: str | None = None
    """Columns to use, separated by commas; by default all that suit clustering."""

    drop: str | None = None
    """Columns to leave out, separated by commas."""

    def arguments(self) -> list[str]:
        """The options that are not at their defaults, as words of a command."""
        given = {"--columns": self.columns, "--drop": self.drop}
        named = [word for option, value in given.items() if value for word in (option, value)]
        return [*super().arguments(), *named]

    @property
    def chosen(self) -> list[str] | None:
        """The names of --columns; None where all that suit are used."""
        return None if self.columns is None else names_in(self.columns)

    @property
    def dropped(self) -> list[str]:
        """The names of --drop."""
        return [] if self.drop is None else names_in(self.drop)

    @property
    def special(self) -> dict[str, str]:
        """Columns that are not clustered, by what they are for."""
        return {}


@Parameter(name="*")
@dataclass(frozen=True)
class WeightOptions(ReadingOptions):
    """The same, with the weights of the rows."""

    weights: str | None = None
    """A column with the weight of every row, such as how often it occurs."""

    def arguments(self) -> list[str]:
        """The options that are not at their defaults, as words of a command."""
        return [*super().arguments(), *(["--weights", self.weights] if self.weights else [])]

    @property
    def special(self) -> dict[str, str]:
        """Columns that are not clustered, by what they are for."""
        return super().special | ({"--weights": self.weights} if self.weights else {})


@Parameter(name="*")
@dataclass(frozen=True)
class LabelOptions(WeightOptions):
    """The same, with known classes."""

    labels: str | None = None
    """A column with known classes, numbers or text; an empty cell is an unknown class. A row of a
    known class belongs to its component during the fit; memberships.csv has its posterior.
    """

    def arguments(self) -> list[str]:
        """The options that are not at their defaults, as words of a command."""
        return [*super().arguments(), *(["--labels", self.labels] if self.labels else [])]

    @property
    def special(self) -> dict[str, str]:
        """Columns that are not clustered, by what they are for."""
        return super().special | ({"--labels": self.labels} if self.labels else {})


USUAL_FORMAT, ALL_COLUMNS = FormatOptions(), ReadingOptions()
NO_WEIGHTS, NO_LABELS = WeightOptions(), LabelOptions()
"""The defaults."""


def names_in(text: str) -> list[str]:
    """Names that are separated by commas; those with a comma in quotes."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def refuse_twice(special: dict[str, str], columns: list[str] | None) -> None:
    """Refuse a column that would be clustered and have another use, or have two of them."""
    uses: dict[str, str] = {}
    for option, name in special.items():
        other = "--columns" if name in (columns or ()) else uses.get(name)
        if other:
            raise UsageError(
                f"{option} and {other} both name {name!r}; a column has one use. Leave it out of "
                "one of them."
            )
        uses[name] = option
