"""One EM iteration, full covariance, float64: mixtura beside scikit-learn and oneDAL, and the measured dgemm limit.

    python benchmarks/iteration.py [--quick] [--threads 2]

All start at the same parameters, off the optimum. The log-likelihood after the same number of iterations is compared
before anything is timed. A peer's seconds per iteration are (time of 7 iterations - time of 2) / 5, divided by what it
really ran; ours likewise. The limit is the dgemm rate measured in this run over ``4 N K P`` flops, ``P = 1 + d + d(d+1)/2``.
Machines are noisy: read the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture as TheirMixture

from mixtura import build_info
from mixtura.backends import backend_named
from mixtura.em import em
from mixtura.families import FAMILIES
from mixtura.mixture import Mixture
from mixtura.parametrisation import stored_covariances
from mixtura.regularisation import Regularisation
from mixtura.sources import ArraySource
from mixtura.stopping import SmallChange
from mixtura.survey import Survey

SHAPES = [(1_000_000, 2, 3), (1_000_000, 2, 10), (500_000, 8, 8), (200_000, 16, 32), (200_000, 32, 16), (50_000, 64, 64)]
QUICK = [(50_000, 2, 3), (20_000, 8, 8)]
LONG, SHORT = 7, 2
warnings.simplefilter("ignore")

Run = Callable[[int], tuple[float, int]]
"""Iterations wanted -> (log-likelihood of the result per row, iterations really run)."""


def problem(n: int, d: int, K: int) -> tuple[np.ndarray, Mixture]:
    """Groups about four standard deviations apart whatever d is, and a start off the optimum, so that nobody stops early."""
    rng = np.random.default_rng(n + d + K)
    centres = rng.standard_normal((K, d)) * 4 / np.sqrt(2 * d)
    X = centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))
    return X, Mixture(
        np.full(K, 1 / K),
        centres + rng.normal(0, 1 / np.sqrt(d), (K, d)),
        stored_covariances("VVV", np.stack([2 * np.eye(d)] * K), K, d),
    )


def ours(X: np.ndarray, start: Mixture, threads: int) -> Run:
    """Plain EM by mixtura."""
    survey = Survey(ArraySource(X), backend_named("native", threads))
    regularisation = Regularisation(X.var(axis=0))
    family = FAMILIES["VVV"]

    def run(iterations: int) -> tuple[float, int]:
        fit = em(survey, start, family, regularisation, stopping=SmallChange(0.0), max_iter=iterations, judge=False)
        return fit.log_likelihood / len(X), fit.n_iter

    return run


def scikit_learn(X: np.ndarray, start: Mixture) -> Run:
    """scikit-learn's GaussianMixture."""
    precisions = np.linalg.inv(start.covariance.dense())

    def run(iterations: int) -> tuple[float, int]:
        fit = TheirMixture(
            start.n_components,
            tol=0.0,
            reg_covar=0.0,
            max_iter=iterations,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=precisions,
        ).fit(X)
        run.fit = fit  # type: ignore[attr-defined]
        return float("nan"), fit.n_iter_

    return run


def one_dal(X: np.ndarray, start: Mixture) -> Run | None:
    """Intel oneDAL's em_gmm, where it is installed."""
    try:
        import daal4py
    except ImportError:
        return None
    covariances = list(np.ascontiguousarray(start.covariance.dense()))

    def run(iterations: int) -> tuple[float, int]:
        algorithm = daal4py.em_gmm(start.n_components, maxIterations=iterations, accuracyThreshold=0.0)
        result = algorithm.compute(X, start.weights.reshape(1, -1), start.means, covariances)
        run.result = result  # type: ignore[attr-defined]
        return float("nan"), int(result.nIterations[0, 0])

    return run


def likelihood(X: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> float:
    """Log-likelihood per row of somebody's parameters, by our scorer."""
    mixture = Mixture(np.ravel(weights), means, stored_covariances("VVV", np.asarray(covariances), *means.shape))
    block = next(ArraySource(X).blocks())
    from mixtura.mixture import log_density

    return float(log_density(backend_named("native").log_joint(block, mixture)).mean())


def assert_equal_likelihood(X: np.ndarray, mine: Run, theirs: Run | None, onedal: Run | None) -> None:
    """After the same two iterations everybody has the same mixture."""
    expected, _ = mine(SHORT)
    if theirs is not None:
        theirs(SHORT)
        fit = theirs.fit  # type: ignore[attr-defined]
        assert abs(likelihood(X, fit.weights_, fit.means_, fit.covariances_) - expected) < 1e-9 * abs(expected)
    if onedal is not None:
        onedal(SHORT)
        result = onedal.result  # type: ignore[attr-defined]
        # oneDAL adds its own regularisation only to singular covariances; rounding is all that may differ.
        assert abs(likelihood(X, result.weights, result.means, np.stack(result.covariances)) - expected) < 1e-7 * abs(expected)


def seconds_per_iteration(run: Run, repeats: int = 3) -> float:
    """Median over repeats of the difference quotient of a long and a short run."""

    def timed(iterations: int) -> tuple[float, int]:
        begin = time.perf_counter()
        _, ran = run(iterations)
        return time.perf_counter() - begin, ran

    quotients = []
    for _ in range(repeats):
        (long, ran_long), (short, ran_short) = timed(LONG), timed(SHORT)
        if ran_long <= ran_short:
            return float("nan")  # it stopped by itself: nothing was measured
        quotients.append((long - short) / (ran_long - ran_short))
    return statistics.median(quotients)


def dgemm_rate() -> float:
    """Flops per second of a 2000 x 2000 product, best of five, on all threads that NumPy uses."""
    A = np.random.default_rng(0).standard_normal((2000, 2000))
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        A @ A
        best = min(best, time.perf_counter() - begin)
    return 2 * 2000**3 / best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rate = dgemm_rate()
    print(f"{build_info()}  dgemm {rate / 1e9:.0f} Gflop/s  threads {arguments.threads}")
    heads = [
        "rows",
        "d",
        "K",
        "dgemm limit s",
        "mixtura s",
        "scikit-learn s",
        "oneDAL s",
        "KMeans s",
        "sklearn/ours",
        "oneDAL/ours",
        "ours/limit",
    ]
    print(" | ".join(heads))
    for n, d, K in QUICK if arguments.quick else SHAPES:
        X, start = problem(n, d, K)
        mine, theirs, onedal = ours(X, start, arguments.threads), scikit_learn(X, start), one_dal(X, start)
        assert_equal_likelihood(X, mine, theirs, onedal)
        limit = 4 * n * K * (1 + d + d * (d + 1) // 2) / rate
        a, b = seconds_per_iteration(mine), seconds_per_iteration(theirs, 1)
        c = seconds_per_iteration(onedal) if onedal else float("nan")

        def lloyd(iterations: int, X: np.ndarray = X, start: Mixture = start) -> tuple[float, int]:
            fit = KMeans(start.n_components, init=start.means, n_init=1, max_iter=iterations, tol=0.0, algorithm="lloyd").fit(X)
            return 0.0, fit.n_iter_

        k = seconds_per_iteration(lloyd)
        cells = [
            f"{n}",
            f"{d}",
            f"{K}",
            f"{limit:.4f}",
            f"{a:.4f}",
            f"{b:.4f}",
            f"{c:.4f}",
            f"{k:.4f}",
            f"{b / a:.1f}",
            f"{c / a:.2f}",
            f"{a / limit:.1f}",
        ]
        print(" | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
