"""Merging components into clusters: mclust's merges, laws for any memberships, and results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import is_valid_linkage

from conftest import TRUTH, read_truth, two_groups
from mixtura import GaussianMixture, plots
from mixtura.selection import merging
from mixtura.selection.merging import TIE, merge_tree

FILES = sorted(path.name for path in TRUTH.glob("combi_*.json"))
CASES = [(file, case) for file in FILES for case in read_truth(file)["cases"]]


def memberships(n=400, K=6, seed=0, sharpness=3.0) -> np.ndarray:
    t = np.exp(sharpness * np.random.default_rng(seed).standard_normal((n, K)))
    return t / t.sum(axis=1, keepdims=True)


def entropy(t, w=None) -> float:
    h = -(t * np.log(t, where=t > 0, out=np.zeros_like(t))).sum(axis=1)
    return float(h.sum() if w is None else w @ h)


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "case"),
    CASES,
    ids=[f"{file[6:-5]}-{case['case'].replace(' ', '_')}" for file, case in CASES],
)
def test_merges_entropies_and_the_elbow_are_those_of_mclust(file, case):
    z = np.array(case["z"])
    tree = merge_tree(z)
    # The sums of n K terms t log t <= 1/e are in another order.
    rounding = z.size * np.finfo(float).eps * z.size / np.e
    np.testing.assert_allclose(
        tree.entropies[::-1], case["entropy"]["value"], atol=rounding, rtol=0
    )
    apart = True
    for merge, theirs, labels in zip(
        tree.merges, case["merges"], case["classification"], strict=False
    ):
        apart = apart and merge.gain > TIE  # after a tie the numbering may differ
        if apart:
            assert merge.pair == tuple(theirs["pair"])
            assert (tree.labels(z, labels["K"]) == np.array(labels["labels"])).all()
    assert tree.elbow() == case["clustCombiOptim_reg2"]


# ---- laws ----------------------------------------------------------------------------------------


def test_the_entropy_path_is_the_entropy_of_the_merged_memberships_and_never_rises():
    t, w = memberships(), np.random.default_rng(1).uniform(0, 3, 400)
    tree = merge_tree(t, w)
    for G in range(1, 7):
        assert tree.entropies[G - 1] == pytest.approx(entropy(tree.memberships(t, G), w), abs=1e-9)
    assert (np.diff(tree.entropies) >= -1e-9).all()
    assert tree.entropies[0] == pytest.approx(0, abs=1e-9)
    gains = [merge.gain for merge in tree.merges]
    np.testing.assert_allclose(gains, -np.diff(tree.entropies[::-1]), atol=1e-9)


def test_each_step_merges_the_best_pair_of_all():
    t = memberships(K=5, seed=3)
    for merge in merge_tree(t).merges:
        G = t.shape[1]
        merged = {}
        for k in range(G):
            for el in range(k + 1, G):
                rest = np.delete(t, el, axis=1)
                rest[:, k] += t[:, el]
                merged[k, el] = (entropy(rest), rest)
        best = min(merged, key=lambda pair: merged[pair][0])
        assert merge.pair == best
        t = merged[best][1]


def test_a_weight_is_a_repeated_row():
    t, w = memberships(), np.random.default_rng(2).integers(1, 4, 400)
    weighted, repeated = merge_tree(t, w), merge_tree(np.repeat(t, w, axis=0))
    assert weighted.groups(3) == repeated.groups(3)
    np.testing.assert_allclose(weighted.entropies, repeated.entropies, atol=1e-9)
    np.testing.assert_allclose(weighted.merged_rows, repeated.merged_rows, rtol=1e-12)


def test_the_order_of_the_components_does_not_matter():
    t = memberships()
    order = np.random.default_rng(4).permutation(6)
    one, other = merge_tree(t), merge_tree(t[:, order])
    np.testing.assert_allclose(one.entropies, other.entropies, atol=1e-9)
    for G in range(1, 7):
        renamed = {frozenset(int(order[k]) for k in group) for group in other.groups(G)}
        assert renamed == set(map(frozenset, one.groups(G)))


def test_rows_in_blocks_give_the_same_tree(monkeypatch):
    t = memberships()
    whole = merge_tree(t)
    monkeypatch.setattr(merging, "ROWS_OF_MEMBERSHIPS", 7)
    blocks = merge_tree(t)
    assert [merge.pair for merge in whole.merges] == [merge.pair for merge in blocks.merges]
    assert [merge.rows for merge in whole.merges] == [merge.rows for merge in blocks.merges]


def test_memberships_of_clusters_sum_to_one_and_keep_every_component():
    t = memberships()
    tree = merge_tree(t)
    for G in range(1, 7):
        np.testing.assert_allclose(tree.memberships(t, G).sum(axis=1), 1.0, atol=1e-12)
        assert sorted(k for group in tree.groups(G) for k in group) == list(range(6))


def test_scipy_can_draw_the_tree():
    tree = merge_tree(memberships())
    linkage = tree.linkage()
    assert is_valid_linkage(linkage)
    assert (np.diff(linkage[:, 2]) >= 0).all()
    assert linkage[-1, 3] == 6
    assert linkage[-1, 2] == pytest.approx(tree.entropies[-1])


# ---- behaviour -----------------------------------------------------------------------------------


def curved(n=600, seed=0) -> np.ndarray:
    """Half a ring of radius 5, which is not Gaussian, and a round cluster."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, n)
    ring = np.c_[5 * np.cos(angle), 5 * np.sin(angle)]
    return np.concatenate([ring, np.tile([0.0, -6.0], (n // 2, 1))]) + rng.normal(
        0, 0.4, (n + n // 2, 2)
    )


@pytest.mark.parametrize("normalised", [False, True])
def test_the_components_of_a_curved_cluster_are_merged_and_predict_new_rows(normalised):
    model = GaussianMixture(6, random_state=0).fit(curved())
    merged = model.merged(curved(), normalised=normalised)
    assert merged.with_clusters(2).predict(curved(seed=1)).tolist() in (
        [0] * 600 + [1] * 300,
        [1] * 600 + [0] * 300,
    )
    assert merged.predict_proba([[0.0, 5.0]]).shape == (1, merged.n_clusters)
    assert merged.n_clusters < 6


def test_the_sentence_names_the_components_of_each_cluster():
    merged = GaussianMixture(3, random_state=0).fit(two_groups()).merged(two_groups(), 2)
    assert merged.sentence.startswith("3 components make 2 clusters (")
    assert "entropy" in merged.sentence


@pytest.mark.parametrize("K", [1, 2])
def test_without_three_components_there_is_no_elbow(K):
    assert GaussianMixture(K, random_state=0).fit(two_groups()).merged(two_groups()).n_clusters == K


def test_more_clusters_than_components_are_refused():
    model = GaussianMixture(2, random_state=0).fit(two_groups())
    with pytest.raises(
        ValueError, match=r"between 1 and the number of components \(2\), but 3 came"
    ):
        model.merged(two_groups(), 3)


def test_rows_with_certain_memberships_tie_and_merge_without_an_error():
    tree = merge_tree(np.eye(4)[np.arange(40) % 4])
    assert tree.groups(1) == ((0, 1, 2, 3),)
    assert tree.entropies.max() == 0.0


# ---- nothing to merge ----------------------------------------------------------------------------


def far_apart(n: int, K: int = 3, distance: float = 20.0, seed: int = 0) -> np.ndarray:
    """K round clusters of unit variance in six columns."""
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(size=(n, 6)) + distance * np.eye(6)[k] for k in range(K)])


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("K", "distance"), [(3, 20.0), (5, 20.0), (4, 8.0)])
def test_clusters_that_do_not_overlap_are_not_merged(K, distance, normalised):
    X = far_apart(60, K, distance)
    merged = GaussianMixture(K, random_state=0).fit(X).merged(X, normalised=normalised)
    assert merged.n_clusters == K
    assert merged.groups == tuple((k,) for k in range(K))
    assert merged.sentence.startswith(
        f"There is nothing to merge: {K} components make {K} clusters"
    )
    assert "instead of" not in merged.sentence


@pytest.mark.parametrize("weight", [1.0, 1e-6, 1e6])
def test_rounding_makes_no_elbow(weight):
    certain = np.eye(4)[np.arange(40) % 4]
    nearly = np.abs(certain - 1e-9 * np.random.default_rng(0).random(certain.shape))
    for t in (certain, nearly / nearly.sum(axis=1, keepdims=True)):
        tree = merge_tree(t, np.full(40, weight))
        assert tree.is_separated
        assert tree.elbow() == tree.elbow(normalised=True) == 4


def test_components_that_share_one_row_in_ten_are_merged():
    t = np.eye(4)[np.arange(40) % 4]
    t[::10] = [0.5, 0.5, 0.0, 0.0]
    tree = merge_tree(t)
    assert not tree.is_separated
    assert tree.groups(tree.elbow()) == ((0, 1), (2,), (3,))


def test_a_small_entropy_is_not_rounded_to_zero_in_the_sentence():
    t = np.eye(3)[np.arange(90) % 3]
    t[0] = [0.97, 0.03, 0.0]
    sentence = merge_tree(t).sentence(2)
    assert "0.0 instead of 0.0" not in sentence
    assert "0.0 instead of 0.13" in sentence


def test_the_plot_says_that_there_is_nothing_to_merge_and_draws_no_elbow():
    tree = merge_tree(np.eye(4)[np.arange(40) % 4])
    forks, path = plots.plot_merging(tree).axes
    assert forks.get_title(loc="left") == "4 components, 4 clusters"
    assert path.get_title(loc="left").endswith("nothing to merge")
    assert path.get_ylim()[1] > 1
    assert "two lines" not in [line.get_label() for line in path.get_lines()]
    plots.plot_merging(tree, 2).draw_without_rendering()
