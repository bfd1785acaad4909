"""Pictures into files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")
DOTS_PER_INCH = 150


def save(figure: Figure | Axes, path: str | Path) -> Path:
    """Write a figure, or the figure of some axes, to a file: PNG at 150 dots per inch, or PDF or SVG by the ending.

    Raises
    ------
    ValueError
        When the ending is none of these.
    FileNotFoundError
        When the folder is not there.
    """
    target = checked_path(path, FORMATS)
    figure_of(figure).savefig(target, dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.12, facecolor="white")
    return target


def figure_of(picture: Figure | Axes) -> Figure:
    """The whole figure that a picture lies in."""
    whole = picture if isinstance(picture, Figure) else picture.get_figure(root=True)
    assert whole is not None
    return whole


def checked_path(path: str | Path, formats: tuple[str, ...]) -> Path:
    """A path that ends in one of the formats, in a folder that is there."""
    target = Path(path)
    if target.suffix.lower() not in formats:
        ending = f"ends in {target.suffix!r}" if target.suffix else "has no ending"
        raise ValueError(
            f"`path` {str(target)!r} {ending}, but a picture is one of {', '.join(formats)}. Write {target.stem + formats[0]!r}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"`path` {str(target)!r} lies in the folder {str(target.parent)!r}, which does not exist. Make it first."
        )
    return target
