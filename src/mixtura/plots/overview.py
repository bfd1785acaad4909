"""A mixture over its data, in a picture for its number of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mixtura.plots.curves import plot_curves
from mixtura.plots.files import figure_of
from mixtura.plots.pairs import plot_pairs
from mixtura.plots.scatter import plot_scatter
from mixtura.plots.unwrap import mixture_of, names_of
from mixtura.plots.view import checked_rows, numbered


def plot_mixture(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes | Figure:
    """A mixture over its data: density curves for one column, ellipses for two, a grid of pairs for
    more.

    The colour of a point is the mean of the component colours weighted by its responsibilities,
    which are those of all columns, also where only some are shown. Above 10,000 rows an image
    replaces the points.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n,d)
        The data; NaN is missing, and a row is drawn where it has the columns.
    columns : d names, optional
        Names of the axes; those of a data frame by default.
    shown : some of ``columns``, optional
        Columns to draw, in this order; all by default. At most the first six are drawn, and the
        title names the others.
    ax : Axes, optional
        For one or two columns. A new figure by default.
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
    >>> from mixtura.distribution.covariance import Spherical
    >>> from mixtura.distribution.mixture import Mixture
    >>> means = np.array([[0.0, 0.0], [4.0, 0.0]])
    >>> two = Mixture(np.array([0.5, 0.5]), means, Spherical(np.ones(1), 2, 2))
    >>> rows, _ = two.sample(100, np.random.default_rng(0))
    >>> plot_mixture(two, rows, columns=["height", "weight"]).get_xlabel()
    'height'
    """
    mixture = mixture_of(result)
    names = names_of(result, X, columns, mixture.n_features)
    rows = checked_rows(mixture, X, names)
    wanted = names if shown is None else list(shown)
    numbered(names, wanted)
    if len(wanted) > 2:
        _refuse_one_panel(ax, len(wanted))
        return figure_of(plot_pairs(mixture, rows, columns=names, shown=wanted, title=title)[0, 0])
    draw = plot_curves if len(wanted) == 1 else plot_scatter
    return draw(mixture, rows, columns=names, shown=wanted, ax=ax, title=title)


def _refuse_one_panel(ax: Axes | None, n_columns: int) -> None:
    """Refuse ``ax`` for a grid, which makes its own figure."""
    if ax is not None:
        raise ValueError(
            f"`ax` holds one panel, but {n_columns} columns need a grid of them. "
            "Leave `ax` out (a figure is returned), or choose at most two columns with `shown`."
        )
