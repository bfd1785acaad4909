"""Samples of a source: drawn by weight, spread over the file, the same for any layout."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura.sources import ArraySource, Reweighted

WEIGHTS = np.array([0.0, 1.0, 2.0, 0.5, 4.0, 2.5])


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
    sources = [ArraySource(numbered(6), weights), Reweighted(ArraySource(numbered(6)), np.ones(6) if weights is None else weights)]
    shares = np.full(6, 1 / 6) if weights is None else weights / weights.sum()
    for source in sources:
        seen = np.mean([draws(source, 3, seed) for seed in range(4000)], axis=0)
        # A count of three draws varies by less than sqrt(3)/2; the mean of 4000 by less than 0.0137. Four of those.
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
        plain, columns = (ArraySource(array, own).sample(500, np.random.default_rng(2)) for array in (X, np.asfortranarray(X)))
        assert np.array_equal(plain.X, columns.X)


def test_a_row_that_came_twice_is_one_row_of_weight_two():
    sample = ArraySource(numbered(3), np.array([1.0, 8.0, 1.0])).sample(5, np.random.default_rng(0))
    assert sample.weights is not None
    assert sample.weights.max() >= 3
    assert not sample.resolution().any()  # no values that only look as if they repeated


def test_gaps_are_those_between_distinct_values():
    source = ArraySource(np.array([[0.0, 5.0], [0.5, 5.0], [0.5, 5.0], [2.0, 5.0]]))
    assert source.gaps().tolist() == [0.5, np.inf]
    assert source.resolution().tolist() == [0.5, 0.0]
