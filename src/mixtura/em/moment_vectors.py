"""Moments as vectors and back, for extrapolations and for deviations of EM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from scipy.linalg.blas import dtrmm

from mixtura.base.arrays import Array
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import triangular_inverse
from mixtura.distribution.mixture import Mixture
from mixtura.model.moments import Moments

Sums: TypeAlias = tuple[Array, ...]
"""Counts, first and second moments, the sums of t components where there are any, and the rows in
the noise, (1,) or (0,) without noise; or their units.
"""


LEAST_NOISE = 1e-9
"""Part of the rows in the noise from which on a deviation of its weight is measured. Below that it
is at the bound of 0, and a deviation would make it negative.
"""

NO_ROWS = 1e-10
"""Part of the rows below which a component is without rows, and a deviation of its count, of 1e-5
standard deviations, could be below 0.
"""


def _of_tails(moments: Moments) -> Sums:
    """The sums of t components: pulls, and those of estimated degrees of freedom."""
    sums = (moments.pulls, moments.tail_sums, moments.tail_information)
    return tuple(part for part in sums if part is not None)


def _sums(moments: Moments, noisy: bool) -> Sums:
    """The sums of moments."""
    noise = np.array([moments.noise] if noisy else [])
    return moments.counts, moments.first, moments.second, *_of_tails(moments), noise


def _with_sums(origin: Moments, sums: Sums) -> Moments:
    """Moments with these sums; raises as :meth:`mixtura.model.moments.Moments.with_sums`."""
    counts, first, second, *tails, noise = sums
    moments = origin.with_sums(counts, first, second, float(noise[0]) if len(noise) else None)
    return moments.with_tails(*tails) if tails else moments


def _joined(sums: Sums, units: Sums) -> Array:
    """All sums in their units, one after the other."""
    return np.concatenate([(part / unit).ravel() for part, unit in zip(sums, units, strict=True)])


def _split(vector: Array, origin: Moments, units: Sums) -> Sums:
    """The sums of a vector, in the shapes of those of the origin."""
    like = (origin.counts, origin.first, origin.second, *_of_tails(origin))
    *parts, noise = np.split(vector, np.cumsum([part.size for part in like]))
    return (
        *(
            part.reshape(shaped.shape) * unit
            for part, shaped, unit in zip(parts, like, units[:-1], strict=True)
        ),
        noise * units[-1],
    )


@dataclass(frozen=True, eq=False)
class ScaledMoments:
    """Moments per row about fixed points, in units of the data's standard deviations."""

    origin: Moments
    scale: Array

    @cached_property
    def _units(self) -> Sums:
        deviations = np.sqrt(self.scale)
        outer = np.outer(deviations, deviations)
        second = {Scatter.TRACE: self.scale.sum(), Scatter.DIAGONAL: self.scale}.get(
            self.origin.kind, outer
        )
        one = np.ones_like(self.origin.counts)
        return one, deviations, second, *(one for _ in _of_tails(self.origin)), np.ones(1)

    def vector(self, moments: Moments) -> Array:
        """The moments as a vector."""
        sums = _sums(moments.taken_about(self.origin.about), self.origin.noise > 0)
        return _joined(sums, self._units) / self.origin.total

    def moments(self, vector: Array) -> Moments:
        """The moments of a vector; raises as :meth:`mixtura.model.moments.Moments.with_sums`."""
        sums = _split(vector * self.origin.total, self.origin, self._units)
        return _with_sums(self.origin, sums)


@dataclass(frozen=True, eq=False)
class WhitenedMoments:
    """Moments in whitened coordinates, where each component has mean 0 and identity covariance.

    There the count, the coordinates and the second Hermite polynomials of a component's rows are
    uncorrelated. So for a component of n rows among N, with counts c and moments f and S, the
    vector

        c / sqrt(n N),      f / sqrt(n N),      (S - c I) / sqrt(2 n N)

    has the norm of the complete-data information. The Jacobian of EM is symmetric in it where the
    family estimates exactly these sums (Dempster, Laird & Rubin 1977, section 4), and a deviation
    is equally small for components of any size and scale. Of t components, pulls and the sums of
    the degrees of freedom have the unit of a count. The noise has a count alone.
    """

    origin: Moments
    mixture: Mixture

    @cached_property
    def _units(self) -> Sums:
        """Units of a count, of first and of second moments, and of the rows in the noise."""
        counts, total, d = (
            np.maximum(self.origin.counts, 1e-300),
            self.origin.total,
            self.mixture.means.shape[1],
        )
        own = np.sqrt(counts * total)
        second = {
            Scatter.TRACE: np.sqrt(2 * d) * own,
            Scatter.DIAGONAL: np.sqrt(2) * own[:, None],
            Scatter.TOTAL: np.asarray(np.sqrt(2) * total),
            Scatter.DENSE: np.sqrt(2) * own[:, None, None],
        }[self.origin.kind]
        noise = np.sqrt(np.maximum([self.origin.noise], 1e-300) * total)
        return own, own[:, None], second, *(own for _ in _of_tails(self.origin)), noise

    @cached_property
    def _inverse(self) -> Array:
        """The inverse whiteners."""
        whitener = self.mixture.covariance.whitener
        return (
            np.stack([triangular_inverse(one) for one in whitener])
            if whitener.ndim == 3
            else np.asarray(1.0 / whitener)
        )

    def vector(self, moments: Moments) -> Array:
        """The moments as a vector."""
        same = moments.taken_about(self.origin.about)
        counts, first, second, *tails, noise = _sums(same, self.mixture.noise is not None)
        first, second = self._transformed(first, second, self.mixture.covariance.whitener)
        noise = noise if self._noise_deviates else 0.0 * noise
        sums = (counts, first, second - self._expected(counts), *tails, noise)
        return _joined(sums, self._units)

    def moments(self, vector: Array) -> Moments:
        """The moments of a vector; raises as :meth:`mixtura.model.moments.Moments.with_sums`.

        The count of a component without rows, which only one of a fixed density may be, ends at 0.
        """
        counts, first, second, *tails, noise = _split(vector, self.origin, self._units)
        without_rows = self.origin.counts < NO_ROWS * self.origin.total
        counts = np.where(without_rows, np.maximum(counts, 0.0), counts)
        first, second = self._transformed(first, second + self._expected(counts), self._inverse)
        if not self._noise_deviates:
            noise = noise[:0]  # that of the origin
        return _with_sums(self.origin, (counts, first, second, *tails, noise))

    @property
    def _noise_deviates(self) -> bool:
        return self.origin.noise > LEAST_NOISE * self.origin.total

    def _transformed(self, first: Array, second: Array, by: Array) -> tuple[Array, Array]:
        """First and second moments of rows after a linear transform.

        ``by`` has lower triangles or scale factors, for each component or for all.
        """
        if by.ndim == 3:
            own = [
                (by[k % len(by)], S)
                for k, S in enumerate(second if second.ndim == 3 else second[None])
            ]
            outer = np.stack([_both_sides(L, S) for L, S in own])
            return (by @ first[:, :, None])[:, :, 0], outer if second.ndim == 3 else outer[0]
        squared = by**2
        return first * by.reshape(len(by), -1), second * (
            squared.reshape(-1) if self.origin.kind is Scatter.TRACE else squared
        )

    def _expected(self, counts: Array) -> Array:
        """The expected second moments of so many rows in whitened coordinates."""
        d = self.mixture.means.shape[1]
        own: dict[Scatter, Array] = {
            Scatter.TRACE: d * counts,
            Scatter.DIAGONAL: np.repeat(counts[:, None], d, axis=1),
            Scatter.TOTAL: counts.sum() * np.eye(d),
            Scatter.DENSE: counts[:, None, None] * np.eye(d),
        }
        return own[self.origin.kind]


def _both_sides(L: Array, S: Array) -> Array:
    """``L S L'`` (d,d) for a lower triangle L, with half the products of a full matrix."""
    return np.asarray(dtrmm(1.0, L.T, dtrmm(1.0, L.T, S.T, side=1), trans_a=1, overwrite_b=1).T)
