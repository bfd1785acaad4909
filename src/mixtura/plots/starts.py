"""The optima of a search: how many starts ended in each, and how far each is below the best."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from mixtura.model.start_report import Optimum, StartReport
from mixtura.plots.colours import component_colours, to_light, to_screen
from mixtura.plots.style import INK, counted, headline, new_axes, tidy

MOST_BARS = 15
"""Optima with a bar, the best first; more bars cannot be read."""

FEWEST_BARS = 4
"""The picture has space for at least this many bars, so that a single bar is not too wide."""


def plot_starts(result: Any, ax: Axes | None = None) -> Axes:
    """A bar for each distinct optimum of a search: the number of starts and proposals that ended
    there, the best score at the top.

    The hatched part counts proposals of the local search. A paler bar means that its labels agree
    less with those of the best optimum (adjusted Rand index).

    Parameters
    ----------
    result : StartReport, or an object that has one
        A fitted estimator, a selector, a candidate or a SearchResult.
    ax : Axes, optional
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
    style: dict[str, Any] = {
        "color": "white",
        "edgecolor": colours,
        "hatch": "////",
        "height": 0.62,
    }
    hatched = ax.barh(places, proposals, left=starts, label="proposals", **style)
    ax.bar_label(
        hatched, labels=[_agreement(optimum) for optimum in shown], padding=6, fontsize=9, color=INK
    )
    ax.set_yticks(places, [_place(optimum) for optimum in shown])
    longest = max((a + b for a, b in zip(starts, proposals, strict=True)), default=1)
    what = "starts (solid) and proposals (hatched)" if report.n_proposals else "starts"
    ax.set(
        xlabel=f"{what} that ended there",
        xlim=(0, 1.28 * max(longest, 1)),
        ylim=(max(len(shown), FEWEST_BARS) - 0.4, -0.6),
    )
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    tried = counted(report.n_starts, "start") + (
        f" and {counted(report.n_proposals, 'proposal')}" if report.n_proposals else ""
    )
    headline(
        ax,
        f"{tried}, {_optima(len(report.optima))}",
        "all others were stopped early, being far below the best, or did not converge",
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
        f"a start report was expected, but got {type(result).__name__}. Pass a fitted estimator "
        "or selector, or its report."
    )


def _place(optimum: Optimum) -> str:
    """The tick label: how far the score is below the best."""
    return "best" if optimum.gap <= 0 else f"{optimum.gap:.3g} below"


def _agreement(optimum: Optimum) -> str:
    return (
        ""
        if optimum.gap <= 0 or not isfinite(optimum.agreement)
        else f"agreement {optimum.agreement:.2f}"
    )


def _colour(optimum: Optimum) -> str:
    """The colour of a bar, paler for less agreement with the best optimum."""
    share = (
        1.0
        if optimum.gap <= 0
        else 0.15 + 0.55 * float(np.clip(np.nan_to_num(optimum.agreement), 0, 1))
    )
    red, green, blue = to_screen(share * to_light(component_colours(1)[0]) + (1 - share))
    return to_hex((red, green, blue))


def _optima(n: int) -> str:
    return "one optimum" if n == 1 else f"{n} distinct optima"
