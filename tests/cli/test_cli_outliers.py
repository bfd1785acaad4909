"""mixtura outliers and mixtura sample: output, files and errors."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from mixtura import GaussianMixture, OutlierMixture, load
from mixtura.cli import main
from mixtura.estimators.model_file import load_model, save_model
from mixtura.inputs.reading import read_table

QUICK = ("--components", "3", "--families", "EEE")


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def geyser(here, faithful):
    """Old Faithful with a row that belongs to no group, and one with a hole."""
    lines = [f"{a!r},{b!r}" for a, b in faithful.tolist()]
    text = "\n".join(["eruptions,waiting", *lines, "4.5,45", ",80"])
    (here / "geyser.csv").write_text(text + "\n")
    return "geyser.csv"


@pytest.fixture
def model(here, faithful):
    """A model of Old Faithful with noise, as a file."""
    fit = GaussianMixture(2, noise="auto", random_state=0, component_order="weight").fit(faithful)
    save_model(
        here / "model.safetensors",
        fit.mixture_,
        family="VVV",
        feature_names=("eruptions", "waiting"),
    )
    return "model.safetensors"


# ---- outliers ------------------------------------------------------------------------------------


def test_the_least_likely_rows_are_listed_with_the_columns_that_stand_out(geyser, capsys):
    assert main(["outliers", geyser, *QUICK, "--noise", "none", "--top", "3"]) == 0
    out = capsys.readouterr().out
    assert "Mixture: EEE with 3 components." in out
    assert "false-alarm rate 0.01000 (Monte-Carlo error 0.0001" in out
    listed = [line.split() for line in out.splitlines() if line.split()[1:2] in (["yes"], ["no"])]
    assert len(listed) == 3
    assert listed[0][:2] == ["273", "yes"]
    assert listed[0][6] == "waiting"


def test_the_command_is_the_estimator(geyser, capsys):
    assert main(["outliers", geyser, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    X = read_table(geyser).numeric()[0]
    detector = OutlierMixture(random_state=0).fit(X)
    assert document["n_components"] == detector.mixture_.n_components
    assert document["offset"] == pytest.approx(detector.offset_, rel=1e-9)
    assert document["n_outliers"] == (detector.predict(X) == -1).sum()
    first = document["rows"][0]
    assert first["row"] == 1 + detector.score_samples(X).argmin() == 273
    assert first["expected"] == pytest.approx(274 * first["probability"])
    residuals = detector.column_residuals(X)[272]
    assert first["residuals"] == pytest.approx(
        dict(zip(("eruptions", "waiting"), residuals, strict=True)), abs=1e-9
    )
    assert document["n_expected"] == pytest.approx(2.74)


def test_all_rows_are_written_beside_their_density(geyser, model, here):
    assert main(["outliers", geyser, "--model", model, "-o", "out.csv", "--quiet"]) == 0
    rows = table((here / "out.csv").read_text())
    X = read_table(geyser).numeric()[0]
    fitted = load(model)
    assert list(rows[0]) == [
        "row", "eruptions", "waiting", "outlier", "log_density", "probability", "component",
        "column", "residual",
    ]  # fmt: skip
    assert [row["row"] for row in rows] == [str(i) for i in range(1, 275)]
    assert float(rows[0]["eruptions"]) == X[0, 0]
    densities = fitted.mixture_.without_noise.log_density(X[:273])
    np.testing.assert_allclose([float(row["log_density"]) for row in rows[:273]], densities)
    below = [row["outlier"] == "1" for row in rows[:273]]
    assert sum(float(row["probability"]) < 0.01 for row in rows[:273]) == sum(below)
    assert rows[272]["outlier"] == "1"
    assert rows[273]["eruptions"] == ""
    assert rows[273]["column"] == "waiting"


def test_a_row_that_cannot_be_read_is_empty_and_has_its_reason(here, model, capsys):
    (here / "rows.csv").write_text("eruptions,waiting\n3.6,79\nx,50\n,\n9,60\n")
    assert main(["outliers", "rows.csv", "--model", model, "-o", "out.csv"]) == 0
    captured = capsys.readouterr()
    assert "1 of 4 rows have no answer, first row 2: 'eruptions' is 'x'" in captured.err
    rows = table((here / "out.csv").read_text())
    assert [row["outlier"] for row in rows] == ["0", "", "0", "1"]
    assert [row["note"] for row in rows] == ["", "'eruptions' is 'x'", "", ""]
    assert rows[2]["column"] == rows[1]["log_density"] == ""
    assert float(rows[2]["probability"]) == 1.0


def test_the_share_of_the_rows_is_an_option(geyser, capsys):
    assert main(["outliers", geyser, *QUICK, "--contamination", "0.05", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n_outliers"] == int(0.05 * 274)
    assert 0 < document["false_alarm_rate_error"] < document["false_alarm_rate"] < 0.1


def test_weights_count_in_the_share(here, capsys):
    (here / "w.csv").write_text(
        "x,times\n" + "".join(f"{i / 10},{1 + (i == 60) * 30}\n" for i in range(40)) + "60,30\n"
    )
    given = ["--components", "1", "--families", "EEE", "--noise", "none", "--json"]
    weighed = ["--weights", "times", "--contamination", "0.3"]
    assert main(["outliers", "w.csv", *given, *weighed]) == 0
    # The far row is 30 of 70 rows: more than the share, so that none is below.
    assert json.loads(capsys.readouterr().out)["n_outliers"] < 12


def test_small_groups_are_hinted_at_and_can_be_outliers(here, capsys):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(300, 2)), rng.normal(30, 0.1, size=(8, 2))])
    np.savetxt(here / "clump.csv", X, delimiter=",", header="a,b", comments="")
    assert main(["outliers", "clump.csv", "--components", "2"]) == 0
    assert "check: small groups (component 1: 2.6 % of the rows)" in capsys.readouterr().out
    asked = ["--components", "2", "--smallest-group", "0.05", "--json"]
    assert main(["outliers", "clump.csv", *asked]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["small_groups"] == [1]
    assert {row["row"] for row in document["rows"]} >= set(range(301, 309))


def test_columns_with_the_names_of_ours_are_kept(here):
    rng = np.random.default_rng(0)
    np.savetxt(here / "x.csv", rng.normal(size=(50, 2)), delimiter=",", header="outlier,b")
    text = (here / "x.csv").read_text().removeprefix("# ")
    (here / "x.csv").write_text(text)
    assert main(["outliers", "x.csv", "--components", "1", "-o", "out.csv", "-q"]) == 0
    assert list(table((here / "out.csv").read_text())[0])[:4] == ["row", "outlier", "b", "outlier_"]


def test_parquet_is_written_by_the_ending(geyser, model, here):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert main(["outliers", geyser, "--model", model, "-o", "out.parquet", "-q"]) == 0
    read = parquet.read_table(here / "out.parquet")
    assert read.num_rows == 274
    assert read["eruptions"].null_count == 1
    assert str(read.schema.field("outlier").type) == "int64"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--contamination", "0.1", "--false-alarm-rate", "0.1"], 2, "both set the threshold"),
        (["--contamination", "0.7"], 2, "--contamination"),
        (["--noise", "foo"], 2, "--noise must be"),
        (["--model", "none.safetensors"], 1, "none.safetensors"),
        (["--model", "model.safetensors", "--columns", "waiting"], 2, "--columns came"),
        (["--model", "model.safetensors", "--families", "VVV"], 2, "options of a fit came"),
        (["-o", "out.txt"], 2, "must end in .csv or .parquet"),
        (["-o", "nowhere/out.csv"], 1, "does not exist"),
        (["-o", "model.safetensors.csv"], 2, "would be overwritten"),
        (["--components", "0"], 2, "--components must be"),
    ],
)
def test_what_cannot_be_done_is_said(options, code, words, geyser, model, here, capsys):
    (here / "model.safetensors.csv").write_text("mine")
    assert main(["outliers", geyser, *options]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
    assert (here / "model.safetensors.csv").read_text() == "mine"


def test_a_model_of_other_columns_is_named(here, model, capsys):
    (here / "other.csv").write_text("a,b\n1,2\n3,4\n")
    assert main(["outliers", "other.csv", "--model", model]) == 1
    assert "The model needs the columns 'eruptions', 'waiting'." in capsys.readouterr().err


# ---- sample --------------------------------------------------------------------------------------


def test_random_rows_have_the_columns_and_the_distribution_of_the_model(model, capsys):
    assert main(["sample", model, "4000", "--seed", "3"]) == 0
    rows = table(capsys.readouterr().out)
    assert list(rows[0]) == ["eruptions", "waiting", "component"]
    X = np.array([[float(row["eruptions"]), float(row["waiting"])] for row in rows])
    labels = np.array([int(row["component"]) for row in rows])
    mixture = load_model(model).mixture
    for k, weight in enumerate(mixture.weights):
        share, own = (labels == k).mean(), X[labels == k]
        assert abs(share - weight) < 5 * np.sqrt(weight / 4000)
        spread = np.sqrt(np.diag(mixture.covariance.dense()[k]) / len(own))
        assert (np.abs(own.mean(axis=0) - mixture.means[k]) < 5 * spread).all()
    assert set(labels.tolist()) == {-1, 0, 1}
    assert (np.diff(labels) < 0).sum() > 500  # in random order


def test_the_seed_and_the_component_are_options(model, capsys):
    def drawn(*options: str) -> str:
        assert main(["sample", model, "20", *options]) == 0
        return capsys.readouterr().out

    assert drawn() == drawn("--seed", "0") != drawn("--seed", "1")
    assert {row["component"] for row in table(drawn("--component", "1"))} == {"1"}
    assert {row["component"] for row in table(drawn("--component", "-1"))} == {"-1"}
    document = json.loads(drawn("--json"))
    assert document["n_rows"] == len(document["rows"]["waiting"]) == 20


def test_rows_are_written_to_a_file_that_other_commands_read(model, here, capsys):
    pytest.importorskip("pyarrow")
    assert main(["sample", model, "300", "-o", "drawn.parquet"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["outliers", "drawn.parquet", "--model", model, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n_rows"] == 300
    assert main(["sample", model, "300", "-o", "drawn.parquet"]) == 2
    assert "would be overwritten" in capsys.readouterr().err


def test_known_classes_are_named(here, faithful, capsys):
    labels = np.where(faithful[:, 0] > 3, "long", "short").tolist()
    rows = zip(faithful.tolist(), labels, strict=True)
    text = "\n".join(["eruptions,waiting,kind", *(f"{a},{b},{kind}" for (a, b), kind in rows)])
    (here / "kinds.csv").write_text(text + "\n")
    fit = ["--labels", "kind", "--components", "2", "--families", "EEE", "-q", "-o", "out"]
    assert main(["fit", "kinds.csv", *fit]) == 0
    capsys.readouterr()
    assert main(["sample", "out/model.safetensors", "50"]) == 0
    drawn = table(capsys.readouterr().out)
    assert {(row["component"], row["class"]) for row in drawn} == {("0", "long"), ("1", "short")}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["model.safetensors", "0"], 2, "Must be >= 1"),
        (["model.safetensors", "many"], 2, "many"),
        (["model.safetensors", "2.5"], 2, "a whole number such as 3, but got '2.5'"),
        (["model.safetensors", "5", "--seed", "1.7"], 2, "a whole number such as 3"),
        (["model.safetensors", "5", "-o", "-"], 2, "'-' is standard input"),
        (["model.safetensors"], 2, "requires an argument"),
        (["none.safetensors", "5"], 1, "none.safetensors"),
        (["model.safetensors", "5", "--component", "2"], 2, "from 0 to 1, or -1 for the noise"),
        (["model.safetensors", "5", "-o", "rows.xlsx"], 2, "must end in .csv or .parquet"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments, code, words, model, capsys):
    assert main(["sample", *arguments]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
