"""The one rule for degenerate components, case by case."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import survey, two_groups
from mixtura.covariance import Dense, Diagonal, Spherical
from mixtura.degeneracy import degenerate_components, has_copies
from mixtura.families import FAMILIES
from mixtura.mixture import Mixture
from mixtura.regularisation import Regularisation


def reasons(X, mixture, family, **settings):
    data = survey(X)
    return {
        d.component: d.reason
        for d in degenerate_components(mixture, FAMILIES[family], Regularisation(data.scale, **settings), data)
    }


def test_a_healthy_mixture_has_none():
    X = two_groups(400)
    mixture = Mixture(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [6.0, 6.0]]), Dense(np.stack([np.eye(2)] * 2), 2))
    assert reasons(X, mixture, "VVV") == {}


def test_a_covariance_at_the_floor_is_degenerate_also_when_it_is_shared():
    X = two_groups(400)
    flat = np.diag([1.0, 1e-12])
    mixture = Mixture(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [6.0, 6.0]]), Dense(flat[None], 2))
    assert "floor" in reasons(X, mixture, "EEE")[0]


def test_a_component_on_one_recorded_value_is_degenerate_and_a_change_of_units_changes_nothing():
    X = np.round(np.random.default_rng(0).standard_normal((500, 1)), 1)
    for unit in (1.0, 1e-6):
        mixture = Mixture(
            np.array([0.9, 0.1]), np.array([[0.0], [0.1]]) * unit, Spherical(np.array([1.0, 0.05**2]) * unit**2, 2, 1)
        )
        assert list(reasons(X * unit, mixture, "VII")) == [1]
        assert "repeated values" in reasons(X * unit, mixture, "VII")[1]


def test_the_resolution_counts_only_where_values_repeat():
    X = np.random.default_rng(0).standard_normal((500, 1))
    mixture = Mixture(np.array([0.9, 0.1]), np.array([[0.0], [0.1]]), Spherical(np.array([1.0, 0.05**2]), 2, 1))
    assert reasons(X, mixture, "VII") == {}


def test_copies_of_one_row_count_once():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((100, 2)), np.repeat([[9.0, 9.0], [9.4, 9.1]], 40, axis=0)])
    mixture = Mixture(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [9.2, 9.05]]), Dense(np.stack([np.eye(2), np.eye(2) * 0.1]), 2))
    assert "2.0 distinct rows where 3 are needed" in reasons(X, mixture, "VVV")[1]
    diagonal = Mixture(mixture.weights, mixture.means, Diagonal(np.array([[1.0, 1.0], [0.1, 0.1]]), 2))
    assert reasons(X, diagonal, "VVI") == {}


def test_weights_do_not_make_one_row_many():
    X = np.concatenate([two_groups(200)[:100], [[30.0, 30.0]]])
    weights = np.r_[np.ones(100), 50.0]
    data = survey(X, weights)
    mixture = Mixture(np.array([0.6, 0.4]), np.array([[0.0, 0.0], [30.0, 30.0]]), Dense(np.stack([np.eye(2)] * 2), 2))
    found = degenerate_components(mixture, FAMILIES["VVV"], Regularisation(data.scale), data)
    assert [d.component for d in found] == [1]


def test_copies_are_found_and_near_copies_are_not():
    means = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    covariance = Dense(np.stack([np.eye(2)] * 3), 3)
    assert has_copies(Mixture(np.full(3, 1 / 3), means, covariance))
    means[2, 0] = 1e-3
    assert not has_copies(Mixture(np.full(3, 1 / 3), means, covariance))


@pytest.mark.parametrize("kind", ["sound", "rounded", "spike", "few"])
def test_a_sample_acquits_only_whom_all_rows_acquit(kind, monkeypatch):
    """Many rows: with a sample as witness, and with all rows sorted."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30_000, 2))
    X[:15_000] += 6.0
    if kind == "rounded":
        X = np.round(X, 1)
    elif kind == "spike":
        X[:15_000] = [6.0, 6.0]
    elif kind == "few":
        X[15_000:] += 20.0
        X[:15_000] = X[rng.integers(2, size=15_000)]
    second = np.eye(2) * (1e-4 if kind in ("spike", "few") else 1.0)
    mixture = Mixture(
        np.array([0.5, 0.5]), np.array([X[15_000:].mean(axis=0), X[:15_000].mean(axis=0)]), Dense(np.stack([np.eye(2), second]), 2)
    )

    def found():
        data = survey(X)
        return degenerate_components(mixture, FAMILIES["VVV"], Regularisation(data.scale), data)

    by_sample = found()
    monkeypatch.setattr("mixtura.survey.WITNESSES", 10**9)
    assert by_sample == found()
    assert bool(by_sample) == (kind in ("spike", "few"))
