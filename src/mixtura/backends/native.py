"""The E-step in C++: one pass, fixed blocks of rows, any number of threads, always the same bits."""

from __future__ import annotations

import os

import numpy as np

from mixtura.arrays import Array
from mixtura.covariance import Covariance
from mixtura.extension import extension
from mixtura.mixture import Mixture
from mixtura.moments import Moments, Scatter
from mixtura.protocols import Block, Source

ROWS_WORTH_A_THREAD = 20_000
"""Below this, fits that run side by side use the processors better than threads that share the rows of one."""


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class NativeBackend:
    """C++ kernels; ``n_threads`` changes the time, never a bit of the result."""

    name = "native"

    def __init__(self, n_threads: int | None = None) -> None:
        self.n_threads = n_threads or processors()

    def moments(self, source: Source, mixture: Mixture, needs: Scatter) -> Moments:
        """Responsibilities and sums in one pass; see :class:`mixtura.protocols.Backend`."""
        total: Moments | None = None
        for block in source.blocks():
            part = Moments.zeros(mixture.means, needs)
            likelihoods = np.zeros(3)
            extension.e_step(
                block.rows,
                block.weights,
                np.ascontiguousarray(mixture.means),
                mixture.log_scale,
                _flat_whitener(mixture.covariance),
                needs.value,
                part.counts,
                part.first,
                part.second.reshape(-1),
                likelihoods,
                self.n_threads,
            )
            log_likelihood, entropy, certainty = map(float, likelihoods)
            part = Moments(part.about, part.counts, part.first, part.second, needs, log_likelihood, entropy, certainty)
            total = part if total is None else total + part
        return Moments.zeros(mixture.means, needs) if total is None else total

    def log_joint(self, block: Block, mixture: Mixture) -> Array:
        """``log weights_k + log N(x_i | k)`` as (m,K)."""
        out = np.empty((len(block.rows), mixture.n_components))
        extension.log_joint(
            block.rows,
            np.ascontiguousarray(mixture.means),
            mixture.log_scale,
            _flat_whitener(mixture.covariance),
            out,
            self.n_threads,
        )
        return out


def _flat_whitener(covariance: Covariance) -> Array:
    """The whitener as (K or 1, 1), (K or 1, d) or (K or 1, d*d): the width tells the kernel the form."""
    whitener = covariance.whitener
    return np.ascontiguousarray(whitener.reshape(whitener.shape[0], -1))
