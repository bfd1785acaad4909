"""Rows in memory or in a memory map, without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Rows
from mixtura.kernels import built, native
from mixtura.model.observation import Observation
from mixtura.model.protocols import Block
from mixtura.sources.drawn import drawn

ROWS_PER_COPY = 65536
"""Rows copied at a time when the array is not laid out row by row in the machine's byte order."""

ROWS_TOGETHER = 64
"""Rows of a leaf of the tree that orders rows: those of the shortest block of the kernels."""


class ArraySource:
    """An array ``X (n,d)`` of float64 or float32 with optional frequencies ``weights (n,)``.

    A C-contiguous array in native byte order is one block without a copy; any other layout is
    copied piece by piece. Where entries are missing or have errors, there is an ``observation`` of
    the rows.
    """

    def __init__(
        self, X: Rows, weights: Array | None = None, observation: Observation | None = None
    ) -> None:
        self.X = X
        self.weights = weights
        self.observation = observation

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.X.shape[1])

    @property
    def n_rows(self) -> int:
        """Number of rows, whatever they weigh."""
        return int(self.X.shape[0])

    @property
    def is_complete(self) -> bool:
        """Whether every entry is observed, and without error."""
        return self.observation is None

    def blocks(self) -> Iterator[Block]:
        """All rows, once, in order."""
        native = self.X.dtype.newbyteorder("=")
        whole = Block(self.X, self.weights, 0, self.observation)
        if self.X.flags.c_contiguous and self.X.dtype.isnative:
            yield whole
            return
        for part in whole.cut(ROWS_PER_COPY):
            rows: Any = np.ascontiguousarray(part.rows, dtype=native)
            yield replace(part, rows=rows)

    def sample(self, m: int, rng: np.random.Generator) -> ArraySource:
        """m draws of rows by weight; see :func:`mixtura.sources.drawn.drawn`."""
        return ArraySource(*drawn(self, m, rng))

    def distinct(self) -> ArraySource:
        """Each distinct row once, whatever it weighs."""
        X = self.X
        if any(_all_distinct(column) for column in X.T):
            return ArraySource(X)
        order = np.lexsort(X.T)
        first = np.zeros(len(X), dtype=bool)
        first[0] = True
        for column in X.T:
            ordered = column[order]
            first[1:] |= ordered[1:] != ordered[:-1]
        return ArraySource(X[order[first]])

    def compact(self, units: Array) -> ArraySource:
        """A copy in the order of a k-d tree's leaves; itself without the native kernels, which
        alone know what to do with it.
        """
        if (
            not built
            or not self.is_complete
            or not self.X.flags.c_contiguous
            or not self.X.dtype.isnative
        ):
            return self
        order = np.empty(len(self.X), dtype=np.int64)
        native.compact_order(
            self.X, np.ascontiguousarray(units, dtype=np.float64), ROWS_TOGETHER, order
        )
        return ArraySource(self.X[order], None if self.weights is None else self.weights[order])


def _all_distinct(column: Rows) -> bool:
    """Whether no value of a column repeats."""
    ordered = np.sort(column)
    return bool((ordered[1:] != ordered[:-1]).all())
