"""Credible intervals: quantiles of draws from a variational posterior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.base.arrays import Array, Rows
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.inference.uncertainty import (
    NUMBERS_AT_ONCE,
    Interval,
    MembershipIntervals,
    Parameters,
    tail_probabilities,
)


def quantiles_of_draws(draws: Sequence[Mixture], family: str, level: float) -> Interval:
    """The equal-tailed interval of each parameter."""
    stacked = Parameters.stacked([Parameters.of(draw, family) for draw in draws])
    low, high = (
        stacked.each(lambda values, q=q: _quantile(values, q)) for q in tail_probabilities(level)
    )
    return Interval(level, low, high)


def membership_quantiles(
    rows: Rows, probability: Array, draws: Sequence[Mixture], level: float
) -> MembershipIntervals:
    """The equal-tailed interval of the probability of each component at each row.

    ``probability`` (n,K) are the estimates.
    """
    n, K = probability.shape
    low, high = np.empty((n, K)), np.empty((n, K))
    step = max(1, NUMBERS_AT_ONCE // (len(draws) * K))
    for begin in range(0, n, step):
        part = rows[begin : begin + step]
        shares = np.stack([posterior(draw.log_joint(part), part, draw) for draw in draws])
        for ends, q in zip((low, high), tail_probabilities(level), strict=True):
            ends[begin : begin + step] = _quantile(shares, q)
    return MembershipIntervals(level, probability, low, high)


def _quantile(values: Array, q: float) -> Array:
    """A quantile over the first axis."""
    return np.asarray(np.quantile(values, q, axis=0))
