"""Moves that leave a local optimum: parts of a mixture are taken out, joined or cut in two, and EM goes on from there.

A local optimum mostly has one component too many in one place and one too few in another, and EM cannot carry it across. A move
does: it takes a component out where it is missed least, and puts one where the rows are not described well. It leads to ``Moments``
(:mod:`mixtura.arrivals`), a number of rows, a mean and a scatter for each component, so EM goes on with an M-step, and a covariance
family, a prior or a floor needs no move of its own.

    swap        out goes a component, and one of the rows nearest to a drawn row comes in (of Franti & Kivijarvi 2000 for k-means)
    insert      out goes a component, and one of those that would gain most (:mod:`mixtura.insertions`) comes in
    replace     out go some components, and as many groups (:mod:`mixtura.alignments`) come in, one after the other
    split       out goes a component, and another one is cut in two
    recut       two components that overlap are joined and cut in two another way
    reorder     two that overlap are joined, and a third one is cut in two (Ueda, Nakano, Ghahramani & Hinton 2000)
    scatter     all components are of the rows nearest to drawn rows: a start of its own (Biernacki, Celeux & Govaert 2003)
    anneal      all components are of rows that were exchanged one by one (:mod:`mixtura.annealing`): another start, where the rows
                are few for so many components

Rows are drawn by weight, so a weight of 2 is a repeated row.

References
----------
Ueda, Nakano, Ghahramani & Hinton 2000, Neural Computation 12, 2109-2128. Franti & Kivijarvi 2000, Pattern Analysis and Applications
3, 358-369. Biernacki, Celeux & Govaert 2003, Computational Statistics & Data Analysis 41, 561-575.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeAlias

import numpy as np

from mixtura.annealing import SWEEPS, annealed
from mixtura.arrivals import POOLED, Around, Cut, Departure, Joined
from mixtura.insertions import Flat, beside, drawn_flat, finds
from mixtura.view import Finds, Part, View, drawn

NARROWEST, WIDEST = 0.1, 1.0
"""A component of the rows nearest to a drawn row takes between these parts of 1/K of all rows."""

CLUMPS_AT_ONCE, FLATS_AT_ONCE, ALIGNMENTS_AT_ONCE = 4, 12, 8
"""Starts of a component that are tried each time one is looked for; alignments in the place of flats, which are drawn."""

ONE_OF_THE_BEST = 0.1
"""The chance of the best group; else it is the second one with this chance, ..."""

DRAWS = 20
"""Times a second seed is drawn before a component is taken to be a single row."""

Move: TypeAlias = Callable[[View, np.random.Generator], Departure | None]
"""Draws how a fit is left; None where it has no such move."""


# ---- the moves -----------------------------------------------------------------------------------------------------------


def swap(view: View, rng: np.random.Generator) -> Departure | None:
    """A component goes, and one around a drawn row comes; every other time the row is drawn where the density is low."""
    out = _dispensable(view, rng)
    row = drawn(view.unlikely_row if rng.random() < 0.5 else view.any_row, rng)
    return Departure("swap", (out,), (_around(view, row, rng),))


def insert(view: View, rng: np.random.Generator, exhaustive: bool = False) -> Departure | None:
    """A component goes, and one of those comes that were found to gain most and were not tried in its place yet."""
    if not view.own:
        return None
    out = _dispensable(view, rng)
    found = view.found.setdefault(out, Finds())
    starts: list[Flat | Part] = [Part(*group.part(c)) for group, c in view.next_clumps(out, CLUMPS_AT_ONCE)]
    ranked = view.next_alignments(out, ALIGNMENTS_AT_ONCE) if exhaustive else []
    starts += ranked
    starts += [drawn_flat(view, rng) for _ in range(FLATS_AT_ONCE - len(ranked))]
    found.keep(finds(view, out, starts))
    if not found.waiting:
        return None
    _, part = found.waiting.pop(min(int(rng.geometric(0.5)), len(found.waiting)) - 1)
    return Departure("insert", (out,), (part,))


def replace(view: View, rng: np.random.Generator) -> Departure | None:
    """Two components or more go, and as many come one after the other, each drawn among those that gain most beside all others."""
    groups = view.alignments if view.own else None
    if groups is None or view.n_components < 3:
        return None
    first = _dispensable(view, rng)
    others = [k for k in range(view.n_components) if k != first]
    out = [first, *rng.permutation(others)[: min(int(rng.geometric(0.5)), len(others) - 1)].tolist()]
    log_density, parts = view.without(*out), list[Part]()
    for _ in out:
        gains = groups.gains(log_density)
        nth = min(int(rng.geometric(ONE_OF_THE_BEST)), len(gains)) - 1
        parts.append(Part(*groups.part(int(np.argpartition(-gains, nth)[nth]))))
        log_density = beside(view, log_density, parts[-1])
    return Departure("replace", tuple(out), tuple(parts))


def split(view: View, rng: np.random.Generator) -> Departure | None:
    """A component goes, and another one, drawn by weight, is cut in two."""
    out = _dispensable(view, rng)
    chances = np.where(np.arange(view.n_components) == out, 0.0, view.mixture.weights)
    if not chances.any():
        return None
    k = drawn(np.cumsum(chances), rng)
    cut = _cut(view, (k,), rng)
    return None if cut is None else Departure("split", (out, k), (cut,))


def recut(view: View, rng: np.random.Generator) -> Departure | None:
    """Two components, the more they overlap the likelier, are joined and cut in two another way."""
    pair = _pair(view, drawn(view.overlapping_pair, rng))
    cut = _cut(view, pair, rng)
    return None if cut is None else Departure("recut", pair, (cut,))


def reorder(view: View, rng: np.random.Generator) -> Departure | None:
    """Two of those that overlap most are joined, and one of those that fit worst is cut in two."""
    if view.n_components < 3:
        return None
    pair = _pair(view, _one_of_the_first(view.pairs_by_overlap, rng))
    third = _one_of_the_first([k for k in view.by_misfit if k not in pair], rng)
    cut = _cut(view, (third,), rng)
    return None if cut is None else Departure("reorder", (*pair, third), (Joined(*pair), cut))


def scatter(view: View, rng: np.random.Generator) -> Departure | None:
    """All components are around drawn rows: of the fit nothing is kept but its covariances, to measure by."""
    everyone = range(view.n_components)
    return Departure("scatter", tuple(everyone), tuple(_around(view, drawn(view.any_row, rng), rng) for _ in everyone))


def anneal(view: View, rng: np.random.Generator) -> Departure | None:
    """All components are of rows that were dealt out among them."""
    labels = annealed(view.deal, rng)
    return None if labels is None else Departure("anneal", tuple(range(view.n_components)), view.dealt(labels))


# ---- what is drawn -------------------------------------------------------------------------------------------------------


def _around(view: View, row: int, rng: np.random.Generator) -> Around:
    """A component around a row, that weighs a drawn part of what a component weighs on average.

    It is measured by a component that the row belongs to, or by the mean of all covariances.
    """
    owner = drawn(np.cumsum(view.posteriors[row]), rng)
    wanted = NARROWEST + (WIDEST - NARROWEST) * rng.random()
    least = 2 * (view.rows.shape[1] + 1) * view.row_weight
    return Around(row, max(wanted / view.n_components * view.total, least), POOLED if rng.random() < 0.5 else owner)


def _cut(view: View, group: tuple[int, ...], rng: np.random.Generator) -> Cut | None:
    """Two different rows of a component, or of two, to cut it by; None where it has but one."""
    rows = view.row_of[group[0]] if len(group) == 1 else view.row_of[list(group)].sum(axis=0)
    first = drawn(rows, rng)
    second = next((row for row in (drawn(rows, rng) for _ in range(DRAWS)) if row != first), None)
    return None if second is None else Cut(group, (first, second))


def _dispensable(view: View, rng: np.random.Generator) -> int:
    """A component; the r-th of those that are missed least with a chance in proportion to 1 / r."""
    if view.degenerate:
        return view.degenerate[int(rng.integers(len(view.degenerate)))]
    return view.by_loss[drawn(np.cumsum(1.0 / np.arange(1.0, view.n_components + 1)), rng)]


def _one_of_the_first(ranked: Sequence[int], rng: np.random.Generator) -> int:
    """One of a ranking, the first as likely as all that come after it."""
    return ranked[min(int(rng.geometric(0.5)) - 1, len(ranked) - 1)]


def _pair(view: View, number: int) -> tuple[int, int]:
    """The components of a pair."""
    one, other = view.pairs
    return int(one[number]), int(other[number])


class Depth(IntEnum):
    """How far a search looks. To look for components that may come in takes longer than other moves, to look for them everywhere
    yet longer, and to deal out rows one by one is for those that are few for so many components."""

    QUICK = 0
    THOROUGH = 1
    EXHAUSTIVE = 2
    CRAMPED = 3


class Kind(NamedTuple):
    """How a kind of move is drawn, and how often, beside the others; and what it costs beside EM, in times that all rows are read
    under one component, and in such times for each entry of a covariance."""

    move: Move
    share: float
    depth: Depth = Depth.QUICK
    reads: int = 0
    reads_of_entries: int = 0

    def work(self, n: int, d: int) -> int:
        """Beside EM, with n rows of d columns."""
        return n * (self.reads + self.reads_of_entries * d * d)


MOVES: dict[str, Kind] = {
    "swap": Kind(swap, 3.0),
    "split": Kind(split, 1.0),
    "recut": Kind(recut, 2.0),
    "reorder": Kind(reorder, 0.5),
    "scatter": Kind(scatter, 1.5),
    "insert": Kind(insert, 2.0, Depth.THOROUGH, reads=150),
    "replace": Kind(replace, 2.0, Depth.EXHAUSTIVE),
    "anneal": Kind(anneal, 8.0, Depth.CRAMPED, reads=SWEEPS, reads_of_entries=SWEEPS),
}
"""Each move by name, those of more depth last: none of them is the best one everywhere, so all are tried."""


_DEPTHS = {depth: [name for name, kind in MOVES.items() if kind.depth <= depth] for depth in Depth}
_CUMULATED = np.cumsum([kind.share for kind in MOVES.values()])


def drawn_move(view: View, rng: np.random.Generator, depth: Depth) -> tuple[str, Departure | None]:
    """The name of a move drawn by chance, and where it leads; None where it leads nowhere."""
    names = _DEPTHS[depth]
    name = names[drawn(_CUMULATED[: len(names)], rng)]
    if name == "insert":
        return name, insert(view, rng, exhaustive=depth >= Depth.EXHAUSTIVE)
    return name, MOVES[name].move(view, rng)
