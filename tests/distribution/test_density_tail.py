"""Tail probabilities of a density, thresholds from them, and residuals of columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, f, kstest

from mixtura import GaussianMixture, StudentTMixture
from mixtura.distribution.density_tail import DensityTail, RowTails, WideDraws
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.model.outliers import (
    Threshold,
    column_residuals,
    judged,
    offset_of_share,
    ordinary,
)

NAN = np.nan
FAR = np.array([1e-4, 1e-6, 1e-12, 1e-30])
"""Tail probabilities that no plain draws reach."""

FAR_ERROR = 0.4
"""The logarithm of an estimate far out: the standard error is about 0.15 at the 400th draw."""


def tail_of(mixture: Mixture, n: int = 50_000, seed: int = 0) -> DensityTail:
    return DensityTail.of(mixture, WideDraws.of(mixture, n, np.random.default_rng(seed)))


def standard_normal(d: int) -> Mixture:
    return GaussianMixture.from_parameters([1.0], np.zeros((1, d)), np.eye(d)[None]).mixture_


def three_groups() -> Mixture:
    return GaussianMixture.from_parameters(
        [0.5, 0.3, 0.2],
        [[0.0, 0.0], [5.0, 2.0], [1.0, 6.0]],
        [[[1.0, 0.6], [0.6, 1.0]], [[0.2, 0.0], [0.0, 3.0]], [[2.0, -1.0], [-1.0, 1.0]]],
    ).mixture_


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 8, 30])
def test_the_tail_of_a_gaussian_is_that_of_chi_squared(d):
    tail, peak = tail_of(standard_normal(d)), -0.5 * d * np.log(2 * np.pi)
    for p in (0.5, 0.1, 0.01):
        t = peak - 0.5 * chi2.isf(p, d)
        assert abs(np.exp(tail.log_probability(t)) - p) < 5 * tail.standard_error(t)
        assert tail.standard_error(t) < 0.05 * p
    far = tail.log_probability(peak - 0.5 * chi2.isf(FAR, d))
    np.testing.assert_allclose(far, np.log(FAR), atol=FAR_ERROR)


@pytest.mark.parametrize(("d", "nu"), [(1, 2.0), (2, 2.0), (8, 5.0), (2, 50.0)])
def test_the_tail_of_a_t_component_is_that_of_f(d, nu):
    mixture = StudentTMixture.from_parameters([1.0], np.zeros((1, d)), np.eye(d)[None], nu).mixture_
    tail = tail_of(mixture)
    p = np.array([0.5, 0.01, 1e-4, 1e-6, 1e-9])
    rows = np.zeros((5, d))
    rows[:, 0] = np.sqrt(d * f.isf(p, d, nu))
    errors = tail.log_probability(mixture.log_density(rows)) - np.log(p)
    assert np.abs(errors[:2]).max() < 0.15  # standard error 0.03
    assert np.abs(errors[2:]).max() < FAR_ERROR


@pytest.mark.parametrize("rate", [0.5, 0.05, 0.01, 1e-4])
def test_the_threshold_is_that_of_the_highest_density_region(rate):
    mixture = GaussianMixture.from_parameters(
        [0.6, 0.4], [[0.0], [3.0]], [1.0, 0.2], covariance_type="spherical"
    ).mixture_
    exact = float(np.ravel(mixture.hdr(1 - rate).log_thresholds)[0])
    tail = tail_of(mixture)
    error = abs(np.exp(tail.log_probability(exact)) - rate)
    assert error < 5 * tail.standard_error(exact)
    assert float(tail.quantile(np.log(rate))) == pytest.approx(exact, abs=0.15)


@pytest.mark.parametrize("p", [0.3, 0.01, 1e-5])
def test_the_tail_of_a_mixture_of_one_column_is_the_integral(p):
    mixture = GaussianMixture.from_parameters(
        [0.6, 0.1, 0.3], [[-4.0], [0.0], [3.0]], [1.0, 0.01, 4.0], covariance_type="spherical"
    ).mixture_
    grid = np.linspace(-15.0, 20.0, 700_001)
    densities = np.exp(mixture.log_density(grid[:, None]))

    def below(t: float) -> float:  # the rectangle rule is exact but for the ends: about 1e-6
        return float(densities[densities <= t].sum() * (grid[1] - grid[0]))

    t = brentq(lambda log_t: below(np.exp(log_t)) - p, -20.0, -0.5)
    tail = tail_of(mixture)
    assert abs(np.exp(tail.log_probability(t)) - p) < 5 * tail.standard_error(t) + 1e-2 * p


def test_the_quantile_is_the_inverse_also_far_out():
    for mixture in (three_groups(), replace(three_groups(), tails=np.array([3.0, 9.0, 30.0]))):
        tail = tail_of(mixture)
        p = np.log(np.array([0.9, 0.5, 0.01, 1e-6, 1e-200]))
        np.testing.assert_allclose(tail.log_probability(tail.quantile(p)), p, rtol=1e-9)


def test_probabilities_rise_with_the_density_from_0_to_1():
    tail = tail_of(three_groups())
    t = np.linspace(-2000.0, 5.0, 5001)
    p = tail.log_probability(t)
    assert (np.diff(p) >= 0).all()
    assert p[0] < -1900
    assert p[-1] == 0.0


def test_the_stated_standard_error_is_that_of_other_seeds():
    mixture = three_groups()
    t = float(tail_of(mixture).quantile(np.log(0.01)))
    tails = [tail_of(mixture, 5000, seed) for seed in range(1, 60)]
    estimates = np.array([np.exp(tail.log_probability(t)) for tail in tails])
    stated = np.mean([tail.standard_error(t) for tail in tails])
    # 59 seeds tell a standard deviation to 9 percent; strata make it a little smaller than stated.
    assert 0.6 * stated < estimates.std() < 1.3 * stated
    assert abs(estimates.mean() - 0.01) < 5 * stated / np.sqrt(59) + 5e-4


# ---- incomplete rows -----------------------------------------------------------------------------


def test_probabilities_of_rows_of_the_mixture_are_uniform_whatever_was_observed():
    mixture = three_groups()
    rows, _ = mixture.sample(9000, np.random.default_rng(5))
    np.random.default_rng(6).shuffle(rows)
    rows[:3000, 0], rows[3000:6000, 1] = NAN, NAN
    tails = RowTails.of(mixture)
    p = np.exp(tails.log_probability(mixture.log_density(rows), rows))
    for own in np.split(p, 3):  # by one column, by the other, by both
        # A fixed seed; of all seeds, one in a thousand is below 1e-3.
        assert kstest(own, "uniform").pvalue > 1e-3


def test_scores_of_incomplete_rows_have_the_same_distribution_as_those_of_complete_ones():
    mixture = three_groups()
    rows, _ = mixture.sample(6000, np.random.default_rng(7))
    np.random.default_rng(8).shuffle(rows)
    tails, holes = RowTails.of(mixture), rows.copy()
    holes[:, 1] = NAN
    whole = tails.comparable(mixture.log_density(rows), rows)
    np.testing.assert_array_equal(whole, mixture.log_density(rows))
    some = tails.comparable(mixture.log_density(holes[:3000]), holes[:3000])
    assert kstest(some, whole[3000:]).pvalue > 1e-3
    # The plain density of one column has another distribution altogether.
    assert kstest(mixture.log_density(holes[:3000]), whole[3000:]).pvalue < 1e-100


def test_the_score_of_a_row_does_not_depend_on_the_others():
    mixture = three_groups()
    rows = np.array([[0.0, NAN], [NAN, 9.0], [1.0, 2.0], [NAN, NAN], [30.0, NAN]])
    tails = RowTails.of(mixture)
    together = tails.comparable(mixture.log_density(rows), rows)
    alone = [tails.comparable(mixture.log_density(row[None]), row[None])[0] for row in rows]
    np.testing.assert_array_equal(together, alone)


def test_a_row_without_values_is_no_outlier():
    mixture, rows = three_groups(), np.full((1, 2), NAN)
    tails = RowTails.of(mixture)
    assert np.exp(tails.log_probability(mixture.log_density(rows), rows)).tolist() == [1.0]


# ---- thresholds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.2, 0.01, 0.001])
def test_new_rows_of_the_mixture_are_below_the_threshold_at_the_stated_rate(rate):
    mixture = three_groups()
    threshold = Threshold.of_rate(rate, RowTails.of(mixture))
    assert threshold.false_alarm_rate == pytest.approx(rate, rel=1e-9)
    rows, _ = mixture.sample(100_000, np.random.default_rng(9))
    share = (mixture.log_density(rows) < threshold.offset).mean()
    error = np.hypot(np.sqrt(rate / 100_000), threshold.standard_error)
    assert abs(share - rate) < 5 * error


def test_a_share_of_the_rows_is_below():
    scores = np.random.default_rng(0).normal(size=200)
    for share in (0.005, 0.05, 0.1, 0.5):
        assert (scores < offset_of_share(share, scores)).sum() == round(200 * share)
    assert (scores < offset_of_share(0.0049, scores)).sum() == 0
    assert (scores < offset_of_share(0.0249, scores)).sum() == 4


def test_a_weight_of_2_is_a_repeated_row_and_a_common_factor_changes_nothing():
    scores = np.random.default_rng(1).normal(size=60)
    weights = np.arange(60) % 4
    repeated = np.repeat(scores, weights)
    for share in (0.03, 0.1, 0.25, 0.5):
        offset = offset_of_share(share, scores, weights.astype(float))
        assert offset == offset_of_share(share, repeated)
        assert offset == offset_of_share(share, scores, weights * 0.125)


def test_equal_scores_are_not_parted():
    scores = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 3.0])
    assert (scores < offset_of_share(0.4, scores)).sum() == 0
    assert (scores < offset_of_share(0.5, scores)).sum() == 3
    assert (np.ones(5) < offset_of_share(0.5, np.ones(5))).sum() == 0


def test_a_density_of_0_is_below_every_threshold():
    scores = np.array([-np.inf, -2.0, -1.0, 0.0])
    offset = offset_of_share(0.25, scores)
    assert np.isfinite(offset)
    assert (scores < offset).tolist() == [True, False, False, False]


# ---- ordinary components, residuals --------------------------------------------------------------


def test_small_groups_are_no_ordinary_components():
    mixture, kept = ordinary(three_groups(), 0.25)
    assert kept.tolist() == [True, True, False]
    np.testing.assert_allclose(mixture.weights, [0.625, 0.375])
    with pytest.raises(ValueError, match="largest one has"):
        ordinary(three_groups(), 0.51)


def test_a_noise_that_took_all_rows_is_refused():
    noise = Noise(1.0, np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="its noise has taken all rows"):
        ordinary(replace(three_groups(), weights=np.zeros(3), noise=noise))


def test_the_squared_distance_falls_by_the_square_of_a_residual():
    mixture = GaussianMixture.from_parameters(
        [1.0], [[1.0, 2.0, 3.0]], [[[2.0, 0.8, 0.3], [0.8, 1.0, -0.2], [0.3, -0.2, 1.5]]]
    ).mixture_
    row = np.array([[4.0, -1.0, 2.0]])
    residuals = column_residuals(mixture, row, np.zeros(1, dtype=int))[0]
    distance = mixture.squared_distances(row)[0, 0]
    for j in range(3):
        others = [i for i in range(3) if i != j]
        holes = row.copy()
        holes[0, j] = NAN
        reduced = mixture.marginal(np.array(others)).squared_distances(row[:, others])[0, 0]
        assert distance - reduced == pytest.approx(residuals[j] ** 2, rel=1e-12)
        left = column_residuals(mixture, holes, np.zeros(1, dtype=int))[0]
        assert np.isnan(left).tolist() == [i == j for i in range(3)]


def test_one_wrong_entry_has_the_largest_residual():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(6, 6))
    mixture = GaussianMixture.from_parameters([1.0], np.zeros((1, 6)), (A @ A.T)[None]).mixture_
    rows = np.zeros((6, 6)) + np.diag(np.full(6, 50.0))
    residuals = column_residuals(mixture, rows, np.zeros(6, dtype=int))
    assert np.abs(residuals).argmax(axis=1).tolist() == list(range(6))


def test_rows_are_judged_by_the_components_in_their_own_numbers():
    rows = np.array([[0.0, 0.0], [1.0, 6.0], [5.0, 2.0], [NAN, NAN]])
    found = judged(three_groups(), rows, smallest_group=0.25)
    assert found.small_groups == [2]
    assert found.components.tolist()[::2] == [0, 1]
    assert found.outliers.tolist() == [False, True, False, False]
    assert found.striking.tolist()[1:] == [1, found.striking[2], -1]
    assert found.probabilities[3] == 1.0
