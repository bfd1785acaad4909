"""The scatter plot of ``mixtura explore`` as a notebook widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.base.arrays import Rows
from mixtura.base.errors import MissingExtraError
from mixtura.inputs.rows import with_nan
from mixtura.plots import canvas
from mixtura.plots.unwrap import mixture_of, names_of

try:
    import anywidget
    import traitlets
except ImportError:
    raise MissingExtraError(
        "mixtura.plots.widget needs anywidget, which is not installed. Run: pip install "
        "'mixtura[notebook]'"
    ) from None


class ScatterWidget(anywidget.AnyWidget):
    """The widget that :func:`scatter` returns.

    ``selected`` is i after a click on the row X[i], and -1 before; set it to mark a row. Rows whose
    largest membership is below ``threshold``, which can be set as well, are grey.
    """

    _esm = canvas.MODULE.read_text(encoding="utf-8")

    x = traitlets.Bytes().tag(sync=True)
    y = traitlets.Bytes().tag(sync=True)
    x_axis = traitlets.Dict().tag(sync=True)
    y_axis = traitlets.Dict().tag(sync=True)
    memberships = traitlets.Bytes().tag(sync=True)
    shares = traitlets.Bytes().tag(sync=True)
    certainty = traitlets.Bytes().tag(sync=True)
    colours: traitlets.List[Any] = traitlets.List().tag(sync=True)
    centres: traitlets.List[Any] = traitlets.List().tag(sync=True)
    ellipses: traitlets.List[Any] = traitlets.List().tag(sync=True)
    threshold = traitlets.Float(0.0).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    plain = traitlets.Bool(False).tag(sync=True)
    in_python = traitlets.Bool(True).tag(sync=True)
    word = traitlets.Unicode("component").tag(sync=True)


def scatter(
    result: Any,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    shown: tuple[int, int] = (0, 1),
    threshold: float = 0.0,
) -> ScatterWidget:
    """Two columns of the rows with the ellipses of a mixture, for a notebook.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or Mixture
    X : (n, d)
        At least two columns; the points go to the browser as 32-bit numbers. NaN is missing: a
        row is drawn where it has both columns.
    columns : d names, optional
        Those of a data frame by default.
    shown : the numbers of two columns
    threshold : float
        Rows whose largest membership is smaller are grey.

    Raises
    ------
    ValueError
        Where X has other columns than the mixture, or ``shown`` does not name two columns.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture
    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> model = GaussianMixture(random_state=0).fit(X)
    >>> scatter(model, X, columns=["height", "weight"]).x_axis["name"]
    'height'
    """
    mixture = mixture_of(result)
    names = names_of(result, X, columns, mixture.n_features)
    rows = np.asarray(with_nan(X), dtype=np.float64)
    _check(rows, mixture.n_features, shown)
    memberships = mixture.posterior(rows)[:, : mixture.n_components]
    (x, x_axis), (y, y_axis) = (canvas.axis(names[j], rows[:, j]) for j in shown)
    return ScatterWidget(
        x=x,
        y=y,
        x_axis=x_axis,
        y_axis=y_axis,
        memberships=canvas.hues(memberships),
        shares=canvas.shares(memberships),
        certainty=canvas.certainty(memberships),
        colours=canvas.colours(mixture.n_components),
        centres=canvas.centres(mixture, shown).tolist(),
        ellipses=[level.tolist() for level in canvas.frames(mixture, shown)],
        threshold=threshold,
        title=f"{len(rows)} points, {names[shown[1]]} over {names[shown[0]]}, "
        f"{mixture.n_components} components",
    )


def _check(rows: Rows, d: int, shown: tuple[int, int]) -> None:
    if rows.ndim != 2 or rows.shape[1] != d or len(rows) < 1 or np.isinf(rows).any():
        raise ValueError(
            f"X must have finite numbers in the {d} columns of the mixture, but has shape "
            f"{rows.shape}. Pass the data of the mixture."
        )
    if len(set(shown)) != 2 or not all(0 <= j < d for j in shown):
        raise ValueError(
            f"shown must name two different columns from 0 to {d - 1}, but got {shown!r}."
        )
