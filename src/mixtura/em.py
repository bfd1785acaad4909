"""The EM loop.

    E-step  Backend.moments(source, mixture)    how much of each row belongs to each component, summed up
    M-step  Family.m_step(moments)              the mixture that explains these sums best

The loop ends on an E-step, so the reported log-likelihood belongs to the reported mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from mixtura.degeneracy import degenerate_components, has_copies
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture
from mixtura.moments import Moments, Scatter
from mixtura.protocols import Family
from mixtura.rate import slowest_rate
from mixtura.regularisation import Regularisation
from mixtura.results import FitResult, Iteration, StopReason
from mixtura.stopping import RemainingGain, StoppingRule, remaining_gain, rounding
from mixtura.survey import Survey

Start: TypeAlias = Moments | Mixture | FitResult
"""EM begins with an M-step (moments), an E-step (a mixture), or goes on where a fit of the same data ended."""

Callback: TypeAlias = Callable[[Iteration], None]


DEFAULT_RULE = RemainingGain()

FEWEST_BETWEEN_LOOKS = 3
"""Iterations before the rate of the slowest direction is measured again."""


def em(
    survey: Survey,
    start: Start,
    family: Family,
    regularisation: Regularisation,
    *,
    stopping: StoppingRule = DEFAULT_RULE,
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
                rates.append(slowest_rate(partial(loop.step, mixture), *step, survey.scale))
                next_look = n_iter + max(FEWEST_BETWEEN_LOOKS, n_iter // 8)
            if stopping.confirmed(max(gain, rounding(objective)), rates):
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
        return Mixture(self.regularisation.weights(moments), self.regularisation.means(moments), covariance)

    def step(self, near: Mixture, moments: Moments) -> Moments:
        """One whole step of EM, as a map of moments; ``near`` warm-starts an iterated M-step, so that the map is smooth."""
        return self.e_step(self.m_step(moments, near))

    def standstill(self, mixture: Mixture, rate: float) -> StopReason:
        """What it means that EM gains nothing: a saddle if some direction grows, else the end of the road.

        A component on the floor has no derivative, so nothing is read from its rate.
        """
        on_floor = self.regularisation.floor_reached(mixture.covariance, 1.0 + 1e-6).any()
        return StopReason.SADDLE if rate >= 1.0 and not on_floor else StopReason.CONVERGED

    def objective(self, moments: Moments, mixture: Mixture) -> float:
        """Log-likelihood plus penalty: what the M-step raises."""
        return moments.log_likelihood + self.regularisation.penalty(mixture)

    def n_parameters(self, mixture: Mixture) -> int:
        """The family's count; equal proportions need none."""
        K = mixture.n_components
        return self.family.n_parameters(K, mixture.n_features) - (K - 1 if self.regularisation.equal_weights else 0)

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
            n_parameters=self.n_parameters(mixture),
            trace=tuple(trace),
            n_iter=n_iter,
            stop=stop,
            remaining_gain=remaining_gain(trace),
            degenerate=degenerate_components(mixture, self.family, self.regularisation, self.survey) if judge else (),
        )
