"""Many starts, one best fit. A start that fails is a row with a reason and never loses the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from mixtura.backends import ROWS_WORTH_A_THREAD, processors
from mixtura.degeneracy import degenerate_components
from mixtura.em import Callback, Start, em
from mixtura.errors import CollapseError, DataError
from mixtura.initialisers import Hierarchical, Initialiser, KMeansPlusPlus, KMeansStart, RandomRows
from mixtura.interrupts import heeded
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation
from mixtura.results import FailedStart, FitResult, Iteration, SearchResult, StopReason
from mixtura.stopping import RemainingGain, SmallGain, StoppingRule, remaining_gain
from mixtura.survey import Survey

SAME_OPTIMUM = 0.01
"""Two fits whose log-likelihoods differ by less are at the same optimum."""

SCREENING_GAIN = 0.05
FIRST_LOOK = 10
SCREENING_ITERATIONS = 30
POLISHED = 3
"""A screened search runs every start for ten iterations, the better half for thirty, and the best few to the end."""

FIRST_ROUND = 40
"""Iterations of the first round after the screening; each further one is twice as long."""

HOPE = 10.0
HOPELESS = 0.5
"""A fit leaves the search when ten times what its trace says is left to gain would still be half a unit of log-likelihood short."""

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

WAKE_SECONDS = 0.2
"""A thread that waits without end may never hear of Ctrl-C, so the waiting one wakes up this often."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Plan:
    """How to run EM from each start of a search.

    ``screened`` runs all starts shortly and only the best few to the end; otherwise every start runs to the end.
    ``finishes_degenerate`` runs the best fit to its end even where all are degenerate, for a person who asked for just this model.
    ``brisk`` lets those that are too far behind leave after the short runs already, before any round.
    """

    stopping: StoppingRule
    max_iter: int
    screened: bool
    workers: int = 1
    callback: Callback | None = None
    finishes_degenerate: bool = True
    accelerated: bool = False
    brisk: bool = False


def usual_starts(n: int | None = None) -> list[Initialiser]:
    """The default kinds of start, or n of them in turn; those without chance come once."""
    if n is None:
        return list(DEFAULT_STARTS)
    drawn = [kind for kind in DEFAULT_STARTS if not isinstance(kind, Hierarchical)]
    further = max(0, n - len(DEFAULT_STARTS))
    return [*DEFAULT_STARTS[:n], *(drawn[i % len(drawn)] for i in range(further))]


def draw_starts(initialisers: Sequence[Initialiser], survey: Survey, K: int, seed: np.random.SeedSequence) -> list[Start]:
    """One start from each initialiser, each with a generator of its own; one component needs no start but the whole data.

    Raises
    ------
    DataError
        When none of them can start K components; one that cannot, such as a tree with fewer leaves, is left out.
    """
    if K == 1:
        return [survey.whole]
    starts: list[Start] = []
    refusal: DataError | None = None
    for draw, child in zip(initialisers, seed.spawn(len(initialisers)), strict=True):
        try:
            starts.append(draw(survey, K, np.random.default_rng(child)))
        except DataError as error:
            refusal = error
    if refusal is not None and not starts:
        raise refusal
    return starts


def search(
    survey: Survey,
    starts: Sequence[Start],
    family: Family,
    regularisation: Regularisation,
    plan: Plan,
    stopped: threading.Event | None = None,
) -> SearchResult:
    """The best fit over all starts: the highest objective among those without a degenerate component.

    Fits at the same optimum (within 0.01) count as equal, and then the earlier start wins, so that rounding never
    decides. When every fit is degenerate, the best of them is given back as it is. Setting ``stopped`` from another thread
    ends every run after its current iteration, as Ctrl-C does.

    A screened search runs every start shortly, and then the best few of different likelihood in rounds of growing length. After
    each round those leave that became degenerate, since they cannot win, and those that are too far behind to catch up; where
    none is left, the next ones come in.

    Raises
    ------
    CollapseError
        When no start gave a mixture.
    KeyboardInterrupt
        When Ctrl-C came before the first mixture.
    """
    race = _Race(survey, family, regularisation, plan, stopped or threading.Event())
    with heeded(race.stopped):
        return race.from_starts(starts)


@dataclass(frozen=True, eq=False)
class _Leg:
    """A start, or a fit to go on from after the iterations it has had in this search."""

    number: int
    start: Start
    done: int = 0


@dataclass(frozen=True, eq=False)
class _Race:
    """Runs of EM on one data set for one family, side by side."""

    survey: Survey
    family: Family
    regularisation: Regularisation
    plan: Plan
    stopped: threading.Event

    @property
    def same(self) -> float:
        """Likelihoods that differ by less are at the same optimum."""
        return SAME_OPTIMUM * self.survey.row_weight

    def from_starts(self, starts: Sequence[Start]) -> SearchResult:
        """See :func:`search`."""
        legs = [_Leg(number, start) for number, start in enumerate(starts)]
        if len(starts) == 1 or not self.plan.screened:
            fits = self.run(legs, self.plan.stopping, self.plan.max_iter, judge=True)
            return SearchResult(_best(fits, self.same), tuple(fits))
        fits = self.screened(legs)
        found = SearchResult(_best(fits, self.same), tuple(fits)) if self.stopped.is_set() else self.finish(fits)
        if not self.stopped.is_set():
            return found
        # whatever their own reason was to end, short runs among them, the search was interrupted
        fits = [self.judged(fit) for fit in found.fits]
        return SearchResult(replace(_best(fits, self.same), stop=StopReason.INTERRUPTED), tuple(fits))

    def run(self, legs: Sequence[_Leg], stopping: StoppingRule, length: int, judge: bool) -> list[FitResult | FailedStart]:
        """EM on each leg for some iterations."""
        return in_parallel(lambda leg: self._em(leg, stopping, length, judge), legs, self.plan.workers, self.stopped)

    def _em(self, leg: _Leg, stopping: StoppingRule, length: int, judge: bool) -> FitResult | FailedStart:
        told = self.plan.callback

        def callback(iteration: Iteration) -> None:
            if told is not None:
                told(replace(iteration, number=leg.done + iteration.number))

        if self.stopped.is_set():
            return FailedStart(leg.number, StopReason.INTERRUPTED.value)
        try:
            fit = em(
                self.survey,
                leg.start,
                self.family,
                self.regularisation,
                stopping=stopping,
                max_iter=min(length, self.plan.max_iter - leg.done),
                callback=None if told is None else callback,
                start_number=leg.number,
                judge=judge,
                accelerated=self.plan.accelerated and not isinstance(stopping, SmallGain),
                stopped=self.stopped.is_set,
            )
        except CollapseError as collapse:
            return FailedStart(leg.number, str(collapse))
        if fit.stop is StopReason.INTERRUPTED:
            self.stopped.set()
        return replace(fit, n_iter=leg.done + fit.n_iter)

    def screened(self, legs: Sequence[_Leg]) -> list[FitResult | FailedStart]:
        """All starts run for a few iterations, and the better half of different likelihood for some more."""
        short = SmallGain(SCREENING_GAIN * self.survey.row_weight)
        fits = self.run(legs, short, FIRST_LOOK, judge=False)
        better = _different(fits, self.same)[: (len(legs) + 1) // 2]
        further = [_Leg(i, fit, fit.n_iter) for i in better if isinstance(fit := fits[i], FitResult) and self._unfinished(fit)]
        for leg, fit in zip(further, self.run(further, short, SCREENING_ITERATIONS - FIRST_LOOK, judge=False), strict=True):
            if isinstance(fit, FitResult):  # one that fails there, or is called off, stays as it was
                fits[leg.number] = fit
        return fits

    def judged(self, fit: FitResult | FailedStart) -> FitResult | FailedStart:
        """A short run with its degenerate components named."""
        if isinstance(fit, FailedStart):
            return fit
        return replace(fit, degenerate=degenerate_components(fit.mixture, self.family, self.regularisation, self.survey))

    # ---- the rounds --------------------------------------------------------------------------------------------

    def finish(self, short: Sequence[FitResult | FailedStart]) -> SearchResult:
        """The best few short runs of different likelihood run on, in rounds, until one is sound and at its end."""
        ranked = _different(short, self.same)
        fits = [self.judged(fit) if number in ranked else fit for number, fit in enumerate(short)]
        rule = self.plan.stopping
        compared = rule.without_certificate() if isinstance(rule, RemainingGain) else rule
        waiting = sorted(ranked, key=lambda number: not _sound(fits[number]))
        entered: list[int] = []
        while waiting and not self.stopped.is_set() and not any(_sound(fits[number]) for number in entered):
            if entered and not self.plan.finishes_degenerate and not _sound(fits[waiting[0]]):
                break  # all that wait are degenerate already
            entering, waiting = waiting[:POLISHED], waiting[POLISHED:]
            entered = sorted([*entered, *entering])  # in the order of the starts, so that the earlier of two equals wins
            running, length = (
                [number for number in entering if not (self.plan.brisk and self._hopeless(fits, number, entered))],
                FIRST_ROUND,
            )
            while running and not self.stopped.is_set():
                self._round(fits, running, length, compared)
                running, length = [number for number in running if self._goes_on(fits, number, entered)], 2 * length
        best = self._to_its_end(fits, entered)
        return SearchResult(best, tuple(fits))

    def _to_its_end(self, fits: list[FitResult | FailedStart], entered: Sequence[int]) -> FitResult:
        """The best of the race, run on until the stopping rule holds with its certificate; the next best where it degenerates."""
        while True:
            best = _best([fits[number] for number in entered] or fits, self.same)
            wanted = not best.degenerate or self.plan.finishes_degenerate
            if not (entered and wanted and self._unfinished(best)) or self.stopped.is_set():
                return best
            number = next(number for number in entered if fits[number] is best)
            self._round(fits, [number], self.plan.max_iter, self.plan.stopping)

    def _round(self, fits: list[FitResult | FailedStart], running: Sequence[int], length: int, stopping: StoppingRule) -> None:
        """Some of the fits, a number of iterations further; one that fails there stays as it was."""
        legs = [_Leg(number, fit, fit.n_iter) for number in running if isinstance(fit := fits[number], FitResult)]
        for leg, fit in zip(legs, self.run(legs, stopping, length, judge=True), strict=True):
            if isinstance(fit, FitResult):
                fits[leg.number] = fit

    def _goes_on(self, fits: Sequence[FitResult | FailedStart], number: int, rivals: Sequence[int]) -> bool:
        """Whether another round is worth while: not at its end, not degenerate, not hopelessly behind."""
        fit = fits[number]
        if not isinstance(fit, FitResult) or fit.degenerate or fit.stop is not StopReason.MAX_ITER or not self._unfinished(fit):
            return False
        return not self._hopeless(fits, number, rivals)

    def _hopeless(self, fits: Sequence[FitResult | FailedStart], number: int, rivals: Sequence[int]) -> bool:
        """Whether a fit is too far behind the best sound one to catch up."""
        fit = fits[number]
        sound = [rival.trace[-1] for i in rivals if isinstance(rival := fits[i], FitResult) and not rival.degenerate]
        if not isinstance(fit, FitResult) or not sound:
            return False
        hope = fit.trace[-1] + HOPE * remaining_gain(list(fit.trace))
        return hope < max(sound) - HOPELESS * self.survey.row_weight

    def _unfinished(self, fit: FitResult) -> bool:
        """Whether a round or the race ended it, and more iterations are allowed."""
        return fit.stop in (StopReason.MAX_ITER, StopReason.OUTRUN) and fit.n_iter < self.plan.max_iter


def _sound(fit: FitResult | FailedStart) -> bool:
    return isinstance(fit, FitResult) and not fit.degenerate


def _different(fits: Iterable[FitResult | FailedStart], same: float) -> list[int]:
    """Numbers of the fits, best first, one for each likelihood: the earliest of those that count as equal."""
    ranked = sorted(
        ((fit.trace[-1], number) for number, fit in enumerate(fits) if isinstance(fit, FitResult)), key=lambda item: -item[0]
    )
    chosen: list[int] = []
    while ranked:
        level = ranked[0][0] - same
        equal = [number for value, number in ranked if value >= level]
        chosen.append(min(equal))
        ranked = ranked[len(equal) :]
    return chosen


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


def in_parallel(work: Callable[[Item], Answer], items: Sequence[Item], workers: int, stopped: threading.Event) -> list[Answer]:
    """Answers in the order of the items; Ctrl-C sets ``stopped`` and lets the workers end by themselves."""
    if workers == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        futures: list[Future[Answer]] = []
        while len(futures) < len(items) or not all(future.done() for future in futures):
            try:
                while len(futures) < len(items):  # the first worker may be far on before the last one is asked
                    futures.append(pool.submit(work, items[len(futures)]))
                wait(futures, timeout=WAKE_SECONDS)
                if any(future.done() and future.exception() for future in futures):
                    stopped.set()  # an error, for example of a callback, is not held back until all others are done
            except KeyboardInterrupt:
                stopped.set()
        return [future.result() for future in futures]


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
