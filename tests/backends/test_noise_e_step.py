"""E-steps with a noise term: agreement with ``reference``, and the plain E-step as the limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conftest import ALL_BACKENDS
from mixtura.backends import NativeBackend, ReferenceBackend, backend_named
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.kernels import built
from mixtura.model.moments import Moments
from mixtura.model.observation import Observation
from mixtura.sources import ArraySource

native = pytest.mark.skipif(not built, reason="built without a C++ compiler")
SHAPES = [(127, 1, 1), (4097, 2, 3), (500, 5, 4), (3000, 3, 20)]
FIELDS = ("counts", "first", "second", "log_likelihood", "entropy", "certainty", "noise")


def rows_of(n: int, d: int, missing: bool = False) -> np.ndarray:
    """Half of the rows about the origin, half spread out."""
    rng = np.random.default_rng(n)
    X = np.concatenate([rng.standard_normal((n // 2, d)), rng.uniform(-8, 8, (n - n // 2, d))])
    if missing:
        X[rng.random(X.shape) < 0.25] = np.nan
    return X


def mixtures(d: int, K: int, share: float = 0.3) -> list[Mixture]:
    """One mixture of each stored form, own and shared."""
    rng = np.random.default_rng(d * 100 + K)
    root = rng.standard_normal((K, d, d))
    dense = root @ root.transpose(0, 2, 1) + np.eye(d)
    forms = [
        Spherical(rng.uniform(0.5, 2, K), K, d),
        Diagonal(rng.uniform(0.5, 2, (K, d)), K),
        Dense(dense, K),
        Spherical(np.ones(1), K, d),
        Diagonal(np.ones((1, d)), K),
        Dense(dense[:1], K),
    ]
    weights, means = rng.dirichlet(np.ones(K)), rng.standard_normal((K, d))
    noise = Noise(share, np.log(np.linspace(10.0, 20.0, d)), np.zeros(d))
    return [Mixture((1.0 - share) * weights, means, form, noise) for form in forms]


def differences(one: Moments, other: Moments) -> float:
    """Largest difference of two sets of moments, relative to the largest number in each field."""
    pairs = [(np.asarray(getattr(one, name)), np.asarray(getattr(other, name))) for name in FIELDS]
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(a).max())) for a, b in pairs)


@pytest.mark.parametrize("kind", list(Scatter), ids=lambda kind: kind.value)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@native
def test_native_moments_agree_with_reference(shape, weighted, kind):
    n, d, K = shape
    weights = np.random.default_rng(1).integers(0, 4, n).astype(float) if weighted else None
    source = ArraySource(rows_of(n, d), weights)
    for mixture in mixtures(d, K):
        # both sum n terms: n eps with room for the different order
        assert differences(
            ReferenceBackend().moments(source, mixture, kind),
            NativeBackend(1).moments(source, mixture, kind),
        ) < 1e-12 * max(n, 10)


@pytest.mark.parametrize("kind", [Scatter.DENSE, Scatter.DIAGONAL], ids=lambda kind: kind.value)
@native
def test_incomplete_rows_agree_with_reference(kind):
    X = rows_of(900, 3, missing=True)
    X[5] = np.nan  # a row without any value
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 900)
    source = ArraySource(X, weights, Observation.of(X))
    block = next(source.blocks())
    for mixture in mixtures(3, 4):
        slow, fast = ReferenceBackend(), NativeBackend(2)
        assert (
            differences(slow.moments(source, mixture, kind), fast.moments(source, mixture, kind))
            < 1e-10
        )
        np.testing.assert_allclose(
            slow.log_joint(block, mixture), fast.log_joint(block, mixture), rtol=1e-10
        )


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_an_incomplete_row_has_the_noise_of_its_observed_columns(backend):
    mixture = mixtures(3, 2)[2]
    X = np.array([[0.0, np.nan, 1.0], [np.nan, np.nan, np.nan]])
    block = next(ArraySource(X, observation=Observation.of(X)).blocks())
    noise = backend_named(backend, 1).log_joint(block, mixture)[:, -1]
    sides = mixture.noise.log_sides
    expected = [np.log(0.3) - sides[0] - sides[2], np.log(0.3)]
    np.testing.assert_allclose(noise, expected, rtol=1e-14)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_sums_are_those_of_the_posteriors(backend):
    X, mixture = rows_of(300, 2), mixtures(2, 3)[2]
    r = mixture.posterior(X)
    moments = backend_named(backend, 1).moments(ArraySource(X), mixture, Scatter.TRACE)
    np.testing.assert_allclose(moments.counts, r[:, :3].sum(axis=0), rtol=1e-12)
    assert moments.noise == pytest.approx(r[:, 3].sum(), rel=1e-12)
    assert moments.total == pytest.approx(300.0, rel=1e-12)
    assert moments.log_likelihood == pytest.approx(mixture.log_density(X).sum(), rel=1e-12)
    assert moments.entropy == pytest.approx(-(r * np.log(r)).sum(), rel=1e-10)
    assert moments.certainty == pytest.approx(np.log(r.max(axis=1)).sum(), rel=1e-10)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_a_weight_of_zero_is_the_plain_e_step(backend):
    source = ArraySource(rows_of(500, 2))
    for mixture in mixtures(2, 3, share=0.0):
        plain, zero = (
            backend_named(backend, 1).moments(source, one, Scatter.DENSE)
            for one in (replace(mixture, noise=None), mixture)
        )
        assert differences(plain, zero) == 0.0


@native
def test_threads_change_no_bit():
    source = ArraySource(rows_of(100_000, 2))
    for mixture in mixtures(2, 3):
        one, four = (NativeBackend(t).moments(source, mixture, Scatter.DENSE) for t in (1, 4))
        assert differences(one, four) == 0.0


@native
def test_float32_products_are_good_to_their_rounding():
    """Sums over 512 rows in float32 are merged in float64: about 1e-6 of each."""
    source = ArraySource(rows_of(50_000, 3))
    for mixture in mixtures(3, 4):
        single, double = (
            NativeBackend(1, single=flag).moments(source, mixture, Scatter.DENSE)
            for flag in (True, False)
        )
        assert differences(single, double) < 1e-5
        assert single.noise != double.noise  # it was in float32


@native
def test_a_component_far_from_all_rows_is_not_lost_in_the_noise():
    """Its count is far below its share, so nothing may be left out of it."""
    X = rows_of(2000, 2)
    noise = Noise(0.5, np.log([20.0, 20.0]), np.zeros(2))
    means = np.array([[0.0, 0.0], [0.0, 13.0]])
    mixture = Mixture(np.array([0.25, 0.25]), means, Spherical(np.array([1.0, 0.1]), 2, 2), noise)
    slow, fast = (
        backend.moments(ArraySource(X), mixture, Scatter.DENSE)
        for backend in (ReferenceBackend(), NativeBackend(1))
    )
    assert slow.counts[1] < 1e-20
    np.testing.assert_allclose(fast.counts, slow.counts, rtol=1e-9)


@native
def test_rows_that_are_completed_one_by_one_agree_with_reference():
    """Many patterns with a few rows each."""
    X = rows_of(200, 7, missing=True)
    source = ArraySource(X, None, Observation.of(X))
    assert len(Observation.of(X).columns) > 50
    mixture = mixtures(7, 3)[2]
    slow, fast = (
        backend.moments(source, mixture, Scatter.DENSE)
        for backend in (ReferenceBackend(), NativeBackend(2))
    )
    assert differences(slow, fast) < 1e-10
    assert slow.noise > 10.0


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_a_row_of_a_known_class_is_not_noise(backend):
    X = np.full((4, 2), 9.0)
    X[2, 1] = X[3] = np.nan
    classes = np.ones((4, 2))
    classes[[0, 2, 3], 1] = 0.0
    observation = Observation.of(X, classes=classes)
    mixture = mixtures(2, 2)[2]
    source = ArraySource(X, observation=observation)
    own = backend_named(backend, 1)
    joint = own.log_joint(next(source.blocks()), mixture)
    assert (joint[[0, 2, 3], 2] == -np.inf).all()
    assert joint[1, 2] == pytest.approx(mixture.noise.log_joint)
    moments = own.moments(source, mixture, Scatter.DENSE)
    assert 0.9 < moments.noise < 1.0
    assert moments.counts.sum() == pytest.approx(4.0 - moments.noise)
