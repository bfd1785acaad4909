"""Seconds per iteration that start-up, validation and final passes do not count in."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Iterations = Callable[[int], int]
"""Iterations wanted -> iterations really run."""

LONG, SHORT = 7, 2
REPEATS = 5
BUDGET = 10.0
"""Seconds after which nobody is run again: slow peers are measured once, and their noise is small
beside their time.
"""


REST = 0.1
"""Seconds before each turn: threads of OpenBLAS, OpenMP and TBB go on spinning for a while after
their work, and would take a processor from whoever is next."""


def seconds_per_iteration(
    runs: Mapping[str, Iterations],
    repeats: int = REPEATS,
    long: int = LONG,
    short: int = SHORT,
    budget: float = BUDGET,
) -> dict[str, float]:
    """Difference quotient of a long and a short run, the median over repeats.

    NaN for whoever stopped by itself, and where the noise was larger than what was to be measured.
    In each repeat everybody runs once, so that a slow minute of the machine hits all alike.
    """
    quotients: dict[str, list[float]] = {name: [] for name in runs}
    spent = dict.fromkeys(runs, 0.0)
    for _ in range(repeats):
        for name, run in runs.items():
            if spent[name] > budget:
                continue
            time.sleep(REST)
            (longer, ran_longer), (shorter, ran_shorter) = _timed(run, long), _timed(run, short)
            spent[name] += longer + shorter
            quotients[name].append(
                (longer - shorter) / (ran_longer - ran_shorter)
                if ran_longer > ran_shorter
                else float("nan")
            )
    medians = {name: statistics.median(taken) for name, taken in quotients.items()}
    return {name: median if median > 0 else float("nan") for name, median in medians.items()}


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Of the whole work, the median."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _timed(run: Iterations, iterations: int) -> tuple[float, int]:
    begin = time.perf_counter()
    ran = run(iterations)
    return time.perf_counter() - begin, ran
