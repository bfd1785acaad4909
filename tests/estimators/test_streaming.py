"""``partial_fit``: laws of online EM, convergence, drift, what rows are, bad input."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import mixtura
from mixtura import DataError, GaussianMixture, StudentTMixture
from mixtura.em.online import step_of
from mixtura.families import FAMILIES


def batches(X: np.ndarray, size: int) -> list[np.ndarray]:
    return [X[begin : begin + size] for begin in range(0, len(X), size)]


def groups(n: int, seed: int = 0, d: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    return 6.0 * np.eye(3, d)[z] + rng.standard_normal((n, d)), z


@pytest.mark.parametrize("family", FAMILIES)
def test_one_component_is_that_of_all_rows(family: str) -> None:
    """With power 1 every row weighs the same, so the average is that of all rows."""
    X, _ = groups(1200)
    model = GaussianMixture(1, covariance_type=family)
    for batch in batches(X, 170):
        model.partial_fit(batch, step_power=1.0)
    whole = GaussianMixture(1, covariance_type=family).fit(X)
    # eight sums of 150 rows in another order: rounding of some 1e-15
    np.testing.assert_allclose(model.means_, whole.means_, rtol=1e-12)
    np.testing.assert_allclose(model.covariances_, whole.covariances_, rtol=1e-10)
    assert model.n_rows_seen_ == 1200


@pytest.mark.parametrize("power", [0.6, 0.8, 1.0])
def test_two_batches_weigh_as_much_as_one_of_both(power: float) -> None:
    two = 1.0 - (1.0 - step_of(3.0, 0.7, power)) * (1.0 - step_of(3.7, 2.0, power))
    assert two == pytest.approx(step_of(3.0, 2.7, power), rel=1e-12)


def test_a_step_is_the_power_of_the_number_of_the_batch() -> None:
    assert step_of(1000.0, 1.0, 0.7) == pytest.approx(1000.0**-0.7, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_stream_ends_near_the_optimum_of_all_rows(family: str) -> None:
    X, _ = groups(15_000)
    model = GaussianMixture(3, covariance_type=family, component_order="weight", random_state=0)
    for batch in batches(X, 500):
        model.partial_fit(batch)
    whole = GaussianMixture(3, covariance_type=family, random_state=0).fit(X)
    # At an optimum p / 2 = 9 of the log-likelihood are chance; the stream remembers
    # 500 * 30^0.7 = 5,400 rows of 15,000, so it loses up to three times as much, and its own.
    assert (whole.score(X) - model.score(X)) * len(X) < 60.0


def test_a_moving_group_is_followed() -> None:
    rng = np.random.default_rng(1)
    model, steady = (GaussianMixture(2, random_state=0) for _ in range(2))
    for t in np.linspace(0.0, 10.0, 200):
        still = rng.standard_normal((100, 2))
        moving = rng.standard_normal((100, 2)) + np.array([t, 8.0])
        model.partial_fit(np.concatenate([still, moving]), forgetting=0.998)
        steady.partial_fit(np.concatenate([still, moving]), step_power=1.0)
    moved, behind = (one.means_[one.means_[:, 1].argmax(), 0] for one in (model, steady))
    # 500 rows are 2.5 batches, in which the group moves by 0.13
    assert abs(moved - 10.0) < 0.5
    assert behind < 7.0  # the mean of its way


def test_a_weight_of_two_is_a_repeated_row() -> None:
    X, _ = groups(600)
    first, second = X[:300], X[300:]
    weights = np.where(np.arange(300) < 100, 2.0, 1.0)
    one = GaussianMixture(3, random_state=0).partial_fit(first).partial_fit(second, None, weights)
    other = GaussianMixture(3, random_state=0).partial_fit(first)
    other.partial_fit(np.concatenate([second, second[:100]]))
    np.testing.assert_allclose(one.means_, other.means_, rtol=1e-10)
    np.testing.assert_allclose(one.covariances_, other.covariances_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(3, noise="box", random_state=0),
        StudentTMixture(3, random_state=0),
        GaussianMixture(3, covariance_type="VVE", prior="conjugate", random_state=0),
        GaussianMixture(3, reg_covar=1e-3, random_state=0),
    ],
    ids=["noise", "t", "prior", "ridge"],
)
def test_streams_of_other_models(model: GaussianMixture) -> None:
    X, _ = groups(6000)
    X[::50] *= 5.0
    X[1::20, 0] = np.nan
    model = mixtura_clone(model)
    for batch in batches(X, 600):
        model.partial_fit(batch)
    assert np.isfinite(model.means_).all()
    clean = groups(600, seed=5)
    labels = model.predict(clean[0])
    shares = [np.bincount(labels[(clean[1] == k) & (labels >= 0)]).max() for k in range(3)]
    assert sum(shares) > 0.9 * 600


def mixtura_clone(model: GaussianMixture) -> GaussianMixture:
    return type(model)(**model.get_params())


def test_a_fitted_or_loaded_model_goes_on(tmp_path: Path) -> None:
    X, _ = groups(4000)
    fitted = GaussianMixture(3, random_state=0).fit(X[:1000])
    mixtura.save(fitted, tmp_path / "model.safetensors")
    loaded = mixtura.load(tmp_path / "model.safetensors")
    for batch in batches(X[1000:], 500):
        fitted.partial_fit(batch)
        loaded.partial_fit(batch)
    np.testing.assert_allclose(loaded.means_, fitted.means_, rtol=1e-10)
    assert fitted.n_rows_seen_ == 500 + 3000
    for name in ("result_", "certificate_", "converged_", "n_iter_"):
        assert not hasattr(fitted, name)
    assert np.isfinite(fitted.bic(X))
    copy = pickle.loads(pickle.dumps(fitted)).partial_fit(X[:100])
    np.testing.assert_array_equal(copy.means_, fitted.partial_fit(X[:100]).means_)


def test_parameters_that_a_user_set_are_where_a_stream_goes_on() -> None:
    X, _ = groups(900)
    model = GaussianMixture(3, random_state=0).partial_fit(X[:300]).partial_fit(X[300:600])
    moved = model.means_ + 0.3
    model.means_ = moved
    model.partial_fit(X[600:])
    assert model.n_rows_seen_ == 600  # as a new stream
    assert np.abs(model.means_ - moved).max() > 0.01


def test_the_same_bits_for_any_number_of_threads() -> None:
    X, _ = groups(50_000)
    one, two = (GaussianMixture(3, random_state=0, n_threads=threads) for threads in (1, 2))
    for batch in batches(X, 25_000):
        one.partial_fit(batch)
        two.partial_fit(batch)
    np.testing.assert_array_equal(one.means_, two.means_)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"forgetting": 1.0}, "between 0 and 1"),
        ({"forgetting": -0.5}, "between 0 and 1"),
        ({"forgetting": True}, "between 0 and 1"),
        ({"step_power": 0.5}, "above 0.5"),
        ({"step_power": 2.0}, "at most 1"),
    ],
)
def test_steps_that_make_no_stream_are_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2).partial_fit(groups(30)[0], **given)


def test_batches_that_cannot_be_read_leave_the_model_as_it_was() -> None:
    X, _ = groups(300)
    model = GaussianMixture(3, random_state=0).partial_fit(X)
    means = model.means_.copy()
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :1])
    with pytest.raises(ValueError, match="infinity"):
        model.partial_fit([[np.inf, 0.0]])
    with pytest.raises(DataError, match="at least one row"):
        model.partial_fit(np.empty((0, 2)))
    np.testing.assert_array_equal(model.means_, means)
    assert model.n_rows_seen_ == 300


def test_another_number_of_components_is_refused() -> None:
    X, _ = groups(300)
    model = GaussianMixture(3, random_state=0).partial_fit(X).set_params(n_components=4)
    with pytest.raises(ValueError, match="the stream has 3"):
        model.partial_fit(X)


def test_a_first_batch_with_too_few_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="n_components"):
        GaussianMixture(5).partial_fit(groups(3)[0])
