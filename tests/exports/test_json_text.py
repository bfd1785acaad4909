"""Parameters as JSON: the schema, the way back, and documents that are wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from conftest import ALL_FAMILIES
from exporting import ONE_OF_EACH_FORM, mixture_of, rows_of
from mixtura import BayesianGaussianMixture, GaussianMixture, ModelFileError, StudentTMixture
from mixtura.exports.described import DescribedMixture
from mixtura.exports.json_text import from_json_text, json_text, schema


def document(**options: Any) -> dict[str, Any]:
    """A document of two t components with noise, names and classes."""
    described = DescribedMixture(
        mixture_of("VVV", K=2, d=2, t=True, noise=True, columns=("a", "b")),
        "VVV",
        ("yes", "no"),
        {"bic": 12.5},
    )
    return json.loads(json_text(described)) | options


@pytest.mark.parametrize("noise", [False, True], ids=["plain", "noise"])
@pytest.mark.parametrize("t", [False, True], ids=["gaussian", "t"])
@pytest.mark.parametrize("family", ONE_OF_EACH_FORM)
def test_all_parameters_come_back_bit_for_bit(family, t, noise):
    mixture = mixture_of(family, t=t, noise=noise, columns=("x", "ü", '"'))
    text = json_text(DescribedMixture(mixture, family, (1, "b"), {"bic": 1 / 3}))
    read = from_json_text(text)
    assert read.family == family
    assert read.classes == (1, "b")
    assert read.facts == {"bic": 1 / 3}
    assert read.mixture.columns == mixture.columns
    for name in ("weights", "means", "tails"):
        np.testing.assert_array_equal(getattr(read.mixture, name), getattr(mixture, name))
    np.testing.assert_array_equal(read.mixture.covariance.values, mixture.covariance.values)
    assert type(read.mixture.covariance) is type(mixture.covariance)
    if noise:
        assert read.mixture.noise.weight == mixture.noise.weight
        np.testing.assert_array_equal(read.mixture.noise.log_sides, mixture.noise.log_sides)
        np.testing.assert_array_equal(read.mixture.noise.centre, mixture.noise.centre)
    rows = rows_of(mixture)
    np.testing.assert_allclose(read.mixture.log_joint(rows), mixture.log_joint(rows), rtol=1e-13)


@pytest.mark.parametrize("noise", [False, True], ids=["plain", "noise"])
@pytest.mark.parametrize("t", [False, True], ids=["gaussian", "t"])
@pytest.mark.parametrize("family", ONE_OF_EACH_FORM)
def test_documents_are_valid_by_the_schema(family, t, noise):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())
    for columns in (None, ("a", "b", "c")):
        mixture = mixture_of(family, t=t, noise=noise, columns=columns)
        text = json_text(DescribedMixture(mixture, family))
        jsonschema.validate(json.loads(text), schema())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "'format' must be 'mixtura-mixture', but is 'other'"),
        ({"version": 2}, "version 2 of the format is newer than 1. Update"),
        ({"version": "1"}, "version must be 1, but is '1'"),
        ({"family": "VVX"}, "family must be one of EII, .* but is 'VVX'"),
        ({"components": "gauss"}, "components must be one of gaussian, t"),
        ({"components": "gaussian"}, "degrees_of_freedom, but components is 'gaussian'"),
        ({"degree_of_freedom": [3]}, "'degree_of_freedom' is not known. Did you mean 'degrees_of"),
        ({"n_components": 0}, "n_components must be a positive integer, but is 0"),
        ({"n_components": True}, "n_components must be a positive integer, but is True"),
        ({"n_components": 3}, "degrees_of_freedom must have 3 entries, but has 2"),
        ({"weights": [0.5, 0.5]}, "sum to 1, but are .* and sum to 1.1"),
        ({"weights": [1.9, -1.0]}, "must be at least 0"),
        ({"weights": [0.5, "0.4"]}, r"weights\[1\] must be a finite number, but is '0.4'"),
        ({"weights": [0.5, True]}, r"weights\[1\] must be a finite number, but is True"),
        ({"weights": 0.9}, "weights must be a list of length 2, but is 0.9"),
        ({"means": [[0, 1], [2]]}, r"means\[1\] must have 2 entries, but has 1"),
        ({"means": [[0, 1], [2, 10**400]]}, r"means\[1\]\[1\] must be a finite number"),
        ({"covariance_form": "diagonal"}, "covariance_form must be 'dense' for VVV"),
        (
            {"covariances": [[[1, 0], [0, 1]], [[1, 2], [2, 1]]]},
            r"covariances\[1\] must be symmetric and positive definite",
        ),
        (
            {"covariances": [[[1, 0], [0, 1]], [[1, 0.5], [0.2, 1]]]},
            r"covariances\[1\] must be symmetric and positive definite",
        ),
        ({"degrees_of_freedom": [3, 0]}, "degrees_of_freedom must be positive"),
        ({"columns": ["a", "a"]}, "columns must be null or 2 different names"),
        ({"columns": ["a"]}, "columns must be null or 2 different names"),
        ({"noise": {"weight": 2, "log_sides": [1, 1], "centre": [0, 0]}}, "noise: weight must be"),
        ({"noise": {"weight": 0.1}}, "noise: the entry 'log_sides' is missing; there are 'weight'"),
        ({"noise": 3}, "noise must be an object"),
        ({"classes": ["a", "b", "c"]}, "classes must be at most 2 names"),
        ({"facts": []}, "facts must be an object"),
    ],
)
def test_a_wrong_entry_is_named(change, message):
    with pytest.raises(ModelFileError, match=message):
        from_json_text(document(**change))


@pytest.mark.parametrize("key", ["family", "weights", "means", "covariances", "columns"])
def test_a_missing_entry_is_named(key):
    wrong = document()
    del wrong[key]
    with pytest.raises(ModelFileError, match=f"the entry '{key}' is missing; there are"):
        from_json_text(wrong)
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())


def test_covariances_that_must_be_equal():
    shared = json.loads(json_text(DescribedMixture(mixture_of("EEI"), "EEI")))
    shared["covariances"][1][0] = 9.0
    with pytest.raises(ModelFileError, match="must all be equal for EEI, but differ"):
        from_json_text(shared)


def test_text_that_is_no_json(tmp_path):
    path = tmp_path / "model.json"
    for text, message in (
        ("[1]", "expected a JSON object, but it is .1."),
        ("{not json", "it is no JSON: .*line 1"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("", "it is no JSON"),
    ):
        path.write_text(text)
        with pytest.raises(ModelFileError, match=message) as raised:
            GaussianMixture.from_json(path)
        assert str(path) in str(raised.value)
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ModelFileError, match=r"no text.*mixtura\.load"):
        GaussianMixture.from_json(path)
    with pytest.raises(TypeError, match=r"source must be a path.*but a list came"):
        GaussianMixture.from_json([1])
    with pytest.raises(FileNotFoundError):
        GaussianMixture.from_json(tmp_path / "nowhere.json")


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_an_estimator_comes_back_with_its_answers(family, tmp_path, faithful):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(faithful, columns=["eruptions", "waiting"])
    model = GaussianMixture(2, covariance_type=family, n_init=1, random_state=0).fit(frame)
    path = tmp_path / "model.json"
    path.write_text(model.to_json(), encoding="utf-8")
    read = GaussianMixture.from_json(path)
    np.testing.assert_array_equal(read.covariances_, model.covariances_)
    np.testing.assert_allclose(
        read.predict_proba(frame), model.predict_proba(frame), rtol=0, atol=1e-12
    )
    assert read.bic(frame) == pytest.approx(model.bic(frame), rel=1e-12)
    facts = json.loads(model.to_json())["facts"]
    assert facts["bic"] == pytest.approx(model.bic(frame), rel=1e-12)
    assert facts["n"] == 272


def test_a_count_of_parameters_and_classes_come_back(faithful):
    labels = np.full(len(faithful), None, dtype=object)
    labels[:2] = ["long", "short"]
    model = GaussianMixture(2, equal_weights=True, random_state=0).fit(faithful, labels=labels)
    read = GaussianMixture.from_json(model.to_json())
    assert read.bic(faithful) == pytest.approx(model.bic(faithful), rel=1e-12)
    assert read.classes_.tolist() == ["long", "short"]


def test_float32_fits_keep_the_doubles_of_the_fit(faithful):
    model = GaussianMixture(2, n_init=1, random_state=0).fit(faithful.astype(np.float32))
    means = json.loads(model.to_json())["means"]
    np.testing.assert_array_equal(means, model.mixture_.means)


def test_a_model_that_is_not_fitted_is_refused():
    for write in ("to_json", "to_onnx", "to_python", "to_sklearn"):
        with pytest.raises(NotFittedError):
            getattr(GaussianMixture(2), write)()


def test_each_class_reads_its_components():
    t = json_text(DescribedMixture(mixture_of("VVV", t=True), "VVV"))
    gaussian = json_text(DescribedMixture(mixture_of("VVV"), "VVV"))
    assert StudentTMixture.from_json(t).degrees_of_freedom_.tolist() == [2.5, 30.0, 1e6]
    assert type(GaussianMixture.from_json(gaussian)) is GaussianMixture
    with pytest.raises(ValueError, match=r"are of t components. Read them with StudentTMixture"):
        GaussianMixture.from_json(t)
    with pytest.raises(ValueError, match=r"of Gaussian components. Read them with GaussianMixture"):
        StudentTMixture.from_json(gaussian)


def test_a_bayesian_mixture_is_written_by_its_expected_parameters(faithful):
    model = BayesianGaussianMixture(2, random_state=0).fit(faithful)
    read = GaussianMixture.from_json(model.to_json())
    np.testing.assert_array_equal(read.means_, model.means_)
    np.testing.assert_allclose(
        read.score_samples(faithful), model.mixture_.logpdf(faithful), rtol=1e-12
    )
    with pytest.raises(ValueError, match=r"a BayesianGaussianMixture cannot be made of these"):
        BayesianGaussianMixture.from_json(model.to_json())


def test_numbers_are_the_shortest_that_read_back():
    text = json_text(DescribedMixture(mixture_of("VII"), "VII"))
    numbers = re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)
    assert len(numbers) > 10
    assert all(repr(float(number)) == number for number in numbers)
