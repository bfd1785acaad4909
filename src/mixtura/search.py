"""Many starts, one best fit. A start that fails is a row with a reason and never loses the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from mixtura.backends import processors
from mixtura.degeneracy import degenerate_components
from mixtura.em import Callback, Start, em
from mixtura.errors import CollapseError
from mixtura.initialisers import Initialiser, KMeansPlusPlus, KMeansStart, RandomRows
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation
from mixtura.results import FailedStart, FitResult, Iteration, SearchResult, StopReason
from mixtura.stopping import SmallGain, StoppingRule
from mixtura.survey import Survey

SAME_OPTIMUM = 0.01
"""Two fits whose log-likelihoods differ by less are at the same optimum."""

SCREENING_GAIN = 0.05
SCREENING_ITERATIONS = 30
POLISHED = 3
"""A screened search runs every start shortly, then the best few of different likelihood to the end."""

DEFAULT_STARTS: tuple[Initialiser, ...] = (
    KMeansStart("standardised"),
    KMeansStart("whitened"),
    KMeansPlusPlus("standardised"),
    KMeansPlusPlus("whitened"),
    RandomRows("standardised"),
    RandomRows("whitened"),
    KMeansPlusPlus("standardised"),
    KMeansPlusPlus("whitened"),
)
"""Kinds of start that fail on different data: k-means on stretched clusters, whitening on round ones."""

ROWS_WORTH_A_THREAD = 20_000
"""Below this, Python's share of an iteration is larger than the kernel's, and starts run one after the other."""

WAKE_SECONDS = 0.2
"""A thread that waits without end may never hear of Ctrl-C, so the waiting one wakes up this often."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Plan:
    """How to run EM from each start of a search.

    ``screened`` runs all starts shortly and only the best few to the end; otherwise every start runs to the end.
    """

    stopping: StoppingRule
    max_iter: int
    screened: bool
    workers: int = 1
    callback: Callback | None = None


def draw_starts(initialisers: Sequence[Initialiser], survey: Survey, K: int, seed: np.random.SeedSequence) -> list[Start]:
    """One start from each initialiser, each with a generator of its own; one component needs no second start."""
    wanted = initialisers[:1] if K == 1 else initialisers
    return [draw(survey, K, np.random.default_rng(child)) for draw, child in zip(wanted, seed.spawn(len(wanted)), strict=True)]


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

    Raises
    ------
    CollapseError
        When no start gave a mixture.
    KeyboardInterrupt
        When Ctrl-C came before the first mixture.
    """
    stopped = stopped or threading.Event()

    def run(number: int, start: Start, stopping: StoppingRule, max_iter: int, judge: bool) -> FitResult | FailedStart:
        def callback(iteration: Iteration) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            if plan.callback is not None:
                plan.callback(iteration)

        if stopped.is_set():
            return FailedStart(number, StopReason.INTERRUPTED.value)
        try:
            fit = em(
                survey,
                start,
                family,
                regularisation,
                stopping=stopping,
                max_iter=max_iter,
                callback=callback,
                start_number=number,
                judge=judge,
            )
        except CollapseError as collapse:
            return FailedStart(number, str(collapse))
        if fit.stop is StopReason.INTERRUPTED:
            stopped.set()
        return fit

    same = SAME_OPTIMUM * survey.row_weight
    alone = len(starts) == 1 or not plan.screened
    short = SmallGain(SCREENING_GAIN * survey.row_weight)
    stopping, max_iter = (plan.stopping, plan.max_iter) if alone else (short, min(SCREENING_ITERATIONS, plan.max_iter))
    fits = in_parallel(lambda job: run(*job, stopping, max_iter, alone), list(enumerate(starts)), plan.workers, stopped)
    if alone:
        return SearchResult(_best(fits, same), tuple(fits))
    if stopped.is_set():  # short runs only: whatever their own reason was to end, the search was interrupted
        fits = [_judged(fit, family, regularisation, survey) for fit in fits]
        return SearchResult(replace(_best(fits, same), stop=StopReason.INTERRUPTED), tuple(fits))

    def finish(number: int, fit: FitResult) -> FitResult | FailedStart:
        return run(number, fit, plan.stopping, plan.max_iter - fit.n_iter, True)

    return _polish(fits, finish, plan.workers, stopped, same)


def _polish(
    fits: list[FitResult | FailedStart],
    run: Callable[[int, FitResult], FitResult | FailedStart],
    workers: int,
    stopped: threading.Event,
    same: float,
) -> SearchResult:
    """The best few screened fits run to the end; more of them, in turn, while all that came out are degenerate."""
    waiting = _different(fits, same)
    everything = list(fits)
    polished: list[int] = []
    judged: list[FitResult | FailedStart] = []
    while waiting:
        now, waiting = waiting[:POLISHED], waiting[POLISHED:]

        def finish(number: int) -> FitResult | FailedStart:
            short = fits[number]
            assert isinstance(short, FitResult)
            longer = run(number, short)
            return replace(longer, n_iter=short.n_iter + longer.n_iter) if isinstance(longer, FitResult) else short

        for number, fit in zip(now, in_parallel(finish, now, workers, stopped), strict=True):
            everything[number] = fit
        polished = sorted([*polished, *now])  # in the order of the starts, so that the earlier of two equals wins
        judged = [everything[number] for number in polished]
        if stopped.is_set() or any(isinstance(fit, FitResult) and not fit.degenerate for fit in judged):
            break
    return SearchResult(_best(judged or fits, same), tuple(everything))


def _different(fits: Iterable[FitResult | FailedStart], same: float) -> list[int]:
    """Numbers of the fits, best first, one for each likelihood."""
    ranked = sorted(
        ((fit, number) for number, fit in enumerate(fits) if isinstance(fit, FitResult)), key=lambda item: -item[0].trace[-1]
    )
    chosen: list[int] = []
    level = float("inf")
    for fit, number in ranked:
        if fit.trace[-1] < level - same:
            chosen.append(number)
            level = fit.trace[-1]
    return chosen


def _judged(
    fit: FitResult | FailedStart, family: Family, regularisation: Regularisation, survey: Survey
) -> FitResult | FailedStart:
    """A short run with its degenerate components named."""
    if isinstance(fit, FailedStart):
        return fit
    return replace(fit, degenerate=degenerate_components(fit.mixture, family, regularisation, survey))


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
        futures = [pool.submit(work, item) for item in items]
        while not all(future.done() for future in futures):
            try:
                wait(futures, timeout=WAKE_SECONDS)
            except KeyboardInterrupt:
                stopped.set()
            if any(future.done() and future.exception() for future in futures):
                stopped.set()  # an error, for example of a callback, is not held back until all others are done
        return [future.result() for future in futures]


def workers_for(survey: Survey, jobs: int, n_threads: int | None) -> int:
    """Starts or Ks run side by side where the kernels, which leave Python free, are most of the time."""
    if survey.backend.name == "reference" or survey.source.n_rows < ROWS_WORTH_A_THREAD:
        return 1
    return min(jobs, n_threads or processors())
