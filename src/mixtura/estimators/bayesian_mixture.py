"""BayesianGaussianMixture: variational inference with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from mixtura.base.arrays import Array, Flags, Rows
from mixtura.base.choices import (
    Acceleration,
    BackendName,
    ComponentOrder,
    CovarianceType,
    InitParams,
)
from mixtura.base.underflow import ignore_underflow
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import Callback
from mixtura.estimators.fitted import in_precision_of, log_densities, values_by_block
from mixtura.estimators.gaussian_mixture import GaussianMixture, InitCallable
from mixtura.families import family_named
from mixtura.inference.credible import membership_quantiles, quantiles_of_draws
from mixtura.inference.uncertainty import Interval, MembershipIntervals
from mixtura.inputs.parameters import check_count, seed_of
from mixtura.inputs.rows import rows_of
from mixtura.inputs.variational import given_priors_of, public_covariance_prior
from mixtura.model.fit_result import FitResult
from mixtura.model.protocols import Block
from mixtura.model.soundness import EMPTY_BELOW
from mixtura.model.variational import Variational
from mixtura.model.weight_priors import DirichletProcess
from mixtura.search.budget import Plan

WeightPriorName: TypeAlias = Literal["dirichlet_process", "dirichlet_distribution"]

ACTIVE_ROWS = 1.0
"""Expected rows from which on a component is active."""

LEAST_WORK = 1e7
"""Work of a local search at least (:class:`mixtura.search.budget.Budget`)."""

DRAWS_OF_WEIGHTS = 4000
"""Draws of the prior weights for an expected number of components."""


def _no_criterion(_: object) -> NoReturn:
    """BIC, AIC and ICL are of maximum-likelihood fits."""
    raise AttributeError(
        "a Bayesian mixture has no BIC, AIC or ICL, since it averages over the parameters. Compare "
        "lower_bound_, the bound of the log evidence: higher is better."
    )


def _no_standard_errors(_: object) -> NoReturn:
    """Standard errors are of maximum-likelihood fits."""
    raise AttributeError(
        "a Bayesian mixture has a posterior in place of standard errors: see credible_intervals "
        "and membership_intervals."
    )


def _no_partial_fit(_: object) -> NoReturn:
    """Online EM is of maximum-likelihood fits."""
    raise AttributeError(
        "a Bayesian mixture has no partial_fit: its posterior depends on all rows. See "
        "GaussianMixture.partial_fit."
    )


class BayesianGaussianMixture(GaussianMixture):
    """Variational Bayes for a Gaussian mixture, with scikit-learn's interface.

    Weights, means and precisions have conjugate priors, and the fit is an approximation of their
    posterior. ``n_components`` is an upper bound: components that the data do not need are left
    with hardly any weight. ``lower_bound_`` is a lower bound of the log evidence with all its
    constants, so fits with other ``n_components``, covariance types or priors can be compared by
    it; higher is better. (scikit-learn's leaves out constants and cannot be compared so.)

    Parameters
    ----------
    n_components : int, default=1
        K, the largest number of components.
    covariance_type : str, default="full"
        "full" (VVV), "tied" (EEE), "diag" (VVI), "spherical" (VII), "tied_diag" (EEI) or
        "tied_spherical" (EII). The other eight families have no conjugate prior.
    tol : float or None, default=None
        None: stop when the bound is estimated to be within 0.01 of its maximum. A number has
        scikit-learn's meaning: stop when the bound per row changes by less in one iteration.
    reg_covar : float or None, default=None
        A number is added to the diagonal of the covariances, as in scikit-learn: every row is a
        Gaussian of that variance. None is 0; the prior keeps covariances regular.
    weight_concentration_prior_type : str, default="dirichlet_process"
        "dirichlet_process": truncated at K, the last stick has what is left. With a concentration
        above 1 that is much, so K should then be large. "dirichlet_distribution": a symmetric
        Dirichlet distribution.
    weight_concentration_prior : float or None, default=None
        Concentration; small values favour few components. None is ``1 / n_components``. See
        :meth:`expected_components`.
    mean_precision_prior : float or None, default=None
        beta_0: the mean of a component has the prior covariance ``Sigma_k / beta_0``. None is 1.
    mean_prior : (d,) array or None, default=None
        None is the mean of the rows.
    degrees_of_freedom_prior : float or None, default=None
        nu_0 of the Wishart (full, tied) or gamma laws (``Gamma(nu_0 / 2, covariance_prior / 2)`` of
        each precision; with d times the shape for spherical ones); above d - 1 for full and tied.
        None is d.
    covariance_prior : array, float or None, default=None
        Rate of these laws: (d, d) full and tied, (d,) diag, a number spherical. The prior scale of
        a covariance is ``covariance_prior / nu_0``. None is the covariance of the rows (with
        ``n - 1``), its diagonal, or the mean of that.
    acceleration, max_iter, n_init, time_limit, init_params : optional
        As in :class:`GaussianMixture`: by default starts of several kinds and a local search look
        for the highest bound.
    component_order : "weight", int, str or None, default="weight"
        By falling weight, so that components without rows are last, or as in
        :class:`GaussianMixture`. Those of a process are always in the order of their sticks: by
        falling weight, but the last one, which has what is left, is the largest where the
        concentration is large.
    random_state, warm_start, verbose, verbose_interval : optional
        As in :class:`GaussianMixture`.
    n_threads, backend, callback : optional
        As in :class:`GaussianMixture`; log-likelihoods of the callback are lower bounds.

    Attributes
    ----------
    weights_ : (K,) array
        Expected mixing proportions; they sum to one.
    means_ : (K, d) array
        Expected means.
    covariances_ : array
        Scales: inverses of the expected precisions, in the shape of :class:`GaussianMixture`.
    precisions_, precisions_cholesky_ : array
        Expected precisions and their factors.
    weight_concentration_ : (K,) array, or two (K,) arrays
        Parameters of the posterior of the weights: of the Dirichlet distribution, or of the beta
        distributions of the sticks (the last stick is 1: its second parameter is 0).
    mean_precision_ : (K,) array
    degrees_of_freedom_ : (K,) array or float
        One number where all components share the covariance.
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_, covariance_prior_ : array
        The priors, given or by default.
    n_active_components_ : int
        Components with at least one expected row.
    counts_ : (K,) array
        Expected rows of the components.
    lower_bound_ : float
        Lower bound of the log evidence, in total.
    lower_bounds_ : list of float
        The same after each iteration; it never falls.
    converged_, certificate_, start_report_, n_iter_, stop_reason_, result_ : optional
        As in :class:`GaussianMixture`. The mixture of ``result_`` has the weights
        ``counts_ / n``.

    Notes
    -----
    For tied covariances the posterior has ``nu_0 + n`` degrees of freedom, and diagonal and
    spherical precisions have gamma laws: so the bound is exact. scikit-learn has ``nu_0 + n / K``,
    and takes expectations of a Wishart law in all cases, so there results differ a little.

    References
    ----------
    Attias 2000; Blei & Jordan 2006; Bishop 2006, section 10.2; Kurihara, Welling & Teh 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import BayesianGaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (50, 1)), rng.normal(9, 1, (100, 1))])
    >>> fit = BayesianGaussianMixture(6, random_state=0).fit(X)
    >>> fit.n_active_components_, fit.counts_.round()[:2].tolist()
    (2, [100.0, 50.0])
    """

    prior = None
    eigenvalue_ratio = None
    equal_weights = False
    noise = None
    noise_init = None
    fixed_weights = None
    fixed_means = None
    fixed_covariances = None
    fixed_mixture = None
    weights_init = None
    means_init = None
    precisions_init = None

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float | None = None,
        reg_covar: float | None = None,
        max_iter: int = 2000,
        n_init: int | None = None,
        time_limit: float | None = None,
        init_params: InitParams | ArrayLike | InitCallable = "auto",
        weight_concentration_prior_type: WeightPriorName = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        acceleration: Acceleration | None = "auto",
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        component_order: ComponentOrder | None = "weight",
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        backend: BackendName = "auto",
        callback: Callback | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.time_limit = time_limit
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.acceleration = acceleration
        self.random_state = random_state
        self.warm_start = warm_start
        self.component_order = component_order
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.backend = backend
        self.callback = callback

    weight_concentration_: Any
    mean_precision_: Rows
    degrees_of_freedom_: Any
    counts_: Array
    n_active_components_: int

    def _plan(self, dataset: Dataset, n_starts: int, local_search: bool) -> Plan:
        """A shorter local search, since every iteration takes some steps in Python."""
        plan = super()._plan(dataset, n_starts, local_search)
        return replace(plan, budget=plan.budget and replace(plan.budget, least=LEAST_WORK))

    # ---- the posterior ---------------------------------------------------------------------------

    def _ordered(self, fit: FitResult, problem: Problem) -> FitResult:
        """Components of a process in the order of the sticks."""
        assert isinstance(problem.regularisation, Variational)
        prior = problem.regularisation.priors.weights
        if not isinstance(prior, DirichletProcess):
            return super()._ordered(fit, problem)
        counts = problem.regularisation.posterior(fit.mixture).counts
        return fit.in_order(problem.in_place(prior.order(counts)))

    def _set_fit(self, result: FitResult, problem: Problem, dtype: np.dtype[Any]) -> None:
        """Set the attributes of a fit, of its posterior and of the priors."""
        regularisation, family = problem.regularisation, problem.family
        assert isinstance(regularisation, Variational)
        self._posterior = regularisation.posterior(result.mixture)
        priors, posterior = self._posterior.priors, self._posterior
        self.weight_concentration_prior_ = priors.weights.concentration
        self.mean_precision_prior_ = priors.normal.shrinkage
        self.mean_prior_ = priors.normal.mean
        self.degrees_of_freedom_prior_ = priors.normal.rows
        self.covariance_prior_ = public_covariance_prior(priors, family)
        self.weight_concentration_ = priors.weights.parameters(posterior.counts)
        self.mean_precision_ = posterior.mean_precision
        degrees = posterior.degrees
        self.degrees_of_freedom_ = float(degrees[0]) if priors.shared else degrees
        self.counts_ = posterior.counts
        self.n_active_components_ = int((posterior.counts >= ACTIVE_ROWS).sum())
        self._set_result(result, dtype)
        self.lower_bound_ = result.trace[-1]
        self.lower_bounds_ = list(result.trace[len(result.trace) - result.n_iter :])

    def _set_parameters(self, mixture: Mixture, family: str, dtype: Any) -> None:
        """Set the public attributes to those of the expected mixture."""
        super()._set_parameters(self._posterior.expected, family, dtype)

    @property
    def _have_rows(self) -> Flags:
        """Components (K,) that the fit has left with rows."""
        return np.asarray(self.counts_ >= EMPTY_BELOW)

    @property
    def _optimised(self) -> Mixture:
        """The mixture that stands for the posterior."""
        return self._posterior.mixture

    _law: ClassVar[str] = "posterior"  # which parameters alone do not have

    # ---- rows ------------------------------------------------------------------------------------

    @ignore_underflow
    def _by_block(
        self, X: Any, errors: Any, function: Callable[[Array, Block, Mixture], Any]
    ) -> Any:
        """A function of the expected log joint densities ``(m, K)``, computed block by block."""
        check_is_fitted(self)
        return values_by_block(self, X, errors, self._posterior.tilted, function)

    @ignore_underflow
    def score_samples(self, X: Any, measurement_covariance: Any = None) -> Rows:
        """Log density of the posterior predictive distribution at each row (n,).

        It is a mixture of t densities, of which those of diagonal precisions are products over the
        columns. Missing entries are left out; errors of measurement are not supported.
        """
        check_is_fitted(self)
        if measurement_covariance is not None:
            raise ValueError(
                "score_samples takes no measurement_covariance here, since the predictive density "
                "of a row with an error has no closed form. mixture_.logpdf is the density under "
                "the expected parameters; predict and predict_proba take errors."
            )
        predictive = self._posterior.predictive
        if predictive is not None:
            densities: Rows = values_by_block(self, X, None, predictive, log_densities)
            return densities
        rows = rows_of(self, X, fitting=False)
        return in_precision_of(rows, self._posterior.log_predictive_of_columns(rows))

    # ---- uncertainty -----------------------------------------------------------------------------

    @ignore_underflow
    def credible_intervals(
        self,
        level: float = 0.95,
        *,
        n_draws: int = 4000,
        random_state: int | np.random.RandomState | None = None,
    ) -> Interval:
        """Credible intervals of weights, means and covariances.

        Variational posteriors are often too narrow: they take parameters and memberships as
        independent. For well separated components they are about right.

        Parameters
        ----------
        level : float, default=0.95
            Equal tails.
        n_draws : int, default=4000
            Draws from the posterior, whose quantiles are the ends; their Monte-Carlo error is about
            2 % of the width.
        random_state : int, RandomState or None, default=None
            None takes the estimator's own.

        Returns
        -------
        mixtura.Interval
            ``low`` and ``high``, with ``weights`` (K,), ``means`` (K, d) and ``covariances`` in the
            shape of ``covariances_`` each.
        """
        family = family_named(self.covariance_type).name
        return quantiles_of_draws(self._draws(n_draws, random_state), family, level)

    @ignore_underflow
    def membership_intervals(  # type: ignore[override]  # the posterior is known
        self,
        X: Any,
        level: float = 0.95,
        *,
        n_draws: int = 400,
        random_state: int | np.random.RandomState | None = None,
    ) -> MembershipIntervals:
        """Credible intervals of the probabilities of the components at each row.

        Parameters
        ----------
        X : (n, d)
        level, n_draws, random_state : optional
            As in :meth:`credible_intervals`.

        Returns
        -------
        mixtura.MembershipIntervals
            ``probability``, ``low`` and ``high``, (n, K) each.
        """
        draws = self._draws(n_draws, random_state)
        rows = rows_of(self, X, fitting=False)
        probability = np.asarray(self.predict_proba(X), dtype=np.float64)
        return membership_quantiles(rows, probability, draws, level)

    def _draws(self, n: int, random_state: Any) -> list[Mixture]:
        """Mixtures drawn from the posterior."""
        check_is_fitted(self)
        check_count("n_draws", n, 2)
        chosen = self.random_state if random_state is None else random_state
        return list(self._posterior.draws(n, np.random.default_rng(seed_of(chosen))))

    # ---- the concentration -----------------------------------------------------------------------

    def expected_components(self, n_rows: int) -> float:
        """The number of components that the prior expects among so many rows.

        It tells what a ``weight_concentration_prior`` means before the data are seen; where
        ``lower_bound_`` is higher tells which one fits them. It is a mean over 4,000 draws of the
        weights, with a fixed seed.

        Examples
        --------
        >>> from mixtura import BayesianGaussianMixture
        >>> for a in (0.01, 0.1, 1.0):
        ...     model = BayesianGaussianMixture(20, weight_concentration_prior=a)
        ...     print(f"{a:g}: {model.expected_components(1000):.1f}")
        0.01: 1.1
        0.1: 1.7
        1: 7.5
        """
        check_count("n_rows", n_rows, 1)
        settings = given_priors_of(self)
        assert settings is not None
        check_count("n_components", self.n_components, 1)
        draws = settings.weights.draw(
            np.zeros(self.n_components), DRAWS_OF_WEIGHTS, np.random.default_rng(0)
        )
        return float((1.0 - (1.0 - draws) ** n_rows).sum(axis=1).mean())

    # ---- of maximum-likelihood fits --------------------------------------------------------------

    @classmethod
    def from_parameters(cls, *_: object, **__: object) -> NoReturn:
        """Refused: a posterior is more than the parameters of one mixture."""
        raise TypeError(
            "a Bayesian mixture has a posterior, which one set of parameters does not give. Use "
            "GaussianMixture.from_parameters or Mixture.from_parameters for a known mixture."
        )

    bic = aic = icl = property(_no_criterion)
    standard_errors = property(_no_standard_errors)
    partial_fit = property(_no_partial_fit)
