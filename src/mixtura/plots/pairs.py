"""More than two columns: scatter plots of all pairs below the diagonal, densities on it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array
from mixtura.plots.curves import draw_curves
from mixtura.plots.raster import limits_of
from mixtura.plots.scatter import LEVELS, draw_plane, level_handles, radius_of
from mixtura.plots.style import GREY, INK, LEGEND, axis_name, plain
from mixtura.plots.unwrap import mixture_of, names_of
from mixtura.plots.view import MOST_COLUMNS, PlotView, view_of

SMALL_PANEL_NAME = 20
"""Characters of a column's name beside a small panel."""

SMALL_PANEL_PIXELS = (150, 110)
"""Pixels of an image in a small panel."""


def plot_pairs(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    title: str | None = None,
) -> np.ndarray[Any, np.dtype[np.object_]]:
    """All pairs of columns: scatter plots below the diagonal, densities on it, the legend above.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n,d)
    columns : d names, optional
        Those of a data frame by default.
    shown : some of ``columns``, optional
        All by default. At most the first six are drawn, and the title names the others.
    title : str, optional

    Returns
    -------
    (m,m) array of Axes
        None above the diagonal; ``[0, 0].figure`` is the figure.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> from mixtura.distribution.mixture import Mixture
    >>> means = np.array([[0.0, 0.0, 1.0], [4.0, 0.0, 1.0]])
    >>> two = Mixture(np.array([0.5, 0.5]), means, Spherical(np.ones(1), 2, 3))
    >>> plot_pairs(two, two.sample(100, np.random.default_rng(0))[0]).shape
    (3, 3)
    """
    names = names_of(result, X, columns, mixture_of(result).n_features)
    shown = names if shown is None else list(shown)
    drawn, left_out = shown[:MOST_COLUMNS], shown[MOST_COLUMNS:]
    view = view_of(result, X, names, drawn, MOST_COLUMNS)
    return pair_grid(view, _grid_title(title, left_out))


def pair_grid(view: PlotView, title: str) -> np.ndarray[Any, np.dtype[np.object_]]:
    """The panels of a grid in a new figure."""
    m = len(view.names)
    side = 2.35 if m < 5 else 1.8
    figure = Figure(figsize=(side * m + 0.7, side * m + 0.7), layout="constrained")
    places = figure.add_gridspec(m, m)
    panels = np.full((m, m), None, dtype=object)
    for i in range(m):
        for j in range(i + 1):
            # Only scatter plots share the scale of their row: the diagonal shows densities.
            shared = {"sharex": panels[j, j], "sharey": panels[i, 0] if 0 < j < i else None}
            panels[i, j] = figure.add_subplot(places[i, j], **shared)
            _draw_cell(panels[i, j], view, i, j)
    _legend_above(figure, view)
    figure.align_xlabels(panels[-1])
    figure.align_ylabels(panels[:, 0])
    if title:
        figure.suptitle(
            fill(plain(title), width=int(14 * side * m / 1.4)),
            x=0.012,
            ha="left",
            fontsize=12,
            color=INK,
        )
    if view.caption:
        figure.supxlabel(view.caption, x=0.99, ha="right", fontsize=8, color=GREY)
    return panels


def _legend_above(figure: Figure, view: PlotView) -> None:
    """The legend in the empty triangle, in two columns beyond ten components."""
    handles = [*view.handles(), *(level_handles(LEVELS) if len(view.names) > 1 else [])]
    style = {**LEGEND, "ncols": 1 + (view.mixture.n_components > 10)}
    figure.legend(handles=handles, title="component", loc="upper right", **style).set_in_layout(
        False
    )


def _draw_cell(panel: Axes, view: PlotView, i: int, j: int) -> None:
    """Row i, column j of the grid."""
    last = len(view.names) - 1
    if i == j:
        draw_curves(panel, view.panel(i), limits=_reach(view.panel(i)))
        panel.set(yticks=[], ylabel="")
        panel.spines["left"].set_visible(False)
    else:
        draw_plane(panel, view.panel(j, i), is_numbered=False, pixels=SMALL_PANEL_PIXELS)
    panel.set_xlabel(axis_name(view.names[j], SMALL_PANEL_NAME) if i == last else "")
    if i != j:
        panel.set_ylabel(axis_name(view.names[i], SMALL_PANEL_NAME) if j == 0 else "")
    panel.tick_params(labelbottom=i == last, labelleft=j == 0 and i != j)
    panel.xaxis.set_major_locator(MaxNLocator(5, prune="both"))
    if i != j:
        panel.yaxis.set_major_locator(MaxNLocator(5, prune="both"))


def _reach(view: PlotView) -> Array:
    """Limits of a column (2,) around its rows and the outer ellipses."""
    reach = radius_of(max(LEVELS)) * np.sqrt(view.mixture.covariance.dense()[:, 0, 0, None])
    ends = limits_of(
        np.concatenate([view.rows, view.mixture.means - reach, view.mixture.means + reach])
    )[0]
    return np.asarray(ends + 0.03 * (ends[1] - ends[0]) * np.array([-1.0, 1.0]))


def _grid_title(title: str | None, left_out: Sequence[str]) -> str:
    """The title, with the columns that are not in the grid."""
    if not left_out:
        return title or ""
    named = ", ".join(left_out[:MOST_COLUMNS])
    more = f" and {len(left_out) - MOST_COLUMNS} more" if len(left_out) > MOST_COLUMNS else ""
    return f"{title or 'First columns'} (left out: {named}{more})"
