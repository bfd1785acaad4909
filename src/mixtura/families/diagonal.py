"""Ellipsoids along the columns: EEI, VEI, EVI and VVI. The scatter enters through its diagonals."""

from __future__ import annotations

from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance, Diagonal
from mixtura.families.family import CovarianceFamily
from mixtura.families.shapes import own_shapes, own_volumes
from mixtura.model.regularisation import SufficientStatistics


class EEI(CovarianceFamily):
    """One axis-parallel ellipsoid for all: ``Sigma_k = diag(sum_k W_k) / n`` (Celeux & Govaert
    1995).
    """

    name = "EEI"
    needs = Scatter.DIAGONAL
    summary = "ellipsoids along the columns, all alike"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        return Diagonal(statistics.average, statistics.n_components)


class VEI(CovarianceFamily):
    """Axis-parallel ellipsoids of one shape, each of its own volume: ``Sigma_k = lambda_k A``
    (Celeux & Govaert 1995).

    ``A`` is ``sum_k diag(W_k) / lambda_k`` with determinant one and
    ``lambda_k = tr(W_k A^-1) / (d n_k)``: Newton's method.
    """

    name = "VEI"
    needs = Scatter.DIAGONAL
    summary = "ellipsoids along the columns, one shape, own sizes"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Iterated; the problem is convex, so no start is better than another."""
        return Diagonal(own_volumes(statistics.average, statistics.counts), statistics.n_components)


class EVI(CovarianceFamily):
    """Axis-parallel ellipsoids of one volume, each of its own shape: ``Sigma_k = lambda A_k``
    (Celeux & Govaert 1995).

    ``A_k = diag(W_k) / |diag(W_k)|^(1/d)`` and ``lambda = sum_k |diag(W_k)|^(1/d) / n``.
    """

    name = "EVI"
    needs = Scatter.DIAGONAL
    summary = "ellipsoids along the columns, one size, own shapes"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        return Diagonal(own_shapes(statistics.average, statistics.counts), statistics.n_components)


class VVI(CovarianceFamily):
    """Axis-parallel ellipsoids of any volume and shape: ``Sigma_k = diag(W_k) / n_k`` (Celeux &
    Govaert 1995).
    """

    name = "VVI"
    needs = Scatter.DIAGONAL
    summary = "ellipsoids along the columns, each of its own"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        return Diagonal(statistics.average, statistics.n_components)
