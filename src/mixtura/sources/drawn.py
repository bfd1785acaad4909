"""Rows drawn by weight, in their order: a sample of a source that is spread over all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.model.observation import Observation
from mixtura.model.protocols import Block, Source

WEIGHTS_AT_ONCE = 65536
"""Weights whose running sums exist at one time."""


def drawn(
    source: Source, m: int, rng: np.random.Generator
) -> tuple[Rows, Array | None, Observation | None]:
    """m draws of rows by weight, one from each m-th part of the total weight; how often each row
    came, None where always once; and how the rows were observed.

    Law: row i comes ``m w_i / sum w`` times in expectation, so a weight of 2 is a repeated row.
    Because each draw has a part of the file to itself, sorted rows are represented better than by
    independent draws (stratified sampling; Cochran 1977, chapter 5A). A row whose weight is less
    than an m-th of the total comes at most twice.
    """
    ends = np.cumsum([_mass(part) for part in _parts(source)])
    points = (np.arange(m) + rng.random(m)) * (ends[-1] / m)
    cuts = np.searchsorted(points, ends)
    cuts[-1] = m
    taken: list[Block] = []
    copies: list[Labels] = []
    first, begin = 0, 0.0
    for part, last, end in zip(_parts(source), cuts, ends, strict=True):
        if last > first:
            places, times = np.unique(_places(part, points[first:last] - begin), return_counts=True)
            taken.append(part.take(places))
            copies.append(times)
        first, begin = last, end
    counts = np.concatenate(copies)
    together: Any = np.concatenate([part.rows for part in taken])
    often = counts.astype(np.float64) if (counts > 1).any() else None
    return together, often, Observation.joined([part.observation for part in taken])


def _parts(source: Source) -> Iterator[Block]:
    """Blocks, cut where there are weights to be summed."""
    for block in source.blocks():
        if block.weights is None:
            yield block
        else:
            yield from block.cut(WEIGHTS_AT_ONCE)


def _mass(part: Block) -> float:
    return float(len(part.rows) if part.weights is None else part.weights.sum())


def _places(part: Block, points: Array) -> Labels:
    """The rows of a part in which points between 0 and its weight lie."""
    if part.weights is None:
        return np.asarray(np.clip(points.astype(np.intp), 0, len(part.rows) - 1))
    places = np.searchsorted(np.cumsum(part.weights), points, side="right")
    return np.asarray(np.minimum(places, np.flatnonzero(part.weights)[-1]))
