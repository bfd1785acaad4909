"""The sets on which searches are judged follow their recipes, and the table of best-known optima holds what it says."""

from dataclasses import replace

import numpy as np
import pytest

from frame import sets
from frame.best_known import HIGHER, BestKnown, bench, families_of
from frame.sets import DRAWN, NAMES, OPEN, STRETCHED, data_set, overlap
from mixtura.extension import extension
from mixtura.results import Degeneracy

TABLE = BestKnown.read()
ENTRIES = sorted(TABLE.entries.values(), key=lambda best: best.key)

pytestmark = pytest.mark.skipif(extension is None, reason="best-known optima are polished by the C++ kernels")


# ---- recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_a_set_is_the_same_every_time_and_holds_every_group(name):
    K, draw = DRAWN[name]
    once, again = draw(), draw()
    np.testing.assert_array_equal(once[0], again[0])
    assert len(np.unique(once[1])) in (K, 1)  # slow-overlap is one group, fitted by three
    assert np.isfinite(once[0]).all()


@pytest.mark.parametrize(
    ("name", "published"), [("S1", 0.09), ("S2", 0.22), ("S3", 0.41), ("S4", 0.44), ("A1", 0.2), ("A2", 0.2), ("A3", 0.2)]
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
    # centres and groups come one after the other, so the rows of the first groups are the first rows
    np.testing.assert_array_equal(middle[:3000], small)
    np.testing.assert_array_equal(large[:5250], middle)


def test_unbalanced_groups_have_the_published_sizes():
    assert np.bincount(data_set("Unbalance").groups).tolist() == [2000] * 3 + [100] * 5


@pytest.mark.parametrize(("name", "long", "short", "apart", "tilt"), [("stretched", 40, 1, 7, 0), ("tilted", 25, 0.8, 5, 35)])
def test_stretched_groups_have_their_spread_along_the_tilt(name, long, short, apart, tilt):
    K, draw = STRETCHED[name]
    X, groups = (np.concatenate(parts) for parts in zip(*(draw(seed) for seed in range(50)), strict=True))
    angle = np.deg2rad(tilt)
    along, across = X @ [np.cos(angle), np.sin(angle)], X @ [-np.sin(angle), np.cos(angle)]
    for k in range(K):  # 5,000 rows or more: a standard deviation is known to 1 %, so 5 % are five standard errors
        own = groups == k
        assert along[own].std() == pytest.approx(long, rel=0.05)
        assert across[own].std() == pytest.approx(short, rel=0.05)
        assert across[own].mean() == pytest.approx(apart * k, abs=0.1)


def test_hard_cases_are_drawn_as_described():
    rare = data_set("rare-component")
    assert np.bincount(rare.groups).tolist() == [20_000, 20]
    np.testing.assert_allclose(rare.rows[-20:].mean(axis=0), 8.0, atol=0.12)  # five standard errors of 0.1 / sqrt(20)
    assert data_set("local-optimum").rows.shape == (1500, 2)


def test_labels_and_marks_of_noise_are_not_data():
    assert data_set("banknote").rows.shape == (200, 6)
    assert data_set("faithful_noise").rows.shape == (352, 2)


# ---- the table -------------------------------------------------------------------------------------------------------


def test_every_cell_has_an_entry():
    cells = {(name, family, K) for name in NAMES for family in families_of(name) for K in data_set(name).ks}
    assert set(TABLE.entries) == cells


@pytest.mark.parametrize("best", ENTRIES, ids=lambda best: "-".join(map(str, best.key)))
def test_an_entry_has_its_log_likelihood_and_no_degenerate_component(best):
    own, mixture = bench(best.name), best.mixture
    # fifteen digits of the parameters move the likelihood, which is flat there, by less than the polishing leaves
    assert mixture.log_density(own.data.rows).sum() == pytest.approx(best.log_likelihood, abs=1e-3)
    assert not own.degenerate(mixture, best.family)


def test_an_entry_is_reached_from_near_it_and_three_copies_do_not_reach_it():
    best = TABLE.entries["faithful", "VVV", 3]
    own, mixture = bench("faithful"), best.mixture
    near = replace(mixture, means=mixture.means * 1.001)
    assert best.reached(own.settled(near, "VVV", best.log_likelihood))
    alike = mixture.select(np.array([0, 0, 0]))  # copies stay copies, and end as one Gaussian
    assert not best.reached(own.settled(alike, "VVV", best.log_likelihood))


def test_the_table_only_ever_rises(tmp_path):
    best = TABLE.entries["faithful", "EEE", 3]
    fit = bench("faithful").polished(best.mixture, "EEE")
    table = BestKnown()
    assert table.offer("faithful", fit, "first") == np.inf
    assert table.offer("faithful", fit, "the same") is None
    assert table.offer("faithful", replace(fit, log_likelihood=fit.log_likelihood - 1), "lower") is None
    assert table.offer("faithful", replace(fit, log_likelihood=fit.log_likelihood + HIGHER / 2), "rounding") is None
    spurious = replace(fit, log_likelihood=fit.log_likelihood + 9, degenerate=(Degeneracy(0, "too small"),))
    assert table.offer("faithful", spurious, "degenerate") is None
    assert table.offer("faithful", replace(fit, log_likelihood=fit.log_likelihood + 1), "higher") == pytest.approx(1, abs=1e-6)
    table.write(tmp_path / "table.json")
    again = BestKnown.read(tmp_path / "table.json")
    assert again.entries == table.entries
    assert [entry.found_by for entry in again.of("faithful").values()] == ["higher"]


def test_a_degenerate_fit_has_not_reached_anything():
    best = TABLE.entries["faithful", "EEE", 3]
    fit = bench("faithful").polished(best.mixture, "EEE")
    assert best.reached(fit)
    assert not best.reached(replace(fit, degenerate=(Degeneracy(0, "too small"),)))


def test_open_sets_are_the_csv_files_of_complete_data():
    files = {file.stem for file in sets.DATA.glob("*.csv")}
    assert {name for name in files if not name.endswith("_missing")} == set(OPEN)
