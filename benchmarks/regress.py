"""How long does it take to predict by a mixture, beside gmr?

    python benchmarks/regress.py [--quick] [--gmr PYTHON] [--threads 2] [--output FOLDER]

A mixture of ten free Gaussians in eight columns, drawn at random, and 100,000 rows of it.
``predict`` is the expected value of the last columns given the others, for all rows. ``condition``
is the whole conditional mixture of every row: its weights, means and covariances. Nothing is
fitted: both have the same parameters.

With ``--gmr``, a Python in which gmr is installed (pip install gmr), its ``GMM.predict`` and
``GMM.condition`` are timed on the same rows, in a process of its own, on as many processors. gmr
predicts all rows at once, and conditions on one row at a time: that is timed on the first 500 rows.
A script stops where its predictions, or the weights and means of its conditional mixtures, differ
from ours by more than a relative 1e-9. Times are medians of five calls.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from frame.machine import thread_limit
from frame.page import Floor, Page, Table, dots, parser
from mixtura import Mixture, MixtureRegressor

ROWS, COLUMNS, K = 100_000, 8, 10
TARGETS = (1, 2, 4)
REPEATS, ROWS_ONE_BY_ONE = 5, 500
SAME = 1e-9

FASTER = Floor("gmr / ours, predict", 10.0)

THEIRS = """
import json, sys, time
import numpy as np, gmr
folder, targets, repeats, few = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
weights, means, covariances, X = (
    np.load(f"{folder}/{name}.npy") for name in ("weights", "means", "covariances", "X")
)
model = gmr.GMM(len(weights), priors=weights, means=means, covariances=covariances)
given = np.arange(X.shape[1] - targets)
rows = np.ascontiguousarray(X[:, given])

def median(call):
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - begin)
    return float(np.median(times)), answer

predict, means = median(lambda: model.predict(given, rows))
condition, mixtures = median(lambda: [model.condition(given, row) for row in rows[:few]])
np.save(f"{folder}/predicted.npy", means)
np.save(f"{folder}/shares.npy", [one.priors for one in mixtures])
np.save(f"{folder}/located.npy", [one.means for one in mixtures])
print(json.dumps([predict, condition / few]))
"""


def joint_mixture(seed: int = 0) -> Mixture:
    """Ten Gaussians in eight columns that overlap."""
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((K, COLUMNS, COLUMNS))
    covariances = roots @ np.swapaxes(roots, 1, 2) / COLUMNS + 0.3 * np.eye(COLUMNS)
    return Mixture.from_parameters(
        rng.dirichlet(np.full(K, 5.0)), 2.0 * rng.standard_normal((K, COLUMNS)), covariances
    )


def median(call: Callable[[], object]) -> float:
    """The median seconds of some calls."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def theirs(
    python: str, joint: Mixture, X: np.ndarray, targets: int, threads: int
) -> tuple[float, float]:
    """Seconds of a prediction of all rows, and of the condition on one row, of gmr.

    Its answers must be ours.
    """
    given = np.arange(COLUMNS - targets)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        arrays = {
            "weights": joint.weights,
            "means": joint.means,
            "covariances": joint.covariance.dense(),
            "X": X,
        }
        for name, array in arrays.items():
            np.save(Path(folder) / f"{name}.npy", array)
        numbers = map(str, (targets, REPEATS, ROWS_ONE_BY_ONE))
        done = subprocess.run(
            [python, "-c", THEIRS, folder, *numbers],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **limits},
        )
        predicted, shares, located = (
            np.load(Path(folder) / f"{name}.npy") for name in ("predicted", "shares", "located")
        )
    regressor = MixtureRegressor.from_mixture(joint, list(range(COLUMNS - targets, COLUMNS)))
    np.testing.assert_allclose(regressor.predict(X[:, given]), predicted, rtol=SAME, atol=SAME)
    at = joint.condition(given, X[: len(shares), given])
    np.testing.assert_allclose(at.weights, shares, rtol=SAME, atol=SAME)
    np.testing.assert_allclose(at.means, located, rtol=SAME, atol=SAME)
    predict, condition = json.loads(done.stdout.splitlines()[-1])
    return predict, condition


def compare(page: Page, table: Table, n: int) -> None:
    """The rows of the table."""
    joint, python = joint_mixture(), page.arguments.gmr
    X = joint.rvs(n, random_state=1)
    for targets in TARGETS:
        given = np.arange(COLUMNS - targets)
        rows = np.ascontiguousarray(X[:, given])
        regressor = MixtureRegressor.from_mixture(joint, list(range(COLUMNS - targets, COLUMNS)))
        their_predict = their_condition = float("nan")
        floors = []
        if python:
            their_predict, their_condition = theirs(
                python, joint, X, targets, page.arguments.threads
            )
        predict = median(lambda regressor=regressor, rows=rows: regressor.predict(rows))
        condition = median(lambda given=given, rows=rows: joint.condition(given, rows)) / n
        if python and not page.arguments.quick:
            floors = [(FASTER, their_predict / predict)]
        table.add(
            f"{targets} of {COLUMNS}",
            1e3 * predict,
            1e3 * their_predict,
            their_predict / predict,
            1e6 * condition,
            1e6 * their_condition,
            their_condition / condition,
            page.check(f"{targets} targets", *floors),
        )


def draw(table: Table, figure: Figure) -> None:
    """Plot the times of predictions."""
    axes = figure.subplots()
    names = [str(row[0]) for row in table.rows]
    heads = {"mixtura": "our predict ms", "gmr": "gmr's predict ms"}
    dots(axes, names, {name: table.column(head) for name, head in heads.items()})
    axes.set_xlabel("milliseconds of a prediction of all rows")


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--gmr", help="a Python in which gmr is installed")
    arguments = options.parse_args()
    if hasattr(os, "sched_setaffinity"):  # our densities take every processor they may
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    n = 2_000 if arguments.quick else ROWS
    with thread_limit(arguments.threads), Page(__file__, __doc__, arguments) as page:
        table = page.table(
            f"{n:,} rows, {COLUMNS} columns, K = {K}, full covariances",
            {
                "targets": "",
                "our predict ms": ".2f",
                "gmr's predict ms": ".1f",
                "gmr / ours": ".1f",
                "our condition, µs a row": ".3f",
                "gmr's condition, µs a row": ".0f",
                "gmr / ours, condition": ".0f",
                "floors": "",
            },
        )
        compare(page, table, n)
        page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
