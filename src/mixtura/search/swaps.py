"""Many swaps at once: components that are missed least go, and those that hide two groups are cut
in two.

What a component gains by a cut is known without a look at the others: with the memberships ``r_ik``
of a fit as weights, two components in the place of one raise the log-likelihood by at least
``sum_i w_i r_ik log(f_new(x_i) / f_k(x_i))``, by Jensen's inequality, as in every step of EM. So EM
runs on the rows of one component alone (partial EM: Ueda, Nakano, Ghahramani & Hinton 2000, Neural
Computation 12:2109-2128), a hundredth of the work where there are a hundred components. What is
lost when two components become one is known in the same way; what one loses by going is exact, as
long as its neighbours stay.

Any cut gains: in a regular model p parameters more fit the chance of the rows by p / 2 on average
(Akaike 1974, IEEE Transactions on Automatic Control 19:716-723). A cut has many directions to
choose from, and false ones of 2,000 rows in 16 dimensions were measured to gain 0.4 to 0.9 p. With
500 rows and 153 parameters that is more than the right cut gains. So p is taken off every gain and
every loss; and a cut is also tried with one covariance for both halves, which costs d + 1
parameters and shows two groups of one shape in few rows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from mixtura.base.arrays import Array, Flags
from mixtura.base.errors import CollapseError
from mixtura.base.parallel import in_parallel
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.em import Start, em
from mixtura.em.stopping import SmallGain, remaining_gain
from mixtura.families import FAMILIES
from mixtura.model.covariance import Dense
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments, Scatter
from mixtura.model.protocols import Family
from mixtura.model.results import FitResult, StopReason
from mixtura.search.components import (
    Part,
    component_of,
    components_of,
    joined,
    moments_of_components,
)
from mixtura.search.responsibilities import Responsibilities

ROWS_PER_PARAMETER = 14
"""Rows of a component for each of its parameters that tell the right cut from a false one: two
equal groups three standard deviations apart gain 0.0626 a row by it (numerical integration), 0.125
for a row of a mean component; 1.75 p from here on, about twice what false ones were measured to
gain."""

STEPS = 30
STILL = 0.1
"""Iterations of partial EM at most, and the gain at which it is at rest."""

FIRST_STEPS = 10
HOPE = 3.0
"""Iterations after which a cut is given up, where so many times what its trace says is left to gain
would not be enough.
"""

NEIGHBOURS = 0.05
"""Two components that overlap more do not go together: each would count on the other."""

HEIRS = 3
"""Neighbours that take the rows of a component over when it goes: those that it overlaps most."""

DISPENSABLE = 0.3
"""Part of the components whose going is tried: those whose rows the others, as they are, describe
least badly.
"""

TAKEN_OVER = 0.2
"""Part of a loss that may be left when all others have made room, of which partial EM knows
nothing.
"""


@dataclass(frozen=True, eq=False)
class Change:
    """Some components, what comes in their place, and what log-likelihood that gains beyond chance
    (a loss is below zero).
    """

    group: tuple[int, ...]
    gain: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Exchange:
    """Where EM goes on after some swaps, and whether they are sure to gain."""

    moments: Moments
    sure: bool


def rows_enough(K: int, d: int) -> int:
    """Rows on which exchanges of K components in d dimensions can be judged."""
    return ceil(ROWS_PER_PARAMETER * K * (d + 1) * (d + 2) / 2)


def exchange(
    problem: Problem,
    mixture: Mixture,
    rng: np.random.Generator,
    drawn: bool = True,
    daring: bool = True,
    workers: int = 1,
    stopped: threading.Event | None = None,
) -> Exchange | None:
    """All swaps that promise a gain; None where none does, or where another thread has ``stopped``
    it.

    Single components are cut across their longest axis, or, if ``drawn``, perhaps by drawn rows,
    which differ each time. A ``daring`` exchange also cuts two in three, and where no swap is sure
    to gain it makes one that may. What goes and what grows is tried by any number of ``workers``
    side by side, with the same answer.
    """
    stopped = stopped or threading.Event()
    trial = Trial(
        problem, Responsibilities.of(problem.dataset, mixture, stopped), drawn, daring, stopped
    )
    dispensable = np.argsort(trial.responsibilities.losses, kind="stable")[
        : ceil(DISPENSABLE * mixture.n_components)
    ].tolist()
    losses = sorted(
        filter(None, in_parallel(trial.without, dispensable, workers, stopped)), key=_loss
    )
    if not losses:
        return None
    groups = [
        *((k,) for k in range(mixture.n_components)),
        *(_pairs(trial.responsibilities) if daring else ()),
    ]
    cuts = list(zip(groups, rng.spawn(len(groups)), strict=True))
    least = _loss(losses[0])
    worth = min(least, TAKEN_OVER * least) if daring else least
    grown = in_parallel(lambda cut: trial.grown(*cut, worth), cuts, workers, stopped)
    changes = swaps(
        trial.responsibilities.overlaps,
        losses,
        sorted(filter(None, grown), key=lambda change: -change.gain),
        daring,
    )
    if not changes or stopped.is_set():
        return None
    gone = {k for change in changes for k in change.group}
    stay = [part for k, part in enumerate(trial.responsibilities.parts) if k not in gone]
    moments = moments_of_components([*stay, *(part for change in changes for part in change.parts)])
    return Exchange(moments, sum(change.gain for change in changes) > 0.0)


def swaps(
    overlaps: Array, losses: Sequence[Change], growths: Sequence[Change], daring: bool = True
) -> list[Change]:
    """Who goes and who grows: the least loss with the greatest gain, and so on while there is more
    to gain than to lose.

    Where no swap is sure to gain, the most promising one may, if its gain is above what may be left
    of the loss.
    """
    changes: list[Change] = []
    touched: set[int] = set()
    for lost in losses:
        if (
            touched.intersection(lost.group)
            or overlaps[np.ix_(lost.group, sorted(touched))].max(initial=0.0) > NEIGHBOURS
        ):
            continue
        grown = next(
            (each for each in growths if not touched.union(lost.group).intersection(each.group)),
            None,
        )
        if grown is None or grown.gain <= _loss(lost):
            return changes or (_unsure(lost, growths) if daring else [])
        changes += [lost, grown]
        touched.update(lost.group, grown.group)
    return changes


def _unsure(lost: Change, growths: Sequence[Change]) -> list[Change]:
    """A swap that gains if others make room: a single component is cut, since any two cut in three
    gain more by chance.

    An heir of what goes may be the one that grows: the others then take the rows over in EM.
    """
    k = lost.group[-1]
    grown = next((each for each in growths if len(each.group) == 1 and each.group[0] != k), None)
    if grown is None or grown.gain <= max(TAKEN_OVER * _loss(lost), 0.0):
        return []
    return [replace(lost, group=(k,), parts=()) if grown.group[0] in lost.group else lost, grown]


def _loss(change: Change) -> float:
    return -change.gain


def _pairs(responsibilities: Responsibilities) -> list[tuple[int, ...]]:
    """Every component with the neighbour that it overlaps most, each pair once."""
    others = responsibilities.overlaps - np.eye(responsibilities.n_components)
    return sorted(
        {tuple(sorted((k, int(others[k].argmax())))) for k in range(responsibilities.n_components)}
    )


@dataclass(frozen=True, eq=False)
class Trial:
    """Changes of a fit, tried by partial EM."""

    problem: Problem
    responsibilities: Responsibilities
    drawn: bool
    daring: bool
    stopped: threading.Event

    def grown(
        self, group: tuple[int, ...], rng: np.random.Generator, worth: float
    ) -> Change | None:
        """One more component by partial EM from a cut; None where the rows of the group cannot be
        cut so often.

        A gain that will hardly be ``worth`` it is not followed to its end.
        """
        rows, weights = self.responsibilities.of_group(group)
        parts = [self.responsibilities.parts[k] for k in group]
        begin = self._begin(rows, weights, parts, rng)
        if begin is None or self.stopped.is_set():
            return None
        own = self.responsibilities.dataset.part(rows, weights)
        try:
            before = self._level(
                self._em(own, moments_of_components(parts), self.problem.family, STEPS)
            )
            tied = self._climbed(own, begin, self.tied, before + worth)
            best = tied
            # two of different shapes at one place are too rare to look for in haste
            if self.daring or self._level(tied) > before + worth:
                free = self._climbed(
                    own, components_of(tied.mixture, own.total), self.problem.family, before + worth
                )
                best = max(tied, free, key=self._level)
        except CollapseError:
            return None
        return Change(group, self._level(best) - before, components_of(best.mixture, own.total))

    def without(self, k: int) -> Change | None:
        """A component gone, and its rows taken over by its neighbours, by partial EM of these."""
        if self.stopped.is_set():
            return None
        group = self._heirs(k)
        rows, weights = self.responsibilities.of_group((k, *group))
        parts = [self.responsibilities.parts[other] for other in (*group, k)]
        own = self.responsibilities.dataset.part(rows, weights)
        try:
            before, after = (
                self._em(own, moments_of_components(p), self.problem.family, n)
                for p, n in ((parts, 0), (parts[:-1], STEPS))
            )
        except CollapseError:
            return None
        return Change(
            (*group, k),
            self._level(after) - self._level(before),
            components_of(after.mixture, own.total),
        )

    def _heirs(self, k: int) -> tuple[int, ...]:
        """The neighbour that a component overlaps most, and a few more that are neighbours at
        all.
        """
        overlaps = self.responsibilities.overlaps[k]
        near = [other for other in np.argsort(-overlaps, kind="stable").tolist() if other != k]
        return (near[0], *(other for other in near[1:HEIRS] if overlaps[other] > NEIGHBOURS))

    @property
    def tied(self) -> Family:
        """The family in which one covariance of this form serves all components."""
        if self.problem.family.shares_all:
            return self.problem.family
        return FAMILIES[
            {Scatter.TRACE: "EII", Scatter.DIAGONAL: "EEI"}.get(self.problem.family.needs, "EEE")
        ]

    def _climbed(
        self, own: Dataset, parts: Sequence[Part], family: Family, worth: float
    ) -> FitResult:
        """Partial EM as long as there is hope for a level that is worth it."""
        fit = self._em(own, moments_of_components(parts), family, FIRST_STEPS)
        hopeless = self._level(fit) + HOPE * remaining_gain(list(fit.trace)) < worth
        return (
            fit
            if hopeless or fit.stop is not StopReason.MAX_ITER
            else self._em(own, fit, family, STEPS - FIRST_STEPS)
        )

    def _em(self, own: Dataset, start: Start, family: Family, steps: int) -> FitResult:
        rule = SmallGain(STILL * self.responsibilities.dataset.row_weight)
        return em(
            Problem(own, family, self.problem.regularisation),
            start,
            stopping=rule,
            max_iter=steps,
            judge=False,
        )

    def _level(self, fit: FitResult) -> float:
        """Log-likelihood without what so many parameters gain by chance."""
        return fit.log_likelihood - fit.n_parameters * self.responsibilities.dataset.row_weight

    def _begin(
        self, rows: Array, weights: Array, parts: list[Part], rng: np.random.Generator
    ) -> list[Part] | None:
        """The rows of a group in one part more than they were."""
        row_weight = self.responsibilities.dataset.row_weight
        if len(parts) == 1 and not (self.drawn and rng.random() < 0.5):
            return _halves(rows, weights, parts[0], self.responsibilities.pooled, row_weight)
        return _cuts(rows, weights, parts, row_weight, rng)


def _halves(
    rows: Array, weights: Array, part: Part, measure: Array, row_weight: float
) -> list[Part] | None:
    """Rows of one component on the two sides of its mean, along the axis on which it is longest
    beside the others.
    """
    white = Dense(measure[None], 1).whiten(0, rows - part.mean)
    axis = np.linalg.eigh((weights[:, None] * white).T @ white)[1][:, -1]
    above = white @ axis > 0
    return _pieces(rows, weights, [above, ~above], part.covariance, row_weight)


def _cuts(
    rows: Array, weights: Array, parts: list[Part], row_weight: float, rng: np.random.Generator
) -> list[Part] | None:
    """Rows in one part more than they were: each goes to the nearest of so many drawn ones."""
    measure = parts[0].covariance if len(parts) == 1 else joined(*parts).covariance
    if np.count_nonzero(weights) <= len(parts):
        return None
    white = Dense(measure[None], 1).whiten(0, rows)
    seeds = white[
        rng.choice(len(rows), size=len(parts) + 1, replace=False, p=weights / weights.sum())
    ]
    nearest = np.stack([((white - seed) ** 2).sum(axis=1) for seed in seeds]).argmin(axis=0)
    return _pieces(rows, weights, [nearest == i for i in range(len(seeds))], measure, row_weight)


def _pieces(
    rows: Array, weights: Array, pieces: list[Flags], measure: Array, row_weight: float
) -> list[Part] | None:
    """Each piece as a component; None where one of them holds too few rows for it."""
    if min(float(weights[piece].sum()) for piece in pieces) < (rows.shape[1] + 1) * row_weight:
        return None
    return [component_of(rows[piece], weights[piece], measure, row_weight) for piece in pieces]
