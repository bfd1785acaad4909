"""Saved estimators: what a file keeps of a fit beside its mixture."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest

import mixtura
from conftest import two_groups
from mixtura import GaussianMixture, GaussianMixtureSelector, MixtureClassifier, StudentTMixture
from mixtura.cli import main
from mixtura.estimators.model_file import load_model, save_model

NAN = np.nan
X = two_groups()
HALVES = np.repeat([0, 1], len(X) // 2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# ---- number of free parameters -------------------------------------------------------------------

CONSTRAINED = {
    "weight": GaussianMixture(2, fixed_weights=[NAN, 0.5], random_state=0),
    "mean": GaussianMixture(2, fixed_means=[[0.0, NAN]], random_state=0),
    "equal weights": GaussianMixture(2, equal_weights=True, random_state=0),
    "equal weights with noise": GaussianMixture(
        2, equal_weights=True, noise="box", n_init=1, random_state=0
    ),
    "t": StudentTMixture(2, fixed_means=[[0.0, NAN]], n_init=1, random_state=0),
    "selector": GaussianMixtureSelector(
        2, families="VVI", fixed_weights=[0.5, NAN], random_state=0
    ),
}


@pytest.mark.parametrize("name", CONSTRAINED)
def test_a_loaded_model_counts_the_free_parameters_of_the_fit(name, path):
    fit = CONSTRAINED[name].fit(X)
    model = getattr(fit, "best_estimator_", fit)
    for one in (fit, None):  # the second file is of the loaded model
        mixtura.save(mixtura.load(path) if one is None else one, path)
        loaded = mixtura.load(path)
        assert loaded.bic(X) == model.bic(X)
        assert loaded.aic(X) == model.aic(X)
    assert load_model(path).n_parameters == model.result_.n_parameters
    again = loaded.set_params(max_iter=1, n_init=1, tol=1e9).fit(X)  # without the constraints
    assert again._n_parameters() == again.result_.n_parameters > model.result_.n_parameters


@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(2, noise="box", n_init=1, random_state=0),
        StudentTMixture(2, degrees_of_freedom=[3.0, 4.0], n_init=1, random_state=0),
        StudentTMixture(2, degrees_of_freedom="equal", n_init=1, random_state=0),
    ],
    ids=["noise", "given degrees of freedom", "equal degrees of freedom"],
)
def test_a_file_of_a_plain_fit_says_no_more_than_before(model, path):
    mixtura.save(model.fit(X), path)
    file = load_model(path)
    assert set(file.metadata) <= {"columns_have_no_names", "degrees_of_freedom"}
    assert (file.n_parameters, file.classes) == (None, None)
    assert mixtura.load(path).bic(X) == model.bic(X)


def test_the_count_and_the_classes_of_the_command_line_are_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kinds = np.where(np.arange(len(X)) % 9, "", np.array(["no", "yes"])[HALVES])
    lines = [f"{a!r},{b!r},{kind}" for (a, b), kind in zip(X.tolist(), kinds, strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,kind", *lines]))
    arguments = ["--components", "2", "--families", "VVV", "--labels", "kind", "--equal-weights"]
    assert main(["fit", "rows.csv", *arguments, "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["best"]
    loaded = mixtura.load("rows.mixtura/model.safetensors")
    assert loaded._n_parameters() == best["n_parameters"] == 10
    assert loaded.classes_.tolist() == ["no", "yes"]


# ---- names of known classes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        np.array([3, 7]),
        np.array([3, 7], dtype=np.int16),
        np.array([0.1, 2.5], dtype=np.float32),
        np.array([False, True]),
        np.array(["größe", "体重"]),
        np.array(["a", "b"], dtype=object),
        np.array([np.int64(3), np.int64(7)], dtype=object),
    ],
    ids=["integers", "short integers", "floats", "booleans", "text", "objects", "integer objects"],
)
def test_the_names_of_known_classes_are_kept(names, path):
    model = GaussianMixture(2, n_init=1, random_state=0).fit(X, labels=names[HALVES])
    mixtura.save(model, path)
    loaded = mixtura.load(path)
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.classes_.dtype == model.classes_.dtype
    kept = loaded.standard_errors(X, labels=names[1 - HALVES][::-1])
    np.testing.assert_array_equal(
        kept.means, model.standard_errors(X, labels=names[1 - HALVES][::-1]).means
    )
    with pytest.raises(ValueError, match="must be among the classes of the fit"):
        loaded.standard_errors(X, labels=np.full(len(X), 5))


def test_names_that_a_file_cannot_hold_are_refused(path):
    days = np.array([datetime.date(2024, 1, day) for day in (1, 2)], dtype=object)
    model = GaussianMixture(2, n_init=1, random_state=0).fit(X, labels=days[HALVES])
    with pytest.raises(ValueError, match=r"names of classes must be.*labels\.astype\(str\)"):
        mixtura.save(model, path)
    assert not path.exists()


@pytest.mark.parametrize(
    "metadata",
    [
        {"classes": []},
        {"classes": [["a"]]},
        {"classes": "ab"},
        {"classes": ["a", "b"], "classes_dtype": "<i8"},
        {"classes": [1, 2], "classes_dtype": "i4,i4"},
        {"classes": [1, 2], "classes_dtype": "no type"},
    ],
)
def test_metadata_that_are_no_names_are_left_out(metadata, path):
    mixture = GaussianMixture(1).fit(X).mixture_
    save_model(path, mixture, family="VVV", feature_names=["a", "b"], metadata=metadata)
    assert load_model(path).classes is None
    assert not hasattr(mixtura.load(path), "classes_")


# ---- other estimators ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        MixtureClassifier(families="EII").fit(X, HALVES),
        mixtura.MixtureImputer(GaussianMixture(1)).fit(X),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_is_no_mixture_is_refused_by_name(model, path):
    with pytest.raises(TypeError, match=f"but a {type(model).__name__} came. Keep that with"):
        mixtura.save(model, path)
    assert not path.exists()
