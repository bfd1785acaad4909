"""The hierarchical start beside scikit-learn's k-means and Ward clustering: seconds, ratios, memory beyond the data.

    python benchmarks/initialisation.py [--quick]

Five groups about four standard deviations apart. Before anything is timed, our EII tree and scikit-learn's Ward tree must have
partitions into five clusters of the same sum of squares on 300 rows. One tree serves every K and family; k-means runs once per
K, so its seconds are those of K = 5 alone. Ward is skipped above 10,000 rows, where its memory is quadratic. The memory is the
kernel's peak (VmHWM) during a VVV tree minus what was there before. One thread. The space is SVD, where determinants are often
too small to matter and are not computed; in VARS here they all are.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.cluster import AgglomerativeClustering, KMeans
from threadpoolctl import threadpool_limits

from mixtura import hierarchical

SHAPES = [(300, 5), (1_000, 5), (3_000, 5), (3_000, 10), (10_000, 10), (100_000, 10), (1_000_000, 2)]
QUICK = SHAPES[:2]
K = 5
WARD_UP_TO = 10_000


def groups(n: int, d: int) -> np.ndarray:
    """Rows of five groups."""
    rng = np.random.default_rng(n + d)
    centres = rng.standard_normal((K, d)) * 4 / np.sqrt(2)
    return centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))


def within(X: np.ndarray, labels: np.ndarray) -> float:
    """Sum of squares about the means of the parts."""
    return float(sum(((X[labels == k] - X[labels == k].mean(axis=0)) ** 2).sum() for k in np.unique(labels)))


def assert_equal_partitions() -> None:
    """Ward's criterion is EII's, so both trees stand at the same sum of squares."""
    X = groups(300, 5)
    ours, theirs = hierarchical(X, "EII", "VARS").labels(K), AgglomerativeClustering(K, linkage="ward").fit(X).labels_
    assert abs(within(X, ours) - within(X, theirs)) < 1e-9 * within(X, theirs)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def memory(X: np.ndarray) -> float:
    """Megabytes beyond the data that a VVV tree and one partition need at the peak; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    hierarchical(X).labels(K)
    return status("VmHWM") - before


def status(name: str) -> float:
    """A size of this process in megabytes, from the kernel."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def k_means(X: np.ndarray) -> object:
    return KMeans(K, n_init=1, random_state=0).fit(X)


def ward(X: np.ndarray) -> object:
    return AgglomerativeClustering(K, linkage="ward").fit(X)


def tree(X: np.ndarray, criterion: str, space: str = "SVD") -> object:
    return hierarchical(X, criterion, space).labels(K)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    shapes = QUICK if parser.parse_args().quick else SHAPES
    assert_equal_partitions()
    heads = [
        "rows",
        "d",
        "items",
        "EII s",
        "VII s",
        "EEE s",
        "VVV s",
        "VVV in VARS s",
        "k-means s",
        "Ward s",
        "VVV/k-means",
        "EII/Ward",
        "data MB",
        "VVV MB",
    ]
    print(" | ".join(heads))
    with threadpool_limits(1):
        for n, d in shapes:
            X = groups(n, d)
            repeats = 3 if n <= 3_000 else 1
            ours = {name: seconds(partial(tree, X, name), repeats) for name in ("EII", "VII", "EEE", "VVV")}
            ours["VVV in VARS"] = seconds(partial(tree, X, "VVV", "VARS"), repeats)
            means = seconds(partial(k_means, X), repeats)
            theirs = seconds(partial(ward, X), repeats) if n <= WARD_UP_TO else float("nan")
            cells = [f"{n}", f"{d}", f"{hierarchical(X, 'EII').n_items}"]
            cells += [f"{figure:.3f}" for figure in (*ours.values(), means, theirs)]
            cells += [f"{ours['VVV'] / means:.1f}", f"{ours['EII'] / theirs:.2f}", f"{X.nbytes / 2**20:.1f}", f"{memory(X):.1f}"]
            print(" | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
