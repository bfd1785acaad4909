"""Which columns set the components of a mixture apart: exact for the mixture, without looking at
rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.model.mixture import Mixture


@dataclass(frozen=True)
class Discrimination:
    """One column of one component against all other components together.

    Attributes
    ----------
    component, column : int
    difference : float
        Mean of the component minus the mean of the rest, in standard deviations pooled over the
        two; NaN without a rest.
    """

    component: int
    column: int
    difference: float


def differences(mixture: Mixture) -> Array:
    """Standardised mean differences of every component against the rest (K,d).

    With weight ``w``, mean ``m`` and variance ``v`` of a component, and ``m'``, ``v'`` of all the
    others as one distribution,

        (m - m') / sqrt(w v + (1 - w) v')

    NaN where there is no rest.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.model.covariance import Spherical
    >>> means = np.array([[0.0, 1.0], [3.0, 1.0]])
    >>> two = Mixture(np.array([0.5, 0.5]), means, Spherical(np.ones(1), 2, 2))
    >>> differences(two).tolist()
    [[-3.0, 0.0], [3.0, 0.0]]
    """
    w = mixture.weights[:, None]
    variances = np.einsum("kjj->kj", mixture.covariance.dense())
    centred = (
        mixture.means - mixture.weights @ mixture.means
    )  # about the overall mean, so that squares lose no digits
    first, second = w * centred, w * (variances + centred**2)
    rest = 1.0 - w
    with np.errstate(divide="ignore", invalid="ignore"):
        rest_mean = (first.sum(axis=0) - first) / rest
        rest_variance = np.maximum((second.sum(axis=0) - second) / rest - rest_mean**2, 0.0)
        found = (centred - rest_mean) / np.sqrt(w * variances + rest * rest_variance)
    return np.where(rest > 0, found, np.nan)


def contrasts(mixture: Mixture, component: int) -> list[Discrimination]:
    """The columns of one component, the most telling first."""
    row = differences(mixture)[component]
    order = np.argsort(-np.abs(np.nan_to_num(row)), kind="stable")
    return [Discrimination(component, int(j), float(row[j])) for j in order]


def separations(mixture: Mixture) -> Array:
    """The share of each column's variance that lies between the components (d,), from 0 to 1."""
    centred = mixture.means - mixture.weights @ mixture.means
    between = mixture.weights @ centred**2
    within = mixture.weights @ np.einsum("kjj->kj", mixture.covariance.dense())
    return np.asarray(between / (between + within))


def telling_columns(mixture: Mixture, n: int) -> Labels:
    """Numbers of the ``n`` columns that set the components apart most, in the order of the
    columns.
    """
    order = np.argsort(-separations(mixture), kind="stable")[:n]
    return np.sort(order)


def spread_ratios(mixture: Mixture) -> Array:
    """Standard deviation of every component over that within the other components (K,d); NaN where
    there is no other.
    """
    w = mixture.weights[:, None]
    variances = np.einsum("kjj->kj", mixture.covariance.dense())
    rest = 1.0 - w
    with np.errstate(divide="ignore", invalid="ignore"):
        within = ((w * variances).sum(axis=0) - w * variances) / rest
        found = np.sqrt(variances / within)
    return np.where(rest > 0, found, np.nan)
