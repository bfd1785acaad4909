"""The lesson: its text on the page and in the notebook, its questions, its server."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from importlib.resources import files
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'explore' is not installed")

from test_learn_sandbox import processes_of
from uvicorn import Server

from mixtura.cli import main
from mixtura.learn import demonstrations as live
from mixtura.learn.app import lesson_app
from mixtura.learn.data_sets import KINDS, DataSet, data_set_of
from mixtura.learn.lesson import anchor_of, sections
from mixtura.learn.notebook import text
from mixtura.learn.page import page
from mixtura.learn.sandbox import Limits
from mixtura.web.guard import KEY_HEADER
from mixtura.web.server import _config, _listening

EXAMPLES = Path(__file__).parents[2] / "examples"
OLD_FAITHFUL = DataSet().rows
BLOBS = DataSet("blobs", n=300).rows


# ---- the text ------------------------------------------------------------------------------------


def test_the_lesson_has_its_seven_sections_and_each_ends_in_a_program():
    assert [section.name for section in sections()] == [
        "hard-and-soft",
        "the-model",
        "em",
        "for-and-against",
        "how-many",
        "comparison",
        "your-turn",
    ]
    assert all(any(piece.kind == "code" for piece in section.pieces) for section in sections())


def test_every_live_place_has_a_script_and_every_script_a_place():
    places = {
        piece.content for section in sections() for piece in section.pieces if piece.kind == "live"
    }
    script = (Path(live.__file__).parent / "static" / "lesson.js").read_text()
    known = re.search(r"const PARTS = \{ (.*) \};", script)
    assert places == set(known[1].split(", "))


def test_links_within_the_page_lead_somewhere():
    html = page()
    links, places = (
        set(re.findall(r'href="#([\w-]+)"', html)),
        set(re.findall(r'id="([\w-]+)"', html)),
    )
    assert links
    assert links <= places
    assert {anchor_of(section.title) for section in sections()} <= links


def test_the_page_holds_no_script_and_no_style_of_its_own_and_nothing_from_elsewhere():
    html = page()
    assert re.findall(r"<script[^>]*>(?!</script>)", html) == []
    assert " style=" not in html
    assert "<style" not in html
    assert re.findall(r'(?:src|href)="(?!/static/|#)([^"]*)"', html) == []
    assert re.findall(r"\son\w+=", html) == []


def test_the_data_of_the_lesson_are_those_of_the_examples():
    packed = (
        files("mixtura.learn").joinpath("lesson/old_faithful.csv").read_bytes()
    )  # an installed package has no examples
    assert packed == (EXAMPLES / "old_faithful.csv").read_bytes()
    assert OLD_FAITHFUL.shape == (272, 2)


# ---- the notebook --------------------------------------------------------------------------------


def test_the_notebook_is_what_the_sections_make():
    assert (EXAMPLES / "lesson.ipynb").read_text(encoding="utf-8") == text(), (
        "examples/lesson.ipynb is behind: run python -m mixtura.learn.notebook "
        "examples/lesson.ipynb"
    )


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(EXAMPLES / "lesson.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(
        cell.outputs == [] and cell.execution_count is None
        for cell in notebook.cells
        if cell.cell_type == "code"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore"
)  # of the notebook's own machinery; the cells run in a process of their own
def test_the_notebook_runs_from_top_to_bottom():
    notebook = nbformat.read(EXAMPLES / "lesson.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=180, resources={"metadata": {"path": str(EXAMPLES)}}
    ).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert all(outputs)
    printed = "".join(output.get("text", "") for cell in outputs for output in cell)
    assert "Best by BIC: VVV with 2 components" in printed
    pictures = [
        output for cell in outputs for output in cell if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 3
    assert (EXAMPLES / "lesson.ipynb").read_text(encoding="utf-8") == text()


# ---- the questions of the live parts -------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_description_makes_the_same_rows(kind):
    described = {"kind": kind, "n": 100, "distance": 3, "seed": 4, "added": [[1, 2]]}
    rows = data_set_of(described).rows
    assert rows.shape == (101, 2)
    assert rows[-1].tolist() == [1, 2]
    np.testing.assert_array_equal(rows, DataSet(kind, 100, 3.0, 4, ((1.0, 2.0),)).rows)


@pytest.mark.parametrize(
    "described",
    [
        None,
        {},
        {"kind": "../../etc/passwd"},
        {"kind": "blobs", "n": 10**9},
        {"kind": "blobs", "n": "many"},
        {"kind": "blobs", "n": float("nan")},
        {"kind": "blobs", "added": [[1]]},
        {"kind": "blobs", "added": [[1, float("inf")]]},
        {"kind": "blobs", "added": [[0, 0]] * 1000},
    ],
)
def test_a_wrong_description_is_refused_with_a_message(described):
    with pytest.raises(ValueError, match=r"must|at most"):
        data_set_of(described)


def test_the_least_sure_row_is_found_in_the_data_and_hard_methods_cannot_show_it():
    found = live.soft(BLOBS, 2)
    memberships = np.array(found["memberships"])
    least = found["least_sure"][0]
    assert memberships.max(axis=1)[least] == memberships.max(axis=1).min()
    assert 0.5 <= memberships[least].max() < 0.6
    assert memberships.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert found["k_means"][least] in (0, 1)
    assert found["dbscan"][least] in (-1, 0, 1)


def test_clusters_get_the_numbers_of_those_they_share_most_rows_with():
    own = np.array([0, 0, 0, 1, 1, 2])
    assert live.numbered_like(np.array([5, 5, 5, 3, 3, -1]), own).tolist() == [0, 0, 0, 1, 1, -1]
    assert live.numbered_like(np.array([0, 1, 2, 3, 4, 4]), own).max() <= 6


def test_em_is_shown_from_the_start_and_its_likelihood_never_falls():
    found = live.em_steps(OLD_FAITHFUL, 3, seed=2)
    first, values = found["steps"][0], [step["log_likelihood"] for step in found["steps"]]
    assert first["weights"] == pytest.approx([1 / 3] * 3)
    assert all(mean in OLD_FAITHFUL.tolist() for mean in np.round(first["means"], 6).tolist())
    np.testing.assert_allclose(first["covariances"][0], np.cov(OLD_FAITHFUL.T), rtol=1e-6)
    assert values == sorted(values)
    assert len(values) > 5
    assert found["converged"]


def test_each_step_of_em_carries_its_own_log_likelihood():
    from mixtura import GaussianMixture

    for step in live.em_steps(OLD_FAITHFUL, 2, seed=0)["steps"][:4]:
        known = GaussianMixture.from_parameters(step["weights"], step["means"], step["covariances"])
        assert known.score(OLD_FAITHFUL) * len(OLD_FAITHFUL) == pytest.approx(
            step["log_likelihood"], rel=1e-9
        )


def test_bad_starts_are_shown_to_be_bad():
    found = live.optima(OLD_FAITHFUL, 4)
    assert found["stuck"] > 0
    assert found["worst"]["log_likelihood"] < found["best"]["log_likelihood"] - 1
    assert found["search"]["log_likelihood"] > found["worst"]["log_likelihood"]


def test_every_criterion_chooses_its_own_lowest():
    found = live.criteria(OLD_FAITHFUL)
    assert [cell["K"] for cell in found["cells"]] == list(range(1, 11))
    for name, K in found["choices"].items():
        sound = {
            cell["K"]: cell["criteria"][name]
            for cell in found["cells"]
            if cell["eligible"] and name in cell["criteria"]
        }
        assert min(sound, key=sound.get) == K


def test_moons_take_several_components_which_merge_into_two_clusters():
    found = live.shapes(DataSet("moons", n=500).rows)
    moons = np.arange(500) % 2
    assert len(found["merged"]) > 3
    two = np.array(found["merged"][1]["labels"])
    assert max(np.mean(two == moons), np.mean(two != moons)) > 0.97
    assert any("suits these data better" in sentence for sentence in found["suits"])


@pytest.mark.slow
def test_the_share_of_every_k_is_counted():
    found = live.uncertainty_of_k(DataSet("faithful", n=100).rows)
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert "bootstrap" in found["sentence"]


def test_the_speed_is_measured():
    found = live.speed(1000)
    assert len(found["seconds"]) == len(found["methods"]) == 4
    assert all(seconds > 0 for seconds in found["seconds"])


# ---- the server ----------------------------------------------------------------------------------


class Client:
    """What the page sends, and what an attacker would."""

    def __init__(self, app):
        self.app = app
        self.host = f"127.0.0.1:{app.access.port}"
        cookie = f"{app.access.cookie_name}={app.access.cookie}"
        self.inside = {
            "Cookie": cookie,
            KEY_HEADER: app.access.key,
            "Origin": f"http://{self.host}",
        }

    @contextmanager
    def begin(self, path, body, headers=None):
        with closing(HTTPConnection(self.host, timeout=60)) as connection:
            connection.request(
                "POST", path, json.dumps(body), self.inside if headers is None else headers
            )
            with closing(connection.getresponse()) as answer:
                yield answer

    def ask(self, path, body, headers=None):
        with self.begin(path, body, headers) as answer:
            return answer.status, answer.read()

    def run(self, code, data=None):
        status, lines = self.ask("/api/run", {"code": code, "data": data or {"kind": "faithful"}})
        assert status == 200, lines
        return [json.loads(line) for line in lines.splitlines()]


@contextmanager
def served(limits=None) -> Iterator[Client]:
    app = lesson_app(limits=limits)
    with _listening(0) as listener:
        app.access.port = listener.getsockname()[1]
        server = Server(_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Client(app)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with served() as it:
        yield it


def test_a_program_runs_with_the_readers_data_beside_it(client):
    events = client.run(
        "print(open('data.csv').read().count('\\n'))", {"kind": "moons", "n": 60, "added": [[0, 0]]}
    )
    assert [event["kind"] for event in events] == ["started", "text", "ended"] or events[-1][
        "reason"
    ] == "finished"
    assert "".join(event.get("text", "") for event in events) == "62\n"


def test_stop_ends_the_program_that_runs(client):
    question = {"code": "print('on')\nwhile True: pass", "data": {"kind": "faithful"}}
    with client.begin("/api/run", question) as answer:
        while b"on" not in answer.readline():
            pass
        assert client.ask("/api/run", {"code": "print(1)", "data": {"kind": "faithful"}})[0] == 422
        assert client.ask("/api/stop", {}) == (200, b'{"stopped":true}')
        last = json.loads(answer.read().splitlines()[-1])
    assert last["reason"] == "stopped"
    assert client.ask("/api/stop", {}) == (200, b'{"stopped":false}')


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("loop", ["while True: pass", "while True: print('.'); time.sleep(0.05)"])
def test_closing_the_page_ends_its_program(client, loop):
    question = {
        "code": f"import os, time\nprint(f'<{{os.getcwd()}}>')\n{loop}",
        "data": {"kind": "faithful"},
    }
    said = ""
    with client.begin("/api/run", question) as answer:
        while ">" not in said:
            said += json.loads(answer.readline()).get("text", "")
    folder = said[1 : said.index(">")]
    deadline = time.monotonic() + 20
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(folder) == []
    assert client.run("print('free again')")[-1]["reason"] == "finished"


@pytest.mark.parametrize("missing", ["Cookie", KEY_HEADER, "Origin"])
def test_no_program_runs_for_a_client_without_cookie_or_key(client, missing):
    headers = {name: value for name, value in client.inside.items() if name != missing}
    assert (
        client.ask("/api/run", {"code": "print(1)", "data": {"kind": "faithful"}}, headers)[0]
        == 403
    )


def test_no_program_runs_for_another_page_or_another_name(client):
    question = {"code": "print(1)", "data": {"kind": "faithful"}}
    assert (
        client.ask("/api/run", question, {**client.inside, "Origin": "http://evil.example"})[0]
        == 403
    )
    assert client.ask("/api/run", question, {**client.inside, "Host": "evil.example"})[0] == 403


def test_a_program_that_is_too_long_is_refused(client):
    assert client.ask("/api/run", {"code": "#" * 30_000, "data": {"kind": "faithful"}})[0] == 422
    assert client.ask("/api/run", {"code": "#" * 100_000, "data": {"kind": "faithful"}})[0] == 413


@pytest.mark.parametrize(
    "name",
    [
        "data",
        "soft",
        "em",
        "shapes",
        "speed",
        "optima",
        "criteria",
        "certainty",
        "comparison",
        "run",
    ],
)
def test_wrong_questions_are_answered_with_a_message(client, name):
    for body in ([], {"data": {"kind": "none"}, "rows": -1}):
        status, words = client.ask(f"/api/{name}", body)
        assert status == 422
        assert len(json.loads(words)["error"]) > 20


def test_limits_are_those_of_the_server():
    with served(Limits(wall_seconds=1)) as client:
        assert client.run("while True: pass")[-1]["reason"] == "time"


def test_the_explorer_has_no_way_to_run_a_program():
    import mixtura.explorer

    source = "".join(
        path.read_text() for path in Path(mixtura.explorer.__file__).parent.rglob("*.py")
    )
    assert "sandbox" not in source
    assert "mixtura.learn" not in source
    assert re.findall(r"\b(?:exec|eval|subprocess|os\.system)\b\(?", source) == []


def test_the_command_names_what_it_opens(capsys):
    assert main(["learn", "--help"]) == 0
    assert "lesson" in capsys.readouterr().out
