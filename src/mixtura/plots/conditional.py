"""One column given another: the conditional mean, quantiles and densities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.distribution.mixture import Mixture
from mixtura.model.explained_variance import most_explained
from mixtura.plots.curves import curve_grid
from mixtura.plots.scatter import draw_points, name_axes
from mixtura.plots.style import GREY, HALO, INK, axis_name, headline, legend_beside, share_name
from mixtura.plots.unwrap import mixture_of, names_of
from mixtura.plots.view import PlotView, checked_levels, one_panel

LEVELS = (0.5, 0.9)
"""Probabilities between the quantiles: 25 % to 75 %, and 5 % to 95 %."""

BANDS = ("#5a98cd", "#c6dbee")
"""Colours of the bands, from the innermost to the outermost."""

GRID = 240
"""Values of the given column where the bands are evaluated."""

FAINT = 0.45
"""Opacity of the rows, so that bands and curves stay visible."""

HEIGHT = 0.13
"""Height of the highest conditional density, as a share of the panel's width."""


FLAT = 0.01
"""Share of its maximum below which the curve of a density is not drawn."""

CURVE: dict[str, Any] = {"color": INK, "linewidth": 1.2, "zorder": 5}


def plot_conditional(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    levels: Sequence[float] = LEVELS,
    at: float | Sequence[float] = (),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """One column given another: the conditional mean, bands between quantiles, and, at some values,
    the conditional density.

    The given column is across, the other one up. Further columns of the mixture are not given.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n,d)
    columns : d names, optional
        Those of a data frame by default.
    shown : two of ``columns``, optional
        The given column and the other one; by default the pair of which the first explains most of
        the variance of the second.
    levels : probabilities between 0 and 1
        What is between the two quantiles of a band: 0.9 is the band from 5 % to 95 %.
    at : values of the given column, optional
        The conditional density is drawn there, sideways.
    ax : Axes, optional
        A new figure by default.
    title : str, optional

    Notes
    -----
    The conditional distribution is that of :meth:`mixtura.Mixture.condition`, a mixture again.
    Where it has two modes the mean may be between them, where there are no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture
    >>> one = Mixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.6], [0.6, 1.0]]])
    >>> ax = plot_conditional(one, one.rvs(100, random_state=0), columns=["x", "y"], at=1.0)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['mean', '25 % to 75 %', '5 % to 95 %', 'density at 1']
    """
    mixture = mixture_of(result)
    names = names_of(result, X, columns, mixture.n_features)
    _refuse_one_column(names if shown is None else shown)
    if shown is None:
        shown = [names[j] for j in most_explained(mixture)]
    view, ax = one_panel(mixture, X, names, shown, ax, most=2)
    shares, places = checked_levels(levels), _checked_places(at)
    draw_points(ax, view)
    for points in (*ax.collections, *ax.images):
        points.set_alpha(FAINT)
    _draw_bands(ax, view, shares)
    name_axes(ax, view)
    _draw_densities(ax, view.mixture, places)
    headline(ax, title, view.caption)
    legend_beside(ax, _handles(shares, places), given_words(view.names))
    return ax


def _refuse_one_column(names: Sequence[str]) -> None:
    if len(names) < 2:
        raise ValueError(
            "a conditional plot needs two columns, the given one and the other, but there is only "
            f"{', '.join(map(repr, names))}. Use plot_density for one column."
        )


def _checked_places(at: float | Sequence[float]) -> Array:
    """The values of the given column."""
    places = np.atleast_1d(np.asarray(at, dtype=np.float64))
    if places.ndim > 1 or not np.isfinite(places).all():
        raise ValueError(f"`at` must be a finite number or several, but got {at!r}.")
    return places


def _draw_bands(ax: Axes, view: PlotView, levels: Array) -> None:
    """The mean and the bands over the range of the rows."""
    low, high = view.rows[:, 0].min(), view.rows[:, 0].max()
    grid = np.linspace(low, high, GRID)
    given = view.mixture.condition([0], grid[:, None])
    for level, colour in list(zip(levels, _colours(len(levels)), strict=True))[::-1]:
        lower, upper = given.ppf([0.5 - 0.5 * level, 0.5 + 0.5 * level]).T
        ax.fill_between(grid, lower, upper, color=colour, alpha=0.45, linewidth=0, zorder=0.8)
        for edge in (lower, upper):
            ax.plot(grid, edge, color=colour, linewidth=1.1, zorder=3)
    ax.plot(grid, given.mean()[:, 0], color=INK, linewidth=2.0, path_effects=[HALO], zorder=4)


def _draw_densities(ax: Axes, mixture: Mixture, places: Array) -> None:
    """The conditional density at each place, sideways, all on one scale."""
    if not len(places):
        return
    limits = ax.get_xlim()
    left, right = min(limits[0], places.min()), max(limits[1], places.max())
    low, high = ax.get_ylim()
    curves = []
    for one in mixture.condition([0], places[:, None]):
        grid = curve_grid(one, low, high)
        curves.append((grid, one.pdf(grid[:, None])))
    scale = HEIGHT * (right - left) / max(float(density.max()) for _, density in curves)
    for place, (grid, density) in zip(places, curves, strict=True):
        edge = place + scale * density
        ax.fill_betweenx(grid, place, edge, color=INK, alpha=0.18, linewidth=0, zorder=4)
        ax.plot(np.where(density > FLAT * density.max(), edge, np.nan), grid, **CURVE)
        ax.plot([place, place], [low, high], color=GREY, linewidth=0.8, zorder=5)
        right = max(right, float(edge.max()))
    ax.set(xlim=(left, right), ylim=(low, high))


def _colours(n: int) -> list[str]:
    """The colours of n bands, the innermost first."""
    return [BANDS[0]] * (n - 1) + [BANDS[-1]]


def _handles(levels: Array, places: Array) -> list[Any]:
    """Legend entries: the mean, the bands, and the places."""
    bands = [
        Patch(
            facecolor=colour,
            alpha=0.6,
            label=f"{share_name(0.5 - 0.5 * level)} to {share_name(0.5 + 0.5 * level)}",
        )
        for level, colour in zip(levels, _colours(len(levels)), strict=True)
    ]
    said = f"density at {', '.join(f'{place:g}' for place in places)}"
    densities = [Patch(facecolor=INK, alpha=0.25, label=said)] if len(places) else []
    return [Line2D([], [], color=INK, linewidth=2.0, label="mean"), *bands, *densities]


def given_words(names: Sequence[str]) -> str:
    """``waiting given eruptions``."""
    given, other = (axis_name(name, 24) for name in names)
    return f"{other}\ngiven {given}"
