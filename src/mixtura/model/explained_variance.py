"""How much of the variance of a column other columns explain, under a mixture.

With the law of total variance ``Var Y = Var E[Y | X] + E Var[Y | X]`` the explained share is

    Var E[Y | X] / Var Y,

the correlation ratio (Rao 1973, Linear Statistical Inference, section 4g): 0 where the conditional
mean is the same everywhere, 1 where X determines Y. For one Gaussian it is the squared correlation,
or R squared with several X.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.distribution.mixture import Mixture
from mixtura.model.discriminating_columns import discriminating_columns

DRAWS = 5000
"""Random rows for the outer expectations, of a fixed seed, which makes a share right to about 1 %.
"""

MOST_COLUMNS = 30
"""Columns among which a pair is looked for; each takes one conditioning."""


def explained_by_one(mixture: Mixture) -> Array:
    """Explained share of the variance of column j, given column i alone (d,d); 0 for i = j.

    Examples
    --------
    >>> one = Mixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.6], [0.6, 1.0]]])
    >>> explained_by_one(one).round(1).tolist()  # the squared correlation is 0.36
    [[0.0, 0.4], [0.4, 0.0]]
    """
    rows, d = _rows(mixture), mixture.n_features
    shares = np.zeros((d, d))
    for i in range(d):
        others = np.arange(d) != i
        shares[i, others] = _explained(mixture.condition([i], rows[:, [i]]))
    return shares


def explained_by_others(mixture: Mixture) -> Array:
    """Explained share of the variance of each column, given all others (d,)."""
    rows, d = _rows(mixture), mixture.n_features
    shares = np.zeros(d)
    for j in range(d):
        others = np.flatnonzero(np.arange(d) != j)
        shares[j] = _explained(mixture.condition(others, rows[:, others]))[0]
    return shares


def most_explained(mixture: Mixture) -> tuple[int, int]:
    """The columns i and j for which i alone explains most of the variance of j.

    Of more than 30 columns only the 30 that best separate the components are looked at.
    """
    looked_at = discriminating_columns(mixture, MOST_COLUMNS)
    shares = explained_by_one(mixture.marginal(looked_at))
    np.fill_diagonal(shares, -1.0)
    given, target = np.unravel_index(int(shares.argmax()), shares.shape)
    return int(looked_at[given]), int(looked_at[target])


def _rows(mixture: Mixture) -> Array:
    """Random rows; the same at each call."""
    return np.asarray(mixture.rvs(DRAWS, random_state=0))


def _explained(given: Any) -> Array:
    """Explained shares of the remaining columns; 0 where a variance is infinite."""
    between, within = given.mean().var(axis=0), given.var().mean(axis=0)
    return np.asarray(between / (between + within))
