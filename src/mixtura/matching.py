"""Which component of one mixture is which of another: labels have no meaning of their own, so two fits are matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mixtura.arrays import Array, Labels
from mixtura.covariance import Covariance
from mixtura.mixture import Mixture


@dataclass(frozen=True, eq=False)
class Match:
    """The best pairing of the components of two mixtures.

    Attributes
    ----------
    permutation : (K,)
        ``b.select(permutation)`` has the components of b in the order of a.
    distances : (K,)
        Bhattacharyya distance of each pair, 0 for equal Gaussians, free of units.
    """

    permutation: Labels
    distances: Array

    @property
    def hellinger(self) -> Array:
        """Hellinger distance of each pair (K,), between 0 and 1: ``sqrt(1 - exp(-distance))``."""
        return np.sqrt(-np.expm1(-self.distances))

    @property
    def moved(self) -> bool:
        """Whether the order of the two mixtures differs."""
        return bool((self.permutation != np.arange(len(self.permutation))).any())


def match(a: Mixture, b: Mixture) -> Match:
    """The permutation of b's components with the smallest sum of Bhattacharyya distances to a's (the Hungarian method).

    The Hellinger distance saturates at 1 for components that are well apart, where any pairing would then be as good as any
    other; the Bhattacharyya distance goes on growing.

    Parameters
    ----------
    a, b : Mixture
        With equally many components in the same space. The mixing proportions play no part.

    Raises
    ------
    ValueError
        When the mixtures differ in shape.

    References
    ----------
    Kuhn 1955; Bhattacharyya 1943.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.covariance import Spherical
    >>> a = Mixture(np.array([0.3, 0.7]), np.array([[0.0], [9.0]]), Spherical(np.ones(1), 2, 1))
    >>> match(a, a.select(np.array([1, 0]))).permutation.tolist()
    [1, 0]
    """
    if a.means.shape != b.means.shape:
        raise ValueError(
            f"two mixtures are matched component by component, but their means have the shapes {a.means.shape} and "
            f"{b.means.shape}. Pass mixtures with equally many components over the same columns."
        )
    distances = bhattacharyya_distances(a, b)
    rows, permutation = linear_sum_assignment(distances)
    return Match(np.asarray(permutation), distances[rows, permutation])


def bhattacharyya_distances(a: Mixture, b: Mixture) -> Array:
    """Between each component of a and each of b, (K_a, K_b).

    ``(mu_a - mu_b)' S^-1 (mu_a - mu_b) / 8 + log(det S / sqrt(det Sigma_a det Sigma_b)) / 2`` with
    ``S = (Sigma_a + Sigma_b) / 2``.
    """
    apart = a.means[:, None] - b.means[None]
    own = (a.covariance.log_det[:, None] + b.covariance.log_det[None]) / 2.0
    between, log_det = _pooled(a.covariance, b.covariance, apart)
    return np.maximum(between / 8.0 + (log_det - own) / 2.0, 0.0)


def _pooled(a: Covariance, b: Covariance, apart: Array) -> tuple[Array, Array]:
    """Squared distances and log-determinants (K_a, K_b) under ``(Sigma_a + Sigma_b) / 2``, in units of Sigma_a."""
    distances, log_dets = np.empty(apart.shape[:2]), np.empty(apart.shape[:2])
    theirs = b.dense()
    identity = np.eye(apart.shape[2])
    for k in range(len(apart)):
        for j, matrix in enumerate(theirs):
            seen = a.whiten(k, a.whiten(k, matrix).T)
            values, axes = np.linalg.eigh(0.5 * (0.5 * (seen + seen.T) + identity))
            whitened = a.whiten(k, apart[k, j][None])[0] @ axes
            distances[k, j] = (whitened**2 / values).sum()
            log_dets[k, j] = a.log_det[k] + np.log(values).sum()
    return distances, log_dets
