"""Data made from data, fitted again and again: folds, bootstrap resamples, and the loop over replicates.

Every replicate has a seed of its own, so answers do not depend on how many workers share them. Small data go to worker
processes, because there Python's own share of an iteration is the larger one and threads would wait for each other; large
data, which should not be copied, go to threads.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from mixtura.backends import ROWS_WORTH_A_THREAD, processors
from mixtura.base.arrays import Array, Flags
from mixtura.base.parallel import in_parallel
from mixtura.data.dataset import Dataset
from mixtura.model.protocols import Source
from mixtura.sources import ArraySource

SECONDS_WORTH_PROCESSES = 4.0
"""Less work than this is done before worker processes have started."""

MOST_COPIES = 2.0**31
"""Weights that are whole numbers with a sum up to this are counts of rows; others only say how much a row stands for."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


# ---- data from data ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Fold:
    """Some rows to be scored, and all others to fit."""

    training: Dataset
    held_out: Source


def folds_of(dataset: Dataset, n_folds: int, seed: np.random.SeedSequence) -> tuple[Fold, ...]:
    """The rows dealt into folds at random, as even as possible; all copies of a weighted row are in the same fold.

    Raises
    ------
    ValueError
        When there are fewer than two folds or more folds than rows.
    """
    n = dataset.source.n_rows
    if not 2 <= n_folds <= n:
        raise ValueError(f"folds must be between 2 and the number of rows ({n}), but {n_folds} came. Ten is usual.")
    dealt = np.random.default_rng(seed).permutation(n) % n_folds
    return tuple(Fold(_dataset_of(dataset, dealt != v), _some_rows(dataset, dealt == v)) for v in range(n_folds))


@dataclass(frozen=True, eq=False)
class _Redrawn(Dataset):
    """Rows drawn again: copies, of which there are as many as before, tell as much as the rows they stand for."""

    original: Dataset

    @cached_property
    def effective_size(self) -> float:
        """Of the original: the weights of a resample are counts, and their spread is not that of a dataset's design."""
        return self.original.effective_size


def resampled(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A bootstrap resample: multinomial counts as weights, so that no row is copied.

    Whole-number weights are copies of rows, and as many rows are drawn as they add up to. Any other weights only say how
    much each row stands for: then ``n_rows`` draws are made by weight, and scaled to the same sum.
    """
    weights = weights_of(dataset)
    if weights is None:
        counts = rng.multinomial(dataset.source.n_rows, np.full(dataset.source.n_rows, 1.0 / dataset.source.n_rows)).astype(
            np.float64
        )
    else:
        total = weights.sum()
        draws = int(total) if are_counts(weights) else len(weights)
        counts = rng.multinomial(draws, weights / total) * (total / draws)
    return _Redrawn(_some_rows(dataset, counts > 0, counts), dataset.backend, dataset)


def are_counts(weights: Array | None) -> bool:
    """Whether weights are whole numbers, that is, copies of rows."""
    return weights is None or bool((weights == np.round(weights)).all() and weights.sum() <= MOST_COPIES)


def weights_of(dataset: Dataset) -> Array | None:
    """Weights of all rows (n,), or None."""
    parts = [block.weights for block in dataset.source.blocks()]
    return None if parts[0] is None else np.concatenate([part for part in parts if part is not None])


def _some_rows(dataset: Dataset, keep: Flags, weights: Array | None = None) -> ArraySource:
    """The rows that are kept, with new weights (n,) or their own."""
    own = weights_of(dataset) if weights is None else weights
    rows = np.concatenate([block.rows[keep[block.offset : block.offset + len(block.rows)]] for block in dataset.source.blocks()])
    return ArraySource(np.ascontiguousarray(rows), None if own is None else own[keep])


def _dataset_of(dataset: Dataset, keep: Flags, weights: Array | None = None) -> Dataset:
    return Dataset(_some_rows(dataset, keep, weights), dataset.backend)


# ---- the loop over replicates ----------------------------------------------------------------------------------------


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
        From an item (a seed, or data and a seed) and an event to an answer. Where the event is set it ends early and raises
        KeyboardInterrupt. It must be picklable.
    items : sequence
    dataset : Dataset
        The data that every replicate is made from: its size says whether threads or processes share the work.
    n_threads : int, optional
        Workers; all processors by default. They change no answer.
    on_answer : callable, optional
        Called with each answer when it is known, for a progress bar; raising KeyboardInterrupt there ends the loop. With
        threads it is called from them.
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
    with threadpool_limits(1):  # k-means on few rows loses more time to waiting threads than it gains
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
            warnings.simplefilter("ignore")  # replicates that were on their way are dropped on purpose
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
