"""The points at which densities are asked for, in the shapes that ``scipy.stats`` takes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.given_numbers import numbers_from
from mixtura.distribution.columns import Names
from mixtura.distribution.kernel_densities import ROWS_AT_ONCE, log_joint_of_complete
from mixtura.distribution.mixture_density import MixtureDensity, log_density


class Points(NamedTuple):
    """Rows (n,d), and the shape of one number for each."""

    rows: Array
    shape: tuple[int, ...]

    def shaped(self, values: Array) -> Any:
        """Values (n,) in the shape of the points; a number for one point."""
        return values.reshape(self.shape)[()]


def points_of(X: Any, mixture: MixtureDensity) -> Points:
    """Points (..., d), or for one column also (...) of up to one axis.

    Raises
    ------
    ValueError
    """
    d = mixture.n_features
    values = numbers_from("X", _in_order(X, mixture.columns))
    if d == 1 and values.ndim < 2:
        return Points(values.reshape(-1, 1), values.shape)
    if values.ndim == 0 or values.shape[-1] != d:
        raise ValueError(
            f"X must have {d} column{'s' * (d > 1)}, as (n, {d}) or one row ({d},), but has shape "
            f"{values.shape}."
        )
    return Points(np.ascontiguousarray(values.reshape(-1, d)), values.shape[:-1])


def _in_order(X: Any, names: Names | None) -> Any:
    """The columns of a data frame that the mixture knows by name, in its order."""
    own = getattr(X, "columns", None)
    if own is None or names is None:
        return X
    missing = [name for name in names if name not in list(own)]
    if missing:
        raise ValueError(
            f"The data frame must have the columns {list(names)}, but {missing} are missing."
        )
    return X[list(names)]


def log_joint_in_box(mixture: MixtureDensity, rows: Array) -> Array:
    """``log weights_k + log p(x_i | k)`` of complete rows (n,K), and that of the noise (n,K+1).

    The noise is only in its box, so that the densities integrate to one.
    """
    own = log_joint_of_complete(mixture, rows)
    if mixture.noise is not None:
        own[~mixture.noise.contains(rows), -1] = -np.inf
    return own


def log_densities(mixture: MixtureDensity, rows: Array) -> Array:
    """Log densities of rows (n,), by blocks; NaN is a missing entry."""
    out = np.empty(len(rows))
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[begin : begin + ROWS_AT_ONCE]
        infinite = np.asarray(np.isinf(part).any(axis=1))
        if infinite.any():
            part = np.where(infinite[:, None], 0.0, part)
        own = (
            mixture.log_joint(part)
            if np.isnan(part).any()
            else log_joint_of_complete(mixture, part)
        )
        out[begin : begin + len(part)] = np.where(infinite, -np.inf, log_density(own))
    return out
