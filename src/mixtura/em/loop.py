"""The walk of EM from one start: step after step, until somebody has to decide.

    E-step  Backend.moments(source, mixture)    responsibilities, summed up
    M-step  Family.m_step(moments)              the mixture that maximises the objective for them

This is the loop as it reads in the paper, for every backend, source, family and regularisation.
Where all of them have a form in C++, :mod:`mixtura.em.native_loop` does the same without Python
between the steps.
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
from mixtura.em.convergence_rate import slowest_rate
from mixtura.em.squarem import Squarem
from mixtura.em.stopping import StoppingRule, rounding
from mixtura.model.fit_result import FitResult
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments

Start: TypeAlias = Moments | Mixture | FitResult
"""EM begins with an M-step (moments), an E-step (a mixture), or goes on where a fit of the same
data ended.
"""

Stopped: TypeAlias = Callable[[], bool]
"""Whether somebody, perhaps in another thread, wants the walk to end; it then ends as with
Ctrl-C.
"""

PLAIN_BEFORE_EXTRAPOLATION = 5
"""Objectives on the trace before the first leap: the first steps of EM are long, and where they
lead is not yet clear.
"""

PLAIN_KEPT = 8
"""Objectives that a fit which goes on may read from the trace it goes on from."""


class LoopEvent(Enum):
    """Why a walk has come to a halt."""

    SPENT = "spent"
    """The iterations it was given are over."""
    CHECK = "check"
    """The trace looks as if EM may stop."""
    FELL = "fell"
    """The objective would have fallen by more than rounding; the step was not taken."""
    COLLAPSED = "collapsed"
    """The next mixture has a singular covariance; the step was not taken."""


class Loop(Protocol):
    """EM on its way, with the last mixture and what led to it."""

    @property
    def n_iter(self) -> int:
        """Iterations so far; a leap is one, also where it was refused."""
        ...

    @property
    def trace(self) -> list[float]:
        """The objective before the first iteration and after each."""
        ...

    @property
    def plain(self) -> list[float]:
        """The objective since the last leap, or since the start: what a rule about the gains of EM
        may read.
        """
        ...

    @property
    def objective(self) -> float:
        """The last of the trace."""
        ...

    @property
    def last_gain(self) -> float:
        """What the last iteration gained; NaN before the first."""
        ...

    @property
    def fall(self) -> float:
        """By how much the objective would have fallen, after FELL."""
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
        """At most so many iterations; no look before iteration ``next_check``.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C or when ``stopped`` says so; the walk is then at its last whole step.
        """
        ...

    def set_rule(self, rule: StoppingRule) -> None:
        """Check from now on when this rule says so: one of the same kind, with another
        tolerance.
        """
        ...

    def slowest_rate(self) -> float:
        """The rate of EM's slowest direction, measured around the last plain step.

        Where leaps are allowed, one in the directions that were seen comes next, and others may
        follow though the end looks near.
        """
        ...


def python_loop(
    problem: Problem,
    start: Start,
    stopping: StoppingRule,
    accelerated: bool,
    stopped: Stopped,
) -> Loop:
    """A walk in Python, after its first E-step."""
    path = _begin(problem, start, accelerated)
    squarem = Squarem(problem.dataset.scale) if accelerated else None
    return _PythonLoop(
        problem, stopping, squarem, stopped, path, given=not isinstance(start, Moments)
    )


def em_map(problem: Problem, near: Mixture, moments: Moments) -> Moments:
    """One step of EM as a map of moments; ``near`` is where an iterated M-step begins, so that the
    map is smooth.
    """
    return problem.e_step(problem.m_step(moments, near))


# ---- where EM is, and how it came there ----------------------------------------------------------


@dataclass(eq=False)
class _Path:
    """Where EM is, and how it came there.

    Attributes
    ----------
    mixture, moments
        The last mixture and its E-step.
    trace, plain : list of float
    steps : list of Moments
        Up to three consecutive E-steps, from which a leap can be made.
    overdue : bool
        Whether plain steps have shown that the end is not reached, so that a leap is worth while
        though it looks near.
    known, ahead
        The slowest direction, and where a leap in the directions that were seen lands, after the
        rate was measured.
    """

    mixture: Mixture
    moments: Moments
    trace: list[float]
    plain: list[float] = field(default_factory=list)
    steps: list[Moments] = field(default_factory=list)
    unfinished: bool = False
    known: Array | None = None
    ahead: Moments | None = None

    def __post_init__(self) -> None:
        self.plain, self.steps = self.plain or self.trace[-1:], [self.moments]

    def may_extrapolate(self, stopping: StoppingRule) -> bool:
        """Whether two plain steps lie behind, and it is not time to see whether EM is at its
        end.
        """
        return (
            len(self.steps) == 3
            and len(self.trace) > PLAIN_BEFORE_EXTRAPOLATION
            and (self.unfinished or not stopping.nearly_satisfied(self.plain))
        )

    def stepped(self, mixture: Mixture, moments: Moments, objective: float) -> None:
        """A plain step."""
        self.mixture, self.moments = mixture, moments
        self.trace.append(max(objective, self.trace[-1]))
        self.plain.append(self.trace[-1])
        self.steps = [*self.steps[-2:], moments]

    def extrapolated(self, evaluated: tuple[Mixture, Moments, float] | None) -> bool:
        """A leap: taken where the objective did not fall; otherwise all stays as it was, and the
        iteration is spent.
        """
        higher = evaluated is not None and evaluated[2] >= self.trace[-1]
        if evaluated is not None and higher:
            self.mixture, self.moments = evaluated[:2]
        self.trace.append(evaluated[2] if evaluated is not None and higher else self.trace[-1])
        self.plain, self.steps, self.unfinished, self.ahead = (
            self.trace[-1:],
            [self.moments],
            False,
            None,
        )
        return higher


def _begin(problem: Problem, start: Start, accelerated: bool) -> _Path:
    """The first mixture with its E-step, and the trace that led to it."""
    trace: list[float] = []
    if isinstance(start, Moments):
        mixture = problem.m_step(start.summarised(problem.family.needs), None)
    elif isinstance(start, FitResult):
        mixture, trace = start.mixture, list(start.trace)
    else:
        mixture = start
    moments = problem.e_step(mixture)
    objective = problem.objective(moments, mixture)
    if (
        trace and trace[-1] == objective
    ):  # it goes on where that fit ended, with what its last iterations told
        return _Path(mixture, moments, trace, trace[-1:] if accelerated else trace[-PLAIN_KEPT:])
    return _Path(mixture, moments, [objective])


@dataclass(eq=False)
class _PythonLoop:
    """The walk in Python; see :class:`Loop`."""

    problem: Problem
    stopping: StoppingRule
    squarem: Squarem | None
    stopped: Stopped
    path: _Path
    given: bool
    n_iter: int = 0
    fall: float = 0.0

    @property
    def trace(self) -> list[float]:
        return self.path.trace

    @property
    def plain(self) -> list[float]:
        return self.path.plain

    @property
    def objective(self) -> float:
        return self.path.trace[-1]

    @property
    def last_gain(self) -> float:
        trace = self.path.trace
        return trace[-1] - trace[-2] if len(trace) > 1 else float("nan")

    @property
    def mixture(self) -> Mixture:
        return self.path.mixture

    @property
    def moments(self) -> Moments:
        return self.path.moments

    @property
    def sums(self) -> tuple[float, float, float, float]:
        seen = self.path.moments
        return seen.log_likelihood, seen.entropy, seen.certainty, seen.total

    def iterate(self, most: int, next_check: int) -> LoopEvent:
        for _ in range(most):
            if self.stopped():
                raise KeyboardInterrupt
            if self._extrapolate():
                continue
            path = self.path
            try:
                candidate = self.problem.m_step(path.moments, path.mixture)
                seen = self.problem.e_step(candidate)
            except CollapseError:
                return LoopEvent.COLLAPSED
            objective = self.problem.objective(seen, candidate)
            if objective < path.trace[-1] - rounding(objective):
                if not (self.given and self.n_iter == 0):
                    self.fall = path.trace[-1] - objective
                    return LoopEvent.FELL
                self.path = _Path(
                    candidate, seen, [objective]
                )  # the given parameters lie above what the regularisation allows
                self.n_iter += 1
                continue
            path.stepped(candidate, seen, objective)
            self.n_iter += 1
            if self.n_iter >= next_check and self.stopping.satisfied(path.plain, seen.total):
                return LoopEvent.CHECK
        return LoopEvent.SPENT

    def _extrapolate(self) -> bool:
        """A leap where one is due; False where a plain step is."""
        if self.path.ahead is not None:
            self.path.extrapolated(self._evaluated(self.path.ahead))
            self.n_iter += 1
            return True
        extrapolate = (
            self.squarem.extrapolate(self.path.steps)
            if self.squarem is not None and self.path.may_extrapolate(self.stopping)
            else None
        )
        if self.squarem is None or extrapolate is None:
            return False
        self.squarem.adapt(self.path.extrapolated(self._evaluated(extrapolate)))
        self.n_iter += 1
        return True

    def _evaluated(self, far: Moments) -> tuple[Mixture, Moments, float] | None:
        """The mixture of extrapolated moments with its E-step and objective; None where there is
        none.
        """
        try:
            mixture = self.problem.m_step(far, self.path.mixture)
            moments = self.problem.e_step(mixture)
        except CollapseError:
            return None
        return mixture, moments, self.problem.objective(moments, mixture)

    def set_rule(self, rule: StoppingRule) -> None:
        self.stopping = rule

    def slowest_rate(self) -> float:
        path = self.path
        found = slowest_rate(
            partial(em_map, self.problem, path.mixture),
            path.steps[-2],
            path.moments,
            path.mixture,
            path.known,
        )
        path.unfinished, path.known, path.ahead = (
            True,
            found.direction,
            found.ahead if self.squarem is not None else None,
        )
        return found.rate
