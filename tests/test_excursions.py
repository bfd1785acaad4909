"""Excursions in C++ against the same in Python: where a move leads, how far it is followed, what is said of its end."""

from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest

from conftest import ALL_FAMILIES, survey
from mixtura import excursions as module
from mixtura.arrivals import Departure, Joined, flat_arrivals, moments_after
from mixtura.degeneracy import degenerate_components, surely_degenerate
from mixtura.em import em
from mixtura.excursions import FIRST_STEPS, Excursion, excursions
from mixtura.extension import extension
from mixtura.families import FAMILIES
from mixtura.initialisers import KMeansStart
from mixtura.moves import MOVES
from mixtura.native_walk import mixture_from, unbegun
from mixtura.regularisation import Regularisation
from mixtura.results import FitResult, StopReason
from mixtura.runs import Plan, Runs
from mixtura.start_report import RunEnd
from mixtura.stopping import RemainingGain, SmallGain
from mixtura.view import View

native = pytest.mark.skipif(extension is None, reason="built without a C++ compiler")


def fitted(X, K, family="VVV", weights=None, backend="auto", accelerated=True) -> tuple[View, Runs, FitResult]:
    data = survey(X, weights, backend)
    regularisation = Regularisation(data.scale)
    start = KMeansStart()(data, K, np.random.default_rng(0))
    fit = em(data, start, FAMILIES[family], regularisation)
    plan = Plan(RemainingGain(), 2000, screened=True, accelerated=accelerated)
    fewest, narrowest = surely_degenerate(FAMILIES[family], regularisation, data)
    view = View.of(data, fit.mixture, fewest=fewest, narrowest=narrowest)
    return view, Runs(data, FAMILIES[family], regularisation, plan, threading.Event()), fit


def departures(view: View, name: str, n: int) -> list[Departure]:
    rng = np.random.default_rng(0)
    drawn = (MOVES[name][0](view, rng) for _ in range(5 * n))
    return list(islice((departure for departure in drawn if departure is not None and moments_after(view, departure)), n))


@native
@pytest.mark.parametrize("family", ["EII", "VVI", "EEE", "VVV"])  # one for each kind of scatter
@pytest.mark.parametrize("name", list(MOVES))
def test_a_move_leads_to_the_same_mixture_in_both_languages(faithful, name, family):
    weights = np.random.default_rng(1).integers(0, 4, len(faithful)).astype(float)
    view, runs, _ = fitted(faithful, 4, family, weights)
    moved = departures(view, name, 10)
    assert moved
    for departure in moved:
        walk = unbegun(runs.survey, 4, runs.family, runs.regularisation, SmallGain(0.01), False)
        assert walk is not None
        assert walk.begin_with_departure(view.native, departure.gone, *flat_arrivals(departure, 2))
        ours = mixture_from(walk.mixture())
        theirs = em(runs.survey, moments_after(view, departure), runs.family, runs.regularisation, max_iter=0).mixture
        # sums of at most 272 products in another order, and matrices of a condition of about 1e3
        np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-12)
        np.testing.assert_allclose(ours.means, theirs.means, rtol=1e-11)
        np.testing.assert_allclose(ours.covariance.dense(), theirs.covariance.dense(), rtol=1e-9, atol=1e-11)


@native
@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_an_excursion_ends_at_the_same_optimum_in_both_languages(faithful, family, monkeypatch):
    view, runs, fit = fitted(faithful, 3, family, accelerated=False)  # leaps may end at two places of one plateau
    moved = [("swap", departure) for departure in departures(view, "swap", 12)]
    one_call = excursions(runs, view, moved, fit.trace[-1])
    monkeypatch.setattr(module, "_in_one_call", lambda *_: None)
    run_by_run = excursions(runs, view, moved, fit.trace[-1])
    both = [pair for pair in zip(one_call, run_by_run, strict=True) if all(each.stop is StopReason.OUTRUN for each in pair)]
    assert len(both) >= 3
    for ours, theirs in both:
        assert ours.level == pytest.approx(theirs.level, abs=0.01)  # each may have that left to gain
        assert ours.fit().trace[-1] == ours.level
    assert sum(ours.followed == theirs.followed for ours, theirs in zip(one_call, run_by_run, strict=True)) >= 10


@native
def test_a_run_without_hope_is_left_after_its_first_steps(faithful):
    view, runs, fit = fitted(faithful, 3)
    moved = [("scatter", departure) for departure in departures(view, "scatter", 5)]
    for ended in excursions(runs, view, moved, fit.trace[-1] + 1e6):
        assert not ended.followed
        assert ended.n_iter <= FIRST_STEPS
        assert runs.end_of(ended, ended.followed) is RunEnd.DROPPED


@native
@pytest.mark.parametrize("family", ["VVV", "VVI", "VII", "EVE"])
def test_what_is_surely_degenerate_is_degenerate_by_the_rule(faithful, family):
    rounded = np.round(faithful * [2.0, 0.25])
    view, runs, fit = fitted(rounded, 6, family)
    moved = [(name, departure) for name in MOVES for departure in departures(view, name, 20)]
    sure = [ended for ended in excursions(runs, view, moved, fit.trace[-1]) if ended.degenerate]
    assert sure or family == "EVE"
    for ended in sure:
        assert degenerate_components(ended.fit().mixture, runs.family, runs.regularisation, runs.survey)


def test_rows_with_weights_are_not_counted_as_distinct_ones(faithful):
    free = Regularisation(np.ones(2), floor=0.0)
    assert surely_degenerate(FAMILIES["VVV"], free, survey(faithful))[0] == 3
    assert surely_degenerate(FAMILIES["VVV"], free, survey(faithful, np.full(len(faithful), 0.1)))[0] == 0
    assert surely_degenerate(FAMILIES["EEE"], free, survey(faithful)) == (0, 0)


def test_the_reference_backend_makes_excursions_run_by_run(faithful):
    view, runs, fit = fitted(faithful[::4], 2, backend="reference")
    moved = [("recut", departure) for departure in departures(view, "recut", 3)]
    ends = excursions(runs, view, [*moved, ("split", None)], fit.trace[-1])
    assert all(ended.n_iter > 0 for ended in ends[:-1])
    assert runs.end_of(ends[-1], followed=False) is RunEnd.FAILED
    with pytest.raises(ValueError, match="the move leads nowhere"):
        ends[-1].fit()


@native
def test_an_excursion_that_is_called_off_says_so(faithful):
    view, runs, fit = fitted(np.tile(faithful, (3000, 1)), 3)  # an iteration takes longer than the 30 ms between two questions
    moved = departures(view, "swap", 1)[0]
    runs.stopped.set()
    (ended,) = excursions(runs, view, [("swap", moved)], fit.trace[-1])
    assert isinstance(ended, Excursion)
    assert ended.stop is StopReason.INTERRUPTED


@native
def test_the_extension_refuses_rows_and_components_that_are_not_there(faithful):
    view, runs, _ = fitted(faithful, 3)
    walk = unbegun(runs.survey, 3, runs.family, runs.regularisation, SmallGain(0.01), False)
    table, *parts = flat_arrivals(Departure("reorder", (0, 1), (Joined(0, 1),)), 2)
    assert table.shape == (1, 5)
    table[0, 2] = 3
    with pytest.raises(ValueError, match="there is no such component"):
        walk.begin_with_departure(view.native, (0, 1), table, *parts)
