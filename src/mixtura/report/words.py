"""Components and unsure rows in plain words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.numbering import component_name
from mixtura.model.discriminating_columns import deviation_ratios, ranked_columns
from mixtura.model.mixture import Mixture
from mixtura.report.study import SURE, Study

TELLING = 0.5
"""A column sets a component apart where the means differ by at least so many standard
deviations.
"""

WIDER = 1.5
"""A component is called wider or narrower where its deviation is so many times that of the others,
or the inverse.
"""

MOST_COLUMNS = 4
"""More columns in a sentence are not read; the table has them all."""


def component_sentence(mixture: Mixture, k: int, names: Sequence[str]) -> str:
    """What sets a component apart: means against the rest, in pooled standard deviations, then
    spreads.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.model.covariance import Spherical
    >>> two = Mixture(np.array([0.5, 0.5]), np.array([[0.0, 1.0], [3.0, 1.0]]), Spherical(np.ones(1), 2, 2))
    >>> component_sentence(two, 1, ["height", "weight"])
    'height higher than in the rest (3.0 sd).'
    """
    if mixture.n_components == 1:
        return "The only component: all rows belong to it."
    telling = [c for c in ranked_columns(mixture, k) if abs(c.difference) >= TELLING]
    parts = [
        f"{names[c.column]} {'higher' if c.difference > 0 else 'lower'} than in the rest "
        f"({abs(c.difference):.1f} sd)"
        for c in telling[:MOST_COLUMNS]
    ]
    if len(telling) > MOST_COLUMNS:
        parts.append(_more(len(telling) - MOST_COLUMNS))
    parts = parts or [f"No mean differs from the rest by {TELLING:g} standard deviations or more"]
    return ", ".join([*parts, *_spreads(deviation_ratios(mixture)[k], names)]) + "."


def _more(n: int) -> str:
    return f"and {n} more column{'s' * (n > 1)}"


def _spreads(ratios: Array, names: Sequence[str]) -> list[str]:
    """The columns in which a component is much wider or narrower than the others, the most unlike
    first.
    """
    order = np.argsort(-np.abs(np.log(np.maximum(ratios, 1e-300))), kind="stable")
    unlike = [j for j in order if not 1 / WIDER < ratios[j] < WIDER]
    said = [
        f"{names[j]} {'more' if ratios[j] > 1 else 'less'} spread out "
        f"({max(ratios[j], 1 / ratios[j]):.1f} times)"
        for j in unlike[:2]
    ]
    return said + ([_more(len(unlike) - 2)] if len(unlike) > 2 else [])


def neighbour_sentence(study: Study, k: int) -> str:
    """With which other component its unsure rows are shared, or that it has none."""
    mine = study.unsure[study.labels[study.unsure] == k]
    if not len(mine):
        return f"None of its rows is unsure (largest membership below {SURE:g})."
    second = np.argsort(-study.memberships[mine], axis=1, kind="stable")[:, 1]
    partners = np.bincount(second, minlength=study.mixture.n_components)
    most = int(partners.argmax())
    are = "is" if len(mine) == 1 else "are"
    return (
        f"{len(mine):,} of its rows {are} unsure; {_share(partners[most], len(mine))} could "
        f"also be of {component_name(most)}."
    )


def _share(part: int, whole: int) -> str:
    if whole == 1:
        return "it"
    return f"all {whole:,}" if part == whole else f"{part:,} of them"


def membership_words(memberships: Array) -> str:
    """``70 % component 0, 30 % component 1``: the largest first, what rounds to nothing left
    out.
    """
    order = np.argsort(-memberships, kind="stable")
    kept = [j for j in order if memberships[j] >= 0.005][:4]
    return ", ".join(f"{100 * memberships[j]:.0f} % {component_name(j)}" for j in kept)
