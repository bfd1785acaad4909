"""Soft clustering with Gaussian mixtures. Names are imported when they are first used, so that the
command line starts fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixtura.backends import build_info
    from mixtura.base.errors import InferenceError
    from mixtura.estimators.gaussian_mixture import GaussianMixture
    from mixtura.estimators.selector import GaussianMixtureSelector
    from mixtura.initialise.hierarchy import hierarchical
    from mixtura.model.matching import match
    from mixtura.model.priors import ConjugatePrior
    from mixtura.selection.likelihood_ratio import (
        likelihood_ratio_test,
        sequential_likelihood_ratio_test,
    )

__all__ = [
    "ConjugatePrior",
    "GaussianMixture",
    "GaussianMixtureSelector",
    "InferenceError",
    "__version__",
    "build_info",
    "hierarchical",
    "likelihood_ratio_test",
    "match",
    "sequential_likelihood_ratio_test",
]
__version__ = "0.1.0"

_HOMES = {
    "ConjugatePrior": "model.priors",
    "GaussianMixture": "estimators.gaussian_mixture",
    "GaussianMixtureSelector": "estimators.selector",
    "InferenceError": "base.errors",
    "build_info": "backends",
    "hierarchical": "initialise.hierarchy",
    "likelihood_ratio_test": "selection.likelihood_ratio",
    "match": "model.matching",
    "sequential_likelihood_ratio_test": "selection.likelihood_ratio",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mixtura' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mixtura.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
