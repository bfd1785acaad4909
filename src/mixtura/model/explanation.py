"""Memberships of a row with their reasons: weights, distances and densities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Rows
from mixtura.base.numbering import cluster_name
from mixtura.distribution.mixture import Mixture


@dataclass(frozen=True)
class Membership:
    """The membership of a row in one component.

    ``probability`` is ``weight * density``, divided by its sum over the components.

    Attributes
    ----------
    component : int
        From 0.
    probability : float
    weight : float
    distance : float
        Mahalanobis distance to the mean, in standard deviations of the component.
    log_density : float
        Log density of the component, without its weight.
    """

    component: int
    probability: float
    weight: float
    distance: float
    log_density: float


def memberships_of(mixture: Mixture, row: Rows) -> tuple[Membership, ...]:
    """The memberships of one row (d,), in the order of the components, without that of a noise.

    Distances and densities are those of the columns that are not missing (NaN).

    Examples
    --------
    >>> from mixtura import GaussianMixture
    >>> known = GaussianMixture.from_parameters(
    ...     [0.7, 0.3], [[-1.0], [1.0]], [1.0, 1.0], covariance_type="spherical"
    ... )
    >>> memberships = memberships_of(known.mixture_, np.array([0.0]))
    >>> [(round(each.probability, 9), each.distance) for each in memberships]
    [(0.7, 1.0), (0.3, 1.0)]
    """
    rows = np.asarray(row, dtype=np.float64)[None]
    joint = mixture.log_joint(rows)[0, : mixture.n_components]
    shares = mixture.posterior(rows)[0]
    seen = np.flatnonzero(~np.isnan(rows[0]))
    rows, mixture = rows[:, seen], mixture.marginal(seen)
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


def membership_text(memberships: Sequence[Membership]) -> str:
    """Memberships as text, the largest first: ``70 % cluster 0, 30 % cluster 1``.

    Memberships below half a percent are left out.

    Examples
    --------
    >>> membership_text([Membership(0, 0.3, 0.5, 1.0, -1.0), Membership(1, 0.7, 0.5, 0.5, -0.5)])
    '70 % cluster 1, 30 % cluster 0'
    >>> membership_text([Membership(0, 0.999, 0.5, 1.0, -1.0), Membership(1, 0.001, 0.5, 4.0, -9)])
    'more than 99 % cluster 0'
    """
    largest = sorted(memberships, key=lambda share: (-share.probability, share.component))
    if largest[0].probability >= 0.995 and len(largest) > 1:
        return f"more than 99 % {cluster_name(largest[0].component)}"
    named = [
        f"{100 * share.probability:.0f} % {cluster_name(share.component)}"
        for share in largest
        if share.probability >= 0.005
    ]
    noise = 1.0 - sum(share.probability for share in memberships)
    return ", ".join([*named, f"{100 * noise:.0f} % noise"] if noise >= 0.005 else named)


def membership_reasons(memberships: Sequence[Membership]) -> str:
    """The distances, weights and densities behind the two largest memberships, as text."""
    first, *others = sorted(memberships, key=lambda share: (-share.probability, share.component))
    own = cluster_name(first.component)
    if not others:
        return (
            f"It lies {first.distance:.2f} standard deviations from the centre of {own}. There is "
            "no other cluster."
        )
    second = others[0]
    return (
        f"It lies {first.distance:.2f} standard deviations from the centre of {own} and "
        f"{second.distance:.2f} from that of {cluster_name(second.component)}, each in the "
        f"standard deviations of that cluster. For {own} weight times density is "
        f"{_ratio(first, second)}: "
        f"the weights are {first.weight:.2f} and {second.weight:.2f}, {_density(first, second)}."
    )


def _ratio(first: Membership, second: Membership) -> str:
    """Ratio of the two products, as text."""
    if not second.probability > 0.0:
        return "infinitely larger"
    times = first.probability / second.probability
    return "about as large" if times < 1.05 else f"{_factor(times)} times as large"


def _density(first: Membership, second: Membership) -> str:
    """Ratio of the two densities, as text."""
    gap = first.log_density - second.log_density
    if not np.isfinite(gap) or abs(gap) > 700.0:
        return "and the densities are too far apart for a number"
    times = float(np.exp(abs(gap)))
    if times < 1.05:
        return "and the densities are about equal"
    higher = cluster_name((first if gap > 0 else second).component)
    return f"and the density of {higher} is {_factor(times)} times as high"


def _factor(times: float) -> str:
    """A factor in three digits, without a power of ten below a million."""
    return f"{times:,.0f}" if 100.0 <= times < 1e6 else f"{times:.3g}"
