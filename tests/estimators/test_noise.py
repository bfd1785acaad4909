"""GaussianMixture with noise: mclust's optima, recovered groups, faces and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

import mixtura
from conftest import ALL_FAMILIES, dataset, read_data, read_truth
from mixtura import GaussianMixture, GaussianMixtureSelector, plots
from mixtura.backends import backend_named
from mixtura.base.errors import DataError
from mixtura.data.dataset import Dataset
from mixtura.data.noise_box import noise_box
from mixtura.model.certificate import Certificate
from mixtura.model.observation import Observation
from mixtura.report import write_report
from mixtura.sources import ArraySource
from mixtura.sources.array import ROWS_PER_COPY

TRUTH = ["noise_faithful_noise.json", "noise_chevron.json"]


def groups_in_noise(seed: int, d: int, K: int, share: float) -> tuple[np.ndarray, ...]:
    """Rows, labels (-1 for uniform rows), and log joint densities of the truth, the noise last."""
    rng = np.random.default_rng([seed, d, K, int(100 * share)])
    n = 500
    labels = rng.choice([-1, *range(K)], n, p=[share, *np.full(K, (1.0 - share) / K)])
    while True:
        means = rng.uniform(-6.0, 6.0, (K, d))
        apart = np.linalg.norm(means[:, None] - means[None], axis=2)[np.triu_indices(K, 1)]
        if apart.min() > 4.0:
            break
    spreads = np.exp(rng.uniform(-1.2, 0.3, (K, d)))
    X = means[labels] + spreads[labels] * rng.standard_normal((n, d))
    X[labels < 0] = rng.uniform(-9.0, 9.0, ((labels < 0).sum(), d))
    z = (X[:, None] - means) / spreads
    joint = np.log((1.0 - share) / K) - 0.5 * (z**2).sum(axis=2) - np.log(spreads).sum(axis=1)
    joint -= 0.5 * d * np.log(2.0 * np.pi)
    noise = np.full((n, 1), np.log(share) - d * np.log(18.0))
    return X, labels, np.hstack([joint, noise])


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    X, labels, _ = groups_in_noise(3, 2, 3, 0.2)
    return X, labels


@pytest.fixture(scope="module")
def model(rows) -> GaussianMixture:
    return GaussianMixture(3, noise="auto", random_state=0).fit(rows[0])


# ---- outside truth -------------------------------------------------------------------------------


@pytest.mark.parametrize("file", TRUTH)
@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_the_optimum_of_mclust_from_the_same_rows_of_noise(file, family):
    """By plain EM, as in mclust, whose VVE stops below its maximum."""
    truth = read_truth(file)
    X = read_data(truth["csv"].split("/")[-1], truth["d"])
    labels = {start["G"]: np.array(start["labels"]) for start in truth["inits"]}
    held = 0
    for case in truth["fits"]:
        if case["model"] != family or case["status"] != "ok":
            continue
        K = case["G"]
        start = np.where(labels[K] == K, -1, labels[K])
        fit = GaussianMixture(
            K, covariance_type=family, noise="auto", init_params=start, acceleration=None
        ).fit(X)
        ours = fit.result_.log_likelihood
        assert fit.noise_volume_ == pytest.approx(1.0 / truth["Vinv"], rel=1e-10)
        assert ours >= case["loglik"] - 1e-6 * abs(case["loglik"])
        if family != "VVE":
            assert ours == pytest.approx(case["loglik"], rel=1e-6)
            assert fit.noise_weight_ == pytest.approx(case["pro"][-1], abs=2e-3)
        if "noise_posterior" in case:
            # EM ends where 0.01 of the log-likelihood may be left
            np.testing.assert_allclose(
                fit.predict_proba(X)[:, -1], case["noise_posterior"], atol=1e-2
            )
        assert fit.result_.n_parameters == case["nparams"] - 1  # mclust counts the volume
        held += 1
    assert held >= 3


# ---- the search ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize(("d", "K"), [(2, 2), (3, 3), (6, 5)])
def test_groups_are_recovered_from_ten_seeds(d, K, share):
    """As well as the truth's own posterior tells them, but for the error of the estimates."""
    X, labels, joint = groups_in_noise(1, d, K, share)
    own = labels >= 0
    best = adjusted_rand_score(labels[own], joint.argmax(axis=1)[own])
    for seed in range(10):
        fit = GaussianMixture(K, noise="box", random_state=seed).fit(X)
        assert adjusted_rand_score(labels[own], fit.predict(X)[own]) > best - 0.05
        assert abs(fit.noise_weight_ - share) < 0.08
        assert fit.converged_


def test_noise_is_better_than_a_plain_fit_in_six_columns():
    X, labels, _ = groups_in_noise(1, 6, 3, 0.5)
    own = labels >= 0
    noisy, plain = (
        adjusted_rand_score(
            labels[own], GaussianMixture(3, noise=noise, random_state=0).fit(X).predict(X)[own]
        )
        for noise in ("box", None)
    )
    assert noisy > 0.95 > plain + 0.1


def test_a_sparse_group_is_not_lost_in_the_noise_of_the_start():
    """Rows without noise, one group far sparser than the others."""
    rng = np.random.default_rng(0)
    groups = [0.1 * rng.standard_normal((200, 4)) + shift for shift in (0.0, 3.0)]
    X = np.concatenate([*groups, 2.0 * rng.standard_normal((200, 4)) + 12.0])
    labels = GaussianMixture(3, noise="box", random_state=0).fit(X).predict(X)
    assert (labels[400:] == labels[500]).mean() > 0.97
    assert adjusted_rand_score(np.repeat([0, 1], 200), labels[:400]) > 0.97


def test_many_rows_are_searched_on_a_sample():
    X, labels, _ = groups_in_noise(3, 2, 3, 0.2)
    rng = np.random.default_rng(0)
    many = rng.integers(len(X), size=30_000)
    fit = GaussianMixture(3, noise="auto", random_state=0).fit(
        X[many] + 0.01 * rng.standard_normal((30_000, 2))
    )
    own = labels[many] >= 0
    assert fit.start_report_.n_rows < 30_000
    assert adjusted_rand_score(labels[many][own], fit.predict(X[many])[own]) > 0.9


def test_the_selector_finds_the_number_of_groups(rows):
    X, labels = rows
    choice = GaussianMixtureSelector(
        range(1, 6), families=["VVI", "VVV"], noise="auto", random_state=0
    ).fit(X)
    assert choice.selection_.best.n_components == 3
    assert set(np.unique(choice.predict(X))) == {-1, 0, 1, 2}
    assert choice.predict_proba(X).shape == (len(X), 4)
    assert choice.best_estimator_.noise == "auto"
    assert (adjusted_rand_score(labels, choice.predict(X))) > 0.8


# ---- faces ---------------------------------------------------------------------------------------


def test_attributes_keep_the_shapes_of_the_components(model, rows):
    X, _ = rows
    assert model.weights_.shape == (3,)
    assert model.means_.shape == (3, 2)
    assert model.weights_.sum() + model.noise_weight_ == pytest.approx(1.0)
    shares, labels = model.predict_proba(X), model.predict(X)
    assert shares.shape == (len(X), 4)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_array_equal(labels == -1, shares.argmax(axis=1) == 3)
    assert isinstance(model.certificate_, Certificate)
    assert model.certificate_.holds
    assert model.score(X) * len(X) == pytest.approx(model.result_.log_likelihood)
    assert model.bic(X) == pytest.approx(
        -2 * model.result_.log_likelihood + (3 * 5 + 3) * np.log(len(X))
    )


def test_a_row_far_from_everything_is_noise(model):
    assert model.predict([[1e6, -1e6]]).tolist() == [-1]


def test_random_rows_of_the_noise_have_the_label_minus_one(model, rows):
    X, y = model.sample(5000)
    assert abs((y == -1).mean() - model.noise_weight_) < 5 * np.sqrt(0.25 / 5000)
    assert (X[y == -1] >= rows[0].min(axis=0) - 1e-9).all()


def test_a_plain_fit_has_no_noise(rows):
    plain = GaussianMixture(2, random_state=0).fit(rows[0])
    assert plain.noise_weight_ == 0.0
    assert plain.noise_volume_ == np.inf
    assert plain.predict_proba(rows[0]).shape[1] == 2


def test_a_saved_model_is_the_same(model, rows, tmp_path):
    path = tmp_path / "model.safetensors"
    mixtura.save(model, path)
    loaded = mixtura.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), model.predict_proba(rows[0]))
    assert loaded.noise_weight_ == model.noise_weight_
    assert b'"format_version":"2"' in path.read_bytes()


def test_merged_clusters_keep_the_noise(model, rows):
    merged = model.merged(rows[0], 2)
    shares = merged.predict_proba(rows[0])
    assert shares.shape == (len(rows[0]), 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_array_equal(merged.predict(rows[0]) == -1, model.predict(rows[0]) == -1)


@pytest.mark.parametrize("kind", ["scatter", "uncertainty", "density"])
def test_pictures_show_the_noise(model, rows, kind):
    ax = getattr(plots, f"plot_{kind}")(model, rows[0])
    if kind == "scatter":
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert any(text.startswith("noise (") for text in texts)


def test_a_report_has_the_noise(model, rows, tmp_path):
    write_report(model, rows[0], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f"Noise: weight {100 * model.noise_weight_:.1f} %" in page


def test_standard_errors_agree_with_those_of_resamples(model, rows):
    """Within 40 %, for 60 resamples; a weight has at least the error of a known membership."""
    errors = model.standard_errors(rows[0])
    again = model.standard_errors(rows[0], method="bootstrap", n_replicates=60, random_state=0)
    np.testing.assert_allclose(errors.means, again.means, rtol=0.4)
    least = np.sqrt(model.weights_ * (1.0 - model.weights_) / len(rows[0]))
    assert (errors.weights > 0.9 * least).all()
    intervals = model.membership_intervals(rows[0][:5], errors)
    assert intervals.low.shape == model.predict_proba(rows[0][:5]).shape


def test_a_warm_start_goes_on_with_the_box_of_the_new_rows(rows):
    X, _ = rows
    fit = GaussianMixture(3, noise="box", random_state=0, warm_start=True).fit(X)
    inner = X[(np.abs(X) < 8.0).all(axis=1)]
    fit.fit(inner)
    assert fit.noise_volume_ == pytest.approx(np.ptp(inner, axis=0).prod())
    assert fit.converged_


def test_volumes(rows):
    X, _ = rows
    box, principal, auto, given = (
        GaussianMixture(3, noise=noise, random_state=0).fit(X).noise_volume_
        for noise in ("box", "principal", "auto", 700.0)
    )
    assert box == pytest.approx(np.ptp(X, axis=0).prod())
    axes = np.linalg.eigh(np.cov(X.T))[1]
    assert principal == pytest.approx(np.ptp(X @ axes, axis=0).prod())
    assert auto == min(box, principal)
    assert given == pytest.approx(700.0)


def test_given_rows_of_noise_are_those_of_the_start(rows):
    X, labels = rows
    settings = {"noise": "box", "max_iter": 0}
    by_mask = GaussianMixture(
        3, init_params=np.maximum(labels, 0), noise_init=labels < 0, **settings
    ).fit(X)
    by_label = GaussianMixture(3, init_params=labels, **settings).fit(X)
    assert by_mask.noise_weight_ == by_label.noise_weight_ == (labels < 0).mean()
    np.testing.assert_array_equal(by_mask.means_, by_label.means_)
    found = GaussianMixture(3, noise="box", noise_init=labels < 0, random_state=0).fit(X)
    np.testing.assert_allclose(np.sort(found.weights_).sum() + found.noise_weight_, 1.0)


def test_rows_without_weight_are_absent_from_the_mask(rows):
    X, labels = rows
    weights = np.ones(len(X))
    weights[::3] = 0.0
    kept = weights > 0
    one = GaussianMixture(3, noise="box", init_params=labels)
    other = clone(one).set_params(init_params=labels[kept]).fit(X[kept])
    one.fit(X, sample_weight=weights)
    assert one.result_.log_likelihood == pytest.approx(other.result_.log_likelihood, rel=1e-12)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0, -1.0, float("nan"), float("inf"), "boxes", True, [1.0]])
def test_a_noise_that_is_no_volume_is_refused(noise, rows):
    with pytest.raises(ValueError, match="noise must be None, 'box'"):
        GaussianMixture(2, noise=noise).fit(rows[0])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros(5, dtype=bool), r"shape \(500,\)"),
        (np.zeros(500), "of float64"),
        (np.ones(500, dtype=bool), "leaves all rows to the noise"),
    ],
    ids=["short", "numbers", "all"],
)
def test_a_mask_that_cannot_be_used_is_refused(mask, message, rows):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, noise="box", noise_init=mask).fit(rows[0])


def test_a_mask_without_noise_is_refused(rows):
    with pytest.raises(ValueError, match="noise=None fits none"):
        GaussianMixture(2, noise_init=rows[1] < 0).fit(rows[0])


def test_labels_of_noise_without_noise_are_refused(rows):
    with pytest.raises(ValueError, match="must be the integers"):
        GaussianMixture(3, init_params=rows[1]).fit(rows[0])


def test_a_constant_column_has_no_box(rows):
    X = np.column_stack([rows[0], np.ones(len(rows[0]))])
    with pytest.raises(DataError, match="column 2 is constant"):
        noise_box(dataset(X), "box")


@pytest.mark.parametrize("lacking", ["first", "last"])
def test_a_block_of_rows_may_lack_a_column(lacking):
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((ROWS_PER_COPY + 10, 2)))
    X[slice(ROWS_PER_COPY) if lacking == "first" else slice(ROWS_PER_COPY, None), 1] = np.nan
    holes = Dataset(ArraySource(X, observation=Observation.of(X)), backend_named("auto", 1))
    assert len(list(holes.source.blocks())) == 2
    box = noise_box(holes, "box")
    low, high = np.fmin.reduce(X), np.fmax.reduce(X)
    np.testing.assert_allclose(box.volume, np.prod(high - low))
    np.testing.assert_allclose(box.centre, (low + high) / 2)


# ---- composition ---------------------------------------------------------------------------------


def test_labels_missing_entries_and_noise_compose(rows):
    X, truth = rows
    holes = X.copy()
    holes[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    known = np.full(len(X), -1)
    for k in range(3):
        known[np.flatnonzero(truth == k)[:5]] = k
    fit = GaussianMixture(3, noise="box", random_state=0).fit(holes, labels=known)
    assert fit.converged_
    assert abs(fit.noise_weight_ - 0.2) < 0.06
    found, own = fit.predict(X), truth >= 0
    # class c is component c, so labels need no matching
    assert (found == truth)[own].mean() > 0.9
    assert np.isfinite(fit.impute(holes)).all()


def test_zeros_and_noise_compose():
    """A value that many rows share is a group, not noise, and the certificate names it."""
    rng = np.random.default_rng(0)
    X = rng.normal(5.0, 1.0, (400, 2))
    X[:120] = 0.0
    X[120:160] = rng.uniform(-5.0, 12.0, (40, 2))
    fit = GaussianMixture(2, noise="box", random_state=0).fit(X)
    (point,) = [part for part in fit.certificate_.components if part.kind == "point mass"]
    assert (fit.predict(X)[:120] == point.component).all()
    assert "120 rows have exactly the value 0 in column 0 and 0 in column 1" in point.reason
    assert abs(fit.noise_weight_ - 0.1) < 0.05
