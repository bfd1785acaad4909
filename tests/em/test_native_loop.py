"""The loop in C++ against the one in Python: M-steps, trajectories, certificates, and how both
end.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from conftest import ALL_FAMILIES, dataset, two_groups
from mixtura.base.errors import CollapseError
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em import em as em_module
from mixtura.em.em import em
from mixtura.em.loop import LoopEvent, python_loop
from mixtura.em.native_loop import flat_mixture, flat_moments, mixture_from, native_loop, setting
from mixtura.em.stopping import RemainingGain, SmallChange, SmallGain
from mixtura.families import FAMILIES
from mixtura.families.diagonal import VVI
from mixtura.initialise.initialisers import KMeansStart, RandomResponsibilities
from mixtura.kernels import built, native
from mixtura.model.fit_result import StopReason
from mixtura.model.moments import Moments
from mixtura.model.priors import pseudo_rows
from mixtura.model.regularisation import Regularisation

pytestmark = pytest.mark.skipif(not built, reason="built without a C++ compiler")


def moments_of(d: int, seed: int, K: int = 3) -> Moments:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((90, d)) @ (rng.standard_normal((d, d)) + 2.0 * np.eye(d))
    return Moments.of(X, rng.dirichlet(np.ones(K), 90), rng.standard_normal((K, d)), Scatter.DENSE)


def in_cpp(
    family, moments: Moments, regularisation: Regularisation, previous: Mixture | None = None
) -> Mixture | int:
    """The M-step in C++, or the component that collapsed."""
    answer = native.m_step(
        setting(family, regularisation),
        *flat_moments(moments.summarised(family.needs)),
        None if previous is None else flat_mixture(previous, family),
    )
    return answer if isinstance(answer, int) else mixture_from(answer)


def in_numpy(
    family, moments: Moments, regularisation: Regularisation, previous: Mixture | None = None
) -> Mixture:
    covariance = family.m_step(
        moments.summarised(family.needs), previous.covariance if previous else None, regularisation
    )
    return Mixture(regularisation.weights(moments), regularisation.means(moments), covariance)


def assert_alike(a: Mixture, b: Mixture, rtol: float) -> None:
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-14)
    np.testing.assert_allclose(a.means, b.means, rtol=1e-13, atol=1e-14)
    values, others = a.covariance.dense(), b.covariance.dense()
    sizes = np.sqrt(np.einsum("kii,kjj->kij", others, others))
    assert (np.abs(values - others) <= rtol * sizes).all()


# ---- one M-step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("equal_weights", [False, True])
def test_an_m_step_is_the_one_in_numpy(family, d, equal_weights):
    """To 1e-12: iterated laws end within 1e-12 in log volumes, and common axes within (3e-6)^2 =
    1e-11 radians, of which variances see the square."""
    for seed in range(3):
        moments, regularisation = (
            moments_of(d, seed),
            Regularisation(np.full(d, 1e-12), equal_weights=equal_weights),
        )
        first, theirs = (step(family, moments, regularisation) for step in (in_cpp, in_numpy))
        # Without previous axes the best of many starts is taken; d = 9 has minima that only
        # rounding tells apart.
        if not (family.name in ("EVE", "VVE") and d == 9):
            assert_alike(first, theirs, 1e-11 if family.name in ("EVE", "VVE") else 1e-12)
        after = moments_of(d, seed + 10)
        assert_alike(
            *(step(family, after, regularisation, theirs) for step in (in_cpp, in_numpy)),
            rtol=1e-11,
        )


FULL = [name for name in ALL_FAMILIES if FAMILIES[name].needs in (Scatter.DENSE, Scatter.TOTAL)]


@pytest.mark.parametrize("name", FULL)
def test_pseudo_rows_give_the_m_step_of_numpy(name):
    family = FAMILIES[name]
    for seed, times in ((0, 1e-12), (1, 2.0), (2, 10.0)):  # above the floor by the prior, and not
        moments, prior = moments_of(5, seed), pseudo_rows(7.0, np.arange(1.0, 6.0))
        regularisation = Regularisation(np.full(5, times), prior=prior)
        previous = in_numpy(family, moments_of(5, seed + 10), regularisation)
        ours, theirs = (
            step(family, moments, regularisation, previous) for step in (in_cpp, in_numpy)
        )
        if times < 1.0 or name not in (
            "EEV",
            "VEV",
        ):  # eigenvalues lifted to one value have no axes of their own
            assert_alike(ours, theirs, 1e-10)


def test_a_floor_that_is_reached_gives_the_m_step_of_numpy(family):
    moments = moments_of(3, 0)
    for times in (5.0, 50.0):
        regularisation = Regularisation(times * np.array([1.0, 4.0, 0.5]))
        previous = in_numpy(family, moments_of(3, 1), regularisation)
        ours, theirs = (
            step(family, moments, regularisation, previous) for step in (in_cpp, in_numpy)
        )
        if family.name not in (
            "EEV",
            "VEV",
        ):  # eigenvalues lifted to one value have no axes of their own
            assert_alike(ours, theirs, 1e-10)
        statistics = regularisation.statistics(moments.summarised(family.needs), family.shares_all)
        assert statistics.lifted
        assert statistics.fit(ours.covariance) == pytest.approx(
            statistics.fit(theirs.covariance), rel=1e-11
        )


@pytest.mark.parametrize("name", ["EEE", "VVV"])
def test_indefinite_moments_of_a_leap_give_the_m_step_of_numpy(name):
    moments = moments_of(5, 0)
    flat = np.ones((5, 5)) * 40.0
    moments = replace(moments, second=moments.second - flat)
    assert np.linalg.eigvalsh(moments.scatter).min() < -1.0
    regularisation = Regularisation(np.full(5, 1e-3))
    assert_alike(
        *(step(FAMILIES[name], moments, regularisation) for step in (in_cpp, in_numpy)), rtol=1e-10
    )


@pytest.mark.parametrize("name", ["VEI", "VEE", "EEV", "VEV"])
def test_a_floor_that_only_the_rows_of_one_component_reach_bends_nothing(name):
    """Its own scatter is flat, but what it shares with the others keeps its covariance above the
    floor.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((92, 3)) @ (rng.standard_normal((3, 3)) + 2.0 * np.eye(3))
    X[90:, 0] = 0.0
    moments = Moments.of(
        X,
        np.eye(3)[np.r_[np.zeros(50, int), np.ones(40, int), 2, 2]],
        np.zeros((3, 3)),
        Scatter.DENSE,
    )
    family, floor, none = (
        FAMILIES[name],
        Regularisation(np.full(3, 1e-3)),
        Regularisation(np.zeros(3)),
    )
    assert floor.statistics(moments.summarised(family.needs), False).lifted
    previous = in_numpy(family, moments_of(3, 1), floor)
    free = in_numpy(family, moments, none, previous)
    assert not floor.is_below_floor(free.covariance)
    for step in (in_cpp, in_numpy):
        assert_alike(step(family, moments, floor, previous), free, 1e-11)


@pytest.mark.parametrize("name", [name for name in ALL_FAMILIES if name not in ("EEV", "VEV")])
def test_an_empty_component_gives_the_m_step_of_numpy(name):
    """EEV and VEV are left out: a component without rows has no axes."""
    family = FAMILIES[name]
    moments = moments_of(2, 0)
    empty = np.array([1.0, 0.0, 1.0])
    moments = replace(
        moments,
        counts=moments.counts * empty,
        first=moments.first * empty[:, None],
        second=moments.second * empty[:, None, None],
    )
    regularisation = Regularisation(np.full(2, 1e-12))
    assert_alike(
        in_cpp(family, moments, regularisation), in_numpy(family, moments, regularisation), 1e-11
    )


def test_without_a_floor_both_name_the_collapsed_component(family):
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    labels = np.repeat([0, 1], 5)
    moments = Moments.of(X, np.eye(2)[labels], np.array([[0.0, 0.0], [1.0, 1.0]]), Scatter.DENSE)
    regularisation = Regularisation(np.zeros(2))
    with pytest.raises(CollapseError) as collapse:
        in_numpy(family, moments, regularisation)
    assert in_cpp(family, moments, regularisation) == collapse.value.component


# ---- eigenvalues ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12, 24])
def test_the_largest_real_part_is_lapacks(n):
    rng = np.random.default_rng(n)
    for scale in (1.0, 1e-3):
        for _ in range(20):
            H = np.triu(rng.standard_normal((n, n)), -1) * scale + 0.5 * np.eye(n)
            # Eigenvalues of a matrix that is not normal move by more than rounding: 1e-9 of their
            # size.
            assert native.largest_real_part(H) == pytest.approx(
                np.linalg.eigvals(H).real.max(), rel=1e-9
            )


def test_a_rotation_cycles_without_its_exceptional_shift():
    cycle = np.roll(np.eye(4), 1, axis=0)
    assert native.largest_real_part(np.ascontiguousarray(cycle)) == pytest.approx(1.0, rel=1e-12)


# ---- whole runs ----------------------------------------------------------------------------------


def groups(d: int) -> np.ndarray:
    rng = np.random.default_rng(d)
    mixing = rng.standard_normal((d, d)) + np.eye(d)
    parts = (
        rng.standard_normal((150, d)) @ mixing,
        rng.standard_normal((150, d)) * 2 + 3,
        rng.standard_normal((100, d)) * 0.5 - 2,
    )
    return np.concatenate(parts)


@pytest.mark.parametrize("d", [1, 2, 4, 6])
@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("kind", ["plain", "weighted", "float32"])
def test_both_loops_take_the_same_steps(family, d, accelerated, kind):
    """The trace agrees to 1e-12 over 25 iterations; with extrapolation to 1e-10: a quotient of
    small differences sets their length.
    """
    X = groups(d).astype(np.float32 if kind == "float32" else np.float64)
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(X)) if kind == "weighted" else None
    data = dataset(X, weights)
    start = KMeansStart()(data, 3, np.random.default_rng(1))
    settings = (
        Problem(data, family, Regularisation(data.floor)),
        start,
        SmallChange(0.0),
        accelerated,
        lambda: False,
    )
    ours, theirs = native_loop(*settings), python_loop(*settings)
    assert ours is not None
    assert ours.iterate(25, 1000) is theirs.iterate(25, 1000)
    assert ours.n_iter == theirs.n_iter == 25
    np.testing.assert_allclose(ours.trace, theirs.trace, rtol=1e-10 if accelerated else 1e-12)
    np.testing.assert_allclose(ours.sums, theirs.sums, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["VEE", "EVE", "VVE", "EEV", "VEV", "VVV"])
def test_both_loops_take_the_same_steps_in_wide_data(name):
    data = dataset(groups(16))
    start = KMeansStart()(data, 3, np.random.default_rng(1))
    settings = (
        Problem(data, FAMILIES[name], Regularisation(data.floor)),
        start,
        SmallChange(0.0),
        False,
        lambda: False,
    )
    ours, theirs = native_loop(*settings), python_loop(*settings)
    assert ours.iterate(6, 1000) is theirs.iterate(6, 1000)
    np.testing.assert_allclose(ours.trace, theirs.trace, rtol=1e-11)
    assert (np.diff(ours.trace) >= 0).all()


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("name", FULL)
def test_both_loops_take_the_same_steps_with_pseudo_rows(name, accelerated):
    data = dataset(groups(6)[::10])
    start = KMeansStart()(data, 3, np.random.default_rng(1))
    regularisation = Regularisation(data.floor, prior=pseudo_rows(9.0, data.scale))
    settings = (
        Problem(data, FAMILIES[name], regularisation),
        start,
        SmallChange(0.0),
        accelerated,
        lambda: False,
    )
    ours, theirs = native_loop(*settings), python_loop(*settings)
    assert ours.iterate(12, 1000) is theirs.iterate(12, 1000)
    np.testing.assert_allclose(ours.trace, theirs.trace, rtol=1e-10)
    if not accelerated:
        assert ours.slowest_rate() == pytest.approx(theirs.slowest_rate(), abs=1e-3)


def test_both_loops_measure_the_same_rate(family):
    data = dataset(two_groups(300, 2, apart=2.0))
    start = KMeansStart()(data, 2, np.random.default_rng(1))
    settings = (
        Problem(data, family, Regularisation(data.floor)),
        start,
        SmallChange(0.0),
        False,
        lambda: False,
    )
    loops = native_loop(*settings), python_loop(*settings)
    for loop in loops:
        loop.iterate(15, 1000)
    ours, theirs = (loop.slowest_rate() for loop in loops)
    # Arnoldi ends when its estimate has settled to 5 % of the distance from one, and finite
    # differences carry 1e-11 / 1e-5.
    assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("accelerated", [False, True])
def test_after_a_check_both_loops_extrapolate_in_the_directions_that_were_seen(accelerated):
    data = dataset(two_groups(300, 2, apart=2.0))
    start = KMeansStart()(data, 2, np.random.default_rng(1))
    regularisation = Regularisation(data.floor)
    optimum = em(
        Problem(data, FAMILIES["VVV"], regularisation),
        start,
        stopping=RemainingGain(1e-9),
        max_iter=20_000,
        accelerated=True,
    )
    settings = (
        Problem(data, FAMILIES["VVV"], regularisation),
        start,
        RemainingGain(0.1),
        False,
        lambda: False,
    )
    plain, *loops = (
        native_loop(*settings),
        *(make(*settings[:3], accelerated, settings[4]) for make in (native_loop, python_loop)),
    )
    left = []
    for loop in (plain, *loops):
        assert loop.iterate(1000, 0) is LoopEvent.CHECK
        assert 0.5 < loop.slowest_rate() < 1.0
        loop.iterate(1, 1000)
        left.append(optimum.trace[-1] - loop.objective)
    if accelerated:
        assert left[1] == pytest.approx(left[2], rel=1e-2, abs=1e-9)
        assert left[1] < 0.1 * left[0]
    else:
        assert left[1] == left[0]


@pytest.mark.parametrize(
    "stopping",
    [RemainingGain(), SmallChange(1e-5), SmallGain(0.05)],
    ids=lambda rule: type(rule).__name__,
)
@pytest.mark.parametrize("accelerated", [False, True])
def test_both_loops_end_for_the_same_reason(family, stopping, accelerated, monkeypatch, faithful):
    data = dataset(faithful)
    start = KMeansStart()(data, 3, np.random.default_rng(2))

    def fit():
        return em(
            Problem(data, family, Regularisation(data.floor)),
            start,
            stopping=stopping,
            max_iter=3000,
            accelerated=accelerated,
        )

    ours = fit()
    monkeypatch.setattr(em_module, "native_loop", lambda *_: None)
    theirs = fit()
    assert ours.stop is theirs.stop
    assert ours.n_iter == theirs.n_iter
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood, abs=1e-6)
    assert ours.trace[:10] == pytest.approx(theirs.trace[:10], rel=1e-12)


def test_an_iteration_at_a_time_gives_the_same_bits_and_a_callback_sees_each(faithful):
    data = dataset(faithful)
    start = RandomResponsibilities()(data, 3, np.random.default_rng(0))
    seen = []
    settings = (Problem(data, FAMILIES["VVV"], Regularisation(data.floor)), start)
    watched = em(*settings, accelerated=True, callback=seen.append)
    alone = em(*settings, accelerated=True)
    assert watched.trace == alone.trace
    assert [iteration.number for iteration in seen] == list(range(1, alone.n_iter + 1))
    assert tuple(iteration.log_likelihood for iteration in seen) == alone.trace[1:]
    np.testing.assert_array_equal(seen[-1].mixture.means, alone.mixture.means)


def test_a_fit_goes_on_where_it_ended_with_the_same_bits(faithful):
    data = dataset(faithful)
    start = RandomResponsibilities()(data, 3, np.random.default_rng(0))
    problem = Problem(data, FAMILIES["VVE"], Regularisation(data.floor))
    whole = em(problem, start, stopping=SmallChange(0.0), max_iter=30)
    half = em(problem, start, stopping=SmallChange(0.0), max_iter=12)
    rest = em(problem, half, stopping=SmallChange(0.0), max_iter=18)
    assert rest.trace == whole.trace


def test_somebody_else_can_end_it():
    X = np.random.default_rng(0).standard_normal((4000, 4))
    data = dataset(X)
    start = RandomResponsibilities()(data, 8, np.random.default_rng(0))
    called_off = threading.Event()
    threading.Timer(0.3, called_off.set).start()
    fit = em(
        Problem(data, FAMILIES["VVV"], Regularisation(data.floor)),
        start,
        stopping=SmallGain(-1.0),
        max_iter=10**9,
        stopped=called_off.is_set,
    )
    assert fit.stop is StopReason.INTERRUPTED
    assert len(fit.trace) == fit.n_iter + 1
    assert fit.n_iter > 1


@pytest.mark.parametrize(
    "settings",
    [{"ridge": 0.1}, {"eigenvalue_ratio": 4.0}],
    ids=["ridge", "ratio"],
)
def test_what_cpp_does_not_know_python_does(settings, faithful):
    data = dataset(faithful)
    start = KMeansStart()(data, 2, np.random.default_rng(0))
    loop = native_loop(
        Problem(data, FAMILIES["VVV"], Regularisation(data.floor, **settings)),
        start,
        RemainingGain(),
        False,
        lambda: False,
    )
    assert loop is None


def test_a_family_of_somebody_else_runs_on_its_own_m_step(faithful):
    class Swollen(VVI):
        def estimate(self, statistics, previous):
            form = super().estimate(statistics, previous)
            return replace(form, values=form.values * 1.1)

    data = dataset(faithful)
    start = KMeansStart()(data, 2, np.random.default_rng(0))
    problem = Problem(data, Swollen(), Regularisation(data.floor))
    assert native_loop(problem, start, SmallChange(0.0), False, lambda: False) is None
    fit = em(problem, start, max_iter=1, stopping=SmallChange(0.0))
    plain = em(Problem(data, FAMILIES["VVI"], Regularisation(data.floor)), start, max_iter=0)
    assert fit.trace[0] < plain.trace[0]
