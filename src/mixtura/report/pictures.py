"""Pictures inside a page, as PNG in base64, so that nothing is loaded."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mixtura.base.markup import Markup, tag
from mixtura.plots.files import figure_of, write_png

REPORT_DOTS_PER_INCH = 130
PALETTE_SIZE = 255
"""Colours of a picture; with a palette a picture is a quarter of the size and looks the same."""


def picture(drawn: Figure | Axes, alt: str, caption: str) -> Markup:
    """A figure with its caption; ``alt`` describes it for screen readers."""
    image = tag("img", src=_data_uri(figure_of(drawn)), alt=alt)
    return tag("figure", image, tag("figcaption", caption))


def _data_uri(figure: Figure) -> str:
    drawn, packed = BytesIO(), BytesIO()
    write_png(figure, drawn, REPORT_DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(PALETTE_SIZE).save(
        packed, format="PNG", optimize=True
    )
    return "data:image/png;base64," + b64encode(packed.getvalue()).decode()
