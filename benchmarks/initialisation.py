"""What does the hierarchical start cost beside scikit-learn's k-means and Ward clustering?

    python benchmarks/initialisation.py [--quick] [--output FOLDER]

Five groups about four standard deviations apart. Before anything is timed, our EII tree and
scikit-learn's Ward tree must have partitions into five clusters of the same sum of squares on 300
rows. One tree serves every K and family; k-means runs once per K, so its seconds are those of K = 5
alone. Ward is skipped above 10,000 rows, where its memory is quadratic. The memory is the kernel's
peak (VmHWM) during a VVV tree minus what was there before. One thread. The space is SVD, where
determinants are often too small to matter and are not computed; in VARS here they all are.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import AgglomerativeClustering, KMeans

from frame.clock import seconds
from frame.machine import status, threads_of_everybody
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
    """Rows of five groups."""
    rng = np.random.default_rng(n + d)
    centres = rng.standard_normal((K, d)) * 4 / np.sqrt(2)
    return centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))


def within(X: np.ndarray, labels: np.ndarray) -> float:
    """Sum of squares about the means of the parts."""
    return float(
        sum(((X[labels == k] - X[labels == k].mean(axis=0)) ** 2).sum() for k in np.unique(labels))
    )


def assert_equal_partitions() -> None:
    """Ward's criterion is EII's, so both trees stand at the same sum of squares."""
    X = groups(300, 5)
    ours, theirs = (
        hierarchical(X, "EII", "VARS").labels(K),
        AgglomerativeClustering(K, linkage="ward").fit(X).labels_,
    )
    assert abs(within(X, ours) - within(X, theirs)) < 1e-9 * within(X, theirs)


def memory(X: np.ndarray) -> float:
    """Megabytes beyond the data that a VVV tree and one partition need at the peak; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    hierarchical(X).labels(K)
    return status("VmHWM") - before


def k_means(X: np.ndarray) -> object:
    return KMeans(K, n_init=1, random_state=0).fit(X)


def ward(X: np.ndarray) -> object:
    return AgglomerativeClustering(K, linkage="ward").fit(X)


def tree(X: np.ndarray, criterion: str, space: str = "SVD") -> object:
    return hierarchical(X, criterion, space).labels(K)


def row(table: Table, n: int, d: int, repeats: int) -> None:
    """Everybody at one size."""
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
    """Seconds against size."""
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
    """Print the table."""
    arguments = parser(__doc__, threads=1).parse_args()
    assert_equal_partitions()
    with threads_of_everybody(1), Page(__file__, __doc__, arguments) as page:
        table = page.table(
            "One tree, or one k-means", HEADS | {f"{name} s": ".3f" for name in SECONDS} | RATIOS
        )
        for n, d in QUICK if arguments.quick else SHAPES:
            row(table, n, d, repeats=3 if n <= 3_000 else 1)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
