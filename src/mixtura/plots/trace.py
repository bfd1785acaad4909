"""The path of EM: the log-likelihood after each iteration."""

from __future__ import annotations

from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mixtura.plots.colours import PALETTE
from mixtura.plots.style import counted, headline, new_axes, tidy
from mixtura.plots.unwrap import fit_of


def plot_trace(result: Any, ax: Axes | None = None) -> Axes:
    """Log-likelihood after each iteration of EM, and why EM ended.

    The trace of a fit that continues a short run begins at the last iteration of that run, so its
    first number may not be 0.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult or Selection
    ax : Axes, optional
        A new figure by default.

    Returns
    -------
    Axes
    """
    fit = fit_of(result)
    ax = new_axes() if ax is None else ax
    first = max(0, fit.n_iter - (len(fit.trace) - 1))
    few = len(fit.trace) <= 40
    ax.plot(
        range(first, first + len(fit.trace)),
        fit.trace,
        color=PALETTE[0],
        linewidth=2,
        marker="o" if few else "",
        markersize=4.5,
    )
    headline(
        ax,
        f"{fit.family}, K = {fit.n_components}: {counted(fit.n_iter, 'iteration')}",
        fill(fit.stop.value, 90),
    )
    ax.set(xlabel="iteration", ylabel="log-likelihood (higher is better)")
    ax.ticklabel_format(axis="y", useOffset=False, style="plain")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.margins(x=0.04, y=0.08)
    tidy(ax)
    return ax
