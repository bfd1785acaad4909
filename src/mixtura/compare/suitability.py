"""Which method suits the data: quantities measured on the clusters of each, and one stated rule
that reads them.

The rule, in this order; each number has a name below, and docs/comparing.md says it with examples:

1. *Bent clusters.* A cluster of HDBSCAN is bent when many points halfway between two of its rows
   lie in empty space, and the mixture (the one that BIC chooses) covers it with three or more
   components that are joined without a dip of the density. When enough rows lie in bent clusters
   and few are noise, HDBSCAN suits better, and DBSCAN too where both draw the same clusters.
2. *Background noise.* A component is background when most of its rows are noise to DBSCAN, its
   volume is many times that of the others, and it lies around all of them. Then DBSCAN, and HDBSCAN
   where it agrees, set apart what a mixture has to call a group.
3. *No clusters.* BIC keeps one component.
4. *K-Means is as good* when it draws the same clusters and few rows are unsure. It suits altogether
   when a mixture of equal ellipses along the axes, which are equal spheres up to the units of the
   columns, is about as good by BIC.
5. Otherwise the mixture; where many rows are unsure, as a density and not as groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, cast

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2
from sklearn.metrics import adjusted_rand_score

from mixtura.base.arrays import Array, Flags, Labels
from mixtura.base.choices import CovarianceType
from mixtura.base.numbering import number_of
from mixtura.compare.contenders import (
    DENSITY,
    HIERARCHY,
    K_MEANS,
    LARGEST_K,
    MIXTURE,
    NOISE,
    SURE,
    Outcome,
    core_distances,
    count,
    n_clusters,
    neighbours,
)
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.model.fit_result import StopReason
from mixtura.model.mixture import Mixture
from mixtura.selection.merging import merge_tree

EMPTY = 1.5
"""A point lies in empty space when its k-th row is farther away than this many times that of either
row it is halfway between.
"""

HOLLOW = 0.1
"""A cluster is hollow when at least this share of its halfway points lies in empty space."""

PAIRS = 1_000
"""Pairs of rows that are drawn from a cluster."""

PIECES = 3
"""A mixture that spends so many joined components on one cluster covers a shape that no Gaussian
has.
"""

JOINED = 0.2
"""Two components are joined when the density along the ridge between them stays above this share of
the lower end's.
"""

RIDGE = np.linspace(0.0, 1.0, 21)
"""Where the ridge is looked at."""

BENT_ROWS = 0.2
"""Bent clusters matter when they hold at least this share of the rows."""

TRUSTED_NOISE = 0.2
"""A density method that calls more than this share noise has not found what the data are made
of.
"""

SAME = 0.95
"""Two labellings are called the same from this adjusted Rand index."""

MUCH_NOISE = 0.02
"""Noise matters from this share of the rows."""

BACKGROUND = 10.0
"""A background component has at least this many times the volume of a usual one."""

AROUND = 0.99
"""It lies around others when their means are inside its ellipse of this probability."""

FEW_UNSURE = 0.05
"""Memberships say little more than labels when at most this share of the rows is unsure."""

MANY_UNSURE = 0.3
"""From this share of the rows, components overlap too much to be called groups."""

SAME_BIC = 10.0
"""A difference in BIC below this is not very strong evidence (Kass & Raftery 1995)."""


@dataclass(frozen=True)
class Evidence:
    """What was measured on some of the rows; what could not be measured is NaN or not there.

    Attributes
    ----------
    n_rows : int
        Rows that it was measured on.
    n_components : int
        Of the mixture; 0 where it failed.
    n_clusters : dict
        For each method.
    unsure : float
        Share of rows without a component that has 90 % of them.
    hollow : dict
        For each method, the share of points halfway between two rows of one cluster that lie in
        empty space.
    noise : dict
        For DBSCAN and HDBSCAN, the share of rows in no cluster.
    agreement : dict
        Adjusted Rand index of each pair of methods.
    bent_clusters, bent_components, bent_rows : int, int, float
        Clusters of HDBSCAN that are bent, components that the mixture spends on them, and their
        share of the rows.
    merged : float
        Adjusted Rand index of HDBSCAN and the mixture with its components merged into as many
        clusters.
    background : tuple of int
        Components that are background, from 0.
    background_rows : float
        Their share of the rows.
    background_noise : dict
        For DBSCAN and HDBSCAN, the share of those rows that are in no cluster.
    alike : float
        Adjusted Rand index of DBSCAN and HDBSCAN on rows that neither calls noise.
    spheres : float
        BIC of equal ellipses along the axes (EEI) less that of the mixture; positive where the
        mixture is better.
    """

    n_rows: int
    n_components: int = 0
    n_clusters: dict[str, int] = field(default_factory=dict)
    unsure: float = float("nan")
    hollow: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    agreement: dict[tuple[str, str], float] = field(default_factory=dict)
    bent_clusters: int = 0
    bent_components: int = 0
    bent_rows: float = 0.0
    merged: float = float("nan")
    background: tuple[int, ...] = ()
    background_rows: float = 0.0
    background_noise: dict[str, float] = field(default_factory=dict)
    alike: float = float("nan")
    spheres: float = float("nan")


@dataclass(frozen=True)
class Verdict:
    """The methods that suit the data, best first, and why in sentences."""

    suits: tuple[str, ...]
    sentences: tuple[str, ...]


# ---- measuring -----------------------------------------------------------------------------------


def measure(
    Z: Array, outcomes: Mapping[str, Outcome], judged: Labels, seed: int | None
) -> Evidence:
    """All quantities of the rule, on the ``judged`` rows of ``Z (n,d)``."""
    rows = Z[judged]
    labels = {name: outcome.labels[judged] for name, outcome in outcomes.items()}
    density = [name for name in (DENSITY, HIERARCHY) if name in labels]
    agreement = {
        (a, b): float(adjusted_rand_score(labels[a], labels[b]))
        for a in labels
        for b in labels
        if a != b
    }
    hollow = {name: hollow_clusters(rows, own, seed) for name, own in labels.items()}
    return Evidence(
        n_rows=len(rows),
        n_clusters={name: n_clusters(own) for name, own in labels.items()},
        hollow={name: _over_rows(shares, labels[name]) for name, shares in hollow.items()},
        noise={name: float(np.mean(labels[name] == NOISE)) for name in density},
        agreement=agreement,
        alike=_alike(labels),
        **(
            _about_the_mixture(rows, outcomes[MIXTURE], judged, labels, hollow, seed)
            if MIXTURE in outcomes
            else {}
        ),
    )


def hollow_clusters(Z: Array, labels: Labels, seed: int | None) -> dict[int, float]:
    """For each cluster, the share of points halfway between two of its rows that lie in empty
    space.

    Halfway points of a convex cluster whose density does not rise outwards, as of any Gaussian, lie
    where rows are at least as dense as at the two ends. Those of a crescent or a ring do not.
    """
    k, rng = neighbours(Z), np.random.default_rng(seed)
    own = core_distances(Z, Z, k)
    shares = {}
    for cluster in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == cluster)
        a, b = rng.choice(members, PAIRS), rng.choice(members, PAIRS)
        halfway = core_distances(0.5 * (Z[a] + Z[b]), Z, k)
        shares[int(cluster)] = float(np.mean(halfway > EMPTY * np.maximum(own[a], own[b])))
    return shares


def _alike(labels: Mapping[str, Labels]) -> float:
    """Whether both density methods draw the same clusters, whatever they call noise."""
    if DENSITY not in labels or HIERARCHY not in labels:
        return float("nan")
    inside = (labels[DENSITY] >= 0) & (labels[HIERARCHY] >= 0)
    return (
        float(adjusted_rand_score(labels[DENSITY][inside], labels[HIERARCHY][inside]))
        if inside.any()
        else float("nan")
    )


def _over_rows(shares: Mapping[int, float], labels: Labels) -> float:
    """The mean over the rows in clusters."""
    inside = [shares[int(label)] for label in labels if label >= 0]
    return float(np.mean(inside)) if inside else float("nan")


def _about_the_mixture(
    rows: Array,
    outcome: Outcome,
    judged: Labels,
    labels: Mapping[str, Labels],
    hollow: Mapping[str, Mapping[int, float]],
    seed: int | None,
) -> dict[str, Any]:
    """The quantities that need the mixture."""
    assert outcome.model is not None
    assert outcome.memberships is not None
    memberships = outcome.memberships[judged]
    found: dict[str, Any] = {
        "n_components": memberships.shape[1],
        "unsure": float(np.mean(memberships.max(axis=1) < SURE)),
        "spheres": _spheres(rows, outcome.model, seed),
    }
    if HIERARCHY in labels and rows.shape[1] > 1:  # on a line nothing bends
        torn = _over_rows(hollow[MIXTURE], labels[MIXTURE]) >= HOLLOW
        mixture = _chosen_by_bic(rows, outcome.model, seed) if torn else outcome.model.mixture_
        found |= _bent(mixture, rows, labels[HIERARCHY], hollow[HIERARCHY])
        found["merged"] = _merged(memberships, labels[HIERARCHY])
    if DENSITY in labels:
        found |= _background(outcome.model.mixture_, labels)
    return found


def _spheres(rows: Array, model: GaussianMixture, seed: int | None) -> float:
    """How much worse equal spheres, the model of K-Means, are by BIC; each column has the unit that
    suits them best.
    """
    try:
        spheres = GaussianMixture(model.n_components, covariance_type="EEI", random_state=seed).fit(
            rows
        )
        if spheres.result_.stop is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        return float(spheres.bic(rows) - model.bic(rows))
    except ValueError:  # fewer distinct rows than components
        return float("nan")


def _chosen_by_bic(rows: Array, model: GaussianMixture, seed: int | None) -> Mixture:
    """A mixture with as many components as it takes, where the one that was asked for has too
    few.
    """
    ks, family = range(1, LARGEST_K + 1), model.result_.family
    selector = GaussianMixtureSelector(
        ks, families=[cast("CovarianceType", family)], random_state=seed
    ).fit(rows)
    if selector.selection_.interrupted:
        raise KeyboardInterrupt
    return selector.mixture_


def _bent(
    mixture: Mixture, rows: Array, hierarchy: Labels, hollow: Mapping[int, float]
) -> dict[str, Any]:
    """Clusters of HDBSCAN that are hollow, and that the mixture covers with a chain of
    components.
    """
    own, together = mixture.posterior(rows).argmax(axis=1), joined(mixture)
    home = {int(k): _most_frequent(hierarchy[own == k]) for k in np.unique(own)}
    pieces = {
        c: [k for k, at in home.items() if at == c]
        for c, share in hollow.items()
        if share >= HOLLOW
    }
    bent = [c for c, components in pieces.items() if _longest_chain(together, components) >= PIECES]
    return {
        "bent_clusters": len(bent),
        "bent_components": sum(len(pieces[c]) for c in bent),
        "bent_rows": float(np.isin(hierarchy, bent).mean()),
    }


def _longest_chain(together: Flags, components: list[int]) -> int:
    """The most components that are joined to each other, directly or through others of them."""
    if not components:
        return 0
    _, chain = connected_components(together[np.ix_(components, components)])
    return int(np.bincount(chain).max())


def joined(mixture: Mixture) -> Flags:
    """Which pairs of components (K,K) are joined: the mixture's density does not dip along the
    ridge between their means.

    The ridge holds every point where the density of any mixture of the two can have a maximum (Ray
    & Lindsay 2005).
    """
    precisions = np.linalg.inv(_dense(mixture))
    pulls = np.einsum("kij,kj->ki", precisions, mixture.means)
    together = np.eye(mixture.n_components, dtype=bool)
    for a, b in combinations(range(mixture.n_components), 2):
        inner = RIDGE[:, None, None] * precisions[a] + (1 - RIDGE)[:, None, None] * precisions[b]
        ridge = np.linalg.solve(
            inner, (RIDGE[:, None] * pulls[a] + (1 - RIDGE)[:, None] * pulls[b])[..., None]
        )[..., 0]
        density = mixture.log_density(ridge)
        together[a, b] = together[b, a] = density.min() - min(density[0], density[-1]) >= np.log(
            JOINED
        )
    return together


def _dense(mixture: Mixture) -> Array:
    """All covariances (K,d,d)."""
    K, d = mixture.n_components, mixture.n_features
    return np.broadcast_to(mixture.covariance.dense(), (K, d, d))


def _most_frequent(labels: Labels) -> int:
    values, times = np.unique(labels, return_counts=True)
    return int(values[np.argmax(times)])


def _merged(memberships: Array, hierarchy: Labels) -> float:
    """How well merged components draw the clusters of HDBSCAN; its noise does not count."""
    clusters, inside = n_clusters(hierarchy), hierarchy >= 0
    if not 1 <= clusters < memberships.shape[1]:
        return float("nan")
    merged = merge_tree(memberships).labels(memberships, clusters)
    return float(adjusted_rand_score(hierarchy[inside], merged[inside]))


def _background(mixture: Mixture, labels: Mapping[str, Labels]) -> dict[str, Any]:
    """Components that are noise to DBSCAN, large, and around all others."""
    own = labels[MIXTURE]
    noise = [
        float(np.mean(labels[DENSITY][own == k] == NOISE)) if (own == k).any() else 0.0
        for k in range(mixture.n_components)
    ]
    suspects = np.flatnonzero(np.array(noise) >= 0.5)
    groups = np.setdiff1d(np.arange(mixture.n_components), suspects)
    if not len(suspects) or not len(groups):
        return {}
    volumes = np.exp(0.5 * np.broadcast_to(mixture.covariance.log_det, mixture.n_components))
    large = suspects[volumes[suspects] >= BACKGROUND * np.median(volumes[groups])]
    if not len(large) or not _lies_around(mixture, large, groups):
        return {}
    inside = np.isin(own, large)
    return {
        "background": tuple(int(k) for k in large),
        "background_rows": float(inside.mean()),
        "background_noise": {
            name: float(np.mean(labels[name][inside] == NOISE))
            for name in (DENSITY, HIERARCHY)
            if name in labels
        },
    }


def _lies_around(mixture: Mixture, large: Labels, groups: Labels) -> bool:
    """Whether the means of all groups are inside the ellipse of the large components taken
    together.
    """
    weights = mixture.weights[large] / mixture.weights[large].sum()
    centre = weights @ mixture.means[large]
    shifts = mixture.means[large] - centre
    spread = np.einsum("k,kij->ij", weights, _dense(mixture)[large]) + np.einsum(
        "k,ki,kj->ij", weights, shifts, shifts
    )
    away = mixture.means[groups] - centre
    distances = np.einsum("ki,ki->k", away, np.linalg.solve(spread, away.T).T)
    return bool((distances <= chi2.ppf(AROUND, mixture.n_features)).all())


# ---- the rule ------------------------------------------------------------------------------------


def judge(evidence: Evidence) -> Verdict:
    """The methods that suit, by the rule at the head of this module."""
    rules = (
        _without_a_mixture,
        _where_clusters_are_bent,
        _where_there_is_noise,
        _where_there_is_one,
        _where_k_means_does,
    )
    found = (rule(evidence) for rule in rules)
    return next((verdict for verdict in found if verdict is not None), None) or _otherwise(evidence)


def _without_a_mixture(e: Evidence) -> Verdict | None:
    if e.n_components:
        return None
    return Verdict(
        (), ("Which method suits the data is judged from the mixture, and there is none.",)
    )


def _where_clusters_are_bent(e: Evidence) -> Verdict | None:
    if e.bent_rows < BENT_ROWS or e.noise.get(HIERARCHY, 1.0) > TRUSTED_NOISE:
        return None
    suits = [HIERARCHY] + [DENSITY] * (e.alike >= SAME and e.noise[DENSITY] <= TRUSTED_NOISE)
    what = (
        f"{_percent(e.hollow[HIERARCHY])} of the points halfway between two rows of one cluster "
        "lie in empty space"
    )
    sentences = [
        f"{_another(suits)}: {count(e.bent_clusters, 'cluster')} with {_percent(e.bent_rows)} of "
        "the rows "
        f"{'has a shape' if e.bent_clusters == 1 else 'have shapes'} that no Gaussian has. {what}; "
        "a mixture covers "
        f"{'it' if e.bent_clusters == 1 else 'them'} with {count(e.bent_components, 'component')}, "
        "which are pieces and not groups."
    ]
    if e.merged == e.merged:
        helps = (
            "draws the same clusters as" if e.merged >= SAME else "does not draw the clusters of"
        )
        sentences.append(
            f"Merging the mixture's components into as many clusters (mixtura fit --merge) {helps} "
            "HDBSCAN: adjusted Rand index "
            f"{e.merged:.2f}."
        )
    return Verdict(tuple(suits), tuple(sentences))


def _where_there_is_noise(e: Evidence) -> Verdict | None:
    if not e.background or e.background_rows < MUCH_NOISE:
        return None
    suits = [name for name in (DENSITY, HIERARCHY) if e.background_noise.get(name, 0.0) >= 0.5]
    many = len(e.background) > 1
    named = f"component{'s' * many} {_listed([number_of(k) for k in e.background])} of the mixture"
    return Verdict(
        tuple(suits),
        (
            f"{_another(suits)}, if noise is to be told from groups: {named}, with "
            f"{_percent(e.background_rows)} of the rows, "
            f"{'are' if many else 'is'} no group but a background around all others, and "
            f"{_percent(e.background_noise[DENSITY])} of these rows are noise to DBSCAN. A mixture "
            "has to give every "
            "row to a component.",
        ),
    )


def _where_there_is_one(e: Evidence) -> Verdict | None:
    if e.n_components > 1:
        return None
    return Verdict(
        (MIXTURE,),
        (
            "The mixture has one component: there are no groups to be told apart. K-Means by "
            "silhouette cannot say so.",
        ),
    )


def _where_k_means_does(e: Evidence) -> Verdict | None:
    agreement = e.agreement.get((K_MEANS, MIXTURE), 0.0)
    if agreement < SAME or e.unsure > FEW_UNSURE:
        return None
    same = (
        f"K-Means draws the same clusters as the mixture (adjusted Rand index {agreement:.2f}), "
        f"and {_percent(e.unsure)} of the "
        "rows are unsure"
    )
    if e.spheres < SAME_BIC:
        return Verdict(
            (K_MEANS, MIXTURE),
            (
                f"K-Means is as good here: {same}. The clusters are round and of one size, up to "
                "the units of the columns: "
                f"{_spheres_in_words(e)}.",
            ),
        )
    return Verdict(
        (MIXTURE, K_MEANS),
        (
            f"For labels alone K-Means is as good: {same}. As a description the mixture is better, "
            "because the clusters are not "
            f"round and of one size in any units: {_spheres_in_words(e)}.",
        ),
    )


def _otherwise(e: Evidence) -> Verdict:
    reasons = (
        [f"{_percent(e.unsure)} of the rows are unsure, which only the mixture says"]
        if e.unsure > 0
        else []
    )
    if (K_MEANS, MIXTURE) in e.agreement:
        reasons.append(
            f"K-Means, with {count(e.n_clusters[K_MEANS], 'cluster')}, draws others than the "
            "mixture, with "
            f"{e.n_components} (adjusted Rand index {e.agreement[K_MEANS, MIXTURE]:.2f})"
        )
    if e.spheres == e.spheres:
        reasons.append(_spheres_in_words(e))
    said = [
        "Nothing measured here speaks for another method than the mixture: "
        + "; ".join(reasons)
        + "."
    ]
    if e.unsure >= MANY_UNSURE:
        said.append(
            "But so many unsure rows mean that its components overlap: read them as a description "
            "of the density and not as "
            "groups, or merge them (mixtura fit --merge elbow)."
        )
    return Verdict((MIXTURE,), tuple(said))


# ---- words ---------------------------------------------------------------------------------------


def _another(suits: list[str]) -> str:
    """The beginning of the sentence that recommends others."""
    return (
        f"{_listed(suits)} {'suit' if len(suits) > 1 else 'suits'} these data better than the "
        "mixture"
    )


def _spheres_in_words(e: Evidence) -> str:
    """What equal spheres cost."""
    way = "higher" if e.spheres >= 0 else "lower"
    return (
        f"equal spheres, the model of K-Means, have a BIC {abs(e.spheres):,.1f} {way} than the "
        "mixture's (lower is better)"
    )


def _percent(share: float) -> str:
    """``12 %``; never 0 for something that is there."""
    return "less than 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
