"""mixtura predict: memberships of the rows of a table in the components of a saved model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mixtura.cli.console import PlainConsole, print_json
from mixtura.cli.data import IN_THE_NOTES, say_unanswered
from mixtura.cli.exit_codes import DONE
from mixtura.cli.options import Force, Json, Output
from mixtura.cli.reading_options import USUAL_FORMAT, FormatOptions
from mixtura.cli.result_files import memberships, notes_of_rows


def run(
    model: Path,
    data: str,
    /,
    *,
    reading: FormatOptions = USUAL_FORMAT,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> int:
    """Assign the rows of a table to the components of a saved model, and to its merged clusters.

    Columns are matched by name: their order does not matter, and other columns are ignored. A row
    with missing values is assigned by the values it has. A row that cannot be read has empty cells,
    and the reason in the column note.

    Parameters
    ----------
    model
        A model.safetensors that 'mixtura fit' wrote.
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    output
        CSV file for the memberships; stdout by default.
    """
    import numpy as np

    from mixtura.base.errors import DataError
    from mixtura.estimators.model_file import load_model
    from mixtura.inputs.reading import read_table
    from mixtura.inputs.writing import refuse_to_overwrite, write_csv, write_rows

    refuse_to_overwrite([output] if output else [], force)
    loaded = load_model(model)
    table = read_table(data, reading.reading, keep=loaded.feature_names)
    try:
        X, reasons = table.answerable(loaded.feature_names)
    except DataError as error:
        raise DataError(
            f"{error} The model needs the columns {', '.join(map(repr, loaded.feature_names))}."
        ) from None
    err = PlainConsole(stderr=True)
    say_unanswered(err, reasons, IN_THE_NOTES)
    for line in table.said:
        err.say(line)
    probabilities = loaded.mixture.posterior(X)
    probabilities[[bool(reason) for reason in reasons]] = np.nan
    columns = memberships(
        probabilities,
        loaded.mixture,
        loaded.clusters,
        notes_of_rows(X, reasons),
        loaded.metadata.get("classes") or (),
    )
    if output:
        write_csv(output, columns)
    if json:
        print_json(
            {
                "source": table.source,
                "model": str(model),
                "n_rows": len(X),
                "n_answered": len(X) - sum(map(bool, reasons)),
                "family": loaded.family,
                **{name: _without_empty(values) for name, values in columns.items()},
            }
        )
    elif not output:
        write_rows(sys.stdout, columns)
    return DONE


def _without_empty(values: Any) -> Any:
    """A column for JSON: null instead of an empty cell."""
    return [None if value == "" else value for value in list(values)]
