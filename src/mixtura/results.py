"""What a fit, a search and a selection give back: frozen values that name every outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mixtura.mixture import Mixture


class StopReason(Enum):
    """Why EM ended; the value is the sentence a person reads."""

    CONVERGED = "converged: what is estimated to be left to gain is below the tolerance"
    SMALL_CHANGE = "converged: the change of the log-likelihood per row fell below tol"
    MAX_ITER = "not converged: max_iter ended it; raise max_iter to go on from here with warm_start=True"
    COPIES = (
        "not converged: some components are exact copies of each other, and EM cannot separate them; "
        "start from different means or reduce n_components"
    )
    SADDLE = (
        "not converged: EM stands still on a saddle of the likelihood, where a small push would let it rise; "
        "use other starts (n_init, init_params) or a smaller n_components"
    )
    COLLAPSED = (
        "not converged: a component collapsed onto a few rows and no regularisation was allowed (reg_covar=0); "
        "the last valid step is kept"
    )
    INTERRUPTED = "interrupted: the best model so far is kept"

    @property
    def converged(self) -> bool:
        """Whether the fit may be called converged."""
        return self in (StopReason.CONVERGED, StopReason.SMALL_CHANGE)


@dataclass(frozen=True)
class Iteration:
    """One step of EM, as a callback sees it."""

    start: int
    number: int
    log_likelihood: float
    gain: float
    mixture: Mixture


@dataclass(frozen=True)
class Degeneracy:
    """One component that says nothing about the data, and why."""

    component: int
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """A mixture on some data: what the criteria read.

    Attributes
    ----------
    log_likelihood : float
        Weighted total over the rows.
    entropy, certainty : float
        ``-sum w r log r`` and ``sum w log max_k r``.
    total : float
        Sum of the weights: the n of every criterion.
    n_parameters : int
    """

    log_likelihood: float
    entropy: float
    certainty: float
    total: float
    n_parameters: int


@dataclass(frozen=True, eq=False)
class FitResult(Evaluation):
    """A fitted mixture with the E-step that belongs to it.

    Attributes
    ----------
    log_likelihood, entropy, certainty, total, n_parameters
        Of exactly this mixture on the data it was fitted to; see :class:`Evaluation`.
    family : str
        Three letters.
    mixture : Mixture
    trace : tuple of float
        Objective (log-likelihood, with what a ridge or shrinkage takes off it) before the first iteration and after
        each; it never falls.
    n_iter : int
    stop : StopReason
    remaining_gain : float
        Estimated log-likelihood left to gain; NaN when too few iterations tell.
    degenerate : tuple of Degeneracy
    """

    family: str
    mixture: Mixture
    trace: tuple[float, ...]
    n_iter: int
    stop: StopReason
    remaining_gain: float
    degenerate: tuple[Degeneracy, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether it ended by its stopping rule."""
        return self.stop.converged

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components


@dataclass(frozen=True)
class FailedStart:
    """A start that ended without a mixture, and why."""

    start: int
    reason: str


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The best of several starts, and what became of all of them."""

    best: FitResult
    fits: tuple[FitResult | FailedStart, ...]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One cell of a selection: a family and a K, fitted or not.

    ``criterion`` is NaN for a failed cell. ``reason`` says why a cell may not win, or that it did not converge.
    """

    family: str
    n_components: int
    fit: FitResult | None
    criterion: float
    reason: str

    @property
    def eligible(self) -> bool:
        """Whether it may win: fitted, not collapsed, and without a degenerate component."""
        return self.fit is not None and not self.fit.degenerate and self.fit.stop is not StopReason.COLLAPSED


@dataclass(frozen=True, eq=False)
class Selection:
    """All candidates of a selection, the winner and the runner-up."""

    criterion: str
    candidates: tuple[Candidate, ...]

    @property
    def ranking(self) -> tuple[Candidate, ...]:
        """Eligible candidates, best first."""
        return tuple(sorted((c for c in self.candidates if c.eligible), key=lambda c: c.criterion))

    @property
    def best(self) -> Candidate:
        """The winner: the lowest criterion among the fits without a degenerate component.

        Where there is no such fit, the simplest one: the fewest components, then the lowest criterion.
        """
        fitted = [candidate for candidate in self.candidates if candidate.fit is not None]
        return next(iter(self.ranking), None) or min(fitted, key=lambda c: (c.n_components, c.criterion))

    @property
    def runner_up(self) -> Candidate | None:
        """The second best, if there is one."""
        ranking = self.ranking
        return ranking[1] if len(ranking) > 1 else None

    def rows(self) -> list[dict[str, object]]:
        """The table: one row per candidate, eligible ones first, best first; lower is better in every criterion."""
        ranked = [*self.ranking, *(c for c in self.candidates if not c.eligible)]
        return [_row(candidate, self.criterion) for candidate in ranked]


def _row(candidate: Candidate, criterion: str) -> dict[str, object]:
    fit = candidate.fit
    return {
        "family": candidate.family,
        "n_components": candidate.n_components,
        criterion: candidate.criterion,
        "log_likelihood": fit.log_likelihood if fit else float("nan"),
        "n_parameters": fit.n_parameters if fit else 0,
        "n_iter": fit.n_iter if fit else 0,
        "converged": bool(fit and fit.converged),
        "eligible": candidate.eligible,
        "reason": candidate.reason,
    }
