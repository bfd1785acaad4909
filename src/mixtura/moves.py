"""Moves that leave a local optimum: parts of a mixture are taken out, joined or cut in two, and EM goes on from there.

A local optimum mostly has one component too many in one place and one too few in another, and EM cannot carry it across. A move
does: it takes a component out where it is missed least, and puts one where the rows are not described well. What it gives is
``Moments``, a number of rows, a mean and a scatter for each component, so EM goes on with an M-step, and a covariance
family, a prior or a floor needs no move of its own.

    swap        out goes a component, and one of the rows nearest to a drawn row comes in (of Franti & Kivijarvi 2000 for k-means)
    split       out goes a component, and another one is cut in two
    recut       two components that overlap are joined and cut in two another way
    reorder     two that overlap are joined, and a third one is cut in two (Ueda, Nakano, Ghahramani & Hinton 2000)
    scatter     all components are of the rows nearest to drawn rows: a start of its own (Biernacki, Celeux & Govaert 2003)

What a component is missed by is exact: ``-sum_i w_i log(1 - r_ik) + n log(1 - pi_k)``, the log-likelihood that is lost when it goes
and all else stays. Rows are drawn by weight and parts of rows are cut by weight, so a weight of 2 is a repeated row.

References
----------
Ueda, Nakano, Ghahramani & Hinton 2000, Neural Computation 12, 2109-2128. Franti & Kivijarvi 2000, Pattern Analysis and Applications
3, 358-369. Biernacki, Celeux & Govaert 2003, Computational Statistics & Data Analysis 41, 561-575.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np

from mixtura.arrays import Array, symmetric
from mixtura.clumps import Clumps, clumps_of
from mixtura.covariance import Dense
from mixtura.errors import CollapseError
from mixtura.mixture import Mixture, log_density
from mixtura.moments import Moments, Scatter
from mixtura.protocols import Block
from mixtura.survey import Survey

ROWS_AT_ONCE = 16384

NARROWEST, WIDEST = 0.1, 1.0
"""A component of the rows nearest to a drawn row takes between these parts of 1/K of all rows."""

UNLIKELY = 0.1
"""Where rows of low density are drawn, the one at this quantile is drawn 1/e times as often as the least likely one."""

LEAST_OTHERS = 1e-16
"""What the others are taken to describe of a row that belongs to one component but for rounding."""

CLOSE = 0.05
"""Added to the overlap of a pair, so that one that does not overlap can be recut, too."""


class Part(NamedTuple):
    """One component to start from: rows it holds, by weight, their mean (d,) and covariance (d,d)."""

    weight: float
    mean: Array
    covariance: Array


def moments_of_parts(parts: Sequence[Part]) -> Moments:
    """Moments about the parts' means."""
    about = np.array([part.mean for part in parts])
    counts = np.array([part.weight for part in parts])
    scatter = counts[:, None, None] * np.array([part.covariance for part in parts])
    return Moments(about, counts, np.zeros_like(about), scatter, Scatter.DENSE)


def parts_of(survey: Survey) -> list[Block]:
    """All rows in pieces whose memberships may exist at one time."""
    return [part for block in survey.source.blocks() for part in block.cut(ROWS_AT_ONCE)]


# ---- a fit, row by row -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class View:
    """What moves read of a fit: its rows, and how it describes each of them.

    Attributes
    ----------
    mixture : Mixture
    rows : (n, d)
    weights : (n,)
    log_joint : (n, K)
    survey : Survey
        What the rows are of.
    degenerate : tuple of int
        Components that may not stay.
    tried : dict
        Groups of rows that came in for each component already.
    """

    mixture: Mixture
    rows: Array
    weights: Array
    log_joint: Array
    survey: Survey
    degenerate: tuple[int, ...] = ()
    tried: dict[int, set[tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, survey: Survey, mixture: Mixture, degenerate: tuple[int, ...] = ()) -> View:
        """The rows of a survey under a mixture, read through its backend."""
        parts = parts_of(survey)
        weights = [np.ones(len(part.rows)) if part.weights is None else part.weights for part in parts]
        return cls(
            mixture,
            np.concatenate([part.rows for part in parts]).astype(np.float64),
            np.concatenate(weights).astype(np.float64),
            np.concatenate([survey.backend.log_joint(part, mixture) for part in parts]).astype(np.float64),
            survey,
            degenerate,
        )

    @property
    def row_weight(self) -> float:
        """What a row that counts once weighs."""
        return self.survey.row_weight

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weights.sum())

    @cached_property
    def chances(self) -> Array:
        """Each row's part of the total weight (n,)."""
        return self.weights / self.total

    @cached_property
    def log_density(self) -> Array:
        """(n,)."""
        return log_density(self.log_joint)

    @cached_property
    def ranks(self) -> Array:
        """The part of all weight that is in rows of lower density than this one (n,)."""
        order = np.argsort(self.log_density, kind="stable")
        ranks = np.empty(len(order))
        ranks[order] = np.cumsum(self.chances[order]) - self.chances[order]
        return ranks

    @cached_property
    def posteriors(self) -> Array:
        """(n, K)."""
        return np.asarray(np.exp(self.log_joint - self.log_density[:, None]))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The mixture's components."""
        dense = self.mixture.covariance.dense()
        covariances = np.broadcast_to(dense, (self.n_components, *dense.shape[1:]))
        return tuple(map(Part, (self.total * self.mixture.weights).tolist(), self.mixture.means, covariances))

    @cached_property
    def losses(self) -> Array:
        """Log-likelihood that is lost when a component goes and the others keep their places and proportions (K,)."""
        others = np.maximum(1.0 - self.posteriors, LEAST_OTHERS)
        with np.errstate(divide="ignore"):
            return np.asarray(-self.weights @ np.log(others) + self.total * np.log1p(-self.mixture.weights))

    @cached_property
    def overlaps(self) -> Array:
        """Cosines between the components' posteriors (K, K): 1 for two that share all their rows, 0 for two that share none."""
        products = self.posteriors.T @ (self.posteriors * self.weights[:, None])
        lengths = np.sqrt(np.maximum(np.diag(products), np.finfo(np.float64).tiny))
        return np.asarray(products / np.outer(lengths, lengths))

    @cached_property
    def misfits(self) -> Array:
        """Local Kullback divergence of the rows that belong to a component from its Gaussian (K,); Ueda et al. 2000, eq. 4.2."""
        shares = self.posteriors * self.weights[:, None]
        tiny = np.finfo(np.float64).tiny
        counts = np.maximum(shares.sum(axis=0), tiny)
        # log(r_ik / n_k) - log N(x_i | k), of which log N cancels, since log r_ik = log pi_k + log N(x_i | k) - log p(x_i)
        gaps = np.log(np.maximum(self.mixture.weights, tiny)) - np.log(counts) - np.maximum(self.log_density, -1e300)[:, None]
        return np.asarray((shares / counts * gaps).sum(axis=0))

    @cached_property
    def clumps(self) -> tuple[Clumps, ...]:
        """Small groups of rows near each other, made once for a survey."""
        return self.survey.once("clumps", lambda: clumps_of(self.rows, self.weights, self.survey.covariance))  # type: ignore[no-any-return]

    @cached_property
    def promising(self) -> list[tuple[int, int]]:
        """Groups (number of the kind, number in it) by falling gain."""
        gains = [group.gains(self.log_density) for group in self.clumps]
        if not gains:
            return []
        names = [(i, c) for i, group in enumerate(gains) for c in range(len(group))]
        return [names[j] for j in np.argsort(-np.concatenate(gains), kind="stable")]

    @cached_property
    def pooled(self) -> Array:
        """The mean covariance of the components (d, d)."""
        return np.asarray(np.average([part.covariance for part in self.parts], axis=0, weights=self.mixture.weights))


Move: TypeAlias = Callable[[View, np.random.Generator], Moments | None]
"""Gives where EM goes on; None where the fit has no such move."""


# ---- the moves -----------------------------------------------------------------------------------------------------------


def swap(view: View, rng: np.random.Generator) -> Moments | None:
    """A component goes, and one around a drawn row comes; every other time the row is drawn where the density is low."""
    out = _dispensable(view, rng)
    row = _unlikely_row(view, rng) if rng.random() < 0.5 else _any_row(view, rng)
    return moments_of_parts([*_without(view, out), around(view, row, rng)])


def clump(view: View, rng: np.random.Generator) -> Moments | None:
    """A component goes, and one of the small groups that promise most and were not tried yet comes."""
    out = _dispensable(view, rng)
    tried = view.tried.setdefault(out, set())
    left = list(islice((each for each in view.promising if each not in tried), int(rng.geometric(0.3))))
    if not left:
        tried.clear()
        return None
    kind, c = left[-1]
    group = view.clumps[kind]
    alike = np.isin(group.near[:, 0], group.near[c, : max(1, group.size // 2)])  # groups about one of its inner rows
    tried.update((kind, int(i)) for i in np.flatnonzero(alike))
    part = Part(float(group.weights[c]), group.means[c], group.covariances[c])
    return moments_of_parts([*_without(view, out), part])


def split(view: View, rng: np.random.Generator) -> Moments | None:
    """A component goes, and another one, drawn by weight, is cut in two."""
    out = _dispensable(view, rng)
    chances = np.where(np.arange(view.n_components) == out, 0.0, view.mixture.weights)
    if not chances.any():
        return None
    k = int(rng.choice(view.n_components, p=chances / chances.sum()))
    halves = cut(view, view.posteriors[:, k], view.parts[k].covariance, rng)
    return None if halves is None else moments_of_parts([*_without(view, out, k), *halves])


def recut(view: View, rng: np.random.Generator) -> Moments | None:
    """Two components, the more they overlap the likelier, are joined and cut in two another way."""
    one, other = np.triu_indices(view.n_components, 1)
    chances = view.overlaps[one, other] + CLOSE
    pair = int(rng.choice(len(one), p=chances / chances.sum()))
    k, el = int(one[pair]), int(other[pair])
    joint = joined(view.parts[k], view.parts[el])
    halves = cut(view, view.posteriors[:, k] + view.posteriors[:, el], joint.covariance, rng)
    return None if halves is None else moments_of_parts([*_without(view, k, el), *halves])


def reorder(view: View, rng: np.random.Generator) -> Moments | None:
    """Two of those that overlap most are joined, and one of those that fit worst is cut in two."""
    if view.n_components < 3:
        return None
    one, other = np.triu_indices(view.n_components, 1)
    pair = _ranked(view.overlaps[one, other], rng)
    k, el = int(one[pair]), int(other[pair])
    rest = np.delete(np.arange(view.n_components), [k, el])
    m = int(rest[_ranked(view.misfits[rest], rng)])
    halves = cut(view, view.posteriors[:, m], view.parts[m].covariance, rng)
    return None if halves is None else moments_of_parts([*_without(view, k, el, m), joined(view.parts[k], view.parts[el]), *halves])


def scatter(view: View, rng: np.random.Generator) -> Moments | None:
    """All components are around drawn rows: of the fit nothing is kept but its covariances, to measure by."""
    rows = rng.choice(len(view.rows), size=view.n_components, p=view.chances)
    return moments_of_parts([around(view, int(row), rng) for row in rows])


# ---- parts that come in --------------------------------------------------------------------------------------------------


def around(view: View, row: int, rng: np.random.Generator) -> Part:
    """The rows nearest to one row, so many that they weigh a drawn part of what a component weighs on average.

    They are measured by a component that the row belongs to, or by the mean of all covariances.
    """
    k = int(rng.choice(view.n_components, p=view.posteriors[row] / view.posteriors[row].sum()))
    measure = view.pooled if rng.random() < 0.5 else view.parts[k].covariance
    d = view.rows.shape[1]
    wanted = max(rng.uniform(NARROWEST, WIDEST) / view.n_components * view.total, 2 * (d + 1) * view.row_weight)
    distances = (Dense(measure[None], 1).whiten(0, view.rows - view.rows[row]) ** 2).sum(axis=1)
    order = np.argsort(distances, kind="stable")
    weights = view.weights[order]
    shares = np.clip(wanted - (np.cumsum(weights) - weights), 0.0, weights)
    held = shares > 0
    widest = float(distances[order[held][-1]])
    return part_of(view.rows[order[held]], shares[held], measure * widest / (d + 2), view.row_weight)


def cut(view: View, shares: Array, measure: Array, rng: np.random.Generator) -> list[Part] | None:
    """A component (its posteriors (n,) and its covariance) in two: each row goes to the nearer of two rows drawn from it."""
    held = shares * view.weights
    if np.count_nonzero(held) < 2:
        return None
    seeds = rng.choice(len(held), size=2, replace=False, p=held / held.sum())
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


# ---- what is drawn -------------------------------------------------------------------------------------------------------


def _dispensable(view: View, rng: np.random.Generator) -> int:
    """A component; the r-th of those that are missed least with a chance in proportion to 1 / r."""
    if view.degenerate:
        return int(rng.choice(view.degenerate))
    chances = 1.0 / np.arange(1.0, view.n_components + 1)
    return int(np.argsort(view.losses, kind="stable")[rng.choice(view.n_components, p=chances / chances.sum())])


def _any_row(view: View, rng: np.random.Generator) -> int:
    """A row by weight."""
    return int(rng.choice(len(view.rows), p=view.chances))


def _unlikely_row(view: View, rng: np.random.Generator) -> int:
    """A row by weight, the likelier the less dense the mixture is there."""
    chances = view.chances * np.exp(-view.ranks / UNLIKELY)
    return int(rng.choice(len(view.rows), p=chances / chances.sum()))


def _ranked(scores: Array, rng: np.random.Generator) -> int:
    """A position, the first of the highest scores as likely as all that come after it."""
    return int(np.argsort(-scores, kind="stable")[min(int(rng.geometric(0.5)) - 1, len(scores) - 1)])


def _without(view: View, *out: int) -> list[Part]:
    """The components of a fit without some of them."""
    return [part for k, part in enumerate(view.parts) if k not in out]


MOVES: dict[str, tuple[Move, float]] = {
    "swap": (swap, 3.0),
    "split": (split, 1.0),
    "recut": (recut, 2.0),
    "reorder": (reorder, 0.5),
    "scatter": (scatter, 1.5),
    "clump": (clump, 2.0),
}
"""Each move by name, with how often it is drawn: none of them is the best one everywhere, so all are tried."""


_NAMES = tuple(MOVES)
_CUMULATED = np.cumsum([share for _, share in MOVES.values()])


def drawn_move(view: View, rng: np.random.Generator, thorough: bool) -> tuple[str, Moments | None]:
    """The name of a move drawn by chance, and where it leads; None where it leads nowhere.

    To look for small groups takes as long as a hundred moves, so that is left to a ``thorough`` search.
    """
    end = _CUMULATED[-1 if thorough else -2]
    name = _NAMES[int(_CUMULATED.searchsorted(rng.random() * end, side="right"))]
    try:
        return name, MOVES[name][0](view, rng)
    except CollapseError:  # a component so flat that nothing can be measured by it
        return name, None
