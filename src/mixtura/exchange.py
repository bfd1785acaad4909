"""Many swaps at once: components that are missed least go, and those that hide two groups are cut in two.

What a component gains by a cut is known without a look at the others: with the memberships ``r_ik`` of a fit as weights, two
components in the place of one raise the log-likelihood by at least ``sum_i w_i r_ik log(f_new(x_i) / f_k(x_i))``, by Jensen's
inequality, as in every step of EM. What it loses by going is exact, as long as its neighbours stay. So EM runs on the rows of one
component alone (partial EM: Ueda, Nakano, Ghahramani & Hinton 2000, Neural Computation 12:2109-2128), a hundredth of the work
where there are a hundred components, and the pairs with a gain above the loss are taken together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.arrays import Array, Flags
from mixtura.arrivals import joined, moments_of_parts, part_of
from mixtura.covariance import Dense
from mixtura.em import em
from mixtura.errors import CollapseError
from mixtura.moments import Moments
from mixtura.protocols import Family
from mixtura.regularisation import Regularisation
from mixtura.stopping import SmallGain
from mixtura.view import Part, View

HELD = 1e-3
"""Rows that belong to a component by less are left out of its partial EM."""

STEPS = 30
STILL = 0.1
"""Iterations of it at most, and the gain at which it is at rest."""

ALONG = 0.5
"""How often a single component is cut across its longest axis rather than by drawn rows: in many dimensions those seldom tell."""

NEIGHBOURS = 0.05
"""Two components that overlap more do not go together: each would count on the other."""


@dataclass(frozen=True)
class Growth:
    """One component, or two neighbours, with one more in their place, and what that gains."""

    group: tuple[int, ...]
    gain: float
    parts: tuple[Part, ...]


def exchange(view: View, family: Family, regularisation: Regularisation, rng: np.random.Generator) -> Moments | None:
    """Where EM goes on after all swaps that promise a gain; None where none does."""
    tried = (_grown(view, group, family, regularisation, rng) for group in _groups(view))
    swaps = _paired(view, sorted((growth for growth in tried if growth is not None), key=lambda growth: -growth.gain))
    if not swaps:
        return None
    gone = {out for out, _ in swaps}.union(*(growth.group for _, growth in swaps))
    stay = [part for k, part in enumerate(view.parts) if k not in gone]
    return moments_of_parts([*stay, *(part for _, growth in swaps for part in growth.parts)])


def _groups(view: View) -> list[tuple[int, ...]]:
    """Every component, and every one with the neighbour that it overlaps most."""
    others = view.overlaps - np.eye(view.n_components)
    pairs = {tuple(sorted((k, int(others[k].argmax())))) for k in range(view.n_components)}
    return [*((k,) for k in range(view.n_components)), *sorted(pairs)]


def _paired(view: View, growths: list[Growth]) -> list[tuple[int, Growth]]:
    """Who goes and who grows: the least loss with the greatest gain, and so on while there is more to gain than to lose."""
    swaps: list[tuple[int, Growth]] = []
    touched: set[int] = set()
    for out in np.argsort(view.losses, kind="stable").tolist():
        if out in touched or any(view.overlaps[out, other] > NEIGHBOURS for other in touched):
            continue
        growth = next((each for each in growths if not touched.union({out}).intersection(each.group)), None)
        if growth is None or growth.gain <= view.losses[out]:
            break
        swaps.append((out, growth))
        touched |= {out, *growth.group}
    return swaps


def _grown(
    view: View, group: tuple[int, ...], family: Family, regularisation: Regularisation, rng: np.random.Generator
) -> Growth | None:
    """One more component by partial EM from a random cut; None where the rows of the group cannot be cut so often."""
    shares = view.posteriors[:, list(group)].sum(axis=1)
    held = shares > HELD
    rows, weights = view.rows[held], view.weights[held] * shares[held]
    parts = [view.parts[k] for k in group]
    along = len(group) == 1 and rng.random() < ALONG
    begin = _halves(rows, weights, parts[0], view) if along else _cuts(rows, weights, parts, view.row_weight, rng)
    if begin is None:
        return None
    own = view.survey.part(rows, weights)
    rule = SmallGain(STILL * view.row_weight)
    try:
        now, more = (
            em(own, moments_of_parts(start), family, regularisation, stopping=rule, max_iter=STEPS, judge=False)
            for start in (parts, begin)
        )
    except CollapseError:
        return None
    mixture = more.mixture
    dense = np.broadcast_to(mixture.covariance.dense(), (len(begin), *begin[0].covariance.shape))
    grown = tuple(map(Part, (own.total * mixture.weights).tolist(), mixture.means, dense))
    return Growth(group, more.log_likelihood - now.log_likelihood, grown)


def _halves(rows: Array, weights: Array, part: Part, view: View) -> list[Part] | None:
    """Rows of one component on the two sides of its mean, along the axis on which it is longest beside the others."""
    pooled = Dense(view.pooled[None], 1)
    white = pooled.whiten(0, rows - part.mean)
    axis = np.linalg.eigh((weights[:, None] * white).T @ white)[1][:, -1]
    above = white @ axis > 0
    return _pieces(rows, weights, [above, ~above], part.covariance, view.row_weight)


def _cuts(rows: Array, weights: Array, parts: list[Part], row_weight: float, rng: np.random.Generator) -> list[Part] | None:
    """Rows in one part more than they were: each goes to the nearest of so many drawn ones."""
    measure = parts[0].covariance if len(parts) == 1 else joined(*parts).covariance
    if np.count_nonzero(weights) <= len(parts):
        return None
    white = Dense(measure[None], 1).whiten(0, rows)
    seeds = white[rng.choice(len(rows), size=len(parts) + 1, replace=False, p=weights / weights.sum())]
    nearest = ((white[:, None] - seeds) ** 2).sum(axis=2).argmin(axis=1)
    return _pieces(rows, weights, [nearest == i for i in range(len(seeds))], measure, row_weight)


def _pieces(rows: Array, weights: Array, pieces: list[Flags], measure: Array, row_weight: float) -> list[Part] | None:
    """Each piece as a component; None where one of them holds too few rows for it."""
    if min(float(weights[piece].sum()) for piece in pieces) < (rows.shape[1] + 1) * row_weight:
        return None
    return [part_of(rows[piece], weights[piece], measure, row_weight) for piece in pieces]
