"""Conjugate priors: what is believed about means and covariances before the rows are seen (Fraley &
Raftery 2007).

Given its covariance a mean is normal about ``mean`` with covariance ``Sigma_k / shrinkage``; a
covariance is inverse Wishart (a variance is inverse gamma). Together they add to the
log-likelihood, up to a constant,

    -1/2 sum_k [ rows log det Sigma_k + tr(Sigma_k^-1 scatter) + shrinkage (mu_k - mean)' Sigma_k^-1
    (mu_k - mean) ]

with the first two terms taken once where all components share the covariance. So a prior is some
``rows`` that were seen before, and their ``scatter``; how many they are follows from the degrees of
freedom, and differs between the families.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.model.covariance import Covariance, Dense


@dataclass(frozen=True, eq=False)
class Prior:
    """A prior worked out for one family, K and data set.

    Attributes
    ----------
    rows : float
        What is added to the count of each free covariance.
    scatter : (d, d)
        What is added to its scatter.
    shrinkage : float
        Rows at ``mean`` that each component's mean is drawn by; 0 leaves means alone.
    mean : (d,)
    best : float
        What is taken off for each free covariance, as a constant: with that at its optimum the
        penalty is in no units.
    """

    rows: float
    scatter: Array
    shrinkage: float = 0.0
    mean: Array | float = 0.0
    best: float = 0.0

    def penalty(self, means: Array, covariance: Covariance) -> float:
        """What is added to the log-likelihood, up to a constant."""
        free = covariance.values.shape[0]
        taken: float = self.rows * float(covariance.log_det[:free].sum()) - self.best * free
        taken += sum(self._trace(covariance, k) for k in range(free))
        if self.shrinkage > 0:
            apart = means - self.mean
            taken += self.shrinkage * sum(
                float((covariance.whiten(k, apart[[k]]) ** 2).sum()) for k in range(len(means))
            )
        return -0.5 * taken

    def _trace(self, covariance: Covariance, k: int) -> float:
        """``tr(Sigma_k^-1 scatter)``."""
        if isinstance(covariance, Dense) and self.columns is not None:
            return float(((covariance.whitener[k] ** 2) @ self.columns).sum())
        return float((covariance.whiten(k, self._root) ** 2).sum())

    @cached_property
    def columns(self) -> Array | None:
        """The diagonal of the scatter (d,) where there is nothing beside it, else None."""
        own = np.diag(self.scatter)
        return own if np.count_nonzero(self.scatter) == np.count_nonzero(own) else None

    @cached_property
    def _root(self) -> Array:
        """``R (d,d)`` with ``R'R`` the scatter."""
        return _root(self.scatter)


@dataclass(frozen=True)
class ConjugatePrior:
    """The prior of Fraley & Raftery 2007 with mclust's defaults; what is None is taken from the
    data.

    Parameters
    ----------
    shrinkage : float, default=0.01
        The mean of each component is drawn to ``mean`` as if by this many rows; 0 leaves means
        alone.
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
    ``rows`` of the M-step (:mod:`mixtura.model.priors`), with m = 1 where ``shrinkage`` is positive
    and 0 otherwise. For VVV and for a single column m is always 1, the limit of a weak shrinkage.

    ==================  =========================  ============================================
    EII, VII            ``(nu + 2) / d + m``       EII: ``m K`` for ``m``; the scale counts
                                                   once, not per column
    VEI                 ``(nu + 2 + m) / d``
    EEI, VVI            ``nu + 2 + m``             EEI: ``m K`` for ``m``
    EVI                 ``nu + 1 + m`` in all      over the K components, which share the volume
    EEE                 ``nu + d + 1 + m K``
    EEV, EVE, EVV       ``nu + d + 1 + m`` in all
    VEE, VVE, VVV       ``nu + d + 1 + m``
    VEV                 0                          flat in the volume
    ==================  =========================  ============================================

    With one component, a family's prior is that of VII, VVI or VVV, which it then equals. These are
    mclust's, who has no prior for VEE, EVE, VVE and EVV: theirs here is the penalty above. EII with
    its scale and EEI with its means drawn follow the paper, where mclust leaves both out.

    References
    ----------
    Fraley & Raftery 2007, J. Classification 24, 155-181.
    """

    shrinkage: float = 0.01
    mean: Any = None
    dof: float | None = None
    scale: Any = None

    def worked_out(
        self, family: str, K: int, mean: Array, covariance: Array, total: float
    ) -> Prior:
        """For a family and K, with the mean (d,), maximum-likelihood covariance (d,d) and total
        weight of the data.
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
        drawn = 1.0 if self.shrinkage > 0 or d == 1 or family == "VVV" else 0.0
        rows = _rows(family, K, d, nu, drawn)
        return Prior(rows, scatter, float(self.shrinkage), np.asarray(centre, dtype=np.float64))


def _alone(family: str) -> str:
    """What a family is when it has one component."""
    return {"II": "VII", "EI": "VVI", "VI": "VVI"}.get(family[1:], "VVV")


def _rows(family: str, K: int, d: int, nu: float, drawn: float) -> float:
    """Prior rows per free covariance; see :class:`ConjugatePrior`."""
    in_all = {"EVI": nu + 1, "EVE": nu + d + 1, "EEV": nu + d + 1, "EVV": nu + d + 1}
    shared = {"EII": (nu + 2) / d, "EEI": nu + 2, "EEE": nu + d + 1}
    if family in in_all:
        return (in_all[family] + drawn) / K
    if family in shared:
        return shared[family] + drawn * K
    each = {
        "VII": (nu + 2) / d + drawn,
        "VEI": (nu + 2 + drawn) / d,
        "VVI": nu + 2 + drawn,
        "VEV": 0.0,
    }
    return each.get(family, nu + d + 1 + drawn)


def _root(scatter: Array) -> Array:
    """``R (d,d)`` with ``R'R`` the scatter, which may be singular; columns of very different units
    cost no digits.
    """
    deviations = np.sqrt(np.diag(scatter))
    units = np.where(deviations > 0, deviations, 1.0)
    values, vectors = np.linalg.eigh(scatter / np.outer(units, units))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))).T * units)


def pseudo_rows(rows: float, scale: Array) -> Prior:
    """As if each free covariance had seen some more rows that spread by ``scale`` (d,) with
    independent columns.

    The penalty is 0 where every covariance is that of these rows, and below elsewhere: a search
    compares it in any units.
    """
    return Prior(rows, rows * np.diag(scale), best=rows * float((np.log(scale) + 1.0).sum()))
