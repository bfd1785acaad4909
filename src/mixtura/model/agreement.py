"""Agreement of two partitions of the same rows."""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Labels


def adjusted_rand_index(first: Labels, second: Labels) -> float:
    """1 for the same partition, 0 on average for two independent ones (Hubert & Arabie 1985).

    The same as ``sklearn.metrics.adjusted_rand_score``, without the import of
    ``sklearn.metrics``.

    Parameters
    ----------
    first, second : (n,)
        A label for each row.

    Examples
    --------
    >>> import numpy as np
    >>> adjusted_rand_index(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2]))
    1.0
    """
    a, b = (np.unique(labels, return_inverse=True)[1] for labels in (first, second))
    table = np.bincount(a * (b.max(initial=0) + 1) + b)
    both, of_first, of_second = (
        _pairs(counts) for counts in (table, np.bincount(a), np.bincount(b))
    )
    expected = of_first * of_second / max(_pairs(np.array([len(a)])), 1.0)
    largest = (of_first + of_second) / 2
    return 1.0 if largest == expected else (both - expected) / (largest - expected)


def _pairs(counts: Labels) -> float:
    """Pairs of rows within groups of these sizes."""
    sizes = counts.astype(np.float64)
    return float((sizes * (sizes - 1)).sum() / 2)
