"""What a fit, a search and a selection give back: frozen values that name every outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from math import isfinite

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.model.certificate import Certificate
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments
from mixtura.model.soundness import Finding, Soundness
from mixtura.model.start_report import Run, StartReport

SAME_MODEL = 0.01
"""Two fits of equally many components and parameters whose log-likelihoods differ by less are one
model under two names.
"""

STRENGTHS = ((2.0, "weak"), (6.0, "positive"), (10.0, "strong"), (float("inf"), "very strong"))
"""How much a difference in BIC says (Kass & Raftery 1995, section 3.2): each word holds below its
number.
"""


class StopReason(Enum):
    """Why EM ended; the value is the sentence a person reads."""

    CONVERGED = "converged: what is estimated to be left to gain is below the tolerance"
    SMALL_CHANGE = (
        "ended by tol: the change of the log-likelihood per row fell below it, which is "
        "scikit-learn's rule"
    )
    MAX_ITER = (
        "not converged: max_iter ended it; raise max_iter to go on from here with warm_start=True"
    )
    UNCERTIFIED = (
        "not converged: the stopping rule held, but the certificate of convergence does not, "
        "because the log-likelihood still has "
        "a slope there; go on with warm_start=True, or rescale the columns"
    )
    COPIES = (
        "not converged: some components are exact copies of each other, and EM cannot separate "
        "them; "
        "start from different means or reduce n_components"
    )
    SADDLE = (
        "not converged: EM stands still on a saddle of the likelihood, where a small push would "
        "let it rise; "
        "use other starts (n_init, init_params) or a smaller n_components"
    )
    EMPTY = (
        "not converged: a component holds no rows, and EM cannot bring it back; "
        "start anew (warm_start=False) or reduce n_components"
    )
    FELL = (
        "not converged: the likelihood fell by more than rounding, which EM does not do on data "
        "that double precision can carry; "
        "the step before is kept. Rescale the columns, or set a larger reg_covar"
    )
    COLLAPSED = (
        "not converged: a component collapsed onto a few rows and no regularisation was allowed "
        "(reg_covar=0); "
        "the last valid step is kept"
    )
    OUTRUN = "not followed to its end: another start was ahead"
    INTERRUPTED = "interrupted: the best model so far is kept"

    @property
    def converged(self) -> bool:
        """Whether the fit may be called converged; a number for ``tol`` asks for scikit-learn's
        meaning of the word.
        """
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
        Objective (log-likelihood, with what a ridge or shrinkage takes off it) before the first
        iteration and after each; it never falls.
    n_iter : int
    stop : StopReason
    remaining_gain : float
        Estimated log-likelihood left to gain; NaN when too few iterations tell.
    moments : Moments or None
        Of the last E-step, about the means.
    soundness : Soundness or None
        Its components, judged; None where nobody asked.
    rate : float
        The factor by which EM shrinks a deviation in its slowest direction, measured at its end;
        NaN where it was not.
    certificate : Certificate or None
        Of the winner of a search; other runs have none.
    """

    family: str
    mixture: Mixture
    trace: tuple[float, ...]
    n_iter: int
    stop: StopReason
    remaining_gain: float
    moments: Moments | None = None
    soundness: Soundness | None = None
    rate: float = float("nan")
    certificate: Certificate | None = None

    @property
    def converged(self) -> bool:
        """Whether it ended by its stopping rule; a certificate that disagrees with RemainingGain
        makes it UNCERTIFIED.
        """
        return self.stop.converged

    def in_order(self, permutation: Labels) -> FitResult:
        """The same fit with its components in another order: ``permutation[i]`` is the old number
        of the new component i.
        """
        if np.array_equal(permutation, np.arange(self.n_components)):
            return self
        return replace(
            self,
            mixture=self.mixture.select(permutation),
            moments=None,
            soundness=self.soundness.in_order(permutation.tolist()) if self.soundness else None,
            certificate=self.certificate.in_order(permutation.tolist())
            if self.certificate
            else None,
        )

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components

    @property
    def objective(self) -> float:
        """What EM raises: the log-likelihood, with what a ridge or a prior takes off it."""
        return self.trace[-1]

    @property
    def score(self) -> float:
        """What ranks optima (:mod:`mixtura.model.soundness`): the objective less the price of
        components that chance can place.
        """
        return self.objective - (self.soundness.price if self.soundness else 0.0)

    @property
    def is_answer(self) -> bool:
        """Whether it may win: not collapsed, no saddle, no copies, no component without rows."""
        ended_badly = self.stop in (
            StopReason.COLLAPSED,
            StopReason.SADDLE,
            StopReason.COPIES,
            StopReason.EMPTY,
        )
        return not ended_badly and (self.soundness is None or self.soundness.is_answer)

    @property
    def is_sound(self) -> bool:
        """Whether no component is spurious, either."""
        return self.is_answer and (self.soundness is None or self.soundness.is_sound)

    @property
    def rank(self) -> tuple[bool, float]:
        """Of two fits the one with the higher rank is the better one."""
        return self.is_answer, self.score

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be said of single components."""
        return self.soundness.findings if self.soundness else ()


@dataclass(frozen=True)
class FailedStart:
    """A start that ended without a mixture, and why."""

    start: int
    reason: str


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The best fit of a search, and what became of all that was tried.

    Attributes
    ----------
    best : FitResult
    fits : tuple of FitResult or FailedStart
        One for each start, in order, and then those ends of moves that are different optima.
    runs : tuple of Run
        Every start in order, then every move.
    report : StartReport or None
        What the first part of the search saw, on all rows or on a sample.
    """

    best: FitResult
    fits: tuple[FitResult | FailedStart, ...]
    runs: tuple[Run, ...] = ()
    report: StartReport | None = None


ALIKE_DECIMALS = 6
"""Criteria that agree to so many decimals are of the same model under two names."""


class Stage(Enum):
    """How far a cell of a selection was taken; the value is the word in tables."""

    NOT_LOOKED_AT = "not looked at"
    LOOKED_AT = "looked at"
    SEARCHED = "searched"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One cell of a selection: a family and a K, fitted or not.

    Attributes
    ----------
    criterion : float
        What the selection judges by; NaN for a failed cell, and where the criterion is undefined.
    reason : str
        Why the cell may not win, that it did not converge, or what is special about it; empty when
        all is well.
    criteria : mapping of str to float
        Every criterion that was computed, by name.
    notes : tuple of str
        Why some of them are NaN.
    starts : StartReport or None
        What the search behind the fit saw.
    remark : str
        What the data made of the model: too few rows for its covariances, which are shrunk, and the
        like.
    stage : Stage
        Whether it was searched, or only looked at from a few starts since it was too far behind.
    rows : int or None
        Rows of the sample from which it is estimated what all of them would say; None for a fit of
        all rows.
    """

    family: str
    n_components: int
    fit: FitResult | None
    criterion: float
    reason: str
    criteria: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    starts: StartReport | None = None
    remark: str = ""
    stage: Stage = Stage.SEARCHED
    rows: int | None = None

    @property
    def is_estimate(self) -> bool:
        """Whether it was fitted to a sample of the rows, and no further."""
        return self.rows is not None

    @property
    def eligible(self) -> bool:
        """Whether it may win: an answer with a criterion that is a number."""
        return self.is_answer and isfinite(self.criterion)

    @property
    def is_answer(self) -> bool:
        """Whether it is fitted, not collapsed, no saddle, and without copies or components that
        hold no rows.
        """
        return self.fit is not None and self.fit.is_answer

    @property
    def is_spurious(self) -> bool:
        """Whether chance can place one of its components."""
        return self.fit is not None and any(item.kind == "spurious" for item in self.fit.findings)

    @property
    def title(self) -> str:
        """The cell in words."""
        return f"{self.family} with {self.n_components} component{'s' * (self.n_components > 1)}"

    def is_same_model(self, other: Candidate) -> bool:
        """Whether both are one model under two names, as EEE and VVV with one component are."""
        if self.fit is None or other.fit is None or self.fit.n_parameters != other.fit.n_parameters:
            return False
        near = abs(self.fit.log_likelihood - other.fit.log_likelihood) < SAME_MODEL
        return near and self.n_components == other.n_components


@dataclass(frozen=True, eq=False)
class Selection:
    """All candidates of a selection, the winner and the runner-up; ``interrupted`` when it was
    ended before all were done.
    """

    criterion: str
    candidates: tuple[Candidate, ...]
    interrupted: bool = False

    @property
    def ranking(self) -> tuple[Candidate, ...]:
        """Eligible candidates, best first; models that are the same but for rounding stay in the
        order of the grid.
        """
        return tuple(
            sorted(
                (c for c in self.candidates if c.eligible),
                key=lambda c: round(c.criterion, ALIKE_DECIMALS),
            )
        )

    @property
    def best(self) -> Candidate:
        """The winner: the lowest criterion among the fits that are an answer.

        Where there is no such fit, the simplest one: the fewest components, then the lowest
        criterion.
        """
        fitted = [candidate for candidate in self.candidates if candidate.fit is not None]
        return next(iter(self.ranking), None) or min(
            fitted, key=lambda c: (c.n_components, c.criterion)
        )

    @property
    def runner_up(self) -> Candidate | None:
        """The second best model, if there is one; the winner itself under another family's name
        does not count.
        """
        ranking = self.ranking
        return next((c for c in ranking[1:] if not c.is_same_model(ranking[0])), None)

    @property
    def gap(self) -> float:
        """By how much the runner-up is worse; NaN without one."""
        return self.runner_up.criterion - self.best.criterion if self.runner_up else float("nan")

    @property
    def strength(self) -> str:
        """What the gap in BIC says in one word (Kass & Raftery 1995), or nothing for another
        criterion.
        """
        if self.criterion != "bic" or self.runner_up is None:
            return ""
        return strength_of(self.gap)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The outcome in words: the winner, how far ahead it is, and which cells may not win and
        why.
        """
        return (*_verdict(self), *_exclusions(self.candidates))

    def rows(self) -> list[dict[str, object]]:
        """The table: one row per candidate, eligible ones first, best first; lower is better in
        every criterion.
        """
        ranked = [*self.ranking, *(c for c in self.candidates if not c.eligible)]
        return [_row(candidate, self.criterion) for candidate in ranked]

    def criteria_rows(self) -> list[dict[str, object]]:
        """All criteria of all candidates, in the order of :meth:`rows`; lower is better in every
        one.

        A criterion that is undefined for a cell is NaN there, and ``notes`` says why.
        """
        ranked = [*self.ranking, *(c for c in self.candidates if not c.eligible)]
        names = list(dict.fromkeys(name for candidate in ranked for name in candidate.criteria))
        return [_criteria_row(candidate, names) for candidate in ranked]

    def choices(self) -> dict[str, Candidate]:
        """What each criterion would choose among the cells that are an answer.

        The entropy is left out: it is 0 for one component and so chooses nothing.
        """
        answers = [c for c in self.candidates if c.is_answer]
        names = dict.fromkeys(
            name for candidate in answers for name in candidate.criteria if name != "entropy"
        )
        chosen = {}
        for name in names:
            defined = [c for c in answers if isfinite(c.criteria.get(name, float("nan")))]
            if defined:
                chosen[name] = min(defined, key=lambda c: c.criteria[name])
        return chosen


def strength_of(gap: float) -> str:
    """Kass and Raftery's word for a difference in BIC.

    Examples
    --------
    >>> [strength_of(gap) for gap in (0.5, 2.0, 7.0, 10.5)]
    ['weak', 'positive', 'strong', 'very strong']
    """
    return next(word for bound, word in STRENGTHS if gap < bound)


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
        "stage": candidate.stage.value,
        "reason": candidate.reason,
    }


def _criteria_row(candidate: Candidate, names: Iterable[str]) -> dict[str, object]:
    fit = candidate.fit
    return {
        "family": candidate.family,
        "n_components": candidate.n_components,
        "log_likelihood": fit.log_likelihood if fit else float("nan"),
        "n_parameters": fit.n_parameters if fit else 0,
        **{name: candidate.criteria.get(name, float("nan")) for name in names},
        "eligible": candidate.eligible,
        "notes": "; ".join(filter(None, dict.fromkeys((candidate.reason, *candidate.notes)))),
    }


# ---- a selection in words ------------------------------------------------------------------------


TITLES = {
    "icl": "ICL (MAP)",
    "icl_entropy": "ICL (entropy)",
    "aicc": "AICc",
    "sabic": "adjusted BIC",
    "entropy": "entropy",
    "cv": "cross-validated -2 log-likelihood",
}
"""What people read where it is not the name in capitals."""


def title_of(name: str) -> str:
    """The name of a criterion in a sentence or over a column."""
    return TITLES.get(name, name.upper())


def _verdict(selection: Selection) -> list[str]:
    """The winner, and what the distance to the runner-up says."""
    if not selection.ranking:
        return ["No candidate may win."]
    best, runner_up, name = selection.best, selection.runner_up, title_of(selection.criterion)
    won = f"Best by {name}: {best.title}, {best.criterion:.3f} (lower is better)."
    if runner_up is None:
        return [won, "There is no other model to compare it with."]
    ahead = f"Runner-up: {runner_up.title}, {selection.gap:.3f} higher"
    if not selection.strength:
        return [won, f"{ahead}."]
    return [won, f"{ahead}: {selection.strength} evidence for the winner (Kass & Raftery 1995)."]


def _exclusions(candidates: tuple[Candidate, ...]) -> list[str]:
    """One sentence for each kind of cell that may not win or is not finished."""
    kinds = {
        "could not be fitted": [
            c for c in candidates if c.fit is None and c.stage is not Stage.NOT_LOOKED_AT
        ],
        "were not looked at": [c for c in candidates if c.stage is Stage.NOT_LOOKED_AT],
        "may not win": [c for c in candidates if c.fit and not c.eligible],
        "did not converge": [
            c
            for c in candidates
            if c.eligible and c.fit and not c.fit.converged and c.stage is Stage.SEARCHED
        ],
        "have a component that chance can place": [
            c for c in candidates if c.eligible and c.is_spurious
        ],
        "have too few rows for full covariances, which are shrunk": [
            c for c in candidates if c.eligible and c.remark
        ],
    }
    return [
        f"{len(cells)} of {len(candidates)} candidates {kind}: {_listed(cells)}. {_reasons(cells)}"
        for kind, cells in kinds.items()
        if cells
    ]


def _listed(cells: list[Candidate]) -> str:
    """Families with their numbers of components."""
    families = dict.fromkeys(c.family for c in cells)
    numbers = {
        family: sorted(c.n_components for c in cells if c.family == family) for family in families
    }
    return "; ".join(f"{family} with {_ranges(ks)}" for family, ks in numbers.items())


def _ranges(ks: list[int]) -> str:
    """``[1, 3, 4, 5]`` as ``1, 3-5``."""
    runs: list[list[int]] = []
    for K in ks:
        if runs and runs[-1][-1] == K - 1:
            runs[-1].append(K)
        else:
            runs.append([K])
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _reasons(cells: list[Candidate]) -> str:
    """The first reason, and how many others there are."""
    reasons = list(dict.fromkeys(c.reason for c in cells))
    more = (
        f" (and {len(reasons) - 1} other reason{'s' * (len(reasons) > 2)} in the table)"
        if len(reasons) > 1
        else ""
    )
    first = reasons[0].rstrip(".")
    return f"For example, {cells[0].title}: {first}{more}."
