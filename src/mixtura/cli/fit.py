"""mixtura fit: the clusters of a table, explained and written to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.beyond import ErrorMethod, Wishes, how_sure, merging, standard_errors
from mixtura.cli.data import STANDARD_INPUT, read_data
from mixtura.cli.endings import DONE, INTERRUPTED, UsageError
from mixtura.cli.options import (
    AtLeastTwo,
    Columns,
    Count,
    Force,
    Json,
    Quiet,
    Seed,
    Threads,
    component_numbers,
    criterion_name,
    family_names,
    merge_wish,
)
from mixtura.cli.result_files import FURTHER_FILES, RESULT_FILES, write_results
from mixtura.cli.selecting import Found, select, winner
from mixtura.cli.story import fit_document, report
from mixtura.console import Plain, notes, print_json


def run(
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

    ks, names = component_numbers(components, max_components), family_names(families)
    wishes = Wishes(seed, bootstrap, errors, replicates, level, merge_wish(merge))
    if replicates is not None and errors not in ("bootstrap", "weighted", "parametric", "jackknife"):
        raise UsageError("--replicates are refits; add --errors bootstrap, weighted, parametric or jackknife.")
    settings: dict[str, Any] = {
        "criterion": criterion_name(criterion),
        "folds": folds,
        "prior": prior,
        "equal_weights": equal_weights,
        "eigenvalue_ratio": eigenvalue_ratio,
        "n_init": starts,
    }
    folder = output or Path(f"{'stdin' if data == STANDARD_INPUT else Path(data).stem}.mixtura")
    refuse_to_overwrite([folder / name for name in (*RESULT_FILES, *FURTHER_FILES)], force)
    out, err, bars = Plain(quiet=json or quiet), Plain(stderr=True), Plain(stderr=True, quiet=quiet)
    read = read_data(data, columns, out)
    if len(read.names) == 1 and families.strip().lower() == "all":  # with one column there are no shapes and axes to choose from
        names = [name for name in names if name.endswith("II")]
    selector = GaussianMixtureSelector(
        ks, families=names, **settings, random_state=seed, component_order="weight", n_threads=threads
    )
    with folder_for_results(folder), notes(err):
        selection, interrupted = select(selector, read, bars, len(ks) * len(names))
        found = Found(selection, winner(selection).posterior(read.X))
        document = fit_document(found, read, settings, seed, interrupted)
        if wishes.merge is not None:
            found.tree, document["merging"] = merging(found, wishes)
        document["bootstrap"] = how_sure(selector, read, bars, wishes, document)
        document["errors"] = standard_errors(selector, read, bars, wishes, document)
        written = write_results(folder, found, read, document)
    document["files"] = [str(folder / name) for name in written]
    report(out, document)
    if json:
        print_json(document)
    return INTERRUPTED if document["interrupted"] else DONE
