"""MixtureRegressor: y given x from a mixture of both, as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.choices import CovarianceType
from mixtura.base.random_states import generator_of
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.columns import column_numbers, other_columns
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.univariate import checked_levels
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.inputs.parameters import check_count
from mixtura.inputs.rows import checked_weights, rows_of
from mixtura.inputs.targets import (
    Targets,
    blurred,
    names_beside,
    refuse_without_values,
    targets_of,
)
from mixtura.model.regression import (
    Regression,
    Summary,
    deviations_of,
    draws_of,
    means_of,
    quantiles_at,
)

USUAL_KS = range(1, 11)
USUAL_FAMILIES: tuple[CovarianceType, ...] = ("EEE", "VVV")
"""The candidates of the default choice: one to ten components, in which targets follow inputs."""


class MixtureRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Regression by a mixture of inputs and targets together: the distribution of y at each x.

    A mixture is fitted to the rows (x, y). Given x, y is a mixture again: each component has its
    linear regression, and counts by the probability that x came from it,

    ``p(y | x) = sum_k P(k | x) N(y | a_k + B_k x, S_k)``.

    The spread may differ along x, y may have several likely values, and inputs may be missing. One
    Gaussian is linear regression.

    Parameters
    ----------
    estimator : GaussianMixture, GaussianMixtureSelector or None, default=None
        The joint mixture, which is fitted to the columns of X and last those of y, also with t
        components (:class:`StudentTMixture`). None: the best by BIC of one to ten components with
        full covariances, shared (EEE) or free (VVV). A noise term takes outliers out of the fit;
        predictions are those of the components.
    random_state : int, RandomState or None, default=None
        The seed of the default mixture, and of ``sample_y``.

    Attributes
    ----------
    estimator_ : GaussianMixture or GaussianMixtureSelector
        The fitted joint estimator; not after :meth:`from_mixture`.
    mixture_ : Mixture
        The joint mixture, of the columns of X and last those of y.
    n_outputs_ : int
        m, the number of targets.
    n_features_in_ : int
        d, the number of inputs.
    feature_names_in_ : (d,) array of str
        Only where the data were a data frame.

    Examples
    --------
    Two branches, of which the mean says nothing:

    >>> import numpy as np
    >>> from mixtura import GaussianMixture, MixtureRegressor
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(1, 3, 400)
    >>> y = np.where(rng.random(400) < 0.5, 3 * x, -3 * x) + rng.normal(size=400) / 4
    >>> model = MixtureRegressor(GaussianMixture(2, random_state=0)).fit(x[:, None], y)
    >>> given = model.predict([[2.0]], return_distribution=True)[0]
    >>> np.sort(given.means[:, 0]).round().tolist(), given.weights.round(1).tolist()
    ([-6.0, 6.0], [0.5, 0.5])

    References
    ----------
    Ghahramani & Jordan 1994, Advances in Neural Information Processing Systems 6:120-127; Sung
    2004, Gaussian mixture regression and classification, PhD thesis, Rice University.
    """

    def __init__(
        self,
        estimator: GaussianMixture | GaussianMixtureSelector | None = None,
        *,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Missing inputs are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # ---- fitting ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the joint mixture.

        Parameters
        ----------
        X : (n, d)
            Inputs, as in :meth:`GaussianMixture.fit`; missing entries are NaN.
        y : (n,) or (n, m)
            Targets. A row whose target is missing (NaN, NA, null, masked) still counts in the
            joint mixture by its inputs.
        sample_weight : (n,), optional
            Frequencies: a weight of 2 is a repeated row, 0 an absent one.

        Raises
        ------
        ValueError
            For data that cannot be used, and for a target that is missing in all rows.
        TypeError
            For an estimator that is no mixture.
        """
        rows = rows_of(self, X, fitting=True)
        targets = targets_of(y, len(rows))
        refuse_without_values(targets)
        weights = checked_weights(sample_weight, len(rows))
        targets = blurred(targets, rows, weights)
        chosen = self.estimator
        if chosen is None:
            chosen = GaussianMixtureSelector(
                USUAL_KS, families=list(USUAL_FAMILIES), random_state=self.random_state
            )
        elif not isinstance(
            getattr(chosen, "estimator", chosen), GaussianMixture | GaussianMixtureSelector
        ):
            raise TypeError(
                "estimator must be a GaussianMixture, a StudentTMixture, a BayesianGaussianMixture "
                f"or a GaussianMixtureSelector of mixtura, or None, but {chosen!r} came. For a "
                "number of components give GaussianMixture(3)."
            )
        joint = _joined(X, rows, targets, getattr(self, "feature_names_in_", None))
        self.estimator_ = clone(chosen).fit(joint, sample_weight=sample_weight)
        d, m = rows.shape[1], targets.values.shape[1]
        self._set_mixture(self.estimator_.mixture_, np.arange(d, d + m), targets.is_one)
        return self

    @classmethod
    def from_mixture(cls, mixture: Mixture, targets: Any) -> Self:
        """A regressor of some columns of a mixture on its others, ready to predict.

        Parameters
        ----------
        mixture : Mixture
            Of inputs and targets, such as ``mixture_`` of a fitted estimator.
        targets : int, str, or a sequence of them
            Columns by number or name; the others are the inputs, in their order. One column makes
            predictions (n,), a sequence (n, m).

        Examples
        --------
        >>> from mixtura import Mixture, MixtureRegressor
        >>> joint = Mixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]])
        >>> MixtureRegressor.from_mixture(joint, 1).predict([[2.0]]).round(6).tolist()
        [1.0]
        """
        if not isinstance(mixture, Mixture):
            raise TypeError(
                "mixture must be a Mixture, such as mixture_ of a fitted estimator, but a "
                f"{type(mixture).__name__} came."
            )
        numbers = column_numbers(targets, mixture.columns, mixture.n_features)
        inputs = other_columns(numbers, mixture.n_features)
        if not len(inputs):
            raise ValueError(
                "targets must leave at least one column of the mixture as an input, but all "
                f"{mixture.n_features} came. Without inputs, take the mixture itself."
            )
        self = cls()
        self._set_mixture(mixture, numbers, np.ndim(targets) == 0)
        self.n_features_in_ = len(inputs)
        if mixture.columns is not None:
            self.feature_names_in_ = np.array([mixture.columns[j] for j in inputs], dtype=object)
        return self

    def _set_mixture(self, mixture: Mixture, targets: Labels, is_one: bool) -> None:
        """The joint mixture, and which of its columns are the targets."""
        self.mixture_ = mixture
        self.n_outputs_ = len(targets)
        self._targets, self._is_one = targets, is_one

    # ---- prediction ------------------------------------------------------------------------------

    def predict(
        self,
        X: Any,
        return_std: bool = False,
        quantiles: Any = None,
        return_distribution: bool = False,
    ) -> Any:
        """The expected targets, and how they are spread.

        Parameters
        ----------
        X : (n, d)
            Missing entries are NaN: a row is predicted by the inputs it has, one without any by the
            distribution of y as a whole.
        return_std : bool, default=False
            Also the standard deviations of y given x.
        quantiles : float or (Q,), optional
            Also these quantiles of y given x, of each target by itself.
        return_distribution : bool, default=False
            The distribution of y given x in place of its summaries.

        Returns
        -------
        mean : (n,) or (n, m)
            As y was. The first of a tuple where more was asked for.
        std : (n,) or (n, m)
            With ``return_std``. Infinite where a t component counts that has no variance.
        quantiles : (n, Q) or (n, m, Q)
            With ``quantiles``; without the last axis for a single number.
        distribution : ConditionalMixture
            With ``return_distribution``, and alone: for each row a mixture of the m targets. Where
            rows have different inputs missing it is a :class:`mixtura.ConditionalGroups`, which has
            the same methods.
        """
        check_is_fitted(self)
        if return_distribution and (return_std or quantiles is not None):
            raise ValueError(
                "return_distribution=True gives the distribution alone, but return_std or "
                "quantiles came with it. Its methods std() and ppf(q) give these."
            )
        levels = None if quantiles is None else checked_levels("quantiles", quantiles)
        if levels is not None and levels.ndim > 1:
            raise ValueError(
                f"quantiles must be a number or (Q,) numbers, but have the shape {levels.shape}."
            )
        rows = rows_of(self, X, fitting=False)
        if return_distribution:
            return self._regression.at(rows)
        wanted: list[Summary] = [means_of]
        wanted += [deviations_of] if return_std else []
        wanted += [] if levels is None else [quantiles_at(levels)]
        found = self._summaries(rows, wanted)
        return found[0] if len(found) == 1 else tuple(found)

    @ignore_underflow
    def sample_y(
        self,
        X: Any,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> Array:
        """Random targets at each row, (n, n_samples) or (n, m, n_samples).

        None as ``random_state`` takes that of the estimator.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples, 1)
        rng = generator_of(self.random_state if random_state is None else random_state)
        rows = rows_of(self, X, fitting=False)
        return self._summaries(rows, [draws_of(n_samples, rng)], n_samples)[0]

    @ignore_underflow
    def score_samples(self, X: Any, y: Any = None) -> Array:
        """``log p(y | x)`` of each row (n,): how much density the model gave to what came.

        Its mean over new rows is a proper score: none is higher in expectation than that of the
        true distribution. It counts the targets of a row that are not missing; without any it is 0.
        Without ``y`` it is ``log p(x)``, which is low for a row whose inputs are like none of the
        fit, so that its prediction is an extrapolation.
        """
        check_is_fitted(self)
        rows = rows_of(self, X, fitting=False).astype(np.float64)
        if y is None:
            return self._regression.log_densities_of_inputs(rows)
        values = targets_of(y, len(rows)).values.astype(np.float64)
        if values.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y must have {self.n_outputs_} column{'s' * (self.n_outputs_ > 1)} as in the fit, "
                f"but has {values.shape[1]}."
            )
        return self._regression.log_densities(rows, values)

    # ---- parts -----------------------------------------------------------------------------------

    @property
    def _regression(self) -> Regression:
        """The joint mixture as a regression."""
        return Regression.of(self.mixture_, self._targets)

    def _summaries(self, rows: Rows, functions: Sequence[Summary], copies: int = 1) -> list[Array]:
        """Functions (n, m, ...) of the distributions at rows, (n, ...) where y was (n,)."""
        found = self._regression.summaries(rows, functions, copies)
        return [values[:, 0] for values in found] if self._is_one else found


def _joined(X: Any, rows: Rows, targets: Targets, names: Labels | None) -> Any:
    """Inputs and targets side by side; with names as a data frame of the library of X."""
    both = np.column_stack([rows, targets.values])
    if names is None:
        return both
    every = (*names, *names_beside(list(names), targets.names, targets.values.shape[1]))
    columns = dict(zip(every, both.T, strict=True))
    return nw.from_dict(columns, backend=nw.from_native(X).implementation).to_native()
