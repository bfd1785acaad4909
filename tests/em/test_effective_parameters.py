"""Effective parameters against brute force: each row left out, and own parameters refitted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from conftest import ALL_BACKENDS, ALL_FAMILIES
from mixtura.backends import backend_named
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.effective_parameters import LARGEST_LOSS, effective_parameters
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import moments_of_labels
from mixtura.kernels import built
from mixtura.model.priors import ConjugatePrior
from mixtura.model.regularisation import Regularisation
from mixtura.model.soundness import Soundness
from mixtura.sources import ArraySource

AXES = {"EVE", "VVE"}

needs_kernels = pytest.mark.skipif(not built, reason="built without a C++ compiler")


def dataset(X, weights=None, backend="auto"):
    return Dataset(ArraySource(X, weights), backend_named(backend, 1))


def fitted(X, labels, family, weights=None, backend="auto", floor=None):
    data = dataset(X, weights, backend)
    K = int(labels.max()) + 1
    regularisation = Regularisation(data.floor if floor is None else floor)
    rule = RemainingGain(1e-9 * data.row_weight)
    start = moments_of_labels(data, K, labels)
    fit = em(Problem(data, FAMILIES[family], regularisation), start, stopping=rule, max_iter=4000)
    moments = data.backend.moments(data.source, fit.mixture, FAMILIES[family].needs)
    return data, fit.mixture, moments, regularisation


def effective(X, labels, family, **settings):
    data, mixture, moments, regularisation = fitted(X, labels, family, **settings)
    return effective_parameters(Problem(data, FAMILIES[family], regularisation), mixture, moments)


def covariance_without(family, sigma, S, S_new, axes):
    """The covariance for an own scatter per row of S_new after S, with fixed shared parameters."""
    d = len(S)
    if family in ("EII", "EEI", "EEE"):
        return sigma
    if family in ("VII", "VEI", "VEE"):
        inverse = np.linalg.inv(sigma)
        return sigma * np.trace(S_new @ inverse) / np.trace(S @ inverse)
    if family == "VVV":
        return S_new
    if family == "EVV":
        return S_new * (np.linalg.det(sigma) / np.linalg.det(S_new)) ** (1 / d)
    if family in ("VVI", "VVE"):
        return axes @ np.diag(np.diag(axes.T @ S_new @ axes)) @ axes.T
    if family in ("EVI", "EVE"):
        shape = np.diag(axes.T @ S_new @ axes)
        return axes @ np.diag(shape * (np.linalg.det(sigma) / shape.prod()) ** (1 / d)) @ axes.T
    values = np.linalg.eigvalsh(sigma)[::-1]
    own, vectors = np.linalg.eigh(S_new)
    rotated = (vectors[:, ::-1] * values) @ vectors[:, ::-1].T
    if family == "EEV":
        return rotated
    before = np.linalg.eigvalsh(S)[::-1]
    return rotated * (own[::-1] / values).sum() / (before / values).sum()


def brute_force(X, mixture, family):
    """p_k (K,) from n x K estimates of the components."""
    n, K = len(X), mixture.n_components
    joint = mixture.log_joint(X)
    whole = np.logaddexp.reduce(joint, axis=1)
    r = np.exp(joint - whole[:, None])
    counts = r.sum(axis=0)
    covariances = mixture.covariance.dense()
    axes = getattr(mixture.covariance, "axes", None)
    axes = axes if axes is not None and family in AXES else np.eye(X.shape[1])
    gaps = np.empty(n)
    for i in range(n):
        left = np.empty(K)
        for k in range(K):
            others = r[:, k].copy()
            others[i] = 0.0
            mean = others @ X / others.sum()
            centred, before = X - mean, X - mixture.means[k]
            S = (r[:, k, None] * before).T @ before / counts[k]
            S_new = (others[:, None] * centred).T @ centred / others.sum()
            sigma = covariance_without(family, covariances[k], S, S_new, axes)
            left[k] = np.log(others.sum() / (n - 1)) + multivariate_normal(mean, sigma).logpdf(X[i])
        gaps[i] = whole[i] - np.logaddexp.reduce(left)
    return gaps @ r


def two_groups(seed, n=60, d=3):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [n // 2, n - n // 2])
    X = rng.standard_normal((n, d)) * np.geomspace(0.5, 2.0, d)
    X[labels == 1] = X[labels == 1] @ np.linalg.qr(rng.standard_normal((d, d)))[0] + 2.5
    return X, labels


@pytest.mark.parametrize("backend", ALL_BACKENDS)
@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_they_agree_with_brute_force(family, backend):
    X, labels = two_groups(3)
    data, mixture, moments, regularisation = fitted(X, labels, family, backend=backend)
    found = effective_parameters(Problem(data, FAMILIES[family], regularisation), mixture, moments)
    # The difference is from negligible shares, the remaining gain of EM, and, for EEV and VEV, the
    # second order of rows of small leverage.
    assert found == pytest.approx(brute_force(X, mixture, family), rel=5e-3)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_a_weight_of_two_is_a_repeated_row(family):
    X, labels = two_groups(5)
    twice = effective(
        np.repeat(X, 2, axis=0), np.repeat(labels, 2), family, floor=np.full(3, 1e-12)
    )
    weighted = effective(X, labels, family, weights=np.full(len(X), 2.0), floor=np.full(3, 1e-12))
    assert weighted == pytest.approx(twice, rel=1e-6)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_one_factor_on_all_weights_changes_nothing(family):
    X, labels = two_groups(6)
    small = effective(X, labels, family, weights=np.full(len(X), 1e-3))
    assert small == pytest.approx(effective(X, labels, family), rel=1e-6)


# ---- the kernels against NumPy -------------------------------------------------------------------


def with_collinear_rows(X, labels):
    """The rows, and a component of d + 2 nearly collinear rows."""
    d = X.shape[1]
    line = np.linspace(3, 6, d + 2)[:, None] * np.ones(d) + 1e-3 * np.random.default_rng(
        0
    ).standard_normal((d + 2, d))
    return np.vstack([X, line]), np.r_[labels, np.full(d + 2, 2)]


def with_point_mass(X, labels):
    """One group with a single value in the first column, so that it is at the floor."""
    X = X.copy()
    X[labels == 1, 0] = 0.5
    return X, labels


RECORDS = {
    "plain": lambda X, labels: (X, labels),
    "float32": lambda X, labels: (X.astype(np.float32), labels),
    "collinear rows": with_collinear_rows,
    "point mass": with_point_mass,
    "alone": lambda X, labels: (np.vstack([X, np.full((1, X.shape[1]), 40.0)]), np.r_[labels, 2]),
}


def by_both(X, labels, family, **settings):
    """Effective parameters of one fit by the kernels and by NumPy."""
    data, mixture, moments, regularisation = fitted(X, labels, family, **settings)
    rows = (
        Dataset(data.source, backend)
        for backend in (backend_named("native", 2), backend_named("reference", 1))
    )
    return (
        effective_parameters(Problem(own, FAMILIES[family], regularisation), mixture, moments)
        for own in rows
    )


@needs_kernels
@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_the_kernels_agree_with_numpy(family, records):
    for n, d in ((40, 1), (60, 3), (300, 10)):
        native, reference = by_both(*RECORDS[records](*two_groups(3, n, d)), family)
        assert native == pytest.approx(reference, rel=1e-10)


@needs_kernels
@pytest.mark.parametrize("family", ["EEV", "VEV"])
def test_they_agree_where_components_have_no_rows_along_some_axes(family):
    """Constant columns, columns constant in one group, and fewer rows than columns."""
    X, labels = two_groups(3, 120, 24)
    X[:, 3], X[labels == 1, 5] = 1.0, 0.0
    for rows in (slice(None), np.r_[40:78]):
        native, reference = by_both(X[rows], labels[rows], family, floor=np.full(24, 1e-2))
        assert native == pytest.approx(reference, rel=1e-8)


@needs_kernels
@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_they_agree_with_weights_and_under_a_high_floor(family):
    X, labels = two_groups(3, 200, 4)
    weights = np.random.default_rng(0).uniform(0.2, 3.0, len(X))
    for settings in ({"weights": weights}, {"weights": 1e-3 * weights}, {"floor": np.full(4, 1.5)}):
        native, reference = by_both(X, labels, family, **settings)
        assert native == pytest.approx(reference, rel=1e-10)


@needs_kernels
def test_they_agree_with_a_prior_and_equal_weights():
    X, labels = two_groups(3)
    data, mixture, moments, free = fitted(X, labels, "VVV")
    prior = ConjugatePrior(0.5).for_family("VVV", 2, data.mean, data.covariance, data.total)
    regularised = replace(free, prior=prior, equal_weights=True)
    problem = Problem(dataset(X), FAMILIES["VVV"], regularised)
    native = effective_parameters(problem, mixture, moments)
    reference = effective_parameters(
        problem.with_data(dataset(X, backend="reference")), mixture, moments
    )
    assert native == pytest.approx(reference, rel=1e-10)
    assert (
        native < effective_parameters(replace(problem, regularisation=free), mixture, moments)
    ).all()


@needs_kernels
@pytest.mark.parametrize("family", ["VVV", "VVE", "VEV"])
def test_threads_change_no_bit(family):
    X, labels = two_groups(7, 50_000, 6)
    data, mixture, moments, regularisation = fitted(X, labels, family)
    rows = (Dataset(data.source, backend_named("native", n)) for n in (1, 3))
    one, three = (
        effective_parameters(Problem(own, FAMILIES[family], regularisation), mixture, moments)
        for own in rows
    )
    assert np.array_equal(one, three)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_a_row_whose_distances_overflow_has_equal_shares(backend):
    """It has density 0 with and without itself."""
    X, labels = two_groups(3)
    _, mixture, moments, regularisation = fitted(X, labels, "VVV")
    with np.errstate(over="ignore"):  # of the dataset's variances
        data = dataset(np.vstack([X, np.full((1, 3), 1e200)]), backend=backend)
        p = effective_parameters(Problem(data, FAMILIES["VVV"], regularisation), mixture, moments)
    near = effective_parameters(
        Problem(dataset(X, backend=backend), FAMILIES["VVV"], regularisation), mixture, moments
    )
    assert p - near == pytest.approx([LARGEST_LOSS / 2] * 2)


# ---- their values --------------------------------------------------------------------------------


def test_a_well_determined_component_has_its_nominal_number_of_parameters():
    X = np.random.default_rng(0).standard_normal((4000, 2))
    labels = np.r_[np.zeros(2000, dtype=int), np.ones(2000, dtype=int)]
    X[labels == 1] += 12
    # Means and covariances have five; the weight adds a term of order 1 / n.
    assert effective(X, labels, "VVV") == pytest.approx([5.0, 5.0], rel=0.15)


def test_a_component_of_few_collinear_rows_has_more_than_its_nominal_parameters():
    rng = np.random.default_rng(1)
    X = np.vstack(
        [
            rng.standard_normal((200, 2)),
            np.c_[np.linspace(3, 6, 4), np.linspace(3, 6, 4) + 1e-3 * rng.standard_normal(4)],
        ]
    )
    labels = np.repeat([0, 1], [200, 4])
    p = effective(X, labels, "VVV")
    assert p[1] > 13  # a free component has five and a weight
    assert p[0] < 10


def test_a_component_of_one_row_has_the_largest_loss():
    X = np.vstack([np.random.default_rng(2).standard_normal((50, 2)), [[400.0, 400.0]]])
    assert effective(X, np.repeat([0, 1], [50, 1]), "VVV")[1] == pytest.approx(
        LARGEST_LOSS, rel=1e-6
    )


def test_a_point_mass_is_well_determined():
    rng = np.random.default_rng(3)
    X = np.c_[np.r_[np.zeros(100), rng.normal(2, 0.4, 100)], rng.standard_normal(200)]
    p = effective(X, np.repeat([0, 1], 100), "VVV")
    assert p[0] < 8  # one direction is at the floor


def soundness(effective, counts, own_rows, own_parameters, total):
    return Soundness(
        np.array(effective), np.array(counts), own_rows, own_parameters, own_rows - 1, total
    )


def test_the_price_falls_to_zero_with_the_rows():
    assert soundness([9.0] * 5, [3.0, 4.5, 5.25, 6.0, 60.0], 3, 6, 100.0).support.tolist() == [
        1.0,
        1.0,
        0.5,
        0.0,
        0.0,
    ]
    assert soundness([5.0, 6.0], [100.0, 80.0], 3, 6, 180.0).price == 0.0
    spurious = soundness([14.0, 6.0], [4.0, 80.0], 3, 6, 100.0)
    assert spurious.price == pytest.approx(10.0 + 0.5 * np.log(100.0) * 14.0)
    assert spurious.spurious == (0,)
    assert "14.0 effective parameters on 4.0 rows" in spurious.findings[0].reason
    rare = soundness([43.0, 6.0], [16.0, 80.0], 7, 28, 100.0)
    assert rare.price == pytest.approx(27.0)
    assert rare.spurious == ()
    assert rare.findings[0].kind == "poorly determined"


def test_overlapping_components_have_no_lower_price_than_separate_groups():
    """Each predicts the rows that are left out of the other, which must not lower its price."""
    groups = soundness([858.0, 920.0, 816.0], [99.0, 92.0, 109.0], 33, 561, 300.0)
    others = soundness([858.0, 643.0, 746.0], [99.0, 67.0, 134.0], 33, 561, 300.0)
    # 561 n / (n - 34), the penalty of the corrected AIC, is 854, 890 and 815.
    assert groups.price == pytest.approx(858.0 + 920.0 + 816.0 - 300.0)
    # It is that of 68 rows for fewer rows.
    penalties = 858.0 + 561.0 * 68.0 / 34.0 + 561.0 * 134.0 / 100.0
    assert others.price == pytest.approx(penalties - 300.0)
    assert others.price > groups.price
