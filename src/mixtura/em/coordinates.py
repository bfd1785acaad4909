"""Free coordinates around a mixture: as many as the family has parameters, in each component's own
standard deviations.

``Sigma_k = lambda_k D_k A_k D_k'``, and the three letters of a family's name say which of volume,
shape and orientation are shared. Around a mixture, with frames ``B_k`` in which
``B_k Sigma_k B_k' = I``,

    weights       log ratios to the last component (none where proportions are equal)
    means         mu_k + B_k^-1 delta_k
    covariances   B_k^-1 F_k B_k^-T, where F_k(0) = I:

    fixed axes (**I), or shape and orientation with the same letter (*EE, *VV)
        F_k = exp(log-volume + S_k), S_k symmetric with trace 0 (diagonal for **I). Smooth
        everywhere, also at spheres
    one of the two shared (*EV, *VE)
        F_k = Lambda_k^-1/2 exp(Omega_k) Lambda_k exp(log-volume + log-shape) exp(-Omega_k)
        Lambda_k^-1/2, Omega_k skew. Where two axes are equally long a rotation between them changes
        nothing, and its tangent is zero

Coordinates are therefore free of the units of the data. Their order is weights, means, volumes,
shapes, orientations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm, solve_triangular

from mixtura.base.arrays import Array, Labels
from mixtura.model.covariance import Covariance, Dense
from mixtura.model.mixture import Mixture


@dataclass(frozen=True, eq=False)
class ComponentCoordinates:
    """One component's part of a chart.

    Attributes
    ----------
    mean : (d,)
    frame : (d,) or (d, d)
        ``B``; the diagonal alone where the axes are fixed.
    tangents : (q, d) or (q, d, d)
        Derivatives of F along the coordinates of the covariance, symmetric; diagonals alone where
        the axes are fixed.
    axes : (d,) or None
        ``Lambda``, where the orientation has coordinates of its own.
    mean_columns, covariance_columns : (d,), (q,)
        Where this component's coordinates stand among all.
    """

    mean: Array
    frame: Array
    tangents: Array
    axes: Array | None
    mean_columns: Labels
    covariance_columns: Labels

    @property
    def columns(self) -> Labels:
        """Of the mean, then of the covariance (d + q,)."""
        return np.concatenate([self.mean_columns, self.covariance_columns])

    @property
    def traces(self) -> Array:
        """``tr M_a`` (q,)."""
        return np.asarray(
            self.tangents.sum(axis=1)
            if self.frame.ndim == 1
            else np.einsum("qjj->q", self.tangents)
        )

    def whiten(self, centred: Array) -> Array:
        """Rows (m,d) about the mean, in the frame."""
        return np.asarray(centred * self.frame if self.frame.ndim == 1 else centred @ self.frame.T)

    def second(self, whitened: Array, weights: Array) -> Array:
        """``sum_i w_i u_i u_i'`` (d,d), or its diagonal (d,) where the axes are fixed."""
        if self.frame.ndim == 1:
            return np.asarray(weights @ whitened**2)
        return np.asarray((whitened * weights[:, None]).T @ whitened)

    def of_matrix(self, matrix: Array) -> Array:
        """``B V B'`` of a matrix (d,d), or its diagonal where the axes are fixed."""
        return np.asarray(
            self.frame**2 * np.diag(matrix)
            if self.frame.ndim == 1
            else self.frame @ matrix @ self.frame.T
        )

    def identity(self) -> Array:
        """``I`` in the form of :meth:`second`."""
        d = len(self.mean)
        return np.ones(d) if self.frame.ndim == 1 else np.eye(d)

    # ---- the three derivatives -------------------------------------------------------------------

    def along(self, second: Array) -> Array:
        """``tr(M_a V)`` (q,) for V in the form of :meth:`second`."""
        return np.tensordot(self.tangents, second, second.ndim)

    def scores(self, whitened: Array, offset: Array) -> Array:
        """Derivatives of ``log N(x_i | k)`` (m, d + q): ``u`` for the mean,
        ``(u'M_a u - tr M_a) / 2`` for the covariance.

        ``offset (q)`` is what a ridge adds to ``u'M_a u``.
        """
        if self.frame.ndim == 1:
            forms = whitened**2 @ self.tangents.T
        else:
            above, beside = np.triu_indices(len(self.mean))
            twice = np.where(above == beside, 1.0, 2.0)
            forms = (whitened[:, above] * whitened[:, beside]) @ (
                self.tangents[:, above, beside] * twice
            ).T
        return np.concatenate([whitened, 0.5 * (forms + offset - self.traces)], axis=1)

    def curvature(self, count: float, first: Array, second: Array, pulled: float) -> Array:
        """Negative second derivatives (d + q, d + q) of the complete-data log-likelihood, from
        whitened sums.

        With ``Q = -(n log det F + tr(F^-1 V)) / 2``, ``F = I + sum h_a M_a + sum h_a h_b N_ab / 2``
        and ``C_ab = N_ab - (M_a M_b + M_b M_a) / 2``:

            mean, mean              n I
            mean, covariance        M_a f
            covariance, covariance  tr(M_a M_b V) / 2 - tr(C_ab (V - n I)) / 2

        ``pulled`` is the n of the log-determinant: the count, and with shrinkage its pseudo-rows.
        """
        d = len(self.mean)
        if self.frame.ndim == 1:
            cross, own = self.tangents * first, 0.5 * (self.tangents * second) @ self.tangents.T
        else:
            cross, own = (
                self.tangents @ first,
                0.5 * _products(self.tangents, self.tangents @ second),
            )
        if self.axes is not None:
            own = own - 0.5 * self._bend(second - pulled * np.eye(d))
        return np.block([[count * np.eye(d), cross.T], [cross, 0.5 * (own + own.T)]])

    def complete(self, count: float, pulled: float) -> Array:
        """The curvature that is expected when the component fits its rows: block diagonal, never
        indefinite.
        """
        d, q = len(self.mean), len(self.tangents)
        information = np.zeros((d + q, d + q))
        information[:d, :d] = count * np.eye(d)
        flat = self.tangents.reshape(q, self.identity().size)
        information[d:, d:] = 0.5 * pulled * flat @ flat.T
        return information

    def _bend(self, residual: Array) -> Array:
        """``tr(C_ab R)`` (q,q): what the chart's second order departs from the exponential's, along
        a residual R.
        """
        assert self.axes is not None
        d = len(self.mean)
        skew = _skew_basis(d)
        turns = slice(d, None)  # after one volume and d - 1 shapes
        root = np.sqrt(self.axes)
        scaled = residual / np.outer(root, root)
        moved = scaled @ skew - skew @ scaled  # [P, Omega_a]
        grown = skew * self.axes - self.axes[:, None] * skew  # [Omega_a, Lambda]
        second_order = _products(self.tangents, self.tangents @ residual)
        second_order[turns, turns] = 0.5 * (_products(grown, moved) + _products(moved, grown))
        stretched = np.einsum("qjj->qj", self.tangents[1:d]) * self.axes
        second_order[1:d, turns] = stretched @ np.einsum("rjj->rj", moved).T
        second_order[turns, 1:d] = second_order[1:d, turns].T
        return second_order - _products(self.tangents, self.tangents @ residual)

    # ---- back to the mixture ---------------------------------------------------------------------

    def unwhiten(self, whitened: Array) -> Array:
        """``B^-1 u`` for rows u (m,d)."""
        if self.frame.ndim == 1:
            return np.asarray(whitened / self.frame)
        if self.axes is not None:
            return np.asarray(whitened @ (self.frame * self.axes[:, None]))  # B^-1 = B' Lambda
        return np.asarray(solve_triangular(self.frame, whitened.T, lower=True).T)

    def spread(self) -> Array:
        """Derivatives of the covariance matrix, ``B^-1 M_a B^-T``: (q,d,d), or diagonals (q,d)
        where the axes are fixed.
        """
        if self.frame.ndim == 1:
            return np.asarray(self.tangents / self.frame**2)
        inverse = self.unwhiten(np.eye(len(self.mean))).T
        return np.asarray(inverse @ self.tangents @ inverse.T)

    def covariance_at(self, coordinates: Array) -> Array:
        """The covariance matrix (d,d) at coordinates (q,)."""
        d = len(self.mean)
        if self.frame.ndim == 1:
            return np.diag(np.exp(coordinates @ self.tangents) / self.frame**2)
        if self.axes is None:
            moved = expm(np.tensordot(coordinates, self.tangents, 1))
        else:
            turn = expm(np.tensordot(coordinates[d:], _skew_basis(d), 1))
            lengths = self.axes * np.exp(np.einsum("q,qjj->j", coordinates[:d], self.tangents[:d]))
            root = np.sqrt(self.axes)
            moved = (turn * lengths) @ turn.T / np.outer(root, root)
        half = self.unwhiten(np.asarray(moved))
        return self.unwhiten(half.T)


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Coordinates around a mixture; ``pieces`` has one part per component.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.model.covariance import Spherical
    >>> two = Mixture(np.array([0.5, 0.5]), np.zeros((2, 3)), Spherical(np.ones(2), 2, 3))
    >>> coordinates = coordinates_around(two, "VII")
    >>> coordinates.dimension, coordinates.at(np.zeros(9)).weights.tolist()
    (9, [0.5, 0.5])
    """

    mixture: Mixture
    pieces: tuple[ComponentCoordinates, ...]
    equal_weights: bool
    dimension: int

    @property
    def weight_columns(self) -> Labels:
        """Where the log ratios stand."""
        return np.arange(0 if self.equal_weights else self.mixture.n_components - 1)

    @property
    def weight_tangents(self) -> Array:
        """Derivatives of the weights (K, K - 1) along the log ratios: ``diag(pi) - pi pi'`` without
        its last column.
        """
        weights = self.mixture.weights
        return (np.diag(weights) - np.outer(weights, weights))[:, : len(self.weight_columns)]

    def at(self, coordinates: Array) -> Mixture:
        """The mixture at coordinates (p,), 0 being the centre."""
        tilts = np.zeros(self.mixture.n_components)
        tilts[: len(self.weight_columns)] = coordinates[self.weight_columns]
        weights = self.mixture.weights * np.exp(tilts)
        means = [
            piece.mean + piece.unwhiten(coordinates[piece.mean_columns][None])[0]
            for piece in self.pieces
        ]
        matrices = [
            piece.covariance_at(coordinates[piece.covariance_columns]) for piece in self.pieces
        ]
        return Mixture(
            weights / weights.sum(), np.stack(means), Dense(np.stack(matrices), len(means))
        )

    def shared_columns(self) -> Labels:
        """Coordinates of the covariances that more than one component uses."""
        used = np.concatenate([piece.covariance_columns for piece in self.pieces])
        columns, times = np.unique(used, return_counts=True)
        return np.asarray(columns[times > 1])


def coordinates_around(mixture: Mixture, family: str, equal_weights: bool = False) -> Coordinates:
    """The chart of a family around one of its mixtures.

    Parameters
    ----------
    mixture : Mixture
    family : str
        Three letters: volume, shape, orientation.
    equal_weights : bool
        Whether the mixing proportions are fixed at ``1 / K``.
    """
    K, d = mixture.n_components, mixture.n_features
    frames, axes = frames_of(mixture.covariance, family)
    at = (0 if equal_weights else K - 1) + K * d
    columns: list[list[Labels]] = []
    for letter, size in zip(family, (1, d - 1, d * (d - 1) // 2), strict=True):
        sets, at = _columns(letter, size, K, at)
        columns.append(sets)
    before = 0 if equal_weights else K - 1
    pieces = tuple(
        ComponentCoordinates(
            mean=mixture.means[k],
            frame=frames[k],
            tangents=_tangents(family, d, None if axes is None else axes[k]),
            axes=None if axes is None else axes[k],
            mean_columns=before + k * d + np.arange(d),
            covariance_columns=np.concatenate([sets[k] for sets in columns]),
        )
        for k in range(K)
    )
    return Coordinates(mixture, pieces, equal_weights, at)


# ---- frames and tangents -------------------------------------------------------------------------


def _columns(letter: str, size: int, K: int, at: int) -> tuple[list[Labels], int]:
    """Columns of one set of coordinates per component, and where the next may begin."""
    if letter == "I":
        return [np.arange(0)] * K, at
    if letter == "E":
        return [at + np.arange(size)] * K, at + size
    return [at + k * size + np.arange(size) for k in range(K)], at + K * size


def _turned(family: str) -> bool:
    """Whether shape and orientation need coordinates of their own."""
    return family[1:] in ("EV", "VE")


def frames_of(
    covariance: Covariance, family: str
) -> tuple[Sequence[Array], Sequence[Array] | None]:
    """Frames B_k, and the lengths of the axes where the orientation has coordinates of its own."""
    K, d = covariance.n_components, covariance.n_features
    if not isinstance(covariance, Dense):
        whitener = covariance.whitener.reshape(len(covariance.whitener), -1)
        return list(np.broadcast_to(whitener, (K, d))), None
    if not _turned(family):
        return list(np.broadcast_to(covariance.whitener, (K, d, d))), None
    directions = (
        _common_axes(covariance.dense())
        if family.endswith("E")
        else np.linalg.eigh(covariance.dense())[1]
    )
    lengths = np.einsum("kji,kjl,kli->ki", directions, covariance.dense(), directions)
    return list(np.swapaxes(directions, 1, 2) / np.sqrt(lengths)[:, :, None]), list(lengths)


def _common_axes(matrices: Array) -> Array:
    """Eigenvectors (K,d,d), the same for all, of matrices that commute: of a sum that tells apart
    what one of them may not.
    """
    K = len(matrices)
    shares = np.sqrt(np.arange(2.0, K + 2.0)) / np.einsum("kjj->k", matrices)
    _, vectors = np.linalg.eigh(np.tensordot(shares, matrices, 1))
    return np.broadcast_to(vectors, matrices.shape)


def _tangents(family: str, d: int, axes: Array | None) -> Array:
    """Derivatives of F: one volume, d - 1 shapes, d (d - 1) / 2 orientations, whichever the family
    has.
    """
    diagonals = (
        np.ones((1, d)) if family[1] == "I" else np.concatenate([np.ones((1, d)), _contrasts(d)])
    )
    if family[2] == "I":
        return diagonals
    stretches = diagonals[:, :, None] * np.eye(d)
    if axes is None:
        turns = np.abs(_skew_basis(d))  # with the stretches, all symmetric matrices
    else:
        skew = _skew_basis(d)
        root = np.sqrt(axes)
        turns = (skew * axes - axes[:, None] * skew) / np.outer(root, root)
    return np.concatenate([stretches, turns])


def _contrasts(d: int) -> Array:
    """d - 1 orthonormal directions (d - 1, d) of sum zero."""
    rows = np.zeros((d - 1, d))
    for j in range(1, d):
        rows[j - 1, :j] = 1.0
        rows[j - 1, j] = -j
        rows[j - 1] /= np.sqrt(j * (j + 1.0))
    return rows


def _skew_basis(d: int) -> Array:
    """``E_ab - E_ba`` for a < b, (d (d - 1) / 2, d, d)."""
    above, beside = np.triu_indices(d, 1)
    basis = np.zeros((len(above), d, d))
    which = np.arange(len(above))
    basis[which, above, beside] = 1.0
    basis[which, beside, above] = -1.0
    return basis


def _products(left: Array, right: Array) -> Array:
    """``tr(L_a' R_b)`` for two stacks of matrices."""
    return np.tensordot(left, right, ((1, 2), (1, 2)))
