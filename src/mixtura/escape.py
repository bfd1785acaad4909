"""Moves away from the best optimum of a search, one after the other, as long as its effort lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any

import numpy as np

from mixtura.chance import on_few_rows
from mixtura.degeneracy import surely_degenerate
from mixtura.exchange import Exchange, exchange, rows_enough
from mixtura.excursions import FIRST_STEPS, Excursion, excursion_from, excursions
from mixtura.moments import Scatter
from mixtura.moves import MOVES, Depth, drawn_move
from mixtura.results import FitResult, StopReason
from mixtura.runs import Effort, Leg, Runs
from mixtura.start_report import Run, RunEnd
from mixtura.view import View

AT_ONCE = 4
"""Moves from the same optimum that may run side by side; a constant, so that the number of workers changes nothing."""

ORIGINS, FROM_THE_BEST = 20, 0.3
"""Moves set out from so many of the best optima so far, with this chance from the best, else with this one from the second, ..."""

FEWEST_ORIGINS, MOST_MEMBERSHIPS = 3, 1_000_000
"""Of many rows from fewer, so that the memberships of all rows in all of them are no more than these."""

COST_OF_A_RUN = 50_000
"""What a move costs beside its iterations, in rows times components: where rows are few, more than those."""

CROWDED = 10
EXCHANGES_IN_VAIN = 3
"""With so many components many are misplaced at once, and are exchanged together; until so many exchanges in a row led nowhere."""

SEVERAL = 5
EXCHANGES = 10
"""Of so many on some are misplaced by chance, and up to so many exchanges are made where they are sure to gain."""

THOROUGH, EXHAUSTIVE = 100, 1_000
"""Moves that a search must be able to pay for before it looks for small groups of rows, and before it looks for them everywhere,
which it does where the best optimum has a component on few rows already. Those of a sample are chance."""

CRAMPED, DEAR = 3, 5
"""Rows are dealt out one by one where there are no more than so many times those that all components need, and where that costs no
more than so many other moves."""


def is_crowded(K: int) -> bool:
    """Whether components are so many that they are exchanged, many at once."""
    return K >= CROWDED


def are_several(K: int) -> bool:
    """Whether components are so many that some are misplaced by chance, and are exchanged where that is sure to gain."""
    return K >= SEVERAL


@dataclass(eq=False)
class Escape:
    """Optima found so far, and what it has cost to find them.

    Attributes
    ----------
    runs : Runs
    optima : list of FitResult
        Sound fits at different optima, likeliest first.
    fallback : FitResult
        Where moves set out from as long as there is none.
    log : list of Run
        What became of every move.
    spent : float
        Rows times components read.
    """

    runs: Runs
    optima: list[FitResult]
    fallback: FitResult
    log: list[Run] = field(default_factory=list)
    spent: float = 0.0
    _views: dict[int, View] = field(default_factory=dict)

    def go(self, effort: Effort, seed: np.random.SeedSequence) -> None:
        """Moves, until the effort is spent, or too many in a row have led nowhere."""
        rng = np.random.default_rng(seed)
        if effort.exchanges is not None:
            for fit in self._surely_exchanged(self.best, effort.exchanges, rng):
                self._keep_exchanged(fit)
            return
        if is_crowded(self.n_components):
            self._exchange(self.best, effort, rng)
        elif are_several(self.n_components) and effort.size == 1.0 and self._tells_cuts:  # else on a larger sample
            begin = self.best
            self._settled([begin, *self._surely_exchanged(begin, EXCHANGES, rng)][-1], begin)
        in_vain, again, end = 0, 0, monotonic() + effort.seconds
        while not self.runs.stopped.is_set() and in_vain < effort.patience_after(again, self.n_components) and monotonic() < end:
            work = effort.work(self.runs.survey.source.n_rows, self.n_components, self.best.n_iter)
            depth = self._depth(effort, work)
            if self.spent >= work:
                break
            origins = self.optima[: self.n_origins] or [self.fallback]
            view = self._view(origins[min(int(rng.geometric(FROM_THE_BEST)), len(origins)) - 1])
            level = self.level
            ends = excursions(self.runs, view, [drawn_move(view, rng, depth) for _ in range(AT_ONCE)], level)
            for ended in ends:
                self._note(ended)
            if not self.optima:
                self._wander(ends)
            if depth < Depth.EXHAUSTIVE:  # drawn rows never lead to a component on few of them
                again += sum(ended.name == "scatter" and self._is_best(ended.level) for ended in ends)
            if self.level > level + self.runs.same:
                in_vain, again = 0, 0
            else:
                in_vain += AT_ONCE

    # ---- many swaps at once, where there are many components -----------------------------------------------------

    def _exchange(self, fit: FitResult, effort: Effort, rng: np.random.Generator) -> None:
        """Exchanges, followed for a few steps, as long as they lead higher, or to its end where one may; then on to the end."""
        runs = self.runs
        begin, in_vain, end = fit, 0, monotonic() + effort.seconds
        while in_vain < EXCHANGES_IN_VAIN and monotonic() < end and not runs.stopped.is_set():
            found = self._swapped(fit, rng, drawn=in_vain > 0, daring=True)
            legs = [] if found is None else [Leg(0, found.moments)]
            news = [new for new in runs.of(legs, runs.short, FIRST_STEPS, False, False) if isinstance(new, FitResult)]
            in_vain += 1
            for new in news:
                if new.trace[-1] > fit.trace[-1] + runs.same:
                    fit, in_vain = new, 0
                elif found is not None and not found.sure:
                    begin = fit = self._settled(fit, begin)
                    self._note(excursion_from(runs, "exchange", new, fit.trace[-1]))
                    if self.level > fit.trace[-1] + runs.same:
                        begin, fit, in_vain = self.optima[0], self.optima[0], 0
        self._settled(fit, begin)

    def _surely_exchanged(self, fit: FitResult, times: int, rng: np.random.Generator) -> Iterator[FitResult]:
        """One after the other, exchanges that are sure to gain, each followed for a few steps."""
        runs = self.runs
        for _ in range(times):
            found = self._swapped(fit, rng, drawn=False, daring=False)
            if found is None or runs.stopped.is_set():
                return
            (new,) = runs.of([Leg(0, found.moments)], runs.short, FIRST_STEPS, judge=True, told=False)
            if not isinstance(new, FitResult) or not self._is_better(new, fit):
                return
            fit = new
            yield fit

    def _keep_exchanged(self, fit: FitResult) -> None:
        """A fit whose end is sought on other rows, as if it had come to it."""
        end = RunEnd.DEGENERATE if fit.degenerate else RunEnd.REACHED
        self.optima = self.optima if fit.degenerate else [fit, *self.optima]
        self.log.append(Run("exchange", True, fit.trace[-1], fit.n_iter, end))

    def _swapped(self, fit: FitResult, rng: np.random.Generator, drawn: bool, daring: bool) -> Exchange | None:
        """Where some swaps of a fit lead; it is paid for with the first steps that follow."""
        runs, K = self.runs, fit.n_components
        self.spent += K * COST_OF_A_RUN + FIRST_STEPS * runs.survey.source.n_rows * K
        workers = runs.survey.backend.threads
        data = (runs.survey, fit.mixture, runs.family, runs.regularisation)
        return exchange(*data, rng, drawn=drawn, daring=daring, workers=workers, stopped=runs.stopped)

    def _settled(self, fit: FitResult, begin: FitResult) -> FitResult:
        """The best optimum after a fit was followed to its end, unless it is where it began."""
        if fit is not begin:
            self._note(excursion_from(self.runs, "exchange", fit, self.level))
        return self.optima[0] if self.optima else fit

    def _wander(self, ends: Sequence[Excursion]) -> None:
        """As long as every fit is degenerate, go on from the last one that is so in no more components."""
        for ended in ends:
            if ended.n_iter > 0:
                fit = self.runs.judged(ended.fit())
                if 0 < len(fit.degenerate) <= (len(self.fallback.degenerate) or self.n_components):
                    self.fallback = fit

    # ---- one round of moves ------------------------------------------------------------------------------------

    def _view(self, fit: FitResult) -> View:
        """A fit row by row, made once as long as it is one of the origins."""
        if id(fit) not in self._views:
            kept = {id(origin) for origin in self.optima[: self.n_origins]}
            self._views = {key: view for key, view in self._views.items() if key in kept}
            degenerate = tuple(item.component for item in fit.degenerate)
            self._views[id(fit)] = View.of(self.runs.survey, fit.mixture, degenerate, **self._of_the_family)
        return self._views[id(fit)]

    @cached_property
    def _of_the_family(self) -> dict[str, Any]:
        """What a view is told of the family."""
        family, survey = self.runs.family, self.runs.survey
        fewest, narrowest = surely_degenerate(family, self.runs.regularisation, survey)
        form = Scatter.DENSE if family.needs is Scatter.TOTAL else family.needs
        needed = family.rows_needed(survey.source.n_features)
        return {"own": not family.shares_all, "form": form, "fewest": fewest, "narrowest": narrowest, "needed": needed}

    @property
    def best(self) -> FitResult:
        """The best optimum so far, or what stands for one."""
        return self.optima[0] if self.optima else self.fallback

    @property
    def n_components(self) -> int:
        """K."""
        return self.fallback.n_components

    @property
    def _tells_cuts(self) -> bool:
        """Whether there are rows enough to tell a right cut from a false one."""
        source = self.runs.survey.source
        return source.n_rows >= rows_enough(self.n_components, source.n_features)

    def _depth(self, effort: Effort, work: float) -> Depth:
        """How far to look, with so much work to be done in all."""
        if effort.size > 1.0 or work <= THOROUGH * COST_OF_A_RUN:
            return Depth.QUICK
        pays = effort.at_least(self.runs.survey.source.n_rows) > EXHAUSTIVE * COST_OF_A_RUN
        if not pays or not self._stands_on_few_rows(self.best):
            return Depth.THOROUGH
        return Depth.CRAMPED if self._is_cramped else Depth.EXHAUSTIVE

    @cached_property
    def _is_cramped(self) -> bool:
        """Whether components are little more than the rows they hold, and have nothing in common by which one tells of another."""
        family, source, K = self.runs.family, self.runs.survey.source, self.n_components
        n, d = source.n_rows, source.n_features
        apart = family.n_parameters(K, d) == K * family.n_parameters(1, d) + K - 1
        dear = MOVES["anneal"].work(n, d) > DEAR * COST_OF_A_RUN
        return apart and not dear and n <= CRAMPED * K * family.rows_needed(d)

    def _stands_on_few_rows(self, fit: FitResult) -> bool:
        """Whether a fit has a component on few rows; if it is the best one, the likeliest of such components are looked for.

        Where it has none, none is looked for everywhere: a good one is found in any data (docs/decisions/0015).
        """
        source = self.runs.survey.source
        return bool(on_few_rows(fit.mixture, source.n_rows, self.runs.family.rows_needed(source.n_features)).any())

    @property
    def n_origins(self) -> int:
        """How many of the best optima moves set out from."""
        return max(FEWEST_ORIGINS, min(ORIGINS, MOST_MEMBERSHIPS // (self.runs.survey.source.n_rows * self.n_components)))

    @property
    def level(self) -> float:
        """The objective of the best optimum so far."""
        return self.optima[0].trace[-1] if self.optima else -inf

    def _note(self, ended: Excursion) -> None:
        """Keep what became of a move, and the optimum where it found a new one."""
        source = self.runs.survey.source
        beside_em = MOVES[ended.name].work(source.n_rows, source.n_features) if ended.name in MOVES else 0
        self.spent += COST_OF_A_RUN + beside_em + ended.n_iter * source.n_rows * self.n_components
        end = self.runs.end_of(ended, ended.followed)
        if end is RunEnd.REACHED and not self._is_known(ended.level):
            fit = self.runs.judged(ended.fit())
            if not fit.degenerate and fit.trace[-1] > self.level and self._stands_on_few_rows(fit):
                fit = self._at_its_very_end(fit)
            end = self.runs.end_of(fit, ended.followed)
            if end is RunEnd.REACHED and not self._is_known(fit.trace[-1]):
                self.optima = sorted([*self.optima, fit], key=lambda one: -one.trace[-1])
        self.log.append(Run(ended.name, True, ended.level, ended.n_iter, end))

    def _at_its_very_end(self, fit: FitResult) -> FitResult:
        """A new best as it will be reported: where it is degenerate by a little, it would bar the way for others."""
        plan = self.runs.plan
        (further,) = self.runs.of([Leg(0, fit, fit.n_iter)], plan.stopping, plan.max_iter, judge=True, told=False)
        return further if isinstance(further, FitResult) else fit

    def _is_better(self, new: FitResult, fit: FitResult) -> bool:
        """Whether fewer of its components are degenerate, or as few and it is likelier."""
        if len(new.degenerate) != len(fit.degenerate):
            return len(new.degenerate) < len(fit.degenerate)
        return new.stop is not StopReason.COLLAPSED and new.trace[-1] > fit.trace[-1] + self.runs.same

    def _is_best(self, level: float) -> bool:
        """Whether an objective is that of the best optimum so far."""
        return abs(level - self.level) < self.runs.same

    def _is_known(self, level: float) -> bool:
        """Whether an objective is that of an optimum found before."""
        return any(abs(level - other.trace[-1]) < self.runs.same for other in self.optima)
