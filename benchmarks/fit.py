"""Whole fits from default settings: mixtura's GaussianMixture beside scikit-learn's KMeans (ten starts) and GaussianMixture (one).

    python benchmarks/fit.py [--quick] [--layout pair|cube] [--shapes 0,1,2] [--apart 6,3,2] [--repeats 3]

Data: K unit Gaussians in d dimensions, equally likely. ``pair``: centres in random directions at random distances (standard normal
rows), scaled so that the two nearest are exactly ``apart`` standard deviations from each other. ``cube``: corners of a cube
with that edge (for K = 3 of a triangle), so that every centre has several neighbours exactly that near; with K = 32 EM
then has many optima. At ``apart`` 2 EM takes over a thousand plain iterations.

Before a time is printed, our log-likelihood must be at least that of scikit-learn's mixture, less 0.01 (the width of one
optimum), and our fit must be converged by its own rule. Times are the least of the repeats; ratios are KMeans over ours, so
above 1 we are faster. CPU seconds stand beside them, because on a busy machine the clock says little.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture as TheirMixture

from mixtura import GaussianMixture
from mixtura.backends import NativeBackend
from mixtura.moments import Moments

SHAPES = [(1_000_000, 2, 3), (500_000, 8, 8), (200_000, 16, 32)]
QUICK = [(60_000, 2, 3), (60_000, 8, 8)]
SAME_OPTIMUM = 0.01
warnings.simplefilter("ignore")


def centres(layout: str, d: int, K: int, apart: float) -> np.ndarray:
    """(K,d), the nearest two exactly ``apart``."""
    if layout == "pair":
        points = np.random.default_rng(K * d).standard_normal((K, d))
    elif K == 3:
        points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    else:
        points = ((np.arange(K)[:, None] >> np.arange(d)) & 1).astype(float)
    return points * apart / pdist(points).min()


def problem(layout: str, n: int, d: int, K: int, apart: float) -> np.ndarray:
    """Rows (n,d), in random order."""
    rng = np.random.default_rng(n + d + K)
    return centres(layout, d, K, apart)[rng.integers(K, size=n)] + rng.standard_normal((n, d))


class Passes:
    """Counts what the native backend reads, in passes over n rows."""

    def __init__(self, n: int) -> None:
        self.n, self.rows, self._moments = n, 0, NativeBackend.moments

    def __enter__(self) -> Passes:
        moments = self._moments

        def counted(backend: NativeBackend, source: Any, *rest: Any) -> Moments:
            self.rows += source.n_rows
            return moments(backend, source, *rest)

        NativeBackend.moments = counted  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        NativeBackend.moments = self._moments  # type: ignore[method-assign]

    @property
    def over_all(self) -> float:
        """Passes so far."""
        return self.rows / self.n


def least(fit: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Seconds and CPU seconds, each the least of the repeats, and the last fit."""
    clocks, busy = [], []
    for _ in range(repeats):
        begin, cpu = time.perf_counter(), time.process_time()
        fitted = fit()
        clocks.append(time.perf_counter() - begin)
        busy.append(time.process_time() - cpu)
    return min(clocks), min(busy), fitted


def compare(layout: str, shape: tuple[int, int, int], apart: float, repeats: int) -> list[str]:
    """One line of the table."""
    n, d, K = shape
    X = problem(layout, n, d, K, apart)
    with Passes(n) as passes:
        mine = GaussianMixture(K, random_state=0).fit(X)
    assert mine.converged_, mine.stop_reason_
    theirs_seconds, theirs_cpu, theirs = least(lambda: TheirMixture(K, random_state=0).fit(X), 1)
    scored = GaussianMixture.from_parameters(theirs.weights_, theirs.means_, theirs.covariances_).score(X) * n
    assert mine.result_.log_likelihood >= scored - SAME_OPTIMUM, (mine.result_.log_likelihood, scored)
    seconds, cpu, _ = least(lambda: GaussianMixture(K, random_state=0).fit(X), repeats)
    means_seconds, means_cpu, _ = least(lambda: KMeans(K, n_init=10, random_state=0).fit(X), repeats)
    return [
        f"{n}",
        f"{d}",
        f"{K}",
        f"{apart:g}",
        f"{seconds:.2f} ({cpu:.2f})",
        f"{passes.over_all:.0f}",
        f"{mine.n_iter_}",
        f"{means_seconds:.2f} ({means_cpu:.2f})",
        f"{theirs_seconds:.2f} ({theirs_cpu:.2f})",
        f"{mine.result_.log_likelihood - scored:+.2f}",
        f"{means_seconds / seconds:.2f} ({means_cpu / cpu:.2f})",
        f"{theirs_seconds / seconds:.1f}",
    ]


HEADS = [
    "rows",
    "d",
    "K",
    "apart",
    "mixtura s (cpu)",
    "passes",
    "iterations",
    "KMeans x10 s (cpu)",
    "sklearn mixture s (cpu)",
    "log-likelihood above sklearn's",
    "KMeans/ours (cpu)",
    "sklearn mixture/ours",
]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--layout", choices=["pair", "cube"], default="pair")
    parser.add_argument("--shapes", default="0,1,2")
    parser.add_argument("--apart", default="6,3,2")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    shapes = QUICK if arguments.quick else [SHAPES[int(i)] for i in arguments.shapes.split(",")]
    print(" | ".join(HEADS))
    for shape in shapes:
        for apart in map(float, arguments.apart.split(",")):
            print(" | ".join(compare(arguments.layout, shape, apart, arguments.repeats)), flush=True)


if __name__ == "__main__":
    main()
