"""Conditional mixtures of rows in which different columns were given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, overload

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.random_states import generator_of
from mixtura.distribution.conditional import ConditionalMixture
from mixtura.distribution.mixture_density import Kind


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalGroups(Generic[Kind]):
    """m mixtures of the same e columns, of rows in which different columns were given.

    Rows in which the same columns were given are a :class:`ConditionalMixture`. The methods are
    those of that class, and answer for all rows in their order.

    Attributes
    ----------
    groups : tuple of (rows, ConditionalMixture)
        The numbers of the rows of each group, and their mixtures.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture, MixtureRegressor
    >>> joint = Mixture.from_parameters([1.0], [[0.0, 0.0, 0.0]], [[
    ...     [1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.5, 0.5, 1.0]]])
    >>> rows = [[1.0, 1.0], [1.0, np.nan], [np.nan, np.nan]]
    >>> y = MixtureRegressor.from_mixture(joint, 2).predict(rows, return_distribution=True)
    >>> y.mean().ravel().round(6).tolist(), y.var().ravel().round(6).tolist()
    ([1.0, 0.5, 0.0], [0.5, 0.75, 1.0])
    """

    groups: tuple[tuple[Labels, ConditionalMixture[Kind]], ...]

    @classmethod
    def of(
        cls, parts: Sequence[tuple[Labels, ConditionalMixture[Kind]]]
    ) -> ConditionalMixture[Kind] | ConditionalGroups[Kind]:
        """The mixtures of all parts; of a single one just that."""
        return parts[0][1] if len(parts) == 1 else cls(tuple(parts))

    def __repr__(self) -> str:
        return f"ConditionalGroups({len(self)} rows in {len(self.groups)} groups)"

    @property
    def n_components(self) -> int:
        """K."""
        return self.groups[0][1].n_components

    @property
    def n_features(self) -> int:
        """e."""
        return self.groups[0][1].n_features

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the e columns."""
        return self.groups[0][1].columns

    @property
    def weights(self) -> Array:
        """Mixing proportions (m,K)."""
        return self._each(lambda group: group.weights)

    @property
    def means(self) -> Array:
        """Means of the components (m,K,e)."""
        return self._each(lambda group: group.means)

    def __len__(self) -> int:
        return sum(len(group) for _, group in self.groups)

    @overload
    def __getitem__(self, i: int) -> Kind: ...

    @overload
    def __getitem__(self, i: slice) -> ConditionalGroups[Kind]: ...

    def __getitem__(self, i: int | slice) -> Kind | ConditionalGroups[Kind]:
        """The mixture of one row, or those of a slice of them."""
        owners, places = self._places
        if not isinstance(i, slice):
            _, group = self.groups[int(owners[i])]
            return group[int(places[i])]
        parts = []
        for g, (_, group) in enumerate(self.groups):
            found = np.flatnonzero(owners[i] == g)
            parts.append((found, rows_of(group, places[i][found])))
        return replace(self, groups=tuple(parts))

    def __iter__(self) -> Iterator[Kind]:
        return (self[i] for i in range(len(self)))

    def mean(self) -> Array:
        """Means (m,e)."""
        return self._each(lambda group: group.mean())

    def cov(self) -> Array:
        """Covariance matrices (m,e,e)."""
        return self._each(lambda group: group.cov())

    def var(self) -> Array:
        """Variances (m,e)."""
        return self._each(lambda group: group.var())

    def std(self) -> Array:
        """Standard deviations (m,e)."""
        return self._each(lambda group: group.std())

    def logpdf(self, Y: Any) -> Array:
        """Log density (m,) of row i of Y (m,e) in mixture i; see :class:`ConditionalMixture`."""
        return self._each(lambda group, own: group.logpdf(own), Y)

    def pdf(self, Y: Any) -> Array:
        """Density (m,) of row i of Y in mixture i."""
        return np.exp(self.logpdf(Y))

    def cdf(self, y: Any) -> Array:
        """``P(Y <= y)`` of one column, (m,) or (m,Q)."""
        return self._each(lambda group, own: group.cdf(own), y)

    def ppf(self, q: Any) -> Array:
        """Quantiles of one column, (m,) for a number q, (m,Q) for several (Q,)."""
        return self._each(lambda group: group.ppf(q))

    def rvs(self, random_state: Any = None) -> Array:
        """One random row of each mixture (m,e)."""
        rng = generator_of(random_state)
        return self._each(lambda group: group.rvs(rng))

    def marginal(self, columns: Any) -> ConditionalGroups[Kind]:
        """The same mixtures of some of their columns, by numbers or names."""
        return replace(
            self, groups=tuple((rows, group.marginal(columns)) for rows, group in self.groups)
        )

    @cached_property
    def _places(self) -> tuple[Labels, Labels]:
        """The group of each row (m,), and the number of the row in that group (m,)."""
        owners, places = np.empty(len(self), dtype=np.intp), np.empty(len(self), dtype=np.intp)
        for g, (rows, _) in enumerate(self.groups):
            owners[rows], places[rows] = g, np.arange(len(rows))
        return owners, places

    def _each(self, function: Callable[..., Array], values: Any = None) -> Array:
        """The answers of all groups, row by row; values (m, ...) are shared out to their rows."""
        m = len(self)
        given = None if values is None else np.asarray(values, dtype=np.float64)
        by_row = given is not None and given.ndim > 0 and len(given) == m
        out: Array | None = None
        for rows, group in self.groups:
            arguments = () if given is None else (given[rows] if by_row else given,)
            found = function(group, *arguments)
            if out is None:
                out = np.empty((m, *found.shape[1:]))
            out[rows] = found
        assert out is not None
        return out


def rows_of(conditional: ConditionalMixture[Kind], numbers: Labels) -> ConditionalMixture[Kind]:
    """Some of the mixtures by their numbers, which may come more than once."""
    return replace(
        conditional,
        weights=conditional.weights[numbers],
        means=conditional.means[numbers],
        scales=None if conditional.scales is None else conditional.scales[numbers],
        noise=None if conditional.noise is None else conditional.noise[numbers],
    )
