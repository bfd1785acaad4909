"""The starts of a search: one of each kind, and those that are drawn where these do not agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import TypeAlias

import numpy as np

from mixtura.base.errors import DataError
from mixtura.data.dataset import Dataset
from mixtura.em.em import Start
from mixtura.initialise.initialisers import (
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
    initialisers: Sequence[Initialiser], dataset: Dataset, K: int, seed: np.random.SeedSequence
) -> list[NamedStart]:
    """One start from each initialiser, each with a generator of its own; one component needs no
    start but the whole data.

    Raises
    ------
    DataError
        When none of them can start K components; one that cannot, such as a tree with fewer leaves,
        is left out.
    """
    if K == 1:
        return [("all rows", dataset.whole)]
    known = _of_known_classes(dataset, K)
    return known + _drawn(
        list(zip(initialisers, seed.spawn(len(initialisers)), strict=True)), dataset, K
    )


def starts_in_turn(
    initialisers: Sequence[Initialiser], dataset: Dataset, K: int, seed: np.random.SeedSequence
) -> tuple[list[NamedStart], Callable[[], list[NamedStart]]]:
    """The first few of :func:`named_starts`, and what draws the others."""
    if K == 1:
        return [("all rows", dataset.whole)], list
    kinds = list(zip(initialisers, seed.spawn(len(initialisers)), strict=True))

    def others() -> list[NamedStart]:
        with suppress(DataError):
            return _drawn(kinds[FIRST_STARTS:], dataset, K)
        return []

    known = _of_known_classes(dataset, K)
    try:
        return known + _drawn(kinds[:FIRST_STARTS], dataset, K), cache(others)
    except DataError:
        return known + _drawn(kinds, dataset, K), list


def _of_known_classes(dataset: Dataset, K: int) -> list[NamedStart]:
    """The moments of the labelled rows alone, where each component is a class."""
    if dataset.n_classes != K:
        return []
    labels = np.full(dataset.source.n_rows, -1, dtype=np.intp)
    for rows in dataset.labelled:
        labels[rows.numbers] = rows.classes.argmax(axis=1)
    return [("known classes", moments_of_labels(dataset.completed, K, labels))]


def _drawn(
    kinds: Sequence[tuple[Initialiser, np.random.SeedSequence]], dataset: Dataset, K: int
) -> list[NamedStart]:
    """The starts of those kinds that can start K components; DataError where none can.

    They are drawn from the expected rows where rows are incomplete.
    """
    dataset = dataset.completed
    starts: list[NamedStart] = []
    refusal: DataError | None = None
    for draw, seed in kinds:
        try:
            starts.append((draw.name, draw(dataset, K, np.random.default_rng(seed))))
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
