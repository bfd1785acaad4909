"""Replicates: the same computation on many resamples of the data, by several workers.

Every replicate has a seed of its own, so the results do not depend on the number of workers. With
few rows the workers are processes, because most of an iteration is Python and threads would wait
for each other; many rows should not be copied, and the workers are threads.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import joblib
from threadpoolctl import threadpool_limits

from mixtura.backends import ROWS_WORTH_A_THREAD, processors
from mixtura.base.parallel import in_parallel
from mixtura.data.dataset import Dataset

SECONDS_WORTH_PROCESSES = 4.0
"""Expected time of all replicates, above which worker processes are started."""

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
    """One answer for each item, in their order, and whether Ctrl-C ended the loop.

    Parameters
    ----------
    work : callable
        Takes an item (a seed, or data and a seed) and an event, and returns an answer. When the
        event is set it raises KeyboardInterrupt. It must be picklable.
    items : sequence
    dataset : Dataset
        The data of every replicate; its size decides between threads and processes.
    n_threads : int, optional
        Workers; all processors by default. They change no answer.
    on_answer : callable, optional
        Called with each answer as it comes, for a progress bar; raising KeyboardInterrupt there
        ends the loop. With threads it is called from them.
    stopped : threading.Event, optional
        Setting it from another thread ends the loop.
    """
    stopped = stopped or threading.Event()
    workers = min(len(items), n_threads or processors())
    one = partial(_answer, work, on_answer, stopped)
    if dataset.source.n_rows >= ROWS_WORTH_A_THREAD and dataset.backend.name != "reference":
        found = in_parallel(one, items, workers, stopped)
        return [answer for answers in found for answer in answers], stopped.is_set()
    with threadpool_limits(1):  # k-means on few rows is slower with several threads
        begin = time.perf_counter()
        answers = one(items[0])  # the first one tells the time of all
        expected = (time.perf_counter() - begin) * (len(items) - 1)
        here = workers == 1 or expected < SECONDS_WORTH_PROCESSES or stopped.is_set()
        for item in items[1:] if here else ():
            answers += one(item)
    if not here:
        _in_processes(work, items[1:], workers, answers, on_answer, stopped)
    return answers, stopped.is_set()


def _answer(
    work: Callable[[Item, threading.Event], Answer],
    on_answer: Callable[[Answer], None] | None,
    stopped: threading.Event,
    item: Item,
) -> list[Answer]:
    """One replicate in this process; no answer after Ctrl-C, which stops all others."""
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


def _in_processes(
    work: Callable[[Item, threading.Event], Answer],
    items: Sequence[Item],
    workers: int,
    answers: list[Answer],
    on_answer: Callable[[Answer], None] | None,
    stopped: threading.Event,
) -> None:
    """Append the other answers to ``answers``, in order, from worker processes."""
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
            warnings.simplefilter("ignore")  # unfinished replicates are dropped on purpose
            coming.close()
    if len(answers) <= len(items):
        stopped.set()


def _alone(work: Callable[[Item, threading.Event], Answer], item: Item) -> list[Answer]:
    """One replicate in a worker process; no answer after Ctrl-C."""
    try:
        with threadpool_limits(1):
            return [work(item, threading.Event())]
    except KeyboardInterrupt:
        return []
