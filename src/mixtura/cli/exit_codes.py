"""Exit codes, and the error of a wrong command line."""

from __future__ import annotations

DONE, WRONG_DATA, MISUSE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class UsageError(Exception):
    """The command line is wrong; the message says what to type."""
