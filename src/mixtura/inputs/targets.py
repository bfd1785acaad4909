"""The targets of a regression: one or several columns of numbers, of which some may be missing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from mixtura.base.arrays import Array, Rows
from mixtura.base.errors import DataError, DataWarning
from mixtura.inputs.unknown import are_unknown

Names = tuple[str, ...]

EXACT, BLUR = 3e-6, 1e-4
"""A target whose errors are at most the first, in standard deviations, is fitted with errors of the
second: covariances of which it is a part are no more singular.
"""

ROWS_OF_A_LINE = 1000
"""Rows that are looked at first."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Checked targets.

    Attributes
    ----------
    values : (n, m)
        NaN where a target is missing.
    names : tuple of m str, optional
        Of a series or a data frame.
    is_one : bool
        Whether they came as one column (n,).
    """

    values: Rows
    names: Names | None
    is_one: bool


def targets_of(y: Any, n: int) -> Targets:
    """The targets of n rows, (n,) or (n, m); NaN, None, NA and masked entries are missing.

    Raises
    ------
    ValueError
    """
    if y is None:
        raise ValueError(
            "a regressor requires y to be passed, but the target y is None. Pass a number, or "
            "several, for each row, with NaN where it is unknown."
        )
    values, names = _numbers(y)
    if values.ndim not in (1, 2) or values.shape[-1:] == (0,):
        raise ValueError(
            "y must have one target for each row of X, (n,), or m of them, (n, m), but has shape "
            f"{values.shape}."
        )
    if len(values) != n:
        raise ValueError(
            f"y must have one row for each of the {n} rows of X, but found input variables with "
            f"inconsistent numbers of samples: {[n, len(values)]}."
        )
    table = values[:, None] if values.ndim == 1 else values
    if np.isinf(table).any():
        raise ValueError(
            "Input y contains infinity or a value too large for its type: every target must be a "
            "finite number, or NaN where it is unknown."
        )
    return Targets(table, names, values.ndim == 1)


def refuse_without_values(targets: Targets) -> None:
    """Refuse a target that is missing in all rows, or the same in all."""
    for j, values in enumerate(targets.values.T):
        known, which = values[~np.isnan(values)], "" if targets.is_one else f"[:, {j}]"
        if not known.size:
            raise DataError(
                f"y{which} must have a value in at least one row, but it is missing in all of "
                "them: nothing can be learned of it."
            )
        if known.min() == known.max():
            raise DataError(
                f"y{which} must have different values, but it is {known[0]:g} in every row that "
                "has one: there is no spread to model, and nothing to predict."
            )


def blurred(targets: Targets, rows: Rows, weights: Array | None) -> Targets:
    """Targets that are linear functions of the inputs (n,d) without error, with a small error.

    Given the inputs such a target has no density. The error is not correlated with the inputs, so
    that their coefficients stay.
    """
    complete: Any = ~np.isnan(rows).any(axis=1)
    if weights is not None:
        complete &= weights > 0
    values = targets.values.astype(np.float64)
    blurred = []
    for j, own in enumerate(values.T):
        known = np.flatnonzero(complete & ~np.isnan(own))
        if _is_linear(rows[known], own[known]):
            every, spread = np.flatnonzero(~np.isnan(own)), own[known].std()
            error = np.random.default_rng(j).standard_normal(len(every))
            there = complete[every]
            error[there] -= _line(rows[every][there], error[there])
            values[every, j] += BLUR * spread * error
            blurred.append(j)
    if not blurred:
        return targets
    which = "y" if targets.is_one else "Columns " + ", ".join(map(str, blurred)) + " of y"
    warnings.warn(
        f"{which}: linear functions of the inputs without any error, which have no density given "
        f"them. They are fitted with an error of {BLUR:g} of their standard deviation; the "
        "coefficients are those of LinearRegression.",
        DataWarning,
        stacklevel=3,
    )
    return replace(targets, values=values)


def _is_linear(rows: Rows, values: Array) -> bool:
    """Whether values (n,) are a linear function of rows (n,d), with enough rows to tell."""
    n, d = rows.shape
    some = np.unique(np.linspace(0, n - 1, ROWS_OF_A_LINE).astype(np.intp)) if n else slice(0)
    few, own = rows[some], values[some]
    if len(own) <= d + 1 or np.abs(own - _line(few, own)).max() > EXACT * own.std():
        return False
    return n == len(own) or bool(np.abs(values - _line(rows, values)).max() <= EXACT * values.std())


def _line(rows: Rows, values: Array) -> Array:
    """Values (n,) of the regression on rows (n,d)."""
    x = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    units = np.abs(x).max(axis=0)
    x /= np.where(units > 0, units, 1.0)
    mean = values.mean()
    slopes = np.linalg.lstsq(x, values - mean, rcond=None)[0]
    return np.asarray(mean + x @ slopes)


def names_beside(taken: Sequence[str], names: Names | None, m: int) -> Names:
    """Names of m targets that no input has; ``y``, or ``y0``, ``y1``, ... where they have none.

    Examples
    --------
    >>> names_beside(["x", "y"], None, 1), names_beside(["a"], ("a", "b"), 2)
    (('y.2',), ('a.2', 'b'))
    """
    wanted = names or (("y",) if m == 1 else tuple(f"y{j}" for j in range(m)))
    found: list[str] = []
    for name in wanted:
        own, count = name, 1
        while own in taken or own in found:
            count += 1
            own = f"{name}.{count}"
        found.append(own)
    return tuple(found)


def _numbers(y: Any) -> tuple[Array, Names | None]:
    """y as an array of floats, and the names of its columns."""
    if isinstance(y, np.ma.MaskedArray):
        masked: Any = y.astype(np.float64)
        return masked.filled(np.nan), None
    native = nw.from_native(y, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(native, nw.DataFrame):
        columns = [_column(series) for series in native.iter_columns()]
        names = tuple(map(str, native.columns))
        return np.column_stack(columns or [np.zeros((len(native), 0))]), names
    if isinstance(native, nw.Series):
        named = native.name is not None and str(native.name) != ""
        return _column(native), (str(native.name),) if named else None
    array = np.asarray(y)
    if array.dtype.kind in "fiub":
        kept = array.dtype in (np.float32, np.float64)
        return array if kept else array.astype(np.float64), None
    return _from_objects(array), None


def _column(series: Any) -> Array:
    """A column of a data frame: nulls are NaN."""
    if series.dtype.is_numeric() or series.dtype == nw.Boolean:
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    return _from_objects(np.asarray(series.to_list(), dtype=object))


def _from_objects(array: Any) -> Array:
    """Numbers that came as objects, with None or NA where they are missing; text is refused."""
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: y must hold real numbers.")
    flat = array.ravel().tolist()
    text = next((value for value in flat if isinstance(value, str | bytes)), None)
    if text is not None:
        raise ValueError(
            f"y must hold numbers, but {str(text)!r} is text. For classes take MixtureClassifier."
        )
    numbers, known = np.full(array.size, np.nan), ~are_unknown(array.ravel())
    try:
        numbers[known] = array.ravel()[known].astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"y must hold numbers, but entries of type {type(flat[0]).__name__} came."
        ) from None
    return numbers.reshape(array.shape)
