"""Iterations and seconds to within 1e-8 of the optimum, with SQUAREM and by plain EM, on overlapping mixtures.

    python benchmarks/acceleration.py [--starts 4]

Both run from the same start to the end of double precision; the optimum is the lower of the two ends. A start from which they
end at different optima is counted apart. An iteration is one pass over the rows, also where a leap was refused.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from mixtura.backends import backend_named
from mixtura.em import em
from mixtura.families import FAMILIES
from mixtura.initialisers import KMeansStart, RandomRows
from mixtura.regularisation import Regularisation
from mixtura.results import FitResult
from mixtura.sources import ArraySource
from mixtura.stopping import SmallChange
from mixtura.survey import Survey

FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
MOST = 30_000
NEAR = 1e-8


def normal(seed: int, n: int, d: int) -> np.ndarray:
    """n rows of N(0, I) in d columns."""
    return np.random.default_rng(seed).standard_normal((n, d))


def overlapping(n: int, d: int, K: int, apart: float) -> np.ndarray:
    """K groups of n rows whose centres lie ``apart`` standard deviations from the next one, along the first column."""
    return np.concatenate([normal(k, n, d) + np.eye(d)[0] * (k * apart) for k in range(K)])


def problems() -> dict[str, tuple[np.ndarray, int, str]]:
    """Name -> rows, K, family."""
    faithful = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    return {
        "Old Faithful, VVV 3": (faithful, 3, "VVV"),
        "Old Faithful, EEE 4": (faithful, 4, "EEE"),
        "Old Faithful, VEV 4": (faithful, 4, "VEV"),
        "two 2 apart, d = 2, VVV": (overlapping(2000, 2, 2, 2.0), 2, "VVV"),
        "three 2.5 apart, d = 5, VVI": (overlapping(1000, 5, 3, 2.5), 3, "VVI"),
        "three 2.5 apart, d = 5, EVE": (overlapping(1000, 5, 3, 2.5), 3, "EVE"),
        "five 3 apart, d = 10, EEE": (overlapping(4000, 10, 5, 3.0), 5, "EEE"),
    }


def to_reach(fit: FitResult, seconds: float, optimum: float) -> tuple[int, float]:
    """Iterations until the trace is within NEAR of the optimum, and their share of the seconds."""
    reached = int(np.argmax(np.asarray(fit.trace) >= optimum - NEAR))
    return reached, seconds * reached / max(fit.n_iter, 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=4)
    starts = parser.parse_args().starts
    print("problem | iterations plain | squarem | ratio | seconds plain | squarem | ratio | other optimum")
    for name, (X, K, family) in problems().items():
        survey = Survey(ArraySource(X), backend_named("auto", 1))
        regularisation = Regularisation(survey.scale)
        iterations, seconds, elsewhere = [], [], 0
        for seed in range(starts):
            draw = RandomRows() if seed % 2 else KMeansStart()
            start = draw(survey, K, np.random.default_rng(seed))
            runs = []
            for accelerated in (False, True):
                begin = time.perf_counter()
                fit = em(
                    survey,
                    start,
                    FAMILIES[family],
                    regularisation,
                    stopping=SmallChange(0.0),
                    max_iter=MOST,
                    accelerated=accelerated,
                    judge=False,
                )
                runs.append((fit, time.perf_counter() - begin))
            ends = [fit.trace[-1] for fit, _ in runs]
            if abs(ends[0] - ends[1]) > 0.01:
                elsewhere += 1
                continue
            reached = [to_reach(fit, spent, min(ends)) for fit, spent in runs]
            iterations.append([count for count, _ in reached])
            seconds.append([spent for _, spent in reached])
        if not iterations:
            print(f"{name} | - | - | - | - | - | - | {elsewhere} of {starts}", flush=True)
            continue
        plain, fast = np.median(iterations, axis=0)
        slow_s, fast_s = np.median(seconds, axis=0)
        print(
            f"{name} | {plain:.0f} | {fast:.0f} | {plain / fast:.1f} | {slow_s:.3f} | {fast_s:.3f} | {slow_s / fast_s:.1f} | "
            f"{elsewhere} of {starts}",
            flush=True,
        )


if __name__ == "__main__":
    main()
