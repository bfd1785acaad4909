"""Highest-density regions: where the density is above a threshold (Hyndman 1996, The American
Statistician 50:120-126).

The region of probability p is the smallest one of its probability. Its threshold is the 1 - p
quantile of the density at random rows. In one column regions are intervals between the crossings of
the threshold, of which each monotone piece of the density has at most one, and the threshold is the
root of their probability.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, fdtri

from mixtura.base.arrays import Array, Flags
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.estimate import Draws
from mixtura.distribution.mixture_density import MixtureDensity
from mixtura.distribution.points import log_densities, points_of
from mixtura.distribution.t_density import log_fall
from mixtura.distribution.univariate import Univariate

GRID = np.sort(np.concatenate([np.linspace(-9.0, 9.0, 361), [-1e3, -1e2, -30.0, 30.0, 1e2, 1e3]]))
"""Points about each mean, in its standard deviations, between which the slope of the density
changes its sign at most once.
"""

HALVINGS = 1100
"""Bisections that exhaust any bracket of doubles; they stop at neighbouring numbers."""


LOWEST = -1e4
"""Log density below which the probability has no digit left."""


@dataclass(frozen=True, eq=False)
class HighestDensityRegions:
    """Where the density is at least a threshold, for some probabilities.

    Attributes
    ----------
    levels : (L,), or a number
        Probabilities of the regions.
    log_thresholds : of the same shape
        Logarithms of the thresholds.
    standard_errors : of the same shape
        Of ``log_thresholds``; 0 where they are exact, NaN where given rows were used.
    intervals : tuple of (I, 2)
        In one column the intervals of each region, from left to right; None in several.
    """

    levels: Array
    log_thresholds: Array
    standard_errors: Array
    intervals: tuple[Array, ...] | None
    _mixture: MixtureDensity = field(repr=False)

    @property
    def thresholds(self) -> Array:
        """Least density in each region (L,)."""
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(self.log_thresholds))

    def contains(self, X: Any) -> Flags:
        """Whether rows (n,d) are in each region, (n,L), or (n,) for one level."""
        points = points_of(X, self._mixture)
        inside = log_densities(self._mixture, points.rows)[:, None] >= self.log_thresholds.ravel()
        return inside.reshape(points.shape + self.levels.shape)

    def reshaped(self, shape: tuple[int, ...]) -> HighestDensityRegions:
        """The same with levels of this shape."""
        levels, found, errors = (
            values.reshape(shape)
            for values in (self.levels, self.log_thresholds, self.standard_errors)
        )
        return replace(self, levels=levels, log_thresholds=found, standard_errors=errors)


def region_of_one(mixture: MixtureDensity, levels: Array) -> HighestDensityRegions:
    """Thresholds of one component: its squared distances are chi-squared, those of t times d F."""
    d, tails = mixture.n_features, mixture.tails
    if tails is None:
        fall = -0.5 * chdtri(d, 1.0 - levels)
    else:
        squared = d * fdtri(d, tails[0], levels)
        fall = np.where(levels < 1.0, log_fall(squared, tails[0], d), -np.inf)
    found = mixture.log_scale[0] + fall
    return HighestDensityRegions(levels, found, np.zeros(len(levels)), None, mixture)


@ignore_underflow
def sampled_regions(
    mixture: MixtureDensity, levels: Array, n: int, random_state: Any
) -> HighestDensityRegions:
    """Thresholds from about n random rows."""
    draws = Draws.of(mixture, n, random_state)
    values, shares = log_densities(mixture, draws.rows), draws.shares
    order = np.argsort(values)
    values, sums = values[order], np.cumsum(shares[order])
    middles = sums - 0.5 * shares[order]

    def quantile(p: Array) -> Array:
        return np.interp(p, middles, values)

    below = 1.0 - levels
    # the error of the probability, carried to the threshold by the slope of the quantiles
    error = np.sqrt(np.maximum(below * levels, 0.0) / len(values))
    spread = quantile(np.minimum(below + error, 1.0)) - quantile(np.maximum(below - error, 0.0))
    found = np.where(levels >= 1.0, -np.inf, quantile(below))
    return HighestDensityRegions(levels, found, 0.5 * spread, None, mixture)


def regions_of_rows(
    mixture: MixtureDensity, levels: Array, values: Array, line: Univariate | None
) -> HighestDensityRegions:
    """Thresholds that are quantiles of the log densities of given rows (n,), as in mclust."""
    top = float(values.max())
    with np.errstate(divide="ignore", under="ignore"):
        found = np.log(np.quantile(np.exp(values - top), 1.0 - levels)) + top
    intervals = None
    if line is not None:
        pieces = _Pieces.of(mixture, line)
        intervals = tuple(pieces.intervals(float(level)) for level in found)
    return HighestDensityRegions(levels, found, np.full(len(levels), np.nan), intervals, mixture)


@ignore_underflow
def exact_regions(
    mixture: MixtureDensity, levels: Array, line: Univariate
) -> HighestDensityRegions:
    """Thresholds and intervals of one column."""
    pieces = _Pieces.of(mixture, line)
    found = np.array([pieces.threshold(float(level)) for level in levels])
    intervals = tuple(pieces.intervals(float(level)) for level in found)
    return HighestDensityRegions(levels, found, np.zeros(len(levels)), intervals, mixture)


# ---- one column ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pieces:
    """A density of one column between its critical points.

    Attributes
    ----------
    ends : (P,)
        Critical points, in rising order, from the outermost mode to the other.
    heights : (P,)
        Log densities there.
    """

    mixture: MixtureDensity
    line: Univariate
    ends: Array
    heights: Array

    @classmethod
    def of(cls, mixture: MixtureDensity, line: Univariate) -> _Pieces:
        """The pieces: sign changes of the slope on a grid, which bisection closes in on."""
        present = line.weights > 0 if (line.weights > 0).any() else np.ones_like(line.weights) > 0
        means, scales = line.means[present], line.scales[present]
        grid = np.unique((means + scales * GRID[:, None]).ravel())
        signs = np.sign(_slope(mixture, grid))
        kept = np.flatnonzero(signs)
        grid, signs = grid[kept], signs[kept]
        turns = np.flatnonzero(signs[1:] != signs[:-1])
        low, high, rising = grid[turns], grid[turns + 1], signs[turns] > 0
        for _ in range(HALVINGS):
            middle = low + 0.5 * (high - low)
            if ((middle <= low) | (middle >= high)).all():
                break
            left = (_slope(mixture, middle) > 0) == rising
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        ends = low if len(low) else means[:1]
        return cls(mixture, line, ends, log_densities(mixture, ends[:, None]))

    def threshold(self, level: float) -> float:
        """Log density above which the probability is the level."""
        top = float(self.heights.max())
        if level <= 0.0:
            return top
        noise = self.mixture.noise
        floor = -np.inf if noise is None else noise.log_joint
        if level >= 1.0:
            return floor
        low = top - 1.0
        while low > max(floor, LOWEST) and self.probability(low) < level:
            low -= 2.0 * (top - low)
        low = max(low, float(np.nextafter(floor, np.inf)))
        if self.probability(low) < level:  # the flat part of the noise is needed, or the last digit
            return max(floor, LOWEST)
        return float(
            brentq(lambda t: self.probability(t) - level, low, top, xtol=1e-14, rtol=1e-14)
        )

    def probability(self, threshold: float) -> float:
        """Probability of where the log density is at least the threshold."""
        ends = self.intervals(threshold)
        if not len(ends):
            return 0.0
        right = ends[:, 0] > float(self.line.means @ self.line.weights)
        upper, lower = self.line.sf(ends), self.line.cdf(ends)
        return float(np.where(right, upper[:, 0] - upper[:, 1], lower[:, 1] - lower[:, 0]).sum())

    def intervals(self, threshold: float) -> Array:
        """Where the log density is at least the threshold (I,2)."""
        noise = self.mixture.noise
        if threshold == -np.inf or (noise is not None and threshold <= noise.log_joint):
            return np.array([[-np.inf, np.inf]])
        outer = [self._outside(threshold, -1.0), *self.ends, self._outside(threshold, 1.0)]
        points = np.array(outer)
        above = np.concatenate([[False], self.heights >= threshold, [False]])
        crossed = np.flatnonzero(above[1:] != above[:-1])
        low, high, rising = points[crossed], points[crossed + 1], above[crossed + 1]
        for _ in range(HALVINGS):
            middle = low + 0.5 * (high - low)
            if ((middle <= low) | (middle >= high)).all():
                break
            past = (log_densities(self.mixture, middle[:, None]) >= threshold) == rising
            low, high = np.where(past, low, middle), np.where(past, middle, high)
        return np.where(rising, high, low).reshape(-1, 2)

    def _outside(self, threshold: float, side: float) -> float:
        """A point beyond the outermost critical point whose density is below the threshold."""
        begin = float(self.ends[0] if side < 0 else self.ends[-1])
        step = float(self.line.scales.max())
        while (
            step < 1e290
            and log_densities(self.mixture, np.array([[begin + side * step]]))[0] >= threshold
        ):
            step *= 2.0
        return begin + side * step


def _slope(mixture: MixtureDensity, x: Array) -> Array:
    """Derivative of the density at points (n,), divided by the density of the components."""
    alone = mixture.without_noise
    shares = alone.posterior(x[:, None])
    deviations = np.sqrt(alone.covariance.dense()[:, 0, 0])
    z = (x[:, None] - alone.means[:, 0]) / deviations
    pull = 1.0 if alone.tails is None else (alone.tails + 1.0) / (alone.tails + z**2)
    return np.asarray(-(shares * pull * z / deviations).sum(axis=1))
