"""The table that is looked at, and its columns as a canvas wants them: 32-bit numbers from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from mixtura.arrays import Array

SPREAD = "spread at random"
"""The second axis of a table with one column."""


@dataclass(frozen=True, eq=False)
class Opened:
    """The numbers of one file.

    Attributes
    ----------
    X : (n, d)
    names : tuple of d str
    source : str
        The file as the user named it; only its last part goes to the page.
    """

    X: Array
    names: tuple[str, ...]
    source: str

    @property
    def file_name(self) -> str:
        """Without its folder, which is nobody's business."""
        return PurePath(self.source).name

    @property
    def is_line(self) -> bool:
        """Whether there is one column alone; a second axis then only keeps the points apart."""
        return len(self.names) == 1

    def shares(self, column: int) -> Array:
        """A column from 0 (its smallest value) to 1 (its largest), so that 32 bits are enough whatever its offset is."""
        if self.is_line and column == 1:
            return np.random.default_rng(0).uniform(0.1, 0.9, len(self.X))
        values = self.X[:, column]
        low, high = float(values.min()), float(values.max())
        return np.asarray((values - low) / (high - low))

    def columns(self) -> list[dict[str, Any]]:
        """Name and limits of each axis there is."""
        axes = [
            {"name": name, "low": float(values.min()), "high": float(values.max())}
            for name, values in zip(self.names, self.X.T, strict=True)
        ]
        return [*axes, {"name": SPREAD, "low": 0.0, "high": 1.0}] if self.is_line else axes
