"""The density of a mixture: highest-density regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.distribution.regions import HighestDensityRegions
from mixtura.plots.curves import curve_grid
from mixtura.plots.raster import draw_colours, limits_of
from mixtura.plots.scatter import draw_means, name_axes
from mixtura.plots.style import (
    GREY,
    HALO,
    INK,
    axis_name,
    headline,
    legend_beside,
    share_name,
    tidy,
)
from mixtura.plots.view import PlotView, checked_levels, one_panel

SHARES = (0.2, 0.5, 0.8, 0.95)
"""Probabilities of the regions."""

FILLS = LinearSegmentedColormap.from_list("regions", ["#5a98cd", "#92bde0", "#c6dbee", "#eaf1f8"])
"""Colours of the regions, from the innermost to the outermost."""

GRID = 160
"""Places per axis where the density is evaluated."""


def plot_density(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    levels: Sequence[float] = SHARES,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Highest-density regions: the smallest regions with 20, 50, 80 and 95 % of the probability.

    Of two columns the regions are between contours, which are labelled with the probability inside
    them; of one column they are intervals, shaded below the curve of the density.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n,d)
    columns : d names, optional
        Those of a data frame by default.
    shown : one or two of ``columns``, optional
        By default the columns that best separate the components.
    levels : probabilities between 0 and 1
    ax : Axes, optional
        A new figure by default.
    title : str, optional

    Notes
    -----
    The regions are those of :meth:`mixtura.Mixture.hdr` for the shown columns (Hyndman 1996, The
    American Statistician 50, 120-126).

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture
    >>> means = [[0.0, 0.0], [4.0, 0.0]]
    >>> two = Mixture.from_parameters([0.5, 0.5], means, [1.0, 1.0], covariance_type="spherical")
    >>> ax = plot_density(two, two.rvs(100, random_state=0), levels=[0.5, 0.95])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['50 %', '95 %']
    """
    view, ax = one_panel(result, X, columns, shown, ax, most=2)
    regions = view.mixture.hdr(checked_levels(levels))
    (_draw_line if len(view.names) == 1 else _draw_contours)(ax, view, regions)
    headline(ax, title, view.missing_words)
    legend_beside(ax, _handles(regions), "probability inside")
    return ax


def _draw_contours(ax: Axes, view: PlotView, regions: HighestDensityRegions) -> None:
    """Filled regions, their borders and labels, the rows as faint points, and the means."""
    (left, right), (low, high) = _panel_limits(view)
    x, y = np.linspace(left, right, GRID), np.linspace(low, high, GRID)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    density = np.exp(view.mixture.log_density(places)).reshape(GRID, GRID)
    steps = _rising(regions.thresholds[::-1])
    top = max(float(density.max()), steps[-1]) * 1.01
    fills = [to_hex(colour) for colour in _fills(len(steps))[::-1]]
    ax.contourf(x, y, density, levels=[*steps, top], colors=fills, zorder=1)
    lines = ax.contour(x, y, density, levels=steps, colors=GREY, linewidths=0.7, zorder=2)
    if view.crowded:
        draw_colours(ax, view.rows, np.zeros((len(view.rows), 3))).set_alpha(0.15)
    else:
        across, up = view.rows.T
        ax.scatter(
            across,
            up,
            s=0.35 * view.point_area,
            color=INK,
            alpha=0.35,
            linewidths=0,
            zorder=3,
            rasterized=True,
        )
    words = {step: share_name(p) for step, p in zip(steps, regions.levels[::-1], strict=True)}
    for label in ax.clabel(lines, fmt=words, fontsize=8, colors=INK, zorder=4):
        label.set_path_effects([HALO])
    draw_means(ax, view, is_numbered=True)
    name_axes(ax, view)
    ax.set(xlim=(left, right), ylim=(low, high))


def _rising(heights: Array) -> list[float]:
    """Strictly rising levels; contours of a nearly flat density may have equal heights."""
    steps = [float(heights[0])]
    for height in heights[1:]:
        steps.append(max(float(height), np.nextafter(steps[-1] * (1 + 1e-9), np.inf)))
    return steps


def _panel_limits(view: PlotView) -> Array:
    """Limits around all rows and the components' ellipses of three standard deviations."""
    reach = 3.0 * np.sqrt(np.einsum("kjj->kj", view.mixture.covariance.dense()))
    return limits_of(
        np.concatenate([view.rows, view.mixture.means - reach, view.mixture.means + reach])
    )


def _draw_line(ax: Axes, view: PlotView, regions: HighestDensityRegions) -> None:
    """The curve of the density, filled above the intervals of each region."""
    assert regions.intervals is not None
    left, right = _panel_limits(view)[0]
    ends = np.concatenate(regions.intervals).ravel()
    ends = ends[(ends > left) & (ends < right)]
    grid = np.unique(np.concatenate([curve_grid(view.mixture, left, right), ends]))
    density = np.exp(view.mixture.log_density(grid[:, None]))
    fills = _fills(len(regions.levels))
    for intervals, fill in list(zip(regions.intervals, fills, strict=True))[::-1]:
        for low, high in intervals:
            inside = list((grid >= low) & (grid <= high))
            ax.fill_between(grid, density, where=inside, color=fill, linewidth=0)
    ax.plot(grid, density, color=INK, linewidth=1.4)
    ax.set(
        xlim=(left, right),
        ylim=(0, 1.08 * float(density.max())),
        xlabel=axis_name(view.names[0]),
        ylabel="density",
    )
    tidy(ax)


def _fills(n: int) -> Array:
    """The colours of n regions (n,4), the innermost first."""
    return np.asarray(FILLS(np.linspace(0.0, 1.0, n) if n > 1 else np.array([0.5])))


def _handles(regions: HighestDensityRegions) -> list[Line2D]:
    """The innermost region first."""
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker="s",
            markersize=9,
            color=to_hex(fill),
            markeredgecolor=GREY,
            label=share_name(share),
        )
        for share, fill in zip(regions.levels, _fills(len(regions.levels)), strict=True)
    ]
