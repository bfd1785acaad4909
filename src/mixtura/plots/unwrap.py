"""Access to the mixture, the fit, the selection or the merge tree inside any kind of result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from mixtura.distribution.mixture import Mixture
from mixtura.model.fit_result import FitResult, SearchResult
from mixtura.model.selection import Candidate, Selection
from mixtura.selection.merging import MergeTree

Part = TypeVar("Part")


def mixture_of(result: Any) -> Mixture:
    """The mixture of a fitted estimator or selector, a FitResult, SearchResult, Selection,
    Candidate, or the mixture itself.
    """
    if isinstance(result, Mixture):
        return result
    if hasattr(result, "mixture_"):
        return _expect(result.mixture_, Mixture, result)
    return fit_of(result).mixture


def fit_of(result: Any) -> FitResult:
    """The fit of a fitted estimator or selector, a SearchResult, Selection, Candidate, or the fit
    itself.
    """
    if isinstance(result, FitResult):
        return result
    if isinstance(result, Selection):
        return fit_of(result.best)
    if isinstance(result, SearchResult):
        return result.best
    if isinstance(result, Candidate):
        return _expect(result.fit, FitResult, result)
    if hasattr(result, "selection_"):
        return fit_of(result.selection_)
    return _expect(getattr(result, "result_", None), FitResult, result)


def selection_of(result: Any) -> Selection:
    """The selection of a fitted selector, or the selection itself."""
    return _expect(getattr(result, "selection_", result), Selection, result)


def tree_of(result: Any) -> MergeTree:
    """The tree of a merged mixture, or the tree itself."""
    return _expect(getattr(result, "tree", result), MergeTree, result)


def names_of(result: Any, X: ArrayLike, columns: Sequence[str] | None, d: int) -> list[str]:
    """Names for the d columns: those given, else those of the data frame, else those that the
    estimator was fitted with, else ``column 0`` ...
    """
    for known in (columns, getattr(X, "columns", None), getattr(result, "feature_names_in_", None)):
        if known is not None:
            return [str(name) for name in known]
    return [f"column {j}" for j in range(d)]


def _expect(found: Any, kind: type[Part], given: Any) -> Part:
    """The part, or an error that says what was expected."""
    if not isinstance(found, kind):
        raise TypeError(
            f"this picture needs a result with a {kind.__name__}, but got {type(given).__name__}. "
            "Pass a fitted GaussianMixture or GaussianMixtureSelector, or one of their results."
        )
    return found
