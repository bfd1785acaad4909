"""Soft clustering with Gaussian mixtures. Names are imported when they are first used, so that the command line starts fast."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixtura.backends import build_info
    from mixtura.estimators import GaussianMixture
    from mixtura.likelihood_ratio import likelihood_ratio_test, sequential_likelihood_ratio_test
    from mixtura.selector import GaussianMixtureSelector

__all__ = [
    "GaussianMixture",
    "GaussianMixtureSelector",
    "__version__",
    "build_info",
    "likelihood_ratio_test",
    "sequential_likelihood_ratio_test",
]
__version__ = "0.1.0"

_HOMES = {
    "GaussianMixture": "estimators",
    "GaussianMixtureSelector": "selector",
    "build_info": "backends",
    "likelihood_ratio_test": "likelihood_ratio",
    "sequential_likelihood_ratio_test": "likelihood_ratio",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mixtura' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mixtura.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
