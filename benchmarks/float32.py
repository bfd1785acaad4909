"""How much time do float32 data save, and how much accuracy do they cost?

    python benchmarks/float32.py [--quick] [--threads 2] [--output FOLDER]

The same rows and the same start, once as float32 and once as float64. The float64 rows are the
float32 rows converted, so that only the arithmetic differs. Seconds per iteration are measured as
in iteration.py, after a check that both have the same log-likelihood to a relative 1e-5.

The errors are those of float32 against float64 after 1 and after 20 plain iterations: on the rows
as they are, on rows moved by a thousand standard deviations, and on rows whose covariances have
condition number 1e6. Errors of the log-likelihood and the weights are relative; those of the means
are in standard deviations of the component; those of the covariances are relative in the worst
direction, that is the largest ``|eigenvalue - 1|`` of ``L^-1 S32 L^-T`` with ``S64 = L L'`` (at
condition number 1e6 about 1e-10 of this is rounding of the measure itself). If float32 stops
earlier because the likelihood no longer rises, both are compared after that many iterations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.linalg import solve_triangular

from frame.clock import seconds_per_iteration
from frame.contenders import assert_equal_likelihood, iterations_of, mixtura, problem, start_at
from frame.machine import thread_limit
from frame.page import Floor, Page, Table, dots, lines, parser
from mixtura.backends import backend_named
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.sources import ArraySource

SPEED = [
    (1_000_000, 2, 10),
    (500_000, 8, 8),
    (200_000, 16, 32),
    (200_000, 32, 16),
    (50_000, 64, 64),
]
ERRORS = [(200_000, 2, 10), (200_000, 8, 8), (100_000, 16, 16), (100_000, 32, 8), (50_000, 64, 8)]
QUICK = [(20_000, 2, 3), (4_000, 8, 8)]
ITERATIONS = (1, 20)
OFFSET = 1e3
CONDITION = 1e6
SINGLE = 1e-5
"""Largest relative difference of the log-likelihoods: a distance sums d products in float32, each
rounded by up to 6e-8, and the exponential adds about as much again.
"""

RATIO = "float64 / float32"
FLOOR = Floor(RATIO, 1.6)
ERROR_HEADS = ("log-likelihood", "weights", "means", "covariances")


# ---- speed ---------------------------------------------------------------------------------------


def speed(page: Page, shapes: list[tuple[int, int, int]]) -> Table:
    """Seconds per iteration of both, and how close each is to its own limit."""
    heads = {"rows": "d", "d": "d", "K": "d", "float64 s": ".4f", "float32 s": ".4f", RATIO: ".2f"}
    table = page.table(
        "Speed, full covariance (VVV)",
        heads | {"% of dgemm limit": ".0f", "% of sgemm limit": ".0f", "floors": ""},
    )
    for n, d, K in shapes:
        X, start = problem(n, d, K)
        single = X.astype(np.float32)
        double = single.astype(np.float64)
        wide, narrow = (
            mixtura(double, start, page.arguments.threads),
            mixtura(single, start, page.arguments.threads),
        )
        assert_equal_likelihood(double, wide, narrow, within=SINGLE)
        dgemm, sgemm = page.product(), page.product(np.float32)
        runs = {
            "wide": iterations_of(wide),
            "narrow": iterations_of(narrow),
            "dgemm": dgemm,
            "sgemm": sgemm,
        }
        taken = seconds_per_iteration(runs, page.repeats)
        limits = dgemm.limit(n, d, K, taken["dgemm"]), sgemm.limit(n, d, K, taken["sgemm"])
        ratio = taken["wide"] / taken["narrow"]
        verdict = page.check(
            f"d = {d}", *([(FLOOR, ratio)] if d >= 8 and not page.arguments.quick else [])
        )
        shares = (100 * limits[0] / taken["wide"], 100 * limits[1] / taken["narrow"])
        table.add(n, d, K, taken["wide"], taken["narrow"], ratio, *shares, verdict)
    return table


# ---- errors --------------------------------------------------------------------------------------


class Case(NamedTuple):
    """Rows whose float64 values are exact in float32, and a start."""

    name: str
    rows: np.ndarray
    start: Mixture


def cases(n: int, d: int, K: int) -> list[Case]:
    """The rows as they are, far from the origin, and with a large condition number."""
    X, start = problem(n, d, K)
    spread = np.geomspace(1.0, 1.0 / np.sqrt(CONDITION), d)
    turn, _ = np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))
    narrow = spread[:, None] * turn
    ridge = Mixture(
        start.weights, start.means @ narrow, Dense(np.stack([2.0 * narrow.T @ narrow] * K), K)
    )
    moved = start_at(start.means + OFFSET)
    return [
        Case("as they are", _rounded(X), start),
        Case(f"moved by {OFFSET:g}", _rounded(X + OFFSET), moved),
        Case(f"condition {CONDITION:g}", _rounded(X @ narrow), ridge),
    ]


def _rounded(X: np.ndarray) -> np.ndarray:
    return X.astype(np.float32).astype(np.float64)


def errors(case: Case, threads: int, iterations: int) -> tuple[int, float, float, float, float]:
    """Iterations run by float32, and its errors: log-likelihood, weights, means, covariances."""
    single = case.rows.astype(np.float32)
    outcome = mixtura(single, case.start, threads)(iterations)
    narrow, wide = (
        outcome.mixture(),
        mixtura(case.rows, case.start, threads)(outcome.n_iter).mixture(),
    )
    ours, truth = narrow.covariance.dense(), wide.covariance.dense()
    assert (np.linalg.eigvalsh(ours) > 0).all(), "a variance is negative"
    deviations = np.sqrt(np.diagonal(truth, axis1=1, axis2=2))
    likelihoods = [
        backend_named("native", threads)
        .moments(ArraySource(rows), mixture, Scatter.TRACE)
        .log_likelihood
        for rows, mixture in ((single, narrow), (case.rows, wide))
    ]
    return (
        outcome.n_iter,
        abs(likelihoods[0] / likelihoods[1] - 1),
        float(np.abs(narrow.weights / wide.weights - 1).max()),
        float(np.abs((narrow.means - wide.means) / deviations).max()),
        max(worst_direction(a, b) for a, b in zip(ours, truth, strict=True)),
    )


def worst_direction(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest relative error of the variance along any direction."""
    factor = np.linalg.cholesky(truth)
    half = solve_triangular(factor, found, lower=True)
    return float(np.abs(np.linalg.eigvalsh(solve_triangular(factor, half.T, lower=True)) - 1).max())


def error_table(page: Page, shapes: list[tuple[int, int, int]]) -> Table:
    """The table of errors: all cases at all shapes."""
    table = page.table(
        "Error of float32 against float64",
        {"rows": "d", "d": "d", "K": "d", "data": "", "iterations": "d"}
        | dict.fromkeys(ERROR_HEADS, ".1e"),
    )
    for shape in shapes:
        for case in cases(*shape):
            for iterations in ITERATIONS:
                table.add(*shape, case.name, *errors(case, page.arguments.threads, iterations))
    return table


# ---- the page ------------------------------------------------------------------------------------


def draw(fast: Table, wrong: Table, figure: Figure) -> None:
    """Plot the ratio of the times on the left, the errors on the right."""
    left, right = figure.subplots(1, 2)
    d = fast.column("d")
    lines(left, d, {RATIO: fast.column(RATIO)}, log="x")
    left.axhline(FLOOR.bound, color="black", linewidth=1, linestyle=":", label="floor")
    left.set(xlabel="columns d", ylabel="seconds in float64 / seconds in float32", ylim=(0, None))
    last = wrong.rows[len(ITERATIONS) - 1 :: len(ITERATIONS)]
    names = list(dict.fromkeys(str(row[3]) for row in last))
    labels = [f"d = {row[1]}" for row in last if row[3] == names[0]]
    dots(
        right,
        labels,
        {
            name: [float(row[-1] or 0.0) or np.nan for row in last if row[3] == name]
            for name in names
        },
    )
    right.set_xlabel(f"largest relative error of a variance after {ITERATIONS[-1]} iterations")


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        fast = speed(page, QUICK if arguments.quick else SPEED)
        wrong = error_table(page, QUICK if arguments.quick else ERRORS)
        page.note("No variance was negative in any of these runs.")
        page.picture(lambda figure: draw(fast, wrong, figure))


if __name__ == "__main__":
    main()
