"""SQUAREM: extrapolation of EM in moments (Varadhan & Roland 2008, third step length).

Two plain EM iterations ``s0 -> s1 -> s2`` as maps of moments give ``r = s1 - s0`` and
``v = (s2 - s1) - r``, and the extrapolation

    s = s0 + 2 a r + a^2 v,        a = |r| / |v|

It is s2 itself for a = 1, and the limit of a linear map with one slow direction. EM goes on from s
with an M-step, so covariances are valid for every family. The extrapolation is accepted only if the
objective does not fall. The step length a has an upper bound, which grows after accepted steps at
the bound and shrinks after rejected ones.

Damped Anderson acceleration over the last 5, 10 and 20 steps was tried instead: half of its
extrapolations were rejected on curved ridges, and it needed more maps of EM than SQUAREM on most
problems (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.em.moment_vectors import ScaledMoments
from mixtura.model.moments import Moments

FIRST_LENGTH, GROWTH = 4.0, 4.0
"""First bound of the step length, and the factor by which it grows or shrinks
(benchmarks/acceleration.py measures SQUAREM with them beside plain EM).
"""


class Squarem:
    """Extrapolates after every two plain iterations."""

    def __init__(self, scale: Array) -> None:
        self.scale = scale
        self.max_length = FIRST_LENGTH
        self._length = 1.0

    def extrapolate(self, steps: Sequence[Moments]) -> Moments | None:
        """Extrapolated moments from those of three consecutive plain mixtures.

        None where the step length is no more than one.
        """
        scaled = ScaledMoments(steps[2], self.scale)
        s0, s1, s2 = (scaled.vector(moments) for moments in steps)
        r, v = s1 - s0, s2 - 2.0 * s1 + s0
        curvature = float(np.linalg.norm(v))
        self._length = (
            min(float(np.linalg.norm(r)) / curvature, self.max_length)
            if curvature > 0
            else self.max_length
        )
        if not self._length > 1.0:
            # a step of length one is the last plain iteration, so a bound of one grows again
            self.adapt(True)
            return None
        try:
            return scaled.moments(s0 + 2.0 * self._length * r + self._length**2 * v)
        except CollapseError:
            self.adapt(False)
            return None

    def adapt(self, higher: bool) -> None:
        """Adapt the bound of the step length; ``higher`` if the last step was accepted."""
        if not higher:
            self.max_length = max(FIRST_LENGTH / GROWTH, self.max_length / GROWTH)
        elif self._length >= self.max_length:
            self.max_length *= GROWTH
