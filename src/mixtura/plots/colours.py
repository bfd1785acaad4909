"""One colour for each component, and blends of them for rows that belong to several.

Colours are mixed as light is: in linear intensities, not in the numbers of a screen. Mixing is then
the same as averaging, so the mean colour of many rows is the colour of their mean membership.
"""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb

from mixtura.base.arrays import Array
from mixtura.base.palette import PALETTE as PALETTE

SHADES = (1.0, 0.35, 1.9, 0.6, 1.5)
"""Beyond ten components the palette comes again in these multiples of its light: dark, light, and
so on.
"""


def component_colours(n_components: int) -> Array:
    """One colour for each component, as sRGB (K,3); component k has the same one whatever K is.

    Beyond ten they are shades of the ten, and only the numbers at the means tell components apart
    for sure.
    """
    return np.array([_colour(k) for k in range(n_components)]).reshape(-1, 3)


def _colour(k: int) -> Array:
    """The palette's colour, in the shade of its round; the shades change a little from one cycle of
    rounds to the next.
    """
    lap, place = divmod(k, len(PALETTE))
    cycle, shade = divmod(lap, len(SHADES))
    light = to_light(np.array(to_rgb(PALETTE[place]))) * SHADES[shade] / (1.0 + 0.25 * cycle)
    excess = max(float(light.max()), 1.0)  # too bright for a screen: nearer to white instead
    return (
        to_screen(1.0 - (1.0 - light / excess) / excess if excess > 1.0 else light)
        if lap
        else np.array(to_rgb(PALETTE[place]))
    )


def blended_colours(responsibilities: Array, colours: Array) -> Array:
    """Colours (m,3) of rows with these responsibilities (m,K): the mean of the component colours
    (K,3) as light.

    A row that surely belongs to component k has exactly its colour; a row between two has a colour
    between theirs.
    """
    return to_screen(responsibilities @ to_light(colours))


def to_light(colours: Array) -> Array:
    """Linear intensities of sRGB colours, both from 0 to 1 (IEC 61966-2-1)."""
    c = np.asarray(colours, dtype=np.float64)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_screen(light: Array) -> Array:
    """sRGB colours of linear intensities: undoes :func:`to_light`."""
    v = np.clip(light, 0.0, 1.0)
    return np.clip(np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055), 0.0, 1.0)
