"""The bootstrap likelihood ratio test: against mclust, laws for any data, and messages."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from conftest import dataset, read_data, read_truth, two_groups
from mixtura import GaussianMixture
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.families import FAMILIES
from mixtura.inference import replicates as loop
from mixtura.model.regularisation import Regularisation
from mixtura.selection.likelihood_ratio import (
    LikelihoodRatioTest,
    SequentialTest,
    _Recording,
    likelihood_ratio_test,
    sequential_likelihood_ratio_test,
    split,
)

TRUTH = {"acidity": "EII", "faithful": "VVV"}  # "E" in one dimension is EII


def chosen(X, K=1, family="EII", B=9, **keywords):
    return likelihood_ratio_test(
        X, K, family, n_replicates=B, random_state=0, n_threads=1, **keywords
    )


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTH)
def test_optima_are_at_least_those_of_mclust(name):
    truth = read_truth(f"lrt_{name}.json")
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    theirs = np.cumsum(truth["observed_lrts"])
    ours = np.cumsum([chosen(X, K, TRUTH[name], B=1, n_starts=8).statistic for K in truth["G"]])
    # The fit of one component is exact in both; mclust stops at a relative change of 1e-5, mixtura
    # within 0.01 of the optimum.
    assert ours[0] == pytest.approx(theirs[0], abs=0.03)
    assert (ours > theirs - 0.03).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTH)
def test_one_component_is_rejected_with_the_smallest_p_value_as_by_mclust(name):
    truth = read_truth(f"lrt_{name}.json")
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    B = 39
    test = likelihood_ratio_test(X, 1, TRUTH[name], n_replicates=B, random_state=0)
    theirs = truth["p_value"][0]
    assert test.p_value == 1 / (1 + B)
    least = 1 / (1 + B)
    assert abs(test.p_value - theirs) < 3 * np.sqrt(theirs * (1 - theirs) / B) + least


@pytest.mark.slow
def test_p_values_of_data_without_a_second_component_are_uniform():
    found = []
    for seed in range(20):
        X = np.random.default_rng(seed).standard_normal((60, 1))
        found.append(
            likelihood_ratio_test(
                X, 1, "EII", n_replicates=19, n_starts=2, random_state=seed, n_threads=1
            ).p_value
        )
    # Uniform on 1/20 .. 1: mean 0.525, standard deviation 0.288, and 0.064 for the mean of 20; the
    # tolerance is four of these.
    assert np.mean(found) == pytest.approx(0.525, abs=0.26)
    assert len(set(found)) > 8


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1])
def test_the_halves_of_a_component_have_its_mean_and_covariance_together(family, k):
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((2, 3, 3))
    whole = Mixture(
        np.array([0.3, 0.7]),
        rng.standard_normal((2, 3)),
        Dense(factors @ factors.swapaxes(1, 2) + np.eye(3), 2),
    )
    halves = split(whole, k, 500.0)
    assert halves.total == pytest.approx(500)
    w = halves.counts[[k, 2]] / halves.counts[[k, 2]].sum()
    mean = w @ halves.means[[k, 2]]
    spread = halves.second[[k, 2]] / halves.counts[[k, 2], None, None]
    apart = halves.means[[k, 2]] - mean
    covariance = np.einsum("k,kij->ij", w, spread) + np.einsum("k,ki,kj->ij", w, apart, apart)
    np.testing.assert_allclose(mean, whole.means[k], atol=1e-12)
    np.testing.assert_allclose(covariance, whole.covariance.dense()[k], atol=1e-12)
    fitted = family.m_step(halves.summarised(family.needs), None, Regularisation(np.full(3, 1e-12)))
    assert (np.linalg.eigvalsh(fitted.dense()) > 0).all()


def test_no_statistic_is_negative_and_the_p_value_counts_the_data():
    test = chosen(np.random.default_rng(3).standard_normal((80, 2)), 2, "VVI")
    assert test.statistic >= 0
    assert (test.replicates >= 0).all()
    expected = (1 + (test.replicates >= test.statistic).sum()) / (1 + len(test.replicates))
    assert test.p_value == expected


@pytest.mark.slow
def test_workers_change_nothing(monkeypatch):
    X = two_groups(80, 1, apart=2.0)
    alone = chosen(X, B=6)
    monkeypatch.setattr(loop, "SECONDS_WORTH_PROCESSES", 0.0)
    shared = likelihood_ratio_test(X, 1, "EII", n_replicates=6, random_state=0, n_threads=2)
    np.testing.assert_array_equal(alone.replicates, shared.replicates)
    assert alone.statistic == shared.statistic
    assert not np.array_equal(
        alone.replicates, chosen(X, B=6, n_starts=1, sample_weight=np.full(80, 2)).replicates
    )


def test_whole_weights_are_repeated_rows():
    X, w = two_groups(80, 1, apart=8.0), np.random.default_rng(0).integers(1, 3, 80)
    weighted, repeated = chosen(X, sample_weight=w, B=1), chosen(np.repeat(X, w, axis=0), B=1)
    # four fits, each within 0.01 of its optimum
    assert weighted.statistic == pytest.approx(repeated.statistic, abs=0.04)


def test_simulated_values_are_rounded_like_the_data():
    X = np.c_[np.round(two_groups(100), 1), np.random.default_rng(0).standard_normal(100)]
    recording = _Recording.of(dataset(X, np.full(100, 2.0)))
    mixture = Mixture(np.ones(1), np.zeros((1, 3)), Dense(np.eye(3)[None], 1))
    rows = recording.draw(mixture, np.random.default_rng(0)).X
    assert rows.shape == (200, 3)
    np.testing.assert_allclose(rows[:, :2], np.round(rows[:, :2], 1), atol=1e-12)
    assert len(np.unique(rows[:, 2])) == 200


# ---- behaviour -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_sequence_stops_at_the_first_number_that_is_not_rejected():
    seen, done = [], []
    X = two_groups(160, 1, apart=9.0)
    tests = sequential_likelihood_ratio_test(
        X,
        5,
        "EII",
        n_replicates=19,
        random_state=0,
        n_threads=1,
        on_replicate=lambda K, b: seen.append((K, b)),
        on_test=done.append,
    )
    assert tests.n_components == 2
    assert (
        [test.n_components for test in tests.tests]
        == [1, 2]
        == [test.n_components for test in done]
    )
    assert seen == [(K, b) for K in (1, 2) for b in range(1, 20)]
    assert tests.sentence.startswith("2 components: not rejected at level 0.05")
    assert [row["against"] for row in tests.rows()] == [2, 3]


def test_a_sequence_that_rejects_all_says_at_least():
    tests = sequential_likelihood_ratio_test(
        two_groups(160, 1, apart=9.0), 1, "EII", n_replicates=19, random_state=0, n_threads=1
    )
    assert tests.n_components == 2
    assert tests.sentence.startswith("At least 2 components")


def test_an_interrupt_keeps_the_replicates_that_are_done():
    def stop(K, b):
        if b == 4:
            raise KeyboardInterrupt

    test = chosen(two_groups(80, 1), on_replicate=stop)
    assert test.interrupted
    assert len(test.replicates) == 4
    assert "4 replicates (interrupted)" in test.sentence


def test_spurious_fits_never_count():
    X = np.r_[np.random.default_rng(0).standard_normal(40), 1e4][:, None]
    against_two = chosen(X, 1, "VVV", B=4)
    assert against_two.statistic == 0.0  # the second component would hold one row
    assert against_two.p_value == 1.0
    assert (
        "no sound fit with 2 components was found that is likelier than 1; more starts"
        in against_two.caveat
    )
    assert SequentialTest((against_two,), 0.05).sentence.endswith(against_two.caveat)
    none = chosen(X, 2, "VVV", B=4)
    assert isnan(none.p_value)
    assert "2 components give no sound fit" in none.sentence


def test_fractional_weights_are_refused():
    with pytest.raises(
        ValueError, match=r"whole numbers here \(copies of rows\), but fractions came"
    ):
        chosen(two_groups(40, 1), sample_weight=np.full(40, 0.5))


@pytest.mark.parametrize(
    "bad", [{"n_replicates": 0}, {"n_starts": 0}, {"n_components": 0}, {"reg_covar": -1.0}], ids=str
)
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        likelihood_ratio_test(**{"X": two_groups(40, 1), "n_components": 1, **bad})


def test_failed_replicates_are_counted_in_the_sentence():
    test = LikelihoodRatioTest("VVV", 2, 3.0, np.array([1.0, 4.0, 2.0]), n_failed=2)
    assert test.p_value == 0.5
    assert "3 replicates, 2 without a sound fit left out" in test.sentence
    assert test.standard_error == pytest.approx(np.sqrt(0.25 / 3))
    assert FAMILIES["VVV"].name == test.family


@pytest.mark.slow
def test_a_signal_to_all_processes_keeps_the_replicates_that_are_done(tmp_path):
    import subprocess
    import sys

    script = (
        "import os, signal, threading, warnings, numpy as np\n"
        "warnings.simplefilter('error')\n"
        "from mixtura import likelihood_ratio_test\n"
        "from mixtura.inference import replicates\n"
        "replicates.SECONDS_WORTH_PROCESSES = 0.0\n"
        "X = np.random.default_rng(0).standard_normal((400, 2))\n"
        "def on_replicate(K, done):\n"
        "    if done == 3:\n"
        "        threading.Timer(0.01, lambda: os.killpg(os.getpgid(0), signal.SIGINT)).start()\n"
        "test = likelihood_ratio_test(X, 2, n_replicates=2000, random_state=0, n_threads=2, "
        "on_replicate=on_replicate)\n"
        "print(test.interrupted, len(test.replicates) >= 3)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        start_new_session=True,
    )
    assert run.stdout.strip() == "True True", run.stderr


def test_the_constraints_of_a_fit_hold_in_the_test():
    X = two_groups(120, apart=3.0)

    def statistic(**constraints):
        test = likelihood_ratio_test(
            X, 1, n_replicates=2, n_starts=2, n_threads=1, random_state=0, **constraints
        )
        fits = [
            GaussianMixture(K, random_state=0, **constraints).fit(X).result_.log_likelihood
            for K in (1, 2)
        ]
        return test.statistic, 2.0 * (fits[1] - fits[0])

    seen = set()
    for constraints in (
        {},
        {"prior": "conjugate"},
        {"eigenvalue_ratio": 1.0},
        {"equal_weights": True, "reg_covar": 0.3},
    ):
        ours, expected = statistic(**constraints)
        assert ours == pytest.approx(expected, abs=0.05)
        seen.add(round(ours, 1))
    assert len(seen) == 4
    with pytest.raises(ValueError, match="eigenvalue_ratio must be"):
        likelihood_ratio_test(X, 1, eigenvalue_ratio=0.5)
