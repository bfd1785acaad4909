"""Runs of EM on one data set for one family, side by side: what a race of starts and moves from an optimum are both made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol, TypeGuard, TypeVar, overload

from mixtura.degeneracy import degenerate_components
from mixtura.em import Callback, Start, em
from mixtura.errors import CollapseError
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation
from mixtura.results import Degeneracy, FailedStart, FitResult, Iteration, StopReason
from mixtura.start_report import RunEnd
from mixtura.stopping import RemainingGain, SmallGain, StoppingRule, remaining_gain
from mixtura.survey import Survey

SAME_OPTIMUM = 0.01
"""Two fits whose log-likelihoods differ by less are at the same optimum."""

SCREENING_GAIN = 0.05
FIRST_LOOK = 10
"""A short run is ten iterations, or fewer where one gains less than this."""

FIRST_ROUND = 40
"""Iterations of the first round after the short runs; each further one is twice as long."""

HOPE = 10.0
HOPELESS = 0.5
"""A fit leaves the search when ten times what its trace says is left to gain would still be half a unit of log-likelihood short."""

AGAIN_AND_AGAIN = 5
"""Runs from drawn rows that end at the best optimum, and say that there is hardly a better one. Of 180
searches of the open sets that heed them one ended lower than without, and they made two thirds of the moves."""

FEWEST_IN_VAIN = 100
"""Moves in vain before a search ends for that reason, so that with two components, too, each kind of move is tried some times."""

MANY_ROWS = 10_000
"""Rows from which on a search may cost no more than some plain fits."""

WAKE_SECONDS = 0.2
"""A thread that waits without end may never hear of Ctrl-C, so the waiting one wakes up this often."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Effort:
    """What moves (:mod:`mixtura.moves`) may cost, in units of work: one row read under one component.

    They end after ``fits`` plain fits of the same model to all rows, but on small data not before ``least``, which falls to
    nothing at ``MANY_ROWS``; after ``patience`` moves in a row, for each component, that led nowhere, or ``assured`` ones where the
    best optimum is the one that starts from drawn rows find again and again; and after ``seconds`` by the clock, with which the
    same seed no longer gives the same bits. ``size`` is how many times as many all rows are. With a number of ``exchanges``, many
    components are exchanged so often at most, where that is sure to gain, and nothing else is tried.
    """

    fits: float = 1.5
    least: float = 1.5e8
    patience: int = 300
    assured: int = 20
    seconds: float = inf
    size: float = 1.0
    exchanges: int | None = None

    def patience_after(self, again: int, K: int) -> int:
        """Moves in vain, after the best optimum was reached so often from drawn rows."""
        whole = self.patience * K
        return min(max(self.assured * K, FEWEST_IN_VAIN), whole) if again >= AGAIN_AND_AGAIN else whole

    def work(self, n_rows: int, K: int, n_iter: int) -> float:
        """Work for a model whose best fit took so many iterations."""
        return max(self.fits * n_iter * self.size * n_rows * K, self.at_least(n_rows))

    def at_least(self, n_rows: int) -> float:
        """Work that small data may cost, however short a fit is."""
        return self.least * max(0.0, 1.0 - self.size * n_rows / MANY_ROWS)


@dataclass(frozen=True)
class Plan:
    """How to run EM from each start of a search.

    ``screened`` runs all starts shortly and only the best few to the end; otherwise every start runs to the end.
    ``finishes_degenerate`` runs the best fit to its end even where all are degenerate, for a person who asked for just this model.
    ``brisk`` lets those that are too far behind leave after the short runs already, before any round.
    ``effort`` is what a screened search may spend on moves away from the best optimum of its starts; None is no moves.
    """

    stopping: StoppingRule
    max_iter: int
    screened: bool
    workers: int = 1
    callback: Callback | None = None
    finishes_degenerate: bool = True
    accelerated: bool = False
    brisk: bool = False
    effort: Effort | None = None


class Ended(Protocol):
    """What is asked of a run at its end; a fit, or what will be one."""

    @property
    def stop(self) -> StopReason:
        """Why."""
        ...

    @property
    def n_iter(self) -> int:
        """After how many iterations."""
        ...

    @property
    def degenerate(self) -> tuple[Degeneracy, ...]:
        """Which components may not stay."""
        ...


@dataclass(frozen=True, eq=False)
class Leg:
    """A start, or a fit to go on from after the iterations it has had in this search."""

    number: int
    start: Start
    done: int = 0


@dataclass(frozen=True, eq=False)
class Runs:
    """How runs on these data for this family are made, and what is said of them."""

    survey: Survey
    family: Family
    regularisation: Regularisation
    plan: Plan
    stopped: threading.Event

    def of(
        self, legs: Sequence[Leg], stopping: StoppingRule, length: int, judge: bool, told: bool = True
    ) -> list[FitResult | FailedStart]:
        """EM on each leg for some iterations, of which the plan's callback is ``told``."""
        callback = self.plan.callback if told else None
        return in_parallel(lambda leg: self._em(leg, stopping, length, judge, callback), legs, self.plan.workers, self.stopped)

    def _em(self, leg: Leg, stopping: StoppingRule, length: int, judge: bool, told: Callback | None) -> FitResult | FailedStart:

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

    @property
    def short(self) -> StoppingRule:
        """Good enough to rank runs that have hardly begun."""
        return SmallGain(SCREENING_GAIN * self.survey.row_weight)

    @property
    def compared(self) -> StoppingRule:
        """For runs that are only compared: of the best one alone the certificate is asked."""
        rule = self.plan.stopping
        return rule.without_certificate() if isinstance(rule, RemainingGain) else rule

    @property
    def same(self) -> float:
        """Likelihoods that differ by less are at the same optimum."""
        return SAME_OPTIMUM * self.survey.row_weight

    @overload
    def judged(self, fit: FitResult) -> FitResult: ...

    @overload
    def judged(self, fit: FitResult | FailedStart) -> FitResult | FailedStart: ...

    def judged(self, fit: FitResult | FailedStart) -> FitResult | FailedStart:
        """A short run with its degenerate components named."""
        if isinstance(fit, FailedStart):
            return fit
        return replace(fit, degenerate=degenerate_components(fit.mixture, self.family, self.regularisation, self.survey))

    def unfinished(self, fit: FitResult) -> bool:
        """Whether a round or the race ended it, and more iterations are allowed."""
        return fit.stop in (StopReason.MAX_ITER, StopReason.OUTRUN) and fit.n_iter < self.plan.max_iter

    def end_of(self, fit: Ended | FailedStart, followed: bool) -> RunEnd:
        """What became of a run that was ``followed`` as long as it was worth while, or else dropped after its short run."""
        if isinstance(fit, FailedStart):
            return RunEnd.UNFINISHED if fit.reason == StopReason.INTERRUPTED.value else RunEnd.FAILED
        if fit.degenerate:
            return RunEnd.DEGENERATE
        if fit.stop is StopReason.COLLAPSED:
            return RunEnd.FAILED
        if not followed:
            return RunEnd.DROPPED
        if fit.stop is StopReason.INTERRUPTED or (fit.stop is StopReason.MAX_ITER and fit.n_iter >= self.plan.max_iter):
            return RunEnd.UNFINISHED
        return RunEnd.DROPPED if fit.stop is StopReason.MAX_ITER else RunEnd.REACHED

    def hopeless(self, fit: FitResult, level: float) -> bool:
        """Whether a fit is too far behind to catch up with a level."""
        return fit.trace[-1] + HOPE * remaining_gain(list(fit.trace)) < level - HOPELESS * self.survey.row_weight

    def goes_on(self, fit: FitResult | FailedStart, level: float) -> bool:
        """Whether another round is worth while: not at its end, not degenerate, not hopelessly behind a level."""
        if not is_sound(fit) or fit.stop is not StopReason.MAX_ITER or not self.unfinished(fit):
            return False
        return not self.hopeless(fit, level)


def is_sound(fit: FitResult | FailedStart) -> TypeGuard[FitResult]:
    """Whether a fit may win."""
    return isinstance(fit, FitResult) and not fit.degenerate and fit.stop is not StopReason.COLLAPSED


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
