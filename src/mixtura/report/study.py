"""What a report is about: a selection, the rows it was made on, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.model.criteria import CRITERIA
from mixtura.model.fit_result import FitResult
from mixtura.model.mixture import Mixture
from mixtura.model.selection import Candidate, Selection
from mixtura.selection.merging import MergeTree, merge_tree

SURE = 0.9
"""A row whose largest membership is below this is called unsure."""

ROWS_AT_ONCE = 65536


@dataclass(frozen=True)
class Origin:
    """Where rows came from.

    Attributes
    ----------
    path : str
        As it was typed; empty for rows that were in memory.
    digest : str
        SHA-256 of the file, or of the rows as float64 in row order.
    command : tuple of str
        The command line that made the report, word by word; empty when Python did.
    """

    path: str = ""
    digest: str = ""
    command: tuple[str, ...] = ()

    @classmethod
    def of_file(cls, path: str, command: Sequence[str] = ()) -> Origin:
        """A file, with its digest."""
        return cls(path, sha256(Path(path).read_bytes()).hexdigest(), tuple(command))

    @classmethod
    def of_rows(cls, X: Array) -> Origin:
        """Rows in memory."""
        return cls("", sha256(np.ascontiguousarray(X, dtype=np.float64).tobytes()).hexdigest())


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that a report says something about.

    Attributes
    ----------
    selection : Selection
    estimator : GaussianMixtureSelector or GaussianMixture
        Its parameters are read; it need not have ended its fit.
    X : (n,d)
    names : d column names
    origin : Origin
    left_out : tuple of (column, reason)
    interrupted : bool
    starts : start report or None
    """

    selection: Selection
    estimator: Any
    X: Array
    names: tuple[str, ...]
    origin: Origin
    left_out: tuple[tuple[str, str], ...] = ()
    interrupted: bool = False
    starts: Any = field(default=None)

    @property
    def best(self) -> Candidate:
        """The winner."""
        return self.selection.best

    @property
    def fit(self) -> FitResult:
        """The fit of the winner."""
        assert self.best.fit is not None
        return self.best.fit

    @property
    def mixture(self) -> Mixture:
        """The mixture of the winner."""
        return self.fit.mixture

    @cached_property
    def memberships(self) -> Array:
        """(n,K), made a block at a time."""
        return np.concatenate(
            [
                self.mixture.posterior(self.X[begin : begin + ROWS_AT_ONCE])
                for begin in range(0, len(self.X), ROWS_AT_ONCE)
            ]
        )

    @cached_property
    def labels(self) -> Labels:
        """The most probable component of each row (n,)."""
        return np.asarray(self.memberships.argmax(axis=1))

    @cached_property
    def unsure(self) -> Labels:
        """Numbers of the rows whose largest membership is below 0.9, the least sure first."""
        largest = self.memberships.max(axis=1)
        order = np.argsort(largest, kind="stable")
        return np.asarray(order[largest[order] < SURE])

    @cached_property
    def tree(self) -> MergeTree:
        """How the components would merge."""
        return merge_tree(self.memberships)


def study_of(result: Any, X: Array, names: Sequence[str], origin: Origin) -> Study:
    """A study of a fitted selector, or of a fitted mixture as a selection of one."""
    selection = result.selection_ if hasattr(result, "selection_") else _of_one(result.result_)
    return Study(selection, result, X, tuple(names), origin, starts=selection.best.starts)


def _of_one(fit: FitResult) -> Selection:
    """A selection with a single candidate."""
    criteria = {name: criterion(fit) for name, criterion in CRITERIA.items()}
    reason = "" if fit.converged else fit.stop.value
    return Selection(
        "bic", (Candidate(fit.family, fit.n_components, fit, criteria["bic"], reason, criteria),)
    )
