"""Initialisers from ``init_params``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.masked import refuse_masked
from mixtura.data.dataset import Dataset
from mixtura.distribution.mixture_density import NOISE_LABEL
from mixtura.initialise.initialisers import (
    BY_NAME,
    ROWS_OF_A_BLOCK,
    FromLabels,
    FromResponsibilities,
    Initialiser,
)
from mixtura.initialise.noise_rows import NoiseStart


def noise_start(estimator: Any, present: Flags | None, n: int) -> NoiseStart:
    """The rows of the fit that its starts leave to the noise.

    They are those of ``noise_init`` and those with the label -1 in ``init_params``; else they are
    found.
    """
    size = n if present is None else len(present)
    own = np.zeros(size, dtype=bool)
    if estimator.noise_init is not None:
        refuse_masked("noise_init", estimator.noise_init)
        own = np.asarray(estimator.noise_init)
        if own.shape != (size,) or own.dtype != bool:
            raise ValueError(
                f"noise_init must be a mask of bool with shape ({size},), True for rows of the "
                f"noise, but has shape {own.shape} of {own.dtype}. Pass for example labels == -1."
            )
    labelled = _labelled_noise(estimator.init_params, size)
    if estimator.noise_init is None and labelled is None:
        return NoiseStart()
    own = own if labelled is None else own | labelled
    own = own if present is None else own[present]
    if own.all():
        raise ValueError(
            "noise_init leaves all rows to the noise, so that no component has a start. Mark only "
            "rows that belong to no group."
        )
    return NoiseStart(own)


def _labelled_noise(init_params: Any, n: int) -> Flags | None:
    """The rows with the label -1; None where there are no labels or no such row."""
    if isinstance(init_params, str) or callable(init_params):
        return None
    given = np.asarray(init_params)
    if given.shape != (n,) or given.dtype.kind not in "iuf" or not (given == NOISE_LABEL).any():
        return None
    noise: Flags = given == NOISE_LABEL
    return noise


def initialiser_of(
    init_params: Any, X: Rows, K: int, present: Any, noise: Flags | None = None
) -> Initialiser | None:
    """The initialiser behind ``init_params``; None for ``"auto"``.

    ``noise`` are rows of ``X`` that are left to a noise term, whatever was given for them.
    ``present`` is a mask of the user's rows that are left in ``X``, or None for all: given arrays
    have an entry for each of the user's rows.
    """
    if isinstance(init_params, str):
        if init_params == "auto":
            return None
        if init_params in BY_NAME:
            return BY_NAME[init_params]
        raise ValueError(
            f"init_params={init_params!r} is not known. Use 'auto', "
            f"{', '.join(map(repr, BY_NAME))}, an array of labels (n,), an array of "
            "responsibilities (n, K), or a callable."
        )
    if callable(init_params):
        return _FromCallable(init_params, X)
    if present is None:
        return _given_start(init_params, len(X), K, noise)
    refuse_masked("init_params", init_params)
    given = np.asarray(init_params)
    if len(given) != len(present):
        raise ValueError(
            f"init_params must have one entry for each of the {len(present)} rows of X, but has "
            f"{len(given)}."
        )
    return _given_start(given[present], len(X), K, noise)


class _FromCallable:
    """``init_params(X, n_components, rng)`` returns labels (n,) or responsibilities (n,K)."""

    name = "callable"

    def __init__(self, function: Any, X: Rows) -> None:
        self.function, self.X = function, X

    def take(self, rows: Flags) -> _FromCallable:
        """The callable for some of the rows."""
        return _FromCallable(self.function, self.X[rows])

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Any:
        """Moments of the labels or responsibilities that the callable returns."""
        return _given_start(self.function(self.X, K, rng), len(self.X), K)(dataset, K, rng)


def _given_start(given: Any, n: int, K: int, noise: Flags | None = None) -> Initialiser:
    """The initialiser of given labels or responsibilities, which are checked."""
    refuse_masked("init_params", given)
    array = np.asarray(given)
    if array.shape == (n,):
        return FromLabels(_labels(array, K, noise))
    if array.shape == (n, K):
        return FromResponsibilities(_responsibilities(array))
    raise ValueError(
        f"init_params must be labels of shape ({n},) or responsibilities of shape ({n}, {K}), but "
        f"has shape {array.shape}. Pass one label per row in 0 .. n_components - 1, or one column "
        "per component."
    )


def _pieces(array: Any) -> Iterator[Any]:
    """Consecutive parts along the first axis, so that a check makes no copy of the whole."""
    return (
        array[begin : begin + ROWS_OF_A_BLOCK] for begin in range(0, len(array), ROWS_OF_A_BLOCK)
    )


def _responsibilities(array: Any) -> Array:
    """Checked responsibilities (n,K), not copied if they are numbers."""
    array = array if array.dtype.kind in "fiu" else array.astype(np.float64)
    total: Any = 0.0
    for piece in _pieces(array):
        parts = piece.astype(np.float64)
        if (
            not np.isfinite(parts).all()
            or (parts < 0).any()
            or not np.allclose(parts.sum(axis=1), 1.0, atol=1e-6)
        ):
            raise ValueError(
                "responsibilities in init_params must be at least 0 and sum to one in every row. "
                "Divide each row by its sum."
            )
        total = total + parts.sum(axis=0)
    if not (total > 0).all():
        raise ValueError(
            "responsibilities in init_params leave a component without any row, and EM can never "
            "bring it back."
        )
    checked: Array = array
    return checked


def _labels(array: Any, K: int, noise: Flags | None) -> Labels:
    """Checked labels 0 .. K-1, each of them used; not copied if they are integers.

    Those of rows in the ``noise`` are not read.
    """
    if noise is not None:
        array = np.where(noise, array[~noise][0], array)
    labels: Labels = array if array.dtype.kind in "iu" else array.astype(np.intp)
    whole = array is labels or all(
        np.array_equal(*pieces) for pieces in zip(_pieces(labels), _pieces(array), strict=True)
    )
    used = np.unique(np.concatenate([np.unique(piece) for piece in _pieces(labels)]))
    if not whole or not np.array_equal(used, np.arange(K)):
        raise ValueError(
            f"labels in init_params must be the integers 0 .. {K - 1}, each at least once, but "
            f"{np.unique(array)[:10].tolist()} came. np.unique(labels, return_inverse=True)[1] "
            "renumbers them."
        )
    return labels
