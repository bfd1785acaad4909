"""Components merged into clusters that need not be Gaussian (Baudry et al. 2010).

A cluster that is curved or has heavy tails takes several Gaussians. They overlap, and the entropy
of the memberships shows it:

    E = -sum_i w_i sum_k t_ik log t_ik

Merging components k and l adds their columns, ``t_ik + t_il``, and lowers E by

    D(k, l) = sum_i w_i [h(t_ik + t_il) - h(t_ik) - h(t_il)],    h(t) = t log t

At each step the pair with the largest D is merged, down to one cluster. The density does not
change; only which components are one cluster. Where the entropy stops falling steeply, its path
over the number of clusters has an elbow. Components that hardly overlap are not merged, and then
there is no elbow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy.special import xlogy

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.numbering import number_of
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.mixture_density import NOISE_LABEL

ROWS_OF_MEMBERSHIPS = 8192
"""Rows whose merged memberships are in memory at a time."""

TIE = 1e-6
"""Two falls of the entropy (nats, over all rows) that differ by less are a tie: the first pair is
merged.
"""

SEPARATED = 1e-3 * float(np.log(2.0))
"""Entropy per row (nats) up to which components are well separated: that of one row in a thousand
with probability one half in two components.
"""


@dataclass(frozen=True)
class Merge:
    """One step: two clusters become one.

    Attributes
    ----------
    pair : (int, int)
        Their positions before the step; the merged cluster takes the first, and those after the
        second move up by one.
    gain : float
        By how much the entropy falls, in nats.
    rows : float
        Weight of the rows whose most probable cluster is one of the two.
    """

    pair: tuple[int, int]
    gain: float
    rows: float


@dataclass(frozen=True, eq=False)
class MergeTree:
    """All merges from K components down to one cluster.

    Attributes
    ----------
    n_components : int
        K.
    merges : tuple of Merge
        K - 1 of them, the first from K to K - 1 clusters.
    entropies : (K,)
        The entropy of the memberships with 1, 2, ..., K clusters.

    References
    ----------
    Baudry, Raftery, Celeux, Lo & Gottardo 2010, Journal of Computational and Graphical Statistics
    19, 332-353.
    """

    n_components: int
    merges: tuple[Merge, ...]
    entropies: Array

    # ---- clusters --------------------------------------------------------------------------------

    def groups(self, n_clusters: int) -> tuple[tuple[int, ...], ...]:
        """The components of each cluster, ascending."""
        self._check(n_clusters)
        groups: list[tuple[int, ...]] = [(k,) for k in range(self.n_components)]
        for merge in self.merges[: self.n_components - n_clusters]:
            first, second = merge.pair
            groups[first] = tuple(sorted(groups[first] + groups.pop(second)))
        return tuple(groups)

    def memberships(self, posteriors: Array, n_clusters: int) -> Array:
        """Soft memberships of the clusters (m,G), from those of the components (m,K)."""
        return np.stack(
            [posteriors[:, list(group)].sum(axis=1) for group in self.groups(n_clusters)], axis=1
        )

    def labels(self, posteriors: Array, n_clusters: int) -> Labels:
        """The most probable cluster (m,), from the memberships of the components (m,K)."""
        return np.asarray(self.memberships(posteriors, n_clusters).argmax(axis=1))

    def _check(self, n_clusters: int) -> None:
        if not 1 <= n_clusters <= self.n_components:
            raise ValueError(
                f"n_clusters must be between 1 and the number of components ({self.n_components}), "
                f"but {n_clusters} came. Merging makes fewer clusters; fit more components for "
                "more."
            )

    # ---- how many --------------------------------------------------------------------------------

    @cached_property
    def merged_rows(self) -> Array:
        """Rows merged from K to 1, 2, ..., K clusters (K,), summed over the steps."""
        return np.concatenate([np.cumsum([merge.rows for merge in self.merges])[::-1], [0.0]])

    @cached_property
    def is_separated(self) -> bool:
        """Whether the components are so well separated that there is nothing to merge."""
        return not self.merges or float(self.entropies[-1]) <= SEPARATED * self.merges[-1].rows

    def elbow(self, *, normalised: bool = False) -> int:
        """The number of clusters where the entropy stops falling steeply.

        Two straight lines that meet are fitted to the path; the elbow is where they meet.

        Parameters
        ----------
        normalised : bool
            False: over the number of clusters (mclust's ``clustCombiOptim`` with two segments).
            True: over the number of rows merged, so that a small cluster, which cannot lower the
            entropy much, counts for little (Baudry et al. 2010, 4.2).

        Returns
        -------
        int
            K itself where there are fewer than three components or nothing to merge.
        """
        if self.n_components < 3 or self.is_separated:
            return self.n_components
        x = self.merged_rows if normalised else np.arange(1.0, self.n_components + 1)
        return 1 + _change_point(x, self.entropies)

    def linkage(self) -> Array:
        """The tree for SciPy's ``dendrogram`` (K-1,4); heights are the falls of the entropy."""
        names, sizes = list(range(self.n_components)), [1] * self.n_components
        steps, height = [], 0.0
        for number, merge in enumerate(self.merges, start=self.n_components):
            first, second = merge.pair
            height += max(merge.gain, 0.0)
            size = sizes[first] + sizes[second]
            steps.append([*sorted((names[first], names[second])), height, size])
            names[first], sizes[first] = number, size
            del names[second], sizes[second]
        return np.array(steps, dtype=np.float64).reshape(-1, 4)

    def sentence(self, n_clusters: int) -> str:
        """The outcome in one sentence."""
        groups = self.groups(n_clusters)
        named = ", ".join("+".join(map(number_of, group)) for group in groups)
        verb = "makes" if self.n_components == 1 else "make"
        made = (
            f"{_counted(self.n_components, 'component')} {verb} "
            f"{_counted(n_clusters, 'cluster')} ({named})"
        )
        before, after = float(self.entropies[-1]), float(self.entropies[n_clusters - 1])
        if n_clusters == self.n_components and self.is_separated:
            return (
                f"There is nothing to merge: {made}; the entropy of the memberships is "
                f"{_nats(before, before)}, next to none."
            )
        return (
            f"{made}; the entropy of the memberships is {_nats(after, before)} instead of "
            f"{_nats(before, before)}."
        )


@ignore_underflow
def merge_tree(posteriors: Array, weights: Array | None = None) -> MergeTree:
    """Merge the pair that lowers the entropy most, again and again, down to one cluster.

    Parameters
    ----------
    posteriors : (n, K)
        Memberships; rows sum to one.
    weights : (n,), optional
        Frequencies.

    Returns
    -------
    MergeTree

    Notes
    -----
    Time is O(n K^2), memory O(n K): one pass over all pairs, and after each merge one over the
    pairs of the new cluster.

    Examples
    --------
    >>> import numpy as np
    >>> sure_of_the_last = np.array([[0.5, 0.5, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]])
    >>> tree = merge_tree(sure_of_the_last)
    >>> tree.groups(2)
    ((0, 1), (2,))
    """
    t = np.asarray(posteriors, dtype=np.float64)
    w = np.ones(len(t)) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = [t[:, k].copy() for k in range(t.shape[1])]
    own = [_weighted_h(column, w) for column in columns]
    joint = np.full((len(columns), len(columns)), -np.inf)  # D(k, l) above the diagonal
    for k in range(len(columns) - 1):
        joint[k, k + 1 :] = _gains(columns, own, k, range(k + 1, len(columns)), w)
    entropies, merges = [-sum(own)], []
    while len(columns) > 1:
        k, el = _first_largest(joint)
        merges.append(Merge((k, el), float(joint[k, el]), _rows_of(columns, (k, el), w)))
        columns[k] += columns[el]
        own[k] = _weighted_h(columns[k], w)
        del columns[el], own[el]
        joint = np.delete(np.delete(joint, el, axis=0), el, axis=1)
        joint[k, k + 1 :] = _gains(columns, own, k, range(k + 1, len(columns)), w)
        joint[:k, k] = _gains(columns, own, k, range(k), w)
        entropies.append(-sum(own))
    return MergeTree(len(own) + len(merges), tuple(merges), np.array(entropies[::-1]))


# ---- the entropy ---------------------------------------------------------------------------------


def _weighted_h(t: Array, w: Array) -> float:
    """``sum_i w_i h(t_i)``."""
    return float(sum(w[part] @ xlogy(t[part], t[part]) for part in _blocks(len(t))))


def _gains(
    columns: Sequence[Array], own: Sequence[float], k: int, others: Sequence[int], w: Array
) -> list[float]:
    """``D(k, l)`` for some l."""
    return [
        float(sum(w[part] @ _h(columns[k][part] + columns[el][part]) for part in _blocks(len(w))))
        - own[k]
        - own[el]
        for el in others
    ]


def _h(t: Array) -> Array:
    return np.asarray(xlogy(t, t))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(begin, begin + ROWS_OF_MEMBERSHIPS) for begin in range(0, n, ROWS_OF_MEMBERSHIPS))


def _first_largest(joint: Array) -> tuple[int, int]:
    """The first pair within a tie of the best one."""
    k, el = np.unravel_index(int(np.argmax(joint >= joint.max() - TIE)), joint.shape)
    return int(k), int(el)


def _rows_of(columns: Sequence[Array], pair: tuple[int, int], w: Array) -> float:
    """Weight of the rows whose most probable cluster is one of a pair."""
    total = 0.0
    for part in _blocks(len(w)):
        most_probable = np.stack([column[part] for column in columns]).argmax(axis=0)
        total += float(w[part][np.isin(most_probable, pair)].sum())
    return total


# ---- the elbow -----------------------------------------------------------------------------------


def _change_point(x: Array, y: Array) -> int:
    """The index at which two least-squares lines, one up to it and one from it on, fit best."""
    errors = [
        _squared_error(x[: c + 1], y[: c + 1]) + _squared_error(x[c:], y[c:])
        for c in range(1, len(x) - 1)
    ]
    smallest = min(errors)
    rounding = len(x) * np.finfo(np.float64).eps * float(np.square(y).sum())
    return 1 + next(i for i, error in enumerate(errors) if error <= smallest + rounding)


def _squared_error(x: Array, y: Array) -> float:
    """The sum of squared residuals of a least-squares line."""
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    slope = float(dx @ dy) / spread if spread > 0 else 0.0
    return float(np.square(dy - slope * dx).sum())


def _nats(entropy: float, largest: float) -> str:
    """An entropy in digits that show it beside the largest one; 0.0 where it is rounding."""
    if largest >= 1 or entropy < TIE:
        return f"{max(0.0, entropy):.1f}"
    return f"{entropy:.2g}"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n > 1)}"


# ---- a merged mixture ----------------------------------------------------------------------------


class HasPosteriors(Protocol):
    """A fitted mixture with posterior probabilities."""

    def predict_proba(self, X: Any) -> Rows:
        """The probability of each component for each row (n,K)."""
        ...


@dataclass(frozen=True, eq=False)
class MergedMixture:
    """A mixture whose components are grouped into clusters; the density is the mixture's own.

    Attributes
    ----------
    model : fitted mixture
    tree : MergeTree
        Every other number of clusters, too: ``tree.entropies``, ``tree.elbow()``,
        ``tree.linkage()``.
    n_clusters : int
    """

    model: HasPosteriors
    tree: MergeTree
    n_clusters: int

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The components of each cluster."""
        return self.tree.groups(self.n_clusters)

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        return self.tree.sentence(self.n_clusters)

    def with_clusters(self, n_clusters: int) -> MergedMixture:
        """The same tree with another number of clusters."""
        self.tree.groups(n_clusters)
        return MergedMixture(self.model, self.tree, n_clusters)

    def predict_proba(self, X: Any) -> Array:
        """The probability of each cluster for each row (n, n_clusters), also of new rows.

        With noise there is one more column, its probability last.
        """
        posteriors = np.asarray(self.model.predict_proba(X), dtype=np.float64)
        clusters = self.tree.memberships(posteriors, self.n_clusters)
        return np.hstack([clusters, posteriors[:, self.tree.n_components :]])

    def predict(self, X: Any) -> Labels:
        """The most probable cluster of each row (n,); -1 for rows of the noise."""
        labels = self.predict_proba(X).argmax(axis=1)
        return np.where(labels == self.n_clusters, NOISE_LABEL, labels)
