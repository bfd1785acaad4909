"""A piece of Python in a process of its own, shut in, timed and stopped: the code cells of the
lesson.

What the code may do to the machine is bounded by :class:`Limits` and by what
:mod:`mixtura.learn.guard` can have of the system: a user of its own when started as root, no
network, no files but Python's and those of an empty folder. What could not be had is said in
:attr:`Started.missing`; where the cell would have rights it must not have, it is refused.
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

LOST = 10.0
"""Seconds after which a guard that was told to stop is taken for lost, and killed with its
group.
"""

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Limits:
    """What one cell may use.

    Attributes
    ----------
    wall_seconds, cpu_seconds : int
        By the clock on the wall, and of each process's processor time.
    memory_bytes : int
        Address space of each process.
    file_bytes, disk_bytes : int
        The largest file, and the whole folder where it lies in memory.
    open_files, processes : int
        Of each process; of all together, threads included.
    output_bytes, figure_bytes : int
        Text, and all figures.
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
    """Why a cell ended; the value is the sentence a person reads."""

    FINISHED = "Finished."
    FAILED = "Ended with an error; the last lines say which."
    SIGNAL = "Ended by a signal of the system, as after a crash."
    TIME = "Stopped: the time limit was reached. Make it do less, for example with fewer rows."
    CPU = (
        "Stopped: the limit of processor time was reached. Make it do less, for example with "
        "fewer rows."
    )
    OUTPUT = "Stopped: it printed more than may be shown. Print less."
    FIGURES = "Stopped: its figures are larger than may be shown. Draw fewer or smaller ones."
    STOPPED = "Stopped."
    REFUSED = "Not run."
    LOST = "Ended: the process that watched it is gone."


@dataclass(frozen=True)
class Started:
    """The cell is about to run; what keeps it in.

    Attributes
    ----------
    user : int or None
        The number of the user it runs under, where it has one of its own.
    files, network, disk : bool
        Whether it sees no files but Python's and its own, has no network, and its folder has a
        limited size.
    missing : tuple of str
        Protections that this system does not give, and why.
    """

    user: int | None
    files: bool
    network: bool
    disk: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """Something it printed."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A figure it drew, as PNG."""

    png: bytes


@dataclass(frozen=True)
class Ended:
    """The end of a cell.

    Attributes
    ----------
    reason : Reason
    detail : str
        More in words: the signal, or why it was refused.
    seconds : float
    left_behind : int
        Processes that it had left running and that were ended with it.
    """

    reason: Reason
    detail: str = ""
    seconds: float = 0.0
    left_behind: int = 0


Event: TypeAlias = Started | Text | Figure | Ended


def refusal() -> str:
    """Why code cells cannot run on this system at all; empty where they can."""
    if os.name != "posix":
        return (
            "Code cells need a system that can limit a process (Linux or macOS), but this is "
            f"{sys.platform}. "
            "Copy the code to a file and run it with Python, or use the notebook of the lesson."
        )
    return ""


class Run:
    """One run of some code. Iterate over it once for its events, the last of which is
    :class:`Ended`; :meth:`stop` ends it early.

    Parameters
    ----------
    code : str
        Becomes ``main.py``.
    files : mapping of str to bytes
        Files beside it, by name.
    limits : Limits

    Examples
    --------
    >>> "".join(event.text for event in Run("print(6 * 7)") if isinstance(event, Text))
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
        """End it, with all it has started. May be called from any thread, at any time, more than
        once.
        """
        with self._lock:
            self._stopped.set()
            if self._lifeline is not None:
                with suppress(OSError):
                    self._lifeline.close()

    def __iter__(self) -> Iterator[Event]:
        """The events, as they come."""
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
            _bury(guard)
            for descriptor in (report, figures):
                os.close(descriptor)

    def _order(self, guard: subprocess.Popen[bytes]) -> None:
        """Tell the guard what to run; its input stays open from here on."""
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


def _bury(guard: subprocess.Popen[bytes]) -> None:
    """Wait for the guard to be gone."""
    try:
        guard.wait(LOST)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(guard.pid, 9)
        guard.wait()
    if guard.stdout is not None:
        guard.stdout.close()


def _fonts() -> dict[str, bytes]:
    """Matplotlib's list of fonts, if it has been made: or each cell that draws would search the
    disk for them.
    """
    import matplotlib

    return {
        f".matplotlib/{path.name}": path.read_bytes()
        for path in Path(matplotlib.get_cachedir()).glob("fontlist-*.json")
    }


class _Reading:
    """The three pipes of a run as events."""

    def __init__(self, run: Run, guard: subprocess.Popen[bytes], report: int, figures: int) -> None:
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

    def events(self) -> Iterator[Event]:
        """Until the guard has said the last word and the pipes are empty."""
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
                    break  # no guard, no end: what it watched died with it
        if self.rest:
            yield Text(self.rest.decode("utf-8", "replace"))
        yield self._last()

    def _last(self) -> Ended:
        if self.end is None:
            return Ended(Reason.STOPPED if self.run._stopped.is_set() else Reason.LOST)
        if self.over is not None:
            return Ended(self.over, "", self.end.seconds, self.end.left_behind)
        return self.end

    def _too_much(self, reason: Reason) -> None:
        """End it for what it sends; the rest of that is thrown away."""
        self.over = reason
        self.run.stop()

    def _text(self, data: bytes) -> Iterator[Event]:
        """Text, cut between characters and at the limit."""
        room = max(self.run.limits.output_bytes - self.printed, 0)
        self.printed += len(data)
        text, self.rest = _whole_characters(self.rest + data[:room])
        if text:
            yield Text(text)
        if self.printed > self.run.limits.output_bytes and self.over is None:
            self._too_much(Reason.OUTPUT)

    def _figure(self, data: bytes) -> Iterator[Event]:
        """Figures that have come whole."""
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
                yield Figure(png)
        self.pending[self.figures] = waiting

    def _report(self, data: bytes) -> Iterator[Event]:
        """What the guard says."""
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
    """Text up to the last whole character, and the bytes of one that is not whole yet."""
    for cut in range(len(data), max(len(data) - 4, -1), -1):
        try:
            return data[:cut].decode("utf-8"), data[cut:]
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                return data.decode("utf-8", "replace"), b""
    return data.decode("utf-8", "replace"), b""
