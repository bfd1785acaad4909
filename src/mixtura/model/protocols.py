"""The protocols Source, Backend and Family; the fourth, Initialiser, stands with the initialisers.

A family never hears of backends, a backend never hears of families; they meet in ``Moments``.

To add a family: one class, one line in ``families/__init__.py``. To add a backend: one file, one
line in ``backends/__init__.py``. A new source or initialiser likewise. The law and agreement tests
pick each of them up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mixtura.base.arrays import Array, Rows
from mixtura.model.covariance import Covariance
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments, Scatter
from mixtura.model.regularisation import Regularisation


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows of a source.

    Attributes
    ----------
    rows : (m, d)
        C-contiguous, float64 or float32.
    weights : (m,) or None
        Frequencies; None when every row counts once.
    offset : int
        Number of rows before this block, so that random or given responsibilities can be cut to it.
    """

    rows: Rows
    weights: Array | None
    offset: int

    def cut(self, size: int) -> Iterator[Block]:
        """The same rows in smaller blocks."""
        for begin in range(0, len(self.rows), size):
            part = slice(begin, begin + size)
            yield Block(
                self.rows[part],
                None if self.weights is None else self.weights[part],
                self.offset + begin,
            )

    def weighted(self, responsibilities: Array) -> Array:
        """Responsibilities (m,K) with the row weights multiplied in."""
        return (
            responsibilities if self.weights is None else responsibilities * self.weights[:, None]
        )


class Source(Protocol):
    """Where rows come from. Anything that can give blocks of rows, again and again in the same
    order.
    """

    @property
    def n_features(self) -> int:
        """d."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of rows, whatever they weigh."""
        ...

    def blocks(self) -> Iterator[Block]:
        """All rows, once, in order."""
        ...

    def sample(self, m: int, rng: np.random.Generator) -> Source:
        """m draws of rows by weight; row i comes ``m w_i / sum w`` times in expectation."""
        ...

    def distinct(self) -> Source:
        """Each distinct row once, whatever it weighs."""
        ...

    def compact(self, units: Array) -> Source:
        """The same rows, neighbours together, in units (d,) of the columns; itself where that is
        not to be had.
        """
        ...


class Backend(Protocol):
    """How an E-step is computed. Must agree with ``reference`` to rounding."""

    name: str

    @property
    def threads(self) -> int:
        """Threads that it may use, or whoever works on several things side by side."""
        ...

    def moments(self, source: Source, mixture: Mixture, needs: Scatter) -> Moments:
        """One pass over the data: responsibilities under the mixture, summed into moments about its
        means.
        """
        ...

    def reduced(self, source: Source) -> Backend | None:
        """The same backend with fewer digits per product, where that is faster for this source;
        None where it is not.
        """
        ...

    def log_joint(self, block: Block, mixture: Mixture) -> Array:
        """``log weights_k + log N(x_i | k)`` as (m,K), for predicting, scoring and plotting."""
        ...


class Family(Protocol):
    """A covariance model: the M-step and the number of free parameters.

    Law: for fixed moments, the M-step maximises
    ``sum_k -n_k/2 (log det Sigma_k + tr(Sigma_k^-1 S_k))`` (plus the penalty of the regularisation)
    over the family's covariances, or at least never lowers it below ``previous``.
    """

    @property
    def name(self) -> str:
        """Three letters: volume, shape, orientation."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names, such as scikit-learn's."""
        ...

    @property
    def needs(self) -> Scatter:
        """What the E-step must accumulate."""
        ...

    @property
    def shares_all(self) -> bool:
        """Whether one covariance serves all components."""
        ...

    def m_step(
        self, moments: Moments, previous: Covariance | None, regularisation: Regularisation
    ) -> Covariance:
        """Covariances from moments; ``previous`` warm-starts an iterated family.

        Raises
        ------
        CollapseError
            When a covariance is singular and the regularisation has no floor.
        """
        ...

    def n_parameters(self, K: int, d: int) -> int:
        """Free parameters of the mixture: weights, means and covariances."""
        ...

    def own_rows(self, d: int) -> int:
        """Rows that make the part of a covariance which is a component's own non-singular."""
        ...

    def own_parameters(self, d: int) -> int:
        """Free parameters that each component has of its own."""
        ...

    def rows_needed(self, d: int) -> int:
        """Distinct rows that a component needs before its covariance means anything."""
        ...
