"""The order of components: by falling weight, or by their means in one column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Labels
from mixtura.distribution.mixture import Mixture


@dataclass(frozen=True)
class ComponentSort:
    """A sort of components that does not depend on the order in which they come.

    Attributes
    ----------
    column : int, optional
        The column whose means rise; None sorts by falling weight.
    """

    column: int | None = None

    def of(self, mixture: Mixture) -> Labels:
        """The permutation (K,) that sorts the components of a mixture.

        Equal means of the column are sorted by the other columns, first column first, then by
        falling weight.
        """
        if self.column is None:
            return mixture.order_by_weight()
        first = [self.column]
        others = [j for j in range(mixture.n_features) if j != self.column]
        keys = [mixture.means[:, j] for j in (*first, *others)]
        return np.lexsort([-mixture.weights, *reversed(keys)])
