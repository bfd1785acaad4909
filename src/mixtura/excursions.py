"""Excursions: a move away from an optimum, the first steps of EM after it, and the way on as long as it may lead higher.

After a few steps a run must promise to end above a level, and again after each of some rounds, or it is left where it is. In C++ an
excursion is one call; where the data or the family have no form there, the same is made of runs of EM in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite, nan

from mixtura.arrivals import Departure, flat_arrivals, moments_after
from mixtura.em import Start, ended
from mixtura.native_walk import as_walk, unbegun
from mixtura.results import Degeneracy, FailedStart, FitResult, StopReason
from mixtura.runs import HOPE, HOPELESS, Leg, Runs, in_parallel
from mixtura.view import View

FIRST_STEPS = 10
"""Iterations after a move before it is held against the best optimum."""

FAR_GAINS = 50.0
"""A run so short that its trace tells no rate may gain so many times its last gain."""

ROUND = 10
"""Iterations between two such looks."""

NOWHERE = "the move leads nowhere"


@dataclass(frozen=True, eq=False)
class Excursion:
    """How a move ended, and the fit there, which is made where somebody asks for it.

    Attributes
    ----------
    name : str
        Of the move.
    level : float
        The objective at its end; NaN where the move leads nowhere.
    n_iter : int
    stop : StopReason
    followed : bool
        Whether it was worth while after its first steps.
    fit : callable
    degenerate : tuple
        Not empty where a component was surely degenerate on the way; nobody has judged the rest.
    """

    name: str
    level: float
    n_iter: int
    stop: StopReason
    followed: bool
    fit: Callable[[], FitResult]
    degenerate: tuple[Degeneracy, ...] = ()


def excursions(runs: Runs, view: View, moves: Sequence[tuple[str, Departure | None]], level: float) -> list[Excursion]:
    """Moves away from one fit, each as far as it may lead above a level."""
    return in_parallel(partial(_excursion, runs, view, level), moves, runs.plan.workers, runs.stopped)


def _excursion(runs: Runs, view: View, level: float, move: tuple[str, Departure | None]) -> Excursion:
    name, departure = move
    if departure is None:
        return _nowhere(name)
    native = _in_one_call(runs, view, level, departure)
    if native is not None:
        return native
    start = moments_after(view, departure)
    return _nowhere(name) if start is None else excursion_from(runs, name, start, level)


def _nowhere(name: str, stop: StopReason = StopReason.COLLAPSED) -> Excursion:
    def no_fit() -> FitResult:
        raise ValueError(NOWHERE)

    return Excursion(name, nan, 0, stop, False, no_fit)


# ---- run by run ----------------------------------------------------------------------------------------------------------


def excursion_from(runs: Runs, name: str, start: Start, level: float) -> Excursion:
    """An excursion from a start, of runs of EM."""
    (fit,) = runs.of([Leg(0, start)], runs.short, FIRST_STEPS, judge=False, told=False)
    followed = isinstance(fit, FitResult) and _promises(runs, fit, level)
    goes_on = followed
    while goes_on and isinstance(fit, FitResult):
        (further,) = runs.of([Leg(0, fit, fit.n_iter)], runs.compared, ROUND, judge=False, told=False)
        fit = further if isinstance(further, FitResult) else fit
        goes_on = runs.goes_on(further, level)
    if isinstance(fit, FailedStart):
        interrupted = fit.reason == StopReason.INTERRUPTED.value
        return _nowhere(name, StopReason.INTERRUPTED if interrupted else StopReason.COLLAPSED)
    return Excursion(name, fit.trace[-1], fit.n_iter, fit.stop, followed, lambda: fit)


def _promises(runs: Runs, fit: FitResult, level: float) -> bool:
    """Whether a run after its first steps may end above a level."""
    if fit.stop is StopReason.COLLAPSED:
        return False
    at_its_end = fit.stop in (StopReason.CONVERGED, StopReason.FELL)  # where a gain would be below rounding
    left = 0.0 if at_its_end or len(fit.trace) < 2 else fit.remaining_gain
    hope = HOPE * left if isfinite(left) else FAR_GAINS * (fit.trace[-1] - fit.trace[-2])
    return fit.trace[-1] + hope >= level - HOPELESS * runs.survey.row_weight


# ---- in one call -------------------------------------------------------------------------------------------------------


def _in_one_call(runs: Runs, view: View, level: float, departure: Departure) -> Excursion | None:
    """None where there is no walk in C++."""
    survey, plan, K = runs.survey, runs.plan, view.n_components
    first, rule = runs.short, runs.compared
    walk = unbegun(survey, K, runs.family, runs.regularisation, first, False)
    criterion = rule.off_the_trace
    if walk is None or criterion is None:
        return None
    if not walk.begin_with_departure(view.native, departure.gone, *flat_arrivals(departure, view.rows.shape[1])):
        return _nowhere(departure.name)
    behind = HOPELESS * survey.row_weight
    lengths = (FIRST_STEPS, ROUND, plan.max_iter)
    try:
        event, followed = walk.pursue(
            level, HOPE, FAR_GAINS, behind, *lengths, view.fewest, view.narrowest, *criterion, plan.accelerated, runs.stopped.is_set
        )
    except KeyboardInterrupt:
        runs.stopped.set()
        return _nowhere(departure.name, StopReason.INTERRUPTED)
    own = as_walk(walk, runs.stopped.is_set)
    stop = _STOPS.get(event) or (rule if followed else first).reason
    degenerate = (Degeneracy(0, "a component of it is"),) if event == "degenerate" else ()
    fit = partial(ended, own, survey, runs.family, runs.regularisation, stop)
    return Excursion(departure.name, own.objective, own.n_iter, stop, followed, fit, degenerate)


_STOPS = {
    "spent": StopReason.MAX_ITER,
    "collapsed": StopReason.COLLAPSED,
    "degenerate": StopReason.MAX_ITER,
    "fell": StopReason.OUTRUN,
}
"""Whether a fall was rounding is for those to say who follow the run to its end, if it is the best."""
