"""mixtura regress: some columns of a table predicted from the others, by a mixture of all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mixtura.base.numbering import row_numbers
from mixtura.cli.console import PlainConsole, consoles, notes, print_json
from mixtura.cli.exit_codes import UsageError
from mixtura.cli.interruption import interruptible_command, interruption_sentence
from mixtura.cli.options import FileToWrite, Force, Json, Output, Quiet, TimeLimit, quantile_levels
from mixtura.cli.reading_options import NO_WEIGHTS, WeightOptions, refuse_twice
from mixtura.cli.regressions import Prediction, by_fit, by_model
from mixtura.cli.selection_options import REGRESSION, RegressionOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_INPUT = "no value in any input; this is the distribution of the target over all rows"
"""The note of a row that is predicted without inputs."""

Targets = Annotated[
    tuple[str, ...], Parameter(consume_multiple=False, negative=(), show_default=False)
]


def run(
    data: str,
    /,
    *,
    target: Targets,
    model: Path | None = None,
    quantiles: str = "0.05,0.95",
    reading: WeightOptions = NO_WEIGHTS,
    options: RegressionOptions = REGRESSION,
    save_model: FileToWrite = None,
    output: Output = None,
    time_limit: TimeLimit = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Predict columns of a table from its other columns: mean, spread and quantiles for each row.

    A mixture of inputs and targets together is fitted to the rows whose target is known, and every
    row is predicted, also the others: the target given the inputs that the row has. With --model
    the mixture is one that 'mixtura fit' or --save-model wrote. Explained in docs/regression.md.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    target
        The column to predict; may be given several times.
    model
        A model.safetensors with the targets among its columns; nothing is fitted.
    quantiles
        Probabilities of the quantiles to write, separated by commas.
    save_model
        Keep the mixture in this file, for --model and for 'mixtura condition'.
    output
        CSV file for the predictions; stdout by default.
    """
    from mixtura.inputs.writing import write_csv, write_rows

    levels = quantile_levels(quantiles)
    _check_targets(target, reading)
    if model is None:
        options.check()
    else:
        _refuse_options_of_a_fit(reading, options, save_model)
    files = {"--output": output, "--save-model": save_model}
    _check_files({option: path for option, path in files.items() if path}, force)
    _, err, bars = consoles(quiet=quiet, json=json)
    said = PlainConsole(stderr=True, quiet=quiet)
    with interruptible_command(time_limit) as interruption, notes(err):
        if model is None:
            task = by_fit(data, target, reading, options, (said, err, bars), interruption)
        else:
            task = by_model(data, target, reading, model, said, err)
        with interruption.handler.deferring():
            columns = _columns(task, levels)
            if save_model:
                task.save(save_model)
            if output:
                write_csv(output, columns)
    document = task.document | {"quantiles": levels, **interruption.fields(task.interrupted)}
    if task.interrupted:
        err.say(interruption_sentence(document), style="yellow")
    if json:
        print_json(document | {name: _without_empty(values) for name, values in columns.items()})
    elif not output:
        write_rows(sys.stdout, columns)
    return interruption.exit_code(task.interrupted)


# ---- what is asked -------------------------------------------------------------------------------


def _check_targets(targets: Sequence[str], reading: WeightOptions) -> None:
    """Refuse a target that is named twice, or has another use."""
    if not targets:
        raise UsageError("--target must name the column to predict, such as --target price.")
    for name in targets:
        refuse_twice({**reading.special, "--target": name}, reading.chosen)
        if name in reading.dropped:
            raise UsageError(
                f"--target and --drop both name {name!r}; a target is no input anyway. Leave it "
                "out of --drop."
            )
    if len(set(targets)) < len(targets):
        raise UsageError("--target names the same column twice; name each one once.")


def _check_files(files: Mapping[str, Path], force: bool) -> None:
    """Refuse files that cannot be written, before anything is fitted."""
    from mixtura.inputs.writing import refuse_to_overwrite

    for option, path in files.items():
        if path.is_dir():
            raise UsageError(f"{option} must be a file, but {str(path)!r} is a folder.")
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"{path}: its folder {str(path.parent)!r} does not exist. Make it first, or choose "
                f"another {option}."
            )
    refuse_to_overwrite(list(files.values()), force)


def _refuse_options_of_a_fit(
    reading: WeightOptions, options: RegressionOptions, save_model: Path | None
) -> None:
    """With a model nothing is fitted, so options of a fit are a mistake."""
    given = {
        "--weights": reading.weights,
        "--save-model": save_model,
        "options of the candidates": options != REGRESSION or None,
    }
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise UsageError(
            f"--model has a mixture already, so nothing is fitted, but {' and '.join(wrong)} came "
            "with it. Leave them out, or leave --model out."
        )


# ---- the answer ----------------------------------------------------------------------------------


def _columns(task: Prediction, levels: Mapping[str, float]) -> dict[str, Any]:
    """The columns of the result: for each target its mean, standard deviation and quantiles."""
    import numpy as np

    from mixtura.inputs.writing import without_answer
    from mixtura.model.regression import deviations_of, means_of, quantiles_at

    summaries = [means_of, deviations_of, quantiles_at(np.array(list(levels.values())))]
    means, deviations, quantiles = task.regression.summaries(task.X, summaries)
    columns: dict[str, Any] = {"row": np.array(row_numbers(len(task.X)))}
    for j, name in enumerate(task.targets):
        columns[name] = means[:, j]
        columns[f"{name}_std"] = deviations[:, j]
        columns |= {f"{name}_{own}": quantiles[:, j, q] for q, own in enumerate(levels)}
    empty: Any = np.isnan(task.X).all(axis=1)
    said = [
        reason or (NO_INPUT if none else "")
        for reason, none in zip(task.reasons, empty.tolist(), strict=True)
    ]
    if not any(said):
        return columns
    means = means.copy()
    means[[bool(reason) for reason in task.reasons]] = np.nan
    return without_answer(columns, means) | {"note": said}


def _without_empty(values: Any) -> Any:
    """A column for JSON: null instead of an empty cell."""
    return [None if value == "" else value for value in list(values)]
