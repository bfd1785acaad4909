"""Spurious components, and the score that ranks optima.

A component on a few rows that are nearly collinear raises the likelihood by 20 to 40, but is
spurious. The held-out likelihood does not show it, since such a component hardly changes the
density of other rows. So the score is the log-likelihood less a price. With the effective
parameters p_k (:mod:`mixtura.em.effective_parameters`), the rows n_k, and the rows m that determine
the part of a covariance that is not shared (``Family.own_rows``),

    score = log L - sum_k max(0, o_k - n_k) - 1/2 log n sum over p_k > n_k of s_k p_k
    s_k   = clip(4 - 2 n_k / m, 0, 1)

A parameter beyond a component's rows costs one nat, the expected loss of the predictive
log-likelihood: o_k is p_k. Where an equal share of the rows is below the q nominal parameters of a
component (``Family.own_parameters``; n < K q), o_k is no less than the mean loss of a single
Gaussian, q n_k / (n_k - m - 1), the penalty of the corrected AIC (Bedrick & Tsai 1994, Biometrics
50, 226-231). There all components have more parameters than rows, and overlapping components have
a smaller p_k, since each predicts the rows that are left out of the other; without that bound such
a pair would be preferred to the groups it covers. A component on so few rows that chance can place
it anywhere has BIC's penalty for its effective parameters.

The reported optimum is one of the likelihood itself. A component with ``p_k > n_k`` and ``s_k > 0``
is spurious; with more rows it is poorly determined. A fit with copies or empty components is not
valid, and never ranks above a valid one. The measurements behind the rule are in
docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from mixtura.base.arrays import Array, Flags

MOST_PER_ROW, MOST_PER_COLUMN = 100.0, 20.0
"""Effective parameters with BIC's penalty, at most: so many for each row of a component, or so many
for each row and column, whichever is more. A gross outlier has thousands in any component. Rows
that are collinear by chance have three or four each in few columns, and twelve for each column
where they lie in a low-dimensional subspace (6 rows in 32 columns).
"""

EMPTY_BELOW = 0.5
"""Rows below which a component is empty."""


@dataclass(frozen=True)
class Finding:
    """A finding about one component: its kind, and a sentence with the reason."""

    component: int
    kind: str
    reason: str


@dataclass(frozen=True, eq=False)
class Soundness:
    """The assessment of the components of a fit.

    Attributes
    ----------
    effective : (K,)
        Effective parameters p_k.
    counts : (K,)
        Rows n_k.
    own_rows : int
        m: rows that determine the part of a covariance that is not shared.
    own_parameters : int or (K,)
        q: nominal parameters of a component that are not shared, nor fixed.
    n_features : int
    total : float
        Rows of all components.
    unit : float
        Weight of a row, by which the price is in units of the log-likelihood.
    copies : tuple of (int, int)
        Components that are exact copies of an earlier one, each after that one.
    located : (K,), optional
        Components of a fixed density, which may be without rows: their weight alone is estimated,
        and its optimum may be zero.
    """

    effective: Array
    counts: Array
    own_rows: int
    own_parameters: int | Array
    n_features: int
    total: float
    unit: float = 1.0
    copies: tuple[tuple[int, int], ...] = ()
    located: Flags | None = None

    @property
    def support(self) -> Array:
        """``s_k`` (K,); see :func:`support`."""
        return support(self.counts, self.own_rows)

    @property
    def price(self) -> float:
        """The log-likelihood minus the score."""
        over = self.effective > self.counts
        excess = np.maximum(self.loss - self.counts, 0.0).sum()
        most_per_row = max(MOST_PER_ROW, MOST_PER_COLUMN * self.n_features)
        capped = np.minimum(self.effective, most_per_row * self.counts)
        penalised = (self.support * capped)[over].sum()
        return self.unit * float(excess + 0.5 * log(max(self.total, 1.0)) * penalised)

    @property
    def loss(self) -> Array:
        """``o_k`` (K,): expected loss of the predictive log-likelihood by each component."""
        if self.total >= np.broadcast_to(self.own_parameters, self.counts.shape).sum():
            return self.effective
        n = np.maximum(self.counts, 2.0 * self.own_rows + 2.0)
        return np.maximum(self.effective, self.own_parameters * n / (n - self.own_rows - 1.0))

    @property
    def empty(self) -> tuple[int, ...]:
        """Components without rows."""
        return tuple(np.flatnonzero((self.counts < EMPTY_BELOW) & self._placed).tolist())

    @property
    def _placed(self) -> Flags:
        """Components whose place the rows decide (K,)."""
        return np.ones(len(self.counts), bool) if self.located is None else ~self.located

    @property
    def is_valid(self) -> bool:
        """Whether no component is empty or a copy."""
        return not self.copies and not self.empty

    @property
    def is_sound(self) -> bool:
        """Whether it is valid and no component is spurious."""
        return self.is_valid and not self.spurious

    @property
    def spurious(self) -> tuple[int, ...]:
        """Components with more effective parameters than rows, on so few rows that ``s_k > 0``."""
        over = (self.effective > self.counts) & self._placed
        return tuple(np.flatnonzero(over & (self.support > 0)).tolist())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings about single components."""
        originals, found = {copy: original for original, copy in self.copies}, list[Finding]()
        empty, spurious, placed = self.empty, self.spurious, self._placed
        for k, (p, n) in enumerate(zip(self.effective, self.counts, strict=True)):
            if k in originals:
                found.append(Finding(k, "copy", f"it is an exact copy of component {originals[k]}"))
            elif k in empty:
                found.append(Finding(k, "empty", f"it holds {n:.2g} rows"))
            elif k in spurious:
                found.append(
                    Finding(
                        k,
                        "spurious",
                        f"{_number(p)} effective parameters on {n:.1f} rows: chance can place such "
                        "a component",
                    )
                )
            elif p > n and placed[k]:
                found.append(
                    Finding(
                        k,
                        "poorly determined",
                        f"{_number(p)} effective parameters on {n:.0f} rows: its shape is "
                        "uncertain",
                    )
                )
        return tuple(found)

    def in_order(self, permutation: Sequence[int]) -> Soundness:
        """The same, reordered; ``permutation[i]`` is the old number of the new component i."""
        new = {int(old): i for i, old in enumerate(permutation)}
        order = np.asarray(permutation, dtype=np.intp)
        copies = tuple(sorted((min(new[a], new[b]), max(new[a], new[b])) for a, b in self.copies))
        own = self.own_parameters
        return replace(
            self,
            effective=self.effective[order],
            counts=self.counts[order],
            own_parameters=own[order] if isinstance(own, np.ndarray) else own,
            copies=copies,
            located=None if self.located is None else self.located[order],
        )


@dataclass(frozen=True, eq=False)
class Averaged(Soundness):
    """The assessment where the objective averages over the parameters.

    It has the price of every component already, and a component without rows has its prior; so
    nothing is spurious, empty or a copy, and effective parameters are not defined (NaN).
    """

    @classmethod
    def of(cls, counts: Array, d: int, unit: float) -> Averaged:
        """That of components with so many rows."""
        K, total = len(counts), float(counts.sum())
        located = np.ones(K, dtype=bool)
        return cls(np.full(K, np.nan), counts, 1, 0, d, total, unit, located=located)

    @property
    def price(self) -> float:
        """0."""
        return 0.0


def support(counts: Array, own_rows: int) -> Array:
    """s_k (K,): 1 up to ``1.5 m`` rows, 0 from ``2 m`` rows on, linear between.

    ``own_rows`` is m, the rows that determine the part of a covariance that is not shared.
    """
    return np.clip(4.0 - 2.0 * counts / own_rows, 0.0, 1.0)


def _number(p: float) -> str:
    """A number of parameters with few digits."""
    return f"{p:.1f}" if p < 100 else f"{p:,.0f}"
