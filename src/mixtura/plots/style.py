"""The style of all panels: colours of text, titles, legends, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

INK, GREY, PALE = "#2b2b2b", "#6f7378", "#d9dce0"
HALO = withStroke(linewidth=3.2, foreground="white", alpha=0.85)
DASHES = (0, (5, 2))

LEGEND: dict[str, Any] = {
    "frameon": False,
    "fontsize": 9,
    "title_fontsize": 9,
    "borderaxespad": 0.0,
    "alignment": "left",
    "handletextpad": 0.6,
}


def new_axes() -> Axes:
    """One panel in a new figure."""
    return Figure(figsize=(7.6, 5.0), layout="constrained").add_subplot()


def tidy(ax: Axes) -> None:
    """Two spines, a pale grid in the background, small ticks."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(colors=INK, labelsize=9)
    ax.grid(color="#eceef0", linewidth=0.8)
    ax.set_axisbelow(True)


def headline(ax: Axes, title: str | None, caption: str) -> None:
    """A title at the left, with a small grey caption below."""
    caption = fill(caption, 100) if "\n" not in caption else caption
    lines = caption.count("\n") + 1 if caption else 0
    if title:
        ax.set_title(plain(title), loc="left", fontsize=12, color=INK, pad=8 + 12 * lines)
    if caption:
        ax.annotate(
            plain(caption),
            (0, 1),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8,
            color=GREY,
        )


def figure_title(figure: Figure, title: str | None) -> None:
    """A title above all panels of a figure."""
    if title:
        figure.suptitle(plain(title), x=0.012, ha="left", fontsize=13, color=INK)


def legend_beside(ax: Axes, handles: Sequence[Any], title: str) -> None:
    """A legend to the right of the panel, where it hides no data, with 16 entries per column."""
    if handles:
        columns = ceil(len(handles) / 16)
        ax.legend(
            handles=list(handles),
            title=title,
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            ncols=columns,
            **LEGEND,
        )


def ring(ax: Axes, x: float, y: float, label: str) -> Line2D:
    """A ring around a point; a smaller one is the handle for the legend."""
    style: dict[str, Any] = {
        "linestyle": "",
        "marker": "o",
        "markerfacecolor": "none",
        "markeredgecolor": INK,
        "markeredgewidth": 1.6,
    }
    ax.plot(x, y, markersize=15, zorder=6, **style)
    return Line2D([], [], markersize=9, label=label, **style)


def percent(share: float) -> str:
    """A share in whole percent; never ``0 %`` for a positive share."""
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def share_name(share: float) -> str:
    """A probability that somebody chose, in percent with all its digits: ``99.9 %``."""
    return f"{100 * share:.10g} %"


def counted(n: int, noun: str) -> str:
    """``1 cluster``, ``2 clusters``."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


LONGEST_NAME = 32
"""Characters of a column's name that fit on an axis."""


def axis_name(column: str, longest: int = LONGEST_NAME) -> str:
    """The name of a column in one line, cut if it is too long."""
    name = " ".join(column.split())
    return plain(
        name if len(name) <= longest else name[: longest - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    )


def plain(text: str) -> str:
    """Text with escaped dollar signs, so that matplotlib reads no formula in it."""
    return text.replace("$", r"\$")
