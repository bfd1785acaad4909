"""How far two mixtures are apart.

The Kullback-Leibler divergence ``KL(p || q) = E_p log p / q`` of two Gaussians is known; of
mixtures it is an estimate from random rows of p. The symmetric divergences are expectations under
``m = (p + q) / 2`` of bounded functions of ``s = p / (p + q)``:

    Jensen-Shannon      s log 2 s + (1 - s) log 2 (1 - s)
    total variation     |2 s - 1|
    Bhattacharyya       2 sqrt(s (1 - s)),  the coefficient B

with the Hellinger distance ``sqrt(1 - B)`` and the Bhattacharyya distance ``-log B``.

Without random rows there are the variational approximation and its upper bound (Hershey & Olsen
2007, ICASSP 4:317-320) and a lower bound (Durrieu, Thiran & Kelly 2012, ICASSP 4833-4836), from the
divergences of pairs of Gaussian components.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp, xlogy

from mixtura.base.arrays import Array, symmetric
from mixtura.base.random_states import generator_of
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.covariance import Dense
from mixtura.distribution.entropy import entropies_of_components
from mixtura.distribution.estimate import Draws, Estimate
from mixtura.distribution.mixture_density import LOG_2PI, MixtureDensity, log_density
from mixtura.distribution.points import log_joint_in_box

MOST_SWEEPS = 10_000
"""Sweeps of the upper bound, which falls at each."""


# ---- Kullback-Leibler ----------------------------------------------------------------------------


@ignore_underflow
def kl(p: MixtureDensity, q: MixtureDensity, n: int, random_state: Any) -> Estimate:
    """``E_p log p / q`` in nats; infinite where q falls faster than p has moments."""
    q = aligned(p, q)
    if p.is_plain and q.is_plain and p.n_components == q.n_components == 1:
        return Estimate(float(_pairs(p, q)[0, 0]))
    if _tails_outweigh(p, q):
        return Estimate(np.inf)
    draws = Draws.of(p, n, random_state)
    return draws.mean(_log_ratio(p, q, draws.rows))


def _log_ratio(p: MixtureDensity, q: MixtureDensity, rows: Array) -> Array:
    """``log p / q`` at rows (n,), with each noise in its box."""
    ours, theirs = (log_density(log_joint_in_box(mixture, rows)) for mixture in (p, q))
    return np.asarray(ours - theirs)


def _tails_outweigh(p: MixtureDensity, q: MixtureDensity) -> bool:
    """Whether p has no second moment and the log density of q falls with the square."""
    if p.tails is None or q.tails is not None or q.noise is not None:
        return False
    return bool((p.tails[p.weights > 0] <= 2.0).any())


def kl_variational(p: MixtureDensity, q: MixtureDensity) -> float:
    """The variational approximation: between pairs of components, and exact for single ones."""
    q = aligned(p, q)
    own, other = _log_fits(p, p), _log_fits(p, q)
    return float(p.weights @ (own - other))


def kl_bounds(p: MixtureDensity, q: MixtureDensity) -> tuple[float, float]:
    """A lower and an upper bound."""
    p, q = _of_positive_weight(p), _of_positive_weight(aligned(p, q))
    products = logsumexp(_log_overlaps(p, q), b=q.weights, axis=1)
    lower = p.weights @ (_log_fits(p, p) - products - entropies_of_components(p))
    return max(0.0, float(lower)), _upper_bound(p, q)


def _of_positive_weight(mixture: MixtureDensity) -> MixtureDensity:
    """The components that have a weight."""
    own = np.flatnonzero(mixture.weights)
    return mixture if len(own) == mixture.n_components else mixture.select(own)


def _upper_bound(p: MixtureDensity, q: MixtureDensity) -> float:
    """``sum_ab f_ab (log f_ab / g_ab + KL_ab)``, least over f and g with ``sum_b f_ab`` the weights
    of p and ``sum_a g_ab`` those of q, by turns.
    """
    apart = _pairs(p, q)
    log_p, log_q = np.log(p.weights)[:, None], np.log(q.weights)
    log_f = log_p + log_q
    value = np.inf
    for _ in range(MOST_SWEEPS):
        log_g = log_q + log_f - logsumexp(log_f, axis=0)
        log_f = log_g - apart
        log_f = log_p + log_f - logsumexp(log_f, axis=1, keepdims=True)
        f = np.exp(log_f)
        with np.errstate(invalid="ignore"):
            new = float(np.where(f > 0, f * (log_f - log_g + apart), 0.0).sum())
        if value - new <= 1e-13 * max(1.0, abs(new)):
            break
        value = new
    return max(0.0, new)


def _log_fits(p: MixtureDensity, q: MixtureDensity) -> Array:
    """``log sum_b weights_b exp(-KL(p_a || q_b))`` (K_p,)."""
    return np.asarray(logsumexp(-_pairs(p, q), b=q.weights, axis=1))


def _pairs(p: MixtureDensity, q: MixtureDensity) -> Array:
    """KL divergences of all pairs of Gaussian components (K_p, K_q)."""
    if not (p.is_plain and q.is_plain):
        raise ValueError(
            "The bounds are for Gaussian components without noise, but a mixture has t components "
            "or noise. Take kl, the estimate from random rows."
        )
    ours, out = p.covariance.dense(), np.empty((p.n_components, q.n_components))
    for b, mean in enumerate(q.means):
        squared = (q.covariance.whiten(b, p.means - mean) ** 2).sum(axis=1)
        for a, matrix in enumerate(ours):
            white = q.covariance.whiten(b, q.covariance.whiten(b, matrix).T)
            values = np.linalg.eigvalsh(0.5 * (white + white.T))
            out[a, b] = 0.5 * (squared[a] + (values - 1.0 - np.log(values)).sum())
    return np.maximum(out, 0.0)


def _log_overlaps(p: MixtureDensity, q: MixtureDensity) -> Array:
    """Logarithms of ``int p_a q_b`` (K_p, K_q): the density of ``mu_b`` under
    ``N(mu_a, Sigma_a + Sigma_b)``.
    """
    total = p.covariance.dense()[:, None] + q.covariance.dense()
    factors = np.linalg.cholesky(total)
    apart = p.means[:, None] - q.means
    white = np.linalg.solve(factors, apart[..., None])[..., 0]
    log_det = 2.0 * np.log(np.einsum("abjj->abj", factors)).sum(axis=2)
    return np.asarray(-0.5 * (p.n_features * LOG_2PI + log_det + (white**2).sum(axis=2)))


# ---- symmetric divergences -----------------------------------------------------------------------


def jensen_shannon(p: MixtureDensity, q: MixtureDensity, n: int, random_state: Any) -> Estimate:
    """Jensen-Shannon divergence in nats, from 0 to log 2."""

    def integrand(t: Array) -> Array:
        s, rest = expit(t), expit(-t)
        return np.asarray(xlogy(s, 2.0 * s) + xlogy(rest, 2.0 * rest))

    return _of_both(p, q, n, random_state, integrand)


def total_variation(p: MixtureDensity, q: MixtureDensity, n: int, random_state: Any) -> Estimate:
    """Total variation distance, from 0 to 1."""
    return _of_both(p, q, n, random_state, lambda t: np.abs(np.tanh(0.5 * t)))


def hellinger(p: MixtureDensity, q: MixtureDensity, n: int, random_state: Any) -> Estimate:
    """Hellinger distance, from 0 to 1."""
    lost, kept = _affinity(p, q, n, random_state)
    root = float(np.sqrt(max(lost.value, 0.0)))
    return Estimate(root, kept.standard_error / (2.0 * root) if root > 0 else 0.0)


def bhattacharyya(p: MixtureDensity, q: MixtureDensity, n: int, random_state: Any) -> Estimate:
    """Bhattacharyya distance, from 0 to infinity."""
    lost, kept = _affinity(p, q, n, random_state)
    if kept.value <= 0.0:
        return Estimate(np.inf)
    near = lost.value < 0.5
    distance = -float(np.log1p(-lost.value) if near else np.log(kept.value))
    return Estimate(distance, kept.standard_error / kept.value)


def _affinity(
    p: MixtureDensity, q: MixtureDensity, n: int, random_state: Any
) -> tuple[Estimate, Estimate]:
    """``1 - B`` and B, each with its digits where it is small.

    Rows of p and q do not see the middle between distant mixtures; for Gaussian components the
    estimate is then from rows of the pairs, and exact for one pair.
    """
    q = aligned(p, q)
    plain = p.is_plain and q.is_plain
    if not (plain and p.n_components == q.n_components == 1):
        lost = _of_both(p, q, n, random_state, _lost_affinity)
        if lost.value < 0.5 or not plain:
            return lost, Estimate(1.0 - lost.value, lost.standard_error)
    kept = _affinity_by_pairs(p, q, n, random_state)
    return Estimate(1.0 - kept.value, kept.standard_error), kept


@ignore_underflow
def _affinity_by_pairs(p: MixtureDensity, q: MixtureDensity, n: int, random_state: Any) -> Estimate:
    """``int sqrt(p q)`` from rows of the mixture of all ``sqrt(p_a q_b)``, which are Gaussian too.

    With ``z_ab = sqrt(weights_a weights_b) int sqrt(p_a q_b)`` and ``z`` their sum, the ratio of
    ``sqrt(p q)`` to the density of these rows is between 0 and z.
    """
    d, ours, theirs = p.n_features, p.covariance.dense()[:, None], q.covariance.dense()
    matrices = np.linalg.inv(0.5 * (np.linalg.inv(ours) + np.linalg.inv(theirs)))
    pulled = np.linalg.solve(ours, p.means[:, None, :, None])
    pulled = 0.5 * (pulled + np.linalg.solve(theirs, q.means[:, :, None]))
    means = (matrices @ pulled).reshape(-1, d)
    between, apart = 0.5 * (ours + theirs), p.means[:, None] - q.means
    squared = (apart * np.linalg.solve(between, apart[..., None])[..., 0]).sum(axis=-1)
    log_z = -0.125 * squared - 0.5 * np.linalg.slogdet(between)[1]
    log_z += 0.25 * (p.covariance.log_det[:, None] + q.covariance.log_det)
    with np.errstate(divide="ignore"):
        log_z += 0.5 * (np.log(p.weights)[:, None] + np.log(q.weights))
    total = float(logsumexp(log_z))
    whole = float(np.exp(total))
    if log_z.size == 1 or whole == 0.0:
        return Estimate(whole)
    covariance = Dense(symmetric(np.asarray(matrices.reshape(-1, d, d))), len(means))
    pairs = MixtureDensity(np.exp(log_z - total).ravel(), means, covariance)
    draws = Draws.of(pairs, n, random_state)
    log_p, log_q, log_r = (
        log_density(log_joint_in_box(mixture, draws.rows)) for mixture in (p, q, pairs)
    )
    ratio = draws.mean(np.exp(0.5 * (log_p + log_q) - log_r - total))
    return Estimate(whole * ratio.value, whole * ratio.standard_error)


def _lost_affinity(t: Array) -> Array:
    """``1 - 2 sqrt(s (1 - s))`` at ``t = log p - log q``: ``1 - 1 / cosh(t / 2)``."""
    half = np.minimum(0.5 * np.abs(t), 700.0)
    return np.asarray(2.0 * np.sinh(0.5 * half) ** 2 / np.cosh(half))


@ignore_underflow
def _of_both(
    p: MixtureDensity,
    q: MixtureDensity,
    n: int,
    random_state: Any,
    integrand: Callable[[Array], Array],
) -> Estimate:
    """The mean of a function of ``log p - log q`` over rows of both."""
    q = aligned(p, q)
    parts = []
    rng = generator_of(random_state)
    for mixture in (p, q):
        draws = Draws.of(mixture, n // 2, rng)
        parts.append(draws.mean(integrand(_log_ratio(p, q, draws.rows))))
    error = np.hypot(parts[0].standard_error, parts[1].standard_error)
    return Estimate(0.5 * (parts[0].value + parts[1].value), 0.5 * float(error))


def aligned(p: MixtureDensity, q: Any) -> MixtureDensity:
    """The other mixture with its columns in the order of the names of the first.

    Raises
    ------
    TypeError, ValueError
    """
    if not isinstance(q, MixtureDensity):
        raise TypeError(
            f"The other must be a Mixture, but {type(q).__name__} came. Take mixture_ of a fitted "
            "estimator."
        )
    if p.n_features != q.n_features:
        raise ValueError(
            f"Both mixtures must have the same columns, but have {p.n_features} and {q.n_features}."
        )
    if p.columns is None or q.columns is None or p.columns == q.columns:
        return q
    if set(p.columns) != set(q.columns):
        raise ValueError(
            f"Both mixtures must have the same columns, but have {list(p.columns)} and "
            f"{list(q.columns)}."
        )
    return q.marginal(list(p.columns))
