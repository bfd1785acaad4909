"""Groups of rows in line: the same in both languages, and those that nothing else finds."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import alignments as module
from mixtura.alignments import KEPT, Field, Judge, alignments_of, kinds_of, laid
from mixtura.clumps import Distinct
from mixtura.extension import extension
from mixtura.moments import Scatter

FORMS = [Scatter.DENSE, Scatter.DIAGONAL, Scatter.TRACE]


def found(X, form=Scatter.DENSE, needed=None, weights=None, resolution=0.0):
    weights = np.ones(len(X)) if weights is None else weights
    d = X.shape[1]
    needed = (d + 1 if form is Scatter.DENSE else 2) if needed is None else needed
    covariance = np.atleast_2d(np.cov(X.T))
    return alignments_of(X, weights, covariance, np.diag(covariance), np.full(d, resolution), form, needed, 1e-11)


def members(groups, c):
    return set(groups.near[c][groups.near_weights[c] > 0].tolist())


def with_a_line(n=120, m=6, thin=1e-3, seed=0):
    rng = np.random.default_rng(seed)
    along = np.linspace(-3.0, 3.0, m)
    return np.vstack(
        [rng.standard_normal((n, 2)) * [2.0, 1.0], np.column_stack([along, 0.3 * along]) + thin * rng.standard_normal((m, 2))]
    )


@pytest.mark.skipif(extension is None, reason="built without a C++ compiler")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_groups_are_the_same_in_both_languages(form, d, monkeypatch):
    monkeypatch.setattr(module, "LOOKS", 1_000)
    rng = np.random.default_rng(d)
    X = rng.standard_normal((70, d)) @ rng.standard_normal((d, d))
    own = Distinct.of(X, rng.integers(0, 3, len(X)).astype(float))
    covariance = np.atleast_2d(np.cov(X.T))
    field = Field.of(own, np.diag(covariance), covariance)
    n, d = own.rows.shape
    judge = Judge(form, d + 2, 3 * (d + 1) + 1, np.full(d, 0.05), 1e-11)
    for kind in kinds_of(n, d, judge):
        (ours, our_rows), (theirs, their_rows) = laid(field, kind, judge), module._native(field, kind, judge)
        assert len(ours) == len(theirs) <= KEPT * len(kind.pivots)
        first, second = (
            {tuple(rows.astype(int)): gain for gain, rows in zip(*one, strict=True)}
            for one in ((ours, our_rows), (theirs, their_rows))
        )
        assert first.keys() == second.keys()
        for rows, gain in first.items():
            assert second[rows] == pytest.approx(gain, abs=1e-8)


def test_the_rows_of_a_line_are_among_the_best_groups():
    groups = found(with_a_line(m=7, thin=1e-4))
    assert groups is not None
    assert set(range(120, 127)) in [members(groups, c) for c in range(20)]  # others lack some of them


def test_a_gain_is_less_than_that_of_the_mixture_with_one_more_component():
    X = with_a_line()
    groups = found(X)
    assert groups is not None
    centred = X - X.mean(axis=0)
    covariance = centred.T @ centred / len(X)
    before = gaussian(X, X.mean(axis=0), covariance)
    for c, gain in enumerate(groups.gains(before)[:50]):
        a, mean, spread = groups.part(c)[0] / len(X), *groups.part(c)[1:]
        after = np.logaddexp(np.log1p(-a) + before, np.log(a) + gaussian(X, mean, spread))
        assert gain <= (after - before).sum() + 1e-8


def gaussian(X, mean, covariance):
    white = np.linalg.solve(np.linalg.cholesky(covariance), (X - mean).T)
    return -0.5 * ((white**2).sum(axis=0) + np.linalg.slogdet(2 * np.pi * covariance)[1])


def test_rows_on_one_value_are_no_group():
    """They are narrower than the resolution, and a component of them would be degenerate."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal(150), rng.integers(0, 12, 150)])
    groups = found(X, resolution=0.0)
    assert groups is not None  # slightly tilted
    coarse = alignments_of(X, np.ones(150), np.cov(X.T), np.var(X, axis=0), np.array([0.0, 1.0]), Scatter.DENSE, 3, 1e-11)
    assert coarse is not None
    deviations = X.std(axis=0)
    values, axes = np.linalg.eigh(coarse.covariances / np.outer(deviations, deviations))
    assert (np.sqrt(values) >= np.abs(axes[:, 1]) / deviations[1] * (1 - 1e-9)).all()
    assert groups.own.max() > coarse.own.max()


@pytest.mark.parametrize("form", FORMS)
def test_a_group_has_more_rows_than_a_component_needs(form):
    groups = found(with_a_line(), form, needed=3)
    assert groups is not None
    assert ((groups.near_weights > 0).sum(axis=1) > 3).all()


def test_few_rows_have_no_groups():
    assert found(np.random.default_rng(0).standard_normal((6, 2))) is None


def test_a_repeated_row_weighs_twice():
    X = with_a_line()
    twice = found(np.vstack([X, X]))
    weighed = found(X, weights=np.full(len(X), 2.0))
    assert twice is not None
    assert weighed is not None
    np.testing.assert_allclose(twice.own, weighed.own)


@pytest.mark.parametrize("d", [2, 4, 5, 60])
def test_of_many_axes_not_all_subsets_are_tried(d):
    judge = Judge(Scatter.DIAGONAL, 3, 3 * (d + 1) + 1, np.zeros(d), 0.0)
    (kind,) = kinds_of(500, d, judge)
    assert len({tuple(axes) for axes in kind.axes.tolist()}) == len(kind.axes) == (2**d - 1 if d <= 4 else 2 * d + 1)
    assert kind.axes.sum(axis=1).max() == d - 1
