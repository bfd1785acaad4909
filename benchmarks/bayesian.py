"""How long does variational inference take, beside scikit-learn's?

    python benchmarks/bayesian.py [--quick] [--threads 2] [--output FOLDER]

First an iteration: both classes start at the same responsibilities, full covariances, a Dirichlet
distribution of the weights, the default priors. Seconds per iteration are (time of 7 iterations -
time of 2) / 5; the median of interleaved repeats. After five iterations the means agree.

Then whole fits on small data: our default, a search, beside scikit-learn's defaults with one start
and with ten (up to 1,000 iterations each). ``bound`` is ours of our fit, and ours of the optimum
that is reached from theirs: higher is better.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.mixture import BayesianGaussianMixture as ScikitLearn

from frame.clock import Iterations, seconds_per_iteration
from frame.contenders import problem
from frame.machine import thread_limit
from frame.page import Floor, Page, Table, dots, parser
from mixtura import BayesianGaussianMixture

Shape = tuple[int, int, int]
SHAPES: list[Shape] = [(500_000, 8, 8), (1_000_000, 2, 3)]
QUICK: list[Shape] = [(20_000, 2, 3)]
FASTER = Floor("scikit-learn / mixtura", 5.0)
STARTS = 10
WEIGHTS = "dirichlet_distribution"
"""Of the timed iterations: the process of scikit-learn has another last stick."""


def responsibilities(X: np.ndarray, K: int) -> np.ndarray:
    """Hard assignments to the nearest of K drawn rows (n, K)."""
    centres = X[np.random.default_rng(0).choice(len(X), K, replace=False)]
    distances = np.stack([((X - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
    return np.eye(K)[distances.argmin(axis=1)]


def ours(X: np.ndarray, r: np.ndarray, threads: int) -> Callable[[int], Any]:
    """A number of our iterations."""

    def run(iterations: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return BayesianGaussianMixture(
                r.shape[1],
                tol=0.0,
                max_iter=iterations,
                init_params=r,
                n_threads=threads,
                acceleration=None,
                component_order=None,
                weight_concentration_prior_type=WEIGHTS,
            ).fit(X)

    return run


class _FromResponsibilities(ScikitLearn):  # type: ignore[misc]
    """scikit-learn's class with a given start."""

    start: np.ndarray

    def _initialize_parameters(self, X: np.ndarray, random_state: object, xp: Any = None) -> None:
        self._initialize(X, self.start)


def theirs(X: np.ndarray, r: np.ndarray) -> Callable[[int], Any]:
    """A number of scikit-learn's iterations."""

    def run(iterations: int) -> Any:
        model = _FromResponsibilities(
            n_components=r.shape[1],
            tol=0.0,
            reg_covar=0.0,
            max_iter=iterations,
            weight_concentration_prior_type=WEIGHTS,
        )
        model.start = r
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(X)

    return run


def iterations(page: Page, table: Table, shapes: list[Shape]) -> None:
    """The rows of the first table."""
    for n, d, K in shapes:
        X, _ = problem(n, d, K)
        r = responsibilities(X, K)
        fits = {"mixtura": ours(X, r, page.arguments.threads), "scikit-learn": theirs(X, r)}
        after = {name: fit(5) for name, fit in fits.items()}
        apart = np.abs(after["mixtura"].means_ - after["scikit-learn"].means_).max()
        runs = {name: _counted(fit) for name, fit in fits.items()}
        taken = seconds_per_iteration(runs, page.repeats)
        ratio = taken["scikit-learn"] / taken["mixtura"]
        floors = [] if page.arguments.quick else [(FASTER, ratio)]
        table.add(
            n,
            d,
            K,
            taken["mixtura"],
            taken["scikit-learn"],
            ratio,
            apart,
            page.check(f"{n:,} x {d}, K = {K}", *floors),
        )


def _counted(fit: Callable[[int], Any]) -> Iterations:
    """A fit as a function of the iterations wanted that returns those really run."""
    return lambda wanted: int(fit(wanted).n_iter_)


def small_sets(quick: bool) -> dict[str, np.ndarray]:
    """Famous data in standard deviations."""
    sets = {"iris": load_iris().data}
    if not quick:
        sets |= {
            "wine": load_wine().data,
            "breast cancer, 10 columns": load_breast_cancer().data[:, :10],
        }
    return {name: X / X.std(axis=0) for name, X in sets.items()}


def fits(page: Page, table: Table) -> None:
    """The rows of the second table."""
    for name, X in small_sets(page.arguments.quick).items():
        for family in ("full", "diag"):
            given = {"covariance_type": family, "random_state": 0}
            model, own = _timed(
                lambda X=X, given=given: BayesianGaussianMixture(
                    10, n_threads=page.arguments.threads, **given
                ).fit(X)
            )
            found = {
                starts: _timed(
                    lambda X=X, given=given, starts=starts: ScikitLearn(
                        n_components=10, n_init=starts, max_iter=1000, **given
                    ).fit(X)
                )
                for starts in (1, STARTS)
            }
            continued = BayesianGaussianMixture(
                10, init_params=found[STARTS][0].predict_proba(X), **given
            ).fit(X)
            table.add(
                f"{name}, {family}",
                own,
                found[1][1],
                found[STARTS][1],
                model.lower_bound_,
                continued.lower_bound_,
                model.n_active_components_,
                int((found[STARTS][0].predict_proba(X).sum(axis=0) >= 1.0).sum()),
            )


def _timed(fit: Callable[[], Any]) -> tuple[Any, float]:
    """A fit and its seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.perf_counter()
        model = fit()
        return model, time.perf_counter() - begin


def draw(table: Table, figure: Figure) -> None:
    """Plot the times of an iteration."""
    axes = figure.subplots()
    names = [f"{n:,} x {d}, K = {K}" for n, d, K, *_ in table.rows]
    seconds = {name: table.column(f"{name} s") for name in ("mixtura", "scikit-learn")}
    dots(axes, names, seconds)
    axes.set_xscale("log")
    axes.set_xlabel("seconds for an iteration")


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        heads = {
            "rows": "d",
            "d": "d",
            "K": "d",
            "mixtura s": ".4f",
            "scikit-learn s": ".4f",
            FASTER.what: ".1f",
            "means differ by": ".1e",
            "floors": "",
        }
        table = page.table("An iteration, full covariances", heads)
        iterations(page, table, QUICK if arguments.quick else SHAPES)
        heads = {
            "data": "",
            "default fit s": ".2f",
            "scikit-learn s": ".2f",
            f"{STARTS} starts s": ".2f",
            "bound": ".1f",
            f"bound from {STARTS} starts": ".1f",
            "active": "d",
            f"active, {STARTS} starts": "d",
        }
        fits(page, page.table("Whole fits of ten components", heads))
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
