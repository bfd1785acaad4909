"""Components merged into clusters: the merge tree, and the entropy of the memberships after each
merge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mixtura.base.numbering import number_of
from mixtura.plots.colours import PALETTE, component_colours
from mixtura.plots.style import (
    DASHES,
    GREY,
    counted,
    figure_title,
    headline,
    legend_beside,
    new_axes,
    ring,
    tidy,
)
from mixtura.plots.unwrap import tree_of
from mixtura.selection.merging import MergeTree

STEM = 0.35
"""Length of the branches of the components below the first fork, in clusters."""


def plot_merging(result: Any, n_clusters: int | None = None, *, title: str | None = None) -> Figure:
    """How components merge into clusters: the tree, and the entropy of the memberships over the
    number of clusters.

    Left, :func:`plot_merge_tree`; right, :func:`plot_merge_entropy`.

    Parameters
    ----------
    result : MergedMixture or MergeTree
    n_clusters : int, optional
        Where the tree is cut; by default that of the merged mixture, or the elbow of the tree.
    title : str, optional

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    forks, path = figure.subplots(1, 2)
    plot_merge_tree(result, n_clusters, ax=forks)
    plot_merge_entropy(result, n_clusters, ax=path)
    figure_title(figure, title)
    return figure


def plot_merge_tree(result: Any, n_clusters: int | None = None, *, ax: Axes | None = None) -> Axes:
    """The merge tree: each fork is a merge, and its height is the number of clusters after it.

    The components of one cluster have one colour.

    Parameters
    ----------
    result : MergedMixture or MergeTree
    n_clusters : int, optional
        Where the tree is cut; by default that of the merged mixture, or the elbow of the tree.
    ax : Axes, optional
        A new figure by default.
    """
    ax = new_axes() if ax is None else ax
    # The number of clusters decreases upwards, from the leaves of the tree to its root.
    _draw_forks(ax, tree_of(result), _cut(result, n_clusters))
    return ax


def plot_merge_entropy(
    result: Any, n_clusters: int | None = None, *, ax: Axes | None = None
) -> Axes:
    """The entropy of the memberships over the number of clusters, the chosen number ringed.

    It increases steeply where components of one cluster are not merged.

    Parameters
    ----------
    result : MergedMixture or MergeTree
    n_clusters : int, optional
        The chosen number; by default that of the merged mixture, or the elbow of the tree.
    ax : Axes, optional
        A new figure by default.
    """
    ax = new_axes() if ax is None else ax
    _draw_entropies(ax, tree_of(result), _cut(result, n_clusters))
    return ax


def _cut(result: Any, n_clusters: int | None) -> int:
    """The number of clusters that was requested, was chosen, or is at the elbow."""
    return int(n_clusters or getattr(result, "n_clusters", None) or tree_of(result).elbow())


def _draw_forks(ax: Axes, tree: MergeTree, n_clusters: int) -> None:
    """The tree over the number of clusters, with the components at the bottom; merges above the cut
    are dotted.
    """
    K = tree.n_components
    order = _leaf_order(tree)
    clusters = component_colours(n_clusters)
    own = {k: g for g, group in enumerate(tree.groups(n_clusters)) for k in group}
    at: dict[int, tuple[float, float, Any]] = {
        k: (float(order.index(k)), K + STEM, tuple(clusters[own[k]])) for k in range(K)
    }
    for step, (first, second, *_) in enumerate(tree.linkage(), start=1):
        (x0, y0, c0), (x1, y1, c1) = at.pop(int(first)), at.pop(int(second))
        left, apart = K - step, K - step < n_clusters
        colour, line = (GREY, ":") if apart else (c0, "-")
        for x, y, own_colour in ((x0, y0, c0), (x1, y1, c1)):
            whole = min(max(left, n_clusters), y)  # dots begin where the clusters end
            if whole < y:
                ax.plot([x, x], [y, whole], color=own_colour, linewidth=2.4)
            ax.plot([x, x], [whole, left], color=GREY, linewidth=1.4, linestyle=":")
        ax.plot(
            [x0, x1], [left, left], color=colour, linewidth=1.4 if apart else 2.4, linestyle=line
        )
        at[K - 1 + step] = (0.5 * (x0 + x1), left, colour)
    ax.set_xticks(range(K), [number_of(k) for k in order])
    ax.set(xlabel="component", ylabel="clusters", xlim=(-0.6, K - 0.4), ylim=(K + STEM, 0.7))
    ax.yaxis.set_major_locator(MaxNLocator(12, integer=True))
    headline(ax, f"{counted(K, 'component')}, {counted(n_clusters, 'cluster')}", "")
    tidy(ax)
    ax.grid(visible=False, axis="x")


def _leaf_order(tree: MergeTree) -> list[int]:
    """An order of the components in which no branches cross."""
    members: dict[int, list[int]] = {k: [k] for k in range(tree.n_components)}
    for number, (first, second, *_) in enumerate(tree.linkage(), start=tree.n_components):
        left, right = sorted((members.pop(int(first)), members.pop(int(second))), key=min)
        members[number] = left + right
    return [k for group in members.values() for k in group]


def _draw_entropies(ax: Axes, tree: MergeTree, n_clusters: int) -> None:
    """The entropy over the number of clusters, and two lines that meet at the elbow, if there is
    one.
    """
    numbers = np.arange(1, tree.n_components + 1)
    (line,) = ax.plot(
        numbers,
        tree.entropies,
        color=PALETTE[0],
        marker="o",
        linewidth=1.8,
        markersize=5,
        label="entropy",
    )
    handles = [line, ring(ax, n_clusters, float(tree.entropies[n_clusters - 1]), "chosen")]
    elbow = tree.elbow()
    if tree.n_components > elbow:
        for part in (slice(0, elbow), slice(elbow - 1, None)):
            slope, height = np.polyfit(numbers[part], tree.entropies[part], 1)
            x = numbers[part][[0, -1]]
            (fitted,) = ax.plot(
                x,
                height + slope * x,
                color=GREY,
                linewidth=1.1,
                linestyle=DASHES,
                zorder=2,
                label="two lines",
            )
        handles.insert(1, fitted)
    headline(ax, f"Entropy of the memberships: {_elbow_words(tree, elbow, n_clusters)}", "")
    ax.set(xlabel="clusters", ylabel="entropy (nats)")
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    ax.margins(x=0.07, y=0.08)
    if tree.is_separated:  # an automatic scale would magnify rounding errors
        ax.set_ylim(-0.08, 1.08)
    tidy(ax)
    legend_beside(ax, handles, "")


def _elbow_words(tree: MergeTree, elbow: int, n_clusters: int) -> str:
    """What the headline says about the elbow."""
    if tree.is_separated:
        return "nothing to merge"
    return "the elbow" if elbow == n_clusters else f"the elbow is at {elbow}"
