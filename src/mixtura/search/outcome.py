"""What a search has found: the best fit, what became of every run, and the distinct optima."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.base.errors import CollapseError
from mixtura.data.dataset import Dataset
from mixtura.distribution.mixture_density import labels_of
from mixtura.model.fit_result import FailedStart, FitResult, SearchResult, StopReason
from mixtura.model.start_report import StartReport
from mixtura.search.runs import SAME_OPTIMUM

MOST_OPTIMA = 10
"""Optima that a report lists, best first."""

ROWS_TO_AGREE = 2_000
"""Rows on which their partitions are compared."""


def best_of(fits: Sequence[FitResult | FailedStart], same: float) -> FitResult:
    """The fit with the best rank; of those with the same score the earliest, so that rounding never
    decides.

    Raises
    ------
    CollapseError
        When no start gave a mixture.
    KeyboardInterrupt
        When Ctrl-C came before the first mixture.
    """
    fitted = [fit for fit in fits if isinstance(fit, FitResult)]
    if not fitted:
        if any(
            fit.reason == StopReason.INTERRUPTED.value
            for fit in fits
            if isinstance(fit, FailedStart)
        ):
            raise KeyboardInterrupt
        raise CollapseError(0)
    ended = [fit for fit in fitted if fit.soundness is not None] or fitted
    valid = [fit for fit in ended if fit.is_valid] or ended
    highest = max(fit.score for fit in valid)
    return next(fit for fit in valid if fit.score >= highest - same)


def start_report(found: SearchResult, rows: Dataset, n_all: int) -> StartReport:
    """The report of a search on some rows, all or a sample of them."""
    same = 2 * SAME_OPTIMUM * rows.row_weight  # each of two runs to one optimum may be short of it
    fits = [fit for fit in found.fits if isinstance(fit, FitResult) and fit.soundness]
    # A run that was dropped, or that max_iter ended, is not at an optimum.
    at_optima = [fit for fit in fits if fit.stop is not StopReason.MAX_ITER]
    ended = [fit for fit in (found.best, *at_optima) if fit.soundness and fit.is_valid]
    different: list[FitResult] = []
    for fit in sorted(ended, key=lambda fit: -fit.score):
        if all(abs(fit.objective - other.objective) > same for other in different):
            different.append(fit)
    listed = different[:MOST_OPTIMA]
    levels = tuple((fit.objective, fit.score) for fit in listed)
    return StartReport(
        found.runs, rows.source.n_rows, n_all, levels, tuple(_labels(listed, rows)), same
    )


def _labels(fits: Sequence[FitResult], rows: Dataset) -> list[Labels]:
    """The partitions of some of the rows."""
    block = next(rows.source.blocks())
    part = next(iter(block.cut(ROWS_TO_AGREE)))
    return [
        labels_of(rows.backend.log_joint(part, fit.mixture), fit.mixture).astype(np.intp)
        for fit in fits
    ]
