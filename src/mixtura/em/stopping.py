"""When EM may stop: rules that read the trace of the objective."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isnan
from typing import Protocol, Self, TypeAlias

from mixtura.model.fit_result import StopReason

EPSILON = sys.float_info.epsilon

TraceTest: TypeAlias = tuple[str, float, float, int]
"""A rule in the words of the loop in C++: what it measures, the tolerance, the safety factor, the
window.
"""


@dataclass(frozen=True)
class Check:
    """What was seen where the trace looked as if EM may stop: the objective, the last step's gain,
    the slowest direction's rate.
    """

    objective: float
    gain: float
    rate: float

    @property
    def bound(self) -> float:
        """What is left to gain at most, where the objective is a quadratic; infinite where a
        direction grows.
        """
        return self.gain / (1.0 - self.rate**2) if self.rate < 1.0 else float("inf")

    def confirms(self, earlier: Check) -> bool:
        """Whether the rate is that of an earlier look, and what was gained since and is left now is
        no more than was left then.
        """
        steady = abs(self.rate - earlier.rate) < STEADY * (1.0 - self.rate)
        return steady and self.objective - earlier.objective + self.bound <= SLACK * earlier.bound


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

    @property
    def trace_test(self) -> TraceTest | None:
        """What ``satisfied`` and ``nearly_satisfied`` compute, for the loop in C++; None for a rule
        that only Python knows.
        """
        ...

    def nearly_satisfied(self, trace: list[float]) -> bool:
        """Whether plain steps should follow, without leaps between them, so that ``satisfied`` can
        be asked.
        """
        ...

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether EM looks as if it may stop, from a trace of plain steps; ``total`` is the sum of
        the weights.
        """
        ...

    def confirmed(self, checks: list[Check]) -> bool:
        """Whether it may indeed, given all looks at the slowest direction; asked only of a rule
        that certifies.
        """
        ...

    def further(self, checks: list[Check]) -> StoppingRule:
        """The rule that says when to look again; asked only of a rule that certifies."""
        ...

    def worth_a_check(self, checks: list[Check], gain: float) -> bool:
        """Whether a look after a step of this gain may confirm it, if the rate is as it was; asked
        of a rule that certifies.
        """
        ...


REMAINING = 0.01
"""Log-likelihood that may be left to gain (total; for rows that weigh less than one, in
proportion).
"""

STEADY = 0.1
"""The distance of the rate from one may change by this part between two looks."""

SLACK = 1.05
"""The rate is known to a part of its distance from one, and so is a promise; this much more may be
gained than was promised.
"""

EARLY = 10.0
"""The first look is taken where so many times the tolerance may be left."""

FURTHER, DEEP = 10.0, 30.0
"""A promise must be kept until it has fallen to a tenth, and to a tenth of what may be left, or to
a thirtieth of that.
"""


@dataclass(frozen=True)
class RemainingGain:
    """Stop when the remaining gain, times a safety factor, is below ``tolerance`` (total
    log-likelihood units).

    Two tests, the second only when the first holds, and that twice:

    1. *Trace.* The gains of EM fall geometrically near an optimum, so what remains after gain g is
       about ``g rho / (1 - rho)`` with the ratio rho of two gains (Aitken; Boehning et al. 1994).
       The largest of the last ``window`` ratios is used, and gains that do not fall give no
       estimate.
    2. *Rate.* On a plateau the fast directions die out first and the trace looks settled while a
       slow or even growing direction has hardly begun. So the rate lambda of the slowest direction
       is measured (:func:`mixtura.em.convergence_rate.slowest_rate`). With ``a_i`` the gain left in
       direction i, one step gains ``g = sum a_i (1 - lambda_i^2)``, hence
       ``sum a_i <= g / (1 - lambda^2)``: a bound, not an extrapolation. A rate of one or more is a
       saddle, and EM goes on.

    The bound is a promise that holds where the objective is a quadratic. A curved plateau looks
    like one, and a slow direction may hide behind a faster one. So a second look follows further
    on, when the bound has fallen to a tenth: if the rate has moved, or what was gained and what is
    left now are more than was promised, EM goes on from there.
    """

    tolerance: float = REMAINING
    safety: float = 3.0
    window: int = 3
    reason: StopReason = StopReason.CONVERGED
    certifies: bool = True

    @property
    def trace_test(self) -> TraceTest | None:
        """The remaining gain."""
        return "remaining_gain", self.tolerance, self.safety, self.window

    def without_certificate(self) -> RemainingGain:
        """The first test alone, for runs that are only compared: what it ends is not called
        converged.
        """
        return replace(self, reason=StopReason.STOPPED_EARLY, certifies=False)

    def nearly_satisfied(self, trace: list[float]) -> bool:
        """Whether the estimate from the last two steps is below the tolerance."""
        return remaining_gain(trace, 1) * self.safety < self.tolerance

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the estimate from the trace, with its safety factor, is below the tolerance."""
        return remaining_gain(trace, self.window) * self.safety < self.tolerance

    def confirmed(self, checks: list[Check]) -> bool:
        """Whether a promise was kept until it had fallen far, and below the tolerance."""
        if not self.certifies:
            return True
        first, now = self._bounded(checks), checks[-1]
        return first is not None and first is not now and now.bound <= self._aim(first)

    def further(self, checks: list[Check]) -> RemainingGain:
        """With the tolerance for the first look, or that to which its promise must be kept."""
        first = self._bounded(checks)
        return replace(
            self,
            tolerance=EARLY * self.tolerance if first is None else self.safety * self._aim(first),
        )

    def worth_a_check(self, checks: list[Check], gain: float) -> bool:
        """Whether the promise would be small enough, with the rate of the last look."""
        first = self._bounded(checks)
        return first is None or replace(checks[-1], gain=gain).bound <= self._aim(first)

    def _aim(self, first: Check) -> float:
        """What a promise must have fallen to."""
        least = self.tolerance / self.safety
        return max(min(first.bound, least) / FURTHER, least / DEEP)

    def _bounded(self, checks: list[Check]) -> Check | None:
        """The look whose promise was kept at all looks since; None where a direction grows."""
        first: Check | None = None
        for check in checks:
            if first is None or not check.confirms(first):
                first = check if check.rate < 1.0 else None
        return first


class _TraceAlone:
    """A rule that looks no further than the trace."""

    reason = StopReason.SMALL_CHANGE
    certifies = False

    @property
    def trace_test(self) -> TraceTest | None:
        """Known to Python alone, unless a rule says otherwise."""
        return None

    def nearly_satisfied(self, trace: list[float]) -> bool:
        """Two plain steps are all it needs."""
        return False

    def further(self, checks: list[Check]) -> Self:
        """The same."""
        return self

    def confirmed(self, checks: list[Check]) -> bool:
        """No rate was measured, and none is needed."""
        return True

    def worth_a_check(self, checks: list[Check], gain: float) -> bool:
        """No look decides."""
        return True


@dataclass(frozen=True)
class SmallChange(_TraceAlone):
    """Stop when the objective per row changes by less than ``tol`` in one iteration: scikit-learn's
    rule.
    """

    tol: float

    @property
    def trace_test(self) -> TraceTest | None:
        """The change per row."""
        return "change_per_row", self.tol, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last change per row is below ``tol``, or no change can be told from
        rounding.
        """
        if len(trace) < 2:
            return False
        return abs(trace[-1] - trace[-2]) / total < self.tol or remaining_gain(trace, 1) == 0.0


@dataclass(frozen=True)
class SmallGain(_TraceAlone):
    """Stop when one iteration gains less than ``gain`` (total log-likelihood units): good enough to
    rank short runs.
    """

    gain: float

    @property
    def trace_test(self) -> TraceTest | None:
        """The gain."""
        return "gain", self.gain, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last gain is below ``gain``."""
        return len(trace) > 1 and trace[-1] - trace[-2] < self.gain


@dataclass(frozen=True)
class RelativeGain(_TraceAlone):
    """Stop when one iteration gains less than ``part`` of the objective: where products of few
    digits see no more.
    """

    part: float

    @property
    def trace_test(self) -> TraceTest | None:
        """The last gain, beside the objective."""
        return "relative_gain", self.part, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last gain is below ``part`` of the objective."""
        return len(trace) > 1 and trace[-1] - trace[-2] < self.part * abs(trace[-1])


def remaining_gain(trace: Sequence[float], window: int = 5) -> float:
    """Estimated gain still to come from a trace; 0 at the limit of rounding, NaN while it cannot be
    told.
    """
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
"""Last gains that are left to a run whose trace is too short for a rate."""


def predicted_gain(trace: Sequence[float]) -> float:
    """The remaining gain by a trace that may be short; infinite before the first iteration."""
    if len(trace) < 2:
        return float("inf")
    left = remaining_gain(trace)
    return LATER_GAINS * (trace[-1] - trace[-2]) if isnan(left) else left


def rounding(objective: float) -> float:
    """What two sums of the same objective may differ by."""
    return 16 * EPSILON * max(1.0, abs(objective))
