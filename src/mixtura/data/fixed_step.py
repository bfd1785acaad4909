"""The M-step with fixed parameters, around a family that does not know of them.

The complete-data objective is a sum of one term for the weights and one for means and covariances,
so each is maximised by itself:

    weights       the free ones share the rest (:meth:`mixtura.model.fixed.Fixed.weights_from`)
    means         where a whole mean is fixed, or axes are, the free entries are as without it
    covariances   the family sees the rows of the free ones, about the fixed means: the scatter is
                  ``W_k + n_k (m_k - mu_k)(m_k - mu_k)'`` for the mean m_k of the rows. What
                  components share is estimated from those whose covariance is free

Where a part of a mean is fixed and columns are correlated, its best free entries depend on the
covariance, and the covariance on them. Both are computed in turn until the means stay; each is a
maximum given the other (Meng & Rubin 1993, Biometrika 80:267-278).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.distribution.covariance import Covariance
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.model.fixed import Fixed
from mixtura.model.moments import Moments
from mixtura.model.protocols import Family
from mixtura.model.regularisation import Regularisation

MOST_TURNS, STILL = 200, 1e-12
"""Turns at most, and the change of a mean, in standard deviations, that ends them."""


def fixed_m_step(
    fixed: Fixed,
    family: Family,
    regularisation: Regularisation,
    moments: Moments,
    previous: Mixture | None,
    noise: Noise | None = None,
) -> Mixture:
    """The best mixture with the fixed parameters.

    Raises
    ------
    CollapseError
        When a free covariance is singular and the regularisation has no floor.
    """
    centres = regularisation.means(moments)
    before = previous.covariance if previous else None
    means = fixed.means_from(centres, before)
    covariance = _covariances(fixed, family, regularisation, moments, means, before)
    for _ in range(MOST_TURNS if fixed.has_part_of_a_mean.any() else 0):
        last, means = means, fixed.means_from(centres, covariance)
        deviations = np.sqrt(np.einsum("kjj->kj", covariance.dense()))
        if (np.abs(means - last) <= STILL * deviations).all():
            break
        covariance = _covariances(fixed, family, regularisation, moments, means, covariance)
    weights = (
        regularisation.weights(moments)
        if regularisation.equal_weights
        else fixed.weights_from(moments.counts, moments.noise)
    )
    left = max(0.0, 1.0 - float(weights.sum()))
    return Mixture(weights, means, covariance, noise and noise.with_weight(left))


def _covariances(
    fixed: Fixed,
    family: Family,
    regularisation: Regularisation,
    moments: Moments,
    means: Array,
    previous: Covariance | None,
) -> Covariance:
    """Fixed covariances, and the family's for the others."""
    free = np.flatnonzero(fixed.free_covariances)
    if not len(free):
        return fixed.covariance_from(None)
    seen = _about_fixed_means(fixed, moments, means, regularisation)
    if len(free) == fixed.n_components:
        return family.m_step(seen, previous, regularisation)
    try:
        before = None if previous is None else previous.select(free)
        return fixed.covariance_from(family.m_step(seen.select(free), before, regularisation))
    except CollapseError as collapse:
        raise CollapseError(int(free[collapse.component])) from None


def _about_fixed_means(
    fixed: Fixed, moments: Moments, means: Array, regularisation: Regularisation
) -> Moments:
    """Moments whose scatter is about the means of components with a fixed entry.

    The regularisation adds ``k n / (n + k)`` times the square of the distance from the prior's mean
    for k pseudo-rows, which is right for the best mean. About another mean it is k times.
    """
    held = fixed.has_fixed_mean
    if not held.any():
        return moments
    seen = moments.taken_about(np.where(held[:, None], means, moments.about))
    second, prior = seen.second, regularisation.prior
    if prior is not None and prior.shrinkage > 0:
        missing = np.where(held, prior.shrinkage**2 / (moments.pulled + prior.shrinkage), 0.0)
        second = second + moments.kind.of_vectors(missing, means - prior.mean)
    return replace(seen, first=np.where(held[:, None], 0.0, seen.first), second=second)
