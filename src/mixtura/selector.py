"""GaussianMixtureSelector: which family and how many components, in scikit-learn's manner."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from mixtura import validation as door
from mixtura.arrays import Labels, Rows
from mixtura.backends import ROWS_WORTH_A_THREAD, backend_named
from mixtura.choice import TOP_FAMILIES, TOP_KS, USUAL_RESAMPLES, ChoiceUncertainty, bootstrap_selection
from mixtura.criteria import check_criterion
from mixtura.errors import DataWarning, DegenerateWarning
from mixtura.estimators import GaussianMixture
from mixtura.families import FAMILIES, family_named
from mixtura.mixture import Mixture
from mixtura.protocols import Family
from mixtura.result_html import ShowsResult, selection_html
from mixtura.results import Candidate, Selection
from mixtura.search.multistart import calm, usual_starts, workers_for
from mixtura.search.runs import Effort, Plan
from mixtura.selection import Grid, OnCandidate, select
from mixtura.stopping import REMAINING, RemainingGain, SmallChange, StoppingRule
from mixtura.survey import Survey
from mixtura.underflow import underflow_is_nought

SEARCHED = Effort(least=1.5e8)
"""What the local search of a candidate that can win may cost: more than that of a single fit, since there are few of them."""

_BOOTSTRAP = (2**31 + 1,)
"""A child of the seed that no fit of the selection uses."""


class GaussianMixtureSelector(ShowsResult, DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The number of components and the covariance family in one call: K x families x starts, judged by a criterion.

    Parameters
    ----------
    n_components : int or iterable of int, default=1 to 10
        The Ks to try.
    families : "all" or list of str, default="all"
    criterion : str, default="bic"
        What decides; lower is better for each. "bic", "aic", "icl" (at the hard partition, as in mclust), "icl_entropy", "aicc",
        "sabic", "clc", "awe", "nec", "entropy", or "cv" (cross-validation); see :mod:`mixtura.criteria`.
    folds : int or None, default=None
        Folds of the cross-validation: -2 x log-likelihood of held-out rows becomes one more column of ``criteria_``.
        None: ten where ``criterion="cv"`` asks for them, else none. It takes as long as that many selections.
    sample_size : {"total", "effective"}, default="total"
        The n of the criteria. "total": the sum of the weights, which are frequencies. "effective": ``(sum w)^2 / sum w^2``
        for survey weights, with the weights scaled to that sum.
    tol, reg_covar, prior, eigenvalue_ratio, equal_weights, acceleration, max_iter, n_init, random_state, n_threads, backend
        As in :class:`GaussianMixture`. The starts of one K are shared by all families; with ``n_init=None`` only those that can win
        are searched (:mod:`mixtura.selection_race`).
    component_order : {"weight", None}, default=None
        "weight": the components of every candidate by falling weight, equal ones by their means.

    Attributes
    ----------
    selection_ : mixtura.results.Selection
        Every candidate, also the failed ones with their reasons; winner and runner-up.
    best_estimator_ : GaussianMixture

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixtureSelector
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (100, 1)), rng.normal(9, 1, (100, 1))])
    >>> GaussianMixtureSelector(range(1, 4), families=["EEE", "VVV"], random_state=0).fit(X).selection_.best.n_components
    2
    """

    def __init__(
        self,
        n_components: int | Iterable[int] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        *,
        families: str | Sequence[str] = "all",
        criterion: str = "bic",
        folds: int | None = None,
        sample_size: str = "total",
        tol: float | None = None,
        reg_covar: float | None = None,
        prior: Any = None,
        eigenvalue_ratio: float | None = None,
        equal_weights: bool = False,
        acceleration: str | None = "auto",
        max_iter: int = 2000,
        n_init: int | None = None,
        random_state: Any = None,
        component_order: str | None = None,
        n_threads: int | None = None,
        backend: str = "auto",
    ) -> None:
        self.n_components = n_components
        self.families = families
        self.criterion = criterion
        self.folds = folds
        self.sample_size = sample_size
        self.tol = tol
        self.reg_covar = reg_covar
        self.prior = prior
        self.eigenvalue_ratio = eigenvalue_ratio
        self.equal_weights = equal_weights
        self.acceleration = acceleration
        self.max_iter = max_iter
        self.n_init = n_init
        self.random_state = random_state
        self.component_order = component_order
        self.n_threads = n_threads
        self.backend = backend

    def _result_html(self) -> str:
        """The winner and the runner-up, under the diagram of scikit-learn."""
        return selection_html(self.selection_, getattr(self, "feature_names_in_", None)) if hasattr(self, "selection_") else ""

    @underflow_is_nought
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        callback: OnCandidate | None = None,
        on_fold: Callable[[int], None] | None = None,
    ) -> Self:
        """Fit every candidate and keep the best one.

        Parameters
        ----------
        X : (n, d)
        y : ignored
        sample_weight : (n,), optional
            Frequencies.
        callback : callable, optional
            Called with each :class:`mixtura.results.Candidate` when it was looked at, and again when it was searched.
        on_fold : callable, optional
            Called with the number of folds of the cross-validation that are done; they come before the candidates.
        """
        door.check_settings(self)
        check_criterion(self.criterion)
        door.check_count("folds", self.folds, 2, optional=True)
        if self.sample_size not in ("total", "effective"):
            raise ValueError(
                f"sample_size must be 'total' or 'effective', but {self.sample_size!r} came. Effective is for survey weights."
            )
        ks = list(self.n_components) if isinstance(self.n_components, Iterable) else [self.n_components]
        for K in ks:
            door.check_count("n_components", K, 1)
        names = [self.families] if isinstance(self.families, str) else list(self.families)
        names = list(FAMILIES) if names == ["all"] else names
        families = [family_named(name) for name in names]
        if not ks or not families:
            raise ValueError("n_components and families must name at least one candidate each, but one of them is empty.")
        rows, survey, _ = door.enter(self, X, sample_weight)
        if self.families == "all" and survey.source.n_features == 1:  # with one column E and V are all there is
            families = [family for family in families if family.name.endswith("II")]
        grid = self._grid(ks, families)
        plan = self._plan(survey, grid.n_cells)
        if plan.workers > 1 and survey.source.n_rows < ROWS_WORTH_A_THREAD:
            survey = Survey(survey.source, backend_named(self.backend, 1))  # the cells share the processors, so rows need not
        with calm(len(rows)):
            self.selection_ = select(survey, grid, plan, callback, n_threads=self.n_threads, on_fold=on_fold)
        self.best_estimator_ = self._best(self.selection_, rows.dtype)
        return self

    def _grid(self, ks: Sequence[int], families: Sequence[Family]) -> Grid:
        """What is to be fitted."""
        return Grid(
            ks,
            families,
            usual_starts(self.n_init),
            self.criterion,
            door.constraints_of(self),
            door.seed_of(self.random_state),
            folds=self.folds or 0,
            effective=self.sample_size == "effective",
            by_weight=door.ordered_by_weight(self),
        )

    def _plan(self, survey: Survey, n_jobs: int) -> Plan:
        """How each cell is searched."""
        stopping: StoppingRule = RemainingGain(REMAINING * survey.row_weight) if self.tol is None else SmallChange(float(self.tol))
        return Plan(
            stopping,
            self.max_iter,
            screened=self.n_init is None,
            workers=workers_for(survey, n_jobs, self.n_threads, short=False),
            accelerated=door.accelerated(self),
            effort=SEARCHED if self.n_init is None else None,
        )

    @underflow_is_nought
    def bootstrap(
        self,
        X: Any,
        sample_weight: Any = None,
        *,
        n_resamples: int = USUAL_RESAMPLES,
        top_families: int | None = TOP_FAMILIES,
        top_ks: int | None = TOP_KS,
        on_resample: Callable[[int], None] | None = None,
    ) -> ChoiceUncertainty:
        """How often each K and each family would win if the rows were drawn again: the uncertainty of the choice.

        Parameters
        ----------
        X : (n, d)
            The data that were selected on.
        sample_weight : (n,), optional
            Their frequencies.
        n_resamples : int, default=100
        top_families, top_ks : int or None
            Only the best few families and Ks take part; None for all.
        on_resample : callable, optional
            Called with the number of resamples that are done. Ctrl-C keeps those.

        Returns
        -------
        mixtura.choice.ChoiceUncertainty
        """
        check_is_fitted(self)
        door.check_count("n_resamples", n_resamples, 1)
        door.check_count("top_families", top_families, 1, optional=True)
        door.check_count("top_ks", top_ks, 1, optional=True)
        rows = door.rows_of(self, X, fitting=False)
        survey = door.survey_of(rows, door.weights_of(sample_weight, len(rows)), self.backend, self.n_threads)
        cells = self.selection_.candidates
        ks = list(dict.fromkeys(cell.n_components for cell in cells))
        families = [family_named(name) for name in dict.fromkeys(cell.family for cell in cells)]
        grid = self._grid(ks, families)
        return bootstrap_selection(
            survey,
            self.selection_,
            grid,
            replace(self._plan(survey, 1), effort=None),  # each resample starts where all rows led to
            n_resamples=n_resamples,
            seed=np.random.SeedSequence(grid.seed.entropy, spawn_key=_BOOTSTRAP),
            top_families=top_families,
            top_ks=top_ks,
            n_threads=self.n_threads,
            on_resample=on_resample,
        )

    def _best(self, selection: Selection, dtype: np.dtype[Any]) -> GaussianMixture:
        reasons = " | ".join(sorted({candidate.reason for candidate in selection.candidates})[:3])
        if not any(candidate.fit for candidate in selection.candidates):
            raise ValueError(f"No candidate could be fitted; selection_ holds them all with their reasons: {reasons}")
        if not selection.ranking:
            warnings.warn(
                "No candidate is an answer: components collapsed, are copies, or hold no rows. The simplest one is kept and says "
                f"little; try fewer components and stricter families. Reasons: {reasons}",
                DegenerateWarning,
                stacklevel=4,
            )
        winner: Candidate = selection.best
        fit = winner.fit
        assert fit is not None
        best = GaussianMixture(
            winner.n_components,
            covariance_type=winner.family,
            tol=self.tol,
            reg_covar=self.reg_covar,
            prior=self.prior,
            eigenvalue_ratio=self.eigenvalue_ratio,
            equal_weights=self.equal_weights,
            acceleration=self.acceleration,
            max_iter=self.max_iter,
            n_init=self.n_init,
            random_state=self.random_state,
            component_order=self.component_order,
            n_threads=self.n_threads,
            backend=self.backend,
        )
        best._adopt(fit, dtype)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(best, name, getattr(self, name))
        if not fit.converged:
            warnings.warn(f"The chosen model is {fit.stop.value}.", ConvergenceWarning, stacklevel=4)
        if winner.remark:
            warnings.warn(f"Of the chosen model: {winner.remark}", DataWarning, stacklevel=4)
        spurious = [item for item in fit.findings if item.kind == "spurious"]
        if spurious:
            warnings.warn(
                f"The chosen model has {len(spurious)} spurious component(s): {spurious[0].reason}. Try stricter families.",
                DegenerateWarning,
                stacklevel=4,
            )
        return best

    @property
    def table_(self) -> Any:
        """All candidates as a data frame of the first installed of pandas, polars and pyarrow, best first."""
        check_is_fitted(self)
        return candidates_frame(self.selection_)

    @property
    def criteria_(self) -> Any:
        """All criteria of all candidates as such a data frame; lower is better in every column."""
        check_is_fitted(self)
        return criteria_frame(self.selection_)

    @property
    def mixture_(self) -> Mixture:
        """The mixture that was chosen."""
        check_is_fitted(self)
        return self.best_estimator_.mixture_

    def predict(self, X: Any) -> Labels:
        """The most probable component of each row (n,)."""
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Labels:
        """Fit, then the most probable component of each row (n,)."""
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict_proba(self, X: Any) -> Rows:
        """The probability of each component for each row (n, K)."""
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    def score_samples(self, X: Any) -> Rows:
        """Log density of each row (n,)."""
        check_is_fitted(self)
        return self.best_estimator_.score_samples(X)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of the rows."""
        check_is_fitted(self)
        return self.best_estimator_.score(X)


def candidates_frame(selection: Selection) -> Any:
    """All candidates as a data frame of the first installed of pandas, polars and pyarrow; eligible ones first, best first."""
    return _frame(selection.rows())


def criteria_frame(selection: Selection) -> Any:
    """All criteria of all candidates as such a data frame; see :meth:`mixtura.results.Selection.criteria_rows`."""
    return _frame(selection.criteria_rows())


def _frame(rows: Sequence[Mapping[str, object]]) -> Any:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for backend in ("pandas", "polars", "pyarrow"):
        try:
            return nw.from_dict(columns, backend=backend).to_native()
        except ImportError:
            continue
    raise ImportError(
        "A data frame needs pandas, polars or pyarrow: pip install pandas. selection_.rows() and selection_.criteria_rows() "
        "give the same as lists."
    )
