"""Matching of components, and an order of components that no start decides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from conftest import two_groups
from mixtura import GaussianMixture, GaussianMixtureSelector, match
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.model_file import load_model, save_model
from mixtura.model.matching import bhattacharyya_distances


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
    # The distance of a Gaussian to itself is a difference of equal logarithms of about 1: rounding.
    np.testing.assert_allclose(found.distances, 0.0, atol=1e-12)
    assert found.reordered == (shuffled != np.arange(5)).any()


def test_components_far_apart_are_matched_by_their_distances():
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
    overlap, _ = quad(
        lambda x: np.sqrt(norm.pdf(x, 0.5, np.sqrt(2.0)) * norm.pdf(x, -1.0, np.sqrt(0.3))),
        -20,
        20,
        epsabs=1e-13,
    )
    # quad is exact to 1e-13 of an overlap of order one.
    assert bhattacharyya_distances(a, b)[0, 0] == pytest.approx(-np.log(overlap), rel=1e-10)
    assert match(a, b).hellinger[0] == pytest.approx(np.sqrt(1.0 - overlap), rel=1e-10)


def test_distances_are_symmetric_and_free_of_units():
    a, b = scattered(3, 2, 1), scattered(3, 2, 2)
    distances = bhattacharyya_distances(a, b)
    np.testing.assert_allclose(distances, bhattacharyya_distances(b, a).T, rtol=1e-9)
    units = np.array([1e3, 1e-4])

    def rescaled(mixture: Mixture) -> Mixture:
        return Mixture(
            mixture.weights,
            mixture.means * units,
            Dense(mixture.covariance.dense() * np.outer(units, units), 3),
        )

    np.testing.assert_allclose(
        bhattacharyya_distances(rescaled(a), rescaled(b)), distances, rtol=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_matching_is_symmetric(seed):
    a, b = scattered(5, 3, seed), scattered(4 + seed % 3, 3, seed + 100)
    there, back = match(a, b), match(b, a)
    for k, partner in enumerate(there.permutation):
        if partner >= 0:
            assert back.permutation[partner] == k
        else:
            assert k in back.unmatched
    # The same sums in another order: 1e-9 covers the condition of the pooled matrices.
    np.testing.assert_allclose(np.nansum(there.distances), np.nansum(back.distances), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_common_affine_transform_changes_nothing(seed):
    a, b = scattered(5, 3, seed), scattered(5, 3, seed + 50)
    rng = np.random.default_rng(seed)
    A, shift = rng.standard_normal((3, 3)) + 3.0 * np.eye(3), 10.0 * rng.standard_normal(3)

    def moved(mixture: Mixture) -> Mixture:
        return Mixture(
            mixture.weights,
            mixture.means @ A.T + shift,
            Dense(A @ mixture.covariance.dense() @ A.T, 5),
        )

    before, after = match(a, b), match(moved(a), moved(b))
    np.testing.assert_array_equal(after.permutation, before.permutation)
    # Rounding, times the condition of A.
    np.testing.assert_allclose(after.distances, before.distances, rtol=1e-8)


@pytest.mark.parametrize("kept", [[3], [4, 0], [2, 3, 1, 0]])
def test_fewer_components_find_their_partners_and_the_others_have_none(kept):
    a = scattered(5, 2, 7)
    part = a.select(np.array(kept))
    found = match(a, part)
    assert [found.permutation[k] for k in kept] == list(range(len(kept)))
    assert (found.permutation >= 0).sum() == len(kept)
    np.testing.assert_array_equal(np.isnan(found.distances), found.permutation < 0)
    assert len(found.unmatched) == 0
    back = match(part, a)
    assert back.permutation.tolist() == kept
    assert back.unmatched.tolist() == sorted(set(range(5)) - set(kept))
    assert back.order.tolist() == [*kept, *back.unmatched.tolist()]


def test_weights_decide_where_gaussians_are_equal():
    line = Spherical(np.ones(1), 3, 1)
    a = Mixture(np.array([0.5, 0.2, 0.3]), np.array([[0.0], [0.0], [4.0]]), line)
    b = a.select(np.array([1, 2, 0]))
    assert match(a, b).permutation.tolist() == [2, 0, 1]


def test_weights_do_not_decide_where_gaussians_differ():
    line = Spherical(np.ones(1), 2, 1)
    a = Mixture(np.array([0.9, 0.1]), np.array([[0.0], [0.01]]), line)
    b = Mixture(np.array([0.1, 0.9]), np.array([[0.0], [0.01]]), line)
    assert match(a, b).permutation.tolist() == [0, 1]


def test_estimators_selectors_results_and_models_can_be_matched(tmp_path):
    X = two_groups(200)
    a = GaussianMixture(2, random_state=0).fit(X)
    b = GaussianMixture(2, init_params=1 - a.predict(X)).fit(X)
    chosen = GaussianMixtureSelector([2], families=["VVV"], random_state=0).fit(X)
    assert match(a, b).permutation.tolist() == [1, 0]
    assert match(a.result_, b.mixture_).permutation.tolist() == [1, 0]
    assert match(chosen, a).distances.max() < 1e-4
    save_model(tmp_path / "b.safetensors", b.mixture_, family="VVV", feature_names=["x", "y"])
    assert match(a, load_model(tmp_path / "b.safetensors")).permutation.tolist() == [1, 0]
    with pytest.raises(TypeError, match=r"a ndarray without a mixture came"):
        match(a, X)


def test_mixtures_over_different_columns_are_refused():
    with pytest.raises(ValueError, match="they have 2 and 3 of them"):
        match(scattered(3, 2), scattered(3, 3))


# ---- a stable order ------------------------------------------------------------------------------


def test_components_are_ordered_by_weight_and_equal_weights_by_means():
    means = np.array([[1.0, 5.0], [0.0, 9.0], [0.0, 2.0], [7.0, 7.0]])
    mixture = Mixture(np.array([0.2, 0.2, 0.2, 0.4]), means, Spherical(np.ones(4), 4, 2))
    assert mixture.order_by_weight().tolist() == [3, 2, 1, 0]
    for permutation in itertools.permutations(range(4)):
        again = mixture.select(np.array(permutation))
        np.testing.assert_array_equal(
            again.select(again.order_by_weight()).means, means[[3, 2, 1, 0]]
        )


def test_rounding_of_equal_weights_does_not_decide_the_order():
    mixture = Mixture(
        np.array([0.5 - 1e-15, 0.5 + 1e-15]), np.array([[0.0], [1.0]]), Spherical(np.ones(2), 2, 1)
    )
    assert mixture.order_by_weight().tolist() == [0, 1]


@pytest.mark.parametrize("labels", list(itertools.permutations(range(3))))
def test_an_ordered_fit_does_not_depend_on_the_labels_of_its_start(labels):
    X = np.concatenate([two_groups(300), two_groups(40) - 8.0])
    groups = np.repeat([0, 1, 2], [150, 150, 40])
    fit = GaussianMixture(3, init_params=np.array(labels)[groups], component_order="weight").fit(X)
    reference = GaussianMixture(3, init_params=groups, component_order="weight").fit(X)
    assert (np.diff(fit.weights_) <= 0).all()
    # Sums over components in another order differ by rounding, which each iteration carries on.
    np.testing.assert_allclose(fit.means_, reference.means_, atol=1e-8)
    np.testing.assert_array_equal(fit.predict(X), reference.predict(X))
    assert [part.weight for part in fit.certificate_.components] == fit.weights_.tolist()


def test_the_selector_orders_every_candidate():
    X = np.concatenate([two_groups(300), two_groups(40) - 8.0])
    chosen = GaussianMixtureSelector(
        [2, 3, 4], families=["VVI"], component_order="weight", random_state=0
    ).fit(X)
    for cell in chosen.selection_.candidates:
        assert (np.diff(cell.fit.mixture.weights) <= 0).all()
    assert chosen.best_estimator_.component_order == "weight"
    assert (np.diff(chosen.best_estimator_.weights_) <= 0).all()


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixture(2, component_order=True),
        GaussianMixtureSelector(2, component_order=1.5),
    ],
)
def test_an_unknown_order_is_refused(estimator):
    with pytest.raises(ValueError, match="component_order must be 'weight', a column"):
        estimator.fit(two_groups(40))


def test_a_warm_start_with_one_component_more_keeps_the_labels_of_the_others():
    X = np.concatenate([two_groups(300), two_groups(40) - 8.0])
    model = GaussianMixture(
        2, init_params=np.repeat([1, 0, 0], [150, 150, 40]), warm_start=True
    ).fit(X)
    before = model.means_
    model.set_params(n_components=3, init_params="auto", random_state=0).fit(X)
    assert np.abs(model.means_[1] - before[1]).max() < 0.5
    assert match(
        Mixture(np.ones(2) / 2, before, Spherical(np.ones(1), 2, 2)), model
    ).permutation.tolist() == [0, 1]
