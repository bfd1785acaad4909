"""The EM loop and its stopping rules.

    E-step  Backend.moments(source, mixture)    how much of each row belongs to each component, summed up
    M-step  Family.m_step(moments)              the mixture that explains these sums best

The loop ends on an E-step, so the reported log-likelihood belongs to the reported mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np

from mixtura.arrays import Array
from mixtura.degeneracy import degenerate_components, has_copies
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture
from mixtura.moments import Moments, Scatter
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation
from mixtura.results import FitResult, Iteration, StopReason
from mixtura.survey import Survey

Start: TypeAlias = Moments | Mixture | FitResult
"""EM begins with an M-step (moments), an E-step (a mixture), or goes on where a fit of the same data ended."""

Callback: TypeAlias = Callable[[Iteration], None]


# ---- stopping rules ------------------------------------------------------------------------------------------------


class StoppingRule(Protocol):
    """Decides from the objective's trace, and may ask for the rate of the slowest direction."""

    @property
    def reason(self) -> StopReason:
        """What to say when it holds."""
        ...

    @property
    def certifies(self) -> bool:
        """Whether the rate of the slowest direction is asked for."""
        ...

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether EM looks as if it may stop; ``total`` is the sum of the weights."""
        ...

    def confirmed(self, gain: float, rates: list[float]) -> bool:
        """Whether it may indeed, given the slowest direction's rate at each look; asked only of a rule that certifies."""
        ...


STEADY = 0.1
"""The distance of the rate from one may change by this part between two looks."""


@dataclass(frozen=True)
class RemainingGain:
    """Stop when the remaining gain, times a safety factor, is below ``tolerance`` (total log-likelihood units).

    Two tests, the second only when the first holds:

    1. *Trace.* The gains of EM fall geometrically near an optimum, so what remains after gain g is about
       ``g rho / (1 - rho)`` with the ratio rho of two gains (Aitken; Boehning et al. 1994). The largest of the last
       ``window`` ratios is used, and gains that do not fall give no estimate.
    2. *Rate.* On a plateau the fast directions die out first and the trace looks settled while a slow or even growing
       direction has hardly begun. So the rate lambda of the slowest direction is measured (:func:`slowest_rate`). With
       ``a_i`` the gain left in direction i, one step gains ``g = sum a_i (1 - lambda_i^2)``, hence
       ``sum a_i <= g / (1 - lambda^2)``: a bound, not an extrapolation. A rate of one or more is a saddle, and a rate
       that still moves between two looks is a curved plateau: both go on.
    """

    tolerance: float = 0.01
    safety: float = 3.0
    window: int = 3
    reason: StopReason = StopReason.CONVERGED
    certifies: bool = True

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the estimate from the trace, with its safety factor, is below the tolerance."""
        return remaining_gain(trace, self.window) * self.safety < self.tolerance

    def confirmed(self, gain: float, rates: list[float]) -> bool:
        """Whether the bound, with the safety factor, is below the tolerance, and the rate stood still between two looks."""
        if len(rates) < 2 or rates[-1] >= 1.0:
            return False
        steady = abs(rates[-1] - rates[-2]) < STEADY * (1.0 - rates[-1])
        return steady and self.safety * gain / (1.0 - rates[-1] ** 2) < self.tolerance


@dataclass(frozen=True)
class SmallChange:
    """Stop when the objective per row changes by less than ``tol`` in one iteration: scikit-learn's rule."""

    tol: float
    reason: StopReason = StopReason.SMALL_CHANGE
    certifies: bool = False

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last change per row is below ``tol``, or no change can be told from rounding."""
        if len(trace) < 2:
            return False
        return abs(trace[-1] - trace[-2]) / total < self.tol or remaining_gain(trace, 1) == 0.0

    def confirmed(self, gain: float, rates: list[float]) -> bool:
        """Never asked: the rule looks no further."""
        return True


@dataclass(frozen=True)
class SmallGain:
    """Stop when one iteration gains less than ``gain`` (total log-likelihood units): good enough to rank short runs."""

    gain: float
    reason: StopReason = StopReason.SMALL_CHANGE
    certifies: bool = False

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last gain is below ``gain``."""
        return len(trace) > 1 and trace[-1] - trace[-2] < self.gain

    def confirmed(self, gain: float, rates: list[float]) -> bool:
        """Never asked: the rule looks no further."""
        return True


def remaining_gain(trace: list[float], window: int = 5) -> float:
    """Estimated gain still to come from a trace; 0 at the limit of rounding, NaN while it cannot be told."""
    if len(trace) < 2:
        return float("nan")
    gains = np.diff(trace[-(window + 2) :])
    if abs(gains[-1]) <= rounding(trace[-1]):
        return 0.0
    if len(gains) < window + 1 or (gains <= 0).any():
        return float("nan")
    ratio = float((gains[1:] / gains[:-1]).max())
    return float(gains[-1]) * ratio / (1.0 - ratio) if ratio < 1.0 else float("inf")


def rounding(objective: float) -> float:
    """What two sums of the same objective may differ by."""
    return 16 * float(np.finfo(np.float64).eps) * max(1.0, abs(objective))


# ---- the loop ------------------------------------------------------------------------------------------------------


def em(
    survey: Survey,
    start: Start,
    family: Family,
    regularisation: Regularisation,
    *,
    stopping: StoppingRule = RemainingGain(),
    max_iter: int = 1000,
    callback: Callback | None = None,
    start_number: int = 0,
    judge: bool = True,
) -> FitResult:
    """Plain EM from one start: one E-step and one M-step per iteration.

    Parameters
    ----------
    survey : Survey
        The data and the backend that reads them.
    start : Moments, Mixture or FitResult
    family : Family
    regularisation : Regularisation
    stopping : StoppingRule, default RemainingGain()
    max_iter : int
        0 returns the start (after the M-step, if it starts with one).
    callback : callable, optional
        Called with an :class:`~mixtura.results.Iteration` after each; raising KeyboardInterrupt there, or Ctrl-C
        anywhere, ends the fit with the best model so far.
    start_number : int
        What the callback is told.
    judge : bool
        Whether to look for degenerate components; a short run that goes on later need not be judged.

    Returns
    -------
    FitResult

    Raises
    ------
    CollapseError
        Only when the start itself is singular and nothing keeps it from zero; later collapses are a StopReason.

    References
    ----------
    Dempster, Laird & Rubin 1977; Boehning, Dietz, Schaub, Schlattmann & Lindsay 1994 for the estimate of what remains.
    """
    loop = _Loop(survey, family, regularisation)
    mixture, trace = loop.begin(start)
    moments = loop.e_step(mixture)
    objective = loop.objective(moments, mixture)
    if not (trace and trace[-1] == objective):
        trace = [objective]
    given = not isinstance(start, Moments)
    stop, n_iter, next_look, rates = StopReason.MAX_ITER, 0, 0, list[float]()
    try:
        while n_iter < max_iter:
            candidate = loop.m_step(moments, mixture)
            seen = loop.e_step(candidate)
            objective = loop.objective(seen, candidate)
            fell = objective < trace[-1] - rounding(objective)
            if fell and not (given and n_iter == 0):
                stop = StopReason.CONVERGED  # an exact M-step cannot lower the objective: what fell is rounding
                break
            if fell:
                trace = [objective]  # the given parameters lie above what the regularisation allows
            else:
                trace.append(max(objective, trace[-1]))
            step, gain = (moments, seen), trace[-1] - trace[-2] if len(trace) > 1 else float("nan")
            mixture, moments = candidate, seen
            n_iter += 1
            if callback is not None:
                callback(Iteration(start_number, n_iter, objective, gain, mixture))
            if n_iter < next_look or not stopping.satisfied(trace, moments.total):
                continue
            if stopping.certifies:
                rates.append(slowest_rate(loop, *step))
                next_look = n_iter + max(FEWEST_BETWEEN_LOOKS, n_iter // 8)
            if not stopping.certifies or stopping.confirmed(max(gain, rounding(objective)), rates):
                stop = stopping.reason
                break
            if gain <= rounding(objective):
                stop = loop.standstill(mixture, rates[-1])
                break
    except CollapseError:
        stop = StopReason.COLLAPSED
    except KeyboardInterrupt:
        stop = StopReason.INTERRUPTED
    if (stop.converged or stop is StopReason.SADDLE) and has_copies(mixture):
        stop = StopReason.COPIES
    return loop.result(mixture, moments, trace, n_iter, stop, judge)


def slowest_rate(loop: _Loop, before: Moments, now: Moments) -> float:
    """The factor by which EM shrinks a deviation in its slowest direction: the largest eigenvalue of its Jacobian.

    EM as a map of moments, ``F(s) = E(M(s))``, has the same eigenvalues as EM as a map of parameters, and a small
    deviation of moments is valid for every family. Arnoldi's method on finite differences of F, from the last step
    plus a fixed random direction; it ends when its largest Ritz value settles, or after ``LOOKS`` maps.
    """
    chart = _Chart(now, loop.survey.scale)

    def image(point: Array) -> Array:
        return chart.vector(loop.e_step(loop.m_step(chart.moments(point), None)))

    origin = chart.vector(now)
    try:
        return _largest_ritz_value(image, origin, chart, before)
    except CollapseError:  # a deviation made a covariance singular that no floor holds up: no derivative to speak of
        return float("inf")


def _largest_ritz_value(image: Callable[[Array], Array], origin: Array, chart: _Chart, before: Moments) -> float:
    """Arnoldi's method; see :func:`slowest_rate`."""
    at = image(origin)
    last = origin - chart.vector(before)
    first = np.random.default_rng(0).standard_normal(len(origin)) * chart.rows_per_sum
    first = first / np.linalg.norm(first) + last / max(float(np.linalg.norm(last)), TINY)
    basis = [first / np.linalg.norm(first)]
    hessenberg = np.zeros((LOOKS + 1, LOOKS))
    rates: list[float] = []
    for look in range(min(LOOKS, len(origin))):
        moved = (image(origin + DEVIATION * basis[look]) - at) / DEVIATION
        for i, direction in enumerate(basis):
            hessenberg[i, look] = direction @ moved
            moved = moved - hessenberg[i, look] * direction
        rates.append(float(np.linalg.eigvals(hessenberg[: look + 1, : look + 1]).real.max()))
        left = float(np.linalg.norm(moved))
        if left < NEGLIGIBLE or (look >= SETTLED and max(rates[-SETTLED:]) - min(rates[-SETTLED:]) < 0.05 * abs(1.0 - rates[-1])):
            break
        hessenberg[look + 1, look] = left
        basis.append(moved / left)
    return rates[-1]


FEWEST_BETWEEN_LOOKS = 3
LOOKS = 24
SETTLED = 4
DEVIATION = 1e-5
"""In parts of the rows: far above rounding (1e-16), and small enough that EM is linear (error 1e-5)."""
NEGLIGIBLE = 1e-8
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class _Chart:
    """Moments as vectors and back: per row, about fixed points, in units of the data's standard deviations."""

    origin: Moments
    scale: Array

    @cached_property
    def _units(self) -> tuple[Array, Array, Array]:
        deviations = np.sqrt(self.scale)
        outer = np.outer(deviations, deviations)
        second = {Scatter.TRACE: self.scale.sum(), Scatter.DIAGONAL: self.scale}.get(self.origin.kind, outer)
        return (
            np.ones_like(self.origin.counts),
            np.broadcast_to(deviations, self.origin.first.shape),
            np.broadcast_to(second, self.origin.second.shape),
        )

    @property
    def rows_per_sum(self) -> Array:
        """The count of the component that each entry of a vector belongs to."""
        counts = self.origin.counts
        pooled = self.origin.kind is Scatter.TOTAL
        second = np.full(self.origin.second.shape, counts.sum()) if pooled else _along_first(counts, self.origin.second.shape)
        return np.concatenate([counts, _along_first(counts, self.origin.first.shape).ravel(), second.ravel()])

    def vector(self, moments: Moments) -> Array:
        """All sums, one after the other."""
        same = moments.taken_about(self.origin.about)
        parts = zip((same.counts, same.first, same.second), self._units, strict=True)
        return np.concatenate([(part / unit).ravel() for part, unit in parts]) / self.origin.total

    def moments(self, vector: Array) -> Moments:
        """The moments with these sums (matrices made symmetric)."""
        sums, at = [], 0
        for unit in self._units:
            sums.append(vector[at : at + unit.size].reshape(unit.shape) * unit * self.origin.total)
            at += unit.size
        counts, first, second = sums
        if self.origin.kind in (Scatter.TOTAL, Scatter.DENSE):
            second = 0.5 * (second + np.swapaxes(second, -1, -2))
        return replace(self.origin, counts=counts, first=first, second=second)


def _along_first(counts: Array, shape: tuple[int, ...]) -> Array:
    """Counts (K,) repeated to a shape (K, ...)."""
    return np.broadcast_to(counts.reshape(-1, *[1] * (len(shape) - 1)), shape)


@dataclass(frozen=True, eq=False)
class _Loop:
    """The two steps of EM for one data set and one family."""

    survey: Survey
    family: Family
    regularisation: Regularisation

    def begin(self, start: Start) -> tuple[Mixture, list[float]]:
        """The first mixture, and the trace that led to it."""
        if isinstance(start, FitResult):
            return start.mixture, list(start.trace)
        if isinstance(start, Mixture):
            return start, []
        return self.m_step(start.summarised(self.family.needs), None), []

    def e_step(self, mixture: Mixture) -> Moments:
        """Responsibilities, summed up; with a ridge, under the tilted weights that its M-step is exact for."""
        tilted = self.regularisation.tilted(mixture)
        return self.survey.backend.moments(self.survey.source, tilted, self.family.needs)

    def m_step(self, moments: Moments, previous: Mixture | None) -> Mixture:
        """The best mixture for these responsibilities."""
        covariance = self.family.m_step(moments, previous.covariance if previous else None, self.regularisation)
        return Mixture(moments.weights, moments.means, covariance)

    def standstill(self, mixture: Mixture, rate: float) -> StopReason:
        """What it means that EM gains nothing: a saddle if some direction grows, else the end of the road.

        A component on the floor has no derivative, so nothing is read from its rate.
        """
        on_floor = self.regularisation.floor_reached(mixture.covariance, 1.0 + 1e-6).any()
        return StopReason.SADDLE if rate >= 1.0 and not on_floor else StopReason.CONVERGED

    def objective(self, moments: Moments, mixture: Mixture) -> float:
        """Log-likelihood plus penalty: what the M-step raises."""
        return moments.log_likelihood + self.regularisation.penalty(mixture.covariance)

    def result(
        self, mixture: Mixture, moments: Moments, trace: list[float], n_iter: int, stop: StopReason, judge: bool
    ) -> FitResult:
        """Everything that is known about the last mixture."""
        if self.regularisation.ridge > 0:
            moments = self.survey.backend.moments(self.survey.source, mixture, Scatter.TRACE)
        return FitResult(
            family=self.family.name,
            mixture=mixture,
            log_likelihood=moments.log_likelihood,
            entropy=moments.entropy,
            certainty=moments.certainty,
            total=moments.total,
            n_parameters=self.family.n_parameters(mixture.n_components, mixture.n_features),
            trace=tuple(trace),
            n_iter=n_iter,
            stop=stop,
            remaining_gain=remaining_gain(trace),
            degenerate=degenerate_components(mixture, self.family, self.regularisation, self.survey) if judge else (),
        )
