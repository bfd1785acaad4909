"""The EM loop.

    E-step  Backend.moments(source, mixture)    how much of each row belongs to each component, summed up
    M-step  Family.m_step(moments)              the mixture that explains these sums best

The loop ends on an E-step, so the reported log-likelihood belongs to the reported mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from mixtura.acceleration import Squarem
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

PLAIN_BEFORE_LEAPS = 5
"""Objectives on the trace before the first leap: the first steps of EM are long, and where they lead is not yet clear."""

PLAIN_KEPT = 8
"""Objectives that a fit which goes on may read from the trace it goes on from."""

LARGE_FALL = 1e-8
"""In parts of the objective; the sums of ill-conditioned data lose digits to this."""

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
    accelerated: bool = False,
) -> FitResult:
    """EM from one start: one E-step and one M-step per iteration.

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
    accelerated : bool
        Whether every third iteration may be a leap (:mod:`mixtura.acceleration`); False is EM as in the textbooks.

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
    path = loop.begin(start, accelerated)
    squarem = Squarem(survey.scale) if accelerated else None
    stop, n_iter, next_look, rates = StopReason.MAX_ITER, 0, 0, list[float]()
    given = not isinstance(start, Moments)

    def report(gain: float) -> None:
        if callback is not None:
            callback(Iteration(start_number, n_iter, path.trace[-1], gain, path.mixture))

    try:
        while n_iter < max_iter:
            leap = squarem.leap(path.steps) if squarem is not None and path.may_leap(stopping) else None
            if squarem is not None and leap is not None:
                squarem.landed(path.leapt(loop.landing(leap, path.mixture)))
                n_iter += 1
                report(path.last_gain)
                continue
            candidate = loop.m_step(path.moments, path.mixture)
            seen = loop.e_step(candidate)
            objective = loop.objective(seen, candidate)
            if objective < path.trace[-1] - rounding(objective):
                if not (given and n_iter == 0):
                    # an exact M-step cannot lower it: what fell is rounding, and larger only where the data are badly conditioned
                    large = objective < path.trace[-1] - LARGE_FALL * max(1.0, abs(objective))
                    stop = StopReason.FELL if large else StopReason.CONVERGED
                    break
                path = _Path(candidate, seen, [objective])  # the given parameters lie above what the regularisation allows
                n_iter += 1
                report(float("nan"))
                continue
            before = path.moments
            path.stepped(candidate, seen, objective)
            n_iter += 1
            gain = path.last_gain
            report(gain)
            if n_iter < next_look or not stopping.satisfied(path.plain, seen.total):
                continue
            if stopping.certifies:
                rates.append(slowest_rate(partial(loop.step, candidate), before, seen, survey.scale))
                next_look = n_iter + max(FEWEST_BETWEEN_LOOKS, n_iter // 8)
                path.overdue = True
            if stopping.confirmed(max(gain, rounding(objective)), rates):
                stop = stopping.reason
                break
            if gain <= rounding(objective):
                stop = loop.standstill(path.mixture, rates[-1])
                break
    except CollapseError:
        stop = StopReason.COLLAPSED
    except KeyboardInterrupt:
        stop = StopReason.INTERRUPTED
    if (stop.converged or stop is StopReason.SADDLE) and has_copies(path.mixture):
        stop = StopReason.COPIES
    return loop.result(path, n_iter, stop, judge)


@dataclass(eq=False)
class _Path:
    """Where EM is, and how it came there.

    Attributes
    ----------
    mixture, moments
        The last mixture and its E-step.
    trace : list of float
        The objective after each iteration.
    plain : list of float
        The objective since the last leap, or since the start: what a rule about the gains of EM may read.
    steps : list of Moments
        Up to three consecutive E-steps, from which a leap can be made.
    overdue : bool
        Whether plain steps have shown that the end is not reached, so that a leap is worth while though it looks near.
    """

    mixture: Mixture
    moments: Moments
    trace: list[float]
    plain: list[float] = field(default_factory=list)
    steps: list[Moments] = field(default_factory=list)
    overdue: bool = False

    def __post_init__(self) -> None:
        self.plain, self.steps = self.plain or self.trace[-1:], [self.moments]

    @property
    def last_gain(self) -> float:
        """What the last iteration gained."""
        return self.trace[-1] - self.trace[-2] if len(self.trace) > 1 else float("nan")

    def may_leap(self, stopping: StoppingRule) -> bool:
        """Whether two plain steps lie behind, and it is not time to see whether EM is at its end."""
        return (
            len(self.steps) == 3 and len(self.trace) > PLAIN_BEFORE_LEAPS and (self.overdue or not stopping.promising(self.plain))
        )

    def stepped(self, mixture: Mixture, moments: Moments, objective: float) -> None:
        """A plain step."""
        self.mixture, self.moments = mixture, moments
        self.trace.append(max(objective, self.trace[-1]))
        self.plain.append(self.trace[-1])
        self.steps = [*self.steps[-2:], moments]

    def leapt(self, landing: tuple[Mixture, Moments, float] | None) -> bool:
        """A leap: taken where the objective did not fall; otherwise all stays as it was, and the iteration is spent."""
        higher = landing is not None and landing[2] >= self.trace[-1]
        if landing is not None and higher:
            self.mixture, self.moments = landing[:2]
        self.trace.append(landing[2] if landing is not None and higher else self.trace[-1])
        self.plain, self.steps, self.overdue = self.trace[-1:], [self.moments], False
        return higher


@dataclass(frozen=True, eq=False)
class _Loop:
    """The two steps of EM for one data set and one family."""

    survey: Survey
    family: Family
    regularisation: Regularisation

    def begin(self, start: Start, accelerated: bool) -> _Path:
        """The first mixture with its E-step, and the trace that led to it."""
        trace: list[float] = []
        if isinstance(start, Moments):
            mixture = self.m_step(start.summarised(self.family.needs), None)
        elif isinstance(start, FitResult):
            mixture, trace = start.mixture, list(start.trace)
        else:
            mixture = start
        moments = self.e_step(mixture)
        objective = self.objective(moments, mixture)
        if trace and trace[-1] == objective:  # it goes on where that fit ended, with what its last iterations told
            return _Path(mixture, moments, trace, trace[-1:] if accelerated else trace[-PLAIN_KEPT:])
        return _Path(mixture, moments, [objective])

    def landing(self, leap: Moments, previous: Mixture) -> tuple[Mixture, Moments, float] | None:
        """The mixture of extrapolated moments with its E-step and objective; None where there is none."""
        try:
            mixture = self.m_step(leap, previous)
            moments = self.e_step(mixture)
        except CollapseError:
            return None
        return mixture, moments, self.objective(moments, mixture)

    def e_step(self, mixture: Mixture) -> Moments:
        """Responsibilities, summed up; with a ridge, under the tilted weights that its M-step is exact for."""
        tilted = self.regularisation.tilted(mixture)
        return self.survey.backend.moments(self.survey.source_for(mixture.n_components), tilted, self.family.needs)

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

    def result(self, path: _Path, n_iter: int, stop: StopReason, judge: bool) -> FitResult:
        """Everything that is known about the last mixture."""
        mixture, moments = path.mixture, path.moments
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
            trace=tuple(path.trace),
            n_iter=n_iter,
            stop=stop,
            remaining_gain=remaining_gain(path.plain),
            degenerate=degenerate_components(mixture, self.family, self.regularisation, self.survey) if judge else (),
        )
