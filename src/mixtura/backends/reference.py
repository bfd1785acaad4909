"""The E-step as the lesson writes it, in NumPy: slow, obvious, and the oracle for every other
backend.
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.scatter import Scatter
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.model.moments import Moments
from mixtura.model.observation import completed, log_joint_of, moments_of, moments_of_complete
from mixtura.model.protocols import Block, Source

ROWS_AT_ONCE = 4096


class ReferenceBackend:
    """NumPy, one thread."""

    name = "reference"
    threads = 1

    def moments(self, source: Source, mixture: Mixture, needs: Scatter) -> Moments:
        """Responsibilities under the mixture, then sums; see
        :class:`mixtura.model.protocols.Backend`.
        """
        total = Moments.zeros(mixture.means, needs)
        for block in source.blocks():
            for part in block.cut(ROWS_AT_ONCE):
                total = total + _moments_of(part, mixture, needs)
        return total

    def reduced(self, source: Source) -> None:
        """Nothing is faster here."""

    def log_joint(self, block: Block, mixture: Mixture) -> Array:
        """``log weights_k + log N(x_i | k)`` as (m,K), and that of the noise."""
        return _log_joint(block, mixture)

    def completed(self, block: Block, mixture: Mixture, shares: Array) -> Array:
        """Expected complete rows (m,d); see :class:`mixtura.model.protocols.Backend`."""
        if block.observation is None:
            return block.rows.astype(np.float64)
        return completed(block.rows, block.observation, mixture, shares)


def _log_joint(block: Block, mixture: Mixture) -> Array:
    if block.observation is None:
        return mixture.log_joint(block.rows)
    return log_joint_of(block.rows, block.observation, mixture)


def _moments_of(block: Block, mixture: Mixture, needs: Scatter) -> Moments:
    """The lesson's E-step on one block. A row that is out of every component's reach is shared
    evenly.
    """
    log_joint = _log_joint(block, mixture)
    log_p = log_density(log_joint)
    lost = ~np.isfinite(log_p)
    with np.errstate(invalid="ignore"):
        r = np.exp(log_joint - log_p[:, None])
    K = mixture.n_components
    r[lost] = 0.0
    r[lost, :K] = 1.0 / K
    w = np.ones(len(r)) if block.weights is None else block.weights
    with np.errstate(divide="ignore"):
        log_r = np.where(r > 0, np.log(r), 0.0)
    weighted = r[:, :K] * w[:, None]
    moments = (
        moments_of_complete(block.rows, mixture, weighted, needs)
        if block.observation is None
        else moments_of(block.rows, block.observation, mixture, weighted).summarised(needs)
    )
    return moments.with_noise(float(w @ r[:, K:].sum(axis=1))).with_likelihoods(
        float(w @ log_p),
        float(-w @ (r * log_r).sum(axis=1)),
        float(w @ np.log(r.max(axis=1))),
    )
