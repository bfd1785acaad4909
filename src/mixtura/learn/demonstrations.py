"""The computations of the live parts of the lesson: one function for each part.

Every function takes the reader's data and returns plain numbers for the page. Nothing is kept
between two questions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from mixtura.base.arrays import Array, Labels
from mixtura.base.certainty import SURE
from mixtura.compare import comparison as comparing
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.model.fit_result import FitResult, Iteration
from mixtura.model.selection import title_of
from mixtura.search.threads import limited_threads
from mixtura.selection.merging import MergedMixture

LARGEST_K = 10
"""Largest number of components in the lesson."""

MOST_ITERATIONS = 400
"""Largest number of EM iterations that are shown step by step."""

RANDOM_STARTS = 30
"""Starts of EM whose final optima are shown."""

SAME_OPTIMUM = 0.01
"""Scores (in units of log-likelihood) that differ by less belong to the same optimum."""

RESAMPLES = 40
"""Bootstrap resamples for the certainty of K."""

SPEED_ROWS = (1_000, 10_000, 100_000)
"""Numbers of rows for which the speed can be measured."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings; the answers include the findings of the fits where they matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parameters(mixture: Mixture) -> dict[str, Any]:
    """A mixture as plain numbers: weights (K), means (K,2), covariances (K,2,2)."""
    return {
        "weights": mixture.weights.tolist(),
        "means": mixture.means.tolist(),
        "covariances": mixture.covariance.dense().tolist(),
    }


# ---- hard against soft ---------------------------------------------------------------------------


def soft(X: Array, K: int) -> dict[str, Any]:
    """Memberships of the mixture, labels of K-Means and DBSCAN, the least and most sure rows."""
    with _quiet():
        model = GaussianMixture(K, component_order="weight", random_state=0).fit(X)
        other = comparing.compare(X, n_components=K).labels
    memberships = model.predict_proba(X)
    own = memberships.argmax(axis=1)
    largest = memberships.max(axis=1)
    order = largest.argsort(kind="stable")
    return {
        **parameters(model.result_.mixture),
        "memberships": memberships.round(6).tolist(),
        "k_means": numbered_like(other["K-Means"], own).tolist(),
        "dbscan": numbered_like(other["DBSCAN"], own).tolist(),
        "least_sure": order[:5].tolist(),
        "most_sure": int(order[-1]),
        "unsure": int((largest < SURE).sum()),
        "sure": SURE,
    }


def numbered_like(labels: Labels, others: Labels) -> Labels:
    """The labels with the numbers of the ``others`` that share most rows; noise stays -1."""
    found = np.unique(labels[labels >= 0])
    if not len(found):
        return labels
    shared = np.array(
        [[np.sum((labels == a) & (others == b)) for b in range(others.max() + 1)] for a in found]
    )
    taken = {int(i): int(number) for i, number in zip(*linear_sum_assignment(-shared), strict=True)}
    free = iter(range(int(others.max()) + 1, int(others.max()) + 1 + len(found)))
    new = {int(label): taken[i] if i in taken else next(free) for i, label in enumerate(found)}
    return np.array([new.get(int(label), -1) for label in labels])


# ---- EM step by step -----------------------------------------------------------------------------


def em_steps(X: Array, K: int, seed: int) -> dict[str, Any]:
    """EM from K Gaussians at random rows with the covariance of all data: the mixture and its
    log-likelihood after each iteration.
    """
    steps: list[dict[str, Any]] = []
    with _quiet():
        start = _random_start(X, K, seed)
        first = start.set_params(max_iter=0).fit(X).result_
        steps.append({**parameters(first.mixture), "log_likelihood": first.log_likelihood})

        def keep(step: Iteration) -> None:
            steps.append({**parameters(step.mixture), "log_likelihood": step.log_likelihood})

        last = start.set_params(max_iter=MOST_ITERATIONS, callback=keep).fit(X).result_
    return {"steps": steps, "ending": last.stop.value, "converged": last.converged}


def _random_start(X: Array, K: int, seed: int) -> GaussianMixture:
    """The start of textbooks: K random rows as means, equal weights, the covariance of all data."""
    rng = np.random.default_rng(seed)
    means = X[rng.choice(len(X), K, replace=False)]
    precision = np.linalg.inv(np.cov(X.T) + 1e-9 * np.eye(X.shape[1]))
    return GaussianMixture(
        K,
        acceleration=None,
        n_init=1,
        weights_init=np.full(K, 1 / K),
        means_init=means,
        precisions_init=np.repeat(precision[None], K, axis=0),
        n_threads=1,
    )


# ---- the weaknesses ------------------------------------------------------------------------------


def shapes(X: Array) -> dict[str, Any]:
    """A mixture with K by BIC, its merged clusters, and the clusters of K-Means and DBSCAN."""
    with _quiet():
        selector = GaussianMixtureSelector(
            range(1, LARGEST_K + 1), families=["VVV"], random_state=0
        ).fit(X)
        best = selector.best_estimator_
        merged = best.merged(X)
        compared = comparing.compare(X)
    own = merged.predict(X)
    return {
        **parameters(best.result_.mixture),
        "components": best.predict(X).tolist(),
        "elbow": merged.n_clusters,
        "merged": [_merged_to(merged, X, G) for G in range(1, best.n_components + 1)],
        "sentence": selector.selection_.sentences[0],
        "suits": list(compared.sentences),
        "k_means": numbered_like(compared.labels["K-Means"], own).tolist(),
        "dbscan": numbered_like(compared.labels["DBSCAN"], own).tolist(),
    }


def _merged_to(merged: MergedMixture, X: Array, n_clusters: int) -> dict[str, Any]:
    """The components merged into fewer clusters."""
    cut = merged.with_clusters(n_clusters)
    return {"labels": cut.predict(X).tolist(), "groups": [list(group) for group in cut.groups]}


def speed(n: int) -> dict[str, Any]:
    """Seconds of K-Means and the mixture on the same rows with the same K: with one start, and as
    usual.
    """
    rng = np.random.default_rng(0)
    K, d = 5, 4
    X = rng.normal(0, 6, (K, d))[np.arange(n) % K] + rng.standard_normal((n, d))
    with _quiet(), limited_threads(n):
        # The first fits import modules, which is not part of the measurement.
        GaussianMixture(K, n_init=1, random_state=0).fit(X[:200])
        KMeans(K, n_init=1, random_state=0).fit(X[:200])
        runs: list[tuple[str, Callable[[], object]]] = [
            ("K-Means, one start", lambda: KMeans(K, n_init=1, random_state=0).fit(X)),
            ("mixture, one start", lambda: GaussianMixture(K, n_init=1, random_state=0).fit(X)),
            ("K-Means, ten starts", lambda: KMeans(K, n_init=10, random_state=0).fit(X)),
            ("mixture, its usual search", lambda: GaussianMixture(K, random_state=0).fit(X)),
        ]
        seconds = []
        for _, run in runs:
            begun = perf_counter()
            run()
            seconds.append(perf_counter() - begun)
    return {
        "rows": n,
        "columns": d,
        "K": K,
        "methods": [name for name, _ in runs],
        "seconds": seconds,
    }


def optima(X: Array, K: int) -> dict[str, Any]:
    """The optima of many random starts and of mixtura's search, without those with a spurious
    component.
    """
    with _quiet():
        ends = [
            _random_start(X, K, seed).set_params(max_iter=2000).fit(X).result_
            for seed in range(RANDOM_STARTS)
        ]
        search = GaussianMixture(K, random_state=0).fit(X).result_
    sound = [end for end in ends if end.is_sound] or ends
    worst = min(sound, key=lambda end: end.score)
    best = max([*sound, search], key=lambda end: end.score)
    return {
        "log_likelihoods": sorted((end.log_likelihood for end in sound), reverse=True),
        "unsound": sum(not end.is_sound for end in ends),
        "stuck": sum(end.score < best.score - SAME_OPTIMUM for end in sound),
        "best": _end(best),
        "worst": _end(worst),
        "search": _end(search),
    }


def _end(fit: FitResult) -> dict[str, Any]:
    return {
        **parameters(fit.mixture),
        "log_likelihood": fit.log_likelihood,
        "score": fit.score,
        "n_iter": fit.n_iter,
    }


# ---- how many ------------------------------------------------------------------------------------


def criteria(X: Array) -> dict[str, Any]:
    """Mixtures with K = 1 to 10, every criterion of each, and what each criterion would choose."""
    with _quiet():
        selection = _selector().fit(X).selection_
    cells = sorted((cell for cell in selection.candidates), key=lambda cell: cell.n_components)
    return {
        "cells": [
            {
                "K": cell.n_components,
                "eligible": cell.eligible,
                "reason": cell.reason,
                "criteria": {
                    name: float(value)
                    for name, value in cell.criteria.items()
                    if np.isfinite(value)
                },
                **(parameters(cell.fit.mixture) if cell.fit else {}),
            }
            for cell in cells
        ],
        "choices": {name: cell.n_components for name, cell in selection.choices().items()},
        "titles": {name: title_of(name) for name in selection.choices()},
        "sentences": list(selection.sentences),
    }


def uncertainty_of_k(X: Array) -> dict[str, Any]:
    """How often BIC chooses each K on bootstrap resamples."""
    with _quiet():
        found = _selector().fit(X).bootstrap(X, n_resamples=RESAMPLES, top_ks=None)
    return {
        "shares": {str(k): share for k, share in found.shares_of_k.items()},
        "sentence": found.sentence,
    }


def _selector() -> GaussianMixtureSelector:
    return GaussianMixtureSelector(range(1, LARGEST_K + 1), families=["VVV"], random_state=0)


# ---- comparison ----------------------------------------------------------------------------------


def methods(X: Array) -> dict[str, Any]:
    """The comparison of :func:`mixtura.compare.compare`, with the same numbers for its clusters."""
    with _quiet():
        found = comparing.compare(X)
    own = found.labels.get("Gaussian mixture", np.zeros(len(X), dtype=np.intp))
    return {
        "methods": [asdict(method) for method in found.methods],
        "labels": {
            name: numbered_like(labels, own).tolist() for name, labels in found.labels.items()
        },
        "agreement": [[a, b, value] for (a, b), value in found.agreement.items()],
        "suits": list(found.suits),
        "sentences": list(found.sentences),
    }


def in_range(values: Sequence[int], value: float, what: str) -> int:
    """One of some numbers; raise ValueError for another one."""
    if value not in values:
        raise ValueError(
            f"{what} must be one of {', '.join(map(str, values))}, but got {value!r:.40}."
        )
    return int(value)
