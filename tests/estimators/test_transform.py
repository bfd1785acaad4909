"""Memberships as features, random rows of one component, and the order of components."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from scipy.stats import chi2, kstest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from conftest import three_round_clusters, two_groups
from mixtura import GaussianMixture, GaussianMixtureSelector, StudentTMixture
from mixtura.model.component_order import ComponentSort

MIXTURES = [
    GaussianMixture(2, random_state=0),
    GaussianMixture(2, noise="auto", random_state=0),
    StudentTMixture(2, random_state=0),
    GaussianMixtureSelector((1, 2), families=["EEE"], random_state=0),
]


@pytest.fixture
def frame(faithful):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(faithful, columns=["eruptions", "waiting"])


def known_mixture() -> GaussianMixture:
    return GaussianMixture.from_parameters(
        [0.2, 0.5, 0.3],
        [[0.0, 5.0], [4.0, 1.0], [0.0, 2.0]],
        [[[2.0, 0.7], [0.7, 1.0]], np.eye(2), np.eye(2)],
        random_state=0,
    )


# ---- transform -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda one: type(one).__name__)
def test_transform_gives_the_memberships(mixture, faithful):
    rows = mixture.fit_transform(faithful)
    np.testing.assert_array_equal(rows, mixture.predict_proba(faithful))
    np.testing.assert_array_equal(rows, mixture.transform(faithful))
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-12)
    names = mixture.get_feature_names_out().tolist()
    prefix = type(mixture).__name__.lower()
    noise = [f"{prefix}_noise"] if getattr(mixture, "noise", None) else []
    assert names == [f"{prefix}0", f"{prefix}1", *noise]
    assert len(names) == rows.shape[1]


def test_fit_transform_knows_weights_and_labels(faithful):
    weights = np.arange(len(faithful)) % 3
    labels = np.where(faithful[:, 0] > 3, 1, -1)
    given = {"sample_weight": weights, "labels": labels}
    a = GaussianMixture(3, random_state=0).fit_transform(faithful, **given)
    b = GaussianMixture(3, random_state=0).fit(faithful, **given)
    np.testing.assert_array_equal(a, b.transform(faithful))


def test_single_precision_stays_single(faithful):
    rows = faithful.astype(np.float32)
    assert GaussianMixture(2, random_state=0).fit_transform(rows).dtype == np.float32


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_memberships_are_named_columns_of_a_frame(output, frame):
    library = pytest.importorskip(output)
    mixture = GaussianMixture(2, noise="auto", random_state=0).set_output(transform=output)
    given = frame if output == "pandas" else library.from_pandas(frame)
    made = mixture.fit_transform(given)
    assert isinstance(made, library.DataFrame)
    assert list(made.columns) == ["gaussianmixture0", "gaussianmixture1", "gaussianmixture_noise"]
    np.testing.assert_array_equal(made.to_numpy(), mixture.predict_proba(given))


def test_names_of_other_columns_are_refused(frame):
    mixture = GaussianMixture(2, random_state=0).fit(frame)
    with pytest.raises(ValueError, match="input_features"):
        mixture.get_feature_names_out(["waiting", "eruptions"])
    with pytest.raises(NotFittedError):
        GaussianMixture(2).get_feature_names_out()


def test_memberships_are_features_of_a_classifier():
    X, y = load_iris(return_X_y=True)
    mixture = GaussianMixture(3, covariance_type="EEE", random_state=0)
    chain = make_pipeline(StandardScaler(), mixture, LogisticRegression(C=100))
    # The memberships alone name 145 to 149 rows of iris rightly; without any, a third is right.
    assert cross_val_score(chain, X, y, cv=5).mean() > 0.9


def test_a_row_without_values_has_the_weights(faithful):
    mixture = GaussianMixture(2, random_state=0).fit(faithful)
    np.testing.assert_allclose(mixture.transform([[np.nan, np.nan]])[0], mixture.weights_)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mixture",
    [GaussianMixture(2, noise="box", n_init=1, random_state=0), StudentTMixture()],
    ids=lambda one: type(one).__name__,
)
def test_the_checks_of_transformers_pass(mixture):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = estimator_checks.check_estimator(mixture, on_fail=None, on_skip=None)
    assert [
        (r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"
    ] == []
    assert "check_transformer_general" in {
        r["check_name"] for r in results if r["status"] == "passed"
    }


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_global_set_output_transform_polars,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("mixture", MIXTURES[:3], ids=lambda one: type(one).__name__)
def test_the_further_checks_of_transformers_pass(check, mixture):
    mixture = clone(mixture).set_params(covariance_type="diag")  # 20 rows are few for full ones
    with warnings.catch_warnings():  # some rows come without the names of their columns
        warnings.simplefilter("ignore", UserWarning)
        check(type(mixture).__name__, mixture)


# ---- sample --------------------------------------------------------------------------------------


def test_the_seed_of_the_call_overrides_that_of_the_mixture():
    mixture = known_mixture()
    own, again, other = mixture.sample(50), mixture.sample(50), mixture.sample(50, random_state=1)
    np.testing.assert_array_equal(own[0], again[0])
    assert (own[0] != other[0]).any()
    np.testing.assert_array_equal(other[0], mixture.sample(50, random_state=1)[0])
    generator = np.random.RandomState(1)
    first, second = (mixture.sample(50, random_state=generator)[0] for _ in range(2))
    assert (first != second).any()


def test_rows_are_sorted_by_component_as_in_scikit_learn():
    _, labels = known_mixture().sample(500, random_state=0)
    assert (np.diff(labels) >= 0).all()
    assert set(labels.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("component", [0, np.int64(2)])
def test_rows_of_one_component_have_its_distribution(component):
    mixture = known_mixture()
    rows, labels = mixture.sample(4000, random_state=0, component=component)
    assert (labels == component).all()
    centred = rows - mixture.means_[component]
    precision = np.linalg.inv(mixture.covariances_[component])
    squared = np.einsum("ij,jk,ik->i", centred, precision, centred)
    # A fixed seed; of all seeds, one in a thousand is below 1e-3.
    assert kstest(squared, chi2(2).cdf).pvalue > 1e-3
    assert kstest(centred[:, 0] / np.sqrt(mixture.covariances_[component][0, 0]), "norm").pvalue > (
        1e-3
    )


def test_rows_of_a_t_component_have_its_tails():
    mixture = StudentTMixture.from_parameters(
        [0.5, 0.5], [[0.0], [50.0]], [4.0, 1.0], [3.0, 30.0], covariance_type="spherical"
    )
    rows, _ = mixture.sample(4000, random_state=0, component=0)
    assert kstest(rows[:, 0] / 2.0, "t", args=(3.0,)).pvalue > 1e-3


def test_rows_of_the_noise_are_in_its_box(faithful):
    noisy = np.vstack([faithful, np.random.default_rng(0).uniform([1, 40], [6, 100], (60, 2))])
    mixture = GaussianMixture(2, noise="box", random_state=0).fit(noisy)
    rows, labels = mixture.sample(500, random_state=0, component=-1)
    assert (labels == -1).all()
    assert (rows >= noisy.min(axis=0) - 1e-9).all()
    assert (rows <= noisy.max(axis=0) + 1e-9).all()
    one, _ = mixture.sample(500, random_state=0, component=1)
    assert np.abs(one.mean(axis=0) - mixture.means_[1]).max() < 3.0  # sd 6 of 500 rows: 0.27


@pytest.mark.parametrize("component", [3, -1, -2, True, 0.5, "first"])
def test_a_component_that_does_not_exist_is_named(component):
    with pytest.raises(ValueError, match=r"from 0 to 2; there is no noise, but .* came"):
        known_mixture().sample(5, component=component)


@pytest.mark.parametrize("n", [1.5, True, "3"])
def test_a_number_of_rows_is_a_whole_number(n):
    with pytest.raises((ValueError, TypeError), match=r"integer of at least 1|not supported"):
        known_mixture().sample(n)


# ---- order of components -------------------------------------------------------------------------


@pytest.mark.parametrize("column", [0, 1])
def test_components_are_sorted_by_their_means_in_a_column(column):
    X = three_round_clusters()
    fit = GaussianMixture(3, component_order=column, random_state=0).fit(X)
    assert (np.diff(fit.means_[:, column]) > 0).all()
    assert sorted(fit.means_[:, 0].round().tolist()) == [0.0, 4.0, 8.0]


@pytest.mark.parametrize("labels", list(itertools.permutations(range(3))))
def test_the_order_does_not_depend_on_the_start(labels):
    X = three_round_clusters()
    start = np.array(labels)[np.repeat([0, 1, 2], 100)]
    fit = GaussianMixture(3, init_params=start, component_order=1).fit(X)
    reference = GaussianMixture(3, init_params=np.repeat([0, 1, 2], 100), component_order=1).fit(X)
    np.testing.assert_array_equal(fit.predict(X), reference.predict(X))
    assert [part.weight for part in fit.certificate_.components] == fit.weights_.tolist()


def test_a_column_is_given_by_its_name(frame):
    for estimator in (
        GaussianMixture(2, component_order="waiting", random_state=0),
        StudentTMixture(2, component_order="waiting", random_state=0),
        GaussianMixtureSelector((2, 3), families=["EEE"], component_order="waiting"),
    ):
        assert (np.diff(estimator.fit(frame).mixture_.means[:, 1]) > 0).all()


def test_the_selector_sorts_every_candidate_by_the_column():
    X = two_groups(200)
    chosen = GaussianMixtureSelector((2, 3), families=["VVI"], component_order=1, random_state=0)
    for cell in chosen.fit(X).selection_.candidates:
        assert (np.diff(cell.fit.mixture.means[:, 1]) >= 0).all()


def test_components_with_an_identity_keep_their_places():
    X = three_round_clusters()
    fixed = np.full((3, 2), np.nan)
    fixed[0] = [8.0, 0.0]
    fit = GaussianMixture(3, fixed_means=fixed, component_order=0, random_state=0).fit(X)
    assert fit.means_[:, 0].round().tolist() == [8.0, 0.0, 4.0]
    labels = np.full(300, -1)
    labels[:20], labels[100:120] = 1, 0
    known = GaussianMixture(3, component_order=0, random_state=0).fit(X, labels=labels)
    assert known.means_[:, 0].round().tolist() == [8.0, 0.0, 4.0]


def test_equal_means_in_the_column_are_sorted_by_the_others():
    known = known_mixture().mixture_
    for order in itertools.permutations(range(3)):
        shuffled = known.select(np.array(order))
        means = shuffled.select(ComponentSort(0).of(shuffled)).means.tolist()
        assert means == [[0.0, 2.0], [0.0, 5.0], [4.0, 1.0]]


@pytest.mark.parametrize("kind", [GaussianMixture, GaussianMixtureSelector])
def test_a_column_that_does_not_exist_is_named(kind, frame, faithful):
    with pytest.raises(ValueError, match=r"'wating' is no column of X.*'eruptions', 'waiting'"):
        kind(2, component_order="wating").fit(frame)
    with pytest.raises(ValueError, match="the columns of X have no names"):
        kind(2, component_order="waiting").fit(faithful)
    with pytest.raises(ValueError, match=r"number of a column, 0 to 1, but 2 came"):
        kind(2, component_order=2).fit(faithful)
    with pytest.raises(ValueError, match="component_order must be 'weight', a column"):
        kind(2, component_order=-1).fit(faithful)
