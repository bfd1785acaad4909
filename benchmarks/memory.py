"""How much memory does a fit need beyond the data?

    python benchmarks/memory.py [--quick] [--threads 2] [--output FOLDER]

Each fit runs in its own process, after a fit to the first rows, so that libraries and one-time
allocations do not count. Rows in memory: the peak of resident memory (VmHWM), reset before the fit,
minus the resident memory at that time. Rows in a memory map: their pages are resident while they
are read and count in VmHWM, although the system can free them at any time; therefore only anonymous
memory (RssAnon) is counted, sampled every millisecond from another process: its largest value
during the fit minus the value before. A fit from the memory map must equal the same fit from an
array to the last bit. Linux only.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning

from frame.contenders import start_at
from frame.fresh import in_fresh_process
from frame.machine import status, thread_limit
from frame.page import Floor, Page, Table, dots, parser
from mixtura import GaussianMixture
from mixtura.backends import backend_named
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import em
from mixtura.em.stopping import SmallChange
from mixtura.families import FAMILIES
from mixtura.model.fit_result import FitResult
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

IN_MEMORY = (1_000_000, 2, 3)
MAPPED = (10_000_000, 8, 16)
QUICK = 100
"""Factor by which --quick reduces the rows."""

ITERATIONS = 3
WARM_UP = 3000
WRITE_ROWS = 100_000
BEYOND = "peak beyond the data MB"
FLOOR = Floor(BEYOND, 64.0, at_most=True)
MEGABYTE = 2**20


# ---- rows ----------------------------------------------------------------------------------------


def centres_of(d: int, K: int) -> np.ndarray:
    """Centres eight standard deviations apart along every column."""
    return np.arange(K)[:, None] * np.full((1, d), 8.0)


def rows_of(n: int, d: int, K: int) -> Iterator[np.ndarray]:
    """Rows from Gaussians with identity covariance, in parts."""
    rng = np.random.default_rng(0)
    for begin in range(0, n, WRITE_ROWS):
        m = min(WRITE_ROWS, n - begin)
        yield centres_of(d, K)[rng.integers(K, size=m)] + rng.standard_normal((m, d))


# ---- in the measured process ---------------------------------------------------------------------


def plain_em(X: np.ndarray, K: int, threads: int) -> FitResult:
    """ITERATIONS plain iterations away from the optimum, by the EM function alone."""
    dataset = Dataset(ArraySource(X), backend_named("native", threads))
    start: Mixture = start_at(centres_of(X.shape[1], K) + 0.5)
    family, regularisation = FAMILIES["VVV"], Regularisation(dataset.floor)
    return em(
        Problem(dataset, family, regularisation),
        start,
        stopping=SmallChange(0.0),
        max_iter=ITERATIONS,
        judge=False,
    )


def default_fit(shape: tuple[int, int, int], threads: int) -> dict[str, float]:
    """A default fit to rows in memory, measured by the peak of resident memory."""
    X, K = np.concatenate(list(rows_of(*shape))), shape[2]
    GaussianMixture(K, random_state=0, n_threads=threads).fit(X[:WARM_UP])
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, begin = status("VmRSS"), time.monotonic()
    GaussianMixture(K, random_state=0, n_threads=threads).fit(X)
    return {"beyond": status("VmHWM") - before, "seconds": time.monotonic() - begin}


def estimator(X: np.ndarray, K: int, threads: int) -> FitResult:
    """The same iterations by the estimator: validation of the input and the assessment of the
    components afterwards count too.
    """
    start = start_at(centres_of(X.shape[1], K) + 0.5)
    given = {
        "weights_init": start.weights,
        "means_init": start.means,
        "precisions_init": np.linalg.inv(start.covariance.dense()),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return (
            GaussianMixture(K, **given, acceleration=None, max_iter=ITERATIONS, n_threads=threads)
            .fit(X)
            .result_
        )


def given_means(X: np.ndarray, K: int, threads: int) -> FitResult:
    """A fit from given means: the first memberships come from the nearest mean, and the optimum is
    certified afterwards.
    """
    means = centres_of(X.shape[1], K) + 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(K, means_init=means, n_threads=threads).fit(X).result_


TASKS = {"plain_em": plain_em, "estimator": estimator, "given_means": given_means}


def mapped_fit(file: str, shape: tuple[int, int, int], threads: int, work: str) -> dict[str, float]:
    """A fit to rows in a memory map: its start and end, and the memory before it."""
    X = np.memmap(file, np.float64, mode="r", shape=tuple(shape[:2]))
    TASKS[work](X[:WARM_UP], shape[2], threads)
    before, begin = status("RssAnon"), time.monotonic()
    fit = TASKS[work](X, shape[2], threads)
    return {
        "before": before,
        "begin": begin,
        "end": time.monotonic(),
        "log_likelihood": fit.log_likelihood,
    }


def child(task: dict[str, Any]) -> dict[str, float]:
    """Run the task that the parent process asks for."""
    return mapped_fit(**task) if "file" in task else default_fit(**task)


# ---- in the parent process -----------------------------------------------------------------------


def measured_in_memory(shape: tuple[int, int, int], threads: int) -> tuple[float, float]:
    """Megabytes and seconds of a default fit to rows in memory."""
    found = in_fresh_process(__file__, {"shape": shape, "threads": threads})
    return found["beyond"], found["seconds"]


def measured_mapped(shape: tuple[int, int, int], threads: int) -> dict[str, tuple[float, float]]:
    """Megabytes and seconds of each of TASKS on rows in a memory map, a temporary file."""
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        with file.open("wb") as rows:
            for part in rows_of(*shape):
                part.tofile(rows)
        again = plain_em(np.fromfile(file).reshape(shape[:2]), shape[2], threads)
        for work in TASKS:
            samples: list[tuple[float, float]] = []
            found = in_fresh_process(
                __file__,
                {"file": str(file), "shape": shape, "threads": threads, "work": work},
                watch=lambda process, samples=samples: samples.append(
                    (time.monotonic(), status("RssAnon", process))
                ),
            )
            assert work != "plain_em" or again.log_likelihood == found["log_likelihood"], (
                "the memory map changed the result"
            )
            during = [size for moment, size in samples if found["begin"] <= moment <= found["end"]]
            measured[work] = (
                max(during, default=float("nan")) - found["before"],
                found["end"] - found["begin"],
            )
    return measured


# ---- the page ------------------------------------------------------------------------------------


def draw(table: Table, figure: Figure) -> None:
    """Plot the size of the data and the memory beyond it."""
    axes = figure.subplots()
    labels = [f"{row[0]}\n{row[1]} x {row[2]}, K = {row[3]}" for row in table.rows]
    dots(
        axes, labels, {"the data": table.column("data MB"), "beyond the data": table.column(BEYOND)}
    )
    axes.axvline(FLOOR.bound, color="black", linewidth=1, linestyle=":")
    axes.set_xlabel("megabytes (dotted: at most 64 beyond the data from a memory map)")


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    if arguments.task:
        print(json.dumps(child(json.loads(arguments.task))))
        return
    fewer = QUICK if arguments.quick else 1
    heads = {
        "fit": "",
        "rows": "d",
        "d": "d",
        "K": "d",
        "data MB": ".0f",
        BEYOND: ".1f",
        "seconds": ".2f",
        "floors": "",
    }
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        table = page.table("Peak memory", heads)
        (n, d, K), threads = IN_MEMORY, arguments.threads
        n //= fewer
        table.add(
            "whole default fit, rows in memory",
            n,
            d,
            K,
            n * d * 8 / MEGABYTE,
            *measured_in_memory((n, d, K), threads),
            "-",
        )
        n, d, K = MAPPED
        n //= fewer
        measured = measured_mapped((n, d, K), threads)
        names = [
            f"{ITERATIONS} plain iterations, rows in a memory map",
            "the same by GaussianMixture.fit",
            "whole fit with means_init, rows in a memory map",
        ]
        for name, found in zip(names, measured.values(), strict=True):
            verdict = page.check(name, *([] if arguments.quick else [(FLOOR, found[0])]))
            table.add(name, n, d, K, n * d * 8 / MEGABYTE, *found, verdict)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
