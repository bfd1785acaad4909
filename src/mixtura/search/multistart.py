"""Many starts, one best fit: the one with the best score. A start that fails is a row with a reason
and never loses the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import cache
from math import nan
from typing import TypeAlias

import numpy as np
from threadpoolctl import ThreadpoolController

from mixtura.backends import ROWS_WORTH_A_THREAD, processors
from mixtura.base.arrays import Labels
from mixtura.base.errors import CollapseError, DataError
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
)
from mixtura.model.results import FailedStart, FitResult, SearchResult, StopReason
from mixtura.model.start_report import Run, StartReport
from mixtura.search.runs import SAME_OPTIMUM, SHORT, Runs, Task

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

AGREED, AGREEMENT = 5, 2 / 3
"""Starts agree on the best optimum when so many, and this part of them, have reached it: no more
are drawn.
"""

FIRST_ROUND = 40
"""Iterations of the first round after the short runs; each further one is twice as long."""

MOST_OPTIMA = 10
"""Optima that a report lists, best first."""

ROWS_TO_AGREE = 2_000
"""Rows on which their partitions are compared."""

LOCAL_SEARCH = 2**31 + 3
"""A child of the seed that no start, no fold and no sample uses."""

Named: TypeAlias = tuple[str, Start]
"""A start, and what it is called."""


# ---- starts --------------------------------------------------------------------------------------


def usual_starts(n: int | None = None) -> list[Initialiser]:
    """The default kinds of start, or n of them in turn; those without chance come once."""
    if n is None:
        return list(DEFAULT_STARTS)
    drawn = [kind for kind in DEFAULT_STARTS if not isinstance(kind, Hierarchical | SharedValues)]
    further = max(0, n - len(DEFAULT_STARTS))
    return [*DEFAULT_STARTS[:n], *(drawn[i % len(drawn)] for i in range(further))]


def named_starts(
    initialisers: Sequence[Initialiser], dataset: Dataset, K: int, seed: np.random.SeedSequence
) -> list[Named]:
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
    return _drawn(list(zip(initialisers, seed.spawn(len(initialisers)), strict=True)), dataset, K)


def starts_in_turn(
    initialisers: Sequence[Initialiser], dataset: Dataset, K: int, seed: np.random.SeedSequence
) -> tuple[list[Named], Callable[[], list[Named]]]:
    """The first few of :func:`named_starts`, and what draws the others."""
    if K == 1:
        return [("all rows", dataset.whole)], list
    kinds = list(zip(initialisers, seed.spawn(len(initialisers)), strict=True))

    def others() -> list[Named]:
        with suppress(DataError):
            return _drawn(kinds[FIRST_STARTS:], dataset, K)
        return []

    try:
        return _drawn(kinds[:FIRST_STARTS], dataset, K), cache(others)
    except DataError:
        return _drawn(kinds, dataset, K), list


def _drawn(
    kinds: Sequence[tuple[Initialiser, np.random.SeedSequence]], dataset: Dataset, K: int
) -> list[Named]:
    """The starts of those kinds that can start K components; DataError where none can."""
    starts: list[Named] = []
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


# ---- runs side by side ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Halving:
    """What became of some starts: their fits, and for each the number of the one with which it was
    the same early on.

    Attributes
    ----------
    fits : list of FitResult or FailedStart
    leaders : list of int
    early : list of float
        Their objectives early on, by which they are told apart; NaN where there is none.
    """

    fits: list[FitResult | FailedStart]
    leaders: list[int]
    early: list[float]

    @classmethod
    def apart(cls, fits: Sequence[FitResult | FailedStart]) -> Halving:
        """Runs of which none was taken for another."""
        return cls(list(fits), list(range(len(fits))), [nan] * len(fits))

    def reached(self, score: float, same: float) -> list[bool]:
        """Which runs ended at this score, or were the same as one that did."""
        ended = [
            isinstance(fit, FitResult)
            and fit.soundness is not None
            and abs(fit.score - score) <= same
            for fit in self.fits
        ]
        return [ended[leader] for leader in self.leaders]

    @property
    def fitted(self) -> list[FitResult]:
        """Those that were followed to their end, once each."""
        return [
            fit
            for i, fit in enumerate(self.fits)
            if self.leaders[i] == i and isinstance(fit, FitResult)
        ]


def successive_halving(
    runs: Runs,
    starts: Sequence[Start],
    level: float,
    told: bool = True,
    known: Halving | None = None,
) -> Halving:
    """All starts run shortly, and then in rounds of growing length as long as they may reach the
    best score.

    A score is never above the likelihood, so a run whose likelihood cannot reach ``level`` is
    dropped. Each end raises the level for the next round. Runs of starts that were ``known`` before
    are not made again.
    """
    known = known or Halving([], [], [])
    tasks = [Task(i, start) for i, start in enumerate(starts, start=len(known.fits))]
    fits = [*known.fits, *(_begun(fit) for fit in runs.of(tasks, runs.short, SHORT, told=told))]
    early = [
        *known.early,
        *(fit.objective if isinstance(fit, FitResult) else nan for fit in fits[len(known.fits) :]),
    ]
    leaders = _leaders(early, runs.same)
    running, length = (
        [task.number for task in tasks if leaders[task.number] == task.number],
        FIRST_ROUND,
    )
    while True:
        for i in running:
            fit = fits[i]
            if (
                isinstance(fit, FitResult)
                and not _goes_on(runs, fit)
                and fit.objective > level - runs.same
            ):
                fits[i] = fit = runs.judged(fit)
                level = max(level, fit.score) if fit.is_answer else level
        running = [
            i for i in running if isinstance(fit := fits[i], FitResult) and _goes_on(runs, fit)
        ]
        if length > FIRST_ROUND:  # by now a component that chance has placed is paid for
            fits = [
                runs.judged(fit) if i in running and isinstance(fit, FitResult) else fit
                for i, fit in enumerate(fits)
            ]
        running = [
            i
            for i in running
            if isinstance(fit := fits[i], FitResult) and not runs.hopeless(fit, level)
        ]
        if not running or runs.stopped.is_set():
            return Halving(fits, leaders, early)
        further = [
            Task(i, fit, fit.n_iter) for i in running if isinstance(fit := fits[i], FitResult)
        ]
        for i, fit in zip(running, runs.of(further, runs.compared, length, told=told), strict=True):
            was = fits[i]
            if isinstance(fit, FitResult):
                fits[i] = fit
            elif isinstance(
                was, FitResult
            ):  # it fails there, or is called off, and stays where it was
                called_off = fit.reason == StopReason.INTERRUPTED.value
                fits[i] = replace(
                    was, stop=StopReason.INTERRUPTED if called_off else StopReason.COLLAPSED
                )
        length *= 2


def _begun(fit: FitResult | FailedStart) -> FitResult | FailedStart:
    """A short run is never at its end, however little its last iteration gained."""
    return (
        replace(fit, stop=StopReason.MAX_ITER)
        if isinstance(fit, FitResult) and fit.stop is StopReason.SMALL_CHANGE
        else fit
    )


def _goes_on(runs: Runs, fit: FitResult) -> bool:
    """Whether only the length of its round has ended it."""
    return fit.stop is StopReason.MAX_ITER and runs.unfinished(fit)


def _leaders(early: Sequence[float], same: float) -> list[int]:
    """For each run the first one of nearly the same objective early on."""
    leaders = list(range(len(early)))
    for i, level in enumerate(early):
        leaders[i] = next(
            (j for j in range(i) if leaders[j] == j and abs(level - early[j]) < same), i
        )
    return leaders


def agree(race: Halving, best: FitResult, same: float) -> bool:
    """Whether so many starts have reached the best optimum that a better one is not to be
    expected.
    """
    found = sum(
        race.reached(best.score, 2 * same)
    )  # each of two runs to one optimum may be short of it
    return best.is_answer and found >= max(AGREED, AGREEMENT * len(race.fits))


# ---- what a search saw ---------------------------------------------------------------------------


def best_of(fits: Sequence[FitResult | FailedStart], same: float) -> FitResult:
    """The fit with the best rank; of those with the same score the earliest, so that rounding never
    decides.

    Raises
    ------
    CollapseError
        When no start gave a mixture.
    KeyboardInterrupt
        When Ctrl-C came before the first mixture.
    """
    fitted = [fit for fit in fits if isinstance(fit, FitResult)]
    if not fitted:
        if any(
            fit.reason == StopReason.INTERRUPTED.value
            for fit in fits
            if isinstance(fit, FailedStart)
        ):
            raise KeyboardInterrupt
        raise CollapseError(0)
    ended = [fit for fit in fitted if fit.soundness is not None] or fitted
    answers = [fit for fit in ended if fit.is_answer] or ended
    highest = max(fit.score for fit in answers)
    return next(fit for fit in answers if fit.score >= highest - same)


def noted(race: Halving, names: Sequence[str], runs: Runs, moved: bool = False) -> list[Run]:
    """What became of each start; of those that were the same as an earlier one, what became of
    that.
    """
    log = []
    for i, leader in enumerate(race.leaders):
        fit, led = race.fits[i], race.fits[leader]
        kind = names[i] if i < len(names) else "given"
        level = led.objective if isinstance(led, FitResult) else nan
        score = led.score if isinstance(led, FitResult) and led.soundness else nan
        log.append(
            Run(
                kind,
                moved,
                level,
                score,
                fit.n_iter if isinstance(fit, FitResult) else 0,
                runs.end_of(led),
            )
        )
    return log


def start_report(found: SearchResult, rows: Dataset, n_all: int) -> StartReport:
    """The report of a search on some rows, all or a sample of them."""
    same = 2 * SAME_OPTIMUM * rows.row_weight  # each of two runs to one optimum may be short of it
    ended = [
        fit
        for fit in (found.best, *found.fits)
        if isinstance(fit, FitResult) and fit.soundness and fit.is_answer
    ]
    different: list[FitResult] = []
    for fit in sorted(ended, key=lambda fit: -fit.score):
        if all(abs(fit.objective - other.objective) > same for other in different):
            different.append(fit)
    listed = different[:MOST_OPTIMA]
    levels = tuple((fit.objective, fit.score) for fit in listed)
    return StartReport(
        found.runs, rows.source.n_rows, n_all, levels, tuple(_labels(listed, rows)), same
    )


def _labels(fits: Sequence[FitResult], rows: Dataset) -> list[Labels]:
    """The partitions of some of the rows."""
    block = next(rows.source.blocks())
    part = next(iter(block.cut(ROWS_TO_AGREE)))
    return [
        rows.backend.log_joint(part, fit.mixture).argmax(axis=1).astype(np.intp) for fit in fits
    ]


# ---- how it may run ------------------------------------------------------------------------------


def limited_threads(n_rows: int) -> AbstractContextManager[object]:
    """One thread for BLAS while fits run, since many small matrices wait longer for threads than
    they compute; and for OpenMP (k-means) where the rows are few.

    As scikit-learn does, this holds for the process while it lasts.
    """
    limits: AbstractContextManager[object] = _pools().limit(
        limits=1, user_api=None if n_rows < ROWS_WORTH_A_THREAD else "blas"
    )
    return limits


@cache
def _pools() -> ThreadpoolController:
    """The libraries with threads of their own; looking for them takes as long as a small fit."""
    return ThreadpoolController()


def workers_for(dataset: Dataset, jobs: int, n_threads: int | None, *, short: bool = True) -> int:
    """Jobs run side by side, where the kernels, which leave Python free, are most of the time.

    A ``short`` job is one run of EM: on few rows it is over before another thread has begun. A cell
    of a selection is many.
    """
    if dataset.backend.name == "reference" or (
        short and dataset.source.n_rows < ROWS_WORTH_A_THREAD
    ):
        return 1
    return min(jobs, n_threads or processors())
