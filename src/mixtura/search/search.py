"""One search on one set of rows: many starts, a local search from the best of them, and the best
one on to its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from mixtura.base.interrupts import stop_on_signal
from mixtura.data.problem import Problem
from mixtura.em.em import Start
from mixtura.model.results import FailedStart, FitResult, SearchResult, StopReason
from mixtura.search.local_search import LocalSearch, are_many, exchanged_on_a_sample
from mixtura.search.multistart import (
    LOCAL_SEARCH,
    Halving,
    Named,
    agree,
    best_of,
    noted,
    successive_halving,
)
from mixtura.search.runs import SHORT, Plan, Runs, Task


def search(
    problem: Problem,
    starts: Sequence[Start],
    plan: Plan,
    stopped: threading.Event | None = None,
    seed: np.random.SeedSequence | None = None,
    names: Sequence[str] = (),
    more: Callable[[], Sequence[Named]] = tuple,
) -> SearchResult:
    """The best fit over all starts: the highest score (:mod:`mixtura.model.soundness`) among those
    that are an answer.

    Fits at the same optimum (within 0.01) count as equal, and then the earlier start wins, so that
    rounding never decides. Setting ``stopped`` from another thread ends every run after its current
    iteration, as Ctrl-C does.

    A screened search runs every start shortly, and follows those that may reach the best score.
    Where they do not agree, ``more`` starts are drawn. Where these do not agree either, a local
    search, drawn from ``seed``, tries to leave the best optimum for a better one, as long as the
    plan's effort lasts. ``names`` of the starts are for the report.

    Raises
    ------
    CollapseError
        When no start gave a mixture.
    KeyboardInterrupt
        When Ctrl-C came before the first mixture.
    """
    stopped, seed = stopped or threading.Event(), seed or np.random.SeedSequence(0)
    runs = Runs(problem, plan, stopped)
    with stop_on_signal(stopped):
        several = len(starts) > 1 or (plan.effort is not None and starts[0].n_components > 1)
        if not plan.screened or not several:
            found = _each(runs, starts, names)
        elif (
            plan.effort is not None and plan.effort.size > 1.0 and are_many(starts[0].n_components)
        ):
            found = _exchanged(runs, starts, names, seed)
        else:
            found = _screened(runs, starts, names, seed, more)
        if not stopped.is_set():
            return found
        fits = [runs.judged(fit) if isinstance(fit, FitResult) else fit for fit in found.fits]
        return SearchResult(
            replace(best_of(fits, runs.same), stop=StopReason.INTERRUPTED), tuple(fits), found.runs
        )


def _each(runs: Runs, starts: Sequence[Start], names: Sequence[str]) -> SearchResult:
    """Every start to its end."""
    tasks = [Task(i, start) for i, start in enumerate(starts)]
    fits = runs.of(tasks, runs.plan.stopping, runs.plan.max_iter, judge=True)
    return SearchResult(
        best_of(fits, runs.same), tuple(fits), tuple(noted(Halving.apart(fits), names, runs))
    )


def _exchanged(
    runs: Runs, starts: Sequence[Start], names: Sequence[str], seed: np.random.SeedSequence
) -> SearchResult:
    """Many components on a sample: the best of some short runs, its components exchanged; the end
    is sought on more rows.
    """
    fits = runs.of([Task(i, start) for i, start in enumerate(starts)], runs.short, SHORT)
    log = noted(Halving.apart(fits), names, runs)
    best = best_of(fits, runs.same)
    new = exchanged_on_a_sample(runs, best, _own_generator(seed))
    log += noted(Halving.apart(new), ["exchange"] * len(new), runs, moved=True)
    end = runs.judged(new[-1] if new else best)
    return SearchResult(end, (*fits, end), tuple(log))


def _screened(
    runs: Runs,
    starts: Sequence[Start],
    names: Sequence[str],
    seed: np.random.SeedSequence,
    more: Callable[[], Sequence[Named]],
) -> SearchResult:
    """Starts side by side, a local search from the best of them, and the best of all to its very
    end.
    """
    race, names = successive_halving(runs, starts, -inf), list(names)
    best = runs.judged(best_of(race.fits, runs.same))
    if not agree(race, best, runs.same) and not runs.stopped.is_set() and (drawn := more()):
        names += [name for name, _ in drawn]
        race = successive_halving(
            runs, [start for _, start in drawn], best.score if best.is_answer else -inf, known=race
        )
        best = runs.judged(best_of(race.fits, runs.same))
    log, fits = noted(race, names, runs), list[FitResult | FailedStart](race.fits)
    if runs.plan.effort is not None and best.n_components > 1 and not runs.stopped.is_set():
        local = LocalSearch(
            runs,
            best,
            [fit for fit in race.fitted if fit.soundness],
            sum(race.reached(best.score, 2 * runs.same)),
        )
        known = len(local.found)
        local.go(runs.plan.effort, _own_generator(seed))
        log, fits = [*log, *local.log], [*fits, *local.found[known:]]
    return SearchResult(_polished(runs, fits), tuple(fits), tuple(log))


def _own_generator(seed: np.random.SeedSequence) -> np.random.Generator:
    """For what follows the starts; it draws what no start draws."""
    return np.random.default_rng(
        np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, LOCAL_SEARCH))
    )


def _polished(runs: Runs, fits: list[FitResult | FailedStart]) -> FitResult:
    """The best fit, run on until the stopping rule holds with its certificate; the next best where
    it turns out to be none.
    """
    while True:
        best = best_of(fits, runs.same)
        if not runs.unfinished(best) or runs.stopped.is_set():
            return best
        (further,) = runs.of(
            [Task(0, best, best.n_iter)], runs.plan.stopping, runs.plan.max_iter, judge=True
        )
        if not isinstance(further, FitResult):
            return best
        at = next(i for i, fit in enumerate(fits) if fit is best)
        fits[at] = further
