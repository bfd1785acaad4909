"""mixtura compare: other methods on the same table."""

from __future__ import annotations

from mixtura.cli.data import read_data
from mixtura.cli.endings import DONE
from mixtura.cli.options import Columns, Json, Seed
from mixtura.console import Plain, grid, notes, print_json


def run(data: str, /, *, columns: Columns = None, seed: Seed = 0, json: Json = False) -> int:
    """Show what K-Means, a Gaussian mixture and DBSCAN make of the same table.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    """
    from mixtura.compare import compare as compare_methods

    out, err = Plain(quiet=json), Plain(stderr=True)
    read = read_data(data, columns, out)
    with notes(err):
        rows = compare_methods(read.X, random_state=seed).rows()
    if json:
        print_json({"source": read.table.source, "n_rows": len(read.X), "columns": read.names, "methods": rows})
    table = grid("", *(str(row["name"]) for row in rows), justify="left")
    for key in list(rows[0])[1:]:
        table.add_row(key.replace("_", " "), *(_cell(row[key]) for row in rows))
    out.print(table)
    return DONE


def _cell(value: object) -> str:
    """A value for a person."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)
