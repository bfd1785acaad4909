"""The backends, and the choice among them."""

from __future__ import annotations

import os
import warnings
from functools import cache

from mixtura.backends.native import ROWS_WORTH_A_THREAD, NativeBackend
from mixtura.backends.reference import ReferenceBackend
from mixtura.base.errors import BackendWarning
from mixtura.base.parallel import processors
from mixtura.kernels import built, native
from mixtura.model.protocols import Backend

__all__ = [
    "ROWS_WORTH_A_THREAD",
    "NativeBackend",
    "ReferenceBackend",
    "backend_named",
    "build_info",
    "processors",
]


def backend_named(name: str = "auto", n_threads: int | None = None) -> Backend:
    """``"native"``, ``"reference"``, or ``"auto"``: native where it was built, else reference with
    one warning.

    The environment variable ``MIXTURA_BACKEND`` replaces ``"auto"``.
    """
    if name == "auto":
        name = os.environ.get("MIXTURA_BACKEND", "auto")
    if name == "reference":
        return ReferenceBackend()
    if name not in ("auto", "native"):
        raise ValueError(f"backend={name!r} is not known. Use 'auto', 'native' or 'reference'.")
    if built:
        return NativeBackend(n_threads)
    if name == "native":
        raise ImportError(
            "backend='native' was asked for, but mixtura was installed without a C++ compiler. "
            + _HOW_TO_BUILD
        )
    _say_slow_once()
    return ReferenceBackend()


_HOW_TO_BUILD = (
    "Install a C++20 compiler (Debian: apt-get install g++) and run: pip install "
    "--force-reinstall --no-cache-dir mixtura"
)


@cache
def _say_slow_once() -> None:
    warnings.warn(
        "mixtura was installed without its C++ kernels and runs on NumPy, which gives the same "
        "answers more slowly. " + _HOW_TO_BUILD,
        BackendWarning,
        stacklevel=3,
    )


def build_info() -> dict[str, str]:
    """What the native layer is: compiler, instruction set in use and those built, or why it is
    missing.
    """
    if not built:
        return {
            "backend": "reference",
            "reason": "installed without a C++ compiler",
            "remedy": _HOW_TO_BUILD,
        }
    return {"backend": "native", **native.build_info()}
