"""Components that are exact copies of each other, which EM cannot separate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.distribution.mixture import Mixture

COPY_DISTANCE = 1e-6
"""Two components are copies where their means, in standard deviations, their covariances, in
products of standard deviations, and the reciprocals of their degrees of freedom differ by less.
"""


def copies_of(mixture: Mixture) -> dict[int, int]:
    """Exact copies of an earlier component, each with the number of that one."""
    values = mixture.covariance.values
    spreads = np.einsum("kjj->kj", values) if values.ndim == 3 else values.reshape(len(values), -1)
    deviations = np.sqrt(np.broadcast_to(spreads, mixture.means.shape))
    one, other = _pairs(mixture.n_components)
    near = (
        np.abs(mixture.means[other] - mixture.means[one]) < COPY_DISTANCE * deviations[one]
    ).all(axis=1)
    if not near.any():
        return {}
    dense = mixture.covariance.dense()
    one, other = one[near], other[near]
    unlike = np.abs(dense[other] - dense[one]) / (
        deviations[one][:, :, None] * deviations[one][:, None, :]
    )
    alike = unlike.max(axis=(1, 2)) < COPY_DISTANCE
    if mixture.tails is not None:
        alike &= np.abs(1.0 / mixture.tails[other] - 1.0 / mixture.tails[one]) < COPY_DISTANCE
    return {int(k): int(one[alike][other[alike] == k].min()) for k in np.unique(other[alike])}


@lru_cache(maxsize=64)
def _pairs(K: int) -> tuple[Labels, Labels]:
    """All pairs of K components, the first below the second."""
    one, other = np.triu_indices(K, 1)
    return one, other
