"""The files of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixtura.cli.interruption import Interruption
from mixtura.cli.output_files import Writer, write_files
from mixtura.cli.selection import FitOutcome, chosen_mixture

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.distribution.mixture import Mixture
    from mixtura.inputs.table_data import TableData
    from mixtura.model.selection import Selection
    from mixtura.selection.merging import MergeTree

MEMBERSHIPS, MODEL, CANDIDATES, CRITERIA_TABLE = (
    "memberships.csv",
    "model.safetensors",
    "candidates.csv",
    "criteria.csv",
)
CRITERIA_PICTURE, CLUSTERS, ERRORS, MERGING = (
    "criteria.png",
    "clusters.png",
    "errors.csv",
    "merging.png",
)

RESULT_FILES = (MEMBERSHIPS, MODEL, CANDIDATES, CRITERIA_TABLE, CRITERIA_PICTURE, CLUSTERS)
"""The files of every fit."""

NO_VALUE = "no value in any column; these are the weights of the components"
"""The note of a row in memberships.csv."""

FURTHER_FILES = (ERRORS, MERGING)
"""Files of the analyses that are requested; those of an earlier fit are removed."""


def write_results(
    folder: Path,
    found: FitOutcome,
    read: TableData,
    document: Mapping[str, Any],
    interruption: Interruption,
) -> tuple[list[str], bool]:
    """Write all files; return their names, and whether the fit or its pictures were interrupted.

    Files of an earlier fit that this one does not have are removed.
    """
    from mixtura.inputs.writing import write_csv

    selection = found.selection
    data: dict[str, Writer] = {
        MEMBERSHIPS: lambda path: write_csv(
            path,
            memberships(
                found.probabilities,
                chosen_mixture(selection),
                _clusters(document),
                notes_of_rows(read.X),
                read.classes,
            ),
        ),
        MODEL: lambda path: _save_model(path, selection, read, document),
        CANDIDATES: lambda path: write_csv(path, _by_column(document["candidates"])),
        CRITERIA_TABLE: lambda path: write_csv(path, _by_column(document["criteria"])),
    }
    pictures: dict[str, Writer] = {
        CRITERIA_PICTURE: partial(_save_criteria, selection),
        CLUSTERS: partial(_save_clusters, chosen_mixture(selection), read),
    }
    if document["errors"] and "parameters" in document["errors"]:
        data[ERRORS] = lambda path: write_csv(path, _by_column(document["errors"]["parameters"]))
    if found.tree is not None:
        pictures[MERGING] = partial(_save_merging, found.tree, document["merging"]["n_clusters"])
    for name in set(FURTHER_FILES) - set(data) - set(pictures):
        (folder / name).unlink(missing_ok=True)
    written = write_files(folder, data, pictures, interruption)
    return written, document["interrupted"] or len(written) < len(data) + len(pictures)


def _by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A table by columns."""
    return {key: [row[key] for row in rows] for key in rows[0]}


def _save_model(
    path: Path, selection: Selection, read: TableData, document: Mapping[str, Any]
) -> None:
    """Write the mixture, how it was found, and its merged clusters."""
    from mixtura.estimators.model_file import jsonable, save_model

    said = (
        "source",
        "n_rows",
        "criterion",
        "settings",
        "random_state",
        "interrupted",
        "best",
        "classes",
    )
    metadata = {key: document[key] for key in said} | {"clusters": _clusters(document)}
    save_model(
        path,
        chosen_mixture(selection),
        family=selection.best.family,
        feature_names=read.names,
        metadata=jsonable(metadata),
    )


def _save_criteria(selection: Selection, path: Path) -> None:
    from mixtura.plots import plot_criteria, save

    save(plot_criteria(selection), path)


def _save_clusters(mixture: Mixture, read: TableData, path: Path) -> None:
    from mixtura.plots import plot_mixture, save

    save(plot_mixture(mixture, read.X, columns=read.names), path)


def _save_merging(tree: MergeTree, n_clusters: int, path: Path) -> None:
    from mixtura.plots import plot_merging, save

    save(plot_merging(tree, n_clusters), path)


def _clusters(document: Mapping[str, Any]) -> list[list[int]] | None:
    """The components of each merged cluster, where --merge was given."""
    return document["merging"]["clusters"] if document["merging"] else None


def memberships(
    probabilities: Array,
    mixture: Mixture,
    clusters: Sequence[Sequence[int]] | None,
    notes: Sequence[str] = (),
    classes: Sequence[Any] = (),
) -> dict[str, Any]:
    """The columns of memberships.csv, those of known classes and merged clusters last.

    The class of a row is that of its most probable component; further components have none.
    Rows that have a note get it in a column of its own. A row of NaN has no answer: its cells are
    empty.
    """
    from mixtura.inputs.writing import (
        class_column,
        cluster_columns,
        membership_columns,
        without_answer,
    )

    columns: dict[str, Any] = dict(membership_columns(probabilities, mixture))
    if classes:
        columns["class"] = class_column(columns["label"], classes)
    if clusters:
        columns |= cluster_columns(probabilities, clusters)
    if any(notes):
        columns = without_answer(columns, probabilities) | {"note": list(notes)}
    return columns


def notes_of_rows(X: Array, reasons: Sequence[str] = ()) -> list[str]:
    """The reason why a row has no answer, or a note that it has no value; else an empty text."""
    empty = (X != X).all(axis=1).tolist()
    return [
        reason or (NO_VALUE if none else "")
        for reason, none in zip(reasons or [""] * len(X), empty, strict=True)
    ]
