"""A selection with a progress bar, which ends with what is done when it is called off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtura.cli.calling_off import Call
from mixtura.cli.console import Plain, progress_bar
from mixtura.cli.data import Data, in_the_words_of

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.model.mixture import Mixture
    from mixtura.model.selection import Candidate, Selection
    from mixtura.selection.merging import MergeTree
    from mixtura.selection.settings import SelectionSettings


@dataclass
class Found:
    """The outcome of a fit that files and words are made of."""

    selection: Selection
    probabilities: Array
    tree: MergeTree | None = None


def select(
    settings: SelectionSettings, read: Data, err: Plain, total: int, call: Call
) -> tuple[Selection, bool]:
    """The selection, and whether it was cut short."""
    from mixtura.inputs.rows import check_range, dataset_of
    from mixtura.model.fit_result import StopReason
    from mixtura.model.selection import Selection, Stage
    from mixtura.selection.select import DEFAULT_FOLDS
    from mixtura.selection.settings import candidates_of, selection_of, warn_of
    from mixtura.selection.two_stages import may_win

    done: dict[tuple[str, int], Candidate] = {}
    searched: set[tuple[str, int]] = set()
    cut = False
    folds = settings.folds or (DEFAULT_FOLDS if settings.criterion == "cv" else 0)
    with progress_bar(
        err,
        "cross-validation" if folds else "fitting",
        folds or total,
        "folds" if folds else "candidates",
    ) as move:

        def keep(candidate: Candidate) -> None:
            key, words = (
                (candidate.family, candidate.n_components),
                f"{candidate.stage.value}: {candidate.title}",
            )
            again = key in done
            done[key] = candidate
            if again and candidate.stage is Stage.SEARCHED:
                searched.add(key)
                move(
                    len(searched),
                    words,
                    len(searched) + len(may_win(settings.criterion, done.values())),
                    "searches",
                )
            elif not searched:
                move(len(done), words, total, "candidates")
            if candidate.fit is not None and candidate.fit.stop is StopReason.INTERRUPTED:
                # one call ends the whole selection, not only the cell it came into
                raise KeyboardInterrupt

        try:
            with in_the_words_of(read):
                candidates = candidates_of(settings)
                check_range(read.X, read.names)
                dataset = dataset_of(read.X, None, settings.backend, settings.n_threads)
                selection = selection_of(
                    settings, *candidates, dataset, keep, move if folds else None
                )
                warn_of(selection)
        except KeyboardInterrupt:
            selection, cut = Selection(settings.criterion, tuple(done.values())), True
            if not selection.ranking:
                raise
    return selection, cut or call.listener.cause is not None or selection.interrupted


def winner(selection: Selection) -> Mixture:
    """The mixture that was chosen."""
    assert selection.best.fit is not None
    return selection.best.fit.mixture
