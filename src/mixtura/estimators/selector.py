"""GaussianMixtureSelector: the family and the number of components, as an estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from mixtura.base.arrays import Labels, Rows
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.html import ResultHtmlMixin, selection_html
from mixtura.estimators.memberships import MembershipTransformer
from mixtura.estimators.student_t_mixture import StudentTMixture
from mixtura.inputs.parameters import check_count
from mixtura.inputs.rows import dataset_for, read_data
from mixtura.model.selection import Selection
from mixtura.selection.bootstrap import TOP_FAMILIES, TOP_KS, USUAL_RESAMPLES, ChoiceUncertainty
from mixtura.selection.select import OnCandidate
from mixtura.selection.settings import (
    SelectionSettings,
    candidates_of,
    selected_again,
    selection_of,
    warn_of,
)


class GaussianMixtureSelector(
    ResultHtmlMixin,
    MembershipTransformer,
    DensityMixin,  # type: ignore[misc]
    SelectionSettings,
    BaseEstimator,  # type: ignore[misc]
):
    """Selection of the number of components and of the covariance family by a criterion.

    Parameters
    ----------
    n_components : int or iterable of int, default=1 to 10
        The Ks to try.
    families : "all" or list of str, default="all"
        The covariance types to try, by any name of :class:`GaussianMixture`.
    components : {"gaussian", "t", "both"}, default="gaussian"
        The components of the candidates: Gaussian, t (:class:`StudentTMixture`), or every family
        with both, of which the criterion chooses.
    degrees_of_freedom : {"free", "equal"}, default="free"
        Of t components: one estimate for each component, or one for all.
    criterion : str, default="bic"
        The criterion, lower is better: "bic", "aic", "icl" (at the hard partition, as in mclust),
        "icl_entropy", "aicc", "sabic", "clc", "awe", "nec", "entropy", or "cv" (cross-validation).
    folds : int or None, default=None
        Folds of the cross-validation: -2 x log-likelihood of held-out rows is one more column of
        ``criteria_``. None: ten with ``criterion="cv"``, else no cross-validation. It takes as long
        as that many selections.
    sample_size : {"total", "effective"}, default="total"
        The n of the criteria. "total": the sum of the weights, which are frequencies. "effective":
        ``(sum w)^2 / sum w^2`` for the weights of a survey, which are scaled to that sum.
    tol : float or None, default=None
        As in :class:`GaussianMixture`, like all parameters that follow.
    reg_covar : float or None, default=None
        A floor of rounding, or a number that is added to every variance.
    prior : None, "conjugate" or ConjugatePrior, default=None
        Maximum a posteriori.
    eigenvalue_ratio : float or None, default=None
        A bound of the ratio of eigenvalues of the covariances.
    equal_weights : bool, default=False
        Whether all proportions are equal.
    noise : None, "box", "principal", "auto" or float, default=None
        A uniform density beside the components; the starts find its rows.
    fixed_weights, fixed_means, fixed_covariances, fixed_mixture : default=None
        Fixed parameters of the first components; the others of each K are free.
        ``fixed_covariances`` are (K, d, d) matrices where families differ in their form; a family
        that they do not belong to is listed with the reason.
    acceleration : {"auto", "squarem", None}, default="auto"
        SQUAREM, or plain EM.
    max_iter : int, default=2000
        Iterations of EM at most.
    n_init : int or None, default=None
        None: candidates get a short fit, and those that can still win are searched. A number: so
        many full runs of every candidate. All families of one K share their starts.
    random_state : int, RandomState or None, default=None
        The seed.
    component_order : "weight", int, str or None, default=None
        The order of the components of every candidate: by falling weight, or by rising means in a
        column, given by its number or name.
    n_threads : int or None, default=None
        None uses every processor. It never changes a result.
    backend : {"auto", "native", "reference"}, default="auto"
        The E-step in C++ or in NumPy.

    Attributes
    ----------
    selection_ : mixtura.model.selection.Selection
        Every candidate, also the failed ones with their reasons; the winner and the runner-up.
    best_estimator_ : GaussianMixture or StudentTMixture
        The winner.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixtureSelector
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (100, 1)), rng.normal(9, 1, (100, 1))])
    >>> choice = GaussianMixtureSelector(range(1, 4), families=["EEE", "VVV"], random_state=0)
    >>> choice.fit(X).selection_.best.n_components
    2
    """

    def __sklearn_tags__(self) -> Any:
        """Missing entries are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _result_html(self) -> str:
        """The winner and the runner-up, under the diagram of scikit-learn."""
        return (
            selection_html(self.selection_, getattr(self, "feature_names_in_", None))
            if hasattr(self, "selection_")
            else ""
        )

    @ignore_underflow
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        callback: OnCandidate | None = None,
        on_fold: Callable[[int], None] | None = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> Self:
        """Fit every candidate and keep the best one.

        Parameters
        ----------
        X : (n, d)
        y : ignored
        sample_weight : (n,), optional
            Frequencies.
        callback : callable, optional
            Called with each :class:`mixtura.model.selection.Candidate` after its short fit, and
            again after its search.
        on_fold : callable, optional
            Called with the number of folds of the cross-validation that are done, all of them
            before the first candidate.
        labels, measurement_covariance : optional
            As in :meth:`GaussianMixture.fit`. Candidates have at least as many components as there
            are classes.
        """
        candidates = candidates_of(self)
        data = read_data(self, X, sample_weight, labels, measurement_covariance)
        self.selection_ = selection_of(self, *candidates, data.dataset, callback, on_fold)
        warn_of(self.selection_, stacklevel=3)
        self.best_estimator_ = estimator_of(self, self.selection_, data.rows.dtype)
        self.best_estimator_._set_classes(data.classes)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(self.best_estimator_, name, getattr(self, name))
        return self

    @ignore_underflow
    def bootstrap(
        self,
        X: Any,
        sample_weight: Any = None,
        *,
        n_resamples: int = USUAL_RESAMPLES,
        top_families: int | None = TOP_FAMILIES,
        top_ks: int | None = TOP_KS,
        on_resample: Callable[[int], None] | None = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> ChoiceUncertainty:
        """The selection on bootstrap resamples: how often each K and each family wins.

        Parameters
        ----------
        X : (n, d)
            The rows of the fit.
        sample_weight : (n,), optional
            Their frequencies.
        n_resamples : int, default=100
        top_families, top_ks : int or None
            Only the best few families and Ks take part; None for all.
        on_resample : callable, optional
            Called with the number of resamples that are done. Ctrl-C keeps those.
        labels, measurement_covariance : optional
            What the fit knew of the rows.

        Returns
        -------
        mixtura.selection.bootstrap.ChoiceUncertainty
        """
        check_is_fitted(self)
        check_count("n_resamples", n_resamples, 1)
        check_count("top_families", top_families, 1, optional=True)
        check_count("top_ks", top_ks, 1, optional=True)
        dataset = dataset_for(self, X, sample_weight, labels, measurement_covariance)
        return selected_again(
            self,
            dataset,
            self.selection_,
            n_resamples=n_resamples,
            top_families=top_families,
            top_ks=top_ks,
            on_resample=on_resample,
        )

    @property
    def table_(self) -> Any:
        """All candidates, best first, as a data frame of pandas, polars or pyarrow."""
        check_is_fitted(self)
        return candidates_frame(self.selection_)

    @property
    def criteria_(self) -> Any:
        """All criteria of all candidates as a data frame; lower is better in every column."""
        check_is_fitted(self)
        return criteria_frame(self.selection_)

    @property
    def mixture_(self) -> Mixture:
        """The mixture of the winner."""
        check_is_fitted(self)
        return self.best_estimator_.mixture_

    @property
    def n_iter_(self) -> int:
        """Iterations of EM of the winner."""
        check_is_fitted(self)
        return self.best_estimator_.n_iter_

    def predict(self, X: Any, measurement_covariance: Any = None) -> Labels:
        """The most probable component of each row (n,); -1 for rows of the noise."""
        check_is_fitted(self)
        return self.best_estimator_.predict(X, measurement_covariance)

    def fit_predict(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> Labels:
        """Fit, then the most probable component of each row (n,)."""
        self.fit(
            X,
            sample_weight=sample_weight,
            labels=labels,
            measurement_covariance=measurement_covariance,
        )
        return self.predict(X, measurement_covariance)

    def predict_proba(self, X: Any, measurement_covariance: Any = None) -> Rows:
        """The probability of each component for each row (n, K), and last that of the noise."""
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X, measurement_covariance)

    def impute(
        self,
        X: Any,
        measurement_covariance: Any = None,
        *,
        draw: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> Rows:
        """The rows (n, d) with expected values; see :meth:`GaussianMixture.impute`."""
        check_is_fitted(self)
        return self.best_estimator_.impute(
            X, measurement_covariance, draw=draw, random_state=random_state
        )

    def score_samples(self, X: Any, measurement_covariance: Any = None) -> Rows:
        """Log density of each row (n,)."""
        check_is_fitted(self)
        return self.best_estimator_.score_samples(X, measurement_covariance)

    def score(self, X: Any, y: Any = None, measurement_covariance: Any = None) -> float:
        """Mean log density of the rows."""
        check_is_fitted(self)
        return self.best_estimator_.score(X, measurement_covariance=measurement_covariance)


def estimator_of(
    settings: SelectionSettings, selection: Selection, dtype: np.dtype[Any]
) -> GaussianMixture:
    """The winner as an estimator, with the settings of the selection."""
    winner = selection.best
    assert winner.fit is not None
    shared = {field.name for field in fields(SelectionSettings)} & set(
        GaussianMixture().get_params()
    )
    given: dict[str, Any] = {name: getattr(settings, name) for name in shared}
    given["covariance_type"] = winner.family
    best = (
        StudentTMixture(degrees_of_freedom=settings.degrees_of_freedom, **given)
        if winner.components == "t"
        else GaussianMixture(**given)
    )
    best.set_params(n_components=winner.n_components)._set_result(winner.fit, dtype)
    return best


def candidates_frame(selection: Selection) -> Any:
    """All candidates as a data frame: eligible ones first, best first."""
    return _frame(selection.rows())


def criteria_frame(selection: Selection) -> Any:
    """All criteria of all candidates as a data frame, in the order of the candidates."""
    return _frame(selection.criteria_rows())


def _frame(rows: Sequence[Mapping[str, object]]) -> Any:
    """A data frame of the first installed of pandas, polars and pyarrow."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for backend in ("pandas", "polars", "pyarrow"):
        try:
            return nw.from_dict(columns, backend=backend).to_native()
        except ImportError:
            continue
    raise ImportError(
        "A data frame needs pandas, polars or pyarrow: pip install pandas. selection_.rows() and "
        "selection_.criteria_rows() give the same as lists."
    )
