"""Scores, observed information, and standard errors from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conftest import ALL_FAMILIES, dataset, read_data, read_truth, two_groups
from mixtura import ConjugatePrior, GaussianMixture, InferenceError
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.em.coordinates import coordinates_around
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.families.family import CovarianceFamily
from mixtura.inference.information import errors_from_information, information
from mixtura.inference.uncertainty import Parameters
from mixtura.initialise.initialisers import FromLabels
from mixtura.model.priors import pseudo_rows
from mixtura.model.regularisation import Regularisation

LETTERS = [
    "EII",
    "VII",
    "EEI",
    "VEI",
    "EVI",
    "VVI",
    "EEE",
    "VEE",
    "EVE",
    "VVE",
    "EEV",
    "VEV",
    "EVV",
    "VVV",
]


class Letters(CovarianceFamily):
    """A family with a name only, which is enough for coordinates."""

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]


def any_mixture(name: str, K: int, d: int, seed: int = 0) -> Mixture:
    """A random mixture of a family, built from its letters."""
    rng = np.random.default_rng(seed)

    def sets(letter, draw, fixed):
        return (
            [fixed] * K
            if letter == "I"
            else [draw()] * K
            if letter == "E"
            else [draw() for _ in range(K)]
        )

    volumes = sets(name[0], lambda: np.exp(0.3 * rng.standard_normal()), 1.0)
    logs = sets(name[1], lambda: 0.5 * rng.standard_normal(d), np.zeros(d))
    turns = sets(name[2], lambda: np.linalg.qr(rng.standard_normal((d, d)))[0], np.eye(d))
    matrices = np.stack(
        [v * (q * np.exp(a - a.mean())) @ q.T for v, a, q in zip(volumes, logs, turns, strict=True)]
    )
    kept = matrices if "V" in name else matrices[:1]
    if name[1:] == "II":
        covariance = Spherical(kept[:, 0, 0], K, d)
    else:
        covariance = Diagonal(np.einsum("kjj->kj", kept), K) if name[2] == "I" else Dense(kept, K)
    return Mixture(rng.dirichlet(np.full(K, 5.0)), 1.5 * rng.standard_normal((K, d)), covariance)


def stretched(n: int, apart: float, seed: int = 0) -> np.ndarray:
    """Two groups with axes of different lengths, so that their orientations are determined."""
    return two_groups(n, 2, apart, seed) * [1.0, 3.0] @ np.array([[0.8, 0.6], [-0.6, 0.8]])


def polished(X, name, K, labels=None, weights=None):
    data = dataset(X, weights)
    labels = np.arange(len(X)) * K // len(X) if labels is None else labels
    start = FromLabels(labels)(data, K, np.random.default_rng(0))
    # A gain of 1e-11 is a change of 5e-6 standard errors.
    return data, em(
        Problem(data, FAMILIES[name], Regularisation(data.floor)),
        start,
        stopping=RemainingGain(1e-11),
        max_iter=20_000,
    ).mixture


def errors(X, name, K, kind="information", labels=None, weights=None, **keywords):
    data, mixture = polished(X, name, K, labels, weights)
    return errors_from_information(
        Problem(data, FAMILIES[name], Regularisation(data.floor)), mixture, kind, **keywords
    )


def compare(a: Parameters, b: Parameters, rtol: float) -> None:
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, err_msg=name)


# ---- derivatives ---------------------------------------------------------------------------------


SETTINGS = {
    "plain": {},
    "ridge": {"ridge": 0.3},
    "shrunk": {"prior": "pseudo-rows"},
    "prior": {"prior": "conjugate"},
}


def regularisation_named(settings, data, family, K):
    """The settings with their prior for the data."""
    d = data.source.n_features
    if settings.get("prior") == "pseudo-rows":
        return Regularisation(data.floor, prior=pseudo_rows(5.0, data.scale))
    if settings.get("prior") == "conjugate":
        prior = ConjugatePrior(0.7, mean=np.full(d, 0.5)).for_family(
            family, K, data.mean, data.covariance, data.total
        )
        return Regularisation(data.floor, prior=prior)
    return Regularisation(np.zeros(d) if settings else data.floor, **settings)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("name", LETTERS)
def test_gradient_and_information_are_the_derivatives_of_the_objective(name, d, settings):
    """At a random mixture, against differences of the objective along random directions."""
    rng = np.random.default_rng(1)
    K, n = 3, 30
    X, w = 2.0 * rng.standard_normal((n, d)), rng.integers(1, 4, n).astype(float)
    mixture, data = any_mixture(name, K, d), dataset(X, w, "reference")
    regularisation = regularisation_named(settings, data, name, K)
    found = information(Problem(data, Letters(name), regularisation), mixture)
    coordinates = found.coordinates
    forms = len(mixture.covariance.values)

    def objective(point):
        there = coordinates.at(point)
        kept = (
            there
            if forms == K
            else Mixture(there.weights, there.means, Dense(there.covariance.values[:1], K))
        )
        log_joint = regularisation.tilted(there).log_joint(X)
        return w @ np.logaddexp.reduce(log_joint, axis=1) + regularisation.penalty(kept)

    scale = np.abs(found.observed[0]).max()
    for _ in range(3):
        v = rng.standard_normal(coordinates.dimension)
        v /= np.linalg.norm(v)
        first, second = [], []
        for h in (8e-3, 4e-3):
            up, middle, down = objective(h * v), objective(0 * v), objective(-h * v)
            first.append((up - down) / (2 * h))
            second.append((up - 2 * middle + down) / h**2)
        # The error after Richardson extrapolation is h^4 = 3e-10 times a sixth derivative (up to
        # 1e4 times the second), and that of rounding is 1e-13 / h^2 = 1e-8.
        assert found.gradient @ v == pytest.approx((4 * first[1] - first[0]) / 3, abs=1e-5 * scale)
        assert -v @ found.observed[0] @ v == pytest.approx(
            (4 * second[1] - second[0]) / 3, abs=1e-5 * scale
        )


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("name", LETTERS)
def test_there_are_as_many_coordinates_as_the_family_has_parameters(name, d):
    mixture = any_mixture(name, 3, d)
    coordinates = coordinates_around(mixture, name)
    assert coordinates.dimension == Letters(name).n_parameters(3, d)
    assert (
        coordinates_around(mixture, name, equal_weights=True).dimension == coordinates.dimension - 2
    )
    at_centre = coordinates.at(np.zeros(coordinates.dimension))
    np.testing.assert_allclose(
        at_centre.covariance.dense(), mixture.covariance.dense(), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(at_centre.weights, mixture.weights, rtol=1e-14)


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_the_gradient_vanishes_at_the_fit_and_the_matrices_are_positive_definite(name, faithful):
    data, mixture = polished(faithful, name, 2, labels=(faithful[:, 0] > 3).astype(int))
    found = information(Problem(data, FAMILIES[name], Regularisation(data.floor)), mixture)
    # The objective is within 1e-11 of its maximum, and its curvature is at most about n per
    # coordinate.
    assert np.abs(found.gradient).max() < np.sqrt(2 * 1e-11 * len(faithful))
    assert (np.linalg.eigvalsh(found.observed[0]) > 0).all()
    assert (np.linalg.eigvalsh(found.scores[0]) > 0).all()


# ---- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["VVV", "EEE"])
def test_one_component_has_the_textbooks_errors(name, faithful):
    """``Var(mean_j) = S_jj / n`` and ``Var(S_ij) = (S_ii S_jj + S_ij^2) / n`` (Anderson 2003,
    3.4).
    """
    n, S = len(faithful), np.cov(faithful.T, bias=True)
    found = errors(faithful, name, 1)
    # Sums of 272 numbers, in another order: 272 eps = 6e-14, times a condition below 1e3.
    np.testing.assert_allclose(found.means[0], np.sqrt(np.diag(S) / n), rtol=1e-10)
    textbook = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / n)
    np.testing.assert_allclose(np.squeeze(found.covariances), textbook, rtol=1e-10)
    assert found.weights.tolist() == [0.0]


@pytest.mark.parametrize(("name", "share"), [("EEI", 1), ("VVI", 1), ("EII", 3), ("VII", 3)])
def test_one_component_with_fixed_axes_has_the_textbooks_errors(name, share):
    """A variance from m numbers has the error ``variance sqrt(2 / m)``."""
    X = np.random.default_rng(0).standard_normal((100, 3)) * [1.0, 10.0, 0.1]
    found = errors(X, name, 1)
    np.testing.assert_allclose(
        found.covariances, found.estimate.covariances * np.sqrt(2.0 / (100 * share)), rtol=1e-10
    )


def test_well_separated_components_are_as_if_the_labels_were_known():
    X = two_groups(400, 1, apart=30.0)
    found = errors(X, "VVV", 2)
    half = found.estimate
    np.testing.assert_allclose(
        found.means[:, 0], np.sqrt(half.covariances[:, 0, 0] / 200), rtol=1e-9
    )
    np.testing.assert_allclose(found.weights, np.sqrt(0.25 / 400), rtol=1e-9)


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["information", "scores", "sandwich"])
@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_a_weight_of_two_is_a_repeated_row(name, kind):
    X = stretched(120, 4)
    w = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    times = w.astype(int)
    labels = np.repeat([0, 1], 60)
    a = errors(X, name, 2, kind, labels, w)
    b = errors(np.repeat(X, times, axis=0), name, 2, kind, np.repeat(labels, times))
    # Both fits are within 5e-6 standard errors of the maximum.
    compare(a.standard_errors, b.standard_errors, 1e-4)


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_errors_follow_shift_and_units(name):
    X = stretched(200, 4)
    a, b = errors(X, name, 2), errors(1e3 * X + 1e6, name, 2)
    np.testing.assert_allclose(b.weights, a.weights, rtol=1e-4)
    np.testing.assert_allclose(b.means, 1e3 * a.means, rtol=1e-4)
    np.testing.assert_allclose(b.covariances, 1e6 * a.covariances, rtol=1e-4)


def test_a_spherical_component_of_a_family_with_free_covariances_has_errors():
    corners = np.concatenate([s * np.eye(2) for s in (1, -1)])
    square = np.concatenate([corners, corners * 2])
    found = errors(square, "VVV", 1)
    np.testing.assert_allclose(
        found.estimate.covariances[0], found.estimate.covariances[0, 0, 0] * np.eye(2), atol=1e-15
    )
    assert np.isfinite(found.covariances).all()


def test_components_in_another_order_have_the_same_errors(faithful):
    data, mixture = polished(faithful, "VVV", 2, labels=(faithful[:, 0] > 3).astype(int))
    swap = np.array([1, 0])
    a = errors_from_information(
        Problem(data, FAMILIES["VVV"], Regularisation(data.floor)), mixture
    ).standard_errors
    b = errors_from_information(
        Problem(data, FAMILIES["VVV"], Regularisation(data.floor)), mixture.select(swap)
    ).standard_errors
    compare(a.each(lambda values: values[swap]), b, 1e-9)


def test_correlations_are_those_of_the_public_parameters(faithful):
    found = errors(faithful, "VVV", 2, labels=(faithful[:, 0] > 3).astype(int))
    correlations = found.correlations
    assert correlations.shape == (2 + 4 + 8, 2 + 4 + 8)
    np.testing.assert_allclose(np.diag(correlations), 1.0)
    assert correlations[0, 1] == pytest.approx(-1.0)  # two proportions that add up to one
    assert correlations[7, 8] == pytest.approx(1.0)  # an entry and its mirror image


def test_blocks_report_what_is_left_out_and_agree_where_it_is_zero(faithful):
    X = two_groups(400, 2, apart=30.0)
    whole, cut = errors(X, "VVV", 2), errors(X, "VVV", 2, largest_whole=3)
    assert "left out" in cut.notes[0]
    assert whole.notes == ()
    compare(whole.standard_errors, cut.standard_errors, 1e-9)
    for name in ALL_FAMILIES:
        found = errors(faithful, name, 2, labels=(faithful[:, 0] > 3).astype(int), largest_whole=3)
        assert np.isfinite(found.means).all()


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name"),
    [("boot_faithful.json", "VVV"), ("boot_acidity.json", "EEE"), ("boot_precip.json", "VVV")],
)
def test_the_sandwich_is_near_mclusts_jackknife(file, name):
    """They are equal up to terms of order 1/n, and mclust's refits stop early."""
    truth = read_truth(file)
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    fit = truth["fit"]
    covariance = np.array(fit["cov"])[: 1 if name == "EEE" else 2]
    data, mixture = (
        dataset(X),
        Mixture(np.array(fit["pro"]), np.array(fit["mean"]), Dense(covariance, 2)),
    )
    found = errors_from_information(
        Problem(data, FAMILIES[name], Regularisation(data.floor)), mixture, "sandwich"
    )
    theirs = next(run["se"] for run in truth["runs"] if run["type"] == "jk")
    variance = np.array(theirs["variance"])[0] if name == "EEE" else np.array(theirs["variance"])
    np.testing.assert_allclose(found.weights, theirs["pro"], rtol=0.06)
    np.testing.assert_allclose(found.means, theirs["mean"], rtol=0.07)
    np.testing.assert_allclose(found.covariances, variance, rtol=0.12)


@pytest.mark.slow
def test_intervals_have_their_nominal_coverage():
    """In 200 samples of 400 rows."""
    true = Mixture(
        np.array([0.4, 0.6]), np.array([[0.0], [3.0]]), Dense(np.array([[[1.0]], [[0.5]]]), 2)
    )
    samples, hits, members = 200, np.zeros(5), 0
    at = np.array([[1.3]])
    for seed in range(samples):
        X, labels = true.sample(400, np.random.default_rng(seed))
        found = errors(X, "VVV", 2, labels=labels)
        low, high = (getattr(found.interval(0.9), end) for end in ("low", "high"))
        inside = [
            (getattr(low, name) <= value) & (value <= getattr(high, name))
            for name, value in (
                ("weights", true.weights),
                ("means", true.means),
                ("covariances", true.covariance.values),
            )
        ]
        hits += np.concatenate([inside[0][:1], inside[1].ravel(), inside[2].ravel()])
        probability = found.memberships(at, 0.9)
        members += bool(probability.low[0, 0] <= true.posterior(at)[0, 0] <= probability.high[0, 0])
    # A binomial share of 200 at 0.9 has a deviation of 0.021; four of them, and 0.02 for terms of
    # order 1/n.
    assert (np.abs(hits / samples - 0.9) < 4 * 0.0212 + 0.02).all()
    assert abs(members / samples - 0.9) < 4 * 0.0212 + 0.02


# ---- memberships ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_membership_intervals_are_the_delta_method_on_the_logit_scale(name):
    X = stretched(150, 3)
    found = errors(X, name, 2)
    coordinates = found.coordinate_covariance.coordinates
    covariance = found.coordinate_covariance.blocks[0]
    rows = np.array([[1.0, 1.5], [0.0, 4.0]])

    def logit(point):
        log_joint = coordinates.at(point).log_joint(rows)
        return log_joint[:, 0] - log_joint[:, 1]

    h = 1e-5
    slopes = np.stack(
        [(logit(h * e) - logit(-h * e)) / (2 * h) for e in np.eye(coordinates.dimension)]
    )
    deviations = np.sqrt(np.einsum("pi,pq,qi->i", slopes, covariance, slopes))
    intervals = found.memberships(rows, 0.6826894921370859)  # one standard deviation to either side
    for k, sign in ((0, 1.0), (1, -1.0)):
        centre = sign * logit(np.zeros(coordinates.dimension))
        # Central differences: h^2 = 1e-10 times a third derivative, and rounding 1e-15 / h = 1e-10.
        np.testing.assert_allclose(
            intervals.low[:, k], 1 / (1 + np.exp(-(centre - deviations))), rtol=1e-6
        )
        np.testing.assert_allclose(
            intervals.high[:, k], 1 / (1 + np.exp(-(centre + deviations))), rtol=1e-6
        )


def test_membership_intervals_are_within_zero_and_one_and_contain_the_estimate():
    X = two_groups(300, 2, apart=3)
    fit = GaussianMixture(3, covariance_type="diag", random_state=0, tol=None).fit(X)
    intervals = fit.membership_intervals(
        np.array([[0.0, 0.0], [1.5, 1.5], [1e4, -1e4]]), fit.standard_errors(X)
    )
    np.testing.assert_allclose(intervals.probability.sum(axis=1), 1.0, rtol=1e-12)
    for low, high in (
        (intervals.low, intervals.probability),
        (intervals.probability, intervals.high),
    ):
        assert (low <= high).all()
    assert (intervals.low >= 0).all()
    assert (intervals.high <= 1).all()
    one = GaussianMixture(1).fit(X)
    assert one.membership_intervals(X[:2], one.standard_errors(X)).low.tolist() == [[1.0], [1.0]]


def test_rows_whose_distances_overflow_have_intervals_without_a_warning():
    X = two_groups(300, 2, apart=3) * [1.0, 0.5]
    fit = GaussianMixture(2, random_state=0).fit(X)
    for method in ("information", "weighted"):
        intervals = fit.membership_intervals(
            np.array([[1e200, -1e200]]), fit.standard_errors(X, method=method, n_replicates=5)
        )
        assert sorted(intervals.probability[0]) == [0.0, 1.0]
        assert ((intervals.low >= 0) & (intervals.high <= 1)).all()


def test_fixed_proportions_do_not_change_the_other_coordinates(faithful):
    data, regularisation = dataset(faithful), Regularisation(dataset(faithful).floor)
    mixture = any_mixture("VEV", 3, 2)
    free = information(Problem(data, Letters("VEV"), regularisation), mixture)
    fixed = information(
        Problem(data, Letters("VEV"), replace(regularisation, equal_weights=True)), mixture
    )
    np.testing.assert_allclose(fixed.gradient, free.gradient[2:], rtol=1e-12)
    np.testing.assert_allclose(
        fixed.observed[0],
        free.observed[0][2:, 2:],
        rtol=1e-9,
        atol=1e-9 * np.abs(free.observed[0]).max(),
    )


# ---- refusals ------------------------------------------------------------------------------------


def test_rows_other_than_those_of_the_fit_are_refused():
    fit = GaussianMixture(2, random_state=0).fit(two_groups(200))
    with pytest.raises(InferenceError, match=r"standard errors away from the maximum.*Pass the X"):
        fit.standard_errors(two_groups(200, apart=7.0, seed=1))


def test_a_fit_at_the_bound_on_the_eigenvalues_is_refused_with_that_reason():
    X = two_groups(200) * [1.0, 4.0]
    bounded = GaussianMixture(2, eigenvalue_ratio=2.0, random_state=0).fit(X)
    with pytest.raises(InferenceError, match="eigenvalue_ratio=2 is reached"):
        bounded.standard_errors(X)
    assert np.isfinite(
        bounded.standard_errors(X, method="bootstrap", n_replicates=4, random_state=0).covariances
    ).all()
    assert np.isfinite(
        bounded.set_params(eigenvalue_ratio=1000.0).fit(X).standard_errors(X).covariances
    ).all()


def test_a_saddle_is_refused():
    """Two spheres a ten-thousandth of a deviation apart, for two groups."""
    X = two_groups(200, 2, apart=6) * [1.0, 0.1]
    data, variance = dataset(X), X.var(axis=0).mean()
    means = X.mean(axis=0) + 1e-4 * np.sqrt(variance) * np.array([[-1.0, 0.0], [1.0, 0.0]])
    saddle = Mixture(np.array([0.5, 0.5]), means, Spherical(np.array([variance]), 2, 2))
    with pytest.raises(
        InferenceError,
        match=r"curves upwards along the mean of component .* a saddle, not a maximum",
    ):
        errors_from_information(Problem(data, FAMILIES["EII"], Regularisation(data.floor)), saddle)


def test_copies_are_refused():
    X = two_groups(200, 1, apart=2)
    data = dataset(X)
    copies = Mixture(
        np.array([0.5, 0.5]), np.full((2, 1), X.mean()), Dense(np.full((1, 1, 1), X.var()), 2)
    )
    with pytest.raises(InferenceError, match="exact copies"):
        errors_from_information(Problem(data, FAMILIES["EEE"], Regularisation(data.floor)), copies)


def test_a_spurious_component_is_refused():
    X = np.concatenate([np.random.default_rng(0).standard_normal((50, 1)), [[9.0], [9.0]]])
    data = dataset(X)
    tiny = Mixture(
        np.array([50, 2]) / 52, np.array([[0.0], [9.0]]), Dense(np.array([[[1.0]], [[1e-12]]]), 2)
    )
    with pytest.raises(
        InferenceError, match=r"do not determine 1 component.*component 1: .*Reduce n_components"
    ):
        errors_from_information(Problem(data, FAMILIES["VVV"], Regularisation(data.floor)), tiny)


def test_scores_of_too_few_rows_are_refused():
    X = np.random.default_rng(0).standard_normal((12, 4))
    with pytest.raises(
        InferenceError,
        match=r"scores of 12 rows do not span the 14 parameters.*Use method='information'",
    ):
        errors(X, "VVV", 1, "scores")


def test_axes_of_equal_length_are_refused():
    data = dataset(two_groups(100, 2))
    spheres = Mixture(
        np.array([0.5, 0.5]),
        np.array([[0.0, 0.0], [6.0, 6.0]]),
        Dense(np.stack([np.eye(2)] * 2), 2),
    )
    with pytest.raises(InferenceError, match="equally long"):
        errors_from_information(Problem(data, FAMILIES["VEV"], Regularisation(data.floor)), spheres)


def test_an_empty_component_is_refused():
    data = dataset(two_groups(100, 2))
    empty = Mixture(
        np.array([0.5, 0.5, 1e-300]),
        np.array([[0.0, 0.0], [6.0, 6.0], [99.0, 0.0]]),
        Dense(np.eye(2)[None], 3),
    )
    with pytest.raises(
        InferenceError, match=r"do not determine 1 component.*component 2: it holds 0 rows"
    ):
        errors_from_information(Problem(data, FAMILIES["EEE"], Regularisation(data.floor)), empty)


def test_a_block_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("mixtura.inference.information_sums.LARGEST_BLOCK", 4)
    with pytest.raises(InferenceError, match="largest allowed is 4"):
        errors(two_groups(100), "VVV", 2, largest_whole=3)


# ---- the estimator -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["full", "tied", "diag", "spherical", "tied_diag", "tied_spherical"]
)
def test_errors_have_the_shapes_of_the_parameters_and_a_table(kind, faithful):
    fit = GaussianMixture(2, covariance_type=kind, random_state=0).fit(faithful)
    found = fit.standard_errors(faithful)
    assert found.covariances.shape == fit.covariances_.shape
    assert found.means.shape == fit.means_.shape
    table = found.rows(0.9, columns=["eruptions", "waiting"])
    assert [row["parameter"] for row in table[:4]] == [
        "weight",
        "weight",
        "mean[eruptions]",
        "mean[waiting]",
    ]
    assert all(row["low"] <= row["estimate"] <= row["high"] for row in table)
    assert (
        len(table)
        == 2
        + 4
        + {"full": 6, "tied": 3, "diag": 4, "spherical": 2, "tied_diag": 2, "tied_spherical": 1}[
            kind
        ]
    )
    low = found.interval(0.999999).low
    assert (low.weights > 0).all()


def test_an_unknown_method_and_an_invalid_level_are_refused(faithful):
    fit = GaussianMixture(2, random_state=0).fit(faithful)
    with pytest.raises(ValueError, match="method='exact' is not known"):
        fit.standard_errors(faithful, method="exact")
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        fit.standard_errors(faithful).interval(95)


def test_float32_data_have_the_errors_of_float64(faithful):
    X = faithful + 1e3
    a = GaussianMixture(2, random_state=0).fit(X).standard_errors(X)
    single = X.astype(np.float32)
    b = GaussianMixture(2, random_state=0).fit(single).standard_errors(single)
    order = np.argsort(a.estimate.means[:, 0]), np.argsort(b.estimate.means[:, 0])
    # float32 at an offset of 1e3 has a rounding of 1e-4 of the smallest standard deviation.
    np.testing.assert_allclose(a.means[order[0]], b.means[order[1]], rtol=1e-2)
