"""Log joint densities by the C++ kernels where they were built, else by NumPy."""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array, Rows
from mixtura.base.parallel import processors
from mixtura.distribution.mixture_density import MixtureDensity
from mixtura.kernels import either, native

ROWS_AT_ONCE = 65536
"""Rows whose log joint densities are in memory at a time, where they are summed at once."""


def described(mixture: MixtureDensity) -> tuple[Array, Array, Array]:
    """A mixture as the kernels read it: means, ``log_scale`` and whiteners, which are (K or 1, 1),
    (K or 1, d) or (K or 1, d*d): the width tells the form.
    """
    whitener = mixture.covariance.whitener
    return (
        np.ascontiguousarray(mixture.means),
        mixture.log_scale,
        np.ascontiguousarray(whitener.reshape(whitener.shape[0], -1)),
    )


def _in_cpp(mixture: MixtureDensity, rows: Rows) -> Array:
    """``log weights_k + log p(x_i | k)`` of complete rows (m,K), and that of the noise."""
    out = np.empty((len(rows), mixture.n_components))
    own = np.ascontiguousarray(rows)
    native.log_joint(own, *described(mixture), mixture.tails, out, processors())
    if mixture.noise is None:
        return out
    return np.column_stack([out, np.full(len(out), mixture.noise.log_joint)])


def _in_numpy(mixture: MixtureDensity, rows: Rows) -> Array:
    """The same by the formulas of the mixture."""
    return mixture.log_joint(rows)


log_joint_of_complete = either(_in_cpp, _in_numpy)
