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
DEVIATIONS = (1e-5, 1e-8, 1e-11)
"""In parts of the rows: the first is far above rounding (1e-16), and so small that EM is linear (error 1e-5). Where one says that a
direction grows, the next is tried: it may have been large beside the spread of a component on few rows, and a saddle is one by any."""
NEGLIGIBLE = 1e-8
NEAR = 1e-10
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Slowness:
    """What was seen around a point: how fast EM is there, and how what it does slowly can be done at once.

    Attributes
    ----------
    rate : float
        The factor by which EM shrinks a deviation in its slowest direction; infinite where it has no derivative.
    direction : array or None
        That direction, in the chart: where the next measurement may begin.
    ahead : Moments or None
        The end of all steps of EM in the directions that were seen, if it is linear there; None for a rate of one or more.
    """

    rate: float
    direction: Array | None = None
    ahead: Moments | None = None


def slowest_rate(
    step: Callable[[Moments], Moments], before: Moments, now: Moments, scale: Array, known: Array | None = None
) -> Slowness:
    """The factor by which EM shrinks a deviation in its slowest direction: the largest eigenvalue of its Jacobian.

    EM as a map of moments, ``F(s) = E(M(s))``, has the same eigenvalues as EM as a map of parameters, and a small
    deviation of moments is valid for every family. Arnoldi's method on finite differences of F, from a fixed random direction
    plus the slowest one as it was ``known`` before, or else the last step; it ends when its largest Ritz value settles, or after
    ``LOOKS`` maps.

    In the directions V that it has seen, EM is ``V H V'`` with a small matrix H, so the end of its steps there is known: for the
    next step r, ``s + r + V ((I - H)^-1 - I) V' r``, Newton's step in these directions and EM's own in all others (the recursive
    projection method: Shroff & Keller 1993, SIAM Journal on Numerical Analysis 30:1099-1120).
    """
    chart = Chart(now, scale)
    origin = chart.vector(now)
    toward = origin - chart.vector(before) if known is None else known

    def slowness_by(deviation: float) -> Slowness:
        try:
            return _arnoldi(lambda point: chart.vector(step(chart.moments(point))), origin, chart, toward, deviation)
        except CollapseError:  # a deviation made a covariance singular that no floor holds up: no derivative to speak of
            return Slowness(float("inf"))

    for deviation in DEVIATIONS:
        found = slowness_by(deviation)
        if found.rate < 1.0:
            break
    return found


def _arnoldi(image: Callable[[Array], Array], origin: Array, chart: Chart, toward: Array, deviation: float) -> Slowness:
    """Arnoldi's method; see :func:`slowest_rate`."""
    at = image(origin)
    first = random_direction(len(origin)) * chart.rows_per_sum
    first = first / np.linalg.norm(first) + toward / max(float(np.linalg.norm(toward)), TINY)
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
    seen = len(rates)
    V, H, rate = np.array(basis[:seen]), hessenberg[:seen, :seen], rates[-1]
    return Slowness(rate, _slowest(H, rate) @ V, _ahead(chart, origin, at - origin, V, H) if rate < 1.0 else None)


def _slowest(H: Array, rate: float) -> Array:
    """The eigenvector of the largest eigenvalue (m,), by inverse iteration from ones."""
    vector = np.ones(len(H))
    for _ in range(2):
        vector = np.linalg.solve((rate + NEAR) * np.eye(len(H)) - H, vector)
        vector = vector / np.linalg.norm(vector)
    return vector


def _ahead(chart: Chart, origin: Array, step: Array, V: Array, H: Array) -> Moments | None:
    """Where all steps lead, as far as directions V are concerned; see :func:`slowest_rate`."""
    inside = V @ step
    try:
        return chart.moments(origin + step + (np.linalg.solve(np.eye(len(H)) - H, inside) - inside) @ V)
    except CollapseError:
        return None


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
