"""Runs of EM on one problem, side by side: the material of every search."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mixtura.base.errors import CollapseError
from mixtura.base.parallel import in_parallel
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.effective_parameters import soundness_of
from mixtura.em.em import Callback, Start, em
from mixtura.em.stopping import RemainingGain, SmallGain, StoppingRule, predicted_gain
from mixtura.model.fit_result import FailedStart, FitResult, Iteration, StopReason
from mixtura.model.start_report import RunEnd
from mixtura.search.budget import Plan

SAME_OPTIMUM = 0.01
"""Two fits whose log-likelihoods differ by less are at the same optimum."""

SHORT = 10
SHORT_GAIN = 0.05
"""A short run is ten iterations, or fewer where one gains less than this."""

POSSIBLE_GAIN, MARGIN = 10.0, 0.5
"""A run is given up when so many times its remaining gain, as its trace predicts it, would still
be this much (log-likelihood) short of the best score.
"""

FEW_COLUMNS = 6
"""With full covariances of more columns a row costs as many times more. (In time it is their
square; but among 300 columns a search that is cut short by that ends at a wrong partition.)
"""


@dataclass(frozen=True, eq=False)
class Task:
    """A start, or a fit to go on from after the iterations it has had in this search."""

    number: int
    start: Start
    done: int = 0


@dataclass(frozen=True, eq=False)
class Runs:
    """How runs of a problem are made, and how they are compared."""

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
        """EM from each task for some iterations, which the plan's callback may be ``told``."""
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
        """For runs that are only compared: the best one alone gets a certificate."""
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
            fit.stop in (StopReason.MAX_ITER, StopReason.STOPPED_EARLY)
            and fit.n_iter < self.plan.max_iter
        )

    def cannot_reach(self, fit: FitResult, level: float) -> bool:
        """Whether a run will not reach a score: with its own one, or its likelihood, so far."""
        ended = fit.stop not in (StopReason.MAX_ITER, StopReason.STOPPED_EARLY)
        gain = 0.0 if ended else POSSIBLE_GAIN * predicted_gain(fit.trace)
        return fit.score + gain < level - MARGIN * self.dataset.row_weight

    def end_of(self, fit: FitResult | FailedStart) -> RunEnd:
        """What became of a run."""
        if isinstance(fit, FailedStart):
            interrupted = fit.reason == StopReason.INTERRUPTED.value
            return RunEnd.UNFINISHED if interrupted else RunEnd.FAILED
        if fit.stop is StopReason.COLLAPSED:
            return RunEnd.FAILED
        if fit.stop is StopReason.INTERRUPTED:
            return RunEnd.UNFINISHED
        if fit.stop is not StopReason.MAX_ITER:
            return RunEnd.REACHED
        return RunEnd.UNFINISHED if fit.n_iter >= self.plan.max_iter else RunEnd.DROPPED
