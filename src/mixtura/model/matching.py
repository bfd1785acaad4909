"""Matching of the components of two mixtures, whose labels have no meaning of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from mixtura.base.arrays import Array, Labels
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.covariance import Covariance
from mixtura.distribution.mixture import Mixture

TIE_BREAK = 1e-9
"""Weight of a difference in mixing proportions beside a Bhattacharyya distance.

It is above the rounding of a distance (1e-12) and below any distance that matters.
"""


class FittedEstimator(Protocol):
    """A fitted estimator or selector."""

    @property
    def mixture_(self) -> Mixture:
        """The fitted mixture."""
        ...


class HasMixture(Protocol):
    """The result of a fit or a loaded model."""

    @property
    def mixture(self) -> Mixture:
        """The mixture."""
        ...


@dataclass(frozen=True, eq=False)
class Match:
    """The best pairing of the components of two mixtures.

    Attributes
    ----------
    permutation : (K_a,)
        The component of b for each of a; -1 where b has too few. With equal numbers,
        ``b.select(permutation)`` has the components of b in the order of a.
    distances : (K_a,)
        Bhattacharyya distance of each pair, 0 for equal Gaussians, free of units; NaN without a
        partner.
    unmatched : (K_b - K_a,)
        The components of b without a partner, in rising order; empty where b has no more than a.
    """

    permutation: Labels
    distances: Array
    unmatched: Labels

    @property
    def hellinger(self) -> Array:
        """Hellinger distance of each pair (K_a,), between 0 and 1: ``sqrt(1 - exp(-distance))``."""
        return np.sqrt(-np.expm1(-self.distances))

    @property
    def reordered(self) -> bool:
        """Whether the order of the two mixtures differs."""
        return bool((self.permutation != np.arange(len(self.permutation))).any())

    @property
    def order(self) -> Labels:
        """All components of b (K_b,): those with a partner in the order of a, then the others."""
        return np.concatenate([self.permutation[self.permutation >= 0], self.unmatched])


@ignore_underflow
def match(
    a: Mixture | FittedEstimator | HasMixture, b: Mixture | FittedEstimator | HasMixture
) -> Match:
    """Pair the components of two mixtures by the smallest sum of Bhattacharyya distances.

    The pairing is that of the Hungarian method. For well separated components the Hellinger
    distance saturates at 1, and any pairing would be as good as any other; the Bhattacharyya
    distance goes on growing. It is invariant under a common affine transform of both mixtures. The
    mixing proportions decide between pairings with equal distances.

    Parameters
    ----------
    a, b : Mixture, fitted estimator or selector, result of a fit, or loaded model
        Over the same columns. With different numbers of components every component of the smaller
        mixture gets a partner.

    Returns
    -------
    Match
        Symmetric: b's partners in a are the inverse of a's partners in b, with the same distances.

    Raises
    ------
    TypeError
        For anything that has no mixture.
    ValueError
        When the mixtures have different numbers of columns.

    References
    ----------
    Kuhn 1955; Bhattacharyya 1943.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> a = Mixture(np.array([0.3, 0.7]), np.array([[0.0], [9.0]]), Spherical(np.ones(2), 2, 1))
    >>> match(a, a.select(np.array([1, 0]))).permutation.tolist()
    [1, 0]
    >>> match(a, a.select(np.array([1]))).permutation.tolist()
    [-1, 0]
    """
    one, other = _mixture_of(a), _mixture_of(b)
    if one.n_features != other.n_features:
        raise ValueError(
            f"two mixtures are matched over the same columns, but they have {one.n_features} and "
            f"{other.n_features} of them. "
            "Pass mixtures of the same columns, or their marginals (Mixture.marginal)."
        )
    distances = bhattacharyya_distances(one, other)
    unlike = (np.sqrt(one.weights)[:, None] - np.sqrt(other.weights)[None]) ** 2
    rows, columns = linear_sum_assignment(distances + TIE_BREAK * unlike)
    permutation = np.full(one.n_components, -1)
    permutation[rows] = columns
    lengths = np.full(one.n_components, np.nan)
    lengths[rows] = distances[rows, columns]
    return Match(permutation, lengths, np.setdiff1d(np.arange(other.n_components), columns))


def _mixture_of(fitted: Mixture | FittedEstimator | HasMixture) -> Mixture:
    """The mixture of an estimator, a result or a model, or the mixture itself."""
    for name in ("mixture_", "mixture"):
        found = getattr(fitted, name, None)
        if isinstance(found, Mixture):
            return found
    if isinstance(fitted, Mixture):
        return fitted
    raise TypeError(
        "expected a mixture, a fitted estimator, a result or a model, but a "
        f"{type(fitted).__name__} without a mixture came. "
        "Fit it first, or make a mixture of its parameters with GaussianMixture.from_parameters."
    )


def bhattacharyya_distances(a: Mixture, b: Mixture) -> Array:
    """Distances between each component of a and each of b, (K_a, K_b).

    ``(mu_a - mu_b)' S^-1 (mu_a - mu_b) / 8 + log(det S / sqrt(det Sigma_a det Sigma_b)) / 2`` with
    ``S = (Sigma_a + Sigma_b) / 2``.
    """
    apart = a.means[:, None] - b.means[None]
    own = (a.covariance.log_det[:, None] + b.covariance.log_det[None]) / 2.0
    between, log_det = _pooled(a.covariance, b.covariance, apart)
    return np.maximum(between / 8.0 + (log_det - own) / 2.0, 0.0)


def _pooled(a: Covariance, b: Covariance, apart: Array) -> tuple[Array, Array]:
    """Squared distances and log-determinants (K_a, K_b) under ``(Sigma_a + Sigma_b) / 2``.

    Both are computed where Sigma_a is the identity.
    """
    distances, log_dets = np.empty(apart.shape[:2]), np.empty(apart.shape[:2])
    theirs = b.dense()
    identity = np.eye(apart.shape[2])
    for k in range(len(apart)):
        for j, matrix in enumerate(theirs):
            white = a.whiten(k, a.whiten(k, matrix).T)
            values, axes = np.linalg.eigh(0.5 * (0.5 * (white + white.T) + identity))
            whitened = a.whiten(k, apart[k, j][None])[0] @ axes
            distances[k, j] = (whitened**2 / values).sum()
            log_dets[k, j] = a.log_det[k] + np.log(values).sum()
    return distances, log_dets
