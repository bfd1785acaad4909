"""What became of the starts of a search: how many ended in each optimum, and how far below the best
it lies.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from mixtura.model.start_report import Optimum, StartReport
from mixtura.plots.colours import component_colours, to_light, to_screen
from mixtura.plots.look import INK, counted, headline, new_axes, tidy

MOST_BARS = 15
"""More bars cannot be read; the other optima share one."""

FEWEST = 4
"""The picture has room for so many bars at least, so that one alone is no wall."""


def plot_starts(result: Any, ax: Axes | None = None) -> Axes:
    """A bar for each distinct optimum of a search: as long as the starts and proposals that ended
    there, the best score on top.

    Proposals from another optimum are the hatched part. The paler a bar, the less its labels agree
    with those of the best (adjusted Rand index).

    Parameters
    ----------
    result : StartReport, or a fitted estimator, a selector, a candidate or a SearchResult that has
    one ax : Axes, optional
        A new figure by default.
    """
    report = report_of(result)
    ax = new_axes() if ax is None else ax
    shown = report.optima[:MOST_BARS]
    places, colours = range(len(shown)), [_colour(optimum) for optimum in shown]
    starts, proposals = (
        [optimum.n_starts for optimum in shown],
        [optimum.n_proposals for optimum in shown],
    )
    ax.barh(places, starts, color=colours, height=0.62, label="starts")
    look: dict[str, Any] = {"color": "white", "edgecolor": colours, "hatch": "////", "height": 0.62}
    hatched = ax.barh(places, proposals, left=starts, label="proposals", **look)
    ax.bar_label(
        hatched, labels=[_agreement(optimum) for optimum in shown], padding=6, fontsize=9, color=INK
    )
    ax.set_yticks(places, [_place(optimum) for optimum in shown])
    longest = max((a + b for a, b in zip(starts, proposals, strict=True)), default=1)
    what = "starts (full) and proposals (hatched)" if report.n_proposals else "starts"
    ax.set(
        xlabel=f"{what} that ended there",
        xlim=(0, 1.28 * max(longest, 1)),
        ylim=(max(len(shown), FEWEST) - 0.4, -0.6),
    )
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    tried = counted(report.n_starts, "start") + (
        f" and {counted(report.n_proposals, 'proposal')}" if report.n_proposals else ""
    )
    headline(
        ax,
        f"{tried}, {_optima(len(report.optima))}",
        "the others were left as too far behind, or did not come to rest",
    )
    tidy(ax)
    ax.grid(visible=False, axis="y")
    return ax


def report_of(result: Any) -> StartReport:
    """The start report of a result, or the report itself."""
    best = getattr(getattr(result, "selection_", result), "best", None)
    for holder in (
        result,
        getattr(result, "start_report_", None),
        getattr(result, "report", None),
        getattr(result, "starts", None),
    ):
        if isinstance(holder, StartReport):
            return holder
    if isinstance(found := getattr(best, "starts", None), StartReport):
        return found
    raise TypeError(
        f"a start report was expected, but {type(result).__name__} came. Pass a fitted estimator "
        "or selector, or its report."
    )


def _place(optimum: Optimum) -> str:
    """How far its score is below the best."""
    return "best" if optimum.gap <= 0 else f"{optimum.gap:.3g} below"


def _agreement(optimum: Optimum) -> str:
    return (
        ""
        if optimum.gap <= 0 or not isfinite(optimum.agreement)
        else f"agreement {optimum.agreement:.2f}"
    )


def _colour(optimum: Optimum) -> str:
    """From pale to the first colour, by agreement; the best has the full colour."""
    share = (
        1.0
        if optimum.gap <= 0
        else 0.15 + 0.55 * float(np.clip(np.nan_to_num(optimum.agreement), 0, 1))
    )
    red, green, blue = to_screen(share * to_light(component_colours(1)[0]) + (1 - share))
    return to_hex((red, green, blue))


def _optima(n: int) -> str:
    return "all in one optimum" if n == 1 else f"{n} distinct optima"
