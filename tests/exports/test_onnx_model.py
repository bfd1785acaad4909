"""ONNX models give the answers of the mixture, in both precisions and far from the origin."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from exporting import ONE_OF_EACH_FORM, mixture_of, rows_of
from mixtura import GaussianMixture, MissingExtraError, StudentTMixture
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of
from mixtura.exports.described import DescribedMixture
from mixtura.exports.onnx_model import OPSET, onnx_model

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def run(model, rows: np.ndarray) -> list[np.ndarray]:
    """Labels, probabilities and log densities by onnxruntime."""
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["label", "probabilities", "log_density"], {"X": rows})


def rounding(mixture: Mixture, rows: np.ndarray, eps: float) -> np.ndarray:
    """A bound of the error of log joint densities (n,K) from arithmetic with this eps.

    ``z = W u`` is off by ``(d + 3) eps |W| |u|``, a squared distance by twice that times ``|z|``;
    its slope in the log density is 1/2, or less for t; sums and logarithms are off by some eps of
    their terms.
    """
    d = mixture.n_features
    whitener = np.linalg.inv(np.linalg.cholesky(mixture.covariance.dense()))
    errors = []
    for k, mean in enumerate(mixture.means):
        u, own = rows.astype(np.float64) - mean, whitener[k]
        z, size = np.abs(u @ own.T), np.abs(u) @ np.abs(own).T
        squared = (z**2).sum(axis=1)
        slope = 0.5
        if mixture.tails is not None:
            slope = 0.5 * (mixture.tails[k] + d) / (mixture.tails[k] + squared)
        errors.append(slope * 2 * (d + 3) * eps * ((z * size).sum(axis=1) + squared))
    terms = np.abs(mixture.log_joint(rows.astype(np.float64)))[:, : len(errors)]
    return np.stack(errors, axis=1) + 8 * eps * (1 + terms)


def check(mixture: Mixture, precision: str, far: bool = True) -> None:
    """Compare with the mixture on the same rows, within the rounding of the precision."""
    rows = rows_of(mixture, far=far).astype(precision)
    labels, probabilities, log_density = run(
        onnx_model(DescribedMixture(mixture, "VVV"), precision), rows
    )
    assert labels.dtype == np.int64
    assert probabilities.dtype == log_density.dtype == precision
    exact = rows.astype(np.float64)
    expected = mixture.posterior(exact)
    error = rounding(mixture, rows, float(np.finfo(precision).eps))
    # To first order the log density moves by the mean error under the posterior; twice that.
    mean_error = 2 * (expected[:, : error.shape[1]] * error).sum(axis=1)
    eps = np.finfo(precision).eps
    assert (np.abs(log_density - mixture.log_density(exact)) <= mean_error + 8 * eps).all()
    largest = 2 * expected * np.pad(error, ((0, 0), (0, expected.shape[1] - error.shape[1])))
    bound = largest + (expected * mean_error[:, None]) + 8 * eps
    assert (np.abs(probabilities - expected) <= bound).all()
    first, second = -np.sort(-expected, axis=1)[:, :2].T
    clear = first - second > 4 * bound.max(axis=1)
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(labels[clear], labels_of(expected, mixture)[clear])


@pytest.mark.parametrize("noise", [False, True], ids=["plain", "noise"])
@pytest.mark.parametrize("t", [False, True], ids=["gaussian", "t"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("family", ONE_OF_EACH_FORM)
def test_every_stored_form_is_right(family, precision, t, noise):
    check(mixture_of(family, t=t, noise=noise), precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("offset", [1e4, -1e6])
@pytest.mark.parametrize("family", ["EII", "VVI", "VVV"])
def test_it_is_as_right_far_from_the_origin(family, offset, precision):
    check(mixture_of(family, offset=offset), precision)


@pytest.mark.parametrize(("K", "d"), [(1, 1), (1, 4), (40, 1), (5, 60)])
def test_sizes(K, d):
    """With 60 columns the rows have distances of hundreds, and clear labels."""
    for precision in ("float32", "float64"):
        check(mixture_of("VVV", K=K, d=d, noise=K == 1), precision)


def test_columns_of_very_different_units():
    """One column in 1e-20 of a unit, and one in 1e20 of it, within the range of float32."""
    mixture, units = mixture_of("VVV"), np.array([1e-20, 1.0, 1e20])
    scaled = mixture.covariance.dense() * np.outer(units, units)
    check(Mixture(mixture.weights, mixture.means * units, Dense(scaled, 3)), "float32", far=False)


def test_a_row_that_is_far_beyond_float32_has_numbers():
    mixture = mixture_of("VVV", t=True)
    rows = np.full((2, 3), [1e20, 1e20, -1e20], dtype=np.float32)
    _, probabilities, log_density = run(onnx_model(DescribedMixture(mixture, "VVV")), rows)
    assert np.isfinite(log_density).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("noise", [False, True], ids=["plain", "noise"])
def test_a_row_with_nan_has_no_label(noise):
    mixture = mixture_of("VVI", noise=noise)
    rows = mixture.means.astype(np.float32)
    rows[1, 2] = np.nan
    labels, probabilities, log_density = run(onnx_model(DescribedMixture(mixture, "VVI")), rows)
    assert labels[1] == -1
    assert np.isnan(probabilities[1]).all()
    assert np.isnan(log_density[1])
    assert np.isfinite(probabilities[[0, 2]]).all()


def test_no_rows():
    mixture = mixture_of("EEE")
    labels, probabilities, log_density = run(
        onnx_model(DescribedMixture(mixture, "EEE")), np.empty((0, 3), dtype=np.float32)
    )
    assert labels.shape == log_density.shape == (0,)
    assert probabilities.shape == (0, 3)


def test_a_component_of_weight_zero_has_no_probability():
    mixture = Mixture(
        np.array([0.0, 1.0]),
        np.array([[0.0], [3.0]]),
        mixture_of("VII", K=2, d=1).covariance,
    )
    _, probabilities, _ = run(
        onnx_model(DescribedMixture(mixture, "VII")), np.zeros((1, 1), np.float32)
    )
    assert probabilities.tolist() == [[0.0, 1.0]]


def test_an_estimator_is_exported_with_its_columns(faithful):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(faithful, columns=["eruptions", "waiting"])
    model = GaussianMixture(2, covariance_type="VEV", random_state=0).fit(frame)
    graph = model.to_onnx("float64")
    labels, probabilities, log_density = run(graph, faithful)
    np.testing.assert_array_equal(labels, model.predict(frame))
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), atol=1e-12)
    np.testing.assert_allclose(log_density, model.score_samples(frame), rtol=1e-12)
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(metadata["columns"]) == ["eruptions", "waiting"]
    assert metadata["family"] == "VEV"
    assert metadata["components"] == "gaussian"
    assert [entry.version for entry in graph.opset_import] == [OPSET]
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_t_components_and_noise_of_fits(faithful):
    noisy = GaussianMixture(2, noise="auto", random_state=0).fit(faithful)
    labels, probabilities, _ = run(noisy.to_onnx("float64"), faithful)
    np.testing.assert_array_equal(labels, noisy.predict(faithful))
    np.testing.assert_allclose(probabilities, noisy.predict_proba(faithful), atol=1e-12)
    tailed = StudentTMixture(2, random_state=0).fit(faithful)
    np.testing.assert_allclose(
        run(tailed.to_onnx("float64"), faithful)[2], tailed.score_samples(faithful), rtol=1e-12
    )


def test_a_precision_that_is_not_known():
    with pytest.raises(ValueError, match=r"precision must be 'float32' or 'float64'.*'float16'"):
        onnx_model(DescribedMixture(mixture_of("EII"), "EII"), "float16")


def test_parameters_that_float32_cannot_hold():
    mixture = Mixture(np.ones(1), np.full((1, 3), 1e39), mixture_of("EII", K=1).covariance)
    with pytest.raises(ValueError, match="outside of the range of float32"):
        onnx_model(DescribedMixture(mixture, "EII"))
    assert onnx_model(DescribedMixture(mixture, "EII"), "float64").graph.node


def test_without_onnx_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mixtura\[onnx\]'"):
        onnx_model(DescribedMixture(mixture_of("EII"), "EII"))
