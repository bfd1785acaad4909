"""The rules by which the contenders get their settings."""

import numpy as np
import pytest

from mixtura.compare.contenders import (
    NEIGHBOURS,
    core_distances,
    dbscan,
    dbscan_labels,
    k_means,
    knee_distance,
    neighbours,
)


def test_dbscan_calls_a_far_row_noise_and_counts_it():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(80, 2)), rng.normal(12, 1, (80, 2)), [[60.0, -60.0]]])
    outcome = dbscan(rows, 0)
    assert outcome.labels[-1] == -1
    noise = int((outcome.labels == -1).sum())
    assert f"{noise} of 161 rows {'is' if noise == 1 else 'are'} noise" in outcome.interpretation


def test_the_knee_is_where_the_curve_of_distances_turns():
    line = np.concatenate([np.arange(100.0), [200.0, 400.0]])[:, None]
    assert knee_distance(line, 2) == 1.0


@pytest.mark.parametrize(
    ("rows", "eps"), [(np.zeros((9, 2)), 1.0), (np.array([[0.0]] * 20 + [[3.0]]), 3.0)]
)
def test_the_knee_is_positive_also_where_rows_repeat(rows, eps):
    assert knee_distance(rows, 4) == eps


def test_repeated_rows_count_as_often_as_they_come():
    rows = np.repeat([[0.0, 0.0], [5.0, 5.0], [9.0, 0.0]], [30, 30, 1], axis=0)
    labels = dbscan_labels(rows, np.arange(61), 1.0, 10)
    assert len(set(labels[:30])) == len(set(labels[30:60])) == 1
    assert (labels[0] >= 0, labels[30] >= 0, labels[60]) == (True, True, -1)
    assert labels[0] != labels[30]


def test_neighbours_grow_with_many_columns():
    assert neighbours(np.zeros((1, 2))) == NEIGHBOURS
    assert neighbours(np.zeros((1, 9))) == 18


def test_a_core_distance_is_to_the_kth_row():
    rows = np.arange(10.0)[:, None]
    assert core_distances(np.array([[0.0]]), rows, 3).tolist() == [2.0]


def test_k_means_takes_the_k_of_the_highest_silhouette():
    rng = np.random.default_rng(0)
    corners = 20 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    rows = (rng.normal(size=(4, 40, 2)) + corners[:, None]).reshape(-1, 2)
    outcome = k_means(rows, None, 0)
    assert len(set(outcome.labels)) == 4
    assert outcome.seconds_to_choose > 0


def test_k_means_never_has_more_centres_than_distinct_rows():
    rows = np.repeat([[0.0], [1.0], [5.0]], 10, axis=0)
    assert len(set(k_means(rows, 7, 0).labels)) == 3
