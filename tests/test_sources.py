"""Sources give all rows, once, in order; a compact order is a permutation in which neighbours stand together."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import survey
from mixtura.extension import extension
from mixtura.sources import ArraySource, Reweighted
from mixtura.sources.array import ROWS_TOGETHER
from mixtura.survey import COMPACT_FROM, COMPACT_ROWS

native = pytest.mark.skipif(extension is None, reason="built without a C++ compiler")


@native
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (63, 2), (64, 3), (1000, 1), (5003, 4)])
def test_a_compact_order_holds_every_row_once_with_its_weight(n, d, dtype):
    rng = np.random.default_rng(n)
    X, weights = rng.standard_normal((n, d)).astype(dtype), np.arange(n, dtype=float)
    compact = ArraySource(X, weights).compact(np.ones(d))
    assert compact.X.dtype == dtype
    order = compact.weights.astype(int)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(compact.X, X[order])


@native
def test_neighbours_stand_together_whatever_the_units():
    X = np.random.default_rng(0).uniform(size=(64 * 256, 2))
    units = np.array([1.0, 2.0**20])
    compact = ArraySource(X * units).compact(units).X / units
    leaves = compact.reshape(-1, ROWS_TOGETHER, 2)
    # 256 leaves of equal size in the unit square: 16 x 16 squares of side 1/16 would be ideal, twice that is still small
    assert np.median(np.ptp(leaves, axis=1)) < 2.0 / 16.0
    np.testing.assert_array_equal(compact, ArraySource(X).compact(np.ones(2)).X)


@native
def test_equal_rows_are_no_trouble():
    compact = ArraySource(np.zeros((5000, 3))).compact(np.ones(3))
    assert compact.X.shape == (5000, 3)


def test_sources_that_cannot_be_reordered_stay_as_they_are():
    X = np.asfortranarray(np.random.default_rng(0).standard_normal((100, 2)))
    assert ArraySource(X).compact(np.ones(2)).X is X
    weighted = Reweighted(ArraySource(X), np.ones(100))
    assert weighted.compact(np.ones(2)) is weighted


@native
def test_only_many_rows_and_many_components_are_worth_a_copy():
    many, few = (survey(np.random.default_rng(0).standard_normal((n, 2))) for n in (COMPACT_ROWS, COMPACT_ROWS - 1))
    assert many.source_for(COMPACT_FROM) is not many.source
    assert many.source_for(COMPACT_FROM) is many.source_for(COMPACT_FROM + 1)
    assert many.source_for(COMPACT_FROM - 1) is many.source
    assert few.source_for(COMPACT_FROM) is few.source
