"""What a command of regression predicts: the inputs of all rows, and the mixture that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixtura.cli.console import PlainConsole
from mixtura.cli.data import IN_THE_NOTES, say_unanswered, say_what_is_used
from mixtura.cli.exit_codes import UsageError
from mixtura.cli.formatting import counted, title
from mixtura.cli.interruption import Interruption
from mixtura.cli.reading_options import WeightOptions
from mixtura.cli.selection import chosen_mixture, select
from mixtura.cli.selection_options import SelectionOptions

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.distribution.mixture import Mixture
    from mixtura.estimators.model_file import Model
    from mixtura.inputs.table_data import TableData
    from mixtura.model.regression import Regression


@dataclass(frozen=True, eq=False)
class Prediction:
    """Rows to be predicted, and by what.

    Attributes
    ----------
    mixture : Mixture
        Of the inputs, and then the targets, with their names.
    family : str
        Of the joint mixture, as it was fitted.
    n_targets : int
    X : (n,d)
        Inputs of all rows; NaN is missing.
    reasons : n str
        Why a row has no answer; empty where it has one.
    known : dict
        What is known of the model and of the table.
    interrupted : bool
        Whether the fit was.
    """

    mixture: Mixture
    family: str
    n_targets: int
    X: Array
    reasons: Sequence[str]
    known: Mapping[str, Any]
    interrupted: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return (self.mixture.columns or ())[: -self.n_targets]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return (self.mixture.columns or ())[-self.n_targets :]

    @property
    def regression(self) -> Regression:
        """The targets at rows of the inputs."""
        from mixtura.model.regression import Regression

        return Regression(self.mixture.without_noise, self.n_targets)

    @property
    def document(self) -> dict[str, Any]:
        """The prediction as plain values, without the predictions."""
        return {
            **self.known,
            "inputs": list(self.inputs),
            "targets": list(self.targets),
            "family": self.family,
            "n_components": self.mixture.n_components,
            "n_rows": len(self.X),
            "n_answered": len(self.X) - sum(map(bool, self.reasons)),
        }

    def save(self, path: Path) -> None:
        """Write the joint mixture as a model file."""
        from mixtura.estimators.model_file import jsonable, save_model

        save_model(
            path,
            self.mixture,
            family=self.family,
            feature_names=self.mixture.columns or (),
            metadata=jsonable(self.document),
        )


# ---- by a fit ------------------------------------------------------------------------------------


def by_fit(
    data: str,
    targets: Sequence[str],
    reading: WeightOptions,
    options: SelectionOptions,
    consoles: tuple[PlainConsole, PlainConsole, PlainConsole],
    interruption: Interruption,
) -> Prediction:
    """All rows of a table, by a mixture that is fitted to those of which a target is known.

    The consoles are for what is said, for notes and for progress.
    """
    from mixtura.inputs.reading import read_table
    from mixtura.inputs.table_data import table_data

    said, err, bars = consoles
    table = read_table(data, reading.reading, keep=tuple(reading.special.values()))
    Y, _, _ = table.numeric(targets)
    read = table_data(
        table.without(*targets),
        reading.chosen,
        drop=reading.dropped,
        booleans=reading.booleans,
        weights=reading.weights,
        empty_rows="the answer for them is the distribution of the targets over all rows",
    )
    say_what_is_used(read, said, err)
    joint = _with_targets(read, Y, targets)
    selection, cut = select(
        options.settings(), joint, bars, options.n_candidates(len(joint.names)), interruption
    )
    known = read.document() | {
        "model": None,
        "criterion": selection.criterion,
        "random_state": options.seed,
        "n_fitted": len(joint.X),
    }
    mixture = replace(chosen_mixture(selection), columns=joint.names)
    best, none = selection.best, [""] * len(read.X)
    found = Prediction(mixture, best.family, len(targets), read.X, none, known, cut)
    r2 = dict(zip(targets, _explained(found.regression, joint), strict=True))
    said.say(
        f"{', '.join(targets)} given {', '.join(read.names)}: "
        f"{title({'family': best.family, 'n_components': best.n_components})}, fitted to "
        f"{counted(len(joint.X), 'row')}; R2 of these rows "
        + ", ".join(f"{value:.3f}" for value in r2.values())
    )
    return replace(found, known=known | {"r2": r2})


def _with_targets(read: TableData, Y: Array, targets: Sequence[str]) -> TableData:
    """Inputs and targets of the rows of which a target is known."""
    import numpy as np

    from mixtura.base.errors import DataError
    from mixtura.inputs.table_data import TableData

    known = ~np.isnan(Y).all(axis=1)
    if read.weights is not None:
        known &= read.weights > 0
    for name, values in zip(targets, Y[known].T, strict=True):
        some = values[~np.isnan(values)]
        if len(np.unique(some)) < 2:
            came = "the same value in every row" if len(some) else "none"
            raise DataError(
                f"{read.table.source}: expected different values of the target {name!r}, but there "
                f"is {came}. Choose another --target."
            )
    return TableData(
        read.table,
        np.column_stack([read.X, Y])[known],
        (*read.names, *targets),
        read.left_out,
        read.rows[known],
        weights=None if read.weights is None else read.weights[known],
    )


def _explained(regression: Regression, joint: TableData) -> list[float]:
    """R squared of each target, over the rows of the fit."""
    import numpy as np

    from mixtura.model.regression import means_of

    d = regression.n_inputs
    (predicted,) = regression.summaries(joint.X[:, :d], [means_of])
    found = []
    for values, mean in zip(joint.X[:, d:].T, predicted.T, strict=True):
        known = ~np.isnan(values)
        weights = np.ones(len(values)) if joint.weights is None else joint.weights
        w, y = weights[known], values[known]
        total = w @ (y - np.average(y, weights=w)) ** 2
        found.append(float(1.0 - w @ (y - mean[known]) ** 2 / total))
    return found


# ---- by a model ----------------------------------------------------------------------------------


def by_model(
    data: str,
    targets: Sequence[str],
    reading: WeightOptions,
    path: Path,
    said: PlainConsole,
    err: PlainConsole,
) -> Prediction:
    """All rows of a table that can be read, by the mixture of a file."""
    from mixtura.base.errors import DataError
    from mixtura.estimators.model_file import load_model
    from mixtura.inputs.reading import read_table

    model = load_model(path)
    inputs = _inputs_of(model, targets, reading, path)
    table = read_table(data, reading.reading, keep=inputs)
    try:
        X, reasons = table.answerable(inputs)
    except DataError as error:
        raise DataError(
            f"{error} The inputs of the model are {', '.join(map(repr, inputs))}; --columns or "
            "--drop take some of them."
        ) from None
    say_unanswered(err, reasons, IN_THE_NOTES)
    for line in table.said:
        err.say(line)
    whole = replace(model.mixture, columns=model.feature_names)
    mixture = whole.marginal([*inputs, *targets])
    said.say(
        f"{', '.join(targets)} given {', '.join(inputs)}: {model.family} with "
        f"{counted(mixture.n_components, 'component')}, from {path}"
    )
    known = {"source": table.source, "model": str(path)}
    return Prediction(mixture, model.family, len(targets), X, reasons, known)


def _inputs_of(
    model: Model, targets: Sequence[str], reading: WeightOptions, path: Path
) -> list[str]:
    """The columns of a model that predict: all but the targets, or those that were chosen."""
    from mixtura.distribution.columns import column_numbers

    names = model.feature_names
    column_numbers([*targets, *(reading.chosen or ())], names, len(names))  # refuses unknown ones
    wanted = [name for name in reading.chosen or names if name not in targets]
    inputs = [name for name in wanted if name not in reading.dropped]
    if not inputs:
        raise UsageError(
            f"{path}: no column of the model is left to predict from. Its columns are "
            f"{', '.join(map(repr, names))}; name fewer of them in --target or --drop."
        )
    return inputs
