"""Variational Bayes: outside truth, laws of the bound and of the posterior, behaviour, bad input.

That the bound is one of the evidence itself is in tests/test_bayesian_evidence.py.
"""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, gammaln, multigammaln
from scipy.stats import beta as beta_law
from scipy.stats import chi2
from scipy.stats import t as student
from sklearn.datasets import load_iris
from sklearn.mixture import BayesianGaussianMixture as ScikitLearn

import mixtura
from conftest import TRUTH
from mixtura import BayesianGaussianMixture, GaussianMixture

KINDS = ["dirichlet_process", "dirichlet_distribution"]
FAMILIES = ["full", "tied", "diag", "tied_diag", "spherical", "tied_spherical"]
FAITHFUL = np.loadtxt(TRUTH / "data" / "faithful.csv", delimiter=",", skiprows=1)
TRUE = json.loads((TRUTH / "bayesian_faithful.json").read_text())


def groups(n: int = 150, d: int = 2, seed: int = 0, apart: float = 8.0) -> np.ndarray:
    """Three groups of n/3 rows."""
    rng = np.random.default_rng(seed)
    centres = apart * (np.eye(3, d) if d > 1 else np.arange(3.0)[:, None])
    return np.repeat(centres, n // 3, axis=0) + rng.standard_normal((3 * (n // 3), d))


def left_out(X: np.ndarray, K: int, kind: str, a: float) -> float:
    """What scikit-learn's bound leaves out, for its default priors and full covariances."""
    n, d = X.shape
    nu, rate = float(d), np.cov(X.T)
    log_normaliser = (
        0.5 * nu * d * np.log(2)
        - 0.5 * nu * np.linalg.slogdet(rate)[1]
        + multigammaln(0.5 * nu, d)
        - 0.25 * d * (d - 1) * np.log(np.pi)
    )
    if kind == "dirichlet_process":
        # its last stick is free; without rows it has the divergence 0
        of_weights = -K * betaln(1.0, a)
    else:
        of_weights = gammaln(K * a) - K * gammaln(a)
    return of_weights - 0.5 * n * d * np.log(2 * np.pi) - K * log_normaliser


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["0.001", "default 1/6", "10"])
def test_bounds_of_scikit_learn_are_reached_up_to_its_constants(kind: str, name: str) -> None:
    a = 1 / 6 if name.startswith("default") else float(name)
    model = BayesianGaussianMixture(
        6, weight_concentration_prior_type=kind, weight_concentration_prior=a, random_state=0
    ).fit(FAITHFUL)
    theirs = TRUE[kind][name] + left_out(FAITHFUL, 6, kind, a)
    if kind == "dirichlet_process" and a == 10:
        # With a large concentration the last stick has rows, and theirs is another posterior.
        assert model.lower_bound_ > theirs - 5.0
        return
    # six digits after the point are given, and the tolerance of the fit is 0.01
    assert model.lower_bound_ >= theirs - 0.01


def test_weights_of_scikit_learn_are_reached() -> None:
    model = BayesianGaussianMixture(6, random_state=0).fit(FAITHFUL)
    np.testing.assert_allclose(model.weights_, TRUE["weights_dp_default"], atol=1e-4)


def test_the_posterior_of_scikit_learn_is_a_fixed_point() -> None:
    theirs = ScikitLearn(
        n_components=4,
        weight_concentration_prior_type="dirichlet_distribution",
        tol=1e-10,
        reg_covar=0.0,
        max_iter=5000,
        random_state=1,
    ).fit(FAITHFUL)
    ours = BayesianGaussianMixture(
        4,
        weight_concentration_prior_type="dirichlet_distribution",
        init_params=theirs.predict_proba(FAITHFUL),
        component_order=None,
    ).fit(FAITHFUL)
    # theirs has stopped where the bound changes by 1e-10 in an iteration: parameters are within
    # the root of that, 1e-5, times the rate
    for name in (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "weight_concentration_",
        "mean_precision_",
        "degrees_of_freedom_",
    ):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        ours.predict_proba(FAITHFUL), theirs.predict_proba(FAITHFUL), atol=1e-4
    )
    constant = left_out(FAITHFUL, 4, "dirichlet_distribution", 0.25)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_ + constant, abs=1e-4)


# ---- laws of the bound ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_bound_never_falls(family: str, kind: str, acceleration: str | None) -> None:
    model = BayesianGaussianMixture(
        6,
        covariance_type=family,
        weight_concentration_prior_type=kind,
        acceleration=acceleration,
        n_init=1,
        init_params="random",
        random_state=3,
    ).fit(groups(d=3, apart=3.0))
    bounds = np.array(model.lower_bounds_)
    assert len(bounds) > 5
    # sums of 150 rows and of a dozen terms up to 1e3: rounding is below 1e-10
    assert (np.diff(bounds) >= -1e-9).all()
    assert model.converged_


@pytest.mark.parametrize("family", ["full", "tied", "diag", "tied_diag"])
def test_other_units_change_the_bound_by_their_jacobian_alone(family: str) -> None:
    X, units = groups(d=3), np.array([1e-3, 1.0, 2e4])
    settings = {"covariance_type": family, "random_state": 0}
    one = BayesianGaussianMixture(5, **settings).fit(X)
    other = BayesianGaussianMixture(5, **settings).fit(X * units)
    jacobian = len(X) * np.log(units).sum()
    # 150 x 3 log terms of size 10 have rounding of 1e-12; the optimum is found to 0.01
    assert other.lower_bound_ == pytest.approx(one.lower_bound_ - jacobian, abs=0.01)
    np.testing.assert_allclose(other.means_, one.means_ * units, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_weight_of_two_is_a_repeated_row(family: str) -> None:
    X = groups(60)
    priors = {"covariance_prior": _prior(family, X), "mean_prior": X.mean(axis=0)}
    settings = {"covariance_type": family, "random_state": 0, **priors}
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    weighted = BayesianGaussianMixture(4, **settings).fit(X, sample_weight=weights)
    repeated = BayesianGaussianMixture(4, **settings).fit(np.concatenate([X, X[:20]]))
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=0.01)
    np.testing.assert_allclose(weighted.counts_, repeated.counts_, atol=0.05)


def _prior(family: str, X: np.ndarray) -> np.ndarray | float:
    d = X.shape[1]
    if family.endswith("spherical"):
        return 1.0
    return np.ones(d) if family.endswith("diag") else np.eye(d)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_of_one_component_predicts_the_next_row(family: str) -> None:
    """Where the bound is the evidence, p(x | X) is a ratio of two of them."""
    X, new = groups(21)[::3], np.array([[1.0, -2.0]])
    settings = {
        "covariance_type": family,
        "covariance_prior": _prior(family, X),
        "mean_prior": [0.5, 0.0],
        "degrees_of_freedom_prior": 2.5,
        "mean_precision_prior": 0.3,
    }
    before = BayesianGaussianMixture(1, **settings).fit(X)
    after = BayesianGaussianMixture(1, **settings).fit(np.concatenate([X, new]))
    difference = after.lower_bound_ - before.lower_bound_
    # the process and the Dirichlet distribution of one component say nothing of weights
    assert before.score_samples(new)[0] == pytest.approx(difference, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_predictive_density_integrates_to_one(family: str) -> None:
    X = groups(30, d=1)
    model = BayesianGaussianMixture(3, covariance_type=family, random_state=0).fit(X)

    def density(x: float) -> float:
        return float(np.exp(model.score_samples([[x]])[0]))

    inside = quad(density, -50, 50, points=[0, 8, 16], limit=400)[0]
    # a component without rows has one degree of freedom: its tails are long
    tails = quad(density, -np.inf, -50)[0] + quad(density, 50, np.inf)[0]
    assert inside + tails == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("family", ["diag", "full"])
def test_missing_entries_leave_the_density_of_the_others(family: str) -> None:
    X = groups(60)
    model = BayesianGaussianMixture(3, covariance_type=family, random_state=0).fit(X)
    rows = np.array([[0.5, np.nan]])
    marginal = quad(
        lambda y: np.exp(model.score_samples([[0.5, y]])[0]), -200, 200, points=[0, 8], limit=400
    )[0]
    assert np.exp(model.score_samples(rows)[0]) == pytest.approx(marginal, rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_with_missing_entries_are_part_of_the_fit(family: str) -> None:
    X = groups(90, d=3)
    X[np.random.default_rng(5).random(X.shape) < 0.15] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    model = BayesianGaussianMixture(6, covariance_type=family, random_state=0).fit(X)
    assert model.converged_
    assert (np.diff(model.lower_bounds_) >= -1e-9).all()
    assert (model.counts_ > 15).sum() == 3
    assert not np.isnan(model.impute(X)).any()


def test_known_classes_are_components() -> None:
    X = groups(90)
    labels = np.full(90, -1)
    labels[[0, 1, 30, 31]] = 0, 0, 1, 1
    model = BayesianGaussianMixture(5, random_state=0, component_order=None).fit(X, labels=labels)
    assert set(model.predict(X[:30])) == {0}
    assert set(model.predict(X[30:60])) == {1}


# ---- the posterior -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_components_that_are_not_needed_are_left_without_rows(kind: str) -> None:
    model = BayesianGaussianMixture(10, weight_concentration_prior_type=kind, random_state=0).fit(
        groups()
    )
    assert model.n_active_components_ == 3
    np.testing.assert_allclose(model.counts_[:3], 50.0, atol=1.0)
    assert (model.counts_[3:] < 0.1).all()
    assert model.weights_.sum() == pytest.approx(1.0, abs=1e-12)


def test_intervals_agree_with_the_laws_of_the_posterior() -> None:
    X = groups(150)
    model = BayesianGaussianMixture(
        3, weight_concentration_prior_type="dirichlet_distribution", random_state=0
    ).fit(X)
    found = model.credible_intervals(0.9, n_draws=20_000)
    tails = np.array([0.05, 0.95])
    a = model.weight_concentration_
    T = model.covariances_ * model.degrees_of_freedom_[:, None, None]
    for k in range(3):
        width = np.diff(beta_law.ppf(tails, a[k], a.sum() - a[k]))[0]
        ends = [found.low.weights[k], found.high.weights[k]]
        # a quantile of n draws has the error sqrt(q (1-q) / n) / density: 1 % of the width here;
        # four of them
        np.testing.assert_allclose(
            ends, beta_law.ppf(tails, a[k], a.sum() - a[k]), atol=0.04 * width
        )
        dof = model.degrees_of_freedom_[k] - 1  # nu - d + 1
        scale = np.sqrt(T[k, 0, 0] / (dof * model.mean_precision_[k]))
        means = student.ppf(tails, dof, model.means_[k, 0], scale)
        ends = [found.low.means[k, 0], found.high.means[k, 0]]
        np.testing.assert_allclose(ends, means, atol=0.04 * np.diff(means)[0])
        variances = T[k, 1, 1] / chi2.ppf(tails[::-1], dof)  # of inverse Wishart: nu - d + 1
        ends = [found.low.covariances[k, 1, 1], found.high.covariances[k, 1, 1]]
        np.testing.assert_allclose(ends, variances, atol=0.04 * np.diff(variances)[0])


def test_memberships_are_certain_far_from_a_border_and_uncertain_at_it() -> None:
    X = groups(60, d=1)
    model = BayesianGaussianMixture(2, random_state=0).fit(X[:40])
    left, right = sorted(model.means_[:, 0])
    found = model.membership_intervals([[left], [0.5 * (left + right)]])
    width = found.high - found.low
    assert (width[0] < 0.01).all()
    assert (width[1] > 0.05).all()
    assert (found.low <= found.high).all()


@pytest.mark.parametrize("a", [0.1, 1.0, 5.0])
def test_the_prior_expects_as_many_components_as_the_process(a: float) -> None:
    n = 500
    exact = (a / (a + np.arange(n))).sum()  # Antoniak 1974
    model = BayesianGaussianMixture(200, weight_concentration_prior=a)
    # 4,000 draws of a number with a deviation of about its root
    assert model.expected_components(n) == pytest.approx(exact, abs=4 * np.sqrt(exact / 4000))


def test_the_prior_of_a_dirichlet_distribution_expects_its_occupied_components() -> None:
    K, a, n = 7, 0.4, 30
    empty = np.exp(
        gammaln(K * a) + gammaln((K - 1) * a + n) - gammaln((K - 1) * a) - gammaln(K * a + n)
    )
    model = BayesianGaussianMixture(
        K,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=a,
    )
    assert model.expected_components(n) == pytest.approx(K * (1 - empty), abs=0.1)


# ---- behaviour -----------------------------------------------------------------------------------


def test_the_certificate_holds_at_the_optimum_and_not_before() -> None:
    X = groups(apart=2.5)
    model = BayesianGaussianMixture(4, random_state=0).fit(X)
    assert model.certificate_.holds
    assert model.certify(X).holds
    with pytest.warns(match="did not converge"):
        short = BayesianGaussianMixture(4, n_init=1, max_iter=1, random_state=0).fit(X)
    assert not short.certify(X).holds


def test_a_start_alone_is_no_optimum() -> None:
    start = BayesianGaussianMixture(4, max_iter=0, random_state=0).fit(groups(apart=2.5))
    assert (start.counts_ == 0.0).any()  # components that only the prior has
    assert not start.certificate_.holds


def test_default_fits_have_no_lower_bounds_than_scikit_learn() -> None:
    X = load_iris().data
    for kind in KINDS:
        model = BayesianGaussianMixture(
            6, weight_concentration_prior_type=kind, random_state=0
        ).fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of starts of theirs that have not converged
            theirs = ScikitLearn(
                n_components=6,
                weight_concentration_prior_type=kind,
                n_init=2,
                max_iter=200,
                random_state=0,
            ).fit(X)
        continued = BayesianGaussianMixture(
            6,
            weight_concentration_prior_type=kind,
            init_params=theirs.predict_proba(X),
        ).fit(X)
        assert model.lower_bound_ >= continued.lower_bound_ - 0.02


def test_criteria_of_maximum_likelihood_are_refused() -> None:
    model = BayesianGaussianMixture(2).fit(groups(30))
    for name in ("bic", "aic", "icl", "standard_errors"):
        assert not hasattr(model, name)
    with pytest.raises(AttributeError, match="lower_bound_"):
        model.bic(groups(30))


def test_a_fit_goes_through_pickle_and_goes_on() -> None:
    X = groups(60)
    model = BayesianGaussianMixture(3, warm_start=True, random_state=0).fit(X)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(copy.score_samples(X), model.score_samples(X))
    bound = model.lower_bound_
    assert copy.fit(X).lower_bound_ == pytest.approx(bound, abs=1e-3)
    assert "lower bound of the log evidence" in model._repr_html_()


@pytest.mark.parametrize("K", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_there_are_as_many_components_as_were_asked_for(K: int, seed: int) -> None:
    X = np.random.default_rng(seed).random((15, 10))
    model = BayesianGaussianMixture(K, random_state=seed).fit(X)
    assert model.weights_.shape == (K,)
    assert model.predict_proba(X).shape == (15, K)


def test_samples_are_of_the_expected_mixture() -> None:
    model = BayesianGaussianMixture(5, random_state=0).fit(groups())
    rows, labels = model.sample(3000)
    shares = np.bincount(labels, minlength=5) / 3000
    np.testing.assert_allclose(shares, model.weights_, atol=4 * np.sqrt(0.25 / 3000))
    assert rows.shape == (3000, 2)


def test_the_same_bits_for_any_number_of_threads() -> None:
    X = groups(600)
    one, two = (
        BayesianGaussianMixture(5, random_state=0, n_threads=threads).fit(X) for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.means_, two.means_)
    assert one.lower_bound_ == two.lower_bound_


def test_errors_of_measurement_and_float32_rows_are_part_of_the_fit() -> None:
    X = groups(150, seed=4)
    noisy = X + np.random.default_rng(0).normal(0.0, 0.5, X.shape)
    errors = np.full(len(X), 0.25)
    model = BayesianGaussianMixture(6, random_state=0).fit(noisy, measurement_covariance=errors)
    plain = BayesianGaussianMixture(6, random_state=0).fit(noisy)
    assert (np.diff(model.lower_bounds_) >= -1e-9).all()
    assert model.n_active_components_ == 3
    traces = [np.trace(one.covariances_[:3].mean(axis=0)) for one in (model, plain)]
    assert traces[0] < traces[1]  # the errors are not part of the mixture
    single = BayesianGaussianMixture(6, random_state=0).fit(X.astype(np.float32))
    assert single.means_.dtype == single.score_samples(X.astype(np.float32)).dtype == np.float32


def test_files_and_parameters_are_of_other_mixtures(tmp_path: Path) -> None:
    model = BayesianGaussianMixture(2).fit(groups(30))
    with pytest.raises(TypeError, match="posterior"):
        mixtura.save(model, tmp_path / "model.safetensors")
    with pytest.raises(TypeError, match="posterior"):
        BayesianGaussianMixture.from_parameters([1.0], [[0.0]], [[[1.0]]])


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"covariance_type": "VVE"}, "no conjugate prior"),
        ({"weight_concentration_prior_type": "normal"}, "dirichlet_process"),
        ({"weight_concentration_prior": 0.0}, "weight_concentration_prior must be a number above"),
        ({"weight_concentration_prior": "small"}, "weight_concentration_prior"),
        ({"mean_precision_prior": -1.0}, "mean_precision_prior"),
        ({"degrees_of_freedom_prior": 1.0}, "should be greater than 1, but got 1.000"),
        ({"mean_prior": [0.0]}, "should have the shape of"),
        ({"covariance_prior": [1.0, 1.0]}, "covariance_prior"),
        ({"covariance_prior": [[1.0, 2.0], [2.0, 1.0]]}, "positive-definite"),
        ({"covariance_type": "diag", "covariance_prior": [1.0, -1.0]}, "positive"),
    ],
)
def test_priors_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BayesianGaussianMixture(2, **settings).fit(groups(30))


@pytest.mark.parametrize("prior", [None, np.eye(3)])
def test_a_constant_column_is_said(prior: np.ndarray | None) -> None:
    X = np.column_stack([groups(30), np.ones(30)])
    with pytest.warns(match="the prior decides"):
        model = BayesianGaussianMixture(4, covariance_prior=prior, random_state=0).fit(X)
    assert np.isfinite(model.lower_bound_)


def test_equal_rows_are_said() -> None:
    with pytest.warns(match="All rows of X are equal"):
        BayesianGaussianMixture(1).fit(np.ones((10, 2)))


def test_a_level_that_is_no_probability_is_refused() -> None:
    model = BayesianGaussianMixture(1).fit(groups(30))
    with pytest.raises(ValueError, match="level"):
        model.credible_intervals(95)


def test_a_bayesian_fit_is_better_informed_than_a_maximum_of_the_likelihood() -> None:
    """Twelve rows and three components: fresh rows are likelier under the posterior predictive."""
    fresh, gains = groups(300, seed=9, apart=4.0), []
    for seed in range(5):
        X = groups(12, seed=seed, apart=4.0)
        bayes = BayesianGaussianMixture(3, covariance_type="diag", random_state=0).fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of spurious components, which is the point
            plain = GaussianMixture(3, covariance_type="diag", random_state=0).fit(X)
        gains.append(bayes.score(fresh) - plain.score(fresh))
    assert np.median(gains) > 0.5
