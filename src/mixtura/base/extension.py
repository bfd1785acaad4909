"""The C++ kernels, or None where mixtura was installed without a compiler; every caller has a NumPy
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
    # MIXTURA_ISA names an instruction set that this build or this processor does not have.
    if os.environ.get("MIXTURA_ISA"):
        raise
    extension = None
