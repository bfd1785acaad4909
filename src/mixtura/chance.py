"""Components on few rows, and whether chance explains them.

Maximum likelihood finds whatever a few rows have in common: among 240 rows there are 28,680 lines through two of them, and along
some of those five or six others lie by chance. A component there is no degenerate one (:mod:`mixtura.degeneracy`), it may be part
of the likeliest fit, and yet say nothing about rows to come. So two numbers are found for every component on few rows:

    gain      sum_i w_i log p_-i(x_i) / q(x_i)    what the mixture gains by the component: p_-i is refitted without row i (one
                                                  M-step), q is the mixture without the component
    chance    log C(n, r)                         n rows have so many groups of the r rows that a covariance needs, and each lays a
                                                  component: r = d + 1 rows a dense one, two an axis-parallel one

Of fixed models a likelihood ratio above ``e^t`` has at most the chance ``e^-t`` (Markov), and with C(n, r) of them to choose from
at most ``C(n, r) e^-t``. So chance explains a gain below its logarithm.
"""

from __future__ import annotations

from math import lgamma

import numpy as np

from mixtura.arrays import Array, Flags, Rows
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture, log_density, posterior
from mixtura.moments import Moments
from mixtura.walk import Steps

FEW = 5
"""Few rows are fewer than so many times those that a covariance needs."""

AT_ONCE = 8192
"""Rows that are read together."""

TOUCHED = 0.01
"""A row with a lower responsibility is not left out: what that changes is of second order in it."""


def on_few_rows(mixture: Mixture, n_rows: int, rows_needed: int) -> Flags:
    """Which components hold few of the rows, by their weights (K,)."""
    return np.asarray(mixture.weights * n_rows < FEW * rows_needed)


def gain_left_out(steps: Steps, mixture: Mixture, moments: Moments, k: int) -> float:
    """What a mixture gains by component k, each of its rows left out of the fit; -inf where one of them holds it up.

    Parameters
    ----------
    steps : Steps
    mixture : Mixture
    moments : Moments
        Of its E-step.
    k : int
    """
    others = mixture.select(np.delete(np.arange(mixture.n_components), k))
    gain = 0.0
    for block in (part for whole in steps.survey.source.blocks() for part in whole.cut(AT_ONCE)):
        log_joint = mixture.log_joint(block.rows)
        weights = np.ones(len(block.rows)) if block.weights is None else block.weights
        left_out = log_density(log_joint)
        shares = block.weighted(posterior(log_joint, block.rows, mixture))
        for i in np.flatnonzero(shares[:, k] > TOUCHED * weights):
            left_out[i] = _without(steps, mixture, moments, block.rows[i : i + 1], shares[i : i + 1])
        gain += float(weights @ (left_out - others.log_density(block.rows)))
    return gain


def _without(steps: Steps, mixture: Mixture, moments: Moments, row: Rows, shares: Array) -> float:
    """Log density of a row (1,d) under the mixture that is refitted without it and its weighted memberships (1,K)."""
    rest = moments + Moments.of(row, shares, moments.about, moments.kind) * -1.0
    try:
        return float(steps.m_step(rest, mixture).log_density(row)[0])
    except CollapseError:
        return -np.inf


def gain_by_chance(n_rows: int, rows_needed: int) -> float:
    """What a component may gain by chance among so many rows, of which its covariance needs so many."""
    r = min(rows_needed, n_rows)
    return lgamma(n_rows + 1) - lgamma(r + 1) - lgamma(n_rows - r + 1)
