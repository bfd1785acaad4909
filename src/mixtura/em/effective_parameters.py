"""How many parameters each component really takes: what its rows lose when they are left out of its
fit, one at a time.

    p_k = sum_i w_i r_ik (log f(x_i) - log f_-i(x_i))

``f_-i`` is the mixture with row i taken out of every component, the responsibilities of the other
rows held. For a component that its rows determine well, p_k is near its nominal count; for one that
was laid through the few rows that it holds it is far above. (The sum over all rows is the p_loo of
leave-one-out practice: Vehtari, Gelman & Gabry 2017, Statistics and Computing 27:1413-1432.)

One pass in closed form. With ``v = x_i - m_k``, N rows in the component of which row i is r, and
``A = N / (N - r)``, taking the row out leaves ``x_i - m = A v`` and the scatter less ``r A v v'``.
What components share is held; what is a component's own follows its own scatter as in the M-step of
its family:

    nothing (EII, EEI, EEE)             the covariance as it is
    volume (VII, VEI, VEE)              as much less as the trace in the metric of the shared shape
    variances along axes (VVI, VVE)     each axis by itself
    shape along axes (EVI, EVE)         the same, at a volume that is held
    all (VVV), all but volume (EVV)     a change of rank one
    orientation (EEV), and volume (VEV) the eigenvectors of what is left; to first order for rows of
    small leverage

Directions in which the floor holds a component do not follow its rows. Weights are frequencies: of
a row that weighs two, one of the two is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixtura.backends import NativeBackend
from mixtura.backends.native import described
from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.kernels import native
from mixtura.model.copies import copies_of
from mixtura.model.covariance import Covariance, Dense
from mixtura.model.mixture import Mixture, log_density
from mixtura.model.moments import Moments
from mixtura.model.protocols import Block
from mixtura.model.regularisation import AT_THE_FLOOR, below
from mixtura.model.soundness import Soundness, support

ROWS_AT_ONCE = 8192

TOUCHED = 1e-4
"""A row with a lower responsibility changes a component by its square, and is not taken out of
it.
"""

LARGEST_GAP = 1e4
"""What a row loses at most: without it there may be no density where it lies."""

HELD_UP = 1e-9
"""A row that is all but this part of a component's spread in some direction holds it up: without
the row it has no density.
"""

LEVERAGE = 0.05
"""Rows of less leverage turn a component's axes to first order; no more than d / 0.05 rows of a
component have more.
"""

NO_ROWS = 1e-12
"""An axis along which a component spreads by less than this part of its variance is not turned:
there are none of its rows.
"""

TINY = float(np.finfo(np.float64).tiny)


def effective_parameters(problem: Problem, mixture: Mixture, moments: Moments) -> Array:
    """The p_k of every component (K,).

    Parameters
    ----------
    problem : Problem
    mixture : Mixture
    moments : Moments
        Of its E-step, in as much detail as the family needs.
    """
    dataset = problem.dataset
    law = _law(problem, mixture, moments)
    if isinstance(dataset.backend, NativeBackend):
        return _by_the_kernels(dataset, dataset.backend.threads, mixture, law)
    found = np.zeros(mixture.n_components)
    for block in dataset.source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            found += _of_block(part, dataset.backend.log_joint(part, mixture), law)
    return found


def _by_the_kernels(dataset: Dataset, threads: int, mixture: Mixture, law: _Law) -> Array:
    """The same in C++ (native/effective.cpp)."""
    found = np.zeros(mixture.n_components)
    turns = law.kind in _TURNING
    for block in dataset.source.blocks():
        native.effective_parameters(
            block.rows,
            block.weights,
            *described(mixture),
            kind=law.kind,
            frames=np.ascontiguousarray(law.frames.reshape(len(law.frames), -1)),
            free=law.free,
            counts=law.counts,
            pulled=law.pulled,
            held_by=law.rows,
            ratios=law.ratios,
            spreads=law.spreads if turns else None,
            variances=law.variances if turns else None,
            slopes=law.slopes if turns else None,
            total=law.total,
            unit=law.unit,
            own_weights=law.own_weights,
            limits=native.Limits(TOUCHED, LARGEST_GAP, HELD_UP, LEVERAGE, NO_ROWS),
            out=found,
            threads=threads,
        )
    return found


def _of_block(block: Block, log_joint: Array, law: _Law) -> Array:
    """What the rows of a block add to each p_k (K,)."""
    whole = log_density(log_joint)
    with np.errstate(invalid="ignore"):  # a row out of every component's reach is shared evenly
        shares = np.where(
            np.isfinite(whole)[:, None],
            np.exp(log_joint - whole[:, None]),
            1.0 / log_joint.shape[1],
        )
    weights = np.ones(len(shares)) if block.weights is None else block.weights / law.unit
    out = np.minimum(weights, 1.0)  # of each row
    left = log_joint.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for k in range(log_joint.shape[1]):
            rows = np.flatnonzero(shares[:, k] > TOUCHED)
            if len(rows):
                left[rows, k] += law.change(k, block.rows[rows], shares[rows, k] * out[rows])
        if law.own_weights:
            left -= np.log1p(-np.minimum(out / law.total, 1.0 - HELD_UP))[:, None]
        gaps = np.minimum(whole - log_density(left), LARGEST_GAP)
    gaps[~np.isfinite(gaps)] = LARGEST_GAP
    return np.asarray((weights * gaps) @ shares)


# ---- components and their own parts of the covariance --------------------------------------------


@dataclass(frozen=True, eq=False)
class _Law:
    """What the own parts of the components' covariances do when a row is taken out.

    Attributes
    ----------
    kind : str
        Which part is a component's own.
    means : (K, d)
    frames : (K or 1,), (K or 1, d) or (K or 1, d, d)
        ``z = frame v`` has the identity as its covariance; along the axes where these matter.
    free : (K, d)
        Directions of the frame that the floor does not hold.
    counts : (K,)
        N, in rows.
    pulled : (K,)
        Rows that hold the mean: N, and those of a prior.
    rows : (K,)
        Rows that hold the covariance: N, and those of a prior.
    ratios : (K,)
        Mean of the own scatter per row in units of the covariance: one where volume or variances
        are its own. No less than a small part, so that the rounding of rows that all have one value
        means nothing.
    spreads : (K, d)
        Own scatter per row along the axes, and
    variances : (K, d)
        the covariance along them; where the orientation is its own.
    total : float
        Rows of all components.
    unit : float
        What a row weighs.
    own_weights : bool
        Whether weights follow the rows.
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
    own_weights: bool

    @cached_property
    def slopes(self) -> Array:
        """How fast ``v' Sigma^-1 v`` changes as each pair of axes turns (K,d,d), to first order in
        what is taken out.
        """
        omega, steep = self.spreads, 1.0 / self.variances
        apart = omega[:, :, None] - omega[:, None, :]
        distinct = np.abs(apart) > HELD_UP * omega.max(axis=1)[:, None, None]
        return np.divide(
            steep[:, None, :] - steep[:, :, None], apart, out=np.zeros_like(apart), where=distinct
        )

    def change(self, k: int, rows: Rows, r: Array) -> Array:
        """Change of a component's log density, with its weight, at rows (m,d) without what it has
        of them (m,).
        """
        frame, count, pulled, held_by = (
            self.frames[k % len(self.frames)],
            self.counts[k],
            self.pulled[k],
            self.rows[k],
        )
        z = (rows - self.means[k]) @ frame.T if frame.ndim == 2 else (rows - self.means[k]) * frame
        left = count - r
        stretch = pulled / (pulled - r)
        growth, lost = held_by / (held_by - r), r * stretch / held_by
        distance, log_det = getattr(self, f"_{self.kind}")(k, z, growth, lost)
        change = -0.5 * (log_det + stretch**2 * distance - (z**2).sum(axis=1))
        change = change + np.log(left / count) if self.own_weights else change
        return np.where((left > HELD_UP * count) & np.isfinite(change), change, -np.inf)

    # Each gives v' Sigma^-1 v and the change of log det Sigma, with the covariance of what is left.

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
        return self._turned(k, z, lost)[0], np.zeros(len(z))

    def _orientation_and_volume(
        self, k: int, z: Array, growth: Array, lost: Array
    ) -> tuple[Array, Array]:
        distance, trace = self._turned(k, z, lost)
        part = growth * trace / (self.ratios[k] * z.shape[1])
        return distance / part, z.shape[1] * np.log(part)

    def _turned(self, k: int, z: Array, lost: Array) -> tuple[Array, Array]:
        """``v' Sigma^-1 v`` after the axes have turned, and ``sum_j omega_j / sigma_j`` of the
        spreads that are left.
        """
        omega, sigma, square = self.spreads[k], self.variances[k], (z**2).sum(axis=1)
        y2 = sigma * z**2
        distance = square + lost * np.einsum("ij,jl,il->i", y2, self.slopes[k], y2)
        trace = self.ratios[k] * len(omega) - lost * square
        far = np.flatnonzero(np.isfinite(lost) & (lost * square > LEVERAGE * self.ratios[k]))
        if len(far):
            order = np.argsort(-omega, kind="stable")
            place = np.flatnonzero(omega[order] > NO_ROWS * sigma[order])
            held = order[place]
            y = np.sqrt(sigma[held]) * z[far][:, held]
            scatter = np.diag(omega[held]) - lost[far, None, None] * y[:, :, None] * y[:, None, :]
            values, vectors = np.linalg.eigh(scatter)
            turned = np.einsum("ij,ijl->il", y, vectors)[
                :, ::-1
            ]  # the longest axis first, as in the variances
            distance[far] = (turned**2 / sigma[place]).sum(axis=1)
            trace[far] = (np.maximum(values[:, ::-1], 0.0) / sigma[place]).sum(axis=1)
        return distance, trace


def _kept(lost: Array) -> Array:
    """``1 - lost``; nothing is left where a row held the component up."""
    return np.where(lost < 1.0 - HELD_UP, 1.0 - lost, 0.0)


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
"""What of a covariance is a component's own, by the letters of its family."""

_TURNING = ("orientation", "orientation_and_volume")

_ALONG_AXES = ("axes", "shape", *_TURNING)


def _law(problem: Problem, mixture: Mixture, moments: Moments) -> _Law:
    """The components as their rows determine them."""
    regularisation, unit = problem.regularisation, problem.dataset.row_weight
    kind, prior, covariance = _KINDS[problem.family.name], regularisation.prior, mixture.covariance
    counts = np.maximum(moments.counts, TINY)
    along_axes = kind in _ALONG_AXES
    frames, variances, free = (_along_axes if along_axes else _whitened)(
        covariance, kind, regularisation.floor
    )
    ratios, spreads = np.ones(len(counts)), variances
    if (along_axes or kind == "matrix_of_one_volume") and kind != "axes":
        in_units = _in_frames(
            frames, moments.second / counts.reshape(-1, *[1] * (moments.second.ndim - 1))
        )
        ratios, spreads = np.maximum(in_units.mean(axis=1), HELD_UP), in_units * variances
    rows, pulled = (0.0, 0.0) if prior is None else (prior.rows, prior.shrinkage)
    in_rows = (counts / unit, (counts + pulled) / unit, (counts + rows) / unit)
    totals = (moments.total / unit, unit, not regularisation.equal_weights)
    return _Law(kind, mixture.means, frames, free, *in_rows, ratios, spreads, variances, *totals)


def _in_frames(frames: Array, matrices: Array) -> Array:
    """The variances (K,d) of matrices (K,d,d), or of such with nothing beside the diagonal (K,d),
    along directions of frames.
    """
    return (
        matrices * frames**2 if matrices.ndim == 2 else ((frames @ matrices) * frames).sum(axis=2)
    )


def _along_axes(covariance: Covariance, kind: str, floor: Array) -> tuple[Array, Array, Flags]:
    """Frames along the axes, variances (K,d) along them, longest axis first, and which the floor
    does not hold (K,d).
    """
    K, values = covariance.n_components, covariance.values
    if not isinstance(covariance, Dense):
        return (
            covariance.whitener,
            np.broadcast_to(values, (K, len(floor))),
            values > AT_THE_FLOOR * floor,
        )
    if covariance.axes is None or kind in _TURNING:
        axes = np.swapaxes(np.linalg.eigh(values)[1][:, :, ::-1], 1, 2)
    else:
        axes = covariance.axes.T[None]
    variances = np.maximum(_in_frames(axes, values), TINY)
    return (
        axes / np.sqrt(variances)[:, :, None],
        variances,
        variances > AT_THE_FLOOR * (axes**2 @ floor),
    )


def _whitened(covariance: Covariance, kind: str, floor: Array) -> tuple[Array, Array, Flags]:
    """Frames, unit variances (K,d) and what the floor does not hold (K,d), where no axes are asked
    for.
    """
    K, d = covariance.n_components, covariance.n_features
    frames, held = covariance.whitener, np.zeros(K, dtype=bool)
    if kind in ("volume", "matrix") and (floor > 0).all():
        held = below(covariance, np.full(len(covariance.values), AT_THE_FLOOR), floor)
    free = np.repeat(~held[:, None], d, axis=1)
    if kind == "matrix" and held.any():
        frames = frames.copy()
        frames[held], free[held] = _in_the_metric_of(floor, covariance.values[held])
    return frames, np.ones((K, d)), free


def _in_the_metric_of(floor: Array, matrices: Array) -> tuple[Array, Flags]:
    """Frames (m,d,d) along the eigenvectors in units of the floor, and which of these are above it
    (m,d).
    """
    root = np.sqrt(floor)
    spreads, vectors = np.linalg.eigh(matrices / np.outer(root, root))
    frames = np.swapaxes(vectors, 1, 2) / root / np.sqrt(np.maximum(spreads, 1.0))[:, :, None]
    return frames, spreads > AT_THE_FLOOR


# ---- what it means -------------------------------------------------------------------------------


def soundness_of(problem: Problem, mixture: Mixture, moments: Moments) -> Soundness:
    """A fit's components, judged; see :mod:`mixtura.model.soundness`. One pass over the rows after
    the E-step.

    Rows that share a value hold a component on the floor up together, so one that is left out has
    its copies still there. Where they are so few that chance can place such a component, they are
    left out together.
    """
    dataset, family, regularisation = problem.dataset, problem.family, problem.regularisation
    effective = effective_parameters(problem, mixture, moments)
    copies = tuple((original, copy) for copy, original in copies_of(mixture).items())
    unit = dataset.row_weight
    held = (
        regularisation.prior is not None and regularisation.prior.rows > 0
    )  # any rows make a covariance with it
    counts, own_rows = moments.counts / unit, 1 if held else family.own_rows(mixture.n_features)
    few = support(counts, own_rows)
    if own_rows > 1 and mixture.n_components > 1 and (few > 0).any() and regularisation.has_floor:
        few = np.where(regularisation.floor_reached(mixture.covariance), few, 0.0)
        if few.any():
            effective = (1.0 - few) * effective + few * _all_left_out(
                dataset, mixture, np.flatnonzero(few), unit
            )
    d = mixture.n_features
    return Soundness(
        effective, counts, own_rows, family.own_parameters(d), d, moments.total / unit, unit, copies
    )


def _all_left_out(dataset: Dataset, mixture: Mixture, components: Labels, unit: float) -> Array:
    """What the rows of some components lose when one goes (K,): all of its rows are left out of it
    together; 0 for the others.
    """
    lost = np.zeros(mixture.n_components)
    for block in dataset.source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            log_joint = dataset.backend.log_joint(part, mixture)
            whole = log_density(log_joint)
            for k in components:
                gaps = np.minimum(whole - log_density(np.delete(log_joint, k, axis=1)), LARGEST_GAP)
                own = part.weighted(np.exp(log_joint[:, [k]] - whole[:, None]))[:, 0]
                lost[k] += own / unit @ gaps
    return lost
