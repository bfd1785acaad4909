"""Variational Bayes as EM: another penalty, and other weights in the E-step.

With conjugate priors (Attias 2000; Bishop 2006, section 10.2)

    pi          Dirichlet distribution or process    (:mod:`mixtura.model.weight_priors`)
    Lambda_k    Wishart or gamma, nu_0 degrees       (:mod:`mixtura.model.precision_laws`)
                of freedom, rate T_0
    mu_k        normal about m_0 with covariance     Lambda_k = Sigma_k^-1
                Sigma_k / beta_0

the variational posterior follows from the expected rows n_k of the components, their means m_k and
scales S_k: ``beta_k = beta_0 + n_k``, ``nu_k = nu_0 + n_k``, or ``nu_0 + n`` where all components
share the covariance. Its update is the M-step of the same prior as a penalty
(:class:`mixtura.model.priors.Prior` with nu_0 and beta_0 pseudo-rows). In the E-step the expected
log density of a row is that of a normal density with mean m_k and covariance S_k, and a constant:

    E log pi_k + E log N(x | mu_k, Lambda_k^-1)
        = E log pi_k + (E log det(Lambda_k S_k) - d / beta_k) / 2 + log N(x | m_k, S_k)

So it is the E-step of a mixture with other weights, which do not sum to one, and its log-likelihood
less the divergence of the posterior from the prior is the lower bound of the evidence, with every
constant. Missing entries, errors and labels enter as in any E-step. A mixture stands for the
posterior: its weights are ``n_k / n``, its means m_k, its covariances S_k.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mixtura.base.arrays import Array, Rows
from mixtura.base.errors import CollapseError
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.distribution.t_density import log_fall, log_peak
from mixtura.model.moments import Moments
from mixtura.model.precision_laws import ColumnGammas, PrecisionLaw
from mixtura.model.priors import Prior
from mixtura.model.regularisation import Regularisation
from mixtura.model.soundness import EMPTY_BELOW
from mixtura.model.weight_priors import WeightPrior

SAME_SIZE = 1e-9
"""Relative difference of two sums of weights that is rounding."""


@dataclass(frozen=True, eq=False)
class Priors:
    """The priors of all parameters.

    Attributes
    ----------
    weights : WeightPrior
    normal : Prior
        nu_0 (``rows``), T_0 (``scatter``), beta_0 (``shrinkage``) and m_0 (``mean``).
    law : PrecisionLaw
    shared : bool
        Whether one precision serves all components.
    """

    weights: WeightPrior
    normal: Prior
    law: PrecisionLaw
    shared: bool

    def scale_of(self, form: type[Covariance]) -> Array:
        """``T_0 / nu_0`` as one stored covariance: (1,), (1, d) or (1, d, d)."""
        scale = self.normal.scatter / self.normal.rows
        if form is Spherical:
            return np.array([np.trace(scale) / len(scale)])
        return np.diag(scale)[None] if form is Diagonal else scale[None]


@dataclass(frozen=True, eq=False)
class Posterior:
    """The variational posterior of the parameters.

    Attributes
    ----------
    mixture : Mixture
        Weights ``n_k / n``, means m_k, covariances S_k.
    priors : Priors
    total : float
        n, the weight of all rows.
    """

    mixture: Mixture
    priors: Priors
    total: float

    @property
    def counts(self) -> Array:
        """Expected rows n_k (K,)."""
        return self.mixture.weights * self.total

    @property
    def mean_precision(self) -> Array:
        """beta_k (K,)."""
        return self.priors.normal.shrinkage + self.counts

    @property
    def degrees(self) -> Array:
        """nu_k (K,), or (1,) where all components share the covariance."""
        own = np.array([self.total]) if self.priors.shared else self.counts
        return self.priors.normal.rows + own

    # ---- the bound -------------------------------------------------------------------------------

    @property
    def log_tilts(self) -> Array:
        """``E log pi_k + (E log det(Lambda_k S_k) - d / beta_k) / 2`` (K,)."""
        d = self.mixture.n_features
        spread = self.priors.law.expected_log_det(self.degrees, d) - d / self.mean_precision
        return self.priors.weights.expected_logs(self.counts) + 0.5 * spread

    @property
    def tilted(self) -> Mixture:
        """The mixture of the E-step."""
        return replace(self.mixture, weights=np.exp(self.log_tilts))

    @property
    def divergence(self) -> float:
        """Kullback-Leibler divergence of the posterior from the prior."""
        return (
            self.priors.weights.divergence(self.counts)
            + self._divergence_of_means
            + self._divergence_of_precisions
        )

    @property
    def _divergence_of_means(self) -> float:
        """That of the means given the precisions, in expectation."""
        mixture, prior, d = self.mixture, self.priors.normal, self.mixture.n_features
        ratio = self.mean_precision / prior.shrinkage
        apart = mixture.means - prior.mean
        distances = (_whitened(mixture.covariance, apart) ** 2).sum(axis=1)
        terms = d * (np.log(ratio) - 1.0 + 1.0 / ratio) + prior.shrinkage * distances
        return float(0.5 * terms.sum())

    @property
    def _divergence_of_precisions(self) -> float:
        """That of the F precisions."""
        law, prior, d = self.priors.law, self.priors.normal, self.mixture.n_features
        covariance, degrees = self.mixture.covariance, self.degrees
        F, first = len(degrees), np.array([prior.rows])
        log_det = covariance.log_det[:F]
        expected = law.expected_log_det(degrees, d) - log_det
        traces = _traces(covariance, prior.scatter)
        before = law.log_normaliser(
            first, np.array([law.log_det_of_rate(prior.scatter, prior.rows)]), d
        )
        after = law.log_normaliser(degrees, log_det, d)
        terms = (degrees - prior.rows) * expected + traces - degrees * d
        return float((0.5 * terms + before - after).sum())

    # ---- the mixture -----------------------------------------------------------------------------

    @property
    def expected(self) -> Mixture:
        """The mixture of the expected weights and means, with the scales S_k as covariances."""
        return replace(self.mixture, weights=self.priors.weights.means(self.counts))

    @property
    def predictive(self) -> Mixture | None:
        """The density of a new row: t components, with their degrees of freedom.

        None for diagonal precisions, of which each column has a t density of its own
        (:meth:`log_predictive_of_columns`).
        """
        if isinstance(self.priors.law, ColumnGammas):
            return None
        mixture, d = self.mixture, self.mixture.n_features
        nu = np.broadcast_to(self.degrees, mixture.n_components)
        dense = isinstance(mixture.covariance, Dense)
        tails = nu + 1.0 - d if dense else d * nu
        scale = (nu / tails if dense else 1.0) * (1.0 + 1.0 / self.mean_precision)
        return replace(
            self.expected, covariance=mixture.covariance.scaled(scale), tails=np.asarray(tails)
        )

    def log_predictive_of_columns(self, rows: Rows) -> Array:
        """Log density (m,) of new rows where each column has a t density in each component.

        Missing entries (NaN) are left out.
        """
        expected, K = self.expected, self.mixture.n_components
        variances = expected.covariance.scaled(1.0 + 1.0 / self.mean_precision).values
        nu = np.broadcast_to(self.degrees, K)
        peaks = log_peak(nu, 1)
        with np.errstate(divide="ignore"):
            log_joint = np.tile(np.log(expected.weights), (len(rows), 1))
        for k in range(K):
            squared = (rows.astype(np.float64) - expected.means[k]) ** 2 / variances[k]
            falls = log_fall(squared.reshape(-1, 1), nu[[k]], 1).reshape(squared.shape)
            own = peaks[k] - 0.5 * np.log(variances[k]) + falls
            log_joint[:, k] += np.where(np.isnan(rows), 0.0, own).sum(axis=1)
        return log_density(log_joint)

    def draws(self, n: int, rng: np.random.Generator) -> Iterator[Mixture]:
        """n mixtures drawn from the posterior."""
        weights = self.priors.weights.draw(self.counts, n, rng)
        mixture, beta = self.mixture, self.mean_precision
        for own in weights:
            covariance = self.priors.law.draw(mixture.covariance, self.degrees, rng)
            normal = rng.standard_normal(mixture.means.shape) / np.sqrt(beta)[:, None]
            means = mixture.means + _coloured(covariance, normal)
            yield replace(mixture, weights=own, means=means, covariance=covariance)


@dataclass(frozen=True, eq=False, kw_only=True)
class Variational(Regularisation):
    """The priors as the regularisation of EM, whose objective then is the lower bound.

    Attributes
    ----------
    priors : Priors
    total : float
        The weight of all rows.
    """

    priors: Priors
    total: float

    averages: ClassVar[bool] = True

    def at_size(self, moments: Moments) -> Moments:
        """The moments of an E-step, of a sample as if it were all rows: as many components."""
        rate = self.total / moments.total
        return moments if abs(rate - 1.0) < SAME_SIZE else moments * rate

    def posterior(self, mixture: Mixture) -> Posterior:
        """The posterior that a mixture stands for."""
        return Posterior(mixture, self.priors, self.total)

    def in_use(self, mixture: Mixture) -> Mixture:
        """The components that have rows."""
        used = np.flatnonzero(mixture.weights * self.total >= EMPTY_BELOW)
        return mixture if len(used) == mixture.n_components else mixture.select(used)

    def filled(self, start: Moments | Mixture, K: int) -> Moments | Mixture:
        """A start of K components, of which some may be without rows, as the prior is."""
        missing = K - start.n_components
        if missing <= 0:
            return start
        about = np.tile(self.priors.normal.mean, (missing, 1))
        if isinstance(start, Moments):
            return start.beside_empty(about)
        covariance = _beside(
            start.covariance, self.priors.scale_of(type(start.covariance)), missing
        )
        weights = np.append(start.weights, np.zeros(missing))
        means = np.concatenate([start.means, about])
        return replace(start, weights=weights, means=means, covariance=covariance)

    def check(self, covariance: Covariance) -> Covariance:
        """The covariance itself: the prior keeps it regular.

        Raises
        ------
        CollapseError
            Where it is not finite.
        """
        finite = np.isfinite(covariance.values).reshape(len(covariance.values), -1).all(axis=1)
        if not finite.all():
            raise CollapseError(int(np.argmin(finite)))
        return covariance

    @property
    def is_tilted(self) -> bool:
        """True."""
        return True

    def tilted(self, mixture: Mixture) -> Mixture:
        """The mixture of the E-step."""
        return super().tilted(self.posterior(mixture).tilted)

    def penalty(self, mixture: Mixture) -> float:
        """The negative divergence of the posterior from the prior."""
        return -self.posterior(mixture).divergence


def _beside(covariance: Covariance, one: Array, n: int) -> Covariance:
    """Covariances with n more components of the stored covariance ``one``; shared ones stay."""
    K, values = covariance.n_components + n, covariance.values
    if not covariance.shared:
        values = np.concatenate([values, np.repeat(one, n, axis=0)])
    if isinstance(covariance, Spherical):
        return Spherical(values, K, covariance.n_features)
    return Diagonal(values, K) if isinstance(covariance, Diagonal) else Dense(values, K)


def _whitened(covariance: Covariance, vectors: Array) -> Array:
    """Vectors (K,d), one for each component, in units of its covariance."""
    whitener = covariance.whitener
    if isinstance(covariance, Dense):
        return np.asarray((whitener @ vectors[:, :, None])[:, :, 0])
    return np.asarray(vectors * (whitener[:, None] if whitener.ndim == 1 else whitener))


def _traces(covariance: Covariance, matrix: Array) -> Array:
    """``tr(Sigma^-1 M)`` (F,) of the stored covariances and a matrix (d,d)."""
    whitener = covariance.whitener
    if isinstance(covariance, Dense):
        return np.asarray(((whitener @ matrix) * whitener).sum(axis=(1, 2)))
    return np.asarray((np.diag(matrix) * np.atleast_2d(whitener.T).T ** 2).sum(axis=1))


def _coloured(covariance: Covariance, normal: Array) -> Array:
    """Standard normal vectors (K,d), one for each component, with its covariance."""
    if isinstance(covariance, Dense):
        roots = np.linalg.cholesky(covariance.values)
        roots = np.broadcast_to(roots, (len(normal), *roots.shape[1:]))
        return np.asarray(np.einsum("kij,kj->ki", roots, normal))
    values = covariance.values
    deviations = np.sqrt(values[:, None] if values.ndim == 1 else values)
    return np.asarray(normal * deviations)
