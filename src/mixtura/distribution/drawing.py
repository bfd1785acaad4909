"""Random rows of a mixture, or of one of its components."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import NOISE_LABEL


def sample_of(
    mixture: Mixture, n: int, rng: np.random.Generator, component: int | None = None
) -> tuple[Array, Labels]:
    """n rows (n,d) and their components (n,), ordered by component; of one component if given.

    Raises
    ------
    ValueError
        When there is no such component, or no noise for -1.
    """
    if component is None:
        return mixture.sample(n, rng)
    k = checked_component(component, mixture)
    if k == NOISE_LABEL and mixture.noise is not None:
        return mixture.noise.sample(n, rng), np.full(n, NOISE_LABEL)
    rows, _ = mixture.without_noise.select(np.array([k])).sample(n, rng)
    return rows, np.full(n, k)


def checked_component(component: Any, mixture: Mixture) -> int:
    """The number of a component, -1 for the noise."""
    K = mixture.n_components
    known = range(NOISE_LABEL if mixture.noise else 0, K)
    if isinstance(component, Integral) and component is not True and int(component) in known:
        return int(component)
    noise = ", or -1 for the noise" if mixture.noise else "; there is no noise"
    raise ValueError(
        f"component must be a number from 0 to {K - 1}{noise}, but {component!r} came. Leave it "
        "out to draw from all of them."
    )
