"""Rows dealt out one by one: the same in both languages, sound groups, and what exchanges of components do not find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mixtura import GaussianMixture
from mixtura import annealing as module
from mixtura.annealing import Deal, annealed, dealt
from mixtura.extension import extension
from mixtura.moments import Scatter
from mixtura.moves import MOVES, Depth

FORMS = [Scatter.DENSE, Scatter.DIAGONAL, Scatter.TRACE]


def deal_of(X, K, form=Scatter.DENSE, needed=None, weights=None, narrowest=1e-6):
    d = X.shape[1]
    needed = (d + 1 if form is Scatter.DENSE else 2) if needed is None else needed
    return Deal(X, np.ones(len(X)) if weights is None else weights, K, form, needed, np.full(d, narrowest))


def level(deal, labels):
    return sum(group.level(deal.form) for group in deal.groups(labels))


@pytest.mark.skipif(extension is None, reason="built without a C++ compiler")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_rows_are_dealt_out_the_same_in_both_languages(form, d):
    rng = np.random.default_rng(d)
    X = rng.standard_normal((40, d)) @ rng.standard_normal((d, d))
    deal = deal_of(X, 4, form, weights=rng.integers(1, 4, 40).astype(float), narrowest=0.01)
    labels, numbers = rng.permutation(40) % 4, rng.random((1_500, 3))
    ours, theirs = dealt(deal, labels, numbers), module._native(deal, labels, numbers)
    assert not np.array_equal(ours, labels)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("form", FORMS)
def test_a_group_with_and_without_a_row_is_the_group_of_those_rows(form):
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((12, 3)), rng.integers(1, 4, 12).astype(float)
    deal = deal_of(X, 1, form, weights=weights)
    whole, without = deal._group(np.arange(12) < 12), deal._group(np.arange(12) < 11)
    for one, other in [(without.with_row(X[11], weights[11]), whole), (whole.with_row(X[11], -weights[11]), without)]:
        assert (one.size, one.weight) == (other.size, pytest.approx(other.weight))
        np.testing.assert_allclose(one.mean, other.mean, rtol=0, atol=1e-13)
        np.testing.assert_allclose(one.scatter, other.scatter, rtol=0, atol=1e-12)
        assert one.level(form) == pytest.approx(other.level(form), abs=1e-10)


def test_the_level_is_the_likelihood_of_the_partition():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 2))
    labels = rng.permutation(30) % 3
    whole = 0.0
    for k in range(3):
        own = X[labels == k]
        covariance = np.cov(own.T, bias=True)
        centred = own - own.mean(axis=0)
        squares = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred)
        whole += float((np.log(len(own)) - 0.5 * (squares + np.linalg.slogdet(covariance)[1])).sum())
    # what is the same for every partition is left out of it: n d / 2
    assert level(deal_of(X, 3), labels) == pytest.approx(whole + 30 * 2 / 2, abs=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_no_group_is_smaller_or_narrower_than_it_may_be(form):
    rng = np.random.default_rng(2)
    X = np.round(rng.standard_normal((36, 2)), 1)
    X = np.unique(X, axis=0)
    deal = deal_of(X, 4, form, narrowest=0.02)
    for seed in range(5):
        labels = annealed(deal, np.random.default_rng(seed))
        for group in deal.groups(labels):
            assert group.size >= deal.needed
            assert np.linalg.eigvalsh(form.shaped(group.scatter / group.weight)).min() > 0.02


def test_a_row_of_weight_two_is_a_repeated_row():
    rng = np.random.default_rng(3)
    X, weights = rng.standard_normal((20, 2)), rng.integers(1, 3, 20).astype(float)
    labels = rng.permutation(20) % 2
    times = weights.astype(int)
    twice = deal_of(np.repeat(X, times, axis=0), 2)
    assert level(deal_of(X, 2, weights=weights), labels) == pytest.approx(level(twice, np.repeat(labels, times)), abs=1e-10)


def test_the_unit_of_weights_changes_nothing():
    rng = np.random.default_rng(4)
    deal = deal_of(rng.standard_normal((30, 2)), 3)
    small = replace(deal, weights=deal.weights / 1024, unit=1 / 1024)  # a power of two: the same digits
    np.testing.assert_array_equal(annealed(deal, np.random.default_rng(0)), annealed(small, np.random.default_rng(0)))


def test_too_few_rows_are_not_dealt_out():
    assert annealed(deal_of(np.random.default_rng(0).standard_normal((11, 2)), 4), np.random.default_rng(0)) is None
    flat = np.column_stack([np.arange(20.0), np.zeros(20)])
    assert annealed(deal_of(flat, 4), np.random.default_rng(0)) is None


def needles(seed, n=5, groups=4):
    """Groups of few rows that cross each other, each along a line of its own."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for k in range(groups):
        direction = rng.standard_normal(3)
        rows.append(rng.standard_normal((n, 1)) * direction / np.linalg.norm(direction) + 0.02 * rng.standard_normal((n, 3)))
        truth += [k] * n
    return np.vstack(rows), np.array(truth)


@pytest.mark.skipif(extension is None, reason="its loop takes seconds in Python")
def test_groups_that_cross_each_other_are_found():
    """At least as likely a partition as the one the rows were drawn from."""
    for seed in range(4):
        X, truth = needles(seed, n=7)
        deal = deal_of(X, 4)
        found = [level(deal, annealed(deal, np.random.default_rng(draw))) for draw in range(20)]
        assert max(found) >= level(deal, truth) - 1e-9


def test_only_a_cramped_search_deals_out_rows():
    assert [name for name, kind in MOVES.items() if kind.depth is Depth.CRAMPED] == ["anneal"]
    depths = [kind.depth for kind in MOVES.values()]
    assert depths == sorted(depths)  # what is drawn from is a prefix of them


@pytest.mark.parametrize(("family", "n", "deals"), [("VVV", 7, True), ("VVV", 30, False), ("VEE", 7, False), ("EEE", 7, False)])
def test_a_search_deals_out_rows_where_they_are_few_for_its_components(family, n, deals):
    X, _ = needles(0, n=n)
    fit = GaussianMixture(4, covariance_type=family, random_state=0).fit(X)
    assert any(run.kind == "anneal" for run in fit.start_report_.runs) is deals
