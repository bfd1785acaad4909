"""One colour for each component, and blends of them for rows between components.

Colours are mixed as linear light intensities, not as sRGB values. Then mixing is averaging, and the
mean colour of many rows is the colour of their mean membership.
"""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb

from mixtura.base.arrays import Array
from mixtura.base.palette import NOISE as NOISE
from mixtura.base.palette import PALETTE as PALETTE
from mixtura.distribution.mixture import Mixture

SHADES = (1.0, 0.35, 1.9, 0.6, 1.5)
"""Beyond ten components the palette repeats, with its light multiplied by these factors."""


def component_colours(n_components: int) -> Array:
    """One colour for each component, as sRGB (K,3); component k has the same one whatever K is.

    Beyond ten they are shades of the ten, and only the numbers at the means identify components
    reliably.
    """
    return np.array([_colour(k) for k in range(n_components)]).reshape(-1, 3)


def with_noise(colours: Array, mixture: Mixture) -> Array:
    """The colours of the columns of its posteriors: those of the components, then of the noise."""
    return colours if mixture.noise is None else np.vstack([colours, to_rgb(NOISE)])


def _colour(k: int) -> Array:
    """The palette's colour in the shade of its repetition, darkened a little whenever the shades
    repeat.
    """
    lap, place = divmod(k, len(PALETTE))
    cycle, shade = divmod(lap, len(SHADES))
    light = to_light(np.array(to_rgb(PALETTE[place]))) * SHADES[shade] / (1.0 + 0.25 * cycle)
    excess = max(float(light.max()), 1.0)  # too bright for a screen: mixed with white
    return (
        to_screen(1.0 - (1.0 - light / excess) / excess if excess > 1.0 else light)
        if lap
        else np.array(to_rgb(PALETTE[place]))
    )


def blended_colours(responsibilities: Array, colours: Array) -> Array:
    """Colours (m,3) of rows with these responsibilities (m,K): the mean light of the component
    colours (K,3).

    A row with responsibility 1 for component k has exactly its colour; a row between two components
    has a colour between theirs.
    """
    return to_screen(responsibilities @ to_light(colours))


def to_light(colours: Array) -> Array:
    """Linear intensities of sRGB colours, both from 0 to 1 (IEC 61966-2-1)."""
    c = np.asarray(colours, dtype=np.float64)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_screen(light: Array) -> Array:
    """sRGB colours of linear intensities, the inverse of :func:`to_light`."""
    v = np.clip(light, 0.0, 1.0)
    return np.clip(np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055), 0.0, 1.0)
