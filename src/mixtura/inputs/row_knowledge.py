"""What a user knows of single rows beside their values: labels, and errors of measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.errors import DataError
from mixtura.base.masked import refuse_masked
from mixtura.inputs.unknown import are_unknown

UNKNOWN_LABEL = -1
"""A label that means unknown, beside None, NaN and NA."""

NOT_NEGATIVE = 1e-10
"""An eigenvalue of an error covariance may be below zero by rounding: this part of the largest."""


@dataclass(frozen=True, eq=False)
class KnownClasses:
    """Checked labels.

    Attributes
    ----------
    names : (C,)
        The classes, sorted: class c is component c.
    probabilities : (n, C)
        0 and 1 for a known label, ones for a row of unknown class.
    """

    names: Labels
    probabilities: Array

    def imposed_on(self, shares: Array) -> Array:
        """Posteriors (n,K) of rows without their labels, with these in place; rows sum to one."""
        known = (self.probabilities < 1.0).any(axis=1)
        C, own = len(self.names), np.array(shares, dtype=np.float64)
        own[known, :C] *= self.probabilities[known]
        own[known, C:] = 0.0
        lost = known & ~(own.sum(axis=1) > 0)
        own[lost, :C] = self.probabilities[lost]
        return np.asarray(own / own.sum(axis=1, keepdims=True))


def known_classes(labels: Any, n: int, names: Labels | None = None) -> KnownClasses | None:
    """Labels (n,), or probabilities of classes (n, C), checked; None where no label is known.

    Unknown is -1, NaN, None or masked in labels, and a row of NaN in probabilities. Labels are
    among ``names`` (C,) where these are given, and else make the classes.
    """
    if labels is None:
        return None
    if isinstance(labels, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(labels)
        labels = np.array(labels, dtype=object)
        labels[hidden] = None
    values = _values(labels)
    if values.ndim == 2:
        return _soft(values, n)
    if values.shape == (n,):
        return _hard(values, names)
    raise ValueError(
        f"labels must have one entry for each of the {n} rows of X, or one row of class "
        f"probabilities, but have shape {values.shape}. Use -1 or NaN where the class is unknown."
    )


def _values(labels: Any) -> Any:
    """Labels as an array; a series of pandas, polars or pyarrow has its own."""
    series = nw.from_native(labels, allow_series=True, pass_through=True)
    if isinstance(series, nw.Series):
        return np.array(series.to_list(), dtype=object)
    if isinstance(series, nw.DataFrame):
        return series.to_numpy()
    return (
        np.array(labels, dtype=object) if isinstance(labels, list | tuple) else np.asarray(labels)
    )


def _hard(values: Any, names: Labels | None) -> KnownClasses | None:
    unknown = are_unknown(values, UNKNOWN_LABEL)
    if unknown.all():
        return None
    known = values[~unknown]
    if known.dtype == object and len({isinstance(value, str) for value in known}) > 1:
        raise ValueError(
            "labels must be all numbers or all text, but some are of either kind. Convert them, "
            "for example labels.astype(str)."
        )
    found, places = np.unique(known, return_inverse=True)
    if names is None:
        names = found
    strange = np.setdiff1d(found, names)
    if len(strange):
        raise ValueError(
            f"labels must be among the classes of the fit, {names[:8].tolist()}, but "
            f"{strange[0]!r} came. Use -1 where the class is unknown."
        )
    places = np.searchsorted(names, found)[places]
    probabilities = np.ones((len(values), len(names)))
    probabilities[~unknown] = np.eye(len(names))[places]
    return KnownClasses(names, probabilities)


def _soft(values: Any, n: int) -> KnownClasses | None:
    if len(values) != n:
        raise ValueError(
            f"labels must have one row of class probabilities for each of the {n} rows of X, but "
            f"have {len(values)}."
        )
    try:
        given = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("class probabilities in labels must be numbers.") from None
    unknown = np.isnan(given).all(axis=1)
    known = given[~unknown]
    if not (np.isfinite(known).all() and (known >= 0).all() and (known.sum(axis=1) > 0).all()):
        raise ValueError(
            "class probabilities in labels must be at least 0, with a positive sum in each row; "
            "a row of NaN is a row of unknown class."
        )
    if not len(known):
        return None
    empty = np.flatnonzero(known.sum(axis=0) == 0)
    if len(empty):
        raise DataError(
            f"class {int(empty[0])} of labels has no rows: its probability is 0 in all of them. "
            "Leave the column out."
        )
    probabilities = np.ones_like(given)
    probabilities[~unknown] = known / known.max(axis=1, keepdims=True)
    return KnownClasses(np.arange(given.shape[1]), probabilities)


# ---- errors of measurement -----------------------------------------------------------------------


def measurement_errors(errors: Any, rows: Rows) -> Array | None:
    """Error variances (n,) or (n,d), or covariances (n,d,d), checked; None for no error.

    Errors of missing entries of the rows (n,d) are not read.
    """
    if errors is None:
        return None
    missing = np.isnan(rows)
    refuse_masked("measurement_covariance", errors)
    n, d = missing.shape
    try:
        given = np.array(errors, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("measurement_covariance must be numbers.") from None
    if given.shape not in ((n,), (n, d), (n, d, d)):
        raise ValueError(
            f"measurement_covariance must be variances of shape ({n},) or ({n}, {d}), or "
            f"covariances of shape ({n}, {d}, {d}), but has shape {given.shape}. Variances are "
            "squares of standard errors."
        )
    if given.ndim == 1:
        given = np.repeat(given[:, None], d, axis=1)
    if given.ndim == 3:
        unread = missing[:, :, None] | missing[:, None, :]
        given[unread] = 0.0
    else:
        given[missing] = 0.0
    if not np.isfinite(given).all():
        raise ValueError(
            "measurement_covariance must be finite wherever X has a value, but has NaN or infinity."
        )
    bad = _not_semi_definite(given)
    if len(bad):
        what = (
            "variances of at least 0"
            if given.ndim == 2
            else ("symmetric, positive semi-definite matrices")
        )
        raise ValueError(
            f"measurement_covariance must hold {what}, but that of row {int(bad[0])} is not"
            f"{f', nor are {len(bad) - 1} more' if len(bad) > 1 else ''}."
        )
    return given if given.any() else None


def _not_semi_definite(errors: Array) -> Labels:
    if errors.ndim == 2:
        return np.flatnonzero((errors < 0).any(axis=1))
    largest = np.abs(errors).max(axis=(1, 2))
    crooked = np.abs(errors - np.swapaxes(errors, 1, 2)).max(axis=(1, 2)) > NOT_NEGATIVE * largest
    lowest = np.linalg.eigvalsh(errors)[:, 0]
    return np.flatnonzero(crooked | (lowest < -NOT_NEGATIVE * largest))
