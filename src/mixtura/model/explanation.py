"""Why a row belongs to which component: weights, distances and densities behind its memberships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Rows
from mixtura.base.numbering import cluster_name
from mixtura.model.mixture import Mixture


@dataclass(frozen=True)
class Membership:
    """One component's share in one row: ``probability`` is ``weight * density``, divided by the sum
    of that over components.

    Attributes
    ----------
    component : int
        From 0.
    probability : float
    weight : float
    distance : float
        Mahalanobis distance to the mean, which is in the component's own standard deviations.
    log_density : float
        Of the component alone, without its weight.
    """

    component: int
    probability: float
    weight: float
    distance: float
    log_density: float


def explain(mixture: Mixture, row: Rows) -> tuple[Membership, ...]:
    """What each component says about one row (d,), in the order of the components.

    Examples
    --------
    >>> from mixtura import GaussianMixture
    >>> known = GaussianMixture.from_parameters(
    ...     [0.7, 0.3], [[-1.0], [1.0]], [1.0, 1.0], covariance_type="spherical"
    ... )
    >>> memberships = explain(known.mixture_, np.array([0.0]))
    >>> [(round(each.probability, 9), each.distance) for each in memberships]
    [(0.7, 1.0), (0.3, 1.0)]
    """
    rows = np.asarray(row, dtype=np.float64)[None]
    joint, shares = mixture.log_joint(rows)[0], mixture.posterior(rows)[0]
    centred = [mixture.covariance.whiten(k, rows - mean)[0] for k, mean in enumerate(mixture.means)]
    with np.errstate(divide="ignore", invalid="ignore"):
        densities = joint - np.log(mixture.weights)
    return tuple(
        Membership(
            k,
            float(shares[k]),
            float(mixture.weights[k]),
            float(np.linalg.norm(centred[k])),
            float(densities[k]),
        )
        for k in range(mixture.n_components)
    )


def in_words(memberships: Sequence[Membership]) -> str:
    """Memberships as people say them: ``70 % cluster 0, 30 % cluster 1``, the largest first, down
    to one percent.

    What is left of a hundred percent is rounding and the shares too small to name.

    Examples
    --------
    >>> in_words([Membership(0, 0.3, 0.5, 1.0, -1.0), Membership(1, 0.7, 0.5, 0.5, -0.5)])
    '70 % cluster 1, 30 % cluster 0'
    >>> in_words([Membership(0, 0.999, 0.5, 1.0, -1.0), Membership(1, 0.001, 0.5, 4.0, -9.0)])
    'more than 99 % cluster 0'
    """
    largest = sorted(memberships, key=lambda share: (-share.probability, share.component))
    if largest[0].probability >= 0.995 and len(largest) > 1:
        return f"more than 99 % {cluster_name(largest[0].component)}"
    named = [share for share in largest if share.probability >= 0.005]
    return ", ".join(
        f"{100 * share.probability:.0f} % {cluster_name(share.component)}" for share in named
    )


def why(memberships: Sequence[Membership]) -> str:
    """What decided between the two largest memberships: how near the row lies, how wide and how
    heavy the components are.
    """
    first, *others = sorted(memberships, key=lambda share: (-share.probability, share.component))
    here = (
        f"It lies {first.distance:.2f} standard deviations of {cluster_name(first.component)} "
        "from the centre of that cluster"
    )
    if not others:
        return f"{here}. There is no other cluster."
    second = others[0]
    there = f"and {second.distance:.2f} of {cluster_name(second.component)} from that one's"
    return (
        f"{here}, {there}. Weight times density is {_ratio(first, second)} for "
        f"{cluster_name(first.component)}: "
        f"the weights are {first.weight:.2f} and {second.weight:.2f}, {_density(first, second)}."
    )


def _ratio(first: Membership, second: Membership) -> str:
    """By how much the first product is larger."""
    if not second.probability > 0.0:
        return "larger beyond any number"
    times = first.probability / second.probability
    return "about as large" if times < 1.05 else f"{_read(times)} times as large"


def _density(first: Membership, second: Membership) -> str:
    """By how much the first density is larger, whatever the weights are."""
    gap = first.log_density - second.log_density
    if not np.isfinite(gap) or abs(gap) > 700.0:
        return "and the densities are too far apart for a number"
    times = float(np.exp(abs(gap)))
    if times < 1.05:
        return "and the densities about equal"
    higher = first if gap > 0 else second
    return (
        f"and the density of {cluster_name(higher.component)} is {_read(times)} times as high there"
    )


def _read(times: float) -> str:
    """A factor as people read it: no powers of ten while there are few digits."""
    return f"{times:,.0f}" if 100.0 <= times < 1e6 else f"{times:.3g}"
