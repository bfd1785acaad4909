"""The lesson in a real browser: every live part, the code cells, and no request to elsewhere."""

from __future__ import annotations

import os
import re
import shutil

import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from test_learn import served

from mixtura import GaussianMixture
from mixtura.learn.data_sets import DataSet
from mixtura.learn.demonstrations import em_steps

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="no chromium on this machine; in CI that is a failure",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM is not None, (
        "the tests of the page need chromium, and none was found; install it (Debian: apt-get "
        "install chromium)"
    )
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["desk", "phone"])
def page(browser, request):
    """The open lesson; at the end, no error and no request to elsewhere may have been seen."""
    size = {"desk": {"width": 1200, "height": 900}, "phone": {"width": 390, "height": 844}}[
        request.param
    ]
    troubles = []
    with served() as client:
        context = browser.new_context(
            viewport=size, color_scheme="dark" if request.param == "phone" else "light"
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on(
            "console",
            lambda message: (
                troubles.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        own = (f"http://{client.host}/", "data:", "blob:")
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(own) else troubles.append(asked.url),
        )
        page.goto(client.app.access.link)
        page.wait_for_function("() => document.querySelector('#data-picker canvas')")
        yield page
        context.close()
    assert troubles == []


def part(page, name):
    """A live part, in sight and ready."""
    place = page.locator(f'[data-live="{name}"]')
    place.scroll_into_view_if_needed()
    page.wait_for_function(
        "(name) => !document.querySelector(`[data-live=${name}]`).matches('.busy, :has(> .hint)')",
        arg=name,
    )
    assert place.locator(".error").count() == 0
    return place


def test_the_least_sure_row_is_shown_hard_and_soft(page):
    soft = part(page, "soft")
    words = soft.locator('[data-method="mixture"]').inner_text().replace("\N{NO-BREAK SPACE}", " ")
    model = GaussianMixture(2, component_order="weight", random_state=0).fit(DataSet().rows)
    least = model.predict_proba(DataSet().rows).max(axis=1)
    assert f"Row {least.argmin() + 1}:" in soft.locator(".marked-row").inner_text()
    assert words.startswith(f"{100 * least.min():.0f} % cluster")
    assert re.fullmatch(
        r"cluster \d \(100 %\)|noise \(100 %\)",
        soft.locator('[data-method="K-Means"]').inner_text(),
    )


HEIGHT = "(name) => document.querySelector(`[data-live=${name}]`).offsetHeight"


def test_a_part_has_kept_the_room_that_it_takes(page):
    names = [
        name
        for name in ("em", "shapes", "optima", "criteria", "comparison")
        if page.locator(f"[data-live={name}] > .hint").count()
    ]
    before = {name: page.evaluate(HEIGHT, name) for name in names}
    assert names
    for name in names:
        part(page, name)
        assert page.evaluate(HEIGHT, name) == pytest.approx(before[name], rel=0.12), name


def test_no_row_of_the_criteria_is_taller_than_the_others(page):
    part(page, "criteria")
    heights = page.evaluate(
        "[...document.querySelectorAll('[data-live=criteria] tbody tr')].map((row) => "
        "row.offsetHeight)"
    )
    assert len(heights) == 10
    assert max(heights) - min(heights) <= 1


def test_a_curve_follows_the_pointer_and_the_arrow_keys(page):
    bells = part(page, "bells")
    handle = bells.locator('[data-handle="1"]')
    handle.scroll_into_view_if_needed()
    before = bells.locator('[data-bell="1"]').inner_text()
    shares = bells.locator('p[role="status"]').inner_text()
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 30, steps=5)
    page.mouse.up()
    dragged = bells.locator('[data-bell="1"]').inner_text()
    assert dragged != before
    assert bells.locator('p[role="status"]').inner_text() != shares
    handle.focus()
    page.keyboard.press("ArrowLeft")
    assert bells.locator('[data-bell="1"]').inner_text() != dragged


def test_em_goes_step_by_step_with_its_numbers(page):
    em = part(page, "em")
    steps = em_steps(DataSet().rows, 2, 0)["steps"]
    said = em.locator('p[role="status"]')
    assert said.inner_text().startswith("1. Start")
    em.get_by_role("button", name="Step").click()
    assert said.inner_text().startswith("2. E-step of iteration 1")
    em.get_by_role("button", name="Step").click()
    assert said.inner_text().startswith("3. M-step of iteration 1")
    assert f"{steps[1]['log_likelihood']:.3f}".replace("-", "−") in em.inner_text()
    em.get_by_role("button", name="To the end").click()
    assert said.inner_text().startswith(f"4. Done after {len(steps) - 1} iterations, converged")
    em.get_by_role("button", name="Back").click()
    assert not said.inner_text().startswith("4.")


def test_the_shares_of_the_page_are_those_of_python(page):
    page.wait_for_function("() => document.querySelector('#data-picker canvas')")
    mixture = em_steps(DataSet().rows, 3, 1)["steps"][3]
    places = DataSet().rows[:20]
    found = page.evaluate(
        "async ([mixture, places]) => {"
        " const { sharesAt } = await import('/static/learn/mixture.js'); return places.map((place) "
        "=> sharesAt(mixture, place)); }",
        [mixture, places.tolist()],
    )
    known = GaussianMixture.from_parameters(
        mixture["weights"], mixture["means"], mixture["covariances"]
    )
    np.testing.assert_allclose(found, known.predict_proba(places), atol=1e-9)


def test_other_data_change_every_part_that_is_seen(page):
    soft = part(page, "soft")
    before = soft.inner_text()
    page.select_option("#data-picker select", "blobs")
    page.wait_for_function(
        "(before) => document.querySelector('[data-live=soft]').innerText !== before", arg=before
    )
    page.locator("#data-picker canvas").click(position={"x": 100, "y": 60})
    page.wait_for_function(
        "() => document.querySelector('#data-picker').innerText.includes('1 of the rows is yours')"
    )
    part(page, "soft")
    assert "of 301 rows are unsure" in soft.inner_text()


def test_a_point_of_the_criterion_opens_its_mixture(page):
    criteria = part(page, "criteria")
    assert "the lowest BIC" in criteria.inner_text()
    criteria.locator('[data-line="BIC"][data-x="5"]').click()
    assert "K = 5: BIC" in criteria.inner_text()
    page.keyboard.press("Tab")
    assert criteria.locator("tr.chosen th").inner_text() == "5"


def test_the_weaknesses_and_the_comparison_are_shown_on_the_readers_data(page):
    shapes = part(page, "shapes")
    shapes.get_by_role("button", name="Use the moons").click()
    page.wait_for_function(
        "() => document.querySelector('[data-live=shapes]').innerText.includes('suits these data "
        "better')"
    )
    assert "starts got stuck" in part(page, "optima").inner_text()
    speed = page.locator('[data-live="speed"]')
    speed.scroll_into_view_if_needed()
    speed.get_by_role("button", name="1,000 rows", exact=True).click()
    speed.get_by_text("Measured just now").wait_for()
    comparison = part(page, "comparison")
    assert comparison.locator("figure").count() == 4
    assert "undefined" not in comparison.inner_text()


def test_a_program_says_what_to_click_runs_and_shows_text_and_figures(page):
    cell = page.locator(".cell").nth(1)
    output = cell.locator(".output")
    assert "Click Run" in output.inner_text()
    cell.get_by_role("button", name="Run").click()
    output.get_by_text("Finished.").wait_for()
    assert "memberships at x = 1.25" in output.inner_text()
    assert output.locator("img").evaluate("image => image.naturalWidth") > 200
    assert "in a separate process" in page.locator("#isolation").inner_text()


def test_a_program_is_edited_stopped_and_reset(page):
    cell = page.locator(".cell").first
    code, output = cell.locator("textarea"), cell.locator(".output")
    original = code.input_value()
    code.fill("print('on and on', flush=True)\nwhile True: pass")
    code.press("Control+Enter")
    output.get_by_text("on and on").wait_for()
    cell.get_by_role("button", name="Stop").click()
    output.get_by_text("Stopped.").wait_for()
    cell.locator("button.run:enabled").wait_for()
    cell.get_by_role("button", name="Reset").click()
    assert code.input_value() == original
    assert "Click Run" in output.inner_text()


def test_the_page_is_no_wider_than_the_screen(page):
    for name in ("soft", "bells", "em", "criteria", "comparison"):
        part(page, name)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
