"""All that may be known of rows and parameters goes together: one test body for every pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from mixtura import ConjugatePrior, GaussianMixture, GaussianMixtureSelector, StudentTMixture
from mixtura.kernels import built

N, D = 90, 2


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Rows of two groups with a few of neither, and the group of each, -1 for none."""
    rng = np.random.default_rng(0)
    z = np.repeat([0, 1, -1], [42, 42, 6])
    X = rng.standard_normal((N, D)) + 5.0 * z[:, None]
    X[z < 0] = rng.uniform(-6, 11, (6, D))
    return X, z


X, Z = rows()
HOLES = X.copy()
HOLES[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
START = np.where(Z < 0, 0, Z)

PARTS: dict[str, dict] = {
    "missing": {"X": HOLES},
    "errors": {"measurement_covariance": np.linspace(0.02, 0.2, N)},
    "labels": {"labels": np.where(np.arange(N) % 4 == 0, Z, -1)},
    "weights": {"sample_weight": np.linspace(0.5, 2.0, N)},
    "float32": {"float32": True},
    "noise": {"noise": "box"},
    "t": {"t": True},
    "fixed weight": {"fixed_weights": [np.nan, 0.4]},
    "fixed mean": {"fixed_means": [[0.0, np.nan], [np.nan, np.nan]]},
    "prior": {"prior": ConjugatePrior()},
    "ridge": {"reg_covar": 0.05},
    "ratio": {"eigenvalue_ratio": 20.0},
    "equal weights": {"equal_weights": True},
    "EII": {"covariance_type": "EII"},
    "EEE": {"covariance_type": "EEE"},
    "VVI": {"covariance_type": "VVI"},
    "VEV": {"covariance_type": "VEV"},
}
OF_FIT = ("X", "measurement_covariance", "labels", "sample_weight")
FAMILIES = ("EII", "EEE", "VVI", "VEV")

REFUSED = {
    frozenset({"errors", "t"}): "no density in closed form",
    frozenset({"fixed weight", "equal weights"}): "equal_weights",
}
"""Pairs that exclude each other, with a word of the reason."""

PAIRS = [
    pair
    for pair in combinations(PARTS, 2)
    if not {*pair} <= {*FAMILIES}  # one family at a time
]


def fit_of(pair: tuple[str, ...], **more):
    """The fit of some parts together."""
    given = {key: value for part in pair for key, value in PARTS[part].items()}
    known = {key: given.pop(key) for key in OF_FIT if key in given}
    known.setdefault("X", X)
    if given.pop("float32", False):
        known["X"] = known["X"].astype(np.float32)
    kind = StudentTMixture if given.pop("t", False) else GaussianMixture
    settings = {"n_init": 1, "init_params": START, "random_state": 0} | given | more
    return kind(2, **settings).fit(**known), known


@pytest.mark.filterwarnings("ignore::mixtura.base.errors.DataWarning")
@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_every_pair_goes_together(pair):
    """The likelihood never falls, up to 1e-10 of it; the end is an optimum; both backends agree.

    They start at the same labels: after three iterations of plain EM their likelihoods agree to
    1e-8, the rounding of sums of 90 rows times the condition of the covariances.
    """
    if frozenset(pair) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[frozenset(pair)]):
            fit_of(pair)
        return
    model, known = fit_of(pair)
    gains = np.diff(model.lower_bounds_)
    assert (gains >= -1e-10 * abs(model.lower_bounds_[-1])).all()
    assert model.converged_, model.certificate_.verdict
    errors = known.get("measurement_covariance")
    shares = model.predict_proba(known["X"], measurement_covariance=errors)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
    if not built:
        return
    few = {"acceleration": None, "tol": 0.0, "max_iter": 3}
    with pytest.warns(match="did not converge"):
        native = fit_of(pair, backend="native", **few)[0]
    with pytest.warns(match="did not converge"):
        reference = fit_of(pair, backend="reference", **few)[0]
    ours, theirs = native.result_.trace[-1], reference.result_.trace[-1]
    assert ours == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "float32"])
def test_standard_errors_take_every_part(part):
    model, known = fit_of((part,))
    errors = model.standard_errors(known.pop("X"), **known)
    free = ~np.isclose(errors.means, 0.0)
    assert free.sum() == (3 if part == "fixed mean" else 4)
    assert (errors.means[free] < 1.0).all()


@pytest.mark.filterwarnings("ignore::mixtura.base.errors.DataWarning")
@pytest.mark.parametrize("part", [part for part in PARTS if part not in (*FAMILIES, "float32")])
def test_a_selection_takes_every_part(part):
    given = dict(PARTS[part])
    known = {key: given.pop(key) for key in OF_FIT if key in given}
    if given.pop("t", False):
        given["components"] = "t"
    choice = GaussianMixtureSelector([2, 3], families=["EEE", "VVV"], random_state=0, **given)
    choice.fit(known.pop("X", X), **known)
    assert choice.selection_.best.n_components in (2, 3)
    assert choice.best_estimator_.converged_


LIMITS = {
    "no missing entry": ({"X": X}, {}),
    "errors of zero": ({"measurement_covariance": np.zeros(N)}, {}),
    "no label": ({"labels": np.full(N, -1)}, {}),
    "weights of one": ({"sample_weight": np.ones(N)}, {}),
    "nothing fixed": ({}, {"fixed_means": np.full((2, D), np.nan)}),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_part_that_says_nothing_changes_nothing(limit):
    """To 1e-9: the same sums, perhaps in another order."""
    known, settings = LIMITS[limit]
    plain = GaussianMixture(2, n_init=1, init_params=START).fit(X)
    model = GaussianMixture(2, n_init=1, init_params=START, **settings).fit(**{"X": X} | known)
    np.testing.assert_allclose(model.means_, plain.means_, 1e-9)


def test_t_components_of_many_degrees_of_freedom_are_gaussian():
    """To 1e-3 of the spread, as 1e6 degrees leave differences of 1e-6 times squared distances."""
    gaussian = GaussianMixture(2, n_init=1, init_params=START).fit(X)
    t = StudentTMixture(2, degrees_of_freedom=1e6, n_init=1, init_params=START).fit(X)
    np.testing.assert_allclose(t.means_, gaussian.means_, atol=1e-3)


def test_all_parts_at_once():
    """Missing, labels, noise, weights, a fixed weight, float32 and a stricter family."""
    parts = ("missing", "labels", "noise", "weights", "fixed weight", "float32", "VVI")
    model, _ = fit_of(parts)
    assert model.converged_
    assert model.weights_[1] == pytest.approx(0.4)
