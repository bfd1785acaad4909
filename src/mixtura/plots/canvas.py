"""The data for the scatter module (``web/static/scatter.js``): columns scaled to 0 to 1,
memberships, colours, ellipses.

The explorer, the report and the notebook widget use the same functions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.distribution.mixture import Mixture
from mixtura.model.outlines import intervals, outlines
from mixtura.plots import LEVELS, component_colours
from mixtura.plots.region_lines import region_boxes, region_lines
from mixtura.plots.style import share_name

MODULE = Path(__file__).parents[1] / "web" / "static" / "scatter.js"
"""The file of the scatter module."""

SPREAD = "spread at random"
"""Name of the second axis of a table with one column, which only separates the points."""

REGIONS = (0.5, 0.8, 0.95)
"""Probabilities of the highest-density regions."""

Axis = dict[str, Any]


def axis(name: str, values: Array) -> tuple[bytes, Axis]:
    """A column scaled to 0 (its smallest value) to 1 (its largest), n float32, with its limits.

    After scaling, 32 bits are enough for any offset. NaN is missing.

    Examples
    --------
    >>> data, limits = axis("height", np.array([1e9 + 1, 1e9, 1e9 + 4]))
    >>> np.frombuffer(data, "<f4").tolist(), limits["high"] - limits["low"]
    ([0.25, 0.0, 1.0], 4.0)
    """
    low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
    high = high if high > low else low + 1.0
    return bytes(((values - low) / (high - low)).astype("<f4").tobytes()), {
        "name": name,
        "low": low,
        "high": high,
    }


def spread(n: int) -> tuple[bytes, Axis]:
    """The second axis of ``n`` rows with one column."""
    places = np.random.default_rng(0).uniform(0.1, 0.9, n)
    return bytes(places.astype("<f4").tobytes()), {"name": SPREAD, "low": 0.0, "high": 1.0}


def colours(n_components: int) -> list[list[int]]:
    """The colours of the components as in all pictures, 0 to 255."""
    return [
        [int(value) for value in row] for row in np.rint(255.0 * component_colours(n_components))
    ]


def certainty(memberships: Array) -> bytes:
    """The largest membership of each row, n float32."""
    return bytes(memberships.max(axis=1).astype("<f4").tobytes())


def hues(memberships: Array) -> bytes:
    """Memberships in 255ths (n, K), to compute colours."""
    return bytes(np.rint(255.0 * memberships).astype(np.uint8).tobytes())


def shares(memberships: Array) -> bytes:
    """Memberships in 65535ths (n, K), to show as numbers."""
    return bytes(np.rint(65535.0 * memberships).astype("<u2").tobytes())


def centres(mixture: Mixture, columns: tuple[int, int]) -> Array:
    """The places of the means (K, 2); with one column at half height."""
    if mixture.n_features == 1:
        return np.stack([mixture.means[:, 0], np.full(mixture.n_components, 0.5)], axis=1)
    return np.asarray(mixture.means[:, list(columns)])


def frames(mixture: Mixture, columns: tuple[int, int]) -> list[Array]:
    """The ellipses of all components, level by level; with one column boxes around the intervals
    with the same probability.
    """
    if mixture.n_features == 1:
        return [_boxes(intervals(mixture, 0, level)) for level in LEVELS]
    return [outlines(mixture, columns, level) for level in LEVELS]


def regions(mixture: Mixture, columns: tuple[int, int]) -> list[dict[str, Any]]:
    """The borders of the highest-density regions, each with its probability in words."""
    if mixture.n_features == 1:
        borders = [
            list(_boxes(ends, 0.1 - 0.04 * place))  # so that labels are not over each other
            for place, ends in enumerate(region_boxes(mixture, REGIONS))
        ]
    else:
        borders = region_lines(mixture, columns, REGIONS)
    return [
        {"label": share_name(level), "lines": [line.tolist() for line in lines]}
        for level, lines in zip(REGIONS, borders, strict=True)
    ]


def _boxes(ranges: Array, foot: float = 0.05) -> Array:
    low, high = foot, 1.0 - foot
    return np.array([[[a, low], [b, low], [b, high], [a, high], [a, low]] for a, b in ranges])
