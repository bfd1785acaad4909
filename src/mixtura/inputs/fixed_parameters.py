"""Fixed parameters of the user: checks, and their form for a family and a number of components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Flags
from mixtura.base.errors import DataError
from mixtura.base.masked import refuse_masked
from mixtura.base.numbering import component_name
from mixtura.base.scatter import Scatter
from mixtura.distribution.given_parameters import is_positive_definite
from mixtura.distribution.mixture import Mixture
from mixtura.model.fixed import FULL_WEIGHT, Fixed
from mixtura.model.protocols import Family

GIVEN_WEIGHT = 1e-6
"""Distance from one of a sum of given weights that is their rounding."""


@dataclass(frozen=True, eq=False)
class FixedParameters:
    """Fixed parameters as the user gave them, for the first components; NaN is free.

    Attributes
    ----------
    weights : (m,), means : (m, d), covariances : any shape; or None
    mixture : Mixture, optional
        Held as a whole, as the first components, with a free share.
    """

    weights: Array | None = None
    means: Array | None = None
    covariances: Array | None = None
    mixture: Mixture | None = None

    def check_components(self, K: int, noisy: bool) -> None:
        """Refuse a number of components, beside a noise term or not, that is not possible."""
        for name, rows in (("fixed_weights", self.weights), ("fixed_means", self.means)):
            if rows is not None and len(rows) > K:
                raise DataError(
                    f"{name} must have at most one row for each of the {K} components, but has "
                    f"{len(rows)}. Pass fewer rows, or n_components of at least {len(rows)}."
                )
        if self.mixture is not None and self.mixture.n_components > K:
            raise DataError(
                f"n_components must be at least the {self.mixture.n_components} components of "
                f"fixed_mixture, but {K} came. Pass a larger n_components."
            )
        if self.weights is None:
            return
        fixed = self.weights[~np.isnan(self.weights)]
        total = float(fixed.sum())
        if len(fixed) == K and not noisy and abs(total - 1.0) > GIVEN_WEIGHT:
            raise DataError(
                f"fixed_weights of all {K} components must sum to one, but their sum is "
                f"{total:.6g}. Leave one of them free (NaN), or raise n_components."
            )
        if (len(fixed) < K or noisy) and total >= 1.0 - FULL_WEIGHT:
            free = f"{K - len(fixed)} free component(s)" if len(fixed) < K else "noise"
            raise DataError(
                f"fixed_weights must leave some weight for the {free}, but their sum is "
                f"{total:.6g}. Lower them, or leave out what is free."
            )

    def of(self, family: Family, K: int, d: int, noisy: bool) -> Fixed:
        """The fixed parameters of K components of a family in d columns, perhaps beside noise.

        Raises
        ------
        DataError
            Where they do not fit.
        """
        self.check_components(K, noisy)
        held = None if self.mixture is None else self._held(self.mixture, family, d)
        weights, means = np.full(K, np.nan), np.full((K, d), np.nan)
        covariances = np.full((1 if family.shares_all else K, *_each(family, d)), np.nan)
        if self.weights is not None:
            weights[: len(self.weights)] = self.weights
        if self.means is not None:
            if self.means.shape[1] != d:
                raise DataError(
                    f"fixed_means must have one column for each of the {d} columns of X, but has "
                    f"{self.means.shape[1]}. Use NaN for entries that are free."
                )
            means[: len(self.means)] = self.means
        if self.covariances is not None:
            values = _covariances(self.covariances, family, K, d)
            covariances[: len(values)] = values
        group, within = np.zeros(K, dtype=bool), np.ones(K)
        if held is not None and self.mixture is not None:
            J = self.mixture.n_components
            if not all(np.isnan(values[:J]).all() for values in (weights, means, covariances)):
                raise DataError(
                    f"fixed_mixture holds all parameters of the first {J} component(s), so no "
                    "other argument may, but one of them does. Leave these rows free (NaN)."
                )
            means[:J], covariances[:J], group[:J] = self.mixture.means, held, True
            within[:J] = self.mixture.weights / self.mixture.weights.sum()
        return Fixed(weights, means, covariances, group, within)

    def _held(self, mixture: Mixture, family: Family, d: int) -> Array:
        """The covariances of the fixed mixture in the form of the family."""
        if mixture.n_features != d:
            raise DataError(
                f"fixed_mixture must be of the {d} columns of X, but has {mixture.n_features}. "
                "Pass its marginal of the same columns (Mixture.marginal)."
            )
        if family.shares_all:
            raise DataError(
                "fixed_mixture has its own covariances, but with covariance_type "
                f"{family.name!r} all components share one. Choose a family with own covariances."
            )
        return _covariances(mixture.covariance.dense(), family, mixture.n_components, d)


def fixed_parameters_of(estimator: Any) -> FixedParameters | None:
    """The estimator's fixed parameters, checked as far as they can be without data.

    None where all are free.
    """
    weights, means, covariances = (
        _given(name, getattr(estimator, name, None))
        for name in ("fixed_weights", "fixed_means", "fixed_covariances")
    )
    mixture = getattr(estimator, "fixed_mixture", None)
    if mixture is not None and not isinstance(mixture, Mixture):
        raise TypeError(
            f"fixed_mixture must be a mixtura.Mixture, but a {type(mixture).__name__} came. Pass "
            "mixture_ of a fitted estimator: scikit-learn's clone would forget the fit itself."
        )
    if weights is not None:
        _check_weights(weights)
    if means is not None and means.ndim != 2:
        raise ValueError(
            "fixed_means must have the shape (n_components, n_features), but has the shape "
            f"{means.shape}. Pass one row per component, with NaN for what is free."
        )
    if mixture is not None and (mixture.noise is not None or mixture.tails is not None):
        raise ValueError(
            "fixed_mixture must hold Gaussians alone, but it has "
            f"{'a noise term' if mixture.noise is not None else 't components'}. Pass "
            "without_noise of it, or a mixture of Gaussians; noise= adds a noise term."
        )
    if weights is None and means is None and covariances is None and mixture is None:
        return None
    return FixedParameters(weights, means, covariances, mixture)


def _given(name: str, values: Any) -> Array | None:
    """Numbers with NaN or None for what is free; None where nothing is fixed."""
    if values is None:
        return None
    refuse_masked(name, values)
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must hold numbers, or NaN for what is free, but {values!r} came."
        ) from None
    if np.isinf(array).any():
        raise ValueError(f"{name} must be finite, but has infinity. Use NaN for what is free.")
    return None if np.isnan(array).all() else array


def _check_weights(weights: Array) -> None:
    """Positive, and no more than one in all."""
    if weights.ndim != 1:
        raise ValueError(
            "fixed_weights must have the shape (n_components,), but has the shape "
            f"{weights.shape}. Pass one number per component, with NaN for what is free."
        )
    fixed = weights[~np.isnan(weights)]
    if not (fixed > 0).all():
        raise ValueError(
            f"fixed_weights must be above 0, but {fixed.min():.6g} came. Leave a component out by "
            "a smaller n_components."
        )
    if fixed.sum() > 1.0 + GIVEN_WEIGHT:
        raise ValueError(
            f"fixed_weights must sum to at most one, but their sum is {fixed.sum():.6g}. They are "
            "parts of all rows."
        )


# ---- covariances in the form of a family ---------------------------------------------------------


def _each(family: Family, d: int) -> tuple[int, ...]:
    """Shape of one stored covariance."""
    return {Scatter.TRACE: (), Scatter.DIAGONAL: (d,)}.get(family.needs, (d, d))


def _covariances(given: Array, family: Family, K: int, d: int) -> Array:
    """Fixed covariances of the first components in the stored form of the family."""
    each, known = _each(family, d), given
    if family.shares_all:
        if given.shape != each:
            raise DataError(
                f"fixed_covariances must have the shape {each} with covariance_type "
                f"{family.name!r}, which has one covariance for all components, but has the shape "
                f"{given.shape}. Pass one covariance, or choose a family with own covariances."
            )
        known = given[None]
    elif given.ndim == 3 and given.shape[1:] == (d, d) and given.shape[1:] != each:
        known = np.stack([_in_form(matrix, family, k) for k, matrix in enumerate(given)])
    elif given.ndim != 1 + len(each) or given.shape[1:] != each:
        raise DataError(
            f"fixed_covariances must have the shape {(K, *each)} or {(K, d, d)} with "
            f"covariance_type {family.name!r}, but has the shape {given.shape}. Use NaN for "
            "components whose covariance is free."
        )
    if len(known) > K:
        raise DataError(
            f"fixed_covariances must have at most one row for each of the {K} components, but has "
            f"{len(known)}. Pass fewer rows, or a larger n_components."
        )
    for k, values in enumerate(known):
        _check_covariance(values, k)
    return known


def _in_form(matrix: Array, family: Family, k: int) -> Array:
    """A matrix (d,d) as the variances of a family with fixed axes; NaN where it is free."""
    variances = np.diag(matrix)
    wanted = np.diag(
        variances if family.needs is Scatter.DIAGONAL else variances[[0] * len(matrix)]
    )
    if not (np.isnan(matrix).any() or np.array_equal(matrix, wanted)):
        form = "diagonal" if family.needs is Scatter.DIAGONAL else "a multiple of the identity"
        raise DataError(
            f"fixed_covariances of {component_name(k)} must be {form} with covariance_type "
            f"{family.name!r}, but is another matrix. Choose a family of full covariances, such as "
            "'full'."
        )
    own = variances if family.needs is Scatter.DIAGONAL else variances[0]
    return np.asarray(np.full_like(own, np.nan) if np.isnan(matrix).any() else own)


def _check_covariance(values: Array, k: int) -> None:
    """All entries of a component or none; positive (definite) and symmetric."""
    unknown: Flags = np.isnan(values)
    if unknown.all():
        return
    if unknown.any():
        raise DataError(
            f"fixed_covariances of {component_name(k)} must be given whole, but some entries are "
            "NaN. Fix all entries of a covariance, or none."
        )
    if not (is_positive_definite(values) if values.ndim == 2 else (values > 0).all()):
        raise DataError(
            f"fixed_covariances of {component_name(k)} must be symmetric and positive definite, "
            f"but {values.tolist()} came. Variances are above 0, and covariances below the "
            "geometric mean of the variances."
        )
