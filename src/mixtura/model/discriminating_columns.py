"""Columns that discriminate between components, from the parameters of a mixture alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.distribution.mixture import Mixture


@dataclass(frozen=True)
class ColumnDifference:
    """One column of one component against all other components together.

    Attributes
    ----------
    component, column : int
    difference : float
        Mean of the component minus the mean of the others, in standard deviations pooled over the
        two; NaN where there are no others.
    """

    component: int
    column: int
    difference: float


def standardised_differences(mixture: Mixture) -> Array:
    """Standardised mean difference of every component to the others (K,d).

    With weight ``w``, mean ``m`` and variance ``v`` of a component, and ``m'``, ``v'`` of all the
    others as one distribution,

        (m - m') / sqrt(w v + (1 - w) v')

    NaN for a single component.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> means = np.array([[0.0, 1.0], [3.0, 1.0]])
    >>> two = Mixture(np.array([0.5, 0.5]), means, Spherical(np.ones(1), 2, 2))
    >>> standardised_differences(two).tolist()
    [[-3.0, 0.0], [3.0, 0.0]]
    """
    w = mixture.weights[:, None]
    variances = np.einsum("kjj->kj", mixture.covariance.dense())
    # about the overall mean, so that squares lose no digits
    centred = mixture.means - mixture.weights @ mixture.means
    first, second = w * centred, w * (variances + centred**2)
    rest = 1.0 - w
    with np.errstate(divide="ignore", invalid="ignore"):
        rest_mean = (first.sum(axis=0) - first) / rest
        rest_variance = np.maximum((second.sum(axis=0) - second) / rest - rest_mean**2, 0.0)
        found = (centred - rest_mean) / np.sqrt(w * variances + rest * rest_variance)
    return np.where(rest > 0, found, np.nan)


def ranked_columns(mixture: Mixture, component: int) -> list[ColumnDifference]:
    """The columns of one component, the largest difference first."""
    row = standardised_differences(mixture)[component]
    order = np.argsort(-np.abs(np.nan_to_num(row)), kind="stable")
    return [ColumnDifference(component, int(j), float(row[j])) for j in order]


def separations(mixture: Mixture) -> Array:
    """Between-component share of each column's variance (d,), from 0 to 1."""
    centred = mixture.means - mixture.weights @ mixture.means
    between = mixture.weights @ centred**2
    within = mixture.weights @ np.einsum("kjj->kj", mixture.covariance.dense())
    return np.asarray(between / (between + within))


def discriminating_columns(mixture: Mixture, n: int) -> Labels:
    """Numbers of the ``n`` columns with the largest separation, in the order of the columns."""
    order = np.argsort(-separations(mixture), kind="stable")[:n]
    return np.sort(order)


def deviation_ratios(mixture: Mixture) -> Array:
    """Standard deviation of every component over that within the others (K,d).

    NaN for a single component.
    """
    w = mixture.weights[:, None]
    variances = np.einsum("kjj->kj", mixture.covariance.dense())
    rest = 1.0 - w
    with np.errstate(divide="ignore", invalid="ignore"):
        within = ((w * variances).sum(axis=0) - w * variances) / rest
        found = np.sqrt(variances / within)
    return np.where(rest > 0, found, np.nan)
