"""The responsibilities of a fit, component by component: only those that are not negligible.

A row belongs to a few of many components. So for each component its rows and their responsibilities
are kept, block by block, and the K x n matrix never exists at one time.
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
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.model.protocols import Block
from mixtura.search.components import Component, blocks_of, components_of, mean_covariance

_NO_ROWS: Labels = np.zeros(0, dtype=np.intp)
_NO_WEIGHTS: Array = np.zeros(0)

LEAST_OTHERS = 1e-16
"""Least posterior of all other components together: what is left of it is rounding."""


@dataclass(frozen=True, eq=False)
class Responsibilities:
    """The rows of each component, the loss of its removal, and its overlap with the others.

    Attributes
    ----------
    dataset : Dataset
    mixture : Mixture
    rows_of : K arrays
        Numbers of the rows of a component, in order.
    weights_of : K arrays
        Their responsibilities times the weights of the rows.
    removal_losses : (K,)
        Log-likelihood that is lost when a component goes and the others keep their parameters and
        proportions.
    overlaps : (K, K)
        Cosines between the components' posteriors: 1 for two that share all their rows, 0 for two
        that share none.
    noise_rows, noise_weights : (m,)
        Rows of the noise and their responsibilities, as those of a component; none without noise.
    """

    dataset: Dataset
    mixture: Mixture
    rows_of: tuple[Labels, ...]
    weights_of: tuple[Array, ...]
    removal_losses: Array
    overlaps: Array
    noise_rows: Labels
    noise_weights: Array

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        mixture: Mixture,
        negligible: float,
        stopped: threading.Event | None = None,
    ) -> Responsibilities:
        """One pass over the rows, without responsibilities up to the ``negligible`` one.

        Blocks are worked on side by side, and put together in order.
        """
        seen = in_parallel(
            lambda block: _of_block(dataset, mixture, block, negligible),
            blocks_of(dataset),
            dataset.backend.threads,
            stopped or threading.Event(),
        )
        total = sum(one.total for one in seen)
        losses = sum((one.losses for one in seen[1:]), start=seen[0].losses)
        products = sum((one.products for one in seen[1:]), start=seen[0].products)
        lengths = np.sqrt(np.maximum(np.diag(products), np.finfo(np.float64).tiny))
        with np.errstate(divide="ignore"):
            losses = losses + total * np.log1p(-mixture.weights)
        each = range(mixture.n_components)
        return cls(
            dataset,
            mixture,
            tuple(np.concatenate([one.rows[k] for one in seen]) for k in each),
            tuple(np.concatenate([one.weights[k] for one in seen]) for k in each),
            losses,
            products / np.outer(lengths, lengths),
            np.concatenate([_NO_ROWS, *(own for one in seen for own in one.rows[len(each) :])]),
            np.concatenate(
                [_NO_WEIGHTS, *(own for one in seen for own in one.weights[len(each) :])]
            ),
        )

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """The mixture's components."""
        return components_of(self.mixture, self.dataset.total)

    @property
    def noise(self) -> float:
        """Weight of the rows in the noise."""
        own = self.mixture.noise
        return 0.0 if own is None else self.dataset.total * own.weight

    @cached_property
    def _expected(self) -> Dataset:
        """The rows, with expected values under the mixture where entries are missing."""
        return self.dataset.completed_under(self.mixture)

    @cached_property
    def pooled(self) -> Array:
        """The mean covariance of the components (d, d)."""
        return mean_covariance(self.mixture)

    def of_group(self, group: tuple[int, ...]) -> tuple[Array, Array]:
        """Rows (m,d) of some components together, and their weights in these components (m,)."""
        if len(group) == 1:
            return self.read(self.rows_of[group[0]]), self.weights_of[group[0]]
        numbers, where = np.unique(
            np.concatenate([self.rows_of[k] for k in group]), return_inverse=True
        )
        weights = np.bincount(where, np.concatenate([self.weights_of[k] for k in group]))
        return self.read(numbers), np.asarray(weights, dtype=np.float64)

    def read(self, numbers: Labels) -> Array:
        """The rows (m,d) with these numbers (m,), which are in order."""
        found = []
        for block in self._expected.source.blocks():
            first, last = np.searchsorted(numbers, [block.offset, block.offset + len(block.rows)])
            found.append(block.rows[numbers[first:last] - block.offset].astype(np.float64))
        return np.concatenate(found)


class _OfBlock(NamedTuple):
    """What a block of rows adds; rows and weights of the noise come last."""

    rows: list[Labels]
    weights: list[Array]
    losses: Array
    products: Array
    total: float


def _of_block(dataset: Dataset, mixture: Mixture, block: Block, negligible: float) -> _OfBlock:
    log_joint, K = dataset.backend.log_joint(block, mixture), mixture.n_components
    posteriors = np.exp(log_joint - log_density(log_joint)[:, None])
    weighted = block.weighted(posteriors)
    others = np.log(np.maximum(1.0 - posteriors[:, :K], LEAST_OTHERS))
    kept = [np.flatnonzero(own > negligible) for own in np.ascontiguousarray(posteriors.T)]
    return _OfBlock(
        [rows + block.offset for rows in kept],
        [weighted[rows, k] for k, rows in enumerate(kept)],
        -(others.sum(axis=0) if block.weights is None else block.weights @ others),
        posteriors[:, :K].T @ weighted[:, :K],
        float(len(posteriors) if block.weights is None else block.weights.sum()),
    )
