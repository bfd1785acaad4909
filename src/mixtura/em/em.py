"""EM from one start: iterations, checks of convergence, and the result.

The iterations are in :mod:`mixtura.em.loop` and, in C++, in :mod:`mixtura.em.native_loop`; the
decisions between them are here, for both loops. EM ends on an E-step, so the reported
log-likelihood belongs to the reported mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.effective_parameters import soundness_of
from mixtura.em.known_classes import in_order_of_classes
from mixtura.em.loop import Loop, LoopEvent, Start, Stopped, python_loop
from mixtura.em.native_loop import native_loop
from mixtura.em.stopping import (
    Check,
    RelativeGain,
    RemainingGain,
    StoppingRule,
    remaining_gain,
    rounding,
)
from mixtura.model.copies import copies_of
from mixtura.model.fit_result import FitResult, Iteration, StopReason
from mixtura.model.regularisation import Regularisation
from mixtura.model.soundness import EMPTY_BELOW

__all__ = ["Callback", "Start", "em"]

Callback: TypeAlias = Callable[[Iteration], None]


DEFAULT_RULE = RemainingGain()

LARGE_FALL = 1e-8
"""Part of the objective by which it may fall by the rounding of ill-conditioned data."""

FLOAT32_GAIN = 1e-9
"""Gain of an iteration, as a part of the objective, below which float32 products are too coarse and
float64 takes over (docs/decisions/0012). A fall of the objective has the same effect.
"""

FEWEST_BETWEEN_CHECKS, PATIENCE = 3, 2
"""Iterations between two checks, at least. After so many times the iterations of the last check the
next one is made even where it could not confirm the rule by the known rate.
"""


def em(
    problem: Problem,
    start: Start,
    *,
    stopping: StoppingRule = DEFAULT_RULE,
    max_iter: int = 1000,
    callback: Callback | None = None,
    start_number: int = 0,
    judge: bool = True,
    accelerated: bool = False,
    stopped: Stopped | None = None,
) -> FitResult:
    """EM from one start: one E-step and one M-step per iteration.

    With many rows it is in mixed precision: products are in float32 while the gains are well above
    their rounding. The last iterations, the certificate and all reported numbers are in float64.

    Parameters
    ----------
    problem : Problem
    start : Moments, Mixture or FitResult
    stopping : StoppingRule, default RemainingGain()
    max_iter : int
        0 returns the start (after the M-step, if it starts with one).
    callback : callable, optional
        Called with an :class:`~mixtura.model.fit_result.Iteration` after each; raising
        KeyboardInterrupt there, or Ctrl-C anywhere, ends the fit with the best model so far.
    start_number : int
        Passed on to the callback.
    judge : bool
        Whether to assess the components (:mod:`mixtura.model.soundness`); a short run that goes on
        later does not need it.
    accelerated : bool
        Whether every third iteration may be an extrapolation (:mod:`mixtura.em.squarem`); False is
        plain EM.
    stopped : callable, optional
        Called repeatedly; once it returns True, the fit ends as with Ctrl-C.

    Returns
    -------
    FitResult

    Raises
    ------
    CollapseError
        Only when the start itself is singular and the regularisation has no floor; later collapses
        are a StopReason.

    References
    ----------
    Dempster, Laird & Rubin 1977; Boehning, Dietz, Schaub, Schlattmann & Lindsay 1994 for the
    estimate of the remaining gain.
    """
    run = partial(
        _em,
        start_number=start_number,
        accelerated=accelerated,
        stopped=stopped or _never,
    )
    reduced = (
        problem.dataset.reduced
        if max_iter > 0
        and stopping.certifies
        and problem.tails is None
        and not _is_past_float32(start)
        else None
    )
    if reduced is None:
        return run(
            problem, start, stopping=stopping, max_iter=max_iter, callback=callback, judge=judge
        )
    single = run(
        problem.with_data(reduced),
        start,
        stopping=RelativeGain(FLOAT32_GAIN),
        max_iter=max_iter,
        callback=callback,
        judge=False,
    )
    left = 0 if single.stop is StopReason.INTERRUPTED else max_iter - single.n_iter
    double = run(
        problem,
        single.mixture,
        stopping=stopping,
        max_iter=left,
        callback=_counting_from(single.n_iter, callback),
        judge=judge,
    )
    return _joined(single, double)


# ---- mixed precision -----------------------------------------------------------------------------


def _is_past_float32(start: Start) -> bool:
    """Whether the gains of a fit that goes on are too small for float32 products."""
    return (
        isinstance(start, FitResult)
        and len(start.trace) > 1
        and start.trace[-1] - start.trace[-2] < FLOAT32_GAIN * abs(start.trace[-1])
    )


def _counting_from(before: int, callback: Callback | None) -> Callback | None:
    """A callback whose iterations are numbered after those in float32."""
    return (
        None
        if callback is None
        else lambda iteration: callback(replace(iteration, number=before + iteration.number))
    )


def _joined(single: FitResult, double: FitResult) -> FitResult:
    """One fit from the parts in float32 and float64.

    Objectives in float32 are shifted by the rounding of the last one.
    """
    shift = double.trace[0] - single.trace[-1]
    trace = (*(value + shift for value in single.trace[:-1]), *double.trace)
    stop = single.stop if single.stop is StopReason.INTERRUPTED else double.stop
    return replace(double, trace=trace, n_iter=single.n_iter + double.n_iter, stop=stop)


# ---- one precision -------------------------------------------------------------------------------


def _em(
    problem: Problem,
    start: Start,
    *,
    stopping: StoppingRule,
    max_iter: int,
    callback: Callback | None,
    start_number: int,
    judge: bool,
    accelerated: bool,
    stopped: Stopped,
) -> FitResult:
    """:func:`em` with one backend from the start to the end."""
    start = in_order_of_classes(problem, start)
    first = stopping.until_next_check([]) if stopping.certifies else stopping
    settings = (problem, start, first, accelerated, stopped)
    loop = native_loop(*settings) or python_loop(*settings)
    checks = _Checks(loop, stopping, problem.regularisation)
    try:
        stop = _iterate(loop, checks, max_iter, callback, start_number)
    except KeyboardInterrupt:
        stop = StopReason.INTERRUPTED
    found = _result(loop, problem, stop, judge)
    if stop.converged or stop is StopReason.SADDLE:
        found = replace(found, stop=_degenerate(found, problem) or stop)
    return replace(found, rate=checks.done[-1].rate) if checks.last == loop.n_iter else found


def _never() -> bool:
    return False


def _iterate(
    loop: Loop, checks: _Checks, max_iter: int, callback: Callback | None, start_number: int
) -> StopReason:
    """Iterations until there is a reason to stop."""
    while loop.n_iter < max_iter:
        before = loop.n_iter
        event = loop.iterate(1 if callback is not None else max_iter - before, checks.next)
        if callback is not None and loop.n_iter > before:
            callback(
                Iteration(start_number, loop.n_iter, loop.objective, loop.last_gain, loop.mixture)
            )
        if event is LoopEvent.COLLAPSED:
            return StopReason.COLLAPSED
        if event is LoopEvent.FELL:
            # an exact M-step cannot lower it: this is rounding, or the data are ill-conditioned
            large = loop.fall > LARGE_FALL * max(1.0, abs(loop.objective))
            return StopReason.FELL if large else StopReason.CONVERGED
        if event is LoopEvent.CHECK:
            stop = checks.stop_reason()
            if stop is not None:
                return stop
    return StopReason.MAX_ITER


@dataclass(eq=False)
class _Checks:
    """The checks of convergence of one loop.

    Attributes
    ----------
    done : list of Check
    next, last : int
        Iterations of the earliest next check and of the last one; -1 for none.
    """

    loop: Loop
    stopping: StoppingRule
    regularisation: Regularisation
    done: list[Check] = field(default_factory=list)
    next: int = 0
    last: int = -1

    def stop_reason(self) -> StopReason | None:
        """The reason to stop after a test of the trace that holds; None where EM goes on."""
        noise = rounding(self.loop.objective)
        gain = max(self.loop.last_gain, noise)
        if self.stopping.certifies and not self._check(gain, noise):
            return None
        if self.stopping.confirmed(self.done):
            return self.stopping.reason
        if self.loop.last_gain <= noise:
            return _at_a_fixed_point(self.loop.mixture, self.done[-1].rate, self.regularisation)
        return None

    def _check(self, gain: float, noise: float) -> bool:
        """Make a check; False where it could not confirm the rule by the known rate."""
        loop = self.loop
        if (
            gain > noise
            and loop.n_iter < PATIENCE * self.last
            and not self.stopping.may_confirm(self.done, gain)
        ):
            self.next = loop.n_iter + 1
            return False
        self.done.append(Check(loop.objective, gain, loop.slowest_rate()))
        self.last = loop.n_iter
        loop.set_rule(self.stopping.until_next_check(self.done))
        self.next = loop.n_iter + max(FEWEST_BETWEEN_CHECKS, loop.n_iter // 8)
        return True


# ---- the end -------------------------------------------------------------------------------------


def _at_a_fixed_point(mixture: Mixture, rate: float, regularisation: Regularisation) -> StopReason:
    """Whether a fixed point of EM is a saddle, where a deviation grows, or an optimum.

    At the floor EM has no derivative, so the rate does not tell.
    """
    on_floor = regularisation.floor_reached(mixture.covariance).any()
    return StopReason.SADDLE if rate >= 1.0 and not on_floor else StopReason.CONVERGED


def _degenerate(fit: FitResult, problem: Problem) -> StopReason | None:
    """Fixed points of EM with fewer than K components: copies and empty components."""
    assert fit.moments is not None
    if problem.regularisation.averages:
        return None
    few = fit.moments.counts < EMPTY_BELOW * problem.dataset.row_weight
    if (fixed := problem.fixed_of(fit.n_components)) is not None:
        few &= ~fixed.located(problem.family.shares_all)
    if few.any():
        return StopReason.EMPTY
    return StopReason.COPIES if copies_of(fit.mixture) else None


def _result(loop: Loop, problem: Problem, stop: StopReason, judge: bool) -> FitResult:
    """The result of the last mixture."""
    mixture, moments = loop.mixture, loop.moments
    log_likelihood, entropy, certainty, total = loop.sums
    if problem.regularisation.is_tilted:  # the sums of the loop are under tilted weights
        plain = problem.dataset.backend.moments(problem.dataset.source, mixture, Scatter.TRACE)
        log_likelihood, entropy, certainty, total = (
            plain.log_likelihood,
            plain.entropy,
            plain.certainty,
            plain.total,
        )
    return FitResult(
        family=problem.family.name,
        mixture=mixture,
        log_likelihood=log_likelihood,
        entropy=entropy,
        certainty=certainty,
        total=total,
        n_parameters=problem.n_parameters(mixture.n_components),
        trace=tuple(loop.trace),
        n_iter=loop.n_iter,
        stop=stop,
        remaining_gain=remaining_gain(loop.plain),
        moments=moments,
        soundness=soundness_of(problem, mixture, moments) if judge else None,
    )
