"""What a search saw: the distinct optima, how many starts and moves led to each, and how far their
partitions agree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from mixtura.base.arrays import Labels
from mixtura.model.agreement import adjusted_rand_index


class RunEnd(Enum):
    """What became of one run of a search; the value is the sentence a person reads."""

    REACHED = "ran to its end"
    DROPPED = "dropped when it was too far behind"
    FAILED = "collapsed"
    UNFINISHED = "ended by max_iter or an interrupt"


@dataclass(frozen=True)
class RunReport:
    """One run of EM in a search.

    Attributes
    ----------
    kind : str
        The kind of start, or the move that led to it.
    proposed : bool
        Whether a move from an optimum led to it; False for a start.
    level : float
        The objective where it ended; NaN where it gave no mixture.
    score : float
        The score there (:mod:`mixtura.model.soundness`); NaN where it was dropped before that was
        asked.
    n_iter : int
    end : RunEnd
    """

    kind: str
    proposed: bool
    level: float
    score: float
    n_iter: int
    end: RunEnd


@dataclass(frozen=True)
class Optimum:
    """One place where runs of EM came to rest.

    Attributes
    ----------
    log_likelihood : float
        The objective there: the total log-likelihood, less what a ridge or a prior takes off it.
    score : float
        What optima are ranked by (:mod:`mixtura.model.soundness`); lower than the log-likelihood
        where chance can place a component.
    gap : float
        How much lower the score is than the best one.
    n_starts, n_proposals : int
        How many starts, and how many moves from another optimum, led here.
    agreement : float
        Adjusted Rand index between its partition of the rows and that of the best optimum.
    """

    log_likelihood: float
    score: float
    gap: float
    n_starts: int
    n_proposals: int
    agreement: float


@dataclass(frozen=True, eq=False)
class StartReport:
    """The search behind a fit.

    Attributes
    ----------
    runs : tuple of RunReport
        Every start in order, then every move, with what became of it.
    n_rows, n_all : int
        Rows that the starts were run on, and all rows; fewer where rows are many.
    levels : tuple of (float, float)
        Objectives and scores of the distinct optima, on the rows that the starts were run on, best
        score first.
    partitions : tuple of (m,) arrays
        What each optimum makes of some of the rows.
    same : float
        Objectives that differ by less are of one optimum.
    """

    runs: tuple[RunReport, ...]
    n_rows: int
    n_all: int
    levels: tuple[tuple[float, float], ...]
    partitions: tuple[Labels, ...]
    same: float

    @cached_property
    def optima(self) -> tuple[Optimum, ...]:
        """The distinct optima, best score first."""
        size = self.n_all / self.n_rows
        return tuple(
            Optimum(
                level * size,
                score * size,
                (self.levels[0][1] - score) * size,
                self._led_to(i, proposed=False),
                self._led_to(i, proposed=True),
                adjusted_rand_index(self.partitions[0], labels),
            )
            for i, ((level, score), labels) in enumerate(
                zip(self.levels, self.partitions, strict=True)
            )
        )

    def _led_to(self, i: int, proposed: bool) -> int:
        """Runs that came to rest at the i-th optimum."""
        nearest = [
            min(range(len(self.levels)), key=lambda j: abs(self.levels[j][0] - run.level))
            for run in self._ended(proposed)
        ]
        near = [abs(self.levels[i][0] - run.level) <= self.same for run in self._ended(proposed)]
        return sum(j == i and close for j, close in zip(nearest, near, strict=True))

    def _ended(self, proposed: bool) -> list[RunReport]:
        """Runs that came to rest."""
        return [run for run in self.runs if run.proposed is proposed and run.end is RunEnd.REACHED]

    @property
    def n_starts(self) -> int:
        """How many starts there were."""
        return sum(not run.proposed for run in self.runs)

    @property
    def n_proposals(self) -> int:
        """How many proposals from an optimum were tried."""
        return sum(run.proposed for run in self.runs)

    @property
    def ends(self) -> Counter[RunEnd]:
        """What became of the starts."""
        return Counter(run.end for run in self.runs if not run.proposed)

    @property
    def sentence(self) -> str:
        """The report in words."""
        if not self.optima:
            return f"None of {self.n_starts} starts came to rest."
        best, *others = self.optima
        where = (
            ""
            if self.n_rows == self.n_all
            else f"On a sample of {self.n_rows:,} of {self.n_all:,} rows, the "
        )
        proposals = (
            f" and {best.n_proposals} of {_count(self.n_proposals, 'proposal')}"
            if self.n_proposals
            else ""
        )
        reached = (
            f"{where or 'The '}best optimum was reached by {best.n_starts} of "
            f"{_count(self.n_starts, 'start')}{proposals}"
        )
        if not others:
            return f"{reached}; no other optimum was found."
        return (
            f"{reached}; the next has a score {others[0].gap:.4g} lower (its partition agrees "
            f"by {others[0].agreement:.2f})."
        )

    def document(self) -> dict[str, object]:
        """The report as plain values, for JSON."""
        left = {end.name.lower(): n for end, n in self.ends.items()}
        sizes = {"n_starts": self.n_starts, "n_proposals": self.n_proposals, "n_rows": self.n_rows}
        return {"sentence": self.sentence, **sizes, "starts": left, "optima": self.rows()}

    def rows(self) -> list[dict[str, object]]:
        """The table: one row for each optimum."""
        return [
            {
                "log_likelihood": optimum.log_likelihood,
                "score": optimum.score,
                "gap": optimum.gap,
                "n_starts": optimum.n_starts,
                "n_proposals": optimum.n_proposals,
                "agreement": optimum.agreement,
            }
            for optimum in self.optima
        ]


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"
