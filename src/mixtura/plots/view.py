"""What all panels of one picture share: the mixture of the shown columns, the rows, and the blended
colour of every row.
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
from mixtura.base.masked import refuse_masked
from mixtura.base.numbering import number_of
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.model.mixture import Mixture
from mixtura.plots.colours import component_colours, to_light, to_screen
from mixtura.plots.look import DASHES, INK, new_axes, percent
from mixtura.plots.subject import mixture_of, names_of

MOST_POINTS = 10_000
"""More points than this hide each other and take long to draw: they become an image, whose pixels
have the mean colour.
"""

MOST_COLUMNS = 6
"""A grid of more panels than this pair of columns makes cannot be read on a page."""

ROWS_AT_ONCE = 65536
"""Rows whose responsibilities exist at one time."""


@dataclass(frozen=True, eq=False)
class View:
    """A mixture over its data, seen in some columns.

    Attributes
    ----------
    mixture : Mixture
        Of the shown columns.
    rows : (n,c)
    light : (n,3)
        Blended colours as linear intensities, from the memberships in all columns.
    uncertainty : (n,)
        One minus the largest membership.
    colours : (K,3)
        Of the components.
    names : c names
    """

    mixture: Mixture
    rows: Array
    light: Array
    uncertainty: Array
    colours: Array
    names: tuple[str, ...]

    @property
    def crowded(self) -> bool:
        """Whether there are too many points to draw each of them."""
        return len(self.rows) > MOST_POINTS

    @property
    def caption(self) -> str:
        """Says that an image stands for the points, or nothing."""
        return (
            f"{len(self.rows):,} rows as an image: the mean colour of the rows of a pixel, "
            "stronger where more are" * self.crowded
        )

    @property
    def point_area(self) -> float:
        """Points shrink as they get many (square points)."""
        return float(np.clip(9000 / max(len(self.rows), 1), 5, 26))

    @property
    def blends(self) -> Array:
        """Colours (n,3) for the screen."""
        return to_screen(self.light)

    def panel(self, *axes: int) -> View:
        """The view of one or two of the columns."""
        chosen = np.array(axes)
        names = tuple(self.names[axis] for axis in axes)
        return View(
            self.mixture.marginal(chosen),
            self.rows[:, chosen],
            self.light,
            self.uncertainty,
            self.colours,
            names,
        )

    def handles(self) -> list[Line2D]:
        """For the legend: ``0 (64 %)`` for each component, and the sum where there are curves."""
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
        if len(self.names) != 2:
            handles.append(Line2D([], [], color=INK, linewidth=1.3, linestyle=DASHES, label="sum"))
        return handles


def view_of(
    result: Any, X: ArrayLike, columns: Sequence[str] | None, shown: Sequence[str] | None, most: int
) -> View:
    """The view of the columns ``shown``, by default all where there are no more than ``most``, else
    the most telling ones.
    """
    mixture = mixture_of(result)
    names = names_of(result, X, columns, mixture.n_features)
    rows = checked_rows(mixture, X, names)
    chosen = discriminating_columns(mixture, most) if shown is None else numbered(names, shown)
    return _view(mixture, rows, chosen, names)


def _view(mixture: Mixture, rows: Array, chosen: Labels, names: Sequence[str]) -> View:
    """Colours come from all columns, places from the chosen ones."""
    colours = component_colours(mixture.n_components)
    light, uncertainty = _memberships_seen(mixture, rows, to_light(colours))
    shown = tuple(names[j] for j in chosen)
    return View(mixture.marginal(chosen), rows[:, chosen], light, uncertainty, colours, shown)


def _memberships_seen(mixture: Mixture, rows: Array, light: Array) -> tuple[Array, Array]:
    """Blended intensities (n,3) and uncertainties (n,) of rows, a block at a time: no (n,K) is
    kept.
    """
    blends, uncertainty = np.empty((len(rows), 3)), np.empty(len(rows))
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(begin, begin + ROWS_AT_ONCE)
        r = mixture.posterior(rows[part])
        blends[part], uncertainty[part] = r @ light, 1.0 - r.max(axis=1)
    return blends, uncertainty


def checked_rows(mixture: Mixture, X: ArrayLike, columns: Sequence[str]) -> Array:
    """``X`` as float64 (n,d) that fits the mixture and the names."""
    refuse_masked("X", X)
    rows = np.asarray(X, dtype=np.float64)
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
    if not np.isfinite(rows).all():
        raise ValueError(
            "`X` has missing or infinite values, which have no place in a picture. Drop or fill "
            "those rows first."
        )
    return rows


def numbered(columns: Sequence[str], shown: Sequence[str]) -> Labels:
    """The numbers of the columns to draw, each of them known, at least one."""
    unknown = [name for name in shown if name not in columns]
    if unknown or not len(shown):
        raise ValueError(
            f"`shown` is {list(shown)}, but there are only these columns: {list(columns)}. Name at "
            "least one of them."
        )
    return np.array([list(columns).index(name) for name in shown])


def one_panel(
    result: Any,
    X: ArrayLike,
    columns: Sequence[str] | None,
    shown: Sequence[str] | None,
    ax: Axes | None,
    *,
    most: int,
) -> tuple[View, Axes]:
    """How every picture of one panel begins: the view of at most ``most`` columns, and the axes it
    is drawn on.
    """
    view = view_of(result, X, columns, shown, most)
    if len(view.names) > most:
        raise ValueError(
            f"`shown` names {len(view.names)} columns, but this picture has room for {most}. Name "
            "fewer, or use plot_pairs."
        )
    return view, new_axes() if ax is None else ax
