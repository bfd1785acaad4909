"""What all families share: the volume, orientation and shape algebra, parameter counts, and the
frame of an M-step.

``Sigma_k = lambda_k D_k A_k D_k'``: volume lambda (a scalar), orientation D (orthogonal), shape A
(diagonal, det 1). A family's name says which of them are Equal, Varying or the Identity, in the
order volume, shape, orientation (Banfield & Raftery 1993; Celeux & Govaert 1995).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.base.family_names import OTHER_NAMES
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, along_axes
from mixtura.model.eigenvalue_ratio import within
from mixtura.model.moments import Moments
from mixtura.model.regularisation import Regularisation, SufficientStatistics

ROUNDING = float(np.finfo(np.float64).eps)
"""Eigenvalues below this share of the largest have no digits of their own, and may come out
negative.
"""


class CovarianceFamily:
    """Base of the families: name, what the E-step must accumulate, parameter counts, and the M-step
    around the law.

    A family is a class with ``name``, ``needs``, ``summary`` and an ``estimate``; it has no state.
    """

    name: ClassVar[str]
    needs: ClassVar[Scatter]
    summary: ClassVar[str]
    """Six words for a table."""

    # ---- what the letters say --------------------------------------------------------------------

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names, such as scikit-learn's."""
        return OTHER_NAMES.get(self.name, ())

    @property
    def shares_all(self) -> bool:
        """Whether one covariance serves all components."""
        return "V" not in self.name

    @property
    def shares_some(self) -> bool:
        """Whether the components share volume, shape or orientation, but not all: then the estimate
        is not the average.
        """
        return "V" in self.name and "E" in self.name

    def n_covariance_parameters(self, K: int, d: int) -> int:
        """Free parameters of K covariances: volumes, then shapes, then orientations.

        Celeux & Govaert 1995, table 1: 1 for a volume, d - 1 for a shape, d (d - 1) / 2 for an
        orientation.
        """
        each = {"E": 1, "V": K, "I": 0}
        free = (1, d - 1, d * (d - 1) // 2)
        return sum(each[letter] * number for letter, number in zip(self.name, free, strict=True))

    def n_parameters(self, K: int, d: int) -> int:
        """Free parameters of the mixture: K - 1 weights, K d means, and the covariances."""
        return K - 1 + K * d + self.n_covariance_parameters(K, d)

    def own_rows(self, d: int) -> int:
        """Rows that make the part of a covariance which is a component's own non-singular.

        d + 1 where its shape or orientation is its own and can turn, 2 where only a volume or
        axis-parallel variances are, else 1.
        """
        if self.shares_all:
            return 1
        turns = self.needs is Scatter.DENSE and self.name != "VEE"
        return d + 1 if turns else 2

    def own_parameters(self, d: int) -> int:
        """Free parameters that each component has of its own: weight, mean, and what the letters
        let vary.
        """
        return 1 + self.n_covariance_parameters(2, d) - self.n_covariance_parameters(1, d) + d

    def rows_needed(self, d: int) -> int:
        """d + 1 distinct rows for ellipsoids, 2 where the axes are fixed."""
        return 2 if self.name.endswith("I") else d + 1

    # ---- the M-step ------------------------------------------------------------------------------

    def estimate(self, statistics: SufficientStatistics, previous: Covariance | None) -> Covariance:
        """The law: the family's maximum-likelihood covariances; ``previous`` warm-starts an
        iterated one.
        """
        raise TypeError(f"{type(self).__name__} defines no estimate")

    def m_step(
        self, moments: Moments, previous: Covariance | None, regularisation: Regularisation
    ) -> Covariance:
        """Covariances from moments; see :class:`mixtura.model.protocols.Family`.

        Where the estimate is the average itself, floor and bound are exact when put into the
        statistics. Where components share part of it, the estimate without a floor is the maximum
        if it lies above the floor. Otherwise they make a proposal, which is taken only if the
        objective does not fall.
        """
        statistics = regularisation.statistics(moments, self.shares_all)
        if not self.shares_some:
            return regularisation.check(self.estimate(regularisation.bounded(statistics), previous))
        seen = statistics
        if statistics.lifted:
            seen = replace(regularisation, floor=np.zeros_like(regularisation.floor)).statistics(
                moments, self.shares_all
            )
            try:
                free, bent = self._proposal(seen, previous, regularisation)
                if not bent and not regularisation.is_below_floor(free):
                    return free
            except CollapseError:  # the floor is what holds it up
                pass
        proposal, bent = self._proposal(statistics, previous, regularisation)
        if (
            not (bent or statistics.lifted)
            or previous is None
            or previous.values.shape != proposal.values.shape
        ):
            return proposal
        return (
            proposal
            if not regularisation.allows(previous) or seen.fit(proposal) >= seen.fit(previous)
            else previous
        )

    def _proposal(
        self,
        statistics: SufficientStatistics,
        previous: Covariance | None,
        regularisation: Regularisation,
    ) -> tuple[Covariance, bool]:
        """The estimate from the statistics, and whether the bound on the eigenvalues changed it."""
        try:
            with np.errstate(
                divide="ignore", over="ignore", invalid="ignore"
            ):  # singular scatter: the check says so
                proposal = regularisation.check(self.estimate(statistics, previous))
        except np.linalg.LinAlgError:
            raise CollapseError(0) from None  # what all components share is singular
        if regularisation.eigenvalue_ratio is None:
            return proposal, False
        drawn = _drawn_together(proposal, statistics, regularisation.eigenvalue_ratio, self.name)
        return drawn, drawn is not proposal

    def __repr__(self) -> str:
        return self.name


def _drawn_together(
    covariance: Covariance, statistics: SufficientStatistics, ratio: float, family: str
) -> Covariance:
    """Along the same axes, the most likely covariances of the same volume and shape whose
    eigenvalues keep the ratio.
    """
    if isinstance(covariance, Dense):
        axes = _axes(covariance, family)
        values, own = (
            np.einsum("kij,kil,klj->kj", axes, S, axes, optimize=True)
            for S in (covariance.values, statistics.average)
        )
    else:
        axes, values, own = (
            None,
            covariance.values.reshape(len(statistics.counts), -1),
            statistics.average,
        )
    logs = np.log(np.maximum(values, ROUNDING * values.max()))
    near = within(
        logs,
        np.maximum(own.reshape(logs.shape), 0.0),
        statistics.counts,
        ratio,
        family[0],
        family[1],
    )
    if near is logs:
        return covariance
    spreads = np.exp(near)
    if axes is None:
        return Diagonal(spreads, statistics.n_components)
    return Dense(
        along_axes(axes, spreads), statistics.n_components, getattr(covariance, "axes", None)
    )


def _axes(covariance: Dense, family: str) -> Array:
    """Eigenvectors (K,d,d): in the order of their lengths, or the same for all where a family has
    common ones.
    """
    if not family.endswith("E"):
        return np.linalg.eigh(covariance.values)[1]
    common = np.linalg.eigh(covariance.values[0])[1] if covariance.axes is None else covariance.axes
    return np.broadcast_to(common, covariance.values.shape)
