"""Criteria against mclust's, the identities between them, and laws for any mixture and data."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, log

import numpy as np
import pytest

from conftest import TRUTH, dataset, read_data, read_truth, two_groups
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.model.criteria import (
    ALL_CRITERIA,
    CRITERIA,
    aic,
    aicc,
    at_size,
    awe,
    bic,
    check_criterion,
    clc,
    criterion_named,
    entropy,
    icl,
    icl_entropy,
    nec,
    sabic,
    why_undefined,
)
from mixtura.model.fit_result import Evaluation, FitResult, StopReason
from mixtura.model.selection import title_of

FILES = sorted(path.name for path in TRUTH.glob("em_*.json"))
SAME_SUM = 1e-11
"""Relative difference of two sums of the same few hundred terms in another order: n * eps of the
sum of their sizes, 1e-13, with a margin.
"""


def overlapping(K=3, d=2, seed=0) -> Mixture:
    rng = np.random.default_rng(seed)
    return Mixture(
        rng.dirichlet(np.ones(K)),
        rng.normal(0, 2, (K, d)),
        Dense(np.stack([np.eye(d) * (k + 1) for k in range(K)]), K),
    )


def evaluation(mixture, X, weights=None, n_parameters=11) -> Evaluation:
    data = dataset(X, weights)
    moments = data.backend.moments(data.source, mixture, Scatter.TRACE)
    return Evaluation(
        moments.log_likelihood, moments.entropy, moments.certainty, moments.total, n_parameters
    )


def fit_result(seen: Evaluation, mixture: Mixture) -> FitResult:
    parts = (seen.log_likelihood, seen.entropy, seen.certainty, seen.total, seen.n_parameters)
    return FitResult(*parts, "VVV", mixture, (seen.log_likelihood,), 1, StopReason.CONVERGED, 0.0)


@pytest.fixture
def seen() -> Evaluation:
    return evaluation(overlapping(), two_groups())


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_bic_and_icl_of_mclusts_own_parameters_are_mclusts(file):
    truth = read_truth(file)
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    held = 0
    for case in truth["fits"]:
        if case.get("status") != "ok" or case.get("spurious"):
            continue
        K = case["G"]
        covariance = np.array(case["cov"], dtype=float).reshape(K, X.shape[1], X.shape[1])
        theirs = Mixture(
            np.array(case["pro"]), np.array(case["mean"]).reshape(K, -1), Dense(covariance, K)
        )
        ours = evaluation(theirs, X, n_parameters=case["nparams"])
        # Their likelihood and memberships are those of the parameters before the last M-step of a
        # fit that ended at 1e-10 or so.
        assert bic(ours) == pytest.approx(-case["bic"], rel=1e-8)
        assert icl(ours) == pytest.approx(-case["icl"], rel=1e-5)
        held += 1
    assert held >= 10


# ---- identities ----------------------------------------------------------------------------------


def test_the_criteria_differ_by_their_definitions(seen):
    p, n = seen.n_parameters, seen.total
    assert bic(seen) - aic(seen) == pytest.approx(p * (log(n) - 2), rel=SAME_SUM)
    # A difference of numbers 1e3 larger.
    assert aicc(seen) - aic(seen) == pytest.approx(2 * p * (p + 1) / (n - p - 1), rel=1e-9)
    assert sabic(seen) - bic(seen) == pytest.approx(p * (log((n + 2) / 24) - log(n)), rel=SAME_SUM)
    assert icl_entropy(seen) == pytest.approx(bic(seen) + 2 * entropy(seen), rel=SAME_SUM)
    assert icl(seen) == pytest.approx(bic(seen) - 2 * seen.certainty, rel=SAME_SUM)
    assert clc(seen) == pytest.approx(icl_entropy(seen) - p * log(n), rel=SAME_SUM)
    assert awe(seen) - clc(seen) == pytest.approx(2 * p * (1.5 + log(n)), rel=SAME_SUM)


@pytest.mark.parametrize("K", [2, 3, 5])
def test_entropy_lies_between_its_limits_and_bounds_the_map_form(K):
    seen = evaluation(overlapping(K), two_groups(apart=2.0))
    assert 0 < entropy(seen) < seen.total * log(K)
    # -log max r is the smallest of all Renyi entropies of a row.
    assert bic(seen) < icl(seen) < icl_entropy(seen)


def test_with_one_component_the_entropy_is_zero_and_the_criteria_without_it_remain():
    seen = evaluation(overlapping(1), two_groups())
    assert entropy(seen) == 0
    assert icl(seen) == icl_entropy(seen) == bic(seen)
    assert clc(seen) == -2 * seen.log_likelihood
    assert nec(fit_result(seen, overlapping(1)), seen.log_likelihood) == 1.0


def test_nec_is_the_entropy_per_gain_over_one_component(seen):
    fit = fit_result(seen, overlapping())
    assert nec(fit, seen.log_likelihood - 10.0) == pytest.approx(seen.entropy / 10.0, rel=1e-9)
    assert isnan(nec(fit, seen.log_likelihood))
    assert "no higher than that of one component" in why_undefined("nec", seen)


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CRITERIA)
def test_a_weight_is_a_repeated_row(name):
    X, weights = two_groups(), np.random.default_rng(0).integers(1, 4, 200)
    weighted = evaluation(overlapping(), X, weights.astype(float))
    repeated = evaluation(overlapping(), np.repeat(X, weights, axis=0))
    assert CRITERIA[name](weighted) == pytest.approx(CRITERIA[name](repeated), rel=SAME_SUM)


@pytest.mark.parametrize("name", CRITERIA)
def test_the_order_of_the_components_does_not_matter(name, seen):
    reordered = evaluation(overlapping().select(np.array([2, 0, 1])), two_groups())
    assert CRITERIA[name](reordered) == pytest.approx(CRITERIA[name](seen), rel=SAME_SUM)


@pytest.mark.parametrize("name", [name for name in CRITERIA if name != "entropy"])
def test_a_higher_likelihood_lowers_the_criterion(name, seen):
    assert CRITERIA[name](replace(seen, log_likelihood=seen.log_likelihood + 1)) < CRITERIA[name](
        seen
    )


# ---- sample sizes --------------------------------------------------------------------------------


def test_the_effective_size_does_not_depend_on_the_size_of_the_weights():
    X, w = two_groups(), np.random.default_rng(0).uniform(0.1, 5, 200)
    for scale in (1e-6, 1.0, 1e6):
        assert dataset(X, w * scale).effective_size == pytest.approx(
            w.sum() ** 2 / (w**2).sum(), rel=1e-12
        )
    assert dataset(X, np.full(200, 7.0)).effective_size == pytest.approx(200, rel=1e-12)
    assert dataset(X).effective_size == 200


@pytest.mark.parametrize("name", CRITERIA)
def test_equal_weights_at_their_effective_size_are_no_weights(name, seen):
    weighted = evaluation(overlapping(), two_groups(), np.full(200, 37.0))
    assert CRITERIA[name](at_size(weighted, 200.0)) == pytest.approx(
        CRITERIA[name](seen), rel=SAME_SUM
    )


# ---- behaviour -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [11.0, 12.0])
def test_aicc_gives_the_reason_why_it_is_undefined(seen, n):
    few = replace(seen, total=n)
    assert isnan(aicc(few))
    assert f"more than p + 1 = 12 rows for p = 11 parameters, but n = {n:g}" in why_undefined(
        "aicc", few
    )


def test_every_name_is_known_and_has_a_title():
    for name in ALL_CRITERIA:
        check_criterion(name)
        assert title_of(name)
    assert set(ALL_CRITERIA) - set(CRITERIA) == {"nec", "cv"}


def test_an_unknown_name_raises_an_error_that_lists_all():
    with pytest.raises(
        ValueError,
        match=r"criterion='bicc' is not known\. Use one of: bic, .*nec, cv \(lower is better",
    ):
        check_criterion("bicc")
    with pytest.raises(ValueError, match="criterion='nec' is not known"):
        criterion_named("nec")  # not a function of one fit
