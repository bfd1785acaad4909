"""Many starts: the best wins, a failing one is a row, and neither workers nor rounding decide."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from conftest import survey, two_groups
from mixtura.errors import CollapseError
from mixtura.families import FAMILIES
from mixtura.initialisers import FromLabels, KMeansStart, RandomRows
from mixtura.regularisation import Regularisation
from mixtura.results import FailedStart, FitResult, StopReason
from mixtura.runs import FIRST_LOOK, Plan, in_parallel
from mixtura.search import DEFAULT_STARTS, draw_starts, search
from mixtura.stopping import RemainingGain


def run(X, starts, family="VVV", floor=1e-12, **plan):
    data = survey(X)
    settings = Plan(**{"stopping": RemainingGain(), "max_iter": 500, "screened": False, **plan})
    return search(data, starts, FAMILIES[family], Regularisation(data.scale, floor=floor), settings)


def starts_for(X, K, n=8, kinds=DEFAULT_STARTS):
    return draw_starts([kinds[i % len(kinds)] for i in range(n)], survey(X), K, np.random.SeedSequence(0))


def test_the_best_start_wins(faithful):
    found = run(faithful, starts_for(faithful, 3, kinds=(RandomRows(),)))
    levels = [fit.trace[-1] for fit in found.fits if isinstance(fit, FitResult) and not fit.degenerate]
    assert len(levels) > 2
    assert found.best.trace[-1] > max(levels) - 0.01


@pytest.mark.parametrize("screened", [False, True])
def test_the_number_of_workers_changes_nothing(faithful, screened):
    runs = [run(faithful, starts_for(faithful, 4), screened=screened, workers=workers) for workers in (1, 2, 5)]
    assert len({one.best.trace for one in runs}) == 1


def test_a_failing_start_never_loses_the_others():
    X = two_groups(60)
    singleton = np.zeros(60, dtype=int)
    singleton[0] = 1
    good = np.repeat([0, 1], 30)
    data = survey(X)
    starts = [FromLabels(labels)(data, 2, np.random.default_rng(0)) for labels in (singleton, good)]
    found = run(X, starts, floor=0.0)
    assert isinstance(found.fits[0], FailedStart)
    assert "ill-defined" in found.fits[0].reason
    assert found.best is found.fits[1]
    with pytest.raises(CollapseError):
        run(X, starts[:1], floor=0.0)


def test_a_degenerate_fit_never_wins_however_likely():
    X = np.concatenate([two_groups(100), [[20.0, 0.0], [20.0, 0.0]]])
    spike = np.r_[np.zeros(100, dtype=int), 1, 1]
    good = np.r_[np.repeat([0, 1], 50), 1, 1]
    data = survey(X)
    found = run(X, [FromLabels(labels)(data, 2, np.random.default_rng(0)) for labels in (spike, good)])
    likely, sound = found.fits
    assert likely.degenerate
    assert not sound.degenerate
    assert likely.log_likelihood > sound.log_likelihood
    assert found.best is sound


def test_screening_finds_what_full_runs_find(faithful):
    starts = starts_for(faithful, 3)
    assert run(faithful, starts, "EEE", screened=True).best.log_likelihood == pytest.approx(
        run(faithful, starts, "EEE").best.log_likelihood, abs=0.01
    )


def test_one_component_needs_one_start(faithful):
    assert len(draw_starts(DEFAULT_STARTS, survey(faithful), 1, np.random.SeedSequence(0))) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupt_keeps_the_best_so_far(faithful, workers):
    seen = []

    def stop(iteration):
        seen.append(iteration)
        if len(seen) == 60:
            raise KeyboardInterrupt

    found = run(faithful, starts_for(faithful, 3), callback=stop, workers=workers)
    assert any(isinstance(fit, FitResult) and fit.stop is StopReason.INTERRUPTED for fit in found.fits)
    assert np.isfinite(found.best.log_likelihood)


def test_an_interrupt_before_any_mixture_is_passed_on(faithful):
    class Stopping(KMeansStart):
        def __call__(self, survey, K, rng):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_starts([Stopping()], survey(faithful), 2, np.random.SeedSequence(0))


def test_a_signal_reaches_a_search_whose_workers_are_busy(tmp_path):
    import subprocess
    import sys

    script = (
        "import os, signal, threading, warnings, numpy as np\n"
        "warnings.simplefilter('ignore')\n"
        "from mixtura import GaussianMixture\n"
        "X = np.random.default_rng(0).standard_normal((60_000, 4))\n"
        "started = threading.Event()\n"
        "def callback(iteration):\n"
        "    if iteration.number == 5: started.set()\n"
        "def interrupt():\n"
        "    started.wait()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "g = GaussianMixture(6, random_state=0, n_threads=2, max_iter=10**6, tol=1e-14, callback=callback).fit(X)\n"
        "print(g.stop_reason_)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert run.stdout.strip() == StopReason.INTERRUPTED.value, run.stderr


def test_ctrl_c_while_work_is_still_handed_out_stops_the_workers():
    stopped, handed_out = threading.Event(), []

    class Interrupting(list):
        def __getitem__(self, i):
            handed_out.append(i)
            if handed_out == [0, 1]:
                raise KeyboardInterrupt
            return super().__getitem__(i)

    def work(item):
        return stopped.wait(30)

    assert in_parallel(work, Interrupting(range(4)), 2, stopped) == [True] * 4
    assert handed_out == [0, 1, 1, 2, 3]


def test_what_is_called_off_between_two_looks_keeps_the_first(faithful):
    """The event is set while the second look begins: none of its runs gives anything, and those of the first look stay."""
    stopped = threading.Event()

    class Counting(threading.Event):
        def is_set(self) -> bool:
            return stopped.is_set()

    def callback(iteration):
        if iteration.number == FIRST_LOOK + 1:
            stopped.set()
            raise KeyboardInterrupt

    data = survey(faithful)
    settings = Plan(RemainingGain(), 500, screened=True, callback=callback)
    found = search(data, starts_for(faithful, 4), FAMILIES["VVV"], Regularisation(data.scale), settings, Counting())
    assert found.best.stop is StopReason.INTERRUPTED
    assert sum(isinstance(fit, FitResult) for fit in found.fits) == len(found.fits)
