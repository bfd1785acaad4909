"""Rows that are exchanged one by one between groups: where there are so few that a component is what rows it holds, and no more.

A component of four rows in three columns has no neighbourhood: with one row more or less it is another one, EM never moves it, and
a move that puts other components in the place of some leaves all those that are right with rows that are not theirs. There the
rows themselves are dealt out, and the likelihood of a partition (Symons 1981) is

    sum_k W_k log W_k - W_k / 2 log |S_k|

for weights W_k and covariances S_k of the groups. From a partition by chance, a drawn row goes to a drawn group, or changes place
with a drawn row where its own group has none to spare, and that is kept where it gains, or loses no more than chance allows at a
temperature that falls (simulated annealing; Celeux & Govaert 1992). No group may be so narrow that it would be degenerate
(:mod:`mixtura.degeneracy`): EM, which goes on from the groups, mostly narrows them further.

References
----------
Symons 1981, Biometrics 37, 35-43. Celeux & Govaert 1992, Computational Statistics & Data Analysis 14, 315-332.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from typing import NamedTuple

import numpy as np

from mixtura.arrays import Array, Flags, Labels
from mixtura.extension import extension
from mixtura.moments import Scatter

SWEEPS = 300
"""How often each row is drawn, on average."""

HOT, COLD = 3.0, 0.6
"""Temperature at the beginning and at the end."""


@dataclass(frozen=True, eq=False)
class Deal:
    """What is dealt out.

    Attributes
    ----------
    rows : (n, d)
        Distinct, in units of the columns.
    weights : (n,)
    n_groups : int
    form : Scatter
        Of the groups' covariances.
    needed : int
        Rows in a group at least.
    narrowest : (d,)
        Variances; what of a covariance is above them must be positive definite.
    unit : float
        Of log-likelihood (:attr:`mixtura.survey.Survey.row_weight`).
    """

    rows: Array
    weights: Array
    n_groups: int
    form: Scatter
    needed: int
    narrowest: Array
    unit: float = 1.0

    def groups(self, labels: Labels) -> list[Group]:
        """A partition (n,), group by group."""
        return [self._group(labels == k) for k in range(self.n_groups)]

    def _group(self, held: Flags) -> Group:
        weights, rows = self.weights[held], self.rows[held]
        total = float(weights.sum())
        mean = weights @ rows / total
        centred = rows - mean
        return Group(total, len(rows), mean, (weights[:, None] * centred).T @ centred)

    def may_have(self, group: Group) -> bool:
        """Whether a group has rows enough and is wide enough."""
        covariance = self.form.shaped(group.scatter / group.weight)
        return group.size >= self.needed and bool(np.linalg.eigvalsh(covariance - np.diag(self.narrowest))[0] > 0)


def annealed(deal: Deal, rng: np.random.Generator) -> Labels | None:
    """The best partition (n,) on the way from one by chance; None where that, or every one, has a group that may not be."""
    if len(deal.rows) < deal.n_groups * deal.needed:
        return None
    if rng.random() < 0.5:  # a group with a row to spare mostly stays sound in EM, one without may be likelier
        deal = replace(deal, needed=deal.needed + 1)
    labels = rng.permutation(len(deal.rows)) % deal.n_groups
    numbers = rng.random((SWEEPS * len(labels), 3))
    return (dealt if extension is None else _native)(deal, labels, numbers)


# ---- as it reads -------------------------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Rows together: their weight and number, their mean (d,) and scatter (d, d)."""

    weight: float
    size: int
    mean: Array
    scatter: Array

    def with_row(self, row: Array, weight: float) -> Group:
        """One more, or one less where its weight is negative."""
        total, step = self.weight + weight, row - self.mean
        scatter = self.scatter + weight * self.weight / total * np.outer(step, step)
        return Group(total, self.size + (1 if weight > 0 else -1), self.mean + weight / total * step, scatter)

    def level(self, form: Scatter) -> float:
        """What it adds to the likelihood; -inf where it has no volume."""
        sign, volume = np.linalg.slogdet(form.shaped(self.scatter / self.weight))
        return self.weight * log(self.weight) - 0.5 * self.weight * float(volume) if sign > 0 else -np.inf


class Change(NamedTuple):
    """Rows that go elsewhere, two groups as they are then, and what that gains."""

    labels: dict[int, int]
    groups: dict[int, Group]
    gain: float


def dealt(deal: Deal, labels: Labels, numbers: Array) -> Labels | None:
    """The best partition on the way from another one, drawn by ``numbers`` (m, 3) between 0 and 1."""
    labels = labels.copy()
    groups = deal.groups(labels)
    if not all(map(deal.may_have, groups)):
        return None
    level = highest = sum(group.level(deal.form) for group in groups)
    best = labels.copy()
    for temperature, (which, where, chance) in zip(_cooling(deal.unit, len(numbers)), numbers.tolist(), strict=True):
        change = _change(deal, labels, groups, which, where)
        if change is None or not change.gain >= temperature * log(chance or np.finfo(np.float64).tiny):
            continue
        if not all(map(deal.may_have, change.groups.values())):
            continue
        for k, group in change.groups.items():
            groups[k] = group
        labels[list(change.labels)] = list(change.labels.values())
        level += change.gain
        if level > highest:
            highest, best = level, labels.copy()
    return best


def _cooling(unit: float, m: int) -> Iterator[float]:
    """Temperatures of m steps."""
    fall = (COLD / HOT) ** (1.0 / max(m, 1))
    temperature = HOT * unit
    for _ in range(m):
        temperature *= fall
        yield temperature


def _change(deal: Deal, labels: Labels, groups: list[Group], which: float, where: float) -> Change | None:
    """A drawn row in a drawn group, or two drawn rows in each other's place; None where they stay."""
    n = len(labels)
    i = int(which * n)
    k = int(labels[i])
    if groups[k].size > deal.needed:
        other = int(where * (deal.n_groups - 1))
        other += other >= k
        moves = {i: other}
    else:
        j = int(where * n)
        other = int(labels[j])
        moves = {i: other, j: k}
    if other == k:
        return None
    changed = {k: groups[k], other: groups[other]}
    for row, to in moves.items():  # those that come before those that go, so that no group is empty on the way
        changed[to] = changed[to].with_row(deal.rows[row], float(deal.weights[row]))
    for row, to in moves.items():
        origin = k + other - to
        changed[origin] = changed[origin].with_row(deal.rows[row], -float(deal.weights[row]))
    gain = sum(group.level(deal.form) - groups[g].level(deal.form) for g, group in changed.items())
    return Change(moves, changed, gain)


# ---- the same in C++ ---------------------------------------------------------------------------------------------------


def _native(deal: Deal, labels: Labels, numbers: Array) -> Labels | None:
    """See ``native/annealing.cpp``."""
    settings = (deal.n_groups, deal.form.value, deal.needed, deal.narrowest, HOT * deal.unit, COLD * deal.unit)
    best = extension.dealt(deal.rows, deal.weights, labels.astype(np.int64), *settings, numbers)
    return None if best is None else np.asarray(best, dtype=np.intp)
