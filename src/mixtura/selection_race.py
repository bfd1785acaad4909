"""A selection as a race: every cell is looked at, and the search is spent on the cells that can still win.

A look is EM from two starts, the hierarchical tree and k-means, as mclust makes it from one. Then the best answer of each K is a
start for its other families: one partition serves them all. On 17 data sets (benchmarks/selection.py and the sets of
benchmarks/optima.py) the cell that wins after a search of all cells was the first after the looks on 16, and its BIC up to 8.5 too
high. So what a search may gain is small beside what most cells are behind: only those within a margin of the best are searched,
and the winner and the runner-up always are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite

import numpy as np

from mixtura.criteria import NEC
from mixtura.families import family_named
from mixtura.initialisers import Initialiser
from mixtura.mixture import Mixture
from mixtura.moments import Scatter
from mixtura.protocols import Family
from mixtura.results import Candidate, Selection, Stage
from mixtura.search.local_search import without_one
from mixtura.search.multistart import DEFAULT_STARTS
from mixtura.search.runs import Plan
from mixtura.search.subsampling import Opening
from mixtura.selection_cells import Cells, Grid, Key, OnCandidate, not_looked_at
from mixtura.validation import regularisation_for

MARGIN = 10.0
"""A cell may win by a search when its criterion is no more than this above the best one, and as much more as a search of this
selection has gained so far."""

LEADER = 50.0
"""The best answer of one K is a start for other cells when it is no more than this above the best of all."""

SEARCHED_AT_ONCE = 4
"""Cells that are searched side by side; a constant, so that the number of workers changes nothing."""

LONGEST_LOOK = 200
"""Iterations of a look at most: what is left to gain then moves no cell by the margin."""

LOOKS: tuple[Initialiser, ...] = DEFAULT_STARTS[:2]
"""Starts of a look."""

_LOOKS = 2**31 + 4
"""A child of the seed that nothing else uses."""


@dataclass(eq=False)
class Race:
    """The cells of a grid, as far as they have come.

    Attributes
    ----------
    cells : Cells
        What fits them.
    plan : Plan
        How a cell is searched; its workers share the cells.
    on_candidate : callable or None
        Told of each cell when it was looked at, and again when it was searched.
    """

    cells: Cells
    plan: Plan
    on_candidate: OnCandidate | None = None
    found: dict[tuple[str, int], Candidate] = field(default_factory=dict)
    gained: float = 0.0

    def __post_init__(self) -> None:
        grid, survey = self.grid, self.cells.survey
        self._searches = grid.begins(survey, True)
        self._looks = replace(grid, initialisers=LOOKS, seed=_child(grid.seed)).begins(survey, True)

    @property
    def grid(self) -> Grid:
        """What is to be fitted."""
        return self.cells.grid

    @property
    def stopped(self) -> threading.Event:
        """Whether it was called off."""
        return self.cells.stopped

    def run(self) -> tuple[Candidate, ...]:
        """One candidate for each cell, in the order of the grid."""
        self._keep(self.grid.keys, self._each(self._look, self.grid.keys))
        for K in sorted(self.grid.ks, reverse=True):
            self._share(K)
            self._remove(K)
        lost = [key for key in self.grid.keys if (cell := self.found.get((key[0].name, key[1]))) and not cell.is_answer]
        self._keep(lost, self._each(self._look_again, lost, told=False))
        while not self.stopped.is_set() and (due := self._due()):
            self._search(due)
        return tuple(self.found.get((family.name, K)) or not_looked_at(family, K) for family, K in self.grid.keys)

    @property
    def _looking(self) -> Plan:
        """How a cell is looked at."""
        return replace(self.plan, workers=1, effort=None, max_iter=min(self.plan.max_iter, LONGEST_LOOK))

    # ---- looks ---------------------------------------------------------------------------------------------------------

    def _look(self, family: Family, K: int) -> Candidate:
        """A cell from the starts of a look; one component needs no more than that."""
        stage = Stage.LOOKED_AT if K > 1 else Stage.SEARCHED
        return self.cells.fit(family, K, self._looks[K], self._looking, stage)

    def _look_again(self, family: Family, K: int) -> Candidate:
        """A cell of which a look gave no answer, from the starts of a search."""
        return self.cells.fit(family, K, self._searches[K], self._looking, Stage.LOOKED_AT)

    def _share(self, K: int) -> None:
        """The best answer of one K as a start for its other families."""
        leader = self._leader(K)
        if leader is not None and leader.fit is not None:
            self._offer(leader.fit.mixture, leader.family)

    def _remove(self, K: int) -> None:
        """The best answer of one K without one of its components, as a start for K - 1."""
        leader = self._leader(K)
        if leader is None or leader.fit is None or K - 1 not in self.grid.ks or K < 3 or self.stopped.is_set():
            return
        rows, family = self._looks[K]().rows, family_named(leader.family)
        regularisation = regularisation_for(family, rows, K - 1, self.grid.constraints)
        smaller = without_one(rows, leader.fit.mixture, family, regularisation, self.plan, self.stopped)
        if smaller is not None:
            self._offer(smaller, None)

    def _leader(self, K: int) -> Candidate | None:
        """The best answer of one K, where it is not far behind the best of all."""
        answers = [cell for cell in self.found.values() if cell.is_answer]
        leader = min((cell for cell in answers if cell.n_components == K), key=_value, default=None)
        return leader if leader and _value(leader) <= min(map(_value, answers)) + LEADER else None

    def _offer(self, mixture: Mixture, giver: str | None) -> None:
        """A mixture as a start for all families but the one it came from."""
        K = mixture.n_components
        families = [family for family in self.grid.families if family.name != giver]
        if K == 1 or not families or self.stopped.is_set():
            return
        begin = self._looks[K]()
        moments = begin.rows.backend.moments(begin.rows.source, mixture, Scatter.DENSE)
        start = begin.with_starts([("fit of another candidate", moments)])

        def fit(family: Family, K: int) -> Candidate:
            return self.cells.fit(family, K, lambda: start, self._looking, Stage.LOOKED_AT)

        keys = [(family, K) for family in families]
        self._keep(keys, self._each(fit, keys, told=False))

    # ---- searches --------------------------------------------------------------------------------------------------------

    def _due(self) -> list[Key]:
        """Cells to be searched next: the few best of those that can still win."""
        answers = sorted((cell for cell in self.found.values() if cell.eligible), key=_value)
        if not answers:
            waiting = [cell for cell in self.found.values() if cell.stage is Stage.LOOKED_AT]
        else:
            reach = _value(answers[0]) + MARGIN + self.gained if self.grid.criterion not in (NEC, "entropy") else inf
            waiting = [cell for cell in self.found.values() if cell.stage is Stage.LOOKED_AT and _value(cell) <= reach]
            selection = Selection(self.grid.criterion, tuple(answers))
            leaders = [selection.best, selection.runner_up]
            waiting += [cell for cell in leaders if cell and cell.stage is Stage.LOOKED_AT and cell not in waiting]
        chosen = {(cell.family, cell.n_components) for cell in sorted(waiting, key=_value)[:SEARCHED_AT_ONCE]}
        return [key for key in self.grid.keys if (key[0].name, key[1]) in chosen]

    def _search(self, due: Sequence[Key]) -> None:
        """Some cells are searched; what is better than it was is a start for the other families."""
        before = [self.found[family.name, K] for family, K in due]
        self._keep(due, self._each(self._searched, due))
        gains = [
            _value(old) - _value(self.found[family.name, K])
            for old, (family, K) in zip(before, due, strict=True)
            if old.eligible and self.found[family.name, K].eligible
        ]
        self.gained = max(self.gained, *gains, 0.0)
        for K in dict.fromkeys(K for gain, (_, K) in zip(gains, due, strict=False) if gain > WORTH_SHARING):
            self._share(K)

    def _searched(self, family: Family, K: int) -> Candidate:
        """A cell searched from all its starts, and from where it was left."""
        was = self.found[family.name, K].fit

        def begin() -> Opening:
            drawn = self._searches[K]()
            return drawn if was is None or drawn.rows is not self.cells.survey else drawn.also(("look", was.mixture))

        return self.cells.fit(family, K, begin, replace(self.plan, workers=1), Stage.SEARCHED)

    # ---- cells -------------------------------------------------------------------------------------------------------------

    def _each(self, work: Callable[[Family, int], Candidate], keys: Sequence[Key], told: bool = True) -> list[Candidate | None]:
        """Cells side by side."""
        return self.cells.each(work, keys, self.plan.workers, self.on_candidate if told else None)

    def _keep(self, keys: Sequence[Key], cells: Sequence[Candidate | None]) -> None:
        """The better of what a cell was and what it is now."""
        for (family, K), new in zip(keys, cells, strict=True):
            old = self.found.get((family.name, K))
            if new is None:
                continue
            if old is not None:
                stage = Stage.SEARCHED if Stage.SEARCHED in (old.stage, new.stage) else new.stage
                new = replace(new if _better(new, old) else old, stage=stage)
            self.found[family.name, K] = new


WORTH_SHARING = 1.0
"""A gain in the criterion that is worth a look at the other families."""


def _better(new: Candidate, old: Candidate) -> bool:
    """Whether a fit of the same cell takes the place of an older one."""
    if new.fit is None or old.fit is None:
        return old.fit is None
    return new.fit.rank > old.fit.rank


def _value(cell: Candidate) -> float:
    return cell.criterion if isfinite(cell.criterion) else inf


def _child(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, _LOOKS))
