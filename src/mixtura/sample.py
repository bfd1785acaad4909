"""Many rows are searched on a sample of them, and what it cannot tell apart is polished on all.

The kinds of start, and the race between them, need dozens of passes over the rows but no more digits than it takes to tell one
optimum from another. So they run on a sample, spread over the whole file. Where it can tell its best end from the others, that one
goes on to all rows, until the stopping rule holds there with its certificate. Where it cannot, the best few go on to a sample four
times as large, and so on, at last to a race on all rows. Nothing that is reported is an estimate from a sample.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import ceil, sqrt

import numpy as np

from mixtura.arrays import Array
from mixtura.em import Callback, Start, em
from mixtura.errors import CollapseError
from mixtura.initialisers import Hierarchical, Initialiser
from mixtura.interrupts import heeded
from mixtura.mixture import Mixture, log_density
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation
from mixtura.results import FitResult, Iteration, SearchResult, StopReason
from mixtura.search import Plan, draw_starts, search, workers_for
from mixtura.stopping import RemainingGain, StoppingRule
from mixtura.survey import Survey

FEWEST_ROWS = 10_000
RARE = 1e-3
ROWS_PER_NEED = 20
"""A sample has at least so many rows; so many that a component of this weight expects d + 1 of them, what a full covariance
needs; and 20 times what all K components need."""

WORTH_A_SAMPLE = 4
"""Rows are sampled where there are at least this many times as many."""

LEFT_ON_SAMPLE = 1.0
"""Log-likelihood that a run on the sample may leave to gain: the sample's optimum is further than this from that of all rows."""

LARGER = 4
"""The next sample has so many times as many rows, as long as that is at most half of them."""

SAME_END = 10.0
"""Distance (see :func:`finalists`) of two runs that may be on their way to the same optimum, with that much left to gain each."""

TOLD_APART = 3.0
"""Standard errors of a difference in log-likelihood above which the sample tells which of two fits is the better one."""

FINALISTS = 3
"""Ends of a sample's race that may go on."""

CELLS = 500
CELLS_PER_COMPONENT = 10
"""Micro-clusters of a tree on a sample: a twentieth of its rows, or ten for each component."""

ROWS_AT_ONCE = 16384

_SAMPLE = 2**31 + 2
"""A child of the seed that no start and no fold uses."""


def sample_size(n: int, d: int, K: int) -> int:
    """Rows that K components in d dimensions are searched on; n where a sample is not worth it."""
    m = max(FEWEST_ROWS, ceil((d + 1) / RARE), ROWS_PER_NEED * K * (d + 1))
    return m if n >= WORTH_A_SAMPLE * m else n


@dataclass(frozen=True, eq=False)
class Opening:
    """Starts, and the rows they were drawn from: all, or a sample on which the first part of the search is run.

    Of a sample, ``seed`` draws larger ones, and ``on_all`` draws starts from all rows, where a sample decides nothing.
    """

    rows: Survey
    starts: Sequence[Start]
    seed: np.random.SeedSequence = field(default_factory=lambda: np.random.SeedSequence(0))
    on_all: Callable[[], Sequence[Start]] = tuple

    def with_starts(self, starts: Sequence[Start]) -> Opening:
        """Other starts on the same rows."""
        return replace(self, starts=starts)


def opening(
    initialisers: Sequence[Initialiser], survey: Survey, K: int, seed: np.random.SeedSequence, sampled: bool = True
) -> Opening:
    """One start from each initialiser, drawn from a sample where rows are many and ``sampled`` allows it.

    The sample depends on the seed's entropy alone, so that all Ks of a selection share it, and the trees grown on it.

    Raises
    ------
    DataError
        When none of the initialisers can start K components.
    """
    n = survey.source.n_rows
    m = sample_size(n, survey.source.n_features, K) if sampled and K > 1 else n
    on_all = cache(lambda: draw_starts(initialisers, survey, K, seed))
    if m == n:
        return Opening(survey, on_all())
    own = np.random.SeedSequence(seed.entropy, spawn_key=(_SAMPLE,))
    rows = survey.sampled(m, own)
    if not rows.holds(K + 1):
        return Opening(survey, on_all())
    cells = max(CELLS, CELLS_PER_COMPONENT * K)
    kinds = [replace(kind, most_cells=cells) if isinstance(kind, Hierarchical) else kind for kind in initialisers]
    return Opening(rows, draw_starts(kinds, rows, K, seed), own, on_all)


def search_from(
    opening: Opening,
    survey: Survey,
    family: Family,
    regularisation: Regularisation,
    plan: Plan,
    stopped: threading.Event | None = None,
) -> SearchResult:
    """The best fit to all rows from an opening; see :func:`mixtura.search.search`, which does all of it without a sample.

    A sample on which every end is degenerate or collapses decides nothing, and all rows are searched. An interrupt on a sample
    keeps the best mixture so far, evaluated on all rows.
    """
    stopped = stopped or threading.Event()
    rows, starts = opening.rows, opening.starts
    best: Mixture | None = None
    with heeded(stopped):
        try:
            while rows is not survey:
                try:
                    found = search(rows, starts, family, regularisation, _on_sample(plan, survey, rows), stopped)
                except CollapseError:
                    return search(survey, opening.on_all(), family, regularisation, plan, stopped)
                best = found.best.mixture
                if found.best.degenerate and not stopped.is_set():
                    return search(survey, opening.on_all(), family, regularisation, plan, stopped)
                starts = [best] if stopped.is_set() else finalists(found, rows)
                rows = _larger(rows, survey, opening.seed) if len(starts) > 1 else survey
            return search(survey, starts, family, regularisation, plan, stopped)
        except KeyboardInterrupt:  # before the first mixture of all rows
            if best is None:
                raise
            kept = replace(em(survey, best, family, regularisation, max_iter=0), stop=StopReason.INTERRUPTED)
            return SearchResult(kept, (kept,))


# ---- on a sample -----------------------------------------------------------------------------------------------------


def _larger(sample: Survey, survey: Survey, seed: np.random.SeedSequence) -> Survey:
    """A larger sample, or all rows where it would be more than half of them."""
    m = LARGER * round(sample.total)
    return survey.sampled(m, seed) if 2 * m <= survey.source.n_rows else survey


def _on_sample(plan: Plan, survey: Survey, sample: Survey) -> Plan:
    """The plan of the first part: nothing is certified, and a callback is told likelihoods at the size of all rows."""
    stopping: StoppingRule = plan.stopping
    if isinstance(stopping, RemainingGain):
        stopping = replace(stopping, tolerance=max(stopping.tolerance, LEFT_ON_SAMPLE), certifies=False)
    callback = None if plan.callback is None else _at_size(plan.callback, survey.total / sample.total)
    workers = min(plan.workers, workers_for(sample, plan.workers, plan.workers))
    return replace(plan, stopping=stopping, callback=callback, workers=workers, brisk=True)


def _at_size(callback: Callback, size: float) -> Callback:
    def told(iteration: Iteration) -> None:
        callback(replace(iteration, log_likelihood=size * iteration.log_likelihood, gain=size * iteration.gain))

    return told


# ---- what the sample cannot tell apart -------------------------------------------------------------------------------


def finalists(found: SearchResult, sample: Survey) -> list[Mixture]:
    """The best mixture of the sample, and others that it cannot tell from it, likeliest first.

    For two fits let ``D_i`` be the difference of their log densities at row i. Its sum over the sample has the standard error
    ``sqrt(sum (D_i - mean)^2)`` (Vuong 1989, Econometrica 57:307-333), and what differs by more than ``TOLD_APART`` of them is
    left. ``sum D_i^2`` is their distance, about twice what is lost from one to the other, and what is nearer than ``SAME_END`` is
    the same. A likelier fit that is degenerate on the sample goes on, too: what is a
    component of too few rows there may be a rare one of enough.
    """
    best = found.best
    densities = [_log_densities(sample, best.mixture)]
    chosen = [best.mixture]
    others = sorted((fit for fit in found.fits if isinstance(fit, FitResult) and fit is not best), key=lambda fit: -fit.trace[-1])
    for fit in others:
        if len(chosen) == FINALISTS or fit.stop is StopReason.COLLAPSED:
            break
        density = _log_densities(sample, fit.mixture)
        if _behind(best, fit, sample, densities[0] - density):
            continue
        if all(_sum(sample, (known - density) ** 2) > SAME_END for known in densities):
            densities.append(density)
            chosen.append(fit.mixture)
    return chosen


def _behind(best: FitResult, fit: FitResult, sample: Survey, difference: Array) -> bool:
    """Whether the sample tells that a fit is worse than the best one."""
    mean = _sum(sample, difference) / sample.total
    return best.trace[-1] - fit.trace[-1] > TOLD_APART * sqrt(_sum(sample, (difference - mean) ** 2))


def _sum(sample: Survey, values: Array) -> float:
    """Values of the rows (m,), summed by weight."""
    total = 0.0
    for block in sample.source.blocks():
        own = values[block.offset : block.offset + len(block.rows)]
        total += float(own.sum() if block.weights is None else own @ block.weights)
    return total


def _log_densities(sample: Survey, mixture: Mixture) -> Array:
    """``log p(x_i)`` of each row (m,)."""
    parts = [part for block in sample.source.blocks() for part in block.cut(ROWS_AT_ONCE)]
    return np.concatenate([log_density(sample.backend.log_joint(part, mixture)) for part in parts])
