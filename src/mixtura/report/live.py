"""The picture of a report that can be moved and asked: the points inside the page, drawn by the
module that the explorer has.

The page holds the points as base64 of 32-bit numbers, and one script: the module of
``mixtura explore`` with ``live.js`` behind it. The policy of the page names the digest of that
script, so a browser runs it and nothing else.
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
from mixtura.base.markup import Markup, tag
from mixtura.base.numbering import row_numbers
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.model.outlines import CORNERS, radius, roots
from mixtura.plots import canvas
from mixtura.report.study import SURE, Study

MOST_ROWS = 20_000
"""Points in the page: more are not told apart on a screen, and each costs bytes."""

MOST_BYTES = 2_000_000
"""What the points may take before they are written as base64, which adds a third."""

MOST_COLUMNS = 30
"""Columns that can be chosen; of more the most telling ones."""


@cache
def script() -> Markup:
    """The one script of the page."""
    own = files("mixtura.report").joinpath("live.js").read_text(encoding="utf-8")
    return Markup(f"\n{canvas.MODULE.read_text(encoding='utf-8')}\n{own}")


def source() -> str:
    """What a policy calls it."""
    return f"'sha256-{b64encode(sha256(script().encode()).digest()).decode()}'"


def picture(study: Study) -> Markup:
    """The place of the picture with its points, and what it shows."""
    rows, columns = _rows(study), _columns(study)
    without = tag(
        "p", "This picture needs JavaScript; the pictures below show the same rows.", class_="note"
    )
    place = tag(
        "div",
        tag("noscript", without),
        id="live",
        data_told=json.dumps(_told(study, rows, columns)),
    )
    return Markup(place + tag("p", _caption(study, rows, columns), class_="caption"))


def _caption(study: Study, rows: Labels, columns: Sequence[int]) -> str:
    said = (
        "Each point has the colours of its components, mixed by its memberships; click one to "
        "see them."
    )
    n, d = study.X.shape
    if len(rows) < n:
        said += (
            f" Shown are {len(rows):,} of {n:,} rows, drawn at random; every number below is "
            "about all of them."
        )
    if len(columns) < d:
        said += f" Of {d} columns there are the {len(columns)} that set the components apart most."
    return said


def _columns(study: Study) -> list[int]:
    """Those that set the components apart, in the order of the data."""
    return [int(j) for j in discriminating_columns(study.mixture, MOST_COLUMNS)]


def _first(study: Study, columns: Sequence[int]) -> list[int]:
    """Places of the two columns that are shown first."""
    return (
        [0, 1]
        if len(columns) == 1
        else [columns.index(int(j)) for j in discriminating_columns(study.mixture, 2)]
    )


def _rows(study: Study) -> Labels:
    """All rows, or as many at random as there is room for."""
    n = len(study.X)
    each = 4 * max(2, min(study.X.shape[1], MOST_COLUMNS)) + 2 * study.mixture.n_components + 8
    most = min(MOST_ROWS, MOST_BYTES // each)
    return (
        np.arange(n)
        if n <= most
        else np.sort(np.random.default_rng(0).choice(n, most, replace=False))
    )


def _told(study: Study, rows: Labels, columns: Sequence[int]) -> dict[str, object]:
    """What ``live.js`` reads."""
    shares = study.memberships[rows]
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
    """Means and, for each pair of columns, what makes a circle the ellipse of each component; with
    one column its frames.
    """
    if len(columns) == 1:
        levels = canvas.frames(study.mixture, (0, 1))
        return {
            "centres": canvas.centres(study.mixture, (0, 1)).tolist(),
            "frames": [level.tolist() for level in levels],
        }
    return {
        "means": study.mixture.means[:, columns].tolist(),
        "radii": [radius(level) for level in canvas.LEVELS],
        "roots": _text(
            np.stack([_three(roots(study.mixture, pair)) for pair in combinations(columns, 2)])
            .astype("<f4")
            .tobytes()
        ),
    }


def _three(matrices: Array) -> Array:
    """Symmetric matrices (K, 2, 2) as the three numbers that make each."""
    return np.asarray(matrices[:, [0, 0, 1], [0, 1, 1]])


def _text(data: bytes) -> str:
    return b64encode(data).decode()
