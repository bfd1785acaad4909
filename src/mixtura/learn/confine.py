"""The means of Linux to isolate a process: namespaces, mounts, Landlock, a separate user.

Only the guard calls them. Each function does one thing, or raises OSError where the kernel refuses
it; the guard decides which protections are required.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x8000000, 0x10000000, 0x40000000

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18

MNT_DETACH = 2

PRIVATE_USERS = range(65520, 65534)
"""User numbers that no Linux convention assigns, just below that of ``nobody`` (systemd, "Users,
Groups, UIDs and GIDs").
"""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> int:
    """The result of a call of the C library; raise its error."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


# ---- one process ---------------------------------------------------------------------------------


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none escapes by
    daemonising.
    """
    _must(_libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def die_with_parent() -> None:
    """Be killed when the parent ends. Call it after changing the user, which resets it."""
    _must(_libc().prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl")


def forbid_new_privileges() -> None:
    """Programs started from here gain no rights, also with a set-user-id bit."""
    _must(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def become(user: int) -> None:
    """Give up root permanently."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def private_user() -> tuple[int, socket.socket]:
    """An unused user number, and the lock on it: an abstract socket, which ends with its owner."""
    running = set(_owners())
    for number in PRIVATE_USERS:
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0mixtura-cell-{number}")
        except OSError:
            lock.close()
            continue
        if number not in running and not _is_named(number):
            return number, lock
        lock.close()
    raise OSError(0, "all user numbers for code cells are taken", "setuid")


def _is_named(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _owners() -> Iterable[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                yield entry.stat().st_uid
            except OSError:  # it has ended meanwhile
                continue


# ---- namespaces ----------------------------------------------------------------------------------


def without_network(as_root: bool) -> None:
    """Leave only a loopback interface that is down; an ordinary user needs a user namespace."""
    if as_root:
        _must(_libc().unshare(CLONE_NEWNET | CLONE_NEWIPC), "unshare")
        return
    user, group = os.getuid(), os.getgid()
    _must(_libc().unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def own_mounts() -> None:
    """Later mounts are visible only to this process and end with it."""
    _must(_libc().unshare(CLONE_NEWNS), "unshare")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)


def folder_in_memory(path: str, most_bytes: int, owner: int) -> None:
    """An empty file system of limited size over a folder."""
    _mount(
        "tmpfs",
        path,
        "tmpfs",
        MS_NOSUID | MS_NODEV,
        f"size={most_bytes},nr_inodes=4096,mode=700,uid={owner},gid={owner}",
    )


def uncover(path: str) -> None:
    """Remove the mount on a folder."""
    _must(_libc().umount2(os.fsencode(path), MNT_DETACH), "umount")


def closed_folders(paths: Iterable[str]) -> dict[str, list[str]]:
    """The paths that other users cannot reach, by the uppermost closed folder, such as root's
    home.
    """
    closed: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        for folder in (*reversed(Path(path).parents), Path(path)):
            if not folder.stat().st_mode & stat.S_IXOTH and folder.is_dir():
                closed.setdefault(str(folder), []).append(path)
                break
    return closed


def show_only(folder: str, paths: Iterable[str]) -> None:
    """Cover a closed folder by an empty one that contains only these paths."""
    opened = [(path, os.open(path, os.O_PATH)) for path in paths]
    _mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path, descriptor in opened:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.makedirs(path, mode=0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            Path(path).touch()
        _mount(f"/proc/self/fd/{descriptor}", path, None, MS_BIND)
        os.close(descriptor)


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    encoded = [
        None if text is None else os.fsencode(text) for text in (source, target, kind, options)
    ]
    _must(
        _libc().mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]),
        "mount",
    )


# ---- Landlock: access to files -------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8

READ = EXECUTE | READ_FILE | READ_DIR

ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14
"""The rights that apply to files."""

FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights on files that the kernel knows, by the version of its interface."""


def landlock_version() -> int:
    """The version of the kernel's interface; raise OSError where there is none."""
    return _must(_libc().syscall(CREATE_RULESET, None, 0, 1), "landlock")


def only_these_files(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Restrict the process and its children to these files, without TCP and without signals to
    other processes.
    """
    version = landlock_version()
    rights = FILE_RIGHTS[max(known for known in FILE_RIGHTS if known <= version)]
    network, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    handled = struct.pack("QQQ", rights, network, scoped)[
        : 8 if version < 4 else 16 if version < 6 else 24
    ]
    libc = _libc()
    ruleset = _must(libc.syscall(CREATE_RULESET, handled, len(handled), 0), "landlock")
    for paths, allowed in ((readable, READ), (writable, rights)):
        for path in paths:
            _allow(libc, ruleset, path, allowed & rights)
    forbid_new_privileges()
    _must(libc.syscall(RESTRICT_SELF, ruleset, 0), "landlock")
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, allowed: int) -> None:
    """Add a rule; a path that does not exist needs none."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        allowed &= ON_FILES
    _must(
        libc.syscall(ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed, descriptor), 0), "landlock"
    )
    os.close(descriptor)


# ---- files that Python needs ---------------------------------------------------------------------

SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc",
    "/proc",
    "/sys",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)


def what_python_reads() -> list[str]:
    """The folders of this Python and of everything it imports from, as real paths."""
    wanted = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        os.path.dirname(os.path.realpath(sys.executable)),
        *sys.path,
    }
    found = {os.path.realpath(path) for path in wanted if path and os.path.exists(path)}
    found.discard("/")
    # A Python installed directly in the home folder does not open the whole home folder.
    found.discard(os.path.realpath(os.path.expanduser("~")))
    return sorted(
        path for path in found if not any(str(parent) in found for parent in Path(path).parents)
    )
