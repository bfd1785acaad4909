"""The sections of a report: each function takes a study and returns a section of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from mixtura import plots
from mixtura.base.certainty import SURE
from mixtura.base.markup import Markup, joined, paragraphs, table, tag
from mixtura.base.numbering import capitalised, component_name, number_of, row_number
from mixtura.distribution.mixture_density import NOISE_LABEL
from mixtura.families import FAMILIES
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.model.selection import title_of
from mixtura.plots.colours import with_noise
from mixtura.report import live, reproduce
from mixtura.report.distribution import expected_rows, one_given_another
from mixtura.report.layout import VALUES_SHOWN, counted, listed, section
from mixtura.report.pictures import picture
from mixtura.report.sentences import component_sentence, membership_words, neighbour_sentence
from mixtura.report.study import Study

UNSURE_ROWS = 15
"""Rows in the table of unsure rows."""

BEST_CANDIDATES = 10
"""Candidates in the short table of criteria."""

USUAL_CRITERIA = ("bic", "aic", "icl")
"""Criteria in the short table, besides the one that decides."""

NAMES_SHOWN = 20
"""Columns named in the list of all columns; the code has every name."""

PAIRS_SHOWN = 5
"""Columns in the grid of pairs."""

MEANS_SHOWN = 300
"""Largest number of means in a table; above it the table has VALUES_SHOWN columns."""


# ---- the chosen model ----------------------------------------------------------------------------


def chosen_model(study: Study) -> Markup:
    """The chosen model in one sentence and a few numbers, and its lead over the runner-up."""
    best = study.best
    lead = (
        f"{counted(best.n_components, best.noun)} of family {best.family}: "
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
    """The most important numbers."""
    name = study.selection.criterion
    facts = [
        ("components", str(study.best.n_components)),
        ("family", study.best.label),
        (f"{title_of(name)} (lower is better)", f"{study.best.criterion:.2f}"),
        ("rows", f"{len(study.X):,}"),
        ("unsure rows", f"{len(study.unsure):,}"),
    ]
    return tag(
        "dl",
        *(tag("div", tag("dt", term), tag("dd", value)) for term, value in facts),
        class_="facts",
    )


def _cautions(study: Study) -> list[str]:
    """Warnings about the result."""
    said = []
    if study.interrupted:
        said.append("Interrupted: this report has only the results until then.")
    tried = {c.n_components for c in study.selection.candidates}
    if len(tried) > 1 and study.best.n_components == max(tried):
        said.append(f"{max(tried)} is the largest number of components tried; more may be better.")
    others = _other_choices(study)
    return said + ([f"Other criteria choose: {others}."] if others else [])


def _other_choices(study: Study) -> str:
    """The different choices of other criteria, grouped by model."""
    models: dict[str, list[str]] = {}
    for name, cell in study.selection.choices().items():
        if name != study.selection.criterion and not cell.is_same_model(study.best):
            models.setdefault(cell.title, []).append(title_of(name))
    return "; ".join(f"{choice} by {', '.join(names)}" for choice, names in models.items())


def data(study: Study) -> Markup:
    """The source, the columns used, and the columns left out."""
    source = study.origin.path or "rows in memory"
    used = (
        f"{source}: {len(study.X):,} rows, {counted(len(study.names), 'column')} used: "
        f"{listed(study.names, NAMES_SHOWN)}."
    )
    return section("The data", paragraphs([used, *(f"{capitalised(s)}." for s in study.said)]))


# ---- pictures ------------------------------------------------------------------------------------


def interactive_picture(study: Study) -> Markup:
    """A scatter plot to move, zoom and click."""
    return section("Interactive picture", live.picture(study))


def pictures(study: Study) -> Markup:
    """The mixture over its data, and its uncertainty."""
    mixture, names = study.mixture, list(study.names)
    chosen = [names[j] for j in discriminating_columns(mixture, PAIRS_SHOWN)]
    left = [name for name in names if name not in chosen]
    drawn = plots.plot_mixture(mixture, study.X, columns=names, shown=chosen)
    places = (
        "The curves are the weighted densities of the components."
        if len(names) == 1
        else "Ellipses contain 50 % and 95 % of each component."
    )
    caption = (
        "The colour of a row is the mean of its components' colours, weighted by its "
        f"memberships. {places}"
    )
    if left:
        caption += (
            f" The picture has the {len(chosen)} columns that best separate the components; left "
            f"out: {listed(left, VALUES_SHOWN)}."
        )
    first = picture(
        drawn,
        f"{len(study.X)} rows in {counted(mixture.n_components, 'component')}: {', '.join(chosen)}",
        caption,
    )
    return section("Pictures", first, _uncertainty(study))


def _uncertainty(study: Study) -> Markup:
    if study.mixture.n_components == 1:
        return joined([])
    drawn = plots.plot_uncertainty(study.mixture, study.X, columns=list(study.names))
    alt = f"{len(study.unsure)} of {len(study.X)} rows have a largest membership below {SURE:g}"
    return picture(
        drawn,
        alt,
        "Where rows are unsure: the uncertainty of a row is one minus its largest membership.",
    )


# ---- components ----------------------------------------------------------------------------------


def components(study: Study) -> Markup:
    """A sentence for every component, and a table of their means."""
    explained = (
        "Components are ordered by weight; their numbers are the labels of predict. Differences "
        "are those between the mean of a component and the mean of all others together, in pooled "
        "standard deviations (sd)."
    )
    cards = [_card(study, k) for k in range(study.mixture.n_components)] + _noise_card(study)
    return section("The components", tag("p", explained, class_="note"), *cards, _means(study))


def _card(study: Study, k: int) -> Markup:
    """One component in words."""
    rows = int((study.labels == k).sum())
    title = (
        f"{capitalised(component_name(k))}: weight {100 * study.mixture.weights[k]:.1f} %, "
        f"{counted(rows, 'row')}"
    )
    said = component_sentence(study.mixture, k, study.names)
    shared = neighbour_sentence(study, k) if study.mixture.n_components > 1 else ""
    heading = tag(
        "h3", tag("span", "", class_="dot", style=f"background:{_colour(study, k)}"), title
    )
    return tag("article", heading, tag("p", f"{said} {shared}".strip()))


def _noise_card(study: Study) -> list[Markup]:
    """The noise in words, where there is one."""
    noise = study.mixture.noise
    if noise is None:
        return []
    rows = int((study.labels == NOISE_LABEL).sum())
    title = f"Noise: weight {100 * noise.weight:.1f} %, {counted(rows, 'row')}"
    said = f"Rows of no component, uniform over a volume of {noise.volume:.4g}; their label is -1."
    return [tag("article", tag("h3", title), tag("p", said))]


def _colour(study: Study, k: int) -> str:
    mixture = study.mixture
    red, green, blue = with_noise(plots.component_colours(mixture.n_components), mixture)[k]
    return str(to_hex((red, green, blue)))


def _means(study: Study) -> Markup:
    """A table of means and standard deviations, of all columns or of those that separate best."""
    mixture = study.mixture
    fits = mixture.n_components * mixture.n_features <= MEANS_SHOWN
    columns = (
        np.arange(mixture.n_features) if fits else discriminating_columns(mixture, VALUES_SHOWN)
    )
    deviations = np.sqrt(np.einsum("kjj->kj", mixture.covariance.dense()))
    order = range(mixture.n_components)
    rows = [
        [study.names[j], *(_with_spread(mixture.means[k, j], deviations[k, j]) for k in order)]
        for j in columns
    ]
    more = "" if fits else f", the {len(columns)} columns that best separate them"
    caption = f"Means ± standard deviations of the components{more}"
    return table(caption, ["column", *map(number_of, order)], rows)


def _with_spread(mean: float, deviation: float) -> str:
    """``54.5 ± 5.9``, with two significant digits of the deviation."""
    place = int(np.floor(np.log10(deviation))) if deviation > 0 and isfinite(deviation) else 0
    if not -5 <= place <= 7:
        return f"{mean:.4g} ± {deviation:.2g}"
    digits = max(0, 1 - place)
    shown = round(mean, digits) + 0.0  # no minus before a zero
    return f"{shown:.{digits}f} ± {deviation:.{digits}f}"


# ---- unsure rows ---------------------------------------------------------------------------------


def unsure_rows(study: Study) -> Markup:
    """The rows with the smallest largest membership."""
    if study.mixture.n_components == 1:
        return joined([])
    count, n = len(study.unsure), len(study.X)
    said = (
        f"{count:,} of {n:,} rows ({100 * count / n:.1f} %) are unsure: their largest membership "
        f"is below {100 * SURE:.0f} %."
    )
    if not count:
        return section("The least sure rows", tag("p", said))
    shown = study.unsure[:UNSURE_ROWS]
    columns = discriminating_columns(study.mixture, VALUES_SHOWN)
    heads = ["row", "memberships", "", *(study.names[j] for j in columns)]
    rows = [
        [
            f"{row_number(i):,}",
            _bar(study, i),
            _words(study, i),
            *(_value(study.X[i, j]) for j in columns),
        ]
        for i in shown
    ]
    caption = f"The {len(shown)} least sure rows; the first row of the data is row 1"
    return section("The least sure rows", tag("p", said), table(caption, heads, rows, words=(1, 2)))


def _value(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:.6g}"


def _words(study: Study, row: int) -> str:
    return membership_words(study.memberships[row], study.mixture)


def _bar(study: Study, row: int) -> Markup:
    """Memberships as a bar in the colours of the components, beside the numbers."""
    shares = enumerate(study.memberships[row])
    parts = [
        tag("span", "", style=f"width:{100 * share:.1f}%;background:{_colour(study, k)}")
        for k, share in shares
        if share >= 0.005
    ]
    return tag("span", *parts, class_="bar", aria_hidden="true")


# ---- why this model ------------------------------------------------------------------------------


def model_choice(study: Study) -> Markup:
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
    few = [row for row in rows if row["eligible"]][:BEST_CANDIDATES]
    usual = list(dict.fromkeys((selection.criterion, *USUAL_CRITERIA)))
    best_few = _criteria_table(
        f"The best of {counted(len(rows), 'candidate')}; lower is better in every criterion",
        few,
        usual,
    )
    whole = _criteria_table("All criteria of all candidates; lower is better in every one", rows)
    every = tag(
        "details", tag("summary", f"All criteria of {counted(len(rows), 'candidate')}"), whole
    )
    return section("Why this model", *drawn, best_few, every)


def _criteria_table(
    caption: str, rows: list[dict[str, object]], wanted: Sequence[str] = ()
) -> Markup:
    """One row per candidate, with the wanted criteria, or all."""
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


# ---- convergence ---------------------------------------------------------------------------------


def convergence(study: Study) -> Markup:
    """Whether EM converged to an optimum, its path, and the optima of other starts."""
    fit = study.fit
    how = f"{counted(fit.n_iter, 'iteration')} of EM; {fit.stop.value}."
    caption = "Log-likelihood after each EM iteration of the winning run; it never decreases."
    trace = picture(plots.plot_trace(fit), f"log-likelihood over {fit.n_iter} iterations", caption)
    return section("Is it an optimum?", tag("p", how), _certificate(study), _starts(study), trace)


def _certificate(study: Study) -> Markup:
    """The verdict of the certificate, and its findings for each component."""
    certificate = study.fit.certificate
    if certificate is None:
        return tag(
            "p",
            "This fit has no certificate of convergence: only the winner of a completed search "
            "has one.",
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
    return joined([verdict, table("The components at the end of EM", heads, rows, words=(0, 5))])


def _remark(part: Mapping[str, Any]) -> str:
    """The findings for a component."""
    held = f"limited by the {part['boundary']}" if part["boundary"] else ""
    return (
        "; ".join(filter(None, (part["kind"] and f"{part['kind']}: {part['reason']}", held)))
        or "sound"
    )


def _starts(study: Study) -> Markup:
    """The optima of the starts, where the search recorded them."""
    if study.starts is None:
        return joined([])
    optima = sorted(study.starts.optima, key=lambda optimum: optimum.gap)
    drawn = picture(
        plots.plot_starts(study.starts),
        f"{study.starts.n_starts} starts, {len(optima)} distinct optima",
        "A bar for each distinct optimum: how many starts (solid) and proposals of the local "
        "search (hatched) ended there, how far its score is below the best, and how well its "
        "labels agree with those of the best (adjusted Rand index). The score is the "
        "log-likelihood minus a penalty for components that can arise by chance.",
    )
    return joined([tag("h3", "Where the starts ended"), tag("p", study.starts.sentence), drawn])


# ---- clusters of several components --------------------------------------------------------------


def merging(study: Study) -> Markup:
    """How overlapping components merge; with fewer than three components there is no elbow."""
    if study.mixture.n_components < 3:
        return joined([])
    tree = study.tree
    caption = (
        "Left: the order in which components merge. Right: the entropy of the memberships over "
        "the number of clusters."
    )
    drawn = picture(
        plots.plot_merging(tree), f"merge tree of {tree.n_components} components", caption
    )
    note = (
        "A cluster that is not Gaussian needs several components, which overlap. Merging them "
        "does not change the density."
    )
    sentence = tree.sentence(tree.elbow())
    outcome = sentence if tree.is_separated else f"At the elbow, {sentence}"
    return section("Components as clusters", tag("p", note), tag("p", outcome), drawn)


# ---- reproduction --------------------------------------------------------------------------------


def reproduction(study: Study) -> Markup:
    """The command, the program and its output, the versions, the seed, the digest of the data."""
    command = reproduce.command_line(study)
    parts: list[object] = []
    if study.interrupted:
        parts.append(
            tag(
                "p",
                "This run was interrupted; a complete run may find another model.",
                class_="caution",
            )
        )
    if command:
        parts += [
            tag("p", "The command of this report:"),
            tag("pre", tag("code", command), class_="command"),
        ]
    parts += [
        tag("p", "The same fit in Python:"),
        tag("pre", tag("code", reproduce.code(study)), class_="python"),
        tag("p", "It prints:"),
        tag("pre", tag("samp", reproduce.printed(study)), class_="printed"),
        tag(
            "p",
            f"{reproduce.seed_words(study.estimator)} The same build on the same kind of processor "
            "gives the same digits for any number of threads; others agree up to rounding.",
        ),
        table("Computed with", ["software", "version"], reproduce.versions(), words=(0, 1)),
        tag("p", reproduce.digest_words(study), class_="digest"),
    ]
    return section("How to reproduce this report", *parts)


SECTIONS: tuple[Callable[[Study], Markup], ...] = (
    chosen_model,
    data,
    interactive_picture,
    pictures,
    components,
    expected_rows,
    one_given_another,
    unsure_rows,
    model_choice,
    convergence,
    merging,
    reproduction,
)
"""The sections in the order of the page."""
