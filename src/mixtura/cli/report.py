"""mixtura report: one HTML file about the clusters of a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from mixtura.cli.console import consoles, notes
from mixtura.cli.data import STANDARD_INPUT_NAME, read_data
from mixtura.cli.interruption import interruptible_command, interruption_sentence
from mixtura.cli.options import Force, Output, Quiet, TimeLimit
from mixtura.cli.output_path import check_output, default_output, written_atomically
from mixtura.cli.selection import select
from mixtura.cli.selection_options import DEFAULT_OPTIONS, SelectionOptions

if TYPE_CHECKING:
    from mixtura.report import Origin


def run(
    data: str,
    /,
    *,
    output: Output = None,
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
        CSV or Parquet file with a header; - reads standard input.
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
        read = read_data(data, options.columns, out)
        with written_atomically(target) as part, notes(err):
            asked = options.settings()
            selection, interrupted = select(
                asked, read, bars, options.n_candidates(len(read.names)), interruption
            )
            interruption.handler.stop_timer()
            selector, left_out = GaussianMixtureSelector(**asdict(asked)), tuple(read.left_out)
            origin, starts = _origin(data, options), selection.best.starts
            study = Study(
                selection, selector, read.X, read.names, origin, left_out, interrupted, starts
            )
            part.write_text(page_of(study), encoding="utf-8")
    for sentence in selection.sentences:
        out.say(sentence)
    if interrupted:
        out.say(interruption_sentence(interruption.fields(interrupted)), style="yellow")
    out.say(f"\nWrote {target}")
    return interruption.exit_code(interrupted)


def _origin(data: str, options: SelectionOptions) -> Origin:
    """Where the data came from, and the command that reproduces the report."""
    from mixtura.report import Origin

    if data == STANDARD_INPUT_NAME:
        return Origin("-", "", ("mixtura", "report", "-", *options.arguments()))
    return Origin.of_file(data, ("mixtura", "report", data, *options.arguments()))
