"""The recorded step of a column: what determines it, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from conftest import dataset
from mixtura.data.dataset import RELATIVE_FLOOR
from mixtura.data.recorded_step import recorded_step, robust_variance


@pytest.fixture(scope="module")
def iris() -> np.ndarray:
    return load_iris().data


def ages(n: int = 300) -> np.ndarray:
    return np.random.default_rng(0).integers(20, 80, n).astype(float)


# ---- the values that determine a step ------------------------------------------------------------


def test_iris_was_measured_in_tenths(iris):
    for column in iris.T:
        assert recorded_step(column) == pytest.approx(0.1, rel=1e-9)


def test_float32_rows_have_the_same_step(iris):
    # Tenths in float32 are off the grid by 2^-24 of the largest value, spread over many steps.
    for column in iris.astype(np.float32).T:
        assert recorded_step(column) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 2.54, 1e12])
def test_the_step_follows_the_units(iris, unit):
    for column in iris.T:
        assert recorded_step(unit * column) == pytest.approx(0.1 * unit, rel=1e-9)


def test_a_shift_does_not_change_the_step(iris):
    assert recorded_step(iris[:, 0] + 1000.0) == pytest.approx(0.1, rel=1e-9)


def test_the_order_of_the_rows_does_not_matter(iris):
    column = np.random.default_rng(1).permutation(iris[:, 0])
    assert recorded_step(column) == recorded_step(iris[:, 0])


def test_sixtieths_in_three_digits_have_the_step_of_sixtieths():
    """Minutes as hours, 0.017, 0.033, 0.050, are multiples of a thousandth by rounding only."""
    column = np.round(np.random.default_rng(2).integers(0, 600, 5_000) / 60.0, 3)
    # Every value may be half a thousandth off the grid.
    assert recorded_step(column) == pytest.approx(1 / 60, rel=1e-3)


def test_two_values_determine_a_step_where_they_make_up_nine_tenths():
    few = np.random.default_rng(3).uniform(5.0, 6.0, 10)
    assert recorded_step(np.r_[np.repeat([0.0, 2.0], 45), few]) == pytest.approx(2.0, rel=1e-9)
    # With a fifth of other values it is the smallest gap.
    column = np.r_[np.repeat([0.0, 2.0], 20), few]
    assert recorded_step(column) == np.diff(np.unique(column)).min()


def test_weights_of_two_are_repeats(iris):
    column, weights = np.unique(iris[:, 1], return_counts=True)
    assert recorded_step(column, weights.astype(float)) == recorded_step(iris[:, 1])
    assert recorded_step(column) == 0.0
    distinct = np.array([1.0, 3.0, 5.0, 8.0])
    assert recorded_step(distinct, np.full(4, 2.0)) == recorded_step(np.repeat(distinct, 2)) == 1.0


# ---- values that must not change it --------------------------------------------------------------


def test_one_value_off_the_grid_does_not_change_the_step(iris):
    for column in iris.T:
        off = column.copy()
        off[17] += 1e-4
        assert recorded_step(off) == pytest.approx(0.1, rel=1e-9)


def test_the_rounding_of_float_arithmetic_does_not_change_the_step(iris):
    for column in iris.T:
        noisy = np.where(np.arange(150) % 2, column, (column + 0.7) - 0.7)
        assert (noisy != column).any()
        assert recorded_step(noisy) == pytest.approx(0.1, rel=1e-9)


def test_a_half_among_whole_ages_does_not_change_the_step():
    assert recorded_step(np.r_[ages(), 30.5]) == pytest.approx(1.0, rel=1e-9)


def test_rows_of_another_source_do_not_change_the_step_of_the_others():
    others = np.random.default_rng(4).uniform(20.0, 80.0, 100)
    assert recorded_step(np.r_[ages(), others]) == pytest.approx(1.0, rel=1e-9)


def test_one_value_of_1e12_does_not_change_the_step(iris):
    assert recorded_step(np.r_[iris[:, 0], 1e12]) == pytest.approx(0.1, rel=1e-9)
    assert recorded_step(np.r_[np.random.default_rng(12).standard_normal(500), 1e12]) == 0.0


# ---- columns without a step ----------------------------------------------------------------------


def test_where_no_value_repeats_there_is_no_step():
    assert recorded_step(np.random.default_rng(5).standard_normal(500)) == 0.0
    assert recorded_step(np.arange(20.0)) == 0.0
    assert recorded_step(np.full(10, 3.0)) == 0.0


def test_zeros_in_a_continuous_column_give_a_tiny_step():
    column = np.r_[np.zeros(60), np.random.default_rng(6).lognormal(size=140)]
    assert recorded_step(column) == np.diff(np.unique(column)).min() < 0.01 * column.std()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
def test_repeated_rows_of_a_continuous_column_give_a_tiny_step(share):
    column = np.random.default_rng(7).standard_normal(200)
    again = np.r_[column, column[: int(share * 200)]]
    # 200 values of unit spread have gaps near 0.01; their smallest is a hundredth of that.
    assert recorded_step(again) <= np.diff(np.sort(column)).min()


# ---- the scale of the floor ----------------------------------------------------------------------


def test_one_value_of_1e12_does_not_change_the_robust_variance():
    column = np.random.default_rng(8).standard_normal(500)
    plain, wild = (robust_variance(x, None, x.var()) for x in (column, np.r_[column, 1e12]))
    assert wild == pytest.approx(plain, rel=0.02)  # quartiles move by one row of 500
    data = dataset(np.r_[column, 1e12][:, None])
    assert data.floor[0] == pytest.approx(RELATIVE_FLOOR * wild)


def test_the_robust_variance_of_normal_rows_is_their_variance():
    column = 3.0 * np.random.default_rng(9).standard_normal(20_000)
    # The standard error of an interquartile range of 20,000 normal rows is 0.8 %, of its square 1.6
    # %.
    assert robust_variance(column, None, 1.0) == pytest.approx(9.0, rel=0.06)


def test_where_most_rows_have_one_value_the_variance_replaces_the_robust_one():
    column = np.r_[np.zeros(90), np.ones(10)]
    assert robust_variance(column, None, column.var()) == column.var()


def test_a_weight_of_two_is_a_repeated_row_in_the_robust_variance():
    column = np.random.default_rng(10).standard_normal(400)
    weights = np.random.default_rng(11).integers(1, 4, 400)
    weighted = robust_variance(column, weights.astype(float), 1.0)
    # Without weights quantiles lie between two rows, with them on one: two gaps of 400 rows.
    assert weighted == pytest.approx(
        robust_variance(np.repeat(column, weights), None, 1.0), rel=0.05
    )


def test_the_floor_is_the_variance_of_rounding(iris):
    data = dataset(iris)
    robust = [robust_variance(column, None, 1.0) for column in iris.T]
    np.testing.assert_allclose(
        data.floor, 0.1**2 / 12 + RELATIVE_FLOOR * np.array(robust), rtol=1e-9
    )
