"""The convergence rate of EM: the largest eigenvalue of its Jacobian at a point.

EM as a map of moments, ``F(s) = E(M(s))``, has the same eigenvalues as EM as a map of parameters,
and a small deviation of moments is valid for every family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.distribution.mixture import Mixture
from mixtura.em.moment_vectors import WhitenedMoments
from mixtura.model.moments import Moments

MOST_MAPS, WINDOW, RITZ_TOLERANCE = 24, 4, 0.05
"""Arnoldi's method takes so many maps of EM at most. It ends earlier when so many Ritz values after
each other agree to this part of their distance from one.
"""

DEVIATION = 1e-5
"""Length of a deviation of the moments, as a part of the rows: far above rounding (1e-16), and
small enough that EM is linear to 1e-5.
"""

NEGLIGIBLE = 1e-8
"""Length of an Arnoldi vector, as a part of the deviation, below which the directions are complete.
"""

SHIFT = 1e-10
"""Shift of the inverse iteration, so that its matrix is regular."""

LEAST_LENGTH = 1e-300
"""Replaces a length of 0 in a division."""


@dataclass(frozen=True, eq=False)
class ConvergenceRate:
    """The convergence rate at a point, with the slowest direction and the limit of EM.

    Attributes
    ----------
    rate : float
        The factor by which EM shrinks a deviation in its slowest direction; infinite where it has
        no derivative.
    direction : array or None
        That direction in whitened moments, from which the next measurement may begin.
    limit : Moments or None
        The limit of EM in the measured directions, as if it were linear; None for a rate of one or
        more.
    """

    rate: float
    direction: Array | None = None
    limit: Moments | None = None


def slowest_rate(
    step: Callable[[Moments], Moments],
    before: Moments,
    now: Moments,
    mixture: Mixture,
    known: Array | None = None,
) -> ConvergenceRate:
    """The largest eigenvalue of the Jacobian of EM, by Arnoldi's method on finite differences.

    The moments are whitened by the ``mixture`` of which ``now`` is the E-step. The first direction
    is a fixed random one plus the slowest one as ``known`` from before, or else the last step.

    In the measured directions V the Jacobian is ``V H V'`` with a small matrix H. So the limit of
    EM in them is, for the next step r, ``s + r + V ((I - H)^-1 - I) V' r``: Newton's step in these
    directions and an EM step in all others (the recursive projection method: Shroff & Keller 1993,
    SIAM Journal on Numerical Analysis 30:1099-1120).
    """
    whitened = WhitenedMoments(now, mixture)
    origin = whitened.vector(now)
    toward = origin - whitened.vector(before) if known is None else known

    try:
        return _arnoldi(
            lambda point: whitened.vector(step(whitened.moments(point))), origin, whitened, toward
        )
    except CollapseError:  # without a floor a deviation made a covariance singular
        return ConvergenceRate(float("inf"))


def _arnoldi(
    image: Callable[[Array], Array], origin: Array, whitened: WhitenedMoments, toward: Array
) -> ConvergenceRate:
    """Arnoldi's method; see :func:`slowest_rate`."""
    at = image(origin)
    first = random_direction(len(origin))
    first = first / np.linalg.norm(first) + toward / max(
        float(np.linalg.norm(toward)), LEAST_LENGTH
    )
    basis = [first / np.linalg.norm(first)]
    hessenberg = np.zeros((MOST_MAPS + 1, MOST_MAPS))
    rates: list[float] = []
    for m in range(min(MOST_MAPS, len(origin))):
        derivative = (image(origin + DEVIATION * basis[m]) - at) / DEVIATION
        for i, direction in enumerate(basis):
            hessenberg[i, m] = direction @ derivative
            derivative = derivative - hessenberg[i, m] * direction
        rates.append(float(np.linalg.eigvals(hessenberg[: m + 1, : m + 1]).real.max()))
        length = float(np.linalg.norm(derivative))
        if length < NEGLIGIBLE or (m >= WINDOW and _agree(rates[-WINDOW:])):
            break
        hessenberg[m + 1, m] = length
        basis.append(derivative / length)
    size = len(rates)
    V, H, rate = np.array(basis[:size]), hessenberg[:size, :size], rates[-1]
    return ConvergenceRate(
        rate,
        _slowest(H, rate) @ V,
        _limit(whitened, origin, at - origin, V, H) if rate < 1.0 else None,
    )


def _agree(rates: list[float]) -> bool:
    """Whether the last rates differ by a small part of their distance from one."""
    return max(rates) - min(rates) < RITZ_TOLERANCE * abs(1.0 - rates[-1])


def _slowest(H: Array, rate: float) -> Array:
    """The eigenvector of the largest eigenvalue (m,), by inverse iteration from ones."""
    vector: Array = np.ones(len(H))
    for _ in range(2):
        further = np.linalg.solve((rate + SHIFT) * np.eye(len(H)) - H, vector)
        vector = np.asarray(further / np.linalg.norm(further))
    return vector


def _limit(
    whitened: WhitenedMoments, origin: Array, step: Array, V: Array, H: Array
) -> Moments | None:
    """The limit of EM in directions V; see :func:`slowest_rate`."""
    inside = V @ step
    try:
        return whitened.moments(
            origin + step + (np.linalg.solve(np.eye(len(H)) - H, inside) - inside) @ V
        )
    except CollapseError:
        return None


@lru_cache(maxsize=64)
def random_direction(size: int) -> Array:
    """The fixed random part (size,) of the first direction of every measurement; read only."""
    direction = np.random.default_rng(0).standard_normal(size)
    direction.flags.writeable = False
    return direction
