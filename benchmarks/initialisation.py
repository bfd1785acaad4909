"""What does the hierarchical start cost, compared with scikit-learn's k-means and Ward clustering?

    python benchmarks/initialisation.py [--quick] [--output FOLDER]

Five groups about four standard deviations apart. Before anything is timed, the partitions into
five clusters by our EII tree and by scikit-learn's Ward tree must have the same sum of squares on
300 rows. One tree serves every K and family; k-means runs once per K, so its time is that of K = 5
alone. Ward clustering is left out above 10,000 rows, because its memory grows with the square of
the rows. Memory is the increase of the process's peak (VmHWM) while a VVV tree is built. One
thread. The trees are built in the space SVD, where many determinants need not be computed, and for
one column in VARS, where all of them are.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import AgglomerativeClustering, KMeans

from frame.clock import seconds
from frame.machine import status, thread_limit
from frame.page import Page, Table, dots, parser
from mixtura import hierarchical

SHAPES = [
    (300, 5),
    (1_000, 5),
    (3_000, 5),
    (3_000, 10),
    (10_000, 10),
    (100_000, 10),
    (1_000_000, 2),
]
QUICK = SHAPES[:2]
K = 5
WARD_UP_TO = 10_000

HEADS = {"rows": "d", "d": "d", "items": "d"}
SECONDS = ("EII", "VII", "EEE", "VVV", "VVV in VARS", "k-means", "Ward")
RATIOS = {"VVV / k-means": ".1f", "EII / Ward": ".2f", "data MB": ".1f", "VVV MB": ".1f"}


def groups(n: int, d: int) -> np.ndarray:
    """Rows from five groups."""
    rng = np.random.default_rng(n + d)
    centres = rng.standard_normal((K, d)) * 4 / np.sqrt(2)
    return centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))


def within(X: np.ndarray, labels: np.ndarray) -> float:
    """Sum of squares within the clusters."""
    return float(
        sum(((X[labels == k] - X[labels == k].mean(axis=0)) ** 2).sum() for k in np.unique(labels))
    )


def assert_equal_partitions() -> None:
    """Ward's criterion is that of EII, so both partitions must have the same sum of squares."""
    X = groups(300, 5)
    ours, theirs = (
        hierarchical(X, "EII", "VARS").labels(K),
        AgglomerativeClustering(K, linkage="ward").fit(X).labels_,
    )
    assert abs(within(X, ours) - within(X, theirs)) < 1e-9 * within(X, theirs)


def memory(X: np.ndarray) -> float:
    """Peak memory in megabytes of a VVV tree and one partition, without the data; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = status("VmRSS")
    hierarchical(X).labels(K)
    return status("VmHWM") - before


def k_means(X: np.ndarray) -> object:
    """One start of scikit-learn's k-means."""
    return KMeans(K, n_init=1, random_state=0).fit(X)


def ward(X: np.ndarray) -> object:
    """scikit-learn's Ward clustering."""
    return AgglomerativeClustering(K, linkage="ward").fit(X)


def tree(X: np.ndarray, criterion: str, space: str = "SVD") -> object:
    """Our tree, and its partition into K clusters."""
    return hierarchical(X, criterion, space).labels(K)


def row(table: Table, n: int, d: int, repeats: int) -> None:
    """Add the row of one size: all methods."""
    X = groups(n, d)
    taken = {
        name: seconds(partial(tree, X, name), repeats) for name in ("EII", "VII", "EEE", "VVV")
    }
    taken["VVV in VARS"] = seconds(partial(tree, X, "VVV", "VARS"), repeats)
    taken["k-means"] = seconds(partial(k_means, X), repeats)
    taken["Ward"] = seconds(partial(ward, X), repeats) if n <= WARD_UP_TO else float("nan")
    ratios = taken["VVV"] / taken["k-means"], taken["EII"] / taken["Ward"]
    items = hierarchical(X, "EII").n_items
    table.add(n, d, items, *(taken[name] for name in SECONDS), *ratios, X.nbytes / 2**20, memory(X))


def draw(table: Table, figure: Figure) -> None:
    """Plot the seconds at each size."""
    axes = figure.subplots()
    labels = [f"{row[0]} x {row[1]}" for row in table.rows]
    dots(
        axes,
        labels,
        {name: table.column(f"{name} s") for name in ("EII", "VVV", "k-means", "Ward")},
    )
    axes.set(
        xlabel="seconds (one tree serves every K; k-means here: K = 5 alone)",
        ylabel="rows x columns",
    )


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, threads=1).parse_args()
    assert_equal_partitions()
    with thread_limit(1), Page(__file__, __doc__, arguments) as page:
        table = page.table(
            "One tree, or one k-means", HEADS | {f"{name} s": ".3f" for name in SECONDS} | RATIOS
        )
        for n, d in QUICK if arguments.quick else SHAPES:
            row(table, n, d, repeats=3 if n <= 3_000 else 1)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
