"""The parameters of a mixture as JSON, which any language reads.

``mixture.schema.json`` beside this module is the format as a JSON Schema. Numbers are the shortest
decimals that read back as the same double. Covariances are K entries, also where components share
one: numbers, lists or matrices, so that a reader needs no table of families.
"""

from __future__ import annotations

import difflib
import json
from importlib.resources import files
from typing import Any

from mixtura.base.arrays import Array
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.given_parameters import is_positive_definite
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.distribution.parametrisation import stored_covariances
from mixtura.exports.described import DescribedMixture, created_by
from mixtura.exports.documents import Document, Source, document_of, is_number, shown
from mixtura.families import FAMILIES

FORMAT, VERSION = "mixtura-mixture", 1

WEIGHTS_ROUNDING = 1e-6
"""Weights may miss the sum 1 by this, for example those that were written with seven digits."""

_FORMS = {Spherical: "spherical", Diagonal: "diagonal", Dense: "dense"}


def schema() -> dict[str, Any]:
    """The JSON Schema of the format."""
    text = (files("mixtura.exports") / "mixture.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


# ---- writing -------------------------------------------------------------------------------------


def json_text(described: DescribedMixture) -> str:
    """The JSON document, with one line for each entry."""
    entries = _document(described).items()
    lines = (f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in entries)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _document(described: DescribedMixture) -> dict[str, Any]:
    """The document as plain values."""
    mixture = described.mixture
    covariance, noise = mixture.covariance, mixture.noise
    values = covariance.values.tolist()
    document: dict[str, Any] = {
        "$schema": schema()["$id"],
        "format": FORMAT,
        "version": VERSION,
        "created_by": created_by(),
        "family": described.family,
        "components": described.law,
        "n_components": mixture.n_components,
        "n_features": mixture.n_features,
        "columns": None if mixture.columns is None else list(mixture.columns),
        "weights": mixture.weights.tolist(),
        "means": mixture.means.tolist(),
        "covariance_form": _FORMS[type(covariance)],
        "covariances": values * mixture.n_components if covariance.shared else values,
    }
    if mixture.tails is not None:
        document["degrees_of_freedom"] = mixture.tails.tolist()
    if noise is not None:
        document["noise"] = {
            "weight": noise.weight,
            "log_sides": noise.log_sides.tolist(),
            "centre": noise.centre.tolist(),
        }
    if described.classes:
        document["classes"] = list(described.classes)
    facts = {
        key: value
        for key, value in described.facts.items()
        if not isinstance(value, float) or is_number(value)
    }
    return document | ({"facts": facts} if facts else {})


# ---- reading -------------------------------------------------------------------------------------


def from_json_text(source: Source) -> DescribedMixture:
    """The mixture of a document: a path, a JSON text, or the object itself.

    Raises
    ------
    ModelFileError
        Naming the entry that is missing or not valid.
    OSError
        When the file cannot be read.
    """
    document = document_of(source)
    _check_words(document)
    K, d = _count(document, "n_components"), _count(document, "n_features")
    tails = _tails(document, K)
    noise = _noise(document, d)
    weights = _weights(document, K, 0.0 if noise is None else noise.weight)
    family = document.entry("family")
    covariance = _covariance(document, family, K, d)
    means, columns = document.numbers("means", (K, d)), _columns(document, d)
    mixture = Mixture(weights, means, covariance, noise, tails, columns)
    return DescribedMixture(mixture, family, _classes(document, K), _facts(document))


def _check_words(document: Document) -> None:
    """Refuse another format, a newer version, and entries or words that are not known."""
    if document.values.get("format") != FORMAT:
        document.refuse(
            f"the entry 'format' must be {FORMAT!r}, but is {shown(document.values.get('format'))}",
            "This reads what to_json wrote; from_mclust reads parameters of mclust.",
        )
    version = document.entry("version")
    if type(version) is int and version > VERSION:
        document.refuse(
            f"version {version} of the format is newer than {VERSION}", "Update mixtura."
        )
    if version != VERSION:
        document.refuse(f"version must be {VERSION}, but is {shown(version)}")
    known = schema()["properties"]
    for key in document.values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            guess = (
                f"Did you mean {near[0]!r}?" if near else "What is for people goes into 'facts'."
            )
            document.refuse(f"the entry {key!r} is not known", guess)
    for key in ("family", "components", "covariance_form"):
        words, given = known[key]["enum"], document.entry(key)
        if given not in words:
            document.refuse(f"{key} must be one of {', '.join(words)}, but is {shown(given)}")


def _count(document: Document, key: str) -> int:
    """A positive integer."""
    value = document.entry(key)
    if type(value) is not int or value < 1:
        document.refuse(f"{key} must be a positive integer, but is {shown(value)}")
    return value


def _tails(document: Document, K: int) -> Array | None:
    """The degrees of freedom of t components."""
    given = "degrees_of_freedom" in document.values
    if document.entry("components") == "gaussian":
        if given:
            document.refuse("there are degrees_of_freedom, but components is 'gaussian', not 't'")
        return None
    tails = document.numbers("degrees_of_freedom", (K,))
    if not (tails > 0).all():
        document.refuse(f"degrees_of_freedom must be positive, but are {tails.tolist()}")
    return tails


def _noise(document: Document, d: int) -> Noise | None:
    """The noise term."""
    given = document.values.get("noise")
    if given is None:
        return None
    if not isinstance(given, dict):
        document.refuse(f"noise must be an object, but is {shown(given)}")
    own = Document(given, f"{document.source}: noise")
    weight = float(own.numbers("weight", ()))
    if not 0 <= weight <= 1:
        own.refuse(f"weight must be between 0 and 1, but is {weight}")
    return Noise(weight, own.numbers("log_sides", (d,)), own.numbers("centre", (d,)))


def _weights(document: Document, K: int, of_noise: float) -> Array:
    """The mixing proportions."""
    weights = document.numbers("weights", (K,))
    total = float(weights.sum()) + of_noise
    if (weights < 0).any() or abs(total - 1) > WEIGHTS_ROUNDING:
        words = "weights" if not of_noise else "weights and the weight of the noise"
        document.refuse(
            f"{words} must be at least 0 and sum to 1, but are {shown(weights.tolist())} and sum "
            f"to {total:.8g}"
        )
    return weights


def _covariance(document: Document, family: str, K: int, d: int) -> Covariance:
    """The covariances in the stored form of their family."""
    form = {Scatter.TRACE: "spherical", Scatter.DIAGONAL: "diagonal"}.get(
        FAMILIES[family].needs, "dense"
    )
    given = document.entry("covariance_form")
    if given != form:
        document.refuse(f"covariance_form must be {form!r} for {family}, but is {given!r}")
    shape = {"spherical": (K,), "diagonal": (K, d), "dense": (K, d, d)}[form]
    values = document.numbers("covariances", shape)
    for k, own in enumerate(values):
        valid = is_positive_definite(own) if form == "dense" else bool((own > 0).all())
        if not valid:
            what = "symmetric and positive definite" if form == "dense" else "positive"
            document.refuse(f"covariances[{k}] must be {what}, but is {shown(own.tolist())}")
    if not FAMILIES[family].shares_all:
        return stored_covariances(family, values, K, d)
    if (values != values[0]).any():
        document.refuse(f"covariances must all be equal for {family}, but differ")
    return stored_covariances(family, values[0], K, d)


def _columns(document: Document, d: int) -> tuple[str, ...] | None:
    """The names of the columns."""
    names = document.entry("columns")
    if names is None:
        return None
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not valid or len(names) != d or len(set(names)) != d:
        document.refuse(f"columns must be null or {d} different names, but is {shown(names)}")
    return tuple(names)


def _classes(document: Document, K: int) -> tuple[Any, ...]:
    """The names of known classes."""
    names = document.values.get("classes", [])
    valid = isinstance(names, list) and all(
        isinstance(name, str | bool) or is_number(name) for name in names
    )
    if not valid or len(names) > K:
        document.refuse(f"classes must be at most {K} names, but is {shown(names)}")
    return tuple(names)


def _facts(document: Document) -> dict[str, Any]:
    """What is said about the fit."""
    facts = document.values.get("facts", {})
    if not isinstance(facts, dict):
        document.refuse(f"facts must be an object, but is {shown(facts)}")
    return facts
