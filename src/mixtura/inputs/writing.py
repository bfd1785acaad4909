"""Writes results to files; no file of the user is overwritten without a warning."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import ArrayLike

from mixtura.base.arrays import Array, Labels
from mixtura.base.errors import MissingExtraError
from mixtura.base.numbering import column_name, row_numbers
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import NOISE_LABEL, labels_of
from mixtura.inputs.tables import ROWS_OF_TEXT


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path that replaces ``path`` in one step on success, and never on failure."""
    target = Path(path)
    if target.exists() and not target.is_file():  # a device or a pipe is written to, never replaced
        yield target
        return
    target = Path(os.path.realpath(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"expected a folder to write {target.name!r} into, but {str(target.parent)!r} does not "
            "exist. Make it first, or choose another path."
        )
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_csv(path: str | os.PathLike[str], columns: Mapping[str, ArrayLike]) -> None:
    """Write columns of equal length as CSV, atomically; numbers read back bit for bit."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        write_rows(stream, columns)


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, ArrayLike]) -> None:
    """Write columns of equal length as Parquet where the path ends so, else as CSV, atomically."""
    if Path(path).suffix.lower() != ".parquet":
        return write_csv(path, columns)
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtraError(
            f"Writing {str(path)!r} needs pyarrow, which is not installed. Run: pip install "
            "'mixtura[parquet]', or write a CSV file."
        ) from None
    with replacing(path) as part:
        parquet.write_table(pa.table({name: pa.array(own) for name, own in columns.items()}), part)
    return None


def free_name(name: str, taken: Collection[str]) -> str:
    """A name for a further column, with underscores after it where columns have it already."""
    while name in taken:
        name += "_"
    return name


def write_rows(stream: TextIO, columns: Mapping[str, ArrayLike]) -> None:
    """Write columns of equal length as CSV to an open stream."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    values = [np.asarray(column) for column in columns.values()]
    numbers = all(column.dtype.kind in "iuf" for column in values)
    for start in range(0, len(values[0]), ROWS_OF_TEXT):
        chunk = [column[start : start + ROWS_OF_TEXT].tolist() for column in values]
        if numbers:  # nothing to quote, and half the time
            stream.writelines(
                f"{line}\n"
                for line in map(
                    ",".join, zip(*(map(repr, column) for column in chunk), strict=True)
                )
            )
        else:
            writer.writerows(zip(*chunk, strict=True))


def membership_columns(probabilities: Array, mixture: Mixture) -> dict[str, np.ndarray]:
    """The columns of memberships.csv: rows from 1, labels as in ``predict``.

    ``probabilities`` are the posteriors of the mixture; those of a noise term come last.
    """
    columns: dict[str, np.ndarray] = {
        "row": np.array(row_numbers(len(probabilities))),
        "label": labels_of(probabilities, mixture),
    }
    columns.update(
        (column_name("probability", k), probabilities[:, k]) for k in range(mixture.n_components)
    )
    if mixture.noise is not None:
        columns["probability_noise"] = probabilities[:, -1]
    columns["uncertainty"] = 1.0 - probabilities.max(axis=1)
    return columns


def class_column(labels: Labels, classes: Sequence[Any]) -> list[Any]:
    """The known class of each label, empty for the noise and further components."""
    return [classes[k] if 0 <= k < len(classes) else "" for k in labels.tolist()]


def cluster_columns(
    probabilities: Array, clusters: Sequence[Sequence[int]]
) -> dict[str, np.ndarray]:
    """The columns of merged clusters: the most probable cluster, and each probability.

    The cluster is -1 where the noise is more probable.
    """
    merged = np.stack([probabilities[:, list(cluster)].sum(axis=1) for cluster in clusters], axis=1)
    noise = probabilities[:, sum(map(len, clusters)) :].max(axis=1, initial=0.0)
    nearest = np.where(noise > merged.max(axis=1), NOISE_LABEL, merged.argmax(axis=1))
    columns: dict[str, np.ndarray] = {"cluster": nearest}
    columns.update(
        (column_name("cluster_probability", g), values) for g, values in enumerate(merged.T)
    )
    return columns


def without_answer(columns: Mapping[str, ArrayLike], probabilities: Array) -> dict[str, Any]:
    """The columns with empty cells, but the row number, where the probabilities are NaN."""
    lost = np.isnan(probabilities).any(axis=1)
    made: dict[str, Any] = {}
    for name, values in columns.items():
        cells = np.array(values, dtype=object)
        if name != "row":
            cells[lost] = ""
        made[name] = cells
    return made


def refuse_to_overwrite(paths: Sequence[Path], force: bool) -> None:
    """Refuse to overwrite results, before any work is done."""
    existing = [str(path) for path in paths if path.is_file()]
    if existing and not force:
        raise FileExistsError(
            f"{', '.join(existing)} would be overwritten, so nothing was done. "
            "Add --force to overwrite, or choose another --output."
        )


@contextmanager
def folder_for_results(path: Path) -> Iterator[None]:
    """Make a writable folder for results, and remove it if it stays empty."""
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(path))
        yield
    finally:
        if made and path.is_dir() and not any(path.iterdir()):
            path.rmdir()
