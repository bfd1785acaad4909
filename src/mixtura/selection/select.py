"""Which family and how many components: every candidate, the winner and the runner-up.

Every criterion of one fit is computed for every candidate; a candidate that fails is kept with its
reason. NEC compares with one component of the same family, which costs one more M-step.
Cross-validation is a selection within a selection: for each fold the same grid is fitted to the
other rows, from starts that are drawn from those rows alone, and evaluated on the fold.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import nan

import numpy as np

from mixtura.base.interrupts import stop_on_signal
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.em.certification import certified
from mixtura.inference.replicates import replicates
from mixtura.inference.resamples import Fold, folds_of
from mixtura.inputs.constraints import problem_of
from mixtura.model.criteria import CV, check_criterion
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Selection, Stage
from mixtura.search.budget import Plan
from mixtura.selection.candidates import (
    CandidateFitter,
    Evaluator,
    Grid,
    HeldOut,
    OnCandidate,
    not_fitted,
    reason_of,
)
from mixtura.selection.two_stages import TwoStageSelection

__all__ = ["Grid", "OnCandidate", "select"]

DEFAULT_FOLDS = 10
"""Folds of the cross-validation where it decides and no number was given."""

_CROSS_VALIDATION = 2**31
"""A child of the grid's seed that no K uses: starts do not change with the cross-validation."""


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
    """Fit every candidate of the grid; the starts of one K serve all its families.

    Parameters
    ----------
    dataset : Dataset
    grid : Grid
    plan : Plan
        How each candidate is searched; its workers share the candidates.
    on_candidate : callable, optional
        Called with each :class:`~mixtura.model.selection.Candidate` after its short fit, and again
        after its search.
    n_threads : int, optional
        Workers that share the folds; None takes all processors.
    on_fold : callable, optional
        Called with the number of folds that are done; all of them come before the first candidate.
    stopped : threading.Event, optional
        Setting it from another thread ends the selection, as Ctrl-C does.

    Returns
    -------
    Selection
        The candidates K by K. Ctrl-C keeps those that are done.

    Raises
    ------
    KeyboardInterrupt
        When Ctrl-C came before the first candidate was done.
    """
    check_criterion(grid.criterion)
    stopped = stopped or threading.Event()
    with stop_on_signal(stopped):
        return _select(dataset, grid, plan, on_candidate, on_fold, n_threads, stopped)


def _select(
    dataset: Dataset,
    grid: Grid,
    plan: Plan,
    on_candidate: OnCandidate | None,
    on_fold: Callable[[int], None] | None,
    n_threads: int | None,
    stopped: threading.Event,
) -> Selection:
    """:func:`select`, while Ctrl-C sets ``stopped``."""
    held_out = None
    if grid.folds or grid.criterion == CV:
        held_out = _cross_validate(dataset, grid, plan, n_threads, on_fold, stopped)
    evaluator = Evaluator(dataset, grid, plan, held_out)
    fitter = CandidateFitter(dataset, grid, evaluator, stopped, dataset)
    if plan.budget is not None:
        done = TwoStageSelection(fitter, plan, on_candidate).run()
    else:
        done = _all_searched(fitter, plan, on_candidate)
    if all(candidate.stage is Stage.NOT_FITTED for candidate in done):
        raise KeyboardInterrupt
    selection = Selection(grid.criterion, done, stopped.is_set())
    return (
        selection if selection.interrupted else _with_certificates(selection, dataset, grid, plan)
    )


def _all_searched(
    fitter: CandidateFitter, plan: Plan, on_candidate: OnCandidate | None
) -> tuple[Candidate, ...]:
    """Every candidate from all its starts: the meaning of a given number of starts."""
    keys, alone = fitter.grid.keys, replace(plan, workers=1)
    initialisations = fitter.grid.initialisations(fitter.dataset, plan.screened)

    def fit(family: Family, K: int) -> Candidate:
        return fitter.fit(family, K, initialisations[K], alone)

    done = fitter.each(fit, keys, plan.workers, on_candidate)
    return tuple(one or not_fitted(*key) for key, one in zip(keys, done, strict=True))


def _with_certificates(selection: Selection, dataset: Dataset, grid: Grid, plan: Plan) -> Selection:
    """The selection with certificates of the winner and of the runner-up."""

    def with_certificate(candidate: Candidate | None) -> Selection:
        if candidate is None or candidate.fit is None or candidate.fit.certificate is not None:
            return selection
        return _with(selection, candidate, _certified(candidate, dataset, grid, plan))

    if not any(candidate.fit for candidate in selection.candidates):
        return selection
    selection = with_certificate(selection.best)
    return with_certificate(selection.runner_up)


def _with(selection: Selection, old: Candidate, new: Candidate) -> Selection:
    """The selection with one candidate replaced."""
    return replace(
        selection, candidates=tuple(new if one is old else one for one in selection.candidates)
    )


def _certified(candidate: Candidate, dataset: Dataset, grid: Grid, plan: Plan) -> Candidate:
    """The candidate with a certificate."""
    assert candidate.fit is not None
    family = next(family for family in grid.families if family.name == candidate.family)
    problem = problem_of(dataset, family, candidate.n_components, grid.constraints)
    fit = certified(candidate.fit, problem, plan.stopping)
    reason = candidate.reason if fit.stop is candidate.fit.stop else reason_of(fit)
    return replace(candidate, fit=fit, reason=reason)


# ---- cross-validation ----------------------------------------------------------------------------

_Scores = dict[tuple[str, int], float | str]
"""Per candidate, the log-likelihood of the rows of one fold, or why there is none."""


def _summed(folds: Sequence[_Scores]) -> HeldOut:
    """The sums over the folds."""
    values: dict[tuple[str, int], float] = {}
    reasons: dict[tuple[str, int], str] = {}
    for key in folds[0]:
        scores = [fold[key] for fold in folds]
        lost = [(v, score) for v, score in enumerate(scores, start=1) if isinstance(score, str)]
        values[key] = nan if lost else sum(score for score in scores if not isinstance(score, str))
        if lost:
            reasons[key] = (
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
    """The grid fitted without each fold, from starts drawn without it, and evaluated on it.

    A fit of all rows is no start here: it would carry the position of held-out rows into the fit,
    most of all where a component has few rows, and so favour many components.
    """
    own = np.random.SeedSequence(
        grid.seed.entropy, spawn_key=(*grid.seed.spawn_key, _CROSS_VALIDATION)
    )
    splitting, *seeds = own.spawn(1 + (grid.folds or DEFAULT_FOLDS))
    folds = folds_of(dataset, len(seeds), splitting)
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


def _score_fold(
    grid: Grid, plan: Plan, item: tuple[Fold, np.random.SeedSequence], stopped: threading.Event
) -> _Scores:
    """The log-likelihood of the rows of one fold under every candidate fitted to the others."""
    fold, seed = item
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit of all rows warns about the data
        selection = select(fold.training, replace(grid, seed=seed), plan, stopped=stopped)
    if selection.interrupted:
        raise KeyboardInterrupt
    return {(one.family, one.n_components): _held_out(one, fold) for one in selection.candidates}


def _held_out(candidate: Candidate, fold: Fold) -> float | str:
    if candidate.fit is None or not candidate.is_valid:
        return candidate.reason
    return fold.training.backend.moments(
        fold.held_out, candidate.fit.mixture, Scatter.TRACE
    ).log_likelihood
