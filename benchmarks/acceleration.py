"""How many iterations and seconds to within 1e-8 of the optimum, with SQUAREM and by plain EM?

    python benchmarks/acceleration.py [--quick] [--starts 4] [--output FOLDER]

Overlapping mixtures; medians over the starts. Both run from the same start until the
log-likelihood no longer rises in double precision; the lower of the two final values is taken as
the optimum. Starts from which the two end at different optima are left out of the medians and
counted in the last column. An iteration is one pass over the rows, including those after which an
extrapolated step was rejected. One thread.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from frame.page import Page, Table, dots, parser
from mixtura.backends import backend_named
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.em.em import em
from mixtura.em.stopping import SmallChange
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import KMeansStart, RandomRows
from mixtura.model.fit_result import FitResult
from mixtura.model.moments import Moments
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
MAX_ITERATIONS = 30_000
NEAR = 1e-8
"""Distance of the log-likelihood from the optimum at which iterations are counted."""

SAME_OPTIMUM = 0.01
"""Two fits whose total log-likelihoods differ by less are at the same optimum, as in mixtura."""


def normal(seed: int, n: int, d: int) -> np.ndarray:
    """n rows of N(0, I) in d columns."""
    return np.random.default_rng(seed).standard_normal((n, d))


def overlapping(n: int, d: int, K: int, apart: float) -> np.ndarray:
    """K groups of n rows with centres on the first axis, ``apart`` standard deviations between
    neighbours.
    """
    return np.concatenate([normal(k, n, d) + np.eye(d)[0] * (k * apart) for k in range(K)])


def problems() -> dict[str, tuple[np.ndarray, int, str]]:
    """Name -> rows, K, family."""
    faithful = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    return {
        "Old Faithful, VVV 3": (faithful, 3, "VVV"),
        "Old Faithful, EEE 4": (faithful, 4, "EEE"),
        "Old Faithful, VEV 4": (faithful, 4, "VEV"),
        "two 2 apart, d = 2, VVV": (overlapping(2000, 2, 2, 2.0), 2, "VVV"),
        "three 2.5 apart, d = 5, VVI": (overlapping(1000, 5, 3, 2.5), 3, "VVI"),
        "three 2.5 apart, d = 5, EVE": (overlapping(1000, 5, 3, 2.5), 3, "EVE"),
        "five 3 apart, d = 10, EEE": (overlapping(4000, 10, 5, 3.0), 5, "EEE"),
    }


def to_reach(fit: FitResult, seconds: float, optimum: float) -> tuple[int, float]:
    """Iterations until the trace is within NEAR of the optimum, and the seconds they took."""
    reached = int(np.argmax(np.asarray(fit.trace) >= optimum - NEAR))
    return reached, seconds * reached / max(fit.n_iter, 1)


def timed(
    dataset: Dataset, start: Moments, family: str, accelerated: bool
) -> tuple[FitResult, float]:
    """A fit until the log-likelihood no longer rises in double precision, and its seconds."""
    begin = time.perf_counter()
    fit = em(
        Problem(dataset, FAMILIES[family], Regularisation(dataset.floor)),
        start,
        stopping=SmallChange(0.0),
        max_iter=MAX_ITERATIONS,
        accelerated=accelerated,
        judge=False,
    )
    return fit, time.perf_counter() - begin


def row(table: Table, name: str, X: np.ndarray, K: int, family: str, starts: int) -> None:
    """Add the row of one problem, fitted from all starts."""
    dataset = Dataset(ArraySource(X), backend_named("auto", 1))
    iterations, seconds, elsewhere = [], [], 0
    for seed in range(starts):
        draw = RandomRows() if seed % 2 else KMeansStart()
        start = draw(dataset, K, np.random.default_rng(seed))
        runs = [timed(dataset, start, family, accelerated) for accelerated in (False, True)]
        ends = [fit.trace[-1] for fit, _ in runs]
        if abs(ends[0] - ends[1]) > SAME_OPTIMUM:
            elsewhere += 1
            continue
        reached = [to_reach(fit, spent, min(ends)) for fit, spent in runs]
        iterations.append([count for count, _ in reached])
        seconds.append([spent for _, spent in reached])
    plain, fast = np.median(iterations, axis=0) if iterations else (np.nan, np.nan)
    slow_s, fast_s = np.median(seconds, axis=0) if seconds else (np.nan, np.nan)
    table.add(
        name, plain, fast, plain / fast, slow_s, fast_s, slow_s / fast_s, f"{elsewhere} of {starts}"
    )


def picture(table: Table, figure: Figure) -> None:
    """Plot the iterations of both."""
    axes = figure.subplots()
    dots(
        axes,
        [str(row[0]) for row in table.rows],
        {"plain": table.column("iterations plain"), "SQUAREM": table.column("SQUAREM")},
    )
    axes.set_xlabel(f"passes over the rows until within {NEAR:g} of the optimum")


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__, threads=1)
    options.add_argument("--starts", type=int, default=4)
    arguments = options.parse_args()
    formats = (".0f", ".0f", ".1f", ".3f", ".3f", ".1f")
    heads = (
        "iterations plain",
        "SQUAREM",
        "ratio",
        "seconds plain",
        "SQUAREM s",
        "ratio of seconds",
    )
    with Page(__file__, __doc__, arguments) as page:
        columns = {"problem": ""} | dict(zip(heads, formats, strict=True)) | {"other optimum": ""}
        table = page.table("To within 1e-8 of the optimum", columns)
        chosen, starts = list(problems().items()), arguments.starts
        if arguments.quick:
            chosen, starts = chosen[:2], 2
        for name, problem in chosen:
            row(table, name, *problem, starts)
        page.picture(lambda figure: picture(table, figure))


if __name__ == "__main__":
    main()
