"""How close is one EM iteration to the machine's limit, and how does it compare with others'?

    python benchmarks/iteration.py [--quick] [--threads 2] [--output FOLDER]

All implementations start at the same parameters, away from the optimum. Before anything is timed,
all must have the same log-likelihood after two iterations. Seconds per iteration are (time of 7
iterations - time of 2) / 5, or divided by the number of iterations really run; the median of
interleaved repeats. The limit is ``4 N K P`` flops with ``P = 1 + d + d(d+1)/2``, at the rate of a
matrix product that is timed along with the others. "Lloyd" is one iteration of scikit-learn's
k-means. Float64. Times vary from machine to machine and from run to run: compare the ratios.
"""

from __future__ import annotations

import json

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from frame.clock import seconds_per_iteration
from frame.contenders import (
    ALMOST,
    SAME,
    assert_equal_likelihood,
    iterations_of,
    lloyd,
    mixtura,
    one_dal,
    problem,
    scikit_learn,
)
from frame.fresh import in_fresh_process
from frame.machine import thread_limit
from frame.page import Floor, Page, Table, dots, parser
from mixtura import build_info
from mixtura.backends import backend_named

Shape = tuple[int, int, int]
SHAPES: list[Shape] = [
    (1_000_000, 2, 3),
    (1_000_000, 2, 10),
    (500_000, 8, 8),
    (200_000, 16, 32),
    (200_000, 32, 16),
    (50_000, 64, 64),
]
QUICK: list[Shape] = [(20_000, 2, 3), (4_000, 8, 8)]
FAMILY_SHAPE: Shape = (500_000, 8, 8)
FAMILIES_SHOWN = ("VII", "VVI", "EEE", "EVE", "VVV")
REFERENCE_ROWS = 20_000
"""Rows on which the NumPy backend is the reference."""

BUDGET_PER_LEVEL = 3.0
"""Seconds for each shape and instruction set; less than usual, because the baseline is slow."""

PERCENT, THEIRS, ONEDAL, LLOYD = (
    "% of limit",
    "scikit-learn / mixtura",
    "oneDAL / mixtura",
    "two Lloyd / mixtura",
)
PERCENT_FLOORS = {8: 45.0, 16: 60.0, 32: 60.0, 64: 60.0}
THEIR_FLOORS = dict(zip(SHAPES, (40.0, None, 25.0, 20.0, 10.0, 1.8), strict=True))
ONEDAL_FLOOR = 2.0


def floors(shape: Shape) -> list[Floor]:
    """The floors of a shape, if it has any."""
    if shape not in SHAPES:
        return []
    wanted = [(PERCENT, PERCENT_FLOORS.get(shape[1])), (THEIRS, THEIR_FLOORS[shape])]
    wanted += [(ONEDAL, ONEDAL_FLOOR)] if shape in SHAPES[:4] else []
    return [Floor(what, bound) for what, bound in wanted if bound is not None]


def name_of(n: int, d: int, K: int) -> str:
    """The name of a shape, such as 500k/8/8."""
    rows = f"{n // 1_000_000}M" if n % 1_000_000 == 0 else f"{n // 1000}k"
    return f"{rows}/{d}/{K}"


# ---- against others ------------------------------------------------------------------------------


def against_others(page: Page, shapes: list[Shape]) -> Table:
    """The table of full covariances at every shape."""
    heads = [
        "rows",
        "d",
        "K",
        "dgemm limit s",
        "mixtura s",
        PERCENT,
        "scikit-learn s",
        "oneDAL s",
        "Lloyd s",
    ]
    formats = ["d", "d", "d", ".5f", ".4f", ".0f", ".4f", ".4f", ".4f"]
    ratios = {THEIRS: ".1f", ONEDAL: ".2f", "mixtura / Lloyd": ".1f", "floors": ""}
    table = page.table("Full covariance (VVV)", dict(zip(heads, formats, strict=True)) | ratios)
    for n, d, K in shapes:
        X, start = problem(n, d, K)
        contenders = {
            "mixtura": mixtura(X, start, page.arguments.threads),
            "scikit-learn": scikit_learn(X, start),
            "oneDAL": one_dal(X, start),
        }
        assert_equal_likelihood(X, contenders["mixtura"], contenders["scikit-learn"])
        assert_equal_likelihood(X, contenders["mixtura"], contenders["oneDAL"], within=ALMOST)
        runs = {
            name: iterations_of(contender) for name, contender in contenders.items() if contender
        } | {"Lloyd": lloyd(X, start)}
        product = page.product()
        taken = {"oneDAL": float("nan")} | seconds_per_iteration(
            runs | {"dgemm": product}, page.repeats
        )
        limit = product.limit(n, d, K, taken["dgemm"])
        ours, theirs, onedal, means = (
            taken[name] for name in ("mixtura", "scikit-learn", "oneDAL", "Lloyd")
        )
        measured = {PERCENT: 100 * limit / ours, THEIRS: theirs / ours, ONEDAL: onedal / ours}
        verdicts = page.check(
            name_of(n, d, K), *((floor, measured[floor.what]) for floor in floors((n, d, K)))
        )
        table.add(
            n,
            d,
            K,
            limit,
            ours,
            measured[PERCENT],
            theirs,
            onedal,
            means,
            measured[THEIRS],
            measured[ONEDAL],
            ours / means,
            verdicts,
        )
    return table


def dgemm_rate(page: Page, threads: int) -> float:
    """Flops per second of a matrix product on this number of threads."""
    product = page.product()
    with threadpool_limits(threads):
        return product.rate(seconds_per_iteration({"dgemm": product}, page.repeats)["dgemm"])


# ---- families ------------------------------------------------------------------------------------


def families(page: Page, shape: Shape) -> None:
    """One iteration of some families at one shape, compared with scikit-learn's where it has the
    family, and with two iterations of Lloyd's algorithm.
    """
    columns = {
        "family": "",
        "mixtura s": ".4f",
        "scikit-learn s": ".4f",
        "Lloyd s": ".4f",
        THEIRS: ".1f",
        LLOYD: ".2f",
    }
    table = page.table(f"Families at {name_of(*shape)}", columns | {"floors": ""})
    for family in FAMILIES_SHOWN:
        X, start = problem(*shape, family)
        ours, theirs = (
            mixtura(X, start, page.arguments.threads, family),
            scikit_learn(X, start, family),
        )
        if theirs is None:
            part = X[:REFERENCE_ROWS]
            reference = mixtura(part, start, 1, family, backend_named("reference"))
            assert_equal_likelihood(
                part, mixtura(part, start, page.arguments.threads, family), reference
            )
        assert_equal_likelihood(X, ours, theirs)
        runs = {"mixtura": iterations_of(ours), "Lloyd": lloyd(X, start)}
        taken = seconds_per_iteration(
            runs | ({"scikit-learn": iterations_of(theirs)} if theirs else {}), page.repeats
        )
        peer, two = taken.get("scikit-learn", float("nan")), 2 * taken["Lloyd"] / taken["mixtura"]
        floor = [(Floor(LLOYD, 1.0), two)] if family == "VVI" and shape == FAMILY_SHAPE else []
        table.add(
            family,
            taken["mixtura"],
            peer,
            taken["Lloyd"],
            peer / taken["mixtura"],
            two,
            page.check(f"{family} at {name_of(*shape)}", *floor),
        )


# ---- instruction sets ----------------------------------------------------------------------------


def ours_alone(shapes: list[Shape], threads: int, repeats: int) -> list[tuple[float, float]]:
    """Seconds per iteration and log-likelihood per row at each shape, as a process with another
    instruction set prints them.
    """
    found = []
    for shape in shapes:
        X, start = problem(*shape)
        contender = mixtura(X, start, threads)
        likelihood = assert_equal_likelihood(X, contender)
        found.append(
            (
                seconds_per_iteration(
                    {"mixtura": iterations_of(contender)}, repeats, budget=BUDGET_PER_LEVEL
                )["mixtura"],
                likelihood,
            )
        )
    return found


def instruction_sets(page: Page, shapes: list[Shape]) -> None:
    """The table of instruction sets: each that was built and runs here, in its own process."""
    chosen, built = build_info()["isa"], build_info()["built"].split(", ")
    levels = built[built.index(chosen) :: -1]
    columns = {name_of(*shape) + " s": ".4f" for shape in shapes}
    table = page.table(
        "Instruction sets: seconds of one iteration of ours", {"MIXTURA_ISA": ""} | columns
    )
    expected: list[float] = []
    for level in levels:
        task = {"shapes": shapes, "threads": page.arguments.threads, "repeats": page.repeats}
        found = in_fresh_process(__file__, task, {"MIXTURA_ISA": level})
        likelihoods = [likelihood for _, likelihood in found]
        expected = expected or likelihoods
        assert np.allclose(likelihoods, expected, rtol=SAME, atol=0), (
            f"log-likelihoods of {level}: {likelihoods}, of {levels[0]}: {expected}"
        )
        table.add(level, *(seconds for seconds, _ in found))


# ---- the page ------------------------------------------------------------------------------------


def draw(table: Table, figure: Figure) -> None:
    """Plot the seconds of all in units of the limit."""
    axes = figure.subplots()
    names = [name_of(*row[:3]) for row in table.rows]
    who = ("mixtura", "oneDAL", "scikit-learn")
    dots(
        axes,
        names,
        {name: table.column(f"{name} s") / table.column("dgemm limit s") for name in who},
    )
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set(
        xlabel="seconds of one iteration, in units of the dgemm limit (1 = as fast as a matrix "
        "product)",
        ylabel="rows / d / K",
    )


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    if arguments.task:
        print(json.dumps(ours_alone(**json.loads(arguments.task))))
        return
    shapes = QUICK if arguments.quick else SHAPES
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        rates = [dgemm_rate(page, threads) / 1e9 for threads in (arguments.threads, 1)]
        page.note(
            f"dgemm: {rates[0]:.0f} Gflop/s on {arguments.threads} threads, {rates[1]:.0f} on one."
        )
        table = against_others(page, shapes)
        families(page, shapes[-1] if arguments.quick else FAMILY_SHAPE)
        instruction_sets(page, shapes)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
