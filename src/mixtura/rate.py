"""How fast EM converges: the largest eigenvalue of its Jacobian at a point.

Moments are the chart: EM as a map of moments, ``F(s) = E(M(s))``, has the same eigenvalues as EM as a map of parameters, and
a small deviation of moments is valid for every family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from mixtura.arrays import Array, symmetric
from mixtura.errors import CollapseError
from mixtura.moments import Moments, Scatter

LOOKS = 24
SETTLED = 4
DEVIATION = 1e-5
"""In parts of the rows: far above rounding (1e-16), and small enough that EM is linear (error 1e-5)."""
SMALL_DEVIATION = 1e-8
"""Where the first says that a direction grows: it may have been large beside the spread of a component on few rows, and a saddle is
one by any deviation."""
NEGLIGIBLE = 1e-8
TINY = 1e-300


def slowest_rate(step: Callable[[Moments], Moments], before: Moments, now: Moments, scale: Array) -> float:
    """The factor by which EM shrinks a deviation in its slowest direction: the largest eigenvalue of its Jacobian.

    EM as a map of moments, ``F(s) = E(M(s))``, has the same eigenvalues as EM as a map of parameters, and a small
    deviation of moments is valid for every family. Arnoldi's method on finite differences of F, from the last step
    plus a fixed random direction; it ends when its largest Ritz value settles, or after ``LOOKS`` maps.
    """
    chart = Chart(now, scale)

    def image(point: Array) -> Array:
        return chart.vector(step(chart.moments(point)))

    origin = chart.vector(now)

    def rate_by(deviation: float) -> float:
        try:
            return _largest_ritz_value(image, origin, chart, before, deviation)
        except CollapseError:  # a deviation made a covariance singular that no floor holds up: no derivative to speak of
            return float("inf")

    rate = rate_by(DEVIATION)
    return rate if rate < 1.0 else rate_by(SMALL_DEVIATION)


def _largest_ritz_value(image: Callable[[Array], Array], origin: Array, chart: Chart, before: Moments, deviation: float) -> float:
    """Arnoldi's method; see :func:`slowest_rate`."""
    at = image(origin)
    last = origin - chart.vector(before)
    first = random_direction(len(origin)) * chart.rows_per_sum
    first = first / np.linalg.norm(first) + last / max(float(np.linalg.norm(last)), TINY)
    basis = [first / np.linalg.norm(first)]
    hessenberg = np.zeros((LOOKS + 1, LOOKS))
    rates: list[float] = []
    for look in range(min(LOOKS, len(origin))):
        moved = (image(origin + deviation * basis[look]) - at) / deviation
        for i, direction in enumerate(basis):
            hessenberg[i, look] = direction @ moved
            moved = moved - hessenberg[i, look] * direction
        rates.append(float(np.linalg.eigvals(hessenberg[: look + 1, : look + 1]).real.max()))
        left = float(np.linalg.norm(moved))
        if left < NEGLIGIBLE or (look >= SETTLED and max(rates[-SETTLED:]) - min(rates[-SETTLED:]) < 0.05 * abs(1.0 - rates[-1])):
            break
        hessenberg[look + 1, look] = left
        basis.append(moved / left)
    return rates[-1]


@lru_cache(maxsize=64)
def random_direction(size: int) -> Array:
    """The fixed direction that every measurement adds to its first (size,); read only."""
    direction = np.random.default_rng(0).standard_normal(size)
    direction.flags.writeable = False
    return direction


@dataclass(frozen=True, eq=False)
class Chart:
    """Moments as vectors and back: per row, about fixed points, in units of the data's standard deviations."""

    origin: Moments
    scale: Array

    @cached_property
    def _units(self) -> tuple[Array, Array, Array]:
        deviations = np.sqrt(self.scale)
        outer = np.outer(deviations, deviations)
        second = {Scatter.TRACE: self.scale.sum(), Scatter.DIAGONAL: self.scale}.get(self.origin.kind, outer)
        return (
            np.ones_like(self.origin.counts),
            np.broadcast_to(deviations, self.origin.first.shape),
            np.broadcast_to(second, self.origin.second.shape),
        )

    @property
    def rows_per_sum(self) -> Array:
        """The count of the component that each entry of a vector belongs to."""
        counts = self.origin.counts
        pooled = self.origin.kind is Scatter.TOTAL
        second = np.full(self.origin.second.shape, counts.sum()) if pooled else _along_first(counts, self.origin.second.shape)
        return np.concatenate([counts, _along_first(counts, self.origin.first.shape).ravel(), second.ravel()])

    def vector(self, moments: Moments) -> Array:
        """All sums, one after the other."""
        same = moments.taken_about(self.origin.about)
        parts = zip((same.counts, same.first, same.second), self._units, strict=True)
        return np.concatenate([(part / unit).ravel() for part, unit in parts]) / self.origin.total

    def moments(self, vector: Array) -> Moments:
        """The moments with these sums (matrices made symmetric)."""
        sums, at = [], 0
        for unit in self._units:
            sums.append(vector[at : at + unit.size].reshape(unit.shape) * unit * self.origin.total)
            at += unit.size
        counts, first, second = sums
        if (counts < 0).any():
            raise CollapseError(int(counts.argmin()))  # a component that is all but empty has no deviation to either side
        if self.origin.kind in (Scatter.TOTAL, Scatter.DENSE):
            second = symmetric(second)
        return replace(self.origin, counts=counts, first=first, second=second)


def _along_first(counts: Array, shape: tuple[int, ...]) -> Array:
    """Counts (K,) repeated to a shape (K, ...)."""
    return np.broadcast_to(counts.reshape(-1, *[1] * (len(shape) - 1)), shape)
