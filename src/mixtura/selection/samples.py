"""Looks at the cells of a selection of many rows, on samples that grow while cells drop out.

All cells are looked at on a small sample. What a cell would say of all rows is estimated: ``n / m``
times the log-likelihood of m rows, less half a parameter for each of the ``n / m - 1`` further
samples, since a fit of m rows is that much too good on them. Samples differ by more than cells do,
so an estimate is only held against others of the same rows. The estimate of a difference between
two cells has a standard error (Vuong 1989, Econometrica 57:307-333), ``n / m`` times that of the
sum of the differences of their log densities row by row. A cell that is behind by more than three
of them, and by 50, drops out, and its estimate is what the table shows. The others go on to four
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
from mixtura.selection.cells import Cells, Key, OnCandidate
from mixtura.selection.looks import Looks, looking, value_of

BEHIND = 50.0
"""A cell is not dropped before its criterion is so far behind, however sure that is."""


def worth_a_sample(cells: Cells) -> bool:
    """Whether rows are so many that cells are looked at on a sample of them."""
    return _first_size(cells) < cells.dataset.source.n_rows


def _first_size(cells: Cells) -> int:
    source = cells.dataset.source
    return sample_size(source.n_rows, source.n_features, max(cells.grid.ks))


def looked_at_on_samples(
    cells: Cells, plan: Plan, on_candidate: OnCandidate | None
) -> Mapping[tuple[str, int], Candidate]:
    """Every cell: fitted to all rows, or estimated from as many as it took to see that it is
    behind.
    """
    whole, seed = cells.dataset, sample_seed(cells.grid.seed)
    rows = whole.sampled(_first_size(cells), seed)
    quick = replace(plan, stopping=stopping_on_sample(plan.stopping))
    looks = Looks(cells.on(rows), quick, on_candidate)
    looks.run()
    found = looks.found
    while not cells.stopped.is_set() and any(cell.fit for cell in found.values()):
        leader, alive = _not_behind(cells, rows, found)
        rows = larger_sample(rows, whole, seed)
        on_rows = cells if rows is whole else cells.on(rows)

        def again(family: Family, K: int, cells: Cells = on_rows) -> Candidate:
            """A cell on more rows, from where it was left."""
            fit = found[family.name, K].fit
            assert fit is not None
            start = Initialisation(cells.dataset, [("fit of a sample", fit.mixture)])
            return cells.fit(family, K, lambda: start, looking(quick), Stage.SHORT_FIT)

        new = cells.each(again, alive, plan.workers, None)
        before = found[leader[0].name, leader[1]]
        found.update(
            {
                (key[0].name, key[1]): cell
                for key, cell in zip(alive, new, strict=True)
                if cell is not None and cell.fit
            }
        )
        _follow(cells, found, before, found[leader[0].name, leader[1]], alive)
        if rows is whole:
            break
    return found


def _follow(
    cells: Cells,
    found: dict[tuple[str, int], Candidate],
    before: Candidate,
    after: Candidate,
    alive: Sequence[Key],
) -> None:
    """Estimates of cells that have dropped out move with the cell that they were behind: only the
    difference is known well.
    """
    if before.fit is None or after.fit is None or after is before:
        return
    by = after.fit.log_likelihood - before.fit.log_likelihood
    for family, K in set(cells.grid.keys) - set(alive):
        cell = found.get((family.name, K))
        if cell is not None and cell.fit is not None:
            found[family.name, K] = cells.moved(cell, family, by)


def _not_behind(
    cells: Cells, rows: Dataset, found: Mapping[tuple[str, int], Candidate]
) -> tuple[Key, list[Key]]:
    """The best of the cells that were fitted to these rows, and those that may yet be the best of
    all rows.
    """
    own = {
        key: cell
        for key in cells.grid.keys
        if (cell := found.get((key[0].name, key[1])))
        and cell.fit is not None
        and cell.rows == rows.source.n_rows
    }
    answers = {key: cell for key, cell in own.items() if cell.eligible} or own
    leader = min(answers, key=lambda key: value_of(answers[key]))
    best = answers[leader]
    densities = _densities(rows, best)
    size = cells.dataset.total / rows.total

    def is_behind(cell: Candidate) -> bool:
        difference = value_of(cell) - value_of(best)
        if difference <= BEHIND:
            return False
        apart = densities - _densities(rows, cell)
        error = 2.0 * size * sqrt(summed(rows, (apart - summed(rows, apart) / rows.total) ** 2))
        return difference > BEHIND + TOLD_APART * error

    return leader, [key for key, cell in own.items() if not is_behind(cell)]


def _densities(rows: Dataset, cell: Candidate) -> Array:
    assert cell.fit is not None
    return np.asarray(log_densities(rows, cell.fit.mixture))
