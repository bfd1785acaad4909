"""Files as people have them at the command line: what is said first, kept, weighed and answered."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from mixtura.cli import main
from mixtura.estimators.model_file import load_model

QUICK = ("--components", "2", "--families", "EEE", "--starts", "1")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_groups(n=40):
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(m, 1.0, (n, 3)) for m in (0.0, 6.0)])


def write(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


@pytest.fixture
def holes(here):
    """Two groups in a, b, c: every seventh b is missing, row 6 has no value at all."""
    rows = [[f"{value:.6f}" for value in row] for row in two_groups()]
    for row in rows[::7]:
        row[1] = "NA"
    rows[5] = ["", "", ""]
    write("data.csv", "abc", rows)
    return here


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def ran(*arguments, code=0):
    """Standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main([str(word) for word in arguments]) == code, err.getvalue()
    return out.getvalue(), err.getvalue()


# ---- fit -----------------------------------------------------------------------------------------


def test_incomplete_rows_are_kept_and_counted_before_any_result(holes):
    out, err = ran("fit", "data.csv", *QUICK)
    lines = out.splitlines()
    assert lines[0].startswith("13 of 80 rows have missing values (a 1, b 13, c 1); they are kept")
    assert lines[1].startswith("1 of 80 rows have no value at all")
    assert lines[2] == "data.csv: 80 rows; 3 columns used: a, b, c"
    assert err == ""
    rows = table(Path("data.mixtura/memberships.csv").read_text())
    assert len(rows) == 80
    labels = [row["label"] for row in rows]
    assert len(set(labels[:5])) == len(set(labels[40:])) == 1
    model = load_model("data.mixtura/model.safetensors")
    assert float(rows[5]["probability_0"]) == model.mixture.weights[0]
    assert rows[5]["note"] == "no value in any column; these are the weights of the components"


def test_a_fit_of_incomplete_rows_is_that_of_the_estimator(holes):
    from mixtura import GaussianMixture
    from mixtura.inputs.reading import read_table

    document = json.loads(ran("fit", "data.csv", *QUICK, "--json")[0])
    assert (document["n_rows"], document["n_incomplete"]) == (80, 13)
    X, _, _ = read_table("data.csv").numeric()
    model = GaussianMixture(2, covariance_type="EEE", random_state=0).fit(np.delete(X, 5, axis=0))
    assert document["best"]["log_likelihood"] == pytest.approx(
        model.result_.log_likelihood, abs=0.02
    )


def test_what_looks_numeric_and_is_left_out_is_a_warning_also_when_quiet(here):
    X = two_groups()
    prices = [f"{value:.2f}" for value in X[:, 2]]
    prices[3] = "on request"
    write("data.csv", ["a", "b", "price"], [[*r[:2], p] for r, p in zip(X, prices, strict=True)])
    out, err = ran("fit", "data.csv", *QUICK, "--quiet")
    assert out == ""
    assert err == (
        "warning: left out: price, because it is not numeric (line 5 has 'on request'; 79 of 80 "
        "cells are numbers). To include it, correct its other cells, or name them as missing: "
        "--na 'on request'.\n"
    )
    out, err = ran("fit", "data.csv", *QUICK, "--na", "on request", "--force")
    assert "1 of 80 rows have missing values (price 1)" in out
    assert "3 columns used: a, b, price" in out
    assert err == ""


def test_money_and_decimal_commas_are_read_and_said(here):
    X = two_groups()
    rows = [[f"{a:.3f}".replace(".", ","), f"$1,{100 + int(b * 9):03d}.50"] for a, b, _ in X]
    with open("data.csv", "w") as stream:
        stream.write("\ufeffa;b\r\n" + "".join(f"{a};{b}\r\n" for a, b in rows))
    document = json.loads(ran("fit", "data.csv", *QUICK, "--json")[0])
    assert document["columns"] == ["a", "b"]
    assert len(document["said"]) == 2
    assert all("is read as" in sentence for sentence in document["said"])
    means = [component["mean"]["b"] for component in document["components"]]
    assert 1080 < min(means) < max(means) < 1180


def test_missing_marks_booleans_and_columns_are_options(here):
    X = two_groups()
    rows = [[*row, "yes" if i % 3 else "no"] for i, row in enumerate(X.tolist())]
    rows[0][0], rows[1][0] = "-", -999
    write("data.csv", ["a", "b", "c", "ok"], rows)
    options = ("--na", "-999", "--na", "-", "--booleans", "--drop", "b")
    document = json.loads(ran("fit", "data.csv", *QUICK, *options, "--json")[0])
    assert document["columns"] == ["a", "c", "ok"]
    assert document["n_incomplete"] == 2
    assert document["left_out"] == [{"column": "b", "reason": "dropped as asked"}]


def test_a_weight_of_2_is_a_repeated_row(here):
    X = two_groups(20)
    weights = np.arange(len(X)) % 3
    write("weighted.csv", ["a", "b", "c", "w"], [[*x, w] for x, w in zip(X, weights, strict=True)])
    write("repeated.csv", "abc", np.repeat(X, weights, axis=0).tolist())
    weighted = json.loads(ran("fit", "weighted.csv", *QUICK, "--weights", "w", "--json")[0])
    repeated = json.loads(ran("fit", "repeated.csv", *QUICK, "--json")[0])
    assert weighted["columns"] == ["a", "b", "c"]
    for name in ("log_likelihood", "bic"):
        assert weighted["best"][name] == pytest.approx(repeated["best"][name], rel=1e-9)


def test_labels_are_components_by_name(here):
    X = two_groups()
    kind = [("south" if i < 40 else "west") if i % 4 == 0 else "NA" for i in range(80)]
    write("data.csv", ["a", "b", "c", "kind"], [[*x, k] for x, k in zip(X, kind, strict=True)])
    out, _ = ran("fit", "data.csv", *QUICK, "--labels", "kind")
    assert "Component 0 (class south): " in out
    rows = table(Path("data.mixtura/memberships.csv").read_text())
    assert [row["class"] for row in rows] == ["south"] * 40 + ["west"] * 40
    predicted, _ = ran("predict", "data.mixtura/model.safetensors", "data.csv")
    assert predicted == Path("data.mixtura/memberships.csv").read_text()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--weights", "a", "--columns", "a,b"), 2, "--weights and --columns both name 'a'"),
        (("--weights", "kind", "--labels", "kind"), 2, "--labels and --weights both name 'kind'"),
        (("--labels", "knd"), 1, "no column is called 'knd' (did you mean 'kind'?)"),
        (("--labels", "none"), 1, "but all its cells are empty"),
        (("--labels", "kind", "--components", "2"), 2, "--labels has 3 classes"),
        (("--weights", "b"), 1, "needs a weight of at least 0, but column 'b' has"),
        (("--drop", "z"), 1, "no column is called 'z'"),
        (("--decimal", "x"), 2, "--decimal"),
        (("--sheet", "one"), 1, "expected a workbook with a sheet 'one'"),
        (("--encoding", "klingon"), 1, "'klingon' is not an encoding"),
    ],
)
def test_options_that_cannot_be_met_are_refused_before_a_fit(here, options, code, words):
    rows = [[*x[:2], "xyz"[i % 3], ""] for i, x in enumerate(two_groups(5))]
    write("data.csv", ["a", "b", "kind", "none"], rows)
    _, err = ran("fit", "data.csv", *options, code=code)
    assert words in err
    assert err.count("\n") == 1
    assert not Path("data.mixtura").exists()


def test_a_workbook_and_a_packed_file_give_the_fit_of_the_same_text(here):
    import gzip

    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    rows = [["" if i % 9 == 0 else a, b, c] for i, (a, b, c) in enumerate(two_groups().tolist())]
    write("data.csv", "abc", rows)
    Path("data.csv.gz").write_bytes(gzip.compress(Path("data.csv").read_bytes()))
    book = openpyxl.Workbook()
    for row in [list("abc"), *rows]:
        book.active.append([None if cell == "" else cell for cell in row])
    book.save("data.xlsx")
    bests = [
        json.loads(ran("fit", name, *QUICK, "--json", "-o", f"{name}.out")[0])["best"]
        for name in ("data.csv", "data.csv.gz", "data.xlsx")
    ]
    assert bests[0]["bic"] == bests[1]["bic"] == pytest.approx(bests[2]["bic"], rel=1e-12)


# ---- predict -------------------------------------------------------------------------------------


def test_predict_answers_every_row_it_can_and_says_why_not_the_others(holes):
    ran("fit", "data.csv", *QUICK, "--quiet")
    model = "data.mixtura/model.safetensors"
    assert ran("predict", model, "data.csv")[0] == Path("data.mixtura/memberships.csv").read_text()
    Path("new.csv").write_text("c,b,a\n6,6,6\n0,,0\nx,0,0\ninf,y,0\n,,\n")
    out, err = ran("predict", model, "new.csv")
    rows = table(out)
    assert err.startswith("warning: 2 of 5 rows have no answer, first row 3: 'c' is 'x'.")
    assert [row["label"] != "" for row in rows] == [True, True, False, False, True]
    assert rows[0]["label"] != rows[1]["label"]
    assert [row["note"] for row in rows] == [
        "",
        "",
        "'c' is 'x'",
        "'b' is 'y'; 'c' is infinite",
        "no value in any column; these are the weights of the components",
    ]
    document = json.loads(ran("predict", model, "new.csv", "--json")[0])
    assert (document["n_rows"], document["n_answered"]) == (5, 3)
    assert document["probability_0"][2] is document["label"][3] is None


def test_predict_reads_the_formats_of_fit(holes):
    ran("fit", "data.csv", *QUICK, "--quiet")
    Path("new.jsonl").write_text('{"a": 0, "b": 0, "c": 0}\n{"a": 6, "c": -999, "b": 6}\n')
    out, err = ran("predict", "data.mixtura/model.safetensors", "new.jsonl", "--na", "-999")
    assert len({row["label"] for row in table(out)}) == 2
    assert err == ""


# ---- commands that need complete rows ------------------------------------------------------------


def test_compare_leaves_incomplete_rows_out_and_says_so_first(holes):
    out, err = ran("compare", "data.csv", "--components", "2")
    assert err.startswith("warning: left out: 13 of 80 rows have missing values (a 1, b 13, c 1); ")
    assert out.startswith("data.csv: 67 rows;")
    numbers = [int(row["row"]) for row in table(Path("data.comparison/labels.csv").read_text())]
    assert numbers == [i + 1 for i in range(80) if i % 7 and i != 5]


def test_the_test_of_k_takes_incomplete_rows_and_weights(holes):
    options = ("--family", "EII", "--replicates", "19", "--starts", "1", "--most", "1", "--json")
    out, err = ran("test", "data.csv", *options)
    assert "left out" not in err
    assert json.loads(out)["n_rows"] == 80
    rows = [[*x, 1 + i % 2] for i, x in enumerate(two_groups(20))]
    write("weighted.csv", ["a", "b", "c", "w"], rows)
    write("repeated.csv", "abc", [row[:3] for row in rows for _ in range(row[3])])
    weighted = json.loads(ran("test", "weighted.csv", "--weights", "w", *options)[0])
    repeated = json.loads(ran("test", "repeated.csv", *options)[0])
    first, second = (document["tests"][0]["statistic"] for document in (weighted, repeated))
    assert first == pytest.approx(second, rel=1e-6)


# ---- plot and report -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["clusters", "scatter", "curves", "uncertainty", "density"])
def test_pictures_of_incomplete_rows_are_drawn(holes, kind):
    ran("plot", "data.csv", kind, *QUICK, "-o", "x.svg", "-q")
    assert Path("x.svg").read_text().startswith("<?xml")


def test_an_animation_of_incomplete_rows_is_drawn(holes):
    out, _ = ran("plot", "data.csv", "-o", "x.html", "--components", "2", "--families", "EII")
    assert "Wrote x.html" in out


def test_the_program_of_a_report_prints_the_numbers_of_the_report(holes):
    rows = [
        [*row.values(), i % 3, "" if i % 5 else "xy"[i > 40], ""]
        for i, row in enumerate(table(Path("data.csv").read_text()))
    ]
    rows[9][0] = -999
    write("data.csv", ["a", "b", "c", "w", "kind", "d"], rows)
    options = ("--weights", "w", "--labels", "kind", "--na", "-999")
    ran("report", "data.csv", *QUICK, *options)
    page = Path("data.report.html").read_text(encoding="utf-8")
    assert "14 of 80 rows have missing values (a 2, b 13, c 1)" in page
    assert "Left out: d, because it is empty." in page
    assert page.count(">missing<") >= 3  # of the row without a value, which is unsure
    program, printed = (
        unescape(re.search(pattern, page, re.DOTALL)[1])
        for pattern in (r'class="python"><code>(.*?)</code>', r"<samp>(.*?)</samp>")
    )
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {})
    assert out.getvalue() == printed
    command = unescape(re.search(r'class="command"><code>(.*?)</code>', page)[1])
    assert "--na -999 --weights w --labels kind" in command
