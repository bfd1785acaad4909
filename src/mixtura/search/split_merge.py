"""Proposals that change a mixture by one component less and one more; EM goes on from each.

A local optimum mostly has one component too many in one place and one too few in another, and EM
cannot carry it across (Ueda, Nakano, Ghahramani & Hinton 2000, Neural Computation 12:2109-2128). So
a component is taken out, EM settles the others, and one of those is split:

    halves      across one of its two longest axes, at its mean and 0.8 standard deviations to either side
    group       some of its rows, those around a drawn one, become a component
    value       its rows that share a value exactly become a component (:class:`mixtura.initialise.initialisers.SharedValues`)

A proposal is ``Moments``: a number of rows, a mean and a scatter for each component. So EM goes on
with an M-step, and a family, a prior or a floor needs no proposal of its own. Rows are drawn by
weight, so a weight of two is a repeated row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil
from operator import methodcaller
from typing import TypeAlias

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.data.dataset import Dataset
from mixtura.model.mixture import Mixture, log_density
from mixtura.model.moments import Moments
from mixtura.search.components import (
    Part,
    blocks_of,
    component_of,
    components_of,
    moments_of_components,
)
from mixtura.search.responsibilities import LEAST_OTHERS

CUTS = (0.0, -0.8, 0.8)
"""Where a component is cut, in standard deviations along its axis."""

LONGEST = 2
"""Axes across which it is cut."""

GROUPS, FEWEST_GROUPS = 24, 6
"""Groups that are tried in all components together, and in each of them at least."""

SMALLEST_GROUP, LARGEST_GROUP = 0.05, 0.4
"""Part of a component's rows that a group takes; its logarithm is drawn."""

PERTURBED = 8
"""Times that the rows of an optimum are weighed anew."""

MOST_REMOVALS = 8
"""Components that are taken out, each on its own: those that are missed least."""


TINY = 1e-15
"""Part of the longest axis' variance below which an axis is flat."""

HELD = 1e-3
"""Rows that belong to a component by less are not looked at when it is split."""

Proposal: TypeAlias = tuple[str, Callable[[], Moments | None]]
"""What a proposal is called, and what makes it; None where it is not possible."""

_Cut: TypeAlias = tuple[str, Callable[["Member"], Flags]]
"""What a cut is called, and which of a component's rows are on one side of it."""


@dataclass(frozen=True, eq=False)
class Member:
    """A component and the rows that it holds.

    Attributes
    ----------
    part : Part
    numbers : (m,)
        Which rows.
    rows : (m, d)
    shares : (m,)
        Their responsibilities, by weight.
    row_weight : float
    """

    part: Part
    numbers: Labels
    rows: Array
    shares: Array
    row_weight: float

    @cached_property
    def white(self) -> Array:
        """The rows in units of the component, along its axes: the shortest first, the longest last
        (m, d).
        """
        values, vectors = np.linalg.eigh(self.part.covariance)
        return np.asarray(
            (self.rows - self.part.mean)
            @ (vectors / np.sqrt(np.maximum(values, values[-1] * TINY)))
        )

    def above(self, j: int, cut: float) -> Flags:
        """Rows above a cut across the j-th longest axis (m,)."""
        return np.asarray(self.white[:, -j] > cut)

    def around(self, position: float, size: float) -> Flags:
        """Rows around the one at a position of the running sum of shares, until they make up their
        part of them (m,).
        """
        running = np.cumsum(self.shares)
        seed = min(
            int(running.searchsorted(position * running[-1], side="right")), len(running) - 1
        )
        order = np.argsort(((self.white - self.white[seed]) ** 2).sum(axis=1), kind="stable")
        wanted = max(size * running[-1], (self.rows.shape[1] + 1) * self.row_weight)
        near = np.zeros(len(order), dtype=bool)
        near[order[: int(np.cumsum(self.shares[order]).searchsorted(wanted)) + 1]] = True
        return near

    def in_two(self, inside: Flags) -> list[Part] | None:
        """The component in two; None where one of them would hold less than two rows."""
        own, others = self.shares[inside], self.shares[~inside]
        if min(own.sum(), others.sum()) < 2.0 * self.row_weight:
            return None
        white, measure = self.white[inside], self.part.covariance
        about = white - own @ white / own.sum()
        width = min(
            1.0, float(own @ (about**2).sum(axis=1) / own.sum()) / white.shape[1]
        )  # of the component's variance
        return [
            component_of(self.rows[inside], own, width * measure, self.row_weight),
            component_of(self.rows[~inside], others, measure, self.row_weight),
        ]


@dataclass(frozen=True, eq=False)
class View:
    """The rows under a mixture: what its proposals are made of.

    Attributes
    ----------
    mixture : Mixture
    rows : (n, d)
    shares : (n, K)
        Responsibilities, by weight.
    row_weight : float
    """

    mixture: Mixture
    rows: Array
    shares: Array
    row_weight: float

    @classmethod
    def of(cls, dataset: Dataset, mixture: Mixture) -> View:
        """One pass over the rows."""
        shares, rows = [], []
        for piece in blocks_of(dataset):
            joint = dataset.backend.log_joint(piece, mixture)
            shares.append(piece.weighted(np.exp(joint - log_density(joint)[:, None])))
            rows.append(piece.rows)
        return cls(
            mixture,
            np.concatenate(rows).astype(np.float64),
            np.concatenate(shares),
            dataset.row_weight,
        )

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The components."""
        return components_of(self.mixture, float(self.shares.sum()))

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The components with their rows."""
        held = [
            np.flatnonzero(own > HELD * self.row_weight)
            for own in np.ascontiguousarray(self.shares.T)
        ]
        return tuple(
            Member(part, rows, self.rows[rows], self.shares[rows, k], self.row_weight)
            for k, (part, rows) in enumerate(zip(self.parts, held, strict=True))
        )

    def splits(self, values: tuple[Flags, ...], rng: np.random.Generator) -> list[Proposal]:
        """Every component in two, in several ways and in random order; ``values`` (n,) mark rows
        that share one.
        """
        shared: list[_Cut] = [("value", partial(_same, held)) for held in values]
        proposals: list[Proposal] = [
            (name, partial(self._split, k, cut))
            for k in range(self.mixture.n_components)
            for name, cut in [
                *_halves(self.mixture.n_features),
                *_groups(self.mixture.n_components, rng),
                *shared,
            ]
        ]
        return [proposals[i] for i in rng.permutation(len(proposals))]

    def perturbed(self, rng: np.random.Generator) -> list[Proposal]:
        """The same components as rows that weigh otherwise would make them: a bootstrap of the
        M-step.
        """
        return [
            ("perturbed", partial(self._reweighted, rng.standard_exponential(len(self.rows))))
            for _ in range(PERTURBED)
        ]

    def _reweighted(self, weights: Array) -> Moments | None:
        """Components of rows of these weights."""
        own = [weights[member.numbers] * member.shares for member in self.members]
        if not all(share.sum() > 0 for share in own):
            return None
        return moments_of_components(
            [
                component_of(member.rows, share, member.part.covariance, self.row_weight)
                for share, member in zip(own, self.members, strict=True)
            ]
        )

    def _split(self, k: int, cut: Callable[[Member], Flags]) -> Moments | None:
        """One component in two; None where that is not possible."""
        member = self.members[k]
        two = member.in_two(cut(member)) if len(member.numbers) else None
        return (
            None
            if two is None
            else moments_of_components([*self.parts[:k], *two, *self.parts[k + 1 :]])
        )


def _halves(d: int) -> Iterator[_Cut]:
    """Rows on one side of a cut."""
    for j in range(1, min(LONGEST, d) + 1):
        for cut in CUTS:
            yield "halves", methodcaller("above", j, cut)


def _groups(K: int, rng: np.random.Generator) -> Iterator[_Cut]:
    """Rows around a drawn one."""
    for _ in range(max(FEWEST_GROUPS, ceil(GROUPS / K))):
        yield (
            "group",
            methodcaller(
                "around",
                rng.random(),
                SMALLEST_GROUP * (LARGEST_GROUP / SMALLEST_GROUP) ** rng.random(),
            ),
        )


def _same(held: Flags, member: Member) -> Flags:
    return held[member.numbers]


def removals(view: View) -> list[Mixture]:
    """The mixture without one of its components, for those whose rows the others describe least
    badly.
    """
    mixture, total = view.mixture, float(view.shares.sum())
    weights = view.shares.sum(axis=1)
    others = np.maximum(1.0 - view.shares / weights[:, None], LEAST_OTHERS)
    with np.errstate(divide="ignore"):
        losses = -weights @ np.log(others) + total * np.log1p(-mixture.weights)
    everyone = np.arange(mixture.n_components)
    return [
        mixture.select(np.delete(everyone, k))
        for k in np.argsort(losses, kind="stable")[:MOST_REMOVALS]
    ]
