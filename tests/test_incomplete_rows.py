"""Missing entries, errors of measurement and labels, from the E-step to the estimators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.integrate import quad
from sklearn.utils.estimator_checks import parametrize_with_checks

from conftest import ALL_BACKENDS, ALL_FAMILIES, read_data, read_truth
from mixtura import (
    ConjugatePrior,
    GaussianMixture,
    GaussianMixtureSelector,
    MixtureImputer,
    likelihood_ratio_test,
)
from mixtura.backends import backend_named
from mixtura.base.errors import DataWarning
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.em.effective_parameters import effective_parameters
from mixtura.families import FAMILIES
from mixtura.inference.information import information
from mixtura.inference.oakes import information_by_oakes
from mixtura.inference.resamples import rows_seen
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.inputs.row_knowledge import known_classes
from mixtura.inputs.rows import dataset_of
from mixtura.model.moments import Moments
from mixtura.model.observation import Observation
from mixtura.sources import ArraySource

SUMS = ("counts", "first", "second", "log_likelihood", "entropy", "certainty")


def groups(n: int = 150, d: int = 3, seed: int = 0, apart: float = 4.0):
    """Rows of two groups, and the group of each."""
    rng = np.random.default_rng(seed)
    z = rng.integers(2, size=n)
    mixing = np.tril(np.full((d, d), 0.4)) + np.diag(np.full(d, 0.6))
    return rng.standard_normal((n, d)) @ mixing.T + apart * z[:, None], z


def with_holes(X: np.ndarray, share: float = 0.15, seed: int = 1) -> np.ndarray:
    """The rows with a share of their entries missing, but none without any value."""
    X, gaps = X.copy(), np.random.default_rng(seed).random(X.shape) < share
    gaps[gaps.all(axis=1), 0] = False
    X[gaps] = np.nan
    return X


def mixture_of(form: str, K: int = 3, d: int = 4, seed: int = 2) -> Mixture:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((K, d, d))
    S = A @ np.swapaxes(A, 1, 2) + np.eye(d)
    covariance = {
        "dense": Dense(S, K),
        "shared": Dense(S[:1], K),
        "diagonal": Diagonal(rng.uniform(0.5, 2.0, (K, d)), K),
        "spherical": Spherical(rng.uniform(0.5, 2.0, K), K, d),
    }[form]
    return Mixture(rng.dirichlet(np.ones(K)), rng.standard_normal((K, d)), covariance)


def errors_of(kind: str, n: int, d: int, seed: int = 3) -> np.ndarray | None:
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((n, d, d))
    return {
        "none": None,
        "one": rng.uniform(0.0, 1.0, n),
        "each": rng.uniform(0.0, 1.0, (n, d)),
        "full": B @ np.swapaxes(B, 1, 2) / 4,
    }[kind]


# ---- the E-step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "one", "each", "full"])
@pytest.mark.parametrize("form", ["dense", "shared", "diagonal", "spherical"])
def test_both_backends_have_the_same_moments_densities_and_expected_rows(form, kind):
    """To 1e-9: sums of 300 rows in another order, through an inverse of condition below 1e4."""
    rng = np.random.default_rng(4)
    n, d, mixture = 300, 4, mixture_of(form)
    X = with_holes(rng.standard_normal((n, d)), 0.3)
    X[:40, 1:] = np.nan  # a large group
    X[40:44] = np.nan
    classes = np.ones((n, 2))
    classes[::7] = [1.0, 0.0]
    classes[1::7] = [0.3, 1.0]
    source = ArraySource(
        X, rng.uniform(0.5, 2.0, n), Observation.of(X, errors_of(kind, n, d), classes)
    )
    native, reference = backend_named("native", 2), backend_named("reference")
    diagonal = form in ("diagonal", "spherical")
    kinds = (Scatter.DIAGONAL, Scatter.TRACE) if diagonal else (Scatter.DENSE, Scatter.TOTAL)
    for needs in kinds:
        ours, theirs = (each.moments(source, mixture, needs) for each in (native, reference))
        for name in SUMS:
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), 1e-9, 1e-9)
    (block,) = source.blocks()
    log_joint = reference.log_joint(block, mixture)
    np.testing.assert_allclose(native.log_joint(block, mixture), log_joint, 1e-9, 1e-9)
    shares = rng.dirichlet(np.ones(3), n)
    np.testing.assert_allclose(
        native.completed(block, mixture, shares),
        reference.completed(block, mixture, shares),
        1e-9,
        1e-9,
    )


@pytest.mark.parametrize("more", ["plain", "noise", "tails"])
@pytest.mark.parametrize("form", ["dense", "diagonal"])
def test_rows_of_a_class_without_weight_are_shared_evenly_by_both_backends(form, more):
    """Rows without a value, rows that are completed one by one, and a large group."""
    n, d, K = 48, 4, 3
    mixture = replace(mixture_of(form), weights=np.array([0.6, 0.4, 0.0]))
    if more == "noise":
        noise = Noise(0.3, np.zeros(d), np.zeros(d))
        mixture = replace(mixture, weights=0.7 * mixture.weights, noise=noise)
    if more == "tails":
        mixture = replace(mixture, tails=np.full(K, 4.0))
    X = np.random.default_rng(5).standard_normal((n, d))
    X[:4], X[4:8, 0], X[8:40, 1] = np.nan, np.nan, np.nan
    classes = np.ones((n, K))
    classes[:46] = [0.0, 0.0, 1.0]
    for rows in ([0], slice(0, 4), slice(4, 8), slice(8, 40), slice(0, n)):
        source = ArraySource(X[rows], None, Observation.of(X[rows], classes=classes[rows]))
        ours, theirs = (
            backend_named(name, 2).moments(
                source, mixture, Scatter.DIAGONAL if form == "diagonal" else Scatter.DENSE
            )
            for name in ("native", "reference")
        )
        assert ours.log_likelihood == theirs.log_likelihood == -np.inf
        for name in (*SUMS[:3], "entropy", "certainty", "noise", *(["pulls"] * (more == "tails"))):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), 1e-9, 1e-9)
        if rows != slice(0, n):
            np.testing.assert_allclose(ours.counts, len(X[rows]) / K)


def test_threads_and_pieces_never_change_a_bit():
    X = with_holes(np.random.default_rng(0).standard_normal((20_000, 6)), 0.2)
    source, mixture = ArraySource(X, None, Observation.of(X)), mixture_of("dense", d=6)
    one, four = (
        backend_named("native", threads).moments(source, mixture, Scatter.DENSE)
        for threads in (1, 4)
    )
    for name in SUMS:
        np.testing.assert_array_equal(getattr(one, name), getattr(four, name))


def test_a_missing_entry_is_integrated_out():
    """To 1e-7, the tolerance asked of the quadrature."""
    mixture = mixture_of("dense", K=2, d=2)
    by_quadrature = quad(
        lambda y: np.exp(mixture.log_density(np.array([[0.7, y]])))[0], -40, 40, epsabs=1e-10
    )[0]
    seen = mixture.log_density(np.array([[0.7, np.nan]]))[0]
    assert seen == pytest.approx(np.log(by_quadrature), rel=1e-7)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_moments_are_those_of_rows_drawn_from_the_conditional_distribution(backend):
    """Within five standard errors of 200,000 draws."""
    mixture, rng = mixture_of("dense", K=1, d=3), np.random.default_rng(0)
    row = np.array([[0.5, np.nan, -1.0]])
    error = np.array([[0.4, 0.0, 0.9]])
    source = ArraySource(row, None, Observation.of(row, error))
    found = backend_named(backend).moments(source, mixture, Scatter.DENSE)
    # rejection-free: the joint Gaussian of the row and what is seen of it, by its regression
    y = mixture.sample(200_000, rng)[0]
    seen = y[:, [0, 2]] + rng.standard_normal((len(y), 2)) * np.sqrt([0.4, 0.9])
    slope = np.linalg.lstsq(np.c_[np.ones(len(y)), seen], y, rcond=None)[0]
    mean = np.array([1.0, 0.5, -1.0]) @ slope
    left = np.cov((y - np.c_[np.ones(len(y)), seen] @ slope).T)
    about = mean - mixture.means[0]
    error_of_mean = 5 * np.sqrt(np.diag(left).max() / 200_000) * 3
    np.testing.assert_allclose(found.first[0], about, atol=error_of_mean)
    np.testing.assert_allclose(found.second[0], left + np.outer(about, about), atol=0.06)


def test_an_observation_of_complete_rows_changes_nothing():
    """To rounding of sums: 1e-12 of 300 rows."""
    X, _ = groups(300)
    complete = Observation(np.zeros(300, dtype=np.int64), np.ones((1, 3), dtype=bool))
    mixture, native = mixture_of("dense", d=3), backend_named("native", 1)
    ours, plain = (
        native.moments(ArraySource(X, None, seen), mixture, Scatter.DENSE)
        for seen in (complete, None)
    )
    for name in SUMS:
        np.testing.assert_allclose(getattr(ours, name), getattr(plain, name), 1e-12, 1e-10)


def test_a_huge_error_is_a_missing_entry():
    """To 1e-5: an error of variance 1e8 leaves 1e-8 of the information, over 3e-3 of variance."""
    X, _ = groups(100)
    holes = with_holes(X)
    errors = np.where(np.isnan(holes), 1e8, 0.0)
    mixture, native = mixture_of("dense", d=3), backend_named("native", 1)
    far = native.moments(ArraySource(X, None, Observation.of(X, errors)), mixture, Scatter.DENSE)
    missing = native.moments(
        ArraySource(holes, None, Observation.of(holes)), mixture, Scatter.DENSE
    )
    for name in ("counts", "first", "second"):
        np.testing.assert_allclose(getattr(far, name), getattr(missing, name), 1e-5, 1e-4)


@pytest.mark.skipif(len(ALL_BACKENDS) < 2, reason="built without a C++ compiler")
def test_effective_parameters_of_plain_and_other_rows_add_up():
    """Plain rows are left out by the kernels, others in NumPy: to 5e-3, as for complete rows."""
    X, z = groups(400)
    X[:100] = with_holes(X[:100], 0.3)
    labels = np.where(np.arange(400) % 5 == 0, z, -1)
    known = known_classes(labels, 400)
    found, complete, own = [], X[100:], z[100:]
    for backend in ALL_BACKENDS:
        data = dataset_of(X, None, backend, 1, known)
        problem = problem_of(data, FAMILIES["VVV"], 2, Constraints())
        mixture = Mixture(
            np.array([0.5, 0.5]),
            np.array([complete[own == k].mean(axis=0) for k in (0, 1)]),
            Dense(np.array([np.cov(complete[own == k].T) for k in (0, 1)]), 2),
        )
        found.append(effective_parameters(problem, mixture, problem.e_step(mixture)))
    np.testing.assert_allclose(found[0], found[1], rtol=5e-3)


# ---- laws of fits --------------------------------------------------------------------------------

KNOWLEDGE = ("missing", "errors", "labels", "all")


def fit_with(what: str, X: np.ndarray, z: np.ndarray, model: GaussianMixture, **more):
    """A fit to rows with missing entries, errors, labels, or all of these."""
    labels = np.where(np.arange(len(X)) % 3 == 0, z, -1) if what in ("labels", "all") else None
    errors = np.full(X.shape, 0.1) if what in ("errors", "all") else None
    rows = with_holes(X) if what in ("missing", "all") else X
    return model.fit(rows, labels=labels, measurement_covariance=errors, **more)


def assert_never_falls(model: GaussianMixture) -> None:
    """Up to rounding of the objective, 1e-10 of it."""
    gains = np.diff(model.lower_bounds_)
    assert (gains >= -1e-10 * abs(model.lower_bounds_[-1])).all()


@pytest.mark.parametrize("family", ALL_FAMILIES)
@pytest.mark.parametrize("what", KNOWLEDGE)
def test_the_likelihood_never_falls_and_the_end_is_an_optimum(family, what):
    X, z = groups(120)
    model = fit_with(
        what, X, z, GaussianMixture(2, covariance_type=family, n_init=2, random_state=0)
    )
    assert_never_falls(model)
    assert model.converged_, model.certificate_.verdict


@pytest.mark.parametrize("backend", ALL_BACKENDS)
@pytest.mark.parametrize(
    "settings",
    [
        {"prior": ConjugatePrior()},
        {"reg_covar": 0.1},
        {"eigenvalue_ratio": 10.0},
        {"equal_weights": True},
        {"tol": 1e-4},
        {"acceleration": None},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_constraints_compose_with_all_that_is_known_of_rows(settings, backend):
    X, z = groups(100)
    model = GaussianMixture(2, n_init=1, random_state=0, backend=backend, **settings)
    fit_with("all", X, z, model, sample_weight=np.linspace(0.5, 2.0, 100))
    assert_never_falls(model)
    assert model.converged_


@pytest.mark.parametrize("what", KNOWLEDGE)
def test_a_weight_of_two_is_a_repeated_row(what):
    X, z = groups(90)
    twice = np.arange(90) % 4 == 0
    settings = {"n_init": 1, "init_params": z, "random_state": 0, "tol": 1e-12}
    weighted = fit_with(
        what, X, z, GaussianMixture(2, **settings), sample_weight=np.where(twice, 2.0, 1.0)
    )
    rows = np.r_[np.arange(90), np.flatnonzero(twice)]
    holes = with_holes(X) if what in ("missing", "all") else X
    labels = np.where(np.arange(90) % 3 == 0, z, -1)[rows]
    repeated = GaussianMixture(2, **settings | {"init_params": z[rows]}).fit(
        holes[rows],
        labels=labels if what in ("labels", "all") else None,
        measurement_covariance=np.full((len(rows), 3), 0.1) if what in ("errors", "all") else None,
    )
    np.testing.assert_allclose(weighted.means_, repeated.means_, 1e-6)


def test_float32_rows_have_the_answer_of_float64():
    X, _ = groups(200)
    holes = with_holes(X).astype(np.float32)
    ours, exact = (
        GaussianMixture(2, random_state=0).fit(rows) for rows in (holes, holes.astype(float))
    )
    assert ours.means_.dtype == np.float32
    assert ours.result_.log_likelihood == pytest.approx(exact.result_.log_likelihood, abs=0.02)


def test_a_selection_chooses_the_right_groups_of_incomplete_rows():
    X, z = groups(240, apart=6.0)
    choice = GaussianMixtureSelector(range(1, 4), families=["EEE", "VVV", "VVI"], random_state=0)
    choice.fit(with_holes(X), measurement_covariance=np.full(240, 0.01))
    assert choice.selection_.best.n_components == 2
    own = choice.predict(with_holes(X), measurement_covariance=np.full(240, 0.01))
    assert max((own == z).mean(), (own != z).mean()) > 0.99


def test_many_rows_are_searched_on_a_sample():
    X, z = groups(30_000)
    holes = with_holes(X, 0.1)
    model = GaussianMixture(2, random_state=0).fit(holes)
    assert model.converged_
    assert model.start_report_.n_rows < 30_000
    own = model.predict(holes)
    assert max((own == z).mean(), (own != z).mean()) > 0.95


# ---- missing entries -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["diabetes", "faithful"])
def test_missing_values_have_at_least_the_likelihood_of_other_packages(name):
    truth = read_truth(f"missing_{name}.json")
    frame = pd.read_csv(f"tests/truth/data/{name}_missing.csv")[truth["columns"]]
    assert int(frame.isna().sum().sum()) == truth["missing_entries"]
    for case in truth["fits"]:
        model = GaussianMixture(case["G"], random_state=0).fit(frame)
        assert model.converged_
        assert model.result_.log_likelihood > case["loglik_observed"] - 1e-6
        assert model.score(frame) * truth["n"] == pytest.approx(model.result_.log_likelihood)
        if case["G"] == 1:
            assert model.result_.log_likelihood == pytest.approx(case["loglik_observed"], abs=1e-6)


def test_rows_without_any_value_have_the_weights_as_posterior():
    X, _ = groups(100)
    holes = with_holes(X)
    model = GaussianMixture(2, random_state=0).fit(holes)
    holes[:5] = np.nan
    np.testing.assert_allclose(model.predict_proba(holes[:2]), [model.weights_] * 2, atol=1e-12)
    np.testing.assert_allclose(model.score_samples(holes[:2]), 0.0, atol=1e-12)
    np.testing.assert_allclose(model.impute(holes[:1])[0], model.weights_ @ model.means_)


def test_every_way_to_say_missing_is_the_same():
    X, _ = groups(80, d=2)
    holes = with_holes(X)
    gaps = np.isnan(holes)
    frame = pd.DataFrame(holes, columns=["a", "b"])
    forms = [
        frame,
        frame.astype("Float64"),
        frame.astype(object).where(~gaps, None).astype("Float64"),
        pl.DataFrame({"a": holes[:, 0], "b": holes[:, 1]}).fill_nan(None),
        np.ma.array(np.where(gaps, 99.0, holes), mask=gaps),
        holes.tolist(),
    ]
    plain = GaussianMixture(2, random_state=0).fit(holes)
    for form in forms:
        model = GaussianMixture(2, random_state=0).fit(form)
        np.testing.assert_array_equal(model.means_, plain.means_)
        np.testing.assert_array_equal(model.predict_proba(form), plain.predict_proba(holes))


def test_missing_integers_of_a_masked_array_are_missing():
    whole = np.random.default_rng(0).integers(100, size=(20, 2))
    values = np.ma.array(whole, mask=whole % 7 == 0)
    np.testing.assert_allclose(
        GaussianMixture(1).fit(values).means_,
        GaussianMixture(1).fit(values.astype(float).filled(np.nan)).means_,
    )


def test_imputed_rows_are_conditional_expectations_and_draws_have_their_spread():
    one = GaussianMixture.from_parameters([1.0], [[0.0, 1.0]], [[[1.0, 0.8], [0.8, 2.0]]])
    rows = np.tile([1.5, np.nan], (20_000, 1))
    np.testing.assert_allclose(one.impute(rows[:1]), [[1.5, 1.0 + 0.8 * 1.5]])
    drawn = one.impute(rows, draw=True, random_state=0)
    np.testing.assert_array_equal(drawn[:, 0], 1.5)
    assert drawn[:, 1].mean() == pytest.approx(2.2, abs=5 * np.sqrt(1.36 / 20_000))
    assert drawn[:, 1].var() == pytest.approx(2.0 - 0.64, rel=0.06)


def test_the_imputer_is_nearer_than_column_means_where_columns_are_related():
    X, _ = groups(300)
    holes = with_holes(X)
    gaps = np.isnan(holes)
    filled = MixtureImputer(random_state=0).fit_transform(holes)
    np.testing.assert_array_equal(filled[~gaps], X[~gaps])
    by_means = np.where(gaps, np.nanmean(holes, axis=0), holes)
    assert np.abs(filled - X)[gaps].mean() < 0.5 * np.abs(by_means - X)[gaps].mean()
    names = MixtureImputer(GaussianMixture(1)).set_output(transform="pandas")
    frame = names.fit_transform(pd.DataFrame(holes, columns=["a", "b", "c"]))
    assert list(frame.columns) == ["a", "b", "c"]


@pytest.mark.parametrize("seed_of_mixture", [None, 0])
def test_the_imputer_draws_anew_unless_its_seed_is_an_integer(seed_of_mixture):
    holes = with_holes(groups(60)[0])
    gaps = np.isnan(holes)
    mixture = GaussianMixture(1, random_state=seed_of_mixture)
    imputer = MixtureImputer(mixture, draw=True).fit(holes)

    def two_draws(seed):
        imputer.set_params(random_state=seed)
        first, second = imputer.transform(holes), imputer.transform(holes)
        np.testing.assert_array_equal(first[~gaps], second[~gaps])
        return first[gaps], second[gaps]

    same = two_draws(0)
    np.testing.assert_array_equal(*same)
    for seed in (None, np.random.RandomState(0)):
        first, second = two_draws(seed)
        assert (first != second).all()
    assert (two_draws(1)[0] != same[0]).all()
    again = two_draws(np.random.RandomState(5)), two_draws(np.random.RandomState(5))
    np.testing.assert_array_equal(*again)


@pytest.mark.filterwarnings("ignore::mixtura.base.errors.DataWarning")
@parametrize_with_checks([MixtureImputer(GaussianMixture(1))])
def test_the_imputer_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


# ---- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["banknote", "diabetes"])
def test_semi_supervised_fits_have_the_likelihood_of_mclust(name):
    truth = read_truth(f"ssc_{name}.json")
    X = read_data(f"{name}.csv", truth["d"])
    labels = [None if label in (None, "NA") else label for label in truth["known_label"]]
    for case in truth["fits"]:
        model = GaussianMixture(case["G"], covariance_type=case["model"], random_state=0)
        model.fit(X, labels=labels)
        assert list(model.classes_) == sorted({label for label in labels if label})
        assert model.result_.log_likelihood > case["loglik"] - 1e-5
        assert model.result_.n_parameters == case["df"]


def test_with_all_labels_a_fit_is_one_gaussian_for_each_class():
    X, z = groups(150, apart=1.0)
    model = GaussianMixture(2, random_state=0).fit(X, labels=np.array(["b", "a"])[z])
    assert model.classes_.tolist() == ["a", "b"]
    for k, group in enumerate((1, 0)):
        np.testing.assert_allclose(model.means_[k], X[z == group].mean(axis=0), 1e-9)
        np.testing.assert_allclose(
            model.covariances_[k], np.cov(X[z == group].T, bias=True), 1e-9, 1e-9
        )
    assert model.n_iter_ <= 4


def test_a_few_labels_decide_which_component_is_which():
    X, z = groups(200, apart=3.0)
    for flip in (0, 1):
        labels = np.full(200, -1)
        for k in (0, 1):
            labels[np.flatnonzero(z == k)[:2]] = k ^ flip
        own = GaussianMixture(2, random_state=0).fit(X, labels=labels).predict(X)
        assert (own == (z ^ flip)).mean() > 0.95


def test_more_components_than_classes_find_a_class_without_labels():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(8 * k, 1, (60, 2)) for k in range(3)])
    labels = np.full(180, np.nan)
    labels[:10], labels[60:70] = 1.0, 0.0
    model = GaussianMixture(3, random_state=0).fit(X, labels=labels)
    assert model.predict([[0.0, 0.0], [8.0, 8.0], [16.0, 16.0]]).tolist() == [1, 0, 2]


def test_soft_labels_between_nothing_and_certainty():
    X, z = groups(200, apart=1.5)
    certain = np.eye(2)[z]
    hard = GaussianMixture(2, random_state=0).fit(X, labels=z)
    soft = GaussianMixture(2, random_state=0).fit(X, labels=certain)
    np.testing.assert_allclose(soft.means_, hard.means_, 1e-9)
    hints = 0.8 * certain + 0.1
    assert (GaussianMixture(2, random_state=0).fit(X, labels=hints).predict(X) == z).mean() > 0.7


# ---- errors of measurement -----------------------------------------------------------------------


def test_deconvolution_has_the_answer_of_another_package():
    """To 1e-6 of the likelihood, and 1e-4 of the parameters."""
    (case,) = read_truth("errors_faithful.json")["fits"]
    X, i = read_data("faithful.csv"), np.arange(272)
    errors = np.c_[(0.05 + 0.15 * (i % 7) / 6) ** 2, (1 + 3 * (i % 5) / 4) ** 2]
    model = GaussianMixture(2, random_state=0).fit(X, measurement_covariance=errors)
    assert model.result_.log_likelihood > case["loglik"] - 1e-6
    order = np.argsort(-model.weights_)
    np.testing.assert_allclose(model.weights_[order], case["pro"], 1e-4)
    np.testing.assert_allclose(model.means_[order], case["mean"], 1e-4)
    dense = np.array([np.diag(row) for row in errors])
    again = model.score_samples(X, measurement_covariance=dense)
    assert again.sum() == pytest.approx(model.result_.log_likelihood)


def test_errors_are_taken_out_of_the_covariances():
    """Within five standard errors of a variance of 4,000 rows."""
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.5, 3.0, (4000, 2))
    X = rng.standard_normal((4000, 2)) + rng.standard_normal((4000, 2)) * np.sqrt(errors)
    model = GaussianMixture(1).fit(X, measurement_covariance=errors)
    assert np.abs(np.diag(model.covariances_[0]) - 1.0).max() < 5 * np.sqrt(2 / 4000) * 3


# ---- standard errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "VEV", "EVE", "EII"])
def test_oakes_identity_has_the_matrices_in_closed_form(family):
    """To 1e-6 of the complete-data information: differences with a step of 1e-4."""
    X, _ = groups(150)
    model = GaussianMixture(2, covariance_type=family, random_state=0).fit(X)
    problem = problem_of(dataset_of(X, None, "auto", 1), FAMILIES[family], 2, Constraints())
    exact = information(problem, model.mixture_)
    ours = information_by_oakes(problem, exact.coordinates, exact.groups)
    unit = np.sqrt(np.diag(exact.complete[0]))
    unit = np.outer(unit, unit)
    for name in ("observed", "scores", "complete"):
        apart = (getattr(ours, name)[0] - getattr(exact, name)[0]) / unit
        assert np.abs(apart).max() < 1e-6


def test_standard_errors_of_incomplete_rows_are_near_those_of_resamples():
    """Half the rows miss a column, so its mean has the error of the other half. 15 % for 100
    resamples."""
    X = np.random.default_rng(0).standard_normal((400, 2))
    X[:200, 0] = np.nan
    model = GaussianMixture(1).fit(X)
    errors = model.standard_errors(X)
    np.testing.assert_allclose(errors.means[0], np.std(X[200:], axis=0) / np.sqrt([200, 400]), 0.1)
    again = model.standard_errors(X, method="bootstrap", n_replicates=100, random_state=0)
    np.testing.assert_allclose(again.means, errors.means, 0.25)
    low = model.membership_intervals(X[:3], errors).low
    assert np.isfinite(low).all()


def test_a_likelihood_ratio_test_draws_replicates_with_the_same_entries_missing():
    """Two groups far apart: one component is refused, two are not."""
    X, _ = groups(80, d=2, apart=6.0)
    tests = [
        likelihood_ratio_test(with_holes(X), K, "EII", n_replicates=19, n_starts=1, random_state=0)
        for K in (1, 2)
    ]
    assert tests[0].p_value == pytest.approx(0.05)
    assert tests[1].p_value > 0.05


def test_rows_drawn_like_others_lack_the_same_entries_and_keep_their_classes():
    rng = np.random.default_rng(0)
    holes = with_holes(rng.standard_normal((500, 2)))
    classes = np.ones((500, 2))
    classes[:250] = [0.0, 1.0]
    seen = Observation.of(holes, np.full((500, 2), 0.5), classes)
    covariance = Spherical(np.ones(2), 2, 2)
    mixture = Mixture(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [50.0, 50.0]]), covariance)
    drawn = rows_seen(mixture, seen, rng)
    np.testing.assert_array_equal(np.isnan(drawn), np.isnan(holes))
    assert np.nanmin(drawn[:250]) > 25.0
    assert np.nanmin(drawn[250:]) < 25.0
    assert np.nanvar(drawn[:250]) == pytest.approx(1.5, rel=0.3)


# ---- bad input -----------------------------------------------------------------------------------


def two_columns() -> np.ndarray:
    return groups(60, d=2)[0]


def never_together() -> np.ndarray:
    X = two_columns()
    X[:30, 0] = X[30:, 1] = np.nan
    return X


REFUSED = {
    "empty column": (
        {"X": np.c_[two_columns(), np.full(60, np.nan)]},
        "column 2 has no value in any row",
    ),
    "never together": ({"X": never_together()}, "no row has a value in both column 0 and column 1"),
    "infinity": ({"X": np.where(two_columns() > 5, np.inf, two_columns())}, "contains infinity"),
    "short labels": ({"labels": [0, 1]}, r"one entry for each of the 60 rows.*shape \(2,\)"),
    "classes": ({"labels": np.arange(60) % 3}, "labels have 3 classes, but n_components is 2"),
    "mixed": ({"labels": ["a", 1] * 30}, "all numbers or all text"),
    "negative": ({"labels": np.full((60, 2), -0.5)}, "must be at least 0"),
    "empty class": ({"labels": np.tile([1.0, 0.0], (60, 1))}, "class 1 of labels has no rows"),
    "error shape": ({"measurement_covariance": np.ones((2, 2))}, r"of shape \(60,\) or \(60, 2\)"),
    "negative error": ({"measurement_covariance": -np.ones(60)}, "variances of at least 0.*row 0"),
    "NaN error": ({"measurement_covariance": np.full(60, np.nan)}, "must be finite"),
    "indefinite error": (
        {"measurement_covariance": np.tile([[1.0, 2.0], [2.0, 1.0]], (60, 1, 1))},
        "positive semi-definite matrices, but that of row 0 is not, nor are 59 more",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_knowledge_of_rows_that_cannot_be_used_is_refused_with_the_remedy(case):
    given, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        GaussianMixture(2).fit(**{"X": two_columns()} | given)


def test_columns_that_are_never_seen_together_have_diagonal_covariances():
    model = GaussianMixture(2, covariance_type="diag", random_state=0).fit(never_together())
    assert np.isfinite(model.covariances_).all()


def test_errors_of_missing_entries_are_not_read():
    X = with_holes(two_columns())
    errors = np.where(np.isnan(X), np.nan, 0.1)
    GaussianMixture(1).fit(X, measurement_covariance=errors)


def test_moments_of_some_components_in_another_order():
    X, z = groups(30)
    moments = Moments.of(X, np.eye(2)[z], np.zeros((2, 3)), Scatter.DENSE)
    turned = moments.select(np.array([1, 0]))
    np.testing.assert_array_equal(turned.counts, moments.counts[::-1])
    np.testing.assert_array_equal(turned.second, moments.second[::-1])


def test_columns_that_carry_the_same_values_are_refused_also_with_holes():
    X = with_holes(np.c_[two_columns(), 2.0 * two_columns()[:, 0] + 1.0])
    with pytest.raises(ValueError, match="column 0, column 2 carry the same values"):
        GaussianMixture(1).fit(X)


# ---- what a user is told -------------------------------------------------------------------------


def test_rows_without_any_value_are_left_out_of_a_fit_with_a_warning():
    X, _ = groups(100)
    empty = np.r_[X, np.full((20, 3), np.nan)]
    with pytest.warns(DataWarning, match="20 of 120 rows have no value in any column"):
        model = GaussianMixture(2, random_state=0).fit(empty)
    plain = GaussianMixture(2, random_state=0).fit(X)
    np.testing.assert_array_equal(model.means_, plain.means_)
    weights = np.r_[0.0, np.ones(119)]
    with pytest.warns(DataWarning, match="20 of 119 rows"):
        weighted = GaussianMixture(2, random_state=0).fit(empty, sample_weight=weights)
    assert weighted.result_.total == 99


def test_a_component_without_values_in_a_column_is_named():
    X, z = groups(100, d=2, apart=12.0)
    X[z == 0, 1] = np.nan
    with pytest.warns(DataWarning, match="no value in some columns .component [01]: column 1."):
        GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)


def test_labelled_rows_are_predicted_by_their_label_at_once_with_the_fit():
    X, z = groups(100, apart=0.5)
    assert (GaussianMixture(2, random_state=0).fit_predict(X, labels=z) == z).all()


def test_components_keep_the_order_of_the_classes():
    """By weight, and in a warm start with other labels, class c stays component c."""
    X, z = groups(150, apart=6.0)
    some = np.where(np.arange(150) % 10 == 0, z, -1)
    model = GaussianMixture(2, random_state=0, component_order="weight", warm_start=True)
    for labels in (some, np.where(some >= 0, 1 - some, -1)):
        own = model.fit(X, labels=labels).predict(X)
        assert (own == labels)[labels >= 0].all()


def test_labels_of_all_classes_do_not_end_the_search_early():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((180, 3)) + 2.0 * np.repeat(np.arange(3), 60)[:, None]
    labels = np.full(180, -1)
    labels[::18] = np.repeat(np.arange(3), 60)[::18]
    holes = with_holes(X)
    levels = [
        GaussianMixture(3, random_state=seed).fit(holes, labels=labels).result_.log_likelihood
        for seed in range(3)
    ]
    assert max(levels) - min(levels) < 0.05


def test_labelled_rows_without_any_value_count_for_the_weights():
    X, z = groups(100)
    X[:10] = np.nan
    labels = np.where(np.arange(100) < 20, z, -1)
    assert GaussianMixture(2, random_state=0).fit(X, labels=labels).converged_
