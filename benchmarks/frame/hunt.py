"""The long search behind the table of best-known optima: every method that is at hand, with many times the usual budget."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from typing import TypeAlias

import numpy as np
from sklearn.mixture import GaussianMixture as TheirMixture

from frame.best_known import Bench, BestKnown, bench
from frame.contenders import THEIR_WORD
from mixtura import GaussianMixture
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture
from mixtura.parametrisation import stored_covariances

SEEDS = 10
RESTARTS = 500
"""Plain starts at most, in calls of so many:"""
AT_ONCE = 25

THEIR_STARTS = ("kmeans", "k-means++", "random_from_data")
THEIR_RUNS = 45
SWAPS = 60
SHARES = {"first": 2.0, "restarts": 0.4, "scikit-learn": 0.2, "swaps": 0.4}
"""Of the seconds of a cell; the true groups and the default search of some seeds are seldom cut short."""

Attempt: TypeAlias = tuple[str, Callable[[], Mixture]]
"""What it is, and how to make it."""


def hunt(name: str, family: str, K: int, table: BestKnown, seconds: float) -> list[tuple[str, float]]:
    """Offer to the table whatever is found in about so many seconds of the processor; which attempts raised it, and by how much."""
    own = bench(name)
    raised: list[tuple[str, float]] = []
    stages = (
        (_first(own, family, K), SHARES["first"] * seconds),
        (_restarts(own, family, K), SHARES["restarts"] * seconds),
        (_scikit_learn(own, family, K), SHARES["scikit-learn"] * seconds),
        (_swaps(own, family, K, table), SHARES["swaps"] * seconds),
    )
    for attempts, limit in stages:
        end = time.process_time() + limit
        for words, make in attempts:
            found = _tried(own, family, K, table, words, make)
            raised += [] if found is None else [(words, found)]
            if time.process_time() > end:
                break
    return raised


def _tried(own: Bench, family: str, K: int, table: BestKnown, words: str, make: Callable[[], Mixture]) -> float | None:
    """By how much one attempt raises the table; what fails does not."""
    best = table.entries.get((own.data.name, family, K))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = own.settled(make(), family, None if best is None else best.log_likelihood)
        except (ValueError, CollapseError, np.linalg.LinAlgError):
            return None
    return table.offer(own.data.name, fit, words)


# ---- attempts ------------------------------------------------------------------------------------------------------


def _first(own: Bench, family: str, K: int) -> Iterator[Attempt]:
    """The end of the road from the true groups, and the default search of ten seeds."""
    X, groups = own.data.rows, own.data.groups
    if groups is not None and len(np.unique(groups)) == K:
        yield "start from the true groups", lambda: _ours(X, family, K, init_params=groups)
    for seed in range(SEEDS):
        yield f"default search, seed {seed}", lambda seed=seed: _ours(X, family, K, random_state=seed)


def _restarts(own: Bench, family: str, K: int) -> Iterator[Attempt]:
    """Plain starts of all our kinds, each to its end."""
    for seed in range(RESTARTS // AT_ONCE):
        words = f"{AT_ONCE} plain starts, seed {seed}"
        yield words, lambda seed=seed: _ours(own.data.rows, family, K, n_init=AT_ONCE, random_state=seed)


def _scikit_learn(own: Bench, family: str, K: int) -> Iterator[Attempt]:
    """Single starts of scikit-learn's, of several kinds, for the families that it has."""
    if family not in THEIR_WORD:
        return
    X = own.data.rows
    for seed in range(THEIR_RUNS):
        kind = THEIR_STARTS[seed % len(THEIR_STARTS)]

        def run(kind: str = kind, seed: int = seed) -> Mixture:
            fit = TheirMixture(K, covariance_type=THEIR_WORD[family], init_params=kind, random_state=seed, max_iter=500).fit(X)
            return Mixture(fit.weights_, fit.means_, stored_covariances(family, fit.covariances_, K, X.shape[1]))

        yield f"scikit-learn, {kind}, seed {seed}", run


def _swaps(own: Bench, family: str, K: int, table: BestKnown) -> Iterator[Attempt]:
    """From the best so far: one component gives its rows to the others and comes up again about some row."""
    X = own.data.rows
    rng = np.random.default_rng(0)
    for number in count():
        best = table.entries.get((own.data.name, family, K))
        if best is None or number == SWAPS:
            return
        out, row = int(rng.integers(K)), X[rng.integers(len(X))]
        size = int(rng.integers(2 * X.shape[1] + 2, max(2 * X.shape[1] + 3, len(X) // K)))

        def run(out: int = out, row: np.ndarray = row, size: int = size, mixture: Mixture = best.mixture) -> Mixture:
            joint = mixture.log_joint(X)
            joint[:, out] = -np.inf
            shares = np.exp(joint - joint.max(axis=1, keepdims=True))
            nearest = np.argsort((((X - row) / X.std(axis=0)) ** 2).sum(axis=1))[:size]
            shares[nearest] = np.arange(K) == out
            return _ours(X, family, K, init_params=shares / shares.sum(axis=1, keepdims=True))

        yield f"swap {number} of a component from the best so far", run


def _ours(X: np.ndarray, family: str, K: int, **settings: object) -> Mixture:
    mixture: Mixture = GaussianMixture(K, covariance_type=family, n_threads=1, **settings).fit(X).result_.mixture
    return mixture
