"""StudentTMixture and the selection between Gaussian and t components."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from conftest import ALL_BACKENDS, read_data, read_truth
from mixtura import (
    GaussianMixture,
    GaussianMixtureSelector,
    Mixture,
    StudentTMixture,
    load,
    match,
    save,
)
from mixtura.families import FAMILIES, family_named
from mixtura.inference.information import information
from mixtura.inputs.constraints import constraints_of, problem_of
from mixtura.inputs.rows import dataset_of
from mixtura.model.outlines import intervals, outlines


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    return read_data("faithful_noise.csv", 2)


@pytest.fixture(scope="module")
def heavy() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.standard_t(3, (150, 2)), rng.standard_t(5, (150, 2)) + 8])


@pytest.fixture(scope="module")
def fitted(heavy) -> StudentTMixture:
    return StudentTMixture(2, component_order="weight", random_state=0).fit(heavy)


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "which", "kwargs"),
    [("VVV", 0, {}), ("EVV", 1, {}), ("VVV", None, {"degrees_of_freedom_bounds": (2.0, 1000.0)})],
)
def test_teigen_and_emmixskew_are_reached(family, which, kwargs, faithful):
    truth = read_truth("t_faithful.json")["fits"]
    model = StudentTMixture(
        2, covariance_type=family, component_order="weight", random_state=0, **kwargs
    )
    level = model.fit(faithful).result_.log_likelihood
    if which is None:  # tgmm with a cap of 1000
        assert level == pytest.approx(-1129.942299, abs=2e-6)
        np.testing.assert_allclose(model.degrees_of_freedom_, [1000.0, 19.18], rtol=1e-3)
        return
    assert level == pytest.approx(truth[which]["loglik"], abs=2e-6)
    np.testing.assert_allclose(model.degrees_of_freedom_, truth[which]["df_values"], rtol=5e-4)
    if "mean" in truth[which]:
        np.testing.assert_allclose(model.means_, truth[which]["mean"], rtol=1e-4)
        np.testing.assert_allclose(model.weights_, truth[which]["pro"], rtol=1e-4)
    assert model.converged_
    assert model.certificate_.holds


def test_the_better_of_two_optima_is_found(noisy):
    truth = read_truth("t_faithful_noise.json")["fits"][0]
    model = StudentTMixture(2, random_state=0).fit(noisy)
    assert model.result_.log_likelihood >= truth["loglik_at_least"] - 1e-6
    assert (model.degrees_of_freedom_ >= 2.0).all()


def test_one_component_is_scipys_fit_of_a_univariate_t():
    x = stats.t(4.0, loc=3.0, scale=2.0).rvs(500, random_state=0)
    model = StudentTMixture().fit(x[:, None])
    nu, loc, scale = stats.t.fit(x)
    assert model.degrees_of_freedom_[0] == pytest.approx(nu, rel=0.01)
    assert model.result_.log_likelihood >= stats.t(nu, loc, scale).logpdf(x).sum() - 1e-4


# ---- the estimator -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_fitted_saved_and_counted(family, heavy, tmp_path):
    model = StudentTMixture(2, covariance_type=family, n_init=1, random_state=0).fit(heavy)
    assert model.converged_
    expected = FAMILIES[family].n_parameters(2, 2) + 2
    assert model.result_.n_parameters == expected
    assert model.bic(heavy) == pytest.approx(
        -2 * model.result_.log_likelihood + expected * np.log(len(heavy))
    )
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert isinstance(again, StudentTMixture)
    np.testing.assert_array_equal(again.degrees_of_freedom_, model.degrees_of_freedom_)
    np.testing.assert_array_equal(again.score_samples(heavy), model.score_samples(heavy))
    assert again.bic(heavy) == model.bic(heavy)


def test_degrees_of_freedom_are_free_equal_or_given(heavy):
    def fit(asked):
        model = StudentTMixture(2, degrees_of_freedom=asked, n_init=1, random_state=0)
        return model.fit(heavy)

    free, equal, one, two = fit("free"), fit("equal"), fit(4.0), fit([3.0, 50.0])
    assert len(set(free.degrees_of_freedom_)) == 2
    assert len(set(equal.degrees_of_freedom_)) == 1
    np.testing.assert_array_equal(one.degrees_of_freedom_, [4.0, 4.0])
    np.testing.assert_array_equal(two.degrees_of_freedom_, [3.0, 50.0])
    parameters = [model.result_.n_parameters for model in (free, equal, one, two)]
    assert parameters == [13, 12, 11, 11]
    levels = [model.result_.log_likelihood for model in (free, equal, one)]
    assert levels[0] > levels[1] > levels[2]


def test_different_given_numbers_need_no_local_search(heavy):
    model = StudentTMixture(2, degrees_of_freedom=[3.0, 50.0], random_state=0).fit(heavy)
    np.testing.assert_array_equal(model.degrees_of_freedom_, [3.0, 50.0])
    assert model.converged_


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"degrees_of_freedom": "fre"}, "'free', 'equal', a number above 0"),
        ({"degrees_of_freedom": 0.0}, "above 0 and finite"),
        ({"degrees_of_freedom": np.inf}, "GaussianMixture has infinitely many"),
        ({"degrees_of_freedom": [3.0, 4.0, 5.0]}, r"shape of \(2,\)"),
        ({"degrees_of_freedom": None}, "'free', 'equal', a number above 0"),
        ({"degrees_of_freedom_bounds": (5.0, 2.0)}, "must rise"),
        ({"degrees_of_freedom_bounds": (2.0, np.inf)}, "at most 10,000"),
        ({"degrees_of_freedom_bounds": 3.0}, "must be two numbers"),
    ],
)
def test_wrong_degrees_of_freedom_are_refused(given, message, heavy):
    with pytest.raises(ValueError, match=message):
        StudentTMixture(2, **given).fit(heavy)


def test_robustness_weights_are_small_for_far_rows(fitted, heavy):
    rows = np.array([[0.0, 0.0], [60.0, -60.0], [np.nan, 60.0], [np.nan, np.nan]])
    weights = fitted.robustness_weights(rows)
    mixture: Mixture = fitted.mixture_
    nu, d = mixture.tails, 2
    own = (nu + d) / (nu + mixture.squared_distances(rows[:2]))
    np.testing.assert_allclose(weights[:2], (mixture.posterior(rows[:2]) * own).sum(axis=1))
    assert weights[0] > 1.0
    assert weights[1] < 0.02
    assert weights[2] < 0.02
    assert weights[3] == 1.0
    # the mean of u over the rows of a component is 1 at a maximum with free scale matrices
    assert fitted.robustness_weights(heavy).mean() == pytest.approx(1.0, abs=1e-3)
    assert fitted.robustness_weights(rows.astype(np.float32)).dtype == np.float32


def test_an_outlier_moves_a_gaussian_mean_but_hardly_a_t_mean(heavy):
    rows = np.concatenate([heavy, [[1e4, 1e4]]])
    clean, with_outlier = (StudentTMixture(2, random_state=0).fit(X) for X in (heavy, rows))
    order = match(clean, with_outlier).order
    np.testing.assert_allclose(with_outlier.means_[order], clean.means_, atol=0.1)


def test_sampled_rows_are_fitted_back():
    known = StudentTMixture.from_parameters(
        [0.6, 0.4],
        [[0.0, 0.0], [9.0, 3.0]],
        np.array([np.eye(2), 2 * np.eye(2)]),
        [3.0, 12.0],
        random_state=0,
    )
    X, labels = known.sample(4000)
    assert set(labels) == {0, 1}
    model = StudentTMixture(2, component_order="weight", random_state=0).fit(X)
    assert 2.6 < model.degrees_of_freedom_[0] < 3.5
    assert 8.0 < model.degrees_of_freedom_[1] < 22.0
    np.testing.assert_allclose(model.means_, known.means_, atol=0.15)
    np.testing.assert_allclose(model.covariances_, known.covariances_, atol=0.25)


def test_missing_entries_and_weights_enter_the_fit(heavy):
    holes = heavy.copy()
    holes[::7, 0] = np.nan
    model = StudentTMixture(2, random_state=0).fit(holes)
    assert model.converged_
    assert np.isfinite(model.score_samples(holes)).all()
    weighted = StudentTMixture(2, random_state=0).fit(heavy, sample_weight=np.full(300, 2.0))
    repeated = StudentTMixture(2, random_state=0).fit(np.concatenate([heavy, heavy]))
    assert weighted.result_.log_likelihood == pytest.approx(
        repeated.result_.log_likelihood, abs=0.02
    )


def test_a_fit_goes_on_from_the_last_one(heavy):
    model = StudentTMixture(2, random_state=0, warm_start=True).fit(heavy)
    before = model.result_.log_likelihood
    assert model.fit(heavy).result_.log_likelihood >= before - 1e-9
    assert clone(model).degrees_of_freedom == "free"


def test_attributes_may_be_set(fitted, heavy):
    model = load_copy(fitted)
    model.degrees_of_freedom_ = np.array([5.0, 5.0])
    np.testing.assert_array_equal(model.mixture_.tails, [5.0, 5.0])
    assert not np.allclose(model.score_samples(heavy), fitted.score_samples(heavy))


def load_copy(model: StudentTMixture) -> StudentTMixture:
    return StudentTMixture.from_parameters(
        model.weights_, model.means_, model.covariances_, model.degrees_of_freedom_
    )


def test_imputed_draws_are_of_the_conditional_t_distribution():
    scale = np.array([[2.0, 0.8], [0.8, 1.0]])
    known = StudentTMixture.from_parameters([1.0], [[1.0, -1.0]], scale[None], 3.0)
    rows = np.tile([5.0, np.nan], (4000, 1))
    drawn = known.impute(rows, draw=True, random_state=0)[:, 1]
    squared = (5.0 - 1.0) ** 2 / 2.0
    left = (1.0 - 0.8**2 / 2.0) * (3.0 + squared) / (3.0 + 1.0)
    law = stats.t(4.0, loc=-1.0 + 0.4 * 4.0, scale=np.sqrt(left))
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-3
    assert known.impute(rows[:1])[0, 1] == pytest.approx(0.6)
    empty = known.impute(np.full((4000, 2), np.nan), draw=True, random_state=1)[:, 0]
    assert stats.kstest(empty, stats.t(3.0, loc=1.0, scale=np.sqrt(2.0)).cdf).pvalue > 1e-3


def test_an_ellipse_holds_its_share_of_a_t_component():
    scale = np.array([[2.0, 0.8], [0.8, 1.0]])
    known = StudentTMixture.from_parameters([1.0], [[1.0, -1.0]], scale[None], 3.0)
    mixture = known.mixture_
    rows, _ = mixture.sample(20_000, np.random.default_rng(0))
    edge = mixture.squared_distances(outlines(mixture, (0, 1), 0.9)[0])
    assert edge.max() == pytest.approx(edge.min())
    assert (mixture.squared_distances(rows) < edge.mean()).mean() == pytest.approx(0.9, abs=0.01)
    low, high = intervals(mixture, 1, 0.9)[0]
    law = stats.t(3.0, loc=-1.0)
    assert law.cdf(high) - law.cdf(low) == pytest.approx(0.9)


# ---- standard errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["information", "sandwich", "weighted"])
def test_standard_errors_are_of_every_parameter(fitted, heavy, method):
    errors = fitted.standard_errors(heavy, method=method, n_replicates=25, random_state=0)
    assert errors.degrees_of_freedom.shape == (2,)
    at_bound = fitted.degrees_of_freedom_ >= 200.0
    assert ((errors.degrees_of_freedom > 0.2) | at_bound).all()
    assert (errors.degrees_of_freedom < 40.0).all()
    names = [row["parameter"] for row in errors.rows()]
    assert names.count("degrees of freedom") == 2
    intervals = fitted.membership_intervals(heavy[:5], errors)
    assert (intervals.low <= intervals.high).all()


@pytest.mark.parametrize("settings", [{}, {"noise": "box"}, {"degrees_of_freedom": "equal"}])
def test_the_information_is_the_second_difference_of_the_likelihood(settings):
    """To 1e-5 of the complete-data information: differences of second order with a step of 2e-3."""
    rng = np.random.default_rng(3)
    X = np.r_[rng.standard_t(4, (80, 1)), rng.standard_t(6, (80, 1)) + 8.0]
    model = StudentTMixture(2, random_state=0, **settings).fit(X)
    data = dataset_of(X, None, "auto", 1)
    problem = problem_of(data, family_named("VVV"), 2, constraints_of(model))
    found = information(problem, model.mixture_)
    coordinates, step = found.coordinates, 2e-3 * np.eye(found.coordinates.dimension)
    unit = np.sqrt(np.diag(found.complete[0]))

    def level(at):
        return problem.e_step(coordinates.at(at)).log_likelihood

    for a in range(coordinates.dimension):
        for b in range(a + 1):
            plus, minus = step[a] + step[b], step[a] - step[b]
            bend = level(plus) - level(minus) - level(-minus) + level(-plus)
            apart = found.observed[0][a, b] + bend / (4 * 2e-3**2)
            assert abs(apart) < 1e-5 * unit[a] * unit[b]


# ---- the selection -------------------------------------------------------------------------------


def test_the_selector_chooses_between_gaussian_and_t_components(heavy):
    rng = np.random.default_rng(1)
    normal = np.concatenate([rng.standard_normal((150, 2)), rng.standard_normal((150, 2)) + 8])

    def choice(rows):
        selector = GaussianMixtureSelector(
            (1, 2, 3), families=["EII", "VVI"], components="both", random_state=0
        )
        return selector.fit(rows)

    of_heavy, of_normal = choice(heavy), choice(normal)
    assert isinstance(of_heavy.best_estimator_, StudentTMixture)
    assert not isinstance(of_normal.best_estimator_, StudentTMixture)
    assert of_heavy.selection_.best.title == "EII with 2 t components"
    assert len(of_heavy.selection_.candidates) == 12
    assert {row["components"] for row in of_heavy.selection_.rows()} == {"gaussian", "t"}
    best = of_heavy.best_estimator_
    assert best.bic(heavy) == pytest.approx(of_heavy.selection_.best.criterion)
    assert best.certificate_.holds
    with pytest.raises(ValueError, match="among candidates of one law"):
        of_heavy.bootstrap(heavy, n_resamples=2)


def test_a_selection_of_t_components_alone_has_a_bootstrap_and_equal_tails(heavy):
    selector = GaussianMixtureSelector(
        (1, 2), families=["EII"], components="t", degrees_of_freedom="equal", random_state=0
    ).fit(heavy)
    assert selector.best_estimator_.n_components == 2
    assert len(set(selector.best_estimator_.degrees_of_freedom_)) == 1
    again = selector.bootstrap(heavy, n_resamples=3)
    assert again is not None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"components": "student"}, "'gaussian', 't' or 'both'"),
        ({"components": "t", "degrees_of_freedom": 4.0}, "'free' or 'equal'"),
    ],
)
def test_wrong_settings_of_a_selection_are_refused(given, message, heavy):
    with pytest.raises(ValueError, match=message):
        GaussianMixtureSelector(2, **given).fit(heavy)


@pytest.mark.parametrize("components", ["t", "both"])
def test_errors_of_measurement_are_refused_before_any_candidate_is_fitted(components, heavy):
    told: list[object] = []
    selector = GaussianMixtureSelector(2, families="EII", components=components)
    with pytest.raises(ValueError, match="no density in closed form"):
        selector.fit(heavy, callback=told.append, measurement_covariance=np.ones(len(heavy)))
    assert told == []
    exact = np.zeros(len(heavy))  # these are no errors
    selector.fit(heavy, callback=told.append, measurement_covariance=exact)
    assert told


# ---- scikit-learn --------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_estimator_checks_of_scikit_learn_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(StudentTMixture(), on_fail=None, on_skip=None)
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    assert failed == []
    assert len(results) > 40


# ---- beside noise and labels ---------------------------------------------------------------------


@pytest.mark.parametrize("holes", [False, True])
def test_noise_and_t_components_are_fitted_together(heavy, holes):
    rng = np.random.default_rng(2)
    rows = np.concatenate([heavy, rng.uniform(-40, 40, (60, 2))])
    if holes:
        rows[::9, 1] = np.nan
    fits = [
        StudentTMixture(2, noise="box", backend=name, random_state=0).fit(rows)
        for name in ALL_BACKENDS
    ]
    for model in fits:
        assert model.converged_
        assert (np.diff(model.lower_bounds_) >= 0.0).all()
        assert 0.05 < model.noise_weight_ < 0.25
        assert model.result_.n_parameters == FAMILIES["VVV"].n_parameters(2, 2) + 2 + 1
        assert model.robustness_weights(rows).shape == (len(rows),)
        assert model.robustness_weights(rows[-60:]).mean() < 0.2
    levels = [model.result_.log_likelihood for model in fits]
    assert levels == pytest.approx([levels[0]] * len(levels), abs=1e-3)


def test_labelled_rows_stay_in_their_component(heavy):
    labels = np.full(300, -1)
    labels[:10], labels[150:160] = 1, 0
    model = StudentTMixture(2, random_state=0).fit(heavy, labels=labels)
    assert model.means_[1].sum() < model.means_[0].sum()
    assert model.converged_


@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI"])
def test_fixed_means_hold_and_the_likelihood_never_falls(heavy, family):
    model = StudentTMixture(
        2,
        covariance_type=family,
        fixed_means=[[0.5, 0.5], [np.nan, np.nan]],
        prior="conjugate",
        random_state=0,
    ).fit(heavy)
    np.testing.assert_array_equal(model.means_[0], [0.5, 0.5])
    assert (np.diff(model.lower_bounds_) >= 0.0).all()
    assert model.converged_


def test_the_parameters_are_those_of_a_gaussian_mixture_and_two_more():
    ours, gaussian = StudentTMixture().get_params(), GaussianMixture().get_params()
    assert set(ours) - set(gaussian) == {"degrees_of_freedom", "degrees_of_freedom_bounds"}
    assert {name: ours[name] for name in gaussian} == gaussian
