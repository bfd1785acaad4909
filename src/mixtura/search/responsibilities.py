"""Who holds which rows: a fit seen component by component, with the memberships that count and no
others.

A row belongs to a few of many components. So for each component the rows that it holds and how much
of each are kept, block by block, and the K x n memberships never exist at one time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.parallel import in_parallel
from mixtura.data.dataset import Dataset
from mixtura.model.mixture import Mixture, log_density
from mixtura.model.protocols import Block
from mixtura.search.components import Part, blocks_of, components_of, mean_covariance

LEAST_OTHERS = 1e-16
"""What the others are taken to describe of a row that belongs to one component but for rounding."""

HELD = 1e-2
"""Rows that belong to a component by less are not among those that it holds."""


@dataclass(frozen=True, eq=False)
class Responsibilities:
    """The rows that each component holds, what it is missed by, and whom it shares rows with.

    Attributes
    ----------
    dataset : Dataset
    mixture : Mixture
    places : K arrays
        Numbers of the rows that a component holds, in order.
    shares : K arrays
        Their memberships, by weight.
    losses : (K,)
        Log-likelihood that is lost when a component goes and the others keep their places and
        proportions.
    overlaps : (K, K)
        Cosines between the components' posteriors: 1 for two that share all their rows, 0 for two
        that share none.
    """

    dataset: Dataset
    mixture: Mixture
    places: tuple[Labels, ...]
    shares: tuple[Array, ...]
    losses: Array
    overlaps: Array

    @classmethod
    def of(
        cls, dataset: Dataset, mixture: Mixture, stopped: threading.Event | None = None
    ) -> Responsibilities:
        """One pass over the rows of a dataset; blocks are worked on side by side, and put together
        in order.
        """
        seen = in_parallel(
            lambda block: _seen(dataset, mixture, block),
            blocks_of(dataset),
            dataset.backend.threads,
            stopped or threading.Event(),
        )
        total = sum(one.total for one in seen)
        losses, products = (
            sum(each[1:], start=each[0])
            for each in ([one.losses for one in seen], [one.products for one in seen])
        )
        lengths = np.sqrt(np.maximum(np.diag(products), np.finfo(np.float64).tiny))
        with np.errstate(divide="ignore"):
            losses = losses + total * np.log1p(-mixture.weights)
        each = range(mixture.n_components)
        return cls(
            dataset,
            mixture,
            tuple(np.concatenate([one.places[k] for one in seen]) for k in each),
            tuple(np.concatenate([one.shares[k] for one in seen]) for k in each),
            losses,
            products / np.outer(lengths, lengths),
        )

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The mixture's components."""
        return components_of(self.mixture, self.dataset.total)

    @cached_property
    def pooled(self) -> Array:
        """The mean covariance of the components (d, d)."""
        return mean_covariance(self.mixture)

    def of_group(self, group: tuple[int, ...]) -> tuple[Array, Array]:
        """Rows (m,d) that some components hold together, and how much of each, by weight (m,)."""
        if len(group) == 1:
            return self._rows(self.places[group[0]]), self.shares[group[0]]
        numbers, where = np.unique(
            np.concatenate([self.places[k] for k in group]), return_inverse=True
        )
        shares = np.bincount(where, np.concatenate([self.shares[k] for k in group]))
        return self._rows(numbers), np.asarray(shares, dtype=np.float64)

    def _rows(self, numbers: Labels) -> Array:
        """The rows with these numbers, which are in order."""
        found = []
        for block in self.dataset.source.blocks():
            first, last = np.searchsorted(numbers, [block.offset, block.offset + len(block.rows)])
            found.append(block.rows[numbers[first:last] - block.offset].astype(np.float64))
        return np.concatenate(found)


class _Seen(NamedTuple):
    """What a block of rows adds."""

    places: list[Labels]
    shares: list[Array]
    losses: Array
    products: Array
    total: float


def _seen(dataset: Dataset, mixture: Mixture, block: Block) -> _Seen:
    log_joint = dataset.backend.log_joint(block, mixture)
    posteriors = np.exp(log_joint - log_density(log_joint)[:, None])
    weighted = block.weighted(posteriors)
    others = np.log(np.maximum(1.0 - posteriors, LEAST_OTHERS))
    held = [np.flatnonzero(own > HELD) for own in np.ascontiguousarray(posteriors.T)]
    return _Seen(
        [rows + block.offset for rows in held],
        [weighted[rows, k] for k, rows in enumerate(held)],
        -(others.sum(axis=0) if block.weights is None else block.weights @ others),
        posteriors.T @ weighted,
        float(len(posteriors) if block.weights is None else block.weights.sum()),
    )
