"""The density of a mixture: highest density regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.plots.curves import curve_grid
from mixtura.plots.raster import draw_colours, limits_of
from mixtura.plots.scatter import draw_means, name_axes
from mixtura.plots.style import GREY, INK, axis_name, headline, legend_beside, percent, tidy
from mixtura.plots.view import PlotView, one_panel

SHARES = (0.95, 0.8, 0.5, 0.2)
"""Probabilities of the regions inside the contours, the outermost first."""

FILLS = ("#eaf1f8", "#c6dbee", "#92bde0", "#5a98cd")
GRID = 160
"""Places per axis where the density is evaluated."""


def plot_density(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Highest density regions: the smallest regions with 20, 50, 80 and 95 % of the probability.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n,d)
    columns : d names, optional
        Those of a data frame by default.
    shown : one or two of ``columns``, optional
        By default the columns that best separate the components.
    ax : Axes, optional
        A new figure by default.
    title : str, optional

    Notes
    -----
    The heights of the contours are ``mixture.hdr([0.95, 0.8, 0.5, 0.2]).thresholds`` (Hyndman 1996,
    The American Statistician 50, 120-126).

    Examples
    --------
    >>> from mixtura import Mixture
    >>> two = Mixture.from_parameters(
    ...     [0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], 1.0, covariance_type="tied_spherical"
    ... )
    >>> ax = plot_density(two, two.rvs(100, random_state=0))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['20 %', '50 %', '80 %', '95 %']
    """
    view, ax = one_panel(result, X, columns, shown, ax, most=2)
    heights = view.mixture.hdr(SHARES).thresholds
    (_draw_line if len(view.names) == 1 else _draw_contours)(ax, view, heights)
    headline(ax, title, view.missing_words)
    legend_beside(ax, _handles(), "share of the density")
    return ax


def _draw_contours(ax: Axes, view: PlotView, heights: Array) -> None:
    """Filled regions, their borders, the rows as faint points, and the means."""
    (left, right), (low, high) = _panel_limits(view)
    x, y = np.linspace(left, right, GRID), np.linspace(low, high, GRID)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    density = np.exp(view.mixture.log_density(places)).reshape(GRID, GRID)
    steps = _rising(heights)
    ax.contourf(
        x,
        y,
        density,
        levels=[*steps, max(float(density.max()), steps[-1]) * 1.01],
        colors=FILLS,
        zorder=1,
    )
    ax.contour(x, y, density, levels=steps, colors=GREY, linewidths=0.7, zorder=2)
    if view.crowded:
        draw_colours(ax, view.rows, np.zeros((len(view.rows), 3))).set_alpha(0.15)
    else:
        x, y = view.rows.T
        ax.scatter(
            x,
            y,
            s=0.35 * view.point_area,
            color=INK,
            alpha=0.35,
            linewidths=0,
            zorder=3,
            rasterized=True,
        )
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


def _draw_line(ax: Axes, view: PlotView, heights: Array) -> None:
    """The curve of the density, filled where it is above each height."""
    left, right = _panel_limits(view)[0]
    grid = curve_grid(view.mixture, left, right)
    density = np.exp(view.mixture.log_density(grid[:, None]))
    for height, fill in zip(heights, FILLS, strict=True):
        ax.fill_between(grid, density, where=list(density >= height), color=fill, linewidth=0)
    ax.plot(grid, density, color=INK, linewidth=1.4)
    ax.set(
        xlim=(left, right),
        ylim=(0, 1.08 * float(density.max())),
        xlabel=axis_name(view.names[0]),
        ylabel="density",
    )
    tidy(ax)


def _handles() -> list[Line2D]:
    """The innermost share first."""
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker="s",
            markersize=9,
            color=fill,
            markeredgecolor=GREY,
            label=percent(share),
        )
        for share, fill in zip(reversed(SHARES), reversed(FILLS), strict=True)
    ]
