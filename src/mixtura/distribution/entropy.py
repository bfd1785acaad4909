"""The entropy of a mixture.

With Z the component of a row, ``H(X) = H(Z) + sum_k weights_k H_k - H(Z | X)``. The entropies
``H_k`` of Gaussians, t components and the noise are known; only ``H(Z | X)``, the mean entropy of
the memberships, is an estimate from random rows. It is 0 for one component, and nearly so for
components that are far apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import digamma, entr

from mixtura.base.arrays import Array
from mixtura.distribution.estimate import Draws, Estimate
from mixtura.distribution.mixture_density import LOG_2PI, MixtureDensity, posterior
from mixtura.distribution.points import log_joint_in_box
from mixtura.distribution.t_density import log_peak


def entropies_of_components(mixture: MixtureDensity) -> Array:
    """Differential entropies (K,) in nats."""
    d, half_log_det = mixture.n_features, 0.5 * mixture.covariance.log_det
    if mixture.tails is None:
        return np.asarray(0.5 * d * (1.0 + LOG_2PI) + half_log_det)
    half = 0.5 * (mixture.tails + d)
    fall = half * (digamma(half) - digamma(0.5 * mixture.tails))
    return np.asarray(half_log_det - log_peak(mixture.tails, d) + fall)


def entropy(mixture: MixtureDensity, n: int, random_state: Any) -> Estimate:
    """Differential entropy in nats."""
    noise = mixture.noise
    known = float(entr(mixture.weights).sum() + mixture.weights @ entropies_of_components(mixture))
    if noise is not None:
        known += float(entr(noise.weight)) + noise.weight * noise.log_volume
    if mixture.n_components == 1 and noise is None:
        return Estimate(known)
    draws = Draws.of(mixture, n, random_state)
    shares = posterior(log_joint_in_box(mixture, draws.rows), draws.rows, mixture)
    left = draws.mean(entr(shares).sum(axis=1))
    return Estimate(known - left.value, left.standard_error)
