"""How many parameters each component really takes: what its rows lose when they are left out of its fit, one at a time.

    p_k = sum_i w_i r_ik (log f(x_i) - log f_-i(x_i))

``f_-i`` is the mixture with row i taken out of every component, the responsibilities of the other rows held. For a component that
its rows determine well, p_k is near its nominal count; for one that was laid through the few rows that it holds it is far above.
(The sum over all rows is the p_loo of leave-one-out practice: Vehtari, Gelman & Gabry 2017, Statistics and Computing 27:1413-1432.)

One pass in closed form. With ``v = x_i - m_k``, N rows in the component of which row i is r, and ``A = N / (N - r)``, taking the
row out leaves ``x_i - m = A v`` and the scatter less ``r A v v'``. What components share is held; what is a component's own follows
its own scatter as in the M-step of its family:

    nothing (EII, EEI, EEE)             the covariance as it is
    volume (VII, VEI, VEE)              as much less as the trace in the metric of the shared shape
    variances along axes (VVI, VVE)     each axis by itself
    shape along axes (EVI, EVE)         the same, at a volume that is held
    all (VVV), all but volume (EVV)     a change of rank one
    orientation (EEV), and volume (VEV) the eigenvectors of what is left; to first order for rows of small leverage

Directions in which the floor holds a component do not follow its rows. Weights are frequencies: of a row that weighs two, one of
the two is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.arrays import Array
from mixtura.copies import copies_of
from mixtura.covariance import Covariance, Dense, Spherical
from mixtura.mixture import Mixture, log_density
from mixtura.moments import Moments
from mixtura.protocols import Block, Family
from mixtura.regularisation import Regularisation, below
from mixtura.soundness import Soundness, support
from mixtura.survey import Survey

ROWS_AT_ONCE = 8192

TOUCHED = 1e-4
"""A row with a lower responsibility changes a component by its square, and is not taken out of it."""

LARGEST_GAP = 1e4
"""What a row loses at most: without it there may be no density where it lies."""

HELD_UP = 1e-9
"""A row that is all but this part of a component's spread in some direction holds it up: without the row it has no density."""

AT_THE_FLOOR = 1.0 + 1e-6

LEVERAGE = 0.05
"""Rows of less leverage turn a component's axes to first order; no more than d / 0.05 rows of a component have more."""


def effective_parameters(
    survey: Survey, mixture: Mixture, moments: Moments, family: Family, regularisation: Regularisation
) -> Array:
    """The p_k of every component (K,).

    Parameters
    ----------
    survey : Survey
    mixture : Mixture
    moments : Moments
        Of its E-step, in as much detail as the family needs.
    family : Family
    regularisation : Regularisation
    """
    unit = survey.row_weight
    laws = [_law(k, mixture, moments, family, regularisation, unit) for k in range(mixture.n_components)]
    total = moments.total / unit
    found = np.zeros(mixture.n_components)
    for block in survey.source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            found += _of_block(part, survey.backend.log_joint(part, mixture), laws, total, unit, regularisation.equal_weights)
    return found


def _of_block(block: Block, log_joint: Array, laws: list[_Law], total: float, unit: float, equal_weights: bool) -> Array:
    """What the rows of a block add to each p_k (K,)."""
    whole = log_density(log_joint)
    shares = np.exp(log_joint - whole[:, None])
    weights = np.ones(len(shares)) if block.weights is None else block.weights / unit
    out = np.minimum(weights, 1.0)  # of each row
    left = log_joint.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for k, law in enumerate(laws):
            rows = np.flatnonzero(shares[:, k] > TOUCHED)
            if len(rows):
                left[rows, k] += law.change(block.rows[rows], shares[rows, k] * out[rows], not equal_weights)
        if not equal_weights:
            left -= np.log1p(-np.minimum(out / total, 1.0 - HELD_UP))[:, None]
        gaps = np.minimum(whole - log_density(left), LARGEST_GAP)
    gaps[~np.isfinite(gaps)] = LARGEST_GAP
    return np.asarray((weights * gaps) @ shares)


# ---- a component and its own part of the covariance --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Law:
    """One component, with what its own part of the covariance does when a row is taken out.

    Attributes
    ----------
    kind : str
        Which part is its own.
    mean : (d,)
    frame : (d, d)
        ``z = frame v`` has the identity as its covariance; along the axes where these matter.
    free : (d,)
        Directions of the frame that the floor does not hold.
    count : float
        N, in rows.
    pulled : float
        Rows that hold the mean: N, and those of a prior.
    rows : float
        Rows that hold the covariance: N, and those of a prior.
    ratio : float
        Mean of the own scatter per row in units of the covariance: one where volume or variances are its own.
    spreads : (d,)
        Own scatter per row along the axes, and
    variances : (d,)
        the covariance along them; where the orientation is its own.
    """

    kind: str
    mean: Array
    frame: Array
    free: Array
    count: float
    pulled: float
    rows: float
    ratio: float
    spreads: Array
    variances: Array

    def change(self, rows: Array, r: Array, own_weight: bool) -> Array:
        """Change of the component's log density, with its weight, at rows (m,d) without what it has of them (m,)."""
        z = (rows - self.mean) @ self.frame.T
        left = self.count - r
        stretch = self.pulled / (self.pulled - r)
        growth, lost = self.rows / (self.rows - r), r * stretch / self.rows
        distance, log_det = getattr(self, f"_{self.kind}")(z, growth, lost)
        change = -0.5 * (log_det + stretch**2 * distance - (z**2).sum(axis=1))
        change = change + np.log(left / self.count) if own_weight else change
        return np.where((left > HELD_UP * self.count) & np.isfinite(change), change, -np.inf)

    # Each gives v' Sigma^-1 v and the change of log det Sigma, with the covariance of what is left.

    def _nothing(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        return (z**2).sum(axis=1), np.zeros(len(z))

    def _volume(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        d, square = z.shape[1], (z**2).sum(axis=1)
        part = growth * _kept(lost * square / d)
        return square / part, d * np.log(part)

    def _axes(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        parts = np.where(self.free, growth[:, None] * _kept(lost[:, None] * z**2), 1.0)
        return (z**2 / parts).sum(axis=1), np.log(parts).sum(axis=1)

    def _shape(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        parts = _kept(lost[:, None] * z**2 / self.ratio)
        return np.exp(np.log(parts).mean(axis=1)) * (z**2 / parts).sum(axis=1), np.zeros(len(z))

    def _matrix(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        free, square = (z[:, self.free] ** 2).sum(axis=1), (z**2).sum(axis=1)
        kept = _kept(lost * free)
        return free / (growth * kept) + (square - free), self.free.sum() * np.log(growth) + np.log(kept)

    def _matrix_of_one_volume(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        square = (z**2).sum(axis=1)
        kept = _kept(lost * square / self.ratio)
        return square * kept ** (1.0 / z.shape[1] - 1.0), np.zeros(len(z))

    def _orientation(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        return self._turned(z, lost)[0], np.zeros(len(z))

    def _orientation_and_volume(self, z: Array, growth: Array, lost: Array) -> tuple[Array, Array]:
        distance, trace = self._turned(z, lost)
        part = growth * trace / (self.spreads / self.variances).sum()
        return distance / part, z.shape[1] * np.log(part)

    def _turned(self, z: Array, lost: Array) -> tuple[Array, Array]:
        """``v' Sigma^-1 v`` after the axes have turned, and ``sum_j omega_j / sigma_j`` of the spreads that are left."""
        y2, omega, sigma = self.variances * z**2, self.spreads, self.variances
        apart = np.subtract.outer(omega, omega)
        steep = np.subtract.outer(1.0 / sigma, 1.0 / sigma)
        slope = np.where(np.abs(apart) > HELD_UP * omega.max(), -steep / np.where(apart == 0, 1.0, apart), 0.0)
        distance = (z**2).sum(axis=1) + lost * np.einsum("ij,jl,il->i", y2, slope, y2)
        trace = (omega / sigma).sum() - lost * (z**2).sum(axis=1)
        far = np.flatnonzero(lost * (z**2).sum(axis=1) / self.ratio > LEVERAGE)
        if len(far):
            y = np.sqrt(sigma) * z[far]
            scatter = np.diag(omega) - lost[far, None, None] * y[:, :, None] * y[:, None, :]
            values, vectors = np.linalg.eigh(scatter)
            turned = np.einsum("ij,ijl->il", y, vectors)[:, ::-1]  # the longest axis first, as in the variances
            distance[far] = (turned**2 / sigma).sum(axis=1)
            trace[far] = (np.maximum(values[:, ::-1], 0.0) / sigma).sum(axis=1)
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


def _law(k: int, mixture: Mixture, moments: Moments, family: Family, regularisation: Regularisation, unit: float) -> _Law:
    """A component as its rows determine it."""
    kind, prior = _KINDS[family.name], regularisation.prior
    count = max(float(moments.counts[k]), np.finfo(np.float64).tiny)
    one = mixture.covariance.select(np.array([k]))
    axes = _axes(mixture.covariance, one, kind)
    frame, free, variances = _frame(one, axes, regularisation.floor)
    if kind == "volume" and not free.all():
        kind = "nothing"
    spreads, ratio = variances, 1.0
    if axes is not None and kind not in ("axes", "matrix"):
        scatter = moments.second[k] if moments.second.ndim == 3 else np.diag(moments.second[k])
        spreads = np.einsum("ij,jl,il->i", axes, scatter / count, axes)
        ratio = max(float((spreads / variances).mean()), np.finfo(np.float64).tiny)
    rows, pulled = (0.0, 0.0) if prior is None else (prior.rows, prior.shrinkage)
    unweighted = (count / unit, (count + pulled) / unit, (count + rows) / unit)
    return _Law(kind, mixture.means[k], frame, free, *unweighted, ratio, spreads, variances)


def _axes(covariance: Covariance, one: Covariance, kind: str) -> Array | None:
    """The axes of one component, one per row and the longest first, where something along them is its own; else None."""
    if kind in ("nothing", "volume", "matrix"):
        return None
    if isinstance(one, Dense):
        common = covariance.axes if isinstance(covariance, Dense) and kind in ("axes", "shape") else None
        return np.asarray((np.linalg.eigh(one.values[0])[1][:, ::-1] if common is None else common).T)
    return np.eye(one.n_features)


def _frame(one: Covariance, axes: Array | None, floor: Array) -> tuple[Array, Array, Array]:
    """A frame (d,d) in which a covariance is the identity, its directions above the floor, and the variances along them.

    Along the axes where there are some; a covariance that the floor holds is seen along its eigenvectors in the metric of the
    floor.
    """
    d = one.n_features
    if axes is None and isinstance(one, Dense):
        if not (floor > 0).all() or not below(one, np.array([AT_THE_FLOOR]), floor)[0]:
            return one.whitener[0], np.ones(d, dtype=bool), np.ones(d)
        root = np.sqrt(floor)
        values, vectors = np.linalg.eigh(one.values[0] / np.outer(root, root))
        return vectors.T / root / np.sqrt(np.maximum(values, 1.0))[:, None], values > AT_THE_FLOOR, np.ones(d)
    axes = np.eye(d) if axes is None else axes
    variances = np.maximum(np.einsum("ij,jl,il->i", axes, one.dense()[0], axes), np.finfo(np.float64).tiny)
    bound = np.full(d, floor.max()) if isinstance(one, Spherical) else axes**2 @ floor
    return axes / np.sqrt(variances)[:, None], variances > AT_THE_FLOOR * bound, variances


# ---- what it means -----------------------------------------------------------------------------------------------------


def soundness_of(survey: Survey, mixture: Mixture, moments: Moments, family: Family, regularisation: Regularisation) -> Soundness:
    """A fit's components, judged; see :mod:`mixtura.soundness`. One pass over the rows after the E-step.

    Rows that share a value hold a component on the floor up together, so one that is left out has its copies still there. Where
    they are so few that chance can place such a component, they are left out together.
    """
    effective = effective_parameters(survey, mixture, moments, family, regularisation)
    copies = tuple((original, copy) for copy, original in copies_of(mixture).items())
    unit = survey.row_weight
    held = regularisation.prior is not None and regularisation.prior.rows > 0  # any rows make a covariance with it
    counts, own_rows = moments.counts / unit, 1 if held else family.own_rows(mixture.n_features)
    few = support(counts, own_rows)
    if own_rows > 1 and (few > 0).any() and regularisation.has_floor:
        few = np.where(regularisation.floor_reached(mixture.covariance, AT_THE_FLOOR), few, 0.0)
        if few.any():
            effective = (1.0 - few) * effective + few * _all_left_out(survey, mixture, unit)
    return Soundness(effective, counts, own_rows, moments.total / unit, unit, copies)


def _all_left_out(survey: Survey, mixture: Mixture, unit: float) -> Array:
    """What the rows of each component lose when it goes (K,): all of its rows are left out of it together."""
    lost = np.zeros(mixture.n_components)
    for block in survey.source.blocks():
        for part in block.cut(ROWS_AT_ONCE):
            log_joint = survey.backend.log_joint(part, mixture)
            shares = np.exp(log_joint - log_density(log_joint)[:, None])
            others = [log_density(np.delete(log_joint, k, axis=1)) for k in range(mixture.n_components)]
            gaps = np.minimum(log_density(log_joint)[:, None] - np.stack(others, axis=1), LARGEST_GAP)
            lost += (part.weighted(shares) / unit * gaps).sum(axis=0)
    return lost
