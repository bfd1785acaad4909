"""The rows of another source with other weights: a resample without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mixtura.base.arrays import Array
from mixtura.model.protocols import Block, Source
from mixtura.sources.array import ArraySource
from mixtura.sources.drawn import drawn


class Reweighted:
    """The rows of ``source`` with ``weights (n,)`` in place of its own; a weight of 0 leaves a row
    out.

    Resolution and distinct rows are those of the source: whoever needs those of the rows present
    must say so.
    """

    def __init__(self, source: Source, weights: Array) -> None:
        self.source = source
        self.weights = weights

    @property
    def n_features(self) -> int:
        """d."""
        return self.source.n_features

    @property
    def n_rows(self) -> int:
        """Number of rows, whatever they weigh."""
        return self.source.n_rows

    @property
    def is_complete(self) -> bool:
        """That of the source."""
        return self.source.is_complete

    def blocks(self) -> Iterator[Block]:
        """All rows, once, in order."""
        for block in self.source.blocks():
            weights = self.weights[block.offset : block.offset + len(block.rows)]
            yield replace(block, weights=weights)

    def sample(self, m: int, rng: np.random.Generator) -> Source:
        """m draws of rows by these weights; see :func:`mixtura.sources.drawn.drawn`."""
        return ArraySource(*drawn(self, m, rng))

    def distinct(self) -> Source:
        """Of the source."""
        return self.source.distinct()

    def compact(self, units: Array) -> Source:
        """As it is: weights go with the order of the source."""
        return self
