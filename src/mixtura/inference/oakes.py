"""The observed information where rows are incomplete, from E-steps nearby.

The derivative of the likelihood is that of the complete-data objective Q under the posteriors at
the same parameters, so its second derivative has two parts (Oakes 1999, Journal of the Royal
Statistical Society B 61:479-482):

    observed = - d2 Q(c; posteriors at 0) / dc2  -  d2 Q(c; posteriors at c') / dc dc'

at c = c' = 0. The first is in closed form. The second is the change of the gradient of Q when the
E-step is made at c', by central differences: two passes over the rows for each parameter. The
scores of the rows are differences of their log densities.
"""

from __future__ import annotations

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.em.coordinates import Coordinates
from mixtura.inference.information_sums import Information, InformationSums, places_of, rows_at_once
from mixtura.model.moments import Moments

STEP = 1e-4
"""Step of the differences in coordinates, which are in standard deviations: the error is about the
square of it, and rounding over it.
"""


def information_by_oakes(
    problem: Problem, coordinates: Coordinates, groups: tuple[Labels, ...]
) -> Information:
    """See :func:`mixtura.inference.information.information`."""
    sums = InformationSums(coordinates, groups, problem.regularisation)
    sums.take(_e_step(problem, coordinates.mixture), coordinates.mixture)
    log_likelihood = sums.log_likelihood
    gradient, curvature, complete = sums.of_the_complete_data()
    for j in range(coordinates.dimension):
        above, below = mixtures_beside(coordinates, j)
        change = (_gradient(problem, sums, above) - _gradient(problem, sums, below)) / (2.0 * STEP)
        for group, block in zip(groups, curvature, strict=True):
            inside, at = places_of(np.array([j]), group)
            if len(inside):
                block[:, at[0]] -= change[group]
    observed = tuple(0.5 * (block + block.T) for block in curvature)
    return Information(
        coordinates,
        gradient,
        groups,
        observed,
        _outer_products(problem, coordinates, groups),
        complete,
        log_likelihood,
        problem.dataset.source.n_rows,
    )


def _e_step(problem: Problem, mixture: Mixture) -> Moments:
    """The E-step in full detail, whatever the family needs."""
    dataset, tilted = problem.dataset, problem.regularisation.tilted(mixture)
    return dataset.backend.moments(dataset.source, tilted, Scatter.DENSE)


def _gradient(problem: Problem, sums: InformationSums, mixture: Mixture) -> Array:
    """The gradient of Q at coordinates 0, with the posteriors of another mixture."""
    sums.take(_e_step(problem, mixture), mixture)
    return sums.of_the_complete_data()[0]


def mixtures_beside(coordinates: Coordinates, j: int) -> tuple[Mixture, Mixture]:
    """The mixtures one step forth and one back along a coordinate."""
    step = np.zeros(coordinates.dimension)
    step[j] = STEP
    return coordinates.at(step), coordinates.at(-step)


def _outer_products(
    problem: Problem, coordinates: Coordinates, groups: tuple[Labels, ...]
) -> tuple[Array, ...]:
    """``sum_i w_i s_i s_i'`` of the scores, in blocks."""
    total = [np.zeros((len(group), len(group))) for group in groups]
    near = [
        [problem.regularisation.tilted(one) for one in mixtures_beside(coordinates, j)]
        for j in range(coordinates.dimension)
    ]
    backend = problem.dataset.backend
    for block in problem.dataset.source.blocks():
        for part in block.cut(rows_at_once(coordinates)):
            scores = np.empty((len(part.rows), coordinates.dimension))
            for j, mixtures in enumerate(near):
                above, below = (log_density(backend.log_joint(part, one)) for one in mixtures)
                scores[:, j] = (above - below) / (2.0 * STEP)
            weighted = part.weighted(scores)
            for group, block_sum in zip(groups, total, strict=True):
                block_sum += scores[:, group].T @ weighted[:, group]
    return tuple(total)
