"""The protocols Source, Backend and Family; the fourth, Initialiser, is with the initialisers.

Families do not use backends, nor backends families; both use ``Moments``.

To add a family: one class, one line in ``families/__init__.py``. To add a backend: one file, one
line in ``backends/__init__.py``. The same holds for a source or an initialiser. The tests of laws
and of agreement run for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance
from mixtura.distribution.mixture import Mixture
from mixtura.model.moments import Moments
from mixtura.model.observation import Observation
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
        Number of rows before this block, by which given responsibilities are sliced.
    observation : Observation, optional
        Where entries are missing (NaN) or have errors; None where all is observed exactly.
    """

    rows: Rows
    weights: Array | None
    offset: int
    observation: Observation | None = None

    def cut(self, size: int) -> Iterator[Block]:
        """The same rows in blocks of at most ``size``."""
        for begin in range(0, len(self.rows), size):
            part = slice(begin, begin + size)
            yield Block(
                self.rows[part],
                None if self.weights is None else self.weights[part],
                self.offset + begin,
                None if self.observation is None else self.observation.take(part),
            )

    def take(self, rows: Labels) -> Block:
        """Some of the rows, by their places (m,)."""
        return Block(
            self.rows[rows],
            None if self.weights is None else self.weights[rows],
            0,
            None if self.observation is None else self.observation.take(rows),
        )

    def weighted(self, responsibilities: Array) -> Array:
        """Responsibilities (m,K) times the row weights."""
        return (
            responsibilities if self.weights is None else responsibilities * self.weights[:, None]
        )


class Source(Protocol):
    """A source of blocks of rows, which can be read any number of times in the same order."""

    @property
    def n_features(self) -> int:
        """d."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of rows, whatever their weights."""
        ...

    def blocks(self) -> Iterator[Block]:
        """All rows, once, in order."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether every entry of every row is observed, and without error."""
        ...

    def sample(self, m: int, rng: np.random.Generator) -> Source:
        """m rows drawn by weight; row i occurs ``m w_i / sum w`` times in expectation."""
        ...

    def distinct(self) -> Source:
        """Each distinct row once, whatever its weight."""
        ...

    def compact(self, units: Array) -> Source:
        """The same rows with neighbours next to each other, or the source itself.

        Distances are in units (d,) of the columns.
        """
        ...


class Backend(Protocol):
    """Computes E-steps, which must agree with those of ``reference`` to rounding."""

    name: str

    @property
    def threads(self) -> int:
        """Threads that it may use, or that several computations side by side may share."""
        ...

    def moments(self, source: Source, mixture: Mixture, needs: Scatter) -> Moments:
        """One E-step: responsibilities under the mixture, summed into moments about its means."""
        ...

    def reduced(self, source: Source) -> Backend | None:
        """The same backend in float32 products; None where that is not faster for this source."""
        ...

    def log_joint(self, block: Block, mixture: Mixture) -> Array:
        """``log weights_k + log N(x_i | k)`` as (m,K), for predicting, scoring and plotting.

        With noise there is one more column, its log joint density.
        """
        ...

    def completed(self, block: Block, mixture: Mixture, shares: Array) -> Array:
        """Expected complete rows ``sum_k shares_ik E[y_i | x_i, k]`` (m,d).

        ``shares`` (m,K) sum to one in each row; complete rows are returned as they are.
        """
        ...


class Family(Protocol):
    """A covariance model: the M-step and the number of free parameters.

    For fixed moments the M-step maximises
    ``sum_k -n_k/2 (log det Sigma_k + tr(Sigma_k^-1 S_k))``, plus the penalty of the regularisation,
    over the family's covariances, or at least does not lower it below ``previous``.
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
        """Detail of the second moments that the E-step must sum up."""
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
        """Rows that determine the part of a covariance that is not shared."""
        ...

    def own_parameters(self, d: int) -> int:
        """Free parameters of each component that are not shared."""
        ...

    def rows_needed(self, d: int) -> int:
        """Distinct rows that a component needs for a non-singular covariance."""
        ...
