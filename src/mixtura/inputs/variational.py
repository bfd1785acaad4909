"""The priors of a Bayesian mixture: scikit-learn's parameters, checked and completed."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.distribution.given_parameters import is_positive_definite, shaped
from mixtura.inputs.parameters import is_bool
from mixtura.model.precision_laws import CONJUGATE_FAMILIES, LAWS
from mixtura.model.priors import Prior
from mixtura.model.protocols import Family
from mixtura.model.variational import Priors
from mixtura.model.weight_priors import KINDS, WeightPrior, weight_prior_named


@dataclass(frozen=True, eq=False)
class GivenPriors:
    """The priors that a user gave; None is a default that the data or K decide.

    Attributes
    ----------
    kind : str
        Of the weights.
    concentration, mean_precision, degrees_of_freedom : float or None
    mean, covariance : array or None
    n_components : int
        K of the estimator, whose reciprocal is the default concentration.
    """

    kind: str
    concentration: float | None
    mean_precision: float | None
    mean: Any
    degrees_of_freedom: float | None
    covariance: Any
    n_components: int

    @property
    def weights(self) -> WeightPrior:
        """The prior of the weights."""
        default = 1.0 / self.n_components
        concentration = default if self.concentration is None else self.concentration
        return weight_prior_named(self.kind, concentration)

    def of(self, dataset: Dataset, family: Family) -> Priors:
        """The priors for a dataset and a family.

        Raises
        ------
        ValueError
            For a family without conjugate prior, and for values that cannot be a prior.
        """
        if family.name not in CONJUGATE_FAMILIES:
            raise ValueError(
                f"covariance_type {family.name} has no conjugate prior, since its components share "
                "a part of their covariances and not the rest. Variational Bayes is for "
                f"{', '.join(CONJUGATE_FAMILIES)}, that is tied_spherical, spherical, tied_diag, "
                "diag, tied and full."
            )
        d, law = dataset.source.n_features, LAWS[family.needs]
        degrees = float(d) if self.degrees_of_freedom is None else self.degrees_of_freedom
        if not degrees > law.fewest_degrees(d):
            raise ValueError(
                "The parameter 'degrees_of_freedom_prior' should be greater than "
                f"{law.fewest_degrees(d):.0f}, but got {degrees:.3f}."
            )
        mean = dataset.mean if self.mean is None else shaped("means", self.mean, (d,))
        scatter = self._rate(dataset, family)
        beta = 1.0 if self.mean_precision is None else self.mean_precision
        normal = Prior(degrees, scatter, shrinkage=beta, mean=mean)
        return Priors(self.weights, normal, law, family.shares_all)

    def _rate(self, dataset: Dataset, family: Family) -> Array:
        """The rate matrix (d,d) of the precisions, from ``covariance_prior``."""
        d = dataset.source.n_features
        if self.covariance is None:
            return _default_rate(dataset, family)
        shape = {Scatter.DIAGONAL: (d,), Scatter.TRACE: ()}.get(family.needs, (d, d))
        given: Array = shaped("covariance_prior", self.covariance, shape)
        matrix: Array = given if given.ndim == 2 else given * np.eye(d)
        if not is_positive_definite(matrix):
            raise ValueError(
                "covariance_prior must be a symmetric, positive-definite matrix, or positive "
                f"variances, in the shape {shape} of this covariance_type."
            )
        return matrix


def given_priors_of(estimator: Any) -> GivenPriors | None:
    """The priors of a Bayesian mixture, checked without data; None for other estimators."""
    if not hasattr(estimator, "weight_concentration_prior_type"):
        return None
    kind = estimator.weight_concentration_prior_type
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"weight_concentration_prior_type must be {' or '.join(map(repr, KINDS))}, but "
            f"{kind!r} came."
        )
    return GivenPriors(
        kind,
        _positive(estimator, "weight_concentration_prior"),
        _positive(estimator, "mean_precision_prior"),
        estimator.mean_prior,
        _positive(estimator, "degrees_of_freedom_prior"),
        estimator.covariance_prior,
        estimator.n_components,
    )


def public_covariance_prior(priors: Priors, family: Family) -> Any:
    """The rate of the precisions in scikit-learn's shape: (d, d), (d,) or a number."""
    scatter = priors.normal.scatter
    if family.needs is Scatter.TRACE:
        return float(np.trace(scatter) / len(scatter))
    return np.diag(scatter).copy() if family.needs is Scatter.DIAGONAL else scatter


def _positive(estimator: Any, name: str) -> float | None:
    """A parameter that is None or a positive number."""
    value = getattr(estimator, name)
    if value is None:
        return None
    if is_bool(value) or not isinstance(value, Real) or not 0 < float(value) < float("inf"):
        raise ValueError(
            f"{name} must be a number above 0 or None, but {value!r} came. None is scikit-learn's "
            "default."
        )
    return float(value)


def _default_rate(dataset: Dataset, family: Family) -> Array:
    """The covariance of the data (with n - 1), with no variance below that of rounding."""
    n, floor = dataset.total, dataset.floor
    covariance: Array = dataset.covariance * (n / max(n - 1.0, 1.0))
    if family.needs in (Scatter.DIAGONAL, Scatter.TRACE):
        return np.diag(np.maximum(np.diag(covariance), floor))
    if is_positive_definite(covariance):
        return covariance
    lifted: Array = covariance + np.diag(np.maximum(floor, 0.0))
    if not is_positive_definite(lifted):
        raise DataError(
            "the covariance of the data is singular, so it cannot be the prior of a full "
            "covariance: some columns are constant, or sums of others. Leave them out, or pass "
            "covariance_prior."
        )
    return lifted
