"""Distribution functions of several columns.

Independent columns of a Gaussian are a product. Two columns with the correlation r are Plackett's
integral (Drezner & Wesolowsky 1990, Journal of Statistical Computation and Simulation 35:101-107),

    P(Z_1 <= h, Z_2 <= k) = Phi(h) Phi(k) + 1/(2 pi) int_0^arcsin(r) exp(-q(t)) dt,
    q(t) = (h^2 + k^2 - 2 h k sin t) / (2 cos^2 t),

which Gauss-Legendre rules in panels that halve towards ``r = 1`` give to rounding. With three and
more columns, and for t components, the integral over the unit cube of Genz (1992, Journal of
Computational and Graphical Statistics 1:141-149) and Genz & Bretz (2002, same journal 11:950-971)
is the mean over randomly shifted lattices, whose scatter gives the standard error.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri, ndtr, ndtri

from mixtura.base.arrays import Array
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture_density import MixtureDensity
from mixtura.distribution.noise import Noise

SHIFTS = 10
FEWEST_POINTS, MOST_POINTS = 2**9, 2**14
"""Points of each lattice at first, and at most."""

GOOD_ERROR = 1e-5
"""Lattices are refined until the standard error is below this."""

NUMBERS_AT_ONCE = 2**21

FARTHEST = 38.0
"""Standard deviations from which on ``Phi`` is 0 or 1 in double precision."""

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(20)


@ignore_underflow
def cdf(mixture: MixtureDensity, rows: Array) -> tuple[Array, Array]:
    """``P(X <= x)`` in all columns (n,), and its standard error, 0 where it is exact.

    A missing entry sets no limit.
    """
    limits = np.where(np.isnan(rows), np.inf, rows)
    value, variance = np.zeros(len(rows)), np.zeros(len(rows))
    for k, weight in enumerate(mixture.weights.tolist()):
        own, error = _of_component(mixture, k, limits - mixture.means[k])
        value += weight * own
        variance += (weight * error) ** 2
    if mixture.noise is not None:
        value += mixture.noise.weight * _of_box(mixture.noise, limits)
    return np.clip(value, 0.0, 1.0), np.sqrt(variance)


def _of_component(mixture: MixtureDensity, k: int, limits: Array) -> tuple[Array, Array]:
    """That of one component, at limits (n,d) from its mean."""
    matrix, tails = mixture.covariance.dense()[k], mixture.tails
    scale = np.sqrt(np.diag(matrix))
    standard, exact = limits / scale, np.zeros(len(limits))
    if tails is None and not isinstance(mixture.covariance, Dense):
        return np.asarray(ndtr(standard).prod(axis=1)), exact
    correlation = matrix / np.outer(scale, scale)
    if tails is None and len(scale) == 2:
        return _bivariate(standard[:, 0], standard[:, 1], float(correlation[0, 1])), exact
    # limits that cut off most come first, which lowers the variance (Gibson, Glasbey & Elston 1994)
    order = np.argsort(np.clip(standard, -FARTHEST, FARTHEST).mean(axis=0))
    factor = np.linalg.cholesky(correlation[np.ix_(order, order)])
    return _by_lattices(factor, standard[:, order], None if tails is None else float(tails[k]))


def _of_box(noise: Noise, limits: Array) -> Array:
    """Share of the box of the noise below the limits."""
    shares = (limits - noise.centre) / np.exp(noise.log_sides) + 0.5
    return np.asarray(np.clip(shares, 0.0, 1.0).prod(axis=1))


# ---- two columns ---------------------------------------------------------------------------------


def _bivariate(h: Array, k: Array, r: float) -> Array:
    """``P(Z_1 <= h, Z_2 <= k)`` of standard Gaussians with the correlation r.

    With the angle from the end, ``f = pi/2 - t``, the exponent is
    ``q = (h - k)^2 / (2 sin^2 f) + h k / (1 + cos f)``; for r < 0 with -k in place of k.
    """
    h, k = np.clip(h, -FARTHEST, FARTHEST), np.clip(k, -FARTHEST, FARTHEST)
    product = ndtr(h) * ndtr(k)
    if r == 0:
        return np.asarray(product)
    sign = 1.0 if r > 0 else -1.0
    begin = np.arctan2(np.sqrt((1.0 - r) * (1.0 + r)), abs(r))
    n_panels = max(1, int(np.ceil(np.log2(0.5 * np.pi / begin))))
    ends = np.append(begin * 2.0 ** np.arange(n_panels), 0.5 * np.pi)
    half = 0.5 * np.diff(ends)[:, None]
    angles = (ends[:-1, None] + half + half * NODES).ravel()
    weights = (half * NODE_WEIGHTS).ravel()
    apart, both = (h - sign * k) ** 2, sign * h * k
    total = np.zeros(len(h))
    for angle, weight in zip(angles.tolist(), weights.tolist(), strict=True):
        total += weight * np.exp(-apart / (2.0 * np.sin(angle) ** 2) - both / (1.0 + np.cos(angle)))
    return np.asarray(product + sign * total / (2.0 * np.pi))


# ---- several columns -----------------------------------------------------------------------------


def _by_lattices(factor: Array, limits: Array, tails: float | None) -> tuple[Array, Array]:
    """Means over shifted lattices (n,), which are refined where they scatter, and their errors."""
    value, error = np.empty(len(limits)), np.empty(len(limits))
    open_, n = np.arange(len(limits)), FEWEST_POINTS
    while len(open_):
        at_once = max(1, NUMBERS_AT_ONCE // n)
        for begin in range(0, len(open_), at_once):
            part = open_[begin : begin + at_once]
            means = np.stack(
                [
                    _cube(factor, limits[part], tails, points)
                    for points in _lattices(factor, tails, n)
                ]
            )
            value[part] = means.mean(axis=0)
            error[part] = means.std(axis=0, ddof=1) / np.sqrt(SHIFTS)
        open_, n = open_[error[open_] > GOOD_ERROR], 2 * n
        if n > MOST_POINTS:
            break
    return value, error


def _lattices(factor: Array, tails: float | None, n: int) -> list[Array]:
    """Points (n, dimensions) in the unit cube: Richtmyer's lattice with random shifts, folded."""
    dimensions = len(factor) - 1 + (tails is not None)
    steps = np.sqrt(_primes(dimensions))
    shifts = np.random.default_rng(0).random((SHIFTS, 1, dimensions))
    points = np.arange(1, n + 1)[:, None] * steps + shifts
    return list(np.abs(2.0 * (points - np.floor(points)) - 1.0))


def _primes(n: int) -> Array:
    """The first n primes."""
    found: list[int] = []
    candidate = 2
    while len(found) < n:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return np.array(found, dtype=np.float64)


def _cube(factor: Array, limits: Array, tails: float | None, points: Array) -> Array:
    """Mean (n,) of Genz's integrand over points of the unit cube.

    Column i is integrated given those before it: ``y_i = Phi^-1(w_i e_i)`` below its limit, which
    has the probability ``e_i``; the integrand is the product of these.
    """
    n, d = limits.shape
    tiny = np.finfo(np.float64).tiny
    stretch: Array | float = 1.0
    if tails is not None:  # a t row is a Gaussian one over sqrt(chi-squared / nu)
        chi = chdtri(tails, np.maximum(points[:, -1], tiny))
        stretch = np.sqrt(chi / tails)
    product = np.ones((n, len(points)))
    before: list[Array] = []
    for i in range(d):
        with np.errstate(invalid="ignore"):
            limit = np.broadcast_to(limits[:, i : i + 1] * stretch, product.shape)
        for j, y in enumerate(before):
            limit = limit - factor[i, j] * y
        share = ndtr(np.nan_to_num(limit, nan=np.inf, posinf=np.inf, neginf=-np.inf) / factor[i, i])
        product *= share
        if i < d - 1:
            before.append(ndtri(np.clip(points[:, i] * share, tiny, 1.0 - 1e-16)))
    return np.asarray(product.mean(axis=1))
