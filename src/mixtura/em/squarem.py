"""Longer steps than EM's own, in the chart of moments: SQUAREM (Varadhan & Roland 2008, third step
length).

Two plain steps ``s0 -> s1 -> s2`` of EM as a map of moments tell where the steps lead. With
``r = s1 - s0`` and ``v = (s2 - s1) - r``

    s = s0 + 2 a r + a^2 v,        a = |r| / |v|

which is s2 itself for a = 1, and the limit for a linear map with one slow direction. EM goes on
from there with an M-step, so covariances are valid for every family; the leap counts only if the
objective does not fall, and its length is bounded by ``longest``, which grows while leaps succeed.

Damped Anderson acceleration over the last 5, 10 and 20 steps in the same chart was tried beside it:
where the likelihood curves, half of its leaps fell, and it needed more maps than SQUAREM on most
problems (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.em.moment_vectors import ScaledMoments
from mixtura.model.moments import Moments

GROWTH = 4.0
FIRST_LENGTH = 4.0


class Squarem:
    """Proposes a leap after every two plain steps."""

    def __init__(self, scale: Array) -> None:
        self.scale = scale
        self.longest = FIRST_LENGTH
        self._length = 1.0

    def extrapolate(self, steps: Sequence[Moments]) -> Moments | None:
        """Moments further on, from the moments of three consecutive plain mixtures; None where
        there is no longer step.
        """
        chart = ScaledMoments(steps[2], self.scale)
        s0, s1, s2 = (chart.vector(moments) for moments in steps)
        r, v = s1 - s0, s2 - 2.0 * s1 + s0
        bend = float(np.linalg.norm(v))
        self._length = (
            min(float(np.linalg.norm(r)) / bend, self.longest) if bend > 0 else self.longest
        )
        if not self._length > 1.0:
            self.adapt(
                True
                # a leap of length one is the last plain step, which did not fall: a bound of one
                # grows again
            )
            return None
        try:
            return chart.moments(s0 + 2.0 * self._length * r + self._length**2 * v)
        except CollapseError:
            self.adapt(False)
            return None

    def adapt(self, higher: bool) -> None:
        """Whether the last leap was taken: the bound on its length grows or shrinks."""
        if not higher:
            self.longest = max(FIRST_LENGTH / GROWTH, self.longest / GROWTH)
        elif self._length >= self.longest:
            self.longest *= GROWTH
