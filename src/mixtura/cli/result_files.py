"""The files of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixtura.cli.calling_off import Call
from mixtura.cli.data import Data
from mixtura.cli.selecting import Found, winner
from mixtura.cli.writing import Writer, write_files

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.model.mixture import Mixture
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
"""What every fit writes."""

FURTHER_FILES = (ERRORS, MERGING)
"""What a fit writes when it is asked to. Of an earlier fit they do not stay beside the results of a
later one.
"""


def write_results(
    folder: Path, found: Found, read: Data, document: Mapping[str, Any], call: Call
) -> tuple[list[str], bool]:
    """The names of all files that were written, and whether the fit or its pictures were cut short.

    Files of an earlier fit that this one does not have are taken away.
    """
    from mixtura.inputs.writing import write_csv

    selection = found.selection
    data: dict[str, Writer] = {
        MEMBERSHIPS: lambda path: write_csv(
            path, memberships(found.probabilities, _clusters(document))
        ),
        MODEL: lambda path: _save_model(path, selection, read, document),
        CANDIDATES: lambda path: write_csv(path, _by_column(document["candidates"])),
        CRITERIA_TABLE: lambda path: write_csv(path, _by_column(document["criteria"])),
    }
    pictures: dict[str, Writer] = {
        CRITERIA_PICTURE: partial(_save_criteria, selection),
        CLUSTERS: partial(_save_clusters, winner(selection), read),
    }
    if document["errors"] and "parameters" in document["errors"]:
        data[ERRORS] = lambda path: write_csv(path, _by_column(document["errors"]["parameters"]))
    if found.tree is not None:
        pictures[MERGING] = partial(_save_merging, found.tree, document["merging"]["n_clusters"])
    for name in set(FURTHER_FILES) - set(data) - set(pictures):
        (folder / name).unlink(missing_ok=True)
    written = write_files(folder, data, pictures, call)
    return written, document["interrupted"] or len(written) < len(data) + len(pictures)


def _by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A table by columns."""
    return {key: [row[key] for row in rows] for key in rows[0]}


def _save_model(path: Path, selection: Selection, read: Data, document: Mapping[str, Any]) -> None:
    """The mixture, and how it was found; with the clusters that its components make."""
    from mixtura.estimators.model_file import jsonable, save_model

    said = ("source", "n_rows", "criterion", "settings", "random_state", "interrupted", "best")
    metadata = {key: document[key] for key in said} | {"clusters": _clusters(document)}
    save_model(
        path,
        winner(selection),
        family=selection.best.family,
        feature_names=read.names,
        metadata=jsonable(metadata),
    )


def _save_criteria(selection: Selection, path: Path) -> None:
    from mixtura.plots import plot_criteria, save

    save(plot_criteria(selection), path)


def _save_clusters(mixture: Mixture, read: Data, path: Path) -> None:
    from mixtura.plots import plot_mixture, save

    save(plot_mixture(mixture, read.X, columns=read.names), path)


def _save_merging(tree: MergeTree, n_clusters: int, path: Path) -> None:
    from mixtura.plots import plot_merging, save

    save(plot_merging(tree, n_clusters), path)


def _clusters(document: Mapping[str, Any]) -> list[list[int]] | None:
    """The components of each cluster, where they were merged."""
    return document["merging"]["clusters"] if document["merging"] else None


def memberships(probabilities: Array, clusters: Sequence[Sequence[int]] | None) -> dict[str, Any]:
    """The columns of memberships.csv; those of merged clusters come last."""
    from mixtura.inputs.writing import cluster_columns, membership_columns

    return membership_columns(probabilities) | (
        cluster_columns(probabilities, clusters) if clusters else {}
    )
