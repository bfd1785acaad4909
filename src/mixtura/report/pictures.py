"""Pictures inside a page: PNG files as text, so that nothing is loaded."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mixtura.base.markup import Markup, tag
from mixtura.plots.files import figure_of, write_png

DOTS_PER_INCH = 130
COLOURS = 255
"""Of a picture: a palette of so many is a quarter of the size, and the eye sees no difference in
charts.
"""


def picture(drawn: Figure | Axes, alt: str, caption: str) -> Markup:
    """A figure with its caption; ``alt`` says what can be seen, for those who cannot."""
    image = tag("img", src=_data_uri(figure_of(drawn)), alt=alt)
    return tag("figure", image, tag("figcaption", caption))


def _data_uri(figure: Figure) -> str:
    drawn, packed = BytesIO(), BytesIO()
    write_png(figure, drawn, DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(packed, format="PNG", optimize=True)
    return "data:image/png;base64," + b64encode(packed.getvalue()).decode()
