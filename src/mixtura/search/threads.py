"""How many threads a search uses, of its own and of the libraries below it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController

from mixtura.backends import ROWS_WORTH_A_THREAD, processors
from mixtura.data.dataset import Dataset


def limited_threads(n_rows: int) -> AbstractContextManager[object]:
    """One thread for BLAS while fits run, and for OpenMP (k-means) where the rows are few.

    Many small matrices wait longer for threads than they compute. As in scikit-learn, this holds
    for the whole process while it lasts.
    """
    limits: AbstractContextManager[object] = _pools().limit(
        limits=1, user_api=None if n_rows < ROWS_WORTH_A_THREAD else "blas"
    )
    return limits


@cache
def _pools() -> ThreadpoolController:
    """The libraries with threads of their own; looking for them takes as long as a small fit."""
    return ThreadpoolController()


def workers_for(dataset: Dataset, jobs: int, n_threads: int | None, *, short: bool = True) -> int:
    """Jobs side by side, where the kernels, which release Python's lock, are most of the time.

    A ``short`` job is one run of EM: on few rows it is over before another thread has begun. A cell
    of a selection is many.
    """
    few = short and dataset.source.n_rows < ROWS_WORTH_A_THREAD
    if few or dataset.backend.name == "reference":
        return 1
    return min(jobs, n_threads or processors())
