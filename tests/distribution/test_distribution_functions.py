"""Distribution functions, quantiles, regions, modes, entropy, distances and affine maps of
mixtures: mclust's numbers, SciPy's single components, numerical integrals, and laws.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import integrate, special, stats
from test_distribution import KINDS, NAMES, ROUNDING, mixture_of

from conftest import ALL_FAMILIES, read_data, read_truth
from mixtura import Estimate, Mixture, Noise
from mixtura.distribution.covariance import Dense, Diagonal, Spherical

SIGMAS = 4.5
"""Standard errors that an estimate may be off: one in 150,000, and the seeds are fixed."""


@pytest.fixture(params=KINDS)
def mixture(request) -> Mixture:
    return mixture_of(**KINDS[request.param])


@pytest.fixture(params=KINDS)
def line(request) -> Mixture:
    """A mixture of one column."""
    return mixture_of(d=1, columns=["x"], **KINDS[request.param])


def truth_of(name: str) -> tuple[dict, Mixture]:
    """mclust's density of a data set, and its mixture."""
    truth = read_truth(f"density_{name}.json")
    fit = truth["fit"]
    return truth, Mixture.from_parameters(fit["pro"], fit["mean"], fit["cov"])


def line_of(weights, means, variances, **settings) -> Mixture:
    return Mixture.from_parameters(
        weights, np.reshape(means, (-1, 1)), variances, covariance_type="spherical", **settings
    )


# ---- mclust --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acidity", "precip"])
def test_one_column_is_that_of_mclust(name):
    truth, own = truth_of(name)
    np.testing.assert_allclose(own.pdf(truth["at"]), truth["density"], rtol=1e-12)
    np.testing.assert_allclose(own.logpdf(truth["at"]), truth["log_density"], rtol=1e-13)
    np.testing.assert_allclose(
        own.logpdf(truth["far_points"]), truth["far_log_density"], rtol=1e-13
    )
    np.testing.assert_allclose(own.cdf(truth["at"]), truth["cdf"], rtol=1e-12)
    # mclust's bisection of quantiles ends at a relative width of about 1e-6
    np.testing.assert_allclose(own.ppf(truth["prob"]), truth["quantile"], rtol=1e-6)


@pytest.mark.parametrize("name", ["acidity", "precip"])
def test_regions_by_the_data_are_those_of_mclust(name):
    truth, own = truth_of(name)
    found = own.hdr(truth["hdr_levels"]["prob"], read_data(f"{name}.csv", 1))
    np.testing.assert_allclose(found.thresholds, truth["hdr_levels"]["level"], rtol=1e-12)


@pytest.mark.parametrize("name", ["faithful", "diabetes"])
def test_several_columns_are_those_of_mclust(name):
    truth, own = truth_of(name)
    np.testing.assert_allclose(own.logpdf(truth["at"]), truth["log_density"], rtol=1e-12)
    np.testing.assert_allclose(own.posterior(np.array(truth["at"])), truth["posterior"], atol=1e-12)
    np.testing.assert_allclose(
        own.logpdf(truth["far_points"]), truth["far_log_density"], rtol=1e-12
    )


# ---- distribution functions ----------------------------------------------------------------------


def test_a_single_component_has_the_distribution_function_of_scipy():
    x = np.linspace(-40, 8, 25)
    np.testing.assert_allclose(
        line_of([1.0], [0.5], [4.0]).cdf(x), stats.norm(0.5, 2.0).cdf(x), rtol=1e-12
    )
    heavy = line_of([1.0], [0.5], [4.0], degrees_of_freedom=2.5)
    np.testing.assert_allclose(heavy.cdf(x), stats.t(2.5, 0.5, 2.0).cdf(x), rtol=1e-12)
    np.testing.assert_allclose(heavy.sf(-x), stats.t(2.5, 0.5, 2.0).sf(-x), rtol=1e-12)


def test_the_distribution_function_is_the_integral_of_the_density(line):
    low, high = (0.0, 0.0) if line.noise is None else line.noise.interval
    x = 0.5 * (low + high) + np.array([-1.0, 0.3, 2.0])  # in the box of the noise
    parts = [integrate.quad(line.pdf, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(x)]
    np.testing.assert_allclose(np.diff(line.cdf(x)), parts, atol=1e-12)
    np.testing.assert_allclose(line.cdf(x) + line.sf(x), 1.0, atol=ROUNDING)
    assert line.cdf([-np.inf, np.inf]).tolist() == [0.0, pytest.approx(1.0, abs=1e-15)]


@pytest.mark.parametrize("r", [0.0, 0.4, -0.7, 0.95, -0.999, 0.999999, 1.0 - 1e-12])
def test_two_columns_are_exact(r):
    """Against the integral over the first column of the conditional distribution function."""
    pair = Mixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, r], [r, 1.0]]])
    s = np.sqrt((1.0 - r) * (1.0 + r))
    points = np.array([[0.5, 0.5], [0.5, 0.5001], [-1.0, 2.0], [-0.3, 0.3], [-3.0, -2.0], [9, 0.1]])

    def by_quadrature(h, k):
        def slope(x):
            return stats.norm.pdf(x) * special.ndtr((k - r * x) / s)

        bend = np.clip(k / r if r else 0.0, -12, h)
        edges = sorted({-12.0, *np.clip([bend - 40 * s, bend, bend + 40 * s], -12, h), h})
        pieces = itertools.pairwise(edges)
        return sum(integrate.quad(slope, a, b, epsabs=1e-15, limit=300)[0] for a, b in pieces)

    found, error = pair.cdf(points, return_error=True)
    np.testing.assert_allclose(found, [by_quadrature(*point) for point in points], atol=1e-13)
    assert (error == 0).all()
    assert pair.cdf([np.inf, 0.3]) == pytest.approx(special.ndtr(0.3), abs=1e-15)
    assert pair.cdf([np.nan, 0.3]) == pytest.approx(special.ndtr(0.3), abs=1e-15)
    assert pair.cdf([-np.inf, 0.3]) == pytest.approx(0.0, abs=1e-15)


def test_independent_columns_are_a_product():
    own = mixture_of("VVI", noise=0.1)
    X = own.rvs(20, random_state=0)
    each = [own.marginal(j) for j in range(4)]
    single = [
        special.ndtr((X - mean) / np.sqrt(v)).prod(axis=1)
        for mean, v in zip(own.means, own.covariance.values, strict=True)
    ]
    box = np.prod(
        [
            np.clip((X[:, j] - each[j].noise.interval[0]) / np.exp(own.noise.log_sides[j]), 0, 1)
            for j in range(4)
        ],
        axis=0,
    )
    found, error = own.cdf(X, return_error=True)
    np.testing.assert_allclose(found, own.weights @ single + 0.1 * box, rtol=1e-11)
    assert (error == 0).all()


@pytest.mark.parametrize("tails", [None, 3.0])
def test_several_columns_agree_with_scipy_within_their_errors(tails):
    one = mixture_of(K=1, d=3, tails=tails, columns=None)
    X = one.rvs(3, random_state=1)
    found, error = one.cdf(X, return_error=True)
    assert (error < 1e-4).all()
    mean, matrix = one.means[0], one.covariance.dense()[0]
    if tails is None:
        wanted = stats.multivariate_normal.cdf(X, mean, matrix, maxpts=1_000_000, abseps=1e-7)
    else:
        wanted = stats.multivariate_t.cdf(X, mean, matrix, df=3.0, maxpts=100_000, random_state=0)
    # SciPy's own errors at these numbers of points are about 1e-6 and 2e-5
    assert (np.abs(found - wanted) < SIGMAS * error + (1e-6 if tails is None else 1e-4)).all()


def test_the_stated_error_is_that_of_random_rows(mixture):
    """The share of random rows below a point is a binomial proportion."""
    n = 200_000
    X, at = mixture.rvs(n, random_state=7), mixture.means
    found, error = mixture.cdf(at, return_error=True)
    shares = np.array([(x >= X).all(axis=1).mean() for x in at])
    binomial = np.sqrt(found * (1.0 - found) / n)
    assert (np.abs(shares - found) < SIGMAS * np.hypot(binomial, error)).all()


def test_random_rows_agree_with_the_distribution_function(mixture):
    """Kolmogorov and Smirnov, with a false alarm in one of 10,000 seeds; this seed is fixed."""
    X = mixture.rvs(20_000, random_state=11)
    for j in range(mixture.n_features):
        assert stats.kstest(X[:, j], mixture.marginal(j).cdf).pvalue > 1e-4


# ---- quantiles -----------------------------------------------------------------------------------

LEVELS = np.array([1e-300, 1e-100, 1e-16, 1e-3, 0.2, 0.5, 0.8, 1 - 1e-3, 1 - 1e-12, 1 - 2.0**-53])


def test_quantiles_are_the_inverse_in_both_tails(line):
    x = line.ppf(LEVELS)
    below = LEVELS <= 0.5
    # log F of a Gaussian falls by 37 a unit at 1e-300, where x = 37 has an ulp of 7e-15
    np.testing.assert_allclose(line.cdf(x[below]), LEVELS[below], rtol=2e-12)
    np.testing.assert_allclose(line.sf(x[~below]), 1.0 - LEVELS[~below], rtol=2e-12)
    assert (np.diff(x) > 0).all()
    assert line.ppf([0.0, 1.0]).tolist() == [-np.inf, np.inf]
    assert line.ppf(LEVELS.reshape(2, 5)).shape == (2, 5)
    assert line.ppf(0.2) == x[4]


@pytest.mark.parametrize("nu", [0.5, 1.0, 3.0, 30.0])
def test_far_quantiles_of_heavy_tails(nu):
    """``F(x) = C |x|^-nu`` in the tail, C from the density at 1 unit less its constant."""
    own = line_of([1.0], [0.0], [1.0], degrees_of_freedom=nu)
    for q in (1e-300, 1e-40):
        x = own.ppf(q)
        if -1e300 < x < -1e6 * nu:
            log_c = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2)
            log_c += (nu / 2 - 1) * np.log(nu) - 0.5 * np.log(np.pi)
            # log q is about 700, whose digits limit the quantile; the next term is nu^2 / x^2
            assert -nu * np.log(-x) + log_c == pytest.approx(np.log(q), rel=1e-12)


def test_a_distribution_that_is_all_noise():
    flat = line_of([0.0], [0.0], [1.0], noise=Noise(1.0, np.log([4.0]), np.array([2.0])))
    np.testing.assert_allclose(flat.ppf([0.25, 0.5, 0.75]), [1.0, 2.0, 3.0], rtol=1e-15)
    np.testing.assert_allclose(flat.cdf([-1.0, 1.0, 5.0]), [0.0, 0.25, 1.0])
    assert flat.entropy().value == pytest.approx(np.log(4.0))
    assert flat.var()[0] == pytest.approx(16 / 12)
    assert len(flat.modes()) == 0
    assert flat.hdr(0.5).intervals[0].tolist() == [[-np.inf, np.inf]]


def test_quantiles_between_components_that_are_far_apart():
    apart = line_of([0.5, 0.5], [-30.0, 30.0], [1.0, 1.0])
    assert apart.ppf(0.5) == pytest.approx(
        0.0, abs=1e-12
    )  # F is 1/2 to the last digit for |x| < 20
    thirds = line_of([0.25, 0.25, 0.5], [-1e3, 0.0, 1e5], [1.0, 1e-6, 100.0])
    levels = np.array([0.1, 0.249, 0.26, 0.4999, 0.51, 0.9])
    np.testing.assert_allclose(thirds.cdf(thirds.ppf(levels)), levels, rtol=1e-12)


def test_a_component_without_weight_does_not_matter():
    with_it = line_of([0.5, 0.5, 0.0], [0.0, 2.0, 1e9], [1.0, 1.0, 1.0])
    without = line_of([0.5, 0.5], [0.0, 2.0], [1.0, 1.0])
    np.testing.assert_allclose(with_it.ppf(LEVELS), without.ppf(LEVELS), rtol=ROUNDING)
    assert with_it.entropy(n_samples=1000).value == pytest.approx(
        without.entropy(n_samples=1000).value, abs=1e-12
    )
    assert len(with_it.modes()) == len(without.modes())


# ---- entropy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tails", [None, 3.0])
def test_the_entropy_of_one_component_is_that_of_scipy(tails):
    one = mixture_of(K=1, tails=tails)
    mean, matrix = one.means[0], one.covariance.dense()[0]
    own = (
        stats.multivariate_normal(mean, matrix)
        if tails is None
        else stats.multivariate_t(mean, matrix, df=tails)
    )
    assert one.entropy() == Estimate(pytest.approx(own.entropy(), rel=1e-13), 0.0)


def test_the_entropy_agrees_with_the_integral(line):
    found = line.entropy()

    def integrand(x):
        p = line._univariate("pdf").pdf(np.asarray(x))  # the noise within its interval
        return -p * np.log(p) if p > 0 else 0.0

    edges = [
        -3e3,
        -100.0,
        -30.0,
        *(() if line.noise is None else line.noise.interval),
        30.0,
        100.0,
        3e3,
    ]
    edges = sorted([*edges, *line.means[:, 0]])
    pieces = itertools.pairwise(edges)
    whole = sum(integrate.quad(integrand, a, b, limit=200)[0] for a, b in pieces)
    # beyond 3,000 units a t component of 2.5 degrees of freedom keeps about 1e-7
    assert abs(found.value - whole) < SIGMAS * found.standard_error + 1e-6
    assert found.standard_error < 2e-3
    assert line.entropy() == found
    assert float(found) == found.value


# ---- highest-density regions ---------------------------------------------------------------------


def test_regions_of_one_column_have_their_probability(line):
    levels = np.array([0.05, 0.3, 0.5, 0.8, 0.95])
    found = line.hdr(levels)
    for level, ends, threshold in zip(levels, found.intervals, found.thresholds, strict=True):
        finite = np.isfinite(ends).all()
        if finite:
            assert np.diff(line.cdf(ends.ravel()))[::2].sum() == pytest.approx(level, abs=1e-11)
            np.testing.assert_allclose(line.pdf(ends.ravel()), threshold, rtol=1e-7)
        else:  # all of the line, where the region needs the flat part of the noise
            assert threshold == pytest.approx(np.exp(line.noise.log_joint))
    assert (np.diff(found.thresholds) <= 0).all()
    inside = found.contains(line.rvs(20_000, random_state=0)).mean(axis=0)
    finite = np.array([np.isfinite(ends).all() for ends in found.intervals])
    error = np.sqrt(levels * (1 - levels) / 20_000)
    assert (np.abs(inside - levels) < SIGMAS * error)[finite].all()
    assert finite[:4].all()


def test_regions_of_one_gaussian_are_its_intervals():
    found = line_of([1.0], [2.0], [9.0]).hdr([0.5, 0.95])
    for level, ends in zip([0.5, 0.95], found.intervals, strict=True):
        half = 3.0 * special.ndtri(0.5 + level / 2)
        np.testing.assert_allclose(ends, [[2.0 - half, 2.0 + half]], rtol=1e-12)


def test_a_region_may_have_several_intervals_and_its_ends_all_levels():
    two = line_of([0.5, 0.5], [0.0, 9.0], [1.0, 1.0])
    found = two.hdr([0.0, 0.5, 1.0])
    assert [len(ends) for ends in found.intervals] == [2, 2, 1]
    assert found.intervals[2].tolist() == [[-np.inf, np.inf]]
    assert found.thresholds[2] == 0.0
    assert found.contains([4.5]).tolist() == [[False, False, True]]
    assert found.contains(4.5).tolist() == [False, False, True]
    single = two.hdr(0.5)
    assert single.thresholds == found.thresholds[1]
    assert single.contains([0.0, 4.5]).tolist() == [True, False]
    assert single.contains(0.0)


def test_regions_of_several_columns_have_their_probability_in_new_rows(mixture):
    levels, n = np.array([0.2, 0.5, 0.9, 0.99]), 100_000
    found = mixture.hdr(levels)
    inside = found.contains(mixture.rvs(n, random_state=3)).mean(axis=0)
    # the threshold is from as many rows, so that the variance is twice the binomial one
    assert (np.abs(inside - levels) < SIGMAS * np.sqrt(2 * levels * (1 - levels) / n)).all()
    assert found.intervals is None
    again = mixture.hdr(levels, random_state=1)
    error = np.hypot(found.standard_errors, again.standard_errors)
    assert (np.abs(found.log_thresholds - again.log_thresholds) < SIGMAS * error).all()


@pytest.mark.parametrize("tails", [None, 3.0])
def test_regions_of_one_component_are_exact(tails):
    one = mixture_of(K=1, tails=tails)
    found = one.hdr([0.0, 0.5, 0.99, 1.0])
    X = one.rvs(100_000, random_state=0)
    inside = found.contains(X).mean(axis=0)
    assert inside[[0, 3]].tolist() == [0.0, 1.0]
    assert abs(inside[1] - 0.5) < SIGMAS * np.sqrt(0.25 / 1e5)
    assert abs(inside[2] - 0.99) < SIGMAS * np.sqrt(0.0099 / 1e5)
    assert (found.standard_errors == 0).all()


@pytest.mark.parametrize("kind", ["gaussian", "t"])
def test_regions_of_two_columns_agree_with_an_integral_over_the_plane(kind):
    """The midpoint rule on a grid, which is exact to its own errors for smooth functions."""
    pair = mixture_of(d=2, columns=None, **KINDS[kind])
    # a t component of 2.5 degrees of freedom has 3e-4 beyond 60 units
    ends, step = (60.0, 0.1) if kind == "t" else (25.0, 0.05)
    ticks = np.arange(-ends, ends, step) + 0.5 * step
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    density = pair.pdf(grid) * step**2
    assert density.sum() == pytest.approx(1.0, abs=1e-3 if kind == "t" else 1e-10)
    levels = np.array([0.3, 0.9])
    found = pair.hdr(levels)
    inside = (density[:, None] >= found.thresholds * step**2) * density[:, None]
    error = np.sqrt(levels * (1 - levels) / 1e5)  # of the level, from 100,000 rows
    assert (np.abs(inside.sum(axis=0) - levels) < SIGMAS * error).all()
    at = np.array([0.5, -0.5])
    below = density[(grid <= at).all(axis=1)].sum()
    assert pair.cdf(at) == pytest.approx(below, abs=1e-3)  # the limits are edges of cells
    centre = (grid * density[:, None]).sum(axis=0)
    if kind == "gaussian":
        np.testing.assert_allclose(centre, pair.mean(), atol=1e-9)
        apart = grid - centre
        np.testing.assert_allclose((apart * density[:, None]).T @ apart, pair.cov(), rtol=1e-8)


# ---- modes ---------------------------------------------------------------------------------------


def test_there_may_be_more_modes_than_components():
    corners = np.array([[0.0, 1.0], [-np.sqrt(0.75), -0.5], [np.sqrt(0.75), -0.5]])
    for size, number in ((1.3, 1), (1.41, 4), (1.5, 3)):
        three = Mixture.from_parameters(
            [1 / 3] * 3, size * corners, [1.0] * 3, covariance_type="spherical"
        )
        assert len(three.modes()) == number
    crossed = Mixture.from_parameters(
        [0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [[1.0, 0.05], [0.05, 1.0]], covariance_type="diag"
    )
    assert len(crossed.modes()) == 3


def test_two_equal_gaussians_have_two_modes_from_two_deviations_on():
    assert len(line_of([0.5, 0.5], [0.0, 1.99], [1.0, 1.0]).modes()) == 1
    assert len(line_of([0.5, 0.5], [0.0, 2.01], [1.0, 1.0]).modes()) == 2


def test_modes_are_local_maxima(mixture):
    found = mixture.modes()
    assert (np.diff(found.densities) <= 0).all()
    np.testing.assert_allclose(mixture.logpdf(found.points), found.log_densities, rtol=1e-12)
    step = 1e-4
    for point, height in zip(found.points, found.log_densities, strict=True):
        around = point + step * np.concatenate([np.eye(4), -np.eye(4)])
        values = mixture.logpdf(around)
        assert (values < height).all()
        slope = (values[:4] - values[4:]) / (2 * step)
        np.testing.assert_allclose(slope, 0.0, atol=1e-6)  # the third derivative times step^2


# ---- distances -----------------------------------------------------------------------------------


P = line_of([0.3, 0.7], [0.0, 3.0], [1.0, 0.5])
Q = line_of([0.6, 0.4], [1.0, 2.0], [2.0, 0.5])


def integral(function) -> float:
    return integrate.quad(lambda x: function(P.pdf(x), Q.pdf(x)), -12, 14, limit=300)[0]


def within(found: Estimate, wanted: float) -> bool:
    return abs(found.value - wanted) < SIGMAS * found.standard_error


def test_distances_agree_with_their_integrals():
    affinity = integral(lambda p, q: np.sqrt(p * q))
    assert within(P.kl(Q), integral(lambda p, q: p * np.log(p / q)))
    assert within(Q.kl(P), integral(lambda p, q: q * np.log(q / p)))
    assert within(P.total_variation(Q), 0.5 * integral(lambda p, q: abs(p - q)))
    assert within(P.hellinger(Q), np.sqrt(1.0 - affinity))
    assert within(P.bhattacharyya(Q), -np.log(affinity))
    middle = integral(
        lambda p, q: 0.5 * (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)))
    )
    assert within(P.jensen_shannon(Q), middle)
    lower, upper = P.kl_bounds(Q)
    assert lower < integral(lambda p, q: p * np.log(p / q)) < upper


def test_the_divergence_of_two_gaussians_is_known():
    p, q = mixture_of(K=1, seed=0), mixture_of(K=1, seed=1)
    a, b = p.covariance.dense()[0], q.covariance.dense()[0]
    apart, inverse = q.means[0] - p.means[0], np.linalg.inv(b)
    wanted = np.trace(inverse @ a) + apart @ inverse @ apart - 4
    wanted = 0.5 * (wanted + np.linalg.slogdet(b)[1] - np.linalg.slogdet(a)[1])
    assert p.kl(q) == Estimate(pytest.approx(wanted, rel=1e-10), 0.0)
    assert p.kl_variational(q) == pytest.approx(wanted, rel=1e-10)
    assert p.kl_bounds(q)[1] == pytest.approx(wanted, rel=1e-10)


def test_bounds_hold_in_several_columns():
    p, q = mixture_of(seed=0), mixture_of(seed=1)
    lower, upper = p.kl_bounds(q)
    found = p.kl(q)
    assert lower <= found.value + SIGMAS * found.standard_error
    assert found.value - SIGMAS * found.standard_error <= upper


def test_a_mixture_has_no_distance_from_itself(mixture):
    for name in ("kl", "jensen_shannon", "total_variation", "hellinger", "bhattacharyya"):
        assert getattr(mixture, name)(mixture, n_samples=1000) == Estimate(0.0, 0.0)
    reordered = mixture.select(np.array([2, 0, 1]))
    assert mixture.kl(reordered, n_samples=1000).value == pytest.approx(0.0, abs=1e-12)
    if mixture.is_plain:
        assert mixture.kl_variational(mixture) == pytest.approx(0.0, abs=1e-12)
        assert mixture.kl_bounds(mixture) == pytest.approx((0.0, 0.0), abs=1e-12)
        assert mixture.kl_bounds(reordered)[1] == pytest.approx(0.0, abs=1e-12)


def test_components_without_weight_change_no_bound():
    means, one = [[0.0, 0.0], [3.0, 1.0]], [np.eye(2)]
    both = Mixture.from_parameters([0.4, 0.6], means, one * 2)
    second = Mixture.from_parameters([1.0], means[1:], one)
    padded = Mixture.from_parameters([0.0, 1.0], means, one * 2)
    assert padded.kl_bounds(both) == second.kl_bounds(both)
    assert both.kl_bounds(padded) == both.kl_bounds(second)
    assert padded.kl_bounds(padded) == (0.0, 0.0)


def test_names_decide_the_order_of_columns():
    p, q = mixture_of(seed=0), mixture_of(seed=1)
    assert p.kl(q.marginal(["d", "b", "a", "c"]), n_samples=1000).value == pytest.approx(
        p.kl(q, n_samples=1000).value, rel=1e-9
    )


def test_divergences_that_are_infinite():
    heavy = line_of([1.0], [0.0], [1.0], degrees_of_freedom=1.5)
    assert heavy.kl(P) == Estimate(np.inf, 0.0)
    assert np.isfinite(P.kl(heavy).value)
    alone = line_of([0.0], [0.0], [1.0], noise=Noise(1.0, np.zeros(1), np.zeros(1)))
    assert P.kl(alone).value == np.inf
    far = line_of([1.0], [1e6], [1.0])
    assert P.total_variation(far).value == pytest.approx(1.0, abs=1e-15)
    assert P.jensen_shannon(far).value == pytest.approx(np.log(2.0), abs=1e-15)
    assert P.hellinger(far).value == pytest.approx(1.0, abs=1e-15)
    assert P.bhattacharyya(far).value == np.inf


def test_distances_of_mixtures_that_are_far_apart():
    """Rows of neither see the middle; the affinity is known, as only one pair is near."""
    one, other = line_of([1.0], [0.0], [1.0]), line_of([1.0], [20.0], [1.0])
    assert one.bhattacharyya(other) == Estimate(pytest.approx(400 / 8, rel=1e-12), 0.0)
    assert one.hellinger(other).value == pytest.approx(1.0, abs=1e-15)
    near = line_of([1.0], [1.0], [4.0])
    affinity = np.sqrt(2 * 2 / 5) * np.exp(-1 / 20)
    assert one.hellinger(near).value == pytest.approx(np.sqrt(1 - affinity), rel=1e-12)
    two = line_of([0.5, 0.5], [-500.0, 0.0], [1.0, 1.0])
    three = line_of([0.3, 0.7], [20.0, 21.0], [1.0, 1.0])

    def root(x):
        return np.sqrt(two.pdf(x) * three.pdf(x))

    wanted = -np.log(integrate.quad(root, 0.0, 21.0, epsabs=1e-30)[0])
    assert within(two.bhattacharyya(three), wanted)


# ---- affine maps ---------------------------------------------------------------------------------

MAPS = {
    "square": np.array([[1.0, 2, 0, 0], [0, 1, 0.5, 0], [0, 0, -1, 0], [1, 0, 0, 3]]),
    "narrow": np.array([[1.0, 1.0, 0.0, -2.0], [0.0, 0.5, 3.0, 0.0]]),
    "turned": np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0] * 2.0,
    "scaled": np.diag([2.0, -1.0, 0.5, 3.0])[[2, 0, 1, 3]],
}


@pytest.mark.parametrize("family", ALL_FAMILIES)
@pytest.mark.parametrize("name", MAPS)
def test_an_affine_map_moves_mean_covariance_and_density(family, name):
    own, A = mixture_of(family), MAPS[name]
    b = np.arange(len(A), dtype=float)
    mapped = own.affine(A, b)
    np.testing.assert_allclose(mapped.mean(), A @ own.mean() + b, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(mapped.cov(), A @ own.cov() @ A.T, rtol=1e-11, atol=1e-10)
    if len(A) == 4:
        X = own.rvs(10, random_state=0)
        log_det = np.linalg.slogdet(A)[1]
        np.testing.assert_allclose(mapped.logpdf(X @ A.T + b), own.logpdf(X) - log_det, rtol=1e-9)
    assert mapped.columns is None


def test_forms_that_a_map_keeps():
    spherical, diagonal = mixture_of("VII"), mixture_of("VVI")
    assert isinstance(spherical.affine(MAPS["turned"]).covariance, Spherical)
    assert isinstance((spherical * 3.0).covariance, Spherical)
    assert isinstance(spherical.affine(MAPS["scaled"]).covariance, Diagonal)
    assert isinstance(spherical.affine(MAPS["square"]).covariance, Dense)
    assert isinstance(diagonal.affine(MAPS["scaled"]).covariance, Diagonal)
    assert isinstance(diagonal.affine(MAPS["turned"]).covariance, Dense)
    assert mixture_of("EEI").affine(MAPS["scaled"]).covariance.shared


def test_arithmetic_is_the_map_of_each_column(mixture):
    scale, shift = np.array([2.0, -1.0, 0.5, 3.0]), np.array([1.0, 0.0, -2.0, 5.0])
    X = mixture.rvs(10, random_state=0)
    for mapped, Y in (
        (mixture * scale + shift, X * scale + shift),
        (scale * mixture + shift, X * scale + shift),
        (shift + mixture / 2.0, shift + X / 2.0),
        (shift - mixture, shift - X),
        (-mixture - 1.0, -X - 1.0),
    ):
        jacobian = np.log(np.abs((Y[1] - Y[0]) / (X[1] - X[0]))).sum()
        np.testing.assert_allclose(mapped.logpdf(Y), mixture.logpdf(X) - jacobian, rtol=1e-9)
        assert mapped.columns == NAMES
    assert mixture.affine(np.eye(4), columns=list("wxyz")).columns == ("w", "x", "y", "z")


def test_noise_stays_a_box_or_is_refused():
    noisy = mixture_of(noise=0.1)
    mapped = noisy.affine(MAPS["scaled"], 1.0)
    X = noisy.noise.sample(50, np.random.default_rng(0))
    assert mapped.noise.contains(X @ MAPS["scaled"].T + 1.0).all()
    assert mapped.noise.log_volume == pytest.approx(noisy.noise.log_volume + np.log(3.0))
    with pytest.raises(ValueError, match=r"not keep it one.*without_noise"):
        noisy.affine(MAPS["square"])


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda m: m.ppf(0.5), ValueError, r"marginal\('a'\).ppf"),
        (lambda m: m.sf(np.zeros(4)), ValueError, "one column, but the mixture has 4"),
        (lambda m: m.marginal(0).ppf(-1e-9), ValueError, "from 0 to 1"),
        (lambda m: m.hdr(95), ValueError, "Divide percentages by 100"),
        (lambda m: m.hdr(0.5, np.zeros((0, 4))), ValueError, "no rows"),
        (lambda m: m.hdr(0.5, [[0, 0, 0, np.nan]]), ValueError, "missing entries"),
        (lambda m: m.hdr(0.5, n_samples=10), ValueError, "at least 100"),
        (lambda m: m.entropy(n_samples=0.5), ValueError, "at least 100"),
        (lambda m: m.kl(m.marginal([0, 1])), ValueError, "4 and 2"),
        (lambda m: m.kl(mixture_of(columns=list("abce"))), ValueError, "same columns.*'e'"),
        (lambda m: m.kl("m"), TypeError, "Mixture, but str"),
        (lambda m: m.kl_bounds(mixture_of(tails=3.0)), ValueError, "Take kl"),
        (lambda m: m.affine(np.ones((2, 4))), ValueError, "2 rows came of rank 1"),
        (lambda m: m.affine(np.ones((5, 4))), ValueError, r"shape \(5, 4\)"),
        (lambda m: m.affine(np.ones((2, 3))), ValueError, r"shape \(2, 3\)"),
        (lambda m: m.affine(np.nan), ValueError, "finite"),
        (lambda m: m.affine(b=np.zeros(3)), ValueError, "a number or 4 finite"),
        (lambda m: m * 0.0, ValueError, "full row rank"),
        (lambda m: m + m, TypeError, "sums of mixtures are not defined"),
        (lambda m: m * np.eye(4), TypeError, "affine"),
        (lambda m: m / 0.0, ValueError, "finite"),
    ],
)
def test_bad_questions_are_named(call, error, match):
    with pytest.raises(error, match=match):
        call(mixture_of())
