"""mixtura compare: K-Means, a Gaussian mixture, DBSCAN and HDBSCAN on the same table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import PlainConsole, consoles, grid, notes, print_json, progress_bar
from mixtura.cli.data import errors_with_column_names, read_data
from mixtura.cli.exit_codes import UsageError
from mixtura.cli.interruption import Interruption, interruptible_command, interruption_sentence
from mixtura.cli.options import Force, Json, Output, Quiet, Seed, TimeLimit, Whole, family_names
from mixtura.cli.output_files import Writer, write_files
from mixtura.cli.output_path import default_output
from mixtura.cli.reading_options import ALL_COLUMNS, ReadingOptions

if TYPE_CHECKING:
    from mixtura.base.arrays import Labels
    from mixtura.compare.comparison import Comparison
    from mixtura.inputs.table_data import TableData

PICTURE, METHODS, LABELS = "comparison.png", "methods.csv", "labels.csv"
FILES = (METHODS, LABELS, PICTURE)
"""The files of every comparison."""

COMPLETE = "K-Means, DBSCAN and HDBSCAN need every value, and all methods get the same rows"
"""Why rows with missing values are left out."""

ROWS = {
    "soft": "soft clusters",
    "shape": "shape assumed",
    "seconds": "seconds for one fit",
    "seconds_to_choose": "seconds to choose its settings",
    "needs_k": "K needed",
    "k_chosen_by": "how K was found",
    "n_clusters": "clusters",
    "output": "output",
    "interpretation": "interpretability",
    "unsure_rows": "unsure rows",
    "noise_rows": "noise rows",
    "rows_used": "rows used",
    "silhouette": "silhouette (higher is better)",
    "calinski_harabasz": "Calinski-Harabasz (higher is better)",
    "davies_bouldin": "Davies-Bouldin (lower is better)",
    "truth_ari": "adjusted Rand index with the truth",
    "truth_nmi": "normalised mutual information with the truth",
    "reason": "reason for no result",
}
"""The rows of the printed table by field; a row without any value is left out."""


def run(
    data: str,
    /,
    *,
    truth: str | None = None,
    components: Annotated[int | None, Whole, Parameter(validator=Number(gte=1))] = None,
    family: str = "VVV",
    reading: ReadingOptions = ALL_COLUMNS,
    output: Output = None,
    time_limit: TimeLimit = None,
    force: Force = False,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compare K-Means, a Gaussian mixture, DBSCAN and HDBSCAN on the same table, and say which of
    them suits it.

    All methods use the same standardised columns, and each chooses its settings by a fixed rule.
    Writes methods.csv, labels.csv and comparison.png. Ctrl-C, SIGTERM and --time-limit keep the
    methods that are done. The rules are explained in docs/comparing.md.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    truth
        A column of known groups, numbers or text. The methods are measured against it, but do not
        use it.
    components
        K for K-Means and the mixture; by default each chooses its K up to 10.
    family
        The covariance family of the mixture, such as VVV; all chooses the family by BIC.
    output
        Folder for the results; by default NAME.comparison in the current folder.
    """
    from mixtura.compare import compare
    from mixtura.inputs.writing import folder_for_results, refuse_to_overwrite

    families = family_names(family)
    if len(families) != 1 and family.strip().lower() != "all":
        raise UsageError(f"--family must be one family such as VVV, or all, but got {family!r}.")
    folder = output or default_output(data, ".comparison")
    refuse_to_overwrite([folder / name for name in FILES], force)
    out, err, bars = consoles(quiet=quiet, json=json)
    with interruptible_command(time_limit) as interruption, folder_for_results(folder), notes(err):
        read = read_data(data, reading, out, err, truth=truth, complete_for=COMPLETE)
        with progress_bar(bars, "", 4, "methods") as progress, errors_with_column_names(read):
            begun = iter(range(4))
            found = compare(
                read.X,
                n_components=components,
                mixture_family=families[0] if len(families) == 1 else "all",
                truth=read.truth,
                random_state=seed,
                on_method=lambda name: progress(next(begun), name),
            )
        with interruption.handler.deferring():
            written = _write(folder, found, read, interruption)
    interrupted = found.interrupted or len(written) < len(FILES)
    document = (
        _document(found, read, truth, seed)
        | interruption.fields(interrupted)
        | {"files": [str(folder / name) for name in written]}
    )
    _report(out, document)
    if json:
        print_json(document)
    return interruption.exit_code(interrupted)


def _document(found: Comparison, read: TableData, truth: str | None, seed: int) -> dict[str, Any]:
    """A comparison as plain values, for JSON and for the printed table."""
    evidence = asdict(found.evidence)
    agreement = [
        {"first": a, "second": b, "ari": value} for (a, b), value in found.agreement.items()
    ]
    return {
        **read.document(),
        "truth": truth,
        "random_state": seed,
        "suits": list(found.suits),
        "sentences": list(found.sentences),
        "methods": found.rows(),
        "agreement": agreement,
        "evidence": {key: value for key, value in evidence.items() if key != "agreement"},
    }


# ---- files ---------------------------------------------------------------------------------------


def _write(
    folder: Path, found: Comparison, read: TableData, interruption: Interruption
) -> list[str]:
    """The names of the files that were written."""
    from mixtura.base.numbering import row_number
    from mixtura.compare.side_by_side import matched_labels
    from mixtura.inputs.writing import write_csv

    rows = found.rows()
    labels = {name: _label_texts(own) for name, own in matched_labels(found).items()}
    numbers = [row_number(row) for row in read.rows]
    known = {} if read.truth is None else {"truth": read.truth}
    data: dict[str, Writer] = {
        METHODS: lambda path: write_csv(
            path, {key: [_text(row[key]) for row in rows] for key in rows[0]}
        ),
        LABELS: lambda path: write_csv(path, {"row": numbers, **known, **labels}),
    }
    return write_files(folder, data, {PICTURE: lambda path: _draw(path, found, read)}, interruption)


def _draw(path: Path, found: Comparison, read: TableData) -> None:
    from mixtura.compare.side_by_side import plot_comparison
    from mixtura.plots import save

    save(plot_comparison(found, read.X, columns=read.names), path)


def _label_texts(labels: Labels) -> list[str]:
    """Clusters, -1 for noise as in scikit-learn, and an empty text for rows without a label."""
    from mixtura.compare.contenders import NOT_LABELLED

    return ["" if label == NOT_LABELLED else str(label) for label in labels.tolist()]


def _text(value: Any) -> Any:
    """A cell of a file, empty where there is no value."""
    return "" if value is None else value


# ---- printed output ------------------------------------------------------------------------------


def _report(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Print the table, the agreement and the conclusions."""
    methods = document["methods"]
    table = grid(
        "",
        *(str(row["name"]) for row in methods),
        justify="left",
        title="\nFour methods on the same rows",
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
        out.say(interruption_sentence(document), style="yellow")
    out.say(
        "Silhouette, Calinski-Harabasz and Davies-Bouldin favour round clusters and leave noise "
        "rows out."
    )
    out.say("\nWrote " + "\n      ".join(document["files"]))


def _report_agreement(out: PlainConsole, methods: Sequence[Mapping[str, Any]]) -> None:
    """The matrix of adjusted Rand indices."""
    names = [str(row["name"]) for row in methods]
    table = grid("", *names, title="Agreement: adjusted Rand index (1 identical, about 0 chance)")
    for row in methods:
        table.add_row(
            str(row["name"]), *(_cell(row[f"agreement_with_{name}"], ".2f") for name in names)
        )
    out.print(table)


def _cell(value: object, digits: str = ".3g") -> str:
    """A value as text."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return _number(value, digits) if isinstance(value, float) else str(value) or "-"


def _number(value: float, digits: str) -> str:
    """Three digits; large numbers without decimals."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:{digits}}"
