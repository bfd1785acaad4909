"""mixtura plot: one picture of the clusters of a table."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mixtura.cli.console import consoles, notes
from mixtura.cli.data import read_data
from mixtura.cli.exit_codes import UsageError
from mixtura.cli.interruption import interruptible_command, interruption_sentence
from mixtura.cli.options import Force, Output, Quiet, TimeLimit
from mixtura.cli.output_path import check_output, default_output, written_atomically
from mixtura.cli.reading_options import NO_LABELS, LabelOptions
from mixtura.cli.selection import chosen_mixture, select
from mixtura.cli.selection_options import DEFAULT_OPTIONS, SelectionOptions

if TYPE_CHECKING:
    from mixtura.inputs.table_data import TableData
    from mixtura.model.selection import Selection

PictureKind = Literal[
    "clusters",
    "scatter",
    "curves",
    "pairs",
    "uncertainty",
    "density",
    "conditional",
    "criteria",
    "merging",
    "trace",
    "starts",
    "em",
]

PICTURES, ANIMATIONS = (".png", ".svg", ".pdf"), (".gif", ".html")


def run(
    data: str,
    kind: PictureKind | None = None,
    /,
    *,
    output: Output = None,
    shown: Annotated[
        str | None,
        Parameter(help="Columns to draw, separated by commas; the model uses all of --columns."),
    ] = None,
    levels: Annotated[
        str | None,
        Parameter(
            help="Probabilities, separated by commas: inside the ellipses of scatter, the regions "
            "of density, or between the quantiles of conditional."
        ),
    ] = None,
    at: Annotated[
        str | None,
        Parameter(
            help="Values of the given column, separated by commas, at which conditional draws the "
            "density of the other one.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    reading: LabelOptions = NO_LABELS,
    options: SelectionOptions = DEFAULT_OPTIONS,
    time_limit: TimeLimit = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Draw the clusters of a table: one picture, or an animation of EM.

    The ending of the file decides its format: .png, .svg and .pdf are pictures, .gif and .html are
    animations of EM. docs/pictures.md explains the pictures.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    kind
        clusters (the default), scatter, curves, pairs, uncertainty, density, conditional (the
        second column of --shown given the first), criteria, merging, trace, starts, or em, an
        animation.
    output
        The file; by default NAME.KIND.png or NAME.em.gif in the current folder.
    """
    options.check()
    chosen = _kind(kind, output)
    target = output or default_output(data, f".{chosen}{'.gif' if chosen == 'em' else '.png'}")
    more = _more(chosen, levels, at)
    check_output(target, ANIMATIONS if chosen == "em" else PICTURES, force, chosen)
    out, err, bars = consoles(quiet=quiet)
    with interruptible_command(time_limit) as interruption:
        read = read_data(data, reading, out, err)
        names = _shown(shown, read, chosen)
        with written_atomically(target) as part, notes(err):
            selection, interrupted = select(
                options.settings(n_classes=len(read.classes)),
                read,
                bars,
                options.n_candidates(len(read.names), len(read.classes)),
                interruption,
            )
            interruption.handler.stop_timer()
            _draw(chosen, part, selection, read, {"shown": names, **more}, options.seed)
    out.say(selection.sentences[0])
    if interrupted:
        out.say(interruption_sentence(interruption.fields(interrupted)), style="yellow")
    out.say(f"Wrote {target}")
    return interruption.exit_code(interrupted)


def _kind(kind: PictureKind | None, output: Path | None) -> PictureKind:
    """The requested kind; em for a file that is an animation."""
    if kind is not None:
        return kind
    return "em" if output is not None and output.suffix.lower() in ANIMATIONS else "clusters"


def _shown(shown: str | None, read: TableData, kind: PictureKind) -> list[str] | None:
    """The names of the columns to draw; an unknown one is an error."""
    if kind == "conditional" and len(read.names) < 2:
        raise UsageError(
            "conditional needs two columns, the given one and the other, but only "
            f"{', '.join(read.names)} is used; choose more --columns."
        )
    if shown is None:
        return None
    if kind in ("criteria", "merging", "trace", "starts"):
        raise UsageError(f"{kind} does not show columns of the data; leave --shown out.")
    names = [name.strip() for name in shown.split(",")]
    unknown = [name for name in names if name not in read.names]
    if unknown:
        raise UsageError(
            f"--shown names {unknown[0]!r}, but the columns used are {', '.join(read.names)}."
        )
    if kind == "conditional" and not len(names) == len(set(names)) == 2:
        raise UsageError(
            "--shown must name two different columns for conditional, first the given one, but got "
            f"{shown!r}."
        )
    return names


def _more(kind: PictureKind, levels: str | None, at: str | None) -> dict[str, list[float]]:
    """The arguments of ``--levels`` and ``--at``, for the pictures that have them."""
    more: dict[str, list[float]] = {}
    if levels is not None:
        if kind not in ("scatter", "density", "conditional"):
            raise UsageError(f"{kind} has no levels; leave --levels out.")
        more["levels"] = _numbers("--levels", levels)
        if not all(0 < level < 1 for level in more["levels"]):
            raise UsageError(
                "--levels must be probabilities between 0 and 1, such as 0.5,0.95, but got "
                f"{levels!r}."
            )
    if at is not None:
        if kind != "conditional":
            raise UsageError(f"{kind} has no given column; leave --at out.")
        more["at"] = _numbers("--at", at)
    return more


def _numbers(option: str, text: str) -> list[float]:
    """Finite numbers separated by commas."""
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(map(isfinite, found)):
        raise UsageError(
            f"{option} must be numbers separated by commas, such as 0.5,0.9, but got {text!r}."
        )
    return found


def _draw(
    kind: PictureKind,
    target: Path,
    selection: Selection,
    read: TableData,
    more: dict[str, Any],
    seed: int,
) -> None:
    """Write the picture or the animation."""
    from mixtura import plots

    seen = {"columns": list(read.names), **more}
    if kind == "em":
        plots.animate(selection, read.X, target, random_state=seed, **seen)
        return
    over_data: dict[str, Callable[..., Any]] = {
        "clusters": plots.plot_mixture,
        "scatter": plots.plot_scatter,
        "curves": plots.plot_curves,
        "uncertainty": plots.plot_uncertainty,
        "density": plots.plot_density,
        "conditional": plots.plot_conditional,
        "pairs": lambda *rows, **names: plots.plot_pairs(*rows, **names)[0, 0],
    }
    if kind in over_data:
        plots.save(over_data[kind](selection, read.X, **seen), target)
        return
    plots.save(_without_data(kind, selection, read), target)


def _without_data(kind: PictureKind, selection: Selection, read: TableData) -> Any:
    """A picture of the selection or the fit, without the rows."""
    from mixtura import plots
    from mixtura.selection.merging import merge_tree

    if kind == "criteria":
        return plots.plot_criteria(selection)
    if kind == "trace":
        return plots.plot_trace(selection)
    if kind == "merging":
        return plots.plot_merging(
            merge_tree(chosen_mixture(selection).without_noise.posterior(read.X))
        )
    return plots.plot_starts(selection.best)
