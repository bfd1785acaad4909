"""A component that comes in alone: its gain, in both languages, and what it finds that no neighbourhood holds."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import ALL_BACKENDS, survey
from mixtura import insertions as module
from mixtura.degeneracy import surely_degenerate
from mixtura.em import em
from mixtura.extension import extension
from mixtura.families import FAMILIES
from mixtura.initialisers import KMeansStart
from mixtura.insertions import Flat, drawn_flat, finds, near_flat, settle
from mixtura.moments import Scatter
from mixtura.moves import insert
from mixtura.regularisation import Regularisation
from mixtura.view import Finds, Part, View


def view_of(X, K=2, family="VVV", weights=None) -> View:
    data, law = survey(X, weights), FAMILIES[family]
    regularisation = Regularisation(data.scale)
    fit = em(data, KMeansStart()(data, K, np.random.default_rng(0)), law, regularisation)
    fewest, narrowest = surely_degenerate(law, regularisation, data)
    return View.of(data, fit.mixture, form=law.needs, fewest=fewest, narrowest=narrowest)


def log_density_of(part: Part, X: np.ndarray) -> np.ndarray:
    white = np.linalg.solve(np.linalg.cholesky(part.covariance), (X - part.mean).T)
    return -0.5 * ((white**2).sum(axis=0) + np.linalg.slogdet(2 * np.pi * part.covariance)[1])


@pytest.mark.skipif(extension is None, reason="built without a C++ compiler")
@pytest.mark.parametrize("family", ["VII", "VVI", "VVV"])
def test_a_component_settles_at_the_same_place_in_both_languages(faithful, family):
    weights = np.random.default_rng(1).integers(0, 3, len(faithful)).astype(float)
    view = view_of(faithful, family=family, weights=weights)
    rng = np.random.default_rng(0)
    starts = [drawn_flat(view, rng) for _ in range(60)]
    starts += [Part(*group.part(c)) for group, c in view.next_clumps(0, 40)]
    pairs = [(module._native(view, view.without(0), start), module._settled(view, view.without(0), start)) for start in starts]
    assert all((ours is None) == (theirs is None) for ours, theirs in pairs)
    kept = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    assert len(kept) > 20
    for ours, theirs in kept:
        # C++ leaves out rows whose share is under exp(-25): 272 of them make 4e-9 of gain, and a few times that in the next step
        assert ours.gain == pytest.approx(theirs.gain, rel=1e-6, abs=1e-6)
        np.testing.assert_allclose(ours.part.mean, theirs.part.mean, rtol=1e-5)


def test_the_gain_is_that_of_the_mixture_with_one_more_component(faithful):
    view = view_of(faithful)
    start = Part(20.0, faithful[5], np.cov(faithful.T) / 10)
    find = settle(view, view.log_density, start)
    assert find is not None
    a = find.part.weight / view.total
    whole = np.logaddexp(np.log1p(-a) + view.log_density, np.log(a) + log_density_of(find.part, faithful))
    assert find.gain == pytest.approx((whole - view.log_density).sum(), abs=1e-8)
    before = start.weight / view.total
    begin = np.logaddexp(np.log1p(-before) + view.log_density, np.log(before) + log_density_of(start, faithful))
    assert find.gain >= (begin - view.log_density).sum()


def test_a_flat_finds_a_line_of_rows_that_no_neighbourhood_holds():
    rng = np.random.default_rng(0)
    along = np.linspace(-8.0, 8.0, 12)
    line = np.column_stack([along, 0.5 * along]) + 0.004 * rng.standard_normal((12, 2))
    X = np.vstack([rng.standard_normal((300, 2)) * [4.0, 3.0], line])
    view = view_of(X, 1)
    part = near_flat(view, Flat((300, 311), (), 12))
    assert part is not None
    assert part.weight == 12
    (find,) = finds_alone(view, Flat((302, 309), (), 12))
    assert find.part.weight == pytest.approx(12, abs=1.0)
    slope = np.linalg.eigh(find.part.covariance)[1][:, -1]
    assert abs(slope[1] / slope[0]) == pytest.approx(0.5, abs=0.01)  # 0.004 over 16 is far less
    clumps = finds_alone(view, *(Part(*group.part(c)) for group, c in view.next_clumps(0, 10_000)))
    assert find.gain > max(each.gain for each in clumps) + 10


def finds_alone(view: View, *starts: Flat | Part):
    """Beside all of the mixture, not in the place of one."""
    view._without[0,] = view.log_density
    return finds(view, 0, starts)


def test_a_component_that_shrinks_below_what_its_family_needs_is_no_find(faithful):
    view = view_of(np.round(faithful * [4.0, 0.5]))
    assert finds_alone(view, Part(2.0, view.rows[0], np.diag(view.survey.variances) * 1e-6)) == []


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_rows_without_spread_are_no_start(backend):
    X = np.vstack([np.random.default_rng(0).standard_normal((30, 2)), np.ones((10, 2))])
    view = View.of(survey(X, backend=backend), view_of(X).mixture)
    assert near_flat(view, Flat((35,), (), 1)) is None
    assert finds_alone(view, Flat((35,), (), 5)) == []


def test_flats_of_families_without_directions_run_along_axes_or_nowhere(faithful):
    rng = np.random.default_rng(0)
    for family, seeds in (("VII", {1}), ("VVI", {1}), ("VVV", {2})):
        view = view_of(faithful, family=family)
        flats = [drawn_flat(view, rng) for _ in range(50)]
        assert {len(flat.seeds) for flat in flats} == seeds
        assert any(flat.axes for flat in flats) == (view.form is Scatter.DIAGONAL)


def test_an_insertion_takes_each_find_once_and_families_of_one_covariance_make_none(faithful):
    view, rng = view_of(faithful, 3), np.random.default_rng(0)
    moved = [departure for departure in (insert(view, rng) for _ in range(15)) if departure is not None]
    gains = [departure.arrivals[0].mean.tobytes() for departure in moved]
    assert len(set(gains)) == len(gains) > 5
    shared = View.of(view.survey, view.mixture, own=False)
    assert insert(shared, rng) is None


def test_finds_of_equal_gain_are_one():
    part = Part(1.0, np.zeros(1), np.eye(1))
    found = Finds()
    found.keep([(3.0, part), (5.0, part), (3.0005, part), (4.0, part)])
    assert [gain for gain, _ in found.waiting] == [5.0, 4.0, 3.0]
