"""Does a fit reach the best known optimum, and is the clustering a good one?

    python benchmarks/optima.py [--quick] [--sets faithful,S1] [--seeds 10] [--jobs 2]
        [--update SECONDS] [--output FOLDER]

Compared with scikit-learn, and with mclust where R is installed.

*Best known score.* The data sets are those of benchmarks/frame/sets.py: classic suites simulated
after their descriptions and hard cases, each with its number of components, and the published data
sets of the tests with 2 .. 6 components. The families are VVV and the one with the lowest BIC. The
table benchmarks/optima_best.json holds the highest score (src/mixtura/model/soundness.py) found by
any method (benchmarks/frame/long_search.py); ``--update SECONDS`` searches for that long for each
entry and only replaces it by a higher one. Every fit is polished under the same variance floor to
the same tight tolerance. It has reached the optimum when its score is at most 0.01 below. This is
required up to the K that BIC chooses from the table. Above that K there are many optima of nearly
the same score; there a fit must be sound and at most 5 below. scikit-learn's GaussianMixture only
has VVV, EEE, VVI and VII. It runs with one start and with ten, from two seeds where rows times
components exceed 20,000. Sets with 100 components are in the table, but not on this page by
default.

*K by BIC.* K = 1 .. 7 with full covariances, each fitted in a plain loop: by mixtura, by
scikit-learn with one start and with ten, and by mclust's VVV; and our selector, over VVV and, for
elongated groups, over all families. The data are elongated groups (20 draws each), rare clusters
and a single Gaussian (10 draws each).

*Groups in many columns.* Spherical groups with few rows for the parameters of a full covariance, at
the true K: the mean adjusted Rand index over five draws. Groups nine or more standard deviations
apart must be found.

*Classes and held-out rows.* At the known number of classes: the adjusted Rand index, and the log
density of held-out rows (five folds; uniform noise as wide as the recording step of each column is
added to the held-out rows).
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from math import log
from multiprocessing import get_context

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as SklearnMixture

from frame.best_known import BestFit, BestKnown, Evaluator, evaluator, families_of
from frame.contenders import SKLEARN_TYPES
from frame.long_search import long_search
from frame.machine import thread_limit
from frame.page import MARKERS, Floor, Page, Table, parser
from frame.sets import DATA, NAMES, OPEN, STRETCHED, data_set, rare_among_two, round_groups
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.base.errors import CollapseError
from mixtura.data.recorded_step import recorded_step
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.parametrisation import stored_covariances
from mixtura.families import family_named

SEEDS, DRAWS, FEWER_DRAWS, WIDE_DRAWS, FOLDS = 10, 20, 10, 5, 5
LARGE, FEW_SEEDS = 20_000, 2
MEASURED = tuple(name for name in NAMES if not name.startswith("Birch"))
WITHIN = 5.0
"""Difference to the best known score that is accepted above the K that BIC chooses."""

KS = range(1, 8)
QUICK = ("faithful", "local-optimum")
SAME_BITS = (("faithful", "VVV", 3), ("S1", "EII", 15), ("rare-component", "VVV", 2))
"""Data sets with few rows, with more, and with enough that a subsample is searched."""

REACHED, SOUND = Floor("% reached", 95.0), Floor("% sound and within 5", 75.0)
RIGHT = Floor("right", 0.95)

OURS, TEN, ONE = CONTENDERS = ("mixtura", "scikit-learn n_init=10", "scikit-learn n_init=1")
HEADS = {
    "set": "",
    "n x d": "",
    "K by BIC": "",
    "runs": "d",
    "ms a fit": ".0f",
    **{f"{name} %": ".0f" for name in CONTENDERS},
    "runs above": "d",
    "sound, within 5 %": ".0f",
    "floors": "",
}
MISSED = {
    "set": "",
    "family": "",
    "K": "d",
    "reached": "",
    "mean gap": ".3g",
    "best known": ".3f",
    "found by": "",
}
CHOSEN = {
    "data": "",
    "right K": "d",
    "draws": "d",
    "who": "",
    "right": "d",
    "chosen": "",
    "floors": "",
}
MANY_COLUMNS = {
    "n x d": "",
    "K": "d",
    "deviations apart": "g",
    "rows a parameter": ".2f",
    **dict.fromkeys(CONTENDERS, ".3f"),
    "floors": "",
}
FOUND = Floor("mean index", 0.99)
APART = 9.0
"""Groups this many standard deviations apart must be found."""
GOOD = {"data": "", "n x d": "", "K": "d", "who": "", "ARI": ".3f", "held-out a row": ".3f"}


# ---- best known score ----------------------------------------------------------------------------


@dataclass(frozen=True)
class SeedResult:
    """The result of one contender with one seed."""

    seconds: float
    missing: float
    sound: bool

    @property
    def reached(self) -> bool:
        """Whether the fit is at the best known optimum."""
        return self.missing < 0.01

    @property
    def good(self) -> bool:
        """Whether the fit is sound, and its score close to the best known one."""
        return self.sound and self.missing < WITHIN


@dataclass(frozen=True)
class CellResult:
    """One data set, family and K: the results of each contender."""

    best: BestFit
    above: bool
    runs: Mapping[str, list[SeedResult]]


def ours(X: np.ndarray, family: str, K: int, seed: int) -> Mixture:
    """A default fit of ours."""
    fit: GaussianMixture = GaussianMixture(
        K, covariance_type=family, random_state=seed, n_threads=1
    ).fit(X)
    return fit.result_.mixture


def theirs(X: np.ndarray, family: str, K: int, seed: int, n_init: int) -> Mixture:
    """A fit of scikit-learn's."""
    fit = SklearnMixture(
        K, covariance_type=SKLEARN_TYPES[family], n_init=n_init, random_state=seed
    ).fit(X)
    return Mixture(
        fit.weights_, fit.means_, stored_covariances(family, fit.covariances_, K, X.shape[1])
    )


def evaluated(own: Evaluator, best: BestFit, fit: Callable[[], Mixture]) -> SeedResult:
    """Time a fit by processor time, polish it and compare its score with the best known one."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            mixture = fit()
            seconds = time.process_time() - begin
            end = own.polished_if_near(mixture, best.family, best.score)
        except (ValueError, CollapseError):
            return SeedResult(time.process_time() - begin, float("inf"), False)
    missing = best.missing(end)
    return SeedResult(seconds, float("inf") if np.isnan(missing) else missing, end.is_sound)


def measured(key: tuple[str, str, int], above: bool, seeds: int) -> CellResult:
    """The results of all contenders for one data set, family and K."""
    name, family, K = key
    with thread_limit(1):
        own, best = evaluator(name), BestKnown.read().entries[key]
        X = own.data.rows
        runs = {
            OURS: [
                evaluated(own, best, lambda seed=seed: ours(X, family, K, seed))
                for seed in range(seeds)
            ]
        }
        for who, n_init in ((TEN, 10), (ONE, 1)):
            if family in SKLEARN_TYPES:
                own_seeds = range(seeds if len(X) * K <= LARGE else min(seeds, FEW_SEEDS))
                runs[who] = [
                    evaluated(own, best, lambda s=s, m=n_init: theirs(X, family, K, s, m))
                    for s in own_seeds
                ]
    return CellResult(best, above, runs)


def k_by_bic(name: str, family: str, entries: Mapping[tuple[str, str, int], BestFit]) -> int:
    """The K with the lowest BIC among the best known optima of one family. Simulated sets have only
    the K of their groups.
    """
    n, d = data_set(name).rows.shape
    known = {K: best for (own, its, K), best in entries.items() if own == name and its == family}
    return min(
        known,
        key=lambda K: (
            -2 * known[K].log_likelihood + family_named(family).n_parameters(K, d) * log(n)
        ),
    )


def success_tables(page: Page, names: Sequence[str], seeds: int, jobs: int) -> Table:
    """How often the best known score is reached, for each data set and in total, and where not
    always; returns the first table.
    """
    entries = BestKnown.read().entries
    keys = [
        key for name in names for key in entries if key[0] == name and key[1] in families_of(name)
    ]
    above = [k_by_bic(name, family, entries) < K for name, family, K in keys]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        cells = list(pool.map(measured, keys, above, [seeds] * len(keys)))
    table = page.table("The best known score", HEADS)
    for name in names:
        _row(page, table, name, [cell for cell in cells if cell.best.name == name])
    _row(page, table, "in families of scikit-learn", [cell for cell in cells if TEN in cell.runs])
    _row(page, table, "all", cells, check=True)
    missed = page.table(
        "Up to the K of BIC: where the best known score is not always reached", MISSED
    )
    for cell in cells:
        runs = cell.runs[OURS]
        if not cell.above and not all(run.reached for run in runs):
            gap = float(
                np.mean([run.missing for run in runs if np.isfinite(run.missing)] or [np.inf])
            )
            reached = f"{sum(run.reached for run in runs)} of {len(runs)}"
            missed.add(*cell.best.key, reached, gap, cell.best.score, cell.best.found_by)
    higher = [
        (-run.missing, *cell.best.key)
        for cell in cells
        for runs in cell.runs.values()
        for run in runs
        if run.missing < -0.01
    ]
    if higher:
        page.note(
            f"{len(higher)} fits are above the table, by up to {max(higher)[0]:.3g} "
            f"({max(higher)[1:]}): run with --update."
        )
    return table


def _row(
    page: Page, table: Table, name: str, cells: Sequence[CellResult], check: bool = False
) -> None:
    """Add the row of some cells: of one data set, or of all."""
    up_to, above = (
        [cell for cell in cells if not cell.above],
        [cell for cell in cells if cell.above],
    )

    def share(group: Sequence[CellResult], who: str, what: str) -> float:
        values = [getattr(run, what) for cell in group for run in cell.runs.get(who, [])]
        return 100.0 * float(np.mean(values)) if values else float("nan")

    one = len({cell.best.name for cell in cells}) == 1
    shape = "{} x {}".format(*data_set(name).rows.shape) if one and name in NAMES else None
    picked = (
        ", ".join(
            f"{family} {max(c.best.n_components for c in up_to if c.best.family == family)}"
            for family in dict.fromkeys(cell.best.family for cell in up_to)
        )
        if one
        else None
    )
    reached, good = share(up_to, OURS, "reached"), share(above, OURS, "good")
    table.add(
        name,
        shape,
        picked,
        sum(len(cell.runs[OURS]) for cell in up_to),
        1000 * float(np.median([run.seconds for cell in cells for run in cell.runs[OURS]])),
        *(share(up_to, who, "reached") for who in CONTENDERS),
        sum(len(cell.runs[OURS]) for cell in above),
        good,
        page.check(name, (REACHED, reached), (SOUND, good)) if check else "-",
    )


# ---- K by BIC ------------------------------------------------------------------------------------


def loop(fit: Callable[[int], GaussianMixture | SklearnMixture], X: np.ndarray) -> int:
    """The K with the lowest BIC, from one fit for each K."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return min(KS, key=lambda K: float(fit(K).fit(X).bic(X)))


def selected(families: str | Sequence[str]) -> Callable[[np.ndarray, int], int]:
    """A function of rows and seed that returns the K chosen by our selector."""

    def choose(X: np.ndarray, seed: int) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            selector = GaussianMixtureSelector(
                KS, families=families, random_state=seed, n_threads=1
            ).fit(X)
            return int(selector.selection_.best.n_components)

    return choose


ALL = "mixtura selector, all families"
CHOOSERS: dict[str, Callable[[np.ndarray, int], int]] = {
    OURS: lambda X, seed: loop(lambda K: GaussianMixture(K, random_state=seed, n_threads=1), X),
    TEN: lambda X, seed: loop(lambda K: SklearnMixture(K, n_init=10, random_state=seed), X),
    ONE: lambda X, seed: loop(lambda K: SklearnMixture(K, random_state=seed), X),
    "mixtura selector, VVV": selected(["VVV"]),
    ALL: selected("all"),
}


def by_mclust(sets: Sequence[np.ndarray]) -> list[int]:
    """The K with the lowest BIC by mclust's VVV and its own start, for some data sets; an empty
    list where R is not installed.
    """
    if shutil.which("Rscript") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        for i, X in enumerate(sets):
            np.savetxt(f"{folder}/{i}.csv", X, delimiter=",")
        code = (
            "suppressMessages(library(mclust)); "
            f"for (i in 0:{len(sets) - 1}) {{ X <- as.matrix(read.csv(sprintf('{folder}/%d.csv', "
            "i), header = FALSE)); "
            f"b <- mclustBIC(X, G = {KS[0]}:{KS[-1]}, modelNames = if (ncol(X) > 1) 'VVV' else "
            "'V', verbose = FALSE); "
            "cat(rownames(b)[which.max(b[, 1])], '\\n') }"
        )
        done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def cases(draws: int) -> Iterator[tuple[str, int, list[np.ndarray], Floor | None]]:
    """Name, true K, draws, and the floor for mixtura."""
    fewer = min(draws, FEWER_DRAWS)
    for name, (K, draw) in STRETCHED.items():
        yield name, K, [draw(seed)[0] for seed in range(draws)], RIGHT
    for d, few in ((2, 7), (3, 8), (5, 14), (6, 16), (8, 24)):
        yield (
            f"{few} rows beside 230, d = {d}",
            3,
            [rare_among_two(d, few, seed)[0] for seed in range(fewer)],
            None,
        )
    for d, n in ((3, 60), (8, 200)):
        yield (
            f"one cloud, {n} x {d}",
            1,
            [np.random.default_rng(seed).standard_normal((n, d)) for seed in range(fewer)],
            RIGHT,
        )


def right_k(page: Page, draws: int, jobs: int) -> None:
    """How often BIC chooses the true number of groups."""
    table = page.table("The number of groups by BIC", CHOSEN)
    quick = page.arguments.quick
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for name, K, sets, floor in islice(cases(draws), 1 if quick else None):
            takes_part = (
                (OURS, ONE)
                if quick
                else [who for who in CHOOSERS if name in STRETCHED or who != ALL]
            )
            for who in takes_part:
                chosen = list(pool.map(_chosen, [who] * len(sets), sets, range(len(sets))))
                _tally(
                    page, table, name, K, who, chosen, floor if who.startswith("mixtura") else None
                )
            chosen = by_mclust(sets)
            if chosen:
                _tally(page, table, name, K, "mclust, VVV", chosen, None)


def _chosen(who: str, X: np.ndarray, seed: int) -> int:
    """The K that one contender chooses."""
    with thread_limit(1):
        return CHOOSERS[who](X, seed)


def _tally(
    page: Page, table: Table, name: str, K: int, who: str, chosen: list[int], floor: Floor | None
) -> None:
    """Add the row of one contender on one kind of data."""
    right = chosen.count(K)
    verdict = page.check(f"{name}, {who}", (floor, right / len(chosen))) if floor else "-"
    table.add(
        name,
        K,
        len(chosen),
        who,
        right,
        ", ".join(f"{k}: {chosen.count(k)}" for k in sorted(set(chosen))),
        verdict,
    )


# ---- many columns --------------------------------------------------------------------------------


WIDE = (
    (300, 16, 3, 9.0),
    (300, 16, 3, 6.0),
    (200, 20, 3, 9.0),
    (500, 24, 3, 9.0),
    (300, 32, 3, 22.0),
    (300, 32, 3, 11.0),
    (300, 32, 3, 6.0),
    (1000, 32, 3, 6.0),
    (1000, 32, 10, 11.0),
    (3000, 32, 10, 6.0),
    (1000, 8, 10, 6.0),
    (100, 300, 2, 17.0),
)
"""Rows, columns, groups, and the mean distance between two of them."""


def many_columns(page: Page, draws: int, jobs: int) -> None:
    """Whether groups are found where there are few rows for the number of columns."""
    table = page.table("Groups in many columns", MANY_COLUMNS)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for n, d, K, apart in islice(WIDE, 1 if page.arguments.quick else None):
            found = list(
                pool.map(
                    _indices, *zip(*[(n, d, K, apart, seed) for seed in range(draws)], strict=True)
                )
            )
            means = dict(zip(CONTENDERS, np.mean(found, axis=0).tolist(), strict=True))
            name = f"{n} x {d}, K = {K}, {apart:g} apart"
            verdict = page.check(name, (FOUND, means[OURS])) if apart >= APART else "-"
            table.add(
                f"{n} x {d}",
                K,
                apart,
                n / family_named("VVV").n_parameters(K, d),
                *means.values(),
                verdict,
            )


def _indices(n: int, d: int, K: int, apart: float, seed: int) -> list[float]:
    """The adjusted Rand index of each contender on one draw."""
    X, groups = round_groups(n, d, K, apart, seed)
    with thread_limit(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            float(adjusted_rand_score(groups, make(K).fit(X).predict(X)))
            for make in MAKERS.values()
        ]


MAKERS: dict[str, Callable[[int], GaussianMixture | SklearnMixture]] = {
    OURS: lambda K: GaussianMixture(K, random_state=0, n_threads=1),
    TEN: lambda K: SklearnMixture(K, n_init=10, random_state=0),
    ONE: lambda K: SklearnMixture(K, random_state=0),
}


# ---- classes and held-out rows -------------------------------------------------------------------


def classified() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Well-known data with known classes, and two simulated sets."""
    for name, load in (
        ("iris", load_iris),
        ("wine", load_wine),
        ("breast cancer", load_breast_cancer),
    ):
        X, y = load(return_X_y=True)
        yield name, X, y
    for name in ("banknote", "diabetes"):
        with (DATA / f"{name}.csv").open() as file:
            head, *lines = csv.reader(file)
        labels = np.unique([line[head.index("label")] for line in lines], return_inverse=True)[1]
        yield name, data_set(name).rows, labels
    for d, few in ((3, 8), (6, 16)):
        yield f"{few} rows beside 230, d = {d}", *rare_among_two(d, few, 0)


def class_table(page: Page) -> None:
    """Classes and held-out rows at the known number of classes, full covariances."""
    table = page.table("At the known number of classes", GOOD)
    for name, X, classes in islice(classified(), 1 if page.arguments.quick else None):
        K = len(np.unique(classes))
        for who, make in MAKERS.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                agreement = float(adjusted_rand_score(classes, make(K).fit(X).predict(X)))
                table.add(
                    name,
                    "{} x {}".format(*X.shape),
                    K,
                    who,
                    agreement,
                    held_out(X, lambda K=K, make=make: make(K)),
                )


def held_out(X: np.ndarray, make: Callable[[], GaussianMixture | SklearnMixture]) -> float:
    """Mean log density of held-out rows over the folds, with uniform noise as wide as the recording
    step of each column.
    """
    rng = np.random.default_rng(7)
    order, steps = rng.permutation(len(X)), np.array([recorded_step(column) for column in X.T])
    scores = []
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        fit = make().fit(X[np.setdiff1d(order, test)])
        scores += [
            fit.score(X[test] + rng.uniform(-0.5, 0.5, (len(test), X.shape[1])) * steps)
            for _ in range(10)
        ]
    return float(np.mean(scores))


# ---- the page ------------------------------------------------------------------------------------


def assert_same_bits() -> None:
    """Assert that the result does not depend on the number of threads."""
    for name, family, K in SAME_BITS:
        fits = [
            GaussianMixture(K, covariance_type=family, random_state=1, n_threads=threads).fit(
                data_set(name).rows
            )
            for threads in (1, 2)
        ]
        for what in ("weights_", "means_", "covariances_"):
            assert np.array_equal(*(getattr(fit, what) for fit in fits)), (
                f"{name}, {family}, {K}: {what} differs between one and two threads"
            )


def draw(table: Table, figure: Figure) -> None:
    """Plot how often each contender reaches the best known score: published data sets on the left,
    simulated ones on the right.
    """
    rows = [
        (row[0], [row[list(HEADS).index(f"{who} %")] for who in CONTENDERS]) for row in table.rows
    ]
    sides = [[row for row in rows if row[0] in OPEN], [row for row in rows if row[0] not in OPEN]]
    from mixtura.plots import GREY, PALE, PALETTE

    for axes, side in zip(np.atleast_1d(figure.subplots(1, 2)), sides, strict=True):
        places = np.arange(len(side))
        for i, who in enumerate(CONTENDERS):
            at = places + 0.22 * (i - 1)
            shown = [values[i] for _, values in side]
            axes.plot(
                shown,
                at,
                linestyle="",
                color=PALETTE[i],
                marker=MARKERS[i],
                markersize=5,
                label=who,
            )
        axes.axvline(REACHED.bound, color=GREY, linewidth=0.8, linestyle="--")
        axes.set_yticks(places, [name for name, _ in side], fontsize=7)
        axes.set(
            xlim=(-3, 103),
            ylim=(len(side) - 0.5, -0.5),
            xlabel="% of fits at the best known score, up to the K of BIC",
        )
        axes.grid(color=PALE, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].legend(loc="center left", frameon=True, edgecolor=PALE, fontsize=8)


def update(names: Sequence[str], seconds: float) -> None:
    """Search for better optima, and print which entries rose."""
    table = BestKnown.read()
    for name in names:
        for family in families_of(name):
            for K in data_set(name).ks:
                raised = long_search(name, family, K, table, seconds)
                best = table.entries.get((name, family, K))
                known = "none" if best is None else f"{best.score:.6f} by {best.found_by}"
                new = "; ".join(f"+{gain:.3g} by {words}" for words, gain in raised)
                print(
                    f"{name} {family} {K}: {known}{f' (raised: {new})' if new else ''}", flush=True
                )
                table.write()


def main() -> None:
    """Run the benchmark, or update the table of best known optima."""
    options = parser(__doc__, threads=1)
    options.add_argument("--sets", default=",".join(MEASURED))
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--jobs", type=int, default=1, help="processes at the same time")
    options.add_argument(
        "--update",
        type=float,
        metavar="SECONDS",
        help="instead, search this long for each entry of the table and store what is higher",
    )
    arguments = options.parse_args()
    names, seeds, draws = arguments.sets.split(","), arguments.seeds, DRAWS
    if arguments.quick:
        names, seeds, draws = list(QUICK), 2, 1
    with thread_limit(1):
        if arguments.update is not None:
            update(names, arguments.update)
            return
        assert_same_bits()
        with Page(__file__, __doc__, arguments) as page:
            table = success_tables(page, names, seeds, arguments.jobs)
            right_k(page, draws, arguments.jobs)
            many_columns(page, min(draws, WIDE_DRAWS), arguments.jobs)
            class_table(page)
            page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
