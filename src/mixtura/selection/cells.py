"""One cell of a selection: a family and a K, fitted and judged by every criterion."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite, nan

import numpy as np

from mixtura.base.errors import CollapseError, DataError
from mixtura.base.numbering import component_name
from mixtura.base.parallel import in_parallel
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.initialise.initialisers import Initialiser
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.inputs.data_checks import check_data
from mixtura.model.criteria import CRITERIA, CV, NEC, at_size, nec, why_undefined
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.mixture import Mixture
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Stage
from mixtura.search.budget import Plan
from mixtura.search.initialisation import MICRO_CLUSTERS_OF_A_SELECTION, Initialisation, initialised
from mixtura.search.search import search
from mixtura.search.subsampling import search_from

OnCandidate = Callable[[Candidate], None]

Key = tuple[Family, int]
"""What a cell is: a family and a K."""

STARTS_OF_FEW_ROWS = 3
"""Starts of a cell whose covariances are shrunk: with all of them 31 rows took 43 s, for the same
winner.
"""


@dataclass(frozen=True)
class Grid:
    """What is to be fitted: families x K, from these kinds of start, judged by this criterion.

    ``folds`` above 0 adds cross-validation, whatever criterion decides; ``effective`` takes the
    criteria at the effective size of dataset weights; ``by_weight`` orders the components of each
    fit by falling weight; ``warm`` holds a mixture for some cells ``(family name, K)`` that is one
    more start there.
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

    @property
    def keys(self) -> list[Key]:
        """The cells, K by K."""
        return [(family, K) for K in self.ks for family in self.families]

    def begins(self, dataset: Dataset, sampled: bool) -> dict[int, Begin]:
        """The openings of every K."""
        return {
            K: Begin(dataset, self, K, seed, sampled)
            for K, seed in zip(self.ks, self.seed.spawn(len(self.ks)), strict=True)
        }


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Log-likelihoods of held-out rows, summed over the folds, per cell; NaN where a fold has no
    sound fit, and why.
    """

    values: Mapping[tuple[str, int], float]
    reasons: Mapping[tuple[str, int], str]


class Begin:
    """The opening of one K, drawn when the first family asks for it; its other families, in
    whatever thread, get the same.
    """

    def __init__(
        self, dataset: Dataset, grid: Grid, K: int, seed: np.random.SeedSequence, sampled: bool
    ) -> None:
        self._draw = partial(_opening, dataset, grid, K, seed, sampled)
        self._drawing = threading.Lock()
        self._drawn: Initialisation | None = None

    def __call__(self) -> Initialisation:
        """The same one at each call."""
        with self._drawing:
            if self._drawn is None:
                self._drawn = self._draw()
            return self._drawn


def _opening(
    dataset: Dataset, grid: Grid, K: int, seed: np.random.SeedSequence, sampled: bool
) -> Initialisation:
    if dataset.source.n_rows < K or (
        K > 1
        and not grid.constraints.reg_covar
        and grid.constraints.prior is None
        and not dataset.holds(K + 1)
    ):
        raise DataError(f"{dataset.distinct.n_rows} distinct rows are too few for {K} components")
    return initialised(grid.initialisers, dataset, K, seed, sampled, MICRO_CLUSTERS_OF_A_SELECTION)


@dataclass(frozen=True, eq=False)
class Cells:
    """What fits the cells of a grid, to all rows or to a sample of them.

    Attributes
    ----------
    dataset : Dataset
        The rows that are fitted.
    grid : Grid
    judge : Judge
    stopped : threading.Event
    whole : Dataset
        All rows, which decide what may be fitted, and of which every criterion speaks.
    """

    dataset: Dataset
    grid: Grid
    judge: Judge
    stopped: threading.Event
    whole: Dataset
    _known: dict[tuple[str, int], tuple[str, Problem]] = field(default_factory=dict)

    def on(self, rows: Dataset) -> Cells:
        """The same on a sample of the rows."""
        return replace(self, dataset=rows)

    def fit(
        self,
        family: Family,
        K: int,
        begin: Callable[[], Initialisation],
        plan: Plan,
        stage: Stage = Stage.SEARCHED,
    ) -> Candidate:
        """One cell; an interrupted one is kept, and asks the others to stop."""
        dataset, grid = self.dataset, self.grid
        try:
            drawn = begin()
            warm = grid.warm.get((family.name, K))
            remark, problem = self.terms(family, K)
            if (
                remark and plan.screened
                # what holds such covariances up has no loop in C++, and a choice hardly falls on
                # them
            ):
                drawn, plan = (
                    drawn.with_starts(drawn.starts[:STARTS_OF_FEW_ROWS]),
                    replace(plan, budget=None),
                )
            drawn = (
                drawn
                if warm is None
                else drawn.with_starts([*drawn.starts, ("fit of all rows", warm)])
            )
            found = search_from(drawn, problem.with_data(dataset), plan, self.stopped)
            fit = found.best
            fit = fit.in_order(fit.mixture.order_by_weight()) if grid.by_weight else fit
        except (CollapseError, DataError) as refusal:
            return Candidate(family.name, K, None, nan, str(refusal), stage=stage)
        if fit.stop is StopReason.INTERRUPTED:
            self.stopped.set()
        rows = None
        if dataset is not self.whole:
            fit, rows, stage = _estimated(fit, self.whole), dataset.source.n_rows, Stage.SHORT_FIT
        criteria, notes = self.judge.criteria(fit, family)
        value = criteria[grid.criterion]
        if rows is not None:
            reason = f"estimated from {rows:,} of {self.whole.source.n_rows:,} rows"
        elif stage is Stage.SHORT_FIT and fit.stop in (StopReason.MAX_ITER, StopReason.OUTRUN):
            reason = f"a look ended after {fit.n_iter} iterations"
        else:
            reason = reason_of(fit) or notes.get(grid.criterion, "") or remark
        return Candidate(
            family.name,
            K,
            fit,
            value,
            reason,
            criteria,
            tuple(notes.values()),
            found.report,
            remark=remark,
            stage=stage,
            rows=rows,
        )

    def moved(self, cell: Candidate, family: Family, by: float) -> Candidate:
        """An estimate of a cell whose log-likelihood is moved."""
        assert cell.fit is not None
        level = cell.fit.log_likelihood + by
        fit = replace(cell.fit, log_likelihood=level, trace=(level,))
        criteria, _ = self.judge.criteria(fit, family)
        return replace(cell, fit=fit, criterion=criteria[self.grid.criterion], criteria=criteria)

    def terms(self, family: Family, K: int) -> tuple[str, Problem]:
        """What is to be said of a cell's data, and the problem of all rows, whose regularisation
        serves all fits of a cell.
        """
        if (family.name, K) not in self._known:
            constraints = self.grid.constraints
            said = check_data(self.whole, family, K, constraints)
            self._known[family.name, K] = said, problem_of(self.whole, family, K, constraints)
        return self._known[family.name, K]

    def each(
        self,
        work: Callable[[Family, int], Candidate],
        keys: Sequence[Key],
        workers: int,
        on_candidate: OnCandidate | None,
    ) -> list[Candidate | None]:
        """Cells side by side, in order; None for those that were not begun before a stop."""

        def one(key: Key) -> Candidate | None:
            cell = None
            if not self.stopped.is_set():
                try:
                    cell = work(*key)
                    if on_candidate is not None:
                        on_candidate(cell)
                except KeyboardInterrupt:
                    self.stopped.set()
            return cell

        return in_parallel(one, keys, workers, self.stopped)


def _estimated(fit: FitResult, whole: Dataset) -> FitResult:
    """What a fit of a sample would be on all rows: as good a row, less what it gains by the chance
    of its sample.

    A fit of m rows is half a parameter too good on them, and as much too bad on others.
    """
    share = whole.total / fit.total
    level = (
        share * (fit.log_likelihood - 0.5 * fit.n_parameters)
        + 0.5 * fit.n_parameters * whole.row_weight
    )
    return replace(
        fit,
        log_likelihood=level,
        entropy=share * fit.entropy,
        certainty=share * fit.certainty,
        total=whole.total,
        trace=(level,),
        moments=None,
    )


def not_looked_at(family: Family, K: int) -> Candidate:
    """What stands in the table for a cell that was not begun before a stop."""
    return Candidate(
        family.name, K, None, nan, Stage.NOT_FITTED.value, stage=Stage.NOT_FITTED
    )


def reason_of(fit: FitResult) -> str:
    """What to know about a fitted cell; empty when all is well."""
    if not fit.converged:
        return fit.stop.value
    said = [item for item in fit.findings if item.kind != "poorly determined"]
    if not said:
        return ""
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    return f"{said[0].kind}: {component_name(said[0].component)}{more}: {said[0].reason}"


class Judge:
    """Every criterion of a fit, with what some of them need beyond it."""

    def __init__(self, dataset: Dataset, grid: Grid, plan: Plan, held_out: HeldOut | None) -> None:
        self.dataset, self.grid, self.plan, self.held_out = dataset, grid, plan, held_out
        self._one: dict[str, float] = {}

    def criteria(self, fit: FitResult, family: Family) -> tuple[dict[str, float], dict[str, str]]:
        """Values by name, and in words why some are NaN."""
        size = self.dataset.effective_size if self.grid.effective else fit.total
        seen = at_size(fit, size) if self.grid.effective else fit
        values = {name: criterion(seen) for name, criterion in CRITERIA.items()}
        if fit.n_components == 1 and fit.moments is not None:
            self._one[family.name] = fit.log_likelihood
        values[NEC] = nec(fit, self._one_component(family))
        notes = {
            name: why_undefined(name, seen) for name, value in values.items() if not isfinite(value)
        }
        if self.held_out is not None:
            cell = (family.name, fit.n_components)
            values[CV] = -2.0 * self.held_out.values[cell] * size / fit.total
            if not isfinite(values[CV]):
                notes[CV] = self.held_out.reasons.get(
                    cell, "not cross-validated: a held-out row has density zero"
                )
        return values, notes

    def _one_component(self, family: Family) -> float:
        """``log L_1``: the family's one component on all rows, fitted once; NaN where it cannot
        be.
        """
        if family.name not in self._one:
            try:
                problem = problem_of(self.dataset, family, 1, self.grid.constraints)
                alone = replace(self.plan, callback=None, workers=1)
                fit = search(problem, [self.dataset.whole], alone).best
                self._one[family.name] = fit.log_likelihood
            except (CollapseError, DataError):
                self._one[family.name] = nan
        return self._one[family.name]
