"""How a search is made: how exactly, how many runs side by side, and how much work it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from mixtura.em.em import Callback
from mixtura.em.stopping import StoppingRule

MANY_ROWS = 15_000
"""Rows from which on a search may cost no more than some plain fits."""


@dataclass(frozen=True)
class Budget:
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


@dataclass(frozen=True)
class Plan:
    """How to run EM from each start of a search.

    ``screened`` runs all starts shortly and follows them as long as they may lead to the best
    score; otherwise every start runs to the end. ``budget`` is what a screened search may spend on
    a local search from the best optimum of its starts; None is none.
    """

    stopping: StoppingRule
    max_iter: int
    screened: bool
    workers: int = 1
    callback: Callback | None = None
    accelerated: bool = False
    budget: Budget | None = None
