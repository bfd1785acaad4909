"""Mixtures given the values of some columns.

With the given columns g and the others o, a Gaussian component given ``x_g`` is

    N(mu_o + A (x_g - mu_g), S),    A = Sigma_og Sigma_gg^-1,    S = Sigma_oo - A Sigma_go,

a t component with nu degrees of freedom has ``nu + c`` of them, for c given columns, and the scale
matrix ``S (nu + D) / (nu + c)`` with the squared distance D of ``x_g`` (Ding 2016, The American
Statistician 70:293-295). The weights are the posteriors of the marginal mixture at ``x_g``. The
noise stays uniform.

With the columns in the order g, o the inverse Cholesky factor of Sigma is

    W = [[W_gg, 0], [W_og, W_oo]],    S^-1 = W_oo' W_oo,    A = -W_oo^-1 W_og,

so that S is positive definite whatever the rounding. A and S are the same for all rows, and the
means of all rows are one product.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, overload

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.errors import DataWarning
from mixtura.base.given_numbers import numbers_from
from mixtura.base.numbering import row_name
from mixtura.base.random_states import generator_of
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.columns import column_numbers, other_columns
from mixtura.distribution.covariance import Covariance, Dense, triangular_inverse
from mixtura.distribution.kernel_densities import log_joint_of_complete
from mixtura.distribution.mean_and_covariance import covariance_of, inflation, mean_of
from mixtura.distribution.mixture_density import LOG_2PI, Kind, log_density, posterior
from mixtura.distribution.t_density import log_fall, log_peak
from mixtura.distribution.univariate import Univariate, checked_levels


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalMixture(Generic[Kind]):
    """m mixtures of the same e columns, one for each row of given values.

    ``len(conditional)`` is m, ``conditional[i]`` is one of them, a slice is some.

    Attributes
    ----------
    weights : (m, K)
        Mixing proportions; with noise they and ``noise`` sum to one.
    means : (m, K, e)
    scales : (m, K), optional
        What multiplies ``covariances``, for t components; None for Gaussians.
    noise : (m,), optional
        Weights of the noise; None where there is none.
    components : Mixture
        The components that all of them share: covariances, degrees of freedom, the box of the noise
        and the names of the columns. Its weights and means are those before values were given.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> one = Mixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]])
    >>> given = one.condition([0], [[0.0], [2.0]])
    >>> given.mean().tolist(), given.var().round(6).tolist()
    ([[0.0], [1.0]], [[0.75], [0.75]])
    """

    weights: Array
    means: Array
    scales: Array | None
    noise: Array | None
    components: Kind

    def __repr__(self) -> str:
        return f"ConditionalMixture({len(self)} times {self.components._summary})"

    @property
    def n_components(self) -> int:
        """K."""
        return self.components.n_components

    @property
    def n_features(self) -> int:
        """e."""
        return self.components.n_features

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the e columns."""
        return self.components.columns

    @property
    def covariances(self) -> Array:
        """Covariances of the components (K,e,e); scale matrices of t, before ``scales``."""
        return np.asarray(self.components.covariance.dense())

    @property
    def tails(self) -> Array | None:
        """Degrees of freedom (K,); None for Gaussians."""
        return self.components.tails

    def __len__(self) -> int:
        return len(self.weights)

    @overload
    def __getitem__(self, i: int) -> Kind: ...

    @overload
    def __getitem__(self, i: slice) -> ConditionalMixture[Kind]: ...

    def __getitem__(self, i: int | slice) -> Kind | ConditionalMixture[Kind]:
        """The mixture of one row, or those of a slice of them."""
        if isinstance(i, slice):
            return replace(
                self,
                weights=self.weights[i],
                means=self.means[i],
                scales=None if self.scales is None else self.scales[i],
                noise=None if self.noise is None else self.noise[i],
            )
        noise, covariance = self.components.noise, self.components.covariance
        return replace(
            self.components,
            weights=self.weights[i],
            means=self.means[i],
            covariance=covariance if self.scales is None else covariance.scaled(self.scales[i]),
            noise=noise
            if self.noise is None
            else noise and noise.with_weight(self.noise[i].item()),
        )

    def __iter__(self) -> Iterator[Kind]:
        return (self[i] for i in range(len(self)))

    # ---- moments ---------------------------------------------------------------------------------

    def mean(self) -> Array:
        """Means (m,e)."""
        return mean_of(self.weights, self.means, self.tails, self._shares, self.components.noise)

    def cov(self) -> Array:
        """Covariance matrices (m,e,e)."""
        return covariance_of(
            self.weights,
            self.means,
            self.covariances,
            self._factors,
            self.mean(),
            self._shares,
            self.components.noise,
        )

    def var(self) -> Array:
        """Variances (m,e)."""
        mean, box = self.mean(), self.components.noise
        total = (self.weights * self._factors) @ np.einsum("kjj->kj", self.covariances)
        total += np.einsum("mk,mkj->mj", self.weights, (self.means - mean[:, None]) ** 2)
        if box is not None:
            uniform = np.exp(2.0 * box.log_sides) / 12.0 + (box.centre - mean) ** 2
            total = total + self._shares[:, None] * uniform
        return np.asarray(total)

    def std(self) -> Array:
        """Standard deviations (m,e)."""
        return np.sqrt(self.var())

    # ---- densities -------------------------------------------------------------------------------

    @ignore_underflow
    def logpdf(self, Y: Any) -> Array:
        """Log density (m,) of row i of Y (m,e) in mixture i.

        Y may be one row (e,) for all of them; where e is 1 it may also be (m,).
        """
        rows = self._rows(Y)
        components, d, box = self.components, self.n_features, self.components.noise
        own = np.empty((len(self), self.n_components + (box is not None)))
        with np.errstate(divide="ignore"):
            own[:, : self.n_components] = np.log(self.weights)
            if box is not None:
                own[:, -1] = np.log(self._shares) - box.log_volume
        for k in range(self.n_components):
            white = components.covariance.whiten(k, rows - self.means[:, k])
            squared = (white**2).sum(axis=1)
            at_mean = -0.5 * components.covariance.log_det[k]
            if self.scales is not None:
                squared = squared / self.scales[:, k]
                at_mean = at_mean - 0.5 * d * np.log(self.scales[:, k])
            if self.tails is None:
                own[:, k] += at_mean - 0.5 * (d * LOG_2PI + squared)
            else:
                tails = self.tails[k]
                own[:, k] += at_mean + log_peak(tails, d) + log_fall(squared, tails, d)
        return log_density(own)

    def pdf(self, Y: Any) -> Array:
        """Density (m,) of row i of Y in mixture i; see :meth:`logpdf`."""
        return np.asarray(np.exp(self.logpdf(Y)))

    def cdf(self, y: Any) -> Array:
        """``P(Y <= y)`` (m,) or (m,Q) for one column, at y (m,) or (m,Q), or () for all.

        Raises
        ------
        ValueError
            For several columns: take ``marginal`` of one, or ``conditional[i].cdf``.
        """
        one, values = self._univariate("cdf"), numbers_from("y", y)
        if values.ndim < 2:
            return one.cdf(values)
        return one.each.cdf(values)

    def ppf(self, q: Any) -> Array:
        """Quantiles of one column: (m,) for a number q, (m,Q) for several (Q,).

        Raises
        ------
        ValueError
            For q outside of [0, 1], or several columns: take ``marginal`` of one.
        """
        one, levels = self._univariate("ppf"), checked_levels("q", q)
        if levels.ndim > 1:
            raise ValueError(
                f"q must be a number or several (Q,), but an array {levels.shape} came."
            )
        if levels.ndim == 0:
            return one.ppf(levels)
        return one.each.ppf(levels[None])

    def rvs(self, random_state: Any = None) -> Array:
        """One random row of each mixture (m,e)."""
        rng, m = generator_of(random_state), len(self)
        shares = self.weights if self.noise is None else np.column_stack([self.weights, self.noise])
        sums = np.cumsum(shares, axis=1)
        labels = (rng.random((m, 1)) * sums[:, -1:] >= sums[:, :-1]).sum(axis=1)
        rows = np.empty((m, self.n_features))
        for k in range(self.n_components):
            own = np.flatnonzero(labels == k)
            normal = rng.standard_normal((len(own), self.n_features))
            if self.tails is not None and self.scales is not None:
                drawn = rng.chisquare(self.tails[k], len(own)) / self.tails[k]
                normal *= np.sqrt(self.scales[own, k] / drawn)[:, None]
            rows[own] = self.means[own, k] + normal @ self._factor(k).T
        box = self.components.noise
        if box is not None:
            noisy = np.flatnonzero(labels == self.n_components)
            rows[noisy] = box.sample(len(noisy), rng)
        return rows

    def marginal(self, columns: Any) -> ConditionalMixture[Kind]:
        """The same mixtures of some of their columns, by numbers or names."""
        numbers = column_numbers(columns, self.columns, self.n_features)
        return replace(
            self,
            means=self.means[:, :, numbers],
            components=self.components.marginal(numbers),
        )

    # ---- parts -----------------------------------------------------------------------------------

    @property
    def _shares(self) -> Array:
        """Weights of the noise (m,); 0 where there is none."""
        return np.zeros(len(self)) if self.noise is None else self.noise

    @property
    def _factors(self) -> Array:
        """What multiplies the matrices of the components to their covariances (m,K)."""
        if self.scales is None or self.tails is None:
            return np.ones_like(self.weights)
        return self.scales * inflation(self.tails)

    def _factor(self, k: int) -> Array:
        """A root of the covariance of a component (e,e)."""
        return np.linalg.cholesky(self.covariances[k])

    def _rows(self, Y: Any) -> Array:
        """Y as (m,e)."""
        values, m, e = numbers_from("Y", Y), len(self), self.n_features
        if e == 1 and values.shape == (m,):
            values = values[:, None]
        if values.shape not in ((m, e), (e,)):
            raise ValueError(
                f"Y must have one row for each of the {m} mixtures, ({m}, {e}), but has shape "
                f"{values.shape}."
            )
        return np.broadcast_to(values, (m, e))

    def _univariate(self, what: str) -> Univariate:
        """The mixtures of the one column there is."""
        if self.n_features != 1:
            raise ValueError(
                f"{what} is for one column, but the mixtures have {self.n_features}. Take one of "
                f"them, for example .marginal({(self.columns or (0,))[0]!r}).{what}(...)."
            )
        variances, scales = self.covariances[:, 0, 0], self.scales
        box = self.components.noise
        low, high = (0.0, 1.0) if box is None else box.interval
        return Univariate(
            self.weights,
            self.means[:, :, 0],
            np.sqrt(variances * (np.ones_like(self.weights) if scales is None else scales)),
            self.tails,
            self._shares,
            low,
            high,
        )


# ---- what is given -------------------------------------------------------------------------------


class Given(NamedTuple):
    """Given columns (c,) and their values, (c,) or of many rows (m,c)."""

    columns: Labels
    values: Array


def given_values(mixture: Kind, columns: Any, values: Any, named: Mapping[str, Any]) -> Given:
    """What :meth:`mixtura.distribution.mixture.Mixture.condition` was given, checked."""
    if named and columns is not None:
        raise ValueError("Give columns either as the first argument or by their names, not both.")
    if values is None:
        table = named if columns is None else columns
        if hasattr(table, "columns"):  # a data frame
            names, each = list(table.columns), numbers_from("values", table)
        elif isinstance(table, Mapping):
            names, each = list(table), _together(table)
        else:
            raise ValueError(
                "condition needs columns and their values, for example condition({0: 3.0}) or "
                f"condition([0], [3.0]), but only {table!r} came."
            )
    else:
        names, each = columns, numbers_from("values", values)
        if np.ndim(columns) == 0 and each.ndim < 2:  # one column: a value, or one for each row
            each = each[..., None]
    numbers = column_numbers(names, mixture.columns, mixture.n_features)
    if each.ndim not in (1, 2) or each.shape[-1] != len(numbers):
        raise ValueError(
            f"values must be ({len(numbers)},) or (m, {len(numbers)}) for {len(numbers)} given "
            f"column{'s' * (len(numbers) > 1)}, but have shape {each.shape}."
        )
    if len(numbers) == mixture.n_features:
        raise ValueError(
            "condition must leave at least one column, but values of all "
            f"{mixture.n_features} came. For the density of whole rows take logpdf."
        )
    if not np.isfinite(each).all():
        rows = np.flatnonzero(~np.isfinite(np.atleast_2d(each)).all(axis=1))
        where = f" in {row_name(int(rows[0]))}" if each.ndim == 2 else ""
        raise ValueError(
            f"The given values must be finite, but there is NaN or infinity{where}. Where a value "
            "is missing, condition on the other columns: rows with the same columns at a time."
        )
    return Given(numbers, each)


def _together(table: Mapping[Any, Any]) -> Array:
    """The values of all columns (c,), or (m,c) where some have one for each row."""
    parts = [numbers_from(f"The value of {name!r}", value) for name, value in table.items()]
    lengths = {part.shape for part in parts if part.ndim}
    if len(lengths) > 1 or any(len(shape) > 1 for shape in lengths):
        raise ValueError(
            "Each column must have a number or an array (m,) of the same length, but shapes "
            f"{[part.shape for part in parts]} came."
        )
    return np.stack(np.broadcast_arrays(*parts), axis=-1) if parts else np.zeros(0)


# ---- the formulas --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Conditioning(Generic[Kind]):
    """What all rows of the same given columns (c) share: it is computed once.

    Attributes
    ----------
    known : Mixture
        The margin of the given columns.
    components : Mixture
        The components of the e others, given a row.
    maps : (K*e, c), optional
        A of all components; None where columns are independent.
    """

    known: Kind
    components: Kind
    maps: Array | None

    @classmethod
    def on(cls, mixture: Kind, given: Labels) -> Conditioning[Kind]:
        """On some columns of a mixture."""
        others = other_columns(given, mixture.n_features)
        maps, covariance = _given_parts(mixture.covariance, given, others)
        tails = None if mixture.tails is None else mixture.tails + len(given)
        components = replace(mixture.marginal(others), covariance=covariance, tails=tails)
        if maps is not None:
            K, e, c = mixture.n_components, len(others), len(given)
            maps = np.broadcast_to(maps, (K, e, c)).reshape(K * e, c)
        return cls(mixture.marginal(given), components, maps)

    @ignore_underflow
    def at(self, values: Array, numbers: Labels | None = None) -> ConditionalMixture[Kind]:
        """The mixtures of the other columns, given rows (m,c).

        Where the density of a row is 0 in all components, the weights are their limit, and a
        :class:`mixtura.DataWarning` says so, with the numbers (m,) of the rows.
        """
        log_joint = log_joint_of_complete(self.known, values)
        _warn_of_no_density(log_joint, numbers)
        shares = posterior(log_joint, values, self.known)
        scales, tails = None, self.known.tails
        if tails is not None:
            squared = self.known.squared_distances(values)
            squared = np.minimum(squared, np.finfo(np.float64).max / 4.0)
            scales = (tails + squared) / (tails + values.shape[1])
        K = self.known.n_components
        noise = None if self.known.noise is None else shares[:, K]
        return ConditionalMixture(
            shares[:, :K], self._located(values), scales, noise, self.components
        )

    def _located(self, values: Array) -> Array:
        """``mu_o + A (x_g - mu_g)`` of all rows and components (m,K,e), by one product.

        Rows are centred, so that nothing is lost far from the origin.
        """
        about, means = self.known.means, self.components.means
        K, e = means.shape
        if self.maps is None:
            return np.broadcast_to(means, (len(values), K, e))
        centre = about.mean(axis=0)
        moved = self.maps.reshape(K, e, -1) @ (about - centre)[:, :, None]
        located = (values - centre) @ self.maps.T
        located += (means - moved[:, :, 0]).ravel()
        return np.asarray(located.reshape(len(values), K, e))


def conditional(mixture: Kind, given: Labels, values: Array) -> ConditionalMixture[Kind]:
    """The mixtures of the other columns, given rows (m,c) of these columns."""
    return Conditioning.on(mixture, given).at(values)


def _given_parts(
    covariance: Covariance, given: Labels, others: Labels
) -> tuple[Array | None, Covariance]:
    """The maps A (K or 1,o,c), None where columns are independent, and the matrices S."""
    if not isinstance(covariance, Dense):
        return None, covariance.marginal(others)
    c = len(given)
    whitener = covariance.marginal(np.concatenate([given, others])).whitener
    own = np.ascontiguousarray(whitener[:, c:, c:])
    roots = np.stack([triangular_inverse(part) for part in own])
    left = Dense(roots @ np.swapaxes(roots, 1, 2), covariance.n_components, known_whitener=own)
    return -roots @ whitener[:, c:, :c], left


def _warn_of_no_density(log_joint: Array, numbers: Labels | None) -> None:
    """Say which rows have no density in any component."""
    if log_joint.size and log_joint.min() > -np.inf:
        return
    lost = np.flatnonzero(~(log_joint > -np.inf).any(axis=1))
    if len(lost):
        first = lost[0] if numbers is None else numbers[lost[0]]
        where = row_name(int(first)) + (f" and {len(lost) - 1:,} more" if len(lost) > 1 else "")
        warnings.warn(
            f"The given values of {where} are so far out that no component has any density there. "
            "The weights are their limit, which is 1 for the component whose density falls least "
            "in that direction.",
            DataWarning,
            stacklevel=5,
        )
