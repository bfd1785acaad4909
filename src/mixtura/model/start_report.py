"""Report of a search: runs, distinct optima, and the agreement of their partitions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from mixtura.base.arrays import Labels
from mixtura.model.agreement import adjusted_rand_index


class RunEnd(Enum):
    """How one run of a search ended; the value is the sentence in reports."""

    REACHED = "reached an optimum"
    DROPPED = "dropped when it was too far behind"
    FAILED = "collapsed"
    UNFINISHED = "ended by max_iter or an interrupt"


@dataclass(frozen=True)
class RunReport:
    """One run of EM in a search.

    Attributes
    ----------
    kind : str
        The kind of start or of proposal.
    proposed : bool
        Whether it began at a proposal of the local search; False for a start.
    level : float
        The last objective; NaN where it gave no mixture.
    score : float
        The last score (:mod:`mixtura.model.soundness`); NaN where it was dropped before the score
        was computed.
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
    """One optimum to which runs of EM converged.

    Attributes
    ----------
    log_likelihood : float
        The objective: the total log-likelihood with the penalty of a ridge or a prior.
    score : float
        Key of the order of optima (:mod:`mixtura.model.soundness`); lower than the log-likelihood
        where a component is spurious.
    gap : float
        Score of the best optimum minus its own.
    n_starts, n_proposals : int
        Starts and proposals that led to it.
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
    """The report of the search behind a fit.

    Attributes
    ----------
    runs : tuple of RunReport
        Every start in order, then every proposal.
    n_rows, n_all : int
        Rows of the starts, perhaps a sample, and all rows.
    levels : tuple of (float, float)
        Objectives and scores of the distinct optima on the rows of the starts, best score first.
    partitions : tuple of (m,) arrays
        Labels of some rows under each optimum.
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
        """Number of runs that converged to the i-th optimum."""
        nearest = [
            min(range(len(self.levels)), key=lambda j: abs(self.levels[j][0] - run.level))
            for run in self._ended(proposed)
        ]
        near = [abs(self.levels[i][0] - run.level) <= self.same for run in self._ended(proposed)]
        return sum(j == i and close for j, close in zip(nearest, near, strict=True))

    def _ended(self, proposed: bool) -> list[RunReport]:
        """Runs that converged."""
        return [run for run in self.runs if run.proposed is proposed and run.end is RunEnd.REACHED]

    @property
    def n_starts(self) -> int:
        """Number of starts."""
        return sum(not run.proposed for run in self.runs)

    @property
    def n_proposals(self) -> int:
        """Number of proposals of the local search."""
        return sum(run.proposed for run in self.runs)

    @property
    def ends(self) -> Counter[RunEnd]:
        """How the starts ended, with counts."""
        return Counter(run.end for run in self.runs if not run.proposed)

    @property
    def sentence(self) -> str:
        """The report in one sentence."""
        if not self.optima:
            return f"None of {self.n_starts} starts converged."
        best, *others = self.optima
        rows = f"{self.n_rows:,} of {self.n_all:,} rows"
        where = "" if self.n_rows == self.n_all else f"On a sample of {rows}, the "
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
