"""The E-step of t components: native against reference, and the laws of its sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from conftest import ALL_BACKENDS, dataset
from mixtura.backends import backend_named
from mixtura.base.scatter import Scatter
from mixtura.data.noise_box import noise_box
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.kernels import built
from mixtura.model.observation import Observation
from mixtura.model.protocols import Block
from mixtura.sources import ArraySource

SUMS = (
    "counts",
    "first",
    "second",
    "pulls",
    "tail_sums",
    "tail_information",
    "log_likelihood",
    "entropy",
    "certainty",
    "noise",
)


def mixture_of(K: int, d: int, kind: Scatter, seed: int = 0) -> Mixture:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((K, d, d))
    full = A @ A.transpose(0, 2, 1) + np.eye(d)
    covariance = {
        Scatter.DENSE: Dense(full, K),
        Scatter.TOTAL: Dense(full[:1], K),
        Scatter.DIAGONAL: Diagonal(rng.uniform(0.5, 2.0, (K, d)), K),
        Scatter.TRACE: Spherical(rng.uniform(0.5, 2.0, K), K, d),
    }[kind]
    weights = rng.dirichlet(np.full(K, 5.0))
    return Mixture(weights, rng.normal(0, 2, (K, d)), covariance, tails=rng.uniform(2.0, 60.0, K))


def source_of(rows, weights=None) -> ArraySource:
    return ArraySource(np.ascontiguousarray(rows), weights, observation=Observation.of(rows))


def with_holes(rows: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(rows.shape) < 0.3, np.nan, rows)


@pytest.mark.skipif(not built, reason="no C++ compiler")
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", list(Scatter))
@pytest.mark.parametrize(("K", "d"), [(1, 1), (3, 2), (4, 10), (20, 3)])
def test_native_agrees_with_reference(K, d, kind, holes, noisy):
    mixture, rng = mixture_of(K, d, kind), np.random.default_rng(1)
    rows = mixture.sample(1200, rng)[0]
    if noisy:
        noise = noise_box(dataset(rows), "box").with_weight(0.2)
        mixture = replace(mixture, weights=0.8 * mixture.weights, noise=noise)
    source = source_of(with_holes(rows) if holes else rows, rng.uniform(0.0, 2.0, 1200))
    reference, native = (backend_named(name, 2) for name in ("reference", "native"))
    expected, found = (one.moments(source, mixture, kind) for one in (reference, native))
    for name in SUMS:
        # scores by e are nu^2 times sums that cancel
        scale = max(np.abs(getattr(expected, name)).max(), 1e-300) * (
            100.0 if name == "tail_sums" else 1.0
        )
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=0, atol=1e-11 * scale, err_msg=name
        )
    (block,) = source.blocks()
    np.testing.assert_allclose(
        native.log_joint(block, mixture), reference.log_joint(block, mixture), atol=1e-11
    )


@pytest.mark.skipif(not built, reason="no C++ compiler")
def test_threads_change_no_bit_and_float32_products_are_off():
    mixture = mixture_of(3, 4, Scatter.DENSE)
    source = source_of(mixture.sample(40_000, np.random.default_rng(0))[0])
    one, two = (backend_named("native", n) for n in (1, 2))
    found = [
        backend.moments(source, mixture, Scatter.DENSE)
        for backend in (one, two, two.reduced(source))
    ]
    for name in SUMS:
        for other in found[1:]:
            np.testing.assert_array_equal(getattr(found[0], name), getattr(other, name))


@pytest.mark.parametrize("holes", [False, True])
def test_a_weight_of_two_is_a_repeated_row_and_parts_add_up(backend, holes):
    mixture, kind = mixture_of(3, 3, Scatter.DENSE), Scatter.DENSE
    rows = mixture.sample(200, np.random.default_rng(0))[0]
    rows = with_holes(rows) if holes else rows
    engine = backend_named(backend, 1)
    weights = np.repeat([2.0, 1.0], 100)
    whole = engine.moments(source_of(rows, weights), mixture, kind)
    repeated = engine.moments(source_of(np.concatenate([rows[:100], rows])), mixture, kind)
    parts = [
        engine.moments(source_of(rows[part]), mixture, kind)
        for part in (slice(100), slice(100, 200))
    ]
    added = parts[0] * 2.0 + parts[1]
    for name in SUMS:
        for other in (repeated, added):
            np.testing.assert_allclose(
                getattr(other, name), getattr(whole, name), rtol=1e-11, atol=1e-10, err_msg=name
            )


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_the_density_of_a_row_with_a_missing_entry_is_an_integral(name):
    mixture = mixture_of(2, 2, Scatter.DENSE)
    rows = np.array([[0.3, np.nan], [np.nan, -4.0], [np.nan, np.nan]])
    block = Block(rows, None, 0, Observation.of(rows))
    found = log_density(backend_named(name, 1).log_joint(block, mixture))

    def density(x, y):
        return float(np.exp(mixture.log_density(np.array([[x, y]])))[0])

    first = quad(lambda y: density(0.3, y), -np.inf, np.inf, limit=400)[0]
    second = quad(lambda x: density(x, -4.0), -np.inf, np.inf, limit=400)[0]
    np.testing.assert_allclose(found, [np.log(first), np.log(second), 0.0], atol=1e-7)


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_measurement_errors_are_refused(name):
    mixture, rows = mixture_of(2, 2, Scatter.DENSE), np.zeros((4, 2))
    block = Block(rows, None, 0, Observation.of(rows, np.ones(4)))
    with pytest.raises(ValueError, match="without measurement errors"):
        backend_named(name, 1).log_joint(block, mixture)
