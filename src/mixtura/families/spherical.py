"""Balls: EII and VII. The scatter enters through its trace alone."""

from __future__ import annotations

from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance, Spherical
from mixtura.families.family import CovarianceFamily
from mixtura.model.regularisation import SufficientStatistics


class EII(CovarianceFamily):
    """Equal balls: ``Sigma_k = lambda I`` with ``lambda = tr(sum_k W_k) / (n d)`` (Celeux & Govaert
    1995).
    """

    name = "EII"
    needs = Scatter.TRACE
    summary = "balls of one size"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        return Spherical(statistics.average, statistics.n_components, statistics.n_features)


class VII(CovarianceFamily):
    """Balls of any size: ``Sigma_k = lambda_k I`` with ``lambda_k = tr(W_k) / (n_k d)`` (Celeux &
    Govaert 1995).
    """

    name = "VII"
    needs = Scatter.TRACE
    summary = "balls, each of its own size"

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """Closed form."""
        return Spherical(statistics.average, statistics.n_components, statistics.n_features)
