"""The E-step in C++: one pass, fixed blocks of rows, any number of threads, always the same bits."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mixtura.arrays import Array
from mixtura.covariance import Dense
from mixtura.extension import extension
from mixtura.mixture import Mixture
from mixtura.moments import Moments, Scatter
from mixtura.protocols import Block, Source

WORTH_TURNING = 3
"""Components from which on turning the rows once costs less than a triangular product for each component."""

FAR = 1e3
"""Standard deviations between a component and the origin up to which whitening rows before they are centred, and not after, loses
three of sixteen digits at most."""

NARROW = 1e6
"""Ratio of variances up to which the variances along given axes are those of the matrix to ten digits."""

FAR_POOLED = 30.0
"""The same distance for scatter about the origin: its square, a thousand, is what cancels."""

FAR_SINGLE = 1e3
CORRELATED_SINGLE = 100.0
"""Float32 has 24 bits. A row that is ``FAR_SINGLE`` standard deviations from the origin keeps four digits of its distance, and a
matrix whose whitening cancels by ``CORRELATED_SINGLE`` keeps three digits of its smallest eigenvalue. Components beyond are computed
in float64."""


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class NativeBackend:
    """C++ kernels; ``n_threads`` changes the time, never a bit of the result.

    Attributes
    ----------
    n_threads : int or None
        None uses every processor.
    single : bool
        Products in float32 where the rows are float32, sums in float64; components too ill-conditioned for that are computed in
        float64 all the same. Good for the way to an optimum, not for what is reported of it (docs/decisions/0012).
    """

    n_threads: int | None = None
    single: bool = False
    name = "native"

    @property
    def threads(self) -> int:
        """Threads of a pass."""
        return self.n_threads or processors()

    def hurried(self, source: Source) -> NativeBackend | None:
        """See :class:`mixtura.protocols.Backend`."""
        if self.single or any(block.rows.dtype != np.float32 for block in source.blocks()):
            return None
        return replace(self, single=True)

    def moments(self, source: Source, mixture: Mixture, needs: Scatter) -> Moments:
        """Responsibilities and sums in one pass; see :class:`mixtura.protocols.Backend`."""
        problem = _Problem(mixture, needs)
        plain, single = problem.arguments(), None
        total: Moments | None = None
        for block in source.blocks():
            arguments = plain
            if self.single and block.rows.dtype == np.float32:
                arguments = single = single or problem.single_arguments()
            part = Moments.zeros(mixture.means, needs)
            likelihoods = np.zeros(3)
            extension.e_step(
                block.rows,
                block.weights,
                scatter=needs.value,
                counts=part.counts,
                first=part.first,
                second=part.second.reshape(-1),
                likelihoods=likelihoods,
                threads=self.threads,
                **arguments,
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
            _flat(mixture.covariance.whitener),
            out,
            self.threads,
        )
        return out


@dataclass(frozen=True, eq=False)
class _Problem:
    """What a kernel is told about a mixture, and which short cuts its numbers allow."""

    mixture: Mixture
    needs: Scatter

    def arguments(self) -> dict[str, Any]:
        """Products in float64."""
        shortcuts: dict[str, Any] = {"shares": self.shares, "pooled": self.may_pool, "origin": self.origin}
        return self.plain | shortcuts | (self.turned or {})

    def single_arguments(self) -> dict[str, Any]:
        """Products in float32 for the components that bear them; float64 if none does."""
        far, correlated = self.conditioning
        ill = (far > FAR_SINGLE) | (correlated > CORRELATED_SINGLE)
        if self.mixture.n_components == 1 or ill.all():
            return self.arguments()
        if not ill.any():
            return self.arguments() | {"single_products": True}
        shortcuts = {"shares": self.shares, "origin": self.origin, "single_products": True, "ill_conditioned": ill}
        return self.plain | shortcuts

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Means, levels and whiteners."""
        mixture = self.mixture
        return {
            "means": np.ascontiguousarray(mixture.means),
            "log_scale": mixture.log_scale,
            "whitener": _flat(mixture.covariance.whitener),
        }

    @property
    def shares(self) -> Array | None:
        """Weights that sum to one; those of a ridge do not."""
        return self.mixture.weights / self.mixture.weights.sum() if self.mixture.n_components > 1 else None

    @cached_property
    def origin(self) -> Array:
        """A point amid the components (d,), the same in float32."""
        weights = self.mixture.weights
        point = weights @ self.mixture.means / weights.sum()
        limit = float(np.finfo(np.float32).max)
        return np.asarray(np.clip(point, -limit, limit).astype(np.float32).astype(np.float64))

    # ---- one turn for all components ---------------------------------------------------------------------------

    @cached_property
    def turned(self) -> dict[str, Any] | None:
        """The axes that all components share, with their whiteners and means along them, where that loses no digits."""
        mixture, covariance = self.mixture, self.mixture.covariance
        if not isinstance(covariance, Dense) or mixture.n_components < WORTH_TURNING:
            return None
        if covariance.shared:
            turn, whitener = covariance.whitener[0], np.ones((1, 1))
        elif covariance.axes is not None:
            turn = covariance.axes.T
            spreads = np.einsum("ji,kjl,li->ki", covariance.axes, covariance.values, covariance.axes, optimize=True)
            if not (spreads.min(axis=1) * NARROW > spreads.max(axis=1)).all():
                return None
            whitener = np.ascontiguousarray(1.0 / np.sqrt(spreads))
        else:
            return None
        means = (mixture.means - self.origin) @ turn.T
        if not np.square(means * whitener).sum(axis=1).max() <= FAR**2:
            return None
        return {"turn": np.ascontiguousarray(turn), "turned_means": np.ascontiguousarray(means), "whitener": whitener}

    @property
    def may_pool(self) -> bool:
        """Whether the total scatter may be taken about the origin first."""
        covariance = self.mixture.covariance
        if self.needs is not Scatter.TOTAL or not isinstance(covariance, Dense) or not covariance.shared:
            return False
        return bool(np.square(covariance.whiten(0, self.mixture.means - self.origin)).sum(axis=1).max() <= FAR_POOLED**2)

    # ---- float32 -----------------------------------------------------------------------------------------------

    @property
    def conditioning(self) -> tuple[Array, Array]:
        """Per component (K,): its distance from the origin in standard deviations, and how much its whitening cancels (1: nothing).

        The largest row sums of ``|W| |mean - origin|`` and ``|W| s``, with the standard deviations s of the columns.
        """
        covariance, away = self.mixture.covariance, np.abs(self.mixture.means - self.origin)
        whitener = np.abs(covariance.whitener)
        if not isinstance(covariance, Dense):
            return np.asarray((away * whitener.reshape(len(whitener), -1)).max(axis=1)), np.ones(len(away))
        deviations = np.sqrt(np.einsum("kjj->kj", covariance.values))
        far = np.einsum("kij,kj->ki", np.broadcast_to(whitener, (len(away), *whitener.shape[1:])), away).max(axis=1)
        correlated = np.einsum("kij,kj->ki", whitener, deviations).max(axis=1)
        return far, np.broadcast_to(correlated, len(away))


def _flat(whitener: Array) -> Array:
    """The whitener as (K or 1, 1), (K or 1, d) or (K or 1, d*d): the width tells the kernel the form."""
    return np.ascontiguousarray(whitener.reshape(whitener.shape[0], -1))
