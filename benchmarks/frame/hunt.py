"""The long search behind the table of best-known optima: every method that is at hand, with many
times the usual budget.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import TypeAlias

import numpy as np
from sklearn.mixture import GaussianMixture as TheirMixture

from frame.best_known import Bench, BestKnown, bench
from frame.contenders import THEIR_WORD
from mixtura import GaussianMixture
from mixtura.base.errors import CollapseError
from mixtura.em.stopping import RemainingGain
from mixtura.inference.parametrisation import stored_covariances
from mixtura.model.mixture import Mixture
from mixtura.search.budget import Budget, Plan
from mixtura.search.initialisation import initialised
from mixtura.search.starts import usual_starts
from mixtura.search.subsampling import search_from

SEEDS = 10
RESTARTS = 500
"""Plain starts at most, in calls of so many:"""
AT_ONCE = 25

THEIR_STARTS = ("kmeans", "k-means++", "random_from_data")
THEIR_RUNS = 45
THOROUGH = Budget(fits=15.0, least=1.5e9)
MANY_STARTS = 60
"""Ten times what a default search may spend, from five times the starts."""
FIRST_THOROUGH = 100
LONGEST = 20_000
SHARES = {"first": 1.0, "restarts": 0.1, "scikit-learn": 0.1, "thorough": 1.0}
"""Of the seconds of a cell; an attempt that has begun is not cut short."""

Attempt: TypeAlias = tuple[str, Callable[[], Mixture]]
"""What it is, and how to make it."""


def hunt(
    name: str, family: str, K: int, table: BestKnown, seconds: float
) -> list[tuple[str, float]]:
    """Offer to the table whatever is found in about so many seconds of the processor; which
    attempts raised it, and by how much.
    """
    own = bench(name)
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
    own: Bench, family: str, K: int, table: BestKnown, words: str, make: Callable[[], Mixture]
) -> float | None:
    """By how much one attempt raises the table; what fails does not."""
    best = table.entries.get((own.data.name, family, K))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = own.settled(make(), family, None if best is None else best.score)
        except (ValueError, CollapseError, np.linalg.LinAlgError):
            return None
    return table.offer(own.data.name, fit, words)


# ---- attempts ------------------------------------------------------------------------------------


def _first(own: Bench, family: str, K: int) -> Iterator[Attempt]:
    """The end of the road from the true groups, and the default search of ten seeds."""
    X, groups = own.data.rows, own.data.groups
    if groups is not None and len(np.unique(groups)) == K:
        yield "start from the true groups", lambda: _ours(X, family, K, init_params=groups)
    for seed in range(SEEDS):
        yield (
            f"default search, seed {seed}",
            lambda seed=seed: _ours(X, family, K, random_state=seed),
        )


def _restarts(own: Bench, family: str, K: int) -> Iterator[Attempt]:
    """Plain starts of all our kinds, each to its end."""
    for seed in range(RESTARTS // AT_ONCE):
        words = f"{AT_ONCE} plain starts, seed {seed}"
        yield (
            words,
            lambda seed=seed: _ours(own.data.rows, family, K, n_init=AT_ONCE, random_state=seed),
        )


def _scikit_learn(own: Bench, family: str, K: int) -> Iterator[Attempt]:
    """Single starts of scikit-learn's, of several kinds, for the families that it has."""
    if family not in THEIR_WORD:
        return
    X = own.data.rows
    for seed in range(THEIR_RUNS):
        kind = THEIR_STARTS[seed % len(THEIR_STARTS)]

        def run(kind: str = kind, seed: int = seed) -> Mixture:
            fit = TheirMixture(
                K,
                covariance_type=THEIR_WORD[family],
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


def _thorough(own: Bench, family: str, K: int) -> Iterator[Attempt]:
    """The search with ten times the effort of a default one and more."""
    dataset = own.dataset
    plan = Plan(RemainingGain(), LONGEST, screened=True, accelerated=True, budget=THOROUGH)
    for seed in count(FIRST_THOROUGH):

        def run(seed: np.random.SeedSequence) -> Mixture:
            begin = initialised(usual_starts(MANY_STARTS), dataset, K, seed)
            return search_from(begin, own.problem(family, K).with_data(dataset), plan).best.mixture

        yield (
            f"search with ten times the effort, seed {seed}",
            partial(run, np.random.SeedSequence(seed)),
        )


def _ours(X: np.ndarray, family: str, K: int, **settings: object) -> Mixture:
    mixture: Mixture = (
        GaussianMixture(K, covariance_type=family, n_threads=1, **settings).fit(X).result_.mixture
    )
    return mixture
