"""Successive halving of runs: all run shortly, and those that may win run on, in longer rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

from mixtura.em.em import Start
from mixtura.model.fit_result import FailedStart, FitResult, StopReason
from mixtura.model.start_report import RunReport
from mixtura.search.runs import SHORT, Runs, Task

AGREED, AGREEMENT = 5, 2 / 3
"""Starts agree on the best optimum when so many, and this part of them, have reached it: no more
are drawn.
"""

FIRST_ROUND = 40
"""Iterations of the first round after the short runs; each further one is twice as long."""


@dataclass(frozen=True, eq=False)
class Halving:
    """What became of some starts.

    Attributes
    ----------
    fits : list of FitResult or FailedStart
    leaders : list of int
        For each start the number of the first one with the same objective early on, whose run
        stands for both.
    early : list of float
        Their objectives early on; NaN where there is none.
    """

    fits: list[FitResult | FailedStart]
    leaders: list[int]
    early: list[float]

    @classmethod
    def apart(cls, fits: Sequence[FitResult | FailedStart]) -> Halving:
        """Runs of which none stands for another."""
        return cls(list(fits), list(range(len(fits))), [nan] * len(fits))

    def reached(self, score: float, same: float) -> list[bool]:
        """Which starts ended at this score, perhaps by the run of another."""
        ended = [
            isinstance(fit, FitResult)
            and fit.soundness is not None
            and abs(fit.score - score) <= same
            for fit in self.fits
        ]
        return [ended[leader] for leader in self.leaders]

    @property
    def ended(self) -> list[FitResult]:
        """The judged fits, once each."""
        return [fit for fit in self.fitted if fit.soundness is not None]

    @property
    def fitted(self) -> list[FitResult]:
        """The fits, once each."""
        return [
            fit
            for i, fit in enumerate(self.fits)
            if self.leaders[i] == i and isinstance(fit, FitResult)
        ]

    def log(self, names: Sequence[str], runs: Runs, proposed: bool = False) -> list[RunReport]:
        """What became of each start, or of the run that stands for it."""
        log = []
        for i, leader in enumerate(self.leaders):
            fit, led = self.fits[i], self.fits[leader]
            name = names[i] if i < len(names) else "given"
            level = led.objective if isinstance(led, FitResult) else nan
            score = led.score if isinstance(led, FitResult) and led.soundness else nan
            n_iter = fit.n_iter if isinstance(fit, FitResult) else 0
            log.append(RunReport(name, proposed, level, score, n_iter, runs.end_of(led)))
        return log


def successive_halving(
    runs: Runs,
    starts: Sequence[Start],
    level: float,
    told: bool = True,
    known: Halving | None = None,
) -> Halving:
    """All starts run shortly, and those that may reach the best score in rounds of growing length.

    A score is never above the likelihood, so a run whose likelihood cannot reach ``level`` is
    dropped. Each end raises the level for the next round. Runs of starts that were ``known`` before
    are not made again.
    """
    known = known or Halving([], [], [])
    tasks = [Task(i, start) for i, start in enumerate(starts, start=len(known.fits))]
    begun = [_begun(fit) for fit in runs.of(tasks, runs.short, SHORT, told=told)]
    fits = [*known.fits, *begun]
    early = [*known.early, *(_objective(fit) for fit in begun)]
    leaders = _leaders(early, runs.same)
    running = {task.number for task in tasks if leaders[task.number] == task.number}
    length = FIRST_ROUND
    while True:
        # By the second round a component that chance has placed is paid for.
        level, going = _judged(runs, fits, running, level, all_of_them=length > FIRST_ROUND)
        running = {i for i, fit in going.items() if not runs.cannot_reach(fit, level)}
        if not running or runs.stopped.is_set():
            return Halving(fits, leaders, early)
        further = [Task(i, going[i], going[i].n_iter) for i in sorted(running)]
        for task, fit in zip(
            further, runs.of(further, runs.compared, length, told=told), strict=True
        ):
            fits[task.number] = _followed(going[task.number], fit)
        length *= 2


def _judged(
    runs: Runs,
    fits: list[FitResult | FailedStart],
    running: set[int],
    level: float,
    all_of_them: bool,
) -> tuple[float, dict[int, FitResult]]:
    """The best score with the runs that have ended, and those that go on.

    Fits that have ended and may be the best one are judged in place, or all of them.
    """
    going: dict[int, FitResult] = {}
    for i in sorted(running):
        fit = fits[i]
        if not isinstance(fit, FitResult):
            continue
        if _goes_on(runs, fit):
            going[i] = fit
        elif fit.objective > level - runs.same:
            fits[i] = fit = runs.judged(fit)
            level = max(level, fit.score) if fit.is_valid else level
    if all_of_them:
        going = {i: runs.judged(fit) for i, fit in going.items()}
        for i, fit in going.items():
            fits[i] = fit
    return level, going


def _objective(fit: FitResult | FailedStart) -> float:
    return fit.objective if isinstance(fit, FitResult) else nan


def _begun(fit: FitResult | FailedStart) -> FitResult | FailedStart:
    """A short run is never at its end, however little its last iteration gained."""
    if isinstance(fit, FitResult) and fit.stop is StopReason.SMALL_CHANGE:
        return replace(fit, stop=StopReason.MAX_ITER)
    return fit


def _followed(before: FitResult, after: FitResult | FailedStart) -> FitResult:
    """A run after one more round; one that failed there, or was interrupted, stays where it was."""
    if isinstance(after, FitResult):
        return after
    interrupted = after.reason == StopReason.INTERRUPTED.value
    return replace(before, stop=StopReason.INTERRUPTED if interrupted else StopReason.COLLAPSED)


def _goes_on(runs: Runs, fit: FitResult) -> bool:
    """Whether only the length of its round has ended it."""
    return fit.stop is StopReason.MAX_ITER and runs.unfinished(fit)


def _leaders(early: Sequence[float], same: float) -> list[int]:
    """For each run the first one of nearly the same objective early on."""
    leaders = list(range(len(early)))
    for i, level in enumerate(early):
        equal = (j for j in range(i) if leaders[j] == j and abs(level - early[j]) < same)
        leaders[i] = next(equal, i)
    return leaders


def agree(halving: Halving, best: FitResult, same: float) -> bool:
    """Whether enough starts have reached the best optimum that a better one is not expected."""
    found = sum(halving.reached(best.score, 2 * same))  # two runs to one optimum may both be short
    return best.is_valid and found >= max(AGREED, AGREEMENT * len(halving.fits))
