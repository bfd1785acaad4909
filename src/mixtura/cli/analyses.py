"""Analyses after the selection: merged clusters, a bootstrap of the choice, standard errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import PlainConsole, progress_bar
from mixtura.cli.data import with_column_names
from mixtura.cli.exit_codes import UsageError
from mixtura.cli.interruption import Interruption
from mixtura.cli.options import AtLeastTwo, Count, merge_option
from mixtura.cli.selection import FitOutcome, chosen_mixture, fitted_dataset

if TYPE_CHECKING:
    from mixtura.inputs.table_data import TableData
    from mixtura.selection.merging import MergeTree
    from mixtura.selection.settings import SelectionSettings

ErrorMethod = Literal[
    "information", "scores", "sandwich", "bootstrap", "weighted", "parametric", "jackknife"
]


@Parameter(name="*")
@dataclass(frozen=True)
class AnalysisOptions:
    """The options of the analyses, as typed."""

    bootstrap: Count = None
    """Repeat the choice on this many resamples of the rows: how certain are K and the family?"""

    errors: ErrorMethod | None = None
    """Standard errors and intervals of the chosen model; information is the usual method."""

    replicates: AtLeastTwo = None
    """Refits for --errors bootstrap, weighted or parametric (999 by default) or jackknife (by
    default one for each row).
    """

    level: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.95
    """Confidence level of the intervals."""

    merge: str | None = None
    """Merge components into clusters of any shape: elbow finds the number of clusters, or give the
    number.
    """

    @property
    def refits(self) -> bool:
        """Whether the errors come from refits."""
        return self.errors in ("bootstrap", "weighted", "parametric", "jackknife")

    def check(self) -> None:
        """Raise an error for contradictory options, before a file is read."""
        merge_option(self.merge)
        if self.replicates is not None and not self.refits:
            raise UsageError(
                "--replicates counts refits, so it needs --errors bootstrap, weighted, parametric "
                "or jackknife."
            )


NO_ANALYSES = AnalysisOptions()
"""The default."""


def merging(found: FitOutcome, analyses: AnalysisOptions) -> tuple[MergeTree, dict[str, Any]]:
    """The tree of merges, and the requested clusters as part of the document."""
    from mixtura.selection.merging import merge_tree

    K = chosen_mixture(found.selection).n_components
    tree = merge_tree(found.probabilities[:, :K])
    number = merge_option(analyses.merge)
    n_clusters = min(number, tree.n_components) if isinstance(number, int) else tree.elbow()
    asked = (
        f" {number} clusters were requested, but merging cannot create new ones."
        if isinstance(number, int) and n_clusters < number
        else ""
    )
    document = {
        "chosen_by": "number" if isinstance(number, int) else "elbow",
        "n_clusters": n_clusters,
        "clusters": [list(group) for group in tree.groups(n_clusters)],
        "entropies": {str(n): value for n, value in enumerate(tree.entropies.tolist(), start=1)},
        "merges": [
            {"pair": list(merge.pair), "gain": merge.gain, "rows": merge.rows}
            for merge in tree.merges
        ],
        "sentence": tree.sentence(n_clusters) + asked,
    }
    return tree, document


def bootstrap_of_choice(
    asked: SelectionSettings,
    found: FitOutcome,
    read: TableData,
    err: PlainConsole,
    analyses: AnalysisOptions,
    document: dict[str, Any],
    interruption: Interruption,
) -> dict[str, Any] | None:
    """How often each K and family wins on resamples, or why that is not known."""
    if analyses.bootstrap is None:
        return None
    from mixtura.selection.settings import selected_again

    if document["interrupted"]:
        return {"refused": f"not computed after {interruption.cause.value}"}
    try:
        bar = progress_bar(err, "bootstrap of the choice", analyses.bootstrap, "resamples")
        with interruption.handler.interruptible(), bar as progress:
            choice = selected_again(
                asked,
                fitted_dataset(asked, read),
                found.selection,
                n_resamples=analyses.bootstrap,
                on_resample=progress,
            )
    except ValueError as refusal:
        return {"refused": str(refusal)}
    except KeyboardInterrupt:
        document["interrupted"] = True
        cause = interruption.cause.value
        return {"refused": f"interrupted by {cause} before the first resample was done"}
    document["interrupted"] = choice.interrupted
    return {
        "n_resamples": len(choice.winners),
        "criterion": choice.criterion,
        "shares_of_k": choice.shares_of_k,
        "shares_of_family": choice.shares_of_family,
        "winners": choice.rows(),
        "interrupted": choice.interrupted,
        "sentence": choice.sentence,
    }


def standard_errors(
    asked: SelectionSettings,
    found: FitOutcome,
    read: TableData,
    err: PlainConsole,
    analyses: AnalysisOptions,
    document: dict[str, Any],
    interruption: Interruption,
) -> dict[str, Any] | None:
    """Estimates with standard errors and intervals, or why there are none."""
    if analyses.errors is None:
        return None
    from mixtura.estimators.selector import estimator_of

    if document["interrupted"]:
        return {
            "method": analyses.errors,
            "refused": f"not computed after {interruption.cause.value}",
        }
    total = analyses.replicates or (
        int(read.fitted.sum()) if analyses.errors == "jackknife" else 999
    )
    words = "refits for the standard errors" if analyses.refits else "standard errors"
    done = iter(range(1, 2**62))
    try:
        bar = progress_bar(err, words, total if analyses.refits else 1, words)
        with interruption.handler.interruptible(), bar as progress:
            errors = estimator_of(asked, found.selection, read.X.dtype).standard_errors(
                read.X[read.fitted],
                read.fitted_weights,
                method=analyses.errors,
                n_replicates=analyses.replicates,
                labels=read.fitted_labels,
                on_replicate=lambda _: progress(next(done)),
            )
    except ValueError as refusal:
        return {"method": analyses.errors, "refused": with_column_names(str(refusal), read.names)}
    except KeyboardInterrupt:
        document["interrupted"] = True
        return {
            "method": analyses.errors,
            "refused": f"interrupted by {interruption.cause.value} before two refits were done",
        }
    document["interrupted"] = any(note.startswith("Interrupted") for note in errors.notes)
    rows = errors.rows(analyses.level, read.names)
    return {
        "method": analyses.errors,
        "level": analyses.level,
        "notes": list(errors.notes),
        "parameters": [
            {**row, "component": "all" if row["component"] is None else row["component"]}
            for row in rows
        ],
    }
