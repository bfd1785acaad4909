"""Mixtures of every stored form for the tests of exports."""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import symmetric
from mixtura.base.scatter import Scatter
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.distribution.parametrisation import public_shape, stored_covariances
from mixtura.families import FAMILIES

ONE_OF_EACH_FORM = ("EII", "VII", "EEI", "VVI", "EEE", "VVV")
"""Three stored forms, of all components together and of each."""


def mixture_of(
    family: str,
    *,
    K: int = 3,
    d: int = 3,
    t: bool = False,
    noise: bool = False,
    offset: float = 0.0,
    columns: tuple[str, ...] | None = None,
    seed: int = 0,
) -> Mixture:
    """A mixture of overlapping components with variances about 1, ``offset`` from the origin."""
    rng = np.random.default_rng(seed)
    shape = public_shape(family, K, d)
    if FAMILIES[family].needs is Scatter.TRACE or FAMILIES[family].needs is Scatter.DIAGONAL:
        values = rng.uniform(0.5, 2.0, shape)
    else:
        factors = rng.standard_normal(shape)
        values = symmetric(factors @ np.swapaxes(factors, -1, -2) / d) + 0.3 * np.eye(d)
    means = offset + 1.5 * rng.standard_normal((K, d))
    weight = 0.1 if noise else 0.0
    return Mixture(
        (1.0 - weight) * rng.dirichlet(np.full(K, 5.0)),
        means,
        stored_covariances(family, values, K, d),
        Noise(weight, np.log(np.full(d, 12.0)), means.mean(axis=0)) if noise else None,
        np.resize([2.5, 30.0, 1e6], K) if t else None,
        columns,
    )


def rows_of(mixture: Mixture, n: int = 300, far: bool = True) -> np.ndarray:
    """Random rows, and some that are far from all components."""
    rows, _ = mixture.sample(n, np.random.default_rng(1))
    if not far:
        return rows
    return np.concatenate([rows, mixture.means[:1] + np.array([[8.0], [-30.0]])])
