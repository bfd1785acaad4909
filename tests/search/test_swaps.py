"""Swaps: right splits gain and false ones do not, and planted faults are mended."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from conftest import dataset
from mixtura import GaussianMixture
from mixtura.data.problem import Problem
from mixtura.distribution.mixture_density import log_density
from mixtura.families import FAMILIES
from mixtura.model.regularisation import Regularisation
from mixtura.search.responsibilities import LEAST_OTHERS, Responsibilities
from mixtura.search.swaps import (
    NEGLIGIBLE,
    PartialEM,
    Replacement,
    Swaps,
    chosen_swaps,
    rows_enough,
    swapped,
)

K, D = 10, 16
CENTRES = np.vstack([8.0 * np.eye(D)[: K - 1], 8.0 * np.eye(D)[K - 2] + 3.0 * np.eye(D)[K - 1]])
"""Nine far apart, and one three standard deviations from the ninth."""


@pytest.fixture(scope="module")
def planted():
    """Rows, the fit with the last two groups in one component and the first one cut in two, and the
    right one.
    """
    rng = np.random.default_rng(0)
    truth = rng.integers(K, size=rows_enough(K, D))
    X = CENTRES[truth] + rng.standard_normal((len(truth), D))
    wrong = np.where(truth == K - 1, K - 2, truth)
    wrong[(truth == 0) & (X[:, 5] > 0)] = K - 1
    return X, *(
        GaussianMixture(K, init_params=labels, n_init=1, random_state=0).fit(X)
        for labels in (wrong, truth)
    )


def partial_em(X, mixture, family="VVV"):
    data = dataset(X)
    problem = Problem(data, FAMILIES[family], Regularisation(data.floor))
    return PartialEM(
        problem,
        Responsibilities.of(data, mixture, NEGLIGIBLE),
        drawn=False,
        speculative=True,
        stopped=threading.Event(),
    )


def gain_of_a_cut(tried: PartialEM, k: int) -> float:
    return tried.split((k,), np.random.default_rng(0), worth=-np.inf).gain


def without_chance(X, mixture, **settings) -> Swaps | None:
    data = dataset(X)
    return swapped(
        Problem(data, FAMILIES["VVV"], Regularisation(data.floor)),
        mixture,
        np.random.default_rng(0),
        drawn=False,
        **settings,
    )


def test_the_right_cut_gains_beyond_chance_and_false_ones_do_not(planted):
    X, wrong, right = planted
    tried = partial_em(X, wrong.mixture_)
    gains = [gain_of_a_cut(tried, k) for k in range(K)]
    merged = int(((wrong.means_ - CENTRES[-2:].mean(axis=0)) ** 2).sum(axis=1).argmin())
    assert int(np.argmax(gains)) == merged
    assert gains[merged] > 50.0
    assert max(np.delete(gains, merged)) < 10.0
    tried = partial_em(X, right.mixture_)
    assert max(gain_of_a_cut(tried, k) for k in range(K)) < 10.0


def test_what_goes_with_the_least_loss_is_half_of_a_group_cut_in_two(planted):
    X, wrong, right = planted
    tried = partial_em(X, wrong.mixture_)
    losses = np.array([-tried.without(k).gain for k in range(K)])
    halves = np.argsort(((wrong.means_ - CENTRES[0]) ** 2).sum(axis=1))[:2]
    assert set(np.argsort(losses)[:2]) == set(halves)
    assert losses[halves].max() < 10.0 < np.sort(losses)[2]
    tried = partial_em(X, right.mixture_)
    assert min(-tried.without(k).gain for k in range(K)) > 10.0


def test_swaps_mend_the_planted_faults_and_then_finds_none(planted):
    X, wrong, right = planted
    assert wrong.result_.log_likelihood < right.result_.log_likelihood - 100
    found = without_chance(X, wrong.mixture_)
    assert found is not None
    assert found.sure
    distances = ((found.moments.means[:, None] - CENTRES) ** 2).sum(axis=2)
    assert set(distances.argmin(axis=1)) == set(range(K))
    assert distances.min(axis=1).max() < 0.5
    assert without_chance(X, right.mixture_) is None


@pytest.mark.parametrize("speculative", [False, True])
def test_workers_do_not_change_swaps_and_somebody_else_may_end_it(planted, speculative):
    X, wrong, _ = planted
    one, two = (
        without_chance(X, wrong.mixture_, speculative=speculative, workers=workers)
        for workers in (1, 2)
    )
    assert one is not None
    assert one.sure
    assert np.array_equal(one.moments.second, two.moments.second)
    ended = threading.Event()
    ended.set()
    assert without_chance(X, wrong.mixture_, speculative=speculative, stopped=ended) is None


def test_a_split_without_promise_is_given_up_early(planted):
    X, _, right = planted
    tried = partial_em(X, right.mixture_)
    full, early = (
        tried.split((0,), np.random.default_rng(0), worth).gain for worth in (-np.inf, 1000.0)
    )
    assert early < full < 10.0


@pytest.mark.parametrize("family", ["EII", "VVI", "EEE", "VEV", "VVV"])
def test_components_of_every_kind_of_family_can_be_swapped(planted, family):
    X, wrong, _ = planted
    tried = partial_em(X, wrong.mixture_, family)
    assert tried._tied(tried.problem).family.shares_all
    merged = int(((wrong.means_ - CENTRES[-2:].mean(axis=0)) ** 2).sum(axis=1).argmin())
    assert gain_of_a_cut(tried, merged) > 50.0


def test_no_swap_where_nothing_gains_and_an_unsure_one_where_it_may():
    apart = np.eye(6)
    loss, cut, pair = (
        Replacement((0,), -50.0, ()),
        Replacement((3,), 20.0, ()),
        Replacement((4, 5), 30.0, ()),
    )
    assert chosen_swaps(apart, [loss], [Replacement((3,), -1.0, ()), pair]) == []
    assert chosen_swaps(apart, [loss], [pair, cut]) == [loss, cut]
    assert chosen_swaps(apart, [loss], [pair, cut], speculative=False) == []
    assert chosen_swaps(apart, [loss], [Replacement((3,), 60.0, ()), cut])[1].gain == 60.0
    assert (
        chosen_swaps(apart, [Replacement((0, 3), -50.0, ())], [cut]) == []
    )  # what grows may not be what goes
    bare, split = chosen_swaps(apart, [Replacement((3, 0), -50.0, ())], [cut])  # but an heir of it
    assert (bare.group, bare.components, split) == ((0,), (), cut)


# ---- responsibilities ----------------------------------------------------------------------------


def test_responsibilities_by_component_are_those_of_the_whole_matrix(planted):
    X, wrong, _ = planted
    data = dataset(X)  # more rows than are seen at one time
    joint = data.backend.log_joint(next(data.source.blocks()), wrong.mixture_)
    shares = np.exp(joint - log_density(joint)[:, None])
    held = Responsibilities.of(data, wrong.mixture_, NEGLIGIBLE)
    with np.errstate(divide="ignore"):
        losses = -np.log(np.maximum(1.0 - shares, LEAST_OTHERS)).sum(axis=0) + len(X) * np.log1p(
            -wrong.mixture_.weights
        )
    lengths = np.linalg.norm(shares, axis=0)
    np.testing.assert_allclose(
        held.removal_losses, losses, rtol=1e-9
    )  # the same sums in another order
    np.testing.assert_allclose(
        held.overlaps, shares.T @ shares / np.outer(lengths, lengths), atol=1e-12
    )
    for k in range(K):
        assert np.array_equal(held.rows_of[k], np.flatnonzero(shares[:, k] > NEGLIGIBLE))
        np.testing.assert_allclose(held.weights_of[k], shares[held.rows_of[k], k], rtol=1e-12)
    rows, both = held.of_group((0, 1))
    together = np.union1d(held.rows_of[0], held.rows_of[1])
    assert np.array_equal(rows, X[together])
    assert both.sum() == pytest.approx(held.weights_of[0].sum() + held.weights_of[1].sum())


def test_a_weight_of_two_is_a_repeated_row_in_the_responsibilities(faithful):
    mixture = GaussianMixture(3, random_state=0).fit(faithful).mixture_
    weighted = Responsibilities.of(
        dataset(faithful, np.full(len(faithful), 2.0)), mixture, NEGLIGIBLE
    )
    repeated = Responsibilities.of(dataset(np.repeat(faithful, 2, axis=0)), mixture, NEGLIGIBLE)
    np.testing.assert_allclose(weighted.removal_losses, repeated.removal_losses, rtol=1e-9)
    np.testing.assert_allclose(weighted.overlaps, repeated.overlaps, rtol=1e-9)
    assert [s.sum() for s in weighted.weights_of] == pytest.approx(
        [s.sum() for s in repeated.weights_of]
    )


# ---- whole fits of many components ---------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_many_components_of_many_rows_reach_what_the_true_centres_reach(seed):
    rng = np.random.default_rng(seed)
    corners = 3.5 * (
        (np.arange(16)[:, None] >> np.arange(8)) & 1
    )  # of a cube in four columns; four more tell nothing
    X = corners[rng.integers(16, size=40_000)] + rng.standard_normal((40_000, 8))
    truth = GaussianMixture(16, means_init=corners, random_state=0).fit(X).result_.log_likelihood
    one, two = (
        GaussianMixture(16, random_state=seed, n_threads=threads).fit(X) for threads in (1, 2)
    )
    assert one.converged_
    assert one.result_.log_likelihood > truth - 0.01
    assert one.start_report_.n_rows < one.start_report_.n_all
    assert one.result_.trace == two.result_.trace
