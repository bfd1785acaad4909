"""The rows that a start leaves to the noise, and the starts beside them."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import dataset, read_data, read_truth
from mixtura.initialise.initialisers import FromLabels, FromResponsibilities, KMeansStart
from mixtura.initialise.noise_rows import (
    MOST_ROWS,
    NoiseStart,
    groups_found,
    groups_given,
    noise_rows,
)
from mixtura.search.starts import named_starts


def two_densities(d: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """A dense and a sparse group with uniform rows around them, and which rows are these."""
    rng = np.random.default_rng(d)
    n = 800
    m = int(share * n)
    X = np.concatenate(
        [
            0.3 * rng.standard_normal(((n - m) // 2, d)),
            rng.standard_normal((n - m - (n - m) // 2, d)) + 6.0,
            rng.uniform(-4.0, 10.0, (m, d)),
        ]
    )
    return X, np.arange(n) >= n - m


@pytest.mark.parametrize("d", [2, 4, 6])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_most_of_the_noise_is_found_and_no_group_is_lost(d, share):
    X, truth = two_densities(d, share)
    found = noise_rows(X / X.std(axis=0))
    sparse = slice((~truth).sum() // 2, (~truth).sum())
    # In two columns a part of the noise lies among the groups: no rule can find that part.
    assert found[truth].mean() > (0.6 if d == 2 else 0.9)
    assert found[~truth].mean() < 0.11
    assert found[sparse].mean() < (0.3 if d == 2 else 0.15)


def test_noise_of_the_truth_is_found_as_the_nearest_neighbour_cleaning_of_prabclus_finds_it():
    truth = read_truth("noise_faithful_noise.json")
    X = read_data("faithful_noise.csv", truth["d"])
    theirs = np.isin(np.arange(len(X)), truth["initial_noise"])
    ours = noise_rows(X / X.std(axis=0))
    assert (ours == theirs).mean() > 0.9


def test_a_change_of_units_changes_nothing():
    X, _ = two_densities(2, 0.2)
    one, other = (groups_found(dataset(own)).kept for own in (X, X * [1e-3, 1e6] + [5.0, 1e7]))
    np.testing.assert_array_equal(one, other)


def test_equal_rows_are_of_a_group():
    X, _ = two_densities(2, 0.2)
    X[:40] = [20.0, -20.0]
    assert not noise_rows(X)[:40].any()
    assert not noise_rows(np.ones((50, 2))).any()


def test_few_rows_are_no_noise():
    assert not noise_rows(np.arange(10.0)[:, None]).any()


def test_starts_given_for_all_rows_are_taken_for_those_beside_the_noise():
    X = np.arange(8.0)[:, None]
    noise = np.array([False, True, False, False, True, False, False, False])
    labels = np.array([0, 1, 0, 0, 0, 1, 1, 1])
    soft = np.stack([1.0 - labels, labels.astype(float)], axis=1)
    for kind in (FromLabels(labels), FromResponsibilities(soft)):
        ((_, start),) = named_starts(
            [kind], dataset(X), 2, np.random.SeedSequence(0), NoiseStart(noise)
        )
        assert start.noise == 2.0
        np.testing.assert_allclose(start.counts, [3.0, 3.0])
        np.testing.assert_allclose(start.means[:, 0], [X[[0, 2, 3]].mean(), X[5:].mean()])


def test_the_weight_of_the_noise_is_that_of_its_rows():
    X, weights = np.arange(6.0)[:, None], np.array([1.0, 2.0, 1.0, 1.0, 3.0, 1.0])
    groups = groups_given(dataset(X, weights), np.array([False, True, False, False, True, False]))
    assert groups.noise == 5.0
    assert groups.dataset.total == 4.0


def test_starts_are_also_drawn_from_all_rows_where_the_noise_was_found():
    """A sparse group may have been taken for noise."""
    X, _ = two_densities(2, 0.2)
    starts = named_starts([KMeansStart()], dataset(X), 2, np.random.SeedSequence(0), NoiseStart())
    beside, everywhere = (start for _, start in starts)
    assert beside.total == everywhere.total - 1.0 == pytest.approx(len(X))
    assert everywhere.noise == 1.0 < beside.noise


def test_the_noise_of_many_rows_is_that_of_a_sample():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((16_000, 2)), rng.uniform(-9, 9, (4_000, 2))])
    data = dataset(X)
    groups = groups_found(data)
    assert groups.kept is None
    assert groups.dataset.source.n_rows + groups.noise / groups.size == MOST_ROWS
    assert 0.1 < groups.noise / len(X) < 0.25
    labels = (X[:, 0] > 0).astype(int)
    kinds = [KMeansStart(), FromLabels(labels)]
    starts = dict(named_starts(kinds, data, 2, np.random.SeedSequence(0), NoiseStart())[:2])
    assert starts["kmeans"].total == pytest.approx(len(X))
    np.testing.assert_array_equal(starts["labels"].counts, np.bincount(labels))
