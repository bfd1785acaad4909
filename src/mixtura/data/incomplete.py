"""Rows with missing entries or errors: one Gaussian for all of them, and their expected values.

Starts and proposals need rows without holes. They get the expected rows under a mixture; EM itself
never does (:mod:`mixtura.model.observation`).
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense, Diagonal
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.model.moments import Moments
from mixtura.model.protocols import Backend, Block, Source
from mixtura.sources import ArraySource

MOST_STEPS, SETTLED = 200, 1e-10
"""Steps of EM for one Gaussian at most, and the relative gain of the last one."""

LEAST_VARIANCE = 1e-12
"""Part of the observed variances that is added to the covariance in each E-step, so that it is not
singular where rows are few.
"""

ROWS_AT_ONCE = 65536
"""Rows of a part whose shares exist at one time."""


def moments_of_all(source: Source, backend: Backend) -> Moments:
    """The moments of incomplete rows as one Gaussian, about its mean, by EM.

    A column whose observed entries are all equal has no variance.
    """
    mean, variances = _observed_columns(source)
    constant = variances == 0
    ridge = np.diag(LEAST_VARIANCE * np.where(constant, variances.max() or 1.0, variances))
    moments = backend.moments(
        source,
        Mixture(np.ones(1), mean[None], Diagonal((variances + np.diag(ridge))[None], 1)),
        Scatter.DENSE,
    )
    for _ in range(MOST_STEPS):
        before = moments.log_likelihood
        covariance = moments.scatter[0] / moments.total
        covariance[constant] = covariance[:, constant] = 0.0
        gaussian = Mixture(np.ones(1), moments.means, Dense((covariance + ridge)[None], 1))
        moments = backend.moments(source, gaussian, Scatter.DENSE)
        if moments.log_likelihood - before <= SETTLED * abs(before):
            break
    moments = moments.taken_about(moments.means)
    second = moments.second.copy()
    second[:, constant] = second[:, :, constant] = 0.0
    return moments.with_sums(moments.counts, moments.first, second)


def _observed_columns(source: Source) -> tuple[Array, Array]:
    """Means and variances (d,) of the observed entries, by weight."""
    sums, counts = np.zeros(source.n_features), np.zeros(source.n_features)
    mean = np.zeros(source.n_features)
    for power in (1, 2):
        sums[:], counts[:] = 0.0, 0.0
        for block in source.blocks():
            seen = ~np.isnan(block.rows)
            weights = np.ones(len(seen)) if block.weights is None else block.weights
            apart = np.where(seen, block.rows - mean, 0.0)
            sums += weights @ apart**power
            counts += weights @ seen
        if power == 1:
            mean = sums / counts
    return mean, sums / counts


def imputed(
    backend: Backend,
    block: Block,
    mixture: Mixture,
    shares: Array,
    rng: np.random.Generator | None = None,
) -> Array:
    """Expected rows (m,d) for posteriors (m,K), or draws from the conditional distribution."""
    if rng is None or block.observation is None:
        return backend.completed(block, mixture, shares)
    labels = (shares.cumsum(axis=1) < rng.random(len(shares))[:, None]).sum(axis=1)
    labels = np.minimum(labels, mixture.n_components - 1)
    drawn = backend.completed(block, mixture, np.eye(mixture.n_components)[labels])
    for group in block.observation.groups:
        seen, _, left = group.seen(mixture)
        normal = rng.standard_normal((len(group.rows), mixture.n_features))
        change = np.einsum("mij,mj->mi", _roots(left)[labels[group.rows]], normal)
        if mixture.tails is not None:
            rows, own = block.rows[np.ix_(group.rows, group.columns)], labels[group.rows]
            change /= np.sqrt(_drawn_weights(rows, own, seen, rng))[:, None]
        if group.error is None:
            change[:, group.columns] = 0.0  # not only up to rounding
        drawn[group.rows] += change
    return drawn


def _drawn_weights(rows: Rows, labels: Labels, seen: Mixture, rng: np.random.Generator) -> Array:
    """Draws (m,) of the weights U of rows in their t components, given their observed columns.

    ``(nu + D) U`` has the chi-squared distribution with ``nu + d`` degrees of freedom.
    """
    assert seen.tails is not None
    squared = np.zeros(len(rows))
    if rows.shape[1]:
        squared = seen.squared_distances(rows)[np.arange(len(rows)), labels]
    tails = seen.tails[labels]
    return np.asarray(rng.chisquare(tails + rows.shape[1]) / (tails + squared))


def _roots(matrices: Array) -> Array:
    """Square roots (K,d,d) of matrices that may be singular."""
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def unseen_columns(source: Source, backend: Backend, mixture: Mixture) -> Flags:
    """Columns (K,d) in which a component has less than one row's worth of observed values."""
    K, seen = mixture.n_components, np.zeros(mixture.means.shape)
    for block in source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            shares = posterior(backend.log_joint(part, mixture), part.rows, mixture)
            seen += part.weighted(shares[:, :K]).T @ ~np.isnan(part.rows)
    return np.asarray(seen < 1.0)


def completed_under(source: Source, backend: Backend, mixture: Mixture) -> ArraySource:
    """The expected rows ``E[y | x]`` under a mixture, with the weights of the source.

    A noise term says nothing about missing entries: they are those of the components.
    """
    components = mixture.without_noise
    rows, weights = [], []
    for block in source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            shares = posterior(backend.log_joint(part, components), part.rows, components)
            rows.append(backend.completed(part, mixture, shares))
            weights.append(part.weights)
    given = [own for own in weights if own is not None]
    return ArraySource(np.concatenate(rows), np.concatenate(given) if given else None)
