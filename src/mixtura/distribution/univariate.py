"""Mixtures of one column: distribution function and quantiles, for one or many at once.

A quantile x of p <= 1/2 is the root of ``log(F(x) / p)``; one of p > 1/2 is minus the quantile of
1 - p of the mixture of -x, so that both tails keep their digits. Components that lie below x enter
``F(x) - p`` by their upper tails: the sum is then exact between two components that are far apart,
too.

With ``Q_k`` the quantiles of the components, the quantile lies between the least and the largest
``Q_k(p)``, and below each ``Q_k(p / weights_k)``, since ``F >= weights_k F_k``. Newton's method
starts at this bound, which a single component attains in the tails, and bisects where it would
leave the bracket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from mixtura.base.arrays import Array
from mixtura.base.given_numbers import numbers_from
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.t_density import log_fall, log_peak

MOST_STEPS = 200
"""Newton's method takes about ten; bisection alone 64 and the binary digits of a wide bracket."""

PATIENCE = 4
"""Newton steps in which the bracket must halve; else it is halved."""

NUMBERS_AT_ONCE = 2**17
"""Quantiles that are sought at a time."""

POWER_LAW = 1e10
"""From so many scale units times the degrees of freedom on, a tail of t is its power law to the
last digit, whose terms SciPy's functions overflow.
"""

EPSILON = float(np.finfo(np.float64).eps)


# ---- one component -------------------------------------------------------------------------------


def lower_tail(z: Array, tails: Array | None) -> Array:
    """``P(Z <= z)`` of standard Gaussians, or of standard t with degrees of freedom (K,)."""
    if tails is None:
        return np.asarray(ndtr(z))
    far = z < -POWER_LAW * np.maximum(tails, 1.0)
    near = stdtr(tails, np.where(far, 0.0, z))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.exp(_log_power(tails) - tails * np.log(np.where(far, -z, 1.0)))
    return np.where(far, power, near)


def standard_quantile(p: Array, tails: Array | None) -> Array:
    """The z with ``P(Z <= z) = p``."""
    if tails is None:
        return np.asarray(ndtri(p))
    with np.errstate(divide="ignore", over="ignore"):
        far = -np.exp((_log_power(tails) - np.log(p)) / tails)
    beyond = far < -POWER_LAW * np.maximum(tails, 1.0)
    return np.where(beyond, far, stdtrit(tails, np.where(beyond, 0.5, p)))


def _log_power(tails: Array) -> Array:
    """Logarithm of C in the tail ``C |z|^-nu`` of standard t components (K,)."""
    return np.asarray(log_peak(tails, 1) + 0.5 * (tails - 1.0) * np.log(tails))


# ---- the mixture ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Univariate:
    """Mixtures of one column.

    Attributes
    ----------
    weights, means, scales : (..., K)
    tails : (K,), optional
        Degrees of freedom; None for Gaussians.
    noise : (...)
        Weights of a uniform density; 0 for none.
    low, high : float
        Ends of its interval.
    """

    weights: Array
    means: Array
    scales: Array
    tails: Array | None
    noise: Array
    low: float
    high: float

    @property
    def reflected(self) -> Univariate:
        """The mixtures of -x."""
        return replace(self, means=-self.means, low=-self.high, high=-self.low)

    @property
    def each(self) -> Univariate:
        """The mixtures (m, 1, K), to be evaluated at several points (m, Q) each."""
        return replace(
            self,
            weights=self.weights[:, None],
            means=self.means[:, None],
            scales=self.scales[:, None],
            noise=self.noise[:, None],
        )

    @ignore_underflow
    def cdf(self, x: Array) -> Array:
        """``P(X <= x)``; x has the shape of the mixtures, or one that broadcasts with it."""
        below = lower_tail((x[..., None] - self.means) / self.scales, self.tails)
        return np.asarray((self.weights * below).sum(axis=-1) + self.noise * self._share_below(x))

    def sf(self, x: Array) -> Array:
        """``P(X > x)``, with all digits where it is small."""
        return self.reflected.cdf(-x)

    @ignore_underflow
    def pdf(self, x: Array) -> Array:
        """Density; that of the noise counts within its interval."""
        squared = ((x[..., None] - self.means) / self.scales) ** 2
        if self.tails is None:
            own = np.exp(-0.5 * squared) / np.sqrt(2.0 * np.pi)
        else:
            own = np.exp(log_peak(self.tails, 1) + log_fall(squared, self.tails, 1))
        inside = (x >= self.low) & (x <= self.high)
        noise = np.where(inside, self.noise / (self.high - self.low), 0.0)
        return np.asarray((self.weights * own / self.scales).sum(axis=-1) + noise)

    def ppf(self, q: Array) -> Array:
        """The x with ``P(X <= x) = q``, to the last digits of q or of 1 - q; -inf for 0, inf for 1.

        q has the shape of the mixtures, or one that broadcasts with it.
        """
        shape = np.broadcast_shapes(q.shape, self.noise.shape)
        flat = self._flat(shape)
        wanted = np.broadcast_to(q, shape).ravel()
        found = np.empty(wanted.shape)
        for begin in range(0, len(wanted), NUMBERS_AT_ONCE):
            part = slice(begin, begin + NUMBERS_AT_ONCE)
            found[part] = flat._take(part)._both_tails(wanted[part])
        return found.reshape(shape)

    @ignore_underflow
    def _both_tails(self, q: Array) -> Array:
        found = np.where(q > 0.5, np.inf, -np.inf)
        for upper in (False, True):
            p = 1.0 - q if upper else q
            rows = np.flatnonzero((p > 0) & (p < 0.5 if upper else p <= 0.5))
            if len(rows):
                own = self._take(rows)
                own = own.reflected if upper else own
                found[rows] = own._lower_quantile(p[rows]) * (-1.0 if upper else 1.0)
        return found

    def _lower_quantile(self, p: Array) -> Array:
        """Quantiles of 0 < p <= 1/2, one for each mixture (N,)."""
        low, high = self._bracket(p)
        x, own, open_ = high.copy(), self, np.flatnonzero(np.isfinite(low))
        x[~np.isfinite(low)] = -np.inf  # beyond the largest numbers
        own, width = own._take(open_), high - low
        for step in range(MOST_STEPS):
            at, wanted = x[open_], p[open_]
            rest = own._excess(at, wanted)
            lo, hi = low[open_], high[open_]
            lo[rest < 0] = at[rest < 0]
            hi[rest >= 0] = at[rest >= 0]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                newton = at - np.log1p(rest / wanted) * (wanted + rest) / own.pdf(at)
            middle = lo + 0.5 * (hi - lo)
            inside = (newton > lo) & (newton < hi)
            if step % PATIENCE == PATIENCE - 1:  # steps that leave the bracket wide are too short
                inside &= hi - lo < 0.5 * width[open_]
                width[open_] = hi - lo
            new = np.where(rest == 0, at, np.where(inside, newton, middle))
            low[open_], high[open_], x[open_] = lo, hi, new
            size = 2.0 * EPSILON * np.abs(new)
            kept = (np.abs(new - at) > size) & (hi - lo > size)
            if not kept.any():
                break
            own, open_ = own._take(np.flatnonzero(kept)), open_[kept]
        return x

    def _bracket(self, p: Array) -> tuple[Array, Array]:
        """Bounds of the quantiles (N,)."""
        with np.errstate(invalid="ignore", over="ignore"):
            own = self.means + self.scales * standard_quantile(p[:, None], self.tails)
            share = np.minimum(p[:, None] / np.where(self.weights > 0, self.weights, np.inf), 1.0)
            larger = self.weights > p[:, None]
            above = self.means + self.scales * standard_quantile(
                np.where(larger, share, 0.5), self.tails
            )
        present = self.weights > 0
        low = np.where(present, own, np.inf).min(axis=1)
        high = np.where(present, own, -np.inf).max(axis=1)
        if (self.noise > 0).any():
            uniform = self.low + (self.high - self.low) * p
            low = np.where(self.noise > 0, np.minimum(low, uniform), low)
            high = np.where(self.noise > 0, np.maximum(high, uniform), high)
        high = np.minimum(high, np.where(larger, above, np.inf).min(axis=1))
        low, high = (np.maximum(end, -np.finfo(np.float64).max) for end in (low, high))
        with np.errstate(over="ignore"):
            room = 1e-9 * np.maximum(np.abs(low), np.abs(high)) + 1e-9 * self.scales.min(axis=1)
            return low - room, high + room

    def _excess(self, x: Array, p: Array) -> Array:
        """``F(x) - p``, by upper tails of the components that lie below x."""
        z = (x[:, None] - self.means) / self.scales
        is_below = z > 0
        tail = lower_tail(-np.abs(z), self.tails)
        sums = (self.weights * np.where(is_below, -tail, tail)).sum(axis=1)
        whole = (self.weights * is_below).sum(axis=1) - p
        return np.asarray(sums + self.noise * self._share_below(x) + whole)

    def _share_below(self, x: Array) -> Array:
        """Share of the interval of the noise that is below x."""
        return np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    def _flat(self, shape: tuple[int, ...]) -> Univariate:
        """The mixtures (N, K), broadcast to a shape."""
        K = self.means.shape[-1]
        weights, means, scales = (
            np.broadcast_to(values, (*shape, K)).reshape(-1, K)
            for values in (self.weights, self.means, self.scales)
        )
        noise = np.broadcast_to(self.noise, shape).ravel()
        return replace(self, weights=weights, means=means, scales=scales, noise=noise)

    def _take(self, rows: slice | np.ndarray) -> Univariate:
        """Some of the mixtures (N, K)."""
        return replace(
            self,
            weights=self.weights[rows],
            means=self.means[rows],
            scales=self.scales[rows],
            noise=self.noise[rows],
        )


def checked_levels(name: str, given: Any) -> Array:
    """Probabilities, of any shape, each from 0 to 1.

    Raises
    ------
    ValueError
    """
    levels = numbers_from(name, given)
    inside = (levels >= 0.0) & (levels <= 1.0)
    if not inside.all():
        raise ValueError(
            f"{name} must be probabilities from 0 to 1, but {float(levels[~inside].flat[0])} came. "
            "Divide percentages by 100."
        )
    return levels
