"""The picture of a comparison: panels, colours, limits."""

from dataclasses import replace

import numpy as np
import pytest

from mixtura.compare import compare
from mixtura.compare import side_by_side as module
from mixtura.compare.side_by_side import matched_labels, plot_comparison
from mixtura.plots import component_colours


def clouds():
    rng = np.random.default_rng(0)
    near = rng.normal(size=(160, 3)) + 12 * np.repeat([[0.0], [1.0]], 80, axis=0) * [1.0, 0.0, 1.0]
    return np.concatenate([near, [[30.0, -30.0, 30.0]]])


@pytest.fixture(scope="module")
def found():
    return compare(clouds(), n_components=2)


def panels(figure):
    return [ax for ax in figure.axes if ax.get_title(loc="left")]


def test_there_is_a_panel_for_each_method_with_its_number_of_clusters(found):
    titles = [ax.get_title(loc="left") for ax in panels(plot_comparison(found, clouds()))]
    assert [title.split(":")[0] for title in titles] == [
        "K-Means",
        "Gaussian mixture",
        "DBSCAN",
        "HDBSCAN",
    ]
    assert titles[1] == "Gaussian mixture: 2 clusters"


def test_the_same_cluster_has_the_same_number_for_every_method(found):
    labels = matched_labels(found)
    for name in ("DBSCAN", "HDBSCAN"):  # K-Means gives the far row a cluster of its own
        inside = labels[name] >= 0
        assert np.mean(labels[name][inside] == labels["Gaussian mixture"][inside]) > 0.95, name
    assert (labels["DBSCAN"] == found.labels["DBSCAN"])[found.labels["DBSCAN"] < 0].all()


def test_clusters_without_a_partner_get_numbers_of_their_own(found):
    split = {**found.labels, "K-Means": np.arange(161) % 5}
    assert set(matched_labels(replace(found, labels=split))["K-Means"]) == {0, 1, 2, 3, 4}


def test_rows_have_the_colour_of_their_cluster_and_noise_is_grey(found):
    figure = plot_comparison(found, clouds())
    noise, rows = panels(figure)[2].collections
    assert {tuple(colour) for colour in noise.get_facecolors()[:, :3].round(3)} == {
        tuple((0.6 * np.array([0x6F, 0x73, 0x78]) / 255 + 0.4).round(3))
    }
    palette = {tuple(colour) for colour in component_colours(2).round(3)}
    assert {tuple(colour) for colour in rows.get_facecolors()[:, :3].round(3)} == palette
    assert "noise" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_mixture_has_an_ellipse_for_each_component_about_its_rows(found):
    ax = panels(plot_comparison(found, clouds()))[1]
    assert len(ax.patches) == 2
    assert sorted(round(patch.center[0]) for patch in ax.patches)[0] in (0, 1, -1)


def test_all_panels_have_the_same_limits_and_the_most_separating_columns(found):
    axes = panels(plot_comparison(found, clouds(), columns=["a", "b", "c"]))
    assert len({ax.get_xlim() for ax in axes}) == len({ax.get_ylim() for ax in axes}) == 1
    assert {axes[2].get_xlabel(), axes[2].get_ylabel()} == {"a", "c"}


def test_columns_may_be_chosen_and_unknown_ones_are_refused(found):
    axes = panels(plot_comparison(found, clouds(), columns=["a", "b", "c"], shown=["b", "a"]))
    assert (axes[2].get_xlabel(), axes[0].get_ylabel()) == ("b", "a")
    with pytest.raises(ValueError, match="`shown` must be one or two of a, b, c"):
        plot_comparison(found, clouds(), columns=["a", "b", "c"], shown=["d"])


def test_other_rows_are_refused(found):
    with pytest.raises(ValueError, match="161 rows were compared"):
        plot_comparison(found, clouds()[:9])


def test_many_rows_are_an_image(found, monkeypatch):
    monkeypatch.setattr(module, "MOST_POINTS", 100)
    axes = panels(plot_comparison(found, clouds()))
    assert all(len(ax.images) == 1 and not ax.collections for ax in axes)


def test_one_column_is_scattered_and_has_no_heights():
    X = clouds()[:, :1]
    axes = panels(plot_comparison(compare(X, n_components=2), X))
    assert axes[0].get_ylabel() == "(rows are scattered)"
    assert not any(ax.patches for ax in axes)


def test_a_method_that_failed_says_why_in_its_panel(found):
    methods = (*found.methods[:3], replace(found.methods[3], reason="no memory"))
    labels = {name: own for name, own in found.labels.items() if name != "HDBSCAN"}
    ax = panels(plot_comparison(replace(found, methods=methods, labels=labels), clouds()))[3]
    assert (ax.get_title(loc="left"), ax.texts[0].get_text()) == ("HDBSCAN", "no result: no memory")


def test_the_limits_of_all_panels_hold_the_ellipses_and_the_rows():
    X = np.random.default_rng(0).normal(size=(40, 2))
    ax = panels(plot_comparison(compare(X, n_components=1), X))[1]
    (ellipse,) = ax.patches
    box = ellipse.get_extents().transformed(ax.transData.inverted())
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert left <= min(box.x0, X[:, 0].min())
    assert right >= max(box.x1, X[:, 0].max())
    assert low <= min(box.y0, X[:, 1].min())
    assert high >= max(box.y1, X[:, 1].max())
