"""t components: densities against SciPy, scores and information against numerical calculus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense, Diagonal
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.distribution.t_density import log_fall, log_peak, pulls
from mixtura.model.moments import Moments
from mixtura.model.observation import moments_of_complete
from mixtura.model.tails import TailRule, information, score_constant

TAILS = np.array([2.0, 3.7, 30.0, 200.0])


def random_mixture(K: int, d: int, seed: int = 0) -> Mixture:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((K, d, d))
    return Mixture(
        rng.dirichlet(np.full(K, 5.0)),
        2.0 * rng.standard_normal((K, d)),
        Dense(A @ A.transpose(0, 2, 1) + np.eye(d), K),
        tails=rng.uniform(2.0, 40.0, K),
    )


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_density_is_that_of_scipy(d):
    mixture = random_mixture(3, d)
    rows = 4.0 * np.random.default_rng(1).standard_normal((50, d))
    expected = [
        np.log(weight) + stats.multivariate_t(mean, shape, nu).logpdf(rows)
        for weight, mean, shape, nu in zip(
            mixture.weights,
            mixture.means,
            mixture.covariance.dense(),
            mixture.tails,
            strict=True,
        )
    ]
    np.testing.assert_allclose(mixture.log_joint(rows), np.transpose(expected), atol=1e-12)


def test_marginals_are_those_of_scipy():
    mixture, columns = random_mixture(2, 3), np.array([2, 0])
    rows = np.random.default_rng(1).standard_normal((20, 2))
    marginal = mixture.marginal(columns)
    shapes = mixture.covariance.dense()[:, columns[:, None], columns]
    for k in range(2):
        law = stats.multivariate_t(mixture.means[k, columns], shapes[k], mixture.tails[k])
        own = marginal.log_joint(rows)[:, k] - np.log(mixture.weights[k])
        np.testing.assert_allclose(own, law.logpdf(rows), atol=1e-12)


def test_many_degrees_of_freedom_are_a_gaussian():
    mixture = replace(random_mixture(3, 4), tails=np.full(3, 1e9))
    rows = np.random.default_rng(1).standard_normal((40, 4))
    gaussian = replace(mixture, tails=None)
    np.testing.assert_allclose(mixture.log_joint(rows), gaussian.log_joint(rows), atol=1e-6)
    near = moments_of_complete(rows, mixture, mixture.posterior(rows), Scatter.DENSE)
    same = moments_of_complete(rows, gaussian, gaussian.posterior(rows), Scatter.DENSE)
    for name in ("counts", "first", "second"):
        np.testing.assert_allclose(getattr(near, name), getattr(same, name), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(near.pulls, same.counts, rtol=1e-5)


@pytest.mark.parametrize("d", [1, 2, 7])
def test_the_score_is_the_derivative_of_the_log_density(d):
    squared, h = np.array([0.0, 0.4, 3.0, 90.0])[:, None], 1e-5 * TAILS

    def log_density(nu):
        return log_peak(nu, d) + log_fall(squared, nu, d)

    slope = (log_density(TAILS + h) - log_density(TAILS - h)) / (2.0 * h)
    own = 0.5 * (score_constant(TAILS, d) - np.log1p(squared / TAILS) - pulls(squared, TAILS, d))
    np.testing.assert_allclose(own, slope, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("nu", TAILS)
def test_the_information_is_the_variance_of_the_score(d, nu):
    law = stats.f(d, nu)  # of the squared distance, divided by d

    def squared_score(f):
        by_nu = score_constant(nu, d) - np.log1p(d * f / nu) - pulls(d * f, nu, d)
        return law.pdf(f) * (0.5 * nu**2 * by_nu) ** 2

    parts = [quad(squared_score, *ends, limit=200)[0] for ends in ((0.0, 1.0), (1.0, np.inf))]
    assert information(np.array([nu]), d)[0] == pytest.approx(sum(parts), rel=1e-6)


def test_a_row_without_any_value_knows_nothing():
    assert np.array_equal(information(TAILS, 0), np.zeros(4))
    assert np.array_equal(log_peak(TAILS, 0), np.zeros(4))


def test_sampled_rows_have_the_distances_of_a_t_distribution():
    mixture = replace(random_mixture(1, 3), tails=np.array([4.0]))
    rows, _ = mixture.sample(20_000, np.random.default_rng(0))
    squared = mixture.squared_distances(rows)[:, 0]
    assert stats.kstest(squared / 3, stats.f(3, 4.0).cdf).pvalue > 1e-3


def test_the_posterior_of_an_overflowing_distance_is_of_the_heaviest_tail():
    mixture = Mixture(
        np.array([0.5, 0.5]),
        np.zeros((2, 1)),
        Diagonal(np.ones((2, 1)), 2),
        tails=np.array([9.0, 3.0]),
    )
    rows = np.array([[1e200], [1e160]])
    found = posterior(mixture.log_joint(rows), rows, mixture)
    np.testing.assert_allclose(found, [[0.0, 1.0], [0.0, 1.0]], atol=1e-100)


# ---- the M-step ----------------------------------------------------------------------------------


def moments_with(tails: np.ndarray, scores_by_e: np.ndarray, known: np.ndarray) -> Moments:
    K = len(tails)
    moments = replace(Moments.zeros(np.zeros((K, 1)), Scatter.TRACE), counts=np.full(K, 100.0))
    return moments.with_tails(np.full(K, 100.0), known / tails + scores_by_e, known)


def test_a_step_of_scoring_is_within_the_bounds():
    tails, known = np.array([10.0, 10.0, 10.0]), np.full(3, 50.0)
    step = TailRule().m_step(moments_with(tails, np.array([0.5, 1e3, -1e3]), known))
    np.testing.assert_allclose(step, [1.0 / (0.1 + 0.01), 2.0, 200.0], rtol=1e-14)
    assert step[2] == 200.0


def test_one_number_for_all_pools_the_sums():
    moments = moments_with(np.array([10.0, 10.0]), np.array([1.0, 0.0]), np.array([50.0, 150.0]))
    step = TailRule("equal").m_step(moments)
    np.testing.assert_allclose(step, np.full(2, 1.0 / (0.1 + 1.0 / 200.0)), rtol=1e-14)


@pytest.mark.parametrize("given", [3.0, [3.0, 50.0]])
def test_given_numbers_stay(given):
    moments = moments_with(np.array([10.0, 10.0]), np.array([1.0, 0.0]), np.array([50.0, 150.0]))
    rule = TailRule("given", np.asarray(given))
    for found in (rule.m_step(moments), rule.cautious(moments, np.full(2, 10.0)), rule.first(2)):
        np.testing.assert_array_equal(found, np.broadcast_to(given, 2))
    assert rule.n_parameters(2) == 0
    assert rule.squared_gradient(moments, np.full(2, 10.0)) == 0.0


def test_the_gradient_ends_at_a_bound_that_holds_the_estimate():
    known = np.array([4.0, 4.0])
    rule, tails = TailRule(), np.array([200.0, 2.0])
    outwards = moments_with(tails, np.array([-1.0, 1.0]), known)
    inwards = moments_with(tails, np.array([1.0, -1.0]), known)
    assert rule.squared_gradient(outwards, tails) == 0.0
    assert rule.squared_gradient(inwards, tails) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["free", "equal"])
def test_the_cautious_step_maximises_the_expected_complete_log_likelihood(kind):
    mixture = replace(random_mixture(2, 2), tails=np.full(2, 6.0))
    rows = mixture.sample(300, np.random.default_rng(3))[0] * 1.3
    r = mixture.posterior(rows)
    moments = moments_of_complete(rows, mixture, r, Scatter.DENSE)
    found = TailRule(kind).cautious(moments, mixture.tails)
    shape = 0.5 * (6.0 + 2)
    u = pulls(mixture.squared_distances(rows), mixture.tails, 2)
    means = np.log(u) + _digamma(shape) - np.log(shape) - u  # of log U - U

    def objective(nu):
        z = 0.5 * nu
        own = z * np.log(z) - _log_gamma(z)
        return (moments.counts * own + z * (r * means).sum(axis=0)).sum()

    best = objective(found)
    for factor in (0.99, 1.01):
        assert objective(found * factor) < best
        if kind == "free":
            assert objective(found * [factor, 1.0]) < best


def _digamma(z):
    h = 1e-4
    return (_log_gamma(z + h) - _log_gamma(z - h)) / (2 * h)


def _log_gamma(z):
    return stats.gamma.logpdf(1.0, z) * -1.0 - 1.0
