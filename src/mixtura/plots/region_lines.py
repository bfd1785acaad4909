"""Borders of highest-density regions as lines, for a picture that is drawn elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import contourpy
import numpy as np

from mixtura.base.arrays import Array
from mixtura.distribution.mixture import Mixture

DRAWS = 20_000
"""Random rows for the thresholds, which makes the probabilities right to about 0.4 %."""

EVEN, NEAR = 80, 160
"""Places per axis where the density is evaluated: even over all, and about the means."""

REACH = 5.0
"""Standard deviations about each mean."""


def region_lines(
    mixture: Mixture, columns: tuple[int, int], levels: Sequence[float]
) -> list[list[Array]]:
    """The borders (m,2) of the region of each level in two columns, one for each of its parts.

    Where the region is everything, since noise reaches everywhere, it has no border.

    Examples
    --------
    >>> one = Mixture.from_parameters([1.0], [[0.0, 0.0]], 1.0, covariance_type="tied_spherical")
    >>> ((border,),) = region_lines(one, (0, 1), [0.5])
    >>> np.linalg.norm(border, axis=1).mean().round(2).item()  # sqrt(2 log 2)
    1.18
    """
    both = mixture.marginal(list(columns))
    spreads = np.sqrt(np.einsum("kjj->kj", both.covariance.dense()))
    x, y = (_places(both.means[:, j], spreads[:, j]) for j in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    heights = both.log_density(grid).reshape(len(y), len(x))
    lines = contourpy.contour_generator(x, y, heights)
    found = both.hdr(levels, n_samples=DRAWS)
    return [[np.asarray(line) for line in lines.lines(at)] for at in found.log_thresholds.tolist()]


def _places(means: Array, spreads: Array) -> Array:
    """Places of one axis, denser about each mean, so that small components have smooth borders."""
    reach = REACH * spreads
    even = np.linspace((means - reach).min(), (means + reach).max(), EVEN)
    steps = np.linspace(-REACH, REACH, max(NEAR // len(means), 9))
    return np.unique(np.concatenate([even, (means + spreads * steps[:, None]).ravel()]))


def region_boxes(mixture: Mixture, levels: Sequence[float]) -> list[Array]:
    """The finite intervals (I,2) of the region of each level in the one column there is."""
    found = mixture.hdr(levels).intervals or ()
    return [ends[np.isfinite(ends).all(axis=1)] for ends in found]
