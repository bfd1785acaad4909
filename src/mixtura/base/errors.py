"""Exceptions and warnings.

Misuse raises an exception in three parts: what was expected, what was given, what to do. A
numerical outcome is a value (:class:`mixtura.model.fit_result.StopReason`). The one exception to
that is :class:`CollapseError`: an M-step raises it where no variance floor is allowed, and a search
records it as a failed start.
"""

from __future__ import annotations

from mixtura.base.numbering import capitalised, component_name


class DataError(ValueError):
    """The data cannot be fitted; the message names rows or columns and says what to do."""


class MissingExtraError(ImportError):
    """An optional dependency is missing; the message gives the install command."""


class ModelFileError(ValueError):
    """The file is truncated, was changed, or is not a model file."""


ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical "
    "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
    "number of components, increase reg_covar, or scale the input data."
)
"""The message of scikit-learn, which users search for."""


class CollapseError(ValueError):
    """A component's covariance is singular and no regularisation was allowed."""

    def __init__(self, component: int) -> None:
        self.component = component
        super().__init__(
            f"{ILL_DEFINED} {capitalised(component_name(component))} is singular; "
            "with reg_covar=None, mixtura sets a lower bound for its variances that is relative to "
            "the scale of the data."
        )

    def __reduce__(self) -> tuple[type[CollapseError], tuple[int]]:
        return type(self), (self.component,)


class InferenceError(ValueError):
    """There are no standard errors for this fit; the message says why and what to do."""


class DataWarning(UserWarning):
    """The data were fitted with a change, for example shrunken covariances for too few rows."""


class DegenerateWarning(UserWarning):
    """The best fit has a spurious component, or no fit is valid at all."""


class BackendWarning(UserWarning):
    """The fast backend is not available, and a slower one is used."""
