"""A fit row by row: what moves read of it.

What a component is missed by is exact: ``-sum_i w_i log(1 - r_ik) + n log(1 - pi_k)``, the log-likelihood that is lost when it goes
and all else stays.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from mixtura.alignments import Alignments, alignments_of
from mixtura.annealing import Deal
from mixtura.arrays import Array, Labels
from mixtura.clumps import Clumps, Distinct, clumps_of
from mixtura.extension import extension
from mixtura.mixture import Mixture, log_density
from mixtura.moments import Scatter
from mixtura.protocols import Block
from mixtura.survey import Survey

ROWS_AT_ONCE = 16384

LEAST_OTHERS = 1e-16
"""What the others are taken to describe of a row that belongs to one component but for rounding."""

UNLIKELY = 0.1
"""Where rows of low density are drawn, the one at this quantile is drawn 1/e times as often as the least likely one."""

SAME_GAIN = 1e-3

CLOSE = 0.05
"""Added to the overlap of a pair, so that one that does not overlap can be drawn, too."""


class Part(NamedTuple):
    """One component to start from: rows it holds, by weight, their mean (d,) and covariance (d,d)."""

    weight: float
    mean: Array
    covariance: Array


def components_of(mixture: Mixture, total: float) -> tuple[Part, ...]:
    """The components of a mixture of rows that weigh so much."""
    dense = mixture.covariance.dense()
    covariances = np.broadcast_to(dense, (mixture.n_components, *dense.shape[1:]))
    return tuple(map(Part, (total * mixture.weights).tolist(), mixture.means, covariances))


def mean_covariance(mixture: Mixture) -> Array:
    """The mean covariance of the components, by weight (d, d)."""
    return np.asarray(np.average([part.covariance for part in components_of(mixture, 1.0)], axis=0, weights=mixture.weights))


def drawn(running: Array, rng: np.random.Generator) -> int:
    """A position, drawn by what a running sum adds there."""
    return min(int(running.searchsorted(rng.random() * running[-1], side="right")), len(running) - 1)


def parts_of(survey: Survey) -> list[Block]:
    """All rows in pieces whose memberships may exist at one time."""
    return [part for block in survey.source.blocks() for part in block.cut(ROWS_AT_ONCE)]


@dataclass(eq=False)
class Finds:
    """Components that may come in, by falling gain; those that gain the same are the same."""

    waiting: list[tuple[float, Part]] = field(default_factory=list)
    known: list[float] = field(default_factory=list)

    def keep(self, finds: Iterable[tuple[float, Part]]) -> None:
        """Add some."""
        for find in finds:
            at = bisect(self.known, find[0])
            if all(abs(find[0] - gain) > SAME_GAIN for gain in self.known[max(0, at - 1) : at + 1]):
                self.known.insert(at, find[0])
                insort(self.waiting, find, key=lambda item: -item[0])


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
    own : bool
        Whether components have covariances of their own, so that a small one may come in alone.
    form : Scatter
        The second moments that these are estimated from.
    fewest, narrowest : float
        Rows and variance (in units of the data's) below which a component is surely degenerate.
    needed : int
        Distinct rows that a component needs.
    found : dict
        By the component that goes: those that may come in its place, by falling gain, and how many of them came already. They grow
        with the moves that look for some.
    """

    mixture: Mixture
    rows: Array
    weights: Array
    log_joint: Array
    survey: Survey
    degenerate: tuple[int, ...] = ()
    own: bool = True
    form: Scatter = Scatter.DENSE
    fewest: float = 0.0
    narrowest: float = 0.0
    needed: int = 2
    found: dict[int, Finds] = field(default_factory=dict)
    _unseen: dict[int, Iterator[tuple[int, int]]] = field(default_factory=dict)
    _in_line: dict[int, Iterator[int]] = field(default_factory=dict)
    _without: dict[tuple[int, ...], Array] = field(default_factory=dict)

    @classmethod
    def of(cls, survey: Survey, mixture: Mixture, degenerate: tuple[int, ...] = (), **of_the_family: Any) -> View:
        """The rows of a survey under a mixture, read through its backend; ``own``, ``form`` and the rest as above."""
        parts = parts_of(survey)
        weights = [np.ones(len(part.rows)) if part.weights is None else part.weights for part in parts]
        return cls(
            mixture,
            np.concatenate([part.rows for part in parts]).astype(np.float64),
            np.concatenate(weights).astype(np.float64),
            np.concatenate([survey.backend.log_joint(part, mixture) for part in parts]).astype(np.float64),
            survey,
            degenerate,
            **of_the_family,
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
        return components_of(self.mixture, self.total)

    @cached_property
    def losses(self) -> Array:
        """Log-likelihood that is lost when a component goes and the others keep their places and proportions (K,)."""
        others = np.maximum(1.0 - self.posteriors, LEAST_OTHERS)
        with np.errstate(divide="ignore"):
            return np.asarray(-self.weights @ np.log(others) + self.total * np.log1p(-self.mixture.weights))

    @cached_property
    def by_loss(self) -> list[int]:
        """Components, the one that is missed least first (K,)."""
        order: list[int] = np.argsort(self.losses, kind="stable").tolist()
        return order

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
        kinds = np.repeat(np.arange(len(gains)), [len(group) for group in gains])
        numbers = np.concatenate([np.arange(len(group)) for group in gains])
        order = np.argsort(-np.concatenate(gains), kind="stable")
        return list(zip(kinds[order].tolist(), numbers[order].tolist(), strict=True))

    def next_clumps(self, out: int, m: int) -> list[tuple[Clumps, int]]:
        """The m most promising groups that were not given for this component before."""
        unseen = self._unseen.setdefault(out, iter(self.promising))
        return [(self.clumps[kind], c) for kind, c in islice(unseen, m)]

    @cached_property
    def alignments(self) -> Alignments | None:
        """Small groups of rows in line, made once for a survey."""
        survey = self.survey
        about = (survey.covariance, survey.scale, survey.resolution, self.form, self.needed, self.narrowest)
        key = ("alignments", self.form, self.needed, self.narrowest)
        return survey.once(key, lambda: alignments_of(self.rows, self.weights, *about))  # type: ignore[no-any-return]

    def next_alignments(self, out: int, m: int) -> list[Part]:
        """The m that gain most in the place of a component, of those that were not given for it before."""
        groups = self.alignments
        if groups is None:
            return []
        if out not in self._in_line:
            self._in_line[out] = iter(np.argsort(-groups.gains(self.without(out)), kind="stable").tolist())
        return [Part(*groups.part(c)) for c in islice(self._in_line[out], m)]

    @cached_property
    def deal(self) -> Deal:
        """The distinct rows, to be dealt out among as many groups, made once for a survey."""
        return self.survey.once(("deal", self.n_components, self.form, self.needed, self.narrowest), self._deal)  # type: ignore[no-any-return]

    def _deal(self) -> Deal:
        survey, own = self.survey, Distinct.of(self.rows, self.weights)
        narrowest = np.maximum(survey.resolution**2 / survey.scale, self.narrowest)
        rows = (own.rows - survey.mean) / np.sqrt(survey.scale)
        return Deal(rows, own.weights, self.n_components, self.form, self.needed, narrowest, self.row_weight)

    def dealt(self, labels: Labels) -> tuple[Part, ...]:
        """A partition of the distinct rows as components."""
        units = np.sqrt(self.survey.scale)
        return tuple(
            Part(group.weight, self.survey.mean + units * group.mean, np.outer(units, units) * group.scatter / group.weight)
            for group in self.deal.groups(labels)
        )

    def without(self, *out: int) -> Array:
        """Log densities (n,) of the mixture without some of its components."""
        if out not in self._without:
            gone = float(self.mixture.weights[list(out)].sum())
            rest = np.logaddexp.reduce(np.delete(self.log_joint, out, axis=1), axis=1)
            self._without[out] = np.asarray(rest - np.log1p(-min(gone, 1.0 - LEAST_OTHERS)))
        return self._without[out]

    @cached_property
    def pooled(self) -> Array:
        """The mean covariance of the components (d, d)."""
        return mean_covariance(self.mixture)

    # ---- what chance draws from: running sums, so that a draw is one look-up ---------------------------------------

    @cached_property
    def any_row(self) -> Array:
        """Rows by weight (n,)."""
        return np.cumsum(self.chances)

    @cached_property
    def unlikely_row(self) -> Array:
        """Rows by weight, the likelier the less dense the mixture is there (n,)."""
        return np.cumsum(self.chances * np.exp(-self.ranks / UNLIKELY))

    @cached_property
    def row_of(self) -> Array:
        """Rows of each component, by posterior and weight (K, n)."""
        return np.cumsum(np.ascontiguousarray((self.posteriors * self.weights[:, None]).T), axis=1)

    @cached_property
    def pairs(self) -> tuple[Labels, Labels]:
        """All pairs of components."""
        one, other = np.triu_indices(self.n_components, 1)
        return one, other

    @cached_property
    def overlapping_pair(self) -> Array:
        """Pairs, the likelier the more they overlap."""
        return np.cumsum(self.overlaps[self.pairs] + CLOSE)

    @cached_property
    def pairs_by_overlap(self) -> list[int]:
        """Pairs, those that overlap most first."""
        order: list[int] = np.argsort(-self.overlaps[self.pairs], kind="stable").tolist()
        return order

    @cached_property
    def by_misfit(self) -> list[int]:
        """Components, the one that fits its rows worst first (K,)."""
        order: list[int] = np.argsort(-self.misfits, kind="stable").tolist()
        return order

    # ---- the same for C++ --------------------------------------------------------------------------------------------

    @cached_property
    def native(self) -> Any:
        """What C++ reads of it; see ``native/arrivals.hpp``."""
        return extension.Origin(
            np.ascontiguousarray(self.rows),
            np.ascontiguousarray(self.weights),
            np.ascontiguousarray(self.posteriors),
            np.array([part.weight for part in self.parts]),
            np.ascontiguousarray(self.mixture.means, dtype=np.float64),
            np.ascontiguousarray([part.covariance for part in self.parts], dtype=np.float64),
            np.ascontiguousarray(self.pooled),
            self.row_weight,
        )
