"""mixtura sample: random rows of a saved model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import print_json
from mixtura.cli.exit_codes import DONE, UsageError
from mixtura.cli.options import Force, Json, Output, Seed, Whole
from mixtura.cli.output_path import check_output

if TYPE_CHECKING:
    from mixtura.estimators.model_file import Model

ENDINGS = (".csv", ".parquet")


def run(
    model: Path,
    n: Annotated[int, Whole, Parameter(validator=Number(gte=1))],
    /,
    *,
    component: Annotated[int | None, Whole, Parameter(allow_leading_hyphen=True)] = None,
    seed: Seed = 0,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> int:
    """Draw random rows from a saved model, with its columns and the component of each row.

    The rows are in random order. The component is -1 for rows of the noise, which are uniform in a
    box. Rows of known classes have the class as well.

    Parameters
    ----------
    model
        A model.safetensors that 'mixtura fit' wrote.
    n
        The number of rows.
    component
        Draw from this component alone, counted from 0; -1 is the noise.
    output
        CSV or Parquet file for the rows, by its ending; CSV on stdout by default.
    """
    from mixtura.estimators.model_file import load_model
    from mixtura.inputs.writing import write_columns, write_rows

    if output:
        check_output(output, ENDINGS, force, "random rows")
    loaded = load_model(model)
    columns = _drawn(loaded, n, component, seed)
    if output:
        write_columns(output, columns)
    if json:
        print_json(
            {
                "model": str(model),
                "n_rows": n,
                "component": component,
                "random_state": seed,
                "columns": list(columns),
                "files": [str(output)] if output else [],
                **({} if output else {"rows": {name: list(own) for name, own in columns.items()}}),
            }
        )
    elif not output:
        write_rows(sys.stdout, columns)
    return DONE


def _drawn(loaded: Model, n: int, component: int | None, seed: int) -> dict[str, Any]:
    """The columns of n random rows, with their components and known classes."""
    import numpy as np

    from mixtura.distribution.drawing import checked_component, sample_of
    from mixtura.inputs.parameters import seed_of
    from mixtura.inputs.writing import class_column, free_name

    if component is not None:
        try:
            checked_component(component, loaded.mixture)
        except ValueError as error:
            raise UsageError(str(error).replace("component must", "--component must", 1)) from None
    rng = np.random.default_rng(seed_of(seed))
    rows, labels = sample_of(loaded.mixture, n, rng, component)
    order = rng.permutation(n)
    rows, labels = rows[order], labels[order]
    columns: dict[str, Any] = dict(zip(loaded.feature_names, rows.T, strict=True))
    columns[free_name("component", columns)] = labels
    classes = loaded.metadata.get("classes") or ()
    if classes:
        columns[free_name("class", columns)] = class_column(labels, classes)
    return columns
