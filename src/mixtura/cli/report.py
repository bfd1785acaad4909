"""mixtura report: one HTML file about the clusters of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mixtura.cli.choosing import Wanted, choose
from mixtura.cli.data import STANDARD_INPUT, Data, read_data
from mixtura.cli.endings import DONE, INTERRUPTED
from mixtura.cli.options import Columns, Count, Force, Quiet, Seed, Threads
from mixtura.cli.target import check_target, written_at_once
from mixtura.console import Plain, notes

if TYPE_CHECKING:
    from mixtura.results import Selection
    from mixtura.selector import GaussianMixtureSelector


def run(
    data: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    max_components: Count = None,
    components: str | None = None,
    families: str = "all",
    criterion: str = "bic",
    columns: Columns = None,
    starts: Count = None,
    seed: Seed = 0,
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Write a report: which clusters there are and why, pictures, unsure rows, and how to come to the same again.

    One HTML file that opens from disk and loads nothing. See docs/report.md.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    output
        The HTML file; by default NAME.report.html here.
    max_components
        Try 1 up to this many components (10).
    components
        Try exactly these: 3, or 1:10, or 2,4,6.
    families
        all, or names with commas such as VVV,EEE.
    criterion
        What decides, lower is better: see mixtura fit.
    starts
        Full runs from this many starts. By default eight short ones, the best to the end.
    """
    wanted = Wanted(max_components, components, families, criterion, seed, threads, starts)
    wanted.check()
    target = output or Path(f"{'stdin' if data == STANDARD_INPUT else Path(data).stem}.report.html")
    check_target(target, (".html",), force, "a report")
    out, err, bars = Plain(quiet=quiet), Plain(stderr=True), Plain(stderr=True, quiet=quiet)
    read = read_data(data, columns, out)
    with written_at_once(target) as part, notes(err):
        selector, selection, interrupted = choose(wanted, read, bars)
        part.write_text(_page(data, columns, wanted, read, selector, selection, interrupted), encoding="utf-8")
    for sentence in selection.sentences:
        out.say(sentence)
    out.say(f"\nWrote {target}")
    return INTERRUPTED if interrupted else DONE


def _page(
    data: str,
    columns: str | None,
    wanted: Wanted,
    read: Data,
    selector: GaussianMixtureSelector,
    selection: Selection,
    interrupted: bool,
) -> str:
    """The report as text."""
    from mixtura.report import Origin, Study, page_of

    typed = "-" if data == STANDARD_INPUT else data
    command = ["mixtura", "report", typed, *([] if columns is None else ["--columns", columns]), *wanted.words()]
    origin = Origin("-", "", tuple(command)) if typed == "-" else Origin.of_file(data, command)
    study = Study(selection, selector, read.X, read.names, origin, tuple(read.left_out), interrupted, selection.best.starts)
    return page_of(study)
