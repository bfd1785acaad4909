"""Seconds per iteration, without the time of start-up, validation and final passes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Iterations = Callable[[int], int]
"""Takes the iterations wanted, returns the iterations really run."""

LONG, SHORT = 7, 2
"""Iterations of the long and of the short run."""

REPEATS = 5
BUDGET = 10.0
"""Seconds after which a contender is not run again: slow ones are measured once, and noise is small
compared with their time.
"""

PAUSE = 0.1
"""Seconds before each run: threads of OpenBLAS, OpenMP and TBB keep spinning for a while after
their work and would occupy a processor during the next run.
"""


def seconds_per_iteration(
    runs: Mapping[str, Iterations],
    repeats: int = REPEATS,
    long: int = LONG,
    short: int = SHORT,
    budget: float = BUDGET,
) -> dict[str, float]:
    """(Time of a long run - time of a short run) / difference of their iterations; the median over
    the repeats.

    NaN where a contender stopped too early by itself, and where noise was larger than the time to
    be measured. In each repeat every contender runs once, so that a slow phase of the machine
    affects all alike.
    """
    quotients: dict[str, list[float]] = {name: [] for name in runs}
    spent = dict.fromkeys(runs, 0.0)
    for _ in range(repeats):
        for name, run in runs.items():
            if spent[name] > budget:
                continue
            time.sleep(PAUSE)
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
    """Median time of the whole work."""
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
