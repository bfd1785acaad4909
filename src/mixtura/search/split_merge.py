"""Proposals that change a mixture by one component less and one more; EM goes on from each.

A local optimum mostly has one component too many in one place and one too few in another, and EM
cannot carry it across (Ueda, Nakano, Ghahramani & Hinton 2000, Neural Computation 12:2109-2128). So
a component is removed, EM adapts the others, and one of those is split:

    halves      across one of its two longest axes, at its mean and 0.8 standard deviations on
                either side
    group       the nearest neighbours of one of its rows, a drawn one, become a component
    value       its rows that share a value exactly become a component
                (:class:`mixtura.initialise.initialisers.SharedValues`)

The last two also make a component out of rows of the noise, where there is a noise term.

Components with fixed parameters have an identity, which a start may have mistaken: so such a
component is also exchanged with each other one.

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
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.model.moments import Moments
from mixtura.search.components import Component, component_of, moments_of_components
from mixtura.search.responsibilities import Responsibilities

NEGLIGIBLE = 1e-3
"""Responsibilities below this are left out when a component is split."""

CUTS = (0.0, -0.8, 0.8)
"""Where a component is cut, in standard deviations along its axis."""

LONGEST = 2
"""Axes across which it is cut."""

GROUPS, FEWEST_GROUPS = 24, 6
"""Groups that are tried in all components together, and in each of them at least."""

SMALLEST_GROUP, LARGEST_GROUP = 0.05, 0.4
"""Part of a component's rows that a group takes; its logarithm is drawn."""

PERTURBED = 8
"""Times that the rows of an optimum get new random weights."""

MOST_REMOVALS = 8
"""Components that are removed, each on its own: those with the least loss."""

TINY = 1e-15
"""Part of the longest axis' variance below which an axis is flat."""

Proposal: TypeAlias = tuple[str, Callable[[], Moments | Mixture | None]]
"""The name of a proposal, and what makes it; None where it is not possible."""

_Cut: TypeAlias = tuple[str, Callable[["_Member"], Flags]]
"""The name of a cut, and which of a component's rows are on one side of it."""


def removals(responsibilities: Responsibilities) -> list[Mixture]:
    """The mixture without one of its components, for those with the least removal loss."""
    mixture = responsibilities.mixture
    everyone = np.arange(mixture.n_components)
    order = np.argsort(responsibilities.removal_losses, kind="stable")
    return [mixture.select(np.delete(everyone, k)) for k in order[:MOST_REMOVALS]]


def exchanges(problem: Problem, mixture: Mixture) -> list[Proposal]:
    """Two components in each other's places, for all pairs of which one has a fixed parameter.

    With fixed weights and overlapping groups, 17 of 25 searches ended higher with them.
    """
    fixed = problem.fixed_of(mixture.n_components)
    if fixed is None:
        return []
    proposals: list[Proposal] = []
    first, K = problem.dataset.n_classes, mixture.n_components  # classes have their places
    for i, j in zip(*np.triu_indices(K - first, 1), strict=True):
        i, j = i + first, j + first
        if fixed.constrained[i] or fixed.constrained[j]:
            places = np.arange(K)
            places[[i, j]] = j, i
            swapped = mixture.select(places)
            proposals.append(("exchanged", partial(problem.with_fixed_values, swapped)))
    return proposals


def splits(
    responsibilities: Responsibilities, values: tuple[Flags, ...], rng: np.random.Generator
) -> list[Proposal]:
    """Every component in two, or one more out of the noise, in several ways and in random order.

    ``values`` (n,) mark rows that share a value.
    """
    members, K = _members(responsibilities), responsibilities.n_components
    d = responsibilities.mixture.n_features
    shared: list[_Cut] = [("value", partial(_same, held)) for held in values]
    noise = responsibilities.noise
    proposals: list[Proposal] = [
        (name, partial(_split, members, k, cut, noise))
        for k in range(K)
        for name, cut in [*_halves(d), *_groups(K, rng), *shared]
    ]
    in_noise = _noise_member(responsibilities)
    if in_noise is not None:
        proposals += [
            (name, partial(_out_of_noise, members, in_noise, cut, noise))
            for name, cut in [*_groups(K, rng), *shared]
        ]
    return [proposals[i] for i in rng.permutation(len(proposals))]


def perturbations(responsibilities: Responsibilities, rng: np.random.Generator) -> list[Proposal]:
    """The same components with random weights of the rows: a bootstrap of the M-step."""
    members, n = _members(responsibilities), responsibilities.dataset.source.n_rows
    noise = responsibilities.noise
    return [
        ("perturbed", partial(_reweighted, members, rng.standard_exponential(n), noise))
        for _ in range(PERTURBED)
    ]


@dataclass(frozen=True, eq=False)
class _Member:
    """A component and its rows.

    Attributes
    ----------
    component : Component
    numbers : (m,)
        Which rows.
    rows : (m, d)
    weights : (m,)
        Their responsibilities, by weight.
    row_weight : float
    """

    component: Component
    numbers: Labels
    rows: Array
    weights: Array
    row_weight: float

    @cached_property
    def white(self) -> Array:
        """The rows in units of the component, along its axes: the longest one last (m, d)."""
        values, vectors = np.linalg.eigh(self.component.covariance)
        units = np.sqrt(np.maximum(values, values[-1] * TINY))
        return np.asarray((self.rows - self.component.mean) @ (vectors / units))

    def above(self, j: int, cut: float) -> Flags:
        """Rows above a cut across the j-th longest axis (m,)."""
        return np.asarray(self.white[:, -j] > cut)

    def around(self, position: float, size: float) -> Flags:
        """The nearest neighbours of one row, until they have their part of all weight (m,).

        The row is the one at a position of the running sum of weights.
        """
        running = np.cumsum(self.weights)
        last = len(running) - 1
        seed = min(int(running.searchsorted(position * running[-1], side="right")), last)
        order = np.argsort(((self.white - self.white[seed]) ** 2).sum(axis=1), kind="stable")
        wanted = max(size * running[-1], (self.rows.shape[1] + 1) * self.row_weight)
        near = np.zeros(len(order), dtype=bool)
        near[order[: int(np.cumsum(self.weights[order]).searchsorted(wanted)) + 1]] = True
        return near

    def in_two(self, inside: Flags) -> list[Component] | None:
        """The component in two; None where one of them would have less than two rows."""
        own, others = self.weights[inside], self.weights[~inside]
        if min(own.sum(), others.sum()) < 2.0 * self.row_weight:
            return None
        white, prior = self.white[inside], self.component.covariance
        about = white - own @ white / own.sum()
        spread = float(own @ (about**2).sum(axis=1) / own.sum()) / white.shape[1]
        return [
            component_of(self.rows[inside], own, min(1.0, spread) * prior, self.row_weight),
            component_of(self.rows[~inside], others, prior, self.row_weight),
        ]


def _members(responsibilities: Responsibilities) -> tuple[_Member, ...]:
    """The components with their rows."""
    row_weight = responsibilities.dataset.row_weight
    each = zip(
        responsibilities.components,
        responsibilities.rows_of,
        responsibilities.weights_of,
        strict=True,
    )
    return tuple(
        _Member(component, numbers, responsibilities.read(numbers), weights, row_weight)
        for component, numbers, weights in each
    )


def _noise_member(responsibilities: Responsibilities) -> _Member | None:
    """The rows of the noise as if they were a component; None where they are too few for one."""
    numbers, weights = responsibilities.noise_rows, responsibilities.noise_weights
    row_weight, d = responsibilities.dataset.row_weight, responsibilities.mixture.n_features
    if not weights.sum() > 2.0 * (d + 1) * row_weight:
        return None
    rows = responsibilities.read(numbers)
    whole = component_of(rows, weights, responsibilities.pooled, row_weight)
    return _Member(whole, numbers, rows, weights, row_weight)


def _out_of_noise(
    members: tuple[_Member, ...], in_noise: _Member, cut: Callable[[_Member], Flags], noise: float
) -> Moments | None:
    """One component more out of rows of the noise; None where that is not possible."""
    two = in_noise.in_two(cut(in_noise))
    if two is None:
        return None
    left = max(noise - two[0].weight, in_noise.row_weight)
    return moments_of_components([*(member.component for member in members), two[0]], left)


def _split(
    members: tuple[_Member, ...], k: int, cut: Callable[[_Member], Flags], noise: float
) -> Moments | None:
    """One component in two; None where that is not possible."""
    two = members[k].in_two(cut(members[k])) if len(members[k].numbers) else None
    if two is None:
        return None
    others = [member.component for member in members]
    return moments_of_components([*others[:k], *two, *others[k + 1 :]], noise)


def _reweighted(members: tuple[_Member, ...], weights: Array, noise: float) -> Moments | None:
    """Components of rows with these weights (n,); None where one has no rows."""
    own = [weights[member.numbers] * member.weights for member in members]
    if not all(each.sum() > 0 for each in own):
        return None
    return moments_of_components(
        [
            component_of(member.rows, each, member.component.covariance, member.row_weight)
            for each, member in zip(own, members, strict=True)
        ],
        noise,
    )


def _halves(d: int) -> Iterator[_Cut]:
    """Rows on one side of a cut."""
    for j in range(1, min(LONGEST, d) + 1):
        for cut in CUTS:
            yield "halves", methodcaller("above", j, cut)


def _groups(K: int, rng: np.random.Generator) -> Iterator[_Cut]:
    """The nearest neighbours of a drawn row."""
    for _ in range(max(FEWEST_GROUPS, ceil(GROUPS / K))):
        position, power = rng.random(), rng.random()
        size = SMALLEST_GROUP * (LARGEST_GROUP / SMALLEST_GROUP) ** power
        yield "group", methodcaller("around", position, size)


def _same(held: Flags, member: _Member) -> Flags:
    return held[member.numbers]
