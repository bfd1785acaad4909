"""EM with a noise term: laws, both loops, certificates and effective parameters."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import ALL_BACKENDS, ALL_FAMILIES, dataset
from mixtura import GaussianMixture
from mixtura.data.dataset import Dataset
from mixtura.data.noise_box import noise_box
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.em import em as em_module
from mixtura.em.certification import certify
from mixtura.em.effective_parameters import effective_parameters
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import moments_of_labels
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.kernels import built
from mixtura.model.fit_result import FitResult
from mixtura.model.observation import Observation
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

native = pytest.mark.skipif(not built, reason="built without a C++ compiler")


def spread_rows(n: int = 300, d: int = 2, share: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Two groups and uniform rows, with their labels (-1 for those)."""
    rng = np.random.default_rng(7)
    labels = rng.choice([-1, 0, 1], n, p=[share, 0.4, 0.6 - share])
    X = rng.standard_normal((n, d)) * [[1.0], [0.6]][0] + 6.0 * np.maximum(labels, 0)[:, None]
    X[labels < 0] = rng.uniform(-6, 12, ((labels < 0).sum(), d))
    return X, labels


def problem(data: Dataset, family: str = "VVV", equal_weights: bool = False) -> Problem:
    regularisation = Regularisation(data.floor, equal_weights=equal_weights)
    return Problem(data, FAMILIES[family], regularisation, noise_box(data, "box"))


def fitted(
    data: Dataset,
    labels: np.ndarray,
    family: str = "VVV",
    equal_weights: bool = False,
    weights: np.ndarray | None = None,
    **settings,
) -> FitResult:
    rows = np.ones(len(labels)) if weights is None else weights
    noise = float(rows[labels < 0].sum())
    start = moments_of_labels(data.completed, 2, labels).with_noise(noise)
    own = {"stopping": RemainingGain(1e-6), "max_iter": 5000} | settings
    return em(problem(data, family, equal_weights), start, **own)


@pytest.mark.parametrize("family", ALL_FAMILIES)
@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_the_likelihood_never_falls_and_the_certificate_holds(family, backend):
    X, labels = spread_rows()
    data = dataset(X, backend=backend)
    fit = fitted(data, labels, family)
    steps = np.diff(fit.trace)
    assert (steps >= -1e-12 * abs(fit.trace[-1])).all()
    assert len(steps) > 3
    assert fit.trace[-1] - fit.trace[0] > 1.0
    mixture = fit.mixture
    assert mixture.weights.sum() + mixture.noise.weight == pytest.approx(1.0, abs=1e-12)
    assert fit.total == pytest.approx(len(X))
    assert certify(problem(data, family), mixture).holds


@pytest.mark.parametrize("family", ALL_FAMILIES)
@pytest.mark.parametrize("accelerated", [False, True], ids=["plain", "squarem"])
@native
def test_both_loops_go_the_same_way(family, accelerated, monkeypatch):
    X, labels = spread_rows()
    in_cpp = fitted(dataset(X), labels, family, accelerated=accelerated)
    monkeypatch.setattr(em_module, "native_loop", lambda *_: None)
    in_python = fitted(dataset(X), labels, family, accelerated=accelerated)
    assert in_cpp.n_iter == in_python.n_iter
    np.testing.assert_allclose(in_cpp.trace, in_python.trace, rtol=1e-9)
    assert in_cpp.rate == pytest.approx(in_python.rate, abs=1e-4)
    assert in_cpp.mixture.noise.weight == pytest.approx(in_python.mixture.noise.weight, abs=1e-6)


def test_squarem_ends_where_plain_em_does():
    X, labels = spread_rows()
    plain, fast = (fitted(dataset(X), labels, accelerated=flag) for flag in (False, True))
    assert fast.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-5)
    assert fast.n_iter < plain.n_iter


def test_the_optimum_is_one_of_the_formula():
    """The gradient by differences of the log-likelihood in the weight and in a mean."""
    X, labels = spread_rows()
    data = dataset(X)
    mixture = fitted(data, labels, stopping=RemainingGain(1e-10)).mixture

    def level(weight: float, shift: float) -> float:
        w, v = mixture.weights, mixture.covariance
        scale = (1.0 - weight) / mixture.weight_of_components
        moved = type(mixture)(
            w * scale, mixture.means + shift, v, mixture.noise.with_weight(weight)
        )
        return float(log_density(moved.log_joint(X)).sum())

    w0, step = mixture.noise.weight, 1e-4
    assert abs(level(w0 + step, 0.0) - level(w0 - step, 0.0)) / (2 * step) < 1e-2
    assert level(w0 + step, 0.0) < level(w0, 0.0) > level(w0 - step, 0.0)
    assert level(w0, step) < level(w0, 0.0) > level(w0, -step)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_weights_are_repeats(backend):
    X, labels = spread_rows()
    weights = np.random.default_rng(3).integers(1, 4, len(X)).astype(float)
    times = weights.astype(int)
    repeated = dataset(np.repeat(X, times, axis=0), backend=backend)
    one = fitted(dataset(X, weights, backend=backend), labels, weights=weights)
    other = fitted(repeated, np.repeat(labels, times))
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-10)
    assert one.mixture.noise.weight == pytest.approx(other.mixture.noise.weight, abs=1e-6)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_equal_weights_leave_the_noise_free(backend):
    X, labels = spread_rows()
    data = dataset(X, backend=backend)
    fit = fitted(data, labels, equal_weights=True)
    free = fitted(data, labels)
    own = fit.mixture
    np.testing.assert_allclose(own.weights, (1.0 - own.noise.weight) / 2, rtol=1e-12)
    assert 0.1 < own.noise.weight < 0.4
    assert fit.n_parameters == free.n_parameters - 1
    assert fit.log_likelihood < free.log_likelihood
    assert certify(problem(data, equal_weights=True), own).holds


def test_noise_is_one_parameter():
    X, _ = spread_rows()
    with_noise = problem(dataset(X))
    plain = Problem(with_noise.dataset, with_noise.family, with_noise.regularisation)
    assert with_noise.n_parameters(3) == plain.n_parameters(3) + 1


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_missing_entries_and_noise_compose(backend):
    X, labels = spread_rows(d=3)
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    source = ArraySource(X, observation=Observation.of(X))
    data = Dataset(source, dataset(X[:1], backend=backend).backend)
    fit = fitted(data, labels)
    assert (np.diff(fit.trace) >= -1e-12 * abs(fit.trace[-1])).all()
    assert 0.15 < fit.mixture.noise.weight < 0.35
    assert certify(problem(data), fit.mixture).holds


def test_rows_without_noise_end_at_a_weight_of_zero_and_at_the_plain_optimum():
    """Groups without tails, so that no row is better off in the noise."""
    X = np.random.default_rng(0).uniform(-1.5, 1.5, (400, 2))
    X[200:] += 5.0
    labels = np.repeat([0, 1], 200)
    labels[:20] = -1
    data = dataset(X)
    fit = fitted(data, labels)
    assert fit.mixture.noise.weight < 1e-6
    plain = em(
        Problem(data, FAMILIES["VVV"], Regularisation(data.floor)),
        moments_of_labels(data, 2, np.repeat([0, 1], 200)),
        stopping=RemainingGain(1e-6),
    )
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-4)
    certificate = certify(problem(data), fit.mixture)
    assert certificate.holds
    assert certificate.rate < 1.0


def test_one_component_beside_noise_has_a_convergence_rate():
    X, labels = spread_rows()
    data = dataset(X)
    start = moments_of_labels(data, 1, np.minimum(labels, 0)).with_noise(float((labels < 0).sum()))
    fit = em(problem(data), start, stopping=RemainingGain(1e-6))
    certificate = certify(problem(data), fit.mixture)
    assert 0.1 < certificate.rate < 1.0
    assert certificate.holds


@pytest.mark.parametrize("family", ALL_FAMILIES)
@native
def test_effective_parameters_in_cpp_agree_with_numpy(family):
    X, labels = spread_rows()
    found = []
    for backend in ALL_BACKENDS:
        data = dataset(X, backend=backend)
        own = problem(data, family)
        mixture = fitted(data, labels, family).mixture
        found.append(effective_parameters(own, mixture, own.e_step(mixture)))
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_effective_parameters_are_the_loss_of_rows_left_out():
    """Against M-steps without each row, with the responsibilities of the others."""
    X, labels = spread_rows(120)
    data = dataset(X)
    own = problem(data)
    mixture = fitted(data, labels).mixture
    moments, r = own.e_step(mixture), mixture.posterior(X)
    whole = mixture.log_density(X)
    expected = np.zeros(2)
    for i in range(len(X)):
        keep = np.arange(len(X)) != i
        left = type(moments).of(X[keep], r[keep, :2], mixture.means, moments.kind)
        without = own.m_step(left.with_noise(float(r[keep, 2].sum())), mixture)
        expected += r[i, :2] * (whole[i] - without.log_density(X[[i]])[0])
    # rows that contribute less than 1e-4 to a component are not left out of it
    np.testing.assert_allclose(effective_parameters(own, mixture, moments), expected, rtol=1e-3)


def test_noise_beside_fixed_weights_is_found_from_every_start():
    """A start with given parameters used to end without noise, and to be called an optimum."""
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(0, 1, (80, 2)), rng.normal(6, 1, (80, 2)), rng.uniform(-20, 25, (30, 2))]
    settings = {"noise": "box", "fixed_weights": [0.4], "random_state": 0}
    starts = ({}, {"means_init": [[0.0, 0.0], [6.0, 6.0]]}, {"init_params": np.arange(190) // 95})
    levels = [
        GaussianMixture(2, **settings, **start).fit(X).result_.log_likelihood for start in starts
    ]
    assert max(levels) - min(levels) < 0.05


def test_a_noise_weight_of_zero_is_an_optimum_only_where_the_likelihood_falls_from_there():
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(0, 1, (100, 2)), rng.uniform(-20, 25, (20, 2))]
    problem = problem_of(dataset(X), FAMILIES["VVV"], 1, Constraints(noise="box"))
    mixture = Mixture(np.ones(1), X.mean(axis=0)[None], Dense(np.cov(X.T)[None], 1), problem.noise)
    assert not certify(problem, mixture).holds
