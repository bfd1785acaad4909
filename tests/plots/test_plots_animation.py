"""EM as an animation: its steps, its frames, its files."""

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mixtura import GaussianMixture, plots
from mixtura.families import FAMILIES
from mixtura.plots.animation import EMSteps, _Frames
from mixtura.plots.player import player


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_climbs_from_gaussians_at_random_and_keeps_each_step(name, faithful):
    steps = plots.em_steps(faithful, 2, family=name, max_iter=30)
    assert len(steps.mixtures) == len(steps.log_likelihoods) == steps.n_iter + 1
    assert (np.diff(steps.log_likelihoods) >= -1e-9 * abs(steps.log_likelihoods[-1])).all()
    for mixture, value in zip(steps.mixtures, steps.log_likelihoods, strict=True):
        assert mixture.log_density(faithful).sum() == pytest.approx(value, rel=1e-9)


def test_the_first_gaussians_sit_on_different_rows_and_weigh_the_same(faithful):
    first = plots.em_steps(faithful, 3, max_iter=1).mixtures[0]
    assert first.weights.tolist() == [1 / 3] * 3
    assert len(np.unique(first.means, axis=0)) == 3
    assert {tuple(row) for row in first.means} <= {tuple(row) for row in faithful}


def test_a_seed_gives_the_same_animation_and_another_seed_another(faithful):
    first, again, other = (
        plots.em_steps(faithful, 3, random_state=seed, max_iter=2) for seed in (4, 4, 5)
    )
    assert first.log_likelihoods == again.log_likelihoods != other.log_likelihoods


@pytest.mark.parametrize(("n_iter", "frames"), [(0, 1), (7, 8), (59, 60), (400, 60)])
def test_an_animation_shows_the_first_steps_and_the_last(n_iter, frames):
    shown = EMSteps("VVV", (None,) * (n_iter + 1), (), None).shown()
    assert frames - 5 <= len(shown) <= frames
    assert shown[-1] == n_iter
    assert shown[:15].tolist() == list(range(min(n_iter + 1, 15)))


def test_all_frames_share_limits_and_colours(faithful):
    steps = plots.em_steps(faithful, 2, max_iter=6)
    frames = _Frames(steps, faithful, ["a", "b"], None)
    panels = [frames.figure(number).axes[0] for number in (0, 3, 6)]
    assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
    assert panels[0].get_title(loc="left").startswith("start: 2 Gaussians at random")
    assert panels[1].get_title(loc="left").startswith("iteration 3 of 6")


def test_a_step_can_be_drawn_alone(faithful):
    steps = plots.em_steps(faithful, 2, max_iter=3)
    ax = Figure().add_subplot()
    assert plots.draw_step(steps, 2, faithful, ax) is ax
    assert len(ax.patches) == 4


def test_a_gif_has_every_frame(faithful, tmp_path):
    steps = plots.em_steps(faithful[:, :1], 2, max_iter=4)
    path = plots.animate(steps, faithful[:, :1], tmp_path / "em.gif")
    with Image.open(path) as animation:
        assert animation.n_frames == 5
        assert animation.info["loop"] == 0


def test_a_fit_lends_its_family_and_number_to_the_animation(faithful, tmp_path):
    model = GaussianMixture(2, covariance_type="EEI", random_state=0).fit(faithful)
    page = plots.animate(model, faithful, tmp_path / "em.html", max_iter=3).read_text()
    assert "EM, EEI with 2 components, 272 rows" in page
    assert page.count("<img") == 4


def test_the_page_holds_its_frames_and_names_no_other_place(tmp_path):
    page = player(
        "a <b> & c",
        [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")],
        ["<1>", "two"],
        0.5,
    )
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert [Image.open(BytesIO(b64decode(data))).size for data in pictures] == [(4, 4)] * 2
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
    assert "<b>" not in page
    assert 'alt="&lt;1&gt;"' in page


@pytest.mark.parametrize("name", ["em.png", "em"])
def test_an_animation_is_a_gif_or_a_page(name, faithful, tmp_path):
    with pytest.raises(ValueError, match=r"\.gif, \.html"):
        plots.animate(plots.em_steps(faithful, 2, max_iter=1), faithful, tmp_path / name)


def test_an_animation_has_room_for_two_columns(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    steps = plots.em_steps(X, 2, max_iter=1)
    with pytest.raises(ValueError, match="shows one or two"):
        plots.animate(steps, X, tmp_path / "em.gif", columns=list("abc"), shown=list("abc"))
