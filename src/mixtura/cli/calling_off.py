"""A command that is called off, by Ctrl-C, SIGTERM or its time limit, ends with what is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mixtura.base.interrupts import Cause, SignalHandler, handled_signals
from mixtura.cli.endings import DONE, INTERRUPTED, TERMINATED, WRONG_DATA


class CalledOff(KeyboardInterrupt):
    """A command was called off before anything was done."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Call:
    """What may call a command off, and what did.

    Attributes
    ----------
    limit : float or None
        Seconds that it may take.
    listener : Listener
    """

    limit: float | None
    listener: Listener

    @property
    def cause(self) -> Cause:
        """What called the command off, where something did."""
        return self.listener.cause or Cause.CTRL_C

    def told(self, interrupted: bool) -> dict[str, Any]:
        """For the document of a command."""
        return {
            "interrupted": interrupted,
            "interrupted_by": self.cause.value if interrupted else None,
            "time_limit": self.limit,
        }

    def code(self, interrupted: bool) -> int:
        """The exit code: a time limit ends a command as it was asked to end."""
        return (
            {Cause.CTRL_C: INTERRUPTED, Cause.SIGTERM: TERMINATED, Cause.TIME_LIMIT: DONE}[
                self.cause
            ]
            if interrupted
            else DONE
        )


@contextmanager
def may_be_called_off(limit: float | None) -> Iterator[Call]:
    """The work of a command that Ctrl-C, SIGTERM and the limit may end; the time begins here."""
    with listening(limit) as listener:
        call = Call(limit, listener)
        try:
            yield call
        except KeyboardInterrupt:
            raise _nothing_done(call) from None


def _nothing_done(call: Call) -> CalledOff:
    """Where there is nothing to keep, even a time limit is an error."""
    if call.cause is Cause.TIME_LIMIT:
        words = (
            f"the time limit of {call.limit:g} s was over before there was a result; nothing was "
            "written. Give more time, or ask "
            "for less: fewer --components and --families, or fewer rows."
        )
        return CalledOff(words, WRONG_DATA)
    words = "interrupted" if call.cause is Cause.CTRL_C else "ended by SIGTERM"
    return CalledOff(
        f"{words} before there was a result; nothing was written.", call.code(interrupted=True)
    )


def said_about(document: Mapping[str, Any]) -> str:
    """What ended a command early, in a sentence; empty where nothing did."""
    if not document["interrupted"]:
        return ""
    by_the_clock = document["interrupted_by"] == Cause.TIME_LIMIT.value
    end = (
        f"Time limit of {document['time_limit']:g} s reached"
        if by_the_clock
        else f"Interrupted by {document['interrupted_by']}"
    )
    return f"{end}: what was done until then is kept."
