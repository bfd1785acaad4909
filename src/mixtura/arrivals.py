"""What comes into a mixture when it is left for another one: parts around a row, of a cut, of two that are joined.

A move (:mod:`mixtura.moves`) only draws which components go and what comes; what those parts are follows here without chance, in
NumPy and, with the same numbers to rounding, in ``native/arrivals.cpp``. Parts of rows are cut by weight, so a weight of 2 is a
repeated row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from mixtura.arrays import Array, symmetric
from mixtura.covariance import Dense
from mixtura.errors import CollapseError
from mixtura.moments import Moments, Scatter
from mixtura.view import Part, View

POOLED = -1
"""In the place of a component: the mean covariance of all."""


class Around(NamedTuple):
    """The rows nearest to one row, measured by the covariance of a component, until they weigh ``wanted``."""

    row: int
    wanted: float
    measure: int


class Cut(NamedTuple):
    """The rows of one component, or of two together, in two parts: each row goes to the nearer of two seeds."""

    group: tuple[int, ...]
    seeds: tuple[int, int]


class Joined(NamedTuple):
    """Two components as one."""

    one: int
    other: int


Arrival: TypeAlias = Around | Cut | Joined | Part
"""What comes in; a part comes as it is."""


class Departure(NamedTuple):
    """How a mixture is left: by a move of this name, without the components ``gone``, with the arrivals in their place."""

    name: str
    gone: tuple[int, ...]
    arrivals: tuple[Arrival, ...]


def moments_of_parts(parts: Sequence[Part]) -> Moments:
    """Moments about the parts' means."""
    about = np.array([part.mean for part in parts])
    counts = np.array([part.weight for part in parts])
    scatter = counts[:, None, None] * np.array([part.covariance for part in parts])
    return Moments(about, counts, np.zeros_like(about), scatter, Scatter.DENSE)


def moments_after(view: View, departure: Departure) -> Moments | None:
    """Where EM goes on; None where rows cannot be cut so, or a component is so flat that nothing can be measured by it."""
    parts = [part for k, part in enumerate(view.parts) if k not in departure.gone]
    try:
        for arrival in departure.arrivals:
            come = _parts(view, arrival)
            if come is None:
                return None
            parts.extend(come)
    except CollapseError:
        return None
    return moments_of_parts(parts)


def _parts(view: View, arrival: Arrival) -> list[Part] | None:
    match arrival:
        case Part():
            return [arrival]
        case Around():
            return [_around(view, *arrival)]
        case Joined():
            return [joined(view.parts[arrival.one], view.parts[arrival.other])]
        case Cut():
            return _halves(view, *arrival)


def _around(view: View, row: int, wanted: float, component: int) -> Part:
    """Of the last row that is reached, as much comes as is still wanted; the part is as wide as a ball that the rows fill."""
    measure = view.pooled if component == POOLED else view.parts[component].covariance
    distances = (Dense(measure[None], 1).whiten(0, view.rows - view.rows[row]) ** 2).sum(axis=1)
    order = np.argsort(distances, kind="stable")
    weights = view.weights[order]
    shares = np.clip(wanted - (np.cumsum(weights) - weights), 0.0, weights)
    held = shares > 0
    widest = float(distances[order[held][-1]])
    return part_of(view.rows[order[held]], shares[held], measure * widest / (view.rows.shape[1] + 2), view.row_weight)


def _halves(view: View, group: tuple[int, ...], seeds: tuple[int, int]) -> list[Part] | None:
    """None where one of the two would hold too little."""
    held = view.posteriors[:, list(group)].sum(axis=1) * view.weights
    measure = joined(*(view.parts[k] for k in group)).covariance if len(group) == 2 else view.parts[group[0]].covariance
    white = Dense(measure[None], 1).whiten(0, view.rows - view.rows[seeds[0]])
    nearer = (white**2).sum(axis=1) < ((white - white[seeds[1]]) ** 2).sum(axis=1)
    if min(held[nearer].sum(), held[~nearer].sum()) < (view.rows.shape[1] + 1) * view.row_weight:
        return None
    return [part_of(view.rows[half], held[half], measure, view.row_weight) for half in (nearer, ~nearer)]


def joined(one: Part, other: Part) -> Part:
    """Two components as one: its mean and covariance are those of the two together."""
    weight = max(one.weight + other.weight, np.finfo(np.float64).tiny)
    mean = (one.weight * one.mean + other.weight * other.mean) / weight
    outer = sum((part.weight / weight) * (part.covariance + np.outer(part.mean - mean, part.mean - mean)) for part in (one, other))
    return Part(weight, mean, np.asarray(outer))


def part_of(rows: Array, weights: Array, measure: Array, row_weight: float) -> Part:
    """Weighted rows as a component; d + 1 rows' worth of a covariance that is known keeps a few of them from being flat."""
    weight = float(weights.sum())
    mean = weights @ rows / weight
    centred = rows - mean
    known = (rows.shape[1] + 1) * row_weight
    return Part(weight, mean, symmetric((weights[:, None] * centred).T @ centred + known * measure) / (weight + known))


# ---- the same for C++ ------------------------------------------------------------------------------------------------


def flat_arrivals(departure: Departure, d: int) -> tuple[Array, Array, Array, Array]:
    """Arrivals as C++ takes them, a row of five numbers each; weights (m,), means (m,d) and covariances (m,d,d) of given parts.

    Around: 0, row, wanted, component. Cut: 1, seed, seed, component, second component or -1. Joined: 2, component, component.
    A given part: 3. The rest of a row is not read.
    """
    table: list[tuple[float, ...]] = []
    given: list[Part] = []
    for arrival in departure.arrivals:
        match arrival:
            case Around():
                table.append((0.0, arrival.row, arrival.wanted, arrival.measure, 0.0))
            case Cut():
                table.append((1.0, *arrival.seeds, arrival.group[0], arrival.group[1] if len(arrival.group) == 2 else -1))
            case Joined():
                table.append((2.0, arrival.one, arrival.other, 0.0, 0.0))
            case Part():
                table.append((3.0, 0.0, 0.0, 0.0, 0.0))
                given.append(arrival)
    weights = np.array([part.weight for part in given])
    means = np.array([part.mean for part in given]).reshape(-1, d)
    covariances = np.array([part.covariance for part in given]).reshape(-1, d, d)
    return np.array(table, dtype=np.float64), weights, means, covariances
