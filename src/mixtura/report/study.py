"""The content of a report: a selection, its data, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.certainty import SURE
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of
from mixtura.inputs.reading import USUAL, Reading
from mixtura.model.criteria import CRITERIA
from mixtura.model.fit_result import FitResult
from mixtura.model.selection import Candidate, Selection
from mixtura.plots.view import ROWS_AT_ONCE
from mixtura.selection.merging import MergeTree, merge_tree


@dataclass(frozen=True)
class Origin:
    """Where rows came from.

    Attributes
    ----------
    path : str
        As typed; empty for rows in memory.
    digest : str
        SHA-256 of the file, or of the rows as float64 in row order.
    command : tuple of str
        The words of the command line that made the report; empty for a report made in Python.
    reading : Reading
        How the file was read where it does not say so itself.
    weights, labels : str
        The columns with the weights and the known classes; empty for none.
    """

    path: str = ""
    digest: str = ""
    command: tuple[str, ...] = ()
    reading: Reading = USUAL
    weights: str = ""
    labels: str = ""

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
    """Everything that a report needs.

    Attributes
    ----------
    selection : Selection
    estimator : GaussianMixtureSelector or GaussianMixture
        Only its parameters are used; it need not be fitted.
    X : (n,d)
    names : d column names
    origin : Origin
    said : tuple of str
        What is to be said about the file: what was left out, and how it was read.
    interrupted : bool
    starts : start report or None
    """

    selection: Selection
    estimator: Any
    X: Array
    names: tuple[str, ...]
    origin: Origin
    said: tuple[str, ...] = ()
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
        """Memberships (n,K) under the winner, and last those of the noise."""
        return np.concatenate(
            [
                self.mixture.posterior(self.X[begin : begin + ROWS_AT_ONCE])
                for begin in range(0, len(self.X), ROWS_AT_ONCE)
            ]
        )

    @cached_property
    def labels(self) -> Labels:
        """The most probable component of each row (n,), -1 for the noise."""
        return labels_of(self.memberships, self.mixture)

    @cached_property
    def unsure(self) -> Labels:
        """Indices of the unsure rows, the least sure first."""
        largest = self.memberships.max(axis=1)
        order = np.argsort(largest, kind="stable")
        return np.asarray(order[largest[order] < SURE])

    @cached_property
    def tree(self) -> MergeTree:
        """How the components merge."""
        return merge_tree(self.memberships[:, : self.mixture.n_components])


def study_of(result: Any, X: Array, names: Sequence[str], origin: Origin) -> Study:
    """A study of a fitted selector, or of a fitted mixture as a selection with one candidate."""
    selection = result.selection_ if hasattr(result, "selection_") else _of_one(result.result_)
    return Study(selection, result, X, tuple(names), origin, starts=selection.best.starts)


def _of_one(fit: FitResult) -> Selection:
    """A selection with a single candidate."""
    criteria = {name: criterion(fit) for name, criterion in CRITERIA.items()}
    reason = "" if fit.converged else fit.stop.value
    return Selection(
        "bic", (Candidate(fit.family, fit.n_components, fit, criteria["bic"], reason, criteria),)
    )
