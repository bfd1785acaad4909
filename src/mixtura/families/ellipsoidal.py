"""Ellipsoids in any direction: EEE and VVV here; VEE, EVE, VVE, EEV, VEV and EVV have their place between them."""

from __future__ import annotations

import numpy as np

from mixtura.covariance import Covariance, Dense
from mixtura.families.family import CovarianceFamily
from mixtura.moments import Moments, Scatter
from mixtura.regularisation import Regularisation


class EEE(CovarianceFamily):
    """One ellipsoid for all: ``Sigma_k = sum_k W_k / n`` (Celeux & Govaert 1995, 1.1)."""

    name = "EEE"
    aliases = ("tied",)
    needs = Scatter.TOTAL
    summary = "ellipsoids, all alike"

    def m_step(self, moments: Moments, previous: Covariance | None, regularisation: Regularisation) -> Covariance:
        """Closed form."""
        return Dense(regularisation.dense(moments.scatter[None], np.array([moments.total])), moments.n_components)


class VVV(CovarianceFamily):
    """Ellipsoids without restriction: ``Sigma_k = W_k / n_k`` (the lesson's Gaussian mixture)."""

    name = "VVV"
    aliases = ("full",)
    needs = Scatter.DENSE
    summary = "ellipsoids, each of its own"

    def m_step(self, moments: Moments, previous: Covariance | None, regularisation: Regularisation) -> Covariance:
        """Closed form."""
        return Dense(regularisation.dense(moments.scatter, moments.counts), moments.n_components)
