"""The long search for the table of best known optima: all available methods, with many times the
usual budget.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import TypeAlias

import numpy as np
from sklearn.mixture import GaussianMixture as SklearnMixture

from frame.best_known import BestKnown, Evaluator, evaluator
from frame.contenders import SKLEARN_TYPES
from mixtura import GaussianMixture
from mixtura.base.errors import CollapseError
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.parametrisation import stored_covariances
from mixtura.em.stopping import RemainingGain
from mixtura.search.budget import Budget, Plan
from mixtura.search.initialisation import initialised
from mixtura.search.starts import usual_starts
from mixtura.search.subsampling import search_from

SEEDS = 10
RESTARTS = 500
"""Largest number of plain starts."""

BATCH = 25
"""Plain starts of one call."""

SKLEARN_STARTS = ("kmeans", "k-means++", "random_from_data")
SKLEARN_RUNS = 45
THOROUGH = Budget(fits=15.0, least=1.5e9)
MANY_STARTS = 60
"""Ten times the budget of a default search, and five times its starts."""
FIRST_THOROUGH = 100
MAX_ITERATIONS = 20_000
SHARES = {"first": 1.0, "restarts": 0.1, "scikit-learn": 0.1, "thorough": 1.0}
"""Fractions of the seconds for an entry; an attempt that has started is completed."""

Attempt: TypeAlias = tuple[str, Callable[[], Mixture]]
"""Its description, and the function that fits."""


def long_search(
    name: str, family: str, K: int, table: BestKnown, seconds: float
) -> list[tuple[str, float]]:
    """Search for about this many seconds of processor time and offer every fit to the table;
    returns which attempts raised the entry, and by how much.
    """
    own = evaluator(name)
    raised: list[tuple[str, float]] = []
    stages = (
        (_first(own, family, K), SHARES["first"] * seconds),
        (_restarts(own, family, K), SHARES["restarts"] * seconds),
        (_scikit_learn(own, family, K), SHARES["scikit-learn"] * seconds),
        (_thorough(own, family, K), SHARES["thorough"] * seconds),
    )
    for attempts, limit in stages:
        end = time.process_time() + limit
        for words, make in attempts:
            found = _tried(own, family, K, table, words, make)
            raised += [] if found is None else [(words, found)]
            if time.process_time() > end:
                break
    return raised


def _tried(
    own: Evaluator, family: str, K: int, table: BestKnown, words: str, make: Callable[[], Mixture]
) -> float | None:
    """By how much one attempt raises the entry; None if it does not or fails."""
    best = table.entries.get((own.data.name, family, K))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = own.polished_if_near(make(), family, None if best is None else best.score)
        except (ValueError, CollapseError, np.linalg.LinAlgError):
            return None
    return table.offer(own.data.name, fit, words)


# ---- attempts ------------------------------------------------------------------------------------


def _first(own: Evaluator, family: str, K: int) -> Iterator[Attempt]:
    """A fit started from the true groups, and the default search with ten seeds."""
    X, groups = own.data.rows, own.data.groups
    if groups is not None and len(np.unique(groups)) == K:
        yield "start from the true groups", lambda: _ours(X, family, K, init_params=groups)
    for seed in range(SEEDS):
        yield (
            f"default search, seed {seed}",
            lambda seed=seed: _ours(X, family, K, random_state=seed),
        )


def _restarts(own: Evaluator, family: str, K: int) -> Iterator[Attempt]:
    """Plain starts of all our kinds, each run to convergence."""
    for seed in range(RESTARTS // BATCH):
        words = f"{BATCH} plain starts, seed {seed}"
        yield (
            words,
            lambda seed=seed: _ours(own.data.rows, family, K, n_init=BATCH, random_state=seed),
        )


def _scikit_learn(own: Evaluator, family: str, K: int) -> Iterator[Attempt]:
    """Single starts of scikit-learn of several kinds, for the families that it has."""
    if family not in SKLEARN_TYPES:
        return
    X = own.data.rows
    for seed in range(SKLEARN_RUNS):
        kind = SKLEARN_STARTS[seed % len(SKLEARN_STARTS)]

        def run(kind: str = kind, seed: int = seed) -> Mixture:
            fit = SklearnMixture(
                K,
                covariance_type=SKLEARN_TYPES[family],
                init_params=kind,
                random_state=seed,
                max_iter=500,
            ).fit(X)
            return Mixture(
                fit.weights_,
                fit.means_,
                stored_covariances(family, fit.covariances_, K, X.shape[1]),
            )

        yield f"scikit-learn, {kind}, seed {seed}", run


def _thorough(own: Evaluator, family: str, K: int) -> Iterator[Attempt]:
    """Our search with ten times the default budget, with ever new seeds."""
    dataset = own.dataset
    plan = Plan(RemainingGain(), MAX_ITERATIONS, screened=True, accelerated=True, budget=THOROUGH)
    for seed in count(FIRST_THOROUGH):

        def run(seed: np.random.SeedSequence) -> Mixture:
            begin = initialised(usual_starts(MANY_STARTS), dataset, K, seed)
            return search_from(begin, own.problem(family, K).with_data(dataset), plan).best.mixture

        yield (
            f"search with ten times the effort, seed {seed}",
            partial(run, np.random.SeedSequence(seed)),
        )


def _ours(X: np.ndarray, family: str, K: int, **settings: object) -> Mixture:
    """A fit of ours with some settings."""
    mixture: Mixture = (
        GaussianMixture(K, covariance_type=family, n_threads=1, **settings).fit(X).result_.mixture
    )
    return mixture
