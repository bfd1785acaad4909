"""The noise term of a mixture: density, marginals, selections and random rows."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of
from mixtura.distribution.noise import Noise
from mixtura.model.moments import Moments


def noisy(weight: float = 0.3, K: int = 3, d: int = 2) -> Mixture:
    rng = np.random.default_rng(d)
    root = rng.standard_normal((K, d, d))
    own = (1.0 - weight) * rng.dirichlet(np.ones(K))
    box = Noise(weight, np.log(np.arange(4.0, 4.0 + d)), np.full(d, 0.5))
    means = 3.0 * rng.standard_normal((K, d))
    return Mixture(own, means, Dense(root @ root.transpose(0, 2, 1) + np.eye(d), K), box)


def test_density_is_that_of_the_components_plus_weight_over_volume():
    mixture, rows = noisy(), np.random.default_rng(0).standard_normal((50, 2))
    components = np.exp(mixture.without_noise.log_density(rows))
    expected = 0.7 * components + 0.3 / (4.0 * 5.0)
    np.testing.assert_allclose(np.exp(mixture.log_density(rows)), expected, rtol=1e-12)


def test_posteriors_sum_to_one_and_have_the_noise_last():
    mixture = noisy()
    rows = np.array([[0.0, 0.0], [1e9, -1e9], [1e300, 0.0]])
    shares = mixture.posterior(rows)
    assert shares.shape == (3, 4)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    assert labels_of(shares, mixture).tolist()[1:] == [-1, -1]


def test_a_weight_of_zero_changes_no_posterior():
    mixture, rows = noisy(0.0), np.array([[0.0, 1.0], [2.0, -3.0], [1e200, 1e200]])
    shares = mixture.posterior(rows)
    np.testing.assert_array_equal(shares[:, :3], mixture.without_noise.posterior(rows))
    assert (shares[:, 3] == 0.0).all()


def test_a_marginal_is_the_integral_over_the_other_column():
    """Inside of the box, where the density of the noise is that of the box."""
    mixture = noisy(0.3)
    assert mixture.noise is not None
    at = np.array([0.5])
    low, high = 0.5 - 5.0 / 2, 0.5 + 5.0 / 2
    grid = np.linspace(low, high, 20_001)
    rows = np.stack([np.full_like(grid, at[0]), grid], axis=1)
    noise = np.exp(mixture.log_joint(rows)[:, -1])
    marginal = mixture.marginal(np.array([0]))
    integral = float(np.trapezoid(noise, grid))
    assert np.exp(marginal.log_joint(at[None])[0, -1]) == pytest.approx(integral, rel=1e-9)


def test_selections_keep_the_weight_of_the_noise():
    mixture = noisy()
    for components in ([2, 0, 1], [1], [2, 1]):
        chosen = mixture.select(np.array(components))
        assert chosen.noise is mixture.noise
        assert chosen.weights.sum() + chosen.noise.weight == pytest.approx(1.0, abs=1e-14)


def test_random_rows_have_the_share_and_the_box_of_the_noise():
    mixture = noisy(0.3)
    rows, labels = mixture.sample(40_000, np.random.default_rng(0))
    noise = rows[labels == -1]
    assert (np.diff(labels[labels >= 0]) >= 0).all()
    assert (labels[-len(noise) :] == -1).all()
    # five standard errors of a share and of the mean of a uniform variable
    assert abs(len(noise) / 40_000 - 0.3) < 5.0 * np.sqrt(0.21 / 40_000)
    sides = np.array([4.0, 5.0])
    assert (np.abs(noise - 0.5) <= sides / 2).all()
    assert (np.abs(noise.mean(axis=0) - 0.5) < 5.0 * sides / np.sqrt(12 * len(noise))).all()


def test_volume_is_the_product_of_the_sides():
    assert noisy().noise.volume == pytest.approx(20.0)


def test_moments_with_noise_add_up():
    about = np.zeros((2, 1))
    one = Moments.zeros(about, Scatter.TRACE).with_noise(3.0)
    assert (one + one).noise == 6.0
    assert (one * 0.5).noise == 1.5
    assert (one + one).total == 6.0


def test_proportions_are_of_all_rows():
    counts = np.array([3.0, 1.0])
    moments = Moments(
        np.zeros((2, 1)), counts, np.zeros((2, 1)), np.ones(2), Scatter.TRACE, noise=4
    )
    assert moments.weights.tolist() == [0.375, 0.125]
    assert moments.in_components == 4.0


def test_order_by_weight_leaves_the_noise_out():
    mixture = Mixture(
        np.array([0.1, 0.3]), np.zeros((2, 1)), Spherical(np.ones(2), 2, 1), noisy(0.6, d=1).noise
    )
    assert mixture.order_by_weight().tolist() == [1, 0]
