"""Moments: the sums that an E-step returns and an M-step reads.

For responsibilities ``r (m,K)``, row weights ``w (m)`` and rows ``x (m,d)`` the moments about fixed
points ``a (K,d)`` are

    counts_k = sum_i w_i r_ik
    first_k  = sum_i w_i r_ik (x_i - a_k)
    second_k = sum_i w_i r_ik (x_i - a_k)(x_i - a_k)'

t components (:mod:`mixtura.model.tails`) weigh rows a second time: with the pulls ``u (m,K)`` first
and second moments are sums of ``w_i r_ik u_ik``, and so are the ``pulls``; counts are not.

About the current means (and not about zero) they lose no digits to an offset of the data. Every
block of rows uses the same points, so the moments of a union are the sum of the moments
(docs/decisions/0001).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows, symmetric
from mixtura.base.errors import CollapseError
from mixtura.base.scatter import Scatter


@dataclass(frozen=True, eq=False)
class Moments:
    """Weighted sums over rows about fixed points, with the log-likelihood of the E-step's mixture.

    Attributes
    ----------
    about : (K, d)
        The fixed points: the means of the E-step's mixture.
    counts : (K,)
        Sum of weighted responsibilities.
    first : (K, d)
    second : shape by ``kind``
    kind : Scatter
    log_likelihood : float
        ``sum_i w_i log p(x_i)``; NaN when the responsibilities did not come from a mixture.
    entropy : float
        ``-sum_i w_i sum_k r_ik log r_ik``.
    certainty : float
        ``sum_i w_i log max_k r_ik`` (at most 0; 0 for hard labels).
    noise : float
        Weight of the rows in a noise term. Entropy and certainty count it as one more component.
    pulls : (K,), optional
        Sum of weighted responsibilities times u, of t components; None for Gaussians.
    tail_sums, tail_information : (K,), optional
        Of t components: the information about ``e = 1 / nu``, and the sum of which it is the
        divisor in the next e (:mod:`mixtura.model.tails`); None where nu is given.
    """

    about: Array
    counts: Array
    first: Array
    second: Array
    kind: Scatter
    log_likelihood: float = 0.0
    entropy: float = 0.0
    certainty: float = 0.0
    noise: float = 0.0
    pulls: Array | None = None
    tail_sums: Array | None = None
    tail_information: Array | None = None

    # ---- construction ----------------------------------------------------------------------------

    @classmethod
    def zeros(cls, about: Array, kind: Scatter) -> Moments:
        """The moments of no rows."""
        K, d = about.shape
        return cls(about, np.zeros(K), np.zeros((K, d)), np.zeros(kind.shape(K, d)), kind)

    @classmethod
    def of(
        cls,
        rows: Rows,
        responsibilities: Array,
        about: Array,
        kind: Scatter,
        pulls: Array | None = None,
    ) -> Moments:
        """Moments of a block of rows; responsibilities (m,K) are times the row weights.

        ``pulls`` (m,K) are the second weights of t components.
        """
        moments = cls.zeros(about, kind)
        weights = responsibilities if pulls is None else responsibilities * pulls
        for k, r in enumerate(weights.T):
            moments._observe(k, rows, r)
        if pulls is None:
            return moments
        return replace(moments, counts=responsibilities.sum(axis=0), pulls=moments.counts)

    @classmethod
    def of_labels(
        cls, rows: Rows, labels: Labels, weights: Array | None, about: Array, kind: Scatter
    ) -> Moments:
        """Moments of a block of rows that belong to one component each."""
        moments = cls.zeros(about, kind)
        for k in np.unique(labels):
            mine = labels == k
            moments._observe(
                k, rows[mine], np.ones(mine.sum()) if weights is None else weights[mine]
            )
        return moments

    def _observe(self, k: int, rows: Rows, r: Array) -> None:
        """Add rows with weights ``r (m)`` to component k in place; for constructors only."""
        centred = rows.astype(np.float64) - self.about[k]
        weighted = r[:, None] * centred
        self.counts[k] += r.sum()
        self.first[k] += weighted.sum(axis=0)
        if self.kind is Scatter.TRACE:
            self.second[k] += np.vdot(weighted, centred)
        elif self.kind is Scatter.DIAGONAL:
            self.second[k] += np.einsum("ij,ij->j", weighted, centred)
        elif self.kind is Scatter.TOTAL:
            self.second[...] += weighted.T @ centred
        else:
            self.second[k] += weighted.T @ centred

    # ---- algebra ---------------------------------------------------------------------------------

    def __add__(self, other: Moments) -> Moments:
        """The moments of the union of two disjoint sets of rows (both about the same points)."""
        if self.kind is not other.kind or not np.array_equal(self.about, other.about):
            raise ValueError("moments add up only about the same points and of the same kind")
        return replace(
            self,
            counts=self.counts + other.counts,
            first=self.first + other.first,
            second=self.second + other.second,
            log_likelihood=self.log_likelihood + other.log_likelihood,
            entropy=self.entropy + other.entropy,
            certainty=self.certainty + other.certainty,
            pulls=_sum(self.pulls, other.pulls),
            tail_sums=_sum(self.tail_sums, other.tail_sums),
            tail_information=_sum(self.tail_information, other.tail_information),
            noise=self.noise + other.noise,
        )

    def __mul__(self, rate: float) -> Moments:
        """All sums times a number, as if every row had this weight."""
        return replace(
            self,
            counts=self.counts * rate,
            first=self.first * rate,
            second=self.second * rate,
            log_likelihood=self.log_likelihood * rate,
            entropy=self.entropy * rate,
            certainty=self.certainty * rate,
            pulls=_product(self.pulls, rate),
            tail_sums=_product(self.tail_sums, rate),
            tail_information=_product(self.tail_information, rate),
            noise=self.noise * rate,
        )

    def taken_about(self, about: Array) -> Moments:
        """Moments of the same rows about other points (K,d), near enough to lose no digits."""
        s = self.about - about
        first = self.first + self.pulled[:, None] * s
        if self.kind in _MATRICES:
            cross = self.first[:, :, None] * s[:, None, :]
            change = (
                cross
                + np.swapaxes(cross, 1, 2)
                + self.pulled[:, None, None] * s[:, :, None] * s[:, None, :]
            )
            second = self.second + (change if self.kind is Scatter.DENSE else change.sum(axis=0))
        else:
            change = 2.0 * self.first * s + self.pulled[:, None] * s * s
            second = self.second + (change if self.kind is Scatter.DIAGONAL else change.sum(axis=1))
        return replace(self, about=about, first=first, second=second)

    def with_likelihoods(self, log_likelihood: float, entropy: float, certainty: float) -> Moments:
        """The same moments with other sums over the rows' densities and responsibilities."""
        return replace(self, log_likelihood=log_likelihood, entropy=entropy, certainty=certainty)

    def with_noise(self, noise: float) -> Moments:
        """The same moments beside other rows of this weight in the noise term."""
        return replace(self, noise=noise)

    def with_tails(
        self,
        pulls: Array,
        tail_sums: Array | None = None,
        tail_information: Array | None = None,
    ) -> Moments:
        """The same moments with the sums (K,) of t components.

        Raises
        ------
        CollapseError
            Where a sum of pulls or of information is negative.
        """
        for sums in (pulls, tail_information):
            if sums is not None and (sums < 0).any():
                raise CollapseError(int(sums.argmin()))
        return replace(self, pulls=pulls, tail_sums=tail_sums, tail_information=tail_information)

    def with_sums(
        self, counts: Array, first: Array, second: Array, noise: float | None = None
    ) -> Moments:
        """Moments about the same points with other sums; matrices are made symmetric.

        Raises
        ------
        CollapseError
            Where a count, or the weight of the noise's rows, is negative.
        """
        noise = self.noise if noise is None else noise
        if (counts < 0).any() or noise < 0:
            raise CollapseError(int(counts.argmin()))
        return replace(
            self,
            counts=counts,
            first=first,
            second=symmetric(second) if self.kind in _MATRICES else second,
            noise=noise,
        )

    def select(self, components: Labels) -> Moments:
        """The moments of some components, in the order given; pooled ones stay as they are."""
        return replace(
            self,
            about=self.about[components],
            counts=self.counts[components],
            first=self.first[components],
            second=self.second if self.kind is Scatter.TOTAL else self.second[components],
            pulls=None if self.pulls is None else self.pulls[components],
            tail_sums=None if self.tail_sums is None else self.tail_sums[components],
            tail_information=None
            if self.tail_information is None
            else self.tail_information[components],
        )

    def beside_empty(self, about: Array) -> Moments:
        """The same moments, and those of components without rows about other points (m,d)."""

        def extended(sums: Array) -> Array:
            return np.concatenate([sums, np.zeros((len(about), *sums.shape[1:]))])

        return replace(
            self,
            about=np.concatenate([self.about, about]),
            counts=extended(self.counts),
            first=extended(self.first),
            second=self.second if self.kind is Scatter.TOTAL else extended(self.second),
        )

    def summarised(self, kind: Scatter) -> Moments:
        """The same moments with second moments in less detail, as another family needs them."""
        if kind is self.kind:
            return self
        if self.kind is Scatter.DENSE:
            diagonal = np.einsum("kjj->kj", self.second)
            coarse = {
                Scatter.TOTAL: self.second.sum(axis=0),
                Scatter.DIAGONAL: diagonal,
                Scatter.TRACE: diagonal.sum(axis=1),
            }
            return replace(self, second=coarse[kind], kind=kind)
        if self.kind is Scatter.DIAGONAL and kind is Scatter.TRACE:
            return replace(self, second=self.second.sum(axis=1), kind=kind)
        raise ValueError(
            f"second moments of kind {self.kind.value!r} do not contain {kind.value!r}"
        )

    # ---- estimates -------------------------------------------------------------------------------

    @property
    def n_components(self) -> int:
        """K."""
        return int(self.about.shape[0])

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.about.shape[1])

    @cached_property
    def total(self) -> float:
        """Sum of all weights: the number of rows when every weight is one."""
        return self.in_components + self.noise

    @cached_property
    def in_components(self) -> float:
        """Weight of the rows in the components, without those of the noise."""
        return float(self.counts.sum())

    @cached_property
    def weights(self) -> Array:
        """Mixing proportions (K,), summing to one, or with noise to one less its share."""
        return np.asarray(self.counts / self.total)

    @property
    def pulled(self) -> Array:
        """Sums of the weights (K,) that first and second moments have: pulls, or else counts."""
        return self.counts if self.pulls is None else self.pulls

    @cached_property
    def shift(self) -> Array:
        """New means minus old ones (K,d); zero for an empty component."""
        filled = np.where(self.pulled > 0, self.pulled, 1.0)
        return np.asarray(self.first / filled[:, None])

    @cached_property
    def means(self) -> Array:
        """Weighted means (K,d); an empty component keeps its mean."""
        return np.asarray(self.about + self.shift)

    @cached_property
    def scatter(self) -> Array:
        """Second moments about the new means, in the shape of ``second``.

        Diagonals are never negative, matrices are symmetric.
        """
        correction = (
            self.first[:, :, None] * self.shift[:, None, :]
            if self.kind in _MATRICES
            else self.first * self.shift
        )
        if self.kind is Scatter.DENSE:
            return symmetric(self.second - correction)
        if self.kind is Scatter.TOTAL:
            return symmetric(self.second - correction.sum(axis=0))
        if self.kind is Scatter.TRACE:
            correction = correction.sum(axis=1)
        return np.maximum(self.second - correction, 0.0)


_MATRICES = (Scatter.DENSE, Scatter.TOTAL)


def _sum(one: Array | None, other: Array | None) -> Array | None:
    """The sum of two sums, of which None is that of no rows."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _product(sums: Array | None, rate: float) -> Array | None:
    """Sums times a number, where there are any."""
    return None if sums is None else sums * rate
