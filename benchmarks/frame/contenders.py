"""The implementations that are compared. Each is a function of the number of iterations, from the
same start on the same rows.

An :class:`Outcome` holds the iterations really run (oneDAL may stop earlier) and the resulting
mixture, so that equal likelihood can be asserted before anything is timed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture

from frame.clock import SHORT, Iterations
from mixtura.backends import backend_named
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.parametrisation import public_precisions, stored_covariances
from mixtura.em.em import em
from mixtura.em.stopping import SmallChange
from mixtura.families import FAMILIES
from mixtura.model.protocols import Backend
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

SKLEARN_TYPES = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}
"""Family -> ``covariance_type`` of scikit-learn."""

SAME, ALMOST = 1e-9, 1e-7
"""Largest relative differences of log-likelihoods: by rounding, and by the larger rounding of an
implementation that sums raw moments, as oneDAL does.
"""


class Outcome(NamedTuple):
    """The iterations really run, and the resulting mixture."""

    n_iter: int
    mixture: Callable[[], Mixture]


Contender = Callable[[int], Outcome]


# ---- the problem ---------------------------------------------------------------------------------


def problem(n: int, d: int, K: int, family: str = "VVV") -> tuple[np.ndarray, Mixture]:
    """Rows of groups about four standard deviations apart for any d, and a start away from the
    optimum, so that no contender stops early.
    """
    rng = np.random.default_rng(n + d + K)
    centres = rng.standard_normal((K, d)) * 4 / np.sqrt(2 * d)
    X = centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))
    return X, start_at(centres + rng.normal(0, 1 / np.sqrt(d), (K, d)), family)


def start_at(means: np.ndarray, family: str = "VVV") -> Mixture:
    """A mixture with these means, equal weights and covariances of twice the identity, in the form
    that the family stores.
    """
    K, d = means.shape
    every = {Scatter.TRACE: np.array(2.0), Scatter.DIAGONAL: np.full(d, 2.0)}.get(
        FAMILIES[family].needs, 2.0 * np.eye(d)
    )
    values = every if FAMILIES[family].shares_all else np.stack([every] * K)
    return Mixture(np.full(K, 1 / K), means, stored_covariances(family, values, K, d))


# ---- contenders ----------------------------------------------------------------------------------


def mixtura(
    X: np.ndarray, start: Mixture, threads: int, family: str = "VVV", backend: Backend | None = None
) -> Contender:
    """Our plain EM, with float32 products on float32 rows only. The dataset is prepared before the
    iterations are timed.
    """
    dataset = Dataset(ArraySource(X), backend or backend_named("native", threads))
    if X.dtype == np.float32:
        dataset = dataset.reduced or dataset
    regularisation = Regularisation(dataset.floor)

    def run(iterations: int) -> Outcome:
        fit = em(
            Problem(dataset, FAMILIES[family], regularisation),
            start,
            stopping=SmallChange(0.0),
            max_iter=iterations,
            judge=False,
        )
        return Outcome(fit.n_iter, lambda: fit.mixture)

    return run


def em_without_rule(
    X: np.ndarray, start: Mixture, threads: int, backend: Backend | None = None
) -> Contender:
    """Our plain EM with full covariances and no stopping rule, for data on which it converges
    within a few iterations.
    """
    dataset, family = (
        Dataset(ArraySource(X), backend or backend_named("native", threads)),
        FAMILIES["VVV"],
    )
    regularisation, source = Regularisation(dataset.floor), dataset.source_for(start.n_components)

    def run(iterations: int) -> Outcome:
        mixture = start
        for _ in range(iterations):
            moments = dataset.backend.moments(source, mixture, family.needs)
            mixture = Mixture(
                moments.weights,
                moments.means,
                family.m_step(moments, mixture.covariance, regularisation),
            )
        return Outcome(iterations, lambda: mixture)

    return run


def scikit_learn(X: np.ndarray, start: Mixture, family: str = "VVV") -> Contender | None:
    """scikit-learn's GaussianMixture; None for families that it does not have."""
    if family not in SKLEARN_TYPES:
        return None
    K, d = start.means.shape
    precisions = public_precisions(family, start.covariance)

    def run(iterations: int) -> Outcome:
        model = SklearnMixture(
            K,
            covariance_type=SKLEARN_TYPES[family],
            tol=0.0,
            reg_covar=0.0,
            max_iter=iterations,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=precisions,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit = model.fit(X)
        return Outcome(
            fit.n_iter_,
            lambda: Mixture(
                fit.weights_, fit.means_, stored_covariances(family, fit.covariances_, K, d)
            ),
        )

    return run


def one_dal(X: np.ndarray, start: Mixture) -> Contender | None:
    """Intel oneDAL's em_gmm (full covariances); None where it is not installed."""
    try:
        import daal4py
    except ImportError:
        return None
    K, d = start.means.shape
    covariances = list(np.ascontiguousarray(start.covariance.dense()))

    def run(iterations: int) -> Outcome:
        algorithm = daal4py.em_gmm(K, maxIterations=iterations, accuracyThreshold=0.0)
        result = algorithm.compute(X, start.weights.reshape(1, -1), start.means, covariances)

        def mixture() -> Mixture:
            return Mixture(
                np.ravel(result.weights),
                result.means,
                stored_covariances("VVV", np.stack(result.covariances), K, d),
            )

        return Outcome(int(result.nIterations[0, 0]), mixture)

    return run


def lloyd(X: np.ndarray, start: Mixture) -> Iterations:
    """scikit-learn's k-means. It has no likelihood, so only its time is compared."""

    def run(iterations: int) -> int:
        model = KMeans(
            start.n_components,
            init=start.means,
            n_init=1,
            max_iter=iterations,
            tol=0.0,
            algorithm="lloyd",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            ran = int(model.fit(X).n_iter_)
        # A run that reaches max_iter labels the rows once more at the end; a run that converges has
        # already done so in its last iteration.
        return ran if ran == iterations else ran - 1

    return run


# ---- equal likelihood ----------------------------------------------------------------------------


def assert_equal_likelihood(
    X: np.ndarray, *contenders: Contender | None, within: float = SAME
) -> float:
    """Assert that all contenders have the same log-likelihood after two iterations; returns that of
    the first, per row.

    All mixtures are scored by our own pass over the rows.
    """
    outcomes = [contender(SHORT) for contender in contenders if contender is not None]
    assert all(outcome.n_iter == SHORT for outcome in outcomes), (
        "a contender stopped before the second iteration"
    )
    first, *others = [_log_likelihood(X, outcome.mixture()) for outcome in outcomes]
    for other in others:
        assert abs(other - first) <= within * abs(first), (
            f"log-likelihoods differ: {first!r} and {other!r}"
        )
    return first / len(X)


def _log_likelihood(X: np.ndarray, mixture: Mixture) -> float:
    """Total log-likelihood of the rows."""
    return backend_named("native").moments(ArraySource(X), mixture, Scatter.TRACE).log_likelihood


def iterations_of(contender: Contender) -> Iterations:
    """The contender as a function that returns the iterations run, for timing."""
    return lambda iterations: contender(iterations).n_iter
