"""The classes of rows that a classifier is fitted to, some of which may be unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.masked import refuse_masked
from mixtura.inputs.row_knowledge import KnownClasses
from mixtura.inputs.unknown import are_unknown

UNKNOWN = -1
"""The code of a row whose class is unknown."""

PRIOR_ROUNDING = 1e-6
"""Distance from one of a sum of priors that is their rounding."""


@dataclass(frozen=True, eq=False)
class Classes:
    """Checked classes.

    Attributes
    ----------
    names : (C,)
        As the user calls them, sorted.
    codes : (n,)
        The number of each row's class; -1 where it is unknown.
    """

    names: Labels
    codes: Labels

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.names)

    @property
    def are_known(self) -> bool:
        """Whether the class of every row is known."""
        return bool((self.codes != UNKNOWN).all())

    @property
    def as_labels(self) -> KnownClasses:
        """What is known of each row: one class, or that it may be any."""
        known = self.codes != UNKNOWN
        probabilities = np.ones((len(self.codes), self.n_classes))
        probabilities[known] = np.eye(self.n_classes)[self.codes[known]]
        return KnownClasses(np.arange(self.n_classes), probabilities)


def classes_of(y: Any, n: int, present: Flags | None = None, unlabeled: Any = None) -> Classes:
    """The classes of n rows; NaN, None, NA and the value ``unlabeled`` mean unknown.

    No other value does, since any may be the name of a class: -1 is one of two classes as often as
    a mark. Only rows that are ``present`` (n,) count, if that is given.

    Raises
    ------
    ValueError
    """
    from sklearn.utils.multiclass import check_classification_targets  # takes long to import
    from sklearn.utils.validation import column_or_1d

    if y is None:
        raise ValueError(
            "a classifier requires y to be passed, but the target y is None. Pass the class of "
            "each row, with NaN or None where it is unknown."
        )
    refuse_masked("y", y)
    values: Any = np.asarray(column_or_1d(_as_objects(y), warn=True))
    if len(values) != n:
        raise ValueError(
            f"y must have one class for each of the {n} rows of X, but found input variables with "
            f"inconsistent numbers of samples: {[n, len(values)]}. Pass one class per row."
        )
    if present is not None:
        values = values[present]
    unknown = are_unknown(values, unlabeled)
    if unknown.all():
        raise ValueError(
            "y must name the class of at least one row, but all of them are unknown. "
            "GaussianMixture finds groups without any class."
        )
    known: Any = np.array(values[~unknown].tolist())
    if known.dtype.kind == "f" and np.isinf(known).any():
        raise ValueError(
            "Input y contains infinity or a value too large for a class. Use NaN for unknown."
        )
    check_classification_targets(known)
    names, codes = np.unique(known, return_inverse=True)
    whole = np.full(len(values), UNKNOWN, dtype=np.intp)
    whole[~unknown] = codes.reshape(-1)
    if values.dtype.kind in "iub":
        names = names.astype(values.dtype)
    return Classes(names, whole)


def _as_objects(y: Any) -> Any:
    """A list with None or mixed entries as an array of objects; other values as they are."""
    if isinstance(y, list | tuple):
        if any(value is None for value in y):
            return np.array(y, dtype=object)
        return np.asarray(y)
    return y


def class_priors(priors: Any, shares: Array) -> Array:
    """Prior probabilities of the classes (C,): the shares, equal ones, or given ones."""
    C = len(shares)
    if priors is None:
        return shares
    if isinstance(priors, str) and priors == "equal":
        return np.full(C, 1.0 / C)
    try:
        given = np.array(priors, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.zeros(0)
    if given.shape != (C,) or not (given > 0).all() or abs(given.sum() - 1.0) > PRIOR_ROUNDING:
        raise ValueError(
            f"priors must be None, 'equal' or {C} positive numbers that sum to one, in the order "
            f"of classes_, but {priors!r} came. Divide them by their sum."
        )
    return np.asarray(given / given.sum())
