"""Numbers in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixtura.base.rounding import rounded_like as rounded_like


def title(candidate: Mapping[str, Any]) -> str:
    """``EEE with 3 components``."""
    return f"{candidate['family']} with {counted(candidate['n_components'], 'component')}"


def counted(n: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n} {word}" + ("" if n == 1 else "s")


def with_spread(mean: float, deviation: float) -> str:
    """``54.5 ± 5.9``: two significant digits of the deviation, and the mean to the same place."""
    return f"{rounded_like(deviation, mean)} ± {rounded_like(deviation, deviation)}"
