"""The C++ kernels, or None where mixtura was installed without a compiler. Whoever asks has a NumPy
form of its own.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

extension: Any
try:
    extension = importlib.import_module("mixtura._native")
except ImportError:
    if os.environ.get(
        "MIXTURA_ISA"
    ):  # an instruction set was asked for that this build or this processor does not have
        raise
    extension = None
