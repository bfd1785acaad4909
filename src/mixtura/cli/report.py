"""mixtura report: one HTML file about the clusters of a table."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from mixtura.cli.console import consoles, notes
from mixtura.cli.data import read_data
from mixtura.cli.interruption import interruptible_command, interruption_sentence
from mixtura.cli.options import Force, Output, Quiet, TimeLimit
from mixtura.cli.output_path import check_output, default_output, written_atomically
from mixtura.cli.reading_options import NO_LABELS, LabelOptions
from mixtura.cli.selection import select
from mixtura.cli.selection_options import DEFAULT_OPTIONS, SelectionOptions
from mixtura.cli.standard_input import STANDARD_INPUT_NAME

if TYPE_CHECKING:
    from mixtura.report import Origin


def run(
    data: str,
    /,
    *,
    output: Output = None,
    reading: LabelOptions = NO_LABELS,
    options: SelectionOptions = DEFAULT_OPTIONS,
    time_limit: TimeLimit = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Write a report: the clusters and the reasons for the model, pictures, unsure rows, and how to
    reproduce the fit.

    One HTML file that works offline and loads nothing. See docs/report.md.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    output
        The HTML file; by default NAME.report.html in the current folder.
    """
    from mixtura.estimators.selector import GaussianMixtureSelector
    from mixtura.report import Study, page_of

    options.check()
    target = output or default_output(data, ".report.html")
    check_output(target, (".html",), force, "a report")
    out, err, bars = consoles(quiet=quiet)
    with interruptible_command(time_limit) as interruption:
        read = read_data(data, reading, out, err)
        with written_atomically(target) as part, notes(err):
            asked = options.settings(n_classes=len(read.classes))
            selection, interrupted = select(
                asked,
                read,
                bars,
                options.n_candidates(len(read.names), len(read.classes)),
                interruption,
            )
            interruption.handler.stop_timer()
            study = Study(
                selection,
                GaussianMixtureSelector(**asdict(asked)),
                read.X,
                read.names,
                _origin(data, reading, options),
                said=(*read.warned, *read.said),
                interrupted=interrupted,
                starts=selection.best.starts,
            )
            part.write_text(page_of(study), encoding="utf-8")
    for sentence in selection.sentences:
        out.say(sentence)
    if interrupted:
        out.say(interruption_sentence(interruption.fields(interrupted)), style="yellow")
    out.say(f"\nWrote {target}")
    return interruption.exit_code(interrupted)


def _origin(data: str, reading: LabelOptions, options: SelectionOptions) -> Origin:
    """Where the data came from, and the command that reproduces the report."""
    from mixtura.report import Origin

    words = (*reading.arguments(), *options.arguments())
    if data == STANDARD_INPUT_NAME:
        origin = Origin("-", "", ("mixtura", "report", "-", *words))
    else:
        origin = Origin.of_file(data, ("mixtura", "report", data, *words))
    return replace(
        origin,
        reading=reading.reading,
        weights=reading.weights or "",
        labels=reading.labels or "",
    )
