"""A picture of the methods of a comparison, with the same colour for the same cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import chi2

from mixtura.base.arrays import Array, Labels
from mixtura.base.masked import refuse_masked
from mixtura.base.numbering import number_of
from mixtura.compare.comparison import Comparison, Method
from mixtura.compare.contenders import MIXTURE, NOISE, NOT_LABELLED
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.model.relabelling import relabelled
from mixtura.plots import GREY, LEVELS, MOST_POINTS, component_colours, covariance_ellipse
from mixtura.plots.colours import to_light, to_screen
from mixtura.plots.raster import draw_colours
from mixtura.plots.style import LEGEND, counted, figure_title, headline, plain, tidy

ELLIPSE_LEVEL = LEVELS[-1]
"""The probability of the ellipse of a component."""


def matched_labels(comparison: Comparison) -> dict[str, Labels]:
    """The labels of every method, renumbered so that clusters that share most rows have the same
    number.

    They are matched with the components of the mixture, or with the first method where the mixture
    failed. Clusters without a match have higher numbers. Noise and rows without a label keep -1 and
    -2.
    """
    if not comparison.labels:
        return {}
    reference = comparison.labels.get(MIXTURE, next(iter(comparison.labels.values())))
    return {name: relabelled(labels, reference) for name, labels in comparison.labels.items()}


def plot_comparison(
    comparison: Comparison,
    X: Any,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """One panel for each method: the same rows, the same colour for the same cluster, noise in
    grey.

    In the panel of the mixture, the colour of a row is the mean of the component colours weighted
    by its memberships, and ellipses contain 95 % of each component. With one column, the height of
    a row is random. Rows without a label are missing. Above 10,000 rows, panels are images.

    Parameters
    ----------
    comparison : Comparison
    X : (n, d)
        The data of the comparison.
    columns : d names, optional
        Those of a data frame by default.
    shown : one or two of ``columns``, optional
        By default the columns that best separate the components of the mixture.
    title : str, optional
    """
    rows = _checked_rows(comparison, X)
    names = list(
        columns
        if columns is not None
        else getattr(X, "columns", [f"column {j}" for j in range(rows.shape[1])])
    )
    chosen = _chosen(comparison, names, shown)
    places = (
        rows[:, chosen]
        if len(chosen) > 1
        else np.column_stack([rows[:, chosen], _heights(len(rows))])
    )
    figure = Figure(figsize=(10.5, 8.0), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    labels = matched_labels(comparison)
    for ax, method in zip(panels.flat, comparison.methods, strict=True):
        _draw_method(ax, method, labels.get(method.name), comparison, places)
        tidy(ax)
    _limit_all(panels.flat[0], places)
    if comparison.mixture is not None:
        _draw_components(panels.flat[1], comparison, rows, chosen)
        _make_room_for_ellipses(panels.flat[1])
    for ax in panels[1]:
        ax.set_xlabel(plain(str(names[chosen[0]])))
    for ax in panels[:, 0]:
        ax.set_ylabel(plain(str(names[chosen[1]])) if len(chosen) > 1 else "(rows are scattered)")
    if len(chosen) == 1:
        for ax in panels.flat:
            ax.tick_params(left=False, labelleft=False)
            ax.grid(visible=False, axis="y")
    _add_legend(figure, labels)
    figure_title(figure, title)
    return figure


def _checked_rows(comparison: Comparison, X: Any) -> Array:
    """``X`` as float64 (n,d), checked to have the rows of the comparison."""
    refuse_masked("X", X)
    rows = np.asarray(X, dtype=np.float64)
    n = next((len(labels) for labels in comparison.labels.values()), len(rows))
    if rows.ndim != 2 or len(rows) != n:
        raise ValueError(
            f"`X` has shape {rows.shape}, but {n} rows were compared. Pass the data of the "
            "comparison, (n, d)."
        )
    return rows


def _chosen(comparison: Comparison, names: Sequence[str], shown: Sequence[str] | None) -> list[int]:
    """The numbers of one or two columns."""
    if shown is not None:
        unknown = [name for name in shown if name not in names]
        if unknown or not 1 <= len(shown) <= 2:
            raise ValueError(
                f"`shown` must be one or two of {', '.join(map(str, names))}, but got "
                f"{list(shown)!r}."
            )
        return [names.index(name) for name in shown]
    if len(names) <= 2 or comparison.mixture is None or comparison.mixture.n_components == 1:
        return list(range(min(2, len(names))))
    return [int(j) for j in discriminating_columns(comparison.mixture.mixture_, 2)]


def _heights(n: int) -> Array:
    """Random heights, so that rows of one column do not hide each other."""
    return np.random.default_rng(0).uniform(size=n)


def _limit_all(ax: Axes, places: Array) -> None:
    """The same limits for all panels, also where a method has not labelled the outer rows."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = np.where(high > low, 0.04 * (high - low), 1.0)
    ax.set(
        xlim=(low[0] - margin[0], high[0] + margin[0]),
        ylim=(low[1] - margin[1], high[1] + margin[1]),
    )


def _draw_method(
    ax: Axes, method: Method, labels: Labels | None, comparison: Comparison, places: Array
) -> None:
    """Draw the rows and the clusters of one method."""
    if labels is None:
        headline(ax, method.name, f"no result: {method.reason}")
        return
    colours = _colours_of(method.name, labels, comparison)
    seen = labels != NOT_LABELLED
    if len(places) > MOST_POINTS:
        draw_colours(ax, places[seen], to_light(colours[seen]))
    else:
        noise = labels == NOISE
        for part, size in ((noise, 9.0), (~noise & seen, 22.0)):
            ax.scatter(
                places[part, 0],
                places[part, 1],
                s=size,
                c=colours[part],
                linewidths=0,
                alpha=0.85,
                rasterized=True,
            )
    headline(
        ax, f"{method.name}: {counted(method.n_clusters, 'cluster')}", _caption(method, len(places))
    )


def _colours_of(name: str, labels: Labels, comparison: Comparison) -> Array:
    """The colour (n,3) of every row: blended for the mixture, grey for noise."""
    palette = component_colours(max(int(labels.max()) + 1, 1))
    if name == MIXTURE and comparison.memberships is not None:
        return to_screen(
            comparison.memberships @ to_light(component_colours(comparison.memberships.shape[1]))
        )
    grey = np.array([int(GREY[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where((labels >= 0)[:, None], palette[np.maximum(labels, 0)], 0.6 * grey + 0.4)


def _caption(method: Method, n: int) -> str:
    """The caption of a panel, with its measured numbers."""
    parts = [f"{method.seconds:.3g} s"]
    if method.noise_rows is not None:
        parts.append(f"{method.noise_rows:,} noise")
    if method.unsure_rows is not None:
        parts.append(f"{method.unsure_rows:,} unsure")
    if method.rows_used < n:
        parts.append(f"run on {method.rows_used:,} of {n:,} rows")
    if method.truth_ari is not None:
        parts.append(f"ARI with the truth {method.truth_ari:.2f}")
    return " · ".join(parts)


def _draw_components(ax: Axes, comparison: Comparison, rows: Array, chosen: list[int]) -> None:
    """The ellipses of the mixture, in the units of the data."""
    assert comparison.mixture is not None
    if len(chosen) < 2:
        return
    mixture = comparison.mixture.mixture_.marginal(np.array(chosen))
    centre, spread = rows[:, chosen].mean(axis=0), rows[:, chosen].std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    sigmas = float(np.sqrt(chi2.ppf(ELLIPSE_LEVEL, 2)))
    covariances = np.broadcast_to(
        mixture.covariance.dense(), (mixture.n_components, 2, 2)
    ) * np.outer(spread, spread)
    for mean, covariance, colour in zip(
        mixture.means, covariances, component_colours(mixture.n_components), strict=True
    ):
        ax.add_patch(covariance_ellipse(mean * spread + centre, covariance, sigmas, colour))


def _make_room_for_ellipses(ax: Axes) -> None:
    """Extend the limits, which all panels share, to contain every ellipse."""
    boxes = [
        patch.get_extents().transformed(ax.transData.inverted()).expanded(1.04, 1.04)
        for patch in ax.patches
    ]
    for box in boxes:
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        ax.set(
            xlim=(min(left, box.x0), max(right, box.x1)), ylim=(min(low, box.y0), max(high, box.y1))
        )


def _add_legend(figure: Figure, labels: dict[str, Labels]) -> None:
    """One legend for all panels."""
    most = max((int(found.max()) + 1 for found in labels.values()), default=0)
    handles = [_dot(colour, number_of(k)) for k, colour in enumerate(component_colours(most))]
    if any((found == NOISE).any() for found in labels.values()):
        handles.append(_dot("#a4a6a9", "noise"))
    if handles:
        figure.legend(handles=handles[:20], title="cluster", loc="outside right upper", **LEGEND)


def _dot(colour: Any, label: str) -> Line2D:
    colour = colour if isinstance(colour, str) else tuple(colour)
    return Line2D([], [], linestyle="", marker="o", markersize=8, color=colour, label=label)
