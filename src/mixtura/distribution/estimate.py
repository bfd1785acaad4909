"""Expectations under a mixture from random rows, with their standard errors.

Rows are drawn from each component in proportion to its weight (stratified sampling), from a fixed
seed, so that an answer is the same every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.random_states import generator_of
from mixtura.distribution.mixture_density import MixtureDensity

FEWEST_ROWS = 16
"""Rows of a component of small weight, which its variance needs."""


@dataclass(frozen=True)
class Estimate:
    """A number from random rows. ``float(estimate)`` is its value.

    Attributes
    ----------
    value : float
    standard_error : float
        Standard deviation of the value over other random rows; 0 where it is exact.
    """

    value: float
    standard_error: float = 0.0

    def __float__(self) -> float:
        return self.value

    def __format__(self, form: str) -> str:
        return format(self.value, form)


@dataclass(frozen=True, eq=False)
class Draws:
    """Random rows of a mixture, by components.

    Attributes
    ----------
    rows : (n, d)
    strata : (n,)
        The component of each row; K for the noise.
    weights : (K,) or (K + 1,)
        Probabilities of the strata.
    """

    rows: Array
    strata: Labels
    weights: Array

    @classmethod
    def of(cls, mixture: MixtureDensity, n: int, random_state: Any) -> Draws:
        """About n rows."""
        rng, weights, noise = generator_of(random_state), mixture.weights, mixture.noise
        if noise is not None:
            weights = np.append(weights, noise.weight)
        weights = weights / weights.sum()
        counts = np.where(weights > 0, np.maximum(np.rint(n * weights), FEWEST_ROWS), 0)
        strata = np.repeat(np.arange(len(weights)), counts.astype(np.intp))
        own = strata < mixture.n_components
        rows = mixture.rows_of(strata[own], rng)
        if noise is not None:
            rows = np.concatenate([rows, noise.sample(int((~own).sum()), rng)])
        return cls(rows, strata, weights)

    @property
    def shares(self) -> Array:
        """The probability that each row stands for (n,); they sum to one."""
        counts = np.bincount(self.strata, minlength=len(self.weights))
        each = np.divide(self.weights, counts, out=np.zeros(len(counts)), where=counts > 0)
        return np.asarray(each[self.strata])

    def mean(self, values: Array) -> Estimate:
        """Expectation of a function from its values at the rows (n,)."""
        if not np.isfinite(values).all():
            return Estimate(float(values.max()), 0.0)
        counts = np.bincount(self.strata, minlength=len(self.weights))
        seen = np.flatnonzero(counts)
        means, variances = np.zeros(len(counts)), np.zeros(len(counts))
        for k in seen:
            own = values[self.strata == k]
            means[k], variances[k] = own.mean(), own.var(ddof=1)
        parts = self.weights[seen] ** 2 * variances[seen] / counts[seen]
        return Estimate(float(self.weights @ means), float(np.sqrt(parts.sum())))


def checked_rows(n: Any) -> int:
    """A number of random rows of at least 100."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 100:
        raise ValueError(f"n_samples must be an integer of at least 100, but {n!r} came.")
    return int(n)
