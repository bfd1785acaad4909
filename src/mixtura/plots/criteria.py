"""Criteria over the number of components: the winning family and K, and the choices of other
criteria. Lower is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mixtura.model.criteria import criterion_named
from mixtura.model.selection import Candidate, Selection, title_of
from mixtura.plots.colours import PALETTE
from mixtura.plots.style import GREY, figure_title, headline, legend_beside, new_axes, ring, tidy
from mixtura.plots.unwrap import selection_of

COLOURED_FAMILIES = 6
"""Families with a coloured curve; more colours cannot be distinguished, so the others are grey."""

STEEP = 5.0
"""A panel ends at this many times the median's distance above the best value, so that one large
value does not flatten all curves.
"""

OTHER_UNITS = ("nec", "entropy")
"""Criteria not in units of -2 log-likelihood, which therefore share no axis with the others."""


def plot_criteria(
    result: Any, *, criterion_names: Sequence[str] | None = None, title: str | None = None
) -> Figure:
    """Criteria over the number of components; lower is better for every one.

    Left, :func:`plot_families`; right, :func:`plot_choices`.

    Parameters
    ----------
    result : fitted selector or Selection
    criterion_names : names of criteria, optional
        What the right panel shows.
    title : str, optional

    Returns
    -------
    Figure
        With one panel when no fit is valid.

    Raises
    ------
    ValueError
        When a criterion is not known.
    """
    selection = selection_of(result)
    winner = _winner(selection)
    names = _checked_names(selection, criterion_names)
    figure = Figure(figsize=(11.5 if winner else 7, 4.8), layout="constrained")
    panels = figure.subplots(
        1, 2 if winner else 1, squeeze=False, width_ratios=[1.25, 1] if winner else None
    )[0]
    plot_families(selection, ax=panels[0])
    if winner:
        plot_choices(selection, criterion_names=names, ax=panels[1])
    figure_title(figure, title)
    return figure


def plot_families(result: Any, *, ax: Axes | None = None) -> Axes:
    """The criterion of a selection over the number of components, a curve for each family, the
    winner ringed.

    The best six families are in colour and the others in grey. A hollow point is a fit with a
    spurious component, which the criterion cannot distinguish from a real one. A hollow cross is
    not a valid fit: collapsed, a saddle, or with copies or empty components. Values far above the
    others lie outside the panel, and a caption says so.

    Parameters
    ----------
    result : fitted selector or Selection
    ax : Axes, optional
        A new figure by default.
    """
    selection = selection_of(result)
    ax = new_axes() if ax is None else ax
    _draw_families(ax, selection, _winner(selection))
    return ax


def plot_choices(
    result: Any, *, criterion_names: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Several criteria of the winning family over the number of components, the lowest point of
    each ringed.

    Parameters
    ----------
    result : fitted selector or Selection
    criterion_names : names of criteria, optional
        Those that the selection has computed or that are keys of
        :data:`mixtura.model.criteria.CRITERIA`. By default the one that decides, BIC, AIC and ICL.
    ax : Axes, optional
        A new figure by default.

    Raises
    ------
    ValueError
        When a criterion is not known, or no fit is valid.
    """
    selection = selection_of(result)
    names = _checked_names(selection, criterion_names)
    winner = _winner(selection)
    if winner is None:
        raise ValueError(
            "a winning family was expected, but no fit is valid. plot_families shows all of them."
        )
    ax = new_axes() if ax is None else ax
    _draw_criteria(ax, [c for c in selection.candidates if c.label == winner.label], names)
    return ax


def _winner(selection: Selection) -> Candidate | None:
    """The best valid candidate."""
    return next(iter(selection.ranking), None)


def _checked_names(selection: Selection, wanted: Sequence[str] | None) -> list[str]:
    """The names of criteria that the winner has or that can be computed from a fit."""
    winner = _winner(selection)
    names = _usual_criteria(selection.criterion) if wanted is None else list(wanted)
    for name in names:
        if winner is None or name not in winner.criteria:
            criterion_named(name)
    return names


def _usual_criteria(decides: str) -> list[str]:
    """The criterion that decides, with those in the same units."""
    return (
        [decides] if decides in OTHER_UNITS else list(dict.fromkeys((decides, "bic", "aic", "icl")))
    )


def _draw_families(ax: Axes, selection: Selection, winner: Candidate | None) -> None:
    """One curve for each family, with the legend ranked by their best values."""
    families = sorted(
        {c.label for c in selection.candidates}, key=lambda name: _lowest(selection, name)
    )
    colours = {
        family: PALETTE[i] if i < COLOURED_FAMILIES else GREY for i, family in enumerate(families)
    }
    for family in reversed(families):
        coloured = colours[family] != GREY
        _draw_family(
            ax,
            _over_k(selection, family),
            family,
            colours[family],
            coloured=coloured,
            bold=bool(winner) and family == families[0],
        )
    named = list(ax.get_lines())[::-1]
    handles = named[:COLOURED_FAMILIES]
    if others := named[COLOURED_FAMILIES:]:
        handles.append(_others_handle(len(others)))
    seen = [c.criterion for c in selection.ranking if colours[c.label] != GREY]
    hidden = _limit_to(ax, seen) if seen else ""
    if spurious := [c for c in selection.ranking if c.fit is not None and not c.fit.is_sound]:
        handles.append(_draw_hollow(ax, spurious, colours))
    crosses = [c for c in selection.candidates if not c.eligible and isfinite(c.criterion)]
    if crosses:
        handles.append(_draw_crosses(ax, crosses, colours))
    if winner:
        handles.append(ring(ax, winner.n_components, winner.criterion, "best"))
    best = f"Best: {winner.title}" if winner else "No fit is valid"
    headline(ax, best, "; ".join(filter(None, (_failures(selection), hidden))))
    _criterion_axes(ax, title_of(selection.criterion))
    legend_beside(ax, handles, "family, best first")


def _lowest(selection: Selection, family: str) -> tuple[float, str]:
    """The best value of a family, infinite when it has none; ties are ordered by name."""
    return min(
        (c.criterion for c in selection.ranking if c.label == family), default=float("inf")
    ), family


def _over_k(selection: Selection, family: str) -> list[Candidate]:
    """The candidates of one family by K."""
    return sorted(
        (c for c in selection.candidates if c.label == family), key=lambda c: c.n_components
    )


def _draw_family(
    ax: Axes,
    candidates: Sequence[Candidate],
    family: str,
    colour: str,
    *,
    coloured: bool,
    bold: bool,
) -> None:
    """A curve through the valid candidates; the others leave gaps."""
    ax.plot(
        [c.n_components for c in candidates],
        [c.criterion if c.eligible else np.nan for c in candidates],
        color=colour,
        linewidth=2.8 if bold else 1.6 if coloured else 0.8,
        alpha=1.0 if coloured else 0.45,
        marker="o",
        markersize=5.5 if bold else 4 if coloured else 2,
        zorder=4 if bold else 3 if coloured else 2,
        label=family,
    )


def _others_handle(n: int) -> Line2D:
    """The legend's line for all grey families."""
    name = f"{n} other famil{'ies' if n > 1 else 'y'}"
    return Line2D(
        [], [], color=GREY, linewidth=0.8, alpha=0.6, marker="o", markersize=2, label=name
    )


def _draw_hollow(ax: Axes, candidates: Sequence[Candidate], colours: dict[str, str]) -> Line2D:
    """White points for candidates with a spurious component; the handle for the legend."""
    style: dict[str, Any] = {"linestyle": "", "marker": "o", "markerfacecolor": "white"}
    for candidate in candidates:
        size, above = (3, 2.5) if colours[candidate.label] == GREY else (6, 5)
        ax.plot(
            candidate.n_components,
            candidate.criterion,
            color=colours[candidate.label],
            markersize=size,
            zorder=above,
            **style,
        )
    return Line2D([], [], color=GREY, markersize=6, label="a spurious component", **style)


def _draw_crosses(ax: Axes, candidates: Sequence[Candidate], colours: dict[str, str]) -> Line2D:
    """Crosses for candidates that are not valid, at their value or the nearest edge; the handle for
    the legend.
    """
    low, high = ax.get_ylim()
    margin = 0.015 * (high - low)
    for candidate in candidates:
        height = float(np.clip(candidate.criterion, low + margin, high - margin))
        grey = colours[candidate.label] == GREY
        style = {**_CROSS, "markersize": 5, "alpha": 0.5} if grey else _CROSS
        ax.plot(
            candidate.n_components,
            height,
            linestyle="",
            color=colours[candidate.label],
            **style,
            zorder=2 if grey else 5,
        )
    return Line2D([], [], linestyle="", color=GREY, label="not valid", **_CROSS)


_CROSS: dict[str, Any] = {
    "marker": "X",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgewidth": 1.1,
}


def _limit_to(ax: Axes, values: Sequence[float]) -> str:
    """Limit the axis to values near the best, so that one poor fit does not flatten all others.

    Returns the caption about values outside.
    """
    low, high = min(values), max(values)
    reach = low + STEEP * (float(np.median(values)) - low)
    cut = high - low > 2.0 * (reach - low) > 0.0
    top = reach if cut else high
    margin = 0.06 * (top - low) or 1.0
    ax.set_ylim(low - 1.5 * margin, top + margin)
    return "values far above the best lie outside" if cut else ""


def _failures(selection: Selection) -> str:
    """The caption about candidates without a fit; empty where there are none."""
    missing = sum(c.fit is None for c in selection.candidates)
    return (
        f"{missing} of {len(selection.candidates)} fits failed and are not shown" if missing else ""
    )


def _draw_criteria(ax: Axes, candidates: Sequence[Candidate], names: Sequence[str]) -> None:
    """Several criteria of one family over its valid candidates."""
    candidates = sorted((c for c in candidates if c.eligible), key=lambda c: c.n_components)
    handles: list[Line2D] = []
    circle: list[Line2D] = []
    seen: list[float] = []
    for name, colour, marker in zip(names, PALETTE, "osD^vP*Xph", strict=False):
        values = [_value(c, name) for c in candidates]
        title = title_of(name)
        (line,) = ax.plot(
            [c.n_components for c in candidates],
            values,
            color=colour,
            marker=marker,
            linewidth=1.8,
            markersize=5,
            label=title,
        )
        handles.append(line)
        seen.extend(value for value in values if isfinite(value))
        if any(map(isfinite, values)):
            lowest = int(np.nanargmin(values))
            circle = [ring(ax, candidates[lowest].n_components, values[lowest], "lowest")]
    hidden = _limit_to(ax, seen) if seen else ""
    headline(
        ax,
        f"{candidates[0].label} by several criteria" if len(names) > 1 else candidates[0].label,
        hidden,
    )
    _criterion_axes(ax, "criterion")
    legend_beside(ax, [*handles, *circle], "")


def _value(candidate: Candidate, name: str) -> float:
    """A criterion of a fitted candidate: that of the selection, else computed from the fit."""
    assert candidate.fit is not None
    return (
        candidate.criteria[name]
        if name in candidate.criteria
        else criterion_named(name)(candidate.fit)
    )


def _criterion_axes(ax: Axes, name: str) -> None:
    """Axis labels, whole numbers of components, and space for a ring at both ends."""
    ax.set(xlabel="components K", ylabel=f"{name} (lower is better)")
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    ax.margins(x=0.07)
    tidy(ax)
