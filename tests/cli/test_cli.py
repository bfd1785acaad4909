"""The command line as a user sees it: output, files and errors."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from mixtura import __version__
from mixtura.base.errors import DataWarning
from mixtura.cli import RESULT_FILES, main
from mixtura.estimators.model_file import load_model
from mixtura.inputs.reading import read_table

EXAMPLES = Path(__file__).parents[2] / "examples"
FAITHFUL = str(EXAMPLES / "old_faithful.csv")
QUICK = ("--components", "2", "--families", "EEE")


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def mixtura(*arguments: str, **options) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        "import sys; from mixtura.cli import main; sys.exit(main())",
        *arguments,
    ]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def old_faithful(tmp_path_factory):
    """The full selection on Old Faithful, run once: its folder, its JSON document."""
    folder = tmp_path_factory.mktemp("faithful") / "out"
    stdout, sys.stdout = sys.stdout, io.StringIO()
    try:
        assert main(["fit", FAITHFUL, "--output", str(folder), "--json"]) == 0
        return folder, json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = stdout


@pytest.fixture
def fitted(here, capsys):
    """A quick fit of Old Faithful in the current folder."""
    assert main(["fit", FAITHFUL, *QUICK, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    return here / "old_faithful.mixtura"


# ---- fit -----------------------------------------------------------------------------------------


def test_old_faithful_is_three_equal_ellipsoids_as_in_mclust(old_faithful):
    _, document = old_faithful
    best = document["best"]
    assert (best["family"], best["n_components"], best["n_parameters"]) == ("EEE", 3, 11)
    assert best["log_likelihood"] == pytest.approx(-1126.316, abs=0.01)
    assert best["bic"] == pytest.approx(2314.296, abs=0.02)
    assert best["converged"]
    assert document["runner_up"]["bic"] > best["bic"]


def test_all_files_are_written_and_agree(old_faithful):
    folder, document = old_faithful
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(RESULT_FILES)
    X = read_table(FAITHFUL).numeric()[0]
    written = np.loadtxt(folder / "memberships.csv", delimiter=",", skiprows=1)
    probabilities = written[:, 2:5]
    model = load_model(folder / "model.safetensors")
    assert np.array_equal(probabilities, model.mixture.posterior(X))
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-12
    assert np.array_equal(written[:, 0], np.arange(1, 273))
    assert np.array_equal(written[:, 1], probabilities.argmax(axis=1))
    assert np.array_equal(written[:, 5], 1 - probabilities.max(axis=1))
    assert model.mixture.log_density(X).sum() == pytest.approx(
        document["best"]["log_likelihood"], rel=1e-12
    )
    assert model.metadata["best"] == document["best"]
    assert all(
        (folder / name).read_bytes().startswith(b"\x89PNG")
        for name in ("criteria.png", "clusters.png")
    )


def test_candidates_are_written_best_first_with_reasons(old_faithful):
    folder, document = old_faithful
    rows = table((folder / "candidates.csv").read_text())
    assert len(rows) == len(document["candidates"]) >= 60
    eligible = [float(row["bic"]) for row in rows if row["eligible"] == "True"]
    assert eligible == pytest.approx(
        sorted(eligible), rel=1e-12
    )  # those that differ by rounding keep the order of the grid
    assert all(row["reason"] for row in rows if row["eligible"] == "False")


def test_json_describes_the_components(old_faithful):
    _, document = old_faithful
    components = document["components"]
    assert sum(component["weight"] for component in components) == pytest.approx(1)
    assert sum(component["n_rows"] for component in components) == 272
    assert sum(component["n_unsure"] for component in components) == document["n_unsure"]
    assert {tuple(component["mean"]) for component in components} == {("eruptions", "waiting")}


def test_components_come_by_falling_weight_in_every_output(old_faithful):
    folder, document = old_faithful
    weights = [component["weight"] for component in document["components"]]
    assert weights == sorted(weights, reverse=True)
    assert load_model(folder / "model.safetensors").mixture.weights.tolist() == weights
    for cell in document["best"]["certificate"]["components"]:
        assert cell["weight"] == weights[cell["component"]]


def test_the_certificate_of_convergence_is_printed_and_kept_in_the_model(old_faithful):
    folder, document = old_faithful
    certificate = document["best"]["certificate"]
    assert certificate["holds"]
    assert certificate["verdict"].startswith(
        "The certificate of convergence holds: the gradient is "
    )
    assert certificate["safety"] * certificate["remaining_gain"] < certificate["tolerance"] == 0.01
    assert [part["component"] for part in certificate["components"]] == [0, 1, 2]
    assert load_model(folder / "model.safetensors").certificate == certificate


def test_the_printed_summary_is_complete(here, capsys):
    assert (
        main(
            ["fit", str(EXAMPLES / "banknote.csv"), "--components", "1:2", "--families", "EEE,vvv"]
        )
        == 0
    )
    out, err = capsys.readouterr()
    for words in (
        "200 rows; 6 columns used: Length, Left, Right, Bottom, Top, Diagonal",
        "left out: label, because it is not numeric (line 2 has 'genuine')",
        "The best of 4 candidates by BIC (lower is better)",
        "Best by BIC: VVV with 2 components, ",
        "ellipsoids, each of its own; log-likelihood -",
        "of EM; converged: ",
        "The certificate of convergence holds: the gradient is ",
        "Runner-up: EEE with 2 components, ",
        "very strong evidence for the winner (Kass & Raftery 1995)",
        "Other criteria choose: ",
        "2 is the largest number of components tried; more may be better (--max-components 4).",
        "Component 1: ",
        " ± ",
        "rows are unsure: their largest probability is below 0.9",
        "Wrote banknote.mixtura/memberships.csv",
    ):
        assert words in out
    assert "\x1b" not in out
    assert err == ""


def test_one_column_is_tried_with_equal_and_varying_size_only(here, capsys):
    assert main(["fit", str(EXAMPLES / "acidity.csv"), "--components", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["family"] for row in document["candidates"]] == ["EII", "VII"]
    assert document["best"]["bic"] == pytest.approx(392.07, abs=0.02)


def test_a_point_mass_is_a_group_and_described(here, capsys):
    Path("data.csv").write_text("x\n" + "0\n1\n5\n" * 30)
    assert (
        main(["fit", "data.csv", "--components", "1,2", "--families", "VII", "--criterion", "aic"])
        == 0
    )
    out = capsys.readouterr().out
    assert "Best by AIC: VII with 2 components" in out
    assert "30 rows have exactly the value 5; its density is limited by the recorded step." in out


def test_a_spurious_component_is_reported(here, capsys):
    rows = [*np.random.default_rng(0).standard_normal(60).tolist(), 20.0, 20.5, 21.0]
    Path("data.csv").write_text("x\n" + "".join(f"{x}\n" for x in rows))
    assert main(["fit", "data.csv", "--components", "2", "--families", "VII"]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"Spurious: component 1: [\d.]+ effective parameters on 3.0 rows: chance can place such a "
        r"component",
        out,
    )


def test_failed_candidates_name_the_columns(here, capsys):
    rng = np.random.default_rng(0)
    rows = "".join(f"{a},{b},{a + b}\n" for a, b in rng.integers(0, 99, (50, 2)).tolist())
    Path("data.csv").write_text("weight,height,sum\n" + rows)
    assert main(["fit", "data.csv", "--components", "1", "--families", "VVV,VVI"]) == 0
    out = capsys.readouterr().out
    assert (
        "1 of 2 candidates could not be fitted: VVV with 1. For example, VVV with 1 component: "
        "column 'weight', column 'he" in out
    )


def test_the_seed_decides_and_the_threads_do_not(here, capsys):
    documents = []
    for threads in ("1", "2"):
        assert (
            main(
                ["fit", FAITHFUL, *QUICK, "--seed", "7", "--threads", threads, "--json", "--force"]
            )
            == 0
        )
        documents.append(capsys.readouterr().out)
    assert documents[0] == documents[1]


def test_columns_with_a_comma_in_their_name_can_be_chosen(here, capsys):
    Path("data.csv").write_text(
        '"a, b",c,d\n' + "".join(f"{i**0.5},{i % 5},{i * i % 37}\n" for i in range(40))
    )
    assert (
        main(
            [
                "fit",
                "data.csv",
                "--columns",
                '"a, b",d',
                "--components",
                "1",
                "--families",
                "VVI",
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["columns"] == ["a, b", "d"]


def test_full_runs_from_a_number_of_starts(here, capsys):
    assert main(["fit", FAITHFUL, *QUICK, "--starts", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["converged"]


def test_a_warning_becomes_one_note_on_stderr(here, capsys, monkeypatch):
    from mixtura.selection import settings as selection_settings

    def select(*arguments, **options):
        for _ in range(2):
            warnings.warn("first line\nsecond line", DataWarning, stacklevel=1)
        return original(*arguments, **options)

    original = selection_settings.select
    monkeypatch.setattr(selection_settings, "select", select)
    assert main(["fit", FAITHFUL, *QUICK, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "note: first line second line\n"
    assert json.loads(out)["n_rows"] == 272


# ---- analyses after the selection ----------------------------------------------------------------


def test_all_criteria_of_all_candidates_are_in_one_table(old_faithful):
    from mixtura.model.criteria import CRITERIA, NEC

    folder, document = old_faithful
    rows = table((folder / "criteria.csv").read_text())
    assert len(rows) == len(document["candidates"]) == len(document["criteria"])
    assert set(rows[0]) >= {*CRITERIA, NEC, "family", "n_components", "eligible", "notes"}
    assert float(rows[0]["bic"]) == document["best"]["bic"]
    assert document["choices"]["bic"] == {"family": "EEE", "n_components": 3}
    assert document["sentences"][0].startswith("Best by BIC: EEE with 3 components")


@pytest.mark.parametrize(
    ("criterion", "options"), [("aicc", ()), ("icl-entropy", ()), ("CV", ("--folds", "2"))]
)
def test_any_criterion_may_decide(here, capsys, criterion, options):
    assert (
        main(
            [
                "fit",
                FAITHFUL,
                "--components",
                "1,2",
                "--families",
                "EEE",
                "--criterion",
                criterion,
                *options,
                "--json",
            ]
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    name = criterion.lower().replace("-", "_")
    assert document["criterion"] == name
    assert document["best"][name] == min(row[name] for row in document["candidates"])


def test_folds_add_the_cross_validation_whatever_decides(here, capsys):
    assert main(["fit", FAITHFUL, *QUICK, "--folds", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["criteria"][0]["cv"] > 2000


def test_restrictions_of_the_fit_are_used_and_written_to_its_json(here, capsys):
    options = ("--prior", "conjugate", "--equal-weights", "--eigenvalue-ratio", "1000")
    assert main(["fit", FAITHFUL, *QUICK, *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    settings = {
        "folds": None,
        "prior": "conjugate",
        "equal_weights": True,
        "noise": None,
        "eigenvalue_ratio": 1000.0,
        "n_init": None,
    }
    assert document["settings"] == settings
    assert [component["weight"] for component in document["components"]] == [0.5, 0.5]
    assert load_model("old_faithful.mixtura/model.safetensors").metadata["settings"] == settings


def test_the_bootstrap_says_how_certain_the_choice_is(here, capsys):
    arguments = [
        "fit",
        FAITHFUL,
        "--components",
        "1,2",
        "--families",
        "EEE",
        "--bootstrap",
        "3",
        "--force",
    ]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["bootstrap"]
    assert found["n_resamples"] == 3
    assert found["shares_of_k"] == {"1": 0, "2": 1}
    assert found["winners"] == [{"family": "EEE", "n_components": 2, "share": 1}]
    assert main(arguments) == 0
    assert found["sentence"] in capsys.readouterr().out


def test_standard_errors_are_a_table_a_file_and_json(here, capsys):
    arguments = ["fit", FAITHFUL, *QUICK, "--errors", "information", "--level", "0.9", "--force"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "Standard errors (information) and 90 % intervals" in out
    assert "mean[waiting]" in out
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    first = document["errors"]["parameters"][0]
    assert (first["component"], first["parameter"]) == (0, "weight")
    assert first["low"] < first["estimate"] == document["components"][0]["weight"] < first["high"]
    assert document["errors"]["parameters"][-1]["component"] == "all"
    rows = table(Path("old_faithful.mixtura/errors.csv").read_text())
    assert [float(row["se"]) for row in rows] == [
        row["se"] for row in document["errors"]["parameters"]
    ]


def test_refits_for_the_errors_are_counted(here, capsys):
    assert (
        main(["fit", FAITHFUL, *QUICK, "--errors", "weighted", "--replicates", "5", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["errors"]["parameters"][0]["se"] > 0


def test_errors_that_are_refused_leave_the_fit(here, capsys):
    Path("data.csv").write_text("x\n" + "0\n1\n5\n" * 30)
    assert (
        main(
            ["fit", "data.csv", "--components", "2", "--families", "VII", "--errors", "information"]
        )
        == 0
    )
    out = capsys.readouterr().out
    refused = (
        "the rows do not determine 1 component(s) (component 1: its covariance is at the floor)"
    )
    assert f"No standard errors (information): {refused}" in out
    assert Path("data.mixtura/model.safetensors").exists()
    assert not Path("data.mixtura/errors.csv").exists()


@pytest.mark.parametrize(("merge", "clusters"), [("elbow", 2), ("1", 1), ("9", 3)])
def test_merged_clusters_come_into_report_memberships_and_model(here, capsys, merge, clusters):
    assert (
        main(
            ["fit", FAITHFUL, "--components", "3", "--families", "EEE", "--merge", merge, "--json"]
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    merging = document["merging"]
    assert merging["n_clusters"] == len(merging["clusters"]) == clusters
    assert sorted(k for cluster in merging["clusters"] for k in cluster) == [0, 1, 2]
    assert ("3 components make" in merging["sentence"]) == (
        "9 clusters were requested" not in merging["sentence"]
    ) or merge == "9"
    folder = Path("old_faithful.mixtura")
    assert (folder / "merging.png").stat().st_size > 5000
    rows = table((folder / "memberships.csv").read_text())
    for row in rows[:5]:
        whole = [
            sum(float(row[f"probability_{k}"]) for k in cluster) for cluster in merging["clusters"]
        ]
        assert [float(row[f"cluster_probability_{g}"]) for g in range(clusters)] == pytest.approx(
            whole
        )
        assert int(row["cluster"]) == np.argmax(whole)
    assert load_model(folder / "model.safetensors").clusters == merging["clusters"]
    assert main(["predict", str(folder / "model.safetensors"), FAITHFUL]) == 0
    assert capsys.readouterr().out == (folder / "memberships.csv").read_text()


def test_a_column_of_few_values_is_reported(here, capsys):
    Path("data.csv").write_text(
        "x,noise,label\n" + "".join(f"{i**0.5},{i % 2},{i % 3}\n" for i in range(40))
    )
    assert main(["fit", "data.csv", "--components", "1", "--families", "VVI"]) == 0
    out, err = capsys.readouterr()
    assert "left out: label, because it is a label by its name and its whole numbers" in err
    assert "name it among the columns (--columns)" in err
    assert "check: noise: 5 different values or fewer" in out
    assert (
        main(
            [
                "fit",
                "data.csv",
                "--components",
                "1",
                "--families",
                "VVI",
                "--columns",
                "x,label",
                "--force",
            ]
        )
        == 0
    )
    assert "2 columns used: x, label" in capsys.readouterr().out


def test_a_constant_column_that_is_asked_for_is_refused(here, capsys):
    Path("data.csv").write_text("x,y\n" + "".join(f"{i},7\n" for i in range(40)))
    assert main(["fit", "data.csv", "--columns", "x,y"]) == 1
    assert_one_clean_paragraph(
        capsys, "'y' has the same value in every row. Leave it out (--drop)."
    )


def test_files_of_an_earlier_fit_do_not_stay_beside_a_later_one(here, capsys):
    assert (
        main(["fit", FAITHFUL, *QUICK, "--errors", "information", "--merge", "1", "--quiet"]) == 0
    )
    folder = Path("old_faithful.mixtura")
    for name in RESULT_FILES:
        (folder / name).unlink()
    assert main(["fit", FAITHFUL, *QUICK]) == 2
    assert (
        "errors.csv, old_faithful.mixtura/merging.png would be overwritten"
        in capsys.readouterr().err
    )
    assert main(["fit", FAITHFUL, *QUICK, "--force", "--quiet"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(RESULT_FILES)


# ---- test ----------------------------------------------------------------------------------------

TEST = ("test", FAITHFUL, "--family", "EII", "--replicates", "19", "--starts", "1")


def test_likelihood_ratio_tests_are_a_table_a_sentence_and_json(here, capsys):
    assert main([*TEST, "--most", "1"]) == 0
    out = capsys.readouterr().out
    assert "Is one more component worth it? EII, likelihood ratio tests" in out
    assert (
        "At least 2 components: each smaller number tested is rejected at level 0.05. Test more of "
        "them." in out
    )
    assert main([*TEST, "--most", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n_components"] == 2
    assert [
        (row["n_components"], row["p_value"], row["replicates"]) for row in document["tests"]
    ] == [(1, 0.05, 19)]
    assert document["interrupted"] is False
    assert list(here.iterdir()) == []


def test_ctrl_c_keeps_the_tests_that_are_done(here, capsys, monkeypatch):
    from mixtura.selection import likelihood_ratio

    def run(*arguments, **options):
        def stop(test):
            arguments[-1](test)
            raise KeyboardInterrupt

        return original(*arguments[:-1], stop, **options)

    original = likelihood_ratio.run_tests
    monkeypatch.setattr(likelihood_ratio, "run_tests", run)
    assert main([*TEST, "--json"]) == 130
    document = json.loads(capsys.readouterr().out)
    assert document["interrupted"] is True
    assert len(document["tests"]) == 1


# ---- files that exist ----------------------------------------------------------------------------


def test_a_second_run_refuses_to_overwrite_and_changes_nothing(fitted, capsys):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in fitted.iterdir()}
    assert main(["fit", FAITHFUL, *QUICK]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "memberships.csv" in err
    assert "--force" in err
    assert before == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in fitted.iterdir()
    }
    assert main(["fit", FAITHFUL, *QUICK, "--force"]) == 0


def test_a_failed_fit_leaves_no_folder(here, capsys):
    Path("data.csv").write_text("a,b\n1,2\n2,4\n3,6\n")
    assert main(["fit", "data.csv", "--components", "3", "--families", "VVV"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("mixtura: data.csv: No candidate could be fitted")
    assert not Path("data.mixtura").exists()


def test_a_failed_write_leaves_the_old_results(fitted, monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "model.safetensors")

    before = {path.name: path.read_bytes() for path in fitted.iterdir()}
    monkeypatch.setattr("mixtura.estimators.model_file.save_model", fail)
    assert main(["fit", FAITHFUL, *QUICK, "--force"]) == 1
    assert "model.safetensors: No space left on device" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in fitted.iterdir()}


def test_a_failed_picture_leaves_the_new_data_and_no_old_picture(fitted, monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "clusters.png")

    monkeypatch.setattr("mixtura.plots.plot_mixture", fail)
    assert main(["fit", FAITHFUL, "--components", "3", "--families", "EEE", "--force"]) == 1
    assert "clusters.png: No space left on device" in capsys.readouterr().err
    assert not (fitted / "clusters.png").exists()
    assert load_model(fitted / "model.safetensors").mixture.n_components == 3


# ---- what a command waits for --------------------------------------------------------------------


def test_a_fit_of_few_rows_does_without_scikit_learn(here):
    """It takes a second to import; a command that needs it takes it then."""
    code = (
        "import sys; from mixtura.cli import main; code = main(['fit', sys.argv[1]]); "
        "late = {'sklearn', 'pandas', 'scipy.stats'} & set(sys.modules); assert not late, late; "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, FAITHFUL, "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_progress_counts_candidates_and_then_searches(here, capsys, monkeypatch):
    events: list[tuple[float, float, str]] = []

    def follow(self, done, words=None, total=None, of=None):
        events.append((done, total, of))

    monkeypatch.setattr("mixtura.cli.console.Progress.__call__", follow)
    assert main(["fit", FAITHFUL, "--max-components", "4"]) == 0
    candidates = [(done, total) for done, total, of in events if of == "candidates"]
    searches = [(done, total) for done, total, of in events if of == "searches"]
    assert candidates == [(n, 56) for n in range(1, 57)]
    assert [done for done, _ in searches] == list(range(1, len(searches) + 1))
    assert all(done <= total for done, total in searches)
    assert searches[-1][0] == searches[-1][1]


# ---- Ctrl-C --------------------------------------------------------------------------------------


def test_ctrl_c_keeps_the_best_so_far(here, capsys, monkeypatch):
    from mixtura.selection import settings as selection_settings

    selection_of = selection_settings.selection_of

    def interrupted(settings, ks, families, dataset, callback, on_fold):
        def stop_after_three(candidate):
            callback(candidate)
            seen.append(candidate)
            if len(seen) == 3:
                raise KeyboardInterrupt

        seen: list[object] = []
        return selection_of(settings, ks, families, dataset, stop_after_three, on_fold)

    monkeypatch.setattr(selection_settings, "selection_of", interrupted)
    assert main(["fit", FAITHFUL, "--components", "2:4", "--families", "EII,EEE"]) == 130
    out = capsys.readouterr().out
    assert "The best of 6 candidates" in out
    assert re.search(
        r"[123] of 6 candidates were not fitted", out
    )  # cells that run beside the third are kept, too
    assert "Interrupted by Ctrl-C; the results until then are kept." in out
    assert load_model("old_faithful.mixtura/model.safetensors").metadata["interrupted"] is True


def test_ctrl_c_before_any_result_writes_nothing(here, capsys, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mixtura.selection.settings.selection_of", interrupted)
    assert main(["fit", FAITHFUL]) == 130
    assert "interrupted before there was a result; nothing was written" in capsys.readouterr().err
    assert list(here.iterdir()) == []


# ---- pipes ---------------------------------------------------------------------------------------


def test_data_come_from_a_pipe_and_output_goes_into_one(here):
    with mixtura("fit", "-", *QUICK) as process:
        out, err = process.communicate(Path(FAITHFUL).read_bytes(), timeout=120)
    assert process.returncode == 0
    assert err == b""
    assert out.startswith(b"standard input: 272 rows; 2 columns used: eruptions, waiting")
    assert b"\x1b" not in out
    assert Path("stdin.mixtura/model.safetensors").exists()


def test_a_reader_that_stops_reading_is_no_error(here):
    with mixtura("fit", FAITHFUL, *QUICK) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert Path("old_faithful.mixtura/clusters.png").exists()


# ---- predict -------------------------------------------------------------------------------------


def test_predict_gives_the_memberships_of_the_fit(fitted, capsys):
    assert main(["predict", str(fitted / "model.safetensors"), FAITHFUL]) == 0
    assert capsys.readouterr().out == (fitted / "memberships.csv").read_text()


def test_predict_matches_columns_by_name(fitted, capsys):
    rows = table(Path(FAITHFUL).read_text())
    Path("turned.csv").write_text(
        "waiting;extra;eruptions\n" + "".join(f"{r['waiting']};x;{r['eruptions']}\n" for r in rows)
    )
    assert (
        main(["predict", str(fitted / "model.safetensors"), "turned.csv", "--output", "out.csv"])
        == 0
    )
    assert capsys.readouterr().out == ""
    assert Path("out.csv").read_text() == (fitted / "memberships.csv").read_text()


def test_predict_names_the_missing_columns(fitted, capsys):
    Path("other.csv").write_text("Waiting,x\n1,2\n")
    assert main(["predict", str(fitted / "model.safetensors"), "other.csv"]) == 1
    err = capsys.readouterr().err
    assert "no column is called 'eruptions' or 'waiting' (did you mean 'Waiting'?)" in err
    assert "The model needs the columns 'eruptions', 'waiting'." in err


def test_predict_takes_a_single_row_and_prints_json(fitted, capsys):
    Path("one.csv").write_text("eruptions,waiting\n2,50\n")
    assert main(["predict", str(fitted / "model.safetensors"), "one.csv", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n_rows"] == 1
    assert document["probability_0"][0] + document["probability_1"][0] == pytest.approx(1)


def test_predict_does_not_overwrite_without_force(fitted, capsys):
    Path("out.csv").write_text("mine")
    arguments = ["predict", str(fitted / "model.safetensors"), FAITHFUL, "--output", "out.csv"]
    assert main(arguments) == 2
    assert "out.csv would be overwritten" in capsys.readouterr().err
    assert Path("out.csv").read_text() == "mine"
    assert main([*arguments, "--force"]) == 0


def test_predict_refuses_a_model_file_that_was_edited(fitted, capsys):
    path = fitted / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["predict", str(path), FAITHFUL]) == 1
    assert "its SHA-256 does not match" in capsys.readouterr().err


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["predict", FAITHFUL],
            "Give MODEL first, a model.safetensors that 'mixtura fit' wrote, then DATA. Run",
        ),
        (["fit"], "requires an argument. Run 'mixtura fit --help' to see the options."),
        (["fti"], "Run 'mixtura --help' to see"),
        (["fti", FAITHFUL], 'Did you mean "fit"?'),
        (["fit", FAITHFUL, "--jsn"], "Did you mean --json?"),
        (["fit", FAITHFUL, "--components", "0"], "a range (1:10) or a list (2,4,6), but got '0'"),
        (["fit", FAITHFUL, "--components", "5:2"], "got '5:2'"),
        (["fit", FAITHFUL, "--components", "two"], "got 'two'"),
        (["fit", FAITHFUL, "--components", "2", "--max-components", "3"], "give one of them"),
        (["fit", FAITHFUL, "--max-components", "0"], "Must be >= 1"),
        (["fit", FAITHFUL, "--threads", "0"], "Must be >= 1"),
        (["fit", FAITHFUL, "--starts", "x"], "--starts"),
        (["fit", FAITHFUL, "--seed", "-1"], "Must be >= 0"),
        (
            ["fit", FAITHFUL, "--criterion", "bix"],
            "--criterion 'bix' is not known. Did you mean 'bic'? Known: bic, aic,",
        ),
        (["fit", FAITHFUL, "--prior", "flat"], "--prior"),
        (["fit", FAITHFUL, "--eigenvalue-ratio", "0.5"], "Must be >= 1"),
        (["fit", FAITHFUL, "--folds", "1"], "Must be >= 2"),
        (
            ["fit", FAITHFUL, "--merge", "knee"],
            "--merge must be elbow or a number of clusters such as 2, but got 'knee'",
        ),
        (["fit", FAITHFUL, "--errors", "guess"], "--errors"),
        (
            ["fit", FAITHFUL, "--errors", "information", "--replicates", "9"],
            "--replicates counts refits",
        ),
        (
            ["test", FAITHFUL, "--family", "all"],
            "--family must be one family such as VVV, but got 'all'",
        ),
        (
            ["test", FAITHFUL, "--first", "3", "--most", "2"],
            "--most must be at least --first = 3, but got 2",
        ),
        (["test", FAITHFUL, "--replicates", "9"], "Give --replicates 19 or more"),
        (
            ["fit", FAITHFUL, "--families", "EEE,VXV"],
            "--families 'VXV' is not a known family. Did you mean 'VVV'?",
        ),
        (["fit", FAITHFUL, "--output", FAITHFUL], "File exists"),
    ],
)
def test_an_invalid_command_line_ends_with_2(here, capsys, arguments, words):
    assert main(arguments) == 2
    assert_one_clean_paragraph(capsys, words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("a,b\n", "there are none"),
        ("a,b\n1,2\n", "expected at least two rows"),
        ("1,2\n3,4\n", "it holds only numbers"),
        ("a\nx\ny\n", "expected at least one column of numbers"),
        ("a,b\n1,2\n3\n", "line 3 has 1"),
        ("a,b\n1,2\n,\n,\n", "expected at least one column of numbers"),
        ("a,b\n1,2\n3,inf\n5,6\n", "read them as missing values (--na inf)"),
        ("a;b\n1,5;1\n2,5;2\n3.5;3\n", "2 of 3 cells are numbers with a decimal comma, but line 4"),
        ("a,b\n1,1e200\n3,-1e200\n5,6\n", "column 'b' spans about"),
    ],
)
def test_data_that_cannot_be_clustered_end_with_1(here, capsys, content, words):
    Path("data.csv").write_text(content)
    assert main(["fit", "data.csv", *QUICK]) == 1
    assert_one_clean_paragraph(capsys, words)
    assert not Path("data.mixtura").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "nowhere.csv"], "nowhere.csv: No such file or directory"),
        (["fit", "."], "Is a directory"),
        (["fit", FAITHFUL, "--columns", "eruption"], "did you mean 'eruptions'?"),
        (["predict", "nowhere", FAITHFUL], "nowhere: No such file"),
        (["predict", FAITHFUL, FAITHFUL], "expected a model file written by mixtura"),
    ],
)
def test_files_that_cannot_be_used_end_with_1(here, capsys, arguments, words):
    assert main(arguments) == 1
    assert_one_clean_paragraph(capsys, words)


def assert_one_clean_paragraph(capsys, words):
    err = capsys.readouterr().err
    assert words in err
    assert err.startswith("mixtura: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_version_and_help_are_answered(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
    assert main(["--help"]) == 0
    assert "predict" in capsys.readouterr().out
    assert main(["fit", "--help"]) == 0
    assert "--max-components" in capsys.readouterr().out


def test_rows_of_the_noise_have_the_label_minus_one(here, capsys):
    X = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    spread = np.random.default_rng(0).uniform(X.min(axis=0) - 3, X.max(axis=0) + 9, (60, 2))
    rows = np.vstack([X, spread])
    np.savetxt("noisy.csv", rows, delimiter=",", header="eruptions,waiting", comments="")
    arguments = [
        "--components",
        "2",
        "--families",
        "VVV",
        "--merge",
        "1",
        "--errors",
        "information",
    ]
    assert main(["fit", "noisy.csv", "--noise", "auto", *arguments]) == 0
    text = capsys.readouterr().out
    assert "its rows have the label -1" in text
    assert "2 components make 1 cluster" in text
    assert Path("noisy.mixtura/errors.csv").exists()
    written = table(Path("noisy.mixtura/memberships.csv").read_text())
    noise = [row for row in written if row["label"] == "-1"]
    assert 40 <= len(noise) <= 70
    assert all(float(row["probability_noise"]) > 0.3 for row in noise)
    assert [row for row in written if row["cluster"] == "-1"] != []
    assert main(["predict", "noisy.mixtura/model.safetensors", "noisy.csv"]) == 0
    predicted = table(capsys.readouterr().out)
    assert [row["label"] for row in predicted] == [row["label"] for row in written]


@pytest.mark.parametrize("noise", ["-3", "0", "nan", "boxes"])
def test_a_noise_that_is_no_volume_is_refused(here, capsys, noise):
    assert main(["fit", FAITHFUL, "--noise", noise]) == 2
    assert "--noise must be 'box'" in capsys.readouterr().err
