"""Regression by a mixture: the distribution of some of its columns at rows of the others.

Of a row, the inputs that it has are given: rows with the same inputs are conditioned together. A
row without any has the margin of the targets. The noise says nothing about targets, and is left
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.columns import other_columns
from mixtura.distribution.conditional import ConditionalMixture, Conditioning
from mixtura.distribution.conditional_groups import ConditionalGroups, rows_of
from mixtura.distribution.mixture import Mixture
from mixtura.model.observation import Observation

NUMBERS_AT_ONCE = 2**16
"""Means of components that are in memory at a time."""

Summary = Callable[[ConditionalMixture[Mixture]], Array]
"""An array (m, ...) of m conditional mixtures."""


@dataclass(frozen=True, eq=False)
class Regression:
    """The regression of the last columns of a mixture on the first ones.

    Attributes
    ----------
    joint : Mixture
        Of d inputs, and then the targets; without noise.
    n_targets : int
        e.
    """

    joint: Mixture
    n_targets: int

    @classmethod
    def of(cls, mixture: Mixture, targets: Labels) -> Regression:
        """Of some columns of a mixture on all others."""
        inputs = other_columns(targets, mixture.n_features)
        return cls(mixture.without_noise.marginal(np.concatenate([inputs, targets])), len(targets))

    @property
    def n_inputs(self) -> int:
        """d."""
        return self.joint.n_features - self.n_targets

    def at(self, rows: Rows) -> ConditionalMixture[Mixture] | ConditionalGroups[Mixture]:
        """The distributions of the targets at rows (m,d), where NaN is missing."""
        return ConditionalGroups.of(list(self._parts(rows, max(len(rows), 1))))

    def summaries(self, rows: Rows, functions: Sequence[Summary], copies: int = 1) -> list[Array]:
        """Functions of the distributions at rows (m,d), each (m, ...), in bounded memory.

        The functions make so many copies of the means of the components.
        """
        size = max(1, NUMBERS_AT_ONCE // (self.joint.n_components * self.n_targets * copies))
        found: list[Array] = []
        for numbers, part in self._parts(rows, size):
            own = [function(part) for function in functions]
            found = found or [np.empty((len(rows), *one.shape[1:])) for one in own]
            for values, one in zip(found, own, strict=True):
                values[numbers] = one
        return found

    @ignore_underflow
    def log_densities(self, rows: Rows, values: Rows) -> Array:
        """``log p(y | x)`` (m,) of targets (m,e), of the ones that are not NaN."""
        both: Array = np.concatenate([rows, values], axis=1, dtype=np.float64)
        of_inputs = self.log_densities_of_inputs(rows)
        lost = np.flatnonzero(of_inputs == -np.inf)
        of_inputs[lost] = 0.0
        found = _log_densities(self.joint, both) - of_inputs
        for numbers, part in self._parts(rows[lost], max(len(lost), 1), lost):
            for i, mixture in zip(lost[numbers], part, strict=True):
                own = np.flatnonzero(~np.isnan(values[i]))
                found[i] = (
                    mixture.marginal(own).logpdf(values[i, own][None])[0] if len(own) else 0.0
                )
        return found

    def log_densities_of_inputs(self, rows: Rows) -> Array:
        """``log p(x)`` (m,) of the inputs that are not NaN."""
        return _log_densities(self.joint.marginal(np.arange(self.n_inputs)), rows)

    @ignore_underflow
    def _parts(
        self, rows: Rows, size: int, names: Labels | None = None
    ) -> Iterator[tuple[Labels, ConditionalMixture[Mixture]]]:
        """The distributions at up to ``size`` rows with the same inputs, and the rows' numbers.

        Warnings call the rows by ``names`` (m,), if they are given.
        """
        observation, d = Observation.of(rows), self.n_inputs
        if observation is None:
            groups = [(np.arange(len(rows)), np.arange(d))]
        else:
            groups = [(one.rows, np.flatnonzero(one.columns)) for one in observation.groups]
        for numbers, inputs in groups:
            columns = np.append(inputs, np.arange(d, d + self.n_targets))
            at = _given_first(self.joint.marginal(columns), len(inputs))
            for begin in range(0, max(len(numbers), 1), size):
                own = numbers[begin : begin + size]
                complete = observation is None
                part = rows[begin : begin + size] if complete else rows[np.ix_(own, inputs)]
                called = own if names is None else names[own]
                yield own, at(part.astype(np.float64, copy=False), called)


def _log_densities(mixture: Mixture, rows: Rows) -> Array:
    """Log densities (m,) of what rows (m,d) have; 0 where they have nothing."""
    observation = Observation.of(rows)
    if observation is None:
        return np.asarray(mixture.logpdf(rows))
    found = np.zeros(len(rows))
    for group in observation.groups:
        own = np.flatnonzero(group.columns)
        if len(own):
            found[group.rows] = mixture.marginal(own).logpdf(rows[np.ix_(group.rows, own)])
    return found


def _given_first(
    mixture: Mixture, c: int
) -> Callable[[Array, Labels], ConditionalMixture[Mixture]]:
    """The mixtures of the last columns as a function of rows (m,c) of the first."""
    if c:
        return Conditioning.on(mixture, np.arange(c)).at

    def margin(rows: Array, _: Labels) -> ConditionalMixture[Mixture]:
        weights = np.broadcast_to(mixture.weights, (len(rows), mixture.n_components))
        means = np.broadcast_to(mixture.means, (len(rows), *mixture.means.shape))
        scales = None if mixture.tails is None else np.ones(weights.shape)
        return ConditionalMixture(weights, means, scales, None, mixture)

    return margin


def means_of(y: ConditionalMixture[Mixture]) -> Array:
    """Means (m,e)."""
    return y.mean()


def deviations_of(y: ConditionalMixture[Mixture]) -> Array:
    """Standard deviations (m,e)."""
    return y.std()


def quantiles_at(levels: Array) -> Summary:
    """Quantiles of each column at levels () or (Q,): (m,e) or (m,e,Q)."""
    return lambda y: np.stack([y.marginal(j).ppf(levels) for j in range(y.n_features)], axis=1)


def draws_of(n: int, rng: np.random.Generator) -> Summary:
    """n random rows of each mixture (m,e,n)."""

    def draws(y: ConditionalMixture[Mixture]) -> Array:
        copies = rows_of(y, np.repeat(np.arange(len(y)), n))
        rows = copies.rvs(rng).reshape(len(y), n, y.n_features)
        return np.swapaxes(rows, 1, 2)

    return draws
