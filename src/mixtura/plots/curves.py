"""One column: a histogram, a weighted density curve for each component, their sum, the overlap."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.distribution.mixture import Mixture
from mixtura.plots.colours import to_screen
from mixtura.plots.raster import opacity, pixel_means
from mixtura.plots.style import DASHES, GREY, INK, PALE, axis_name, headline, legend_beside, tidy
from mixtura.plots.view import PlotView, one_panel

OVERLAP: dict[str, Any] = {
    "facecolor": "none",
    "edgecolor": GREY,
    "hatch": "////",
    "linewidth": 0.0,
}
RUG = 0.04
"""Height of the rug as a share of the panel."""
MARK = 6.0
"""Height of a mark of the rug in points."""


def plot_curves(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The component densities of one column over its histogram, with their sum and their overlap.

    The overlap is the part of the density that does not belong to the most probable component. Its
    share is the error rate of assigning every value of this column to its most probable component.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n,d)
    columns : d names, optional
        Those of a data frame by default.
    shown : one of ``columns``, optional
        By default the column that best separates the components.
    ax : Axes, optional
        A new figure by default.
    title : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> two = Mixture(np.array([0.5, 0.5]), np.array([[0.0], [2.0]]), Spherical(np.ones(1), 2, 1))
    >>> ax = plot_curves(two, two.sample(100, np.random.default_rng(0))[0], columns=["height"])
    >>> ax.get_legend().get_texts()[-1].get_text()
    'overlap (16 %)'
    """
    view, ax = one_panel(result, X, columns, shown, ax, most=1)
    share = draw_curves(ax, view, overlap=True)
    headline(ax, title, _rug_caption(view))
    label = f"overlap ({_precise_percent(share)})"
    handles = [Patch(label=label, **OVERLAP)] if view.mixture.n_components > 1 else []
    legend_beside(ax, [*view.handles(), *handles], "component")
    return ax


def draw_curves(
    ax: Axes, view: PlotView, *, overlap: bool = False, limits: Array | None = None
) -> float:
    """Draw all but titles and legend, over the histogram or between ``limits (2,)``; return the
    overlap.
    """
    values = view.rows[:, 0]
    heights, _, _ = ax.hist(
        values, bins=_n_bins(len(values)), density=True, color=PALE, histtype="stepfilled"
    )
    left, right = ax.get_xlim() if limits is None else limits.tolist()
    grid = curve_grid(view.mixture, left, right)
    bells = np.exp(view.mixture.log_joint(grid[:, None]))
    for bell, colour in zip(bells.T, view.colours, strict=False):  # the last may be noise
        ax.fill_between(grid, bell, color=colour, alpha=0.12, linewidth=0)
        ax.plot(grid, bell, color=colour, linewidth=2)
    total = bells.sum(axis=1)
    common = total - bells.max(axis=1)
    if overlap and view.mixture.n_components > 1:
        ax.fill_between(grid, common, **OVERLAP)
    ax.plot(grid, total, color=INK, linewidth=1.3, linestyle=DASHES, label="sum")
    # The curve of a nearly collapsed component may leave the panel, so that the data stay visible.
    top = min(float(total.max()), 3 * float(np.max(heights)))
    ax.set(
        xlim=(left, right),
        ylim=(0, 1.12 * max(top, float(np.max(heights)))),
        xlabel=axis_name(view.names[0]),
        ylabel="density",
    )
    _draw_rug(ax, view, left, right)
    tidy(ax)
    return overlap_share(view.mixture)


def overlap_share(mixture: Mixture) -> float:
    """The integral of the density minus its largest term, for a mixture of one column."""
    spreads = np.sqrt(mixture.covariance.dense()[:, 0, 0])
    grid = curve_grid(
        mixture,
        float((mixture.means[:, 0] - 9 * spreads).min()),
        float((mixture.means[:, 0] + 9 * spreads).max()),
    )
    bells = np.exp(mixture.log_joint(grid[:, None]))
    covered = bells.sum(axis=1) - bells.max(axis=1)
    return float(np.diff(grid) @ (covered[1:] + covered[:-1]) / 2)


def _precise_percent(share: float) -> str:
    """A share with two digits, or ``<0.01 %``."""
    return "<0.01 %" if share < 1e-4 else f"{100 * share:.2g} %"


def _draw_rug(ax: Axes, view: PlotView, left: float, right: float) -> None:
    """A short line for each point at the bottom of the panel, or an image for many points."""
    x = view.rows[:, 0]
    if view.crowded:
        _draw_rug_image(ax, view, left, right)
        return
    feet = np.full(len(x), RUG / 2)
    style: dict[str, Any] = {
        "marker": "|",
        "s": MARK**2,
        "linewidths": 0.9,
        "alpha": 0.8,
        "zorder": 4,
        "rasterized": True,
    }
    ax.scatter(x, feet, c=view.blends, transform=ax.get_xaxis_transform(), **style)


def _draw_rug_image(ax: Axes, view: PlotView, left: float, right: float) -> None:
    """The mean colour of the rows along the axis."""
    places = np.column_stack([view.rows[:, 0], np.full(len(view.rows), 0.5)])
    means, counts = pixel_means(places, view.light, np.array([[left, right], [0.0, 1.0]]), (360, 1))
    picture = np.concatenate([to_screen(np.nan_to_num(means)), opacity(counts)[:, :, None]], axis=2)
    foot = RUG * ax.get_ylim()[1]
    ax.imshow(
        picture, extent=(left, right, 0.0, foot), aspect="auto", interpolation="nearest", zorder=4
    )
    ax.set(xlim=(left, right), ylim=(0.0, foot / RUG))


def _rug_caption(view: PlotView) -> str:
    strip = f"{len(view.rows):,} rows; the strip at the bottom has their mean colour"
    return "; ".join(filter(None, (view.missing_words, strip * view.crowded)))


def curve_grid(mixture: Mixture, left: float, right: float) -> Array:
    """Places to evaluate: even over the panel, and dense around each mean for narrow curves."""
    spreads = np.sqrt(mixture.covariance.dense()[:, 0, 0])
    near = (mixture.means[:, 0, None] + spreads[:, None] * np.linspace(-4, 4, 81)).ravel()
    grid = np.concatenate([np.linspace(left, right, 400), near])
    return np.unique(grid[(grid >= left) & (grid <= right)])


def _n_bins(n: int) -> int:
    """Rice's rule, limited to 10 to 80; rules for the width would give very many bins where one
    value is far from the others.
    """
    return int(np.clip(ceil(2 * n ** (1 / 3)), 10, 80))
