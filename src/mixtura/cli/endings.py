"""How a command ends: its exit code, and the error of a command line that makes no sense."""

from __future__ import annotations

DONE, WRONG_DATA, MISUSE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class UsageError(Exception):
    """The command line makes no sense; the message says what to type."""
