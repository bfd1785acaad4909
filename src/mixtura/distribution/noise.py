"""The noise term of a mixture: a uniform density beside the components.

Rows that belong to no group draw components to themselves. A uniform term of the density takes them
instead (Banfield & Raftery 1993, Biometrics 49:803-821; Fraley & Raftery 1998, Computer Journal
41:578-588):

    p(x) = sum_k weights_k N(x | k) + weight / volume
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels


@dataclass(frozen=True, eq=False)
class Noise:
    """A uniform density over a box, with its weight in a mixture.

    The density counts at every row, also at rows outside of the box: a row that is far from every
    component is noise, wherever it lies.

    Attributes
    ----------
    weight : float
        Mixing proportion; those of the components sum to ``1 - weight``.
    log_sides : (d,)
        Logarithms of the sides of the box, one for each column. A row with missing entries has the
        density of its observed columns.
    centre : (d,)
        Centre of the box, which random rows need.
    """

    weight: float
    log_sides: Array
    centre: Array

    @property
    def log_volume(self) -> float:
        """Logarithm of the volume of the box."""
        return float(self.log_sides.sum())

    @property
    def volume(self) -> float:
        """Volume of the box, in the product of the columns' units."""
        return float(np.exp(self.log_volume))

    @property
    def log_weight(self) -> float:
        """Logarithm of the weight; -inf for 0."""
        with np.errstate(divide="ignore"):
            return float(np.log(self.weight))

    @property
    def log_joint(self) -> float:
        """``log weight - log volume``, the same at every complete row."""
        return self.log_weight - self.log_volume

    def log_joint_of(self, columns: Flags) -> Array:
        """The same for rows of which these columns (..., d) were observed."""
        return np.asarray(self.log_weight - columns @ self.log_sides)

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of a box of one column."""
        half = 0.5 * float(np.exp(self.log_sides[0]))
        return float(self.centre[0]) - half, float(self.centre[0]) + half

    def contains(self, rows: Array) -> Flags:
        """Whether rows (n,d) are in the box."""
        inside: Flags = np.abs(rows - self.centre) <= 0.5 * np.exp(self.log_sides)
        return np.asarray(inside.all(axis=1))

    def with_weight(self, weight: float) -> Noise:
        """The same box with another weight."""
        return replace(self, weight=weight)

    def marginal(self, columns: Labels) -> Noise:
        """The noise of some columns: a box again."""
        return replace(self, log_sides=self.log_sides[columns], centre=self.centre[columns])

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n rows (n,d), uniform in the box."""
        sides = np.exp(self.log_sides)
        return np.asarray(self.centre + sides * (rng.random((n, len(sides))) - 0.5))
