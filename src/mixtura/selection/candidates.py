"""The candidates of a selection: a family and a K, fitted and compared by every criterion."""

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
from mixtura.distribution.mixture import Mixture
from mixtura.initialise.initialisers import Initialiser
from mixtura.initialise.noise_rows import NoiseStart
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.inputs.data_checks import check_data
from mixtura.model.component_order import ComponentSort
from mixtura.model.criteria import CRITERIA, CV, NEC, at_size, nec, why_undefined
from mixtura.model.fit_result import FitResult, SearchResult, StopReason
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Stage
from mixtura.search.budget import Plan
from mixtura.search.initialisation import MICRO_CLUSTERS_OF_A_SELECTION, Initialisation, initialised
from mixtura.search.search import search
from mixtura.search.starts import of_one_component
from mixtura.search.subsampling import search_from

OnCandidate = Callable[[Candidate], None]

Key = tuple[Family, int]
"""The identity of a candidate: its family and its K."""

STARTS_OF_FEW_ROWS = 3
"""Starts of a candidate whose covariances are shrunk: with all of them a selection on 31 rows took
43 s, for the same winner.
"""


@dataclass(frozen=True)
class Grid:
    """The candidates of a selection: families x K, their starts, and the criterion.

    ``folds`` above 0 adds cross-validation, whatever criterion decides; ``effective`` takes the
    criteria at the effective size of survey weights; ``sort`` orders the components of each fit;
    ``warm`` holds a further start, a mixture, for some candidates ``(family name, K)``; ``columns``
    are the names of the columns in messages.
    """

    ks: Sequence[int]
    families: Sequence[Family]
    initialisers: Sequence[Initialiser]
    criterion: str
    constraints: Constraints
    seed: np.random.SeedSequence
    folds: int = 0
    effective: bool = False
    sort: ComponentSort | None = None
    warm: Mapping[tuple[str, int], Mixture] = field(default_factory=dict)
    columns: Sequence[str] | None = None

    @property
    def n_candidates(self) -> int:
        """Number of candidates."""
        return len(self.ks) * len(self.families)

    @property
    def keys(self) -> list[Key]:
        """The candidates, K by K."""
        return [(family, K) for K in self.ks for family in self.families]

    def initialisations(self, dataset: Dataset, sampled: bool) -> dict[int, SharedInitialisation]:
        """The initialisation of every K."""
        return {
            K: SharedInitialisation(dataset, self, K, seed, sampled)
            for K, seed in zip(self.ks, self.seed.spawn(len(self.ks)), strict=True)
        }


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Log-likelihoods of held-out rows per candidate, summed over the folds.

    A value is NaN where a fold has no sound fit; ``reasons`` has the cause.
    """

    values: Mapping[tuple[str, int], float]
    reasons: Mapping[tuple[str, int], str]


class SharedInitialisation:
    """The initialisation of one K, shared by its families.

    It is drawn when the first family needs it, in the thread of that family.
    """

    def __init__(
        self, dataset: Dataset, grid: Grid, K: int, seed: np.random.SeedSequence, sampled: bool
    ) -> None:
        self._draw = partial(_initialisation, dataset, grid, K, seed, sampled)
        self._drawing = threading.Lock()
        self._drawn: Initialisation | None = None

    def __call__(self) -> Initialisation:
        """The same one at each call."""
        with self._drawing:
            if self._drawn is None:
                self._drawn = self._draw()
            return self._drawn


def _initialisation(
    dataset: Dataset, grid: Grid, K: int, seed: np.random.SeedSequence, sampled: bool
) -> Initialisation:
    if dataset.source.n_rows < K or (
        K > 1
        and not grid.constraints.reg_covar
        and grid.constraints.prior is None
        and not dataset.has_distinct(K + 1)
    ):
        raise DataError(f"{dataset.distinct.n_rows} distinct rows are too few for {K} components")
    return initialised(
        grid.initialisers,
        dataset,
        K,
        seed,
        sampled,
        MICRO_CLUSTERS_OF_A_SELECTION,
        noise_of_starts(grid.constraints),
    )


def noise_of_starts(constraints: Constraints) -> NoiseStart | None:
    """How starts leave rows to the noise; None without noise."""
    return None if constraints.noise is None else NoiseStart()


@dataclass(frozen=True, eq=False)
class CandidateFitter:
    """Fits the candidates of a grid, to all rows or to a sample of them.

    Attributes
    ----------
    dataset : Dataset
        The rows that are fitted.
    grid : Grid
    evaluator : Evaluator
    stopped : threading.Event
    whole : Dataset
        All rows: the data checks, the regularisation and every criterion are of these.
    """

    dataset: Dataset
    grid: Grid
    evaluator: Evaluator
    stopped: threading.Event
    whole: Dataset
    _known: dict[tuple[str, int], tuple[str, Problem]] = field(default_factory=dict)

    def on(self, rows: Dataset) -> CandidateFitter:
        """The same on a sample of the rows."""
        return replace(self, dataset=rows)

    def fit(
        self,
        family: Family,
        K: int,
        initialisation: Callable[[], Initialisation],
        plan: Plan,
        stage: Stage = Stage.SEARCHED,
    ) -> Candidate:
        """One candidate; an interrupted one is kept, and stops the others."""
        try:
            drawn = initialisation()
            remark, problem = self.checked_problem(family, K)
            warm = self.grid.warm.get((family.name, K))
            found = self._searched(problem, drawn, plan, warm, few_rows=bool(remark))
        except (CollapseError, DataError) as refusal:
            return Candidate(family.name, K, None, nan, str(refusal), stage=stage)
        fit = found.best
        if self.grid.sort is not None:
            fit = fit.in_order(problem.in_place(self.grid.sort.of(fit.mixture)))
        if fit.stop is StopReason.INTERRUPTED:
            self.stopped.set()
        rows = None
        if self.dataset is not self.whole:
            rows, stage = self.dataset.source.n_rows, Stage.SHORT_FIT
            fit = _estimated(fit, self.whole)
        criteria, notes = self.evaluator.criteria(fit, family)
        return Candidate(
            family.name,
            K,
            fit,
            criteria[self.grid.criterion],
            self._reason(fit, stage, rows) or notes.get(self.grid.criterion, "") or remark,
            criteria,
            tuple(notes.values()),
            found.report,
            remark=remark,
            stage=stage,
            rows=rows,
        )

    def _searched(
        self,
        problem: Problem,
        drawn: Initialisation,
        plan: Plan,
        warm: Mixture | None,
        few_rows: bool,
    ) -> SearchResult:
        """The search from the starts of a K, and from the warm start of the candidate."""
        if few_rows and plan.screened:  # EM with shrinkage is not in C++, and seldom wins
            drawn = drawn.with_starts(drawn.starts[:STARTS_OF_FEW_ROWS])
            plan = replace(plan, budget=None)
        if warm is not None:
            drawn = drawn.with_starts([*drawn.starts, ("fit of all rows", warm)])
        return search_from(drawn, problem.with_data(self.dataset), plan, self.stopped)

    def _reason(self, fit: FitResult, stage: Stage, rows: int | None) -> str:
        """A remark on a candidate for the table; empty when all is well."""
        if rows is not None:
            return f"estimated from {rows:,} of {self.whole.source.n_rows:,} rows"
        if stage is Stage.SHORT_FIT and fit.stop in (StopReason.MAX_ITER, StopReason.STOPPED_EARLY):
            return f"a short fit ended after {fit.n_iter} iterations"
        return reason_of(fit)

    def shifted(self, candidate: Candidate, family: Family, by: float) -> Candidate:
        """An estimate with ``by`` added to its log-likelihood."""
        assert candidate.fit is not None
        level = candidate.fit.log_likelihood + by
        fit = replace(candidate.fit, log_likelihood=level, trace=(level,))
        criteria, _ = self.evaluator.criteria(fit, family)
        value = criteria[self.grid.criterion]
        return replace(candidate, fit=fit, criterion=value, criteria=criteria)

    def checked_problem(self, family: Family, K: int) -> tuple[str, Problem]:
        """The problem of all rows, and a remark on the data; its regularisation serves all fits."""
        if (family.name, K) not in self._known:
            constraints = self.grid.constraints
            remark = check_data(self.whole, family, K, constraints, self.grid.columns)
            self._known[family.name, K] = remark, problem_of(self.whole, family, K, constraints)
        return self._known[family.name, K]

    def each(
        self,
        fit: Callable[[Family, int], Candidate],
        keys: Sequence[Key],
        workers: int,
        on_candidate: OnCandidate | None,
    ) -> list[Candidate | None]:
        """Candidates side by side, in order; None for those that were not begun before a stop."""

        def one(key: Key) -> Candidate | None:
            candidate = None
            if not self.stopped.is_set():
                try:
                    candidate = fit(*key)
                    if on_candidate is not None:
                        on_candidate(candidate)
                except KeyboardInterrupt:
                    self.stopped.set()
            return candidate

        return in_parallel(one, keys, workers, self.stopped)


def _estimated(fit: FitResult, whole: Dataset) -> FitResult:
    """A fit of a sample with its criteria estimated for all rows.

    The log-likelihood of m rows at their own optimum is on average ``p / 2`` too high for p
    parameters, and that of other rows as much too low.
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


def not_fitted(family: Family, K: int) -> Candidate:
    """The row of the table for a candidate that was not begun before a stop."""
    return Candidate(family.name, K, None, nan, Stage.NOT_FITTED.value, stage=Stage.NOT_FITTED)


def reason_of(fit: FitResult) -> str:
    """A remark on a fit for the table; empty when all is well."""
    if not fit.converged:
        return fit.stop.value
    findings = [item for item in fit.findings if item.kind != "poorly determined"]
    if not findings:
        return ""
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{first.kind}: {component_name(first.component)}{more}: {first.reason}"


class Evaluator:
    """Computes every criterion of a fit, also those that need other fits."""

    def __init__(self, dataset: Dataset, grid: Grid, plan: Plan, held_out: HeldOut | None) -> None:
        self.dataset, self.grid, self.plan, self.held_out = dataset, grid, plan, held_out
        self._one: dict[str, float] = {}

    def criteria(self, fit: FitResult, family: Family) -> tuple[dict[str, float], dict[str, str]]:
        """Values by name, and for those that are NaN the reason."""
        size = self.dataset.effective_size if self.grid.effective else fit.total
        at_n = at_size(fit, size) if self.grid.effective else fit
        values = {name: criterion(at_n) for name, criterion in CRITERIA.items()}
        if fit.n_components == 1 and fit.moments is not None:
            self._one[family.name] = fit.log_likelihood
        values[NEC] = nec(fit, self._one_component(family))
        notes = {
            name: why_undefined(name, at_n) for name, value in values.items() if not isfinite(value)
        }
        if NEC in notes and self.dataset.n_classes > 1:
            notes[NEC] = "NEC is undefined: one component cannot hold rows of several known classes"
        if self.held_out is not None:
            key = (family.name, fit.n_components)
            values[CV] = -2.0 * self.held_out.values[key] * size / fit.total
            if not isfinite(values[CV]):
                notes[CV] = self.held_out.reasons.get(
                    key, "not cross-validated: a held-out row has density zero"
                )
        return values, notes

    def _one_component(self, family: Family) -> float:
        """``log L_1`` of the family on all rows, fitted once; NaN where the fit fails, and where
        one component cannot hold all known classes.
        """
        if self.dataset.n_classes > 1:
            return nan
        if family.name not in self._one:
            try:
                constraints = self.grid.constraints
                problem = problem_of(self.dataset, family, 1, constraints)
                alone = replace(self.plan, callback=None, workers=1)
                starts = of_one_component(self.dataset, noise_of_starts(constraints))
                fit = search(problem, [start for _, start in starts], alone).best
                self._one[family.name] = fit.log_likelihood
            except (CollapseError, DataError):
                self._one[family.name] = nan
        return self._one[family.name]
