"""mixtura predict: memberships of the rows of a table in the components of a saved model."""

from __future__ import annotations

import sys
from pathlib import Path

from mixtura.cli.console import print_json
from mixtura.cli.exit_codes import DONE
from mixtura.cli.options import Force, Json, Output
from mixtura.cli.result_files import memberships


def run(
    model: Path, data: str, /, *, output: Output = None, force: Force = False, json: Json = False
) -> int:
    """Assign the rows of a table to the components of a saved model, and to its merged clusters.

    Columns are matched by name: their order does not matter, and other columns are ignored.

    Parameters
    ----------
    model
        A model.safetensors that 'mixtura fit' wrote.
    data
        CSV or Parquet file with a header; - reads standard input.
    output
        CSV file for the memberships; stdout by default.
    """
    from mixtura.base.errors import DataError
    from mixtura.estimators.model_file import load_model
    from mixtura.inputs.reading import read_table
    from mixtura.inputs.writing import refuse_to_overwrite, write_csv, write_rows

    refuse_to_overwrite([output] if output else [], force)
    loaded = load_model(model)
    table = read_table(data)
    try:
        X, _, _ = table.numeric(loaded.feature_names)
    except DataError as error:
        raise DataError(
            f"{error} The model needs the columns {', '.join(map(repr, loaded.feature_names))}."
        ) from None
    columns = memberships(loaded.mixture.posterior(X), loaded.mixture, loaded.clusters)
    if output:
        write_csv(output, columns)
    if json:
        print_json(
            {
                "source": table.source,
                "model": str(model),
                "n_rows": len(X),
                "family": loaded.family,
                **columns,
            }
        )
    elif not output:
        write_rows(sys.stdout, columns)
    return DONE
