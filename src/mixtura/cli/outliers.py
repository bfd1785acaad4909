"""mixtura outliers: the rows of a table that a mixture finds unlikely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.base.numbering import (
    capitalised,
    component_name,
    number_of,
    row_number,
    row_numbers,
)
from mixtura.base.postponed import warn_again, with_warnings
from mixtura.cli.console import PlainConsole, consoles, grid, notes, print_json
from mixtura.cli.data import read_data, say_unanswered
from mixtura.cli.exit_codes import DONE, UsageError
from mixtura.cli.formatting import counted, rounded_like
from mixtura.cli.interruption import Interruption, interruptible_command, interruption_sentence
from mixtura.cli.options import Force, Json, Output, Quiet, TimeLimit, Whole
from mixtura.cli.output_path import check_output
from mixtura.cli.reading_options import NO_WEIGHTS, WeightOptions
from mixtura.cli.selection import chosen_mixture, select
from mixtura.cli.selection_options import USUAL_OUTLIERS, OutlierSelection

if TYPE_CHECKING:
    from mixtura.base.arrays import Array, Flags
    from mixtura.distribution.mixture import Mixture
    from mixtura.model.outliers import Judgement

ENDINGS = (".csv", ".parquet")

LISTED, LARGE_RESIDUAL, SMALL_GROUP = 10, 3.0, 0.05
"""Rows that are listed by default; a residual that stands out beside a larger one; the share of a
component that may be a group of outliers.
"""

Share = Annotated[float | None, Parameter(validator=Number(gt=0, lte=0.5))]


@Parameter(name="*")
@dataclass(frozen=True)
class OutlierOptions:
    """The threshold, as typed."""

    contamination: Share = None
    """The share of the rows that are outliers. By default --false-alarm-rate decides."""

    false_alarm_rate: Share = None
    """The probability that a row of the model itself is called an outlier; 0.01 by default."""

    smallest_group: Annotated[float, Parameter(validator=Number(gte=0, lte=0.5))] = 0.0
    """Components with less than this share of the rows are groups of outliers."""

    top: Annotated[int, Whole, Parameter(validator=Number(gte=1))] = LISTED
    """The number of rows that are listed, the least likely first."""

    def check(self) -> None:
        """Refuse two thresholds."""
        if self.contamination is not None and self.false_alarm_rate is not None:
            raise UsageError(
                "--contamination and --false-alarm-rate both set the threshold; give one of them."
            )


USUAL_THRESHOLD = OutlierOptions()
"""The threshold of the model."""


@dataclass(frozen=True, eq=False)
class Rated:
    """The rows of a table, and the mixture that judges them.

    Attributes
    ----------
    source : str
    X : (n,d)
    names : tuple of d str
    mixture : Mixture
        As it was fitted.
    family : str
    weights : (n,), optional
    reasons : list of n str
        Why a row has no answer; empty where it has one.
    """

    source: str
    X: Array
    names: tuple[str, ...]
    mixture: Mixture
    family: str
    weights: Array | None
    reasons: Sequence[str]

    @property
    def answered(self) -> Flags:
        """Which rows (n,) have an answer."""
        import numpy as np

        return np.array([not reason for reason in self.reasons])


def run(
    data: str,
    /,
    *,
    model: Path | None = None,
    reading: WeightOptions = NO_WEIGHTS,
    options: OutlierSelection = USUAL_OUTLIERS,
    threshold: OutlierOptions = USUAL_THRESHOLD,
    output: Output = None,
    time_limit: TimeLimit = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """List the rows of a table that do not belong to any of its groups, and why.

    A mixture is fitted to the table, or --model has one. A noise term, where there is one, keeps
    gross outliers from the components, and is then left out. Rows whose density is below a
    threshold are outliers. The probability of a row is that of a row of the mixture to be no more
    likely. Terms and choices are explained in docs/outliers.md.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    model
        A model.safetensors that 'mixtura fit' wrote, in place of a fit.
    output
        CSV or Parquet file, by its ending, for all rows with their density and probability.
    """
    from mixtura.inputs.writing import write_columns
    from mixtura.model.outliers import USUAL_RATE, judged

    options.check()
    threshold.check()
    terms = options.noise_terms
    if output:
        check_output(output, ENDINGS, force, "the rows")
    out, err, bars = consoles(quiet=quiet, json=json)
    with interruptible_command(time_limit) as interruption, notes(err):
        if model:
            table, interrupted = _by_model(model, data, reading, options, out, err), False
        else:
            asked = (data, reading, options, terms)
            table, interrupted = _by_fit(*asked, (out, err, bars), interruption)
        with interruption.handler.deferring():
            found = judged(
                table.mixture,
                table.X,
                rate=threshold.false_alarm_rate or USUAL_RATE,
                share=threshold.contamination,
                smallest_group=threshold.smallest_group,
                weights=table.weights,
                counted=table.answered,
            )
            document = _document(table, found, threshold)
            document |= {"model": str(model) if model else None, "random_state": options.seed}
            document |= interruption.fields(interrupted)
            if output:
                write_columns(output, _file_columns(table, found))
                document["files"] = [str(output)]
    _report(out, document)
    if json:
        print_json(document)
    return interruption.exit_code(interrupted) if interrupted else DONE


# ---- the mixture ---------------------------------------------------------------------------------


def _by_fit(
    data: str,
    reading: WeightOptions,
    options: OutlierSelection,
    terms: Sequence[Any],
    shown: tuple[PlainConsole, PlainConsole, PlainConsole],
    interruption: Interruption,
) -> tuple[Rated, bool]:
    """The rows and the best mixture for them, and whether its search was interrupted."""
    from mixtura.model.outliers import is_worth_it

    out, err, bars = shown
    read = read_data(data, reading, out, err)
    n = options.n_candidates(len(read.names))
    found, said, interrupted = None, [], False
    for noise in terms:
        settings = options.settings(noise=noise)
        work = partial(select, settings, read, bars, n, interruption)
        try:
            (other, interrupted), heard = with_warnings(work)
        except KeyboardInterrupt:  # before a first candidate
            if found is None:
                raise
            interrupted = True
            break
        if found is None or is_worth_it(other.best, found.best):
            found, said = other, heard
        if interrupted:
            break
    assert found is not None
    warn_again(said)
    table = Rated(
        read.table.source,
        read.X,
        read.names,
        chosen_mixture(found),
        found.best.family,
        read.weights,
        [""] * len(read.X),
    )
    return table, interrupted


def _by_model(
    model: Path,
    data: str,
    reading: WeightOptions,
    options: OutlierSelection,
    out: PlainConsole,
    err: PlainConsole,
) -> Rated:
    """The rows and the mixture of a file; options of a fit are refused."""
    from mixtura.base.errors import DataError
    from mixtura.estimators.model_file import load_model
    from mixtura.inputs.reading import read_table

    given = [word for word in reading.arguments() if word in ("--columns", "--drop", "--weights")]
    if options != replace(USUAL_OUTLIERS, seed=options.seed, threads=options.threads):
        given.append("options of a fit")
    if given:
        raise UsageError(
            f"--model has its columns and its mixture, but {' and '.join(given)} came. Leave that "
            "out, or leave --model out to fit."
        )
    loaded = load_model(model)
    table = read_table(data, reading.reading, keep=loaded.feature_names)
    try:
        X, reasons = table.answerable(loaded.feature_names)
    except DataError as error:
        raise DataError(
            f"{error} The model needs the columns {', '.join(map(repr, loaded.feature_names))}."
        ) from None
    say_unanswered(err, reasons)
    for line in table.said:
        out.say(line)
    names = tuple(loaded.feature_names)
    return Rated(table.source, X, names, loaded.mixture, loaded.family, None, reasons)


# ---- the results ---------------------------------------------------------------------------------


def _file_columns(table: Rated, found: Judgement) -> dict[str, Any]:
    """The columns of the file: those of the table, then what was found; None is an empty cell."""
    import numpy as np

    from mixtura.inputs.writing import free_name

    striking = found.striking
    some = striking >= 0
    made: dict[str, Any] = {
        "outlier": (found.outliers.astype(np.int64), table.answered),
        "log_density": (found.scores, table.answered),
        "probability": (found.probabilities, table.answered),
        "component": (found.components, table.answered),
        "column": (np.array(table.names, dtype=object)[striking], some & table.answered),
        "residual": (found.residuals[np.arange(len(striking)), striking], some & table.answered),
    }
    columns: dict[str, Any] = {
        name: _cells(values, ~np.isnan(values))
        for name, values in zip(table.names, table.X.T, strict=True)
    }
    columns |= {free_name(name, columns): _cells(*own) for name, own in made.items()}
    if not table.answered.all():
        columns[free_name("note", columns)] = list(table.reasons)
    return {free_name("row", columns): np.array(row_numbers(len(table.X))), **columns}


def _cells(values: Any, known: Any) -> Any:
    """A column with None where a cell is not known."""
    if known.all():
        return values
    cells = values.astype(object)
    cells[~known] = None
    return cells


def _document(table: Rated, found: Judgement, asked: OutlierOptions) -> dict[str, Any]:
    """What was found as plain values."""
    import numpy as np

    mixture = table.mixture
    K, noise = mixture.n_components, mixture.noise
    judged = table.answered & (found.striking >= 0)
    order = [i for i in np.argsort(found.scores, kind="stable").tolist() if judged[i]]
    n = int(judged.sum())
    return {
        "source": table.source,
        "n_rows": len(table.X),
        "n_judged": n,
        "columns": list(table.names),
        "family": table.family,
        "components": "gaussian" if mixture.tails is None else "t",
        "n_components": K,
        "weights": mixture.weights.tolist(),
        "noise_weight": 0.0 if noise is None else noise.weight,
        "small_groups": found.small_groups,
        "contamination": asked.contamination,
        "offset": found.threshold.offset,
        "false_alarm_rate": found.threshold.false_alarm_rate,
        "false_alarm_rate_error": found.threshold.standard_error,
        "n_outliers": int((found.outliers & judged).sum()),
        "n_expected": found.threshold.false_alarm_rate * n,
        "rows": [_row_document(i, n, table.names, found) for i in order[: asked.top]],
        "files": [],
    }


def _row_document(i: int, n: int, names: Sequence[str], found: Judgement) -> dict[str, Any]:
    """One of n rows: how unlikely it is, and the columns that stand out, largest first."""
    probability = float(found.probabilities[i])
    sizes = {
        name: float(value)
        for name, value in zip(names, found.residuals[i].tolist(), strict=True)
        if value == value
    }
    return {
        "row": row_number(i),
        "outlier": bool(found.outliers[i]),
        "log_density": float(found.scores[i]),
        "probability": probability,
        "expected": probability * n,
        "component": int(found.components[i]),
        "residuals": dict(sorted(sizes.items(), key=lambda one: -abs(one[1]))),
    }


def _report(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Print the mixture, the threshold and the least likely rows."""
    noise = document["noise_weight"]
    kind = "t component" if document["components"] == "t" else "component"
    beside = f", and noise with {100 * noise:.2g} % of the rows" if noise > 0 else ""
    out.say(
        f"\nMixture: {document['family']} with {counted(document['n_components'], kind)}{beside}."
    )
    for k in document["small_groups"]:
        share = 100 * document["weights"][k]
        out.say(f"{capitalised(component_name(k))} is a group of outliers: {share:.2g} %.")
    error = rounded_like(document["false_alarm_rate_error"], document["false_alarm_rate_error"])
    rate = rounded_like(document["false_alarm_rate_error"], document["false_alarm_rate"])
    out.say(
        f"Threshold: log density {document['offset']:.4g}, false-alarm rate {rate} (Monte-Carlo "
        f"error {error})."
    )
    found, n = document["n_outliers"], document["n_judged"]
    out.say(
        f"{counted(found, 'row')} {'is' if found == 1 else 'are'} below it; of {n} ordinary rows "
        f"about {document['n_expected']:.2g} would be.",
        style="bold",
    )
    table = grid("row", "outlier", "log density", "probability", "by chance", "component")
    table.add_column("stands out by (sd)", justify="left", overflow="fold")
    for row in document["rows"]:
        table.add_row(
            str(row["row"]),
            "yes" if row["outlier"] else "no",
            f"{row['log_density']:.2f}",
            f"{row['probability']:.2g}",
            f"{row['expected']:.2g}",
            number_of(row["component"]),
            _striking(row["residuals"]),
        )
    out.print(table)
    _hint_at_small_groups(out, document)
    if document["interrupted"]:
        out.say(interruption_sentence(document), style="yellow")
    if document["files"]:
        out.say("Wrote " + ", ".join(document["files"]))


def _striking(residuals: Mapping[str, float]) -> str:
    """The column with the largest residual, and a second one that stands out as well."""
    shown = [
        f"{name} {value:+.1f}"
        for place, (name, value) in enumerate(residuals.items())
        if place == 0 or abs(value) >= LARGE_RESIDUAL
    ]
    return ", ".join(shown[:2])


def _hint_at_small_groups(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Say which components may be groups of outliers."""
    small = {
        k: weight
        for k, weight in enumerate(document["weights"])
        if weight < SMALL_GROUP and k not in document["small_groups"]
    }
    if small:
        listed = ", ".join(f"{component_name(k)}: {100 * w:.2g} %" for k, w in small.items())
        out.say(
            f"check: small groups ({listed} of the rows) count as ordinary. If they are outliers, "
            f"add --smallest-group {SMALL_GROUP:g}."
        )
