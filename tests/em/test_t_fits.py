"""EM for t components: it never falls, is fast, ends at an optimum, and knows it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from conftest import ALL_BACKENDS, dataset
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.em.certification import certify, squared_gradient
from mixtura.em.effective_parameters import effective_parameters
from mixtura.em.em import em
from mixtura.em.loop import python_loop
from mixtura.em.native_loop import flat_tail_rule, native_loop
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import Hierarchical
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.kernels import built, native
from mixtura.model.fit_result import StopReason
from mixtura.model.moments import Moments
from mixtura.model.observation import Observation, moments_of_complete
from mixtura.model.priors import ConjugatePrior
from mixtura.model.tails import TailRule
from mixtura.sources import ArraySource


def heavy_rows(n: int = 150, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.standard_t(3, (n, 3)) * [1, 2, 1], rng.standard_t(9, (n, 3)) + 4])


def problem(rows, family="VVV", tails=None, backend="auto", weights=None, **constraints) -> Problem:
    data = dataset(rows, weights, backend)
    if np.isnan(rows).any():
        source = ArraySource(np.ascontiguousarray(rows), weights, observation=Observation.of(rows))
        data = replace(data, source=source)
    asked = Constraints(tails=tails or TailRule(), **constraints)
    return problem_of(data, FAMILIES[family], 2, asked)


def start_of(model: Problem):
    return Hierarchical()(model.dataset.completed, 2, np.random.default_rng(0))


RULES = {
    "free": TailRule(),
    "equal": TailRule("equal"),
    "given": TailRule("given", np.array([4.0, 9.0])),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_likelihood_never_falls_in_any_family(family, rule):
    model = problem(heavy_rows(60), family.name, RULES[rule])
    plain = em(model, start_of(model), max_iter=30)
    fast = em(model, start_of(model), max_iter=200, accelerated=True)
    for fit in (plain, fast):
        assert (np.diff(fit.trace) >= 0.0).all()
    assert fast.log_likelihood > plain.log_likelihood - 1e-2
    assert fast.converged
    assert certify(model, fast.mixture).holds


def test_scoring_is_fast_where_em_is_slow(faithful):
    model = problem(faithful)
    fit = em(model, start_of(model), accelerated=True)
    assert fit.converged
    assert fit.n_iter < 40  # EM with U as missing data takes above 2,000


@pytest.mark.skipif(not built, reason="no C++ compiler")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("accelerated", [False, True])
def test_the_loop_in_cpp_takes_the_steps_of_the_one_in_python(family, rule, accelerated):
    model = problem(heavy_rows(60), family.name, RULES[rule], "native")
    start = start_of(model)
    arguments = (model, start, RemainingGain(), accelerated, lambda: False)
    cpp, python = native_loop(*arguments), python_loop(*arguments)
    assert cpp is not None
    for _ in range(3):
        for loop in (cpp, python):
            loop.iterate(4, 10**6)
        np.testing.assert_allclose(cpp.trace, python.trace, rtol=1e-10)
    np.testing.assert_allclose(cpp.mixture.tails, python.mixture.tails, rtol=1e-6)
    np.testing.assert_allclose(cpp.mixture.means, python.mixture.means, atol=1e-6)
    seen = model.e_step(cpp.mixture)
    for name in ("counts", "pulls", "first", "second", "tail_sums", "tail_information"):
        expected, found = getattr(seen, name), getattr(cpp.moments, name)
        if expected is None:
            assert found is None
        else:
            np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())
    if len(cpp.plain) > 1:
        assert cpp.slowest_rate() == pytest.approx(python.slowest_rate(), rel=0.02)


@pytest.mark.skipif(not built, reason="no C++ compiler")
@pytest.mark.parametrize("family", ["VVV", "VVI", "EEE", "VII"])
def test_the_loop_in_cpp_takes_incomplete_rows(family):
    rows = heavy_rows(60)
    rows = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)
    model = problem(rows, family, backend="native")
    start = em(model, start_of(model), max_iter=0).mixture
    arguments = (model, start, RemainingGain(), True, lambda: False)
    cpp, python = native_loop(*arguments), python_loop(*arguments)
    assert cpp is not None
    for loop in (cpp, python):
        loop.iterate(12, 10**6)
    np.testing.assert_allclose(cpp.trace, python.trace, rtol=1e-10)
    np.testing.assert_allclose(cpp.mixture.tails, python.mixture.tails, rtol=1e-6)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_measurement_errors_are_refused(backend):
    rows = heavy_rows(30)
    model = problem(rows, backend=backend)
    source = ArraySource(rows, observation=Observation.of(rows, np.ones(len(rows))))
    blurred = model.with_data(replace(model.dataset, source=source))
    with pytest.raises(ValueError, match="without measurement errors"):
        em(blurred, start_of(model), max_iter=3, judge=False)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_a_start_of_another_law_is_adapted(backend):
    model = problem(heavy_rows(60), backend=backend)
    gaussian = replace(model, tails=None)
    of_t = em(model, start_of(model), max_iter=5)
    of_gaussians = em(gaussian, start_of(model), max_iter=5)
    for start in (of_t, of_t.mixture, of_t.moments):
        assert em(gaussian, start, accelerated=True).mixture.tails is None
    for start in (of_gaussians, of_gaussians.mixture, of_gaussians.moments):
        fit = em(model, start, accelerated=True)
        assert fit.mixture.tails is not None
        assert fit.converged


class Overshooting(TailRule):
    """Proposes the heaviest tails, whatever the rows say."""

    def m_step(self, moments: Moments) -> np.ndarray:
        return np.full(moments.n_components, self.bounds[0])


def test_where_the_proposed_degrees_of_freedom_lower_the_objective_those_of_em_follow():
    rows = np.random.default_rng(0).standard_t(8, (300, 3))
    rows[:150] += 6.0
    model = problem(rows, backend="reference")
    wild = replace(model, tails=Overshooting())
    start = em(model, start_of(model), max_iter=0).mixture
    fit = em(wild, start, max_iter=200)
    assert (np.diff(fit.trace) >= 0.0).all()
    assert (fit.mixture.tails > 2.5).all()
    best = em(model, start, max_iter=200)
    assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=0.05)


@pytest.mark.skipif(not built, reason="no C++ compiler")
@pytest.mark.parametrize("rule", RULES)
def test_the_cautious_step_in_cpp_is_that_of_python(rule):
    model = problem(heavy_rows(), tails=RULES[rule])
    rng, mixture = np.random.default_rng(0), em(model, start_of(model), max_iter=2).mixture
    for _ in range(20):
        tails = 10.0 ** rng.uniform(0.31, 2.3, 2)
        data = model.dataset
        moments = data.backend.moments(data.source, replace(mixture, tails=tails), Scatter.DENSE)
        found = native.cautious_tails(
            flat_tail_rule(model.tails),
            moments.counts,
            moments.tail_sums,
            moments.tail_information,
            tails,
        )
        np.testing.assert_allclose(found, model.tails.cautious(moments, tails), rtol=1e-9)


def log_likelihood(model: Problem, mixture: Mixture) -> float:
    (block,) = model.dataset.source.blocks()
    return float(log_density(model.dataset.backend.log_joint(block, mixture)).sum())


@pytest.mark.parametrize("backend", ALL_BACKENDS)
@pytest.mark.parametrize("holes", [False, True])
def test_the_end_is_stationary_in_every_parameter(backend, holes):
    rows = heavy_rows(100)
    if holes:
        rows = np.where(np.random.default_rng(0).random(rows.shape) < 0.25, np.nan, rows)
    model = problem(rows, tails=TailRule(bounds=(1.0, 1e3)), backend=backend)
    fit = em(model, start_of(model), accelerated=True, max_iter=5000)
    for _ in range(3):
        fit = em(model, fit.mixture, max_iter=60)
    best, h = fit.mixture, 1e-4
    assert ((best.tails > 1.0) & (best.tails < 1e3)).all()

    def slope(change):
        high, low = (log_likelihood(model, change(sign * h)) for sign in (1.0, -1.0))
        return (high - low) / (2.0 * h)

    def heavier(t, unit):
        return replace(best, tails=best.tails * np.exp(t * unit))

    def moved(t, step):
        return replace(best, means=best.means + t * step)

    def widened(t, step):
        units = np.exp(t * step)
        dense = best.covariance.dense() * units[:, :, None] * units[:, None, :]
        return replace(best, covariance=Dense(dense, 2))

    for unit in np.eye(2):
        assert abs(slope(partial(heavier, unit=unit))) < 1e-2
        for column in np.eye(3):
            assert abs(slope(partial(moved, step=np.outer(unit, column)))) < 1e-2
            assert abs(slope(partial(widened, step=np.outer(unit, column)))) < 1e-2


def test_many_degrees_of_freedom_fit_as_gaussians_do(family):
    rows = heavy_rows(60)
    nearly = problem(rows, family.name, TailRule("given", np.array(1e9)))
    gaussian = replace(nearly, tails=None)
    start = start_of(gaussian)
    ends = [em(model, start, max_iter=5) for model in (nearly, gaussian)]
    assert ends[0].log_likelihood == pytest.approx(ends[1].log_likelihood, abs=1e-5)
    np.testing.assert_allclose(ends[0].mixture.means, ends[1].mixture.means, atol=1e-7)


def test_an_affine_map_of_the_rows_maps_the_fit():
    rows, A = heavy_rows(), np.array([[2.0, 0.3, 0.0], [-1.0, 1.0, 0.5], [0.2, 0.0, 3.0]])
    one = problem(rows)
    start = em(one, start_of(one), max_iter=0).mixture
    other = problem(rows @ A.T + 5.0)
    moved = replace(
        start,
        means=start.means @ A.T + 5.0,
        covariance=Dense(A @ start.covariance.dense() @ A.T, 2),
    )
    first, second = em(one, start, max_iter=25), em(other, moved, max_iter=25)
    shift = len(rows) * np.log(abs(np.linalg.det(A)))
    assert second.log_likelihood == pytest.approx(first.log_likelihood - shift, rel=1e-10)
    np.testing.assert_allclose(second.mixture.tails, first.mixture.tails, rtol=1e-7)
    np.testing.assert_allclose(second.mixture.means, first.mixture.means @ A.T + 5.0, rtol=1e-7)


def test_a_weight_of_two_is_a_repeated_row():
    rows = heavy_rows(80)
    weights = np.where(np.arange(len(rows)) < 40, 2.0, 1.0)
    weighted = problem(rows, weights=weights)
    repeated = problem(np.concatenate([rows, rows[:40]]))
    start = em(weighted, start_of(weighted), max_iter=0).mixture
    ends = [em(model, start, max_iter=20) for model in (weighted, repeated)]
    assert ends[0].log_likelihood == pytest.approx(ends[1].log_likelihood, rel=1e-12)
    np.testing.assert_allclose(ends[0].mixture.tails, ends[1].mixture.tails, rtol=1e-9)


def test_a_prior_shrinks_means_by_their_pulls():
    """The penalised objective never falls, and its end is stationary in the means."""
    rows = heavy_rows(40)
    model = problem(rows, prior=ConjugatePrior(shrinkage=5.0))
    fit = em(model, start_of(model), max_iter=400)
    assert (np.diff(fit.trace) >= 0.0).all()
    h = 1e-4
    for step in np.eye(6).reshape(6, 2, 3):
        ends = []
        for sign in (1.0, -1.0):
            moved = replace(fit.mixture, means=fit.mixture.means + sign * h * step)
            ends.append(model.objective(model.e_step(moved), moved))
        assert abs(ends[0] - ends[1]) / (2.0 * h) < 2e-2


def test_a_ridge_never_lowers_the_objective():
    model = problem(heavy_rows(40), reg_covar=0.3)
    fit = em(model, start_of(model), max_iter=100)
    assert (np.diff(fit.trace) >= 0.0).all()
    assert fit.stop is not StopReason.FELL


# ---- the certificate and the components ----------------------------------------------------------


@pytest.mark.parametrize("rule", ["free", "equal"])
def test_the_gradient_of_the_degrees_of_freedom_is_numerical_calculus(rule):
    model = problem(heavy_rows(), tails=RULES[rule])
    mixture = replace(em(model, start_of(model), max_iter=3).mixture, tails=np.full(2, 7.0))
    moments = model.e_step(mixture)
    without = replace(model, tails=TailRule("given", mixture.tails))
    own = squared_gradient(model, mixture, moments) - squared_gradient(without, mixture, moments)
    h, e = 1e-5, 1.0 / mixture.tails
    steps = [np.ones(2)] if rule == "equal" else list(np.eye(2))
    expected = 0.0
    for step in steps:
        ends = [
            log_likelihood(model, replace(mixture, tails=1.0 / (e + sign * h * step)))
            for sign in (1.0, -1.0)
        ]
        slope = (ends[0] - ends[1]) / (2.0 * h)
        expected += slope**2 / (step @ moments.tail_information)
    assert own == pytest.approx(expected, rel=1e-5)


def test_a_mixture_away_from_the_optimum_has_no_certificate(faithful):
    model = problem(faithful)
    fit = em(model, start_of(model), accelerated=True)
    assert certify(model, fit.mixture).holds
    assert fit.mixture.tails[0] == 200.0
    off = replace(fit.mixture, tails=np.array([200.0, 12.0]))
    assert not certify(model, off).holds


@pytest.mark.parametrize("family", ["VVV", "VVI", "VII", "EEE"])
def test_effective_parameters_are_the_loss_of_leaving_rows_out(family):
    """Against refits without each row: one M-step of the others, at the same responsibilities."""
    rows = heavy_rows(40)
    model = problem(rows, family)
    mixture = em(model, start_of(model), accelerated=True).mixture
    found = effective_parameters(model, mixture, model.e_step(mixture))
    losses = _losses_without_each_row(model, mixture)
    shares = mixture.posterior(rows)
    if family == "EEE":  # shared scale matrices stay
        assert (found < losses @ shares + 1.0).all()
    else:
        np.testing.assert_allclose(found.sum(), losses.sum(), rtol=0.1)


def _losses_without_each_row(model: Problem, mixture: Mixture) -> np.ndarray:
    """Loss of log density of each row when the M-step is made without it, tails fixed."""
    (block,) = model.dataset.source.blocks()
    rows, losses = block.rows, []
    shares = mixture.posterior(rows)
    whole = mixture.log_density(rows)
    for i in range(len(rows)):
        rest = np.arange(len(rows)) != i
        moments = moments_of_complete(rows[rest], mixture, shares[rest], model.family.needs)
        without = replace(model.m_step(moments, mixture), tails=mixture.tails)
        losses.append(whole[i] - without.log_density(rows[[i]])[0])
    return np.array(losses)
