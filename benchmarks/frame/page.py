"""The page of one benchmark: tables that are printed row by row, floors that are checked, and a
picture; written as Markdown and PNG at the end.

Nothing is written unless ``--output`` names a folder.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from types import TracebackType

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter

from frame.clock import REPEATS
from frame.machine import MatrixProduct, facts
from mixtura.backends import processors
from mixtura.plots import DOTS_PER_INCH, GREY, INK, PALE, PALETTE

Cell = str | float | int | bool | None
SIDE, SIDE_QUICK = 1600, 300
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":")


def parser(doc: str, threads: int | None = None) -> argparse.ArgumentParser:
    """The options that all benchmarks have; no ``--threads`` where ``threads`` fixes the number."""
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument(
        "--quick",
        action="store_true",
        help="small problems that take seconds, to test the script; the results mean nothing",
    )
    options.add_argument(
        "--output",
        type=Path,
        help="folder for the page and the picture (default: nothing is written)",
    )
    if threads is None:
        options.add_argument("--threads", type=int, default=min(2, processors()))
    else:
        options.set_defaults(threads=threads)
    options.add_argument("--task", help=argparse.SUPPRESS)
    return options


# ---- tables --------------------------------------------------------------------------------------


def shown(value: Cell, spec: str) -> str:
    """A cell as text; a dash where nothing was measured."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else format(value, spec)


class Table:
    """A table whose rows are printed when they are added.

    Parameters
    ----------
    title : str
    columns : mapping of str to str
        Head -> format of the numbers below it.
    """

    def __init__(self, title: str, columns: Mapping[str, str]) -> None:
        self.title = title
        self.columns = columns
        self.rows: list[tuple[Cell, ...]] = []
        print(f"\n{title}\n{' | '.join(columns)}", flush=True)

    def add(self, *cells: Cell) -> None:
        """Add one row and print it."""
        assert len(cells) == len(self.columns), (
            f"{len(cells)} cells under {len(self.columns)} heads"
        )
        self.rows.append(cells)
        print(" | ".join(self._texts(cells)), flush=True)

    def column(self, head: str) -> np.ndarray:
        """The numbers of one column, NaN where a cell is empty."""
        at = list(self.columns).index(head)
        return np.array([float("nan") if row[at] is None else row[at] for row in self.rows])

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [
            list(self.columns),
            ["---"] * len(self.columns),
            *(self._texts(row) for row in self.rows),
        ]
        return "\n".join(
            f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines
        )

    def _texts(self, cells: Sequence[Cell]) -> list[str]:
        return [shown(cell, spec) for cell, spec in zip(cells, self.columns.values(), strict=True)]


# ---- floors --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Floor:
    """A requirement on a measured number: at least ``bound``, or with ``at_most`` at most."""

    what: str
    bound: float
    at_most: bool = False

    def reached(self, measured: float) -> bool:
        """Whether the number meets it; NaN does not."""
        return measured <= self.bound if self.at_most else measured >= self.bound

    def verdict(self, measured: float) -> str:
        """The requirement and whether it was met, as text."""
        answer = (
            "not measured" if math.isnan(measured) else "yes" if self.reached(measured) else "NO"
        )
        return f"{self.what} {'at most' if self.at_most else 'at least'} {self.bound:g}: {answer}"


# ---- the page ------------------------------------------------------------------------------------


@dataclass
class Page:
    """The tables, notes and floors of one script. A context manager: the page is written at its
    end, unless an exception was raised.

    Attributes
    ----------
    script : str
        The script's file, which gives the page its name.
    doc : str
        The script's docstring: heading and method.
    arguments : argparse.Namespace
        From :func:`parser`.
    """

    script: str
    doc: str
    arguments: argparse.Namespace
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: list[tuple[str, str, bool]] = field(default_factory=list)
    draw: Callable[[Figure], None] | None = None

    def __enter__(self) -> Page:
        self.facts = [
            *facts(),
            f"{self.arguments.threads} thread{'s' if self.arguments.threads > 1 else ''}",
        ]
        print("\n".join(self.facts))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        if self.checked:
            print(f"\n{self.summary()}")
        if self.arguments.output is not None:
            self.write(self.arguments.output)

    @property
    def repeats(self) -> int:
        """How often everything is timed; once with ``--quick``."""
        return 1 if self.arguments.quick else REPEATS

    def product(self, dtype: type = np.float64) -> MatrixProduct:
        """The product that measures the machine's limit; smaller with ``--quick``."""
        product = MatrixProduct(SIDE_QUICK if self.arguments.quick else SIDE, dtype)
        product(1)  # makes the matrix and starts the threads
        return product

    def table(self, title: str, columns: Mapping[str, str]) -> Table:
        """Add a table to this page."""
        self.tables.append(Table(title, columns))
        return self.tables[-1]

    def note(self, text: str) -> None:
        """Print a sentence, and write it below the tables."""
        self.notes.append(text)
        print(text, flush=True)

    def check(self, where: str, *measured: tuple[Floor, float]) -> str:
        """Check floors; returns the verdicts as a cell, a dash if there are none."""
        verdicts = [
            (where, floor.verdict(value), floor.reached(value)) for floor, value in measured
        ]
        self.checked += verdicts
        return "; ".join(words for _, words, _ in verdicts) or "-"

    def summary(self) -> str:
        """How many floors were reached, and which were not, as text."""
        missed = [f"{where}, {words}" for where, words, reached in self.checked if not reached]
        return (
            f"Floors reached: {len(self.checked) - len(missed)} of {len(self.checked)}."
            + "".join(f"\n- {each}" for each in missed)
        )

    def picture(self, draw: Callable[[Figure], None]) -> None:
        """Set the function that draws the picture when the page is written."""
        self.draw = draw

    # ---- written ---------------------------------------------------------------------------------

    def write(self, folder: Path) -> None:
        """Write the page and the picture."""
        folder.mkdir(parents=True, exist_ok=True)
        name = Path(self.script).stem
        heading, method = _heading_and_method(self.doc)
        parts = [f"# {heading}", method, "\n".join(f"- {fact}" for fact in self.facts)]
        if self.arguments.quick:
            parts.append(
                "**Run with `--quick`: the problems are too small for meaningful results.**"
            )
        if self.checked:
            parts.append(self.summary().replace("\n", "\n\n", 1))
        if self.draw is not None:
            parts.append(f"![{heading}]({name}.png)")
            self._draw(folder / f"{name}.png", heading)
        for table in self.tables:
            parts += [f"## {table.title}", table.markdown()]
        parts += self.notes
        (folder / f"{name}.md").write_text("\n\n".join(part for part in parts if part) + "\n")

    def _draw(self, file: Path, heading: str) -> None:
        with mpl.rc_context(
            {"font.size": 9, "text.color": INK, "axes.edgecolor": GREY, "axes.labelcolor": INK}
        ):
            figure = Figure(figsize=(9.0, 5.0), layout="constrained")
            assert self.draw is not None
            self.draw(figure)
            figure.suptitle(heading, x=0.01, ha="left", fontsize=11, fontweight="bold", wrap=True)
            figure.supxlabel(
                f"{self.facts[0]}; {self.facts[1]}; {self.facts[-1]}; {self.facts[3]}",
                fontsize=7,
                color=GREY,
            )
            figure.savefig(file, dpi=DOTS_PER_INCH)


def _heading_and_method(doc: str) -> tuple[str, str]:
    """The first line, and the rest with the indented command as a block of code."""
    heading, _, rest = doc.strip().partition("\n")
    return heading.rstrip("."), re.sub(
        r"^    (python .*(?:\n    .*)*)$",
        lambda command: f"```\n{dedent(command[0])}\n```",
        rest.strip("\n").replace("``", "`"),
        flags=re.MULTILINE,
    )


# ---- pictures ------------------------------------------------------------------------------------


def lines(
    axes: Axes,
    x: Sequence[float] | np.ndarray,
    series: Mapping[str, Sequence[float] | np.ndarray],
    log: str = "xy",
) -> None:
    """Plot one line for each name, with its own colour, style and marker; NaN leaves a gap."""
    for i, (name, y) in enumerate(series.items()):
        if np.isfinite(np.asarray(y, dtype=float)).any():
            axes.plot(
                x,
                y,
                color=PALETTE[i],
                marker=MARKERS[i],
                linestyle=LINES[i % len(LINES)],
                label=name,
                markersize=5,
            )
    _style(axes, log)
    if "x" in log:
        axes.set_xticks(list(x), [_short(value) for value in x])
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=8)


def dots(
    axes: Axes, labels: Sequence[str], series: Mapping[str, Sequence[float] | np.ndarray]
) -> None:
    """Plot one row for each label, the first at the top, with a marker and its number for each
    name; bars would have no origin on a log axis.
    """
    places = np.arange(len(labels), dtype=float)
    apart = 0.6 / len(series)
    for i, (name, values) in enumerate(series.items()):
        at, figures = places + (i - (len(series) - 1) / 2) * apart, np.asarray(values, dtype=float)
        axes.plot(
            figures, at, linestyle="", color=PALETTE[i], marker=MARKERS[i], markersize=7, label=name
        )
        for place, figure in zip(at, figures, strict=True):
            if np.isfinite(figure):
                text = f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"
                axes.annotate(
                    text,
                    (figure, place),
                    (7, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7,
                )
    axes.set_yticks(places, labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.margins(x=0.08)
    _style(axes, "x")
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _style(axes: Axes, log: str) -> None:
    """Set log scales, plain tick labels and a pale grid."""
    for letter, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if letter in log:
            axes.set(**{f"{letter}scale": "log"})
            axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
            axis.set_minor_formatter(
                LogFormatter(minor_thresholds=(1, 0.4))
            )  # minor labels only where there are few powers of ten
    axes.grid(color=PALE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _short(value: float) -> str:
    """A number as text, 1000000 as 1M."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
