"""A selection in two stages: short fits, searches, estimates from samples; the same winner."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from mixtura import GaussianMixtureSelector
from mixtura.families import FAMILIES
from mixtura.model.selection import Stage
from mixtura.search.budget import Budget
from mixtura.selection.two_stages import MARGIN

FAMILIES_TRIED = ["EII", "VVI", "EEE", "VVV"]


def spheres(n, K=4, d=2, apart=6.0, seed=0):
    """Unit Gaussians on a line."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[:, 0] += apart * rng.integers(K, size=n)
    return X


def table_of(selector):
    """The candidates of a selection as plain values."""
    return [
        (
            c.family,
            c.n_components,
            c.stage,
            c.criterion,
            c.reason,
            None if c.fit is None else c.fit.mixture.means.tolist(),
        )
        for c in selector.selection_.candidates
    ]


@pytest.fixture(scope="module")
def iris():
    return GaussianMixtureSelector(random_state=0).fit(load_iris().data)


def test_the_winner_the_runner_up_and_all_within_the_margin_are_searched(iris):
    selection = iris.selection_
    assert selection.best.stage is selection.runner_up.stage is Stage.SEARCHED
    near = [c for c in selection.ranking if c.criterion <= selection.best.criterion + MARGIN]
    assert all(c.stage is Stage.SEARCHED for c in near)


def test_every_candidate_keeps_its_row_and_most_get_a_short_fit_only(iris):
    candidates = iris.selection_.candidates
    assert {(c.family, c.n_components) for c in candidates} == {
        (name, K) for name in FAMILIES for K in range(1, 11)
    }
    assert sum(c.stage is Stage.SHORT_FIT for c in candidates) > len(candidates) / 2
    assert set(iris.table_["stage"]) == {"looked at", "searched"}


def test_the_winner_reports_the_starts_of_its_search(iris):
    assert iris.selection_.best.starts.n_starts > 2


def test_iris_has_the_winner_of_a_search_of_all_candidates(iris):
    """VEV with two components: mclust's choice, 561.7."""
    best = iris.selection_.best
    assert (best.family, best.n_components) == ("VEV", 2)
    assert best.criterion == pytest.approx(561.728, abs=0.01)


@pytest.mark.parametrize("n", [400, 12_000])
def test_the_number_of_workers_changes_no_bit(n):
    """Four candidates are searched at a time whatever the number of workers; also on samples."""
    X = spheres(n)
    tables = [
        table_of(
            GaussianMixtureSelector(
                range(1, 7), families=FAMILIES_TRIED, random_state=0, n_threads=threads
            ).fit(X)
        )
        for threads in (1, 2)
    ]
    assert tables[0] == tables[1]


def test_a_number_of_starts_searches_every_candidate_from_them():
    selection = (
        GaussianMixtureSelector(range(1, 4), families=["EII"], n_init=2, random_state=0)
        .fit(spheres(200))
        .selection_
    )
    assert all(c.stage is Stage.SEARCHED for c in selection.candidates)


# ---- many rows -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many():
    return (
        GaussianMixtureSelector(range(1, 8), families=FAMILIES_TRIED, random_state=0)
        .fit(spheres(60_000))
        .selection_
    )


def test_candidates_of_many_rows_drop_out_with_estimates_that_say_so(many):
    estimated = [c for c in many.candidates if c.is_estimate]
    assert estimated
    assert all(
        c.rows < 60_000 and f"estimated from {c.rows:,} of 60,000 rows" in c.reason
        for c in estimated
    )
    assert all(c.stage is Stage.SHORT_FIT for c in estimated)
    assert (many.best.family, many.best.n_components) == ("EII", 4)
    assert not many.best.is_estimate
    assert not many.runner_up.is_estimate


def test_estimates_are_near_the_criteria_of_all_rows(many):
    """Within five standard errors of the comparison; those of 2,500 of 60,000 rows are hundreds."""
    X = spheres(60_000)
    full = (
        GaussianMixtureSelector([1, 2], families=["EII"], n_init=1, random_state=0)
        .fit(X)
        .selection_
    )
    estimates = {(c.family, c.n_components): c for c in many.candidates}
    for candidate in full.candidates:
        estimate = estimates[candidate.family, candidate.n_components]
        assert estimate.is_estimate
        apart = many.best.fit.mixture.log_density(X) - candidate.fit.mixture.log_density(X)
        error = 2.0 * np.sqrt(len(X) * len(X) / estimate.rows) * apart.std()
        assert abs(estimate.criterion - candidate.criterion) < 5.0 * error


def test_one_gaussian_of_many_rows_is_one_component():
    X = np.random.default_rng(0).standard_normal((30_000, 3))
    best = (
        GaussianMixtureSelector(range(1, 5), families=FAMILIES_TRIED, random_state=0)
        .fit(X)
        .selection_.best
    )
    assert (best.family, best.n_components) == ("EII", 1)


def test_many_rows_that_no_candidate_can_model_are_refused_as_few_are():
    refusals = []
    for n in (300, 60_000):
        X = spheres(n)
        X[:, 1] = X[:, 0]
        with pytest.raises(ValueError, match="No candidate could be fitted") as refused:
            GaussianMixtureSelector(range(2, 4), families=["VVV"], random_state=0).fit(X)
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]


# ---- the work of a search ------------------------------------------------------------------------


def test_the_budget_of_a_search_is_some_fits_and_on_few_rows_a_minimum():
    budget = Budget(fits=1.5, least=1e6)
    assert budget.work(10**6, 1e8) == 1.5e8
    assert budget.work(10, 1e3) == pytest.approx(1e6, rel=1e-2)
