"""Which K, which family: one row per cell, the winner, the runner-up. A cell that fails is a row with a reason.

Every criterion of one fit is computed for every cell. NEC compares with one component of the same family, which costs one more
M-step. Cross-validation is a selection within a selection: for each fold the same grid is fitted to the other rows, from
starts that are drawn from those rows alone, and scored on the fold.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite, nan

import numpy as np

from mixtura.certification import certified
from mixtura.criteria import CRITERIA, CV, NEC, at_size, check_criterion, nec, why_undefined
from mixtura.errors import CollapseError, DataError
from mixtura.initialisers import Initialiser
from mixtura.interrupts import heeded
from mixtura.mixture import Mixture
from mixtura.moments import Scatter
from mixtura.numbering import component_name
from mixtura.parallel import in_parallel
from mixtura.protocols import Family
from mixtura.resamples import Fold, folds_of, replicates
from mixtura.results import Candidate, FitResult, Selection, StopReason
from mixtura.search import search
from mixtura.search.runs import Plan
from mixtura.search.subsampling import Opening, opening, search_from
from mixtura.survey import Survey
from mixtura.validation import Constraints, check_data, regularisation_for

OnCandidate = Callable[[Candidate], None]

DEFAULT_FOLDS = 10

STARTS_OF_FEW_ROWS = 3
"""Starts of a cell whose covariances are shrunk: with all of them 31 rows took 43 s, for the same winner."""


@dataclass(frozen=True)
class Grid:
    """What is to be fitted: families x K, from these kinds of start, judged by this criterion.

    ``folds`` above 0 adds cross-validation, whatever criterion decides; ``effective`` takes the criteria at the effective size
    of survey weights; ``by_weight`` orders the components of each fit by falling weight; ``warm`` holds
    a mixture for some cells ``(family name, K)`` that is one more start there.
    """

    ks: Sequence[int]
    families: Sequence[Family]
    initialisers: Sequence[Initialiser]
    criterion: str
    constraints: Constraints
    seed: np.random.SeedSequence
    folds: int = 0
    effective: bool = False
    by_weight: bool = False
    warm: Mapping[tuple[str, int], Mixture] = field(default_factory=dict)

    @property
    def n_cells(self) -> int:
        """Number of candidates."""
        return len(self.ks) * len(self.families)


def select(
    survey: Survey,
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
    survey : Survey
    grid : Grid
    plan : Plan
        How each cell is searched; its workers share the cells.
    on_candidate : callable, optional
        Called with each :class:`~mixtura.results.Candidate` when it is done (for a progress bar).
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
        return _select(survey, grid, plan, on_candidate, on_fold, n_threads, stopped)


def _select(
    survey: Survey,
    grid: Grid,
    plan: Plan,
    on_candidate: Callable[[Candidate], None] | None,
    on_fold: Callable[[int], None] | None,
    n_threads: int | None,
    stopped: threading.Event,
) -> Selection:
    """:func:`select`, with Ctrl-C heeded."""
    held_out = _cross_validate(survey, grid, plan, n_threads, on_fold, stopped) if grid.folds or grid.criterion == CV else None
    judge = _Judge(survey, grid, plan, held_out)

    def fit(item: tuple[int, _Begin, Family]) -> Candidate | None:
        K, begin, family = item
        cell = None
        if not stopped.is_set():
            try:
                cell = _cell(survey, grid, family, K, begin, replace(plan, workers=1), judge, stopped)
                if on_candidate is not None:
                    on_candidate(cell)
            except KeyboardInterrupt:
                stopped.set()
        return cell

    seeds = zip(grid.ks, grid.seed.spawn(len(grid.ks)), strict=True)
    sizes = [(K, _Begin(survey, grid, K, seed, plan.screened)) for K, seed in seeds]
    cells = [(*of_one_k, family) for of_one_k in sizes for family in grid.families]
    done = [cell for cell in in_parallel(fit, cells, plan.workers, stopped) if cell is not None]
    if not done:
        raise KeyboardInterrupt
    return _with_certificates(Selection(grid.criterion, tuple(done)), survey, grid, plan)


def _with_certificates(selection: Selection, survey: Survey, grid: Grid, plan: Plan) -> Selection:
    """The winner and the runner-up, which people look at, with their certificates; the other cells go without."""

    def seen(cell: Candidate | None) -> Selection:
        """The selection with the certificate of a cell."""
        if cell is None or cell.fit is None or cell.fit.certificate is not None:
            return selection
        return _with(selection, cell, _certified(cell, survey, grid, plan))

    if not any(cell.fit for cell in selection.candidates):
        return selection
    selection = seen(selection.best)
    return seen(selection.runner_up)


def _with(selection: Selection, cell: Candidate, new: Candidate) -> Selection:
    """A selection with something else in the place of a cell."""
    return replace(selection, candidates=tuple(new if one is cell else one for one in selection.candidates))


def _certified(cell: Candidate, survey: Survey, grid: Grid, plan: Plan) -> Candidate:
    """A cell with its certificate."""
    assert cell.fit is not None
    family = next(family for family in grid.families if family.name == cell.family)
    regularisation = regularisation_for(family, survey, cell.n_components, grid.constraints)
    fit = certified(cell.fit, survey, family, regularisation, plan.stopping)
    return replace(cell, fit=fit, reason=cell.reason if fit.stop is cell.fit.stop else _reason(fit))


# ---- one cell --------------------------------------------------------------------------------------------------------


class _Begin:
    """The opening of one K, drawn when the first family asks for it; its other families, in whatever thread, get the same."""

    def __init__(self, survey: Survey, grid: Grid, K: int, seed: np.random.SeedSequence, sampled: bool) -> None:
        self._draw = partial(_opening, survey, grid, K, seed, sampled)
        self._drawing = threading.Lock()
        self._drawn: Opening | None = None

    def __call__(self) -> Opening:
        with self._drawing:
            if self._drawn is None:
                self._drawn = self._draw()
            return self._drawn


def _opening(survey: Survey, grid: Grid, K: int, seed: np.random.SeedSequence, sampled: bool) -> Opening:
    if survey.source.n_rows < K or (
        K > 1 and not grid.constraints.reg_covar and grid.constraints.prior is None and not survey.holds(K + 1)
    ):
        raise DataError(f"{survey.distinct.n_rows} distinct rows are too few for {K} components")
    return opening(grid.initialisers, survey, K, seed, sampled)


def _cell(
    survey: Survey,
    grid: Grid,
    family: Family,
    K: int,
    begin: Callable[[], Opening],
    plan: Plan,
    judge: _Judge,
    stopped: threading.Event,
) -> Candidate:
    """One cell; an interrupted one is kept, and asks the others to stop."""
    try:
        drawn = begin()
        warm = grid.warm.get((family.name, K))
        remark = check_data(survey, family, K, grid.constraints)
        regularisation = regularisation_for(family, survey, K, grid.constraints)
        if remark and plan.screened:  # what holds such covariances up has no loop in C++, and a choice hardly falls on them
            drawn, plan = drawn.with_starts(drawn.starts[:STARTS_OF_FEW_ROWS]), replace(plan, effort=None)
        drawn = drawn if warm is None else drawn.with_starts([*drawn.starts, ("fit of all rows", warm)])
        found = search_from(drawn, survey, family, regularisation, plan, stopped)
        fit = found.best
        fit = fit.in_order(fit.mixture.order_by_weight()) if grid.by_weight else fit
    except (CollapseError, DataError) as refusal:
        return Candidate(family.name, K, None, nan, str(refusal))
    if fit.stop is StopReason.INTERRUPTED:
        stopped.set()
    criteria, notes = judge.criteria(fit, family)
    value = criteria[grid.criterion]
    reason = _reason(fit) or notes.get(grid.criterion, "") or remark
    return Candidate(family.name, K, fit, value, reason, criteria, tuple(notes.values()), found.report, remark)


def _reason(fit: FitResult) -> str:
    """What to know about a fitted cell; empty when all is well."""
    if not fit.converged:
        return fit.stop.value
    said = [item for item in fit.findings if item.kind != "poorly determined"]
    if not said:
        return ""
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    return f"{said[0].kind}: {component_name(said[0].component)}{more}: {said[0].reason}"


# ---- all criteria ------------------------------------------------------------------------------------------------------


class _Judge:
    """Every criterion of a fit, with what some of them need beyond it."""

    def __init__(self, survey: Survey, grid: Grid, plan: Plan, held_out: _HeldOut | None) -> None:
        self.survey, self.grid, self.plan, self.held_out = survey, grid, plan, held_out
        self._one: dict[str, float] = {}

    def criteria(self, fit: FitResult, family: Family) -> tuple[dict[str, float], dict[str, str]]:
        """Values by name, and in words why some are NaN."""
        size = self.survey.effective_size if self.grid.effective else fit.total
        seen = at_size(fit, size) if self.grid.effective else fit
        values = {name: criterion(seen) for name, criterion in CRITERIA.items()}
        if fit.n_components == 1:
            self._one[family.name] = fit.log_likelihood
        values[NEC] = nec(fit, self._one_component(family))
        notes = {name: why_undefined(name, seen) for name, value in values.items() if not isfinite(value)}
        if self.held_out is not None:
            cell = (family.name, fit.n_components)
            values[CV] = -2.0 * self.held_out.values[cell] * size / fit.total
            if not isfinite(values[CV]):
                notes[CV] = self.held_out.reasons.get(cell, "not cross-validated: a held-out row has density zero")
        return values, notes

    def _one_component(self, family: Family) -> float:
        """``log L_1``: the family's one component on all rows, fitted once; NaN where it cannot be."""
        if family.name not in self._one:
            try:
                regularisation = regularisation_for(family, self.survey, 1, self.grid.constraints)
                alone = replace(self.plan, callback=None, workers=1)
                fit = search(self.survey, [self.survey.whole], family, regularisation, alone).best
                self._one[family.name] = fit.log_likelihood
            except (CollapseError, DataError):
                self._one[family.name] = nan
        return self._one[family.name]


# ---- cross-validation ------------------------------------------------------------------------------------------------

_Scores = dict[tuple[str, int], float | str]
"""Per cell, the log-likelihood of the rows of one fold, or why there is none."""


class _HeldOut:
    """Log-likelihoods of held-out rows, summed over the folds, per cell; NaN with a reason where a fold has no sound fit."""

    def __init__(self, folds: Sequence[_Scores]) -> None:
        self.values: dict[tuple[str, int], float] = {}
        self.reasons: dict[tuple[str, int], str] = {}
        for cell in folds[0]:
            scores = [fold[cell] for fold in folds]
            lost = [(v, score) for v, score in enumerate(scores, start=1) if isinstance(score, str)]
            self.values[cell] = nan if lost else sum(score for score in scores if not isinstance(score, str))
            if lost:
                self.reasons[cell] = f"not cross-validated: without fold {lost[0][0]} of {len(scores)}, {lost[0][1]}"


def _cross_validate(
    survey: Survey,
    grid: Grid,
    plan: Plan,
    n_threads: int | None,
    on_fold: Callable[[int], None] | None,
    stopped: threading.Event,
) -> _HeldOut:
    """The grid fitted without each fold, from starts that are drawn without it, and scored on it.

    A fit of all rows is no start here: it would carry the place of held-out rows into the fit, most of all where a component
    sits on few of them, and so favour many components.
    """
    own = np.random.SeedSequence(grid.seed.entropy, spawn_key=(*grid.seed.spawn_key, _CROSS_VALIDATION))
    dealing, *seeds = own.spawn(1 + (grid.folds or DEFAULT_FOLDS))
    folds = folds_of(survey, len(seeds), dealing)
    done: list[_Scores] = []

    def count(scores: _Scores) -> None:
        done.append(scores)
        if on_fold is not None:
            on_fold(len(done))

    work = partial(_score_fold, replace(grid, criterion="bic", folds=0, warm={}), replace(plan, callback=None, workers=1))
    scores, cut = replicates(work, list(zip(folds, seeds, strict=True)), survey, n_threads, count, stopped)
    if cut:
        raise KeyboardInterrupt
    return _HeldOut(scores)


_CROSS_VALIDATION = 2**31
"""A child of the grid's seed that no K uses, so that the starts are the same with and without cross-validation."""


def _score_fold(grid: Grid, plan: Plan, item: tuple[Fold, np.random.SeedSequence], stopped: threading.Event) -> _Scores:
    """One fold: the log-likelihood of its rows under every cell fitted to the others."""
    fold, seed = item
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever there is to say about the data is said about all of them
        selection = select(fold.training, replace(grid, seed=seed), plan, stopped=stopped)
    if is_cut_short(selection, grid):
        raise KeyboardInterrupt
    return {(cell.family, cell.n_components): _held_out(cell, fold) for cell in selection.candidates}


def _held_out(cell: Candidate, fold: Fold) -> float | str:
    if cell.fit is None or not cell.is_answer:
        return cell.reason
    return fold.training.backend.moments(fold.held_out, cell.fit.mixture, Scatter.TRACE).log_likelihood


def is_cut_short(selection: Selection, grid: Grid) -> bool:
    """Whether Ctrl-C ended a selection."""
    interrupted = any(cell.fit is not None and cell.fit.stop is StopReason.INTERRUPTED for cell in selection.candidates)
    return interrupted or len(selection.candidates) < grid.n_cells
