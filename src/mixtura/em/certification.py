"""Computation of the certificate of convergence, in one E-step after the last iteration.

The gradient of the observed log-likelihood at a mixture is that of the expected complete-data
log-likelihood there (Fisher's identity), so the moments of one E-step are enough. In the whitened
coordinates of each component, ``B Sigma B' = 1``, with ``n`` rows, first moment ``u`` about the
mean and residual ``R = B W B' - n 1`` of the scatter,

    along                     gradient            complete-data information
    log ratio of a weight     count_k - n pi_k
    mean                      u                   n, or the sum of the pulls of a t component
    covariance, M             tr(M R) / 2         n tr(M M) / 2
    degrees of freedom        the scores and the information of :mod:`mixtura.model.tails`

and the tangents M of :mod:`mixtura.em.coordinates` (one volume, shapes, orientations) are
orthogonal to each other. So ``g' C^-1 g`` is a sum of squares, and a shared parameter contributes a
ratio of sums over the components. The terms of fixed parameters are left out. Where the constraints
of a family do not fit the scatter, the curvature of the complete data differs from its expectation
C. So the gain of the next M-step is computed, too, and the larger one counts.

References: Fisher 1925; Louis 1982; Dempster, Laird & Rubin 1977 on the rates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.errors import CollapseError
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of, log_density
from mixtura.em.convergence_rate import slowest_rate
from mixtura.em.coordinates import mean_basis, whiteners_of
from mixtura.em.effective_parameters import soundness_of
from mixtura.em.loop import em_map
from mixtura.em.stopping import REMAINING, RemainingGain, StoppingRule, rounding
from mixtura.model.certificate import SAFETY, Certificate, ComponentReport
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.fixed import Fixed
from mixtura.model.moments import Moments
from mixtura.model.protocols import Family
from mixtura.model.regularisation import (
    AT_THE_FLOOR,
    NEAR_RATIO,
    Regularisation,
    SufficientStatistics,
    scaled_variances,
)
from mixtura.model.soundness import Finding, Soundness

ROWS_COUNTED_AT_ONCE = 65536
"""Rows whose densities are held at a time while the rows of point masses are counted."""

EQUAL_LENGTHS = 1e-8
"""Relative difference of two axes below which they are equally long, so that a rotation between
them changes nothing.
"""


def certified(fit: FitResult, problem: Problem, stopping: StoppingRule | None = None) -> FitResult:
    """A fit with its certificate; it is called converged only if that holds.

    It takes one E-step. The convergence rate is that of the last check of EM; where EM converged
    without one (by gains that are rounding), it is measured here.

    Parameters
    ----------
    fit : FitResult
        The winner of a search.
    problem : Problem
        Of the search.
    stopping : StoppingRule, optional
        The certificate has its tolerance.
    """
    claimed = fit.stop is StopReason.CONVERGED
    certificate = certify(
        problem,
        fit.mixture,
        rate=None if claimed and np.isnan(fit.rate) else fit.rate,
        tolerance=stopping.tolerance
        if isinstance(stopping, RemainingGain)
        else REMAINING * problem.dataset.row_weight,
        trace_gain=fit.remaining_gain,
        soundness=fit.soundness,
    )
    stop = fit.stop
    if claimed and not certificate.holds:
        stop = (
            StopReason.EMPTY
            if certificate.empty
            else StopReason.SADDLE
            if certificate.saddle
            else StopReason.UNCERTIFIED
        )
    return replace(fit, certificate=certificate, stop=stop)


def certify(
    problem: Problem,
    mixture: Mixture,
    *,
    rate: float | None = None,
    tolerance: float | None = None,
    trace_gain: float = float("nan"),
    soundness: Soundness | None = None,
) -> Certificate:
    """The certificate of a mixture for the rows of a dataset.

    Parameters
    ----------
    problem : Problem
    mixture : Mixture
        Any mixture of the family.
    rate : float, optional
        Convergence rate; None measures it, which takes up to 26 maps of EM; NaN for unknown.
    tolerance : float, optional
        Largest remaining gain of an optimum, if it is above the rounding of the objective; None for
        that of the default stopping rule.
    trace_gain : float
        The remaining gain by the trace of EM, for mixtures at a bound.
    soundness : Soundness, optional
        The assessment of the components; None computes it.
    """
    moments = problem.e_step(mixture)
    boundaries = _boundaries(mixture, problem)
    at_a_bound = any(boundaries)
    rate = _rate(problem, mixture, moments) if rate is None else rate
    if _knows_all(problem, mixture):
        rate = 0.0
    if at_a_bound and not rate < 1.0:
        rate = float("nan")  # EM has no derivative at a bound
    gradient = float(
        np.sqrt(squared_gradient(problem, mixture, moments, with_covariances=not at_a_bound))
    )
    gain = _gain_of_the_m_step(problem, mixture, moments)
    if not at_a_bound:
        gain = max(gain, 0.5 * gradient**2)
    remaining, basis = (gain / (1.0 - rate), "rate") if rate < 1.0 else (float("nan"), "unknown")
    if basis == "unknown" and at_a_bound and np.isfinite(trace_gain):
        remaining, basis = trace_gain, "trace"
    if soundness is None:
        soundness = soundness_of(problem, mixture, moments)
    allowed = REMAINING * problem.dataset.row_weight if tolerance is None else tolerance
    return Certificate(
        gradient=gradient,
        step_gain=gain,
        rate=rate,
        remaining_gain=remaining,
        basis=basis,
        tolerance=max(allowed, rounding(problem.objective(moments, mixture))),
        components=_reports(problem, mixture, moments, boundaries, soundness),
        safety=SAFETY,
    )


def _knows_all(problem: Problem, mixture: Mixture) -> bool:
    """Whether nothing is missing: complete rows of one Gaussian component, and no noise."""
    alone = mixture.n_components == 1 and mixture.is_plain
    return alone and problem.dataset.source.is_complete


def _rate(problem: Problem, mixture: Mixture, moments: Moments) -> float:
    """The convergence rate around the next iteration."""
    if _knows_all(problem, mixture):
        return 0.0
    try:
        after = problem.m_step(moments, mixture)
        return slowest_rate(
            partial(em_map, problem, after), moments, problem.e_step(after), after
        ).rate
    except CollapseError:
        return float("nan")


# ---- the gradient --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Statistics:
    """Sufficient statistics of the complete-data objective, about the means, with ridge and prior.

    Attributes
    ----------
    weights : (K,)
        Counts for the weights.
    counts : (K,), first : (K, d)
        Counts for the means, or pulls, and first moments about them.
    rows : (F,), scatter : (F,), (F, d) or (F, d, d)
        Count and scatter of each free covariance.
    """

    weights: Array
    counts: Array
    first: Array
    rows: Array
    scatter: Array


def _statistics(moments: Moments, shared: bool, regularisation: Regularisation) -> _Statistics:
    """The statistics of an E-step; ridge and prior as in :mod:`mixtura.model.regularisation`."""
    kind, d, prior = moments.kind, moments.n_features, regularisation.prior
    counts, first, scatter, rows = moments.pulled, moments.first, moments.second, moments.counts
    if regularisation.ridge > 0:
        each = moments.in_components if kind is Scatter.TOTAL else moments.counts
        scatter = scatter + regularisation.ridge * np.multiply.outer(
            each, kind.of_matrix(np.eye(d))
        )
    if prior is not None and prior.shrinkage > 0:
        apart, pseudo_rows = prior.mean - moments.about, np.full(len(counts), prior.shrinkage)
        scatter = scatter + kind.of_vectors(pseudo_rows, apart)
        counts, first = counts + pseudo_rows, first + prior.shrinkage * apart
    if shared:
        scatter = scatter[None] if kind is Scatter.TOTAL else scatter.sum(axis=0, keepdims=True)
        rows = np.array([moments.in_components])
    if prior is not None:
        scatter, rows = scatter + kind.of_matrix(prior.scatter), rows + prior.rows
    return _Statistics(moments.counts, counts, first, rows, scatter)


def squared_gradient(
    problem: Problem, mixture: Mixture, moments: Moments, *, with_covariances: bool = True
) -> float:
    """``g' C^-1 g``, which has no units.

    It is twice the gain of an EM step in the complete-data objective, to second order.
    ``moments`` are of the E-step at the mixture, with its ridge, about its means.
    """
    sums = _statistics(moments, problem.family.shares_all, problem.regularisation)
    total, fixed = 0.0, problem.fixed_of(mixture.n_components)
    total += _of_weights(problem, mixture, moments)
    whitened = np.stack(
        [mixture.covariance.whiten(k, sums.first[[k]])[0] for k in range(mixture.n_components)]
    )
    if fixed is not None:
        whitened = _along_free_entries(whitened, mixture, fixed)
    total += _sum_of_ratios((whitened**2).sum(axis=1), sums.counts)
    if problem.tails is not None and mixture.tails is not None:
        total += problem.tails.squared_gradient(moments, mixture.tails)
    if not with_covariances or (fixed is not None and not fixed.free_covariances.any()):
        return total
    if fixed is not None and not fixed.free_covariances.all():
        free = np.flatnonzero(fixed.free_covariances)
        mixture = mixture.select(free)
        sums = replace(sums, rows=sums.rows[free], scatter=sums.scatter[free])
    return total + _of_covariances(sums, mixture, problem.family)


def _along_free_entries(whitened: Array, mixture: Mixture, fixed: Fixed) -> Array:
    """The part of whitened vectors (K,d) along changes of the free entries of the means.

    Such a change is in the space of the free columns of the whitener.
    """
    along, identity = np.empty_like(whitened), np.eye(mixture.n_features)
    for k, vector in enumerate(whitened):
        basis = mean_basis(mixture.covariance.whiten(k, identity).T, fixed.free_means[k])
        along[k] = basis @ (basis.T @ vector)
    return along


def _of_weights(problem: Problem, mixture: Mixture, moments: Moments) -> float:
    """The part of the weights that are estimated, of components and of a noise term.

    With equal weights these are the noise's and the sum of the others.
    """
    counts, shares = moments.counts, mixture.weights
    fixed = problem.fixed_of(mixture.n_components)
    if problem.regularisation.equal_weights:
        counts, shares = counts.sum(keepdims=True), shares.sum(keepdims=True)
    elif fixed is not None:
        counts, shares = fixed.part_sums(counts), fixed.part_sums(shares)
    if mixture.noise is not None:
        counts = np.append(counts, moments.noise)
        shares = np.append(shares, mixture.noise.weight)
    if not shares.sum() > 0:
        return 0.0
    expected = counts.sum() * shares / shares.sum()
    at_zero = _of_noise_at_zero(problem, mixture) if _without_noise(mixture) else 0.0
    return _sum_of_ratios((counts - expected) ** 2, expected) + at_zero


def _without_noise(mixture: Mixture) -> bool:
    """Whether the weight of a noise term is at its bound of 0, which EM never leaves."""
    return mixture.noise is not None and mixture.noise.weight == 0.0


def _of_noise_at_zero(problem: Problem, mixture: Mixture) -> float:
    """The squared score of a noise weight at 0 over its information; 0 where it is not positive."""
    assert mixture.noise is not None
    whole = replace(mixture, noise=mixture.noise.with_weight(1.0))
    score = information = 0.0
    for block in problem.dataset.source.blocks():
        for part in block.cut(ROWS_COUNTED_AT_ONCE):
            log_joint = problem.dataset.backend.log_joint(part, whole)
            excess = np.expm1(log_joint[:, -1] - log_density(log_joint[:, :-1]))
            weights = np.ones(len(excess)) if part.weights is None else part.weights
            score += float(weights @ excess)
            information += float(weights @ excess**2)
    return score**2 / information if score > 0 else 0.0


def _of_covariances(sums: _Statistics, mixture: Mixture, family: Family) -> float:
    """The part of the covariances: volumes, shapes and orientations, shared (E) or own (V)."""
    volume, shape, orientation = tuple(family.name)
    covariance, d = mixture.covariance, mixture.n_features
    if sums.scatter.ndim == 1:
        residual = sums.scatter / covariance.values[: len(sums.rows)] - d * sums.rows
        return _squared_scores(residual[:, None], sums.rows, volume) / (2.0 * d)
    if not isinstance(covariance, Dense):
        residual = sums.scatter / covariance.values[: len(sums.rows)] - sums.rows[:, None]
        return _of_diagonals(residual, sums.rows, volume, shape)
    whiteners, axes = whiteners_of(covariance, family.name)
    B = np.stack(whiteners[: len(sums.rows)])
    residuals = B @ sums.scatter @ np.swapaxes(B, 1, 2) - sums.rows[:, None, None] * np.eye(d)
    total = _of_diagonals(np.einsum("kjj->kj", residuals), sums.rows, volume, shape)
    above, beside = np.triu_indices(d, 1)
    rotations = residuals[:, above, beside]
    if axes is None:
        return total + _squared_scores(rotations, sums.rows, orientation)
    lengths = np.stack(axes[: len(sums.rows)])
    arms = (lengths[:, beside] - lengths[:, above]) / np.sqrt(
        lengths[:, above] * lengths[:, beside]
    )
    return total + _squared_scores(
        rotations, sums.rows, orientation, np.where(np.abs(arms) > EQUAL_LENGTHS, arms, 0.0)
    )


def _of_diagonals(residual: Array, rows: Array, volume: str, shape: str) -> float:
    """Volumes along ``1`` and shapes orthogonal to it, from diagonals (F,d) of residuals."""
    d = int(residual.shape[1])
    sums: Array = residual.sum(axis=1, keepdims=True)
    return (
        _squared_scores(sums, rows, volume) / (2.0 * d)
        + _squared_scores(residual - sums / d, rows, shape) / 2.0
    )


def _squared_scores(residual: Array, rows: Array, letter: str, arms: Array | None = None) -> float:
    """Squared scores of residuals (F,m) over their information, with rows (F,).

    Shared parameters (E) have sums over the components. ``arms (F,m)`` are the lever arms of
    rotations.
    """
    arms = np.ones_like(residual) if arms is None else arms
    scores, information = arms * residual, rows[:, None] * arms**2
    if letter == "E":
        scores, information = scores.sum(axis=0), information.sum(axis=0)
    return _sum_of_ratios(scores**2, information)


def _sum_of_ratios(squares: Array, by: Array) -> float:
    """The sum of ratios with positive denominators."""
    return float(np.divide(squares, by, out=np.zeros_like(squares), where=by > 0).sum())


# ---- at a bound ----------------------------------------------------------------------------------


def _boundaries(mixture: Mixture, problem: Problem) -> list[str]:
    """For each component the name of its active bound; empty where there is none.

    No bound is active for a fixed covariance.
    """
    covariance, K, regularisation = mixture.covariance, mixture.n_components, problem.regularisation
    names = np.full(K, "", dtype=object)
    if regularisation.at_the_ratio(covariance):
        values = scaled_variances(covariance, np.ones(mixture.n_features))
        ends = (values <= values.min() * (1.0 + NEAR_RATIO)) | (
            values >= values.max() * (1.0 - NEAR_RATIO)
        )
        names[ends.any(axis=1)] = "eigenvalue ratio"
    names[regularisation.floor_reached(covariance)] = (
        "reg_covar" if regularisation.ridge > 0 else "floor"
    )
    if (fixed := problem.fixed_of(K)) is not None:
        names[~fixed.free_covariances] = ""
    return [str(name) for name in names]


def _gain_of_the_m_step(problem: Problem, mixture: Mixture, moments: Moments) -> float:
    """Gain of the next M-step in the complete-data objective, within the bounds.

    It is never negative, and 0 at a fixed point of EM. As a difference of two large sums it counts
    as 0 below their rounding.
    """
    try:
        after = problem.m_step(moments, mixture)
    except CollapseError:
        return float("nan")
    before = _complete_data_objective(problem, moments, mixture)
    gain = _complete_data_objective(problem, moments, after) - before
    gain = gain if not gain <= rounding(before) else 0.0
    if problem.tails is not None and mixture.tails is not None:  # by their second order
        gain += 0.5 * problem.tails.squared_gradient(moments, mixture.tails)
    return gain


def _complete_data_objective(problem: Problem, moments: Moments, mixture: Mixture) -> float:
    """The expected complete-data objective, which an M-step maximises, up to a constant.

    Degrees of freedom are left out.
    """
    sums = _statistics(
        moments.taken_about(mixture.means), problem.family.shares_all, problem.regularisation
    )
    filled = sums.weights > 0
    with np.errstate(divide="ignore"):  # a start of variational Bayes may have empty components
        logs = np.log(mixture.weights[filled])
    share = sums.rows.reshape(-1, *[1] * (sums.scatter.ndim - 1)) * (
        mixture.n_features if sums.scatter.ndim == 1 else 1
    )
    average = np.divide(sums.scatter, share, out=np.zeros_like(sums.scatter), where=share > 0)
    statistics = SufficientStatistics(sums.rows, average, mixture.n_components, mixture.n_features)
    of_weights = float(np.dot(sums.weights[filled], logs))
    if mixture.noise is not None and moments.noise > 0:
        of_weights += moments.noise * mixture.noise.log_weight
    return of_weights + float(statistics.fit(mixture.covariance))


# ---- the components ------------------------------------------------------------------------------


def _reports(
    problem: Problem,
    mixture: Mixture,
    moments: Moments,
    boundaries: list[str],
    soundness: Soundness,
) -> tuple[ComponentReport, ...]:
    """The reports of all components."""
    dataset = problem.dataset
    scaled = scaled_variances(mixture.covariance, dataset.scale)
    own = scaled_variances(mixture.covariance, np.ones(mixture.n_features))
    findings = {item.component: item for item in _point_masses(problem, mixture, boundaries)}
    findings |= {item.component: item for item in soundness.findings}
    copies = {copy: original for original, copy in soundness.copies}
    none = Finding(0, "", "")
    return tuple(
        ComponentReport(
            component=k,
            weight=float(mixture.weights[k]),
            count=float(mixture.weights[k] * moments.total),
            effective_parameters=float(soundness.effective[k]),
            smallest_variance=float(scaled[k, 0]),
            condition=float(scaled[k, -1] / scaled[k, 0]) if scaled[k, 0] > 0 else float("inf"),
            eigenvalue_ratio=float(own[k, 0] / own[k, -1]),
            kind=findings.get(k, none).kind,
            reason=findings.get(k, none).reason,
            boundary=boundaries[k],
            copy_of=copies.get(k),
        )
        for k in range(mixture.n_components)
    )


def _point_masses(problem: Problem, mixture: Mixture, boundaries: list[str]) -> list[Finding]:
    """Components at the floor whose rows have exactly one value in some columns."""
    at_floor = [k for k, bound in enumerate(boundaries) if bound == "floor"]
    if not at_floor:
        return []
    floor = problem.regularisation.floor
    variances = np.einsum("kjj->kj", mixture.covariance.dense())
    columns = {k: np.flatnonzero(variances[k] <= AT_THE_FLOOR * floor) for k in at_floor}
    rows = {k: 0 for k in at_floor if len(columns[k])}
    for block in problem.dataset.source.blocks():
        for part in block.cut(ROWS_COUNTED_AT_ONCE):
            labels = labels_of(problem.dataset.backend.log_joint(part, mixture), mixture)
            for k in rows:
                near = np.abs(
                    part.rows[labels == k][:, columns[k]] - mixture.means[k, columns[k]]
                ) <= np.sqrt(floor[columns[k]])
                rows[k] += int(near.all(axis=1).sum())
    return [
        Finding(
            k,
            "point mass",
            f"{n} rows have exactly the value {_values(mixture.means[k], columns[k])}; its density "
            "is limited by the recorded step",
        )
        for k, n in rows.items()
    ]


def _values(mean: Array, columns: Labels) -> str:
    """``0 in column 1 and 3.5 in column 2``; a single column has no number."""
    if len(mean) == 1:
        return f"{mean[0]:.6g}"
    return " and ".join(f"{mean[j]:.6g} in column {j}" for j in columns.tolist())
