"""Linear transforms of the data before hierarchical clustering, with mclust's names.

For rows ``x``, their weighted mean ``m``, standard deviations ``s``, covariance ``C`` and
correlations ``R = V L V'``:

=========================  ======  ===================================================
name                       mclust  coordinates
=========================  ======  ===================================================
``original``               VARS    ``x - m``
``standardised``           STD     ``(x - m) / s``
``sphered``                SPH     standardised, times ``V L^(-1/2)``
``principal``              PCS     ``x - m`` along the axes of ``C``
``principal_standardised`` PCR     standardised, times ``V``
``scaled_svd``             SVD     standardised, times ``V D^(-1/2)``, ``D`` its singular
                                   values
=========================  ======  ===================================================

Fraley (1998) and Scrucca & Raftery (2015, "Improved initialisation of model-based clustering using
Gaussian hierarchical partitions"). A criterion that does not change under rotations is the same for
``original`` and ``principal``, and for ``standardised`` and ``principal_standardised``.
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array, Rows
from mixtura.base.errors import DataError

MCLUST_NAMES = {
    "VARS": "original",
    "STD": "standardised",
    "SPH": "sphered",
    "PCS": "principal",
    "PCR": "principal_standardised",
    "SVD": "scaled_svd",
}
"""Names of the transforms by mclust's names."""

TRANSFORMS = tuple(MCLUST_NAMES.values())
"""Names of the transforms."""

LEAST_VARIANCE = 1e-12
"""Principal axes of the standardised columns with less than this part of the largest variance are
rounding, and are left out.
"""

ROWS_PER_SUM = 16384
"""Rows that are centred, summed or transformed at a time; a constant, as it decides the rounding of
the sums.
"""


def transform_named(name: str) -> str:
    """The name of a transform, from this name or from mclust's."""
    full = MCLUST_NAMES.get(name, name)
    if full not in TRANSFORMS:
        raise ValueError(
            f"space={name!r} is not known. Use one of {', '.join(MCLUST_NAMES)} or "
            f"{', '.join(TRANSFORMS)}."
        )
    return full


def transformed(name: str, X: Rows, weights: Array) -> Array:
    """Coordinates (n,r) of rows (n,d) with positive weights (n,).

    r is less than d where columns are constant or linear combinations of others. Variances are
    divided by ``sum(weights) - 1``, as in mclust. The largest entry of an axis is positive.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a DataError below
        mean, covariance = _centre_and_covariance(X, weights)
    map_ = _map(
        transform_named(name),
        covariance,
        X.min(axis=0) < X.max(axis=0),
        max(weights.sum() - 1.0, 0.5 * weights.sum()),
    )
    Z = np.empty((len(X), map_.shape[1]))
    for part in _parts(len(X)):
        Z[part] = (X[part] - mean) @ map_
    return Z


def _centre_and_covariance(X: Rows, weights: Array) -> tuple[Array, Array]:
    """Weighted mean (d,) and covariance (d,d), in two passes, so that an offset costs no digits."""
    total, d = weights.sum(), X.shape[1]
    mean = X[0].astype(np.float64)
    for _ in range(2):
        mean = (
            mean
            + sum((weights[part] @ (X[part] - mean) for part in _parts(len(X))), np.zeros(d))
            / total
        )
    scatter = np.zeros((d, d))
    for part in _parts(len(X)):
        centred = X[part] - mean
        scatter += (weights[part, None] * centred).T @ centred
    return mean, scatter / max(total - 1.0, 0.5 * total)


def _map(name: str, covariance: Array, varies: Array, freedom: float) -> Array:
    """The matrix (d,r) of a transform of centred rows; constant columns are left out."""
    d, used = len(varies), np.flatnonzero(varies)
    C = covariance[np.ix_(used, used)]
    if not (np.isfinite(np.diag(C)) & (np.diag(C) > 0)).all():
        j = int(used[np.argmin(np.isfinite(np.diag(C)) & (np.diag(C) > 0))])
        raise DataError(
            f"the variance of column {j} leaves the range of double precision. Divide the column "
            "by a suitable unit."
        )
    inverse = 1.0 / np.sqrt(np.diag(C))
    if name == "original":
        inner = np.eye(len(used))
    elif name == "standardised":
        inner = np.diag(inverse)
    elif name == "principal":
        inner = _axes(C)[1]
    else:
        values, vectors = _axes(C * np.outer(inverse, inverse))
        kept = values > LEAST_VARIANCE * values.max(initial=0.0)
        power = {"principal_standardised": 0.0, "sphered": -0.5, "scaled_svd": -0.25}[name]
        singular = values[kept] * freedom if name == "scaled_svd" else values[kept]
        inner = inverse[:, None] * vectors[:, kept] * singular**power
    map_ = np.zeros((d, inner.shape[1]))
    map_[used] = inner
    return map_


def _axes(C: Array) -> tuple[Array, Array]:
    """Eigenvalues, and eigenvectors whose largest entry is positive."""
    values, vectors = np.linalg.eigh(C)
    largest = (
        np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)[0]
        if len(C)
        else np.ones(0)
    )
    return values, vectors * np.where(largest < 0, -1.0, 1.0)


def _parts(n: int) -> list[slice]:
    return [slice(begin, begin + ROWS_PER_SUM) for begin in range(0, n, ROWS_PER_SUM)]
