"""The loop of EM in C++: the same steps as :mod:`mixtura.em.loop`, without Python between them.

It takes the native backend, one block of rows, a family whose law is in ``native/m_step.cpp``, a
floor, pseudo-rows with independent columns and equal proportions, Gaussian and t components without
fixed parameters, and a rule that says what it reads off the trace; for anything else there is none,
and the loop in Python does it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np

from mixtura.backends import NativeBackend
from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError
from mixtura.base.scatter import Scatter
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import MANY_COLUMNS, Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.em import convergence_rate, squarem
from mixtura.em.loop import (
    PLAIN_BEFORE_EXTRAPOLATION,
    PLAIN_KEPT,
    Loop,
    LoopEvent,
    Start,
    Stopped,
)
from mixtura.em.stopping import ROUNDING, StoppingRule
from mixtura.families import FAMILIES, axes, shapes
from mixtura.kernels import native
from mixtura.model.fit_result import FitResult
from mixtura.model.moments import Moments
from mixtura.model.observation import Observation, check_tails
from mixtura.model.priors import Prior
from mixtura.model.protocols import Block, Family
from mixtura.model.regularisation import FLOOR_ROUNDING, UNRESOLVED, Regularisation
from mixtura.model.tails import FIRST_DEGREES, TailRule


def native_loop(
    problem: Problem,
    start: Start,
    stopping: StoppingRule,
    accelerated: bool,
    stopped: Stopped,
) -> Loop | None:
    """A loop in C++ after its first E-step; None where one of its parts has no form there.

    Raises
    ------
    CollapseError
        When the start itself is singular and nothing keeps it from zero.
    """
    family = problem.family
    loop = empty_loop(problem, start.n_components, stopping, accelerated)
    if loop is None:
        return None
    if isinstance(start, Moments):
        moments = start.summarised(family.needs)
        collapsed = loop.begin_with_moments(
            *flat_moments(moments), moments.noise, _flat_pulled(moments)
        )
    else:
        mixture = problem.adapted(start.mixture if isinstance(start, FitResult) else start)
        parts = flat_mixture(mixture, family)
        if parts is None:
            return None
        trace = list(start.trace) if isinstance(start, FitResult) else []
        kept, noise = 1 if accelerated else PLAIN_KEPT, mixture.noise
        collapsed = loop.begin_with_mixture(
            *parts, trace, kept, noise.weight if noise else 0.0, mixture.tails
        )
    if collapsed >= 0:
        raise CollapseError(collapsed)
    return _NativeLoop(loop, family.needs, problem.noise, stopped)


def empty_loop(
    problem: Problem, K: int, stopping: StoppingRule, accelerated: bool
) -> native.Loop | None:
    """A loop of the extension for K components that has no start yet; None where one of its parts
    has no form there.
    """
    dataset, regularisation = problem.dataset, problem.regularisation
    block, criterion = _one_block(problem, K), stopping.trace_test
    if block is None or criterion is None:
        return None
    assert isinstance(dataset.backend, NativeBackend)
    return native.Loop(
        block.rows,
        block.weights,
        setting(problem.family, regularisation, problem.tails),
        native.Rule(*criterion, ROUNDING),
        dataset.scale,
        _squarem() if accelerated else None,
        _arnoldi(),
        dataset.backend.threads,
        dataset.backend.single,
        None if problem.noise is None else -problem.noise.log_volume,
        None if block.observation is None else _observed(block.observation, K, problem.noise),
    )


# ---- between the two languages -------------------------------------------------------------------


def has_native_law(family: Family, regularisation: Regularisation) -> bool:
    """Whether this M-step is in C++, too."""
    plain = not regularisation.is_tilted and regularisation.eigenvalue_ratio is None
    return (
        plain
        and _has_native_prior(family, regularisation.prior)
        and type(FAMILIES.get(family.name)) is type(family)
        and native.has_law(family.name)
    )


def _has_native_prior(family: Family, prior: Prior | None) -> bool:
    """None, or pseudo-rows of full covariances; with many columns the matrix products of Python's
    loop are the faster ones.
    """
    if prior is None:
        return True
    full = family.needs in (Scatter.DENSE, Scatter.TOTAL)
    return (
        full
        and prior.shrinkage == 0
        and prior.columns is not None
        and len(prior.columns) < MANY_COLUMNS
    )


def _one_block(problem: Problem, K: int) -> Block | None:
    """All rows in one piece, where the native backend and a native law are there for them."""
    if (
        problem.fixed is not None
        or not isinstance(problem.dataset.backend, NativeBackend)
        or not has_native_law(problem.family, problem.regularisation)
    ):
        return None
    blocks = list(islice(problem.dataset.source_for(K).blocks(), 2))
    if problem.tails is not None and blocks[0].observation is not None:
        check_tails(blocks[0].observation)
    return blocks[0] if len(blocks) == 1 else None


def _observed(observation: Observation, K: int, noise: Noise | None) -> native.Observation:
    """How incomplete rows were observed, for K components."""
    return native.Observation(
        observation.order,
        observation.ends,
        observation.columns,
        observation.errors,
        observation.log_classes(K),
        None if noise is None else observation.log_noise(noise.with_weight(1.0)),
    )


def setting(
    family: Family, regularisation: Regularisation, tails: TailRule | None = None
) -> native.Setting:
    """What every M-step respects, as C++ takes it."""
    return native.Setting(
        family.name,
        regularisation.floor,
        regularisation.equal_weights,
        flat_prior(regularisation.prior),
        native.VolumeSearch(shapes.MOST_STEPS, shapes.SETTLED, shapes.NEAR),
        native.AxisSearch(
            *axes.pace(len(regularisation.floor)),
            tried=axes.TRIED,
            still=axes.STILL,
            still_in_all=axes.STILL_IN_ALL,
            negligible=axes.NEGLIGIBLE,
            farthest=axes.FARTHEST,
            trusted=axes.TRUSTED,
        ),
        UNRESOLVED,
        FLOOR_ROUNDING,
        None if tails is None else flat_tail_rule(tails),
    )


def flat_tail_rule(tails: TailRule) -> native.TailRule:
    """How the degrees of freedom are chosen."""
    given = None if tails.given is None else np.atleast_1d(tails.given)
    first = float(np.clip(FIRST_DEGREES, *tails.bounds))
    return native.TailRule(tails.kind == "equal", given, first, *tails.bounds)


def _squarem() -> native.Squarem:
    """How EM is extrapolated."""
    return native.Squarem(squarem.FIRST_LENGTH, squarem.GROWTH, PLAIN_BEFORE_EXTRAPOLATION)


def _arnoldi() -> native.Arnoldi:
    """How the rate of the slowest direction is measured."""
    return native.Arnoldi(
        most_maps=convergence_rate.MOST_MAPS,
        window=convergence_rate.WINDOW,
        steady=convergence_rate.RITZ_TOLERANCE,
        deviation=convergence_rate.DEVIATION,
        negligible=convergence_rate.NEGLIGIBLE,
        near=convergence_rate.SHIFT,
        tiny=convergence_rate.LEAST_LENGTH,
    )


def flat_prior(prior: Prior | None) -> tuple[float, Array, float] | None:
    """Pseudo-rows with independent columns as C++ takes them."""
    return (
        None
        if prior is None or prior.columns is None
        else (prior.rows, np.ascontiguousarray(prior.columns), prior.best)
    )


def flat_moments(moments: Moments) -> tuple[Array, Array, Array, Array]:
    """Moments as C++ takes them."""
    about, counts, first, second = (
        np.ascontiguousarray(part, dtype=np.float64)
        for part in (moments.about, moments.counts, moments.first, moments.second)
    )
    return about, counts, first, second.reshape(-1)


def _flat_pulled(moments: Moments) -> Array | None:
    """The sums of t components as C++ takes them (1 or 3, K); None of Gaussians."""
    if moments.pulls is None:
        return None
    if moments.tail_sums is None or moments.tail_information is None:
        return np.ascontiguousarray(moments.pulls[None], dtype=np.float64)
    return np.stack([moments.pulls, moments.tail_sums, moments.tail_information])


def flat_mixture(
    mixture: Mixture, family: Family
) -> tuple[Array, Array, Array, Array | None] | None:
    """A mixture as C++ takes it; None where its covariances are not in the family's own form."""
    covariance = mixture.covariance
    form = {Scatter.TRACE: Spherical, Scatter.DIAGONAL: Diagonal}.get(family.needs, Dense)
    if not isinstance(covariance, form) or len(covariance.values) != (
        1 if family.shares_all else mixture.n_components
    ):
        return None
    weights, means, values = (
        np.ascontiguousarray(part, dtype=np.float64)
        for part in (mixture.weights, mixture.means, covariance.values)
    )
    axes = covariance.axes if isinstance(covariance, Dense) else None
    return (
        weights,
        means,
        values.reshape(-1),
        None if axes is None else np.ascontiguousarray(axes.T),
    )


def mixture_from(
    parts: tuple[Array, Array, Array, Array, Array | None], noise: Noise | None = None
) -> Mixture:
    """The mixture that C++ made, with its whiteners as they are."""
    weights, means, values, whitener, axes = parts
    K, d = means.shape
    covariance: Covariance
    if values.ndim == 1:
        covariance = Spherical(values, K, d)
    elif values.ndim == 2:
        covariance = Diagonal(values, K)
    else:
        covariance = Dense(values, K, None if axes is None else axes.T, whitener)
    return Mixture(weights, means, covariance, noise)


class _NativeLoop:
    """The loop in C++; see :class:`mixtura.em.loop.Loop`."""

    def __init__(
        self, loop: native.Loop, kind: Scatter, noise: Noise | None, stopped: Stopped
    ) -> None:
        self._native, self._kind, self._noise, self._stopped = loop, kind, noise, stopped
        self._mixture: Mixture | None = None

    @property
    def n_iter(self) -> int:
        return self._native.n_iter

    @property
    def trace(self) -> list[float]:
        return self._native.trace

    @property
    def plain(self) -> list[float]:
        return self._native.plain

    @property
    def objective(self) -> float:
        return self._native.objective

    @property
    def last_gain(self) -> float:
        return self._native.last_gain

    @property
    def fall(self) -> float:
        return self._native.fall

    @property
    def mixture(self) -> Mixture:
        if self._mixture is None:
            noise = self._noise and self._noise.with_weight(self._native.noise_weight)
            found = mixture_from(self._native.mixture(), noise)
            self._mixture = replace(found, tails=self._native.tails())
        return self._mixture

    @property
    def moments(self) -> Moments:
        counts, first, second = self._native.moments()
        (K, d), (log_likelihood, entropy, certainty, _) = first.shape, self._native.sums()
        moments = Moments(
            self.mixture.means,
            counts,
            first,
            second.reshape(self._kind.shape(K, d)),
            self._kind,
            log_likelihood,
            entropy,
            certainty,
            self._native.noise_rows,
        )
        pulled = self._native.pulled()
        return moments if pulled is None else moments.with_tails(*pulled)

    @property
    def sums(self) -> tuple[float, float, float, float]:
        return self._native.sums()

    def iterate(self, most: int, next_check: int) -> LoopEvent:
        if self._stopped():
            raise KeyboardInterrupt
        self._mixture = None
        return LoopEvent(self._native.iterate(most, next_check, self._stopped))

    def set_rule(self, rule: StoppingRule) -> None:
        assert rule.trace_test is not None
        self._native.set_tolerance(rule.trace_test[1])

    def slowest_rate(self) -> float:
        random = convergence_rate.random_direction(self._native.vector_size)
        return self._native.slowest_rate(random, self._stopped)
