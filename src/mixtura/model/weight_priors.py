"""Priors of the mixing proportions: a Dirichlet distribution, or a Dirichlet process.

Given the expected rows ``n_k`` of the components, the variational posterior is in the same class
as the prior:

    Dirichlet    pi ~ Dir(a, ..., a)                      posterior Dir(a + n_1, ..., a + n_K)
    process      pi_k = v_k prod_{j<k} (1 - v_j)          posterior v_k ~ Beta(1 + n_k,
                 v_k ~ Beta(1, a), and v_K = 1            a + n_{k+1} + ... + n_K)

The process is truncated at K components, so the last stick has what is left. Its sticks are in the
order with the highest bound, so that the bound does not depend on the numbers of the components:
by falling ``n_k`` (Kurihara, Welling & Teh 2007), but for the last stick. That is the one with the
fewest rows where ``a <= 1``; a large concentration expects much of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import betaln, digamma, gammaln

from mixtura.base.arrays import Array, Labels

EQUAL_DECIMALS = 6
"""Expected rows that agree to so many decimals are in the order of their components: components
without rows do not change places, where the bound has no derivative.
"""


class WeightPrior(Protocol):
    """A prior of the mixing proportions with its posterior given expected rows (K,)."""

    @property
    def concentration(self) -> float:
        """a: small values favour few components."""
        ...

    def expected_logs(self, counts: Array) -> Array:
        """``E log pi_k`` (K,)."""
        ...

    def means(self, counts: Array) -> Array:
        """``E pi_k`` (K,), summing to one."""
        ...

    def divergence(self, counts: Array) -> float:
        """Kullback-Leibler divergence of the posterior from the prior."""
        ...

    def parameters(self, counts: Array) -> Array | tuple[Array, Array]:
        """The parameters of the posterior, (K,) or two of (K,)."""
        ...

    def draw(self, counts: Array, n: int, rng: np.random.Generator) -> Array:
        """n draws of the mixing proportions (n,K)."""
        ...


@dataclass(frozen=True)
class DirichletDistribution:
    """A symmetric Dirichlet distribution with ``concentration`` a for each component."""

    concentration: float

    def parameters(self, counts: Array) -> Array:
        """``a + n_k`` (K,)."""
        return self.concentration + counts

    def expected_logs(self, counts: Array) -> Array:
        """``E log pi_k`` (K,)."""
        own = self.parameters(counts)
        return np.asarray(digamma(own) - digamma(own.sum()))

    def means(self, counts: Array) -> Array:
        """``E pi_k`` (K,)."""
        own = self.parameters(counts)
        return np.asarray(own / own.sum())

    def divergence(self, counts: Array) -> float:
        """Kullback-Leibler divergence of the posterior from the prior."""
        own, a, K = self.parameters(counts), self.concentration, len(counts)
        normalisers = gammaln(own.sum()) - gammaln(own).sum() - gammaln(K * a) + K * gammaln(a)
        return float(normalisers + counts @ self.expected_logs(counts))

    def draw(self, counts: Array, n: int, rng: np.random.Generator) -> Array:
        """n draws (n,K)."""
        return rng.dirichlet(self.parameters(counts), size=n)


@dataclass(frozen=True)
class DirichletProcess:
    """A Dirichlet process with ``concentration`` a, truncated at K components."""

    concentration: float

    def parameters(self, counts: Array) -> tuple[Array, Array]:
        """The parameters of the sticks: ``1 + n_k`` and ``a + n_{k+1} + ...``, (K,) each.

        The last stick, which is 1, has the second parameter 0.
        """
        order = self.order(counts)
        after = np.zeros_like(counts)
        after[order] = np.append(np.cumsum(counts[order][:0:-1])[::-1], 0.0)
        rest = self.concentration + after
        rest[order[-1]] = 0.0
        return 1.0 + counts, rest

    def expected_logs(self, counts: Array) -> Array:
        """``E log pi_k`` (K,)."""
        order, own, rest = self._sticks(counts)
        total = digamma(own + rest)
        logs = np.append(digamma(own) - total, 0.0)
        logs[1:] += np.cumsum(digamma(rest) - total)
        return _in_place(logs, order)

    def means(self, counts: Array) -> Array:
        """``E pi_k`` (K,)."""
        order, own, rest = self._sticks(counts)
        return _in_place(_broken(own / (own + rest)), order)

    def divergence(self, counts: Array) -> float:
        """Kullback-Leibler divergence of the posterior from the prior."""
        _, own, rest = self._sticks(counts)
        total, a = digamma(own + rest), self.concentration
        return float(
            (
                betaln(1.0, a)
                - betaln(own, rest)
                + (own - 1.0) * (digamma(own) - total)
                + (rest - a) * (digamma(rest) - total)
            ).sum()
        )

    def draw(self, counts: Array, n: int, rng: np.random.Generator) -> Array:
        """n draws (n,K)."""
        order, own, rest = self._sticks(counts)
        return _in_place(_broken(rng.beta(own, rest, size=(n, len(own)))), order)

    def order(self, counts: Array) -> Labels:
        """The components (K,) in the order of their sticks."""
        falling = np.argsort(-np.round(counts, EQUAL_DECIMALS), kind="stable")
        if self.concentration <= 1.0 or len(counts) < 2:
            return falling
        orders = [np.append(np.delete(falling, i), falling[i]) for i in range(len(falling))]
        return max(reversed(orders), key=lambda order: self._log_marginal(counts[order]))

    def _log_marginal(self, counts: Array) -> float:
        """The part of ``log p(counts)`` that depends on the order of the sticks."""
        a, last = self.concentration, counts[-1]
        after = np.cumsum(counts[:0:-1])[1:]  # what all but the last stick of the first K-1 leave
        return float(gammaln(a + last) - gammaln(1.0 + last) - np.log(a + after).sum())

    def _sticks(self, counts: Array) -> tuple[Labels, Array, Array]:
        """The order of the sticks (K,), and the parameters of all but the last, (K-1,) each."""
        order = self.order(counts)
        own, rest = self.parameters(counts)
        return order, own[order[:-1]], rest[order[:-1]]


KINDS = ("dirichlet_process", "dirichlet_distribution")
"""scikit-learn's names of both."""


def weight_prior_named(kind: str, concentration: float) -> WeightPrior:
    """The prior by its name."""
    of_process = kind == "dirichlet_process"
    return DirichletProcess(concentration) if of_process else DirichletDistribution(concentration)


def _broken(sticks: Array) -> Array:
    """Proportions (..., K) from the shares of what is left that all but the last take."""
    left = np.cumprod(1.0 - sticks, axis=-1)
    one = np.ones_like(left[..., :1]) if left.shape[-1] else np.ones((*left.shape[:-1], 1))
    shares = np.concatenate([sticks, one], axis=-1)
    return np.asarray(shares * np.concatenate([one, left], axis=-1))


def _in_place(values: Array, order: Labels) -> Array:
    """Values (..., K) in the order of the sticks, as values of the components."""
    placed = np.empty_like(values)
    placed[..., order] = values
    return placed
