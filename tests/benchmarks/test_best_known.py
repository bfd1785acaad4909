"""The sets on which searches are judged follow their recipes, and the table of best-known optima
holds what it says.
"""

from dataclasses import replace

import numpy as np
import pytest

from frame import sets
from frame.best_known import HIGHER, Best, BestKnown, bench, families_of
from frame.sets import DRAWN, NAMES, OPEN, STRETCHED, data_set, overlap
from mixtura import GaussianMixture
from mixtura.base.extension import extension
from mixtura.em.em import em
from mixtura.model.soundness import Soundness

TABLE = BestKnown.read()
ENTRIES = sorted(TABLE.entries.values(), key=lambda best: best.key)

pytestmark = pytest.mark.skipif(
    extension is None, reason="best-known optima are polished by the C++ kernels"
)


# ---- recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_a_set_is_the_same_every_time_and_holds_every_group(name):
    K, draw = DRAWN[name]
    once, again = draw(), draw()
    np.testing.assert_array_equal(once[0], again[0])
    assert len(np.unique(once[1])) in (K, 1)  # slow-overlap is one group, fitted by three
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


def test_overlap_is_one_where_every_row_has_a_stranger_beside_it_and_zero_far_apart():
    own = np.array([[0.0], [10.0], [20.0], [30.0]])
    assert overlap(np.concatenate([own, own + 0.1]), np.repeat([0, 1], 4)) == 1.0
    assert overlap(np.concatenate([own, own + 1000]), np.repeat([0, 1], 4)) == 0.0


def test_each_a_set_holds_the_one_before():
    small, middle, large = (data_set(f"A{i}").rows for i in (1, 2, 3))
    assert (len(small), len(middle), len(large)) == (3000, 5250, 7500)
    # centres and groups come one after the other, so the rows of the first groups are the first
    # rows
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
    for k in range(
        K
    ):  # 5,000 rows or more: a standard deviation is known to 1 %, so 5 % are five standard errors
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


def test_labels_and_marks_of_noise_are_not_data():
    assert data_set("banknote").rows.shape == (200, 6)
    assert data_set("faithful_noise").rows.shape == (352, 2)


# ---- the table -----------------------------------------------------------------------------------


COPIES = Soundness(np.ones(3), np.full(3, 90.0), 3, 6, 2, 270.0, copies=((0, 1),))


@pytest.fixture(scope="module")
def polished():
    """A fit of Old Faithful by three components."""
    found = GaussianMixture(3, covariance_type="EEE", random_state=0).fit(
        bench("faithful").data.rows
    )
    return bench("faithful").polished(found.mixture_, "EEE")


def test_every_cell_has_an_entry():
    cells = {
        (name, family, K)
        for name in NAMES
        for family in families_of(name)
        for K in data_set(name).ks
    }
    assert set(TABLE.entries) == cells


@pytest.mark.parametrize("best", ENTRIES, ids=lambda best: "-".join(map(str, best.key)))
def test_an_entry_has_its_log_likelihood_and_its_score_and_is_an_answer(best):
    own, mixture = bench(best.name), best.mixture
    # fifteen digits of the parameters move the likelihood, which is flat there, by less than the
    # polishing leaves
    assert mixture.log_density(own.data.rows).sum() == pytest.approx(best.log_likelihood, abs=1e-3)
    there = em(own.problem(best.family, best.n_components), mixture, max_iter=0)
    assert there.score == pytest.approx(best.score, abs=1e-3)
    assert there.is_valid


def test_an_entry_is_reached_from_near_it_and_three_copies_do_not_reach_it(polished):
    best, own = Best.of("faithful", polished, "here"), bench("faithful")
    near = replace(polished.mixture, means=polished.mixture.means * 1.001)
    assert best.reached(own.settled(near, "EEE", best.score))
    alike = polished.mixture.select(
        np.array([0, 0, 0])
    )  # copies stay copies, and end as one Gaussian
    assert not best.reached(own.settled(alike, "EEE", best.score))


def raised(fit, by):
    """The same fit with a higher objective."""
    return replace(
        fit, log_likelihood=fit.log_likelihood + by, trace=(*fit.trace[:-1], fit.trace[-1] + by)
    )


def test_the_table_only_ever_rises(polished, tmp_path):
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


def test_what_is_charged_counts_less(polished):
    """A component that chance can place is paid for: a higher likelihood alone does not reach the
    entry.
    """
    best = Best.of("faithful", polished, "here")
    needle = replace(
        polished.soundness,
        effective=np.array([5.0, 5.0, 14.0]),
        counts=np.array([150.0, 118.0, 4.0]),
        own_rows=3,
    )
    assert not best.reached(replace(raised(polished, 20.0), soundness=needle))
    assert best.missing(replace(raised(polished, 20.0), soundness=needle)) == pytest.approx(
        needle.price - 20.0, abs=1e-6
    )


def test_copies_have_not_reached_anything(polished):
    best = Best.of("faithful", polished, "here")
    assert best.reached(polished)
    assert not best.reached(replace(polished, soundness=COPIES))


def test_open_sets_are_the_csv_files_of_complete_data():
    files = {file.stem for file in sets.DATA.glob("*.csv")}
    assert {name for name in files if not name.endswith("_missing")} == set(OPEN)
