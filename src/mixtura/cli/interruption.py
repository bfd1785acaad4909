"""Ctrl-C, SIGTERM or a time limit ends a command, and the results until then are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mixtura.base.interrupts import Cause, SignalHandler, handled_signals
from mixtura.cli.exit_codes import DONE, INTERRUPTED, TERMINATED, WRONG_DATA


class InterruptedWithoutResult(KeyboardInterrupt):
    """A command was interrupted before there was a result."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Interruption:
    """What may interrupt a command, and what did.

    Attributes
    ----------
    limit : float or None
        Time limit in seconds.
    handler : SignalHandler
    """

    limit: float | None
    handler: SignalHandler

    @property
    def cause(self) -> Cause:
        """What interrupted the command, where something did."""
        return self.handler.cause or Cause.CTRL_C

    def fields(self, interrupted: bool) -> dict[str, Any]:
        """The fields about it in the JSON document of a command."""
        return {
            "interrupted": interrupted,
            "interrupted_by": self.cause.value if interrupted else None,
            "time_limit": self.limit,
        }

    def exit_code(self, interrupted: bool) -> int:
        """The exit code; 0 after a time limit, since the user asked for it."""
        return (
            {Cause.CTRL_C: INTERRUPTED, Cause.SIGTERM: TERMINATED, Cause.TIME_LIMIT: DONE}[
                self.cause
            ]
            if interrupted
            else DONE
        )


@contextmanager
def interruptible_command(limit: float | None) -> Iterator[Interruption]:
    """The work of a command that Ctrl-C, SIGTERM and the time limit, which starts here, may end."""
    with handled_signals(limit) as handler:
        interruption = Interruption(limit, handler)
        try:
            yield interruption
        except KeyboardInterrupt:
            raise _without_result(interruption) from None


def _without_result(interruption: Interruption) -> InterruptedWithoutResult:
    """The error where there is no result to keep; here a time limit is an error, too."""
    if interruption.cause is Cause.TIME_LIMIT:
        words = (
            f"the time limit of {interruption.limit:g} s passed before there was a result, so "
            "nothing was written. Give more time, or reduce the work: fewer --components or "
            "--families, or fewer rows."
        )
        return InterruptedWithoutResult(words, WRONG_DATA)
    words = "interrupted" if interruption.cause is Cause.CTRL_C else "ended by SIGTERM"
    return InterruptedWithoutResult(
        f"{words} before there was a result; nothing was written.",
        interruption.exit_code(interrupted=True),
    )


def interruption_sentence(document: Mapping[str, Any]) -> str:
    """A sentence about what ended a command early; empty where nothing did."""
    if not document["interrupted"]:
        return ""
    by_time_limit = document["interrupted_by"] == Cause.TIME_LIMIT.value
    end = (
        f"Time limit of {document['time_limit']:g} s reached"
        if by_time_limit
        else f"Interrupted by {document['interrupted_by']}"
    )
    return f"{end}; the results until then are kept."
