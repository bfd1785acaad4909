"""Gaussian mixtures of rows of known classes: one Gaussian a class, or a mixture a class.

    EDDA        class c is ``N(mu_c, Sigma_c)``, and one family holds for all classes (Bensmail &
                Celeux 1996, J. Amer. Statist. Assoc. 91:1743-1748). With known classes and
                complete rows its estimate is one M-step
    MclustDA    class c is a mixture, with a family and a number of components of its own (Hastie &
                Tibshirani 1996, J. R. Statist. Soc. B 58:155-176; Fraley & Raftery 2002, J. Amer.
                Statist. Assoc. 97:611-631)

Families, and numbers of components, are chosen by BIC; a family whose covariances the rows of some
class do not determine is left out. The likelihood is that of the rows together with their classes,
``sum_i log(share_c f_c(x_i))`` for a row of class c, and for a row of unknown class
``log sum_c share_c f_c(x_i)`` (O'Neill 1978, J. Amer. Statist. Assoc. 73:821-826). Unknown classes
are estimated by EM: a row belongs to each class in proportion to its probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import NamedTuple

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.errors import CollapseError, DataError
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.em.effective_parameters import soundness_of
from mixtura.em.em import em
from mixtura.em.stopping import REMAINING, RemainingGain, SmallChange, remaining_gain
from mixtura.families import family_named
from mixtura.initialise.initialisers import moments_of_labels
from mixtura.inputs.classes import UNKNOWN, Classes
from mixtura.inputs.constraints import Constraints, constraints_of, problem_of
from mixtura.inputs.data_checks import check_data
from mixtura.inputs.rows import observation_of
from mixtura.model.certificate import SAFETY
from mixtura.model.criteria import CRITERIA
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.moments import Moments
from mixtura.model.protocols import Family
from mixtura.model.regularisation import below
from mixtura.model.selection import Candidate, Selection
from mixtura.model.soundness import support
from mixtura.selection.settings import SelectionSettings, candidates_of, selection_of
from mixtura.sources import ArraySource

SETTLED = 1e-12
"""Part of the log-likelihood that a further M-step of an iterated family may gain at its end."""

NEAR_FLOOR = 2.0
"""A variance of no more than this many times the floor is the floor, which is 1e-12 of the
variances of the columns: the rounding of a matrix is 1e-4 of that.
"""

ROWS_AT_ONCE = 65536
"""Rows whose densities are held at a time."""


@dataclass(frozen=True, eq=False)
class ClassModels:
    """The density of each class, and how it was chosen.

    Attributes
    ----------
    mixtures : tuple of C Mixture
        Each with weights that sum to one.
    shares : (C,)
        Parts of the rows.
    selections : tuple of C Selection
        The candidates of each class; the same one for all classes of EDDA.
    log_likelihood : float
        Of rows and classes together.
    n_parameters : int
        C - 1 shares, and the parameters of the densities.
    total : float
        Sum of the weights of the rows.
    n_iter : int
        Iterations of EM, at most, of a class; an M-step is one.
    stop : StopReason
        Why EM over the classes of MclustDA ended; without it, CONVERGED. All other ends are in the
        selections.
    """

    mixtures: tuple[Mixture, ...]
    shares: Array
    selections: tuple[Selection, ...]
    log_likelihood: float
    n_parameters: int
    total: float
    n_iter: int
    stop: StopReason = StopReason.CONVERGED

    @property
    def owners(self) -> Labels:
        """The class of each component of :meth:`mixture` (K,)."""
        sizes = [mixture.n_components for mixture in self.mixtures]
        return np.repeat(np.arange(len(sizes)), sizes)

    def mixture(self, priors: Array) -> Mixture:
        """All components as one mixture, with these weights of the classes (C,)."""
        weights = [p * mixture.weights for p, mixture in zip(priors, self.mixtures, strict=True)]
        means = np.concatenate([mixture.means for mixture in self.mixtures])
        matrices = np.concatenate([mixture.covariance.dense() for mixture in self.mixtures])
        return Mixture(np.concatenate(weights), means, Dense(matrices, len(means)))


# ---- one Gaussian a class ------------------------------------------------------------------------


def gaussian_classes(
    dataset: Dataset,
    classes: Classes,
    families: Sequence[Family],
    constraints: Constraints,
    max_iter: int,
) -> ClassModels:
    """EDDA: the family with the lowest BIC.

    Where rows are incomplete or some classes are unknown, it is fitted by EM.
    """
    moments = moments_of_labels(dataset.completed, classes.n_classes, classes.codes)
    candidates = tuple(
        _gaussian_candidate(dataset, classes, moments, family, constraints, max_iter)
        for family in families
    )
    if not any(candidate.fit for candidate in candidates):
        raise DataError(candidates[0].reason)
    selection = Selection("bic", candidates)
    fit = selection.best.fit
    assert fit is not None
    C = classes.n_classes
    alone = tuple(fit.mixture.select(np.array([c])) for c in range(C))
    return ClassModels(
        alone,
        fit.mixture.weights,
        (selection,) * C,
        fit.log_likelihood,
        fit.n_parameters,
        fit.total,
        max(fit.n_iter, 1),
    )


def _gaussian_candidate(
    dataset: Dataset,
    classes: Classes,
    moments: Moments,
    family: Family,
    constraints: Constraints,
    max_iter: int,
) -> Candidate:
    """EDDA with one family; a family that the rows do not determine has no criterion."""
    C = classes.n_classes
    try:
        remark = check_data(dataset, family, C, constraints)
        problem = problem_of(dataset, family, C, constraints)
        if dataset.source.is_complete and classes.are_known:
            fit = _judged(_of_known_classes(problem, moments), problem, classes, moments)
        else:
            fit = em(
                problem.with_data(_labelled(dataset, classes)),
                _with_pooled_rows(moments, dataset.row_weight),
                stopping=RemainingGain(REMAINING * dataset.row_weight),
                max_iter=max_iter,
                accelerated=True,
            )
    except (CollapseError, DataError) as refusal:
        return Candidate(family.name, C, None, nan, str(refusal))
    criteria = {name: criterion(fit) for name, criterion in CRITERIA.items()}
    undetermined = _undetermined(fit, dataset, constraints)
    if undetermined:
        name = classes.names.tolist()[undetermined[0]]
        reason = f"the rows of class {name!r} do not determine its covariance"
        return Candidate(family.name, C, fit, nan, reason, criteria, remark=remark)
    reason = "" if fit.converged else fit.stop.value
    return Candidate(family.name, C, fit, criteria["bic"], reason, criteria, remark=remark)


def _labelled(dataset: Dataset, classes: Classes) -> Dataset:
    """The same rows, of which the E-step knows the classes."""
    (block,) = dataset.source.blocks()
    observation = observation_of(block.rows, known=classes.as_labels)
    source = ArraySource(block.rows, block.weights, observation)
    return Dataset(source, dataset.backend, original=dataset)


def _of_known_classes(problem: Problem, moments: Moments) -> FitResult:
    """One M-step; an iterated family goes on until it gains nothing."""
    seen = moments.summarised(problem.family.needs)
    mixture, trace = problem.m_step(seen, None), list[float]()
    while True:
        trace.append(_log_likelihood(moments, mixture) + problem.regularisation.penalty(mixture))
        if len(trace) > 1 and trace[-1] - trace[-2] <= SETTLED * abs(trace[-1]):
            break
        best, mixture = mixture, problem.m_step(seen, mixture)
    return FitResult(
        family=problem.family.name,
        mixture=best,
        log_likelihood=_log_likelihood(moments, best),
        entropy=0.0,
        certainty=0.0,
        total=moments.total,
        n_parameters=problem.n_parameters(best.n_components),
        trace=(trace[-2],),
        n_iter=1,
        stop=StopReason.CONVERGED,
        remaining_gain=0.0,
    )


def _judged(fit: FitResult, problem: Problem, classes: Classes, moments: Moments) -> FitResult:
    """The fit with its classes judged where one has so few rows that it may be spurious."""
    mixture, dataset = fit.mixture, problem.dataset
    own_rows = problem.family.own_rows(mixture.n_features)
    if not support(moments.counts / dataset.row_weight, own_rows).any():
        return fit
    seen = moments.summarised(problem.family.needs).taken_about(mixture.means)
    labelled = problem.with_data(_labelled(dataset, classes))
    return replace(fit, soundness=soundness_of(labelled, mixture, seen))


def _undetermined(fit: FitResult, dataset: Dataset, constraints: Constraints) -> list[int]:
    """Classes that are spurious, or without variance in a direction of no recorded step.

    The floor of a recorded step is the variance of rounding, and a class may have that. Any other
    floor only keeps a covariance from being singular.
    """
    bare = np.zeros(fit.n_components, dtype=bool)
    if not constraints.reg_covar:
        floor = dataset.floor - dataset.steps**2 / 12.0
        covariance = fit.mixture.covariance
        bare = below(covariance, np.full(len(covariance.values), NEAR_FLOOR), floor)
    spurious = [item.component for item in fit.findings if item.kind == "spurious"]
    return sorted({*spurious, *np.flatnonzero(bare).tolist()})


def _log_likelihood(moments: Moments, mixture: Mixture) -> float:
    """``sum_k n_k log_scale_k - tr(Sigma_k^-1 S_k) / 2`` for scatter S_k about the means."""
    scatter, covariance = moments.taken_about(mixture.means).second, mixture.covariance
    traces = [
        np.trace(covariance.whiten(k, covariance.whiten(k, S).T)) for k, S in enumerate(scatter)
    ]
    return float(moments.counts @ mixture.log_scale - 0.5 * np.sum(traces))


def _with_pooled_rows(moments: Moments, row_weight: float) -> Moments:
    """The start of EM from few known rows: d + 1 more in each class, of the common scatter.

    Without them a class of few rows has so small a covariance that no other row may join it.
    """
    pooled = moments.scatter.sum(axis=0) / moments.total
    few = (moments.n_features + 1) * row_weight
    return moments.with_sums(
        moments.counts + few,
        moments.first + few * moments.shift,
        moments.second + few * (pooled + moments.shift[:, :, None] * moments.shift[:, None, :]),
    )


# ---- a mixture a class ---------------------------------------------------------------------------


def mixture_classes(
    dataset: Dataset, classes: Classes, settings: SelectionSettings, max_iter: int
) -> ClassModels:
    """MclustDA: for each class the mixture with the lowest BIC of its rows.

    A class whose rows allow no mixture, such as those with a constant column, has its Gaussian of
    EDDA. Rows of unknown class take part afterwards, with the families and numbers of components
    that the known ones have chosen.
    """
    ks, families = candidates_of(settings)
    parts = [_part(dataset, classes.codes == c) for c in range(classes.n_classes)]
    found = [selection_of(settings, ks, families, part) for part in parts]
    fits = [_fit_of(selection) for selection in found]
    if None in fits:
        known = _part(dataset, classes.codes != UNKNOWN)
        names = replace(classes, codes=classes.codes[classes.codes != UNKNOWN])
        plain = gaussian_classes(known, names, families, constraints_of(settings), max_iter)
    models = [
        _OfOneClass(part, fit.mixture, selection, fit.n_parameters, fit.log_likelihood, fit.n_iter)
        if fit is not None
        else _gaussian_of(part, plain, c)
        for c, (part, fit, selection) in enumerate(zip(parts, fits, found, strict=True))
    ]
    counts = np.array([part.total for part in parts])
    shares = counts / counts.sum()
    whole = ClassModels(
        tuple(one.mixture for one in models),
        shares,
        tuple(one.selection for one in models),
        sum(one.log_likelihood for one in models) + float(counts @ np.log(shares)),
        len(models) - 1 + sum(one.n_parameters for one in models),
        float(counts.sum()),
        max(1, *(one.n_iter for one in models)),
    )
    if classes.are_known:
        return whole
    learners = _learners(models, dataset, families, settings)
    return _with_unknown_rows(whole, learners, dataset, classes, max_iter)


class _OfOneClass(NamedTuple):
    """The rows of a class, its density, and how that was chosen."""

    part: Dataset
    mixture: Mixture
    selection: Selection
    n_parameters: int
    log_likelihood: float
    n_iter: int
    is_mixture: bool = True


def _fit_of(selection: Selection) -> FitResult | None:
    """The best fit; None where no candidate has one."""
    has_fit = any(candidate.fit for candidate in selection.candidates)
    return selection.best.fit if has_fit else None


def _gaussian_of(part: Dataset, plain: ClassModels, c: int) -> _OfOneClass:
    """The Gaussian of EDDA for the rows of one class."""
    mixture, selection = plain.mixtures[c], plain.selections[c]
    moments = part.backend.moments(part.source, mixture, Scatter.TRACE)
    n = family_named(selection.best.family).n_parameters(1, mixture.n_features)
    return _OfOneClass(part, mixture, selection, n, moments.log_likelihood, 1, False)


def _part(dataset: Dataset, rows: Flags) -> Dataset:
    """Some of the rows as a dataset of their own."""
    (block,) = dataset.source.blocks()
    numbers = np.flatnonzero(rows)
    part = block.take(numbers)
    return Dataset(ArraySource(part.rows, part.weights, part.observation), dataset.backend)


def _with_unknown_rows(
    models: ClassModels,
    learners: list[_Learner],
    dataset: Dataset,
    classes: Classes,
    max_iter: int,
) -> ClassModels:
    """EM over the classes: one iteration of each mixture for the rows as they belong to it."""
    trace, stop = list[float](), StopReason.MAX_ITER
    while True:
        level, posteriors = _posteriors(learners, models.shares, dataset, classes)
        trace.append(level)
        if SAFETY * remaining_gain(trace) < REMAINING * dataset.row_weight:
            stop = StopReason.CONVERGED
            break
        if len(trace) > max_iter:
            break
        counts = learners[0].weights @ posteriors
        learners = [learner.after(posteriors[:, c]) for c, learner in enumerate(learners)]
        mixtures = tuple(learner.mixture for learner in learners)
        models = replace(models, mixtures=mixtures, shares=counts / counts.sum())
    return replace(
        models,
        log_likelihood=trace[-1],
        total=float(learners[0].weights.sum()),
        n_iter=max(models.n_iter, len(trace) - 1),  # the first level is that of the start
        stop=stop,
    )


@dataclass(frozen=True, eq=False)
class _Learner:
    """The mixture of one class, all rows, and the weights of these (n,).

    Without a problem the density is held.
    """

    problem: Problem | None
    mixture: Mixture
    dataset: Dataset
    weights: Array

    def after(self, posteriors: Array) -> _Learner:
        """One iteration of EM for rows that belong to the class in parts (n,)."""
        if self.problem is None:
            return self
        own = self.weights * posteriors
        inside = np.flatnonzero(own > 0)
        (block,) = self.dataset.source.blocks()
        part = block.take(inside)
        source = ArraySource(part.rows, own[inside], part.observation)
        rows = Dataset(source, self.dataset.backend, original=self.problem.dataset)
        problem, rule = self.problem.with_data(rows), SmallChange(0.0)
        fit = em(problem, self.mixture, stopping=rule, max_iter=1, judge=False)
        return replace(self, mixture=fit.mixture)


def _learners(
    models: Sequence[_OfOneClass],
    dataset: Dataset,
    families: Sequence[Family],
    settings: SelectionSettings,
) -> list[_Learner]:
    """The classes as they were fitted to the rows of known class."""
    constraints = constraints_of(settings)
    (block,) = dataset.source.blocks()
    weights = np.ones(len(block.rows)) if block.weights is None else block.weights
    learners = []
    for one in models:
        problem = None
        if one.is_mixture:
            family = next(each for each in families if each.name == one.selection.best.family)
            problem = problem_of(one.part, family, one.mixture.n_components, constraints)
        learners.append(_Learner(problem, one.mixture, dataset, weights))
    return learners


def _posteriors(
    learners: Sequence[_Learner], shares: Array, dataset: Dataset, classes: Classes
) -> tuple[float, Array]:
    """The log-likelihood, and the probabilities of the classes of each row (n,C)."""
    (block,) = dataset.source.blocks()
    log_joint = np.empty((len(block.rows), len(learners)))
    for part in block.cut(ROWS_AT_ONCE):
        here = slice(part.offset, part.offset + len(part.rows))
        for c, learner in enumerate(learners):
            densities = log_density(dataset.backend.log_joint(part, learner.mixture))
            log_joint[here, c] = np.log(shares[c]) + densities
    known = classes.codes != UNKNOWN
    others = np.arange(len(learners)) != classes.codes[:, None]
    log_joint[known[:, None] & others] = -np.inf
    whole = log_density(log_joint)
    weights = learners[0].weights
    return float(weights @ whole), np.exp(log_joint - whole[:, None])
