"""Work side by side in threads, with answers in order, and Ctrl-C that ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

WAKE_SECONDS = 0.2
"""A thread that waits without end may never hear of Ctrl-C, so the waiting one wakes up this
often.
"""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_parallel(
    work: Callable[[Item], Answer], items: Sequence[Item], workers: int, stopped: threading.Event
) -> list[Answer]:
    """Answers in the order of the items; Ctrl-C sets ``stopped`` and lets the workers end by
    themselves.
    """
    if workers == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        futures: list[Future[Answer]] = []
        while len(futures) < len(items) or not all(future.done() for future in futures):
            try:
                while len(futures) < len(
                    items
                ):  # the first worker may be far on before the last one is asked
                    futures.append(pool.submit(work, items[len(futures)]))
                wait(futures, timeout=WAKE_SECONDS)
                if any(future.done() and future.exception() for future in futures):
                    # an error, for example of a callback, is not held back until all others are
                    # done
                    stopped.set()
            except KeyboardInterrupt:
                stopped.set()
        return [future.result() for future in futures]
