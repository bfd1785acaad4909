"""Unusual input has a finite result or a clear error, never an exception of NumPy."""

from __future__ import annotations

import contextlib
import re
import warnings

import numpy as np
import pytest

from conftest import ALL_FAMILIES, two_groups
from mixtura import GaussianMixture, GaussianMixtureSelector, OutlierMixture, hierarchical
from mixtura.base.errors import DataError
from mixtura.compare import compare


def fitted(K, X, sample_weight=None, **settings) -> GaussianMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return GaussianMixture(K, random_state=0, **settings).fit(X, sample_weight=sample_weight)


def sorted_means(model: GaussianMixture) -> np.ndarray:
    return model.means_[np.lexsort(model.means_.T)]


# ---- masked arrays -------------------------------------------------------------------------------


@pytest.fixture
def masked():
    X = two_groups(100)
    X[:20, 0] = -999.0
    return np.ma.array(X, mask=X == -999.0)


METHODS = {
    "fit": lambda model, X: model.fit(X),
    "fit_predict": lambda model, X: model.fit_predict(X),
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: model.predict_proba(X),
    "score": lambda model, X: model.score(X),
    "score_samples": lambda model, X: model.score_samples(X),
    "bic": lambda model, X: model.bic(X),
    "certify": lambda model, X: model.certify(X),
    "standard_errors": lambda model, X: model.standard_errors(X),
    "merged": lambda model, X: model.merged(X),
    "selector": lambda _, X: GaussianMixtureSelector([1, 2], families=["EII"], random_state=0).fit(
        X
    ),
    "hierarchical": lambda _, X: hierarchical(X),
    "compare": lambda _, X: compare(X),
}


NEED_COMPLETE_ROWS = ("hierarchical", "compare")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [np.ma.asarray, list, tuple])
def test_masked_entries_are_missing_in_an_array_and_refused_in_a_list(masked, method, shape):
    if shape is np.ma.asarray and method not in NEED_COMPLETE_ROWS:
        model = fitted(2, masked.filled(np.nan))
        ours, with_nan = (METHODS[method](model, X) for X in (masked, masked.filled(np.nan)))
        values = [str(getattr(found, "means", found)) for found in (ours, with_nan)]
        assert values[0] == values[1]
        return
    with pytest.raises(
        ValueError,
        match=r"X must have a value in every entry, but 20 entries are masked, .* leave these "
        r"rows out",
    ):
        METHODS[method](fitted(2, two_groups(100)), shape(masked))


def test_one_masked_row_among_plain_ones_is_seen(masked):
    with pytest.raises(ValueError, match="but 1 entry is masked"):
        GaussianMixture(2).fit([*masked.data[1:].tolist(), masked[0]])


def test_a_list_of_masked_rows_is_told_how_to_become_an_array(masked):
    with pytest.raises(ValueError, match=r"20 entries are masked.*np\.ma\.stack\(X\)"):
        GaussianMixture(2).fit(list(masked))


def test_a_masked_array_without_masked_entries_is_its_data():
    X = two_groups(100)
    plain = GaussianMixture(2, random_state=0).fit(X)
    for same in (
        np.ma.array(X),
        np.ma.array(X, mask=np.zeros(X.shape, bool)),
        list(np.ma.array(X)),
    ):
        model = GaussianMixture(2, random_state=0).fit(same)
        np.testing.assert_array_equal(model.means_, plain.means_)
        np.testing.assert_array_equal(model.predict(same), plain.predict(X))


def test_masked_weights_starts_and_groups_are_refused_by_name():
    X, one_masked = two_groups(100), np.ma.array(np.ones(100), mask=np.arange(100) == 3)
    for refused in (
        lambda: GaussianMixture(2).fit(X, sample_weight=one_masked),
        lambda: fitted(2, X).score(X, sample_weight=one_masked),
        lambda: GaussianMixtureSelector([2]).fit(X, sample_weight=one_masked),
        lambda: hierarchical(X, sample_weight=one_masked),
    ):
        with pytest.raises(
            ValueError,
            match="sample_weight must have a value in every entry, but 1 entry is masked",
        ):
            refused()
    with pytest.raises(ValueError, match="init_params must have"):
        GaussianMixture(
            1, init_params=np.ma.array(np.zeros(100, int), mask=np.arange(100) == 3)
        ).fit(X)
    with pytest.raises(ValueError, match="truth must have"):
        compare(X, truth=one_masked)


def test_a_row_of_weight_zero_may_be_masked(masked):
    weights = np.where(np.arange(100) < 20, 0.0, 1.0)
    model = GaussianMixture(2, random_state=0).fit(masked, sample_weight=weights)
    np.testing.assert_array_equal(
        model.means_, GaussianMixture(2, random_state=0).fit(two_groups(100)[20:]).means_
    )


# ---- underflow -----------------------------------------------------------------------------------


@pytest.fixture
def far_apart():
    X = two_groups(200)
    X[100:] += 300.0
    return X


@pytest.mark.parametrize("state", [{"under": "raise"}, {"all": "raise"}])
def test_the_error_state_of_numpy_changes_no_result(far_apart, state):
    far = np.array([[1e4, 1e4], [1e150, 0.0]])
    usual = GaussianMixture(3, random_state=0).fit(far_apart)
    with np.errstate(**state):
        model = GaussianMixture(3, random_state=0).fit(far_apart)
        np.testing.assert_array_equal(model.means_, usual.means_)
        np.testing.assert_array_equal(model.predict_proba(far), usual.predict_proba(far))
        np.testing.assert_array_equal(
            model.score_samples(far_apart), usual.score_samples(far_apart)
        )
        (
            model.bic(far_apart),
            model.score(far_apart),
            model.merged(far_apart).predict(far),
            model.mixture_.posterior(far_apart),
        )
        model.certify(far_apart), model.fit_predict(far_apart)
        GaussianMixtureSelector([1, 2], families=["VVV", "EII"], random_state=0).fit(
            far_apart
        ).predict_proba(far)
        with pytest.raises(FloatingPointError):  # the state of the caller is restored
            np.exp(np.array([-800.0]))


# ---- weights of any size -------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [1e-150, 1e-100, 1e-10, 1e10, 1e100, 1e150])
def test_equal_weights_of_any_size_give_the_means_of_weights_one(weight):
    X = two_groups(120)
    np.testing.assert_allclose(
        sorted_means(fitted(2, X, np.full(120, weight))), sorted_means(fitted(2, X)), rtol=1e-4
    )


@pytest.mark.parametrize("weight", [5e-324, 1e-300, 1e-200, 1e160, 1e300, 1.7e308])
def test_weights_out_of_range_are_refused(weight):
    X = two_groups(120)
    model = fitted(2, X)
    for refused in (
        lambda: GaussianMixture(2).fit(X, sample_weight=np.full(120, weight)),
        lambda: model.score(X, sample_weight=np.full(120, weight)),
        lambda: GaussianMixtureSelector([2]).fit(X, sample_weight=np.full(120, weight)),
    ):
        with pytest.raises(
            ValueError,
            match=r"sample_weight must be between 1e-150 and 1e\+150 on average, but its mean is "
            r".*",
        ):
            refused()


def test_a_row_of_nearly_no_weight_is_absent():
    X, weights = two_groups(120), np.ones(120)
    weights[:20] = 1e-300
    np.testing.assert_allclose(
        sorted_means(fitted(2, X, weights)), sorted_means(fitted(2, X[20:])), rtol=1e-4
    )


def test_weights_and_units_that_are_small_together_are_refused():
    with pytest.raises(DataError, match="times weights of about 1e-100, leave the range"):
        GaussianMixture(2).fit(two_groups(120) * 1e-120, sample_weight=np.full(120, 1e-100))


# ---- few distinct values -------------------------------------------------------------------------


@pytest.mark.parametrize("K", [1, 2])
def test_equal_rows_are_refused(K):
    with pytest.raises(DataError, match=r"All rows of X are equal|only 1 distinct row"):
        GaussianMixture(K).fit(np.full((30, 2), 3.0))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_two_components_of_two_distinct_rows_are_refused(covariance_type):
    with pytest.raises(DataError, match="only 2 distinct rows, and n_components=2"):
        GaussianMixture(2, covariance_type=covariance_type).fit(
            np.repeat([[0.0, 0.0], [1.0, 1.0]], 20, axis=0)
        )


def test_more_components_than_distinct_rows_are_refused_with_both_numbers():
    with pytest.raises(DataError, match="3 distinct rows but n_components=5"):
        GaussianMixture(5).fit(np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 30, axis=0))


def test_a_constant_column_is_refused_by_name_and_allowed_for_spherical_covariances():
    X = np.c_[two_groups(200), np.full(200, 5.0)]
    with pytest.raises(
        DataError, match=r"column 2 is constant.*for example np\.delete\(X, \[2\], axis=1\)"
    ):
        GaussianMixture(2).fit(X)
    assert fitted(2, X, covariance_type="spherical").means_[:, 2].tolist() == [5.0, 5.0]


@pytest.mark.parametrize("estimator", [GaussianMixture(2), OutlierMixture()], ids=["fit", "many"])
def test_a_constant_column_of_a_frame_is_refused_with_a_call_that_leaves_it_out(estimator):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(two_groups(200)[:, [0, 1] * 6]).assign(k=5.0).rename(columns=str)
    with pytest.raises(ValueError, match=r"column 'k' is constant") as refusal:
        estimator.fit(frame)
    call = re.search(r"for example (X\.drop\(.*?\))\.", str(refusal.value))[1]
    assert list(eval(call, {"X": frame}).columns) == [str(j) for j in range(12)]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_decimal_commas_of_a_frame_are_named(library):
    frames = pytest.importorskip(library)
    texts = {"name": ["a", "b"], "price": ["1,5", "-2,25"]}
    with pytest.raises(ValueError, match=r"Of 'price' the first entry is '1,5': decimal commas"):
        GaussianMixture(1).fit(frames.DataFrame(texts))
    with pytest.raises(ValueError, match=r"drop\(columns=\['name'\]\)\.$"):
        GaussianMixture(1).fit(frames.DataFrame({"name": texts["name"], "price": [1.5, 2.5]}))


@pytest.mark.parametrize("covariance_type", ALL_FAMILIES)
def test_groups_are_found_with_a_column_that_is_constant_in_one(covariance_type):
    X, y = two_groups(300), np.repeat([0, 1], 150)
    X[:150, 0] = 0.0
    labels = fitted(2, X, covariance_type=covariance_type).predict(X)
    wrong = np.count_nonzero(labels != y)
    assert min(wrong, 300 - wrong) <= 2


def test_integers_with_three_levels_are_fitted():
    X = np.random.default_rng(0).integers(0, 3, (150, 2))
    for covariance_type in ("full", "diag", "tied", "spherical"):
        model = fitted(2, X, covariance_type=covariance_type)
        assert np.isfinite(model.score(X))
        assert model.converged_
        assert model.weights_.min() * 150 > 10
    with pytest.raises(DataError, match="3 distinct rows but n_components=3"):
        GaussianMixture(3).fit(X[:, :1])


@pytest.mark.parametrize("K", [1, 2])
def test_every_row_twice_is_every_row_with_weight_two(K):
    X = two_groups(200)
    twice, weighted = fitted(K, np.repeat(X, 2, axis=0)), fitted(K, X, np.full(200, 2.0))
    np.testing.assert_allclose(sorted_means(twice), sorted_means(weighted), atol=1e-6)
    np.testing.assert_allclose(np.sort(twice.weights_), np.sort(weighted.weights_), atol=1e-6)
    assert twice.score(X) == pytest.approx(weighted.score(X), abs=1e-8)
    assert twice.bic(np.repeat(X, 2, axis=0)) == pytest.approx(
        weighted.bic(X, np.full(200, 2.0)), abs=1e-3
    )


# ---- outliers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [[1e12, 1e12], [0.0, 1e12], [-1e12, 0.0]])
@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "spherical"])
def test_an_outlier_that_makes_all_other_rows_one_point_is_refused_by_name(row, covariance_type):
    X = np.vstack([two_groups(200), [row]])
    with pytest.raises(
        DataError,
        match=r"column [01] lies between .* but reaches -?1e\+12: beside that the other rows are "
        r"one point",
    ):
        GaussianMixture(3, covariance_type=covariance_type).fit(X)


@pytest.mark.parametrize("far", [1e3, 1e6, 1e7])
def test_columns_that_share_an_outlier_are_not_called_combinations(far):
    X = np.vstack([two_groups(200), [[far, far]]])
    assert np.isfinite(fitted(2, X).score(X))


def test_columns_that_are_combinations_are_refused_by_name():
    X = two_groups(200)
    with pytest.raises(DataError, match="carry the same values up to a factor"):
        GaussianMixture(2).fit(np.c_[X[:, 0], 3.0 * X[:, 0]])


# ---- small tables --------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", ALL_FAMILIES)
def test_small_tables_with_many_zeros_are_fitted_or_refused(covariance_type):
    rng = np.random.default_rng(7)
    for _ in range(8):
        X = np.where(rng.random((7, 5)) < 0.6, 0, rng.integers(0, 4, (7, 5))).astype(float)
        for K in (1, 2, 3, 4):
            with np.errstate(all="raise"):
                model = None
                with contextlib.suppress(DataError):  # and no other exception
                    model = fitted(K, X, covariance_type=covariance_type)
            assert model is None or np.isfinite(model.score(X))
            assert model is None or np.isfinite(model.predict_proba(X)).all()


# ---- starts at which EM does not move ------------------------------------------------------------


def test_a_warm_start_that_leaves_a_component_without_rows_is_not_called_converged():
    X = two_groups(200)
    model = GaussianMixture(2, warm_start=True, random_state=0).fit(X)
    with pytest.warns(UserWarning, match="did not converge") as caught:
        model.fit(X + 100.0)
    assert not model.converged_
    assert caught[0].filename == __file__


def test_without_an_iteration_the_start_is_returned():
    X = two_groups(200)
    model = GaussianMixture(2, max_iter=0, random_state=0).fit(X)
    assert model.n_iter_ == 0
    assert np.isfinite(model.score(X))
