"""OutlierMixture: rows that a mixture finds unlikely, with scikit-learn's habits of detectors."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.choices import BackendName, CovarianceType
from mixtura.base.postponed import warn_again, with_warnings
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.density_tail import RowTails
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of, log_density, posterior
from mixtura.estimators.fitted import values_by_block
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.inputs.parameters import check_count, is_bool
from mixtura.inputs.rows import checked_weights, rows_of
from mixtura.model.outliers import (
    USUAL_RATE,
    Threshold,
    column_residuals,
    is_worth_it,
    ordinary,
)
from mixtura.model.protocols import Block

USUAL_KS = range(1, 11)
USUAL_FAMILIES: tuple[CovarianceType, ...] = ("EEE", "VVV", "VVI")
"""The candidates of the default choice."""


class OutlierMixture(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Outliers and novelties: rows whose density under a mixture is below a threshold.

    The threshold is of the model: a new row of the mixture is flagged with the probability
    ``false_alarm_rate``. Or it is of the data: ``contamination`` is the share of the rows of the
    fit that are flagged. In both cases ``false_alarm_rate_`` says how often an ordinary row is.

    The usual mixture has a uniform noise term if BIC is lower with it. It takes gross outliers
    while the components are fitted, so that they neither widen a component nor get one of their
    own. The density is then that of the components alone.

    Parameters
    ----------
    estimator : GaussianMixture, StudentTMixture, GaussianMixtureSelector or None, default=None
        The mixture, which is fitted to the rows. None: the best by BIC of one to ten components
        with full covariances, shared (EEE) or free (VVV), or along the columns (VVI), and with or
        without ``noise="auto"``, which may not take more than half of the rows. A fitted mixture
        is taken as it is in scikit-learn's ``FrozenEstimator``.
    contamination : "auto" or float, default="auto"
        The share of the rows of the fit below the threshold, above 0 and at most 0.5. "auto": the
        threshold is set by ``false_alarm_rate``.
    false_alarm_rate : float, default=0.01
        With ``contamination="auto"`` the probability that a row of the mixture is flagged: the
        threshold ends the highest-density region of content ``1 - false_alarm_rate``.
    smallest_group : float, default=0.0
        Components with less than this share of the rows are groups of outliers, and their rows are
        compared with the other components. By default a tight group of rows is a group.
    random_state : int, RandomState or None, default=None
        The seed of the default mixture. The draws that estimate rates have a fixed seed.
    n_threads : int or None, default=None
        None uses every processor. It never changes a result.
    backend : {"auto", "native", "reference"}, default="auto"
        The densities in C++ or in NumPy.

    Attributes
    ----------
    offset_ : float
        The threshold: ``decision_function`` is ``score_samples - offset_``.
    false_alarm_rate_ : float
        The probability that a new row of ``mixture_`` is flagged, whichever way the threshold was
        set. It takes the fitted mixture for the true one.
    false_alarm_rate_error_ : float
        Its Monte-Carlo standard error.
    mixture_ : Mixture
        The mixture of ordinary rows: without noise and small groups.
    estimator_ : GaussianMixture, StudentTMixture or GaussianMixtureSelector
        The fitted mixture as it was fitted.
    n_features_in_ : int
    feature_names_in_ : (d,) array of str
        Only where the data were a data frame.

    Notes
    -----
    Rows with missing entries have the density of the columns that were observed, which cannot be
    compared with that of others. So they are compared by their tail probabilities
    (:meth:`tail_probability`) under the margin of their columns, and ``score_samples`` gives the
    log density of a complete row with the same one.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import OutlierMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(9, 1, (200, 2)), [[4.5, 4.5]]])
    >>> detector = OutlierMixture(false_alarm_rate=1e-4, random_state=0).fit(X)
    >>> np.flatnonzero(detector.predict(X) == -1).tolist()
    [400]
    >>> detector.predict([[9.0, 9.0], [9.0, 0.0], [np.nan, 4.5]]).tolist()
    [1, -1, -1]

    References
    ----------
    Hyndman 1996, American Statistician 50:120-126, for highest-density regions; Banfield & Raftery
    1993 for the noise.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        contamination: Literal["auto"] | float = "auto",
        false_alarm_rate: float = USUAL_RATE,
        smallest_group: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        backend: BackendName = "auto",
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.smallest_group = smallest_group
        self.random_state = random_state
        self.n_threads = n_threads
        self.backend = backend

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # ---- fitting ---------------------------------------------------------------------------------

    @ignore_underflow
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture and set the threshold.

        Parameters
        ----------
        X : (n, d)
            As in :meth:`GaussianMixture.fit`; missing entries are NaN, NA, null or masked.
        y : ignored
        sample_weight : (n,), optional
            Frequencies: a weight of 2 is a repeated row, 0 an absent one.

        Raises
        ------
        ValueError, TypeError

        Warns
        -----
        ConvergenceWarning, DegenerateWarning, DataWarning
        """
        self._check_parameters()
        rows = rows_of(self, X, fitting=True)
        self.estimator_ = self._fitted(X, sample_weight)
        self._set_mixture(self.estimator_.mixture_)
        if self.contamination == "auto":
            threshold = Threshold.of_rate(float(self.false_alarm_rate), self._tails)
        else:
            weights = checked_weights(sample_weight, len(rows))
            threshold = Threshold.of_rows(
                float(self.contamination), self._scores(X), rows, weights, None, self._tails
            )
        self.offset_ = threshold.offset
        self.false_alarm_rate_ = threshold.false_alarm_rate
        self.false_alarm_rate_error_ = threshold.standard_error
        return self

    def _check_parameters(self) -> None:
        """Refuse invalid parameters before the data are read."""
        if self.contamination != "auto":
            check_share("contamination", self.contamination, 0.5, "'auto' or ")
        check_share("false_alarm_rate", self.false_alarm_rate, 0.5)
        check_share("smallest_group", self.smallest_group, 0.5, least_included=True)
        check_count("n_threads", self.n_threads, 1, optional=True)
        estimator = self.estimator
        if estimator is not None and not isinstance(
            getattr(estimator, "estimator", estimator), GaussianMixture | GaussianMixtureSelector
        ):
            raise TypeError(
                "estimator must be a GaussianMixture, a StudentTMixture or a "
                f"GaussianMixtureSelector of mixtura, or None, but a {type(estimator).__name__} "
                "came."
            )

    def _fitted(self, X: Any, sample_weight: Any) -> Any:
        """The fitted estimator; of the usual ones that with noise if BIC is lower with it."""
        if self.estimator is not None:
            return clone(self.estimator).fit(X, None, sample_weight=sample_weight)
        (plain, said), (noisy, said_of_noisy) = (
            with_warnings(partial(self._selector(noise).fit, X, sample_weight=sample_weight))
            for noise in (None, "auto")
        )
        worth_it = is_worth_it(noisy.selection_.best, plain.selection_.best)
        warn_again(said_of_noisy if worth_it else said, stacklevel=3)
        return noisy if worth_it else plain

    def _selector(self, noise: Any) -> GaussianMixtureSelector:
        """The usual selection with or without noise."""
        return GaussianMixtureSelector(
            USUAL_KS,
            families=list(USUAL_FAMILIES),
            noise=noise,
            random_state=self.random_state,
            component_order="weight",
            n_threads=self.n_threads,
            backend=self.backend,
        )

    def _set_mixture(self, fitted: Mixture) -> None:
        """The mixture of ordinary rows, and the distribution of its density."""
        if fitted.n_features != self.n_features_in_:
            raise ValueError(
                f"X has {self.n_features_in_} columns, but the fitted mixture has "
                f"{fitted.n_features}. Pass the columns of its fit."
            )
        self.mixture_, _ = ordinary(fitted, float(self.smallest_group))
        self._tails = RowTails.of(self.mixture_)

    # ---- rows ------------------------------------------------------------------------------------

    def score_samples(self, X: Any) -> Rows:
        """Log density of each row (n,) under the mixture of ordinary rows; low for outliers.

        Of an incomplete row, the log density of a complete row with its tail probability.
        """
        check_is_fitted(self)
        return self._scores(X)

    def decision_function(self, X: Any) -> Rows:
        """``score_samples - offset_`` of each row (n,): below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Labels:
        """-1 for outliers and 1 for others (n,); the rows may be new ones."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    @ignore_underflow
    def tail_probability(self, X: Any) -> Array:
        """The probability that an ordinary row is no more likely than each row (n,).

        ``P(p(Z) <= p(x))`` for a row Z of ``mixture_``, in the columns of x that were observed. It
        is a p-value: uniform in (0, 1) for rows of the mixture. Of n rows, ``n`` times the smallest
        one is the number of so unlikely rows that is expected by chance. It is estimated to a few
        percent down to about 1e-12 in up to 30 columns, to some ten percent for incomplete rows;
        far below that the order of magnitude is right. A row without any value has 1.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture, OutlierMixture
        >>> X = np.random.default_rng(0).normal(size=(2000, 1))
        >>> detector = OutlierMixture(GaussianMixture(1)).fit(X)
        >>> detector.tail_probability([[1.96], [6.0]]).round(2).tolist()
        [0.05, 0.0]
        """
        check_is_fitted(self)

        def probability(joint: Array, block: Block, _: Mixture) -> Array:
            return np.exp(self._tails.log_probability(log_density(joint), block.rows))

        probabilities: Array = values_by_block(self, X, None, self.mixture_, probability)
        return probabilities

    @ignore_underflow
    def column_residuals(self, X: Any) -> Array:
        """Which columns make a row unlikely: residuals (n, d) in conditional standard deviations.

        The difference of each entry from its expected value given the other entries of the row,
        under the most probable component, divided by the conditional standard deviation (of a t
        component: scale). NaN where the entry is missing. Where one entry alone is wrong, its
        residual is the largest.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture, OutlierMixture
        >>> a = np.random.default_rng(0).normal(size=2000)
        >>> X = np.column_stack([a, a, -a]) + np.random.default_rng(1).normal(size=(2000, 3)) / 4
        >>> detector = OutlierMixture(GaussianMixture(1)).fit(X)
        >>> detector.column_residuals([[1.0, -1.0, -1.0]]).round().tolist()
        [[4.0, -7.0, -4.0]]
        """
        check_is_fitted(self)

        def residuals(joint: Array, block: Block, mixture: Mixture) -> Array:
            components = labels_of(posterior(joint, block.rows, mixture), mixture)
            return column_residuals(mixture, block.rows, components)

        values: Array = values_by_block(self, X, None, self.mixture_, residuals)
        return values

    @ignore_underflow
    def _scores(self, X: Any) -> Rows:
        """See :meth:`score_samples`."""

        def score(joint: Array, block: Block, _: Mixture) -> Array:
            return self._tails.comparable(log_density(joint), block.rows)

        scores: Rows = values_by_block(self, X, None, self.mixture_, score)
        return scores


def check_share(
    name: str, value: Any, most: float, other: str = "", *, least_included: bool = False
) -> None:
    """Check for a number above 0, or from 0 on, and at most ``most``."""
    number = isinstance(value, Real) and not is_bool(value)
    if not number or not (0 < float(value) <= most or (least_included and value == 0)):
        interval = f"from 0 to {most:g}" if least_included else f"above 0 and at most {most:g}"
        raise ValueError(
            f"{name} must be {other}a number {interval}, but {value!r} came. For example "
            f"{name}=0.01."
        )
