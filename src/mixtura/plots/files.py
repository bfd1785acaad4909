"""Writing pictures to files."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")
DOTS_PER_INCH = 150
PAD = 0.12
"""Margin in inches around the picture."""


def save(figure: Figure | Axes, path: str | Path) -> Path:
    """Write a figure, or the figure of some axes, to a file: PNG at 150 dots per inch, PDF or SVG.

    Raises
    ------
    ValueError
        When the file has another ending.
    FileNotFoundError
        When the folder does not exist.
    """
    target = checked_path(path, FORMATS)
    whole = figure_of(figure)
    if target.suffix.lower() == ".png":
        write_png(whole, target, DOTS_PER_INCH)
    else:
        whole.savefig(target, bbox_inches="tight", pad_inches=PAD, facecolor="white")
    return target


def write_png(figure: Figure, target: Path | IO[bytes], dots_per_inch: float) -> None:
    """A figure as PNG, cropped to its content.

    The layout is computed once here; ``savefig`` would compute it again.
    """
    engine, dpi, box = figure.get_layout_engine(), figure.dpi, None
    try:
        if engine is not None and figure.canvas.manager is None:
            figure.set_dpi(dots_per_inch)
            engine.execute(figure)
            figure.set_layout_engine(None)
            box = figure.get_tightbbox().padded(PAD)
        cut = box or "tight"
        figure.savefig(
            target,
            format="png",
            dpi=dots_per_inch,
            bbox_inches=cut,
            pad_inches=PAD,
            facecolor="white",
        )
    finally:
        if box is not None:
            figure.set_dpi(dpi)
            figure.set_layout_engine(engine)


def figure_of(picture: Any) -> Figure:
    """The whole figure that contains a picture: a figure, axes, or an array of axes."""
    if isinstance(picture, np.ndarray):
        picture = picture.flat[0]
    whole = picture if isinstance(picture, Figure) else picture.get_figure(root=True)
    assert whole is not None
    return whole


def checked_path(path: str | Path, formats: tuple[str, ...]) -> Path:
    """A path with one of these endings, in a folder that exists."""
    target = Path(path)
    if target.suffix.lower() not in formats:
        ending = f"ends in {target.suffix!r}" if target.suffix else "has no ending"
        raise ValueError(
            f"`path` {str(target)!r} {ending}, but the formats are {', '.join(formats)}. Write "
            f"{target.stem + formats[0]!r}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"`path` {str(target)!r} is in the folder {str(target.parent)!r}, which does not "
            "exist. Create it first."
        )
    return target
