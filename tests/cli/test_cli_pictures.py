"""mixtura plot and mixtura report: formats, files that exist, errors."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixtura.cli import main
from mixtura.inputs.reading import read_table

FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"
FEW = ["--components", "1:3", "--families", "EEE,EII"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_bytes(FAITHFUL.read_bytes())
    return tmp_path


def test_a_report_is_written_beside_the_data_and_named_after_them(folder, capsys):
    assert main(["report", "data.csv", *FEW]) == 0
    assert "Wrote data.report.html" in capsys.readouterr().out
    page = unescape((folder / "data.report.html").read_text(encoding="utf-8"))
    assert "<h1>Clusters of data.csv</h1>" in page
    assert "mixtura report data.csv --components 1:3 --families EEE,EII --seed 0" in page


def test_the_command_in_a_report_makes_the_same_report(folder):
    assert (
        main(
            [
                "report",
                "data.csv",
                *FEW,
                "--columns",
                "waiting,eruptions",
                "--seed",
                "3",
                "-o",
                "one.html",
            ]
        )
        == 0
    )
    command = unescape(
        re.search(r'class="command"><code>(.*?)</code>', (folder / "one.html").read_text())[1]
    )
    name, *words = command.split()
    assert name == "mixtura"
    assert main([*words, "-o", "two.html", "-q"]) == 0
    one, two = (
        re.sub(r'<p class="made">.*?</p>', "", (folder / file).read_text())
        for file in ("one.html", "two.html")
    )
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "name", "start"),
    [
        ([], "data.clusters.png", b"\x89PNG"),
        (["uncertainty", "-o", "u.svg"], "u.svg", b"<?xml"),
        (["density", "-o", "d.pdf"], "d.pdf", b"%PDF"),
        (["density", "--levels", "0.5,0.95"], "data.density.png", b"\x89PNG"),
        (
            ["conditional", "--shown", "eruptions,waiting", "--at", "2,3.5", "--levels", "0.8"],
            "data.conditional.png",
            b"\x89PNG",
        ),
        (["curves", "--shown", "waiting"], "data.curves.png", b"\x89PNG"),
        (["pairs"], "data.pairs.png", b"\x89PNG"),
        (["scatter"], "data.scatter.png", b"\x89PNG"),
        (["criteria"], "data.criteria.png", b"\x89PNG"),
        (["merging"], "data.merging.png", b"\x89PNG"),
        (["trace"], "data.trace.png", b"\x89PNG"),
    ],
)
def test_a_picture_has_the_format_of_its_ending(arguments, name, start, folder):
    assert main(["plot", "data.csv", *arguments, *FEW, "-q"]) == 0
    assert (folder / name).read_bytes().startswith(start)
    assert {path.name for path in folder.iterdir()} == {"data.csv", name}


def test_a_gif_or_a_page_is_an_animation_of_em(folder):
    only = ["--components", "2", "--families", "EII", "-q"]
    assert main(["plot", "data.csv", "-o", "em.html", *only]) == 0
    assert "EM, EII with 2 components" in (folder / "em.html").read_text()
    assert main(["plot", "data.csv", "em", "--shown", "eruptions", *only]) == 0
    with Image.open(folder / "data.em.gif") as animation:
        assert animation.n_frames > 3


@pytest.mark.parametrize("command", ["plot", "report"])
def test_a_file_that_is_there_stays_unless_forced(command, folder, capsys):
    name = f"mine.{'png' if command == 'plot' else 'html'}"
    (folder / name).write_text("mine")
    assert main([command, "data.csv", "-o", name, *FEW]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert (folder / name).read_text() == "mine"
    assert main([command, "data.csv", "-o", name, "--force", *FEW]) == 0
    assert (folder / name).read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["report", "data.csv", "-o", "r.pdf"],
            2,
            "must end in .html for a report, but got 'r.pdf'. Write 'r.html'",
        ),
        (["report", "data.csv", "-o", "no/r.html"], 1, "its folder 'no' does not exist"),
        (["report", "missing.csv"], 1, "missing.csv: No such file"),
        (["report", "data.csv", "--families", "XYZ"], 2, "'XYZ' is not a known family"),
        (["plot", "data.csv", "em", "-o", "x.png"], 2, "must end in .gif or .html for em"),
        (
            ["plot", "data.csv", "trace", "-o", "x.gif"],
            2,
            "must end in .png or .svg or .pdf for trace",
        ),
        (
            ["plot", "data.csv", "--shown", "height"],
            2,
            "--shown names 'height', but the columns used are eruptions, waiting",
        ),
        (["plot", "data.csv", "trace", "--shown", "waiting"], 2, "trace does not show columns"),
        (["plot", "data.csv", "pie"], 2, "pie"),
        (["plot", "data.csv", "conditional", "--shown", "waiting"], 2, "must name two different"),
        (["plot", "data.csv", "conditional", "--shown", "waiting,waiting"], 2, "two different"),
        (["plot", "data.csv", "conditional", "--columns", "waiting"], 2, "needs two columns"),
        (["plot", "data.csv", "conditional", "--at", "3,x"], 2, "--at must be numbers"),
        (["plot", "data.csv", "density", "--at", "3"], 2, "density has no given column"),
        (["plot", "data.csv", "density", "--levels", "95"], 2, "--levels must be probabilities"),
        (["plot", "data.csv", "trace", "--levels", "0.5"], 2, "trace has no levels"),
        (
            ["plot", "data.csv", "density", "--shown", "waiting", "--components", "0"],
            2,
            "--components must be",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    arguments, code, words, folder, capsys
):
    assert main(arguments) == code
    assert words in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == {"data.csv"}


def test_a_column_named_like_a_script_is_only_a_name(folder):
    X, _, _ = read_table(FAITHFUL).numeric()
    np.savetxt(
        folder / "bad.csv",
        X,
        delimiter=",",
        header='"<script>alert(1)</script>",waiting',
        comments="",
    )
    assert main(["report", "bad.csv", *FEW]) == 0
    page = (folder / "bad.report.html").read_text(encoding="utf-8")
    assert "<script>" not in page  # the one script of the page is a module
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
