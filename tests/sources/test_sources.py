"""A compact order is a permutation in which neighbours stand together; samples are drawn by weight,
the same for any layout.
"""

from __future__ import annotations

import numpy as np
import pytest

from conftest import dataset
from mixtura.data.dataset import COMPACT_FROM, COMPACT_ROWS
from mixtura.kernels import built
from mixtura.sources import ArraySource, Reweighted
from mixtura.sources.array import ROWS_TOGETHER

WEIGHTS = np.array([0.0, 1.0, 2.0, 0.5, 4.0, 2.5])

native = pytest.mark.skipif(not built, reason="built without a C++ compiler")


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
    # 256 leaves of equal size in the unit square: 16 x 16 squares of side 1/16 would be ideal,
    # twice that is still small
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
    many, few = (
        dataset(np.random.default_rng(0).standard_normal((n, 2)))
        for n in (COMPACT_ROWS, COMPACT_ROWS - 1)
    )
    assert many.source_for(COMPACT_FROM) is not many.source
    assert many.source_for(COMPACT_FROM) is many.source_for(COMPACT_FROM + 1)
    assert many.source_for(COMPACT_FROM - 1) is many.source
    assert few.source_for(COMPACT_FROM) is few.source


# ---- samples -------------------------------------------------------------------------------------


def draws(source, m, seed=0):
    """How often each row came, for a source whose only column is the row's number."""
    sample = source.sample(m, np.random.default_rng(seed))
    counts = np.zeros(source.n_rows)
    weights = np.ones(sample.n_rows) if sample.weights is None else sample.weights
    counts[sample.X[:, 0].astype(int)] = weights
    return counts


def numbered(n):
    return np.arange(float(n))[:, None]


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_row_comes_in_proportion_to_its_weight(weights):
    sources = [
        ArraySource(numbered(6), weights),
        Reweighted(ArraySource(numbered(6)), np.ones(6) if weights is None else weights),
    ]
    shares = np.full(6, 1 / 6) if weights is None else weights / weights.sum()
    for source in sources:
        seen = np.mean([draws(source, 3, seed) for seed in range(4000)], axis=0)
        # A count of three draws varies by less than sqrt(3)/2; the mean of 4000 by less than
        # 0.0137. Four of those.
        assert seen == pytest.approx(3 * shares, abs=0.055)
        assert seen[shares == 0].sum() == 0


@pytest.mark.parametrize("weights", [None, np.random.default_rng(1).uniform(0, 2, 200_000)])
def test_draws_are_spread_over_the_whole_file(weights):
    counts = draws(ArraySource(numbered(200_000), weights), 1000)
    assert counts.sum() == 1000
    share = np.full(200_000, 5e-6) if weights is None else weights / weights.sum()
    ahead = np.cumsum(counts) - 1000 * np.cumsum(share)
    assert np.abs(ahead).max() < 2  # each thousandth has a draw of its own


def test_the_layout_of_an_array_changes_no_draw():
    X = np.random.default_rng(0).standard_normal((150_000, 3))
    weights = np.random.default_rng(1).uniform(size=150_000)
    for own in (None, weights):
        plain, columns = (
            ArraySource(array, own).sample(500, np.random.default_rng(2))
            for array in (X, np.asfortranarray(X))
        )
        assert np.array_equal(plain.X, columns.X)


def test_a_row_that_came_twice_is_one_row_of_weight_two():
    sample = ArraySource(numbered(3), np.array([1.0, 8.0, 1.0])).sample(5, np.random.default_rng(0))
    assert sample.weights is not None
    assert sample.weights.max() >= 3
    assert len(sample.X) == len(np.unique(sample.X, axis=0))
