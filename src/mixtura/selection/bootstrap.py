"""The uncertainty of a selection: the same selection on bootstrap resamples of the rows.

The shares of resamples on which each K and each family wins measure how much the choice depends on
the sample. A resample is the data with multinomial weights, so no row is copied; every candidate
starts from the fit to all rows and from a few new starts of the resample.

A resample holds about 63 % of the rows, some of them several times, and several equal rows resemble
a small cluster. So resamples choose somewhat more components than new data would: the shares show
how easily the choice changes, and are no probabilities of the true K.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from mixtura.data.dataset import Dataset
from mixtura.em.stopping import SmallGain
from mixtura.inference.replicates import replicates
from mixtura.inference.resamples import resampled
from mixtura.initialise.initialisers import KMeansPlusPlus
from mixtura.model.criteria import CV
from mixtura.model.selection import Candidate, Selection, title_of
from mixtura.search.budget import Plan
from mixtura.selection.select import Grid, select

USUAL_RESAMPLES = 100
"""Resamples by default; a share of one half then has a standard error of 0.05."""

TOP_FAMILIES, TOP_KS = 3, 4
"""Families and Ks that take part by default: those of the best candidates."""

DRAWN_STARTS = (KMeansPlusPlus("standardised"), KMeansPlusPlus("whitened"))
"""New starts on each resample, one in each space."""

QUICK_GAIN = 0.002
"""EM on a resample ends when an iteration gains less (in log-likelihood). Measured on Old Faithful:
a third of the time of a certified fit, and the same winners."""

Winner = tuple[str, int]
"""Family and K."""

Name = TypeVar("Name", int, str, Winner)


@dataclass(frozen=True, eq=False)
class ChoiceUncertainty:
    """The winners on the resamples.

    Attributes
    ----------
    chosen : Candidate
        The winner on the data themselves.
    criterion : str
    winners : tuple of (str, int) or None
        Family and K per resample, in the order of the seeds; None where no candidate could win.
    candidates : tuple of (str, int)
        Family and K of the candidates that took part.
    interrupted : bool
        Whether Ctrl-C ended it before all resamples were done.
    """

    chosen: Candidate
    criterion: str
    winners: tuple[Winner | None, ...]
    candidates: tuple[Winner, ...]
    interrupted: bool = False

    @property
    def shares_of_k(self) -> dict[int, float]:
        """The share of the resamples with a winner on which each K wins, by K."""
        return self._shares(
            sorted({K for _, K in self.candidates}),
            [winner[1] for winner in self.winners if winner],
        )

    @property
    def shares_of_family(self) -> dict[str, float]:
        """The share on which each family wins, by family."""
        families = list(dict.fromkeys(family for family, _ in self.candidates))
        return self._shares(families, [winner[0] for winner in self.winners if winner])

    @property
    def shares(self) -> dict[Winner, float]:
        """The share on which each family with each K wins; those that never win are left out."""
        found = [winner for winner in self.winners if winner]
        return self._shares([winner for winner, _ in Counter(found).most_common()], found)

    @staticmethod
    def _shares(names: Sequence[Name], winners: Sequence[Name]) -> dict[Name, float]:
        counts = Counter(winners)
        return {name: counts[name] / len(winners) if winners else float("nan") for name in names}

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        found = [winner for winner in self.winners if winner]
        if not found:
            return (
                "No resample has a winner, so nothing can be said about the uncertainty of the "
                "choice."
            )
        ks = _listed(self.shares_of_k, lambda K: f"{K} component{'s' * (K > 1)}")
        families = _listed(self.shares_of_family, str)
        cut = ", interrupted" if self.interrupted else ""
        lost = len(self.winners) - len(found)
        without = f" {lost} resample{'s' * (lost > 1)} had no winner." if lost else ""
        return (
            f"On {len(found)} bootstrap resamples{cut}, {title_of(self.criterion)} chooses {ks}; "
            f"the family is {families} (on the data: {self.chosen.title}).{without}"
        )

    def rows(self) -> list[dict[str, object]]:
        """The table: one row per candidate that wins at all, most often first."""
        return [
            {"family": family, "n_components": K, "share": share}
            for (family, K), share in self.shares.items()
        ]


def bootstrap_selection(
    dataset: Dataset,
    selection: Selection,
    grid: Grid,
    plan: Plan,
    *,
    n_resamples: int = USUAL_RESAMPLES,
    seed: np.random.SeedSequence,
    top_families: int | None = TOP_FAMILIES,
    top_ks: int | None = TOP_KS,
    n_threads: int | None = None,
    on_resample: Callable[[int], None] | None = None,
) -> ChoiceUncertainty:
    """The selection on bootstrap resamples: how often each K and each family wins.

    Parameters
    ----------
    dataset : Dataset
        The data.
    selection : Selection
        The selection on the data: its fits are the warm starts.
    grid, plan
        Those of the selection; of the plan, ``max_iter`` is kept.
    n_resamples : int, default=100
        A share of one half then has a standard error of 0.05.
    seed : SeedSequence
    top_families, top_ks : int or None
        Only the families and the Ks of the best candidates take part; None for all. Resamples
        seldom choose others, and each candidate costs time.
    n_threads : int, optional
        Workers; they change no result.
    on_resample : callable, optional
        Called with the number of resamples that are done.

    Returns
    -------
    ChoiceUncertainty
        Ctrl-C keeps the resamples that are done.

    Raises
    ------
    ValueError
        When no candidate of the selection may win.
    """
    if not selection.ranking:
        raise ValueError(
            "No candidate of this selection may win, so there is no choice to be uncertain about."
        )
    small = restricted(grid, selection, top_families, top_ks)
    warm = {
        (c.family, c.n_components): c.fit.mixture for c in selection.ranking if c.fit is not None
    }
    folds = grid.folds if grid.criterion == CV else 0  # other criteria do not need them
    small = replace(small, initialisers=DRAWN_STARTS, warm=warm, folds=folds)
    done: list[Winner | None] = []

    def count(winner: Winner | None) -> None:
        done.append(winner)
        if on_resample is not None:
            on_resample(len(done))

    quick = replace(
        plan,
        stopping=SmallGain(QUICK_GAIN * dataset.row_weight),
        screened=True,
        workers=1,
        callback=None,
    )
    work = partial(_winner_on_resample, dataset, small, quick)
    winners, cut = replicates(work, seed.spawn(n_resamples), dataset, n_threads, count)
    tried = tuple((family.name, K) for family, K in small.keys)
    return ChoiceUncertainty(selection.best, grid.criterion, tuple(winners), tried, cut)


def restricted(
    grid: Grid, selection: Selection, top_families: int | None, top_ks: int | None
) -> Grid:
    """The grid with only the families and Ks of the best candidates of a selection."""
    families = list(dict.fromkeys(c.family for c in selection.ranking))[:top_families]
    ks = list(dict.fromkeys(c.n_components for c in selection.ranking))[:top_ks]
    return replace(grid, families=[f for f in grid.families if f.name in families], ks=sorted(ks))


def _winner_on_resample(
    dataset: Dataset, grid: Grid, plan: Plan, seed: np.random.SeedSequence, stopped: threading.Event
) -> Winner | None:
    """Family and K that win on one resample; None where no candidate may win."""
    drawing, fitting = seed.spawn(2)
    drawn = resampled(dataset, np.random.default_rng(drawing))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit of the data has warned about them
        selection = select(drawn, replace(grid, seed=fitting), plan, stopped=stopped)
    if selection.interrupted:
        raise KeyboardInterrupt
    return (selection.best.family, selection.best.n_components) if selection.ranking else None


def _listed(shares: Mapping[Name, float], title: Callable[[Name], str]) -> str:
    """The names by falling share, those that never win left out."""
    ranked = sorted((item for item in shares.items() if item[1] > 0), key=lambda item: -item[1])
    return ", ".join(f"{title(name)} in {share:.0%}" for name, share in ranked)
