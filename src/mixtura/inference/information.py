"""Standard errors from the observed information, the scores, or both (the sandwich).

With ``g_ik`` the derivatives of ``log(pi_k N(x_i | k))`` in local coordinates
(:mod:`mixtura.em.coordinates`), ``r_ik`` the responsibilities and ``w_i`` the frequencies, Louis'
identity is, row by row and in closed form,

    score               s_i = sum_k r_ik g_ik
    scores              J   = sum_i w_i s_i s_i'
    observed            I   = - sum_ik w_i r_ik d2 log(pi_k N_k)     complete data
                              - sum_ik w_i r_ik g_ik g_ik'  +  J     missing data

The first sum depends on the rows through counts, means and scatter alone; the other two are
computed in one pass over blocks of rows, so memory beyond the data is O(block x p + p^2). The
eigenvalues of I in units of the complete-data information are one minus the rates of EM. All are
positive at a maximum, some are negative at a saddle, and some are zero where a direction is not
identified.

Where rows are incomplete, second derivatives are by Oakes' identity
(:mod:`mixtura.inference.oakes`).

References: Louis 1982; Boldea & Magnus 2009 (the same matrices for unrestricted covariances); White
1982 (the sandwich).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.errors import InferenceError
from mixtura.base.numbering import component_name
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.em.coordinates import Coordinates, coordinates_around
from mixtura.inference.information_sums import (
    LARGEST_WHOLE,
    Information,
    InformationSums,
    component_scores,
    groups_of,
    places_of,
    rows_at_once,
)
from mixtura.inference.oakes import STEP, information_by_oakes, mixtures_beside
from mixtura.inference.uncertainty import (
    LARGEST_DISTANCE,
    MembershipIntervals,
    Parameters,
    Uncertainty,
    logit_intervals,
    logits,
    public_of_dense,
    refuse_far,
    refuse_unsound,
)
from mixtura.model.regularisation import Regularisation

LEAST_OBSERVED = 1e-8
"""Part of the complete-data information in any direction below which the observed information is
rounding.
"""

InformationMethod: TypeAlias = Literal["information", "scores", "sandwich"]


# ---- the matrices --------------------------------------------------------------------------------


def information(
    problem: Problem,
    mixture: Mixture,
    *,
    largest_whole: int = LARGEST_WHOLE,
) -> Information:
    """Gradient, observed information and outer product of scores of the objective of EM.

    The objective is the log-likelihood with the penalty of a ridge or a prior
    (:mod:`mixtura.model.regularisation`).

    Parameters
    ----------
    problem : Problem
    mixture : Mixture
        Any mixture of the family; it need not be a maximum.
    largest_whole : int
        With more parameters than this the matrices have one block for each component.

    Raises
    ------
    InferenceError
        When one block would be too large.
    """
    dataset, regularisation = problem.dataset, problem.regularisation
    fixed = problem.fixed_of(mixture.n_components)
    coordinates = coordinates_around(
        mixture, problem.family.name, regularisation.equal_weights, fixed, problem.tails
    )
    if coordinates.dimension == 0:
        raise InferenceError(
            "no standard errors: all parameters are fixed, so none of them was estimated. Leave "
            "those free that the rows are to determine."
        )
    groups = groups_of(coordinates, largest_whole)
    if not dataset.source.is_complete or not mixture.is_plain:
        return information_by_oakes(problem, coordinates, groups)
    sums = InformationSums(coordinates, groups, regularisation)
    tilted = regularisation.tilted(mixture)
    for block in dataset.source.blocks():
        for part in block.cut(rows_at_once(coordinates)):
            sums.observe(part, tilted)
    gradient, curvature, complete = sums.of_the_complete_data()
    observed = tuple(
        c - m + s for c, m, s in zip(curvature, sums.missing, sums.scores, strict=True)
    )
    return Information(
        coordinates,
        gradient,
        groups,
        observed,
        tuple(sums.scores),
        complete,
        sums.log_likelihood,
        dataset.source.n_rows,
    )


# ---- from information to errors ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CoordinateCovariance:
    """The covariance matrix of the estimated coordinates, in blocks; other entries are 0."""

    coordinates: Coordinates
    groups: tuple[Labels, ...]
    blocks: tuple[Array, ...]

    def variance(self, gradient: Array, columns: Labels) -> Array:
        """Delta method: variances (m,) of functions with derivatives ``gradient (m, columns)``."""
        total = np.zeros(len(gradient))
        for group, block in zip(self.groups, self.blocks, strict=True):
            inside, at = places_of(columns, group)
            mine = gradient[:, inside]
            total += ((mine @ block[np.ix_(at, at)]) * mine).sum(axis=1)
        return np.maximum(total, 0.0)

    def errors(self, family: str) -> Parameters:
        """Standard errors of weights, means and covariances."""
        coordinates = self.coordinates
        K, d = coordinates.mixture.n_components, coordinates.mixture.n_features
        weights = self.variance(coordinates.weight_tangents, coordinates.weight_columns)
        means, matrices = np.empty((K, d)), np.zeros((K, d, d))
        for k, component in enumerate(coordinates.components):
            means[k] = self.variance(component.mean_derivatives(), component.mean_columns)
            slopes = component.covariance_derivatives()
            variances = self.variance(
                slopes.reshape(len(slopes), -1).T, component.covariance_columns
            )
            if slopes.ndim == 3:
                matrices[k] = variances.reshape(d, d)
            else:
                np.fill_diagonal(matrices[k], variances)
        covariances = np.sqrt(public_of_dense(family, matrices))
        tails, of_tails = coordinates.mixture.tails, np.zeros(0)
        if tails is not None:
            of_tails = tails * np.sqrt(
                self.variance(coordinates.tail_slopes, coordinates.tail_columns)
            )
        return Parameters(np.sqrt(weights), np.sqrt(means), covariances, of_tails)


@dataclass(frozen=True, eq=False)
class InformationErrors(Uncertainty):
    """Standard errors from derivatives.

    Attributes
    ----------
    coordinate_covariance : CoordinateCovariance
        Covariance matrix of the estimated coordinates.
    distance : float
        Distance of the fit from the maximum, in standard errors: ``sqrt(g' I^-1 g)``.
    """

    coordinate_covariance: CoordinateCovariance
    distance: float

    @cached_property
    def correlations(self) -> Array:
        """Correlations of the flattened weights, means and ``covariances_``, in this order.

        NaN for fixed parameters.
        """
        joint = self._joint()
        deviations = np.sqrt(np.diag(joint))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(joint / np.outer(deviations, deviations))

    def _joint(self) -> Array:
        """Covariance matrix of weights, means and ``covariances_``."""
        coordinates = self.coordinate_covariance.coordinates
        K, d, p = (
            coordinates.mixture.n_components,
            coordinates.mixture.n_features,
            coordinates.dimension,
        )
        weights, means, matrices = np.zeros((K, p)), np.zeros((K, d, p)), np.zeros((K, d, d, p))
        weights[:, coordinates.weight_columns] = coordinates.weight_tangents
        for k, component in enumerate(coordinates.components):
            means[k][:, component.mean_columns] = component.mean_derivatives()
            slopes = component.covariance_derivatives()
            slopes = slopes if slopes.ndim == 3 else slopes[:, :, None] * np.eye(d)
            matrices[k][:, :, component.covariance_columns] = np.moveaxis(slopes, 0, -1)
        public = np.stack(
            [public_of_dense(self.family, matrices[..., j]) for j in range(p)], axis=-1
        )
        slope = np.concatenate([weights, means.reshape(K * d, p), public.reshape(-1, p)])
        whole = np.zeros((p, p))
        for group, block in zip(
            self.coordinate_covariance.groups, self.coordinate_covariance.blocks, strict=True
        ):
            whole[np.ix_(group, group)] = block
        return np.asarray(slope @ whole @ slope.T)

    def memberships(self, rows: Rows, level: float = 0.95) -> MembershipIntervals:
        """Intervals of the posterior probabilities of rows (n,d): delta method of their logits.

        With noise there is one more column.
        """
        coordinates = self.coordinate_covariance.coordinates
        offsets = [np.zeros(len(component.tangents)) for component in coordinates.components]
        noisy, closed = self.mixture.noise is not None, self.mixture.is_plain
        shape = (len(rows), len(coordinates.components) + noisy)
        centres, deviations = np.empty(shape), np.empty(shape)
        size = rows_at_once(coordinates)
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size].astype(np.float64)
            log_joint = self.mixture.log_joint(part)
            centres[begin : begin + size] = logits(log_joint, part, self.mixture)
            found, in_steps = (
                deviations[begin : begin + size],
                np.isnan(part).any(axis=1) | (not closed),
            )
            with np.errstate(over="ignore", invalid="ignore"):  # distances that overflow
                if closed:
                    found[:] = self._logit_deviations(part, log_joint, offsets)
                if in_steps.any():
                    found[in_steps] = self._deviations_in_steps(part[in_steps])
        return logit_intervals(centres, deviations, level)

    def _deviations_in_steps(self, rows: Rows) -> Array:
        """Standard errors (m,K) of ``logit r_k`` by differences.

        For incomplete rows, t components and noise.

        With noise there is one more column.
        """
        covariance = self.coordinate_covariance
        width = self.mixture.n_components + (self.mixture.noise is not None)
        slopes = np.empty((len(rows), width, covariance.coordinates.dimension))
        for j in range(covariance.coordinates.dimension):
            above, below = (
                logits(near.log_joint(rows), rows, near)
                for near in mixtures_beside(covariance.coordinates, j)
            )
            slopes[:, :, j] = (above - below) / (2.0 * STEP)
        everything = np.arange(covariance.coordinates.dimension)
        flat = slopes.reshape(-1, len(everything))
        return np.sqrt(covariance.variance(flat, everything)).reshape(len(rows), -1)

    def _logit_deviations(self, rows: Rows, log_joint: Array, offsets: list[Array]) -> Array:
        """Standard errors (m,K) of ``logit r_k``.

        Its gradient is ``g_k - sum_{j != k} r_j / (1 - r_k) g_j``.
        """
        coordinates = self.coordinate_covariance.coordinates
        everything = np.arange(coordinates.dimension)
        parts = list(component_scores(coordinates, rows, offsets))
        deviations = np.zeros(log_joint.shape)
        if len(parts) == 1:
            return deviations
        for k in range(len(parts)):
            against = log_joint.copy()
            against[:, k] = -np.inf
            shares = -posterior(against, rows, coordinates.mixture)
            shares[:, k] = 1.0
            gradient = np.zeros((len(rows), coordinates.dimension))
            for j, (columns, g, _) in enumerate(parts):
                gradient[:, columns] += shares[:, j, None] * g
            deviations[:, k] = np.sqrt(self.coordinate_covariance.variance(gradient, everything))
        return deviations


def errors_from_information(
    problem: Problem,
    mixture: Mixture,
    method: InformationMethod = "information",
    *,
    largest_whole: int = LARGEST_WHOLE,
) -> InformationErrors:
    """Standard errors at a maximum of the likelihood.

    Parameters
    ----------
    problem, mixture, largest_whole
        See :func:`information`.
    method : {"information", "scores", "sandwich"}
        The inverse of the observed information; of the outer product of scores; or ``I^-1 J I^-1``,
        which is consistent for a misspecified family, too.

    Raises
    ------
    InferenceError
        Where there are no standard errors: a spurious component, copies, a saddle, a direction that
        is not identified, or a fit too far from the maximum. The message says which, and what to
        do.
    """
    family, regularisation = problem.family, problem.regularisation
    refuse_unsound(problem, mixture)
    found = information(problem, mixture, largest_whole=largest_whole)
    for i in range(len(found.groups)):
        _refuse_incomplete(found, i)
    # the length of an EM step is below the distance to a maximum
    step = _length(found, tuple(map(_inverted, found.complete)))
    _refuse_bound(step, mixture, regularisation)
    refuse_far(step)
    inverses = tuple(_inverse(found, i) for i in range(len(found.groups)))
    distance = _length(found, inverses)
    _refuse_bound(distance, mixture, regularisation)
    refuse_far(distance)
    if method == "scores":
        inverses = tuple(_inverse_of_scores(found, i) for i in range(len(found.groups)))
    elif method == "sandwich":
        inverses = tuple(
            inverse @ scores @ inverse
            for inverse, scores in zip(inverses, found.scores, strict=True)
        )
    coordinate_covariance = CoordinateCovariance(found.coordinates, found.groups, inverses)
    return InformationErrors(
        method=method,
        family=family.name,
        mixture=mixture,
        standard_errors=coordinate_covariance.errors(family.name),
        notes=_notes(found, regularisation),
        coordinate_covariance=coordinate_covariance,
        distance=distance,
    )


def _length(found: Information, inverses: tuple[Array, ...]) -> float:
    """``sqrt(g' I^-1 g)``: the length of a step of Newton's method, in standard errors."""
    everything = np.arange(found.coordinates.dimension)
    covariance = CoordinateCovariance(found.coordinates, found.groups, inverses)
    return float(np.sqrt(covariance.variance(found.gradient[None], everything)[0]))


def _notes(found: Information, regularisation: Regularisation) -> tuple[str, ...]:
    """The limitations of the numbers."""
    notes = []
    if len(found.groups) > 1:
        notes.append(
            f"With {found.coordinates.dimension} parameters the matrix has one block for each "
            "component. The terms between weights, components and shared parameters are left out, "
            "so errors are too small where components overlap."
        )
    if regularisation.ridge > 0 or regularisation.prior is not None:
        notes.append(
            "The curvature is that of the regularised objective, so errors do not include the bias "
            "of the regularisation."
        )
    return tuple(notes)


# ---- refusals ------------------------------------------------------------------------------------


def _refuse_bound(distance: float, mixture: Mixture, regularisation: Regularisation) -> None:
    """At an active bound on the eigenvalues the likelihood has a gradient, whatever the fit."""
    if (
        distance <= LARGEST_DISTANCE
        or regularisation.eigenvalue_ratio is None
        or not regularisation.at_the_ratio(mixture.covariance)
    ):
        return
    raise InferenceError(
        "no standard errors from derivatives: the bound "
        f"eigenvalue_ratio={regularisation.eigenvalue_ratio:g} is reached, where the likelihood "
        "has a gradient. Use method='bootstrap', whose refits keep the bound, or raise the ratio."
    )


def _inverse(found: Information, i: int) -> Array:
    """Inverse of a block of the observed information, or an error that says why there is none."""
    share, direction = _lowest(found.observed[i], found.complete[i])
    where = _describe(found, i, direction)
    if share < -LEAST_OBSERVED:
        raise InferenceError(
            f"no standard errors: the likelihood curves upwards along {where} (the observed "
            f"information is {share:.2g} times that of complete data): this is a saddle, not a "
            "maximum. Use other starts (n_init, init_params), or go on fitting with "
            "warm_start=True and tol=None."
        )
    if share < LEAST_OBSERVED:
        raise InferenceError(
            f"no standard errors: the information is singular, and the data do not determine "
            f"{where}. Reduce n_components or choose a stricter covariance_type; "
            "method='bootstrap' gives the spread of the estimates."
        )
    return _inverted(found.observed[i])


def _inverse_of_scores(found: Information, i: int) -> Array:
    """Inverse of a block of the outer product of scores, or an error that says why not."""
    share, direction = _lowest(found.scores[i], found.complete[i])
    if share < LEAST_OBSERVED:
        raise InferenceError(
            f"no standard errors from scores: the scores of {found.n_rows} rows do not span the "
            f"{len(found.groups[i])} parameters, least of all {_describe(found, i, direction)}. "
            "Use method='information', or more rows."
        )
    return _inverted(found.scores[i])


def _refuse_incomplete(found: Information, i: int) -> None:
    """Refuse coordinates that are not identified even with known labels.

    These belong to an empty component, or to a rotation between equal axes.
    """
    complete = found.complete[i]
    diagonal = np.diag(complete)
    most = max(float(np.max(other.diagonal(), initial=0.0)) for other in found.complete)
    if diagonal.min() > LEAST_OBSERVED**2 * most:
        return
    empty = int(np.argmin(diagonal))
    direction = np.zeros(len(diagonal))
    direction[empty] = 1.0
    raise InferenceError(
        f"no standard errors: the data do not determine {_describe(found, i, direction)}, even "
        "with known components of the rows: a component has no rows, or two of its axes are "
        "equally long, so that a rotation changes nothing. Reduce n_components or choose a "
        "covariance_type without free axes."
    )


def _lowest(matrix: Array, complete: Array) -> tuple[float, Array]:
    """The smallest eigenvalue in units of the complete-data information, and its eigenvector."""
    root = np.sqrt(np.diag(complete))
    scaled = np.outer(root, root)
    values, vectors = eigh(matrix / scaled, complete / scaled, subset_by_index=[0, 0])
    return float(values[0]), np.asarray(vectors[:, 0])


def _inverted(matrix: Array) -> Array:
    """Inverse by Cholesky, in units of the diagonal."""
    root = np.sqrt(np.diag(matrix))
    scaled = np.outer(root, root)
    inverse = cho_solve(cho_factor(matrix / scaled, lower=True), np.eye(len(matrix)))
    return np.asarray(0.5 * (inverse + inverse.T) / scaled)


def _describe(found: Information, i: int, direction: Array) -> str:
    """The group of parameters with the largest part of a direction."""
    group = found.groups[i]
    size = direction**2
    shared = found.coordinates.shared_columns()
    parts = {
        "the weights": found.coordinates.weight_columns,
        "the shared part of the covariances": shared,
        "the degrees of freedom": found.coordinates.tail_columns,
    }
    for k, component in enumerate(found.coordinates.components):
        parts[f"the mean of {component_name(k)}"] = component.mean_columns
        parts[f"the covariance of {component_name(k)}"] = np.setdiff1d(
            component.covariance_columns, shared
        )
    return max(parts, key=lambda name: float(size[places_of(parts[name], group)[1]].sum()))
