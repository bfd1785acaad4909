"""The data of the lesson: the reader's choice, as a small description in each question of the page.

The description alone determines the rows. So the server keeps no state of the reader, and all parts
of the page use the same rows.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from mixtura.base.arrays import Array

KINDS = ("faithful", "blobs", "moons", "stretched")

FEWEST, MOST, MOST_ADDED = 20, 5000, 500
"""Limits on the number of rows, and on the number of points added by hand."""

LARGEST_DISTANCE = 10.0
"""Between the two blobs, in standard deviations."""


@dataclass(frozen=True)
class DataSet:
    """The reader's choice of data.

    Attributes
    ----------
    kind : str
        One of ``KINDS``.
    n : int
        Number of rows; at most 272 for Old Faithful.
    distance : float
        Between the means of the two blobs, in standard deviations.
    seed : int
    added : tuple of (float, float)
        Points added by hand, in the units of the data.
    """

    kind: str = "faithful"
    n: int = 272
    distance: float = 2.5
    seed: int = 1
    added: tuple[tuple[float, float], ...] = ()

    @property
    def names(self) -> tuple[str, str]:
        """The names of the two columns."""
        return ("eruptions", "waiting") if self.kind == "faithful" else ("x", "y")

    @property
    def rows(self) -> Array:
        """The data (n,2)."""
        return _rows(self)

    @property
    def csv(self) -> bytes:
        """The data as a CSV file with a header."""
        text = io.StringIO()
        np.savetxt(
            text, self.rows, delimiter=",", header=",".join(self.names), comments="", fmt="%.10g"
        )
        return text.getvalue().encode()


def data_set_of(described: Any) -> DataSet:
    """The choice in a description from the page; raise ValueError where it is wrong."""
    if not isinstance(described, dict) or described.get("kind") not in KINDS:
        raise ValueError(
            f"the kind of data must be one of {', '.join(KINDS)}, but got {described!r:.80}. "
            "Reload the page."
        )
    return DataSet(
        kind=described["kind"],
        n=int(number_of(described, "n", 272, FEWEST, MOST)),
        distance=number_of(described, "distance", 2.5, 0, LARGEST_DISTANCE),
        seed=int(number_of(described, "seed", 1, 0, 2**31)),
        added=_points_of(described.get("added", [])),
    )


def number_of(
    document: dict[str, Any], name: str, usual: float, least: float, most: float
) -> float:
    """A number from the page, within limits."""
    value = document.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(
            f"{name} must be a number from {least:g} to {most:g}, but got {value!r:.40}."
        )
    return float(value)


def _points_of(added: Any) -> tuple[tuple[float, float], ...]:
    if not isinstance(added, list) or len(added) > MOST_ADDED:
        raise ValueError(
            f"at most {MOST_ADDED} points can be added by hand, but got more. Remove some."
        )
    try:
        points = tuple((float(x), float(y)) for x, y in added)
    except (TypeError, ValueError):
        points = ((float("nan"), 0.0),)
    if not all(abs(value) < 1e6 for point in points for value in point):
        raise ValueError(
            "each added point must have two coordinates smaller than a million. Click inside the "
            "picture."
        )
    return points


# ---- the rows ------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _rows(chosen: DataSet) -> Array:
    rng = np.random.default_rng(chosen.seed)
    drawn = {"faithful": _faithful, "blobs": _blobs, "moons": _moons, "stretched": _stretched}[
        chosen.kind
    ](chosen, rng)
    rows = np.concatenate([drawn, np.array(chosen.added, dtype=np.float64).reshape(-1, 2)])
    rows.setflags(write=False)
    return rows


def _faithful(chosen: DataSet, rng: np.random.Generator) -> Array:
    """Durations of eruptions and waiting times to the next, in minutes (Azzalini & Bowman 1990)."""
    table = files("mixtura.learn").joinpath("lesson/old_faithful.csv").read_text(encoding="utf-8")
    rows = np.loadtxt(io.StringIO(table), delimiter=",", skiprows=1)
    return (
        rows
        if chosen.n >= len(rows)
        else rows[np.sort(rng.choice(len(rows), chosen.n, replace=False))]
    )


def _blobs(chosen: DataSet, rng: np.random.Generator) -> Array:
    """Two Gaussians, with three fifths and two fifths of the rows."""
    first = chosen.n * 3 // 5
    centres = np.repeat([[0.0, 0.0], [chosen.distance, 0.0]], [first, chosen.n - first], axis=0)
    return np.asarray(centres + rng.standard_normal((chosen.n, 2)))


def _moons(chosen: DataSet, rng: np.random.Generator) -> Array:
    """Two interlocking half circles."""
    angle = rng.uniform(0, np.pi, chosen.n)
    upper = np.arange(chosen.n) % 2 == 0
    x = np.where(upper, np.cos(angle), 1 - np.cos(angle))
    y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    return np.stack([x, y], axis=1) + 0.08 * rng.standard_normal((chosen.n, 2))


def _stretched(chosen: DataSet, rng: np.random.Generator) -> Array:
    """Three long, thin clusters side by side."""
    centres = np.array([[-2.0, 2.0], [0.0, 0.0], [2.0, -2.0]])[np.arange(chosen.n) % 3]
    long = np.array([[1.6, 1.4], [0.25, -0.3]])
    return np.asarray(centres + rng.standard_normal((chosen.n, 2)) @ long)
