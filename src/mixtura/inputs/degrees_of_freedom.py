"""Checks of ``degrees_of_freedom`` and its bounds."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from mixtura.distribution.given_parameters import given_degrees, shaped
from mixtura.inputs.parameters import is_bool
from mixtura.model.tails import TailRule

MOST_DEGREES = 10_000
"""Largest estimate: above, the score of the degrees of freedom is lost to rounding."""


def tail_rule_of(estimator: Any) -> TailRule | None:
    """How an estimator chooses the degrees of freedom of its t components; None for Gaussians."""
    if not hasattr(estimator, "degrees_of_freedom_bounds"):
        return None
    bounds = _bounds(estimator.degrees_of_freedom_bounds)
    asked = estimator.degrees_of_freedom
    if isinstance(asked, str) and asked in ("free", "equal"):
        return TailRule("free" if asked == "free" else "equal", bounds=bounds)
    return TailRule("given", given_degrees(asked), bounds)


def check_degrees(rule: TailRule, K: int) -> TailRule:
    """The rule, if given numbers are one or K."""
    if rule.given is not None and rule.given.ndim == 1:
        shaped("degrees_of_freedom", rule.given, (K,))
        if not rule.names_components:
            return replace(rule, given=np.asarray(rule.given[0]))
    return rule


def _bounds(asked: Any) -> tuple[float, float]:
    """The least and the largest estimate."""
    pair = isinstance(asked, tuple | list | np.ndarray) and len(asked) == 2
    if not pair or not all(isinstance(bound, Real) and not is_bool(bound) for bound in asked):
        raise ValueError(
            "degrees_of_freedom_bounds must be two numbers, the least and the largest estimate, "
            f"but {asked!r} came. The default is (2, 200)."
        )
    low, high = float(asked[0]), float(asked[1])
    if not 0.0 < low < high <= MOST_DEGREES:
        raise ValueError(
            "degrees_of_freedom_bounds must rise from a number above 0 to at most "
            f"{MOST_DEGREES:,}, but {asked!r} came. The default is (2, 200)."
        )
    return low, high
