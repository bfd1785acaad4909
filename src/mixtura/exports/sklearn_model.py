"""Mixtures to and from ``sklearn.mixture``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixtura.base.arrays import Array
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.parametrisation import (
    public_covariances,
    public_precisions,
    public_whitener,
    stored_covariances,
)
from mixtura.exports.described import DescribedMixture
from mixtura.families import FAMILIES

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

_FAMILY_OF = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
"""The family of each of scikit-learn's four covariance types."""


def sklearn_model(described: DescribedMixture) -> GaussianMixture:
    """A fitted ``sklearn.mixture.GaussianMixture`` with the same densities.

    Its covariance type is the least of the four that holds the family: spherical for EII and VII,
    diag for axis-parallel families, tied for EEE, full for all others.

    Raises
    ------
    ValueError
        For t components or a noise term, which scikit-learn does not have.
    """
    from sklearn.mixture import GaussianMixture  # takes long to import

    mixture = described.mixture
    has = "t components" if mixture.tails is not None else "a noise term"
    if not mixture.is_plain:
        raise ValueError(
            f"scikit-learn's GaussianMixture has neither t components nor a noise term, but this "
            f"mixture has {has}. Take to_onnx or to_json, which keep them."
        )
    K = mixture.n_components
    kind = _covariance_type(described)
    covariance, family = _each(mixture.covariance, kind), _FAMILY_OF[kind]
    model = GaussianMixture(K, covariance_type=kind)
    model.weights_, model.means_ = mixture.weights.copy(), mixture.means.copy()
    model.covariances_ = public_covariances(family, covariance).copy()
    model.precisions_ = public_precisions(family, covariance).copy()
    model.precisions_cholesky_ = public_whitener(family, covariance).copy()
    model.n_features_in_ = mixture.n_features
    if mixture.columns is not None:
        model.feature_names_in_ = np.array(mixture.columns, dtype=object)
    facts = described.facts
    model.converged_ = bool(facts.get("converged", False))
    model.n_iter_ = int(facts.get("n_iter", 0))
    model.lower_bound_ = float(facts.get("lower_bound", np.nan))
    model.lower_bounds_ = list(facts.get("lower_bounds", []))
    return model


def _covariance_type(described: DescribedMixture) -> str:
    """The least of scikit-learn's four covariance types that holds the mixture."""
    if described.family == "EEE":
        return "tied"
    return {Spherical: "spherical", Diagonal: "diag", Dense: "full"}[
        type(described.mixture.covariance)
    ]


def _each(covariance: Covariance, kind: str) -> Covariance:
    """The covariances of all components one by one, unless they are tied."""
    if kind == "tied" or not covariance.shared:
        return covariance
    K, d = covariance.n_components, covariance.n_features
    values = np.repeat(covariance.values, K, axis=0)
    if isinstance(covariance, Dense):
        return Dense(values, K, known_whitener=np.repeat(covariance.whitener, K, axis=0))
    return Spherical(values, K, d) if isinstance(covariance, Spherical) else Diagonal(values, K)


def from_sklearn_model(model: Any) -> DescribedMixture:
    """The mixture of a fitted ``GaussianMixture`` or ``BayesianGaussianMixture``.

    Raises
    ------
    TypeError
        For any other object.
    sklearn.exceptions.NotFittedError
        When the model is not fitted.
    """
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

    if not isinstance(model, GaussianMixture | BayesianGaussianMixture):
        raise TypeError(
            "model must be a fitted GaussianMixture or BayesianGaussianMixture of sklearn.mixture, "
            f"but a {type(model).__name__} came."
        )
    check_is_fitted(model)
    family = _FAMILY_OF[model.covariance_type]
    weights = np.array(model.weights_, dtype=np.float64)
    means = np.array(model.means_, dtype=np.float64)
    covariance = _covariance(model, family, *means.shape)
    names = getattr(model, "feature_names_in_", None)
    return DescribedMixture(
        Mixture(
            weights / weights.sum(),
            means,
            covariance,
            columns=None if names is None else tuple(map(str, names)),
        ),
        family,
    )


def _covariance(model: Any, family: str, K: int, d: int) -> Covariance:
    """The covariances in their stored form; triangles keep scikit-learn's factors bit for bit."""
    values = np.array(model.covariances_, dtype=np.float64)
    covariance = stored_covariances(family, values, K, d)
    if not isinstance(covariance, Dense):
        return covariance
    upper: Array = np.array(model.precisions_cholesky_, dtype=np.float64)
    lower = np.ascontiguousarray(np.swapaxes(upper, -1, -2))
    own = lower[None] if FAMILIES[family].shares_all else lower
    return Dense(covariance.values, K, known_whitener=own)
