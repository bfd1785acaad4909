"""How far from the optimum does the default stopping rule end, on slow, overlapping problems?

    python benchmarks/stopping.py [--quick] [--starts 12] [--output FOLDER]

Plain EM, one thread. Each fit that reports convergence is continued with a tolerance of 1e-7. The
log-likelihood gained by this is what the default rule left; the largest value over the starts
counts. The rule promises at most 0.01. A fit that ends at a saddle point or with copies of a
component reports that instead, and the promise does not apply.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from frame.page import Floor, Page, Table, dots, parser
from mixtura.backends import backend_named
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import KMeansStart, RandomResponsibilities, RandomRows
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

LEFT = "worst left"
PROMISE = Floor(LEFT, 0.01, at_most=True)
FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"


def normal(seed: int, n: int, d: int) -> np.ndarray:
    """n rows of N(0, I) in d columns."""
    return np.random.default_rng(seed).standard_normal((n, d))


def problems() -> dict[str, tuple[np.ndarray, int, str]]:
    """Name -> rows, K, family."""
    faithful = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    return {
        "Old Faithful, VVV 3": (faithful, 3, "VVV"),
        "Old Faithful, VVV 4": (faithful, 4, "VVV"),
        "Old Faithful, EEE 4": (faithful, 4, "EEE"),
        "one Gaussian as three, d = 1": (normal(0, 2000, 1), 3, "VVV"),
        "one Gaussian as two, d = 1": (normal(7, 500, 1), 2, "VVV"),
        "one Gaussian as four, d = 2": (normal(1, 1000, 2), 4, "VVV"),
        "one Gaussian as three, d = 5, VVI": (normal(5, 3000, 5), 3, "VVI"),
        "two 1.5 apart, d = 2": (
            np.concatenate([normal(2, 1000, 2), normal(3, 1000, 2) + np.array([1.5, 0])]),
            2,
            "VVV",
        ),
        "0.25 and 0.75, 1.5 apart, d = 1": (
            np.concatenate([normal(0, 250, 1), 1.5 + normal(1, 750, 1)]),
            2,
            "VVV",
        ),
    }


def row(
    page: Page, table: Table, name: str, X: np.ndarray, K: int, family: str, starts: int
) -> None:
    """Add the row of one problem, fitted from all starts."""
    dataset = Dataset(ArraySource(X), backend_named("auto", 1))
    regularisation = Regularisation(dataset.floor)
    kinds = [RandomRows(), RandomResponsibilities(), KMeansStart()]
    left, iterations, outcomes = [], [], dict[str, int]()
    for seed in range(starts):
        start = kinds[seed % len(kinds)](dataset, K, np.random.default_rng(seed))
        fit = em(Problem(dataset, FAMILIES[family], regularisation), start, max_iter=20_000)
        outcomes[fit.stop.name] = outcomes.get(fit.stop.name, 0) + 1
        iterations.append(fit.n_iter)
        if fit.converged:
            further = em(
                Problem(dataset, FAMILIES[family], regularisation),
                fit,
                stopping=RemainingGain(1e-7),
                max_iter=40_000,
            )
            left.append(further.trace[-1] - fit.trace[-1])
    worst = max(left, default=float("nan"))
    ends = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    verdict = page.check(name, *([(PROMISE, worst)] if left else []))
    table.add(name, worst, float(np.median(iterations)), max(iterations), ends, verdict)


def draw(table: Table, figure: Figure) -> None:
    """Plot the largest log-likelihood left, and the promise."""
    axes = figure.subplots()
    dots(axes, [str(row[0]) for row in table.rows], {LEFT: table.column(LEFT)})
    axes.axvline(PROMISE.bound, color="black", linewidth=1, linestyle=":")
    axes.set_xlabel("log-likelihood left to gain, the worst of the starts (dotted: the promise)")


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__, threads=1)
    options.add_argument("--starts", type=int, default=12)
    arguments = options.parse_args()
    heads = {
        "problem": "",
        LEFT: ".4f",
        "median iterations": ".0f",
        "most": "d",
        "outcomes": "",
        "promise": "",
    }
    with Page(__file__, __doc__, arguments) as page:
        table = page.table("Default rule", heads)
        chosen, starts = list(problems().items()), arguments.starts
        if arguments.quick:
            chosen, starts = chosen[:1], 2
        for name, problem in chosen:
            row(page, table, name, *problem, starts)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
