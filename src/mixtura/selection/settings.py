"""The settings of a selection, which the estimator and the command line fill in."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mixtura.backends import ROWS_WORTH_A_THREAD, backend_named
from mixtura.base.choices import (
    Acceleration,
    BackendName,
    ComponentOrder,
    CovarianceType,
    CriterionName,
    SampleSize,
)
from mixtura.base.errors import DataWarning, DegenerateWarning
from mixtura.base.underflow import ignore_underflow
from mixtura.data.dataset import Dataset
from mixtura.data.noise_box import NoiseVolume
from mixtura.em.stopping import REMAINING, RemainingGain, SmallChange, StoppingRule
from mixtura.families import FAMILIES, family_named
from mixtura.inputs.constraints import constraints_of
from mixtura.inputs.fixed_parameters import fixed_parameters_of
from mixtura.inputs.parameters import (
    accelerated,
    check_count,
    check_settings,
    ordered_by_weight,
    seed_of,
)
from mixtura.model.criteria import check_criterion
from mixtura.model.mixture import Mixture
from mixtura.model.priors import ConjugatePrior
from mixtura.model.protocols import Family
from mixtura.model.selection import Selection
from mixtura.search.budget import Budget, Plan
from mixtura.search.starts import usual_starts
from mixtura.search.threads import limited_threads, workers_for
from mixtura.selection.bootstrap import (
    TOP_FAMILIES,
    TOP_KS,
    USUAL_RESAMPLES,
    ChoiceUncertainty,
    bootstrap_selection,
)
from mixtura.selection.select import Grid, OnCandidate, select

SEARCH_BUDGET = Budget(least=1.5e8)
"""Budget of the local search of a candidate: larger than that of a single fit, since few candidates
are searched.
"""

_BOOTSTRAP = (2**31 + 1,)
"""A child of the seed that no fit of the selection uses."""


@dataclass(eq=False, repr=False)
class SelectionSettings:
    """The parameters of :class:`mixtura.GaussianMixtureSelector`, described there.

    scikit-learn is not imported here: that takes a second, and a command on few rows does without.
    """

    n_components: int | Iterable[int] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    _: KW_ONLY
    families: Literal["all"] | CovarianceType | Sequence[CovarianceType] = "all"
    criterion: CriterionName = "bic"
    folds: int | None = None
    sample_size: SampleSize = "total"
    tol: float | None = None
    reg_covar: float | None = None
    prior: Literal["conjugate"] | ConjugatePrior | None = None
    eigenvalue_ratio: float | None = None
    equal_weights: bool = False
    fixed_weights: ArrayLike | None = None
    fixed_means: ArrayLike | None = None
    fixed_covariances: ArrayLike | None = None
    fixed_mixture: Mixture | None = None
    noise: NoiseVolume | None = None
    acceleration: Acceleration | None = "auto"
    max_iter: int = 2000
    n_init: int | None = None
    random_state: int | np.random.RandomState | None = None
    component_order: ComponentOrder | None = None
    n_threads: int | None = None
    backend: BackendName = "auto"


def candidates_of(settings: SelectionSettings) -> tuple[list[int], list[Family]]:
    """The Ks and the families to try; bad settings are refused before the data are touched."""
    check_settings(settings)
    check_criterion(settings.criterion)
    check_count("folds", settings.folds, 2, optional=True)
    if settings.sample_size not in ("total", "effective"):
        raise ValueError(
            f"sample_size must be 'total' or 'effective', but {settings.sample_size!r} came. "
            "Effective is for survey weights."
        )
    ks = (
        list(settings.n_components)
        if isinstance(settings.n_components, Iterable)
        else [settings.n_components]
    )
    fixed = fixed_parameters_of(settings)
    for K in ks:
        check_count("n_components", K, 1)
        if fixed is not None:
            fixed.check_components(K, settings.noise is not None)
    names = [settings.families] if isinstance(settings.families, str) else list(settings.families)
    families = [family_named(name) for name in (FAMILIES if names == ["all"] else names)]
    if not ks or not families:
        raise ValueError(
            "n_components and families must name at least one candidate each, but one of them is "
            "empty."
        )
    return ks, families


@ignore_underflow
def selection_of(
    settings: SelectionSettings,
    ks: Sequence[int],
    families: Sequence[Family],
    dataset: Dataset,
    callback: OnCandidate | None = None,
    on_fold: Callable[[int], None] | None = None,
) -> Selection:
    """The selection; ``callback`` and ``on_fold`` as in ``GaussianMixtureSelector.fit``."""
    if settings.families == "all" and dataset.source.n_features == 1:  # only E and V differ
        families = [family for family in families if family.name.endswith("II")]
    grid = grid_of(settings, ks, families)
    plan = _plan(settings, dataset, grid.n_candidates)
    if plan.workers > 1 and dataset.source.n_rows < ROWS_WORTH_A_THREAD:
        # candidates share the processors, so rows need not
        dataset = Dataset(dataset.source, backend_named(settings.backend, 1))
    with limited_threads(dataset.source.n_rows):
        return select(dataset, grid, plan, callback, n_threads=settings.n_threads, on_fold=on_fold)


def grid_of(settings: SelectionSettings, ks: Sequence[int], families: Sequence[Family]) -> Grid:
    """The grid of the candidates."""
    return Grid(
        ks,
        families,
        usual_starts(settings.n_init),
        settings.criterion,
        constraints_of(settings),
        seed_of(settings.random_state),
        folds=settings.folds or 0,
        effective=settings.sample_size == "effective",
        by_weight=ordered_by_weight(settings),
    )


def _plan(settings: SelectionSettings, dataset: Dataset, n_jobs: int) -> Plan:
    """How each candidate is searched."""
    stopping: StoppingRule = (
        RemainingGain(REMAINING * dataset.row_weight)
        if settings.tol is None
        else SmallChange(float(settings.tol))
    )
    return Plan(
        stopping,
        settings.max_iter,
        screened=settings.n_init is None,
        workers=workers_for(dataset, n_jobs, settings.n_threads, short=False),
        accelerated=accelerated(settings),
        budget=SEARCH_BUDGET if settings.n_init is None else None,
    )


@ignore_underflow
def selected_again(
    settings: SelectionSettings,
    dataset: Dataset,
    selection: Selection,
    *,
    n_resamples: int = USUAL_RESAMPLES,
    top_families: int | None = TOP_FAMILIES,
    top_ks: int | None = TOP_KS,
    on_resample: Callable[[int], None] | None = None,
) -> ChoiceUncertainty:
    """The bootstrap of a selection; see :meth:`mixtura.GaussianMixtureSelector.bootstrap`."""
    ks = list(dict.fromkeys(one.n_components for one in selection.candidates))
    names = dict.fromkeys(one.family for one in selection.candidates)
    grid = grid_of(settings, ks, [family_named(name) for name in names])
    # no local search: each resample starts from the fit of all rows
    plan = replace(_plan(settings, dataset, 1), budget=None)
    return bootstrap_selection(
        dataset,
        selection,
        grid,
        plan,
        n_resamples=n_resamples,
        seed=np.random.SeedSequence(grid.seed.entropy, spawn_key=_BOOTSTRAP),
        top_families=top_families,
        top_ks=top_ks,
        n_threads=settings.n_threads,
        on_resample=on_resample,
    )


def warn_of(selection: Selection, stacklevel: int = 2) -> None:
    """Warn about the chosen model.

    Raises
    ------
    ValueError
        When no candidate could be fitted.
    """
    reasons = " | ".join(sorted({candidate.reason for candidate in selection.candidates})[:3])
    if not any(candidate.fit for candidate in selection.candidates):
        raise ValueError(
            f"No candidate could be fitted; selection_ holds them all with their reasons: {reasons}"
        )

    def warn(message: str, category: type[Warning]) -> None:
        warnings.warn(message, category, stacklevel=stacklevel + 2)

    if not selection.ranking:
        warn(
            "No candidate is an answer: components collapsed, are copies, or hold no rows. The "
            "simplest one is kept and says little; try fewer components and stricter families. "
            f"Reasons: {reasons}",
            DegenerateWarning,
        )
    winner = selection.best
    assert winner.fit is not None
    if not winner.fit.converged:
        from sklearn.exceptions import ConvergenceWarning  # takes long to import

        warn(f"The chosen model is {winner.fit.stop.value}.", ConvergenceWarning)
    if winner.remark:
        warn(f"Of the chosen model: {winner.remark}", DataWarning)
    spurious = [item for item in winner.fit.findings if item.kind == "spurious"]
    if spurious:
        warn(
            f"The chosen model has {len(spurious)} spurious component(s): {spurious[0].reason}. "
            "Try stricter families.",
            DegenerateWarning,
        )
