"""The plain loop, the selector, the explorer and the command choose the same K."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import three_round_clusters
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.cli import main
from mixtura.inputs.reading import read_table

FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"
KS = range(1, 11)


def three_long_clusters() -> np.ndarray:
    """100 rows in each of three parallel groups, fifteen times as long as they are wide."""
    rng = np.random.default_rng(0)
    return np.concatenate(
        [rng.standard_normal((100, 2)) * [6.0, 0.4] + [0.0, 3.0 * i] for i in range(3)]
    )


def old_faithful() -> np.ndarray:
    return read_table(FAITHFUL).numeric()[0]


def the_loop(X: np.ndarray) -> int:
    """The K with the lowest BIC over fits of each K."""
    return min(KS, key=lambda K: GaussianMixture(K, random_state=0).fit(X).bic(X))


def the_selector(X: np.ndarray) -> int:
    return (
        GaussianMixtureSelector(KS, families=["VVV"], random_state=0)
        .fit(X)
        .selection_.best.n_components
    )


def the_explorer(X: np.ndarray) -> int:
    """The lowest BIC of the page's curve among the fits that are an answer."""
    pytest.importorskip("starlette", reason="the extra 'explore' is not installed")
    from mixtura.explorer import views
    from mixtura.explorer.runs import RunCache, RunSettings
    from mixtura.explorer.table import OpenedTable

    runs = RunCache(OpenedTable(X, ("a", "b"), "x.csv"))
    curve = [
        views.run_view(runs.run(RunSettings(K, "VVV", 0))) for K in range(1, views.CURVE_K + 1)
    ]
    return min((point for point in curve if point["eligible"]), key=lambda point: point["bic"])[
        "components"
    ]


# Far above the true K the warning is expected.
@pytest.mark.filterwarnings("ignore:The best of all fits has:mixtura.base.errors.DegenerateWarning")
@pytest.mark.parametrize(
    ("rows", "K"),
    [(three_round_clusters, 3), (three_long_clusters, 3), (old_faithful, 2)],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_all_choose_the_same_number_of_components(rows, K, tmp_path, capsys):
    X = rows()
    np.savetxt(tmp_path / "x.csv", X, delimiter=",", header="a,b", comments="", fmt="%.17g")
    assert (
        main(
            [
                "fit",
                str(tmp_path / "x.csv"),
                "--families",
                "VVV",
                "--output",
                str(tmp_path / "out"),
                "--json",
            ]
        )
        == 0
    )
    the_command = json.loads(capsys.readouterr().out)["best"]["n_components"]
    assert {
        "command": the_command,
        "loop": the_loop(X),
        "selector": the_selector(X),
        "explorer": the_explorer(X),
    } == {
        "command": K,
        "loop": K,
        "selector": K,
        "explorer": K,
    }
