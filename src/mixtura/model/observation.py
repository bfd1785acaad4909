"""How rows were observed: which columns, with which error, and what is known of their class.

A row y of the mixture is seen in its observed columns o, with an error of known covariance,

    x = y_o + e,    e ~ N(0, E).

A missing entry is one with infinite error: its column is not in o. Rows that were observed alike
are a group. In component k the rows of a group are ``N(mean_o, T)`` with ``T = Sigma_oo + E``, and

    y | x  ~  N(mean + A (x - mean_o), C),    A = Sigma_:o T^-1,    C = Sigma - A Sigma_o:

(Ghahramani & Jordan 1994, Advances in Neural Information Processing Systems 6:120-127, for missing
entries; Bovy, Hogg & Roweis 2011, Annals of Applied Statistics 5:1657-1677, for errors). So the
moments of the completed rows are a linear map of those of the observed ones, plus ``counts C``:
see :func:`completed_moments`. Families never see that a row was incomplete.

In a t component the observed columns have the same degrees of freedom and the scale matrix
``Sigma_oo``, and ``y | x, U ~ N(., C / U)`` with the same A and C: what is weighed by ``r u`` is
``y``, and by ``r`` alone C. A sum of a t row and a Gaussian error has no such form.

Of some rows the class is known, or probable: its probability given component k is one more factor
of the joint density, 0 or 1 for a known label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.distribution.t_density import pulls
from mixtura.model.moments import Moments
from mixtura.model.tails import information, score_constant, with_tail_sums


@dataclass(frozen=True, eq=False)
class Observation:
    """How each of m rows was observed.

    Attributes
    ----------
    numbers : (m,)
        The group of each row.
    columns : (G, d)
        The observed columns of each group.
    errors : (G, d, d), optional
        Covariance of the error of each group, zero in the missing columns; None for no error.
    classes : (G, C), optional
        Probability of what is known of a row's class, given each of the first C components: 0 and 1
        for a known label, ones where nothing is known. None for no labels.
    """

    numbers: Labels
    columns: Flags
    errors: Array | None = None
    classes: Array | None = None

    @classmethod
    def of(
        cls, rows: Rows, errors: Array | None = None, classes: Array | None = None
    ) -> Observation | None:
        """The groups of rows (m,d), where NaN is missing; None where rows are complete.

        ``errors`` are variances (m,) or (m,d), or covariances (m,d,d); ``classes`` are (m,C).
        """
        columns = ~np.isnan(rows)
        if errors is None and classes is None and columns.all():
            return None
        numbers = _numbered(columns)
        if errors is not None:
            errors = _matrices(errors, columns)
            numbers = _numbers(_pairs(numbers, _numbered(errors.reshape(len(errors), -1))))
        if classes is not None:
            numbers = _numbers(_pairs(numbers, _numbered(classes)))
        first = np.empty(int(numbers.max()) + 1, dtype=np.intp)
        first[numbers[::-1]] = np.arange(len(numbers))[::-1]
        return cls(
            numbers,
            columns[first],
            None if errors is None else errors[first],
            None if classes is None else classes[first],
        )

    @property
    def n_classes(self) -> int:
        """C; 0 without labels."""
        return 0 if self.classes is None else int(self.classes.shape[1])

    def without_classes(self) -> Observation | None:
        """The same without labels; None where nothing else is known of the rows."""
        if self.errors is None and self.columns.all():
            return None
        return replace(self, classes=None)

    @cached_property
    def is_labelled(self) -> Flags:
        """The rows of whose class something is known (m,)."""
        if self.classes is None:
            return np.zeros(len(self.numbers), dtype=bool)
        known: Any = (self.classes < 1.0).any(axis=1)
        return np.asarray(known[self.numbers])

    @cached_property
    def is_plain(self) -> Flags:
        """The rows that are complete, without error, and of which no class is known (m,)."""
        plain: Any = self.columns.all(axis=1)
        if self.errors is not None:
            plain = plain & (self.errors == 0).all(axis=(1, 2))
        if self.classes is not None:
            plain = plain & (self.classes == 1.0).all(axis=1)
        return np.asarray(plain[self.numbers])

    def log_classes(self, K: int) -> Array | None:
        """Logarithms of ``classes`` for K components (G,K).

        A row of whose class something is known is in none of the components after the first C.
        """
        if self.classes is None:
            return None
        known = (self.classes < 1.0).any(axis=1)
        others = np.repeat(np.where(known, 0.0, 1.0)[:, None], max(0, K - self.n_classes), axis=1)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.hstack([self.classes, others])[:, :K]))

    def log_noise(self, noise: Noise) -> Array:
        """Log joint density of a noise term in each group (G,).

        A row of whose class something is known is not noise.
        """
        own = noise.log_joint_of(self.columns)
        if self.classes is not None:
            own[(self.classes < 1.0).any(axis=1)] = -np.inf
        return own

    def take(self, rows: Labels | slice | Flags) -> Observation:
        """That of some of the rows."""
        return replace(self, numbers=self.numbers[rows])

    @staticmethod
    def joined(parts: Sequence[Observation | None]) -> Observation | None:
        """That of parts of one source together."""
        known = [part for part in parts if part is not None]
        if not known:
            return None
        return replace(known[0], numbers=np.concatenate([part.numbers for part in known]))

    # ---- groups ----------------------------------------------------------------------------------

    @cached_property
    def order(self) -> Labels:
        """The rows, group after group (m,)."""
        return np.argsort(self.numbers, kind="stable")

    @cached_property
    def ends(self) -> Labels:
        """Where each group ends in ``order`` (G,)."""
        counts = np.bincount(self.numbers, minlength=len(self.columns))
        return np.cumsum(counts).astype(np.int64)

    @property
    def groups(self) -> Iterator[Group]:
        """The groups that have rows."""
        begin = 0
        for g, end in enumerate(self.ends.tolist()):
            if end > begin:
                error = None if self.errors is None else self.errors[g]
                yield Group(g, self.order[begin:end], self.columns[g], error)
            begin = end


class Group(NamedTuple):
    """Rows that were observed alike: their numbers (m,), columns (d,) and error (d,d)."""

    number: int
    rows: Labels
    columns: Flags
    error: Array | None

    def seen(self, mixture: Mixture) -> tuple[Mixture, Array, Array]:
        """The mixture of the observed columns, the maps A (K,d,o) and covariances C (K,d,d)."""
        o = np.flatnonzero(self.columns)
        sigma = mixture.covariance.dense()
        own = sigma[:, o[:, None], o]
        if self.error is not None:
            own = own + self.error[o[:, None], o]
        to_observed = sigma[:, :, o]
        maps = np.swapaxes(np.linalg.solve(own, np.swapaxes(to_observed, 1, 2)), 1, 2)
        left = sigma - maps @ np.swapaxes(to_observed, 1, 2)
        noise = None if mixture.noise is None else mixture.noise.marginal(o)
        covariance = Dense(own, mixture.n_components)
        seen = Mixture(mixture.weights, mixture.means[:, o], covariance, noise, mixture.tails)
        return seen, maps, left


MOST_BITS = 62
"""Flags of a row that fit into one whole number."""


def _numbered(keys: Rows | Flags) -> Labels:
    """A number for each row (m,): the same for equal rows (m,j), from 0 without gaps."""
    if keys.shape[1] <= MOST_BITS and (
        keys.dtype == bool or bool(((keys == 0) | (keys == 1)).all())
    ):
        bits = np.zeros(len(keys), dtype=np.int64)
        for j, flags in enumerate(keys.T):
            bits |= (flags != 0).astype(np.int64) << j
        return _numbers(bits)
    whole: Any = np.ascontiguousarray(keys + 0.0)  # zeros of one sign
    width = whole.dtype.itemsize * whole.shape[1]
    as_one = whole.view(np.dtype((np.void, width))).ravel()
    return np.unique(as_one, return_inverse=True)[1].astype(np.int64)


def _pairs(one: Labels, other: Labels) -> Labels:
    """A whole number for each pair of numbers."""
    return np.asarray(one * (int(other.max()) + 1) + other)


def _numbers(keys: Labels) -> Labels:
    """Whole numbers (m,) as numbers from 0 without gaps, in their order."""
    top = int(keys.max()) + 1
    if top > 4 * len(keys) + 1024:
        return np.unique(keys, return_inverse=True)[1].astype(np.int64)
    present = np.flatnonzero(np.bincount(keys, minlength=top))
    places = np.empty(top, dtype=np.int64)
    places[present] = np.arange(len(present))
    return places[keys]


def _matrices(errors: Array, columns: Flags) -> Array:
    """Error covariances (m,d,d), zero where a column is missing."""
    d = columns.shape[1]
    if errors.ndim < 3:
        errors = errors.reshape(len(errors), -1, 1) * np.eye(d)
    return np.asarray(errors * (columns[:, :, None] & columns[:, None, :]))


# ---- in NumPy: slow and obvious ------------------------------------------------------------------


def moments_of_complete(
    rows: Rows, mixture: Mixture, responsibilities: Array, kind: Scatter
) -> Moments:
    """Moments of complete rows; responsibilities (m,K) are times the weights."""
    if mixture.tails is None:
        return Moments.of(rows, responsibilities, mixture.means, kind)
    tails, d = mixture.tails, mixture.n_features
    squared = mixture.squared_distances(rows) if d else np.zeros(responsibilities.shape)
    u = pulls(squared, tails, d)
    moments = Moments.of(rows, responsibilities, mixture.means, kind, u)
    assert moments.pulls is not None
    varying = np.log((tails + d) / tails) - np.log(u) + u  # log(1 + D / nu) + u
    scores = 0.5 * (
        moments.counts * score_constant(tails, d) - (responsibilities * varying).sum(axis=0)
    )
    known = moments.counts * information(tails, d)
    return with_tail_sums(moments, moments.pulls, scores, known, tails)


def check_tails(observation: Observation) -> None:
    """Refuse measurement errors of rows, for t components.

    Raises
    ------
    ValueError
    """
    if observation.errors is not None:
        raise ValueError(
            "t components need rows without measurement errors, but errors came: the sum of a t "
            "distributed row and a Gaussian error has no density in closed form. Leave the errors "
            "out, or fit a GaussianMixture."
        )


def completed_moments(seen: Moments, maps: Array, left: Array, about: Array) -> Moments:
    """Moments of completed rows from the moments of kind DENSE of their observed columns."""
    counts = seen.counts
    second = maps @ seen.second @ np.swapaxes(maps, 1, 2) + counts[:, None, None] * left
    return replace(
        seen, about=about, first=np.einsum("kdo,ko->kd", maps, seen.first), second=second
    )


def moments_of(
    rows: Rows, observation: Observation, mixture: Mixture, responsibilities: Array
) -> Moments:
    """Moments of kind DENSE of completed rows; responsibilities (m,K) are times the weights."""
    if mixture.tails is not None:
        check_tails(observation)
    total = Moments.zeros(mixture.means, Scatter.DENSE)
    for group in observation.groups:
        seen, maps, left = group.seen(mixture)
        own = moments_of_complete(
            rows[np.ix_(group.rows, group.columns)],
            seen,
            responsibilities[group.rows],
            Scatter.DENSE,
        )
        total = total + completed_moments(own, maps, left, mixture.means)
    return total


def log_joint_of(rows: Rows, observation: Observation, mixture: Mixture) -> Array:
    """``log weights_k + log p(x_i | k)`` of incomplete rows (m,K), and that of the noise."""
    if mixture.tails is not None:
        check_tails(observation)
    K, noise = mixture.n_components, mixture.noise
    out = np.empty((len(rows), K + (noise is not None)))
    log_classes = observation.log_classes(K)
    for group in observation.groups:
        if group.columns.any():
            seen, _, _ = group.seen(mixture)
            out[group.rows] = seen.log_joint(rows[np.ix_(group.rows, group.columns)])
        else:
            with np.errstate(divide="ignore"):
                out[group.rows, :K] = np.log(mixture.weights)
        if noise is not None:
            out[group.rows, K] = observation.log_noise(noise)[group.number]
        if log_classes is not None:
            out[group.rows, :K] += log_classes[group.number]
    return out


def pulls_of(rows: Rows, observation: Observation | None, mixture: Mixture) -> Array:
    """Expected weights u of rows in each t component (m,K); 1 for a row without any value."""
    assert mixture.tails is not None
    if observation is None:
        return pulls(mixture.squared_distances(rows), mixture.tails, mixture.n_features)
    check_tails(observation)
    out = np.ones((len(rows), mixture.n_components))
    for group in observation.groups:
        if group.columns.any():
            seen, _, _ = group.seen(mixture)
            out[group.rows] = pulls_of(rows[np.ix_(group.rows, group.columns)], None, seen)
    return out


def completed(rows: Rows, observation: Observation, mixture: Mixture, shares: Array) -> Array:
    """``sum_k shares_ik E[y_i | x_i, k]`` (m,d), for shares (m,K) that sum to one in a row."""
    out = np.empty(rows.shape)
    for group in observation.groups:
        _, maps, _ = group.seen(mixture)
        apart = (
            rows[np.ix_(group.rows, group.columns)][:, None, :] - mixture.means[:, group.columns]
        )
        expected = mixture.means + np.einsum("kdo,mko->mkd", maps, apart)
        out[group.rows] = np.einsum("mk,mkd->md", shares[group.rows], expected)
    return out
