"""The table of the page, and its columns for the scatter plot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

import numpy as np

from mixtura.base.arrays import Array, Flags
from mixtura.inputs.reading import USUAL, Reading
from mixtura.plots import canvas


@dataclass(frozen=True, eq=False)
class OpenedTable:
    """The numeric columns of one file.

    Attributes
    ----------
    X : (n, d)
        NaN is missing.
    names : tuple of d str
    source : str
        The path as the user typed it; only the file name is sent to the page.
    reading : Reading
        How the file was read.
    """

    X: Array
    names: tuple[str, ...]
    source: str
    reading: Reading = USUAL

    @cached_property
    def complete(self) -> Flags:
        """The rows (n,) without missing values."""
        return np.asarray(~np.isnan(self.X).any(axis=1))

    @property
    def file_name(self) -> str:
        """The name without the folder, which stays private."""
        return PurePath(self.source).name

    @property
    def is_line(self) -> bool:
        """Whether there is a single column; the second axis then only separates the points."""
        return len(self.names) == 1

    def axis(self, column: int) -> tuple[bytes, canvas.Axis]:
        """A column for the scatter plot, with its name and limits."""
        if self.is_line and column == 1:
            return canvas.spread(len(self.X))
        return canvas.axis(self.names[column], self.X[:, column])

    def columns(self) -> list[canvas.Axis]:
        """Name and limits of each axis."""
        return [self.axis(column)[1] for column in range(max(2, len(self.names)))]
