"""Outliers of a mixture: rows less likely than a threshold, and the columns that make them so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.density_tail import RowTails
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density, posterior
from mixtura.model.selection import Candidate

USUAL_RATE = 0.01
"""The false-alarm rate of the default."""

MOST_NOISE = 0.5
"""Outliers are the minority: a noise that takes more of the rows describes ordinary ones."""

SHARE_ROUNDING = 1e-9
"""Shares of the rows that differ by less are equal."""


@dataclass(frozen=True, eq=False)
class Threshold:
    """The log density below which a row is an outlier, with its false-alarm rate.

    Attributes
    ----------
    offset : float
        On the scale of complete rows (:meth:`RowTails.comparable`).
    false_alarm_rate : float
        The probability that a new row of the mixture lies below.
    standard_error : float
        Monte-Carlo standard error of that probability.
    """

    offset: float
    false_alarm_rate: float
    standard_error: float

    @classmethod
    def at(cls, offset: float, tails: RowTails) -> Threshold:
        """A given offset."""
        rate = float(np.exp(tails.whole.log_probability(offset)))
        return cls(offset, rate, tails.whole.standard_error(offset))

    @classmethod
    def of_rate(cls, rate: float, tails: RowTails) -> Threshold:
        """The end of the mixture's highest-density region of content ``1 - rate``."""
        offset = float(tails.whole.quantile(np.log(rate)))
        return cls(offset, rate, tails.whole.standard_error(offset))

    @classmethod
    def of_rows(
        cls,
        share: float,
        scores: Rows,
        rows: Rows,
        weights: Array | None,
        counted: Flags | None,
        tails: RowTails,
    ) -> Threshold:
        """The threshold with a share of the rows (m,d) below it.

        Rows without any value do not count, nor do those that are not ``counted``.
        """
        some = ~np.isnan(rows).all(axis=1)
        if counted is not None:
            some &= counted
        own = None if weights is None else weights[some]
        return cls.at(offset_of_share(share, scores[some].astype(np.float64), own), tails)


def offset_of_share(share: float, scores: Array, weights: Array | None = None) -> float:
    """The middle between the largest of the lowest scores with this share and the next one.

    Equal scores are never parted: with them, and with weights, the share below is the largest one
    that is not more.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    present = weights > 0
    scores, weights = scores[present], weights[present]
    values, numbers = np.unique(scores, return_inverse=True)
    shares = np.bincount(numbers.ravel(), weights).cumsum() / weights.sum()
    below = int(np.searchsorted(shares, share + SHARE_ROUNDING, side="right"))
    lower, upper = values[max(below - 1, 0)], values[min(below, len(values) - 1)]
    if below == 0 or not np.isfinite(lower):
        return float(upper)
    return float(lower + 0.5 * (upper - lower))


def ordinary(mixture: Mixture, smallest_group: float = 0.0) -> tuple[Mixture, Flags]:
    """The mixture of ordinary rows, without noise and small components, and which ones it has (K,).

    Raises
    ------
    ValueError
        When no component is left, or all rows are noise.
    """
    if mixture.weight_of_components <= 0.0:
        raise ValueError(
            "the mixture must have components of ordinary rows, but its noise has taken all rows. "
            "Fit it with noise=None."
        )
    kept = np.asarray(mixture.weights >= smallest_group)
    if not kept.any():
        raise ValueError(
            f"smallest_group={smallest_group:g} must leave a component, but the largest one has "
            f"{mixture.weights.max():.3g} of the rows. Choose a smaller share."
        )
    return mixture.without_noise.select(np.flatnonzero(kept)), kept


def column_residuals(mixture: Mixture, rows: Rows, components: Labels) -> Array:
    """The residual of every entry (m,d) from what the other entries of its row say.

    With the mean mu and the precision matrix P of the observed columns, under the component of the
    row, it is ``(P (x - mu))_j / sqrt(P_jj)``: the difference of ``x_j`` from its conditional mean,
    in conditional standard deviations. The squared distance falls by its square when ``x_j`` is
    replaced by that mean. Where one entry alone is wrong, its residual is the largest.
    """
    x = rows.astype(np.float64)
    out, observed = np.full(x.shape, np.nan), ~np.isnan(x)
    covariances = mixture.covariance.dense()
    for k in np.unique(components):
        of_k = np.flatnonzero(components == k)
        patterns, numbers = np.unique(observed[of_k], axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            own, columns = of_k[numbers.ravel() == number], np.flatnonzero(pattern)
            precision = np.linalg.inv(covariances[k][np.ix_(columns, columns)])
            centred = x[np.ix_(own, columns)] - mixture.means[k, columns]
            out[np.ix_(own, columns)] = centred @ precision / np.sqrt(np.diag(precision))
    return out


@dataclass(frozen=True, eq=False)
class Judgement:
    """Rows judged by a mixture.

    Attributes
    ----------
    threshold : Threshold
    scores : (m,)
        Log densities on the scale of complete rows.
    probabilities : (m,)
        Tail probabilities.
    outliers : (m,) flags
    components : (m,)
        The most probable component of ordinary rows, by its number in the fitted mixture.
    residuals : (m,d)
        Of the columns, see :func:`column_residuals`.
    small_groups : list of int
        Components of the fitted mixture that are groups of outliers.
    """

    threshold: Threshold
    scores: Array
    probabilities: Array
    outliers: Flags
    components: Labels
    residuals: Array
    small_groups: list[int]

    @property
    def striking(self) -> Labels:
        """The column (m,) with the largest residual; -1 for a row without any value."""
        sizes = np.where(np.isnan(self.residuals), -1.0, np.abs(self.residuals))
        return np.where((sizes < 0).all(axis=1), -1, sizes.argmax(axis=1))


@ignore_underflow
def judged(
    fitted: Mixture,
    rows: Rows,
    *,
    rate: float = USUAL_RATE,
    share: float | None = None,
    smallest_group: float = 0.0,
    weights: Array | None = None,
    counted: Flags | None = None,
) -> Judgement:
    """Rows (m,d) judged by a mixture, at the threshold of a rate or of a share of the rows.

    The share is of the rows that are ``counted``, with their weights (m,).
    """
    mixture, kept = ordinary(fitted, smallest_group)
    tails, joint = RowTails.of(mixture), mixture.log_joint(rows)
    densities = log_density(joint)
    scores = tails.comparable(densities, rows)
    if share is None:
        threshold = Threshold.of_rate(rate, tails)
    else:
        threshold = Threshold.of_rows(share, scores, rows, weights, counted, tails)
    components = posterior(joint, rows, mixture).argmax(axis=1)
    return Judgement(
        threshold,
        scores,
        np.exp(tails.log_probability(densities, rows)),
        np.asarray(scores < threshold.offset),
        np.flatnonzero(kept)[components],
        column_residuals(mixture, rows, components),
        np.flatnonzero(~kept).tolist(),
    )


def is_worth_it(noisy: Candidate, plain: Candidate) -> bool:
    """Whether a mixture with noise is to find the outliers, and not the one without.

    Its criterion must be lower, and outliers must be the minority.
    """
    if noisy.fit is None or noisy.fit.mixture.noise is None:
        return False
    if noisy.fit.mixture.noise.weight > MOST_NOISE or not noisy.eligible or noisy.is_spurious:
        return False
    return not plain.eligible or noisy.criterion < plain.criterion
