"""How often is the best known optimum reached, in the same time, by the default search, by plain restarts and by scikit-learn?

    python benchmarks/optima.py [--quick] [--sets faithful,S1] [--seeds 10] [--jobs 2] [--update SECONDS] [--output FOLDER]

Sets are those of benchmarks/frame/sets.py: the classic suites by their recipes and the hard cases at their number of components,
and the open sets of the tests at 2 .. 6; families VVV and the one that wins by BIC. "Best known" is the table
benchmarks/optima_best.json, of the highest log-likelihood without a degenerate component that any method has found
(benchmarks/frame/hunt.py); cells of which no such fit is known are left out. ``--update SECONDS`` goes on hunting for so long in
each cell, and only ever raises an entry. Every fit is polished to the same tight tolerance; it has reached the optimum when no more
than 0.01 of log-likelihood is missing, and a degenerate one never has (benchmarks/frame/best_known.py).

The default search runs from each seed; restarts of ours (``n_init=m``, each to its end) and of scikit-learn's GaussianMixture,
which has VVV, EEE, VVI and VII alone, get as many starts as fit into the same time, at least one. Time is that of the processor, in
one thread, so that other work on the machine does not count, and ``--jobs`` cells may run side by side. Gaps are means over the
sound fits. The Rand index is that with the groups a set was drawn from, or else with the partition of the best known optimum. The
search runs all seeds in every cell of the table; the others run those that it needs two seconds for, and at least two.

On the stretched cases, three and four long Gaussian groups side by side, the question is K: BIC over 1 .. 8 components, of all
families and of VVV alone, on 20 draws. Our selections pass over what chance explains, as they do by default.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil
from multiprocessing import get_context

import numpy as np
from matplotlib.figure import Figure
from sklearn.mixture import GaussianMixture as TheirMixture

from frame.best_known import Bench, Best, BestKnown, bench, families_of
from frame.contenders import THEIR_WORD
from frame.hunt import hunt
from frame.machine import threads_of_everybody
from frame.page import MARKERS, Floor, Page, Table, parser
from frame.sets import NAMES, OPEN, STRETCHED, DataSet, data_set
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture
from mixtura.parametrisation import stored_covariances
from mixtura.plots import GREY, PALE, PALETTE

SEEDS, DRAWS = 10, 20
SECONDS = 2.0
"""Of the default search in one cell (set, family, K); the others are compared with it on so many of its seeds, at least two."""

LEAST_SEEDS = 2
MOST_STARTS = 500
KS = range(1, 9)
QUICK = ("faithful", "local-optimum")
SAME_BITS = (("faithful", "VVV", 3), ("S1", "EII", 15), ("rare-component", "VVV", 2))
"""Few rows, more, and so many that they are searched on a sample."""

REACHED = Floor("% reached", 95.0)

SEARCH, RESTARTS, THEIRS = CONTENDERS = ("search", "restarts", "scikit-learn")
HEADS = {
    "set": "",
    "n x d": "",
    "K": "",
    "families": "",
    "runs": "d",
    "ms a search": ".1f",
    **{f"{name} %": ".0f" for name in CONTENDERS},
    **{f"{name} starts": ".0f" for name in (RESTARTS, THEIRS)},
    **{f"{name} time": ".2f" for name in (RESTARTS, THEIRS)},
    **{f"{name} gap": ".3g" for name in CONTENDERS},
    **{f"{name} ARI": ".3f" for name in CONTENDERS},
    "floors": "",
}
MISSED = {
    "set": "",
    "family": "",
    "K": "d",
    "reached": "",
    "degenerate": "d",
    "mean gap": ".3g",
    "best known": ".3f",
    "found by": "",
}
RIGHT = {"case": "", "families": "", "right K": "d", "draws": "d", "right": "d", "chosen": "", "floors": ""}


# ---- contenders ----------------------------------------------------------------------------------------------------

Contender = Callable[[int, int], Mixture]
"""Seed and number of starts -> the best mixture; the default search has its own number."""


def contenders(X: np.ndarray, family: str, K: int) -> dict[str, Contender]:
    """Who takes part in a cell."""

    def ours(seed: int, starts: int | None) -> Mixture:
        mixture: Mixture = (
            GaussianMixture(K, covariance_type=family, n_init=starts, random_state=seed, n_threads=1).fit(X).result_.mixture
        )
        return mixture

    def theirs(seed: int, starts: int) -> Mixture:
        fit = TheirMixture(K, covariance_type=THEIR_WORD[family], n_init=starts, random_state=seed).fit(X)
        return Mixture(fit.weights_, fit.means_, stored_covariances(family, fit.covariances_, K, X.shape[1]))

    takes_part: dict[str, Contender] = {SEARCH: lambda seed, _: ours(seed, None), RESTARTS: ours}
    return takes_part | ({THEIRS: theirs} if family in THEIR_WORD else {})


# ---- one cell ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What one contender made of one seed; NaN for a degenerate fit or none."""

    seconds: float
    reached: bool
    missing: float
    agreement: float


@dataclass(frozen=True)
class Cell:
    """One data set, family and K: the runs of each contender, and how many starts it had."""

    best: Best
    runs: Mapping[str, list[Run]]
    starts: Mapping[str, int]

    @property
    def always(self) -> bool:
        """Whether every run of the search got there."""
        return all(run.reached for run in self.runs[SEARCH])


def timed(run: Contender, seed: int, starts: int) -> tuple[float, Mixture | None]:
    """Seconds of the processor, and the mixture; None where the contender gave up."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            mixture = run(seed, starts)
        except (ValueError, CollapseError):
            mixture = None
    return time.process_time() - begin, mixture


def starts_that_fit(run: Contender, seconds: float) -> int:
    """How many starts take so long; at least one."""
    starts = 1
    for _ in range(2):
        taken, _ = timed(run, 0, starts)
        starts = min(MOST_STARTS, max(1, round(starts * seconds / taken)))
        if starts == 1:
            break
    return starts


def judged(own: Bench, best: Best, taken: float, mixture: Mixture | None) -> Run:
    """Polished and held against the best known optimum, as everybody is."""
    missed = Run(taken, False, float("nan"), float("nan"))
    if mixture is None:
        return missed
    try:
        fit = own.settled(mixture, best.family, best.log_likelihood)
    except CollapseError:
        return missed
    truth = own.labels(best.mixture) if own.data.groups is None else own.data.groups
    return missed if fit.degenerate else Run(taken, best.reached(fit), best.missing(fit), own.agreement(fit.mixture, truth))


def measured(own: Bench, best: Best, seeds: int) -> Cell:
    """Everybody in one cell, in the same time."""
    takes_part = contenders(own.data.rows, best.family, best.n_components)
    runs: dict[str, list[Run]] = {SEARCH: []}
    for seed in range(seeds):
        runs[SEARCH].append(judged(own, best, *timed(takes_part[SEARCH], seed, 0)))
    seconds = float(np.median([run.seconds for run in runs[SEARCH]]))
    compared = range(min(seeds, max(LEAST_SEEDS, ceil(SECONDS / seconds))))
    starts = {}
    for name in takes_part.keys() - {SEARCH}:
        starts[name] = starts_that_fit(takes_part[name], seconds)
        runs[name] = [judged(own, best, *timed(takes_part[name], seed, starts[name])) for seed in compared]
    return Cell(best, runs, starts)


# ---- tables --------------------------------------------------------------------------------------------------------


def row(page: Page, table: Table, name: str, data: DataSet | None, cells: Sequence[Cell], judge: bool = False) -> None:
    """Some cells together: one data set, or all."""
    runs = {who: [run for cell in cells for run in cell.runs.get(who, [])] for who in CONTENDERS}

    def mean(who: str, what: str) -> float:
        values = np.array([getattr(run, what) for run in runs[who]], dtype=float)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    def median_starts(who: str) -> float:
        return float(np.median([cell.starts[who] for cell in cells if who in cell.starts] or [np.nan]))

    def time_of(who: str) -> float:
        taken = [np.median([run.seconds for run in cell.runs[who]]) / searched(cell) for cell in cells if who in cell.runs]
        return float(np.median(taken)) if taken else float("nan")

    def searched(cell: Cell) -> float:
        return float(np.median([run.seconds for run in cell.runs[SEARCH]]))

    ks = sorted({cell.best.n_components for cell in cells})
    percent = {who: 100 * mean(who, "reached") for who in CONTENDERS}
    table.add(
        name,
        None if data is None else f"{data.rows.shape[0]} x {data.rows.shape[1]}",
        None if data is None else f"{ks[0]} .. {ks[-1]}" if len(ks) > 1 else str(ks[0]),
        None if data is None else ", ".join(dict.fromkeys(cell.best.family for cell in cells)),
        len(runs[SEARCH]),
        1000 * float(np.median([searched(cell) for cell in cells])),
        *percent.values(),
        *(median_starts(who) for who in (RESTARTS, THEIRS)),
        *(time_of(who) for who in (RESTARTS, THEIRS)),
        *(max(0.0, mean(who, "missing")) for who in CONTENDERS),
        *(mean(who, "agreement") for who in CONTENDERS),
        page.judge(name, (REACHED, percent[SEARCH])) if judge else "-",
    )


def cells_of(names: Sequence[str], seeds: int, jobs: int) -> dict[str, list[Cell]]:
    """All cells of the table, set by set; some of them side by side, each in a process of one thread."""
    known = BestKnown.read()
    wanted = [(name, family, K) for name in names for family in families_of(name) for K in data_set(name).ks]
    keys = [key for key in wanted if key in known.entries]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        cells = list(pool.map(measured_alone, keys, [seeds] * len(keys)))
    return {name: [cell for key, cell in zip(keys, cells, strict=True) if key[0] == name] for name in names}


def measured_alone(key: tuple[str, str, int], seeds: int) -> Cell:
    """One cell, in a process of its own."""
    with threads_of_everybody(1):
        return measured(bench(key[0]), BestKnown.read().entries[key], seeds)


def success(page: Page, names: Sequence[str], seeds: int, jobs: int) -> Table:
    """How often the best known optimum is reached, set by set and in all; and in which cells not always."""
    table = page.table("The best known optimum, reached in the same time", HEADS)
    cells: list[Cell] = []
    for name, fresh in cells_of(names, seeds, jobs).items():
        row(page, table, name, data_set(name), fresh)
        cells += fresh
    row(page, table, "in families of scikit-learn", None, [cell for cell in cells if THEIRS in cell.runs])
    row(page, table, "all", None, cells, judge=True)
    missed = page.table("Cells in which the search does not always get there", MISSED)
    for cell in cells:
        if not cell.always:
            runs = cell.runs[SEARCH]
            sound = [run.missing for run in runs if not np.isnan(run.missing)]
            missed.add(
                *cell.best.key,
                f"{sum(run.reached for run in runs)} of {len(runs)}",
                len(runs) - len(sound),
                float(np.mean(sound)) if sound else float("nan"),
                cell.best.log_likelihood,
                cell.best.found_by,
            )
    above = [(-run.missing, *cell.best.key) for cell in cells for each in cell.runs.values() for run in each if run.missing < -0.01]
    if above:
        page.note(f"{len(above)} fits are above the table, by up to {max(above)[0]:.3g} ({max(above)[1:]}): run with --update.")
    return table


def right_k(page: Page, draws: int) -> None:
    """On the stretched cases, how often BIC chooses the number of groups."""
    table = page.table("The number of long groups by BIC", RIGHT)
    floor = Floor("right", float(draws))
    for name, (K, draw) in STRETCHED.items():
        for who, choose in {"all": chosen_of("all"), "VVV": chosen_of(["VVV"]), "scikit-learn, full": chosen_by_theirs}.items():
            chosen = [choose(draw(seed)[0], seed) for seed in range(draws)]
            right = chosen.count(K)
            verdict = "-" if choose is chosen_by_theirs else page.judge(f"{name}, {who}", (floor, right))
            tally = ", ".join(f"{k}: {chosen.count(k)}" for k in sorted(set(chosen)))
            table.add(name, who, K, draws, right, tally, verdict)


def chosen_of(families: str | Sequence[str]) -> Callable[[np.ndarray, int], int]:
    """Rows and seed -> the K that our selection chooses."""

    def choose(X: np.ndarray, seed: int) -> int:
        selector = GaussianMixtureSelector(KS, families=families, random_state=seed, n_threads=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(selector.fit(X).selection_.best.n_components)

    return choose


def chosen_by_theirs(X: np.ndarray, seed: int) -> int:
    """The K of lowest BIC among scikit-learn's default fits without a degenerate component."""
    own = Bench(DataSet("draw", X, None, tuple(KS)))
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for K in KS:
            fit = TheirMixture(K, random_state=seed).fit(X)
            if not own.degenerate(Mixture(fit.weights_, fit.means_, stored_covariances("VVV", fit.covariances_, K, 2)), "VVV"):
                found[K] = fit.bic(X)
    return min(found, key=lambda K: found[K])


def assert_same_bits() -> None:
    """The same seed leads one and two workers to the same bits."""
    for name, family, K in SAME_BITS:
        fits = [
            GaussianMixture(K, covariance_type=family, random_state=1, n_threads=workers).fit(data_set(name).rows)
            for workers in (1, 2)
        ]
        for what in ("weights_", "means_", "covariances_"):
            assert np.array_equal(*(getattr(fit, what) for fit in fits)), f"{name}, {family}, {K}: {what} of one and two workers"
    X = data_set(next(iter(STRETCHED))).rows
    one, two = (GaussianMixtureSelector(KS, random_state=1, n_threads=workers).fit(X).selection_ for workers in (1, 2))
    assert [(c.title, c.criterion) for c in one.ranking] == [(c.title, c.criterion) for c in two.ranking]


def draw(table: Table, figure: Figure) -> None:
    """How often everybody gets there: open sets on the left, drawn ones on the right."""
    rows = [(row[0], [row[list(HEADS).index(f"{who} %")] for who in CONTENDERS]) for row in table.rows]
    sides = [[row for row in rows if row[0] in OPEN], [row for row in rows if row[0] not in OPEN]]
    for axes, side in zip(np.atleast_1d(figure.subplots(1, 2)), sides, strict=True):
        places = np.arange(len(side))
        for i, who in enumerate(CONTENDERS):
            at = places + 0.22 * (i - 1)
            axes.plot(
                [values[i] for _, values in side], at, linestyle="", color=PALETTE[i], marker=MARKERS[i], markersize=5, label=who
            )
        axes.axvline(REACHED.bound, color=GREY, linewidth=0.8, linestyle="--")
        axes.set_yticks(places, [name for name, _ in side], fontsize=7)
        axes.set(xlim=(-3, 103), ylim=(len(side) - 0.5, -0.5), xlabel="% of runs at the best known optimum")
        axes.grid(color=PALE, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].legend(loc="upper left", frameon=True, edgecolor=PALE, fontsize=8)


# ---- the table of best known optima --------------------------------------------------------------------------------


def update(names: Sequence[str], seconds: float) -> None:
    """Hunt for better optima, and say what was raised."""
    table = BestKnown.read()
    for name in names:
        for family in families_of(name):
            for K in data_set(name).ks:
                raised = hunt(name, family, K, table, seconds)
                best = table.entries.get((name, family, K))
                known = "no sound fit" if best is None else f"{best.log_likelihood:.6f} by {best.found_by}"
                new = "; ".join(f"+{gain:.3g} by {words}" for words, gain in raised)
                print(f"{name} {family} {K}: {known}{f' (raised: {new})' if new else ''}", flush=True)
                table.write()


def main() -> None:
    """Print the tables, or raise that of the best known optima."""
    options = parser(__doc__, threads=1)
    options.add_argument("--sets", default=",".join(NAMES))
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--jobs", type=int, default=1, help="cells side by side")
    options.add_argument("--update", type=float, metavar="SECONDS", help="hunt for so long in each cell, and raise the table")
    arguments = options.parse_args()
    names, seeds, draws = arguments.sets.split(","), arguments.seeds, DRAWS
    if arguments.quick:
        names, seeds, draws = list(QUICK), 2, 2
    with threads_of_everybody(1):
        if arguments.update is not None:
            update(names, arguments.update)
            return
        assert_same_bits()
        with Page(__file__, __doc__, arguments) as page:
            table = success(page, names, seeds, arguments.jobs)
            right_k(page, draws)
            page.picture(lambda figure: draw(table, figure))


if __name__ == "__main__":
    main()
