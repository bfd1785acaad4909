"""The C++ kernels, or None where mixtura was installed without a compiler. Whoever asks has a NumPy form of its own."""

from __future__ import annotations

import importlib
from typing import Any

extension: Any
try:
    extension = importlib.import_module("mixtura._native")
except ImportError:
    extension = None
