"""Many rows as an image: each pixel shows the mean of its rows and their number."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from mixtura.base.arrays import Array, Labels
from mixtura.plots.colours import to_screen

PIXELS = (360, 240)
"""Width and height of the image in a single panel."""

FAINTEST = 0.3
"""Opacity of a pixel with a single row, which must still be visible."""


def pixel_means(
    places: Array, values: Array, limits: Array, pixels: tuple[int, int] = PIXELS
) -> tuple[Array, Labels]:
    """Mean ``values (n,c)`` of the rows in each pixel (height,width,c), NaN where there are none,
    and their number (height,width).

    Parameters
    ----------
    places : (n,2)
    values : (n,c)
    limits : (2,2)
        Lower and upper end of x and of y; rows outside are left out.
    pixels : (int, int)
        Width and height.
    """
    width, height = pixels
    span = limits[:, 1] - limits[:, 0]
    steps = ((places - limits[:, 0]) / span * [width, height]).astype(np.intp)
    inside = ((places >= limits[:, 0]) & (places <= limits[:, 1])).all(axis=1)
    x, y = np.minimum(steps[inside], [width - 1, height - 1]).T
    cells = y * width + x
    counts = np.bincount(cells, minlength=width * height)
    sums = np.stack(
        [
            np.bincount(cells, weights=column[inside], minlength=width * height)
            for column in values.T
        ],
        axis=1,
    )
    with np.errstate(invalid="ignore"):
        means = sums / counts[:, None]
    return means.reshape(height, width, -1), np.asarray(
        counts.reshape(height, width), dtype=np.intp
    )


def opacity(counts: Labels) -> Array:
    """The opacity of pixels with these numbers of rows, by their logarithm; 0 without rows."""
    strongest = np.log1p(max(int(counts.max(initial=0)), 1))
    return np.where(counts > 0, FAINTEST + (1.0 - FAINTEST) * np.log1p(counts) / strongest, 0.0)


def limits_of(places: Array) -> Array:
    """Lower and upper end of each column (c,2), never equal; NaN is missing."""
    low, high = np.fmin.reduce(places), np.fmax.reduce(places)
    empty = np.where(high > low, 0.0, np.maximum(np.abs(low), 1.0) * 0.5)
    return np.stack([low - empty, high + empty], axis=1)


def draw_colours(
    ax: Axes, places: Array, light: Array, pixels: tuple[int, int] = PIXELS
) -> AxesImage:
    """Rows at ``places (n,2)`` with blended intensities ``light (n,3)`` as one image."""
    limits = limits_of(places)
    means, counts = pixel_means(places, light, limits, pixels)
    picture = np.concatenate([to_screen(np.nan_to_num(means)), opacity(counts)[:, :, None]], axis=2)
    return draw_picture(ax, picture, limits)


def draw_picture(ax: Axes, picture: Array, limits: Array) -> AxesImage:
    """An image whose first row is the lowest, between its limits, without changing the aspect of
    the panel.
    """
    (left, right), (low, high) = limits.tolist()
    return ax.imshow(
        picture,
        extent=(left, right, low, high),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        zorder=1,
    )
