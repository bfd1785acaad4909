"""The floor of the covariances, spurious components, and the score that ranks optima."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris

from conftest import dataset, two_groups
from mixtura import GaussianMixture
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.em.effective_parameters import soundness_of
from mixtura.em.em import em
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import RandomRows, moments_of_labels
from mixtura.model.agreement import adjusted_rand_index
from mixtura.model.fit_result import StopReason
from mixtura.model.regularisation import Regularisation
from mixtura.model.soundness import Soundness, support
from mixtura.search.outcome import best_of

EXACT = ["VVV", "VVI", "VII", "EEE", "EEI", "EII"]
"""Families whose M-step under a floor is the constrained maximum."""


def fitted(X, labels, name="VVV", weights=None, backend="auto"):
    data = dataset(X, weights, backend)
    start = moments_of_labels(data, int(labels.max()) + 1, labels)
    return em(Problem(data, FAMILIES[name], Regularisation(data.floor)), start, max_iter=2000)


# ---- the floor -----------------------------------------------------------------------------------


def smallest_over_floor(covariances, floor) -> float:
    """The smallest eigenvalue of the covariances in the metric of the floor."""
    root = np.sqrt(floor)
    return float(np.linalg.eigvalsh(covariances / np.outer(root, root)).min())


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("columns", [[0, 1], [2, 3], [0, 1, 2, 3]], ids=str)
def test_no_covariance_of_recorded_data_is_below_the_floor(name, columns, backend):
    X = np.ascontiguousarray(load_iris().data[:, columns])
    data = dataset(X, backend=backend)
    regularisation = Regularisation(data.floor)
    lifted = False
    for seed in range(4):
        # so many that some have rows of one value only
        start = RandomRows()(data, 20, np.random.default_rng(seed))
        fit = em(Problem(data, FAMILIES[name], regularisation), start, max_iter=60)
        # Eigenvalues of a matrix in units of the floor are right to a few times 1e-16 of its
        # largest, which is below 1e4.
        assert smallest_over_floor(fit.mixture.covariance.dense(), data.floor) >= 1.0 - 1e-10
        lifted = lifted or bool(regularisation.floor_reached(fit.mixture.covariance).any())
        assert (np.diff(fit.trace) >= 0).all()
    assert lifted or name in ("EEE", "EEI", "EII")


def test_the_likelihood_of_recorded_data_is_bounded():
    """A component on one value has the variance of the recorded step, not less."""
    X = np.repeat([[0.0], [1.0], [2.0], [3.0]], [100, 30, 20, 10], axis=0)
    fit = fitted(X, np.minimum(X[:, 0], 1).astype(int))
    held = int(np.argmin(fit.mixture.covariance.dense()[:, 0, 0]))
    assert fit.mixture.covariance.dense()[held, 0, 0] == pytest.approx(1 / 12, rel=1e-9)
    assert fit.mixture.log_density(X).max() <= 0.5 * np.log(12 / (2 * np.pi))


# ---- the score -----------------------------------------------------------------------------------


def with_collinear_rows(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Two groups, and labels that make a component of four nearly collinear rows of the first."""
    rng = np.random.default_rng(seed)
    X = np.concatenate(
        [rng.standard_normal((100, 2)), rng.standard_normal((60, 2)) + np.array([5.0, 0.0])]
    )
    X[:4] = [[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [1.5, 1.5]] + 1e-5 * rng.standard_normal((4, 2))
    labels = np.repeat([0, 1], [100, 60])
    labels[:4] = 2
    return X, labels


def test_the_price_of_a_spurious_component_counts_all_its_effective_parameters():
    X, labels = with_collinear_rows()
    fit = fitted(X, labels)
    judged = fit.soundness
    assert judged.counts[2] == pytest.approx(4.0, abs=0.1)
    assert judged.spurious == (2,)
    p, n = judged.effective[2], judged.counts[2]
    penalised = support(judged.counts, 3)[2] * p
    assert judged.price == pytest.approx(p - n + 0.5 * np.log(160) * penalised, rel=1e-9)
    assert fit.score == pytest.approx(fit.objective - judged.price)
    assert fit.is_valid
    assert not fit.is_sound


def test_a_sound_optimum_ranks_above_a_spurious_one_of_higher_likelihood():
    X, labels = with_collinear_rows()
    spurious = fitted(X, labels)
    halves = np.repeat([0, 1], [100, 60])
    halves[:100][X[:100, 1] > 0.0] = 2
    sound = fitted(X, halves)
    assert sound.is_sound
    assert spurious.log_likelihood > sound.log_likelihood + 5.0
    assert sound.score > spurious.score
    assert best_of([spurious, sound], 0.01) is sound
    assert GaussianMixture(3, random_state=0).fit(X).result_.score >= sound.score - 0.01


def valid_and_invalid_fits() -> tuple:
    """A fit, and the same with a copy or an empty component, each with a higher likelihood."""
    X = two_groups(200)
    fit = fitted(X, np.repeat([0, 1], 100))
    copies = replace(fit.soundness, copies=((0, 1),))
    empty = replace(fit.soundness, counts=np.array([200.0, 0.1]))
    higher = (fit.trace[-1] + 100.0,)
    return (
        fit,
        replace(fit, trace=higher, soundness=copies),
        replace(fit, trace=higher, soundness=empty),
    )


def test_fits_with_copies_or_empty_components_never_rank_above_valid_ones():
    fit, copies, empty = valid_and_invalid_fits()
    for other in (copies, empty):
        assert not other.is_valid
        assert other.score > fit.score
        assert fit.rank > other.rank
        assert best_of([other, fit], 0.01) is fit
        assert best_of([other], 0.01) is other  # the only fit


@pytest.mark.parametrize(
    "stop", [StopReason.SADDLE, StopReason.COPIES, StopReason.EMPTY, StopReason.COLLAPSED]
)
def test_a_degenerate_fit_is_not_valid(stop):
    fit = valid_and_invalid_fits()[0]
    other = replace(fit, stop=stop, trace=(fit.trace[-1] + 100.0,))
    assert not other.is_valid
    assert best_of([other, fit], 0.01) is fit


def test_a_true_cluster_of_few_rows_is_sound():
    rng = np.random.default_rng(5)
    X = np.concatenate(
        [rng.standard_normal((200, 2)), 0.3 * rng.standard_normal((12, 2)) + [6.0, 6.0]]
    )
    judged = fitted(X, np.repeat([0, 1], [200, 12])).soundness
    assert judged.is_sound
    assert judged.counts[1] == pytest.approx(12.0, abs=0.1)


@pytest.mark.parametrize(("d", "apart"), [(20, 9.0), (32, 11.0), (32, 22.0)])
def test_well_separated_groups_are_found_where_rows_are_few_for_their_columns(d, apart):
    """Well separated groups with fewer rows than a covariance in 32 columns has parameters."""
    rng = np.random.default_rng(7)
    truth = np.repeat([0, 1, 2], 100)
    X = rng.standard_normal((3, d))[truth] * apart / np.sqrt(2 * d) * 1.4 + rng.standard_normal(
        (300, d)
    )
    found = GaussianMixture(3, random_state=0).fit(X).predict(X)
    assert adjusted_rand_index(truth, found) == 1.0


# ---- findings ------------------------------------------------------------------------------------


def judged(effective, counts, own_rows=3, copies=()):
    return Soundness(
        np.array(effective), np.array(counts), own_rows, 6, 2, float(sum(counts)), copies=copies
    )


def test_findings_have_a_kind_and_a_reason():
    found = judged(
        [5.0, 14.0, 43.0, 3.0, 1.0], [80.0, 4.0, 16.0, 20.0, 0.2], 3, copies=((0, 3),)
    ).findings
    assert [(item.component, item.kind) for item in found] == [
        (1, "spurious"),
        (2, "poorly determined"),
        (3, "copy"),
        (4, "empty"),
    ]
    assert (
        found[0].reason
        == "14.0 effective parameters on 4.0 rows: chance can place such a component"
    )
    assert found[1].reason == "43.0 effective parameters on 16 rows: its shape is uncertain"
    assert found[2].reason == "it is an exact copy of component 0"
    assert found[3].reason == "it holds 0.2 rows"


def test_well_determined_components_have_no_findings():
    assert judged([5.0, 5.1], [80.0, 90.0]).findings == ()
    assert judged([5.0, 5.1], [80.0, 90.0]).price == 0.0


def test_reordered_components_keep_their_findings():
    one = judged([14.0, 5.0, 5.0], [4.0, 80.0, 80.0], copies=((1, 2),))
    other = one.in_order([2, 0, 1])
    assert [(item.component, item.kind) for item in other.findings] == [
        (1, "spurious"),
        (2, "copy"),
    ]
    assert other.price == one.price


# ---- weights and units ---------------------------------------------------------------------------


def judged_as(fit, X, weights=None, backend="auto") -> Soundness:
    """The assessment of the components of a fit on other rows or by another backend."""
    data, family = dataset(X, weights, backend), FAMILIES[fit.family]
    moments = data.backend.moments(data.source, fit.mixture, family.needs)
    return soundness_of(Problem(data, family, Regularisation(data.floor)), fit.mixture, moments)


@pytest.mark.parametrize("unit", [1e-3, 5e-2])
def test_the_price_is_in_units_of_small_weights(unit):
    X, labels = with_collinear_rows()
    fit = fitted(X, labels)
    small = judged_as(fit, X, np.full(len(X), unit))
    np.testing.assert_allclose(small.effective, fit.soundness.effective, rtol=1e-9)
    np.testing.assert_allclose(small.counts, fit.soundness.counts, rtol=1e-9)
    assert small.price == pytest.approx(unit * fit.soundness.price, rel=1e-9)
    assert [item.reason for item in small.findings] == [item.reason for item in fit.findings]
    cheaper = fitted(X, labels, weights=np.full(len(X), unit))
    # Each of the two converges to within a hundredth of a row's weight.
    assert cheaper.score == pytest.approx(unit * fit.score, abs=0.1 * unit)


def test_a_weight_of_two_is_a_repeated_row():
    X, labels = two_groups(60), np.repeat([0, 1], 30)
    mixture = fitted(X, labels).mixture
    # The floor is the same for both: repeated rows would have a recorded step.
    family, floor = FAMILIES["VVV"], np.full(2, 1e-12)
    both = []
    for data in (dataset(X, np.full(60, 2.0)), dataset(np.repeat(X, 2, axis=0))):
        moments = data.backend.moments(data.source, mixture, family.needs)
        both.append(soundness_of(Problem(data, family, Regularisation(floor)), mixture, moments))
    np.testing.assert_allclose(both[0].effective, both[1].effective, rtol=1e-9)
    assert both[0].price == pytest.approx(both[1].price, rel=1e-9, abs=1e-9)


def test_both_backends_give_the_same_assessment():
    X, labels = with_collinear_rows()
    fit = fitted(X, labels)
    one, other = (judged_as(fit, X, backend=name) for name in ("reference", "auto"))
    # The smallest eigenvalue of the spurious component is 1e-10 of its entries, so it is accurate
    # to 1e-6; the tolerance is ten times that.
    np.testing.assert_allclose(one.effective, other.effective, rtol=1e-5)
    assert one.price == pytest.approx(other.price, rel=1e-5)


def test_units_of_the_columns_do_not_change_the_price():
    X, labels = with_collinear_rows()
    units = np.array([1e-6, 1e5])
    one, other = fitted(X, labels), fitted(X * units, labels)
    # The smallest eigenvalue of the spurious component is accurate to 1e-6, see above.
    assert one.soundness.price == pytest.approx(other.soundness.price, rel=1e-5)


def test_copies_are_found_by_their_parameters():
    X = two_groups(200)
    one = fitted(X, np.zeros(200, dtype=int)).mixture
    twins = Mixture(
        np.full(2, 0.5),
        np.repeat(one.means, 2, axis=0),
        Dense(np.repeat(one.covariance.dense(), 2, axis=0), 2),
    )
    data, family = dataset(X), FAMILIES["VVV"]
    moments = data.backend.moments(data.source, twins, family.needs)
    found = soundness_of(Problem(data, family, Regularisation(data.floor)), twins, moments)
    assert found.copies == ((0, 1),)
    assert not found.is_valid
