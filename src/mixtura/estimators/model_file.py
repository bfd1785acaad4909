"""Model files: safetensors with a JSON document and a checksum.

The file holds the arrays of a mixture bit for bit. Its header has ``format``, ``format_version``,
``document`` (JSON) and ``sha256``: the digest of the whole file with 64 zeros in place of the
digest, so that any changed byte is detected. Loading executes nothing and checks everything.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mixtura.base.arrays import Array, Labels
from mixtura.base.errors import ModelFileError
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of
from mixtura.distribution.noise import Noise
from mixtura.exports.described import DescribedMixture
from mixtura.inputs.writing import replacing
from mixtura.model.criteria import CRITERIA
from mixtura.model.selection import Candidate

FORMAT = "mixtura-model"
FORMAT_VERSION, FIRST_WITH_NOISE_OR_TAILS = 2, 2
"""The newest version that is read. A file has the oldest version that can hold its mixture."""

NO_DIGEST = "0" * 64
"""In place of the digest while it is computed."""

LONGEST_HEADER = 100_000_000
"""Bytes of a header at most: the limit of safetensors."""

WHITENER_ROUNDING = 1e-4
"""Difference of a covariance from that of its whitener, in units of the standard deviations, that
may be rounding.
"""

COUNT, CLASSES, CLASSES_DTYPE = "n_parameters", "classes", "classes_dtype"
"""Keys of the metadata that :class:`Model` reads."""

UNNAMED = "columns_have_no_names"
"""Key of the metadata: the data were an array, and the names in the file are x0, x1, ..."""

FACTS = ("log_likelihood", "n_parameters", "bic", "n_iter", "converged")
"""What :func:`summary` and an exported mixture both say about a fit."""

KINDS_OF_NAMES = "biufUO"
"""Kinds of arrays of names of classes: numbers, text, and objects that are either."""

_FORMS = {Spherical: "spherical", Diagonal: "diagonal", Dense: "dense"}


@dataclass(frozen=True, eq=False)
class Model:
    """A mixture from a file.

    Attributes
    ----------
    mixture : Mixture
    family : str
        Three letters.
    feature_names : tuple of str
        Columns of the data, in the order of the mixture.
    created_by : str
        Name and version of the program that wrote the file.
    metadata : dict
        Further facts about the fit: criteria, seeds, number of rows.
    """

    mixture: Mixture
    family: str
    feature_names: tuple[str, ...]
    created_by: str
    metadata: Mapping[str, Any]

    @property
    def clusters(self) -> list[list[int]] | None:
        """The components of each merged cluster, or None; early files count them from 1."""
        clusters, K = self.metadata.get("clusters"), self.mixture.n_components
        if _is_partition(clusters, range(1, K + 1)):
            return [[k - 1 for k in cluster] for cluster in clusters or ()]
        return clusters if _is_partition(clusters, range(K)) else None

    @property
    def n_parameters(self) -> int | None:
        """Free parameters of the fit; None where the file does not say."""
        best = self.metadata.get("best")  # of mixtura fit
        of_best = best.get(COUNT) if isinstance(best, Mapping) else None
        count = self.metadata.get(COUNT, of_best)
        return count if type(count) is int and count >= 0 else None

    @property
    def classes(self) -> Labels | None:
        """The names of known classes (C,), of which class c is component c; None without any."""
        names = self.metadata.get(CLASSES)
        if not isinstance(names, list) or not names:
            return None
        if not all(isinstance(name, str | int | float) for name in names):
            return None
        try:
            dtype = np.dtype(self.metadata.get(CLASSES_DTYPE, "O"))
            return np.array(names, dtype=dtype) if dtype.kind in KINDS_OF_NAMES else None
        except (TypeError, ValueError):
            return None

    @property
    def described(self) -> DescribedMixture:
        """The mixture for :mod:`mixtura.exports`, with what the file says about the fit."""
        best = self.metadata.get("best")
        said = best if isinstance(best, Mapping) else {}
        facts = {key: said[key] for key in FACTS if key in said}
        if isinstance(self.metadata.get("n_rows"), int):
            facts["n"] = self.metadata["n_rows"]
        if self.n_parameters is not None:
            facts[COUNT] = self.n_parameters
        classes = self.classes
        return DescribedMixture(
            replace(
                self.mixture, columns=None if self.metadata.get(UNNAMED) else self.feature_names
            ),
            self.family,
            () if classes is None else tuple(classes.tolist()),
            facts,
        )

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The certificate as plain values; None in files of versions without certificates."""
        best = self.metadata.get("best")
        certificate = best.get("certificate") if isinstance(best, Mapping) else None
        return certificate if isinstance(certificate, Mapping) else None


# ---- saving --------------------------------------------------------------------------------------


def save_model(
    path: str | os.PathLike[str],
    mixture: Mixture,
    *,
    family: str,
    feature_names: Sequence[str],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file, atomically.

    Parameters
    ----------
    path : path
    mixture : Mixture
    family : str
    feature_names : sequence of d str
        Any Unicode; every name once.
    metadata : mapping, optional
        Values of JSON, which has neither NaN nor infinity.

    Raises
    ------
    ValueError
        When names and mixture disagree, or the metadata cannot be written as JSON.
    """
    names = tuple(feature_names)
    if len(names) != mixture.n_features or len(set(names)) != len(names):
        raise ValueError(
            f"feature_names must hold {mixture.n_features} different names, one per column of the "
            f"mixture, but came as {names!r}. Give the names of the columns the mixture was fitted "
            "to, in their order."
        )
    data = _to_bytes(mixture, family, names, metadata or {})
    with replacing(path) as part:
        part.write_bytes(data)


def _to_bytes(
    mixture: Mixture, family: str, names: Sequence[str], metadata: Mapping[str, Any]
) -> bytes:
    """The contents of the file."""
    covariance = mixture.covariance
    document = {
        "family": family,
        "form": _FORMS[type(covariance)],
        "n_components": mixture.n_components,
        "n_features": mixture.n_features,
        "feature_names": list(names),
        "created_by": f"mixtura {version('mixtura')}",
        "metadata": dict(metadata),
    }
    tensors = {"weights": mixture.weights, "means": mixture.means, "covariance": covariance.values}
    if isinstance(covariance, Dense):
        tensors["whitener"] = covariance.whitener  # so that densities keep their bits
    if mixture.noise is not None:
        noise = mixture.noise
        tensors["noise"] = np.concatenate([[noise.weight], noise.log_sides, noise.centre])
    if mixture.tails is not None:
        tensors["tails"] = mixture.tails
    plain = mixture.noise is None and mixture.tails is None
    header = {
        "format": FORMAT,
        "format_version": str(1 if plain else FIRST_WITH_NOISE_OR_TAILS),
        "document": json.dumps(document, allow_nan=False),
        "sha256": NO_DIGEST,
    }
    data = save(
        {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in tensors.items()},
        header,
    )
    return data.replace(
        _sha256_entry(NO_DIGEST), _sha256_entry(hashlib.sha256(data).hexdigest()), 1
    )


def _sha256_entry(digest: str) -> bytes:
    """The digest as an entry of the header; the JSON document escapes quotes, so it is unique."""
    return f'"sha256":"{digest}"'.encode()


# ---- loading -------------------------------------------------------------------------------------


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read and check a model file.

    Raises
    ------
    ModelFileError
        When the file is no model, was truncated or changed, was written by a newer version, or
        holds no valid mixture.
    OSError
        When the file cannot be read.
    """
    source = str(path)
    data = _read(path, source)
    document = _document(data, source)
    try:
        tensors = {name: np.array(array) for name, array in load(data).items()}
        return _model(document, tensors)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{source}: expected a valid mixture, but {_cause(error)}. Fit again, or ask whoever "
            "made this file."
        ) from None


def _cause(error: Exception) -> str:
    """An error as a clause of a message."""
    return (
        f"the entry {error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
    )


def _read(path: str | os.PathLike[str], source: str) -> bytes:
    """The bytes of a file that begins like safetensors; another file is not read further."""
    if Path(path).is_dir():
        held = Path(path) / "model.safetensors"
        what = f"Give {held}." if held.is_file() else "There is no model.safetensors in it."
        raise ModelFileError(f"{source}: expected a model file, but this is a folder. {what}")
    with Path(path).open("rb") as stream:
        start = stream.read(9)
        if (
            len(start) < 9
            or start[8:] != b"{"
            or int.from_bytes(start[:8], "little") > LONGEST_HEADER
        ):
            raise _no_model(source)
        return start + stream.read()


def _no_model(source: str) -> ModelFileError:
    """The error for a file of another kind."""
    return ModelFileError(
        f"{source}: expected a model file written by mixtura (model.safetensors), but this file is "
        "of another kind or was cut or changed at its beginning. Give the model file that 'mixtura "
        "fit' or mixtura.save wrote."
    )


def _document(data: bytes, source: str) -> dict[str, Any]:
    """The JSON document of a file with the right checksum."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        kind, number, document, digest = (
            header[key] for key in ("format", "format_version", "document", "sha256")
        )
        newer = int(number) > FORMAT_VERSION
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_model(source) from None
    if kind != FORMAT:
        raise _no_model(source)
    if newer:
        raise ModelFileError(
            f"{source}: expected format version {FORMAT_VERSION} or older, but this file has "
            f"version {number}: a newer mixtura wrote it. Run: pip install --upgrade mixtura"
        )
    undigested = data.replace(_sha256_entry(str(digest)), _sha256_entry(NO_DIGEST), 1)
    if hashlib.sha256(undigested).hexdigest() != digest:
        raise ModelFileError(
            f"{source}: expected the file exactly as mixtura wrote it, but its SHA-256 does not "
            "match: it was cut or changed since. Copy it again from its source, or fit again."
        )
    try:
        return dict(json.loads(document))
    except (ValueError, TypeError, RecursionError):
        raise _no_model(source) from None


def _model(document: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
    """The model; ValueError names the first part that is not valid."""
    K, d = document["n_components"], document["n_features"]
    names, metadata = document["feature_names"], document["metadata"]
    _require(
        isinstance(K, int) and isinstance(d, int) and K > 0 and d > 0,
        "n_components and n_features are not positive integers",
    )
    _require(
        isinstance(names, list) and all(isinstance(name, str) for name in names),
        "the feature names are not a list of text",
    )
    _require(len(set(names)) == len(names) == d, f"there are not {d} different feature names")
    _require(
        isinstance(document["family"], str) and isinstance(metadata, dict),
        "the family or the metadata are of the wrong type",
    )
    for name, array in tensors.items():
        _require(array.dtype == np.float64, f"{name} is not float64")
        _require(bool(np.isfinite(array).all()), f"{name} has entries that are not finite")
    weights, means = tensors["weights"], tensors["means"]
    _require(
        weights.shape == (K,) and means.shape == (K, d),
        f"weights {weights.shape} and means {means.shape} are not for K={K}, d={d}",
    )
    noise = _noise(tensors, d)
    total = float(weights.sum()) + (0.0 if noise is None else noise.weight)
    _require(
        bool((weights >= 0).all()) and abs(total - 1.0) < 1e-6,
        "the weights are negative or do not sum to one",
    )
    tails = tensors.get("tails")
    _require(
        tails is None or (tails.shape == (K,) and bool((tails > 0).all())),
        f"the degrees of freedom are not {K} positive numbers",
    )
    covariance = _covariance(document["form"], tensors, K, d)
    mixture = Mixture(weights, means, covariance, noise, tails, tuple(names))
    return Model(mixture, document["family"], tuple(names), str(document["created_by"]), metadata)


def _noise(tensors: Mapping[str, Array], d: int) -> Noise | None:
    """The noise term: its weight, then the logarithms of its sides, then its centre (1 + 2 d,)."""
    if "noise" not in tensors:
        return None
    values = tensors["noise"]
    _require(
        values.shape == (1 + 2 * d,), f"the noise has shape {values.shape}, not {(1 + 2 * d,)}"
    )
    _require(0.0 <= float(values[0]) <= 1.0, "the weight of the noise is not between 0 and 1")
    return Noise(float(values[0]), values[1 : 1 + d], values[1 + d :])


def _is_partition(clusters: Any, components: range) -> bool:
    """Whether lists of numbers are a partition of the components."""
    if not isinstance(clusters, list) or not all(
        isinstance(cluster, list) and cluster for cluster in clusters
    ):
        return False
    members = [k for cluster in clusters for k in cluster]
    return all(type(k) is int for k in members) and sorted(members) == list(components)


def _covariance(form: object, tensors: Mapping[str, Array], K: int, d: int) -> Covariance:
    """The covariance in its stored form, checked to be positive definite."""
    values = tensors["covariance"]
    shapes = {"spherical": (), "diagonal": (d,), "dense": (d, d)}
    _require(form in shapes, f"the covariance form {form!r} is not known")
    shape = shapes[str(form)]
    _require(
        values.shape in ((K, *shape), (1, *shape)),
        f"the covariance has shape {values.shape}, not {(K, *shape)} or {(1, *shape)}",
    )
    if form == "dense":
        return _dense(values, tensors["whitener"], K)
    _require(bool((values > 0).all()), "a variance is not positive")
    return Spherical(values, K, d) if form == "spherical" else Diagonal(values, K)


def _dense(values: Array, whitener: Array, K: int) -> Dense:
    """Dense covariances with their stored whitener, after a check that both agree."""
    _require(whitener.shape == values.shape, "the whitener and the covariance differ in shape")
    diagonals = np.einsum("kjj->kj", whitener)
    _require(
        bool((diagonals > 0).all()) and np.array_equal(whitener, np.tril(whitener)),
        "the whitener is not lower triangular and positive",
    )
    variances = np.einsum("kjj->kj", values)
    _require(bool((variances > 0).all()), "a covariance is not positive definite")
    unit = np.sqrt(variances[:, :, None] * variances[:, None, :])
    implied = Dense.from_whitener(whitener, K).values
    _require(
        bool((np.abs(implied - values) <= WHITENER_ROUNDING * unit).all()),
        "the covariance and its whitener do not belong together",
    )
    return Dense(values, K, known_whitener=whitener)


def _require(valid: bool, problem: str) -> None:
    """Raise a ValueError about the problem unless valid."""
    if not valid:
        raise ValueError(problem)


# ---- plain values --------------------------------------------------------------------------------


def summary(candidate: Candidate) -> dict[str, Any]:
    """A fitted candidate as plain values."""
    fit = candidate.fit
    assert fit is not None
    return {
        "family": candidate.family,
        "n_components": candidate.n_components,
        "log_likelihood": fit.log_likelihood,
        "n_parameters": fit.n_parameters,
        **{name: criterion(fit) for name, criterion in CRITERIA.items()},
        **candidate.criteria,
        "n_iter": fit.n_iter,
        "converged": fit.converged,
        "stop": fit.stop.value,
        "certificate": fit.certificate.document() if fit.certificate else None,
        "starts": candidate.starts.document() if candidate.starts else None,
    }


def component_summaries(
    mixture: Mixture, probabilities: Array, names: Sequence[str], sure: float
) -> list[dict[str, Any]]:
    """The components as plain values; unsure rows have a largest probability below ``sure``."""
    labels, unsure = labels_of(probabilities, mixture), probabilities.max(axis=1) < sure
    deviations = np.sqrt(np.einsum("kjj->kj", mixture.covariance.dense()))
    return [
        {
            "component": k,
            "weight": float(mixture.weights[k]),
            "n_rows": int((labels == k).sum()),
            "n_unsure": int((unsure & (labels == k)).sum()),
            "mean": dict(zip(names, mixture.means[k].tolist(), strict=True)),
            "sd": dict(zip(names, deviations[k].tolist(), strict=True)),
        }
        for k in range(mixture.n_components)
    ]


def class_names(classes: Labels) -> dict[str, Any]:
    """The names of known classes (C,) as plain values, which :attr:`Model.classes` reads.

    Raises
    ------
    ValueError
        When JSON has no such values.
    """
    given = classes.tolist()
    names = jsonable(given)
    if classes.dtype.kind not in KINDS_OF_NAMES or names != given:
        raise ValueError(
            "the names of classes must be finite numbers, text or booleans to be saved, but "
            f"{given[:8]} came. Fit with labels of text, for example labels.astype(str)."
        )
    return {CLASSES: names, CLASSES_DTYPE: classes.dtype.str}


def jsonable(value: Any) -> Any:
    """The value as JSON: arrays become lists, NaN and infinity null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
