"""A selection with a progress bar, which keeps the candidates that are done when interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from mixtura.cli.console import PlainConsole, progress_bar
from mixtura.cli.data import errors_with_column_names
from mixtura.cli.interruption import Interruption

if TYPE_CHECKING:
    from mixtura.base.arrays import Array
    from mixtura.data.dataset import Dataset
    from mixtura.distribution.mixture import Mixture
    from mixtura.inputs.table_data import TableData
    from mixtura.model.selection import Candidate, Selection
    from mixtura.selection.merging import MergeTree
    from mixtura.selection.settings import SelectionSettings


@dataclass
class FitOutcome:
    """The selection of a fit command, with what its files and its summary need.

    Attributes
    ----------
    selection : Selection
    probabilities : (n,K)
        Memberships under the chosen mixture, and last those of a noise term.
    tree : MergeTree, optional
        How its components merge, where --merge was given.
    """

    selection: Selection
    probabilities: Array
    tree: MergeTree | None = None


def select(
    settings: SelectionSettings,
    read: TableData,
    err: PlainConsole,
    total: int,
    interruption: Interruption,
) -> tuple[Selection, bool]:
    """The selection, and whether it was interrupted."""
    from mixtura.model.fit_result import StopReason
    from mixtura.model.selection import Selection, Stage
    from mixtura.selection.select import DEFAULT_FOLDS
    from mixtura.selection.settings import candidates_of, selection_of, warn_of
    from mixtura.selection.two_stages import may_win

    done: dict[tuple[str, int], Candidate] = {}
    searched: set[tuple[str, int]] = set()
    telling, cut = Lock(), False
    folds = settings.folds or (DEFAULT_FOLDS if settings.criterion == "cv" else 0)
    with progress_bar(
        err,
        "cross-validation" if folds else "fitting",
        folds or total,
        "folds" if folds else "candidates",
    ) as progress:

        def keep(candidate: Candidate) -> None:
            key = (candidate.family, candidate.n_components)
            words = f"{candidate.stage.value}: {candidate.title}"
            with telling:  # candidates come from several threads
                again = key in done
                done[key] = candidate
                if again and candidate.stage is Stage.SEARCHED:
                    searched.add(key)
                    left = len(may_win(settings.criterion, done.values()))
                    progress(len(searched), words, len(searched) + left, "searches")
                elif not searched:
                    progress(len(done), words, total, "candidates")
            if candidate.fit is not None and candidate.fit.stop is StopReason.INTERRUPTED:
                # One signal ends the whole selection, not only the candidate it came into.
                raise KeyboardInterrupt

        try:
            with errors_with_column_names(read):
                candidates = candidates_of(settings)
                selection = selection_of(
                    settings,
                    *candidates,
                    fitted_dataset(settings, read),
                    keep,
                    progress if folds else None,
                )
                warn_of(selection)
        except KeyboardInterrupt:
            selection, cut = Selection(settings.criterion, tuple(done.values())), True
            if not selection.ranking:
                raise
    return selection, cut or interruption.handler.cause is not None or selection.interrupted


def fitted_dataset(settings: SelectionSettings, read: TableData) -> Dataset:
    """The rows that a fit uses, with their weights and known classes."""
    from mixtura.inputs.rows import check_range, checked_weights, dataset_of

    X, n = read.X[read.fitted], int(read.fitted.sum())
    weights = checked_weights(read.fitted_weights, n)
    check_range(X, read.names, 1.0 if weights is None else float(weights.mean()))
    return dataset_of(X, weights, settings.backend, settings.n_threads, read.known)


def chosen_mixture(selection: Selection) -> Mixture:
    """The mixture that was chosen."""
    assert selection.best.fit is not None
    return selection.best.fit.mixture
