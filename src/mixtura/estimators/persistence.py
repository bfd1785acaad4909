"""Saving and loading of estimators in the format of :mod:`mixtura.estimators.model_file`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixtura.base.choices import CovarianceType, DegreesOfFreedom
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.bayesian_mixture import BayesianGaussianMixture
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.model_file import COUNT, UNNAMED, class_names, load_model, save_model
from mixtura.estimators.regressor import MixtureRegressor
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.estimators.student_t_mixture import StudentTMixture
from mixtura.families import family_named

_ESTIMATED = "degrees_of_freedom"
"""Key of the metadata: how the degrees of freedom were estimated, or null for given ones."""


def save(model: GaussianMixture | GaussianMixtureSelector, path: str | os.PathLike[str]) -> None:
    """Write a fitted mixture, or the best one of a selector, to a file.

    The file holds arrays and JSON (safetensors): loading executes nothing. The parameters of the
    mixture are kept bit for bit, and so are the names of known classes and the number of free
    parameters; the report of EM is not.

    Parameters
    ----------
    model : GaussianMixture, StudentTMixture or GaussianMixtureSelector
        Fitted.
    path : path
        An existing file is replaced atomically.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        When the model is not fitted.
    TypeError
        When the model is no mixture, such as a MixtureClassifier or a MixtureRegressor.
    ValueError
        When the names of known classes are neither numbers nor text.

    Examples
    --------
    >>> import tempfile, os
    >>> import mixtura
    >>> model = mixtura.GaussianMixture(2, covariance_type="tied", random_state=0)
    >>> model = model.fit([[1.0], [2.0], [4.0], [11.0], [13.0]])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> mixtura.save(model, path)
    >>> bool((mixtura.load(path).means_ == model.means_).all())
    True
    """
    has_posterior = isinstance(model, BayesianGaussianMixture)
    if has_posterior or not isinstance(model, GaussianMixture | GaussianMixtureSelector):
        raise TypeError(
            "a file holds one mixture: model must be a GaussianMixture, a StudentTMixture or a "
            f"GaussianMixtureSelector, but a {type(model).__name__} came. {_instead(model)}"
        )
    check_is_fitted(model)
    chosen = model.best_estimator_ if isinstance(model, GaussianMixtureSelector) else model
    mixture = chosen.mixture_
    names = getattr(chosen, "feature_names_in_", None)
    if names is None:
        feature_names = [f"x{j}" for j in range(mixture.n_features)]
    else:
        feature_names = list(map(str, names))
    family = family_named(chosen.covariance_type).name
    metadata: dict[str, object] = {UNNAMED: names is None}
    if isinstance(chosen, StudentTMixture):
        asked = chosen.degrees_of_freedom
        metadata[_ESTIMATED] = asked if isinstance(asked, str) else None
    count = chosen._n_parameters()
    if count != _estimator_of(mixture, family, metadata)._n_parameters():
        metadata[COUNT] = count
    if hasattr(chosen, "classes_"):
        metadata |= class_names(chosen.classes_)
    save_model(path, mixture, family=family, feature_names=feature_names, metadata=metadata)


def _instead(model: object) -> str:
    """How to keep an estimator that is no mixture."""
    if isinstance(model, MixtureRegressor):
        return (
            "Save its estimator_, and call MixtureRegressor.from_mixture(loaded.mixture_, targets) "
            "with what load returns."
        )
    if isinstance(model, BayesianGaussianMixture):
        return (
            "Keep that with pickle or joblib: a file would lose the posterior. Of its expected "
            "mixture alone: GaussianMixture.from_parameters(weights_, means_, covariances_)."
        )
    return "Keep that with pickle or joblib."


def load(path: str | os.PathLike[str]) -> GaussianMixture:
    """Read a mixture from a file of :func:`save` or of ``mixtura fit``.

    Parameters
    ----------
    path : path

    Returns
    -------
    GaussianMixture or StudentTMixture
        With ``weights_``, ``means_``, ``covariances_``, the names of the columns and those of
        known classes, ready to predict and to score. Its criteria count the free parameters of the
        fit; fixed parameters and ``equal_weights`` themselves are not kept for another fit.

    Raises
    ------
    ModelFileError
        When the file is no model, or was changed since it was written.
    """
    model = load_model(path)
    loaded = _estimator_of(model.mixture, model.family, model.metadata)
    loaded._said_parameters = model.n_parameters
    loaded._set_classes(model.classes)
    if not model.metadata.get(UNNAMED):
        loaded.feature_names_in_ = np.array(model.feature_names, dtype=object)
    return loaded


def _estimator_of(mixture: Mixture, family: str, metadata: Mapping[str, Any]) -> GaussianMixture:
    """A mixture as an estimator, without what a fit knew beside it."""
    kind = cast("CovarianceType", family)
    K, tails = mixture.n_components, mixture.tails
    noise = None if mixture.noise is None else mixture.noise.volume
    estimator: GaussianMixture
    if tails is None:
        estimator = GaussianMixture(K, covariance_type=kind, noise=noise)
    else:
        asked = cast("DegreesOfFreedom | None", metadata.get(_ESTIMATED))
        given = tails if asked is None else asked
        estimator = StudentTMixture(K, covariance_type=kind, degrees_of_freedom=given, noise=noise)
    estimator._set_parameters(mixture, family, np.float64)
    estimator.n_features_in_ = mixture.n_features
    return estimator
