"""The bound on the eigenvalues: every family keeps it, and the likelihood never falls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from conftest import dataset, two_groups
from mixtura import GaussianMixture
from mixtura.data.problem import Problem
from mixtura.em.em import em
from mixtura.families.shapes import equal, own_shapes, own_volumes
from mixtura.initialise.initialisers import FromLabels
from mixtura.model.eigenvalue_ratio import contracted, truncated, within
from mixtura.model.regularisation import Regularisation


def loss(variances, spreads, counts):
    return float((counts[:, None] * (np.log(variances) + spreads / variances)).sum())


@pytest.mark.parametrize("seed", range(8))
def test_truncation_to_an_interval_is_optimal(seed):
    rng = np.random.default_rng(seed)
    spreads, counts = np.exp(3 * rng.standard_normal((4, 3))), rng.uniform(1, 50, 4)
    if seed % 2:
        spreads[0, 0] = 0.0
    ours = truncated(spreads, counts, 7.0)
    assert ours.max() <= 7.0 * ours.min() * (1 + 1e-12)
    grid = np.exp(np.linspace(-12, 8, 4001))
    coarse = grid[np.argmin([loss(np.clip(spreads, m, 7.0 * m), spreads, counts) for m in grid])]
    best = minimize_scalar(
        lambda m: loss(np.clip(spreads, m, 7.0 * m), spreads, counts),
        bounds=(coarse * 0.9, coarse * 1.1),
        method="bounded",
    )
    assert loss(ours, spreads, counts) <= best.fun + 1e-9 * abs(best.fun)


def test_variances_within_the_ratio_do_not_change():
    spreads = np.array([[1.0, 2.0], [3.0, 1.5]])
    np.testing.assert_array_equal(truncated(spreads, np.ones(2), 3.0), spreads)
    assert contracted(np.log(spreads), np.ones(2), 3.0) is not None
    np.testing.assert_array_equal(contracted(np.log(spreads), np.ones(2), 3.0), np.log(spreads))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("letters", ["VE", "EV", "EE", "VV"])
def test_variances_of_equal_volume_or_shape_are_optimal_within_the_ratio(letters, seed):
    rng = np.random.default_rng(seed)
    spreads, counts, K, d = (
        np.exp(rng.standard_normal((3, 2))) * [1.0, 30.0],
        rng.uniform(1, 50, 3),
        3,
        2,
    )
    law = {
        "VE": own_volumes,
        "EV": own_shapes,
        "EE": lambda s, n: np.repeat(equal(s, n), K, 0),
        "VV": lambda s, n: s,
    }[letters]
    free = np.log(law(spreads, counts))
    ours = within(free, spreads, counts, 1.5, *letters)
    assert np.ptp(ours) <= np.log(1.5) * (1 + 1e-9) < np.ptp(free)
    if letters == "VE":
        assert np.ptp(ours[:, 0] - ours[:, 1]) < 1e-9
        structure = np.hstack([np.repeat(np.eye(K), d, axis=0), np.tile(np.eye(d), (K, 1))])
    elif letters == "EV":
        assert np.ptp(ours.sum(axis=1)) < 1e-9
        structure = np.hstack([np.ones((K * d, 1)), np.kron(np.eye(K), [[1.0], [-1.0]])])
    else:
        structure = np.tile(np.eye(d), (K, 1)) if letters == "EE" else np.eye(K * d)

    def value(coordinates):
        return loss(np.exp(structure @ coordinates[:-1]).reshape(K, d), spreads, counts)

    bounds = np.hstack([structure, -np.ones((K * d, 1))])
    slack = {
        "type": "ineq",
        "fun": lambda c: np.concatenate([bounds @ c, np.log(1.5) - bounds @ c]),
    }
    for logs in (ours, np.full((K, d), np.log(spreads.mean()))):
        begin = np.append(np.linalg.lstsq(structure, logs.ravel(), rcond=None)[0], logs.min())
        other = minimize(
            value, begin, method="SLSQP", constraints=slack, options={"maxiter": 300, "ftol": 1e-12}
        )
        assert loss(np.exp(ours), spreads, counts) <= other.fun + 1e-7 * abs(other.fun)


def test_under_the_bound_a_freer_family_fits_no_worse():
    """VVE contains VVI, and VEV and EVV contain EEV."""
    rng = np.random.default_rng(3)
    wide, tall = (
        rng.normal(0, 1, (100, 2)) @ [[2.0, 0.5], [0.0, 0.4]],
        rng.normal(6, 1.5, (60, 2)) @ [[0.3, 0.1], [0.0, 1.0]],
    )
    X = np.concatenate([wide, tall, rng.normal((0.0, 9.0), 0.3, (40, 2))])

    def reached(name):
        return (
            GaussianMixture(3, covariance_type=name, eigenvalue_ratio=3.0, random_state=0)
            .fit(X)
            .result_.log_likelihood
        )

    assert reached("VVE") > reached("VVI") - 0.05
    assert min(reached("VEV"), reached("EVV")) > reached("EEV") - 0.05


def test_every_family_keeps_the_ratio_and_the_likelihood_never_falls(family):
    X = np.concatenate(
        [
            two_groups(200, 3) * [1.0, 4.0, 0.3],
            np.random.default_rng(1).standard_normal((60, 3)) * 0.05,
        ]
    )
    data = dataset(X)
    labels = np.random.default_rng(0).integers(0, 3, len(X))
    start = FromLabels(labels)(data, 3, np.random.default_rng(0))
    fit = em(
        Problem(data, family, Regularisation(data.floor, eigenvalue_ratio=20.0)),
        start,
        max_iter=200,
    )
    values = np.linalg.eigvalsh(fit.mixture.covariance.dense())
    assert values.max() <= 20.0 * values.min() * (1 + 1e-9)
    assert (np.diff(fit.trace) >= 0).all()
    at_start = em(
        Problem(data, family, Regularisation(data.floor, eigenvalue_ratio=20.0)), start, max_iter=0
    )
    assert fit.log_likelihood > at_start.log_likelihood


def test_with_a_ratio_of_one_all_components_are_equal_spheres(faithful):
    standard = (faithful - faithful.mean(axis=0)) / faithful.std(axis=0)
    spheres = GaussianMixture(2, covariance_type="EII", random_state=0).fit(standard)
    bounded = GaussianMixture(2, eigenvalue_ratio=1.0, random_state=0).fit(standard)
    assert bounded.lower_bound_ == pytest.approx(spheres.lower_bound_, abs=1e-4)
    expected = np.repeat(spheres.covariances_ * np.eye(2)[None], 2, axis=0)
    np.testing.assert_allclose(bounded.covariances_, expected, rtol=0.01, atol=1e-6)


def test_the_bound_keeps_a_component_from_collapsing_on_one_value():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((100, 2)), np.tile([[0.5, 0.5]], (30, 1))])
    fitted = GaussianMixture(2, eigenvalue_ratio=50.0, random_state=0).fit(X)
    values = np.linalg.eigvalsh(fitted.covariances_)
    assert values.max() <= 50.0 * values.min() * (1 + 1e-9)
    assert fitted.converged_


@pytest.mark.parametrize("ratio", [0.5, "10", True, float("inf"), float("nan")])
def test_an_invalid_ratio_is_refused(ratio):
    with pytest.raises(ValueError, match="eigenvalue_ratio must be a number of at least 1 or None"):
        GaussianMixture(2, eigenvalue_ratio=ratio).fit(two_groups(50))


def test_the_ratio_is_kept_where_the_start_violates_it(family):
    X = two_groups(200, 2) * [1.0, 3.0]
    fitted = GaussianMixture(2, covariance_type=family.name, warm_start=True, random_state=0).fit(X)
    values = np.linalg.eigvalsh(
        fitted.set_params(eigenvalue_ratio=1.1).fit(X).result_.mixture.covariance.dense()
    )
    assert values.max() <= 1.1 * values.min() * (1 + 1e-9)


@pytest.mark.filterwarnings(
    "ignore::mixtura.base.errors.DegenerateWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_family_keeps_the_ratio_with_columns_of_very_different_units(family, seed):
    X = (
        two_groups(100, 3, seed=seed)
        @ np.array([[1.0, 0.4, 0.2], [0.0, 1.0, 0.1], [0.0, 0.0, 0.6]])
        * [1e-8, 1.0, 1e8]
    )
    fitted = GaussianMixture(
        2, covariance_type=family.name, eigenvalue_ratio=100.0, random_state=0
    ).fit(X)
    assert np.isfinite(fitted.lower_bound_)
    values = np.linalg.eigvalsh(fitted.result_.mixture.covariance.dense())
    assert values.max() <= 100.0 * values.min() * (1 + 1e-6)
