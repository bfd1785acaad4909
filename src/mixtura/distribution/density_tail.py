"""The distribution of the density of a random row: how unlikely is a row at least?

Of a row x, the tail probability is that of a random row of the mixture to be no more likely:

    P(p(X) <= p(x)),  X ~ p,

which is one minus the content of the highest-density region that ends at x (Hyndman 1996). It is
estimated by importance sampling. The draws are of the mixture with its covariances times ``s^2``,
for several s in equal shares, so that they reach far into the tails; a draw has the weight
``p / q`` with the mean q of all these densities (Veach & Guibas 1995), at most the number of s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.distribution.t_density import log_fall

NORMAL_SCALES: Array = np.sqrt(2.0) ** np.arange(5.0)
T_SCALES: Array = 4.0 ** np.arange(6.0)
"""Factors of the standard deviations of the draws. Up to 4 they reach probabilities of 1e-20 in two
columns; the tails of t components are longer.
"""

WHOLE_DRAWS, PATTERN_DRAWS = 50_000, 10_000
"""WideDraws for complete rows and for each pattern of missing entries: a probability of 0.01 has a
standard error of 2 or 4 percent of itself.
"""

ANCHOR = 400
"""The draw, counted from the least likely one, from which the tail is extrapolated. Of the draws
below it, those near it count: about one in ``s^2`` for the largest s, so that its probability has a
standard error of about 15 percent.
"""


@dataclass(frozen=True, eq=False)
class WideDraws:
    """Rows (m,d) of a mixture with widened components, with the factor (m,) of each."""

    rows: Array
    scales: Array

    @classmethod
    def of(cls, mixture: Mixture, m: int, rng: np.random.Generator) -> WideDraws:
        """m draws; a mixture with noise is taken without it."""
        mixture = mixture.without_noise
        rows, labels = mixture.sample(m, rng)
        kinds = NORMAL_SCALES if mixture.tails is None else T_SCALES
        scales = kinds[np.arange(m) % len(kinds)]  # in equal shares in every component
        centres = mixture.means[labels]
        return cls(centres + scales[:, None] * (rows - centres), scales)


@dataclass(frozen=True, eq=False)
class DensityTail:
    """``P(log p(X) <= t)`` for a random row X of a mixture, as a function of t.

    Attributes
    ----------
    log_densities : (m,)
        Those of the draws, rising.
    log_weights : (m,)
        Logarithms of their importance weights.
    slope : float
        The slope of the logarithm of the probability in t, far out: 1 for Gaussians, and
        ``nu / (nu + d)`` for t components, of which those with the longest tails decide.
    """

    log_densities: Array
    log_weights: Array
    slope: float

    @classmethod
    @ignore_underflow
    def of(cls, mixture: Mixture, draws: WideDraws, columns: Labels | None = None) -> DensityTail:
        """That of a mixture, or of its margin over some columns; a noise term is left out."""
        mixture, rows = mixture.without_noise, draws.rows
        if columns is not None:
            mixture, rows = mixture.marginal(columns), rows[:, columns]
        d, tails = mixture.n_features, mixture.tails
        squared = mixture.squared_distances(rows)
        scaled = []
        for scale in np.unique(draws.scales):
            own = squared / scale**2
            fall = -0.5 * own if tails is None else log_fall(own, tails, d)
            scaled.append(log_density(mixture.log_scale + fall) - d * np.log(scale))
        log_weights = scaled[0] - log_density(np.stack(scaled, axis=1)) + np.log(len(scaled))
        order = np.argsort(scaled[0])
        slope = 1.0 if tails is None else float((tails / (tails + d)).min())
        return cls(scaled[0][order], log_weights[order], slope)

    @property
    def _log_cumulated(self) -> Array:
        """Logarithms of the probabilities (m,) at the draws."""
        cumulated = np.logaddexp.accumulate(self.log_weights)
        return np.asarray(cumulated - cumulated[-1])

    def log_probability(self, log_densities: ArrayLike) -> Array:
        """``log P(log p(X) <= t)`` for every t; far out it falls as the components do."""
        t = np.asarray(log_densities, dtype=np.float64)
        cumulated = self._log_cumulated[ANCHOR:]
        below = np.minimum(t - self.log_densities[ANCHOR], 0.0) * self.slope
        return np.asarray(np.interp(t, self.log_densities[ANCHOR:], cumulated) + below)

    def quantile(self, log_probabilities: ArrayLike) -> Array:
        """The t of given ``log P(log p(X) <= t)``: the inverse of :meth:`log_probability`."""
        wanted = np.asarray(log_probabilities, dtype=np.float64)
        cumulated = self._log_cumulated[ANCHOR:]
        below = np.minimum(wanted - cumulated[0], 0.0) / self.slope
        return np.asarray(np.interp(wanted, cumulated, self.log_densities[ANCHOR:]) + below)

    def standard_error(self, log_density: float) -> float:
        """Monte-Carlo standard error of the probability at one t, by the delta method."""
        weights = np.exp(self.log_weights)
        below = self.log_densities <= log_density
        share = weights[below].sum() / weights.sum()
        return float(np.sqrt((weights**2 * (below - share) ** 2).sum()) / weights.sum())


@dataclass(frozen=True, eq=False)
class RowTails:
    """Tail probabilities of rows with any missing entries, each by the margin of its own columns.

    Attributes
    ----------
    mixture : Mixture
        Without noise.
    whole : DensityTail
        Of complete rows.
    draws : WideDraws
        For the margins.
    """

    mixture: Mixture
    whole: DensityTail
    draws: WideDraws

    @classmethod
    def of(cls, mixture: Mixture) -> RowTails:
        """Those of a mixture, a noise term left out; the draws have a fixed seed."""
        rng = np.random.default_rng(0)
        mixture = mixture.without_noise
        whole = DensityTail.of(mixture, WideDraws.of(mixture, WHOLE_DRAWS, rng))
        return cls(mixture, whole, WideDraws.of(mixture, PATTERN_DRAWS, rng))

    def log_probability(self, log_densities: Array, rows: Rows) -> Array:
        """Logarithms of the tail probabilities (m,) of rows (m,d) with these log densities (m,).

        A row without any value has probability 1.
        """
        out = self.whole.log_probability(log_densities)
        for own, columns in _patterns(rows):
            out[own] = 0.0
            if len(columns):
                tail = DensityTail.of(self.mixture, self.draws, columns)
                out[own] = tail.log_probability(log_densities[own])
        return out

    def comparable(self, log_densities: Array, rows: Rows) -> Array:
        """Log densities (m,) on the scale of complete rows.

        An incomplete row gets that of a complete row with its tail probability: a density of few
        columns is no density of many.
        """
        incomplete = np.isnan(rows).any(axis=1)
        if not incomplete.any():
            return log_densities
        out = np.array(log_densities)
        probabilities = self.log_probability(log_densities[incomplete], rows[incomplete])
        out[incomplete] = self.whole.quantile(probabilities)
        return out


def _patterns(rows: Rows) -> Iterator[tuple[Labels, Labels]]:
    """For every pattern of missing entries the numbers of its rows, and the observed columns."""
    observed = ~np.isnan(rows)
    incomplete = np.flatnonzero(~observed.all(axis=1))
    patterns, numbers = np.unique(observed[incomplete], axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        yield incomplete[numbers.ravel() == number], np.flatnonzero(pattern)
