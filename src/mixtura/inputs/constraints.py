"""Constraints: floor, ``reg_covar``, prior, bound of eigenvalues, weights, degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np

from mixtura.data.dataset import Dataset
from mixtura.data.noise_box import NoiseVolume, noise_box
from mixtura.data.problem import Problem
from mixtura.distribution.given_parameters import is_positive_definite, shaped
from mixtura.initialise.shrinkage import Shrinkage, shrinkage_for
from mixtura.inputs.degrees_of_freedom import check_degrees, tail_rule_of
from mixtura.inputs.fixed_parameters import FixedParameters, fixed_parameters_of
from mixtura.inputs.parameters import check_size, is_bool
from mixtura.inputs.variational import GivenPriors, given_priors_of
from mixtura.model.fixed import Fixed
from mixtura.model.priors import ConjugatePrior, Prior
from mixtura.model.protocols import Family
from mixtura.model.regularisation import Regularisation
from mixtura.model.tails import TailRule
from mixtura.model.variational import Variational


@dataclass(frozen=True)
class Constraints:
    """Constraints that the user set, before the data are known.

    ``tails`` are of t components, ``priors`` of a Bayesian mixture.
    """

    reg_covar: float | None = None
    prior: ConjugatePrior | None = None
    eigenvalue_ratio: float | None = None
    equal_weights: bool = False
    noise: NoiseVolume | None = None
    fixed: FixedParameters | None = None
    tails: TailRule | None = None
    priors: GivenPriors | None = None


def constraints_of(estimator: Any) -> Constraints:
    """The estimator's parameters, checked as far as they can be without data."""
    ratio, equal = estimator.eigenvalue_ratio, estimator.equal_weights
    if ratio is not None and (
        is_bool(ratio) or not isinstance(ratio, Real) or not 1 <= float(ratio) < float("inf")
    ):
        raise ValueError(
            f"eigenvalue_ratio must be a number of at least 1 or None, but {ratio!r} came. "
            "It bounds the largest eigenvalue of all covariances by that many times the smallest, "
            "for example 100."
        )
    if not is_bool(equal):
        raise ValueError(f"equal_weights must be True or False, but {equal!r} came.")
    fixed = fixed_parameters_of(estimator)
    if fixed is not None:
        _check_with_fixed(fixed, None if ratio is None else float(ratio), bool(equal))
    return Constraints(
        estimator.reg_covar,
        _prior_of(estimator.prior),
        None if ratio is None else float(ratio),
        bool(equal),
        noise_of(getattr(estimator, "noise", None)),
        fixed,
        tail_rule_of(estimator),
        given_priors_of(estimator),
    )


def noise_of(noise: Any) -> NoiseVolume | None:
    """The volume of a noise term as the user gave it, checked."""
    named: tuple[Literal["box", "principal", "auto"], ...] = ("box", "principal", "auto")
    if noise is None:
        return None
    if isinstance(noise, str):
        for name in named:
            if noise == name:
                return name
    elif not is_bool(noise) and isinstance(noise, Real) and 0 < float(noise) < float("inf"):
        return float(noise)
    raise ValueError(
        "noise must be None, 'box', 'principal', 'auto' or a positive volume, but "
        f"{noise!r} came. 'auto' is the smaller of the box along the columns and the box along "
        "the principal axes of the rows."
    )


def _check_with_fixed(fixed: FixedParameters, ratio: float | None, equal: bool) -> None:
    """Refuse constraints that fixed parameters contradict."""
    if equal and (fixed.weights is not None or fixed.mixture is not None):
        raise ValueError(
            "equal_weights=True fixes all mixing proportions, but fixed_weights or fixed_mixture "
            "was given, too. Leave one of them out."
        )
    if ratio is not None and (fixed.covariances is not None or fixed.mixture is not None):
        raise ValueError(
            "eigenvalue_ratio bounds all covariances together, and fixed ones cannot follow it, "
            f"but eigenvalue_ratio={ratio:g} came with fixed covariances. Leave one of them out."
        )


def _prior_of(prior: Any) -> ConjugatePrior | None:
    """The prior of the user, its numbers checked."""
    if prior is None:
        return None
    if isinstance(prior, str) and prior == "conjugate":
        return ConjugatePrior()
    if not isinstance(prior, ConjugatePrior):
        raise ValueError(
            f"prior must be None, 'conjugate' or a mixtura.ConjugatePrior, but {prior!r} came. "
            "'conjugate' is the prior of Fraley & Raftery 2007 with its default numbers."
        )
    if prior.shrinkage is None:
        raise ValueError(
            "shrinkage of the prior must be a number of at least 0, but None came. Use 0 to leave "
            "means alone."
        )
    check_size("shrinkage of the prior", prior.shrinkage)
    check_size("dof of the prior", prior.dof)
    return prior


def check_prior(prior: ConjugatePrior, d: int) -> None:
    """Check the arrays of a prior against the number of columns."""
    if prior.mean is not None:
        shaped("mean of the prior", prior.mean, (d,))
    if prior.dof is not None and prior.dof <= d - 1:
        raise ValueError(
            f"dof of the prior must be above d - 1 = {d - 1}, but is {prior.dof:g}. The default is "
            f"d + 2 = {d + 2}."
        )
    if prior.scale is None:
        return
    if np.ndim(prior.scale) == 0:
        if np.asarray(prior.scale).dtype.kind not in "fiu" or not 0 < prior.scale < np.inf:
            raise ValueError(
                f"scale of the prior must be positive, but is {prior.scale!r}. It is a variance in "
                "the units of the data."
            )
        return
    scale = shaped("scale of the prior", prior.scale, (d, d))
    if not is_positive_definite(scale):
        raise ValueError(
            "scale of the prior must be a positive number or a symmetric, positive-definite matrix "
            "(d, d)."
        )


def problem_of(dataset: Dataset, family: Family, K: int, constraints: Constraints) -> Problem:
    """The likelihood of K components with its regularisation.

    By default covariances have a floor, and full covariances of few rows are shrunk
    (:mod:`mixtura.initialise.shrinkage`). A given ``reg_covar`` is scikit-learn's ridge in place of
    both; a given ``prior`` takes the place of the shrinkage.
    """
    if constraints.priors is not None:
        return Problem(dataset, family, _variational(dataset, family, constraints))
    d = dataset.source.n_features
    prior: Prior | None = None
    if constraints.prior is not None:
        check_prior(constraints.prior, d)
        prior = constraints.prior.for_family(
            family.name, K, dataset.mean, dataset.covariance, dataset.total
        )
    else:
        shrinkage = shrinkage_of(family, dataset, K, constraints)
        prior = None if shrinkage is None else shrinkage.prior
    ridge = constraints.reg_covar
    regularisation = Regularisation(
        dataset.floor if ridge is None else np.zeros(d),
        ridge=float(ridge or 0.0),
        prior=prior,
        eigenvalue_ratio=constraints.eigenvalue_ratio,
        equal_weights=constraints.equal_weights,
    )
    noise = None if constraints.noise is None else noise_box(dataset, constraints.noise)
    fixed = fixed_of(constraints, family, K, d)
    tails = None if constraints.tails is None else check_degrees(constraints.tails, K)
    return Problem(dataset, family, regularisation, noise, fixed, tails)


def _variational(dataset: Dataset, family: Family, constraints: Constraints) -> Variational:
    """The regularisation of variational Bayes; its prior is in place of a floor."""
    assert constraints.priors is not None
    priors, d = constraints.priors.of(dataset, family), dataset.source.n_features
    return Variational(
        np.zeros(d),
        ridge=float(constraints.reg_covar or 0.0),
        prior=priors.normal,
        priors=priors,
        total=dataset.total,
    )


def fixed_of(constraints: Constraints, family: Family, K: int, d: int) -> Fixed | None:
    """The fixed parameters of K components of a family in d columns."""
    given = constraints.fixed
    return None if given is None else given.of(family, K, d, constraints.noise is not None)


def shrinkage_of(
    family: Family, dataset: Dataset, K: int, constraints: Constraints
) -> Shrinkage | None:
    """The shrinkage of few rows; None where ``reg_covar`` or ``prior`` was given.

    It is for free covariances: None where all are fixed.
    """
    has_prior = constraints.prior is not None or constraints.priors is not None
    if has_prior or constraints.reg_covar is not None:
        return None
    fixed = fixed_of(constraints, family, K, dataset.source.n_features)
    if fixed is not None and not fixed.free_covariances.any():
        return None
    return shrinkage_for(dataset, family, K)
