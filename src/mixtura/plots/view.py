"""The data that all panels of a picture share: the mixture in the shown columns, the rows and their
blended colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array, Labels
from mixtura.base.numbering import number_of
from mixtura.distribution.mixture import Mixture
from mixtura.inputs.rows import with_nan
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.plots.colours import NOISE, component_colours, to_light, to_screen, with_noise
from mixtura.plots.style import DASHES, INK, new_axes, percent
from mixtura.plots.unwrap import mixture_of, names_of

MOST_POINTS = 10_000
"""Above this many rows points hide each other and take long to draw, so an image of mean colours
replaces them.
"""

MOST_COLUMNS = 6
"""Columns of a grid of pairs; more panels cannot be read on a page."""

ROWS_AT_ONCE = 65536
"""Rows whose responsibilities are in memory at one time."""


@dataclass(frozen=True, eq=False)
class PlotView:
    """A mixture and its data in some columns.

    Attributes
    ----------
    mixture : Mixture
        The marginal mixture of the shown columns.
    rows : (n,c)
        NaN is missing; the rows of a panel are complete.
    light : (n,3)
        Blended colours as linear intensities, from the memberships in all columns.
    uncertainty : (n,)
        One minus the largest membership.
    colours : (K,3)
        Colours of the components.
    names : c names
    n_missing : int
        Rows of the data that are not in the view, since a value is missing.
    """

    mixture: Mixture
    rows: Array
    light: Array
    uncertainty: Array
    colours: Array
    names: tuple[str, ...]
    n_missing: int = 0

    @property
    def crowded(self) -> bool:
        """Whether there are too many points to draw each one."""
        return len(self.rows) > MOST_POINTS

    @property
    def caption(self) -> str:
        """Which rows are not drawn, and whether an image replaces the points; else empty."""
        image = (
            f"{len(self.rows):,} rows as an image: each pixel has the mean colour of its rows, "
            "more opaque for more rows" * self.crowded
        )
        return "; ".join(filter(None, (self.missing_words, image)))

    @property
    def missing_words(self) -> str:
        """How many rows are not drawn in this view or its panels; empty for none."""
        incomplete = int(np.isnan(self.rows).any(axis=1).sum())
        if incomplete:
            return (
                f"{incomplete:,} of {len(self.rows):,} rows have missing values; each is drawn in "
                "the panels whose columns it has"
            )
        n = self.n_missing + len(self.rows)
        what = " or ".join(self.names)
        return f"{self.n_missing:,} of {n:,} rows are not drawn: {what} is missing" * bool(
            self.n_missing
        )

    @property
    def point_area(self) -> float:
        """Area of a point in square points, smaller for more rows."""
        return float(np.clip(9000 / max(len(self.rows), 1), 5, 26))

    @property
    def blends(self) -> Array:
        """Colours (n,3) for the screen."""
        return to_screen(self.light)

    def panel(self, *axes: int) -> PlotView:
        """The view of one or two of the columns, with the rows that have a value in them."""
        chosen = np.array(axes)
        rows = self.rows[:, chosen]
        drawn = ~np.isnan(rows).any(axis=1)
        return PlotView(
            self.mixture.marginal(chosen),
            rows[drawn],
            self.light[drawn],
            self.uncertainty[drawn],
            self.colours,
            tuple(self.names[axis] for axis in axes),
            self.n_missing + len(rows) - int(drawn.sum()),
        )

    def handles(self) -> list[Line2D]:
        """Legend entries: ``0 (64 %)`` for each component, and the sum where there are curves."""
        handles = [
            Line2D(
                [],
                [],
                linestyle="",
                marker="o",
                markersize=8,
                color=tuple(colour),
                label=f"{number_of(k)} ({percent(weight)})",
            )
            for k, (weight, colour) in enumerate(
                zip(self.mixture.weights, self.colours, strict=True)
            )
        ]
        if self.mixture.noise is not None:
            noise = f"noise ({percent(self.mixture.noise.weight)})"
            handles.append(
                Line2D([], [], linestyle="", marker="o", markersize=8, color=NOISE, label=noise)
            )
        if len(self.names) != 2:
            handles.append(Line2D([], [], color=INK, linewidth=1.3, linestyle=DASHES, label="sum"))
        return handles


def view_of(
    result: Any, X: ArrayLike, columns: Sequence[str] | None, shown: Sequence[str] | None, most: int
) -> PlotView:
    """The view of the columns ``shown``; by default of at most ``most`` columns, those that best
    separate the components.
    """
    mixture = mixture_of(result)
    names = names_of(result, X, columns, mixture.n_features)
    rows = checked_rows(mixture, X, names)
    chosen = discriminating_columns(mixture, most) if shown is None else numbered(names, shown)
    return _view(mixture, rows, chosen, names)


def _view(mixture: Mixture, rows: Array, chosen: Labels, names: Sequence[str]) -> PlotView:
    """A view with colours from all columns and places from the chosen ones."""
    colours = component_colours(mixture.n_components)
    light, uncertainty = _memberships_seen(mixture, rows, to_light(with_noise(colours, mixture)))
    shown = tuple(names[j] for j in chosen)
    return PlotView(mixture.marginal(chosen), rows[:, chosen], light, uncertainty, colours, shown)


def _memberships_seen(mixture: Mixture, rows: Array, light: Array) -> tuple[Array, Array]:
    """Blended intensities (n,3) and uncertainties (n,) of rows, without an (n,K) array."""
    blends, uncertainty = np.empty((len(rows), 3)), np.empty(len(rows))
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(begin, begin + ROWS_AT_ONCE)
        r = mixture.posterior(rows[part])
        blends[part], uncertainty[part] = r @ light, 1.0 - r.max(axis=1)
    return blends, uncertainty


def checked_rows(mixture: Mixture, X: ArrayLike, columns: Sequence[str]) -> Array:
    """``X`` as float64 (n,d), checked against the mixture and the names; NaN is missing."""
    rows = np.asarray(with_nan(X), dtype=np.float64)
    d = mixture.n_features
    if rows.ndim != 2 or rows.shape[1] != d:
        raise ValueError(
            f"`X` has shape {rows.shape}, but the mixture has {d} columns. Pass the rows it was "
            f"fitted on, (n, {d})."
        )
    if len(columns) != d:
        raise ValueError(
            f"`columns` has {len(columns)} names for {d} columns. Pass one name for each column of "
            "`X`."
        )
    if np.isinf(rows).any():
        raise ValueError(
            "`X` has infinite values, which cannot be drawn. Drop those rows, or make the values "
            "NaN, which is missing."
        )
    empty = np.flatnonzero(np.isnan(rows).all(axis=0))
    if len(empty):
        raise ValueError(
            f"`X` has no value at all in {columns[int(empty[0])]!r}, so there is nothing to draw. "
            "Pass the rows the mixture was fitted on."
        )
    return rows


def numbered(columns: Sequence[str], shown: Sequence[str]) -> Labels:
    """The numbers of the columns to draw; unknown names and an empty list are errors."""
    unknown = [name for name in shown if name not in columns]
    if unknown or not len(shown):
        raise ValueError(
            f"`shown` is {list(shown)}, but there are only these columns: {list(columns)}. Name at "
            "least one of them."
        )
    return np.array([list(columns).index(name) for name in shown])


def checked_levels(levels: Sequence[float]) -> Array:
    """Different probabilities between 0 and 1, in rising order."""
    found = np.unique(np.asarray(levels, dtype=np.float64).ravel())
    wrong = found[~((found > 0.0) & (found < 1.0))]
    if len(wrong) or not len(found):
        came = f"got {wrong[0]:g}" if len(wrong) else "none came"
        raise ValueError(
            f"`levels` must be probabilities between 0 and 1, but {came}. Pass for example "
            "levels=(0.5, 0.95)."
        )
    return found


def one_panel(
    result: Any,
    X: ArrayLike,
    columns: Sequence[str] | None,
    shown: Sequence[str] | None,
    ax: Axes | None,
    *,
    most: int,
) -> tuple[PlotView, Axes]:
    """The view of at most ``most`` columns, and the axes to draw it on."""
    view = view_of(result, X, columns, shown, most)
    if len(view.names) > most:
        raise ValueError(
            f"`shown` names {len(view.names)} columns, but this picture shows at most {most}. Name "
            "fewer, or use plot_pairs."
        )
    return view.panel(*range(len(view.names))), new_axes() if ax is None else ax
