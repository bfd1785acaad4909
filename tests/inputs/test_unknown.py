"""Unknown labels: numbers are compared at once, by the rule for single values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixtura.inputs.classes import UNKNOWN, classes_of
from mixtura.inputs.row_knowledge import known_classes
from mixtura.inputs.unknown import are_unknown

VALUES = [3, -1, 0, 7, -1]
WITH_NAN = [3.0, -1.0, np.nan, 0.1, -np.inf]


@pytest.mark.parametrize("mark", [None, -1, 7, -1.0, 0.1, np.nan, True, np.int8(7), "?", 10**30])
@pytest.mark.parametrize(
    "values",
    [
        *(np.array(VALUES, dtype=dtype) for dtype in (np.int8, np.int64, np.float64)),
        *(np.array(WITH_NAN, dtype=dtype) for dtype in (np.float16, np.float32, np.float64)),
        np.array([1, 0, 255, 7], dtype=np.uint8),
        np.array([2**64 - 1, 0, 7], dtype=np.uint64),
        np.array([True, False]),
        np.zeros(0),
    ],
    ids=lambda values: str(values.dtype),
)
def test_numbers_are_unknown_by_the_rule_for_objects(values, mark):
    of_objects = np.array(values.tolist(), dtype=object)
    found = are_unknown(values, mark)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, are_unknown(of_objects, mark))
    expected = [bool(v != v) or (mark is not None and v == mark) for v in values.tolist()]
    np.testing.assert_array_equal(found, np.array(expected, dtype=bool))


def test_every_missing_value_is_unknown():
    values = np.array([None, np.nan, np.float32("nan"), pd.NA, pd.NaT, "a", ""], dtype=object)
    assert are_unknown(values).tolist() == [True] * 5 + [False] * 2
    assert are_unknown(values, "").tolist() == [True] * 5 + [False, True]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, object])
def test_minus_one_is_unknown_as_a_label_and_a_class_of_a_classifier(dtype):
    values = np.array([1, -1, 2, -1], dtype=dtype)
    known = known_classes(values, 4)
    assert known is not None
    assert known.names.tolist() == [1, 2]
    assert known.probabilities.tolist() == [[1, 0], [1, 1], [0, 1], [1, 1]]
    assert classes_of(values, 4).names.tolist() == [-1, 1, 2]
    assert classes_of(values, 4, unlabeled=-1).codes.tolist() == [0, UNKNOWN, 1, UNKNOWN]
