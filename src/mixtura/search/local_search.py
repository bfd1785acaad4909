"""A local search from the best optimum of the starts: one component is taken out, another is split,
and the best score is kept.

Many components are exchanged first, many at once (:mod:`mixtura.search.swaps`), since many are
misplaced at once.
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
from mixtura.em.em import Start
from mixtura.model.mixture import Mixture
from mixtura.model.results import FitResult
from mixtura.model.start_report import Run
from mixtura.search.multistart import noted, successive_halving
from mixtura.search.runs import SHORT, Effort, Plan, Runs, Task
from mixtura.search.split_merge import Proposal, View, removals
from mixtura.search.swaps import Exchange, exchange

MOST_ROUNDS = 6
NEAR = 5.0
"""Rounds at most. Each leaves one optimum, the best one not left yet: a component is taken out and
the others are split. None sets out from an optimum so many units of score below the best one."""

SMALLER = 2
"""Optima of one component less that are split in each round."""

AT_ONCE = 8
"""Proposals between two looks at what is spent; a constant, so that the number of workers changes
nothing.
"""

REFOUND = 12
"""Runs to the best optimum after which no better one is looked for: starts, and proposals that
change its components.
"""

COST_OF_A_RUN = 50_000
"""What a run costs beside its iterations, in rows of few columns times components."""

COST_OF_AN_EXCHANGE = 30
"""What an exchange costs, in iterations of EM."""

MANY = 10
EXCHANGES_IN_VAIN = 3
MOST_EXCHANGES, MOST_ON_A_SAMPLE = 100, 10
"""So many components are exchanged, many at once, until so many exchanges in a row led nowhere, or
there were so many.
"""


def are_many(K: int) -> bool:
    """Whether components are so many that they are exchanged, many at once."""
    return K >= MANY


@dataclass(eq=False)
class LocalSearch:
    """Optima found so far, and what it has cost to find them.

    Attributes
    ----------
    runs : Runs
    best : FitResult
    found : list of FitResult
        Every end, in the order in which they were found.
    times : int
        Runs that led to the best optimum.
    log : list of Run
        What became of every proposal.
    spent : float
        Rows times components read.
    """

    runs: Runs
    best: FitResult
    found: list[FitResult] = field(default_factory=list)
    times: int = 1
    log: list[Run] = field(default_factory=list)
    spent: float = 0.0

    def go(self, effort: Effort, rng: np.random.Generator) -> None:
        """Rounds, until no optimum near the best one is left or the effort is spent."""
        end = monotonic() + effort.seconds
        work = effort.work(self.runs.dataset.source.n_rows, self.runs.work_of(self.best))

        def over_time() -> bool:
            return monotonic() >= end or self.runs.stopped.is_set()

        def over() -> bool:
            return self.spent >= work or self.times >= REFOUND or over_time()

        if are_many(self.best.n_components):
            self._exchanges(rng, over)
        left: list[float] = []
        for _ in range(MOST_ROUNDS):
            origin = self._origin(left)
            if origin is None or over():
                return
            left.append(origin.objective)
            view = View.of(self.runs.dataset, origin.mixture)
            for smaller in self._smaller(view):
                for proposals in self._splits(smaller, rng):
                    if over():
                        return
                    self._try(proposals)
            self._try(made(view.perturbed(rng)))

    def _origin(self, left: Sequence[float]) -> FitResult | None:
        """The best optimum that was not left yet, if its score is near the best one: where another
        may be hidden behind it.
        """
        level = self.best.score - NEAR * self.runs.dataset.row_weight
        new = [
            fit
            for fit in (self.best, *self.found)
            if fit.score >= level
            and fit.is_answer
            and all(abs(fit.objective - other) > self.runs.same for other in left)
        ]
        return max(new, key=lambda fit: fit.score, default=None)

    # ---- one component less, one more ------------------------------------------------------------

    def _smaller(self, view: View) -> list[FitResult]:
        """The best optima of one component less, each reached by taking one out."""
        race = successive_halving(self.runs, removals(view), -inf, told=False)
        self._pay(race.fitted)
        ended = [fit for fit in race.fitted if fit.soundness]
        return sorted(ended, key=lambda fit: fit.rank, reverse=True)[:SMALLER]

    def _splits(
        self, fit: FitResult, rng: np.random.Generator
    ) -> Iterator[list[tuple[str, Start]]]:
        """Every component of a fit in two, in several ways, some at a time and in random order."""
        proposals = View.of(self.runs.dataset, fit.mixture).splits(
            self.runs.dataset.shared_values, rng
        )
        for begin in range(0, len(proposals), AT_ONCE):
            yield made(proposals[begin : begin + AT_ONCE])

    def _try(self, proposals: Sequence[tuple[str, Start]]) -> None:
        """EM from each proposal as long as it may lead to a better score."""
        names, starts = [name for name, _ in proposals], [start for _, start in proposals]
        race = successive_halving(
            self.runs, starts, self.best.score if self.best.is_answer else -inf, told=False
        )
        self._pay(race.fitted)
        self.log.extend(noted(race, names, self.runs, moved=True))
        for fit in race.fitted:
            if fit.soundness is not None:
                self._keep(fit)
        led = race.reached(self.best.score, 2 * self.runs.same)
        self.times += sum(
            at_best and name != "perturbed" for at_best, name in zip(led, names, strict=True)
        )

    def _keep(self, fit: FitResult) -> None:
        """An end, perhaps the best one so far."""
        self.found.append(fit)
        if fit.is_answer and (
            not self.best.is_answer or fit.score > self.best.score + self.runs.same
        ):
            self.best, self.times = fit, 0

    def _pay(self, fits: Sequence[FitResult]) -> None:
        self.spent += sum(COST_OF_A_RUN + self.runs.work_of(fit) for fit in fits)

    # ---- many components exchanged at once -------------------------------------------------------

    def _exchanges(self, rng: np.random.Generator, over: Callable[[], bool]) -> None:
        """Exchanges, followed for a few steps as long as they lead higher; then on to the end."""
        runs, fit, in_vain = self.runs, self.best, 0
        for _ in range(MOST_EXCHANGES):
            if in_vain == EXCHANGES_IN_VAIN or over():
                break
            found, new = _exchanged(runs, fit, rng, drawn=in_vain > 0, daring=True)
            self.spent += COST_OF_AN_EXCHANGE * runs.work_of(replace(fit, n_iter=1))
            in_vain += 1
            if found is None or new is None:
                continue
            self._pay([new])
            if new.objective > fit.objective + runs.same:
                fit, in_vain = new, 0
            elif not found.sure:  # it may lead higher further on
                self._try([("exchange", found.moments)])
                if self.best.objective > fit.objective + runs.same:
                    fit, in_vain = self.best, 0
        if fit is not self.best:
            self._try([("exchange", fit)])


def without_one(
    problem: Problem, mixture: Mixture, plan: Plan, stopped: threading.Event
) -> Mixture | None:
    """The best mixture that is reached by taking one component out; None where there is none."""
    runs = Runs(problem, replace(plan, workers=1, callback=None, effort=None), stopped)
    race = successive_halving(runs, removals(View.of(problem.dataset, mixture)), -inf, told=False)
    ended = [fit for fit in race.fitted if fit.soundness]
    return max(ended, key=lambda fit: fit.rank).mixture if ended else None


def exchanged_on_a_sample(runs: Runs, fit: FitResult, rng: np.random.Generator) -> list[FitResult]:
    """Exchanges that are sure to gain, one after the other, each followed for a few steps; the end
    is sought on more rows.

    Others would chase the chance of these rows.
    """
    found: list[FitResult] = []
    for _ in range(MOST_ON_A_SAMPLE):
        _, new = _exchanged(runs, fit, rng, drawn=False, daring=False)
        if new is None or not new.objective > fit.objective + runs.same or runs.stopped.is_set():
            break
        fit = new
        found.append(new)
    return found


def _exchanged(
    runs: Runs, fit: FitResult, rng: np.random.Generator, drawn: bool, daring: bool
) -> tuple[Exchange | None, FitResult | None]:
    """Many swaps of a fit at once, and where they lead in a few steps."""
    found = exchange(
        runs.problem,
        fit.mixture,
        rng,
        drawn=drawn,
        daring=daring,
        workers=_threads(runs),
        stopped=runs.stopped,
    )
    if found is None:
        return None, None
    (new,) = runs.of([Task(0, found.moments)], runs.short, SHORT, told=False)
    return found, new if isinstance(new, FitResult) else None


def _threads(runs: Runs) -> int:
    """Threads that try swaps side by side: on few rows they cost more than they save."""
    return runs.dataset.backend.threads if runs.dataset.source.n_rows >= ROWS_WORTH_A_THREAD else 1


def made(proposals: Sequence[Proposal]) -> list[tuple[str, Start]]:
    """Those of some proposals that are possible."""
    starts = [(name, make()) for name, make in proposals]
    return [(name, start) for name, start in starts if start is not None]
