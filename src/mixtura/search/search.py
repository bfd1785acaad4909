"""One search on one set of rows: starts, a local search, and the best fit run on to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from mixtura.base.interrupts import stop_on_signal
from mixtura.data.problem import Problem
from mixtura.em.em import Start
from mixtura.model.fit_result import FailedStart, FitResult, SearchResult, StopReason
from mixtura.search.budget import Plan
from mixtura.search.local_search import LocalSearch, are_many, swapped_on_a_sample
from mixtura.search.outcome import best_of
from mixtura.search.runs import SHORT, Runs, Task
from mixtura.search.starts import NamedStart
from mixtura.search.successive_halving import Halving, agree, successive_halving

_LOCAL_SEARCH = 2**31 + 3
"""A child of the seed that no start, no fold and no sample uses."""


def search(
    problem: Problem,
    starts: Sequence[Start],
    plan: Plan,
    stopped: threading.Event | None = None,
    seed: np.random.SeedSequence | None = None,
    names: Sequence[str] = (),
    more: Callable[[], Sequence[NamedStart]] = tuple,
) -> SearchResult:
    """The best valid fit of all starts, by its score (:mod:`mixtura.model.soundness`).

    Fits at the same optimum (within 0.01) count as equal, and then the earlier start wins, so that
    rounding never decides. Setting ``stopped`` from another thread ends every run after its current
    iteration, as Ctrl-C does.

    A screened search is a successive halving of the starts. Where they do not agree, ``more``
    starts are drawn. Where these do not agree either, a local search, drawn from ``seed``, tries to
    leave the best optimum for a better one, as long as the plan's budget lasts. ``names`` of the
    starts are for the report.

    Raises
    ------
    CollapseError
        When no start gave a mixture.
    KeyboardInterrupt
        When Ctrl-C came before the first mixture.
    """
    stopped, seed = stopped or threading.Event(), seed or np.random.SeedSequence(0)
    runs, budget = Runs(problem, plan, stopped), plan.budget
    K, averages = starts[0].n_components, problem.regularisation.averages
    with stop_on_signal(stopped):
        several = len(starts) > 1 or (budget is not None and K > 1)
        if not plan.screened or not several:
            found = _each(runs, starts, names)
        elif budget is not None and budget.size > 1.0 and are_many(K) and not averages:
            found = _swapped(runs, starts, names, seed)
        else:
            found = _screened(runs, starts, names, seed, more)
        if not stopped.is_set():
            return found
        fits = [runs.judged(fit) if isinstance(fit, FitResult) else fit for fit in found.fits]
        best = replace(best_of(fits, runs.same), stop=StopReason.INTERRUPTED)
        return SearchResult(best, tuple(fits), found.runs)


def _each(runs: Runs, starts: Sequence[Start], names: Sequence[str]) -> SearchResult:
    """Every start to its end."""
    tasks = [Task(i, start) for i, start in enumerate(starts)]
    fits = runs.of(tasks, runs.plan.stopping, runs.plan.max_iter, judge=True)
    log = Halving.apart(fits).log(names, runs)
    return SearchResult(best_of(fits, runs.same), tuple(fits), tuple(log))


def _swapped(
    runs: Runs, starts: Sequence[Start], names: Sequence[str], seed: np.random.SeedSequence
) -> SearchResult:
    """Many components on a sample: the best of some short runs, its components swapped.

    The end is sought on more rows.
    """
    fits = runs.of([Task(i, start) for i, start in enumerate(starts)], runs.short, SHORT)
    log = Halving.apart(fits).log(names, runs)
    best = best_of(fits, runs.same)
    new = swapped_on_a_sample(runs, best, _own_generator(seed))
    log += Halving.apart(new).log(["swap"] * len(new), runs, proposed=True)
    end = runs.judged(new[-1] if new else best)
    return SearchResult(end, (*fits, end), tuple(log))


def _screened(
    runs: Runs,
    starts: Sequence[Start],
    names: Sequence[str],
    seed: np.random.SeedSequence,
    more: Callable[[], Sequence[NamedStart]],
) -> SearchResult:
    """Successive halving, a local search from the best fit, and the best of all to its end."""
    halving, names = successive_halving(runs, starts, -inf), list(names)
    best = runs.judged(best_of(halving.fits, runs.same))
    if not agree(halving, best, runs.same) and not runs.stopped.is_set() and (drawn := more()):
        names += [name for name, _ in drawn]
        level = best.score if best.is_valid else -inf
        halving = successive_halving(runs, [start for _, start in drawn], level, known=halving)
        best = runs.judged(best_of(halving.fits, runs.same))
    log, fits = halving.log(names, runs), list[FitResult | FailedStart](halving.fits)
    if runs.plan.budget is not None and best.n_components > 1 and not runs.stopped.is_set():
        times = sum(halving.reached(best.score, 2 * runs.same))
        local = LocalSearch(runs, best, halving.ended, times)
        known = len(local.found)
        local.run(runs.plan.budget, _own_generator(seed))
        log, fits = [*log, *local.log], [*fits, *local.found[known:]]
    return SearchResult(_polished(runs, fits), tuple(fits), tuple(log))


def _own_generator(seed: np.random.SeedSequence) -> np.random.Generator:
    """For what follows the starts; it draws what no start draws."""
    key = (*seed.spawn_key, _LOCAL_SEARCH)
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=key))


def _polished(runs: Runs, fits: list[FitResult | FailedStart]) -> FitResult:
    """The best fit, run on until the stopping rule holds with its certificate.

    The next best takes its place where it turns out not to be valid.
    """
    while True:
        best = best_of(fits, runs.same)
        if not runs.unfinished(best) or runs.stopped.is_set():
            return best
        task = Task(0, best, best.n_iter)
        (further,) = runs.of([task], runs.plan.stopping, runs.plan.max_iter, judge=True)
        if not isinstance(further, FitResult):
            return best
        at = next(i for i, fit in enumerate(fits) if fit is best)
        fits[at] = further
