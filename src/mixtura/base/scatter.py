"""The detail in which second moments are summed up, and covariances stored."""

from __future__ import annotations

from enum import Enum

import numpy as np

from mixtura.base.arrays import Array


class Scatter(Enum):
    """Detail of the second moments that a family needs; DENSE contains all others."""

    TRACE = "trace"  # (K,)      sum over the columns
    DIAGONAL = "diagonal"  # (K,d)     one number per column
    TOTAL = "total"  # (d,d)     pooled over the components
    DENSE = "dense"  # (K,d,d)

    def shape(self, K: int, d: int) -> tuple[int, ...]:
        """Shape of the second moments of K components in d dimensions."""
        return {"trace": (K,), "diagonal": (K, d), "total": (d, d), "dense": (K, d, d)}[self.value]

    def of_vectors(self, weights: Array, vectors: Array) -> Array:
        """``weights_k v_k v_k'`` for vectors (K,d), in this detail."""
        if self in (Scatter.TRACE, Scatter.DIAGONAL):
            squares = weights[:, None] * vectors**2
            return np.asarray(squares.sum(axis=1) if self is Scatter.TRACE else squares)
        outer = weights[:, None, None] * vectors[:, :, None] * vectors[:, None, :]
        return np.asarray(outer.sum(axis=0) if self is Scatter.TOTAL else outer)

    def of_matrix(self, matrix: Array) -> Array:
        """A matrix (d,d) of one component, in this detail."""
        return np.asarray(
            {"trace": np.trace(matrix), "diagonal": np.diag(matrix)}.get(self.value, matrix)
        )
