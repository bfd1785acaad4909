"""Numbers with as many digits as their spread makes sense of."""

from __future__ import annotations

from math import floor, isfinite, log10


def rounded_like(deviation: float, value: float) -> str:
    """A number with as many decimals as two significant digits of its deviation have.

    Examples
    --------
    >>> rounded_like(5.87, 54.478), rounded_like(0.0123, 2.5), rounded_like(1234.0, 98765.4)
    ('54.5', '2.500', '98765')
    """
    place = floor(log10(deviation)) if deviation > 0 and isfinite(deviation) else 0
    if place < -5 or place > 7:
        digits = max(2, floor(log10(abs(value) or 1.0)) - place + 2)
        return f"{value:.{min(digits, 17)}g}"
    digits = max(0, 1 - place)
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no minus before a zero
