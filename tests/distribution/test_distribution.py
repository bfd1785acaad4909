"""The mixture as a distribution: laws of margins, conditions and moments, SciPy's single
components, gmr's conditional means, and bad input.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from conftest import ALL_FAMILIES, read_truth
from mixtura import (
    ConditionalMixture,
    DataWarning,
    GaussianMixture,
    GaussianMixtureSelector,
    Mixture,
    Noise,
    StudentTMixture,
    load,
    save,
)
from mixtura.distribution.parametrisation import public_shape

NAMES = ("a", "b", "c", "d")

ROUNDING = 1e-12
"""Sums of a few hundred products of numbers near one lose at most so much."""


def mixture_of(family="VVV", K=3, d=4, tails=None, noise=0.0, seed=0, columns=NAMES) -> Mixture:
    """A mixture of a family, with random parameters."""
    rng = np.random.default_rng(seed)
    shape = public_shape(family, K, d)
    if family.endswith("I"):
        values = rng.uniform(0.5, 2.0, shape)
    else:
        roots = rng.normal(size=(*shape[:-2], d, d))
        values = roots @ np.swapaxes(roots, -1, -2) + 0.3 * np.eye(d)
    box = Noise(noise, np.log(rng.uniform(8, 12, d)), rng.normal(size=d)) if noise else None
    return Mixture.from_parameters(
        rng.dirichlet(np.full(K, 5.0)) * (1.0 - noise),
        rng.normal(0, 2, (K, d)),
        values,
        covariance_type=family,
        degrees_of_freedom=tails,
        noise=box,
        columns=columns,
    )


KINDS = {
    "gaussian": {},
    "t": {"tails": [2.5, 4.0, 30.0]},
    "noise": {"noise": 0.1},
    "t-noise": {"tails": [2.5, 4.0, 30.0], "noise": 0.1},
}


@pytest.fixture(params=KINDS)
def mixture(request) -> Mixture:
    return mixture_of(**KINDS[request.param])


# ---- densities -----------------------------------------------------------------------------------


def test_a_single_gaussian_has_the_density_of_scipy():
    one = mixture_of(K=1)
    X = np.random.default_rng(1).normal(size=(20, 4))
    own = stats.multivariate_normal(one.means[0], one.covariance.dense()[0])
    np.testing.assert_allclose(one.logpdf(X), own.logpdf(X), rtol=1e-11)
    np.testing.assert_allclose(one.pdf(X), own.pdf(X), rtol=1e-11)


def test_a_single_t_component_has_the_density_of_scipy():
    one = mixture_of(K=1, tails=3.5)
    X = np.random.default_rng(1).normal(size=(20, 4))
    own = stats.multivariate_t(one.means[0], one.covariance.dense()[0], df=3.5)
    np.testing.assert_allclose(one.logpdf(X), own.logpdf(X), rtol=1e-11)


def test_shapes_of_points_are_those_of_scipy(mixture):
    X = np.random.default_rng(1).normal(size=(2, 3, 4))
    values = mixture.logpdf(X)
    assert values.shape == (2, 3)
    assert np.ndim(mixture.logpdf(X[0, 0])) == 0
    np.testing.assert_allclose(values[1], mixture.logpdf(X[1]), rtol=ROUNDING)
    line = mixture.marginal(0)
    np.testing.assert_allclose(line.logpdf(X[0, :, 0]), line.logpdf(X[0, :, :1]), rtol=ROUNDING)
    assert np.ndim(line.logpdf(0.0)) == 0
    assert mixture.logpdf([np.inf, 0.0, np.nan, 0.0]) == -np.inf
    assert mixture.logpdf(np.zeros((0, 4))).shape == (0,)


def test_a_missing_entry_leaves_the_marginal_density(mixture):
    X = np.random.default_rng(1).normal(size=(6, 4))
    X[::2, 1] = np.nan
    others = mixture.marginal([0, 2, 3])
    np.testing.assert_allclose(
        mixture.logpdf(X)[::2], others.logpdf(X[::2][:, [0, 2, 3]]), rtol=1e-11
    )


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_the_density_is_that_of_score_samples(family, faithful):
    model = GaussianMixture(2, covariance_type=family, n_init=1, random_state=0).fit(faithful)
    # variances are stored in one, reciprocal deviations in the other
    np.testing.assert_allclose(
        model.mixture_.logpdf(faithful), model.score_samples(faithful), rtol=ROUNDING
    )


# ---- margins -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_a_margin_of_a_margin_is_a_margin(family):
    whole = mixture_of(family)
    direct, twice = whole.marginal([3, 0]), whole.marginal(["d", "b", "a"]).marginal(["d", "a"])
    X = np.random.default_rng(2).normal(size=(9, 2))
    np.testing.assert_allclose(direct.logpdf(X), twice.logpdf(X), rtol=ROUNDING)
    assert direct.columns == twice.columns == ("d", "a")


def test_the_margin_of_moments_is_the_moments_of_the_margin(mixture):
    part = mixture.marginal(["c", "a"])
    np.testing.assert_allclose(part.mean(), mixture.mean()[[2, 0]], rtol=ROUNDING)
    np.testing.assert_allclose(part.cov(), mixture.cov()[np.ix_([2, 0], [2, 0])], rtol=1e-11)


# ---- conditions ----------------------------------------------------------------------------------


def test_condition_times_margin_is_the_joint_density(mixture):
    X = mixture.rvs(200, random_state=3)
    given = mixture.condition(["d", "b"], X[:, [3, 1]])
    whole = given.logpdf(X[:, [0, 2]]) + mixture.marginal([3, 1]).logpdf(X[:, [3, 1]])
    # distances reach a few hundred, and their rounding is relative to them
    np.testing.assert_allclose(whole, mixture.logpdf(X), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("family", ALL_FAMILIES)
@pytest.mark.parametrize("tails", [None, 3.0])
def test_condition_times_margin_is_the_joint_density_in_every_family(family, tails):
    whole = mixture_of(family, tails=tails)
    X = whole.rvs(50, random_state=3)
    given = whole.condition({"b": X[:, 1]})
    joint = given.logpdf(X[:, [0, 2, 3]]) + whole.marginal("b").logpdf(X[:, 1])
    np.testing.assert_allclose(joint, whole.logpdf(X), rtol=1e-11, atol=1e-11)


def test_conditioning_twice_is_conditioning_on_both(mixture):
    once = mixture.condition(a=0.3, c=-1.0)
    twice = mixture.condition(a=0.3).condition(c=-1.0)
    np.testing.assert_allclose(once.weights, twice.weights, rtol=1e-11)
    np.testing.assert_allclose(once.means, twice.means, rtol=1e-11, atol=ROUNDING)
    np.testing.assert_allclose(once.cov(), twice.cov(), rtol=1e-10)
    assert once.columns == twice.columns == ("b", "d")


def test_many_rows_are_the_single_ones(mixture):
    X = mixture.rvs(7, random_state=3)
    many = mixture.condition([1, 3], X[:, [1, 3]])
    assert isinstance(many, ConditionalMixture)
    assert len(many) == 7
    Y = X[:, [0, 2]]
    for i, one in enumerate(many):
        alone = mixture.condition([1, 3], X[i, [1, 3]])
        assert isinstance(alone, Mixture)
        for other in (one, many[i]):
            np.testing.assert_allclose(other.weights, alone.weights, rtol=ROUNDING)
            np.testing.assert_allclose(other.cov(), alone.cov(), rtol=ROUNDING)
        np.testing.assert_allclose(many.mean()[i], alone.mean(), rtol=ROUNDING)
        np.testing.assert_allclose(many.cov()[i], alone.cov(), rtol=1e-11)
        np.testing.assert_allclose(many.std()[i], alone.std(), rtol=1e-11)
        np.testing.assert_allclose(many.logpdf(Y)[i], alone.logpdf(Y[i]), rtol=1e-11)
        np.testing.assert_allclose(many.pdf(Y)[i], alone.pdf(Y[i]), rtol=1e-10)
        line, own = many.marginal("c"), alone.marginal("c")
        np.testing.assert_allclose(line.cdf(Y[:, 1])[i], own.cdf(Y[i, 1]), rtol=1e-11)
        np.testing.assert_allclose(line.ppf(0.2)[i], own.ppf(0.2), rtol=1e-11)
        np.testing.assert_allclose(line.ppf([0.2, 0.9])[i], own.ppf([0.2, 0.9]), rtol=1e-11)
        np.testing.assert_allclose(
            line.cdf(line.ppf([0.2, 0.9])), np.tile([0.2, 0.9], (7, 1)), rtol=1e-11
        )


def test_a_slice_of_conditions_is_some_of_them(mixture):
    many = mixture.condition(a=np.linspace(-1, 1, 5))
    some = many[1:4]
    assert len(some) == 3
    np.testing.assert_array_equal(some.mean(), many.mean()[1:4])
    np.testing.assert_array_equal(some.var(), many.var()[1:4])
    assert len(mixture.condition(a=np.zeros(0)).mean()) == 0


def test_the_ways_to_say_what_is_given(mixture):
    wanted = mixture.condition([0, 2], [3.0, 1.0])
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"c": [1.0], "a": [3.0]})
    for found in (
        mixture.condition({0: 3.0, 2: 1.0}),
        mixture.condition({"c": 1.0, "a": 3.0}),
        mixture.condition(c=1.0, a=3.0),
        mixture.condition(("a", "c"), [[3.0, 1.0]])[0],
        mixture.condition({"a": [3.0], "c": 1.0})[0],
        mixture.condition(frame)[0],
    ):
        np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-11)
        np.testing.assert_allclose(found.mean(), wanted.mean(), rtol=1e-11)
    one = mixture.condition("a", 3.0)
    np.testing.assert_allclose(one.mean(), mixture.condition(a=[3.0]).mean()[0], rtol=ROUNDING)


def test_conditional_means_are_those_of_gmr(faithful):
    truth = read_truth("regression_faithful.json")
    start = np.digitize(faithful[:, 0], [3.0])
    model = GaussianMixture(2, tol=1e-12, n_init=1, init_params=start_of(start)).fit(faithful)
    given = model.mixture_.condition([0], np.array(truth["at"], dtype=float)[:, None])
    # gmr's numbers are printed with six decimals, for a maximum found to about 1e-6
    np.testing.assert_allclose(given.mean()[:, 0], truth["mean"], atol=2e-5)
    np.testing.assert_allclose(np.sort(given.weights[1]), np.sort(truth["weights_at_3"]), atol=2e-6)


def start_of(labels):
    """A start at given labels."""
    return lambda X, K, rng: np.eye(K)[labels]


def test_far_from_the_origin_nothing_is_lost():
    near = mixture_of(columns=None)
    far = replace(near, means=near.means + 1e6)
    x = np.array([0.3, -0.2])
    means = far.condition([0, 1], x + 1e6).means - 1e6
    np.testing.assert_allclose(means, near.condition([0, 1], x).means, atol=1e-8)


def test_a_point_of_no_density_has_the_limit_and_a_warning():
    two = Mixture.from_parameters(
        [0.5, 0.5], [[0.0, 0.0], [5.0, 5.0]], [[1.0, 1.0], [4.0, 1.0]], covariance_type="diag"
    )
    with pytest.warns(DataWarning, match="no component has any density"):
        limit = two.condition({0: 1e200})
    assert limit.weights.tolist() == [0.0, 1.0]  # the wider component falls least
    nearer = two.condition({0: 1e6})  # the density is 0 in double precision, its logarithm is not
    assert nearer.weights.tolist() == [0.0, 1.0]
    with pytest.warns(DataWarning, match="row 2"):
        rows = two.condition({0: [0.0, 1e200, 1.0]})
    assert np.isfinite(rows.mean()).all()


def test_random_rows_of_conditions_have_their_distribution(mixture):
    line = mixture.condition({"a": np.full(4000, 0.5), "b": 0.0, "d": 1.0})
    u = line.cdf(line.rvs(random_state=5)[:, 0])
    assert stats.kstest(u, "uniform").pvalue > 1e-4  # false alarm: one in 10,000, fixed seed


def test_names_travel(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=["x", "y", "z"])
    for model in (
        GaussianMixture(2, random_state=0),
        StudentTMixture(1, random_state=0),
        GaussianMixtureSelector([1], families=["EII"], random_state=0),
    ):
        assert model.fit(frame).mixture_.columns == ("x", "y", "z")
    mixture = GaussianMixture(2, random_state=0, noise=2e6).fit(frame).mixture_
    assert mixture.select(np.array([1])).columns == ("x", "y", "z")
    assert mixture.without_noise.columns == ("x", "y", "z")
    assert mixture.condition(y=0.0).columns == ("x", "z")
    assert mixture.condition(y=[0.0]).marginal("z").columns == ("z",)
    save(GaussianMixture(2, random_state=0).fit(frame), tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").mixture_.columns == ("x", "y", "z")
    assert GaussianMixture().fit(frame.to_numpy()).mixture_.columns is None
    np.testing.assert_array_equal(
        mixture.logpdf(frame[["z", "x", "y"]]), mixture.logpdf(frame.to_numpy())
    )


# ---- moments and random rows ---------------------------------------------------------------------


def test_moments_are_those_of_random_rows(mixture):
    if mixture.tails is not None:  # a sample variance needs a fourth moment
        mixture = replace(mixture, tails=np.array([9.0, 12.0, 30.0]))
    n = 200_000
    X = mixture.rvs(n, random_state=0)
    error = mixture.std() / np.sqrt(n)
    assert (np.abs(X.mean(axis=0) - mixture.mean()) < 4.5 * error).all()
    products = (X - mixture.mean())[:, :, None] * (X - mixture.mean())[:, None]
    error = products.std(axis=0) / np.sqrt(n)
    assert (np.abs(products.mean(axis=0) - mixture.cov()) < 4.5 * error).all()
    np.testing.assert_allclose(mixture.std(), np.sqrt(np.diag(mixture.cov())))


def test_moments_that_do_not_exist():
    heavy = mixture_of(tails=[0.9, 5.0, 5.0])
    assert np.isnan(heavy.mean()).all()
    wide = mixture_of(tails=[1.5, 5.0, 5.0])
    assert np.isfinite(wide.mean()).all()
    assert np.isinf(wide.var()).all()


def test_random_rows_come_in_random_order_and_shape(mixture):
    X = mixture.rvs(3000, random_state=1)
    half = mixture.posterior(X[:1500]).sum(axis=0), mixture.posterior(X[1500:]).sum(axis=0)
    assert (np.abs(half[0] - half[1]) < 5 * np.sqrt(half[0] + half[1])).all()
    assert mixture.rvs((2, 3), random_state=1).shape == (2, 3, 4)
    assert mixture.rvs(random_state=np.random.default_rng(0)).shape == (1, 4)
    for seed in (3, np.int64(3)):
        np.testing.assert_array_equal(mixture.rvs(5, seed), mixture.rvs(5, 3))
    state = np.random.RandomState(0)
    assert not np.array_equal(mixture.rvs(5, state), mixture.rvs(5, state))


def test_random_rows_of_one_component():
    whole = mixture_of(noise=0.2)
    X = whole.rvs(20_000, random_state=2, component=1)
    error = np.sqrt(np.diag(whole.covariance.dense()[1]) / 20_000)
    assert (np.abs(X.mean(axis=0) - whole.means[1]) < 4.5 * error).all()
    noise = whole.rvs(1000, random_state=2, component=-1)
    assert (np.abs(noise - whole.noise.centre) <= np.exp(whole.noise.log_sides) / 2).all()
    with pytest.raises(ValueError, match="from 0 to 2, or -1 for the noise, but 3 came"):
        whole.rvs(1, component=3)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (([0.5, 0.6], [[0.0], [1.0]], [[[1.0]], [[1.0]]]), "normalized"),
        (([1.5, -0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]]), "range"),
        (([np.nan, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]]), "weights.*finite"),
        (([1.0], [[0.0, np.inf]], [np.eye(2)]), "means.*finite"),
        (([1.0], [[0.0, 0.0]], [[[1.0, 1.0], [1.0, 1.0]]]), "positive-definite.*of component 0"),
        (([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.2, 1.0]]]), "symmetric"),
        (([1.0], [[0.0, 0.0]], np.eye(2)), r"shape of \(1, 2, 2\)"),
        (([0.5, 0.5], [[0.0, 0.0]], [np.eye(2)]), r"weights.*shape of \(1,\)"),
        (([1.0], [0.0, 0.0], [np.eye(2)]), "one row per component"),
    ],
)
def test_bad_parameters_are_named(given, match):
    with pytest.raises(ValueError, match=match):
        Mixture.from_parameters(*given)


def test_bad_settings_of_parameters_are_named():
    arguments = ([1.0], [[0.0, 0.0]], [np.eye(2)])
    with pytest.raises(ValueError, match="Did you mean 'full'"):
        Mixture.from_parameters(*arguments, covariance_type="ful")
    for names in (["a"], ["a", "a"], "ab"):
        with pytest.raises(ValueError, match="2 different names"):
            Mixture.from_parameters(*arguments, columns=names)
    with pytest.raises(ValueError, match="above 0"):
        Mixture.from_parameters(*arguments, degrees_of_freedom=-1.0)
    with pytest.raises(ValueError, match=r"degrees_of_freedom.*shape"):
        Mixture.from_parameters(*arguments, degrees_of_freedom=[3.0, 4.0])
    with pytest.raises(ValueError, match=r"sum.*0\.90000"):
        Mixture.from_parameters(*arguments, noise=Noise(0.1, np.zeros(2), np.zeros(2)))
    with pytest.raises(ValueError, match="2 sides, but has 3"):
        Mixture.from_parameters(*arguments, noise=Noise(0.0, np.zeros(3), np.zeros(3)))


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ("e", "no column 'e'.*Known columns: a, b, c, d"),
        (["a", "a"], "'a' came more than once"),
        ([0, "a"], "'a' came more than once"),
        ([4], "from 0 to 3 or a name, but 4"),
        ([-1], "but -1 came"),
        (np.array([7]), "but 7 came"),
        ([True], "but True"),
        ([1.5], "but 1.5"),
        ([], "at least one column"),
    ],
)
def test_bad_columns_are_named(columns, match):
    with pytest.raises(ValueError, match=match):
        mixture_of().marginal(columns)


def test_a_name_needs_names():
    with pytest.raises(ValueError, match="4 columns without names"):
        mixture_of(columns=None).marginal("a")
    with pytest.raises(ValueError, match="Did you mean 'eruptions'"):
        mixture_of(d=2, columns=["eruptions", "waiting"]).marginal("eruption")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: m.condition(), "at least one column"),
        (lambda m: m.condition({}), "at least one column"),
        (lambda m: m.condition([0, 1]), "columns and their values"),
        (lambda m: m.condition(a=1, b=1, c=1, d=1), "at least one column, but values of all 4"),
        (lambda m: m.condition(e=1.0), "no column 'e'"),
        (lambda m: m.condition({"a": 1.0, 0: 2.0}), "more than once"),
        (lambda m: m.condition({"a": 1.0}, b=2.0), "not both"),
        (lambda m: m.condition(a=np.nan), "must be finite"),
        (lambda m: m.condition(a=[0.0, np.nan]), "NaN or infinity in row 2"),
        (lambda m: m.condition(a=[0.0, 1.0], b=[1.0, 2.0, 3.0]), "of the same length"),
        (lambda m: m.condition([0, 1], [1.0]), r"\(2,\) or \(m, 2\).*\(1,\)"),
        (lambda m: m.condition([0], np.zeros((2, 2, 1))), r"\(2, 2, 1\)"),
        (lambda m: m.logpdf("text"), "X must be numbers, but 'text'"),
        (lambda m: m.condition(a="text"), "value of 'a' must be numbers"),
        (lambda m: m.condition([0], ["text"]), "values must be numbers"),
        (lambda m: m.marginal(0).ppf("text"), "q must be numbers"),
        (lambda m: m.affine("text"), "A must be numbers"),
        (lambda m: m.logpdf([0.0]), r"4 columns.*\(1,\)"),
        (lambda m: m.logpdf(np.ma.masked_equal(np.zeros((1, 4)), 0)), "masked"),
        (lambda m: m.ppf(0.5), "marginal"),
        (lambda m: m.rvs(-1), "at least 0, but -1"),
        (lambda m: m.rvs(2.5), "but 2.5"),
        (lambda m: m.rvs(1, component=True), "but True"),
        (lambda m: m.marginal(0).ppf(1.1), "from 0 to 1, but 1.1"),
        (lambda m: m.marginal(0).ppf(np.nan), "but nan"),
        (lambda m: m.condition(a=[1.0]).ppf(0.5), "marginal"),
        (lambda m: m.condition(a=[1.0]).marginal("b").ppf(-0.1), "from 0 to 1"),
        (lambda m: m.condition(a=[1.0]).logpdf(np.zeros((2, 3))), r"\(1, 3\).*\(2, 3\)"),
    ],
)
def test_bad_questions_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call(mixture_of())


def test_a_mixture_is_printed_in_one_line() -> None:
    """Not with its arrays, of which a conditional mixture has thousands."""
    two = Mixture.from_parameters(
        [0.5, 0.5], [[0.0, 1.0], [2.0, 3.0]], [np.eye(2)] * 2, columns=["a", "b"]
    )
    assert repr(two) == "Mixture(2 components, 2 columns: a, b)"
    many = two.condition({"a": np.zeros(50)})
    assert repr(many) == "ConditionalMixture(50 times 2 components, 1 column: b)"
    np.testing.assert_array_equal(two.covariances, [np.eye(2)] * 2)


def test_text_is_no_value() -> None:
    two = Mixture.from_parameters([1.0], [[0.0, 1.0]], [np.eye(2)], columns=["a", "b"])
    with pytest.raises(ValueError, match="numbers"):
        two.condition({"a": "4.5"})
