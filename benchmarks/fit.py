"""How long does a default fit take, compared with scikit-learn's KMeans with ten starts?

    python benchmarks/fit.py [--quick] [--layouts pair,cube] [--shapes 0,1,2] [--apart 6,3,2]
        [--rows 300,3000,30000] [--threads 2] [--output FOLDER]

The data come from K Gaussians with identity covariance and equal weights in d dimensions.
``pair``: centres drawn from a standard normal distribution and scaled so that the two nearest are
exactly ``apart`` standard deviations from each other. ``cube``: the corners of a cube with edge
``apart`` (a triangle for K = 3), so that every centre has neighbours at exactly that distance; with
K = 32 the likelihood then has many local maxima. At ``apart`` 2 EM needs over a thousand plain
iterations and no floor is set; cubes and the largest shape, which would take minutes, are left out
there.

First table: our fit must have converged by its own rule before its time is printed. ``short by`` is
how far its log-likelihood is below that of a fit started from the true centres: 0 where the right
optimum was found. Times are the least of the repeats. scikit-learn's mixture with its default
start, which may end at another optimum, is timed once, and not at the largest shape, where it takes
minutes.

Second table: the cost of the default search at 10,000 rows (``pair``), in units of a plain fit
(``n_init=1``, mean of three seeds) of the same model to the same rows; processor time, summed over
three draws.

Third table: a default fit compared with scikit-learn's mixture with one start and with ten, two
threads for all: 2, 8 and 32 columns, 3, 10 and 50 groups 4 and 2 apart (``pair``). Where ten starts
would take more than a minute, ten times the time of one start is used. The floor refers to ten
starts.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture as SklearnMixture

from frame.machine import thread_limit
from frame.page import Floor, Page, Table, dots, parser
from mixtura import GaussianMixture
from mixtura.backends import backend_named
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import em
from mixtura.families import FAMILIES
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

SHAPES = [(1_000_000, 2, 3), (500_000, 8, 8), (200_000, 16, 32)]
QUICK = [(60_000, 2, 3)]
LARGEST_FOR_THEIRS = 500_000 * 8 * 8
"""Rows x columns x components up to which scikit-learn's mixture is timed."""

RATIO = "KMeans / mixtura"
HEADS = {
    "layout": "",
    "rows": "d",
    "d": "d",
    "K": "d",
    "apart": "g",
    "mixtura s": ".2f",
    "iterations": "d",
    "KMeans s": ".2f",
}
COMPARISON = {
    RATIO: ".2f",
    "short by": ".2f",
    "scikit-learn s": ".1f",
    "scikit-learn / mixtura": ".1f",
    "floors": "",
}
FLOOR = Floor(RATIO, 1.0)

NOT_SLOWER_THAN_TEN = Floor("n_init=10 / mixtura", 1.0)
LONGEST_ONE = 6.0
"""Seconds of one start of scikit-learn above which ten starts are not run."""

AGAINST_SKLEARN = {
    "rows": "d",
    "d": "d",
    "K": "d",
    "apart": "g",
    "mixtura s": ".3f",
    "n_init=1 s": ".3f",
    "n_init=10 s": ".3f",
}
RATIOS = {
    "mixtura / n_init=1": ".1f",
    "n_init=10 / mixtura": ".2f",
    "log L - theirs": "+.2f",
    "floors": "",
}

ROWS, DRAWS = 10_000, 3
SETTINGS = [(2, 3), (2, 6), (5, 5), (8, 8), (2, 12), (5, 15), (2, 20)]
IN_PLAIN_FITS = "plain fits / search"
COST = {
    "d": "d",
    "K": "d",
    "apart": "g",
    "search s": ".2f",
    "plain fit s": ".3f",
    "search in plain fits": ".1f",
    "floors": "",
}
AT_MOST_FIVE = Floor(IN_PLAIN_FITS, 1 / 5)


def centres(layout: str, d: int, K: int, apart: float) -> np.ndarray:
    """Centres (K,d), the nearest two exactly ``apart``."""
    if layout == "pair":
        points = np.random.default_rng(K * d).standard_normal((K, d))
    elif K == 3:
        points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    else:
        points = ((np.arange(K)[:, None] >> np.arange(d)) & 1).astype(float)
    return points * apart / pdist(points).min()


def least(fit: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """The least time of the repeats in seconds, and the last fit."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        fitted = fit()
        times.append(time.perf_counter() - begin)
    return min(times), fitted


def from_true_centres(X: np.ndarray, means: np.ndarray, threads: int) -> float:
    """Log-likelihood of the fit that starts from the true centres."""
    K, d = means.shape
    dataset = Dataset(ArraySource(X), backend_named("auto", threads))
    start = Mixture(np.full(K, 1 / K), means, Dense(np.repeat(np.eye(d)[None], K, axis=0), K))
    return em(
        Problem(dataset, FAMILIES["VVV"], Regularisation(dataset.floor)),
        start,
        max_iter=2000,
        accelerated=True,
    ).log_likelihood


def drawn(means: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n rows from Gaussians with identity covariance about these means."""
    rng = np.random.default_rng(seed)
    return means[rng.integers(len(means), size=n)] + rng.standard_normal((n, means.shape[1]))


def row(page: Page, table: Table, layout: str, shape: tuple[int, int, int], apart: float) -> None:
    """Add the row of one problem to the first table."""
    (n, d, K), threads, repeats = (
        shape,
        page.arguments.threads,
        1 if page.arguments.quick or apart == 2 else 2,
    )
    means = centres(layout, d, K, apart)
    X = drawn(means, n, n + d + K)
    seconds, mine = least(
        lambda: GaussianMixture(K, random_state=0, n_threads=threads).fit(X), repeats
    )
    assert mine.converged_, mine.stop_reason_
    theirs, _ = least(lambda: KMeans(K, n_init=10, random_state=0).fit(X), repeats)
    short = from_true_centres(X, means, threads) - mine.result_.log_likelihood
    mixture = float("nan")
    if n * d * K <= LARGEST_FOR_THEIRS:
        mixture, _ = least(lambda: SklearnMixture(K, random_state=0).fit(X), 1)
    floors = [(FLOOR, theirs / seconds)] if apart > 2 and not page.arguments.quick else []
    verdict = page.check(f"{layout} {n // 1000}k/{d}/{K}, {apart:g} apart", *floors)
    table.add(
        layout,
        n,
        d,
        K,
        apart,
        seconds,
        mine.n_iter_,
        theirs,
        theirs / seconds,
        short,
        mixture,
        mixture / seconds,
        verdict,
    )


def cost(page: Page, table: Table, d: int, K: int, apart: float) -> None:
    """Add one setting to the table of what the default search costs."""
    means, spent = centres("pair", d, K, apart), {"search": 0.0, "plain": 0.0}
    for number in range(DRAWS):
        X = drawn(means, ROWS, number)
        for who, starts, seeds in (("search", None, (number,)), ("plain", 1, range(DRAWS))):
            begin = time.process_time()
            for seed in seeds:
                GaussianMixture(K, n_init=starts, random_state=seed, n_threads=1).fit(X)
            spent[who] += (time.process_time() - begin) / len(seeds)
    ratio = spent["search"] / spent["plain"]
    verdict = page.check(
        f"{ROWS} rows, d = {d}, K = {K}, {apart:g} apart", (AT_MOST_FIVE, 1 / ratio)
    )
    table.add(d, K, apart, spent["search"] / DRAWS, spent["plain"] / DRAWS, ratio, verdict)


def against_sklearn(page: Page, table: Table, n: int, d: int, K: int, apart: float) -> None:
    """Add one setting to the table that compares default fits with scikit-learn's mixture."""
    X = drawn(centres("pair", d, K, apart), n, 0)
    seconds, mine = least(lambda: GaussianMixture(K, random_state=0).fit(X), 2)
    one, theirs = least(lambda: SklearnMixture(K, random_state=0).fit(X), 2)
    ten, best = (
        (10.0 * one, theirs)
        if one > LONGEST_ONE
        else least(lambda: SklearnMixture(K, n_init=10, random_state=0).fit(X), 1)
    )
    higher = mine.result_.log_likelihood - best.score(X) * n
    verdict = page.check(
        f"{n} x {d}, K = {K}, {apart:g} apart", (NOT_SLOWER_THAN_TEN, ten / seconds)
    )
    table.add(n, d, K, apart, seconds, one, ten, seconds / one, ten / seconds, higher, verdict)


def draw(table: Table, figure: Figure) -> None:
    """Plot the seconds of both."""
    axes = figure.subplots()
    labels = [f"{row[0]} {row[1]:,} / {row[2]} / {row[3]}, {row[4]:g} apart" for row in table.rows]
    dots(
        axes,
        labels,
        {"mixtura": table.column("mixtura s"), "KMeans, ten starts": table.column("KMeans s")},
    )
    axes.set_xlabel("seconds of the whole fit")


def main() -> None:
    """Run the benchmark."""
    warnings.simplefilter("ignore")
    options = parser(__doc__)
    options.add_argument("--layouts", default="pair,cube")
    options.add_argument("--shapes", default="0,1,2")
    options.add_argument("--apart", default="6,3,2")
    options.add_argument("--rows", default="300,3000,30000")
    arguments = options.parse_args()
    shapes = QUICK if arguments.quick else [SHAPES[int(i)] for i in arguments.shapes.split(",")]
    distances = [6.0] if arguments.quick else [float(apart) for apart in arguments.apart.split(",")]
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        table = page.table("Whole default fits, full covariance (VVV)", HEADS | COMPARISON)
        for layout in arguments.layouts.split(","):
            for shape in shapes:
                for apart in distances:
                    if apart > 2 or (layout == "pair" and np.prod(shape) <= LARGEST_FOR_THEIRS):
                        row(page, table, layout, shape, apart)
        costs = page.table("The default search in plain fits, 10,000 rows", COST)
        for apart in distances:
            for d, K in SETTINGS[:1] if arguments.quick else SETTINGS:
                cost(page, costs, d, K, apart)
        ours_and_theirs = page.table(
            "Default fits beside scikit-learn's mixture", AGAINST_SKLEARN | RATIOS
        )
        for n in [300] if arguments.quick else [int(rows) for rows in arguments.rows.split(",")]:
            for d, K, apart in (
                [(2, 3, 4.0)] if arguments.quick else product((2, 8, 32), (3, 10, 50), (4.0, 2.0))
            ):
                against_sklearn(page, ours_and_theirs, n, d, K, apart)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
