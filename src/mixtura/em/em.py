"""EM from one start: when the walk ends, and what is known about where it ended.

The steps are in :mod:`mixtura.em.loop` and, in C++, in :mod:`mixtura.em.native_loop`; what is
decided between them is here, once for both. The walk ends on an E-step, so the reported
log-likelihood belongs to the reported mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.effective_parameters import soundness_of
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
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Scatter
from mixtura.model.regularisation import Regularisation
from mixtura.model.soundness import EMPTY_BELOW

__all__ = ["Callback", "Start", "em"]

Callback: TypeAlias = Callable[[Iteration], None]


DEFAULT_RULE = RemainingGain()

LARGE_FALL = 1e-8
"""In parts of the objective; the sums of ill-conditioned data lose digits to this."""

RESOLVED = 1e-9
"""In parts of the objective: what float32 products err by differs by less from one iteration to the
next. Where it does not, the objective falls some time soon, and that ends the hurry, too."""

FEWEST_BETWEEN_CHECKS = 3
"""Iterations before the rate of the slowest direction is measured again."""

PATIENCE = 2
"""By the known rate a look may be too early; but it is taken after so many times the iterations of
the last one.
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

    Rows in float32 are hurried through in products of that precision while the gains can be told
    from their rounding; the rest of the way, its certificate and all that is reported are in
    float64.

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
        What the callback is told.
    judge : bool
        Whether components are judged (:mod:`mixtura.model.soundness`); a short run that goes on
        later need not be.
    accelerated : bool
        Whether every third iteration may be a leap (:mod:`mixtura.em.squarem`); False is EM as in
        the textbooks.
    stopped : callable, optional
        Asked again and again; once it says True, the fit ends as with Ctrl-C.

    Returns
    -------
    FitResult

    Raises
    ------
    CollapseError
        Only when the start itself is singular and nothing keeps it from zero; later collapses are a
        StopReason.

    References
    ----------
    Dempster, Laird & Rubin 1977; Boehning, Dietz, Schaub, Schlattmann & Lindsay 1994 for the
    estimate of what remains.
    """
    run = partial(
        _em,
        start_number=start_number,
        accelerated=accelerated,
        stopped=stopped or _never,
    )
    reduced = (
        problem.dataset.reduced
        if max_iter > 0 and stopping.certifies and not _near_its_end(start)
        else None
    )
    if reduced is None:
        return run(
            problem, start, stopping=stopping, max_iter=max_iter, callback=callback, judge=judge
        )
    way = run(
        problem.with_data(reduced),
        start,
        stopping=RelativeGain(RESOLVED),
        max_iter=max_iter,
        callback=callback,
        judge=False,
    )
    left = 0 if way.stop is StopReason.INTERRUPTED else max_iter - way.n_iter
    end = run(
        problem,
        way.mixture,
        stopping=stopping,
        max_iter=left,
        callback=_counting_on(callback, way.n_iter),
        judge=judge,
    )
    return _joined(way, end)


def _near_its_end(start: Start) -> bool:
    """Whether a fit that goes on has come so far that float32 would not see what it gains."""
    return (
        isinstance(start, FitResult)
        and len(start.trace) > 1
        and start.trace[-1] - start.trace[-2] < RESOLVED * abs(start.trace[-1])
    )


def _counting_on(callback: Callback | None, before: int) -> Callback | None:
    """A callback that is told iterations after those of the way."""
    return (
        None
        if callback is None
        else lambda iteration: callback(replace(iteration, number=before + iteration.number))
    )


def _joined(way: FitResult, end: FitResult) -> FitResult:
    """One fit of two parts; the objectives of the first are moved by what float32 made of its last
    one.
    """
    off = end.trace[0] - way.trace[-1]
    trace = (*(value + off for value in way.trace[:-1]), *end.trace)
    stop = way.stop if way.stop is StopReason.INTERRUPTED else end.stop
    return replace(end, trace=trace, n_iter=way.n_iter + end.n_iter, stop=stop)


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
    first = stopping.further([]) if stopping.certifies else stopping
    settings = (problem, start, first, accelerated, stopped)
    loop = native_loop(*settings) or python_loop(*settings)
    stop, next_check, checks, last_check = StopReason.MAX_ITER, 0, list[Check](), -1
    try:
        while loop.n_iter < max_iter:
            before = loop.n_iter
            event = loop.iterate(1 if callback is not None else max_iter - before, next_check)
            if callback is not None and loop.n_iter > before:
                callback(
                    Iteration(
                        start_number, loop.n_iter, loop.objective, loop.last_gain, loop.mixture
                    )
                )
            if event is LoopEvent.COLLAPSED:
                stop = StopReason.COLLAPSED
                break
            if (
                event is LoopEvent.FELL
                # an exact M-step cannot lower it: what fell is rounding, or the data are badly
                # conditioned
            ):
                large = loop.fall > LARGE_FALL * max(1.0, abs(loop.objective))
                stop = StopReason.FELL if large else StopReason.CONVERGED
                break
            if event is not LoopEvent.CHECK:
                continue
            noise = rounding(loop.objective)
            gain = max(loop.last_gain, noise)
            if stopping.certifies:
                if (
                    gain > noise
                    and loop.n_iter < PATIENCE * last_check
                    and not stopping.worth_a_check(checks, gain)
                ):
                    next_check = loop.n_iter + 1
                    continue
                checks.append(Check(loop.objective, gain, loop.slowest_rate()))
                last_check = loop.n_iter
                loop.set_rule(stopping.further(checks))
                next_check = loop.n_iter + max(FEWEST_BETWEEN_CHECKS, loop.n_iter // 8)
            if stopping.confirmed(checks):
                stop = stopping.reason
                break
            if loop.last_gain <= noise:
                stop = _standstill(loop.mixture, checks[-1].rate, problem.regularisation)
                break
    except KeyboardInterrupt:
        stop = StopReason.INTERRUPTED
    found = _result(loop, problem, stop, judge)
    if stop.converged or stop is StopReason.SADDLE:
        found = replace(found, stop=_no_answer(found, problem.dataset) or stop)
    return replace(found, rate=checks[-1].rate) if last_check == loop.n_iter else found


def _never() -> bool:
    return False


def _standstill(mixture: Mixture, rate: float, regularisation: Regularisation) -> StopReason:
    """What it means that EM gains nothing: a saddle if some direction grows, else the end of the
    road.

    A component on the floor has no derivative, so nothing is read from its rate.
    """
    on_floor = regularisation.floor_reached(mixture.covariance).any()
    return StopReason.SADDLE if rate >= 1.0 and not on_floor else StopReason.CONVERGED


def _no_answer(fit: FitResult, dataset: Dataset) -> StopReason | None:
    """Where EM cannot leave though it is no optimum of so many components: copies, and components
    without rows.
    """
    assert fit.moments is not None
    if (fit.moments.counts < EMPTY_BELOW * dataset.row_weight).any():
        return StopReason.EMPTY
    return StopReason.COPIES if copies_of(fit.mixture) else None


def _result(loop: Loop, problem: Problem, stop: StopReason, judge: bool) -> FitResult:
    """Everything that is known about the last mixture."""
    mixture, moments = loop.mixture, loop.moments
    log_likelihood, entropy, certainty, total = loop.sums
    if problem.regularisation.ridge > 0:
        seen = problem.dataset.backend.moments(problem.dataset.source, mixture, Scatter.TRACE)
        log_likelihood, entropy, certainty, total = (
            seen.log_likelihood,
            seen.entropy,
            seen.certainty,
            seen.total,
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
