"""The estimators for users of scikit-learn: shapes, types, data frames, weights, messages."""

from __future__ import annotations

import copy
import pickle
import re
import threading
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as TheirMixture

from conftest import two_groups
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.base.errors import DataError, DataWarning, DegenerateWarning
from mixtura.compare import compare
from mixtura.data.problem import Problem
from mixtura.model import criteria
from mixtura.model.selection import Stage

SHAPES = {
    "full": (3, 2, 2),
    "tied": (2, 2),
    "diag": (3, 2),
    "spherical": (3,),
    "tied_diag": (2,),
    "tied_spherical": (),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_attributes_have_scikit_learns_shapes_and_are_consistent(kind, faithful):
    g = GaussianMixture(3, covariance_type=kind, random_state=0).fit(faithful)
    assert (
        g.covariances_.shape == g.precisions_.shape == g.precisions_cholesky_.shape == SHAPES[kind]
    )
    if kind in ("full", "tied"):
        np.testing.assert_allclose(
            g.precisions_cholesky_ @ np.swapaxes(g.precisions_cholesky_, -1, -2),
            g.precisions_,
            rtol=1e-9,
        )
        np.testing.assert_allclose(
            g.precisions_ @ g.covariances_, np.broadcast_to(np.eye(2), SHAPES[kind]), atol=1e-9
        )
    else:
        np.testing.assert_allclose(g.precisions_cholesky_**2, g.precisions_)
    assert g.score(faithful) * len(faithful) == pytest.approx(g.result_.log_likelihood, rel=1e-12)
    assert g.lower_bound_ == pytest.approx(g.score(faithful), rel=1e-12)
    assert len(g.lower_bounds_) == g.n_iter_


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_the_same_parameters_give_the_results_of_scikit_learn(kind, faithful):
    ours = GaussianMixture(3, covariance_type=kind, random_state=0).fit(faithful)
    theirs = TheirMixture(3, covariance_type=kind)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(theirs, name, getattr(ours, name))
    np.testing.assert_allclose(
        ours.score_samples(faithful), theirs.score_samples(faithful), rtol=1e-10
    )
    np.testing.assert_allclose(
        ours.predict_proba(faithful), theirs.predict_proba(faithful), atol=1e-10
    )
    assert ours.bic(faithful) == pytest.approx(theirs.bic(faithful), rel=1e-12)
    assert ours.aic(faithful) == pytest.approx(theirs.aic(faithful), rel=1e-12)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_an_explicit_tol_and_reg_covar_keep_scikit_learns_meaning(kind, faithful):
    start = {
        "weights_init": [0.4, 0.6],
        "means_init": [[2.0, 55.0], [4.3, 80.0]],
        "tol": 1e-10,
        "reg_covar": 1e-6,
        "max_iter": 5000,
    }
    ours = GaussianMixture(2, covariance_type=kind, **start).fit(faithful)
    theirs = TheirMixture(2, covariance_type=kind, **start).fit(faithful)
    # The ridge multiplies weights by exp(-1e-6/2 tr Sigma^-1), which differs from 1 by about 1e-5;
    # scikit-learn ignores that.
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-4)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-3, atol=1e-6)


def test_shapes_are_right_for_as_many_components_as_columns(faithful):
    precisions = np.array([[1.0, 0.01], [2.0, 0.02]])
    g = GaussianMixture(2, covariance_type="VVI", precisions_init=precisions, random_state=0).fit(
        faithful
    )
    assert g.covariances_.shape == (2, 2)
    with pytest.raises(ValueError, match="'diag precision' should be positive"):
        GaussianMixture(2, covariance_type="diag", precisions_init=-precisions).fit(faithful)


def test_parameters_set_by_hand_are_used_as_in_scikit_learn():
    g = GaussianMixture(2, covariance_type="spherical")
    g.weights_, g.means_, g.covariances_ = (
        np.array([0.5, 0.5]),
        np.array([[0.0], [4.0]]),
        np.array([1.0, 1.0]),
    )
    g.n_features_in_ = 1
    np.testing.assert_allclose(g.predict_proba([[2.0]]), [[0.5, 0.5]])


def test_from_parameters_is_ready_to_score_and_sample():
    covariances = np.array([[[1.0, 0.5], [0.5, 2.0]], [[1.0, 0.0], [0.0, 1.0]]])
    g = GaussianMixture.from_parameters(
        [0.3, 0.7], [[0.0, 0.0], [9.0, 9.0]], covariances, random_state=0
    )
    X, y = g.sample(20_000)
    # The standard error of a covariance entry from 6,000 rows is below 0.03.
    np.testing.assert_allclose(np.cov(X[y == 0].T), covariances[0], atol=0.12)
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.015)
    assert np.isfinite(g.bic(X))
    with pytest.raises(ValueError, match="symmetric, positive-definite"):
        GaussianMixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]])


def test_float32_stays_float32_and_close_to_float64():
    X = two_groups(5000, 4)
    a = GaussianMixture(2, random_state=0).fit(X)
    b = GaussianMixture(2, random_state=0).fit(X.astype(np.float32))
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        assert getattr(b, name).dtype == np.float32
    assert (
        b.predict_proba(X.astype(np.float32)).dtype
        == b.score_samples(X.astype(np.float32)).dtype
        == np.float32
    )
    np.testing.assert_allclose(np.sort(a.means_, axis=0), np.sort(b.means_, axis=0), atol=1e-5)


def test_float32_variances_are_never_negative():
    X = (np.random.default_rng(0).standard_normal((2000, 2)) + 1e4).astype(np.float32)
    for kind in SHAPES:
        g = GaussianMixture(1, covariance_type=kind, reg_covar=0).fit(X)
        np.testing.assert_allclose(
            np.diag(np.atleast_2d(g.covariances_.squeeze())).max(),
            X.astype(float).var(axis=0).max(),
            rtol=0.03,
        )


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_data_frames_are_read_and_their_names_kept(frame, faithful):
    data = frame({"eruptions": faithful[:, 0], "waiting": faithful[:, 1]})
    g = GaussianMixture(2, random_state=0).fit(data)
    assert g.feature_names_in_.tolist() == ["eruptions", "waiting"]
    np.testing.assert_array_equal(
        g.predict(data), GaussianMixture(2, random_state=0).fit(faithful).predict(faithful)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        g.predict(data[["waiting", "eruptions"]])


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "negative": lambda X: X[::-1].copy()[::-1],
    "big-endian": lambda X: X.astype(">f8"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_memory_layout_changes_nothing(layout):
    X = two_groups(400)
    Y = LAYOUTS[layout](X)
    kept = np.array(Y)
    np.testing.assert_array_equal(
        GaussianMixture(2, random_state=0).fit(Y).means_,
        GaussianMixture(2, random_state=0).fit(X).means_,
    )
    np.testing.assert_array_equal(Y, kept)


def test_weights_are_frequencies_in_fit_score_and_criteria(faithful):
    weights = np.random.default_rng(0).integers(0, 4, len(faithful))
    repeated = np.repeat(faithful, weights, axis=0)
    labels = (faithful[:, 1] > 70).astype(int)
    a = GaussianMixture(2, init_params=labels).fit(faithful, sample_weight=weights)
    b = GaussianMixture(2, init_params=np.repeat(labels, weights)).fit(repeated)
    np.testing.assert_allclose(a.means_, b.means_, rtol=1e-9)
    assert a.score(faithful, sample_weight=weights) == pytest.approx(b.score(repeated), rel=1e-12)
    for criterion in ("bic", "aic", "icl"):
        assert getattr(a, criterion)(faithful, sample_weight=weights) == pytest.approx(
            getattr(b, criterion)(repeated), rel=1e-10
        )


@pytest.mark.parametrize("unit", [1e-3, 7.0])
def test_a_common_factor_of_the_weights_changes_no_parameter_and_no_finding(unit, faithful):
    labels = (faithful[:, 1] > 70).astype(int)
    weights = np.random.default_rng(0).integers(1, 4, len(faithful)).astype(float)
    a, b = (
        GaussianMixture(2, tol=1e-8, init_params=labels).fit(faithful, sample_weight=weights * u)
        for u in (1.0, unit)
    )
    np.testing.assert_allclose(a.means_, b.means_, rtol=1e-9)
    np.testing.assert_allclose(a.weights_, b.weights_, rtol=1e-9)
    assert a.result_.findings == b.result_.findings == ()


def test_a_row_of_weight_zero_may_hold_anything(faithful):
    X = np.concatenate([faithful, [[np.nan, np.inf]]])
    weights = np.r_[np.ones(len(faithful)), 0.0]
    a = GaussianMixture(2, random_state=0).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(
        a.means_,
        GaussianMixture(2, random_state=0)
        .fit(faithful, sample_weight=np.ones(len(faithful)))
        .means_,
    )


@pytest.mark.parametrize("bad", [[-1.0], [np.nan], [np.inf]])
def test_invalid_weights_are_refused(bad, faithful):
    with pytest.raises(ValueError, match="sample_weight"):
        GaussianMixture(2).fit(faithful, sample_weight=np.r_[bad, np.ones(len(faithful) - 1)])
    with pytest.raises(ValueError, match="one value for each"):
        GaussianMixture(2).fit(faithful, sample_weight=np.ones(3))


def test_init_params_takes_labels_responsibilities_and_a_callable(faithful):
    labels = (faithful[:, 1] > 70).astype(int)
    fits = [
        GaussianMixture(2, init_params=start).fit(faithful)
        for start in (labels, np.eye(2)[labels], lambda X, K, rng: (X[:, 1] > 70).astype(int))
    ]
    assert fits[0].lower_bounds_ == pytest.approx(fits[1].lower_bounds_, rel=1e-12)
    # A callable may be random, so it gives several starts: the same optimum by other iterations.
    assert fits[0].lower_bound_ == pytest.approx(fits[2].lower_bound_, abs=0.01 / len(faithful))


@pytest.mark.parametrize(
    ("start", "cause"),
    [
        ("kmean", "not known"),
        (np.zeros(5), "shape"),
        (np.full(272, 7), "each at least once"),
        (np.full((272, 2), 0.4), "sum to one"),
    ],
)
def test_invalid_starts_are_refused(start, cause, faithful):
    with pytest.raises(ValueError, match=cause):
        GaussianMixture(2, init_params=start).fit(faithful)


@pytest.mark.parametrize("row", [0, 17_000])
def test_invalid_starts_are_refused_in_any_row(row):
    X, labels = two_groups(20_000), np.arange(20_000) % 2
    soft = np.eye(2, dtype=np.float32)[labels]
    soft[row] = 0.4
    with pytest.raises(ValueError, match="sum to one"):
        GaussianMixture(2, init_params=soft).fit(X)
    for wrong in (2, -1, 0.5):
        with pytest.raises(ValueError, match=re.escape("integers 0 .. 1")):
            GaussianMixture(2, init_params=np.where(np.arange(len(X)) == row, wrong, labels)).fit(X)
    with pytest.raises(ValueError, match="without any row"):
        GaussianMixture(2, init_params=np.eye(2)[np.zeros(len(X), dtype=int)]).fit(X)


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.float32, bool])
def test_labels_may_have_any_numeric_type(kind, faithful):
    labels = faithful[:, 1] > 70
    one, other = (
        GaussianMixture(2, init_params=start).fit(faithful)
        for start in (labels.astype(np.intp), labels.astype(kind))
    )
    np.testing.assert_array_equal(one.means_, other.means_)


@pytest.mark.parametrize("soft", [False, True])
def test_a_given_start_is_not_copied(soft):
    """Labels and responsibilities are read piece by piece; float32 stays float32."""
    X = two_groups(400_000)
    labels = (np.arange(len(X)) >= 200_000).astype(np.int8)
    fit = GaussianMixture(
        2,
        init_params=np.eye(2, dtype=np.float32)[labels] if soft else labels,
        max_iter=1,
        tol=1.0,
        n_threads=1,
    )
    tracemalloc.start()
    fit.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(X)  # a label in eight bytes, or half of the responsibilities in float64


def test_the_rows_of_a_degenerate_component_are_found_block_by_block():
    X = two_groups(150_000)
    X[[5, 70_000, 149_999]] = 50.0, 50.0
    model = GaussianMixture(
        2,
        means_init=[[3.0, 3.0], [50.0, 50.0]],
        precisions_init=[np.eye(2) / 10, np.eye(2) * 1e12],
        max_iter=1,
        n_threads=1,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    assert any("(rows 5, 70000, 149999)" in str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    "bad",
    [{"n_components": value} for value in (0, -1, 2.5, True, "3", None)]
    + [
        {"tol": -1},
        {"reg_covar": -1e-6},
        {"max_iter": -1},
        {"n_init": 0},
        {"covariance_type": "fullish"},
        {"backend": "cuda"},
    ],
    ids=str,
)
def test_invalid_parameters_are_refused_by_name(bad, faithful):
    with pytest.raises(ValueError, match=next(iter(bad))):
        GaussianMixture(**bad).fit(faithful)


BAD_DATA = {
    "nan": (
        np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan]]),
        "column 1 has no value in any row",
    ),
    "inf": (np.array([[1.0, 1.0], [np.inf, 1.0], [3.0, 2.0]]), "infinity in 'column 0'"),
    "text": (np.array([["a", "b"], ["c", "d"]]), "is the text 'a'"),
    "numeric text": (np.array([["1", "2"], ["3", "4"]]), "without guessing"),
    "1-D": (np.arange(10.0), "Reshape"),
    "3-D": (np.zeros((4, 2, 2)), "dim 3"),
    "no rows": (np.zeros((0, 2)), "0 sample"),
    "no columns": (np.zeros((5, 0)), "0 feature"),
    "one row": (np.zeros((1, 2)), "minimum of 2"),
    "ragged": ([[1.0, 2.0], [3.0]], "unequal length"),
    "complex": (np.ones((5, 2)) * 1j, "Complex data not supported"),
    "too few rows": (np.arange(4.0).reshape(2, 2), "Expected n_samples >= n_components"),
    "all equal": (np.ones((50, 2)), "distinct row"),
    "constant": (np.c_[two_groups(50), np.ones(50)], "column 2 is constant"),
    "duplicated": (
        np.c_[two_groups(50), two_groups(50)[:, 0] * 3],
        "column 0, column 2 carry the same values",
    ),
    "few distinct": (
        np.repeat([[0.0, 0], [1, 0], [0, 1]], 100, axis=0),
        "3 distinct rows but n_components=3",
    ),
    "huge": (two_groups(50) * 1e200, "range of double precision"),
    "tiny": (two_groups(50) * 1e-310, "range of double precision"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_invalid_data_are_refused_with_the_cause(case):
    X, cause = BAD_DATA[case]
    with pytest.raises(ValueError, match=cause):
        GaussianMixture(3, random_state=0).fit(X)


def test_sparse_data_are_refused_with_the_conversion(faithful):
    import scipy.sparse

    with pytest.raises(TypeError, match="toarray"):
        GaussianMixture(2).fit(scipy.sparse.csr_matrix(faithful))


def test_the_column_with_missing_values_or_text_is_named(faithful):
    frame = pd.DataFrame(faithful, columns=["a", "b"])
    missing = frame.copy()
    missing.loc[3:5, "b"] = np.nan
    nullable = frame.astype("Float64")
    nullable.loc[3, "a"] = pd.NA
    with pytest.raises(ValueError, match=r"NaN in 'b' \(3 rows\)"):
        compare(missing)
    with pytest.raises(ValueError, match=r"NaN in 'a' \(1 row\)"):
        compare(nullable)
    with pytest.raises(ValueError, match="column 'c' holds String"):
        GaussianMixture(2).fit(frame.assign(c="x"))


def test_an_explicit_reg_covar_fits_what_the_default_refuses_and_warns():
    X = np.c_[two_groups(200), np.full(200, 5.0)]
    with pytest.warns(DataWarning, match="column 2 is constant"):
        g = GaussianMixture(2, reg_covar=1e-6, random_state=0).fit(X)
    assert g.covariances_[0, 2, 2] == pytest.approx(1e-6)
    with pytest.raises(DataError, match=r"(?s)ill-defined.*column 2 is constant"):
        GaussianMixture(2, reg_covar=0).fit(X)


@pytest.mark.filterwarnings("ignore::mixtura.base.errors.DegenerateWarning")
def test_fewer_rows_than_columns_are_shrunk_with_a_warning():
    X = np.random.default_rng(0).standard_normal((20, 50))
    with pytest.warns(DataWarning, match=r"as if [\d,]+ more rows per component"):
        g = GaussianMixture(2, random_state=0).fit(X)
    fresh = np.random.default_rng(1).standard_normal((200, 50))
    truth = -0.5 * 50 * (1 + np.log(2 * np.pi))
    assert truth - 10 < g.score(fresh) < truth  # without shrinkage it is -2e7
    GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)


def test_a_far_outlier_gets_a_spurious_component_of_its_own():
    X = np.concatenate([two_groups(500)[:250], [[1e6, 1e6]]])
    with pytest.warns(DegenerateWarning, match="component"):
        g = GaussianMixture(2, random_state=0).fit(X)
    smallest = int(np.argmin(g.weights_))
    assert [(item.component, item.kind) for item in g.result_.findings] == [(smallest, "spurious")]
    np.testing.assert_allclose(g.means_[1 - smallest], X[:250].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("distance", [1e3, 1e8, 1e160, 1e200])
def test_posteriors_are_never_nan_however_far_out(distance):
    g = GaussianMixture(2, random_state=0).fit(two_groups(200))
    proba = g.predict_proba([[distance, 0.3 * distance]])
    assert np.isfinite(proba).all()
    assert proba.sum() == pytest.approx(1.0)
    assert g.predict([[distance, 0.3 * distance]])[0] == proba.argmax()


def test_an_empty_X_gives_empty_results_and_no_score():
    g = GaussianMixture(2, random_state=0).fit(two_groups(100))
    empty = np.zeros((0, 2))
    assert g.predict(empty).shape == (0,)
    assert g.predict_proba(empty).shape == (0, 2)
    assert g.score_samples(empty).shape == (0,)
    with pytest.raises(ValueError, match="at least one row"):
        g.score(empty)


def test_units_of_the_columns_change_nothing():
    X = two_groups(500, 3)
    units = np.array([1e-12, 1.0, 1e12])
    a, b = (
        GaussianMixture(2, random_state=0).fit(X),
        GaussianMixture(2, random_state=0).fit(X * units),
    )
    np.testing.assert_array_equal(a.predict(X), b.predict(X * units))
    np.testing.assert_allclose(a.covariances_ * np.outer(units, units), b.covariances_, rtol=1e-8)


def test_a_seed_fixes_the_result_for_any_number_of_threads_and_leaves_numpys_generator_alone():
    X = two_groups(30_000, 2, apart=2)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fits = [GaussianMixture(2, random_state=0, n_threads=threads).fit(X) for threads in (1, 2, 3)]
    assert all(np.array_equal(fits[0].means_, one.means_) for one in fits[1:])
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_one_fitted_mixture_serves_many_threads():
    X = two_groups(3000, 4)
    g = GaussianMixture(3, random_state=0).fit(X)
    expected, wrong = g.predict_proba(X), []

    def predict():
        wrong.extend(1 for _ in range(20) if not np.array_equal(g.predict_proba(X), expected))

    threads = [threading.Thread(target=predict) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_copy_and_pickle_predict_the_same_and_a_clone_is_not_fitted(faithful):
    g = GaussianMixture(2, random_state=0).fit(faithful)
    for twin in (pickle.loads(pickle.dumps(g)), copy.deepcopy(g)):
        np.testing.assert_array_equal(twin.score_samples(faithful), g.score_samples(faithful))
    with pytest.raises(NotFittedError):
        clone(g).predict(faithful)


def test_max_iter_is_the_stop_reason(faithful):
    with pytest.warns(ConvergenceWarning, match=r"did not converge(?s:.*)max_iter was reached"):
        g = GaussianMixture(3, max_iter=3, n_init=1, init_params="random", random_state=0).fit(
            faithful
        )
    assert not g.converged_
    assert "max_iter" in g.stop_reason_


def test_verbose_prints_progress(capsys, faithful):
    GaussianMixture(3, verbose=2, verbose_interval=5, n_init=1, random_state=0).fit(faithful)
    assert "log-likelihood" in capsys.readouterr().out


def test_the_selector_keeps_every_candidate_and_the_runner_up(faithful):
    seen = []
    s = GaussianMixtureSelector(range(1, 4), families=["EEE", "full"], random_state=0).fit(
        faithful, callback=seen.append
    )
    assert {(c.family, c.n_components) for c in seen} == {
        (c.family, c.n_components) for c in s.selection_.candidates
    }
    assert [c.stage for c in seen[:6] if c.n_components > 1] == [Stage.SHORT_FIT] * 4
    assert all(
        c.stage is Stage.SEARCHED for c in (*seen[6:], s.selection_.best, s.selection_.runner_up)
    )
    assert (s.selection_.best.family, s.selection_.best.n_components) == ("EEE", 3)
    assert s.selection_.runner_up.criterion >= s.selection_.best.criterion
    assert s.best_estimator_.bic(faithful) == pytest.approx(s.selection_.best.criterion, rel=1e-12)
    assert s.table_["bic"].is_monotonic_increasing
    np.testing.assert_array_equal(s.predict(faithful), s.best_estimator_.predict(faithful))


def test_a_component_of_equal_rows_has_the_variance_of_the_recorded_step():
    X = np.round(np.random.default_rng(0).standard_normal((300, 1)), 0)
    g = GaussianMixture(4, random_state=0).fit(X)
    at_floor = [part for part in g.certificate_.components if part.boundary == "floor"]
    assert at_floor
    assert all(part.kind == "point mass" for part in at_floor)
    assert all("its density is limited by the recorded step" in part.reason for part in at_floor)
    assert g.covariances_.min() == pytest.approx(1 / 12, rel=1e-6)


def test_a_candidate_that_cannot_be_fitted_has_a_reason():
    X = np.random.default_rng(0).standard_normal((6, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        s = GaussianMixtureSelector(range(1, 9), families=["EII", "VVV"], random_state=0).fit(X)
    impossible = [c for c in s.selection_.candidates if c.n_components > 6]
    assert len(impossible) == 4
    assert all(c.fit is None and "distinct rows" in c.reason for c in impossible)
    assert s.selection_.best.fit is not None


@pytest.mark.parametrize(
    "bad",
    [{"criterion": "bicc"}, {"families": ["VVW"]}, {"n_components": [0]}, {"n_components": []}],
    ids=str,
)
def test_the_selector_refuses_invalid_parameters(bad, faithful):
    with pytest.raises(ValueError, match=r"criterion|Did you mean|n_components"):
        GaussianMixtureSelector(**bad).fit(faithful)


# The candidate that another thread was fitting may win.
@pytest.mark.filterwarnings("ignore:The chosen model is interrupted")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_interrupted_selection_stops_soon_and_keeps_the_fitted_candidates(n_threads):
    X = two_groups(25_000, 2, apart=3)
    seen = []

    def stop_after_three(candidate):
        seen.append(candidate)
        if len(seen) == 3:
            raise KeyboardInterrupt

    s = GaussianMixtureSelector(
        range(1, 6),
        families=["EII", "VVI"],
        n_init=1,
        max_iter=50,
        n_threads=n_threads,
        random_state=0,
    )
    s.fit(X, callback=stop_after_three)
    assert s.selection_.interrupted
    assert 3 <= sum(c.stage is Stage.SEARCHED for c in s.selection_.candidates) <= 4
    assert sum(c.stage is Stage.NOT_FITTED for c in s.selection_.candidates) >= 6
    assert s.best_estimator_.predict(X).shape == (25_000,)


# ---- earlier errors ------------------------------------------------------------------------------


def test_weights_may_be_strided(faithful):
    weights = np.ones((len(faithful), 3))[:, 0]
    assert GaussianMixture(2, random_state=0).fit(faithful, sample_weight=weights).converged_


@pytest.mark.parametrize("weight", [1e-2, 1e12, 1e150])
def test_weights_of_any_size_give_the_same_means(weight):
    X = two_groups(300)
    a = GaussianMixture(2, random_state=0).fit(X)
    b = GaussianMixture(2, random_state=0).fit(X, sample_weight=np.full(300, weight))
    np.testing.assert_allclose(np.sort(a.means_, axis=0), np.sort(b.means_, axis=0), rtol=1e-4)


def test_em_does_not_stop_early_with_normalised_weights():
    X = two_groups(300, apart=2.0)
    a = GaussianMixture(2, random_state=0).fit(X)
    b = GaussianMixture(2, random_state=0).fit(X, sample_weight=np.full(300, 1 / 300))
    assert a.score(X) == pytest.approx(b.score(X), abs=1e-4)


def test_a_collapsed_candidate_never_wins():
    rng = np.random.default_rng(0)
    t = rng.normal(0, 1, 60)
    X = np.concatenate([rng.normal(0, 1, (200, 2)), np.c_[8 + t, 3 + 2 * t]])
    s = GaussianMixtureSelector(
        [1, 2, 3], families=["VVV", "EEE"], reg_covar=0, random_state=0
    ).fit(X)
    assert s.best_estimator_.converged_
    assert any(c.fit is None or "collapsed" in c.reason for c in s.selection_.candidates)


@pytest.mark.parametrize("reg_covar", [1e-6, 0.2])
def test_a_usual_reg_covar_gives_no_finding_on_sound_components(reg_covar):
    assert (
        GaussianMixture(2, reg_covar=reg_covar, random_state=0)
        .fit(two_groups(300))
        .result_.findings
        == ()
    )


@pytest.mark.parametrize(
    "bad",
    [{"reg_covar": -0.5}, {"n_init": 0}, {"tol": -1.0}, {"max_iter": 2.5}, {"n_threads": -1}],
    ids=str,
)
def test_the_selector_checks_the_parameters_of_the_estimator(bad, faithful):
    with pytest.raises(ValueError, match=next(iter(bad))):
        GaussianMixtureSelector([1, 2], **bad).fit(faithful)


@pytest.mark.parametrize("unit", [1e20, 1e-27])
def test_float32_squares_out_of_range_are_given_in_float64(unit):
    g = GaussianMixture(2, random_state=0).fit((two_groups(300) * unit).astype(np.float32))
    assert g.means_.dtype == np.float32
    for name in ("covariances_", "precisions_"):
        values = np.diagonal(getattr(g, name), axis1=1, axis2=2)
        assert np.isfinite(values).all()
        assert (values > 0).all()


def test_an_error_in_a_callback_is_raised():
    X = np.random.default_rng(0).standard_normal((25_000, 2))
    calls = []

    def callback(iteration):
        calls.append(iteration)
        if iteration.start == 0 and iteration.number == 2:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        GaussianMixture(
            4, callback=callback, n_init=4, max_iter=3000, tol=0.0, random_state=0, n_threads=2
        ).fit(X)
    assert len(calls) < 3000


def test_a_component_without_rows_causes_no_numpy_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        g = GaussianMixture(3, means_init=[[0, 0], [6, 6], [60, 60]], random_state=0).fit(
            two_groups(300)
        )
    assert np.isfinite(g.means_).all()


def test_an_interrupted_short_run_is_checked_for_soundness():
    X = np.concatenate(
        [np.random.default_rng(0).standard_normal((60, 2)), np.repeat([[3.0, 3.0]], 15, axis=0)]
    )
    calls = []

    def callback(iteration):
        calls.append(iteration)
        if len(calls) == 60:
            raise KeyboardInterrupt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = GaussianMixture(4, random_state=0, callback=callback).fit(X).result_
    assert result.stop.name == "INTERRUPTED"
    from conftest import dataset
    from mixtura.em.effective_parameters import soundness_of
    from mixtura.families import FAMILIES
    from mixtura.model.regularisation import Regularisation

    data, family = dataset(X), FAMILIES["VVV"]
    moments = data.backend.moments(data.source, result.mixture, family.needs)
    again = soundness_of(Problem(data, family, Regularisation(data.floor)), result.mixture, moments)
    np.testing.assert_allclose(result.soundness.effective, again.effective, rtol=1e-6)
    assert [item.kind for item in result.findings] == [item.kind for item in again.findings]


def test_wrong_lengths_lazy_frames_and_equal_names_are_refused(faithful):
    weights = np.ones(len(faithful) - 1)
    weights[0] = 0
    with pytest.raises(ValueError, match="one value for each"):
        GaussianMixture(2).fit(faithful, sample_weight=weights)
    with pytest.raises(TypeError, match="collect"):
        GaussianMixture(2).fit(pl.LazyFrame({"a": faithful[:, 0]}))
    with pytest.raises(ValueError, match="names"):
        GaussianMixture(2).fit(pd.DataFrame(faithful, columns=["a", "a"]))


def test_a_row_of_weight_zero_does_not_count_in_the_score():
    g = GaussianMixture(2, random_state=0).fit(two_groups(200))
    assert np.isfinite(g.score([[0.0, 0.0], [1e200, 1e200]], sample_weight=[1.0, 0.0]))


def test_a_warm_start_reports_its_own_iterations_only(faithful):
    g = GaussianMixture(3, n_init=1, max_iter=5, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first = g.fit(faithful).lower_bounds_
        second = g.fit(faithful).lower_bounds_
    assert len(first) == len(second) == g.n_iter_ == 5
    assert second[0] > first[-1]


def test_equal_proportions_are_not_counted_by_any_criterion(faithful):
    fitted = GaussianMixture(3, equal_weights=True, random_state=0).fit(faithful)
    assert fitted.bic(faithful) == pytest.approx(criteria.bic(fitted.result_), rel=1e-12)
    assert fitted.aic(faithful) == pytest.approx(criteria.aic(fitted.result_), rel=1e-12)


def test_covariances_in_extreme_units_are_valid_parameters():
    units = np.array([1e-8, 1.0, 1e8])
    fitted = GaussianMixture(2, random_state=0).fit(
        two_groups(100, 3) @ np.array([[1, 0.5, 0.2], [0, 1, 0.3], [0, 0, 1]]) * units
    )
    again = GaussianMixture.from_parameters(fitted.weights_, fitted.means_, fitted.covariances_)
    np.testing.assert_allclose(again.precisions_, fitted.precisions_, rtol=1e-6)


def test_a_start_from_given_means_respects_equal_weights(faithful):
    start = GaussianMixture(
        2, equal_weights=True, means_init=[[2.0, 55.0], [4.3, 80.0]], max_iter=0
    ).fit(faithful)
    np.testing.assert_array_equal(start.weights_, [0.5, 0.5])
