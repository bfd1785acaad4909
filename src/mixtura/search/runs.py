"""Runs of EM on one data set for one family, side by side: what starts and proposals of a search
are both made of.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from mixtura.base.errors import CollapseError
from mixtura.base.parallel import in_parallel
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.effective_parameters import soundness_of
from mixtura.em.em import Callback, Start, em
from mixtura.em.stopping import RemainingGain, SmallGain, StoppingRule, remaining_gain
from mixtura.model.moments import Scatter
from mixtura.model.results import FailedStart, FitResult, Iteration, StopReason
from mixtura.model.start_report import RunEnd

SAME_OPTIMUM = 0.01
"""Two fits whose log-likelihoods differ by less are at the same optimum."""

SHORT = 10
SHORT_GAIN = 0.05
"""A short run is ten iterations, or fewer where one gains less than this."""

HOPE = 10.0
HOPELESS = 0.5
"""A run is hopeless when ten times what its trace says is left to gain would still be half a unit
short of the best score.
"""

FAR_GAINS = 50.0
"""A run so short that its trace tells no rate may gain so many times its last gain."""


@dataclass(frozen=True)
class Effort:
    """What a local search may cost, in units of work: one row of few columns read under one
    component (:meth:`Runs.work_of`).

    It ends after ``fits`` plain fits of the same model to all rows, but on small data not before
    ``least``, which falls to nothing at ``MANY_ROWS``; and after ``seconds`` by the clock, with
    which the same seed no longer gives the same bits. ``size`` is how many times as many all rows
    are, where a sample is searched.
    """

    fits: float = 1.5
    least: float = 4e7
    seconds: float = inf
    size: float = 1.0

    def work(self, n_rows: int, a_fit: float) -> float:
        """Work for a model of which the best fit took so much."""
        return max(
            self.fits * self.size * a_fit,
            self.least * max(0.0, 1.0 - self.size * n_rows / MANY_ROWS),
        )


FEW_COLUMNS = 6
"""With full covariances of more columns a row costs as many times more. (In time it is their
square; but among 300 columns a search that is cut short by that ends at a wrong partition.)"""

MANY_ROWS = 15_000
"""Rows from which on a search may cost no more than some plain fits."""


@dataclass(frozen=True)
class Plan:
    """How to run EM from each start of a search.

    ``screened`` runs all starts shortly and follows them as long as they may lead to the best
    score; otherwise every start runs to the end. ``effort`` is what a screened search may spend on
    a local search from the best optimum of its starts; None is none.
    """

    stopping: StoppingRule
    max_iter: int
    screened: bool
    workers: int = 1
    callback: Callback | None = None
    accelerated: bool = False
    effort: Effort | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """A start, or a fit to go on from after the iterations it has had in this search."""

    number: int
    start: Start
    done: int = 0


@dataclass(frozen=True, eq=False)
class Runs:
    """How runs on these data for this family are made, and what is said of them."""

    problem: Problem
    plan: Plan
    stopped: threading.Event

    @property
    def dataset(self) -> Dataset:
        """The rows."""
        return self.problem.dataset

    def of(
        self,
        tasks: Sequence[Task],
        stopping: StoppingRule,
        length: int,
        *,
        judge: bool = False,
        told: bool = True,
    ) -> list[FitResult | FailedStart]:
        """EM on each leg for some iterations, of which the plan's callback is ``told``."""
        callback = self.plan.callback if told else None
        return in_parallel(
            lambda task: self._em(task, stopping, length, judge, callback),
            tasks,
            self.plan.workers,
            self.stopped,
        )

    def _em(
        self, task: Task, stopping: StoppingRule, length: int, judge: bool, told: Callback | None
    ) -> FitResult | FailedStart:

        def callback(iteration: Iteration) -> None:
            if told is not None:
                told(replace(iteration, number=task.done + iteration.number))

        if self.stopped.is_set():
            return FailedStart(task.number, StopReason.INTERRUPTED.value)
        try:
            fit = em(
                self.problem,
                task.start,
                stopping=stopping,
                max_iter=min(length, self.plan.max_iter - task.done),
                callback=None if told is None else callback,
                start_number=task.number,
                judge=judge,
                accelerated=self.plan.accelerated and not isinstance(stopping, SmallGain),
                stopped=self.stopped.is_set,
            )
        except CollapseError as collapse:
            return FailedStart(task.number, str(collapse))
        if fit.stop is StopReason.INTERRUPTED:
            self.stopped.set()
        return replace(fit, n_iter=task.done + fit.n_iter)

    def work_of(self, fit: FitResult) -> float:
        """What the iterations of a fit cost, in rows of few columns under one component."""
        d = self.dataset.source.n_features
        width = max(1.0, d / FEW_COLUMNS) if self.problem.family.needs is Scatter.DENSE else 1.0
        return width * fit.n_iter * self.dataset.source.n_rows * fit.n_components

    @property
    def short(self) -> StoppingRule:
        """Good enough to rank runs that have hardly begun."""
        return SmallGain(SHORT_GAIN * self.dataset.row_weight)

    @property
    def compared(self) -> StoppingRule:
        """For runs that are only compared: of the best one alone the certificate is asked."""
        rule = self.plan.stopping
        return rule.without_certificate() if isinstance(rule, RemainingGain) else rule

    @property
    def same(self) -> float:
        """Likelihoods that differ by less are at the same optimum."""
        return SAME_OPTIMUM * self.dataset.row_weight

    def judged(self, fit: FitResult) -> FitResult:
        """A fit with its components judged."""
        if fit.soundness is not None:
            return fit
        moments = fit.moments or self.dataset.backend.moments(
            self.dataset.source, fit.mixture, self.problem.family.needs
        )
        return replace(fit, soundness=soundness_of(self.problem, fit.mixture, moments))

    def unfinished(self, fit: FitResult) -> bool:
        """Whether a round or the search ended it, and more iterations are allowed."""
        return (
            fit.stop in (StopReason.MAX_ITER, StopReason.OUTRUN) and fit.n_iter < self.plan.max_iter
        )

    def hopeless(self, fit: FitResult, level: float) -> bool:
        """Whether a run cannot reach a score: its own so far, or its likelihood, with an estimate
        of what is left.
        """
        left = (
            0.0
            if fit.stop not in (StopReason.MAX_ITER, StopReason.OUTRUN)
            else remaining_gain(list(fit.trace))
        )
        if left != left:  # too few iterations to tell
            left = FAR_GAINS / HOPE * (fit.trace[-1] - fit.trace[-2]) if len(fit.trace) > 1 else inf
        return fit.score + HOPE * left < level - HOPELESS * self.dataset.row_weight

    def end_of(self, fit: FitResult | FailedStart) -> RunEnd:
        """What became of a run."""
        if isinstance(fit, FailedStart):
            return (
                RunEnd.UNFINISHED if fit.reason == StopReason.INTERRUPTED.value else RunEnd.FAILED
            )
        if fit.stop is StopReason.COLLAPSED:
            return RunEnd.FAILED
        if fit.stop is StopReason.INTERRUPTED or (
            fit.stop is StopReason.MAX_ITER and fit.n_iter >= self.plan.max_iter
        ):
            return RunEnd.UNFINISHED
        return RunEnd.DROPPED if fit.stop is StopReason.MAX_ITER else RunEnd.REACHED
