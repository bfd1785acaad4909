"""Moves away from an optimum: never lower, the same for any number of workers, and nothing is lost by a collapse."""

from __future__ import annotations

import time

import numpy as np
import pytest

from conftest import survey
from frame.sets import data_set
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.arrivals import moments_after
from mixtura.clumps import clumps_of
from mixtura.degeneracy import surely_degenerate
from mixtura.exchange import exchange
from mixtura.families import FAMILIES, family_named
from mixtura.mixture import log_density
from mixtura.moves import MOVES
from mixtura.regularisation import Regularisation
from mixtura.runs import Effort, Plan
from mixtura.search import DEFAULT_STARTS, draw_starts, search, start_report
from mixtura.start_report import Run, RunEnd, StartReport
from mixtura.stopping import RemainingGain
from mixtura.view import View

BRIEF = Effort(fits=0.0, least=2e6, patience=10)


def found(X, K, family="VVV", effort=BRIEF, workers=1, floor=1e-12):
    data = survey(X)
    starts = draw_starts(DEFAULT_STARTS, data, K, np.random.SeedSequence(1))
    plan = Plan(RemainingGain(), 2000, screened=True, workers=workers, accelerated=True, effort=effort)
    return search(data, starts, FAMILIES[family], Regularisation(data.scale, floor=floor), plan, seed=np.random.SeedSequence(1))


def view_of(X, K, weights=None, **settings):
    least = dict(
        zip(("fewest", "narrowest"), surely_degenerate(FAMILIES["VVV"], Regularisation(np.ones(2)), survey(X)), strict=True)
    )
    return View.of(survey(X, weights), found(X, K, effort=None, **settings).best.mixture, **least)


# ---- the search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(FAMILIES))
def test_moves_never_end_lower_than_the_race_alone(faithful, name):
    race, moved = found(faithful, 4, name, effort=None), found(faithful, 4, name)
    assert moved.best.log_likelihood >= race.best.log_likelihood - 0.01  # the same optimum, polished from another side
    assert not moved.best.degenerate
    assert any(run.moved for run in moved.runs)
    assert not any(run.moved for run in race.runs)


def test_the_number_of_workers_changes_no_move(faithful):
    one, two = found(faithful, 4), found(faithful, 4, workers=2)
    assert one.best.trace == two.best.trace
    assert [(run.kind, run.n_iter, run.end) for run in one.runs] == [(run.kind, run.n_iter, run.end) for run in two.runs]


def test_one_seed_gives_the_same_bits_with_one_and_two_threads(faithful):
    one, two = (GaussianMixture(5, random_state=3, n_threads=threads).fit(faithful) for threads in (1, 2))
    assert np.array_equal(one.means_, two.means_)
    assert one.start_report_.runs == two.start_report_.runs


def test_a_collapse_in_a_move_loses_nothing(faithful):
    free = found(np.round(faithful), 6, floor=0.0)
    assert np.isfinite(free.best.log_likelihood)


def test_a_planted_collapse_in_one_of_ten_starts_loses_nothing(faithful):
    X = np.concatenate([faithful, np.repeat(faithful[:1], 30, axis=0)])  # one start sits on 31 equal rows and shrinks to a point
    data = survey(X)
    starts = draw_starts([kind for kind in DEFAULT_STARTS for _ in range(2)][:9], data, 2, np.random.SeedSequence(1))
    planted = starts[0].of_labels(X, (X[0] == X).all(axis=1).astype(int), None, starts[0].about, starts[0].kind)
    plan = Plan(RemainingGain(), 2000, screened=False, accelerated=True)
    free = Regularisation(data.scale, floor=0.0)
    alone = search(data, starts, FAMILIES["VVV"], free, plan).best
    among = search(data, [planted, *starts], FAMILIES["VVV"], free, plan)
    assert among.best.log_likelihood == alone.log_likelihood
    assert len(among.fits) == 10


def test_the_stretched_groups_are_found_from_starts_that_cut_them_across():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((450, 2)) * [40.0, 1.0] + np.repeat([[0.0, 0.0], [0.0, 7.0], [0.0, 14.0]], 150, axis=0)
    fit = GaussianMixture(3, random_state=0).fit(X)
    assert np.allclose(np.sort(fit.means_[:, 1]), [0.0, 7.0, 14.0], atol=0.5)  # five standard errors of a mean of 150 rows
    assert GaussianMixtureSelector(range(1, 6), families=["VVV"], random_state=0).fit(X).selection_.best.n_components == 3


def test_many_components_at_the_wrong_places_are_exchanged_at_once():
    rng = np.random.default_rng(2)
    centres = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), -1).reshape(-1, 2) * 12
    X = np.repeat(centres, 60, axis=0) + rng.standard_normal((1500, 2))
    truth = GaussianMixture(25, means_init=centres, random_state=0).fit(X).result_.log_likelihood
    for seed in range(3):
        assert GaussianMixture(25, random_state=seed).fit(X).result_.log_likelihood > truth - 0.01


def test_from_five_components_on_a_doubled_one_is_exchanged_before_any_move():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [30.0, 0.0], [60.0, 0.0], [90.0, 0.0], [120.0, 0.0], [126.0, 0.0]])
    X = np.repeat(centres, 200, axis=0) + rng.standard_normal((1200, 2))
    labels = np.repeat([0, 1, 2, 3, 4, 4], 200)
    labels[:200] = np.where(X[:200, 1] > 0, 5, 0)
    data = survey(X)
    some = draw_starts(DEFAULT_STARTS[:1], data, 6, np.random.SeedSequence(1))[0]
    planted = some.of_labels(X, labels, None, some.about, some.kind)
    plan = Plan(RemainingGain(), 2000, screened=True, accelerated=True, effort=Effort(fits=0.0, least=0.0, patience=0))
    moved = search(data, [planted], FAMILIES["VVV"], Regularisation(data.scale), plan)
    assert [run.kind for run in moved.runs if run.moved] == ["exchange"]
    assert np.allclose(np.sort(moved.best.mixture.means[:, 0]), centres[:, 0], atol=0.5)  # seven standard errors


def test_an_optimum_that_degenerates_at_its_very_end_does_not_bar_the_way():
    """With this seed one was held for the best that lost a component when it was polished, and what was left was 11 lower."""
    X = data_set("eurounemp").rows
    assert GaussianMixture(5, random_state=5).fit(X).result_.log_likelihood > -180.0


def test_a_time_limit_ends_the_moves(faithful):
    begin = time.monotonic()
    fit = GaussianMixture(6, random_state=0, time_limit=0.0).fit(faithful)
    assert time.monotonic() - begin < 60
    assert fit.start_report_.n_moves == 0
    with pytest.raises(ValueError, match="time_limit must be a number of at least 0"):
        GaussianMixture(2, time_limit=-1.0).fit(faithful)


def test_named_starts_and_single_ones_make_no_moves(faithful):
    for settings in ({"n_init": 1}, {"n_init": 3}, {"init_params": "kmeans"}, {"means_init": faithful[:2]}):
        assert GaussianMixture(2, random_state=0, **settings).fit(faithful).start_report_.n_moves == 0


def test_the_work_of_many_rows_is_some_plain_fits_and_that_of_few_a_number_of_moves():
    effort = Effort(fits=2.0, least=1e6)
    assert effort.work(100_000, 3, 20) == 2.0 * 20 * 100_000 * 3
    assert effort.work(100, 2, 1) == pytest.approx(1e6 * 0.99)
    assert Effort(fits=2.0, size=10.0).work(10_000, 3, 20) == 2.0 * 20 * 100_000 * 3  # a tenth of the rows


def test_an_optimum_that_drawn_rows_find_again_and_again_is_soon_believed(faithful):
    patient, assured = (found(faithful, 2, effort=Effort(patience=300, assured=few)) for few in (300, 20))
    assert assured.best.log_likelihood == patient.best.log_likelihood
    moves = [sum(run.moved for run in result.runs) for result in (patient, assured)]
    assert moves[0] >= 600
    assert moves[1] < 300
    assert Effort().patience_after(0, 3) == 3 * Effort().patience


# ---- what moves read ---------------------------------------------------------------------------------------------------


def test_a_weight_of_two_is_a_repeated_row_in_the_scores_of_moves(faithful):
    fit = found(faithful, 3, effort=None).best
    weighted = View.of(survey(faithful, np.full(len(faithful), 2.0)), fit.mixture)
    repeated = View.of(survey(np.repeat(faithful, 2, axis=0)), fit.mixture)
    for score in ("losses", "overlaps", "misfits"):
        np.testing.assert_allclose(getattr(weighted, score), getattr(repeated, score), rtol=1e-9, atol=1e-9)  # sums of 544 terms


def test_a_loss_is_what_the_others_alone_describe_worse(faithful):
    view = view_of(faithful, 3)
    for k, loss in enumerate(view.losses):
        others = np.delete(view.log_joint, k, axis=1) - np.log1p(-view.mixture.weights[k])
        assert loss == pytest.approx((view.log_density - np.maximum(log_density(others), -1e9)).sum(), rel=0.2)


@pytest.mark.parametrize("name", list(MOVES))
def test_a_move_gives_as_many_components_that_hold_all_that_they_should(faithful, name):
    view = view_of(faithful, 4)
    rng = np.random.default_rng(0)
    drawn = [departure for departure in (MOVES[name][0](view, rng) for _ in range(20)) if departure is not None]
    moved = [moments for moments in (moments_after(view, departure) for departure in drawn) if moments is not None]
    assert moved
    assert {departure.name for departure in drawn} == {name}
    for moments in moved:
        assert moments.n_components == 4
        assert (moments.counts > 0).all()
        assert (np.linalg.eigvalsh(moments.scatter) > 0).all()


def test_the_gain_of_a_clump_is_a_lower_bound_of_what_its_insertion_gains(faithful):
    view = view_of(faithful, 2)
    for group in clumps_of(view.rows, view.weights, view.survey.covariance):
        gains = group.gains(view.log_density)
        for c in np.argsort(-gains)[:3]:
            part = min(group.weights[c] / group.total, 0.5)
            white = np.linalg.solve(np.linalg.cholesky(group.covariances[c]), (faithful - group.means[c]).T)
            density = -0.5 * ((white**2).sum(axis=0) + np.linalg.slogdet(2 * np.pi * group.covariances[c])[1])
            whole = np.logaddexp(np.log1p(-part) + view.log_density, np.log(part) + density)
            assert gains[c] <= (whole - view.log_density).sum() + 1e-9


def test_an_exchange_moves_a_doubled_component_to_where_two_groups_share_one():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [30.0, 0.0], [60.0, 0.0], [66.0, 0.0]])
    X = np.repeat(centres, 200, axis=0) + rng.standard_normal((800, 2))
    labels = np.repeat([0, 1, 2, 2], 200)
    labels[:200] = np.where(X[:200, 1] > 0, 3, 0)
    wrong = GaussianMixture(4, init_params=labels, n_init=1, random_state=0).fit(X)
    data = survey(X)
    found = exchange(data, wrong.mixture_, family_named("VVV"), Regularisation(data.scale), np.random.default_rng(0))
    assert found is not None
    assert found.sure
    assert np.allclose(np.sort(found.moments.means[:, 0]), centres[:, 0], atol=1.0)


# ---- the report --------------------------------------------------------------------------------------------------------


def test_the_report_counts_the_runs_that_came_to_rest_at_each_optimum(faithful):
    report = GaussianMixture(4, random_state=0).fit(faithful).start_report_
    assert report.n_starts == len(DEFAULT_STARTS)
    reached = [run.level for run in report.runs if run.end is RunEnd.REACHED]
    assert sum(o.n_starts + o.n_moves for o in report.optima) <= len(reached)
    assert report.optima[0].n_starts + report.optima[0].n_moves == sum(level > report.levels[0] - report.same for level in reached)
    assert [o.gap for o in report.optima] == sorted(o.gap for o in report.optima)
    assert report.optima[0].gap == 0.0
    assert report.optima[0].agreement == 1.0
    assert report.rows()[0]["log_likelihood"] == report.optima[0].log_likelihood


def test_full_runs_are_all_counted_and_the_sentence_says_so(faithful):
    report = GaussianMixture(3, covariance_type="EEE", n_init=7, random_state=0).fit(faithful).start_report_
    assert report.n_starts == 7
    assert report.sentence.startswith(f"The best optimum was reached by {report.optima[0].n_starts} of 7 starts; ")
    assert sum(report.ends.values()) == 7


def test_the_sentence_counts_starts_and_moves_and_names_the_next_optimum():
    here, there = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    starts = [Run("random", False, level, 9, RunEnd.REACHED) for level in (-10.0, -45.2)]
    moves = [Run("split", True, -10.0, 9, RunEnd.REACHED), Run("split", True, -60.0, 3, RunEnd.DROPPED)]
    two = StartReport((*starts, *moves), 4, 4, (-10.0, -45.2), (here, there), 0.01)
    reached = "The best optimum was reached by 1 of 2 starts and 1 of 2 moves; "
    assert two.sentence == reached + "the next is 35.2 lower (its partition agrees by -0.50)."
    one = StartReport((starts[0], *moves), 4, 4, (-10.0,), (here,), 0.01)
    assert one.sentence == "The best optimum was reached by 1 of 1 start and 1 of 2 moves; no run came to rest at another."


def test_a_report_of_a_sample_is_at_the_size_of_all_rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30_000, 2)) + 8 * rng.integers(0, 3, (30_000, 1))
    fit = GaussianMixture(3, random_state=0).fit(X)
    assert fit.start_report_.n_rows < fit.start_report_.n_all == 30_000
    assert fit.start_report_.sentence.startswith("On a sample of 3,000 of 30,000 rows, the best optimum was reached by ")
    # the mean log density of 3,000 rows has a standard error of about 1.2 / sqrt(3000), 0.5 % of it
    assert fit.start_report_.optima[0].log_likelihood == pytest.approx(fit.result_.log_likelihood, rel=0.03)


def test_a_search_without_a_sound_end_says_so():
    X = np.repeat(np.arange(6.0), 20)[:, None]
    result = found(X, 5, effort=None)
    report = start_report(result, survey(X), len(X))
    if not report.optima:
        assert report.sentence == "None of 8 starts came to rest without a degenerate component."
    else:
        assert not result.best.degenerate
