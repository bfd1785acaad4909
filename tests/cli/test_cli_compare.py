"""mixtura compare as a user sees it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_moons

from mixtura.cli import main
from mixtura.cli.compare import FILES

EXAMPLES = Path(__file__).parents[2] / "examples"
FAITHFUL = str(EXAMPLES / "old_faithful.csv")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def moons(here):
    X, moon = make_moons(300, noise=0.05, random_state=0)
    Path("moons.csv").write_text(
        "x,y,moon\n" + "".join(f"{a},{b},{'ab'[m]}\n" for (a, b), m in zip(X, moon, strict=True))
    )
    return here


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_measured_table_and_the_conclusion_are_printed(here, capsys):
    assert main(["compare", FAITHFUL]) == 0
    out, err = capsys.readouterr()
    for words in (
        "K-Means",
        "Gaussian mixture",
        "DBSCAN",
        "HDBSCAN",
        "soft clusters",
        "shape assumed",
        "how K was found",
        "interpretability",
        "Davies-Bouldin (lower",
        "K-Means is as good for labels alone",
        "      old_faithful.comparison/comparison.png",
    ):
        assert words in out
    assert "reason for no result" not in out
    assert "truth" not in out
    assert "\x1b" not in out
    assert err == ""


def test_files_and_json_agree(moons, capsys):
    assert main(["compare", "moons.csv", "--truth", "moon", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    folder = moons / "moons.comparison"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert document["files"] == [str(Path("moons.comparison") / name) for name in FILES]
    assert document["columns"] == ["x", "y"]
    assert document["suits"][0] == "HDBSCAN"
    assert [row["name"] for row in document["methods"]] == [
        row["name"] for row in table(folder / "methods.csv")
    ]
    assert document["methods"][3]["truth_ari"] > 0.95
    assert len(document["agreement"]) == 6
    assert document["evidence"]["bent_clusters"] == 2
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_labels_are_written_for_every_row_with_one_number_for_one_cluster(moons, capsys):
    assert main(["compare", "moons.csv", "--truth", "moon", "--components", "2", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    rows = table(moons / "moons.comparison" / "labels.csv")
    assert list(rows[0]) == ["row", "truth", "K-Means", "Gaussian mixture", "DBSCAN", "HDBSCAN"]
    assert len(rows) == 300
    assert {row["truth"] for row in rows} == {"a", "b"}
    assert {row["HDBSCAN"] for row in rows} <= {"0", "1", "-1"}
    assert np.mean([row["K-Means"] == row["Gaussian mixture"] for row in rows]) > 0.5


def test_known_groups_may_be_numbers(here, capsys):
    Path("data.csv").write_text(
        "x,kind\n"
        + "".join(f"{v},{k}\n" for k in (1, 2) for v in np.linspace(9 * k, 9 * k + 1, 30))
    )
    assert main(["compare", "data.csv", "--truth", "kind", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["columns"] == ["x"]
    assert document["methods"][0]["truth_ari"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--truth", "mon"], 1, "no column is called 'mon' (did you mean 'moon'?)"),
        (
            ["--truth", "moon", "--columns", "x,moon"],
            2,
            "--truth and --columns both name 'moon'; a column has one use",
        ),
        (
            ["--family", "EEE,VVV"],
            2,
            "--family must be one family such as VVV, or all, but got 'EEE,VVV'",
        ),
        (["--family", "VXV"], 2, "Did you mean 'VVV'?"),
        (["--components", "0"], 2, "Must be >= 1"),
    ],
)
def test_invalid_options_are_refused_in_one_paragraph(moons, capsys, arguments, code, words):
    assert main(["compare", "moons.csv", *arguments]) == code
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not Path("moons.comparison").exists()


def test_a_row_without_a_known_group_is_refused(here, capsys):
    Path("data.csv").write_text("x,kind\n1,a\n2,\n3,b\n")
    assert main(["compare", "data.csv", "--truth", "kind"]) == 1
    assert (
        "column 'kind' has 1 empty cells, first in row 2. Drop or fill these rows first."
        in capsys.readouterr().err
    )


def test_a_second_comparison_refuses_to_overwrite(moons, capsys):
    assert main(["compare", "moons.csv", "--quiet"]) == 0
    before = {path.name: path.read_bytes() for path in (moons / "moons.comparison").iterdir()}
    assert main(["compare", "moons.csv"]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert before == {
        path.name: path.read_bytes() for path in (moons / "moons.comparison").iterdir()
    }
    assert main(["compare", "moons.csv", "--force", "--output", "moons.comparison", "--quiet"]) == 0


# ---- Ctrl-C --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_real_sigint_keeps_the_methods_that_are_done(here):
    X = np.random.default_rng(0).normal(size=(150_000, 4))
    X[:, 0] += np.repeat([0.0, 2.0, 4.0], 50_000)  # the mixture takes long over groups that overlap
    np.savetxt("big.csv", X, delimiter=",", header="a,b,c,d", comments="", fmt="%.6g")
    script = """
import sys
from mixtura.compare import comparison as compare
from mixtura.cli import main
tried = compare._tried
def telling(name, run, on_method):
    print("begun", name, file=sys.stderr, flush=True)
    return tried(name, run, on_method)
compare._tried = telling
sys.exit(main(["compare", "big.csv", "--family", "all"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "begun Gaussian mixture" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "Interrupted by Ctrl-C; the results until then are kept." in out
    reasons = {row["name"]: row["reason"] for row in table(here / "big.comparison" / "methods.csv")}
    late = "not run"
    assert reasons == {
        "K-Means": "",
        "Gaussian mixture": "interrupted",
        "DBSCAN": late,
        "HDBSCAN": late,
    }
    assert list(table(here / "big.comparison" / "labels.csv")[0]) == ["row", "K-Means"]
    assert (here / "big.comparison" / "comparison.png").read_bytes().startswith(b"\x89PNG")
