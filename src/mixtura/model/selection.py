"""The result of a model selection: its candidates, the best one, and the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite
from typing import Literal

from mixtura.model.fit_result import FitResult
from mixtura.model.start_report import StartReport

SAME_MODEL, SAME_DECIMALS = 0.01, 6
"""Two fits with equal numbers of components and parameters whose log-likelihoods differ by less are
one model under two names. Criteria that agree to so many decimals keep the order of the grid.
"""

BIC_STRENGTHS = ((2.0, "weak"), (6.0, "positive"), (10.0, "strong"), (float("inf"), "very strong"))
"""Strength of evidence of a difference in BIC (Kass & Raftery 1995, section 3.2): each word holds
below its number.
"""

TITLES = {
    "icl": "ICL (MAP)",
    "icl_entropy": "ICL (entropy)",
    "aicc": "AICc",
    "sabic": "adjusted BIC",
    "entropy": "entropy",
    "cv": "cross-validated -2 log-likelihood",
}
"""Titles of the criteria whose title is not the name in capitals."""


class Stage(Enum):
    """How far a candidate of a selection was fitted; the value is the word in tables."""

    NOT_FITTED = "not fitted"
    SHORT_FIT = "looked at"
    SEARCHED = "searched"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One candidate of a selection: a family and a number of components, fitted or not.

    Attributes
    ----------
    criterion : float
        Value of the criterion of the selection; NaN without a fit or where it is undefined.
    reason : str
        Why the candidate may not be selected, that it did not converge, or a finding; else empty.
    criteria : mapping of str to float
        Every criterion that was computed, by name.
    notes : tuple of str
        Why some of them are NaN.
    starts : StartReport or None
        Report of the search behind the fit.
    remark : str
        Changes of the model for these data, such as shrunk covariances where rows are too few.
    stage : Stage
        Whether it was searched, or fitted from a few starts only since it was too far behind.
    rows : int or None
        Rows of the sample from which the value for all rows is estimated; None for a fit to all
        rows.
    components : {"gaussian", "t"}
        The law of the components.
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
    components: Literal["gaussian", "t"] = "gaussian"

    @property
    def is_estimate(self) -> bool:
        """Whether it was fitted to a sample of the rows only."""
        return self.rows is not None

    @property
    def eligible(self) -> bool:
        """Whether it may be selected: a valid fit with a finite criterion."""
        return self.is_valid and isfinite(self.criterion)

    @property
    def is_valid(self) -> bool:
        """Whether it has a fit that is not collapsed, no saddle, and has K distinct components."""
        return self.fit is not None and self.fit.is_valid

    @property
    def is_spurious(self) -> bool:
        """Whether one of its components is spurious."""
        return self.fit is not None and any(item.kind == "spurious" for item in self.fit.findings)

    @property
    def title(self) -> str:
        """Family and number of components as text."""
        return f"{self.family} with {self.n_components} {self.noun}{'s' * (self.n_components > 1)}"

    @property
    def noun(self) -> str:
        """What its components are called in a sentence."""
        return "t component" if self.components == "t" else "component"

    @property
    def label(self) -> str:
        """The family, with the law of the components where it is not Gaussian."""
        return f"{self.family} (t)" if self.components == "t" else self.family

    def is_same_model(self, other: Candidate) -> bool:
        """Whether both are one model under two names, such as EEE and VVV with one component."""
        if self.fit is None or other.fit is None or self.fit.n_parameters != other.fit.n_parameters:
            return False
        near = abs(self.fit.log_likelihood - other.fit.log_likelihood) < SAME_MODEL
        same_kind = self.components == other.components
        return near and same_kind and self.n_components == other.n_components


@dataclass(frozen=True, eq=False)
class Selection:
    """All candidates of a selection, with the best one and the runner-up.

    ``interrupted`` says that it ended before all candidates were fitted.
    """

    criterion: str
    candidates: tuple[Candidate, ...]
    interrupted: bool = False

    @property
    def ranking(self) -> tuple[Candidate, ...]:
        """Eligible candidates, best first; equal ones (to rounding) in the order of the grid."""
        return tuple(
            sorted(
                (c for c in self.candidates if c.eligible),
                key=lambda c: round(c.criterion, SAME_DECIMALS),
            )
        )

    @property
    def best(self) -> Candidate:
        """The eligible candidate with the lowest criterion.

        Where none is eligible, the fit with the fewest components, then the lowest criterion.
        """
        fitted = [candidate for candidate in self.candidates if candidate.fit is not None]
        return next(iter(self.ranking), None) or min(
            fitted, key=lambda c: (c.n_components, c.criterion)
        )

    @property
    def runner_up(self) -> Candidate | None:
        """The second best model, if there is one; the best one under another name is left out."""
        ranking = self.ranking
        return next((c for c in ranking[1:] if not c.is_same_model(ranking[0])), None)

    @property
    def gap(self) -> float:
        """Criterion of the runner-up minus that of the best; NaN without a runner-up."""
        return self.runner_up.criterion - self.best.criterion if self.runner_up else float("nan")

    @property
    def strength(self) -> str:
        """Strength of evidence of the gap in BIC; empty for other criteria."""
        if self.criterion != "bic" or self.runner_up is None:
            return ""
        return strength_of(self.gap)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The outcome in sentences: the best model, the gap, and exclusions with their reasons."""
        return (*_verdict(self), *_exclusions(self.candidates))

    def rows(self) -> list[dict[str, object]]:
        """The table, one row per candidate: eligible ones, best first, then the others."""
        ranked = [*self.ranking, *(c for c in self.candidates if not c.eligible)]
        return [{**self._law(one), **_row(one, self.criterion)} for one in ranked]

    def criteria_rows(self) -> list[dict[str, object]]:
        """All criteria of all candidates, in the order of :meth:`rows`; lower is better.

        An undefined criterion is NaN, and ``notes`` gives the reason.
        """
        ranked = [*self.ranking, *(c for c in self.candidates if not c.eligible)]
        names = list(dict.fromkeys(name for candidate in ranked for name in candidate.criteria))
        return [{**self._law(one), **_criteria_row(one, names)} for one in ranked]

    def _law(self, candidate: Candidate) -> dict[str, object]:
        """The law of a candidate's components as a column, where some of them are t."""
        some_are_t = any(one.components == "t" for one in self.candidates)
        return {"components": candidate.components} if some_are_t else {}

    def choices(self) -> dict[str, Candidate]:
        """The choice of each criterion among the valid candidates.

        The entropy is left out: it is 0 for one component.
        """
        valid = [c for c in self.candidates if c.is_valid]
        names = dict.fromkeys(
            name for candidate in valid for name in candidate.criteria if name != "entropy"
        )
        chosen = {}
        for name in names:
            defined = [c for c in valid if isfinite(c.criteria.get(name, float("nan")))]
            if defined:
                chosen[name] = min(defined, key=lambda c: c.criteria[name])
        return chosen


def strength_of(gap: float) -> str:
    """Strength of evidence of a difference in BIC.

    Examples
    --------
    >>> [strength_of(gap) for gap in (0.5, 2.0, 7.0, 10.5)]
    ['weak', 'positive', 'strong', 'very strong']
    """
    return next(word for bound, word in BIC_STRENGTHS if gap < bound)


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


def title_of(name: str) -> str:
    """The title of a criterion in a sentence or over a column."""
    return TITLES.get(name, name.upper())


def _verdict(selection: Selection) -> list[str]:
    """The best model, and the strength of evidence against the runner-up."""
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
    """One sentence for each kind of candidate that may not be selected or is not finished."""
    kinds = {
        "could not be fitted": [
            c for c in candidates if c.fit is None and c.stage is not Stage.NOT_FITTED
        ],
        "were not fitted": [c for c in candidates if c.stage is Stage.NOT_FITTED],
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
    families = dict.fromkeys(c.label for c in cells)
    numbers = {
        family: sorted(c.n_components for c in cells if c.label == family) for family in families
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
    """The first reason, and the number of others."""
    reasons = list(dict.fromkeys(c.reason for c in cells))
    more = (
        f" (and {len(reasons) - 1} other reason{'s' * (len(reasons) > 2)} in the table)"
        if len(reasons) > 1
        else ""
    )
    first = reasons[0].rstrip(".")
    return f"For example, {cells[0].title}: {first}{more}."
