"""EM from one start: the start, the stopping rule, the certificate and the result."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from conftest import ALL_BACKENDS, dataset, two_groups
from mixtura.backends import NativeBackend
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.convergence_rate import slowest_rate
from mixtura.em.em import em
from mixtura.em.loop import em_map
from mixtura.em.stopping import Check, RemainingGain, SmallChange, remaining_gain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import (
    FromResponsibilities,
    KMeansPlusPlus,
    KMeansStart,
    RandomResponsibilities,
    RandomRows,
)
from mixtura.kernels import built
from mixtura.model.criteria import bic, icl, icl_entropy
from mixtura.model.fit_result import StopReason
from mixtura.model.regularisation import Regularisation

VVV = FAMILIES["VVV"]


def run(X, start, family=VVV, seed=0, K=2, **keywords):
    data = dataset(X)
    if not isinstance(start, Mixture):
        start = start(data, K, np.random.default_rng(seed))
    return em(Problem(data, family, Regularisation(data.floor)), start, **keywords)


def overlapping(n: int, apart: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.standard_normal((n // 4, 1)), rng.standard_normal((3 * n // 4, 1)) + apart]
    )


SLOW = {
    "faithful-3": (lambda faithful: faithful, 3, "VVV"),
    "faithful-tied-4": (lambda faithful: faithful, 4, "EEE"),
    "two-close": (lambda _: overlapping(800, 1.5, 0), 2, "VVV"),
    "one-as-two": (lambda _: np.random.default_rng(7).standard_normal((500, 1)), 2, "VVV"),
    "planes": (lambda _: np.concatenate([two_groups(600, 2, 1.2, 3)]), 2, "VVI"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
@pytest.mark.parametrize("seed", range(4))
def test_the_default_converges_to_within_a_hundredth_or_reports_that_it_did_not(
    case, seed, faithful
):
    make, K, name = SLOW[case]
    X = make(faithful)
    start = [RandomRows(), RandomResponsibilities(), KMeansStart(), RandomRows("whitened")][seed]
    fit = run(X, start, FAMILIES[name], seed, K, max_iter=20_000)
    assert fit.converged or fit.stop in (StopReason.MAX_ITER, StopReason.SADDLE)
    if fit.converged:
        further = em(
            Problem(dataset(X), FAMILIES[name], Regularisation(dataset(X).floor)),
            fit,
            stopping=RemainingGain(1e-7),
            max_iter=60_000,
        )
        assert further.log_likelihood - fit.log_likelihood < 0.01


def test_the_remaining_gain_of_a_geometric_trace_is_its_exact_sum():
    trace = [-(0.9**i) for i in range(20)]
    assert remaining_gain(trace, 3) == pytest.approx(0.9**19, rel=1e-9)


def test_growing_gains_have_no_finite_estimate():
    assert remaining_gain([-100.0, -99.9, -99.7, -99.3, -98.0, -95.0], 3) == float("inf")


def test_the_slowest_rate_is_the_ratio_of_late_steps():
    X = overlapping(800, 1.5, 0)
    data = dataset(X)
    regularisation = Regularisation(data.floor)
    start = KMeansStart()(data, 2, np.random.default_rng(0))
    fits = [
        em(Problem(data, VVV, regularisation), start, stopping=SmallChange(0.0), max_iter=m)
        for m in (2000, 2001, 2002)
    ]
    steps = [np.abs(b.mixture.means - a.mixture.means).max() for a, b in itertools.pairwise(fits)]
    problem = Problem(data, VVV, regularisation)
    before, now = problem.e_step(fits[0].mixture), problem.e_step(fits[1].mixture)
    rate = slowest_rate(
        partial(em_map, problem, fits[1].mixture), before, now, fits[1].mixture
    ).rate
    assert rate == pytest.approx(steps[1] / steps[0], abs=2e-3)


def test_a_fit_with_exact_copies_is_not_called_converged():
    X = two_groups(400)
    one = run(X, KMeansStart(), K=1).mixture
    twins = Mixture(
        np.array([0.5, 0.5]),
        np.repeat(one.means, 2, axis=0),
        type(one.covariance)(np.repeat(one.covariance.values, 2, axis=0), 2),
    )
    fit = run(X, twins)
    assert fit.stop is StopReason.COPIES
    assert not fit.converged
    assert "copies" in fit.stop.value


def test_the_reported_likelihood_belongs_to_the_reported_mixture(faithful, family):
    fit = run(faithful, RandomResponsibilities(), family, K=3, max_iter=7)
    assert fit.log_likelihood == pytest.approx(fit.mixture.log_density(faithful).sum(), rel=1e-13)
    assert fit.trace[-1] == fit.log_likelihood
    assert fit.n_iter == len(fit.trace) - 1 == 7
    assert fit.stop is StopReason.MAX_ITER


def test_em_starts_with_the_m_step_on_exactly_the_given_responsibilities(faithful):
    r = np.random.default_rng(0).dirichlet(np.ones(3), len(faithful))
    fit = run(faithful, FromResponsibilities(r), K=3, max_iter=0)
    np.testing.assert_allclose(fit.mixture.weights, r.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(
        fit.mixture.means, r.T @ faithful / r.sum(axis=0)[:, None], rtol=1e-13
    )


def test_a_fit_that_goes_on_has_the_trace_of_one_fit(faithful):
    once = run(faithful, KMeansStart(), K=3, max_iter=12, stopping=SmallChange(0.0))
    data = dataset(faithful)
    half = run(faithful, KMeansStart(), K=3, max_iter=5, stopping=SmallChange(0.0))
    rest = em(
        Problem(data, VVV, Regularisation(data.floor)), half, max_iter=7, stopping=SmallChange(0.0)
    )
    assert rest.trace == once.trace


def test_a_callback_gets_every_iteration_and_an_interrupt_keeps_the_last_mixture(faithful):
    seen = []

    def stop_after_four(iteration):
        seen.append(iteration.log_likelihood)
        if iteration.number == 4:
            raise KeyboardInterrupt

    fit = run(faithful, RandomResponsibilities(), K=3, callback=stop_after_four)
    assert fit.stop is StopReason.INTERRUPTED
    assert fit.log_likelihood == seen[-1]
    assert len(seen) == 4


def test_a_collapse_without_a_floor_keeps_the_last_valid_iteration():
    X = np.concatenate([np.random.default_rng(0).standard_normal((50, 1)), np.full((2, 1), 5.0)])
    data = dataset(X)
    start = Mixture(
        np.array([0.9, 0.1]),
        np.array([[0.0], [5.0]]),
        run(X, KMeansStart(), K=2).mixture.covariance,
    )
    fit = em(Problem(data, VVV, Regularisation(np.zeros(1))), start)
    assert fit.stop is StopReason.COLLAPSED
    assert np.isfinite(fit.log_likelihood)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_the_objective_does_not_fall_where_the_floor_is_reached(family, backend):
    """With seventeen components of rounded data some have the rows of one value."""
    X = np.round(two_groups(120, 3, apart=3.0), 0)
    data = dataset(X, backend=backend)
    reached = False
    for seed in range(3):
        start = RandomRows()(data, 17, np.random.default_rng(seed))
        fit = em(Problem(data, family, Regularisation(data.floor)), start, max_iter=200)
        assert fit.stop is not StopReason.FELL
        assert (np.diff(fit.trace) >= 0).all()
        reached = reached or bool(
            Regularisation(data.floor).floor_reached(fit.mixture.covariance).any()
        )
    # A shared shape is rarely so small in one direction.
    assert reached or (family.name[1] in "EI" and family.name[:2] != "VI")


def test_entropy_and_certainty_are_those_of_the_responsibilities(faithful, backend):
    data = dataset(faithful, backend=backend)
    mixture = run(faithful, KMeansStart(), K=3).mixture
    r = mixture.posterior(faithful)
    moments = data.backend.moments(data.source, mixture, Scatter.TRACE)
    assert moments.entropy == pytest.approx(-(r * np.log(np.maximum(r, 1e-300))).sum(), rel=1e-10)
    fit = run(faithful, KMeansStart(), K=3)
    assert icl_entropy(fit) - bic(fit) == pytest.approx(2 * moments.entropy, rel=1e-9)
    assert icl(fit) - bic(fit) == pytest.approx(-2 * moments.certainty, rel=1e-9)
    assert moments.certainty == pytest.approx(np.log(r.max(axis=1)).sum(), rel=1e-10)


def many_rows(n: int = 30_000) -> np.ndarray:
    rng = np.random.default_rng(5)
    means = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    return (means[rng.integers(0, 3, n)] + rng.standard_normal((n, 3))).astype(np.float32)


@pytest.mark.skipif(not built, reason="built without a C++ compiler")
@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_in_mixed_precision_has_the_optimum_of_float64_and_reports_float64(
    accelerated, dtype, monkeypatch
):
    X = many_rows().astype(dtype)
    data = dataset(X)
    start = KMeansPlusPlus()(data, 3, np.random.default_rng(1))
    assert data.reduced is not None
    problem = Problem(data, VVV, Regularisation(data.floor))
    reduced = em(problem, start, stopping=RemainingGain(1e-4), accelerated=accelerated)
    monkeypatch.setattr(NativeBackend, "reduced", lambda *_: None)
    exact = em(
        problem.with_data(dataset(X)), start, stopping=RemainingGain(1e-4), accelerated=accelerated
    )
    assert reduced.trace != exact.trace
    assert reduced.converged
    # Both are within 1e-4 of the optimum.
    assert reduced.log_likelihood == pytest.approx(exact.log_likelihood, abs=1e-3)
    assert reduced.log_likelihood == pytest.approx(
        float(reduced.mixture.log_density(X).sum()), rel=1e-13
    )
    assert (np.diff(reduced.trace) >= 0).all()
    assert reduced.n_iter == len(reduced.trace) - 1


@pytest.mark.skipif(not built, reason="built without a C++ compiler")
def test_a_callback_of_a_fit_in_mixed_precision_counts_on_and_may_end_it():
    X = many_rows()
    data, numbers = dataset(X), []

    def stop_at(last):
        def callback(iteration):
            numbers.append(iteration.number)
            if iteration.number == last:
                raise KeyboardInterrupt

        return callback

    start = KMeansPlusPlus()(data, 3, np.random.default_rng(1))
    whole = em(Problem(data, VVV, Regularisation(data.floor)), start, callback=stop_at(-1))
    assert numbers == list(range(1, whole.n_iter + 1))
    cut = em(Problem(data, VVV, Regularisation(data.floor)), start, callback=stop_at(2))
    assert cut.stop is StopReason.INTERRUPTED
    assert cut.n_iter == 2
    assert cut.log_likelihood == pytest.approx(float(cut.mixture.log_density(X).sum()), rel=1e-13)
    spent = em(Problem(data, VVV, Regularisation(data.floor)), start, max_iter=3)
    assert spent.stop is StopReason.MAX_ITER
    assert spent.n_iter == 3
    assert spent.log_likelihood == pytest.approx(
        float(spent.mixture.log_density(X).sum()), rel=1e-13
    )


# ---- the second check ----------------------------------------------------------------------------


def two_near_each_other():
    first, second = (np.random.default_rng(seed).standard_normal((1000, 2)) for seed in (2, 3))
    return np.concatenate([first, second + np.array([1.5, 0.0])])


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize(
    ("kind", "K", "name", "seed"),
    [(KMeansStart(), 4, "VVV", 2), (KMeansPlusPlus(), 4, "VVV", 3), (RandomRows(), 5, "VVI", 0)],
    ids=["a plateau that curves", "a higher one", "a slow direction behind a faster one"],
)
def test_a_plateau_is_crossed(kind, K, name, seed, accelerated, faithful):
    """A single check had a steady rate and a small bound where 0.07, 2.1 and 0.7 remained."""
    data = dataset(faithful if name == "VVV" else two_near_each_other())
    start, regularisation = kind(data, K, np.random.default_rng(seed)), Regularisation(data.floor)
    fit = em(
        Problem(data, FAMILIES[name], regularisation),
        start,
        max_iter=20_000,
        accelerated=accelerated,
    )
    further = em(
        Problem(data, FAMILIES[name], regularisation),
        fit,
        stopping=RemainingGain(1e-9),
        max_iter=20_000,
        accelerated=True,
    )
    # Plain EM ends at a saddle of the last problem.
    assert fit.stop in (StopReason.CONVERGED, StopReason.SADDLE)
    assert fit.stop is StopReason.SADDLE or further.trace[-1] - fit.trace[-1] < 0.01


def checks_at(left, rate, times):
    """Checks along gains that fall by one rate, from a remaining gain."""
    return [
        Check(-left * rate ** (2 * t), left * rate ** (2 * t) * (rate**-2 - 1) * rate**2, rate)
        for t in times
    ]


def test_a_bound_that_holds_until_it_has_fallen_to_a_tenth_ends_em():
    rule, rate = RemainingGain(0.01), 0.99
    checks = checks_at(0.003, rate, (0, 50, 120))
    assert [rule.confirmed(checks[:i]) for i in (1, 2, 3)] == [False, False, True]
    assert rule.until_next_check([checks[0]]).tolerance == pytest.approx(0.01 * 0.09, rel=0.05)
    early = checks_at(0.1, rate, (0, 120, 350))
    # also to a tenth of the tolerance
    assert [rule.confirmed(early[:i]) for i in (1, 2, 3)] == [False, False, True]
    assert rule.until_next_check(early[:1]).tolerance == pytest.approx(0.01 * 0.1)
    assert rule.until_next_check([]).tolerance == pytest.approx(0.1)
    assert not rule.may_confirm(early[:1], early[1].gain)
    assert rule.may_confirm(early[:1], early[2].gain)
    assert rule.may_confirm([replace(early[0], rate=1.0)], early[0].gain)  # the rate tells nothing


def test_a_check_with_another_rate_or_a_larger_gain_is_the_new_first_one():
    rule, rate = RemainingGain(0.01), 0.99
    first, _, last = checks_at(0.003, rate, (0, 50, 120))
    broken = replace(last, objective=first.objective + 0.0035)
    faster, slower = replace(last, rate=0.985), replace(last, rate=0.995)
    for seen in (broken, faster, slower, replace(last, rate=1.0)):
        assert not rule.confirmed([first, seen])
    later = replace(broken, objective=broken.objective + 0.9 * broken.bound, gain=broken.gain / 10)
    assert rule.confirmed([first, broken, later])
