"""K-Means, mixture, DBSCAN and HDBSCAN side by side."""

import numpy as np
import pytest

from mixtura.compare import compare, contenders
from mixtura.compare import comparison as module

NAMES = ["K-Means", "Gaussian mixture", "DBSCAN", "HDBSCAN"]


def clouds(n=80, distance=12.0, seed=0):
    """Two round clouds, row by row from one and then the other."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2 * n, 2)) + distance * np.repeat([[0.0], [1.0]], n, axis=0)


@pytest.fixture(scope="module")
def apart():
    return compare(clouds(), n_components=2, truth=np.repeat(["left", "right"], 80))


def by_name(comparison):
    return {method.name: method for method in comparison.methods}


def test_the_methods_agree_on_clusters_that_are_far_apart(apart):
    assert apart.agreement["K-Means", "Gaussian mixture"] == 1.0
    assert len(apart.agreement) == 6
    assert [method.n_clusters for method in apart.methods] == [2, 2, 2, 2]


def test_only_the_mixture_is_soft_and_the_density_methods_find_k(apart):
    methods = by_name(apart)
    assert [name for name, method in methods.items() if method.soft] == ["Gaussian mixture"]
    assert [name for name, method in methods.items() if method.needs_k] == [
        "K-Means",
        "Gaussian mixture",
    ]
    assert [method.unsure_rows for method in apart.methods] == [None, 0, None, None]
    assert [method.noise_rows is None for method in apart.methods] == [True, True, False, False]


def test_seconds_are_measured(apart):
    assert all(0 < method.seconds < 60 for method in apart.methods)
    assert by_name(apart)["Gaussian mixture"].seconds_to_choose is None
    assert by_name(apart)["DBSCAN"].seconds_to_choose > 0


def test_rows_are_a_table_with_agreements(apart):
    rows = apart.rows()
    assert [row["name"] for row in rows] == NAMES
    assert all(list(row) == list(rows[0]) for row in rows)
    assert [row[f"agreement_with_{row['name']}"] for row in rows] == [1.0] * 4
    assert (
        rows[2]["agreement_with_K-Means"]
        == rows[0]["agreement_with_DBSCAN"]
        == apart.agreement["K-Means", "DBSCAN"]
    )


def test_each_method_is_measured_against_known_groups(apart):
    assert [method.truth_ari for method in apart.methods[:2]] == [1.0, 1.0]
    assert [method.truth_nmi for method in apart.methods[:2]] == pytest.approx([1.0, 1.0])
    nearest = [
        sentence
        for sentence in apart.sentences
        if sentence.startswith("Nearest to the known groups: K-Means")
    ]
    assert nearest[0].endswith("with an adjusted Rand index of 1.00.")


def test_noise_counts_against_a_method_where_the_known_groups_have_none():
    X, truth = np.concatenate([clouds(), [[60.0, -60.0]]]), np.repeat([0, 1], [80, 81])
    method = by_name(compare(X, n_components=2, truth=truth))["DBSCAN"]
    assert method.noise_rows > 0
    assert method.truth_ari < 1.0


def test_without_known_groups_nothing_is_said_of_them():
    comparison = compare(clouds(), n_components=2)
    assert all(
        method.truth_ari is None and method.truth_nmi is None for method in comparison.methods
    )
    assert not any("known groups" in sentence for sentence in comparison.sentences)


def test_known_groups_of_another_length_are_refused():
    with pytest.raises(
        ValueError,
        match=r"`truth` must have one group for each of the 160 rows, but its shape is \(3,\)",
    ):
        compare(clouds(), truth=[1, 2, 3])


def test_overlap_makes_rows_unsure_and_the_sentence_gives_their_number():
    method = by_name(compare(clouds(n=300, distance=2.0), n_components=2))["Gaussian mixture"]
    assert 60 < method.unsure_rows < 300
    assert f"{method.unsure_rows} of 600 rows are unsure" in method.interpretation


def test_each_k_is_chosen_by_a_stated_rule():
    methods = by_name(compare(clouds(n=60)))
    assert [method.n_clusters for method in methods.values()] == [2, 2, 2, 2]
    assert methods["Gaussian mixture"].k_chosen_by == "BIC, lowest of K = 1 to 10"
    assert methods["K-Means"].k_chosen_by == "silhouette, highest of K = 2 to 10"
    assert methods["DBSCAN"].k_chosen_by.startswith("found; eps = ")
    assert methods["Gaussian mixture"].seconds_to_choose > methods["Gaussian mixture"].seconds


def test_the_family_is_named_in_words():
    shapes = [
        by_name(compare(clouds(), n_components=2, mixture_family=f))["Gaussian mixture"].shape
        for f in ("EII", "VVI", "EEE")
    ]
    assert shapes == [
        "round clusters, all of the same size (EII)",
        "ellipses along the axes, each of its own size and form (VVI)",
        "ellipses in any direction, all of the same size and form and direction (EEE)",
    ]


def test_the_family_may_be_chosen_by_bic():
    method = by_name(compare(clouds(), n_components=2, mixture_family="all"))["Gaussian mixture"]
    assert method.k_chosen_by == "given; BIC chose the family"
    assert method.seconds_to_choose > 0


def test_a_change_of_units_changes_nothing(apart):
    other = compare(clouds() * [1000.0, 0.001] + [5.0, -3.0], n_components=2)
    for name, labels in apart.labels.items():
        np.testing.assert_array_equal(other.labels[name], labels)


def test_the_same_seed_gives_the_same_labels(apart):
    again = compare(clouds(), n_components=2)
    for name, labels in apart.labels.items():
        np.testing.assert_array_equal(again.labels[name], labels)


def test_each_method_is_announced():
    begun = []
    compare(clouds(), n_components=2, on_method=begun.append)
    assert begun == NAMES


# ---- many rows -----------------------------------------------------------------------------------


def test_many_rows_run_the_density_methods_on_a_sample_that_is_stated(monkeypatch):
    for room in (module, contenders):
        monkeypatch.setattr(room, "DENSITY_ROWS", 300)
    comparison = compare(clouds(n=500, distance=40.0), n_components=2)
    methods, labels = by_name(comparison), comparison.labels["DBSCAN"]
    for name in ("DBSCAN", "HDBSCAN"):
        assert methods[name].rows_used == 300
        assert methods[name].k_chosen_by.endswith(", on 300 of 1,000 rows")
    # More rows than the sample are in clusters, so the others did follow; and none crossed the gap.
    assert (labels >= 0).sum() > 700
    assert not set(labels[:500][labels[:500] >= 0]) & set(labels[500:][labels[500:] >= 0])
    assert (comparison.labels["HDBSCAN"] == -2).sum() == 700
    assert "The other 700 rows are not labelled" in methods["HDBSCAN"].interpretation
    assert (
        comparison.agreement["Gaussian mixture", "HDBSCAN"] > 0.9
    )  # over the rows that both have labelled
    assert "This was judged on 300 of 1,000 rows, drawn at random." in comparison.sentences


def test_a_model_chosen_on_a_sample_is_fitted_to_all_rows(monkeypatch):
    monkeypatch.setattr(contenders, "BIC_ROWS", 100)
    method = by_name(compare(clouds()))["Gaussian mixture"]
    assert method.k_chosen_by == "BIC, lowest of K = 1 to 10, on 100 of 160 rows"
    assert method.rows_used == 160


def test_few_rows_say_nothing_of_a_sample(apart):
    assert not any(" of 160 rows" in method.k_chosen_by for method in apart.methods)
    assert not any("drawn at random" in sentence for sentence in apart.sentences)


# ---- edges ---------------------------------------------------------------------------------------


def test_a_method_that_fails_is_a_row_with_its_reason(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(module, "hdbscan", fail)
    comparison = compare(clouds(), n_components=2)
    assert by_name(comparison)["HDBSCAN"].reason == "not enough memory"
    assert by_name(comparison)["HDBSCAN"].seconds is None
    assert list(comparison.labels) == NAMES[:3]
    assert comparison.rows()[3]["agreement_with_HDBSCAN"] is None
    assert "HDBSCAN failed: not enough memory" in comparison.sentences


def test_more_components_than_rows_fail_with_a_reason_and_the_others_go_on():
    comparison = compare(clouds(n=6), n_components=13)
    methods = by_name(comparison)
    assert "13" in methods["Gaussian mixture"].reason
    assert methods["K-Means"].n_clusters == 12
    assert comparison.mixture is None
    assert comparison.suits == ()


@pytest.mark.filterwarnings(
    "ignore:.*X has 2 rows:mixtura.base.errors.DataWarning",
    "ignore:The .* has 1 spurious:mixtura.base.errors.DegenerateWarning",
)
@pytest.mark.parametrize("rows", [np.zeros((9, 2)), np.arange(4.0).reshape(2, 2)])
def test_very_few_rows_give_a_table_as_well(rows):
    assert [row["name"] for row in compare(rows).rows()] == NAMES


def test_one_cluster_has_no_internal_index():
    method = by_name(compare(clouds(distance=0.0), n_components=1))["K-Means"]
    assert method.n_clusters == 1
    assert (method.silhouette, method.calinski_harabasz, method.davies_bouldin) == (
        None,
        None,
        None,
    )


def test_internal_indices_know_clusters_far_apart_from_one_cut_in_two(apart):
    cut = by_name(compare(clouds(distance=0.0), n_components=2))["K-Means"]
    sound = by_name(apart)["K-Means"]
    assert sound.silhouette > 0.8 > cut.silhouette
    assert sound.calinski_harabasz > cut.calinski_harabasz
    assert sound.davies_bouldin < cut.davies_bouldin


def test_a_data_frame_is_accepted():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(clouds(), columns=["a", "b"])
    np.testing.assert_array_equal(
        compare(frame, n_components=2).labels["K-Means"],
        compare(clouds(), n_components=2).labels["K-Means"],
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"n_components": 0}, "n_components"), ({"mixture_family": "VXV"}, "Did you mean 'VVV'")],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        compare(clouds(), **settings)


def test_missing_values_are_refused_with_a_message():
    X = clouds()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"(?i)missing|nan"):
        compare(X)


# ---- Ctrl-C --------------------------------------------------------------------------------------


def at(wanted):
    """Ctrl-C when a method begins."""

    def press(name):
        if name == wanted:
            raise KeyboardInterrupt

    return press


def test_ctrl_c_keeps_the_methods_that_are_done():
    X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [9.0]], 100, axis=0)
    found = compare(X, on_method=at("DBSCAN"))
    assert found.interrupted
    assert list(found.labels) == ["K-Means", "Gaussian mixture"]
    assert [method.reason for method in found.methods] == ["", "", "interrupted", "not run"]
    assert (
        found.sentences[-1]
        == "Missing because the comparison was interrupted, and not taken into account: DBSCAN, "
        "HDBSCAN."
    )
    assert found.suits
    assert not compare(X).interrupted


def test_ctrl_c_before_the_first_method_is_done_is_raised():
    with pytest.raises(KeyboardInterrupt):
        compare(np.random.default_rng(0).normal(size=(50, 2)), on_method=at("K-Means"))


def test_ctrl_c_during_the_check_of_suitability_keeps_the_methods(monkeypatch):
    def press(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("mixtura.compare.comparison.measure", press)
    found = compare(np.random.default_rng(0).normal(size=(100, 2)))
    assert found.interrupted
    assert len(found.labels) == 4
    assert found.suits == ()
    assert found.sentences == (
        "Which method suits the data was not judged: the comparison was interrupted before.",
    )
