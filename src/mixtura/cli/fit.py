"""mixtura fit: the clusters of a table, explained and written to files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.beyond import NOTHING, Wishes, how_sure, merging, standard_errors
from mixtura.cli.calling_off import Call, may_be_called_off
from mixtura.cli.choosing import USUAL, Wanted
from mixtura.cli.console import Plain, consoles, notes, print_json
from mixtura.cli.data import Data, read_data
from mixtura.cli.options import AtLeastTwo, Force, Json, Output, Quiet, TimeLimit
from mixtura.cli.result_files import FURTHER_FILES, RESULT_FILES, write_results
from mixtura.cli.selecting import Found, select, winner
from mixtura.cli.story import fit_document, report
from mixtura.cli.target import named_after

if TYPE_CHECKING:
    from mixtura.selection.settings import SelectionSettings


@Parameter(name="*")
@dataclass(frozen=True)
class Settings:
    """How a candidate is fitted and judged, as it was typed."""

    folds: AtLeastTwo = None
    """Cross-validate with this many folds, whatever decides; 10 for --criterion cv."""

    prior: Literal["conjugate"] | None = None
    """conjugate: a weak prior that keeps components from collapsing (Fraley & Raftery 2007)."""

    equal_weights: bool = False
    """All components are equally large."""

    eigenvalue_ratio: Annotated[float | None, Parameter(validator=Number(gte=1))] = None
    """The largest variance in any direction is at most this many times the smallest, in the units
    of the data.
    """


PLAIN = Settings()
"""As it is when nothing is said."""


def run(
    data: str,
    /,
    *,
    wanted: Wanted = USUAL,
    settings: Settings = PLAIN,
    wishes: Wishes = NOTHING,
    output: Output = None,
    time_limit: TimeLimit = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the clusters in a table: how many, of which shape, and which row belongs to which.

    Fits every covariance family with every number of components, keeps the best, explains it, and
    writes memberships.csv, model.safetensors, candidates.csv, criteria.csv, criteria.png and
    clusters.png; with --errors also errors.csv, with --merge also merging.png. Ctrl-C, SIGTERM or
    the --time-limit end the search and keep the best so far. The words are explained in
    docs/families.md, docs/choosing.md and docs/certainty.md.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    output
        Folder for the results; by default NAME.mixtura here.
    """
    from mixtura.inputs.writing import folder_for_results, refuse_to_overwrite

    wanted.check()
    wishes.check()
    folder = output or named_after(data, ".mixtura")
    refuse_to_overwrite([folder / name for name in (*RESULT_FILES, *FURTHER_FILES)], force)
    out, err, bars = consoles(quiet=quiet, json=json)
    with may_be_called_off(time_limit) as call:
        read = read_data(data, wanted.columns, out)
        asked = wanted.selection(**asdict(settings))
        with folder_for_results(folder), notes(err):
            selection, interrupted = select(
                asked, read, bars, wanted.n_candidates(len(read.names)), call
            )
            with call.listener.holding_back():
                found = Found(selection, winner(selection).posterior(read.X))
                said = asdict(settings) | {"n_init": wanted.starts}
                document = fit_document(found, read, said, wanted.seed) | call.told(interrupted)
                _go_beyond(asked, found, read, wishes, document, bars, call)
                written, interrupted = write_results(folder, found, read, document, call)
    document |= call.told(interrupted) | {"files": [str(folder / name) for name in written]}
    report(out, document)
    if json:
        print_json(document)
    return call.code(interrupted)


def _go_beyond(
    asked: SelectionSettings,
    found: Found,
    read: Data,
    wishes: Wishes,
    document: dict[str, Any],
    bars: Plain,
    call: Call,
) -> None:
    """What was asked for beyond the selection, into the document."""
    if wishes.merge is not None:
        found.tree, document["merging"] = merging(found, wishes)
    document["bootstrap"] = how_sure(asked, found, read, bars, wishes, document, call)
    document["errors"] = standard_errors(asked, found, read, bars, wishes, document, call)
