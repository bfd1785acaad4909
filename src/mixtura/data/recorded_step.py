"""The recorded step of a column, and its robust variance, which bound variances from below.

A length of 5.1 stands for all lengths that round to it, so a column recorded in steps of h has a
rounding variance of ``h^2 / 12``. Single values must not change the step: neither a 30.5 among
whole ages, nor rows of another source, nor the rounding of float arithmetic. So only repeated
values count, and a few of them may be off the grid.
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array, Rows

SAME_VALUE = 1e-9
"""Part of the column's interquartile range within which two values are equal: 0.1 + 0.2 and 0.3."""

FLOAT32_ROUNDING = 2.0**-22
"""Rounding of decimal numbers that were once stored in float32, as a part of the largest one."""

ON_GRID = 0.98
"""Part of the rows with repeated values that must be multiples of the step."""

FEWEST_VALUES, MOST_ROWS = 3, 0.9
"""Repeated values that determine a step; two do so if they make up this part of all rows."""

MOST_GAPS, MOST_DIVISORS = 10, 10
"""Candidates for the step are the most frequent gaps between repeated values, at most so many,
their differences, and both divided by 1, 2, ... up to so much.
"""

TRIED_FIRST, LIKELY = 50, 0.8
"""Most frequent values on which a candidate is tried first, and the part of them that must be
multiples of it.
"""

COARSER, MANY_VALUES = 5.0, 20
"""A coarser step that was rounded to a finer one is at least so many times as long, and needs so
many repeated values, since two of five values fit it by chance.
"""

STEP_OVER_ROUNDING = 20.0
"""Least ratio of a step to the rounding of the values."""

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""


def recorded_step(column: Rows, weights: Array | None = None) -> float:
    """The step in which a column (n,) was recorded; 0 where no value repeats.

    The largest step of which at least 98 % of the rows with repeated values are multiples, counted
    from the most frequent value. With fewer than three repeated values (or two in nine tenths of
    the rows), or without such a step, it is the smallest gap between distinct values. Where the
    values were multiples of a coarser step, rounded to the finer one, it is the coarser step.

    Parameters
    ----------
    column : (n,)
    weights : (n,), optional
        Frequencies: a weight of 2 is a repeated value.

    Examples
    --------
    >>> import numpy as np
    >>> round(recorded_step(np.array([5.1, 4.9, 4.7, 5.1, 4.9, 4.7, 5.3001])), 9)
    0.2
    """
    values, counts = _distinct(np.asarray(column, dtype=np.float64), weights)
    repeats = counts >= 2.0
    if len(values) < 2 or not repeats.any():
        return 0.0
    grid, rows = values[repeats], counts[repeats]
    enough = len(grid) >= FEWEST_VALUES or (
        len(grid) == 2 and rows.sum() >= MOST_ROWS * counts.sum()
    )
    step = _largest_step(grid, rows) if enough else 0.0
    step = step or float(np.diff(values).min())
    return _coarser_step(grid, rows, step) or step


def robust_variance(column: Rows, weights: Array | None, variance: float) -> float:
    """The variance of a normal column with the interquartile range of a column (n,).

    ``variance`` where that range is 0.
    """
    values = np.asarray(column, dtype=np.float64)
    if weights is None:
        low, high = np.quantile(values, (0.25, 0.75))
    else:
        order = np.argsort(values, kind="stable")
        running = np.cumsum(weights[order])
        low, high = values[order][
            np.minimum(
                running.searchsorted((0.25 * running[-1], 0.75 * running[-1])), len(values) - 1
            )
        ]
    spread = float(high - low) / NORMAL_IQR
    return spread**2 if spread > 0 else variance


def _distinct(column: Array, weights: Array | None) -> tuple[Array, Array]:
    """Distinct values in order, and their frequencies."""
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    occurs = np.ones(len(column)) if weights is None else weights[order]
    first = np.flatnonzero(
        np.concatenate([[True], np.diff(ordered) > SAME_VALUE * _spread(ordered, occurs)])
    )
    return ordered[first], np.add.reduceat(occurs, first)


def _spread(ordered: Array, occurs: Array) -> float:
    """The larger interquartile range of the rows and of their distinct values.

    A single value of 1e12 does not change it.
    """
    running = np.cumsum(occurs)
    low, high = ordered[running.searchsorted((0.25 * running[-1], 0.75 * running[-1]))]
    below, above = np.quantile(np.unique(ordered), (0.25, 0.75))
    return float(max(high - low, above - below))


def _largest_step(grid: Array, rows: Array) -> float:
    """The largest step of which nearly all rows are multiples; 0 where there is none."""
    rounding = max(SAME_VALUE * (grid[-1] - grid[0]), FLOAT32_ROUNDING * float(np.abs(grid).max()))
    frequent = np.argsort(-rows, kind="stable")
    away = (grid - grid[frequent[0]])[frequent]
    steps = _candidates(grid, rounding)
    first = away[None, 1 : 1 + TRIED_FIRST]
    off_grid = np.abs(first - np.round(first / steps[:, None]) * steps[:, None])
    likely = (off_grid <= rounding).mean(axis=1) >= LIKELY
    enough = ON_GRID * rows.sum()
    for step in steps[likely]:
        count = np.round(away / step)
        if rows[frequent][np.abs(away - count * step) <= rounding].sum() >= enough:
            far = np.abs(count).argmax()
            return float(away[far] / count[far])
    return 0.0


def _coarser_step(grid: Array, rows: Array, fine: float) -> float:
    """A coarser step, rounded to the finer one, such as sixtieths in three digits; 0 for none.

    The first estimate is the usual gap; values further and further away refine it.
    """
    if len(grid) < MANY_VALUES:
        return 0.0
    gaps = np.diff(grid)
    usual = gaps[np.abs(gaps - np.median(gaps)) <= 2.0 * fine]
    if not len(usual) or usual.mean() < COARSER * fine:
        return 0.0
    away, step, reach = grid - grid[rows.argmax()], float(usual.mean()), 2.0
    while reach < 2.0 * np.abs(away).max() / step:
        reach *= 2.0
        near = away[np.abs(away) <= reach * step]
        count = np.round(near / step)
        step = float(near @ count / (count @ count)) if count.any() else step
    on_grid = np.abs(away - np.round(away / step) * step) <= (1.0 + SAME_VALUE) * fine
    return step if rows[on_grid].sum() >= ON_GRID * rows.sum() else 0.0


def _candidates(grid: Array, rounding: float) -> Array:
    """The most frequent gaps, their differences, and fractions of both, the largest first."""
    gaps = np.sort(np.diff(grid))
    first = np.flatnonzero(np.concatenate([[True], np.diff(gaps) > 2.0 * rounding]))
    often = np.diff(np.append(first, len(gaps)))
    common = gaps[first][np.argsort(-often, kind="stable")[:MOST_GAPS]]
    apart = np.abs(common[:, None] - common[None])[np.triu_indices(len(common), 1)]
    whole = np.concatenate([common, apart])
    steps = np.unique(whole[:, None] / np.arange(1, MOST_DIVISORS + 1))[::-1]
    return np.asarray(steps[steps > STEP_OVER_ROUNDING * rounding])
