"""Numbers in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, isfinite, log10
from typing import Any


def title(candidate: Mapping[str, Any]) -> str:
    """``EEE with 3 components``."""
    return f"{candidate['family']} with {counted(candidate['n_components'], 'component')}"


def counted(n: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n} {word}" + ("" if n == 1 else "s")


def with_spread(mean: float, deviation: float) -> str:
    """``54.5 ± 5.9``: two significant digits of the deviation, and the mean to the same place."""
    return f"{rounded_like(deviation, mean)} ± {rounded_like(deviation, deviation)}"


def rounded_like(deviation: float, value: float) -> str:
    """A number with as many decimals as two significant digits of its deviation have."""
    place = floor(log10(deviation)) if deviation > 0 and isfinite(deviation) else 0
    if place < -5 or place > 7:
        digits = max(2, floor(log10(abs(value) or 1.0)) - place + 2)
        return f"{value:.{min(digits, 17)}g}"
    return f"{value:.{max(0, 1 - place)}f}"
