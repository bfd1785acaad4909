"""The result of a fit and of a search: frozen values that name every outcome."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.model.certificate import Certificate
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments
from mixtura.model.soundness import Finding, Soundness
from mixtura.model.start_report import RunReport, StartReport


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
    STOPPED_EARLY = "not followed to its end: another start was ahead"
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
    def is_valid(self) -> bool:
        """Whether it may win: not collapsed, no saddle, no copies, no component without rows."""
        ended_badly = self.stop in (
            StopReason.COLLAPSED,
            StopReason.SADDLE,
            StopReason.COPIES,
            StopReason.EMPTY,
        )
        return not ended_badly and (self.soundness is None or self.soundness.is_valid)

    @property
    def is_sound(self) -> bool:
        """Whether no component is spurious, either."""
        return self.is_valid and (self.soundness is None or self.soundness.is_sound)

    @property
    def rank(self) -> tuple[bool, float]:
        """Of two fits the one with the higher rank is the better one."""
        return self.is_valid, self.score

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
    runs : tuple of RunReport
        Every start in order, then every move.
    report : StartReport or None
        What the first part of the search saw, on all rows or on a sample.
    """

    best: FitResult
    fits: tuple[FitResult | FailedStart, ...]
    runs: tuple[RunReport, ...] = ()
    report: StartReport | None = None


ALIKE_DECIMALS = 6
"""Criteria that agree to so many decimals are of the same model under two names."""

TITLES = {
    "icl": "ICL (MAP)",
    "icl_entropy": "ICL (entropy)",
    "aicc": "AICc",
    "sabic": "adjusted BIC",
    "entropy": "entropy",
    "cv": "cross-validated -2 log-likelihood",
}
"""What people read where it is not the name in capitals."""
