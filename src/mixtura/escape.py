"""Moves away from the best optimum of a search, one after the other, as long as its effort lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, isnan, nan
from time import monotonic

import numpy as np

from mixtura.em import Start
from mixtura.exchange import exchange
from mixtura.moves import View, drawn_move
from mixtura.results import FailedStart, FitResult, StopReason
from mixtura.runs import FIRST_ROUND, HOPE, HOPELESS, Effort, Leg, Runs
from mixtura.start_report import Run, RunEnd
from mixtura.stopping import StoppingRule

AT_ONCE = 4
"""Moves from the same optimum that may run side by side; a constant, so that the number of workers changes nothing."""

ORIGINS = 3
"""Moves set out from the best optima so far: every other time from the best, every fourth from the second, and so on."""

FIRST_STEPS = 10
"""Iterations after a move before it is held against the best optimum."""

FAR_GAINS = 50.0
"""A run so short that its trace tells no rate may gain so many times its last gain."""

COST_OF_A_RUN = 50_000
"""What a move costs beside its iterations, in rows times components: where rows are few, more than those."""


CROWDED = 10
EXCHANGES_IN_VAIN = 3
"""With so many components many are misplaced at once, and are exchanged together; until so many exchanges in a row led nowhere."""

THOROUGH = 100
"""Moves that a search must be able to pay for before it looks for small groups of rows. Those of a sample are chance."""


def is_crowded(K: int) -> bool:
    """Whether components are so many that they are exchanged, many at once."""
    return K >= CROWDED


@dataclass(eq=False)
class Escape:
    """Optima found so far, and what it has cost to find them.

    Attributes
    ----------
    runs : Runs
    optima : list of FitResult
        Sound fits at different optima, likeliest first.
    log : list of Run
        What became of every move.
    spent : float
        Rows times components read.
    """

    runs: Runs
    optima: list[FitResult]
    log: list[Run] = field(default_factory=list)
    spent: float = 0.0
    _views: dict[int, View] = field(default_factory=dict)

    def go(self, effort: Effort, fallback: FitResult, seed: np.random.SeedSequence) -> None:
        """Moves, until the effort is spent, or too many in a row have led nowhere."""
        rng = np.random.default_rng(seed)
        if is_crowded(fallback.n_components):
            self._exchange(self.optima[0] if self.optima else fallback, effort, rng)
        in_vain, end = 0, monotonic() + effort.seconds
        while not self.runs.stopped.is_set() and in_vain < effort.patience * fallback.n_components and monotonic() < end:
            best = self.optima[0] if self.optima else fallback
            work = effort.work(self.runs.survey.source.n_rows, best.n_components, best.n_iter)
            thorough = effort.size == 1.0 and work > THOROUGH * COST_OF_A_RUN
            if self.spent >= work:
                break
            origins = self.optima[:ORIGINS] or [fallback]
            view = self._view(origins[min(int(rng.geometric(0.5)), len(origins)) - 1])
            higher = self._try([drawn_move(view, rng, thorough) for _ in range(AT_ONCE)])
            in_vain = 0 if higher else in_vain + AT_ONCE

    # ---- many swaps at once, where there are many components -----------------------------------------------------

    def _exchange(self, fit: FitResult, effort: Effort, rng: np.random.Generator) -> None:
        """Exchanges, followed for a few steps, as long as they lead higher, or to its end where one may; then on to the end."""
        runs, n, K = self.runs, self.runs.survey.source.n_rows, fit.n_components
        begin, in_vain, end = fit, 0, monotonic() + effort.seconds
        most = EXCHANGES_IN_VAIN if effort.work(n, K, fit.n_iter) > 0.0 else 1  # where nothing else is tried, they are not, either
        while in_vain < most and monotonic() < end and not runs.stopped.is_set():
            found = exchange(runs.survey, fit.mixture, runs.family, runs.regularisation, rng, drawn=in_vain > 0)
            self.spent += K * COST_OF_A_RUN + FIRST_STEPS * n * K
            legs = [] if found is None else [Leg(0, found.moments)]
            news = [new for new in runs.of(legs, runs.short, FIRST_STEPS, False, False) if isinstance(new, FitResult)]
            in_vain += 1
            for new in news:
                if new.trace[-1] > fit.trace[-1] + runs.same:
                    fit, in_vain = new, 0
                elif found is not None and not found.sure:
                    begin = fit = self._settled(fit, begin)
                    if self._try([("exchange", new)]):
                        begin, in_vain = self.optima[0], 0
                        fit = begin
        self._settled(fit, begin)

    def _settled(self, fit: FitResult, begin: FitResult) -> FitResult:
        """The best optimum after a fit was followed to its end, unless it is where it began."""
        if fit is not begin:
            self._try([("exchange", fit)])
        return self.optima[0] if self.optima else fit

    # ---- one round of moves ------------------------------------------------------------------------------------

    def _view(self, fit: FitResult) -> View:
        """A fit row by row, made once as long as it is one of the origins."""
        if id(fit) not in self._views:
            kept = {id(origin) for origin in self.optima[:ORIGINS]}
            self._views = {key: view for key, view in self._views.items() if key in kept}
            self._views[id(fit)] = View.of(self.runs.survey, fit.mixture, tuple(item.component for item in fit.degenerate))
        return self._views[id(fit)]

    def _try(self, moves: Sequence[tuple[str, Start | None]]) -> bool:
        """Run moves shortly, those with hope in rounds to their ends, and keep new optima; whether the best one is new."""
        level = self.level
        legs = [Leg(number, start) for number, (_, start) in enumerate(moves) if start is not None]
        ends = dict(self._ran(legs, self.runs.short, FIRST_STEPS))
        hopeful = {number for number, fit in ends.items() if isinstance(fit, FitResult) and self._promises(fit)}
        running, length = sorted(hopeful), FIRST_ROUND
        while running:
            legs = [Leg(number, fit, fit.n_iter) for number in running if isinstance(fit := ends[number], FitResult)]
            ends.update(self._ran(legs, self.runs.compared, length))
            running, length = [number for number in running if self.runs.goes_on(ends[number], self.level)], 2 * length
        for number, fit in ends.items():
            self._note(moves[number][0], fit, number in hopeful)
        return self.level > level + self.runs.same

    def _ran(self, legs: Sequence[Leg], rule: StoppingRule, length: int) -> list[tuple[int, FitResult | FailedStart]]:
        """Number and end of each."""
        return [(leg.number, fit) for leg, fit in zip(legs, self.runs.of(legs, rule, length, judge=False, told=False), strict=True)]

    def _promises(self, fit: FitResult) -> bool:
        """Whether a run after its first steps may end above the best optimum."""
        if fit.stop is StopReason.COLLAPSED or len(fit.trace) < 2:
            return False
        left = fit.remaining_gain
        hope = FAR_GAINS * (fit.trace[-1] - fit.trace[-2]) if isnan(left) else HOPE * left
        return fit.trace[-1] + hope > self.level - HOPELESS * self.runs.survey.row_weight

    @property
    def level(self) -> float:
        """The objective of the best optimum so far."""
        return self.optima[0].trace[-1] if self.optima else -inf

    def _note(self, kind: str, fit: FitResult | FailedStart, followed: bool) -> None:
        """Keep what became of a move, and the optimum where it found a new one."""
        self.spent += COST_OF_A_RUN
        if isinstance(fit, FailedStart):
            self.log.append(Run(kind, True, nan, 0, RunEnd.FAILED))
            return
        self.spent += fit.n_iter * self.runs.survey.source.n_rows * fit.n_components
        end, known = self.runs.end_of(fit, followed), self._is_known(fit)
        if end is RunEnd.REACHED and not known:
            fit = self.runs.judged(fit)
            end = self.runs.end_of(fit, followed)
        self.log.append(Run(kind, True, fit.trace[-1], fit.n_iter, end))
        if end is RunEnd.REACHED and not known:
            self.optima = sorted([*self.optima, fit], key=lambda one: -one.trace[-1])

    def _is_known(self, fit: FitResult) -> bool:
        """Whether its objective is that of an optimum found before."""
        level, same = fit.trace[-1], self.runs.same
        return any(abs(level - other.trace[-1]) < same for other in self.optima)
