"""Stopping rules of EM, which read the trace of the objective."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isnan
from typing import Protocol, Self, TypeAlias

from mixtura.model.certificate import SAFETY
from mixtura.model.fit_result import StopReason

ROUNDING = 16 * sys.float_info.epsilon
"""The part of an objective that two sums of it may differ by."""

TraceTest: TypeAlias = tuple[str, float, float, int]
"""A test of the trace for the loop in C++: its quantity, tolerance, safety factor and window."""


@dataclass(frozen=True)
class Check:
    """A check of convergence: the objective, the last gain, and the measured convergence rate."""

    objective: float
    gain: float
    rate: float

    @property
    def bound(self) -> float:
        """Upper bound of the remaining gain of a quadratic; infinite for a rate of one or more."""
        return self.gain / (1.0 - self.rate**2) if self.rate < 1.0 else float("inf")

    def confirms(self, earlier: Check) -> bool:
        """Whether the rate and the bound of an earlier check still hold.

        The gain since then and the bound now must not exceed the bound then.
        """
        steady = abs(self.rate - earlier.rate) < STEADY * (1.0 - self.rate)
        return steady and self.objective - earlier.objective + self.bound <= SLACK * earlier.bound


class StoppingRule(Protocol):
    """Decides from the trace of the objective, and may ask for the convergence rate."""

    @property
    def reason(self) -> StopReason:
        """The reason of a fit that it ends."""
        ...

    @property
    def certifies(self) -> bool:
        """Whether it needs checks with the convergence rate."""
        ...

    @property
    def trace_test(self) -> TraceTest | None:
        """``satisfied`` and ``nearly_satisfied`` for the loop in C++; None for Python alone."""
        ...

    def nearly_satisfied(self, trace: list[float]) -> bool:
        """Whether plain iterations, without extrapolations, should follow for ``satisfied``."""
        ...

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether a trace of plain iterations calls for a check, or ends EM without one.

        ``total`` is the sum of the weights.
        """
        ...

    def confirmed(self, checks: list[Check]) -> bool:
        """Whether EM has converged by all checks so far."""
        ...

    def until_next_check(self, checks: list[Check]) -> StoppingRule:
        """The rule whose test of the trace leads to the next check; of rules that certify."""
        ...

    def may_confirm(self, checks: list[Check], gain: float) -> bool:
        """Whether a check after this gain may confirm the rule if the rate does not change."""
        ...


REMAINING = 0.01
"""Tolerance of the remaining gain, in units of the total log-likelihood. Where the mean weight of a
row is below one, it is multiplied by that weight (docs/decisions/0002).
"""

STEADY, SLACK = 0.1, 1.05
"""Between two checks the distance of the rate from one may change by this part, and the gain may
exceed the bound by this factor, since the bound is as uncertain as the rate.
"""

EARLY, FURTHER, DEEP = 10.0, 10.0, 30.0
"""The first check is made where so many times the tolerance may remain. A later check confirms it
when its bound is below the smaller one of the first bound and the tolerance, divided by the second
factor, or below the tolerance divided by the third; the tolerance is without the safety factor
(docs/decisions/0013; benchmarks/stopping.py measures the remaining gain of such fits).
"""


@dataclass(frozen=True)
class RemainingGain:
    """Stop when the remaining gain, times a safety factor, is below ``tolerance``.

    The tolerance is in units of the total log-likelihood. There are two tests; the second is made
    when the first holds, and must hold twice:

    1. *Trace.* The gains of EM fall geometrically near an optimum, so the remaining gain after a
       gain g is about ``g rho / (1 - rho)`` with the ratio rho of two gains (Aitken; Boehning et
       al. 1994). The largest of the last ``window`` ratios is used; gains that do not fall give no
       estimate.
    2. *Rate.* On a plateau the fast directions converge first, and the trace is flat while a slow
       or even growing direction has hardly begun. So the rate lambda of the slowest direction is
       measured (:func:`mixtura.em.convergence_rate.slowest_rate`). With the remaining gain ``a_i``
       of direction i, one step gains ``g = sum a_i (1 - lambda_i^2)``, hence the upper bound
       ``sum a_i <= g / (1 - lambda^2)``. At a rate of one or more EM is near a saddle and goes on.

    The bound holds for a quadratic objective. A curved plateau resembles one, and a faster
    direction may hide a slow one. So a second check follows when the bound has fallen to a tenth:
    if the rate has changed, or the gain since the first check and the bound now exceed the first
    bound, EM goes on from there.
    """

    tolerance: float = REMAINING
    safety: float = SAFETY
    window: int = 3
    reason: StopReason = StopReason.CONVERGED
    certifies: bool = True

    @property
    def trace_test(self) -> TraceTest | None:
        """The remaining gain."""
        return "remaining_gain", self.tolerance, self.safety, self.window

    def without_certificate(self) -> RemainingGain:
        """The first test alone, for runs that are only compared and not called converged."""
        return replace(self, reason=StopReason.STOPPED_EARLY, certifies=False)

    def nearly_satisfied(self, trace: list[float]) -> bool:
        """Whether the estimate from the last two steps is below the tolerance."""
        return remaining_gain(trace, 1) * self.safety < self.tolerance

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the estimate from the trace, with its safety factor, is below the tolerance."""
        return remaining_gain(trace, self.window) * self.safety < self.tolerance

    def confirmed(self, checks: list[Check]) -> bool:
        """Whether a bound has held until the last check, where it is small enough."""
        if not self.certifies:
            return True
        first, last = self._first_confirmed(checks), checks[-1]
        return first is not None and first is not last and last.bound <= self._target(first)

    def until_next_check(self, checks: list[Check]) -> RemainingGain:
        """The rule with the tolerance of the first check, or of one that confirms it."""
        first = self._first_confirmed(checks)
        return replace(
            self,
            tolerance=EARLY * self.tolerance
            if first is None
            else self.safety * self._target(first),
        )

    def may_confirm(self, checks: list[Check], gain: float) -> bool:
        """Whether the bound would be small enough with the rate of the last check."""
        first = self._first_confirmed(checks)
        return first is None or replace(checks[-1], gain=gain).bound <= self._target(first)

    def _target(self, first: Check) -> float:
        """The bound of a check that confirms the first one."""
        allowed = self.tolerance / self.safety
        return max(min(first.bound, allowed) / FURTHER, allowed / DEEP)

    def _first_confirmed(self, checks: list[Check]) -> Check | None:
        """The check whose bound has held at all checks since; None at a rate of one or more."""
        first: Check | None = None
        for check in checks:
            if first is None or not check.confirms(first):
                first = check if check.rate < 1.0 else None
        return first


class _TraceRule:
    """A rule that reads the trace alone, without checks."""

    reason = StopReason.SMALL_CHANGE
    certifies = False

    @property
    def trace_test(self) -> TraceTest | None:
        """None: for Python alone."""
        return None

    def nearly_satisfied(self, trace: list[float]) -> bool:
        """Never: two plain iterations after an extrapolation are enough."""
        return False

    def until_next_check(self, checks: list[Check]) -> Self:
        """The rule itself."""
        return self

    def confirmed(self, checks: list[Check]) -> bool:
        """Always, without a rate."""
        return True

    def may_confirm(self, checks: list[Check], gain: float) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class SmallChange(_TraceRule):
    """scikit-learn's rule: stop when the objective per row changes by less than ``tol``."""

    tol: float

    @property
    def trace_test(self) -> TraceTest | None:
        """The change per row."""
        return "change_per_row", self.tol, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last change per row is below ``tol``, or is rounding."""
        if len(trace) < 2:
            return False
        return abs(trace[-1] - trace[-2]) / total < self.tol or remaining_gain(trace, 1) == 0.0


@dataclass(frozen=True)
class SmallGain(_TraceRule):
    """Stop when an iteration gains less than ``gain`` (total log-likelihood), for short runs."""

    gain: float

    @property
    def trace_test(self) -> TraceTest | None:
        """The gain."""
        return "gain", self.gain, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last gain is below ``gain``."""
        return len(trace) > 1 and trace[-1] - trace[-2] < self.gain


@dataclass(frozen=True)
class RelativeGain(_TraceRule):
    """Stop when an iteration gains less than ``part`` of the objective, for float32 products."""

    part: float

    @property
    def trace_test(self) -> TraceTest | None:
        """The last gain as a part of the objective."""
        return "relative_gain", self.part, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last gain is below ``part`` of the objective."""
        return len(trace) > 1 and trace[-1] - trace[-2] < self.part * abs(trace[-1])


def remaining_gain(trace: Sequence[float], window: int = 5) -> float:
    """Estimated remaining gain from a trace; 0 where the last gain is rounding, NaN if unknown."""
    if len(trace) < 2:
        return float("nan")
    last = trace[-(window + 2) :]
    gains = [after - before for before, after in pairwise(last)]
    if abs(gains[-1]) <= rounding(trace[-1]):
        return 0.0
    if len(gains) < window + 1 or min(gains) <= 0 or isnan(sum(gains)):
        return float("nan")
    ratio = max(later / earlier for earlier, later in pairwise(gains))
    return gains[-1] * ratio / (1.0 - ratio) if ratio < 1.0 else float("inf")


LATER_GAINS = 5.0
"""Remaining gain of a run whose trace is too short for an estimate, in units of its last gain."""


def predicted_gain(trace: Sequence[float]) -> float:
    """The remaining gain from a trace that may be short; infinite before the first iteration."""
    if len(trace) < 2:
        return float("inf")
    left = remaining_gain(trace)
    return LATER_GAINS * (trace[-1] - trace[-2]) if isnan(left) else left


def rounding(objective: float) -> float:
    """Rounding of the objective: the difference that two orders of its sum may have."""
    return ROUNDING * max(1.0, abs(objective))
