"""The E-step in C++: one pass, fixed blocks of rows, any number of threads, always the same
bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.errors import CollapseError
from mixtura.base.parallel import processors
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense
from mixtura.distribution.kernel_densities import described
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.kernels import native
from mixtura.model.moments import Moments
from mixtura.model.observation import Observation, check_tails
from mixtura.model.protocols import Block, Source

ROWS_WORTH_A_THREAD = 20_000
"""Below this, fits that run side by side use the processors better than threads that share the rows
of one.
"""


@dataclass(frozen=True)
class NativeBackend:
    """C++ kernels; ``n_threads`` changes the time, never a bit of the result.

    Attributes
    ----------
    n_threads : int or None
        None uses every processor.
    single : bool
        Products in float32, sums in float64; components too ill-conditioned for that are computed
        in float64 all the same. Good for the way to an optimum, not for what is reported of it
        (docs/decisions/0012).
    """

    n_threads: int | None = None
    single: bool = False
    name = "native"

    def reduced(self, source: Source) -> NativeBackend | None:
        """See :class:`mixtura.model.protocols.Backend`."""
        return (
            None
            if self.single or source.n_rows < ROWS_WORTH_A_THREAD or not source.is_complete
            else replace(self, single=True)
        )

    @property
    def threads(self) -> int:
        """Threads of a pass."""
        return self.n_threads or processors()

    def moments(self, source: Source, mixture: Mixture, needs: Scatter) -> Moments:
        """Responsibilities and sums in one pass; see :class:`mixtura.model.protocols.Backend`."""
        total: Moments | None = None
        for block in source.blocks():
            part = (self._moments if block.observation is None else self._observed_moments)(
                block, mixture, needs
            )
            total = part if total is None else total + part
        return Moments.zeros(mixture.means, needs) if total is None else total

    def _moments(self, block: Block, mixture: Mixture, needs: Scatter) -> Moments:
        """Those of a block of complete rows."""
        part, sums, pulled = Moments.zeros(mixture.means, needs), np.zeros(4), _pulled(mixture)
        native.e_step(
            block.rows,
            block.weights,
            *described(mixture),
            needs.value,
            part.counts,
            part.first,
            part.second.reshape(-1),
            sums,
            self.threads,
            *_savings(mixture),
            self.single,
            log_noise(mixture),
            mixture.tails,
            pulled,
        )
        return _with_sums(part, sums, pulled)

    def _observed_moments(self, block: Block, mixture: Mixture, needs: Scatter) -> Moments:
        """Those of a block of incomplete rows."""
        assert block.observation is not None
        seen = observed(block.observation, mixture, needs)
        kind = Scatter.DIAGONAL if seen.diagonal else Scatter.DENSE
        part, sums, pulled = Moments.zeros(mixture.means, kind), np.zeros(4), _pulled(mixture)
        seen.check(
            native.observed_moments(
                block.rows,
                block.weights,
                *seen.arguments,
                part.counts,
                part.first,
                part.second.reshape(-1),
                sums,
                self.threads,
                pulled,
            )
        )
        return _with_sums(part, sums, pulled).summarised(needs)

    def log_joint(self, block: Block, mixture: Mixture) -> Array:
        """``log weights_k + log N(x_i | k)`` as (m,K), and that of the noise."""
        out = np.empty((len(block.rows), mixture.n_components))
        if block.observation is None:
            native.log_joint(block.rows, *described(mixture), mixture.tails, out, self.threads)
        else:
            seen = observed(block.observation, mixture)
            seen.check(native.observed_log_joint(block.rows, *seen.arguments, out, self.threads))
        return out if mixture.noise is None else _with_noise(out, mixture.noise, block.observation)

    def completed(self, block: Block, mixture: Mixture, shares: Array) -> Array:
        """Expected complete rows (m,d); see :class:`mixtura.model.protocols.Backend`."""
        if block.observation is None:
            return block.rows.astype(np.float64)
        seen, out = observed(block.observation, mixture), np.empty(block.rows.shape)
        seen.check(
            native.completed_rows(
                block.rows, *seen.arguments, np.ascontiguousarray(shares), out, self.threads
            )
        )
        return out

    def shortcuts(self, block: Block, mixture: Mixture, needs: Scatter) -> dict[str, int]:
        """Which short cuts a pass takes (native/shortcuts.hpp), by name, and how many components
        float32 does not carry.
        """
        return native.shortcuts(
            block.rows, *described(mixture), needs.value, *_savings(mixture), self.single
        )


def _pulled(mixture: Mixture) -> Array | None:
    """Room for the sums of t components (3,K); None for Gaussians."""
    return None if mixture.tails is None else np.zeros((3, mixture.n_components))


def _with_sums(part: Moments, sums: Array, pulled: Array | None) -> Moments:
    """Moments with log-likelihood, entropy, certainty and the rows in the noise (4,).

    ``pulled`` (3,K) are the sums of t components.
    """
    log_likelihood, entropy, certainty, noise = sums.tolist()
    part = part.with_noise(noise).with_likelihoods(log_likelihood, entropy, certainty)
    return part if pulled is None else part.with_tails(*pulled)


def _with_noise(log_joint: Array, noise: Noise, observation: Observation | None) -> Array:
    """Log joint densities (m,K) with those of the noise as one more column."""
    own = np.empty((len(log_joint), 1))
    own[:, 0] = (
        noise.log_joint
        if observation is None
        else observation.log_noise(noise)[observation.numbers]
    )
    return np.hstack([log_joint, own])


def log_noise(mixture: Mixture) -> float:
    """Log joint density of the noise at every complete row; -inf where there is none."""
    return -inf if mixture.noise is None else mixture.noise.log_joint


@dataclass(frozen=True)
class _Observed:
    """A mixture and an observation as the kernels of incomplete rows read them."""

    arguments: tuple[
        Labels,
        Labels,
        Flags,
        Array | None,
        Array | None,
        Array,
        Array | None,
        Array,
        Array,
        Array | None,
    ]
    diagonal: bool

    def check(self, singular: int) -> None:
        """A :class:`CollapseError` where a covariance was singular."""
        if singular >= 0:
            raise CollapseError(singular)


def observed(
    observation: Observation, mixture: Mixture, needs: Scatter = Scatter.DIAGONAL
) -> _Observed:
    """How incomplete rows of a mixture were observed: the groups, weights, means, covariances.

    Diagonal covariances (K or 1, d) stay so where there are no errors, and where their moments
    need no more.
    """
    if mixture.tails is not None:
        check_tails(observation)
    covariance, d = mixture.covariance, mixture.n_features
    diagonal = observation.errors is None and needs in (Scatter.DIAGONAL, Scatter.TRACE)
    if diagonal and not isinstance(covariance, Dense):
        values = covariance.values
        values = np.repeat(values[:, None], d, axis=1) if values.ndim == 1 else values
    else:
        diagonal, values = False, covariance.dense()[: len(covariance.values)]
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.weights)
    arguments = (
        observation.order,
        observation.ends,
        observation.columns,
        observation.errors,
        observation.log_classes(mixture.n_components),
        log_weights,
        None if mixture.noise is None else observation.log_noise(mixture.noise),
        np.ascontiguousarray(mixture.means),
        np.ascontiguousarray(values.reshape(len(values), -1)),
        mixture.tails,
    )
    return _Observed(arguments, diagonal)


def _savings(mixture: Mixture) -> tuple[Array, Array | None]:
    """What a pass may save by: weights that sum to one (those of a ridge do not), and common axes
    where they are known.
    """
    axes = mixture.covariance.axes if isinstance(mixture.covariance, Dense) else None
    return (
        mixture.weights / mixture.weights.sum(),
        None if axes is None else np.ascontiguousarray(axes.T),
    )
