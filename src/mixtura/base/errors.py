"""Exceptions and warnings, the bottom of the house.

Misuse is an exception in three parts: what was expected, what came, what to do. A numerical outcome
is a value (:class:`mixtura.model.results.StopReason`); the one exception is :class:`CollapseError`,
which an M-step raises when nobody allowed it a floor and which a search turns into a failed start.
"""

from __future__ import annotations

from mixtura.base.numbering import capitalised, component_name


class DataError(ValueError):
    """The data cannot be fitted as they are; the message names rows or columns and says what to
    do.
    """


class MissingExtraError(ImportError):
    """An optional dependency is missing; the message gives the install command."""


class ModelFileError(ValueError):
    """A model file is truncated, tampered with, or not a model file."""


ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical "
    "covariance (for instance caused "
    "by singleton or collapsed samples). Try to decrease the number of components, increase "
    "reg_covar, or scale the input data."
)
"""The sentences that users of scikit-learn search for."""


class CollapseError(ValueError):
    """A component's covariance is singular and no regularisation was allowed."""

    def __init__(self, component: int) -> None:
        self.component = component
        super().__init__(
            f"{ILL_DEFINED} {capitalised(component_name(component))} is singular; "
            "reg_covar=None lets mixtura put a floor "
            "under it that is relative to the scale of the data."
        )

    def __reduce__(self) -> tuple[type[CollapseError], tuple[int]]:
        return type(self), (self.component,)


class InferenceError(ValueError):
    """There are no standard errors for this fit; the message says why and what to do."""


class DataWarning(UserWarning):
    """The data were fitted, but not quite as they came (for example shrunk because rows are fewer
    than columns).
    """


class DegenerateWarning(UserWarning):
    """The best fit that could be had has a component that chance can place, or none is an answer at
    all.
    """


class BackendWarning(UserWarning):
    """The fast backend is not available, and a slower one is used."""
