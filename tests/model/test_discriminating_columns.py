"""Columns that discriminate between components, against sums over rows."""

import numpy as np
import pytest

from mixtura.distribution.covariance import Dense, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.model.discriminating_columns import (
    discriminating_columns,
    ranked_columns,
    separations,
    standardised_differences,
)


@pytest.fixture
def three():
    rng = np.random.default_rng(3)
    factors = rng.standard_normal((3, 4, 4)) + 2 * np.eye(4)
    return Mixture(
        np.array([0.5, 0.3, 0.2]),
        3 * rng.standard_normal((3, 4)),
        Dense(factors @ factors.transpose(0, 2, 1), 3),
    )


def test_differences_are_those_of_a_large_sample(three):
    rows, labels = three.sample(400_000, np.random.default_rng(0))
    found = standardised_differences(three)
    for k in range(3):
        own, rest = rows[labels == k], rows[labels != k]
        pooled = np.sqrt((len(own) * own.var(axis=0) + len(rest) * rest.var(axis=0)) / len(rows))
        np.testing.assert_allclose(
            found[k], (own.mean(axis=0) - rest.mean(axis=0)) / pooled, atol=0.02
        )


def test_units_and_offsets_of_the_columns_do_not_matter(three):
    units = np.array([1000.0, 0.01, 1.0, 7.0])
    moved = Mixture(
        three.weights,
        three.means * units + 1e6,
        Dense(three.covariance.dense() * np.outer(units, units), 3),
    )
    np.testing.assert_allclose(
        standardised_differences(moved), standardised_differences(three), rtol=1e-6
    )
    np.testing.assert_allclose(separations(moved), separations(three), rtol=1e-6)


def test_the_column_with_the_largest_difference_comes_first_and_has_its_sign(three):
    found = ranked_columns(three, 1)
    sizes = [abs(each.difference) for each in found]
    assert sizes == sorted(sizes, reverse=True)
    assert [standardised_differences(three)[1, each.column] for each in found] == [
        each.difference for each in found
    ]


def test_the_columns_that_separate_are_chosen_and_keep_their_order():
    means = np.array([[0.0, 5.0, 0.0, 9.0], [0.0, 0.0, 0.1, 0.0]])
    mixture = Mixture(np.full(2, 0.5), means, Spherical(np.ones(1), 2, 4))
    assert discriminating_columns(mixture, 2).tolist() == [1, 3]
    assert discriminating_columns(mixture, 9).tolist() == [0, 1, 2, 3]


def test_a_single_component_has_no_differences():
    mixture = Mixture(np.ones(1), np.zeros((1, 2)), Spherical(np.ones(1), 1, 2))
    assert np.isnan(standardised_differences(mixture)).all()
    assert separations(mixture).tolist() == [0, 0]
