"""OutlierMixture: thresholds of the model and of the data, planted outliers, scikit-learn."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_estimator,
    check_sample_weight_equivalence_on_dense_data,
)

import mixtura
from conftest import read_data, read_truth, three_round_clusters
from mixtura import GaussianMixture, GaussianMixtureSelector, OutlierMixture, StudentTMixture

NAN = np.nan


def with_scattered_rows(m: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Three round clusters, and m rows that are uniform around them; which rows these are."""
    X = three_round_clusters()
    scattered = np.random.default_rng(1).uniform([-15, -15], [23, 22], (m, 2))
    return np.vstack([X, scattered]), np.arange(len(X) + m) >= len(X)


def three_components(**settings) -> OutlierMixture:
    return OutlierMixture(GaussianMixture(3, random_state=0, component_order="weight"), **settings)


@pytest.fixture(scope="module")
def usual():
    """The default detector of clusters with scattered rows."""
    X, planted = with_scattered_rows()
    return OutlierMixture(random_state=0).fit(X), X, planted


# ---- planted outliers ----------------------------------------------------------------------------


def test_scattered_rows_are_found_with_few_false_alarms(usual):
    detector, X, planted = usual
    ours = detector.predict(X) == -1
    assert ours[planted].mean() >= 0.85  # two or three of the 20 fall into a cluster
    assert ours[~planted].mean() <= 0.02


def test_of_scattered_rows_between_long_clusters_more_are_found_than_by_an_isolation_forest():
    rng = np.random.default_rng(0)
    shape = np.array([[5.0, 5.0], [-0.3, 0.3]])
    long = np.vstack([rng.normal(size=(240, 2)) @ shape + centre for centre in ([0, 0], [6, -6])])
    X = np.vstack([long, rng.uniform(long.min(axis=0), long.max(axis=0), (20, 2))])
    planted = np.arange(500) >= 480
    ours, theirs = (
        detector.fit_predict(X) == -1
        for detector in (
            OutlierMixture(contamination=0.04, random_state=0),
            IsolationForest(contamination=0.04, random_state=0),
        )
    )
    assert ours[planted].mean() >= 0.8
    assert ours[planted].mean() > theirs[planted].mean() + 0.2
    assert ours[~planted].sum() < theirs[~planted].sum()


def test_the_noise_keeps_gross_outliers_from_the_components(usual):
    detector, X, planted = usual
    assert detector.estimator_.mixture_.noise is not None
    assert detector.mixture_.noise is None
    assert detector.mixture_.n_components == 3
    found = OutlierMixture(
        GaussianMixtureSelector(range(1, 11), families=["EEE", "VVV", "VVI"], random_state=0)
    ).fit(X)
    masked = (found.predict(X) == -1)[planted].mean()
    assert masked < 0.6 < (detector.predict(X) == -1)[planted].mean()


def test_without_outliers_there_is_no_noise():
    X = three_round_clusters()
    detector = OutlierMixture(random_state=0).fit(X)
    assert detector.estimator_.mixture_.noise is None
    assert (detector.predict(X) == -1).mean() < 0.03


def test_a_far_group_is_a_group_unless_groups_must_be_larger():
    clump = np.random.default_rng(2).normal([30.0, 30.0], 0.1, (8, 2))
    X = np.vstack([three_round_clusters(), clump])
    as_group = OutlierMixture(random_state=0).fit(X)
    assert (as_group.predict(clump) == -1).mean() < 0.5
    as_outliers = OutlierMixture(smallest_group=0.05, random_state=0).fit(X)
    assert (as_outliers.predict(clump) == -1).all()
    assert (as_outliers.predict(X[:300]) == -1).mean() < 0.03
    assert as_outliers.mixture_.n_components == as_group.mixture_.n_components - 1


def test_the_outliers_of_the_wines_stand_out_by_their_columns():
    frame = pytest.importorskip("pandas").DataFrame(
        load_wine().data, columns=load_wine().feature_names
    )
    detector = OutlierMixture(GaussianMixture(3, covariance_type="EEE", random_state=0)).fit(frame)
    least = int(detector.score_samples(frame).argmin())
    residuals = detector.column_residuals(frame)[least]
    # Wine 122 has 5.08 of flavanoids, by far the most of its cultivar, whose mean is 2.08.
    assert least == 121
    assert frame.columns[np.abs(residuals).argmax()] == "flavanoids"
    assert detector.feature_names_in_.tolist() == frame.columns.tolist()


# ---- thresholds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acidity", "precip"])
def test_shares_of_the_rows_have_the_levels_of_mclust(name):
    truth = read_truth(f"density_{name}.json")
    X = read_data(f"{name}.csv", 1)
    fit = truth["fit"]
    covariances = np.broadcast_to(np.ravel(fit["cov"]), 2).reshape(2, 1, 1)
    known = GaussianMixture.from_parameters(
        fit["pro"], np.reshape(fit["mean"], (2, 1)), covariances
    )
    densities = np.exp(known.score_samples(X))
    np.testing.assert_allclose(
        known.score_samples(np.reshape(truth["at"], (-1, 1))), truth["log_density"], rtol=1e-9
    )
    hdr = truth["hdr_levels"]
    for content, level in zip(hdr["prob"], hdr["level"], strict=True):
        if content < 0.5:
            continue
        detector = OutlierMixture(FrozenEstimator(known), contamination=1 - content).fit(X)
        ours, theirs = detector.predict(X) == -1, densities < level
        # Their level is an interpolated quantile, which may lie one density above the share.
        assert theirs[ours].all()
        assert len(np.unique(densities[theirs & ~ours])) <= 1


def test_the_share_of_the_fitted_rows_is_the_contamination(faithful):
    for share in (0.02, 0.1, 0.5):
        detector = three_components(contamination=share).fit(faithful)
        assert (detector.predict(faithful) == -1).sum() == int(272 * share)


@pytest.mark.parametrize("contamination", ["auto", 0.05])
def test_the_false_alarm_rate_is_stated_whichever_way_the_threshold_was_set(
    contamination, faithful
):
    detector = three_components(contamination=contamination, false_alarm_rate=0.002).fit(faithful)
    if contamination == "auto":
        assert detector.false_alarm_rate_ == pytest.approx(0.002, rel=1e-9)
    rows, _ = detector.mixture_.sample(100_000, np.random.default_rng(0))
    rate = (detector.predict(rows) == -1).mean()
    error = np.hypot(
        np.sqrt(detector.false_alarm_rate_ / 100_000), detector.false_alarm_rate_error_
    )
    assert abs(rate - detector.false_alarm_rate_) < 5 * error
    assert 0 < detector.false_alarm_rate_error_ < 0.1 * detector.false_alarm_rate_


def test_scores_decisions_and_probabilities_agree(usual):
    detector, X, _ = usual
    scores, decisions = detector.score_samples(X), detector.decision_function(X)
    np.testing.assert_allclose(scores, detector.mixture_.log_density(X), rtol=1e-12)
    np.testing.assert_array_equal(decisions, scores - detector.offset_)
    np.testing.assert_array_equal(detector.predict(X) == -1, decisions < 0)
    probabilities = detector.tail_probability(X)
    order = np.argsort(scores)
    assert (np.diff(probabilities[order]) >= 0).all()
    np.testing.assert_array_equal(probabilities < detector.false_alarm_rate_, decisions < 0)
    np.testing.assert_array_equal(detector.fit_predict(X), detector.predict(X))


# ---- rows as they are ----------------------------------------------------------------------------


def test_rows_are_flagged_at_the_same_rate_whatever_was_observed(faithful):
    detector = three_components(false_alarm_rate=0.05).fit(faithful)
    rows, _ = detector.mixture_.sample(20_000, np.random.default_rng(1))
    for missing in (0, 1):
        holes = rows.copy()
        holes[:, missing] = NAN
        rate = (detector.predict(holes) == -1).mean()
        assert abs(rate - 0.05) < 5 * np.sqrt(0.05 / 20_000) + 0.005  # and 10,000 draws: 0.001
    rate = (detector.mixture_.log_density(holes) < detector.offset_).mean()
    assert rate < 0.01  # the density of one column is larger, and would hide outliers


def test_a_fit_of_incomplete_rows_flags_its_share(faithful):
    holes = faithful.copy()
    holes[np.random.default_rng(0).random(holes.shape) < 0.2] = NAN
    empty = np.isnan(holes).all(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mixtura.DataWarning)  # rows without any value
        detector = three_components(contamination=0.1).fit(holes)
    flagged = detector.predict(holes) == -1
    assert flagged.sum() == int(0.1 * (~empty).sum() + 1e-9)
    assert not flagged[empty].any()
    assert detector.tail_probability(holes[empty]).tolist() == [1.0] * empty.sum()
    one_by_one = [detector.decision_function(row[None])[0] for row in holes[:25]]
    np.testing.assert_allclose(detector.decision_function(holes)[:25], one_by_one, rtol=1e-9)


def test_a_weight_of_2_is_a_repeated_row(faithful):
    weights = np.arange(len(faithful)) % 3
    kind = {"covariance_type": "EEE", "init_params": (faithful[:, 0] > 3).astype(int), "tol": 1e-9}
    weighted = OutlierMixture(GaussianMixture(2, **kind), contamination=0.05)
    weighted.fit(faithful, sample_weight=weights)
    kind["init_params"] = np.repeat(kind["init_params"], weights)
    repeated = OutlierMixture(GaussianMixture(2, **kind), contamination=0.05)
    repeated.fit(np.repeat(faithful, weights, axis=0))
    assert weighted.offset_ == pytest.approx(repeated.offset_, abs=1e-6)
    assert weighted.false_alarm_rate_ == pytest.approx(repeated.false_alarm_rate_, rel=1e-4)


def test_new_rows_are_novelties(usual):
    detector, _, _ = usual
    assert detector.predict([[8.0, 0.0], [4.0, 2.0], [100.0, 0.0]]).tolist() == [1, -1, -1]
    assert detector.predict(np.empty((0, 2))).shape == (0,)
    far = detector.tail_probability([[40.0, 0.0], [1e200, 0.0]])
    assert 0 < far[0] < 1e-50
    assert far[1] == 0.0
    assert detector.predict([[1e200, 0.0]]).tolist() == [-1]


def test_single_precision_gives_the_same_flags(usual):
    detector, X, _ = usual
    single = X.astype(np.float32)
    np.testing.assert_array_equal(detector.predict(single), detector.predict(X))


# ---- mixtures ------------------------------------------------------------------------------------


def test_t_components_have_their_own_tails():
    rng = np.random.default_rng(0)
    X = rng.standard_t(3, (1500, 2))
    heavy = OutlierMixture(StudentTMixture(1)).fit(X)
    normal = OutlierMixture(GaussianMixture(1)).fit(X)
    new = rng.standard_t(3, (4000, 2))
    # Of two independent t columns the contours are not quite those of a bivariate t.
    assert 0.005 < (heavy.predict(new) == -1).mean() < 0.02
    assert (normal.predict(new) == -1).mean() > 0.02


def test_a_fitted_mixture_is_taken_as_it_is(faithful, tmp_path):
    fit = GaussianMixture(3, covariance_type="EEE", random_state=0).fit(faithful)
    mixtura.save(fit, tmp_path / "model.safetensors")
    loaded = FrozenEstimator(mixtura.load(tmp_path / "model.safetensors"))
    own = OutlierMixture(FrozenEstimator(fit)).fit(faithful[:10])
    again = OutlierMixture(loaded).fit(faithful[:10])
    assert own.offset_ == again.offset_
    np.testing.assert_array_equal(own.mixture_.means, fit.mixture_.means)


def test_it_is_the_last_step_of_a_pipeline_and_is_pickled(faithful):
    chain = make_pipeline(StandardScaler(), three_components(contamination=0.03)).fit(faithful)
    flagged = chain.predict(faithful)
    assert (flagged == -1).sum() == 8
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(chain)).predict(faithful), flagged)


def test_threads_and_backend_never_change_a_result(faithful):
    a, b, c = (
        three_components(**kind).fit(faithful)
        for kind in ({"n_threads": 1}, {"n_threads": 3}, {"backend": "reference"})
    )
    np.testing.assert_array_equal(a.score_samples(faithful), b.score_samples(faithful))
    np.testing.assert_allclose(a.score_samples(faithful), c.score_samples(faithful), rtol=1e-9)


def test_warnings_are_those_of_the_chosen_mixture():
    X = np.array([[1.0], [2.0], [3.0], [4.0]])
    with pytest.warns(mixtura.DegenerateWarning) as heard:
        detector = OutlierMixture(random_state=0).fit(X)
    spurious = [str(one.message) for one in heard if "spurious" in str(one.message)]
    assert len(spurious) == 1
    assert detector.estimator_.mixture_.noise is None


# ---- scikit-learn's checks -----------------------------------------------------------------------


@pytest.mark.slow
def test_the_estimator_checks_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            OutlierMixture(GaussianMixture(3, covariance_type="VVI", n_init=1, random_state=0)),
            on_fail=None,
            on_skip=None,
            expected_failed_checks={
                "check_sample_weight_equivalence_on_dense_data": "EM ends when less than 0.01 of "
                "the likelihood is left to gain, and 15 rows have several optima"
            },
        )
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    passed = {r["check_name"] for r in results if r["status"] == "passed"}
    assert failed == []
    assert skipped <= {"check_array_api_input"}
    assert {"check_outliers_train", "check_outliers_fit_predict"} <= passed
    assert len(results) > 50


def test_a_weight_of_2_is_a_repeated_row_in_the_check_of_scikit_learn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_sample_weight_equivalence_on_dense_data("mixture", OutlierMixture(GaussianMixture()))


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"contamination": 0.6}, r"contamination must be 'auto' or a number above 0 and at most"),
        ({"contamination": 0}, "contamination must be 'auto' or"),
        ({"contamination": "Auto"}, "contamination must be 'auto' or .* but 'Auto' came"),
        ({"contamination": True}, "contamination must be"),
        ({"contamination": NAN}, "contamination must be"),
        ({"false_alarm_rate": 0.0}, "false_alarm_rate must be a number above 0"),
        ({"false_alarm_rate": None}, "false_alarm_rate must be a number above 0"),
        ({"smallest_group": -0.1}, "smallest_group must be a number from 0 to 0.5"),
        ({"n_threads": 0}, "n_threads must be"),
    ],
)
def test_wrong_parameters_are_named(settings, words, faithful):
    with pytest.raises(ValueError, match=words):
        OutlierMixture(**settings).fit(faithful)


@pytest.mark.parametrize("wrong", [SklearnMixture(2), "gmm", FrozenEstimator(SklearnMixture(2))])
def test_an_estimator_that_is_no_mixture_of_ours_is_named(wrong, faithful):
    with pytest.raises(TypeError, match="estimator must be a GaussianMixture, a StudentTMixture"):
        OutlierMixture(wrong).fit(faithful)


def test_what_cannot_be_judged_is_refused(faithful):
    with pytest.raises(NotFittedError):
        OutlierMixture().predict(faithful)
    frozen = FrozenEstimator(GaussianMixture(2, random_state=0).fit(faithful))
    with pytest.raises(ValueError, match="X has 1 columns, but the fitted mixture has 2"):
        OutlierMixture(frozen).fit(faithful[:, :1])
    with pytest.raises(ValueError, match=r"smallest_group=0\.5 must leave a component"):
        three_components(smallest_group=0.5).fit(three_round_clusters())
    with pytest.raises(ValueError, match="Input X contains infinity"):
        OutlierMixture().fit([[1.0], [np.inf], [2.0]])
