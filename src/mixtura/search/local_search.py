"""A local search from the best optimum of the starts: one component is removed, another is split.

Where components are many, many of them are misplaced at once: they are swapped first, many at a
time (:mod:`mixtura.search.swaps`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic

import numpy as np

from mixtura.backends import ROWS_WORTH_A_THREAD
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import Start
from mixtura.model.fit_result import FitResult
from mixtura.model.start_report import RunReport
from mixtura.search.budget import Budget, Plan
from mixtura.search.responsibilities import Responsibilities
from mixtura.search.runs import SHORT, Runs, Task
from mixtura.search.split_merge import (
    NEGLIGIBLE,
    Proposal,
    exchanges,
    perturbations,
    removals,
    splits,
)
from mixtura.search.starts import NamedStart
from mixtura.search.successive_halving import successive_halving
from mixtura.search.swaps import Swaps, swapped

MOST_ROUNDS, NEAR = 6, 5.0
"""Rounds at most. Each begins at the best optimum that was no origin yet, unless its score is
further than this below the best one.
"""

SMALLER = 2
"""Optima of one component less that are split in each round."""

PROPOSALS_AT_ONCE = 8
"""Proposals between two checks of the budget; a constant, so that workers change nothing."""

REACHED_AGAIN = 12
"""Runs to the best optimum after which the search ends: starts, and proposals that change its
components.
"""

COST_OF_A_RUN = 50_000
"""What a run costs beside its iterations, in the budget's units of work."""

COST_OF_A_SWAP = 30
"""What a trial of all swaps costs, in iterations of EM."""

MANY = 10
"""Components from which on they are swapped, many at once."""

SWAPS_IN_VAIN = 3
MOST_SWAPS, MOST_SWAPS_ON_A_SAMPLE = 100, 10
"""Swaps end after so many in a row without a gain, or so many in all."""


def are_many(K: int) -> bool:
    """Whether components are so many that they are swapped, many at once."""
    return K >= MANY


@dataclass(eq=False)
class LocalSearch:
    """The optima found so far, and the work it took.

    Attributes
    ----------
    runs : Runs
    best : FitResult
    found : list of FitResult
        Every end, in the order in which they were found.
    times : int
        Runs that ended at the best optimum.
    log : list of RunReport
        What became of every proposal.
    spent : float
        Units of work.
    """

    runs: Runs
    best: FitResult
    found: list[FitResult] = field(default_factory=list)
    times: int = 1
    log: list[RunReport] = field(default_factory=list)
    spent: float = 0.0

    def run(self, budget: Budget, rng: np.random.Generator) -> None:
        """Rounds, until no optimum near the best one is left or the budget is spent."""
        end = monotonic() + budget.seconds
        work = budget.work(self.runs.dataset.source.n_rows, self.runs.work_of(self.best))

        def over() -> bool:
            if self.spent >= work or self.times >= REACHED_AGAIN:
                return True
            return monotonic() >= end or self.runs.stopped.is_set()

        averages = self.runs.problem.regularisation.averages  # which leaves components without rows
        if are_many(self.best.n_components) and not averages:
            self._swap(rng, over)
        if averages:
            self._remove(over)
        origins: list[float] = []
        for _ in range(MOST_ROUNDS):
            origin = self._origin(origins)
            if origin is None or over():
                return
            origins.append(origin.objective)
            for proposals in _some_at_a_time(exchanges(self.runs.problem, origin.mixture)):
                if over():
                    return
                self._try(proposals)
            seen = self._responsibilities(origin)
            room = [origin] if seen.n_components < origin.n_components else []
            for smaller in [*self._smaller(seen), *room]:
                for proposals in self._splits(smaller, rng):
                    if over():
                        return
                    self._try(proposals, tells=smaller is not origin)
            self._try(possible(perturbations(seen, rng)))

    def _origin(self, earlier: Sequence[float]) -> FitResult | None:
        """The best optimum that was no origin yet, if its score is near the best one."""
        level = self.best.score - NEAR * self.runs.dataset.row_weight
        near = [fit for fit in (self.best, *self.found) if fit.score >= level and fit.is_valid]
        same = self.runs.same
        new = [fit for fit in near if all(abs(fit.objective - old) > same for old in earlier)]
        return max(new, key=lambda fit: fit.score, default=None)

    def _responsibilities(self, fit: FitResult) -> Responsibilities:
        """One pass over the rows, for the components that have any."""
        dataset = self._runs_of(fit.n_components).dataset
        used = self.runs.problem.regularisation.in_use(fit.mixture)
        return Responsibilities.of(dataset, used, NEGLIGIBLE)

    def _filled(self, start: Start) -> Start:
        """A start of as many components as the problem has, where some may be without rows."""
        if isinstance(start, FitResult):
            return start
        return self.runs.problem.regularisation.filled(start, self.best.n_components)

    def _runs_of(self, K: int) -> Runs:
        """Runs of K components; fewer than there are classes do not know of them."""
        dataset = self.runs.dataset
        if dataset.n_classes <= K or self.runs.problem.regularisation.averages:
            return self.runs
        return replace(self.runs, problem=self.runs.problem.with_data(dataset.unlabelled))

    def _remove(self, over: Callable[[], bool]) -> None:
        """One component after the other is left without rows, as long as that gains."""
        level = -inf
        while self.best.score > level + self.runs.same and not over():
            level = self.best.score
            self._smaller(self._responsibilities(self.best))

    # ---- one component less, one more ------------------------------------------------------------

    def _smaller(self, seen: Responsibilities) -> list[FitResult]:
        """The best optima of one component less, each reached by a removal.

        None where every component has a fixed parameter.
        """
        runs = self._runs_of(seen.n_components - 1)
        if seen.n_components <= runs.problem.fewest_components:
            return []
        starts = [self._filled(start) for start in removals(seen)]
        halving = successive_halving(runs, starts, -inf, told=False)
        self._pay(halving.fitted)
        for fit in halving.ended:
            if fit.n_components == self.best.n_components:  # one more is without rows
                self._keep(fit)
        return sorted(halving.ended, key=lambda fit: fit.rank, reverse=True)[:SMALLER]

    def _splits(self, fit: FitResult, rng: np.random.Generator) -> Iterator[list[NamedStart]]:
        """Every component of a fit in two, in several ways, some at a time and in random order."""
        values, seen = self.runs.dataset.shared_values, self._responsibilities(fit)
        if seen.n_components == self.best.n_components:  # the one that was left empty has rows
            return iter(())
        return _some_at_a_time(splits(seen, values, rng))

    def _try(self, proposals: Sequence[NamedStart], tells: bool = True) -> None:
        """EM from each proposal as long as it may reach a better score.

        A split that EM takes back does not tell that there is no better optimum.
        """
        names = [name for name, _ in proposals]
        starts = [self._filled(start) for _, start in proposals]
        level = self.best.score if self.best.is_valid else -inf
        halving = successive_halving(self.runs, starts, level, told=False)
        self._pay(halving.fitted)
        self.log.extend(halving.log(names, self.runs, proposed=True))
        for fit in halving.ended:
            self._keep(fit)
        reached = halving.reached(self.best.score, 2 * self.runs.same)
        again = zip(reached, names, strict=True)
        if tells:
            self.times += sum(at_best and name != "perturbed" for at_best, name in again)

    def _keep(self, fit: FitResult) -> None:
        """An end, perhaps the best one so far."""
        self.found.append(fit)
        better = not self.best.is_valid or fit.score > self.best.score + self.runs.same
        if fit.is_valid and better:
            self.best, self.times = fit, 0

    def _pay(self, fits: Sequence[FitResult]) -> None:
        self.spent += sum(COST_OF_A_RUN + self.runs.work_of(fit) for fit in fits)

    # ---- many components at once -----------------------------------------------------------------

    def _swap(self, rng: np.random.Generator, over: Callable[[], bool]) -> None:
        """Swaps, each followed for a few iterations, as long as they gain; then to the end."""
        runs, fit, in_vain = self.runs, self.best, 0
        for _ in range(MOST_SWAPS):
            if in_vain == SWAPS_IN_VAIN or over():
                break
            swaps, new = _after_swaps(runs, fit, rng, drawn=in_vain > 0, speculative=True)
            self.spent += COST_OF_A_SWAP * runs.work_of(replace(fit, n_iter=1))
            in_vain += 1
            if swaps is None or new is None:
                continue
            self._pay([new])
            if new.objective > fit.objective + runs.same:
                fit, in_vain = new, 0
            elif not swaps.sure:  # more iterations may gain
                self._try([("swap", swaps.moments)])
                if self.best.objective > fit.objective + runs.same:
                    fit, in_vain = self.best, 0
        if fit is not self.best:
            self._try([("swap", fit)])


def without_one(
    problem: Problem, mixture: Mixture, plan: Plan, stopped: threading.Event
) -> Mixture | None:
    """The best mixture that is reached by the removal of one component; None where none is."""
    runs = Runs(problem, replace(plan, workers=1, callback=None, budget=None), stopped)
    seen = Responsibilities.of(problem.dataset, mixture, NEGLIGIBLE)
    ended = successive_halving(runs, removals(seen), -inf, told=False).ended
    return max(ended, key=lambda fit: fit.rank).mixture if ended else None


def swapped_on_a_sample(runs: Runs, fit: FitResult, rng: np.random.Generator) -> list[FitResult]:
    """Swaps that are sure to gain, one after the other, each followed for a few iterations.

    Others would fit the chance of these rows; the end is sought on more of them.
    """
    found: list[FitResult] = []
    for _ in range(MOST_SWAPS_ON_A_SAMPLE):
        _, new = _after_swaps(runs, fit, rng, drawn=False, speculative=False)
        if new is None or not new.objective > fit.objective + runs.same or runs.stopped.is_set():
            break
        fit = new
        found.append(new)
    return found


def _after_swaps(
    runs: Runs, fit: FitResult, rng: np.random.Generator, drawn: bool, speculative: bool
) -> tuple[Swaps | None, FitResult | None]:
    """Many swaps of a fit at once, and the fit after a few more iterations."""
    many_rows = runs.dataset.source.n_rows >= ROWS_WORTH_A_THREAD
    workers = runs.dataset.backend.threads if many_rows else 1
    swaps = swapped(runs.problem, fit.mixture, rng, drawn, speculative, workers, runs.stopped)
    if swaps is None:
        return None, None
    (new,) = runs.of([Task(0, swaps.moments)], runs.short, SHORT, told=False)
    return swaps, new if isinstance(new, FitResult) else None


def _some_at_a_time(proposals: Sequence[Proposal]) -> Iterator[list[NamedStart]]:
    """Those of some proposals that are possible, between two checks of the budget."""
    for begin in range(0, len(proposals), PROPOSALS_AT_ONCE):
        yield possible(proposals[begin : begin + PROPOSALS_AT_ONCE])


def possible(proposals: Sequence[Proposal]) -> list[NamedStart]:
    """Those of some proposals that are possible."""
    starts = [(name, make()) for name, make in proposals]
    return [(name, start) for name, start in starts if start is not None]
