"""Conjugate priors and equal proportions, against mclust and against their own law."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import dataset, read_data, read_truth, two_groups
from mixtura import ConjugatePrior, GaussianMixture
from mixtura.base.errors import DataError, DataWarning
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES, family_named
from mixtura.initialise.initialisers import FromLabels
from mixtura.model.moments import Moments
from mixtura.model.priors import pseudo_rows
from mixtura.model.regularisation import Regularisation

SHRINKAGE = {"default": 0.01, "shrinkage0": 0.0, "shrinkage0.1": 0.1}
OURS_FOLLOW_THE_PAPER = ("EII", "EEI")
"""mclust leaves out the scale of EII and does not shrink the means of EEI."""


def relative(ours, theirs) -> float:
    theirs = np.asarray(theirs, dtype=float)
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def from_partition(X, labels, model, K, regularisation_of):
    data, family = dataset(X), family_named(model)
    start = FromLabels(labels)(data, K, np.random.default_rng(0))
    return em(
        Problem(data, family, regularisation_of(data, family)),
        start,
        stopping=RemainingGain(1e-9),
        max_iter=40_000,
    )


@pytest.mark.parametrize("name", ["faithful", "banknote", "acidity", "eurounemp"])
def test_map_fits_are_mclusts(name):
    truth = read_truth(f"prior_{name}.json")
    X = read_data(f"{name}.csv", truth["d"])
    labels = {start["G"]: np.array(start["labels"]) for start in truth["inits"]}
    held = 0
    for case in truth["fits"]:
        if case["status"] != "ok" or case["model"] in OURS_FOLLOW_THE_PAPER:
            continue
        K, prior = case["G"], ConjugatePrior(SHRINKAGE[case["variant"]])
        priors = []

        def regularisation(data, family, prior=prior, K=K, priors=priors):
            # mclust's univariate models have the scale of ellipsoids
            priors.append(prior.for_family(family.name, K, data.mean, data.covariance, data.total))
            return Regularisation(data.floor, prior=priors[0])

        ours = from_partition(X, labels[K], case["model"], K, regularisation)
        where = (case["variant"], case["model"], K)
        assert priors[0].mean == pytest.approx(np.atleast_1d(case["prior"]["mean"]), rel=1e-12), (
            where
        )
        assert ours.log_likelihood == pytest.approx(case["loglik"], rel=1e-7), where
        assert relative(ours.mixture.weights, case["pro"]) < 2e-5, where
        assert (
            relative(ours.mixture.means, np.reshape(case["mean"], ours.mixture.means.shape)) < 2e-5
        ), where
        covariance = ours.mixture.covariance.dense()
        assert relative(covariance, np.reshape(case["cov"], covariance.shape)) < 2e-5, where
        held += 1
    assert held >= (3 if truth["d"] == 1 else 20)


@pytest.mark.parametrize("name", ["faithful", "banknote"])
def test_equal_proportions_are_mclusts(name):
    truth = read_truth(f"equalpro_{name}.json")
    X = read_data(f"{name}.csv", truth["d"])
    labels = {start["G"]: np.array(start["labels"]) for start in truth["inits"]}
    held = 0
    for case in truth["fits"]:
        if case.get("status") != "ok":
            continue
        K = case["G"]
        ours = from_partition(
            X,
            labels[K],
            case["model"],
            K,
            lambda data, family: Regularisation(data.floor, equal_weights=True),
        )
        assert (ours.mixture.weights == 1 / K).all()
        assert ours.n_parameters == case["nparams"], case["model"]
        if case.get("exact_optimum"):
            assert ours.log_likelihood == pytest.approx(case["loglik"], rel=1e-7), (
                case["model"],
                K,
            )
            assert relative(ours.mixture.means, case["mean"]) < 2e-5
            assert relative(ours.mixture.covariance.dense(), case["cov"]) < 2e-5
            held += 1
        elif case["model"] != "VVI":  # mclust's value is not the likelihood of a density
            assert ours.log_likelihood >= case["loglik"] - 1e-7 * abs(case["loglik"]), (
                case["model"],
                K,
            )
    assert held >= 15


def priors_of(family, K, data):
    return ConjugatePrior(0.5).for_family(family.name, K, data.mean, data.covariance, data.total)


@pytest.mark.parametrize("seed", range(2))
def test_the_posterior_never_falls_and_the_penalty_is_that_of_the_prior(family, seed):
    X = two_groups(120, 3, apart=2.0, seed=seed)
    data = dataset(X)
    prior = priors_of(family, 3, data)
    labels = np.random.default_rng(seed).integers(0, 3, len(X))
    fit = em(
        Problem(data, family, Regularisation(data.floor, prior=prior)),
        FromLabels(labels)(data, 3, np.random.default_rng(0)),
        max_iter=80,
    )
    # The trace ends at the first fall, so its length shows there was none.
    assert len(fit.trace) > 15
    assert (np.diff(fit.trace) >= 0).all()
    covariances, means = fit.mixture.covariance.dense(), fit.mixture.means
    free = 1 if family.shares_all else 3
    expected = 0.0
    for k in range(free):
        expected -= 0.5 * (
            prior.rows * np.linalg.slogdet(covariances[k])[1]
            + np.trace(np.linalg.solve(covariances[k], prior.scatter))
        )
    for k in range(3):
        apart = means[k] - prior.mean
        expected -= 0.5 * prior.shrinkage * apart @ np.linalg.solve(covariances[k], apart)
    assert fit.trace[-1] - fit.log_likelihood == pytest.approx(expected, rel=1e-9)


def test_the_m_step_with_a_prior_maximises_the_objective_with_the_penalty(family):
    """M-steps from other responsibilities are no better for the given ones."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2)) * [1.0, 3.0] + 1.0
    data = dataset(X)
    regularisation = Regularisation(data.floor, prior=priors_of(family, 2, data))

    def value(covariance, means, moments):
        apart = means - moments.means
        scatter = (
            moments.scatter + moments.counts[:, None, None] * apart[:, :, None] * apart[:, None, :]
        )
        expected = -0.5 * (
            moments.counts @ covariance.log_det
            + np.einsum("kij,kji->", np.linalg.inv(covariance.dense()), scatter)
        )
        return expected + regularisation.prior.penalty(means, covariance)

    def step(moments):
        return family.m_step(
            moments.summarised(family.needs), None, regularisation
        ), regularisation.means(moments)

    moments = Moments.of(X, rng.dirichlet(np.ones(2), 60), np.zeros((2, 2)), Scatter.DENSE)
    best = value(*step(moments), moments)
    for _ in range(30):
        other = Moments.of(
            X, rng.dirichlet(np.ones(2), 60) + moments.counts / 30, np.zeros((2, 2)), Scatter.DENSE
        )
        covariance, means = step(other)
        assert value(covariance, means, moments) <= best + 1e-9


def test_a_prior_keeps_a_component_on_two_rows_regular():
    X = np.concatenate([two_groups(60, 3)[:60], [[40.0, 40.0, 40.0], [41.0, 40.0, 40.0]]])
    labels = np.repeat([0, 1], [60, 2])
    fitted = GaussianMixture(2, prior="conjugate", init_params=labels).fit(X)
    assert fitted.result_.is_sound  # the prior's rows hold its covariance
    assert fitted.weights_.min() == pytest.approx(2 / 62, rel=1e-6)
    assert np.linalg.eigvalsh(fitted.covariances_).min() > 1e-3


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("conjugat", "prior must be None, 'conjugate'"),
        (ConjugatePrior(shrinkage=-1.0), "shrinkage of the prior must be a number of at least 0"),
        (ConjugatePrior(mean=[0.0, 1.0]), "mean of the prior"),
        (ConjugatePrior(dof=1.0), "dof of the prior must be above d - 1 = 2"),
        (ConjugatePrior(scale=np.eye(2)), "scale of the prior"),
        (ConjugatePrior(scale=-np.eye(3)), "positive-definite"),
        (ConjugatePrior(scale=0.0), "scale of the prior must be positive"),
        (ConjugatePrior(scale="a"), "scale of the prior must be positive"),
        (ConjugatePrior(mean="a"), "mean of the prior"),
        (ConjugatePrior(shrinkage=None), "shrinkage of the prior must be a number of at least 0"),
    ],
)
def test_an_invalid_prior_is_refused(prior, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, prior=prior).fit(two_groups(50, 3))


def test_pseudo_rows_are_a_prior():
    prior = pseudo_rows(5.0, np.array([1.0, 4.0]))
    assert prior.rows == 5.0
    np.testing.assert_array_equal(prior.scatter, np.diag([5.0, 20.0]))


def test_every_family_has_a_prior():
    for name in FAMILIES:
        assert ConjugatePrior().for_family(name, 3, np.zeros(2), np.eye(2), 10.0).rows >= 0


def test_with_a_ridge_and_a_prior_the_objective_never_falls(family):
    X = two_groups(150, 2, apart=3.0)
    fitted = GaussianMixture(
        2, covariance_type=family.name, prior="conjugate", reg_covar=0.5, n_init=1, random_state=0
    ).fit(X)
    assert fitted.n_iter_ > 2, "an objective that falls ends EM at once"
    assert fitted.standard_errors(X).distance < 0.1


@pytest.mark.parametrize("shrinkage", [0.0, 0.01])
@pytest.mark.parametrize(
    ("one", "same"),
    [("EEE", "VVV"), ("EVE", "VVV"), ("EEI", "VVI"), ("EVI", "VVI"), ("EII", "VII")],
)
def test_with_one_component_equal_models_have_equal_priors(one, same, shrinkage):
    X = two_groups(50, 2)
    fits = [
        GaussianMixture(covariance_type=name, prior=ConjugatePrior(shrinkage)).fit(X).result_
        for name in (one, same)
    ]
    np.testing.assert_allclose(
        fits[0].mixture.covariance.dense(), fits[1].mixture.covariance.dense(), rtol=1e-12
    )


def test_a_penalty_loses_no_digits_to_units():
    X = np.random.default_rng(0).standard_normal((60, 3)) @ np.array(
        [[1.0, 0.5, 0.2], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]]
    )
    units = np.array([1e-8, 1.0, 1e8])  # their product is one, so no determinant changes
    plain, scaled = (
        GaussianMixture(prior="conjugate").fit(X * by).result_ for by in (np.ones(3), units)
    )
    assert scaled.trace[-1] == pytest.approx(plain.trace[-1], abs=1e-6)


@pytest.mark.filterwarnings(
    "ignore::mixtura.base.errors.DegenerateWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)
@pytest.mark.parametrize("case", ["constant column", "combination", "K rows"])
def test_a_prior_of_full_rank_fits_singular_data_with_a_warning(case, family):
    X = two_groups(60, 2)
    X = {
        "constant column": np.c_[X, np.ones(60)],
        "combination": np.c_[X, X.sum(axis=1)],
        "K rows": X[[0, 1, 40]],
    }[case]
    K = 3 if case == "K rows" else 2
    sound = case != "K rows" and (
        family.name in ("EII", "VII") or (case == "combination" and family.name.endswith("I"))
    )
    if not sound:
        with pytest.raises(DataError):
            GaussianMixture(K, covariance_type=family.name, random_state=0).fit(X)
        with pytest.warns(DataWarning, match="the prior decides the answer"):
            fitted = GaussianMixture(
                K, covariance_type=family.name, prior=ConjugatePrior(scale=0.5), random_state=0
            ).fit(X)
        assert np.linalg.eigvalsh(fitted.result_.mixture.covariance.dense()).min() > 1e-6


def test_the_default_prior_of_singular_data_is_singular():
    X = np.c_[two_groups(60, 2), np.ones(60)]
    with pytest.raises(DataError, match="column 2 is constant"):
        GaussianMixture(2, prior="conjugate").fit(X)
