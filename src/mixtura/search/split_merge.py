"""Proposals that change a mixture by one component less and one more; EM goes on from each.

A local optimum mostly has one component too many in one place and one too few in another, and EM cannot carry it across (Ueda,
Nakano, Ghahramani & Hinton 2000, Neural Computation 12:2109-2128). So a component is taken out, EM settles the others, and one of
those is split:

    halves      across one of its two longest axes, at its mean and 0.8 standard deviations to either side
    group       some of its rows, those around a drawn one, become a component
    value       its rows that share a value exactly become a component (:class:`mixtura.initialisers.SharedValues`)

A proposal is ``Moments``: a number of rows, a mean and a scatter for each component. So EM goes on with an M-step, and a family, a
prior or a floor needs no proposal of its own. Rows are drawn by weight, so a weight of two is a repeated row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil
from typing import TypeAlias

import numpy as np

from mixtura.arrays import Array, Flags
from mixtura.covariance import Dense
from mixtura.mixture import Mixture, log_density
from mixtura.moments import Moments
from mixtura.search.parts import Part, moments_of_parts, part_of, parts_of, pieces_of
from mixtura.search.responsibilities import LEAST_OTHERS
from mixtura.survey import Survey

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


Proposal: TypeAlias = tuple[str, Callable[[], Moments | None]]
"""What a proposal is called, and what makes it; None where it is not possible."""

_Rows: TypeAlias = tuple[str, Callable[[], Flags]]
"""Some rows (n,) of a component, and what they are called."""


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
    def of(cls, survey: Survey, mixture: Mixture) -> View:
        """One pass over the rows."""
        shares, rows = [], []
        for piece in pieces_of(survey):
            joint = survey.backend.log_joint(piece, mixture)
            shares.append(piece.weighted(np.exp(joint - log_density(joint)[:, None])))
            rows.append(piece.rows)
        return cls(mixture, np.concatenate(rows).astype(np.float64), np.concatenate(shares), survey.row_weight)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The components."""
        return parts_of(self.mixture, float(self.shares.sum()))

    def splits(self, values: tuple[Flags, ...], rng: np.random.Generator) -> list[Proposal]:
        """Every component in two, in several ways and in random order; ``values`` (n,) mark rows that share one."""
        shared: list[_Rows] = [("value", partial(_same, held)) for held in values]
        proposals: list[Proposal] = [
            (name, partial(self._split, k, held))
            for k in range(self.mixture.n_components)
            for name, held in [*self._halves(k), *self._groups(k, rng), *shared]
        ]
        return [proposals[i] for i in rng.permutation(len(proposals))]

    def perturbed(self, rng: np.random.Generator) -> list[Proposal]:
        """The same components as rows that weigh otherwise would make them: a bootstrap of the M-step."""
        return [("perturbed", partial(self._reweighted, rng.standard_exponential(len(self.rows)))) for _ in range(PERTURBED)]

    def _reweighted(self, weights: Array) -> Moments | None:
        """Components of rows of these weights."""
        shares = self.shares * weights[:, None]
        if not (shares.sum(axis=0) > 0).all():
            return None
        return moments_of_parts(
            [part_of(self.rows, own, part.covariance, self.row_weight) for own, part in zip(shares.T, self.parts, strict=True)]
        )

    def _split(self, k: int, held: Callable[[], Flags]) -> Moments | None:
        """One component in two; None where one of them would hold less than two rows."""
        parts, own = self.parts, self.shares[:, k]
        inside = np.where(held(), own, 0.0)
        if min(inside.sum(), own.sum() - inside.sum()) < 2.0 * self.row_weight:
            return None
        white = Dense(parts[k].covariance[None], 1).whiten(0, self.rows - inside @ self.rows / inside.sum())
        width = min(
            1.0, float(inside @ (white**2).sum(axis=1) / inside.sum()) / self.mixture.n_features
        )  # of the component's variance
        two = [
            part_of(self.rows, weights, measure, self.row_weight)
            for weights, measure in ((inside, width * parts[k].covariance), (own - inside, parts[k].covariance))
        ]
        return moments_of_parts([*parts[:k], *two, *parts[k + 1 :]])

    def _halves(self, k: int) -> Iterator[_Rows]:
        """Rows on one side of a cut."""
        for j in range(1, min(LONGEST, self.mixture.n_features) + 1):
            for cut in CUTS:
                yield "halves", partial(self._above, k, j, cut)

    def _above(self, k: int, j: int, cut: float) -> Flags:
        """Rows above a cut across the j-th longest axis."""
        values, vectors = np.linalg.eigh(self.parts[k].covariance)
        along = (self.rows - self.parts[k].mean) @ vectors[:, -j]
        return np.asarray(along > cut * np.sqrt(max(values[-j], 0.0)))

    def _groups(self, k: int, rng: np.random.Generator) -> Iterator[_Rows]:
        """Rows around a drawn one."""
        for _ in range(max(FEWEST_GROUPS, ceil(GROUPS / self.mixture.n_components))):
            yield "group", partial(self._around, k, rng.random(), SMALLEST_GROUP * (LARGEST_GROUP / SMALLEST_GROUP) ** rng.random())

    def _around(self, k: int, position: float, size: float) -> Flags:
        """Rows around the one at a position of a component's running sum, until they make up their part of it."""
        own, part = self.shares[:, k], self.parts[k]
        running = np.cumsum(own)
        seed = min(int(running.searchsorted(position * running[-1], side="right")), len(own) - 1)
        white = Dense(part.covariance[None], 1).whiten(0, self.rows - self.rows[seed])
        order = np.argsort((white**2).sum(axis=1), kind="stable")
        wanted = max(size * running[-1], (self.rows.shape[1] + 1) * self.row_weight)
        near = np.zeros(len(own), dtype=bool)
        near[order[: int(np.cumsum(own[order]).searchsorted(wanted)) + 1]] = True
        return near


def _same(held: Flags) -> Flags:
    return held


def removals(view: View) -> list[Mixture]:
    """The mixture without one of its components, for those whose rows the others describe least badly."""
    mixture, total = view.mixture, float(view.shares.sum())
    weights = view.shares.sum(axis=1)
    others = np.maximum(1.0 - view.shares / weights[:, None], LEAST_OTHERS)
    with np.errstate(divide="ignore"):
        losses = -weights @ np.log(others) + total * np.log1p(-mixture.weights)
    everyone = np.arange(mixture.n_components)
    return [mixture.select(np.delete(everyone, k)) for k in np.argsort(losses, kind="stable")[:MOST_REMOVALS]]
