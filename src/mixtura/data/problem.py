"""The problem of a fit, with both EM steps: a dataset, a covariance family, a regularisation, and
fixed parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.fixed_step import fixed_m_step
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.model.fit_result import FitResult
from mixtura.model.fixed import Fixed
from mixtura.model.moments import Moments
from mixtura.model.protocols import Family
from mixtura.model.regularisation import Regularisation
from mixtura.model.tails import TailRule


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
    fixed : Fixed, optional
        Parameters that are held at given values.
    tails : TailRule, optional
        How the degrees of freedom of t components are chosen; None for Gaussians.
    """

    dataset: Dataset
    family: Family
    regularisation: Regularisation
    noise: Noise | None = None
    fixed: Fixed | None = None
    tails: TailRule | None = None

    def e_step(self, mixture: Mixture) -> Moments:
        """The moments of the responsibilities; with a ridge, under its tilted weights."""
        tilted = self.regularisation.tilted(mixture)
        moments = self.dataset.backend.moments(
            self.dataset.source_for(mixture.n_components), tilted, self.family.needs
        )
        moments = self.regularisation.at_size(moments)
        if self.tails is not None and self.tails.given is not None:  # these sums tell nothing
            return replace(moments, tail_sums=None, tail_information=None)
        return moments

    def m_step(self, moments: Moments, previous: Mixture | None) -> Mixture:
        """The best mixture for these responsibilities.

        An iterated M-step begins at ``previous``.

        Raises
        ------
        CollapseError
            When a covariance is singular and the regularisation has no floor.
        """
        fixed = self.fixed_of(moments.n_components)
        tails = None if self.tails is None else self.tails.m_step(moments)
        if fixed is not None:
            settings = (fixed, self.family, self.regularisation)
            return replace(fixed_m_step(*settings, moments, previous, self.noise), tails=tails)
        covariance = self.family.m_step(
            moments, previous.covariance if previous else None, self.regularisation
        )
        noise = self.noise and self.noise.with_weight(moments.noise / moments.total)
        return Mixture(
            self.regularisation.weights(moments),
            self.regularisation.means(moments),
            covariance,
            noise,
            tails,
        )

    def adapted(self, mixture: Mixture) -> Mixture:
        """A given mixture with components of the law that is fitted, and with the fixed values."""
        mixture = self.imposed(mixture)
        if self.tails is None:
            return mixture if mixture.tails is None else replace(mixture, tails=None)
        if mixture.tails is None or self.tails.given is not None:
            return replace(mixture, tails=self.tails.first(mixture.n_components))
        return mixture

    def cautious(self, moments: Moments, previous: Mixture, proposed: Mixture) -> Mixture | None:
        """The mixture of an M-step with the degrees of freedom of EM, which never lower the
        objective; None where they are what was proposed.

        ``moments`` are of the E-step at ``previous``.
        """
        if self.tails is None or previous.tails is None or proposed.tails is None:
            return None
        tails = self.tails.cautious(moments, previous.tails)
        unchanged = np.array_equal(tails, proposed.tails)
        return None if unchanged else replace(proposed, tails=tails)

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

    # ---- fixed parameters ------------------------------------------------------------------------

    @property
    def fewest_components(self) -> int:
        """The least number of components that known classes and fixed parameters allow."""
        fewest = 1 if self.fixed is None else self.fixed.fewest(self.noise is not None)
        return max(fewest, self.dataset.n_classes)

    def fixed_of(self, K: int) -> Fixed | None:
        """The fixed parameters of K components, which may be some free ones less."""
        return None if self.fixed is None else self.fixed.of_size(K)

    def matched(self, moments: Moments) -> Moments:
        """A start whose components are in the places of the fixed ones that they resemble."""
        fixed = self.fixed_of(moments.n_components)
        if fixed is None:
            return moments
        return moments.select(self._places(fixed, moments))

    def _places(self, fixed: Fixed, moments: Moments) -> Labels:
        """Where the components of a start belong; those of known classes are in their places."""
        dataset = self.dataset
        return fixed.matched(moments, dataset.row_weight, dataset.scale, dataset.n_classes)

    def imposed(self, mixture: Mixture) -> Mixture:
        """A start with the fixed values; a mixture that has them already is returned as it is."""
        fixed = self.fixed_of(mixture.n_components)
        if fixed is None or fixed.holds_in(mixture):
            return mixture
        moments = _expected_moments(mixture, self.dataset.total)
        return self.with_fixed_values(mixture.select(self._places(fixed, moments)))

    def with_fixed_values(self, mixture: Mixture) -> Mixture:
        """A mixture with the fixed values of the same components in place of its own."""
        if self.fixed is None:
            return mixture
        moments = _expected_moments(mixture, self.dataset.total)
        return self.m_step(moments.summarised(self.family.needs), mixture)

    def in_place(self, order: Labels) -> Labels:
        """An order of the components (K,) in which those with an identity keep their places.

        These are known classes, components with fixed parameters, and those with different given
        degrees of freedom.
        """
        places = np.arange(len(order))
        held = places < self.dataset.n_classes
        if (fixed := self.fixed_of(len(order))) is not None:
            held |= fixed.constrained
        if self.tails is not None and self.tails.names_components:
            held[:] = True
        places[~held] = [k for k in order if not held[k]]
        return places

    def n_parameters(self, K: int) -> int:
        """Free parameters of K components, and one for the weight of a noise term.

        (mclust also counts the volume, which is not estimated by the likelihood.)
        """
        d, equal = self.dataset.source.n_features, self.regularisation.equal_weights
        noisy = self.noise is not None
        tails = 0 if self.tails is None else self.tails.n_parameters(K)
        return tails + n_free_parameters(self.family, K, d, equal, self.fixed_of(K), noisy)

    def with_data(self, dataset: Dataset) -> Problem:
        """The same model for other rows."""
        return replace(self, dataset=dataset)


def _expected_moments(mixture: Mixture, total: float) -> Moments:
    """The moments of so many rows that are distributed like the mixture."""
    counts, centred = total * mixture.weights, np.zeros_like(mixture.means)
    scatter = counts[:, None, None] * mixture.covariance.dense()
    noise = 0.0 if mixture.noise is None else total * mixture.noise.weight
    return Moments(mixture.means, counts, centred, scatter, Scatter.DENSE, noise=noise)


def n_free_parameters(
    family: Family,
    K: int,
    d: int,
    equal_weights: bool = False,
    fixed: Fixed | None = None,
    noisy: bool = False,
) -> int:
    """Free parameters of K components: weights, means and covariances that are not fixed.

    A noise term adds its weight.
    """
    if fixed is None:
        return family.n_parameters(K, d) - (K - 1 if equal_weights else 0) + noisy
    free = int(fixed.free_covariances.sum())
    of_covariances = family.n_parameters(free, d) - (free - 1) - free * d if free else 0
    of_weights = int(noisy) if equal_weights else max(fixed.n_parts + noisy - 1, 0)
    return of_weights + int(fixed.free_means.sum()) + of_covariances
