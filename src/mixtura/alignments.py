"""Small groups of rows that nearly lie on a line, a plane, ..., or along some of the axes: looked for everywhere.

The best optimum of few rows often has a component that is as long as a cluster and as thin as a needle. It holds a handful of
rows that no neighbourhood contains, and a draw of chance seldom hits it. So groups are laid around each row, among all rows and
among ever fewer of the nearest ones, since on the line of a short needle most rows are others:

    near        the rows nearest to a flat through the row and some others: none (then they are a ball), one (a line), ...
    windows     rows one after the other in the order of their angle about the row and d - 2 others. In two columns, these are all
                lines through a row, and in three all planes through two: neighbours in angle are on one of them, nearly
    axes        where a family has axes only: the rows nearest to the row in some of the columns

A group is as large as is best by what a component of its rows alone gains, ``W log(W/T) - W/2 (log|S| + d log 2 pi e)`` for
weight W of T and covariance S, on the density that rows have there, by the distances to their neighbours. No mixture comes into
this, so it is done once for a data set, and the groups wait for every fit: they are few enough to be ranked anew for each
(:meth:`Alignments.gains`). A group that would be degenerate (:mod:`mixtura.degeneracy`) is not one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, lgamma, log, log1p, pi
from typing import TypeAlias

import numpy as np
from scipy.spatial import cKDTree

from mixtura.arrays import NO_DIRECTION, Array, Flags, Labels, orthonormal
from mixtura.clumps import Distinct
from mixtura.extension import extension
from mixtura.moments import Scatter

LOOKS = 500_000
"""Rows that are looked at for each kind of group, or sizes that are tried: some hundredths of a second."""

FURTHER = 4
"""So many times fewer rows are looked at next."""

SIZES = 3
"""Groups have up to so many times d + 1 rows, and one more than a component needs at least, since it shares some with others."""

SORTED = 8
"""To find the nearest rows, so many are looked at as fast as one."""

MOST_THROUGH = 3
"""Rows that a flat goes through at most: of more, chance would have to draw them all from one group."""

KEPT = 8
"""Groups of each kind kept of those around a row."""

MOST = 4_000
"""Groups that wait."""

MOST_AXES = 4
"""Columns of which all subsets are tried; of more, single columns, and all but one."""

SAME_GAIN = 1e-9


@dataclass(frozen=True, eq=False)
class Judge:
    """What is asked of a group, in units of the columns.

    Attributes
    ----------
    form : Scatter
    smallest, largest : int
        Rows.
    grid : (d,)
        Resolution of the columns.
    narrowest : float
        Variance.
    """

    form: Scatter
    smallest: int
    largest: int
    grid: Array
    narrowest: float


@dataclass(frozen=True, eq=False)
class Kind:
    """One way to lay groups.

    Attributes
    ----------
    name : str
    pivots : (P,)
        Rows to lay them around.
    reaches : (S,)
        Among how many of the nearest rows.
    places : (S, T, q)
        Further rows that a flat goes through, by their place among the nearest.
    axes : (A, d)
        1 for an axis along which a group may extend.
    """

    name: str
    pivots: Labels
    reaches: Labels
    places: Labels
    axes: Labels


@dataclass(frozen=True, eq=False)
class Field:
    """Distinct rows in two kinds of units, and how dense they are.

    Attributes
    ----------
    white, scaled : (n, d)
        For nearness, and for covariances.
    weights, log_density : (n,)
    """

    white: Array
    scaled: Array
    weights: Array
    log_density: Array

    @classmethod
    def of(cls, own: Distinct, scale: Array, covariance: Array) -> Field:
        """With the density that the distance to the sqrt(n)-th neighbour tells."""
        scaled = own.rows / np.sqrt(scale)
        n, d = scaled.shape
        values, axes = np.linalg.eigh(covariance / np.sqrt(np.outer(scale, scale)))
        values = np.maximum(values, NO_DIRECTION * max(float(values[-1]), np.finfo(np.float64).tiny))
        white = (scaled - scaled.mean(axis=0)) @ (axes / np.sqrt(values))
        k = min(n - 1, ceil(n**0.5))
        radii = np.asarray(cKDTree(white).query(white, k=[k + 1])[0])[:, 0]
        ball = 0.5 * d * log(pi) - lgamma(0.5 * d + 1)
        log_density = log(k / n) - ball - d * np.log(np.maximum(radii, NO_DIRECTION)) - 0.5 * np.log(values).sum()
        return cls(*(np.ascontiguousarray(part) for part in (white, scaled, own.weights, log_density)))


def alignments_of(
    rows: Array, weights: Array, covariance: Array, scale: Array, resolution: Array, form: Scatter, needed: int, narrowest: float
) -> Alignments | None:
    """The groups of rows (n, d); None where there are too few for one."""
    own = Distinct.of(rows, weights)
    n, d = own.rows.shape
    judge = Judge(form, needed + 1, SIZES * (d + 1) + 1, resolution / np.sqrt(scale), narrowest)
    if n < 2 * judge.smallest:
        return None
    field = Field.of(own, scale, covariance)
    lay = laid if extension is None else _native
    found: dict[tuple[int, ...], float] = {}
    for kind in kinds_of(n, d, judge):
        for gain, group in zip(*lay(field, kind, judge), strict=True):
            found[tuple(group.astype(int).tolist())] = gain
    if not found:
        return None
    best = sorted(found, key=lambda group: -found[group])[:MOST]
    return Alignments.of(np.array(best, dtype=np.intp), own, form)


def kinds_of(n: int, d: int, judge: Judge) -> list[Kind]:
    """All kinds of groups that there are in d columns, with so many looks each; what is too many is drawn."""
    rng = np.random.default_rng(0)
    reaches = [n]
    while reaches[-1] // FURTHER >= 2 * judge.largest:
        reaches.append(reaches[-1] // FURTHER)
    balls = _flats("near", 0, n, [min(n, judge.largest)], rng)
    if judge.form is Scatter.DENSE and d > 1:
        lower = [_flats("near", q, n, reaches, rng) for q in range(1, min(d - 1, MOST_THROUGH))]
        return [balls, *lower, *([_flats("windows", d - 2, n, reaches, rng)] if d <= MOST_THROUGH else [])]
    if judge.form is not Scatter.DIAGONAL or d == 1:
        return [balls]
    subsets = _subsets(d)
    pivots = _drawn_rows(n, LOOKS // (sum(reaches) * len(subsets)), rng)
    return [Kind("axes", pivots, np.array(reaches, dtype=np.int64), np.zeros((len(reaches), 0, 0), dtype=np.int64), subsets)]


def _subsets(d: int) -> Labels:
    """Some of d axes and never all: 1 for one that is in (A, d)."""
    if d <= MOST_AXES:
        return np.array(list(product((0, 1), repeat=d))[:-1], dtype=np.int64)
    single = np.eye(d, dtype=np.int64)
    return np.concatenate([np.zeros((1, d), dtype=np.int64), single, 1 - single])


def _flats(name: str, q: int, n: int, reaches: Sequence[int], rng: np.random.Generator) -> Kind:
    """Flats through a row and q others: as many as there may be looks, around all rows before more than one around a row."""
    pivots = _drawn_rows(n, LOOKS // (sum(reaches) + n // SORTED), rng)
    each = LOOKS // (sum(reaches) * n)
    T = 1 if q == 0 else max(1, min(each, reaches[-1] - 1))
    places = np.array([[rng.choice(reach - 1, q, replace=False) + 1 for _ in range(T)] for reach in reaches], dtype=np.int64)
    return Kind(
        name, pivots, np.array(reaches, dtype=np.int64), places.reshape(len(reaches), T, q), np.zeros((0, 0), dtype=np.int64)
    )


def _drawn_rows(n: int, most: int, rng: np.random.Generator) -> Labels:
    return np.arange(n) if n <= most else np.sort(rng.choice(n, max(1, most), replace=False))


# ---- as it reads -------------------------------------------------------------------------------------------------------


Kept: TypeAlias = list[tuple[float, list[int]]]
"""Gain and rows of the best groups so far."""


def laid(field: Field, kind: Kind, judge: Judge) -> tuple[Array, Array]:
    """The best groups around each pivot: their gains, and their rows, padded with -1."""
    found = [group for pivot in kind.pivots.tolist() for group in _around(field, kind, judge, pivot)]
    rows = np.full((len(found), judge.largest), -1.0)
    for i, (_, group) in enumerate(found):
        rows[i, : len(group)] = group
    return np.array([gain for gain, _ in found]), rows


def _around(field: Field, kind: Kind, judge: Judge, pivot: int) -> Kept:
    kept: Kept = []
    steps = field.white - field.white[pivot]
    near = np.argsort((steps**2).sum(axis=1), kind="stable")
    for reach, places in zip(kind.reaches.tolist(), kind.places, strict=True):
        close = near[:reach]
        for axes in kind.axes:
            _along(field, judge, pivot, close, axes == 0, kept)
        for place in places:
            through = [pivot, *near[place].tolist()]
            basis = orthonormal([steps[row] for row in through[1:]], steps.shape[1])
            if len(basis) < len(place):
                continue
            rest = steps[close] - steps[close] @ basis.T @ basis
            if kind.name == "near":
                _grow(field, judge, close[np.argsort((rest**2).sum(axis=1), kind="stable")], [], kept)
            else:
                _turn(field, judge, close, rest @ _plane(basis).T, through, kept)
    return kept


def _turn(field: Field, judge: Judge, close: Labels, flat: Array, through: list[int], kept: Kept) -> None:
    """Windows in the order of the angle of rows in a plane (r, 2), round the end."""
    used = ~np.isin(close, through) & ((flat**2).sum(axis=1) > NO_DIRECTION**2)
    x, y = flat[used].T
    angles = np.where((x < 0) | ((x == 0) & (y < 0)), np.arctan2(-y, -x), np.arctan2(y, x))
    order = close[used][np.argsort(angles, kind="stable")]
    for start in range(len(order)):
        _grow(field, judge, np.roll(order, -start), through, kept)


def _along(field: Field, judge: Judge, pivot: int, close: Labels, across: Flags, kept: Kept) -> None:
    """Rows near a row in some columns; in order where this is one."""
    steps = field.scaled[close][:, across] - field.scaled[pivot, across]
    if across.sum() > 1:
        _grow(field, judge, close[np.argsort((steps**2).sum(axis=1), kind="stable")], [], kept)
        return
    order = close[np.argsort(steps[:, 0], kind="stable")]
    own = int(np.flatnonzero(order == pivot)[0])
    for start in range(max(0, own + 1 - judge.largest), own + 1):
        _grow(field, judge, order[start:], [], kept)


def _grow(field: Field, judge: Judge, order: Labels, fixed: list[int], kept: Kept) -> None:
    """Of the fixed rows and the first few of an order, as many as is best; kept while they are among the best."""
    rows = [*fixed, *order[: judge.largest - len(fixed)].tolist()]
    highest, best = (-np.inf if len(kept) < KEPT else min(kept)[0]), 0
    for size in range(max(judge.smallest, len(fixed) + 1), len(rows) + 1):
        gain, spread = _gain(field, judge, rows[:size])
        if gain > highest and _resolved(judge, spread):
            highest, best = gain, size
    if best == 0 or any(abs(gain - highest) < SAME_GAIN for gain, _ in kept):
        return
    if len(kept) == KEPT:
        kept.remove(min(kept))
    kept.append((highest, sorted(rows[:best])))


def _gain(field: Field, judge: Judge, rows: list[int]) -> tuple[float, Array]:
    """What a component of these rows gains on the density that describes them so far, and its covariance."""
    weights, x, d = field.weights[rows], field.scaled[rows], field.scaled.shape[1]
    total, weight = float(field.weights.sum()), float(weights.sum())
    centred = x - weights @ x / weight
    spread = judge.form.shaped((weights[:, None] * centred).T @ centred / weight)
    sign, volume = np.linalg.slogdet(spread)
    if sign <= 0:
        return -np.inf, spread
    part = min(weight / total, 0.5)
    own = weight * log(part) - 0.5 * weight * (volume + d * (log(2 * pi) + 1)) + (total - weight) * log1p(-part)
    return float(own - weights @ field.log_density[rows]), spread


def _resolved(judge: Judge, spread: Array) -> bool:
    """Whether a covariance is wide enough along each of its own axes."""
    values, axes = np.linalg.eigh(spread)
    if judge.form is not Scatter.DENSE:
        values, axes = np.diag(spread), np.eye(len(spread))
    return bool(((values > judge.narrowest) & (values >= (axes**2).T @ judge.grid**2)).all())


def _plane(basis: Array) -> Array:
    """Two directions (2, d) across d - 2 others: the unit vector of which most is left, and then the next."""
    d = basis.shape[1]
    for _ in range(2):
        left = np.eye(d) - basis.T @ basis
        most = left[int(np.argmax((left**2).sum(axis=1)))]
        basis = np.vstack([basis, most / np.sqrt(most @ most)])
    return basis[-2:]


# ---- the same in C++ ---------------------------------------------------------------------------------------------------


def _native(field: Field, kind: Kind, judge: Judge) -> tuple[Array, Array]:
    """Gains and rows (padded with -1) of groups, in C++ (``native/alignments.cpp``)."""
    axes = kind.axes.reshape(len(kind.axes), field.white.shape[1])
    found: tuple[Array, Array] = extension.aligned(
        field.white, field.scaled, field.weights, field.log_density, kind.name, kind.pivots.astype(np.int64), kind.reaches,
        kind.places, axes, judge.form.value, judge.smallest, judge.largest, judge.grid, judge.narrowest, KEPT,
    )  # fmt: skip
    return found


# ---- the same for a fit ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Alignments:
    """Groups of rows, each with the Gaussian of its rows alone.

    Attributes
    ----------
    near : (C, R)
        Rows of each group; where they are fewer than R, others without weight.
    near_weights : (C, R)
    own : (C,)
        Log-likelihood of its rows in a component of their own, less what all others lose by making room for it.
    weights, means, covariances : (C,), (C, d), (C, d, d)
    """

    near: Labels
    near_weights: Array
    own: Array
    weights: Array
    means: Array
    covariances: Array

    @classmethod
    def of(cls, groups: Labels, rows: Distinct, form: Scatter) -> Alignments:
        """From groups (C, R) of distinct rows, padded with -1."""
        d, total = rows.rows.shape[1], float(rows.weights.sum())
        near = np.maximum(groups, 0)
        held = np.where(groups >= 0, rows.weights[near], 0.0)
        weights = held.sum(axis=1)
        means = np.einsum("cr,crd->cd", held, rows.rows[near]) / weights[:, None]
        centred = rows.rows[near] - means[:, None]
        covariances = form.shaped(np.einsum("cr,crd,cre->cde", held, centred, centred) / weights[:, None, None])
        part = np.minimum(weights / total, 0.5)
        own = weights * (np.log(part) - 0.5 * (np.linalg.slogdet(covariances)[1] + d * (log(2 * pi) + 1)))
        return cls(rows.first[near], held, own + (total - weights) * np.log1p(-part), weights, means, covariances)

    def part(self, c: int) -> tuple[float, Array, Array]:
        """One group: its weight, its mean (d,) and its covariance (d, d)."""
        return float(self.weights[c]), self.means[c], self.covariances[c]

    def gains(self, log_density: Array) -> Array:
        """A lower bound of what each adds to a mixture with these log densities (n,) of all rows (C,): its rows are left to it."""
        return np.asarray(self.own - (self.near_weights * log_density[self.near]).sum(axis=1))
