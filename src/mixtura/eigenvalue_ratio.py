"""A bound on the ratio of the largest to the smallest eigenvalue over all components.

It makes the likelihood bounded, so that no component can collapse (Hathaway 1985; Garcia-Escudero et al. 2008).
"""

from __future__ import annotations

import numpy as np

from mixtura.arrays import Array


def truncated(spreads: Array, counts: Array, ratio: float) -> Array:
    """The maximum-likelihood variances (F,d) with ``max <= ratio * min``, given unrestricted ones and counts (F,).

    The optimum cuts all variances to an interval ``[m, ratio m]``; the best m minimises
    ``sum_k n_k sum_j (log v_kj + s_kj / v_kj)``, a function whose pieces between the points s_kj and s_kj / ratio have closed
    minima (Fritz, Garcia-Escudero & Mayo-Iscar 2013).
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
    values = [_cut(spreads, m, ratio) for m in candidates if m > 0]
    return min(values, key=lambda v: float((n * (np.log(v) + spreads / v)).sum()))


def _cut(spreads: Array, m: float, ratio: float) -> Array:
    return np.clip(spreads, m, ratio * m)


def contracted(log_values: Array, counts: Array, ratio: float) -> Array:
    """Logarithms of variances (F,d) drawn together until they lie within the ratio.

    All move by one factor to their weighted mean, so equal volumes, equal shapes and equal orientations stay equal.
    """
    span = float(log_values.max() - log_values.min())
    if span <= np.log(ratio):
        return log_values
    centre = float((counts[:, None] * log_values).sum() / (counts.sum() * log_values.shape[1]))
    return np.asarray(centre + (np.log(ratio) / span) * (log_values - centre))
