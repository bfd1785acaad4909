"""What is known about the data before any fit: centre, scale, resolution, distinct rows. Made once,
shared by all fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Flags
from mixtura.base.memory import once_for_each
from mixtura.data.recorded_step import recorded_step, robust_variance
from mixtura.model.covariance import Spherical
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments, Scatter
from mixtura.model.protocols import Backend, Source
from mixtura.sources import ArraySource

COMPACT_FROM = 32
"""Components from which on it pays to bring rows that are near each other together, so that a block
is out of reach of most.
"""

COMPACT_ROWS = 20_000
COMPACT_BYTES = 2**28
"""Rows and bytes between which a copy in another order is made."""

SHARED_BY, SHARED_PART, SHARED_TIMES = 8.0, 0.05, 5.0
MOST_SHARED = 3
"""A value that so many rows share, this part of all rows, and so many times the usual number, may
be that of a group; so many are looked at."""

PROBED = 10_000
"""Draws of the rows from which the steps of recording and the scales of the floor are read, so that
not all rows are sorted.
"""

RESOLVED = 1e-12
"""Part of a column's robust variance below which a variance is rounding: a millionth of the
standard deviation.
"""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A source, the backend that reads it, and the facts that starts, floors and degeneracy rules
    need.

    Attributes
    ----------
    source : Source
    backend : Backend
    original : Dataset, optional
        The rows as they were recorded, where these are a resample or a part of them: scale, floor
        and effective size are theirs.
    """

    source: Source
    backend: Backend
    original: Dataset | None = None

    def source_for(self, K: int) -> Source:
        """The rows as a fit of K components reads them, over and over: in a compact order where
        that pays, else as they come.
        """
        n = self.source.n_rows
        if K < COMPACT_FROM or not COMPACT_ROWS <= n <= COMPACT_BYTES // (
            8 * self.source.n_features
        ):
            return self.source
        return self._compact

    @cached_property
    def _compact(self) -> Source:
        """The rows in a compact order."""
        return self.source.compact(np.sqrt(self.scale))

    @cached_property
    def reduced(self) -> Dataset | None:
        """The same data, read with fewer digits per product; None where that is not faster."""
        backend = self.backend.reduced(self.source)
        return None if backend is None else Dataset(self.source, backend, original=self)

    @cached_property
    def whole(self) -> Moments:
        """All rows as one component, about their mean, with the full scatter matrix."""
        first_row = next(self.source.blocks()).rows[:1].astype(np.float64)
        mean = self._about(first_row, Scatter.TRACE).means
        return self._about(mean, Scatter.DENSE)

    def _about(self, point: Array, kind: Scatter) -> Moments:
        """Moments of all rows about one point (1,d): an E-step with a single component has no
        choice.
        """
        unit = Spherical(np.ones(1), 1, self.source.n_features)
        return self.backend.moments(self.source, Mixture(np.ones(1), point, unit), kind)

    @cached_property
    def total(self) -> float:
        """Sum of the weights: the n of every criterion."""
        weights = [block.weights for block in self.source.blocks()]
        return (
            float(self.source.n_rows)
            if weights[0] is None
            else float(sum(own.sum() for own in weights if own is not None))
        )

    @cached_property
    def effective_size(self) -> float:
        """``(sum w)^2 / sum w^2``: how many equally weighted rows tell as much as these (Kish
        1965); n without weights.

        The weights of a resample are counts, and their spread is not that of the design of a
        survey: it has that of its original.
        """
        if self.original is not None:
            return self.original.effective_size
        squares = 0.0
        for block in self.source.blocks():
            if block.weights is None:
                return self.total
            squares += float(np.square(block.weights / self.total).sum())
        return 1.0 / squares

    @cached_property
    def row_weight(self) -> float:
        """Mean weight of a row where it is below one, else one: the unit of tolerances on the total
        log-likelihood.
        """
        return min(1.0, self.total / self.source.n_rows)

    @cached_property
    def mean(self) -> Array:
        """(d,)."""
        return np.asarray(self.whole.means[0])

    @cached_property
    def covariance(self) -> Array:
        """Maximum-likelihood covariance of all rows (d,d)."""
        return np.asarray(self.whole.scatter[0] / self.total)

    @cached_property
    def variances(self) -> Array:
        """Variances of the columns (d,), 0 for a constant column."""
        return np.diag(self.covariance).copy()

    @cached_property
    def scale(self) -> Array:
        """Positive variances to measure by (d,): a constant column borrows the largest of the
        others.
        """
        if self.original is not None:
            return self.original.scale
        return np.where(self.variances > 0, self.variances, self.variances.max() or 1.0)

    @cached_property
    def steps(self) -> Array:
        """The step in which each column was recorded (d,); 0 where values do not repeat."""
        return np.array([recorded_step(column, weights) for column, weights in self._probe_columns])

    @cached_property
    def floor(self) -> Array:
        """Variances (d,) below which a component would describe rounding: ``h^2 / 12`` of a step h,
        and a part of the scale.
        """
        if self.original is not None:
            return self.original.floor
        robust = [
            robust_variance(column, weights, variance)
            for (column, weights), variance in zip(self._probe_columns, self.scale, strict=True)
        ]
        return np.asarray(self.steps**2 / 12.0 + RESOLVED * np.array(robust))

    @cached_property
    def shared_values(self) -> tuple[Flags, ...]:
        """Rows (n,) that share one value of a column exactly, where far more do than share a usual
        one; largest group first.
        """
        blocks = list(self.source.blocks())
        rows = np.concatenate([block.rows for block in blocks])
        given = [block.weights for block in blocks if block.weights is not None]
        weights = np.concatenate(given) / self.row_weight if given else np.ones(len(rows))
        groups: dict[bytes, tuple[float, Flags]] = {}
        for column in rows.T:
            _, places = np.unique(column, return_inverse=True)
            counts = np.bincount(places, weights)
            many = max(
                SHARED_BY, SHARED_PART * counts.sum(), SHARED_TIMES * float(np.median(counts))
            )
            for value in np.flatnonzero(counts >= many):
                held = places == value
                if not held.all():
                    groups.setdefault(held.tobytes(), (float(counts[value]), held))
        ranked = sorted(groups.values(), key=lambda group: -group[0])
        return tuple(held for _, held in ranked[:MOST_SHARED])

    @property
    def _probe_columns(self) -> list[tuple[Array, Array | None]]:
        """Columns of the probe rows (m,) with their weights, a row that counts once weighing
        one.
        """
        blocks = list(self.probe.blocks())
        rows = np.concatenate([block.rows for block in blocks]).astype(np.float64)
        given = [block.weights for block in blocks if block.weights is not None]
        weights = np.concatenate(given) / self.row_weight if given else None
        return [(column, weights) for column in rows.T]

    @cached_property
    def distinct(self) -> Source:
        """Each distinct row once."""
        return self.source.distinct()

    # ---- a sample of many rows -------------------------------------------------------------------

    @cached_property
    def probe(self) -> Source:
        """Some of the rows, drawn by weight; all of them where they are few."""
        if self.source.n_rows <= PROBED:
            return self.source
        return self.source.sample(PROBED, np.random.default_rng(0))

    def has_distinct(self, k: int) -> bool:
        """Whether there are at least k distinct rows."""
        return self._at_least_distinct >= k or self.distinct.n_rows >= k

    @cached_property
    def _at_least_distinct(self) -> int:
        """Distinct rows among those of the probe."""
        return self.probe.distinct().n_rows

    def part(self, rows: Array, weights: Array) -> Dataset:
        """Rows (m,d) with weights (m,) as data of their own, measured by the scale of these."""
        return Dataset(
            ArraySource(np.ascontiguousarray(rows), weights), self.backend, original=self
        )

    def sampled(self, m: int, seed: np.random.SeedSequence) -> Dataset:
        """m draws of the rows by weight as data of their own, made once for each seed."""
        return _sampled(self, m, seed.entropy, seed.spawn_key)


@once_for_each
def _sampled(dataset: Dataset, m: int, entropy: Any, spawn_key: tuple[int, ...]) -> Dataset:
    """See :meth:`Dataset.sampled`."""
    rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=spawn_key))
    return Dataset(dataset.source.sample(m, rng), dataset.backend)
