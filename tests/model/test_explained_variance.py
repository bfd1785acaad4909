"""Explained shares of variance, against what is known of Gaussians and of groups."""

import numpy as np
import pytest

from mixtura import Mixture
from mixtura.model.explained_variance import (
    explained_by_one,
    explained_by_others,
    most_explained,
)

ERROR = 0.03
"""Of 5,000 random rows: the relative error of a variance is sqrt(2 / 5000) = 2 %, and a share
s has s (1 - s) times that of the ratio, so at most 1 %; here three times that."""


def gaussian(seed=0, d=4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    return Mixture.from_parameters([1.0], rng.normal(size=(1, d)) * 100, [root @ root.T])


def test_one_column_of_a_gaussian_explains_the_squared_correlation():
    one = gaussian()
    spread = one.std()
    squared = (one.cov() / np.outer(spread, spread)) ** 2
    np.fill_diagonal(squared, 0.0)
    np.testing.assert_allclose(explained_by_one(one), squared, atol=ERROR)


def test_all_others_of_a_gaussian_explain_r_squared():
    one = gaussian(1)
    # 1 - R^2 of a column is 1 / (variance times the diagonal of the precision matrix)
    known = 1.0 - 1.0 / (one.var() * np.diag(np.linalg.inv(one.cov())))
    np.testing.assert_allclose(explained_by_others(one), known, atol=ERROR)


def test_groups_that_a_column_tells_apart_explain_the_variance_between_them():
    # column 0 tells the groups apart; in column 1 they are 2 apart, with variance 1 within
    groups = Mixture.from_parameters(
        [0.5, 0.5], [[0.0, 0.0], [100.0, 2.0]], [1.0, 1.0], covariance_type="spherical"
    )
    assert explained_by_one(groups)[0, 1] == pytest.approx(0.5, abs=ERROR)
    assert most_explained(groups) == (1, 0) or most_explained(groups) == (0, 1)


def test_a_curve_without_correlation_is_explained():
    # a V of two arms: the correlation is 0, and the left column tells the right one
    arms = Mixture.from_parameters(
        [0.5, 0.5],
        [[-5.0, 0.0], [5.0, 0.0]],
        [[[1.0, -0.99], [-0.99, 1.0]], [[1.0, 0.99], [0.99, 1.0]]],
    )
    assert arms.cov()[0, 1] == pytest.approx(0.0, abs=1e-12)
    assert explained_by_one(arms)[0, 1] == pytest.approx(0.99**2, abs=ERROR)
    assert explained_by_one(arms)[1, 0] < 0.1
    assert most_explained(arms) == (0, 1)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_do_not_matter(scale):
    one = gaussian(2)
    np.testing.assert_allclose(explained_by_one(one * scale), explained_by_one(one), atol=1e-6)


def test_an_infinite_variance_is_not_explained():
    heavy = Mixture.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)], degrees_of_freedom=[0.5])
    assert not explained_by_one(heavy).any()


def test_far_more_columns_than_are_looked_at():
    d = 80
    covariance = np.eye(d)
    covariance[3, 5] = covariance[5, 3] = 0.9
    wide = Mixture.from_parameters([1.0], np.zeros((1, d)), [covariance])
    assert set(most_explained(wide)) == {3, 5}
