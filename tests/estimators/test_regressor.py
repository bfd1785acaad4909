"""MixtureRegressor: the distribution of y at each x, from a mixture of both."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mixtura
from conftest import read_truth
from mixtura import (
    ConditionalGroups,
    ConditionalMixture,
    GaussianMixture,
    GaussianMixtureSelector,
    Mixture,
    MixtureRegressor,
    StudentTMixture,
)
from mixtura.base.errors import DataWarning
from mixtura.model.regression import NUMBERS_AT_ONCE

NAN = np.nan


def random_mixture(K=3, d=4, seed=0, tails=None) -> Mixture:
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((K, d, d))
    covariances = roots @ roots.transpose(0, 2, 1) / d + 0.3 * np.eye(d)
    weights = rng.dirichlet(np.full(K, 5.0))
    means = 2.0 * rng.standard_normal((K, d))
    return Mixture.from_parameters(weights, means, covariances, degrees_of_freedom=tails)


def linear_data(n=200, d=3, m=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 5.0
    return X, X @ rng.standard_normal((d, m)) + rng.standard_normal((n, m)) + 3.0


def two_branches(n=400, seed=0):
    """y is 3 x or -3 x, with equal probability."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 3, n)
    y = np.where(rng.random(n) < 0.5, 3 * x, -3 * x) + rng.normal(size=n) / 4
    return x[:, None], y


# ---- outside truth -------------------------------------------------------------------------------


def test_conditional_means_and_weights_are_those_of_gmr():
    truth = read_truth("regression_faithful.json")
    fits = read_truth("certified.json")["fits"]
    optimum = next(
        one for one in fits if (one["dataset"], one["model"], one["G"]) == ("faithful", "VVV", 2)
    )
    weights, means, covariances = (
        np.array(optimum[name], dtype=np.float64) for name in ("pro", "mean", "cov")
    )
    joint = Mixture.from_parameters(weights, means, covariances)
    model = MixtureRegressor.from_mixture(joint, 1)
    at = np.array(truth["at"], dtype=np.float64)[:, None]
    # gmr's numbers have six decimals
    np.testing.assert_allclose(model.predict(at), truth["mean"], atol=1e-6)
    shares = model.predict([[3.0]], return_distribution=True).weights[0]
    np.testing.assert_allclose(np.sort(shares), np.sort(truth["weights_at_3"]), atol=1e-7)


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_one_gaussian_is_linear_regression_with_the_deviation_of_n(weighted):
    X, Y = linear_data()
    w = np.random.default_rng(1).integers(1, 4, len(X)) if weighted else np.ones(len(X))
    model = MixtureRegressor(GaussianMixture(1)).fit(X, Y, sample_weight=w)
    lines = LinearRegression().fit(X, Y, sample_weight=w)
    residual = Y - lines.predict(X)
    deviations = np.sqrt(np.average(residual**2, axis=0, weights=w))
    new = linear_data(seed=7)[0]
    mean, std = model.predict(new, return_std=True)
    # both solve d = 3 normal equations of a condition number below 1e3, in double precision
    np.testing.assert_allclose(mean, lines.predict(new), rtol=1e-11)
    np.testing.assert_allclose(std, np.broadcast_to(deviations, std.shape), rtol=1e-11)


@pytest.mark.parametrize("tails", [None, [3.0, 8.0, 30.0]])
def test_density_mean_and_deviation_are_integrals_of_the_joint_density(tails):
    joint = random_mixture(tails=tails)
    model = MixtureRegressor.from_mixture(joint, 3)
    rows = joint.marginal([0, 1, 2]).rvs(4, random_state=1)
    mean, std = model.predict(rows, return_std=True)
    for x, own_mean, own_std in zip(rows, mean, std, strict=True):

        def density(y, x=x):
            return float(joint.pdf(np.append(x, y)))

        edges = [-np.inf, own_mean - own_std, own_mean, own_mean + own_std, np.inf]

        def integral(f, edges=edges):
            parts = pairwise(edges)
            return sum(quad(f, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in parts)

        total = integral(density)
        first = integral(lambda y, f=density: y * f(y)) / total
        second = integral(lambda y, f=density, c=first: (y - c) ** 2 * f(y)) / total
        assert own_mean == pytest.approx(first, rel=1e-8, abs=1e-8)
        assert own_std == pytest.approx(np.sqrt(second), rel=1e-8)
        y = own_mean + 0.3
        found = model.score_samples(x[None], [y])[0]
        assert found == pytest.approx(np.log(density(y) / total), abs=1e-9)


def test_quantiles_are_the_roots_of_the_distribution_function():
    joint = random_mixture(d=3)
    model = MixtureRegressor.from_mixture(joint, [2, 0])
    rows = 3.0 * np.random.default_rng(0).standard_normal((50, 1))
    levels = np.array([0.001, 0.05, 0.5, 0.95, 0.999])
    mean, quantiles = model.predict(rows, quantiles=levels)
    assert mean.shape == (50, 2)
    assert quantiles.shape == (50, 2, 5)
    at = model.predict(rows, return_distribution=True)
    for j in range(2):
        reached = at.marginal(j).cdf(quantiles[:, j])
        # a quantile is right to about 1e-15 of its size, times a density of about one
        np.testing.assert_allclose(reached, np.broadcast_to(levels, (50, 5)), rtol=1e-11)
    one = model.predict(rows, quantiles=0.5)[1]
    np.testing.assert_array_equal(one, quantiles[:, :, 2])


def test_a_missing_input_is_left_out_of_the_joint_mixture():
    joint = random_mixture()
    model = MixtureRegressor.from_mixture(joint, 3)
    rows = joint.rvs(60, random_state=0)[:, :3]
    holes = rows.copy()
    holes[20:40, 1] = NAN
    holes[40:] = NAN
    levels = [0.1, 0.9]
    found = model.predict(holes, return_std=True, quantiles=levels)
    without = MixtureRegressor.from_mixture(joint.marginal([0, 2, 3]), 2)
    for own, whole in zip(
        found, model.predict(rows, return_std=True, quantiles=levels), strict=True
    ):
        np.testing.assert_allclose(own[:20], whole[:20], rtol=1e-12)
    for own, part in zip(
        found, without.predict(rows[:, [0, 2]], return_std=True, quantiles=levels), strict=True
    ):
        np.testing.assert_allclose(own[20:40], part[20:40], rtol=1e-12)
    alone = joint.marginal(3)
    for own, margin in zip(found, (alone.mean(), alone.std(), alone.ppf(levels)), strict=True):
        np.testing.assert_allclose(own[40:], np.broadcast_to(margin, own[40:].shape), rtol=1e-12)


@pytest.mark.parametrize("tails", [None, 4.0])
def test_rows_with_different_inputs_have_the_methods_of_one_distribution(tails):
    joint = random_mixture(tails=tails)
    model = MixtureRegressor.from_mixture(joint, [2, 3])
    rows = joint.rvs(9, random_state=0)[:, :2]
    rows[::3, 0] = NAN
    rows[1, :] = NAN
    Y = joint.rvs(9, random_state=1)[:, 2:]
    together = model.predict(rows, return_distribution=True)
    assert isinstance(together, ConditionalGroups)
    each = [model.predict(row[None], return_distribution=True) for row in rows]
    assert all(isinstance(one, ConditionalMixture) for one in each)
    assert len(together) == 9

    def stacked(function):
        return np.concatenate([function(one, i) for i, one in enumerate(each)])

    np.testing.assert_allclose(together.weights, stacked(lambda one, i: one.weights))
    np.testing.assert_allclose(together.means, stacked(lambda one, i: one.means))
    for name in ("mean", "std", "var", "cov"):
        own = stacked(lambda one, i, name=name: getattr(one, name)())
        np.testing.assert_allclose(getattr(together, name)(), own, rtol=1e-12)
    for name in ("logpdf", "pdf"):
        own = stacked(lambda one, i, name=name: getattr(one, name)(Y[i : i + 1]))
        np.testing.assert_allclose(getattr(together, name)(Y), own, rtol=1e-12)
    first, levels = together.marginal(0), np.array([0.2, 0.7])
    quantiles = first.ppf(levels)
    own = stacked(lambda one, i: one.marginal(0).ppf(levels))
    np.testing.assert_allclose(quantiles, own, rtol=1e-12)
    np.testing.assert_allclose(first.cdf(quantiles), np.broadcast_to(levels, (9, 2)), rtol=1e-9)
    np.testing.assert_allclose(first.cdf(0.5), stacked(lambda one, i: one.marginal(0).cdf(0.5)))
    np.testing.assert_allclose(together[3].mean(), together.mean()[3], rtol=1e-12)
    assert [part.n_features for part in together] == [2] * 9
    assert together[-1].mean() == pytest.approx(together.mean()[8])
    for some in (slice(2, 7), slice(None, None, -2), slice(3, 3)):
        assert len(together[some]) == len(range(9)[some])
        np.testing.assert_array_equal(together[some].mean(), together.mean()[some])
    with pytest.raises(IndexError):
        together[9]
    np.testing.assert_array_equal(together.rvs(3), together.rvs(3))
    if tails is None:
        np.testing.assert_allclose(
            model.score_samples(rows, Y), together.logpdf(Y), rtol=1e-9, atol=1e-9
        )


def test_many_rows_are_answered_in_parts_as_one_by_one():
    joint = random_mixture(K=5)
    model = MixtureRegressor.from_mixture(joint, 3)
    n = NUMBERS_AT_ONCE // 5 * 2 + 17
    rows = joint.rvs(n, random_state=0)[:, :3]
    whole = model.predict(rows)
    for begin in (0, NUMBERS_AT_ONCE // 5 - 3, n - 5):
        part = model.predict(rows[begin : begin + 5])
        np.testing.assert_allclose(part, whole[begin : begin + 5], rtol=1e-12)


def test_units_of_inputs_and_targets_do_not_matter():
    X, y = two_branches()
    model = MixtureRegressor(GaussianMixture(2, random_state=0))
    mean, std = model.fit(X, y).predict(X, return_std=True)
    again = model.fit(1e-4 * X + 7.0, 1e3 * y - 5.0)
    mean_again, std_again = again.predict(1e-4 * X + 7.0, return_std=True)
    # EM ends within 0.01 of the likelihood from the optimum, on slightly other steps
    np.testing.assert_allclose((mean_again + 5.0) / 1e3, mean, atol=0.01 * std.min())
    np.testing.assert_allclose(std_again / 1e3, std, rtol=0.01)


def test_random_targets_have_the_distribution_of_y():
    joint = random_mixture(d=3)
    model = MixtureRegressor.from_mixture(joint, [1, 2])
    rows = np.array([[0.5], [NAN]])
    draws = model.sample_y(rows, 20_000, random_state=0)
    assert draws.shape == (2, 2, 20_000)
    mean, std = model.predict(rows, return_std=True)
    # five standard errors: one in two million of such tests would fail by chance
    np.testing.assert_array_less(np.abs(draws.mean(axis=2) - mean), 5 * std / np.sqrt(20_000))
    at = model.predict(rows, return_distribution=True)
    for j in range(2):
        shares = (draws[:, j] < at.marginal(j).ppf(0.3)[:, None]).mean(axis=1)
        np.testing.assert_allclose(shares, 0.3, atol=5 * np.sqrt(0.3 * 0.7 / 20_000))
    np.testing.assert_array_equal(draws, model.sample_y(rows, 20_000, random_state=0))
    assert MixtureRegressor.from_mixture(joint, 2).sample_y(np.zeros((4, 2)), 3).shape == (4, 3)


def test_the_true_distribution_has_the_highest_score():
    joint = random_mixture(d=2)
    rows = joint.rvs(4000, random_state=0)
    X, y = rows[:, :1], rows[:, 1]
    truth = MixtureRegressor.from_mixture(joint, 1)
    line = MixtureRegressor(GaussianMixture(1)).fit(X, y)
    assert truth.score_samples(X, y).mean() > line.score_samples(X, y).mean() + 0.05


# ---- what it is for ------------------------------------------------------------------------------


def test_two_branches_have_two_means_and_no_density_between_them():
    X, y = two_branches()
    model = MixtureRegressor(random_state=0).fit(X, y)
    at = model.predict([[2.0]], return_distribution=True)
    density = at[0].pdf(np.array([-6.0, 0.0, 6.0]))
    assert density[0] > 0.5
    assert density[2] > 0.5
    assert density[1] < 1e-6
    line = MixtureRegressor(GaussianMixture(1)).fit(X, y)
    gain = model.score_samples(X, y).mean() - line.score_samples(X, y).mean()
    assert gain > 2.0  # a deviation of 1/4 and a coin in place of one of 6


def test_the_spread_follows_the_inputs():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 4, 3000)
    y = np.sin(2 * x) + rng.normal(size=3000) * (0.05 + 0.15 * x)
    model = MixtureRegressor(GaussianMixture(6, n_init=1, random_state=0)).fit(x[:, None], y)
    new = np.array([0.5, 3.5])
    mean, std = model.predict(new[:, None], return_std=True)
    np.testing.assert_allclose(mean, np.sin(2 * new), atol=0.15)
    np.testing.assert_allclose(std, 0.05 + 0.15 * new, rtol=0.35)
    inside = model.predict(x[:, None], quantiles=[0.05, 0.95])[1]
    covered = ((y > inside[:, 0]) & (y < inside[:, 1])).mean()
    assert covered == pytest.approx(0.9, abs=0.02)


def test_outliers_are_noise_in_the_fit_and_not_in_predictions():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (500, 1))
    y = 2 * x[:, 0] + rng.normal(size=500) / 10
    y[:40] = rng.uniform(-20, 20, 40)
    plain = MixtureRegressor(GaussianMixture(1)).fit(x, y)
    noisy = MixtureRegressor(GaussianMixture(1, noise="box", random_state=0)).fit(x, y)
    tails = MixtureRegressor(StudentTMixture(1, random_state=0)).fit(x, y)
    at = np.array([[-0.5], [0.5]])
    for robust in (noisy, tails):
        np.testing.assert_allclose(robust.predict(at), [-1.0, 1.0], atol=0.03)
    assert noisy.predict(at, return_std=True)[1].max() < 0.15
    assert plain.predict(at, return_std=True)[1].min() > 2.0
    far = noisy.predict([[50.0]])
    assert far == pytest.approx(100.0, rel=0.05)


# ---- missing values in the fit -------------------------------------------------------------------


def test_rows_without_a_target_still_tell_of_the_inputs():
    joint = random_mixture(K=2, d=2, seed=3)
    rows = joint.rvs(600, random_state=0)
    y = rows[:, 1].copy()
    y[60:] = NAN
    model = MixtureRegressor(GaussianMixture(2, random_state=0)).fit(rows[:, :1], y)
    assert model.mixture_.mean()[0] == pytest.approx(rows[:, 0].mean(), rel=1e-3)
    both = np.column_stack([rows[:, :1], y])
    alone = GaussianMixture(2, random_state=0).fit(both)
    np.testing.assert_array_equal(model.mixture_.means, alone.mixture_.means)


def test_inputs_may_be_missing_in_the_fit():
    X, Y = linear_data(n=1000)
    holes = X.copy()
    holes[np.random.default_rng(0).random(X.shape) < 0.1] = NAN
    model = MixtureRegressor(GaussianMixture(1)).fit(holes, Y)
    assert model.score(X, Y) > LinearRegression().fit(X, Y).score(X, Y) - 0.01


def test_a_missing_target_counts_nothing_in_the_score():
    joint = random_mixture()
    model = MixtureRegressor.from_mixture(joint, [2, 3])
    rows = joint.rvs(5, random_state=0)
    Y = rows[:, 2:].copy()
    Y[0, 1], Y[1] = NAN, NAN
    found = model.score_samples(rows[:, :2], Y)
    one = MixtureRegressor.from_mixture(joint.marginal([0, 1, 2]), 2)
    assert found[0] == pytest.approx(one.score_samples(rows[:1, :2], rows[:1, 2])[0], rel=1e-10)
    assert found[1] == pytest.approx(0.0, abs=1e-12)
    assert model.score_samples(rows[:2, :2], np.full((2, 2), NAN)).tolist() == [0.0, 0.0]


def test_weights_are_repeated_rows():
    X, y = two_branches(200)
    w = np.random.default_rng(0).integers(0, 3, 200)
    model = MixtureRegressor(GaussianMixture(2, random_state=0))
    weighted = model.fit(X, y, sample_weight=w).predict(X)
    repeated = clone(model).fit(np.repeat(X, w, axis=0), np.repeat(y, w)).predict(X)
    np.testing.assert_allclose(weighted, repeated, atol=0.02)


# ---- habits of scikit-learn ----------------------------------------------------------------------


def test_one_target_has_one_dimension_and_several_have_two():
    X, Y = linear_data()
    model = MixtureRegressor(GaussianMixture(1))
    one, column, both = (clone(model).fit(X, y) for y in (Y[:, 0], Y[:, :1], Y))
    assert [part.shape for part in one.predict(X, True, [0.1, 0.9])] == [(200,), (200,), (200, 2)]
    assert [part.shape for part in column.predict(X, True, [0.1, 0.9])] == [
        (200, 1),
        (200, 1),
        (200, 1, 2),
    ]
    assert [part.shape for part in both.predict(X, True, 0.5)] == [(200, 2)] * 3
    assert (one.n_outputs_, both.n_outputs_) == (1, 2)
    assert one.sample_y(X, 4, random_state=0).shape == (200, 4)
    assert both.predict(X[:0]).shape == (0, 2)


def test_it_goes_into_pipelines_and_searches():
    X, y = two_branches(200)
    pipeline = make_pipeline(StandardScaler(), MixtureRegressor(GaussianMixture(2, random_state=0)))
    assert cross_val_score(pipeline, X, y, cv=3).shape == (3,)

    def log_density(model, X, y):
        return model.score_samples(X, y).mean()

    search = GridSearchCV(
        MixtureRegressor(GaussianMixture(random_state=0)),
        {"estimator__n_components": [1, 2]},
        scoring=log_density,
        cv=3,
    )
    assert search.fit(X, y).best_params_ == {"estimator__n_components": 2}


def test_it_is_cloned_and_pickled():
    X, y = two_branches(100)
    model = MixtureRegressor(GaussianMixture(2, random_state=0), random_state=3)
    again = pickle.loads(pickle.dumps(model.fit(X, y)))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).get_params()["random_state"] == 3
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_columns_travel_from_data_frames(library):
    frames = pytest.importorskip(library)
    X, Y = linear_data()
    names = ["a", "b", "c"]
    inputs = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    model = MixtureRegressor(GaussianMixture(1))
    price = frames.DataFrame({"price": Y[:, 0]})["price"]
    model.fit(inputs, price)
    assert model.feature_names_in_.tolist() == names
    assert model.mixture_.columns == ("a", "b", "c", "price")
    assert model.predict(inputs).shape == (200,)
    assert model.predict(inputs, return_distribution=True).columns == ("price",)
    model.fit(inputs, frames.DataFrame({"u": Y[:, 0], "b": Y[:, 1]}))
    assert model.mixture_.columns == ("a", "b", "c", "u", "b.2")
    assert model.fit(inputs, Y[:, 0]).mixture_.columns == ("a", "b", "c", "y")
    plain = MixtureRegressor(GaussianMixture(1)).fit(X, Y[:, 0])
    np.testing.assert_allclose(model.predict(inputs), plain.predict(X), rtol=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(
            inputs.rename(columns={"a": "z"}) if library == "pandas" else inputs.rename({"a": "z"})
        )


def test_a_saved_joint_mixture_predicts_again(tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y = two_branches(100)
    frame = pandas.DataFrame({"x": X[:, 0]})
    model = MixtureRegressor(GaussianMixture(2, random_state=0)).fit(frame, y)
    with pytest.raises(TypeError, match=r"estimator_.*from_mixture"):
        mixtura.save(model, tmp_path / "model.safetensors")
    mixtura.save(model.estimator_, tmp_path / "model.safetensors")
    loaded = mixtura.load(tmp_path / "model.safetensors")
    again = MixtureRegressor.from_mixture(loaded.mixture_, "y")
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))


def test_any_column_of_a_mixture_may_be_the_target():
    joint = random_mixture(d=3)
    rows = joint.rvs(5, random_state=0)
    first = MixtureRegressor.from_mixture(joint, 0)
    turned = MixtureRegressor.from_mixture(joint.marginal([1, 2, 0]), 2)
    np.testing.assert_allclose(first.predict(rows[:, 1:]), turned.predict(rows[:, 1:]), rtol=1e-12)
    both = MixtureRegressor.from_mixture(joint, [2, 0]).predict(rows[:, 1:2])
    other = MixtureRegressor.from_mixture(joint, [0, 2]).predict(rows[:, 1:2])
    np.testing.assert_allclose(both, other[:, ::-1], rtol=1e-12)


def test_the_default_is_chosen_by_bic():
    X, y = two_branches()
    model = MixtureRegressor(random_state=0).fit(X, y)
    assert isinstance(model.estimator_, GaussianMixtureSelector)
    assert model.estimator_.selection_.criterion == "bic"
    assert model.mixture_.n_components >= 2
    np.testing.assert_array_equal(
        model.predict(X), MixtureRegressor(random_state=0).fit(X, y).predict(X)
    )


def test_float32_data_are_fitted_in_their_precision():
    X, y = two_branches()
    single = MixtureRegressor(GaussianMixture(2, random_state=0))
    single.fit(X.astype(np.float32), y.astype(np.float32))
    double = MixtureRegressor(GaussianMixture(2, random_state=0)).fit(X, y)
    mean, std = double.predict(X, return_std=True)
    np.testing.assert_allclose(single.predict(X), mean, atol=0.02 * std.min())


# ---- bad input -----------------------------------------------------------------------------------

X3, Y3 = linear_data(n=20, d=2, m=2)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (None, "requires y to be passed"),
        (Y3[:-1, 0], r"inconsistent numbers of samples: \[20, 19\]"),
        (np.full(20, NAN), "y must have a value in at least one row"),
        (np.column_stack([Y3[:, 0], np.full(20, NAN)]), r"y\[:, 1\] must have a value"),
        (np.full(20, np.inf), "Input y contains infinity"),
        (np.full(20, "a"), "'a' is text.*MixtureClassifier"),
        (Y3[:, :1] * 1j, "Complex data not supported"),
        (np.zeros((20, 1, 1)), r"has shape \(20, 1, 1\)"),
        (np.zeros((20, 0)), r"has shape \(20, 0\)"),
        (np.float64(3.0), r"has shape \(\)"),
        ([object()] * 20, "entries of type object came"),
    ],
)
def test_targets_that_cannot_be_used_are_refused(y, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        MixtureRegressor(GaussianMixture(1)).fit(X3, y)


@pytest.mark.parametrize(
    "missing",
    [
        lambda y: [None if i < 3 else value for i, value in enumerate(y.tolist())],
        lambda y: np.ma.masked_array(y, np.arange(20) < 3),
        lambda y: np.where(np.arange(20) < 3, NAN, y),
        lambda y: pytest.importorskip("pandas").Series(
            [None if i < 3 else value for i, value in enumerate(y)], dtype="Float64"
        ),
        lambda y: pytest.importorskip("polars").Series(
            "y", [None if i < 3 else value for i, value in enumerate(y.tolist())]
        ),
    ],
    ids=["None", "masked", "NaN", "NA", "null"],
)
def test_missing_targets_in_all_their_forms(missing):
    plain = MixtureRegressor(GaussianMixture(1)).fit(X3, np.where(np.arange(20) < 3, NAN, Y3[:, 0]))
    found = MixtureRegressor(GaussianMixture(1)).fit(X3, missing(Y3[:, 0]))
    np.testing.assert_array_equal(found.predict(X3), plain.predict(X3))


def test_a_target_that_is_the_same_in_every_row_is_refused():
    with pytest.raises(ValueError, match=r"it is 3 in every row that has one"):
        MixtureRegressor(GaussianMixture(1)).fit(X3, np.full(20, 3.0))


@pytest.mark.parametrize(
    ("estimator", "tolerance"),
    [(GaussianMixture(1), 1e-9), (None, 1e-3)],  # several components have lines of their own
    ids=["one", "default"],
)
def test_a_linear_function_without_error_is_found(estimator, tolerance):
    x = np.arange(20.0)[:, None]
    with pytest.warns(DataWarning, match="y: linear functions of the inputs without any error"):
        model = MixtureRegressor(estimator, random_state=0).fit(x, 2 * x[:, 0] + 1)
    at = np.array([[3.3], [30.0]])
    mean, std = model.predict(at, return_std=True)
    np.testing.assert_allclose(mean, [7.6, 61.0], atol=tolerance)
    assert 0 < std.max() < 3e-3
    y = np.column_stack([x[:, 0] ** 2, 3 - x[:, 0]])
    with pytest.warns(DataWarning, match="Columns 1 of y"):
        both = MixtureRegressor(GaussianMixture(1)).fit(x, y)
    np.testing.assert_allclose(both.predict(at)[:, 1], [-0.3, -27.0], rtol=1e-6)


def test_few_rows_and_small_errors_are_left_as_they_are():
    x = np.array([[1.0], [2.0], [4.0], [5.0], [7.0], [9.0], [11.0], [12.0]])
    y = 2 * x[:, 0] + 1e-4 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    model = MixtureRegressor(GaussianMixture(1)).fit(x, y)
    line = LinearRegression().fit(x, y)
    np.testing.assert_allclose(model.predict(x), line.predict(x), rtol=1e-9)
    expected = np.sqrt(((y - line.predict(x)) ** 2).mean())
    np.testing.assert_allclose(model.predict(x, True)[1], expected, rtol=1e-4)  # 1e-16 / 1e-12


def test_the_density_of_the_inputs_marks_an_extrapolation():
    X, y = two_branches()
    model = MixtureRegressor(GaussianMixture(2, random_state=0)).fit(X, y)
    inside, outside = model.score_samples([[2.0], [9.0]])
    assert inside > outside + 10
    expected = model.mixture_.marginal([0]).logpdf(np.array([[2.0]]))[0]
    assert inside == pytest.approx(expected, rel=1e-12)


def test_inputs_without_any_density_have_the_limit_and_a_warning():
    joint = Mixture.from_parameters(
        [0.5, 0.5], [[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]], [np.eye(3), 2.0 * np.eye(3)]
    )
    model = MixtureRegressor.from_mixture(joint, [1, 2])
    rows, Y = np.array([[1.0], [1e200], [1e200]]), np.array([[1.0, 1.0], [4.0, 1.0], [4.0, NAN]])
    with pytest.warns(DataWarning, match="row 2 and 1 more"):
        mean = model.predict(rows)
    np.testing.assert_array_equal(mean[1:], [[3.0, 3.0]] * 2)  # the wider component
    with pytest.warns(DataWarning, match="row 2 and 1 more"):
        found = model.score_samples(rows, Y)
    wide = joint.select(np.array([1])).marginal([1, 2])
    assert found[1] == pytest.approx(wide.logpdf(Y[1]))
    assert found[2] == pytest.approx(wide.marginal([0]).logpdf(Y[2, :1]))
    near = model.predict(rows[:1], return_distribution=True).logpdf(Y[:1])
    assert found[0] == pytest.approx(near[0], rel=1e-12)


def test_questions_that_make_no_sense_are_refused():
    model = MixtureRegressor(GaussianMixture(1)).fit(X3, Y3[:, 0])
    with pytest.raises(ValueError, match="gives the distribution alone"):
        model.predict(X3, return_std=True, return_distribution=True)
    with pytest.raises(ValueError, match=r"from 0 to 1, but 5.0 came. Divide percentages by 100"):
        model.predict(X3, quantiles=[5.0])
    with pytest.raises(ValueError, match=r"\(Q,\) numbers"):
        model.predict(X3, quantiles=[[0.5]])
    with pytest.raises(ValueError, match="n_samples"):
        model.sample_y(X3, 0)
    with pytest.raises(ValueError, match="1 column as in the fit, but has 2"):
        model.score_samples(X3, Y3)
    with pytest.raises(ValueError, match="2 features"):
        model.predict(X3[:, :1])
    joint = model.mixture_
    with pytest.raises(ValueError, match="at least one column of the mixture as an input"):
        MixtureRegressor.from_mixture(joint, [0, 1, 2])
    with pytest.raises(TypeError, match="a GaussianMixture came"):
        MixtureRegressor.from_mixture(model.estimator_, 0)
    for other in (3, LinearRegression()):
        with pytest.raises(TypeError, match=r"or None, but .* came.*GaussianMixture\(3\)"):
            MixtureRegressor(other).fit(X3, Y3)
    with pytest.raises(ValueError, match="number from 0 to 2"):
        MixtureRegressor.from_mixture(joint, 3)
