"""Memberships as features: the methods of scikit-learn's transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from mixtura.base.arrays import Rows
from mixtura.base.numbering import number_of


class MembershipTransformer(TransformerMixin):  # type: ignore[misc]
    """``transform`` gives the memberships as named columns, for pipelines and ``set_output``.

    A subclass has ``predict_proba`` and ``mixture_``.
    """

    def __sklearn_tags__(self) -> Any:
        """float32 stays float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def transform(self, X: Any, measurement_covariance: Any = None) -> Rows:
        """The memberships (n, K) of :meth:`predict_proba` as new features; that of the noise last.

        Rows sum to one, so one of the columns is redundant for a linear model.
        """
        memberships: Rows = self.predict_proba(X, measurement_covariance)
        return memberships

    def fit_transform(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> Rows:
        """Fit, then the memberships (n, K) of the rows."""
        fitted: Any = self.fit(
            X,
            sample_weight=sample_weight,
            labels=labels,
            measurement_covariance=measurement_covariance,
        )
        memberships: Rows = fitted.transform(X, measurement_covariance)
        return memberships

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """The names of the columns of :meth:`transform`: ``gaussianmixture0``, ...

        That of the noise is ``gaussianmixture_noise``. ``input_features`` is checked, not used.
        """
        check_is_fitted(self)
        mixture, prefix = self.mixture_, type(self).__name__.lower()
        if input_features is not None:
            _check_feature_names_in(self, input_features, generate_names=False)
        names = [f"{prefix}{number_of(k)}" for k in range(mixture.n_components)]
        if mixture.noise is not None:
            names.append(f"{prefix}_noise")
        return np.asarray(names, dtype=object)
