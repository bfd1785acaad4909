"""The uncertainty of each row: one minus its largest membership."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.base.certainty import SURE
from mixtura.plots.curves import curve_grid
from mixtura.plots.files import figure_of
from mixtura.plots.raster import draw_picture, limits_of, opacity, pixel_means
from mixtura.plots.scatter import draw_ellipses, draw_means, name_axes
from mixtura.plots.style import GREY, INK, axis_name, headline, tidy
from mixtura.plots.view import PlotView, one_panel

UNSURE = round(1.0 - SURE, 12)
"""A row is called unsure where its uncertainty is above this."""

UNCERTAINTY_COLOURS = LinearSegmentedColormap.from_list(
    "uncertainty", ["#cfd3d8", "#e8a33d", "#7a1600"]
)
"""From pale to dark: the lightness shows the value, also to people who see fewer colours."""


def plot_uncertainty(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The uncertainty of the rows: larger and darker points have a higher uncertainty.

    Uncertainty is one minus the largest membership, from 0 to ``1 - 1/K``. For one column, it is
    drawn over the values, as points and as a curve. For two columns, the picture is a scatter plot
    with ellipses; above 10,000 rows, an image of mean uncertainties.

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

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> from mixtura.distribution.mixture import Mixture
    >>> two = Mixture(np.array([0.5, 0.5]), np.array([[0.0], [2.0]]), Spherical(np.ones(1), 2, 1))
    >>> plot_uncertainty(two, np.array([[1.0], [9.0]])).texts[0].get_text()
    '1 of 2 rows unsure: uncertainty above 0.1'
    """
    view, ax = one_panel(result, X, columns, shown, ax, most=2)
    (_draw_over_one if len(view.names) == 1 else _draw_plane)(ax, view)
    unsure = int((view.uncertainty > UNSURE).sum())
    said = f"{unsure:,} of {len(view.rows):,} rows unsure: uncertainty above {UNSURE:g}"
    headline(ax, title, "; ".join(filter(None, (said, view.missing_words))))
    return ax


def _highest(view: PlotView) -> float:
    """The largest possible uncertainty."""
    terms = view.mixture.n_components + (view.mixture.noise is not None)
    return 1.0 - 1.0 / max(terms, 2)


def _draw_plane(ax: Axes, view: PlotView) -> None:
    """A scatter plot in which unsure rows are drawn last, on top."""
    scale: dict[str, Any] = {"cmap": UNCERTAINTY_COLOURS, "vmin": 0.0, "vmax": _highest(view)}
    if view.crowded:
        mappable: Any = _draw_image(ax, view, scale)
    else:
        order = np.argsort(view.uncertainty, kind="stable")
        u, (x, y) = view.uncertainty[order], view.rows[order].T
        mappable = ax.scatter(
            x, y, s=_areas(view, u), c=u, linewidths=0, alpha=0.9, rasterized=True, **scale
        )
    draw_ellipses(ax, view)
    draw_means(ax, view, is_numbered=True)
    name_axes(ax, view)
    bar = figure_of(ax).colorbar(mappable, ax=ax, shrink=0.7, aspect=25)
    bar.set_label("uncertainty: 1 - largest membership", color=INK, fontsize=9)
    bar.outline.set_visible(False)


def _areas(view: PlotView, uncertainty: Array) -> Array:
    """Areas of the points, up to ten times larger for unsure rows."""
    return np.asarray(view.point_area * (0.6 + 5.4 * uncertainty / _highest(view)))


def _draw_image(ax: Axes, view: PlotView, scale: dict[str, Any]) -> Any:
    """The mean uncertainty of the rows in each pixel, as numbers for the colour bar."""
    limits = limits_of(view.rows)
    means, counts = pixel_means(view.rows, view.uncertainty[:, None], limits)
    image = draw_picture(ax, means[:, :, 0], limits)
    image.set(cmap=UNCERTAINTY_COLOURS, clim=(scale["vmin"], scale["vmax"]), alpha=opacity(counts))
    return image


def _draw_over_one(ax: Axes, view: PlotView) -> None:
    """Points at their uncertainties; with a single column they lie on the curve."""
    x, u = view.rows[:, 0], view.uncertainty
    limits = limits_of(view.rows)[0]
    grid = curve_grid(view.mixture, *limits)
    curve = 1.0 - view.mixture.posterior(grid[:, None]).max(axis=1)
    ax.plot(grid, curve, color=GREY, linewidth=1.2, zorder=2)
    shown = (
        np.arange(len(x)) if not view.crowded else np.linspace(0, len(x) - 1, 2000).astype(np.intp)
    )
    ax.scatter(
        x[shown],
        u[shown],
        s=26,
        c=view.blends[shown],
        alpha=0.8,
        linewidths=0,
        zorder=3,
        rasterized=True,
    )
    ax.set(
        xlabel=axis_name(view.names[0]),
        ylabel="uncertainty: 1 - largest membership",
        ylim=(-0.02, 1.05 * _highest(view)),
    )
    tidy(ax)
