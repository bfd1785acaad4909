"""Checks of the parameters of an estimator.

Every message has three parts: the expected value, the given one, and the remedy.
"""

from __future__ import annotations

import reprlib
from numbers import Integral, Real
from typing import Any

from mixtura.base.random_states import is_bool as is_bool
from mixtura.base.random_states import seed_of as seed_of


def check_count(name: str, value: Any, least: int, optional: bool = False) -> None:
    """Check for an integer of at least ``least``, or for None where that is ``optional``."""
    if optional and value is None:
        return
    if is_bool(value) or not isinstance(value, Integral) or int(value) < least:
        extra = " or None" if optional else ""
        raise ValueError(
            f"{name} must be an integer of at least {least}{extra}, but {reprlib.repr(value)} "
            f"came. Pass for example {name}={max(least, 2)}."
        )


def check_size(name: str, value: Any) -> None:
    """Check for a finite number of at least zero, or for None, the default."""
    if value is None:
        return
    if is_bool(value) or not isinstance(value, Real) or not 0 <= float(value) < float("inf"):
        raise ValueError(
            f"{name} must be a number of at least 0 or None, but {value!r} came. Leave it at None "
            "for mixtura's own rule."
        )


def check_settings(estimator: Any) -> None:
    """Check the parameters that all estimators share, before the data are read."""
    check_count("max_iter", estimator.max_iter, 0)
    check_count("n_init", estimator.n_init, 1, optional=True)
    check_count("n_threads", estimator.n_threads, 1, optional=True)
    check_size("time_limit", getattr(estimator, "time_limit", None))
    check_size("tol", estimator.tol)
    check_size("reg_covar", estimator.reg_covar)
    accelerated(estimator)
    ordered_by_weight(estimator)


def ordered_by_weight(estimator: Any) -> bool:
    """Whether components are to be ordered by falling weight."""
    if estimator.component_order not in (None, "weight"):
        raise ValueError(
            f"component_order must be 'weight' or None, but {estimator.component_order!r} came."
        )
    return bool(estimator.component_order == "weight")


def accelerated(estimator: Any) -> bool:
    """Whether EM is accelerated by SQUAREM; scikit-learn's ``tol`` is for plain iterations."""
    if estimator.acceleration not in ("auto", "squarem", None):
        raise ValueError(
            f"acceleration must be 'auto', 'squarem' or None, but {estimator.acceleration!r} came."
        )
    return bool(
        estimator.acceleration == "squarem"
        or (estimator.acceleration == "auto" and estimator.tol is None)
    )
