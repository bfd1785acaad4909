"""What became of the starts of a search: how many ended in each optimum, and how far below the best it lies."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from mixtura.plots.colours import component_colours, to_light, to_screen
from mixtura.plots.look import INK, counted, headline, new_axes, tidy

MOST_BARS = 15
"""More bars cannot be read; the other optima share one."""


class Optimum(Protocol):
    """One place that starts ended in."""

    @property
    def gap(self) -> float:
        """By how much its log-likelihood is below the best, at least 0."""
        ...

    @property
    def n_starts(self) -> int:
        """How many starts reached it."""
        ...

    @property
    def agreement(self) -> float:
        """Adjusted Rand index of its labels with those of the best."""
        ...


class StartReport(Protocol):
    """All of them, the best first or in any order."""

    @property
    def optima(self) -> Sequence[Optimum]:
        """Each distinct optimum once."""
        ...

    @property
    def n_starts(self) -> int:
        """How many starts there were."""
        ...


def plot_starts(result: Any, ax: Axes | None = None) -> Axes:
    """A bar for each distinct optimum that the starts reached: as long as the starts that ended there, the best on top.

    The paler a bar, the less its labels agree with those of the best (adjusted Rand index).

    Parameters
    ----------
    result : a start report, or a result with a ``report``
        With ``optima``, each of which has ``gap``, ``n_starts`` and ``agreement``, and with ``n_starts``.
    ax : Axes, optional
        A new figure by default.
    """
    report = report_of(result)
    ax = new_axes() if ax is None else ax
    optima = sorted(report.optima, key=lambda optimum: optimum.gap)
    shown, more = optima[:MOST_BARS], optima[MOST_BARS:]
    counts = [o.n_starts for o in shown] + [sum(o.n_starts for o in more)] * bool(more)
    names = [_place(o) for o in shown] + [f"{counted(len(more), 'other')}, further below"] * bool(more)
    notes = [_agreement(o) for o in shown] + [""] * bool(more)
    bars = ax.barh(range(len(counts)), counts, color=[*map(_colour, shown), "#e3e6ea"][: len(counts)], height=0.62)
    ax.bar_label(bars, labels=notes, padding=6, fontsize=9, color=INK)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="starts that ended there", xlim=(0, 1.28 * max(counts, default=1)), ylim=(len(counts) - 0.4, -0.6))
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    lost = report.n_starts - sum(counts)
    headline(ax, f"{counted(report.n_starts, 'start')}, {_optima(len(optima))}", f"{lost} ended without a fit" if lost > 0 else "")
    tidy(ax)
    ax.grid(visible=False, axis="y")
    return ax


def report_of(result: Any) -> StartReport:
    """The start report of a result, or the report itself."""
    holders: tuple[Any, ...] = (result, getattr(result, "report", None), getattr(result, "start_report_", None))
    for holder in holders:
        if hasattr(holder, "optima"):
            return holder  # type: ignore[no-any-return]
    raise TypeError(
        f"a start report was expected (something with `optima`), but {type(result).__name__} came. "
        "Pass the report of a search, or the SearchResult that has it."
    )


def _place(optimum: Optimum) -> str:
    """How far below the best."""
    return "best" if optimum.gap <= 0 else f"{optimum.gap:.3g} below"


def _agreement(optimum: Optimum) -> str:
    return "" if optimum.gap <= 0 or not isfinite(optimum.agreement) else f"agreement {optimum.agreement:.2f}"


def _colour(optimum: Optimum) -> str:
    """From pale to the first colour, by agreement; the best has the full colour."""
    share = 1.0 if optimum.gap <= 0 else 0.15 + 0.55 * float(np.clip(np.nan_to_num(optimum.agreement), 0, 1))
    red, green, blue = to_screen(share * to_light(component_colours(1)[0]) + (1 - share))
    return to_hex((red, green, blue))


def _optima(n: int) -> str:
    return "all in one optimum" if n == 1 else f"{n} distinct optima"
