"""A search on a sample ends where a search on all rows ends, and what is reported belongs to all rows."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import survey
from frame.sets import data_set
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.families import FAMILIES
from mixtura.regularisation import Regularisation
from mixtura.results import StopReason
from mixtura.runs import Plan
from mixtura.sample import FEWEST_ROWS, WORTH_A_SAMPLE, opening, sample_size, search_from
from mixtura.search import draw_starts, search, usual_starts
from mixtura.stopping import RemainingGain

MANY = 60_000


def groups(n=MANY, apart=4.0, shares=(0.5, 0.3, 0.2), d=2, seed=0):
    """Unit Gaussians along the diagonal, nearest centres ``apart``, rows shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(shares), size=n, p=shares)
    return rng.standard_normal((n, d)) + labels[:, None] * apart / np.sqrt(d)


def settings(**more):
    return Plan(**{"stopping": RemainingGain(), "max_iter": 2000, "screened": True, "accelerated": True, **more})


def both(X, K, family="VVV", seed=0):
    """The best fit by way of a sample, and from starts on all rows."""
    data = survey(X)
    regularisation, entropy = Regularisation(data.scale), np.random.SeedSequence(seed)
    begin = opening(usual_starts(), data, K, entropy)
    assert begin.rows is not data
    by_sample = search_from(begin, data, FAMILIES[family], regularisation, settings()).best
    starts = draw_starts(usual_starts(), data, K, entropy)
    return by_sample, search(data, starts, FAMILIES[family], regularisation, settings()).best


# ---- the same optimum ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("apart", [6.0, 2.5])
def test_the_optimum_is_that_of_a_search_on_all_rows(apart, seed):
    by_sample, in_full = both(groups(apart=apart, seed=seed), 3, seed=seed)
    assert by_sample.converged
    assert by_sample.log_likelihood > in_full.log_likelihood - 0.01  # same optimum (0.01), or a better one


@pytest.mark.parametrize("family", ["EII", "VVI", "EEE", "VEV"])
def test_every_kind_of_family_can_be_searched_on_a_sample(family):
    by_sample, in_full = both(groups(), 3, family)
    assert by_sample.log_likelihood > in_full.log_likelihood - 0.01


def test_a_rare_component_survives_the_sample():
    rng = np.random.default_rng(0)
    X = np.concatenate([groups(200_000, 6.0, (0.6, 0.4)), rng.standard_normal((200, 2)) + np.array([-8.0, 8.0])])
    by_sample, in_full = both(rng.permutation(X), 3)
    assert in_full.mixture.weights.min() == pytest.approx(1e-3, rel=0.05)
    assert by_sample.mixture.weights.min() == pytest.approx(1e-3, rel=0.05)
    assert by_sample.log_likelihood > in_full.log_likelihood - 0.01


def test_a_component_too_rare_for_the_sample_is_judged_on_all_rows():
    """Twelve rows in 60,000: two of them in a sample of 10,000, fewer than a covariance needs."""
    rng = np.random.default_rng(0)
    X = np.concatenate([groups(MANY, 6.0, (0.6, 0.4)), 0.5 * rng.standard_normal((12, 2)) + np.array([-30.0, 30.0])])
    by_sample, in_full = both(X, 3)
    assert not by_sample.degenerate
    assert by_sample.log_likelihood > in_full.log_likelihood - 0.01


def test_rounded_rows_are_searched_without_a_degenerate_winner():
    by_sample, in_full = both(np.round(groups(), 0), 3)
    assert not by_sample.degenerate
    assert by_sample.log_likelihood > in_full.log_likelihood - 0.01


def test_a_sample_that_decides_nothing_leaves_it_to_all_rows():
    """A column that varies in 30 rows only: constant in most samples, where every covariance is flat."""
    rng = np.random.default_rng(0)
    X = np.concatenate([groups(apart=6.0, shares=(0.5, 0.5)), np.zeros((MANY, 1))], axis=1)
    X[rng.choice(MANY, size=30, replace=False), 2] = rng.standard_normal(30)
    by_sample, in_full = both(X, 2)
    assert by_sample.log_likelihood > in_full.log_likelihood - 0.01


def test_a_component_of_many_that_is_degenerate_on_the_sample_is_mended_on_all_rows():
    """With this seed one of a hundred holds 2.8 rows of the sample; all rows were searched from k-means then, to 1,903 below."""
    X = data_set("Birch2").rows
    truth = GaussianMixture(100, init_params=data_set("Birch2").groups, random_state=0).fit(X).result_.log_likelihood
    assert GaussianMixture(100, random_state=7).fit(X).result_.log_likelihood > truth - 0.01


def test_values_too_few_in_a_sample_are_found_in_all_rows():
    """Two values, and a third and fourth that a sample of 10,000 rows need not hold."""
    X = np.repeat([[0.0], [1.0]], MANY // 2, axis=0)
    X[[7, 30_007, 30_008]] = [[5.0], [6.0], [7.0]]
    begin = opening(usual_starts(), survey(X), 3, np.random.SeedSequence(0))
    assert all(start.n_components == 3 for _, start in begin.starts)


def test_sorted_rows_end_where_shuffled_rows_end():
    X = groups(apart=3.0)
    shuffled, in_order = (GaussianMixture(3, random_state=0).fit(rows) for rows in (X, X[np.argsort(X[:, 0])]))
    # The same sums in another order: rounding is 1e-16 of 2e5 per sum, far below the tolerance of one optimum.
    assert in_order.result_.log_likelihood == pytest.approx(shuffled.result_.log_likelihood, abs=0.01)


def test_a_weight_of_two_is_a_repeated_row():
    """The samples differ, because draws do; the optimum of all rows does not."""
    X = groups(apart=3.0)
    weights = np.random.default_rng(1).integers(1, 3, size=len(X)).astype(float)
    weighted = GaussianMixture(3, random_state=0).fit(X, sample_weight=weights)
    repeated = GaussianMixture(3, random_state=0).fit(np.repeat(X, weights.astype(int), axis=0))
    assert weighted.result_.log_likelihood == pytest.approx(repeated.result_.log_likelihood, abs=0.01)


# ---- the same bits, whatever the rows lie in ---------------------------------------------------------------------------


def test_threads_change_no_bit_of_a_fit_from_a_sample():
    X = groups(apart=2.5)
    one, two = (GaussianMixture(3, random_state=0, n_threads=n).fit(X) for n in (1, 2))
    assert one.result_.trace == two.result_.trace
    assert np.array_equal(one.covariances_, two.covariances_)


def test_a_memory_map_is_the_array_in_it(tmp_path):
    X = groups()
    np.save(tmp_path / "rows.npy", X)
    mapped = GaussianMixture(3, random_state=0).fit(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    assert mapped.result_.trace == GaussianMixture(3, random_state=0).fit(X).result_.trace


def test_float32_rows_stay_float32():
    X = groups(apart=6.0)
    exact, single = GaussianMixture(3, random_state=0).fit(X), GaussianMixture(3, random_state=0).fit(X.astype(np.float32))
    assert single.means_.dtype == np.float32
    order = np.argsort(exact.means_[:, 0]), np.argsort(single.means_[:, 0])
    # Rows are rounded to 6e-8 of about 10, and products to the same; means of 1e4 rows are far better than 1e-4.
    assert single.means_[order[1]] == pytest.approx(exact.means_[order[0]], abs=1e-4)


# ---- what is reported --------------------------------------------------------------------------------------------------


def test_the_likelihood_belongs_to_all_rows():
    X = groups()
    fit = GaussianMixture(3, random_state=0).fit(X)
    # Two sums of 6e4 terms of about 4 in different orders.
    assert fit.result_.log_likelihood == pytest.approx(fit.score_samples(X).sum(), rel=1e-12)
    assert fit.result_.total == pytest.approx(len(X), rel=1e-12)
    assert fit.converged_


@pytest.mark.parametrize("calls", [12, 200])
def test_an_interrupt_keeps_the_best_so_far_on_all_rows(calls):
    X, seen = groups(apart=2.0), []

    def stop(iteration):
        seen.append(iteration)
        if len(seen) == calls:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        fit = GaussianMixture(3, random_state=0, callback=stop, n_threads=1).fit(X)
    assert fit.stop_reason_ == StopReason.INTERRUPTED.value
    assert fit.result_.log_likelihood == pytest.approx(fit.score_samples(X).sum(), rel=1e-12)


def test_a_callback_is_told_likelihoods_at_the_size_of_all_rows():
    X, seen = groups(), []
    fit = GaussianMixture(3, random_state=0, callback=seen.append, n_threads=1).fit(X)
    final = fit.result_.log_likelihood
    # Mean log densities of 10,000 rows vary by 1 in 100; starts are worse, but not by a factor.
    assert all(1.5 * final < iteration.log_likelihood < 0.95 * final for iteration in seen)


# ---- when rows are sampled ---------------------------------------------------------------------------------------------


def test_rows_are_sampled_where_that_saves_most_of_them():
    assert sample_size(10**6, 1, 3) == FEWEST_ROWS
    least = WORTH_A_SAMPLE * FEWEST_ROWS
    assert sample_size(least, 2, 3) == FEWEST_ROWS
    assert sample_size(least - 1, 2, 3) == least - 1
    assert sample_size(10**6, 30, 3) == 31_000  # a component of weight 1e-3 has d + 1 rows
    assert sample_size(40_000, 30, 3) == 10_000  # but no more than a quarter
    assert sample_size(10**6, 9, 100) == 20_000  # 20 times what all components need
    for n in (least - 1, least):
        X = groups(n)
        assert GaussianMixture(3, random_state=0).fit(X).converged_


@pytest.mark.parametrize("asked", [{"n_init": 2}, {"init_params": "kmeans"}, {"means_init": np.eye(2) * 4}])
def test_starts_that_are_asked_for_run_on_all_rows(asked, monkeypatch):
    def refuse(self, m, seed):
        raise AssertionError("sampled")

    monkeypatch.setattr("mixtura.survey.Survey.sampled", refuse)
    X = groups(shares=(0.5, 0.5))
    assert GaussianMixture(2, random_state=0, **asked).fit(X).converged_
    with pytest.raises(AssertionError, match="sampled"):
        GaussianMixture(2, random_state=0).fit(X)


def test_one_component_needs_no_sample():
    data = survey(groups())
    assert opening(usual_starts(), data, 1, np.random.SeedSequence(0)).rows is data


def test_a_selection_shares_one_sample():
    selector = GaussianMixtureSelector(range(1, 5), families=["EEE", "VVV"], random_state=0).fit(groups(apart=5.0))
    assert selector.selection_.best.n_components == 3
    data = survey(groups())
    seeds = np.random.SeedSequence(0).spawn(2)
    two, three = (opening(usual_starts(), data, K, seed) for K, seed in zip((2, 3), seeds, strict=True))
    assert two.rows is three.rows
