"""Soft clustering with Gaussian mixtures."""

from mixtura.backends import build_info
from mixtura.estimators import GaussianMixture, GaussianMixtureSelector

__all__ = ["GaussianMixture", "GaussianMixtureSelector", "__version__", "build_info"]
__version__ = "0.1.0"
