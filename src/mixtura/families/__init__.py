"""The covariance families, and the one table of them."""

from __future__ import annotations

import difflib

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

_BY_ANY_NAME = {
    word: family for family in FAMILIES.values() for word in (family.name, *family.aliases)
}


def family_named(name: str | Family) -> Family:
    """The family of that name: mclust's three letters or scikit-learn's word.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.
    """
    if not isinstance(name, str):
        return name
    if name in _BY_ANY_NAME:
        return _BY_ANY_NAME[name]
    if name.upper() in FAMILIES:
        return FAMILIES[name.upper()]
    near = difflib.get_close_matches(
        name.lower(), [word.lower() for word in _BY_ANY_NAME], n=1, cutoff=0.4
    )
    guess = next((word for word in _BY_ANY_NAME if near and word.lower() == near[0]), None)
    known = ", ".join(
        f"{name} ({', '.join(family.aliases)})".replace(" ()", "")
        for name, family in FAMILIES.items()
    )
    raise ValueError(
        f"covariance_type={name!r} is not a known family."
        + (f" Did you mean {guess!r}?" if guess else "")
        + f" Known: {known}."
    )
