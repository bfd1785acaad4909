"""Checks of the parameters of an estimator.

Every message has three parts: the expected value, the given one, and the remedy.
"""

from __future__ import annotations

import reprlib
from numbers import Integral, Real
from typing import Any

from mixtura.base.random_states import is_bool as is_bool
from mixtura.base.random_states import seed_of as seed_of
from mixtura.model.component_order import ComponentSort


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
    check_component_order(estimator.component_order)


def check_component_order(order: Any) -> None:
    """Check for "weight", the number or the name of a column, or None."""
    is_number = isinstance(order, Integral) and not is_bool(order) and int(order) >= 0
    if not (order is None or isinstance(order, str) or is_number):
        raise ValueError(
            "component_order must be 'weight', a column (its name, or its number from 0) or None, "
            f"but {order!r} came."
        )


def component_sort_of(estimator: Any, d: int) -> ComponentSort | None:
    """How components of d columns are to be sorted; None keeps the order of the start.

    Names of columns are those of the data frame of the fit.
    """
    order = estimator.component_order
    if order is None or (isinstance(order, str) and order == "weight"):
        return None if order is None else ComponentSort()
    names = getattr(estimator, "feature_names_in_", None)
    if isinstance(order, str):
        if names is None:
            raise ValueError(
                "component_order must be 'weight', a column or None. As the name of a column, "
                f"{order!r} needs a data frame, but the columns of X have no names. Pass the "
                "number of the column, or a data frame."
            )
        if order not in names:
            listed = ", ".join(map(repr, names))
            raise ValueError(
                f"component_order must be 'weight', a column or None, but {order!r} is no column "
                f"of X. The columns are {listed}."
            )
        return ComponentSort(list(names).index(order))
    if int(order) >= d:
        raise ValueError(
            f"component_order must be the number of a column, 0 to {d - 1}, but {order!r} came."
        )
    return ComponentSort(int(order))


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
