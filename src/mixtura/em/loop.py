"""The loop of EM from one start, which runs until a decision is needed.

    E-step  Backend.moments(source, mixture)    responsibilities, summed up
    M-step  Family.m_step(moments)              the mixture that maximises the objective for them

This loop takes every backend, source, family and regularisation. Where all of them have a form in
C++, :mod:`mixtura.em.native_loop` does the same without Python between the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Protocol, TypeAlias

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.convergence_rate import slowest_rate
from mixtura.em.squarem import Squarem
from mixtura.em.stopping import StoppingRule, rounding
from mixtura.model.fit_result import FitResult
from mixtura.model.moments import Moments

Start: TypeAlias = Moments | Mixture | FitResult
"""EM begins with an M-step (moments) or an E-step (a mixture), or goes on from a fit."""

Stopped: TypeAlias = Callable[[], bool]
"""Whether another thread wants EM to end, which then ends as with Ctrl-C."""

PLAIN_BEFORE_EXTRAPOLATION = 5
"""Objectives of plain iterations before the first extrapolation, since the first steps of EM are
far from linear (docs/decisions/0009).
"""

PLAIN_KEPT = 8
"""Objectives of a fit that the stopping rule may read when EM goes on from it."""


class LoopEvent(Enum):
    """The reason why a batch of iterations ended."""

    SPENT = "spent"
    """The number of iterations is reached."""
    CHECK = "check"
    """The stopping rule's test of the trace holds."""
    FELL = "fell"
    """The objective would have fallen by more than rounding; the last mixture is kept."""
    COLLAPSED = "collapsed"
    """The next mixture has a singular covariance; the last mixture is kept."""


class Loop(Protocol):
    """A run of EM: the last mixture and the trace."""

    @property
    def n_iter(self) -> int:
        """Iterations so far; an extrapolation counts as one, also if it was rejected."""
        ...

    @property
    def trace(self) -> list[float]:
        """The objective before the first iteration and after each."""
        ...

    @property
    def plain(self) -> list[float]:
        """The objective since the last extrapolation, or since the start: plain iterations only."""
        ...

    @property
    def objective(self) -> float:
        """The last of the trace."""
        ...

    @property
    def last_gain(self) -> float:
        """Gain of the last iteration; NaN before the first."""
        ...

    @property
    def fall(self) -> float:
        """The fall of the objective that was rejected, after FELL."""
        ...

    @property
    def mixture(self) -> Mixture:
        """The last mixture."""
        ...

    @property
    def moments(self) -> Moments:
        """Its E-step."""
        ...

    @property
    def sums(self) -> tuple[float, float, float, float]:
        """Log-likelihood, entropy, certainty and total of its E-step."""
        ...

    def iterate(self, most: int, next_check: int) -> LoopEvent:
        """At most ``most`` iterations; no CHECK before iteration ``next_check``.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, or when ``stopped`` is true; the last complete iteration is kept.
        """
        ...

    def set_rule(self, rule: StoppingRule) -> None:
        """Replace the stopping rule by one of the same kind with another tolerance."""
        ...

    def slowest_rate(self) -> float:
        """The convergence rate of EM, measured around the last plain iteration.

        With acceleration, the next iteration is an extrapolation in the measured directions.
        """
        ...


def python_loop(
    problem: Problem,
    start: Start,
    stopping: StoppingRule,
    accelerated: bool,
    stopped: Stopped,
) -> Loop:
    """A loop in Python, after its first E-step."""
    state = _begin(problem, start, accelerated)
    squarem = Squarem(problem.dataset.scale) if accelerated else None
    return _PythonLoop(
        problem, stopping, squarem, stopped, state, given=not isinstance(start, Moments)
    )


def em_map(problem: Problem, near: Mixture, moments: Moments) -> Moments:
    """One EM iteration as a map of moments.

    An iterated M-step always begins at ``near``, so that the map is smooth.
    """
    return problem.e_step(problem.m_step(moments, near))


# ---- the state -----------------------------------------------------------------------------------


@dataclass(eq=False)
class _State:
    """The last mixture, and the iterations that led to it.

    Attributes
    ----------
    mixture, moments
        The last mixture and its E-step.
    trace, plain : list of float
    steps : list of Moments
        The E-steps of up to three consecutive plain iterations, for an extrapolation.
    unfinished : bool
        Whether a check has found that EM has not converged, so that extrapolations go on though the
        trace is flat.
    slowest, limit
        After a check: the slowest direction, and the limit of EM in the measured directions.
    """

    mixture: Mixture
    moments: Moments
    trace: list[float]
    plain: list[float] = field(default_factory=list)
    steps: list[Moments] = field(default_factory=list)
    unfinished: bool = False
    slowest: Array | None = None
    limit: Moments | None = None

    def __post_init__(self) -> None:
        self.plain, self.steps = self.plain or self.trace[-1:], [self.moments]

    def may_extrapolate(self, stopping: StoppingRule) -> bool:
        """Whether there were two plain iterations, and the stopping rule needs no more of them."""
        return (
            len(self.steps) == 3
            and len(self.trace) > PLAIN_BEFORE_EXTRAPOLATION
            and (self.unfinished or not stopping.nearly_satisfied(self.plain))
        )

    def accept(self, mixture: Mixture, moments: Moments, objective: float) -> None:
        """Accept a plain iteration."""
        self.mixture, self.moments = mixture, moments
        self.trace.append(max(objective, self.trace[-1]))
        self.plain.append(self.trace[-1])
        self.steps = [*self.steps[-2:], moments]

    def accept_extrapolation(self, evaluated: tuple[Mixture, Moments, float] | None) -> bool:
        """Accept an extrapolation where the objective does not fall; it counts in any case."""
        higher = evaluated is not None and evaluated[2] >= self.trace[-1]
        if evaluated is not None and higher:
            self.mixture, self.moments = evaluated[:2]
        self.trace.append(evaluated[2] if evaluated is not None and higher else self.trace[-1])
        self.plain, self.steps, self.unfinished, self.limit = (
            self.trace[-1:],
            [self.moments],
            False,
            None,
        )
        return higher


def _begin(problem: Problem, start: Start, accelerated: bool) -> _State:
    """The first mixture with its E-step, and the trace of the fit that it goes on from."""
    trace: list[float] = []
    if isinstance(start, Moments):
        moments = problem.matched(start).summarised(problem.family.needs)
        mixture = problem.m_step(moments, None)
    elif isinstance(start, FitResult):
        mixture, trace = problem.adapted(start.mixture), list(start.trace)
    else:
        mixture = problem.adapted(start)
    moments = problem.e_step(mixture)
    objective = problem.objective(moments, mixture)
    if trace and trace[-1] == objective:
        return _State(mixture, moments, trace, trace[-1:] if accelerated else trace[-PLAIN_KEPT:])
    return _State(mixture, moments, [objective])


# ---- the loop ------------------------------------------------------------------------------------


@dataclass(eq=False)
class _PythonLoop:
    """The loop in Python; see :class:`Loop`."""

    problem: Problem
    stopping: StoppingRule
    squarem: Squarem | None
    stopped: Stopped
    state: _State
    given: bool
    n_iter: int = 0
    fall: float = 0.0

    @property
    def trace(self) -> list[float]:
        return self.state.trace

    @property
    def plain(self) -> list[float]:
        return self.state.plain

    @property
    def objective(self) -> float:
        return self.state.trace[-1]

    @property
    def last_gain(self) -> float:
        trace = self.state.trace
        return trace[-1] - trace[-2] if len(trace) > 1 else float("nan")

    @property
    def mixture(self) -> Mixture:
        return self.state.mixture

    @property
    def moments(self) -> Moments:
        return self.state.moments

    @property
    def sums(self) -> tuple[float, float, float, float]:
        moments = self.state.moments
        return moments.log_likelihood, moments.entropy, moments.certainty, moments.total

    def iterate(self, most: int, next_check: int) -> LoopEvent:
        for _ in range(most):
            if self.stopped():
                raise KeyboardInterrupt
            if self._extrapolate():
                continue
            state = self.state
            try:
                mixture = self.problem.m_step(state.moments, state.mixture)
                moments = self.problem.e_step(mixture)
            except CollapseError:
                return LoopEvent.COLLAPSED
            objective = self.problem.objective(moments, mixture)
            if objective < state.trace[-1] - rounding(objective):
                safe = self.problem.cautious(state.moments, state.mixture, mixture)
                if safe is not None:
                    mixture, moments = safe, self.problem.e_step(safe)
                    objective = self.problem.objective(moments, mixture)
            if objective < state.trace[-1] - rounding(objective):
                if not (self.given and self.n_iter == 0):
                    self.fall = state.trace[-1] - objective
                    return LoopEvent.FELL
                # the given mixture was outside the constraints of the regularisation
                self.state = _State(mixture, moments, [objective])
                self.n_iter += 1
                continue
            state.accept(mixture, moments, objective)
            self.n_iter += 1
            if self.n_iter >= next_check and self.stopping.satisfied(state.plain, moments.total):
                return LoopEvent.CHECK
        return LoopEvent.SPENT

    def _extrapolate(self) -> bool:
        """Extrapolate if it is time to; False for a plain iteration."""
        if self.state.limit is not None:
            self.state.accept_extrapolation(self._evaluated(self.state.limit))
            self.n_iter += 1
            return True
        extrapolated = (
            self.squarem.extrapolate(self.state.steps)
            if self.squarem is not None and self.state.may_extrapolate(self.stopping)
            else None
        )
        if self.squarem is None or extrapolated is None:
            return False
        self.squarem.adapt(self.state.accept_extrapolation(self._evaluated(extrapolated)))
        self.n_iter += 1
        return True

    def _evaluated(self, extrapolated: Moments) -> tuple[Mixture, Moments, float] | None:
        """The mixture of extrapolated moments with its E-step and objective.

        None where a covariance is singular.
        """
        try:
            mixture = self.problem.m_step(extrapolated, self.state.mixture)
            moments = self.problem.e_step(mixture)
        except CollapseError:
            return None
        return mixture, moments, self.problem.objective(moments, mixture)

    def set_rule(self, rule: StoppingRule) -> None:
        self.stopping = rule

    def slowest_rate(self) -> float:
        state = self.state
        found = slowest_rate(
            partial(em_map, self.problem, state.mixture),
            state.steps[-2],
            state.moments,
            state.mixture,
            state.slowest,
        )
        state.unfinished, state.slowest = True, found.direction
        state.limit = found.limit if self.squarem is not None else None
        return found.rate
