"""K-Means, mixture and DBSCAN side by side."""

import numpy as np
import pytest

from mixtura import compare as module
from mixtura.compare import compare, knee_distance


def clouds(n=80, distance=12.0, seed=0):
    """Two round clouds, row by row from one and then the other."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2 * n, 2)) + distance * np.repeat([[0.0], [1.0]], n, axis=0)


@pytest.fixture(scope="module")
def apart():
    return compare(clouds(), n_components=2)


def by_name(comparison):
    return {method.name: method for method in comparison.methods}


def test_three_methods_agree_on_clusters_that_are_far_apart(apart):
    truth = np.repeat([0, 1], 80)
    assert apart.agreement["K-Means", "Gaussian mixture"] == 1.0
    assert set(apart.agreement) == {("K-Means", "Gaussian mixture"), ("K-Means", "DBSCAN"), ("Gaussian mixture", "DBSCAN")}
    for name in ("K-Means", "Gaussian mixture"):
        assert len(set(zip(truth, apart.labels[name], strict=True))) == 2
    assert [method.n_clusters for method in apart.methods[:2]] == [2, 2]


def test_only_the_mixture_is_soft_and_only_k_means_needs_k(apart):
    methods = by_name(apart)
    assert [name for name, method in methods.items() if method.soft] == ["Gaussian mixture"]
    assert [name for name, method in methods.items() if method.needs_k] == ["K-Means"]
    assert methods["K-Means"].unsure_rows is None
    assert methods["DBSCAN"].unsure_rows is None
    assert methods["Gaussian mixture"].unsure_rows == 0


def test_seconds_are_measured(apart):
    assert all(0 < method.seconds < 60 for method in apart.methods)
    assert by_name(apart)["Gaussian mixture"].seconds_to_choose is None
    assert by_name(apart)["DBSCAN"].seconds_to_choose > 0


def test_rows_are_a_table_with_agreements(apart):
    rows = apart.rows()
    assert [row["name"] for row in rows] == ["K-Means", "Gaussian mixture", "DBSCAN"]
    assert all(list(row) == list(rows[0]) for row in rows)
    assert [row[f"agreement_with_{row['name']}"] for row in rows] == [1.0, 1.0, 1.0]
    assert rows[2]["agreement_with_K-Means"] == rows[0]["agreement_with_DBSCAN"] == apart.agreement["K-Means", "DBSCAN"]


def test_overlap_makes_rows_unsure_and_the_sentence_gives_their_number():
    method = by_name(compare(clouds(n=300, distance=2.0), n_components=2))["Gaussian mixture"]
    assert 60 < method.unsure_rows < 300
    assert method.interpretation.startswith(f"{method.unsure_rows} of 600 rows are unsure")


def test_k_is_chosen_by_bic_and_handed_to_k_means():
    comparison = compare(clouds(n=60))
    methods = by_name(comparison)
    assert methods["Gaussian mixture"].n_clusters == methods["K-Means"].n_clusters == 2
    assert methods["Gaussian mixture"].seconds_to_choose > methods["Gaussian mixture"].seconds


def test_the_family_is_named_in_words():
    shapes = [by_name(compare(clouds(), n_components=2, mixture_family=f))["Gaussian mixture"].shape for f in ("EII", "VVI", "EEE")]
    assert shapes == [
        "round clusters, all of the same size (EII)",
        "ellipses along the axes, each of its own size and form (VVI)",
        "ellipses in any direction, all of the same size and form and direction (EEE)",
    ]


def test_a_change_of_units_changes_nothing(apart):
    other = compare(clouds() * [1000.0, 0.001] + [5.0, -3.0], n_components=2)
    for name, labels in apart.labels.items():
        np.testing.assert_array_equal(other.labels[name], labels)


def test_the_same_seed_gives_the_same_labels(apart):
    again = compare(clouds(), n_components=2)
    for name, labels in apart.labels.items():
        np.testing.assert_array_equal(again.labels[name], labels)


# ---- DBSCAN's rule -----------------------------------------------------------------------------------------------------


def test_dbscan_calls_a_far_row_noise_and_counts_it():
    X = np.concatenate([clouds(), [[60.0, -60.0]]])
    comparison = compare(X, n_components=2)
    labels = comparison.labels["DBSCAN"]
    assert labels[-1] == -1
    assert by_name(comparison)["DBSCAN"].noise_rows == (labels == -1).sum()
    assert by_name(comparison)["DBSCAN"].n_clusters == len(set(labels) - {-1})


def test_the_knee_is_where_the_curve_of_distances_turns():
    line = np.concatenate([np.arange(100.0), [200.0, 400.0]])[:, None]
    assert knee_distance(line, 2) == 1.0


@pytest.mark.parametrize(("rows", "eps"), [(np.zeros((9, 2)), 1.0), (np.array([[0.0]] * 20 + [[3.0]]), 3.0)])
def test_the_knee_is_positive_also_where_rows_repeat(rows, eps):
    assert knee_distance(rows, 4) == eps


def test_many_rows_run_dbscan_on_a_subsample_that_is_stated(monkeypatch):
    monkeypatch.setattr(module, "DBSCAN_ROWS", 300)
    comparison = compare(clouds(n=500, distance=40.0), n_components=2)
    labels = comparison.labels["DBSCAN"]
    assert "It ran on 300 of 1,000 rows" in by_name(comparison)["DBSCAN"].interpretation
    # More rows than the subsample are in clusters, so the others did follow; and none crossed the gap.
    assert (labels >= 0).sum() > 700
    assert not set(labels[:500][labels[:500] >= 0]) & set(labels[500:][labels[500:] >= 0])


def test_few_rows_say_nothing_of_a_subsample(apart):
    assert "It ran on" not in by_name(apart)["DBSCAN"].interpretation


# ---- edges -------------------------------------------------------------------------------------------------------------


def test_one_cluster_has_no_silhouette():
    methods = by_name(compare(clouds(distance=0.0), n_components=1))
    assert methods["K-Means"].silhouette is None
    assert methods["K-Means"].n_clusters == 1


def test_silhouette_is_high_for_clusters_far_apart(apart):
    assert by_name(apart)["K-Means"].silhouette > 0.8


def test_a_data_frame_is_welcome():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(clouds(), columns=["a", "b"])
    np.testing.assert_array_equal(
        compare(frame, n_components=2).labels["K-Means"], compare(clouds(), n_components=2).labels["K-Means"]
    )


def test_missing_values_are_refused_in_words():
    X = clouds()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"(?i)missing|nan"):
        compare(X)
