"""Ctrl-C asks a search to end, wherever in it the signal comes, so that nothing found so far is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heeded(stopped: threading.Event) -> Iterator[None]:
    """While it lasts, the first Ctrl-C sets ``stopped``; a second one, for who cannot wait, is thrown as always.

    Python delivers signals to the main thread alone. In another thread, or where somebody has a handler of their own (as an outer
    search has), nothing changes.
    """
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not mine:
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
