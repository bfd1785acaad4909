"""Many rows are searched on a sample of them, and what it cannot tell apart is polished on all.

The kinds of start, and the race between them, need dozens of passes over the rows but no more
digits than it takes to tell one optimum from another. So they run on a sample, spread over the
whole file. Where it can tell its best end from the others, that one goes on to all rows, until the
stopping rule holds there with its certificate. Where it cannot, the best few go on to a sample four
times as large, and so on, at last to a race on all rows. Nothing that is reported is an estimate
from a sample.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import ceil, sqrt

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.base.interrupts import stop_on_signal
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.em import Callback, em
from mixtura.em.stopping import RemainingGain, StoppingRule
from mixtura.initialise.initialisers import (
    DiscriminantKMeans,
    Hierarchical,
    Initialiser,
    KMeansStart,
)
from mixtura.model.mixture import Mixture, log_density
from mixtura.model.moments import Scatter
from mixtura.model.results import FitResult, Iteration, SearchResult, StopReason
from mixtura.model.start_report import StartReport
from mixtura.search.components import blocks_of
from mixtura.search.local_search import are_many
from mixtura.search.multistart import Named, named_starts, start_report, starts_in_turn, workers_for
from mixtura.search.runs import Plan
from mixtura.search.search import search
from mixtura.search.swaps import rows_enough

FEWEST_ROWS = 2_500
RARE = 1e-3
ROWS_PER_PARAMETER = 10
"""A sample has at least so many rows; so many that a component of this weight expects d + 1 of
them, what a full covariance needs, if that is no more than a quarter (``LARGER``) of all; and ten
for each parameter of full covariances. With fewer its optima are its own: on 30,000 x 32 and three
groups 2 apart the best of 7,500 rows led to an optimum 960 below that of scikit-learn."""

WORTH_A_SAMPLE = 3
"""Rows are sampled where there are at least this many times as many."""

WORTH_A_LARGER = 2
"""A larger sample, with all rows to follow, is worth it where there are at least this many times as
many.
"""

BEGIN = 10
"""Iterations on as many rows as tell where the search for many components begins."""

MANY_STARTS: tuple[Initialiser, ...] = (DiscriminantKMeans(),)
"""Starts of many components, which are exchanged afterwards: what k-means finds, and what it finds
where its clusters lie apart.
"""

LARGE = 1_000_000
ONE_START: tuple[Initialiser, ...] = (KMeansStart("standardised"),)
"""Many components begin at k-means alone where rows times components are so many, and no sample is
worth it: K = 200 on 50,000 x 8 then takes a fifth of the time."""

LEFT_ON_SAMPLE = 1.0
"""Log-likelihood that a run on the sample may leave to gain: the sample's optimum is further than
this from that of all rows.
"""

FITS_ON_SAMPLE = 0.5
"""What a local search of a sample may cost, in plain fits to all rows."""

LARGER = 4
"""The next sample has so many times as many rows, as long as that is at most half of them."""

SAME_END = 10.0
"""Distance (see :func:`_not_told_apart`) of two runs that may be on their way to one optimum, with
that much left to gain each.
"""

TOLD_APART = 3.0
"""Standard errors of a difference in log-likelihood above which the sample tells which of two fits
is the better one.
"""

RANKED = 12
FINALISTS = 3
"""Ends of a sample's search that are held against more rows, and those of them that go on."""

ALLOWED = 0.5
"""Standard deviations, as if their samples had nothing in common, that one fit may be behind
another on more rows.
"""

CELLS, CELLS_OF_A_SELECTION = 100, 250
CELLS_PER_COMPONENT = 10
"""Micro-clusters of a tree that is one start of many, where rows are too many for an exact one;
more where one tree serves all K of a selection."""

ON_SAMPLE = "best of a sample"
"""What a start is called that a search on a sample has found."""

_SAMPLE = 2**31 + 2
"""A child of the seed that no start and no fold uses."""


def sample_size(n: int, d: int, K: int) -> int:
    """Rows that K components in d dimensions are searched on; n where a sample is not worth it."""
    m = max(
        FEWEST_ROWS,
        min(ceil((d + 1) / RARE), n // LARGER),
        ROWS_PER_PARAMETER * K * (d + 1) * (d + 2) // 2,
    )
    return m if n >= WORTH_A_SAMPLE * m else n


@dataclass(frozen=True, eq=False)
class Initialisation:
    """Starts, and the rows they were drawn from: all, or a sample on which the first part of the
    search is run.

    ``seed`` draws larger samples, and the local search; ``on_all`` draws starts from all rows,
    where a sample decides nothing. Many components are exchanged on the rows by which they are
    ``judged``, perhaps all rows; ``rows`` tell where to begin. ``more`` draws further starts, where
    the first ones do not agree.
    """

    rows: Dataset
    starts: Sequence[Named]
    seed: np.random.SeedSequence = field(default_factory=lambda: np.random.SeedSequence(0))
    on_all: Callable[[], Sequence[Named]] = tuple
    judged: Dataset | None = None
    more: Callable[[], Sequence[Named]] = tuple

    def with_starts(self, starts: Sequence[Named]) -> Initialisation:
        """Other starts on the same rows, and no more."""
        return replace(self, starts=starts, more=tuple)

    def also(self, start: Named) -> Initialisation:
        """One start more on the same rows."""
        return replace(self, starts=[*self.starts, start])


def initialisation(
    initialisers: Sequence[Initialiser],
    dataset: Dataset,
    K: int,
    seed: np.random.SeedSequence,
    sampled: bool = True,
    cells: int = CELLS,
) -> Initialisation:
    """One start from each initialiser, drawn from a sample where rows are many and ``sampled``
    allows it.

    Trees begin at so many ``cells``.

    Raises
    ------
    DataError
        When none of the initialisers can start K components.
    """
    n = dataset.source.n_rows
    m = sample_size(n, dataset.source.n_features, K) if sampled and K > 1 else n
    if sampled:
        cells = max(cells, CELLS_PER_COMPONENT * K)
        initialisers = [
            replace(kind, most_cells=cells) if isinstance(kind, Hierarchical) else kind
            for kind in initialisers
        ]
    on_all = cache(lambda: named_starts(initialisers, dataset, K, seed))
    rows = dataset if m == n else dataset.sampled(m, sample_seed(seed))
    if not sampled:
        return Initialisation(dataset, on_all(), seed)
    if rows is dataset and are_many(K) and n * K >= LARGE:
        return Initialisation(dataset, named_starts(ONE_START, dataset, K, seed), seed)
    if rows is dataset or not rows.holds(K + 1):
        first, more = starts_in_turn(initialisers, dataset, K, seed)
        return Initialisation(dataset, first, seed, more=more)
    if are_many(K):
        enough = max(m, rows_enough(K, dataset.source.n_features))
        judged = (
            dataset.sampled(enough, sample_seed(seed)) if n >= WORTH_A_LARGER * enough else dataset
        )
        return Initialisation(
            rows, named_starts(MANY_STARTS, rows, K, seed), seed, on_all, judged.reduced or judged
        )
    first, more = starts_in_turn(initialisers, rows, K, seed)
    return Initialisation(rows, first, seed, on_all, more=more)


def sample_seed(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    """It depends on the seed's entropy alone, so that all Ks of a selection share their samples,
    and the trees grown on them.
    """
    return np.random.SeedSequence(seed.entropy, spawn_key=(_SAMPLE,))


def search_from(
    initialisation: Initialisation,
    problem: Problem,
    plan: Plan,
    stopped: threading.Event | None = None,
) -> SearchResult:
    """The best fit to all rows from an opening; see :func:`mixtura.search.search`, which does all
    of it without a sample.

    A sample on which no end is an answer decides nothing, and all rows are searched. An interrupt
    on a sample keeps the best mixture so far, evaluated on all rows.
    """
    ascent = _Ladder(initialisation, problem, plan, stopped or threading.Event())
    with stop_on_signal(ascent.stopped):
        try:
            return ascent.to_all_rows()
        except KeyboardInterrupt:  # before the first mixture of all rows
            if ascent.best is None:
                raise
            kept = replace(em(problem, ascent.best, max_iter=0), stop=StopReason.INTERRUPTED)
            return SearchResult(kept, (kept,))


@dataclass(eq=False)
class _Ladder:
    """The way from a sample to all rows, with the best mixture so far and the report of the first
    search.
    """

    initialisation: Initialisation
    problem: Problem
    plan: Plan
    stopped: threading.Event
    best: Mixture | None = None
    report: StartReport | None = None

    @property
    def dataset(self) -> Dataset:
        """All rows."""
        return self.problem.dataset

    def to_all_rows(self) -> SearchResult:
        """See :func:`search_from`."""
        if self.initialisation.rows is self.dataset:
            return self.on(
                self.dataset, self.initialisation.starts, self.plan, self.initialisation.more
            )
        try:
            starts = self.from_samples()
        except CollapseError:
            return self.on(self.dataset, self.initialisation.on_all(), self.plan)
        return self.on(self.dataset, starts, replace(self.plan, effort=None))

    def from_samples(self) -> Sequence[Named]:
        """Where to begin on all rows, after one sample or more."""
        rows, starts, plan = self.initialisation.rows, self.initialisation.starts, self.plan
        if self.initialisation.judged is not None:  # fewer rows tell where many components begin
            rows, starts = self.initialisation.judged, self.begun()
        exchanged = self.initialisation.judged is None or self.plan.effort is None
        more = self.initialisation.more
        while True:
            found = self.on(rows, starts, self.sampled(rows, plan), more)
            more = tuple
            self.best = found.best.mixture
            if not found.best.is_answer and not self.stopped.is_set():
                return self.initialisation.on_all()
            if self.stopped.is_set() or rows is self.dataset:
                return [(ON_SAMPLE, self.best)]
            larger = larger_sample(rows, self.dataset, sample_seed(self.initialisation.seed))
            ends = (
                [self.best]
                if self.initialisation.judged is not None
                else finalists(found, rows, larger)
            )
            starts = [(ON_SAMPLE, end) for end in ends]
            if exchanged and (len(ends) == 1 or larger is self.dataset):
                return starts
            # many components are exchanged once more, on rows that tell right cuts from false ones
            plan = replace(self.plan, effort=None) if exchanged else self.plan
            rows, exchanged = larger if exchanged else larger.reduced or larger, True

    def begun(self) -> Sequence[Named]:
        """Where the search for many components begins, after a few iterations on few rows."""
        plan = replace(
            self.sampled(self.initialisation.rows, replace(self.plan, effort=None)),
            max_iter=min(self.plan.max_iter, BEGIN),
        )
        begun = self.searched(self.initialisation.rows, self.initialisation.starts, plan).best
        self.best = begun.mixture
        return (
            [(self.initialisation.starts[0][0], begun.mixture)]
            if begun.is_answer
            else self.initialisation.starts
        )

    def sampled(self, rows: Dataset, plan: Plan) -> Plan:
        """How some of the rows are searched."""
        return _on_sample(plan, self.dataset, rows)

    def on(
        self,
        rows: Dataset,
        starts: Sequence[Named],
        plan: Plan,
        more: Callable[[], Sequence[Named]] = tuple,
    ) -> SearchResult:
        """A search with the report of the first one."""
        found = self.searched(rows, starts, plan, more)
        self.report = self.report or start_report(found, rows, self.dataset.source.n_rows)
        return replace(found, report=self.report)

    def searched(
        self,
        rows: Dataset,
        starts: Sequence[Named],
        plan: Plan,
        more: Callable[[], Sequence[Named]] = tuple,
    ) -> SearchResult:
        """A search of some of the rows."""
        names, begins = [name for name, _ in starts], [start for _, start in starts]
        return search(
            self.problem.with_data(rows),
            begins,
            plan,
            self.stopped,
            self.initialisation.seed,
            names,
            more,
        )


# ---- on a sample ---------------------------------------------------------------------------------


def larger_sample(sample: Dataset, dataset: Dataset, seed: np.random.SeedSequence) -> Dataset:
    """A larger sample, or all rows where it would be more than half of them."""
    m = LARGER * round(sample.total)
    return dataset.sampled(m, seed) if 2 * m <= dataset.source.n_rows else dataset


def stopping_on_sample(rule: StoppingRule) -> StoppingRule:
    """When a fit of a sample ends: nothing is certified."""
    if isinstance(rule, RemainingGain):
        return replace(rule, tolerance=max(rule.tolerance, LEFT_ON_SAMPLE), certifies=False)
    return rule


def _on_sample(plan: Plan, dataset: Dataset, sample: Dataset) -> Plan:
    """The plan of the first part: nothing is certified, and a callback is told likelihoods at the
    size of all rows.
    """
    stopping = stopping_on_sample(plan.stopping)
    callback = (
        None if plan.callback is None else _at_size(plan.callback, dataset.total / sample.total)
    )
    workers = workers_for(
        sample, plan.workers, plan.workers, short=False
    )  # what a sample is for is long enough
    effort = plan.effort
    if effort is not None:
        effort = replace(effort, size=dataset.total / sample.total, fits=FITS_ON_SAMPLE)
    return replace(plan, stopping=stopping, callback=callback, workers=workers, effort=effort)


def _at_size(callback: Callback, size: float) -> Callback:
    def told(iteration: Iteration) -> None:
        callback(
            replace(
                iteration,
                log_likelihood=size * iteration.log_likelihood,
                gain=size * iteration.gain,
            )
        )

    return told


# ---- what the sample cannot tell apart -----------------------------------------------------------


def finalists(found: SearchResult, sample: Dataset, larger: Dataset) -> list[Mixture]:
    """The best mixture of the sample and others that it cannot tell from it, as far as the next,
    larger rows cannot either.

    A search of few rows is won by what fits their chance. So those that are left are ranked by the
    log-likelihood of the ``larger`` rows. A fit of m rows falls short of the optimum of n rows by
    ``p n / (2 m)`` on average for p parameters, and two fits by sums that differ by up to
    ``sqrt(p) n / m`` (standard deviation); what is ``ALLOWED`` times that behind is left.
    """
    mixtures = _not_told_apart(found, sample)
    if len(mixtures) == 1:
        return mixtures
    levels = [
        larger.backend.moments(larger.source, mixture, Scatter.TRACE).log_likelihood
        for mixture in mixtures
    ]
    least = max(levels) - ALLOWED * sqrt(found.best.n_parameters) * larger.total / sample.total
    ranked = sorted(range(len(mixtures)), key=lambda i: -levels[i])
    return [mixtures[i] for i in ranked if levels[i] >= least][:FINALISTS]


def _not_told_apart(found: SearchResult, sample: Dataset) -> list[Mixture]:
    """The best mixture of the sample, and others that it cannot tell from it, best score first.

    For two fits let ``D_i`` be the difference of their log densities at row i. Its sum over the
    sample has the standard error ``sqrt(sum (D_i - mean)^2)`` (Vuong 1989, Econometrica
    57:307-333), and what differs by more than ``TOLD_APART`` of them is left. ``sum D_i^2`` is
    their distance, about twice what is lost from one to the other, and what is nearer than
    ``SAME_END`` is the same.
    """
    best = found.best
    densities = [log_densities(sample, best.mixture)]
    chosen = [best.mixture]
    ended = [
        fit
        for fit in found.fits
        if isinstance(fit, FitResult) and fit is not best and fit.soundness and fit.is_answer
    ]
    for fit in sorted(ended, key=lambda fit: -fit.score):
        if len(chosen) == RANKED:
            break
        density = log_densities(sample, fit.mixture)
        if _behind(best, fit, sample, densities[0] - density):
            continue
        if all(summed(sample, (known - density) ** 2) > SAME_END for known in densities):
            densities.append(density)
            chosen.append(fit.mixture)
    return chosen


def _behind(best: FitResult, fit: FitResult, sample: Dataset, difference: Array) -> bool:
    """Whether the sample tells that a fit is worse than the best one."""
    mean = summed(sample, difference) / sample.total
    return best.objective - fit.objective > TOLD_APART * sqrt(
        summed(sample, (difference - mean) ** 2)
    )


def summed(sample: Dataset, values: Array) -> float:
    """Values of the rows (m,), summed by weight."""
    total = 0.0
    for block in sample.source.blocks():
        own = values[block.offset : block.offset + len(block.rows)]
        total += float(own.sum() if block.weights is None else own @ block.weights)
    return total


def log_densities(sample: Dataset, mixture: Mixture) -> Array:
    """``log p(x_i)`` of each row (m,)."""
    return np.concatenate(
        [log_density(sample.backend.log_joint(part, mixture)) for part in blocks_of(sample)]
    )
