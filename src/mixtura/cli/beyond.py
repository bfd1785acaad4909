"""What may be asked for beyond the selection: merged clusters, how sure the choice is, standard
errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.calling_off import Call
from mixtura.cli.console import Plain, progress_bar
from mixtura.cli.data import Data, with_names
from mixtura.cli.endings import UsageError
from mixtura.cli.options import AtLeastTwo, Count, merge_wish
from mixtura.cli.selecting import Found

if TYPE_CHECKING:
    from mixtura.selection.merging import MergeTree
    from mixtura.selection.settings import SelectionSettings

ErrorMethod = Literal[
    "information", "scores", "sandwich", "bootstrap", "weighted", "parametric", "jackknife"
]


@Parameter(name="*")
@dataclass(frozen=True)
class Wishes:
    """What is asked for beyond the selection itself, as it was typed."""

    bootstrap: Count = None
    """Choose again on this many resamples of the rows: how sure are the number and the family?"""

    errors: ErrorMethod | None = None
    """Standard errors and intervals of the chosen model: information is the usual way."""

    replicates: AtLeastTwo = None
    """Refits for the errors by bootstrap, weighted, parametric (999) or jackknife (each row)."""

    level: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.95
    """Of the intervals."""

    merge: str | None = None
    """Merge components into clusters of any shape: elbow finds how many, or give their number."""

    @property
    def refits(self) -> bool:
        """Whether the errors come from refits."""
        return self.errors in ("bootstrap", "weighted", "parametric", "jackknife")

    def check(self) -> None:
        """Refuse what makes no sense before a file is read."""
        merge_wish(self.merge)
        if self.replicates is not None and not self.refits:
            raise UsageError(
                "--replicates are refits; add --errors bootstrap, weighted, parametric or "
                "jackknife."
            )


NOTHING = Wishes()
"""What is asked for when nothing is said."""


def merging(found: Found, wishes: Wishes) -> tuple[MergeTree, dict[str, Any]]:
    """The tree of merges, and the clusters that were asked for."""
    from mixtura.selection.merging import merge_tree

    tree = merge_tree(found.probabilities)
    wish = merge_wish(wishes.merge)
    n_clusters = min(wish, tree.n_components) if isinstance(wish, int) else tree.elbow()
    asked = (
        f" {wish} were asked for, but merging makes no new ones."
        if isinstance(wish, int) and n_clusters < wish
        else ""
    )
    document = {
        "chosen_by": "number" if isinstance(wish, int) else "elbow",
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


def how_sure(
    asked: SelectionSettings,
    found: Found,
    read: Data,
    err: Plain,
    wishes: Wishes,
    document: dict[str, Any],
    call: Call,
) -> dict[str, Any] | None:
    """How often each number and family wins on resamples, or why that is not known."""
    if wishes.bootstrap is None:
        return None
    from mixtura.inputs.rows import dataset_of
    from mixtura.selection.settings import selected_again

    if document["interrupted"]:
        return {"refused": f"not computed after {call.cause.value}"}
    try:
        bar = progress_bar(err, "choosing again on resamples", wishes.bootstrap, "resamples")
        with call.listener.may_be_cut_short(), bar as move:
            dataset = dataset_of(read.X, None, asked.backend, asked.n_threads)
            choice = selected_again(
                asked, dataset, found.selection, n_resamples=wishes.bootstrap, on_resample=move
            )
    except ValueError as refusal:
        return {"refused": str(refusal)}
    except KeyboardInterrupt:
        document["interrupted"] = True
        return {"refused": f"{call.cause.value} came before the first resample was done"}
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
    found: Found,
    read: Data,
    err: Plain,
    wishes: Wishes,
    document: dict[str, Any],
    call: Call,
) -> dict[str, Any] | None:
    """Estimates with standard errors and intervals, or why there are none."""
    if wishes.errors is None:
        return None
    from mixtura.estimators.selector import estimator_of

    if document["interrupted"]:
        return {"method": wishes.errors, "refused": f"not computed after {call.cause.value}"}
    total = wishes.replicates or (len(read.X) if wishes.errors == "jackknife" else 999)
    words = "refits for the standard errors" if wishes.refits else "standard errors"
    done = iter(range(1, 2**62))
    try:
        bar = progress_bar(err, words, total if wishes.refits else 1, words)
        with call.listener.may_be_cut_short(), bar as move:
            errors = estimator_of(asked, found.selection, read.X.dtype).standard_errors(
                read.X,
                method=wishes.errors,
                n_replicates=wishes.replicates,
                on_replicate=lambda _: move(next(done)),
            )
    except ValueError as refusal:
        return {"method": wishes.errors, "refused": with_names(str(refusal), read.names)}
    except KeyboardInterrupt:
        document["interrupted"] = True
        return {
            "method": wishes.errors,
            "refused": f"{call.cause.value} came before two refits were done",
        }
    document["interrupted"] = any(note.startswith("Interrupted") for note in errors.notes)
    rows = errors.rows(wishes.level, read.names)
    return {
        "method": wishes.errors,
        "level": wishes.level,
        "notes": list(errors.notes),
        "parameters": [
            {**row, "component": "all" if row["component"] is None else row["component"]}
            for row in rows
        ],
    }
