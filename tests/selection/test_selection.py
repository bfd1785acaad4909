"""The selection: any criterion decides, one table holds them all, resamples show uncertainty."""

from __future__ import annotations

import pickle
from math import isfinite, isnan

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from conftest import ALL_FAMILIES, dataset, two_groups
from mixtura import DegenerateWarning, GaussianMixtureSelector
from mixtura.distribution.covariance import Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.inference import replicates as loop
from mixtura.inference.replicates import replicates
from mixtura.inference.resamples import folds_of, resampled
from mixtura.model.criteria import ALL_CRITERIA, CRITERIA, bic
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.selection import Candidate, Selection, strength_of
from mixtura.model.soundness import Soundness
from mixtura.selection.bootstrap import restricted
from mixtura.selection.settings import SelectionSettings, candidates_of, grid_of

SEED = np.random.SeedSequence(0)


def choose(X, criterion="bic", ks=(1, 2, 3), families=("EEE", "VVV"), **keywords):
    sample_weight = keywords.pop("sample_weight", None)
    selector = GaussianMixtureSelector(
        ks, families=list(families), criterion=criterion, random_state=0, **keywords
    )
    return selector.fit(X, sample_weight=sample_weight)


@pytest.fixture(scope="module")
def cross_validated():
    """Every criterion of a small selection."""
    return choose(two_groups(120), folds=5)


# ---- what may win --------------------------------------------------------------------------------


def test_the_lowest_criterion_of_an_answer_wins_also_with_a_spurious_component():
    spurious = candidate("VVV", 2, -80.0, 9, SPURIOUS)
    selection = Selection(
        "bic", (candidate("EEE", 2, -100.0, 5), spurious, candidate("VVV", 3, 500.0, 9, COPIES))
    )
    assert [item.kind for item in spurious.fit.findings] == ["spurious"]
    assert selection.best is spurious
    assert selection.runner_up is selection.candidates[0]
    assert not selection.candidates[2].eligible


def test_the_winner_and_the_runner_up_alone_have_certificates():
    selection = choose(two_groups(120), "aic").selection_
    certified = [c for c in selection.candidates if c.fit.certificate is not None]
    assert sorted(map(id, certified)) == sorted(map(id, (selection.best, selection.runner_up)))


# ---- one table -----------------------------------------------------------------------------------


def test_one_table_holds_every_criterion_of_every_candidate(cross_validated):
    rows = cross_validated.selection_.criteria_rows()
    assert len(rows) == 6
    for row in rows:
        assert set(ALL_CRITERIA) <= set(row)
        assert all(isfinite(row[name]) for name in ALL_CRITERIA)
    frame = cross_validated.criteria_
    assert frame["bic"][frame["eligible"]].is_monotonic_increasing
    assert len(frame) == 6


@pytest.mark.parametrize("name", CRITERIA)
def test_the_table_holds_the_functions_of_the_fit(cross_validated, name):
    for c in cross_validated.selection_.candidates:
        assert c.criteria[name] == CRITERIA[name](c.fit)


@pytest.mark.parametrize("criterion", [*CRITERIA, "nec"])
def test_any_criterion_decides(criterion):
    selection = choose(two_groups(120), criterion).selection_
    assert selection.best.criterion == min(c.criteria[criterion] for c in selection.candidates)
    assert selection.best is selection.choices().get(criterion, selection.best)
    assert list(selection.rows()[0])[2] == criterion


@pytest.mark.filterwarnings("ignore:X has 14 rows:mixtura.base.errors.DataWarning")
def test_an_undefined_criterion_is_a_row_that_says_so_and_cannot_win():
    selection = choose(two_groups(14, 2), "aicc").selection_
    undefined = [c for c in selection.candidates if c.fit and isnan(c.criteria["aicc"])]
    assert undefined
    for c in undefined:
        assert not c.eligible
        assert c.fit.findings or c.reason.startswith("AICc is undefined")
        assert any("AICc is undefined" in note for note in c.notes)
    assert isfinite(selection.best.criterion)


def test_nec_compares_with_one_component_of_the_same_family_also_where_it_is_no_candidate():
    X = two_groups(120, apart=2.0)
    with_one = {(c.family, c.n_components): c for c in choose(X, "nec").selection_.candidates}
    without = choose(X, "nec", ks=[2, 3]).selection_.candidates
    for c in without:
        one = with_one[c.family, 1].fit.log_likelihood
        assert c.criterion == pytest.approx(c.fit.entropy / (c.fit.log_likelihood - one), rel=1e-12)
    assert all(c.criterion == 1.0 for (_, K), c in with_one.items() if K == 1)


@pytest.mark.slow
def test_survey_weights_are_taken_at_their_effective_size():
    X, w = two_groups(120), np.random.default_rng(0).uniform(0.5, 4, 120)
    # No more components than groups: with more, several optima are nearly equal, and a search may
    # end at any of them.
    ones = choose(
        X, ks=(1, 2), sample_weight=w, sample_size="effective", folds=3
    ).selection_.candidates
    again = choose(
        X, ks=(1, 2), sample_weight=w * 1e5, sample_size="effective", folds=3
    ).selection_.candidates
    size = w.sum() ** 2 / (w**2).sum()
    for c, d in zip(ones, again, strict=True):
        expected = -2 * c.fit.log_likelihood * size / w.sum() + c.fit.n_parameters * np.log(size)
        assert c.criteria["bic"] == pytest.approx(expected, rel=1e-12)
        assert c.criteria["bic"] == pytest.approx(
            d.criteria["bic"], abs=0.02 * size / w.sum()
        )  # two fits of one optimum
    with pytest.raises(
        ValueError, match=r"sample_size must be 'total' or 'effective', but 'kish' came"
    ):
        choose(X, sample_size="kish")


# ---- cross-validation ----------------------------------------------------------------------------


def test_every_row_is_held_out_once_and_never_where_it_is_fitted():
    X, w = two_groups(103), np.random.default_rng(0).uniform(1, 2, 103)
    folds = folds_of(dataset(X, w), 10, SEED)
    held = np.concatenate([fold.held_out.X for fold in folds])
    assert sorted(map(tuple, held)) == sorted(map(tuple, X))
    assert np.concatenate([fold.held_out.weights for fold in folds]).sum() == pytest.approx(w.sum())
    for fold in folds:
        fitted = set(map(tuple, fold.training.source.X))
        assert len(fold.held_out.X) in (10, 11)
        assert len(fitted) + len(fold.held_out.X) == 103
        assert not fitted & set(map(tuple, fold.held_out.X))


@pytest.mark.parametrize("n_folds", [1, 104])
def test_too_few_or_many_folds_are_refused(n_folds):
    with pytest.raises(
        ValueError, match=rf"between 2 and the number of rows \(103\), but {n_folds} came"
    ):
        folds_of(dataset(two_groups(103)), n_folds, SEED)


def test_one_component_is_cross_validated_as_by_hand():
    X = two_groups(60, apart=1.0)
    # leave-one-out, so the folds do not depend on the seed
    selector = choose(X, "cv", ks=[1], families=["VVV"], folds=60)
    by_hand = 0.0
    for i in range(60):
        rest = np.delete(X, i, axis=0)
        by_hand -= 2 * multivariate_normal(rest.mean(axis=0), np.cov(rest.T, bias=True)).logpdf(
            X[i]
        )
    assert selector.selection_.best.criterion == pytest.approx(by_hand, rel=1e-11)


def test_cross_validation_changes_no_fit_and_prefers_no_spurious_component(cross_validated):
    plain = choose(two_groups(120)).selection_
    for one, other in zip(plain.candidates, cross_validated.selection_.candidates, strict=True):
        assert one.fit.trace == other.fit.trace
    assert cross_validated.selection_.choices()["cv"].n_components == 2
    assert "cv" not in plain.candidates[0].criteria


@pytest.mark.slow
def test_workers_change_no_cross_validation(cross_validated, monkeypatch):
    monkeypatch.setattr(loop, "SECONDS_WORTH_PROCESSES", 0.0)
    seen = []
    selector = GaussianMixtureSelector(
        [1, 2, 3], families=["EEE", "VVV"], folds=5, random_state=0, n_threads=2
    )
    selector.fit(two_groups(120), on_fold=seen.append)
    assert seen == [1, 2, 3, 4, 5]
    for one, other in zip(
        selector.selection_.candidates, cross_validated.selection_.candidates, strict=True
    ):
        assert one.criteria["cv"] == other.criteria["cv"]


def test_a_candidate_without_a_fit_in_some_fold_says_so():
    # without the 9 there are too few distinct values for three components
    X = np.repeat([0.0, 1.0, 2.0, 9.0], [20, 20, 20, 1])[:, None]
    selection = choose(X, "cv", families=["VVV"], folds=3).selection_
    assert selection.best.n_components < 3
    lost = next(c for c in selection.candidates if c.n_components == 3)
    assert isnan(lost.criterion)
    assert not lost.eligible
    assert any(
        "not cross-validated: without fold " in note and "3 distinct rows are too few" in note
        for note in lost.notes
    )


# ---- sentences -----------------------------------------------------------------------------------


COPIES = Soundness(np.array([2.0, 2.0]), np.array([50.0, 50.0]), 3, 6, 2, 100.0, copies=((0, 1),))
SPURIOUS = Soundness(np.array([14.0, 5.0]), np.array([4.0, 96.0]), 3, 6, 2, 100.0)


def candidate(
    family, K, log_likelihood, n_parameters, soundness=None, stop=StopReason.CONVERGED, reason=""
):
    mixture = Mixture(np.full(K, 1 / K), np.zeros((K, 1)), Spherical(np.ones(1), K, 1))
    values = (log_likelihood, 0.0, 0.0, 100.0, n_parameters)
    fit = FitResult(*values, family, mixture, (log_likelihood,), 1, stop, 0.0, soundness=soundness)
    return Candidate(family, K, fit, bic(fit), reason)


@pytest.mark.parametrize(
    ("gap", "word"),
    [
        (0.0, "weak"),
        (1.99, "weak"),
        (2.0, "positive"),
        (6.0, "strong"),
        (9.9, "strong"),
        (10.0, "very strong"),
        (1e9, "very strong"),
    ],
)
def test_the_words_of_kass_and_raftery(gap, word):
    assert strength_of(gap) == word


def test_the_runner_up_is_another_model_not_another_name():
    same = (candidate("EEE", 1, -100.0, 5), candidate("VVV", 1, -100.001, 5))
    assert Selection("bic", same).runner_up is None
    other = candidate("VVI", 2, -99.0, 7)
    selection = Selection("bic", (*same, other))
    assert selection.runner_up is other
    assert selection.gap == pytest.approx(2 * np.log(100) - 2)
    assert selection.strength == "strong"


def test_sentences_give_the_outcome_and_every_exclusion():
    selection = Selection(
        "bic",
        (
            candidate("EEE", 2, -100.0, 5),
            candidate("EEE", 3, -97.0, 7),
            *(
                candidate("VVV", K, 500.0, 9, COPIES, reason="copy: component 1: it is a copy")
                for K in (3, 5, 6, 7)
            ),
            Candidate("VVI", 4, None, float("nan"), "12 distinct rows are too few."),
            candidate(
                "VII", 2, -300.0, 5, stop=StopReason.MAX_ITER, reason=StopReason.MAX_ITER.value
            ),
        ),
    )
    best, runner_up, *others = selection.sentences
    assert best.startswith("Best by BIC: EEE with 2 components, 223.026")
    assert runner_up == (
        "Runner-up: EEE with 3 components, 3.210 higher: positive evidence for the winner (Kass & "
        "Raftery 1995)."
    )
    assert others[0].startswith(
        "1 of 8 candidates could not be fitted: VVI with 4. For example, VVI with 4 components: 12 "
        "distinct"
    )
    assert others[1].startswith(
        "4 of 8 candidates may not win: VVV with 3, 5-7. For example, VVV with 3 components: copy: "
    )
    assert others[2].startswith("1 of 8 candidates did not converge: VII with 2.")


def test_other_criteria_than_bic_have_no_word_of_kass_and_raftery():
    selection = choose(two_groups(120), "aic").selection_
    assert selection.strength == ""
    assert "Kass" not in " ".join(selection.sentences)


def test_a_selection_without_an_answer_says_so():
    lost = Selection("bic", (candidate("VVV", 2, 500.0, 9, COPIES),))
    assert lost.sentences[0] == "No candidate may win."
    assert isnan(lost.gap)


# ---- the bootstrap of a selection ----------------------------------------------------------------


def test_a_resample_has_the_total_weight_of_the_data():
    X, rng = two_groups(150), np.random.default_rng(0)
    plain = resampled(dataset(X), rng)
    assert plain.total == 150
    assert 80 < plain.source.n_rows < 110  # 63 % of 150, within three standard deviations
    counts = rng.integers(1, 5, 150).astype(float)
    assert resampled(dataset(X, counts), rng).total == counts.sum()
    fractions = rng.uniform(0, 1e-3, 150)
    assert resampled(dataset(X, fractions), rng).total == pytest.approx(fractions.sum())


def test_a_resample_has_the_effective_size_of_the_data():
    X, fractions = two_groups(150), np.random.default_rng(0).uniform(0.2, 3.0, 150)
    for weights in (None, fractions):
        data = dataset(X, weights)
        drawn = pickle.loads(pickle.dumps(resampled(data, np.random.default_rng(1))))
        assert drawn.effective_size == pytest.approx(data.effective_size)


def test_resamples_are_cross_validated_only_where_that_decides(monkeypatch):
    X = two_groups(80)
    selector = choose(X, ks=(1, 2), families=["EII"], folds=3)
    monkeypatch.setattr("mixtura.selection.select.folds_of", None)  # calling it would fail
    assert len(selector.bootstrap(X, n_resamples=2).winners) == 2


def test_a_clear_choice_wins_every_resample_and_says_so():
    selector = choose(two_groups(200, apart=12.0), families=["EEE"])
    seen = []
    uncertainty = selector.bootstrap(
        two_groups(200, apart=12.0), n_resamples=8, on_resample=seen.append
    )
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]
    assert uncertainty.shares_of_k[2] >= 0.75
    assert uncertainty.shares_of_family == {"EEE": 1.0}
    assert sum(uncertainty.shares_of_k.values()) == pytest.approx(1.0)
    assert uncertainty.sentence.startswith("On 8 bootstrap resamples, BIC chooses 2 components in ")
    assert "on the data: EEE with 2 components" in uncertainty.sentence
    assert uncertainty.rows()[0]["n_components"] == 2


def test_workers_change_no_resample(monkeypatch):
    X = two_groups(100, apart=2.5)
    selector = choose(X)
    selector.n_threads = 1
    alone = selector.bootstrap(X, n_resamples=6).winners
    monkeypatch.setattr(loop, "SECONDS_WORTH_PROCESSES", 0.0)
    selector.n_threads = 2
    assert selector.bootstrap(X, n_resamples=6).winners == alone
    monkeypatch.setattr(loop, "ROWS_WORTH_A_THREAD", 0)
    assert selector.bootstrap(X, n_resamples=6).winners == alone


@pytest.mark.parametrize("workers", ["none", "processes", "threads"])
def test_an_interrupt_keeps_the_resamples_that_are_done(monkeypatch, workers):
    if workers == "processes":
        monkeypatch.setattr(loop, "SECONDS_WORTH_PROCESSES", 0.0)
    if workers == "threads":
        monkeypatch.setattr(loop, "ROWS_WORTH_A_THREAD", 0)

    def stop(done):
        if done == 3:
            raise KeyboardInterrupt

    X = two_groups(100)
    selector = choose(X)
    selector.n_threads = 1 if workers == "none" else 2
    uncertainty = selector.bootstrap(X, n_resamples=12, on_resample=stop)
    assert uncertainty.interrupted
    assert 3 <= len(uncertainty.winners) <= 5
    assert "interrupted" in uncertainty.sentence


def test_the_grid_is_restricted_to_the_best_families_and_numbers():
    selection = choose(two_groups(120), ks=(1, 2, 3, 4), families=ALL_FAMILIES[:4]).selection_
    settings = SelectionSettings((1, 2, 3, 4), families=ALL_FAMILIES[:4])
    grid = grid_of(settings, *candidates_of(settings), 2)
    small = restricted(grid, selection, 2, 1)
    assert list(small.ks) == [selection.best.n_components]
    assert [family.name for family in small.families] == [
        name
        for name in ALL_FAMILIES
        if name in list(dict.fromkeys(c.family for c in selection.ranking))[:2]
    ]
    assert restricted(grid, selection, None, None).n_candidates == 16


def test_an_error_of_a_replicate_is_not_swallowed():
    def work(item, stopped):
        raise ArithmeticError(item)

    with pytest.raises(ArithmeticError):
        replicates(work, [1, 2, 3], dataset(two_groups(20)), 1)


def test_threads_lose_no_warning():
    X = np.arange(4.0)[:, None]
    selector = GaussianMixtureSelector(range(1, 11), families=["EEE", "VVV"], random_state=0)
    for _ in range(12):
        with pytest.warns(DegenerateWarning, match="spurious"):
            selector.fit(X)
