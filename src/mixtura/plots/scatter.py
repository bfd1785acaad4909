"""Two columns: points in blended colours, and ellipses with given probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.base.numbering import number_of
from mixtura.plots.raster import PIXELS, draw_colours
from mixtura.plots.style import GREY, HALO, INK, axis_name, headline, legend_beside, percent, tidy
from mixtura.plots.view import PlotView, one_panel

LEVELS = (0.5, 0.95)
"""Probabilities of the ellipses of a component, the inner one first."""


def plot_scatter(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    levels: Sequence[float] = LEVELS,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Two columns of the rows in blended colours, with ellipses that contain 50 % and 95 % of each
    component.

    The colour of a point is the mean of the component colours weighted by its memberships, which
    are those of all columns. Above 10,000 rows an image of mean colours replaces the points, and a
    caption says so.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n,d)
    columns : d names, optional
        Those of a data frame by default.
    shown : two of ``columns``, optional
        By default the two that best separate the components.
    levels : probabilities between 0 and 1
    ax : Axes, optional
        A new figure by default.
    title : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> from mixtura.distribution.mixture import Mixture
    >>> means = np.array([[0.0, 0.0], [4.0, 0.0]])
    >>> two = Mixture(np.array([0.5, 0.5]), means, Spherical(np.ones(1), 2, 2))
    >>> rows, _ = two.sample(100, np.random.default_rng(0))
    >>> ax = plot_scatter(two, rows, columns=["height", "weight"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['0 (50 %)', '1 (50 %)', '50 % of each', '95 % of each']
    """
    view, ax = one_panel(result, X, columns, shown, ax, most=2)
    _refuse_one_column(view)
    draw_plane(ax, view, levels=levels)
    headline(ax, title, view.caption)
    legend_beside(ax, [*view.handles(), *level_handles(levels)], "component")
    return ax


def _refuse_one_column(view: PlotView) -> None:
    if len(view.names) < 2:
        raise ValueError(
            f"a scatter plot needs two columns, but got only {view.names[0]!r}. Use plot_curves "
            "for one column."
        )


def draw_plane(
    ax: Axes,
    view: PlotView,
    *,
    is_numbered: bool = True,
    levels: Sequence[float] = LEVELS,
    pixels: tuple[int, int] = PIXELS,
) -> None:
    """Points in blended colours, ellipses, and the means."""
    draw_points(ax, view, pixels)
    draw_ellipses(ax, view, levels)
    draw_means(ax, view, is_numbered=is_numbered)
    name_axes(ax, view)


def draw_points(ax: Axes, view: PlotView, pixels: tuple[int, int] = PIXELS) -> None:
    """The rows in blended colours: as points, or as an image for many rows."""
    if view.crowded:
        draw_colours(ax, view.rows, view.light, pixels)
    else:
        x, y = view.rows.T
        ax.scatter(
            x, y, s=view.point_area, c=view.blends, alpha=0.75, linewidths=0, rasterized=True
        )


def name_axes(ax: Axes, view: PlotView) -> None:
    """Limits around everything drawn, and the names of the columns."""
    ax.autoscale_view()
    ax.set(xlabel=axis_name(view.names[0]), ylabel=axis_name(view.names[1]))
    tidy(ax)


def draw_ellipses(ax: Axes, view: PlotView, levels: Sequence[float] = LEVELS) -> None:
    """One for each component and level, the outer ones thinner."""
    for mean, covariance, colour in zip(
        view.mixture.means, view.mixture.covariance.dense(), view.colours, strict=True
    ):
        for level in levels:
            ax.add_patch(covariance_ellipse(mean, covariance, radius_of(level), colour))


def radius_of(level: float) -> float:
    """The Mahalanobis radius of the ellipse that contains a share of a Gaussian in two dimensions.

    Squared distances are chi-squared with two degrees of freedom, so the radius is
    ``sqrt(-2 log(1 - level))``.

    Examples
    --------
    >>> round(radius_of(0.95), 4)
    2.4477
    """
    if not 0.0 < level < 1.0:
        raise ValueError(
            f"`levels` must be between 0 and 1, but got {level!r}. Pass for example "
            "levels=(0.5, 0.95)."
        )
    return float(np.sqrt(-2.0 * np.log1p(-level)))


def covariance_ellipse(mean: Array, covariance: Array, sigmas: float, colour: Array) -> Ellipse:
    """The curve of Mahalanobis distance ``sigmas`` around ``mean (2,)`` with ``covariance (2,2)``,
    unfilled.

    Its axes are the eigenvectors, with lengths ``2 sigmas sqrt(eigenvalue)``, the long one first.
    """
    values, vectors = np.linalg.eigh(covariance)
    long_axis = vectors[:, 1]
    height, width = 2.0 * sigmas * np.sqrt(np.maximum(values, 0.0))
    return Ellipse(
        (float(mean[0]), float(mean[1])),
        width=float(width),
        height=float(height),
        angle=float(np.degrees(np.arctan2(long_axis[1], long_axis[0]))),
        fill=False,
        edgecolor=tuple(colour),
        linewidth=_width_at(sigmas),
        path_effects=[HALO],
        zorder=3,
    )


def _width_at(sigmas: float) -> float:
    """The line width, thinner for outer ellipses."""
    return float(2.2 / np.sqrt(max(sigmas, 0.3)))


def level_handles(levels: Sequence[float]) -> list[Line2D]:
    """Legend entries for the probabilities of the ellipses."""
    return [
        Line2D(
            [],
            [],
            color=GREY,
            linewidth=_width_at(radius_of(level)),
            label=f"{percent(level)} of each",
        )
        for level in levels
    ]


def draw_means(ax: Axes, view: PlotView, *, is_numbered: bool) -> None:
    """A disc at each mean, optionally with the component's number."""
    x, y = view.mixture.means.T
    ax.scatter(
        x,
        y,
        s=150 if is_numbered else 34,
        c=view.colours,
        edgecolors="white",
        linewidths=1.4,
        zorder=5,
    )
    if is_numbered:
        for k, colour in enumerate(view.colours):
            ink = "white" if colour @ (0.299, 0.587, 0.114) < 0.6 else INK
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center_baseline",
                "fontsize": 8,
                "fontweight": "bold",
                "zorder": 6,
            }
            ax.annotate(number_of(k), (x[k], y[k]), color=ink, **style)
