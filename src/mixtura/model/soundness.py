"""What counts as a sound fit: every component by the parameters it takes and the rows it has, and
the score that ranks optima.

Likelihood alone is no judge: a component laid through a few rows that happen to lie in line raises
it by 20 to 40. Nor is prediction, since such a component harms no forecast. So it is priced. With
the effective parameters p_k (:mod:`mixtura.em.effective_parameters`), the rows n_k, and the rows m
that make a component's own part of the covariance non-singular (``Family.own_rows``),

    score = log L - sum_k max(0, o_k - n_k) - 1/2 log n sum over p_k > n_k of s_k p_k
    s_k   = clip(4 - 2 n_k / m, 0, 1)

A parameter beyond a component's rows costs one nat, which is what prediction loses by it: o_k is
p_k. Where an equal share of the rows does not carry the q nominal parameters of a component
(``Family.own_parameters``; n < K q), o_k is no less than what a Gaussian of its own loses on
average, q n_k / (n_k - m - 1): the price that AIC takes in small samples (Bedrick & Tsai 1994,
Biometrics 50, 226-231). For there all components have more parameters than rows, and those that lie
upon each other a smaller p_k, since each forecasts the rows that are left out of the other; by that
alone such a pair would be preferred to the groups it covers. A component on so few rows that chance
can place it anywhere pays BIC's price for all that it has (a hundred a row at most).

What is reported is the optimum of the likelihood itself. A component with ``p_k > n_k`` and
``s_k > 0`` is spurious; with more rows it is poorly determined. Copies and components without rows
are no answer at all, and never outrank one. The measurements behind the rule are told in
docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log

import numpy as np

from mixtura.base.arrays import Array

MOST_A_ROW, MOST_A_COLUMN = 100.0, 20.0
"""Parameters that a row is charged BIC's price for at most: the larger of so many, and so many for
each column. A gross outlier takes thousands wherever it is put, and a component that it widens is
no better than one of its own. Chance alignments take three or four for each of their rows in few
columns, and twelve a column where they are flat in most (6 rows in 32 columns)."""

EMPTY = 0.5
"""A component that holds less than half a row is empty."""


@dataclass(frozen=True)
class Finding:
    """What is to be said of one component."""

    component: int
    kind: str
    reason: str


@dataclass(frozen=True, eq=False)
class Soundness:
    """The components of a fit, judged.

    Attributes
    ----------
    effective : (K,)
        Effective parameters p_k.
    counts : (K,)
        Rows n_k.
    own_rows : int
        m: rows that a component's own part of the covariance needs.
    own_parameters : int
        q: nominal parameters that a component has of its own.
    n_features : int
    total : float
        Rows of all components.
    unit : float
        What a row weighs: the price is in units of the log-likelihood.
    copies : tuple of (int, int)
        Components that are exact copies of an earlier one, each after that one.
    """

    effective: Array
    counts: Array
    own_rows: int
    own_parameters: int
    n_features: int
    total: float
    unit: float = 1.0
    copies: tuple[tuple[int, int], ...] = ()

    @property
    def support(self) -> Array:
        """``s_k`` (K,): one up to 1.5 times the rows that an own part needs, in a straight line to
        nought at twice as many.
        """
        return support(self.counts, self.own_rows)

    @cached_property
    def price(self) -> float:
        """What the score takes off the log-likelihood."""
        over = self.effective > self.counts
        excess = np.maximum(self.loss - self.counts, 0.0).sum()
        most_a_row = max(MOST_A_ROW, MOST_A_COLUMN * self.n_features)
        charged = (self.support * np.minimum(self.effective, most_a_row * self.counts))[over].sum()
        return self.unit * float(excess + 0.5 * log(max(self.total, 1.0)) * charged)

    @property
    def loss(self) -> Array:
        """``o_k`` (K,): what prediction loses by the parameters of each component."""
        if self.total >= len(self.counts) * self.own_parameters:
            return self.effective
        n = np.maximum(self.counts, 2.0 * self.own_rows + 2.0)
        return np.maximum(self.effective, self.own_parameters * n / (n - self.own_rows - 1.0))

    @property
    def empty(self) -> tuple[int, ...]:
        """Components without rows."""
        return tuple(np.flatnonzero(self.counts < EMPTY).tolist())

    @property
    def is_valid(self) -> bool:
        """Whether there are as many components as were asked for: none is empty or a copy."""
        return not self.copies and not self.empty

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to be charged, either."""
        return self.is_valid and not self.spurious

    @property
    def spurious(self) -> tuple[int, ...]:
        """Components that chance can place."""
        return tuple(np.flatnonzero((self.effective > self.counts) & (self.support > 0)).tolist())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be said, component by component."""
        originals, found = {copy: original for original, copy in self.copies}, list[Finding]()
        for k, (p, n, s) in enumerate(zip(self.effective, self.counts, self.support, strict=True)):
            if k in originals:
                found.append(Finding(k, "copy", f"it is an exact copy of component {originals[k]}"))
            elif n < EMPTY:
                found.append(Finding(k, "empty", f"it holds {n:.2g} rows"))
            elif p > n and s > 0:
                found.append(
                    Finding(
                        k,
                        "spurious",
                        f"{_number(p)} effective parameters on {n:.1f} rows: chance can place such "
                        "a component",
                    )
                )
            elif p > n:
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
        """The same with its components in another order: ``permutation[i]`` is the old number of
        the new component i.
        """
        new = {int(old): i for i, old in enumerate(permutation)}
        order = np.asarray(permutation, dtype=np.intp)
        copies = tuple(sorted((min(new[a], new[b]), max(new[a], new[b])) for a, b in self.copies))
        return replace(
            self, effective=self.effective[order], counts=self.counts[order], copies=copies
        )


def support(counts: Array, own_rows: int) -> Array:
    """s_k (K,): one up to 1.5 times the rows m that an own part needs, falling in a straight line
    to nought at twice as many.
    """
    return np.clip(4.0 - 2.0 * counts / own_rows, 0.0, 1.0)


def _number(p: float) -> str:
    """A count of parameters in few digits."""
    return f"{p:.1f}" if p < 100 else f"{p:,.0f}"
