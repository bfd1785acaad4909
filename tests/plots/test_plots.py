"""Pictures, tested by their content."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy.stats import chi2

from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.families import FAMILIES
from mixtura.model.criteria import aic, bic
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.selection import Candidate, Selection
from mixtura.model.soundness import Soundness
from mixtura.plots import (
    GREY,
    MOST_POINTS,
    PALETTE,
    blended_colours,
    component_colours,
    covariance_ellipse,
    plot_criteria,
    plot_merging,
    plot_mixture,
    plot_trace,
    save,
)
from mixtura.selection.merging import merge_tree

INNER, OUTER = np.sqrt(chi2.ppf([0.5, 0.95], 2))

# ---- small worlds --------------------------------------------------------------------------------


def mixture_of(K, d, distance=100.0):
    """K components with weights in the ratio 1 : 2 : ..., means along a diagonal, variances 1, 2,
    ...
    """
    weights = np.arange(1, K + 1) / (K * (K + 1) / 2)
    means = distance * np.arange(K)[:, None] * np.ones(d)
    return Mixture(weights, means, Diagonal(np.tile(np.arange(1.0, d + 1), (K, 1)), K))


def rows_of(mixture, n, seed=0):
    return mixture.sample(n, np.random.default_rng(seed))[0]


def names(d):
    return [f"column {j}" for j in range(d)]


def soundness_of(K, *, empty=False, spurious=False):
    """Components judged: all well, or the first of them without rows, or on four rows with more
    parameters than these.
    """
    effective, counts = np.full(K, 5.0), np.full(K, 25.0)
    if empty:
        counts[0] = 0.0
    if spurious:
        effective[0], counts[0] = 14.0, 4.0
    return Soundness(effective, counts, own_rows=3, own_parameters=6, n_features=2, total=50.0)


def fit_of(
    K=2,
    family="VVV",
    log_likelihood=-100.0,
    soundness=None,
    trace=(-120.0, -110.0, -100.0),
    n_iter=2,
):
    return FitResult(
        family=family,
        mixture=mixture_of(K, 2),
        log_likelihood=log_likelihood,
        entropy=1.0,
        certainty=-1.0,
        total=50.0,
        n_parameters=6 * K - 1,
        trace=trace,
        n_iter=n_iter,
        stop=StopReason.CONVERGED,
        remaining_gain=0.001,
        soundness=soundness,
    )


def cell(family, K, log_likelihood, **judged):
    soundness = soundness_of(K, **judged)
    fit = fit_of(K, family, log_likelihood, soundness)
    return Candidate(
        family, K, fit, bic(fit), "; ".join(item.reason for item in soundness.findings)
    )


@pytest.fixture
def selection():
    return Selection(
        "bic",
        (
            cell("VVV", 1, -300.0),
            cell("VVV", 2, -200.0),
            cell("VVV", 3, -195.0),
            cell("EII", 1, -320.0),
            cell("EII", 2, -280.0),
            cell("EII", 3, 5000.0, empty=True),
            Candidate("EEE", 3, None, float("nan"), "no start gave a mixture"),
        ),
    )


def labels_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def ellipses_of(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


def line_named(ax, label):
    return next(line for line in ax.get_lines() if line.get_label() == label)


# ---- colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [1, 2, 10, 11, 40])
def test_every_component_has_a_colour_of_its_own(K):
    colours = component_colours(K)
    assert colours.shape == (K, 3)
    assert len(np.unique(colours.round(6), axis=0)) == K
    assert colours.min() >= 0
    assert colours.max() <= 1


def test_a_sure_row_has_the_colour_of_its_component_and_an_unsure_row_the_blend():
    colours = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    blends = blended_colours(np.array([[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]]), colours)
    # a quarter and three quarters of the light, as an sRGB screen shows them
    np.testing.assert_allclose(blends, [[1, 0, 0], [0, 0, 1], [0.537099, 0, 0.880825]], atol=1e-6)


def test_points_of_a_separated_component_are_drawn_in_its_colour():
    mixture = mixture_of(2, 2)
    X = np.concatenate([mixture.means, mixture.means.mean(axis=0, keepdims=True)])
    drawn = plot_mixture(mixture, X, columns=names(2)).collections[0].get_facecolor()[:, :3]
    np.testing.assert_allclose(drawn[:2], [to_rgb(PALETTE[0]), to_rgb(PALETTE[1])], atol=1e-12)
    assert np.abs(drawn[2] - drawn[:2]).max(axis=1).min() > 0.05


# ---- ellipses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigmas", [1.0, 2.0])
@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 155.0])
def test_an_ellipse_has_the_axes_of_its_covariance(sigmas, angle):
    turn = np.array(
        [
            [np.cos(np.radians(angle)), -np.sin(np.radians(angle))],
            [np.sin(np.radians(angle)), np.cos(np.radians(angle))],
        ]
    )
    covariance = turn @ np.diag([9.0, 4.0]) @ turn.T
    ellipse = covariance_ellipse(np.array([5.0, -1.0]), covariance, sigmas, np.zeros(3))
    assert ellipse.get_center() == (5.0, -1.0)
    assert ellipse.get_width() == pytest.approx(2 * sigmas * 3)
    assert ellipse.get_height() == pytest.approx(2 * sigmas * 2)
    assert np.cos(np.radians(2 * (ellipse.get_angle() - angle))) == pytest.approx(1.0)


def test_the_outline_of_an_ellipse_lies_at_its_mahalanobis_distance():
    covariance = np.array([[2.0, 0.9], [0.9, 1.0]])
    ellipse = covariance_ellipse(np.array([3.0, 4.0]), covariance, 2.0, np.zeros(3))
    corners = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.6, 0.8]])
    outline = ellipse.get_patch_transform().transform(corners) - [3.0, 4.0]
    np.testing.assert_allclose(
        np.sqrt(np.einsum("ni,ij,nj->n", outline, np.linalg.inv(covariance), outline)), 2.0
    )


@pytest.mark.parametrize("K", [1, 3, 10])
def test_two_columns_show_two_ellipses_and_a_number_for_each_component(K):
    mixture = mixture_of(K, 2)
    ax = plot_mixture(mixture, rows_of(mixture, 200), columns=names(2))
    ellipses = ellipses_of(ax)
    assert len(ellipses) == 2 * K
    np.testing.assert_allclose(
        [e.get_edgecolor()[:3] for e in ellipses], np.repeat(component_colours(K), 2, axis=0)
    )
    assert [text.get_text() for text in ax.texts] == [str(k) for k in range(K)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column 0", "column 1")


def test_shared_and_full_covariances_are_drawn_alike():
    means, weights = np.array([[0.0, 0.0], [9.0, 9.0]]), np.array([0.5, 0.5])
    forms = [
        Spherical(np.array([4.0]), 2, 2),
        Diagonal(np.full((1, 2), 4.0), 2),
        Dense(4.0 * np.eye(2)[None], 2),
    ]
    for form in forms:
        ax = plot_mixture(Mixture(weights, means, form), means, columns=names(2))
        sizes = [(e.get_width(), e.get_height()) for e in ellipses_of(ax)]
        np.testing.assert_allclose(sizes, [(4 * r, 4 * r) for r in (INNER, OUTER, INNER, OUTER)])


# ---- one column ----------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [1, 3, 10])
def test_one_column_shows_a_weighted_bell_for_each_component_and_their_sum(K):
    mixture = mixture_of(K, 1, distance=5.0)
    ax = plot_mixture(mixture, rows_of(mixture, 400), columns=["height"])
    *bells, total = ax.get_lines()
    assert len(bells) == K
    for k, bell in enumerate(bells):
        x, y = bell.get_data()
        np.testing.assert_allclose(
            y,
            mixture.weights[k] * np.exp(-((x - 5.0 * k) ** 2) / 2) / np.sqrt(2 * np.pi),
            rtol=1e-12,
            atol=1e-300,
        )
    np.testing.assert_allclose(total.get_ydata(), sum(bell.get_ydata() for bell in bells))
    assert ax.get_xlabel() == "height"


def test_the_histogram_is_a_density_and_the_rug_has_a_line_for_each_row():
    mixture = mixture_of(2, 1)
    X = rows_of(mixture, 300)
    ax = plot_mixture(mixture, X, columns=["x"])
    outline = ax.patches[0].get_xy()[:-1]
    area = 0.5 * abs(
        np.dot(outline[:, 0], np.roll(outline[:, 1], 1))
        - np.dot(outline[:, 1], np.roll(outline[:, 0], 1))
    )
    assert area == pytest.approx(1.0)
    rug = ax.collections[-1]
    np.testing.assert_allclose(rug.get_offsets()[:, 0], X[:, 0])
    np.testing.assert_allclose(rug.get_edgecolor()[0][:3], to_rgb(PALETTE[0]))


def test_a_very_narrow_component_is_drawn_but_does_not_hide_the_data():
    mixture = Mixture(
        np.array([0.9, 0.1]), np.array([[0.0], [0.12345]]), Diagonal(np.array([[1.0], [1e-12]]), 2)
    )
    ax = plot_mixture(mixture, rows_of(mixture_of(1, 1), 500), columns=["x"])
    narrow = ax.get_lines()[1].get_ydata()
    assert narrow.max() == pytest.approx(0.1 / np.sqrt(2 * np.pi) * 1e6)
    assert ax.get_ylim()[1] < 5


# ---- grids ---------------------------------------------------------------------------------------


def test_more_columns_make_a_grid_with_scatters_below_the_diagonal_and_curves_on_it():
    mixture = mixture_of(3, 4)
    figure = plot_mixture(mixture, rows_of(mixture, 100), columns=names(4))
    assert isinstance(figure, Figure)
    panels = dict(zip(zip(*np.tril_indices(4), strict=True), figure.axes, strict=True))
    for i in range(4):
        for j in range(i + 1):
            assert panels[i, j].axison
            assert len(ellipses_of(panels[i, j])) == (6 if j < i else 0)
            assert len(panels[i, j].get_lines()) == (4 if i == j else 0)
    widths = [e.get_width() for e in ellipses_of(panels[3, 1])]
    np.testing.assert_allclose(
        widths, np.tile([4 * INNER, 4 * OUTER], 3)
    )  # column 3 has variance 4, the longer axis
    assert panels[3, 1].get_xlabel() == "column 1"
    assert panels[3, 0].get_ylabel() == "column 3"


def test_a_grid_has_six_columns_at_most_and_names_the_others():
    mixture = mixture_of(2, 8)
    figure = plot_mixture(mixture, rows_of(mixture, 60), columns=names(8), title="Flowers")
    assert len(figure.axes) == 21
    assert "".join(figure.get_suptitle().split()) == "Flowers(leftout:column6,column7)"


def test_shown_chooses_columns_but_colours_come_from_all_of_them():
    mixture = Mixture(
        np.full(2, 0.5), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 100.0]]), Spherical(np.ones(1), 2, 3)
    )
    X = mixture.means
    ax = plot_mixture(mixture, X, columns=["a", "b", "c"], shown=["b", "a"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("b", "a")
    np.testing.assert_allclose(
        ax.collections[0].get_facecolor()[:, :3], [to_rgb(PALETTE[0]), to_rgb(PALETTE[1])]
    )


# ---- legends, captions, points -------------------------------------------------------------------


def test_the_legend_counts_from_zero_and_gives_weights_in_percent():
    mixture = Mixture(
        np.array([0.36, 0.637, 0.003]), np.arange(6.0).reshape(3, 2), Spherical(np.ones(1), 3, 2)
    )
    ax = plot_mixture(mixture, mixture.means, columns=names(2))
    assert labels_of(ax.get_legend()) == [
        "0 (36 %)",
        "1 (64 %)",
        "2 (<1 %)",
        "50 % of each",
        "95 % of each",
    ]


@pytest.mark.parametrize(("K", "d"), [(1, 1), (10, 1), (1, 2), (10, 2), (25, 2)])
def test_the_legend_covers_no_data(K, d):
    mixture = mixture_of(K, d)
    ax = plot_mixture(mixture, rows_of(mixture, 100), columns=names(d))
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
    assert ax.get_legend().get_window_extent().y0 >= 0


def test_up_to_ten_thousand_rows_every_one_is_a_point():
    mixture = mixture_of(1, 2)
    X = rows_of(mixture, MOST_POINTS)
    ax = plot_mixture(mixture, X, columns=names(2))
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), X)
    assert not ax.images


def test_a_picture_is_drawn_in_given_axes():
    ax = Figure().add_subplot()
    mixture = mixture_of(2, 2)
    assert plot_mixture(mixture, mixture.means, columns=names(2), ax=ax, title="Mine") is ax
    assert ax.get_title(loc="left") == "Mine"


def test_a_dollar_sign_in_a_name_is_no_formula(tmp_path):
    mixture = mixture_of(1, 2)
    ax = plot_mixture(
        mixture, rows_of(mixture, 20), columns=["price $\\frac$", "a$b$c"], title="$\\frac$"
    )
    assert save(ax, tmp_path / "dollar.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("X", "columns", "shown", "message"),
    [
        (np.zeros((4, 3)), names(2), None, r"has shape \(4, 3\), but the mixture has 2 columns"),
        (np.zeros(4), names(2), None, r"has shape \(4,\)"),
        (np.zeros((4, 2)), names(3), None, "3 names for 2 columns"),
        (np.full((4, 2), np.inf), names(2), None, "infinite values, which cannot be drawn"),
        (np.full((4, 2), np.nan), names(2), None, "no value at all in 'column 0'"),
        (np.zeros((4, 2)), names(2), ["height"], "only these columns"),
        (np.zeros((4, 2)), names(2), [], "at least one"),
    ],
)
def test_inconsistent_arguments_are_refused_with_a_message(X, columns, shown, message):
    with pytest.raises(ValueError, match=message):
        plot_mixture(mixture_of(2, 2), X, columns=columns, shown=shown)


# ---- missing values ------------------------------------------------------------------------------


def incomplete(d, n=60):
    """Rows of two components; every fifth lacks the first column, every sixth the last."""
    rows = rows_of(mixture_of(2, d), n)
    rows[::5, 0] = np.nan
    rows[::6, -1] = np.nan
    return rows


def n_points(ax):
    return max(len(collection.get_offsets()) for collection in ax.collections)


def test_a_row_is_drawn_where_it_has_both_columns_and_the_others_are_counted():
    rows = incomplete(2)
    ax = plot_mixture(mixture_of(2, 2), rows, columns=names(2))
    assert n_points(ax) == np.count_nonzero(~np.isnan(rows).any(axis=1)) == 40
    said = "20 of 60 rows are not drawn: column 0 or column 1 is missing"
    assert said in [text.get_text() for text in ax.texts]


def test_each_panel_of_a_grid_has_the_rows_with_its_columns():
    rows = incomplete(3)
    figure = plot_mixture(mixture_of(2, 3), rows, columns=names(3))
    drawn = {
        (ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start): n_points(ax)
        for ax in figure.axes
        if not ax.patches or ax.get_subplotspec().rowspan != ax.get_subplotspec().colspan
    }
    seen = ~np.isnan(rows)
    for (i, j), count in drawn.items():
        if i != j:
            assert count == np.count_nonzero(seen[:, i] & seen[:, j])
    assert figure.get_supxlabel().startswith("20 of 60 rows have missing values")


def test_a_masked_array_is_drawn_as_one_with_nan(tmp_path):
    rows = incomplete(2)
    masked = np.ma.masked_invalid(rows)
    first, second = (
        save(plot_mixture(mixture_of(2, 2), X, columns=names(2)), tmp_path / f"{name}.png")
        for name, X in (("nan", rows), ("masked", masked))
    )
    assert first.read_bytes() == second.read_bytes()


def test_a_grid_does_not_go_into_one_panel():
    with pytest.raises(ValueError, match="3 columns need a grid"):
        plot_mixture(
            mixture_of(2, 3), np.zeros((4, 3)), columns=names(3), ax=Figure().add_subplot()
        )


# ---- criteria ------------------------------------------------------------------------------------


def test_every_criterion_axis_says_lower_is_better(selection):
    families, criteria = plot_criteria(selection).axes
    assert families.get_ylabel() == "BIC (lower is better)"
    assert criteria.get_ylabel() == "criterion (lower is better)"


def test_each_family_has_its_curve_and_the_winner_a_ring(selection):
    families, _ = plot_criteria(selection).axes
    x, y = line_named(families, "VVV").get_data()
    np.testing.assert_array_equal(x, [1, 2, 3])
    np.testing.assert_allclose(y, [c.criterion for c in selection.candidates[:3]])
    ring = max(families.get_lines(), key=lambda line: line.get_markersize())
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, selection.best.criterion)
    assert families.get_title(loc="left") == "Best: VVV with 2 components"
    assert labels_of(families.get_legend())[:2] == ["VVV", "EII"]


def test_a_fit_that_is_not_valid_is_a_hollow_cross_inside_the_panel_and_on_no_curve(selection):
    families, _ = plot_criteria(selection).axes
    crosses = [line for line in families.get_lines() if line.get_marker() == "X"]
    assert [list(cross.get_xdata()) for cross in crosses] == [[3]]
    assert crosses[0].get_markerfacecolor() == "none"
    low, high = families.get_ylim()
    assert low < crosses[0].get_ydata()[0] < high
    eligible = [c.criterion for c in selection.ranking]
    assert low > min(eligible) - (max(eligible) - min(eligible))
    assert np.isnan(line_named(families, "EII").get_ydata()[2])
    assert "not valid" in labels_of(families.get_legend())


def test_a_fit_with_a_spurious_component_is_a_hollow_point_on_its_curve(selection):
    spurious = cell("VVV", 4, -180.0, spurious=True)
    families, _ = plot_criteria(Selection("bic", (*selection.candidates, spurious))).axes
    assert "a spurious component" in labels_of(families.get_legend())
    hollow = [line for line in families.get_lines() if line.get_markerfacecolor() == "white"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in hollow] == [
        (4, spurious.criterion)
    ]
    assert line_named(families, "VVV").get_ydata()[3] == spurious.criterion
    assert "a spurious component" not in labels_of(plot_criteria(selection).axes[0].get_legend())


def test_fits_that_failed_are_counted(selection):
    families, _ = plot_criteria(selection).axes
    assert [text.get_text() for text in families.texts] == ["1 of 7 fits failed and are not shown"]


def test_the_right_panel_shows_the_criteria_of_the_winning_family(selection):
    _, criteria = plot_criteria(selection, criterion_names=("bic", "aic")).axes
    fits = [c.fit for c in selection.candidates[:3]]
    np.testing.assert_allclose(line_named(criteria, "BIC").get_ydata(), [bic(fit) for fit in fits])
    np.testing.assert_allclose(line_named(criteria, "AIC").get_ydata(), [aic(fit) for fit in fits])
    assert labels_of(criteria.get_legend()) == ["BIC", "AIC", "lowest"]


def test_a_selection_without_a_winner_still_gives_a_picture():
    lost = Selection("bic", (cell("VVV", 1, -10.0, empty=True),))
    (ax,) = plot_criteria(lost).axes
    assert ax.get_title(loc="left") == "No fit is valid"
    assert [line.get_marker() for line in ax.get_lines()].count("X") == 1


def test_an_unknown_criterion_is_refused(selection):
    with pytest.raises(ValueError, match="'dic' is not known"):
        plot_criteria(selection, criterion_names=["dic"])


def test_six_families_have_a_colour_and_the_others_are_grey():
    cells = tuple(
        cell(name, K, -200.0 - 10 * place - K)
        for place, name in enumerate(FAMILIES)
        for K in (1, 2, 3)
    )
    families, _ = plot_criteria(Selection("bic", cells)).axes
    assert labels_of(families.get_legend()) == [*list(FAMILIES)[:6], "8 other families", "best"]
    colours = [line_named(families, name).get_color() for name in FAMILIES]
    assert len(set(colours)) == 7
    assert colours[6:] == [GREY] * 8


def test_one_value_far_above_does_not_flatten_the_others():
    values = (-9000.0, -200.0, -198.0, -199.0, -201.0)
    families, _ = plot_criteria(
        Selection("bic", tuple(cell("EEE", K, value) for K, value in enumerate(values, start=1)))
    ).axes
    assert families.get_ylim()[1] < 2000
    assert [text.get_text() for text in families.texts] == ["values far above the best lie outside"]


def test_a_criterion_in_other_units_has_the_right_panel_to_itself():
    cells = tuple(
        replace(cell("EEE", K, -200.0), criterion=1.0 / K, criteria={"nec": 1.0 / K})
        for K in (1, 2)
    )
    families, criteria = plot_criteria(Selection("nec", cells)).axes
    assert families.get_ylabel() == "NEC (lower is better)"
    assert labels_of(criteria.get_legend()) == ["NEC", "lowest"]


# ---- components merged into clusters -------------------------------------------------------------


def tree_of(K, seed=0):
    return merge_tree(np.random.default_rng(seed).dirichlet(np.full(K, 0.3), 200))


@pytest.mark.parametrize("K", [1, 2, 3, 7])
def test_a_merge_tree_shows_every_component_once_and_the_entropy_of_every_number_of_clusters(K):
    tree = tree_of(K)
    forks, path = plot_merging(tree).axes
    assert sorted(text.get_text() for text in forks.get_xticklabels()) == [str(k) for k in range(K)]
    np.testing.assert_allclose(
        line_named(path, "entropy").get_data(), [np.arange(1, K + 1), tree.entropies]
    )


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
def test_the_chosen_number_of_clusters_is_ringed_and_gives_the_colours(n_clusters):
    tree = tree_of(5)
    forks, path = plot_merging(tree, n_clusters, title="Mine").axes
    ring = max(path.get_lines(), key=lambda line: line.get_markersize())
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (
        n_clusters,
        tree.entropies[n_clusters - 1],
    )
    solid = {to_rgb(line.get_color()) for line in forks.get_lines() if line.get_linestyle() == "-"}
    assert len(solid) == n_clusters


# ---- the path of EM ------------------------------------------------------------------------------


def test_the_trace_shows_every_iteration_and_why_em_ended():
    ax = plot_trace(fit_of())
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(line.get_ydata(), [-120, -110, -100])
    assert ax.get_title(loc="left") == "VVV, K = 2: 2 iterations"
    assert ax.texts[0].get_text().startswith("converged")


def test_the_trace_of_a_continued_fit_begins_where_the_short_run_ended():
    (line,) = plot_trace(fit_of(n_iter=12)).get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [10, 11, 12])


def test_a_fit_without_an_iteration_shows_one_point():
    (line,) = plot_trace(fit_of(trace=(-120.0,), n_iter=0)).get_lines()
    assert line.get_marker() == "o"
    np.testing.assert_array_equal(line.get_xdata(), [0])


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF"), ("a.svg", b"<?xml")]
)
def test_a_picture_is_saved_in_the_format_of_its_ending(tmp_path, name, start):
    path = save(plot_trace(fit_of()), str(tmp_path / name))
    assert path == tmp_path / name
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.bmp", r"ends in '\.bmp'.*Write 'a\.png'"), ("picture", "has no ending")],
)
def test_another_ending_is_refused_before_anything_is_written(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        save(plot_trace(fit_of()), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        save(plot_trace(fit_of()), tmp_path / "nowhere" / "a.png")
