"""Model files: a round trip keeps every bit, and changed files are refused."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from mixtura import StudentTMixture
from mixtura.base.errors import ModelFileError
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.model_file import jsonable, load_model, save_model

K, D = 3, 4
NAMES = ("größe", "体重", 'with "quotes" and , commas', "\ud800 half a letter \0")


def covariance(form: str, shared: bool):
    rng = np.random.default_rng(1)
    many = 1 if shared else K
    if form == "spherical":
        return Spherical(rng.uniform(0.1, 9, many), K, D)
    if form == "diagonal":
        return Diagonal(rng.uniform(0.1, 9, (many, D)), K)
    factors = rng.normal(size=(many, D, D)) * [1e-3, 1, 1, 1e5]
    return Dense(np.swapaxes(factors, 1, 2) @ factors, K)


def mixture(form: str = "dense", shared: bool = False) -> Mixture:
    rng = np.random.default_rng(2)
    return Mixture(rng.dirichlet(np.ones(K)), rng.normal(size=(K, D)), covariance(form, shared))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(
        path,
        mixture(),
        family="VVV",
        feature_names=NAMES,
        metadata={"bic": 12.5, "nested": {"a": [1, None]}},
    )
    return path


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("form", ["spherical", "diagonal", "dense"])
def test_a_round_trip_keeps_every_bit(tmp_path, form, shared):
    before = mixture(form, shared)
    save_model(tmp_path / "m", before, family="XYZ", feature_names=NAMES, metadata={"n": 3})
    model = load_model(tmp_path / "m")
    after = model.mixture
    rows = np.random.default_rng(3).normal(size=(50, D))
    assert np.array_equal(before.weights, after.weights)
    assert np.array_equal(before.means, after.means)
    assert np.array_equal(before.covariance.values, after.covariance.values)
    assert np.array_equal(before.log_joint(rows), after.log_joint(rows))
    assert (model.family, model.feature_names, model.metadata) == ("XYZ", NAMES, {"n": 3})
    assert model.created_by.startswith("mixtura ")


def test_a_whitener_that_differs_from_the_covariance_in_the_last_bits_is_kept(tmp_path):
    whitener = np.tril(np.random.default_rng(4).normal(size=(K, D, D)))
    whitener[:, range(D), range(D)] = 1e4
    before = Mixture(np.full(K, 1 / K), np.zeros((K, D)), Dense.from_whitener(whitener, K))
    save_model(tmp_path / "m", before, family="VVV", feature_names=NAMES)
    assert np.array_equal(load_model(tmp_path / "m").mixture.covariance.whitener, whitener)


def test_saving_twice_gives_the_same_contents(saved):
    first = load_model(saved)
    save_model(
        saved,
        first.mixture,
        family=first.family,
        feature_names=first.feature_names,
        metadata=first.metadata,
    )
    assert np.array_equal(load_model(saved).mixture.means, first.mixture.means)


@pytest.mark.parametrize("names", [("a",), ("a", "a", "b", "c")])
def test_names_must_be_one_per_column_and_different(tmp_path, names):
    with pytest.raises(ValueError, match="4 different names"):
        save_model(tmp_path / "m", mixture(), family="VVV", feature_names=names)
    assert not (tmp_path / "m").exists()


# ---- changed files -------------------------------------------------------------------------------


def test_any_changed_byte_is_detected(saved):
    data = saved.read_bytes()
    for place in range(0, len(data), 3):
        for change in (1, 0x80, 0x2A):
            saved.write_bytes(data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])
            with pytest.raises(ModelFileError, match="expected"):
                load_model(saved)


def test_white_space_in_the_header_is_part_of_the_checksum(saved):
    data = saved.read_bytes()
    place = data.index(b"}   ") + 1 if b"}   " in data else data.index(b"{")
    saved.write_bytes(data[:place] + b"\n" + data[place + 1 :])
    with pytest.raises(ModelFileError):
        load_model(saved)


@pytest.mark.parametrize("kept", [0, 5, 8, 9, 40, 500, -300, -8, -1])
def test_a_truncated_file_is_detected(saved, kept):
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match="cut or"):
        load_model(saved)


def test_bytes_at_the_end_are_detected(saved):
    saved.write_bytes(saved.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_model(saved)


OTHERS = {
    "csv": b"a,b\n1,2\n3,4\n",
    "pickle": b"\x80\x04pickle",
    "zeros": b"\0" * 100,
    "empty object": b"\x02" + b"\0" * 7 + b"{}",
    "list": b"\x03" + b"\0" * 7 + b"[1]",
    "deep": (200_000).to_bytes(8, "little") + b'{"a":' * 40_000,
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_format_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFileError, match="written by mixtura"):
        load_model(tmp_path / "m")


def test_the_model_file_of_a_folder_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"this is a folder.*no model\.safetensors"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelFileError, match=r"Give .*model\.safetensors"):
        load_model(tmp_path)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path):
    (tmp_path / "m").write_bytes(save({"weights": np.ones(1)}, {"format": "pt"}))
    with pytest.raises(ModelFileError, match="of another kind"):
        load_model(tmp_path / "m")


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "m")


# ---- invalid files with a valid checksum ---------------------------------------------------------


def rewrite(path, change):
    """Apply ``change(header, document, tensors)`` to a valid file, with a valid checksum."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    document, tensors = (
        json.loads(header["document"]),
        {name: array.copy() for name, array in load(data).items()},
    )
    change(header, document, tensors)
    header = {
        "document": json.dumps(document),
        **{key: header[key] for key in ("format", "format_version")},
        "sha256": "0" * 64,
    }
    data = save(tensors, header)
    path.write_bytes(
        data.replace(
            b'"sha256":"' + b"0" * 64, b'"sha256":"' + hashlib.sha256(data).hexdigest().encode()
        )
    )


def test_a_rewritten_valid_file_is_loaded(saved):
    rewrite(saved, lambda header, document, tensors: None)
    assert load_model(saved).family == "VVV"


def test_a_newer_format_asks_for_an_upgrade(saved):
    rewrite(saved, lambda header, document, tensors: header.update(format_version="3"))
    with pytest.raises(
        ModelFileError, match=re.escape("version 2 or older, but this file has version 3")
    ):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda doc, t: t.pop("means"), "the entry 'means' is missing"),
        (lambda doc, t: t.pop("whitener"), "the entry 'whitener' is missing"),
        (lambda doc, t: doc.pop("family"), "the entry 'family' is missing"),
        (lambda doc, t: doc.update(family=3), "family or the metadata"),
        (lambda doc, t: doc.update(n_components=2), "are not for K=2"),
        (lambda doc, t: doc.update(n_components="3"), "not positive integers"),
        (lambda doc, t: doc.update(n_features=0), "not positive integers"),
        (
            lambda doc, t: doc.update(feature_names=["a", "a", "b", "c"]),
            "4 different feature names",
        ),
        (lambda doc, t: doc.update(feature_names=[1, 2, 3, 4]), "not a list of text"),
        (lambda doc, t: doc.update(form="cubic"), "form 'cubic' is not known"),
        (lambda doc, t: doc.update(form="diagonal"), "the covariance has shape"),
        (lambda doc, t: t.update(weights=t["weights"] * 2), "do not sum to one"),
        (lambda doc, t: t.update(weights=np.array([-1.0, 1.0, 1.0])), "negative"),
        (lambda doc, t: t.update(means=t["means"].astype(np.float32)), "means is not float64"),
        (
            lambda doc, t: t.update(means=t["means"] * np.nan),
            "means has entries that are not finite",
        ),
        (lambda doc, t: t.update(covariance=-t["covariance"]), "not positive definite"),
        (lambda doc, t: t.update(covariance=t["covariance"] * 2), "do not belong together"),
        (lambda doc, t: t.update(whitener=-t["whitener"]), "not lower triangular and positive"),
        (
            lambda doc, t: t.update(whitener=np.swapaxes(t["whitener"], 1, 2).copy()),
            "not lower triangular and positive",
        ),
        (lambda doc, t: t.update(whitener=t["whitener"][:1]), "differ in shape"),
    ],
)
def test_an_invalid_mixture_is_refused_with_the_cause(saved, change, cause):
    rewrite(saved, lambda header, document, tensors: change(document, tensors))
    with pytest.raises(ModelFileError, match=cause):
        load_model(saved)


def test_a_variance_that_is_not_positive_is_refused(tmp_path):
    save_model(tmp_path / "m", mixture("diagonal"), family="VVI", feature_names=NAMES)
    rewrite(
        tmp_path / "m",
        lambda header, document, tensors: tensors.update(covariance=tensors["covariance"] * 0),
    )
    with pytest.raises(ModelFileError, match="a variance is not positive"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    "metadata", [{}, {"best": None}, {"best": {"converged": True}}, {"best": {"certificate": None}}]
)
def test_a_file_of_a_version_without_certificates_is_loaded_without_one(tmp_path, metadata):
    save_model(tmp_path / "m", mixture(), family="VVV", feature_names=NAMES, metadata=metadata)
    assert load_model(tmp_path / "m").certificate is None


def test_a_certificate_is_read_from_the_metadata(tmp_path):
    metadata = {"best": {"certificate": {"holds": True, "gradient": 1e-3}}}
    save_model(tmp_path / "m", mixture(), family="VVV", feature_names=NAMES, metadata=metadata)
    assert load_model(tmp_path / "m").certificate == {"holds": True, "gradient": 1e-3}


def test_values_become_those_of_json():
    values = {
        "array": np.array([1.0, np.nan]),
        "number": np.float64(2),
        "whole": np.int64(3),
        "path": Path("p"),
        4: (True, None),
    }
    assert jsonable(values) == {
        "array": [1.0, None],
        "number": 2.0,
        "whole": 3,
        "path": "p",
        "4": [True, None],
    }


def test_arrays_in_any_memory_order_are_saved(tmp_path):
    before = mixture()
    fortran = Mixture(before.weights, np.asfortranarray(before.means), before.covariance)
    save_model(tmp_path / "m", fortran, family="VVV", feature_names=NAMES)
    assert np.array_equal(load_model(tmp_path / "m").mixture.means, before.means)


def test_t_components_have_a_newer_format_that_gaussians_do_not_need(tmp_path):
    known = StudentTMixture.from_parameters([1.0], [[0.0]], [[[2.0]]], 3.5)
    path = tmp_path / "t.safetensors"
    for tails, version in ((known.mixture_.tails, b"2"), (None, b"1")):
        mixture = replace(known.mixture_, tails=tails)
        save_model(path, mixture, family="VVV", feature_names=["a"])
        assert b'"format_version":"' + version + b'"' in path.read_bytes()
        found = load_model(path).mixture.tails
        assert found is None if tails is None else found.tolist() == [3.5]
    save_model(path, known.mixture_, family="VVV", feature_names=["a"])
    rewrite(path, lambda header, document, tensors: tensors.update(tails=np.array([-1.0])))
    with pytest.raises(ModelFileError, match="degrees of freedom are not 1 positive"):
        load_model(path)
