"""Axes that all components share: the orthogonal matrix that best makes K matrices diagonal at once.

For average scatter ``S_k`` and counts the families EVE and VVE minimise over orthogonal ``D``, with ``s_kj = (D' S_k D)_jj``,

    VVE   sum_k n_k sum_j log s_kj             (Flury & Gautschi 1986: each axis has its own variance)
    EVE   sum_k n_k (prod_j s_kj)^(1/d)        (one volume for all)

Both are concave in the ``s_kj``, so their tangents at the current D lie above them (Browne & McNicholas 2014). The tangents'
weights ``g_kj`` make a problem that has a closed answer in every plane of two axes: :func:`sweep` turns one plane after the
other, and no turn raises the objective. The objective has local minima, so every family starts from several axes.
"""

from __future__ import annotations

import numpy as np

from mixtura.arrays import Array
from mixtura.extension import extension
from mixtura.families.shapes import geometric_mean

STILL = 1e-11
"""A sweep whose largest turn (radians) is below this moves variances by its square."""

NEGLIGIBLE = 1e-3 * STILL

MOST_SWEEPS = 200
MOST_WARM_SWEEPS = 30
"""EM needs no M-step to its end, only one that does not fall: it goes on from there in its next iteration."""

TRIED = 5
SHORT_SWEEPS = 8
"""Of many starts, so many run for so many sweeps to tell which is the best."""

TURNS_PER_PLANE = 6
"""Tangents taken anew in one plane before the next plane's turn."""


def common_axes(S: Array, counts: Array, start: Array, equal_volumes: bool, most_sweeps: int = MOST_SWEEPS) -> Array:
    """Axes (d,d), columns, at a minimum below the start; see the module.

    Parameters
    ----------
    S : (K, d, d)
    counts : (K,)
    start : (d, d)
        Orthogonal.
    equal_volumes : bool
        EVE's objective; otherwise VVE's.
    """
    turned = np.ascontiguousarray(np.moveaxis(start.T @ S @ start, 0, 2))
    axes = np.ascontiguousarray(start.T)
    weights = np.ascontiguousarray(counts, dtype=np.float64)
    sweep = sweep_in_python if extension is None else extension.sweep_axes
    for _ in range(most_sweeps):
        if sweep(turned, weights, axes, equal_volumes, TURNS_PER_PLANE, NEGLIGIBLE) < STILL:
            break
    return _orthogonal(axes.T)


def along(S: Array, axes: Array) -> Array:
    """``(D' S_k D)_jj`` as (K,d)."""
    return np.asarray(np.einsum("ij,kij->kj", axes, S @ axes))


def disorder(spreads: Array, counts: Array, equal_volumes: bool) -> float:
    """The objective, from variances along the axes (K,d)."""
    if equal_volumes:
        return float(counts @ geometric_mean(spreads))
    return float(counts @ np.log(spreads).sum(axis=1))


def sweep_in_python(turned: Array, counts: Array, axes: Array, equal_volumes: bool, turns: int, negligible: float) -> float:
    """Turn every plane of two axes once, in place; the largest turn in radians.

    ``turned (d,d,K)`` holds ``D' S_k D``, ``axes (d,d)`` the axes as rows.
    """
    d = len(axes)
    sizes = geometric_mean(np.einsum("jjk->kj", turned)) if equal_volumes else np.ones(len(counts))
    largest = 0.0
    for p in range(d - 1):
        for q in range(p + 1, d):
            angle = _plane(turned, counts, sizes if equal_volumes else None, p, q, turns, negligible)
            largest = max(largest, abs(angle))
            if angle != 0.0:
                cos, sin = np.cos(angle), np.sin(angle)
                turned[[p, q]] = cos * turned[p] + sin * turned[q], cos * turned[q] - sin * turned[p]
                columns = cos * turned[:, p] + sin * turned[:, q], cos * turned[:, q] - sin * turned[:, p]
                turned[:, p], turned[:, q] = columns
                axes[[p, q]] = cos * axes[p] + sin * axes[q], cos * axes[q] - sin * axes[p]
    return largest


def _plane(turned: Array, counts: Array, sizes: Array | None, p: int, q: int, turns: int, negligible: float) -> float:
    """The angle that minimises the objective in one plane, a closed form for each tangent; keeps ``sizes`` up to date."""
    pp, qq, pq = turned[p, p].copy(), turned[q, q].copy(), turned[p, q].copy()
    total = 0.0
    for _ in range(turns):
        gap = counts * (1.0 / pp - 1.0 / qq) * (1.0 if sizes is None else sizes)
        angle = 0.5 * np.arctan2(-2.0 * float(gap @ pq), -float(gap @ (pp - qq)))
        if not np.isfinite(angle) or abs(angle) < 1e-16:
            break
        cos, sin = np.cos(angle), np.sin(angle)
        before = pp * qq
        pp, qq, pq = (
            cos * cos * pp + 2.0 * cos * sin * pq + sin * sin * qq,
            cos * cos * qq - 2.0 * cos * sin * pq + sin * sin * pp,
            (cos * cos - sin * sin) * pq + cos * sin * (qq - pp),
        )
        if sizes is not None:
            sizes *= (pp * qq / before) ** (1.0 / len(turned))
        total += angle
        if abs(angle) < negligible:
            break
    return float(total)


def _orthogonal(axes: Array) -> Array:
    """The nearest orthogonal matrix: thousands of turns leave rounding behind."""
    U, _, V = np.linalg.svd(axes)
    return np.asarray(U @ V)
