"""The command line: fit, test, predict, compare. Words and files, no algebra.

Exit codes: 0 done, 1 something is wrong with the data or a file, 2 the command line cannot be understood or would overwrite
a file, 130 Ctrl-C. What is asked for goes to stdout; progress, notes and errors go to stderr.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from math import ceil, floor, isfinite, log10
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from mixtura.console import Plain, grid, notes, print_json, progress_bar, silence_stdout

if TYPE_CHECKING:
    from mixtura.arrays import Array
    from mixtura.merging import MergeTree
    from mixtura.mixture import Mixture
    from mixtura.results import Candidate, Selection
    from mixtura.selector import GaussianMixtureSelector
    from mixtura.tables import Table

# NumPy, scikit-learn and Matplotlib are imported where they are used: --help is answered at once.

DONE, WRONG_DATA, MISUSE, INTERRUPTED = 0, 1, 2, 130

STANDARD_INPUT = "<standard input>"  # the table reader takes it for "-", which the parser takes for an option
UNSURE = 0.9  # a row whose largest probability is smaller is called unsure
SHOWN = 10  # candidates that are printed; all of them are in candidates.csv
FEW_VALUES, MANY_ROWS = 5, 30  # a column with so few values in so many rows is probably a category
MOST_ERRORS = 40  # rows of the table of standard errors that are printed; beyond them only weights and means

MEMBERSHIPS, MODEL, CANDIDATES, CRITERIA_TABLE = "memberships.csv", "model.safetensors", "candidates.csv", "criteria.csv"
CRITERIA_PICTURE, CLUSTERS, ERRORS, MERGING = "criteria.png", "clusters.png", "errors.csv", "merging.png"

RESULT_FILES = (MEMBERSHIPS, MODEL, CANDIDATES, CRITERIA_TABLE, CRITERIA_PICTURE, CLUSTERS)
"""What every fit writes."""

FURTHER_FILES = (ERRORS, MERGING)
"""What a fit writes when it is asked to. Of an earlier fit they do not stay beside the results of a later one."""

ErrorMethod = Literal["information", "scores", "sandwich", "bootstrap", "weighted", "parametric", "jackknife"]

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
        silence_stdout()
        return DONE
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


def _complain(message: str, code: int) -> int:
    """One clean paragraph on stderr."""
    print(f"mixtura: {message}", file=sys.stderr)
    return code


# ---- what the user asks for ----------------------------------------------------------------------------------------

Columns = Annotated[str | None, Parameter(help="Columns to use, with commas between them. By default all that can be clustered.")]
Seed = Annotated[int, Parameter(validator=Number(gte=0, lt=2**32), help="The same seed gives the same result.")]
Json = Annotated[bool, Parameter(help="Print one JSON document and nothing else to stdout.")]
Force = Annotated[bool, Parameter(help="Overwrite files that exist.")]
Threads = Annotated[
    int | None, Parameter(validator=Number(gte=1), help="Threads to use; they never change a result. All by default.")
]
Count = Annotated[int | None, Parameter(validator=Number(gte=1))]
AtLeastTwo = Annotated[int | None, Parameter(validator=Number(gte=2))]
Quiet = Annotated[bool, Parameter(alias="-q", help="Print nothing but notes and errors.")]


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


def _criterion_name(criterion: str) -> str:
    """One of the eleven names, in small letters, with underscores or dashes."""
    from mixtura.criteria import ALL_CRITERIA

    name = criterion.strip().lower().replace("-", "_")
    if name not in ALL_CRITERIA:
        near = difflib.get_close_matches(name, ALL_CRITERIA, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"--criterion {criterion!r} is not known.{guess} Known: {', '.join(ALL_CRITERIA)}; lower is better for each."
        )
    return name


def _merge_wish(merge: str | None) -> int | Literal["elbow"] | None:
    """``elbow`` or a number of clusters."""
    if merge is None:
        return None
    text = merge.strip().lower()
    if text == "elbow":
        return "elbow"
    if not re.fullmatch(r"\d+", text) or int(text) < 1:
        raise UsageError(f"--merge must be elbow or a number of clusters such as 2, but {merge!r} came.")
    return int(text)


@dataclass(frozen=True)
class _Wishes:
    """What is asked for beyond the selection itself."""

    seed: int
    bootstrap: int | None = None
    errors: ErrorMethod | None = None
    replicates: int | None = None
    level: float = 0.95
    merge: int | Literal["elbow"] | None = None


@dataclass(frozen=True)
class _Data:
    """The table, the numbers in it, and where they came from."""

    table: Table
    X: Array
    names: tuple[str, ...]
    left_out: list[tuple[str, str]]


def _read(data: str, columns: str | None, out: Plain) -> _Data:
    """Read a table and say which columns are used."""
    from mixtura.errors import DataError
    from mixtura.tables import read_table

    table = read_table(data)
    wanted = None if columns is None else [name.strip() for name in next(csv.reader([columns], skipinitialspace=True), [])]
    X, names, left_out = table.numeric(wanted)
    if len(X) < 2:
        raise DataError(f"{table.source}: expected at least two rows to cluster, but there is one. Give more rows.")
    constant = [name for name, values in zip(names, X.T, strict=True) if values.min() == values.max()]
    if constant:
        raise DataError(
            f"{table.source}: expected columns that tell rows apart, but {constant[0]!r} has the same value in every row. "
            "Leave it out of --columns."
        )
    out.say(f"{table.source}: {len(X)} rows; {_counted(len(names), 'column')} used: {', '.join(names)}")
    for name, reason in left_out if columns is None else []:
        out.say(f"left out: {name}, because it is {reason}")
    few = [
        name
        for name, values in zip(names, X.T, strict=True)
        if len(values) >= MANY_ROWS and len(set(values.tolist())) <= FEW_VALUES
    ]
    if few:
        out.say(
            f"mind: {', '.join(few)} with {FEW_VALUES} values or fewer; a category is no measurement, and --columns leaves it out"
        )
    return _Data(table, X, names, left_out)


@contextmanager
def _in_the_words_of(read: _Data) -> Iterator[None]:
    """Errors about ``column 2`` name the column and the file."""
    try:
        yield
    except ValueError as error:
        words = str(error).replace("; selection_ holds them all with their reasons:", ":")
        raise ValueError(f"{read.table.source}: {_with_names(words, read.names)}") from None


def _with_names(message: str, names: Sequence[str]) -> str:
    """A message about ``column 2`` in the words of the table."""
    named = {str(j): f"column {name!r}" for j, name in enumerate(names)}
    return re.sub(r"\bcolumn (\d+)\b", lambda found: named.get(found[1], found[0]), message)


# ---- fit -----------------------------------------------------------------------------------------------------------


@app.command
def fit(
    data: str,
    /,
    *,
    max_components: Count = None,
    components: str | None = None,
    families: str = "all",
    criterion: str = "bic",
    folds: AtLeastTwo = None,
    prior: Literal["conjugate"] | None = None,
    equal_weights: bool = False,
    eigenvalue_ratio: Annotated[float | None, Parameter(validator=Number(gte=1))] = None,
    bootstrap: Count = None,
    errors: ErrorMethod | None = None,
    replicates: AtLeastTwo = None,
    level: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.95,
    merge: str | None = None,
    columns: Columns = None,
    output: Path | None = None,
    force: Force = False,
    seed: Seed = 0,
    threads: Threads = None,
    starts: Count = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the clusters in a table: how many, of which shape, and which row belongs to which.

    Fits every covariance family with every number of components, keeps the best, explains it, and writes
    memberships.csv, model.safetensors, candidates.csv, criteria.csv, criteria.png and clusters.png; with --errors
    also errors.csv, with --merge also merging.png. The words are explained in docs/families.md, docs/choosing.md
    and docs/certainty.md.

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
        What decides, lower is better: bic, aic, icl, icl_entropy, aicc, sabic, clc, awe, nec, entropy, or cv
        (cross-validation).
    folds
        Cross-validate with this many folds, whatever decides; 10 for --criterion cv.
    prior
        conjugate: a weak prior that keeps components from collapsing (Fraley & Raftery 2007).
    equal_weights
        All components are equally large.
    eigenvalue_ratio
        The largest variance in any direction is at most this many times the smallest, in the units of the data.
    bootstrap
        Choose again on this many resamples of the rows: how sure are the number and the family?
    errors
        Standard errors and intervals of the chosen model: information is the usual way.
    replicates
        Refits for the errors by bootstrap, weighted, parametric (999) or jackknife (each row).
    level
        Of the intervals.
    merge
        Merge components into clusters of any shape: elbow finds how many, or give their number.
    output
        Folder for the results; by default NAME.mixtura here.
    starts
        Full runs from this many starts. By default eight short ones, the best to the end.
    """
    from mixtura.selector import GaussianMixtureSelector
    from mixtura.tables import folder_for_results, refuse_to_overwrite

    ks, family_names = _component_numbers(components, max_components), _family_names(families)
    wishes = _Wishes(seed, bootstrap, errors, replicates, level, _merge_wish(merge))
    if replicates is not None and errors not in ("bootstrap", "weighted", "parametric", "jackknife"):
        raise UsageError("--replicates are refits; add --errors bootstrap, weighted, parametric or jackknife.")
    settings: dict[str, Any] = {
        "criterion": _criterion_name(criterion),
        "folds": folds,
        "prior": prior,
        "equal_weights": equal_weights,
        "eigenvalue_ratio": eigenvalue_ratio,
        "n_init": starts,
    }
    folder = output or Path(f"{'stdin' if data == STANDARD_INPUT else Path(data).stem}.mixtura")
    refuse_to_overwrite([folder / name for name in (*RESULT_FILES, *FURTHER_FILES)], force)
    out, err, bars = Plain(quiet=json or quiet), Plain(stderr=True), Plain(stderr=True, quiet=quiet)
    read = _read(data, columns, out)
    if len(read.names) == 1 and families.strip().lower() == "all":  # with one column there are no shapes and axes to choose from
        family_names = [name for name in family_names if name.endswith("II")]
    selector = GaussianMixtureSelector(
        ks, families=family_names, **settings, random_state=seed, component_order="weight", n_threads=threads
    )
    with folder_for_results(folder), notes(err):
        selection, interrupted = _select(selector, read, bars, len(ks) * len(family_names))
        found = _Found(selection, _winner(selection).posterior(read.X))
        document = _fit_document(found, read, settings, seed, interrupted)
        if wishes.merge is not None:
            found.tree, document["merging"] = _merging(found, wishes)
        document["bootstrap"] = _how_sure(selector, read, bars, wishes, document)
        document["errors"] = _errors(selector, read, bars, wishes, document)
        names = _write_results(folder, found, read, document)
    document["files"] = [str(folder / name) for name in names]
    _report(out, document)
    if json:
        print_json(document)
    return INTERRUPTED if document["interrupted"] else DONE


@dataclass
class _Found:
    """The outcome of a fit that files and words are made of."""

    selection: Selection
    probabilities: Array
    tree: MergeTree | None = None


def _select(selector: GaussianMixtureSelector, read: _Data, err: Plain, total: int) -> tuple[Selection, bool]:
    """The selection, and whether Ctrl-C cut it short."""
    from mixtura.results import Selection, StopReason
    from mixtura.selection import DEFAULT_FOLDS

    done: list[Candidate] = []
    cut = False
    folds = selector.folds or (DEFAULT_FOLDS if selector.criterion == "cv" else 0)
    with progress_bar(err, "cross-validation" if folds else "fitting", folds or total) as move:

        def keep(candidate: Candidate) -> None:
            done.append(candidate)
            move(len(done), f"fitted {candidate.title}", total)
            if candidate.fit is not None and candidate.fit.stop is StopReason.INTERRUPTED:
                raise KeyboardInterrupt  # one Ctrl-C ends the whole selection, not only the cell it came into

        try:
            with _in_the_words_of(read):
                selection = selector.fit(read.X, callback=keep, on_fold=move if folds else None).selection_
        except KeyboardInterrupt:
            selection, cut = Selection(selector.criterion, tuple(done)), True
            if not selection.ranking:
                raise
    return selection, cut or len(selection.candidates) < total


def _winner(selection: Selection) -> Mixture:
    """The mixture that was chosen."""
    assert selection.best.fit is not None
    return selection.best.fit.mixture


# ---- what is asked for beyond the selection --------------------------------------------------------------------------


def _merging(found: _Found, wishes: _Wishes) -> tuple[MergeTree, dict[str, Any]]:
    """The tree of merges, and the clusters that were asked for; components and clusters count from 1."""
    from mixtura.merging import merge_tree

    tree = merge_tree(found.probabilities)
    by_elbow = wishes.merge == "elbow" or wishes.merge is None
    n_clusters = tree.elbow() if by_elbow else min(int(wishes.merge or 1), tree.n_components)
    asked = "" if by_elbow or n_clusters == wishes.merge else f" {wishes.merge} were asked for, but merging makes no new ones."
    document = {
        "chosen_by": "elbow" if by_elbow else "number",
        "n_clusters": n_clusters,
        "clusters": [[k + 1 for k in group] for group in tree.groups(n_clusters)],
        "entropies": {str(n): value for n, value in enumerate(tree.entropies.tolist(), start=1)},
        "merges": [{"pair": [k + 1 for k in merge.pair], "gain": merge.gain, "rows": merge.rows} for merge in tree.merges],
        "sentence": tree.sentence(n_clusters) + asked,
    }
    return tree, document


def _how_sure(
    selector: GaussianMixtureSelector, read: _Data, err: Plain, wishes: _Wishes, document: dict[str, Any]
) -> dict[str, Any] | None:
    """How often each number and family wins on resamples, or why that is not known."""
    if wishes.bootstrap is None:
        return None
    if document["interrupted"]:
        return {"refused": "not computed after Ctrl-C"}
    try:
        with progress_bar(err, "choosing again on resamples", wishes.bootstrap) as move:
            found = selector.bootstrap(read.X, n_resamples=wishes.bootstrap, on_resample=move)
    except ValueError as refusal:
        return {"refused": str(refusal)}
    except KeyboardInterrupt:
        document["interrupted"] = True
        return {"refused": "Ctrl-C came before the first resample was done"}
    document["interrupted"] = found.interrupted
    return {
        "n_resamples": len(found.winners),
        "criterion": found.criterion,
        "shares_of_k": found.shares_of_k,
        "shares_of_family": found.shares_of_family,
        "winners": found.rows(),
        "interrupted": found.interrupted,
        "sentence": found.sentence,
    }


def _errors(
    selector: GaussianMixtureSelector, read: _Data, err: Plain, wishes: _Wishes, document: dict[str, Any]
) -> dict[str, Any] | None:
    """Estimates with standard errors and intervals, or why there are none."""
    if wishes.errors is None:
        return None
    if document["interrupted"]:
        return {"method": wishes.errors, "refused": "not computed after Ctrl-C"}
    refits = wishes.errors not in ("information", "scores", "sandwich")
    total = wishes.replicates or (len(read.X) if wishes.errors == "jackknife" else 999)
    done = iter(range(1, 2**62))
    try:
        with progress_bar(err, "refits for the standard errors" if refits else "standard errors", total if refits else 1) as move:
            found = selector.best_estimator_.standard_errors(
                read.X, method=wishes.errors, n_replicates=wishes.replicates, on_replicate=lambda _: move(next(done))
            )
    except ValueError as refusal:
        return {"method": wishes.errors, "refused": _with_names(_counted_from_one(str(refusal)), read.names)}
    except KeyboardInterrupt:
        document["interrupted"] = True
        return {"method": wishes.errors, "refused": "Ctrl-C came before two refits were done"}
    document["interrupted"] = any(note.startswith("Interrupted") for note in found.notes)
    rows = found.rows(wishes.level, read.names)
    return {
        "method": wishes.errors,
        "level": wishes.level,
        "notes": list(found.notes),
        "parameters": [{**row, "component": "all" if row["component"] is None else _from_one(row["component"])} for row in rows],
    }


def _counted_from_one(message: str) -> str:
    """The library counts components from 0, people from 1."""
    return re.sub(r"\bcomponent (\d+)", lambda found: f"component {int(found[1]) + 1}", message)


def _from_one(component: object) -> int:
    """People count from 1."""
    assert isinstance(component, int)
    return component + 1


# ---- files -----------------------------------------------------------------------------------------------------------


def _write_results(folder: Path, found: _Found, read: _Data, document: Mapping[str, Any]) -> list[str]:
    """All files of a fit, each in one step; their names. Files of an earlier fit that this one does not have are taken away."""
    from mixtura.plots import plot_criteria, plot_mixture, save
    from mixtura.tables import replacing, write_csv

    selection, winner = found.selection, _winner(found.selection)
    write: dict[str, Callable[[Path], object]] = {
        MEMBERSHIPS: lambda path: write_csv(path, _memberships(found.probabilities, _clusters(document))),
        MODEL: lambda path: _save_model(path, selection, read, document),
        CANDIDATES: lambda path: write_csv(path, _by_column(document["candidates"])),
        CRITERIA_TABLE: lambda path: write_csv(path, _by_column(document["criteria"])),
        CRITERIA_PICTURE: lambda path: save(plot_criteria(selection), path),
        CLUSTERS: lambda path: save(plot_mixture(winner, read.X, columns=read.names), path),
    }
    if document["errors"] and "parameters" in document["errors"]:
        write[ERRORS] = lambda path: write_csv(path, _by_column(document["errors"]["parameters"]))
    if found.tree is not None:
        write[MERGING] = partial(_save_merging, found.tree, document["merging"]["n_clusters"])
    with ExitStack() as files:
        for name, into in write.items():
            into(files.enter_context(replacing(folder / name)))
    for name in set(FURTHER_FILES) - set(write):
        (folder / name).unlink(missing_ok=True)
    return list(write)


def _by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A table by columns."""
    return {key: [row[key] for row in rows] for key in rows[0]}


def _save_model(path: Path, selection: Selection, read: _Data, document: Mapping[str, Any]) -> None:
    """The mixture, and how it was found; with the clusters that its components make."""
    from mixtura.model_file import jsonable, save_model

    said = ("source", "n_rows", "criterion", "settings", "random_state", "interrupted", "best")
    metadata = {key: document[key] for key in said} | {"clusters": _clusters(document)}
    save_model(path, _winner(selection), family=selection.best.family, feature_names=read.names, metadata=jsonable(metadata))


def _save_merging(tree: MergeTree, n_clusters: int, path: Path) -> None:
    from mixtura.plots import plot_merging, save

    save(plot_merging(tree, n_clusters), path)


def _clusters(document: Mapping[str, Any]) -> list[list[int]] | None:
    """The components of each cluster, where they were merged."""
    return document["merging"]["clusters"] if document["merging"] else None


def _memberships(probabilities: Array, clusters: Sequence[Sequence[int]] | None) -> dict[str, Any]:
    """The columns of memberships.csv; those of merged clusters come last."""
    from mixtura.tables import cluster_columns, membership_columns

    return membership_columns(probabilities) | (cluster_columns(probabilities, clusters) if clusters else {})


# ---- what a fit says -----------------------------------------------------------------------------------------------


def _fit_document(found: _Found, read: _Data, settings: Mapping[str, Any], seed: int, interrupted: bool) -> dict[str, Any]:
    """Everything that is known about a selection, as plain values."""
    from mixtura.model_file import component_summaries, summary

    selection, probabilities = found.selection, found.probabilities
    return {
        "source": read.table.source,
        "n_rows": len(read.X),
        "columns": list(read.names),
        "left_out": [{"column": name, "reason": reason} for name, reason in read.left_out],
        "criterion": selection.criterion,
        "lower_is_better": True,
        "settings": {key: value for key, value in settings.items() if key != "criterion"},
        "random_state": seed,
        "interrupted": interrupted,
        "sentences": [_with_names(sentence, read.names) for sentence in selection.sentences],
        "best": summary(selection.best),
        "runner_up": summary(selection.runner_up) if selection.runner_up else None,
        "choices": {name: {"family": c.family, "n_components": c.n_components} for name, c in selection.choices().items()},
        "components": component_summaries(_winner(selection), probabilities, read.names, UNSURE),
        "n_unsure": int((probabilities.max(axis=1) < UNSURE).sum()),
        "candidates": _named_columns(selection.rows(), "reason", read),
        "criteria": _named_columns(selection.criteria_rows(), "notes", read),
        "merging": None,
        "bootstrap": None,
        "errors": None,
    }


def _named_columns(rows: Sequence[Mapping[str, object]], key: str, read: _Data) -> list[dict[str, Any]]:
    """Rows of a table, one of whose columns speaks of columns of the data."""
    return [{**row, key: _with_names(str(row[key]), read.names)} for row in rows]


def _report(out: Plain, document: Mapping[str, Any]) -> None:
    """The whole story, for a person."""
    from mixtura.families import FAMILIES

    best = document["best"]
    if any(row["eligible"] for row in document["candidates"]):
        _candidate_table(out, document["criterion"], document["candidates"])
        out.say(f"\n{document['sentences'][0]}", style="bold")
    else:
        out.say(f"\n{document['sentences'][0]} Kept, as the simplest: {_title(best)}.", style="bold")
    out.say(
        f"  {FAMILIES[best['family']].summary}; log-likelihood {best['log_likelihood']:.3f} with {best['n_parameters']} parameters"
    )
    out.say(f"  {_counted(best['n_iter'], 'iteration')} of EM; {best['stop']}")
    if best["certificate"]:
        out.say(f"  {best['certificate']['verdict']}", style=None if best["certificate"]["holds"] else "yellow")
    for sentence in document["sentences"][1:]:
        out.say(sentence)
    _say_choices(out, document)
    _say_more_is_open(out, document)
    if document["interrupted"]:
        out.say("Interrupted by Ctrl-C: what was done until then is kept.", style="yellow")
    if document["bootstrap"]:
        out.say(document["bootstrap"].get("sentence") or f"No bootstrap of the choice: {document['bootstrap']['refused']}")
    for component in document["components"]:
        unsure = f", {component['n_unsure']} of them unsure" if component["n_unsure"] else ""
        size = f"{100 * component['weight']:.1f} %, {_counted(component['n_rows'], 'row')}"
        out.say(f"\nComponent {component['component']}: {size}{unsure}", style="bold")
        out.say("  " + ", ".join(f"{name} {_with_spread(mean, component['sd'][name])}" for name, mean in component["mean"].items()))
    out.say(f"\n{document['n_unsure']} of {document['n_rows']} rows are unsure: their largest probability is below {UNSURE:g}.")
    if document["merging"]:
        out.say(f"\nMerged: {document['merging']['sentence']}")
    if document["errors"]:
        _say_errors(out, document["errors"])
    out.say("\nWrote " + "\n      ".join(document["files"]))


def _candidate_table(out: Plain, criterion: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """The best few."""
    from mixtura.results import title_of

    shown = [row for row in rows if row["eligible"]][:SHOWN]
    title = f"\nThe best of {_counted(len(rows), 'candidate')} by {title_of(criterion)} (lower is better)"
    heads = ("family", "components", title_of(criterion), "behind", "log-likelihood", "parameters", "converged")
    table = grid("", *heads, title=title)
    for place, row in enumerate(shown, start=1):
        value, behind = row[criterion], row[criterion] - shown[0][criterion]
        numbers = (f"{value:.3f}", f"{behind:.3f}" if behind else "", f"{row['log_likelihood']:.3f}", str(row["n_parameters"]))
        table.add_row(str(place), row["family"], str(row["n_components"]), *numbers, "yes" if row["converged"] else "no")
    out.print(table)


def _say_choices(out: Plain, document: Mapping[str, Any]) -> None:
    """What other criteria would choose, those of one mind together."""
    from mixtura.results import title_of

    minds: dict[str, list[str]] = {}
    for name, choice in document["choices"].items():
        if name != document["criterion"]:
            minds.setdefault(f"{choice['family']} with {choice['n_components']}", []).append(title_of(name))
    if minds:
        out.say("Others would choose: " + "; ".join(f"{choice} by {', '.join(names)}" for choice, names in minds.items()) + ".")


def _say_more_is_open(out: Plain, document: Mapping[str, Any]) -> None:
    """The best number is the largest one tried: a larger one may be better."""
    tried = {row["n_components"] for row in document["candidates"]}
    best = document["best"]["n_components"]
    if len(tried) > 1 and best == max(tried) and not document["interrupted"]:
        out.say(f"{best} is the largest number tried; a larger one may be better (--max-components {2 * best}).", style="yellow")


def _say_errors(out: Plain, errors: Mapping[str, Any]) -> None:
    """The table of standard errors, or why there is none."""
    if "refused" in errors:
        reason = str(errors["refused"]).removeprefix("no standard errors: ")
        out.say(f"\nNo standard errors ({errors['method']}): {reason}", style="yellow")
        return
    rows, percent = errors["parameters"], f"{100 * errors['level']:g} %"
    shown = rows if len(rows) <= MOST_ERRORS else [row for row in rows if "ariance" not in row["parameter"]]
    title = f"\nStandard errors ({errors['method']}) and {percent} intervals"
    table = grid("component", "parameter", "estimate", "error", f"{percent} from", "to", title=title)
    for row in shown:
        numbers = (_to_the_place_of(row["se"], row[key]) for key in ("estimate", "se", "low", "high"))
        table.add_row(str(row["component"]), row["parameter"], *numbers)
    out.print(table)
    if len(shown) < len(rows):
        out.say(f"{len(rows) - len(shown)} variances and covariances are in {ERRORS}.")
    for note in errors["notes"]:
        out.say(note)


def _title(candidate: Mapping[str, Any]) -> str:
    """``EEE with 3 components``."""
    return f"{candidate['family']} with {_counted(candidate['n_components'], 'component')}"


def _counted(n: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n} {word}" + ("" if n == 1 else "s")


def _with_spread(mean: float, deviation: float) -> str:
    """``54.5 ± 5.9``: two significant digits of the deviation, and the mean to the same place."""
    return f"{_to_the_place_of(deviation, mean)} ± {_to_the_place_of(deviation, deviation)}"


def _to_the_place_of(deviation: float, value: float) -> str:
    """A number as far as two significant digits of its deviation reach."""
    place = floor(log10(deviation)) if deviation > 0 and isfinite(deviation) else 0
    if place < -5 or place > 7:
        digits = max(2, floor(log10(abs(value) or 1.0)) - place + 2)
        return f"{value:.{min(digits, 17)}g}"
    return f"{value:.{max(0, 1 - place)}f}"


# ---- test ------------------------------------------------------------------------------------------------------------


@app.command(name="test")
def likelihood_ratio(
    data: str,
    /,
    *,
    family: str = "VVV",
    first: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    most: Annotated[int, Parameter(validator=Number(gte=1))] = 9,
    level: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.05,
    replicates: Annotated[int, Parameter(validator=Number(gte=1))] = 199,
    columns: Columns = None,
    seed: Seed = 0,
    threads: Threads = None,
    starts: Annotated[int, Parameter(validator=Number(gte=1))] = 4,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Test K components against K + 1, for K = 1, 2, ... until a test does not reject.

    Likelihood ratio tests whose distribution is simulated (McLachlan 1987). Ctrl-C keeps the tests and replicates that
    are done.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    family
        The covariance family of all tests, such as VVV.
    first
        The first K.
    most
        The last K: one component more is fitted, too.
    level
        A K is rejected when its p-value is at most this.
    replicates
        Data sets simulated for each test; the smallest p-value is 1 / (1 + replicates).
    starts
        Starts of each fit, beside those from its smaller neighbour.
    """
    from mixtura.likelihood_ratio import LikelihoodRatioTest, SequentialTest, sequential_likelihood_ratio_test

    families = _family_names(family)
    if len(families) != 1:
        raise UsageError(f"--family must be one family such as VVV, but {family!r} came.")
    if most < first:
        raise UsageError(f"--most must be at least --first = {first}, but {most} came.")
    needed = ceil(1 / level - 1e-9) - 1
    if replicates < needed:
        raise UsageError(
            f"with {replicates} replicates no p-value is as small as --level {level:g}. Give --replicates {needed} or more."
        )
    out, err, bars = Plain(quiet=json or quiet), Plain(stderr=True), Plain(stderr=True, quiet=quiet)
    read = _read(data, columns, out)
    done: list[LikelihoodRatioTest] = []
    cut = False
    with notes(err), _in_the_words_of(read):
        try:
            with progress_bar(bars, f"{first} against {first + 1} components", replicates) as move:
                tests = sequential_likelihood_ratio_test(
                    read.X,
                    most,
                    families[0],
                    first=first,
                    level=level,
                    n_replicates=replicates,
                    n_starts=starts,
                    random_state=seed,
                    n_threads=threads,
                    on_replicate=lambda K, count: move(count, f"{K} against {K + 1} components"),
                    on_test=done.append,
                )
        except KeyboardInterrupt:
            if not done:
                raise
            tests, cut = SequentialTest(tuple(done), level), True
    cut = cut or tests.tests[-1].interrupted
    document = {
        "source": read.table.source,
        "n_rows": len(read.X),
        "columns": list(read.names),
        "family": families[0],
        "level": level,
        "random_state": seed,
        "interrupted": cut,
        "n_components": tests.n_components,
        "sentence": tests.sentence,
        "tests": [{**row, "standard_error": t.standard_error} for row, t in zip(tests.rows(), tests.tests, strict=True)],
    }
    _report_tests(out, document)
    if json:
        print_json(document)
    return INTERRUPTED if cut else DONE


def _report_tests(out: Plain, document: Mapping[str, Any]) -> None:
    """A row for each test, and the answer."""
    title = f"\nIs one more component worth it? {document['family']}, likelihood ratio tests"
    table = grid("components", "against", "2 log ratio", "p-value", "± (simulation)", "replicates", "failed", title=title)
    for row in document["tests"]:
        known = isfinite(row["p_value"])
        p = (f"{row['p_value']:.3g}", f"{row['standard_error']:.2g}") if known else ("-", "-")
        statistic = f"{row['statistic']:.2f}" if isfinite(row["statistic"]) else "-"
        table.add_row(str(row["n_components"]), str(row["against"]), statistic, *p, str(row["replicates"]), str(row["failed"]))
    out.print(table)
    out.say(f"\n{document['sentence']}", style="bold")
    if document["interrupted"]:
        out.say("Interrupted by Ctrl-C: what was done until then is kept.", style="yellow")


# ---- predict ---------------------------------------------------------------------------------------------------------


@app.command
def predict(model: Path, data: str, /, *, output: Path | None = None, force: Force = False, json: Json = False) -> int:
    """Assign the rows of a table to the components of a saved model, and to the clusters they were merged into.

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
    from mixtura.tables import read_table, refuse_to_overwrite, write_csv, write_rows

    refuse_to_overwrite([output] if output else [], force)
    loaded = load_model(model)
    table = read_table(data)
    try:
        X, _, _ = table.numeric(loaded.feature_names)
    except DataError as error:
        raise DataError(f"{error} The model needs the columns {', '.join(map(repr, loaded.feature_names))}.") from None
    columns = _memberships(loaded.mixture.posterior(X), loaded.clusters)
    if output:
        write_csv(output, columns)
    if json:
        print_json({"source": table.source, "model": str(model), "n_rows": len(X), "family": loaded.family, **columns})
    elif not output:
        write_rows(sys.stdout, columns)
    return DONE


# ---- compare ---------------------------------------------------------------------------------------------------------


@app.command
def compare(data: str, /, *, columns: Columns = None, seed: Seed = 0, json: Json = False) -> int:
    """Show what K-Means, a Gaussian mixture and DBSCAN make of the same table.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    """
    from mixtura.compare import compare as compare_methods

    out, err = Plain(quiet=json), Plain(stderr=True)
    read = _read(data, columns, out)
    with notes(err):
        rows = compare_methods(read.X, random_state=seed).rows()
    if json:
        print_json({"source": read.table.source, "n_rows": len(read.X), "columns": read.names, "methods": rows})
    table = grid("", *(str(row["name"]) for row in rows), justify="left")
    for key in list(rows[0])[1:]:
        table.add_row(key.replace("_", " "), *(_cell(row[key]) for row in rows))
    out.print(table)
    return DONE


def _cell(value: object) -> str:
    """A value for a person."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)
