"""The one rule that says when a component is degenerate: likelihood alone is not a judge.

On recorded data, which is rounded, a component can shrink onto one value and its likelihood grows without bound. Such a
fit is kept, with its reason, but never wins a search or a selection. A component is degenerate when

(a) an eigenvalue of its covariance is at the floor (within ``FLOOR_MARGIN`` times), or
(b) its standard deviation along one of its own axes is below the resolution of the data in that direction, where the
    resolution of a column is its smallest gap between distinct values when values repeat, or
(c) fewer distinct rows belong to it than its covariance needs (``Family.rows_needed``).

Families that share the whole covariance are judged by (a) alone. Axes and floors are measured in units of the columns'
standard deviations, so a change of units changes nothing. Where rows are many, a sample of them is asked first
(:attr:`mixtura.survey.Survey.witnesses`): it may acquit, and only a suspect is tried on all rows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mixtura.arrays import Labels
from mixtura.mixture import Mixture
from mixtura.moments import Scatter
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation, below, scaled_axes
from mixtura.results import Degeneracy
from mixtura.survey import Survey

FLOOR_MARGIN = 10.0

COPY_DISTANCE = 1e-6
"""Two components closer than this, in standard deviations and in relative variance, are copies."""


def degenerate_components(
    mixture: Mixture, family: Family, regularisation: Regularisation, survey: Survey
) -> tuple[Degeneracy, ...]:
    """Every degenerate component of a mixture with its reason in words (one reason each, the first that holds)."""
    reasons: dict[int, str] = {}
    for k in np.flatnonzero(regularisation.floor_reached(mixture.covariance, FLOOR_MARGIN)):
        reasons[int(k)] = "its covariance is at the floor: the rows it holds do not spread in every direction"
    if not family.shares_all:
        for k in np.flatnonzero(_below_resolution(mixture, survey)):
            reasons.setdefault(int(k), "it is narrower than the resolution of the data: it sits on repeated values")
        needed = family.rows_needed(mixture.n_features)
        held = distinct_rows_held(mixture, survey, needed)
        for k in np.flatnonzero(held < needed):
            reasons.setdefault(int(k), f"it holds {held[k]:.1f} distinct rows where {needed} are needed")
    return tuple(Degeneracy(k, reasons[k]) for k in sorted(reasons))


def surely_degenerate(family: Family, regularisation: Regularisation, survey: Survey) -> tuple[float, float]:
    """Rows that a component holds, and a variance in units of the data's, below which it is degenerate by (c) and by (a) or (b).

    What is above may still be: these are bounds that cost nothing to ask, so that a run need not go on to its end.
    """
    if family.shares_all:
        return 0.0, 0.0
    alike = all(block.weights is None for block in survey.source.blocks())  # then distinct rows are no more than rows
    finest = float((survey.resolution**2 / survey.scale).min())
    return (float(family.rows_needed(survey.source.n_features)) if alike else 0.0), max(FLOOR_MARGIN * regularisation.floor, finest)


def _below_resolution(mixture: Mixture, survey: Survey) -> np.ndarray:
    """Rule (b), per component."""

    def narrower_than(grid: np.ndarray) -> np.ndarray:
        gaps = grid / np.sqrt(survey.scale)
        widest = float(gaps.max())
        if widest == 0 or not below(mixture.covariance, np.full(len(mixture.covariance.values), widest**2), survey.scale).any():
            return np.zeros(mixture.n_components, dtype=bool)  # no direction is coarser than the coarsest column
        values, axes = scaled_axes(mixture.covariance, survey.scale)
        along = np.sqrt(np.einsum("kji,j->ki", axes**2, gaps**2))
        return np.asarray((np.sqrt(np.maximum(values, 0.0)) < along).any(axis=1))

    if np.isfinite(survey.gaps).all() and not narrower_than(survey.gaps).any():
        return np.zeros(mixture.n_components, dtype=bool)
    return narrower_than(survey.resolution)


def distinct_rows_held(mixture: Mixture, survey: Survey, enough: float) -> np.ndarray:
    """Rule (c): responsibilities summed over the distinct rows (K,); over some of them where that is enough for every component."""
    held = survey.backend.moments(survey.witnesses, mixture, Scatter.TRACE).counts
    return held if (held >= enough).all() else survey.backend.moments(survey.distinct, mixture, Scatter.TRACE).counts


def has_copies(mixture: Mixture) -> bool:
    """Whether two components are exact copies: EM gives both the same responsibilities for ever."""
    return bool(copies_of(mixture))


def copies_of(mixture: Mixture) -> dict[int, int]:
    """The components that are exact copies of an earlier one, and which one that is."""
    values = mixture.covariance.values
    spreads = np.einsum("kjj->kj", values) if values.ndim == 3 else values.reshape(len(values), -1)
    deviations = np.sqrt(np.broadcast_to(spreads, mixture.means.shape))
    one, other = _pairs(mixture.n_components)
    near = (np.abs(mixture.means[other] - mixture.means[one]) < COPY_DISTANCE * deviations[one]).all(axis=1)
    if not near.any():
        return {}
    dense = mixture.covariance.dense()
    one, other = one[near], other[near]
    unlike = np.abs(dense[other] - dense[one]) / (deviations[one][:, :, None] * deviations[one][:, None, :])
    alike = unlike.max(axis=(1, 2)) < COPY_DISTANCE
    return {int(k): int(one[alike][other[alike] == k].min()) for k in np.unique(other[alike])}


@lru_cache(maxsize=64)
def _pairs(K: int) -> tuple[Labels, Labels]:
    """All pairs of K components, the first below the second."""
    one, other = np.triu_indices(K, 1)
    return one, other
