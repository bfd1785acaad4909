"""mixtura plot: one picture of the clusters of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mixtura.cli.calling_off import may_be_called_off, said_about
from mixtura.cli.choosing import USUAL, Wanted
from mixtura.cli.console import consoles, notes
from mixtura.cli.data import Data, read_data
from mixtura.cli.endings import UsageError
from mixtura.cli.options import Force, Output, Quiet, TimeLimit
from mixtura.cli.selecting import select, winner
from mixtura.cli.target import check_target, named_after, written_at_once

if TYPE_CHECKING:
    from mixtura.model.selection import Selection

Kind = Literal[
    "clusters",
    "scatter",
    "curves",
    "pairs",
    "uncertainty",
    "density",
    "criteria",
    "merging",
    "trace",
    "starts",
    "em",
]

PICTURES, FILMS = (".png", ".svg", ".pdf"), (".gif", ".html")


def run(
    data: str,
    kind: Kind | None = None,
    /,
    *,
    output: Output = None,
    shown: Annotated[
        str | None,
        Parameter(
            help="Columns to draw, with commas between them; the model reads all that are used."
        ),
    ] = None,
    wanted: Wanted = USUAL,
    time_limit: TimeLimit = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Draw the clusters of a table: one picture, or EM as a film.

    The ending of the file says what it becomes: .png, .svg and .pdf are pictures, .gif and .html
    are films of EM. What the pictures show is in docs/pictures.md.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    kind
        clusters (the usual one), scatter, curves, pairs, uncertainty, density, criteria, merging,
        trace, starts, or em, which is a film.
    output
        The file; by default NAME.KIND.png here, or NAME.em.gif.
    """
    wanted.check()
    chosen = _kind(kind, output)
    target = output or named_after(data, f".{chosen}{'.gif' if chosen == 'em' else '.png'}")
    check_target(target, FILMS if chosen == "em" else PICTURES, force, chosen)
    out, err, bars = consoles(quiet=quiet)
    with may_be_called_off(time_limit) as call:
        read = read_data(data, wanted.columns, out)
        names = _shown(shown, read, chosen)
        with written_at_once(target) as part, notes(err):
            selection, interrupted = select(
                wanted.selection(), read, bars, wanted.n_candidates(len(read.names)), call
            )
            call.listener.stop_clock()
            _draw(chosen, part, selection, read, names, wanted.seed)
    out.say(selection.sentences[0])
    if interrupted:
        out.say(said_about(call.told(interrupted)), style="yellow")
    out.say(f"Wrote {target}")
    return call.code(interrupted)


def _kind(kind: Kind | None, output: Path | None) -> Kind:
    """What is asked for; a file that is a film asks for one."""
    if kind is not None:
        return kind
    return "em" if output is not None and output.suffix.lower() in FILMS else "clusters"


def _shown(shown: str | None, read: Data, kind: Kind) -> list[str] | None:
    """The columns to draw, each known."""
    if shown is None:
        return None
    if kind in ("criteria", "merging", "trace", "starts"):
        raise UsageError(f"{kind} shows no columns of the data; leave --shown out.")
    names = [name.strip() for name in shown.split(",")]
    unknown = [name for name in names if name not in read.names]
    if unknown:
        raise UsageError(
            f"--shown names {unknown[0]!r}, but the columns used are {', '.join(read.names)}."
        )
    return names


def _draw(
    kind: Kind,
    target: Path,
    selection: Selection,
    read: Data,
    shown: Sequence[str] | None,
    seed: int,
) -> None:
    """The picture or film into its file."""
    from mixtura import plots

    seen: dict[str, Any] = {"columns": list(read.names), "shown": shown}
    if kind == "em":
        plots.animate(selection, read.X, target, random_state=seed, **seen)
        return
    over_data: dict[str, Callable[..., Any]] = {
        "clusters": plots.plot_mixture,
        "scatter": plots.plot_scatter,
        "curves": plots.plot_curves,
        "uncertainty": plots.plot_uncertainty,
        "density": plots.plot_density,
        "pairs": lambda *rows, **names: plots.plot_pairs(*rows, **names)[0, 0],
    }
    if kind in over_data:
        plots.save(over_data[kind](selection, read.X, **seen), target)
        return
    plots.save(_without_data(kind, selection, read), target)


def _without_data(kind: Kind, selection: Selection, read: Data) -> Any:
    """A picture of how the model came to be."""
    from mixtura import plots
    from mixtura.selection.merging import merge_tree

    if kind == "criteria":
        return plots.plot_criteria(selection)
    if kind == "trace":
        return plots.plot_trace(selection)
    if kind == "merging":
        return plots.plot_merging(merge_tree(winner(selection).posterior(read.X)))
    return plots.plot_starts(selection.best)
