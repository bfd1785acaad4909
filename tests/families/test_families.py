"""Laws that every family obeys, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import ALL_FAMILIES, dataset, read_truth, two_groups
from mixtura.base.errors import CollapseError
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES, family_named
from mixtura.initialise.initialisers import FromLabels, RandomResponsibilities, moments_of_labels
from mixtura.model.moments import Moments
from mixtura.model.priors import pseudo_rows
from mixtura.model.regularisation import Regularisation

FREER = {"volume": "EV", "shape": "IEV", "orientation": "IEV"}


def is_stricter(a: str, b: str) -> bool:
    """Whether every letter of family a allows no more than b's: every pair that the algebra
    orders.
    """
    return a != b and all(
        order.index(x) <= order.index(y) for order, x, y in zip(FREER.values(), a, b, strict=True)
    )


NESTED = [(a, b) for a in ALL_FAMILIES for b in ALL_FAMILIES if is_stricter(a, b)]


def objective(moments: Moments, covariance) -> float:
    """What the M-step maximises: sum_k -n_k/2 (log det Sigma_k + tr(Sigma_k^-1 S_k))."""
    inverse = np.linalg.inv(covariance.dense())
    return float(
        -0.5
        * (moments.counts @ covariance.log_det + np.einsum("kij,kji->", inverse, moments.scatter))
    )


def fit(
    X,
    family,
    *,
    K=3,
    seed=0,
    weights=None,
    backend="auto",
    regularisation=None,
    labels=None,
    **keywords,
):
    data = dataset(X, weights, backend)
    start = FromLabels(labels) if labels is not None else RandomResponsibilities()
    moments = start(data, K, np.random.default_rng(seed))
    return em(
        Problem(data, family, regularisation or Regularisation(data.floor)), moments, **keywords
    )


def labels_for(X, K=3):
    """A partition that does not know about units or order: thirds along the first column."""
    return np.minimum(
        (np.argsort(np.argsort(X[:, 0], kind="stable"), kind="stable") * K) // len(X), K - 1
    )


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_never_decreases(family, backend, seed, faithful):
    trace = fit(faithful, family, seed=seed, backend=backend, max_iter=60).trace
    assert (np.diff(trace) >= 0).all()
    assert len(trace) > 5


@pytest.mark.parametrize(
    "settings",
    [
        {"floor": np.zeros(2), "ridge": 0.05},
        {"floor": np.full(2, 0.2)},
        {"prior": pseudo_rows(20.0, np.ones(2))},
        {"eigenvalue_ratio": 3.0},
    ],
    ids=["ridge", "floor", "shrunk", "ratio"],
)
def test_the_objective_with_a_regularisation_never_decreases(family, settings):
    X = two_groups(300, apart=2)
    regularisation = Regularisation(**{"floor": dataset(X).floor, **settings})
    for seed in range(3):
        loop = fit(X, family, K=4, seed=seed, regularisation=regularisation, max_iter=100)
        # The recorded trace is a running maximum; EM would have ended at the first fall, so its
        # length shows there was none.
        assert len(loop.trace) > 20


@pytest.mark.parametrize(("strict", "free"), NESTED)
def test_a_freer_family_never_fits_the_same_moments_worse(strict, free):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((80, 3)) * [1, 5, 0.2]
        moments = Moments.of(X, rng.dirichlet(np.ones(3), 80), np.zeros((3, 3)), Scatter.DENSE)
        regularisation = Regularisation(np.zeros(X.shape[1]))
        fits = [
            FAMILIES[name].m_step(moments.summarised(FAMILIES[name].needs), None, regularisation)
            for name in (strict, free)
        ]
        assert objective(moments, fits[0]) <= objective(moments, fits[1]) + 1e-10


def test_the_m_step_is_a_maximum(family):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 2)) * [1, 3]
    moments = Moments.of(X, rng.dirichlet(np.ones(2), 80), np.zeros((2, 2)), Scatter.DENSE)
    regularisation = Regularisation(np.zeros(X.shape[1]))
    best = objective(moments, family.m_step(moments.summarised(family.needs), None, regularisation))
    for _ in range(20):
        other = Moments.of(
            X, rng.dirichlet(np.ones(2), 80) + moments.counts / 80, np.zeros((2, 2)), Scatter.DENSE
        )
        assert (
            objective(moments, family.m_step(other.summarised(family.needs), None, regularisation))
            <= best + 1e-10
        )


def test_the_floor_is_the_constrained_maximum():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((50, 3)) * [1, 1, 1e-3]
    moments = Moments.of(X, np.ones((50, 1)), np.zeros((1, 3)), Scatter.DENSE)
    bounded = Regularisation(np.full(3, 0.1))
    covariance = FAMILIES["VVV"].m_step(moments, None, bounded)
    assert np.linalg.eigvalsh(covariance.dense()[0]).min() == pytest.approx(0.1)
    for _ in range(50):
        step = rng.standard_normal((3, 3)) * 0.02
        other = covariance.dense()[0] + step + step.T
        if np.linalg.eigvalsh(other).min() >= 0.1:
            assert objective(moments, type(covariance)(other[None], 1)) <= objective(
                moments, covariance
            )


def test_permuting_the_components_changes_nothing_else(family, faithful):
    labels = labels_for(faithful)
    a = fit(faithful, family, labels=labels, stopping=RemainingGain(1e-8), max_iter=20_000)
    b = fit(
        faithful,
        family,
        labels=np.array([2, 0, 1])[labels],
        stopping=RemainingGain(1e-8),
        max_iter=20_000,
    )
    assert a.log_likelihood == pytest.approx(
        b.log_likelihood, abs=1e-6
    )  # each is within 1e-8 of the optimum; a factor for rounding
    np.testing.assert_allclose(a.mixture.means, b.mixture.means[[2, 0, 1]], rtol=1e-5)


def test_a_weight_of_two_is_a_repeated_row_and_zero_an_absent_one(family, backend, faithful):
    weights = np.random.default_rng(0).integers(1, 4, len(faithful))
    repeated = np.repeat(faithful, weights, axis=0)
    labels = labels_for(faithful)
    a = fit(
        faithful, family, weights=weights.astype(float), backend=backend, labels=labels, max_iter=30
    )
    b = fit(repeated, family, backend=backend, labels=np.repeat(labels, weights), max_iter=30)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-11)
    assert a.total == pytest.approx(
        len(repeated), rel=1e-14
    )  # a sum of responsibilities, row by row rounded
    assert b.total == pytest.approx(len(repeated), rel=1e-14 * len(repeated))
    np.testing.assert_allclose(a.mixture.means, b.mixture.means, rtol=1e-9)


def test_a_shift_moves_the_means_and_nothing_else(family, faithful):
    labels = labels_for(faithful)
    a, b = (fit(faithful + shift, family, labels=labels, max_iter=30) for shift in (0.0, 1e6))
    # Adding 1e6 rounds the data by 1e-10; 30 iterations may amplify that.
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-5)
    np.testing.assert_allclose(a.mixture.means + 1e6, b.mixture.means, rtol=1e-11)


def test_a_common_change_of_units_shifts_the_log_likelihood_by_its_jacobian(family, faithful):
    labels = labels_for(faithful)
    a, b = (fit(faithful * unit, family, labels=labels, max_iter=30) for unit in (1.0, 1e-9))
    assert a.log_likelihood == pytest.approx(
        b.log_likelihood + faithful.size * np.log(1e-9), abs=1e-6
    )


@pytest.mark.parametrize("name", ["EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV"])
def test_units_of_single_columns_change_nothing_where_the_algebra_allows_it(name, faithful):
    labels = labels_for(faithful)
    units = np.array([1e-6, 1e5])
    a, b = (
        fit(faithful * unit, FAMILIES[name], labels=labels, max_iter=30)
        for unit in (np.ones(2), units)
    )
    assert a.log_likelihood == pytest.approx(
        b.log_likelihood + len(faithful) * np.log(units).sum(), abs=1e-6
    )
    np.testing.assert_allclose(a.mixture.means * units, b.mixture.means, rtol=1e-8)


@pytest.mark.parametrize(
    "name", [name for name in ALL_FAMILIES if name.endswith("II") or not name.endswith("I")]
)
def test_a_rotation_changes_nothing_where_the_algebra_allows_it(name):
    X = two_groups(300, 3, apart=2)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    labels = labels_for(X)
    a, b = (fit(Y, FAMILIES[name], labels=labels, max_iter=30) for Y in (X, X @ rotation))
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-7)
    np.testing.assert_allclose(a.mixture.means @ rotation, b.mixture.means, atol=1e-8)


def test_the_answer_is_a_fixed_point(family, faithful):
    fitted = fit(
        faithful, family, labels=labels_for(faithful), stopping=RemainingGain(1e-9), max_iter=20000
    )
    again = em(
        Problem(dataset(faithful), family, Regularisation(dataset(faithful).floor)),
        fitted.mixture,
        max_iter=1,
    )
    np.testing.assert_allclose(again.mixture.means, fitted.mixture.means, rtol=1e-5)


def test_one_component_has_the_closed_form(family, faithful):
    fitted = fit(faithful, family, K=1)
    covariance = np.cov(faithful.T, bias=True)
    diagonal = np.diag(np.diag(covariance))
    expected = {"II": np.eye(2) * np.trace(covariance) / 2, "EI": diagonal, "VI": diagonal}.get(
        family.name[1:], covariance
    )
    np.testing.assert_allclose(
        fitted.mixture.covariance.dense()[0], expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(
    "row",
    [r for r in read_truth("nparams.json")["rows"] if r["model"] in ALL_FAMILIES],
    ids=lambda r: f"{r['model']}-{r['d']}-{r['G']}",
)
def test_parameter_counts_are_mclusts(row):
    assert FAMILIES[row["model"]].n_parameters(row["G"], row["d"]) == row["nparams"]


def test_without_any_floor_a_collapse_names_the_component(family):
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    data = dataset(X)
    moments = moments_of_labels(data, 2, np.repeat([0, 1], 5))
    with pytest.raises(CollapseError, match="ill-defined empirical covariance"):
        family.m_step(moments.summarised(family.needs), None, Regularisation(np.zeros(2)))


@pytest.mark.parametrize(
    ("word", "guess"), [("ful", "full"), ("VVY", "VV"), ("spherica", "spherical"), ("dia", "diag")]
)
def test_an_unknown_family_gets_a_guess(word, guess):
    with pytest.raises(ValueError, match=f"Did you mean '{guess}"):
        family_named(word)


def test_both_names_mean_the_same_family():
    words = {
        "full": "VVV",
        "tied": "EEE",
        "diag": "VVI",
        "spherical": "VII",
        "tied_diag": "EEI",
        "tied_spherical": "EII",
        "vvv": "VVV",
    }
    assert {word: family_named(word).name for word in words} == words
