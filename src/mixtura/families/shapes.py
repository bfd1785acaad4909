"""Volume and shape: from average scatter ``S`` and counts to variances, one law per pair of
letters.

``S (K,d)`` are diagonals: of the columns (EEI .. VVI), along common axes (EVE, VVE) or along each
component's own (EEV, VEV). What varies freely is its own average; what is shared is pooled.
:func:`volumes` takes matrices (K,d,d) as well (VEE).
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array
from mixtura.kernels import either, native

SETTLED = 1e-12
"""A Newton step in log volumes below this, squared by the next one, is below rounding."""

NEAR = 1e-3
"""Newton steps below this are taken whole: they are finer than what the rounded objective can tell,
and only shrink.
"""

MOST_STEPS = 50


def equal(S: Array, counts: Array) -> Array:
    """EE: one set of variances for all, ``sum_k n_k S_k / n`` (1,d)."""
    return np.asarray((counts @ S)[None] / counts.sum())


def own_shapes(S: Array, counts: Array) -> Array:
    """EV: ``lambda A_k`` with ``A_k = S_k / |S_k|^(1/d)`` and
    ``lambda = sum_k n_k |S_k|^(1/d) / n`` (K,d).
    """
    sizes = geometric_mean(S)
    return np.asarray(S / sizes[:, None] * (counts @ sizes / counts.sum()))


def own_volumes(S: Array, counts: Array) -> Array:
    """VE: ``lambda_k A`` with the shape ``A`` of ``sum_k n_k S_k / lambda_k``; see :func:`volumes`
    (K,d).
    """
    lambdas = volumes(S, counts)
    return np.asarray(lambdas[:, None] * unit_shape(S, counts / lambdas))


def geometric_mean(S: Array) -> Array:
    """``|S_k|^(1/d)`` of diagonals (..., d)."""
    return np.asarray(np.exp(np.log(S).mean(axis=-1)))


def unit_shape(S: Array, parts: Array) -> Array:
    """``sum_k parts_k S_k`` with determinant one (d,)."""
    pooled = parts @ S
    return np.asarray(pooled / geometric_mean(pooled))


def volumes(S: Array, counts: Array) -> Array:
    """The volumes lambda_k of components that share shape and orientation, for ``S`` (K,d) or
    (K,d,d).

    With ``M = sum_k n_k S_k / lambda_k`` the best shared matrix of determinant one is
    ``M / |M|^(1/d)``, and what is left to minimise is ``d sum_k n_k log lambda_k + n log|M|``:
    convex in ``log lambda``, so that Newton's method with halved steps reaches the one minimum from
    anywhere. Celeux & Govaert 1995 iterate between lambda and M instead, which has the same fixed
    point.
    """
    d = S.shape[1]
    filled = counts > 0
    if not filled.all():
        lambdas = np.empty(len(counts))
        lambdas[filled] = volumes(S[filled], counts[filled])
        M = _pooled(S[filled], counts[filled] / lambdas[filled])
        lambdas[~filled] = _traces(_relative(S[~filled], M)) / d * np.exp(_log_det(M) / d)
        return lambdas
    return _solved(S, counts)


def _newton_native(S: Array, counts: Array) -> Array:
    """The method in C++, for its share of every M-step."""
    lambdas = np.empty(len(counts))
    flat = np.ascontiguousarray(S.reshape(len(S), -1))
    if not native.volumes(
        flat, np.ascontiguousarray(counts), lambdas, S.shape[1], MOST_STEPS, SETTLED, NEAR
    ):
        raise np.linalg.LinAlgError("the pooled scatter is singular")
    return lambdas


def _newton(S: Array, counts: Array) -> Array:
    """The method in NumPy; see :func:`volumes`."""
    d = S.shape[1]
    shares = counts / counts.sum()
    logs = np.log(_traces(_relative(S, _pooled(S, shares))) / d)
    value, before = _profile(S, shares, logs), np.inf
    for _ in range(MOST_STEPS):
        parts = shares * np.exp(-logs)
        B = _relative(S, _pooled(S, parts)) * parts.reshape(-1, *[1] * (S.ndim - 1))
        pulls, flat = _traces(B), B.reshape(len(B), -1)
        hessian = np.diag(pulls) - flat @ flat.T + np.outer(shares, shares)
        step = np.linalg.solve(hessian, pulls - d * shares)
        if not np.isfinite(step).all():
            break
        near = np.abs(step).max() < NEAR
        reached = _profile(S, shares, logs + step)
        while reached > value and not near and np.abs(step).max() > SETTLED:
            step = step / 2.0
            reached = _profile(S, shares, logs + step)
        largest = np.abs(step).max()
        if reached <= value or near:
            logs, value = logs + step, reached
        if largest <= SETTLED or (near and largest > 0.5 * before):
            break
        before = largest
    M = _pooled(S, shares * np.exp(-logs))
    return np.asarray(_traces(_relative(S, M)) / d * np.exp(_log_det(M) / d))


_solved = either(_newton_native, _newton)


def _profile(S: Array, shares: Array, logs: Array) -> float:
    """``d sum_k share_k log lambda_k + log|M|``."""
    return float(S.shape[1] * (shares @ logs) + _log_det(_pooled(S, shares * np.exp(-logs))))


def _pooled(S: Array, parts: Array) -> Array:
    return np.asarray(np.tensordot(parts, S, axes=1))


def _log_det(M: Array) -> float:
    return float(np.log(M).sum() if M.ndim == 1 else np.linalg.slogdet(M)[1])


def _relative(S: Array, M: Array) -> Array:
    """``L^-1 S_k L^-T`` with ``M = L L'``: each scatter in units of M."""
    if M.ndim == 1:
        return np.asarray(S / M)
    inverse = np.linalg.inv(np.linalg.cholesky(M))
    return np.asarray(inverse @ S @ inverse.T)


def _traces(B: Array) -> Array:
    return np.asarray(B.sum(axis=1) if B.ndim == 2 else np.einsum("kii->k", B))
