"""Starts: valid, reproducible, independent of units, of blocks and of threads."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances_argmin

from conftest import dataset, two_groups
from mixtura.backends import backend_named
from mixtura.base.errors import DataError
from mixtura.data.dataset import Dataset
from mixtura.initialise import initialisers
from mixtura.initialise.initialisers import (
    BY_NAME,
    DiscriminantKMeans,
    FromMeans,
    KMeansPlusPlus,
    KMeansStart,
    RandomMeans,
    RandomRows,
    SharedValues,
    SmallGroup,
    TransformedRows,
    discriminated,
)
from mixtura.search.starts import DEFAULT_STARTS
from mixtura.sources import ArraySource, array


def draw(start, X, K=3, seed=0, weights=None):
    return start(dataset(X, weights), K, np.random.default_rng(seed))


@pytest.mark.parametrize("name", BY_NAME)
def test_every_start_uses_all_rows_and_leaves_no_component_empty(name, faithful):
    moments = draw(BY_NAME[name], faithful)
    assert moments.counts.sum() == pytest.approx(len(faithful))
    assert (moments.counts > 0).all()
    assert (faithful.min(axis=0) <= moments.means).all()
    assert (moments.means <= faithful.max(axis=0)).all()
    total = moments.scatter.sum(axis=0) + (
        moments.counts[:, None, None]
        * np.einsum("ki,kj->kij", *[moments.means - faithful.mean(axis=0)] * 2)
    ).sum(axis=0)
    np.testing.assert_allclose(total, np.cov(faithful.T, bias=True) * len(faithful), rtol=1e-10)


@pytest.mark.parametrize(
    "start", [start for start in DEFAULT_STARTS if start != SharedValues()], ids=str
)
def test_the_same_seed_gives_the_same_start_in_any_units(start, faithful):
    a, b = draw(start, faithful), draw(start, faithful * [1e-7, 1e6])
    np.testing.assert_allclose(a.counts, b.counts)
    np.testing.assert_allclose(a.means * [1e-7, 1e6], b.means, rtol=1e-9)


@pytest.mark.parametrize("kind", [KMeansStart, KMeansPlusPlus, RandomRows])
def test_whitening_separates_stretched_clusters(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2)) * [40, 1]
    X[150:, 1] += 30
    moments = draw(KMeansStart("whitened"), X, K=2)
    assert sorted(moments.counts.round()) == [150, 150]
    assert draw(kind("whitened"), X, K=2).counts.sum() == pytest.approx(300)


def test_rows_of_weight_zero_are_in_no_start():
    X = np.concatenate([two_groups(100), np.full((5, 2), 1e3)])
    weights = np.r_[np.ones(100), np.zeros(5)]
    for start in DEFAULT_STARTS:
        if start != SharedValues():  # no value is shared here
            assert np.abs(draw(start, X, K=2, weights=weights).means).max() < 20


def test_rows_that_share_a_value_exactly_are_a_group_in_any_units():
    X = two_groups(100)
    X[:30, 1] = 0.0
    for unit in (1.0, 1e-7):
        moments = draw(SharedValues(), X * [1.0, unit])
        assert moments.counts[-1] == 30
        assert moments.scatter[-1, 1, 1] == 0.0
    with pytest.raises(DataError, match="no value is shared by far more rows than any other"):
        draw(SharedValues(), two_groups(100))


def test_a_small_group_has_the_size_of_a_rare_cluster():
    X = two_groups(200)
    sizes = [draw(SmallGroup(), X, K=4, seed=seed).counts[-1] for seed in range(20)]
    assert min(sizes) >= 2 * (2 + 1)
    assert max(sizes) <= 200 / (2 * 4)
    assert len(set(sizes)) > 5


def test_random_means_are_rows_under_one_covariance():
    X = two_groups(200)
    moments = draw(RandomMeans(), X, K=5)
    assert np.abs(X[None] - moments.means[:, None]).sum(axis=2).min(axis=1).max() < 1e-12
    covariances = moments.scatter / moments.counts[:, None, None]
    np.testing.assert_allclose(
        covariances, np.broadcast_to(np.cov(X.T, bias=True) / 5, covariances.shape), rtol=1e-10
    )


def test_given_means_take_the_nearest_rows_and_one_without_rows_is_kept():
    X = two_groups(100)
    moments = draw(FromMeans(np.array([[0.0, 0.0], [6.0, 6.0], [500.0, 500.0]])), X)
    assert moments.counts.tolist() == [50, 50, 1]
    np.testing.assert_allclose(moments.means[2], [500, 500])


def test_random_rows_are_distinct_where_possible():
    X = np.repeat([[0.0], [1.0], [2.0]], 20, axis=0)
    for seed in range(10):
        assert sorted(draw(RandomRows(), X, K=3, seed=seed).means.ravel()) == [0, 1, 2]


def test_float32_rows_are_read_in_place(faithful):
    a, b = draw(KMeansStart(), faithful), draw(KMeansStart(), faithful.astype(np.float32))
    np.testing.assert_allclose(a.means, b.means, rtol=1e-6)


# ---- block by block ------------------------------------------------------------------------------

NEAREST = [
    FromMeans(np.array([[2.0, 55.0], [4.0, 80.0], [4.5, 70.0]])),
    RandomRows(),
    RandomRows("whitened"),
    KMeansPlusPlus(),
    KMeansPlusPlus("whitened"),
]


def in_pieces(X, weights, n_threads, monkeypatch, rows_at_once=100):
    """A dataset in column-major order, which is copied piece by piece, with small blocks."""
    monkeypatch.setattr(initialisers, "ROWS_OF_A_BLOCK", rows_at_once)
    monkeypatch.setattr(array, "ROWS_PER_COPY", 3 * rows_at_once)
    return Dataset(ArraySource(np.asfortranarray(X), weights), backend_named("auto", n_threads))


@pytest.mark.parametrize(
    "start",
    [*NEAREST, KMeansStart(), KMeansStart("whitened"), BY_NAME["random"]],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_start_does_not_depend_on_the_blocks(start, weighted, faithful, monkeypatch):
    weights = (
        np.random.default_rng(1).integers(1, 4, len(faithful)).astype(float) if weighted else None
    )
    whole = draw(start, faithful, weights=weights)
    cut = start(in_pieces(faithful, weights, 1, monkeypatch), 3, np.random.default_rng(0))
    for name in ("counts", "means", "scatter"):
        np.testing.assert_allclose(getattr(cut, name), getattr(whole, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("start", NEAREST, ids=lambda s: s.name)
def test_rows_go_to_the_nearest_centre_by_scikit_learn(start, faithful):
    """Compared with all distances of all transformed rows at once."""
    data = dataset(faithful)
    rows = TransformedRows(data, getattr(start, "space", "standardised"))
    Z = rows.all()
    labels = np.concatenate([rows.nearest(Z[[0, 1, 2]])(block) for block in data.source.blocks()])
    expected = pairwise_distances_argmin(Z, Z[[0, 1, 2]])
    assert (labels == expected).all()
    np.testing.assert_array_equal(rows.some(np.array([7, 3, 7])), Z[[7, 3, 7]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("start", NEAREST, ids=lambda s: s.name)
def test_the_bits_of_a_start_do_not_depend_on_the_number_of_threads(start, dtype):
    X = np.random.default_rng(0).standard_normal((5000, 2)).astype(dtype) + np.array(
        [4, 70], dtype=dtype
    )
    one, three = (start(dataset(X, n_threads=n), 3, np.random.default_rng(0)) for n in (1, 3))
    for name in ("about", "counts", "first", "second"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))


def test_memory_for_given_means_does_not_grow_with_the_rows():
    """Ten times as many rows take no more memory, which is that of one block."""
    peaks = []
    for n in (40_000, 400_000):
        data = dataset(two_groups(n, d=4))
        assert data.total == n  # computed beforehand
        tracemalloc.start()
        FromMeans(np.array([[0.0] * 4, [6.0] * 4]))(data, 2, np.random.default_rng(0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_other_rows_are_found_among_many_equal_ones():
    X = np.repeat([[0.0], [1.0], [2.0]], [5000, 1, 1], axis=0)
    assert sorted(draw(RandomRows(), X, K=3).means.ravel()) == [0, 1, 2]
    # with two distinct values the third row repeats one of them
    assert sorted(draw(RandomRows(), X[:5001], K=3).counts) == [0, 1, 5000]


# ---- discriminant k-means ------------------------------------------------------------------------


def groups_in_two_of_twelve_columns(n=3_000):
    rng = np.random.default_rng(0)
    labels = rng.integers(9, size=n)
    X = rng.standard_normal((n, 12))
    X[:, 0] += 4.0 * (labels % 3)
    X[:, 1] += 4.0 * (labels // 3)
    return X, labels


def test_directions_without_variance_between_clusters_are_shrunk():
    X, labels = groups_in_two_of_twelve_columns()
    variances = np.sort(np.var(discriminated(X, labels), axis=0))
    # 32/3 between and 1 within, times 1 - 1/11.7; the others keep 0.4 of 1; the standard error of a
    # variance of 3,000 rows is 3 %
    assert variances[:10] == pytest.approx(0.4, rel=0.1)
    assert variances[10:] == pytest.approx(32 / 3, rel=0.1)


def test_a_weight_of_two_is_a_repeated_row_in_discriminant_coordinates():
    X, labels = groups_in_two_of_twelve_columns()
    twice = discriminated(np.repeat(X, 2, axis=0), np.repeat(labels, 2))[::2][:50]
    weighted = discriminated(X, labels, np.full(len(X), 2.0))[:50]
    # axes of equal length may be rotated
    np.testing.assert_allclose(weighted @ weighted.T, twice @ twice.T, rtol=1e-6, atol=1e-6)


def test_discriminant_k_means_finds_groups_that_few_of_many_columns_separate():
    X, _ = groups_in_two_of_twelve_columns()
    found = draw(DiscriminantKMeans(), X, 9).means[:, :2]
    centres = np.stack(np.meshgrid([0.0, 4.0, 8.0], [0.0, 4.0, 8.0]), -1).reshape(-1, 2)
    nearest = pairwise_distances_argmin(centres, found)
    assert len(set(nearest)) == 9
    assert np.abs(found[nearest] - centres).max() < 0.5
