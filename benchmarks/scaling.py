"""How do the seconds of one EM iteration grow with rows, columns, components and threads?

    python benchmarks/scaling.py [--quick] [--threads 2] [--output FOLDER]

Full covariance, float64; seconds per iteration as in iteration.py. Before anything is timed, two
iterations of ours must have the same likelihood as scikit-learn's where that is timed too, and the
same likelihood as the NumPy backend on the first rows everywhere; for any number of threads they
must agree to the last bit. scikit-learn is left out where one of its iterations would take long.

The number of components grows on clustered data: centres twenty standard deviations apart on a
grid, rows in random order. k-means would converge there at once, so it starts from rows drawn at
random; a dash means that it converged too early nevertheless.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from frame.clock import seconds_per_iteration
from frame.contenders import (
    SHORT,
    assert_equal_likelihood,
    em_without_rule,
    iterations_of,
    lloyd,
    mixtura,
    problem,
    scikit_learn,
    start_at,
)
from frame.machine import flops, memory, thread_limit
from frame.page import Floor, Page, Table, lines, parser
from mixtura.backends import backend_named, processors
from mixtura.distribution.mixture import Mixture

ROWS = [10_000, 100_000, 1_000_000, 10_000_000]
ROWS_AT = (8, 8)
COPIES = 6
"""Copies of the data that drawing it and k-means need at the same time; sizes for which memory
does not suffice are left out.
"""
COLUMNS = [1, 2, 4, 8, 16, 32, 64]
COMPONENTS_AT_COLUMNS = 8
FLOPS_AT_COLUMNS = 7e8
COMPONENTS = [2, 3, 10, 30, 100, 300, 1000]
CLUSTERED_IN = (2, 8)
CLUSTERED_ROWS = 200_000
THREADED = [
    (1_000_000, 2, 3),
    (500_000, 8, 8),
    (200_000, 16, 32),
    (200_000, 32, 16),
    (50_000, 64, 64),
]

APART = 20.0
BUDGET = 4.0
"""Seconds for each contender and row of a table; there are many rows."""

SCIKIT_LEARN_WITHIN = 4e6
"""Largest rows x components for scikit-learn: about half a second an iteration at d = 8."""

REFERENCE_WITHIN = 2e6
"""Largest rows x components for the NumPy backend."""

EFFICIENCY = "efficiency %"
EFFICIENCY_FLOOR = Floor(EFFICIENCY, 90.0)
HEADS = {
    "rows": "d",
    "d": "d",
    "K": "d",
    "mixtura s": ".5f",
    "scikit-learn s": ".4f",
    "Lloyd s": ".5f",
}
RATIOS = {
    "scikit-learn / mixtura": ".1f",
    "mixtura / Lloyd": ".1f",
    "% of limit": ".0f",
    "ns per row and component": ".2f",
}


# ---- problems ------------------------------------------------------------------------------------


def clustered(n: int, d: int, K: int) -> tuple[np.ndarray, Mixture]:
    """Rows from Gaussians with identity covariance at points of a grid, APART from each other, and
    a start half a standard deviation away from the centres.
    """
    rng = np.random.default_rng(n + d + K)
    side = int(np.ceil(K ** (1 / d) - 1e-9))
    grid = np.stack(
        np.unravel_index(rng.choice(side**d, K, replace=False), (side,) * d), axis=1
    ).astype(float)
    X = APART * grid[rng.integers(K, size=n)] + rng.standard_normal((n, d))
    return X, start_at(APART * grid + rng.normal(0, 0.5 / np.sqrt(d), (K, d)))


def columns_shape(d: int, quick: bool) -> tuple[int, int, int]:
    """A shape with d columns and rows for the same number of flops, at most half a million."""
    n = FLOPS_AT_COLUMNS / flops(1, d, COMPONENTS_AT_COLUMNS)
    return int(min(n, 5e5) / (100 if quick else 1)), d, COMPONENTS_AT_COLUMNS


# ---- tables --------------------------------------------------------------------------------------


def row(
    page: Page, table: Table, X: np.ndarray, start: Mixture, converges_at_once: bool = False
) -> None:
    """Add the row of one problem: all contenders; where they would converge at once, EM runs
    without a stopping rule and k-means from rows drawn at random.
    """
    (n, d), K, threads = X.shape, start.n_components, page.arguments.threads
    own = em_without_rule if converges_at_once else mixtura
    ours = own(X, start, threads)
    theirs = scikit_learn(X, start) if n * K <= SCIKIT_LEARN_WITHIN else None
    few = X[: max(int(REFERENCE_WITHIN / K), 5 * d * K)]
    assert_equal_likelihood(
        few, own(few, start, threads), own(few, start, 1, backend=backend_named("reference"))
    )
    assert_equal_likelihood(X, ours, theirs)
    k_means_start = (
        start_at(X[np.random.default_rng(K).choice(n, K, replace=False)])
        if converges_at_once
        else start
    )
    runs = {"mixtura": iterations_of(ours), "Lloyd": lloyd(X, k_means_start)} | (
        {"peer": iterations_of(theirs)} if theirs else {}
    )
    product = page.product()
    taken = {"peer": float("nan")} | seconds_per_iteration(
        runs | {"dgemm": product}, page.repeats, budget=BUDGET
    )
    limit = product.limit(n, d, K, taken["dgemm"])
    mine, peer, means = taken["mixtura"], taken["peer"], taken["Lloyd"]
    table.add(
        n,
        d,
        K,
        mine,
        peer,
        means,
        peer / mine,
        mine / means,
        100 * limit / mine,
        1e9 * mine / (n * K),
    )


def threads_table(page: Page, shapes: list[tuple[int, int, int]], counts: list[int]) -> None:
    """The table of threads: seconds on one and on more, and the efficiency. Results must agree to
    the last bit.
    """
    heads = (
        {"rows": "d", "d": "d", "K": "d"}
        | {f"{count} threads s": ".5f" for count in counts}
        | {EFFICIENCY: ".0f"}
    )
    table = page.table("Threads", heads | {"floors": ""})
    for n, d, K in shapes:
        X, start = problem(n, d, K)
        contenders = {count: mixtura(X, start, count) for count in counts}
        first, *others = [contender(SHORT).mixture() for contender in contenders.values()]
        assert all(
            (other.covariance.values == first.covariance.values).all() for other in others
        ), "the number of threads changed the result"
        taken = seconds_per_iteration(
            {str(count): iterations_of(run) for count, run in contenders.items()}, page.repeats
        )
        seconds = [taken[str(count)] for count in counts]
        efficiency = 100 * counts[0] * seconds[0] / (counts[-1] * seconds[-1])
        floor = (
            [(EFFICIENCY_FLOOR, efficiency)]
            if d >= 8 and counts == [1, 2] and not page.arguments.quick
            else []
        )
        table.add(n, d, K, *seconds, efficiency, page.check(f"{n}/{d}/{K}", *floor))


def counts_of_threads() -> list[int]:
    """1, 2, 4 ... up to the number of processors."""
    return [2**i for i in range(processors().bit_length())]


# ---- the page ------------------------------------------------------------------------------------


def draw(panels: dict[str, tuple[Table, str]], figure: Figure) -> None:
    """Plot the seconds per iteration against rows, columns and components."""
    for axes, (title, (table, head)) in zip(
        figure.subplots(2, 2).flat, panels.items(), strict=True
    ):
        who = {name: table.column(f"{name} s") for name in ("mixtura", "scikit-learn", "Lloyd")}
        lines(axes, table.column(head), who)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set(
            xlabel={"rows": "rows", "d": "columns d", "K": "components K"}[head],
            ylabel="seconds of one iteration",
        )


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    quick = arguments.quick
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        panels = {}
        panels["rows, d = K = 8"] = by_rows, _ = page.table("Rows", HEADS | RATIOS), "rows"
        for n in ROWS[:1] if quick else [n for n in ROWS if COPIES * 8 * n * ROWS_AT[0] < memory()]:
            row(page, by_rows, *problem(n, *ROWS_AT))
        panels["columns, as many rows as make equal work"] = by_columns, _ = (
            page.table("Columns", HEADS | RATIOS),
            "d",
        )
        for d in COLUMNS[:3] if quick else COLUMNS:
            row(page, by_columns, *problem(*columns_shape(d, quick)))
        for d in CLUSTERED_IN:
            title = f"Components on clustered data, d = {d}"
            panels[f"components on clustered data, d = {d}"] = by_components, _ = (
                page.table(title, HEADS | RATIOS),
                "K",
            )
            for K in COMPONENTS[1:3] if quick else COMPONENTS:
                row(
                    page,
                    by_components,
                    *clustered(CLUSTERED_ROWS // (100 if quick else 1), d, K),
                    converges_at_once=True,
                )
        threads_table(page, [(20_000, 8, 8)] if quick else THREADED, counts_of_threads())
        page.picture(lambda figure: draw(panels, figure))


if __name__ == "__main__":
    main()
