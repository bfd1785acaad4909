"""Results as pictures: a mixture over its data, criteria over K, the path of EM. Made with matplotlib's objects only.

No function here touches pyplot or a backend, so a picture can be made in a thread, on a server and inside a notebook.
People read these pictures, so components are numbered from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from mixtura.arrays import Array, Labels
from mixtura.criteria import criterion_named
from mixtura.merging import MergeTree
from mixtura.mixture import Mixture
from mixtura.results import Candidate, FitResult, Selection, title_of

PALETTE = ("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#a96b59", "#e76300", "#92dadd", "#b9ac70", "#717581", "#94a4a2")
"""Ten colours that people with any kind of colour vision can tell apart (Petroff 2021, arXiv:2107.02270), greys last."""

MOST_POINTS = 5000
"""More points than this hide each other; they are thinned evenly."""

MOST_COLUMNS = 6
"""A grid of more panels than this pair of columns makes cannot be read on a page."""

SIGMAS = (1.0, 2.0)
"""Mahalanobis radii of the ellipses; they hold 39 % and 86 % of a component."""

FORMATS = (".png", ".pdf", ".svg")
DOTS_PER_INCH = 150

INK, GREY, PALE = "#2b2b2b", "#6f7378", "#d9dce0"
HALO = withStroke(linewidth=3.2, foreground="white", alpha=0.85)


# ---- colours -------------------------------------------------------------------------------------------------------


def component_colours(n_components: int) -> Array:
    """One colour for each component, as RGB (K,3): the palette up to ten, a rainbow beyond."""
    if n_components <= len(PALETTE):
        return np.array([to_rgb(colour) for colour in PALETTE[:n_components]])
    return np.asarray(mpl.colormaps["turbo"](np.linspace(0.04, 0.96, n_components))[:, :3])


def blended_colours(responsibilities: Array, colours: Array) -> Array:
    """Colours (m,3) of rows with these responsibilities (m,K): the mean of the component colours (K,3).

    A row that surely belongs to component k has exactly its colour; a row between two has a colour between theirs.
    """
    return np.asarray(np.clip(responsibilities @ colours, 0.0, 1.0))


# ---- a mixture over its data -----------------------------------------------------------------------------------------


def plot_mixture(
    mixture: Mixture,
    X: ArrayLike,
    *,
    columns: Sequence[str],
    shown: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes | Figure:
    """A mixture over its data: bell curves for one column, ellipses for two, a grid of pairs for more.

    Every point has the blend of the component colours given by its responsibilities, which always come from all
    columns, also where only some of them are shown. Above 5000 rows, points are thinned evenly and a caption says so.

    Parameters
    ----------
    mixture : Mixture
    X : (n,d)
        The data, finite numbers.
    columns : d names
        For axes; ``X`` itself carries none.
    shown : some of ``columns``, optional
        What to draw, in this order; all by default. More than six: the first six, and the title says what is left out.
    ax : Axes, optional
        Where to draw one or two columns. A new figure by default.
    title : str, optional

    Returns
    -------
    Axes or Figure
        Axes for one or two columns, a figure for a grid.

    Raises
    ------
    ValueError
        When names, columns and mixture do not fit together, or ``ax`` is given for a grid.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.covariance import Spherical
    >>> two = Mixture(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [4.0, 0.0]]), Spherical(np.ones(1), 2, 2))
    >>> rows, _ = two.sample(100, np.random.default_rng(0))
    >>> plot_mixture(two, rows, columns=["height", "weight"]).get_xlabel()
    'height'
    """
    rows = _checked_rows(mixture, X, columns)
    names = _known_names(columns, columns if shown is None else shown)
    drawn, left_out = names[:MOST_COLUMNS], names[MOST_COLUMNS:]
    view = _view(mixture, rows, [list(columns).index(name) for name in drawn], drawn)
    if len(drawn) > 2:
        _refuse_one_panel(ax, len(drawn))
        return _pair_grid(view, _grid_title(title, left_out))
    ax = _new_axes() if ax is None else ax
    (_draw_curves if len(drawn) == 1 else _draw_plane)(ax, view)
    _headline(ax, title, view.caption)
    _legend_beside(ax, _component_handles(view), "component")
    return ax


@dataclass(frozen=True, eq=False)
class _View:
    """What all panels of one picture share: the marginal mixture, the rows (n,c), and the thinned points with colours."""

    mixture: Mixture
    rows: Array
    points: Labels
    blends: Array
    colours: Array
    names: tuple[str, ...]

    @property
    def caption(self) -> str:
        """Says how many points are left out, or nothing."""
        return "" if len(self.points) == len(self.rows) else f"{len(self.points):,} of {len(self.rows):,} points drawn"

    @property
    def point_area(self) -> float:
        """Points shrink as they get many (square points)."""
        return float(np.clip(9000 / max(len(self.points), 1), 5, 26))

    def panel(self, *axes: int) -> _View:
        """The view of one or two of the columns."""
        chosen = np.array(axes)
        names = tuple(self.names[axis] for axis in axes)
        return _View(self.mixture.marginal(chosen), self.rows[:, chosen], self.points, self.blends, self.colours, names)


def _view(mixture: Mixture, rows: Array, shown: Sequence[int], names: tuple[str, ...]) -> _View:
    """Colours come from all columns, places from the shown ones."""
    points = _thinned(len(rows))
    colours = component_colours(mixture.n_components)
    blends = blended_colours(mixture.posterior(rows[points]), colours)
    chosen = np.array(shown)
    return _View(mixture.marginal(chosen), rows[:, chosen], points, blends, colours, names)


def _thinned(n: int) -> Labels:
    """At most 5000 row numbers, spread evenly from the first to the last: no randomness, so a picture never changes."""
    return np.arange(n) if n <= MOST_POINTS else np.linspace(0, n - 1, MOST_POINTS).astype(np.intp)


def _checked_rows(mixture: Mixture, X: ArrayLike, columns: Sequence[str]) -> Array:
    """``X`` as float64 (n,d) that fits the mixture and the names."""
    rows = np.asarray(X, dtype=np.float64)
    d = mixture.n_features
    if rows.ndim != 2 or rows.shape[1] != d:
        raise ValueError(f"`X` has shape {rows.shape}, but the mixture has {d} columns. Pass the rows it was fitted on, (n, {d}).")
    if len(columns) != d:
        raise ValueError(f"`columns` has {len(columns)} names for {d} columns. Pass one name for each column of `X`.")
    if not np.isfinite(rows).all():
        raise ValueError("`X` has missing or infinite values, which have no place in a picture. Drop or fill those rows first.")
    return rows


def _known_names(columns: Sequence[str], shown: Sequence[str]) -> tuple[str, ...]:
    """The names to draw, each of them known, at least one."""
    unknown = [name for name in shown if name not in columns]
    if unknown or not len(shown):
        raise ValueError(f"`shown` is {list(shown)}, but there are only these columns: {list(columns)}. Name at least one of them.")
    return tuple(shown)


def _refuse_one_panel(ax: Axes | None, n_columns: int) -> None:
    """A grid makes its own figure."""
    if ax is not None:
        raise ValueError(
            f"`ax` holds one panel, but {n_columns} columns need a grid of them. "
            "Leave `ax` out (a figure is returned), or choose at most two columns with `shown`."
        )


# ---- one column -------------------------------------------------------------------------------------------------------


def _draw_curves(ax: Axes, view: _View) -> None:
    """Histogram, one weighted bell curve for each component, their sum, and a rug in blended colours."""
    values = view.rows[:, 0]
    heights, _, _ = ax.hist(values, bins=_n_bins(len(values)), density=True, color=PALE, histtype="stepfilled")
    left, right = ax.get_xlim()
    grid = _curve_grid(view.mixture, left, right)
    bells = np.exp(view.mixture.log_joint(grid[:, None]))
    for bell, colour in zip(bells.T, view.colours, strict=True):
        ax.fill_between(grid, bell, color=colour, alpha=0.12, linewidth=0)
        ax.plot(grid, bell, color=colour, linewidth=2)
    total = bells.sum(axis=1)
    ax.plot(grid, total, color=INK, linewidth=1.3, linestyle=(0, (5, 2)), label="sum")
    # A nearly collapsed component is a needle; it may leave the panel, so that the data can still be seen.
    top = min(float(total.max()), 3 * float(np.max(heights)))
    ax.set(xlim=(left, right), ylim=(0, 1.12 * max(top, float(np.max(heights)))), xlabel=_plain(view.names[0]), ylabel="density")
    _draw_rug(ax, view)
    _tidy(ax)


def _draw_rug(ax: Axes, view: _View) -> None:
    """A short line for each point at the foot of the panel; as high as 4 % of it whatever the scale."""
    feet = [[(x, 0.0), (x, 0.04)] for x in view.rows[view.points, 0]]
    rug = LineCollection(feet, colors=view.blends, linewidths=0.9, alpha=0.8, transform=ax.get_xaxis_transform(), zorder=4)
    rug.set_rasterized(True)
    ax.add_collection(rug, autolim=False)


def _curve_grid(mixture: Mixture, left: float, right: float) -> Array:
    """Places to evaluate: even over the panel, and dense about each mean, so that no narrow bell is missed."""
    spreads = np.sqrt(mixture.covariance.dense()[:, 0, 0])
    near = (mixture.means[:, 0, None] + spreads[:, None] * np.linspace(-4, 4, 81)).ravel()
    grid = np.concatenate([np.linspace(left, right, 400), near])
    return np.unique(grid[(grid >= left) & (grid <= right)])


def _n_bins(n: int) -> int:
    """Rice's rule within 10 and 80: unlike rules by width it cannot ask for a million bins when one value is far out."""
    return int(np.clip(ceil(2 * n ** (1 / 3)), 10, 80))


# ---- two columns ------------------------------------------------------------------------------------------------------


def _draw_plane(ax: Axes, view: _View, *, numbered: bool = True) -> None:
    """Points in blended colours, ellipses, and the means."""
    x, y = view.rows[view.points].T
    ax.scatter(x, y, s=view.point_area, c=view.blends, alpha=0.75, linewidths=0, rasterized=True)
    covariances = view.mixture.covariance.dense()
    for mean, covariance, colour in zip(view.mixture.means, covariances, view.colours, strict=True):
        for sigmas in SIGMAS:
            ax.add_patch(covariance_ellipse(mean, covariance, sigmas, colour))
    _draw_means(ax, view, numbered=numbered)
    ax.autoscale_view()
    ax.set(xlabel=_plain(view.names[0]), ylabel=_plain(view.names[1]))
    _tidy(ax)


def covariance_ellipse(mean: Array, covariance: Array, sigmas: float, colour: Array) -> Ellipse:
    """The curve of Mahalanobis distance ``sigmas`` about ``mean (2,)`` under ``covariance (2,2)``, unfilled.

    Its axes are the eigenvectors, and its full lengths are ``2 sigmas sqrt(eigenvalue)``, the long one first.
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
        linewidth=2.0 / sigmas**0.5,
        path_effects=[HALO],
        zorder=3,
    )


def _draw_means(ax: Axes, view: _View, *, numbered: bool) -> None:
    """A disc at each mean, with the component's number in it where there is room."""
    x, y = view.mixture.means.T
    ax.scatter(x, y, s=150 if numbered else 34, c=view.colours, edgecolors="white", linewidths=1.4, zorder=5)
    if numbered:
        for k, colour in enumerate(view.colours):
            ink = "white" if colour @ (0.299, 0.587, 0.114) < 0.6 else INK
            ax.annotate(
                str(k + 1), (x[k], y[k]), ha="center", va="center_baseline", fontsize=8, fontweight="bold", color=ink, zorder=6
            )


# ---- more columns ------------------------------------------------------------------------------------------------------


def _pair_grid(view: _View, title: str) -> Figure:
    """Scatters below the diagonal, curves on it, the legend in the empty triangle above."""
    m = len(view.names)
    side = 2.35 if m < 5 else 1.8
    figure = Figure(figsize=(side * m + 0.7, side * m + 0.7), layout="constrained")
    panels = figure.subplots(m, m, squeeze=False, sharex="col")
    for i in range(m):
        for j in range(m):
            _draw_cell(panels[i, j], view, i, j)
        # Rows share their scale among the scatters only: the diagonal counts density.
        for panel in panels[i, 1:i]:
            panel.sharey(panels[i, 0])
    panels[0, -1].legend(
        handles=_component_handles(view), title="component", loc="upper right", bbox_to_anchor=(1.0, 1.0), **_legend_look(view)
    ).set_in_layout(False)
    figure.align_labels()
    if title:
        figure.suptitle(fill(_plain(title), width=int(14 * side * m / 1.4)), x=0.012, ha="left", fontsize=12, color=INK)
    if view.caption:
        figure.supxlabel(view.caption, x=0.99, ha="right", fontsize=8, color=GREY)
    return figure


def _draw_cell(panel: Axes, view: _View, i: int, j: int) -> None:
    """Row i, column j of the grid."""
    last = len(view.names) - 1
    if j > i:
        panel.axis("off")
        return
    if i == j:
        _draw_curves(panel, view.panel(i))
        panel.set(yticks=[], ylabel="")
        panel.spines["left"].set_visible(False)
    else:
        _draw_plane(panel, view.panel(j, i), numbered=False)
    panel.set_xlabel(_plain(view.names[j]) if i == last else "")
    if i != j:
        panel.set_ylabel(_plain(view.names[i]) if j == 0 else "")
    panel.tick_params(labelbottom=i == last, labelleft=j == 0 and i != j)
    panel.xaxis.set_major_locator(MaxNLocator(5, prune="both"))
    if i != j:
        panel.yaxis.set_major_locator(MaxNLocator(5, prune="both"))


def _grid_title(title: str | None, left_out: Sequence[str]) -> str:
    """The title, and which columns are not in the grid."""
    if not left_out:
        return title or ""
    named = ", ".join(left_out[:MOST_COLUMNS])
    more = f" and {len(left_out) - MOST_COLUMNS} more" if len(left_out) > MOST_COLUMNS else ""
    return f"{title or 'First columns'} (left out: {named}{more})"


# ---- criteria ----------------------------------------------------------------------------------------------------------


COLOURED_FAMILIES = 6
"""More coloured curves than this cannot be told apart; the other families are grey."""

STEEP = 5.0
"""A panel ends this many times the median's distance above the best value, so that one huge value does not flatten the rest."""

UNLIKE = ("nec", "entropy")
"""Criteria that are not in the units of -2 log-likelihood, and so share no axis with the others."""


def plot_criteria(selection: Selection, *, criterion_names: Sequence[str] | None = None, title: str | None = None) -> Figure:
    """Criteria over the number of components; lower is better for every one.

    Left, the criterion of the selection for each family, the best six in colour and the others in grey: hollow crosses are fits
    with a degenerate component, which never win, and the winner is ringed. Right, several criteria of the winning family,
    the lowest point of each ringed. Values far above the others lie outside the panel, and a caption says so.

    Parameters
    ----------
    selection : Selection
    criterion_names : names of criteria, optional
        What the right panel shows; those that the selection has computed or that are keys of
        :data:`mixtura.criteria.CRITERIA`. By default the one that decides, BIC, AIC and ICL.
    title : str, optional

    Returns
    -------
    Figure
        With one panel when no fit could win.

    Raises
    ------
    ValueError
        When a criterion is not known.
    """
    winner = selection.ranking[0] if selection.ranking else None
    names = _usual_criteria(selection.criterion) if criterion_names is None else list(criterion_names)
    for name in names:
        if winner is None or name not in winner.criteria:
            criterion_named(name)
    figure = Figure(figsize=(11.5 if winner else 7, 4.8), layout="constrained")
    panels = figure.subplots(1, 2 if winner else 1, squeeze=False, width_ratios=[1.25, 1] if winner else None)[0]
    _draw_families(panels[0], selection, winner)
    if winner:
        _draw_criteria(panels[1], [c for c in selection.candidates if c.family == winner.family], names)
    if title:
        figure.suptitle(_plain(title), x=0.012, ha="left", fontsize=13, color=INK)
    return figure


def _usual_criteria(decides: str) -> list[str]:
    """The criterion that decides, with those that share its units."""
    return [decides] if decides in UNLIKE else list(dict.fromkeys((decides, "bic", "aic", "icl")))


def _draw_families(ax: Axes, selection: Selection, winner: Candidate | None) -> None:
    """One curve for each family, in the order of their best values, so that the legend reads like a ranking."""
    families = sorted({c.family for c in selection.candidates}, key=lambda name: _lowest(selection, name))
    colours = {family: PALETTE[i] if i < COLOURED_FAMILIES else GREY for i, family in enumerate(families)}
    for family in reversed(families):
        coloured = colours[family] != GREY
        _draw_family(
            ax, _over_k(selection, family), family, colours[family], coloured=coloured, bold=bool(winner) and family == families[0]
        )
    named = list(ax.get_lines())[::-1]
    handles = named[:COLOURED_FAMILIES]
    if others := named[COLOURED_FAMILIES:]:
        handles.append(_others_handle(len(others)))
    seen = [c.criterion for c in selection.ranking if colours[c.family] != GREY]
    hidden = _limit_to(ax, seen) if seen else ""
    crosses = [c for c in selection.candidates if not c.eligible and isfinite(c.criterion)]
    if crosses:
        handles.append(_draw_crosses(ax, crosses, colours))
    if winner:
        handles.append(_ring(ax, winner.n_components, winner.criterion, "best"))
    best = (
        f"Best: {winner.family} with {winner.n_components} component{'s' * (winner.n_components > 1)}"
        if winner
        else "No fit may win"
    )
    _headline(ax, best, "; ".join(filter(None, (_failures(selection), hidden))))
    _criterion_axes(ax, title_of(selection.criterion))
    _legend_beside(ax, handles, "family, best first")


def _lowest(selection: Selection, family: str) -> tuple[float, str]:
    """The best value that a family may win with; infinite when it has none. Ties go by name."""
    return min((c.criterion for c in selection.ranking if c.family == family), default=float("inf")), family


def _over_k(selection: Selection, family: str) -> list[Candidate]:
    """The cells of one family by K."""
    return sorted((c for c in selection.candidates if c.family == family), key=lambda c: c.n_components)


def _draw_family(ax: Axes, cells: Sequence[Candidate], family: str, colour: str, *, coloured: bool, bold: bool) -> None:
    """The eligible cells joined; a cell that may not win leaves a gap."""
    ax.plot(
        [c.n_components for c in cells],
        [c.criterion if c.eligible else np.nan for c in cells],
        color=colour,
        linewidth=2.8 if bold else 1.6 if coloured else 0.8,
        alpha=1.0 if coloured else 0.45,
        marker="o",
        markersize=5.5 if bold else 4 if coloured else 2,
        zorder=4 if bold else 3 if coloured else 2,
        label=family,
    )


def _others_handle(n: int) -> Line2D:
    """The legend's line for all grey families."""
    name = f"{n} other famil{'ies' if n > 1 else 'y'}"
    return Line2D([], [], color=GREY, linewidth=0.8, alpha=0.6, marker="o", markersize=2, label=name)


def _draw_crosses(ax: Axes, cells: Sequence[Candidate], colours: dict[str, str]) -> Line2D:
    """Cells that never win, at their value or at the edge they lie beyond; the handle for the legend."""
    low, high = ax.get_ylim()
    margin = 0.015 * (high - low)
    for cell in cells:
        height = float(np.clip(cell.criterion, low + margin, high - margin))
        grey = colours[cell.family] == GREY
        look = {**_CROSS, "markersize": 5, "alpha": 0.5} if grey else _CROSS
        ax.plot(cell.n_components, height, linestyle="", color=colours[cell.family], **look, zorder=2 if grey else 5)
    return Line2D([], [], linestyle="", color=GREY, label="degenerate,\nnever wins", **_CROSS)


_CROSS: dict[str, Any] = {"marker": "X", "markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.1}


def _limit_to(ax: Axes, values: Sequence[float]) -> str:
    """Scale for the values that may win and are near the best: else one collapsed or poor fit turns all else into one line.

    Returns what to say about the values that lie above.
    """
    low, high = min(values), max(values)
    reach = low + STEEP * (float(np.median(values)) - low)
    cut = high - low > 2.0 * (reach - low) > 0.0
    top = reach if cut else high
    margin = 0.06 * (top - low) or 1.0
    ax.set_ylim(low - 1.5 * margin, top + margin)
    return "values far above the best lie outside" if cut else ""


def _failures(selection: Selection) -> str:
    """How many cells have no fit at all, or nothing."""
    missing = sum(c.fit is None for c in selection.candidates)
    return f"{missing} of {len(selection.candidates)} fits failed and are not shown" if missing else ""


def _draw_criteria(ax: Axes, cells: Sequence[Candidate], names: Sequence[str]) -> None:
    """Several criteria of one family, over the cells that may win."""
    cells = sorted((c for c in cells if c.eligible), key=lambda c: c.n_components)
    handles: list[Line2D] = []
    ring: list[Line2D] = []
    seen: list[float] = []
    for name, colour, marker in zip(names, PALETTE, "osD^vP*Xph", strict=False):
        values = [_value(c, name) for c in cells]
        title = title_of(name)
        (line,) = ax.plot(
            [c.n_components for c in cells], values, color=colour, marker=marker, linewidth=1.8, markersize=5, label=title
        )
        handles.append(line)
        seen.extend(value for value in values if isfinite(value))
        if any(map(isfinite, values)):
            lowest = int(np.nanargmin(values))
            ring = [_ring(ax, cells[lowest].n_components, values[lowest], "lowest")]
    hidden = _limit_to(ax, seen) if seen else ""
    _headline(ax, f"{cells[0].family} by several criteria" if len(names) > 1 else cells[0].family, hidden)
    _criterion_axes(ax, "criterion")
    _legend_beside(ax, [*handles, *ring], "")


def _value(cell: Candidate, name: str) -> float:
    """A criterion of a fitted cell: the one that the selection computed, else from the fit alone."""
    assert cell.fit is not None
    return cell.criteria[name] if name in cell.criteria else criterion_named(name)(cell.fit)


def _ring(ax: Axes, x: float, y: float, label: str) -> Line2D:
    """A ring about a point; the smaller handle for the legend."""
    look: dict[str, Any] = {
        "linestyle": "",
        "marker": "o",
        "markerfacecolor": "none",
        "markeredgecolor": INK,
        "markeredgewidth": 1.6,
    }
    ax.plot(x, y, markersize=15, zorder=6, **look)
    return Line2D([], [], markersize=9, label=label, **look)


def _criterion_axes(ax: Axes, name: str) -> None:
    """Axis labels, whole numbers of components, and room for a ring at both ends."""
    ax.set(xlabel="components K", ylabel=f"{name} (lower is better)")
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    ax.margins(x=0.07)
    _tidy(ax)


# ---- components merged into clusters -------------------------------------------------------------------------------------


STEM = 0.35
"""How far the branches of the components reach below the first fork."""


def plot_merging(tree: MergeTree, n_clusters: int | None = None, *, title: str | None = None) -> Figure:
    """How components merge into clusters: the tree, and the entropy of the memberships over the number of clusters.

    Left, each fork is a merge, and its height is the number of clusters after it; what makes one cluster has one colour. Right, the
    entropy grows steeply where components of one cluster are kept apart; the chosen number is ringed.

    Parameters
    ----------
    tree : MergeTree
    n_clusters : int, optional
        Where it is cut; by default at the elbow.
    title : str, optional

    Returns
    -------
    Figure
    """
    chosen = tree.elbow() if n_clusters is None else n_clusters
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    forks, path = figure.subplots(1, 2)
    # The number of clusters falls upwards in the tree, so that it grows from its leaves.
    _draw_forks(forks, tree, chosen)
    _draw_entropies(path, tree, chosen)
    if title:
        figure.suptitle(_plain(title), x=0.012, ha="left", fontsize=13, color=INK)
    return figure


def _draw_forks(ax: Axes, tree: MergeTree, n_clusters: int) -> None:
    """The tree over the number of clusters, with the components below; branches that are kept apart are joined by dots."""
    K = tree.n_components
    order = _leaf_order(tree)
    clusters = component_colours(n_clusters)
    own = {k: g for g, group in enumerate(tree.groups(n_clusters)) for k in group}
    at: dict[int, tuple[float, float, Any]] = {k: (float(order.index(k)), K + STEM, tuple(clusters[own[k]])) for k in range(K)}
    for step, (first, second, *_) in enumerate(tree.linkage(), start=1):
        (x0, y0, c0), (x1, y1, c1) = at.pop(int(first)), at.pop(int(second))
        left, apart = K - step, K - step < n_clusters
        colour, line = (GREY, ":") if apart else (c0, "-")
        for x, y, own_colour in ((x0, y0, c0), (x1, y1, c1)):
            whole = min(max(left, n_clusters), y)  # dots begin where the clusters end
            if whole < y:
                ax.plot([x, x], [y, whole], color=own_colour, linewidth=2.4)
            ax.plot([x, x], [whole, left], color=GREY, linewidth=1.4, linestyle=":")
        ax.plot([x0, x1], [left, left], color=colour, linewidth=1.4 if apart else 2.4, linestyle=line)
        at[K - 1 + step] = (0.5 * (x0 + x1), left, colour)
    ax.set_xticks(range(K), [str(k + 1) for k in order])
    ax.set(xlabel="component", ylabel="clusters", xlim=(-0.6, K - 0.4), ylim=(K + STEM, 0.7))
    ax.yaxis.set_major_locator(MaxNLocator(12, integer=True))
    _headline(ax, f"{_count(K, 'component')}, {_count(n_clusters, 'cluster')}", "")
    _tidy(ax)
    ax.grid(visible=False, axis="x")


def _leaf_order(tree: MergeTree) -> list[int]:
    """The components in an order in which no branches cross."""
    members: dict[int, list[int]] = {k: [k] for k in range(tree.n_components)}
    for number, (first, second, *_) in enumerate(tree.linkage(), start=tree.n_components):
        left, right = sorted((members.pop(int(first)), members.pop(int(second))), key=min)
        members[number] = left + right
    return [k for group in members.values() for k in group]


def _draw_entropies(ax: Axes, tree: MergeTree, n_clusters: int) -> None:
    """The entropy over the number of clusters, and two lines that meet at the elbow."""
    numbers = np.arange(1, tree.n_components + 1)
    (line,) = ax.plot(numbers, tree.entropies, color=PALETTE[0], marker="o", linewidth=1.8, markersize=5, label="entropy")
    handles = [line, _ring(ax, n_clusters, float(tree.entropies[n_clusters - 1]), "chosen")]
    elbow = tree.elbow()
    if tree.n_components > 2:
        for part in (slice(0, elbow), slice(elbow - 1, None)):
            slope, height = np.polyfit(numbers[part], tree.entropies[part], 1)
            x = numbers[part][[0, -1]]
            (fitted,) = ax.plot(
                x, height + slope * x, color=GREY, linewidth=1.1, linestyle=(0, (5, 2)), zorder=2, label="two lines"
            )
        handles.insert(1, fitted)
    chosen = "the elbow" if elbow == n_clusters else f"the elbow is at {elbow}"
    _headline(ax, f"Entropy of the memberships: {chosen}", "")
    ax.set(xlabel="clusters", ylabel="entropy (nats)")
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    ax.margins(x=0.07, y=0.08)
    _tidy(ax)
    _legend_beside(ax, handles, "")


def _count(n: int, noun: str) -> str:
    """``1 cluster``, ``2 clusters``."""
    return f"{n} {noun}{'s' * (n > 1)}"


# ---- the path of EM ----------------------------------------------------------------------------------------------------


def plot_trace(fit: FitResult, ax: Axes | None = None) -> Axes:
    """Log-likelihood after each iteration of EM, and why EM ended.

    A trace that goes on from a short run begins at that run's last iteration, so its first number may not be 0.

    Parameters
    ----------
    fit : FitResult
    ax : Axes, optional
        A new figure by default.

    Returns
    -------
    Axes
    """
    ax = _new_axes() if ax is None else ax
    first = max(0, fit.n_iter - (len(fit.trace) - 1))
    few = len(fit.trace) <= 40
    ax.plot(
        range(first, first + len(fit.trace)), fit.trace, color=PALETTE[0], linewidth=2, marker="o" if few else "", markersize=4.5
    )
    iterations = f"{fit.n_iter} iteration{'s' * (fit.n_iter != 1)}"
    _headline(ax, f"{fit.family}, K = {fit.n_components}: {iterations}", fill(fit.stop.value, 90))
    ax.set(xlabel="iteration", ylabel="log-likelihood (higher is better)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.margins(x=0.04, y=0.08)
    _tidy(ax)
    return ax


# ---- files -------------------------------------------------------------------------------------------------------------


def save(figure: Figure | Axes, path: str | Path) -> Path:
    """Write a figure, or the figure of some axes, to a file: PNG at 150 dots per inch, or PDF or SVG by the ending.

    Raises
    ------
    ValueError
        When the ending is none of these.
    FileNotFoundError
        When the folder is not there.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        ending = f"ends in {target.suffix!r}" if target.suffix else "has no ending"
        raise ValueError(
            f"`path` {str(target)!r} {ending}, but a picture is one of {', '.join(FORMATS)}. Write {target.stem + '.png'!r}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"`path` {str(target)!r} lies in the folder {str(target.parent)!r}, which does not exist. Make it first."
        )
    whole = figure if isinstance(figure, Figure) else figure.get_figure(root=True)
    assert whole is not None
    whole.savefig(target, dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.12, facecolor="white")
    return target


# ---- the look of all panels ----------------------------------------------------------------------------------------------


def _new_axes() -> Axes:
    """One panel in a figure of its own."""
    return Figure(figsize=(7.6, 5.0), layout="constrained").add_subplot()


def _tidy(ax: Axes) -> None:
    """Two spines, a faint grid behind everything, quiet ticks."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(colors=INK, labelsize=9)
    ax.grid(color="#eceef0", linewidth=0.8)
    ax.set_axisbelow(True)


def _headline(ax: Axes, title: str | None, caption: str) -> None:
    """A title at the left, and under it a small grey caption."""
    lines = caption.count("\n") + 1 if caption else 0
    if title:
        ax.set_title(_plain(title), loc="left", fontsize=12, color=INK, pad=8 + 12 * lines)
    if caption:
        ax.annotate(_plain(caption), (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=8, color=GREY)


def _component_handles(view: _View) -> list[Line2D]:
    """``1 (36 %)`` for each component, and the sum where there are curves only."""
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=8, color=tuple(colour), label=f"{k} ({_percent(weight)})")
        for k, (weight, colour) in enumerate(zip(view.mixture.weights, view.colours, strict=True), start=1)
    ]
    if len(view.names) != 2:
        handles.append(Line2D([], [], color=INK, linewidth=1.3, linestyle=(0, (5, 2)), label="sum"))
    return handles


def _percent(weight: float) -> str:
    """A weight for people: whole percents, and never ``0 %`` for something that is there."""
    return "<1 %" if 0 < weight < 0.005 else f"{100 * weight:.0f} %"


def _legend_beside(ax: Axes, handles: Sequence[Line2D], title: str) -> None:
    """A legend to the right of the panel, where it covers no data; 16 entries to a column."""
    if handles:
        columns = ceil(len(handles) / 16)
        ax.legend(handles=list(handles), title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0), ncols=columns, **_LEGEND)


_LEGEND: dict[str, Any] = {
    "frameon": False,
    "fontsize": 9,
    "title_fontsize": 9,
    "borderaxespad": 0.0,
    "alignment": "left",
    "handletextpad": 0.6,
}


def _legend_look(view: _View) -> dict[str, Any]:
    """The same look inside the grid's empty triangle, in two columns beyond ten components."""
    return {**_LEGEND, "ncols": 1 + (view.mixture.n_components > 10)}


def _plain(text: str) -> str:
    """Text as it is: a dollar sign in a column's name is no formula."""
    return text.replace("$", r"\$")
