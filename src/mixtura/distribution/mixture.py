"""The mixture as a distribution, with the words of ``scipy.stats``.

Formulas of single subjects are in modules of their own: densities and posteriors in
:mod:`mixtura.distribution.mixture_density`, conditioning in
:mod:`mixtura.distribution.conditional`, quantiles in :mod:`mixtura.distribution.univariate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.choices import CovarianceType
from mixtura.base.family_names import family_letters
from mixtura.base.given_numbers import numbers_from
from mixtura.base.random_states import generator_of, is_bool
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.affine import affine
from mixtura.distribution.columns import checked_names
from mixtura.distribution.conditional import ConditionalMixture, conditional, given_values
from mixtura.distribution.divergence import (
    bhattacharyya,
    hellinger,
    jensen_shannon,
    kl,
    kl_bounds,
    kl_variational,
    total_variation,
)
from mixtura.distribution.entropy import entropy
from mixtura.distribution.estimate import Estimate, checked_rows
from mixtura.distribution.given_parameters import (
    check_matrices,
    check_means,
    check_proportions,
    given_degrees,
    shape_of_means,
    shaped,
)
from mixtura.distribution.mean_and_covariance import covariance_of, inflation, mean_of
from mixtura.distribution.mixture_density import NOISE_LABEL, MixtureDensity
from mixtura.distribution.modes import Modes, modes
from mixtura.distribution.multivariate_cdf import cdf as multivariate_cdf
from mixtura.distribution.noise import Noise
from mixtura.distribution.parametrisation import public_shape, stored_covariances
from mixtura.distribution.points import log_densities, points_of
from mixtura.distribution.regions import (
    HighestDensityRegions,
    exact_regions,
    region_of_one,
    regions_of_rows,
    sampled_regions,
)
from mixtura.distribution.univariate import Univariate, checked_levels


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(MixtureDensity):
    """A mixture distribution: ``p(x) = sum_k weights_k N(x | means_k, covariance_k)``.

    A fitted estimator has it as ``mixture_``; :meth:`from_parameters` makes one from numbers.
    Components are Gaussian, or t distributions with ``tails``. The methods have the names of
    ``scipy.stats``; points are rows (n, d), or one row (d,).

    With noise, the uniform density of ``logpdf``, ``condition`` and ``hdr`` counts at every row,
    also outside of its box, as in ``score_samples``: a row far from everything is noise. Moments,
    distribution functions, random rows, entropy and distances have it in its box.

    Attributes
    ----------
    weights : (K,)
        Mixing proportions; they sum to one, or with noise to ``1 - noise.weight``.
    means : (K, d)
    covariance : Spherical, Diagonal or Dense
        K covariance matrices in one of the three stored forms; scale matrices of t components.
    covariances : (K, d, d)
        The same as matrices.
    noise : Noise, optional
        A uniform density (:mod:`mixtura.distribution.noise`).
    tails : (K,), optional
        Degrees of freedom of t components (:mod:`mixtura.model.tails`); None for Gaussians.
    columns : d names, optional
        Names of the columns, which go along into margins and conditional mixtures.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> two = Mixture.from_parameters(
    ...     [0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], covariance_type="spherical"
    ... )
    >>> two.mean().tolist(), two.var().tolist()
    ([2.0], [5.0])
    >>> two.cdf([2.0]).tolist(), two.ppf([0.5]).tolist()
    ([0.5], [2.0])
    """

    @classmethod
    @ignore_underflow
    def from_parameters(
        cls,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        covariance_type: CovarianceType = "full",
        degrees_of_freedom: Any = None,
        noise: Noise | None = None,
        columns: Any = None,
    ) -> Mixture:
        """A mixture with given parameters.

        Parameters
        ----------
        weights : (K,)
            Mixing proportions, which sum to one, or with noise to ``1 - noise.weight``.
        means : (K, d)
        covariances : shape by ``covariance_type``
            As in ``covariances_`` of :class:`mixtura.GaussianMixture`; scale matrices of t
            components.
        covariance_type : str
            One of the fourteen families or of scikit-learn's words.
        degrees_of_freedom : float or (K,), optional
            Of t components; None for Gaussians.
        noise : Noise, optional
            A uniform term.
        columns : d names, optional

        Raises
        ------
        ValueError
            For weights that are not normalised, singular or asymmetric covariances, arrays of the
            wrong shape, NaN, and names that are not d different ones.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> known = Mixture.from_parameters(
        ...     [0.3, 0.7],
        ...     [[2.0, 54.0], [4.3, 80.0]],
        ...     [[0.07, 33.7], [0.17, 36.0]],
        ...     covariance_type="diag",
        ...     columns=["eruptions", "waiting"],
        ... )
        >>> known.condition(eruptions=3.0).mean().round(1).tolist()
        [78.2]
        """
        family = family_letters(covariance_type)
        K, d = shape_of_means(means)
        values = check_matrices(
            f"{covariance_type} covariance", family, covariances, public_shape(family, K, d)
        )
        total = 1.0 if noise is None else 1.0 - noise.weight
        if noise is not None and len(noise.log_sides) != d:
            raise ValueError(
                f"The box of the noise must have {d} sides, but has {len(noise.log_sides)}."
            )
        tails = None
        if degrees_of_freedom is not None:
            given = given_degrees(degrees_of_freedom)
            tails = shaped("degrees_of_freedom", np.broadcast_to(given, given.shape or (K,)), (K,))
        return cls(
            check_proportions(weights, K, total),
            check_means(means, K, d),
            stored_covariances(family, values, K, d),
            noise,
            tails,
            checked_names(columns, d),
        )

    # ---- densities -------------------------------------------------------------------------------

    @ignore_underflow
    def logpdf(self, X: Any) -> Any:
        """Log density of rows X (n,d) as (n,), or of one row (d,) as a number.

        For one column X may be (n,) or a number. NaN is a missing entry: the density is that of the
        observed columns. A data frame is read by the names of the columns. The numbers are those of
        ``score_samples``, in double precision.

        Raises
        ------
        ValueError
            For rows of the wrong length.
        """
        points = points_of(X, self)
        return points.shaped(log_densities(self, points.rows))

    def pdf(self, X: Any) -> Any:
        """Density of rows X (n,d) as (n,), or of one row (d,) as a number; see :meth:`logpdf`."""
        with np.errstate(under="ignore"):
            return np.exp(self.logpdf(X))

    # ---- moments ---------------------------------------------------------------------------------

    def mean(self) -> Array:
        """Mean (d,); NaN where a t component has at most one degree of freedom."""
        return mean_of(self.weights, self.means, self.tails, self._noise_weight, self.noise)

    def cov(self) -> Array:
        """Covariance matrix (d,d).

        It is infinite where a t component has at most two degrees of freedom.
        """
        return covariance_of(
            self.weights,
            self.means,
            self.covariance.dense(),
            np.ones(self.n_components) if self.tails is None else inflation(self.tails),
            self.mean(),
            self._noise_weight,
            self.noise,
        )

    def var(self) -> Array:
        """Variances (d,)."""
        return np.diagonal(self.cov()).copy()

    def std(self) -> Array:
        """Standard deviations (d,)."""
        return np.sqrt(self.var())

    # ---- random rows -----------------------------------------------------------------------------

    def rvs(
        self,
        size: int | tuple[int, ...] = 1,
        random_state: Any = None,
        component: int | None = None,
    ) -> Array:
        """Random rows in random order: (size, d), or (\\*size, d) for a tuple.

        Parameters
        ----------
        size : int or tuple of int
        random_state : int, Generator, RandomState or None
        component : int, optional
            Draw from this component alone; -1 is the noise.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> two = Mixture.from_parameters([0.5, 0.5], [[0.0, 0.0], [9.0, 9.0]], [[[1.0, 0.0],
        ...     [0.0, 1.0]]] * 2)
        >>> two.rvs(1000, random_state=0).mean(axis=0).round().tolist()
        [4.0, 4.0]
        """
        shape, rng = _checked_size(size), generator_of(random_state)
        n = int(np.prod(shape, dtype=np.intp))
        if component == NOISE_LABEL and self.noise is not None:
            rows = self.noise.sample(n, rng)
        else:
            rows, _ = (self if component is None else self._component(component)).sample(n, rng)
        return rng.permutation(rows).reshape(*shape, self.n_features)

    def _component(self, k: int) -> Mixture:
        """The distribution of one component alone."""
        if is_bool(k) or not isinstance(k, int | np.integer) or not 0 <= k < self.n_components:
            raise ValueError(
                f"component must be a number from 0 to {self.n_components - 1}"
                f"{', or -1 for the noise' if self.noise is not None else ''}, but {k!r} came."
            )
        return self.without_noise.select(np.array([k]))

    # ---- conditioning ----------------------------------------------------------------------------

    def condition(self, columns: Any = None, values: Any = None, /, **named: Any) -> Any:
        """The distribution of the other columns, given values of some.

        Parameters
        ----------
        columns : mapping, numbers or names, or data frame
            Values by column, ``{"eruptions": 3.0}`` or ``{0: 3.0}``; or the columns of ``values``.
        values : (c,) or (m, c), optional
            One value for each of these columns, or rows of them.
        \\*\\*named
            Values by the names of columns, ``condition(eruptions=3.0)``.

        Returns
        -------
        Mixture or ConditionalMixture
            A mixture of the other columns for numbers; for arrays (m,) the m mixtures, as
            :class:`mixtura.ConditionalMixture`.

        Raises
        ------
        ValueError
            For columns that do not exist or come twice, for all columns or none, and for values
            that are not finite.

        Warns
        -----
        DataWarning
            Where no component has any density; the weights are then their limit.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> one = Mixture.from_parameters(
        ...     [1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]], columns=["x", "y"]
        ... )
        >>> one.condition(x=2.0).mean().tolist()
        [1.0]
        >>> one.condition({"x": [0.0, 2.0]}).mean().tolist()
        [[0.0], [1.0]]
        """
        given = given_values(self, columns, values, named)
        rows = np.atleast_2d(given.values)
        found: ConditionalMixture[Mixture] = conditional(self, given.columns, rows)
        return found[0] if given.values.ndim == 1 else found

    # ---- distribution function and quantiles -----------------------------------------------------

    def cdf(self, X: Any, *, return_error: bool = False) -> Any:
        """``P(X_1 <= x_1, ..., X_d <= x_d)``; points as in :meth:`logpdf`.

        It is exact to rounding in one column, for two Gaussian columns, and for diagonal and
        spherical Gaussians. Else it is the mean over shifted lattices (Genz 1992; Genz & Bretz
        2002), refined until the standard error of each component is below 1e-5 or 16,384 points
        are used. NaN sets no limit in its column.

        Parameters
        ----------
        X : (n, d)
        return_error : bool
            Return also the standard error (n,), 0 where the value is exact.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> one = Mixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]])
        >>> one.cdf([[0.0, 0.0]]).round(12).tolist()  # 1/4 + arcsin(1/2) / (2 pi)
        [0.333333333333]
        """
        points = points_of(X, self)
        if self.n_features == 1:
            x = points.rows[:, 0]
            value = self._univariate("cdf").cdf(np.where(np.isnan(x), np.inf, x))
            error = np.zeros(len(x))
        else:
            value, error = multivariate_cdf(self, points.rows)
        return (
            (points.shaped(value), points.shaped(error)) if return_error else points.shaped(value)
        )

    def sf(self, X: Any) -> Any:
        """``P(X > x)`` of a mixture of one column, with all digits where it is small."""
        line = self._univariate("sf")
        points = points_of(X, self)
        return points.shaped(line.sf(points.rows[:, 0]))

    def ppf(self, q: Any) -> Any:
        """Quantiles of a mixture of one column, of the shape of q; -inf for 0 and inf for 1.

        Small q and q near 1 keep all their digits.

        Raises
        ------
        ValueError
            For q outside of [0, 1], or several columns: take the ``marginal`` of one.
        """
        levels = checked_levels("q", q)
        return self._univariate("ppf").ppf(levels)[()]

    # ---- entropy, regions and modes --------------------------------------------------------------

    def entropy(self, *, n_samples: int = 100_000, random_state: Any = 0) -> Estimate:
        """Differential entropy in nats, from about n_samples random rows of a fixed seed.

        Only the mean entropy of the memberships is estimated, so that the answer is exact for one
        component, and nearly so for components that are far apart.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> one = Mixture.from_parameters([1.0], [[0.0]], [1.0], covariance_type="spherical")
        >>> one.entropy()
        Estimate(value=1.4189385332046727, standard_error=0.0)
        """
        return entropy(self, checked_rows(n_samples), random_state)

    def hdr(
        self,
        levels: Any = (0.5, 0.95),
        X: Any = None,
        *,
        n_samples: int = 100_000,
        random_state: Any = 0,
    ) -> HighestDensityRegions:
        """Highest-density regions: the smallest regions of given probabilities.

        Parameters
        ----------
        levels : float or (L,)
            Probabilities of the regions.
        X : (n, d), optional
            Take the quantiles of the density at these rows, as mclust does, in place of those under
            the mixture itself.
        n_samples : int
            Random rows for the thresholds in several columns; in one column, and of one
            component, they are exact.
        random_state : int, Generator, RandomState or None

        Returns
        -------
        HighestDensityRegions
            With ``thresholds`` (L,) of the density, ``contains(X)`` and, in one column,
            ``intervals``.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> two = Mixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [9.0]], [1.0, 1.0], covariance_type="spherical"
        ... )
        >>> two.hdr(0.95).intervals[0].round(2).tolist()
        [[-1.96, 1.96], [7.04, 10.96]]
        """
        wanted = checked_levels("levels", levels)
        return self._regions(wanted.ravel(), X, n_samples, random_state).reshaped(wanted.shape)

    def _regions(
        self, levels: Array, X: Any, n_samples: int, random_state: Any
    ) -> HighestDensityRegions:
        """The regions of levels (L,)."""
        line = self._univariate("hdr") if self.n_features == 1 else None
        if X is not None:
            rows = points_of(X, self).rows
            if not len(rows) or np.isnan(rows).any():
                raise ValueError(
                    "hdr needs at least one row and a value in each column, but X has "
                    f"{'missing entries' if len(rows) else 'no rows'}. Leave such rows out."
                )
            values = log_densities(self, rows)
            return regions_of_rows(self, levels, values, line)
        if line is not None:
            return exact_regions(self, levels, line)
        if self.n_components == 1 and self.noise is None:
            return region_of_one(self, levels)
        return sampled_regions(self, levels, checked_rows(n_samples), random_state)

    def modes(self) -> Modes:
        """The local maxima of the density, the highest first.

        There may be fewer modes than components, and in several columns also more.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> near = Mixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [2.0]], [1.0, 1.0], covariance_type="spherical"
        ... )
        >>> near.modes().points.round(2).tolist()
        [[1.0]]
        """
        return modes(self)

    # ---- distances -------------------------------------------------------------------------------

    def kl(
        self, other: MixtureDensity, *, n_samples: int = 100_000, random_state: Any = 0
    ) -> Estimate:
        """Kullback-Leibler divergence ``E log p / q`` of ``other`` q from this mixture p, in nats.

        It is exact for two Gaussians, 0 for a mixture and itself, and else an estimate from random
        rows of this mixture.

        Raises
        ------
        TypeError, ValueError
            For something else than a mixture, or one of other columns.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> narrow, wide = (
        ...     Mixture.from_parameters([1.0], [[0.0]], [v], covariance_type="spherical")
        ...     for v in (1.0, 4.0)
        ... )
        >>> round(narrow.kl(wide).value, 4), round(wide.kl(narrow).value, 4)
        (0.3181, 0.8069)
        """
        return kl(self, other, checked_rows(n_samples), random_state)

    def kl_variational(self, other: MixtureDensity) -> float:
        """The variational approximation to :meth:`kl` (Hershey & Olsen 2007), without random rows.

        It is neither a lower nor an upper bound; see :meth:`kl_bounds`. Gaussian components alone.
        """
        return kl_variational(self, other)

    def kl_bounds(self, other: MixtureDensity) -> tuple[float, float]:
        """A lower and an upper bound of :meth:`kl`, without random rows.

        The lower one is that of Durrieu, Thiran & Kelly 2012, or 0, the upper one the variational
        bound of Hershey & Olsen 2007. Gaussian components alone.
        """
        return kl_bounds(self, other)

    def jensen_shannon(
        self, other: MixtureDensity, *, n_samples: int = 100_000, random_state: Any = 0
    ) -> Estimate:
        """Jensen-Shannon divergence in nats, from 0 to log 2, from random rows of both."""
        return jensen_shannon(self, other, checked_rows(n_samples), random_state)

    def total_variation(
        self, other: MixtureDensity, *, n_samples: int = 100_000, random_state: Any = 0
    ) -> Estimate:
        """Total variation distance, from 0 to 1: the largest difference of the probabilities of any
        set, from random rows of both.
        """
        return total_variation(self, other, checked_rows(n_samples), random_state)

    def hellinger(
        self, other: MixtureDensity, *, n_samples: int = 100_000, random_state: Any = 0
    ) -> Estimate:
        """Hellinger distance, from 0 to 1, from random rows of both."""
        return hellinger(self, other, checked_rows(n_samples), random_state)

    def bhattacharyya(
        self, other: MixtureDensity, *, n_samples: int = 100_000, random_state: Any = 0
    ) -> Estimate:
        """Bhattacharyya distance, from 0 to infinity, from random rows of both."""
        return bhattacharyya(self, other, checked_rows(n_samples), random_state)

    # ---- affine maps -----------------------------------------------------------------------------

    def affine(self, A: Any = 1.0, b: Any = 0.0, *, columns: Any = None) -> Mixture:
        """The distribution of ``A x + b``.

        ``mixture * a + b`` is the same for numbers, or one number for each column.

        Parameters
        ----------
        A : float, (d,) or (e, d)
            A number for all columns, one for each, or a matrix of full row rank.
        b : float or (e,)
        columns : e names, optional
            Names of the new columns; those of before are kept where A is no matrix.

        Raises
        ------
        ValueError
            For maps without full row rank, and, with noise, maps that mix columns.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> celsius = Mixture.from_parameters(
        ...     [1.0], [[20.0]], [25.0], covariance_type="spherical", columns=["temperature"]
        ... )
        >>> fahrenheit = celsius * 1.8 + 32
        >>> fahrenheit.mean().tolist(), fahrenheit.std().tolist(), fahrenheit.columns
        ([68.0], [9.0], ('temperature',))
        """
        return affine(self, A, b, columns)

    __array_ufunc__ = None  # an array times a mixture is a mixture, not an array of them

    def __mul__(self, scale: Any) -> Mixture:
        return self.affine(_numbers(scale))

    __rmul__ = __mul__

    def __truediv__(self, scale: Any) -> Mixture:
        with np.errstate(divide="ignore"):
            return self.affine(1.0 / np.asarray(_numbers(scale)))

    def __add__(self, shift: Any) -> Mixture:
        return self.affine(b=_numbers(shift))

    __radd__ = __add__

    def __sub__(self, shift: Any) -> Mixture:
        return self.affine(b=-np.asarray(_numbers(shift)))

    def __rsub__(self, shift: Any) -> Mixture:
        return self.affine(-1.0, _numbers(shift))

    def __neg__(self) -> Mixture:
        return self.affine(-1.0)

    # ---- one column ------------------------------------------------------------------------------

    def _univariate(self, what: str) -> Univariate:
        """The mixture of the one column there is."""
        if self.n_features != 1:
            raise ValueError(
                f"{what} is for one column, but the mixture has {self.n_features}. Take one of "
                f"them, for example .marginal({(self.columns or (0,))[0]!r}).{what}(...)."
            )
        low, high = (0.0, 1.0) if self.noise is None else self.noise.interval
        return Univariate(
            self.weights,
            self.means[:, 0],
            np.sqrt(self.covariance.dense()[:, 0, 0]),
            self.tails,
            np.asarray(self._noise_weight),
            low,
            high,
        )

    @property
    def _noise_weight(self) -> float:
        """0 without noise."""
        return 0.0 if self.noise is None else self.noise.weight


def _checked_size(size: Any) -> tuple[int, ...]:
    """The shape of random rows."""
    shape = size if isinstance(size, tuple) else (size,)
    if not all(isinstance(n, int | np.integer) and not is_bool(n) and n >= 0 for n in shape):
        raise ValueError(
            f"size must be a number of rows or a tuple of such, each at least 0, but {size!r} came."
        )
    return shape


def _numbers(values: Any) -> Any:
    """A number, or one for each column, of an arithmetic expression.

    Raises
    ------
    TypeError
    """
    if isinstance(values, MixtureDensity) or np.ndim(values) > 1:
        raise TypeError(
            "A mixture can be scaled and shifted by numbers, or by one number for each column. For "
            "matrices take affine(A, b); sums of mixtures are not defined."
        )
    return numbers_from("The other operand", values)
