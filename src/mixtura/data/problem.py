"""The problem of a fit: a dataset, a covariance family and a regularisation, with both EM steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mixtura.data.dataset import Dataset
from mixtura.model.fit_result import FitResult
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments
from mixtura.model.noise import Noise
from mixtura.model.protocols import Family
from mixtura.model.regularisation import Regularisation


@dataclass(frozen=True, eq=False)
class Problem:
    """A likelihood to be maximised, with a penalty where there is one.

    Attributes
    ----------
    dataset : Dataset
        The rows, and the backend that reads them.
    family : Family
    regularisation : Regularisation
        Floor, ridge, prior, bound on the eigenvalues and equal weights.
    noise : Noise, optional
        The box of a noise term; every M-step estimates its weight.
    """

    dataset: Dataset
    family: Family
    regularisation: Regularisation
    noise: Noise | None = None

    def e_step(self, mixture: Mixture) -> Moments:
        """The moments of the responsibilities; with a ridge, under its tilted weights."""
        tilted = self.regularisation.tilted(mixture)
        return self.dataset.backend.moments(
            self.dataset.source_for(mixture.n_components), tilted, self.family.needs
        )

    def m_step(self, moments: Moments, previous: Mixture | None) -> Mixture:
        """The best mixture for these responsibilities.

        An iterated M-step begins at ``previous``.

        Raises
        ------
        CollapseError
            When a covariance is singular and the regularisation has no floor.
        """
        covariance = self.family.m_step(
            moments, previous.covariance if previous else None, self.regularisation
        )
        noise = self.noise and self.noise.with_weight(moments.noise / moments.total)
        return Mixture(
            self.regularisation.weights(moments),
            self.regularisation.means(moments),
            covariance,
            noise,
        )

    def continued(self, fit: FitResult) -> FitResult:
        """A fit of other rows as a start of this problem: its noise is over this box."""
        noise = fit.mixture.noise
        if self.noise is None or noise is None:
            return fit
        mixture = replace(fit.mixture, noise=self.noise.with_weight(noise.weight))
        return replace(fit, mixture=mixture)

    def objective(self, moments: Moments, mixture: Mixture) -> float:
        """Log-likelihood plus penalty, the objective of EM.

        ``moments`` are of the E-step at the mixture.
        """
        return moments.log_likelihood + self.regularisation.penalty(mixture)

    def n_parameters(self, K: int) -> int:
        """Free parameters of K components, and one for the weight of a noise term.

        (mclust also counts the volume, which is not estimated by the likelihood.)
        """
        fixed_weights = K - 1 if self.regularisation.equal_weights else 0
        own = self.family.n_parameters(K, self.dataset.source.n_features) - fixed_weights
        return own + (self.noise is not None)

    def with_data(self, dataset: Dataset) -> Problem:
        """The same model for other rows."""
        return replace(self, dataset=dataset)
