"""Fixed parameters: laws of the M-step, parameter counts, and maxima found by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from conftest import ALL_BACKENDS, dataset, two_groups
from mixtura import ConjugatePrior, GaussianMixture
from mixtura.base.errors import InferenceError
from mixtura.data.problem import Problem
from mixtura.distribution.parametrisation import public_covariances
from mixtura.em.certification import certify
from mixtura.em.effective_parameters import effective_parameters
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain, SmallChange
from mixtura.families import FAMILIES
from mixtura.inference.information import information
from mixtura.initialise.initialisers import FromLabels
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.inputs.fixed_parameters import FixedParameters

NAN = np.nan


def three_groups(n: int = 150, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turned = np.array([[1.2, 0.5], [0.5, 0.7]])
    centres = ([0, 0], [6, 2], [-2, 7])
    return np.concatenate([rng.standard_normal((n // 3, 2)) @ turned + c for c in centres])


X = three_groups()
LABELS = np.repeat([0, 1, 2], 50)
CENTRES = np.array([[0.1, -0.1], [6.1, 2.2], [-2.0, 7.1]])


def fixed_problem(family, K=3, X=X, of_rows=None, prior=None, **given) -> Problem:
    fixed = FixedParameters(**{name: np.array(value) for name, value in given.items()})
    return problem_of(
        dataset(X, of_rows), FAMILIES[family], K, Constraints(fixed=fixed, prior=prior)
    )


def from_labels(problem: Problem, labels=LABELS, **keywords):
    K = int(labels.max()) + 1
    moments = FromLabels(labels)(problem.dataset, K, np.random.default_rng(0))
    start = problem.m_step(moments.summarised(problem.family.needs), None)
    return em(problem, start, stopping=RemainingGain(1e-8), max_iter=3000, **keywords)


SETTINGS = {
    "weight": {"weights": [NAN, 0.5, NAN]},
    "means": {"means": [[0.0, 0.0], [6.0, 2.0], [NAN, NAN]]},
    "entries": {"means": [[0.0, NAN], [NAN, 2.5], [NAN, NAN]]},
    "all but one": {"weights": [0.3, 0.3], "means": [[0.0, NAN], [6.0, 2.0]]},
}


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_likelihood_never_falls_and_fixed_values_stay(family, setting):
    given = SETTINGS[setting]
    problem = fixed_problem(family.name, **given)
    fit = from_labels(problem)
    assert (np.diff(fit.trace) >= 0).all()
    assert fit.converged
    for name, values in given.items():
        fixed = np.array(values)
        found = getattr(fit.mixture, name)[: len(fixed)]
        assert (found == fixed)[~np.isnan(fixed)].all()
    assert fit.mixture.weights.sum() == pytest.approx(1.0, abs=1e-14)
    certificate = certify(problem, fit.mixture)
    assert certificate.gradient < 1e-3
    assert certificate.holds


def test_fixed_covariances_stay_and_shared_parts_come_from_the_free_ones(family):
    plain = from_labels(Problem(dataset(X), family, fixed_problem(family.name).regularisation))
    values = public_covariances(family.name, plain.mixture.covariance)
    if not family.shares_all:
        values = np.array(values)
        values[1:] = NAN
    problem = fixed_problem(family.name, covariances=values)
    fit = from_labels(problem)
    assert (np.diff(fit.trace) >= 0).all()
    found = public_covariances(family.name, fit.mixture.covariance)
    assert (found == values)[~np.isnan(values)].all()
    assert fit.log_likelihood >= plain.log_likelihood - 1e-6  # what is shared binds fewer
    assert certify(problem, fit.mixture).holds


def test_nothing_fixed_is_the_plain_fit(family):
    plain = from_labels(problem_of(dataset(X), family, 3, Constraints()))
    fit = from_labels(fixed_problem(family.name))
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-7)
    assert fit.n_parameters == plain.n_parameters
    np.testing.assert_allclose(fit.mixture.means, plain.mixture.means, atol=1e-4)


def test_all_fixed_is_an_evaluation(family):
    known = from_labels(problem_of(dataset(X), family, 3, Constraints())).mixture
    given = {
        "weights": known.weights,
        "means": known.means,
        "covariances": public_covariances(family.name, known.covariance),
    }
    problem = fixed_problem(family.name, **given)
    fit = from_labels(problem)
    level = problem.dataset.backend.moments(
        problem.dataset.source, known, family.needs
    ).log_likelihood
    assert fit.log_likelihood == pytest.approx(level, rel=1e-14)
    assert fit.n_parameters == 0
    assert fit.converged
    assert certify(problem, fit.mixture).gradient == 0.0


@pytest.mark.parametrize("name", ["weights", "means", "entries", "covariances"])
def test_fixing_the_optimum_changes_nothing(family, name):
    plain = from_labels(problem_of(dataset(X), family, 3, Constraints()))
    entries = plain.mixture.means.copy()
    entries[0, 1] = entries[2] = NAN
    given = {
        "weights": ("weights", plain.mixture.weights),
        "means": ("means", plain.mixture.means[:2]),
        "entries": ("means", entries),
        "covariances": (
            "covariances",
            public_covariances(family.name, plain.mixture.covariance),
        ),
    }
    fit = from_labels(fixed_problem(family.name, **dict([given[name]])))
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)


def test_a_weight_of_two_is_a_repeated_row(family):
    given = SETTINGS["entries"]
    of_rows = np.ones(len(X))
    of_rows[::5] = 2.0
    twice = np.concatenate([X, X[::5]])
    labels = np.concatenate([LABELS, LABELS[::5]])
    one = from_labels(fixed_problem(family.name, of_rows=of_rows, **given))
    other = from_labels(fixed_problem(family.name, X=twice, **given), labels)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(one.mixture.means, other.mixture.means, atol=1e-5)


@pytest.mark.parametrize("name", ["VVV", "EEE", "VVI", "VEE"])
def test_the_penalised_objective_never_falls_with_a_prior(name):
    problem = fixed_problem(name, prior=ConjugatePrior(shrinkage=3.0), **SETTINGS["entries"])
    fit = from_labels(problem)
    assert (np.diff(fit.trace) >= 0).all()
    certificate = certify(problem, fit.mixture)
    assert certificate.gradient < 1e-3
    assert certificate.holds


def test_the_whole_scatter_is_about_a_fixed_mean():
    problem = fixed_problem("VVV", K=1, means=[[1.0, -1.0]])
    fit = em(problem, problem.dataset.whole, stopping=SmallChange(0.0), max_iter=5)
    apart = X - [1.0, -1.0]
    np.testing.assert_allclose(fit.mixture.covariance.values[0], apart.T @ apart / len(X))


def test_missing_entries_and_fixed_parameters_go_together():
    with_holes = X.copy()
    with_holes[::4, 0] = NAN
    fit = GaussianMixture(3, fixed_means=CENTRES, random_state=0).fit(with_holes)
    assert (fit.means_ == CENTRES).all()
    assert min(np.diff(fit.lower_bounds_)) >= 0
    assert fit.converged_


# ---- parameter counts ----------------------------------------------------------------------------


def test_free_parameters_are_counted():
    def count(name: str, **given) -> int:
        return fixed_problem(name, **given).n_parameters(3)

    assert count("VVV", weights=[0.2]) == 17 - 1
    assert count("VVV", weights=[0.2, 0.3, 0.5]) == 17 - 2
    assert count("VVV", means=[[0.0, NAN], [1.0, 1.0]]) == 17 - 3
    assert count("VVV", covariances=[np.eye(2)]) == 17 - 3
    assert count("VEE", covariances=[np.eye(2)]) == 2 + 6 + (2 + 2)
    assert count("EEE", covariances=np.eye(2)) == 2 + 6
    assert count("VII", covariances=[1.0, 2.0, 3.0]) == 2 + 6


# ---- brute force ---------------------------------------------------------------------------------


def log_likelihood(weights, means, covariances) -> float:
    densities = [
        w * multivariate_normal(m, S).pdf(X)
        for w, m, S in zip(weights, means, covariances, strict=True)
    ]
    return float(np.log(sum(densities)).sum())


def factor(entries) -> np.ndarray:
    L = np.array([[np.exp(entries[0]), 0.0], [entries[1], np.exp(entries[2])]])
    return L @ L.T


def soft(values) -> np.ndarray:
    shares = np.exp([*values, 0.0])
    return shares / shares.sum()


def brute(unpack, start) -> float:
    found = minimize(
        lambda z: -log_likelihood(*unpack(z)),
        start,
        method="BFGS",
        options={"gtol": 1e-6, "maxiter": 500},
    )
    return -float(found.fun)


def test_brute_force_finds_the_same_maximum_of_full_covariances():
    problem = fixed_problem("VVV", **SETTINGS["all but one"])
    fit = from_labels(problem)

    def unpack(z):
        means = [[0.0, z[0]], [6.0, 2.0], z[1:3]]
        return [0.3, 0.3, 0.4], means, [factor(z[3 + 3 * k : 6 + 3 * k]) for k in range(3)]

    level = brute(unpack, np.concatenate([[0.1, -2.0, 7.0], np.tile([0.2, 0.4, -0.4], 3)]))
    assert fit.log_likelihood == pytest.approx(level, abs=1e-5)


def test_brute_force_finds_the_same_maximum_of_one_covariance_for_all():
    problem = fixed_problem("EEE", weights=[NAN, 0.5], means=[[NAN, 0.5], [6.5, NAN]])
    fit = from_labels(problem)

    def unpack(z):
        first, last = 0.5 * soft(z[:1])
        means = [[z[1], 0.5], [6.5, z[2]], z[3:5]]
        return [first, 0.5, last], means, [factor(z[5:8])] * 3

    level = brute(unpack, np.array([0.0, 0.0, 2.0, -2.0, 7.0, 0.2, 0.4, -0.4]))
    assert fit.log_likelihood == pytest.approx(level, abs=1e-5)


def test_brute_force_finds_the_same_maximum_of_axes_along_the_columns():
    values = [[1.5, 0.6], [NAN, NAN], [NAN, NAN]]
    problem = fixed_problem("VEI", covariances=values, means=[[NAN, NAN], [6.0, NAN]])
    fit = from_labels(problem)

    def unpack(z):
        shape = np.exp([z[0], -z[0]])
        own = [[1.5, 0.6], np.exp(z[1]) * shape, np.exp(z[2]) * shape]
        return soft(z[3:5]), [z[5:7], [6.0, z[7]], z[8:10]], [np.diag(S) for S in own]

    means = np.round(np.delete(fit.mixture.means.ravel(), 2), 1)
    level = brute(unpack, np.array([0.2, 0.0, 0.0, 0.0, 0.0, *means]))
    assert fit.log_likelihood == pytest.approx(level, abs=1e-5)


# ---- a mixture held as a whole -------------------------------------------------------------------


def test_a_fixed_mixture_keeps_its_shape_and_finds_the_rest():
    rng = np.random.default_rng(0)
    background = GaussianMixture.from_parameters(
        [0.3, 0.7], [[0.0, 0.0], [6.0, 0.0]], [np.eye(2), np.diag([2.0, 1.0])]
    )
    known, _ = background.set_params(random_state=0).sample(600)
    rows = np.concatenate([known, rng.normal([3.0, 6.0], 0.7, (200, 2))])
    fit = GaussianMixture(3, fixed_mixture=background.mixture_, random_state=0).fit(rows)
    assert (fit.means_[:2] == background.means_).all()
    np.testing.assert_allclose(fit.covariances_[:2], background.covariances_, rtol=1e-14)
    assert fit.weights_[0] / fit.weights_[1] == pytest.approx(0.3 / 0.7, rel=1e-12)
    assert fit.weights_[2] == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(fit.means_[2], [3.0, 6.0], atol=0.15)
    assert fit.result_.n_parameters == 1 + 2 + 3
    assert fit.converged_


def test_a_fixed_component_may_be_without_rows():
    X = two_groups(200)
    fit = GaussianMixture(
        3, fixed_means=[[40.0, 40.0]], fixed_covariances=[np.eye(2)], random_state=0
    ).fit(X)
    assert fit.weights_[0] < 1e-6
    assert fit.converged_
    plain = GaussianMixture(2, random_state=0).fit(X)
    assert fit.result_.log_likelihood == pytest.approx(plain.result_.log_likelihood, abs=0.01)


# ---- effective parameters ------------------------------------------------------------------------


def effective(problem: Problem, mixture) -> np.ndarray:
    return effective_parameters(problem, mixture, problem.e_step(mixture))


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_fixed_parameters_are_not_effective(family, backend):
    known = from_labels(problem_of(dataset(X), family, 3, Constraints())).mixture
    given = {
        "weights": known.weights,
        "means": known.means,
        "covariances": public_covariances(family.name, known.covariance),
    }
    problem = replace(fixed_problem(family.name, **given), dataset=dataset(X, backend=backend))
    np.testing.assert_allclose(effective(problem, known), 0.0, atol=1e-9)
    del given["covariances"]
    problem = replace(fixed_problem(family.name, **given), dataset=dataset(X, backend=backend))
    of_covariances = effective(problem, known)
    plain = problem_of(problem.dataset, family, 3, Constraints())
    assert (of_covariances < effective(plain, known) - 1.0).all()
    assert (of_covariances >= -1e-9).all()


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_a_row_is_left_out_of_the_scatter_about_a_fixed_mean(backend):
    problem = replace(
        fixed_problem("VVV", K=1, means=[[1.0, -1.0]]), dataset=dataset(X, backend=backend)
    )
    fit = em(problem, problem.dataset.whole, max_iter=2)
    v, n = X - [1.0, -1.0], len(X)
    whole = v.T @ v
    left_out = [
        multivariate_normal(np.zeros(2), (whole - np.outer(x, x)) / (n - 1)).logpdf(x) for x in v
    ]
    with_it = multivariate_normal(np.zeros(2), whole / n).logpdf(v).sum()
    expected = with_it - sum(left_out)
    assert effective(problem, fit.mixture)[0] == pytest.approx(expected, rel=1e-6)


def test_weights_of_which_some_are_fixed_are_effective_in_part():
    free = from_labels(problem_of(dataset(X), FAMILIES["EII"], 3, Constraints()))
    one = fixed_problem("EII", weights=free.mixture.weights[:1], means=free.mixture.means)
    every = fixed_problem("EII", weights=free.mixture.weights, means=free.mixture.means)
    none = fixed_problem("EII", means=free.mixture.means)
    sums = [effective(each, free.mixture).sum() for each in (every, one, none)]
    assert sums[0] == pytest.approx(0.0, abs=1e-9)
    assert sums[1] == pytest.approx(1.0, abs=0.1)
    assert sums[2] == pytest.approx(2.0, abs=0.1)


# ---- standard errors -----------------------------------------------------------------------------

WITH_COVARIANCES = {
    "weights": {"weights": [0.3]},
    "means": {"means": [[0.0, NAN], [6.0, 2.0]]},
    "covariances": {"covariances": [np.eye(2)]},
    "some of each": {
        "weights": [NAN, 0.4],
        "means": [[NAN, 0.1]],
        "covariances": [[[NAN, NAN], [NAN, NAN]], [[1.2, 0.4], [0.4, 0.8]]],
    },
}


@pytest.mark.parametrize("setting", WITH_COVARIANCES)
@pytest.mark.parametrize("name", ["VVV", "VEE", "EEV"])
def test_the_information_is_the_curvature_along_free_parameters(name, setting):
    problem = fixed_problem(name, **WITH_COVARIANCES[setting])
    mixture = from_labels(problem).mixture
    found = information(problem, mixture)
    p = found.coordinates.dimension
    assert p == problem.n_parameters(3)
    assert np.abs(found.gradient).max() < 0.05

    def level(coordinates) -> float:
        near = found.coordinates.at(coordinates)
        return problem.dataset.backend.moments(
            problem.dataset.source, near, problem.family.needs
        ).log_likelihood

    scale = 1.0 / np.sqrt(np.diag(found.complete[0]))
    for direction in np.random.default_rng(0).standard_normal((4, p)) * scale:
        step = 0.02
        levels = [level(t * step * direction) for t in (-1, 0, 1)]
        curvature = (2 * levels[1] - levels[0] - levels[2]) / step**2
        assert direction @ found.observed[0] @ direction == pytest.approx(curvature, rel=5e-3)
    near = found.coordinates.at(0.1 * np.ones(p))
    fixed = problem.fixed
    assert near.means[~fixed.free_means] == pytest.approx(fixed.means[~fixed.free_means])
    assert near.weights[~fixed.free_weights] == pytest.approx(fixed.weights[~fixed.free_weights])
    assert near.weights.sum() == pytest.approx(1.0)


def test_standard_errors_of_known_form():
    """A variance about a known mean has the error ``sqrt(2 / n)`` of itself, and the mean none."""
    rows = np.random.default_rng(0).standard_normal((500, 1))
    fit = GaussianMixture(fixed_means=[[0.0]]).fit(rows)
    errors = fit.standard_errors(rows)
    assert errors.means.tolist() == [[0.0]]
    expected = fit.covariances_[0, 0, 0] * np.sqrt(2 / 500)
    assert errors.covariances[0, 0, 0] == pytest.approx(expected, rel=1e-6)


def test_standard_errors_agree_with_the_bootstrap():
    fit = GaussianMixture(
        3, fixed_means=[[0.0, NAN]], fixed_weights=[NAN, 0.3], random_state=0
    ).fit(X)
    ours = fit.standard_errors(X)
    refits = fit.standard_errors(X, method="bootstrap", n_replicates=60)
    assert ours.means[0, 0] == 0.0
    assert ours.weights[1] == 0.0
    np.testing.assert_allclose(ours.means, refits.means, rtol=0.4)
    np.testing.assert_allclose(ours.weights, refits.weights, rtol=0.4, atol=1e-12)


def test_nothing_free_has_no_errors():
    known = from_labels(problem_of(dataset(X), FAMILIES["VVV"], 3, Constraints())).mixture
    problem = fixed_problem(
        "VVV",
        weights=known.weights,
        means=known.means,
        covariances=known.covariance.values,
    )
    with pytest.raises(InferenceError, match="all parameters are fixed"):
        information(problem, from_labels(problem).mixture)
