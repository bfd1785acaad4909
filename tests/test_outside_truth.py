"""Comparison with mclust and with optima in 80-bit arithmetic (sources: tests/truth/README.md)."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import ALL_FAMILIES, TRUTH, dataset, read_data, read_truth
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain, SmallChange
from mixtura.families import FAMILIES, family_named
from mixtura.initialise.initialisers import FromLabels, FromResponsibilities
from mixtura.model.criteria import bic, icl
from mixtura.model.regularisation import Regularisation

MAXIMISES = {name: name not in ("EVE", "VVE") for name in FAMILIES}
"""mclust's M-steps of EVE and VVE stop before the maximum over the common axes
(tests/truth/README.md).
"""

ITERATED = ("VEI", "VEE", "VEV")
"""mclust iterates these M-steps to a tolerance; the residuals of its equations are up to 2e-8."""

FILES = sorted(path.name for path in TRUTH.glob("em_*.json"))


def tiny_floor(data) -> np.ndarray:
    """A floor of rounding alone: the references have no floor of the recorded step."""
    return 1e-12 * data.scale


def family_of(model: str):
    return family_named(model)


def fit(X, start, model, K, weights=None, **keywords):
    data = dataset(X, weights)
    return em(
        Problem(data, family_of(model), Regularisation(tiny_floor(data))),
        start(data, K, np.random.default_rng(0)),
        **keywords,
    )


def relative(ours, theirs) -> float:
    theirs = np.asarray(theirs, dtype=float)
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def assert_fixed_point(X, case) -> None:
    """mclust's optimum has its stated likelihood, and one EM iteration does not move it."""
    K = case["G"]
    covariance = np.array(case["cov"], dtype=float).reshape(K, X.shape[1], X.shape[1])
    theirs = Mixture(
        np.array(case["pro"]), np.array(case["mean"]).reshape(K, -1), Dense(covariance, K)
    )
    data = dataset(X)
    moments = data.backend.moments(data.source, theirs, Scatter.DENSE)
    assert moments.log_likelihood == pytest.approx(case["loglik"], rel=1e-9)
    # mclust ended on a plateau, where its own steps had become this small
    assert relative(moments.means, theirs.means) < 1e-4


def assert_em_from_mclust_does_not_fall(X, case) -> None:
    """EM from mclust's optimum, which exact M-steps did not reach, does not fall."""
    K = case["G"]
    theirs = Mixture(
        np.array(case["pro"]),
        np.array(case["mean"]).reshape(K, -1),
        Dense(np.array(case["cov"], dtype=float), K),
    )
    data = dataset(X)
    continued = em(
        Problem(data, family_of(case["model"]), Regularisation(tiny_floor(data))),
        theirs,
        stopping=RemainingGain(1e-9),
        max_iter=40_000,
    )
    assert continued.log_likelihood >= case["loglik"] - 1e-7 * abs(case["loglik"])


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_em_from_the_same_partition_reaches_the_optimum_of_mclust(file):
    truth = read_truth(file)
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    labels = {start["G"]: np.array(start["labels"]) for start in truth["inits"]}
    held = 0
    for case in truth["fits"]:
        if case.get("status") != "ok" or case.get("spurious") or not case.get("exact_optimum"):
            continue
        ours = fit(
            X,
            FromLabels(labels[case["G"]]),
            case["model"],
            case["G"],
            stopping=RemainingGain(1e-9),
            max_iter=40_000,
        )
        where = f"{case['model']} G={case['G']}"
        apart = max(
            relative(ours.mixture.means, case["mean"]), relative(ours.mixture.weights, case["pro"])
        )
        if ours.log_likelihood > case["loglik"] - 1e-10 * abs(case["loglik"]) and apart > 2e-5:
            # Ours is higher, or elsewhere on a plateau: then theirs must be a fixed point of EM.
            assert_fixed_point(X, case)
            continue
        if (
            not MAXIMISES.get(case["model"], True)
            and relative(ours.mixture.means, case["mean"]) > 2e-5
        ):
            assert_em_from_mclust_does_not_fall(X, case)
            continue
        # The references are stationary to 2e-5 in the parameters and 1e-7 in the log-likelihood
        # (tests/truth/README.md).
        assert ours.log_likelihood == pytest.approx(case["loglik"], rel=1e-7), where
        assert relative(ours.mixture.weights, case["pro"]) < 2e-5, where
        assert relative(ours.mixture.means, case["mean"]) < 2e-5, where
        assert relative(ours.mixture.covariance.dense(), case["cov"]) < 2e-5, where
        assert bic(ours) == pytest.approx(-case["bic"], rel=1e-7), where
        assert icl(ours) == pytest.approx(-case["icl"], rel=1e-5), where
        held += 1
    assert held >= 10


CERTIFIED = read_truth("certified.json")["fits"]


@pytest.mark.parametrize("case", CERTIFIED, ids=lambda c: f"{c['dataset']}-{c['model']}-{c['G']}")
def test_a_certified_optimum_is_a_fixed_point_with_the_certified_likelihood(case, backend):
    K = case["G"]
    means = np.array(case["mean"], dtype=float).reshape(K, -1)
    d = means.shape[1]
    X = read_data(case["csv"].split("/")[-1], d)
    optimum = Mixture(
        np.array(case["pro"], dtype=float),
        means,
        Dense(np.array(case["cov"], dtype=float).reshape(K, d, d), K),
    )
    data = dataset(X, backend=backend)
    moments = data.backend.moments(data.source, optimum, family_of(case["model"]).needs)
    assert moments.log_likelihood == pytest.approx(float(case["loglik"]), rel=1e-13)
    # One more iteration moves nothing beyond its rounding, times the condition number of X.
    assert relative(moments.means, means) < 1e-10
    covariance = family_of(case["model"]).m_step(moments, None, Regularisation(tiny_floor(data)))
    assert relative(covariance.dense(), optimum.covariance.dense()) < 1e-8


def m_step_objective(moments, covariance) -> float:
    inverse = np.linalg.inv(covariance.dense())
    return float(
        -0.5
        * (moments.counts @ covariance.log_det + np.einsum("kij,kji->", inverse, moments.scatter))
    )


@pytest.mark.parametrize("name", ["faithful", "banknote", "diabetes"])
def test_vve_reaches_the_maximum_over_the_common_axes(name):
    truth, starts = read_truth(f"vve_{name}.json"), read_truth(f"em_{name}.json")
    X = read_data(f"{name}.csv", starts["d"])
    labels = {start["G"]: np.array(start["labels"]) for start in starts["inits"]}
    for case in truth["fits"]:
        ours = fit(
            X,
            FromLabels(labels[case["G"]]),
            "VVE",
            case["G"],
            stopping=RemainingGain(1e-9),
            max_iter=40_000,
        )
        exact = case["exact_em"]["hard start"]["loglik"]
        assert ours.log_likelihood >= exact - 1e-9 * abs(exact), case["G"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["faithful", "banknote", "diabetes"])
def test_three_packages_agree_with_us_from_one_start(name):
    truth, starts = read_truth(f"crosscheck_{name}.json"), read_truth(f"em_{name}.json")
    X = read_data(f"{name}.csv", starts["d"])
    labels = {start["G"]: np.array(start["labels"]) for start in starts["inits"]}
    for case in truth["fits"]:
        theirs = [
            case[key]
            for key in ("mclust_loglik", "mixture_loglik", "rmixmod_loglik")
            if case.get(key) is not None
        ]
        if not theirs or max(theirs) - min(theirs) > 1e-6 * abs(max(theirs)):
            continue  # where they disagree, one of them stopped early
        ours = fit(
            X,
            FromLabels(labels[case["G"]]),
            case["model"],
            case["G"],
            stopping=RemainingGain(1e-9),
            max_iter=40_000,
        )
        assert ours.log_likelihood >= max(theirs) - 1e-6 * abs(max(theirs)), (
            case["model"],
            case["G"],
        )


STEPS = ["acidity", "faithful", "diabetes"]


@pytest.mark.parametrize("name", STEPS)
def test_single_iterations_and_the_likelihood_path_are_those_of_mclust(name):
    truth = read_truth(f"steps_{name}.json")
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    held = 0
    for case in truth["cases"]:
        start = FromResponsibilities(np.array(case["z_start"]))
        for model in case["models"]:
            if model["status"] != "ok":
                continue
            first = fit(X, start, model["model"], case["G"], max_iter=0)
            assert relative(first.mixture.means, model["mean"]) < 1e-10
            if not MAXIMISES.get(model["model"], True):
                moments = start(dataset(X), case["G"], np.random.default_rng(0))
                theirs = Dense(np.array(model["cov"], dtype=float), case["G"])
                assert (
                    m_step_objective(moments, first.mixture.covariance)
                    >= m_step_objective(moments, theirs) - 1e-9
                )
                continue
            slack = 1000.0 if model["model"] in ITERATED else 1.0
            assert relative(first.mixture.covariance.dense(), model["cov"]) < 1e-10 * slack
            assert first.log_likelihood == pytest.approx(
                model["loglik_after_step"], rel=1e-11 * slack
            )
            np.testing.assert_allclose(
                first.mixture.posterior(X), model["z_after_step"], atol=1e-9 * slack
            )
            path = model["loglik_path"]
            longest = max(path["iterations"])
            trace = fit(
                X, start, model["model"], case["G"], stopping=SmallChange(0.0), max_iter=longest
            ).trace
            for iterations, loglik in zip(path["iterations"], path["loglik"], strict=True):
                if iterations - 1 < len(trace) and loglik is not None:
                    assert trace[iterations - 1] == pytest.approx(loglik, rel=1e-9 * slack), (
                        model["model"],
                        iterations,
                    )
            held += 1
    assert held >= (2 if truth["d"] == 1 else 6)


@pytest.mark.parametrize("name", STEPS)
def test_weighted_fits_are_fits_of_repeated_rows_by_mclust(name):
    truth = read_truth(f"weights_{name}.json")
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    weights = np.array(truth["weights_integer"], dtype=float)
    labels = {start["G"]: np.array(start["labels"]) for start in truth["inits"]}
    present = weights > 0
    held = 0
    for case in truth["fits"]:
        expected = case.get("repetition")
        if not expected or expected.get("loglik") is None:
            continue
        ours = fit(
            X[present],
            FromLabels(labels[case["G"]][present]),
            case["model"],
            case["G"],
            weights[present],
            stopping=RemainingGain(1e-9),
            max_iter=40_000,
        )
        if not MAXIMISES.get(case["model"], True):
            assert ours.log_likelihood >= expected["loglik"] - 1e-7 * abs(expected["loglik"]), case[
                "model"
            ]
            continue
        assert ours.log_likelihood == pytest.approx(expected["loglik"], rel=1e-7), case["model"]
        assert (
            relative(
                ours.mixture.means, np.array(expected["mean"]).reshape(ours.mixture.means.shape)
            )
            < 2e-5
        )
        held += 1
    assert held >= 2


def test_old_faithful_has_the_published_selection(faithful):
    from mixtura import GaussianMixtureSelector

    selection = GaussianMixtureSelector(random_state=0).fit(faithful).selection_
    best = selection.best.fit
    assert (best.family, best.n_components, best.n_parameters) == ("EEE", 3, 11)
    # mclust's default stops at a relative change of 1e-5: -1126.326 and BIC 2314.316. Continued
    # from its partition (em_faithful.json) it ends at -1126.3159278 and 2314.2956784.
    assert best.log_likelihood == pytest.approx(-1126.3159278, abs=0.01)
    assert bic(best) == pytest.approx(2314.2956784, abs=0.02)
    assert len(selection.candidates) == 10 * len(ALL_FAMILIES)


SOUND_CHOICE = {"eurounemp": ("VEE", 2)}
"""Where mclust chooses a fit with a degenerate component, the best model of its table without one
(benchmarks/selection.py).
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "acidity",
        "precip",
        "eurounemp",
        "diabetes",
        "banknote",
        "cross",
        "ex4.1",
        "ex4.4.1",
        "chevron",
    ],
)
def test_the_default_selection_has_a_bic_at_least_as_good_as_that_of_mclust(name):
    """For the Ks next to mclust's choice, and on larger data its two best families only."""
    from mixtura import GaussianMixtureSelector

    truth = read_truth(f"bic_{name}.json")
    X = read_data(f"{name}.csv", truth["d"])
    model, K = SOUND_CHOICE.get(name, (truth["chosen"]["model"], truth["chosen"]["G"]))
    theirs = -truth["bic"]["values"][model][K - 1]
    top = list(dict.fromkeys([model, *(case["model"] for case in truth["top3"])]))
    families = "all" if len(X) < 150 else top[:2]
    best = (
        GaussianMixtureSelector(range(max(1, K - 1), K + 2), families=families, random_state=0)
        .fit(X)
        .selection_.best
    )
    assert best.eligible
    # ours is lower by the gain that mclust's stopping rule left
    assert best.criterion <= theirs + 1e-3


def test_optima_are_at_least_those_of_a_default_run_of_mclust(faithful):
    truth = read_truth("bic_faithful.json")["bic"]
    from mixtura import GaussianMixtureSelector

    selection = (
        GaussianMixtureSelector(range(1, 5), n_init=20, random_state=0).fit(faithful).selection_
    )
    for candidate in selection.candidates:
        theirs = truth["values"][candidate.family][candidate.n_components - 1]
        if candidate.eligible and theirs is not None:
            assert candidate.criterion <= -theirs + 0.02, (candidate.family, candidate.n_components)
