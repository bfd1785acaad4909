"""The examples run as scripts."""

import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image as image
import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "main.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_lesson_is_short():
    assert len(EXAMPLE.read_text().splitlines()) <= 48


def test_the_likelihood_printed_step_by_step_never_falls(run):
    values = [float(value) for value in re.findall(r"log-likelihood\s+(-[\d.]+)", run[1])]
    assert len(values) == 9
    assert values == sorted(values)
    assert values[-1] > values[0] + 100


def test_em_ends_near_the_truth(run):
    last = next(line for line in run[1].splitlines() if line.startswith("  step 200"))
    found = sorted(float(mean) for mean in re.findall(r"at\s+(-?[\d.]+) \+-", last))
    assert found == pytest.approx([0.0, 3.0], abs=0.3)


def test_a_point_between_the_curves_is_in_one_cluster_of_k_means_and_in_both_components(run):
    unsure, *sure = re.findall(
        r"x = +(\S+) +k-means: cluster [01] +mixture: ([\d.]+)% left, ([\d.]+)% right", run[1]
    )
    assert 0.5 < float(unsure[0]) < 2.5
    assert float(unsure[1]) == pytest.approx(50, abs=5)
    assert sorted(float(row[1]) for row in sure) == pytest.approx([0, 100], abs=1)


def test_bic_marks_two_components(run):
    line = next(line for line in run[1].splitlines() if line.startswith("  BIC"))
    marked = [value.endswith("*") for value in line.partition("(")[0].split()[1:]]
    assert marked == [False, True] + [False] * 8


def test_the_picture_is_not_blank(run):
    pixels = image.imread(run[0] / "main.png")
    assert pixels.shape[0] > 500
    assert pixels.shape[1] > 800
    coloured = pixels[..., :3].max(axis=2) - pixels[..., :3].min(axis=2) > 0.3
    assert coloured.mean() > 0.005


def test_the_lesson_is_the_same_every_time(run, tmp_path):
    again = subprocess.run(
        [sys.executable, EXAMPLE], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert again.stdout == run[1]


@pytest.mark.slow
def test_the_program_of_the_readme_prints_its_stated_results():
    root = EXAMPLE.parents[1]
    (code,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert len(code.splitlines()) <= 12
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for sentence in (
        "Best by BIC: EEE with 3 components, 2314.",
        "Runner-up: EEE with 4 components",
        "3 components make 2 clusters (",
    ):
        assert sentence in done.stdout
