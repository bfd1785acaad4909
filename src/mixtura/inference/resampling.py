"""Standard errors from refits of resamples: bootstraps and the jackknife.

    bootstrap    n rows drawn with replacement; multinomial counts are the weights of the
                 rows, so no row is copied (Efron 1979)
    weighted     exponential weights with the same sum: every row keeps a weight, so small
                 components stay (Newton & Raftery 1994)
    parametric   n rows drawn from the fitted mixture
    jackknife    each row left out once, or each of some groups of rows; only the groups are
                 random (Quenouille; Tukey)

EM starts every replicate at the maximum of the fit, with its family and regularisation, and stops
by the rule of remaining gain, since a looser rule would stop near the start and make the errors too
small. The components are matched to those of the fit. Replicates that collapse or have a spurious
component are left out, and reported with their reasons. Each has a generator of its own, so the
result is the same for any number of workers.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.errors import CollapseError, InferenceError
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.distribution.parametrisation import stored_covariances
from mixtura.em.em import em
from mixtura.em.stopping import REMAINING, RemainingGain, StoppingRule
from mixtura.inference.replicates import replicates
from mixtura.inference.resamples import drawn_from, reweighted, weights_of
from mixtura.inference.uncertainty import (
    NUMBERS_AT_ONCE,
    Interval,
    MembershipIntervals,
    Parameters,
    Uncertainty,
    logit_intervals,
    logits,
    normal_quantile,
    refuse_far,
    refuse_unsound,
    tail_probabilities,
)
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.matching import match
from mixtura.model.protocols import Family

REPLICATES = 999
"""Replicates of the bootstraps by default, as in mclust."""

MOST_LEFT_OUT = 2000
"""Rows up to which the jackknife leaves out each row by default; with more the number of groups
must be given.
"""

JACKKNIFE_ERROR = 1e-3
"""Relative error of the change of the estimates in a jackknife replicate, which is about
``1 / sqrt(n)`` standard errors.
"""

ResamplingMethod: TypeAlias = Literal["bootstrap", "weighted", "parametric", "jackknife"]


@dataclass(frozen=True, eq=False)
class Replicate:
    """One refit.

    Attributes
    ----------
    number : int
    mixture : Mixture or None
        In the order of the fit's components; None where the refit failed.
    reason : str
        Why it is left out; empty if it is used.
    relabelled : bool
        Whether its components were reordered.
    stop : StopReason or None
    """

    number: int
    mixture: Mixture | None
    reason: str = ""
    relabelled: bool = False
    stop: StopReason | None = None


OnReplicate: TypeAlias = Callable[[Replicate], None]


@dataclass(frozen=True, eq=False)
class ResamplingErrors(Uncertainty):
    """Standard errors and intervals from replicates.

    Attributes
    ----------
    replicates : Parameters
        (B, ...) each: parameters of the replicates that are used, in the order of the fit's
        components.
    multiplicity : (B,)
        Frequency of each: the weight of the row that a jackknife replicate left out, else 1.
    failures : tuple of Replicate
        Those left out, each with its reason.
    n_asked : int
    n_relabelled : int
        Replicates whose components were reordered.
    """

    replicates: Parameters
    multiplicity: Array
    failures: tuple[Replicate, ...]
    n_asked: int
    n_relabelled: int

    @property
    def n_used(self) -> int:
        """Number of replicates that are used."""
        return len(self.multiplicity)

    def interval(self, level: float = 0.95) -> Interval:
        """Percentiles of the replicates; normal intervals for the jackknife."""
        if self.method == "jackknife":
            return super().interval(level)
        low, high = tail_probabilities(level)
        return Interval(
            level,
            self.replicates.each(lambda values: np.quantile(values, low, axis=0)),
            self.replicates.each(lambda values: np.quantile(values, high, axis=0)),
        )

    def memberships(self, rows: Rows, level: float = 0.95) -> MembershipIntervals:
        """Percentiles of the posterior probabilities of rows (n,d) over the replicates.

        For the jackknife, normal intervals of their logits.
        """
        normal_quantile(level)
        mixtures = self._mixtures
        size = max(1, NUMBERS_AT_ONCE // (len(mixtures) * self.mixture.n_components))
        parts = [
            self._memberships(rows[begin : begin + size], mixtures, level)
            for begin in range(0, max(len(rows), 1), size)
        ]
        return MembershipIntervals(
            level,
            np.concatenate([part.probability for part in parts]),
            np.concatenate([part.low for part in parts]),
            np.concatenate([part.high for part in parts]),
        )

    @cached_property
    def _mixtures(self) -> list[Mixture]:
        """The replicates as mixtures."""
        K, d = self.mixture.means.shape
        each = zip(
            self.replicates.weights,
            self.replicates.means,
            self.replicates.covariances,
            self.replicates.tails,
            strict=True,
        )
        gaussian = self.mixture.tails is None
        return [
            Mixture(
                weights,
                means,
                stored_covariances(self.family, values, K, d),
                self.mixture.noise and self.mixture.noise.with_weight(1.0 - float(weights.sum())),
                tails=None if gaussian else tails,
            )
            for weights, means, values, tails in each
        ]

    def _memberships(
        self, rows: Rows, mixtures: list[Mixture], level: float
    ) -> MembershipIntervals:
        if self.method == "jackknife":
            replicated = np.stack(
                [logits(mixture.log_joint(rows), rows, mixture) for mixture in mixtures]
            )
            with np.errstate(invalid="ignore"):
                deviations = _jackknife_deviation(replicated, self.multiplicity)
            return logit_intervals(
                logits(self.mixture.log_joint(rows), rows, self.mixture), deviations, level
            )
        probabilities = np.stack(
            [posterior(mixture.log_joint(rows), rows, mixture) for mixture in mixtures]
        )
        low, high = np.quantile(probabilities, tail_probabilities(level), axis=0)
        return MembershipIntervals(level, self.mixture.posterior(rows), low, high)


def errors_from_replicates(
    problem: Problem,
    mixture: Mixture,
    method: ResamplingMethod,
    seed: np.random.SeedSequence,
    *,
    n_replicates: int | None = None,
    max_iter: int = 2000,
    n_threads: int | None = 1,
    on_replicate: OnReplicate | None = None,
) -> ResamplingErrors:
    """Standard errors from the parameters of refitted resamples.

    Parameters
    ----------
    problem : Problem
        Of the fit; weights are frequencies, so n is their sum.
    mixture : Mixture
        The fit.
    method : {"bootstrap", "weighted", "parametric", "jackknife"}
    seed : SeedSequence
        The same seed gives the same replicates for any number of workers.
    n_replicates : int, optional
        None: 999 for the bootstraps, every row for the jackknife. For the jackknife it is the
        number of groups of rows.
    max_iter : int
        Of each refit.
    n_threads : int or None
        Workers; None is all processors.
    on_replicate : callable, optional
        Called with each :class:`Replicate`, possibly from several threads, for a progress bar.

    Returns
    -------
    ResamplingErrors
        After Ctrl-C, from the replicates that were done.

    Raises
    ------
    InferenceError
        When the fit has a spurious component, is a saddle or not a maximum for these rows, or fewer
        than two replicates can be used.
    KeyboardInterrupt
        When Ctrl-C came before two replicates were done.
    """
    refuse_unsound(problem, mixture)
    dataset = problem.dataset
    plan = (
        _jackknife(dataset, n_replicates, seed)
        if method == "jackknife"
        else _bootstrap(dataset, method, n_replicates, seed)
    )
    refit = _Refit(
        problem,
        plan.draw,
        _maximum(problem, mixture, plan.stopping, max_iter),
        plan.stopping,
        max_iter,
    )
    done, interrupted = replicates(refit, range(plan.size), dataset, n_threads, on_replicate)
    return _gathered(mixture, problem.family, method, plan, done, interrupted)


# ---- resamples -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Plan:
    """The number of replicates, how each is drawn, and its stopping rule."""

    size: int
    draw: Callable[[int, Mixture], Dataset]
    stopping: StoppingRule
    multiplicity: Array


def _frequencies(dataset: Dataset) -> Array:
    """The weight of every row (n,)."""
    weights = weights_of(dataset)
    return np.ones(dataset.source.n_rows) if weights is None else weights.astype(np.float64)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Random replicates: the rows with other weights, or new rows from the fit."""

    dataset: Dataset
    method: ResamplingMethod
    frequencies: Array
    children: list[np.random.SeedSequence]

    def __call__(self, number: int, fit: Mixture) -> Dataset:
        rng = np.random.default_rng(self.children[number])
        total = float(self.frequencies.sum())
        n = round(total)
        if self.method == "parametric":
            return drawn_from(fit, self.dataset, n, rng)
        if self.method == "bootstrap":
            weights = np.asarray(
                rng.multinomial(n, self.frequencies / total) * (total / n), dtype=np.float64
            )
        else:
            weights = rng.standard_gamma(self.frequencies)
            weights *= total / weights.sum()
        return reweighted(self.dataset, weights)


@dataclass(frozen=True, eq=False)
class _LeftOut:
    """The rows without one of each group."""

    dataset: Dataset
    frequencies: Array
    group: Labels

    def __call__(self, number: int, fit: Mixture) -> Dataset:
        return reweighted(
            self.dataset, np.where(self.group == number, self.frequencies - 1.0, self.frequencies)
        )


def _bootstrap(
    dataset: Dataset,
    method: ResamplingMethod,
    n_replicates: int | None,
    seed: np.random.SeedSequence,
) -> _Plan:
    """Random replicates."""
    size = REPLICATES if n_replicates is None else n_replicates
    frequencies = _frequencies(dataset)
    total = float(frequencies.sum())
    if round(total) < 2:
        raise InferenceError(
            "a bootstrap draws as many rows as the frequencies add up to, but sample_weight adds "
            f"up to {total:g}. "
            "Divide the weights by their mean if every row is one observation."
        )
    draw = _Drawn(dataset, method, frequencies, seed.spawn(size))
    return _Plan(size, draw, RemainingGain(REMAINING * dataset.row_weight), np.ones(size))


def _jackknife(dataset: Dataset, groups: int | None, seed: np.random.SeedSequence) -> _Plan:
    """One replicate without each row, or without each group of rows."""
    frequencies = _frequencies(dataset)
    _check_jackknife(frequencies, groups)
    n = len(frequencies)
    size = n if groups is None else groups
    group = (
        np.arange(n)
        if groups is None
        else np.random.default_rng(seed).permutation(np.arange(n) % groups)
    )
    multiplicity = frequencies if groups is None else np.ones(groups)
    # A change of 1 / sqrt(n) standard errors gains about 1 / (2 n); the gain is quadratic in it.
    tolerance = JACKKNIFE_ERROR**2 / (2.0 * float(multiplicity.sum()))
    return _Plan(
        size, _LeftOut(dataset, frequencies, group), RemainingGain(tolerance), multiplicity
    )


def _check_jackknife(frequencies: Array, groups: int | None) -> None:
    """Raise an error unless the rows, or so many groups of them, can be left out in turn."""
    n = len(frequencies)
    whole = bool((frequencies == np.round(frequencies)).all())
    if not whole or (groups is not None and (frequencies != 1).any()):
        raise InferenceError(
            "the jackknife leaves out one observation at a time, so sample_weight must count whole "
            "observations"
            + (" (and groups of rows must be of rows that count once)." if whole else ".")
            + " Use method='weighted', which takes any frequencies."
        )
    if groups is None and n > MOST_LEFT_OUT:
        raise InferenceError(
            f"the jackknife would need {n} fits, one for each row, and by default it does at most "
            f"{MOST_LEFT_OUT}. Pass n_replicates=100 to leave out 100 groups of rows in turn, or "
            "use method='bootstrap'."
        )
    if groups is not None and not 2 <= groups <= n:
        raise InferenceError(
            f"the jackknife of {n} rows can leave out 2 to {n} groups, but n_replicates={groups} "
            "came."
        )


# ---- refits --------------------------------------------------------------------------------------


def _maximum(problem: Problem, mixture: Mixture, stopping: StoppingRule, max_iter: int) -> Mixture:
    """The maximum near the fit, by the stopping rule of the replicates.

    A fit that is not near a maximum is refused.
    """
    found = em(problem, mixture, stopping=stopping, max_iter=max_iter)
    if found.stop is StopReason.INTERRUPTED:
        raise KeyboardInterrupt
    if found.stop in (StopReason.SADDLE, StopReason.COPIES, StopReason.COLLAPSED):
        raise InferenceError(
            f"no standard errors: EM went on from the fit and ended so: {found.stop.value}."
        )
    refuse_far(float(np.sqrt(2.0 * max(found.trace[-1] - found.trace[0], 0.0))))
    return found.mixture


@dataclass(frozen=True, eq=False)
class _Refit:
    """Fits a replicate as the fit was fitted, from its maximum."""

    problem: Problem
    draw: Callable[[int, Mixture], Dataset]
    start: Mixture
    stopping: StoppingRule
    max_iter: int

    def __call__(self, number: int, stopped: threading.Event) -> Replicate:
        """One refit, matched to the fit and assessed."""
        problem = self.problem.with_data(self.draw(number, self.start))
        try:
            fit = em(
                problem,
                self.start,
                stopping=self.stopping,
                max_iter=self.max_iter,
                stopped=stopped.is_set,
            )
        except CollapseError as collapse:
            return Replicate(number, None, str(collapse))
        if fit.stop is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        order = problem.in_place(match(self.start, fit.mixture).permutation)
        return Replicate(
            number,
            fit.mixture.select(order),
            _failure_of(fit),
            bool((order != np.arange(len(order))).any()),
            fit.stop,
        )


def _failure_of(fit: FitResult) -> str:
    """Why a replicate is left out; empty if it is used."""
    spurious = [item for item in fit.findings if item.kind == "spurious"]
    if spurious:
        return f"spurious: {spurious[0].reason}"
    return "" if fit.is_valid else fit.stop.value


def _gathered(
    mixture: Mixture,
    family: Family,
    method: ResamplingMethod,
    plan: _Plan,
    done: list[Replicate],
    interrupted: bool,
) -> ResamplingErrors:
    """Standard errors from the replicates that can be used."""
    used = [
        replicate for replicate in done if replicate.mixture is not None and not replicate.reason
    ]
    failures = tuple(replicate for replicate in done if replicate.reason)
    if len(used) < 2:
        if interrupted:
            raise KeyboardInterrupt
        raise _too_few(plan.size, len(used), failures)
    replicates = Parameters.stacked(
        [Parameters.of(replicate.mixture, family.name) for replicate in used if replicate.mixture]
    )
    multiplicity = plan.multiplicity[[replicate.number for replicate in used]]
    if method == "jackknife":
        errors = replicates.each(lambda values: _jackknife_deviation(values, multiplicity))
    else:
        errors = replicates.each(lambda values: values.std(axis=0, ddof=1))
    return ResamplingErrors(
        method=method,
        family=family.name,
        mixture=mixture,
        standard_errors=errors,
        notes=_notes(plan, done, failures, interrupted),
        replicates=replicates,
        multiplicity=multiplicity,
        failures=failures,
        n_asked=plan.size,
        n_relabelled=sum(replicate.relabelled for replicate in used),
    )


def _too_few(size: int, n_used: int, failures: tuple[Replicate, ...]) -> InferenceError:
    """The error for fewer than two usable replicates, with the two most frequent reasons."""
    reasons = Counter(replicate.reason for replicate in failures).most_common(2)
    causes = "; ".join(reason for reason, _ in reasons)
    return InferenceError(
        f"no standard errors: of {size} replicates, {n_used} could be used "
        f"({causes or 'none was asked for'}). "
        "Ask for more replicates, reduce n_components or choose a stricter covariance_type."
    )


def _notes(
    plan: _Plan, done: list[Replicate], failures: tuple[Replicate, ...], interrupted: bool
) -> tuple[str, ...]:
    """Interrupted, failed and unfinished replicates."""
    notes = []
    if interrupted:
        notes.append(f"Interrupted: {len(done)} of {plan.size} replicates were done.")
    if failures:
        causes = "; ".join(
            f"{times} x {reason}"
            for reason, times in Counter(item.reason for item in failures).most_common()
        )
        notes.append(
            f"{len(failures)} of {len(done)} replicates are left out, "
            f"so the errors hold for data on which the fit does not fail: {causes}."
        )
    unfinished = sum(
        replicate.stop is StopReason.MAX_ITER and not replicate.reason for replicate in done
    )
    if unfinished:
        notes.append(
            f"{unfinished} of {len(done)} replicates ended at max_iter and may be too near the fit."
        )
    return tuple(notes)


def _jackknife_deviation(values: Array, multiplicity: Array) -> Array:
    """``sqrt((n - 1) / n sum_i m_i (theta_i - mean)^2)`` along the first axis, ``n = sum m_i``."""
    n = float(multiplicity.sum())
    mean = np.tensordot(multiplicity, values, 1) / n
    return np.sqrt((n - 1.0) / n * np.tensordot(multiplicity, (values - mean) ** 2, 1))
