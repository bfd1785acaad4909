"""Looks at the cells of a selection: EM from two starts each, and the best answer of each K as a
start for its neighbours.

The starts are the hierarchical tree, from which alone mclust begins, and k-means. Then one
partition serves all families of its K, and without one of its components those of K - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite

import numpy as np

from mixtura.families import family_named
from mixtura.initialise.initialisers import Initialiser
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Scatter
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Stage
from mixtura.search.budget import Plan
from mixtura.search.local_search import without_one
from mixtura.search.runs import SAME_OPTIMUM
from mixtura.search.starts import DEFAULT_STARTS
from mixtura.selection.cells import Cells, Grid, Key, OnCandidate

LEADER = 50.0
"""The best answer of one K is a start for other cells when it is no more than this above the best
of all.
"""

LONGEST_LOOK = 200
"""Iterations of a look at most: what is left to gain then seldom moves a cell by the margin of a
race.
"""

LOOKS: tuple[Initialiser, ...] = DEFAULT_STARTS[:2]
"""Starts of a look."""

_LOOKS = 2**31 + 4
"""A child of the seed that nothing else uses."""


@dataclass(eq=False)
class Looks:
    """The cells of a grid, looked at on some rows.

    Attributes
    ----------
    cells : Cells
        What fits them.
    plan : Plan
        Its workers share the cells.
    on_candidate : callable or None
        Told of each cell when it was looked at.
    found : dict
        Each cell as it is now, by family and K.
    """

    cells: Cells
    plan: Plan
    on_candidate: OnCandidate | None = None
    found: dict[tuple[str, int], Candidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        grid, dataset = self.grid, self.cells.dataset
        self._searches = grid.begins(dataset, True)
        self._looks = replace(grid, initialisers=LOOKS, seed=_child(grid.seed)).begins(
            dataset, True
        )

    @property
    def grid(self) -> Grid:
        """What is to be fitted."""
        return self.cells.grid

    def run(self) -> None:
        """Every cell."""
        self.keep(self.grid.keys, self._each(self._look, self.grid.keys, self.on_candidate))
        for K in sorted(self.grid.ks, reverse=True):
            self.share(K)
            self._remove(K)
        lost = [
            key
            for key in self.grid.keys
            if (cell := self.found.get((key[0].name, key[1]))) and not cell.is_answer
        ]
        self.keep(lost, self._each(self._look_again, lost))

    def _look(self, family: Family, K: int) -> Candidate:
        """A cell from the starts of a look; one component needs no more than that."""
        stage = Stage.SHORT_FIT if K > 1 else Stage.SEARCHED
        return self.cells.fit(family, K, self._looks[K], looking(self.plan), stage)

    def _look_again(self, family: Family, K: int) -> Candidate:
        """A cell of which a look gave no answer, from the starts of a search."""
        return self.cells.fit(family, K, self._searches[K], looking(self.plan), Stage.SHORT_FIT)

    def share(self, K: int) -> None:
        """The best answer of one K as a start for its other families."""
        leader = self._leader(K)
        if leader is not None and leader.fit is not None:
            self._offer(leader.fit.mixture, leader.family)

    def _remove(self, K: int) -> None:
        """The best answer of one K without one of its components, as a start for K - 1."""
        leader = self._leader(K)
        if (
            leader is None
            or leader.fit is None
            or K - 1 not in self.grid.ks
            or K < 3
            or self.cells.stopped.is_set()
        ):
            return
        rows, family = self._looks[K]().rows, family_named(leader.family)
        problem = self.cells.terms(family, K - 1)[1].with_data(rows)
        smaller = without_one(problem, leader.fit.mixture, self.plan, self.cells.stopped)
        if smaller is not None:
            self._offer(smaller, None)

    def _leader(self, K: int) -> Candidate | None:
        """The best answer of one K, where it is not far behind the best of all."""
        answers = [cell for cell in self.found.values() if cell.is_answer]
        leader = min(
            (cell for cell in answers if cell.n_components == K), key=value_of, default=None
        )
        return (
            leader if leader and value_of(leader) <= min(map(value_of, answers)) + LEADER else None
        )

    def _offer(self, mixture: Mixture, giver: str | None) -> None:
        """A mixture as a start for all families but the one it came from."""
        K = mixture.n_components
        families = [family for family in self.grid.families if family.name != giver]
        if K == 1 or not families or self.cells.stopped.is_set():
            return
        begin = self._looks[K]()
        moments = begin.rows.backend.moments(begin.rows.source, mixture, Scatter.DENSE)
        start = begin.with_starts([("fit of another candidate", moments)])

        def fit(family: Family, K: int) -> Candidate:
            return self.cells.fit(family, K, lambda: start, looking(self.plan), Stage.SHORT_FIT)

        keys = [(family, K) for family in families]
        self.keep(keys, self._each(fit, keys))

    def _each(
        self,
        work: Callable[[Family, int], Candidate],
        keys: Sequence[Key],
        on_candidate: OnCandidate | None = None,
    ) -> list[Candidate | None]:
        """Cells side by side."""
        return self.cells.each(work, keys, self.plan.workers, on_candidate)

    def keep(self, keys: Sequence[Key], cells: Sequence[Candidate | None]) -> None:
        """The better of what a cell was and what it is now; one that was searched stays so."""
        for (family, K), new in zip(keys, cells, strict=True):
            old = self.found.get((family.name, K))
            if new is None:
                continue
            if old is not None:
                stage = Stage.SEARCHED if Stage.SEARCHED in (old.stage, new.stage) else new.stage
                new = replace(new if _better(new, old) else old, stage=stage)
            self.found[family.name, K] = new


def looking(plan: Plan) -> Plan:
    """How a cell is looked at."""
    return replace(plan, workers=1, budget=None, max_iter=min(plan.max_iter, LONGEST_LOOK))


def value_of(cell: Candidate) -> float:
    """What a cell is ranked by; infinite where it has no criterion."""
    return cell.criterion if isfinite(cell.criterion) else inf


def _better(new: Candidate, old: Candidate) -> bool:
    """Whether a fit of a cell takes the place of an older one: of an estimate, a worse one, or a
    look at the same optimum.
    """
    if new.fit is None or old.fit is None:
        return old.fit is None
    at_its_optimum = (
        new.stage is Stage.SEARCHED and abs(new.fit.score - old.fit.score) <= SAME_OPTIMUM
    )
    return old.is_estimate or new.fit.rank > old.fit.rank or (at_its_optimum and new.is_answer)


def _child(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, _LOOKS))
