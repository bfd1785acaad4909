"""Local coordinates around a mixture, as many as the family has free parameters.

``Sigma_k = lambda_k D_k A_k D_k'``, and the three letters of a family's name tell which of volume,
shape and orientation are shared. Around a mixture, with whiteners ``B_k`` such that
``B_k Sigma_k B_k' = I``,

    weights       log ratios to the last free one (none where proportions are equal)
    means         mu_k + B_k^-1 delta_k, with delta_k in the space of the free columns of B_k
    covariances   B_k^-1 F_k B_k^-T, where F_k(0) = I:

    fixed axes (**I), or shape and orientation with the same letter (*EE, *VV)
        F_k = exp(log-volume + S_k), S_k symmetric with trace 0 (diagonal for **I). Smooth
        everywhere, also at spheres
    one of the two shared (*EV, *VE)
        F_k = Lambda_k^-1/2 exp(Omega_k) Lambda_k exp(log-volume + log-shape) exp(-Omega_k)
        Lambda_k^-1/2, Omega_k skew. A rotation between two axes of equal length has tangent zero

So the coordinates do not depend on the units of the data. Their order is weights, means, volumes,
shapes, orientations. Fixed weights, entries of means and covariances have none
(:mod:`mixtura.model.fixed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import expm, solve_triangular

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.distribution.covariance import Covariance, Dense
from mixtura.distribution.mixture import Mixture
from mixtura.model.fixed import Fixed
from mixtura.model.tails import TailRule


@dataclass(frozen=True, eq=False)
class ComponentCoordinates:
    """The local coordinates of one component.

    Attributes
    ----------
    mean : (d,)
    whitener : (d,) or (d, d)
        ``B``; its diagonal where the axes are fixed.
    tangents : (q, d) or (q, d, d)
        Derivatives of F along the coordinates of the covariance, symmetric; their diagonals where
        the axes are fixed.
    axes : (d,) or None
        ``Lambda``, where the orientation has coordinates of its own.
    mean_basis : (d, f)
        Orthonormal directions of the whitened mean; the identity where no entry is fixed.
    mean_columns, covariance_columns : (f,), (q,)
        Positions of its coordinates among all.
    """

    mean: Array
    whitener: Array
    tangents: Array
    axes: Array | None
    mean_basis: Array
    mean_columns: Labels
    covariance_columns: Labels

    @property
    def columns(self) -> Labels:
        """Positions of the coordinates of the mean, then of the covariance (f + q,)."""
        return np.concatenate([self.mean_columns, self.covariance_columns])

    @property
    def traces(self) -> Array:
        """``tr M_a`` (q,)."""
        return np.asarray(
            self.tangents.sum(axis=1)
            if self.whitener.ndim == 1
            else np.einsum("qjj->q", self.tangents)
        )

    def whiten(self, centred: Array) -> Array:
        """Whiten rows (m,d) that are centred at the mean."""
        return np.asarray(
            centred * self.whitener if self.whitener.ndim == 1 else centred @ self.whitener.T
        )

    def second(self, whitened: Array, weights: Array) -> Array:
        """Second moments ``sum_i w_i u_i u_i'`` (d,d); the diagonal (d,) where axes are fixed."""
        if self.whitener.ndim == 1:
            return np.asarray(weights @ whitened**2)
        return np.asarray((whitened * weights[:, None]).T @ whitened)

    def whitened_matrix(self, matrix: Array) -> Array:
        """``B V B'`` of a matrix V (d,d); the diagonal where the axes are fixed."""
        return np.asarray(
            self.whitener**2 * np.diag(matrix)
            if self.whitener.ndim == 1
            else self.whitener @ matrix @ self.whitener.T
        )

    def identity(self) -> Array:
        """``I`` in the form of :meth:`second`."""
        d = len(self.mean)
        return np.ones(d) if self.whitener.ndim == 1 else np.eye(d)

    # ---- the three derivatives -------------------------------------------------------------------

    def along(self, second: Array) -> Array:
        """``tr(M_a V)`` (q,) for V in the form of :meth:`second`."""
        return np.tensordot(self.tangents, second, second.ndim)

    def scores(self, whitened: Array, offset: Array) -> Array:
        """Derivatives of ``log N(x_i | k)`` (m, f + q) by the mean and the covariance.

        They are ``u`` and ``(u'M_a u - tr M_a) / 2``; a ridge adds ``offset (q)`` to ``u'M_a u``.
        """
        if self.whitener.ndim == 1:
            forms = whitened**2 @ self.tangents.T
        else:
            above, beside = np.triu_indices(len(self.mean))
            twice = np.where(above == beside, 1.0, 2.0)
            forms = (whitened[:, above] * whitened[:, beside]) @ (
                self.tangents[:, above, beside] * twice
            ).T
        return np.concatenate(
            [whitened @ self.mean_basis, 0.5 * (forms + offset - self.traces)], axis=1
        )

    def curvature(self, count: float, first: Array, second: Array, log_det_count: float) -> Array:
        """Negative second derivatives (f + q, f + q) of the complete-data log-likelihood.

        They are computed from whitened sums. With ``Q = -(n log det F + tr(F^-1 V)) / 2``,
        ``F = I + sum h_a M_a + sum h_a h_b N_ab / 2`` and
        ``C_ab = N_ab - (M_a M_b + M_b M_a) / 2``:

            mean, mean              n I
            mean, covariance        M_a f
            covariance, covariance  tr(M_a M_b V) / 2 - tr(C_ab (V - n I)) / 2

        ``log_det_count`` is the n of the log-determinant: the count with a prior's pseudo-rows.
        """
        d = len(self.mean)
        if self.whitener.ndim == 1:
            cross, own = self.tangents * first, 0.5 * (self.tangents * second) @ self.tangents.T
        else:
            cross, own = (
                self.tangents @ first,
                0.5 * _products(self.tangents, self.tangents @ second),
            )
        if self.axes is not None:
            own = own - 0.5 * self._second_order(second - log_det_count * np.eye(d))
        cross = cross @ self.mean_basis
        return np.block([[count * np.eye(cross.shape[1]), cross.T], [cross, 0.5 * (own + own.T)]])

    def complete_information(self, count: float, log_det_count: float) -> Array:
        """Complete-data information: the expected curvature, block diagonal and not indefinite."""
        f, q = len(self.mean_columns), len(self.tangents)
        information = np.zeros((f + q, f + q))
        information[:f, :f] = count * np.eye(f)
        flat = self.tangents.reshape(q, self.identity().size)
        information[f:, f:] = 0.5 * log_det_count * flat @ flat.T
        return information

    def _second_order(self, residual: Array) -> Array:
        """``tr(C_ab R)`` (q,q): the second order of F beyond that of an exponential."""
        assert self.axes is not None
        d = len(self.mean)
        skew = _skew_basis(d)
        rotations = slice(d, None)  # after one volume and d - 1 shapes
        root = np.sqrt(self.axes)
        scaled = residual / np.outer(root, root)
        of_residual = scaled @ skew - skew @ scaled  # commutators [P, Omega_a]
        of_axes = skew * self.axes - self.axes[:, None] * skew  # [Omega_a, Lambda]
        second_order = _products(self.tangents, self.tangents @ residual)
        second_order[rotations, rotations] = 0.5 * (
            _products(of_axes, of_residual) + _products(of_residual, of_axes)
        )
        stretched = np.einsum("qjj->qj", self.tangents[1:d]) * self.axes
        second_order[1:d, rotations] = stretched @ np.einsum("rjj->rj", of_residual).T
        second_order[rotations, 1:d] = second_order[1:d, rotations].T
        return second_order - _products(self.tangents, self.tangents @ residual)

    # ---- back to the mixture ---------------------------------------------------------------------

    def unwhiten(self, whitened: Array) -> Array:
        """``B^-1 u`` for rows u (m,d)."""
        if self.whitener.ndim == 1:
            return np.asarray(whitened / self.whitener)
        if self.axes is not None:
            return np.asarray(whitened @ (self.whitener * self.axes[:, None]))  # B^-1 = B' Lambda
        return np.asarray(solve_triangular(self.whitener, whitened.T, lower=True).T)

    def mean_derivatives(self) -> Array:
        """Derivatives of the mean (d, f)."""
        return self.unwhiten(self.mean_basis.T).T

    def covariance_derivatives(self) -> Array:
        """Derivatives ``B^-1 M_a B^-T`` of the covariance matrix (q,d,d).

        Their diagonals (q,d) where the axes are fixed.
        """
        if self.whitener.ndim == 1:
            return np.asarray(self.tangents / self.whitener**2)
        inverse = self.unwhiten(np.eye(len(self.mean))).T
        return np.asarray(inverse @ self.tangents @ inverse.T)

    def covariance_at(self, coordinates: Array) -> Array:
        """The covariance matrix (d,d) at coordinates (q,)."""
        d = len(self.mean)
        if self.whitener.ndim == 1:
            return np.diag(np.exp(coordinates @ self.tangents) / self.whitener**2)
        if self.axes is None:
            F = expm(np.tensordot(coordinates, self.tangents, 1))
        else:
            rotation = expm(np.tensordot(coordinates[d:], _skew_basis(d), 1))
            lengths = self.axes * np.exp(np.einsum("q,qjj->j", coordinates[:d], self.tangents[:d]))
            root = np.sqrt(self.axes)
            F = (rotation * lengths) @ rotation.T / np.outer(root, root)
        half = self.unwhiten(np.asarray(F))
        return self.unwhiten(half.T)


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Local coordinates around a mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.distribution.covariance import Spherical
    >>> two = Mixture(np.array([0.5, 0.5]), np.zeros((2, 3)), Spherical(np.ones(2), 2, 3))
    >>> coordinates = coordinates_around(two, "VII")
    >>> coordinates.dimension, coordinates.at(np.zeros(9)).weights.tolist()
    (9, [0.5, 0.5])
    """

    mixture: Mixture
    components: tuple[ComponentCoordinates, ...]
    parts: Labels
    """The free weight that each component takes part in (K,), and that of a noise term (K + 1,); -1
    where a weight is fixed.
    """
    dimension: int
    tail_parts: Labels = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    """The estimate of degrees of freedom that each t component takes part in (K,), or -1."""

    @property
    def tail_columns(self) -> Labels:
        """Positions of the logarithms of degrees of freedom, the last coordinates."""
        size = int(self.tail_parts.max(initial=-1)) + 1
        return np.arange(self.dimension - size, self.dimension)

    @property
    def tail_slopes(self) -> Array:
        """Which degrees of freedom (K,) follow which of their coordinates (K, T)."""
        return np.asarray(
            self.tail_parts[:, None] == np.arange(len(self.tail_columns)), dtype=np.float64
        )

    @property
    def weight_columns(self) -> Labels:
        """Positions of the log ratios of the weights."""
        return np.arange(max(int(self.parts.max()), 0))

    @property
    def weight_shares(self) -> Array:
        """What each free weight is of all free ones (R + 1,), one more than there are ratios."""
        free = self.parts >= 0
        sums = np.bincount(self.parts[free], self._proportions[free])
        return np.asarray(sums / sums.sum() if len(sums) else np.zeros(0))

    @property
    def _proportions(self) -> Array:
        """The weights (K,), and that of a noise term (K + 1,)."""
        noise = self.mixture.noise
        own = self.mixture.weights
        return own if noise is None else np.append(own, noise.weight)

    @property
    def log_weight_slopes(self) -> Array:
        """Derivatives of the logarithms of the weights (K or K + 1, R) by the log ratios."""
        shares, ratios = self.weight_shares, self.weight_columns
        slopes = (self.parts[:, None] == ratios) - shares[: len(ratios)]
        return np.where((self.parts >= 0)[:, None], slopes, 0.0)

    @property
    def weight_tangents(self) -> Array:
        """Derivatives of the weights (K, R) by the log ratios.

        With free weights alone they are ``diag(pi) - pi pi'`` without the last column.
        """
        K = self.mixture.n_components
        return self.mixture.weights[:, None] * self.log_weight_slopes[:K]

    def weight_information(self, counts: Array) -> Array:
        """Negative second derivatives (R, R) of ``sum_k counts_k log pi_k``.

        Counts (K,) are followed by that of a noise term.
        """
        shares = self.weight_shares[: len(self.weight_columns)]
        return np.asarray(
            counts[self.parts >= 0].sum() * (np.diag(shares) - np.outer(shares, shares))
        )

    def at(self, coordinates: Array) -> Mixture:
        """The mixture at coordinates (p,), which are 0 at the given mixture."""
        free, before, K = self.parts >= 0, self._proportions, self.mixture.n_components
        tilts = np.append(coordinates[self.weight_columns], 0.0)
        weights = np.where(free, before * np.exp(tilts[self.parts]), 0.0)
        if free.any():
            weights *= before[free].sum() / weights.sum()
        weights = np.where(free, weights, before)
        noise = self.mixture.noise and self.mixture.noise.with_weight(float(weights[-1]))
        means = [
            component.mean + component.mean_derivatives() @ coordinates[component.mean_columns]
            for component in self.components
        ]
        matrices = [
            component.covariance_at(coordinates[component.covariance_columns])
            for component in self.components
        ]
        covariance, tails = Dense(np.stack(matrices), K), self.mixture.tails
        if tails is not None:
            tails = tails * np.exp(self.tail_slopes @ coordinates[self.tail_columns])
        return Mixture(weights[:K], np.stack(means), covariance, noise, tails)

    def shared_columns(self) -> Labels:
        """Positions of the coordinates that components share."""
        used = np.concatenate([component.covariance_columns for component in self.components])
        columns, times = np.unique(used, return_counts=True)
        return np.asarray(columns[times > 1])


def coordinates_around(
    mixture: Mixture,
    family: str,
    equal_weights: bool = False,
    fixed: Fixed | None = None,
    tails: TailRule | None = None,
) -> Coordinates:
    """The local coordinates of a family around one of its mixtures.

    Parameters
    ----------
    mixture : Mixture
    family : str
        Three letters: volume, shape, orientation.
    equal_weights : bool
        Whether the mixing proportions are fixed at ``1 / K``.
    fixed : Fixed, optional
        Fixed parameters.
    tails : TailRule, optional
        How the degrees of freedom of t components were chosen.
    """
    K, d = mixture.n_components, mixture.n_features
    parts = np.arange(K) if fixed is None else fixed.parts
    if equal_weights:
        parts = np.full(K, -1 if mixture.noise is None else 0)
    if mixture.noise is not None:
        parts = np.append(parts, parts.max() + 1)
    before = max(int(parts.max()), 0)
    own = np.arange(K) if fixed is None else np.flatnonzero(fixed.free_covariances)
    whiteners, axes = _all_whiteners(mixture.covariance, family, own)
    free = np.ones((K, d), dtype=bool) if fixed is None else fixed.free_means
    bases = [
        mean_basis(whitener, entries) for whitener, entries in zip(whiteners, free, strict=True)
    ]
    ends = before + np.cumsum([basis.shape[1] for basis in bases])
    columns, at = _covariance_columns(family, d, len(own), int(ends[-1]))
    components = []
    for k, (basis, end) in enumerate(zip(bases, ends.tolist(), strict=True)):
        tangents = _tangents(family, d, axes[k])
        place = np.flatnonzero(own == k)
        components.append(
            ComponentCoordinates(
                mean=mixture.means[k],
                whitener=whiteners[k],
                tangents=tangents if len(place) else tangents[:0],
                axes=axes[k],
                mean_basis=basis,
                mean_columns=np.arange(end - basis.shape[1], end),
                covariance_columns=columns[place[0]] if len(place) else np.arange(0),
            )
        )
    if tails is None or mixture.tails is None:
        return Coordinates(mixture, tuple(components), parts, at)
    of_tails = tails.parts(mixture.tails)
    dimension = at + int(of_tails.max(initial=-1)) + 1
    return Coordinates(mixture, tuple(components), parts, dimension, of_tails)


def mean_basis(whitener: Array, free: Flags) -> Array:
    """Orthonormal whitened directions (d,f) that change free entries (d,) of the mean alone.

    They are in the space of the free columns of the whitener (d,d), or of its diagonal (d,).
    """
    if free.all():
        return np.eye(len(free))
    B = np.diag(whitener) if whitener.ndim == 1 else whitener
    return np.linalg.qr(B[:, free])[0]


def _covariance_columns(family: str, d: int, K: int, at: int) -> tuple[list[Labels], int]:
    """Positions of the coordinates of K covariances from ``at`` on, and the next free one."""
    sets: list[list[Labels]] = []
    for letter, size in zip(family, (1, d - 1, d * (d - 1) // 2), strict=True):
        some, at = _columns(letter, size, K, at) if K else ([], at)
        sets.append(some)
    return [np.concatenate(own) for own in zip(*sets, strict=True)], at


def _all_whiteners(
    covariance: Covariance, family: str, own: Labels
) -> tuple[list[Array], list[Array | None]]:
    """Whiteners of all components, and variances along axes of those that are not fixed."""
    K, d = covariance.n_components, covariance.n_features
    whitener = covariance.whitener.reshape(len(covariance.whitener), -1)
    shape = (d, d) if isinstance(covariance, Dense) else (d,)
    if not isinstance(covariance, Dense):
        whitener = np.broadcast_to(whitener, (len(whitener), d))
    every = [whitener[k % len(whitener)].reshape(shape) for k in range(K)]
    axes: list[Array | None] = [None] * K
    if len(own):
        known, lengths = whiteners_of(covariance.select(own), family)
        for i, k in enumerate(own.tolist()):
            every[k] = known[i]
            axes[k] = None if lengths is None else lengths[i]
    return every, axes


# ---- whiteners and tangents ----------------------------------------------------------------------


def _columns(letter: str, size: int, K: int, at: int) -> tuple[list[Labels], int]:
    """Positions of one set of coordinates for each component, and the next free position."""
    if letter == "I":
        return [np.arange(0)] * K, at
    if letter == "E":
        return [at + np.arange(size)] * K, at + size
    return [at + k * size + np.arange(size) for k in range(K)], at + K * size


def _has_rotations(family: str) -> bool:
    """Whether the orientation has coordinates of its own."""
    return family[1:] in ("EV", "VE")


def whiteners_of(
    covariance: Covariance, family: str
) -> tuple[Sequence[Array], Sequence[Array] | None]:
    """Whiteners B_k, and the variances along the axes if the orientation has own coordinates."""
    K, d = covariance.n_components, covariance.n_features
    if not isinstance(covariance, Dense):
        whitener = covariance.whitener.reshape(len(covariance.whitener), -1)
        return list(np.broadcast_to(whitener, (K, d))), None
    if not _has_rotations(family):
        return list(np.broadcast_to(covariance.whitener, (K, d, d))), None
    directions = (
        _common_axes(covariance.dense())
        if family.endswith("E")
        else np.linalg.eigh(covariance.dense())[1]
    )
    lengths = np.einsum("kji,kjl,kli->ki", directions, covariance.dense(), directions)
    return list(np.swapaxes(directions, 1, 2) / np.sqrt(lengths)[:, :, None]), list(lengths)


def _common_axes(matrices: Array) -> Array:
    """Common eigenvectors (K,d,d) of matrices that commute.

    They are those of a weighted sum, where equal eigenvalues of one matrix are different.
    """
    K = len(matrices)
    shares = np.sqrt(np.arange(2.0, K + 2.0)) / np.einsum("kjj->k", matrices)
    _, vectors = np.linalg.eigh(np.tensordot(shares, matrices, 1))
    return np.broadcast_to(vectors, matrices.shape)


def _tangents(family: str, d: int, axes: Array | None) -> Array:
    """Derivatives of F by the family's one volume, d - 1 shapes and d (d - 1) / 2 orientations."""
    diagonals = (
        np.ones((1, d)) if family[1] == "I" else np.concatenate([np.ones((1, d)), _contrasts(d)])
    )
    if family[2] == "I":
        return diagonals
    stretches = diagonals[:, :, None] * np.eye(d)
    if axes is None:
        rotations = np.abs(_skew_basis(d))  # with the stretches, all symmetric matrices
    else:
        skew = _skew_basis(d)
        root = np.sqrt(axes)
        rotations = (skew * axes - axes[:, None] * skew) / np.outer(root, root)
    return np.concatenate([stretches, rotations])


def _contrasts(d: int) -> Array:
    """Helmert contrasts: d - 1 orthonormal directions (d - 1, d) of sum zero."""
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
    """``tr(L_a' R_b)`` for two arrays of matrices."""
    return np.tensordot(left, right, ((1, 2), (1, 2)))
