"""The lower bound against the evidence itself, which is exact for a few rows.

Given the component of every row, conjugate priors give the marginal likelihood in closed form, here
as a product of predictive densities, row after row; the evidence is the sum over all K^n
assignments. Nothing of it comes from the code of variational inference.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import multivariate_t
from scipy.stats import t as student

from mixtura import BayesianGaussianMixture

KINDS = ["dirichlet_process", "dirichlet_distribution"]
FAMILIES = ["full", "tied", "diag", "tied_diag", "spherical", "tied_spherical"]
SETTINGS = {
    "weight_concentration_prior": 0.7,
    "mean_precision_prior": 0.4,
    "degrees_of_freedom_prior": 3.5,
}


def rows_of(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0] * d, [5.0] * d])
    return centres[rng.integers(0, 2, n)] + rng.standard_normal((n, d))


def log_probability_of_assignment(z: tuple[int, ...], K: int, kind: str, a: float) -> float:
    """Row after row, by the predictive probabilities of both priors (last stick 1)."""
    counts, total = np.zeros(K), 0.0
    for k in z:
        if kind == "dirichlet_distribution":
            p = (a + counts[k]) / (K * a + counts.sum())
        else:
            p = 1.0
            for j in range(k + 1):
                after = counts[j + 1 :].sum()
                stick = 1.0 if j == K - 1 else (1 + counts[j]) / (1 + a + counts[j] + after)
                p *= stick if j == k else 1.0 - stick
        total += np.log(p)
        counts[k] += 1
    return total


class Scales:
    """Sums of the precision's posterior; ``form`` full, diag or spherical; shared or own."""

    def __init__(self, family: str, K: int, d: int, rate: np.ndarray) -> None:
        self.form = family.removeprefix("tied_") if family != "tied" else "full"
        self.shared = family.startswith("tied")
        F = 1 if self.shared else K
        self.nu = np.full(F, SETTINGS["degrees_of_freedom_prior"])
        self.T = np.repeat(rate[None], F, axis=0)
        self.d = d

    def log_predictive(self, k: int, x: np.ndarray, mean: np.ndarray, beta: float) -> float:
        f, d = (0 if self.shared else k), self.d
        nu, T, factor = self.nu[f], self.T[f], (1 + 1 / beta)
        if self.form == "full":
            dof = nu - d + 1
            return float(multivariate_t(mean, T * factor / dof, df=dof).logpdf(x))
        if self.form == "diag":
            scale = np.sqrt(np.diag(T) * factor / nu)
            return float(student.logpdf(x, nu, mean, scale).sum())
        scale = np.eye(d) * np.trace(T) * factor / (d * nu)
        return float(multivariate_t(mean, scale, df=d * nu).logpdf(x))

    def add(self, k: int, outer: np.ndarray) -> None:
        f = 0 if self.shared else k
        self.nu[f] += 1
        self.T[f] += outer


def log_marginal(X: np.ndarray, z: tuple[int, ...], K: int, family: str) -> float:
    """log p(X | z): each row given those before it."""
    d = X.shape[1]
    rate = np.cov(X.T, ddof=1).reshape(d, d)
    mean, beta = np.repeat(X.mean(axis=0)[None], K, axis=0), np.full(K, 0.4)
    scales, total = Scales(family, K, d, rate), 0.0
    for x, k in zip(X, z, strict=True):
        total += scales.log_predictive(k, x, mean[k], beta[k])
        apart = x - mean[k]
        scales.add(k, beta[k] / (beta[k] + 1) * np.outer(apart, apart))
        mean[k] = (beta[k] * mean[k] + x) / (beta[k] + 1)
        beta[k] += 1
    return total


def log_evidence(X: np.ndarray, K: int, family: str, kind: str) -> float:
    terms = [
        log_marginal(X, z, K, family)
        + log_probability_of_assignment(z, K, kind, SETTINGS["weight_concentration_prior"])
        for z in product(range(K), repeat=len(X))
    ]
    return float(np.logaddexp.reduce(terms))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("d", [1, 2])
def test_with_one_component_the_bound_is_the_evidence(family: str, kind: str, d: int) -> None:
    X = rows_of(9, d, seed=d)
    model = BayesianGaussianMixture(
        1, covariance_type=family, weight_concentration_prior_type=kind, **SETTINGS
    ).fit(X)
    exact = log_marginal(X, (0,) * len(X), 1, family)
    # a dozen terms of size up to 1e3: rounding is about 1e-12
    assert model.lower_bound_ == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("family", "d"), [("full", 1), *((family, 2) for family in FAMILIES)])
def test_the_bound_is_below_the_evidence_by_no_more_than_it_forgets(
    family: str, kind: str, d: int
) -> None:
    X = rows_of(8, d, seed=3)
    model = BayesianGaussianMixture(
        2, covariance_type=family, weight_concentration_prior_type=kind, random_state=0, **SETTINGS
    ).fit(X)
    evidence = log_evidence(X, 2, family, kind)
    assert model.lower_bound_ <= evidence + 1e-9
    # The posterior sits at one of two orders of the components (log 2), and takes rows and
    # parameters as independent, which here costs less than one nat for each component.
    assert model.lower_bound_ >= evidence - np.log(2) - 2.0


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_orders_models_as_the_bound_does(kind: str) -> None:
    """Two groups far apart: two components are better than one, by both."""
    X = np.concatenate([rows_of(5, 1, seed=1) % 1.0, 30.0 + rows_of(4, 1, seed=2) % 1.0])
    bounds, evidences = [], []
    for K in (1, 2):
        model = BayesianGaussianMixture(
            K, weight_concentration_prior_type=kind, random_state=0, **SETTINGS
        ).fit(X)
        bounds.append(model.lower_bound_)
        evidences.append(log_evidence(X, K, "full", kind))
    assert bounds[1] > bounds[0]
    assert evidences[1] > evidences[0]
    # rows and parameters are nearly independent, so the bound misses little but one of the two
    # orders of the components, at most log 2
    assert 0.0 < evidences[1] - bounds[1] < np.log(2) + 0.5


def test_the_marginal_of_the_tests_is_itself_right() -> None:
    """The closed form of one Gaussian in one dimension, from its normalisers."""
    X = rows_of(7, 1, seed=5)
    n, (mean,), beta, nu, T = 7, X.mean(axis=0), 0.4, 3.5, float(X.var(ddof=1))
    after = T + float(((X - mean) ** 2).sum())  # the prior mean is that of the rows
    exact = (
        -0.5 * n * np.log(np.pi)
        + 0.5 * np.log(beta / (beta + n))
        + gammaln(0.5 * (nu + n))
        - gammaln(0.5 * nu)
        + 0.5 * nu * np.log(T)
        - 0.5 * (nu + n) * np.log(after)
    )
    assert log_marginal(X, (0,) * 7, 1, "full") == pytest.approx(exact, abs=1e-10)
