"""Progress: a bar on a terminal, a line every few seconds in a pipe, nothing with --quiet."""

from __future__ import annotations

import io
import time

import pytest

from mixtura.cli.console import PlainConsole, Progress, duration, progress_bar


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def until_told(stream: io.StringIO, words: str) -> None:
    while words not in stream.getvalue():
        time.sleep(0.001)


def test_the_time_left_follows_from_what_is_done(clock):
    progress = Progress("fitting", 140, "candidates", clock)
    assert progress.line == "0 of 140 candidates, 0 s so far"
    clock.now = 12
    progress(34)
    assert progress.line == "34 of 140 candidates, 12 s so far, about 37 s left"
    progress(139.5)
    assert progress.line == "139 of 140 candidates, 12 s so far, about 0 s left"
    progress(140)
    assert progress.line == "140 of 140 candidates, 12 s so far"


def test_nothing_is_guessed_in_the_first_second_or_before_anything_is_done(clock):
    progress = Progress("fitting", 10, "candidates", clock)
    clock.now = 0.9
    progress(5)
    assert progress.left == ""
    clock.now = 30
    assert Progress("fitting", 10, "candidates", clock).left == ""
    assert progress.left == "about 30 s left"


def test_each_part_has_an_estimate_of_its_own(clock):
    progress = Progress("cross-validation", 10, "folds", clock)
    clock.now = 100
    progress(10)
    progress(0, "fitting", 140, "candidates")
    clock.now = 110
    progress(70)
    assert progress.line == "70 of 140 candidates, 2 min so far, about 10 s left"
    progress(0, "2 against 3 components")
    clock.now = 114
    progress(70)
    assert progress.left == "about 4 s left"
    progress(1, "searched", 9, "searches")
    clock.now = 118
    progress(3, "searched", 11)
    assert (
        progress.line == "3 of 11 searches, 2 min so far, about 11 s left"
    )  # 4 s for three, so 8 / 3 of that


def test_a_single_step_is_named(clock):
    progress = Progress("standard errors", 1, "standard errors", clock)
    clock.now = 7
    assert progress.line == "standard errors, 7 s so far"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (7500, "2 h 5 min")],
)
def test_durations_are_short(seconds, words):
    assert duration(seconds) == words


def test_in_a_pipe_lines_show_the_latest_progress(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    with progress_bar(
        PlainConsole(stderr=True), "fitting", 140, "candidates", clock=clock, seconds_per_line=0.001
    ) as progress:
        until_told(stream, "mixtura: 0 of 140 candidates, 0 s so far\n")
        clock.now = 12
        progress(34, "fitted VVV with 3 components")
        until_told(stream, "mixtura: 34 of 140 candidates, 12 s so far, about 37 s left\n")
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("seconds_per_line", [5, 1e-6])
def test_short_and_quiet_commands_print_no_progress(seconds_per_line, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    quiet = seconds_per_line < 1
    with progress_bar(
        PlainConsole(stderr=True, quiet=quiet),
        "fitting",
        9,
        "candidates",
        seconds_per_line=seconds_per_line,
    ) as progress:
        progress(1)
    assert stream.getvalue() == ""


def test_on_a_terminal_a_bar_shows_the_time_left(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", stream := Terminal())
    with progress_bar(
        PlainConsole(stderr=True), "fitting", 140, "candidates", clock=clock, seconds_per_line=0.001
    ) as progress:
        clock.now = 12
        progress(34.5, "fitted VVV with 3 components")
        until_told(stream, "about 37 s left")
        until_told(stream, "34/140")
        until_told(stream, "fitted VVV with 3")
    assert "mixtura:" not in stream.getvalue()
