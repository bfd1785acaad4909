"""Components on few rows: what is gained by one whose rows are left out of its fit, and what chance gives."""

from __future__ import annotations

from math import comb, log

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from mixtura import GaussianMixture
from mixtura.backends import backend_named
from mixtura.chance import TOUCHED, gain_by_chance, gain_left_out
from mixtura.families import family_named
from mixtura.regularisation import Regularisation
from mixtura.sources import ArraySource
from mixtura.survey import Survey
from mixtura.walk import Steps


def gained(X, fit, k, weights=None):
    survey = Survey(ArraySource(X, weights), backend_named("native", 1))
    steps = Steps(survey, family_named(fit.result_.family), Regularisation(survey.scale))
    return gain_left_out(steps, fit.result_.mixture, steps.e_step(fit.result_.mixture), k)


@pytest.fixture(scope="module")
def island():
    """200 rows, and eight far from them."""
    rng = np.random.default_rng(3)
    return np.concatenate([rng.standard_normal((200, 2)), [12.0, 9.0] + 0.5 * rng.standard_normal((8, 2))])


@pytest.fixture(scope="module")
def overlap():
    """Two groups of 120 rows, two standard deviations apart: the likeliest two Gaussians are one and a needle."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 2))
    X[:120, 0] += 2.0
    return X


def test_a_component_without_a_row_is_the_refit_of_all_rows_but_that_one(island):
    fit = GaussianMixture(2, init_params=np.repeat([0, 1], [200, 8])).fit(island)
    k = int(fit.weights_.argmin())
    posterior, n = fit.predict_proba(island), len(island)

    def densities(r, K):  # textbook formulas on all rows with these responsibilities
        means = [r[:, j] @ island / r[:, j].sum() for j in range(K)]
        spreads = [(r[:, j, None] * (island - m)).T @ (island - m) / r[:, j].sum() for j, m in enumerate(means)]
        parts = zip(r.sum(axis=0) / r.sum(), means, spreads, strict=True)
        return logsumexp([log(w) + multivariate_normal(m, s).logpdf(island) for w, m, s in parts], axis=0)

    expected = 0.0
    other = multivariate_normal(fit.means_[1 - k], fit.covariances_[1 - k]).logpdf(island)
    for i in range(n):
        kept = posterior.copy()
        if posterior[i, k] > TOUCHED:
            kept[i] = 0.0
        expected += densities(kept, 2)[i] - other[i]
    # both are sums of 208 terms below 200 in size; the fit itself stands within 1e-8 of its fixed point, where p is stationary
    assert gained(island, fit, k) == pytest.approx(expected, rel=1e-6)


def test_a_group_that_lies_apart_is_no_chance(island):
    fit = GaussianMixture(2, random_state=0).fit(island)
    few = fit.certificate_.components[int(fit.weights_.argmin())]
    assert few.gain > few.chance
    assert not few.chance_explains
    assert "Chance" not in fit.certificate_.verdict


def test_a_needle_in_two_plain_groups_is_chance(overlap):
    fit = GaussianMixture(2, random_state=0).fit(overlap)
    few = fit.certificate_.components[int(fit.weights_.argmin())]
    assert few.distinct_rows < 15
    assert few.chance_explains
    assert few.chance == pytest.approx(log(comb(240, 3)))
    assert f"Chance explains component {few.component}" in fit.certificate_.verdict
    assert fit.converged_  # it is an optimum all the same


def test_left_out_gains_less_than_left_in(overlap):
    for family in ("VVV", "VVI", "VII", "VEE", "EEV"):
        fit = GaussianMixture(3, covariance_type=family, random_state=0).fit(overlap)
        mixture = fit.result_.mixture
        for k in range(3):
            inside = float((mixture.log_density(overlap) - mixture.select(np.delete(np.arange(3), k)).log_density(overlap)).sum())
            assert gained(overlap, fit, k) < inside


def test_rows_of_weight_one_are_rows(island):
    fit = GaussianMixture(2, random_state=0).fit(island)
    assert gained(island, fit, 1, np.ones(len(island))) == pytest.approx(gained(island, fit, 1), rel=1e-12)


def test_large_components_are_not_asked(overlap):
    fit = GaussianMixture(2, init_params=np.repeat([0, 1], 120), covariance_type="spherical").fit(overlap)
    assert all(np.isnan(part.gain) and not part.chance_explains for part in fit.certificate_.components)


def test_of_many_rows_a_component_of_some_dozens_is_not_asked():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], [60_000, 60])  # of 10,000 witnesses ten
    X = rng.standard_normal((60_060, 2)) + 20.0 * labels[:, None]
    fit = GaussianMixture(2, init_params=labels).fit(X)
    assert all(np.isnan(part.gain) for part in fit.certificate_.components)


@pytest.mark.parametrize(
    ("n", "needed", "groups"), [(240, 3, comb(240, 3)), (100, 2, comb(100, 2)), (31, 4, comb(31, 4)), (2, 5, 1)]
)
def test_chance_counts_the_groups_of_rows_that_lay_a_component(n, needed, groups):
    assert gain_by_chance(n, needed) == pytest.approx(log(groups), abs=1e-9)
