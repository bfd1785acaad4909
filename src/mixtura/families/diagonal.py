"""Ellipsoids along the columns: EEI and VVI here; VEI and EVI have their place between them."""

from __future__ import annotations

import numpy as np

from mixtura.covariance import Covariance, Diagonal
from mixtura.families.family import CovarianceFamily
from mixtura.moments import Moments, Scatter
from mixtura.regularisation import Regularisation


class EEI(CovarianceFamily):
    """One axis-parallel ellipsoid for all: ``Sigma_k = diag(sum_k W_k) / n`` (Celeux & Govaert 1995, 2.1)."""

    name = "EEI"
    aliases = ("tied_diag",)
    needs = Scatter.DIAGONAL
    summary = "ellipsoids along the columns, all alike"

    def m_step(self, moments: Moments, previous: Covariance | None, regularisation: Regularisation) -> Covariance:
        """Closed form."""
        pooled = moments.scatter.sum(axis=0, keepdims=True)
        return Diagonal(regularisation.diagonal(pooled, np.array([moments.total])), moments.n_components)


class VVI(CovarianceFamily):
    """Axis-parallel ellipsoids of any volume and shape: ``Sigma_k = diag(W_k) / n_k``."""

    name = "VVI"
    aliases = ("diag",)
    needs = Scatter.DIAGONAL
    summary = "ellipsoids along the columns, each of its own"

    def m_step(self, moments: Moments, previous: Covariance | None, regularisation: Regularisation) -> Covariance:
        """Closed form."""
        return Diagonal(regularisation.diagonal(moments.scatter, moments.counts), moments.n_components)
