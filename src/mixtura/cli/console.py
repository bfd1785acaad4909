"""The terminal: plain text, notes, tables, progress and JSON, independent of mixtures."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table as Grid

SECONDS_PER_LINE = 5.0
"""Seconds between two lines of progress where no terminal shows a bar."""

SECONDS_BEFORE_ESTIMATE = 1.0
"""Seconds that a part of a command must take before the time left is estimated from them."""


class PlainConsole(Console):
    """A console without markup, which is silent after the reader of its pipe has ended, so that the
    files are still written.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else 120
        super().__init__(
            stderr=stderr, quiet=quiet, width=width, markup=False, highlight=False, emoji=False
        )

    def on_broken_pipe(self) -> None:
        """Print nothing from here on."""
        self.quiet = True
        silence_stdout()

    def say(self, text: str, style: str | None = None) -> None:
        """A paragraph: wrapped on a terminal, one line in a pipe."""
        self.print(text, style=style, soft_wrap=not self.is_terminal)


def consoles(
    *, quiet: bool = False, json: bool = False
) -> tuple[PlainConsole, PlainConsole, PlainConsole]:
    """The consoles for results, for notes and for progress; with JSON, stdout has nothing else."""
    return (
        PlainConsole(quiet=json or quiet),
        PlainConsole(stderr=True),
        PlainConsole(stderr=True, quiet=quiet),
    )


def silence_stdout() -> None:
    """Discard further output to stdout, so that Python reports no broken pipe when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def notes(err: PlainConsole) -> Iterator[None]:
    """Print each different warning once, as one line on stderr."""
    seen: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = " ".join(str(message).split())
        if text not in seen:
            seen.add(text)
            err.say(f"note: {text}", style="yellow")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        warnings.showwarning = show
        yield


class Progress:
    """The progress of a command: ``progress(done)``, ``progress(done, "last step")``, or with a new
    ``total`` for the next part.

    ``done`` may be a fraction and may come from any thread. A new unit, or a count that falls,
    begins a new part.
    """

    def __init__(
        self, words: str, total: float, unit: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.words, self.total, self.unit, self.done = words, total, unit, 0.0
        self.follow: Callable[[], None] = lambda: None
        self._clock = clock
        self._begun = self._part_begun = clock()

    def __call__(
        self,
        done: float,
        words: str | None = None,
        total: float | None = None,
        unit: str | None = None,
    ) -> None:
        """Record how much is done."""
        unit = unit or self.unit
        if unit != self.unit or done < self.done:
            self._part_begun = self._clock()
        self.done, self.total = done, self.total if total is None else total
        self.words, self.unit = words or self.words, unit
        self.follow()

    @property
    def left(self) -> str:
        """``about 40 s left``, or an empty text where there is no estimate."""
        elapsed = self._clock() - self._part_begun
        if elapsed < SECONDS_BEFORE_ESTIMATE or not 0 < self.done < self.total:
            return ""
        return f"about {duration(elapsed * (self.total - self.done) / self.done)} left"

    @property
    def line(self) -> str:
        """``34 of 140 candidates, 12 s so far, about 40 s left``."""
        count = (
            f"{int(self.done)} of {int(self.total)} {self.unit}" if self.total > 1 else self.words
        )
        return ", ".join(
            filter(None, (count, f"{duration(self._clock() - self._begun)} so far", self.left))
        )


def duration(seconds: float) -> str:
    """``40 s``, ``7 min`` or ``2 h 5 min``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def progress_bar(
    err: PlainConsole,
    words: str,
    total: float,
    unit: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    seconds_per_line: float = SECONDS_PER_LINE,
) -> Iterator[Progress]:
    """How much is done and how long the rest may take: on a terminal a bar, which disappears at the
    end; elsewhere a line every few seconds.
    """
    progress = Progress(words, total, unit, clock)
    if err.quiet:
        yield progress
    elif err.is_terminal:
        with _bar(err, progress):
            yield progress
    else:
        with _lines(err, progress, seconds_per_line):
            yield progress


@contextmanager
def _bar(err: PlainConsole, progress: Progress) -> Iterator[None]:
    """A bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    words = (
        TextColumn(f"{{task.fields[progress].{what}}}", markup=False) for what in ("left", "words")
    )
    with RichProgress(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), *words, console=err, transient=True
    ) as bar:
        task = bar.add_task("", total=progress.total, progress=progress)
        progress.follow = lambda: bar.update(task, completed=progress.done, total=progress.total)
        yield


@contextmanager
def _lines(err: PlainConsole, progress: Progress, seconds: float) -> Iterator[None]:
    """A line every few seconds, from a separate thread, also while nothing is completed."""
    over = threading.Event()

    def report() -> None:
        while not over.wait(seconds):
            err.say(f"mixtura: {progress.line}")

    reporter = threading.Thread(target=report, daemon=True)
    try:
        reporter.start()
        yield
    finally:
        over.set()
        if reporter.is_alive():  # else the command was interrupted before it started
            reporter.join()


def grid(
    *heads: str, title: str | None = None, justify: Literal["left", "right"] = "right"
) -> Grid:
    """An empty table, with numbers aligned right or text aligned left."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid

    table = Grid(title=title, box=SIMPLE_HEAD)
    for head in heads:
        table.add_column(
            head, justify="left" if head in ("family", "parameter") else justify, overflow="fold"
        )
    return table


def print_json(document: Mapping[str, Any]) -> None:
    """One document on stdout; numbers that are not finite become null."""
    from mixtura.estimators.model_file import jsonable

    print(json.dumps(jsonable(document), indent=2, allow_nan=False))
