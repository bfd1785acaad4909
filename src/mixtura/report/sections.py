"""The parts of a report, from the answer to how to come to it again. Each takes a study and gives a
section of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from mixtura import plots
from mixtura.base.markup import Markup, joined, paragraphs, table, tag
from mixtura.base.numbering import at_the_beginning, component_name, number_of, row_number
from mixtura.families import FAMILIES
from mixtura.model.discriminating_columns import telling_columns
from mixtura.model.selection import title_of
from mixtura.report import live, reproduce
from mixtura.report.pictures import picture
from mixtura.report.study import SURE, Study
from mixtura.report.words import component_sentence, membership_words, neighbour_sentence

LEAST_SURE = 15
"""Rows in the table of unsure rows."""

BEST_FEW = 10
"""Candidates in the table that is open."""

USUAL = ("bic", "aic", "icl")
"""Criteria that the open table has beside the one that decides."""

VALUES_SHOWN = 6
"""Columns of a row, or of a component, that fit into a table which people read."""

MOST_NAMED = 20
"""Columns that are named where all of them are meant; the code names every one."""

PAIRS_SHOWN = 5
"""Columns in the grid of pairs."""

MOST_CELLS = 300
"""Cells of means that a table has room for; beyond it shows the most telling columns only."""


def section(title: str, *content: object) -> Markup:
    """A heading and what belongs to it; the heading can be pointed at."""
    anchor = "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())
    return tag("section", tag("h2", title), *content, id=anchor)


# ---- the answer ----------------------------------------------------------------------------------


def answer(study: Study) -> Markup:
    """What was found, in one sentence and four numbers, and how far it is ahead."""
    best = study.best
    lead = (
        f"{_counted(best.n_components, 'component')} of family {best.family}: "
        f"{FAMILIES[best.family].summary}."
    )
    cautions = [tag("p", words, class_="caution") for words in _cautions(study)]
    return section(
        "What was found",
        tag("p", lead, class_="lead"),
        _facts(study),
        paragraphs(study.selection.sentences),
        *cautions,
    )


def _facts(study: Study) -> Markup:
    """The numbers that are looked for first."""
    name = study.selection.criterion
    facts = [
        ("components", str(study.best.n_components)),
        ("family", study.best.family),
        (f"{title_of(name)} (lower is better)", f"{study.best.criterion:.2f}"),
        ("rows", f"{len(study.X):,}"),
        ("rows that are unsure", f"{len(study.unsure):,}"),
    ]
    return tag(
        "dl",
        *(tag("div", tag("dt", term), tag("dd", value)) for term, value in facts),
        class_="facts",
    )


def _cautions(study: Study) -> list[str]:
    """What to know before believing it."""
    said = []
    if study.interrupted:
        said.append("Interrupted: only what was done until then is in this report.")
    tried = {c.n_components for c in study.selection.candidates}
    if len(tried) > 1 and study.best.n_components == max(tried):
        said.append(
            f"{max(tried)} is the largest number of components tried; a larger one may be better."
        )
    minds = _other_minds(study)
    return said + ([f"Other criteria would choose: {minds}."] if minds else [])


def _other_minds(study: Study) -> str:
    """What other criteria choose, those of one mind together; those that agree are left out."""
    minds: dict[str, list[str]] = {}
    for name, cell in study.selection.choices().items():
        if name != study.selection.criterion and not cell.is_same_model(study.best):
            minds.setdefault(cell.title, []).append(title_of(name))
    return "; ".join(f"{choice} by {', '.join(names)}" for choice, names in minds.items())


def data(study: Study) -> Markup:
    """Which data, which columns, which not."""
    source = study.origin.path or "rows in memory"
    used = (
        f"{source}: {len(study.X):,} rows, {_counted(len(study.names), 'column')} used: "
        f"{_listed(study.names, MOST_NAMED)}."
    )
    left = [f"Left out: {name}, because it is {reason}." for name, reason in study.left_out]
    return section("The data", paragraphs([used, *left]))


# ---- pictures ------------------------------------------------------------------------------------


def look_around(study: Study) -> Markup:
    """The picture that can be moved and asked."""
    return section("Look around", live.picture(study))


def pictures(study: Study) -> Markup:
    """The mixture over its data, and where it is unsure."""
    mixture, names = study.mixture, list(study.names)
    chosen = [names[j] for j in telling_columns(mixture, PAIRS_SHOWN)]
    left = [name for name in names if name not in chosen]
    drawn = plots.plot_mixture(mixture, study.X, columns=names, shown=chosen)
    places = (
        "bell curves" if len(names) == 1 else "ellipses that hold 50 % and 95 % of each component"
    )
    caption = f"Each row has the colours of its components, mixed by its memberships; {places}."
    if left:
        caption += (
            f" Shown are the {len(chosen)} columns that set the components apart most; left "
            f"out: {_listed(left, VALUES_SHOWN)}."
        )
    first = picture(
        drawn,
        f"{len(study.X)} rows in {_counted(mixture.n_components, 'component')}: "
        f"{', '.join(chosen)}",
        caption,
    )
    return section("Pictures", first, _doubts(study), _density(study))


def _doubts(study: Study) -> Markup:
    if study.mixture.n_components == 1:
        return joined([])
    drawn = plots.plot_uncertainty(study.mixture, study.X, columns=list(study.names))
    alt = f"{len(study.unsure)} of {len(study.X)} rows have a largest membership below {SURE:g}"
    return picture(
        drawn,
        alt,
        "Where rows are unsure: the uncertainty of a row is one minus its largest membership.",
    )


def _density(study: Study) -> Markup:
    drawn = plots.plot_density(study.mixture, study.X, columns=list(study.names))
    return picture(
        drawn,
        "density of the mixture",
        "The density: the smallest regions that hold the named shares of it.",
    )


# ---- components ----------------------------------------------------------------------------------


def components(study: Study) -> Markup:
    """Every component in a sentence, and all of them in a table."""
    explained = (
        "Components are ordered by weight; their numbers are the labels of predict. A difference "
        "is that of the means of a "
        "component and of all others together, in standard deviations (sd) pooled over the two."
    )
    cards = [_card(study, k) for k in range(study.mixture.n_components)]
    return section("The components", tag("p", explained, class_="note"), *cards, _means(study))


def _card(study: Study, k: int) -> Markup:
    """One component in words."""
    rows = int((study.labels == k).sum())
    title = (
        f"{at_the_beginning(component_name(k))}: {100 * study.mixture.weights[k]:.1f} % of the "
        f"density, {_counted(rows, 'row')}"
    )
    said = component_sentence(study.mixture, k, study.names)
    shared = neighbour_sentence(study, k) if study.mixture.n_components > 1 else ""
    heading = tag(
        "h3", tag("span", "", class_="dot", style=f"background:{_colour(study, k)}"), title
    )
    return tag("article", heading, tag("p", f"{said} {shared}".strip()))


def _colour(study: Study, k: int) -> str:
    red, green, blue = plots.component_colours(study.mixture.n_components)[k]
    return str(to_hex((red, green, blue)))


def _means(study: Study) -> Markup:
    """Means and standard deviations; of many columns the most telling ones."""
    mixture = study.mixture
    fits = mixture.n_components * mixture.n_features <= MOST_CELLS
    columns = np.arange(mixture.n_features) if fits else telling_columns(mixture, VALUES_SHOWN)
    deviations = np.sqrt(np.einsum("kjj->kj", mixture.covariance.dense()))
    order = range(mixture.n_components)
    rows = [
        [study.names[j], *(_with_spread(mixture.means[k, j], deviations[k, j]) for k in order)]
        for j in columns
    ]
    more = "" if fits else f", the {len(columns)} columns that set them apart most"
    caption = f"Means ± standard deviations of the components{more}"
    return table(caption, ["column", *map(number_of, order)], rows)


def _with_spread(mean: float, deviation: float) -> str:
    """``54.5 ± 5.9``, with as many digits as the deviation is worth."""
    place = int(np.floor(np.log10(deviation))) if deviation > 0 and isfinite(deviation) else 0
    if not -5 <= place <= 7:
        return f"{mean:.4g} ± {deviation:.2g}"
    digits = max(0, 1 - place)
    shown = round(mean, digits) + 0.0  # no minus before a zero
    return f"{shown:.{digits}f} ± {deviation:.{digits}f}"


# ---- unsure rows ---------------------------------------------------------------------------------


def unsure_rows(study: Study) -> Markup:
    """The rows that belong least surely to one component."""
    if study.mixture.n_components == 1:
        return joined([])
    count, n = len(study.unsure), len(study.X)
    said = (
        f"{count:,} of {n:,} rows ({100 * count / n:.1f} %) are unsure: no component has "
        f"{100 * SURE:.0f} % of them."
    )
    if not count:
        return section("The least sure rows", tag("p", said))
    shown = study.unsure[:LEAST_SURE]
    columns = telling_columns(study.mixture, VALUES_SHOWN)
    heads = ["row", "memberships", "", *(study.names[j] for j in columns)]
    rows = [
        [
            f"{row_number(i):,}",
            _bar(study, i),
            _words(study, i),
            *(f"{study.X[i, j]:.6g}" for j in columns),
        ]
        for i in shown
    ]
    caption = f"The {len(shown)} least sure rows; the first row of the data is row 1"
    return section("The least sure rows", tag("p", said), table(caption, heads, rows, words=(1, 2)))


def _words(study: Study, row: int) -> str:
    return membership_words(study.memberships[row])


def _bar(study: Study, row: int) -> Markup:
    """Memberships as lengths, in the colours of the components; the words are beside it."""
    shares = enumerate(study.memberships[row])
    parts = [
        tag("span", "", style=f"width:{100 * share:.1f}%;background:{_colour(study, k)}")
        for k, share in shares
        if share >= 0.005
    ]
    return tag("span", *parts, class_="bar", aria_hidden="true")


# ---- why this model ------------------------------------------------------------------------------


def choice(study: Study) -> Markup:
    """The criteria of all candidates, as a picture and as tables."""
    selection = study.selection
    ks = {c.n_components for c in selection.candidates}
    drawn = []
    if len(ks) > 1:
        caption = "Criteria over the number of components, lower is better; the winner is ringed."
        alt = (
            f"{title_of(selection.criterion)} of {len(selection.candidates)} candidates, best "
            f"{study.best.title}"
        )
        drawn.append(picture(plots.plot_criteria(selection), alt, caption))
    rows = selection.criteria_rows()
    few = [row for row in rows if row["eligible"]][:BEST_FEW]
    usual = list(dict.fromkeys((selection.criterion, *USUAL)))
    best_few = _criteria_table(
        f"The best of {_counted(len(rows), 'candidate')}; lower is better in every criterion",
        few,
        usual,
    )
    whole = _criteria_table("All criteria of all candidates; lower is better in every one", rows)
    every = tag(
        "details", tag("summary", f"All criteria of {_counted(len(rows), 'candidate')}"), whole
    )
    return section("Why this model", *drawn, best_few, every)


def _criteria_table(
    caption: str, rows: list[dict[str, object]], wanted: Sequence[str] = ()
) -> Markup:
    """One row per candidate, with the criteria that are wanted, or all."""
    known = (
        [name for name in rows[0] if name not in _FIXED and (not wanted or name in wanted)]
        if rows
        else []
    )
    heads = [
        "family",
        "components",
        *(title_of(name) for name in known),
        "log-likelihood",
        "parameters",
        "remark",
    ]
    body = [
        [
            row["family"],
            row["n_components"],
            *(_number(row[name]) for name in known),
            _number(row["log_likelihood"]),
            row["n_parameters"],
            row["notes"],
        ]
        for row in rows
    ]
    return table(caption, heads, body, words=(0, len(heads) - 1))


_FIXED = ("family", "n_components", "log_likelihood", "n_parameters", "eligible", "notes")


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) and isfinite(value) else "-"


# ---- can it be trusted ---------------------------------------------------------------------------


def trust(study: Study) -> Markup:
    """Whether EM stands at an optimum, how it came there, and what became of other starts."""
    fit = study.fit
    how = f"{_counted(fit.n_iter, 'iteration')} of EM; {fit.stop.value}."
    caption = "Log-likelihood after each iteration of the run that won; it never falls."
    trace = picture(plots.plot_trace(fit), f"log-likelihood over {fit.n_iter} iterations", caption)
    return section("Is it an optimum?", tag("p", how), _certificate(study), _starts(study), trace)


def _certificate(study: Study) -> Markup:
    """The verdict, and each component as the certificate sees it."""
    certificate = study.fit.certificate
    if certificate is None:
        return tag(
            "p",
            "This fit has no certificate of convergence: it was not the winner of a search that "
            "ended.",
        )
    verdict = tag("p", certificate.verdict, class_="holds" if certificate.holds else "caution")
    parts = certificate.document()["components"]
    heads = ["component", "weight", "rows (weight)", "effective parameters", "condition", "remark"]
    rows = [
        [
            part["component"],
            f"{part['weight']:.3f}",
            f"{part['count']:.1f}",
            f"{part['effective_parameters']:.1f}"
            if isfinite(part["effective_parameters"])
            else "-",
            f"{part['condition']:.3g}",
            _remark(part),
        ]
        for part in parts
    ]
    return joined([verdict, table("The components where EM ended", heads, rows, words=(0, 5))])


def _remark(part: Mapping[str, Any]) -> str:
    """What is to be said of a component, if anything."""
    held = f"held back by the {part['boundary']}" if part["boundary"] else ""
    return (
        "; ".join(filter(None, (part["kind"] and f"{part['kind']}: {part['reason']}", held)))
        or "sound"
    )


def _starts(study: Study) -> Markup:
    """What became of the starts, where the search kept it."""
    if study.starts is None:
        return joined([])
    optima = sorted(study.starts.optima, key=lambda optimum: optimum.gap)
    drawn = picture(
        plots.plot_starts(study.starts),
        f"{study.starts.n_starts} starts, {len(optima)} distinct optima",
        "A bar for each distinct optimum: how many starts (full) and proposals from another "
        "optimum (hatched) ended there, how far "
        "its score is below the best, and how far its labels agree with those of the best "
        "(adjusted Rand index). The score is the "
        "log-likelihood less the price of components that chance can place.",
    )
    return joined([tag("h3", "What became of the starts"), tag("p", study.starts.sentence), drawn])


# ---- clusters of several components --------------------------------------------------------------


def merging(study: Study) -> Markup:
    """How components that overlap would merge, or that none does; with fewer than three there is no
    elbow to find.
    """
    if study.mixture.n_components < 3:
        return joined([])
    tree = study.tree
    caption = (
        "Left, which components merge first; right, the entropy of the memberships over the "
        "number of clusters."
    )
    drawn = picture(
        plots.plot_merging(tree), f"merge tree of {tree.n_components} components", caption
    )
    note = (
        "A cluster that is not Gaussian takes several components, and these overlap. Merging "
        "them changes no density."
    )
    sentence = tree.sentence(tree.elbow())
    outcome = sentence if tree.is_separated else f"At the elbow, {sentence}"
    return section("Components as clusters", tag("p", note), tag("p", outcome), drawn)


# ---- again ---------------------------------------------------------------------------------------


def again(study: Study) -> Markup:
    """The command, the program and what it prints, the versions, the seed, the data's digest."""
    command = reproduce.command_line(study)
    parts: list[object] = []
    if study.interrupted:
        parts.append(
            tag(
                "p",
                "This run was interrupted; run to its end, it may find something else.",
                class_="caution",
            )
        )
    if command:
        parts += [tag("p", "This report:"), tag("pre", tag("code", command), class_="command")]
    parts += [
        tag("p", "The same fit in Python:"),
        tag("pre", tag("code", reproduce.code(study)), class_="python"),
        tag("p", "It prints:"),
        tag("pre", tag("samp", reproduce.printed(study)), class_="printed"),
        tag(
            "p",
            f"{reproduce.seed_words(study.estimator)} One build on one kind of processor gives the "
            "same digits for any number of "
            "threads; others agree to rounding.",
        ),
        table("Computed with", ["what", "version"], reproduce.versions(), words=(0, 1)),
        tag("p", reproduce.digest_words(study), class_="digest"),
    ]
    return section("How to come to this again", *parts)


def _listed(names: Sequence[str], most: int) -> str:
    """Names with commas; of many the first ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _counted(n: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


SECTIONS: tuple[Callable[[Study], Markup], ...] = (
    answer,
    data,
    look_around,
    pictures,
    components,
    unsure_rows,
    choice,
    trust,
    merging,
    again,
)
"""The order of the page."""
