"""Two mixtures, one order of components."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mixtura import match
from mixtura.covariance import Dense, Diagonal, Spherical
from mixtura.matching import bhattacharyya_distances
from mixtura.mixture import Mixture


def scattered(K: int, d: int, seed: int = 0) -> Mixture:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((K, d, d))
    matrices = factors @ np.swapaxes(factors, 1, 2) + np.eye(d)
    return Mixture(rng.dirichlet(np.ones(K)), 3.0 * rng.standard_normal((K, d)), Dense(matrices, K))


@pytest.mark.parametrize("seed", range(5))
def test_a_permuted_mixture_is_put_back_in_order(seed):
    a = scattered(5, 3, seed)
    shuffled = np.random.default_rng(seed).permutation(5)
    found = match(a, a.select(shuffled))
    np.testing.assert_array_equal(a.select(shuffled).select(found.permutation).means, a.means)
    # The distance of a Gaussian to itself is a difference of logarithms of about 1: nothing but rounding is left.
    np.testing.assert_allclose(found.distances, 0.0, atol=1e-12)
    assert found.moved == (shuffled != np.arange(5)).any()


def test_components_far_apart_are_still_told_apart():
    """The Hellinger distance of every pair would be 1 to the last digit."""
    line = Spherical(np.ones(1), 3, 1)
    a = Mixture(np.full(3, 1 / 3), np.array([[0.0], [100.0], [200.0]]), line)
    b = Mixture(np.full(3, 1 / 3), np.array([[240.0], [40.0], [140.0]]), line)
    found = match(a, b)
    assert found.permutation.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(found.hellinger, 1.0)


def test_distances_are_minus_the_log_of_the_overlap():
    a = Mixture(np.ones(1), np.array([[0.5]]), Spherical(np.array([2.0]), 1, 1))
    b = Mixture(np.ones(1), np.array([[-1.0]]), Diagonal(np.array([[0.3]]), 1))
    overlap, _ = quad(lambda x: np.sqrt(norm.pdf(x, 0.5, np.sqrt(2.0)) * norm.pdf(x, -1.0, np.sqrt(0.3))), -20, 20, epsabs=1e-13)
    # quad is exact to 1e-13 of an overlap of order one.
    assert bhattacharyya_distances(a, b)[0, 0] == pytest.approx(-np.log(overlap), rel=1e-10)
    assert match(a, b).hellinger[0] == pytest.approx(np.sqrt(1.0 - overlap), rel=1e-10)


def test_distances_are_symmetric_and_free_of_units():
    a, b = scattered(3, 2, 1), scattered(3, 2, 2)
    distances = bhattacharyya_distances(a, b)
    np.testing.assert_allclose(distances, bhattacharyya_distances(b, a).T, rtol=1e-9)
    units = np.array([1e3, 1e-4])

    def rescaled(mixture: Mixture) -> Mixture:
        return Mixture(mixture.weights, mixture.means * units, Dense(mixture.covariance.dense() * np.outer(units, units), 3))

    np.testing.assert_allclose(bhattacharyya_distances(rescaled(a), rescaled(b)), distances, rtol=1e-9)


def test_mixtures_of_different_shape_are_refused_in_words():
    with pytest.raises(ValueError, match="equally many components"):
        match(scattered(3, 2), scattered(2, 2))
