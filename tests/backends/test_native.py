"""What the kernels save: agreement with ``reference`` where work is left out, shared, or done in
float32; elementary functions.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mixtura.backends import NativeBackend, ReferenceBackend, build_info
from mixtura.backends.native import ROWS_WORTH_A_THREAD
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import em
from mixtura.em.stopping import SmallChange
from mixtura.families import FAMILIES
from mixtura.kernels import built, native
from mixtura.model.moments import Moments
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

pytestmark = pytest.mark.skipif(not built, reason="built without a C++ compiler")
EPS32 = float(np.finfo(np.float32).eps)


def both(
    X: np.ndarray, mixture: Mixture, kind: Scatter, single: bool = False
) -> tuple[Moments, Moments]:
    return ReferenceBackend().moments(ArraySource(X), mixture, kind), NativeBackend(
        2, single
    ).moments(ArraySource(X), mixture, kind)


def shortcuts(
    X: np.ndarray, mixture: Mixture, kind: Scatter, single: bool = False
) -> dict[str, int]:
    return NativeBackend(1, single).shortcuts(next(ArraySource(X).blocks()), mixture, kind)


def worst(one: Moments, other: Moments) -> float:
    """The largest difference of the M-step's numbers, each in its component's own units, and of the
    log-likelihood.

    Components of less than one row but of some are asked for their counts alone: a single row has
    no scatter to be measured by.
    """
    level = abs(one.log_likelihood - other.log_likelihood) / abs(one.log_likelihood)
    smallest = np.finfo(
        np.float64
    ).tiny  # of a component that is out of reach for every row nothing is left
    counts = np.abs(one.counts - other.counts) / np.maximum(one.counts, smallest)
    many = (one.counts > 1.0) | (one.n_components == 2)
    if one.kind is Scatter.TOTAL:
        spread = np.full(one.n_components, np.abs(one.scatter).max())
        scatter, per_row = np.abs(one.scatter - other.scatter).max() / spread, spread / one.total
    else:
        spread = np.abs(one.scatter).reshape(one.n_components, -1).max(axis=1)
        scatter, per_row = (
            np.abs(one.scatter - other.scatter).reshape(len(spread), -1).max(axis=1),
            spread / np.maximum(one.counts, smallest),
        )
        scatter = scatter[many] / spread[many]
    means = np.abs(one.means - other.means).max(axis=1)[many] / np.sqrt(per_row[many])
    return float(max(level, counts.max(), means.max(), scatter.max()))


def clusters(n: int, d: int, K: int, apart: float, seed: int = 0) -> tuple[np.ndarray, Mixture]:
    """K round groups in random order and the mixture they come from."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((K, d)) * apart
    X = means[rng.integers(0, K, n)] + rng.standard_normal((n, d))
    return X, Mixture(np.full(K, 1.0 / K), means, Dense(np.repeat(np.eye(d)[None], K, axis=0), K))


# ---- work that need not be done ------------------------------------------------------------------


@pytest.mark.parametrize("apart", [1.0, 10.0, 100.0])
@pytest.mark.parametrize(("d", "K"), [(2, 40), (5, 20), (11, 100)])
def test_components_out_of_reach_cost_no_digits(d, K, apart):
    X, mixture = clusters(6000, d, K, apart)
    X = X[
        np.argsort(
            np.argmin(((X[:, None, :3] - mixture.means[None, :, :3]) ** 2).sum(axis=2), axis=1)
        )
    ]  # compact blocks
    # sums of 6,000 terms of a size: 6,000 eps = 1.3e-12 at the very most
    assert worst(*both(X, mixture, Scatter.DENSE)) < 1.3e-12


def test_a_rare_component_does_not_starve():
    X, crowd = clusters(50_000, 2, 9, 5.0)
    X[:3] = [[40.0, 40.0], [40.5, 40.0], [40.0, 41.0]]
    weights = np.r_[np.full(9, (1 - 1e-5) / 9), 1e-5]
    rare = Mixture(
        weights,
        np.vstack([crowd.means, [[39.0, 39.0]]]),
        Dense(np.repeat(np.eye(2)[None], 10, axis=0), 10),
    )
    reference, native = both(X, rare, Scatter.DENSE)
    assert reference.counts[-1] == pytest.approx(3.0)
    assert worst(reference, native) < 1e-11


@pytest.mark.parametrize("distance", [12.0, 20.0, 30.0])
def test_a_component_that_holds_almost_nothing_has_the_same_moments(distance):
    """Its share promises half of the rows, and it holds 1e-30 of them and less: what is left out
    elsewhere is all that it has.
    """
    X = np.random.default_rng(0).standard_normal((3000, 2))
    far = Mixture(
        np.array([0.5, 0.5]),
        np.array([[0.0, 0.0], [distance, 0.0]]),
        Dense(np.repeat(np.eye(2)[None], 2, axis=0), 2),
    )
    reference, native = both(X, far, Scatter.DENSE)
    assert reference.counts[1] < 1e-6
    # the new mean lies up to `distance` from the point that the sums are about: the square cancels,
    # after an exponential of 450
    assert worst(reference, native) < 1e-13 * distance**2


def test_rows_out_of_every_components_reach_are_shared_evenly_among_many():
    _, mixture = clusters(10, 2, 30, 3.0)
    X = np.array([[0.0, 0.0], [1e200, 1e200]])
    moments = NativeBackend(1).moments(ArraySource(X), mixture, Scatter.TRACE)
    assert moments.counts.sum() == pytest.approx(2.0)
    assert (moments.counts >= 1.0 / 30 - 1e-12).all()


@pytest.mark.parametrize("ratio", [1.0, 1e3])
@pytest.mark.parametrize("form", ["spherical", "diagonal", "dense"])
def test_the_bounds_hold_for_every_form_and_for_stretched_components(form, ratio):
    """Many components of unlike width: a bound that is too tight would leave out what counts."""
    rng = np.random.default_rng(3)
    d, K = 3, 60
    means, widths = rng.standard_normal((K, d)) * 30, ratio ** rng.uniform(-0.5, 0.5, (K, d))
    if form == "spherical":
        covariance = Spherical(widths[:, 0] ** 2, K, d)
    elif form == "diagonal":
        covariance = Diagonal(widths**2, K)
    else:
        axes = np.linalg.qr(rng.standard_normal((K, d, d)))[0]
        covariance = Dense((axes * widths[:, None, :] ** 2) @ axes.transpose(0, 2, 1), K)
    mixture = Mixture(rng.dirichlet(np.ones(K)), means, covariance)
    X, _ = mixture.sample(5000, rng)
    kind = {"spherical": Scatter.TRACE, "diagonal": Scatter.DIAGONAL, "dense": Scatter.DENSE}[form]
    # 5,000 eps for the order of the sums; whitening a component of ratio 1e3 cancels by up to as
    # much
    assert worst(*both(X, mixture, kind)) < 1.2e-12 * ratio


def test_a_fit_that_leaves_work_out_is_the_dense_fit_with_a_rare_component_too():
    rng = np.random.default_rng(4)
    K, n = 40, 30_000
    means = rng.uniform(0, 60, (K, 2))
    means[-1] = 90.0
    labels = rng.integers(0, K - 1, n)
    labels[:3] = K - 1  # a weight of 1e-4; 1e-5 where the others are counted ten times
    weights = np.where(labels == K - 1, 1.0, 10.0)
    X = means[labels] + rng.standard_normal((n, 2))
    X[:3] = [[90.0, 90.0], [91.0, 90.0], [90.0, 91.5]]
    start = Mixture(
        np.full(K, 1.0 / K), means + 0.3, Dense(np.repeat(2.0 * np.eye(2)[None], K, axis=0), K)
    )
    fits = []
    for backend in (ReferenceBackend(), NativeBackend(2)):
        data = Dataset(ArraySource(X, weights), backend)
        fits.append(
            em(
                Problem(data, FAMILIES["VVV"], Regularisation(data.floor)),
                start,
                stopping=SmallChange(0.0),
                max_iter=8,
            )
        )
    dense, quick = fits
    assert dense.mixture.weights[-1] == pytest.approx(3.0 / (10.0 * n), rel=1e-3)
    assert quick.trace == pytest.approx(dense.trace, rel=1e-12)
    np.testing.assert_allclose(quick.mixture.weights, dense.mixture.weights, rtol=1e-9)
    np.testing.assert_allclose(quick.mixture.means, dense.mixture.means, rtol=1e-9)
    np.testing.assert_allclose(
        quick.mixture.covariance.dense(), dense.mixture.covariance.dense(), rtol=1e-9, atol=1e-10
    )


# ---- one turn for all, one scatter for all -------------------------------------------------------


def tied(d: int, K: int, apart: float, offset: float = 0.0) -> tuple[np.ndarray, Mixture]:
    rng = np.random.default_rng(d)
    root = rng.standard_normal((d, d))
    shared = root @ root.T + np.eye(d)
    means = offset + apart * rng.standard_normal((K, d))
    X = (
        means[rng.integers(0, K, 3000)]
        + rng.standard_normal((3000, d)) @ np.linalg.cholesky(shared).T
    )
    return X, Mixture(rng.dirichlet(np.ones(K)), means, Dense(shared[None], K))


@pytest.mark.parametrize("apart", [1.0, 100.0, 1e5])
@pytest.mark.parametrize("d", [2, 7, 20])
def test_tied_components_are_whitened_once_and_pooled_where_that_costs_no_digits(d, apart):
    X, mixture = tied(d, 4, apart)
    # 3,000 eps = 7e-13; up to three digits more may cancel, and beyond that the short cut is not
    # taken
    assert worst(*both(X, mixture, Scatter.TOTAL)) < 7e-10
    taken = shortcuts(X, mixture, Scatter.TOTAL)
    assert taken["turn"] == (apart < 1e5)
    assert taken["pooled"] == (apart < 10.0)


def test_an_offset_costs_the_pooled_scatter_nothing():
    near, far = (tied(3, 4, 2.0, offset) for offset in (0.0, 2.0**20))
    a, b = (
        NativeBackend(1).moments(ArraySource(X), mixture, Scatter.TOTAL)
        for X, mixture in (near, far)
    )
    np.testing.assert_allclose(
        a.scatter, b.scatter, rtol=1e-8, atol=1e-6
    )  # adding the offset rounds X by 2^-33


@pytest.mark.parametrize("ratio", [10.0, 1e3, 1e9])
def test_common_axes_are_turned_to_once_where_that_costs_no_digits(ratio):
    rng = np.random.default_rng(5)
    d, K = 6, 5
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
    spreads = ratio ** rng.uniform(0, 1, (K, d))
    spreads[:, 0], spreads[:, 1] = 1.0, ratio
    covariance = Dense((axes * spreads[:, None, :]) @ axes.T, K, axes)
    mixture = Mixture(rng.dirichlet(np.ones(K)), rng.standard_normal((K, d)), covariance)
    X, _ = mixture.sample(2000, rng)
    assert shortcuts(X, mixture, Scatter.DENSE)["turn"] == (ratio < 1e6)
    # a matrix of ratio 1e9 keeps its smallest variance to 1e-16 * 1e9
    assert worst(*both(X, mixture, Scatter.DENSE)) < max(1e-11, 1e-15 * ratio)


# ---- float32 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Scatter), ids=lambda kind: kind.value)
@pytest.mark.parametrize("d", [1, 3, 8, 13, 24])
def test_single_products_keep_seven_digits(d, kind):
    X, mixture = clusters(5000, d, 4, 2.0)
    # a product errs by eps32 of a squared distance of up to 2 d + 30 or so, and responsibilities by
    # as much
    assert worst(*both(X.astype(np.float32), mixture, kind, single=True)) < EPS32 * (2 * d + 30)


def test_single_products_bear_an_offset_of_the_data():
    X, mixture = clusters(5000, 5, 4, 2.0)
    X = (X + 1000.0).astype(np.float32)
    moved = Mixture(mixture.weights, mixture.means + 1000.0, mixture.covariance)
    assert worst(*both(X, moved, Scatter.DENSE, single=True)) < EPS32 * 40


@pytest.mark.parametrize("trouble", ["correlated", "far"])
def test_a_component_that_float32_cannot_hold_is_computed_in_float64(trouble):
    rng = np.random.default_rng(1)
    d, K = 4, 3
    covariances, means = np.repeat(np.eye(d)[None], K, axis=0), rng.standard_normal((K, d)) * 3
    if trouble == "correlated":
        axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
        covariances[0] = (axes * np.array([1.0, 1.0, 1.0, 1e-8])) @ axes.T
    else:
        covariances[0] *= 1e-8
        means[0] = 20.0
    mixture = Mixture(np.full(K, 1.0 / K), means, Dense(covariances, K))
    X, _ = mixture.sample(4000, rng)
    X = X.astype(np.float32)
    assert shortcuts(X, mixture, Scatter.DENSE, single=True) == {
        "turn": 0,
        "pooled": 0,
        "single": 1,
        "ill_conditioned": 1,
    }
    reference, single = both(X, mixture, Scatter.DENSE, single=True)
    spread, other = np.linalg.eigvalsh(reference.scatter[0]), np.linalg.eigvalsh(single.scatter[0])
    np.testing.assert_allclose(
        other, spread, rtol=1e-4
    )  # memberships are of float32; products of float32 would leave nothing here
    assert abs(reference.log_likelihood - single.log_likelihood) < EPS32 * 100 * abs(
        reference.log_likelihood
    )


def test_no_variance_is_negative_when_means_have_far_to_go():
    X = np.random.default_rng(0).standard_normal((3000, 3)).astype(np.float32) * 1e-3 + np.float32(
        1.0
    )
    mixture = Mixture(
        np.array([0.5, 0.5]),
        np.array([[0.0] * 3, [3.0] * 3]),
        Dense(np.repeat(np.eye(3)[None], 2, axis=0), 2),
    )
    for kind in (Scatter.TRACE, Scatter.DIAGONAL, Scatter.DENSE):
        reference, single = both(X, mixture, kind, single=True)
        # (2 / 1e-3)^2 = 4e6 cancels: float32 would leave nothing; the runtime sees it, and goes
        # over the rows again in float64
        assert worst(reference, single) < 1e-7


@pytest.mark.parametrize("d", [1, 3, 8, 13])
def test_float64_rows_are_taken_about_the_origin_before_they_are_rounded(d):
    X, mixture = clusters(5003, d, 4, 2.0)  # not a whole number of vectors
    for offset, unit in ((0.0, 1.0), (1e9, 1.0), (0.0, 1e-12), (0.0, 1e12)):
        covariance = Dense(np.asarray(mixture.covariance.values) * unit**2, mixture.n_components)
        moved = Mixture(mixture.weights, mixture.means * unit + offset, covariance)
        rows = X * unit + offset
        assert shortcuts(rows, moved, Scatter.DENSE, single=True)["single"] == 1
        # as above; with the offset, rows and means are rounded to 1e-7, and a squared distance of
        # 30 errs by 1e-6
        assert worst(*both(rows, moved, Scatter.DENSE, single=True)) < EPS32 * (2 * d + 40)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_squares_that_float32_does_not_hold_are_computed_in_float64(unit):
    X, mixture = clusters(3000, 3, 4, 2.0)
    covariance = Dense(np.asarray(mixture.covariance.values) * unit**2, mixture.n_components)
    moved = Mixture(mixture.weights, mixture.means * unit, covariance)
    assert shortcuts(X * unit, moved, Scatter.DENSE, single=True)["single"] == 0
    assert worst(*both(X * unit, moved, Scatter.DENSE, single=True)) < 1e-11


def test_only_many_rows_have_a_hurried_backend():
    X = np.zeros((ROWS_WORTH_A_THREAD, 2))
    assert NativeBackend(1).reduced(ArraySource(X[1:])) is None
    rows = ArraySource(X)
    reduced = NativeBackend(1).reduced(rows)
    assert reduced == NativeBackend(1, single=True)
    assert reduced.reduced(rows) is None
    assert ReferenceBackend().reduced(rows) is None


# ---- elementary functions ------------------------------------------------------------------------


def units(out: np.ndarray, exact: np.ndarray) -> float:
    """Errors in units of the last place of float64, or of float32 for float32; ``exact`` has more
    digits.
    """
    return float(
        (
            np.abs(out.astype(exact.dtype) - exact) / np.spacing(np.abs(exact).astype(out.dtype))
        ).max()
    )


def sixteens(x: np.ndarray, dtype: type) -> np.ndarray:
    return x[: len(x) // 16 * 16].astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "lowest"), [(np.float64, 708.0), (np.float32, 87.0)], ids=["float64", "float32"]
)
def test_the_exponential_is_within_two_units_in_the_last_place(dtype, lowest):
    x = -sixteens(
        np.concatenate(
            [
                np.linspace(0, 1, 80_000),
                np.geomspace(1e-30, lowest, 80_000),
                np.linspace(1, lowest, 80_000),
            ]
        ),
        dtype,
    )
    out = np.empty_like(x)
    native.exponential(x, out)
    assert units(out, np.exp(x.astype(np.longdouble))) <= 2.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_the_logarithm_is_within_two_units_in_the_last_place(dtype):
    info = np.finfo(dtype)
    wide = np.geomspace(float(info.tiny) * 1.01, float(info.max) * 0.99, 160_000)
    x = sixteens(
        np.concatenate([wide, np.linspace(0.5, 2.0, 80_000), np.linspace(1.0, 1000.0, 80_000)]),
        dtype,
    )
    out = np.empty_like(x)
    native.logarithm(x, out)
    assert units(out, np.log(x.astype(np.longdouble))) <= 2.0


# ---- every instruction set -----------------------------------------------------------------------


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512", "neon"])
def test_all_of_this_holds_at_every_instruction_set(isa):
    if isa not in build_info()["built"].split(", "):
        pytest.skip(f"{isa} is not in this build")
    if isa == build_info()["isa"]:
        pytest.skip(f"{isa} is what runs here")
    env = dict(os.environ, MIXTURA_ISA=isa)
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        __file__,
        "-k",
        "not every_instruction_set",
    ]
    run = subprocess.run(tests, env=env, capture_output=True, text=True, timeout=600)
    if "does not run on this processor" in run.stdout + run.stderr:
        pytest.skip(f"{isa} does not run here")
    assert run.returncode == 0, run.stdout[-3000:]
