"""Many rows are searched on a sample, and the fits it cannot tell apart on ever more rows.

The starts, and their successive halving, need dozens of passes over the rows but no more digits
than tell one optimum from another. So they run on a sample, spread over the whole file. Where it
tells its best end from the others, that one goes on to all rows, until the stopping rule holds
there with its certificate. Where it does not, the best few go on to a sample four times as large,
and so on, at last to all rows. Nothing that is reported is an estimate from a sample.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixtura.base.errors import CollapseError
from mixtura.base.interrupts import stop_on_signal
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import Callback, em
from mixtura.em.stopping import RemainingGain, StoppingRule
from mixtura.model.fit_result import Iteration, SearchResult, StopReason
from mixtura.model.start_report import StartReport
from mixtura.search.budget import Plan
from mixtura.search.finalists import finalists
from mixtura.search.initialisation import Initialisation, sample_seed
from mixtura.search.outcome import start_report
from mixtura.search.search import search
from mixtura.search.starts import NamedStart
from mixtura.search.threads import workers_for

FIRST_ITERATIONS = 10
"""Iterations on as many rows as tell where the search for many components begins."""

LEFT_ON_SAMPLE = 1.0
"""Log-likelihood that a run on the sample may leave to gain: the sample's optimum is further than
this from that of all rows.
"""

FITS_ON_SAMPLE = 0.5
"""Budget of a local search of a sample, in plain fits to all rows."""

LARGER = 4
"""The next sample has so many times as many rows, as long as that is at most half of them."""

BEST_OF_A_SAMPLE = "best of a sample"
"""The name of a start that a search on a sample has found."""


def search_from(
    initialisation: Initialisation,
    problem: Problem,
    plan: Plan,
    stopped: threading.Event | None = None,
) -> SearchResult:
    """The best fit to all rows; :func:`mixtura.search.search.search` is all of it without a sample.

    A sample without a valid fit decides nothing, and all rows are searched. An interrupt
    on a sample keeps the best mixture so far, evaluated on all rows.
    """
    ladder = _Ladder(initialisation, problem, plan, stopped or threading.Event())
    with stop_on_signal(ladder.stopped):
        try:
            return ladder.run()
        except KeyboardInterrupt:  # before the first mixture of all rows
            if ladder.best is None:
                raise
            kept = replace(em(problem, ladder.best, max_iter=0), stop=StopReason.INTERRUPTED)
            return SearchResult(kept, (kept,))


@dataclass(eq=False)
class _Ladder:
    """Samples of growing size up to all rows, with the best mixture so far.

    The report is of the first search.
    """

    initialisation: Initialisation
    problem: Problem
    plan: Plan
    stopped: threading.Event
    best: Mixture | None = None
    report: StartReport | None = None

    def run(self) -> SearchResult:
        """See :func:`search_from`."""
        begin, dataset = self.initialisation, self.problem.dataset
        if begin.rows is dataset:
            return self._on(dataset, begin.starts, self.plan, begin.more)
        try:
            starts = self._from_samples()
        except CollapseError:
            return self._on(dataset, begin.on_all(), self.plan)
        # a component that only the sample carries is left without rows
        searched = self.problem.regularisation.averages
        budget = self.plan.budget if searched else None
        return self._on(dataset, starts, replace(self.plan, budget=budget))

    def _from_samples(self) -> Sequence[NamedStart]:
        """The starts on all rows, after one sample or more."""
        begin, dataset, plan = self.initialisation, self.problem.dataset, self.plan
        rows, starts, more, are_few = begin.rows, begin.starts, begin.more, begin.judged is None
        if begin.judged is not None:  # fewer rows tell where many components begin
            rows, starts = begin.judged, self._after_first_iterations()
        swapped = are_few or self.plan.budget is None
        while True:
            found = self._on(rows, starts, self._plan_on(rows, plan), more)
            more = tuple
            self.best = found.best.mixture
            if not found.best.is_valid and not self.stopped.is_set():
                return begin.on_all()
            if self.stopped.is_set() or rows is dataset:
                return [(BEST_OF_A_SAMPLE, self.best)]
            larger = larger_sample(rows, dataset, sample_seed(begin.seed))
            ends = finalists(found, rows, larger) if are_few else [self.best]
            starts = [(BEST_OF_A_SAMPLE, end) for end in ends]
            if swapped and (len(ends) == 1 or larger is dataset):
                return starts
            # many components are swapped once more, on rows that tell right splits from false ones
            plan = replace(self.plan, budget=None) if swapped else self.plan
            rows, swapped = larger if swapped else larger.reduced or larger, True

    def _after_first_iterations(self) -> Sequence[NamedStart]:
        """Where the search for many components begins, after a few iterations on few rows."""
        begin = self.initialisation
        plan = self._plan_on(begin.rows, replace(self.plan, budget=None))
        plan = replace(plan, max_iter=min(self.plan.max_iter, FIRST_ITERATIONS))
        best = self._searched(begin.rows, begin.starts, plan).best
        self.best = best.mixture
        return [(begin.starts[0][0], best.mixture)] if best.is_valid else begin.starts

    def _plan_on(self, rows: Dataset, plan: Plan) -> Plan:
        """How a sample is searched: nothing is certified, and a callback is told likelihoods at the
        size of all rows.
        """
        size = self.problem.dataset.total / rows.total
        budget = plan.budget and replace(plan.budget, size=size, fits=FITS_ON_SAMPLE)
        return replace(
            plan,
            stopping=stopping_on_sample(plan.stopping),
            callback=None if plan.callback is None else _at_size(plan.callback, size),
            workers=workers_for(rows, plan.workers, plan.workers, short=False),
            budget=budget,
        )

    def _on(
        self,
        rows: Dataset,
        starts: Sequence[NamedStart],
        plan: Plan,
        more: Callable[[], Sequence[NamedStart]] = tuple,
    ) -> SearchResult:
        """A search with the report of the first one."""
        found = self._searched(rows, starts, plan, more)
        n = self.problem.dataset.source.n_rows
        self.report = self.report or start_report(found, rows, n)
        return replace(found, report=self.report)

    def _searched(
        self,
        rows: Dataset,
        starts: Sequence[NamedStart],
        plan: Plan,
        more: Callable[[], Sequence[NamedStart]] = tuple,
    ) -> SearchResult:
        """A search of some of the rows."""
        problem, seed = self.problem.with_data(rows), self.initialisation.seed
        names, begins = [name for name, _ in starts], [start for _, start in starts]
        return search(problem, begins, plan, self.stopped, seed, names, more)


def larger_sample(sample: Dataset, dataset: Dataset, seed: np.random.SeedSequence) -> Dataset:
    """A larger sample, or all rows where it would be more than half of them."""
    m = LARGER * round(sample.total)
    return dataset.sampled(m, seed) if 2 * m <= dataset.source.n_rows else dataset


def stopping_on_sample(rule: StoppingRule) -> StoppingRule:
    """When a fit of a sample ends: nothing is certified."""
    if isinstance(rule, RemainingGain):
        return replace(rule, tolerance=max(rule.tolerance, LEFT_ON_SAMPLE), certifies=False)
    return rule


def _at_size(callback: Callback, size: float) -> Callback:
    """A callback that is told likelihoods of so many times the rows."""

    def told(iteration: Iteration) -> None:
        level, gain = size * iteration.log_likelihood, size * iteration.gain
        callback(replace(iteration, log_likelihood=level, gain=gain))

    return told
