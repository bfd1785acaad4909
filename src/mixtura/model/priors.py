"""Conjugate priors for means and covariances (Fraley & Raftery 2007).

Given its covariance a mean is normal about ``mean`` with covariance ``Sigma_k / shrinkage``; a
covariance is inverse Wishart (a variance is inverse gamma). Together they add to the
log-likelihood, up to a constant,

    -1/2 sum_k [ rows log det Sigma_k + tr(Sigma_k^-1 scatter)
                 + shrinkage (mu_k - mean)' Sigma_k^-1 (mu_k - mean) ]

where the first two terms count once if all components share the covariance. So a prior acts like a
number of pseudo-rows with a ``scatter``. The number follows from the degrees of freedom, and
differs between the families.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.distribution.covariance import Covariance, Dense


@dataclass(frozen=True, eq=False)
class Prior:
    """A prior for one family, K and dataset.

    Attributes
    ----------
    rows : float
        Pseudo-rows that are added to the count of each free covariance.
    scatter : (d, d)
        Their scatter, which is added to that of the rows.
    shrinkage : float
        Pseudo-rows at ``mean`` for each component's mean; 0 does not shrink means.
    mean : (d,)
    best : float
        A constant that is subtracted for each free covariance. With the least value of the first
        two terms the penalty does not depend on the units of the data.
    """

    rows: float
    scatter: Array
    shrinkage: float = 0.0
    mean: Array | float = 0.0
    best: float = 0.0

    def penalty(self, means: Array, covariance: Covariance) -> float:
        """The term that is added to the log-likelihood, up to a constant."""
        free = covariance.values.shape[0]
        terms: float = self.rows * float(covariance.log_det[:free].sum()) - self.best * free
        terms += sum(self._trace(covariance, k) for k in range(free))
        if self.shrinkage > 0:
            centred = means - self.mean
            terms += self.shrinkage * sum(
                float((covariance.whiten(k, centred[[k]]) ** 2).sum()) for k in range(len(means))
            )
        return -0.5 * terms

    def _trace(self, covariance: Covariance, k: int) -> float:
        """``tr(Sigma_k^-1 scatter)``."""
        if isinstance(covariance, Dense) and self.columns is not None:
            return float(((covariance.whitener[k] ** 2) @ self.columns).sum())
        return float((covariance.whiten(k, self._root) ** 2).sum())

    @cached_property
    def columns(self) -> Array | None:
        """The diagonal of the scatter (d,) where the scatter is diagonal, else None."""
        own = np.diag(self.scatter)
        return own if np.count_nonzero(self.scatter) == np.count_nonzero(own) else None

    @cached_property
    def _root(self) -> Array:
        """``R (d,d)`` with ``R'R`` the scatter."""
        return _root(self.scatter)


@dataclass(frozen=True)
class ConjugatePrior:
    """The prior of Fraley & Raftery 2007 with mclust's defaults.

    Parameters
    ----------
    shrinkage : float, default=0.01
        The mean of each component is shrunk to ``mean`` by this many pseudo-rows; 0 does not
        shrink means.
    mean : (d,) or None
        None: the mean of the data.
    dof : float or None
        Degrees of freedom nu of the inverse Wishart or inverse gamma distribution. None: ``d + 2``.
    scale : (d, d) array, float or None
        For ellipsoids the matrix of the inverse Wishart distribution; where axes are fixed the
        scale of the inverse gamma distribution, a variance. None: the covariance of the data (with
        n - 1), or the mean of its diagonal, over ``K^(2/d)``.

    Notes
    -----
    Pseudo-rows of the M-step (:mod:`mixtura.model.priors`), with m = 1 where ``shrinkage`` is
    positive and 0 otherwise. For VVV and for a single column m is always 1, the limit of a weak
    shrinkage.

    ==================  =========================  ============================================
    EII, VII            ``(nu + 2) / d + m``       EII: ``m K`` for ``m``; the scale counts
                                                   once, not per column
    VEI                 ``(nu + 2 + m) / d``
    EEI, VVI            ``nu + 2 + m``             EEI: ``m K`` for ``m``
    EVI                 ``nu + 1 + m`` in all      over the K components, which share the volume
    EEE                 ``nu + d + 1 + m K``
    EEV, EVE, EVV       ``nu + d + 1 + m`` in all
    VEE, VVE, VVV       ``nu + d + 1 + m``
    VEV                 0                          uniform in the volume
    ==================  =========================  ============================================

    With one component a family has the prior of VII, VVI or VVV, to which it is then equal. These
    numbers are those of mclust, except for VEE, EVE, VVE and EVV, for which mclust has no prior.
    For EII the scale, and for EEI the shrinkage of the means, follow the paper; mclust leaves them
    out.

    References
    ----------
    Fraley & Raftery 2007, J. Classification 24, 155-181.
    """

    shrinkage: float = 0.01
    mean: Any = None
    dof: float | None = None
    scale: Any = None

    def for_family(
        self, family: str, K: int, mean: Array, covariance: Array, total: float
    ) -> Prior:
        """The prior for a family and K.

        ``mean (d,)``, the maximum-likelihood ``covariance (d,d)`` and the ``total`` weight are of
        the data.
        """
        d = len(mean)
        centre = mean if self.mean is None else self.mean
        sample = covariance * (total / max(total - 1.0, 1.0)) / K ** (2.0 / d)
        nu = d + 2.0 if self.dof is None else float(self.dof)
        axes_fixed = family.endswith("I")
        scale = (
            self.scale if self.scale is not None else np.trace(sample) / d if axes_fixed else sample
        )
        scatter = (
            np.asarray(scale, dtype=np.float64) * np.eye(d)
            if np.ndim(scale) == 0
            else np.asarray(scale, dtype=np.float64)
        )
        if K == 1:
            family = _alone(family)
        if family in ("EII", "VII"):
            scatter = scatter / d
        m = 1.0 if self.shrinkage > 0 or d == 1 or family == "VVV" else 0.0
        rows = _rows(family, K, d, nu, m)
        return Prior(rows, scatter, float(self.shrinkage), np.asarray(centre, dtype=np.float64))


def _alone(family: str) -> str:
    """The family to which a family is equal when it has one component."""
    return {"II": "VII", "EI": "VVI", "VI": "VVI"}.get(family[1:], "VVV")


def _rows(family: str, K: int, d: int, nu: float, m: float) -> float:
    """Pseudo-rows per free covariance; see :class:`ConjugatePrior`."""
    in_all = {"EVI": nu + 1, "EVE": nu + d + 1, "EEV": nu + d + 1, "EVV": nu + d + 1}
    shared = {"EII": (nu + 2) / d, "EEI": nu + 2, "EEE": nu + d + 1}
    if family in in_all:
        return (in_all[family] + m) / K
    if family in shared:
        return shared[family] + m * K
    each = {
        "VII": (nu + 2) / d + m,
        "VEI": (nu + 2 + m) / d,
        "VVI": nu + 2 + m,
        "VEV": 0.0,
    }
    return each.get(family, nu + d + 1 + m)


def _root(scatter: Array) -> Array:
    """``R (d,d)`` with ``R'R`` the scatter, which may be singular.

    Columns are scaled to unit diagonal, so that very different units lose no digits.
    """
    deviations = np.sqrt(np.diag(scatter))
    units = np.where(deviations > 0, deviations, 1.0)
    values, vectors = np.linalg.eigh(scatter / np.outer(units, units))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))).T * units)


def pseudo_rows(rows: float, scale: Array) -> Prior:
    """The prior of some pseudo-rows with independent columns of variances ``scale`` (d,).

    The penalty is 0 where every covariance is that of the pseudo-rows, and negative elsewhere.
    """
    return Prior(rows, rows * np.diag(scale), best=rows * float((np.log(scale) + 1.0).sum()))
