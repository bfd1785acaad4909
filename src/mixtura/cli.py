"""The command line: fit, predict, compare. Words and files, no algebra.

Exit codes: 0 done, 1 something is wrong with the data or a file, 2 the command line cannot be understood or would overwrite
a file, 130 Ctrl-C. What is asked for goes to stdout; progress, notes and errors go to stderr.
"""

from __future__ import annotations

import csv
import io
import json as json_format
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from math import floor, isfinite, log10
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from mixtura.arrays import Array
    from mixtura.mixture import Mixture
    from mixtura.results import Candidate, Selection
    from mixtura.tables import Table

# NumPy, scikit-learn and Matplotlib are imported where they are used: --help is answered at once.

DONE, WRONG_DATA, MISUSE, INTERRUPTED = 0, 1, 2, 130

STANDARD_INPUT = "<standard input>"  # the table reader takes it for "-", which the parser takes for an option
UNSURE = 0.9  # a row whose largest probability is smaller is called unsure
SHOWN = 10  # candidates that are printed; all of them are in candidates.csv
RESULT_FILES = ("memberships.csv", "model.safetensors", "candidates.csv", "criteria.png", "clusters.png")

app = App(
    name="mixtura",
    help="Soft clustering with Gaussian mixtures: from a table to clusters, with a probability for every row.",
    version=lambda: version("mixtura"),
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


class UsageError(Exception):
    """The command line makes no sense; the message says what to type."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; no traceback for anything a user can cause."""
    tokens = [STANDARD_INPUT if token == "-" else token for token in (sys.argv[1:] if argv is None else argv)]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character must not stop a fit
    try:
        code = app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has had enough, as in "mixtura fit x.csv | head"
        return _silence_stdout()
    except KeyboardInterrupt:
        return _complain("interrupted before there was a result; nothing was written.", INTERRUPTED)
    except (CycloptsError, UsageError) as error:
        return _complain(f"{error} Run 'mixtura --help' to see what can be asked.", MISUSE)
    except OSError as error:
        words = f"{error.filename}: {error.strerror}. Check the path." if error.filename is not None else str(error)
        return _complain(words, MISUSE if isinstance(error, FileExistsError) else WRONG_DATA)
    except (ValueError, ImportError, MemoryError) as error:
        return _complain(" ".join(str(error).split()) or type(error).__name__, WRONG_DATA)
    return code if isinstance(code, int) else DONE


def _silence_stdout() -> int:
    """Send what is still to be printed nowhere, so that Python does not complain about the pipe at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _complain(message: str, code: int) -> int:
    """One clean paragraph on stderr."""
    print(f"mixtura: {message}", file=sys.stderr)
    return code


class _Plain(Console):
    """A console that shows text as it is, and falls silent when nobody reads on: the files are still written."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else 120
        super().__init__(stderr=stderr, quiet=quiet, width=width, markup=False, highlight=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Show nothing from here on."""
        self.quiet = True
        _silence_stdout()

    def say(self, text: str, style: str | None = None) -> None:
        """A paragraph: folded on a terminal, one line in a pipe."""
        self.print(text, style=style, soft_wrap=not self.is_terminal)


@contextmanager
def _notes(err: _Plain) -> Iterator[None]:
    """Show each different warning once, as one line on stderr."""
    seen: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = " ".join(str(message).split())
        if text not in seen:
            seen.add(text)
            err.say(f"note: {text}", style="yellow")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        warnings.showwarning = show
        yield


def _grid(*heads: str, title: str | None = None, justify: Literal["left", "right"] = "right") -> Grid:
    """An empty table: numbers at the right, or text at the left."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid

    grid = Grid(title=title, box=SIMPLE_HEAD)
    for head in heads:
        grid.add_column(head, justify="left" if head == "family" else justify)
    return grid


def _print_json(document: Mapping[str, Any]) -> None:
    """One document on stdout; what is not finite becomes null."""
    from mixtura.model_file import jsonable

    print(json_format.dumps(jsonable(document), indent=2, allow_nan=False))


# ---- what the user asks for ----------------------------------------------------------------------------------------

Columns = Annotated[str | None, Parameter(help="Columns to use, with commas between them. By default all that can be clustered.")]
Seed = Annotated[int, Parameter(validator=Number(gte=0, lt=2**32), help="The same seed gives the same result.")]
Json = Annotated[bool, Parameter(help="Print one JSON document and nothing else to stdout.")]
Force = Annotated[bool, Parameter(help="Overwrite files that exist.")]
Count = Annotated[int | None, Parameter(validator=Number(gte=1))]


def _component_numbers(components: str | None, most: int | None) -> list[int]:
    """``3``, ``1:10`` or ``2,4,6`` as numbers; ``most`` alone means ``1:most``."""
    if components is not None and most is not None:
        raise UsageError("--components and --max-components say the same thing; give one of them.")
    text = components if components is not None else f"1:{most or 10}"
    found = re.fullmatch(r"(\d+)(?::(\d+))?|\d+(?:,\d+)+", text.replace(" ", ""))
    numbers = []
    if found and found[1]:
        numbers = list(range(int(found[1]), min(int(found[2] or found[1]), 10_000) + 1))
    elif found:
        numbers = sorted({int(part) for part in found[0].split(",")})
    if not numbers or numbers[0] < 1:
        raise UsageError(f"--components must be a number such as 3, a range (1:10) or a list (2,4,6), but {text!r} came.")
    return numbers


def _family_names(families: str) -> list[str]:
    """``all`` or names with commas as three-letter names, each once."""
    from mixtura.families import FAMILIES, family_named

    if families.strip().lower() == "all":
        return list(FAMILIES)
    try:
        return list(dict.fromkeys(family_named(name.strip()).name for name in families.split(",")))
    except ValueError as error:
        raise UsageError(str(error).replace("covariance_type=", "--families ")) from None


@dataclass(frozen=True)
class _Data:
    """The table, the numbers in it, and where they came from."""

    table: Table
    X: Array
    names: tuple[str, ...]
    left_out: list[tuple[str, str]]


def _read(data: str, columns: str | None, out: _Plain) -> _Data:
    """Read a table and say which columns are used."""
    from mixtura.errors import DataError
    from mixtura.tables import read_table

    table = read_table(data)
    wanted = None if columns is None else [name.strip() for name in next(csv.reader([columns], skipinitialspace=True), [])]
    X, names, left_out = table.numeric(wanted)
    if len(X) < 2:
        raise DataError(f"{table.source}: expected at least two rows to cluster, but there is one. Give more rows.")
    out.say(f"{table.source}: {len(X)} rows; {_counted(len(names), 'column')} used: {', '.join(names)}")
    for name, reason in left_out if columns is None else []:
        out.say(f"left out: {name}, because it is {reason}")
    return _Data(table, X, names, left_out)


# ---- fit -----------------------------------------------------------------------------------------------------------


@app.command
def fit(
    data: str,
    /,
    *,
    max_components: Count = None,
    components: str | None = None,
    families: str = "all",
    criterion: Literal["bic", "aic", "icl"] = "bic",
    columns: Columns = None,
    output: Path | None = None,
    force: Force = False,
    seed: Seed = 0,
    threads: Count = None,
    starts: Count = None,
    json: Json = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> int:
    """Find the clusters in a table: how many, of which shape, and which row belongs to which.

    Fits every covariance family with every number of components, keeps the best, explains it, and writes
    memberships.csv, model.safetensors, candidates.csv, criteria.png and clusters.png.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    max_components
        Try 1 up to this many components (10).
    components
        Try exactly these: 3, or 1:10, or 2,4,6.
    families
        all, or names with commas such as VVV,EEE.
    criterion
        What decides; lower is better.
    output
        Folder for the results; by default NAME.mixtura here.
    threads
        Threads to use; they never change a result. All by default.
    starts
        Full runs from this many starts. By default eight short ones, the best three to the end.
    quiet
        Print nothing but notes and errors.
    """
    from mixtura.selector import GaussianMixtureSelector
    from mixtura.tables import folder_for_results, refuse_to_overwrite

    ks, family_names = _component_numbers(components, max_components), _family_names(families)
    folder = output or Path(f"{'stdin' if data == STANDARD_INPUT else Path(data).stem}.mixtura")
    refuse_to_overwrite([folder / name for name in RESULT_FILES], force)
    out, err = _Plain(quiet=json or quiet), _Plain(stderr=True)
    read = _read(data, columns, out)
    if len(read.names) == 1 and families == "all":  # with one column there are no shapes and axes to choose from
        family_names = [name for name in family_names if name.endswith("II")]
    choices: dict[str, Any] = {"families": family_names, "criterion": criterion, "n_init": starts}
    selector = GaussianMixtureSelector(ks, **choices, random_state=seed, n_threads=threads)
    with folder_for_results(folder), _notes(err):
        selection, interrupted = _select(selector, read, _Plain(stderr=True, quiet=quiet), len(ks) * len(family_names))
        probabilities = _winner(selection).posterior(read.X)
        document = _fit_document(selection, read, probabilities, seed, interrupted)
        _write_results(folder, selection, read, probabilities, document)
    document["files"] = [str(folder / name) for name in RESULT_FILES]
    _report(out, document)
    if json:
        _print_json(document)
    return INTERRUPTED if interrupted else DONE


def _select(selector: Any, read: _Data, err: _Plain, total: int) -> tuple[Selection, bool]:
    """The selection, and whether Ctrl-C cut it short."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from mixtura.results import Selection, StopReason

    done: list[Candidate] = []
    cut = False
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal or err.quiet) as bar:
        task = bar.add_task("fitting", total=total)

        def keep(candidate: Candidate) -> None:
            done.append(candidate)
            bar.update(task, advance=1, description=f"fitted {candidate.family} with {candidate.n_components}")
            if candidate.fit is not None and candidate.fit.stop is StopReason.INTERRUPTED:
                raise KeyboardInterrupt  # one Ctrl-C ends the whole selection, not only the cell it came into

        try:
            selection = selector.fit(read.X, callback=keep).selection_
        except KeyboardInterrupt:
            selection, cut = Selection(selector.criterion, tuple(done)), True
            if not selection.ranking:
                raise
        except ValueError as error:
            raise ValueError(f"{read.table.source}: {_with_names(str(error), read.names)}") from None
    return selection, cut or len(selection.candidates) < total


def _winner(selection: Selection) -> Mixture:
    """The mixture that was chosen."""
    assert selection.best.fit is not None
    return selection.best.fit.mixture


def _with_names(message: str, names: Sequence[str]) -> str:
    """A message about ``column 2`` in the words of the table."""
    named = {str(j): f"column {name!r}" for j, name in enumerate(names)}
    return re.sub(r"\bcolumn (\d+)\b", lambda found: named.get(found[1], found[0]), message)


def _write_results(folder: Path, selection: Selection, read: _Data, probabilities: Array, document: Mapping[str, Any]) -> None:
    """All files, or none."""
    from mixtura.model_file import jsonable, save_model
    from mixtura.plots import plot_criteria, plot_mixture, save
    from mixtura.tables import membership_columns, replacing, write_csv

    rows = document["candidates"]
    with ExitStack() as files:
        parts = (files.enter_context(replacing(folder / name)) for name in RESULT_FILES)
        memberships, model, candidates, criteria, clusters = parts
        write_csv(memberships, membership_columns(probabilities))
        metadata = {key: document[key] for key in ("source", "n_rows", "criterion", "random_state", "interrupted", "best")}
        save_model(model, _winner(selection), family=selection.best.family, feature_names=read.names, metadata=jsonable(metadata))
        write_csv(candidates, {key: [row[key] for row in rows] for key in rows[0]})
        save(plot_criteria(selection), criteria)
        save(plot_mixture(_winner(selection), read.X, columns=read.names), clusters)


# ---- what a fit says -----------------------------------------------------------------------------------------------


def _fit_document(selection: Selection, read: _Data, probabilities: Array, seed: int, interrupted: bool) -> dict[str, Any]:
    """Everything that is known about a selection, as plain values."""
    from mixtura.model_file import component_summaries, summary

    rows = [{**row, "reason": _with_names(str(row["reason"]), read.names)} for row in selection.rows()]
    return {
        "source": read.table.source,
        "n_rows": len(read.X),
        "columns": list(read.names),
        "left_out": [{"column": name, "reason": reason} for name, reason in read.left_out],
        "criterion": selection.criterion,
        "lower_is_better": True,
        "random_state": seed,
        "interrupted": interrupted,
        "best": summary(selection.best),
        "runner_up": summary(selection.runner_up) if selection.runner_up else None,
        "components": component_summaries(_winner(selection), probabilities, read.names, UNSURE),
        "n_unsure": int((probabilities.max(axis=1) < UNSURE).sum()),
        "candidates": rows,
    }


def _report(out: _Plain, document: Mapping[str, Any]) -> None:
    """The whole story, for a person."""
    from mixtura.families import FAMILIES

    best, runner_up, criterion = document["best"], document["runner_up"], document["criterion"]
    _candidate_table(out, criterion, document["candidates"])
    for word, fitted in (("degenerate", True), ("could not be fitted", False)):
        which = [row for row in document["candidates"] if not row["eligible"] and isfinite(row["log_likelihood"]) is fitted]
        if which:
            reason = str(which[0]["reason"]).removeprefix("degenerate: ")
            out.say(f"{len(which)} {word}, so cannot win; for example {_title(which[0])}: {reason}")
    out.say(f"\nBest: {_title(best)}, {criterion.upper()} {best[criterion]:.3f} (lower is better)", style="bold")
    about = FAMILIES[best["family"]].summary
    out.say(f"  {about}; log-likelihood {best['log_likelihood']:.3f} with {best['n_parameters']} parameters")
    out.say(f"  {_counted(best['n_iter'], 'iteration')} of EM; {best['stop']}")
    if runner_up:
        gap = runner_up[criterion] - best[criterion]
        out.say(f"Runner-up: {_title(runner_up)}, {gap:.3f} higher{_strength(gap) if criterion == 'bic' else ''}")
    if document["interrupted"]:
        out.say("Interrupted by Ctrl-C: this is the best of the candidates fitted until then.", style="yellow")
    for component in document["components"]:
        unsure = f", {component['n_unsure']} of them unsure" if component["n_unsure"] else ""
        size = f"{100 * component['weight']:.1f} %, {_counted(component['n_rows'], 'row')}"
        out.say(f"\nComponent {component['component']}: {size}{unsure}", style="bold")
        out.say("  " + ", ".join(f"{name} {_with_spread(mean, component['sd'][name])}" for name, mean in component["mean"].items()))
    out.say(f"\n{document['n_unsure']} of {document['n_rows']} rows are unsure: their largest probability is below {UNSURE:g}.")
    out.say("\nWrote " + "\n      ".join(document["files"]))


def _candidate_table(out: _Plain, criterion: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """The best few."""
    shown = [row for row in rows if row["eligible"]][:SHOWN]
    title = f"\nThe best of {_counted(len(rows), 'candidate')} by {criterion.upper()} (lower is better)"
    heads = ("family", "components", criterion.upper(), "behind", "log-likelihood", "parameters", "converged")
    grid = _grid("", *heads, title=title)
    for place, row in enumerate(shown, start=1):
        value, behind = row[criterion], row[criterion] - shown[0][criterion]
        numbers = (f"{value:.3f}", f"{behind:.3f}" if behind else "", f"{row['log_likelihood']:.3f}", str(row["n_parameters"]))
        grid.add_row(str(place), row["family"], str(row["n_components"]), *numbers, "yes" if row["converged"] else "no")
    out.print(grid)


def _title(candidate: Mapping[str, Any]) -> str:
    """``EEE with 3 components``."""
    return f"{candidate['family']} with {_counted(candidate['n_components'], 'component')}"


def _counted(n: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n} {word}" + ("" if n == 1 else "s")


def _strength(gap: float) -> str:
    """What a difference in BIC says (Kass & Raftery 1995, p. 777)."""
    if gap < 2:
        return " (hardly a difference: the data leave both open)"
    return f" ({'some' if gap < 6 else 'strong' if gap < 10 else 'very strong'} evidence against it)"


def _with_spread(mean: float, deviation: float) -> str:
    """``54.5 ± 5.9``: two significant digits of the deviation, and the mean to the same place."""
    place = floor(log10(deviation)) if deviation > 0 else 0
    if place < -5 or place > 7:
        digits = max(2, floor(log10(abs(mean) or 1.0)) - place + 2)
        return f"{mean:.{min(digits, 17)}g} ± {deviation:.2g}"
    decimals = max(0, 1 - place)
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}"


@app.command
def predict(model: Path, data: str, /, *, output: Path | None = None, force: Force = False, json: Json = False) -> int:
    """Assign the rows of a table to the components of a saved model.

    Columns are matched by name: their order does not matter, and further columns are ignored.

    Parameters
    ----------
    model
        A model.safetensors that 'mixtura fit' wrote.
    data
        CSV or Parquet file with a header; - reads standard input.
    output
        CSV file for the memberships; stdout by default.
    """
    from mixtura.errors import DataError
    from mixtura.model_file import load_model
    from mixtura.tables import membership_columns, read_table, refuse_to_overwrite, write_csv, write_rows

    refuse_to_overwrite([output] if output else [], force)
    loaded = load_model(model)
    table = read_table(data)
    try:
        X, _, _ = table.numeric(loaded.feature_names)
    except DataError as error:
        raise DataError(f"{error} The model needs the columns {', '.join(map(repr, loaded.feature_names))}.") from None
    columns = membership_columns(loaded.mixture.posterior(X))
    if output:
        write_csv(output, columns)
    if json:
        _print_json({"source": table.source, "model": str(model), "n_rows": len(X), "family": loaded.family, **columns})
    elif not output:
        write_rows(sys.stdout, columns)
    return DONE


@app.command
def compare(data: str, /, *, columns: Columns = None, seed: Seed = 0, json: Json = False) -> int:
    """Show what K-Means, a Gaussian mixture and DBSCAN make of the same table.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    """
    from mixtura.compare import compare as compare_methods

    out, err = _Plain(quiet=json), _Plain(stderr=True)
    read = _read(data, columns, out)
    with _notes(err):
        rows = compare_methods(read.X, random_state=seed).rows()
    if json:
        _print_json({"source": read.table.source, "n_rows": len(read.X), "columns": read.names, "methods": rows})
    grid = _grid("", *(str(row["name"]) for row in rows), justify="left")
    for key in list(rows[0])[1:]:
        grid.add_row(key.replace("_", " "), *(_cell(row[key]) for row in rows))
    out.print(grid)
    return DONE


def _cell(value: object) -> str:
    """A value for a person."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)
