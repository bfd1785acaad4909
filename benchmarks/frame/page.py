"""A page for one question: tables that are printed row by row, floors that are judged, a picture;
Markdown and PNG at the end.

Nothing is written unless ``--output`` names a folder, so a script that is tried out leaves no
trace.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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
    """The options that all questions have; no choice of threads where the question fixes them."""
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument(
        "--quick",
        action="store_true",
        help="small problems, seconds: to see that it works, not to be quoted",
    )
    options.add_argument(
        "--output",
        type=Path,
        help="folder for the page and the picture; without it nothing is written",
    )
    if threads is None:
        options.add_argument("--threads", type=int, default=min(2, processors()))
    else:
        options.set_defaults(threads=threads)
    options.add_argument("--task", help=argparse.SUPPRESS)
    return options


# ---- tables --------------------------------------------------------------------------------------


def shown(value: Cell, spec: str) -> str:
    """A cell as text; what was not measured is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else format(value, spec)


class Table:
    """Rows under heads, printed as they come.

    Parameters
    ----------
    title : str
    columns : mapping of str to str
        Head -> format of its figures.
    """

    def __init__(self, title: str, columns: Mapping[str, str]) -> None:
        self.title = title
        self.columns = columns
        self.rows: list[tuple[Cell, ...]] = []
        print(f"\n{title}\n{' | '.join(columns)}", flush=True)

    def add(self, *cells: Cell) -> None:
        """One row."""
        assert len(cells) == len(self.columns), (
            f"{len(cells)} cells under {len(self.columns)} heads"
        )
        self.rows.append(cells)
        print(" | ".join(self._texts(cells)), flush=True)

    def column(self, head: str) -> np.ndarray:
        """Its figures, NaN where there is none."""
        at = list(self.columns).index(head)
        return np.array([float("nan") if row[at] is None else row[at] for row in self.rows])

    def markdown(self) -> str:
        """The whole table."""
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
    """What a measured figure must reach: at least ``bound``, or at most where ``at_most``."""

    what: str
    bound: float
    at_most: bool = False

    def reached(self, measured: float) -> bool:
        """Whether it does; what was not measured does not."""
        return measured <= self.bound if self.at_most else measured >= self.bound

    def verdict(self, measured: float) -> str:
        """In words."""
        answer = (
            "not measured" if math.isnan(measured) else "yes" if self.reached(measured) else "NO"
        )
        return f"{self.what} {'at most' if self.at_most else 'at least'} {self.bound:g}: {answer}"


# ---- the page ------------------------------------------------------------------------------------


@dataclass
class Page:
    """All that one script finds out; a context, at whose end it is written.

    Attributes
    ----------
    script : str
        The script's file: its stem names the page.
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
    judged: list[tuple[str, str, bool]] = field(default_factory=list)
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
        if self.judged:
            print(f"\n{self.summary()}")
        if self.arguments.output is not None:
            self.write(self.arguments.output)

    @property
    def repeats(self) -> int:
        """How often everything is timed: once where it is only tried out."""
        return 1 if self.arguments.quick else REPEATS

    def product(self, dtype: type = np.float64) -> MatrixProduct:
        """What the machine's limit is measured by; smaller where it is only tried out."""
        product = MatrixProduct(SIDE_QUICK if self.arguments.quick else SIDE, dtype)
        product(1)  # makes the matrix and wakes the threads
        return product

    def table(self, title: str, columns: Mapping[str, str]) -> Table:
        """A new one on this page."""
        self.tables.append(Table(title, columns))
        return self.tables[-1]

    def note(self, text: str) -> None:
        """A sentence that is printed and written under the tables."""
        self.notes.append(text)
        print(text, flush=True)

    def judge(self, where: str, *measured: tuple[Floor, float]) -> str:
        """The verdicts as a cell; None of them is a dash."""
        verdicts = [
            (where, floor.verdict(value), floor.reached(value)) for floor, value in measured
        ]
        self.judged += verdicts
        return "; ".join(words for _, words, _ in verdicts) or "-"

    def summary(self) -> str:
        """How many floors were reached, and which were not."""
        missed = [f"{where}, {words}" for where, words, reached in self.judged if not reached]
        return f"Floors reached: {len(self.judged) - len(missed)} of {len(self.judged)}." + "".join(
            f"\n- {each}" for each in missed
        )

    def picture(self, draw: Callable[[Figure], None]) -> None:
        """How to draw it, once all tables are full."""
        self.draw = draw

    # ---- written ---------------------------------------------------------------------------------

    def write(self, folder: Path) -> None:
        """The page and the picture."""
        folder.mkdir(parents=True, exist_ok=True)
        name = Path(self.script).stem
        heading, method = _heading_and_method(self.doc)
        parts = [f"# {heading}", method, "\n".join(f"- {fact}" for fact in self.facts)]
        if self.arguments.quick:
            parts.append(
                "**Tried out with `--quick`: the problems are too small for figures that mean "
                "anything.**"
            )
        if self.judged:
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
    """The first line, and the rest with the command as code."""
    heading, _, rest = doc.strip().partition("\n")
    return heading.rstrip("."), re.sub(
        r"^    (python .*)$",
        r"```\n\1\n```",
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
    """One line with its own colour, stroke and marker per name, named at the legend; NaN leaves a
    gap.
    """
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
    _dress(axes, log)
    if "x" in log:
        axes.set_xticks(list(x), [_short(value) for value in x])
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=8)


def dots(
    axes: Axes, labels: Sequence[str], series: Mapping[str, Sequence[float] | np.ndarray]
) -> None:
    """One row per label, the first on top, a marker with its figure per name: on a log axis bars
    have no foot to stand on.
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
    _dress(axes, "x")
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _dress(axes: Axes, log: str) -> None:
    """Scales, a pale grid, plain numbers."""
    for letter, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if letter in log:
            axes.set(**{f"{letter}scale": "log"})
            axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
            axis.set_minor_formatter(
                LogFormatter(minor_thresholds=(1, 0.4))
            )  # only where there is hardly a power of ten
    axes.grid(color=PALE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _short(value: float) -> str:
    """1000000 as 1M, 0.001 as it is."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
