"""mixtura fit: the clusters of a table, explained and written to files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.analyses import (
    NO_ANALYSES,
    AnalysisOptions,
    bootstrap_of_choice,
    merging,
    standard_errors,
)
from mixtura.cli.console import PlainConsole, consoles, notes, print_json
from mixtura.cli.data import read_data
from mixtura.cli.fit_summary import fit_document, report
from mixtura.cli.interruption import Interruption, interruptible_command
from mixtura.cli.options import AtLeastTwo, Force, Json, Output, Quiet, TimeLimit, noise_volume
from mixtura.cli.output_path import default_output
from mixtura.cli.reading_options import NO_LABELS, LabelOptions
from mixtura.cli.result_files import FURTHER_FILES, RESULT_FILES, write_results
from mixtura.cli.selection import FitOutcome, chosen_mixture, select
from mixtura.cli.selection_options import DEFAULT_OPTIONS, SelectionOptions

if TYPE_CHECKING:
    from mixtura.inputs.table_data import TableData
    from mixtura.selection.settings import SelectionSettings


@Parameter(name="*")
@dataclass(frozen=True)
class FitOptions:
    """The options of the fits, as typed."""

    folds: AtLeastTwo = None
    """Folds of a cross-validation, computed whichever criterion decides; 10 for --criterion cv."""

    prior: Literal["conjugate"] | None = None
    """conjugate: a weak prior that keeps components from collapsing (Fraley & Raftery 2007)."""

    equal_weights: bool = False
    """All components have the same weight."""

    noise: str | None = None
    """A uniform term for rows that belong to no cluster, over a volume: box, principal, auto (the
    smaller one), or a number in the product of the columns' units. Its rows have the label -1.
    """

    eigenvalue_ratio: Annotated[float | None, Parameter(validator=Number(gte=1))] = None
    """Bound of the eigenvalue ratio: the largest variance in any direction is at most this many
    times the smallest, in the units of the data.
    """

    def settings(self) -> dict[str, Any]:
        """The options as settings of a selection; a noise that is not known is an error."""
        return asdict(self) | {"noise": None if self.noise is None else noise_volume(self.noise)}


DEFAULT_FIT = FitOptions()
"""Fits without constraints or cross-validation."""


def run(
    data: str,
    /,
    *,
    reading: LabelOptions = NO_LABELS,
    options: SelectionOptions = DEFAULT_OPTIONS,
    fit_options: FitOptions = DEFAULT_FIT,
    analyses: AnalysisOptions = NO_ANALYSES,
    output: Output = None,
    time_limit: TimeLimit = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the clusters in a table: their number, their shapes, and the cluster of each row.

    Fits every covariance family with every number of components, keeps the best model, explains it,
    and writes memberships.csv, model.safetensors, candidates.csv, criteria.csv, criteria.png and
    clusters.png; with --errors also errors.csv, with --merge also merging.png. Ctrl-C, SIGTERM and
    --time-limit end the search and keep the best model so far. The terms are explained in
    docs/families.md, docs/choosing.md and docs/certainty.md.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    output
        Folder for the results; by default NAME.mixtura in the current folder.
    """
    from mixtura.inputs.writing import folder_for_results, refuse_to_overwrite

    options.check()
    analyses.check()
    fitted = fit_options.settings()
    folder = output or default_output(data, ".mixtura")
    refuse_to_overwrite([folder / name for name in (*RESULT_FILES, *FURTHER_FILES)], force)
    out, err, bars = consoles(quiet=quiet, json=json)
    with interruptible_command(time_limit) as interruption:
        read = read_data(data, reading, out, err)
        asked = options.settings(n_classes=len(read.classes), **fitted)
        with folder_for_results(folder), notes(err):
            selection, interrupted = select(
                asked,
                read,
                bars,
                options.n_candidates(len(read.names), len(read.classes)),
                interruption,
            )
            with interruption.handler.deferring():
                found = FitOutcome(selection, chosen_mixture(selection).posterior(read.X))
                settings = fitted | {"n_init": options.starts}
                document = fit_document(found, read, settings, options.seed)
                document |= interruption.fields(interrupted)
                _analyse(asked, found, read, analyses, document, bars, interruption)
                written, interrupted = write_results(folder, found, read, document, interruption)
    document |= interruption.fields(interrupted) | {
        "files": [str(folder / name) for name in written]
    }
    report(out, document)
    if json:
        print_json(document)
    return interruption.exit_code(interrupted)


def _analyse(
    asked: SelectionSettings,
    found: FitOutcome,
    read: TableData,
    analyses: AnalysisOptions,
    document: dict[str, Any],
    bars: PlainConsole,
    interruption: Interruption,
) -> None:
    """Run the requested analyses and add them to the document."""
    if analyses.merge is not None:
        found.tree, document["merging"] = merging(found, analyses)
    document["bootstrap"] = bootstrap_of_choice(
        asked, found, read, bars, analyses, document, interruption
    )
    document["errors"] = standard_errors(asked, found, read, bars, analyses, document, interruption)
