"""How long does a whole selection take, and what does it find, compared with mclust's default?

    python benchmarks/selection.py [--quick] [--sets "iris;wine"] [--repeats 1] [--threads 2]
        [--output FOLDER]

``mixtura fit FILE`` as typed at a prompt: a new process, 14 families with 1 .. 10 components;
certificates, tables and pictures are written. ``selection s`` is the selection alone, in this
process. mclust's ``Mclust()`` runs on the same rows right after it: 14 families with 1 .. 9
components, each from one start; starting R does not count. The times of the selection and of mclust
are the least of the repeats. ``groups`` is simulated: 5,000 rows of five overlapping groups in five
columns. ``spheres`` are Gaussians with identity covariance: 5 in 3 columns, and 6 in 10 columns.
Files are CSV, or Parquet above 50,000 rows.

mclust is called through Rscript (Debian: apt-get install r-base-core r-cran-mclust). Without it,
and where it would take more than a few minutes, only our results are printed. The best BIC of each
is that of its best sound fit (src/mixtura/model/soundness.py): mclust's own best fits are read back
and tested by the same rule. Lower is better; the sign of mclust's BIC is reversed.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pyarrow import table as pyarrow_table
from pyarrow.parquet import write_table as write_parquet
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from frame.page import Floor, Page, Table, dots, parser
from mixtura import GaussianMixtureSelector
from mixtura.backends import backend_named
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.em.effective_parameters import soundness_of
from mixtura.families import family_named
from mixtura.model.regularisation import Regularisation
from mixtura.model.selection import Stage
from mixtura.sources import ArraySource

DATA = Path(__file__).parent.parent / "tests" / "truth" / "data"
SETS = {
    "iris": 4,
    "wine": 13,
    "faithful": 2,
    "diabetes": 3,
    "banknote": 6,
    "eurounemp": 3,
    "acidity": 1,
    "precip": 1,
    "cross": 2,
    "ex4.1": 2,
    "ex4.4.1": 2,
    "chevron": 2,
    "breast cancer, 10": 10,
    "groups": 5,
    "breast cancer, 30": 30,
    "digits": 61,
    "spheres, 10": 10,
    "spheres, 3": 3,
}
TOO_LONG_FOR_MCLUST = ("breast cancer, 30", "digits", "spheres, 10", "spheres, 3")
BEST_FITS_READ = 12
"""Number of mclust's best fits that are tested for soundness."""

LARGEST_CSV = 50_000
"""Rows above which a Parquet file is written."""

HEADS = {
    "set": "",
    "n x d": "",
    "mixtura fit s": ".1f",
    "selection s": ".1f",
    "searched": "d",
    "mclust s": ".2f",
}
BESTS = {
    "mixtura best BIC": ".3f",
    "of": "",
    "mclust best BIC": ".3f",
    "of mclust": "",
    "mclust - mixtura": "+.3f",
    "floors": "",
}

START_UP = 2.0
"""Seconds allowed for the imports of a new process."""

TWICE = Floor("(mixtura fit - 2 s) / mclust", 2.0, at_most=True)
HALF = Floor("mixtura fit / mclust", 0.5, at_most=True)
A_MINUTE, THREE_MINUTES = (
    Floor("mixtura fit s", seconds, at_most=True) for seconds in (60.0, 180.0)
)
FLOORS = dict.fromkeys(("iris", "wine", "faithful", "diabetes", "banknote"), TWICE) | {
    "breast cancer, 10": HALF,
    "groups": HALF,
    "breast cancer, 30": A_MINUTE,
    "digits": THREE_MINUTES,
    "spheres, 10": A_MINUTE,
    "spheres, 3": A_MINUTE,
}

MCLUST = """
suppressMessages(library(mclust))
args <- commandArgs(TRUE)
X <- as.matrix(read.csv(args[1])[, seq_len(as.integer(args[2])), drop = FALSE])
once <- function(i) system.time(fit <<- Mclust(X, verbose = FALSE))[["elapsed"]]
seconds <- min(sapply(seq_len(as.integer(args[4])), once))
cat("seconds", seconds, "\\n")
cells <- which(!is.na(fit$BIC), arr.ind = TRUE)
values <- fit$BIC[cells]
order <- head(order(-values), as.integer(args[3]))
for (i in order) {
  model <- colnames(fit$BIC)[cells[i, 2]]; G <- as.integer(rownames(fit$BIC)[cells[i, 1]])
  one <- try(summary(fit$BIC, X, G = G, modelNames = model), silent = TRUE)
  if (inherits(one, "try-error") || is.null(one$parameters)) next
  p <- one$parameters
  pro <- if (is.null(p$pro)) 1 else p$pro
  cov <- if (ncol(X) == 1) rep_len(p$variance$sigmasq, G) else p$variance$sigma
  cat("fit", model, G, values[i], pro, p$mean, cov, "\\n")
}
"""


def rows_of(name: str) -> np.ndarray:
    """The rows of a data set, by name."""
    rng = np.random.default_rng(0)
    if name == "groups":
        groups = []
        for _ in range(5):
            mixing = np.eye(5) + 0.5 * rng.standard_normal((5, 5))
            groups.append(rng.standard_normal((1000, 5)) @ mixing + 2.5 * rng.standard_normal(5))
        return np.concatenate(groups)
    if name.startswith("spheres"):
        n, d, K, apart = (2_000_000, 3, 5, 3.0) if name.endswith(" 3") else (100_000, 10, 6, 2.0)
        means = apart * rng.standard_normal((K, d))
        return means[rng.integers(K, size=n)] + rng.standard_normal((n, d))
    if name in ("iris", "wine", "digits") or name.startswith("breast"):
        load = {"iris": load_iris, "wine": load_wine, "digits": load_digits}.get(
            name, load_breast_cancer
        )
        X = load().data
        return X[:, X.std(axis=0) > 0][:, : SETS[name]]
    with (DATA / f"{name}.csv").open() as lines:
        return np.array(
            [[float(value) for value in row[: SETS[name]]] for row in list(csv.reader(lines))[1:]]
        )


def command(X: np.ndarray, threads: int) -> float:
    """Seconds of ``mixtura fit``."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / ("rows.csv" if len(X) <= LARGEST_CSV else "rows.parquet")
        if len(X) <= LARGEST_CSV:
            np.savetxt(
                table,
                X,
                delimiter=",",
                header=",".join(f"x{j}" for j in range(X.shape[1])),
                comments="",
                fmt="%.17g",
            )
        else:
            write_parquet(pyarrow_table({f"x{j}": column for j, column in enumerate(X.T)}), table)
        words = [
            "fit",
            str(table),
            "--quiet",
            "--threads",
            str(threads),
            "--output",
            str(Path(folder) / "out"),
        ]
        begin = time.perf_counter()
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from mixtura.cli import main; sys.exit(main())",
                *words,
            ],
            check=True,
        )
        return time.perf_counter() - begin


def mclust(X: np.ndarray, repeats: int) -> tuple[float, float, str] | None:
    """Seconds, the best BIC of a sound fit, and its family and K; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "mclust.R"
        script.write_text(MCLUST)
        rows = Path(folder) / "rows.csv"
        np.savetxt(
            rows,
            X,
            delimiter=",",
            header=",".join(f"x{j}" for j in range(X.shape[1])),
            comments="",
            fmt="%.17g",
        )
        words = [
            "Rscript",
            str(script),
            str(rows),
            str(X.shape[1]),
            str(BEST_FITS_READ),
            str(repeats),
        ]
        lines = subprocess.run(
            words, check=True, capture_output=True, text=True
        ).stdout.splitlines()
    seconds = float(lines[0].split()[1])
    dataset = Dataset(ArraySource(X), backend_named("auto", 1))
    d = X.shape[1]
    for line in lines[1:]:
        _, model, G, value, *numbers = line.split()
        K, values = int(G), np.array([float(number) for number in numbers])
        weights, means, covariances = (
            values[:K],
            values[K : K + K * d].reshape(K, d),
            values[K + K * d :],
        )
        family = family_named(model)
        mixture = Mixture(
            weights, means, in_form(family.needs, family.shares_all, covariances.reshape(K, d, d))
        )
        moments = dataset.backend.moments(dataset.source, mixture, family.needs)
        if soundness_of(
            Problem(dataset, family, Regularisation(dataset.floor)), mixture, moments
        ).is_sound:
            return seconds, -float(value), f"{model} {K}"
    return seconds, float("nan"), f"all of the best {BEST_FITS_READ} are spurious"


def in_form(needs: Scatter, shared: bool, covariances: np.ndarray) -> Covariance:
    """Full matrices (K,d,d) in the form that a family stores."""
    K, values = len(covariances), np.ascontiguousarray(covariances[:1] if shared else covariances)
    diagonals = np.ascontiguousarray(np.einsum("kjj->kj", values))
    if needs is Scatter.TRACE:
        return Spherical(diagonals[:, 0].copy(), K, covariances.shape[1])
    return Diagonal(diagonals, K) if needs is Scatter.DIAGONAL else Dense(values, K)


def row(page: Page, table: Table, name: str, repeats: int, seed: int, threads: int) -> None:
    """Add the row of one data set."""
    X = rows_of(name)
    selector = GaussianMixtureSelector(random_state=seed, n_threads=threads)
    seconds = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        selection = selector.fit(X).selection_
        seconds = min(seconds, time.perf_counter() - begin)
    whole = command(X, threads)
    missing = (float("nan"), float("nan"), "-")
    theirs, value, cell = missing if name in TOO_LONG_FOR_MCLUST else mclust(X, repeats) or missing
    best, searched = selection.best, sum(c.stage is Stage.SEARCHED for c in selection.candidates)
    floor = FLOORS.get(name)
    measured = (
        {TWICE: (whole - START_UP) / theirs, HALF: whole / theirs}.get(floor, whole)
        if floor
        else whole
    )
    verdict = page.check(name, *([(floor, measured)] if floor and measured == measured else []))
    ours = best.criterion, f"{best.family} {best.n_components}"
    table.add(
        name,
        f"{len(X)} x {X.shape[1]}",
        whole,
        seconds,
        searched,
        theirs,
        *ours,
        value,
        cell,
        value - best.criterion,
        verdict,
    )


def draw(table: Table, figure: Figure) -> None:
    """Plot the seconds of both."""
    axes = figure.subplots()
    labels = [f"{row[0]}, {row[1]}" for row in table.rows]
    dots(
        axes,
        labels,
        {"mixtura fit": table.column("mixtura fit s"), "mclust": table.column("mclust s")},
    )
    axes.set_xlabel("seconds")
    axes.set_xscale("log")


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--sets", default=";".join(SETS), help="names separated by semicolons")
    options.add_argument("--repeats", type=int, default=1)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    sets, repeats = (
        (["precip"], 1) if arguments.quick else (arguments.sets.split(";"), arguments.repeats)
    )
    with Page(__file__, __doc__, arguments) as page:
        table = page.table("Whole selections (BIC: lower is better)", HEADS | BESTS)
        for name in sets:
            row(page, table, name, repeats, arguments.seed, arguments.threads)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
