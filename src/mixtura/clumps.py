"""Small groups of rows that are near each other, and what a component there would add to a fit.

A random start seldom finds them, and EM does not move a wide component onto a few rows, so all of them are looked at. For a group
with the density ``N_c`` and the part ``a`` of all weight, a mixture ``p`` that makes room for it becomes ``(1 - a) p + a N_c``, and
gains ``sum_i w_i log(1 - a + a N_c(x_i) / p(x_i))`` (the insertion step of Verbeek, Vlassis & Krose 2003, Neural Computation
15:469-485). Beyond the rows near the group ``N_c`` is taken for zero, so what is computed is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np
from scipy.spatial import cKDTree

from mixtura.arrays import Array, Labels

SIZES = (1.0, 1.5, 2.0, 4.0, 8.0)
"""Distinct rows in a group, in parts of the d + 1 that a full covariance needs."""

REACH = 2
"""Rows that are looked at for each row of the group."""

MOST_CENTRES = 2_000
"""Rows around which groups are made; of more rows, some that are drawn."""

FLAT = 1e-10
"""Directions with less than this share of the largest variance are taken to have it."""

LARGEST_EXPONENT = 700.0


@dataclass(frozen=True, eq=False)
class Distinct:
    """Each distinct row once (m, d), the first row it stands for (m,) and what its repeats weigh together (m,)."""

    rows: Array
    first: Labels
    weights: Array

    @classmethod
    def of(cls, rows: Array, weights: Array) -> Distinct:
        """Rows without weight are left out."""
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        own = np.asarray(np.bincount(which.reshape(-1), weights=weights, minlength=len(first)), dtype=np.float64)
        kept = first[own > 0]
        return cls(rows[kept], kept, own[own > 0])

    def centres(self) -> Labels:
        """Numbers of the rows around which groups are made."""
        n = len(self.first)
        if n <= MOST_CENTRES:
            return np.arange(n)
        return np.sort(np.random.default_rng(0).choice(n, MOST_CENTRES, replace=False))


@dataclass(frozen=True, eq=False)
class Clumps:
    """Groups of one size.

    Attributes
    ----------
    size : int
        Distinct rows in each.
    near : (C, R)
        Rows nearest to the centre of each group, the centre first; ``size`` of them are the group.
    near_weights : (C, R)
    log_densities : (C, R)
        Of those rows under the group's Gaussian.
    weights, means, covariances : (C,), (C, d), (C, d, d)
        What the group weighs; its mean; the covariance of its rows and of as many again as a component needs, spread evenly over
        its ball.
    total : float
        Of all weights.
    """

    size: int
    near: Labels
    near_weights: Array
    log_densities: Array
    weights: Array
    means: Array
    covariances: Array
    total: float

    def part(self, c: int) -> tuple[float, Array, Array]:
        """One group: its weight, its mean (d,) and its covariance (d, d)."""
        return float(self.weights[c]), self.means[c], self.covariances[c]

    def gains(self, log_density: Array) -> Array:
        """A lower bound of what each of them adds to a mixture, from the log densities (n,) of all rows under it (C,)."""
        part = np.minimum(self.weights / self.total, 0.5)[:, None]
        ratios = np.exp(np.minimum(self.log_densities - log_density[self.near], LARGEST_EXPONENT))
        gained = (self.near_weights * np.log1p(part * (ratios - 1.0))).sum(axis=1)
        lost = (self.total - self.near_weights.sum(axis=1)) * np.log1p(-part[:, 0])
        return np.asarray(gained + lost)


def clumps_of(rows: Array, weights: Array, covariance: Array) -> tuple[Clumps, ...]:
    """Groups of each size among rows (n, d), nearness measured by their covariance (d, d)."""
    own = Distinct.of(rows, weights)
    centres = own.centres()
    n, d = own.rows.shape
    sizes = sorted({size for part in SIZES if 2 <= (size := round(part * (d + 1))) <= n // 2})
    if not sizes:
        return ()
    values, axes = np.linalg.eigh(covariance)
    largest = float(values[-1]) or 1.0
    values = np.where(values > FLAT * largest, values, largest)
    white = (own.rows - own.rows.mean(axis=0)) @ (axes / np.sqrt(values))
    found = cKDTree(white).query(white[centres], k=min(n, REACH * sizes[-1]))
    distances, near = np.asarray(found[0], dtype=np.float64), np.asarray(found[1], dtype=np.intp)
    round_ = np.asarray((axes * values) @ axes.T)
    return tuple(_of_size(size, own, near[:, : REACH * size], distances[:, size - 1], round_) for size in sizes)


def _of_size(size: int, own: Distinct, near: Labels, radii: Array, round_: Array) -> Clumps:
    """Groups of the rows (C, R) near some centres, of which the first few within a radius (C,) are the group."""
    d = own.rows.shape[1]
    held, inside = own.weights[near[:, :size]], own.rows[near[:, :size]]
    weights = held.sum(axis=1)
    means = np.einsum("cs,csd->cd", held, inside) / weights[:, None]
    centred = inside - means[:, None]
    scatters = np.einsum("cs,csd,cse->cde", held, centred, centred)
    added = (d + 1) * own.weights.mean()
    ball = (np.maximum(radii, np.finfo(np.float64).tiny ** 0.25) ** 2 / (d + 2))[:, None, None] * round_  # of a full ball
    covariances = (scatters + added * ball) / (weights + added)[:, None, None]
    roots = np.linalg.cholesky(covariances)
    white = np.linalg.solve(roots, (own.rows[near] - means[:, None]).transpose(0, 2, 1))
    log_det = 2.0 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    log_densities = -0.5 * ((white**2).sum(axis=1) + log_det[:, None] + d * log(2 * pi))
    return Clumps(size, own.first[near], own.weights[near], log_densities, weights, means, covariances, float(own.weights.sum()))
