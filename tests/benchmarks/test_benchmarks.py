"""The benchmarks run, print their tables and write nothing else; timing and the checks of equal
likelihood are right where the result is known.
"""

import mmap
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import matplotlib.image as image
import numpy as np
import pytest

from float32 import worst_direction
from frame import clock, machine
from frame.contenders import (
    SHORT,
    assert_equal_likelihood,
    em_without_rule,
    lloyd,
    mixtura,
    one_dal,
    problem,
    scikit_learn,
    start_at,
)
from frame.page import Floor, Page, Table, parser, shown
from memory import ITERATIONS, plain_em, rows_of
from mixtura.kernels import built
from scaling import APART, clustered

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = sorted((REPOSITORY / "benchmarks").glob("*.py"))

needs_kernels = pytest.mark.skipif(not built, reason="benchmarks time the C++ kernels")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


# ---- every benchmark -----------------------------------------------------------------------------


def files_of(*folders: str) -> dict[Path, int]:
    """Files with their modification times, without compiled modules."""
    found = (file for folder in folders for file in (REPOSITORY / folder).rglob("*"))
    return {
        file: file.stat().st_mtime_ns
        for file in found
        if file.is_file() and "__pycache__" not in file.parts
    }


@needs_kernels
@needs_linux
@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_benchmark_prints_a_table_and_writes_only_to_the_output_folder(script, tmp_path):
    here, scratch, output = (tmp_path / name for name in ("here", "scratch", "output"))
    here.mkdir()
    scratch.mkdir()
    before = files_of("benchmarks", "docs")
    quiet = {"TMPDIR": str(scratch), "OMP_WAIT_POLICY": "PASSIVE", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, script, "--quick", "--output", output]
    done = subprocess.run(
        command, cwd=here, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr

    rows = [line.count(" | ") for line in done.stdout.splitlines() if " | " in line]
    assert len(rows) >= 2
    page = (output / f"{script.stem}.md").read_text()
    assert page.count("\n| ") == len(rows) + page.count("\n| ---")
    pixels = image.imread(output / f"{script.stem}.png")[..., :3]
    assert (
        pixels.max(axis=2) - pixels.min(axis=2) > 0.3
    ).sum() > 100  # coloured marks, not an empty frame

    assert sorted(file.name for file in output.iterdir()) == [
        f"{script.stem}.md",
        f"{script.stem}.png",
    ]
    assert not list(here.iterdir())
    assert not list(scratch.iterdir())
    assert files_of("benchmarks", "docs") == before


# ---- timing --------------------------------------------------------------------------------------


@pytest.fixture
def watch(monkeypatch):
    """A clock that only advances during the runs."""
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    return now


def run_of(watch, start_up, each, most=10**9, calls=None):
    def run(iterations):
        watch[0] += start_up + each * min(iterations, most)
        if calls is not None:
            calls.append(iterations)
        return min(iterations, most)

    return run


def test_start_up_does_not_count(watch):
    found = clock.seconds_per_iteration(
        {"a": run_of(watch, 5.0, 0.25), "b": run_of(watch, 0.0, 0.5)}, budget=1e9
    )
    assert found == {"a": 0.25, "b": 0.5}


def test_an_early_stop_is_divided_by_the_iterations_really_run(watch):
    assert clock.seconds_per_iteration({"a": run_of(watch, 1.0, 0.25, most=4)})["a"] == 0.25


def test_a_stop_before_the_end_of_the_short_run_is_not_measured(watch):
    assert np.isnan(clock.seconds_per_iteration({"a": run_of(watch, 1.0, 0.25, most=2)})["a"])


def test_noise_larger_than_the_time_is_not_a_measurement(watch):
    assert np.isnan(clock.seconds_per_iteration({"a": run_of(watch, 1.0, -0.01)})["a"])


def test_a_slow_contender_is_measured_once(watch):
    slow, fast = [], []
    clock.seconds_per_iteration(
        {"slow": run_of(watch, 0, 9.0, calls=slow), "fast": run_of(watch, 0, 0.1, calls=fast)},
        budget=10,
    )
    assert (len(slow), len(fast)) == (2, 2 * clock.REPEATS)


# ---- equal likelihood ----------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "VII"])
def test_scikit_learn_starts_where_we_start(family):
    X, start = problem(500, 3, 2, family)
    assert_equal_likelihood(X, mixtura(X, start, 1, family), scikit_learn(X, start, family))


@needs_kernels
def test_another_start_is_not_equal_likelihood():
    X, start = problem(500, 3, 2)
    with pytest.raises(AssertionError, match="log-likelihoods differ"):
        assert_equal_likelihood(
            X, mixtura(X, start, 1), scikit_learn(X, start_at(start.means + 0.1))
        )


@needs_kernels
def test_em_without_a_rule_takes_the_same_steps():
    X, start = problem(500, 3, 2)
    ruled, free = (
        mixtura(X, start, 1)(SHORT).mixture(),
        em_without_rule(X, start, 1)(SHORT).mixture(),
    )
    # M-steps in Python and in C++ differ by rounding
    np.testing.assert_allclose(free.means, ruled.means, rtol=1e-13)
    np.testing.assert_allclose(
        free.covariance.values, ruled.covariance.values, rtol=1e-13, atol=1e-14
    )


@needs_kernels
def test_without_one_dal_its_column_is_a_dash(monkeypatch):
    monkeypatch.setitem(sys.modules, "daal4py", None)
    assert one_dal(*problem(50, 2, 2)) is None
    assert shown(float("nan"), ".4f") == "-"


@needs_kernels
def test_k_means_runs_the_iterations_it_is_asked_for():
    assert lloyd(*problem(2000, 3, 4))(3) == 3


def test_clustered_groups_are_far_apart():
    _, start = clustered(100, 2, 30)
    gaps = np.linalg.norm(start.means[:, None] - start.means, axis=2) + 1e9 * np.eye(30)
    assert gaps.min() > APART - 6


def test_the_worst_direction_finds_an_error_in_the_smallest_variance():
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    truth, found = (turn @ np.diag([1.0, 0.1, smallest]) @ turn.T for smallest in (1e-4, 1.5e-4))
    assert worst_direction(found, truth) == pytest.approx(
        0.5, rel=1e-9
    )  # 2e-16 times the condition number 1e4, with a margin


@needs_kernels
def test_rows_for_the_memory_map_are_reproducible_and_em_runs_all_iterations():
    X = np.concatenate(list(rows_of(2000, 2, 3)))
    np.testing.assert_array_equal(X, np.concatenate(list(rows_of(2000, 2, 3))))
    assert plain_em(X, 3, 1).n_iter == ITERATIONS


# ---- the machine ---------------------------------------------------------------------------------


def test_flops_of_the_limit():
    assert machine.flops(10, 2, 3) == 4 * 10 * 3 * (1 + 2 + 3)
    product = machine.MatrixProduct(10)
    assert product.rate(seconds=0.5) == 4000
    assert product.limit(10, 2, 3, seconds=0.5) == 720 / 4000
    assert product(3) == 3


def test_facts_name_versions_and_no_path():
    text = "\n".join(machine.facts())
    assert re.search(r"numpy \d", text)
    assert re.search(r"20\d\d-\d\d-\d\d", text)
    assert "/" not in text
    assert socket.gethostname() not in text.split()


@needs_linux
def test_memory_of_this_process_grows_with_what_it_holds():
    before = machine.status("RssAnon")
    held = np.frombuffer(
        mmap.mmap(-1, 32_000_000, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    )  # new pages, not memory that the heap kept from other tests
    held[:] = 1.0
    assert (
        25 < machine.status("RssAnon") - before < 40
    )  # 30.5 megabytes, and what the interpreter allocates or frees
    assert held.sum() == 4_000_000


# ---- the page ------------------------------------------------------------------------------------


def test_floors_are_checked_both_ways():
    least, most = Floor("ratio", 2.0), Floor("megabytes", 64.0, at_most=True)
    assert [least.reached(2.0), least.reached(1.9), most.reached(64.0), most.reached(65.0)] == [
        True,
        False,
        True,
        False,
    ]
    assert least.verdict(1.9) == "ratio at least 2: NO"
    assert most.verdict(float("nan")) == "megabytes at most 64: not measured"
    assert not least.reached(float("nan"))


def test_a_table_shows_a_dash_where_nothing_was_measured(capsys):
    table = Table("title", {"name": "", "seconds": ".2f"})
    table.add("a|b", 0.126)
    table.add("c", float("nan"))
    assert capsys.readouterr().out.splitlines()[-2:] == ["a|b | 0.13", "c | -"]
    assert table.markdown().splitlines()[2:] == ["| a/b | 0.13 |", "| c | - |"]
    np.testing.assert_array_equal(table.column("seconds"), [0.126, np.nan])


def page_at(folder, *options):
    return Page(
        "benchmark.py",
        "What?\n\n    python benchmark.py\n\nSo.\n",
        parser("What?").parse_args([*options]),
    )


def test_a_page_without_an_output_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with page_at(tmp_path) as page:
        page.table("t", {"a": "d"}).add(1)
    assert not list(tmp_path.iterdir())


def test_a_page_names_the_floors_that_were_missed(tmp_path):
    with page_at(tmp_path, "--output", str(tmp_path / "out")) as page:
        page.table("t", {"a": "d", "floors": ""}).add(
            1, page.check("here", (Floor("x", 1.0), 0.5), (Floor("y", 1.0), 1.5))
        )
    text = (tmp_path / "out" / "benchmark.md").read_text()
    assert "# What?\n\n```\npython benchmark.py\n```\n\nSo." in text
    assert "Floors reached: 1 of 2.\n\n- here, x at least 1: NO\n" in text


def test_a_run_that_fails_leaves_no_page(tmp_path):
    with pytest.raises(RuntimeError), page_at(tmp_path, "--output", str(tmp_path / "out")):
        raise RuntimeError
    assert not (tmp_path / "out").exists()
