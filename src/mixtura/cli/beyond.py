"""What may be asked for beyond the selection: merged clusters, how sure the choice is, standard errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mixtura.cli.data import Data, with_names
from mixtura.cli.selecting import Found
from mixtura.console import Plain, progress_bar

if TYPE_CHECKING:
    from mixtura.merging import MergeTree
    from mixtura.selector import GaussianMixtureSelector

ErrorMethod = Literal["information", "scores", "sandwich", "bootstrap", "weighted", "parametric", "jackknife"]


@dataclass(frozen=True)
class Wishes:
    """What is asked for beyond the selection itself."""

    seed: int
    bootstrap: int | None = None
    errors: ErrorMethod | None = None
    replicates: int | None = None
    level: float = 0.95
    merge: int | Literal["elbow"] | None = None


def merging(found: Found, wishes: Wishes) -> tuple[MergeTree, dict[str, Any]]:
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


def how_sure(
    selector: GaussianMixtureSelector, read: Data, err: Plain, wishes: Wishes, document: dict[str, Any]
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


def standard_errors(
    selector: GaussianMixtureSelector, read: Data, err: Plain, wishes: Wishes, document: dict[str, Any]
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
        return {"method": wishes.errors, "refused": with_names(_counted_from_one(str(refusal)), read.names)}
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
