"""One answer from each of many resamples of the data.

Every replicate has a seed of its own, so answers do not depend on how many workers share them.
Small data go to worker processes, because there Python's own share of an iteration is the larger
one and threads would wait for each other; large data, which should not be copied, go to threads.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import joblib
from threadpoolctl import threadpool_limits

from mixtura.backends import ROWS_WORTH_A_THREAD, processors
from mixtura.base.parallel import in_parallel
from mixtura.data.dataset import Dataset

SECONDS_WORTH_PROCESSES = 4.0
"""Less work than this is done before worker processes have started."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def replicates(
    work: Callable[[Item, threading.Event], Answer],
    items: Sequence[Item],
    dataset: Dataset,
    n_threads: int | None = None,
    on_answer: Callable[[Answer], None] | None = None,
    stopped: threading.Event | None = None,
) -> tuple[list[Answer], bool]:
    """One answer per item, in their order, and whether Ctrl-C cut them short.

    Parameters
    ----------
    work : callable
        From an item (a seed, or data and a seed) and an event to an answer. Where the event is set
        it ends early and raises KeyboardInterrupt. It must be picklable.
    items : sequence
    dataset : Dataset
        The data that every replicate is made from: its size says whether threads or processes share
        the work.
    n_threads : int, optional
        Workers; all processors by default. They change no answer.
    on_answer : callable, optional
        Called with each answer when it is known, for a progress bar; raising KeyboardInterrupt
        there ends the loop. With threads it is called from them.
    stopped : threading.Event, optional
        Setting it from another thread ends the loop.
    """
    stopped = stopped or threading.Event()
    workers = min(len(items), n_threads or processors())

    def one(item: Item) -> list[Answer]:
        if stopped.is_set():
            return []
        try:
            answer = work(item, stopped)
        except KeyboardInterrupt:
            stopped.set()
            return []
        try:
            if on_answer is not None:
                on_answer(answer)
        except KeyboardInterrupt:
            stopped.set()
        return [answer]

    if dataset.source.n_rows >= ROWS_WORTH_A_THREAD and dataset.backend.name != "reference":
        found = in_parallel(one, items, workers, stopped)
        return [answer for answers in found for answer in answers], stopped.is_set()
    with threadpool_limits(
        1
    ):  # k-means on few rows loses more time to waiting threads than it gains
        begin = time.perf_counter()
        answers = one(items[0])  # a first one here tells how long all of them will take
        expected = (time.perf_counter() - begin) * (len(items) - 1)
        here = workers == 1 or expected < SECONDS_WORTH_PROCESSES or stopped.is_set()
        for item in items[1:] if here else ():
            answers += one(item)
    if not here:
        _in_processes(work, items[1:], workers, answers, on_answer, stopped)
    return answers, stopped.is_set()


def _in_processes(
    work: Callable[[Item, threading.Event], Answer],
    items: Sequence[Item],
    workers: int,
    answers: list[Answer],
    on_answer: Callable[[Answer], None] | None,
    stopped: threading.Event,
) -> None:
    """The rest of the answers from worker processes, in order, added to ``answers``."""
    pool = joblib.Parallel(n_jobs=workers, backend="loky", return_as="generator", batch_size=1)
    coming = pool(joblib.delayed(_alone)(work, item) for item in items)
    try:
        for found in coming:
            answers.extend(found)
            if not found or stopped.is_set():
                break
            if on_answer is not None:
                on_answer(found[0])
    except KeyboardInterrupt:
        stopped.set()
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # replicates that were on their way are dropped on purpose
            coming.close()
    if len(answers) <= len(items):
        stopped.set()


def _alone(work: Callable[[Item, threading.Event], Answer], item: Item) -> list[Answer]:
    """One replicate in a process of its own; nothing when Ctrl-C reached it."""
    try:
        with threadpool_limits(1):
            return [work(item, threading.Event())]
    except KeyboardInterrupt:
        return []
