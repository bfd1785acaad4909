"""Which K, which family: one row per cell, the winner, the runner-up. A cell that fails is a row with a reason."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from mixtura.criteria import CRITERIA, criterion_named
from mixtura.em import Start
from mixtura.errors import CollapseError, DataError
from mixtura.initialisers import Initialiser
from mixtura.protocols import Family
from mixtura.results import Candidate, FitResult, Selection, StopReason
from mixtura.search import Plan, draw_starts, in_parallel, search
from mixtura.survey import Survey
from mixtura.validation import Constraints, check_data, regularisation_for

OnCandidate = Callable[[Candidate], None]


@dataclass(frozen=True)
class Grid:
    """What is to be fitted: families x K, from these kinds of start, judged by this criterion."""

    ks: Sequence[int]
    families: Sequence[Family]
    initialisers: Sequence[Initialiser]
    criterion: str
    constraints: Constraints
    seed: np.random.SeedSequence


def select(survey: Survey, grid: Grid, plan: Plan, on_candidate: OnCandidate | None = None) -> Selection:
    """Fit every cell of the grid; the starts of one K serve all its families.

    Parameters
    ----------
    survey : Survey
    grid : Grid
    plan : Plan
        How each cell is searched; its workers share the Ks.
    on_candidate : callable, optional
        Called with each :class:`~mixtura.results.Candidate` when it is done (for a progress bar).

    Returns
    -------
    Selection
        One candidate per cell, in the order K by K. Ctrl-C keeps the cells that are done.
    """
    criterion_named(grid.criterion)
    stopped = threading.Event()
    done: list[Candidate] = []

    def fit_all_families(item: tuple[int, np.random.SeedSequence]) -> list[Candidate]:
        K, seed = item
        cells: list[Candidate] = []
        starts = cache(lambda: _starts(survey, grid, K, seed))
        for family in grid.families:
            if stopped.is_set():
                break
            try:
                cells.append(_fit(survey, grid, family, K, starts, replace(plan, workers=1), stopped))
                if on_candidate is not None:
                    on_candidate(cells[-1])
            except KeyboardInterrupt:
                stopped.set()
        return cells

    jobs = list(zip(grid.ks, grid.seed.spawn(len(grid.ks)), strict=True))
    for cells in in_parallel(fit_all_families, jobs, plan.workers, stopped):
        done.extend(cells)
    if not done:
        raise KeyboardInterrupt
    return Selection(grid.criterion, tuple(done))


def _starts(survey: Survey, grid: Grid, K: int, seed: np.random.SeedSequence) -> list[Start]:
    if survey.source.n_rows < K or (K > 1 and not grid.constraints.reg_covar and survey.distinct.n_rows <= K):
        raise DataError(f"{survey.distinct.n_rows} distinct rows are too few for {K} components")
    return draw_starts(grid.initialisers, survey, K, seed)


def _fit(
    survey: Survey,
    grid: Grid,
    family: Family,
    K: int,
    starts: Callable[[], list[Start]],
    plan: Plan,
    stopped: threading.Event,
) -> Candidate:
    """One cell; an interrupted one is kept, and asks the others to stop."""
    try:
        drawn = starts()
        check_data(survey, family, K, grid.constraints)
        fit = search(survey, drawn, family, regularisation_for(family, survey, K, grid.constraints), plan, stopped).best
    except (CollapseError, DataError) as refusal:
        return Candidate(family.name, K, None, float("nan"), str(refusal))
    if fit.stop is StopReason.INTERRUPTED:
        stopped.set()
    return Candidate(family.name, K, fit, CRITERIA[grid.criterion](fit), _reason(fit))


def _reason(fit: FitResult) -> str:
    """Why a fitted cell may not win, or what to know about it; empty when all is well."""
    if fit.degenerate:
        first = fit.degenerate[0]
        more = f" (and {len(fit.degenerate) - 1} more)" if len(fit.degenerate) > 1 else ""
        return f"degenerate: component {first.component + 1}{more}: {first.reason}"
    return "" if fit.converged else fit.stop.value
