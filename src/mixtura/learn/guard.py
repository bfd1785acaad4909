"""The process between the server and a code cell: it isolates the cell, enforces its time limit,
and ends all processes that the cell started.

:mod:`mixtura.learn.sandbox` starts one guard for each cell. Its first line of input is the order,
as JSON. Its input then stays open: any further input, or its end (the server has ended), stops the
cell. Reports go to the descriptor ``report``, one JSON document per line: ``{"confined": ...}``,
``{"refused": ...}``, and at last ``{"end": ...}``.

No descendant of the cell can escape. The guard becomes the parent of orphans, whatever their
session or group. It stops all its descendants, searches again until there is no new one, then kills
them. Where the cell has its own user, one call kills all processes of that user at once.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixtura.learn import confine

POLL_SECONDS = 0.05
"""Seconds between two checks of the time limit."""

KILL_SECONDS = 3.0
"""Seconds that the guard waits for killed processes to end."""

MOST_CPUS = 4
"""Processors that a cell may use."""

FIGURES = 3
"""The descriptor through which a cell sends its figures."""


class CellRefused(Exception):
    """This computer cannot run a cell safely; the message says why and what to do."""


@dataclass
class Confinement:
    """The protections of a cell, and those that are missing."""

    user: int | None = None
    files: bool = False
    network: bool = False
    disk: bool = False
    missing: list[str] = field(default_factory=list)

    def attempt(self, what: str, call: Callable[[], object]) -> bool:
        """Set up a protection; return whether it worked, and record the reason if not."""
        try:
            call()
        except OSError as error:
            self.missing.append(f"{what}: {error.strerror}")
            return False
        return True


# ---- before the cell starts ----------------------------------------------------------------------


def prepare(folder: str, limits: dict[str, Any]) -> Confinement:
    """Set up the protections of the guard that the cell inherits."""
    got = Confinement()
    if sys.platform != "linux":
        got.missing.append(
            f"files and network: {platform.system()} has no Landlock and no namespaces"
        )
        return got
    confine.adopt_orphans()
    if os.geteuid() == 0:
        got.user = _user_of_its_own()
    got.network = got.attempt("network", lambda: confine.without_network(got.user is not None))
    mounts = got.attempt("mounts", confine.own_mounts)
    if got.user is not None:
        _let_it_read_python(mounts)
    owner = os.geteuid() if got.user is None else got.user
    got.disk = mounts and got.attempt(
        "disk", lambda: confine.folder_in_memory(folder, limits["disk_bytes"], owner)
    )
    got.files = got.attempt("files", confine.landlock_version)
    return got


def _user_of_its_own() -> int:
    """As root: a user without rights, for this cell only."""
    try:
        user, lock = confine.private_user()
    except OSError as error:
        raise CellRefused(
            f"As root, code cells run under a separate user, but {error.strerror}. Stop other "
            "cells."
        ) from None
    _LOCKS.append(lock)
    return user


def _let_it_read_python(mounts: bool) -> None:
    """Where Python is in root's home, show the cell a home that contains only Python."""
    closed = confine.closed_folders(confine.what_python_reads())
    if closed and not mounts:
        raise CellRefused(
            "As root, code cells run under a user without rights, but that user cannot read "
            f"Python: {', '.join(closed)} is closed to others. Start mixtura learn as an ordinary "
            "user, or install Python and mixtura where every user may read."
        )
    for home, paths in closed.items():
        confine.show_only(home, paths)


_LOCKS: list[Any] = []
"""Kept until the guard ends."""


def lay_out(folder: str, order: dict[str, Any], got: Confinement) -> None:
    """Write the code and the files into the cell's folder, owned by its user."""
    contents = {
        "main.py": order["code"].encode(),
        **{name: base64.b64decode(data) for name, data in order["files"].items()},
    }
    for name, data in contents.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if got.user is not None:
        for parent, _, names in os.walk(folder):
            for owned in (parent, *(os.path.join(parent, name) for name in names)):
                os.chown(owned, got.user, got.user)


def environment(folder: str) -> dict[str, str]:
    """The environment variables of the cell."""
    threads = str(min(MOST_CPUS, os.cpu_count() or 1))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    return {
        "HOME": folder,
        "TMPDIR": folder,
        "MPLCONFIGDIR": os.path.join(folder, ".matplotlib"),
        "MPLBACKEND": "agg",
        # Otherwise joblib warns that it cannot use semaphores in a closed folder.
        "JOBLIB_MULTIPROCESSING": "0",
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        **dict.fromkeys(names, threads),
    }


# ---- the cell's process --------------------------------------------------------------------------


def start(folder: str, order: dict[str, Any], got: Confinement, figures: int) -> int:
    """Start the cell's process in its own session; return its number."""
    number = os.fork()
    if number:
        return number
    try:
        os.setsid()
        os.chdir(folder)
        _connect(figures)
        _limit(order["limits"])
        if got.files:
            confine.only_these_files(
                [*confine.SYSTEM, *confine.what_python_reads()], [folder, "/dev/null"]
            )
        if got.user is not None:
            confine.become(got.user)
        if sys.platform == "linux":
            confine.forbid_new_privileges()
            confine.die_with_parent()
        script = str(Path(__file__).with_name("cell.py"))
        os.execve(
            sys.executable, [sys.executable, "-I", "-u", script, str(FIGURES)], environment(folder)
        )
    except BaseException as error:
        os.write(1, f"The cell could not be started: {error}\n".encode())
    os._exit(126)


def _connect(figures: int) -> None:
    """Give the cell no input, errors in the same stream as the output, and no other open files."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(1, 2)
    os.dup2(figures, FIGURES)
    os.set_inheritable(FIGURES, True)
    os.closerange(FIGURES + 1, 256)


def _limit(limits: dict[str, Any]) -> None:
    """Set the limits of :mod:`resource`, which the cell cannot raise again."""
    for kind, value in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_NPROC, limits["processes"] + _running_already()),
        (resource.RLIMIT_CORE, 0),
    ):
        # A system may lack this limit, or have a lower one already.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_seconds"], limits["cpu_seconds"] + 1))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:MOST_CPUS])


def _running_already() -> int:
    """Threads of an ordinary user, which the kernel counts too; the cell's own user has none."""
    if os.geteuid() == 0 or sys.platform != "linux":
        return 0 if os.geteuid() == 0 else 512
    count = 0
    for entry in os.scandir("/proc"):
        with suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{entry.name}/task"))
    return count


# ---- the end of the cell -------------------------------------------------------------------------


def watch(cell: int, wall_seconds: float) -> dict[str, Any]:
    """Wait for the end of the cell: by itself, by the time limit, or by the server."""
    begun = time.monotonic()
    while True:
        ended, status = os.waitpid(cell, os.WNOHANG)
        seconds = time.monotonic() - begun
        if ended:
            return {**_ending(status), "seconds": seconds}
        if seconds > wall_seconds:
            return {"reason": "time", "seconds": seconds}
        if select.select([0], [], [], POLL_SECONDS)[0]:
            return {"reason": "stopped", "seconds": seconds}


def _ending(status: int) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return {"reason": "cpu"}
    if code < 0:
        return {"reason": "signal", "code": -code, "signal": signal.Signals(-code).name}
    return {"reason": "failed" if code else "finished", "code": code}


def end_all(cell: int, user: int | None) -> int:
    """Kill all processes that the cell started; return how many there were besides the cell."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(cell, signal.SIGKILL)
    found = _stop_descendants() - {cell}
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        if user is not None:
            _kill_all_of(user)
        for number in descendants():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if not _reap():
            return len(found)
        time.sleep(0.005)
    return len(found)


def _stop_descendants() -> set[int]:
    """Stop all descendants until there is no new one, so that none can fork any more."""
    known: set[int] = set()
    deadline = time.monotonic() + KILL_SECONDS
    while new := descendants() - known:
        for number in new:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGSTOP)
        known |= new
        if time.monotonic() > deadline:
            break
    return known


def descendants() -> set[int]:
    """The running descendants of the guard."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        with suppress(OSError, ValueError):
            state, parent = (
                Path("/proc", str(int(name)), "stat").read_text().rpartition(")")[2].split()[:2]
            )
            children.setdefault(int(parent), []).append(
                int(name) if state not in "ZX" else -int(name)
            )
    found: set[int] = set()
    below = [os.getpid()]
    while below:
        for number in children.get(abs(below.pop()), ()):
            below.append(number)
            found.add(number)
    return {number for number in found if number > 0}


def _kill_all_of(user: int) -> None:
    """Kill all processes of a user in one system call, during which none can fork."""
    killer = os.fork()
    if killer == 0:
        confine.become(user)
        with suppress(OSError):
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(killer, 0)


def _reap() -> bool:
    """Reap children that have ended; return whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


# ---- the guard -----------------------------------------------------------------------------------


def main(report: int, figures: int) -> None:
    """Run one cell, from its order to its end."""

    def say(**document: Any) -> None:
        with suppress(BrokenPipeError):
            os.write(report, json.dumps(document).encode() + b"\n")

    order = json.loads(_first_line())
    folder = os.path.realpath(tempfile.mkdtemp(prefix="mixtura-cell-"))
    try:
        got = prepare(folder, order["limits"])
        lay_out(folder, order, got)
        say(
            confined={
                "user": got.user,
                "files": got.files,
                "network": got.network,
                "disk": got.disk,
                "missing": got.missing,
            }
        )
        cell = start(folder, order, got, figures)
        os.close(figures)
        end = watch(cell, order["limits"]["wall_seconds"])
        left = end_all(cell, got.user)
        say(end={**end, "left_behind": left})
    except CellRefused as refusal:
        say(refused=str(refusal))
    finally:
        _take_away(folder)


def _first_line() -> bytes:
    """The order, read from the descriptor without buffering any later input."""
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit(1)
        parts.append(part)
    return b"".join(parts)


def _take_away(folder: str) -> None:
    """Remove the cell's folder with its contents, and the mount on it."""
    if os.path.ismount(folder):
        os.chdir("/")
        confine.uncover(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
