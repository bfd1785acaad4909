"""t components: the degrees of freedom of each component, in the E-step and in the M-step.

The density of a component, with its squared distance D and pull u, is that of
:mod:`mixtura.distribution.t_density`.

The degrees of freedom are estimated as ``e = 1 / nu``, which is 0 for a Gaussian. EM with U as
missing data is slow in them: it loses all but about ``e^2`` of their information, so that thousands
of iterations lead from 30 to 200. So the M-step is one step of scoring, with the memberships alone
as missing data. A row has the score and the expected information (Lange, Little & Taylor 1989,
Journal of the American Statistical Association 84:881-896)

    by nu   (psi((nu + d) / 2) - psi(nu / 2) + 1 - log(1 + D / nu) - u) / 2
            (psi'(nu / 2) - psi'((nu + d) / 2)) / 4 - d (nu + d + 4) / (2 nu (nu + d) (nu + d + 2))
    by e    -nu^2 times that score, nu^4 times that information,

and the E-step sums ``information`` and ``information e + score`` over the rows of a component, so
that the next e is the ratio of two sums, as a mean is. Where this step lowers the objective, the
M-step of EM takes its place (:meth:`TailRule.cautious`), which never does: it solves

    log(nu' / 2) - psi(nu' / 2) = log(nu / 2) - psi(nu / 2) - 2 score / count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, zeta

from mixtura.base.arrays import Array, Labels
from mixtura.model.moments import Moments

TailKind: TypeAlias = Literal["free", "equal", "given"]
"""Degrees of freedom of each component, one number for all of them, or given numbers."""

USUAL_BOUNDS = (2.0, 200.0)
"""Bounds of estimated degrees of freedom, those of teigen and EMMIXskew: at 2 the covariance ceases
to exist, and from 200 on, in up to ten columns, the log density of a row within three standard
deviations of the mean is within 0.1 of the Gaussian one.
"""

FIRST_DEGREES = 30.0
"""Degrees of freedom before the first E-step: lighter tails or heavier ones are both near."""

LAST_RESOLVED = 1e3
"""The information by e hardly changes above these degrees of freedom, where its digits cancel."""


# ---- one component -------------------------------------------------------------------------------


def score_constant(tails: Array, d: int) -> Array:
    """The part (K,) of twice the score by nu that is the same for all rows."""
    return np.asarray(digamma(0.5 * (tails + d)) - digamma(0.5 * tails) + 1.0)


def information(tails: Array, d: int) -> Array:
    """Expected information (K,) of a row about ``e = 1 / nu``."""
    nu = np.minimum(tails, LAST_RESOLVED)
    own = 0.25 * (zeta(2.0, 0.5 * nu) - zeta(2.0, 0.5 * (nu + d)))  # psi'(z) = zeta(2, z)
    return np.asarray(nu**4 * (own - 0.5 * d * (nu + d + 4.0) / (nu * (nu + d) * (nu + d + 2.0))))


def with_tail_sums(
    moments: Moments, pulled: Array, scores: Array, known: Array, tails: Array
) -> Moments:
    """Moments of t components from sums over their rows.

    ``pulled`` (K,) are sums of responsibilities times u, ``scores`` those of the scores by nu, and
    ``known`` those of the information.
    """
    return moments.with_tails(pulled, known / tails - tails**2 * scores, known)


def gamma_slope(tails: Array) -> Array:
    """``h(nu) = (log(nu / 2) + 1 - psi(nu / 2)) / 2`` (K,).

    It is the derivative by nu of the part of the complete-data log-likelihood of a row that does
    not depend on its U.
    """
    return np.asarray(0.5 * (np.log(0.5 * tails) + 1.0 - digamma(0.5 * tails)))


def gamma_information(tails: Array) -> Array:
    """``-h'(nu)`` (K,): the information of a row about nu if its U were known."""
    return np.asarray(0.25 * zeta(2.0, 0.5 * tails) - 0.5 / tails)


def scores_of(moments: Moments, tails: Array) -> Array:
    """The scores by nu (K,) of an E-step at these degrees of freedom."""
    assert moments.tail_sums is not None
    assert moments.tail_information is not None
    return np.asarray((moments.tail_information / tails - moments.tail_sums) / tails**2)


# ---- the M-step ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TailRule:
    """How the degrees of freedom of a fit are chosen.

    Attributes
    ----------
    kind : {"free", "equal", "given"}
    given : () or (K,), optional
        The number or numbers that are not estimated.
    bounds : (float, float)
        The least and the largest estimate.
    """

    kind: TailKind = "free"
    given: Array | None = None
    bounds: tuple[float, float] = USUAL_BOUNDS

    @property
    def names_components(self) -> bool:
        """Whether the given numbers differ, so that no component can take another's place."""
        return self.given is not None and bool((self.given != self.given.flat[0]).any())

    def n_parameters(self, K: int) -> int:
        """Free parameters of K components."""
        return {"free": K, "equal": 1, "given": 0}[self.kind]

    def parts(self, tails: Array) -> Labels:
        """The estimate each component takes part in (K,); -1 where it is given or at a bound."""
        free = (tails > self.bounds[0]) & (tails < self.bounds[1])
        parts = np.full(len(tails), -1, dtype=np.intp)
        if self.kind != "given":
            parts[free] = 0 if self.kind == "equal" else np.arange(int(free.sum()))
        return parts

    def first(self, K: int) -> Array:
        """Degrees of freedom (K,) before the first E-step."""
        known = np.clip(FIRST_DEGREES, *self.bounds) if self.given is None else self.given
        return np.array(np.broadcast_to(known, K))

    def m_step(self, moments: Moments) -> Array:
        """Degrees of freedom (K,) by one step of scoring, within the bounds."""
        if self.given is not None or moments.tail_sums is None or moments.tail_information is None:
            return self.first(moments.n_components)
        sums, known = self._gathered(moments.tail_sums), self._gathered(moments.tail_information)
        first = 1.0 / self.first(moments.n_components)
        ratio = np.divide(sums, known, out=first, where=known > 0)
        low, high = self.bounds
        inside = ratio > 1.0 / high
        return np.where(inside, np.maximum(1.0 / np.where(inside, ratio, 1.0), low), high)

    def cautious(self, moments: Moments, tails: Array) -> Array:
        """Degrees of freedom (K,) by the M-step of EM, from those of the E-step."""
        if self.given is not None or moments.tail_sums is None:
            return self.first(moments.n_components)
        scores = self._gathered(self._scores(moments, tails) / -(tails**2))
        counts = self._gathered(moments.counts)
        found = [
            _root(_excess(nu) - 2.0 * score / count, self.bounds) if count > 0 else nu
            for nu, score, count in zip(tails.tolist(), scores, counts, strict=True)
        ]
        return np.array(found)

    def squared_gradient(self, moments: Moments, tails: Array) -> float:
        """``g' I^-1 g`` of the degrees of freedom, by e; 0 along a bound that holds them."""
        if self.given is not None or moments.tail_information is None:
            return 0.0
        scores, known = self._scores(moments, tails), moments.tail_information
        if self.kind == "equal":
            scores, known, tails = scores.sum(keepdims=True), known.sum(keepdims=True), tails[:1]
        low, high = self.bounds
        held = ((tails >= high) & (scores < 0)) | ((tails <= low) & (scores > 0))
        squares = np.where(held, 0.0, scores**2)
        return float(np.divide(squares, known, out=np.zeros_like(squares), where=known > 0).sum())

    def _scores(self, moments: Moments, tails: Array) -> Array:
        """Scores (K,) by e at the degrees of freedom of the E-step."""
        assert moments.tail_sums is not None
        assert moments.tail_information is not None
        return np.asarray(moments.tail_sums - moments.tail_information / tails)

    def _gathered(self, sums: Array) -> Array:
        """Sums (K,) of each component, or of all of them where they share the number."""
        return np.full_like(sums, sums.sum()) if self.kind == "equal" else sums


def _excess(nu: float) -> float:
    """``log(nu / 2) - psi(nu / 2)``, which falls from infinity to 0."""
    return float(np.log(0.5 * nu) - digamma(0.5 * nu))


def _root(level: float, bounds: tuple[float, float]) -> float:
    """The degrees of freedom within the bounds whose excess is nearest to a level."""
    low, high = bounds
    if level >= _excess(low):
        return low
    if level <= _excess(high):
        return high
    return float(brentq(lambda nu: _excess(nu) - level, low, high, xtol=1e-12 * high))
