"""Ctrl-C asks first, and is thrown the second time."""

from __future__ import annotations

import signal
import threading

import pytest

from mixtura.interrupts import heeded


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_interrupt_asks_and_the_second_is_thrown():
    stopped = threading.Event()
    with heeded(stopped):
        press()
        assert stopped.is_set()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_inner_search_leaves_the_outer_ones_ear_alone():
    outer, inner = threading.Event(), threading.Event()
    with heeded(outer):
        with heeded(inner):
            press()
        assert outer.is_set()
        assert not inner.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_somebody_elses_and_other_threads_are_left_alone():
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with heeded(threading.Event()) as nothing:
            press()
        assert nothing is None
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
    done: list[bool] = []

    def work() -> None:
        with heeded(threading.Event()):
            done.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
