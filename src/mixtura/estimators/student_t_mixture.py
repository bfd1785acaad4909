"""StudentTMixture: t components, for groups with heavy tails and outliers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array, Rows
from mixtura.base.choices import (
    Acceleration,
    BackendName,
    ComponentOrder,
    CovarianceType,
    DegreesOfFreedom,
    InitParams,
)
from mixtura.base.family_names import family_letters
from mixtura.base.underflow import ignore_underflow
from mixtura.data.noise_box import NoiseVolume
from mixtura.distribution.given_parameters import check_weights, given_degrees
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.em.em import Callback
from mixtura.estimators.gaussian_mixture import GaussianMixture, InitCallable
from mixtura.inputs.degrees_of_freedom import tail_rule_of
from mixtura.model.observation import pulls_of
from mixtura.model.priors import ConjugatePrior
from mixtura.model.protocols import Block
from mixtura.model.tails import USUAL_BOUNDS


class StudentTMixture(GaussianMixture):
    """Mixture of multivariate t distributions fitted by EM, with the families of scale matrices.

    A component has a mean, a scale matrix and degrees of freedom nu: with few of them it has heavy
    tails, with many it is Gaussian. A row that is far from all components hardly moves them
    (Peel & McLachlan 2000).

    ``covariances_`` are the scale matrices, as in teigen. The covariance of a component is
    ``nu / (nu - 2)`` times its scale matrix for nu above 2, and does not exist below.

    Parameters
    ----------
    n_components : int, default=1
        K, the number of components.
    covariance_type : str, default="full"
        A family of scale matrices, by any name of :class:`GaussianMixture`.
    degrees_of_freedom : {"free", "equal"}, float or (K,) array, default="free"
        "free": estimated for each component. "equal": one estimate for all of them. Numbers are
        not estimated; different ones belong to the components in the order of the starts, and
        there is no local search then.
    degrees_of_freedom_bounds : (float, float), default=(2.0, 200.0)
        The least and the largest estimate. An estimate at the upper bound says that a Gaussian
        component would do.
    tol, reg_covar, prior, eigenvalue_ratio, equal_weights, noise, noise_init, fixed_weights, \
fixed_means, fixed_covariances, fixed_mixture, acceleration, max_iter, n_init, time_limit, \
init_params, weights_init, means_init, precisions_init, random_state, warm_start, \
component_order, verbose, verbose_interval, n_threads, backend, callback
        As in :class:`GaussianMixture`. ``reg_covar``, ``prior``, ``eigenvalue_ratio`` and
        ``fixed_covariances`` are of the scale matrices. The degrees of freedom of fixed components
        are estimated like all others.

    Attributes
    ----------
    degrees_of_freedom_ : (K,) array
    weights_, means_, covariances_, precisions_, precisions_cholesky_, converged_, certificate_, \
start_report_, n_iter_, lower_bound_, lower_bounds_, stop_reason_, result_
        As in :class:`GaussianMixture`, of the scale matrices.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import StudentTMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.standard_t(3, (200, 2)), rng.standard_normal((200, 2)) + 6])
    >>> model = StudentTMixture(2, component_order="weight", random_state=0).fit(X)
    >>> model.degrees_of_freedom_.round(1).tolist()
    [200.0, 3.8]

    A far row has little weight in all estimates.

    >>> model.robustness_weights([[6.0, 6.0], [0.0, 40.0]]).round(3).tolist()
    [1.01, 0.004]

    References
    ----------
    Peel & McLachlan 2000, Statistics and Computing 10:339-348; Andrews & McNicholas 2012,
    Statistics and Computing 22:1021-1029, for the families.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        degrees_of_freedom: DegreesOfFreedom | float | ArrayLike = "free",
        degrees_of_freedom_bounds: tuple[float, float] = USUAL_BOUNDS,
        tol: float | None = None,
        reg_covar: float | None = None,
        prior: Literal["conjugate"] | ConjugatePrior | None = None,
        eigenvalue_ratio: float | None = None,
        equal_weights: bool = False,
        noise: NoiseVolume | None = None,
        noise_init: ArrayLike | None = None,
        fixed_weights: ArrayLike | None = None,
        fixed_means: ArrayLike | None = None,
        fixed_covariances: ArrayLike | None = None,
        fixed_mixture: Mixture | None = None,
        acceleration: Acceleration | None = "auto",
        max_iter: int = 2000,
        n_init: int | None = None,
        time_limit: float | None = None,
        init_params: InitParams | ArrayLike | InitCallable = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        component_order: ComponentOrder | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        backend: BackendName = "auto",
        callback: Callback | None = None,
    ) -> None:
        super().__init__(
            n_components,
            covariance_type=covariance_type,
            tol=tol,
            reg_covar=reg_covar,
            prior=prior,
            eigenvalue_ratio=eigenvalue_ratio,
            equal_weights=equal_weights,
            noise=noise,
            noise_init=noise_init,
            fixed_weights=fixed_weights,
            fixed_means=fixed_means,
            fixed_covariances=fixed_covariances,
            fixed_mixture=fixed_mixture,
            acceleration=acceleration,
            max_iter=max_iter,
            n_init=n_init,
            time_limit=time_limit,
            init_params=init_params,
            weights_init=weights_init,
            means_init=means_init,
            precisions_init=precisions_init,
            random_state=random_state,
            warm_start=warm_start,
            component_order=component_order,
            verbose=verbose,
            verbose_interval=verbose_interval,
            n_threads=n_threads,
            backend=backend,
            callback=callback,
        )
        self.degrees_of_freedom = degrees_of_freedom
        self.degrees_of_freedom_bounds = degrees_of_freedom_bounds

    _law: ClassVar[str] = "t"
    degrees_of_freedom_: Rows

    # ---- degrees of freedom ----------------------------------------------------------------------

    @property
    def _tails(self) -> Array | None:
        """Degrees of freedom of the public attributes."""
        return np.asarray(self.degrees_of_freedom_, dtype=np.float64)

    def _set_parameters(self, mixture: Mixture, family: str, dtype: Any) -> None:
        """Set the public attributes."""
        super()._set_parameters(mixture, family, dtype)
        assert mixture.tails is not None
        self.degrees_of_freedom_ = mixture.tails.astype(dtype)

    def _counted_parameters(self) -> int:
        """Free parameters by the settings."""
        rule = tail_rule_of(self)
        assert rule is not None
        return super()._counted_parameters() + rule.n_parameters(len(self.means_))

    # ---- rows ------------------------------------------------------------------------------------

    @ignore_underflow
    def robustness_weights(self, X: Any) -> Rows:
        """How much each row (n,) counts in the means and scale matrices.

        ``sum_k P(k | x) (nu_k + d) / (nu_k + D_k)`` with the squared distance ``D_k``: about 1 for
        most rows of a component, up to ``1 + d / nu`` at its mean, and nearly 0 for a distant row.
        Of a row with missing entries, d and D are those of the observed columns. The probability of
        the noise counts nothing.
        """
        weights: Rows = self._by_block(X, None, _robustness_weights)
        return weights

    # ---- from parameters -------------------------------------------------------------------------

    @classmethod
    @ignore_underflow
    def from_parameters(  # type: ignore[override]
        cls,
        weights: Any,
        means: Any,
        covariances: Any,
        degrees_of_freedom: Any,
        *,
        covariance_type: CovarianceType = "full",
        random_state: int | np.random.RandomState | None = None,
    ) -> StudentTMixture:
        """A mixture with given parameters, ready to score, predict and sample.

        Parameters
        ----------
        weights : (K,)
        means : (K, d)
        covariances : shape by ``covariance_type``, as in ``covariances_``
            Scale matrices.
        degrees_of_freedom : float or (K,)

        Examples
        --------
        >>> from mixtura import StudentTMixture
        >>> known = StudentTMixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], 3.0, covariance_type="spherical"
        ... )
        >>> known.predict_proba([[2.0]]).tolist()
        [[0.5, 0.5]]
        """
        self = cls(
            covariance_type=covariance_type,
            degrees_of_freedom=degrees_of_freedom,
            random_state=random_state,
        )
        mixture = Mixture.from_parameters(
            weights,
            means,
            covariances,
            covariance_type=covariance_type,
            degrees_of_freedom=given_degrees(degrees_of_freedom),
        )
        K, d = mixture.means.shape
        check_weights(mixture.weights, K)
        self.n_components = K
        self._set_parameters(mixture, family_letters(covariance_type), np.float64)
        self.n_features_in_ = d
        return self


def _robustness_weights(log_joint: Array, block: Block, mixture: Mixture) -> Rows:
    """See :meth:`StudentTMixture.robustness_weights`."""
    own = pulls_of(block.rows, block.observation, mixture)
    shares = posterior(log_joint, block.rows, mixture)[:, : mixture.n_components]
    mean = np.asarray((shares * own).sum(axis=1))
    return mean.astype(np.float32) if block.rows.dtype == np.float32 else mean
