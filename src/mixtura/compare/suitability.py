"""Which method suits the data: measurements on the clusters of each method, and one rule.

The rule takes the first case that holds. Its numbers are the constants below: conventions, chosen
once and tested on the shapes in ``tests/compare/test_suitability.py``. docs/comparing.md explains
them.

1. *Bent clusters.* A cluster of HDBSCAN is bent when many points halfway between two of its rows
   lie in empty space, and the mixture (with K by BIC) covers it with three or more components that
   are joined without a dip of the density. When enough rows are in bent clusters and few are noise,
   HDBSCAN suits better, and DBSCAN as well where both find the same clusters.
2. *Background noise.* A component is background when most of its rows are noise for DBSCAN, its
   volume is many times that of the others, and it surrounds all of them. Then DBSCAN, and HDBSCAN
   where it agrees, separate what a mixture has to call a group.
3. *No clusters.* BIC chooses one component.
4. *K-Means is as good* when it finds the same clusters and few rows are unsure. It suits completely
   when a mixture of equal axis-parallel ellipses, which are equal spheres up to the units of the
   columns, is about as good by BIC.
5. Otherwise the mixture suits; where many rows are unsure, as a density and not as groups.
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
from mixtura.base.certainty import SURE
from mixtura.base.choices import CovarianceType
from mixtura.base.numbering import number_of
from mixtura.compare.contenders import (
    DENSITY,
    HIERARCHY,
    K_MEANS,
    LARGEST_K,
    MIXTURE,
    NOISE,
    Outcome,
    core_distances,
    count,
    n_clusters,
    neighbours,
)
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.selector import GaussianMixtureSelector
from mixtura.model.fit_result import StopReason
from mixtura.selection.merging import merge_tree

EMPTY_SPACE_RATIO = 1.5
"""A halfway point is in empty space when the distance to its k-th row is more than this many times
that of both end points.
"""

HOLLOW_SHARE = 0.1
"""A cluster is hollow when at least this share of its halfway points is in empty space."""

PAIRS = 1_000
"""Pairs of rows drawn from a cluster."""

PIECES = 3
"""A cluster with at least this many joined components has a shape that no Gaussian has."""

JOINED_DENSITY = 0.2
"""Two components are joined when the density on the ridge between their means stays above this
share of its lower end.
"""

RIDGE = np.linspace(0.0, 1.0, 21)
"""The places on the ridge where the density is computed, as shares of its length."""

BENT_ROWS = 0.2
"""Bent clusters matter from this share of the rows on."""

TRUSTED_NOISE = 0.2
"""HDBSCAN is not recommended, nor DBSCAN, where it calls more than this share of the rows noise."""

SAME_CLUSTERS = 0.95
"""Two labellings are called the same from this adjusted Rand index on."""

BACKGROUND_ROWS = 0.02
"""Background noise matters from this share of the rows on."""

BACKGROUND_VOLUME = 10.0
"""A background component has at least this many times the median volume of the others."""

BACKGROUND_LEVEL = 0.99
"""A background component surrounds others whose means are in its ellipse of this probability."""

FEW_UNSURE = 0.05
"""Up to this share of unsure rows, memberships say little more than labels."""

MANY_UNSURE = 0.3
"""From this share of unsure rows on, components overlap too much to be called groups."""

SAME_BIC = 10.0
"""A difference in BIC below this is not very strong evidence (Kass & Raftery 1995)."""


@dataclass(frozen=True)
class SuitabilityEvidence:
    """The measurements that the rule uses; those that are not available are NaN or missing.

    Attributes
    ----------
    n_rows : int
        Rows used for the measurements.
    n_components : int
        Components of the mixture; 0 where it failed.
    n_clusters : dict
        Number of clusters by method.
    unsure : float
        Share of rows whose largest membership is below 90 %.
    hollow : dict
        By method, the share of points halfway between two rows of one cluster that are in empty
        space.
    noise : dict
        For DBSCAN and HDBSCAN, the share of noise rows.
    agreement : dict
        Adjusted Rand index of each pair of methods.
    bent_clusters, bent_components, bent_rows : int, int, float
        The number of bent clusters of HDBSCAN, of the components that cover them, and their share
        of the rows.
    merged : float
        Adjusted Rand index of HDBSCAN and the mixture merged into the same number of clusters.
    background : tuple of int
        The background components.
    background_rows : float
        Their share of the rows.
    background_noise : dict
        For DBSCAN and HDBSCAN, the share of those rows that are noise.
    alike : float
        Adjusted Rand index of DBSCAN and HDBSCAN on rows that neither calls noise.
    spheres : float
        BIC of equal axis-parallel ellipses (EEI) minus that of the mixture; positive where the
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
    """The methods that suit the data, best first, and the reasons in sentences."""

    suits: tuple[str, ...]
    sentences: tuple[str, ...]


# ---- measuring -----------------------------------------------------------------------------------


def measure(
    Z: Array, outcomes: Mapping[str, Outcome], judged: Labels, seed: int | None
) -> SuitabilityEvidence:
    """All measurements of the rule, on the ``judged`` rows of ``Z (n,d)``."""
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
    return SuitabilityEvidence(
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
    """For each cluster, the share of points halfway between two of its rows that are in empty
    space.

    In a convex cluster whose density decreases outwards, such as a Gaussian, the density halfway is
    at least that of the end points. In a crescent or a ring it is not.
    """
    k, rng = neighbours(Z), np.random.default_rng(seed)
    own = core_distances(Z, Z, k)
    shares = {}
    for cluster in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == cluster)
        a, b = rng.choice(members, PAIRS), rng.choice(members, PAIRS)
        halfway = core_distances(0.5 * (Z[a] + Z[b]), Z, k)
        shares[int(cluster)] = float(
            np.mean(halfway > EMPTY_SPACE_RATIO * np.maximum(own[a], own[b]))
        )
    return shares


def _alike(labels: Mapping[str, Labels]) -> float:
    """How well both density methods agree on rows that neither calls noise."""
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
    """The measurements that need the mixture."""
    assert outcome.model is not None
    assert outcome.memberships is not None
    memberships = outcome.memberships[judged]
    found: dict[str, Any] = {
        "n_components": memberships.shape[1],
        "unsure": float(np.mean(memberships.max(axis=1) < SURE)),
        "spheres": _spheres(rows, outcome.model, seed),
    }
    if HIERARCHY in labels and rows.shape[1] > 1:  # in one dimension no cluster is bent
        is_hollow = _over_rows(hollow[MIXTURE], labels[MIXTURE]) >= HOLLOW_SHARE
        mixture = _chosen_by_bic(rows, outcome.model, seed) if is_hollow else outcome.model.mixture_
        found |= _bent(mixture, rows, labels[HIERARCHY], hollow[HIERARCHY])
        found["merged"] = _merged(memberships, labels[HIERARCHY])
    if DENSITY in labels:
        found |= _background(outcome.model.mixture_, labels)
    return found


def _spheres(rows: Array, model: GaussianMixture, seed: int | None) -> float:
    """How much worse equal spheres, the model of K-Means, are by BIC, with the best unit of each
    column.
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
    """A mixture with K by BIC, where the given K is too small."""
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
    """The clusters of HDBSCAN that are hollow and covered by a chain of components."""
    own, together = mixture.posterior(rows).argmax(axis=1), joined(mixture)
    home = {int(k): _most_frequent(hierarchy[own == k]) for k in np.unique(own)}
    pieces = {
        c: [k for k, at in home.items() if at == c]
        for c, share in hollow.items()
        if share >= HOLLOW_SHARE
    }
    bent = [c for c, components in pieces.items() if _longest_chain(together, components) >= PIECES]
    return {
        "bent_clusters": len(bent),
        "bent_components": sum(len(pieces[c]) for c in bent),
        "bent_rows": float(np.isin(hierarchy, bent).mean()),
    }


def _longest_chain(together: Flags, components: list[int]) -> int:
    """The size of the largest group of components that are joined directly or through others."""
    if not components:
        return 0
    _, chain = connected_components(together[np.ix_(components, components)])
    return int(np.bincount(chain).max())


def joined(mixture: Mixture) -> Flags:
    """Which pairs of components (K,K) are joined: the density of the mixture does not dip on the
    ridge between their means.

    The ridge line contains all maxima of the density of any mixture of the two (Ray & Lindsay
    2005).
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
            JOINED_DENSITY
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
    """How well merged components agree with the clusters of HDBSCAN, without its noise."""
    clusters, inside = n_clusters(hierarchy), hierarchy >= 0
    if not 1 <= clusters < memberships.shape[1]:
        return float("nan")
    merged = merge_tree(memberships).labels(memberships, clusters)
    return float(adjusted_rand_score(hierarchy[inside], merged[inside]))


def _background(mixture: Mixture, labels: Mapping[str, Labels]) -> dict[str, Any]:
    """The components that are noise for DBSCAN, large, and surround all others."""
    own = labels[MIXTURE]
    noise = [
        float(np.mean(labels[DENSITY][own == k] == NOISE)) if (own == k).any() else 0.0
        for k in range(mixture.n_components)
    ]
    candidates = np.flatnonzero(np.array(noise) >= 0.5)
    groups = np.setdiff1d(np.arange(mixture.n_components), candidates)
    if not len(candidates) or not len(groups):
        return {}
    volumes = np.exp(0.5 * np.broadcast_to(mixture.covariance.log_det, mixture.n_components))
    large = candidates[volumes[candidates] >= BACKGROUND_VOLUME * np.median(volumes[groups])]
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
    """Whether the means of all groups are in the joint ellipse of the large components."""
    weights = mixture.weights[large] / mixture.weights[large].sum()
    centre = weights @ mixture.means[large]
    shifts = mixture.means[large] - centre
    spread = np.einsum("k,kij->ij", weights, _dense(mixture)[large]) + np.einsum(
        "k,ki,kj->ij", weights, shifts, shifts
    )
    away = mixture.means[groups] - centre
    distances = np.einsum("ki,ki->k", away, np.linalg.solve(spread, away.T).T)
    return bool((distances <= chi2.ppf(BACKGROUND_LEVEL, mixture.n_features)).all())


# ---- the rule ------------------------------------------------------------------------------------


def judge(evidence: SuitabilityEvidence) -> Verdict:
    """The methods that suit, by the rule in the docstring of this module."""
    rules = (
        _without_a_mixture,
        _where_clusters_are_bent,
        _where_there_is_noise,
        _where_there_is_one,
        _where_k_means_does,
    )
    found = (rule(evidence) for rule in rules)
    return next((verdict for verdict in found if verdict is not None), None) or _otherwise(evidence)


def _without_a_mixture(e: SuitabilityEvidence) -> Verdict | None:
    if e.n_components:
        return None
    return Verdict(
        (), ("Which method suits the data cannot be judged, because there is no mixture.",)
    )


def _where_clusters_are_bent(e: SuitabilityEvidence) -> Verdict | None:
    if e.bent_rows < BENT_ROWS or e.noise.get(HIERARCHY, 1.0) > TRUSTED_NOISE:
        return None
    suits = [HIERARCHY] + [DENSITY] * (
        e.alike >= SAME_CLUSTERS and e.noise[DENSITY] <= TRUSTED_NOISE
    )
    what = (
        f"{_percent(e.hollow[HIERARCHY])} of the points halfway between two rows of one cluster "
        "are in empty space"
    )
    sentences = [
        f"{_another(suits)}: {count(e.bent_clusters, 'cluster')} with {_percent(e.bent_rows)} of "
        f"the rows {'has a shape' if e.bent_clusters == 1 else 'have shapes'} that no Gaussian "
        f"has. {what}; a mixture covers {'it' if e.bent_clusters == 1 else 'them'} with "
        f"{count(e.bent_components, 'component')}, which are pieces and not groups."
    ]
    if e.merged == e.merged:
        helps = (
            "finds the same clusters as"
            if e.merged >= SAME_CLUSTERS
            else "does not find the clusters of"
        )
        sentences.append(
            "Merging the mixture's components into the same number of clusters (mixtura fit "
            f"--merge) {helps} HDBSCAN: adjusted Rand index {e.merged:.2f}."
        )
    return Verdict(tuple(suits), tuple(sentences))


def _where_there_is_noise(e: SuitabilityEvidence) -> Verdict | None:
    if not e.background or e.background_rows < BACKGROUND_ROWS:
        return None
    suits = [name for name in (DENSITY, HIERARCHY) if e.background_noise.get(name, 0.0) >= 0.5]
    many = len(e.background) > 1
    named = f"component{'s' * many} {_listed([number_of(k) for k in e.background])} of the mixture"
    return Verdict(
        tuple(suits),
        (
            f"{_another(suits)}, if noise is to be separated from groups: {named}, with "
            f"{_percent(e.background_rows)} of the rows, {'are' if many else 'is'} not a group but "
            f"background around all others, and {_percent(e.background_noise[DENSITY])} of these "
            "rows are noise for DBSCAN. A mixture must assign every row to a component.",
        ),
    )


def _where_there_is_one(e: SuitabilityEvidence) -> Verdict | None:
    if e.n_components > 1:
        return None
    return Verdict(
        (MIXTURE,),
        (
            "The mixture has one component: there are no groups to separate. K-Means with the "
            "silhouette cannot find this.",
        ),
    )


def _where_k_means_does(e: SuitabilityEvidence) -> Verdict | None:
    agreement = e.agreement.get((K_MEANS, MIXTURE), 0.0)
    if agreement < SAME_CLUSTERS or e.unsure > FEW_UNSURE:
        return None
    same = (
        f"it finds the same clusters as the mixture (adjusted Rand index {agreement:.2f}), and "
        f"{_percent(e.unsure)} of the rows are unsure"
    )
    if e.spheres < SAME_BIC:
        return Verdict(
            (K_MEANS, MIXTURE),
            (
                f"K-Means is as good here: {same}. The clusters are round and of equal size, up to "
                f"the units of the columns: {_spheres_in_words(e)}.",
            ),
        )
    return Verdict(
        (MIXTURE, K_MEANS),
        (
            f"K-Means is as good for labels alone: {same}. The mixture describes the data better, "
            "because the clusters are not round and of equal size in any units: "
            f"{_spheres_in_words(e)}.",
        ),
    )


def _otherwise(e: SuitabilityEvidence) -> Verdict:
    reasons = (
        [f"{_percent(e.unsure)} of the rows are unsure, which only the mixture can say"]
        if e.unsure > 0
        else []
    )
    if (K_MEANS, MIXTURE) in e.agreement:
        reasons.append(
            f"K-Means with {count(e.n_clusters[K_MEANS], 'cluster')} and the mixture with "
            f"{e.n_components} have an adjusted Rand index of {e.agreement[K_MEANS, MIXTURE]:.2f}"
        )
    if e.spheres == e.spheres:
        reasons.append(_spheres_in_words(e))
    said = ["No measurement favours another method over the mixture: " + "; ".join(reasons) + "."]
    if e.unsure >= MANY_UNSURE:
        said.append(
            "So many unsure rows mean that the components overlap: read them as a description of "
            "the density and not as groups, or merge them (mixtura fit --merge elbow)."
        )
    return Verdict((MIXTURE,), tuple(said))


# ---- texts ---------------------------------------------------------------------------------------


def _another(suits: list[str]) -> str:
    """The beginning of a sentence that recommends other methods."""
    return (
        f"{_listed(suits)} {'suit' if len(suits) > 1 else 'suits'} these data better than the "
        "mixture"
    )


def _spheres_in_words(e: SuitabilityEvidence) -> str:
    """The difference in BIC of equal spheres."""
    way = "higher" if e.spheres >= 0 else "lower"
    return (
        f"the BIC of equal spheres, the model of K-Means, is {abs(e.spheres):,.1f} {way} than that "
        "of the mixture (lower is better)"
    )


def _percent(share: float) -> str:
    """``12 %``; never 0 for a positive share."""
    return "less than 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
