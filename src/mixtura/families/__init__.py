"""The covariance families, and the one table of them."""

from __future__ import annotations

from mixtura.base.family_names import family_letters
from mixtura.families.diagonal import EEI, EVI, VEI, VVI
from mixtura.families.ellipsoidal import EEE, EEV, EVE, EVV, VEE, VEV, VVE, VVV
from mixtura.families.family import CovarianceFamily
from mixtura.families.spherical import EII, VII
from mixtura.model.protocols import Family

__all__ = ["FAMILIES", "CovarianceFamily", "family_named"]

FAMILIES: dict[str, CovarianceFamily] = {
    family.name: family
    for family in (
        EII(),
        VII(),
        EEI(),
        VEI(),
        EVI(),
        VVI(),
        EEE(),
        VEE(),
        EVE(),
        VVE(),
        EEV(),
        VEV(),
        EVV(),
        VVV(),
    )
}
"""From the strictest to the freest, in mclust's order. To add a family, add it here."""


def family_named(name: str | Family) -> Family:
    """The family of that name: mclust's three letters or scikit-learn's word.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.
    """
    return FAMILIES[family_letters(name)] if isinstance(name, str) else name
