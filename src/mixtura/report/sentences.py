"""Sentences about components and unsure rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.certainty import SURE
from mixtura.base.numbering import component_name
from mixtura.distribution.mixture import Mixture
from mixtura.model.discriminating_columns import deviation_ratios, ranked_columns
from mixtura.report.study import Study

CLEAR_DIFFERENCE = 0.5
"""A sentence names a column where the means differ by at least this many standard deviations."""

SPREAD_RATIO = 1.5
"""A sentence calls a component more or less spread out from this ratio of deviations on."""

COLUMNS_IN_SENTENCE = 4
"""Columns that a sentence names; the table has all."""


def component_sentence(mixture: Mixture, k: int, names: Sequence[str]) -> str:
    """How a component differs from the rest: means in pooled standard deviations, then spreads.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> means = np.array([[0.0, 1.0], [3.0, 1.0]])
    >>> two = Mixture(np.array([0.5, 0.5]), means, Spherical(np.ones(1), 2, 2))
    >>> component_sentence(two, 1, ["height", "weight"])
    'height higher than in the rest (3.0 sd).'
    """
    if mixture.n_components == 1:
        return "The only component; all rows belong to it."
    clear = [c for c in ranked_columns(mixture, k) if abs(c.difference) >= CLEAR_DIFFERENCE]
    parts = [
        f"{names[c.column]} {'higher' if c.difference > 0 else 'lower'} than in the rest "
        f"({abs(c.difference):.1f} sd)"
        for c in clear[:COLUMNS_IN_SENTENCE]
    ]
    if len(clear) > COLUMNS_IN_SENTENCE:
        parts.append(_more(len(clear) - COLUMNS_IN_SENTENCE))
    parts = parts or [
        f"No mean differs from the rest by {CLEAR_DIFFERENCE:g} standard deviations or more"
    ]
    return ", ".join([*parts, *_spreads(deviation_ratios(mixture)[k], names)]) + "."


def _more(n: int) -> str:
    return f"and {n} more column{'s' * (n > 1)}"


def _spreads(ratios: Array, names: Sequence[str]) -> list[str]:
    """The columns in which the spread of a component differs most from that of the others."""
    order = np.argsort(-np.abs(np.log(np.maximum(ratios, 1e-300))), kind="stable")
    different = [j for j in order if not 1 / SPREAD_RATIO < ratios[j] < SPREAD_RATIO]
    said = [
        f"{names[j]} {'more' if ratios[j] > 1 else 'less'} spread out "
        f"({max(ratios[j], 1 / ratios[j]):.1f} times)"
        for j in different[:2]
    ]
    return said + ([_more(len(different) - 2)] if len(different) > 2 else [])


def neighbour_sentence(study: Study, k: int) -> str:
    """The other component that shares most unsure rows with this one."""
    mine = study.unsure[study.labels[study.unsure] == k]
    if not len(mine):
        return f"None of its rows is unsure (largest membership below {SURE:g})."
    second = np.argsort(-study.memberships[mine], axis=1, kind="stable")[:, 1]
    partners = np.bincount(second, minlength=study.memberships.shape[1])
    most = int(partners.argmax())
    are = "is" if len(mine) == 1 else "are"
    return (
        f"{len(mine):,} of its rows {are} unsure; {_share(partners[most], len(mine))} could "
        f"also belong to {_name(most, study.mixture)}."
    )


def _share(part: int, whole: int) -> str:
    if whole == 1:
        return "it"
    return f"all {whole:,}" if part == whole else f"{part:,} of them"


def _name(column: int, mixture: Mixture | None) -> str:
    """The name of a column of the memberships."""
    is_noise = mixture is not None and column >= mixture.n_components
    return "the noise" if is_noise else component_name(column)


def membership_words(memberships: Array, mixture: Mixture | None = None) -> str:
    """``70 % component 0, 30 % component 1``: the largest first, without those that round to 0."""
    order = np.argsort(-memberships, kind="stable")
    kept = [j for j in order if memberships[j] >= 0.005][:4]
    return ", ".join(f"{100 * memberships[j]:.0f} % {_name(j, mixture)}" for j in kept)
