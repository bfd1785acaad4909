"""Rows and weights of the user are checked and become a dataset."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from mixtura.backends import backend_named
from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.errors import DataError, DataWarning
from mixtura.base.masked import refuse_masked
from mixtura.data.dataset import Dataset
from mixtura.inputs.data_checks import column_name
from mixtura.inputs.row_knowledge import KnownClasses, known_classes, measurement_errors
from mixtura.model.observation import Observation
from mixtura.sources import ArraySource

SMALLEST_SPAN, LARGEST_SPAN = 1e-145, 1e153
"""Bounds of the span of a column: sums of its squares, also in units of the floor, must be normal
numbers.
"""

SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-150, 1e150
"""Bounds of the mean weight: products of a few weights and of squares must be normal numbers."""


@dataclass(frozen=True, eq=False)
class Data:
    """Checked rows.

    Attributes
    ----------
    rows : (n, d)
    dataset : Dataset
    present : (m,) flags, optional
        Which of the user's m rows have weight; None for all.
    classes : (C,), optional
        The names of the classes of known labels.
    """

    rows: Rows
    dataset: Dataset
    present: Flags | None = None
    classes: Labels | None = None


def read_data(
    estimator: Any, X: Any, sample_weight: Any, labels: Any = None, errors: Any = None
) -> Data:
    """Rows, weights, labels and errors of measurement of the user, checked.

    Rows of weight 0 are left out unread.
    """
    refuse_masked("sample_weight", sample_weight)
    sample_weight = None if sample_weight is None else np.asarray(sample_weight)
    if (
        sample_weight is not None
        and sample_weight.ndim == 1
        and (sample_weight == 0).any()
        and (sample_weight != 0).any()
    ):
        if len(sample_weight) != np.shape(X)[0]:
            checked_weights(sample_weight, np.shape(X)[0])  # refuses
        present = sample_weight != 0
        X, sample_weight = _take(X, present), sample_weight[present]
        labels = None if labels is None else _take(labels, present)
        errors = None if errors is None else np.asarray(errors)[present]
        return _of_some(present, read_data(estimator, X, sample_weight, labels, errors))
    rows = rows_of(estimator, X, fitting=True)
    weights = checked_weights(sample_weight, len(rows))
    empty: Any = np.isnan(rows).all(axis=1)
    if labels is None and empty.any() and not empty.all():
        warnings.warn(
            f"{int(empty.sum())} of {len(rows)} rows have no value in any column: they tell "
            "nothing, and the fit leaves them out. Their posteriors are the weights.",
            DataWarning,
            stacklevel=4,
        )
        own = None if sample_weight is None else np.broadcast_to(sample_weight, len(rows))[~empty]
        kept = None if errors is None else np.asarray(errors)[~empty]
        return _of_some(~empty, read_data(estimator, _take(X, ~empty), own, None, kept))
    check_range(
        rows,
        getattr(estimator, "feature_names_in_", None),
        1.0 if weights is None else _mean_weight(weights),
    )
    known = known_classes(labels, len(rows))
    dataset = dataset_of(rows, weights, estimator.backend, estimator.n_threads, known, errors)
    return Data(rows, dataset, None, None if known is None else known.names)


def _of_some(present: Flags, data: Data) -> Data:
    """Data that were read from the rows that are present, as part of all rows."""
    whole = present.copy()
    whole[present] = True if data.present is None else data.present
    return replace(data, present=whole)


def rows_of(estimator: Any, X: Any, *, fitting: bool, allow_missing: bool = True) -> Rows:
    """``X`` as a float array (n,d), not copied if it is one; column names are checked and kept.

    Missing entries (NaN, NA, null, masked) are NaN in the array, or refused.
    """
    from sklearn.utils.validation import validate_data  # takes long to import

    X = with_nan(X, allow_missing)
    rows: Rows = validate_data(
        estimator,
        X,
        reset=fitting,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        ensure_min_samples=2 if fitting else 0,
    )
    names = getattr(estimator, "feature_names_in_", None)
    _refuse_non_finite(rows, names, allow_missing)
    return rows


def _frame_of(X: Any) -> Any:
    """``X`` as a data frame of narwhals; None if it is no data frame."""
    if hasattr(X, "collect") and not hasattr(X, "shape"):
        raise TypeError(f"X must be in memory, but {type(X).__name__} is lazy. Pass X.collect().")
    try:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise ValueError(
            f"column names of X must differ, but some are the same ({error}). Rename or drop the "
            "copies."
        ) from None
    return frame if isinstance(frame, nw.DataFrame) else None


def with_nan(X: Any, allow_missing: bool = True) -> Any:
    """``X`` with NaN for the missing entries of a data frame or a masked array; text is refused."""
    if allow_missing and isinstance(X, np.ma.MaskedArray):
        as_float: Any = X.astype(np.promote_types(X.dtype, np.float32))
        return as_float.filled(np.nan)
    refuse_masked("X", X)
    frame = _frame_of(X)
    if frame is None:
        _refuse_text(X)
        return X
    text = [
        name
        for name, dtype in frame.schema.items()
        if not (dtype.is_numeric() or dtype in (nw.Boolean, nw.Object))
    ]
    if text:
        raise ValueError(
            f"X must hold numbers, but column {text[0]!r} holds {frame.schema[text[0]]}. "
            f"Leave such columns out, for example X.drop(columns={text!r})."
            f"{_decimal_commas(frame, text)}"
        )
    missing = {
        str(column.name): count
        for column in frame.iter_columns()
        if (count := int(column.is_null().sum()))
    }
    if missing and not allow_missing:
        raise ValueError(_non_finite_message("NaN", missing))
    return frame.with_columns(nw.all().cast(nw.Float64)).to_native() if missing else X


def _decimal_commas(frame: Any, text: Sequence[str]) -> str:
    """What to do about the first column of text whose entries are as '1,5'; else nothing."""
    for name in text:
        first = next((value for value in frame[name].head(100) if isinstance(value, str)), "")
        if re.fullmatch(r"[+-]?\d+,\d+", first.strip()):
            return (
                f" Of {name!r} the first entry is {first!r}: decimal commas are read as numbers by "
                "pandas.read_csv(..., decimal=',') or polars.read_csv(..., decimal_comma=True)."
            )
    return ""


def _refuse_text(X: Any) -> None:
    """Refuse text in an array or a list, also text that looks like a number."""
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    array = np.asarray(X) if kind in ("O", "U", "S") else None
    if array is None and isinstance(X, list | tuple):
        try:
            array = np.asarray(X)
        except ValueError:
            raise ValueError(
                "X must be a table of n rows and d columns, but its rows are of unequal length."
            ) from None
    if array is not None and array.dtype.kind in "OUS":
        for index, value in np.ndenumerate(array):
            if isinstance(value, str | bytes):
                raise ValueError(
                    f"X must hold numbers, but the entry at {tuple(map(int, index))} is the text "
                    f"{str(value)!r}. Text cannot be converted to float without guessing: convert "
                    "it yourself, for example X.astype(float), or leave the column out."
                )


def _refuse_non_finite(rows: Rows, names: Sequence[str] | None, allow_missing: bool) -> None:
    """Refuse infinity, and NaN where it is not allowed, by column and count."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(rows.sum()):
            return
    kinds = (("infinity", np.isinf), ("NaN", np.isnan))[: 1 if allow_missing else 2]
    for value, found in ((value, test(rows)) for value, test in kinds):
        counts = found.sum(axis=0)
        if counts.any():
            label = names if names is not None else [f"column {j}" for j in range(rows.shape[1])]
            first = int(np.flatnonzero(found.any(axis=1))[0])
            raise ValueError(
                _non_finite_message(
                    value,
                    {str(label[int(j)]): int(counts[j]) for j in np.flatnonzero(counts)},
                    first,
                )
            )


def _non_finite_message(value: str, counts: dict[str, int], first: int | None = None) -> str:
    where = ", ".join(
        f"{name!r} ({count} row{'s' if count > 1 else ''})"
        for name, count in list(counts.items())[:8]
    )
    at = "" if first is None else f" The first is in X[{first}]."
    return (
        f"Input X contains {value}: every entry must be a finite number, but there is {value} in "
        f"{where}.{at} Drop or fill these rows first."
    )


def checked_weights(sample_weight: Any, n: int) -> Array | None:
    """Frequencies (n,), or None for ones."""
    if sample_weight is None:
        return None
    refuse_masked("sample_weight", sample_weight)
    weights = np.asarray(sample_weight, dtype=np.float64)
    weights = np.full(n, float(weights)) if weights.ndim == 0 else np.ascontiguousarray(weights)
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must have one value for each of the {n} rows of X, but has shape "
            f"{weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            "sample_weight must be finite and at least 0, but has NaN, infinite or negative "
            "values. Use 0 to leave a row out."
        )
    if not (weights > 0).any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number; a mixture needs at least "
            "two rows with a positive weight."
        )
    mean = _mean_weight(weights)
    if not SMALLEST_WEIGHT <= mean <= LARGEST_WEIGHT:
        raise ValueError(
            f"sample_weight must be between {SMALLEST_WEIGHT:g} and {LARGEST_WEIGHT:g} on average, "
            f"but its mean is {mean:.3g}: sums and products of such weights leave the range of "
            "double precision. A common factor changes no estimate, so pass "
            "sample_weight / sample_weight.max()."
        )
    return weights


def _mean_weight(weights: Array) -> float:
    """The mean of the positive weights, also where their sum overflows."""
    largest = float(weights.max())
    with np.errstate(under="ignore"):
        return largest * float(np.mean(weights[weights > 0] / largest))


def dataset_of(
    X: Rows,
    sample_weight: Array | None,
    backend: str,
    n_threads: int | None,
    known: KnownClasses | None = None,
    errors: Any = None,
) -> Dataset:
    """The dataset of checked rows; those of weight 0 are left out."""
    observation = observation_of(X, errors, known)
    if sample_weight is not None and (sample_weight == 0).any():
        present = sample_weight > 0
        X, sample_weight = X[present], sample_weight[present]
        observation = None if observation is None else observation.take(present)
    source = ArraySource(X, sample_weight, observation)
    return Dataset(source, backend_named(backend, n_threads))


def dataset_for(
    estimator: Any, X: Any, sample_weight: Any = None, labels: Any = None, errors: Any = None
) -> Dataset:
    """The dataset of rows on which a fitted estimator is evaluated."""
    rows = rows_of(estimator, X, fitting=False)
    known = known_classes(labels, len(rows), getattr(estimator, "classes_", None))
    weights = checked_weights(sample_weight, len(rows))
    return dataset_of(rows, weights, estimator.backend, estimator.n_threads, known, errors)


def observation_of(
    X: Rows, errors: Any = None, known: KnownClasses | None = None
) -> Observation | None:
    """How rows were observed: missing entries, errors of measurement, known classes."""
    classes = None if known is None else known.probabilities
    return Observation.of(X, measurement_errors(errors, X), classes)


def _take(X: Any, present: Flags) -> Any:
    """Some rows of an array, a list or a data frame; the others are not read."""
    if isinstance(X, list | tuple):
        return [row for row, here in zip(X, present, strict=True) if here]
    if isinstance(X, np.ma.MaskedArray):
        return X[present]
    frame = _frame_of(X)
    return np.asarray(X)[present] if frame is None else frame.filter(present.tolist()).to_native()


def check_range(X: Rows, names: Sequence[str] | None, weight: float = 1.0) -> None:
    """Refuse columns without any value, and those whose squares overflow or underflow.

    ``weight`` is the mean weight of a row.
    """
    empty = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(empty):
        raise DataError(
            f"{column_name(int(empty[0]), names)} has no value in any row: nothing can be learned "
            "of it. Leave the column out."
        )
    with np.errstate(over="ignore", under="ignore"):
        span = np.fmax.reduce(X).astype(np.float64) - np.fmin.reduce(X)
        least, most = (
            span * min(1.0, np.sqrt(weight)),
            span * np.sqrt(len(X)) * max(1.0, np.sqrt(weight)),
        )
    bad = np.flatnonzero(
        (most > LARGEST_SPAN) | ((span > 0) & (least < SMALLEST_SPAN / np.sqrt(len(X))))
    )
    if len(bad):
        j = int(bad[0])
        weighed = "" if weight == 1.0 else f", times weights of about {weight:.0e},"
        raise DataError(
            f"{column_name(j, names)} spans about {span[j]:.0e}: its squares{weighed} leave the "
            "range of double precision (1e-290 to 1e306). Divide it by a suitable unit, for "
            f"example X[:, {j}] / {np.nanmax(np.abs(X[:, j])):.0e}"
            f"{'' if weight == 1.0 else ', and sample_weight by its mean'}."
        )
