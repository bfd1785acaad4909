"""MixtureImputer: missing entries are filled with what a mixture expects of them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mixtura.base.arrays import Rows
from mixtura.base.choices import CovarianceType
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.inputs.rows import rows_of

USUAL_KS = range(1, 6)
USUAL_FAMILIES: tuple[CovarianceType, ...] = ("EEE", "VVV", "VVI")
"""The candidates of the default choice: one to five components."""


class MixtureImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fill missing entries with their expected values under a mixture, given the others of the row.

    Within a group of rows that is the regression on the observed columns; between groups the
    regressions are weighed by the probabilities of the components.

    Parameters
    ----------
    estimator : GaussianMixture, GaussianMixtureSelector or None, default=None
        The mixture, which is fitted to the incomplete rows. None: the best by BIC of one to five
        components with full covariances, shared (EEE) or free (VVV), or along the columns (VVI).
    draw : bool, default=False
        Draw from the conditional distribution in place of its mean, for multiple imputation: call
        ``transform`` several times, with a ``random_state`` that is no integer or with a new
        integer each time (``set_params(random_state=1)``).
    random_state : int, RandomState or None, default=None
        The seed of the default mixture and of the draws. With an integer every call of
        ``transform`` gives the same draws; with a RandomState or None each call gives new ones,
        whatever the seed of ``estimator``.

    Attributes
    ----------
    mixture_ : GaussianMixture or GaussianMixtureSelector
        The fitted mixture.
    n_features_in_ : int
    feature_names_in_ : (d,) array of str
        Only where the data were a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import MixtureImputer
    >>> a = np.random.default_rng(0).normal(size=200)
    >>> X = np.column_stack([a, 2 * a])
    >>> X[0, 1] = np.nan
    >>> X[:, 1] += np.random.default_rng(1).normal(scale=0.1, size=200)
    >>> filled = MixtureImputer(random_state=0).fit_transform(X)
    >>> bool(abs(filled[0, 1] - 2 * a[0]) < 0.1)
    True

    References
    ----------
    Ghahramani & Jordan 1994; Di Zio, Guarnera & Luzi 2007, Computational Statistics & Data Analysis
    51:5305-5316.
    """

    def __init__(
        self,
        estimator: GaussianMixture | GaussianMixtureSelector | None = None,
        *,
        draw: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.draw = draw
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Missing entries are what it is for."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture to rows (n, d) with missing entries (NaN, NA, null or masked)."""
        rows = rows_of(self, X, fitting=True)
        chosen = self.estimator
        if chosen is None:
            chosen = GaussianMixtureSelector(
                USUAL_KS, families=list(USUAL_FAMILIES), random_state=self.random_state
            )
        self.mixture_ = clone(chosen).fit(rows, sample_weight=sample_weight)
        return self

    def transform(self, X: Any) -> Rows:
        """The rows (n, d) with their missing entries filled; observed entries are as they were."""
        check_is_fitted(self)
        rows = rows_of(self, X, fitting=False)
        # impute would take None as the seed of the mixture, and so repeat its draws
        generator = check_random_state(self.random_state) if self.draw else None
        filled: Rows = self.mixture_.impute(rows, draw=self.draw, random_state=generator)
        return filled
