"""MixtureClassifier: classes with one Gaussian or a mixture each, and rows of unknown class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning

from conftest import ALL_FAMILIES, TRUTH, read_truth
from mixtura import GaussianMixture, MixtureClassifier

NAN = np.nan
STOPS_EARLY = {"EVE": 1e-3, "VVE": 0.3}
"""Posteriors of mclust differ by so much, since its M-steps of common axes stop before the maximum
(tests/truth/README.md).
"""


def labelled_data(name: str) -> tuple[dict, np.ndarray, np.ndarray]:
    truth = read_truth(f"da_{name}.json")
    lines = (TRUTH / "data" / f"{name}.csv").read_text().splitlines()[1:]
    cells, d = [line.split(",") for line in lines], truth["d"]
    X = np.array([[float(value) for value in row[:d]] for row in cells])
    return truth, X, np.array([row[d] for row in cells])


@pytest.fixture(scope="module", params=["diabetes", "banknote"])
def case(request):
    truth, X, y = labelled_data(request.param)
    known = np.array(truth["train_rows"])
    return truth, X, y, known, np.setdiff1d(np.arange(len(X)), known)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_one_gaussian_a_class_is_that_of_mclust(family, case):
    truth, X, y, known, new = case
    theirs = next(one for one in truth["edda_all_models"] if one["model"] == family)
    fit = MixtureClassifier(families=family).fit(X[known], y[known])
    density = fit.score_samples(X[known]).sum()
    tolerance = STOPS_EARLY.get(family, 1e-5)
    if family in STOPS_EARLY:
        shares = np.log(fit.class_prior_)
        ours = fit.log_likelihood_ - shares[np.searchsorted(fit.classes_, y[known])].sum()
        assert ours >= conditional(theirs, X[known], y[known]) - 1e-6
    else:
        assert density == pytest.approx(theirs["loglik"], rel=1e-6)
    assert fit.n_parameters_ - (len(fit.classes_) - 1) == pytest.approx(theirs["df"])
    posteriors = fit.predict_proba(X[new])[:5]
    np.testing.assert_allclose(posteriors, theirs["test_posterior_first5"], atol=tolerance)
    errors = (fit.predict(X[new]) != y[new]).mean()
    assert errors == pytest.approx(theirs["test_error"], abs=0.0 if tolerance < 0.1 else 0.03)


def conditional(theirs, X, y) -> float:
    """The log-likelihood of rows given their classes under mclust's parameters."""
    total = 0.0
    for one in theirs["class_fits"]:
        mixture = GaussianMixture.from_parameters([1.0], one["mean"], one["cov"])
        total += mixture.score_samples(X[y == one["class"]]).sum()
    return total


def test_bic_chooses_the_family_of_mclust(case):
    truth, X, y, known, new = case
    theirs = next(one for one in truth["fits"] if one["type"] == "EDDA")
    fit = MixtureClassifier().fit(X[known], y[known])
    assert fit.families_[0] == theirs["class_fits"][0]["model"]
    assert fit.predict(X[new]).tolist() == theirs["test_classification"]
    np.testing.assert_allclose(fit.predict_proba(X[new]), theirs["test_posterior"], atol=1e-3)


@pytest.mark.parametrize("name", ["diabetes", "banknote"])
@pytest.mark.parametrize("family", ["EEE", "VVV", "VVI"])
def test_rows_of_unknown_class_take_part_as_in_mclust(name, family):
    truth = read_truth(f"ssc_{name}.json")
    theirs = next(one for one in truth["fits"] if one["model"] == family)
    _, X, y = labelled_data(name)
    known = np.array([None if v in (None, "NA") else v for v in truth["known_label"]], dtype=object)
    unknown = known == np.array(None)
    fit = MixtureClassifier(families=family).fit(X, known)
    assert fit.log_likelihood_ >= theirs["loglik"] - 1e-4
    assert fit.log_likelihood_ == pytest.approx(theirs["loglik"], abs=1e-3)
    assert fit.n_parameters_ == theirs["df"]
    errors = (fit.predict(X[unknown]) != y[unknown]).mean()
    assert errors == pytest.approx(theirs["error_unlabelled"])


@pytest.mark.parametrize(
    ("family", "peer"),
    [
        ("EEE", LinearDiscriminantAnalysis()),
        ("VVV", QuadraticDiscriminantAnalysis()),
    ],
)
def test_two_families_are_discriminant_analysis(family, peer, iris):
    X, y = iris
    ours = MixtureClassifier(families=family).fit(X, y)
    theirs = peer.fit(X, y)
    assert (ours.predict(X) != theirs.predict(X)).sum() <= 1
    means = np.concatenate([one.means for one in ours.mixtures_])
    np.testing.assert_allclose(means, theirs.means_)
    # scikit-learn divides scatter by n - 1, so posteriors are near, not equal
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=0.03)


# ---- laws ----------------------------------------------------------------------------------------


def test_the_m_step_is_where_em_ends(iris):
    """A weight of nearly nothing in a row of unknown class sends the same rows through EM."""
    X, y = iris
    for family in ("VEI", "VVE", "EEV", "VVV"):
        step = MixtureClassifier(families=family).fit(X, y)
        unknown = np.append(y.astype(float), NAN)
        weights = np.append(np.ones(len(y)), 1e-9)
        em = MixtureClassifier(families=family).fit(np.vstack([X, X[:1]]), unknown, weights)
        assert em.log_likelihood_ == pytest.approx(step.log_likelihood_, abs=1e-3)
        np.testing.assert_allclose(em.predict_proba(X), step.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("model", ["EDDA", "MclustDA"])
def test_a_weight_of_two_is_a_repeated_row(model, iris):
    X, y = iris
    settings = {"model": model, "families": ["VVI", "EEE"], "n_components": 1}
    weights = np.ones(len(y))
    weights[::3] = 2.0
    one = MixtureClassifier(**settings).fit(X, y, weights)
    other = MixtureClassifier(**settings).fit(
        np.concatenate([X, X[::3]]), np.concatenate([y, y[::3]])
    )
    assert one.bic_ == pytest.approx(other.bic_, rel=1e-9)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-9)


def test_a_mixture_a_class_finds_the_parts_of_a_class():
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(-4, 1, (80, 2)), rng.normal(4, 1, (80, 2))])
    one = rng.normal(0, 1, (80, 2))
    X, y = np.concatenate([two, one]), np.repeat(["outside", "inside"], [160, 80])
    settings = {"families": ["EII", "VVV"], "random_state": 0}
    mixture = MixtureClassifier(model="MclustDA", n_components=(1, 2, 3), **settings).fit(X, y)
    assert mixture.classes_.tolist() == ["inside", "outside"]
    assert mixture.n_components_.tolist() == [1, 2]
    assert mixture.bic_ < MixtureClassifier(**settings).fit(X, y).bic_
    assert mixture.score(X, y) > 0.97
    levels = [
        one.best.fit.log_likelihood + n * np.log(n / 240)
        for one, n in zip(mixture.selections_, (80, 160), strict=True)
    ]
    assert mixture.log_likelihood_ == pytest.approx(sum(levels))


def test_unknown_rows_help_a_mixture_a_class():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(c, 1, (150, 1)) for c in (-6, 0, 6)])
    y = np.repeat([0.0, 1.0, 0.0], 150)
    known = np.full(450, NAN)
    for begin in (0, 150, 300):
        known[begin : begin + 12] = y[begin : begin + 12]
    settings = {"model": "MclustDA", "families": "EII", "n_components": (1, 2), "random_state": 0}
    few = MixtureClassifier(**settings).fit(X[~np.isnan(known)], known[~np.isnan(known)])
    all_rows = MixtureClassifier(**settings).fit(X, known)
    assert all_rows.n_components_.tolist() == [2, 1]
    np.testing.assert_allclose(all_rows.class_prior_, [2 / 3, 1 / 3], atol=0.01)
    truth = [np.sort(one.means.ravel()) for one in all_rows.mixtures_]
    np.testing.assert_allclose(truth[0], [-6, 6], atol=0.25)
    assert all_rows.score(X, y) >= few.score(X, y)
    joint = np.log(all_rows.class_prior_) + np.stack(
        [one.log_density(X) for one in all_rows.mixtures_], axis=1
    )
    named = ~np.isnan(known)
    level = joint[named, known[named].astype(int)].sum()
    level += np.logaddexp.reduce(joint[~named], axis=1).sum()
    assert all_rows.log_likelihood_ == pytest.approx(level, rel=1e-12)


@pytest.mark.parametrize("model", ["EDDA", "MclustDA"])
@pytest.mark.parametrize("max_iter", [1, 2])
def test_em_with_unknown_rows_that_max_iter_ends_warns(model, max_iter):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(c, 1, (150, 1)) for c in (0, 2)])
    y = np.full(300, NAN)
    y[:20], y[-20:] = 0.0, 1.0
    settings = {"model": model, "families": "VII", "n_components": 1, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="The chosen model is not converged: max_iter"):
        few = MixtureClassifier(max_iter=max_iter, **settings).fit(X, y)
    assert few.n_iter_ == max_iter
    fit = MixtureClassifier(**settings).fit(X, y)  # a warning would be an error
    assert 2 < fit.n_iter_ < 2000
    assert fit.log_likelihood_ > few.log_likelihood_


@pytest.mark.filterwarnings("ignore::mixtura.base.errors.DataWarning")
def test_missing_entries_in_fit_and_prediction(iris):
    X, y = iris
    holes = X.copy()
    holes[np.random.default_rng(0).random(X.shape) < 0.15] = NAN
    holes[0] = NAN
    fit = MixtureClassifier(families="EEE").fit(holes, y)
    posteriors = fit.predict_proba(holes)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0)
    np.testing.assert_allclose(posteriors[0], fit.class_prior_)
    assert fit.score(holes, y) > 0.9
    complete = ~np.isnan(holes[:, 2:]).any(axis=1)
    alone = MixtureClassifier(families="EEE").fit(X[:, 2:], y)
    part = np.where(np.arange(4) < 2, NAN, X)
    both = MixtureClassifier(families="EEE").fit(X, y)
    # rows of two columns have the posteriors of the classes' marginals
    np.testing.assert_allclose(
        both.predict_proba(part)[complete], alone.predict_proba(X[:, 2:])[complete], atol=1e-8
    )


def test_probabilities_are_calibrated_on_rows_of_the_model():
    """Of rows with a probability of about 0.7 for a class, about 0.7 are of that class."""
    rng = np.random.default_rng(2)
    y = rng.random(4000) < 0.4
    X = (
        rng.standard_normal((4000, 2)) * np.where(y, 1.5, 1.0)[:, None]
        + np.where(y, 1.5, 0.0)[:, None]
    )
    p = MixtureClassifier().fit(X[:2000], y[:2000]).predict_proba(X[2000:])[:, 1]
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        near = (p >= low - 0.1) & (p < low + 0.1)
        error = np.sqrt(p[near].mean() * (1 - p[near].mean()) / near.sum())
        assert abs(y[2000:][near].mean() - p[near].mean()) < 3.5 * error


# ---- classes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "unknown", "settings"),
    [
        ([-1, 1], NAN, {}),
        ([0, 1], -1, {"unlabeled": -1}),
        (["a", "b"], None, {}),
        (["a", "b"], "?", {"unlabeled": "?"}),
        ([False, True], None, {}),
        ([2.0, 7.0], NAN, {}),
    ],
)
def test_unknown_is_never_a_class(names, unknown, settings):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (40, 1)), rng.normal(5, 1, (40, 1))])
    y = [*[names[0]] * 20, *[unknown] * 20, *[names[1]] * 20, *[unknown] * 20]
    fit = MixtureClassifier(families="EII", **settings).fit(X, y)
    assert fit.classes_.tolist() == names
    assert fit.predict([[0.0], [5.0]]).tolist() == names
    assert np.linalg.norm(fit.class_prior_ - 0.5) < 0.02


def test_minus_one_is_a_class_like_any_other():
    X = np.arange(12.0)[:, None]
    fit = MixtureClassifier(families="EII").fit(X, [-1] * 6 + [1] * 6)
    assert fit.classes_.tolist() == [-1, 1]


def test_pandas_classes_with_na():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": np.arange(12.0)})
    y = pandas.Series([0] * 5 + [None] + [1] * 6, dtype="Int64")
    fit = MixtureClassifier(families="EII").fit(X, y)
    assert fit.classes_.tolist() == [0, 1]
    assert fit.feature_names_in_.tolist() == ["a"]


def test_priors_move_the_border(iris):
    X, y = iris
    usual = MixtureClassifier().fit(X, y)
    equal = MixtureClassifier(priors="equal").fit(X, y)
    rare = MixtureClassifier(priors=[0.98, 0.01, 0.01]).fit(X, y)
    np.testing.assert_allclose(usual.class_prior_, 1 / 3)
    np.testing.assert_allclose(equal.predict_proba(X), usual.predict_proba(X))
    assert (rare.predict_proba(X)[:, 0] >= usual.predict_proba(X)[:, 0]).all()
    assert rare.bic_ == usual.bic_  # priors are for predictions alone


def test_a_family_that_a_small_class_does_not_determine_is_listed():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((63, 3))
    y = np.array(["many"] * 60 + ["few"] * 3)
    fit = MixtureClassifier(families=["EEE", "VVV"]).fit(X, y)
    reasons = {one.family: one.reason for one in fit.selections_[0].candidates}
    assert fit.families_[0] == "EEE"
    assert reasons["VVV"] == "the rows of class 'few' do not determine its covariance"


def test_a_class_without_a_mixture_has_the_gaussian_of_all():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((60, 2)), np.full((6, 2), 3.0)])
    y = np.repeat([0, 1], [60, 6])
    fit = MixtureClassifier(model="MclustDA", families=["EII", "VVV"], random_state=0).fit(X, y)
    assert fit.n_components_[1] == 1
    np.testing.assert_allclose(fit.mixtures_[1].means, [[3.0, 3.0]])
    assert fit.score(X, y) == 1.0


def test_a_class_in_a_plane_has_no_full_covariance():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 3))
    X[:60, 2] = X[:60, 0] + X[:60, 1]
    y = np.repeat(["flat", "round"], 60)
    fit = MixtureClassifier(families=["EEE", "VVI", "VVV"]).fit(X, y)
    reasons = {one.family: one.reason for one in fit.selections_[0].candidates}
    assert "class 'flat'" in reasons["VVV"]
    assert fit.families_[0] in ("EEE", "VVI")


# ---- refusals ------------------------------------------------------------------------------------

REFUSED = {
    "no y": ({}, None, "requires y"),
    "length": ({}, [0, 1], "one class for each of the 12 rows"),
    "unknown alone": ({}, [NAN] * 12, "at least one row"),
    "numbers": ({}, np.linspace(0.1, 0.9, 12), "Unknown label type"),
    "infinity": ({}, [np.inf] * 6 + [0.0] * 6, "infinity"),
    "model": ({"model": "QDA"}, [0, 1] * 6, "'EDDA' or 'MclustDA'"),
    "priors": ({"priors": [0.5, 0.6]}, [0, 1] * 6, "sum to one"),
    "prior names": ({"priors": "flat"}, [0, 1] * 6, "'equal'"),
    "families": ({"families": []}, [0, 1] * 6, "at least one"),
    "family": ({"families": "VXV"}, [0, 1] * 6, "not a known family"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_impossible_is_refused(name):
    settings, y, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        MixtureClassifier(**settings).fit(np.arange(24.0).reshape(12, 2) ** 2, y)
