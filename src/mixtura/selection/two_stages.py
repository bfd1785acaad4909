"""A selection in two stages: short fits of all candidates, and searches of those that can win.

On 51 data sets (stretched and tilted groups, rare clusters, random mixtures; decision 0021) it ends
at the winner of a search of all candidates, in a seventh of the time. A search gains little beside
the distance of most candidates from the best one, so only those within a margin are searched; the
winner and the runner-up always are.
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
from mixtura.selection.candidates import CandidateFitter, Key, OnCandidate, not_fitted
from mixtura.selection.samples import short_fits_on_samples, worth_a_sample
from mixtura.selection.short_fits import ShortFits, value_of

MARGIN = 10.0
"""A candidate can win by a search when its criterion is no more than this above the best one ("very
strong" evidence, Kass & Raftery 1995) plus the largest gain of a search so far. With 6 or 20 no
winner of the 51 data sets is worse than that of a search of all candidates (decision 0021).
"""

SEARCHED_AT_ONCE = 4
"""Candidates searched side by side; a constant, so that the number of workers changes nothing."""

WORTH_SHARING = 1.0
"""A gain in the criterion after which a fit is a start for the other families of its K."""


def may_win(
    criterion: str, candidates: Iterable[Candidate], gained: float = 0.0
) -> list[Candidate]:
    """The short fits that are to be searched, best first.

    They are the winner, the runner-up, and those within the margin, to which ``gained`` is added.
    """
    candidates = list(candidates)
    selection = Selection(criterion, tuple(one for one in candidates if one.eligible))
    if selection.candidates:
        leaders = [selection.best, selection.runner_up]
        reach = inf if criterion in (NEC, "entropy") else value_of(selection.best) + MARGIN + gained
    else:
        leaders, reach = [], inf
    waiting = [
        one
        for one in candidates
        if one.stage is Stage.SHORT_FIT and (value_of(one) <= reach or one in leaders)
    ]
    return sorted(waiting, key=value_of)


@dataclass(eq=False)
class TwoStageSelection:
    """The candidates of a grid, and how far each was fitted.

    Attributes
    ----------
    fitter : CandidateFitter
    plan : Plan
        How a candidate is searched; its workers share the candidates.
    on_candidate : callable or None
        Called with each candidate after its short fit, and again after its search.
    gained : float
        The largest gain of a search.
    """

    fitter: CandidateFitter
    plan: Plan
    on_candidate: OnCandidate | None = None
    gained: float = 0.0

    def __post_init__(self) -> None:
        self._short = ShortFits(self.fitter, self.plan, self.on_candidate)
        self._initialisations = self.fitter.grid.initialisations(self.fitter.dataset, True)
        self._sampled = worth_a_sample(self.fitter)

    def run(self) -> tuple[Candidate, ...]:
        """One candidate for each family and K, in the order of the grid."""
        if self._sampled:
            found = short_fits_on_samples(self.fitter, self.plan, self.on_candidate)
            self._short.found.update(found)
        else:
            self._short.run()
        while not self.fitter.stopped.is_set() and (due := self._due()):
            self._search(due)
        return tuple(self._now(key) or not_fitted(*key) for key in self.fitter.grid.keys)

    def _now(self, key: Key) -> Candidate | None:
        """A candidate as it is now."""
        return self._short.found.get((key[0].name, key[1]))

    def _due(self) -> list[Key]:
        """The candidates to be searched next: the best few of those that can still win."""
        keys = self.fitter.grid.keys
        fitted = filter(None, map(self._now, keys))
        waiting = may_win(self.fitter.grid.criterion, fitted, self.gained)
        chosen = {(one.family, one.n_components) for one in waiting[:SEARCHED_AT_ONCE]}
        return [(family, K) for family, K in keys if (family.name, K) in chosen]

    def _search(self, due: Sequence[Key]) -> None:
        """Some candidates are searched; a gain is a start for the other families of its K."""
        before = list(map(self._now, due))
        workers = self.plan.workers
        self._short.keep(due, self.fitter.each(self._searched, due, workers, self.on_candidate))
        improved = []
        for old, key in zip(before, due, strict=True):
            new = self._now(key)
            if old and new and old.eligible and new.eligible and not old.is_estimate:
                gain = value_of(old) - value_of(new)
                self.gained = max(self.gained, gain)
                improved += [key[1]] if gain > WORTH_SHARING else []
        for K in dict.fromkeys(improved if not self._sampled else []):
            self._short.share(K)

    def _searched(self, family: Family, K: int) -> Candidate:
        """A candidate searched from all its starts, and from its short fit."""
        now = self._now((family, K))

        def initialisation() -> Initialisation:
            drawn = self._initialisations[K]()
            if now and now.fit and drawn.judged is None:
                return drawn.also(("short fit", now.fit.mixture))
            return drawn

        alone = replace(self.plan, workers=1)
        return self.fitter.fit(family, K, initialisation, alone, Stage.SEARCHED)
