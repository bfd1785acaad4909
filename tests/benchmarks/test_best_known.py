"""The simulated data sets follow their publications, and the table of best known optima is
correct.
"""

from dataclasses import replace

import numpy as np
import pytest

from frame import sets
from frame.best_known import HIGHER, BestFit, BestKnown, evaluator, families_of
from frame.sets import DRAWN, NAMES, OPEN, STRETCHED, data_set, overlap
from mixtura import GaussianMixture
from mixtura.em.em import em
from mixtura.kernels import built
from mixtura.model.soundness import Soundness

TABLE = BestKnown.read()
ENTRIES = sorted(TABLE.entries.values(), key=lambda best: best.key)

pytestmark = pytest.mark.skipif(
    not built, reason="best-known optima are polished by the C++ kernels"
)


# ---- data sets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_a_set_is_the_same_every_time_and_holds_every_group(name):
    K, draw = DRAWN[name]
    once, again = draw(), draw()
    np.testing.assert_array_equal(once[0], again[0])
    assert len(np.unique(once[1])) in (
        K,
        1,
    )  # slow-overlap is one group, fitted with three components
    assert np.isfinite(once[0]).all()


@pytest.mark.parametrize(
    ("name", "published"),
    [("S1", 0.09), ("S2", 0.22), ("S3", 0.41), ("S4", 0.44), ("A1", 0.2), ("A2", 0.2), ("A3", 0.2)],
)
def test_groups_overlap_as_much_as_published(name, published):
    data = data_set(name)
    assert overlap(data.rows, data.groups) == pytest.approx(
        published, abs=0.04
    )  # A1 .. A3 share their centres, so one choice serves all


def test_overlap_is_one_for_interleaved_groups_and_zero_for_distant_ones():
    own = np.array([[0.0], [10.0], [20.0], [30.0]])
    assert overlap(np.concatenate([own, own + 0.1]), np.repeat([0, 1], 4)) == 1.0
    assert overlap(np.concatenate([own, own + 1000]), np.repeat([0, 1], 4)) == 0.0


def test_each_a_set_contains_the_one_before():
    small, middle, large = (data_set(f"A{i}").rows for i in (1, 2, 3))
    assert (len(small), len(middle), len(large)) == (3000, 5250, 7500)
    # centres and groups are drawn one after the other, so the rows of the first groups come first
    np.testing.assert_array_equal(middle[:3000], small)
    np.testing.assert_array_equal(large[:5250], middle)


def test_unbalanced_groups_have_the_published_sizes():
    assert np.bincount(data_set("Unbalance").groups).tolist() == [2000] * 3 + [100] * 5


@pytest.mark.parametrize(
    ("name", "long", "short", "apart", "tilt"),
    [("stretched", 40, 1, 7, 0), ("tilted", 25, 0.8, 5, 35)],
)
def test_stretched_groups_have_their_spread_along_the_tilt(name, long, short, apart, tilt):
    K, draw = STRETCHED[name]
    X, groups = (
        np.concatenate(parts) for parts in zip(*(draw(seed) for seed in range(50)), strict=True)
    )
    angle = np.deg2rad(tilt)
    along, across = X @ [np.cos(angle), np.sin(angle)], X @ [-np.sin(angle), np.cos(angle)]
    # at least 5,000 rows: a standard deviation has a standard error of 1 %, so 5 % are five of them
    for k in range(K):
        own = groups == k
        assert along[own].std() == pytest.approx(long, rel=0.05)
        assert across[own].std() == pytest.approx(short, rel=0.05)
        assert across[own].mean() == pytest.approx(apart * k, abs=0.1)


def test_hard_cases_are_drawn_as_described():
    rare = data_set("rare-component")
    assert np.bincount(rare.groups).tolist() == [20_000, 20]
    np.testing.assert_allclose(
        rare.rows[-20:].mean(axis=0), 8.0, atol=0.12
    )  # five standard errors of 0.1 / sqrt(20)
    assert data_set("local-optimum").rows.shape == (1500, 2)


def test_columns_of_labels_and_noise_marks_are_not_data():
    assert data_set("banknote").rows.shape == (200, 6)
    assert data_set("faithful_noise").rows.shape == (352, 2)


# ---- the table -----------------------------------------------------------------------------------


COPIES = Soundness(np.ones(3), np.full(3, 90.0), 3, 6, 2, 270.0, copies=((0, 1),))


@pytest.fixture(scope="module")
def polished():
    """A fit of three components to Old Faithful."""
    found = GaussianMixture(3, covariance_type="EEE", random_state=0).fit(
        evaluator("faithful").data.rows
    )
    return evaluator("faithful").polished(found.mixture_, "EEE")


def test_every_cell_has_an_entry():
    cells = {
        (name, family, K)
        for name in NAMES
        for family in families_of(name)
        for K in data_set(name).ks
    }
    assert set(TABLE.entries) == cells


@pytest.mark.parametrize("best", ENTRIES, ids=lambda best: "-".join(map(str, best.key)))
def test_an_entry_has_its_log_likelihood_and_its_score_and_is_valid(best):
    own, mixture = evaluator(best.name), best.mixture
    # at an optimum, rounding the parameters to fifteen digits changes the log-likelihood by less
    # than polishing leaves
    assert mixture.log_density(own.data.rows).sum() == pytest.approx(best.log_likelihood, abs=1e-3)
    there = em(own.problem(best.family, best.n_components), mixture, max_iter=0)
    assert there.score == pytest.approx(best.score, abs=1e-3)
    assert there.is_valid


def test_an_entry_is_reached_from_near_it_and_three_copies_do_not_reach_it(polished):
    best, own = BestFit.of("faithful", polished, "here"), evaluator("faithful")
    near = replace(polished.mixture, means=polished.mixture.means * 1.001)
    assert best.reached(own.polished_if_near(near, "EEE", best.score))
    alike = polished.mixture.select(
        np.array([0, 0, 0])
    )  # copies stay copies, and end as one Gaussian
    assert not best.reached(own.polished_if_near(alike, "EEE", best.score))


def raised(fit, by):
    """The same fit with a higher objective."""
    return replace(
        fit, log_likelihood=fit.log_likelihood + by, trace=(*fit.trace[:-1], fit.trace[-1] + by)
    )


def test_entries_are_only_replaced_by_higher_scores(polished, tmp_path):
    table = BestKnown()
    assert table.offer("faithful", polished, "first") == np.inf
    assert table.offer("faithful", polished, "the same") is None
    assert table.offer("faithful", raised(polished, -1.0), "lower") is None
    assert table.offer("faithful", raised(polished, HIGHER / 2), "rounding") is None
    assert (
        table.offer("faithful", replace(raised(polished, 9.0), soundness=COPIES), "no answer")
        is None
    )
    assert table.offer("faithful", raised(polished, 1.0), "higher") == pytest.approx(1, abs=1e-6)
    table.write(tmp_path / "table.json")
    again = BestKnown.read(tmp_path / "table.json")
    assert again.entries == table.entries
    assert [entry.found_by for entry in again.of("faithful").values()] == ["higher"]


def test_the_charge_for_a_component_lowers_its_score(polished):
    """The score charges for a component that could arise by chance: a higher likelihood alone does
    not reach the entry.
    """
    best = BestFit.of("faithful", polished, "here")
    charged = replace(
        polished.soundness,
        effective=np.array([5.0, 5.0, 14.0]),
        counts=np.array([150.0, 118.0, 4.0]),
        own_rows=3,
    )
    assert not best.reached(replace(raised(polished, 20.0), soundness=charged))
    assert best.missing(replace(raised(polished, 20.0), soundness=charged)) == pytest.approx(
        charged.price - 20.0, abs=1e-6
    )


def test_a_fit_with_copies_has_not_reached_the_optimum(polished):
    best = BestFit.of("faithful", polished, "here")
    assert best.reached(polished)
    assert not best.reached(replace(polished, soundness=COPIES))


def test_published_sets_are_the_csv_files_without_missing_values():
    files = {file.stem for file in sets.DATA.glob("*.csv")}
    assert {name for name in files if not name.endswith("_missing")} == set(OPEN)
