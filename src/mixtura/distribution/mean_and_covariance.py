"""The mean and the covariance of mixtures, for one mixture or many with the same components."""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array
from mixtura.distribution.noise import Noise


def inflation(tails: Array) -> Array:
    """Covariance of t components over their scale matrix (K,): ``nu / (nu - 2)``.

    It is infinite up to 2 degrees of freedom, and not defined up to 1.
    """
    above = np.divide(tails, tails - 2.0, out=np.full_like(tails, np.inf), where=tails > 2.0)
    return np.where(tails > 1.0, above, np.nan)


def mean_of(
    weights: Array, means: Array, tails: Array | None, shares: Array | float, box: Noise | None
) -> Array:
    """``sum_k weights_k means_k`` (..., d), and the centre of the box by the share of the noise.

    Weights are (..., K), means (..., K, d). It is NaN where a t component has no mean.
    """
    mean = (weights[..., None, :] @ means)[..., 0, :]
    if tails is not None and bool((tails <= 1.0).any()):
        mean = np.full_like(mean, np.nan)
    return mean if box is None else mean + np.asarray(shares)[..., None] * box.centre


def covariance_of(
    weights: Array,
    means: Array,
    matrices: Array,
    factors: Array,
    mean: Array,
    shares: Array | float,
    box: Noise | None,
) -> Array:
    """``sum_k weights_k (factors_k Sigma_k + (mu_k - mu)(mu_k - mu)')`` (..., d, d).

    ``matrices`` (K, d, d) times ``factors`` (..., K) are the covariances of the components,
    ``mean`` (..., d) is that of the mixture.
    """
    apart = means - mean[..., None, :]
    with np.errstate(invalid="ignore"):  # infinite covariances of columns that are independent
        within = (weights * factors) @ matrices.reshape(len(matrices), -1)
    within = within.reshape(*within.shape[:-1], *matrices.shape[1:])
    total = within + np.swapaxes(apart * weights[..., None], -1, -2) @ apart
    if box is not None:
        off = box.centre - mean
        uniform = np.diag(np.exp(2.0 * box.log_sides) / 12.0)
        own = uniform + off[..., :, None] * off[..., None, :]
        total = total + np.asarray(shares)[..., None, None] * own
    return np.asarray(total)
