"""The C++ kernels, and the one place that knows whether they were built.

``native`` is the extension with the types of its stub, which is generated when it is built. A
function with a form in C++ and one in NumPy is chosen once, at import, by :func:`either`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

__all__ = ["built", "either", "native"]

Form = TypeVar("Form", bound=Callable[..., object])


class _NotBuilt:
    """Stands for the extension where mixtura was installed without a compiler."""

    def __getattr__(self, name: str) -> None:
        """No kernel of any name."""


try:
    from mixtura.kernels import _native as native
except ImportError:
    if os.environ.get("MIXTURA_ISA"):  # this build or this processor does not have it
        raise
    native = _NotBuilt()  # type: ignore[assignment]

built: bool = not isinstance(native, _NotBuilt)
"""Whether the extension is there."""


def either(in_cpp: Form, in_numpy: Form) -> Form:
    """The form in C++ where the extension was built, else the one in NumPy."""
    return in_cpp if built else in_numpy
