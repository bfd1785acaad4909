"""A start's components in the order of the known classes: class c is component c."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from mixtura.base.arrays import Array, Labels
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.em.loop import Start
from mixtura.model.fit_result import FitResult
from mixtura.model.moments import Moments


def in_order_of_classes(problem: Problem, start: Start) -> Start:
    """The start with those components first that hold most of the rows of each class.

    The assignment has the largest total probability of the labelled rows. A start with fewer
    components than classes is returned as it is.
    """
    dataset = problem.dataset
    C = dataset.n_classes
    if C == 0 or start.n_components < C:
        return start
    free = replace(problem, fixed=None)
    mixture = (
        free.m_step(start.summarised(problem.family.needs), None)
        if isinstance(start, Moments)
        else start.mixture
        if isinstance(start, FitResult)
        else start
    )
    order = order_of_classes(dataset, mixture, C)
    if (order == np.arange(len(order))).all():
        return start
    return start.in_order(order) if isinstance(start, FitResult) else start.select(order)


def order_of_classes(dataset: Dataset, mixture: Mixture, C: int) -> Labels:
    """The components (K,): that of each class in turn, and all others in their order."""
    held = _held(dataset, mixture, C)
    _, chosen = linear_sum_assignment(held, maximize=True)
    others = np.setdiff1d(np.arange(mixture.n_components), chosen)
    return np.concatenate([chosen, others]).astype(np.intp)


def _held(dataset: Dataset, mixture: Mixture, C: int) -> Array:
    """The probability (C,K) of the rows of each class in each component, without their labels."""
    held = np.zeros((C, mixture.n_components))
    for block, classes, _ in dataset.labelled:
        log_joint = dataset.backend.log_joint(block, mixture)
        shares = np.exp(log_joint - log_density(log_joint)[:, None])
        held += classes.T @ block.weighted(shares[:, : mixture.n_components])
    return held
