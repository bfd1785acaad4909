"""How much log-likelihood the default stopping rule leaves, on slow and overlapping problems.

    python benchmarks/stopping.py [--starts 12]

Each fit that says it converged is run on with a tolerance of 1e-7; the worst gain per problem is printed. The promise is 0.01.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mixtura.backends import backend_named
from mixtura.em import em
from mixtura.families import FAMILIES
from mixtura.initialisers import KMeansStart, RandomResponsibilities, RandomRows
from mixtura.regularisation import Regularisation
from mixtura.sources import ArraySource
from mixtura.stopping import RemainingGain
from mixtura.survey import Survey

FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"


def normal(seed: int, n: int, d: int) -> np.ndarray:
    """n rows of N(0, I) in d columns."""
    return np.random.default_rng(seed).standard_normal((n, d))


def problems() -> dict[str, tuple[np.ndarray, int, str]]:
    """Name -> rows, K, family."""
    faithful = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    return {
        "Old Faithful, VVV 3": (faithful, 3, "VVV"),
        "Old Faithful, VVV 4": (faithful, 4, "VVV"),
        "Old Faithful, EEE 4": (faithful, 4, "EEE"),
        "one Gaussian as three, d = 1": (normal(0, 2000, 1), 3, "VVV"),
        "one Gaussian as two, d = 1": (normal(7, 500, 1), 2, "VVV"),
        "one Gaussian as four, d = 2": (normal(1, 1000, 2), 4, "VVV"),
        "one Gaussian as three, d = 5, VVI": (normal(5, 3000, 5), 3, "VVI"),
        "two 1.5 apart, d = 2": (np.concatenate([normal(2, 1000, 2), normal(3, 1000, 2) + np.array([1.5, 0])]), 2, "VVV"),
        "0.25 and 0.75, 1.5 apart, d = 1": (np.concatenate([normal(0, 250, 1), 1.5 + normal(1, 750, 1)]), 2, "VVV"),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=12)
    starts = parser.parse_args().starts
    kinds = [RandomRows(), RandomResponsibilities(), KMeansStart()]
    print("problem | worst left | median iterations | most | outcomes")
    for name, (X, K, family) in problems().items():
        survey = Survey(ArraySource(X), backend_named("auto", 1))
        regularisation = Regularisation(survey.scale)
        left, iterations, outcomes = [0.0], [], {}
        for seed in range(starts):
            start = kinds[seed % len(kinds)](survey, K, np.random.default_rng(seed))
            fit = em(survey, start, FAMILIES[family], regularisation, max_iter=20_000)
            outcomes[fit.stop.name] = outcomes.get(fit.stop.name, 0) + 1
            iterations.append(fit.n_iter)
            if fit.converged:
                further = em(survey, fit, FAMILIES[family], regularisation, stopping=RemainingGain(1e-7), max_iter=40_000)
                left.append(further.trace[-1] - fit.trace[-1])
        print(f"{name} | {max(left):.4f} | {np.median(iterations):.0f} | {max(iterations)} | {outcomes}", flush=True)


if __name__ == "__main__":
    main()
