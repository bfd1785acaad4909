"""The mixture as a distribution, with the words of ``scipy.stats``.

Formulas of single subjects are in modules of their own: densities and posteriors in
:mod:`mixtura.model.mixture_density`, conditioning in :mod:`mixtura.model.conditional`, quantiles in
:mod:`mixtura.model.univariate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.choices import CovarianceType
from mixtura.base.family_names import family_letters
from mixtura.base.random_states import generator_of
from mixtura.base.underflow import ignore_underflow
from mixtura.model.columns import checked_names
from mixtura.model.conditional import ConditionalMixture, conditional, given_values
from mixtura.model.given_parameters import (
    check_matrices,
    check_means,
    check_proportions,
    given_degrees,
    shape_of_means,
    shaped,
)
from mixtura.model.mean_and_covariance import covariance_of, inflation, mean_of
from mixtura.model.mixture_density import (
    LOG_2PI,
    NOISE_LABEL,
    MixtureDensity,
    labels_of,
    log_density,
    posterior,
)
from mixtura.model.noise import Noise
from mixtura.model.parametrisation import public_shape, stored_covariances
from mixtura.model.points import log_densities, points_of
from mixtura.model.univariate import Univariate, checked_levels

__all__ = ["LOG_2PI", "NOISE_LABEL", "Mixture", "labels_of", "log_density", "posterior"]


@dataclass(frozen=True, eq=False)
class Mixture(MixtureDensity):
    """A mixture distribution: ``p(x) = sum_k weights_k N(x | means_k, covariance_k)``.

    A fitted estimator has it as ``mixture_``; :meth:`from_parameters` makes one from numbers.
    Components are Gaussian, or t distributions with ``tails``. The methods have the names of
    ``scipy.stats``; points are rows (n, d), or one row (d,).

    With noise, the uniform density counts at every row, also outside of its box, as in
    ``score_samples``; moments, distribution functions and random rows are over the box.

    Attributes
    ----------
    weights : (K,)
        Mixing proportions; they sum to one, or with noise to ``1 - noise.weight``.
    means : (K, d)
    covariance : Spherical, Diagonal or Dense
        K covariance matrices in one of the three stored forms, ``covariance.dense()`` as
        (K, d, d); scale matrices of t components.
    noise : Noise, optional
        A uniform density (:mod:`mixtura.model.noise`).
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
        matrices = self.covariance.dense()
        if self.tails is not None:
            with np.errstate(invalid="ignore"):  # 0 times infinity
                matrices = matrices * inflation(self.tails)[:, None, None]
        return covariance_of(
            self.weights, self.means, matrices, self.mean(), self._noise_weight, self.noise
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
        shape = (size,) if isinstance(size, int | np.integer) else tuple(size)
        n, rng = int(np.prod(shape, dtype=np.intp)), generator_of(random_state)
        if component == NOISE_LABEL and self.noise is not None:
            rows = self.noise.sample(n, rng)
        else:
            rows, _ = (self if component is None else self._component(component)).sample(n, rng)
        return rng.permutation(rows).reshape(*shape, self.n_features)

    def _component(self, k: int) -> Mixture:
        """The distribution of one component alone."""
        if not isinstance(k, int | np.integer) or not 0 <= k < self.n_components:
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

    def cdf(self, X: Any) -> Any:
        """``P(X_1 <= x_1, ..., X_d <= x_d)``; points as in :meth:`logpdf`."""
        points = points_of(X, self)
        return points.shaped(self._univariate("cdf").cdf(points.rows[:, 0]))

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
