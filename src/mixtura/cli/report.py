"""mixtura report: one HTML file about the clusters of a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from mixtura.cli.calling_off import may_be_called_off, said_about
from mixtura.cli.choosing import USUAL, Wanted
from mixtura.cli.console import consoles, notes
from mixtura.cli.data import STANDARD_INPUT, read_data
from mixtura.cli.options import Force, Output, Quiet, TimeLimit
from mixtura.cli.selecting import select
from mixtura.cli.target import check_target, named_after, written_at_once

if TYPE_CHECKING:
    from mixtura.report import Origin


def run(
    data: str,
    /,
    *,
    output: Output = None,
    wanted: Wanted = USUAL,
    time_limit: TimeLimit = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Write a report: which clusters there are and why, pictures, unsure rows, and how to come to
    the same again.

    One HTML file that opens from disk and loads nothing. See docs/report.md.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    output
        The HTML file; by default NAME.report.html here.
    """
    from mixtura.estimators.selector import GaussianMixtureSelector
    from mixtura.report import Study, page_of

    wanted.check()
    target = output or named_after(data, ".report.html")
    check_target(target, (".html",), force, "a report")
    out, err, bars = consoles(quiet=quiet)
    with may_be_called_off(time_limit) as call:
        read = read_data(data, wanted.columns, out)
        with written_at_once(target) as part, notes(err):
            asked = wanted.selection()
            selection, interrupted = select(
                asked, read, bars, wanted.n_candidates(len(read.names)), call
            )
            call.listener.stop_clock()
            selector, left_out = GaussianMixtureSelector(**asdict(asked)), tuple(read.left_out)
            origin, starts = _origin(data, wanted), selection.best.starts
            study = Study(
                selection, selector, read.X, read.names, origin, left_out, interrupted, starts
            )
            part.write_text(page_of(study), encoding="utf-8")
    for sentence in selection.sentences:
        out.say(sentence)
    if interrupted:
        out.say(said_about(call.told(interrupted)), style="yellow")
    out.say(f"\nWrote {target}")
    return call.code(interrupted)


def _origin(data: str, wanted: Wanted) -> Origin:
    """Where the data came from, and the command that makes the report again."""
    from mixtura.report import Origin

    if data == STANDARD_INPUT:
        return Origin("-", "", ("mixtura", "report", "-", *wanted.words()))
    return Origin.of_file(data, ("mixtura", "report", data, *wanted.words()))
