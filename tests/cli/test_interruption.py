"""Ctrl-C, SIGTERM and a time limit: the best so far is kept, and the cause is printed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from test_cli import FAITHFUL, table

from mixtura.base.interrupts import SignalHandler
from mixtura.cli import RESULT_FILES, main
from mixtura.estimators.model_file import load_model
from mixtura.selection.settings import selection_of

GRID = ("--components", "2:4", "--families", "EII,EEE", "--threads", "1")
DATA_FILES = {"memberships.csv", "model.safetensors", "candidates.csv", "criteria.csv"}


def let_time_limit_pass() -> None:
    """The time limit of the running command passes now."""
    handler = signal.getsignal(signal.SIGTERM)
    assert isinstance(handler, SignalHandler)
    handler.stop_timer()
    handler.start_timer(0.001)
    while handler.cause is None:
        time.sleep(0.001)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


class Way(NamedTuple):
    """Something that ends a command, and what the command then says."""

    end: Callable[[], None]
    options: list[str]
    code: int
    name: str
    words: str


WAYS = pytest.mark.parametrize(
    "way",
    [
        Way(press, [], 130, "Ctrl-C", "Interrupted by Ctrl-C; the results until then are kept."),
        Way(
            terminate,
            [],
            143,
            "SIGTERM",
            "Interrupted by SIGTERM; the results until then are kept.",
        ),
        Way(
            let_time_limit_pass,
            ["--time-limit", "1000"],
            0,
            "the time limit",
            "Time limit of 1000 s reached; the results until then are kept.",
        ),
    ],
    ids=lambda way: way.name,
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def after_the_first_candidate(monkeypatch) -> Callable[[Callable[[], None]], None]:
    """Makes something happen once a selection has its first candidate."""

    def happens(what: Callable[[], None]) -> None:
        def watched(settings, ks, families, dataset, callback, on_fold):
            seen: list[object] = []

            def watching(candidate):
                callback(candidate)
                seen.append(candidate)
                if len(seen) == 1:
                    what()

            return selection_of(settings, ks, families, dataset, watching, on_fold)

        monkeypatch.setattr("mixtura.selection.settings.selection_of", watched)

    return happens


@WAYS
def test_a_fit_keeps_the_best_so_far_and_says_what_ended_it(
    here, capsys, after_the_first_candidate, way
):
    after_the_first_candidate(way.end)
    assert main(["fit", FAITHFUL, *GRID, *way.options]) == way.code
    assert way.words in capsys.readouterr().out
    assert {path.name for path in Path("old_faithful.mixtura").iterdir()} == set(RESULT_FILES)
    assert load_model("old_faithful.mixtura/model.safetensors").metadata["interrupted"] is True


@WAYS
def test_json_says_what_ended_a_fit_and_is_alone_on_stdout(
    here, capsys, after_the_first_candidate, way
):
    after_the_first_candidate(way.end)
    further = ["--bootstrap", "3", "--errors", "information", "--json"]
    assert main(["fit", FAITHFUL, *GRID, *way.options, *further]) == way.code
    document = json.loads(capsys.readouterr().out)
    assert (document["interrupted"], document["interrupted_by"]) == (True, way.name)
    assert document["bootstrap"] == {"refused": f"not computed after {way.name}"}
    assert document["errors"]["refused"] == f"not computed after {way.name}"


def test_a_time_limit_that_is_not_reached_changes_nothing(here, capsys):
    assert main(["fit", FAITHFUL, *GRID, "--time-limit", "1000", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["interrupted"], document["interrupted_by"], document["time_limit"]) == (
        False,
        None,
        1000,
    )


def test_a_time_limit_before_any_result_is_an_error_that_says_what_to_do(here, capsys, monkeypatch):
    monkeypatch.setattr("mixtura.selection.settings.selection_of", lambda *_: let_time_limit_pass())
    assert main(["fit", FAITHFUL, "--time-limit", "1000"]) == 1
    err = capsys.readouterr().err
    assert (
        "the time limit of 1000 s passed before there was a result, so nothing was written. Give "
        "more time, or reduce the work" in err
    )
    assert list(here.iterdir()) == []


def test_sigterm_before_any_result_writes_nothing(here, capsys, monkeypatch):
    monkeypatch.setattr("mixtura.selection.settings.selection_of", lambda *_, **__: terminate())
    assert main(["fit", FAITHFUL]) == 143
    assert (
        "mixtura: ended by SIGTERM before there was a result; nothing was written."
        in capsys.readouterr().err
    )
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_is_a_positive_number(here, capsys, limit):
    assert main(["fit", FAITHFUL, "--time-limit", limit]) == 2
    assert "--time-limit" in capsys.readouterr().err


@pytest.mark.parametrize("first", [None, terminate])
def test_a_signal_while_pictures_are_drawn_leaves_the_data(
    here, capsys, monkeypatch, after_the_first_candidate, first
):
    if first is not None:
        after_the_first_candidate(first)
    monkeypatch.setattr("mixtura.plots.plot_mixture", lambda *_, **__: press())
    assert main(["fit", FAITHFUL, *GRID, "--json"]) == (143 if first else 130)
    document = json.loads(capsys.readouterr().out)
    assert document["interrupted"]
    assert {Path(name).name for name in document["files"]} == {
        path.name for path in Path("old_faithful.mixtura").iterdir()
    }
    assert {path.name for path in Path("old_faithful.mixtura").iterdir()} == {
        *DATA_FILES,
        "criteria.png",
    }


def test_an_interrupted_bootstrap_leaves_the_fit_whole(here, capsys, monkeypatch):
    monkeypatch.setattr("mixtura.selection.settings.selected_again", lambda *_, **__: terminate())
    assert main(["fit", FAITHFUL, *GRID, "--bootstrap", "5", "--json"]) == 143
    document = json.loads(capsys.readouterr().out)
    assert document["bootstrap"] == {
        "refused": "interrupted by SIGTERM before the first resample was done"
    }
    assert len(document["candidates"]) == 6
    assert Path("old_faithful.mixtura/clusters.png").exists()


@WAYS
def test_pictures_and_reports_end_in_the_same_way(here, capsys, after_the_first_candidate, way):
    after_the_first_candidate(way.end)
    assert main(["plot", FAITHFUL, "criteria", *GRID, *way.options]) == way.code
    assert way.words in capsys.readouterr().out
    assert main(["report", FAITHFUL, *GRID, *way.options]) == way.code
    assert way.words in capsys.readouterr().out
    assert "This run was interrupted" in Path("old_faithful.report.html").read_text()


@WAYS
def test_tests_end_in_the_same_way(here, capsys, monkeypatch, way):
    from mixtura.selection import likelihood_ratio

    original = likelihood_ratio.run_tests
    monkeypatch.setattr(
        likelihood_ratio,
        "run_tests",
        lambda *given, **named: original(
            *given[:-1], lambda test: (given[-1](test), way.end()), **named
        ),
    )
    asked = [
        "test",
        FAITHFUL,
        "--family",
        "EII",
        "--replicates",
        "19",
        "--starts",
        "1",
        "--most",
        "2",
    ]
    assert main([*asked, *way.options]) == way.code
    assert way.words in capsys.readouterr().out
    assert main([*asked, *way.options, "--json"]) == way.code
    document = json.loads(capsys.readouterr().out)
    assert (document["interrupted"], document["interrupted_by"], len(document["tests"])) == (
        True,
        way.name,
        1,
    )


@WAYS
def test_comparisons_end_in_the_same_way(here, capsys, monkeypatch, way):
    monkeypatch.setattr("mixtura.compare.comparison.dbscan", lambda *_: way.end())
    assert main(["compare", FAITHFUL, "--components", "2", "--json", *way.options]) == way.code
    document = json.loads(capsys.readouterr().out)
    assert (document["interrupted"], document["interrupted_by"]) == (True, way.name)
    reasons = {
        row["name"]: row["reason"]
        for row in table(Path("old_faithful.comparison/methods.csv").read_text())
    }
    assert reasons == {
        "K-Means": "",
        "Gaussian mixture": "",
        "DBSCAN": "interrupted",
        "HDBSCAN": "not run",
    }
    assert Path("old_faithful.comparison/comparison.png").exists()


TELLING = """
import sys
from mixtura.selection import settings as selection_settings
from mixtura.cli import main
selection_of = selection_settings.selection_of
def telling(settings, ks, families, dataset, callback, on_fold):
    def tell(candidate):
        callback(candidate)
        print("fitted", candidate.title, file=sys.stderr, flush=True)
    return selection_of(settings, ks, families, dataset, tell, on_fold)
selection_settings.selection_of = telling
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_signal_ends_a_long_fit_with_the_best_so_far(here, number, code):
    X = np.random.default_rng(0).normal(size=(15_000, 4))
    np.savetxt("big.csv", X, delimiter=",", header="a,b,c,d", comments="")
    command = [sys.executable, "-c", TELLING, "fit", "big.csv", "--max-components", "100"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "fitted" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "the results until then are kept" in out
    assert {path.name for path in Path("big.mixtura").iterdir()} == set(RESULT_FILES)
