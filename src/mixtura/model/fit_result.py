"""Results of a fit and of a search, with the reason why EM stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.distribution.mixture import Mixture
from mixtura.model.certificate import Certificate
from mixtura.model.moments import Moments
from mixtura.model.soundness import Finding, Soundness
from mixtura.model.start_report import RunReport, StartReport


class StopReason(Enum):
    """Why EM ended; the value is the sentence in reports."""

    CONVERGED = "converged: the estimated remaining gain is below the tolerance"
    SMALL_CHANGE = (
        "ended by tol: the change of the log-likelihood per row fell below it, which is "
        "scikit-learn's rule"
    )
    MAX_ITER = (
        "not converged: max_iter was reached; raise max_iter and go on from here with "
        "warm_start=True"
    )
    UNCERTIFIED = (
        "not converged: the stopping rule held, but the certificate of convergence does not, "
        "because the log-likelihood still has a slope there; go on with warm_start=True, or "
        "rescale the columns"
    )
    COPIES = (
        "not converged: some components are exact copies of each other, and EM cannot separate "
        "them; start from different means or reduce n_components"
    )
    SADDLE = (
        "not converged: EM ended at a saddle of the likelihood, where a small change of the "
        "parameters would let it rise; use other starts (n_init, init_params) or a smaller "
        "n_components"
    )
    EMPTY = (
        "not converged: a component has no rows, and EM cannot recover it; "
        "start anew (warm_start=False) or reduce n_components"
    )
    FELL = (
        "not converged: the likelihood fell by more than rounding, since the data are too badly "
        "conditioned for double precision; the iteration before is kept. Rescale the columns, or "
        "set a larger reg_covar"
    )
    COLLAPSED = (
        "not converged: a component collapsed onto a few rows and no regularisation was allowed "
        "(reg_covar=0); the last valid iteration is kept"
    )
    STOPPED_EARLY = "stopped early: another start was better"
    INTERRUPTED = "interrupted: the best model so far is kept"

    @property
    def converged(self) -> bool:
        """Whether the fit may be called converged.

        A number for ``tol`` asks for scikit-learn's meaning of the word.
        """
        return self in (StopReason.CONVERGED, StopReason.SMALL_CHANGE)


@dataclass(frozen=True)
class Iteration:
    """One EM iteration, as a callback gets it."""

    start: int
    number: int
    log_likelihood: float
    gain: float
    mixture: Mixture


@dataclass(frozen=True)
class Evaluation:
    """The sums over the rows from which criteria are computed.

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
        Objective (log-likelihood with the penalty of a ridge or a prior) before the first iteration
        and after each; it never falls.
    n_iter : int
    stop : StopReason
    remaining_gain : float
        Estimated gain of the objective up to the optimum; NaN after too few iterations.
    moments : Moments or None
        Of the last E-step, about the means.
    soundness : Soundness or None
        The assessment of its components; None where it was not asked for.
    rate : float
        Convergence rate: the factor by which EM shrinks a deviation in its slowest direction,
        measured at the end; NaN where it was not measured.
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
        """Whether it ended by its stopping rule, without a certificate that contradicts."""
        return self.stop.converged

    def in_order(self, permutation: Labels) -> FitResult:
        """The same, reordered; ``permutation[i]`` is the old number of the new component i."""
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
        """The objective of EM: the log-likelihood with the penalty of a ridge or a prior."""
        return self.trace[-1]

    @property
    def score(self) -> float:
        """The objective less the price of spurious components, which ranks optima.

        See :mod:`mixtura.model.soundness`.
        """
        return self.objective - (self.soundness.price if self.soundness else 0.0)

    @property
    def is_valid(self) -> bool:
        """Whether it may be selected: not collapsed, no saddle, no copies, no empty component."""
        degenerate = self.stop in (
            StopReason.COLLAPSED,
            StopReason.SADDLE,
            StopReason.COPIES,
            StopReason.EMPTY,
        )
        return not degenerate and (self.soundness is None or self.soundness.is_valid)

    @property
    def is_sound(self) -> bool:
        """Whether it is valid and no component is spurious."""
        return self.is_valid and (self.soundness is None or self.soundness.is_sound)

    @property
    def rank(self) -> tuple[bool, float]:
        """Key of the order of fits: valid ones are better, then those with a higher score."""
        return self.is_valid, self.score

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings about single components."""
        return self.soundness.findings if self.soundness else ()


@dataclass(frozen=True)
class FailedStart:
    """A start that gave no mixture, with the reason."""

    start: int
    reason: str


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The best fit of a search, and all fits and runs.

    Attributes
    ----------
    best : FitResult
    fits : tuple of FitResult or FailedStart
        One for each start, in order, and then the other optima that proposals led to.
    runs : tuple of RunReport
        Every start in order, then every proposal.
    report : StartReport or None
        Report of the starts, on all rows or on a sample.
    """

    best: FitResult
    fits: tuple[FitResult | FailedStart, ...]
    runs: tuple[RunReport, ...] = ()
    report: StartReport | None = None
