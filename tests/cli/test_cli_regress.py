"""``mixtura regress`` and ``mixtura condition`` as a user sees them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from conftest import read_truth
from mixtura import GaussianMixture, Mixture, MixtureRegressor, load
from mixtura.cli import main
from mixtura.estimators.model_file import load_model, save_model

FAITHFUL = str(Path(__file__).parents[2] / "examples" / "old_faithful.csv")
QUICK = ("--components", "2", "--families", "VVV", "--starts", "1")
REGRESS = ("regress", FAITHFUL, "--target", "waiting", *QUICK)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(here) -> str:
    """The certified optimum of Old Faithful with two free Gaussians, as a model file."""
    optimum = next(
        one
        for one in read_truth("certified.json")["fits"]
        if (one["dataset"], one["model"], one["G"]) == ("faithful", "VVV", 2)
    )
    parameters = (np.array(optimum[name], dtype=np.float64) for name in ("pro", "mean", "cov"))
    names = ("eruptions", "waiting")
    save_model(
        "joint.safetensors",
        Mixture.from_parameters(*parameters),
        family="VVV",
        feature_names=names,
    )
    return "joint.safetensors"


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def ran(*arguments, code=0):
    """Standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main([str(word) for word in arguments]) == code, err.getvalue()
    return out.getvalue(), err.getvalue()


def write(path, text):
    Path(path).write_text(text)
    return path


# ---- regress: by a fit ---------------------------------------------------------------------------


def test_old_faithful_is_predicted_as_in_python(here, faithful):
    out, err = ran(*REGRESS, "--quantiles", "0.05,0.5,0.95")
    rows = table(out)
    assert list(rows[0]) == [
        "row",
        "waiting",
        "waiting_std",
        "waiting_q05",
        "waiting_q50",
        "waiting_q95",
    ]
    fit = GaussianMixture(2, n_init=1, random_state=0)
    python = MixtureRegressor(fit).fit(faithful[:, :1], faithful[:, 1])
    mean, std, quantiles = python.predict(faithful[:, :1], True, [0.05, 0.5, 0.95])
    np.testing.assert_allclose(column(rows, "waiting"), mean, atol=0.01)  # two ends of EM
    np.testing.assert_allclose(column(rows, "waiting_std"), std, atol=0.01)
    np.testing.assert_allclose(column(rows, "waiting_q05"), quantiles[:, 0], atol=0.02)
    np.testing.assert_allclose(column(rows, "waiting_q50"), quantiles[:, 1], atol=0.02)
    assert "waiting given eruptions: VVV with 2 components, fitted to 272 rows; R2" in err
    found = float(err.split("R2 of these rows ")[1])
    assert found == pytest.approx(python.score(faithful[:, :1], faithful[:, 1]), abs=1e-3)


def test_rows_without_the_target_are_predicted_and_not_fitted(here):
    lines = Path(FAITHFUL).read_text().splitlines()
    cut = [line if i < 200 else line.split(",")[0] + "," for i, line in enumerate(lines)]
    write("some.csv", "\n".join(cut))
    write("known.csv", "\n".join(lines[:200]))
    some, err = ran("regress", "some.csv", "--target", "waiting", *QUICK)
    known, _ = ran("regress", "known.csv", "--target", "waiting", *QUICK)
    assert "fitted to 199 rows" in err
    assert some.splitlines()[:200] == known.splitlines()
    assert len(table(some)) == 272


def test_a_row_without_inputs_has_the_distribution_of_the_targets(here):
    lines = Path(FAITHFUL).read_text().splitlines()
    write("holes.csv", "\n".join([lines[0], "," + lines[1].split(",")[1], *lines[2:]]))
    arguments = ("holes.csv", "--target", "waiting", *QUICK, "--save-model", "joint.safetensors")
    out, err = ran("regress", *arguments)
    assert "no value at all: the answer for them is the distribution of the targets" in err
    waiting = load("joint.safetensors").mixture_.marginal("waiting")
    np.testing.assert_allclose(column(table(out), "waiting")[0], waiting.mean()[0], rtol=1e-12)


def test_a_row_is_predicted_by_the_inputs_it_has(here):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200))
    y = a + 2 * b + rng.standard_normal(200) / 10
    rows = [[f"{value:.6f}" for value in row] for row in zip(a, b, y, strict=True)]
    rows[3][1], rows[4][0], rows[4][1] = "", "", ""
    write("data.csv", "a,b,y\n" + "\n".join(map(",".join, rows)))
    out, _ = ran("regress", "data.csv", "--target", "y", "--components", "1")
    found = table(out)
    assert float(found[3]["y_std"]) > 10 * float(found[0]["y_std"])
    assert float(found[4]["y"]) == pytest.approx(y.mean(), abs=0.1)
    assert float(found[4]["y_std"]) == pytest.approx(y.std(), rel=0.05)
    assert found[4]["note"].startswith("no value in any input")
    assert found[0]["note"] == found[3]["note"] == ""


def test_weights_several_targets_and_chosen_inputs(here):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 3))
    w = rng.integers(1, 3, 60)
    rows = [
        f"{a:.17g},{b:.17g},{c:.17g},{n},{i % 7}"
        for i, ((a, b, c), n) in enumerate(zip(X, w, strict=True))
    ]
    write("data.csv", "a,b,c,n,other\n" + "\n".join(rows))
    arguments = ("--weights", "n", "--columns", "b", "--components", "1", "--families", "VVV")
    out, err = ran("regress", "data.csv", "--target", "c", "--target", "a", *arguments)
    found = table(out)
    python = MixtureRegressor(GaussianMixture(1)).fit(X[:, [1]], X[:, [2, 0]], sample_weight=w)
    mean, std = python.predict(X[:, [1]], True)
    for j, name in enumerate("ca"):
        np.testing.assert_allclose(column(found, name), mean[:, j], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(column(found, f"{name}_std"), std[:, j], rtol=1e-9)
    assert "c, a given b" in err


def test_json_has_everything_and_the_file_has_the_table(here):
    out, _ = ran(*REGRESS, "--json", "-o", "out.csv", "--save-model", "joint.safetensors")
    document = json.loads(out)
    assert document["inputs"] == ["eruptions"]
    assert document["targets"] == ["waiting"]
    assert document["quantiles"] == {"q05": 0.05, "q95": 0.95}
    assert (document["family"], document["n_components"]) == ("VVV", 2)
    assert document["n_rows"] == document["n_answered"] == document["n_fitted"] == 272
    rows = table(Path("out.csv").read_text())
    np.testing.assert_array_equal(column(rows, "waiting_q95"), document["waiting_q95"])
    again, _ = ran("regress", FAITHFUL, "--target", "waiting", "--model", "joint.safetensors")
    assert again == Path("out.csv").read_text()
    assert load("joint.safetensors").feature_names_in_.tolist() == ["eruptions", "waiting"]
    assert load_model("joint.safetensors").metadata["targets"] == ["waiting"]


def test_the_default_has_components_in_which_targets_follow_inputs(here):
    out, _ = ran("regress", FAITHFUL, "--target", "waiting", "--max-components", "2", "--json")
    document = json.loads(out)
    assert document["family"] in ("EEE", "VVV")
    assert document["n_components"] <= 2


def test_quiet_prints_the_table_alone(here):
    out, err = ran(*REGRESS, "--quiet")
    assert err == ""
    assert len(table(out)) == 272


# ---- regress: by a model -------------------------------------------------------------------------


def test_a_model_predicts_any_of_its_columns(model):
    write("new.csv", "other,eruptions\nx,2\nx,3\nx,4\n")
    out, err = ran("regress", "new.csv", "--target", "waiting", "--model", model)
    truth = read_truth("regression_faithful.json")
    np.testing.assert_allclose(column(table(out), "waiting"), truth["mean"], atol=1e-6)
    assert "VVV with 2 components" in err
    write("turned.csv", "waiting\n60\n")
    out, _ = ran("regress", "turned.csv", "--target", "eruptions", "--model", model)
    joint = load_model(model).mixture
    expected = joint.condition([1], [60.0]).mean()[0]
    assert float(table(out)[0]["eruptions"]) == pytest.approx(expected, rel=1e-12)


def test_cells_that_cannot_be_read_have_no_answer_and_a_reason(model):
    write("new.csv", "eruptions\n2\noops\n3\n\n4\n")
    out, err = ran("regress", "new.csv", "--target", "waiting", "--model", model)
    rows = table(out)
    assert rows[1]["waiting"] == rows[1]["waiting_q05"] == ""
    assert rows[1]["note"] == "'eruptions' is 'oops'"
    assert float(rows[0]["waiting"]) == pytest.approx(54.249582, abs=1e-6)
    assert "warning: 1 of" in err
    document = json.loads(
        ran("regress", "new.csv", "--target", "waiting", "--model", model, "--json")[0]
    )
    assert document["waiting"][1] is None
    assert document["n_answered"] == document["n_rows"] - 1


def test_inputs_of_a_model_may_be_chosen(here):
    joint = Mixture.from_parameters(
        [1.0], [[0.0, 0.0, 0.0]], [[[1, 0.5, 0.2], [0.5, 1, 0.1], [0.2, 0.1, 1]]]
    )
    save_model("m.safetensors", joint, family="VVV", feature_names=("a", "b", "y"))
    write("new.csv", "a\n2\n")
    out, _ = ran(
        "regress", "new.csv", "--target", "y", "--model", "m.safetensors", "--columns", "a"
    )
    assert float(table(out)[0]["y"]) == pytest.approx(0.4)
    assert (
        out
        == ran("regress", "new.csv", "--target", "y", "--model", "m.safetensors", "--drop", "b")[0]
    )
    _, err = ran("regress", "new.csv", "--target", "y", "--model", "m.safetensors", code=1)
    assert "no column is called 'b'" in err
    assert "The inputs of the model are 'a', 'b'" in err


# ---- regress: misuse -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("regress", FAITHFUL), 2, "--target"),
        ((*REGRESS, "--target", "waiting"), 2, "same column twice"),
        ((*REGRESS, "--columns", "waiting,eruptions"), 2, "a column has one use"),
        ((*REGRESS, "--drop", "waiting"), 2, "--target and --drop both name 'waiting'"),
        ((*REGRESS, "--quantiles", "5,95"), 2, "between 0 and 1"),
        ((*REGRESS, "-o", "nowhere/out.csv"), 1, "its folder 'nowhere' does not exist"),
        ((*REGRESS, "--save-model", "."), 2, "--save-model must be a file, but '.' is a folder"),
        ((*REGRESS, "--quantiles", "some"), 2, "between 0 and 1"),
        ((*REGRESS, "--model", "m", "--weights", "w"), 2, "--model has a mixture already"),
        (("regress", FAITHFUL, "--target", "wating"), 1, "did you mean 'waiting'?"),
        (("regress", "nowhere.csv", "--target", "y"), 1, "nowhere.csv: No such file"),
        ((*REGRESS, "--save-model", "-"), 2, "'-' is standard input"),
        ((*REGRESS, "--target", "eruptions"), 1, "no column is left"),
        ((*REGRESS, "--drop", "eruptions"), 1, "at least one column of numbers"),
        (("regress", "flat.csv", "--target", "y"), 1, "the same value in every row"),
        (("regress", "empty.csv", "--target", "y"), 1, "there is none"),
        (("regress", "text.csv", "--target", "y"), 1, "column 'y' must hold numbers"),
    ],
)
def test_misuse_of_regress_says_what_to_do(here, arguments, code, words):
    write("flat.csv", "x,y\n1,5\n2,5\n3,5\n4,5\n")
    write("empty.csv", "x,y\n1,\n2,\n3,\n4,\n")
    write("text.csv", "x,y\n1,red\n2,blue\n3,red\n4,blue\n")
    _, err = ran(*arguments, code=code)
    assert words in err
    assert err.startswith("mixtura: ") or "\nmixtura: " in err
    assert not any(path.suffix == ".safetensors" for path in here.iterdir())


def test_a_model_without_the_target_or_other_columns_is_refused(model):
    _, err = ran("regress", FAITHFUL, "--target", "wating", "--model", model, code=1)
    assert "Did you mean 'waiting'?" in err
    both = ("--target", "waiting", "--target", "eruptions")
    _, err = ran("regress", FAITHFUL, *both, "--model", model, code=2)
    assert "no column of the model is left to predict from" in err


def test_nothing_is_overwritten_without_force(here):
    write("out.csv", "mine")
    write("m.safetensors", "mine")
    for option, path in (("-o", "out.csv"), ("--save-model", "m.safetensors")):
        _, err = ran(*REGRESS, option, path, code=2)
        assert f"{path} would be overwritten" in err
        assert Path(path).read_text() == "mine"
    ran(*REGRESS, "-o", "out.csv", "--save-model", "m.safetensors", "--force")
    assert len(table(Path("out.csv").read_text())) == 272
    load_model("m.safetensors")


# ---- condition -----------------------------------------------------------------------------------


def test_the_conditional_mixture_of_old_faithful_is_printed(model):
    truth = read_truth("regression_faithful.json")
    out, err = ran("condition", model, "--given", "eruptions=3")
    assert err == ""
    assert out.startswith("waiting given eruptions = 3\n")
    for weight in truth["weights_at_3"]:
        assert f"{100 * weight:.1f} %" in out
    assert f"{truth['mean'][1]:.1f}" in out
    document = json.loads(ran("condition", model, "--given", "eruptions=3", "--json")[0])
    assert document["mean"]["waiting"] == pytest.approx(truth["mean"][1], abs=1e-6)
    weights = [part["weight"] for part in document["components"]]
    np.testing.assert_allclose(sorted(weights), sorted(truth["weights_at_3"]), atol=1e-7)
    joint = load_model(model).mixture
    at = joint.condition([0], [3.0])
    assert document["sd"]["waiting"] == pytest.approx(at.std()[0], rel=1e-12)
    assert document["quantiles"]["waiting"] == {
        name: pytest.approx(at.ppf(level), rel=1e-12)
        for name, level in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95))
    }
    assert document["given"] == {"eruptions": 3.0}


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "tied_diag", "t"])
def test_a_conditional_mixture_is_a_model_file(here, kind):
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((2, 3, 3))
    full = roots @ roots.transpose(0, 2, 1) + np.eye(3)
    covariances = {
        "full": full,
        "t": full,
        "tied": full[0],
        "diag": np.einsum("kjj->kj", full),
        "spherical": np.array([1.0, 2.0]),
        "tied_diag": np.array([1.0, 2.0, 3.0]),
    }[kind]
    joint = Mixture.from_parameters(
        [0.4, 0.6],
        rng.standard_normal((2, 3)),
        covariances,
        covariance_type="full" if kind == "t" else kind,
        degrees_of_freedom=5.0 if kind == "t" else None,
    )
    family = {"full": "VVV", "t": "VVV", "tied": "EEE", "diag": "VVI"}
    family |= {"spherical": "VII", "tied_diag": "EEI"}
    names = ("a", "b", "c")
    save_model("m.safetensors", joint, family=family[kind], feature_names=names)
    out, _ = ran("condition", "m.safetensors", "--given", "b=0.5", "-o", "c.safetensors")
    assert "Wrote c.safetensors" in out
    loaded = load("c.safetensors")
    rows = rng.standard_normal((10, 2))
    expected = joint.condition([1], [0.5]).logpdf(rows)
    np.testing.assert_allclose(loaded.mixture_.logpdf(rows), expected, rtol=1e-12)
    assert loaded.n_components == 2
    assert loaded.feature_names_in_.tolist() == ["a", "c"]
    ran("condition", "c.safetensors", "--given", "c=0.1")
    _, err = ran("condition", "m.safetensors", "--given", "b=1", "-o", "c.safetensors", code=2)
    assert "would be overwritten" in err


def test_noise_and_tails_are_shown(here, faithful):
    import mixtura

    model = GaussianMixture(2, noise="box", n_init=1, random_state=0).fit(faithful)
    mixtura.save(model, "m.safetensors")
    out, _ = ran("condition", "m.safetensors", "--given", "x0=3")
    assert "Noise: " in out
    document = json.loads(ran("condition", "m.safetensors", "--given", "x0=3", "--json")[0])
    weights = sum(part["weight"] for part in document["components"])
    assert weights + document["noise_weight"] == pytest.approx(1.0)
    tails = mixtura.StudentTMixture(1, random_state=0).fit(faithful)
    mixtura.save(tails, "t.safetensors")
    out, _ = ran("condition", "t.safetensors", "--given", "x0=3")
    assert "degrees of freedom" in out


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ((), 2, "--given"),
        (("--given", "eruptions"), 2, "a column and a number, such as eruptions=3.5"),
        (("--given", "eruptions=long"), 2, "but got 'eruptions=long'"),
        (("--given", "eruptions=3", "--given", "eruptions=4"), 2, "names 'eruptions' twice"),
        (("--given", "eruption=3"), 1, "Did you mean 'eruptions'?"),
        (("--given", "eruptions=nan"), 1, "must be finite"),
        (("--given", "eruptions=3", "--given", "waiting=70"), 1, "at least one column"),
    ],
)
def test_misuse_of_condition_says_what_to_do(model, given, code, words):
    _, err = ran("condition", model, *given, code=code)
    assert words in err


def test_a_value_without_any_density_is_a_note(model):
    out, err = ran("condition", model, "--given", "eruptions=1e200")
    assert "note: " in err
    assert "100.0 %" in out
