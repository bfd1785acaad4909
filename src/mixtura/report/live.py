"""The interactive picture of a report: the points are part of the page, and the scatter module of
``mixtura explore`` draws them.

The page has the points as base64 of 32-bit numbers, and one script: the scatter module followed by
``live.js``. The policy of the page has the digest of that script, so a browser runs no other.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import combinations

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.certainty import SURE
from mixtura.base.markup import Markup, tag
from mixtura.base.numbering import row_numbers
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.model.outlines import CORNERS, radius, roots
from mixtura.plots import LEVELS, canvas
from mixtura.report.study import Study

POINTS_IN_PAGE = 20_000
"""Largest number of points in the page; more cannot be distinguished on a screen."""

POINT_BYTES = 2_000_000
"""Largest size of the points in bytes, before base64 adds a third."""

COLUMNS_IN_PAGE = 30
"""Largest number of columns to choose from: those that best separate the components."""


@cache
def script() -> Markup:
    """The script of the page."""
    own = files("mixtura.report").joinpath("live.js").read_text(encoding="utf-8")
    return Markup(f"\n{canvas.MODULE.read_text(encoding='utf-8')}\n{own}")


def source() -> str:
    """The source expression of the script in the policy."""
    return f"'sha256-{b64encode(sha256(script().encode()).digest()).decode()}'"


def picture(study: Study) -> Markup:
    """The element of the picture with its points, and its caption."""
    rows, columns = _rows(study), _columns(study)
    without = tag(
        "p", "This picture needs JavaScript. The pictures below show the same rows.", class_="note"
    )
    place = tag(
        "div",
        tag("noscript", without),
        id="live",
        data_plot=json.dumps(_plot_data(study, rows, columns)),
    )
    return Markup(place + tag("p", _caption(study, rows, columns), class_="caption"))


def _caption(study: Study, rows: Labels, columns: Sequence[int]) -> str:
    said = (
        "The colour of a point is the mean of its components' colours, weighted by its "
        "memberships; click a point to see them."
    )
    n, d = study.X.shape
    if len(rows) < n:
        said += (
            f" The picture shows {len(rows):,} of {n:,} rows, drawn at random; all numbers below "
            "are for all rows."
        )
    if len(columns) < d:
        said += f" Of {d} columns it has the {len(columns)} that best separate the components."
    return said


def _columns(study: Study) -> list[int]:
    """The columns that best separate the components, in the order of the data."""
    return [int(j) for j in discriminating_columns(study.mixture, COLUMNS_IN_PAGE)]


def _first(study: Study, columns: Sequence[int]) -> list[int]:
    """Places of the two columns that are shown first."""
    return (
        [0, 1]
        if len(columns) == 1
        else [columns.index(int(j)) for j in discriminating_columns(study.mixture, 2)]
    )


def _rows(study: Study) -> Labels:
    """All rows, or a random sample within the limits of the page."""
    n = len(study.X)
    each = 4 * max(2, min(study.X.shape[1], COLUMNS_IN_PAGE)) + 2 * study.mixture.n_components + 8
    most = min(POINTS_IN_PAGE, POINT_BYTES // each)
    return (
        np.arange(n)
        if n <= most
        else np.sort(np.random.default_rng(0).choice(n, most, replace=False))
    )


def _plot_data(study: Study, rows: Labels, columns: Sequence[int]) -> dict[str, object]:
    """The data for ``live.js``."""
    shares = study.memberships[rows, : study.mixture.n_components]
    axes = [canvas.axis(study.names[j], study.X[rows, j]) for j in columns]
    axes += [canvas.spread(len(rows))] if len(columns) == 1 else []
    return {
        "columns": [{**limits, "values": _text(values)} for values, limits in axes],
        "shares": _text(canvas.shares(shares)),
        "certainty": _text(canvas.certainty(shares)),
        "rows": _text(np.array(row_numbers(len(study.X)))[rows].astype("<u4").tobytes()),
        "colours": canvas.colours(study.mixture.n_components),
        "threshold": SURE,
        "shown": _first(study, columns),
        "corners": CORNERS,
        **_shapes(study, columns),
    }


def _shapes(study: Study, columns: Sequence[int]) -> dict[str, object]:
    """Means and, for each pair of columns, the matrices that map a circle to the ellipses; with one
    column the boxes of the intervals.
    """
    if len(columns) == 1:
        levels = canvas.frames(study.mixture, (0, 1))
        return {
            "centres": canvas.centres(study.mixture, (0, 1)).tolist(),
            "frames": [level.tolist() for level in levels],
        }
    return {
        "means": study.mixture.means[:, columns].tolist(),
        "radii": [radius(level) for level in LEVELS],
        "roots": _text(
            np.stack([_three(roots(study.mixture, pair)) for pair in combinations(columns, 2)])
            .astype("<f4")
            .tobytes()
        ),
    }


def _three(matrices: Array) -> Array:
    """The three different entries of symmetric matrices (K, 2, 2)."""
    return np.asarray(matrices[:, [0, 0, 1], [0, 1, 1]])


def _text(data: bytes) -> str:
    return b64encode(data).decode()
