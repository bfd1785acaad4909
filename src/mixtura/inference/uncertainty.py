"""Standard errors and intervals of the parameters, common to all methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, logit, ndtri

from mixtura.base.arrays import Array, Rows
from mixtura.base.errors import InferenceError
from mixtura.base.numbering import component_name
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.distribution.parametrisation import public_covariances
from mixtura.em.effective_parameters import soundness_of
from mixtura.families import FAMILIES

LARGEST_DISTANCE = 0.5
"""Distance from the maximum of the likelihood, in standard errors, up to which a fit has standard
errors.
"""

NUMBERS_AT_ONCE = 2**21
"""Numbers held at a time (16 MB), derivatives or probabilities; a constant, so that sums have the
same rounding everywhere.
"""

_Entry = tuple[str, int | None, tuple[int, ...]]
"""``weights``, ``means``, ``covariances`` or ``tails``; the component, or None where it is shared;
the index in that array.
"""


@dataclass(frozen=True, eq=False)
class Parameters:
    """One number per parameter of a mixture, such as estimates or standard errors.

    Attributes
    ----------
    weights : (..., K)
    means : (..., K, d)
    covariances : (..., *shape)
        In the shape of ``covariances_``.
    tails : (..., K)
        Degrees of freedom of t components; (..., 0) for Gaussians.
    """

    weights: Array
    means: Array
    covariances: Array
    tails: Array = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(cls, mixture: Mixture, family: str) -> Parameters:
        """The parameters of a mixture."""
        return cls(
            mixture.weights,
            mixture.means,
            public_covariances(family, mixture.covariance),
            np.zeros(0) if mixture.tails is None else mixture.tails,
        )

    @classmethod
    def stacked(cls, parts: Sequence[Parameters]) -> Parameters:
        """Several sets of parameters along a new first axis."""
        return cls(
            *(np.stack([part.__dict__[name] for part in parts]) for name in cls.__annotations__)
        )

    def each(self, function: Callable[..., Array], *others: Parameters) -> Parameters:
        """A function of each of the four arrays, and of those of others; Gaussians have three."""
        of_all = [part._arrays for part in (self, *others)]
        used = [arrays for arrays in zip(*of_all, strict=True) if arrays[0].size]
        return Parameters(*(np.asarray(function(*arrays)) for arrays in used))

    @property
    def _arrays(self) -> tuple[Array, Array, Array, Array]:
        return self.weights, self.means, self.covariances, self.tails


@dataclass(frozen=True, eq=False)
class Interval:
    """Lower and upper ends, one per parameter."""

    level: float
    low: Parameters
    high: Parameters


@dataclass(frozen=True, eq=False)
class MembershipIntervals:
    """Posterior probabilities with intervals.

    Attributes
    ----------
    level : float
    probability, low, high : (n, K)
        ``0 <= low <= probability <= high <= 1`` for intervals from the information; quantiles of
        replicates can exclude the estimate.
    """

    level: float
    probability: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Uncertainty(ABC):
    """Standard errors of a fitted mixture.

    Attributes
    ----------
    method : str
    family : str
    mixture : Mixture
        The fit itself.
    standard_errors : Parameters
    notes : tuple of str
        Limitations of the numbers: terms or replicates that were left out.
    """

    method: str
    family: str
    mixture: Mixture
    standard_errors: Parameters
    notes: tuple[str, ...]

    @property
    def estimate(self) -> Parameters:
        """The fitted parameters."""
        return Parameters.of(self.mixture, self.family)

    @property
    def weights(self) -> Array:
        """Standard errors of the mixing proportions (K,)."""
        return self.standard_errors.weights

    @property
    def means(self) -> Array:
        """Standard errors of the means (K,d), in units of the columns."""
        return self.standard_errors.means

    @property
    def covariances(self) -> Array:
        """Standard errors of the covariances, in the shape of ``covariances_``."""
        return self.standard_errors.covariances

    @property
    def degrees_of_freedom(self) -> Array | None:
        """Standard errors of the degrees of freedom (K,); None for Gaussian components."""
        return None if self.mixture.tails is None else self.standard_errors.tails

    def interval(self, level: float = 0.95) -> Interval:
        """Normal intervals: of the logits of weights, the logarithms of variances, and the others.

        So weights stay between 0 and 1 and variances, as degrees of freedom, above 0.
        """
        z = normal_quantile(level)
        estimate, errors = self.estimate, self.standard_errors
        low_weights, high_weights = _on_logit_scale(estimate.weights, errors.weights, z)
        low, high = _covariance_interval(self.family, estimate.covariances, errors.covariances, z)
        reach, factor = z * errors.means, np.exp(z * errors.tails / estimate.tails)
        return Interval(
            level,
            Parameters(low_weights, estimate.means - reach, low, estimate.tails / factor),
            Parameters(high_weights, estimate.means + reach, high, estimate.tails * factor),
        )

    @abstractmethod
    def memberships(self, rows: Rows, level: float = 0.95) -> MembershipIntervals:
        """Intervals of the posterior probabilities of rows (n,d)."""

    def rows(
        self, level: float = 0.95, columns: Sequence[str] | None = None
    ) -> list[dict[str, object]]:
        """The table, one row per parameter; entries above the diagonal of a matrix are left out.

        ``component`` is None for a shared parameter. ``columns`` names the columns of X.
        """
        interval = self.interval(level)
        names = (
            list(columns)
            if columns is not None
            else [str(j) for j in range(self.mixture.n_features)]
        )
        return [
            {
                "parameter": _label(array, index, component is None, names),
                "component": component,
                "estimate": float(getattr(self.estimate, array)[index]),
                "se": float(getattr(self.standard_errors, array)[index]),
                "low": float(getattr(interval.low, array)[index]),
                "high": float(getattr(interval.high, array)[index]),
            }
            for array, component, index in _entries(self.family, self.estimate)
        ]


def normal_quantile(level: float) -> float:
    """``z`` with ``P(|normal| < z) = level``.

    Raises
    ------
    ValueError
        For a level that is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(
            f"level must be between 0 and 1, but {level!r} came. Pass for example level=0.95."
        )
    return float(ndtri(0.5 + 0.5 * level))


def tail_probabilities(level: float) -> tuple[float, float]:
    """The probabilities at both ends of an equal-tailed interval.

    Raises
    ------
    ValueError
        For a level that is not between 0 and 1.
    """
    normal_quantile(level)  # refuses
    return 0.5 - 0.5 * level, 0.5 + 0.5 * level


def logits(log_joint: Array, rows: Rows, mixture: Mixture) -> Array:
    """``log r_k - log(1 - r_k)`` (m,K) from log joint densities.

    ``1 - r_k`` is the sum of the others, which loses no digits. Where all densities underflow, the
    logits of the posterior's limit are infinite.
    """
    K = log_joint.shape[1]
    if K == 1:
        return np.full(log_joint.shape, np.inf)
    with np.errstate(invalid="ignore"):
        others = np.stack(
            [np.logaddexp.reduce(np.delete(log_joint, k, axis=1), axis=1) for k in range(K)], axis=1
        )
        values = log_joint - others
    lost = np.isnan(values).any(axis=1)
    values[lost] = logit(posterior(log_joint[lost], rows[lost], mixture))
    return np.asarray(values)


def logit_intervals(centre: Array, deviations: Array, level: float) -> MembershipIntervals:
    """Normal intervals of logits, transformed to probabilities."""
    z = normal_quantile(level)
    with np.errstate(invalid="ignore"):
        reach = np.where(np.isfinite(centre), z * deviations, 0.0)
    reach = np.where(np.isnan(reach), np.inf, reach)
    return MembershipIntervals(level, expit(centre), expit(centre - reach), expit(centre + reach))


def public_of_dense(family: str, values: Array) -> Array:
    """Numbers for the entries of K dense covariances (K,d,d) in the shape of ``covariances_``."""
    kind = FAMILIES[family]
    if kind.needs is Scatter.TRACE:
        values = values[:, 0, 0]
    elif kind.needs is Scatter.DIAGONAL:
        values = np.einsum("kjj->kj", values)
    return np.asarray(values[0] if kind.shares_all else values)


# ---- refusals ------------------------------------------------------------------------------------


def refuse_unsound(problem: Problem, mixture: Mixture) -> None:
    """Refuse spurious and empty components, components at the floor, and copies."""
    moments = problem.dataset.backend.moments(problem.dataset.source, mixture, problem.family.needs)
    judged = soundness_of(problem, mixture, moments)
    reasons = [
        (item.component, item.reason)
        for item in judged.findings
        if item.kind in ("spurious", "empty")
    ]
    reached = problem.regularisation.floor_reached(mixture.covariance)
    if (fixed := problem.fixed_of(mixture.n_components)) is not None:
        reached = reached & fixed.free_covariances
    at_floor = np.flatnonzero(reached)
    reasons += [
        (int(k), "its covariance is at the floor")
        for k in at_floor
        if k not in {known for known, _ in reasons}
    ]
    if reasons:
        listed = "; ".join(f"{component_name(k)}: {reason}" for k, reason in reasons[:3])
        raise InferenceError(
            f"no standard errors: the rows do not determine {len(reasons)} component(s) "
            f"({listed}), so the likelihood has no regular maximum. Reduce n_components or choose "
            "a stricter covariance_type."
        )
    if judged.copies:
        raise InferenceError(
            "no standard errors: two components are exact copies of each other, so their weights "
            "are not determined. Reduce n_components or start from different means."
        )


def refuse_far(distance: float) -> None:
    """Refuse a fit that is not at the maximum."""
    if not distance <= LARGEST_DISTANCE:
        raise InferenceError(
            f"no standard errors: the parameters are {distance:.2g} standard errors away from the "
            f"maximum of the likelihood of these rows, and at most {LARGEST_DISTANCE} is allowed. "
            "Pass the X and sample_weight of the fit, or go on fitting with warm_start=True, "
            "tol=None and a larger max_iter."
        )


# ---- intervals within the range of a parameter ---------------------------------------------------


def _on_logit_scale(weights: Array, errors: Array, z: float) -> tuple[Array, Array]:
    """Ends of the intervals of proportions; a proportion of one has no error."""
    free = (weights > 0) & (weights < 1)
    spread = np.divide(errors, weights * (1.0 - weights), out=np.zeros_like(weights), where=free)
    with np.errstate(divide="ignore"):
        centre = np.log(weights) - np.log1p(-np.minimum(weights, 1.0))
    return np.asarray(expit(centre - z * spread)), np.asarray(expit(centre + z * spread))


def _covariance_interval(
    family: str, values: Array, errors: Array, z: float
) -> tuple[Array, Array]:
    """Ends of the intervals of covariances; of variances on the logarithmic scale."""
    low, high = values - z * errors, values + z * errors
    variance = _is_variance(family, values)
    factor = np.exp(z * errors[variance] / values[variance])
    low, high = np.array(low), np.array(high)
    low[variance], high[variance] = values[variance] / factor, values[variance] * factor
    return low, high


def _is_variance(family: str, values: Array) -> Array:
    """Which entries of ``covariances_`` are variances."""
    if FAMILIES[family].needs in (Scatter.TRACE, Scatter.DIAGONAL):
        return np.ones(values.shape, dtype=bool)
    return np.broadcast_to(np.eye(values.shape[-1], dtype=bool), values.shape)


# ---- the table -----------------------------------------------------------------------------------


def _entries(family: str, estimate: Parameters) -> Iterator[_Entry]:
    """Every parameter, in the order weights, means, covariances, degrees of freedom."""
    shared = FAMILIES[family].shares_all
    for k in range(len(estimate.weights)):
        yield "weights", k, (k,)
    for k, j in np.ndindex(estimate.means.shape):
        yield "means", k, (k, j)
    dense = FAMILIES[family].needs not in (Scatter.TRACE, Scatter.DIAGONAL)
    for index in np.ndindex(estimate.covariances.shape):
        if dense and index[-2] < index[-1]:
            continue
        yield "covariances", None if shared else index[0], index
    for k in range(len(estimate.tails)):
        yield "tails", k, (k,)


def _label(array: str, index: tuple[int, ...], shared: bool, names: list[str]) -> str:
    """The name of a parameter."""
    if array == "weights":
        return "weight"
    if array == "tails":
        return "degrees of freedom"
    if array == "means":
        return f"mean[{names[index[1]]}]"
    inner = index if shared else index[1:]
    if not inner:
        return "variance"
    if len(inner) == 1 or inner[0] == inner[1]:
        return f"variance[{names[inner[0]]}]"
    return f"covariance[{names[inner[0]]}, {names[inner[1]]}]"
