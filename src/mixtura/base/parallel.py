"""Work in parallel threads, with results in order and Ctrl-C handled."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

WAKE_SECONDS = 0.2
"""The waiting thread wakes up this often: without a timeout it may never receive Ctrl-C."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(
    work: Callable[[Item], Answer], items: Sequence[Item], workers: int, stopped: threading.Event
) -> list[Answer]:
    """Results in the order of the items; Ctrl-C sets ``stopped``, after which the workers end."""
    if workers == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        futures: list[Future[Answer]] = []
        while len(futures) < len(items) or not all(future.done() for future in futures):
            try:
                # Inside the loop, as Ctrl-C may come before all items are submitted.
                while len(futures) < len(items):
                    futures.append(pool.submit(work, items[len(futures)]))
                wait(futures, timeout=WAKE_SECONDS)
                if any(future.done() and future.exception() for future in futures):
                    # An error, for example of a callback, ends the other workers early.
                    stopped.set()
            except KeyboardInterrupt:
                stopped.set()
        return [future.result() for future in futures]
