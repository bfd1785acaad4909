"""Vectors of whitened moments: the inverse, and the symmetric Jacobian of EM."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import dataset, two_groups
from mixtura.base.errors import CollapseError
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.convergence_rate import DEVIATION, slowest_rate
from mixtura.em.em import em
from mixtura.em.loop import em_map
from mixtura.em.moment_vectors import WhitenedMoments
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import KMeansStart
from mixtura.model.regularisation import Regularisation


def fitted(X, name, K=2):
    """The problem, and a fixed point of EM."""
    data = dataset(X)
    regularisation = Regularisation(data.floor)
    start = KMeansStart()(data, K, np.random.default_rng(0))
    rule = RemainingGain(1e-10)
    mixture = em(
        Problem(data, FAMILIES[name], regularisation),
        start,
        stopping=rule,
        max_iter=20_000,
        accelerated=True,
    ).mixture
    return Problem(data, FAMILIES[name], regularisation), mixture


def jacobian(problem: Problem, mixture: Mixture) -> np.ndarray:
    """The Jacobian of EM by central differences, column by column."""
    whitened = WhitenedMoments(problem.e_step(mixture), mixture)
    origin = whitened.vector(whitened.origin)

    def image(point):
        return whitened.vector(em_map(problem, mixture, whitened.moments(point)))

    directions = DEVIATION * np.eye(len(origin))
    return np.column_stack(
        [(image(origin + one) - image(origin - one)) / (2 * DEVIATION) for one in directions]
    )


def test_moments_of_a_vector_are_the_moments_it_was_made_of(family):
    problem, mixture = fitted(two_groups(200, 3, apart=3.0), family.name)
    whitened = WhitenedMoments(problem.e_step(mixture), mixture)
    # moments about other points
    other = problem.e_step(Mixture(mixture.weights, mixture.means + 0.1, mixture.covariance))
    back = whitened.moments(whitened.vector(other))
    same = other.taken_about(back.about)
    for mine, theirs in zip(
        (back.counts, back.first, back.second), (same.counts, same.first, same.second), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["EII", "VII", "EEI", "VVI", "EEE", "VVV"])
def test_the_jacobian_of_em_is_symmetric_where_the_family_estimates_all_sums(name):
    problem, mixture = fitted(two_groups(200, 2, apart=2.0), name)
    J = jacobian(problem, mixture)
    eigenvalues = np.linalg.eigvals(J)
    # Central differences have an error of the deviation squared, and of 1e-13 over it.
    assert np.abs(eigenvalues.imag).max() < 1e-6
    eigenvalues = eigenvalues.real
    assert eigenvalues.min() > -1e-6
    if name not in ("EII", "EEI"):  # these pool the sums of the components
        assert np.abs(J - J.T).max() < 1e-6
    now = problem.e_step(mixture)
    rate = slowest_rate(
        lambda moments: em_map(problem, mixture, moments),
        problem.e_step(fitted_short(problem, mixture)),
        now,
        mixture,
    ).rate
    assert rate == pytest.approx(eigenvalues.max(), abs=0.05 * (1 - eigenvalues.max()))


def fitted_short(problem: Problem, mixture: Mixture) -> Mixture:
    """A mixture near a fixed point."""
    return problem.m_step(
        problem.e_step(Mixture(mixture.weights, mixture.means * 1.001, mixture.covariance)), mixture
    )


def test_an_optimum_with_a_nearly_singular_component_is_no_saddle():
    """Eight rows are collinear to 1e-5 of the columns' deviations."""
    rng = np.random.default_rng(3)
    along = rng.uniform(-1, 1, 8)
    line = np.column_stack([along, 0.5 * along]) + 1e-5 * rng.standard_normal((8, 2)) + [0.3, 4.0]
    X = np.concatenate([rng.standard_normal((300, 2)), line])
    data = dataset(X)
    groups = np.repeat([0, 1], [300, 8])
    parts = [X[groups == k] for k in (0, 1)]
    covariances = np.stack([np.cov(part.T, bias=True) for part in parts])
    form = type(fitted(X, "VVV", 1)[1].covariance)
    start = Mixture(
        np.array([300, 8]) / 308,
        np.stack([part.mean(axis=0) for part in parts]),
        form(covariances, 2),
    )
    fit = em(Problem(data, FAMILIES["VVV"], Regularisation(data.floor)), start, accelerated=True)
    assert fit.converged
    assert np.linalg.eigvalsh(fit.mixture.covariance.values[1]).min() < 1e-9
    assert jacobian_rate(fit, data) == pytest.approx(fit.rate, abs=0.05 * (1 - fit.rate))


def jacobian_rate(fit, data) -> float:
    return float(
        np.linalg.eigvals(
            jacobian(Problem(data, FAMILIES["VVV"], Regularisation(data.floor)), fit.mixture)
        ).real.max()
    )


def test_a_negative_count_has_no_moments():
    problem, mixture = fitted(two_groups(200, 2, apart=3.0), "VVV")
    whitened = WhitenedMoments(problem.e_step(mixture), mixture)
    with pytest.raises(CollapseError):
        whitened.moments(-whitened.vector(whitened.origin))
