"""The certificate of convergence holds at an optimum, and nowhere else."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from conftest import ALL_FAMILIES, dataset, two_groups
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.base.errors import DegenerateWarning
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.em.certification import certified, certify, squared_gradient
from mixtura.em.coordinates import coordinates_around
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.inference.information import information
from mixtura.initialise.initialisers import RandomRows
from mixtura.model.certificate import SAFETY, Certificate
from mixtura.model.fit_result import StopReason
from mixtura.model.moments import Moments
from mixtura.model.priors import ConjugatePrior
from mixtura.model.regularisation import Regularisation
from mixtura.model.soundness import Soundness

K = 3
FOLLOW_COLUMNS = ["EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV"]
"""Families whose likelihood does not change when single columns are rescaled."""

REGULARISATIONS = ["plain", "ridge", "prior", "equal"]


def three_clouds(seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    one = rng.standard_normal((150, 3)) * [1.0, 2.0, 0.5]
    two = rng.standard_normal((100, 3)) @ rng.standard_normal((3, 3)) + [2.0, 1.0, 0.0]
    return np.concatenate([one, two, 0.6 * rng.standard_normal((80, 3)) - [2.0, 0.0, 1.0]])


def regularised(kind: str, name: str, data: Dataset) -> Regularisation:
    if kind == "prior":
        prior = ConjugatePrior(shrinkage=0.5).for_family(
            name, K, data.mean, data.covariance, data.total
        )
        return Regularisation(data.floor, prior=prior)
    if kind == "ridge":
        return Regularisation(np.zeros(3), ridge=0.1)
    return Regularisation(data.floor, equal_weights=kind == "equal")


def fitted(data: Dataset, name: str, regularisation: Regularisation | None = None, **keywords):
    start = RandomRows()(data, K, np.random.default_rng(0))
    return em(
        Problem(data, FAMILIES[name], regularisation or Regularisation(data.floor)),
        start,
        **keywords,
    )


# ---- the gradient --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REGULARISATIONS)
def test_the_gradient_is_that_of_finite_differences(family, kind):
    X = three_clouds()
    data = dataset(X, np.random.default_rng(2).integers(1, 4, len(X)).astype(float))
    regularisation = regularised(kind, family.name, data)
    mixture = fitted(data, family.name, regularisation, max_iter=4).mixture
    problem = Problem(data, family, regularisation)
    around = coordinates_around(mixture, family.name, regularisation.equal_weights)

    def objective(coordinates: np.ndarray) -> float:
        moved = around.at(coordinates)
        if family.shares_all:  # one covariance, whose prior counts once
            moved = replace(moved, covariance=Dense(moved.covariance.values[:1], K))
        density = regularisation.tilted(moved).log_density(X)
        return float(next(data.source.blocks()).weights @ density) + regularisation.penalty(moved)

    h = 1e-5
    slopes = [(objective(h * e) - objective(-h * e)) / (2.0 * h) for e in np.eye(around.dimension)]
    complete = information(Problem(data, family, regularisation), mixture).complete[0]
    expected = slopes @ np.linalg.solve(complete, slopes)
    found = squared_gradient(problem, mixture, problem.e_step(mixture))
    # A central difference of an objective near 2000 is right to 16 digits of it over 2e-5, that is
    # 2e-8, and to h^2 times a third derivative near 1000, that is 1e-7, of slopes near one.
    assert expected > 0.01
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_gradient_near_the_optimum_is_twice_the_gain_of_a_step(family):
    """The gain is that of the observed objective; the complete-data one is nearly quadratic."""
    data = dataset(three_clouds())
    fit = fitted(data, family.name, max_iter=25)
    regularisation = Regularisation(data.floor)
    problem = Problem(data, family, regularisation)
    here = problem.e_step(fit.mixture)
    after = problem.e_step(problem.m_step(here, fit.mixture))
    gain = after.log_likelihood - here.log_likelihood
    # The observed gain of one step lies between g'C^-1 g / 2 (a direction with rate one) and g'C^-1
    # g (rate zero), where the complete data are as expected; in families that cannot follow their
    # rows they are not, by as much as a third here.
    squared = squared_gradient(problem, fit.mixture, here)
    assert 0.5 * squared / 1.4 < gain < 1.4 * squared


# ---- at the optimum, and before ------------------------------------------------------------------


def trajectory_of(data: Dataset, name: str) -> tuple[list[Mixture], list[float], float]:
    """All mixtures of a fit by plain EM with their log-likelihoods, and that of the limit."""
    mixtures: list[Mixture] = []
    values: list[float] = []

    def keep(iteration) -> None:
        mixtures.append(iteration.mixture)
        values.append(iteration.log_likelihood)

    fit = fitted(data, name, max_iter=4000, callback=keep)
    limit = em(
        Problem(data, FAMILIES[name], Regularisation(data.floor)),
        fit,
        stopping=RemainingGain(1e-8),
        max_iter=20_000,
    )
    assert fit.converged
    assert limit.converged
    return mixtures, values, limit.trace[-1]


def test_the_certificate_holds_at_an_optimum_and_not_where_more_than_the_tolerance_is_left(family):
    data = dataset(three_clouds())
    mixtures, values, limit = trajectory_of(data, family.name)
    tolerance = RemainingGain().tolerance
    regularisation = Regularisation(data.floor)
    last = certify(Problem(data, family, regularisation), mixtures[-1])
    assert last.holds, last.verdict
    assert last.basis == "rate"
    assert limit - values[-1] < SAFETY * last.remaining_gain < tolerance
    too_early = max(i for i, value in enumerate(values) if limit - value >= tolerance)
    before = certify(Problem(data, family, regularisation), mixtures[too_early])
    assert not before.holds, before.verdict
    assert SAFETY * before.remaining_gain >= limit - values[too_early]


def test_the_certificate_does_not_hold_one_iteration_before_convergence(family):
    data = dataset(three_clouds())
    regularisation = Regularisation(data.floor)
    end = certified(fitted(data, family.name, max_iter=4000), Problem(data, family, regularisation))
    assert end.stop is StopReason.CONVERGED
    assert end.certificate.holds
    before = certified(
        fitted(data, family.name, max_iter=end.n_iter - 1), Problem(data, family, regularisation)
    )
    assert before.stop is StopReason.MAX_ITER
    assert not before.certificate.holds, before.certificate.verdict


@pytest.mark.parametrize("kind", REGULARISATIONS)
def test_certificates_hold_for_regularised_fits(family, kind):
    data = dataset(three_clouds())
    regularisation = regularised(kind, family.name, data)
    fit = certified(
        fitted(data, family.name, regularisation, max_iter=4000),
        Problem(data, family, regularisation),
    )
    assert fit.stop is StopReason.CONVERGED
    assert fit.certificate.holds, fit.certificate.verdict


@pytest.mark.parametrize("name", ALL_FAMILIES)
@pytest.mark.parametrize("n_components", [1, 2])
def test_one_column_and_one_component_are_certified(name, n_components):
    X = two_groups(200, d=1)
    model = GaussianMixture(n_components, covariance_type=name, random_state=0).fit(X)
    assert model.converged_
    assert model.certificate_.holds
    assert len(model.certificate_.components) == n_components
    if n_components == 1:
        assert model.certificate_.rate == 0.0


def test_a_claim_that_the_certificate_refutes_is_not_called_converged():
    data = dataset(three_clouds())
    regularisation = Regularisation(data.floor)
    claim = replace(fitted(data, "VVV", max_iter=4), stop=StopReason.CONVERGED, rate=0.5)
    fit = certified(claim, Problem(data, FAMILIES["VVV"], regularisation))
    assert fit.stop is StopReason.UNCERTIFIED
    assert not fit.converged
    assert "slope" in fit.stop.value


def test_a_claim_without_a_rate_is_measured():
    data = dataset(three_clouds())
    fit = fitted(data, "VVV", max_iter=4000)
    regularisation = Regularisation(data.floor)
    again = certified(
        replace(fit, rate=float("nan")), Problem(data, FAMILIES["VVV"], regularisation)
    ).certificate
    # Arnoldi's method ends when its value changes by less than a twentieth of its distance to one.
    assert again.rate == pytest.approx(fit.rate, abs=0.1 * (1.0 - fit.rate))
    assert again.holds


# ---- where it does not hold ----------------------------------------------------------------------


def test_a_fit_that_was_stopped_reports_its_gradient():
    with pytest.warns(ConvergenceWarning, match="max_iter was reached"):
        model = GaussianMixture(
            3, max_iter=3, init_params="random_from_data", n_init=1, random_state=0
        ).fit(three_clouds())
    assert not model.converged_
    assert not model.certificate_.holds
    assert model.certificate_.gradient > 0.1
    assert "does not hold: the gradient is " in model.certificate_.verdict
    measured = model.certify(three_clouds())
    assert not measured.holds
    assert "the gradient is " in measured.verdict
    assert "the steps of EM still grow" in measured.verdict


def test_copies_are_named():
    data = dataset(two_groups(400))
    whole = data.whole
    twins = Mixture(
        np.full(2, 0.5),
        np.repeat(whole.means, 2, axis=0),
        Dense(np.repeat(data.covariance[None], 2, axis=0), 2),
    )
    family, regularisation = FAMILIES["VVV"], Regularisation(data.floor)
    problem = Problem(data, family, regularisation)
    found = certified(em(problem, twins), problem)
    assert found.stop is StopReason.COPIES
    assert found.certificate.copies == ((0, 1),)
    assert found.certificate.gradient < 1e-6  # a point where the likelihood has no slope at all
    assert not found.certificate.holds
    assert "component 1 is an exact copy of component 0" in found.certificate.verdict


def four_mirrored_clouds() -> np.ndarray:
    """At (+-3, +-1), symmetric about both axes to the last digit."""
    cloud = 0.8 * np.random.default_rng(0).standard_normal((60, 2)) + [3.0, 1.0]
    return np.concatenate([cloud, cloud * [-1, 1], cloud * [1, -1], cloud * [-1, -1]])


@pytest.mark.parametrize("name", ["VVI", "VVV"])
def test_a_saddle_is_named_though_it_has_no_gradient(name):
    """By symmetry EM keeps a split across the short side, where the other split would be better."""
    X = four_mirrored_clouds()
    data = dataset(X)
    start = Moments.of_labels(X, (X[:, 1] > 0).astype(int), None, np.zeros((2, 2)), Scatter.DENSE)
    family, regularisation = FAMILIES[name], Regularisation(data.floor)
    problem = Problem(data, family, regularisation)
    fit = certified(em(problem, start, max_iter=2000), problem)
    assert fit.stop is StopReason.SADDLE
    assert fit.certificate.saddle
    assert fit.certificate.gradient < 1e-3
    assert not fit.certificate.holds
    assert "saddle" in fit.certificate.verdict
    claim = replace(fit, stop=StopReason.CONVERGED, rate=float("nan"))
    assert certified(claim, Problem(data, family, regularisation)).stop is StopReason.SADDLE


def test_a_point_mass_is_reported_with_the_floor():
    X = np.concatenate([np.random.default_rng(0).standard_normal((100, 2)), np.full((10, 2), 5.0)])
    labels = np.repeat([0, 1], [100, 10])
    model = GaussianMixture(2, init_params=labels, random_state=0).fit(X)
    sound, point = model.certificate_.components
    assert not sound.kind
    assert not sound.boundary
    assert point.boundary == "floor"
    assert point.kind == "point mass"
    assert point.reason.startswith(
        "10 rows have exactly the value 5 in column 0 and 5 in column 1; its density is limited"
    )
    assert point.count == pytest.approx(10.0)
    assert point.effective_parameters < 10.0 < 100.0 == pytest.approx(sound.count)
    assert model.certificate_.basis == "trace" or model.certificate_.rate < 1.0
    assert "Point mass: component 1: 10 rows" in model.certificate_.verdict
    assert "The floor holds back component 1" in model.certificate_.verdict


def test_the_rows_of_a_spurious_component_are_numbered_as_they_came():
    X = np.concatenate(
        [
            np.full((1, 2), 9.0),
            np.random.default_rng(0).standard_normal((100, 2)),
            np.full((3, 2), 5.0),
        ]
    )
    weights = np.r_[0.0, np.ones(103)]
    with pytest.warns(DegenerateWarning, match=r"\(rows 101, 102, 103\)"):
        GaussianMixture(2, init_params=np.repeat([1, 0, 1], [1, 100, 3])).fit(
            X, sample_weight=weights
        )


def test_a_fit_at_the_bound_on_the_eigenvalues_converges_and_names_it():
    X = two_groups(300) * [1.0, 6.0]
    model = GaussianMixture(2, eigenvalue_ratio=4.0, random_state=0).fit(X)
    assert model.converged_
    assert {part.boundary for part in model.certificate_.components} == {"eigenvalue ratio"}
    assert "eigenvalue ratio holds back" in model.certificate_.verdict
    # The unbounded maximum is elsewhere: as a fit without the bound, the same mixture has a slope.
    free = GaussianMixture.from_parameters(
        model.weights_, model.means_, model.covariances_
    ).certify(X)
    assert not free.holds
    assert free.gradient > 1.0


def test_a_fit_that_ended_by_tol_can_be_certified_afterwards():
    X = two_groups(200)
    model = GaussianMixture(2, tol=1e-3, random_state=0).fit(X)
    assert model.converged_  # scikit-learn's meaning of the word
    assert not model.stop_reason_.startswith("converged")
    assert model.certificate_.basis == "unknown"
    assert "not measured" in model.certificate_.verdict
    assert model.certify(X).basis == "rate"


# ---- units, weights, precision -------------------------------------------------------------------


@pytest.mark.parametrize("name", FOLLOW_COLUMNS)
def test_units_do_not_matter(name):
    X = three_clouds()
    units, shift = np.array([1e3, 1.0, 1e-4]), np.array([5.0, -2.0, 0.3])
    data, scaled = dataset(X), dataset((X + shift) * units)
    family = FAMILIES[name]
    mixture = fitted(data, name, max_iter=10).mixture
    values = mixture.covariance.values
    moved = values * (np.outer(units, units) if values.ndim == 3 else units**2)
    there = Mixture(
        mixture.weights, (mixture.means + shift) * units, type(mixture.covariance)(moved, K)
    )
    one = certify(Problem(data, family, Regularisation(data.floor)), mixture)
    other = certify(Problem(scaled, family, Regularisation(scaled.floor)), there)
    # Sums of a few hundred rows agree to 1e-13; differences of moments over a deviation of 1e-5,
    # and so rates, to 1e-7.
    assert other.gradient == pytest.approx(one.gradient, rel=1e-9)
    assert other.rate == pytest.approx(one.rate, abs=1e-6)
    assert other.step_gain == pytest.approx(one.step_gain, rel=1e-8)
    for mine, theirs in zip(one.components, other.components, strict=True):
        assert theirs.condition == pytest.approx(mine.condition, rel=1e-8)
        assert theirs.smallest_variance == pytest.approx(mine.smallest_variance, rel=1e-8)
        assert theirs.count == pytest.approx(mine.count, rel=1e-9)


def test_weights_of_two_are_repeated_rows(family):
    X = three_clouds()
    mixture = fitted(dataset(X), family.name, max_iter=10).mixture
    twice, doubled = dataset(np.concatenate([X, X])), dataset(X, np.full(len(X), 2.0))
    one, other = (
        certify(Problem(data, family, Regularisation(data.floor)), mixture, rate=0.5)
        for data in (twice, doubled)
    )
    assert one.gradient == pytest.approx(other.gradient, rel=1e-10)
    for mine, theirs in zip(one.components, other.components, strict=True):
        assert mine.count == pytest.approx(theirs.count, rel=1e-12)
        assert mine.kind == theirs.kind
        assert mine.effective_parameters == pytest.approx(theirs.effective_parameters, rel=1e-6)


def test_float32_rows_are_certified(backend):
    X = three_clouds().astype(np.float32)
    model = GaussianMixture(3, random_state=0, backend=backend).fit(X)
    assert model.converged_
    assert model.certificate_.holds
    assert model.certify(X).holds


def test_both_backends_give_the_same_gradient(family):
    X = three_clouds()
    mixture = fitted(dataset(X, backend="reference"), family.name, max_iter=10).mixture
    found = [
        certify(Problem(data, family, Regularisation(data.floor)), mixture, rate=0.5).gradient
        for data in (dataset(X, backend="reference"), dataset(X))
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-10)


# ---- reordered and as a document -----------------------------------------------------------------


def test_components_keep_their_reports_in_another_order():
    data = dataset(three_clouds())
    regularisation = Regularisation(data.floor)
    fit = certified(
        fitted(data, "VVV", max_iter=4000), Problem(data, FAMILIES["VVV"], regularisation)
    )
    planted = Soundness(
        np.array([9.0, 2.0, 3.0]), np.array([4.0, 50.0, 60.0]), 4, 10, 3, 114.0, copies=((1, 2),)
    )
    fit = replace(fit, soundness=planted)
    moved = fit.in_order(np.array([2, 0, 1]))
    assert [part.component for part in moved.certificate.components] == [0, 1, 2]
    assert [part.weight for part in moved.certificate.components] == moved.mixture.weights.tolist()
    assert [(item.component, item.kind) for item in moved.findings] == [
        (1, "spurious"),
        (2, "copy"),
    ]
    assert moved.soundness.copies == ((0, 2),)
    assert moved.score == fit.score
    assert moved.log_likelihood == fit.log_likelihood


def test_copies_are_still_copies_of_an_earlier_component_in_another_order():
    line = Spherical(np.ones(3), 3, 1)
    data = dataset(two_groups(100, d=1))
    mixture = Mixture(np.full(3, 1 / 3), np.array([[0.0], [6.0], [0.0]]), line)
    found = certify(Problem(data, FAMILIES["VII"], Regularisation(data.floor)), mixture, rate=0.5)
    assert found.copies == ((0, 2),)
    for order in itertools.permutations(range(3)):
        moved = found.in_order(order)
        expected = tuple(sorted((order.index(0), order.index(2))))
        assert moved.copies == (expected,)


def test_a_document_holds_the_table_and_the_verdict():
    data = dataset(three_clouds())
    found = certify(
        Problem(data, FAMILIES["VVV"], Regularisation(data.floor)),
        fitted(data, "VVV", max_iter=10).mixture,
    )
    assert [row["component"] for row in found.rows()] == [0, 1, 2]
    document = found.document()
    assert document["components"] == found.rows()
    assert document["verdict"] == found.verdict
    assert document["holds"] == found.holds
    assert document["gradient"] == found.gradient


def test_the_chosen_model_and_its_runner_up_carry_certificates():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        selector = GaussianMixtureSelector([1, 2, 3], families=["EEE", "VVV"], random_state=0).fit(
            two_groups(200)
        )
    assert isinstance(selector.selection_.best.fit.certificate, Certificate)
    assert isinstance(selector.selection_.runner_up.fit.certificate, Certificate)
    assert selector.best_estimator_.certificate_.holds
    assert selector.best_estimator_.converged_


def test_many_rows_are_certified_without_sorting_them(monkeypatch):
    """Distinct rows are counted among probe rows only."""
    X = np.round(two_groups(20_000), 1)
    data = dataset(X)
    problem = Problem(data, FAMILIES["VII"], Regularisation(data.floor))
    fit = em(problem, Mixture(np.ones(2) / 2, X[[0, -1]], Spherical(np.ones(2), 2, 2)))
    monkeypatch.setattr(
        type(data.source),
        "distinct",
        lambda source: pytest.fail("sorted") if len(source.X) > 10_000 else source,
    )
    assert certified(fit, problem).certificate.holds
