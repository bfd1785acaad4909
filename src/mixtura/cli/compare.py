"""mixtura compare: K-Means, a mixture, DBSCAN and HDBSCAN on the same table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.calling_off import Call, may_be_called_off, said_about
from mixtura.cli.console import Plain, consoles, grid, notes, print_json, progress_bar
from mixtura.cli.data import Data, in_the_words_of, read_data
from mixtura.cli.endings import UsageError
from mixtura.cli.options import Columns, Force, Json, Output, Quiet, Seed, TimeLimit, family_names
from mixtura.cli.target import named_after
from mixtura.cli.writing import Writer, write_files

if TYPE_CHECKING:
    from mixtura.base.arrays import Labels
    from mixtura.compare.comparison import Comparison

PICTURE, METHODS, LABELS = "comparison.png", "methods.csv", "labels.csv"
FILES = (METHODS, LABELS, PICTURE)
"""What every comparison writes."""

ROWS = {
    "soft": "soft clusters",
    "shape": "shape assumed",
    "seconds": "seconds for one fit",
    "seconds_to_choose": "seconds to choose its settings",
    "needs_k": "K needed",
    "k_chosen_by": "how K was found",
    "n_clusters": "clusters",
    "output": "what comes out",
    "interpretation": "interpretability",
    "unsure_rows": "unsure rows",
    "noise_rows": "noise rows",
    "rows_used": "rows it was run on",
    "silhouette": "silhouette (higher is better)",
    "calinski_harabasz": "Calinski-Harabasz (higher is better)",
    "davies_bouldin": "Davies-Bouldin (lower is better)",
    "truth_ari": "adjusted Rand index with the truth",
    "truth_nmi": "normalised mutual information with it",
    "reason": "why there is nothing",
}
"""The rows of the table that is printed; what no method has is left out."""


def run(
    data: str,
    /,
    *,
    truth: str | None = None,
    components: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    family: str = "VVV",
    columns: Columns = None,
    output: Output = None,
    time_limit: TimeLimit = None,
    force: Force = False,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show what K-Means, a Gaussian mixture, DBSCAN and HDBSCAN make of the same table, and which
    of them suits it.

    All take the same standardised columns, and each chooses its settings by a rule that is told.
    Writes methods.csv, labels.csv and comparison.png. Ctrl-C, SIGTERM or the --time-limit keep the
    methods that are done. The rules are explained in docs/comparing.md.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    truth
        A column of known groups, numbers or text: the methods are measured against it and never see
        it.
    components
        K for K-Means and the mixture; by default each chooses its own up to 10.
    family
        The covariance family of the mixture, such as VVV, or all to choose one by BIC.
    output
        Folder for the results; by default NAME.comparison here.
    """
    from mixtura.compare import compare
    from mixtura.inputs.writing import folder_for_results, refuse_to_overwrite

    families = family_names(family)
    if len(families) != 1 and family.strip().lower() != "all":
        raise UsageError(f"--family must be one family such as VVV, or all, but {family!r} came.")
    folder = output or named_after(data, ".comparison")
    refuse_to_overwrite([folder / name for name in FILES], force)
    out, err, bars = consoles(quiet=quiet, json=json)
    with may_be_called_off(time_limit) as call, folder_for_results(folder), notes(err):
        read = read_data(data, columns, out, truth)
        with progress_bar(bars, "", 4, "methods") as move, in_the_words_of(read):
            begun = iter(range(4))
            found = compare(
                read.X,
                n_components=components,
                mixture_family=families[0] if len(families) == 1 else "all",
                truth=read.truth,
                random_state=seed,
                on_method=lambda name: move(next(begun), name),
            )
        with call.listener.holding_back():
            written = _write(folder, found, read, call)
    interrupted = found.interrupted or len(written) < len(FILES)
    document = (
        _document(found, read, truth, seed)
        | call.told(interrupted)
        | {"files": [str(folder / name) for name in written]}
    )
    _report(out, document)
    if json:
        print_json(document)
    return call.code(interrupted)


def _document(found: Comparison, read: Data, truth: str | None, seed: int) -> dict[str, Any]:
    """Everything that is known about a comparison, as plain values."""
    evidence = asdict(found.evidence)
    agreement = [
        {"first": a, "second": b, "ari": value} for (a, b), value in found.agreement.items()
    ]
    return {
        "source": read.table.source,
        "n_rows": len(read.X),
        "columns": list(read.names),
        "truth": truth,
        "random_state": seed,
        "suits": list(found.suits),
        "sentences": list(found.sentences),
        "methods": found.rows(),
        "agreement": agreement,
        "evidence": {key: value for key, value in evidence.items() if key != "agreement"},
    }


# ---- files ---------------------------------------------------------------------------------------


def _write(folder: Path, found: Comparison, read: Data, call: Call) -> list[str]:
    """The names of the files that were written."""
    from mixtura.base.numbering import row_numbers
    from mixtura.compare.side_by_side import matched_labels
    from mixtura.inputs.writing import write_csv

    rows = found.rows()
    labels = {name: _in_words(own) for name, own in matched_labels(found).items()}
    known = {} if read.truth is None else {"truth": read.truth}
    data: dict[str, Writer] = {
        METHODS: lambda path: write_csv(
            path, {key: [_text(row[key]) for row in rows] for key in rows[0]}
        ),
        LABELS: lambda path: write_csv(path, {"row": row_numbers(len(read.X)), **known, **labels}),
    }
    return write_files(folder, data, {PICTURE: lambda path: _draw(path, found, read)}, call)


def _draw(path: Path, found: Comparison, read: Data) -> None:
    from mixtura.compare.side_by_side import plot_comparison
    from mixtura.plots import save

    save(plot_comparison(found, read.X, columns=read.names), path)


def _in_words(labels: Labels) -> list[str]:
    """Clusters, -1 for noise as scikit-learn has it, and nothing for a row that is not labelled."""
    from mixtura.compare.contenders import NOT_LABELLED

    return ["" if label == NOT_LABELLED else str(label) for label in labels.tolist()]


def _text(value: Any) -> Any:
    """A cell of a file: nothing where there is no value."""
    return "" if value is None else value


# ---- for a person --------------------------------------------------------------------------------


def _report(out: Plain, document: Mapping[str, Any]) -> None:
    """The table, the agreement, and what follows from them."""
    methods = document["methods"]
    table = grid(
        "",
        *(str(row["name"]) for row in methods),
        justify="left",
        title="\nFour methods on the same rows, measured",
    )
    for key, words in ROWS.items():
        if any(row[key] not in (None, "") for row in methods):
            table.add_row(words, *(_cell(row[key]) for row in methods))
    out.print(table)
    _report_agreement(out, methods)
    out.say(f"\n{document['sentences'][0]}", style="bold")
    for sentence in document["sentences"][1:]:
        out.say(sentence)
    if document["interrupted"]:
        out.say(said_about(document), style="yellow")
    out.say(
        "Silhouette, Calinski-Harabasz and Davies-Bouldin favour round clusters, and noise rows "
        "are left out of them."
    )
    out.say("\nWrote " + "\n      ".join(document["files"]))


def _report_agreement(out: Plain, methods: Sequence[Mapping[str, Any]]) -> None:
    """The matrix of adjusted Rand indices."""
    names = [str(row["name"]) for row in methods]
    table = grid("", *names, title="Agreement: adjusted Rand index (1 same, about 0 chance)")
    for row in methods:
        table.add_row(
            str(row["name"]), *(_cell(row[f"agreement_with_{name}"], ".2f") for name in names)
        )
    out.print(table)


def _cell(value: object, digits: str = ".3g") -> str:
    """A value for a person."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return _number(value, digits) if isinstance(value, float) else str(value) or "-"


def _number(value: float, digits: str) -> str:
    """Three digits, and large numbers whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:{digits}}"
