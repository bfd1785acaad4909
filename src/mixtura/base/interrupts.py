"""Ctrl-C, SIGTERM and a time limit ask a search to end, wherever in it they come, so that nothing
found so far is lost.
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
    """What called a command off."""

    CTRL_C = "Ctrl-C"
    SIGTERM = "SIGTERM"
    TIME_LIMIT = "the time limit"


class Listener:
    """Hears what calls a command off, and remembers what came first.

    While a search goes on, the first call asks it to end. Elsewhere a call is thrown as
    KeyboardInterrupt, or it waits for a part of the work that may be cut short.

    Attributes
    ----------
    cause : Cause or None
        What came first.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self._stopped: threading.Event | None = None
        self._holds_back = self._came = False
        self._clock: threading.Timer | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The handler of both signals."""
        self.cause = self.cause or (Cause.CTRL_C if number == signal.SIGINT else Cause.SIGTERM)
        if self._stopped is not None and not self._stopped.is_set():
            self._stopped.set()
        elif self._holds_back:
            self._came = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """What is done must not get lost: a call waits for the next part that
        :meth:`may_be_cut_short`.
        """
        self._holds_back = True
        try:
            yield
        finally:
            self._holds_back = False

    @contextmanager
    def may_be_cut_short(self) -> Iterator[None]:
        """A part that is called off by KeyboardInterrupt, also by a call that has waited for it."""
        before, self._holds_back = self._holds_back, False
        try:
            if self._came:
                self._came = False
                raise KeyboardInterrupt
            yield
        finally:
            self._holds_back = before

    @contextmanager
    def asking(self, stopped: threading.Event) -> Iterator[None]:
        """A search, which sees to it that it ends soon once ``stopped`` is set; one within it is
        left alone.
        """
        before = self._stopped
        self._stopped = before or stopped
        try:
            yield
        finally:
            self._stopped = before

    def start_clock(self, seconds: float) -> None:
        """The main thread hears the end of this time as a signal."""

        def end() -> None:
            self.cause = self.cause or Cause.TIME_LIMIT
            main = threading.main_thread().ident
            if (
                hasattr(signal, "pthread_kill") and main is not None
            ):  # a real signal also wakes a thread that waits
                signal.pthread_kill(main, signal.SIGTERM)
            else:
                _thread.interrupt_main(signal.SIGTERM)

        self._clock = threading.Timer(seconds, end)
        self._clock.daemon = True
        self._clock.start()

    def stop_clock(self) -> None:
        """What comes now takes the time that it takes."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock.join()
            self._came = self._came and self.cause is not Cause.TIME_LIMIT


@contextmanager
def listening(seconds: float | None = None) -> Iterator[Listener]:
    """While it lasts, Ctrl-C, SIGTERM and the end of ``seconds`` go to a :class:`Listener`.

    Only programs of their own do this, in their main thread; a Ctrl-C that is ignored, as in a
    shell's background, stays so.
    """
    listener = Listener()
    if threading.current_thread() is not threading.main_thread():
        yield listener
        return
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before = [signal.signal(number, listener) or signal.SIG_DFL for number in numbers]
    try:
        if seconds is not None:
            listener.start_clock(seconds)
        yield listener
    finally:
        with listener.holding_back():
            listener.stop_clock()
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


@contextmanager
def stop_on_signal(stopped: threading.Event) -> Iterator[None]:
    """While it lasts, the first Ctrl-C sets ``stopped``; a second one, for who cannot wait, is
    thrown as always.

    Where a :class:`Listener` listens, so do SIGTERM and its clock. Python delivers signals to the
    main thread alone. In another thread, or where somebody has a handler of their own (as an outer
    search has), nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if isinstance(listener := signal.getsignal(signal.SIGTERM), Listener):
        with listener.asking(stopped):
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
