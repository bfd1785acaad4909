"""A bound on the ratio of the largest to the smallest eigenvalue over all components.

With it the likelihood is bounded, so that no component can collapse (Hathaway 1985; Garcia-Escudero
et al. 2008).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array

BARRIER_FACTOR, LEAST_BARRIER = 0.05, 1e-12
"""Each weight of the barriers is this part of the one before, down to the least one (loss per row).
"""

MOST_NEWTON_STEPS = 30
"""Newton steps for one weight of the barriers."""

SHORTEST_STEP = 1e-6
"""Part of a Newton step at which halving ends: the loss then differs by rounding only."""

NEWTON_TOLERANCE = 0.01
"""A Newton step that gains less than this part of the barrier's weight is the last one."""

INSIDE = 0.95
"""Part of the interval that the first logarithms take up."""

LEAST_LOG_RATIO = 1e-6
"""Logarithm of the bound below which all variances are made equal."""


def truncated(spreads: Array, counts: Array, ratio: float) -> Array:
    """Maximum-likelihood variances (F,d) with ``max <= ratio * min``.

    They are computed from unrestricted variances (F,d) and counts (F,). The optimum truncates all
    variances to an interval ``[m, ratio m]``; the best m minimises
    ``sum_k n_k sum_j (log v_kj + s_kj / v_kj)``, a function whose pieces between the points s_kj
    and s_kj / ratio have closed minima (Fritz, Garcia-Escudero & Mayo-Iscar 2013).
    """
    if spreads.max() <= ratio * spreads.min():
        return spreads
    ends = np.unique(np.concatenate([spreads.ravel(), spreads.ravel() / ratio]))
    inner = np.concatenate([[ends[0] / 2.0], (ends[:-1] + ends[1:]) / 2.0, [ends[-1] * 2.0]])
    n = np.broadcast_to(counts[:, None], spreads.shape)
    candidates = []
    for m in inner:
        low, high = spreads < m, spreads > ratio * m
        rows = n[low].sum() + n[high].sum()
        if rows > 0:
            candidates.append(((n * spreads)[low].sum() + (n * spreads)[high].sum() / ratio) / rows)
    values = [np.clip(spreads, m, ratio * m) for m in candidates if m > 0]
    return min(values, key=lambda v: float((n * (np.log(v) + spreads / v)).sum()))


def within(
    log_variances: Array, spreads: Array, counts: Array, ratio: float, volume: str, shape: str
) -> Array:
    """Logarithms of maximum-likelihood variances (K,d) along given axes, within the ratio.

    The letters for volume and shape are linear constraints on the logarithms ``l``: ``VE`` is
    ``l_kj = v_k + a_j``, ``EV`` is an equal ``sum_j l_kj`` for all k. The loss
    ``sum_k n_k sum_j (l_kj + s_kj exp(-l_kj))`` is convex, and so is the constraint that all
    logarithms lie in an interval of length ``log ratio``, so there is one minimum. Where nothing or
    everything is shared it is that of :func:`truncated`; else the interior-point method with
    logarithmic barriers finds it (Boyd & Vandenberghe 2004, 11.3).

    Parameters
    ----------
    log_variances : (K, d)
        The estimate without the bound, returned where it is within the ratio.
    spreads : (K, d)
        Average scatter along the axes.
    counts : (K,)
    ratio : float
    volume, shape : {"E", "V"}
    """
    span = float(log_variances.max() - log_variances.min())
    if span <= np.log(ratio):
        return log_variances
    if volume == shape:
        free = spreads if volume == "V" else (counts @ spreads)[None] / counts.sum()
        own = counts if volume == "V" else counts.sum(keepdims=True)
        return np.broadcast_to(np.log(truncated(free, own, ratio)), spreads.shape)
    shares = np.broadcast_to((counts / counts.sum())[:, None], spreads.shape)
    near = contracted(log_variances, counts, ratio)
    best_volume = float(np.log((shares * spreads * np.exp(-near)).sum() / spreads.shape[1]))
    if np.log(ratio) < LEAST_LOG_RATIO:
        return np.asarray(near + best_volume)
    middle = 0.5 * (near.max() + near.min())
    barrier = _Barrier(
        spreads,
        shares,
        float(np.log(ratio)),
        _step_of_one_shape if volume == "V" else _step_of_one_volume,
    )
    centre = best_volume + middle
    logs, low = centre + INSIDE * (near - middle), centre - 0.5 * barrier.room
    weight = 1.0
    while weight > LEAST_BARRIER:
        weight *= BARRIER_FACTOR
        logs, low = barrier.minimum(logs, low, weight)
    return np.asarray(logs)


_Step = Callable[[Array, Array, float, Array, float], tuple[Array, float]]
"""Newton's step in the logarithms (K,d) and in the lower end of their interval.

Arguments are the second derivatives by each logarithm, by it and the end, and by the end, and both
gradients: of the logarithms and of the end.
"""


@dataclass(frozen=True, eq=False)
class _Barrier:
    """The loss per row with logarithmic barriers at both ends of an interval of length ``room``."""

    spreads: Array
    shares: Array
    room: float
    step: _Step

    def value(self, logs: Array, low: float, weight: float) -> float:
        """Loss with the barriers; infinite outside the interval."""
        depth = logs - low
        if not (depth.min() > 0 and depth.max() < self.room):
            return float("inf")
        with np.errstate(over="ignore"):
            loss = float((self.shares * (logs + self.spreads * np.exp(-logs))).sum())
        return loss - weight * float((np.log(depth) + np.log(self.room - depth)).sum())

    def minimum(self, logs: Array, low: float, weight: float) -> tuple[Array, float]:
        """Newton's method with halved steps.

        It ends early where the system of equations is singular to rounding.
        """
        here = self.value(logs, low, weight)
        for _ in range(MOST_NEWTON_STEPS):
            try:
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    move, drop, gain = self._newton(logs, low, weight)
            except np.linalg.LinAlgError:
                break
            if not gain > 0 or not np.isfinite(gain):
                break
            length, there = 1.0, self.value(logs + move, low + drop, weight)
            while not there <= here - 0.25 * length * gain and length > SHORTEST_STEP:
                length /= 2.0
                there = self.value(logs + length * move, low + length * drop, weight)
            if length <= SHORTEST_STEP:
                break  # rounding
            logs, low, here = logs + length * move, low + length * drop, there
            if gain < NEWTON_TOLERANCE * weight:
                break
        return logs, low

    def _newton(self, logs: Array, low: float, weight: float) -> tuple[Array, float, float]:
        """The step, and twice its gain to second order."""
        scaled, depth = self.spreads * np.exp(-logs), logs - low
        first = weight * (1.0 / (self.room - depth) - 1.0 / depth)
        second = weight * (1.0 / (self.room - depth) ** 2 + 1.0 / depth**2)
        slope = self.shares * (1.0 - scaled) + first
        move, drop = self.step(
            self.shares * scaled + second, -second, float(second.sum()), slope, -float(first.sum())
        )
        return move, drop, -float((slope * move).sum() - first.sum() * drop)


def _step_of_one_shape(
    own: Array, between: Array, end: float, slope: Array, slope_of_end: float
) -> tuple[Array, float]:
    """Newton's step for VE: ``v_k + a_j``, with ``a_1 = 0``."""
    K, cross = len(own), own[:, 1:]
    hessian = np.block(
        [
            [np.diag(own.sum(axis=1)), cross, between.sum(axis=1)[:, None]],
            [cross.T, np.diag(cross.sum(axis=0)), between[:, 1:].sum(axis=0)[:, None]],
            [between.sum(axis=1)[None], between[:, 1:].sum(axis=0)[None], np.array([[end]])],
        ]
    )
    gradient = np.concatenate([slope.sum(axis=1), slope[:, 1:].sum(axis=0), [slope_of_end]])
    units = 1.0 / np.sqrt(np.diag(hessian))
    step = -units * np.linalg.solve(hessian * np.outer(units, units), units * gradient)
    return step[:K, None] + np.append(0.0, step[K:-1]), float(step[-1])


def _step_of_one_volume(
    own: Array, between: Array, end: float, slope: Array, slope_of_end: float
) -> tuple[Array, float]:
    """Newton's step for EV, with equal sums over the axes for all components.

    With multipliers ``nu_k`` of sum 0 the step is ``-(slope + between drop + nu) / own``. Two
    unknowns are left: the ``drop`` of the end and the common ``sum``.
    """
    P, Q, G = (1.0 / own).sum(axis=1), (between / own).sum(axis=1), (slope / own).sum(axis=1)
    # nu_k = -(sum + G_k + Q_k drop) / P_k;  sum_k nu_k = 0;  sum(between move) + end drop =
    # -slope_of_end
    left = np.array(
        [
            [(1.0 / P).sum(), (Q / P).sum()],
            [(Q / P).sum(), end - (between**2 / own).sum() + (Q**2 / P).sum()],
        ]
    )
    right = np.array(
        [-(G / P).sum(), (between * slope / own).sum() - (Q * G / P).sum() - slope_of_end]
    )
    total, drop = np.linalg.solve(left, right)
    nu = -(total + G + Q * drop) / P
    return -(slope + between * drop + nu[:, None]) / own, float(drop)


def contracted(log_values: Array, counts: Array, ratio: float) -> Array:
    """Logarithms of variances (F,d), contracted to their weighted mean until within the ratio.

    One factor for all keeps equal volumes, shapes and orientations equal.
    """
    span = float(log_values.max() - log_values.min())
    if span <= np.log(ratio):
        return log_values
    centre = float((counts[:, None] * log_values).sum() / (counts.sum() * log_values.shape[1]))
    return np.asarray(centre + (np.log(ratio) / span) * (log_values - centre))
