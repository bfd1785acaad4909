"""The density of a t component.

With the squared distance ``D = (x - mu)' Sigma^-1 (x - mu)`` of d observed columns, a t component
with ``nu`` degrees of freedom has the log density

    peak(nu, d) - log det Sigma / 2 - (nu + d) / 2  log(1 + D / nu),

    peak(nu, d) = log Gamma((nu + d) / 2) - log Gamma(nu / 2) - d / 2  log(pi nu).

It is a Gaussian ``N(mu, Sigma / U)`` whose U has a Gamma distribution with mean 1. Given the row,
the mean of U is the pull ``u = (nu + d) / (nu + D)`` of the row on the component's mean and scale
matrix (Peel & McLachlan 2000, Statistics and Computing 10:339-348): near rows pull with up to
``1 + d / nu``, distant ones with nearly 0.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln

from mixtura.base.arrays import Array, Labels

FARTHEST = 1e290
"""Squared distances are at most this: the density of a distant row keeps its logarithm."""


def log_peak(tails: Array, d: int) -> Array:
    """Log density (K,) at the mean for ``Sigma = I``."""
    if d == 0:
        return np.zeros_like(tails)
    half = 0.5 * d
    ratio = gammaln(half) - betaln(0.5 * tails, half)  # log Gamma((nu + d)/2) - log Gamma(nu/2)
    return np.asarray(ratio - half * np.log(np.pi * tails))


def log_fall(squared: Array, tails: Array | float, d: int | Labels) -> Array:
    """Log density minus that at the mean (m,K), at squared distances (m,K)."""
    return np.asarray(-0.5 * (tails + d) * np.log1p(np.minimum(squared, FARTHEST) / tails))


def pulls(squared: Array, tails: Array | float, d: int | Labels) -> Array:
    """Expected weights u of rows in each component (m,K), at squared distances (m,K)."""
    return np.asarray((tails + d) / (tails + np.minimum(squared, FARTHEST)))
