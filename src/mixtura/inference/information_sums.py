"""The sums of one pass over the rows from which the information is made.

See :mod:`mixtura.inference.information` for the formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.errors import InferenceError
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import posterior
from mixtura.em.coordinates import ComponentCoordinates, Coordinates
from mixtura.inference.uncertainty import NUMBERS_AT_ONCE
from mixtura.model.moments import Moments
from mixtura.model.protocols import Block
from mixtura.model.regularisation import Regularisation
from mixtura.model.tails import gamma_information, gamma_slope, scores_of

LARGEST_WHOLE, LARGEST_BLOCK = 2000, 6000
"""Parameters up to which the matrix is one block (32 MB); with more there is a block for each
component, which may have so many parameters (300 MB).
"""


@dataclass(frozen=True, eq=False)
class Information:
    """First and second derivatives of the objective at a mixture, in local coordinates.

    Attributes
    ----------
    coordinates : Coordinates
    gradient : (p,)
        0 at a maximum.
    groups : tuple of (q,)
        Coordinates of each block: one block with all, or one for each component, one for the
        weights and one for the shared coordinates.
    observed, scores, complete : tuples of (q, q)
        Negative second derivatives, outer product of the scores, and complete-data information of
        each block.
    log_likelihood : float
    n_rows : int
    """

    coordinates: Coordinates
    gradient: Array
    groups: tuple[Labels, ...]
    observed: tuple[Array, ...]
    scores: tuple[Array, ...]
    complete: tuple[Array, ...]
    log_likelihood: float
    n_rows: int


def groups_of(coordinates: Coordinates, largest_whole: int) -> tuple[Labels, ...]:
    """The blocks: all coordinates, or weights, each component's own, and shared coordinates."""
    if coordinates.dimension <= largest_whole:
        return (np.arange(coordinates.dimension),)
    shared = coordinates.shared_columns()
    own = [np.setdiff1d(component.columns, shared) for component in coordinates.components]
    groups = tuple(
        group
        for group in (coordinates.weight_columns, *own, shared, coordinates.tail_columns)
        if len(group)
    )
    largest = max(map(len, groups))
    if largest > LARGEST_BLOCK:
        raise InferenceError(
            f"standard errors from the information need a matrix of {largest} x {largest} numbers "
            "for one component, and the "
            f"largest allowed is {LARGEST_BLOCK}. Use method='bootstrap', "
            "a family with fewer parameters (diag, VVI) or fewer columns."
        )
    return groups


def rows_at_once(coordinates: Coordinates) -> int:
    """Rows whose scores may exist at one time."""
    widest = max(
        len(component.columns) + len(component.mean) ** 2 for component in coordinates.components
    )
    return max(64, NUMBERS_AT_ONCE // (coordinates.dimension + widest))


class InformationSums:
    """The sums of one pass over the rows."""

    def __init__(
        self, coordinates: Coordinates, groups: tuple[Labels, ...], regularisation: Regularisation
    ) -> None:
        self.coordinates, self.groups, self.regularisation = coordinates, groups, regularisation
        K = coordinates.mixture.n_components
        self.scores = [np.zeros((len(group), len(group))) for group in groups]
        self.missing = [np.zeros((len(group), len(group))) for group in groups]
        self.counts = self.pulled = np.zeros(K)
        self.tail_scores = np.zeros(0)
        self.first = [np.zeros(len(component.mean)) for component in coordinates.components]
        self.second = [np.zeros_like(component.identity()) for component in coordinates.components]
        self.log_likelihood = self.noise = 0.0
        self.offsets = [
            _ridge_offset(component, regularisation) for component in coordinates.components
        ]

    def observe(self, block: Block, tilted: Mixture) -> None:
        """Add a block of rows."""
        rows = block.rows.astype(np.float64)
        log_joint = tilted.log_joint(rows)
        log_p = np.logaddexp.reduce(log_joint, axis=1)
        r = posterior(log_joint, rows, tilted)
        w = np.ones(len(rows)) if block.weights is None else block.weights
        self.log_likelihood += float(w @ log_p)
        scores = np.zeros((len(rows), self.coordinates.dimension))
        for k, (columns, g, whitened) in enumerate(
            component_scores(self.coordinates, rows, self.offsets)
        ):
            share = w * r[:, k]
            scores[:, columns] += r[:, k, None] * g
            self.counts[k] += share.sum()
            self.first[k] += share @ whitened
            self.second[k] += self.coordinates.components[k].second(whitened, share)
            for group, missing in zip(self.groups, self.missing, strict=True):
                inside, at = places_of(columns, group)
                missing[np.ix_(at, at)] += _gram(g, inside, share)
        for group, total in zip(self.groups, self.scores, strict=True):
            total += _gram(scores, group, w)

    @property
    def in_parts(self) -> Array:
        """Counts (K,), followed by the rows of a noise term where there is one."""
        noisy = self.coordinates.mixture.noise is not None
        return np.append(self.counts, self.noise) if noisy else self.counts

    def take(self, moments: Moments, mixture: Mixture) -> None:
        """Take the sums of an E-step at another mixture, about any points, in place of rows."""
        moments = moments.taken_about(self.coordinates.mixture.means)
        self.counts, self.log_likelihood = moments.counts, moments.log_likelihood
        self.pulled, tails = moments.pulled, self.coordinates.mixture.tails
        if tails is not None and mixture.tails is not None:
            apart = gamma_slope(tails) - gamma_slope(mixture.tails)
            self.tail_scores = tails * (scores_of(moments, mixture.tails) + self.counts * apart)
        self.noise = moments.noise
        for k, component in enumerate(self.coordinates.components):
            self.first[k] = component.whiten(moments.first[k][None])[0]
            matrix = moments.second[k]
            self.second[k] = component.whitened_matrix(matrix)

    def of_the_complete_data(self) -> tuple[Array, list[Array], tuple[Array, ...]]:
        """Gradient, curvature and complete-data information from the moments."""
        coordinates = self.coordinates
        gradient = np.zeros(coordinates.dimension)
        curvature = [np.zeros((len(group), len(group))) for group in self.groups]
        complete = [np.zeros((len(group), len(group))) for group in self.groups]
        ratios = coordinates.weight_columns
        gradient[ratios] = self.in_parts @ coordinates.log_weight_slopes
        between = coordinates.weight_information(self.in_parts)
        self._add(curvature, ratios, between)
        self._add(complete, ratios, between)
        for k, component in enumerate(coordinates.components):
            count, first, second, log_det_count = self._regularised(k)
            gradient[component.mean_columns] = first @ component.mean_basis
            gradient[component.covariance_columns] += 0.5 * (
                component.along(second) - log_det_count * component.traces
            )
            self._add(
                curvature,
                component.columns,
                component.curvature(count, first, second, log_det_count),
            )
            self._add(
                complete, component.columns, component.complete_information(count, log_det_count)
            )
        if coordinates.mixture.tails is not None:
            self._add_tails(coordinates.mixture.tails, gradient, curvature, complete)
        return gradient, curvature, tuple(complete)

    def _add_tails(
        self, tails: Array, gradient: Array, curvature: list[Array], complete: list[Array]
    ) -> None:
        """Add the parts of the logarithms of degrees of freedom."""
        columns, slopes = self.coordinates.tail_columns, self.coordinates.tail_slopes
        known = self.counts * tails**2 * gamma_information(tails)
        gradient[columns] = self.tail_scores @ slopes
        self._add(curvature, columns, np.diag((known - self.tail_scores) @ slopes))
        self._add(complete, columns, np.diag(known @ slopes))

    def _regularised(self, k: int) -> tuple[float, Array, Array, float]:
        """Count, first and second moments of a component with ridge and prior.

        The last number is the count of the log-determinant. A prior adds pseudo-rows at its mean,
        and scatter to each free covariance (:mod:`mixtura.model.priors`).
        """
        component, regularisation, prior = (
            self.coordinates.components[k],
            self.regularisation,
            self.regularisation.prior,
        )
        count, first, second = float(self.pulled[k]), self.first[k], self.second[k]
        log_det_count = float(self.counts[k])
        if regularisation.ridge > 0:
            second = second + log_det_count * regularisation.ridge * component.whitened_matrix(
                np.eye(len(component.mean))
            )
        if prior is not None and prior.shrinkage > 0:
            u = component.whiten((prior.mean - component.mean)[None])
            count, first = count + prior.shrinkage, first + prior.shrinkage * u[0]
            second = second + component.second(u, np.array([prior.shrinkage]))
        if prior is not None and k < len(self.coordinates.mixture.covariance.values):
            second, log_det_count = (
                second + component.whitened_matrix(prior.scatter),
                log_det_count + prior.rows,
            )
        return count, first, second, log_det_count

    def _add(self, matrices: list[Array], columns: Labels, part: Array) -> None:
        """Add a matrix over some columns to the blocks of these columns."""
        for group, matrix in zip(self.groups, matrices, strict=True):
            inside, at = places_of(columns, group)
            matrix[np.ix_(at, at)] += part[np.ix_(inside, inside)]


def component_scores(
    coordinates: Coordinates, rows: Rows, offsets: list[Array]
) -> Iterator[tuple[Labels, Array, Array]]:
    """For each component the columns of its coordinates, ``g_ik`` (m, columns) and whitened rows.

    The columns are log ratios, mean and covariance; whitened rows are (m,d).
    """
    ratios, slopes = coordinates.weight_columns, coordinates.log_weight_slopes
    for k, component in enumerate(coordinates.components):
        constant = np.broadcast_to(slopes[k], (len(rows), len(ratios)))
        whitened = component.whiten(rows - component.mean)
        g = np.concatenate([constant, component.scores(whitened, offsets[k])], axis=1)
        yield np.concatenate([ratios, component.columns]), g, whitened


def _ridge_offset(component: ComponentCoordinates, regularisation: Regularisation) -> Array:
    """A ridge adds ``ridge tr(B B' M_a)`` to ``u'M_a u``, as each row is a small Gaussian."""
    if regularisation.ridge == 0:
        return np.zeros(len(component.tangents))
    return component.along(
        regularisation.ridge * component.whitened_matrix(np.eye(len(component.mean)))
    )


def _gram(g: Array, columns: Labels, weights: Array) -> Array:
    """``sum_i w_i g_i g_i'`` over some columns; without a copy for all columns."""
    mine = g if len(columns) == g.shape[1] else np.take(g, columns, axis=1)
    scaled = mine * np.sqrt(weights)[:, None]
    return np.asarray(scaled.T @ scaled)


def places_of(columns: Labels, group: Labels) -> tuple[Labels, Labels]:
    """Columns that are in a sorted group, and their positions in it."""
    at = np.searchsorted(group, columns)
    inside = np.flatnonzero(group[np.minimum(at, len(group) - 1)] == columns)
    return inside, at[inside]
