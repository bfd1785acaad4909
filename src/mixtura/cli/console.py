"""The terminal: plain text, notes, tables, progress, and JSON. No word about mixtures."""

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

SECONDS_A_LINE = 5.0
"""Where no terminal shows a bar, a line tells this often how far a command is."""

FIRST_GUESS = 1.0
"""Seconds that a part of a command must have taken before they say how long it takes yet."""


class Plain(Console):
    """A console that shows text as it is, and falls silent when nobody reads on: the files are
    still written.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else 120
        super().__init__(
            stderr=stderr, quiet=quiet, width=width, markup=False, highlight=False, emoji=False
        )

    def on_broken_pipe(self) -> None:
        """Show nothing from here on."""
        self.quiet = True
        silence_stdout()

    def say(self, text: str, style: str | None = None) -> None:
        """A paragraph: folded on a terminal, one line in a pipe."""
        self.print(text, style=style, soft_wrap=not self.is_terminal)


def consoles(*, quiet: bool = False, json: bool = False) -> tuple[Plain, Plain, Plain]:
    """For what is asked for, for notes, and for progress bars; JSON leaves nothing else on
    stdout.
    """
    return Plain(quiet=json or quiet), Plain(stderr=True), Plain(stderr=True, quiet=quiet)


def silence_stdout() -> None:
    """Send what is still to be printed nowhere, so that Python does not complain about the pipe at
    its end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def notes(err: Plain) -> Iterator[None]:
    """Show each different warning once, as one line on stderr."""
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


class Move:
    """How far a command is: ``move(done)``, ``move(done, "what was done last")``, or with a new
    ``total`` for the next part.

    ``done`` may be a fraction, and comes from any thread. Other things that are counted, or a count
    that falls, begin a new part.
    """

    def __init__(
        self, words: str, total: float, of: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.words, self.total, self.of, self.done = words, total, of, 0.0
        self.follow: Callable[[], None] = lambda: None
        self._clock = clock
        self._begun = self._part_begun = clock()

    def __call__(
        self,
        done: float,
        words: str | None = None,
        total: float | None = None,
        of: str | None = None,
    ) -> None:
        """So much is done."""
        of = of or self.of
        if of != self.of or done < self.done:
            self._part_begun = self._clock()
        self.done, self.total = done, self.total if total is None else total
        self.words, self.of = words or self.words, of
        self.follow()

    @property
    def left(self) -> str:
        """``about 40 s left``, or nothing where nobody can know."""
        elapsed = self._clock() - self._part_begun
        if elapsed < FIRST_GUESS or not 0 < self.done < self.total:
            return ""
        return f"about {duration(elapsed * (self.total - self.done) / self.done)} left"

    @property
    def line(self) -> str:
        """``34 of 140 candidates, 12 s so far, about 40 s left``."""
        count = f"{int(self.done)} of {int(self.total)} {self.of}" if self.total > 1 else self.words
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
    err: Plain,
    words: str,
    total: float,
    of: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    seconds_a_line: float = SECONDS_A_LINE,
) -> Iterator[Move]:
    """How much is done, and how long the rest may take: a bar on a terminal, gone when it is done;
    elsewhere a line at times.
    """
    move = Move(words, total, of, clock)
    if err.quiet:
        yield move
    elif err.is_terminal:
        with _bar(err, move):
            yield move
    else:
        with _lines(err, move, seconds_a_line):
            yield move


@contextmanager
def _bar(err: Plain, move: Move) -> Iterator[None]:
    """A bar that follows."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    words = (
        TextColumn(f"{{task.fields[move].{what}}}", markup=False) for what in ("left", "words")
    )
    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), *words, console=err, transient=True
    ) as bar:
        task = bar.add_task("", total=move.total, move=move)
        move.follow = lambda: bar.update(task, completed=move.done, total=move.total)
        yield


@contextmanager
def _lines(err: Plain, move: Move, seconds: float) -> Iterator[None]:
    """A line every few seconds, from a thread of its own: a long part without any move is told on,
    too.
    """
    over = threading.Event()

    def tell() -> None:
        while not over.wait(seconds):
            err.say(f"mixtura: {move.line}")

    teller = threading.Thread(target=tell, daemon=True)
    try:
        teller.start()
        yield
    finally:
        over.set()
        if teller.is_alive():  # else it was called off before it began
            teller.join()


def grid(
    *heads: str, title: str | None = None, justify: Literal["left", "right"] = "right"
) -> Grid:
    """An empty table: numbers at the right, or text at the left."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid

    table = Grid(title=title, box=SIMPLE_HEAD)
    for head in heads:
        table.add_column(
            head, justify="left" if head in ("family", "parameter") else justify, overflow="fold"
        )
    return table


def print_json(document: Mapping[str, Any]) -> None:
    """One document on stdout; what is not finite becomes null."""
    from mixtura.estimators.model_file import jsonable

    print(json.dumps(jsonable(document), indent=2, allow_nan=False))
