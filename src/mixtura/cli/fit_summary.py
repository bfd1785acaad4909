"""The summary of a fit: as plain values for JSON, and as printed text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mixtura.base.certainty import SURE
from mixtura.base.numbering import capitalised, component_name
from mixtura.cli.console import PlainConsole, grid
from mixtura.cli.data import with_column_names
from mixtura.cli.formatting import counted, rounded_like, title, with_spread
from mixtura.cli.interruption import interruption_sentence
from mixtura.cli.result_files import ERRORS
from mixtura.cli.selection import FitOutcome, chosen_mixture

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.distribution.mixture import Mixture
    from mixtura.inputs.table_data import TableData

CANDIDATES_SHOWN = 10
"""Candidates that are printed; candidates.csv has all of them."""

ERRORS_SHOWN = 40
"""Rows of the table of standard errors; of a longer table only weights and means are printed."""


def fit_document(
    found: FitOutcome, read: TableData, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """A selection as plain values."""
    from mixtura.estimators.model_file import component_summaries, summary

    selection, probabilities = found.selection, found.probabilities
    return {
        **read.document(),
        "criterion": selection.criterion,
        "lower_is_better": True,
        "settings": dict(settings),
        "random_state": seed,
        "sentences": [with_column_names(sentence, read.names) for sentence in selection.sentences],
        "best": summary(selection.best),
        "runner_up": summary(selection.runner_up) if selection.runner_up else None,
        "choices": {
            name: {"family": c.family, "n_components": c.n_components}
            for name, c in selection.choices().items()
        },
        "components": component_summaries(
            chosen_mixture(selection), probabilities, read.names, SURE
        ),
        "noise": _noise_document(chosen_mixture(selection), probabilities),
        "n_unsure": int((probabilities.max(axis=1) < SURE).sum()),
        "candidates": _named_columns(selection.rows(), "reason", read),
        "criteria": _named_columns(selection.criteria_rows(), "notes", read),
        "merging": None,
        "bootstrap": None,
        "errors": None,
    }


def _noise_document(mixture: Mixture, probabilities: Array) -> dict[str, Any] | None:
    """The noise term as plain values; None where there is none."""
    if mixture.noise is None:
        return None
    return {
        "weight": mixture.noise.weight,
        "volume": mixture.noise.volume,
        "n_rows": int((probabilities.argmax(axis=1) == mixture.n_components).sum()),
    }


def _named_columns(
    rows: Sequence[Mapping[str, object]], key: str, read: TableData
) -> list[dict[str, Any]]:
    """Rows of a table, with the names of the data's columns in the texts of one column."""
    return [{**row, key: with_column_names(str(row[key]), read.names)} for row in rows]


def report(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Print the whole summary."""
    from mixtura.families import FAMILIES

    best = document["best"]
    if any(row["eligible"] for row in document["candidates"]):
        _candidate_table(out, document["criterion"], document["candidates"])
        out.say(f"\n{document['sentences'][0]}", style="bold")
    else:
        out.say(
            f"\n{document['sentences'][0]} The simplest one is kept: {title(best)}.", style="bold"
        )
    out.say(
        f"  {FAMILIES[best['family']].summary}; log-likelihood {best['log_likelihood']:.3f} with "
        f"{best['n_parameters']} parameters"
    )
    out.say(f"  {counted(best['n_iter'], 'iteration')} of EM; {best['stop']}")
    if best["certificate"]:
        out.say(
            f"  {best['certificate']['verdict']}",
            style=None if best["certificate"]["holds"] else "yellow",
        )
    if best["starts"]:
        out.say(f"  {best['starts']['sentence']}")
    for sentence in document["sentences"][1:]:
        out.say(sentence)
    _say_choices(out, document)
    _say_largest_k_won(out, document)
    if document["interrupted"]:
        out.say(interruption_sentence(document), style="yellow")
    if document["bootstrap"]:
        out.say(
            document["bootstrap"].get("sentence")
            or f"No bootstrap of the choice: {document['bootstrap']['refused']}"
        )
    for component in document["components"]:
        unsure = f", {component['n_unsure']} of them unsure" if component["n_unsure"] else ""
        size = f"{100 * component['weight']:.1f} %, {counted(component['n_rows'], 'row')}"
        k, classes = component["component"], document["classes"]
        known = f" (class {classes[k]})" if k < len(classes) else ""
        out.say(
            f"\n{capitalised(component_name(k))}{known}: {size}{unsure}",
            style="bold",
        )
        out.say(
            "  "
            + ", ".join(
                f"{name} {with_spread(mean, component['sd'][name])}"
                for name, mean in component["mean"].items()
            )
        )
    if document["noise"]:
        noise = document["noise"]
        out.say(
            f"\nNoise: {100 * noise['weight']:.1f} %, {counted(noise['n_rows'], 'row')}",
            style="bold",
        )
        out.say(f"  uniform over a volume of {noise['volume']:.4g}; its rows have the label -1")
    out.say(
        f"\n{document['n_unsure']} of {document['n_rows']} rows are unsure: their largest "
        f"probability is below {SURE:g}."
    )
    if document["merging"]:
        out.say(f"\nMerged: {document['merging']['sentence']}")
    if document["errors"]:
        _say_errors(out, document["errors"])
    out.say("\nWrote " + "\n      ".join(document["files"]))


def _candidate_table(out: PlainConsole, criterion: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the best candidates."""
    from mixtura.model.selection import title_of

    shown = [row for row in rows if row["eligible"]][:CANDIDATES_SHOWN]
    title = (
        f"\nThe best of {counted(len(rows), 'candidate')} by {title_of(criterion)} (lower is "
        "better)"
    )
    heads = (
        "family",
        "components",
        title_of(criterion),
        "difference",
        "log-likelihood",
        "parameters",
        "converged",
    )
    table = grid("", *heads, title=title)
    for place, row in enumerate(shown, start=1):
        value, difference = row[criterion], row[criterion] - shown[0][criterion]
        numbers = (
            f"{value:.3f}",
            f"{difference:.3f}" if difference else "",
            f"{row['log_likelihood']:.3f}",
            str(row["n_parameters"]),
        )
        table.add_row(
            str(place),
            row["family"],
            str(row["n_components"]),
            *numbers,
            "yes" if row["converged"] else "no",
        )
    out.print(table)


def _say_choices(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Print what other criteria choose, grouped by the model they choose."""
    from mixtura.model.selection import title_of

    models: dict[str, list[str]] = {}
    for name, choice in document["choices"].items():
        if name != document["criterion"]:
            models.setdefault(f"{choice['family']} with {choice['n_components']}", []).append(
                title_of(name)
            )
    if models:
        out.say(
            "Other criteria choose: "
            + "; ".join(f"{choice} by {', '.join(names)}" for choice, names in models.items())
            + "."
        )


def _say_largest_k_won(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Print a warning where the best K is the largest one tried."""
    tried = {row["n_components"] for row in document["candidates"]}
    best = document["best"]["n_components"]
    if len(tried) > 1 and best == max(tried) and not document["interrupted"]:
        out.say(
            f"{best} is the largest number of components tried; more may be better "
            f"(--max-components {2 * best}).",
            style="yellow",
        )


def _say_errors(out: PlainConsole, errors: Mapping[str, Any]) -> None:
    """Print the table of standard errors, or why there is none."""
    if "refused" in errors:
        reason = str(errors["refused"]).removeprefix("no standard errors: ")
        out.say(f"\nNo standard errors ({errors['method']}): {reason}", style="yellow")
        return
    rows, percent = errors["parameters"], f"{100 * errors['level']:g} %"
    shown = (
        rows
        if len(rows) <= ERRORS_SHOWN
        else [row for row in rows if "ariance" not in row["parameter"]]
    )
    title = f"\nStandard errors ({errors['method']}) and {percent} intervals"
    table = grid(
        "component", "parameter", "estimate", "std. error", f"{percent} from", "to", title=title
    )
    for row in shown:
        numbers = (rounded_like(row["se"], row[key]) for key in ("estimate", "se", "low", "high"))
        table.add_row(str(row["component"]), row["parameter"], *numbers)
    out.print(table)
    if len(shown) < len(rows):
        out.say(f"The other {len(rows) - len(shown)}, variances and covariances, are in {ERRORS}.")
    for note in errors["notes"]:
        out.say(note)
