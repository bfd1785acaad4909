"""What a fit says: everything about it as plain values, and for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mixtura.base.numbering import capitalised, component_name
from mixtura.cli.calling_off import said_about
from mixtura.cli.console import Plain, grid
from mixtura.cli.data import Data, with_names
from mixtura.cli.result_files import ERRORS
from mixtura.cli.selecting import Found, winner
from mixtura.cli.words import counted, title, to_the_place_of, with_spread

UNSURE = 0.9
"""A row whose largest probability is smaller is called unsure."""

SHOWN = 10
"""Candidates that are printed; all of them are in candidates.csv."""

MOST_ERRORS = 40
"""Rows of the table of standard errors that are printed; beyond them only weights and means."""


def fit_document(
    found: Found, read: Data, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Everything that is known about a selection, as plain values."""
    from mixtura.estimators.model_file import component_summaries, summary

    selection, probabilities = found.selection, found.probabilities
    return {
        "source": read.table.source,
        "n_rows": len(read.X),
        "columns": list(read.names),
        "left_out": [{"column": name, "reason": reason} for name, reason in read.left_out],
        "criterion": selection.criterion,
        "lower_is_better": True,
        "settings": dict(settings),
        "random_state": seed,
        "sentences": [with_names(sentence, read.names) for sentence in selection.sentences],
        "best": summary(selection.best),
        "runner_up": summary(selection.runner_up) if selection.runner_up else None,
        "choices": {
            name: {"family": c.family, "n_components": c.n_components}
            for name, c in selection.choices().items()
        },
        "components": component_summaries(winner(selection), probabilities, read.names, UNSURE),
        "n_unsure": int((probabilities.max(axis=1) < UNSURE).sum()),
        "candidates": _named_columns(selection.rows(), "reason", read),
        "criteria": _named_columns(selection.criteria_rows(), "notes", read),
        "merging": None,
        "bootstrap": None,
        "errors": None,
    }


def _named_columns(
    rows: Sequence[Mapping[str, object]], key: str, read: Data
) -> list[dict[str, Any]]:
    """Rows of a table, one of whose columns speaks of columns of the data."""
    return [{**row, key: with_names(str(row[key]), read.names)} for row in rows]


def report(out: Plain, document: Mapping[str, Any]) -> None:
    """The whole story, for a person."""
    from mixtura.families import FAMILIES

    best = document["best"]
    if any(row["eligible"] for row in document["candidates"]):
        _candidate_table(out, document["criterion"], document["candidates"])
        out.say(f"\n{document['sentences'][0]}", style="bold")
    else:
        out.say(f"\n{document['sentences'][0]} Kept, as the simplest: {title(best)}.", style="bold")
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
    _say_more_is_open(out, document)
    if document["interrupted"]:
        out.say(said_about(document), style="yellow")
    if document["bootstrap"]:
        out.say(
            document["bootstrap"].get("sentence")
            or f"No bootstrap of the choice: {document['bootstrap']['refused']}"
        )
    for component in document["components"]:
        unsure = f", {component['n_unsure']} of them unsure" if component["n_unsure"] else ""
        size = f"{100 * component['weight']:.1f} %, {counted(component['n_rows'], 'row')}"
        out.say(
            f"\n{capitalised(component_name(component['component']))}: {size}{unsure}",
            style="bold",
        )
        out.say(
            "  "
            + ", ".join(
                f"{name} {with_spread(mean, component['sd'][name])}"
                for name, mean in component["mean"].items()
            )
        )
    out.say(
        f"\n{document['n_unsure']} of {document['n_rows']} rows are unsure: their largest "
        f"probability is below {UNSURE:g}."
    )
    if document["merging"]:
        out.say(f"\nMerged: {document['merging']['sentence']}")
    if document["errors"]:
        _say_errors(out, document["errors"])
    out.say("\nWrote " + "\n      ".join(document["files"]))


def _candidate_table(out: Plain, criterion: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """The best few."""
    from mixtura.model.results import title_of

    shown = [row for row in rows if row["eligible"]][:SHOWN]
    title = (
        f"\nThe best of {counted(len(rows), 'candidate')} by {title_of(criterion)} (lower is "
        "better)"
    )
    heads = (
        "family",
        "components",
        title_of(criterion),
        "behind",
        "log-likelihood",
        "parameters",
        "converged",
    )
    table = grid("", *heads, title=title)
    for place, row in enumerate(shown, start=1):
        value, behind = row[criterion], row[criterion] - shown[0][criterion]
        numbers = (
            f"{value:.3f}",
            f"{behind:.3f}" if behind else "",
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


def _say_choices(out: Plain, document: Mapping[str, Any]) -> None:
    """What other criteria would choose, those of one mind together."""
    from mixtura.model.results import title_of

    minds: dict[str, list[str]] = {}
    for name, choice in document["choices"].items():
        if name != document["criterion"]:
            minds.setdefault(f"{choice['family']} with {choice['n_components']}", []).append(
                title_of(name)
            )
    if minds:
        out.say(
            "Others would choose: "
            + "; ".join(f"{choice} by {', '.join(names)}" for choice, names in minds.items())
            + "."
        )


def _say_more_is_open(out: Plain, document: Mapping[str, Any]) -> None:
    """The best number is the largest one tried: a larger one may be better."""
    tried = {row["n_components"] for row in document["candidates"]}
    best = document["best"]["n_components"]
    if len(tried) > 1 and best == max(tried) and not document["interrupted"]:
        out.say(
            f"{best} is the largest number tried; a larger one may be better (--max-components "
            f"{2 * best}).",
            style="yellow",
        )


def _say_errors(out: Plain, errors: Mapping[str, Any]) -> None:
    """The table of standard errors, or why there is none."""
    if "refused" in errors:
        reason = str(errors["refused"]).removeprefix("no standard errors: ")
        out.say(f"\nNo standard errors ({errors['method']}): {reason}", style="yellow")
        return
    rows, percent = errors["parameters"], f"{100 * errors['level']:g} %"
    shown = (
        rows
        if len(rows) <= MOST_ERRORS
        else [row for row in rows if "ariance" not in row["parameter"]]
    )
    title = f"\nStandard errors ({errors['method']}) and {percent} intervals"
    table = grid(
        "component", "parameter", "estimate", "error", f"{percent} from", "to", title=title
    )
    for row in shown:
        numbers = (
            to_the_place_of(row["se"], row[key]) for key in ("estimate", "se", "low", "high")
        )
        table.add_row(str(row["component"]), row["parameter"], *numbers)
    out.print(table)
    if len(shown) < len(rows):
        out.say(f"{len(rows) - len(shown)} variances and covariances are in {ERRORS}.")
    for note in errors["notes"]:
        out.say(note)
