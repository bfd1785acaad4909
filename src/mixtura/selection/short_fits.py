"""Short fits of all candidates: EM from two starts each, and from the best of other candidates.

The two starts are k-means and the hierarchical tree; mclust starts from the tree alone. Then the
best fit of each K is a start for its other families, and without one of its components for K - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf, isfinite

import numpy as np

from mixtura.base.scatter import Scatter
from mixtura.distribution.mixture import Mixture
from mixtura.families import family_named
from mixtura.initialise.initialisers import Initialiser
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Stage
from mixtura.search.budget import Plan
from mixtura.search.initialisation import Initialisation
from mixtura.search.local_search import without_one
from mixtura.search.runs import SAME_OPTIMUM
from mixtura.search.starts import DEFAULT_STARTS
from mixtura.selection.candidates import CandidateFitter, Grid, Key, OnCandidate

SHARED_WITHIN = 50.0
"""The best fit of one K is a start for other candidates when its criterion is no more than this
above the best of all (decision 0021: the same winners on 51 data sets, in two thirds of the time).
"""

SHORT_FIT_ITERATIONS = 200
"""Iterations of a short fit at most: the gain after that seldom reaches the margin of a search."""

SHORT_FIT_STARTS: tuple[Initialiser, ...] = DEFAULT_STARTS[:2]
"""Starts of a short fit."""

_SHORT_FITS = 2**31 + 4
"""A child of the seed that nothing else uses."""


@dataclass(eq=False)
class ShortFits:
    """Short fits of the candidates of a grid to some rows.

    Attributes
    ----------
    fitter : CandidateFitter
    plan : Plan
        Its workers share the candidates.
    on_candidate : callable or None
        Called with each candidate after its short fit.
    found : dict
        Each candidate as it is now, by family and K.
    """

    fitter: CandidateFitter
    plan: Plan
    on_candidate: OnCandidate | None = None
    found: dict[tuple[str, int], Candidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        grid, dataset = self.grid, self.fitter.dataset
        self._of_searches = grid.initialisations(dataset, True)
        short = replace(grid, initialisers=SHORT_FIT_STARTS, seed=_child(grid.seed))
        self._of_short_fits = short.initialisations(dataset, True)

    @property
    def grid(self) -> Grid:
        """The candidates."""
        return self.fitter.grid

    def run(self) -> None:
        """Every candidate."""
        self.keep(self.grid.keys, self._each(self._fit, self.grid.keys, self.on_candidate))
        for K in sorted(self.grid.ks, reverse=True):
            self.share(K)
            self._remove_one(K)
        failed = [
            (family, K)
            for family, K in self.grid.keys
            if (candidate := self.found.get((family.name, K))) and not candidate.is_valid
        ]
        self.keep(failed, self._each(self._fit_again, failed))

    def _fit(self, family: Family, K: int) -> Candidate:
        """A short fit; one component needs no more than that."""
        stage = Stage.SHORT_FIT if K > 1 else Stage.SEARCHED
        return self.fitter.fit(family, K, self._of_short_fits[K], short_plan(self.plan), stage)

    def _fit_again(self, family: Family, K: int) -> Candidate:
        """A candidate whose short fit is no answer, from the starts of a search."""
        return self._from(self._of_searches[K], family, K)

    def _from(
        self, initialisation: Callable[[], Initialisation], family: Family, K: int
    ) -> Candidate:
        """A short fit from other starts."""
        plan = short_plan(self.plan)
        return self.fitter.fit(family, K, initialisation, plan, Stage.SHORT_FIT)

    def share(self, K: int) -> None:
        """The best fit of one K is a start for its other families."""
        best = self._best(K)
        if best is not None and best.fit is not None:
            self._start_from(best.fit.mixture, but=best.family)

    def _remove_one(self, K: int) -> None:
        """The best fit of one K without one of its components is a start for K - 1."""
        best = self._best(K)
        if best is None or best.fit is None or self.fitter.stopped.is_set():
            return
        fewest = max(2, self.fitter.whole.n_classes)
        if fewest > K - 1 or K - 1 not in self.grid.ks:
            return
        rows, family = self._of_short_fits[K]().rows, family_named(best.family)
        problem = self.fitter.checked_problem(family, K - 1)[1].with_data(rows)
        smaller = without_one(problem, best.fit.mixture, self.plan, self.fitter.stopped)
        if smaller is not None:
            self._start_from(smaller)

    def _best(self, K: int) -> Candidate | None:
        """The best answer of one K; None where it is far behind the best of all."""
        answers = [candidate for candidate in self.found.values() if candidate.is_valid]
        of_K = [candidate for candidate in answers if candidate.n_components == K]
        best = min(of_K, key=value_of, default=None)
        if best and value_of(best) <= min(map(value_of, answers)) + SHARED_WITHIN:
            return best
        return None

    def _start_from(self, mixture: Mixture, but: str | None = None) -> None:
        """Short fits of all families of a K from one mixture; ``but`` is the family it is of."""
        K = mixture.n_components
        keys = [(family, K) for family in self.grid.families if family.name != but]
        if K == 1 or not keys or self.fitter.stopped.is_set():
            return
        drawn = self._of_short_fits[K]()
        moments = drawn.rows.backend.moments(drawn.rows.source, mixture, Scatter.DENSE)
        start = drawn.with_starts([("fit of another candidate", moments)])
        self.keep(keys, self._each(partial(self._from, lambda: start), keys))

    def _each(
        self,
        fit: Callable[[Family, int], Candidate],
        keys: Sequence[Key],
        on_candidate: OnCandidate | None = None,
    ) -> list[Candidate | None]:
        """Candidates side by side."""
        return self.fitter.each(fit, keys, self.plan.workers, on_candidate)

    def keep(self, keys: Sequence[Key], candidates: Sequence[Candidate | None]) -> None:
        """The better of the old and the new fit of each; one that was searched stays searched."""
        for (family, K), new in zip(keys, candidates, strict=True):
            old = self.found.get((family.name, K))
            if new is None:
                continue
            if old is not None:
                stage = Stage.SEARCHED if Stage.SEARCHED in (old.stage, new.stage) else new.stage
                new = replace(new if _better(new, old) else old, stage=stage)
            self.found[family.name, K] = new


def short_plan(plan: Plan) -> Plan:
    """The plan of a short fit: few iterations, and no local search."""
    return replace(plan, workers=1, budget=None, max_iter=min(plan.max_iter, SHORT_FIT_ITERATIONS))


def value_of(candidate: Candidate) -> float:
    """The criterion that ranks a candidate; infinite where it is not a number."""
    return candidate.criterion if isfinite(candidate.criterion) else inf


def _better(new: Candidate, old: Candidate) -> bool:
    """Whether a new fit of a candidate replaces the old one.

    It does where the old one is an estimate or ranks lower, or where a search ended at its optimum.
    """
    if new.fit is None or old.fit is None:
        return old.fit is None
    at_its_optimum = (
        new.stage is Stage.SEARCHED and abs(new.fit.score - old.fit.score) <= SAME_OPTIMUM
    )
    return old.is_estimate or new.fit.rank > old.fit.rank or (at_its_optimum and new.is_valid)


def _child(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, _SHORT_FITS))
