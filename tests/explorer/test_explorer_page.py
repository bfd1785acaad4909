"""mixtura explore in a headless Chromium: actions of a user, and what the page shows then."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'explore' is not installed")

from sklearn.datasets import load_iris, make_moons
from test_explorer import FAITHFUL

from browsing import browser, page_of, tab_of
from conftest import three_round_clusters
from mixtura import GaussianMixture
from mixtura.compare import compare
from mixtura.explorer import views
from mixtura.explorer.app import explorer_app
from mixtura.explorer.table import OpenedTable
from mixtura.inputs.reading import read_table
from mixtura.model.outlines import outlines
from serving import running

pytestmark = pytest.mark.slow

READY = "html[data-ready=yes]"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as it:
        yield it


def faithful() -> OpenedTable:
    X, names, _ = read_table(FAITHFUL).numeric()
    return OpenedTable(X, names, str(FAITHFUL))


@pytest.fixture(scope="module")
def opened_once(chrome) -> Iterator[Any]:
    """The link works once, so all tests share the browser's context that used it, and what the
    server has computed.
    """
    with running(explorer_app(faithful())) as server, page_of(chrome, server) as first:
        first.wait_for_selector(READY)
        yield server, first.context


@pytest.fixture
def page(opened_once) -> Iterator[Any]:
    server, context = opened_once
    with tab_of(context, server) as it:
        it.goto(f"http://{server.host}/")
        it.wait_for_selector(READY)
        yield it


def wait_for(page: Any, selector: str, words: str) -> None:
    page.wait_for_function(
        "([s, w]) => document.querySelector(s).textContent.includes(w)", arg=[selector, words]
    )


def log_likelihood(page: Any) -> float:
    return float(
        re.search(r"log-likelihood (-?[\d,.]+\d)", page.inner_text("#status"))[1].replace(",", "")
    )


def test_the_page_opens_on_the_lowest_bic_and_says_so(page):
    assert page.inner_text("#about") == "old_faithful.csv: 272 rows, 2 columns"
    assert page.inner_text("#components-shown") == "2"
    assert "lowest BIC: K = 2" in page.text_content("#curve")
    assert "(lower is better)" in page.inner_text("#status")
    assert page.url.endswith("/")  # the token has left the address bar


def test_it_opens_on_the_three_clusters_that_are_there(chrome):
    opened = OpenedTable(three_round_clusters(), ("a", "b"), "x.csv")
    with running(explorer_app(opened)) as server, page_of(chrome, server) as page:
        page.wait_for_selector(READY)
        assert page.inner_text("#components-shown") == "3"
        assert "lowest BIC: K = 3" in page.text_content("#curve")


def test_rows_that_lack_a_value_are_counted_beside_the_points(chrome):
    X = three_round_clusters()
    X[::10, 0] = np.nan
    n = len(X[::10])
    opened = OpenedTable(X, ("a", "b"), "x.csv")
    with running(explorer_app(opened)) as server, page_of(chrome, server) as page:
        page.wait_for_selector(READY)
        assert f"{n} rows with missing values" in page.inner_text("#about")
        assert page.inner_text("#components-shown") == "3"
        page.wait_for_function(
            "(words) => [...document.querySelectorAll('canvas')].some("
            "(one) => (one.getAttribute('aria-label') ?? '').includes(words))",
            arg=f"{n} of {len(X)} rows lack a value here and are not drawn",
        )


def test_em_steps_plays_and_rewinds(page):
    page.fill("#seed", "3")
    page.dispatch_event("#seed", "change")
    wait_for(page, "#frame-shown", "0 of")
    seen = [log_likelihood(page)]
    for number in (1, 2, 3):
        page.click("#step")
        wait_for(page, "#frame-shown", f"{number} of")
        seen.append(log_likelihood(page))
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]
    grown = page.evaluate("document.getElementById('trace').data[0].y")
    assert [round(value, 3) for value in grown] == seen
    last = int(page.get_attribute("#frame", "max"))
    page.click("#play")
    wait_for(page, "#frame-shown", f"{last} of {last}")
    wait_for(page, "#play", "Play")
    assert "converged" in page.inner_text("#status")
    page.click("#rewind")
    wait_for(page, "#frame-shown", "0 of")
    page.click("#model")
    wait_for(page, "#frame-shown", "the model is shown")


def test_pause_stops_where_it_is(page):
    page.select_option("#start", "random")
    wait_for(page, "#frame-shown", "0 of")
    page.click("#play")
    wait_for(page, "#frame-shown", "2 of")
    page.click("#play")
    wait_for(page, "#play", "Play")
    stands = page.inner_text("#frame-shown")
    page.wait_for_timeout(900)
    assert page.inner_text("#frame-shown") == stands


def test_moving_k_by_keyboard_shows_that_model(page):
    page.focus("#components")
    page.keyboard.press("ArrowRight")
    wait_for(page, "#status", "K = 3, VVV: log-likelihood")
    known = GaussianMixture(3, random_state=0).fit(faithful().X)
    assert log_likelihood(page) == pytest.approx(known.result_.log_likelihood, abs=0.006)


def test_a_click_on_the_bic_curve_goes_to_that_model(page):
    page.locator("#curve .scatterlayer .trace").first.locator("path.point").nth(3).click(force=True)
    wait_for(page, "#status", "K = 4, VVV: log-likelihood")
    assert page.inner_text("#components-shown") == "4"


def test_the_table_goes_to_a_model_too(page):
    page.click("#curve-card summary")
    page.get_by_role("button", name="K = 5").press("Enter")
    wait_for(page, "#status", "K = 5, VVV")


def test_a_family_is_chosen_and_its_curve_drawn(page):
    page.select_option("#family", "EEE")
    wait_for(page, "#status", "K = 2, EEE")
    page.wait_for_function("() => document.getElementById('curve').data[0].x.length === 10")


def test_a_clicked_point_shows_its_membership_bars(page):
    opened = faithful()
    shares = (
        GaussianMixture(2, random_state=0, component_order="weight")
        .fit(opened.X)
        .predict_proba(opened.X)
    )
    row = int(shares.max(axis=1).argmin())
    page.click("#unsurest")
    wait_for(page, "#row", f"Row {row + 1}:")
    bars = page.locator("#row li").all_inner_texts()
    assert [float(re.search(r"([\d.]+) %", bar)[1]) for bar in bars] == pytest.approx(
        (100 * shares[row]).tolist(), abs=0.06
    )
    widths = page.evaluate(
        "[...document.querySelectorAll('#row .fill')].map((e) => parseFloat(e.style.width))"
    )
    assert widths == pytest.approx((100 * shares[row]).tolist(), abs=1e-3)
    box = page.locator("#scatter canvas").bounding_box()
    page.mouse.click(*place_of(page, opened.X, 0, box))
    page.wait_for_function(
        "(s) => !document.querySelector('#row').textContent.startsWith(s)", arg=f"Row {row + 1}:"
    )
    chosen = int(re.match(r"Row (\d+):", page.inner_text("#row"))[1]) - 1
    np.testing.assert_allclose(opened.X[chosen], opened.X[0], atol=1e-9)


def view_of(page: Any) -> np.ndarray:
    """The visible part of the data: lowest and highest x and y, as shares of their range."""
    page.wait_for_selector("#scatter canvas[data-view]")
    return np.array(
        page.get_attribute("#scatter canvas", "data-view").split(), dtype=float
    ).reshape(2, 2)


def wait_for_view(page: Any, expected: np.ndarray) -> None:
    """Wait until this part is visible: the browser redraws the picture after the pointer moved."""
    page.wait_for_function(
        """(expected) => document.querySelector('#scatter canvas').dataset.view.split(' ')
             .every((edge, i) => Math.abs(edge - expected[i]) < 0.005)""",
        arg=expected.ravel().tolist(),
    )


def size_of_picture(box: dict[str, float]) -> np.ndarray:
    """Width and height in the canvas: the margins are those of scatter.js."""
    return np.array([box["width"] - 58 - 10, box["height"] - 8 - 44])


def place_of(page: Any, X: np.ndarray, row: int, box: dict[str, float]) -> tuple[float, float]:
    """Where a row is drawn."""
    share = (X[row] - X.min(axis=0)) / np.ptp(X, axis=0)
    view = view_of(page)
    u, v = (share - view[:, 0]) / np.ptp(view, axis=1)
    width, height = size_of_picture(box)
    return box["x"] + 58 + u * width, box["y"] + 8 + (1 - v) * height


def test_shift_and_arrow_keys_go_from_point_to_point(page):
    page.focus("#scatter canvas")
    page.keyboard.press("Enter")
    wait_for(page, "#row", "Row ")
    first = page.inner_text("#row h3")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(f"Shift+{key}")
    page.wait_for_function("(s) => document.querySelector('#row h3').textContent !== s", arg=first)


# ---- moving the picture --------------------------------------------------------------------------

PAINTED = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const canvas = document.querySelector('#scatter canvas');
  done(canvas.toDataURL());
})))"""

AFTER_SCROLL = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 450))))"""
"""After a scroll of the page, the wheel zooms only after 0.4 seconds and a frame."""


@pytest.fixture
def canvas(page) -> Any:
    it = page.locator("#scatter canvas")
    it.scroll_into_view_if_needed()
    page.evaluate(AFTER_SCROLL)
    return it


def chosen_at(page: Any, x: float, y: float) -> int:
    """The row that a click at a place takes, counted from 0."""
    page.evaluate(PAINTED)  # a click asks the picture that was drawn last
    page.evaluate("document.querySelector('#row').replaceChildren()")
    page.mouse.click(x, y)
    wait_for(page, "#row", "Row ")
    return int(re.match(r"Row (\d+):", page.inner_text("#row"))[1]) - 1


def test_a_drag_moves_the_picture_and_selects_nothing(page, canvas):
    X, box = faithful().X, canvas.bounding_box()
    x, y = place_of(page, X, 0, box)
    whole, view, asked = page.evaluate(PAINTED), view_of(page), []
    page.on(
        "request", lambda request: request.url.endswith("/api/row") and asked.append(request.url)
    )
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 40, steps=4)
    page.mouse.up()
    shares = np.array([60, 40]) / size_of_picture(box)
    wait_for_view(page, view + (shares * np.ptp(view, axis=1))[:, None])
    assert page.evaluate(PAINTED) != whole
    np.testing.assert_array_equal(X[chosen_at(page, x - 60, y + 40)], X[0])
    assert len(asked) == 1  # by the click: the drag before it has selected nothing
    page.mouse.dblclick(box["x"] + 100, box["y"] + 30)
    wait_for_view(page, view)
    np.testing.assert_array_equal(X[chosen_at(page, x, y)], X[0])


def test_the_wheel_zooms_about_the_pointer_and_then_leaves_the_page_its_scroll(page, canvas):
    X, box = faithful().X, canvas.bounding_box()
    x, y = place_of(page, X, 0, box)
    whole, view = page.evaluate(PAINTED), canvas.get_attribute("data-view")
    page.mouse.move(x, y)
    for _ in range(4):
        page.mouse.wheel(0, -200)
    page.wait_for_function(
        "(s) => document.querySelector('#scatter canvas').dataset.view !== s", arg=view
    )
    assert page.evaluate(PAINTED) != whole
    assert page.evaluate("scrollY") == 0
    np.testing.assert_array_equal(X[chosen_at(page, x, y)], X[0])
    page.keyboard.press("0")
    page.evaluate(PAINTED)
    for _ in range(2):
        page.mouse.wheel(0, 200)
    page.wait_for_function("() => scrollY > 0")


def test_keys_move_zoom_and_show_all_again(page, canvas):
    canvas.focus()
    pictures = [page.evaluate(PAINTED)]
    for key in ("+", "ArrowRight", "ArrowUp", "-"):
        page.keyboard.press(key)
        pictures.append(page.evaluate(PAINTED))
    assert len(set(pictures)) == 5
    page.keyboard.press("0")
    assert page.evaluate(PAINTED) == pictures[0]


def test_the_first_view_holds_the_ellipses_and_a_little_more_can_be_seen(page, canvas):
    opened = faithful()
    view, frame = view_of(page), canvas.get_attribute("data-view")
    mixture = GaussianMixture(2, random_state=0).fit(opened.X).mixture_
    edges = np.concatenate(outlines(mixture, (0, 1), 0.95))
    share = (edges - opened.X.min(axis=0)) / np.ptp(opened.X, axis=0)
    assert share.min() < -0.05 or share.max() > 1.05  # these do not end where the data end
    assert (view[:, 0] < share.min(axis=0)).all()
    assert (view[:, 1] > share.max(axis=0)).all()
    page.get_by_role("button", name="Zoom out").click()
    page.wait_for_function(
        "(s) => document.querySelector('#scatter canvas').dataset.view !== s", arg=frame
    )
    assert (np.ptp(view_of(page), axis=1) > np.ptp(view, axis=1)).all()
    for _ in range(20):
        page.get_by_role("button", name="Zoom out").click()
    assert np.ptp(view_of(page), axis=1).tolist() == pytest.approx([2.0, 2.0])


def test_buttons_zoom_too(page, canvas):
    whole = page.evaluate(PAINTED)
    page.get_by_role("button", name="Zoom in").click()
    assert page.evaluate(PAINTED) != whole
    page.get_by_role("button", name="Show all").click()
    assert page.evaluate(PAINTED) == whole


def test_fingers_tap_pinch_and_drag(chrome):
    opened = faithful()
    phone = {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    }
    with running(explorer_app(opened)) as server, page_of(chrome, server, **phone) as page:
        page.wait_for_selector(READY)
        page.locator("#scatter").scroll_into_view_if_needed()
        box = page.locator("#scatter canvas").bounding_box()
        x, y = place_of(page, opened.X, 0, box)
        page.touchscreen.tap(x, y)
        wait_for(page, "#row", "Row ")
        whole = page.evaluate(PAINTED)
        fingers = page.context.new_cdp_session(page)

        def touch(kind: str, *places: tuple[float, float]) -> None:
            points = [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(places)]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        across, up = box["x"] + 200, box["y"] + 150
        touch("touchStart", (across - 30, up), (across + 30, up))
        for wide in (40, 55, 70, 90):
            touch("touchMove", (across - wide, up), (across + wide, up))
        touch("touchEnd")
        zoomed = page.evaluate(PAINTED)
        assert zoomed != whole
        touch("touchStart", (across, up))
        for down in (10, 25, 45):
            touch("touchMove", (across, up + down))
        touch("touchEnd")
        assert page.evaluate(PAINTED) != zoomed
        assert (
            page.evaluate("document.querySelector('#scatter canvas').style.touchAction") == "none"
        )
        page.wait_for_timeout(500)  # a tap right after a swift drag only ends the fling of it
        page.get_by_role("button", name="Show all").tap()
        page.wait_for_function(
            "() => document.querySelector('#scatter canvas').style.touchAction === 'pan-x pan-y'"
        )
        assert page.evaluate(PAINTED) == whole


def test_the_threshold_counts_the_unsure_rows(page):
    page.fill("#threshold", "99")
    opened = faithful()
    shares = (
        GaussianMixture(2, random_state=0, component_order="weight")
        .fit(opened.X)
        .predict_proba(opened.X)
    )
    wait_for(page, "#unsure", f"{(shares.max(axis=1) < 0.99).sum()} of 272 rows are unsure")


def test_regions_are_drawn_while_the_box_is_ticked_and_follow_em(page, canvas):
    without = page.evaluate(PAINTED)
    words = "Borders of the regions with 50 %, 80 %, 95 % of the probability"
    said = "#scatter canvas[aria-label*='Borders of the regions']"
    page.get_by_label("Highest-density regions").check()
    page.wait_for_selector(said)
    assert words in canvas.get_attribute("aria-label")
    assert "smallest regions with 50 %, 80 %, 95 %" in page.inner_text("#legend")
    assert page.evaluate(PAINTED) != without
    page.get_by_label("Highest-density regions").uncheck()
    page.wait_for_selector(said, state="detached")
    assert page.evaluate(PAINTED) == without
    page.get_by_label("Highest-density regions").check()
    page.click("#step")
    wait_for(page, "#frame-shown", "1 of")
    page.wait_for_selector(said)


def given_words(given: int, value: float) -> str:
    """What the page must say of the other column."""
    opened = faithful()
    model = GaussianMixture(2, random_state=0, component_order="weight").fit(opened.X)
    return views.conditional_view(opened, model.mixture_, given, 1 - given, value)["sentence"]


def test_a_column_is_given_a_value_by_number_and_by_slider(page, canvas):
    assert page.locator("#given-answer").is_hidden()
    without = page.evaluate(PAINTED)
    page.select_option("#given-column", label="eruptions")
    low, high = faithful().X[:, 0].min(), faithful().X[:, 0].max()
    wait_for(page, "#given-words", given_words(0, round((low + high) / 2, 2)))
    assert page.evaluate(PAINTED) != without  # a line at the value
    page.fill("#given-value", "3")
    page.press("#given-value", "Enter")
    wait_for(page, "#given-words", given_words(0, 3.0))
    assert page.input_value("#given-slider") == "3"
    page.click("#given summary")
    assert page.locator("#given-numbers tr").count() == 5
    page.fill("#given-slider", "2")
    wait_for(page, "#given-words", given_words(0, 2.0))
    page.fill("#given-value", "1000")  # so far beyond the data the server does not answer
    page.press("#given-value", "Enter")
    wait_for(page, "#given-words", given_words(0, 2 * high - low))
    assert page.locator("#trouble").is_hidden()
    page.select_option("#given-column", label="nothing")
    page.wait_for_selector("#given-answer", state="hidden")
    assert page.evaluate(PAINTED) == without


def test_what_is_given_follows_the_columns_and_the_model(page):
    page.select_option("#given-column", label="waiting")
    page.fill("#given-value", "60")
    page.press("#given-value", "Enter")
    wait_for(page, "#given-words", given_words(1, 60.0))
    page.select_option("#x", "1")  # the axes change places
    page.wait_for_function("() => document.getElementById('given-column').value === 'x'")
    wait_for(page, "#given-words", given_words(1, 60.0))
    page.fill("#components", "1")
    page.dispatch_event("#components", "change")
    wait_for(page, "#given-clusters", "cluster 0 with 100.0 %")
    assert page.input_value("#given-value") == "60"


def test_memberships_model_and_python_are_saved(page, tmp_path):
    for button, name in (
        ("memberships", "memberships.csv"),
        ("model", "model.safetensors"),
        ("python", "view.py"),
    ):
        with page.expect_download() as saving:
            page.click(f"#export-{button}")
        assert saving.value.suggested_filename == name
        saving.value.save_as(tmp_path / name)
    shares, _, _ = read_table(tmp_path / "memberships.csv").numeric(
        ["probability_0", "probability_1"]
    )
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert "GaussianMixture(2, covariance_type='VVV'" in (tmp_path / "view.py").read_text()


def test_other_methods_are_shown_side_by_side(page):
    names = [
        name.removesuffix("suits").strip() for name in page.locator("#methods h3").all_inner_texts()
    ]
    assert {"K-Means", "Gaussian mixture", "DBSCAN"} <= set(names)
    pictures = page.locator("#methods canvas").all()
    assert len(pictures) == len(names)
    assert (
        max(picture.bounding_box()["height"] for picture in pictures) < 250
    )  # small, as they are four


def test_the_conclusion_of_compare_stands_above_them(page):
    known = compare(faithful().X, n_components=2, random_state=0)
    assert page.inner_text("#verdict h3") == f"What suits these rows: {', '.join(known.suits)}"
    assert page.locator("#verdict p").all_inner_texts() == list(known.sentences)
    marked = [
        name.removesuffix("suits").strip()
        for name in page.locator("#methods h3:has(.suits)").all_inner_texts()
    ]
    assert set(marked) == set(known.suits)


def test_it_says_when_another_method_suits(chrome):
    X = make_moons(600, noise=0.04, random_state=0)[0]
    with (
        running(explorer_app(OpenedTable(X, ("a", "b"), "moons.csv"))) as server,
        page_of(chrome, server) as page,
    ):
        page.wait_for_selector(READY)
        page.wait_for_function("() => document.querySelector('#verdict h3')")
        assert page.inner_text("#verdict h3").startswith("Another method suits these rows better: ")


def test_a_reloaded_page_goes_on(page):
    page.reload()
    page.wait_for_selector(READY)
    assert page.inner_text("#components-shown") == "2"


def test_every_control_has_a_name(page):
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, select, input, canvas')].filter((e) =>
        !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() || e.title))
        .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_tab_reaches_the_picture_after_the_settings(page):
    page.focus("#export-python")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_one_column_without_scrolling_sideways(chrome, scheme):
    iris = load_iris()
    opened = OpenedTable(iris.data, tuple(iris.feature_names), "iris.csv")
    phone = {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": scheme,
        "device_scale_factor": 2,
    }
    with running(explorer_app(opened)) as server, page_of(chrome, server, **phone) as page:
        page.wait_for_selector(READY)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        lefts = page.evaluate(
            "[...document.querySelectorAll('main > section')].map((e) => "
            "e.getBoundingClientRect().left)"
        )
        assert len(set(lefts)) == 1
        page.select_option("#x", "2")
        page.select_option(
            "#y", "2"
        )  # the same column twice: the other axis takes what this one had
        page.wait_for_function("() => document.getElementById('x').value === '1'")


def test_a_hundred_thousand_points_stay_fluid(chrome):
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1, (100_000, 3)) + rng.integers(0, 3, (100_000, 1)) * 5
    opened = OpenedTable(X, ("a", "b", "c"), "large.csv")
    with running(explorer_app(opened)) as server, page_of(chrome, server) as page:
        kinds: dict[str, set[str]] = {}
        page.on(
            "response",
            lambda answer: kinds.setdefault(answer.url, set()).add(
                answer.headers.get("content-type", "")
            ),
        )
        wait_for(page, "#status", "K = ")
        words = "100,000 points"
        page.wait_for_function(
            "(w) => document.querySelector('#scatter "
            "canvas')?.getAttribute('aria-label')?.includes(w)",
            arg=words,
        )
        page.fill("#seed", "1")
        page.dispatch_event("#seed", "change")
        wait_for(page, "#frame-shown", "0 of")
        seconds = page.evaluate(
            """async () => {
            const slider = document.getElementById('threshold');
            const begun = performance.now();
            for (let i = 0; i < 10; i++) {
              slider.value = 50 + i;
              slider.dispatchEvent(new Event('input'));
              await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            }
            return (performance.now() - begun) / 10000;
            }"""
        )
        assert seconds < 0.25  # about 0.02 on an idle machine
        page.select_option("#pace", "0")
        page.click("#play")
        page.wait_for_function("() => Number(document.getElementById('frame').value) >= 2")
        begun = time.perf_counter()
        page.wait_for_function("() => Number(document.getElementById('frame').value) >= 12")
        assert (
            10 / (time.perf_counter() - begun) > 3
        )  # more than ten a second on an idle machine: see docs/exploring.py
        for what in ("column", "memberships"):
            assert kinds[f"http://{server.host}/api/{what}"] == {"application/octet-stream"}
