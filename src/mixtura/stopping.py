"""When EM may stop: rules that read the trace of the objective."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isnan
from typing import Protocol, TypeAlias

from mixtura.results import StopReason

EPSILON = sys.float_info.epsilon

OffTheTrace: TypeAlias = tuple[str, float, float, int]
"""A rule in the words of the loop in C++: what it measures, the tolerance, the safety factor, the window."""


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
    def off_the_trace(self) -> OffTheTrace | None:
        """What ``satisfied`` and ``promising`` compute, for the loop in C++; None for a rule that only Python knows."""
        ...

    def promising(self, trace: list[float]) -> bool:
        """Whether plain steps should follow, without leaps between them, so that ``satisfied`` can be asked."""
        ...

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether EM looks as if it may stop, from a trace of plain steps; ``total`` is the sum of the weights."""
        ...

    def confirmed(self, gain: float, rates: list[float]) -> bool:
        """Whether it may indeed, given the slowest direction's rate at each look; asked only of a rule that certifies."""
        ...


REMAINING = 0.01
"""Log-likelihood that may be left to gain (total; for rows that weigh less than one, in proportion)."""

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
       direction has hardly begun. So the rate lambda of the slowest direction is measured (:func:`mixtura.rate.slowest_rate`). With
       ``a_i`` the gain left in direction i, one step gains ``g = sum a_i (1 - lambda_i^2)``, hence
       ``sum a_i <= g / (1 - lambda^2)``: a bound, not an extrapolation. A rate of one or more is a saddle, and a rate
       that still moves between two looks is a curved plateau: both go on.
    """

    tolerance: float = REMAINING
    safety: float = 3.0
    window: int = 3
    reason: StopReason = StopReason.CONVERGED
    certifies: bool = True

    @property
    def off_the_trace(self) -> OffTheTrace | None:
        """The remaining gain."""
        return "remaining_gain", self.tolerance, self.safety, self.window

    def without_certificate(self) -> RemainingGain:
        """The first test alone, for runs that are only compared: what it ends is not called converged."""
        return replace(self, reason=StopReason.OUTRUN, certifies=False)

    def promising(self, trace: list[float]) -> bool:
        """Whether the estimate from the last two steps is below the tolerance."""
        return remaining_gain(trace, 1) * self.safety < self.tolerance

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the estimate from the trace, with its safety factor, is below the tolerance."""
        return remaining_gain(trace, self.window) * self.safety < self.tolerance

    def confirmed(self, gain: float, rates: list[float]) -> bool:
        """Whether the bound, with the safety factor, is below the tolerance, and the rate stood still between two looks."""
        if not self.certifies:
            return True
        if len(rates) < 2 or rates[-1] >= 1.0:
            return False
        steady = abs(rates[-1] - rates[-2]) < STEADY * (1.0 - rates[-1])
        return steady and self.safety * gain / (1.0 - rates[-1] ** 2) < self.tolerance


class _TraceAlone:
    """A rule that looks no further than the trace."""

    reason = StopReason.SMALL_CHANGE
    certifies = False

    @property
    def off_the_trace(self) -> OffTheTrace | None:
        """Known to Python alone, unless a rule says otherwise."""
        return None

    def promising(self, trace: list[float]) -> bool:
        """Two plain steps are all it needs."""
        return False

    def confirmed(self, gain: float, rates: list[float]) -> bool:
        """No rate was measured, and none is needed."""
        return True


@dataclass(frozen=True)
class SmallChange(_TraceAlone):
    """Stop when the objective per row changes by less than ``tol`` in one iteration: scikit-learn's rule."""

    tol: float

    @property
    def off_the_trace(self) -> OffTheTrace | None:
        """The change per row."""
        return "change_per_row", self.tol, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last change per row is below ``tol``, or no change can be told from rounding."""
        if len(trace) < 2:
            return False
        return abs(trace[-1] - trace[-2]) / total < self.tol or remaining_gain(trace, 1) == 0.0


@dataclass(frozen=True)
class SmallGain(_TraceAlone):
    """Stop when one iteration gains less than ``gain`` (total log-likelihood units): good enough to rank short runs."""

    gain: float

    @property
    def off_the_trace(self) -> OffTheTrace | None:
        """The gain."""
        return "gain", self.gain, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last gain is below ``gain``."""
        return len(trace) > 1 and trace[-1] - trace[-2] < self.gain


@dataclass(frozen=True)
class RelativeGain(_TraceAlone):
    """Stop when one iteration gains less than ``part`` of the objective: where products of few digits see no more."""

    part: float

    @property
    def off_the_trace(self) -> OffTheTrace | None:
        """The last gain, beside the objective."""
        return "relative_gain", self.part, 1.0, 1

    def satisfied(self, trace: list[float], total: float) -> bool:
        """Whether the last gain is below ``part`` of the objective."""
        return len(trace) > 1 and trace[-1] - trace[-2] < self.part * abs(trace[-1])


def remaining_gain(trace: list[float], window: int = 5) -> float:
    """Estimated gain still to come from a trace; 0 at the limit of rounding, NaN while it cannot be told."""
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


def rounding(objective: float) -> float:
    """What two sums of the same objective may differ by."""
    return 16 * EPSILON * max(1.0, abs(objective))
