"""The settings of a selection, which the estimator and the command line fill in."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from mixtura.backends import ROWS_WORTH_A_THREAD, backend_named
from mixtura.base.choices import (
    Acceleration,
    BackendName,
    ComponentLaw,
    ComponentOrder,
    CovarianceType,
    CriterionName,
    DegreesOfFreedom,
    SampleSize,
)
from mixtura.base.errors import DataWarning, DegenerateWarning
from mixtura.base.underflow import ignore_underflow
from mixtura.data.dataset import Dataset
from mixtura.data.noise_box import NoiseVolume
from mixtura.distribution.mixture import Mixture
from mixtura.em.stopping import REMAINING, RemainingGain, SmallChange, StoppingRule
from mixtura.families import FAMILIES, family_named
from mixtura.inputs.constraints import constraints_of
from mixtura.inputs.fixed_parameters import fixed_parameters_of
from mixtura.inputs.parameters import (
    accelerated,
    check_count,
    check_settings,
    component_sort_of,
    seed_of,
)
from mixtura.model.criteria import check_criterion
from mixtura.model.fit_result import StopReason
from mixtura.model.observation import check_tails
from mixtura.model.priors import ConjugatePrior
from mixtura.model.protocols import Family
from mixtura.model.selection import Candidate, Selection, Stage
from mixtura.model.tails import TailRule
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

Law: TypeAlias = Literal["gaussian", "t"]

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
    components: ComponentLaw = "gaussian"
    degrees_of_freedom: DegreesOfFreedom = "free"
    criterion: CriterionName = "bic"
    folds: int | None = None
    sample_size: SampleSize = "total"
    tol: float | None = None
    reg_covar: float | None = None
    prior: Literal["conjugate"] | ConjugatePrior | None = None
    eigenvalue_ratio: float | None = None
    equal_weights: bool = False
    noise: NoiseVolume | None = None
    fixed_weights: ArrayLike | None = None
    fixed_means: ArrayLike | None = None
    fixed_covariances: ArrayLike | None = None
    fixed_mixture: Mixture | None = None
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
    laws_of(settings)
    names = [settings.families] if isinstance(settings.families, str) else list(settings.families)
    families = [family_named(name) for name in (FAMILIES if names == ["all"] else names)]
    if not ks or not families:
        raise ValueError(
            "n_components and families must name at least one candidate each, but one of them is "
            "empty."
        )
    return ks, families


def laws_of(settings: SelectionSettings) -> dict[Law, TailRule | None]:
    """The laws of the components to try, each with the rule of its degrees of freedom."""
    if settings.components not in ("gaussian", "t", "both"):
        raise ValueError(
            f"components must be 'gaussian', 't' or 'both', but {settings.components!r} came."
        )
    if settings.degrees_of_freedom not in ("free", "equal"):
        raise ValueError(
            f"degrees_of_freedom must be 'free' or 'equal', but {settings.degrees_of_freedom!r} "
            "came. For given numbers, fit a StudentTMixture."
        )
    laws: dict[Law, TailRule | None] = {
        "gaussian": None,
        "t": TailRule(settings.degrees_of_freedom),
    }
    asked = settings.components
    return laws if asked == "both" else {asked: laws[asked]}


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
    laws = laws_of(settings)
    if "t" in laws and not dataset.source.is_complete:
        for block in dataset.source.blocks():
            if block.observation is not None:
                check_tails(block.observation)
    if settings.families == "all" and dataset.source.n_features == 1:  # only E and V differ
        families = [family for family in families if family.name.endswith("II")]
    plan = _plan(settings, dataset, len(ks) * len(families))
    if plan.workers > 1 and dataset.source.n_rows < ROWS_WORTH_A_THREAD:
        # candidates share the processors, so rows need not
        dataset = Dataset(dataset.source, backend_named(settings.backend, 1))
    done: list[Selection] = []
    with limited_threads(dataset.source.n_rows):
        for law, tails in laws.items():
            told = None if callback is None else partial(_told, callback, law)
            grid = grid_of(settings, ks, families, dataset.source.n_features, tails)
            try:
                found = select(
                    dataset, grid, plan, told, n_threads=settings.n_threads, on_fold=on_fold
                )
            except KeyboardInterrupt:  # before the first candidate of this law
                if not done:
                    raise
                done[-1] = replace(done[-1], interrupted=True)
                break
            candidates = tuple(replace(one, components=law) for one in found.candidates)
            done.append(replace(found, candidates=candidates))
            if found.interrupted:
                break
    return Selection(
        settings.criterion,
        tuple(one for part in done for one in part.candidates),
        done[-1].interrupted,
    )


def _told(callback: OnCandidate, law: Law, candidate: Candidate) -> None:
    """Tell a callback of a candidate with its law."""
    callback(replace(candidate, components=law))


def grid_of(
    settings: SelectionSettings,
    ks: Sequence[int],
    families: Sequence[Family],
    d: int,
    tails: TailRule | None = None,
) -> Grid:
    """The grid of the candidates for d columns; ``tails`` for t components."""
    return Grid(
        ks,
        families,
        usual_starts(settings.n_init),
        settings.criterion,
        replace(constraints_of(settings), tails=tails),
        seed_of(settings.random_state),
        folds=settings.folds or 0,
        effective=settings.sample_size == "effective",
        sort=component_sort_of(settings, d),
        columns=getattr(settings, "feature_names_in_", None),
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
    laws = list(laws_of(settings).values())
    if len(laws) > 1:
        raise ValueError(
            "bootstrap repeats a selection among candidates of one law, but components='both' "
            "came. Set components='gaussian' or 't' and fit again."
        )
    ks = list(dict.fromkeys(one.n_components for one in selection.candidates))
    names = dict.fromkeys(one.family for one in selection.candidates)
    families = [family_named(name) for name in names]
    grid = grid_of(settings, ks, families, dataset.source.n_features, laws[0])
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
    refused = [
        candidate.reason
        for candidate in selection.candidates
        if candidate.fit is None and candidate.stage is not Stage.NOT_FITTED
    ]
    for reason, count in Counter(refused).most_common(1):
        if 2 * count >= len(selection.candidates):
            n = len(selection.candidates)
            warn(f"{count} of {n} candidates could not be fitted: {reason}", DataWarning)
    winner = selection.best
    assert winner.fit is not None
    warn_of_stop(winner.fit.stop, stacklevel + 1)
    if winner.remark:
        warn(f"Of the chosen model: {winner.remark}", DataWarning)
    spurious = [item for item in winner.fit.findings if item.kind == "spurious"]
    if spurious:
        warn(
            f"The chosen model has {len(spurious)} spurious component(s): {spurious[0].reason}. "
            "Try stricter families.",
            DegenerateWarning,
        )


def warn_of_stop(stop: StopReason, stacklevel: int = 2) -> None:
    """Warn where the EM of the chosen model did not converge."""
    if not stop.converged:
        from sklearn.exceptions import ConvergenceWarning  # takes long to import

        message = f"The chosen model is {stop.value}."
        warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel + 1)
