"""Memberships of a row, outlines of components, and matched cluster numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mixtura import GaussianMixture
from mixtura.model.explanation import membership_reasons, membership_text, memberships_of
from mixtura.model.outlines import intervals, outlines
from mixtura.model.relabelling import relabelled


@pytest.fixture(scope="module")
def fitted(faithful):
    return GaussianMixture(2, random_state=0).fit(faithful)


def test_memberships_are_weight_times_density_over_their_sum(fitted, faithful):
    row = faithful[10]
    shares = memberships_of(fitted.mixture_, row)
    densities = [
        multivariate_normal(m, c).logpdf(row)
        for m, c in zip(fitted.means_, fitted.covariances_, strict=True)
    ]
    np.testing.assert_allclose([share.log_density for share in shares], densities)
    products = np.exp(densities) * fitted.weights_
    np.testing.assert_allclose([share.probability for share in shares], products / products.sum())


def test_distances_are_in_standard_deviations_of_the_component(fitted, faithful):
    row = faithful[10]
    for share, mean, covariance in zip(
        memberships_of(fitted.mixture_, row), fitted.means_, fitted.covariances_, strict=True
    ):
        assert share.distance == pytest.approx(
            np.sqrt((row - mean) @ np.linalg.solve(covariance, row - mean))
        )


def test_a_row_beyond_all_densities_has_a_text_without_nan(fitted):
    shares = memberships_of(fitted.mixture_, np.array([1e9, 1e9]))
    assert "more than 99 %" in membership_text(shares)
    assert "nan" not in membership_reasons(shares)


def test_one_component_has_the_whole_membership(faithful):
    shares = memberships_of(GaussianMixture(1).fit(faithful).mixture_, faithful[0])
    assert membership_text(shares) == "100 % cluster 0"
    assert "no other cluster" in membership_reasons(shares)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_an_outline_contains_its_share_of_a_component(level):
    known = GaussianMixture.from_parameters(
        [1.0], [[1.0, 2.0, 3.0]], [[[4.0, 1.0, 0.5], [1.0, 2.0, 0.0], [0.5, 0.0, 1.0]]]
    )
    known.random_state = 0
    rows = known.sample(40_000)[0][:, [0, 2]]
    curve = outlines(known.mixture_, (0, 2), level)[0] - [1.0, 3.0]
    within = np.linalg.inv(np.array([[4.0, 0.5], [0.5, 1.0]]))
    radius = np.einsum("ij,jk,ik->i", curve, within, curve)
    np.testing.assert_allclose(radius, radius[0])
    inside = np.einsum("ij,jk,ik->i", rows - [1.0, 3.0], within, rows - [1.0, 3.0]) < radius[0]
    assert inside.mean() == pytest.approx(level, abs=0.01)
    low, high = intervals(known.mixture_, 0, level)[0]
    column = known.sample(40_000)[0][:, 0]
    assert ((column > low) & (column < high)).mean() == pytest.approx(level, abs=0.01)


def test_clusters_get_the_numbers_of_the_clusters_they_share_most_rows_with():
    like = np.repeat([0, 1, 2], 10)
    assert relabelled(np.repeat([2, 0, 1], 10), like).tolist() == like.tolist()


def test_noise_stays_noise_and_unmatched_clusters_get_unused_numbers():
    labels = np.array([-1, 0, 0, 1, 2, 3])
    like = np.array([0, 0, 0, 1, 1, 1])
    new = relabelled(labels, like)
    assert new[0] == -1
    assert new[1] == new[2] == 0
    assert sorted(new[3:].tolist()) == [1, 2, 3]


def test_labels_that_are_all_noise_do_not_change():
    assert relabelled(np.array([-1, -1]), np.array([0, 1])).tolist() == [-1, -1]
