"""How long does a whole selection take, and what does it find, beside mclust's default run in the same minutes?

    python benchmarks/selection.py [--quick] [--sets faithful,diabetes] [--starts one,default] [--threads 2] [--output FOLDER]

Families with 1 .. 9 components, each cell from one start to its certified end, as mclust fits from its one; and from our default
starts. The seconds are the least of the repeats. ``groups`` is drawn: 5,000 rows of five overlapping groups in five columns.

mclust is called through Rscript (Debian: apt-get install r-base-core
r-cran-mclust); without it only our side is printed. Each side's best BIC is that of its best sound fit
(src/mixtura/soundness.py): for mclust its own best fits are read back and judged by the same rule. Lower is better; mclust's sign
is turned.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from frame.page import Floor, Page, Table, dots, parser
from mixtura import GaussianMixtureSelector
from mixtura.backends import backend_named
from mixtura.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.effective_parameters import soundness_of
from mixtura.families import FAMILIES, family_named
from mixtura.mixture import Mixture
from mixtura.moments import Scatter
from mixtura.regularisation import Regularisation
from mixtura.sources import ArraySource
from mixtura.survey import Survey

DATA = Path(__file__).parent.parent / "tests" / "truth" / "data"
SETS = {
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
    "groups": 5,
}
BEST_FITS_READ = 12

HEADS = {"set": "", "n x d": "", "mixtura s": ".1f", "mclust s": ".2f", "mixtura / mclust": ".1f"}
BESTS = {"mixtura best BIC": ".3f", "of": "", "mclust best BIC": ".3f", "of mclust": "", "mclust - mixtura": "+.3f", "floors": ""}
TITLES = {"one": "One start a cell (BIC: lower is better)", "default": "Default starts (BIC: lower is better)"}

THREE_TIMES = Floor("mixtura / mclust", 3.0, at_most=True)
FLOORS = {
    "faithful": THREE_TIMES,
    "diabetes": THREE_TIMES,
    "banknote": THREE_TIMES,
    "groups": Floor("mixtura / mclust", 1 / 3, at_most=True),
}

MCLUST = """
suppressMessages(library(mclust))
args <- commandArgs(TRUE)
X <- as.matrix(read.csv(args[1])[, seq_len(as.integer(args[2])), drop = FALSE])
seconds <- min(sapply(seq_len(as.integer(args[4])), function(i) system.time(fit <<- Mclust(X, verbose = FALSE))[["elapsed"]]))
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
    """A data set by name."""
    if name == "groups":
        rng = np.random.default_rng(0)
        groups = []
        for _ in range(5):
            mixing = np.eye(5) + 0.5 * rng.standard_normal((5, 5))
            groups.append(rng.standard_normal((1000, 5)) @ mixing + 2.5 * rng.standard_normal(5))
        return np.concatenate(groups)
    with (DATA / f"{name}.csv").open() as lines:
        return np.array([[float(value) for value in row[: SETS[name]]] for row in list(csv.reader(lines))[1:]])


def mclust(X: np.ndarray, repeats: int) -> tuple[float, float, str] | None:
    """Seconds, the best BIC of a sound fit, and its cell; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "mclust.R"
        script.write_text(MCLUST)
        rows = Path(folder) / "rows.csv"
        np.savetxt(rows, X, delimiter=",", header=",".join(f"x{j}" for j in range(X.shape[1])), comments="", fmt="%.17g")
        words = ["Rscript", str(script), str(rows), str(X.shape[1]), str(BEST_FITS_READ), str(repeats)]
        lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    seconds = float(lines[0].split()[1])
    survey = Survey(ArraySource(X), backend_named("auto", 1))
    d = X.shape[1]
    for line in lines[1:]:
        _, model, G, value, *numbers = line.split()
        K, values = int(G), np.array([float(number) for number in numbers])
        weights, means, covariances = values[:K], values[K : K + K * d].reshape(K, d), values[K + K * d :]
        family = family_named(model)
        mixture = Mixture(weights, means, in_form(family.needs, family.shares_all, covariances.reshape(K, d, d)))
        moments = survey.backend.moments(survey.source, mixture, family.needs)
        if soundness_of(survey, mixture, moments, family, Regularisation(survey.floor)).is_sound:
            return seconds, -float(value), f"{model} {K}"
    return seconds, float("nan"), f"all of the best {BEST_FITS_READ} are spurious"


def in_form(needs: Scatter, shared: bool, covariances: np.ndarray) -> Covariance:
    """Full matrices (K,d,d) as a family stores them."""
    K, values = len(covariances), np.ascontiguousarray(covariances[:1] if shared else covariances)
    diagonals = np.ascontiguousarray(np.einsum("kjj->kj", values))
    if needs is Scatter.TRACE:
        return Spherical(diagonals[:, 0].copy(), K, covariances.shape[1])
    return Diagonal(diagonals, K) if needs is Scatter.DIAGONAL else Dense(values, K)


def row(page: Page, table: Table, name: str, starts: int | None, repeats: int, seed: int, threads: int) -> None:
    """One data set."""
    X = rows_of(name)
    families = "all" if X.shape[1] > 1 else ["EII", "VII"]
    selector = GaussianMixtureSelector(range(1, 10), families=families, n_init=starts, random_state=seed, n_threads=threads)
    seconds = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        best = selector.fit(X).selection_.best
        seconds = min(seconds, time.perf_counter() - begin)
    assert best.family in FAMILIES
    theirs, value, cell = mclust(X, repeats) or (float("nan"), float("nan"), "-")
    ours = best.criterion, f"{best.family} {best.n_components}"
    floor = FLOORS.get(name) if starts == 1 else None
    verdict = page.judge(name, *([(floor, seconds / theirs)] if floor else []))
    table.add(
        name, f"{len(X)} x {X.shape[1]}", seconds, theirs, seconds / theirs, *ours, value, cell, value - best.criterion, verdict
    )


def draw(table: Table, figure: Figure) -> None:
    """Seconds of both."""
    axes = figure.subplots()
    labels = [f"{row[0]}, {row[1]}" for row in table.rows]
    dots(axes, labels, {"mixtura": table.column("mixtura s"), "mclust": table.column("mclust s")})
    axes.set_xlabel("seconds of the whole selection")


def main() -> None:
    """Print the tables."""
    options = parser(__doc__)
    options.add_argument("--sets", default=",".join(SETS))
    options.add_argument("--starts", default="one,default")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    sets, repeats = (["precip"], 1) if arguments.quick else (arguments.sets.split(","), arguments.repeats)
    with Page(__file__, __doc__, arguments) as page:
        tables = []
        for starts in arguments.starts.split(","):
            tables.append(page.table(TITLES[starts], HEADS | BESTS))
            for name in sets:
                row(page, tables[-1], name, 1 if starts == "one" else None, repeats, arguments.seed, arguments.threads)
        page.picture(lambda figure: draw(tables[0], figure))


if __name__ == "__main__":
    main()
