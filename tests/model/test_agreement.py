"""The adjusted Rand index, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mixtura.model.agreement import adjusted_rand_index


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_index_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(rng.integers(1, 6), size=rng.integers(2, 300))
    second = np.where(
        rng.random(len(first)) < rng.random(),
        first,
        rng.integers(rng.integers(1, 6), size=len(first)),
    )
    # Sums of whole numbers are exact in doubles; the quotient is rounded.
    assert adjusted_rand_index(first, second) == pytest.approx(
        adjusted_rand_score(first, second), abs=1e-14
    )


@pytest.mark.parametrize("labels", [[0], [3, 3, 3], [0, 1, 2]])
def test_a_partition_agrees_with_itself(labels):
    assert adjusted_rand_index(np.array(labels), np.array(labels)) == 1.0
