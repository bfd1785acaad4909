"""Fixed parameters of the estimators: identity of components, searches, counts and refusals."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans

from mixtura import (
    ConjugatePrior,
    GaussianMixture,
    GaussianMixtureSelector,
    Mixture,
    StudentTMixture,
)
from mixtura.distribution.covariance import Spherical
from mixtura.distribution.noise import Noise

NAN = np.nan


@pytest.fixture(scope="module")
def plain(faithful) -> GaussianMixture:
    return GaussianMixture(2, random_state=0).fit(faithful)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize("name", ["weights", "means", "covariances"])
def test_components_have_the_numbers_of_their_fixed_values(name, order, faithful, plain):
    values = getattr(plain, f"{name}_")[order]
    fit = GaussianMixture(2, random_state=0, **{f"fixed_{name}": values}).fit(faithful)
    assert (getattr(fit, f"{name}_") == values).all()
    np.testing.assert_allclose(fit.means_, plain.means_[order], rtol=1e-4)
    assert fit.result_.log_likelihood == pytest.approx(plain.result_.log_likelihood, abs=1e-4)
    assert fit.converged_


def test_the_search_exchanges_components_that_a_start_mistook():
    """Groups overlap, and their weights are fixed at others than those of the clusters."""
    rng = np.random.default_rng(0)
    groups = ((0, 1.5, 40), (2, 0.8, 60), (4, 1.1, 100), (7, 0.6, 100))
    X = np.concatenate([rng.normal(c, s, (m, 1)) for c, s, m in groups])
    labels = KMeans(4, n_init=1, random_state=0).fit_predict(X)
    settings = {"fixed_weights": [0.2, 0.3, 0.1, 0.4], "random_state": 0}
    found = GaussianMixture(4, **settings).fit(X).result_.log_likelihood
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of them end at saddles
        each = [
            GaussianMixture(4, init_params=np.array(order)[labels], **settings).fit(X)
            for order in permutations(range(4))
        ]
    levels = [fit.result_.log_likelihood for fit in each]
    assert max(levels) - min(levels) > 1.0
    assert found >= max(levels) - 0.05


def test_unfixed_components_are_ordered_around_the_fixed_ones(faithful):
    fit = GaussianMixture(
        3,
        fixed_means=[[NAN, NAN], [2.0, 54.5]],
        component_order="weight",
        random_state=0,
        covariance_type="tied",
    ).fit(faithful)
    assert fit.means_[1].tolist() == [2.0, 54.5]
    assert fit.weights_[0] >= fit.weights_[2]


def test_given_labels_name_the_fixed_components(faithful):
    labels = (faithful[:, 1] > 68).astype(int)
    fit = GaussianMixture(2, fixed_weights=[0.3, 0.7], init_params=1 - labels, random_state=0)
    fit.fit(faithful)
    assert fit.weights_.tolist() == [0.3, 0.7]
    assert fit.means_[0, 1] > fit.means_[1, 1]  # the order of the labels, not of the weights


def test_bic_counts_free_parameters(faithful, plain):
    fit = GaussianMixture(2, fixed_means=plain.means_, random_state=0).fit(faithful)
    saved = 4 * np.log(len(faithful))
    assert fit.bic(faithful) == pytest.approx(plain.bic(faithful) - saved, abs=1e-3)


def test_a_warm_start_keeps_the_numbers(faithful):
    fit = GaussianMixture(2, fixed_means=[[4.3, 80.0]], warm_start=True, random_state=0)
    first = fit.fit(faithful).means_
    again = fit.fit(faithful).means_
    np.testing.assert_allclose(again, first, rtol=1e-4)
    assert again[0].tolist() == [4.3, 80.0]


def test_bootstrap_replicates_keep_fixed_parameters(faithful):
    fit = GaussianMixture(2, fixed_weights=[0.64], random_state=0).fit(faithful)
    errors = fit.standard_errors(faithful, method="bootstrap", n_replicates=10)
    assert errors.weights.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    assert (errors.means > 0).all()


def test_clone_and_params(plain):
    fit = GaussianMixture(2, fixed_means=[[0.0, NAN]], fixed_mixture=plain.mixture_)
    copied = clone(fit).fixed_mixture
    assert copied.means.tolist() == plain.mixture_.means.tolist()
    assert clone(fit).get_params()["fixed_means"] == [[0.0, NAN]]


# ---- selection -----------------------------------------------------------------------------------


def test_the_selector_fixes_the_first_components(faithful):
    choice = GaussianMixtureSelector(
        (2, 3), families=["EII", "VVI", "EEE", "VVV"], fixed_means=[[2.0, 54.5]], random_state=0
    ).fit(faithful)
    for candidate in choice.selection_.candidates:
        assert candidate.fit.mixture.means[0].tolist() == [2.0, 54.5]
    best = choice.best_estimator_
    assert best.n_components >= 2
    assert best.bic(faithful) == pytest.approx(choice.selection_.best.criterion, abs=1e-6)


def test_families_without_the_form_of_a_fixed_covariance_are_listed_with_the_reason(faithful):
    matrix = np.array([[0.2, 0.3], [0.3, 30.0]])
    choice = GaussianMixtureSelector(
        (2,), families=["VVI", "EEE", "VVV"], fixed_covariances=[matrix], random_state=0
    ).fit(faithful)
    reasons = {one.family: one.reason for one in choice.selection_.candidates}
    assert "diagonal" in reasons["VVI"]
    assert "one covariance" in reasons["EEE"]
    assert choice.best_estimator_.covariances_[0].tolist() == matrix.tolist()


def test_too_few_components_are_refused_at_the_door(faithful):
    with pytest.raises(ValueError, match="at most one row for each of the 1 components"):
        GaussianMixtureSelector((1, 2), fixed_means=[[0.0, 0.0], [1.0, 1.0]]).fit(faithful)


# ---- refusals ------------------------------------------------------------------------------------

GAUSSIAN = Mixture(np.ones(1), np.zeros((1, 2)), Spherical(np.ones(1), 1, 2))

REFUSED = {
    "above one": ({"fixed_weights": [0.7, 0.7]}, "at most one, but their sum is 1.4"),
    "not all": ({"fixed_weights": [0.3, 0.3]}, "must sum to one, but their sum is 0.6"),
    "nothing left": ({"fixed_weights": [1.0, NAN]}, "leave some weight"),
    "negative": ({"fixed_weights": [-0.1, NAN]}, "above 0"),
    "matrix of weights": ({"fixed_weights": [[0.5, 0.5]]}, "shape"),
    "too many": ({"fixed_means": np.zeros((3, 2))}, "at most one row"),
    "columns": ({"fixed_means": np.zeros((2, 3))}, "one column for each of the 2 columns"),
    "one row": ({"fixed_means": [1.0, 2.0]}, "one row per component"),
    "infinite": ({"fixed_means": [[np.inf, 0.0]]}, "infinity"),
    "words": ({"fixed_means": [["a", "b"]]}, "must hold numbers"),
    "indefinite": ({"fixed_covariances": [[[1.0, 2.0], [2.0, 1.0]]]}, "positive definite"),
    "in part": ({"fixed_covariances": [[[1.0, NAN], [NAN, 1.0]]]}, "given whole"),
    "one of a tied family": (
        {"fixed_covariances": [np.eye(2)], "covariance_type": "tied"},
        "one covariance for all",
    ),
    "matrix in diag": (
        {"fixed_covariances": [[[1.0, 0.5], [0.5, 1.0]]], "covariance_type": "diag"},
        "must be diagonal",
    ),
    "diagonal in spherical": (
        {"fixed_covariances": [np.diag([1.0, 2.0])], "covariance_type": "spherical"},
        "multiple of the identity",
    ),
    "shape": ({"fixed_covariances": [1.0, 2.0]}, "must have the shape"),
    "equal weights": ({"fixed_weights": [0.3], "equal_weights": True}, "equal_weights"),
    "ratio": (
        {"fixed_covariances": [np.eye(2)], "eigenvalue_ratio": 10.0},
        "eigenvalue_ratio bounds",
    ),
    "mixture and means": (
        {
            "fixed_mixture": GAUSSIAN,
            "fixed_means": [[1.0, 1.0]],
        },
        "no other argument",
    ),
    "mixture with noise": (
        {"fixed_mixture": replace(GAUSSIAN, noise=Noise(0.1, np.zeros(2), np.zeros(2)))},
        "Gaussians alone, but it has a noise term",
    ),
    "mixture of t": (
        {"fixed_mixture": replace(GAUSSIAN, tails=np.full(1, 4.0))},
        "Gaussians alone, but it has t components",
    ),
    "no mixture": ({"fixed_mixture": 3}, "must be a mixtura.Mixture"),
    "an estimator": ({"fixed_mixture": GaussianMixture(2)}, "Pass mixture_ of a fitted estimator"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_impossible_is_refused(case, faithful):
    given, message = REFUSED[case]
    error = TypeError if case in ("no mixture", "an estimator") else ValueError
    with pytest.raises(error, match=message):
        GaussianMixture(2, random_state=0, **given).fit(faithful)


# ---- together with what is known of rows ---------------------------------------------------------


def test_known_classes_and_fixed_parameters_name_the_same_components(faithful):
    labels = np.full(len(faithful), -1)
    labels[:20] = (faithful[:20, 1] < 68).astype(int)
    fit = GaussianMixture(3, fixed_means=[[NAN, NAN], [2.0, 54.0]], random_state=0)
    fit.fit(faithful, labels=labels)
    assert fit.means_[1].tolist() == [2.0, 54.0]
    assert fit.means_[0, 1] > 70


@pytest.mark.filterwarnings("ignore::mixtura.base.errors.DataWarning")
def test_missing_entries_and_weights_and_errors_of_measurement(faithful):
    rng = np.random.default_rng(0)
    X = faithful.copy()
    X[rng.random(X.shape) < 0.2] = NAN
    fit = GaussianMixture(2, fixed_weights=[0.64], random_state=0).fit(
        X, sample_weight=rng.uniform(0.5, 1.5, len(X)), measurement_covariance=[0.01] * len(X)
    )
    assert fit.weights_[0] == 0.64
    assert min(np.diff(fit.lower_bounds_)) >= 0
    assert fit.converged_


def test_float32_rows_keep_fixed_values_in_double(faithful):
    means = [[2.03, 54.47], [4.29, 79.97]]
    fit = GaussianMixture(2, fixed_means=means, random_state=0).fit(faithful.astype(np.float32))
    assert fit.mixture_.means.tolist() == means
    assert fit.means_.dtype == np.float32


def test_many_components_are_searched_around_the_fixed_ones():
    rng = np.random.default_rng(0)
    centres = rng.uniform(-40, 40, (12, 2))
    X = (centres[:, None] + rng.standard_normal((12, 60, 2))).reshape(-1, 2)
    fit = GaussianMixture(12, covariance_type="tied", fixed_means=centres[:3], random_state=0)
    fit.fit(X)
    plain = GaussianMixture(12, covariance_type="tied", random_state=0).fit(X)
    assert (fit.means_[:3] == centres[:3]).all()
    lost = plain.result_.log_likelihood - fit.result_.log_likelihood
    assert 0.0 <= lost < 10.0  # half of chi-squared with six degrees of freedom


# ---- beside a noise term -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy(faithful) -> np.ndarray:
    rng = np.random.default_rng(0)
    low, high = faithful.min(axis=0), faithful.max(axis=0)
    return np.concatenate([faithful, rng.uniform(low, high, (60, 2))])


@pytest.mark.parametrize(
    "given",
    [
        {"fixed_weights": [0.3]},
        {"fixed_weights": [0.3, 0.5]},
        {"fixed_means": [[2.0, NAN], [NAN, 80.0]]},
    ],
    ids=["one weight", "all weights", "means"],
)
def test_noise_shares_what_fixed_weights_leave(given, noisy):
    plain = GaussianMixture(2, noise="box", random_state=0).fit(noisy)
    fit = GaussianMixture(2, noise="box", random_state=0, **given).fit(noisy)
    mixture = fit.result_.mixture
    assert mixture.weights.sum() + mixture.noise.weight == pytest.approx(1.0, abs=1e-12)
    assert type(fit.noise_weight_) is type(plain.noise_weight_) is float
    for name, values in given.items():
        fixed = np.array(values)
        found = getattr(mixture, name.removeprefix("fixed_"))[: len(fixed)]
        assert (found == fixed)[~np.isnan(fixed)].all()
    assert min(np.diff(fit.lower_bounds_)) >= 0
    assert fit.converged_
    assert fit.certificate_.gradient < 1e-2
    assert fit.result_.log_likelihood <= plain.result_.log_likelihood + 1e-6
    saved = sum(int((~np.isnan(np.array(values))).sum()) for values in given.values())
    assert fit.result_.n_parameters == plain.result_.n_parameters - saved
    assert fit.bic(noisy) == pytest.approx(
        -2 * fit.result_.log_likelihood + fit.result_.n_parameters * np.log(len(noisy))
    )


def test_no_weight_left_for_the_noise_is_refused(noisy):
    with pytest.raises(ValueError, match="leave some weight for the noise"):
        GaussianMixture(2, noise="box", fixed_weights=[0.5, 0.5]).fit(noisy)


# ---- t components --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"fixed_weights": [0.36]},
        {"fixed_means": [[2.0, NAN], [4.3, 80.0]]},
        {"fixed_covariances": [[[0.1, 0.4], [0.4, 30.0]]]},
        {"fixed_means": [[2.0, 54.0]], "prior": ConjugatePrior(shrinkage=5.0)},
    ],
    ids=["weight", "means", "scale", "prior"],
)
def test_t_components_keep_fixed_values(given, noisy):
    plain = StudentTMixture(2, random_state=0).fit(noisy)
    fit = StudentTMixture(2, random_state=0, **given).fit(noisy)
    free = fit.result_.n_parameters
    for name in ("weights", "means", "covariances"):
        if f"fixed_{name}" in given:
            fixed = np.array(given[f"fixed_{name}"])
            found = getattr(fit, f"{name}_")[: len(fixed)]
            assert (found == fixed)[~np.isnan(fixed)].all()
    assert free < plain.result_.n_parameters
    assert min(np.diff(fit.lower_bounds_)) >= 0
    assert fit.converged_
    assert fit.certificate_.gradient < 1e-3
    assert fit.result_.log_likelihood <= plain.result_.log_likelihood + 1e-4
