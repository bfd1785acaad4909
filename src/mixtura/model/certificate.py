"""The certificate of convergence: whether a fit is at an optimum, and the numbers that tell.

With ``g`` the gradient of the objective (the log-likelihood with the penalty of a prior or a ridge)
and ``C`` the complete-data information, in coordinates without units,

    gradient         sqrt(g' C^-1 g)          length of the next EM step, in standard errors of
                                              complete data
    step gain        g' C^-1 g / 2            gain of that step in the complete-data objective,
                                              to second order
    remaining gain   step gain / (1 - rate)   upper bound of the gain of all further steps

The bound holds for a quadratic: the convergence rates of EM are the eigenvalues of ``1 - C^-1 I``
with ``I`` the observed information, so ``I >= (1 - rate) C`` for the largest of them, and the
maximum of a quadratic with curvature I lies ``g' I^-1 g / 2`` higher. The computation is in
:mod:`mixtura.em.certification`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any

from mixtura.base.numbering import capitalised, component_name, component_names

SAFETY = 3.0
"""The remaining gain counts this many times before it is compared with the tolerance."""


@dataclass(frozen=True)
class ComponentReport:
    """One component of the mixture at which a fit ended.

    Attributes
    ----------
    component : int
    weight : float
        Mixing proportion.
    count : float
        The mixing proportion times the total weight of the rows.
    effective_parameters : float
        Log-likelihood that its rows lose when each is left out of the fit
        (:mod:`mixtura.em.effective_parameters`).
    smallest_variance : float
        Smallest eigenvalue of the covariance, in units of the columns' variances.
    condition : float
        Largest over smallest eigenvalue, in the same units.
    eigenvalue_ratio : float
        Smallest over largest eigenvalue, in the units of the data.
    kind : str
        "spurious", "poorly determined", "empty", "copy" or "point mass"
        (:mod:`mixtura.model.soundness`); empty for a sound component.
    reason : str
        A sentence with the numbers behind the kind.
    boundary : str
        "floor", "reg_covar" or "eigenvalue ratio" where this bound is active; else empty.
    copy_of : int or None
        The earlier component that this one is an exact copy of.
    """

    component: int
    weight: float
    count: float
    effective_parameters: float
    smallest_variance: float
    condition: float
    eigenvalue_ratio: float
    kind: str = ""
    reason: str = ""
    boundary: str = ""
    copy_of: int | None = None


@dataclass(frozen=True)
class Certificate:
    """Whether a fit is at an optimum, with the numbers that tell.

    Attributes
    ----------
    gradient : float
        ``sqrt(g' C^-1 g)``; without the covariances where a bound is active.
    step_gain : float
        Gain of the next M-step in the complete-data objective, or ``g' C^-1 g / 2`` where that is
        more and no bound is active.
    rate : float
        Convergence rate: the factor by which EM shrinks a deviation in its slowest direction; NaN
        where it was not measured or is not defined.
    remaining_gain : float
        Estimated gain of the objective up to the optimum, in total; NaN where it is unknown.
    basis : str
        Source of that estimate: "rate", "trace" (at a bound, where EM has no derivative) or
        "unknown".
    tolerance : float
        Largest remaining gain of an optimum.
    components : tuple of ComponentReport
    safety : float
    """

    gradient: float
    step_gain: float
    rate: float
    remaining_gain: float
    basis: str
    tolerance: float
    components: tuple[ComponentReport, ...]
    safety: float = SAFETY

    @property
    def saddle(self) -> bool:
        """Whether the gradient is negligible, but a deviation grows under EM."""
        return self.rate >= 1.0 and self.safety * self.step_gain < self.tolerance

    @property
    def copies(self) -> tuple[tuple[int, int], ...]:
        """Pairs of components that are exact copies."""
        return tuple(
            (part.copy_of, part.component) for part in self.components if part.copy_of is not None
        )

    @property
    def empty(self) -> tuple[int, ...]:
        """Components without rows."""
        return tuple(part.component for part in self.components if part.kind == "empty")

    @property
    def holds(self) -> bool:
        """Whether the fit is at an optimum.

        That is: no copies, no empty component, no saddle, and ``safety * remaining_gain`` below the
        tolerance.
        """
        # the comparison is False for NaN
        near = isfinite(self.gradient) and self.safety * self.remaining_gain < self.tolerance
        return near and not self.rate >= 1.0 and not self.copies and not self.empty

    @property
    def verdict(self) -> str:
        """The certificate in sentences."""
        return " ".join([self._decision, *self._remarks])

    @property
    def _decision(self) -> str:
        if self.holds:
            return f"The certificate of convergence holds: {self._slope}, and {self._left}."
        return f"The certificate of convergence does not hold: {self._reason}."

    @property
    def _reason(self) -> str:
        if self.copies:
            one, other = self.copies[0]
            return (
                f"{component_name(other)} is an exact copy of {component_name(one)}, and EM "
                "cannot separate them"
            )
        if self.empty:
            return f"{component_name(self.empty[0])} has no rows, and EM cannot recover it"
        if self.saddle:
            return (
                f"this is a saddle; {self._slope}, but EM's slowest direction grows (rate "
                f"{self.rate:.6g})"
            )
        if self.rate >= 1.0:
            return f"{self._slope}, and the steps of EM still grow (rate {self.rate:.6g})"
        if isfinite(self.remaining_gain):
            return f"{self._slope}, and {self._left}"
        return (
            f"{self._slope}, and the remaining gain is not known: the convergence rate of EM was "
            "not measured here"
        )

    @property
    def _slope(self) -> str:
        return f"the gradient is {self.gradient:.2g} standard errors long"

    @property
    def _left(self) -> str:
        source = f"from EM's rate {self.rate:.6g}" if self.basis == "rate" else "from the trace"
        return (
            f"the estimated remaining gain is {self.remaining_gain:.2g} ({source}; times "
            f"{self.safety:g} for safety, against a tolerance of {self.tolerance:g})"
        )

    @property
    def _remarks(self) -> list[str]:
        bounds = dict.fromkeys(part.boundary for part in self.components if part.boundary)
        remarks = []
        for bound in bounds:
            held = [part.component for part in self.components if part.boundary == bound]
            remarks.append(
                f"The {bound} holds back {component_names(held)}, "
                "so the gradient leaves the covariances out."
            )
        kinds = dict.fromkeys(
            part.kind for part in self.components if part.kind not in ("", "copy", "empty")
        )
        for kind in kinds:
            parts = [part for part in self.components if part.kind == kind]
            remarks.append(f"{capitalised(kind)}: {_first_of(parts)}: {parts[0].reason}.")
        return remarks

    # ---- other forms -----------------------------------------------------------------------------

    def in_order(self, permutation: Sequence[int]) -> Certificate:
        """The same, reordered; ``permutation[i]`` is the old number of the new component i."""
        new = {int(old): i for i, old in enumerate(permutation)}
        pairs = {max(new[a], new[b]): min(new[a], new[b]) for a, b in self.copies}
        parts = [self.components[int(old)] for old in permutation]
        return replace(
            self,
            components=tuple(
                replace(p, component=i, copy_of=pairs.get(i)) for i, p in enumerate(parts)
            ),
        )

    def document(self) -> dict[str, Any]:
        """All values with ``holds`` and ``verdict`` as plain values, for JSON."""
        judgement = {"holds": self.holds, "verdict": self.verdict, "saddle": self.saddle}
        return judgement | asdict(self) | {"components": self.rows()}

    def rows(self) -> list[dict[str, Any]]:
        """A table: one row per component."""
        return [asdict(part) for part in self.components]


def _first_of(parts: Sequence[ComponentReport]) -> str:
    """The name of the first component, and the number of others."""
    return component_name(parts[0].component) + (
        f" (and {len(parts) - 1} more)" if len(parts) > 1 else ""
    )
