"""The terminal: plain text, notes, tables, progress bars, and JSON. No word about mixtures."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table as Grid

Move = Callable[..., None]
"""Moves a progress bar: ``move(done)``, ``move(done, "what was done last")``, or with a new ``total=`` for the next part."""


class Plain(Console):
    """A console that shows text as it is, and falls silent when nobody reads on: the files are still written."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else 120
        super().__init__(stderr=stderr, quiet=quiet, width=width, markup=False, highlight=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Show nothing from here on."""
        self.quiet = True
        silence_stdout()

    def say(self, text: str, style: str | None = None) -> None:
        """A paragraph: folded on a terminal, one line in a pipe."""
        self.print(text, style=style, soft_wrap=not self.is_terminal)


def consoles(*, quiet: bool = False, json: bool = False) -> tuple[Plain, Plain, Plain]:
    """For what is asked for, for notes, and for progress bars; JSON leaves nothing else on stdout."""
    return Plain(quiet=json or quiet), Plain(stderr=True), Plain(stderr=True, quiet=quiet)


def silence_stdout() -> None:
    """Send what is still to be printed nowhere, so that Python does not complain about the pipe at its end."""
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


@contextmanager
def progress_bar(err: Plain, words: str, total: int) -> Iterator[Move]:
    """A progress bar on a terminal, and nothing elsewhere; gone when it is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal or err.quiet) as bar:
        task = bar.add_task(words, total=total)
        yield lambda done, text=words, total=total: bar.update(task, completed=done, description=text, total=total)


def grid(*heads: str, title: str | None = None, justify: Literal["left", "right"] = "right") -> Grid:
    """An empty table: numbers at the right, or text at the left."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid

    table = Grid(title=title, box=SIMPLE_HEAD)
    for head in heads:
        table.add_column(head, justify="left" if head in ("family", "parameter") else justify, overflow="fold")
    return table


def print_json(document: Mapping[str, Any]) -> None:
    """One document on stdout; what is not finite becomes null."""
    from mixtura.model_file import jsonable

    print(json.dumps(jsonable(document), indent=2, allow_nan=False))
