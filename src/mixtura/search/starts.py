"""The starts of a search: one of each kind, and those that are drawn where these do not agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np

from mixtura.base.arrays import Flags
from mixtura.base.errors import DataError
from mixtura.data.dataset import Dataset
from mixtura.em.em import Start
from mixtura.initialise.initialisers import (
    GivenForRows,
    Hierarchical,
    Initialiser,
    KMeansPlusPlus,
    KMeansStart,
    RandomMeans,
    RandomRows,
    SharedValues,
    SmallGroup,
    moments_of_labels,
)
from mixtura.initialise.noise_rows import NoiseStart
from mixtura.model.moments import Moments

DEFAULT_STARTS: tuple[Initialiser, ...] = (
    KMeansStart("standardised"),
    Hierarchical("VVV", "SVD"),
    KMeansStart("whitened"),
    SharedValues(),
    SmallGroup("standardised"),
    RandomMeans(),
    RandomRows("standardised"),
    KMeansPlusPlus("whitened"),
    Hierarchical("VVV", "STD"),
    SmallGroup("whitened"),
    RandomMeans(),
    RandomRows("whitened"),
)
"""Kinds of start that fail on different data: k-means on stretched clusters, whitening on round
ones, trees on large overlap; only small groups and shared values lead to rare clusters and to rows
with one value exactly."""

FIRST_STARTS = 7
"""Kinds of start that are drawn first, one of each kind: the others only where these do not
agree.
"""

ALSO_EVERYWHERE = 2
"""Kinds of start that are drawn from all rows, too, where rows beside the noise were found."""

NamedStart: TypeAlias = tuple[str, Start]
"""A start, and what it is called."""


def usual_starts(n: int | None = None) -> list[Initialiser]:
    """The default kinds of start, or n of them in turn; those without chance come once."""
    if n is None:
        return list(DEFAULT_STARTS)
    drawn = [kind for kind in DEFAULT_STARTS if not isinstance(kind, Hierarchical | SharedValues)]
    further = max(0, n - len(DEFAULT_STARTS))
    return [*DEFAULT_STARTS[:n], *(drawn[i % len(drawn)] for i in range(further))]


def named_starts(
    initialisers: Sequence[Initialiser],
    dataset: Dataset,
    K: int,
    seed: np.random.SeedSequence,
    noise: NoiseStart | None = None,
) -> list[NamedStart]:
    """One start from each initialiser, each with a generator of its own; one component needs no
    start but the whole data. With ``noise`` the components start from the rows that are not noise.

    Raises
    ------
    DataError
        When none of them can start K components; one that cannot, such as a tree with fewer leaves,
        is left out.
    """
    if K == 1:
        return of_one_component(dataset, noise)
    kinds = list(zip(initialisers, seed.spawn(len(initialisers)), strict=True))
    return _of_known_classes(dataset, K, noise) + _drawn(kinds, dataset, K, noise)


def of_one_component(dataset: Dataset, noise: NoiseStart | None) -> list[NamedStart]:
    """The starts of one component: all rows, or the rows that are not noise."""
    if noise is None:
        return [("all rows", dataset.whole)]
    rows = dataset.completed
    groups = noise.groups(rows)
    weight = noise.weight(groups, dataset.row_weight)
    starts: list[NamedStart] = [("all rows", dataset.whole.with_noise(weight))]
    if groups.dataset.has_distinct(2):
        beside = groups.dataset.whole * groups.size
        starts.insert(0, ("rows beside noise", beside.with_noise(weight)))
    return starts


def starts_in_turn(
    initialisers: Sequence[Initialiser],
    dataset: Dataset,
    K: int,
    seed: np.random.SeedSequence,
    noise: NoiseStart | None = None,
) -> tuple[list[NamedStart], Callable[[], list[NamedStart]]]:
    """The first few of :func:`named_starts`, and what draws the others."""
    if K == 1:
        return of_one_component(dataset, noise), list
    kinds = list(zip(initialisers, seed.spawn(len(initialisers)), strict=True))

    def others() -> list[NamedStart]:
        with suppress(DataError):
            return _drawn(kinds[FIRST_STARTS:], dataset, K, noise)
        return []

    known = _of_known_classes(dataset, K, noise)
    try:
        return known + _drawn(kinds[:FIRST_STARTS], dataset, K, noise), cache(others)
    except DataError:
        return known + _drawn(kinds, dataset, K, noise), list


def _of_known_classes(dataset: Dataset, K: int, noise: NoiseStart | None) -> list[NamedStart]:
    """The moments of the labelled rows alone, where each component is a class."""
    if dataset.n_classes != K:
        return []
    labels = np.full(dataset.source.n_rows, -1, dtype=np.intp)
    for rows in dataset.labelled:
        labels[rows.numbers] = rows.classes.argmax(axis=1)
    start = moments_of_labels(dataset.completed, K, labels)
    if noise is not None:
        start = start.with_noise(noise.weight(noise.groups(dataset.completed), dataset.row_weight))
    return [("known classes", start)]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows that starts are drawn from: which of all (n,), or all; the weight of the noise, and how
    many times as many all rows are.
    """

    dataset: Dataset
    kept: Flags | None = None
    noise: float = 0.0
    size: float = 1.0

    def start(self, draw: Initialiser, K: int, seed: np.random.SeedSequence) -> Moments:
        """A start for these rows."""
        if self.kept is not None and isinstance(draw, GivenForRows):
            draw = draw.take(self.kept)
        start = draw(self.dataset, K, np.random.default_rng(seed))
        start = start if self.size == 1.0 else start * self.size
        return start.with_noise(self.noise) if self.noise else start


def _drawn(
    kinds: Sequence[tuple[Initialiser, np.random.SeedSequence]],
    dataset: Dataset,
    K: int,
    noise: NoiseStart | None,
) -> list[NamedStart]:
    """The starts of those kinds that can start K components; DataError where none can.

    They are drawn from the expected rows where rows are incomplete, and with noise from the rows
    that are not noise, where these are enough.
    """
    everywhere = _Rows(dataset.completed)
    drawn_from = [(draw, seed, everywhere) for draw, seed in kinds]
    if noise is not None:
        groups = noise.groups(everywhere.dataset)
        everywhere = _Rows(dataset.completed, noise=dataset.row_weight)
        if groups.dataset.has_distinct(K + 1):
            weight = noise.weight(groups, dataset.row_weight)
            beside = _Rows(groups.dataset, groups.kept, weight, groups.size)
            given = replace(everywhere, noise=weight) if groups.kept is None else beside
            drawn_from = [
                (draw, seed, given if isinstance(draw, GivenForRows) else beside)
                for draw, seed in kinds
            ]
            if noise.given is None:  # a sparse group may have been taken for noise
                drawn_from += [(draw, seed, everywhere) for draw, seed in kinds[:ALSO_EVERYWHERE]]
        else:
            drawn_from = [(draw, seed, everywhere) for draw, seed in kinds]
    starts: list[NamedStart] = []
    refusal: DataError | None = None
    for draw, seed, rows in drawn_from:
        try:
            starts.append((draw.name, rows.start(draw, K, seed)))
        except DataError as error:
            refusal = error
    if refusal is not None and not starts:
        raise refusal
    return starts


def draw_starts(
    initialisers: Sequence[Initialiser], dataset: Dataset, K: int, seed: np.random.SeedSequence
) -> list[Start]:
    """:func:`named_starts` without their names."""
    return [start for _, start in named_starts(initialisers, dataset, K, seed)]
