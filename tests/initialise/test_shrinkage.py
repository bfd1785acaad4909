"""Full covariances of few rows are shrunk; those of enough rows are maximum likelihood."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.mixture import GaussianMixture as ScikitLearn

from conftest import dataset, read_data
from mixtura import GaussianMixture
from mixtura.base.errors import DataWarning
from mixtura.data.problem import Problem
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import FromLabels
from mixtura.initialise.shrinkage import (
    ENOUGH_ROWS,
    _SharedCovariance,
    full_covariances,
    shrinkage_for,
)
from mixtura.inputs import constraints
from mixtura.model.regularisation import Regularisation

FULL = [name for name in FAMILIES if not name.endswith("I")]
RIDGES = (1e-6, 1e-3, 1e-2, 0.1, 1.0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def white(n: int, d: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def correlated(n: int, d: int, seed: int) -> np.ndarray:
    """Neighbouring columns correlate by 0.9."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, d))
        @ np.linalg.cholesky(0.9 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))).T
    )


def two_correlated_groups(n: int, d: int, seed: int = 0) -> np.ndarray:
    X = correlated(n, d, seed)
    X[n // 2 :] += 3.0
    return X


def rare_cluster() -> np.ndarray:
    """16 rows in 6 columns among 246."""
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(size=(230, 6)), 6.0 + rng.normal(size=(16, 6))])


def quiet_fit(X, K, **settings) -> GaussianMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(K, random_state=0, **settings).fit(X)


def data_warnings(X, K, **settings) -> list[str]:
    """The messages of a fit's data warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GaussianMixture(K, random_state=0, max_iter=5, n_init=1, **settings).fit(X)
    return [str(one.message) for one in caught if issubclass(one.category, DataWarning)]


def best_ridge(X, K, fresh) -> float:
    """The best score of fresh rows over the ridges of scikit-learn's fits."""
    fits = (ScikitLearn(K, reg_covar=ridge, random_state=0).fit(X) for ridge in RIDGES)
    return max(fit.score(fresh) for fit in fits)


# ---- enough rows ---------------------------------------------------------------------------------

DATA_SETS = {
    "iris": (lambda: load_iris().data, 3),
    "wine": (lambda: load_wine().data, 3),
    "breast cancer": (lambda: load_breast_cancer().data, 2),
    "diabetes": (lambda: read_data("diabetes.csv", 3), 9),
    "rare cluster": (rare_cluster, 3),
    "one column": (lambda: white(6, 1), 3),
}


@pytest.mark.parametrize("name", DATA_SETS)
@pytest.mark.parametrize("family", FULL)
def test_nothing_is_shrunk_with_enough_rows(name, family):
    rows, K = DATA_SETS[name]
    assert shrinkage_for(dataset(rows()), FAMILIES[family], K) is None


def test_a_fit_of_enough_rows_is_maximum_likelihood_to_the_bit(monkeypatch):
    X = load_iris().data
    ours = quiet_fit(X, 3)
    monkeypatch.setattr(constraints, "shrinkage_for", lambda *_: None)
    plain = quiet_fit(X, 3)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(plain, name))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("K", [1, 3])
def test_the_bound_depends_on_the_number_of_free_orientations(family, K):
    d, free = 4, full_covariances(FAMILIES[family], K)
    assert free == (0 if family.endswith("I") else 1 if family.endswith("E") else K)
    enough = int(np.ceil(ENOUGH_ROWS * free * (d + 1)))
    assert shrinkage_for(dataset(white(max(enough, K + 1), d)), FAMILIES[family], K) is None
    if free:
        assert shrinkage_for(dataset(white(enough - 1, d)), FAMILIES[family], K) is not None


# ---- the strength --------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [7, 30])
@pytest.mark.parametrize("r", [0.5, 20.0])
def test_the_closed_form_of_leave_one_out_is_leave_one_out(m, r):
    X, d = white(m, 12, seed=4), 12
    by_hand = 0.0
    for i in range(m):
        rest = np.delete(X, i, axis=0)
        mean = rest.mean(axis=0)
        covariance = ((rest - mean).T @ (rest - mean) + r * np.eye(d)) / (m - 1 + r)
        v = X[i] - mean
        by_hand -= 0.5 * (np.linalg.slogdet(covariance)[1] + v @ np.linalg.solve(covariance, v))
    shared = _SharedCovariance(X - X.mean(axis=0), np.ones(m), np.full(m, float(m)))
    assert shared.leave_one_out(r) == pytest.approx(by_hand, rel=1e-10)


@pytest.mark.parametrize("family", ["VVV", "EEE", "VVE"])
def test_the_strength_does_not_depend_on_units_or_order(family):
    X, units = two_correlated_groups(24, 10), 10.0 ** np.random.default_rng(1).uniform(-6, 6, 10)
    plain = shrinkage_for(dataset(X), FAMILIES[family], 2)
    other = shrinkage_for(dataset(X[::-1] * units + 3.0 * units), FAMILIES[family], 2)
    assert other.rows == pytest.approx(plain.rows, rel=1e-6)
    np.testing.assert_allclose(other.scale, plain.scale * units**2, rtol=1e-8)


def test_a_weight_of_two_is_a_repeated_row_and_a_common_factor_changes_no_covariance():
    X = two_correlated_groups(24, 10)
    weights = np.where(np.arange(24) % 3 == 0, 2.0, 1.0)
    weighted = shrinkage_for(dataset(X, weights), FAMILIES["VVV"], 2).prior
    repeated = shrinkage_for(
        dataset(np.repeat(X, weights.astype(int), axis=0)), FAMILIES["VVV"], 2
    ).prior
    assert repeated.rows == pytest.approx(weighted.rows, rel=1e-9)
    np.testing.assert_allclose(repeated.scatter, weighted.scatter, rtol=1e-9)
    half = shrinkage_for(dataset(X, 0.5 * weights), FAMILIES["VVV"], 2).prior
    assert half.rows == pytest.approx(0.5 * weighted.rows, rel=1e-9)


def test_correlated_columns_are_shrunk_less_than_white_noise_and_less_with_more_rows():
    def part(n, make):
        return shrinkage_for(dataset(make(n, 20, seed=0)), FAMILIES["VVV"], 1).rows / n

    few, more = part(15, correlated), part(50, correlated)
    assert more < few < part(15, white)
    assert more < 0.15


def test_as_many_groups_as_rows_are_fitted():
    X = white(5, 8)
    assert shrinkage_for(dataset(X), FAMILIES["VVV"], 5).rows == 10.0
    assert np.isfinite(quiet_fit(X, 4).score(white(50, 8, seed=1)))


# ---- the fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FULL)
@pytest.mark.parametrize("n", [9, 24])
def test_the_objective_never_falls(family, n):
    data, kind = dataset(two_correlated_groups(n, 10)), FAMILIES[family]
    shrinkage = shrinkage_for(data, kind, 2)
    assert shrinkage is not None
    regularisation = Regularisation(data.floor, prior=shrinkage.prior)
    start = FromLabels(np.arange(n) % 2)(data, 2, np.random.default_rng(0))
    fit = em(Problem(data, kind, regularisation), start, stopping=RemainingGain(1e-6), max_iter=200)
    steps = np.diff(fit.trace)
    assert len(steps) > 0
    assert (steps >= -1e-9 * np.abs(fit.trace[-1])).all()


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_white_noise_is_predicted_as_well_as_with_the_best_ridge(seed):
    fresh = white(2000, seed=seed + 100)
    for n in (30, 45, 60, 84, 120, 200):
        X = white(n, seed=seed)
        best = best_ridge(X, 2, fresh)
        assert quiet_fit(X, 2).score(fresh) > best - 0.1 * abs(best), n


@pytest.mark.parametrize("n", [30, 45, 84])
@pytest.mark.parametrize("make", [white, correlated], ids=["white", "correlated"])
def test_one_component_is_predicted_as_well_as_with_the_best_ridge(make, n):
    X, fresh = make(n, 40, seed=5), make(2000, 40, seed=6)
    best = best_ridge(X, 1, fresh)
    assert quiet_fit(X, 1).score(fresh) > best - 0.1 * abs(best)


@pytest.mark.parametrize("family", FULL)
def test_units_change_no_iteration(family):
    def fit(units):
        data, kind = dataset(two_correlated_groups(24, 10) * units), FAMILIES[family]
        regularisation = Regularisation(data.floor, prior=shrinkage_for(data, kind, 2).prior)
        start = FromLabels(np.arange(24) % 2)(data, 2, np.random.default_rng(0))
        return em(
            Problem(data, kind, regularisation), start, stopping=RemainingGain(1e-6), max_iter=30
        )

    # a unit of one column changes the axes of the other families
    equivariant = family in ("EEE", "VEE", "EVV", "VVV")
    units = 2.0 ** (
        np.random.default_rng(2).integers(-30, 30, 10) if equivariant else np.full(10, 12.0)
    )
    plain, other = fit(np.ones(10)), fit(units)
    assert other.objective == pytest.approx(plain.objective - 24 * np.log(units).sum(), rel=1e-8)
    np.testing.assert_allclose(other.mixture.means, plain.mixture.means * units, rtol=1e-6)


# ---- the warning ---------------------------------------------------------------------------------


def test_the_warning_of_shrinkage_gives_its_strength():
    X = two_correlated_groups(30, 10)
    rows = shrinkage_for(dataset(X), FAMILIES["VVV"], 2).rows
    (text,) = data_warnings(X, 2)
    assert text.startswith("X has 30 rows for 2 components and 10 columns: ")
    assert f"as if {rows:,.3g} more rows per component had been seen" in text
    assert "reg_covar=0" in text


@pytest.mark.parametrize(
    "settings", [{"covariance_type": "diag"}, {"reg_covar": 1e-3}, {"prior": "conjugate"}], ids=str
)
def test_without_shrinkage_there_is_no_warning(settings):
    assert data_warnings(two_correlated_groups(30, 10), 2, **settings) == []


def test_enough_rows_give_no_warning():
    assert data_warnings(two_correlated_groups(55, 10), 2) == []
    assert len(data_warnings(two_correlated_groups(54, 10), 2)) == 1
