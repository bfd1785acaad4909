"""Fits that a sample cannot tell apart, and which of them go on to more rows."""

from __future__ import annotations

from math import sqrt

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.model.fit_result import FitResult, SearchResult
from mixtura.search.components import blocks_of

SAME_END = 10.0
"""Distance (see :func:`_indistinguishable`) of two runs that may be on their way to one optimum,
with that much left to gain each.
"""

TOLD_APART = 3.0
"""Standard errors of a difference in log-likelihood above which the sample tells which of two fits
is the better one.
"""

MOST_COMPARED, MOST_FINALISTS = 12, 3
"""Ends of a sample's search that are compared on more rows, and those of them that go on."""

ALLOWED = 0.5
"""Standard deviations, as if their samples had nothing in common, that one fit may be behind
another on more rows.
"""


def finalists(found: SearchResult, sample: Dataset, larger: Dataset) -> list[Mixture]:
    """The best mixture of the sample, and others that neither it nor more rows tell from it.

    A search of few rows is won by the fit to their chance. So those that are left are ranked by the
    log-likelihood of the ``larger`` rows. A fit of m rows falls short of the optimum of n rows by
    ``p n / (2 m)`` on average for p parameters, and two fits by sums that differ by up to
    ``sqrt(p) n / m`` (standard deviation); fits ``ALLOWED`` times that behind are left out.
    """
    mixtures = _indistinguishable(found, sample)
    if len(mixtures) == 1:
        return mixtures
    levels = [
        larger.backend.moments(larger.source, mixture, Scatter.TRACE).log_likelihood
        for mixture in mixtures
    ]
    least = max(levels) - ALLOWED * sqrt(found.best.n_parameters) * larger.total / sample.total
    ranked = sorted(range(len(mixtures)), key=lambda i: -levels[i])
    return [mixtures[i] for i in ranked if levels[i] >= least][:MOST_FINALISTS]


def _indistinguishable(found: SearchResult, sample: Dataset) -> list[Mixture]:
    """The best mixture of the sample, and others that it cannot tell from it, best score first.

    For two fits let ``D_i`` be the difference of their log densities at row i. Its sum over the
    sample has the standard error ``sqrt(sum (D_i - mean)^2)`` (Vuong 1989, Econometrica
    57:307-333); fits that differ by more than ``TOLD_APART`` of them are left out. ``sum D_i^2`` is
    their distance, about twice the loss from one to the other; fits nearer than ``SAME_END`` are
    the same.
    """
    best = found.best
    densities = [log_densities(sample, best.mixture)]
    chosen = [best.mixture]
    fits = [fit for fit in found.fits if isinstance(fit, FitResult) and fit is not best]
    ended = [fit for fit in fits if fit.soundness and fit.is_valid]
    for fit in sorted(ended, key=lambda fit: -fit.score):
        if len(chosen) == MOST_COMPARED:
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
    error = sqrt(summed(sample, (difference - mean) ** 2))
    return best.objective - fit.objective > TOLD_APART * error


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
