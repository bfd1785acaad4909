"""Components by the moments of their rows: what EM is started from when a mixture is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mixtura.base.arrays import Array, symmetric
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.distribution.mixture import Mixture
from mixtura.model.moments import Moments
from mixtura.model.protocols import Block

ROWS_OF_A_BLOCK = 16384
"""Rows whose responsibilities exist at one time."""


class Component(NamedTuple):
    """One component to start from: the weight of its rows, their mean (d,) and covariance (d,d)."""

    weight: float
    mean: Array
    covariance: Array


def components_of(mixture: Mixture, total: float) -> tuple[Component, ...]:
    """The components of a mixture of rows with this total weight."""
    dense = mixture.covariance.dense()
    return tuple(map(Component, (total * mixture.weights).tolist(), mixture.means, dense))


def mean_covariance(mixture: Mixture) -> Array:
    """The mean covariance of the components, by weight (d, d)."""
    return np.asarray(np.average(mixture.covariance.dense(), axis=0, weights=mixture.weights))


def merged(one: Component, other: Component) -> Component:
    """Two components as one: with the mean and the covariance of the two together."""
    weight = max(one.weight + other.weight, np.finfo(np.float64).tiny)
    mean = (one.weight * one.mean + other.weight * other.mean) / weight
    covariance = sum(
        (each.weight / weight) * (each.covariance + np.outer(each.mean - mean, each.mean - mean))
        for each in (one, other)
    )
    return Component(weight, mean, np.asarray(covariance))


def component_of(rows: Array, weights: Array, prior: Array, row_weight: float) -> Component:
    """Weighted rows (m,d) as a component.

    Its covariance is drawn to a ``prior`` one (d,d) by d + 1 rows' worth, so that few rows are not
    singular.
    """
    weight = float(weights.sum())
    mean = weights @ rows / weight
    centred = rows - mean
    known = (rows.shape[1] + 1) * row_weight
    scatter = symmetric((weights[:, None] * centred).T @ centred + known * prior)
    return Component(weight, mean, scatter / (weight + known))


def moments_of_components(components: Sequence[Component], noise: float = 0.0) -> Moments:
    """Moments about the components' means, beside rows of this weight in the noise."""
    about = np.array([each.mean for each in components])
    counts = np.array([each.weight for each in components])
    scatter = counts[:, None, None] * np.array([each.covariance for each in components])
    return Moments(about, counts, np.zeros_like(about), scatter, Scatter.DENSE, noise=noise)


def blocks_of(dataset: Dataset) -> list[Block]:
    """All rows in blocks whose responsibilities may exist at one time."""
    return [part for block in dataset.source.blocks() for part in block.cut(ROWS_OF_A_BLOCK)]
