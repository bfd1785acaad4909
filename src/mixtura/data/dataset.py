"""The rows of a fit with their scale, floor and distinct rows, computed once for all fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.memory import once_for_each
from mixtura.base.scatter import Scatter
from mixtura.data.incomplete import LEAST_VARIANCE, completed_under, moments_of_all
from mixtura.data.recorded_step import recorded_step, robust_variance
from mixtura.distribution.covariance import Dense, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.model.moments import Moments
from mixtura.model.protocols import Backend, Block, Source
from mixtura.sources import ArraySource, Unlabelled

COMPACT_FROM, COMPACT_ROWS, COMPACT_BYTES = 32, 20_000, 2**28
"""From so many components on, the rows are copied into an order in which neighbours are together,
so that the kernels can skip components that are far from a block (docs/decisions/0012). Only where
there are at least so many rows, and at most so many bytes.
"""

SHARED_ROWS, SHARED_PART, SHARED_TIMES, MOST_SHARED = 8.0, 0.05, 5.0, 3
"""A value of a column may be that of a group where at least so many rows have it, this part of all
rows, and this many times the median number of rows per value. Groups are at most so many.
"""

PROBE_ROWS = 10_000
"""Rows from which the recorded steps and the scale of the floor are computed, so that not all rows
are sorted.
"""

RELATIVE_FLOOR = 1e-12
"""Floor as a part of a column's robust variance: a millionth of the standard deviation."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A source of rows with a backend, and the statistics of the rows that all fits use.

    Attributes
    ----------
    source : Source
    backend : Backend
    original : Dataset, optional
        The dataset of which this is a resample or a part, with the same scale, floor and effective
        size.
    """

    source: Source
    backend: Backend
    original: Dataset | None = None

    def source_for(self, K: int) -> Source:
        """The rows for fits of K components: with neighbours together where that is faster."""
        n = self.source.n_rows
        if K < COMPACT_FROM or not COMPACT_ROWS <= n <= COMPACT_BYTES // (
            8 * self.source.n_features
        ):
            return self.source
        return self._compact

    @cached_property
    def _compact(self) -> Source:
        """The rows with neighbours together."""
        return self.source.compact(np.sqrt(self.scale))

    @cached_property
    def reduced(self) -> Dataset | None:
        """The same data with float32 products; None where that is not faster."""
        backend = self.backend.reduced(self.source)
        return None if backend is None else Dataset(self.source, backend, original=self)

    @cached_property
    def whole(self) -> Moments:
        """All rows as one component, about their mean, with the full scatter matrix."""
        if self.n_classes:
            return self.unlabelled.whole
        if not self.source.is_complete:
            return moments_of_all(self.source, self.backend)
        first_row = next(self.source.blocks()).rows[:1].astype(np.float64)
        mean = self._about(first_row, Scatter.TRACE).means
        return self._about(mean, Scatter.DENSE)

    @cached_property
    def completed(self) -> Dataset:
        """The expected rows under one Gaussian, for starts; itself where rows are complete."""
        if self.n_classes:
            return self.unlabelled.completed
        if self.source.is_complete:
            return self
        covariance = self.covariance + np.diag(self.floor + LEAST_VARIANCE * self.scale)
        gaussian = Mixture(np.ones(1), self.mean[None], Dense(covariance[None], 1))
        return self.completed_under(gaussian)

    def completed_under(self, mixture: Mixture) -> Dataset:
        """The expected rows under a mixture; itself where rows are complete."""
        if self.source.is_complete:
            return self
        source = completed_under(self.source, self.backend, mixture)
        return Dataset(source, self.backend, original=self)

    def _about(self, point: Array, kind: Scatter) -> Moments:
        """Moments of all rows about one point (1,d): the E-step of a single component."""
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
        """Effective sample size ``(sum w)^2 / sum w^2`` (Kish 1965); n without weights.

        A resample has that of its original, since its weights are counts of draws.
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
        """Mean weight of a row, at most one: the unit of tolerances on the log-likelihood."""
        return min(1.0, self.total / self.source.n_rows)

    @cached_property
    def mean(self) -> Array:
        """Mean of all rows (d,)."""
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
        """Variances as units (d,), all positive: a constant column has that of the widest one."""
        if self.original is not None:
            return self.original.scale
        return np.where(self.variances > 0, self.variances, self.variances.max() or 1.0)

    @cached_property
    def steps(self) -> Array:
        """The recorded step of each column (d,); 0 where values do not repeat."""
        return np.array([recorded_step(column, weights) for column, weights in self._probe_columns])

    @cached_property
    def floor(self) -> Array:
        """Lower bounds of the variances (d,), the variances of rounding.

        ``h^2 / 12`` of a recorded step h, plus a small part of the robust variance.
        """
        if self.original is not None:
            return self.original.floor
        robust = [
            robust_variance(column, weights, variance)
            for (column, weights), variance in zip(self._probe_columns, self.scale, strict=True)
        ]
        return np.asarray(self.steps**2 / 12.0 + RELATIVE_FLOOR * np.array(robust))

    @cached_property
    def shared_values(self) -> tuple[Flags, ...]:
        """Groups of rows (n,) with one value of a column that is unusually frequent.

        The largest group comes first.
        """
        blocks = list(self.source.blocks())
        rows = np.concatenate([block.rows for block in blocks])
        given = [block.weights for block in blocks if block.weights is not None]
        weights = np.concatenate(given) / self.row_weight if given else np.ones(len(rows))
        groups: dict[bytes, tuple[float, Flags]] = {}
        for column in rows.T:
            _, places = np.unique(column, return_inverse=True)
            counts = np.bincount(places, np.where(np.isnan(column), 0.0, weights))
            many = max(
                SHARED_ROWS, SHARED_PART * counts.sum(), SHARED_TIMES * float(np.median(counts))
            )
            for value in np.flatnonzero(counts >= many):
                group = places == value
                if not group.all():
                    groups.setdefault(group.tobytes(), (float(counts[value]), group))
        ranked = sorted(groups.values(), key=lambda group: -group[0])
        return tuple(group for _, group in ranked[:MOST_SHARED])

    # ---- known classes ---------------------------------------------------------------------------

    @cached_property
    def n_classes(self) -> int:
        """Number of classes of which rows are known; 0 without labels."""
        observation = next(self.source.blocks()).observation
        return 0 if observation is None else observation.n_classes

    @cached_property
    def unlabelled(self) -> Dataset:
        """The same rows, of which no class is known."""
        return Dataset(Unlabelled(self.source), self.backend, original=self)

    @cached_property
    def labelled(self) -> tuple[LabelledRows, ...]:
        """The rows of which a class is known."""
        found = []
        for block in self.source.blocks():
            observation = block.observation
            if observation is None or observation.classes is None:
                continue
            places = np.flatnonzero(observation.is_labelled)
            own = block.take(places)
            assert own.observation is not None
            classes = observation.classes[own.observation.numbers]
            plain = replace(own, observation=own.observation.without_classes())
            found.append(LabelledRows(plain, classes, block.offset + places))
        return tuple(found)

    @property
    def _probe_columns(self) -> list[tuple[Array, Array | None]]:
        """Observed entries (m,) of the probe rows with their weights in units of a row's weight."""
        blocks = list(self.probe.blocks())
        rows = np.concatenate([block.rows for block in blocks]).astype(np.float64)
        given = [block.weights for block in blocks if block.weights is not None]
        weights = np.concatenate(given) / self.row_weight if given else np.ones(len(rows))
        seen = ~np.isnan(rows)
        return [
            (column[own], weights[own] if given else None)
            for column, own in zip(rows.T, seen.T, strict=True)
        ]

    @cached_property
    def distinct(self) -> Source:
        """Each distinct row once."""
        return self.source.distinct()

    # ---- a sample of many rows -------------------------------------------------------------------

    @cached_property
    def probe(self) -> Source:
        """Probe rows, drawn by weight; all rows where they are few."""
        if self.source.n_rows <= PROBE_ROWS:
            return self.source
        return self.source.sample(PROBE_ROWS, np.random.default_rng(0))

    def has_distinct(self, k: int) -> bool:
        """Whether there are at least k distinct rows."""
        return self._at_least_distinct >= k or self.distinct.n_rows >= k

    @cached_property
    def _at_least_distinct(self) -> int:
        """Number of distinct probe rows."""
        return self.probe.distinct().n_rows

    def part(self, rows: Array, weights: Array) -> Dataset:
        """Some rows (m,d) with weights (m,) as a dataset, in the units of this one."""
        return Dataset(
            ArraySource(np.ascontiguousarray(rows), weights), self.backend, original=self
        )

    def sampled(self, m: int, seed: np.random.SeedSequence) -> Dataset:
        """m rows drawn by weight as a dataset, drawn once for each seed."""
        return _sampled(self, m, seed.entropy, seed.spawn_key)


class LabelledRows(NamedTuple):
    """Rows without their labels, the probabilities of their classes (m,C), their numbers (m,)."""

    block: Block
    classes: Array
    numbers: Labels


@once_for_each
def _sampled(dataset: Dataset, m: int, entropy: Any, spawn_key: tuple[int, ...]) -> Dataset:
    """See :meth:`Dataset.sampled`."""
    rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=spawn_key))
    return Dataset(dataset.source.sample(m, rng), dataset.backend)
