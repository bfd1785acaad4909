"""Sections about the distribution: highest-density regions, one column given another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura import plots
from mixtura.base.arrays import Array
from mixtura.base.markup import Markup, joined, table, tag
from mixtura.base.rounding import rounded_like
from mixtura.distribution.mixture import Mixture
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.model.explained_variance import MOST_COLUMNS, explained_by_one, explained_by_others
from mixtura.report.layout import VALUES_SHOWN, section
from mixtura.report.pictures import picture
from mixtura.report.study import Study

LEVELS = (0.5, 0.8, 0.95)
"""Probabilities of the regions."""

LINE_LEVELS = (0.5, 0.95)
"""Probabilities of the regions of a single column."""

QUANTILES = (0.05, 0.5, 0.95)
"""Of the column that is not given."""

GIVEN = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the given column at which the table has a row."""

LEAST_EXPLAINED = 0.05
"""Explained share below which one column says little about another."""

FINER = 0.2
"""Numbers are rounded like this part of the standard deviation of their column."""

EXPLAINED_SHOWN = 12
"""Columns in the table of explained shares."""


# ---- highest-density regions ---------------------------------------------------------------------


def expected_rows(study: Study) -> Markup:
    """Highest-density regions in a picture, the rows inside them, and those of single columns."""
    mixture, names = study.mixture, list(study.names)
    d = len(names)
    levels = LINE_LEVELS if d == 1 else LEVELS
    said = (
        "The highest-density region of 95 % is the smallest one that holds 95 % of the mixture's "
        "probability: the density is higher inside than anywhere outside, so rows outside are the "
        "least expected. A region may have several parts."
    )
    drawn = plots.plot_density(mixture, study.X, columns=names, levels=levels)
    shown = [names[j] for j in discriminating_columns(mixture, min(2, d))]
    caption = f"The regions of {_and(_percents(levels))} of the probability"
    caption += f", of {_and(shown)} without the other columns." if d > 2 else "."
    return section(
        "Where most rows are expected",
        tag("p", said),
        picture(drawn, f"highest-density regions of {_and(shown)}", caption),
        _rows_inside(study, levels),
        _single_columns(study),
    )


def _rows_inside(study: Study, levels: Sequence[float]) -> Markup:
    """How many rows are in each region of all columns, beside what the mixture expects."""
    complete = study.X[~np.isnan(study.X).any(axis=1)]
    if not len(complete):
        return joined([])
    n, regions = len(complete), study.mixture.hdr(levels)
    counts = regions.contains(complete).sum(axis=0)
    least = f"{n - counts[-1]:,} of {n:,} rows are outside the {_percent(levels[-1])} region"
    whole = " of all columns" if len(study.names) > 1 else ""
    expected = f"about {n * (1 - levels[-1]):,.0f} are expected there if the mixture is true"
    rows = [
        [_percent(level), f"{count:,}", f"{100 * count / n:.1f} %", f"{threshold:.4g}"]
        for level, count, threshold in zip(levels, counts, regions.thresholds, strict=True)
    ]
    kind = "complete rows" if n < len(study.X) else "rows"
    heads = ["probability", f"{kind} inside", "share", "least density"]
    return joined(
        [tag("p", f"{least}{whole}; {expected}."), table(f"Regions{whole}", heads, rows)],
    )


def _single_columns(study: Study) -> Markup:
    """The intervals of single columns."""
    mixture, d = study.mixture, len(study.names)
    shown = discriminating_columns(mixture, VALUES_SHOWN)
    rows = []
    for j in shown:
        one = mixture.marginal([int(j)])
        found = one.hdr(LINE_LEVELS).intervals or ()
        rows.append([study.names[j], *(_intervals(one, part) for part in found)])
    more = f", of the {len(shown)} columns that best separate the components" * (len(shown) < d)
    caption = f"The shortest intervals that hold these probabilities{more}"
    return table(caption, ["column", *_percents(LINE_LEVELS)], rows, words=(0, 1, 2))


def _intervals(one: Mixture, ends: Array) -> str:
    """``45.1 to 65.0 and 67.2 to 91.6``."""
    spread = FINER * float(one.std()[0])
    if not np.isfinite(ends).all():
        return "all values"
    parts = [
        f"{rounded_like(spread, low)} to {rounded_like(spread, high)}"
        for low, high in ends.tolist()
    ]
    return _and(parts)


# ---- one column given another --------------------------------------------------------------------


def one_given_another(study: Study) -> Markup:
    """The pair of which one column explains most of the other, and how well all are explained."""
    if len(study.names) == 1:
        return joined([])
    looked_at = discriminating_columns(study.mixture, MOST_COLUMNS)
    mixture, names = study.mixture.marginal(looked_at), [study.names[j] for j in looked_at]
    shares = explained_by_one(mixture)
    pairs = shares - np.eye(len(names))
    i, j = (int(at) for at in np.unravel_index(int(pairs.argmax()), pairs.shape))
    content = (
        _pair(study, names[i], names[j], float(shares[i, j]), mixture.marginal([i, j]))
        if shares[i, j] >= LEAST_EXPLAINED
        else [
            tag(
                "p",
                "No column says much about another: none explains more than "
                f"{_percent(LEAST_EXPLAINED)} of the variance of another one.",
            )
        ]
    )
    together = explained_by_others(mixture)
    if len(names) > 2 and together.max() >= LEAST_EXPLAINED:
        content.append(_explained(names, shares, together, len(study.names)))
    return section("One column given another", *content)


def _pair(study: Study, given: str, other: str, share: float, mixture: Mixture) -> list[Markup]:
    """What the given column says about the other: sentences, a picture, and a table."""
    among = "Of all pairs of columns this one tells most: " if len(study.names) > 2 else ""
    said = (
        f"{among}{given} explains {_percent(share)} of the variance of {other}. "
        f"Where {given} is known, the mixture expects {other} as in the picture: the line is the "
        "mean, half of the rows are expected in the dark band, and 90 % in both bands together."
    )
    drawn = plots.plot_conditional(
        study.mixture, study.X, columns=list(study.names), shown=[given, other]
    )
    alt = f"mean and quantiles of {other} for each value of {given}"
    caption = f"{other} given {given}. Where the bands are wide, the value says little."
    return [
        tag("p", said),
        picture(drawn, alt, caption),
        _conditionals(mixture, given, other),
        tag(
            "p",
            "The rows of the table are at the quantiles of 5, 25, 50, 75 and 95 % of the given "
            "column. The command mixtura condition gives the same for any value.",
            class_="note",
        ),
    ]


def _conditionals(mixture: Mixture, given: str, other: str) -> Markup:
    """The other column at some values of the given one."""
    known, asked = mixture.marginal([0]), mixture.marginal([1])
    across, up = (FINER * float(one.std()[0]) for one in (known, asked))
    values = np.asarray(known.ppf(GIVEN))
    found = mixture.condition([0], values[:, None])
    numbers = np.column_stack([found.mean(), found.std(), found.ppf(QUANTILES)])
    rows = [
        [rounded_like(across, value), *(rounded_like(up, number) for number in each)]
        for value, each in zip(values.tolist(), numbers.tolist(), strict=True)
    ]
    heads = [given, "mean", "std. dev.", *_percents(QUANTILES)]
    return table(f"{other} given {given}: mean, standard deviation and quantiles", heads, rows)


def _explained(names: Sequence[str], shares: Array, together: Array, d: int) -> Markup:
    """How much of each column the best other one and all others explain."""
    order = np.argsort(-together, kind="stable")[:EXPLAINED_SHOWN]
    rows = [_explained_row(j, names, shares, together) for j in order.tolist()]
    parts = [f"the {len(order)} that are explained best"] * (len(order) < len(names))
    parts += [f"among the {len(names)} that best separate the components"] * (len(names) < d)
    caption = ", ".join(["Share of a column's variance that other columns explain", *parts])
    return table(
        caption, ["column", "best other column", "alone", "all others"], rows, words=(0, 1)
    )


def _explained_row(j: int, names: Sequence[str], shares: Array, together: Array) -> list[str]:
    best = int(np.argmax(shares[:, j] - (np.arange(len(names)) == j)))
    return [names[j], names[best], _percent(shares[best, j]), _percent(float(together[j]))]


# ---- words ---------------------------------------------------------------------------------------


def _percent(share: float) -> str:
    """In whole percent."""
    return f"{100 * share:.0f} %"


def _percents(shares: Sequence[float]) -> list[str]:
    return [_percent(share) for share in shares]


def _and(parts: Sequence[str]) -> str:
    """``50 %, 80 % and 95 %``."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
