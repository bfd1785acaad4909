"""Which K, which family: one row per cell, the winner, the runner-up. A cell that fails is a row
with a reason.

Every criterion of one fit is computed for every cell. NEC compares with one component of the same
family, which costs one more M-step. Cross-validation is a selection within a selection: for each
fold the same grid is fitted to the other rows, from starts that are drawn from those rows alone,
and scored on the fold.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import nan

import numpy as np

from mixtura.base.interrupts import heeded
from mixtura.data.dataset import Dataset
from mixtura.em.certification import certified
from mixtura.inference.replicates import replicates
from mixtura.inference.resamples import Fold, folds_of
from mixtura.inputs.constraints import problem_of
from mixtura.model.criteria import CV, check_criterion
from mixtura.model.moments import Scatter
from mixtura.model.selection import Candidate, Selection, Stage
from mixtura.search.budget import Plan
from mixtura.selection.cells import (
    Cells,
    Grid,
    HeldOut,
    Judge,
    OnCandidate,
    not_looked_at,
    reason_of,
)
from mixtura.selection.race import Race

__all__ = ["Grid", "OnCandidate", "select"]

DEFAULT_FOLDS = 10


def select(
    dataset: Dataset,
    grid: Grid,
    plan: Plan,
    on_candidate: OnCandidate | None = None,
    *,
    n_threads: int | None = 1,
    on_fold: Callable[[int], None] | None = None,
    stopped: threading.Event | None = None,
) -> Selection:
    """Fit every cell of the grid; the starts of one K serve all its families.

    Parameters
    ----------
    dataset : Dataset
    grid : Grid
    plan : Plan
        How each cell is searched; its workers share the cells.
    on_candidate : callable, optional
        Called with each :class:`~mixtura.model.selection.Candidate` when it was looked at, and
        again when it was searched.
    n_threads : int, optional
        Workers that share the folds; None takes all processors.
    on_fold : callable, optional
        Called with the number of folds that are done; all of them come before the first candidate.
    stopped : threading.Event, optional
        Setting it from another thread ends the selection, as Ctrl-C does.

    Returns
    -------
    Selection
        One candidate per cell, in the order K by K. Ctrl-C keeps the cells that are done.

    Raises
    ------
    KeyboardInterrupt
        When Ctrl-C came before the first cell was done.
    """
    check_criterion(grid.criterion)
    stopped = stopped or threading.Event()
    with heeded(stopped):
        return _select(dataset, grid, plan, on_candidate, on_fold, n_threads, stopped)


def _select(
    dataset: Dataset,
    grid: Grid,
    plan: Plan,
    on_candidate: Callable[[Candidate], None] | None,
    on_fold: Callable[[int], None] | None,
    n_threads: int | None,
    stopped: threading.Event,
) -> Selection:
    """:func:`select`, with Ctrl-C heeded."""
    held_out = (
        _cross_validate(dataset, grid, plan, n_threads, on_fold, stopped)
        if grid.folds or grid.criterion == CV
        else None
    )
    cells = Cells(dataset, grid, Judge(dataset, grid, plan, held_out), stopped, dataset)
    done = (
        Race(cells, plan, on_candidate).run()
        if plan.budget is not None
        else _all_alike(cells, plan, on_candidate)
    )
    if not any(cell.stage is not Stage.NOT_FITTED for cell in done):
        raise KeyboardInterrupt
    selection = Selection(grid.criterion, done, stopped.is_set())
    return (
        selection if selection.interrupted else _with_certificates(selection, dataset, grid, plan)
    )


def _all_alike(cells: Cells, plan: Plan, on_candidate: OnCandidate | None) -> tuple[Candidate, ...]:
    """Every cell from all its starts, as who asks for a number of them expects."""
    begins, alone = cells.grid.begins(cells.dataset, plan.screened), replace(plan, workers=1)
    keys = cells.grid.keys
    done = cells.each(
        lambda family, K: cells.fit(family, K, begins[K], alone), keys, plan.workers, on_candidate
    )
    return tuple(cell or not_looked_at(*key) for key, cell in zip(keys, done, strict=True))


def _with_certificates(selection: Selection, dataset: Dataset, grid: Grid, plan: Plan) -> Selection:
    """The winner and the runner-up, which people look at, with their certificates; the other cells
    go without.
    """

    def seen(cell: Candidate | None) -> Selection:
        """The selection with the certificate of a cell."""
        if cell is None or cell.fit is None or cell.fit.certificate is not None:
            return selection
        return _with(selection, cell, _certified(cell, dataset, grid, plan))

    if not any(cell.fit for cell in selection.candidates):
        return selection
    selection = seen(selection.best)
    return seen(selection.runner_up)


def _with(selection: Selection, cell: Candidate, new: Candidate) -> Selection:
    """A selection with something else in the place of a cell."""
    return replace(
        selection, candidates=tuple(new if one is cell else one for one in selection.candidates)
    )


def _certified(cell: Candidate, dataset: Dataset, grid: Grid, plan: Plan) -> Candidate:
    """A cell with its certificate."""
    assert cell.fit is not None
    family = next(family for family in grid.families if family.name == cell.family)
    problem = problem_of(dataset, family, cell.n_components, grid.constraints)
    fit = certified(cell.fit, problem, plan.stopping)
    return replace(
        cell, fit=fit, reason=cell.reason if fit.stop is cell.fit.stop else reason_of(fit)
    )


# ---- cross-validation ----------------------------------------------------------------------------

_Scores = dict[tuple[str, int], float | str]
"""Per cell, the log-likelihood of the rows of one fold, or why there is none."""


def _summed(folds: Sequence[_Scores]) -> HeldOut:
    """Per cell over the folds."""
    values: dict[tuple[str, int], float] = {}
    reasons: dict[tuple[str, int], str] = {}
    for cell in folds[0]:
        scores = [fold[cell] for fold in folds]
        lost = [(v, score) for v, score in enumerate(scores, start=1) if isinstance(score, str)]
        values[cell] = nan if lost else sum(score for score in scores if not isinstance(score, str))
        if lost:
            reasons[cell] = (
                f"not cross-validated: without fold {lost[0][0]} of {len(scores)}, {lost[0][1]}"
            )
    return HeldOut(values, reasons)


def _cross_validate(
    dataset: Dataset,
    grid: Grid,
    plan: Plan,
    n_threads: int | None,
    on_fold: Callable[[int], None] | None,
    stopped: threading.Event,
) -> HeldOut:
    """The grid fitted without each fold, from starts that are drawn without it, and scored on it.

    A fit of all rows is no start here: it would carry the place of held-out rows into the fit, most
    of all where a component sits on few of them, and so favour many components.
    """
    own = np.random.SeedSequence(
        grid.seed.entropy, spawn_key=(*grid.seed.spawn_key, _CROSS_VALIDATION)
    )
    dealing, *seeds = own.spawn(1 + (grid.folds or DEFAULT_FOLDS))
    folds = folds_of(dataset, len(seeds), dealing)
    done: list[_Scores] = []

    def count(scores: _Scores) -> None:
        done.append(scores)
        if on_fold is not None:
            on_fold(len(done))

    work = partial(
        _score_fold,
        replace(grid, criterion="bic", folds=0, warm={}),
        replace(plan, callback=None, workers=1),
    )
    scores, cut = replicates(
        work, list(zip(folds, seeds, strict=True)), dataset, n_threads, count, stopped
    )
    if cut:
        raise KeyboardInterrupt
    return _summed(scores)


_CROSS_VALIDATION = 2**31
"""A child of the grid's seed that no K uses, so that the starts are the same with and without
cross-validation.
"""


def _score_fold(
    grid: Grid, plan: Plan, item: tuple[Fold, np.random.SeedSequence], stopped: threading.Event
) -> _Scores:
    """One fold: the log-likelihood of its rows under every cell fitted to the others."""
    fold, seed = item
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # whatever there is to say about the data is said about all of them
        selection = select(fold.training, replace(grid, seed=seed), plan, stopped=stopped)
    if selection.interrupted:
        raise KeyboardInterrupt
    return {
        (cell.family, cell.n_components): _held_out(cell, fold) for cell in selection.candidates
    }


def _held_out(cell: Candidate, fold: Fold) -> float | str:
    if cell.fit is None or not cell.is_answer:
        return cell.reason
    return fold.training.backend.moments(
        fold.held_out, cell.fit.mixture, Scatter.TRACE
    ).log_likelihood
