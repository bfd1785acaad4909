"""The three stored forms of K covariance matrices: spherical, diagonal and dense.

Fourteen families use three forms, and backends read only these. Each form holds one array whose
first axis is K long, or 1 long when all components share the covariance. The common interface is
``log_det (K)``, ``whitener``, ``whiten``, ``dense() (K,d,d)``, ``select``, ``scaled`` and
``marginal``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from scipy.linalg.lapack import dtrtri

from mixtura.base.arrays import Array, Labels, symmetric
from mixtura.base.errors import CollapseError
from mixtura.kernels import either, native

MANY_COLUMNS = 200
"""Columns from which on LAPACK's blocked factors are several times as fast as the loops in C++."""


@dataclass(frozen=True, eq=False)
class Spherical:
    """``variance * identity``. ``values (K or 1,)``."""

    values: Array
    n_components: int
    n_features: int

    @property
    def shared(self) -> bool:
        """Whether one covariance serves all components."""
        return len(self.values) < self.n_components

    @cached_property
    def log_det(self) -> Array:
        """Log-determinants (K,)."""
        return np.broadcast_to(self.n_features * np.log(self.values), self.n_components)

    @cached_property
    def whitener(self) -> Array:
        """Reciprocal standard deviations (K or 1,)."""
        return np.asarray(1.0 / np.sqrt(self.values))

    def whiten(self, k: int, centred: Array) -> Array:
        """Whiten rows (m,d) that are centred at the mean of component k."""
        return np.asarray(centred * self.whitener[k if not self.shared else 0])

    def dense(self) -> Array:
        """Full matrices (K,d,d)."""
        values = np.broadcast_to(self.values, self.n_components)
        return np.asarray(values[:, None, None] * np.eye(self.n_features))

    def select(self, components: Labels) -> Spherical:
        """The covariances of some components, in the order given."""
        values = self.values if self.values.shape[0] == 1 else self.values[components]
        return Spherical(values, len(components), self.n_features)

    def scaled(self, factors: Array) -> Spherical:
        """The covariances times one factor for each component (K,)."""
        return Spherical(self.values * factors, self.n_components, self.n_features)

    def marginal(self, columns: Labels) -> Spherical:
        """The covariances of some columns."""
        return Spherical(self.values, self.n_components, len(columns))


@dataclass(frozen=True, eq=False)
class Diagonal:
    """Axis-parallel ellipsoids. ``values (K or 1, d)`` are variances."""

    values: Array
    n_components: int

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.values.shape[1])

    @property
    def shared(self) -> bool:
        """Whether one covariance serves all components."""
        return len(self.values) < self.n_components

    @cached_property
    def log_det(self) -> Array:
        """Log-determinants (K,)."""
        return np.broadcast_to(np.log(self.values).sum(axis=1), self.n_components)

    @cached_property
    def whitener(self) -> Array:
        """Reciprocal standard deviations (K or 1, d)."""
        return np.asarray(1.0 / np.sqrt(self.values))

    def whiten(self, k: int, centred: Array) -> Array:
        """Whiten rows (m,d) that are centred at the mean of component k."""
        return np.asarray(centred * self.whitener[k if not self.shared else 0])

    def dense(self) -> Array:
        """Full matrices (K,d,d)."""
        values = np.broadcast_to(self.values, (self.n_components, self.n_features))
        return np.asarray(values[:, :, None] * np.eye(self.n_features))

    def select(self, components: Labels) -> Diagonal:
        """The covariances of some components, in the order given."""
        values = self.values if self.values.shape[0] == 1 else self.values[components]
        return Diagonal(values, len(components))

    def scaled(self, factors: Array) -> Diagonal:
        """The covariances times one factor for each component (K,)."""
        return Diagonal(self.values * factors[:, None], self.n_components)

    def marginal(self, columns: Labels) -> Diagonal:
        """The covariances of some columns."""
        return Diagonal(self.values[:, columns], self.n_components)


@dataclass(frozen=True, eq=False)
class Dense:
    """General ellipsoids. ``values (K or 1, d, d)`` are symmetric positive definite.

    ``axes (d,d)``, where a family knows them, are common eigenvectors of all: where its next M-step
    goes on. ``known_whitener``, where it is at hand, is the whitener bit for bit.
    """

    values: Array
    n_components: int
    axes: Array | None = None
    known_whitener: Array | None = field(default=None, repr=False)

    @classmethod
    def from_whitener(cls, whitener: Array, n_components: int) -> Dense:
        """From lower-triangular ``W (K or 1, d, d)`` with ``inverse covariance = W' W``.

        The whitener is kept bit for bit.
        """
        inverses = np.stack([triangular_inverse(w) for w in whitener])
        values = inverses @ np.swapaxes(inverses, -1, -2)
        return cls(values, n_components, known_whitener=whitener)

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.values.shape[1])

    @property
    def shared(self) -> bool:
        """Whether one covariance serves all components."""
        return len(self.values) < self.n_components

    @cached_property
    def whitener(self) -> Array:
        """Inverse Cholesky factors W (K or 1, d, d), lower triangular.

        ``|W (x - mu)|`` is the Mahalanobis distance.

        Raises
        ------
        CollapseError
            When a matrix is not positive definite.
        """
        return _whiteners(self.values) if self.known_whitener is None else self.known_whitener

    @cached_property
    def log_det(self) -> Array:
        """Log-determinants (K,)."""
        own = -2.0 * np.log(np.diagonal(self.whitener, axis1=1, axis2=2)).sum(axis=1)
        return own if len(own) == self.n_components else np.repeat(own, self.n_components)

    def whiten(self, k: int, centred: Array) -> Array:
        """Whiten rows (m,d) that are centred at the mean of component k."""
        return np.asarray(centred @ self.whitener[k if not self.shared else 0].T)

    def dense(self) -> Array:
        """Full matrices (K,d,d)."""
        return np.broadcast_to(self.values, (self.n_components, self.n_features, self.n_features))

    def select(self, components: Labels) -> Dense:
        """The covariances of some components, in the order given; known whiteners go along."""
        values, known = self.values, self.known_whitener
        if values.shape[0] > 1:
            values, known = values[components], None if known is None else known[components]
        return Dense(values, len(components), self.axes, known)

    def scaled(self, factors: Array) -> Dense:
        """The covariances times one factor for each component (K,)."""
        each = factors[:, None, None]
        known = None if self.known_whitener is None else self.known_whitener / np.sqrt(each)
        return Dense(self.values * each, self.n_components, self.axes, known)

    def marginal(self, columns: Labels) -> Dense:
        """The covariances of some columns."""
        return Dense(self.values[:, columns[:, None], columns], self.n_components)


Covariance: TypeAlias = Spherical | Diagonal | Dense


def along_axes(axes: Array, spreads: Array) -> Array:
    """``D_k diag(spreads_k) D_k'`` (K,d,d) from axes and variances (K,d).

    Axes (K,d,d), or (d,d) that all components share, are columns.
    """
    return symmetric((axes * spreads[:, None, :]) @ np.swapaxes(axes, -1, -2))


def _whiteners_in_numpy(matrices: Array) -> Array:
    """Inverse Cholesky factors (F,d,d); a :class:`CollapseError` names the first singular
    matrix.
    """
    return np.stack([triangular_inverse(factor) for factor in _cholesky(matrices)])


def _whiteners_in_cpp(matrices: Array) -> Array:
    """The same, by plain loops where columns are few."""
    if matrices.shape[1] >= MANY_COLUMNS:
        return _whiteners_in_numpy(matrices)
    whiteners = np.empty(matrices.shape)
    singular = native.whiteners(np.ascontiguousarray(matrices, dtype=np.float64), whiteners)
    if singular >= 0:
        raise CollapseError(singular)
    return whiteners


_whiteners = either(_whiteners_in_cpp, _whiteners_in_numpy)


def _cholesky(matrices: Array) -> Array:
    """Lower Cholesky factors (K,d,d), or a :class:`CollapseError` for the first singular matrix."""
    try:
        return np.asarray(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            raise CollapseError(0) from None
    for k, matrix in enumerate(matrices):
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            raise CollapseError(k) from None
    raise CollapseError(0)


def triangular_inverse(factor: Array) -> Array:
    """Inverse of a lower-triangular matrix; LAPACK keeps the zeros above the diagonal."""
    inverse, _ = dtrtri(factor, lower=1)
    return np.asarray(inverse)
