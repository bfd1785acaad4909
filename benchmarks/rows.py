"""What do missing entries, noise, t components, labels and errors cost, beside complete rows?

    python benchmarks/rows.py [--quick] [--tgmm PYTHON] [--threads 2] [--output FOLDER]

Five Gaussian groups in ten columns, 100,000 rows. ``missing``: a tenth of the entries of five
columns; ``missing everywhere``: a tenth of the entries of all columns, hundreds of groups of rows.
``noise``: a tenth of the rows uniform in the box. ``labels``: a tenth of the rows has a known
group. ``errors``: rows with one of eight errors of measurement. A fit is a default fit with its
search, the least of two; ``iterations`` are those of its best run on all rows.

With ``--tgmm``, a Python in which tgmm is installed (pip install torch tgmm), its EM for missing
entries is timed on the same rows, in a process of its own, from its default start to a relative
gain of 1e-8; the import of torch does not count. Ours are the default fit, and one start
(``n_init=1``), as tgmm makes one. The difference of the log-likelihoods is that of the default fit:
higher is better. It is stopped after two minutes, and its time is then at least that.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from frame.machine import thread_limit
from frame.page import Floor, Page, Table, dots, parser
from mixtura import GaussianMixture, StudentTMixture

ROWS, COLUMNS, K = 100_000, 10, 5
DATA = Path(__file__).parent.parent / "tests" / "truth" / "data"

FLOORS = {"missing": 5.0, "t": 2.0, "noise": 1.2, "labels": 1.2}
"""Largest time of a fit, in fits of the complete rows."""

LONGEST = 120.0
"""Seconds after which tgmm is stopped."""

TIMES_FASTER = Floor("tgmm / one start", 20.0)

THEIRS = """
import json, sys, time
import numpy as np, torch, tgmm
torch.set_num_threads(int(sys.argv[3]))
X = torch.tensor(np.load(sys.argv[1]))
model = tgmm.GaussianMixture(
    n_components=int(sys.argv[2]), missing="em", tol=1e-8, reg_covar=1e-9, max_iter=2000,
    random_state=0,
)
begin = time.perf_counter()
model.fit(X)
seconds = time.perf_counter() - begin
print(json.dumps([seconds, float(model.score_samples(X).sum()), int(model.n_iter_)]))
"""


def groups(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,d) of K groups with identity covariance, and the group of each (n,)."""
    rng = np.random.default_rng(seed)
    means = 3.0 * rng.standard_normal((K, d))
    z = rng.integers(K, size=n)
    return means[z] + rng.standard_normal((n, d)), z


def with_holes(X: np.ndarray, columns: int, seed: int = 1) -> np.ndarray:
    """A tenth of the entries of the first columns missing."""
    X = X.copy()
    X[:, :columns][np.random.default_rng(seed).random((len(X), columns)) < 0.1] = np.nan
    return X


def fits(n: int, threads: int) -> dict[str, Callable[[], Any]]:
    """The fits by name."""
    X, z = groups(n, COLUMNS)
    rng = np.random.default_rng(2)
    noisy, labels = X.copy(), np.where(rng.random(n) < 0.1, z, -1)
    some = rng.random(n) < 0.1
    noisy[some] = rng.uniform(X.min(axis=0), X.max(axis=0), (int(some.sum()), COLUMNS))
    errors = rng.uniform(0.1, 1.0, (8, COLUMNS))[rng.integers(8, size=n)]
    holes, everywhere = with_holes(X, COLUMNS // 2), with_holes(X, COLUMNS)
    common = {"n_components": K, "random_state": 0, "n_threads": threads}

    def gaussian(rows: np.ndarray, given: dict[str, Any], **known: Any) -> Callable[..., Any]:
        return lambda: GaussianMixture(**common | given).fit(rows, **known)

    return {
        "complete": gaussian(X, {}),
        "missing": gaussian(holes, {}),
        "missing everywhere": gaussian(everywhere, {}),
        "noise": gaussian(noisy, {"noise": "box"}),
        "t": lambda: StudentTMixture(**common).fit(X),
        "labels": gaussian(X, {}, labels=labels),
        "errors": gaussian(X, {}, measurement_covariance=errors),
        "missing, noise, labels": gaussian(
            with_holes(noisy, COLUMNS // 2), {"noise": "box"}, labels=labels
        ),
    }


def least_of_two(fit: Callable[[], Any]) -> tuple[float, Any]:
    """The least seconds of two fits, and the last one."""
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        model = fit()
        times.append(time.perf_counter() - begin)
    return min(times), model


def cost(page: Page, table: Table, n: int) -> None:
    """The rows of the first table."""
    run = fits(n, page.arguments.threads)
    whole = {name: least_of_two(fit) for name, fit in run.items()}
    base = whole["complete"][0]
    for name, (total, model) in whole.items():
        ratio = total / base
        floors = (
            [(Floor("times the complete fit", FLOORS[name], at_most=True), ratio)]
            if name in FLOORS and not page.arguments.quick
            else []
        )
        table.add(
            name,
            total,
            ratio,
            model.n_iter_,
            model.converged_,
            page.check(name, *floors),
        )


def theirs(python: str, X: np.ndarray, components: int, threads: int) -> tuple[float, float, int]:
    """Seconds, log-likelihood and iterations of tgmm."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, X)
        try:
            done = subprocess.run(
                [python, "-c", THEIRS, str(path), str(components), str(threads)],
                check=True,
                capture_output=True,
                text=True,
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired:
            return LONGEST, float("nan"), -1
    seconds, log_likelihood, n_iter = json.loads(done.stdout.splitlines()[-1])
    return seconds, log_likelihood, n_iter


def against_tgmm(page: Page, table: Table, name: str, X: np.ndarray, components: int) -> None:
    """One row of the second table."""
    threads, python = page.arguments.threads, page.arguments.tgmm
    default, model = least_of_two(
        lambda: GaussianMixture(components, random_state=0, n_threads=threads).fit(X)
    )
    one, _ = least_of_two(
        lambda: GaussianMixture(components, n_init=1, random_state=0, n_threads=threads).fit(X)
    )
    their_seconds, their_level = float("nan"), float("nan")
    floors = []
    if python:
        their_seconds, their_level, _ = theirs(python, X, components, threads)
        floors = [(TIMES_FASTER, their_seconds / one)]
    ours = model.result_.log_likelihood
    table.add(
        name,
        components,
        default,
        one,
        their_seconds,
        their_seconds / one,
        ours - their_level,
        page.check(name, *floors),
    )


def draw(table: Table, figure: Figure) -> None:
    """Plot the times of fits."""
    axes = figure.subplots()
    names = [str(row[0]) for row in table.rows]
    dots(axes, names, {"default fit": table.column("fit, times complete")})
    axes.set_xlabel("times that of complete rows")


def main() -> None:
    """Run the benchmark."""
    warnings.simplefilter("ignore")
    options = parser(__doc__)
    options.add_argument("--tgmm", help="a Python in which tgmm is installed")
    arguments = options.parse_args()
    n = 3_000 if arguments.quick else ROWS
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        table = page.table(
            f"{n:,} rows, {COLUMNS} columns, K = {K}, full covariances",
            {
                "rows": "",
                "fit s": ".2f",
                "fit, times complete": ".2f",
                "iterations": "d",
                "converged": "",
                "floors": "",
            },
        )
        cost(page, table, n)
        beside = page.table(
            "Missing entries beside tgmm",
            {
                "rows": "",
                "K": "d",
                "default fit s": ".3f",
                "one start s": ".4f",
                "tgmm s": ".3f",
                "tgmm / one start": ".1f",
                "log L - theirs": "+.4f",
                "floors": "",
            },
        )
        lines = (DATA / "faithful_missing.csv").read_text().splitlines()[1:]
        faithful = np.array(
            [[float(cell) if cell else np.nan for cell in line.split(",")[:2]] for line in lines]
        )
        against_tgmm(page, beside, "Old Faithful with holes, 272 x 2", faithful, 2)
        if not arguments.quick:
            X = with_holes(groups(ROWS, 8)[0], 8)
            against_tgmm(page, beside, "groups with holes, 100,000 x 8", X, K)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
