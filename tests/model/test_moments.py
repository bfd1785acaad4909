"""Laws of moments: sums, other points, and less detail."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura.base.scatter import Scatter
from mixtura.model.moments import Moments


def some(kind: Scatter, n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Moments]:
    rng = np.random.default_rng(seed)
    X, r = rng.standard_normal((n, 3)), rng.dirichlet(np.ones(2), n)
    return X, r, Moments.of(X, r, rng.standard_normal((2, 3)), kind)


@pytest.mark.parametrize("kind", list(Scatter), ids=lambda kind: kind.value)
def test_scatter_is_the_weighted_scatter_about_the_new_means(kind):
    X, r, moments = some(kind)
    means = r.T @ X / r.sum(axis=0)[:, None]
    dense = np.stack([((X - m) * w[:, None]).T @ (X - m) for m, w in zip(means, r.T, strict=True)])
    expected = {
        Scatter.DENSE: dense,
        Scatter.TOTAL: dense.sum(axis=0),
        Scatter.DIAGONAL: np.einsum("kjj->kj", dense),
        Scatter.TRACE: np.einsum("kjj->k", dense),
    }[kind]
    np.testing.assert_allclose(moments.means, means, rtol=1e-13)
    np.testing.assert_allclose(moments.scatter, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", list(Scatter), ids=lambda kind: kind.value)
def test_moments_about_other_points_give_the_same_means_and_scatter(kind):
    _, _, moments = some(kind)
    moved = moments.taken_about(moments.about + 0.3)
    np.testing.assert_allclose(moved.means, moments.means, rtol=1e-13)
    np.testing.assert_allclose(moved.scatter, moments.scatter, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "kind", [Scatter.TRACE, Scatter.DIAGONAL, Scatter.TOTAL], ids=lambda kind: kind.value
)
def test_moments_in_less_detail_are_those_accumulated_in_less_detail(kind):
    np.testing.assert_allclose(
        some(Scatter.DENSE)[2].summarised(kind).scatter, some(kind)[2].scatter, rtol=1e-12
    )


def test_twice_the_moments_are_the_moments_of_repeated_rows():
    X, r, moments = some(Scatter.DENSE)
    twice = Moments.of(np.concatenate([X, X]), np.concatenate([r, r]), moments.about, Scatter.DENSE)
    np.testing.assert_allclose((moments * 2.0).second, twice.second, rtol=1e-13)


def test_moments_about_different_points_do_not_add():
    _, _, moments = some(Scatter.DENSE)
    with pytest.raises(ValueError, match="same points"):
        moments + moments.taken_about(moments.about + 1.0)


def test_labels_are_hard_responsibilities():
    X, _, moments = some(Scatter.DENSE)
    labels = np.arange(len(X)) % 2
    hard = Moments.of(X, np.eye(2)[labels], moments.about, Scatter.DENSE)
    np.testing.assert_allclose(
        Moments.of_labels(X, labels, None, moments.about, Scatter.DENSE).second,
        hard.second,
        rtol=1e-13,
    )


def test_an_empty_component_keeps_its_mean():
    moments = Moments.zeros(np.array([[1.0, 2.0]]), Scatter.TRACE)
    np.testing.assert_array_equal(moments.means, [[1.0, 2.0]])
