"""Saving and loading of estimators in the format of :mod:`mixtura.estimators.model_file`."""

from __future__ import annotations

import os
from typing import cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixtura.base.choices import CovarianceType, DegreesOfFreedom
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.model_file import load_model, save_model
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.estimators.student_t_mixture import StudentTMixture
from mixtura.families import family_named

_UNNAMED = "columns_have_no_names"
"""Key of the metadata: the data were an array, and the names in the file are x0, x1, ..."""

_ESTIMATED = "degrees_of_freedom"
"""Key of the metadata: how the degrees of freedom were estimated, or null for given ones."""


def save(model: GaussianMixture | GaussianMixtureSelector, path: str | os.PathLike[str]) -> None:
    """Write a fitted mixture, or the best one of a selector, to a file.

    The file holds arrays and JSON (safetensors): loading executes nothing. The parameters of the
    mixture are kept bit for bit; the report of EM is not.

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
    check_is_fitted(model)
    chosen = model.best_estimator_ if isinstance(model, GaussianMixtureSelector) else model
    mixture = chosen.mixture_
    names = getattr(chosen, "feature_names_in_", None)
    if names is None:
        feature_names = [f"x{j}" for j in range(mixture.n_features)]
    else:
        feature_names = list(map(str, names))
    family = family_named(chosen.covariance_type).name
    metadata: dict[str, object] = {_UNNAMED: names is None}
    if isinstance(chosen, StudentTMixture):
        asked = chosen.degrees_of_freedom
        metadata[_ESTIMATED] = asked if isinstance(asked, str) else None
    save_model(path, mixture, family=family, feature_names=feature_names, metadata=metadata)


def load(path: str | os.PathLike[str]) -> GaussianMixture:
    """Read a mixture from a file of :func:`save` or of ``mixtura fit``.

    Parameters
    ----------
    path : path

    Returns
    -------
    GaussianMixture or StudentTMixture
        With ``weights_``, ``means_``, ``covariances_`` and the names of the columns, ready to
        predict and to score.

    Raises
    ------
    ModelFileError
        When the file is no model, or was changed since it was written.
    """
    model = load_model(path)
    family = cast("CovarianceType", model.family)
    K, tails = model.mixture.n_components, model.mixture.tails
    noise = None if model.mixture.noise is None else model.mixture.noise.volume
    loaded: GaussianMixture
    if tails is None:
        loaded = GaussianMixture(K, covariance_type=family, noise=noise)
    else:
        asked = cast("DegreesOfFreedom | None", model.metadata.get(_ESTIMATED))
        given = tails if asked is None else asked
        loaded = StudentTMixture(K, covariance_type=family, degrees_of_freedom=given, noise=noise)
    loaded._set_parameters(model.mixture, model.family, np.float64)
    loaded.n_features_in_ = model.mixture.n_features
    if not model.metadata.get(_UNNAMED):
        loaded.feature_names_in_ = np.array(model.feature_names, dtype=object)
    return loaded
