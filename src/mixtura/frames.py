"""Moments as vectors and back, each component in its own frame: where its mean is 0 and its covariance the identity.

There the count, the coordinates and the second Hermite polynomials of a component's rows are uncorrelated, so with unit lengths

    c / sqrt(n N),      f / sqrt(n N),      (S - c I) / sqrt(2 n N)

of a component of n rows among N, the length of a vector is that of the information in complete data. EM's Jacobian is symmetric
in it, where the family fits these very sums (Dempster, Laird & Rubin 1977, section 4), and a deviation is as small beside a
component of few rows or little spread as beside any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mixtura.arrays import Array, symmetric
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture
from mixtura.moments import Moments, Scatter


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a mixture's components, which has the covariances of the family; vectors are about the points of ``origin``."""

    origin: Moments
    mixture: Mixture

    @cached_property
    def _lengths(self) -> tuple[Array, Array, Array]:
        """Of a count, of first and of second moments."""
        counts, total, d = np.maximum(self.origin.counts, 1e-300), self.origin.total, self.mixture.means.shape[1]
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
        return np.asarray(np.linalg.inv(whitener) if whitener.ndim == 3 else 1.0 / whitener)

    def vector(self, moments: Moments) -> Array:
        """All sums, one after the other."""
        same = moments.taken_about(self.origin.about)
        first, second = self._turned(same.first, same.second, self.mixture.covariance.whitener)
        second = second - self._of_counts(same.counts)
        parts = zip((same.counts, first, second), self._lengths, strict=True)
        return np.concatenate([(part / length).ravel() for part, length in parts])

    def moments(self, vector: Array) -> Moments:
        """The moments with these sums (matrices made symmetric).

        Raises
        ------
        CollapseError
            Where a count is negative: a component that is all but empty has no deviation to either side.
        """
        sums, at = [], 0
        for shape, length in zip((self.origin.counts, self.origin.first, self.origin.second), self._lengths, strict=True):
            sums.append(vector[at : at + shape.size].reshape(shape.shape) * length)
            at += shape.size
        counts, first, second = sums
        if (counts < 0).any():
            raise CollapseError(int(counts.argmin()))
        first, second = self._turned(first, second + self._of_counts(counts), self._inverse)
        if self.origin.kind in (Scatter.TOTAL, Scatter.DENSE):
            second = symmetric(second)
        return replace(self.origin, counts=counts, first=first, second=second)

    def _turned(self, first: Array, second: Array, by: Array) -> tuple[Array, Array]:
        """First and second moments of rows that are turned by a matrix, or stretched by numbers, for each component or for all."""
        if by.ndim == 3:
            turned = by @ second @ np.swapaxes(by, 1, 2) if second.ndim == 3 else by[0] @ second @ by[0].T
            return (by @ first[:, :, None])[:, :, 0], turned
        squared = by**2
        return first * by.reshape(len(by), -1), second * (squared.reshape(-1) if self.origin.kind is Scatter.TRACE else squared)

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
