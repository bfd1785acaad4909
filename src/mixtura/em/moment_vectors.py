"""Moments as vectors and back: the vectors that leaps and deviations of EM are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from scipy.linalg.blas import dtrmm

from mixtura.base.arrays import Array
from mixtura.model.covariance import triangular_inverse
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments, Scatter

Sums: TypeAlias = tuple[Array, Array, Array]
"""Counts, first and second moments, or what they are measured in."""


def _one_after_the_other(sums: Sums, units: Sums) -> Array:
    return np.concatenate([(part / unit).ravel() for part, unit in zip(sums, units, strict=True)])


def _apart(vector: Array, origin: Moments, units: Sums) -> Sums:
    """The sums again, in the shapes of those of the origin."""
    K, n_first = origin.counts.size, origin.first.size
    counts, first, second = vector[:K], vector[K : K + n_first], vector[K + n_first :]
    return (
        counts * units[0],
        first.reshape(origin.first.shape) * units[1],
        second.reshape(origin.second.shape) * units[2],
    )


@dataclass(frozen=True, eq=False)
class ScaledMoments:
    """All components measured alike: per row, about fixed points, in units of the data's standard
    deviations.
    """

    origin: Moments
    scale: Array

    @cached_property
    def _units(self) -> Sums:
        deviations = np.sqrt(self.scale)
        outer = np.outer(deviations, deviations)
        second = {Scatter.TRACE: self.scale.sum(), Scatter.DIAGONAL: self.scale}.get(
            self.origin.kind, outer
        )
        return np.ones_like(self.origin.counts), deviations, second

    def vector(self, moments: Moments) -> Array:
        """All sums, one after the other."""
        same = moments.taken_about(self.origin.about)
        return (
            _one_after_the_other((same.counts, same.first, same.second), self._units)
            / self.origin.total
        )

    def moments(self, vector: Array) -> Moments:
        """The moments with these sums; see :meth:`mixtura.model.moments.Moments.with_sums` for what
        it raises.
        """
        counts, first, second = _apart(vector, self.origin, self._units)
        total = self.origin.total
        return self.origin.with_sums(counts * total, first * total, second * total)


@dataclass(frozen=True, eq=False)
class WhitenedMoments:
    """Each component in its own frame, where its mean is 0 and its covariance, of the family's
    form, the identity.

    There the count, the coordinates and the second Hermite polynomials of a component's rows are
    uncorrelated, so with unit lengths

        c / sqrt(n N),      f / sqrt(n N),      (S - c I) / sqrt(2 n N)

    of a component of n rows among N, the length of a vector is that of the information in complete
    data. EM's Jacobian is symmetric in it, where the family fits these very sums (Dempster, Laird &
    Rubin 1977, section 4), and a deviation is as small beside a component of few rows or little
    spread as beside any.
    """

    origin: Moments
    mixture: Mixture

    @cached_property
    def _lengths(self) -> Sums:
        """Of a count, of first and of second moments."""
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
        return own, own[:, None], second

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
        """All sums, one after the other."""
        same = moments.taken_about(self.origin.about)
        first, second = self._turned(same.first, same.second, self.mixture.covariance.whitener)
        return _one_after_the_other(
            (same.counts, first, second - self._of_counts(same.counts)), self._lengths
        )

    def moments(self, vector: Array) -> Moments:
        """The moments with these sums; see :meth:`mixtura.model.moments.Moments.with_sums` for what
        it raises.
        """
        counts, first, second = _apart(vector, self.origin, self._lengths)
        return self.origin.with_sums(
            counts, *self._turned(first, second + self._of_counts(counts), self._inverse)
        )

    def _turned(self, first: Array, second: Array, by: Array) -> tuple[Array, Array]:
        """First and second moments of rows that are turned by a matrix, or stretched by numbers,
        for each component or for all.
        """
        if by.ndim == 3:
            own = [
                (by[k % len(by)], S)
                for k, S in enumerate(second if second.ndim == 3 else second[None])
            ]
            turned = np.stack([_both_sides(L, S) for L, S in own])
            return (by @ first[:, :, None])[:, :, 0], turned if second.ndim == 3 else turned[0]
        squared = by**2
        return first * by.reshape(len(by), -1), second * (
            squared.reshape(-1) if self.origin.kind is Scatter.TRACE else squared
        )

    def _of_counts(self, counts: Array) -> Array:
        """The second moments that so many rows have in their own frame."""
        d = self.mixture.means.shape[1]
        own: dict[Scatter, Array] = {
            Scatter.TRACE: d * counts,
            Scatter.DIAGONAL: np.repeat(counts[:, None], d, axis=1),
            Scatter.TOTAL: counts.sum() * np.eye(d),
            Scatter.DENSE: counts[:, None, None] * np.eye(d),
        }
        return own[self.origin.kind]


def _both_sides(L: Array, S: Array) -> Array:
    """``L S L'`` (d,d) of a lower triangle: half the products of a full matrix."""
    return np.asarray(dtrmm(1.0, L.T, dtrmm(1.0, L.T, S.T, side=1), trans_a=1, overwrite_b=1).T)
