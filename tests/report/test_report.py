"""The report: its content, its safety, its code, and its pages in a browser."""

import html
import json
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import mixtura
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.base.markup import Markup, escaped, table, tag
from mixtura.distribution.covariance import Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.model.explained_variance import explained_by_one
from mixtura.model.outlines import outlines
from mixtura.plots.canvas import LEVELS
from mixtura.report import Origin, page_of, write_report
from mixtura.report.distribution import expected_rows, one_given_another
from mixtura.report.reproduce import code, printed
from mixtura.report.sentences import component_sentence, membership_words
from mixtura.report.study import study_of

FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"
CHROMIUM = Path("/usr/bin/chromium")
NASTY = "<script>alert(1)</script>"


class Outline(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.links, self.ids, self.text = [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, name, attributes):
        self.tags.append(name)
        found = dict(attributes)
        self.links += [found[key] for key in ("src", "href") if key in found]
        self.ids += [found["id"]] if "id" in found else []
        if name not in ("meta", "img", "link", "br"):
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def selector(faithful):
    return GaussianMixtureSelector(
        [1, 2, 3], families=["EEE", "VVV"], random_state=0, component_order="weight"
    ).fit(faithful)


@pytest.fixture(scope="module")
def study(selector, faithful):
    return study_of(
        selector,
        faithful,
        ["eruptions", "waiting"],
        Origin.of_file(str(FAITHFUL), ("mixtura", "report", "a b.csv")),
    )


@pytest.fixture(scope="module")
def page(study):
    return page_of(study)


@pytest.fixture(scope="module")
def outline(page):
    return Outline(page)


def block(page, kind):
    """The text of one of the blocks of code."""
    return html.unescape(
        re.search(rf'<pre class="{kind}"><\w+>(.*?)</\w+></pre>', page, re.DOTALL)[1]
    )


# ---- markup --------------------------------------------------------------------------------------


def test_text_is_escaped_wherever_it_enters():
    assert tag("p", NASTY) == "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"
    assert tag("img", alt='"><script>') == '<img alt="&quot;&gt;&lt;script&gt;">'
    assert NASTY not in table(NASTY, [NASTY], [[NASTY]])
    assert escaped(NASTY) != NASTY


def test_only_what_was_built_is_taken_as_it_is():
    assert tag("p", tag("b", "x")) == "<p><b>x</b></p>"
    assert escaped(Markup("<b>")) == "<b>"


# ---- the page ------------------------------------------------------------------------------------


def test_the_page_is_well_formed_and_its_links_stay_in_it(outline):
    assert not outline.open
    assert all(link.startswith(("#", "data:")) for link in outline.links)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))


def scripts(page):
    return re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)


def test_the_page_runs_its_one_script_and_forbids_to_load(page, outline):
    assert outline.tags.count("script") == 1
    (script,) = scripts(page)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}';" in html.unescape(page)
    assert "unsafe-eval" not in page
    assert not re.search(r"\son\w+=", page.split("<main>")[0])


def test_the_script_is_the_module_of_the_explorer_and_cannot_end_early(page):
    (script,) = scripts(page)
    module = (Path(mixtura.__file__).parent / "web" / "static" / "scatter.js").read_text(
        encoding="utf-8"
    )
    assert module in script
    assert "</script" not in script.lower()
    assert "<!--" not in script


def test_the_page_says_what_was_found_and_why(page, selector):
    text = html.unescape(page)
    for sentence in selector.selection_.sentences:
        assert sentence in text
    for row in selector.selection_.criteria_rows():
        assert f"{row['bic']:.2f}" in text
    assert "lower is better" in text
    assert selector.selection_.best.fit.certificate.verdict in text


def test_the_least_sure_rows_are_named_with_their_memberships(page, study):
    row = study.unsure[0]
    assert study.memberships[row].max() == study.memberships.max(axis=1).min()
    assert f'<td class="number">{row + 1}</td>' in page
    assert membership_words(study.memberships[row]) in page


def test_every_picture_says_what_it_shows(page):
    pictures = re.findall(r"<img [^>]*>", page)
    assert len(pictures) >= 5
    assert all(re.search(r'alt="[^"]+"', picture) for picture in pictures)


def test_names_of_columns_and_files_cannot_become_markup(faithful, tmp_path):
    frame = pd.DataFrame(faithful, columns=[NASTY, '"onerror="alert(1)'])
    model = GaussianMixture(2, random_state=0).fit(frame)
    source = tmp_path / "<b>data & more.csv"
    frame.to_csv(source, index=False)
    page = write_report(model, frame, tmp_path / "r.html", source=source).read_text(
        encoding="utf-8"
    )
    outline = Outline(page)
    assert outline.tags.count("script") == 1
    assert NASTY not in scripts(page)[0]
    assert "b" not in outline.tags
    assert any(NASTY in text for text in outline.text)
    assert all(link.startswith(("#", "data:")) for link in outline.links)


def test_a_selection_of_one_cell_and_a_plain_mixture_have_a_report(faithful, tmp_path):
    for model in (
        GaussianMixture(1, random_state=0),
        GaussianMixture(4, covariance_type="EII", tol=1e-3, random_state=0),
        GaussianMixtureSelector(2, families=["VVV"], random_state=0),
    ):
        page = write_report(model.fit(faithful), faithful, tmp_path / "r.html").read_text(
            encoding="utf-8"
        )
        assert not Outline(page).open
        assert "rows in memory" in page


def test_one_column_has_a_report(faithful, tmp_path):
    model = GaussianMixture(2, random_state=0).fit(faithful[:, :1])
    page = write_report(
        model, faithful[:, :1], tmp_path / "r.html", columns=["eruptions"]
    ).read_text(encoding="utf-8")
    assert "eruptions" in page


def test_of_many_columns_those_that_separate_best_are_shown(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 9))
    X[:150, 4] += 9
    model = GaussianMixture(2, covariance_type="EEI", random_state=0).fit(X)
    page = write_report(
        model, X, tmp_path / "r.html", columns=[f"v{j}" for j in range(9)]
    ).read_text(encoding="utf-8")
    assert "the 5 columns that best separate the components; left out:" in page
    assert re.search(r"v4 (higher|lower) than in the rest \(\d+\.\d sd\)", page)


def test_a_hundred_thousand_rows_make_a_small_page(tmp_path):
    known = Mixture(
        np.array([0.6, 0.4]),
        np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 0.0]]),
        Spherical(np.ones(1), 2, 3),
    )
    X = known.sample(100_000, np.random.default_rng(0))[0]
    path = write_report(
        GaussianMixture(2, covariance_type="EII", random_state=0).fit(X), X, tmp_path / "r.html"
    )
    assert path.stat().st_size < 2_000_000


@pytest.mark.parametrize(
    ("name", "error"), [("r.txt", ValueError), ("nowhere/r.html", FileNotFoundError)]
)
def test_a_report_is_an_html_file_in_a_folder_that_is_there(
    name, error, selector, faithful, tmp_path
):
    with pytest.raises(error):
        write_report(selector, faithful, tmp_path / name)
    assert not list(tmp_path.iterdir())


# ---- the interactive picture ---------------------------------------------------------------------


def plot_data(page):
    return json.loads(html.unescape(re.search(r'data-plot="([^"]*)"', page)[1]))


def unpacked(text, kind):
    return np.frombuffer(b64decode(text), kind)


def test_the_page_holds_its_points_and_their_memberships(page, study):
    said = plot_data(page)
    for column, values in zip(said["columns"], study.X.T, strict=True):
        shares = unpacked(column["values"], "<f4")
        np.testing.assert_allclose(
            column["low"] + shares * (column["high"] - column["low"]), values, rtol=1e-6
        )
    memberships = unpacked(said["shares"], "<u2").reshape(study.memberships.shape) / 65535
    np.testing.assert_allclose(memberships, study.memberships, atol=0.51 / 65535)
    assert unpacked(said["rows"], "<u4").tolist() == list(range(1, len(study.X) + 1))


def test_of_many_rows_and_columns_the_page_says_which_it_holds(tmp_path):
    known = Mixture(
        np.array([0.6, 0.4]),
        np.stack([np.zeros(40), np.arange(40.0)]),
        Spherical(np.ones(1), 2, 40),
    )
    X = known.sample(25_000, np.random.default_rng(0))[0]
    model = GaussianMixture(2, covariance_type="EII", random_state=0).fit(X)
    path = write_report(model, X, tmp_path / "r.html")
    page = path.read_text(encoding="utf-8")
    said = plot_data(page)
    rows = unpacked(said["rows"], "<u4")
    assert f"The picture shows {len(rows):,} of 25,000 rows, drawn at random" in page
    assert "Of 40 columns it has the 30 that best separate the components." in page
    first = said["columns"][0]
    column = int(re.search(r"\d+", first["name"])[0])
    values = first["low"] + unpacked(first["values"], "<f4") * (first["high"] - first["low"])
    np.testing.assert_allclose(values, X[rows - 1, column], atol=1e-5)
    assert path.stat().st_size < 8_000_000


# ---- the distribution ----------------------------------------------------------------------------


def numbers_of(page, caption):
    """The cells of the table with this caption, row by row."""
    body = re.search(rf'aria-label="{re.escape(caption)}[^"]*"><thead>.*?</table>', page)[0]
    rows = re.findall(r"<tr>(<td.*?)</tr>", body)
    return [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", r)] for r in rows]


def sections_of(model, X, names):
    """The two sections about the distribution, of a model fitted to these rows."""
    study = study_of(model.fit(X), X, names, Origin.of_rows(X))
    return expected_rows(study), one_given_another(study)


def test_the_rows_in_each_region_are_counted(page, study):
    regions = study.mixture.hdr([0.5, 0.8, 0.95])
    counts = regions.contains(study.X).sum(axis=0)
    rows = numbers_of(page, "Regions of all columns")
    assert [row[:2] for row in rows] == [
        [f"{level} %", str(count)] for level, count in zip((50, 80, 95), counts, strict=True)
    ]
    assert f"{272 - counts[-1]} of 272 rows are outside the 95 % region" in page


def test_the_intervals_of_single_columns_are_those_of_their_regions(page, study):
    rows = numbers_of(page, "The shortest intervals that hold these probabilities")
    for j, (name, *intervals) in enumerate(rows):
        assert name == study.names[j]
        known = study.mixture.marginal([j]).hdr([0.5, 0.95]).intervals
        step = 10.0 ** np.floor(np.log10(0.2 * study.mixture.marginal([j]).std()[0]) - 1)
        for words, ends in zip(intervals, known, strict=True):
            said = [[float(x) for x in part.split(" to ")] for part in words.split(" and ")]
            np.testing.assert_allclose(said, ends, atol=0.51 * step)


def test_the_column_that_tells_most_is_given_and_the_other_in_numbers(page, study):
    shares = explained_by_one(study.mixture)
    given = int(shares.max(axis=1).argmax())
    names = (study.names[given], study.names[1 - given])
    said = f"{names[0]} explains {100 * shares.max():.0f} % of the variance of {names[1]}"
    assert said in page
    rows = numbers_of(page, f"{names[1]} given {names[0]}")
    found = np.array(rows, dtype=float)
    exact = study.mixture.marginal([given]).ppf([0.05, 0.25, 0.5, 0.75, 0.95])
    np.testing.assert_allclose(found[:, 0], exact, rtol=0.005)  # the cells are rounded
    many = study.mixture.condition([given], exact[:, None])
    known = np.column_stack([many.mean(), many.std(), many.ppf([0.05, 0.5, 0.95])])
    np.testing.assert_allclose(found[:, 1:], known, atol=0.051)


def test_one_column_has_regions_and_no_conditional(faithful):
    regions, given = sections_of(GaussianMixture(2, random_state=0), faithful[:, :1], ["eruptions"])
    assert [row[0] for row in numbers_of(regions, "Regions")] == ["50 %", "95 %"]
    assert given == ""


def test_columns_that_say_nothing_of_each_other_have_a_sentence():
    X = np.random.default_rng(0).normal(size=(200, 3))
    _, given = sections_of(
        GaussianMixture(1, covariance_type="EEI", random_state=0), X, list("abc")
    )
    assert "none explains more than 5 % of the variance of another one" in given
    assert "<img" not in given
    assert "<table" not in given


def test_of_several_columns_each_has_the_best_other_one():
    X = load_iris().data
    _, given = sections_of(GaussianMixture(3, random_state=0), X, list("abcd"))
    assert "Of all pairs of columns this one tells most: d explains" in given
    rows = numbers_of(given, "Share of a column&#x27;s variance that other columns explain")
    best = {name: other for name, other, *_ in rows}
    assert best == {"a": "c", "b": "d", "c": "d", "d": "c"}
    alone, together = np.array([[float(x.split()[0]) for x in row[2:]] for row in rows]).T
    assert (together >= alone).all()
    assert (np.diff(together) <= 0).all()


def test_incomplete_rows_are_in_no_region_and_that_is_said(faithful):
    X = faithful.copy()
    X[::10, 0] = np.nan
    regions, _ = sections_of(GaussianMixture(2, noise="box", random_state=0), X, ["a", "b"])
    assert "complete rows inside" in regions
    assert re.search(r"\d+ of 244 rows are outside the 95 % region", regions)


# ---- sentences -----------------------------------------------------------------------------------


def test_a_component_is_described_by_the_columns_that_set_it_apart():
    means = np.array([[0.0, 0.0, 5.0], [0.0, 4.0, 5.0]])
    mixture = Mixture(
        np.full(2, 0.5), means, Diagonal(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 9.0]]), 2)
    )
    assert (
        component_sentence(mixture, 0, list("abc"))
        == "b lower than in the rest (4.0 sd), c less spread out (3.0 times)."
    )
    assert (
        component_sentence(mixture, 1, list("abc"))
        == "b higher than in the rest (4.0 sd), c more spread out (3.0 times)."
    )


def test_components_that_differ_in_nothing_are_said_to():
    alike = Mixture(np.full(2, 0.5), np.zeros((2, 1)), Spherical(np.ones(1), 2, 1))
    assert (
        component_sentence(alike, 0, ["a"])
        == "No mean differs from the rest by 0.5 standard deviations or more."
    )
    alone = Mixture(np.ones(1), np.zeros((1, 1)), Spherical(np.ones(1), 1, 1))
    assert component_sentence(alone, 0, ["a"]) == "The only component; all rows belong to it."


def test_memberships_in_words_begin_with_the_largest():
    assert membership_words(np.array([0.301, 0.001, 0.698])) == "70 % component 2, 30 % component 0"


# ---- the starts ----------------------------------------------------------------------------------


def test_the_start_report_is_shown_where_there_is_one(study):
    page = page_of(study)
    assert "Where the starts ended" in page
    assert escaped(study.starts.sentence) in page


def test_without_a_start_report_nothing_is_said_of_it(study):
    assert "Where the starts ended" not in page_of(replace(study, starts=None))


# ---- reproduction --------------------------------------------------------------------------------


def test_the_command_can_be_pasted_into_a_shell(page):
    assert block(page, "command") == "mixtura report 'a b.csv'"


def run(program, folder):
    (folder / "again.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "again.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_code_of_the_report_gives_the_numbers_of_the_report(page, tmp_path):
    assert run(block(page, "python"), tmp_path) == block(page, "printed")


def test_the_code_of_a_plain_mixture_does_too(faithful, tmp_path):
    model = GaussianMixture(
        3, covariance_type="VVI", n_init=2, random_state=7, component_order="weight"
    ).fit(faithful)
    study = study_of(model, faithful, ["eruptions", "waiting"], Origin.of_file(str(FAITHFUL)))
    assert "n_init=2, random_state=7, component_order='weight'" in code(study)
    assert run(code(study), tmp_path) == printed(study)


def test_without_a_seed_the_report_says_so(faithful):
    model = GaussianMixture(2).fit(faithful)
    assert "No seed was given" in page_of(
        study_of(model, faithful, ["a", "b"], Origin.of_rows(faithful))
    )


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM} on this machine")
    with sync_api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(browser, path, **context):
    """A page from disk, with what it asked for from elsewhere and what it complained of."""
    tab = browser.new_context(**context).new_page()
    events = []
    tab.on(
        "request",
        lambda request: (
            events.append(request.url) if not request.url.startswith(("file:", "data:")) else None
        ),
    )
    tab.on("console", lambda message: events.append(message.text))
    tab.on("pageerror", lambda error: events.append(str(error)))
    tab.on("dialog", lambda dialog: (events.append("a dialog"), dialog.dismiss()))
    tab.goto(path.as_uri())
    return tab, events


def place_of(X, row, canvas):
    """Where a row is drawn: the margins are those of scatter.js."""
    view = np.array(canvas.get_attribute("data-view").split(), dtype=float).reshape(2, 2)
    u, v = ((X[row] - X.min(axis=0)) / np.ptp(X, axis=0) - view[:, 0]) / np.ptp(view, axis=1)
    box = canvas.bounding_box()
    return box["x"] + 58 + u * (box["width"] - 68), box["y"] + 8 + (1 - v) * (box["height"] - 52)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1200, "light")])
def test_a_browser_opens_the_page_without_a_request_or_an_error(
    browser, page, tmp_path, width, scheme
):
    path = tmp_path / "r.html"
    path.write_text(page, encoding="utf-8")
    tab, events = opened(
        browser, path, viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    assert not events
    assert tab.evaluate(
        "[...document.images].every(image => image.complete && image.naturalWidth > 300)"
    )
    assert (
        tab.evaluate("document.documentElement.scrollWidth") <= width
    )  # only tables scroll sideways
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(29, 33, 38)"
    assert dark == (scheme == "dark")


def test_a_browser_runs_nothing_of_what_a_user_named(browser, faithful, tmp_path):
    frame = pd.DataFrame(faithful, columns=[NASTY, "<img src=x onerror=alert(1)>"])
    path = write_report(GaussianMixture(2, random_state=0).fit(frame), frame, tmp_path / "r.html")
    tab, events = opened(browser, path)
    assert not events
    assert NASTY in tab.inner_text("body")


def test_a_click_on_a_point_shows_its_memberships(browser, study, page, tmp_path):
    path = tmp_path / "r.html"
    path.write_text(page, encoding="utf-8")
    tab, events = opened(browser, path, viewport={"width": 1000, "height": 800})
    tab.wait_for_selector("#live[data-ready=yes]")
    row = int(study.unsure[0])
    tab.click("#live button:has-text('unsure')")
    assert f"Row {row + 1}" in tab.inner_text("#live .mixtura-panel")
    bars = tab.locator("#live li").all_inner_texts()
    assert [float(re.search(r"([\d.]+) %", bar)[1]) for bar in bars] == pytest.approx(
        (100 * study.memberships[row]).tolist(), abs=0.06
    )
    canvas = tab.locator("#live canvas")
    canvas.scroll_into_view_if_needed()
    tab.mouse.click(*place_of(study.X, 0, canvas))
    chosen = int(re.search(r"Row (\d+)", tab.inner_text("#live .mixtura-panel"))[1]) - 1
    np.testing.assert_allclose(study.X[chosen], study.X[0], atol=1e-9)
    tab.fill("#live input[type=range]", "99")
    unsure = (study.memberships.max(axis=1) < 0.99).sum()
    assert f"{unsure} of {len(study.X)} points are unsure" in tab.inner_text("#live")
    assert not events


def test_two_other_columns_are_shown_with_their_ellipses(browser, tmp_path):
    iris = load_iris()
    model = GaussianMixture(3, random_state=0).fit(iris.data)
    path = write_report(model, iris.data, tmp_path / "r.html", columns=list("abcd"))
    tab, events = opened(browser, path, viewport={"width": 1000, "height": 800})
    tab.wait_for_selector("#live[data-ready=yes]")
    tab.select_option("#live select >> nth=0", "3")
    tab.select_option("#live select >> nth=1", "1")
    # the label is said with the picture, which is drawn in the browser's next frame
    tab.wait_for_selector("#live canvas[aria-label*='b over d']")
    assert "b over d" in tab.get_attribute("#live canvas", "aria-label")
    assert not events


@pytest.mark.parametrize(("x", "y"), [(0, 1), (3, 1), (2, 3), (1, 0)])
def test_ellipses_of_any_two_columns_are_those_of_python(browser, tmp_path, x, y):
    iris = load_iris()
    model = GaussianMixture(3, random_state=0).fit(iris.data)
    said = plot_data(
        write_report(model, iris.data, tmp_path / "r.html", columns=list("abcd")).read_text(
            encoding="utf-8"
        )
    )
    said["roots"] = unpacked(said["roots"], "<f4").tolist()
    own = (
        (Path(mixtura.__file__).parent / "report" / "live.js")
        .read_text(encoding="utf-8")
        .split("startPicture(document")[0]
    )
    ellipses = """([own, plot, x, y]) => {
      plot.roots = Float32Array.from(plot.roots);
      return new Function(`${own}; return ellipsesOf`)()(plot, x, y);
    }"""
    drawn = browser.new_page().evaluate(ellipses, [own, said, x, y])
    for level, outline in zip(LEVELS, drawn, strict=True):
        np.testing.assert_allclose(outline, outlines(model.mixture_, (x, y), level), atol=1e-5)


def test_without_scripts_the_report_says_what_is_missing(browser, page, tmp_path):
    path = tmp_path / "r.html"
    path.write_text(page, encoding="utf-8")
    tab, events = opened(browser, path, java_script_enabled=False)
    assert "needs JavaScript" in tab.inner_text("#live")
    assert not events


def test_the_animation_of_em_plays_and_loads_nothing(browser, faithful, tmp_path):
    from mixtura import plots

    path = plots.animate(plots.em_steps(faithful, 2, max_iter=4), faithful, tmp_path / "em.html")
    tab, events = opened(browser, path, reduced_motion="reduce")
    assert tab.inner_text("#said").startswith("start")
    tab.click("#next")
    assert tab.inner_text("#said").startswith("iteration 1 of 4")
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#said").startswith("iteration 2 of 4")
    tab.fill("#slider", "4")
    assert tab.inner_text("#said").startswith("iteration 4 of 4")
    tab.click("#play")
    tab.locator("#said", has_text="iteration 2 of 4").wait_for()
    assert not events
