"""mixtura export: files that score rows, and errors that say what to type."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest

import mixtura
from mixtura.cli import main

FAITHFUL = str(Path(__file__).parents[2] / "examples" / "old_faithful.csv")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> str:
    """A model file of two components with noise."""
    folder = tmp_path_factory.mktemp("exported") / "out"
    arguments = ["--components", "2", "--families", "VVV", "--noise", "auto", "--quiet"]
    assert main(["fit", FAITHFUL, *arguments, "--output", str(folder)]) == 0
    return str(folder / "model.safetensors")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)


@pytest.fixture(scope="module")
def expected(saved, rows):
    return mixtura.load(saved).mixture_.posterior(rows)


def test_json_has_the_parameters_and_what_the_fit_was(saved, here, capsys):
    assert main(["export", saved, "--output", "out.json"]) == 0
    out = capsys.readouterr().out
    assert "Mixture of 2 Gaussian components (VVV) with noise" in out
    assert "Wrote out.json" in out
    document = json.loads(Path("out.json").read_text())
    assert document["columns"] == ["eruptions", "waiting"]
    assert document["facts"]["n"] == 272
    assert document["facts"]["bic"] > 0
    read = mixtura.GaussianMixture.from_json("out.json")
    loaded = mixtura.load(saved)
    np.testing.assert_array_equal(read.covariances_, loaded.covariances_)
    assert read.noise_weight_ == loaded.noise_weight_


def test_python_scores_rows(saved, here, rows, expected):
    assert main(["export", saved, "--format", "python", "--quiet"]) == 0
    module: dict = {}
    exec(Path("model.py").read_text(encoding="utf-8"), module)
    found = [module["score"](row)[1] for row in rows.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_onnx_scores_rows(saved, here, rows, expected):
    runtime = pytest.importorskip("onnxruntime")
    assert main(["export", saved, "-o", "out.onnx", "--precision", "float64"]) == 0
    session = runtime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"X": rows})[1], expected, atol=1e-12)
    assert main(["export", saved, "-o", "single.onnx"]) == 0
    session = runtime.InferenceSession("single.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == "tensor(float)"


def test_sql_scores_a_table(saved, here, rows, expected):
    arguments = ["--dialect", "sqlite", "--table", "main.geyser", "--keep", "id, waiting"]
    assert main(["export", saved, "-o", "out.sql", *arguments]) == 0
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE geyser (id, eruptions, waiting)")
    numbered = [[i, *row] for i, row in enumerate(rows.tolist())]
    connection.executemany("INSERT INTO geyser VALUES (?, ?, ?)", numbered)
    cursor = connection.execute(Path("out.sql").read_text(encoding="utf-8"))
    assert [column[0] for column in cursor.description] == [
        "id", "waiting", "label", "probability_0", "probability_1", "probability_noise",
        "log_density",
    ]  # fmt: skip
    found = sorted(cursor.fetchall())
    np.testing.assert_allclose([row[3:6] for row in found], expected, atol=1e-12)


def test_a_file_is_never_overwritten_in_silence(saved, here, capsys):
    Path("out.json").write_text("mine")
    assert main(["export", saved, "-o", "out.json"]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert Path("out.json").read_text() == "mine"
    assert main(["export", saved, "-o", "out.json", "--force"]) == 0
    assert Path("out.json").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "the format is not clear: give an --output that ends in .onnx, .json, .py, .sql"),
        (["-o", "out.txt"], 2, "the format is not clear"),
        (["-o", "out.txt", "--format", "json"], 2, "--output must end in .json for json"),
        (["-o", "nowhere/out.json"], 1, "its folder 'nowhere' does not exist"),
        (["-o", "out.json", "--table", "data"], 2, "--table is for sql, but the format is json"),
        (["-o", "out.sql", "--precision", "float32"], 2, "--precision is for onnx"),
        (["-o", "out.sql"], 2, "sql needs --dialect sqlite, duckdb, postgresql or mysql"),
        (["-o", "out.sql", "--dialect", "oracle"], 2, "sqlite"),
        (
            ["-o", "out.sql", "--dialect", "mysql", "--keep", "label"],
            1,
            "the column 'label' has the name of a result",
        ),
    ],
)
def test_what_cannot_be_done_is_said(saved, here, capsys, arguments, code, message):
    assert main(["export", saved, *arguments]) == code
    assert message in capsys.readouterr().err
    assert not list(here.iterdir())


def test_files_that_are_no_models(here, capsys):
    assert main(["export", "nowhere.safetensors", "-o", "out.json"]) == 1
    assert "nowhere.safetensors: No such file" in capsys.readouterr().err
    assert main(["export", FAITHFUL, "-o", "out.json"]) == 1
    assert "expected a model file written by mixtura" in capsys.readouterr().err
    assert not list(here.iterdir())


def test_the_package_that_is_missing_is_named(saved, here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", saved, "-o", "out.onnx"]) == 1
    assert "pip install 'mixtura[onnx]'" in capsys.readouterr().err
    assert not list(here.iterdir())


def test_merged_clusters_are_said_to_be_left_out(here, capsys):
    arguments = ["--components", "3", "--families", "EEE", "--merge", "2", "--quiet"]
    assert main(["fit", FAITHFUL, *arguments, "--output", "merged"]) == 0
    capsys.readouterr()
    assert main(["export", "merged/model.safetensors", "-o", "out.json"]) == 0
    assert "the merged clusters of this model are not part" in capsys.readouterr().err
