"""Short fits of many rows: on samples that grow while candidates drop out.

All candidates are fitted to a small sample. The criterion on all rows is estimated: ``n / m`` times
the log-likelihood of m rows, less half a parameter for each of the ``n / m - 1`` further samples,
since a fit of m rows is that much too good on them. Samples differ by more than candidates do, so
an estimate is compared with others of the same rows only. The estimate of a difference between two
candidates has a standard error (Vuong 1989, Econometrica 57:307-333), ``n / m`` times that of the
sum of the differences of their log densities row by row. A candidate that is behind by more than
three of them, and by 50, drops out, and the table shows its estimate. The others are fitted to four
times the rows, at last to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from mixtura.base.arrays import Array
from mixtura.data.dataset import Dataset
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Stage
from mixtura.search.budget import Plan
from mixtura.search.finalists import TOLD_APART, log_densities, summed
from mixtura.search.initialisation import Initialisation, sample_seed, sample_size
from mixtura.search.subsampling import larger_sample, stopping_on_sample
from mixtura.selection.candidates import CandidateFitter, Key, OnCandidate
from mixtura.selection.short_fits import ShortFits, short_plan, value_of

DROPPED_BEHIND = 50.0
"""A candidate whose criterion is less than this behind is not dropped, however small the standard
error (decision 0021).
"""


def worth_a_sample(fitter: CandidateFitter) -> bool:
    """Whether rows are so many that short fits are made on a sample of them."""
    return _first_size(fitter) < fitter.dataset.source.n_rows


def _first_size(fitter: CandidateFitter) -> int:
    source = fitter.dataset.source
    return sample_size(source.n_rows, source.n_features, max(fitter.grid.ks))


def short_fits_on_samples(
    fitter: CandidateFitter, plan: Plan, on_candidate: OnCandidate | None
) -> Mapping[tuple[str, int], Candidate]:
    """Every candidate, fitted to all rows, or estimated from the sample on which it dropped out."""
    whole, seed = fitter.dataset, sample_seed(fitter.grid.seed)
    rows = whole.sampled(_first_size(fitter), seed)
    quick = replace(plan, stopping=stopping_on_sample(plan.stopping))
    short = ShortFits(fitter.on(rows), quick, on_candidate)
    short.run()
    found = short.found
    while not fitter.stopped.is_set() and any(one.fit for one in found.values()):
        (family, K), alive = _not_behind(fitter, rows, found)
        rows = larger_sample(rows, whole, seed)
        before = found[family.name, K]
        found.update(_refitted(fitter if rows is whole else fitter.on(rows), found, alive, quick))
        _follow(fitter, found, before, found[family.name, K], alive)
        if rows is whole:
            break
    return found


def _refitted(
    fitter: CandidateFitter,
    found: Mapping[tuple[str, int], Candidate],
    alive: Sequence[Key],
    plan: Plan,
) -> dict[tuple[str, int], Candidate]:
    """Some candidates fitted to more rows, each from its last fit."""

    def again(family: Family, K: int) -> Candidate:
        fit = found[family.name, K].fit
        assert fit is not None
        start = Initialisation(fitter.dataset, [("fit of a sample", fit.mixture)])
        return fitter.fit(family, K, lambda: start, short_plan(plan), Stage.SHORT_FIT)

    new = fitter.each(again, alive, plan.workers, None)
    return {
        (family.name, K): candidate
        for (family, K), candidate in zip(alive, new, strict=True)
        if candidate is not None and candidate.fit
    }


def _follow(
    fitter: CandidateFitter,
    found: dict[tuple[str, int], Candidate],
    before: Candidate,
    after: Candidate,
    alive: Sequence[Key],
) -> None:
    """Shift the estimates of dropped candidates with the best one.

    Their difference from it is estimated well, their level is not.
    """
    if before.fit is None or after.fit is None or after is before:
        return
    by = after.fit.log_likelihood - before.fit.log_likelihood
    for family, K in set(fitter.grid.keys) - set(alive):
        candidate = found.get((family.name, K))
        if candidate is not None and candidate.fit is not None:
            found[family.name, K] = fitter.shifted(candidate, family, by)


def _not_behind(
    fitter: CandidateFitter, rows: Dataset, found: Mapping[tuple[str, int], Candidate]
) -> tuple[Key, list[Key]]:
    """The best candidate on these rows, and all that may be the best on all rows."""
    own = {
        key: candidate
        for key in fitter.grid.keys
        if (candidate := found.get((key[0].name, key[1])))
        and candidate.fit is not None
        and candidate.rows == rows.source.n_rows
    }
    answers = {key: candidate for key, candidate in own.items() if candidate.eligible} or own
    best_key = min(answers, key=lambda key: value_of(answers[key]))
    best = answers[best_key]
    densities = _densities(rows, best)
    size = fitter.dataset.total / rows.total

    def is_behind(candidate: Candidate) -> bool:
        difference = value_of(candidate) - value_of(best)
        if difference <= DROPPED_BEHIND:
            return False
        apart = densities - _densities(rows, candidate)
        error = 2.0 * size * sqrt(summed(rows, (apart - summed(rows, apart) / rows.total) ** 2))
        return difference > DROPPED_BEHIND + TOLD_APART * error

    return best_key, [key for key, candidate in own.items() if not is_behind(candidate)]


def _densities(rows: Dataset, candidate: Candidate) -> Array:
    assert candidate.fit is not None
    return np.asarray(log_densities(rows, candidate.fit.mixture))
