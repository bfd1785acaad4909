"""SQUAREM in moments: the objective never falls, and the optimum of plain EM is reached sooner."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import dataset, two_groups
from mixtura import GaussianMixture
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.em.em import em
from mixtura.em.squarem import Squarem
from mixtura.em.stopping import RemainingGain, SmallChange
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import KMeansStart, RandomRows
from mixtura.model.moments import Moments
from mixtura.model.regularisation import Regularisation


def run(X, family, K, seed, **keywords):
    data = dataset(X)
    start = RandomRows()(data, K, np.random.default_rng(seed))
    return em(Problem(data, family, Regularisation(data.floor)), start, **keywords)


@pytest.mark.parametrize("seed", range(2))
def test_the_objective_never_falls_and_covariances_stay_valid(family, seed, faithful):
    fit = run(faithful, family, 4, seed, max_iter=200, stopping=SmallChange(0.0), accelerated=True)
    assert (np.diff(fit.trace) >= 0).all()
    assert np.linalg.eigvalsh(fit.mixture.covariance.dense()).min() > 0
    again = family.m_step(
        dataset(faithful).backend.moments(dataset(faithful).source, fit.mixture, family.needs),
        fit.mixture.covariance,
        Regularisation(dataset(faithful).floor),
    )
    assert again.values.shape == fit.mixture.covariance.values.shape


def test_extrapolations_reach_the_optimum_of_plain_em_in_fewer_iterations(family):
    X = two_groups(400, 2, apart=2.5, seed=3)
    data = dataset(X)
    start = KMeansStart()(data, 2, np.random.default_rng(0))
    fits = [
        em(
            Problem(data, family, Regularisation(data.floor)),
            start,
            stopping=RemainingGain(1e-6),
            max_iter=20_000,
            accelerated=extrapolations,
        )
        for extrapolations in (False, True)
    ]
    assert fits[0].converged
    assert fits[1].converged
    # Both are within 1e-6 of the optimum; plain EM may need fewer iterations on easy problems.
    assert fits[1].log_likelihood == pytest.approx(fits[0].log_likelihood, abs=2e-6)
    assert fits[1].n_iter <= max(fits[0].n_iter, 40)


def test_with_overlap_there_are_less_than_half_as_many_iterations():
    rng = np.random.default_rng(2)
    X = np.concatenate(
        [rng.standard_normal((1000, 2)), rng.standard_normal((1000, 2)) + np.array([1.5, 0.0])]
    )
    plain, fast = (
        run(
            X,
            FAMILIES["VVV"],
            2,
            1,
            stopping=RemainingGain(1e-6),
            max_iter=40_000,
            accelerated=extrapolations,
        )
        for extrapolations in (False, True)
    )
    assert fast.log_likelihood > plain.log_likelihood - 2e-6
    assert fast.n_iter < plain.n_iter / 2


def test_the_extrapolation_of_a_linear_map_is_its_limit():
    """Moments that shrink by a factor of 0.9 along one direction have a known limit."""
    about, direction = np.zeros((2, 1)), np.array([[1.0], [-0.5]])

    def at(t: float) -> Moments:
        return Moments(
            about, np.array([50.0, 50.0]), t * direction, np.full((2, 1), 60.0), Scatter.DIAGONAL
        )

    squarem = Squarem(np.ones(1))
    squarem.max_length = 1e6
    extrapolate = squarem.extrapolate([at(1.0), at(0.9), at(0.81)])
    assert extrapolate is not None
    np.testing.assert_allclose(extrapolate.first, 0.0, atol=1e-12)


def test_the_bound_of_the_step_length_grows_with_accepted_steps_and_shrinks_with_rejected_ones():
    squarem = Squarem(np.ones(1))
    first = squarem.max_length
    squarem._length = first
    squarem.adapt(True)
    assert squarem.max_length > first
    squarem.adapt(False)
    squarem.adapt(False)
    assert squarem.max_length < first


def test_the_bound_grows_again_after_many_rejected_steps():
    """At a bound of one there is no extrapolation, so plain iterations must raise it."""
    about = np.zeros((1, 1))
    steps = [
        Moments(
            about, np.array([50.0]), np.array([[0.9**i]]), np.full((1, 1), 60.0), Scatter.DIAGONAL
        )
        for i in range(3)
    ]
    squarem = Squarem(np.ones(1))
    for _ in range(5):
        squarem.extrapolate(steps)
        squarem.adapt(False)
    assert squarem.extrapolate(steps) is None
    assert squarem.extrapolate(steps) is not None


def test_plain_em_is_a_setting(faithful):
    plain = GaussianMixture(3, acceleration=None, random_state=0).fit(faithful)
    fast = GaussianMixture(3, random_state=0).fit(faithful)
    assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=0.02 / len(faithful))
    assert (np.diff(fast.lower_bounds_) >= 0).all()
    with pytest.raises(ValueError, match="acceleration must be"):
        GaussianMixture(3, acceleration="fast").fit(faithful)


def test_a_number_for_tol_means_plain_iterations(faithful):
    a = GaussianMixture(2, tol=1e-4, random_state=0).fit(faithful)
    b = GaussianMixture(2, tol=1e-4, acceleration=None, random_state=0).fit(faithful)
    assert a.lower_bounds_ == b.lower_bounds_
