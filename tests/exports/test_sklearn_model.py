"""Mixtures to scikit-learn and back."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as Sklearn

from conftest import ALL_FAMILIES, two_groups
from exporting import mixture_of, rows_of
from mixtura import GaussianMixture, StudentTMixture
from mixtura.exports.described import DescribedMixture
from mixtura.exports.sklearn_model import sklearn_model

KINDS = {"EII": "spherical", "VII": "spherical", "EEE": "tied"} | dict.fromkeys(
    ("EEI", "VEI", "EVI", "VVI"), "diag"
)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_every_family_has_the_same_densities_there(family, faithful):
    model = GaussianMixture(2, covariance_type=family, n_init=1, random_state=0).fit(faithful)
    theirs = model.to_sklearn()
    assert theirs.covariance_type == KINDS.get(family, "full")
    np.testing.assert_allclose(
        theirs.score_samples(faithful), model.score_samples(faithful), rtol=1e-11
    )
    np.testing.assert_allclose(
        theirs.predict_proba(faithful), model.predict_proba(faithful), atol=1e-11
    )
    assert theirs.converged_ == model.converged_
    assert theirs.n_iter_ == model.n_iter_
    assert theirs.lower_bound_ == model.lower_bound_
    assert theirs.sample(5)[0].shape == (5, 2)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_all_attributes_are_those_of_a_fit_by_scikit_learn(kind):
    X = two_groups(d=3)
    fitted = Sklearn(2, covariance_type=kind, random_state=0).fit(X)
    made = GaussianMixture.from_sklearn(fitted).to_sklearn()
    assert set(vars(fitted)) == set(vars(made))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        ours, theirs = getattr(made, name), getattr(fitted, name)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert made.get_params()["covariance_type"] == kind


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("K", [1, 3])
def test_a_mixture_of_scikit_learn_has_the_same_answers_here(kind, K):
    X = two_groups(d=3)
    theirs = Sklearn(K, covariance_type=kind, random_state=0).fit(X)
    ours = GaussianMixture.from_sklearn(theirs)
    assert ours.covariance_type == kind
    np.testing.assert_array_equal(ours.means_, theirs.means_)
    np.testing.assert_array_equal(ours.covariances_, theirs.covariances_)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-11)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-11)
    assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-11)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_bayesian_mixture_is_read_by_its_estimates(kind):
    X = two_groups(d=2)
    theirs = BayesianGaussianMixture(n_components=3, covariance_type=kind, random_state=0).fit(X)
    ours = GaussianMixture.from_sklearn(theirs)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-14)
    plug_in = Sklearn(3, covariance_type=kind)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(plug_in, name, getattr(theirs, name))
    np.testing.assert_allclose(ours.score_samples(X), plug_in.score_samples(X), rtol=1e-11)


def test_names_of_columns_go_both_ways():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(two_groups(), columns=["a", "b"])
    ours = GaussianMixture.from_sklearn(Sklearn(2, random_state=0).fit(frame))
    assert ours.feature_names_in_.tolist() == ["a", "b"]
    assert ours.to_sklearn().feature_names_in_.tolist() == ["a", "b"]
    assert ours.to_sklearn().predict(frame).shape == (200,)


def test_parameters_that_nothing_was_fitted_to():
    known = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], 1.0, covariance_type="EII")
    theirs = known.to_sklearn()
    assert theirs.covariances_.tolist() == [1.0, 1.0]
    assert not theirs.converged_
    assert np.isnan(theirs.lower_bound_)
    np.testing.assert_allclose(theirs.predict_proba([[2.0]]), 0.5, rtol=1e-15)


def test_what_scikit_learn_does_not_have_is_refused():
    for mixture, what in (
        (mixture_of("VVV", t=True), "t components"),
        (mixture_of("VVV", noise=True), "a noise term"),
    ):
        with pytest.raises(ValueError, match=f"this mixture has {what}.*to_json"):
            sklearn_model(DescribedMixture(mixture, "VVV"))


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match=r"fitted GaussianMixture or Bayesian.*a list came"):
        GaussianMixture.from_sklearn([1, 2])
    with pytest.raises(NotFittedError):
        GaussianMixture.from_sklearn(Sklearn(2))
    fitted = Sklearn(1).fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match=r"StudentTMixture cannot be.*Read them with Gaussian"):
        StudentTMixture.from_sklearn(fitted)


def test_a_mixture_far_away_keeps_its_digits():
    mixture = mixture_of("VVV", offset=1e6)
    rows = rows_of(mixture)
    theirs = sklearn_model(DescribedMixture(mixture, "VVV"))
    # scikit-learn subtracts W mean from W x: 1e6 loses six of sixteen digits.
    np.testing.assert_allclose(theirs.score_samples(rows), mixture.log_density(rows), rtol=1e-6)
