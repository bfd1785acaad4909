"""The search: nothing better is withheld, nothing is lost, and workers change no bit."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris

from conftest import dataset, two_groups
from mixtura import GaussianMixture
from mixtura.base.errors import CollapseError
from mixtura.data.dataset import MOST_SHARED
from mixtura.data.problem import Problem
from mixtura.em.certification import certified
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import KMeansStart
from mixtura.model.fit_result import FailedStart, FitResult, StopReason
from mixtura.model.regularisation import Regularisation
from mixtura.model.start_report import RunEnd
from mixtura.search.budget import Budget, Plan
from mixtura.search.local_search import MOST_ROUNDS, PROPOSALS_AT_ONCE, SMALLER
from mixtura.search.outcome import start_report
from mixtura.search.search import search
from mixtura.search.split_merge import CUTS, GROUPS, LONGEST, PERTURBED
from mixtura.search.starts import named_starts, usual_starts

VVV = FAMILIES["VVV"]


def seed() -> np.random.SeedSequence:
    """One that nobody has drawn from yet."""
    return np.random.SeedSequence(1)


def planned(**settings) -> Plan:
    return Plan(
        **{
            "stopping": RemainingGain(),
            "max_iter": 1000,
            "screened": True,
            "accelerated": True,
            **settings,
        }
    )


def searched(X, K, weights=None, floor=None, starts=None, stopped=None, **settings):
    data = dataset(X, weights)
    named = named_starts(usual_starts(), data, K, seed())
    names, begins = [name for name, _ in named], [start for _, start in named]
    regularisation = Regularisation(data.floor if floor is None else floor)
    return search(
        Problem(data, VVV, regularisation),
        starts or begins,
        planned(**settings),
        stopped,
        seed(),
        names,
    ), data


def groups(number: int = 0) -> np.ndarray:
    rng = np.random.default_rng(number)
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [3.0, 3.0]])
    return np.repeat(centres, 50, axis=0) + rng.standard_normal((200, 2))


# ---- nothing better is withheld ------------------------------------------------------------------


CASES = {
    "iris": (lambda: load_iris().data, 3),
    "groups": (groups, 4),
    "too many": (lambda: two_groups(120), 5),
    "noise": (lambda: np.random.default_rng(0).standard_normal((80, 3)), 3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("budget", [None, Budget()], ids=["starts", "local search"])
def test_no_answer_with_a_higher_score_was_seen(case, budget):
    make, K = CASES[case]
    found, _ = searched(make(), K, budget=budget)
    judged = [fit for fit in found.fits if isinstance(fit, FitResult) and fit.soundness is not None]
    assert found.best.is_valid
    # The earlier of two fits at the same optimum, within a hundredth, wins.
    assert found.best.score >= max(fit.score for fit in judged if fit.is_valid) - 0.01
    assert any(fit.mixture is found.best.mixture for fit in judged)


def test_a_local_search_loses_nothing():
    for case in ("iris", "groups"):
        make, K = CASES[case]
        short, _ = searched(make(), K)
        long, _ = searched(make(), K, budget=Budget())
        assert long.best.score >= short.best.score - 0.01


def test_the_best_one_is_followed_to_its_end():
    found, data = searched(groups(), 4, budget=Budget())
    assert found.best.stop is StopReason.CONVERGED
    assert certified(found.best, Problem(data, VVV, Regularisation(data.floor))).certificate.holds


# ---- nothing is lost -----------------------------------------------------------------------------


def test_a_start_that_fails_never_loses_the_others():
    X = two_groups(100)
    data = dataset(X)
    bad = KMeansStart()(dataset(np.repeat(X[:2], 50, axis=0)), 2, np.random.default_rng(0))
    good = KMeansStart()(data, 2, np.random.default_rng(0))
    for starts in ([bad, good], [good, bad], [bad, bad, good]):
        for screened in (True, False):
            found, _ = searched(X, 2, floor=np.zeros(2), starts=starts, screened=screened)
            assert found.best.is_valid
            failed = [i for i, fit in enumerate(found.fits) if isinstance(fit, FailedStart)]
            assert failed == [i for i, start in enumerate(starts) if start is bad]
            assert all("singular" in found.fits[i].reason for i in failed)
            assert [run.end for run in found.runs][failed[0]] is RunEnd.FAILED
    with pytest.raises(CollapseError):
        searched(X, 2, floor=np.zeros(2), starts=[bad, bad])


# ---- the same bits -------------------------------------------------------------------------------


def test_workers_and_repeated_calls_change_no_bit():
    X = groups()
    (one, _), (again, _), (two, _) = (
        searched(X, 4, budget=Budget(), workers=workers) for workers in (1, 1, 2)
    )
    for other in (again, two):
        assert other.best.trace == one.best.trace
        np.testing.assert_array_equal(other.best.mixture.means, one.best.mixture.means)
        assert repr(other.runs) == repr(one.runs)


def test_threads_of_a_fit_change_no_bit():
    X = groups()
    one, two = (GaussianMixture(4, random_state=3, n_threads=threads).fit(X) for threads in (1, 2))
    assert one.result_.trace == two.result_.trace
    assert one.start_report_.document() == two.start_report_.document()


def test_a_weight_of_two_leads_to_the_optimum_of_repeated_rows():
    X = groups()
    weighted, _ = searched(X, 4, np.full(len(X), 2.0), floor=np.full(2, 1e-12))
    repeated, _ = searched(np.repeat(X, 2, axis=0), 4, floor=np.full(2, 1e-12))
    assert weighted.best.score == pytest.approx(
        repeated.best.score, abs=0.02
    )  # two ends at one optimum


# ---- ended before its end ------------------------------------------------------------------------


def test_somebody_else_may_end_it_and_the_best_so_far_is_kept():
    stopped, seen = threading.Event(), []

    def callback(iteration):
        seen.append(iteration.log_likelihood)
        if len(seen) == 40:
            stopped.set()

    found, _ = searched(groups(), 4, budget=Budget(), callback=callback, stopped=stopped)
    assert found.best.stop is StopReason.INTERRUPTED
    fitted = [fit for fit in found.fits if isinstance(fit, FitResult)]
    assert all(fit.soundness is not None for fit in fitted)
    assert found.best.score >= max(fit.score for fit in fitted if fit.is_valid) - 0.01
    assert not any(run.proposed for run in found.runs)


def test_an_interrupt_keeps_the_best_so_far_and_one_before_the_first_mixture_is_passed_on():
    calls = []

    def callback(iteration):
        calls.append(iteration)
        if len(calls) == 25:
            raise KeyboardInterrupt

    found, _ = searched(groups(), 4, budget=Budget(), callback=callback)
    assert found.best.stop is StopReason.INTERRUPTED
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(KeyboardInterrupt):
        searched(groups(), 4, stopped=stopped)


# ---- what it costs -------------------------------------------------------------------------------


def most_runs(n_starts: int, K: int, d: int) -> int:
    """Starts, and in each round every way to weigh anew and to split a component of each smaller
    optimum.
    """
    splits = min(LONGEST, d) * len(CUTS) + GROUPS + MOST_SHARED
    return n_starts + MOST_ROUNDS * (PERTURBED + SMALLER * (K - 1) * splits)


@pytest.mark.parametrize("case", CASES)
def test_runs_are_no_more_than_starts_and_the_proposals_of_all_rounds(case):
    make, K = CASES[case]
    X = make()
    found, data = searched(X, K, budget=Budget(least=np.inf))
    n_starts = sum(not run.proposed for run in found.runs)
    assert n_starts == len(named_starts(usual_starts(), data, K, seed()))
    assert n_starts < len(found.runs) <= most_runs(n_starts, K, X.shape[1])


def test_a_time_limit_of_nothing_leaves_the_starts():
    found, _ = searched(groups(), 4, budget=Budget(seconds=0.0))
    assert not any(run.proposed for run in found.runs)
    assert found.best.stop is StopReason.CONVERGED


def test_a_time_limit_ends_the_local_search_of_a_fit(monkeypatch):
    """The clock goes on by a second whenever it is read: after three looks all is spent."""
    ticks = iter(range(10**6))
    monkeypatch.setattr("mixtura.search.local_search.monotonic", lambda: float(next(ticks)))
    X = groups()
    limited = GaussianMixture(7, random_state=0, time_limit=3.0).fit(X)
    monkeypatch.undo()
    free = GaussianMixture(7, random_state=0).fit(X)
    assert (
        0
        < limited.start_report_.n_proposals
        <= 3 * PROPOSALS_AT_ONCE
        < free.start_report_.n_proposals
    )
    assert limited.converged_
    assert limited.result_.score <= free.result_.score + 0.01


# ---- the report ----------------------------------------------------------------------------------


def test_the_report_counts_what_its_runs_say():
    found, data = searched(groups(), 4, budget=Budget())
    report = start_report(found, data, 200)
    starts = [run for run in found.runs if not run.proposed]
    assert report.n_starts == len(starts)
    assert report.n_starts + report.n_proposals == len(found.runs)
    assert sum(report.ends.values()) == report.n_starts
    best = report.optima[0]
    assert best.score == pytest.approx(found.best.score)
    assert best.gap == 0.0
    assert best.agreement == 1.0
    near = [
        run
        for run in found.runs
        if run.end is RunEnd.REACHED and abs(run.level - best.log_likelihood) <= report.same
    ]
    assert best.n_starts + best.n_proposals == len(near)
    assert [optimum.score for optimum in report.optima] == sorted(
        (o.score for o in report.optima), reverse=True
    )
    assert all(optimum.score <= optimum.log_likelihood for optimum in report.optima)


def test_a_move_is_told_from_a_start():
    found, data = searched(groups(), 4, budget=Budget())
    report = start_report(found, data, 200)
    kinds = {run.kind for run in found.runs if run.proposed}
    assert kinds <= {"perturbed", "halves", "group", "value", "swap"}
    assert f"of {report.n_proposals} proposals" in report.sentence
    assert start_report(replace(found, runs=()), data, 200).n_starts == 0


def test_every_optimum_of_a_report_but_the_best_was_reached_by_a_run(faithful):
    report = GaussianMixture(4, random_state=0).fit(faithful).start_report_
    assert len(report.optima) > 1
    assert all(optimum.n_starts + optimum.n_proposals > 0 for optimum in report.optima[1:])
