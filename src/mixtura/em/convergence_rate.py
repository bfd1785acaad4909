"""How fast EM converges: the largest eigenvalue of its Jacobian at a point.

Moments are the chart: EM as a map of moments, ``F(s) = E(M(s))``, has the same eigenvalues as EM as
a map of parameters, and a small deviation of moments is valid for every family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.em.moment_vectors import WhitenedMoments
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments

LOOKS = 24
SETTLED, STEADY = 4, 0.05
"""So many rates after one another must agree to this part of their distance from one."""
DEVIATION = 1e-5
"""In parts of the rows: far above rounding (1e-16), and small enough that EM is linear (error
1e-5).
"""
NEGLIGIBLE = 1e-8
NEAR = 1e-10
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class ConvergenceRate:
    """What was seen around a point: how fast EM is there, and how what it does slowly can be done
    at once.

    Attributes
    ----------
    rate : float
        The factor by which EM shrinks a deviation in its slowest direction; infinite where it has
        no derivative.
    direction : array or None
        That direction, in the components' frames: where the next measurement may begin.
    ahead : Moments or None
        The end of all steps of EM in the directions that were seen, if it is linear there; None for
        a rate of one or more.
    """

    rate: float
    direction: Array | None = None
    ahead: Moments | None = None


def slowest_rate(
    step: Callable[[Moments], Moments],
    before: Moments,
    now: Moments,
    mixture: Mixture,
    known: Array | None = None,
) -> ConvergenceRate:
    """The factor by which EM shrinks a deviation in its slowest direction: the largest eigenvalue
    of its Jacobian.

    EM as a map of moments, ``F(s) = E(M(s))``, has the same eigenvalues as EM as a map of
    parameters, and a small deviation of moments is valid for every family. It is taken in the
    frames of the ``mixture`` of which ``now`` is the E-step. Arnoldi's method on finite differences
    of F, from a fixed random direction plus the slowest one as it was ``known`` before, or else the
    last step; it ends when its largest Ritz value settles, or after ``LOOKS`` maps.

    In the directions V that it has seen, EM is ``V H V'`` with a small matrix H, so the end of its
    steps there is known: for the next step r, ``s + r + V ((I - H)^-1 - I) V' r``, Newton's step in
    these directions and EM's own in all others (the recursive projection method: Shroff & Keller
    1993, SIAM Journal on Numerical Analysis 30:1099-1120).
    """
    frames = WhitenedMoments(now, mixture)
    origin = frames.vector(now)
    toward = origin - frames.vector(before) if known is None else known

    try:
        return _arnoldi(
            lambda point: frames.vector(step(frames.moments(point))), origin, frames, toward
        )
    except (
        CollapseError
    ):  # a deviation made a covariance singular that no floor holds up: no derivative to speak of
        return ConvergenceRate(float("inf"))


def _arnoldi(
    image: Callable[[Array], Array], origin: Array, frames: WhitenedMoments, toward: Array
) -> ConvergenceRate:
    """Arnoldi's method; see :func:`slowest_rate`."""
    at = image(origin)
    first = random_direction(len(origin))
    first = first / np.linalg.norm(first) + toward / max(float(np.linalg.norm(toward)), TINY)
    basis = [first / np.linalg.norm(first)]
    hessenberg = np.zeros((LOOKS + 1, LOOKS))
    rates: list[float] = []
    for check in range(min(LOOKS, len(origin))):
        moved = (image(origin + DEVIATION * basis[check]) - at) / DEVIATION
        for i, direction in enumerate(basis):
            hessenberg[i, check] = direction @ moved
            moved = moved - hessenberg[i, check] * direction
        rates.append(float(np.linalg.eigvals(hessenberg[: check + 1, : check + 1]).real.max()))
        left = float(np.linalg.norm(moved))
        if left < NEGLIGIBLE or (
            check >= SETTLED
            and max(rates[-SETTLED:]) - min(rates[-SETTLED:]) < STEADY * abs(1.0 - rates[-1])
        ):
            break
        hessenberg[check + 1, check] = left
        basis.append(moved / left)
    seen = len(rates)
    V, H, rate = np.array(basis[:seen]), hessenberg[:seen, :seen], rates[-1]
    return ConvergenceRate(
        rate,
        _slowest(H, rate) @ V,
        _ahead(frames, origin, at - origin, V, H) if rate < 1.0 else None,
    )


def _slowest(H: Array, rate: float) -> Array:
    """The eigenvector of the largest eigenvalue (m,), by inverse iteration from ones."""
    vector: Array = np.ones(len(H))
    for _ in range(2):
        further = np.linalg.solve((rate + NEAR) * np.eye(len(H)) - H, vector)
        vector = np.asarray(further / np.linalg.norm(further))
    return vector


def _ahead(
    frames: WhitenedMoments, origin: Array, step: Array, V: Array, H: Array
) -> Moments | None:
    """Where all steps lead, as far as directions V are concerned; see :func:`slowest_rate`."""
    inside = V @ step
    try:
        return frames.moments(
            origin + step + (np.linalg.solve(np.eye(len(H)) - H, inside) - inside) @ V
        )
    except CollapseError:
        return None


@lru_cache(maxsize=64)
def random_direction(size: int) -> Array:
    """The fixed direction that every measurement adds to its first (size,); read only."""
    direction = np.random.default_rng(0).standard_normal(size)
    direction.flags.writeable = False
    return direction
