"""Random generators from what users pass as ``random_state``."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np


def is_bool(value: object) -> bool:
    """Whether a value is a bool of Python or NumPy."""
    return isinstance(value, bool | np.bool_)


def seed_of(random_state: Any) -> np.random.SeedSequence:
    """A seed from scikit-learn's ``random_state``; only None reads the global generator."""
    if isinstance(random_state, Integral) and not is_bool(random_state):
        generator: Any = np.random.RandomState(int(random_state))
    else:
        from sklearn.utils import check_random_state  # takes long to import

        generator = check_random_state(random_state)
    return np.random.SeedSequence(int(generator.randint(2**31 - 1)))


def generator_of(random_state: Any) -> np.random.Generator:
    """A generator from a seed, from None, or from a generator of either kind of NumPy."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(seed_of(random_state))
