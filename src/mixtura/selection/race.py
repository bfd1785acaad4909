"""A selection as a race: every cell is looked at, and the search is spent on the cells that can
still win.

On 51 data sets (stretched and tilted groups, rare clusters, random mixtures) the race ends at the
winner of a search of all cells, in a seventh of the time: what a search gains is small beside what
most cells are behind. Only those within a margin of the best are searched; the winner and the
runner-up always are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

from mixtura.model.criteria import NEC
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Selection, Stage
from mixtura.search.budget import Plan
from mixtura.search.initialisation import Initialisation
from mixtura.selection.cells import Cells, Key, OnCandidate, not_looked_at
from mixtura.selection.looks import Looks, value_of
from mixtura.selection.samples import looked_at_on_samples, worth_a_sample

MARGIN = 10.0
"""A cell may win by a search when its criterion is no more than this above the best one ("very
strong" evidence, Kass & Raftery 1995), and as much more as a search of this selection has gained so
far."""

SEARCHED_AT_ONCE = 4
"""Cells that are searched side by side; a constant, so that the number of workers changes
nothing.
"""

WORTH_SHARING = 1.0
"""A gain in the criterion that is worth a look at the other families."""


def may_win(criterion: str, cells: Iterable[Candidate], gained: float = 0.0) -> list[Candidate]:
    """Cells that were looked at, and can still win by a search or are winner or runner-up, best
    first; ``gained`` as in Race.
    """
    cells = list(cells)
    selection = Selection(criterion, tuple(cell for cell in cells if cell.eligible))
    if selection.candidates:
        leaders = [selection.best, selection.runner_up]
        reach = inf if criterion in (NEC, "entropy") else value_of(selection.best) + MARGIN + gained
    else:
        leaders, reach = [], inf
    waiting = [
        cell
        for cell in cells
        if cell.stage is Stage.SHORT_FIT and (value_of(cell) <= reach or cell in leaders)
    ]
    return sorted(waiting, key=value_of)


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
    gained : float
        The most that a search has gained.
    """

    cells: Cells
    plan: Plan
    on_candidate: OnCandidate | None = None
    gained: float = 0.0

    def __post_init__(self) -> None:
        self._looks = Looks(self.cells, self.plan, self.on_candidate)
        self._searches = self.cells.grid.begins(self.cells.dataset, True)
        self._sampled = worth_a_sample(self.cells)

    def run(self) -> tuple[Candidate, ...]:
        """One candidate for each cell, in the order of the grid."""
        if self._sampled:
            self._looks.found.update(looked_at_on_samples(self.cells, self.plan, self.on_candidate))
        else:
            self._looks.run()
        while not self.cells.stopped.is_set() and (due := self._due()):
            self._search(due)
        return tuple(self._now(key) or not_looked_at(*key) for key in self.cells.grid.keys)

    def _now(self, key: Key) -> Candidate | None:
        """A cell as it is now."""
        return self._looks.found.get((key[0].name, key[1]))

    def _due(self) -> list[Key]:
        """Cells to be searched next: the few best of those that can still win."""
        waiting = may_win(
            self.cells.grid.criterion,
            filter(None, map(self._now, self.cells.grid.keys)),
            self.gained,
        )
        chosen = {(cell.family, cell.n_components) for cell in waiting[:SEARCHED_AT_ONCE]}
        return [key for key in self.cells.grid.keys if (key[0].name, key[1]) in chosen]

    def _search(self, due: Sequence[Key]) -> None:
        """Some cells are searched; what is better than it was is a start for the other families."""
        before = list(map(self._now, due))
        self._looks.keep(
            due, self.cells.each(self._searched, due, self.plan.workers, self.on_candidate)
        )
        improved = []
        for old, key in zip(before, due, strict=True):
            new = self._now(key)
            if old and new and old.eligible and new.eligible and not old.is_estimate:
                gain = value_of(old) - value_of(new)
                self.gained = max(self.gained, gain)
                improved += [key[1]] if gain > WORTH_SHARING else []
        for K in dict.fromkeys(improved if not self._sampled else []):
            self._looks.share(K)

    def _searched(self, family: Family, K: int) -> Candidate:
        """A cell searched from all its starts, and from where it was left."""
        now = self._now((family, K))

        def begin() -> Initialisation:
            drawn = self._searches[K]()
            return (
                drawn.also(("look", now.fit.mixture))
                if now and now.fit and drawn.judged is None
                else drawn
            )

        return self.cells.fit(family, K, begin, replace(self.plan, workers=1), Stage.SEARCHED)
