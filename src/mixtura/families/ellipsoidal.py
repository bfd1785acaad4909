"""Ellipsoids in any direction: EEE, VEE, EVE, VVE, EEV, VEV, EVV and VVV."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance, Dense, along_axes
from mixtura.families.axes import TRIED, along, common_axes, disorder, pace
from mixtura.families.family import CovarianceFamily
from mixtura.families.shapes import equal, own_shapes, own_volumes, volumes
from mixtura.model.regularisation import SufficientStatistics


class EEE(CovarianceFamily):
    """One ellipsoid for all: ``Sigma_k = sum_k W_k / n`` (Celeux & Govaert 1995)."""

    name = "EEE"
    needs = Scatter.TOTAL
    summary = "ellipsoids, all alike"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        return Dense(statistics.average, statistics.n_components)


# ---- one orientation for all ---------------------------------------------------------------------


class VEE(CovarianceFamily):
    """Ellipsoids of one shape and orientation, each of its own volume: ``Sigma_k = lambda_k C``
    (Celeux & Govaert 1995).

    ``C`` is ``sum_k W_k / lambda_k`` with determinant one and
    ``lambda_k = tr(W_k C^-1) / (d n_k)``: Newton's method.
    """

    name = "VEE"
    needs = Scatter.DENSE
    summary = "ellipsoids alike but for their size"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Iterated; the problem is convex, so no start is better than another."""
        lambdas = volumes(statistics.average, statistics.counts)
        pooled = np.tensordot(statistics.counts / lambdas, statistics.average, axes=1)
        shared = pooled / np.exp(np.linalg.slogdet(pooled)[1] / statistics.n_features)
        return Dense(lambdas[:, None, None] * shared, statistics.n_components)


class _CommonAxes(CovarianceFamily, ABC):
    """Ellipsoids along axes that all share, ``Sigma_k = D B_k D'``; ``D`` by turning planes
    (:mod:`mixtura.families.axes`).
    """

    needs = Scatter.DENSE
    equal_volumes: bool

    @abstractmethod
    def spreads(self, S: Array, counts: Array) -> Array:
        """Variances along the axes."""

    def starts(self, statistics: SufficientStatistics, previous: Covariance | None) -> list[Array]:
        """Where the axes may start: those of the stricter families, the previous ones, and without
        these each component's own.
        """
        S, counts = statistics.average, statistics.counts
        starts = [np.eye(statistics.n_features), np.linalg.eigh(np.tensordot(counts, S, axes=1))[1]]
        if previous is None:
            starts.extend(np.linalg.eigh(S)[1])
        if isinstance(previous, Dense):
            if previous.axes is not None:
                starts.append(previous.axes)
            else:  # axes shared by all are those of any mean of them
                starts.append(np.linalg.eigh(np.tensordot(counts, previous.dense(), axes=1))[1])
        return starts

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Iterated, so never below the stricter families or the previous answer.

        From previous axes the best start goes on. Without them the best few run for some sweeps
        before one is chosen, because the objective has local minima, and EM stays near the first
        one.
        """
        S, counts = statistics.average, statistics.counts

        def level(axes: Array) -> float:
            return disorder(along(S, axes), counts, self.equal_volumes)

        starts, go = self.starts(statistics, previous), pace(statistics.n_features)
        if previous is None:
            best = sorted(starts, key=level)[:TRIED]
            starts = [common_axes(S, counts, start, self.equal_volumes, go.brief) for start in best]
        sweeps = go.first if previous is None else go.warm
        axes = common_axes(S, counts, min(starts, key=level), self.equal_volumes, sweeps)
        return _turned(axes, self.spreads(along(S, axes), counts), statistics.n_components)


class EVE(_CommonAxes):
    """One volume and orientation, each of its own shape: ``Sigma_k = lambda D A_k D'`` (Celeux &
    Govaert 1995).

    Given ``D``, the law of EVI on ``diag(D' W_k D)``; ``D`` minimises
    ``sum_k |diag(D' W_k D)|^(1/d)`` (Browne & McNicholas 2014). It starts from the axes of EVI and
    EEE, and without previous axes also from each component's own.
    """

    name = "EVE"
    summary = "ellipsoids of one size along common axes"
    equal_volumes = True

    def spreads(self, S: Array, counts: Array) -> Array:
        """EVI's law."""
        return own_shapes(S, counts)


class VVE(_CommonAxes):
    """Common axes, each of its own volume and shape: ``Sigma_k = D B_k D'`` (Celeux & Govaert
    1995).

    Common principal components: ``B_k = diag(D' W_k D) / n_k``, and ``D`` minimises
    ``sum_k n_k log|diag(D' W_k D)|`` (Flury & Gautschi 1986; Browne & McNicholas 2014). It starts
    from the axes of VVI and EEE, and without previous axes also from each component's own and from
    those of VEE and EVE.
    """

    name = "VVE"
    summary = "ellipsoids along common axes"
    equal_volumes = False

    def spreads(self, S: Array, counts: Array) -> Array:
        """VVI's law."""
        return S

    def starts(self, statistics: SufficientStatistics, previous: Covariance | None) -> list[Array]:
        """Those of both stricter families with common axes, too."""
        starts = super().starts(statistics, previous)
        if previous is None:
            S, counts = statistics.average, statistics.counts
            starts.append(np.linalg.eigh(np.tensordot(counts / volumes(S, counts), S, axes=1))[1])
            eve = EVE().estimate(statistics, None)
            starts.extend([eve.axes] if isinstance(eve, Dense) and eve.axes is not None else [])
        return starts


# ---- each of its own orientation -----------------------------------------------------------------


class EEV(CovarianceFamily):
    """One volume and shape, each of its own orientation: ``Sigma_k = D_k B D_k'`` (Celeux & Govaert
    1995).

    ``D_k`` are the eigenvectors of ``W_k``, and with their eigenvalues ``Omega_k`` in falling order
    ``B = sum_k Omega_k / n``.
    """

    name = "EEV"
    needs = Scatter.DENSE
    summary = "ellipsoids alike but for their direction"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        spreads, axes = _principal(statistics.average)
        return _turned(
            axes,
            np.repeat(equal(spreads, statistics.counts), len(axes), axis=0),
            statistics.n_components,
        )


class VEV(CovarianceFamily):
    """One shape, each of its own volume and orientation: ``Sigma_k = lambda_k D_k A D_k'`` (Celeux
    & Govaert 1995).

    ``D_k`` are the eigenvectors of ``W_k``; lambda and ``A`` follow VEI's law on their eigenvalues
    in falling order.
    """

    name = "VEV"
    needs = Scatter.DENSE
    summary = "ellipsoids of one shape"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Iterated in the volumes alone."""
        spreads, axes = _principal(statistics.average)
        return _turned(axes, own_volumes(spreads, statistics.counts), statistics.n_components)


class EVV(CovarianceFamily):
    """One volume, each of its own shape and orientation: ``Sigma_k = lambda C_k`` (Celeux & Govaert
    1995).

    ``C_k = W_k / |W_k|^(1/d)`` and ``lambda = sum_k |W_k|^(1/d) / n``.
    """

    name = "EVV"
    needs = Scatter.DENSE
    summary = "ellipsoids of one size"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        sizes = np.exp(np.linalg.slogdet(statistics.average)[1] / statistics.n_features)
        size = statistics.counts @ sizes / statistics.counts.sum()
        return Dense(statistics.average * (size / sizes)[:, None, None], statistics.n_components)


class VVV(CovarianceFamily):
    """Ellipsoids without restriction: ``Sigma_k = W_k / n_k`` (Celeux & Govaert 1995; the lesson's
    Gaussian mixture).
    """

    name = "VVV"
    needs = Scatter.DENSE
    summary = "ellipsoids, each of its own"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        return Dense(statistics.average, statistics.n_components)


def _principal(S: Array) -> tuple[Array, Array]:
    """Eigenvalues (K,d) in falling order and eigenvectors (K,d,d), columns."""
    values, vectors = np.linalg.eigh(S)
    return np.maximum(values[:, ::-1], 0.0), np.ascontiguousarray(vectors[:, :, ::-1])


def _turned(axes: Array, spreads: Array, K: int) -> Dense:
    """``D_k diag(spreads_k) D_k'``; axes of shape (d,d) are common to all and are kept for the next
    M-step.
    """
    return Dense(along_axes(axes, spreads), K, axes if axes.ndim == 2 else None)
