"""Where a search begins: which starts, and on which rows, all of them or a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import ceil

import numpy as np

from mixtura.data.dataset import Dataset
from mixtura.initialise.initialisers import (
    DiscriminantKMeans,
    Hierarchical,
    Initialiser,
    KMeansStart,
)
from mixtura.initialise.noise_rows import NoiseStart
from mixtura.search.local_search import are_many
from mixtura.search.starts import NamedStart, named_starts, starts_in_turn
from mixtura.search.swaps import rows_enough

FEWEST_ROWS, ROWS_PER_PARAMETER = 2_500, 10
"""Rows of a sample at least: in all, and for each parameter of full covariances. With fewer its
optima are its own: on 30,000 x 32 and three groups 2 apart the best of 7,500 rows led to an optimum
960 below that of scikit-learn.
"""

RARE, LARGEST_PART = 1e-3, 4
"""A sample has so many rows that a component of this weight expects d + 1 of them, the number that
a full covariance needs, unless that is more than one row in four.
"""

WORTH_A_SAMPLE = 3
"""Rows are sampled where there are at least this many times as many."""

WORTH_A_LARGER_SAMPLE = 2
"""The rows on which swaps are judged are a sample where there are this many times as many."""

MANY_STARTS: tuple[Initialiser, ...] = (DiscriminantKMeans(),)
"""Starts of many components, which are swapped afterwards: k-means, and k-means in the space in
which its clusters lie farthest apart.
"""

LARGE = 1_000_000
ONE_START: tuple[Initialiser, ...] = (KMeansStart("standardised"),)
"""Many components begin at k-means alone where rows times components are so many, and no sample is
worth it: K = 200 on 50,000 x 8 then takes a fifth of the time.
"""

MICRO_CLUSTERS, MICRO_CLUSTERS_OF_A_SELECTION = 100, 250
MICRO_CLUSTERS_PER_COMPONENT = 10
"""Leaves of a tree that is one start of several, where rows are too many for an exact one; more of
them where one tree serves all K of a selection.
"""

_SAMPLE = 2**31 + 2
"""A child of the seed that no start and no fold uses."""


@dataclass(frozen=True, eq=False)
class Initialisation:
    """Starts, and the rows they were drawn from: all, or a sample.

    Attributes
    ----------
    rows : Dataset
    starts : sequence of NamedStart
    seed : SeedSequence
        Draws larger samples, and the local search.
    on_all : callable
        Draws starts from all rows, where a sample decides nothing.
    judged : Dataset, optional
        The rows by which many components are swapped, perhaps all; ``rows`` tell where to begin.
    more : callable
        Draws further starts, where the first ones do not agree.
    """

    rows: Dataset
    starts: Sequence[NamedStart]
    seed: np.random.SeedSequence = field(default_factory=lambda: np.random.SeedSequence(0))
    on_all: Callable[[], Sequence[NamedStart]] = tuple
    judged: Dataset | None = None
    more: Callable[[], Sequence[NamedStart]] = tuple

    def with_starts(self, starts: Sequence[NamedStart]) -> Initialisation:
        """Other starts on the same rows, and no more."""
        return replace(self, starts=starts, more=tuple)

    def also(self, start: NamedStart) -> Initialisation:
        """One start more on the same rows."""
        return replace(self, starts=[*self.starts, start])


def initialised(
    initialisers: Sequence[Initialiser],
    dataset: Dataset,
    K: int,
    seed: np.random.SeedSequence,
    sampled: bool = True,
    leaves: int = MICRO_CLUSTERS,
    noise: NoiseStart | None = None,
    swaps: bool = True,
) -> Initialisation:
    """One start from each initialiser, on a sample where rows are many and ``sampled`` allows it.

    Trees have at least so many ``leaves``; ``noise`` tells which rows are left to a noise term.
    Without ``swaps`` many components are searched as few are.

    Raises
    ------
    DataError
        When none of the initialisers can start K components.
    """
    if not sampled:
        return Initialisation(dataset, named_starts(initialisers, dataset, K, seed, noise), seed)
    n, d = dataset.source.n_rows, dataset.source.n_features
    many = swaps and are_many(K)
    leaves = max(leaves, MICRO_CLUSTERS_PER_COMPONENT * K)
    initialisers = [
        replace(kind, most_micro_clusters=leaves) if isinstance(kind, Hierarchical) else kind
        for kind in initialisers
    ]
    m = sample_size(n, d, K) if K > 1 else n
    rows = dataset if m == n else dataset.sampled(m, sample_seed(seed))
    if rows is dataset and many and n * K >= LARGE:
        return Initialisation(dataset, named_starts(ONE_START, dataset, K, seed, noise), seed)
    if rows is dataset or not rows.has_distinct(K + 1):
        first, more = starts_in_turn(initialisers, dataset, K, seed, noise)
        return Initialisation(dataset, first, seed, more=more)
    on_all = cache(lambda: named_starts(initialisers, dataset, K, seed, noise))
    if many:
        first = named_starts(MANY_STARTS, rows, K, seed, noise)
        return Initialisation(rows, first, seed, on_all, _judged(dataset, m, K, seed))
    first, more = starts_in_turn(initialisers, rows, K, seed, noise)
    return Initialisation(rows, first, seed, on_all, more=more)


def _judged(dataset: Dataset, m: int, K: int, seed: np.random.SeedSequence) -> Dataset:
    """The rows on which swaps of K components are judged: enough, and at least m."""
    enough = max(m, rows_enough(K, dataset.source.n_features))
    if dataset.source.n_rows >= WORTH_A_LARGER_SAMPLE * enough:
        dataset = dataset.sampled(enough, sample_seed(seed))
    return dataset.reduced or dataset


def sample_size(n: int, d: int, K: int) -> int:
    """Rows that K components in d dimensions are searched on; n where a sample is not worth it."""
    of_a_rare_component = min(ceil((d + 1) / RARE), n // LARGEST_PART)
    for_parameters = ROWS_PER_PARAMETER * K * (d + 1) * (d + 2) // 2
    m = max(FEWEST_ROWS, of_a_rare_component, for_parameters)
    return m if n >= WORTH_A_SAMPLE * m else n


def sample_seed(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    """The seed of samples, which depends on the entropy alone.

    So all K of a selection share their samples, and the trees grown on them.
    """
    return np.random.SeedSequence(seed.entropy, spawn_key=(_SAMPLE,))
