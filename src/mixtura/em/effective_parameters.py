"""Effective parameters of each component: the leave-one-out loss of the rows in it.

    p_k = sum_i w_i r_ik (log f(x_i) - log f_-i(x_i))

``f_-i`` is the mixture with row i left out of every component, with fixed responsibilities of the
other rows. For a well determined component p_k is near the nominal number of parameters; for one
with a few nearly collinear rows it is far above. (The sum over all rows is p_loo in leave-one-out
cross-validation: Vehtari, Gelman & Gabry 2017, Statistics and Computing 27:1413-1432.)

It is computed in one pass and closed form. With ``v = x_i - m_k``, N rows in the component to which
row i contributes r, and ``A = N / (N - r)``, without the row ``x_i - m`` is ``A v`` and the scatter
is less by ``r A v v'``. Shared parameters are fixed; a component's own parameters follow its
scatter as in the M-step of its family:

    none (EII, EEI, EEE)                fixed covariance
    volume (VII, VEI, VEE)              in proportion to the trace in the metric of the shared shape
    variances along axes (VVI, VVE)     each axis by itself
    shape along axes (EVI, EVE)         the same, with a fixed volume
    all (VVV), all but volume (EVV)     a change of rank one
    orientation (EEV), and volume (VEV) the eigenvectors of the remaining scatter; to first order
                                        for rows of small leverage

Directions at the floor do not follow the rows, nor do fixed parameters; a mean with some fixed
entries is taken as if it were free, which is at most a parameter too many for each of them. A t
component keeps its degrees of freedom; row i contributes ``r u`` to its mean and scatter, and its
log density falls with the logarithm of the distance (:mod:`mixtura.model.tails`). Weights are
frequencies: of a row with weight two one of the two is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixtura.backends import NativeBackend
from mixtura.backends.native import log_noise
from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.covariance import Covariance, Dense
from mixtura.distribution.kernel_densities import described
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density
from mixtura.distribution.t_density import log_fall, pulls
from mixtura.kernels import native
from mixtura.model.copies import copies_of
from mixtura.model.moments import Moments
from mixtura.model.protocols import Block
from mixtura.model.regularisation import AT_THE_FLOOR, below
from mixtura.model.soundness import Averaged, Soundness, support

ROWS_LEFT_OUT_AT_ONCE = 8192
"""Rows whose leave-one-out densities are held at a time without the C++ kernels."""

NEGLIGIBLE_SHARE = 1e-4
"""Responsibility below which a row is not left out of a component; the effect is its square."""

LARGEST_LOSS = 1e4
"""Largest loss of log-likelihood of a row, since its density may be 0 without it."""

LEAST_REST = 1e-9
"""Part of a component's rows, or of its scatter in any direction, that must remain without a row;
else the row has density 0 without itself.
"""

SMALL_LEVERAGE = 0.05
"""Leverage below which a row rotates a component's axes to first order; at most d / 0.05 rows of a
component have more.
"""

NO_SPREAD = 1e-12
"""Scatter along an axis, as a part of the variance, below which the axis is not rotated."""

PSEUDO_ROWS_OF_FIXED = 1e200
"""A fixed mean or covariance is as if it had been estimated from so many rows."""

LEAST_COUNT = float(np.finfo(np.float64).tiny)
"""Replaces a count or a variance of 0 in a division."""


def effective_parameters(problem: Problem, mixture: Mixture, moments: Moments) -> Array:
    """The p_k of every component (K,).

    Parameters
    ----------
    problem : Problem
    mixture : Mixture
    moments : Moments
        Of its E-step, in as much detail as the family needs.
    """
    dataset, found = problem.dataset, np.zeros(mixture.n_components)
    components = _components(problem, mixture, moments)
    own = components.own_weights
    by_kernels = mixture.tails is None and bool(own.all() or not own.any())
    for block in dataset.source.blocks():
        if by_kernels and isinstance(dataset.backend, NativeBackend):
            plain, block = _plain_and_others(block)
            _add_by_the_kernels(plain, dataset.backend.threads, mixture, components, found)
        for part in block.cut(ROWS_LEFT_OUT_AT_ONCE):
            log_joint = dataset.backend.log_joint(part, mixture)
            found += _of_block(part, log_joint, components, _rows_in_each(dataset, part, mixture))
    return found


def _plain_and_others(block: Block) -> tuple[Block, Block]:
    """The complete rows of a block of which no class is known, and all others."""
    if block.observation is None:
        return block, block.take(np.zeros(0, dtype=np.intp))
    plain = block.observation.is_plain
    return block.take(np.flatnonzero(plain)), block.take(np.flatnonzero(~plain))


def _add_by_the_kernels(
    block: Block, threads: int, mixture: Mixture, components: _Components, found: Array
) -> None:
    """Add the part of each p_k (K,) from complete rows, in C++ (native/effective.cpp)."""
    if not len(block.rows):
        return
    turns = components.kind in _ROTATED
    native.effective_parameters(
        block.rows,
        block.weights,
        *described(mixture),
        kind=components.kind,
        frames=np.ascontiguousarray(components.frames.reshape(len(components.frames), -1)),
        free=components.free,
        counts=components.counts,
        pulled=components.pulled,
        held_by=components.rows,
        ratios=components.ratios,
        spreads=components.spreads if turns else None,
        variances=components.variances if turns else None,
        slopes=components.slopes if turns else None,
        total=components.total,
        unit=components.unit,
        own_weights=bool(components.own_weights.all()),
        log_noise=log_noise(mixture),
        in_noise=components.in_noise,
        limits=native.Limits(NEGLIGIBLE_SHARE, LARGEST_LOSS, LEAST_REST, SMALL_LEVERAGE, NO_SPREAD),
        out=found,
        threads=threads,
    )


def _rows_in_each(dataset: Dataset, block: Block, mixture: Mixture) -> Callable[[int], Rows]:
    """The rows of a block in component k, with expected values where entries are missing.

    The Mahalanobis distance of the expected row is that of the observed entries.
    """
    if block.observation is None:
        return lambda _: block.rows

    def expected(k: int) -> Rows:
        shares = np.zeros((len(block.rows), mixture.n_components))
        shares[:, k] = 1.0
        return dataset.backend.completed(block, mixture, shares)

    return expected


def _of_block(
    block: Block, log_joint: Array, components: _Components, rows_in: Callable[[int], Rows]
) -> Array:
    """The part of each p_k (K,) from the rows of a block."""
    whole = log_density(log_joint)
    with np.errstate(invalid="ignore"):  # equal shares for a row with density 0
        shares = np.where(
            np.isfinite(whole)[:, None],
            np.exp(log_joint - whole[:, None]),
            1.0 / log_joint.shape[1],
        )
    noise, shares = shares[:, len(components.counts) :], shares[:, : len(components.counts)]
    weights = np.ones(len(shares)) if block.weights is None else block.weights / components.unit
    out = np.minimum(weights, 1.0)  # of each row
    left, K = log_joint.copy(), len(components.counts)
    seen = _observed_columns(block)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for k in range(K):
            rows = np.flatnonzero(shares[:, k] > NEGLIGIBLE_SHARE)
            if len(rows):
                left[rows, k] += components.change(
                    k, rows_in(k)[rows], shares[rows, k] * out[rows], seen[rows]
                )
        own = components.own_weights
        if own.any():
            of_noise = components.in_noise if noise.size else 0.0
            lost = np.minimum(noise * out[:, None] / components.in_noise, 1.0 - LEAST_REST)
            left[:, K:] += np.log1p(-lost)
            free = np.concatenate([own, np.ones(noise.shape[1], dtype=bool)])
            part = out * (shares[:, own].sum(axis=1) + noise.sum(axis=1))
            part = part / (components.counts[own].sum() + of_noise)
            left[:, free] -= np.log1p(-np.minimum(part, 1.0 - LEAST_REST))[:, None]
        losses = np.minimum(whole - log_density(left), LARGEST_LOSS)
    losses[~np.isfinite(losses)] = LARGEST_LOSS
    return np.asarray((weights * losses) @ shares)


def _observed_columns(block: Block) -> Labels:
    """The number of observed columns of each row (m,)."""
    if block.observation is None:
        return np.full(len(block.rows), block.rows.shape[1])
    return np.asarray(block.observation.columns.sum(axis=1)[block.observation.numbers])


# ---- components and their own parameters of the covariance ---------------------------------------


@dataclass(frozen=True, eq=False)
class _Components:
    """The components of a fit, and how each changes when a row is left out.

    Attributes
    ----------
    kind : str
        The parameters of the covariance that are a component's own.
    means : (K, d)
    frames : (K or 1,), (K or 1, d) or (K or 1, d, d)
        Whiteners: ``z = frame v`` has identity covariance; along the axes where these matter.
    free : (K, d)
        Whitened directions that are not at the floor.
    counts : (K,)
        N, in rows.
    pulled : (K,)
        Rows of the mean: N, or the pulls of a t component, and the pseudo-rows of a prior.
    rows : (K,)
        Rows of the covariance: N, and the pseudo-rows of a prior.
    ratios : (K,)
        Mean of the own scatter per row in units of the covariance: one where volume or variances
        are its own. It has a small lower bound for rows with one value.
    spreads, variances : (K, d)
        Own scatter per row, and the covariance, along the axes; where the orientation is its own.
    total : float
        Rows of all components, and of the noise.
    unit : float
        Weight of a row.
    in_noise : float
        Rows of the noise.
    own_weights : (K,)
        Whether a mixing proportion is estimated, on its own.
    tails : (K,), optional
        Degrees of freedom of t components.
    """

    kind: str
    means: Array
    frames: Array
    free: Flags
    counts: Array
    pulled: Array
    rows: Array
    ratios: Array
    spreads: Array
    variances: Array
    total: float
    unit: float
    in_noise: float
    own_weights: Flags
    tails: Array | None = None

    @cached_property
    def slopes(self) -> Array:
        """Derivatives of ``v' Sigma^-1 v`` by rotations of each pair of axes (K,d,d)."""
        omega, steep = self.spreads, 1.0 / self.variances
        apart = omega[:, :, None] - omega[:, None, :]
        distinct = np.abs(apart) > LEAST_REST * omega.max(axis=1)[:, None, None]
        return np.divide(
            steep[:, None, :] - steep[:, :, None], apart, out=np.zeros_like(apart), where=distinct
        )

    def change(self, k: int, rows: Rows, r: Array, seen: Labels) -> Array:
        """Change of a component's log density, with its weight, at rows (m,d) without themselves.

        ``r (m)`` are the contributions of the rows to the component, and ``seen (m)`` their
        observed columns.
        """
        frame, count, pulled, held_by = (
            self.frames[k % len(self.frames)],
            self.counts[k],
            self.pulled[k],
            self.rows[k],
        )
        z = (rows - self.means[k]) @ frame.T if frame.ndim == 2 else (rows - self.means[k]) * frame
        left, square = count - r, (z**2).sum(axis=1)
        weight = r if self.tails is None else r * pulls(square, self.tails[k], seen)
        stretch = pulled / (pulled - weight)
        growth, lost = held_by / (held_by - r), weight * stretch / held_by
        distance, log_det = getattr(self, f"_{self.kind}")(k, z, growth, lost)
        if self.tails is None:
            change = -0.5 * (log_det + stretch**2 * distance - square)
        else:
            falls = [log_fall(D, self.tails[k], seen) for D in (stretch**2 * distance, square)]
            change = falls[0] - falls[1] - 0.5 * log_det
        change = change + np.log(left / count) if self.own_weights[k] else change
        return np.where((left > LEAST_REST * count) & np.isfinite(change), change, -np.inf)

    # Each returns v' Sigma^-1 v and the change of log det Sigma, without the row.

    def _nothing(self, k: int, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        return (z**2).sum(axis=1), np.zeros(len(z))

    def _volume(self, k: int, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        if not self.free[k].all():
            return self._nothing(k, z, growth, lost)
        d, square = z.shape[1], (z**2).sum(axis=1)
        part = growth * _kept(lost * square / d)
        return square / part, d * np.log(part)

    def _axes(self, k: int, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        parts = np.where(self.free[k], growth[:, None] * _kept(lost[:, None] * z**2), 1.0)
        return (z**2 / parts).sum(axis=1), np.log(parts).sum(axis=1)

    def _shape(self, k: int, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        parts = _kept(lost[:, None] * z**2 / self.ratios[k])
        return np.exp(np.log(parts).mean(axis=1)) * (z**2 / parts).sum(axis=1), np.zeros(len(z))

    def _matrix(self, k: int, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        free, square = (z[:, self.free[k]] ** 2).sum(axis=1), (z**2).sum(axis=1)
        kept = _kept(lost * free)
        return free / (growth * kept) + (square - free), self.free[k].sum() * np.log(
            growth
        ) + np.log(kept)

    def _matrix_of_one_volume(
        self, k: int, z: Array, growth: Array, lost: Array
    ) -> tuple[Array, Array]:
        square = (z**2).sum(axis=1)
        kept = _kept(lost * square / self.ratios[k])
        return square * kept ** (1.0 / z.shape[1] - 1.0), np.zeros(len(z))

    def _orientation(self, k: int, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        return self._rotated(k, z, lost)[0], np.zeros(len(z))

    def _orientation_and_volume(
        self, k: int, z: Array, growth: Array, lost: Array
    ) -> tuple[Array, Array]:
        distance, trace = self._rotated(k, z, lost)
        part = growth * trace / (self.ratios[k] * z.shape[1])
        return distance / part, z.shape[1] * np.log(part)

    def _rotated(self, k: int, z: Array, lost: Array) -> tuple[Array, Array]:
        """``v' Sigma^-1 v`` with rotated axes, and ``sum_j omega_j / sigma_j`` without the row."""
        omega, sigma, square = self.spreads[k], self.variances[k], (z**2).sum(axis=1)
        y2 = sigma * z**2
        distance = square + lost * np.einsum("ij,jl,il->i", y2, self.slopes[k], y2)
        trace = self.ratios[k] * len(omega) - lost * square
        large = np.flatnonzero(
            np.isfinite(lost) & (lost * square > SMALL_LEVERAGE * self.ratios[k])
        )
        if len(large):
            order = np.argsort(-omega, kind="stable")
            place = np.flatnonzero(omega[order] > NO_SPREAD * sigma[order])
            kept = order[place]
            y = np.sqrt(sigma[kept]) * z[large][:, kept]
            scatter = np.diag(omega[kept]) - lost[large, None, None] * y[:, :, None] * y[:, None, :]
            values, vectors = np.linalg.eigh(scatter)
            # the longest axis first, as in the variances
            rotated = np.einsum("ij,ijl->il", y, vectors)[:, ::-1]
            distance[large] = (rotated**2 / sigma[place]).sum(axis=1)
            trace[large] = (np.maximum(values[:, ::-1], 0.0) / sigma[place]).sum(axis=1)
        return distance, trace


def _kept(lost: Array) -> Array:
    """``1 - lost``; 0 where nothing remains without the row."""
    return np.where(lost < 1.0 - LEAST_REST, 1.0 - lost, 0.0)


_KINDS = {
    "EII": "nothing",
    "EEI": "nothing",
    "EEE": "nothing",
    "VII": "volume",
    "VEI": "volume",
    "VEE": "volume",
    "VVI": "axes",
    "VVE": "axes",
    "EVI": "shape",
    "EVE": "shape",
    "VVV": "matrix",
    "EVV": "matrix_of_one_volume",
    "EEV": "orientation",
    "VEV": "orientation_and_volume",
}
"""The parameters of a covariance that are a component's own, by family."""

_ROTATED = ("orientation", "orientation_and_volume")

_ALONG_AXES = ("axes", "shape", *_ROTATED)


def _components(problem: Problem, mixture: Mixture, moments: Moments) -> _Components:
    """The components of a fit with their counts, scatter and whiteners."""
    regularisation, unit = problem.regularisation, problem.dataset.row_weight
    kind, prior, covariance = _KINDS[problem.family.name], regularisation.prior, mixture.covariance
    counts = np.maximum(moments.counts, LEAST_COUNT)
    along_axes = kind in _ALONG_AXES
    frames, variances, free = (_along_axes if along_axes else _whitened)(
        covariance, kind, regularisation.floor
    )
    ratios, spreads = np.ones(len(counts)), variances
    if (along_axes or kind == "matrix_of_one_volume") and kind != "axes":
        in_units = _in_frames(
            frames, moments.second / counts.reshape(-1, *[1] * (moments.second.ndim - 1))
        )
        ratios, spreads = np.maximum(in_units.mean(axis=1), LEAST_REST), in_units * variances
    rows, pulled = (0.0, 0.0) if prior is None else (prior.rows, prior.shrinkage)
    of_means = (np.maximum(moments.pulled, LEAST_COUNT) + pulled) / unit
    of_covariances = (counts + rows) / unit
    own_weights = np.full(len(counts), not regularisation.equal_weights)
    if (fixed := problem.fixed_of(mixture.n_components)) is not None:
        own_weights &= fixed.free_weights & ~fixed.group
        of_means[~fixed.free_means.any(axis=1)] = PSEUDO_ROWS_OF_FIXED
        of_covariances[~fixed.free_covariances] = PSEUDO_ROWS_OF_FIXED
    in_rows = (counts / unit, of_means, of_covariances)
    in_noise = max(moments.noise, LEAST_COUNT) / unit
    totals = (moments.total / unit, unit, in_noise)
    return _Components(
        kind,
        mixture.means,
        frames,
        free,
        *in_rows,
        ratios,
        spreads,
        variances,
        *totals,
        own_weights,
        mixture.tails,
    )


def _in_frames(frames: Array, matrices: Array) -> Array:
    """Variances (K,d) of matrices (K,d,d) along whitened directions.

    Diagonal matrices may be given as (K,d).
    """
    return (
        matrices * frames**2 if matrices.ndim == 2 else ((frames @ matrices) * frames).sum(axis=2)
    )


def _along_axes(covariance: Covariance, kind: str, floor: Array) -> tuple[Array, Array, Flags]:
    """Whiteners along the axes, variances (K,d) along them, and which are above the floor (K,d).

    The longest axis is first.
    """
    K, values = covariance.n_components, covariance.values
    if not isinstance(covariance, Dense):
        return (
            covariance.whitener,
            np.broadcast_to(values, (K, len(floor))),
            values > AT_THE_FLOOR * floor,
        )
    if covariance.axes is None or kind in _ROTATED:
        axes = np.swapaxes(np.linalg.eigh(values)[1][:, :, ::-1], 1, 2)
    else:
        axes = covariance.axes.T[None]
    variances = np.maximum(_in_frames(axes, values), LEAST_COUNT)
    return (
        axes / np.sqrt(variances)[:, :, None],
        variances,
        variances > AT_THE_FLOOR * (axes**2 @ floor),
    )


def _whitened(covariance: Covariance, kind: str, floor: Array) -> tuple[Array, Array, Flags]:
    """Whiteners, unit variances (K,d), and directions above the floor (K,d), without axes."""
    K, d = covariance.n_components, covariance.n_features
    frames, at_floor = covariance.whitener, np.zeros(K, dtype=bool)
    if kind in ("volume", "matrix") and (floor > 0).all():
        at_floor = below(covariance, np.full(len(covariance.values), AT_THE_FLOOR), floor)
    free = np.repeat(~at_floor[:, None], d, axis=1)
    if kind == "matrix" and at_floor.any():
        frames = frames.copy()
        frames[at_floor], free[at_floor] = _in_the_metric_of(floor, covariance.values[at_floor])
    return frames, np.ones((K, d)), free


def _in_the_metric_of(floor: Array, matrices: Array) -> tuple[Array, Flags]:
    """Whiteners (m,d,d) along eigenvectors in units of the floor, and which are above it (m,d)."""
    root = np.sqrt(floor)
    spreads, vectors = np.linalg.eigh(matrices / np.outer(root, root))
    frames = np.swapaxes(vectors, 1, 2) / root / np.sqrt(np.maximum(spreads, 1.0))[:, :, None]
    return frames, spreads > AT_THE_FLOOR


# ---- the assessment of the components ------------------------------------------------------------


def soundness_of(problem: Problem, mixture: Mixture, moments: Moments) -> Soundness:
    """The assessment of a fit's components (:mod:`mixtura.model.soundness`), in one pass.

    The rows of a component at the floor share a value, so the value remains when one of them is
    left out. Where they are so few that the component may be spurious, they are left out together.
    """
    dataset, family, regularisation = problem.dataset, problem.family, problem.regularisation
    if regularisation.averages:
        return Averaged.of(
            moments.counts / dataset.row_weight, mixture.n_features, dataset.row_weight
        )
    effective = effective_parameters(problem, mixture, moments)
    copies = tuple((original, copy) for copy, original in copies_of(mixture).items())
    unit = dataset.row_weight
    # with the pseudo-rows of a prior one row is enough for a covariance
    has_prior = regularisation.prior is not None and regularisation.prior.rows > 0
    own_rows = 1 if has_prior else family.own_rows(mixture.n_features)
    counts = moments.counts / unit
    few = support(counts, own_rows)
    others = mixture.n_components > 1 or mixture.noise is not None
    if own_rows > 1 and others and (few > 0).any() and regularisation.has_floor:
        few = np.where(regularisation.floor_reached(mixture.covariance), few, 0.0)
        if few.any():
            effective = (1.0 - few) * effective + few * _all_left_out(
                dataset, mixture, np.flatnonzero(few), unit
            )
    d, located = mixture.n_features, None
    nominal = family.own_parameters(d)
    if problem.tails is not None:
        nominal += problem.tails.n_parameters(2) - problem.tails.n_parameters(1)
    own: int | Array = nominal
    if (fixed := problem.fixed_of(mixture.n_components)) is not None:
        own = fixed.free_parameters_of_each(nominal)
        located = fixed.located(family.shares_all)
    total = moments.total / unit
    return Soundness(effective, counts, own_rows, own, d, total, unit, copies, located)


def _all_left_out(dataset: Dataset, mixture: Mixture, components: Labels, unit: float) -> Array:
    """Loss of all rows of each given component when they are left out together (K,); else 0."""
    lost = np.zeros(mixture.n_components)
    for block in dataset.source.blocks():
        for part in block.cut(ROWS_LEFT_OUT_AT_ONCE):
            log_joint = dataset.backend.log_joint(part, mixture)
            whole = log_density(log_joint)
            for k in components:
                losses = np.minimum(
                    whole - log_density(np.delete(log_joint, k, axis=1)), LARGEST_LOSS
                )
                own = part.weighted(np.exp(log_joint[:, [k]] - whole[:, None]))[:, 0]
                lost[k] += own / unit @ losses
    return lost
