"""The rows of another source without what is known of their classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mixtura.base.arrays import Array
from mixtura.model.protocols import Block, Source
from mixtura.sources.array import ArraySource
from mixtura.sources.drawn import drawn


class Unlabelled:
    """The rows and weights of ``source``, of which no class is known."""

    def __init__(self, source: Source) -> None:
        self.source = source

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
        """Whether every entry is observed, and without error."""
        return all(block.observation is None for block in self.blocks())

    def blocks(self) -> Iterator[Block]:
        """All rows, once, in order."""
        for block in self.source.blocks():
            seen = block.observation
            yield replace(block, observation=None if seen is None else seen.without_classes())

    def sample(self, m: int, rng: np.random.Generator) -> Source:
        """m draws of rows by weight; see :func:`mixtura.sources.drawn.drawn`."""
        return ArraySource(*drawn(self, m, rng))

    def distinct(self) -> Source:
        """Of the source."""
        return self.source.distinct()

    def compact(self, units: Array) -> Source:
        """As it is."""
        return self
