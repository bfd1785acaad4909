"""How long does a whole selection take, and what does it find, beside mclust's default run in the same minutes?

    python benchmarks/selection.py [--quick] [--sets faithful,diabetes] [--threads 2] [--output FOLDER]

All families with 1 .. 9 components from our default starts. mclust is called through Rscript (Debian: apt-get install r-base-core
r-cran-mclust); without it only our side is printed. Each side's best BIC is that of its best fit without a degenerate component
(src/mixtura/degeneracy.py): for mclust its own best fits are read back and judged by the same rule. Lower is better; mclust's sign
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

from frame.page import Page, Table, dots, parser
from mixtura import GaussianMixtureSelector
from mixtura.backends import backend_named
from mixtura.covariance import Dense
from mixtura.degeneracy import degenerate_components
from mixtura.families import FAMILIES, family_named
from mixtura.mixture import Mixture
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
}
BEST_FITS_READ = 12

HEADS = {"set": "", "n x d": "", "mixtura s": ".1f", "mclust s": ".2f", "mixtura / mclust": ".1f"}
BESTS = {"mixtura best BIC": ".3f", "of": "", "mclust best BIC": ".3f", "of mclust": "", "mclust - mixtura": "+.3f"}

MCLUST = """
suppressMessages(library(mclust))
args <- commandArgs(TRUE)
X <- as.matrix(read.csv(args[1])[, seq_len(as.integer(args[2])), drop = FALSE])
seconds <- system.time(fit <- Mclust(X, verbose = FALSE))[["elapsed"]]
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


def mclust(name: str, X: np.ndarray) -> tuple[float, float, str] | None:
    """Seconds, the best BIC without a degenerate component, and its cell; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "mclust.R"
        script.write_text(MCLUST)
        words = ["Rscript", str(script), str(DATA / f"{name}.csv"), str(X.shape[1]), str(BEST_FITS_READ)]
        lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    seconds = float(lines[0].split()[1])
    survey = Survey(ArraySource(X), backend_named("auto", 1))
    d = X.shape[1]
    for line in lines[1:]:
        _, model, G, value, *numbers = line.split()
        K, values = int(G), np.array([float(number) for number in numbers])
        weights, means, covariances = values[:K], values[K : K + K * d].reshape(K, d), values[K + K * d :]
        mixture = Mixture(weights, means, Dense(np.ascontiguousarray(covariances.reshape(K, d, d)), K))
        if not degenerate_components(mixture, family_named(model), Regularisation(survey.scale), survey):
            return seconds, -float(value), f"{model} {K}"
    return seconds, float("nan"), f"all of the best {BEST_FITS_READ} are degenerate"


def row(table: Table, name: str, seed: int, threads: int) -> None:
    """One data set."""
    d = SETS[name]
    with (DATA / f"{name}.csv").open() as lines:
        X = np.array([[float(value) for value in row[:d]] for row in list(csv.reader(lines))[1:]])
    begin = time.perf_counter()
    families = "all" if d > 1 else ["EII", "VII"]
    selector = GaussianMixtureSelector(range(1, 10), families=families, random_state=seed, n_threads=threads)
    best = selector.fit(X).selection_.best
    seconds = time.perf_counter() - begin
    assert best.family in FAMILIES
    theirs, value, cell = mclust(name, X) or (float("nan"), float("nan"), "-")
    ours = best.criterion, f"{best.family} {best.n_components}"
    table.add(name, f"{len(X)} x {d}", seconds, theirs, seconds / theirs, *ours, value, cell, value - best.criterion)


def draw(table: Table, figure: Figure) -> None:
    """Seconds of both."""
    axes = figure.subplots()
    labels = [f"{row[0]}, {row[1]}" for row in table.rows]
    dots(axes, labels, {"mixtura": table.column("mixtura s"), "mclust": table.column("mclust s")})
    axes.set_xlabel("seconds of the whole selection")


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--sets", default=",".join(SETS))
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    with Page(__file__, __doc__, arguments) as page:
        table = page.table("Default selections (BIC: lower is better)", HEADS | BESTS)
        for name in ["precip"] if arguments.quick else arguments.sets.split(","):
            row(table, name, arguments.seed, arguments.threads)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
