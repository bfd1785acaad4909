"""Data sets for testing searches: classic suites simulated after their publications, hard cases,
and the published data sets of the tests.

The simulated sets are drawn with fixed seeds, after the descriptions in

    S1 .. S4      Franti & Virmajoki 2006, Iterative shrinking method for clustering problems:
                  5,000 rows of 15 Gaussian groups in a square of side 10^6, from hardly
                  overlapping to strongly overlapping
    A1 .. A3      Karkkainen & Franti 2002, Dynamic local search algorithm for the clustering
                  problem: 20, 35 and 50 groups of 150 rows, each suite containing the one before,
                  the same spread (1,402 in a square of side 65,536)
    Birch1 .. 3   Zhang, Ramakrishnan & Livny 1997, BIRCH: 100 groups on a grid, along a sine, and
                  with random places, sizes and radii; here 20,000 rows instead of 100,000
    Unbalance     Rezaei & Franti 2016, Set matching measures for external cluster validity: three
                  dense groups of 2,000 rows on the left, five sparse ones of 100 on the right
    G2-d-sd       Franti, Mariescu-Istodor & Zhong 2016, XNN graph: two groups of 1,024 rows in d
                  columns, centres at 500 and at 600 in each

They are not the original sets: the publications do not give the centres (ours are drawn with a
minimum distance), and where a paper states the overlap of the groups (:func:`overlap`) instead of
their spread, our spread was chosen to give the same overlap.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

DATA = Path(__file__).parents[2] / "tests" / "truth" / "data"
NOT_MEASURED = ("label", "noise")
"""Columns of the published data sets that are not measurements."""

OPEN = (
    "acidity",
    "banknote",
    "chevron",
    "cross",
    "diabetes",
    "diabetes455",
    "eurounemp",
    "ex4.1",
    "ex4.4.1",
    "faithful",
    "faithful_noise",
    "precip",
)
OPEN_KS = (2, 3, 4, 5, 6)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Rows, the groups they were drawn from where these are known, and the numbers of components
    to be fitted.

    Attributes
    ----------
    name : str
    rows : (n, d)
    groups : (n,) or None
    ks : tuple of int
    """

    name: str
    rows: np.ndarray
    groups: np.ndarray | None
    ks: tuple[int, ...]


Drawn = tuple[np.ndarray, np.ndarray]
"""Rows and the groups they came from."""


# ---- helpers -------------------------------------------------------------------------------------


def groups_about(
    centres: np.ndarray,
    deviations: Sequence[float] | float,
    sizes: Sequence[int],
    rng: np.random.Generator,
) -> Drawn:
    """Spherical Gaussian groups, one after the other."""
    groups = np.repeat(np.arange(len(centres)), sizes)
    spread = np.broadcast_to(np.asarray(deviations, dtype=float), len(centres))
    return centres[groups] + spread[groups, None] * rng.standard_normal(
        (len(groups), centres.shape[1])
    ), groups


def scattered(K: int, side: float, apart: float, rng: np.random.Generator) -> np.ndarray:
    """K random centres in a square, at least ``apart`` from each other. A larger K adds centres to
    those of a smaller one.
    """
    centres: list[np.ndarray] = []
    while len(centres) < K:
        candidate = rng.uniform(0.0, side, 2)
        if all(np.linalg.norm(candidate - other) >= apart for other in centres):
            centres.append(candidate)
    return np.array(centres)


def overlap(rows: np.ndarray, groups: np.ndarray) -> float:
    """Fraction of rows that are closer to some row of another group than to the mean of their own
    group (Franti & Sieranoja 2018).
    """
    nearer = 0
    for k in np.unique(groups):
        own, others = rows[groups == k], rows[groups != k]
        nearer += int(
            (cKDTree(others).query(own)[0] < np.linalg.norm(own - own.mean(axis=0), axis=1)).sum()
        )
    return nearer / len(rows)


# ---- classic suites ------------------------------------------------------------------------------

S_DEVIATIONS = {1: 33_700.0, 2: 40_200.0, 3: 48_500.0, 4: 49_800.0}
A_KS = {1: 20, 2: 35, 3: 50}
BIRCH_ROWS = 200
"""Rows of a group: a fifth of the published number."""

FEWEST = 10
"""Smallest number of rows of a group of Birch3, so that there are a hundred groups."""


def s_set(number: int) -> Drawn:
    """One of S1 .. S4."""
    rng = np.random.default_rng(15)
    centres = scattered(15, 1e6, 1.6e5, rng)
    return groups_about(centres, S_DEVIATIONS[number], [334] * 5 + [333] * 10, rng)


def a_set(number: int) -> Drawn:
    """One of A1 .. A3: rows are drawn group by group, so that each contains the one before."""
    rng = np.random.default_rng(53)
    centres = scattered(50, 65_536.0, 5_500.0, rng)[: A_KS[number]]
    return groups_about(centres, 1_402.0, [150] * len(centres), rng)


def birch(number: int) -> Drawn:
    """Birch1 (a grid with a spacing of four radii), Birch2 (four periods of a sine) or Birch3
    (random); a radius is sqrt(2) standard deviations.
    """
    rng = np.random.default_rng(100)
    i = np.arange(100)
    if number == 1:
        return groups_about(
            4 * np.sqrt(2) * np.stack([i // 10, i % 10], 1), 1.0, [BIRCH_ROWS] * 100, rng
        )
    if number == 2:
        return groups_about(
            np.stack([2 * np.pi * i, 25 * np.sin(2 * np.pi * i / 25)], 1),
            1.0,
            [BIRCH_ROWS] * 100,
            rng,
        )
    centres, radii, sizes = (
        rng.uniform(0, 100, (100, 2)),
        rng.uniform(0, 4, 100),
        rng.integers(FEWEST, 2 * BIRCH_ROWS - FEWEST + 1, 100),
    )
    return groups_about(centres, radii / np.sqrt(2), list(sizes), rng)


def unbalance() -> Drawn:
    """Three dense and five sparse groups; the dense ones have half the spread here."""
    dense = [(150, 350), (180, 380), (210, 350)]
    sparse = [(440, 300), (440, 400), (490, 350), (540, 300), (540, 400)]
    deviations, sizes = [5_000.0] * 3 + [10_000.0] * 5, [2_000] * 3 + [100] * 5
    return groups_about(
        1_000.0 * np.array(dense + sparse), deviations, sizes, np.random.default_rng(8)
    )


def g2(d: int, deviation: float) -> Drawn:
    """A set G2-d-sd."""
    return groups_about(
        np.array([[500.0] * d, [600.0] * d]), deviation, [1_024] * 2, np.random.default_rng(d)
    )


# ---- hard cases ----------------------------------------------------------------------------------


def stretched(
    K: int, rows: int, long: float, short: float, apart: float, tilt: float, seed: int = 0
) -> Drawn:
    """Parallel elongated Gaussian groups, rotated by ``tilt`` degrees; a k-means start splits them
    across their length.
    """
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(K), rows)
    upright = rng.standard_normal((len(groups), 2)) * [long, short]
    upright[:, 1] += apart * groups
    angle = np.deg2rad(tilt)
    return upright @ np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    ), groups


STRETCHED: dict[str, tuple[int, Callable[[int], Drawn]]] = {
    "stretched": (3, lambda seed: stretched(3, 150, 40.0, 1.0, 7.0, 0.0, seed)),
    "tilted": (4, lambda seed: stretched(4, 100, 25.0, 0.8, 5.0, 35.0, seed)),
}
"""Name -> the true K, and a function of the seed that draws the set."""


def cloud(n: int, centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of a Gaussian with standard deviations of 0.5 to 1.6 along random axes."""
    d = len(centre)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] * rng.uniform(0.5, 1.6, d)
    return rng.standard_normal((n, d)) @ axes.T + centre


def rare_among_two(d: int, few: int, seed: int) -> Drawn:
    """Gaussian groups of 130 and 100 rows and a rare one, centres about nine apart."""
    rng = np.random.default_rng((d, few, seed))
    corners = np.array([[0.0, 0.0], [9.0, 0.0], [4.5, 7.8]])
    if d > 2:
        corners = 9.0 / np.sqrt(2.0) * np.linalg.qr(rng.standard_normal((d, d)))[0][:3]
    sizes = (130, 100, few)
    rows = np.vstack([cloud(n, centre, rng) for n, centre in zip(sizes, corners, strict=True)])
    return rows, np.repeat([0, 1, 2], sizes)


def round_groups(n: int, d: int, K: int, apart: float, seed: int) -> Drawn:
    """Spherical groups of about the same size; centres are drawn from a Gaussian, on average about
    ``apart`` standard deviations from each other.
    """
    rng = np.random.default_rng((n, d, K, seed))
    centres = rng.standard_normal((K, d)) * apart / np.sqrt(2.0 * d)
    return groups_about(centres, 1.0, np.bincount(rng.integers(K, size=n), minlength=K), rng)


def rare_component() -> Drawn:
    """20,000 rows of a standard Gaussian and 20 of a narrow, distant one."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((20_000, 2)), 8 + 0.1 * rng.standard_normal((20, 2))])
    return X, np.repeat([0, 1], [20_000, 20])


def local_optimum() -> Drawn:
    """15 groups of 100 rows with unit standard deviation at random places in a square of side 60,
    some of them close together.
    """
    rng = np.random.default_rng(3)
    return groups_about(rng.uniform(0, 60, (15, 2)), 1.0, [100] * 15, rng)


def slow_overlap() -> Drawn:
    """2,000 rows of one Gaussian in one column, to be fitted with three components."""
    return np.random.default_rng(0).standard_normal((2_000, 1)), np.zeros(2_000, dtype=int)


# ---- by name -------------------------------------------------------------------------------------

DRAWN: dict[str, tuple[int, Callable[[], Drawn]]] = {
    **{f"S{i}": (15, partial(s_set, i)) for i in S_DEVIATIONS},
    **{f"A{i}": (K, partial(a_set, i)) for i, K in A_KS.items()},
    **{f"Birch{i}": (100, partial(birch, i)) for i in (1, 2, 3)},
    "Unbalance": (8, unbalance),
    **{
        f"G2-{d}-{sd}": (2, partial(g2, d, float(sd)))
        for d, sd in ((2, 30), (2, 50), (8, 70), (16, 90))
    },
    **{name: (K, partial(draw, 0)) for name, (K, draw) in STRETCHED.items()},
    "rare-component": (2, rare_component),
    "local-optimum": (15, local_optimum),
    "slow-overlap": (3, slow_overlap),
}
NAMES = (*OPEN, *DRAWN)


@cache
def data_set(name: str) -> DataSet:
    """The data set with one of ``NAMES``."""
    if name in DRAWN:
        K, draw = DRAWN[name]
        rows, groups = draw()
        known = groups if len(np.unique(groups)) > 1 else None
        return DataSet(name, rows, known, (K,))
    with (DATA / f"{name}.csv").open() as file:
        head, *lines = csv.reader(file)
    kept = [j for j, column in enumerate(head) if column not in NOT_MEASURED]
    return DataSet(
        name, np.array([[float(line[j]) for j in kept] for line in lines]), None, OPEN_KS
    )
