"""scikit-learn as the reference: its estimator checks, and its own mixture tests run against our
class.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator

from conftest import TRUTH
from mixtura import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureSelector,
    MixtureClassifier,
    MixtureRegressor,
)

SUITE = TRUTH / "sklearn_suite" / "run_suite.py"
EXCEPTIONS = {  # each with its reason in docs/decisions/0003-scikit-learn-suite.md
    "test_multiple_init",
    "test_gaussian_mixture_precisions_init",
    "test_gaussian_mixture_precisions_init_diag",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters",
    "test_compare_covar_type",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["full", "tied", "diag", "spherical", "tied_diag", "tied_spherical"]
)
def test_estimator_checks_pass_and_none_is_skipped_that_scikit_learn_passes(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(GaussianMixture(covariance_type=kind), on_fail=None, on_skip=None)
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == []
    assert skipped <= {"check_array_api_input"}
    assert len(results) > 40


@pytest.mark.slow
def test_the_bayesian_mixture_passes_the_estimator_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(BayesianGaussianMixture(), on_fail=None, on_skip=None)
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == []
    assert skipped <= {"check_array_api_input"}
    assert len(results) > 40


@pytest.mark.slow
def test_the_selector_passes_the_estimator_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            GaussianMixtureSelector((1, 2), families=["VVI"], n_init=1),
            on_fail=None,
            on_skip=None,
            expected_failed_checks={
                "check_sample_weight_equivalence_on_dense_data": "starts that draw rows name the "
                "components in another order"
            },
        )
    assert [
        (r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "classifier",
    [
        MixtureClassifier(),
        MixtureClassifier(model="MclustDA", families=["EEE", "VVI"], n_components=(1, 2)),
    ],
    ids=lambda classifier: classifier.model,
)
def test_the_classifier_passes_the_estimator_checks(classifier):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(classifier, on_fail=None, on_skip=None)
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == []
    assert skipped <= {"check_array_api_input"}
    assert len(results) > 50


@pytest.mark.slow
@pytest.mark.parametrize("K", [1, 2])
def test_the_regressor_passes_the_estimator_checks(K):
    regressor = MixtureRegressor(GaussianMixture(K, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(regressor, on_fail=None, on_skip=None)
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == []
    assert skipped <= {"check_array_api_input"}
    assert len(results) > 50


@pytest.mark.slow
def test_scikit_learns_own_tests_pass_but_for_the_listed_exceptions(tmp_path):
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        str(SUITE),
        "--class",
        "mixtura:GaussianMixture",
        "--bayes-class",
        "mixtura:BayesianGaussianMixture",
        "--float32",
        "--json",
        str(report),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=tmp_path)
    tests = json.loads(report.read_text())["tests"]
    failed = {
        name.split("::")[-1].split("[")[0]
        for name, test in tests.items()
        if test["outcome"] in ("failed", "error")
    }
    assert failed <= EXCEPTIONS, run.stdout
    assert sum(test["outcome"] == "passed" for test in tests.values()) >= 84


@pytest.mark.slow
def test_the_suite_detects_a_wrong_class(tmp_path):
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        str(SUITE),
        "--class",
        "mutants:NotMonotone",
        "--json",
        str(report),
        "-k",
        "monotonic",
    ]
    subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    tests = json.loads(report.read_text())["tests"]
    assert any(test["outcome"] == "failed" for test in tests.values())
