"""Pictures of a mixture over its data, in the order of the modules of `mixtura.plots`."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy.stats import chi2, norm

from mixtura import GaussianMixture, GaussianMixtureSelector, plots
from mixtura.distribution.covariance import Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.model.fit_result import SearchResult
from mixtura.model.start_report import RunEnd, RunReport, StartReport
from mixtura.plots.colours import to_light, to_screen
from mixtura.plots.curves import overlap_share
from mixtura.plots.density import SHARES
from mixtura.plots.raster import limits_of, opacity, pixel_means
from mixtura.plots.scatter import radius_of

ONE_PANEL = [
    plots.plot_curves,
    plots.plot_scatter,
    plots.plot_uncertainty,
    plots.plot_density,
    plots.plot_conditional,
    plots.plot_mixture,
]


@pytest.fixture(scope="module")
def two():
    return Mixture(
        np.array([0.25, 0.75]),
        np.array([[0.0, 0.0], [3.0, 4.0]]),
        Diagonal(np.array([[1.0, 1.0], [2.0, 1.0]]), 2),
    )


@pytest.fixture(scope="module")
def line():
    return Mixture(np.full(2, 0.5), np.array([[0.0], [2.0]]), Spherical(np.ones(1), 2, 1))


def rows_of(mixture, n, seed=0):
    return mixture.sample(n, np.random.default_rng(seed))[0]


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ellipses_of(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


# ---- what a picture can be made of ---------------------------------------------------------------


def test_every_kind_of_result_gives_the_same_picture(faithful):
    selector = GaussianMixtureSelector([2], families=["VVV"], random_state=0).fit(faithful)
    model, selection = selector.best_estimator_, selector.selection_
    expected = [e.get_center() for e in ellipses_of(plots.plot_scatter(model, faithful))]
    for result in (selector, selection, selection.best, model.result_, model.mixture_):
        assert [
            e.get_center() for e in ellipses_of(plots.plot_scatter(result, faithful))
        ] == expected


def test_criteria_merging_and_traces_take_estimators_too(faithful):
    selector = GaussianMixtureSelector([1, 2, 3], families=["EEE", "VVV"], random_state=0).fit(
        faithful
    )
    assert plots.plot_families(selector).get_ylabel() == "BIC (lower is better)"
    assert plots.plot_choices(selector).get_ylabel() == "criterion (lower is better)"
    assert len(plots.plot_criteria(selector).axes) == 2
    assert (
        plots.plot_trace(selector).get_title(loc="left").startswith(selector.selection_.best.family)
    )
    merged = selector.best_estimator_.merged(faithful, 1)
    assert plots.plot_merge_tree(merged).get_title(loc="left").endswith("1 cluster")
    assert plots.plot_merge_entropy(merged).get_ylabel() == "entropy (nats)"


@pytest.mark.parametrize(
    "draw",
    [lambda x: plots.plot_scatter(x, np.zeros((3, 2))), plots.plot_families, plots.plot_trace],
)
def test_other_objects_are_refused_with_a_message(draw):
    with pytest.raises(TypeError, match=r"needs a result with a \w+, but got dict. Pass a fitted"):
        draw({})


@pytest.mark.parametrize("draw", ONE_PANEL)
def test_every_picture_of_one_panel_goes_into_given_axes_and_looks_right_without_them(
    draw, two, line
):
    mixture = line if draw is plots.plot_curves else two
    ax = Figure().add_subplot()
    assert draw(mixture, rows_of(mixture, 50), ax=ax) is ax
    assert draw(mixture, rows_of(mixture, 50)) is not ax
    assert ax.get_xlabel() == "column 0"


def test_a_data_frame_names_the_axes(two):
    frame = pd.DataFrame(rows_of(two, 30), columns=["height", "weight"])
    ax = plots.plot_scatter(two, frame)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "weight")


def test_of_many_columns_the_two_that_separate_are_shown():
    means = np.array([[0.0, 5.0, 0.0, 9.0], [0.0, 0.0, 0.1, 0.0]])
    mixture = Mixture(np.full(2, 0.5), means, Spherical(np.ones(1), 2, 4))
    for draw in (plots.plot_scatter, plots.plot_uncertainty, plots.plot_density):
        ax = draw(mixture, rows_of(mixture, 40), columns=list("abcd"))
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("b", "d")
    assert (
        plots.plot_curves(mixture, rows_of(mixture, 40), columns=list("abcd")).get_xlabel() == "d"
    )


@pytest.mark.parametrize(
    ("draw", "shown", "words"),
    [
        (plots.plot_curves, ["a", "b"], "shows at most 1"),
        (plots.plot_scatter, ["a"], "needs two columns"),
        (plots.plot_density, ["a", "b", "c"], "shows at most 2"),
    ],
)
def test_a_panel_takes_only_its_number_of_columns(draw, shown, words):
    mixture = Mixture(np.ones(1), np.zeros((1, 3)), Spherical(np.ones(1), 1, 3))
    with pytest.raises(ValueError, match=words):
        draw(mixture, rows_of(mixture, 9), columns=list("abc"), shown=shown)


@pytest.mark.parametrize("draw", ONE_PANEL)
def test_a_long_name_is_cut_on_the_axis(draw, two, line):
    mixture = line if draw is plots.plot_curves else two
    names = [f"a name\nthat is much longer than any axis {j}" for j in range(mixture.n_features)]
    assert (
        draw(mixture, rows_of(mixture, 20), columns=names, shown=names).get_xlabel()
        == "a name that is much longer than\u2026"
    )


# ---- colours -------------------------------------------------------------------------------------


def test_a_component_keeps_its_colour_however_many_there_are():
    for K in (1, 5, 10, 33):
        np.testing.assert_array_equal(plots.component_colours(K), plots.component_colours(60)[:K])
    np.testing.assert_allclose(
        plots.component_colours(10), [to_rgb(colour) for colour in plots.PALETTE]
    )


def test_light_and_screen_undo_each_other():
    colours = np.random.default_rng(0).random((50, 3))
    np.testing.assert_allclose(to_screen(to_light(colours)), colours, atol=1e-12)


def test_the_mean_colour_of_rows_is_the_colour_of_their_mean_membership():
    r = np.random.default_rng(1).dirichlet(np.ones(4), 200)
    colours = plots.component_colours(4)
    mean = to_screen(to_light(plots.blended_colours(r, colours)).mean(axis=0))
    np.testing.assert_allclose(
        mean, plots.blended_colours(r.mean(axis=0, keepdims=True), colours)[0], atol=1e-12
    )


def test_the_first_colours_differ_also_for_those_who_see_no_red_or_no_green():
    # Machado, Oliveira & Fernandes 2009, table of severity 1.0, on linear intensities
    seen = {
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }
    for matrix in seen.values():
        shown = to_screen(to_light(plots.component_colours(6)) @ np.array(matrix).T)
        apart = np.abs(shown[:, None] - shown[None]).max(axis=2)[~np.eye(6, dtype=bool)]
        assert apart.min() > 0.12


# ---- ellipses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.1, 0.5, 0.95, 0.999])
def test_an_ellipse_holds_the_share_in_its_name(level):
    assert radius_of(level) == pytest.approx(np.sqrt(chi2.ppf(level, 2)))


def test_levels_can_be_chosen_and_are_named(two):
    ax = plots.plot_scatter(two, rows_of(two, 20), levels=(0.9,))
    assert len(ellipses_of(ax)) == 2
    assert labels_of(ax)[-1] == "90 % of each"
    with pytest.raises(ValueError, match="must be between 0 and 1, but got 95"):
        plots.plot_scatter(two, rows_of(two, 20), levels=(95,))


# ---- bell curves ---------------------------------------------------------------------------------


def test_the_overlap_is_the_error_rate_of_hard_labels(line):
    assert overlap_share(line) == pytest.approx(
        norm.cdf(-1.0), abs=1e-4
    )  # two equal bells, two deviations apart


def test_the_overlap_is_shaded_below_both_bells_and_named(line):
    ax = plots.plot_curves(line, rows_of(line, 200))
    (shade,) = [c for c in ax.collections if c.get_hatch()]
    heights = shade.get_paths()[0].vertices
    assert heights[:, 1].max() == pytest.approx(0.5 * norm.pdf(1.0), rel=1e-3)
    assert labels_of(ax)[-1] == "overlap (16 %)"


def test_one_component_overlaps_with_nothing():
    one = Mixture(np.ones(1), np.zeros((1, 1)), Spherical(np.ones(1), 1, 1))
    ax = plots.plot_curves(one, rows_of(one, 50))
    assert labels_of(ax) == ["0 (100 %)", "sum"]
    assert not [c for c in ax.collections if c.get_hatch()]


# ---- uncertainty ---------------------------------------------------------------------------------


def test_unsure_rows_are_larger_darker_and_on_top(two):
    X = rows_of(two, 300)
    ax = plots.plot_uncertainty(two, X)
    points = ax.collections[0]
    u = 1 - two.posterior(X).max(axis=1)
    np.testing.assert_allclose(points.get_array(), np.sort(u))
    assert (np.diff(points.get_sizes()) >= 0).all()
    assert points.get_clim() == (0, 0.5)
    assert ax.texts[-1].get_text() == f"{(u > 0.1).sum()} of 300 rows unsure: uncertainty above 0.1"


def test_the_colours_of_uncertainty_fall_in_lightness():
    shades = to_light(
        np.array([plots.uncertainty.UNCERTAINTY_COLOURS(t)[:3] for t in np.linspace(0, 1, 20)])
    )
    assert (np.diff(shades @ [0.2126, 0.7152, 0.0722]) < 0).all()


def test_over_one_column_the_points_lie_on_the_curve(line):
    X = rows_of(line, 100)
    ax = plots.plot_uncertainty(line, X)
    np.testing.assert_allclose(
        ax.collections[0].get_offsets()[:, 1], 1 - line.posterior(X).max(axis=1)
    )
    assert np.max(ax.get_lines()[0].get_ydata()) == pytest.approx(0.5, abs=0.01)


# ---- density -------------------------------------------------------------------------------------


def test_contours_hold_the_share_in_their_name(two):
    density = np.exp(two.log_density(rows_of(two, 100_000, seed=7)))
    ax = plots.plot_density(two, rows_of(two, 100))
    (contours,) = [c for c in ax.collections if isinstance(c, ContourSet) and not c.filled]
    for share, height in zip(SHARES, sorted(contours.levels, reverse=True), strict=True):
        assert (density >= height).mean() == pytest.approx(share, abs=0.01)
    written = {label.get_text() for label in contours.labelTexts}
    assert {"50 %", "80 %", "95 %"} <= written <= {"20 %", "50 %", "80 %", "95 %"}


def test_regions_of_one_column_are_shaded_between_the_ends_of_their_intervals():
    apart = Mixture(np.full(2, 0.5), np.array([[0.0], [9.0]]), Spherical(np.ones(1), 2, 1))
    ax = plots.plot_density(apart, rows_of(apart, 100), levels=[0.95, 0.5])
    drawn = [c.get_paths()[0].vertices[:, 0] for c in ax.collections]
    ends = sorted((x.min(), x.max()) for x in drawn)
    expected = sorted(end for part in apart.hdr([0.5, 0.95]).intervals for end in part.tolist())
    np.testing.assert_allclose(ends, expected, rtol=1e-12)
    assert labels_of(ax) == ["50 %", "95 %"]


@pytest.mark.parametrize("draw", [plots.plot_density, plots.plot_conditional])
@pytest.mark.parametrize("levels", [[], [95], [0.5, 0.0], [np.nan]])
def test_levels_are_probabilities(draw, levels, two):
    with pytest.raises(ValueError, match="`levels` must be probabilities between 0 and 1, but"):
        draw(two, rows_of(two, 20), levels=levels)


@pytest.mark.parametrize("name", ["line", "two"])
def test_density_names_its_shares(name, request):
    mixture = request.getfixturevalue(name)
    ax = plots.plot_density(mixture, rows_of(mixture, 100))
    assert labels_of(ax) == ["20 %", "50 %", "80 %", "95 %"]


def test_a_share_that_is_not_whole_is_named_exactly(line):
    ax = plots.plot_density(line, rows_of(line, 50), levels=[0.995, 0.999])
    assert labels_of(ax) == ["99.5 %", "99.9 %"]


# ---- one column given another --------------------------------------------------------------------


def drawn_lines(ax):
    """The lines of a conditional picture in their order: edges of the bands, then the mean."""
    return [line.get_data() for line in ax.get_lines()]


@pytest.mark.parametrize("shown", [["column 0", "column 1"], ["column 1", "column 0"]])
def test_mean_and_bands_are_those_of_the_conditional_mixture(two, shown):
    ax = plots.plot_conditional(two, rows_of(two, 80), shown=shown, levels=[0.9])
    lower, upper, mean = drawn_lines(ax)
    x = mean[0]
    given = two.condition([names_to_number(shown[0])], x[:, None])
    np.testing.assert_allclose(mean[1], given.mean()[:, 0])
    np.testing.assert_allclose(np.stack([lower[1], upper[1]], axis=1), given.ppf([0.05, 0.95]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == tuple(shown)
    assert labels_of(ax) == ["mean", "5 % to 95 %"]
    rows = rows_of(two, 80)[:, names_to_number(shown[0])]
    assert (x[0], x[-1]) == (rows.min(), rows.max())  # nothing is said beyond the rows


def names_to_number(name):
    return int(name.removeprefix("column "))


def test_a_conditional_density_is_drawn_sideways_at_its_value(two):
    ax = plots.plot_conditional(
        two, rows_of(two, 80), shown=["column 0", "column 1"], at=[0.0, 3.0]
    )
    curves = [line for line in ax.get_lines() if len(set(line.get_xdata())) > 2][-2:]
    scales = []
    for place, curve in zip((0.0, 3.0), curves, strict=True):
        x, y = (np.asarray(values, dtype=float) for values in curve.get_data())
        seen = ~np.isnan(x)
        density = two.condition({0: place}).pdf(y[seen, None])
        scales.append((x[seen] - place) / density)
    np.testing.assert_allclose(np.concatenate(scales), scales[0][0])  # all on one scale
    assert labels_of(ax)[-1] == "density at 0, 3"


def test_of_many_columns_the_pair_that_tells_most_is_shown():
    covariance = np.eye(4)
    covariance[1, 3] = covariance[3, 1] = 0.9
    one = Mixture.from_parameters([1.0], np.zeros((1, 4)), [covariance])
    ax = plots.plot_conditional(one, rows_of(one, 40), columns=list("abcd"))
    assert {ax.get_xlabel(), ax.get_ylabel()} == {"b", "d"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shown": ["column 0"]}, "needs two columns.*only 'column 0'. Use plot_density"),
        ({"at": np.inf}, "`at` must be a finite number or several, but got inf"),
        ({"shown": ["column 0", "column 0"]}, "came more than once"),
    ],
)
def test_a_conditional_picture_refuses_what_it_cannot_draw(arguments, words, two):
    with pytest.raises(ValueError, match=words):
        plots.plot_conditional(two, rows_of(two, 20), **arguments)


def test_one_column_has_no_conditional_picture(line):
    with pytest.raises(ValueError, match="needs two columns"):
        plots.plot_conditional(line, rows_of(line, 20))


# ---- pairs ---------------------------------------------------------------------------------------


def test_pairs_are_an_array_of_axes():
    mixture = Mixture(np.ones(1), np.zeros((1, 3)), Spherical(np.ones(1), 1, 3))
    panels = plots.plot_pairs(mixture, rows_of(mixture, 20), columns=list("abc"), title="All")
    assert panels.shape == (3, 3)
    assert [[panel is not None for panel in row] for row in panels] == [
        [j <= i for j in range(3)] for i in range(3)
    ]
    assert panels[0, 0].get_figure().get_suptitle() == "All"


# ---- many rows -----------------------------------------------------------------------------------


def test_a_pixel_has_the_mean_of_its_rows():
    places = np.array([[0.0, 0.0], [0.1, 0.1], [1.0, 1.0], [0.9, 0.2]])
    values = np.array([[1.0], [3.0], [5.0], [7.0]])
    means, counts = pixel_means(places, values, np.array([[0.0, 1.0], [0.0, 1.0]]), (2, 2))
    assert counts.tolist() == [[2, 1], [0, 1]]
    np.testing.assert_array_equal(means[:, :, 0], [[2, 7], [np.nan, 5]])


def test_rows_outside_the_limits_are_left_out_and_all_others_are_counted():
    places = np.random.default_rng(0).normal(size=(5000, 2))
    limits = np.array([[-1.0, 1.0], [-1.0, 1.0]])
    _, counts = pixel_means(places, np.ones((5000, 1)), limits, (30, 20))
    assert counts.sum() == (np.abs(places) <= 1).all(axis=1).sum()


def test_a_lone_row_can_be_seen_and_an_empty_pixel_cannot():
    shown = opacity(np.array([[0, 1, 10, 1000]]))
    assert shown[0, 0] == 0
    assert 0.3 <= shown[0, 1] < shown[0, 2] < shown[0, 3] == 1


def test_a_column_without_spread_still_has_limits():
    low, high = limits_of(np.array([[3.0, 0.0], [3.0, 0.0]])).T
    assert (low < high).all()


@pytest.mark.parametrize("draw", [plots.plot_scatter, plots.plot_uncertainty, plots.plot_density])
def test_above_ten_thousand_rows_an_image_replaces_the_points(draw, two):
    X = rows_of(two, plots.MOST_POINTS + 1)
    ax = draw(two, X)
    (image,) = ax.images
    assert (
        max(len(c.get_offsets()) for c in ax.collections if hasattr(c, "get_offsets")) <= 2 + 10
    )  # the means, no rows
    np.testing.assert_allclose(image.get_extent(), limits_of(X).ravel())


def test_the_image_of_a_far_component_has_its_colour():
    mixture = Mixture(
        np.full(2, 0.5), np.array([[0.0, 0.0], [100.0, 0.0]]), Spherical(np.ones(1), 2, 2)
    )
    ax = plots.plot_scatter(mixture, rows_of(mixture, 20_000))
    pixels = np.asarray(ax.images[0].get_array())
    seen = pixels[pixels[:, :, 3] > 0][:, :3]
    near = [np.abs(seen - colour).max(axis=1) < 1e-9 for colour in plots.component_colours(2)]
    assert near[0].any()
    assert near[1].any()
    assert (near[0] | near[1]).all()
    assert "20,000 rows as an image" in ax.texts[-1].get_text()


def test_a_million_rows_are_drawn_in_seconds(two, tmp_path):
    """Pixels, not points: the file is small, and no artist holds a million of anything."""
    X = rows_of(two, 1_000_000)
    ax = plots.plot_scatter(two, X)
    assert plots.save(ax, tmp_path / "million.svg").stat().st_size < 500_000


def test_the_rug_of_many_rows_is_a_strip(line):
    ax = plots.plot_curves(line, rows_of(line, 20_000))
    (strip,) = ax.images
    assert np.asarray(strip.get_array()).shape[:2] == (1, 360)
    assert strip.get_extent()[3] == pytest.approx(0.04 * ax.get_ylim()[1])


# ---- starts --------------------------------------------------------------------------------------


def report_of_levels(*levels, starts=(), proposals=()):
    """A report of optima with these log-likelihoods and scores, and so many starts and proposals
    that ended there; one start more was left."""
    runs = [
        RunReport("kmeans", False, *level, 9, RunEnd.REACHED)
        for level, n in zip(levels, starts, strict=True)
        for _ in range(n)
    ]
    runs += [RunReport("kmeans", False, -999.0, float("nan"), 9, RunEnd.DROPPED)]
    runs += [
        RunReport("split", True, *level, 9, RunEnd.REACHED)
        for level, n in zip(levels, proposals, strict=False)
        for _ in range(n)
    ]
    labels = tuple(np.arange(6) % (2 + i % 3) for i in range(len(levels)))
    return StartReport(tuple(runs), 6, 6, levels, labels, 0.02)


REPORT = report_of_levels(
    (-100.0, -100.0), (-90.0, -103.5), (-120.0, -120.0), starts=(5, 2, 1), proposals=(3,)
)


@pytest.mark.parametrize("result", [REPORT, SearchResult(None, (), report=REPORT)])
def test_starts_have_a_bar_for_each_optimum_the_best_on_top(result):
    ax = plots.plot_starts(result)
    assert [bar.get_width() for bar in ax.patches] == [5, 2, 1, 3, 0, 0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["best", "3.5 below", "20 below"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first bar is the highest
    agreements = [f"agreement {optimum.agreement:.2f}" for optimum in REPORT.optima[1:]]
    assert [text.get_text() for text in ax.texts[:3]] == ["", *agreements]
    assert ax.get_title(loc="left") == "9 starts and 3 proposals, 3 distinct optima"


def test_the_picture_of_starts_takes_a_fitted_estimator_and_a_selector(faithful):
    assert plots.plot_starts(GaussianMixture(3, random_state=0).fit(faithful)).patches
    assert plots.plot_starts(
        GaussianMixtureSelector([2], families=["EEE"], random_state=0).fit(faithful)
    ).patches


def test_an_object_without_a_start_report_is_refused():
    with pytest.raises(TypeError, match="a start report was expected"):
        plots.plot_starts(GaussianMixture())
