"""One name for a component: its label."""

from importlib import resources

import numpy as np
import pytest

from mixtura import GaussianMixture
from mixtura.base.numbering import (
    cluster_name,
    column_name,
    component_name,
    component_names,
    number_of,
    row_name,
    row_number,
    row_numbers,
)
from mixtura.cli import main
from mixtura.estimators.model_file import load_model, save_model

TWO = "x\n" + "".join(f"{value}\n" for value in (*np.linspace(0, 1, 30), *np.linspace(9, 10, 20)))


def test_the_first_component_has_label_zero_in_every_name():
    assert [name(0) for name in (number_of, component_name, cluster_name)] == [
        "0",
        "component 0",
        "cluster 0",
    ]
    assert column_name("probability", np.int64(0)) == "probability_0"
    assert component_names([0, 2, 3, 5, 7]) == "component 0, component 2, component 3 and 2 more"


def test_the_first_row_is_row_one_in_every_name():
    assert (row_number(0), row_name(np.intp(0)), row_name(1233), list(row_numbers(3))) == (
        1,
        "row 1",
        "row 1,234",
        [1, 2, 3],
    )


def test_the_lesson_and_the_explorer_count_rows_alike():
    files = resources.files("mixtura")
    lesson = files.joinpath("learn/static/elements.js").read_text(encoding="utf-8")
    assert "`row ${(i + 1)" in lesson
    assert "Row ${whole(row + 1)}" in files.joinpath("explorer/static/page.js").read_text(
        encoding="utf-8"
    )
    assert 'f"row {i + 1:3}' in files.joinpath("learn/lesson/1-hard-and-soft.md").read_text(
        encoding="utf-8"
    )


def test_the_command_line_names_components_by_the_labels_of_predict(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.csv").write_text(TWO)
    assert main(["fit", "two.csv", "--components", "2", "--families", "VVI", "--merge", "1"]) == 0
    printed = capsys.readouterr().out
    assert "Component 0: 60.0 %, 30 rows" in printed
    assert "Component 1: 40.0 %, 20 rows" in printed
    assert "make 1 cluster (0+1)" in printed
    head, first, *_, last = (tmp_path / "two.mixtura" / "memberships.csv").read_text().splitlines()
    assert head == "row,label,probability_0,probability_1,uncertainty,cluster,cluster_probability_0"
    assert (first.split(",")[1], last.split(",")[1]) == ("0", "1")


@pytest.mark.parametrize("clusters", [[[0, 2], [1]], [[1, 3], [2]]])
def test_clusters_of_early_model_files_which_count_from_one_are_read_as_labels(tmp_path, clusters):
    mixture = GaussianMixture.from_parameters(
        np.full(3, 1 / 3), [[0.0], [1.0], [2.0]], np.ones(3), covariance_type="spherical"
    )
    path = tmp_path / "model.safetensors"
    save_model(
        path, mixture.mixture_, family="VII", feature_names=["x"], metadata={"clusters": clusters}
    )
    assert load_model(path).clusters == [[0, 2], [1]]
