"""Many starts, one best fit. A start that fails is a row with a reason and never loses the others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import inf, nan
from typing import TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from mixtura.arrays import Labels
from mixtura.backends import ROWS_WORTH_A_THREAD, processors
from mixtura.em import Start
from mixtura.errors import CollapseError, DataError
from mixtura.escape import Escape, is_crowded
from mixtura.initialisers import Hierarchical, Initialiser, KMeansPlusPlus, KMeansStart, RandomRows
from mixtura.interrupts import heeded
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation
from mixtura.results import FailedStart, FitResult, SearchResult, StopReason
from mixtura.runs import FIRST_LOOK, FIRST_ROUND, SAME_OPTIMUM, Leg, Plan, Runs, is_sound
from mixtura.start_report import Run, RunEnd, StartReport
from mixtura.stopping import StoppingRule
from mixtura.survey import Survey

SCREENING_ITERATIONS = 30
POLISHED = 3
"""A screened search runs every start for ten iterations, the better half for thirty, and the best few to the end."""

DEFAULT_STARTS: tuple[Initialiser, ...] = (
    KMeansStart("standardised"),
    Hierarchical("VVV", "SVD"),
    KMeansStart("whitened"),
    Hierarchical("VVV", "STD"),
    KMeansPlusPlus("standardised"),
    KMeansPlusPlus("whitened"),
    RandomRows("standardised"),
    RandomRows("whitened"),
)
"""Kinds of start that fail on different data: k-means on stretched clusters, whitening on round ones, trees on large overlap."""

MOST_OPTIMA = 10
"""Optima that a report lists, best first."""

ROWS_TO_AGREE = 2_000
"""Rows on which their partitions are compared."""

_MOVES = 2**31 + 3
"""A child of the seed that no start, no fold and no sample uses."""


def usual_starts(n: int | None = None) -> list[Initialiser]:
    """The default kinds of start, or n of them in turn; those without chance come once."""
    if n is None:
        return list(DEFAULT_STARTS)
    drawn = [kind for kind in DEFAULT_STARTS if not isinstance(kind, Hierarchical)]
    further = max(0, n - len(DEFAULT_STARTS))
    return [*DEFAULT_STARTS[:n], *(drawn[i % len(drawn)] for i in range(further))]


Named: TypeAlias = tuple[str, Start]
"""A start, and what it is called."""


def named_starts(initialisers: Sequence[Initialiser], survey: Survey, K: int, seed: np.random.SeedSequence) -> list[Named]:
    """One start from each initialiser, each with a generator of its own; one component needs no start but the whole data.

    Raises
    ------
    DataError
        When none of them can start K components; one that cannot, such as a tree with fewer leaves, is left out.
    """
    if K == 1:
        return [("all rows", survey.whole)]
    starts: list[Named] = []
    refusal: DataError | None = None
    for draw, child in zip(initialisers, seed.spawn(len(initialisers)), strict=True):
        try:
            starts.append((draw.name, draw(survey, K, np.random.default_rng(child))))
        except DataError as error:
            refusal = error
    if refusal is not None and not starts:
        raise refusal
    return starts


def draw_starts(initialisers: Sequence[Initialiser], survey: Survey, K: int, seed: np.random.SeedSequence) -> list[Start]:
    """:func:`named_starts` without their names."""
    return [start for _, start in named_starts(initialisers, survey, K, seed)]


def search(
    survey: Survey,
    starts: Sequence[Start],
    family: Family,
    regularisation: Regularisation,
    plan: Plan,
    stopped: threading.Event | None = None,
    seed: np.random.SeedSequence | None = None,
    names: Sequence[str] = (),
) -> SearchResult:
    """The best fit over all starts: the highest objective among those without a degenerate component.

    Fits at the same optimum (within 0.01) count as equal, and then the earlier start wins, so that rounding never
    decides. When every fit is degenerate, the best of them is given back as it is. Setting ``stopped`` from another thread
    ends every run after its current iteration, as Ctrl-C does.

    A screened search runs every start shortly, and then the best few of different likelihood in rounds of growing length. After
    each round those leave that became degenerate, since they cannot win, and those that are too far behind to catch up; where
    none is left, the next ones come in. Then moves (:mod:`mixtura.moves`), drawn from ``seed``, try to leave the best optimum for a
    higher one, as long as the plan's effort lasts. ``names`` of the starts are for the report.

    Raises
    ------
    CollapseError
        When no start gave a mixture.
    KeyboardInterrupt
        When Ctrl-C came before the first mixture.
    """
    stopped, seed = stopped or threading.Event(), seed or np.random.SeedSequence(0)
    own = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, _MOVES))
    race = _Race(
        Runs(survey, family, regularisation, plan, stopped),
        own,
        tuple(names),
        is_crowded(starts[0].n_components),
    )
    with heeded(stopped):
        return race.from_starts(starts)


@dataclass(frozen=True, eq=False)
class _Race:
    """Starts side by side: all of them shortly, and the best few further; then moves away from the best."""

    runs: Runs
    seed: np.random.SeedSequence
    names: tuple[str, ...]
    crowded: bool

    def from_starts(self, starts: Sequence[Start]) -> SearchResult:
        """See :func:`search`."""
        legs = [Leg(number, start) for number, start in enumerate(starts)]
        plan = self.runs.plan
        if not plan.screened or (len(starts) == 1 and not self.moves(starts[0].n_components)):
            fits = self.runs.of(legs, plan.stopping, plan.max_iter, judge=True)
            return SearchResult(_best(fits, self.runs.same), tuple(fits), self.noted(fits, range(len(fits)), {}))
        found = self.raced(legs) if plan.effort is None or plan.effort.exchanges is None else self.exchanged(legs)
        if not self.runs.stopped.is_set():
            return found
        # whatever their own reason was to end, short runs among them, the search was interrupted
        fits = [self.runs.judged(fit) for fit in found.fits]
        return SearchResult(replace(_best(fits, self.runs.same), stop=StopReason.INTERRUPTED), tuple(fits), found.runs)

    def moves(self, K: int) -> bool:
        """Whether anything is tried after the starts."""
        return self.runs.plan.effort is not None and K > 1

    def raced(self, legs: Sequence[Leg]) -> SearchResult:
        """All starts run shortly, the best of them further, and moves from there."""
        fits = self.screened(legs)
        if self.runs.stopped.is_set():
            return SearchResult(_best(fits, self.runs.same), tuple(fits), self.noted(fits, (), {}))
        return self.finish(fits)

    def exchanged(self, legs: Sequence[Leg]) -> SearchResult:
        """All starts run shortly, and many components of the best one exchanged; its end is sought on other rows."""
        fits = self.runs.of(legs, self.runs.short, FIRST_LOOK, judge=True)
        best = _best(fits, self.runs.same)
        log = list(self.noted(fits, (), {}))
        if is_sound(best):
            number = next(i for i, fit in enumerate(fits) if fit is best)
            log[number] = replace(log[number], end=RunEnd.REACHED)
        moved = None if self.runs.stopped.is_set() else self.moved([best])
        if moved is not None:
            fits, log = [*fits, *(fit for fit in moved.optima if fit is not best)], [*log, *moved.log]
        return SearchResult(_best(fits, self.runs.same), tuple(fits), tuple(log))

    def screened(self, legs: Sequence[Leg]) -> list[FitResult | FailedStart]:
        """All starts run for a few iterations, and the better half of different likelihood for some more."""
        runs = self.runs
        fits = runs.of(legs, runs.short, FIRST_LOOK, judge=False)
        better = list(_alike(fits, runs.same))[: (len(legs) + 1) // 2]
        further = [Leg(i, fit, fit.n_iter) for i in better if isinstance(fit := fits[i], FitResult) and runs.unfinished(fit)]
        for leg, fit in zip(further, runs.of(further, runs.short, SCREENING_ITERATIONS - FIRST_LOOK, judge=False), strict=True):
            if isinstance(fit, FitResult):  # one that fails there, or is called off, stays as it was
                fits[leg.number] = fit
        return fits

    # ---- the rounds --------------------------------------------------------------------------------------------

    def finish(self, short: Sequence[FitResult | FailedStart]) -> SearchResult:
        """The best few short runs of different likelihood run on, in rounds, until one is sound and at its end; then the moves."""
        groups = _alike(short, self.runs.same)
        fits = [self.runs.judged(fit) if number in groups else fit for number, fit in enumerate(short)]
        entered = self.rounds(fits, sorted(groups, key=lambda number: not is_sound(fits[number])))
        log = self.noted(fits, entered, groups)
        moved = self.moved([fits[number] for number in entered])
        if moved is not None:
            new = [fit for fit in moved.optima if all(fit is not known for known in fits)]
            entered, log = [*entered, *range(len(fits), len(fits) + len(new))], (*log, *moved.log)
            fits.extend(new)
        return SearchResult(self._to_its_end(fits, entered), tuple(fits), log)

    @property
    def polished(self) -> int:
        """How many of the starts run on at a time: where components are exchanged afterwards, it hardly matters which."""
        return 1 if self.crowded and self.runs.plan.effort is not None else POLISHED

    def rounds(self, fits: list[FitResult | FailedStart], waiting: list[int]) -> list[int]:
        """Those that wait enter, a few at a time, and run on; the numbers of all that entered."""
        runs, entered = self.runs, list[int]()
        while waiting and not runs.stopped.is_set() and not any(is_sound(fits[number]) for number in entered):
            if entered and not runs.plan.finishes_degenerate and not is_sound(fits[waiting[0]]):
                break  # all that wait are degenerate already
            entering, waiting = waiting[: self.polished], waiting[self.polished :]
            entered = sorted([*entered, *entering])  # in the order of the starts, so that the earlier of two equals wins
            running, length = [i for i in entering if not (runs.plan.brisk and self._hopeless(fits, i, entered))], FIRST_ROUND
            while running and not runs.stopped.is_set():
                self._round(fits, running, length, runs.compared)
                level = _level(fits, entered)
                running, length = [number for number in running if runs.goes_on(fits[number], level)], 2 * length
        return entered

    def _to_its_end(self, fits: list[FitResult | FailedStart], entered: Sequence[int]) -> FitResult:
        """The best of the race, run on until the stopping rule holds with its certificate; the next best where it degenerates."""
        runs = self.runs
        while True:
            best = _best([fits[number] for number in entered] or fits, runs.same)
            wanted = not best.degenerate or runs.plan.finishes_degenerate
            if not (entered and wanted and runs.unfinished(best)) or runs.stopped.is_set():
                return best
            number = next(number for number in entered if fits[number] is best)
            self._round(fits, [number], runs.plan.max_iter, runs.plan.stopping)

    def _round(self, fits: list[FitResult | FailedStart], running: Sequence[int], length: int, stopping: StoppingRule) -> None:
        """Some of the fits, a number of iterations further; one that fails there stays as it was."""
        legs = [Leg(number, fit, fit.n_iter) for number in running if isinstance(fit := fits[number], FitResult)]
        for leg, fit in zip(legs, self.runs.of(legs, stopping, length, judge=True), strict=True):
            if isinstance(fit, FitResult):
                fits[leg.number] = fit

    def _hopeless(self, fits: Sequence[FitResult | FailedStart], number: int, rivals: Sequence[int]) -> bool:
        """Whether a fit is too far behind the best sound one to catch up."""
        fit = fits[number]
        return isinstance(fit, FitResult) and self.runs.hopeless(fit, _level(fits, rivals))

    # ---- moves -------------------------------------------------------------------------------------------------

    def moved(self, entered: Sequence[FitResult | FailedStart]) -> Escape | None:
        """Other optima than those of the race, found from them; None where nothing is tried."""
        fitted = [fit for fit in entered if isinstance(fit, FitResult)]
        effort = self.runs.plan.effort
        if effort is None or not fitted or not self.moves(fitted[0].n_components):
            return None
        sound = sorted(filter(is_sound, fitted), key=lambda fit: -fit.trace[-1])
        escape = Escape(self.runs, sound, max(fitted, key=lambda fit: fit.trace[-1]))
        escape.go(effort, self.seed)
        return escape

    def noted(
        self, fits: Sequence[FitResult | FailedStart], followed: Iterable[int], groups: Mapping[int, Sequence[int]]
    ) -> tuple[Run, ...]:
        """What became of each start; of those that were as likely as another one, what became of that."""
        followed, log = set(followed), []
        leader = {number: first for first, alike in groups.items() for number in alike}
        for number, fit in enumerate(fits):
            first = leader.get(number, number)
            kind = self.names[number] if number < len(self.names) else "given"
            level = led.trace[-1] if isinstance(led := fits[first], FitResult) else nan
            n_iter = fit.n_iter if isinstance(fit, FitResult) else 0
            log.append(Run(kind, False, level, n_iter, self.runs.end_of(led, first in followed)))
        return tuple(log)


def _level(fits: Sequence[FitResult | FailedStart], rivals: Iterable[int]) -> float:
    """The objective of the best sound fit among some."""
    return max((fit.trace[-1] for i in rivals if is_sound(fit := fits[i])), default=-inf)


def _alike(fits: Iterable[FitResult | FailedStart], same: float) -> dict[int, list[int]]:
    """Numbers of the fits by likelihood, best first: the earliest of those that count as equal, and all of them."""
    ranked = sorted(
        ((fit.trace[-1], number) for number, fit in enumerate(fits) if isinstance(fit, FitResult)), key=lambda item: -item[0]
    )
    groups: dict[int, list[int]] = {}
    while ranked:
        level = ranked[0][0] - same
        equal = [number for value, number in ranked if value >= level]
        groups[min(equal)] = equal
        ranked = ranked[len(equal) :]
    return groups


def _best(fits: Sequence[FitResult | FailedStart], same: float) -> FitResult:
    """The winner among the fits; see :func:`search`."""
    fitted = [fit for fit in fits if isinstance(fit, FitResult)]
    if not fitted:
        if any(fit.reason == StopReason.INTERRUPTED.value for fit in fits if isinstance(fit, FailedStart)):
            raise KeyboardInterrupt
        raise CollapseError(0)
    eligible = [fit for fit in fitted if not fit.degenerate and fit.stop is not StopReason.COLLAPSED] or fitted
    highest = max(fit.trace[-1] for fit in eligible)
    return next(fit for fit in eligible if fit.trace[-1] >= highest - same)


# ---- what a search saw -----------------------------------------------------------------------------------------------


def start_report(found: SearchResult, rows: Survey, n_all: int) -> StartReport:
    """The report of a search on some rows, all or a sample of them."""
    same = 2 * SAME_OPTIMUM * rows.row_weight  # each of two runs to one optimum may be short of it
    reached = np.array([run.level for run in found.runs if run.end is RunEnd.REACHED])
    sound = [fit for fit in (found.best, *found.fits) if isinstance(fit, FitResult) and not fit.degenerate]
    different: list[FitResult] = []
    for fit in sorted(sound, key=lambda fit: -fit.trace[-1]):
        rests = (np.abs(reached - fit.trace[-1]) < same).any()
        if rests and (not different or different[-1].trace[-1] - fit.trace[-1] > same):
            different.append(fit)
    listed = different[:MOST_OPTIMA]
    levels = tuple(fit.trace[-1] for fit in listed)
    return StartReport(found.runs, rows.source.n_rows, n_all, levels, tuple(_labels(listed, rows)), same)


def _labels(fits: Sequence[FitResult], rows: Survey) -> list[Labels]:
    """The partitions of some of the rows."""
    block = next(rows.source.blocks())
    part = next(iter(block.cut(ROWS_TO_AGREE)))
    return [rows.backend.log_joint(part, fit.mixture).argmax(axis=1).astype(np.intp) for fit in fits]


# ---- how it may run --------------------------------------------------------------------------------------------------


def calm(n_rows: int) -> AbstractContextManager[object]:
    """One thread for BLAS while fits run, since many small matrices wait longer for threads than they compute; and for OpenMP
    (k-means) where the rows are few.

    As scikit-learn does, this holds for the process while it lasts.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api=None if n_rows < ROWS_WORTH_A_THREAD else "blas")
    return limits


def workers_for(survey: Survey, jobs: int, n_threads: int | None, *, short: bool = True) -> int:
    """Jobs run side by side, where the kernels, which leave Python free, are most of the time.

    A ``short`` job is one run of EM: on few rows it is over before another thread has begun. A cell of a selection is many.
    """
    if survey.backend.name == "reference" or (short and survey.source.n_rows < ROWS_WORTH_A_THREAD):
        return 1
    return min(jobs, n_threads or processors())
