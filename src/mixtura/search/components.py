"""Components as parts of the rows: how many, their mean, their covariance. What EM is started from
when a mixture is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mixtura.base.arrays import Array, symmetric
from mixtura.data.dataset import Dataset
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments, Scatter
from mixtura.model.protocols import Block

ROWS_AT_ONCE = 16384
"""Rows whose responsibilities exist at one time."""


class Part(NamedTuple):
    """One component to start from: rows it holds, by weight, their mean (d,) and covariance
    (d,d).
    """

    weight: float
    mean: Array
    covariance: Array


def components_of(mixture: Mixture, total: float) -> tuple[Part, ...]:
    """The components of a mixture of rows that weigh so much."""
    dense = mixture.covariance.dense()
    return tuple(map(Part, (total * mixture.weights).tolist(), mixture.means, dense))


def mean_covariance(mixture: Mixture) -> Array:
    """The mean covariance of the components, by weight (d, d)."""
    return np.asarray(np.average(mixture.covariance.dense(), axis=0, weights=mixture.weights))


def joined(one: Part, other: Part) -> Part:
    """Two components as one: its mean and covariance are those of the two together."""
    weight = max(one.weight + other.weight, np.finfo(np.float64).tiny)
    mean = (one.weight * one.mean + other.weight * other.mean) / weight
    outer = sum(
        (part.weight / weight) * (part.covariance + np.outer(part.mean - mean, part.mean - mean))
        for part in (one, other)
    )
    return Part(weight, mean, np.asarray(outer))


def component_of(rows: Array, weights: Array, measure: Array, row_weight: float) -> Part:
    """Weighted rows as a component; d + 1 rows' worth of a covariance that is known keeps a few of
    them from being flat.
    """
    weight = float(weights.sum())
    mean = weights @ rows / weight
    centred = rows - mean
    known = (rows.shape[1] + 1) * row_weight
    return Part(
        weight,
        mean,
        symmetric((weights[:, None] * centred).T @ centred + known * measure) / (weight + known),
    )


def moments_of_components(parts: Sequence[Part]) -> Moments:
    """Moments about the parts' means."""
    about = np.array([part.mean for part in parts])
    counts = np.array([part.weight for part in parts])
    scatter = counts[:, None, None] * np.array([part.covariance for part in parts])
    return Moments(about, counts, np.zeros_like(about), scatter, Scatter.DENSE)


def blocks_of(dataset: Dataset) -> list[Block]:
    """All rows in pieces whose responsibilities may exist at one time."""
    return [part for block in dataset.source.blocks() for part in block.cut(ROWS_AT_ONCE)]
