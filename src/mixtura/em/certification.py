"""How a certificate of convergence is found: one pass over the rows after the last step of EM.

The gradient of the observed log-likelihood at a mixture is that of the complete-data expectation
there (Fisher's identity), so counts, means and scatter of one E-step are all it takes. In each
component's own frame, ``B Sigma B' = 1``, with ``n`` rows, first moment ``u`` about the mean and
residual ``R = B W B' - n 1`` of the scatter,

    along                     gradient            complete-data information
    log ratio of a weight     count_k - n pi_k
    mean                      u                   n
    covariance, M             tr(M R) / 2         n tr(M M) / 2

and the M of :mod:`mixtura.em.coordinates` (one volume, shapes, orientations) are orthogonal to each
other. So ``g' C^-1 g`` is a sum of squares, and what components share is a ratio of sums over them.
Where a family cannot follow the scatter of its rows, the curvature of the complete data differs
from what is expected of them, C, so what the next M-step gains is computed as well, and the larger
of the two counts.

References: Fisher 1925; Louis 1982; Dempster, Laird & Rubin 1977 on the rates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.errors import CollapseError
from mixtura.data.problem import Problem
from mixtura.em.convergence_rate import slowest_rate
from mixtura.em.coordinates import frames_of
from mixtura.em.effective_parameters import soundness_of
from mixtura.em.loop import em_map
from mixtura.em.stopping import REMAINING, RemainingGain, StoppingRule, rounding
from mixtura.model.certificate import SAFETY, Certificate, ComponentReport
from mixtura.model.covariance import Dense
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.mixture import Mixture
from mixtura.model.moments import Moments, Scatter
from mixtura.model.protocols import Family
from mixtura.model.regularisation import (
    AT_THE_FLOOR,
    NEAR_RATIO,
    Regularisation,
    SufficientStatistics,
    scaled_variances,
)
from mixtura.model.soundness import Finding, Soundness

ON_THE_FLOOR = 1.0 + 1e-6
"""An eigenvalue within this factor of the floor is held there."""

ROWS_AT_ONCE = 65536

NO_TURN = 1e-8
"""Two axes whose lengths differ by less, relatively, are equally long: a turn between them changes
nothing.
"""


def certified(fit: FitResult, problem: Problem, stopping: StoppingRule | None = None) -> FitResult:
    """A fit with its certificate; it is called converged only where that holds.

    One pass over the rows. The rate is the one that EM measured at its end; where it claims to have
    converged without one (all steps left were rounding), it is measured here.

    Parameters
    ----------
    fit : FitResult
        The winner of a search.
    problem : Problem
        That was searched.
    stopping : StoppingRule, optional
        Whose tolerance the certificate takes.
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
    """The certificate of a mixture on the rows of a dataset.

    Parameters
    ----------
    problem : Problem
    mixture : Mixture
        Any mixture of the family.
    rate : float, optional
        Of EM's slowest direction; None measures it, which takes up to 26 maps of EM, NaN does
        without.
    tolerance : float, optional
        The remaining gain that is allowed, unless rounding of the objective allows more; None is
        that of the stopping rule.
    trace_gain : float
        The remaining gain by the trace of EM, for mixtures that a bound holds back.
    soundness : Soundness, optional
        What is known of its components; None judges them.
    """
    moments = problem.e_step(mixture)
    at_a_bound = _boundaries(mixture, problem.regularisation)
    bound = any(at_a_bound)
    rate = _rate(problem, mixture, moments) if rate is None else rate
    if mixture.n_components == 1:
        rate = 0.0  # nothing is missing
    if bound and not rate < 1.0:
        rate = float("nan")  # no derivative at the bound, so nothing is read from it
    gradient = float(
        np.sqrt(squared_gradient(problem, mixture, moments, with_covariances=not bound))
    )
    gain = _gain_of_the_m_step(problem, mixture, moments)
    if not bound:
        gain = max(gain, 0.5 * gradient**2)
    remaining, basis = (gain / (1.0 - rate), "rate") if rate < 1.0 else (float("nan"), "unknown")
    if basis == "unknown" and bound and np.isfinite(trace_gain):
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
        components=_reports(problem, mixture, moments, at_a_bound, soundness),
        safety=SAFETY,
    )


def _rate(problem: Problem, mixture: Mixture, moments: Moments) -> float:
    """The rate of the slowest direction around the next step."""
    if mixture.n_components == 1:
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
class _Pulls:
    """An E-step about the means of a mixture, with ridge and prior: what its complete-data
    objective depends on.

    Attributes
    ----------
    weights : (K,)
        Counts that pull the weights.
    counts : (K,), first : (K, d)
        Rows that pull the means, and their first moments about them.
    rows : (F,), scatter : (F,), (F, d) or (F, d, d)
        Of each free covariance.
    """

    weights: Array
    counts: Array
    first: Array
    rows: Array
    scatter: Array


def _pulls(moments: Moments, shared: bool, regularisation: Regularisation) -> _Pulls:
    """See :mod:`mixtura.model.regularisation` for what ridge and prior do."""
    kind, d, prior = moments.kind, moments.n_features, regularisation.prior
    counts, first, scatter, rows = moments.counts, moments.first, moments.second, moments.counts
    if regularisation.ridge > 0:
        each = moments.total if kind is Scatter.TOTAL else counts
        scatter = scatter + regularisation.ridge * np.multiply.outer(
            each, kind.of_matrix(np.eye(d))
        )
    if prior is not None and prior.shrinkage > 0:
        apart, pull = prior.mean - moments.about, np.full(len(counts), prior.shrinkage)
        scatter = scatter + kind.of_vectors(pull, apart)
        counts, first = counts + pull, first + prior.shrinkage * apart
    if shared:
        scatter = scatter[None] if kind is Scatter.TOTAL else scatter.sum(axis=0, keepdims=True)
        rows = np.array([moments.total])
    if prior is not None:
        scatter, rows = scatter + kind.of_matrix(prior.scatter), rows + prior.rows
    return _Pulls(moments.counts, counts, first, rows, scatter)


def squared_gradient(
    problem: Problem, mixture: Mixture, moments: Moments, *, with_covariances: bool = True
) -> float:
    """``g' C^-1 g``, free of units: ``moments`` of the E-step at the mixture, with its ridge, about
    its means.

    Twice what a step of EM gains of the complete-data objective, to second order.
    """
    pulls = _pulls(moments, problem.family.shares_all, problem.regularisation)
    total = 0.0
    if not problem.regularisation.equal_weights:
        expected = moments.total * mixture.weights
        total += _sum_of_ratios((pulls.weights - expected) ** 2, expected)
    whitened = np.stack(
        [mixture.covariance.whiten(k, pulls.first[[k]])[0] for k in range(mixture.n_components)]
    )
    total += _sum_of_ratios((whitened**2).sum(axis=1), pulls.counts)
    return total + _of_covariances(pulls, mixture, problem.family) if with_covariances else total


def _of_covariances(pulls: _Pulls, mixture: Mixture, family: Family) -> float:
    """The part of the covariances: volumes, shapes, orientations, each shared (E) or each
    component's own (V).
    """
    volume, shape, orientation = tuple(family.name)
    covariance, d = mixture.covariance, mixture.n_features
    if pulls.scatter.ndim == 1:
        residual = pulls.scatter / covariance.values[: len(pulls.rows)] - d * pulls.rows
        return _pulled(residual[:, None], pulls.rows, volume) / (2.0 * d)
    if not isinstance(covariance, Dense):
        residual = pulls.scatter / covariance.values[: len(pulls.rows)] - pulls.rows[:, None]
        return _of_diagonals(residual, pulls.rows, volume, shape)
    frames, axes = frames_of(covariance, family.name)
    B = np.stack(frames[: len(pulls.rows)])
    residuals = B @ pulls.scatter @ np.swapaxes(B, 1, 2) - pulls.rows[:, None, None] * np.eye(d)
    total = _of_diagonals(np.einsum("kjj->kj", residuals), pulls.rows, volume, shape)
    above, beside = np.triu_indices(d, 1)
    turns = residuals[:, above, beside]
    if axes is None:
        return total + _pulled(turns, pulls.rows, orientation)
    lengths = np.stack(axes[: len(pulls.rows)])
    arms = (lengths[:, beside] - lengths[:, above]) / np.sqrt(
        lengths[:, above] * lengths[:, beside]
    )
    return total + _pulled(
        turns, pulls.rows, orientation, np.where(np.abs(arms) > NO_TURN, arms, 0.0)
    )


def _of_diagonals(residual: Array, rows: Array, volume: str, shape: str) -> float:
    """Volumes along ``1`` and shapes orthogonal to it, from the diagonals (F,d) of the
    residuals.
    """
    d = int(residual.shape[1])
    sums: Array = residual.sum(axis=1, keepdims=True)
    return _pulled(sums, rows, volume) / (2.0 * d) + _pulled(residual - sums / d, rows, shape) / 2.0


def _pulled(residual: Array, rows: Array, letter: str, arms: Array | None = None) -> float:
    """Squares of residuals (F,m) over rows (F,); where the components share, their sums; ``arms``
    (F,m) are what a turn moves.
    """
    arms = np.ones_like(residual) if arms is None else arms
    forces, resistance = arms * residual, rows[:, None] * arms**2
    if letter == "E":
        forces, resistance = forces.sum(axis=0), resistance.sum(axis=0)
    return _sum_of_ratios(forces**2, resistance)


def _sum_of_ratios(squares: Array, by: Array) -> float:
    """The sum of ratios; what has no rows has no say."""
    return float(np.divide(squares, by, out=np.zeros_like(squares), where=by > 0).sum())


# ---- at a bound ----------------------------------------------------------------------------------


def _boundaries(mixture: Mixture, regularisation: Regularisation) -> list[str]:
    """Per component, the bound that holds its covariance back; empty where there is none."""
    covariance, K = mixture.covariance, mixture.n_components
    words = np.full(K, "", dtype=object)
    if regularisation.at_the_ratio(covariance):
        values = scaled_variances(covariance, np.ones(mixture.n_features))
        ends = (values <= values.min() * (1.0 + NEAR_RATIO)) | (
            values >= values.max() * (1.0 - NEAR_RATIO)
        )
        words[ends.any(axis=1)] = "eigenvalue ratio"
    words[regularisation.floor_reached(covariance)] = (
        "reg_covar" if regularisation.ridge > 0 else "floor"
    )
    return [str(word) for word in words]


def _gain_of_the_m_step(problem: Problem, mixture: Mixture, moments: Moments) -> float:
    """What the next M-step gains of the complete-data objective, bounds respected: 0 at a fixed
    point of EM, never negative.

    A difference of two large sums: what cannot be told from their rounding counts as 0.
    """
    try:
        after = problem.m_step(moments, mixture)
    except CollapseError:
        return float("nan")
    before = _complete_data_objective(problem, moments, mixture)
    gain = _complete_data_objective(problem, moments, after) - before
    return gain if not gain <= rounding(before) else 0.0


def _complete_data_objective(problem: Problem, moments: Moments, mixture: Mixture) -> float:
    """The expectation that an M-step raises, up to a constant."""
    pulls = _pulls(
        moments.taken_about(mixture.means), problem.family.shares_all, problem.regularisation
    )
    held = pulls.weights > 0
    logs = np.log(mixture.weights[held])
    share = pulls.rows.reshape(-1, *[1] * (pulls.scatter.ndim - 1)) * (
        mixture.n_features if pulls.scatter.ndim == 1 else 1
    )
    average = np.divide(pulls.scatter, share, out=np.zeros_like(pulls.scatter), where=share > 0)
    statistics = SufficientStatistics(pulls.rows, average, mixture.n_components, mixture.n_features)
    return float(np.dot(pulls.weights[held], logs)) + float(statistics.fit(mixture.covariance))


# ---- the components ------------------------------------------------------------------------------


def _reports(
    problem: Problem,
    mixture: Mixture,
    moments: Moments,
    boundaries: list[str],
    soundness: Soundness,
) -> tuple[ComponentReport, ...]:
    """What there is to say of each component."""
    dataset = problem.dataset
    scaled = scaled_variances(mixture.covariance, dataset.scale)
    own = scaled_variances(mixture.covariance, np.ones(mixture.n_features))
    findings = {item.component: item for item in _point_masses(problem, mixture, boundaries)}
    findings |= {item.component: item for item in soundness.findings}
    copies = {copy: original for original, copy in soundness.copies}
    nothing = Finding(0, "", "")
    return tuple(
        ComponentReport(
            component=k,
            weight=float(mixture.weights[k]),
            count=float(mixture.weights[k] * moments.total),
            effective_parameters=float(soundness.effective[k]),
            smallest_variance=float(scaled[k, 0]),
            condition=float(scaled[k, -1] / scaled[k, 0]) if scaled[k, 0] > 0 else float("inf"),
            eigenvalue_ratio=float(own[k, 0] / own[k, -1]),
            kind=findings.get(k, nothing).kind,
            reason=findings.get(k, nothing).reason,
            boundary=boundaries[k],
            copy_of=copies.get(k),
        )
        for k in range(mixture.n_components)
    )


def _point_masses(problem: Problem, mixture: Mixture, boundaries: list[str]) -> list[Finding]:
    """Components that the floor holds because their rows have one value of a column exactly."""
    held = [k for k, bound in enumerate(boundaries) if bound == "floor"]
    if not held:
        return []
    floor = problem.regularisation.floor
    spreads = np.einsum("kjj->kj", mixture.covariance.dense())
    flat = {k: np.flatnonzero(spreads[k] <= AT_THE_FLOOR * floor) for k in held}
    rows = {k: 0 for k in held if len(flat[k])}
    for block in problem.dataset.source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            labels = problem.dataset.backend.log_joint(part, mixture).argmax(axis=1)
            for k in rows:
                near = np.abs(
                    part.rows[labels == k][:, flat[k]] - mixture.means[k, flat[k]]
                ) <= np.sqrt(floor[flat[k]])
                rows[k] += int(near.all(axis=1).sum())
    return [
        Finding(
            k,
            "point mass",
            f"{n} rows have exactly the value {_values(mixture.means[k], flat[k])}; its density is "
            "limited by the recorded step",
        )
        for k, n in rows.items()
    ]


def _values(mean: Array, columns: Labels) -> str:
    """``0 in column 1 and 3.5 in column 2``; the column is left out where there is but one."""
    if len(mean) == 1:
        return f"{mean[0]:.6g}"
    return " and ".join(f"{mean[j]:.6g} in column {j}" for j in columns.tolist())
