"""The modes of a mixture: all local maxima of its density.

With the responsibilities ``r_k`` and precisions ``P_k = Sigma_k^-1`` a mode is a fixed point of

    x  <-  (sum_k r_k u_k P_k)^-1 sum_k r_k u_k P_k mu_k,

which never lowers the density (Carreira-Perpinan 2000, IEEE Transactions on Pattern Analysis and
Machine Intelligence 22:1318-1323); ``u_k`` is 1 for Gaussians and the pull of t components. All
modes lie on the ridge of the points ``(sum_k a_k P_k)^-1 sum_k a_k P_k mu_k`` with ``a`` in the
simplex (Ray & Lindsay 2005, Annals of Statistics 33:2042-2065), from which the iterations start: at
the means, between pairs and triples, and at random. There may be more modes than components.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mixtura.base.arrays import Array, Flags
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.kernel_densities import log_joint_of_complete
from mixtura.distribution.mixture_density import MixtureDensity, log_density, posterior
from mixtura.distribution.t_density import pulls

RANDOM_STARTS = 200

MOST_PAIRS = 1000
"""Pairs and triples of components between which a search starts."""

MOST_ROUNDS = 200

STEPS_TO_NEWTON = 10
"""Fixed-point steps between two of Newton's, which are the faster ones in a flat top."""

LAST_STEPS = 3

CELL = 1e-6
"""Points that are so near, in the least standard deviations, go on as one."""

STILL = 1e-9
"""Steps, in standard deviations of the nearest component, that end the fixed-point iteration."""

SAME = 1e-4
"""Modes that are so near, in standard deviations of the density about them, are the same."""


@dataclass(frozen=True, eq=False)
class Modes:
    """Local maxima of a density, the highest first.

    Attributes
    ----------
    points : (M, d)
    log_densities : (M,)
    """

    points: Array
    log_densities: Array

    @property
    def densities(self) -> Array:
        """Density at each mode (M,)."""
        return np.exp(self.log_densities)

    def __len__(self) -> int:
        return len(self.points)


@ignore_underflow
def modes(mixture: MixtureDensity) -> Modes:
    """All modes that are found from means, pairs, triples and random points of the ridge."""
    present = np.flatnonzero(mixture.weights > 0)
    if not len(present):  # all of it is noise, which is flat
        return Modes(np.zeros((0, mixture.n_features)), np.zeros(0))
    mixture = mixture.select(present)
    slopes = _Slopes.of(mixture)
    x = _climbed(slopes, _starts(slopes))
    for _ in range(LAST_STEPS):
        x = _polished(slopes, x)
    gradient, curvature = slopes.at(x)
    flattest = np.linalg.eigvalsh(-curvature)[:, 0]
    steps = np.abs(gradient).max(axis=1) if len(x) else np.zeros(0)
    scale = np.sqrt(np.abs(np.einsum("ijj->ij", curvature)).max(axis=1))
    kept = (flattest > 0) & (steps <= 1e-6 * scale)
    x, curvature = x[kept], curvature[kept]
    heights = log_density(mixture.log_joint(x))
    order = np.argsort(-heights, kind="stable")
    chosen: list[int] = []
    for i in order.tolist():
        apart = x[chosen] - x[i]
        if not (np.einsum("mi,ij,mj->m", apart, -curvature[i], apart) < SAME**2).any():
            chosen.append(i)
    return Modes(x[chosen], heights[chosen])


@dataclass(frozen=True, eq=False)
class _Slopes:
    """Derivatives of a log density: the mixture and the precisions (K,d,d) of its components."""

    mixture: MixtureDensity
    precisions: Array

    @classmethod
    def of(cls, mixture: MixtureDensity) -> _Slopes:
        """Those of the components; a noise term has no slope."""
        return cls(mixture, np.asarray(np.linalg.inv(mixture.covariance.dense())))

    def weighted(self, x: Array) -> tuple[Array, Array]:
        """Responsibilities (s,K), and times the pulls of t components."""
        mixture = self.mixture
        r = posterior(log_joint_of_complete(mixture, x), x, mixture)[:, : mixture.n_components]
        if mixture.tails is None:
            return r, r
        u = pulls(mixture.squared_distances(x), mixture.tails, mixture.n_features)
        return r, r * u

    def ridge(self, shares: Array) -> Array:
        """Points (s,d) where the slopes of components with these shares (s,K) cancel."""
        right = shares @ (self.precisions @ self.mixture.means[:, :, None])[:, :, 0]
        return np.asarray(np.linalg.solve(self.averages(shares), right[:, :, None])[:, :, 0])

    def averages(self, shares: Array) -> Array:
        """``sum_k shares_sk P_k`` (s,d,d)."""
        d = self.mixture.n_features
        return np.asarray((shares @ self.precisions.reshape(-1, d * d)).reshape(-1, d, d))

    def at(self, x: Array) -> tuple[Array, Array]:
        """Gradient (s,d) and Hessian (s,d,d) of the log density."""
        mixture, d = self.mixture, self.mixture.n_features
        r, weighted = self.weighted(x)
        u = np.divide(weighted, r, out=np.ones_like(r), where=r > 0)
        apart = (x[:, None] - mixture.means).swapaxes(0, 1)
        own = -u[:, :, None] * (apart @ self.precisions).swapaxes(0, 1)
        gradient = np.einsum("sk,ski->si", r, own)
        squares = r if mixture.tails is None else r * (1.0 + 2.0 / (mixture.tails + d))
        second = (own * squares[:, :, None]).swapaxes(1, 2) @ own - self.averages(weighted)
        return gradient, second - gradient[:, :, None] * gradient[:, None, :]


def _starts(slopes: _Slopes) -> Array:
    """Points of the ridge, and the means."""
    mixture = slopes.mixture
    K = mixture.n_components
    shares = [mixture.weights / mixture.weights.sum(), np.full(K, 1.0 / K)]
    for size in (2, 3):
        groups = list(combinations(range(K), size))
        for group in groups[:: max(1, len(groups) // MOST_PAIRS)]:
            for tilt in (0.25, 0.5, 0.75) if size == 2 else (1.0 / 3.0,):
                own = np.zeros(K)
                own[list(group)] = [tilt, 1.0 - tilt] if size == 2 else tilt
                shares.append(own)
    random = np.random.default_rng(0).dirichlet(np.full(K, 0.5), RANDOM_STARTS if K > 1 else 0)
    return np.concatenate([mixture.means, slopes.ridge(np.concatenate([np.stack(shares), random]))])


def _climbed(slopes: _Slopes, x: Array) -> Array:
    """Ends of the fixed-point iterations from points (s,d), each once."""
    variances = np.einsum("kjj->kj", slopes.mixture.covariance.dense())
    cell = CELL * np.sqrt(variances.min(axis=0))
    for _ in range(MOST_ROUNDS):
        for _ in range(STEPS_TO_NEWTON):
            r, weighted = slopes.weighted(x)
            step = slopes.ridge(weighted) - x
            x = x + step
        nearest = slopes.precisions[r.argmax(axis=1)]
        size = np.einsum("si,sij,sj->s", step, nearest, step)
        if (size <= STILL**2).all():
            break
        _, kept = np.unique(np.round(x / cell), axis=0, return_index=True)
        x = _polished(slopes, x[np.sort(kept)])
    return x


def _polished(slopes: _Slopes, x: Array) -> Array:
    """One step of Newton's method where it raises the density."""
    gradient, curvature = slopes.at(x)
    concave: Flags = np.linalg.eigvalsh(curvature)[:, -1] < 0
    rows = np.flatnonzero(concave)
    step = np.linalg.solve(curvature[rows], gradient[rows][:, :, None])[:, :, 0]
    new = x.copy()
    new[rows] -= step
    higher = log_density(slopes.mixture.log_joint(new)) >= log_density(slopes.mixture.log_joint(x))
    return np.where(higher[:, None], new, x)
