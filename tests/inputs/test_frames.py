"""Data frames, masked arrays and lists with missing values are the array with NaN."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator

from mixtura.inputs.row_knowledge import known_classes
from mixtura.inputs.rows import rows_of

WHOLE = [[1, 10], [None, 20], [3, None], [4, 41]]
NUMBERS = np.array(WHOLE, dtype=float)
COLUMNS = {name: [row[j] for row in WHOLE] for j, name in enumerate("ab")}

FRAMES = {
    "pandas float64": lambda: pd.DataFrame(NUMBERS, columns=["a", "b"]),
    "pandas Float64": lambda: pd.DataFrame(COLUMNS).astype("Float64"),
    "pandas Int64": lambda: pd.DataFrame(COLUMNS).astype("Int64"),
    "pandas of Arrow": lambda: pd.DataFrame(COLUMNS, dtype="int64[pyarrow]"),
    "pandas object": lambda: pd.DataFrame(COLUMNS, dtype=object),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars Decimal": lambda: pl.DataFrame(COLUMNS).with_columns(pl.all().cast(pl.Decimal(9, 1))),
    "pyarrow": lambda: pa.table(COLUMNS),
    "masked": lambda: np.ma.masked_invalid(NUMBERS),
    "masked whole": lambda: np.ma.array(np.nan_to_num(NUMBERS).astype(int), mask=np.isnan(NUMBERS)),
    "list": lambda: WHOLE,
    "array of objects": lambda: np.array(WHOLE, dtype=object),
}


def read(X):
    return rows_of(BaseEstimator(), X, fitting=True)


@pytest.mark.parametrize("name", FRAMES)
def test_missing_entries_are_nan(name):
    np.testing.assert_array_equal(read(FRAMES[name]()), NUMBERS)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1.0, 2.0, 4.0], "ok": pd.array([True, None, False], dtype="boolean")}),
        pl.DataFrame({"a": [1.0, 2.0, 4.0], "ok": [True, None, False]}),
        pa.table({"a": [1.0, 2.0, 4.0], "ok": [True, None, False]}),
    ],
    ids=["pandas", "polars", "pyarrow"],
)
def test_true_and_false_are_1_and_0(frame):
    np.testing.assert_array_equal(read(frame), [[1, 1], [2, np.nan], [4, 0]])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"a": [1.0, 2.0], "s": ["1.5", None]}), "column 's' holds String"),
        (pl.DataFrame({"a": [1.0, 2.0], "s": ["1.5", None]}), "column 's' holds String"),
        (pa.table({"a": [1.0, 2.0], "s": ["1.5", None]}), "column 's' holds String"),
        (pd.DataFrame({"a": [1.0, 2.0], "c": pd.Categorical(["u", "v"])}), "'c' holds Categorical"),
        (pd.DataFrame({"a": [1.0, 2.0], "d": pd.to_datetime(["2020"] * 2)}), "'d' holds Datetime"),
    ],
)
def test_other_columns_are_named_with_what_they_hold(frame, words):
    with pytest.raises(ValueError, match=f"{words}.*Leave such columns out"):
        read(frame)


@pytest.mark.parametrize(
    "labels",
    [
        ["u", None, "v"],
        pd.Series(["u", None, "v"]),
        pd.Series(["u", None, "v"], dtype="string"),
        pd.Series(pd.Categorical(["u", None, "v"])),
        np.array(["u", pd.NA, "v"], dtype=object),
        pl.Series(["u", None, "v"]),
        pa.array(["u", None, "v"]),
        np.ma.array(["u", "v", "v"], mask=[False, True, False]),
    ],
)
def test_a_missing_label_is_an_unknown_class(labels):
    known = known_classes(labels, 3)
    assert known.names.tolist() == ["u", "v"]
    assert known.probabilities.tolist() == [[1, 0], [1, 1], [0, 1]]


def test_a_missing_whole_number_is_an_unknown_class_too():
    known = known_classes(pd.Series([7, None, -1, 3], dtype="Int64"), 4)
    assert known.names.tolist() == [3, 7]
    assert known.probabilities.tolist() == [[0, 1], [1, 1], [1, 1], [1, 0]]
