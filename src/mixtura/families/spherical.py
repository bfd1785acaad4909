"""Balls: EII and VII. The scatter enters through its trace alone."""

from __future__ import annotations

import numpy as np

from mixtura.covariance import Covariance, Spherical
from mixtura.families.family import CovarianceFamily
from mixtura.moments import Moments, Scatter
from mixtura.regularisation import Regularisation


class EII(CovarianceFamily):
    """Equal balls: ``Sigma_k = lambda I`` with ``lambda = tr(sum_k W_k) / (n d)`` (Celeux & Govaert 1995, 2.2)."""

    name = "EII"
    aliases = ("tied_spherical",)
    needs = Scatter.TRACE
    summary = "balls of one size"

    def m_step(self, moments: Moments, previous: Covariance | None, regularisation: Regularisation) -> Covariance:
        """Closed form."""
        values = regularisation.spherical(moments.scatter.sum(keepdims=True), np.array([moments.total]))
        return Spherical(values, moments.n_components, moments.n_features)


class VII(CovarianceFamily):
    """Balls of any size: ``Sigma_k = lambda_k I`` with ``lambda_k = tr(W_k) / (n_k d)``."""

    name = "VII"
    aliases = ("spherical",)
    needs = Scatter.TRACE
    summary = "balls, each of its own size"

    def m_step(self, moments: Moments, previous: Covariance | None, regularisation: Regularisation) -> Covariance:
        """Closed form."""
        return Spherical(regularisation.spherical(moments.scatter, moments.counts), moments.n_components, moments.n_features)
