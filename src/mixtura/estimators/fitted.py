"""Methods of a fitted mixture: labels, probabilities, densities, random rows and criteria."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from mixtura.backends import backend_named
from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.choices import BackendName, CovarianceType
from mixtura.base.scatter import Scatter
from mixtura.base.underflow import ignore_underflow
from mixtura.data.incomplete import imputed
from mixtura.data.problem import n_free_parameters
from mixtura.distribution.columns import checked_names
from mixtura.distribution.drawing import sample_of
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of, log_density, posterior
from mixtura.distribution.parametrisation import (
    public_covariances,
    public_precisions,
    public_whitener,
    stored_covariances,
    stored_whitener,
)
from mixtura.estimators.memberships import MembershipTransformer
from mixtura.families import family_named
from mixtura.inputs.fixed_parameters import fixed_parameters_of
from mixtura.inputs.parameters import check_count, seed_of
from mixtura.inputs.rows import checked_weights, dataset_for, observation_of, rows_of
from mixtura.model.criteria import aic, bic, icl
from mixtura.model.fit_result import Evaluation, FitResult
from mixtura.model.protocols import Block
from mixtura.sources import ArraySource

ROWS_OF_DENSITIES = 65536
"""Rows whose log joint densities are in memory at a time."""


class FittedMixture(MembershipTransformer, DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The methods of a mixture that is given by scikit-learn's attributes.

    A subclass has the parameters that are annotated here without a trailing underscore. Users may
    set the attributes, as in scikit-learn.
    """

    covariance_type: CovarianceType
    equal_weights: bool
    random_state: int | np.random.RandomState | None
    n_threads: int | None
    backend: BackendName

    weights_: Rows
    noise_weight_: float
    noise_volume_: float
    means_: Rows
    covariances_: Rows
    precisions_: Rows
    precisions_cholesky_: Rows
    result_: FitResult
    n_features_in_: int

    _said_parameters: int | None = None
    """Free parameters of the fit that a file is of, whose settings it does not hold."""

    def __sklearn_tags__(self) -> Any:
        """Missing entries are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # ---- parameters ------------------------------------------------------------------------------

    @property
    def _mixture(self) -> Mixture:
        """The mixture of the public attributes."""
        family = family_named(self.covariance_type).name
        means = np.asarray(self.means_, dtype=np.float64)
        K, d = means.shape
        if hasattr(self, "precisions_cholesky_"):
            covariance = stored_whitener(
                family, np.asarray(self.precisions_cholesky_, dtype=np.float64), K, d
            )
        else:
            covariance = stored_covariances(
                family, np.asarray(self.covariances_, dtype=np.float64), K, d
            )
        weights = np.asarray(self.weights_, dtype=np.float64)
        noise = getattr(self, "_noise", None)
        return Mixture(weights, means, covariance, noise, self._tails)

    @property
    def _tails(self) -> Array | None:
        """Degrees of freedom of the public attributes; None for Gaussian components."""
        return None

    @property
    def mixture_(self) -> Mixture:
        """The mixture in double precision; that of the attributes where these were set since.

        It has the names of the columns of the data frame that was fitted.
        """
        check_is_fitted(self)
        return replace(
            self._current_mixture,
            columns=checked_names(getattr(self, "feature_names_in_", None), len(self.means_[0])),
        )

    @property
    def _current_mixture(self) -> Mixture:
        """That of the fit, or of the attributes, without names."""
        if hasattr(self, "result_"):
            fitted = self.result_.mixture
            shown = [(fitted.weights, self.weights_), (fitted.means, self.means_)]
            if fitted.tails is not None and self._tails is not None:
                shown.append((fitted.tails, self._tails))
            if all(
                np.array_equal(own.astype(np.asarray(public).dtype), public)
                for own, public in shown
            ):
                return fitted
        return self._mixture

    def _set_parameters(self, mixture: Mixture, family: str, dtype: Any) -> None:
        """Set the public attributes."""
        self._noise, self._said_parameters = mixture.noise, None
        self.noise_weight_ = 0.0 if mixture.noise is None else mixture.noise.weight
        self.noise_volume_ = np.inf if mixture.noise is None else mixture.noise.volume
        self.weights_ = mixture.weights.astype(dtype)
        self.means_ = mixture.means.astype(dtype)
        self.covariances_ = _cast(public_covariances(family, mixture.covariance), dtype)
        self.precisions_ = _cast(public_precisions(family, mixture.covariance), dtype)
        self.precisions_cholesky_ = _cast(public_whitener(family, mixture.covariance), dtype)

    # ---- rows ------------------------------------------------------------------------------------

    @ignore_underflow
    def _by_block(
        self, X: Any, errors: Any, function: Callable[[Array, Block, Mixture], Any]
    ) -> Any:
        """A function of the log joint densities ``(m, K)``, computed block by block.

        With noise they have one more column.
        """
        check_is_fitted(self)
        return values_by_block(self, X, errors, self._mixture, function)

    def predict(self, X: Any, measurement_covariance: Any = None) -> Labels:
        """The most probable component of each row (n,); -1 for rows of the noise.

        Missing entries of X are NaN; a row without any value has the weights as its posterior.
        ``measurement_covariance`` is as in ``fit``.
        """
        labels: Labels = self._by_block(
            X,
            measurement_covariance,
            lambda joint, part, mixture: labels_of(posterior(joint, part.rows, mixture), mixture),
        )
        return labels

    def predict_proba(self, X: Any, measurement_covariance: Any = None) -> Rows:
        """The posterior probabilities (n, K); rows sum to one, however far out they are.

        With noise there are K + 1 columns, its probability last.
        """
        probabilities: Rows = self._by_block(
            X,
            measurement_covariance,
            lambda joint, part, mixture: in_precision_of(
                part.rows, posterior(joint, part.rows, mixture)
            ),
        )
        return probabilities

    def score_samples(self, X: Any, measurement_covariance: Any = None) -> Rows:
        """Log density of the observed entries of each row (n,).

        It is -inf where it underflows the range of doubles.
        """
        densities: Rows = self._by_block(X, measurement_covariance, log_densities)
        return densities

    @ignore_underflow
    def impute(
        self,
        X: Any,
        measurement_covariance: Any = None,
        *,
        draw: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> Rows:
        """The rows (n, d) with their expected values where entries are missing.

        Parameters
        ----------
        X : (n, d)
            Missing entries are NaN, NA, null or masked.
        measurement_covariance : optional
            As in ``fit``: then observed entries become their expected values without error, too.
        draw : bool, default=False
            Draw from the conditional distribution in place of its mean.
        random_state : int, RandomState or None, default=None
            The seed of the draws; None takes the estimator's own.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture
        >>> one = GaussianMixture.from_parameters(
        ...     [1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]]
        ... )
        >>> one.impute([[2.0, np.nan]]).round(6).tolist()
        [[2.0, 1.0]]
        """
        check_is_fitted(self)
        rows = rows_of(self, X, fitting=False)
        observation = observation_of(rows, measurement_covariance)
        if observation is None:
            return rows.copy()
        mixture = self._mixture.without_noise  # it says nothing about missing entries
        backend = backend_named(self.backend, self.n_threads)
        rng = None
        if draw:
            rng = np.random.default_rng(
                seed_of(self.random_state if random_state is None else random_state)
            )
        filled = np.empty_like(rows)
        for block in ArraySource(rows, observation=observation).blocks():
            for part in block.cut(ROWS_OF_DENSITIES):
                shares = posterior(backend.log_joint(part, mixture), part.rows, mixture)
                own = imputed(backend, part, mixture, shares, rng)
                filled[part.offset : part.offset + len(part.rows)] = own
        return filled

    @ignore_underflow
    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        measurement_covariance: Any = None,
    ) -> float:
        """Mean log density of the rows, weighted by ``sample_weight`` (n,)."""
        values = self.score_samples(X, measurement_covariance)
        if not len(values):
            raise ValueError(
                "score needs at least one row, but X has none. score_samples accepts an empty X."
            )
        weights = checked_weights(sample_weight, len(values))
        if weights is not None:  # a row of weight 0 may have density 0
            values, weights = values[weights > 0], weights[weights > 0]
        return float(np.average(values, weights=weights))

    @ignore_underflow
    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        component: int | None = None,
    ) -> tuple[Rows, Labels]:
        """Random rows (n_samples, d) and their components (n_samples,), ordered by component.

        Rows of the noise, with the label -1, come last; they are drawn from a box along the columns
        with its volume. The order is scikit-learn's; ``mixture_.rvs`` draws in random order.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            The seed of the draws; None takes the estimator's own, so that an integer there gives
            the same rows at every call.
        component : int or None, default=None
            Rows of one component alone; -1 for the noise.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [90.0]], [1.0, 1.0], covariance_type="spherical"
        ... )
        >>> X, labels = known.sample(3, random_state=0, component=1)
        >>> labels.tolist(), bool((abs(X - 90) < 6).all())
        ([1, 1, 1], True)
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one "
                "sample."
            )
        check_count("n_samples", n_samples, 1)
        rng = np.random.default_rng(
            seed_of(self.random_state if random_state is None else random_state)
        )
        X, y = sample_of(self._mixture, int(n_samples), rng, component)
        return X.astype(np.asarray(self.means_).dtype, copy=False), y

    # ---- criteria --------------------------------------------------------------------------------

    @ignore_underflow
    def _evaluate(self, X: Any, sample_weight: Any, errors: Any, labels: Any) -> Evaluation:
        check_is_fitted(self)
        dataset = dataset_for(self, X, sample_weight, labels, errors)
        moments = dataset.backend.moments(dataset.source, self._mixture, Scatter.TRACE)
        return Evaluation(
            moments.log_likelihood,
            moments.entropy,
            moments.certainty,
            moments.total,
            self._n_parameters(),
        )

    def _n_parameters(self) -> int:
        """Free parameters (a private name that users of scikit-learn rely on)."""
        said = self._said_parameters
        return self._counted_parameters() if said is None else said

    def _counted_parameters(self) -> int:
        """Free parameters by the settings."""
        K, d = np.shape(self.means_)
        family, given = family_named(self.covariance_type), fixed_parameters_of(self)
        noisy = getattr(self, "_noise", None) is not None
        fixed = None if given is None else given.of(family, K, d, noisy)
        return n_free_parameters(family, K, d, self.equal_weights, fixed, noisy)

    def bic(
        self,
        X: Any,
        sample_weight: Any = None,
        measurement_covariance: Any = None,
        labels: Any = None,
    ) -> float:
        """BIC on X, lower is better; see :func:`mixtura.model.criteria.bic`.

        Incomplete rows count as rows, as in mclust. With the labels of the fit it is that of the
        fit.
        """
        return bic(self._evaluate(X, sample_weight, measurement_covariance, labels))

    def aic(
        self,
        X: Any,
        sample_weight: Any = None,
        measurement_covariance: Any = None,
        labels: Any = None,
    ) -> float:
        """AIC on X, lower is better; see :func:`mixtura.model.criteria.aic`."""
        return aic(self._evaluate(X, sample_weight, measurement_covariance, labels))

    def icl(
        self,
        X: Any,
        sample_weight: Any = None,
        measurement_covariance: Any = None,
        labels: Any = None,
    ) -> float:
        """ICL on X, lower is better; see :func:`mixtura.model.criteria.icl`."""
        return icl(self._evaluate(X, sample_weight, measurement_covariance, labels))


def values_by_block(
    estimator: Any,
    X: Any,
    errors: Any,
    mixture: Mixture,
    function: Callable[[Array, Block, Mixture], Any],
) -> Any:
    """A function of the log joint densities ``(m, K)`` of rows, computed block by block."""
    rows = rows_of(estimator, X, fitting=False)
    backend = backend_named(estimator.backend, estimator.n_threads)
    none = Block(rows[:0], None, 0)
    empty = function(backend.log_joint(none, mixture), none, mixture)
    values = np.empty((len(rows), *empty.shape[1:]), dtype=empty.dtype)
    for block in ArraySource(rows, observation=observation_of(rows, errors)).blocks():
        for part in block.cut(ROWS_OF_DENSITIES):
            own = function(backend.log_joint(part, mixture), part, mixture)
            values[part.offset : part.offset + len(part.rows)] = own
    return values


def log_densities(log_joint: Array, block: Block, _: Mixture) -> Rows:
    """Log densities (m,) from log joint densities (m,K), in the precision of the rows."""
    return in_precision_of(block.rows, log_density(log_joint))


def in_precision_of(rows: Rows, values: Array) -> Rows:
    """Values in the precision of the rows."""
    return values.astype(np.float32) if rows.dtype == np.float32 else values


def _cast(values: Array, dtype: Any) -> Rows:
    """Values in the precision of the data, or in float64 where they would leave its range."""
    with np.errstate(over="ignore"):
        cast: Rows = values.astype(dtype)
    lost = not np.isfinite(cast).all() or bool(
        ((np.abs(cast) < np.finfo(dtype).tiny) & (values != 0)).any()
    )
    return values if lost else cast
