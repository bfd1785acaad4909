"""Starts: valid, reproducible, free of units, and equal for weights and repeated rows where they do not draw."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import survey, two_groups
from mixtura.initialisers import BY_NAME, FromCentres, KMeansPlusPlus, KMeansStart, RandomRows
from mixtura.search import DEFAULT_STARTS


def draw(start, X, K=3, seed=0, weights=None):
    return start(survey(X, weights), K, np.random.default_rng(seed))


@pytest.mark.parametrize("name", BY_NAME)
def test_every_start_shares_all_rows_among_filled_components(name, faithful):
    moments = draw(BY_NAME[name], faithful)
    assert moments.counts.sum() == pytest.approx(len(faithful))
    assert (moments.counts > 0).all()
    assert (faithful.min(axis=0) <= moments.means).all()
    assert (moments.means <= faithful.max(axis=0)).all()
    total = moments.scatter.sum(axis=0) + (
        moments.counts[:, None, None] * np.einsum("ki,kj->kij", *[moments.means - faithful.mean(axis=0)] * 2)
    ).sum(axis=0)
    np.testing.assert_allclose(total, np.cov(faithful.T, bias=True) * len(faithful), rtol=1e-10)


@pytest.mark.parametrize("start", DEFAULT_STARTS[:6], ids=lambda s: f"{s.name}-{s.space}")
def test_the_same_seed_gives_the_same_start_in_any_units(start, faithful):
    a, b = draw(start, faithful), draw(start, faithful * [1e-7, 1e6])
    np.testing.assert_allclose(a.counts, b.counts)
    np.testing.assert_allclose(a.means * [1e-7, 1e6], b.means, rtol=1e-9)


@pytest.mark.parametrize("kind", [KMeansStart, KMeansPlusPlus, RandomRows])
def test_a_whitened_space_sees_stretched_clusters(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2)) * [40, 1]
    X[150:, 1] += 30
    moments = draw(KMeansStart("whitened"), X, K=2)
    assert sorted(moments.counts.round()) == [150, 150]
    assert draw(kind("whitened"), X, K=2).counts.sum() == pytest.approx(300)


def test_rows_of_weight_zero_attract_no_start():
    X = np.concatenate([two_groups(100), np.full((5, 2), 1e3)])
    weights = np.r_[np.ones(100), np.zeros(5)]
    for start in DEFAULT_STARTS:
        assert np.abs(draw(start, X, K=2, weights=weights).means).max() < 20


def test_given_centres_attract_the_nearest_rows_and_an_empty_one_keeps_its_place():
    X = two_groups(100)
    moments = draw(FromCentres(np.array([[0.0, 0.0], [6.0, 6.0], [500.0, 500.0]])), X)
    assert moments.counts.tolist() == [50, 50, 1]
    np.testing.assert_allclose(moments.means[2], [500, 500])


def test_random_rows_repeat_a_value_only_when_there_are_no_others():
    X = np.repeat([[0.0], [1.0], [2.0]], 20, axis=0)
    for seed in range(10):
        assert sorted(draw(RandomRows(), X, K=3, seed=seed).means.ravel()) == [0, 1, 2]


def test_float32_rows_are_read_in_place(faithful):
    a, b = draw(KMeansStart(), faithful), draw(KMeansStart(), faithful.astype(np.float32))
    np.testing.assert_allclose(a.means, b.means, rtol=1e-6)
