"""Common axes: the orthogonal matrix that makes K matrices as nearly diagonal as possible.

For average scatter ``S_k`` and counts the families EVE and VVE minimise over orthogonal ``D``, with
``s_kj = (D' S_k D)_jj``,

    VVE   sum_k n_k sum_j log s_kj         (Flury & Gautschi 1986: each axis has its own variance)
    EVE   sum_k n_k (prod_j s_kj)^(1/d)    (one volume for all)

Both are concave in the ``s_kj``, so their tangents at the current D lie above them (Browne &
McNicholas 2014). The tangents' weights ``g_kj`` make a problem that has a closed answer in every
plane of two axes: :func:`sweep_in_python` turns one plane after the other, and no turn raises the
objective. Near a minimum Newton's method in all turns at once (:func:`newton_in_python`) needs a
few steps where sweeps need hundreds. The objective has local minima, so every family starts from
several axes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from mixtura.base.arrays import Array
from mixtura.families.shapes import geometric_mean
from mixtura.kernels import either, native

STILL = 1e-11
"""A sweep whose largest turn (radians) is below this moves variances by its square."""

STILL_IN_ALL = 3e-6
"""A Newton step below this leaves its square to turn."""

NEGLIGIBLE = 1e-3 * STILL

FARTHEST = 0.3
"""Newton's steps do not turn further than this (radians)."""

TRUSTED = 1e-4
"""Newton steps below this are finer than what the rounded objective can judge, and only shrink."""

TRIED = 5
"""Of many starts, so many run for some sweeps to tell which is the best."""

MOST_COLUMNS_AT_ONCE = 13
"""Newton's step solves for d (d - 1) / 2 turns at once. With more columns its d^6 products are
those of many sweeps.
"""


class Pace(NamedTuple):
    """How far one M-step goes. EM needs none to its end, only one that does not fall: it goes on
    from there in its next iteration.

    Attributes
    ----------
    newton : bool
        Whether Newton's steps are tried.
    first, warm, brief : int
        Sweeps at most without previous axes, from them, and where starts are compared.
    turns : int
        Tangents taken anew in one plane before the next plane's turn.
    """

    newton: bool
    first: int
    warm: int
    brief: int
    turns: int


def pace(d: int) -> Pace:
    """To the minimum where that is quick; in wide data a few sweeps."""
    return Pace(True, 200, 30, 8, 6) if d <= MOST_COLUMNS_AT_ONCE else Pace(False, 12, 3, 3, 1)


def common_axes(
    S: Array, counts: Array, start: Array, equal_volumes: bool, most_sweeps: int | None = None
) -> Array:
    """Axes (d,d), columns, at a minimum below the start; see the module.

    Parameters
    ----------
    S : (K, d, d)
    counts : (K,)
    start : (d, d)
        Orthogonal.
    equal_volumes : bool
        EVE's objective; otherwise VVE's.
    most_sweeps : int, optional
        None for those of an M-step without previous axes.
    """
    go = pace(len(start))
    turned = np.ascontiguousarray(np.moveaxis(start.T @ S @ start, 0, 2))
    axes = np.array(
        start.T, order="C"
    )  # turned in place: a copy, or the previous mixture would be turned with it
    weights = np.ascontiguousarray(counts, dtype=np.float64)
    for _ in range(go.first if most_sweeps is None else most_sweeps):
        turn = (
            _newton(turned, weights, axes, equal_volumes, FARTHEST, TRUSTED)
            if go.newton
            else float("inf")
        )
        if turn < STILL_IN_ALL:
            break
        if (
            not np.isfinite(turn)
            and _sweep(turned, weights, axes, equal_volumes, go.turns, NEGLIGIBLE) < STILL
        ):
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


def sweep_in_python(
    turned: Array, counts: Array, axes: Array, equal_volumes: bool, turns: int, negligible: float
) -> float:
    """Turn every plane of two axes once, in place; the largest turn in radians.

    ``turned (d,d,K)`` holds ``D' S_k D``, ``axes (d,d)`` the axes as rows.
    """
    d = len(axes)
    sizes = geometric_mean(np.einsum("jjk->kj", turned)) if equal_volumes else np.ones(len(counts))
    largest = 0.0
    for p in range(d - 1):
        for q in range(p + 1, d):
            angle = _plane(
                turned, counts, sizes if equal_volumes else None, p, q, turns, negligible
            )
            largest = max(largest, abs(angle))
            if angle != 0.0:
                _turn(turned, axes, p, q, angle)
    return largest


def newton_in_python(
    turned: Array,
    counts: Array,
    axes: Array,
    equal_volumes: bool,
    farthest: float,
    trusted: float,
) -> float:
    """One step of Newton's method in the turns of all planes, in place; the largest in radians, or
    infinity where it is not taken.

    For ``D exp(Omega)`` with skew ``Omega`` the variances are
    ``s_j = T_jj + 2 (T Omega)_jj + o_j' T o_j - sum_i T_ij o_i' o_j`` to second order, with the
    columns ``o_j`` of ``Omega``; the plane (p, q) is turned by ``Omega_pq``. A step is refused
    where the objective is not convex, where it turns far, and where it would rise.
    """
    d = len(axes)
    s = np.einsum("jjk->jk", turned)
    weights = counts * geometric_mean(s.T) / d if equal_volumes else counts
    P = np.einsum("k,iak,jk->jia", weights, turned, 1.0 / s)
    G = np.einsum("k,ijk,ajk,jk->jia", weights, turned, turned, 1.0 / s**2)
    shared = np.einsum("jij->ij", P) + np.einsum("iij->ij", P)
    whole = np.zeros((d, d, d, d))
    for j in range(d):
        whole[:, j, :, j] += 2.0 * P[j] - 4.0 * G[j]
        whole[j, :, j, :] -= shared
    p, q = np.triu_indices(d, 1)
    skew = whole[p, q] - whole[q, p]
    slopes = 2.0 * turned[p, q] * (1.0 / s[q] - 1.0 / s[p])
    hessian = (
        skew[:, p, q]
        - skew[:, q, p]
        + ((slopes * weights / d) @ slopes.T if equal_volumes else 0.0)
    )
    try:
        angles = cho_solve(cho_factor(hessian), slopes @ weights) if len(p) else np.zeros(0)
    except (np.linalg.LinAlgError, ValueError):
        return float("inf")
    largest = float(np.abs(angles).max(initial=0.0))
    if not largest < farthest:
        return float("inf")
    old, before = (turned.copy(), axes.copy()), disorder(s.T, counts, equal_volumes)
    for i, angle in enumerate(angles):
        _turn(turned, axes, int(p[i]), int(q[i]), angle)
    if largest < trusted or disorder(np.einsum("jjk->kj", turned), counts, equal_volumes) <= before:
        return largest
    turned[...], axes[...] = old
    return float("inf")


_sweep = either(native.sweep_axes, sweep_in_python)
_newton = either(native.newton_axes, newton_in_python)


def _turn(turned: Array, axes: Array, p: int, q: int, angle: float) -> None:
    """Every matrix and the axes, turned in one plane, in place."""
    cos, sin = np.cos(angle), np.sin(angle)
    turned[[p, q]] = cos * turned[p] + sin * turned[q], cos * turned[q] - sin * turned[p]
    columns = cos * turned[:, p] + sin * turned[:, q], cos * turned[:, q] - sin * turned[:, p]
    turned[:, p], turned[:, q] = columns
    axes[[p, q]] = cos * axes[p] + sin * axes[q], cos * axes[q] - sin * axes[p]


def _plane(
    turned: Array, counts: Array, sizes: Array | None, p: int, q: int, turns: int, negligible: float
) -> float:
    """The angle that minimises the objective in one plane, a closed form for each tangent; keeps
    ``sizes`` up to date.
    """
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
