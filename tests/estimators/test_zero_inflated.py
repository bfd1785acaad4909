"""Zero-inflated data: a value that many rows share is a group, found by default and by BIC."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mixtura import GaussianMixture, GaussianMixtureSelector


def inflated(
    d: int, zeros: float, groups: int, in_all_columns: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian groups, and rows that are zero in all columns or in the first one alone."""
    rng = np.random.default_rng(d)
    n = 400
    labels = np.where(rng.random(n) < zeros, -1, rng.integers(0, groups, n))
    X = rng.standard_normal((n, d)) + 4.0 + 6.0 * np.maximum(labels, 0)[:, None]
    X[labels < 0, : d if in_all_columns else 1] = 0.0
    return X, labels


@pytest.mark.parametrize("zeros", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(1, True), (2, True), (4, True), (3, False)], ids=str)
def test_groups_beside_zeros_are_found(shape, groups, zeros):
    X, labels = inflated(*(shape[0], zeros, groups, shape[1]))
    K = groups + 1
    fits = [GaussianMixture(k, random_state=0).fit(X) for k in range(1, K + 2)]
    fit = fits[K - 1]
    assert adjusted_rand_score(labels, fit.predict(X)) > 0.97
    assert int(np.argmin([one.bic(X) for one in fits])) + 1 == K
    (point,) = [part for part in fit.certificate_.components if part.kind == "point mass"]
    assert point.count == pytest.approx((labels < 0).sum(), abs=0.5)
    assert f"{(labels < 0).sum()} rows have exactly the value 0" in fit.certificate_.verdict


@pytest.mark.parametrize("zeros", [0.1, 0.8])
def test_the_selector_finds_zeros_beside_two_groups(zeros):
    X, labels = inflated(2, zeros, 2, True)
    choice = GaussianMixtureSelector(range(1, 5), random_state=0).fit(X)
    assert choice.selection_.best.n_components == 3
    assert adjusted_rand_score(labels, choice.predict(X)) > 0.97
    assert "point mass" in {part.kind for part in choice.best_estimator_.certificate_.components}
