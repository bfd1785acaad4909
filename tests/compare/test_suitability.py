"""Which method suits: the rule on shapes whose answer is known, and each quantity that it reads."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_circles, make_moons

from mixtura.compare.comparison import compare
from mixtura.compare.suitability import SuitabilityEvidence, hollow_clusters, joined, judge
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture

EXAMPLES = Path(__file__).parents[2] / "examples"


def stretched(seed=0):
    """Three long Gaussians beside each other, none along an axis."""
    X, _ = make_blobs(500, random_state=170 + seed)
    return X @ [[0.6, -0.6], [-0.4, 0.8]]


def with_noise(seed=0):
    """Three round groups, and rows spread evenly around them."""
    X, _ = make_blobs(500, centers=3, random_state=8)
    return np.concatenate(
        [X, np.random.default_rng(seed).uniform(X.min(0) - 4, X.max(0) + 4, (75, 2))]
    )


def old_faithful():
    return np.loadtxt(EXAMPLES / "old_faithful.csv", delimiter=",", skiprows=1)


def near_ones(distance):
    """Three round groups near each other and one far away, which HDBSCAN may take for two."""
    places = np.array([[0, 0], [distance, 0], [distance / 2, 0.866 * distance], [30, 0]])
    return (np.random.default_rng(3).normal(size=(4, 200, 2)) + places[:, None]).reshape(-1, 2)


# ---- the rule on data ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("n", "noise"), [(200, 0.05), (500, 0.05), (1000, 0.07), (500, 0.1)])
def test_moons_are_for_the_density_methods_and_the_mixture_is_not_recommended(n, noise, seed):
    found = compare(make_moons(n, noise=noise, random_state=seed)[0])
    assert found.suits[0] == "HDBSCAN"
    assert "Gaussian mixture" not in found.suits
    assert "better than the mixture: 2 clusters" in found.sentences[0]
    assert "pieces and not groups" in found.sentences[0]


def test_moons_are_seen_also_where_two_components_are_asked_for():
    found = compare(make_moons(500, noise=0.05, random_state=0)[0], n_components=2)
    assert found.suits[0] == "HDBSCAN"


@pytest.mark.parametrize("n", [400, 1000])
def test_rings_are_for_the_density_methods(n):
    found = compare(make_circles(n, noise=0.05, factor=0.5, random_state=0)[0])
    assert found.suits[0] == "HDBSCAN"
    assert "Gaussian mixture" not in found.suits


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_around_groups_is_for_methods_that_have_noise(seed):
    found = compare(with_noise(seed))
    assert found.suits == ("DBSCAN", "HDBSCAN")
    assert "if noise is to be separated from groups" in found.sentences[0]
    assert 0.05 < found.evidence.background_rows < 0.2


@pytest.mark.parametrize("seed", [0, 1])
def test_stretched_gaussians_are_for_the_mixture(seed):
    found = compare(stretched(seed))
    assert found.suits[0] == "Gaussian mixture"
    assert not {"DBSCAN", "HDBSCAN"} & set(found.suits)


@pytest.mark.parametrize("distance", [3, 4, 5, 6])
def test_gaussians_near_each_other_are_no_bent_cluster(distance):
    assert not {"DBSCAN", "HDBSCAN"} & set(compare(near_ones(distance)).suits)


def test_old_faithful_is_for_the_mixture_and_k_means_draws_the_same_labels():
    found = compare(old_faithful())
    assert found.suits == ("Gaussian mixture", "K-Means")
    assert found.sentences[0].startswith("K-Means is as good for labels alone")


def test_round_groups_of_one_size_are_as_good_for_k_means_in_any_units():
    X, _ = make_blobs(500, centers=3, random_state=8)
    for units in ([1.0, 1.0], [1000.0, 1.0]):
        found = compare(X * units)
        assert found.suits == ("K-Means", "Gaussian mixture")
        assert found.sentences[0].startswith("K-Means is as good here")


def test_a_wide_group_beside_a_narrow_one_is_no_background():
    rng = np.random.default_rng(0)
    found = compare(
        np.concatenate([3 * rng.normal(size=(300, 2)), 0.3 * rng.normal(size=(300, 2)) + [12, 0]])
    )
    assert found.evidence.background == ()
    assert found.suits == ("Gaussian mixture",)


def test_one_gaussian_has_no_groups():
    found = compare(np.random.default_rng(0).normal(size=(400, 2)))
    assert found.suits == ("Gaussian mixture",)
    assert "no groups to separate" in found.sentences[0]


def test_components_that_overlap_are_not_called_groups():
    found = compare(np.random.default_rng(0).uniform(size=(1000, 2)))
    assert found.evidence.unsure > 0.3
    assert "read them as a description of the density and not as groups" in found.sentences[1]


def test_one_column_has_no_bent_clusters():
    rng = np.random.default_rng(0)
    found = compare(np.concatenate([rng.normal(m, 1, 100) for m in (0, 6, 12)])[:, None])
    assert found.evidence.bent_clusters == 0


# ---- what is measured ----------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 5, 20])
@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_a_convex_cloud_is_not_hollow(d, draw):
    rows = getattr(np.random.default_rng(0), draw)(size=(400, d))
    assert hollow_clusters(rows, np.zeros(400, dtype=int), 0)[0] < 0.05


def test_a_ring_is_hollow_and_noise_is_no_cluster():
    angle = np.linspace(0, 2 * np.pi, 300)
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.where(np.arange(300) < 290, 4, -1)
    shares = hollow_clusters(rows, labels, 0)
    assert list(shares) == [4]
    assert shares[4] > 0.5


@pytest.mark.parametrize(("distance", "together"), [(3.0, True), (6.0, False)])
def test_components_are_joined_where_the_density_has_no_dip(distance, together):
    means = np.array([[0.0, 0.0], [distance, 0.0]])
    mixture = Mixture(
        np.array([0.5, 0.5]), means, Dense.from_whitener(np.stack([np.eye(2)] * 2), 2)
    )
    assert joined(mixture).tolist() == [[True, together], [together, True]]


def test_without_a_mixture_nothing_is_recommended():
    assert judge(SuitabilityEvidence(100)).suits == ()


def test_much_noise_is_not_trusted():
    bent = {
        "bent_clusters": 2,
        "bent_components": 8,
        "bent_rows": 0.9,
        "hollow": {"HDBSCAN": 0.3, "Gaussian mixture": 0.0},
    }
    trusted = SuitabilityEvidence(
        100, n_components=8, noise={"DBSCAN": 0.0, "HDBSCAN": 0.1}, **bent
    )
    doubtful = SuitabilityEvidence(
        100, n_components=8, noise={"DBSCAN": 0.0, "HDBSCAN": 0.3}, unsure=0.0, **bent
    )
    assert judge(trusted).suits == ("HDBSCAN",)
    assert judge(doubtful).suits == ("Gaussian mixture",)
