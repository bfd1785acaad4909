"""The first signal asks a search to end, the second one raises KeyboardInterrupt."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from mixtura.base.interrupts import Cause, handled_signals, stop_on_signal


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_interrupt_asks_and_the_second_raises():
    stopped = threading.Event()
    with stop_on_signal(stopped):
        press()
        assert stopped.is_set()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_inner_search_sets_the_event_of_the_outer_one():
    outer, inner = threading.Event(), threading.Event()
    with stop_on_signal(outer):
        with stop_on_signal(inner):
            press()
        assert outer.is_set()
        assert not inner.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_handlers_and_other_threads_are_left_alone():
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with stop_on_signal(threading.Event()) as nothing:
            press()
        assert nothing is None
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
    done: list[bool] = []

    def work() -> None:
        with stop_on_signal(threading.Event()):
            done.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


# ---- the handler of a command --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGINT, Cause.CTRL_C), (signal.SIGTERM, Cause.SIGTERM)]
)
def test_a_handler_takes_both_signals_and_a_search_ends_by_itself(number, cause):
    stopped = threading.Event()
    with handled_signals() as handler:
        with stop_on_signal(stopped):
            signal.raise_signal(number)
            assert stopped.is_set()
            with stop_on_signal(threading.Event()) as inner, pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert inner is None
        assert handler.cause is cause  # what came first
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_time_limit_ends_a_search():
    stopped = threading.Event()
    with handled_signals(0.01) as handler, stop_on_signal(stopped):
        assert stopped.wait()
    assert handler.cause is Cause.TIME_LIMIT


def test_a_timer_that_is_stopped_ends_nothing():
    with handled_signals(1000) as handler, handler.deferring():
        handler.start_timer(0.001)
        while handler.cause is None:
            time.sleep(0.001)
        handler.stop_timer()
        with handler.interruptible():
            done = True
    assert done


def test_a_call_waits_for_an_interruptible_part():
    with handled_signals() as handler, handler.deferring():
        press()
        with pytest.raises(KeyboardInterrupt), handler.interruptible():
            pytest.fail("begun in spite of a signal")
        press()
        press()
    assert handler.cause is Cause.CTRL_C


def test_an_ignored_ctrl_c_stays_ignored_but_not_the_others():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopped = threading.Event()
        with handled_signals() as handler, stop_on_signal(stopped):
            press()
            assert not stopped.is_set()
            signal.raise_signal(signal.SIGTERM)
            assert stopped.is_set()
        assert handler.cause is Cause.SIGTERM
    finally:
        signal.signal(signal.SIGINT, before)
