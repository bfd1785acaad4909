"""The box of a noise term: over which volume rows that belong to no group are spread.

    box         the smallest box along the columns that holds all rows
    principal   the same along the principal axes of the rows
    auto        the smaller of the two, as in mclust
    a number    a volume, in the product of the columns' units

A mixture knows a box by its sides along the columns (:class:`mixtura.distribution.noise.Noise`), so
that rows with missing entries have the density of their observed columns. So the last three are
boxes of the proportions of the first one with another volume.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import DataError
from mixtura.data.dataset import Dataset
from mixtura.distribution.noise import Noise

NoiseVolume: TypeAlias = Literal["box", "principal", "auto"] | float
"""The volume as users give it."""


def noise_box(dataset: Dataset, volume: NoiseVolume) -> Noise:
    """The noise of a dataset, without weight.

    Raises
    ------
    DataError
        Where a column is constant, so that the box has no volume.
    """
    low, high = _ends(dataset)
    flat = np.flatnonzero(~(high > low))
    if len(flat):
        raise DataError(
            f"noise needs a box with a volume, but column {int(flat[0])} is constant. Leave that "
            "column out, or fit without noise."
        )
    sides = np.log(high - low)
    target = _log_volume(dataset, float(sides.sum()), volume)
    return Noise(0.0, sides + (target - sides.sum()) / len(sides), 0.5 * (low + high))


def _log_volume(dataset: Dataset, of_box: float, volume: NoiseVolume) -> float:
    if volume == "box":
        return of_box
    if volume == "principal":
        return _of_principal_box(dataset)
    if volume == "auto":
        return min(of_box, _of_principal_box(dataset))
    return float(np.log(float(volume)))


def _ends(dataset: Dataset) -> tuple[Array, Array]:
    """The least and the largest observed value of each column (d,)."""
    rows = [block.rows for block in dataset.source.blocks()]
    low = np.fmin.reduce([np.fmin.reduce(own) for own in rows])
    high = np.fmax.reduce([np.fmax.reduce(own) for own in rows])
    return low.astype(np.float64), high.astype(np.float64)


def _of_principal_box(dataset: Dataset) -> float:
    """Logarithm of the volume of the smallest box along the principal axes."""
    axes = np.linalg.eigh(dataset.covariance)[1]
    low, high = np.full(len(axes), np.inf), np.full(len(axes), -np.inf)
    for block in dataset.completed.source.blocks():
        turned = (block.rows - dataset.mean) @ axes
        low, high = np.minimum(low, turned.min(axis=0)), np.maximum(high, turned.max(axis=0))
    if not (high > low).all():
        raise DataError(
            "noise needs a box with a volume, but the rows lie in fewer dimensions than they have "
            "columns. Leave a column out, or give a volume as a number."
        )
    return float(np.log(high - low).sum())
