"""What all families share: the volume, orientation and shape algebra, and parameter counts.

``Sigma_k = lambda_k D_k A_k D_k'``: volume lambda (a scalar), orientation D (orthogonal), shape A (diagonal, det 1).
A family's name says which of them are Equal, Varying or the Identity, in the order volume, shape, orientation
(Banfield & Raftery 1993; Celeux & Govaert 1995).
"""

from __future__ import annotations

from typing import ClassVar

from mixtura.covariance import Covariance
from mixtura.moments import Moments, Scatter
from mixtura.regularisation import Regularisation


class CovarianceFamily:
    """Base of the families: name, what the E-step must accumulate, parameter counts from the three letters.

    A family is a class with ``name``, ``needs``, ``summary`` and an ``m_step``; it has no state.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[Scatter]
    summary: ClassVar[str]
    """Six words for a table."""

    @property
    def shares_all(self) -> bool:
        """Whether one covariance serves all components."""
        return "V" not in self.name

    def n_covariance_parameters(self, K: int, d: int) -> int:
        """Free parameters of K covariances: volumes, then shapes, then orientations.

        Celeux & Govaert 1995, table 1: 1 for a volume, d - 1 for a shape, d (d - 1) / 2 for an orientation.
        """
        each = {"E": 1, "V": K, "I": 0}
        free = (1, d - 1, d * (d - 1) // 2)
        return sum(each[letter] * number for letter, number in zip(self.name, free, strict=True))

    def n_parameters(self, K: int, d: int) -> int:
        """Free parameters of the mixture: K - 1 weights, K d means, and the covariances."""
        return K - 1 + K * d + self.n_covariance_parameters(K, d)

    def rows_needed(self, d: int) -> int:
        """d + 1 distinct rows for ellipsoids, 2 where the axes are fixed."""
        return 2 if self.name.endswith("I") else d + 1

    def m_step(self, moments: Moments, previous: Covariance | None, regularisation: Regularisation) -> Covariance:
        """Covariances from moments; see :class:`mixtura.protocols.Family`."""
        raise TypeError(f"{type(self).__name__} defines no m_step")

    def __repr__(self) -> str:
        return self.name
