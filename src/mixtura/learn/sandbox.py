"""The code cells of the lesson: Python code in an isolated process with a time limit.

:class:`Limits` and the protections of :mod:`mixtura.learn.guard` bound what the code can do: a
separate user when started as root, no network, no files except Python's and those of an empty
folder. :attr:`Started.missing` names protections that the system does not offer; where the cell
would have rights that it must not have, it is refused.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

MEGABYTE = 1 << 20

CHUNK = 1 << 16
"""Bytes read from a pipe at a time."""

STOP_SECONDS = 10.0
"""Seconds after which a guard that does not stop is killed with its process group."""

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Limits:
    """The limits of a cell.

    Attributes
    ----------
    wall_seconds, cpu_seconds : int
        Elapsed time, and processor time of each process.
    memory_bytes : int
        Address space of each process.
    file_bytes, disk_bytes : int
        Size of a file, and of the whole folder where it is in memory.
    open_files, processes : int
        Open files of each process; processes and threads together.
    output_bytes, figure_bytes : int
        Size of the printed text, and of all figures.
    """

    wall_seconds: int = 60
    cpu_seconds: int = 120
    memory_bytes: int = 4096 * MEGABYTE
    file_bytes: int = 16 * MEGABYTE
    disk_bytes: int = 64 * MEGABYTE
    open_files: int = 256
    processes: int = 96
    output_bytes: int = MEGABYTE
    figure_bytes: int = 8 * MEGABYTE


class Reason(Enum):
    """Why a cell ended; the value is the sentence on the page."""

    FINISHED = "Finished."
    FAILED = "Ended with an error; see the last lines."
    SIGNAL = "Ended by a signal of the system, for example after a crash."
    TIME = "Stopped: the time limit was reached. Compute less, for example with fewer rows."
    CPU = (
        "Stopped: the limit of processor time was reached. Compute less, for example with fewer "
        "rows."
    )
    OUTPUT = "Stopped: it printed more than the limit. Print less."
    FIGURES = "Stopped: its figures are larger than the limit. Draw fewer or smaller ones."
    STOPPED = "Stopped."
    REFUSED = "Not run."
    LOST = "Ended: the process that watches it has ended."


@dataclass(frozen=True)
class Started:
    """The cell is about to run, with these protections.

    Attributes
    ----------
    user : int or None
        The number of its own user, where it has one.
    files, network, disk : bool
        Whether it has access only to Python's and its own files, has no network, and has a folder
        of limited size.
    missing : tuple of str
        Protections that this system does not offer, and why.
    """

    user: int | None
    files: bool
    network: bool
    disk: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class PrintedText:
    """Printed text."""

    text: str


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as PNG."""

    png: bytes


@dataclass(frozen=True)
class Ended:
    """The end of a cell.

    Attributes
    ----------
    reason : Reason
    detail : str
        The name of the signal, or why the cell was refused.
    seconds : float
    left_behind : int
        Processes that it had left running and that were ended.
    """

    reason: Reason
    detail: str = ""
    seconds: float = 0.0
    left_behind: int = 0


CellEvent: TypeAlias = Started | PrintedText | DrawnFigure | Ended


def refusal() -> str:
    """Why code cells cannot run on this system; empty where they can."""
    if os.name != "posix":
        return (
            "Code cells need a system that can limit a process (Linux or macOS), but this is "
            f"{sys.platform}. Copy the code to a file and run it with Python, or use the notebook "
            "of the lesson."
        )
    return ""


class CellRun:
    """One run of code. Iterate over it once for its events, of which the last is :class:`Ended`;
    :meth:`stop` ends it early.

    Parameters
    ----------
    code : str
        The content of ``main.py``.
    files : mapping of str to bytes
        Files in the same folder, by name.
    limits : Limits

    Examples
    --------
    >>> "".join(event.text for event in CellRun("print(6 * 7)") if isinstance(event, PrintedText))
    '42\\n'
    """

    def __init__(
        self, code: str, files: Mapping[str, bytes] | None = None, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self._code = code
        self._files = dict(files or {})
        self._stopped = threading.Event()
        self._lifeline: Any = None
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End the run with all its processes. May be called from any thread, at any time, and
        repeatedly.
        """
        with self._lock:
            self._stopped.set()
            if self._lifeline is not None:
                with suppress(OSError):
                    self._lifeline.close()

    def __iter__(self) -> Iterator[CellEvent]:
        """The events as they come."""
        if refusal():
            yield Ended(Reason.REFUSED, refusal())
            return
        report, report_end = os.pipe()
        figures, figures_end = os.pipe()
        guard = subprocess.Popen(
            [sys.executable, "-I", "-m", "mixtura.learn.guard", str(report_end), str(figures_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(report_end, figures_end),
            start_new_session=True,
            cwd="/",
        )
        os.close(report_end)
        os.close(figures_end)
        try:
            self._order(guard)
            yield from _Reading(self, guard, report, figures).events()
        finally:
            self.stop()
            _wait_for_end(guard)
            for descriptor in (report, figures):
                os.close(descriptor)

    def _order(self, guard: subprocess.Popen[bytes]) -> None:
        """Send the order to the guard; its input then stays open."""
        files = {
            name: base64.b64encode(data).decode()
            for name, data in {**_fonts(), **self._files}.items()
        }
        order = json.dumps({"code": self._code, "files": files, "limits": asdict(self.limits)})
        assert guard.stdin is not None
        with suppress(BrokenPipeError):
            guard.stdin.write(order.encode() + b"\n")
            guard.stdin.flush()
        with self._lock:
            self._lifeline = guard.stdin
        if self._stopped.is_set():
            self.stop()


def _wait_for_end(guard: subprocess.Popen[bytes]) -> None:
    """Wait for the end of the guard."""
    try:
        guard.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(guard.pid, 9)
        guard.wait()
    if guard.stdout is not None:
        guard.stdout.close()


def _fonts() -> dict[str, bytes]:
    """Matplotlib's list of fonts, if there is one; otherwise each cell that draws would search for
    fonts.
    """
    import matplotlib

    return {
        f".matplotlib/{path.name}": path.read_bytes()
        for path in Path(matplotlib.get_cachedir()).glob("fontlist-*.json")
    }


class _Reading:
    """The three pipes of a run as events."""

    def __init__(
        self, run: CellRun, guard: subprocess.Popen[bytes], report: int, figures: int
    ) -> None:
        assert guard.stdout is not None
        self.run = run
        self.pipes = {
            guard.stdout.fileno(): self._text,
            report: self._report,
            figures: self._figure,
        }
        self.report, self.pending = report, {report: b"", figures: b""}
        self.figures = figures
        self.printed = self.drawn = 0
        self.over: Reason | None = None
        self.end: Ended | None = None
        self.rest = b""

    def events(self) -> Iterator[CellEvent]:
        """The events until the last report of the guard, with all pipes empty."""
        with selectors.DefaultSelector() as selector:
            for pipe in self.pipes:
                os.set_blocking(pipe, False)
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map() and (ready := selector.select(0 if self.end else None)):
                for key, _ in ready:
                    data = os.read(key.fd, CHUNK)
                    if not data:
                        selector.unregister(key.fd)
                    yield from self.pipes[key.fd](data)
                if self.end is None and self.report not in selector.get_map():
                    break  # the guard has ended, and the cell with it
        if self.rest:
            yield PrintedText(self.rest.decode("utf-8", "replace"))
        yield self._last()

    def _last(self) -> Ended:
        if self.end is None:
            return Ended(Reason.STOPPED if self.run._stopped.is_set() else Reason.LOST)
        if self.over is not None:
            return Ended(self.over, "", self.end.seconds, self.end.left_behind)
        return self.end

    def _too_much(self, reason: Reason) -> None:
        """End the run because of a limit; the rest of its output is dropped."""
        self.over = reason
        self.run.stop()

    def _text(self, data: bytes) -> Iterator[CellEvent]:
        """PrintedText, split between characters and cut at the limit."""
        room = max(self.run.limits.output_bytes - self.printed, 0)
        self.printed += len(data)
        text, self.rest = _whole_characters(self.rest + data[:room])
        if text:
            yield PrintedText(text)
        if self.printed > self.run.limits.output_bytes and self.over is None:
            self._too_much(Reason.OUTPUT)

    def _figure(self, data: bytes) -> Iterator[CellEvent]:
        """Figures that are complete."""
        self.drawn += len(data)
        if self.drawn > self.run.limits.figure_bytes:
            if self.over is None:
                self._too_much(Reason.FIGURES)
            return
        waiting = self.pending[self.figures] + data
        while len(waiting) >= 4 and len(waiting) >= 4 + (
            size := struct.unpack("!I", waiting[:4])[0]
        ):
            png, waiting = waiting[4 : 4 + size], waiting[4 + size :]
            if png.startswith(PNG):
                yield DrawnFigure(png)
        self.pending[self.figures] = waiting

    def _report(self, data: bytes) -> Iterator[CellEvent]:
        """The reports of the guard."""
        *lines, self.pending[self.report] = (self.pending[self.report] + data).split(b"\n")
        for line in lines:
            document = json.loads(line)
            if "confined" in document:
                got = document["confined"]
                yield Started(
                    got["user"], got["files"], got["network"], got["disk"], tuple(got["missing"])
                )
            elif "refused" in document:
                self.end = Ended(Reason.REFUSED, document["refused"])
            else:
                self.end = _ended(document["end"])


def _ended(end: dict[str, Any]) -> Ended:
    return Ended(
        Reason[end["reason"].upper()], end.get("signal", ""), end["seconds"], end["left_behind"]
    )


def _whole_characters(data: bytes) -> tuple[str, bytes]:
    """PrintedText up to the last complete character, and the remaining bytes."""
    for cut in range(len(data), max(len(data) - 4, -1), -1):
        try:
            return data[:cut].decode("utf-8"), data[cut:]
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                return data.decode("utf-8", "replace"), b""
    return data.decode("utf-8", "replace"), b""
