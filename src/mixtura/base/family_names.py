"""The names of the fourteen families: mclust's letters, and what else people call them."""

from __future__ import annotations

import difflib

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "EII": ("tied_spherical", "E"),
    "VII": ("spherical", "V"),
    "EEI": ("tied_diag",),
    "VEI": (),
    "EVI": (),
    "VVI": ("diag",),
    "EEE": ("tied",),
    "VEE": (),
    "EVE": (),
    "VVE": (),
    "EEV": (),
    "VEV": (),
    "EVV": (),
    "VVV": ("full",),
}
"""The letters, from the strictest to the freest, with scikit-learn's words and mclust's letters for
one column.
"""

_LETTERS = {word: name for name, others in OTHER_NAMES.items() for word in (name, *others)}


def family_letters(name: str) -> str:
    """The three letters of a family by any of its names.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> family_letters("tied")
    'EEE'
    """
    if name in _LETTERS:
        return _LETTERS[name]
    if name.upper() in OTHER_NAMES:
        return name.upper()
    near = difflib.get_close_matches(
        name.lower(), [word.lower() for word in _LETTERS], n=1, cutoff=0.4
    )
    guess = next((word for word in _LETTERS if near and word.lower() == near[0]), None)
    known = ", ".join(
        f"{name} ({', '.join(others)})".replace(" ()", "") for name, others in OTHER_NAMES.items()
    )
    raise ValueError(
        f"covariance_type={name!r} is not a known family."
        + (f" Did you mean {guess!r}?" if guess else "")
        + f" Known: {known}."
    )
