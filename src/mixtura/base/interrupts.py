"""Ctrl-C, SIGTERM and a time limit ask a search to end early, so that nothing found is lost.

Two levels: :func:`stop_on_signal` for a search in a library call, :func:`handled_signals` for a
command line program, which also has a time limit and files to write.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType


class Cause(Enum):
    """What interrupted a command."""

    CTRL_C = "Ctrl-C"
    SIGTERM = "SIGTERM"
    TIME_LIMIT = "the time limit"


class SignalHandler:
    """The handler of both signals for one command; it remembers what came first.

    During a search, the first signal asks the search to end. Elsewhere a signal raises
    KeyboardInterrupt, or it is deferred until a part of the work that may be interrupted.

    Attributes
    ----------
    cause : Cause or None
        What came first.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self._stopped: threading.Event | None = None
        self._defers = self._pending = False
        self._timer: threading.Timer | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Called by Python with the number of the signal."""
        self.cause = self.cause or (Cause.CTRL_C if number == signal.SIGINT else Cause.SIGTERM)
        if self._stopped is not None and not self._stopped.is_set():
            self._stopped.set()
        elif self._defers:
            self._pending = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Work whose result must not be lost: a signal waits for the next :meth:`interruptible`
        part.
        """
        self._defers = True
        try:
            yield
        finally:
            self._defers = False

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A part that KeyboardInterrupt may end, also for a signal that was deferred."""
        before, self._defers = self._defers, False
        try:
            if self._pending:
                self._pending = False
                raise KeyboardInterrupt
            yield
        finally:
            self._defers = before

    @contextmanager
    def setting(self, stopped: threading.Event) -> Iterator[None]:
        """A search that ends soon after ``stopped`` is set; a nested search keeps the outer
        event.
        """
        before = self._stopped
        self._stopped = before or stopped
        try:
            yield
        finally:
            self._stopped = before

    def start_timer(self, seconds: float) -> None:
        """Send a signal to the main thread after this time."""

        def end() -> None:
            self.cause = self.cause or Cause.TIME_LIMIT
            main = threading.main_thread().ident
            # A real signal also wakes a thread that waits.
            if hasattr(signal, "pthread_kill") and main is not None:
                signal.pthread_kill(main, signal.SIGTERM)
            else:
                _thread.interrupt_main(signal.SIGTERM)

        self._timer = threading.Timer(seconds, end)
        self._timer.daemon = True
        self._timer.start()

    def stop_timer(self) -> None:
        """End the time limit: the rest of the command takes the time that it takes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._pending = self._pending and self.cause is not Cause.TIME_LIMIT


@contextmanager
def handled_signals(seconds: float | None = None) -> Iterator[SignalHandler]:
    """Ctrl-C, SIGTERM and the end of ``seconds`` go to a :class:`SignalHandler`.

    Only for a program in its main thread. A Ctrl-C that is ignored, as in the background of a
    shell, stays ignored.
    """
    handler = SignalHandler()
    if threading.current_thread() is not threading.main_thread():
        yield handler
        return
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before = [signal.signal(number, handler) or signal.SIG_DFL for number in numbers]
    try:
        if seconds is not None:
            handler.start_timer(seconds)
        yield handler
    finally:
        with handler.deferring():
            handler.stop_timer()
            for number, former in zip(numbers, before, strict=True):
                signal.signal(number, former)


@contextmanager
def stop_on_signal(stopped: threading.Event) -> Iterator[None]:
    """The first Ctrl-C sets ``stopped``; a second one raises KeyboardInterrupt as usual.

    Under a :class:`SignalHandler`, SIGTERM and the time limit set it as well. Python delivers
    signals to the main thread only. In another thread, or where another handler is installed (as an
    outer search has one), nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if isinstance(handler := signal.getsignal(signal.SIGTERM), SignalHandler):
        with handler.setting(stopped):
            yield
        return
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            signal.default_int_handler(number, frame)
        stopped.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
