"""The table that is looked at, and its columns as a canvas wants them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from mixtura.base.arrays import Array
from mixtura.plots import canvas


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

    def axis(self, column: int) -> tuple[bytes, canvas.Axis]:
        """A column as the canvas wants it, with its name and limits."""
        if self.is_line and column == 1:
            return canvas.spread(len(self.X))
        return canvas.axis(self.names[column], self.X[:, column])

    def columns(self) -> list[canvas.Axis]:
        """Name and limits of each axis there is."""
        return [self.axis(column)[1] for column in range(max(2, len(self.names)))]
