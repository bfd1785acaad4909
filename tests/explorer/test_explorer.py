"""mixtura explore without a browser: the answers of the server, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from sklearn.datasets import load_iris

pytest.importorskip("starlette", reason="the extra 'explore' is not installed")

from mixtura import GaussianMixture
from mixtura.cli import main
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.model_file import jsonable, load_model
from mixtura.explorer import exports, views
from mixtura.explorer.app import explorer_app
from mixtura.explorer.runs import MOST_ITERATIONS, STARTS, RunCache, RunSettings
from mixtura.explorer.table import OpenedTable
from mixtura.inputs.reading import Reading, read_table
from mixtura.plots.region_lines import DRAWS, region_lines
from serving import Running, running

FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"
MODEL = {"components": 2, "family": "VVV", "seed": 0, "start": ""}


@pytest.fixture(scope="module")
def opened() -> OpenedTable:
    X, names, _ = read_table(FAITHFUL).numeric()
    return OpenedTable(X, names, str(FAITHFUL))


@pytest.fixture(scope="module")
def server(opened) -> Iterator[Running]:
    with running(explorer_app(opened)) as it:
        yield it


def ask(server: Running, what: str, **question: object) -> tuple[int, bytes]:
    answer, text = server.ask(f"/api/{what}", server.inside, json.dumps(question).encode())
    return answer.status, text


# ---- runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", STARTS)
def test_a_recording_is_plain_em_from_its_start(opened, start):
    run = RunCache(opened).run(RunSettings(3, "VVV", 1, start))
    assert len(run.frames) == len(run.trace) == run.fit.n_iter + 1
    assert np.all(np.diff(run.trace) > -1e-6)
    np.testing.assert_allclose(run.trace, run.fit.trace, atol=1e-6)
    for frame in (0, len(run.frames) // 2):
        assert run.frames[frame].log_density(opened.X).sum() == pytest.approx(
            run.trace[frame], abs=1e-6
        )


def test_a_recording_that_is_too_long_says_so(opened):
    run = RunCache(opened).run(RunSettings(9, "VVV", 0, "random"))
    assert run.fit.n_iter <= MOST_ITERATIONS
    sentence = views.run_view(run)["sentence"]
    assert (f"the first {MOST_ITERATIONS} iterations" in sentence) == (
        run.fit.n_iter == MOST_ITERATIONS
    )


def test_a_model_is_that_of_the_estimator_and_made_once(opened):
    runs = RunCache(opened)
    run = runs.run(RunSettings(2, "EEE", 0))
    known = GaussianMixture(2, covariance_type="EEE", random_state=0, component_order="weight").fit(
        opened.X
    )
    assert run.fit.log_likelihood == known.result_.log_likelihood
    assert views.run_view(run)["bic"] == pytest.approx(known.bic(opened.X))
    assert runs.run(RunSettings(2, "EEE", 0)) is run


def test_a_program_that_ends_cancels_its_computations(opened):
    runs = RunCache(opened)
    runs.end()
    with pytest.raises(ValueError, match="the program is ending"):
        runs.run(RunSettings(3, "VVV", 0))
    runs.end()


def test_the_curve_in_the_background_does_not_block_other_runs(opened):
    runs = RunCache(opened)
    with runs._background:  # as while a large K is fitted
        assert runs.run(RunSettings(1, "VVV", 0)).settings.n_components == 1


# ---- answers to the page -------------------------------------------------------------------------


def test_the_page_learns_the_name_of_the_file_but_not_its_folder(server, opened):
    _, text = ask(server, "table")
    answer = json.loads(text)
    assert answer["file"] == "old_faithful.csv"
    assert str(FAITHFUL.parent) not in text.decode()
    assert [column["name"] for column in answer["columns"]] == list(opened.names)


def test_points_come_as_32_bit_numbers_from_zero_to_one(server, opened):
    _, data = ask(server, "column", column=1)
    values = np.frombuffer(data, "<f4")
    low, high = opened.X[:, 1].min(), opened.X[:, 1].max()
    np.testing.assert_allclose(low + values * (high - low), opened.X[:, 1], atol=1e-4)
    assert (values.min(), values.max()) == (0.0, 1.0)


def test_memberships_come_as_certainties_and_255ths(server, opened):
    _, data = ask(server, "memberships", **MODEL, frame=0)
    shares = (
        GaussianMixture(2, random_state=0, component_order="weight")
        .fit(opened.X)
        .predict_proba(opened.X)
    )
    n = len(opened.X)
    np.testing.assert_allclose(np.frombuffer(data[: 4 * n], "<f4"), shares.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(
        np.frombuffer(data[4 * n :], np.uint8).reshape(n, 2) / 255, shares, atol=0.51 / 255
    )


def test_a_row_is_explained_by_its_memberships(server, opened):
    _, text = ask(server, "row", **MODEL, frame=0, row=243)
    answer = json.loads(text)
    products = [
        component["weight"] * np.exp(component["log_density"])
        for component in answer["memberships"]
    ]
    np.testing.assert_allclose(
        [component["probability"] for component in answer["memberships"]],
        np.array(products) / sum(products),
    )
    assert answer["values"] == dict(zip(opened.names, opened.X[243].tolist(), strict=True))


def test_other_methods_have_the_numbers_of_the_mixtures_clusters(server, opened):
    model = {name: MODEL[name] for name in ("components", "family", "seed")}
    _, text = ask(server, "comparison", **model)
    names = [method["name"] for method in json.loads(text)["methods"]]
    assert {"K-Means", "DBSCAN"} <= set(names)
    _, data = ask(server, "labels", **model, method="K-Means")
    labels = np.frombuffer(data, "<i2")
    own = (
        GaussianMixture(2, random_state=0, component_order="weight").fit(opened.X).predict(opened.X)
    )
    assert (labels == own).mean() > 0.95


def test_one_column_has_a_second_axis_and_frames():
    X = np.random.default_rng(0).standard_normal((60, 1))
    line = OpenedTable(X, ("height",), "x.csv")
    run = RunCache(line).run(RunSettings(2, "VII", 0))
    frame = views.frame_view(run.frames[0], (0, 1))
    assert len(views.table_view(line)["columns"]) == 2
    assert np.array(frame["ellipses"]).shape == (2, 2, 5, 2)
    assert len(views.column_bytes(line, 1)) == 4 * 60
    assert {family["name"] for family in views.table_view(line)["families"]} == {"EII", "VII"}


# ---- regions, and one column given the other -----------------------------------------------------


def model_of(opened: OpenedTable, K: int = 2) -> Mixture:
    """The mixture of the page."""
    return GaussianMixture(K, random_state=0, component_order="weight").fit(opened.X).mixture_


def test_regions_come_with_a_frame_where_they_are_asked_for(server, opened):
    _, text = ask(server, "frame", **MODEL, frame=0, x=0, y=1)
    assert json.loads(text)["regions"] == []
    _, text = ask(server, "frame", **MODEL, frame=0, x=0, y=1, regions=1)
    found = json.loads(text)["regions"]
    assert [region["label"] for region in found] == ["50 %", "80 %", "95 %"]
    mixture = model_of(opened)
    rows = mixture.rvs(4000, random_state=5)
    for region, level in zip(found, (0.5, 0.8, 0.95), strict=True):
        parts = [Outline(np.array(line)).contains_points(rows) for line in region["lines"]]
        # a row is inside an odd number of borders; 4 standard errors of the share of 4,000 rows
        # are 0.032 at most, the threshold is right to 0.004
        assert (np.sum(parts, axis=0) % 2).mean() == pytest.approx(level, abs=0.036)


@pytest.mark.parametrize("columns", [(2, 3), (3, 0)])
def test_borders_of_regions_have_the_density_of_their_threshold(columns):
    iris = load_iris().data
    mixture = GaussianMixture(3, random_state=0).fit(iris).mixture_
    both = mixture.marginal(list(columns))
    levels = (0.3, 0.95)
    found = region_lines(mixture, columns, levels)
    known = both.hdr(levels, n_samples=DRAWS).log_thresholds
    assert [len(lines) >= 1 for lines in found] == [True, True]
    for lines, threshold in zip(found, known, strict=True):
        heights = both.log_density(np.concatenate(lines))
        # Linear interpolation over steps of 10 / 53 standard deviations is off by at most
        # h^2 / 8 = 0.0044 of the curvature, which is 1 / (1 - r^2) < 8 here in two directions.
        np.testing.assert_allclose(heights, threshold, atol=0.07)


def test_of_one_column_the_regions_are_boxes_over_their_intervals():
    X = np.random.default_rng(0).standard_normal((60, 1))
    line = OpenedTable(X, ("height",), "x.csv")
    run = RunCache(line).run(RunSettings(2, "VII", 0))
    frame = views.frame_view(run.frames[0], (0, 1), regions=True)
    known = run.frames[0].hdr([0.5, 0.8, 0.95]).intervals
    for region, ends in zip(frame["regions"], known, strict=True):
        boxes = np.array(region["lines"])
        np.testing.assert_allclose(
            np.stack([boxes[:, :, 0].min(axis=1), boxes[:, :, 0].max(axis=1)], axis=1), ends
        )


@pytest.mark.parametrize(("x", "y", "value"), [(0, 1, 3.0), (1, 0, 66.0)])
def test_the_other_column_is_answered_as_condition_does(server, opened, x, y, value):
    _, text = ask(server, "conditional", **MODEL, frame=0, x=x, y=y, value=value)
    answer = json.loads(text)
    known = model_of(opened).condition([x], [value])
    numbers = answer["numbers"]
    assert (numbers["mean"], numbers["standard deviation"]) == pytest.approx(
        (known.mean()[0], known.std()[0])
    )
    assert [numbers[name] for name in ("5 %", "median", "95 %")] == pytest.approx(
        known.ppf([0.05, 0.5, 0.95])
    )
    places = np.array(answer["places"])
    np.testing.assert_allclose(answer["density"], known.pdf(places[:, None]))
    # between the quantiles of 0.0001 and 0.9999, by trapezoids
    assert np.trapezoid(answer["density"], places) == pytest.approx(0.9998, abs=1e-4)
    assert answer["sentence"].startswith(f"{opened.names[y]} given {opened.names[x]} = {value:g}: ")
    order = np.argsort(-known.weights)
    said = re.findall(r"cluster (\d) with ([\d.]+) %", answer["weights"])
    assert [int(k) for k, _ in said] == order.tolist()
    assert [float(w) for _, w in said] == pytest.approx(100 * known.weights[order], abs=0.06)


def test_other_columns_are_not_given():
    iris = load_iris()
    opened = OpenedTable(iris.data, tuple("abcd"), "iris.csv")
    mixture = model_of(opened, 3)
    answer = views.conditional_view(opened, mixture, 2, 1, 4.0)
    known = mixture.marginal([2, 1]).condition([0], [4.0])
    assert answer["numbers"]["mean"] == pytest.approx(known.mean()[0])


def test_a_table_of_one_column_has_nothing_to_give():
    X = np.random.default_rng(0).standard_normal((60, 1))
    with running(explorer_app(OpenedTable(X, ("height",), "x.csv"))) as it:
        status, text = ask(
            it, "conditional", **{**MODEL, "family": "VII"}, frame=0, x=0, y=1, value=0.0
        )
    assert status == 422
    assert "no other column" in json.loads(text)["error"]


# ---- wrong questions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "change", "words"),
    [
        ("run", {"components": 0}, "components must be a whole number from 1 to 20"),
        ("run", {"components": 1e9}, "components must be"),
        ("run", {"components": True}, "components must be"),
        ("run", {"family": "XXX"}, "family must be one of EII"),
        ("run", {"family": ["VVV"]}, "family must be one of"),
        ("run", {"start": "eval"}, "start must be one of"),
        ("run", {"seed": -1}, "seed must be"),
        ("frame", {"frame": 1, "x": 0, "y": 1}, "frame must be a whole number from 0 to 0"),
        ("frame", {"frame": 0, "x": 0, "y": 0}, "x and y must be two columns"),
        ("row", {"frame": 0, "row": 272}, "row must be"),
        ("conditional", {"frame": 0, "x": 0, "y": 0, "value": 3}, "x and y must be two columns"),
        ("conditional", {"frame": 0, "x": 0, "y": 1, "value": 1e9}, "value must be a number from"),
        ("conditional", {"frame": 0, "x": 0, "y": 1, "value": "3"}, "value must be a number from"),
        ("conditional", {"frame": 0, "x": 0, "y": 1, "value": float("nan")}, "value must be"),
        ("conditional", {"frame": 0, "x": 0, "y": 1}, "value must be a number from"),
        ("column", {"column": "../../etc/passwd"}, "column must be"),
        ("export-memberships", {"frame": 0, "threshold": float("nan")}, "threshold must be"),
        ("labels", {"method": "/etc/passwd"}, "method must be one of"),
    ],
)
def test_a_wrong_question_is_answered_with_a_message(server, what, change, words):
    status, text = ask(server, what, **{**MODEL, **change})
    assert status == 422
    assert words in json.loads(text)["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 60_000])
def test_a_body_that_is_no_question_is_refused(server, body):
    answer, text = server.ask("/api/run", server.inside, body)
    assert answer.status == 422
    assert b"JSON object" in text


@pytest.mark.parametrize("what", ["code", "execute", "open", "file", "upload", "kernel"])
def test_nothing_runs_code_or_opens_a_file(server, what):
    assert ask(server, what, code="1", path="/etc/passwd")[0] == 404


# ---- missing values ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def incomplete(opened) -> OpenedTable:
    X = opened.X.copy()
    X[::10, 0] = np.nan
    return OpenedTable(X, opened.names, "holes.csv", Reading(na=("-999",)))


def test_incomplete_rows_have_memberships_and_no_place(incomplete):
    run = RunCache(incomplete).run(RunSettings(2, "VVV", 0))
    assert views.table_view(incomplete)["incomplete"] == 28
    places = np.frombuffer(views.column_bytes(incomplete, 0), "<f4")
    assert np.flatnonzero(np.isnan(places)).tolist() == list(range(0, 272, 10))
    row = views.row_view(incomplete, run.fit.mixture, 10)
    assert jsonable(row["values"])["eruptions"] is None
    exact = run.fit.mixture.posterior(incomplete.X[10:11])[0]
    assert [each["probability"] for each in row["memberships"]] == pytest.approx(exact.tolist())


def test_other_methods_leave_incomplete_rows_out_and_say_so(incomplete):
    settings = RunSettings(2, "VVV", 0)
    runs = RunCache(incomplete)
    comparison = runs.comparison(settings)
    said = views.comparison_view(incomplete, comparison)["sentences"][0]
    assert said == "28 of 272 rows have missing values and are left out here."
    mixture = runs.run(settings).fit.mixture
    labels = np.frombuffer(views.labels_bytes(incomplete, comparison, "K-Means", mixture), "<i2")
    assert np.flatnonzero(labels == -1).tolist() == list(range(0, 272, 10))


def test_the_exported_python_reads_the_file_as_the_page_did(incomplete):
    run = RunCache(incomplete).run(RunSettings(2, "VVV", 0))
    text = exports.python_text(incomplete, run, 0, (0, 1), 0.9)
    assert "read_table(data, Reading(na=('-999',))).numeric(" in text


# ---- exports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "frame"),
    [(RunSettings(3, "EEE", 5), 0), (RunSettings(2, "VVV", 1, "random_from_data"), 3)],
)
def test_the_exported_python_reproduces_the_view(opened, tmp_path, settings, frame):
    run = RunCache(opened).run(settings)
    (tmp_path / "view.py").write_text(exports.python_text(opened, run, frame, (0, 1), 0.9))
    (tmp_path / "old_faithful.csv").write_bytes(FAITHFUL.read_bytes())
    command = [sys.executable, "view.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    shares = run.frames[frame].posterior(opened.X)
    assert f"{(shares.max(axis=1) < 0.9).sum()} of 272 rows are unsure" in done.stdout
    assert f"log-likelihood {run.trace[frame]:.3f}" in done.stdout
    made, _, _ = read_table(tmp_path / "memberships.csv").numeric(
        [f"probability_{k}" for k in range(settings.n_components)]
    )
    np.testing.assert_allclose(made, shares, atol=1e-6)
    assert (tmp_path / "view.png").stat().st_size > 10_000
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "would be overwritten" in again.stderr


def test_names_cannot_put_code_into_the_exported_python(opened):
    evil = "'''\"\"\"\n__import__('os').abort()\n{}\\"
    other = OpenedTable(opened.X, (evil, "waiting"), f"/folder/{evil}.csv")
    text = exports.python_text(other, RunCache(other).run(RunSettings(1, "VVV", 0)), 0, (0, 1), 0.9)
    import ast

    called = [
        ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)
    ]
    assert "os.abort" not in " ".join(called)
    assert "__import__" not in " ".join(called)


def test_the_exported_model_file_predicts(server, opened, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(ask(server, "export-model", **MODEL, frame=0)[1])
    model = load_model(tmp_path / "model.safetensors")
    assert model.feature_names == opened.names
    expected = (
        GaussianMixture(2, random_state=0, component_order="weight")
        .fit(opened.X)
        .predict_proba(opened.X)
    )
    np.testing.assert_allclose(model.mixture.posterior(opened.X), expected, atol=1e-9)


# ---- the command ---------------------------------------------------------------------------------


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch, capsys):
    monkeypatch.setattr(
        "mixtura.web.find_spec", lambda name: None if name == "uvicorn" else find_spec(name)
    )
    assert main(["explore", str(FAITHFUL)]) == 1
    assert "pip install 'mixtura[explore]'" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_starts_no_server(tmp_path, capsys):
    (tmp_path / "words.csv").write_text("a,b\nx,y\n")
    assert main(["explore", str(tmp_path / "words.csv"), "--no-browser"]) == 1
    assert "column of numbers" in capsys.readouterr().err


def test_ctrl_c_ends_it_without_a_traceback():
    command = [
        sys.executable,
        "-u",
        "-c",
        "import sys; from mixtura.cli import main; sys.exit(main(sys.argv[1:]))",
    ]
    process = subprocess.Popen(
        [*command, "explore", str(FAITHFUL), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    link = next(line.split()[1] for line in lines if line.startswith("Open "))
    address = urlsplit(link)
    connection = HTTPConnection("127.0.0.1", address.port, timeout=60)
    while True:
        try:
            connection.request("GET", f"/?{address.query}")
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    assert connection.getresponse().status == 200
    connection.close()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest.splitlines()[-1]) == (0, "Ended.")
    assert "Traceback" not in rest
