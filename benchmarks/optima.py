"""How often is the best known optimum reached, in the same time, by the default search, by plain restarts and by scikit-learn?

    python benchmarks/optima.py [--quick] [--sets faithful,S1] [--seeds 10] [--update] [--output FOLDER]

Sets are those of benchmarks/frame/sets.py: the classic suites by their recipes and the hard cases at their number of components, and the
open sets of the tests at 2 .. 6; families VVV and the one that wins by BIC. "Best known" is the table benchmarks/optima_best.json, of
the highest log-likelihood without a degenerate component that any method has found (benchmarks/frame/hunt.py); ``--update`` goes on
hunting, and only ever raises an entry. Every fit is polished to the same tight tolerance; it has reached the optimum when no more than 0.01
of log-likelihood is missing, and a degenerate one never has (benchmarks/frame/best_known.py).

The default search runs from each seed; restarts of ours (``n_init=m``, each to its end) and of scikit-learn's GaussianMixture, which has
VVV, EEE, VVI and VII alone, get as many starts as fit into the same time, at least one. Time is that of the processor, in one thread,
so that other work on the machine does not count. Gaps are means over the sound fits. The Rand index is that with the groups a set was
drawn from, or else with the partition of the best known optimum. Large sets run fewer seeds: a cell of the table begins no further
search after its seconds are spent.

On the stretched cases, three and four long Gaussian groups side by side, the question is K: BIC over 1 .. 8 components, of all
families and of VVV alone, on 20 draws.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from sklearn.mixture import GaussianMixture as TheirMixture

from frame.best_known import Best, BestKnown, bench, families_of
from frame.contenders import THEIR_WORD
from frame.hunt import hunt
from frame.machine import threads_of_everybody
from frame.page import Floor, Page, Table, parser
from frame.sets import NAMES, STRETCHED, data_set
from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture
from mixtura.parametrisation import stored_covariances

SEEDS, DRAWS = 10, 20
SECONDS = 6.0
"""Of the default search in one cell (set, family, K); then no further seed begins, and there are at least two."""

MOST_STARTS = 500
KS = range(1, 9)
QUICK = ("faithful", "local-optimum")

REACHED = Floor("% reached", 95.0)


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


if __name__ == "__main__":
    options = parser(__doc__, threads=1)
    options.add_argument("--sets", default=",".join(NAMES))
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--update", type=float, metavar="SECONDS", help="hunt for so long in each cell, and raise the table")
    arguments = options.parse_args()
    with threads_of_everybody(1):
        update(arguments.sets.split(","), arguments.update)
