"""The E-step as the lesson writes it, in NumPy: slow, obvious, and the oracle for every other
backend.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixtura.base.arrays import Array
from mixtura.model.mixture import Mixture, log_density
from mixtura.model.moments import Moments, Scatter
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
        """``log weights_k + log N(x_i | k)`` as (m,K)."""
        return mixture.log_joint(block.rows)


def _moments_of(block: Block, mixture: Mixture, needs: Scatter) -> Moments:
    """The lesson's E-step on one block. A row that is out of every component's reach is shared
    evenly.
    """
    log_joint = mixture.log_joint(block.rows)
    log_p = log_density(log_joint)
    lost = ~np.isfinite(log_p)
    with np.errstate(invalid="ignore"):
        r = np.exp(log_joint - log_p[:, None])
    r[lost] = 1.0 / mixture.n_components
    w = np.ones(len(r)) if block.weights is None else block.weights
    with np.errstate(divide="ignore"):
        log_r = np.where(r > 0, np.log(r), 0.0)
    return replace(
        Moments.of(block.rows, r * w[:, None], mixture.means, needs),
        log_likelihood=float(w @ log_p),
        entropy=float(-w @ (r * log_r).sum(axis=1)),
        certainty=float(w @ np.log(r.max(axis=1))),
    )
