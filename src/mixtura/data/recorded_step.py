"""The step in which a column was recorded, and a robust scale of it: what the floor of the
likelihood is made of.

A length that is given as 5.1 stands for all lengths that round to it, so a column in steps of h
carries a variance of ``h^2 / 12`` that nobody measured. One odd value must not change the step:
neither a single 30.5 among whole ages, nor rows of another source, nor the noise of float
arithmetic. So only values that repeat are asked, and a few of them may lie off the grid.
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array, Rows

SAME_VALUE = 1e-9
"""Values closer than this part of the column's spread are one value: 0.1 + 0.2 and 0.3."""

SINGLE = 2.0**-22
"""Decimal numbers that were once written in float32 miss their grid by less than this part of the
largest.
"""

ON_GRID = 0.98
"""Part of the rows whose value repeats that lie on the step."""

FEWEST_VALUES, MOST_OF_ALL = 3, 0.9
"""Repeated values that tell a step, or two that make up so much of all rows."""

MOST_PARTS, MOST_GAPS = 10, 10
"""A step is looked for among the ten commonest gaps between repeated values, their differences, and
parts of both to a tenth.
"""

ASKED_FIRST, LIKELY = 50, 0.8
"""Values that a candidate is tried on first, and the part of them that must lie on it."""

COARSER, MANY_VALUES = 5.0, 20
"""A step that was rounded to a finer one is at least so many times as long, and is told from so
many repeated values: any of them lies on it by chance in two cases of five."""

FINEST = 20.0
"""A step is told from its noise where it is so many times as long."""

SIGMAS = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""


def recorded_step(column: Rows, weights: Array | None = None) -> float:
    """The step in which a column (n,) was recorded; 0 where no value repeats.

    The largest step on which at least 98 % of the rows whose value repeats lie, counted from the
    commonest value. Where there are fewer than three repeated values (or two that make up nine
    tenths of the rows), or no such step, the smallest gap between distinct values. Where that was
    only what a coarser step was rounded to when it was written, the coarser one.

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
    tells = len(grid) >= FEWEST_VALUES or (
        len(grid) == 2 and rows.sum() >= MOST_OF_ALL * counts.sum()
    )
    step = _largest_step(grid, rows) if tells else 0.0
    step = step or float(np.diff(values).min())
    return _coarser_step(grid, rows, step) or step


def robust_variance(column: Rows, weights: Array | None, variance: float) -> float:
    """The variance of a normal column (n,) with this interquartile range; ``variance`` where that
    is nought.
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
    spread = float(high - low) / SIGMAS
    return spread**2 if spread > 0 else variance


def _distinct(column: Array, weights: Array | None) -> tuple[Array, Array]:
    """Distinct values in order, and how often each occurs."""
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    occurs = np.ones(len(column)) if weights is None else weights[order]
    first = np.flatnonzero(
        np.concatenate([[True], np.diff(ordered) > SAME_VALUE * _spread(ordered, occurs)])
    )
    return ordered[first], np.add.reduceat(occurs, first)


def _spread(ordered: Array, occurs: Array) -> float:
    """The interquartile range of the rows, or of their distinct values: one of 1e12 must not make
    one value of all others.
    """
    running = np.cumsum(occurs)
    low, high = ordered[running.searchsorted((0.25 * running[-1], 0.75 * running[-1]))]
    below, above = np.quantile(np.unique(ordered), (0.25, 0.75))
    return float(max(high - low, above - below))


def _largest_step(grid: Array, rows: Array) -> float:
    """The largest step on which nearly all rows lie; 0 where there is none."""
    noise = max(SAME_VALUE * (grid[-1] - grid[0]), SINGLE * float(np.abs(grid).max()))
    commonest = np.argsort(-rows, kind="stable")
    away = (grid - grid[commonest[0]])[commonest]
    steps = _candidates(grid, noise)
    first = away[None, 1 : 1 + ASKED_FIRST]  # most candidates fail on the commonest values already
    likely = (np.abs(first - np.round(first / steps[:, None]) * steps[:, None]) <= noise).mean(
        axis=1
    ) >= LIKELY
    enough = ON_GRID * rows.sum()
    for step in steps[likely]:
        count = np.round(away / step)
        if rows[commonest][np.abs(away - count * step) <= noise].sum() >= enough:
            far = np.abs(count).argmax()
            return float(away[far] / count[far])
    return 0.0


def _coarser_step(grid: Array, rows: Array, fine: float) -> float:
    """A step that was rounded to a finer one when it was written: sixtieths of an hour in three
    digits; 0 where there is none.

    It is found from the usual gap, and refined on values further and further away.
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


def _candidates(grid: Array, noise: float) -> Array:
    """The commonest gaps between neighbours, their differences, and parts of both, the largest
    first.
    """
    gaps = np.sort(np.diff(grid))
    first = np.flatnonzero(np.concatenate([[True], np.diff(gaps) > 2.0 * noise]))
    often = np.diff(np.append(first, len(gaps)))
    common = gaps[first][np.argsort(-often, kind="stable")[:MOST_GAPS]]
    apart = np.abs(common[:, None] - common[None])[np.triu_indices(len(common), 1)]
    whole = np.concatenate([common, apart])
    steps = np.unique(whole[:, None] / np.arange(1, MOST_PARTS + 1))[::-1]
    return np.asarray(steps[steps > FINEST * noise])
