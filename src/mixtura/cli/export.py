"""mixtura export: a saved model in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mixtura.cli.console import consoles, notes
from mixtura.cli.exit_codes import DONE, UsageError
from mixtura.cli.options import Force, Output, Quiet
from mixtura.cli.output_path import check_output, default_output, written_atomically

if TYPE_CHECKING:
    from mixtura.exports.described import DescribedMixture

ExportFormat = Literal["onnx", "json", "python", "sql"]

ENDINGS: dict[ExportFormat, str] = {
    "onnx": ".onnx",
    "json": ".json",
    "python": ".py",
    "sql": ".sql",
}


def run(
    model: Path,
    /,
    *,
    output: Output = None,
    format: ExportFormat | None = None,
    precision: Annotated[
        Literal["float32", "float64"] | None,
        Parameter(help="Of the rows that an ONNX model takes; float32 by default."),
    ] = None,
    table: Annotated[
        str | None,
        Parameter(help="The table that SQL reads, perhaps with its schema before a point; data."),
    ] = None,
    dialect: Annotated[
        Literal["sqlite", "duckdb", "postgresql", "mysql"] | None,
        Parameter(help="The database that the SQL is for; mysql is also MariaDB."),
    ] = None,
    keep: Annotated[
        str | None,
        Parameter(
            help="Columns that the result of the SQL has first, separated by commas; by default "
            "those of the model."
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Write a saved model for another program: ONNX, JSON, Python or SQL.

    All but JSON score rows: the label, the probability of each component, and the log density.
    JSON holds the parameters. See docs/exports.md.

    Parameters
    ----------
    model
        A model.safetensors that 'mixtura fit' wrote.
    output
        The file, which ends in .onnx, .json, .py or .sql; by default NAME.onnx and so on in the
        current folder.
    format
        onnx, json, python or sql; by default what --output ends in.
    """
    from mixtura.estimators.model_file import load_model

    kind = _format(format, output)
    for option, value, own in (
        ("--precision", precision, "onnx"),
        ("--table", table, "sql"),
        ("--dialect", dialect, "sql"),
        ("--keep", keep, "sql"),
    ):
        if value is not None and kind != own:
            raise UsageError(f"{option} is for {own}, but the format is {kind}; leave it out.")
    if kind == "sql" and dialect is None:
        raise UsageError(
            "databases differ, so sql needs --dialect sqlite, duckdb, postgresql or mysql."
        )
    target = output or default_output(str(model), ENDINGS[kind])
    check_output(target, (ENDINGS[kind],), force, kind)
    out, err, _ = consoles(quiet=quiet)
    loaded = load_model(model)
    with written_atomically(target) as part, notes(err):
        part.write_bytes(
            _contents(
                kind,
                loaded.described,
                precision or "float32",
                table or "data",
                dialect or "sqlite",
                None if keep is None else [name.strip() for name in keep.split(",")],
            )
        )
        if loaded.clusters is not None:
            err.say(
                "note: the merged clusters of this model are not part of the file, which has the "
                "components.",
                style="yellow",
            )
    out.say(f"{loaded.described.title}\nWrote {target}")
    return DONE


def _format(format: ExportFormat | None, output: Path | None) -> ExportFormat:
    """The requested format, or that of the ending of the file."""
    if format is not None:
        return format
    found: list[ExportFormat] = [
        kind
        for kind, ending in ENDINGS.items()
        if output is not None and output.suffix.lower() == ending
    ]
    if not found:
        raise UsageError(
            f"the format is not clear: give an --output that ends in "
            f"{', '.join(ENDINGS.values())}, or a --format of {', '.join(ENDINGS)}."
        )
    return found[0]


def _contents(
    kind: ExportFormat,
    described: DescribedMixture,
    precision: Literal["float32", "float64"],
    table: str,
    dialect: Literal["sqlite", "duckdb", "postgresql", "mysql"],
    keep: list[str] | None,
) -> bytes:
    """The bytes of the file."""
    if kind == "onnx":
        from mixtura.exports.onnx_model import onnx_model

        return bytes(onnx_model(described, precision).SerializeToString())
    if kind == "json":
        from mixtura.exports.json_text import json_text

        return json_text(described).encode()
    if kind == "python":
        from mixtura.exports.python_text import python_text

        return python_text(described).encode()
    from mixtura.exports.sql_text import sql_text

    return sql_text(described, table, dialect=dialect, keep=keep).encode()
