"""One more component, while all else of a mixture stays: where it settles, and what it gains.

With the mixture ``p`` as it is, ``(1 - a) p + a N(mu, Sigma)`` is raised by EM on ``a``, ``mu`` and ``Sigma`` alone, whose gain
``sum_i w_i log(1 - a + a N(x_i) / p(x_i))`` is exact (the insertion step of Verbeek, Vlassis & Krose 2003, Neural Computation
15:469-485). That is as much work as one of K components is in EM, so hundreds of starts may be tried; they are

    clumps      small groups of rows that are near each other (:mod:`mixtura.clumps`)
    flats       rows near the line, plane, ... through a few drawn rows, or along some of the axes: a component may be as long as a
                whole cluster and hold few rows, which no neighbourhood of a row contains

A component that shrinks onto fewer rows than its family needs, or below what the data resolve, is no find.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log1p, pi
from typing import NamedTuple

import numpy as np

from mixtura.arrays import Array, orthonormal
from mixtura.covariance import Dense
from mixtura.errors import CollapseError
from mixtura.extension import extension
from mixtura.moments import Scatter
from mixtura.view import Part, View, drawn

MOST_STEPS = 15
STILL = 0.05
"""Steps of EM, and the gain at which it is at rest; further rows' worth of digits do not change which find is the best."""

REACH = 2.0
"""A flat ends at so many times the distance between its seeds."""

LARGEST_EXPONENT = 700.0


class Find(NamedTuple):
    """A component that may come in, and the log-likelihood it adds to the mixture as it is."""

    gain: float
    part: Part


class Flat(NamedTuple):
    """The ``n_rows`` rows nearest to the flat through the seeds, up to d of them, or along some axes through the first seed."""

    seeds: tuple[int, ...]
    axes: tuple[int, ...]
    n_rows: int


def finds(view: View, out: int, starts: Sequence[Flat | Part]) -> list[Find]:
    """What becomes of each start in the place of a component; those that do not last are left out."""
    one = _native if extension is not None else _settled
    settled = [one(view, view.without(out), start) for start in starts]
    return [find for find in settled if find is not None]


def _native(view: View, log_density: Array, start: Flat | Part) -> Find | None:
    """The same in C++ (``native/insertions.cpp``)."""
    form, fewest, narrowest, scale = view.form.value, view.fewest, view.narrowest, view.survey.scale
    settings = (log_density, form, fewest, narrowest, scale)
    if isinstance(start, Flat):
        d = view.rows.shape[1]
        seeds, axes = np.full(d, -1.0), np.zeros(d)
        seeds[: len(start.seeds)] = start.seeds
        axes[list(start.axes)] = 1.0
        answer = extension.insert_flat(view.native, seeds, axes, start.n_rows, *settings)
    else:
        answer = extension.insert_part(view.native, *start, *settings)
    return None if answer is None else Find(answer[0], Part(*answer[1:]))


# ---- as it reads in the paper ------------------------------------------------------------------------------------------


def _settled(view: View, log_density: Array, start: Flat | Part) -> Find | None:
    part = near_flat(view, start) if isinstance(start, Flat) else start
    try:
        return None if part is None else settle(view, log_density, part)
    except CollapseError:
        return None


def settle(view: View, log_density: Array, start: Part) -> Find | None:
    """EM on one component beside a mixture of these log densities (n,), as long as it gains; None where it shrinks too far."""
    part, before = (
        start._replace(weight=min(start.weight, view.total / 2), covariance=view.form.shaped(start.covariance)),
        -np.inf,
    )
    for step in range(MOST_STEPS + 1):
        if (np.linalg.eigvalsh(part.covariance / np.sqrt(np.outer(view.survey.scale, view.survey.scale))) <= view.narrowest).any():
            return None
        a, own = part.weight / view.total, _log_densities(view, part)
        ratios = np.exp(log(a) - log1p(-a) + np.minimum(own - log_density, LARGEST_EXPONENT))
        gain = float(view.total * log1p(-a) + view.weights @ np.log1p(ratios))
        shares = view.weights * ratios / (1.0 + ratios)
        count = float(shares.sum())
        if not count >= view.fewest or not np.isfinite(gain):
            return None
        if step == MOST_STEPS or gain < before + STILL * view.row_weight:
            break
        mean = shares @ view.rows / count
        centred = view.rows - mean
        covariance = view.form.shaped((shares[:, None] * centred).T @ centred / count)
        part, before = Part(min(count, view.total / 2), mean, covariance), gain
    return Find(gain, part)


def beside(view: View, log_density: Array, part: Part) -> Array:
    """Log densities (n,) of a mixture after it has made room for one more component."""
    a = min(part.weight / view.total, 0.5)
    return np.asarray(np.logaddexp(log1p(-a) + log_density, log(a) + _log_densities(view, part)))


def _log_densities(view: View, part: Part) -> Array:
    """``log N(x_i)`` of all rows (n,) under one component."""
    form = Dense(part.covariance[None], 1)
    squares = (form.whiten(0, view.rows - part.mean) ** 2).sum(axis=1)
    return np.asarray(-0.5 * (squares + form.log_det[0] + view.rows.shape[1] * log(2 * pi)))


def near_flat(view: View, flat: Flat) -> Part | None:
    """The rows nearest to a flat, in units of the components' mean covariance, as a component; None where they have no spread."""
    white = Dense(view.pooled[None], 1)
    y = white.whiten(0, view.rows - view.rows[flat.seeds[0]])
    spans = [y[row] for row in flat.seeds[1:]]
    extent = np.inf if flat.axes else max((float(v @ v) for v in spans), default=0.0)
    spans += [white.whitener[0][:, j] for j in flat.axes]
    basis = orthonormal(spans, y.shape[1])
    along = ((y @ basis.T) ** 2).sum(axis=1)
    near = np.flatnonzero((along <= REACH**2 * extent) & (view.weights > 0))
    off = ((y**2).sum(axis=1) - along)[near]
    held = np.sort(near[np.argsort(off, kind="stable")[: flat.n_rows]])
    if len(held) < 2:
        return None
    weights = view.weights[held]
    mean = weights @ view.rows[held] / weights.sum()
    centred = view.rows[held] - mean
    return Part(float(weights.sum()), mean, (weights[:, None] * centred).T @ centred / weights.sum())


# ---- what may come in at all -------------------------------------------------------------------------------------------


def drawn_flat(view: View, rng: np.random.Generator) -> Flat:
    """A flat through some rows drawn by weight, along as many axes as there are more than rows where a family has axes only."""
    d = view.rows.shape[1]
    n_rows = int(rng.integers(d + 2, 4 * (d + 1) + 1))
    n_seeds = int(rng.integers(1, d)) + 1 if view.form is Scatter.DENSE and d > 1 else 1
    seeds = tuple(drawn(view.any_row, rng) for _ in range(n_seeds))
    axes = () if view.form is not Scatter.DIAGONAL or d == 1 else tuple(rng.permutation(d)[: int(rng.integers(0, d))].tolist())
    return Flat(seeds, axes, n_rows)
